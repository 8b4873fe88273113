"""A notebook whose number was changed fails: what the notebooks' test is worth."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: as CONTRIBUTING.md and start.py have it
NBVAL = ("-p", "no:python", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=120")
CHECKED = "nbval-check-output"


def shortened() -> dict:
    """Return the notebook of Fig. 3 up to its first result, with samples that it will find."""
    path = ROOT / "notebooks" / "fig3_map_and_boundaries.ipynb"
    notebook = json.loads(path.read_text("utf-8"))
    tags = [set(cell["metadata"].get("tags", ())) for cell in notebook["cells"]]
    first = next(k for k, own in enumerate(tags) if CHECKED in own)
    notebook["cells"] = notebook["cells"][: first + 1]
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"]).replace('".."', repr(str(ROOT)))
    return notebook


def with_another_digit(notebook: dict) -> dict:
    """Return a copy whose stored result says 3001 for 3000."""
    changed = json.loads(json.dumps(notebook).replace("3000 counts", "3001 counts"))
    assert changed != notebook
    return changed


def test_a_notebook_with_a_wrong_number_fails(tmp_path: Path) -> None:
    kept = shortened()
    for name, notebook in (("kept", kept), ("changed", with_another_digit(kept))):
        (tmp_path / f"{name}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", *NBVAL, "-q", "-c", os.devnull]
    done = subprocess.run(
        [*command, "--rootdir", str(tmp_path), "--junitxml=out.xml", str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    cells = list(ET.parse(tmp_path / "out.xml").iter("testcase"))
    failed = {str(c.get("classname")) for c in cells if c.find("failure") is not None}
    ran = {str(c.get("classname")) for c in cells}
    assert len(ran) == 2
    (wrong,) = failed
    assert "changed" in wrong
    assert sum(c.find("failure") is not None for c in cells) == 1

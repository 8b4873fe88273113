"""What lies in the repository: sizes, notebooks with their results, no traces of one machine."""

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted(
    path for path in (ROOT / "notebooks").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts
)
MEBIBYTE = 2**20
CHECKED = "nbval-check-output"


def committed() -> list[Path]:
    """Return what git holds; without git (a ZIP download) there is nothing to check."""
    try:
        done = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_is_large() -> None:
    large = [path for path in committed() if path.stat().st_size > 3 * MEBIBYTE]
    assert large == []


def test_the_samples_stay_within_six_mebibytes() -> None:
    samples = [path for path in committed() if path.is_relative_to(ROOT / "data" / "samples")]
    assert 0 < sum(path.stat().st_size for path in samples) <= 6 * MEBIBYTE


def test_no_path_of_one_machine() -> None:
    home = re.compile(rb"(/home/|/Users/|/root/|[Cc]:\\+Users\\+)\w")
    text = (".py", ".md", ".toml", ".yml", ".yaml", ".json", ".ipynb", ".txt", ".js", ".css")
    found = [
        path
        for path in committed()
        if path.suffix in text and path != Path(__file__) and home.search(path.read_bytes())
    ]
    assert found == []


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_holds_its_results_and_nothing_else(path: Path) -> None:
    """Nbval compares tagged cells only, and an untagged or stripped one passes in silence."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert "widgets" not in notebook["metadata"], "saved widget state: half a megabyte of noise"
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    tags = [set(cell["metadata"].get("tags", ())) for cell in cells]
    assert any(CHECKED in own for own in tags), f"no cell is tagged {CHECKED}"
    for number, (cell, own) in enumerate(zip(cells, tags, strict=True), start=1):
        where = f"code cell {number}"
        if CHECKED in own:
            assert "keep_output" in own, f"{where}: nbstripout would empty it"
            assert cell["outputs"], f"{where}: nothing to compare with; run the notebook, save it"
            assert cell["execution_count"], f"{where}: not run"
        elif "keep_output" not in own:
            assert not cell["outputs"], f"{where}: run nbstripout --keep-count on the notebook"
        for output in cell["outputs"]:
            assert output.get("output_type") != "error", f"{where}: saved with an error"
            assert output.get("name") != "stderr", f"{where}: saved with a message on stderr"

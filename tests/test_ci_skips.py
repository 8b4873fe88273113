"""A skip must not pass for a pass in CI."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).resolve().parents[1] / "conftest.py"
PASSES = "def test_that_passes(): pass\n"
SKIPS = "import pytest\ndef test_that_skips(): pytest.skip('no tool')\n"
MODULE = "import pytest\npytest.importorskip('lliso_no_such_package')\n"
EXPECTED = "import pytest\n@pytest.mark.xfail\ndef test_that_is_known_to_fail(): assert False\n"


def run(folder: Path, text: str, ci: str = "1") -> tuple[int, str]:
    (folder / "conftest.py").write_bytes(CONFTEST.read_bytes())
    (folder / "test_one.py").write_text(PASSES)
    (folder / "test_two.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", folder],
        cwd=folder,
        env={**os.environ, "LLISO_CI": ci, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [(SKIPS, "test_that_skips: no tool"), (MODULE, "could not import 'lliso_no_such_package'")],
)
def test_a_skip_fails_the_run(tmp_path: Path, text: str, said: str) -> None:
    code, shown = run(tmp_path, text)
    assert code == 1, shown
    assert "skipped, which is a failure in CI" in shown
    assert said in shown


@pytest.mark.parametrize(("text", "ci"), [(SKIPS, ""), (PASSES, "1"), (EXPECTED, "1")])
def test_what_does_not(tmp_path: Path, text: str, ci: str) -> None:
    code, shown = run(tmp_path, text, ci)
    assert code == 0, shown

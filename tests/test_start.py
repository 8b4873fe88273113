"""start.py: what it says where it cannot work, and that it sets up once and only once."""

import importlib.util
import subprocess
import sys
from pathlib import Path, PurePosixPath
from types import ModuleType

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "start.py"
ALL = {"lab", "test"}


class Calls(list[list[str]]):
    """Stands in for the commands that start.py runs, and answers as they would."""

    fails: str = ""

    def __call__(self, *command: object) -> int:
        self.append([str(part) for part in command])
        if "venv" in self[-1]:
            python = Path(str(command[-1])) / "bin" / "python"
            python.parent.mkdir(parents=True, exist_ok=True)
            python.write_text("")
        return int(bool(self.fails) and self.fails in self[-1])

    def installs(self) -> list[str]:
        return [command[-1] for command in self if "install" in command]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return start.py as it would be in a checkout whose path holds a space."""
    root = tmp_path / "a place" / "lliso"
    (root / "constraints").mkdir(parents=True)
    (root / "constraints" / "lab-test.txt").write_text("numpy==2.4.6\n")
    (root / "pyproject.toml").write_text("[project]\n")
    (root / "start.py").write_bytes(SOURCE.read_bytes())
    spec = importlib.util.spec_from_file_location("lliso_start", root / "start.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PYTHON", module.VENV / "bin" / "python")
    monkeypatch.setattr(module, "call", Calls())
    return module


def test_it_stays_short_and_needs_the_standard_library_only() -> None:
    text = SOURCE.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 100
    imported = {
        line.split()[1].partition(".")[0] for line in text.splitlines() if "import " in line[:7]
    }
    assert imported <= sys.stdlib_module_names


def test_set_up_happens_once(start: ModuleType) -> None:
    start.set_up(ALL)
    assert start.call.installs() == [f"{start.ROOT}[lab,test]"]
    start.set_up(ALL)
    start.set_up({"lab"})
    assert len(start.call.installs()) == 1


def test_a_further_extra_is_added_to_the_others(start: ModuleType) -> None:
    start.set_up(ALL)
    start.set_up({"browser"})
    assert start.call.installs()[1:] == [f"{start.ROOT}[browser,lab,test]"]
    assert sum("venv" in command for command in start.call) == 1


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints/lab-test.txt"])
def test_changed_requirements_are_installed(start: ModuleType, name: str) -> None:
    start.set_up(ALL)
    (start.ROOT / name).write_text("changed")
    start.set_up(ALL)
    assert len(start.call.installs()) == 2
    assert sum("venv" in command for command in start.call) == 1


@pytest.mark.parametrize("step", ["venv", "install"])
def test_a_failed_set_up_is_made_good_by_the_next(start: ModuleType, step: str) -> None:
    start.call.fails = step
    with pytest.raises(SystemExit, match=r"could not be made|same command tries again"):
        start.set_up(ALL)
    half_done = start.VENV / "lib" / "half"
    half_done.parent.mkdir(exist_ok=True)
    half_done.write_text("")
    start.call.fails = ""
    start.set_up(ALL)
    assert not half_done.exists()
    assert start.call.installs()[-1] == f"{start.ROOT}[lab,test]"
    assert sum("venv" in command for command in start.call) == 2


def test_a_folder_that_was_moved_is_set_up_again(start: ModuleType) -> None:
    start.set_up(ALL)
    _, *rest = start.STAMP.read_text().splitlines()
    start.STAMP.write_text("\n".join(["/elsewhere", *rest]))
    start.set_up(ALL)
    assert sum("venv" in command for command in start.call) == 2


def test_a_python_that_no_longer_runs_is_replaced(start: ModuleType) -> None:
    start.set_up(ALL)
    start.PYTHON.unlink()
    start.set_up(ALL)
    assert sum("venv" in command for command in start.call) == 2


def test_an_environment_of_someone_else_is_left_alone(start: ModuleType) -> None:
    start.VENV.mkdir()
    (start.VENV / "theirs").write_text("")
    with pytest.raises(SystemExit, match=r"was not made by start\.py; move it away"):
        start.set_up(ALL)
    assert (start.VENV / "theirs").exists()
    assert start.call == []


def test_debian_without_venv(start: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(SystemExit, match="sudo apt install python3-venv"):
        start.set_up(ALL)


def test_an_old_python(start: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start.sys, "version_info", (3, 10, 4))
    monkeypatch.setattr(start.sys, "version", "3.10.4 (main)")
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer, got 3\.10\.4"):
        start.set_up(ALL)


@pytest.mark.parametrize(("length", "refused"), [(102, False), (103, True)])
def test_a_path_too_long_for_windows(
    start: ModuleType, monkeypatch: pytest.MonkeyPatch, length: int, refused: bool
) -> None:
    class Folder(PurePosixPath):  # 259 = length of .venv + 1 + 155 at most
        exists = is_file = lambda _: False

    monkeypatch.setattr(start, "os", type("os", (), {"name": "nt"}))
    monkeypatch.setattr(start, "VENV", Folder("x" * (length + 1)))
    if refused:
        with pytest.raises(SystemExit, match="Windows needs a shorter path"):
            start.refuse_what_cannot_work()
    else:
        start.refuse_what_cannot_work()


def test_what_is_passed_on_to_children(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("lliso_start", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module.signal, "signal", lambda *_: None)
    monkeypatch.setenv("PYTHONPATH", "harmful")
    monkeypatch.setenv("KEPT", "kept")
    code = "import os; print(os.getcwd(), os.environ.get('PYTHONPATH'), os.environ['KEPT'])"
    assert module.call(sys.executable, "-c", code) == 0
    assert capfd.readouterr().out.strip() == f"{SOURCE.parent} None kept"
    assert module.call(sys.executable, "-c", "raise SystemExit(7)") == 7


def test_a_word_it_does_not_know_shows_the_three_it_knows() -> None:
    done = subprocess.run(
        [sys.executable, SOURCE, "tset"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "start.py test    passes all tests" in done.stderr

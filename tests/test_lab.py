"""A person's copy of the notebooks is theirs: nothing they changed is ever overwritten."""

import json
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import lliso.lab as lab

NOTEBOOK = "notebooks/first.ipynb"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return what a wheel would carry."""
    root = tmp_path / "share"
    for name, text in {NOTEBOOK: "one", "data/samples/map.nc": "counts"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "a person's own" / "lliso-lab"


def test_the_first_call_lays_everything_out(source: Path, folder: Path) -> None:
    done = lab.lay_out(folder, source)
    assert set(done.added) == {NOTEBOOK, "data/samples/map.nc"}
    assert (folder / NOTEBOOK).read_text() == "one"
    assert str(done) == "2 files added"


def test_a_second_call_changes_nothing(source: Path, folder: Path) -> None:
    lab.lay_out(folder, source)
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.name != lab.MANIFEST}
    done = lab.lay_out(folder, source)
    assert (done.added, done.updated, done.kept) == ((), (), {})
    assert before == {p: p.stat().st_mtime_ns for p in before}


def test_an_untouched_file_is_updated(source: Path, folder: Path) -> None:
    lab.lay_out(folder, source)
    (source / NOTEBOOK).write_text("two")
    assert lab.lay_out(folder, source).updated == (NOTEBOOK,)
    assert (folder / NOTEBOOK).read_text() == "two"


def test_a_changed_file_is_kept_in_silence_while_ours_is_the_same(
    source: Path, folder: Path
) -> None:
    lab.lay_out(folder, source)
    (folder / NOTEBOOK).write_text("my work")
    done = lab.lay_out(folder, source)
    assert (folder / NOTEBOOK).read_text() == "my work"
    assert str(done) == ""


def test_a_changed_file_is_kept_and_the_new_one_laid_beside_once(
    source: Path, folder: Path
) -> None:
    lab.lay_out(folder, source)
    (folder / NOTEBOOK).write_text("my work")
    (source / NOTEBOOK).write_text("two")
    done = lab.lay_out(folder, source)
    assert done.kept == {NOTEBOOK: "notebooks/first.new.ipynb"}
    assert "notebooks/first.ipynb: yours kept, the new one is notebooks/first.new.ipynb" in str(
        done
    )
    assert (folder / NOTEBOOK).read_text() == "my work"
    assert (folder / "notebooks/first.new.ipynb").read_text() == "two"
    assert lab.lay_out(folder, source).kept == {}


def test_work_in_the_file_laid_beside_is_kept_too(source: Path, folder: Path) -> None:
    lab.lay_out(folder, source)
    (folder / NOTEBOOK).write_text("my work")
    (source / NOTEBOOK).write_text("two")
    lab.lay_out(folder, source)
    (folder / "notebooks/first.new.ipynb").write_text("more work")
    (source / NOTEBOOK).write_text("three")
    assert lab.lay_out(folder, source).kept == {NOTEBOOK: "notebooks/first.new2.ipynb"}
    assert (folder / "notebooks/first.new.ipynb").read_text() == "more work"


@pytest.mark.parametrize("manifest", [None, "not json", "[1]"])
def test_without_a_readable_list_every_differing_file_is_kept(
    source: Path, folder: Path, manifest: str | None
) -> None:
    (folder / "notebooks").mkdir(parents=True)
    (folder / NOTEBOOK).write_text("there before")
    if manifest is not None:
        (folder / lab.MANIFEST).write_text(manifest)
    assert list(lab.lay_out(folder, source).kept) == [NOTEBOOK]
    assert (folder / NOTEBOOK).read_text() == "there before"


def test_the_python_in_use_is_nobodys_change(source: Path, folder: Path) -> None:
    """JupyterLab calls a notebook unsaved once it is opened if another Python stands there."""

    def made_with(version: str, text: str) -> str:
        info = {"codemirror_mode": {"version": 3}, "version": version}
        return json.dumps({"cells": [text], "metadata": {"language_info": info}})

    (source / NOTEBOOK).write_text(made_with("3.11.7", 'print("version": "3.1")'))
    lab.lay_out(folder, source)
    now = platform.python_version()
    assert (folder / NOTEBOOK).read_text() == made_with(now, 'print("version": "3.1")')
    (folder / NOTEBOOK).write_text(made_with("3.99.0", "two"))  # saved under another Python
    (source / NOTEBOOK).write_text(made_with("3.98.0", 'print("version": "3.1")'))
    assert lab.lay_out(folder, source).kept == {}
    (folder / NOTEBOOK).write_text(made_with("3.99.0", 'print("version": "3.1")'))
    (source / NOTEBOOK).write_text(made_with("3.98.0", "three"))
    assert lab.lay_out(folder, source).updated == (NOTEBOOK,)


def test_a_deleted_file_comes_back(source: Path, folder: Path) -> None:
    lab.lay_out(folder, source)
    (folder / NOTEBOOK).unlink()
    assert lab.lay_out(folder, source).added == (NOTEBOOK,)


def test_left_overs_of_jupyter_and_of_runs_are_not_handed_on(source: Path, folder: Path) -> None:
    for name in (".ipynb_checkpoints", "results"):
        (source / "notebooks" / name).mkdir()
        (source / "notebooks" / name / "x.ipynb").write_text("")
    lab.lay_out(folder, source)
    assert {p.name for p in (folder / "notebooks").iterdir()} == {"first.ipynb"}


def test_a_file_in_place_of_the_folder(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="the folder for the notebooks must be a folder, got the"):
        lab.lay_out(tmp_path / "file", source)


def test_nothing_to_hand_on(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"the notebooks must lie below .*; install lliso"):
        lab.lay_out(tmp_path / "lab", tmp_path)


def test_the_checkout_shares_its_notebooks_and_samples() -> None:
    if lab.checkout() is None:
        pytest.skip("not a checkout")
    names = set(lab.shared_files())
    assert {lab.FIRST_NOTEBOOK, "data/samples/simulated_llto_59h.nc"} <= names


def test_the_command_opens_the_first_notebook_where_it_is(tmp_path: Path) -> None:
    assert "--LabApp.default_url=/lab" in lab.lab_command(tmp_path)
    (tmp_path / "notebooks").mkdir()
    assert "--LabApp.default_url=/lab/tree/notebooks" in lab.lab_command(tmp_path)
    (tmp_path / lab.FIRST_NOTEBOOK).write_text("{}")
    command = lab.lab_command(tmp_path)
    assert f"--LabApp.default_url=/lab/tree/{lab.FIRST_NOTEBOOK}" in command
    assert f"--ServerApp.root_dir={tmp_path}" in command
    assert "--no-browser" not in command
    name = Path(lab.FIRST_NOTEBOOK).name
    command = lab.lab_command(tmp_path / "notebooks")
    assert f"--LabApp.default_url=/lab/tree/{name}" in command


@pytest.fixture
def opened(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return what calls `open_lab` in an empty folder and says which folder JupyterLab shows."""

    class Process:
        def __init__(self, command: list[str], **_options: object) -> None:
            seen.append(command)

        def wait(self) -> int:
            return 0

    def call(*folder: str) -> Path:
        assert lab.open_lab(*folder) == 0
        (root,) = [a for a in seen[-1] if a.startswith("--ServerApp.root_dir=")]
        return Path(root.partition("=")[2])

    seen: list[list[str]] = []
    files = {name: source / name for name in (NOTEBOOK, "data/samples/map.nc")}
    monkeypatch.setattr(lab, "shared_files", lambda _: files)
    monkeypatch.setattr(lab.subprocess, "Popen", Process)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return call


def test_a_person_works_on_a_copy_also_in_a_checkout(
    opened: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab, "checkout", Path.cwd)
    root = opened()
    assert root == Path.cwd() / lab.FOLDER
    (root / NOTEBOOK).write_text("my clicks")
    assert opened() == root
    monkeypatch.chdir(root)
    assert opened() == root  # not a copy inside the copy
    assert (root / NOTEBOOK).read_text() == "my clicks"


def test_a_folder_that_is_named_is_opened_as_it_is(opened: Callable[..., Path]) -> None:
    Path("work").mkdir()
    Path("work/my.ipynb").write_text("{}")
    assert opened("work") == Path.cwd() / "work"
    assert [p.name for p in Path("work").iterdir()] == ["my.ipynb"]


def test_a_new_or_empty_folder_gets_the_copy(opened: Callable[..., Path]) -> None:
    Path("empty").mkdir()
    for name in ("new", "empty"):
        assert (opened(name) / NOTEBOOK).is_file()


def test_without_jupyterlab_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(
        ModuleNotFoundError, match=r'needs jupyterlab and anywidget.*pip install "lliso\[lab\]"'
    ):
        lab.open_lab()


def test_open_lab_starts_jupyterlab_with_our_defaults(
    tmp_path: Path,
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen = {}

    class Process:
        def __init__(self, command: list[str], env: dict[str, str]) -> None:
            seen.update(command=command, env=env)

        def wait(self) -> int:
            return 3

    monkeypatch.setattr(lab, "shared_files", lambda _: {NOTEBOOK: source / NOTEBOOK})
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(lab.subprocess, "Popen", Process)
        assert lab.open_lab("mine", browser=False, arguments=["--port=1"]) == 3
    assert seen["command"][1:3] == ["-m", "jupyterlab"]
    assert seen["command"][-2:] == ["--no-browser", "--port=1"]
    assert (tmp_path / "mine" / NOTEBOOK).is_file()
    assert str(tmp_path / "mine") in capsys.readouterr().out

    # JupyterLab itself, in a fresh interpreter, must take these defaults from the folder we name.
    code = (
        "import json; from jupyterlab_server.settings_utils import _get_overrides as o;"
        "print(json.dumps(o('nowhere')[0]))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=seen["env"],
        capture_output=True,
        text=True,
        check=True,
    )
    defaults = json.loads(done.stdout)
    assert defaults["@jupyter-widgets/jupyterlab-manager:plugin"]["saveState"] is False
    assert defaults["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"

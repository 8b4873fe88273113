"""Open JupyterLab on a person's own copy of the notebooks; the originals stay as they came."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lliso.__about__ import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: What a person gets: folder in the checkout and in their copy alike (a notebook finds its samples
#: at ../data/samples in both). The ledger of the paper's numbers is read by a notebook and a test.
SHARED = ("notebooks", "data/samples", "tests/published.toml")

#: The folder that `open_lab` makes where the person is.
FOLDER = "lliso-lab"

MANIFEST = ".lliso-manifest.json"
FIRST_NOTEBOOK = "notebooks/start_here.ipynb"

_PACKAGE = Path(__file__).resolve().parent
# JupyterLab writes the Python in use into a notebook as soon as it is opened, and calls it unsaved
# if another one stood there: a copy gets the right one at once, and neither is a person's change.
_PYTHON_IN_NOTEBOOK = re.compile(rb'("version": )"3\.[^"\\]*"')
_LEFT_OUT = {".ipynb_checkpoints", "__pycache__", "results"}


@dataclass(frozen=True)
class LaidOut:
    """What `lay_out` did, as paths below the folder.

    Attributes
    ----------
    added, updated : tuple of str
        Files that were not there, and files that the person had left as they were.
    kept : dict of str to str
        Files the person had changed, each with the name under which the new version lies beside it.
    """

    added: tuple[str, ...]
    updated: tuple[str, ...]
    kept: Mapping[str, str]

    def __str__(self) -> str:
        """Return one line for each thing that a person may want to know."""
        lines = []
        if self.added:
            lines.append(f"{len(self.added)} files added")
        if self.updated:
            lines.append(f"{len(self.updated)} files updated to lliso {__version__}")
        lines += [f"{name}: yours kept, the new one is {new}" for name, new in self.kept.items()]
        return "\n".join(lines)


def checkout() -> Path | None:
    """Return the root of the checkout that lliso is imported from, or None if it is installed.

    Examples
    --------
    >>> root = checkout()
    >>> root is None or (root / "pyproject.toml").is_file()
    True
    """
    root = _PACKAGE.parent
    return root if (root / "pyproject.toml").is_file() and (root / "notebooks").is_dir() else None


def shared_files(source: str | os.PathLike[str] | None = None) -> dict[str, Path]:
    """Return the notebooks, samples and ledger that lliso brings, by their path below a lab folder.

    Parameters
    ----------
    source : path, optional
        The folder that holds ``notebooks`` and ``data/samples``; by default the checkout, or what
        the wheel carries.

    Returns
    -------
    dict of str to Path
        ``{"notebooks/….ipynb": …}``, sorted.

    Raises
    ------
    FileNotFoundError
        If there are none.
    """
    root = Path(source) if source is not None else (checkout() or _PACKAGE / "_share")
    found = {p.relative_to(root).as_posix(): p for part in SHARED for p in _files(root / part)}
    if not found:
        raise FileNotFoundError(
            f"the notebooks must lie below {root}, got none there; install lliso again"
        )
    return dict(sorted(found.items()))


def lay_out(
    folder: str | os.PathLike[str], source: str | os.PathLike[str] | None = None
) -> LaidOut:
    """Put a writable copy of the notebooks and samples into a folder; change nobody's work.

    A file that is as an earlier call left it is brought up to date, one that is gone comes back. A
    file that the person changed stays, and if lliso's own version changed too, that one is laid
    beside it as ``*.new.*``.

    Parameters
    ----------
    folder : path
        Where to; made if it is not there.
    source : path, optional
        As in `shared_files`.

    Returns
    -------
    LaidOut
        What was added, updated and kept.

    Raises
    ------
    ValueError
        If `folder` is a file.

    Examples
    --------
    >>> import tempfile
    >>> source, lab = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
    >>> (source / "notebooks").mkdir()
    >>> _ = (source / "notebooks" / "first.ipynb").write_text("{}")
    >>> print(lay_out(lab, source))
    1 files added
    >>> print(lay_out(lab, source))
    <BLANKLINE>
    """
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise ValueError(f"the folder for the notebooks must be a folder, got the file {target}")
    files = shared_files(source)
    target.mkdir(parents=True, exist_ok=True)
    before = _read_manifest(target)
    after = dict(before)
    added, updated, kept = [], [], {}
    for name, origin in files.items():
        content = _with_python(name, origin.read_bytes(), platform.python_version())
        ours, there = _hash(name, content), target / name
        theirs = _hash(name, there.read_bytes()) if there.exists() else None
        if theirs is None:
            _write(there, content)
            added.append(name)
        elif theirs == before.get(name) != ours:
            _write(there, content)
            updated.append(name)
        elif theirs != ours != before.get(name):
            kept[name] = _lay_beside(there, content).relative_to(target).as_posix()
        after[name] = ours
    _write(target / MANIFEST, (json.dumps(after, indent=1, sort_keys=True) + "\n").encode())
    return LaidOut(tuple(added), tuple(updated), kept)


def lab_command(root: Path, *, browser: bool = True, arguments: Sequence[str] = ()) -> list[str]:
    """Return the command that opens JupyterLab on the first notebook below `root`.

    Examples
    --------
    >>> lab_command(Path("here"), browser=False, arguments=["--port=9999"])[-2:]
    ['--no-browser', '--port=9999']
    """
    pages = (FIRST_NOTEBOOK, Path(FIRST_NOTEBOOK).name, "notebooks")
    page = next((f"/lab/tree/{page}" for page in pages if (root / page).exists()), "/lab")
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={root.resolve()}"]
    command.append(f"--LabApp.default_url={page}")
    if getattr(os, "geteuid", lambda: 1)() == 0:
        command.append("--allow-root")  # containers; Jupyter listens on this machine alone
    if not browser:
        command.append("--no-browser")
    return [*command, *arguments]


def open_lab(
    folder: str | os.PathLike[str] | None = None,
    browser: bool = True,
    *,
    arguments: Sequence[str] = (),
) -> int:
    """Open JupyterLab on the notebooks and wait until it is closed.

    A writable copy of notebooks and samples is first put into ``lliso-lab`` where the person is
    (see `lay_out`), from a wheel and from a checkout alike: clicks and saved results then change
    no original.

    Parameters
    ----------
    folder : path, optional
        Open this folder instead, as it is; a new or empty one, or one that was laid out before,
        gets the copy. The originals of a checkout: ``notebooks``.
    browser : bool
        Open a browser window; without it the address is printed by JupyterLab.
    arguments : sequence of str
        Further arguments for JupyterLab.

    Returns
    -------
    int
        JupyterLab's exit code.

    Raises
    ------
    ModuleNotFoundError
        If JupyterLab or anywidget is not installed.
    ValueError
        If `folder` is a file.
    """
    missing = [name for name in ("jupyterlab", "anywidget") if not importlib.util.find_spec(name)]
    if missing:
        raise ModuleNotFoundError(
            f"lliso lab needs {' and '.join(missing)}, got none in {sys.prefix}; "
            'pip install "lliso[lab]"'
        )
    root = _default_folder() if folder is None else Path(folder)
    if folder is None or _takes_a_copy(root):
        done = str(lay_out(root))
        print(*filter(None, [f"Notebooks and samples are in {root.resolve()}", done]), sep="\n")
    environment = dict(os.environ)
    # JupyterLab reads our defaults (no widget state in saved notebooks, no questions at the first
    # start) from labconfig/ in each folder named here; a person's own settings still win.
    paths = [str(_PACKAGE), environment.get("JUPYTER_CONFIG_PATH", "")]
    environment["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, paths))
    process = subprocess.Popen(
        lab_command(root, browser=browser, arguments=arguments), env=environment
    )
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # JupyterLab received it too and asks whether it is meant
            continue


def _default_folder() -> Path:
    """Return ``lliso-lab`` here, or this folder where the person already is in one."""
    return Path() if Path(MANIFEST).is_file() else Path(FOLDER)


def _takes_a_copy(folder: Path) -> bool:
    """Tell a folder that is new, or laid out before, from one with work of another kind."""
    if not folder.is_dir():
        return True  # `lay_out` makes it, or says that it is a file
    return (folder / MANIFEST).is_file() or not any(folder.iterdir())


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_file():
        yield folder
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not _LEFT_OUT & set(path.relative_to(folder).parts):
            yield path


def _with_python(name: str, content: bytes, version: str) -> bytes:
    if not name.endswith(".ipynb"):
        return content
    return _PYTHON_IN_NOTEBOOK.sub(rb'\1"%s"' % version.encode(), content)


def _hash(name: str, content: bytes) -> str:
    return hashlib.sha256(_with_python(name, content, "any")).hexdigest()


def _read_manifest(folder: Path) -> dict[str, str]:
    """Return what was put there; nothing if the list is lost or broken, so that all is kept."""
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def _write(path: Path, content: bytes) -> None:
    """Write aside, then put in place: an interruption leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    aside.write_bytes(content)
    aside.replace(path)


def _lay_beside(path: Path, content: bytes) -> Path:
    """Write `content` as path.new.suffix, or under the next free name, and return that name."""
    number = 1
    while True:
        mark = "new" if number == 1 else f"new{number}"
        beside = path.with_name(f"{path.stem}.{mark}{path.suffix}")
        if not beside.exists() or beside.read_bytes() == content:
            _write(beside, content)
            return beside
        number += 1

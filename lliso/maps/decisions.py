"""Small text files that hold what a person decided: read in words, written aside first."""

from __future__ import annotations

import os
from pathlib import Path

from lliso.errors import FormatError


def read_decisions(path: str | os.PathLike[str], what: str, cure: str, *, file: str = "") -> str:
    """Return the text of a file that a person's work is in.

    Parameters
    ----------
    path : str or os.PathLike
    what : str
        What a message calls it, such as "picks".
    cure : str
        What to do where there is no such file.
    file : str
        What a message calls the file; default: "file of" `what`.

    Raises
    ------
    FileNotFoundError
        If there is none.
    FormatError
        If it is not UTF-8 text.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileNotFoundError(
            f"there is no {file or f'file of {what}'} {os.fspath(path)!r}; {cure}"
        ) from None
    except UnicodeDecodeError as err:
        raise FormatError(path, err.start, f"{what} must be UTF-8 text") from None


def write_decisions(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file: aside, then in place, so that it is never half written."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with open(aside, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)


def content_of(path: str | os.PathLike[str] | None) -> bytes | None:
    """Return what is in a file, to tell later whether somebody else wrote it; None: no file."""
    try:
        return None if path is None else Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def free_name(path: str | os.PathLike[str]) -> Path:
    """Return the first of ``name.2.json``, ``name.3.json`` and so on that is not there yet.

    Examples
    --------
    >>> free_name("folder/sample.picks.json").as_posix()
    'folder/sample.picks.2.json'
    """
    target, n = Path(path), 2
    while (named := target.with_name(f"{target.stem}.{n}{target.suffix}")).exists():
        n += 1
    return named

"""The errors and the warning that are lliso's own.

Everything else that goes wrong is a plain `ValueError` (bad value or content), `TypeError` (wrong
kind of thing) or `FileNotFoundError`. Messages follow one pattern: what is wrong, what was found,
what to do.
"""

from __future__ import annotations

import os


class FormatError(ValueError):
    """A file is damaged, incomplete or not of the format it was taken for.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    offset : int or None
        Byte (binary formats) or line number (text formats) at which reading failed; None if the
        whole file is meant.
    reason : str
        What was found, what was expected and what to do.

    Examples
    --------
    >>> str(FormatError("map.bif6", 12, "file ends early"))
    'map.bif6: at 12: file ends early'
    """

    def __init__(self, path: str | os.PathLike[str], offset: int | None, reason: str) -> None:
        self.path = os.fspath(path)
        self.offset = offset
        self.reason = reason
        where = "" if offset is None else f"at {offset}: "
        super().__init__(f"{self.path}: {where}{reason}")

    def __reduce__(self) -> tuple[type[FormatError], tuple[str, int | None, str]]:
        return (type(self), (self.path, self.offset, self.reason))


class PicksMismatch(ValueError):  # noqa: N818 - the name says what happened, as in the design
    """Picks were made on another map than the one they are used with."""


class LlisoWarning(UserWarning):
    """An answer exists, but there is a reason not to trust it blindly."""

"""Numbers in text files: encoding, separator, decimal comma, header lines, and one table.

Which character separates the cells is found from the whole file, never line by line, and what could
be read in two ways is refused: a wrong guess would be a different number and not an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lliso.errors import FormatError

if TYPE_CHECKING:
    from lliso._types import FloatArray

_NUMBER = re.compile(r"[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_COMMENT = ("#", "%", "//", "!")
#: text lines before the numbers; more is not a header but another kind of file
_MAX_HEADER_LINES = 200


@dataclass(frozen=True)
class TextTable:
    """A table of numbers and the lines of text above it.

    Parameters
    ----------
    header : tuple of (int, str)
        Number and text of every line that is a comment or holds no numbers.
    names : tuple of str
        Cells of the last text line above the numbers, if it has as many cells as the table has
        columns (or one less, where rows begin with a coordinate); else empty.
    corner : str or None
        Where the first row begins with an empty or text cell and goes on with numbers: that cell.
    top : array or None
        The numbers of that first row.
    values : array, shape (rows, columns)
    lines : tuple of int
        Number of the line of each row.
    ends_open : bool
        True if the last line does not end with a line break.
    """

    header: tuple[tuple[int, str], ...]
    names: tuple[str, ...]
    corner: str | None
    top: FloatArray | None
    values: FloatArray
    lines: tuple[int, ...]
    ends_open: bool


def decode(path: Path, data: bytes) -> str:
    """Return the text of a file in UTF-8, UTF-16 with its mark, or Latin-1."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            text = data.decode("utf-16")
        except UnicodeDecodeError as err:
            raise FormatError(path, err.start, "the file is cut off or damaged (UTF-16)") from err
    else:
        nul = data.find(b"\0")
        if nul >= 0:
            raise FormatError(
                path, nul, "a text file must not hold zero bytes; it is damaged or no text"
            )
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")  # "µm" as older programs write it
    if not text.strip():
        raise FormatError(path, 1, "the file is empty; export it again")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def is_number(cell: str) -> bool:
    """Return True for a number as people write it, with point or comma.

    Examples
    --------
    >>> [is_number(c) for c in ("12", "1,5", "-3.2e4", "x", "1_0", "")]
    [True, True, True, False, False, False]
    """
    return _NUMBER.fullmatch(cell) is not None


def read_table(path: Path, text: str) -> TextTable:
    """Find the table of numbers in a text.

    Raises
    ------
    FormatError
        With the line, if rows differ in length, a cell is no number, or the text can be read in
        two ways.
    """
    lines = [(n, s) for n, s in enumerate(text.split("\n"), start=1) if s.strip()]
    header = [(n, s) for n, s in lines if s.lstrip().startswith(_COMMENT)]
    body = [(n, s) for n, s in lines if not s.lstrip().startswith(_COMMENT)]
    separator, comma = _separator(path, body)
    cells = [(n, _split(s, separator)) for n, s in body]
    start = next((i for i, (_, c) in enumerate(cells) if _is_row(c)), None)
    if start is None or start > _MAX_HEADER_LINES:
        raise FormatError(path, None, "the file must hold rows of numbers, found only text")
    named = [c for _, c in cells[:start]][-1:]
    header = sorted(header + body[:start])
    rows = cells[start:]
    corner, top, rows = _top_row(path, rows, comma)
    values = _numbers(path, rows, comma)
    names: tuple[str, ...] = ()
    if named and len(named[0]) in (values.shape[1], values.shape[1] - 1):
        names = tuple(cell.strip("\"' ") for cell in named[0])
    return TextTable(
        header=tuple(header),
        names=names,
        corner=corner,
        top=top,
        values=values,
        lines=tuple(n for n, _ in rows),
        ends_open=not text.endswith("\n"),
    )


def _is_row(cells: list[str]) -> bool:
    """Return True if all cells are numbers, or all but the first."""
    numbers = [is_number(c) or _NOT_FINITE.fullmatch(c) is not None for c in cells]
    return all(numbers) or (len(cells) > 2 and all(numbers[1:]))


def _split(line: str, separator: str | None) -> list[str]:
    if separator is None:
        return line.split()
    # An empty first cell is a corner, an empty last one a separator at the end of every line.
    cells = [c.strip() for c in line.split(separator)]
    return cells[:-1] if len(cells) > 1 and not cells[-1] else cells


def _separator(path: Path, body: list[tuple[int, str]]) -> tuple[str | None, bool]:
    """Return what separates cells (None: blanks), and whether the comma is the decimal mark."""
    texts = [s.strip(" ") for _, s in body]
    numeric = [s for s in texts if re.search(r"\d", s) and not re.search(r"[A-Za-z]{3}", s)]
    numeric = numeric or texts
    strong = [mark for mark in (";", "\t") if any(mark in s for s in numeric)]
    if len(strong) > 1:
        raise FormatError(
            path,
            None,
            "cells must be separated in one way, found tabs and semicolons; export again",
        )
    commas = [(n, s) for n, s in body if "," in s and s.strip(" ") in set(numeric)]
    if strong:
        if commas:
            _check_decimal_commas(path, commas, strong[0])
        return strong[0], bool(commas)
    if not commas:
        return None, False
    spaced = sum(len(re.findall(r",[ ]", s)) for _, s in commas)
    tight = sum(len(re.findall(r",(?=[^ ])", s)) for _, s in commas)
    blanks = any(re.search(r"[^, ] +[^, ]", s) for s in numeric)
    if blanks and spaced:
        raise FormatError(
            path,
            commas[0][0],
            "cells must be separated in one way, found blanks and commas; export with semicolons "
            "or tabs",
        )
    if blanks and tight:
        _check_decimal_commas(path, commas, None)
        return None, True
    if any("." in s for s in numeric) or not _could_be_decimal(commas):
        return ",", False
    raise FormatError(
        path,
        commas[0][0],
        f"{commas[0][1].strip()[:40]!r} could be two numbers or one with a decimal comma; export "
        "with semicolons or tabs between the cells",
    )


def _could_be_decimal(commas: list[tuple[int, str]]) -> bool:
    """Return True if every line is a single number with one comma, as in one column of numbers."""
    return len(commas) > 1 and all(
        re.fullmatch(r"[+-]?\d+,\d+", s.strip()) is not None for _, s in commas
    )


def _check_decimal_commas(path: Path, commas: list[tuple[int, str]], separator: str | None) -> None:
    """Refuse thousands separators: '1,234' is 1.234 to one person and 1234 to another."""
    found = [(n, c) for n, s in commas for c in _split(s, separator) if "," in c and is_number(c)]
    several = [(n, c) for n, s in commas for c in _split(s, separator) if c.count(",") > 1]
    three = all(re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", c) for _, c in found)
    if several or (found and three):
        n, cell = (several or found)[0]
        raise FormatError(
            path, n, f"{cell!r} could have a decimal comma or thousands; export without thousands"
        )


def _top_row(
    path: Path, rows: list[tuple[int, list[str]]], comma: bool
) -> tuple[str | None, FloatArray | None, list[tuple[int, list[str]]]]:
    """Take off a first row of coordinates: one with a text or empty corner, or one cell short."""
    first = rows[0][1]
    short = len(rows) > 1 and len(first) == len(rows[1][1]) - 1 and all(map(is_number, first))
    if is_number(first[0]) and not short:
        return None, None, rows
    cells = first if short else first[1:]
    top = _numbers(path, [(rows[0][0], cells)], comma)[0]
    if len(rows) < 2:
        raise FormatError(path, rows[0][0], "a row of coordinates must be followed by rows")
    return ("" if short else first[0]), top, rows[1:]


def _numbers(path: Path, rows: list[tuple[int, list[str]]], comma: bool) -> FloatArray:
    width = len(rows[0][1])
    for n, cells in rows:
        bad = next((c for c in cells if not is_number(c) or ("," in c and not comma)), None)
        if bad is None and len(cells) == width:
            continue
        if bad is not None:
            raise FormatError(
                path,
                n,
                f"every cell must be a finite number, got {bad[:30]!r}; mark unknown pixels by 0 "
                "in every species, and remove text below the numbers",
            )
        raise FormatError(
            path,
            n,
            f"every row must have {width} numbers, got {len(cells)}: the file is cut off or "
            "damaged; copy or export it again",
        )
    text = [[c.replace(",", ".") for c in cells] if comma else cells for _, cells in rows]
    values = np.array(text, dtype=np.float64)
    if not np.isfinite(values).all():
        raise FormatError(path, None, "a number is too large; the file is damaged")
    return values

"""One image ASCII file of IONTOF SurfaceLab: from its text to counts of one ion."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lliso.errors import FormatError

if TYPE_CHECKING:
    from lliso._types import FloatArray

_LENGTH = r"([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*(µm|μm|um|microns?|mm|nm)?"
_FOV_LINE = re.compile(
    r"(?:field\s*of\s*view|\bfov\b|raster\s*size|image\s*size|scan\s*size)"
    rf"[^\d\n]*?{_LENGTH}(?:\s*(?:x|×|\*)\s*{_LENGTH})?(?!\s*[²^,\d])",
    re.IGNORECASE,
)
_DEAD_TIME_LINE = re.compile(r"dead\s*-?time\s*correction\s*:?\s*(on|off|yes|no)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Image:
    """One file: counts of one ion, with frame as the first dimension where there are frames."""

    path: Path
    data: bytes
    counts: FloatArray
    fov: tuple[float, ...] | None
    corrected: str
    note: str = ""


def is_number(token: bytes) -> bool:
    """Return True if Python can read `token` as a number."""
    try:
        float(token)
    except ValueError:
        return False
    return True


def read_image(path: Path, partial: bool) -> Image:
    """Read one file; `FormatError` for everything that is wrong with it."""
    data = path.read_bytes()
    text = _decoded(path, data)
    if not text.endswith("\n") and not partial:
        line = text.count("\n") + 1
        raise FormatError(
            path,
            line,
            "the last line must end with a line break, or its number may have been cut off; copy "
            "or export the file again (partial=True takes the line as it is)",
        )
    table = _table(path, text)
    header = "\n".join(line for line in text[:65536].splitlines() if line.startswith("#"))
    found = _DEAD_TIME_LINE.search(header)
    corrected = "" if found is None else {"on": "yes", "yes": "yes"}.get(found[1].lower(), "no")
    counts, note = _image_of(path, text, table, partial)
    return Image(path, data, counts, _header_fov(path, header), corrected, note)


def _decoded(path: Path, data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")  # "µm" as older SurfaceLab versions write it
    if not data.strip():
        raise FormatError(path, 1, "the file is empty; export it again")
    return text.replace("\r\n", "\n")


def _table(path: Path, text: str) -> FloatArray:
    """Return the rows as numbers, shape (rows, 3 or 4)."""
    first = next(_rows(text), None)
    if first is None:
        raise FormatError(path, None, "the file has a header but no rows; export it again")
    width = len(first[1].split())
    if width not in (3, 4):
        raise FormatError(
            path,
            first[0],
            "rows must be 'X Y counts' or 'X Y scan counts', got "
            f"{first[1][:60]!r}; if this is not an image, move it elsewhere",
        )
    try:
        table: FloatArray = np.loadtxt(io.StringIO(text), ndmin=2)
    except ValueError as err:
        raise _bad_row(path, text, width) from err
    bad = ~np.isfinite(table).all(axis=1) | (table < 0).any(axis=1)
    bad |= (table[:, :-1] != np.floor(table[:, :-1])).any(axis=1)
    if bad.any():
        line, row = _row(text, int(np.argmax(bad)))
        raise FormatError(
            path,
            line,
            "pixel numbers must be whole and counts finite and not negative, got "
            f"{row[:60]!r}; export the image without smoothing or background subtraction",
        )
    return table


def _rows(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line number, line) of the rows, the way numpy counts them."""
    for number, line in enumerate(io.StringIO(text), start=1):
        row = line.split("#", 1)[0].strip()
        if row:
            yield number, row


def _row(text: str, index: int) -> tuple[int, str]:
    for i, found in enumerate(_rows(text)):
        if i == index:
            return found
    raise IndexError(index)  # pragma: no cover - rows are counted as numpy does


def _bad_row(path: Path, text: str, width: int) -> FormatError:
    """Find the line on which numpy gave up."""
    for number, row in _rows(text):
        cells = row.split()
        if len(cells) != width or not all(is_number(c.encode()) for c in cells):
            hint = " (decimal commas? export with decimal points)" if "," in row else ""
            return FormatError(
                path,
                number,
                f"the row must have {width} numbers, got {row[:60]!r}{hint}; export the file again",
            )
    return FormatError(path, None, "the rows cannot be read as numbers; export the file again")


def _image_of(path: Path, text: str, table: FloatArray, partial: bool) -> tuple[FloatArray, str]:
    """Put the rows where they belong; every pixel of every frame exactly once."""
    if len({float(m) for m in table[:, :2].min(axis=0)} | {0.0}) > 1:
        raise FormatError(path, None, "X and Y must start at 0; the beginning of the image is lost")
    size = [int(m) + 1 for m in table.max(axis=0)[:-1]]  # nx, ny[, frames]
    nx, ny = size[:2]
    if nx < 2 or ny < 2:
        raise FormatError(
            path, None, f"an image must have at least 2 x 2 pixels, got {nx} x {ny}: it is cut off"
        )
    per_frame = nx * ny
    note = ""
    if len(size) == 3:
        table, size[2], note = _whole_frames(path, table, size[2], per_frame, partial)
    n_rows, n_pixels = len(table), int(np.prod(size, dtype=object))
    if n_rows < n_pixels:
        raise FormatError(
            path,
            None,
            f"{nx} x {ny} pixels{_times(size)} need {n_pixels} rows, got {n_rows}; "
            f"{_first_missing(table, size)}. Copy or export the file again",
        )
    index = table[:, :-1].astype(np.int64)
    flat = index[:, 0] + nx * index[:, 1]
    if len(size) == 3:
        flat += per_frame * index[:, 2]
    seen = np.bincount(flat, minlength=n_pixels)
    if seen.max() > 1:
        twice = int(np.argmax(seen > 1))
        row = int(np.flatnonzero(flat == twice)[1])
        raise FormatError(
            path,
            _row(text, row)[0],
            f"pixel {_pixel(twice, size)} must occur once, got it again; export the file again",
        )
    counts = np.zeros(n_pixels)
    counts[flat] = table[:, -1]
    return counts.reshape(size[::-1]), note


def _whole_frames(
    path: Path, table: FloatArray, frames: int, per_frame: int, partial: bool
) -> tuple[FloatArray, int, str]:
    """Leave out an incomplete last frame on request."""
    last = table[:, 2] == frames - 1
    rows = int(last.sum())
    if rows >= per_frame or frames == 1:
        return table, frames, ""
    if not partial:
        raise FormatError(
            path,
            None,
            f"scan {frames - 1} must have {per_frame} rows, got {rows}: the file ends early; copy "
            f"or export it again, or read the {frames - 1} whole scans with partial=True",
        )
    return table[~last], frames - 1, f"{path.name}: the cut off scan {frames - 1} is left out"


def _times(size: list[int]) -> str:
    return f" in {size[2]} scans" if len(size) == 3 else ""


def _pixel(flat: int, size: list[int]) -> str:
    where = f"X={flat % size[0]}, Y={flat // size[0] % size[1]}"
    return f"({where}, scan={flat // (size[0] * size[1])})" if len(size) == 3 else f"({where})"


def _first_missing(table: FloatArray, size: list[int]) -> str:
    n_rows = len(table)
    flat = table[:, 0].copy()
    for i in range(1, len(size)):
        flat += table[:, i] * float(np.prod(size[:i], dtype=object))
    # Of n_rows + 1 numbers at least one is missing: no need to look at (or allocate) the rest.
    there = np.zeros(n_rows + 1, dtype=bool)
    there[flat[flat <= n_rows].astype(np.int64)] = True
    return f"the first one missing is {_pixel(int(np.argmin(there)), size)}"


def _header_fov(path: Path, header: str) -> tuple[float, ...] | None:
    """Return the size in µm that the header states, one or two numbers; None without a unit."""
    found = _FOV_LINE.search(header)
    if found is None:
        return None
    first, unit_1, second, unit_2 = found.groups()
    unit = unit_2 or unit_1
    if unit is None:
        return None
    scale = {"m": 1.0e3, "n": 1.0e-3}
    sizes = []
    for number, own in ((first, unit_1 or unit), (second, unit_2 or unit)):
        if number is not None:
            factor = 1.0 if own.lower().startswith("mic") else scale.get(own[0].lower(), 1.0)
            sizes.append(float(number) * factor)
    if not all(0 < s < 1e6 for s in sizes):
        raise FormatError(path, None, f"the header states an impossible image size: {found[0]!r}")
    return tuple(sizes)

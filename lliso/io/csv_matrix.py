"""CSV and TXT matrices: one text file per species, rows are y and columns x.

Cells are separated by commas, semicolons, tabs or blanks; decimal commas are read where the cells
are separated by something else. Lines that begin with ``#``, ``%``, ``//`` or ``!`` and lines of
text above the numbers are a header. A first row and a first column are coordinates in µm if the
corner where they meet is empty or a text (``y/x (mm)`` for another unit).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lliso.errors import FormatError
from lliso.io._iontof_image import _DEAD_TIME_LINE, _header_fov
from lliso.io._per_ion import Part, assemble, family
from lliso.io._reader import UNSTATED_ORIENTATION, Options, Reader
from lliso.io._text_table import TextTable, decode, read_table

if TYPE_CHECKING:
    import xarray as xr

    from lliso._types import FloatArray

EXTENSIONS = (".csv", ".txt", ".tsv", ".dat", ".asc")
#: text files of other kinds, which have functions of their own
OTHER_TEXTS = (b"# Profile", b"#Data Point", b"# Binning", b"Channel\t", b"No.\t")
_HEAD_BYTES = 4096
_MICROMETRES = {"nm": 1.0e-3, "um": 1.0, "µm": 1.0, "μm": 1.0, "mm": 1.0e3}
_UNIT = re.compile(r"\b(nm|um|µm|μm|mm)\b")


def sniff(head: bytes, path: Path) -> bool:
    """Return True for a text with rows of at least two numbers, or a folder of such files."""
    if path.is_dir():
        return any(p.is_file() and _is_matrix(p) for p in path.iterdir())
    if path.suffix.lower() not in EXTENSIONS or head.startswith(OTHER_TEXTS):
        return False
    try:
        text = decode(path, head[: len(head) // 2 * 2])
        lines = text.split("\n")
        # The last line of the head may be cut anywhere.
        whole = lines[:-1] if len(head) >= _HEAD_BYTES and len(lines) > 1 else lines
        values = read_table(path, "\n".join([*whole, ""])).values
    except FormatError:
        # Something like numbers in cells: a damaged matrix is to be named, not unknown.
        body = re.sub(rb"(?m)^\s*[#%!].*$", b"", head)
        return b"\0" not in head and re.search(rb"\d[;,\t ]+\d", body) is not None
    return bool(values.shape[1] > 1)


def _is_matrix(path: Path) -> bool:
    if path.suffix.lower() not in EXTENSIONS:
        return False
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return bool(head) and sniff(head, path)


def read(path: Path, options: Options) -> xr.Dataset:
    """Read matrices of counts, one file per species.

    Parameters
    ----------
    path : pathlib.Path
        A file (those of the same sample beside it are read with it: ``map_6Li.csv`` and
        ``map_7Li.csv``, or ``map - 6Li.csv``), or a folder that holds the files of one sample.
    options : Options
        `fov` (µm) where neither coordinates nor a header line state the size. With `partial` the
        last line is taken as it is if it does not end with a line break.

    Returns
    -------
    xarray.Dataset
        A map; row 0 is the smallest y unless the file has coordinates.

    Raises
    ------
    FormatError
        If a file is damaged, can be read in two ways, or holds no counts.
    """
    parts = [_part(p, options.partial) for p in family(path, _is_matrix)]
    return assemble(READER.name, path, parts, options)


def _part(path: Path, partial: bool) -> Part:
    data = path.read_bytes()
    table = read_table(path, decode(path, data))
    if table.ends_open and not partial:
        raise FormatError(
            path,
            table.lines[-1],
            "the last line must end with a line break, or its last number may have been cut off; "
            "export again, or add the line break if the file is whole (partial=True takes the "
            "line as it is)",
        )
    _refuse_profile(path, table)
    header = "\n".join(text for _, text in table.header)
    stated = _DEAD_TIME_LINE.search(header)
    corrected = "" if stated is None else ("yes" if stated[1].lower() in ("on", "yes") else "no")
    counts, axes, orientation = _with_axes(path, table)
    fov = _header_fov(path, header)
    ny, nx = counts.shape
    pitch = None
    if fov is not None and axes is None and (len(fov) == 2 or nx == ny):
        pitch = (fov[0] / nx, fov[-1] / ny)
    return Part(
        path,
        data,
        counts[np.newaxis],
        pitch=pitch,
        axes=axes,
        corrected=corrected,
        orientation=orientation,
        partial=table.ends_open,
        notes=("last line taken as it is",) if table.ends_open else (),
    )


def _refuse_profile(path: Path, table: TextTable) -> None:
    first = table.names[0].lower() if table.names else ""
    if re.match(r"(position|distance|depth|pos\b|point)", first):
        raise FormatError(
            path,
            table.header[-1][0],
            f"columns are named {', '.join(table.names[:4])}: this is a line analysis, not an "
            "image; read it with lliso.read_profile",
        )
    if _is_list(table.values):
        raise FormatError(
            path,
            table.lines[0],
            "rows must be rows of pixels, this looks like a list with coordinates in its first "
            "columns: X Y counts is read as 'iontof-ascii' (rows of blanks and numbers below "
            "lines with #), a line analysis by lliso.read_profile",
        )


def _is_list(values: FloatArray) -> bool:
    """Return True if one of the first columns of a narrow table counts up: no image does."""
    if values.shape[1] > 4 or len(values) < 5:
        return False
    steps = np.diff(values[:, :2], axis=0)
    up = np.mean((steps == 0) | (steps == 1), axis=0) > 0.5
    grows = bool(np.all(steps[:, 0] > 0) and np.allclose(steps[:, 0], steps[0, 0], rtol=1e-3))
    return grows or bool(np.any(up & np.any(steps == 1, axis=0)))


def _with_axes(
    path: Path, table: TextTable
) -> tuple[FloatArray, tuple[FloatArray, FloatArray] | None, str]:
    if table.top is None:
        return table.values, None, UNSTATED_ORIENTATION
    x, y, counts = table.top, table.values[:, 0], table.values[:, 1:]
    if x.size != counts.shape[1]:
        raise FormatError(
            path,
            table.lines[0],
            f"the row of coordinates must have one number per column, got {x.size} for "
            f"{counts.shape[1]} columns",
        )
    unit = _UNIT.search(table.corner or "")
    scale = 1.0 if unit is None else _MICROMETRES[unit[1]]
    x, y = x * scale, y * scale
    orientation = "y as stated in the file"
    if y.size > 1 and y[0] > y[-1]:
        y, counts, orientation = y[::-1], counts[::-1], f"{orientation}, whose rows go downwards"
    for name, axis in (("x", x), ("y", y)):
        steps = np.diff(axis)
        if axis.size > 1 and not (steps[0] > 0 and np.allclose(steps, steps[0], rtol=1e-3)):
            raise FormatError(
                path,
                None,
                f"the coordinates {name} must grow in equal steps, got steps from "
                f"{steps.min():g} to {steps.max():g} um",
            )
    return counts, (x, y), orientation


READER = Reader(
    name="csv",
    description="CSV/TXT matrices of counts, one file per species or a folder of them",
    extensions=EXTENSIONS,
    sniff=sniff,
    read=read,
    seen=False,
    folders=True,
)

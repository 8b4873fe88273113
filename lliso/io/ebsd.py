"""Orientation maps of EBSD: the text files ``.ang`` (EDAX/TSL) and ``.ctf`` (Oxford HKL).

Small readers of the plain text: the header's grid and steps, phase, Euler angles (Bunge) and the
quality numbers. The layouts are known from the programs' manuals and other readers; **neither was
tried on a real file**. A hexagonal grid is brought onto a square one by the nearest point.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import cKDTree

from lliso._types import FloatArray, IntArray
from lliso.errors import FormatError
from lliso.schema import X, Y, hash_of_bytes

if TYPE_CHECKING:
    import xarray as xr

#: phase of points that were not indexed
NOT_INDEXED = 0
_ANG_COLUMNS = ("phi1", "Phi", "phi2", "x", "y", "image_quality", "confidence", "phase")
#: no orientation map of a laboratory is larger
_MOST_POINTS = 100_000_000


def read_ebsd(path: str | os.PathLike[str]) -> xr.Dataset:
    r"""Read an orientation map.

    Parameters
    ----------
    path : str or os.PathLike
        ``.ang`` or ``.ctf``; told apart by the contents.

    Returns
    -------
    xarray.Dataset
        ``euler(angle, y, x)`` in radians (Bunge: φ₁, Φ, φ₂; NaN where not indexed), ``phase(y,
        x)`` (0 where not indexed), and of ``.ang`` ``confidence`` and ``image_quality``, of
        ``.ctf`` ``mean_angular_deviation`` (degrees) and ``band_contrast``. ``x`` and ``y`` in µm,
        as in the file: y grows downwards in the image.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If the file is neither, is cut off, or its points do not fill its grid.

    Examples
    --------
    >>> import tempfile
    >>> lines = ["# XSTEP: 0.5", "# YSTEP: 0.5", "# GRID: SqrGrid", "# NCOLS_ODD: 2",
    ...          "# NCOLS_EVEN: 2", "# NROWS: 1"]
    >>> lines += ["1.0 0.5 0.2 0.0 0.0 90 0.9 1", "1.1 0.5 0.2 0.5 0.0 90 0.9 1"]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "a.ang"
    ...     _ = file.write_text("\n".join(lines))
    ...     read_ebsd(file)["euler"].sel(angle="phi1").values.tolist()
    [[1.0, 1.1]]
    """
    file = Path(path)
    raw = file.read_bytes()
    text = raw.decode("latin-1")
    if text.startswith("Channel Text File"):
        ds = _read_ctf(file, text)
    elif text.startswith("#"):
        ds = _read_ang(file, text)
    else:
        raise FormatError(
            file, 0, "needs to begin with '#' (.ang) or 'Channel Text File' (.ctf), got neither"
        )
    ds.attrs |= {"map_id": hash_of_bytes(raw), "source": file.name, "y_down": 1}
    return ds


def _read_ang(file: Path, text: str) -> xr.Dataset:
    lines = text.splitlines()
    n_header = next((k for k, line in enumerate(lines) if not line.startswith("#")), len(lines))
    header: dict[str, str] = {}
    for line in lines[:n_header]:
        name, colon, value = line.lstrip("# ").partition(":")
        if colon:
            header[name.strip().upper()] = value.strip()
    odd, even, rows = (_whole(file, header, k) for k in ("NCOLS_ODD", "NCOLS_EVEN", "NROWS"))
    step = (_positive(file, header, "XSTEP"), _positive(file, header, "YSTEP"))
    grid = header.get("GRID", "SqrGrid").lower()
    if grid not in ("sqrgrid", "hexgrid"):
        raise FormatError(file, 0, f"GRID must be SqrGrid or HexGrid, got {header['GRID']!r}")
    table = _table(file, lines, n_header, len(_ANG_COLUMNS))
    expected = (rows + 1) // 2 * odd + rows // 2 * even
    _check_count(file, len(table), expected, f"{rows} rows of {odd} and {even} points")
    columns = dict(zip(_ANG_COLUMNS, table.T, strict=False))
    # the program writes an angle of 4π and a confidence of -1 where it found nothing
    indexed = (columns["confidence"] >= 0) & (columns["phi1"] < 12.5)
    # a file of one phase calls it 0
    phase = np.where(indexed, np.maximum(columns["phase"], 1), NOT_INDEXED).astype(int)
    quality = {k: columns[k] for k in ("image_quality", "confidence")}
    euler = np.stack([columns[k] for k in ("phi1", "Phi", "phi2")])
    if grid == "hexgrid":
        shape = (rows, max(odd, even))
        place = (columns["x"], columns["y"])
        pick: IntArray = _nearest_on_square(place, step, shape)
    else:
        if odd != even:
            raise FormatError(file, 0, f"rows of a SqrGrid must be equal, got {odd} and {even}")
        shape, pick = (rows, odd), np.arange(len(table))
    return _dataset(
        euler[:, pick], phase[pick], {k: v[pick] for k, v in quality.items()}, shape, step
    )


def _read_ctf(file: Path, text: str) -> xr.Dataset:
    lines = text.splitlines()
    header: dict[str, str] = {}
    first, cells = 0, [""]
    for number, line in enumerate(lines, start=1):
        cells = line.split("\t")
        if cells[0] == "Phase" and "Euler1" in cells:
            first = number
            break
        if len(cells) > 1:
            header[cells[0].strip().upper()] = cells[1].strip()
    else:
        raise FormatError(file, 0, "needs a line of column names with Phase and Euler1, got none")
    names = [c.strip() for c in cells]
    nx, ny = _whole(file, header, "XCELLS"), _whole(file, header, "YCELLS")
    step = (_positive(file, header, "XSTEP"), _positive(file, header, "YSTEP"))
    table = _table(file, lines, first, len(names))
    _check_count(file, len(table), nx * ny, f"{ny} rows of {nx} points")
    columns = dict(zip(names, table.T, strict=False))
    lacking = [n for n in ("Phase", "Euler1", "Euler2", "Euler3") if n not in columns]
    if lacking:
        raise FormatError(
            file, 0, f"needs the columns {', '.join(lacking)}, got {', '.join(names)}"
        )
    euler = np.deg2rad(np.stack([columns[f"Euler{k}"] for k in (1, 2, 3)]))
    known = {"MAD": "mean_angular_deviation", "BC": "band_contrast"}
    quality = {new: columns[old] for old, new in known.items() if old in columns}
    return _dataset(euler, columns["Phase"].astype(int), quality, (ny, nx), step)


def _dataset(
    euler: FloatArray,
    phase: IntArray,
    quality: dict[str, FloatArray],
    shape: tuple[int, int],
    step: tuple[float, float],
) -> xr.Dataset:
    import xarray as xr

    euler = np.where(phase == NOT_INDEXED, np.nan, euler)
    data: dict[str, Any] = {
        "euler": (("angle", Y, X), euler.reshape(3, *shape), {"units": "rad"}),
        "phase": ((Y, X), phase.reshape(shape), {"long_name": "phase, 0 where not indexed"}),
    }
    data |= {k: ((Y, X), v.reshape(shape)) for k, v in quality.items()}
    coords = {
        "angle": ["phi1", "Phi", "phi2"],
        Y: (Y, np.arange(shape[0]) * step[1], {"units": "um"}),
        X: (X, np.arange(shape[1]) * step[0], {"units": "um"}),
    }
    return xr.Dataset(data, coords)


def _nearest_on_square(
    place: tuple[FloatArray, FloatArray], step: tuple[float, float], shape: tuple[int, int]
) -> IntArray:
    """Index of the measured point nearest to each point of a square grid of the same steps."""
    y, x = np.meshgrid(np.arange(shape[0]) * step[1], np.arange(shape[1]) * step[0], indexing="ij")
    tree = cKDTree(np.column_stack(place))
    return np.asarray(tree.query(np.column_stack([x.ravel(), y.ravel()]))[1])


def _table(file: Path, lines: list[str], start: int, least: int) -> FloatArray:
    """Numbers of the lines from `start` on, the first `least` of each."""
    rows = []
    for k, line in enumerate(lines[start:], start=start + 1):
        cells = line.split()
        if not cells:
            continue
        if len(cells) < least:
            raise FormatError(
                file, k, f"a line needs {least} numbers, got {len(cells)}; the file may be cut off"
            )
        try:
            rows.append([float(c) for c in cells[:least]])
        except ValueError:
            raise FormatError(file, k, f"a line needs numbers, got {line[:60]!r}") from None
    table = np.array(rows, dtype=float).reshape(-1, least)
    if not np.isfinite(table).all():
        raise FormatError(file, None, "numbers must be finite, got NaN or inf")
    return table


def _whole(file: Path, header: dict[str, str], name: str) -> int:
    text = header.get(name)
    if text is None or not text.isdecimal() or not 0 < int(text) < _MOST_POINTS:
        raise FormatError(file, 0, f"header needs {name}, a whole number, got {text!r}")
    return int(text)


def _positive(file: Path, header: dict[str, str], name: str) -> float:
    try:
        value = float(header.get(name, "").replace(",", "."))
    except ValueError:
        value = 0.0
    if not 0.0 < value < 1e6:
        raise FormatError(file, 0, f"header needs {name} in um, got {header.get(name)!r}")
    return value


def _check_count(file: Path, got: int, expected: int, what: str) -> None:
    if got != expected:
        raise FormatError(
            file, None, f"needs {expected} points ({what}), got {got}; the file may be cut off"
        )

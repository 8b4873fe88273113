"""BIF6: images of mass intervals, as exported by IONTOF SurfaceLab.

Layout (little-endian): ``00 00 "BIF6"``, three uint16 (number of intervals, nx, ny), then for each
interval an int32 id, three float32 (centre, lower and upper m/z) and nx*ny uint32 counts, x
fastest. The layout is from other programs' readers and was reported to hold on four real files;
none was at hand here, and this reader has only been run on files built to that layout.

The format holds neither the size of a pixel nor the orientation of the image.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.errors import FormatError
from lliso.io._mass_windows import first_bad, labels_of, overlaps
from lliso.io._reader import (
    UNSTATED_ORIENTATION,
    Options,
    Reader,
    field_of_view,
    pixel_centres,
    read_hashed,
    read_line,
    whole_counts,
)
from lliso.schema import SPECIES, make_map

if TYPE_CHECKING:
    import xarray as xr

MAGIC = b"\0\0BIF6"
_LATER = "known when the thread is done"
_HEADER = struct.Struct("<6s3H")
_INTERVAL_BYTES = 16


def sniff(head: bytes, path: Path) -> bool:  # noqa: ARG001 - all readers are asked alike
    """Return True if the file begins like BIF6."""
    return head.startswith(MAGIC)


def read(path: Path, options: Options) -> xr.Dataset:
    """Read a BIF6 file.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    options : Options
        `fov` is required (µm); with `partial` the whole intervals of a file that ends early are
        returned, and the attribute ``partial`` is 1.

    Returns
    -------
    xarray.Dataset
        A map with the coordinates ``mass``, ``mass_lower``, ``mass_upper`` (m/z) along species.
        The intervals around 6.015 and 7.016 are called 6Li and 7Li, the others by their centre.

    Raises
    ------
    FormatError
        If the file is damaged, or two intervals could both be 6Li or 7Li.
    """
    n_declared, nx, ny, size = _header(path)
    n_whole = _whole_intervals(path, n_declared, nx, ny, size, options.partial)
    record = np.dtype([("id", "<i4"), ("mz", "<f4", (3,)), ("image", "<u4", (ny, nx))])
    data, map_id = read_hashed(path, size)
    intervals = np.frombuffer(data, dtype=record, count=n_whole, offset=_HEADER.size)
    with np.errstate(invalid="ignore"):  # signalling NaNs; found out by _check_masses
        mz = intervals["mz"].astype(float)
    _check_masses(path, mz, record.itemsize)
    fov = field_of_view(options.fov, nx, ny, path)
    note = "" if n_whole == n_declared else f"the file ends early: {n_whole} of {n_declared} images"
    crossing = overlaps(mz)
    ds = make_map(
        whole_counts(intervals["image"], path),
        labels_of(path, mz),
        x=pixel_centres(nx, fov[0]),
        y=pixel_centres(ny, fov[1]),
        attrs={
            "map_id": _LATER,
            "instrument": "IONTOF",
            "source": path.name,
            "orientation": UNSTATED_ORIENTATION,
            "history": read_line(READER.name, path.name, fov, note),
            **({"partial": 1} if note else {}),
            **({"overlapping_windows": crossing} if crossing else {}),
        },
    )
    names = ("mass", "mass_lower", "mass_upper")
    ds = ds.assign_coords(
        {name: (SPECIES, mz[:, i], {"units": "m/z"}) for i, name in enumerate(names)}
    )
    ds.attrs["map_id"] = map_id()
    return ds


def _header(path: Path) -> tuple[int, int, int, int]:
    """Return the number of intervals, nx, ny and the size of the file in bytes."""
    with path.open("rb") as file:
        head = file.read(_HEADER.size)
        size = os.fstat(file.fileno()).st_size
    if len(head) < _HEADER.size:
        raise FormatError(
            path,
            len(head),
            f"the header must have {_HEADER.size} bytes, got {len(head)}; export the file again",
        )
    magic, n, nx, ny = _HEADER.unpack(head)
    if magic != MAGIC:
        raise FormatError(path, 0, f"a BIF6 file must begin with {MAGIC!r}, got {magic!r}")
    if 0 in (n, nx, ny):
        raise FormatError(
            path,
            6,
            f"the header must state at least one image and pixel, got {n} images of "
            f"{nx} x {ny} pixels; export the file again",
        )
    return n, nx, ny, size


def _whole_intervals(path: Path, n: int, nx: int, ny: int, size: int, partial: bool) -> int:
    """Compare the size of the file with what the header promises; return the whole images."""
    stride = _INTERVAL_BYTES + 4 * nx * ny
    expected = _HEADER.size + n * stride
    if size == expected:
        return n
    promise = f"{n} images of {nx} x {ny} pixels need {expected} bytes, the file has {size}"
    if size > expected:
        raise FormatError(path, expected, f"{promise}: it is damaged; export it again")
    whole = (size - _HEADER.size) // stride
    if partial and whole:
        return int(whole)
    cure = f"; partial=True reads the {whole} whole images" if whole else ""
    raise FormatError(path, size, f"{promise}: it ends early; copy or export it again{cure}")


def _check_masses(path: Path, mz: Any, stride: int) -> None:
    i = first_bad(mz)
    if i is not None:
        centre, lower, upper = mz[i]
        raise FormatError(
            path,
            _HEADER.size + i * stride,
            f"mass interval {i} must have 0 <= lower <= centre <= upper, got centre {centre:g}, "
            f"lower {lower:g}, upper {upper:g} m/z; the file is damaged",
        )


READER = Reader(
    name="bif6",
    description="IONTOF BIF6: images of mass intervals (needs fov)",
    extensions=(".bif6",),
    sniff=sniff,
    read=read,
    seen=False,
)

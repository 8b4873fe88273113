"""npz: numpy arrays in a zip file, one two- or three-dimensional array per species.

The names of the arrays are the species (``6Li``, ``7Li``); ``x`` and ``y``, if there, are the pixel
centres in µm. Each array is ``(y, x)`` or ``(frame, y, x)``.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.errors import FormatError
from lliso.io._reader import (
    Options,
    Reader,
    field_of_view,
    hash_of_files,
    pixel_centres,
    read_line,
)
from lliso.schema import X, Y, make_map

if TYPE_CHECKING:
    import xarray as xr

    from lliso._types import FloatArray

#: deflate cannot shrink by more than this
_MOST_SHRUNK = 1100


def sniff(head: bytes, path: Path) -> bool:
    """Return True for a zip file that is called npz."""
    return head.startswith(b"PK\x03\x04") and path.suffix.lower() == ".npz"


def read(path: Path, options: Options) -> xr.Dataset:
    """Read arrays saved with ``numpy.savez(path, **{"6Li": n6, "7Li": n7})``.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    options : Options
        `fov` (µm) is needed if the file holds no ``x`` and ``y``.

    Returns
    -------
    xarray.Dataset
        A map; the type of the counts is kept.

    Raises
    ------
    FormatError
        If the file is damaged, or holds something else than images of one size.
    """
    try:
        arrays = _arrays(path)
    except FormatError:
        raise
    except Exception as err:  # zip and npy each raise several kinds for a damaged file
        raise FormatError(
            path, None, f"the file is damaged or cut short ({err}); copy it again"
        ) from err
    axes = {name: arrays.pop(name) for name in (X, Y) if name in arrays}
    shapes = {name: a.shape for name, a in arrays.items()}
    if len(set(shapes.values())) != 1 or len(next(iter(shapes.values()))) not in (2, 3):
        found = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "none"
        raise FormatError(
            path,
            None,
            f"the arrays must be images (y, x) or (frame, y, x) of one size, one per species, got "
            f"{found}; save them with numpy.savez(path, **{{'6Li': n6, '7Li': n7}})",
        )
    x, y, fov = _axes(path, axes, options, next(iter(shapes.values())))
    try:
        return make_map(
            np.stack(list(arrays.values())),
            list(arrays),
            x=x,
            y=y,
            attrs={
                "map_id": hash_of_files([(path.name, path.read_bytes())]),
                "source": path.name,
                "history": read_line(READER.name, path.name, fov),
            },
        )
    except ValueError as err:
        raise FormatError(path, None, str(err)) from err


def _arrays(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.file_size > _MOST_SHRUNK * info.compress_size + 4096:
                raise FormatError(path, None, f"'{info.filename}' claims too much; damaged")
            with archive.open(info) as file:
                _check_npy(path, file, info)
    with np.load(path, allow_pickle=False) as data:
        return {name: data[name] for name in data.files}


def _check_npy(path: Path, file: Any, info: zipfile.ZipInfo) -> None:
    """Compare the shape that an array claims with the bytes that are there."""
    version = np.lib.format.read_magic(file)
    known = {(1, 0): np.lib.format.read_array_header_1_0}
    shape, _, dtype = known.get(version, np.lib.format.read_array_header_2_0)(file)
    claimed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if dtype.hasobject or claimed != info.file_size - file.tell():
        raise FormatError(
            path,
            None,
            f"'{info.filename}' must hold numbers and nothing else: {shape} of {dtype} are "
            f"{claimed} bytes, there are {info.file_size - file.tell()}",
        )


def _axes(
    path: Path, axes: dict[str, Any], options: Options, shape: tuple[int, ...]
) -> tuple[FloatArray, FloatArray, tuple[float, float]]:
    ny, nx = shape[-2:]
    if not axes:
        fov = field_of_view(options.fov, nx, ny, path)
        return pixel_centres(nx, fov[0]), pixel_centres(ny, fov[1]), fov
    if len(axes) == 1 or options.fov is not None:
        raise FormatError(
            path,
            None,
            "the file must hold both 'x' and 'y' (pixel centres in um), or neither and fov be "
            f"given, got {' and '.join(axes)}{'' if options.fov is None else ' and fov'}",
        )
    x, y = (np.asarray(axes[name], dtype=np.float64) for name in (X, Y))
    if (x.shape, y.shape) != ((nx,), (ny,)) or min(nx, ny) < 2:
        raise FormatError(
            path, None, f"x and y must have {nx} and {ny} values, got {x.shape} and {y.shape}"
        )
    extent = [float((a[-1] - a[0]) * a.size / (a.size - 1)) for a in (x, y)]
    return x, y, (extent[0], extent[1])


READER = Reader(
    name="npz",
    description="numpy arrays in a zip file, one image per species, named after it",
    extensions=(".npz",),
    sniff=sniff,
    read=read,
    seen=True,
)

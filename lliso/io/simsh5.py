"""SIMS-H5: ULVAC-PHI's open container of time-of-flight maps (nanoTOF), a sparse HDF5 file.

The flight times that were hit are sorted; for each one the pixels and numbers of ions follow
(compressed sparse rows). The mass is m/z = (a·t + b)², t in µs, with a and b from the file.
Images are summed over a mass window when the file is read. Read with h5py, not with the maker's
package, which loads the whole file; the compression filters come from the package hdf5plugin.
"""

from __future__ import annotations

import mmap
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.errors import FormatError
from lliso.io import _hdf5
from lliso.io._mass_windows import LITHIUM_WINDOWS, check_windows
from lliso.io._reader import (
    Options,
    Reader,
    hash_of_files,
    pixel_centres,
    read_line,
    stated_or_given,
    whole_counts,
)
from lliso.schema import SPECIES, make_map

if TYPE_CHECKING:
    import xarray as xr

EXTENSIONS = (".h5", ".hdf5")
FORMAT = "tof-sims-sparse-hdf5"
#: what bitshuffle with zstd can do to zeros and ones
_MOST_SHRUNK = 20_000
_FIELDS = {
    "width": r"^ScanWidthX:\s*([0-9.]+)",
    "height": r"^ScanWidthY:\s*([0-9.]+)",
    "stage_x_mm": r"^ImageCenterStageX\(mm\):\s*(-?[0-9.]+)",
    "stage_y_mm": r"^ImageCenterStageY\(mm\):\s*(-?[0-9.]+)",
}

#: what is known of the hits; a count that does not fit into a byte stands as `_FULL`
_ROWS = {"count", "count_exceptions", "indptr", "mass_bin", "pixel_id"}
_FULL = 255


def sniff(head: bytes, path: Path) -> bool:
    """Return True for an HDF5 file that says somewhere in its bytes that it is SIMS-H5.

    The library is not asked: it may never come back from a damaged file.
    """
    if not head.startswith(_hdf5.MAGIC) or path.suffix.lower() not in EXTENSIONS:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(FORMAT.encode()) >= 0


def read(path: Path, options: Options) -> xr.Dataset:
    """Read images from a SIMS-H5 file.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    options : Options
        `windows` maps species to (lower, upper) m/z, by default those of the lithium isotopes;
        `fov` (µm) overrules the file.

    Returns
    -------
    xarray.Dataset
        A map with frames, and ``mass_lower``, ``mass_upper`` along species.

    Raises
    ------
    FormatError
        If the file is damaged, or not a single image field.
    ModuleNotFoundError
        If the package hdf5plugin is missing.
    """
    windows = LITHIUM_WINDOWS if options.windows is None else dict(options.windows)
    check_windows(windows)
    _need_plugin()
    import h5py

    _hdf5.check_walk(path)
    try:
        _hdf5.check_sizes(path, _MOST_SHRUNK)
        with h5py.File(path, "r") as file:
            if _text(file.attrs.get("format", "")) != FORMAT:
                raise FormatError(path, None, f"the file must call itself {FORMAT}, it does not")
            cube = _images(path, file, windows)
            header = _header(file)
    except FormatError:
        raise
    except Exception as err:
        raise _hdf5.damaged(path, err) from err
    ny, nx = cube.shape[-2:]
    fov, note = _fov(path, header, options, nx, ny)
    ds = make_map(
        whole_counts(cube, path),
        list(windows),
        x=pixel_centres(nx, fov[0]),
        y=pixel_centres(ny, fov[1]),
        attrs={
            "map_id": hash_of_files([(path.name, path.read_bytes())]),
            "instrument": "PHI nanoTOF",
            "source": path.name,
            "orientation": "row 0 is the bottom of the image (PHI) and the smallest y",
            "history": read_line(READER.name, path.name, fov, note),
            **{k: header[k] for k in ("stage_x_mm", "stage_y_mm") if k in header},
        },
    )
    limits = np.array(list(windows.values()), dtype=float)
    return ds.assign_coords(
        {
            name: (SPECIES, limits[:, i], {"units": "m/z"})
            for i, name in enumerate(("mass_lower", "mass_upper"))
        }
    )


def _need_plugin() -> None:
    try:
        import hdf5plugin  # noqa: F401 - importing it registers the filters
    except ModuleNotFoundError as err:
        raise ModuleNotFoundError(
            "reading SIMS-H5 needs the package hdf5plugin, got none; "
            f'"{sys.executable}" -m pip install hdf5plugin'
        ) from err


def _images(path: Path, file: Any, windows: Mapping[str, tuple[float, float]]) -> Any:
    """Return counts, shape (species, [frame], y, x)."""
    shape = _shape(path, file)
    n_pixels = int(np.prod(shape, dtype=object))
    rows = file["data/mass_csr"]
    times = rows["mass_bin"][:].astype(float) * float(rows.attrs.get("mass_bin_width_ps", 1.0))
    start = rows["indptr"][:].astype(np.int64)
    n_hits = int(rows["pixel_id"].shape[0])
    sorted_rows = start.size == times.size + 1 and bool((np.diff(start) >= 0).all())
    whole = sorted_rows and start[0] == 0 and start[-1] == n_hits == int(rows["count"].shape[0])
    if not whole or (np.diff(times) <= 0).any():
        raise FormatError(
            path,
            None,
            f"the index of the {n_hits} hits contradicts itself: the file is damaged",
        )
    a, b = (float(v) for v in file["calibration/mass/coefficients"][:])
    if not (a > 0 and np.isfinite([a, b]).all()):
        raise FormatError(path, None, f"the mass calibration must be positive, got {a:g}, {b:g}")
    images = []
    for lower, upper in windows.values():
        edges = (np.sqrt([lower, upper]) - b) / a * 1e6  # ps
        first, last = start[np.searchsorted(times, edges)]
        pixels = rows["pixel_id"][first:last].astype(np.int64)
        counts = rows["count"][first:last].astype(np.int64)
        _restore_large(path, rows, counts, int(first), n_hits)
        if pixels.size and pixels.max() >= n_pixels:
            raise FormatError(
                path, None, f"a hit lies in pixel {pixels.max()} of {n_pixels}: the file is damaged"
            )
        image = np.bincount(pixels, weights=counts, minlength=n_pixels)
        images.append(image.reshape(shape if shape[0] > 1 else shape[1:]))
    return np.stack(images)


def _restore_large(path: Path, rows: Any, counts: Any, first: int, n_hits: int) -> None:
    """Put back the counts above 255, which are kept in a list of their own."""
    unknown = sorted(set(rows) - _ROWS)
    if unknown:  # a list of large counts whose name is damaged would go unnoticed
        raise FormatError(
            path,
            None,
            f"data/mass_csr must hold {', '.join(sorted(_ROWS))} only, got {unknown[0]!r} too: "
            "damaged, or of a newer version",
        )
    if "count_exceptions" not in rows:
        return
    index = rows["count_exceptions/nnz_index"][:].astype(np.int64)
    value = rows["count_exceptions/value"][:].astype(np.int64)
    if index.shape != value.shape or (index.size and index.max() >= n_hits):
        raise FormatError(path, None, "the list of large counts is damaged; copy the file again")
    here = (index >= first) & (index < first + counts.size)
    at = index[here] - first
    if (counts[at] != _FULL).any() or (value[here] <= _FULL).any():
        raise FormatError(
            path, None, "the list of large counts contradicts the counts; copy the file again"
        )
    counts[at] = value[here]


def _shape(path: Path, file: Any) -> tuple[int, ...]:
    mode = _text(file.attrs.get("acquisition_mode", "unstated"))
    shape = tuple(int(n) for n in file["geometry"].attrs["row_shape"])
    if mode != "image_2d" or len(shape) != 3:
        raise FormatError(
            path,
            None,
            f"only single image fields (image_2d) can be read, this is {mode} of shape {shape}",
        )
    n = int(np.prod(shape, dtype=object))
    if min(shape) < 1 or n != int(file["geometry"].attrs["row_count"]):
        raise FormatError(path, None, f"the shape {shape} contradicts the number of rows; damaged")
    if n > _MOST_SHRUNK * path.stat().st_size:
        raise FormatError(path, None, f"the shape {shape} is too large for the file; damaged")
    return shape


def _header(file: Any) -> dict[str, float]:
    text = bytes(file["raw_header"][:]).split(b"\0")[0].decode("latin-1")
    found = {name: re.search(pattern, text, re.MULTILINE) for name, pattern in _FIELDS.items()}
    return {name: float(match[1]) for name, match in found.items() if match is not None}


def _fov(
    path: Path, header: dict[str, float], options: Options, nx: int, ny: int
) -> tuple[tuple[float, float], str]:
    own = (header.get("width", 0.0), header.get("height", 0.0))
    return stated_or_given(None if min(own) <= 0 else own, options.fov, nx, ny, path)


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


READER = Reader(
    name="simsh5",
    description="SIMS-H5 of PHI nanoTOF, images of mass windows",
    extensions=EXTENSIONS,
    sniff=sniff,
    read=read,
    seen=True,
    windows=True,
)

"""netCDF-4: the format in which lliso keeps a map, without loss.

Written through h5netcdf, and sealed: a checksum of the whole file follows it. Only so does a
damaged byte never become another number silently, and never reach HDF5, which hangs on some.
"""

from __future__ import annotations

import os
import re
import secrets
import warnings
import zlib
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lliso.errors import FormatError
from lliso.io import _hdf5, _own_netcdf
from lliso.io._kept import check_writable, checked, plain
from lliso.io._reader import Options, Reader, hash_of_files
from lliso.schema import COUNTS

if TYPE_CHECKING:
    import xarray as xr

EXTENSIONS = (".nc", ".nc4")
CLASSIC_MAGIC = b"CDF"
_SEAL = b"\nlliso crc32 %08x\n"
_SEAL_BYTES = len(_SEAL % 0)
_SEAL_PATTERN = re.compile(rb"\nlliso crc32 ([0-9a-f]{8})\n")
#: deflate cannot shrink by more than this; a header that claims more is damaged
_MAX_DEFLATE = 1100


def sniff(head: bytes, path: Path) -> bool:  # noqa: ARG001 - all readers are asked alike
    """Return True if the file begins like HDF5 or classic netCDF."""
    return head.startswith((_hdf5.MAGIC, CLASSIC_MAGIC))


def write(ds: xr.Dataset, path: Path) -> None:
    """Write a map; a file that is there already is replaced in one step or not at all.

    Raises
    ------
    TypeError, ValueError
        If `ds` is not a map, or an attribute is not a plain string or number.
    """
    check_writable(ds)
    out = ds.drop_encoding()
    encoding: dict[Hashable, dict[str, Any]] = {}
    for name, variable in out.variables.items():
        if variable.dtype.kind in "iufb":
            compress = {"zlib": True, "complevel": 4, "shuffle": True, "fletcher32": True}
            encoding[name] = {"_FillValue": None, **(compress if variable.ndim > 1 else {})}
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        out.to_netcdf(aside, engine="h5netcdf", encoding=encoding)
        _seal(aside)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def read(path: Path, options: Options) -> xr.Dataset:
    """Read a map from netCDF.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    options : Options
        With `chunks` the values stay on disk until they are needed (dask), unchecked.

    Returns
    -------
    xarray.Dataset
        The map as it was written.

    Raises
    ------
    FormatError
        If the file is damaged or does not hold a map.
    """
    if options.fov is not None:
        raise ValueError(
            "fov must not be given for a netCDF map, which has its own coordinates; change them "
            "with map.assign_coords(x=..., y=...)"
        )
    ds = open_sound(path, options)
    return checked(ds, path, READER.name, lambda: hash_of_files([(path.name, path.read_bytes())]))


def open_sound(path: Path, options: Options) -> xr.Dataset:
    """Open what is in a netCDF-4 file after a look at its bytes; FormatError if it is damaged."""
    with path.open("rb") as file:
        head = file.read(8)
    if head.startswith(CLASSIC_MAGIC):
        raise FormatError(
            path,
            0,
            "this is classic netCDF (version 3), lliso reads netCDF-4; convert it with "
            "'nccopy -4 old.nc new.nc', or in xarray with .to_netcdf(new, engine='h5netcdf')",
        )
    # A file for a lazy map may be larger than one wants to read twice: its checksum is left.
    sealed = options.chunks is None and _check_seal(path)
    try:
        if sealed and (ds := _own_netcdf.read(path)) is not None:
            return plain(ds)
        if not sealed:
            _hdf5.check_walk(path)
        _hdf5.check_sizes(path, _MAX_DEFLATE, lookup=options.chunks is None)
        return _open(path, options)
    except FormatError:
        raise
    except Exception as err:  # a damaged HDF5 file raises any kind of error, bare OSError included
        if isinstance(err, ModuleNotFoundError):
            raise
        raise _hdf5.damaged(path, err) from err


def _open(path: Path, options: Options) -> xr.Dataset:
    import xarray as xr

    # Times are kept as numbers: a dead time in "s" is not a date.
    keywords: dict[str, Any] = {"engine": "h5netcdf", "decode_times": False}
    if options.chunks is not None:
        with warnings.catch_warnings():
            # Reading is a little slower then; the chunks are still what was asked for.
            warnings.filterwarnings("ignore", message="The specified chunks separate")
            ds = xr.open_dataset(path, chunks=options.chunks, **keywords)
    else:
        ds = xr.load_dataset(path, **keywords)
    return plain(ds)


def _seal(path: Path) -> None:
    """Append the checksum of the whole file; HDF5 does not look beyond its own end."""
    crc, _ = _crc_and_tail(path, path.stat().st_size)
    with path.open("ab") as file:
        file.write(_SEAL % crc)


def _check_seal(path: Path) -> bool:
    """Refuse a file whose bytes are not those that lliso wrote; return False if it has no seal.

    A file without a seal is of another program, or was changed by one (HDF5 then cuts the seal
    off); HDF5 itself has to find out whether it is in order. Bytes behind the end of the HDF5 that
    are no seal are what is left of one.
    """
    crc, tail = _crc_and_tail(path, path.stat().st_size - _SEAL_BYTES)
    found = _SEAL_PATTERN.fullmatch(tail)
    broken = found is None and 0 < _hdf5.end(path) < path.stat().st_size
    if broken or (found is not None and int(found[1], 16) != crc):
        raise FormatError(
            path,
            None,
            "the file is damaged: its bytes are not those that lliso wrote; copy it again from "
            "where it came from",
        )
    return found is not None


def _crc_and_tail(path: Path, size: int) -> tuple[int, bytes]:
    """Return the CRC-32 of the first `size` bytes, and what follows them."""
    crc = 0
    with path.open("rb") as file:
        while size > 0 and (block := file.read(min(size, 2**20))):
            crc = zlib.crc32(block, crc)
            size -= len(block)
        return crc, file.read(_SEAL_BYTES + 1)


READER = Reader(
    name="netcdf",
    description=f"netCDF-4 with {COUNTS}(species, [frame], y, x): lliso's own format, lossless",
    extensions=EXTENSIONS,
    sniff=sniff,
    read=read,
    seen=True,
)

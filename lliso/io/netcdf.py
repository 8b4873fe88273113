"""netCDF-4: the format in which lliso keeps a map, without loss.

Written through h5netcdf. Compressed variables carry HDF5's own checksums, and the file a checksum
of all values, names and attributes, so that a damaged byte never becomes another number silently.
"""

from __future__ import annotations

import json
import os
import secrets
import warnings
import zlib
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.errors import FormatError
from lliso.io._reader import Options, Reader, hash_of_files
from lliso.schema import COUNTS, DEFAULT_ATTRS, add_history, check_map

if TYPE_CHECKING:
    import xarray as xr

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
CLASSIC_MAGIC = b"CDF"
CHECKSUM = "lliso_crc32"
#: deflate cannot shrink by more than this; a header that claims more is damaged
_MAX_DEFLATE = 1100
_NO_VALUES = b"This is a netCDF dimension but not a netCDF variable"


def sniff(head: bytes, path: Path) -> bool:  # noqa: ARG001 - all readers are asked alike
    """Return True if the file begins like HDF5 or classic netCDF."""
    return head.startswith((HDF5_MAGIC, CLASSIC_MAGIC))


def write(ds: xr.Dataset, path: Path) -> None:
    """Write a map; a file that is there already is replaced in one step or not at all.

    Raises
    ------
    TypeError, ValueError
        If `ds` is not a map, or an attribute is not a plain string or number.
    """
    check_map(ds)
    for name, attrs in [("the map", ds.attrs), *((n, v.attrs) for n, v in ds.variables.items())]:
        _check_attrs(name, attrs)
    out = ds.drop_encoding()
    if all(isinstance(v.data, np.ndarray) for v in ds.variables.values()):
        out = out.assign_attrs({CHECKSUM: _checksum(ds)})  # lazy data are not worth a second pass
    encoding: dict[Hashable, dict[str, Any]] = {}
    for name, variable in out.variables.items():
        if variable.dtype.kind in "iufb":
            compress = {"zlib": True, "complevel": 4, "shuffle": True, "fletcher32": True}
            encoding[name] = {"_FillValue": None, **(compress if variable.ndim > 1 else {})}
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        out.to_netcdf(aside, engine="h5netcdf", encoding=encoding)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _check_attrs(owner: Hashable, attrs: dict[Any, Any]) -> None:
    for key, value in attrs.items():
        plain = isinstance(value, (str, int, float, np.integer, np.floating))
        if isinstance(value, bool) or not plain:
            raise TypeError(
                f"attribute {key!r} of {owner} must be a plain string or number, got "
                f"{type(value).__name__}; use 0 or 1, or text"
            )


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
    with path.open("rb") as file:
        head = file.read(8)
    if head.startswith(CLASSIC_MAGIC):
        raise FormatError(
            path,
            0,
            "this is classic netCDF (version 3), lliso reads netCDF-4; convert it with "
            "'nccopy -4 old.nc new.nc', or in xarray with .to_netcdf(new, engine='h5netcdf')",
        )
    try:
        _check_sizes(path)
        ds = _open(path, options)
    except FormatError:
        raise
    except Exception as err:  # a damaged HDF5 file raises any kind of error, bare OSError included
        if isinstance(err, ModuleNotFoundError):
            raise
        raise FormatError(
            path, None, f"the file is damaged or cut short ({_first_line(err)}); copy it again"
        ) from err
    return _checked(ds, path)


def _first_line(err: Exception) -> str:
    return (str(err).strip().splitlines() or [type(err).__name__])[0][:120]


def _check_sizes(path: Path) -> None:
    """Refuse a file whose header claims more data than its bytes can hold."""
    import h5py

    with h5py.File(path, "r") as file:

        def check(name: str, item: Any) -> None:
            if not isinstance(item, h5py.Dataset) or h5py.check_vlen_dtype(item.dtype):
                return
            if np.bytes_(item.attrs.get("NAME", b"")).startswith(_NO_VALUES):
                return  # the size of a dimension, without values
            claimed = int(item.size or 0) * item.dtype.itemsize
            stored = int(item.id.get_storage_size())
            if stored > path.stat().st_size or claimed > _MAX_DEFLATE * stored + 4096:
                raise FormatError(
                    path,
                    None,
                    f"variable '{name}' claims {claimed} bytes but {stored} are stored: the file "
                    "is damaged; copy it again",
                )

        file.visititems(check)


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
    ds = _plain(ds)
    stored = ds.attrs.pop(CHECKSUM, None)
    if stored is not None and options.chunks is None and stored != _checksum(ds):
        raise FormatError(
            path,
            None,
            "the contents differ from what lliso wrote: the file is damaged (copy it again) or was "
            f"edited by another program (if on purpose, delete its attribute '{CHECKSUM}')",
        )
    return ds


def _plain(ds: xr.Dataset) -> xr.Dataset:
    """Undo what the way through HDF5 does to types: numpy attributes, object labels."""
    for attrs in [ds.attrs, *(v.attrs for v in ds.variables.values())]:
        for key, value in attrs.items():
            if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.size == 1):
                attrs[key] = value.item()
    for name, variable in ds.variables.items():
        if variable.dtype.kind in "OT" and name in ds.coords:
            labels = np.array([str(v) for v in variable.values.ravel()]).reshape(variable.shape)
            ds = ds.assign_coords({name: (variable.dims, labels, variable.attrs)})
    return ds.drop_encoding()


def _checked(ds: xr.Dataset, path: Path) -> xr.Dataset:
    try:
        check_map(ds)
    except ValueError as err:
        ds.close()
        raise FormatError(
            path,
            None,
            f"this is netCDF, but not a map that lliso can use: {err}. Build one with "
            "lliso.make_map(counts, species, x=x, y=y) and save it with lliso.write_map",
        ) from err
    missing = {k: v for k, v in DEFAULT_ATTRS.items() if k not in ds.attrs}
    if not missing and ds.attrs["map_id"]:
        return ds
    ds = ds.assign_attrs(missing)
    if not ds.attrs["map_id"]:
        ds.attrs["map_id"] = hash_of_files([(path.name, path.read_bytes())])
    if ds.attrs["source"] == DEFAULT_ATTRS["source"]:
        ds.attrs["source"] = path.name
    if ds.attrs["history"]:
        return ds
    return add_history(ds, f"read {path.name} as netcdf; attributes filled: {', '.join(missing)}")


def _checksum(ds: xr.Dataset) -> str:
    """CRC-32 of names, dimensions, types, values and attributes, in a fixed order."""
    crc = 0
    for name in sorted(ds.variables, key=str):
        variable = ds.variables[name]
        values = np.ascontiguousarray(variable.values)
        values = values.astype(values.dtype.newbyteorder("<"), copy=False)
        kind = "text" if values.dtype.kind in "UOT" else values.dtype.str
        facts = [str(name), name in ds.coords, list(map(str, variable.dims)), kind, values.shape]
        crc = zlib.crc32(json.dumps([*facts, _sorted(variable.attrs)]).encode(), crc)
        if kind == "text":
            crc = zlib.crc32(json.dumps([str(v) for v in values.ravel()]).encode(), crc)
        else:
            crc = zlib.crc32(values.tobytes(), crc)
    attrs = {k: v for k, v in ds.attrs.items() if k != CHECKSUM}
    return f"{zlib.crc32(json.dumps(_sorted(attrs)).encode(), crc):08x}"


def _sorted(attrs: dict[Any, Any]) -> list[list[str]]:
    def text(value: Any) -> str:
        return repr(value.item() if isinstance(value, np.generic) else value)

    return sorted([str(k), text(v)] for k, v in attrs.items())


READER = Reader(
    name="netcdf",
    description=f"netCDF-4 with {COUNTS}(species, [frame], y, x): lliso's own format, lossless",
    extensions=(".nc", ".nc4"),
    sniff=sniff,
    read=read,
    seen=True,
)

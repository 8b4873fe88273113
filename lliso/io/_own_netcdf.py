"""netCDF-4 files that lliso wrote and sealed, read with h5py alone.

Their bytes are those that were written, so what is in them is known, and there is nothing to look
out for. That takes a third of the time of xarray with h5netcdf. What a sealed file may hold beyond
what is read here (groups, coordinates of two dimensions with a name of one) is left to those.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

#: attributes by which HDF5 and netCDF-4 keep dimensions, of no meaning for the map
_BOOKKEEPING = {
    "CLASS",
    "NAME",
    "REFERENCE_LIST",
    "DIMENSION_LIST",
    "_Netcdf4Dimid",
    "_Netcdf4Coordinates",
    "_NCProperties",
}
_NO_VALUES = b"This is a netCDF dimension but not a netCDF variable"


def read(path: Path) -> xr.Dataset | None:
    """Return what is in a sealed file as xarray would; None if it is not as simple as most."""
    import h5py
    import xarray as xr

    variables: dict[Any, Any] = {}
    with h5py.File(path, "r") as file:
        for name, item in file.items():
            if not isinstance(item, h5py.Dataset):
                return None
            scale = h5py.h5ds.is_scale(item.id)
            if scale and item.attrs.get("NAME", b"").startswith(_NO_VALUES):
                continue
            if scale and item.ndim > 1:
                return None
            dims = (name,) if scale else tuple(_name(axis) for axis in item.dims)
            text = h5py.check_string_dtype(item.dtype) is not None
            values = np.asarray(item.asstr()[()], dtype=str) if text else item[()]
            variables[name] = (dims, values, _attributes(item))
        raw = xr.Dataset(variables, attrs=_attributes(file))
    return xr.decode_cf(raw, decode_times=False)


def _name(axis: Any) -> str:
    return str(axis[0].name).removeprefix("/")


def _attributes(item: Any) -> dict[str, Any]:
    return {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in item.attrs.items()
        if name not in _BOOKKEEPING
    }

"""Maps kept as they are, in netCDF or zarr: what is checked before writing and after reading."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.errors import FormatError
from lliso.schema import DEFAULT_ATTRS, add_history, check_map

if TYPE_CHECKING:
    import xarray as xr


def check_writable(ds: xr.Dataset) -> None:
    """Raise if `ds` is not a map, or would come back from a file as something else.

    Raises
    ------
    TypeError, ValueError
        If `ds` is not a map, or an attribute is not a plain string or number.
    """
    check_map(ds)
    for name, attrs in [("the map", ds.attrs), *((n, v.attrs) for n, v in ds.variables.items())]:
        _check_attrs(name, attrs)


def _check_attrs(owner: Hashable, attrs: dict[Any, Any]) -> None:
    for key, value in attrs.items():
        fine = isinstance(value, (str, int, float, np.integer, np.floating))
        if isinstance(value, bool) or not fine:
            raise TypeError(
                f"attribute {key!r} of {owner} must be a plain string or number, got "
                f"{type(value).__name__}; use 0 or 1, or text"
            )


def plain(ds: xr.Dataset) -> xr.Dataset:
    """Undo what a file does to types: numpy attributes, object labels.

    References into the file mean nothing outside it, and cannot be copied: they are left out.
    """
    for attrs in [ds.attrs, *(v.attrs for v in ds.variables.values())]:
        for key, value in list(attrs.items()):
            if not _has_meaning(value):
                del attrs[key]
            elif isinstance(value, np.generic) or (
                isinstance(value, np.ndarray) and value.size == 1
            ):
                attrs[key] = value.item()
    for name, variable in ds.variables.items():
        if variable.dtype.kind in "OT" and name in ds.coords:
            labels = np.array([str(v) for v in variable.values.ravel()]).reshape(variable.shape)
            ds = ds.assign_coords({name: (variable.dims, labels, variable.attrs)})
    return ds.drop_encoding()


def _has_meaning(value: Any) -> bool:
    """Tell texts and numbers, one or many, from whatever else a file may hold."""
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind != "O":
        return value.dtype.kind in "iufcbSUT"
    many = value.ravel().tolist() if isinstance(value, np.ndarray) else value
    return all(
        isinstance(v, (str, bytes, int, float, np.number))
        for v in (many if isinstance(many, (list, tuple)) else [many])
    )


def checked(ds: xr.Dataset, path: Path, reader: str, map_id: Callable[[], str]) -> xr.Dataset:
    """Return a map with all the attributes of the schema; `map_id` finds its own if it has none.

    Raises
    ------
    FormatError
        If `ds` is not a map.
    """
    try:
        check_map(ds)
    except ValueError as err:
        ds.close()
        raise FormatError(
            path,
            None,
            f"this is {reader}, but not a map that lliso can use: {err}. Build one with "
            "lliso.make_map(counts, species, x=x, y=y) and save it with lliso.write_map",
        ) from err
    missing = {k: v for k, v in DEFAULT_ATTRS.items() if k not in ds.attrs}
    if not missing and ds.attrs["map_id"]:
        return ds
    ds = ds.assign_attrs(missing)
    if not ds.attrs["map_id"]:
        ds.attrs["map_id"] = map_id()
    if ds.attrs["source"] == DEFAULT_ATTRS["source"]:
        ds.attrs["source"] = path.name
    if ds.attrs["history"]:
        return ds
    return add_history(ds, f"read {path.name} as {reader}; attributes filled: {', '.join(missing)}")

"""Series of activated quantities, checked: what an Arrhenius plot is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso._types import FloatArray
from lliso.fit.activated import checked_points, name_and_unit
from lliso.fit.transport import boundary_part

if TYPE_CHECKING:
    import xarray as xr

#: temperatures within this (K) are one point: what a file rounds
SAME = 1e-6


@dataclass(frozen=True, eq=False)
class Series:
    """Points of one activated quantity; `parents` where it is a boundary's part of two others.

    Attributes
    ----------
    temperature, value : numpy.ndarray, shape (n,)
        K and `unit`; the value is NaN where there is only a limit.
    std : numpy.ndarray or None
    unit : str
    parents : (str, str) or None
        Names of the series of D_eff and D_bulk.
    simulated : bool
    """

    temperature: FloatArray
    value: FloatArray
    std: FloatArray | None
    unit: str = "cm2/s"
    parents: tuple[str, str] | None = None
    simulated: bool = False


def read_series(
    series: xr.Dataset | Mapping[str, tuple[Any, ...]],
    boundaries: Mapping[str, tuple[str, str]] | None = None,
) -> dict[str, Series]:
    """Check series, and add the parts of the boundaries.

    Parameters
    ----------
    series : xarray.Dataset or mapping of str to (temperature, value[, std])
        K or with unit; a Dataset holds ``name`` and ``name_std`` along ``temperature``. A value
        that is a DataArray brings its unit.
    boundaries : mapping of str to (str, str), optional
        Names of l P = (1/D_eff − 1/D_bulk)⁻¹, and the series of D_eff and D_bulk it is made of.

    Returns
    -------
    dict of str to Series

    Raises
    ------
    ValueError
        If there is no series, its numbers make no sense, or those of a boundary are not there or
        not of the same temperatures.
    """
    found: dict[str, Series] = {}
    simulated = int(getattr(series, "attrs", {}).get("simulated", 0)) == 1
    for name, given in _pairs(series).items():
        if len(given) not in (2, 3):
            raise ValueError(f"the series {name!r} must be (temperature, value, std)")
        t, v, cov = checked_points(*given)
        order = np.argsort(t, kind="stable")
        std = None if cov is None else (v * np.sqrt(np.diag(cov)))[order]
        unit = name_and_unit(given[1], name, "cm2/s")[1]
        found[name] = Series(t[order], v[order], std, unit, None, simulated)
    if not found:
        raise ValueError("an Arrhenius plot needs at least one series, got none")
    for name, parents in (boundaries or {}).items():
        missing = [p for p in parents if p not in found]
        if missing or len(parents) != 2:
            raise ValueError(
                f"the boundary {name!r} must be made of two of {', '.join(found)}, got {parents}"
            )
        total, bulk = (found[p] for p in parents)
        same = total.temperature.shape == bulk.temperature.shape
        if not same or not np.allclose(total.temperature, bulk.temperature, atol=SAME):
            raise ValueError(f"{parents[0]!r} and {parents[1]!r} must be of the same temperatures")
        if total.std is None or bulk.std is None:
            raise ValueError(f"the boundary {name!r} needs the errors of {' and '.join(parents)}")
        part = boundary_part(total.temperature, total.value, bulk.value, total.std, bulk.std)
        value, std = part["boundary"].values, part["boundary_std"].values
        found[name] = Series(total.temperature, value, std, total.unit, parents, simulated)
    return found


def _pairs(series: xr.Dataset | Mapping[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    ds: Any = series  # a Dataset is a mapping too
    if not hasattr(ds, "data_vars"):
        return {str(k): tuple(v) for k, v in series.items()}
    t = ds["temperature"]
    found: dict[str, tuple[Any, ...]] = {}
    for name in map(str, ds.data_vars):
        if not name.endswith("_std") and ds[name].dims == ("temperature",):
            std = (ds[f"{name}_std"],) if f"{name}_std" in ds else ()
            found[name] = (t, ds[name], *std)
    return found

"""The table of a network after an edit: only what the edit changed is fitted again."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from lliso.fit.network import fit_network, interior_pixels
from lliso.fit.patch import PatchImage
from lliso.fit.table import BOUNDARY
from lliso.fit.window import guard_length
from lliso.maps.grains import COLUMNS


def refit_network(
    ds: xr.Dataset,
    network: xr.Dataset,
    before: xr.Dataset,
    table: xr.Dataset,
    *,
    resolution: float = 1.0,
    **options: Any,
) -> xr.Dataset:
    """Fit an edited network, taking from a table what is as it was.

    Parameters
    ----------
    ds : xarray.Dataset
        The map.
    network : xarray.Dataset
        The network after the edit.
    before : xarray.Dataset
        The network before it.
    table : xarray.Dataset
        `lliso.fit_network` of `before`, with the same options.
    resolution : float
        Full width at half maximum of the point spread function in µm.
    **options
        Of `lliso.fit_network`; ``mean_slope`` is that of `table`, so that an edit changes no row
        but those of the grains it touches.

    Returns
    -------
    xarray.Dataset
        The same, to the last digit, as ``fit_network(ds, network, mean_slope=table.attrs[
        "mean_slope_per_cm"], ...)``.

    Raises
    ------
    ValueError
        As `lliso.fit_network`.
    """
    slope = float(table.attrs["mean_slope_per_cm"])
    kept = _unchanged(network, before, guard_length(PatchImage.from_map(ds).pitch, resolution))
    fresh = np.flatnonzero(kept < 0)
    more: dict[str, Any] = {"resolution": resolution, "mean_slope": slope, **options}
    if fresh.size == kept.size:
        return fit_network(ds, network, **more)
    old = table.isel({BOUNDARY: kept[kept >= 0]})
    found = old
    if fresh.size:
        new = fit_network(ds, network.isel({BOUNDARY: fresh}), **more)
        found = xr.Dataset(
            {
                k: (BOUNDARY, np.concatenate([old[k].values, new[k].values]), old[k].attrs)
                for k in map(str, table.data_vars)
            }
        )
    order = np.argsort(np.concatenate([np.flatnonzero(kept >= 0), fresh]))
    found = found.isel({BOUNDARY: order}).assign_coords({BOUNDARY: network[BOUNDARY].values})
    return found.assign_attrs({**table.attrs, "found_from": str(network.attrs["found_from"])})


def _unchanged(network: xr.Dataset, before: xr.Dataset, guard: float) -> np.ndarray[Any, Any]:
    """For every boundary the number of the same one before, or −1: its row, its grains' pixels."""
    new, old = interior_pixels(network, guard), interior_pixels(before, guard)
    same = {g for g, pixels in new.items() if g in old and np.array_equal(pixels, old[g])}
    keys = [
        list(zip(*(n[k].values.tolist() for k in COLUMNS), strict=True)) for n in (network, before)
    ]
    known = {key: i for i, key in enumerate(keys[1])}
    at = [list(COLUMNS).index(k) for k in ("grain1", "grain2")]
    return np.array(
        [known.get(key, -1) if {key[i] for i in at} <= same else -1 for key in keys[0]], dtype=int
    )

"""The same boundaries at several times: one P each, and a test whether it stayed the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from lliso.fit.boundaries import fit_boundaries
from lliso.fit.joint import CommonRatio, combine_ratios
from lliso.fit.table import BOUNDARY
from lliso.fit.uncertainty import MEASURED
from lliso.units import CM_PER_NM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lliso.maps.picks import Picks

STAGE = "stage"


def fit_stages(
    maps: Sequence[xr.Dataset],
    picks: Picks,
    *,
    d_bulk: float | str,
    delta: float | str = "0.5 nm",
    resolution: float = 1.0,
    level: float = 0.95,
) -> xr.Dataset:
    """Fit the picked boundaries on several maps of one place, with one P per boundary.

    Steps and slopes differ from stage to stage, their ratio does not. What the stages say together
    narrows the interval; whether they agree is a check that no single map can give.

    Parameters
    ----------
    maps : sequence of xarray.Dataset
        Maps of the same place, e.g. after the exchange and after storage.
    picks : Picks
        Cuts and boundaries, anchored to every map (`Picks.anchored_to`).
    d_bulk, delta, resolution, level
        See `lliso.fit_boundaries`.

    Returns
    -------
    xarray.Dataset
        Along ``boundary``: ``permeability`` (cm/s, NaN unless measured), ``permeability_low``,
        ``permeability_high``, ``verdict``, ``d_gb`` (cm²/s) with its limits, ``p_value`` (of
        stages that differ as much if P is the same), ``n_stages``; along (``stage``,
        ``boundary``): ``step``, ``slope`` (1/cm) and their errors.

    Raises
    ------
    PicksMismatch
        If the picks were made on another map.
    ValueError
        If there are fewer than two maps, or as in `lliso.fit_boundaries`.
    """
    if len(maps) < 2:
        raise ValueError(f"a fit of stages needs at least 2 maps, got {len(maps)}")
    tables = [
        fit_boundaries(ds, picks, d_bulk=d_bulk, delta=delta, resolution=resolution, level=level)
        for ds in maps
    ]
    stages = [str(t.attrs["stage"]) or str(i + 1) for i, t in enumerate(tables)]
    names = ["step", "step_std", "slope", "slope_std", "step_slope_correlation"]
    joined = xr.concat([t[names] for t in tables], dim=STAGE, join="exact").assign_coords(
        {STAGE: stages}
    )
    common = [_common(joined.isel({BOUNDARY: i}), level) for i in range(joined.sizes[BOUNDARY])]
    return _with_common(joined, common, tables[0].attrs)


def _common(one: xr.Dataset, level: float) -> CommonRatio | None:
    estimates = []
    for i in range(one.sizes[STAGE]):
        at = {name: float(one[name][i]) for name in one.data_vars}
        off = at["step_slope_correlation"] * at["step_std"] * at["slope_std"]
        covariance = np.array([[at["step_std"] ** 2, off], [off, at["slope_std"] ** 2]])
        estimates.append((at["step"], at["slope"], covariance))
    if not any(np.isfinite(s) for s, _, _ in estimates):
        return None
    return combine_ratios(estimates, level)


def _with_common(
    joined: xr.Dataset, common: list[CommonRatio | None], attrs: dict[str, object]
) -> xr.Dataset:
    d_bulk, delta = float(attrs["d_bulk_cm2_per_s"]), float(attrs["delta_nm"])  # type: ignore[arg-type]
    low, high, value, p_value, n, verdict = [], [], [], [], [], []
    for one in common:
        kind = "failed" if one is None else one.interval.kind
        verdict.append(kind)
        low.append(np.nan if one is None else one.interval.low * d_bulk)
        high.append(np.nan if one is None else one.interval.high * d_bulk)
        value.append(one.ratio * d_bulk if one is not None and kind == MEASURED else np.nan)
        p_value.append(np.nan if one is None else one.p_value)
        n.append(0 if one is None else one.n)
    columns = {
        "permeability": (value, "cm/s", "P = D_gb/delta, common to all stages"),
        "permeability_low": (low, "cm/s", "lower limit at the stated level"),
        "permeability_high": (high, "cm/s", "upper limit at the stated level"),
        "verdict": (verdict, "", "as in the table of one map"),
        "p_value": (p_value, "1", "probability of stages that differ as much if P is one"),
        "n_stages": (n, "1", "stages that could be used"),
    }
    for name, (values, unit, long_name) in columns.items():
        joined[name] = (BOUNDARY, np.array(values), {"units": unit, "long_name": long_name})
    for end in ("", "_low", "_high"):
        joined[f"d_gb{end}"] = joined[f"permeability{end}"] * (delta * CM_PER_NM)
        joined[f"d_gb{end}"].attrs = {"units": "cm^2/s", "long_name": "D_gb = P delta"}
    kept = ("d_bulk_cm2_per_s", "d_bulk_relative_std", "delta_nm", "level", "simulated")
    return joined.assign_attrs({name: attrs[name] for name in kept})

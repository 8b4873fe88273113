"""The table of results: one row per boundary, with units, intervals, verdicts and flags."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy.special import ndtri

from lliso.fit.patch import PatchFit
from lliso.fit.two_grains import TwoGrainPatch
from lliso.fit.uncertainty import MEASURED, RatioSet, ratio_set
from lliso.maps.picks import Picks
from lliso.units import CM_PER_NM, DIFFUSION, UM_PER_CM, parse_quantity

if TYPE_CHECKING:
    import pandas as pd

    from lliso.fit.boundary import BoundaryFit

BOUNDARY = "boundary"

#: what each flag of a row means
FLAGS = {
    "few_windows": "fewer than 3 windows tell how steep the grains are; mark more boundaries",
    "fit_failed": "no result; the message says why",
    "inconsistent_sign": "slope and step have opposite signs beyond their errors: no P fits",
    "paper2024": "two quadratics with first-order errors: for comparison only",
    "poor_fit": "the residuals are larger than counting allows (p < 0.001)",
    "position_off": "the step lies elsewhere than the pick; a fit on pixels went there",
    "step_not_significant": "the step is smaller than twice its error",
}

#: column -> (unit, what it is)
COLUMNS = {
    "cut": ("", "line cut"),
    "x": ("um", "boundary on the cut's axis, x"),
    "y": ("um", "boundary on the cut's axis, y"),
    "position": ("um", "distance along the cut"),
    "position_std": ("um", "its standard error, where it was fitted"),
    "step": ("1", "step of the isotope fraction along the normal, away from the source"),
    "step_std": ("1", "its standard error"),
    "slope": ("1/cm", "gradient at the boundary along the normal, away from the source"),
    "slope_std": ("1/cm", "its standard error"),
    "step_slope_correlation": ("1", "correlation of step and slope"),
    "permeability": ("cm/s", "P = D_gb/delta; NaN unless the verdict is measured"),
    "permeability_low68": ("cm/s", "Fieller set at 68 %, lower limit"),
    "permeability_high68": ("cm/s", "Fieller set at 68 %, upper limit"),
    "permeability_low": ("cm/s", "Fieller set at the stated level, lower limit"),
    "permeability_high": ("cm/s", "Fieller set at the stated level, upper limit"),
    "verdict": ("", "measured, upper_limit, lower_limit, not_measurable or inconsistent_sign"),
    "d_gb": ("cm^2/s", "D_gb = P delta"),
    "d_gb_low": ("cm^2/s", "its lower limit at the stated level"),
    "d_gb_high": ("cm^2/s", "its upper limit at the stated level"),
    "delta": ("nm", "boundary thickness assumed"),
    "slope_share": ("1", "share of the variance of ln P that would vanish, were the slope known"),
    "chi2_red": ("1", "reduced chi-square against the counting errors"),
    "p_value": ("1", "probability of a larger chi-square"),
    "n_slices": ("1", "slices used (pixels, where pixels were fitted)"),
    "guard": ("um", "guard band"),
    "tilt": ("degree", "angle between cut and boundary normal"),
    "flags": ("", "reasons for care, separated by blanks"),
}


@dataclass(frozen=True)
class Constants:
    """What the table needs besides the fits: D_bulk (cm²/s), δ (nm), the confidence level."""

    d_bulk: float
    d_bulk_std: float
    delta: float
    level: float

    @classmethod
    def parse(
        cls, d_bulk: float | str, d_bulk_std: float | str, delta: float | str, level: float
    ) -> Constants:
        """Read and check the constants.

        Raises
        ------
        ValueError
            If one is not positive, of the wrong dimension, or the level is not a probability.
        """
        bulk = parse_quantity(d_bulk, DIFFUSION, "d_bulk")
        std = parse_quantity(d_bulk_std, DIFFUSION, "d_bulk_std")
        thickness = parse_quantity(delta, "nm", "delta")
        if not bulk > 0:
            raise ValueError(f"d_bulk must be positive, got {bulk:g} cm^2/s")
        if not std >= 0:
            raise ValueError(f"d_bulk_std must not be negative, got {std:g} cm^2/s")
        if not thickness > 0:
            raise ValueError(f"delta must be positive, got {thickness:g} nm")
        if not 0 < level < 1:
            raise ValueError(f"level must be between 0 and 1, got {level:g}")
        return cls(bulk, std, thickness, level)


def boundary_table(
    fits: Sequence[BoundaryFit],
    picks: Picks,
    profiles: Mapping[str, xr.Dataset],
    constants: Constants,
) -> xr.Dataset:
    """Tabulate fits.

    Parameters
    ----------
    fits : sequence of BoundaryFit
        One per boundary of `picks`, in order.
    picks : Picks
        The picks that were fitted.
    profiles : mapping of str to xarray.Dataset
        The profiles by the cuts' names; their attributes say which map it was.
    constants : Constants
        D_bulk, δ and the confidence level.

    Returns
    -------
    xarray.Dataset
        The `COLUMNS` along ``boundary``, each with ``units`` and ``long_name``; the attributes name
        the map, its stage and the constants. ``step`` and ``slope`` point away from the source
        (growing y) and are corrected for the tilt of the cut.
    """
    rows = [boundary_row(fit, picks, constants) for fit in fits]
    table = xr.Dataset(coords={BOUNDARY: [fit.name for fit in fits]})
    for name, (unit, long_name) in COLUMNS.items():
        values = np.array([row[name] for row in rows])
        table[name] = (BOUNDARY, values, {"units": unit, "long_name": long_name})
    profile_attrs = next(iter(profiles.values())).attrs
    return table.assign_attrs(
        map_id=profile_attrs.get("map_id", ""),
        stage=profile_attrs.get("stage", ""),
        simulated=profile_attrs.get("simulated", 0),
        d_bulk_cm2_per_s=constants.d_bulk,
        d_bulk_relative_std=constants.d_bulk_std / constants.d_bulk,
        delta_nm=constants.delta,
        level=constants.level,
    )


def boundary_row(fit: BoundaryFit, picks: Picks, constants: Constants) -> dict[str, Any]:
    """Return the `COLUMNS` of one picked boundary, in the units stated there."""
    pick = picks.boundary(fit.name)
    cut = picks.cut(pick.cut)
    if isinstance(fit, PatchFit) and fit.success:
        x, y = fit.place
        position = cut.project(x, y)[0]
        ux, uy = cut.direction
        tilt = math.degrees(
            math.atan2(
                uy * fit.normal[0] - ux * fit.normal[1], ux * fit.normal[0] + uy * fit.normal[1]
            )
        )
        cosine = 1.0  # the patch looks along the normal
    else:
        position, tilt = fit.parameters["position"], pick.tilt
        x, y = cut.point(position)
        cosine = math.cos(math.radians(tilt))
    return {
        "cut": pick.cut,
        "x": x,
        "y": y,
        "position": position,
        "position_std": fit.position_std,
        "tilt": tilt,
        **result_columns(fit, constants, outwards=cut.outwards, cosine=cosine),
    }


def result_columns(
    fit: BoundaryFit, constants: Constants, *, outwards: float = 1.0, cosine: float = 1.0
) -> dict[str, Any]:
    """Return the columns that do not depend on how the boundary was marked.

    Parameters
    ----------
    fit : BoundaryFit
        The fit.
    constants : Constants
        D_bulk, δ and the confidence level.
    outwards : float
        1 if the fit's direction points away from the source, -1 if towards it.
    cosine : float
        Of the angle between the fit's direction and the boundary's normal: a cut tilted by psi
        sees the gradient along the normal shortened by cos(psi).

    Returns
    -------
    dict
    """
    per_cm = outwards * UM_PER_CM / cosine
    step, slope = outwards * fit.parameters["step"], per_cm * fit.parameters["slope"]
    scale = np.diag([outwards, per_cm])
    covariance = scale @ fit.covariance @ scale
    step_std, slope_std = np.sqrt(np.diag(covariance))
    sigma = _confidence_set(fit, step, slope, covariance, constants.d_bulk, 0.6827)
    found = _confidence_set(fit, step, slope, covariance, constants.d_bulk, constants.level)
    verdict = found.kind if fit.success else "failed"
    permeability = constants.d_bulk * slope / step if verdict == MEASURED else np.nan
    to_d_gb = constants.delta * CM_PER_NM
    flags = (*fit.flags, verdict) if verdict == "inconsistent_sign" else fit.flags
    return {
        "step": step,
        "step_std": step_std,
        "slope": slope,
        "slope_std": slope_std,
        "step_slope_correlation": covariance[0, 1] / (step_std * slope_std),
        "permeability": permeability,
        "permeability_low68": sigma.low,
        "permeability_high68": sigma.high,
        "permeability_low": found.low,
        "permeability_high": found.high,
        "verdict": verdict,
        "d_gb": permeability * to_d_gb,
        "d_gb_low": found.low * to_d_gb,
        "d_gb_high": found.high * to_d_gb,
        "delta": constants.delta,
        "slope_share": _slope_share(step, slope, covariance),
        "chi2_red": fit.chi2_red,
        "p_value": fit.p_value,
        "n_slices": fit.n_slices,
        "guard": fit.guard,
        "flags": " ".join(flags),
    }


def _confidence_set(
    fit: BoundaryFit, step: float, slope: float, covariance: Any, d_bulk: float, level: float
) -> RatioSet:
    """Return the confidence set of P in cm/s, by the way that belongs to the fit."""
    if isinstance(fit, TwoGrainPatch):
        found = fit.likelihood.interval(level)
        return RatioSet(found.low * d_bulk * UM_PER_CM, found.high * d_bulk * UM_PER_CM, found.kind)
    if "paper2024" in fit.flags:
        return _first_order(step, slope, covariance, d_bulk, float(ndtri(0.5 + level / 2)))
    found = ratio_set(slope, step, covariance[1, 1], covariance[0, 0], covariance[0, 1], level)
    return RatioSet(found.low * d_bulk, found.high * d_bulk, found.kind)


def _first_order(step: float, slope: float, covariance: Any, d_bulk: float, z: float) -> RatioSet:
    """First-order error propagation, which the paper's recipe implies; may reach below zero."""
    ratio = d_bulk * slope / step
    gradient = ratio * np.array([-1.0 / step, 1.0 / slope])
    std = float(np.sqrt(gradient @ covariance @ gradient))
    return RatioSet(ratio - z * std, ratio + z * std, MEASURED)


def _slope_share(step: float, slope: float, covariance: Any) -> float:
    if step == 0 or slope == 0:  # every slice alike, as where one isotope was never counted
        return float(np.nan)
    relative = covariance / np.outer([step, slope], [step, slope])
    total = relative[0, 0] + relative[1, 1] - 2 * relative[0, 1]
    of_step_alone = relative[0, 0] - relative[0, 1] ** 2 / relative[1, 1]
    return float(1 - of_step_alone / total)


def table_frame(table: xr.Dataset) -> pd.DataFrame:
    """Turn a table into a pandas DataFrame whose column names carry the units.

    Examples
    --------
    >>> t = xr.Dataset({"guard": ("boundary", [2.0], {"units": "um"})}, {"boundary": ["1"]})
    >>> list(table_frame(t).columns)
    ['guard (um)']
    """
    frame = table.to_dataframe()
    names = {}
    for name in frame.columns:
        unit = table[name].attrs.get("units", "")
        names[name] = name if unit in ("", "1") else f"{name} ({unit})"
    return frame.rename(columns=names)

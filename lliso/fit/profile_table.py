"""Results of fits to long-range profiles as one tidy Dataset, and what its flags mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy.special import chdtrc, ndtr, ndtri, stdtrit

from lliso._types import FloatArray
from lliso.fit.curve import CurveFit
from lliso.fit.parameters import INVERSE, LINEAR, Layout, Slot
from lliso.fit.profiles import Profile

#: what each flag of a result means; `*_at_bound` carries the parameter's name
FLAGS = {
    "at_bound": "a parameter ended at the limit of what it may be: no value",
    "boundary_not_seen": "D_eff is not below D_bulk beyond its error: P has a lower limit only",
    "d_falls_with_temperature": "D falls with temperature; are the temperatures in K?",
    "large_spread": "the local spread is above 0.05, more than grains make: wrong shape or level",
    "level_ambiguous": "several liquid levels between the points fit: the errors hold all of them",
    "level_off": "x0 was held, but the data put it elsewhere by more than 3 standard errors",
    "level_outside_data": "the liquid level lies outside the measured positions",
    "li6_drift": "the amount of 6Li changes between stages by more than 3 standard errors",
    "local_spread": "places at one distance differ by more than counting; the errors include it",
    "no_barrier": "no surface barrier is seen: k has a lower limit only",
    "no_gradient": "the fraction is the same everywhere within its errors: nothing to fit",
    "not_converged": "the fit did not settle: no values",
    "points_dropped": "points without counts were left out",
    "poor_fit": "the residuals are larger than counting allows (p < 0.001)",
    "residuals_correlated": "neighbouring residuals are alike: the curve has another shape",
    "singular_covariance": "the data leave at least one parameter open: no values",
}
FATAL = ("no_gradient", "not_converged", "singular_covariance")
#: residuals whose neighbours correlate beyond this many standard errors show another shape
_CORRELATED = 3.5
_LARGE_SPREAD = 0.05


@dataclass(frozen=True)
class Derived:
    """A quantity computed from the parameters: its name, unit, value and derivatives by them."""

    name: str
    unit: str
    value: float
    gradient: FloatArray  # by all reported parameters


def check_level(level: float) -> float:
    """Return the normal quantile of a two-sided confidence level.

    Raises
    ------
    ValueError
        If it is not between 0 and 1.

    Examples
    --------
    >>> round(check_level(0.95), 3)
    1.96
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level:g}")
    return float(ndtri(0.5 + 0.5 * level))


def fit_flags(fit: CurveFit, layout: Layout, profiles: Sequence[Profile]) -> list[str]:
    """Return the flags that every kind of curve can have.

    Parameters
    ----------
    fit : CurveFit
    layout : Layout
        The parameters.
    profiles : sequence of Profile
        What was fitted, in order.

    Returns
    -------
    list of str
    """
    flags = []
    free = [s for s in layout.slots if s.free]
    unseen = _one_sided(fit, layout)
    for i, (slot, held) in enumerate(zip(free, fit.at_bound, strict=True)):
        if int(layout.moving[i]) in unseen:
            barrier = slot.name.partition("[")[0] == "k"
            flags.append("no_barrier" if barrier else "boundary_not_seen")
        elif held:
            flags.append(f"{slot.name.replace(' ', '_')}_at_bound")
    if fit.singular:
        flags.append("singular_covariance")
    if not fit.converged:
        flags.append("not_converged")
    if fit.spread > 0 and fit.spread > 2.0 * fit.spread_std:
        flags.append("local_spread")
    if fit.spread > _LARGE_SPREAD:
        flags.append("large_spread")
    p = _p_value(fit)
    if p < 1e-3 and fit.spread == 0:
        flags.append("poor_fit")
    if abs(_neighbours(fit, profiles)) > _CORRELATED:
        flags.append("residuals_correlated")
    if any(p.dropped for p in profiles):
        flags.append("points_dropped")
    return flags


def _one_sided(fit: CurveFit, layout: Layout) -> list[int]:
    """Return which of the parameters have a lower limit only: 1/k or 1/P is not above 0."""
    return [
        int(i)
        for i, value, variance, held in zip(
            layout.moving, fit.value, np.diag(fit.covariance), fit.at_bound, strict=True
        )
        if layout.slots[i].form == INVERSE and (held or value < 2.0 * np.sqrt(variance))
    ]


def _p_value(fit: CurveFit) -> float:
    return float(chdtrc(fit.dof, fit.chi2)) if fit.dof > 0 else np.nan


def _neighbours(fit: CurveFit, profiles: Sequence[Profile]) -> float:
    """Products of neighbouring residuals, in units of what independent ones add up to."""
    z = fit.state.residual / fit.std
    products, first = [], 0
    for profile in profiles:
        part = z[first : first + profile.position.size]
        products.append(part[1:] * part[:-1])
        first += profile.position.size
    product = np.concatenate(products)
    return float(product.sum() / np.sqrt(max(1, product.size)))


def profile_table(
    fit: CurveFit,
    layout: Layout,
    profiles: Sequence[Profile],
    *,
    flags: Sequence[str],
    level: float,
    derived: Sequence[Derived] = (),
    variables: Mapping[str, Any] | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Tabulate a fit.

    Parameters
    ----------
    fit : CurveFit
    layout : Layout
        Its parameters.
    profiles : sequence of Profile
        What was fitted, in order.
    flags : sequence of str
        See `FLAGS`.
    level : float
        Confidence level of the limits.
    derived : sequence of Derived
        Quantities to add to the parameters.
    variables : mapping, optional
        Variables to add.
    attrs : mapping, optional
        Attributes to add.

    Returns
    -------
    xarray.Dataset
        ``value, stderr, low, high`` (by Student's law with ``student_dof``, because the local
        spread is estimated from few points) along ``param`` with ``unit``, ``fixed`` and
        ``covariance``; where only a lower limit is known, value and error are NaN, ``high`` is
        inf, and ``best`` is with what the curve is drawn;
        ``chi2_red_profile`` and ``n_points`` along ``profile``; ``position, fraction,
        fraction_std, curve, residual`` along ``point``; ``chi2, dof, chi2_red, p_value,
        local_spread, local_spread_stderr, success, flags``.
    """
    check_level(level)
    columns = _reported(fit, layout, level)
    names = [s.name for s in layout.slots]
    units = [s.unit for s in layout.slots]
    fixed = [not s.free for s in layout.slots]
    for item in derived:
        columns = _append(columns, item, fit, layout, level)
        names, units, fixed = [*names, item.name], [*units, item.unit], [*fixed, False]
    value, covariance, low, high, dof = columns
    best, stderr = value.copy(), np.sqrt(np.diag(covariance))
    one_sided = _one_sided(fit, layout)
    value[one_sided], stderr[one_sided], high[one_sided] = np.nan, np.nan, np.inf
    fatal = any(f in FATAL for f in flags)
    if fatal:
        free = ~np.array(fixed)
        for column in (value, best, stderr, low, high):
            column[free] = np.nan
        covariance[free], covariance[:, free] = np.nan, np.nan
    held = any(f.endswith("_at_bound") for f in flags)
    return xr.Dataset(
        {
            "value": ("param", value),
            "stderr": ("param", stderr),
            "best": ("param", best, {"long_name": "value of the drawn curve, no estimate"}),
            "low": ("param", low),
            "high": ("param", high),
            "student_dof": ("param", dof, {"long_name": "degrees of freedom of low and high"}),
            "covariance": (("param", "with_param"), covariance),
            **_statistics(fit, success=not (fatal or held), flags=flags),
            **_per_profile(fit, profiles),
            **_per_point(fit, profiles),
            **(variables or {}),
        },
        coords={
            "param": names,
            "with_param": names,
            "unit": ("param", units),
            "fixed": ("param", fixed),
            "profile": [p.name for p in profiles],
        },
        attrs={
            "level": level,
            "map_id": " ".join(str(p.attrs.get("map_id", "")) for p in profiles).strip(),
            "simulated": int(any(p.attrs.get("simulated", 0) == 1 for p in profiles)),
            **(attrs or {}),
        },
    )


def _reported(
    fit: CurveFit, layout: Layout, level: float
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Value, covariance, limits and degrees of freedom, in the units of the table."""
    numbers = layout.full(fit.value)
    k = len(layout.slots)
    inner = np.zeros((k, k))
    inner[np.ix_(layout.moving, layout.moving)] = fit.covariance
    value = np.array([s.reported(v) for s, v in zip(layout.slots, numbers, strict=True)])
    scale = np.array([s.derivative(v) for s, v in zip(layout.slots, numbers, strict=True)])
    scale[[not s.free for s in layout.slots]] = 1.0  # their variance is 0
    covariance = inner * np.outer(scale, scale)
    low, high, dof = value.copy(), value.copy(), np.full(k, np.inf)
    for j, i in enumerate(layout.moving):
        slot = layout.slots[i]
        dof[i] = fit.student_dof(np.eye(len(layout.moving))[j])
        z = _quantile(level, dof[i])
        low[i], high[i] = _limits(slot, numbers[i], z * np.sqrt(inner[i, i]))
        if np.isnan(inner[i, i]) and slot.form != INVERSE:
            value[i] = np.nan  # at a bound
        elif np.isnan(inner[i, i]):
            low[i], high[i] = slot.reported(_upper(fit, layout, i, z)), np.inf
    return value, covariance, low, high, dof


def _quantile(level: float, dof: float) -> float:
    """Half width of a two-sided interval in standard errors."""
    if np.isinf(dof):
        return float(ndtri(0.5 + 0.5 * level))
    return float(stdtrit(max(dof, 1.0), 0.5 + 0.5 * level))


def _upper(fit: CurveFit, layout: Layout, index: int, z: float) -> float:
    """Upper limit of a number held at 0, from the part above 0 of its normal distribution."""
    normal, at = fit.state.normal, int(np.flatnonzero(layout.moving == index)[0])
    try:
        inverse = np.linalg.inv(normal)
    except np.linalg.LinAlgError:
        return np.nan
    sigma = float(np.sqrt(inverse[at, at]))
    middle = float(inverse[at] @ fit.state.gradient) / sigma
    beyond = 1.0 - ndtr(z)  # one-sided, as the other limits are
    return sigma * (middle + float(ndtri(1.0 - beyond * ndtr(middle))))


def _limits(slot: Slot, number: float, half: float) -> tuple[float, float]:
    if np.isnan(half):
        return np.nan, np.nan
    ends = slot.reported(number - half), slot.reported(number + half)
    if slot.form == LINEAR and slot.unit == "1":
        ends = max(0.0, ends[0]), min(1.0, ends[1])
    return min(ends), max(ends)


def _append(
    columns: tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray],
    item: Derived,
    fit: CurveFit,
    layout: Layout,
    level: float,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    value, covariance, low, high, dof = columns
    gradient = np.concatenate([item.gradient, np.zeros(len(value) - item.gradient.size)])
    used = gradient != 0
    cross = covariance[:, used] @ gradient[used]
    own = float(gradient[used] @ covariance[np.ix_(used, used)] @ gradient[used])
    whole = np.block([[covariance, cross[:, None]], [cross[None, :], np.array([[own]])]])
    numbers = layout.full(fit.value)
    inner = [item.gradient[i] * layout.slots[i].derivative(numbers[i]) for i in layout.moving]
    freedom = fit.student_dof(np.nan_to_num(np.array(inner)))
    half = _quantile(level, freedom) * np.sqrt(own)
    if item.unit == "1":
        ends = max(0.0, item.value - half), min(1.0, item.value + half)
    else:  # a positive quantity: symmetric in its logarithm
        factor = float(np.exp(min(half / item.value, 700.0)))
        ends = item.value / factor, item.value * factor
    return (
        np.append(value, item.value),
        whole,
        np.append(low, ends[0]),
        np.append(high, ends[1]),
        np.append(dof, freedom),
    )


def _statistics(fit: CurveFit, *, success: bool, flags: Sequence[str]) -> dict[str, Any]:
    reduced = fit.chi2 / fit.dof if fit.dof > 0 else np.nan
    return {
        "chi2": ((), fit.chi2, {"long_name": "chi-square against counting"}),
        "dof": ((), fit.dof),
        "chi2_red": ((), reduced, {"long_name": "reduced chi-square against counting"}),
        "p_value": ((), _p_value(fit)),
        "local_spread": ((), fit.spread, {"long_name": "spread of C between places", "units": "1"}),
        "local_spread_stderr": ((), fit.spread_std, {"units": "1"}),
        "success": ((), success),
        "flags": ((), " ".join(flags)),
    }


def _per_profile(fit: CurveFit, profiles: Sequence[Profile]) -> dict[str, Any]:
    squared = (fit.state.residual / fit.counting_std) ** 2
    sizes = np.array([p.position.size for p in profiles])
    parts = np.add.reduceat(squared, np.concatenate([[0], np.cumsum(sizes)[:-1]]))
    share = fit.dof / squared.size
    with np.errstate(divide="ignore", invalid="ignore"):
        reduced = parts / (sizes * share)
    return {
        "chi2_red_profile": ("profile", reduced),
        "n_points": ("profile", sizes),
    }


def _per_point(fit: CurveFit, profiles: Sequence[Profile]) -> dict[str, Any]:
    um, one = {"units": "um"}, {"units": "1"}
    return {
        "position": ("point", np.concatenate([p.position for p in profiles]), um),
        "of_profile": (
            "point",
            np.repeat([p.name for p in profiles], [p.position.size for p in profiles]),
        ),
        "fraction": ("point", np.concatenate([p.fraction for p in profiles]), one),
        "fraction_std": ("point", fit.std, {**one, "long_name": "error with local spread"}),
        "counting_std": ("point", fit.counting_std, one),
        "curve": ("point", fit.curve, one),
        "residual": (
            "point",
            fit.state.residual / fit.std,
            {**one, "long_name": "in fraction_std"},
        ),
    }

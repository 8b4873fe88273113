"""The boundaries of a map as a population: the number that can be had where no single one can.

In grains of 16 µm the slope at one boundary is lost in the counting noise, but the slopes of all
boundaries together are proportional to their steps, dC/dn = ε ΔC with ε = P/D_bulk. Both are
uncertain and their errors correlated, so that the regression is corrected for the errors of the
variables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lliso._types import BoolArray, FloatArray
from lliso.fit.uncertainty import ratio_set
from lliso.units import DIFFUSION, UM_PER_CM, parse_quantity

if TYPE_CHECKING:
    import xarray as xr

#: share of the mean in-grain slope by which true slopes scatter about ε ΔC, because the field in a
#: grain is not one-dimensional (found in simulations): the floor of a slope's error as a weight
_STRUCTURE = 0.25
#: fewest boundaries for an estimate, and fewer than it takes for a sure interval
_FEWEST, _FEW = 10, 30
#: below this ratio of the steps' mean square to that of their errors the estimate is too high
_LEAST_EXCESS = 12.0

#: what each flag of an estimate means
FLAGS = {
    "few_boundaries": "fewer than 30 boundaries: the interval is itself uncertain",
    "low_counts": "steps are but a few times their errors: the estimate tends to be 5 % high",
    "no_steps": "the steps are not significant as a whole: no boundary resistance found",
    "short_boundaries": "too few long boundaries, so that short ones were used: 5 to 10 % low",
    "undetected_boundaries": "the network came from the counts: steps that were not found count as "
    "slope, and P may be off by 0.7 to 1.4, more than its interval says",
    "visible_steps_only": "boundaries were chosen by their steps: biased to low P (0.66 to 0.9)",
}


@dataclass(frozen=True)
class PopulationEstimate:
    """Permeability of a population of boundaries, weighted with the squares of their steps.

    Attributes
    ----------
    permeability, std : float
        P = D_bulk ε and its standard error, from the scatter of the boundaries, cm/s.
    low68, high68, low, high : float
        Fieller limits of P at 68 % and at `level`, cm/s. Without steps: a lower limit, and
        infinity.
    level : float
        Confidence level.
    n : int
        Boundaries used.
    step_excess : float
        Weighted mean of the squared steps over that of their variances: how far the steps rise
        above their own errors.
    d_bulk_relative_std : float
        Relative standard error of D_bulk, common to all boundaries, not in the limits.
    flags : tuple of str
        See `FLAGS`.
    """

    permeability: float
    std: float
    low68: float
    high68: float
    low: float
    high: float
    level: float
    n: int
    step_excess: float
    d_bulk_relative_std: float
    flags: tuple[str, ...]


def population_permeability(
    table: xr.Dataset,
    *,
    least_probability: float = 0.0,
    shortest: float = 8.0,
    chosen_by_step: bool = False,
    level: float = 0.95,
) -> PopulationEstimate:
    r"""Estimate the step²-weighted mean of P over the boundaries of a table.

    .. math:: \epsilon = \frac{\sum w (g s - \mathrm{cov}(g, s))}{\sum w (s^2 - \mathrm{var}\,s)}

    Parameters
    ----------
    table : xarray.Dataset
        Of `lliso.fit.network.fit_network` or `lliso.fit_boundaries`.
    least_probability : float
        Boundaries of the network less probable than this are left out. Leaving out by probability
        is choosing by step where the network came from counts alone: raises the flag.
    shortest : float
        Boundaries shorter than this, in µm, are left out where the table tells the lengths and 30
        longer ones are left (see Notes).
    chosen_by_step : bool
        Say so if the boundaries were picked where steps are visible.
    level : float
        Confidence level of ``low`` and ``high``.

    Returns
    -------
    PopulationEstimate

    Raises
    ------
    ValueError
        If fewer than ten boundaries of the table were fitted.

    Notes
    -----
    Boundaries with a low P have large steps: the mean weighted with step² is below the plain mean
    of P. The weights w are 1/(var g + structure²): beyond what a grain's own field allows a slope
    says no more of P for being measured better.

    The prior on the curvatures draws slopes to the mean of the map; single boundaries gain by it,
    a mean over many does not. `lliso.fit.network.fit_network` therefore tabulates step and slope
    under a prior three times as wide too (``step_wide`` and so on), and those are taken here.

    The field of a boundary of length ℓ differs from its surroundings' only within ℓ/π of it. Next
    to a short one all of that lies within the guards: its slope is read as that of the grains
    around, 0.75 to 0.85 of the true one for 3 to 7 µm. Hence `shortest`, four guards.

    Two boundaries of one grain share its counts and its field. So the errors are not those of a
    bootstrap that draws boundaries one by one; the terms of the two sums are added up over grains
    first, which is what a bootstrap over grains tends to, without its scatter. A term enters
    divided by one less its share of the sum, because the estimate leans towards each.

    References
    ----------
    W. A. Fuller, Measurement Error Models (Wiley 1987), section 1.2 (moment estimators).

    Examples
    --------
    >>> import xarray as xr
    >>> rng = np.random.default_rng(0)
    >>> s = rng.normal(-0.02, 0.01, 200)
    >>> data = {"step": s, "slope": 50 * s, "step_std": 0 * s + 1e-4, "slope_std": 0 * s + 1e-2,
    ...         "step_slope_correlation": 0 * s}
    >>> t = xr.Dataset({k: ("boundary", v) for k, v in data.items()}, attrs={
    ...     "d_bulk_cm2_per_s": 2e-8, "d_bulk_relative_std": 0.0, "mean_slope_per_cm": 1.0})
    >>> round(population_permeability(t).permeability * 1e6, 3)
    1.0
    """
    use = _usable(table, least_probability)
    flags = []
    if "length" in table:
        long = use & (table["length"].values >= shortest)
        if long.sum() >= _FEW:
            use = long
        elif long.sum() < use.sum():
            flags.append("short_boundaries")
    top, bottom, noise = _moments(table, use)
    n = int(use.sum())
    if n < _FEWEST:
        raise ValueError(f"a population needs at least {_FEWEST} fitted boundaries, got {n}")
    d_bulk = float(table.attrs["d_bulk_cm2_per_s"])
    a, b = float(top.sum()), float(bottom.sum())
    excess = float(b / noise.sum())
    if n < _FEW:
        flags.append("few_boundaries")
    if excess < _LEAST_EXCESS:
        flags.append("low_counts")
    if chosen_by_step or least_probability > 0:
        flags.append("visible_steps_only")
    if table.attrs.get("found_from") == "counts":
        flags.append("undetected_boundaries")
    covariance = _covariance(table, use, a / b if b > 0 else 0.0, top, bottom)
    found = [
        ratio_set(a, b, covariance[0, 0], covariance[1, 1], covariance[0, 1], q)
        for q in (0.6827, level)
    ]
    if b <= 2 * float(np.sqrt(covariance[1, 1])):
        flags.append("no_steps")
    ratio = a / b if "no_steps" not in flags else float("nan")
    gradient = np.array([1.0, -ratio]) / b
    return PopulationEstimate(
        permeability=d_bulk * ratio,
        std=float(d_bulk * np.sqrt(gradient @ covariance @ gradient)),
        low68=d_bulk * found[0].low,
        high68=d_bulk * found[0].high,
        low=d_bulk * found[1].low,
        high=d_bulk * found[1].high,
        level=level,
        n=n,
        step_excess=excess,
        d_bulk_relative_std=float(table.attrs.get("d_bulk_relative_std", 0.0)),
        flags=tuple(flags),
    )


def _usable(table: xr.Dataset, least_probability: float) -> BoolArray:
    """Tell which boundaries have a fit and are probable enough."""
    use = np.isfinite(table["slope"].values) & np.isfinite(table["step"].values)
    use &= (table["slope_std"].values > 0) & (table["step_std"].values > 0)
    if "probability" in table:
        use &= table["probability"].values >= least_probability
    return np.asarray(use)


def _names(table: xr.Dataset) -> tuple[str, ...]:
    """Return the columns to use: under the wide prior, where the table has them."""
    names = ("slope", "step", "slope_std", "step_std", "step_slope_correlation")
    wide = tuple(f"{n}_wide" for n in names)
    return wide if all(n in table for n in wide) else names


def _moments(table: xr.Dataset, use: BoolArray) -> FloatArray:
    """Return w (g s − cov), w (s² − var s) and w var s of the boundaries in `use`."""
    g, s, std_g, std_s, correlation = (table[k].values[use] for k in _names(table))
    slope = abs(float(table.attrs.get("mean_slope_per_cm", 0.0)))
    w = 1.0 / (std_g**2 + (_STRUCTURE * slope) ** 2)
    w = w / max(float(np.max(w, initial=0.0)), 1e-300)
    cov = correlation * std_g * std_s
    return np.stack([w * (g * s - cov), w * (s**2 - std_s**2), w * std_s**2])


def _covariance(
    table: xr.Dataset, use: BoolArray, ratio: float, top: FloatArray, bottom: FloatArray
) -> FloatArray:
    """Covariance of the two sums from the scatter of their terms, with grains in common.

    Two boundaries of one grain share its counts and its field: their terms go together. Each pair
    shares one grain, so that the sums over grains, less what they count twice, hold all pairs.
    """
    share = np.clip(bottom / max(float(bottom.sum()), 1e-300), 0.0, 0.5)
    terms = np.stack([top - ratio * bottom, bottom - bottom.mean()]) / (1.0 - share)
    own = terms @ terms.T
    found = own
    if "grain1" in table and "grain2" in table:
        sides = np.concatenate([table[k].values[use] for k in ("grain1", "grain2")])
        grain = np.unique(sides, return_inverse=True)[1]
        n = top.size
        sums = np.stack([np.bincount(grain[:n], t, grain.max() + 1) for t in terms])
        sums += np.stack([np.bincount(grain[n:], t, grain.max() + 1) for t in terms])
        found = sums @ sums.T - own
    # By chance the pairs may cancel more than the terms of a few boundaries hold.
    if np.linalg.eigvalsh(found)[0] < 0.5 * np.linalg.eigvalsh(own)[0]:
        found = own
    back = np.array([[1.0, ratio], [0.0, 1.0]])
    return np.asarray(back @ found @ back.T)


@dataclass(frozen=True)
class PermeabilityDistribution:
    """Lognormal law of P over boundaries, the counting noise and the structure taken off.

    Attributes
    ----------
    median : float
        cm/s.
    sigma, sigma_std : float
        Standard deviation of ln P and its error; 0 with its error where noise explains all.
    n : int
        Boundaries that told.
    flags : tuple of str
        ``noise_dominates``: the spread is not resolved, `sigma` is an upper limit at one error.
    """

    median: float
    sigma: float
    sigma_std: float
    n: int
    flags: tuple[str, ...]


def permeability_distribution(
    table: xr.Dataset,
    *,
    structure: float = 0.28,
    draws: int = 200,
    rng: np.random.Generator | None = None,
) -> PermeabilityDistribution:
    r"""Estimate median and spread of P over the boundaries, as a lognormal law.

    Moments: with :math:`g = \epsilon s`, :math:`\langle g s\rangle/\langle s^2\rangle` gives the
    mean of ε and the scatter of g about it, less its counting error, the spread.

    Parameters
    ----------
    table : xarray.Dataset
        Of `lliso.fit.network.fit_network`.
    structure : float
        Scatter of ln P that the fits have without any noise, taken off in squares; measured in
        simulations of 16 and 34 µm grains.
    draws : int
        Bootstrap samples.
    rng : numpy.random.Generator, optional

    Returns
    -------
    PermeabilityDistribution

    Raises
    ------
    ValueError
        If fewer than ten boundaries of the table were fitted.

    Notes
    -----
    Over boundaries weighted with step², in which low P count more: the law of all boundaries has
    a higher median. Boundaries along the flux are not in it at all.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    g, s = table["slope"].values, table["step"].values
    var_g, var_s = table["slope_std"].values ** 2, table["step_std"].values ** 2
    cov = table["step_slope_correlation"].values * np.sqrt(var_g * var_s)
    use = np.isfinite(g) & np.isfinite(s) & (var_g > 0)
    data = np.stack([g, s, var_g, var_s, cov])[:, use]
    n = data.shape[1]
    if n < _FEWEST:
        raise ValueError(f"a distribution needs at least {_FEWEST} fitted boundaries, got {n}")
    slope = abs(float(table.attrs.get("mean_slope_per_cm", 0.0)))
    mean, variance = _log_moments(data, slope)
    samples = [_log_moments(data[:, rng.integers(0, n, n)], slope)[1] for _ in range(draws)]
    error = float(np.nanstd(samples))
    inner = variance - structure**2
    sigma = float(np.sqrt(max(inner, 0.0)))
    resolved = inner > error
    sigma_std = error / (2 * sigma) if resolved else float(np.sqrt(error))
    return PermeabilityDistribution(
        # The mean of a lognormal law is above its median.
        median=float(table.attrs["d_bulk_cm2_per_s"]) * mean * float(np.exp(-0.5 * sigma**2)),
        sigma=sigma if resolved else 0.0,
        sigma_std=sigma_std,
        n=n,
        flags=() if resolved else ("noise_dominates",),
    )


def _log_moments(data: FloatArray, slope: float) -> tuple[float, float]:
    """Mean of ε, and the variance of ln ε from that of ε under a lognormal law."""
    g, s, var_g, var_s, cov = data
    w = 1.0 / (var_g + (_STRUCTURE * slope) ** 2)
    mean = float(np.sum(w * (g * s - cov)) / max(np.sum(w * (s**2 - var_s)), 1e-300))
    # Scatter about the line, less what counting makes of it; fourth powers stay out of it.
    rest = (g - mean * s) ** 2 - (var_g - 2 * mean * cov + mean**2 * var_s)
    relative = np.sum(w * rest) / max(float(mean**2 * np.sum(w * (s**2 - var_s))), 1e-300)
    return mean, float(np.log1p(max(relative, 0.0)))


def predicted_d_eff(
    permeability: float, d_bulk: float | str, mean_intercept: float, *, dimensions: int = 2
) -> float:
    """D_eff that a map's P and grain size predict, by eq. (6) with l = (4/π) L̄.

    Parameters
    ----------
    permeability : float
        P in cm/s.
    d_bulk : float or str
        cm²/s.
    mean_intercept : float
        Mean linear intercept L̄ in µm, of `lliso.maps.grains.boundary_network`.
    dimensions : {2, 3}
        2: boundaries perpendicular to the map, l = (4/π) L̄; 3: grains cut by a surface,
        l = 1.5 L̄.

    Returns
    -------
    float
        cm²/s.

    Raises
    ------
    ValueError
        If a quantity is not positive or `dimensions` is not 2 or 3.

    References
    ----------
    Eq. (6) of G. Hasegawa et al., J. Mater. Chem. A 12 (2024) 731.

    Examples
    --------
    >>> f"{predicted_d_eff(1.36e-6, 2.6e-8, 15.0):.2e}"
    '2.36e-09'
    """
    bulk = parse_quantity(d_bulk, DIFFUSION, "d_bulk")
    if dimensions not in (2, 3):
        raise ValueError(f"dimensions must be 2 or 3, got {dimensions}")
    for name, value in (
        ("permeability", permeability),
        ("d_bulk", bulk),
        ("mean_intercept", mean_intercept),
    ):
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {value:g}")
    size = (4 / np.pi if dimensions == 2 else 1.5) * mean_intercept / UM_PER_CM
    return float(1.0 / (1.0 / bulk + 1.0 / (size * permeability)))

"""Joint fits: several stages, several cuts across one boundary, all boundaries of a cut.

The same boundary at several times, or seen by several cuts, has one P. `combine_ratios` finds the
one ratio slope/step that all of them allow, and tests whether there is one. `fit_cut` fits all
boundaries of a cut at once: the slope is continuous at each of them, and every grain has one
curvature, so that neighbours share what is known of the grain between them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri
from scipy.stats import chi2 as chi2_distribution

from lliso._types import FloatArray
from lliso.diffusion.steps import blurred_step
from lliso.fit.boundary import CURVATURE_SHARE
from lliso.fit.linear import fit_linear
from lliso.fit.uncertainty import RatioSet, positive_set
from lliso.fit.window import guard_length
from lliso.maps.carried import effective_counts
from lliso.maps.cuts import DISTANCE

if TYPE_CHECKING:
    import xarray as xr

    from lliso.maps.picks import BoundaryPick


@dataclass(frozen=True)
class CommonRatio:
    """One ratio slope/step for several estimates.

    Attributes
    ----------
    ratio : float
        The best common ratio; infinity if the steps vanish beside their slopes.
    interval : RatioSet
        Its confidence set.
    p_value : float
        Probability of estimates that differ as much or more if they share one ratio; NaN for a
        single estimate.
    n : int
        Number of estimates.
    """

    ratio: float
    interval: RatioSet
    p_value: float
    n: int


def combine_ratios(
    estimates: Sequence[tuple[float, float, FloatArray]], level: float = 0.95
) -> CommonRatio:
    r"""Find the ratio ρ = slope/step that several independent estimates share.

    The misfit of one estimate, with step and slope free on the line slope = ρ step, is

    .. math:: Q(\rho) = \frac{(g - \rho s)^2}{v_g - 2\rho v_{sg} + \rho^2 v_s};

    the sum over estimates is least at the best ρ, its excess over the least gives the confidence
    set, and the least itself is χ² with n − 1 degrees of freedom if they share one ρ. With a single
    estimate the set is Fieller's.

    Parameters
    ----------
    estimates : sequence of (step, slope, covariance)
        Covariance of (step, slope), shape (2, 2). Estimates with NaN are left out.
    level : float
        Confidence level.

    Returns
    -------
    CommonRatio

    Raises
    ------
    ValueError
        If no estimate is finite or the level is not between 0 and 1.

    Examples
    --------
    >>> cov = np.diag([1e-6, 1e-10])
    >>> common = combine_ratios([(-0.02, -1.0e-4, cov), (-0.01, -0.5e-4, cov)])
    >>> round(common.ratio, 5), round(common.p_value, 3)
    (0.005, 1.0)
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    good = [e for e in estimates if np.all(np.isfinite([*e[:2], *np.ravel(e[2])]))]
    if not good:
        raise ValueError("a common ratio needs at least one estimate that is finite, got none")
    # The ratio is the tangent of an angle: 0 to infinity, and the forbidden negative half too.
    scale = _typical_ratio(good)
    angle = np.linspace(-math.pi / 2, math.pi / 2, 20_001)
    sine, cosine = np.sin(angle) * scale, np.cos(angle)
    misfit = np.zeros_like(angle)
    for s, g, cov in good:
        variance = cosine**2 * cov[1, 1] - 2 * sine * cosine * cov[0, 1] + sine**2 * cov[0, 0]
        misfit += (cosine * g - sine * s) ** 2 / variance
    best = int(np.argmin(misfit))
    inside = misfit <= misfit[best] + float(ndtri(0.5 + level / 2)) ** 2
    n = len(good)
    at = angle[best]
    return CommonRatio(
        ratio=scale * math.tan(at) if abs(at) < math.pi / 2 - 1e-9 else math.inf,
        interval=positive_set(angle, inside, scale),
        p_value=float(chi2_distribution.sf(misfit[best], n - 1)) if n > 1 else math.nan,
        n=n,
    )


def _typical_ratio(estimates: Sequence[tuple[float, float, FloatArray]]) -> float:
    """Return a ratio of the right size, so that the angles are not all at one end."""
    slopes = [math.hypot(g, math.sqrt(c[1, 1])) for _, g, c in estimates]
    steps = [math.hypot(s, math.sqrt(c[0, 0])) for s, _, c in estimates]
    return float(np.median(slopes) / np.median(steps))


@dataclass(frozen=True)
class CutFit:
    """All boundaries of one cut, fitted at once.

    Attributes
    ----------
    names : tuple of str
        The boundaries, along the cut.
    step, slope : numpy.ndarray, shape (n,)
        Step of the fraction and slope (1/µm) at each, along the cut.
    covariance : numpy.ndarray, shape (2n, 2n)
        Of all steps, then all slopes.
    chi2_red, p_value : float
        Goodness of fit.
    distance, fitted : numpy.ndarray
        The slices used (µm along the cut) and the fitted fraction.
    """

    names: tuple[str, ...]
    step: FloatArray
    slope: FloatArray
    covariance: FloatArray
    chi2_red: float
    p_value: float
    distance: FloatArray
    fitted: FloatArray

    def estimate(self, name: str) -> tuple[float, float, FloatArray]:
        """Return step, slope and their covariance at one boundary, for `combine_ratios`."""
        i, n = self.names.index(name), len(self.names)
        at = [i, n + i]
        return float(self.step[i]), float(self.slope[i]), self.covariance[np.ix_(at, at)]


def fit_cut(
    profile: xr.Dataset,
    boundaries: Sequence[BoundaryPick],
    *,
    mean_slope: float = np.inf,
    resolution: float = 1.0,
) -> CutFit:
    """Fit all boundaries of a cut at once.

    Between boundaries the fraction is a parabola; at a boundary it jumps while its slope goes on
    (flux continuity with one D_bulk). The profile is used from the start of the first window to
    the end of the last, less a guard at every boundary.

    Parameters
    ----------
    profile : xarray.Dataset
        A line profile.
    boundaries : sequence of BoundaryPick
        *Every* boundary of the stretch: one that is left out is taken for slope.
    mean_slope : float
        ḡ in 1/µm; sets the prior on the curvatures.
    resolution : float
        FWHM of the point spread function in µm.

    Returns
    -------
    CutFit

    Raises
    ------
    ValueError
        If there is no boundary, or too few slices are left.
    """
    if not boundaries:
        raise ValueError("a joint fit of a cut needs at least one boundary, got none")
    picks = sorted(boundaries, key=lambda b: b.position)
    at = np.array([b.position for b in picks])
    x, light, total, ends = _stretch(profile, picks, resolution)
    terms = _cut_terms(x, at, ends)
    lengths = np.diff(np.concatenate([[ends[0]], at, [ends[1]]]))
    prior = np.full(terms.shape[1], np.inf)
    prior[2 + at.size :] = CURVATURE_SHARE * abs(mean_slope) / lengths
    if x.size < at.size + 4:
        raise ValueError(
            f"the joint fit of {at.size} boundaries needs at least {at.size + 4} slices, got "
            f"{x.size}; widen the windows"
        )
    fit = fit_linear(terms, light, total, prior)
    to_result = np.zeros((2 * at.size, terms.shape[1]))
    to_result[: at.size, 2 : 2 + at.size] = np.eye(at.size)
    # Slope at boundary i: the slope at the start and what the grains before it have bent.
    to_result[at.size :, 1] = 1.0
    for i in range(at.size):
        to_result[at.size + i, 2 + at.size : 3 + at.size + i] = lengths[: i + 1]
    result = to_result @ fit.value
    return CutFit(
        names=tuple(b.name for b in picks),
        step=result[: at.size],
        slope=result[at.size :],
        covariance=to_result @ fit.covariance @ to_result.T,
        chi2_red=fit.chi2 / fit.dof,
        p_value=float(chi2_distribution.sf(fit.chi2, fit.dof)),
        distance=x,
        fitted=fit.fitted,
    )


def _stretch(
    profile: xr.Dataset, picks: Sequence[BoundaryPick], resolution: float
) -> tuple[FloatArray, FloatArray, FloatArray, tuple[float, float]]:
    x = profile[DISTANCE].values
    pitch = float(profile.attrs["slice_length"])
    width = float(profile.attrs["cut_width"])
    guards = [guard_length(pitch, resolution, width, b.tilt) for b in picks]
    low, high = min(b.window[0] for b in picks), max(b.window[1] for b in picks)
    low = low + guards[0] if low > x[0] else x[0]
    high = high - guards[-1] if high < x[-1] else x[-1]
    light, total = effective_counts(profile)
    use = (x >= low) & (x <= high) & (total > 0)
    for pick, guard in zip(picks, guards, strict=True):
        use &= np.abs(x - pick.position) >= guard
    return x[use], light[use], total[use], (float(low), float(high))


def _cut_terms(x: FloatArray, at: FloatArray, ends: tuple[float, float]) -> FloatArray:
    """Columns: level and slope at the start, a step per boundary, a curvature per grain."""
    edges = np.concatenate([[ends[0]], at, [ends[1]]])
    columns = [np.ones_like(x), x - ends[0]]
    columns += [blurred_step(x - position) for position in at]
    for left, right in itertools.pairwise(edges):
        inside = np.clip(x - left, 0.0, right - left)
        # Beyond its grain a curvature goes on as the slope that it has left.
        columns.append(inside**2 / 2 + (right - left) * np.maximum(x - right, 0.0))
    return np.column_stack(columns)

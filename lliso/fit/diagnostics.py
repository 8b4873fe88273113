"""Why a result is as it is: residuals, stability, what limits it, what it would take.

Numbers and sentences only; `lliso.plot` draws them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from scipy.special import ndtri
from scipy.stats import kstest

from lliso._types import FloatArray
from lliso.diffusion.steps import boundary_terms
from lliso.fit.patch import (
    PatchFit,
    PatchGeometry,
    PatchImage,
    fit_patch,
    patch_pixels,
    placed_as,
)
from lliso.fit.uncertainty import RatioSet, ratio_set

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lliso.fit.boundary import BoundaryFit


@dataclass(frozen=True)
class Residuals:
    """Residuals of a patch fit, in units of their counting error.

    Attributes
    ----------
    nu, tau : numpy.ndarray, shape (n,)
        Distance across and along the boundary in µm.
    z : numpy.ndarray, shape (n,)
        (data − fit) / counting error.
    """

    nu: FloatArray
    tau: FloatArray
    z: FloatArray

    def quantiles(self) -> tuple[FloatArray, FloatArray]:
        """Return expected (Gaussian) and found quantiles, for a QQ plot."""
        n = self.z.size
        return np.asarray(ndtri((np.arange(n) + 0.5) / n)), np.sort(self.z)

    def p_value(self) -> float:
        """Return the probability of residuals as far from Gaussian (Kolmogorov–Smirnov)."""
        return float(kstest(self.z, "norm").pvalue)

    def binned(self, size: float = 5.0) -> xr.Dataset:
        """Return the mean residual in squares of `size` µm, times √n: Gaussian if the model holds.

        Returns
        -------
        xarray.Dataset
            ``z(tau, nu)``, NaN where there are no pixels.
        """
        i = np.floor(self.tau / size).astype(int)
        j = np.floor(self.nu / size).astype(int)
        rows, columns = np.arange(i.min(), i.max() + 1), np.arange(j.min(), j.max() + 1)
        shape = (rows.size, columns.size)
        flat = np.ravel_multi_index((i - i.min(), j - j.min()), shape)
        n = np.bincount(flat, minlength=rows.size * columns.size)
        total = np.bincount(flat, weights=self.z, minlength=n.size)
        with np.errstate(invalid="ignore"):
            z = np.where(n > 0, total / np.sqrt(n), np.nan).reshape(shape)
        middle = {"tau": (rows + 0.5) * size, "nu": (columns + 0.5) * size}
        return xr.Dataset({"z": (("tau", "nu"), z)}, coords=middle)


def patch_residuals(image: PatchImage, geometry: PatchGeometry, fit: PatchFit) -> Residuals:
    """Return the residuals of a patch fit at its refined place.

    Parameters
    ----------
    image : PatchImage
        Counts of the map.
    geometry : PatchGeometry
        The patch that was fitted.
    fit : PatchFit
        Its result.

    Returns
    -------
    Residuals
    """
    pixels = patch_pixels(image, placed_as(geometry, fit), fit.guard, None)
    names = ("level", "step", "slope", "curvature_before", "curvature_after")
    value = np.array([fit.parameters[name] for name in names])
    fitted = boundary_terms(pixels.nu) @ value + fit.along * pixels.tau
    fraction = pixels.light / pixels.total
    std = np.sqrt(np.clip(fitted * (1 - fitted), 1e-12, None) / pixels.total)
    return Residuals(pixels.nu, pixels.tau, (fraction - fitted) / std)


def stability(
    image: PatchImage,
    geometry: PatchGeometry,
    *,
    resolution: float = 1.0,
    mean_slope: float = np.inf,
    guards: Sequence[float] = (1.0, 1.5, 2.0, 3.0, 4.0),
    shares: Sequence[float] = (1.0, 0.85, 0.7, 0.55),
    level: float = 0.68,
) -> xr.Dataset:
    """Refit a boundary with other guards and shorter windows, to see if the result hangs on them.

    Parameters
    ----------
    image, geometry, resolution, mean_slope
        As in `lliso.fit.patch.fit_patch`.
    guards : sequence of float
        Guards to try, in units of the usual one.
    shares : sequence of float
        Shares of the reach to try.
    level : float
        Confidence level of the intervals.

    Returns
    -------
    xarray.Dataset
        ``ratio``, ``low`` and ``high`` of slope/step (1/µm) and ``kind`` along (``guard``,
        ``share``); NaN where too little is left.
    """
    shape = (len(guards), len(shares))
    ratio, low, high = (np.full(shape, np.nan) for _ in range(3))
    kind = np.full(shape, "failed", dtype="U20")
    for i, factor in enumerate(guards):
        for j, share in enumerate(shares):
            shorter = replace(
                geometry,
                reach_before=geometry.reach_before * share,
                reach_after=geometry.reach_after * share,
            )
            try:
                fit = fit_patch(
                    image,
                    shorter,
                    resolution=resolution,
                    mean_slope=mean_slope,
                    guard_factor=factor,
                )
            except ValueError:
                continue
            found = _ratio(fit, level)
            ratio[i, j] = fit.parameters["slope"] / fit.parameters["step"]
            low[i, j], high[i, j], kind[i, j] = found.low, found.high, found.kind
    dims = ("guard", "share")
    return xr.Dataset(
        {"ratio": (dims, ratio), "low": (dims, low), "high": (dims, high), "kind": (dims, kind)},
        coords={"guard": list(guards), "share": list(shares)},
        attrs={"level": level, "units": "1/um"},
    )


def _ratio(fit: BoundaryFit, level: float) -> RatioSet:
    cov = fit.covariance
    s, g = fit.parameters["step"], fit.parameters["slope"]
    return ratio_set(g, s, cov[1, 1], cov[0, 0], cov[0, 1], level)


def expected_error(fit: PatchFit, mean_slope: float, more_counts: float = 1.0) -> float:
    """Return the standard error of ln P that the counts allow if the slope is the mean one.

    A slope that came out near zero by chance would make any estimate of the relative error absurd;
    what an experiment can do is a matter of the slope that is to be expected.

    Parameters
    ----------
    fit : PatchFit
        The fit of a boundary.
    mean_slope : float
        ḡ in 1/µm.
    more_counts : float
        As if the counts were so many times as many; what is not known of the grains' curvature
        stays.

    Returns
    -------
    float
        Structure and systematic parts not included.
    """
    step = fit.parameters["step"]
    precision = more_counts * fit.information + np.diag(fit.prior_precision)
    covariance = np.linalg.inv(precision)[1:3, 1:3]
    gradient = np.array([-1.0 / step, math.copysign(1.0 / mean_slope, step)])
    return float(np.sqrt(gradient @ covariance @ gradient))


def counts_needed(fit: PatchFit, mean_slope: float, target: float = 0.2) -> float:
    """Return by which factor the counts must grow for an error of `target` in ln P.

    Parameters
    ----------
    fit : PatchFit
        The fit of a boundary.
    mean_slope : float
        ḡ in 1/µm.
    target : float
        Standard error of ln P that is wanted.

    Returns
    -------
    float
        Infinity if ten thousand times the counts do not suffice: the curvature of grains this
        short hides their slope.
    """
    low, high = -4.0, 4.0  # powers of ten; nobody has ten thousand times the counts
    if expected_error(fit, mean_slope, 10.0**high) > target:
        return math.inf
    for _ in range(60):
        middle = (low + high) / 2
        if expected_error(fit, mean_slope, 10.0**middle) > target:
            low = middle
        else:
            high = middle
    return float(10.0**high)


def why_so_large(fit: PatchFit, mean_slope: float, hours: float | None = None) -> str:
    """Say in a sentence or two what limits the result of one boundary.

    Parameters
    ----------
    fit : PatchFit
        The fit.
    mean_slope : float
        ḡ in 1/µm.
    hours : float, optional
        Imaging time of this map; then the time that 20 % would need is said.

    Returns
    -------
    str
    """
    step = abs(fit.parameters["step"])
    of_slope = 100 * math.sqrt(fit.covariance[1, 1]) / mean_slope
    of_step = 100 * math.sqrt(fit.covariance[0, 0]) / step
    short = min(fit.reach_before, fit.reach_after)
    side = "before" if fit.reach_before <= fit.reach_after else "after"
    first = f"The slope is known to ± {of_slope:.2g} %, the step to ± {of_step:.2g} %"
    if of_slope > 20:
        first += f"; the window {side} the boundary is only {short:.0f} µm long"
    factor = counts_needed(fit, mean_slope)
    if math.isinf(factor):
        return f"{first}. No counts make that 20 %: grains this short hide their slope."
    if factor <= 1:
        return f"{first}. The counts allow 20 % or better; the grains' structure limits it now."
    time = "" if hours is None else f" ({factor * hours:.0f} h of the same imaging)"
    return f"{first}. 20 % would need {float(f'{factor:.2g}'):g} times the counts{time}."

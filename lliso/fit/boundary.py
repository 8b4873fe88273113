"""The fit of one grain boundary on a line profile: its step and the slope beside it.

The default estimator shares one slope between the two grains, because the flux through the
boundary is continuous, leaves each grain a curvature under a prior, and keeps a guard off every
boundary. All of it is linear, so the fit is exact and takes well under a millisecond. With `blur`
the step itself is fitted, position included, by lmfit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import lmfit
import numpy as np
from scipy.special import chdtrc

from lliso._types import FloatArray
from lliso.diffusion.steps import boundary_fraction, boundary_terms
from lliso.fit.linear import fit_linear
from lliso.fit.models import GrainBoundaryModel
from lliso.fit.paper2024 import fit_two_quadratics
from lliso.fit.window import Window, cut_window
from lliso.maps.detect import locate_step
from lliso.maps.picks import BoundaryPick

if TYPE_CHECKING:
    import xarray as xr

    from lliso.maps.cuts import LineCut

Method = Literal["patch", "profile", "two_grains", "paper2024"]
METHODS: tuple[Method, ...] = ("patch", "profile", "two_grains", "paper2024")
#: those that look at a line profile only
PROFILE_METHODS: tuple[Method, ...] = ("profile", "paper2024")

#: width of the prior on a grain's curvature: this share of the mean in-grain slope may be gained or
#: lost over the window's reach (found in simulations of 16 µm and 34 µm grains, set once)
CURVATURE_SHARE = 0.6
#: probability of a larger chi-square below which a fit is called poor
POOR_FIT = 1e-3
#: full width at half maximum of a Gaussian over its standard deviation
FWHM_PER_STD = 2.3548200450309493
#: fitted positions are sought within this many µm of the pick
_POSITION_RANGE = 5.0


@dataclass(frozen=True)
class BoundaryFit:
    """The fit of one boundary. Along the cut; lengths in µm.

    Attributes
    ----------
    name : str
        Name of the boundary.
    parameters : dict of str to float
        Of `lliso.diffusion.steps.boundary_fraction`; ``slope`` in 1/µm. NaN if the fit failed.
    covariance : numpy.ndarray, shape (2, 2)
        Of step and slope.
    position_std : float
        Standard error of the position in µm; NaN where it was not fitted.
    chi2_red, p_value : float
        Goodness of fit against the counting errors (NaN if there is nothing left to judge by).
    n_slices : int
        Slices used.
    guard, reach_before, reach_after : float
        Guard, and distance to the far guard on each side.
    flags : tuple of str
        Reasons for care, see `lliso.fit.table.FLAGS`.
    message : str
        What went wrong, if the fit failed.
    """

    name: str
    parameters: Mapping[str, float]
    covariance: FloatArray
    position_std: float = np.nan
    chi2_red: float = np.nan
    p_value: float = np.nan
    n_slices: int = 0
    guard: float = np.nan
    reach_before: float = np.nan
    reach_after: float = np.nan
    flags: tuple[str, ...] = ()
    message: str = ""

    @property
    def success(self) -> bool:
        """Whether there is a result."""
        return not self.message

    def curve(self, distance: FloatArray) -> FloatArray:
        """Fitted isotope fraction at `distance` µm along the cut."""
        return boundary_fraction(distance, **self.parameters)

    def on_cut(self, cut: LineCut) -> BoundaryFit:  # noqa: ARG002 - for fits that are elsewhere
        """Return the fit as it looks along a cut: itself."""
        return self


def fit_boundary(
    profile: xr.Dataset,
    pick: BoundaryPick,
    *,
    method: Method = "profile",
    resolution: float = 1.0,
    mean_slope: float = np.inf,
    blur: float | Literal["fit"] | None = None,
    rounds: int = 6,
) -> BoundaryFit:
    r"""Fit one boundary on a line profile.

    .. math::
        C(\nu) = c + \Delta C (H(\nu) - \tfrac12) + g\nu + \tfrac12 q_\pm\nu^2,
        \qquad q_\pm \sim N(0, (0.6\,\bar g / L_\pm)^2)

    Parameters
    ----------
    profile : xarray.Dataset
        A line profile (see `lliso.line_profile`).
    pick : BoundaryPick
        The boundary and its window.
    method : {"profile", "paper2024"}
        One slope with two curvatures under the prior, or the 2024 paper's two quadratics.
    resolution : float
        Full width at half maximum of the point spread function in µm; sets the guard.
    mean_slope : float
        ḡ, mean in-grain slope of the map in 1/µm, which sets the prior on the curvatures; infinity
        leaves them free.
    blur : float or "fit", optional
        Fit the blurred step with this standard deviation (µm), or find it too, instead of keeping
        a guard off the boundary. The position is then fitted as well.
    rounds : int
        Weighted solves at the most; 1 is the quick fit.

    Returns
    -------
    BoundaryFit

    Raises
    ------
    ValueError
        If the method is unknown or the window leaves too few slices.

    Examples
    --------
    >>> from lliso.maps.cuts import LineCut, line_profile
    >>> from lliso.schema import make_map
    >>> x, y = np.arange(20.0), np.arange(40.0)
    >>> c = 0.4 - 1e-3 * y - 0.02 * (y > 19.5)
    >>> n6 = np.repeat(np.round(c * 1e6)[:, None], 20, axis=1)
    >>> m = make_map([n6, 1e6 - n6], ["6Li", "7Li"], x=x, y=y)
    >>> profile = line_profile(m, LineCut(name="a", start=(9.5, -0.5), end=(9.5, 39.5), width=20))
    >>> fit = fit_boundary(profile, BoundaryPick(name="1", cut="a", position=20, window=(0, 40)))
    >>> round(fit.parameters["step"], 6), round(fit.parameters["slope"], 6)
    (-0.02, -0.001)
    """
    if method not in PROFILE_METHODS:
        raise ValueError(
            f"method must be one of {', '.join(PROFILE_METHODS)} for a profile, got {method!r}"
        )
    if blur is not None and blur != "fit" and not blur >= 0:
        raise ValueError(f"blur must be a standard deviation in um or 'fit', got {blur!r}")
    window = cut_window(profile, pick, resolution, inner_guard=blur is None)
    if method == "paper2024":
        return _as_in_the_paper(window, pick)
    prior = _prior_std(window, mean_slope)
    if blur is None:
        fit = _linear(window, pick, prior, rounds)
    else:
        fit = _blurred(window, pick, prior, blur, resolution)
    return replace(fit, flags=(*fit.flags, *_position_flags(profile, fit, rounds)))


def quick_fit(window: Window, pick: BoundaryPick, mean_slope: float) -> BoundaryFit:
    """Fit one boundary on its window in one weighted solve, to follow a hand."""
    return _linear(window, pick, _prior_std(window, mean_slope), 1)


def failed_fit(pick: BoundaryPick, message: str) -> BoundaryFit:
    """Return the row of a boundary that could not be fitted: NaN, a flag and the reason."""
    names = ("level", "step", "slope", "curvature_before", "curvature_after")
    return BoundaryFit(
        name=pick.name,
        parameters={**dict.fromkeys(names, np.nan), "position": pick.position, "blur": 0.0},
        covariance=np.full((2, 2), np.nan),
        flags=("fit_failed",),
        message=message,
    )


def _prior_std(window: Window, mean_slope: float) -> FloatArray:
    reach = np.array([window.reach_before, window.reach_after])
    return np.concatenate([np.full(3, np.inf), CURVATURE_SHARE * abs(mean_slope) / reach])


def _linear(window: Window, pick: BoundaryPick, prior_std: FloatArray, rounds: int) -> BoundaryFit:
    fit = fit_linear(boundary_terms(window.nu), window.light, window.total, prior_std, rounds)
    names = ("level", "step", "slope", "curvature_before", "curvature_after")
    parameters = dict(zip(names, map(float, fit.value), strict=True))
    found = judged(
        pick.name,
        {**parameters, "position": pick.position, "blur": 0.0},
        fit.covariance[1:3, 1:3],
        fit.chi2,
        fit.dof,
    )
    return _in_window(window, found)


def _blurred(
    window: Window,
    pick: BoundaryPick,
    prior_std: FloatArray,
    blur: float | Literal["fit"],
    resolution: float,
) -> BoundaryFit:
    """Fit position (and blur) too, by lmfit, with the weights of the fitted fraction."""
    model = GrainBoundaryModel()
    x = window.nu + pick.position
    start = resolution / FWHM_PER_STD if blur == "fit" else float(blur)
    params = model.guess(window.fraction, distance=x, position=pick.position, blur=max(start, 1e-6))
    for name, std in zip(("curvature_before", "curvature_after"), prior_std[3:], strict=True):
        params[name].vary = std > 0
    params["position"].set(
        vary=True, min=pick.position - _POSITION_RANGE, max=pick.position + _POSITION_RANGE
    )
    params["blur"].set(vary=blur == "fit", min=0.0, max=2 * _POSITION_RANGE)
    fitted = window.fraction * 0 + float(window.light.sum() / window.total.sum())
    for _ in range(3):
        weight = np.sqrt(window.total / np.clip(fitted * (1 - fitted), 1e-9, None))

        def residual(p: lmfit.Parameters, weight: FloatArray = weight) -> FloatArray:
            curve = model.eval(p, distance=x, slice_length=window.slice_length)
            curvatures = np.array([p["curvature_before"].value, p["curvature_after"].value])
            return np.concatenate([(curve - window.fraction) * weight, curvatures / prior_std[3:]])

        result = lmfit.minimize(residual, params, scale_covar=False)
        params = result.params
        fitted = model.eval(params, distance=x, slice_length=window.slice_length)
    if blur == "fit" and result.covar is None:  # no blur to be seen: nothing depends on it
        return _blurred(window, pick, prior_std, 0.0, resolution)
    if not result.success or result.covar is None:
        raise ValueError(
            f"the fit of boundary '{pick.name}' with a blurred step did not converge "
            f"({result.message}); widen its window or fit it without blur"
        )
    at = [result.var_names.index(name) for name in ("step", "slope")]
    chi2 = float(np.sum(((fitted - window.fraction) * weight) ** 2))
    dof = window.nu.size - len(result.var_names) + _held_by_prior(result, prior_std)
    covariance = result.covar[np.ix_(at, at)]
    found = judged(pick.name, dict(params.valuesdict()), covariance, chi2, dof)
    return replace(_in_window(window, found), position_std=float(params["position"].stderr))


def _held_by_prior(result: lmfit.minimizer.MinimizerResult, prior_std: FloatArray) -> float:
    """How many of the curvatures the prior determines, rather than the data."""
    names = ("curvature_before", "curvature_after")
    variance = [result.covar[(result.var_names.index(n),) * 2] for n in names]
    return float(np.sum(np.array(variance) / prior_std[3:] ** 2))


def _as_in_the_paper(window: Window, pick: BoundaryPick) -> BoundaryFit:
    value, covariance, chi2_red = fit_two_quadratics(window)
    parameters = {
        "level": float("nan"),
        "step": float(value[0]),
        "slope": float(value[1]),
        "curvature_before": float("nan"),
        "curvature_after": float("nan"),
        "position": pick.position,
        "blur": 0.0,
    }
    dof = window.nu.size - 6
    found = judged(pick.name, parameters, covariance, chi2_red * dof, dof)
    return replace(_in_window(window, found), flags=("paper2024",))


def judged(
    name: str,
    parameters: Mapping[str, float],
    covariance: FloatArray,
    chi2: float,
    dof: float,
) -> BoundaryFit:
    """Return a fit with its goodness and the flags that follow from the numbers alone."""
    known = dof > 0.5
    p_value = float(chdtrc(dof, chi2)) if known else np.nan
    flags = []
    if known and p_value < POOR_FIT:
        flags.append("poor_fit")
    if abs(parameters["step"]) < 2 * np.sqrt(covariance[0, 0]):
        flags.append("step_not_significant")
    return BoundaryFit(
        name=name,
        parameters=parameters,
        covariance=covariance,
        chi2_red=chi2 / dof if known else np.nan,
        p_value=p_value,
        flags=tuple(flags),
    )


def _in_window(window: Window, fit: BoundaryFit) -> BoundaryFit:
    return replace(
        fit,
        n_slices=int(window.nu.size),
        guard=window.guard,
        reach_before=window.reach_before,
        reach_after=window.reach_after,
    )


def _position_flags(profile: xr.Dataset, fit: BoundaryFit, rounds: int) -> tuple[str, ...]:
    """Warn when the step is plainly elsewhere than the pick says."""
    if rounds == 1:  # the quick fit while dragging
        return ()
    step = locate_step(profile, fit.parameters["position"])
    off = abs(step.position - fit.parameters["position"])
    return ("position_off",) if step.found and off > fit.guard / 2 else ()

"""The two-grain patch: fields that obey the diffusion equation on both sides of a boundary.

With z = τ + iν (τ along the boundary, ν along its normal) the functions E_k = Re zᵏ and
O_k = Im zᵏ⁺¹/(k+1) are harmonic, and

    C± = Σ_k a_k E_k + b_k (O_k ± E_k/(2ε)) + f (ν² + τ²)/4,      ε = P/D_bulk,

satisfies the diffusion equation in both grains, the continuity of the flux and the jump condition
D ∂C/∂ν = P ΔC along the whole boundary, identically. It is linear in a, b and f (∂C/∂t = D f, the
same in both grains) for a given ε, so that the likelihood is profiled over ln ε alone. No prior on
curvatures is needed: that a grain is curved across the boundary is bound to how it is curved along
it. Straight boundary, equal D on both sides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields

import numpy as np
from scipy.special import ndtri
from scipy.stats import chi2 as chi2_distribution

from lliso._types import BoolArray, FloatArray
from lliso.fit.boundary import POOR_FIT
from lliso.fit.patch import (
    PatchFit,
    PatchGeometry,
    PatchImage,
    patch_pixels,
    placed_as,
    refined_geometry,
)
from lliso.fit.uncertainty import RatioSet, kind_of
from lliso.fit.window import guard_length

#: ln(ε · size of the patch) is profiled from here to there
_RANGE = (-9.0, 9.0)
_POINTS = 181
DEGREES = (1, 2, 3)


@dataclass(frozen=True)
class TwoGrainFit:
    """The profile likelihood of ε = P/D_bulk at one boundary.

    Attributes
    ----------
    name : str
        Name of the boundary.
    epsilon : float
        Most likely ε in 1/µm; 0 or infinity at the ends.
    log_epsilon : numpy.ndarray, shape (m,)
        Grid of ln(ε · µm).
    misfit : numpy.ndarray, shape (m,)
        −2 ln L on the grid, less its minimum.
    degree : int
        Highest k.
    chi2_red, p_value : float
        Goodness of fit at the minimum.
    step, slope : float
        ΔC at the boundary and dC/dν (1/µm), averaged along it, at the minimum.
    n_pixels : int
        Pixels used.
    """

    name: str
    epsilon: float
    log_epsilon: FloatArray
    misfit: FloatArray
    degree: int
    chi2_red: float
    p_value: float
    step: float
    slope: float
    n_pixels: int

    def interval(self, level: float = 0.95) -> RatioSet:
        """Return the likelihood-ratio set of ε in 1/µm.

        Where the misfit stays below the threshold up to an end of the grid, that end is 0 or
        infinity.
        """
        threshold = float(ndtri(0.5 + level / 2)) ** 2
        inside = self.misfit <= threshold
        first, last = int(np.argmax(inside)), int(inside.size - 1 - np.argmax(inside[::-1]))
        low = 0.0 if first == 0 else math.exp(self._crossing(first - 1, first, threshold))
        high = (
            math.inf
            if last == inside.size - 1
            else math.exp(self._crossing(last, last + 1, threshold))
        )
        return RatioSet(low, high, kind_of(low, high))

    def _crossing(self, i: int, j: int, threshold: float) -> float:
        a, b = self.misfit[i], self.misfit[j]
        share = (threshold - a) / (b - a)
        return float(self.log_epsilon[i] + share * (self.log_epsilon[j] - self.log_epsilon[i]))


@dataclass(frozen=True)
class TwoGrainPatch(PatchFit):
    """A `PatchFit` whose ratio slope/step comes from the likelihood of a two-grain field.

    Step and slope are those of the most likely field. They have no separate errors (NaN): what the
    likelihood knows is their ratio.
    """

    likelihood: TwoGrainFit = field(kw_only=True)


def as_patch(
    image: PatchImage, geometry: PatchGeometry, plain: PatchFit, *, resolution: float = 1.0
) -> TwoGrainPatch:
    """Fit the two-grain field at the place of a plain patch fit, for the table.

    Parameters
    ----------
    image : PatchImage
        Counts of the map.
    geometry : PatchGeometry
        The patch.
    plain : PatchFit
        The patch fit of the same boundary.
    resolution : float
        Full width at half maximum of the point spread function in µm.

    Returns
    -------
    TwoGrainPatch
    """
    fit = fit_two_grains(image, placed_as(geometry, plain), resolution=resolution, refine=False)
    known = {f.name: getattr(plain, f.name) for f in fields(PatchFit)}
    known["parameters"] = {**plain.parameters, "step": fit.step, "slope": fit.slope}
    known["chi2_red"] = fit.chi2_red
    known["p_value"] = fit.p_value
    kept = [f for f in plain.flags if f not in ("poor_fit", "step_not_significant")]
    known["flags"] = (*kept, "poor_fit") if fit.p_value < POOR_FIT else tuple(kept)
    known["covariance"] = np.full((2, 2), np.nan)
    return TwoGrainPatch(**known, likelihood=fit)


def harmonic_terms(nu: FloatArray, tau: FloatArray, degree: int) -> FloatArray:
    """Return the columns E_0…E_K, O_0…O_K, sign(ν)E_0…sign(ν)E_K, (ν² + τ²)/4.

    Parameters
    ----------
    nu, tau : numpy.ndarray, shape (n,)
        Coordinates across and along the boundary.
    degree : int
        K.

    Returns
    -------
    numpy.ndarray, shape (n, 3K + 4)

    Examples
    --------
    >>> harmonic_terms(np.array([2.0]), np.array([3.0]), 1)
    array([[1.  , 3.  , 2.  , 6.  , 1.  , 3.  , 3.25]])
    """
    z = tau + 1j * nu
    powers = [np.ones_like(z)]
    for _ in range(degree + 1):
        powers.append(powers[-1] * z)
    even = [powers[k].real for k in range(degree + 1)]
    odd = [powers[k + 1].imag / (k + 1) for k in range(degree + 1)]
    sign = np.where(nu > 0, 1.0, -1.0)
    return np.column_stack([*even, *odd, *(sign * e for e in even), (nu**2 + tau**2) / 4])


def fit_two_grains(
    image: PatchImage,
    geometry: PatchGeometry,
    *,
    degree: int | None = None,
    resolution: float = 1.0,
    refine: bool = True,
    allowed: BoolArray | None = None,
) -> TwoGrainFit:
    """Profile the likelihood of ε = P/D_bulk on the pixels of two grains.

    Parameters
    ----------
    image, geometry, resolution, refine, allowed
        As in `lliso.fit.patch.fit_patch`.
    degree : int, optional
        Highest k, 1 to 3; default: the one that the counts ask for (Akaike's criterion).

    Returns
    -------
    TwoGrainFit

    Raises
    ------
    ValueError
        If too few pixels are left on a side, or the degree is not 1, 2 or 3.
    """
    if degree is not None and degree not in DEGREES:
        raise ValueError(f"degree must be 1, 2 or 3, got {degree}")
    if refine:
        geometry, _, _ = refined_geometry(image, geometry, resolution=resolution)
    pixels = patch_pixels(image, geometry, guard_length(image.pitch, resolution), allowed)
    size = float(np.sqrt(np.mean(pixels.nu**2 + pixels.tau**2)))
    fraction = pixels.light / pixels.total
    # Quadratic in each grain: smooth enough for weights whatever epsilon is.
    weight = _weights(pixels.nu / size, pixels.tau / size, pixels.light, pixels.total)
    fits = []
    for k in DEGREES if degree is None else (degree,):
        terms = harmonic_terms(pixels.nu / size, pixels.tau / size, k)
        fits.append((k, *_profiled(terms, weight, fraction, k)))
    k, grid, misfit, value = min(fits, key=lambda f: f[2].min() + 2 * (2 * f[0] + 3))
    best = int(np.argmin(misfit))
    chi2, dof = float(misfit[best]), max(pixels.nu.size - 2 * k - 4, 1)
    step, slope = _at_boundary(value[best], math.exp(grid[best]), k, pixels.tau / size)
    log_epsilon = grid - math.log(size)
    return TwoGrainFit(
        name=geometry.name,
        epsilon=_end_or_value(log_epsilon, misfit),
        log_epsilon=log_epsilon,
        misfit=misfit - chi2,
        degree=k,
        chi2_red=chi2 / dof,
        p_value=float(chi2_distribution.sf(chi2, dof)),
        step=step,
        slope=slope / size,
        n_pixels=int(pixels.nu.size),
    )


def _weights(nu: FloatArray, tau: FloatArray, light: FloatArray, total: FloatArray) -> FloatArray:
    after = (nu > 0).astype(float)
    one = np.column_stack([np.ones_like(nu), nu, tau, nu**2, nu * tau, tau**2])
    terms = np.column_stack([one, one * after[:, None]])
    pooled = float(light.sum() / total.sum())
    root = np.sqrt(total / max(pooled * (1 - pooled), 1e-9))
    value, *_ = np.linalg.lstsq(terms * root[:, None], (light / total) * root, rcond=None)
    lowest = 0.5 / (float(total.sum()) + 1.0)
    smooth = np.clip(terms @ value, lowest, 1 - lowest)
    return np.asarray(total / (smooth * (1 - smooth)))


def _profiled(
    terms: FloatArray, weight: FloatArray, fraction: FloatArray, degree: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the grid of ln ε, the misfit and the parameters (a, b, f) at each of its points."""
    gram = (terms * weight[:, None]).T @ terms
    right = terms.T @ (weight * fraction)
    constant = float(np.sum(weight * fraction**2))
    grid = np.linspace(*_RANGE, _POINTS)
    n = degree + 1
    misfit, values = np.empty(grid.size), np.empty((grid.size, 2 * n + 1))
    for i, log_epsilon in enumerate(grid):
        epsilon = math.exp(log_epsilon)
        # b times 2 epsilon / (1 + 2 epsilon): finite columns from a closed to an open boundary.
        mix = np.zeros((3 * n + 1, 2 * n + 1))
        mix[:n, :n] = np.eye(n)
        mix[n : 2 * n, n : 2 * n] = np.eye(n) * 2 * epsilon / (1 + 2 * epsilon)
        mix[2 * n : 3 * n, n : 2 * n] = np.eye(n) / (1 + 2 * epsilon)
        mix[-1, -1] = 1.0
        normal, vector = mix.T @ gram @ mix, mix.T @ right
        scale = np.sqrt(np.diag(normal))
        value = np.linalg.solve(normal / np.outer(scale, scale), vector / scale) / scale
        misfit[i] = constant - float(vector @ value)
        values[i] = value
        values[i, n : 2 * n] *= 2 * epsilon / (1 + 2 * epsilon)
    return grid, misfit, values


def _at_boundary(
    value: FloatArray, epsilon: float, degree: int, tau: FloatArray
) -> tuple[float, float]:
    """Return step and slope averaged along the boundary, in the scaled coordinates."""
    n = degree + 1
    slope = float(np.mean(np.polyval(value[n : 2 * n][::-1], tau)))
    return slope / epsilon, slope


def _end_or_value(log_epsilon: FloatArray, misfit: FloatArray) -> float:
    i = int(np.argmin(misfit))
    if i == 0:
        return 0.0
    if i == misfit.size - 1:
        return math.inf
    a, b, c = misfit[i - 1 : i + 2]
    shift = 0.5 * (a - c) / (a - 2 * b + c)
    return math.exp(log_epsilon[i] + shift * (log_epsilon[1] - log_epsilon[0]))

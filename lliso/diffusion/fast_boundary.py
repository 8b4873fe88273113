r"""A fast grain boundary in a slower crystal: Whipple's exact solution for a constant source.

Depth y below a surface that is kept at 1, boundary of thickness δ and D_gb in a half space of D.
Any consistent set of units.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numpy.polynomial.legendre import leggauss
from scipy.special import erfc

from lliso._types import FloatArray

#: panels and points of the quadrature: 1e-12 of the value (against mpmath in the tests)
_PANELS, _POINTS = 24, 16


def _ierfc(z: FloatArray) -> FloatArray:
    return np.asarray(np.exp(-(z**2)) / np.sqrt(np.pi) - z * erfc(z))


def _nodes(ratio: float, beta: float) -> tuple[FloatArray, FloatArray]:
    """Points σ in 1…Δ and their weights, dense near 1, over which the integrand is smooth."""
    # Beyond 60 β both erfc and ierfc of (σ − 1)/2β are gone.
    top = min(ratio - 1.0, 60.0 * beta)
    # The square root at σ = Δ is taken out by an angle, the decades near σ = 1 by a logarithm.
    low = np.log(min(1e-14, 1e-14 * top))
    edges = np.linspace(low, np.log(0.5 * top), _PANELS + 1)
    x, w = leggauss(_POINTS)
    half = 0.5 * np.diff(edges)[:, None]
    log_v = 0.5 * (edges[1:] + edges[:-1])[:, None] + half * x
    v = np.exp(log_v).ravel()
    weight = (half * w * np.exp(log_v)).ravel()
    edges = np.linspace(0.0, np.sqrt(0.5 * top), _PANELS + 1)
    half = 0.5 * np.diff(edges)[:, None]
    root = (0.5 * (edges[1:] + edges[:-1])[:, None] + half * x).ravel()
    v = np.concatenate([v, top - root**2])
    weight = np.concatenate(
        [weight, np.broadcast_to(half * w, (_PANELS, _POINTS)).ravel() * 2 * root]
    )
    return v, weight


def whipple(
    depth: npt.ArrayLike,
    away: npt.ArrayLike,
    *,
    time: float,
    d_bulk: float,
    d_gb: float,
    delta: float,
) -> FloatArray:
    r"""Concentration near a fast boundary under a surface kept at 1.

    .. math:: c = \mathrm{erfc}\frac{\eta}{2} + \frac{\eta}{2\sqrt\pi}\int_1^\Delta
              \frac{e^{-\eta^2/4\sigma}}{\sigma^{3/2}}\,\mathrm{erfc}\Big[\tfrac12
              \sqrt{\tfrac{\Delta-1}{\Delta-\sigma}}\Big(\xi + \frac{\sigma-1}{\beta}\Big)\Big]
              d\sigma

    with η = y/√(Dt), ξ = (x − δ/2)/√(Dt), Δ = D_gb/D, β = (Δ − 1) δ/2√(Dt).

    Parameters
    ----------
    depth, away : array_like
        y below the surface, and x from the middle of the boundary (at least δ/2); broadcast.
    time, d_bulk, d_gb, delta : float

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    ValueError
        If a quantity is not positive, or D_gb does not exceed D.

    References
    ----------
    R. T. P. Whipple, Phil. Mag. 45 (1954) 1225.

    Examples
    --------
    >>> c = whipple(0.0, 1.0, time=1.0, d_bulk=1.0, d_gb=1e4, delta=1e-2)
    >>> round(float(c), 12)
    1.0
    """
    ratio, root, beta = _scales(time, d_bulk, d_gb, delta)
    eta = np.asarray(depth, dtype=float)[..., None] / root
    xi = (np.asarray(away, dtype=float)[..., None] - 0.5 * delta) / root
    v, weight = _nodes(ratio, beta)
    steep = 0.5 * np.sqrt((ratio - 1.0) / (ratio - 1.0 - v))
    kernel = np.exp(-(eta**2) / (4 * (1 + v))) / (1 + v) ** 1.5 * erfc(steep * (xi + v / beta))
    part = eta[..., 0] / (2 * np.sqrt(np.pi)) * np.sum(kernel * weight, axis=-1)
    return np.asarray(erfc(eta[..., 0] / 2) + part)


def whipple_mean(
    depth: npt.ArrayLike,
    *,
    time: float,
    d_bulk: float,
    d_gb: float,
    delta: float,
    spacing: float,
) -> FloatArray:
    """Mean concentration in a layer at a depth, with parallel boundaries far apart.

    Parameters
    ----------
    depth : array_like
        y below the surface.
    time, d_bulk, d_gb, delta : float
    spacing : float
        Distance of the boundaries, much more than √(Dt).

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    ValueError
        If a quantity is not positive, D_gb does not exceed D, or the boundaries are closer than
        3 √(Dt) (then their fields overlap, which is not Harrison's type B).

    References
    ----------
    A. D. Le Claire, Br. J. Appl. Phys. 14 (1963) 351.

    Examples
    --------
    >>> scale = dict(time=1.0, d_bulk=1.0, d_gb=1e6, delta=1e-3, spacing=100.0)
    >>> c = whipple_mean([6.0, 12.0], **scale)
    >>> bool(c[0] > c[1] > 0)
    True
    """
    ratio, root, beta = _scales(time, d_bulk, d_gb, delta)
    if not spacing > 3 * root:
        raise ValueError(
            f"spacing must exceed three diffusion lengths, {3 * root:g}, got {spacing:g}; closer "
            "boundaries are no longer alone (not Harrison type B)"
        )
    eta = np.asarray(depth, dtype=float)[..., None] / root
    v, weight = _nodes(ratio, beta)
    steep = 0.5 * np.sqrt((ratio - 1.0) / (ratio - 1.0 - v))
    across = _ierfc(steep * v / beta) / steep  # the erfc integrated over ξ from 0 on
    kernel = np.exp(-(eta**2) / (4 * (1 + v))) / (1 + v) ** 1.5 * across
    tail = eta[..., 0] / (2 * np.sqrt(np.pi)) * np.sum(kernel * weight, axis=-1)
    return np.asarray(erfc(eta[..., 0] / 2) + 2 * root / spacing * tail)


def _scales(time: float, d_bulk: float, d_gb: float, delta: float) -> tuple[float, float, float]:
    """Δ, √(Dt) and β."""
    given = {"time": time, "d_bulk": d_bulk, "d_gb": d_gb, "delta": delta}
    for name, value in given.items():
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {value:g}")
    if not d_gb > d_bulk:
        raise ValueError(
            f"d_gb must exceed d_bulk, got D_gb/D_bulk = {d_gb / d_bulk:.2g}; nothing runs ahead "
            "along a boundary that blocks, use the step across it"
        )
    root = float(np.sqrt(d_bulk * time))
    return d_gb / d_bulk, root, (d_gb / d_bulk - 1.0) * delta / (2 * root)


def le_claire(slope: float, time: float, d_bulk: float) -> float:
    r"""D_gb δ of the tail of a mean profile, by its slope against y^(6/5).

    .. math:: D_\mathrm{gb}\,\delta = 1.322 \sqrt{D/t}
              \left(-\frac{\partial \ln \bar c}{\partial y^{6/5}}\right)^{-5/3}

    Parameters
    ----------
    slope : float
        ∂ ln c̄/∂y^(6/5), negative.
    time, d_bulk : float

    Raises
    ------
    ValueError
        If `slope` is not negative.

    References
    ----------
    A. D. Le Claire, Br. J. Appl. Phys. 14 (1963) 351; Y. Mishin, Chr. Herzig, J. Bernardini,
    W. Gust, Int. Mater. Rev. 42 (1997) 155 (the factor, for β above 10⁴).

    Examples
    --------
    >>> round(le_claire(-0.1, 1.0, 1.0), 2)
    61.36
    """
    if not slope < 0:
        raise ValueError(f"the slope of ln c against depth^(6/5) must be negative, got {slope:g}")
    return float(1.322 * np.sqrt(d_bulk / time) * (-slope) ** (-5 / 3))

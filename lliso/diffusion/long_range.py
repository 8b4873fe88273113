"""What a line analysis sees along a bar: exchange, then storage, through the instrument's blur.

The functions carry the names of the fits' parameters. Arrays in, arrays out; any consistent set
of units.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from lliso._types import FloatArray
from lliso.diffusion.cosine import cosine_sum, exchange_amplitudes, terms_needed
from lliso.diffusion.exchange import bar_exchange, box_mean, exchange_profile

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_PANELS = (-8.0, -5.0, -3.0, -1.5, 0.0, 1.5, 3.0, 5.0, 8.0)
Ends = tuple[float, float]


def gaussian_mean(
    profile: Callable[[FloatArray], FloatArray],
    x: Any,
    blur: float,
    breaks: tuple[float, ...] = (),
) -> FloatArray:
    """Profile blurred by a Gaussian, as a beam's tails do.

    Gauss–Legendre quadrature over ±8 standard deviations, split at the positions `breaks` where
    the profile has a kink or a step.

    Parameters
    ----------
    profile : callable
        C at an array of positions.
    x : array_like, shape (n,)
        Positions.
    blur : float
        Standard deviation; 0 for the profile itself.
    breaks : tuple of float
        Positions of kinks or steps, e.g. the liquid level.

    Returns
    -------
    numpy.ndarray, shape (n,)

    Raises
    ------
    ValueError
        If the blur is negative.

    Examples
    --------
    >>> gaussian_mean(lambda s: s**2, [0.0, 3.0], 2.0).round(10).tolist()
    [4.0, 13.0]
    """
    centre = np.atleast_1d(np.asarray(x, dtype=float))
    if not blur >= 0:
        raise ValueError(f"blur must not be negative, got {blur:g}")
    if blur == 0:
        return profile(centre)
    panels = [np.full(centre.shape, p) for p in _PANELS]
    panels += [np.clip((b - centre) / blur, _PANELS[0], _PANELS[-1]) for b in breaks]
    edges = np.sort(np.stack(panels), axis=0)
    total = np.zeros_like(centre)
    for a, b in pairwise(edges):
        u = a[:, None] + 0.5 * (b - a)[:, None] * (1.0 + _NODES)
        values = profile((centre[:, None] + blur * u).ravel()).reshape(u.shape)
        total += 0.5 * (b - a) * ((values * np.exp(-0.5 * u**2)) @ _WEIGHTS)
    return np.asarray(total / np.sqrt(2.0 * np.pi))


def exchange_share(
    position: Any,
    d_eff: float,
    x0: float,
    k: float = np.inf,
    *,
    time: float,
    ends: Ends = (-np.inf, np.inf),
    both_ends: bool = False,
    box: float = 0.0,
    blur: float = 0.0,
) -> FloatArray:
    r"""Share (C − C₀)/(C₁ − C₀) after an exchange, as the instrument sees it.

    Parameters
    ----------
    position : array_like, shape (n,)
        Middle of each measured point.
    d_eff : float
        D_eff.
    x0 : float
        Liquid level; what lies before it has the value at the surface.
    k : float
        Surface exchange coefficient; inf for none.
    time : float
        Duration of the exchange.
    ends : tuple of float
        Ends of the bar; the far one without flux, or at infinity.
    both_ends : bool
        The source is at the far end as well.
    box : float
        Width over which a point averages.
    blur : float
        Standard deviation of a Gaussian blur.

    Returns
    -------
    numpy.ndarray, shape (n,)

    Raises
    ------
    ValueError
        If time, box or blur is negative, D is not positive, the level lies behind the far end, or
        both ends are wanted of a bar without end.

    Examples
    --------
    >>> exchange_share([-5.0, 0.0, 2.0], 1.0, 0.0, time=1.0).round(4).tolist()
    [1.0, 1.0, 0.1573]
    """
    far = float(ends[1])
    if not far > x0:
        raise ValueError(f"the far end of the bar must lie behind the level {x0:g}, got {far:g}")
    if both_ends and not np.isfinite(far):
        raise ValueError("a source at both ends needs a bar of finite length, got no far end")

    def profile(x: FloatArray) -> FloatArray:
        law = {"start": 0.0, "source": 1.0, "exchange": k, "origin": x0}
        if np.isinf(far):
            return exchange_profile(x, time, d_eff, **law)
        return bar_exchange(x, time, d_eff, length=far - x0, both_ends=both_ends, **law)

    breaks = (x0, far) if both_ends else (x0,)
    if blur == 0:
        return box_mean(profile, position, box, breaks)

    def blurred(x: FloatArray) -> FloatArray:
        return gaussian_mean(profile, x, blur, breaks)

    return blurred(np.atleast_1d(position)) if box == 0 else box_mean(blurred, position, box)


def exchange_fraction(
    position: Any,
    d_eff: float,
    x0: float,
    c0: float,
    c1: float,
    k: float = np.inf,
    *,
    time: float,
    ends: Ends = (-np.inf, np.inf),
    box: float = 0.0,
    blur: float = 0.0,
) -> FloatArray:
    r"""Isotope fraction after an exchange: eq. (4), or with a surface barrier Crank's solution.

    .. math:: C = C_0 + (C_1 - C_0)\,\mathrm{erfc}\frac{x - x_0}{2\sqrt{D_\mathrm{eff} t}}

    Parameters
    ----------
    position, d_eff, x0, k, time, ends, box, blur
        As in `exchange_share`.
    c0, c1 : float
        Fraction before the exchange, and of the source.

    Returns
    -------
    numpy.ndarray, shape (n,)

    Raises
    ------
    ValueError
        As `exchange_share`.

    References
    ----------
    G. Hasegawa et al., J. Mater. Chem. A 12 (2024) 731; J. Crank, The Mathematics of Diffusion.

    Examples
    --------
    >>> exchange_fraction([0.0, 2.0], 1.0, 0.0, 0.0759, 0.95, time=1.0).round(4).tolist()
    [0.95, 0.2134]
    """
    share = exchange_share(position, d_eff, x0, k, time=time, ends=ends, box=box, blur=blur)
    return np.asarray(c0 + (c1 - c0) * share)


def storage_share(
    position: Any,
    spread: float,
    d_exchange: float,
    x0: float,
    k: float = np.inf,
    *,
    time: float,
    ends: Ends,
    box: float = 0.0,
    blur: float = 0.0,
) -> FloatArray:
    """Share (C − C₀)/(C₁ − C₀) after an exchange and ``spread = ∫ D dt`` without source.

    Parameters
    ----------
    position : array_like, shape (n,)
        Middle of each measured point.
    spread : float
        ∫D dt since the source was taken away, a length squared.
    d_exchange, x0, k, time
        D_eff, level, exchange coefficient and duration of the exchange (`exchange_share`).
    ends : tuple of float
        Both ends of the bar, without flux.
    box, blur : float
        As in `exchange_share`.

    Returns
    -------
    numpy.ndarray, shape (n,)

    Raises
    ------
    ValueError
        As `exchange_share`, or if a position or the level lies outside the bar.

    Examples
    --------
    >>> storage_share([-5.0, 5.0], 1e4, 1.0, 0.0, time=1.0, ends=(-10.0, 10.0)).round(4).tolist()
    [0.5564, 0.5564]
    """
    if spread == 0:
        return exchange_share(position, d_exchange, x0, k, time=time, ends=ends, box=box, blur=blur)
    number = terms_needed(float(ends[1]) - float(ends[0]), spread, blur)
    start = exchange_amplitudes(time, d_exchange, ends=ends, number=number, exchange=k, origin=x0)
    at = np.atleast_1d(np.asarray(position, dtype=float))
    return cosine_sum(at, start, spread, ends=ends, box=box, blur=blur)


def storage_fraction(
    position: Any,
    spread: float,
    d_exchange: float,
    x0: float,
    c0: float,
    c1: float,
    k: float = np.inf,
    *,
    time: float,
    ends: Ends,
    box: float = 0.0,
    blur: float = 0.0,
) -> FloatArray:
    """Isotope fraction after an exchange and storage: C₀ + (C₁ − C₀) `storage_share`.

    Parameters
    ----------
    position, spread, d_exchange, x0, k, time, ends, box, blur
        As in `storage_share`.
    c0, c1 : float
        Fraction before the exchange, and of the source.

    Returns
    -------
    numpy.ndarray, shape (n,)

    Raises
    ------
    ValueError
        As `storage_share`.

    Examples
    --------
    >>> bar = {"time": 1.0, "ends": (-10.0, 10.0)}
    >>> storage_fraction([0.0], 1e4, 1.0, 0.0, 0.0759, 0.95, **bar).round(4).tolist()
    [0.5623]
    """
    share = storage_share(
        position, spread, d_exchange, x0, k, time=time, ends=ends, box=box, blur=blur
    )
    return np.asarray(c0 + (c1 - c0) * share)

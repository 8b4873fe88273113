"""Profiles of exchange with a source: half space and finite bar, with or without a surface barrier.

Arrays in, arrays out; any consistent set of units.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.special import erfc, erfcx

from lliso._types import FloatArray

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
#: below this h√(Dt) the two terms of Crank's solution cancel, and an integral is used instead
_SMALL_BARRIER = 0.5
#: below this Dt/L² the far end of a bar has felt less than 1e-16 of the source
EARLY = 0.006


def exchange_profile(
    x: Any,
    time: float,
    diffusivity: float,
    *,
    start: float,
    source: float,
    exchange: float = np.inf,
    origin: float = 0.0,
) -> FloatArray:
    r"""Profile in a half space in contact with a source since `time`.

    With :math:`\xi = (x - x_0) / 2\sqrt{Dt}` and :math:`h = k/D`

    .. math:: \frac{C - C_0}{C_1 - C_0} = \mathrm{erfc}\,\xi
              - e^{h(x-x_0) + h^2 D t}\,\mathrm{erfc}(\xi + h\sqrt{Dt})

    (Crank, The Mathematics of Diffusion, eq. 3.35; the first term alone, eq. 4 of J. Mater. Chem.
    A 12 (2024) 731, if k is infinite).

    Parameters
    ----------
    x : array_like
        Positions; what lies before `origin` has the value at the surface.
    time : float
        Duration t.
    diffusivity : float
        D.
    start, source : float
        C₀ and C₁.
    exchange : float
        Surface exchange coefficient k, a velocity; inf for none.
    origin : float
        Position x₀ of the surface (the liquid level).

    Returns
    -------
    numpy.ndarray
        C, of the shape of `x`.

    Raises
    ------
    ValueError
        If time or exchange is negative, or D is not positive.

    Examples
    --------
    >>> c = exchange_profile([0.0, 2.0], 1.0, 1.0, start=0.0, source=1.0)
    >>> np.round(c, 4).tolist()
    [1.0, 0.1573]
    >>> float(exchange_profile(0.0, 1.0, 1.0, start=0.0, source=1.0, exchange=1e-9)) < 2e-9
    True
    """
    check_exchange(time, diffusivity, exchange)
    depth = np.maximum(np.asarray(x, dtype=float) - origin, 0.0)
    if time == 0 or exchange == 0:
        reached = (depth == 0) & (np.isinf(exchange))
        return np.where(reached, source, start) * 1.0
    length = np.sqrt(diffusivity * time)
    share = _crank(depth / (2.0 * length), exchange * np.sqrt(time / diffusivity))
    return np.asarray(start + (source - start) * share)


def check_exchange(time: float, diffusivity: float, exchange: float) -> None:
    """Raise ValueError where an exchange has no meaning.

    Examples
    --------
    >>> check_exchange(-1.0, 1.0, 1.0)
    Traceback (most recent call last):
        ...
    ValueError: time must be finite and not negative, got -1
    """
    if not (np.isfinite(time) and time >= 0):
        raise ValueError(f"time must be finite and not negative, got {time:g}")
    if not (np.isfinite(diffusivity) and diffusivity > 0):
        raise ValueError(f"diffusivity must be finite and positive, got {diffusivity:g}")
    if not exchange >= 0:
        raise ValueError(f"exchange must not be negative, got {exchange:g}")


def _crank(xi: FloatArray, a: float) -> FloatArray:
    """Evaluate erfc ξ - exp(2aξ + a²) erfc(ξ + a), without overflow and without cancellation."""
    if np.isinf(a):
        return np.asarray(erfc(xi))
    if a >= _SMALL_BARRIER:
        return np.asarray(np.exp(-(xi**2)) * (erfcx(xi) - erfcx(xi + a)))
    # The difference of erfcx is the integral of its derivative, 2 z erfcx(z) - 2/√π.
    total = np.zeros_like(xi)
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        z = xi + 0.5 * a * (1.0 + node)
        total = total + 0.5 * a * weight * (2.0 / np.sqrt(np.pi) - 2.0 * z * erfcx(z))
    return np.asarray(np.exp(-(xi**2)) * total)


def bar_exchange(
    x: Any,
    time: float,
    diffusivity: float,
    *,
    length: float,
    start: float,
    source: float,
    exchange: float = np.inf,
    origin: float = 0.0,
    both_ends: bool = False,
) -> FloatArray:
    r"""Profile in a bar of finite length, source at `origin`, no flux at the far end.

    Eigenfunction series with :math:`\beta_n \tan \beta_n = kL/D` (Crank, § 4.3.6); at early times
    the half space, which the bar then equals to rounding.

    Parameters
    ----------
    x, time, diffusivity, start, source, exchange, origin
        As in `exchange_profile`.
    length : float
        Length L of the bar.
    both_ends : bool
        The source is at the far end too, with the same barrier: each half is a bar of L/2.

    Returns
    -------
    numpy.ndarray
        C, of the shape of `x`; positions outside the bar have the value at its end.

    Raises
    ------
    ValueError
        As `exchange_profile`, or if the length is not positive.

    Examples
    --------
    >>> c = bar_exchange([0.0, 1.0], 1e3, 1.0, length=1.0, start=0.0, source=0.95)
    >>> np.round(c, 6).tolist()
    [0.95, 0.95]
    """
    check_exchange(time, diffusivity, exchange)
    if not (np.isfinite(length) and length > 0):
        raise ValueError(f"length must be finite and positive, got {length:g}")
    whole = length
    if both_ends:  # by symmetry nothing flows through the middle
        length = 0.5 * length
    fourier = diffusivity * time / length**2
    biot = exchange * length / diffusivity
    if fourier < EARLY or exchange == 0:
        at = np.asarray(x, dtype=float)
        if both_ends:
            at = np.minimum(at, 2.0 * origin + whole - at)
        at = np.minimum(at, origin + length)
        return exchange_profile(
            at, time, diffusivity, start=start, source=source, exchange=exchange, origin=origin
        )
    beta = bar_eigenvalues(biot, fourier)
    s = np.asarray(x, dtype=float) - origin
    if both_ends:
        s = np.minimum(s, whole - s)
    s = np.clip(s / length, 0.0, 1.0)
    modes = np.cos(np.multiply.outer(1.0 - s, beta))
    remaining = modes @ (bar_weights(beta) * np.exp(-(beta**2) * fourier))
    return np.asarray(source + (start - source) * remaining)


def bar_weights(beta: FloatArray) -> FloatArray:
    """Weight of each mode in a start that is 1 everywhere: 2 sin β / (β + sin β cos β).

    Examples
    --------
    >>> bar_weights(np.array([0.5 * np.pi])).round(6).tolist()
    [1.27324]
    """
    return np.asarray(2.0 * np.sin(beta) / (beta + np.sin(beta) * np.cos(beta)))


def bar_eigenvalues(biot: float, fourier: float) -> FloatArray:
    """Roots of β tan β = Bi, one in each (nπ, (n + ½)π), as many as are left at Dt/L².

    Examples
    --------
    >>> bar_eigenvalues(1.0, 10.0).round(4).tolist()
    [0.8603, 3.4256]
    """
    n = np.arange(int(np.sqrt(40.0 / fourier) / np.pi) + 2) * np.pi
    if np.isinf(biot):
        return np.asarray(n + 0.5 * np.pi)
    low, high = n.copy(), n + 0.5 * np.pi
    for _ in range(60):  # bisection of β sin β - Bi cos β: safe for every Bi
        middle = 0.5 * (low + high)
        sign = (middle * np.sin(middle) - biot * np.cos(middle)) * np.cos(n)
        low, high = np.where(sign < 0, middle, low), np.where(sign < 0, high, middle)
    return np.asarray(0.5 * (low + high))


def box_mean(
    profile: Callable[[FloatArray], FloatArray],
    x: Any,
    width: float,
    breaks: tuple[float, ...] = (),
) -> FloatArray:
    """Mean of a profile over boxes of `width` around `x`, as a line analysis measures it.

    Gauss–Legendre quadrature, split at the positions `breaks` where the profile has a kink.

    Parameters
    ----------
    profile : callable
        C at an array of positions.
    x : array_like, shape (n,)
        Middle of each box.
    width : float
        Width of the boxes; 0 for the profile itself.
    breaks : tuple of float
        Positions of kinks or steps, e.g. the liquid level.

    Returns
    -------
    numpy.ndarray, shape (n,)

    Examples
    --------
    >>> box_mean(lambda s: np.maximum(s, 0.0), [0.0, 5.0], 2.0, breaks=(0.0,)).tolist()
    [0.25, 5.0]
    """
    centre = np.atleast_1d(np.asarray(x, dtype=float))
    if width < 0:
        raise ValueError(f"width must not be negative, got {width:g}")
    if width == 0:
        return profile(centre)
    left, right = centre - 0.5 * width, centre + 0.5 * width
    edges = [left, *(np.clip(b, left, right) for b in sorted(breaks)), right]
    total = np.zeros_like(centre)
    for a, b in pairwise(edges):
        points = a[:, None] + 0.5 * (b - a)[:, None] * (1.0 + _NODES)
        values = profile(points.ravel()).reshape(points.shape)
        total += 0.5 * (b - a) * (values @ _WEIGHTS)
    return np.asarray(total / width)

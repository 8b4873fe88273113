"""Storage and annealing of a closed bar: exact in time, conserves what is in it.

Arrays in, arrays out; any consistent set of units.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.fft import dct

from lliso._types import FloatArray

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)
Start = Callable[[FloatArray], FloatArray] | tuple[Any, Any]


def anneal_profile(
    x: Any,
    spread: float,
    *,
    start: Start,
    ends: tuple[float, float],
    points: int = 2048,
) -> FloatArray:
    r"""Profile in a closed bar after diffusion by ``spread = ∫ D dt``.

    .. math:: C(x) = \sum_n a_n \cos\frac{n\pi (x - x_a)}{L}\,
              \exp\left[-\left(\frac{n\pi}{L}\right)^2 \int D\,dt\right]

    A temperature programme therefore enters only through ∫D dt (see `diffusion_integral`).

    Parameters
    ----------
    x : array_like
        Positions.
    spread : float
        ∫D dt, a length squared.
    start : callable or (positions, values)
        Profile at the start: a function of positions, or points joined by straight lines.
    ends : tuple of float
        Both ends of the bar, without flux.
    points : int
        Equal cells in which the start is sampled; the error of a kink falls as 1/points².

    Returns
    -------
    numpy.ndarray
        C, of the shape of `x`; its mean over the bar is that of the sampled start.

    Raises
    ------
    ValueError
        If spread is negative, the ends are not in order, or a position is outside the bar.

    Examples
    --------
    >>> c = anneal_profile([0.0, 1.0], 50.0, start=lambda s: s, ends=(0.0, 1.0))
    >>> np.round(c, 12).tolist()
    [0.5, 0.5]
    """
    low, high = float(ends[0]), float(ends[1])
    if not (np.isfinite(spread) and spread >= 0):
        raise ValueError(
            f"spread must be finite and not negative, got {spread:g}; time cannot run backwards"
        )
    if not high > low:
        raise ValueError(f"ends must be in order, got {low:g} and {high:g}")
    at = np.asarray(x, dtype=float)
    length = high - low
    if at.size and (at.min() < low - 1e-9 * length or at.max() > high + 1e-9 * length):
        raise ValueError(
            f"positions must lie in the bar from {low:g} to {high:g}, got {at.min():g} to "
            f"{at.max():g}"
        )
    amplitude = _cosine_amplitudes(start, low, length, points)
    if spread == 0:
        return _starting(start, at)
    wave = np.arange(points) * (np.pi / length)
    # what is damped below rounding is left out
    kept = max(1, min(points, int(np.ceil(length / np.pi * np.sqrt(40.0 / spread))) + 1))
    damped = amplitude[:kept] * np.exp(-(wave[:kept] ** 2) * spread)
    return np.asarray(np.cos(np.multiply.outer(at - low, wave[:kept])) @ damped)


def _starting(start: Start, at: FloatArray) -> FloatArray:
    if callable(start):
        return np.asarray(start(at), dtype=float)
    where, values = (np.asarray(v, dtype=float) for v in start)
    if where.ndim != 1 or where.shape != values.shape or np.any(np.diff(where) <= 0):
        raise ValueError("start must be growing positions and as many values")
    return np.asarray(np.interp(at, where, values), dtype=float)


def _cosine_amplitudes(start: Start, low: float, length: float, points: int) -> FloatArray:
    if points < 2:
        raise ValueError(f"points must be at least 2, got {points}")
    cells = np.asarray(low + (np.arange(points) + 0.5) * (length / points), dtype=float)
    amplitude = dct(_starting(start, cells), type=2) / points
    amplitude[0] *= 0.5
    return np.asarray(amplitude)


def diffusion_integral(
    times: Any, temperatures: Any, diffusivity: Callable[[FloatArray], FloatArray]
) -> float:
    """∫ D(T(t)) dt along a programme of straight ramps and holds.

    Parameters
    ----------
    times : array_like, shape (n,)
        Corners of the programme, not decreasing.
    temperatures : array_like, shape (n,)
        Temperature at the corners.
    diffusivity : callable
        D at an array of temperatures.

    Returns
    -------
    float
        A length squared.

    Raises
    ------
    ValueError
        If the times run backwards, or are not as many as the temperatures.

    Examples
    --------
    >>> diffusion_integral([0.0, 10.0, 30.0], [300.0, 300.0, 300.0], lambda T: 0.5 + 0 * T)
    15.0
    """
    t, temperature = np.asarray(times, dtype=float), np.asarray(temperatures, dtype=float)
    if t.ndim != 1 or t.shape != temperature.shape or t.size < 2:
        raise ValueError(
            "a programme needs as many times as temperatures, at least 2, got "
            f"{t.size} and {temperature.size}"
        )
    if np.any(np.diff(t) < 0):
        raise ValueError("times must not decrease, got a programme that runs backwards")
    # Ramps are cut in parts so that D changes by little within one.
    parts = 32
    share = np.arange(parts + 1) / parts
    total = 0.0
    for k in range(t.size - 1):
        step = (t[k + 1] - t[k]) / parts
        s = share[:-1, None] + 0.5 * (1.0 + _NODES) / parts
        at = temperature[k] + s * (temperature[k + 1] - temperature[k])
        total += 0.5 * step * float((diffusivity(at) @ _WEIGHTS).sum())
    return float(total)

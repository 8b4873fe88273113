r"""Closed bar as a cosine series whose amplitudes are known in closed form.

In a bar from :math:`x_a` to :math:`x_b = x_a + L` without flux at its ends

.. math:: C(x, s) = \sum_n a_n \cos q_n(x - x_a)\, e^{-q_n^2 s}, \quad q_n = n\pi/L,
          \quad s = \int D\,dt

is exact. The amplitudes are integrals of the start, done here without sampling for the profiles
that occur: points joined by straight lines, and the profile that an exchange leaves behind. An
instrument's box or Gaussian multiplies each term by a number. Arrays in, arrays out; any
consistent set of units.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import erfcx, wofz

from lliso._types import FloatArray
from lliso.diffusion.exchange import (
    EARLY,
    bar_eigenvalues,
    bar_weights,
    check_exchange,
    exchange_profile,
)

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
#: terms damped by more than exp(-40) are left out
_DAMPED = 40.0
#: no more terms than this, however short the diffusion
MOST_TERMS = 16384
_BLOCK = 64


def bar_length(ends: tuple[float, float]) -> float:
    """Length of a bar.

    Raises
    ------
    ValueError
        If the ends are not finite or not in order.

    Examples
    --------
    >>> bar_length((-1000.0, 9000.0))
    10000.0
    """
    low, high = float(ends[0]), float(ends[1])
    if not (np.isfinite(low) and np.isfinite(high) and high > low):
        raise ValueError(f"ends must be finite and in order, got {low:g} and {high:g}")
    return high - low


def terms_needed(length: float, spread: float, blur: float = 0.0) -> int:
    """Terms of the series that are not damped below rounding.

    Parameters
    ----------
    length : float
        L.
    spread : float
        ∫D dt, a length squared.
    blur : float
        Standard deviation of a Gaussian that blurs the profile.

    Examples
    --------
    >>> terms_needed(1e4, 3.6e5)
    35
    """
    damping = spread + 0.5 * blur**2
    if damping <= 0:
        return MOST_TERMS
    needed = np.ceil(length / np.pi * np.sqrt(_DAMPED / damping)) + 1
    return int(min(MOST_TERMS, max(2, needed)))


def cosine_sum(
    x: Any,
    amplitudes: FloatArray,
    spread: float,
    *,
    ends: tuple[float, float],
    box: float = 0.0,
    blur: float = 0.0,
) -> FloatArray:
    """Sum the series after diffusion by `spread`.

    Parameters
    ----------
    x : array_like
        Positions.
    amplitudes : numpy.ndarray, shape (terms,) or (terms, m)
        a_n of the start, or of m starts.
    spread : float
        ∫D dt, a length squared.
    ends : tuple of float
        Both ends of the bar.
    box : float
        Width over which each position is averaged; the box must lie in the bar.
    blur : float
        Standard deviation of a Gaussian by which the profile is blurred.

    Returns
    -------
    numpy.ndarray
        C, of the shape of `x` (with the second axis of `amplitudes`, if it has one).

    Raises
    ------
    ValueError
        If spread, box or blur is negative, a position lies outside the bar, or the ends are not
        in order.

    Examples
    --------
    >>> flat = np.array([0.5, 0.25])
    >>> cosine_sum([0.0, 1.0], flat, 50.0, ends=(0.0, 1.0)).round(12).tolist()
    [0.5, 0.5]
    """
    number = min(len(amplitudes), terms_needed(bar_length(ends), spread, blur))
    basis = cosine_basis(x, ends=ends, number=number, box=box)
    factors = damping(spread, ends=ends, number=number, box=box, blur=blur)
    return np.asarray(basis @ (amplitudes[:number].T * factors).T)


def cosine_basis(x: Any, *, ends: tuple[float, float], number: int, box: float = 0.0) -> FloatArray:
    """Cosines of the series at positions, shape (n, number); for sums that are made many times.

    Parameters
    ----------
    x : array_like, shape (n,)
    ends : tuple of float
        Both ends of the bar.
    number : int
        Terms.
    box : float
        Width of the box over which is averaged, by half of which a position may lie outside.

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    ValueError
        If a position lies outside the bar, or the ends are not in order.

    Examples
    --------
    >>> cosine_basis([1.0], ends=(0.0, 1.0), number=3).tolist()
    [[1.0, -1.0, 1.0]]
    """
    length = bar_length(ends)
    at = np.asarray(x, dtype=float)
    slack = 0.5 * box + 1e-9 * length
    if at.size and (at.min() < ends[0] - slack or at.max() > ends[1] + slack):
        raise ValueError(
            f"positions must lie in the bar from {ends[0]:g} to {ends[1]:g}, got {at.min():g} to "
            f"{at.max():g}; state the ends of the bar on the axis of the positions"
        )
    return _cosines((at - ends[0]) * (np.pi / length), number)


def _cosines(angle: FloatArray, number: int) -> FloatArray:
    """Return cos nα for n below `number` on a last axis; many by the sum of two angles: fast."""
    if number <= 2 * _BLOCK:
        return np.asarray(np.cos(np.multiply.outer(angle, np.arange(number, dtype=np.float64))))
    few = np.multiply.outer(angle, np.arange(_BLOCK, dtype=np.float64))
    whole = np.multiply.outer(angle, np.arange(0.0, number, _BLOCK))
    out = np.cos(whole)[..., :, None] * np.cos(few)[..., None, :]
    out -= np.sin(whole)[..., :, None] * np.sin(few)[..., None, :]
    return np.asarray(out.reshape(*np.shape(angle), -1)[..., :number])


def damping(
    spread: float,
    *,
    ends: tuple[float, float],
    number: int,
    box: float = 0.0,
    blur: float = 0.0,
) -> FloatArray:
    """Return the factor of each term: diffusion, the instrument's box and its Gaussian.

    Parameters
    ----------
    spread, ends, box, blur
        As in `cosine_sum`.
    number : int
        Terms.

    Returns
    -------
    numpy.ndarray, shape (number,)

    Raises
    ------
    ValueError
        If spread, box or blur is negative.

    Examples
    --------
    >>> damping(0.1, ends=(0.0, 1.0), number=2).round(4).tolist()
    [1.0, 0.3727]
    """
    if not (np.isfinite(spread) and spread >= 0):
        raise ValueError(
            f"spread must be finite and not negative, got {spread:g}; time cannot run backwards"
        )
    if not (box >= 0 and blur >= 0):
        raise ValueError(f"box and blur must not be negative, got {box:g} and {blur:g}")
    q = np.arange(number, dtype=np.float64) * (np.pi / bar_length(ends))
    out = np.exp(-(q**2) * (spread + 0.5 * blur**2))
    if box > 0:
        out *= np.sinc(q * (0.5 * box / np.pi))
    return np.asarray(out)


def line_amplitudes(positions: Any, *, ends: tuple[float, float], number: int) -> FloatArray:
    r"""Amplitudes of a profile given at points joined by straight lines, as a linear map.

    With the slopes m_i between the points, :math:`a_n = \frac{2}{L q_n^2} \sum_i m_i
    (\cos q_n s_{i+1} - \cos q_n s_i)`; before the first and after the last point the profile is
    taken to be constant.

    Parameters
    ----------
    positions : array_like, shape (m,)
        Growing, inside the bar.
    ends : tuple of float
        Both ends of the bar.
    number : int
        Terms.

    Returns
    -------
    numpy.ndarray, shape (number, m)
        What the values at the points are multiplied by.

    Raises
    ------
    ValueError
        If the positions do not grow or lie outside the bar.

    Examples
    --------
    >>> a = line_amplitudes([0.0, 1.0], ends=(0.0, 1.0), number=3) @ [0.0, 1.0]
    >>> a.round(4).tolist()
    [0.5, -0.4053, 0.0]
    """
    length = bar_length(ends)
    at = np.asarray(positions, dtype=float)
    if at.ndim != 1 or at.size < 2 or not np.all(np.diff(at) > 0):
        raise ValueError("a start must be given at two or more growing positions")
    if at[0] < ends[0] - 1e-9 * length or at[-1] > ends[1] + 1e-9 * length:
        raise ValueError(
            f"the start's positions must lie in the bar from {ends[0]:g} to {ends[1]:g}, got "
            f"{at[0]:g} to {at[-1]:g}"
        )
    s = np.clip(at - ends[0], 0.0, length)
    width = np.diff(s)
    out = np.zeros((at.size, number))  # a row for each point: its terms lie side by side
    q = np.arange(1, number) * (np.pi / length)
    rise = np.diff(_cosines(s * (np.pi / length), number)[:, 1:], axis=0)
    rise /= width[:, None]
    rise *= 2.0 / length / q**2
    out[1:, 1:] += rise
    out[:-1, 1:] -= rise
    out[:-1, 0] += 0.5 * width
    out[1:, 0] += 0.5 * width
    out[0, 0] += s[0]
    out[-1, 0] += length - s[-1]
    out[:, 0] /= length
    return out.T


def exchange_amplitudes(
    time: float,
    diffusivity: float,
    *,
    ends: tuple[float, float],
    number: int,
    exchange: float = np.inf,
    origin: float = 0.0,
) -> FloatArray:
    r"""Amplitudes of the profile that an exchange leaves, as a share of source minus start.

    Before the origin the profile has the value at the surface. With :math:`\ell = 2\sqrt{Dt}`,
    :math:`z = q\ell/2`, :math:`a = k\sqrt{t/D}`, :math:`h = 2a/\ell` and Faddeeva's function w,
    integration by parts of Crank's solution gives

    .. math:: \int_0^\infty S(u)\,e^{iqu}\,du
              = \frac{w(z) - 1}{iq} - \frac{w(z) - \mathrm{erfcx}\,a}{h + iq}

    (the first term alone without a barrier). Where the far end has felt the source, the
    eigenfunctions of `lliso.diffusion.exchange.bar_exchange` are integrated instead.

    Parameters
    ----------
    time, diffusivity, exchange, origin
        As in `lliso.diffusion.exchange.exchange_profile`.
    ends : tuple of float
        Both ends of the bar; the origin lies between them.
    number : int
        Terms.

    Returns
    -------
    numpy.ndarray, shape (number,)

    Raises
    ------
    ValueError
        As `exchange_profile`, or if the origin lies outside the bar.

    Examples
    --------
    >>> a = exchange_amplitudes(1.0, 1.0, ends=(-10.0, 90.0), number=3)
    >>> bool(np.isclose(a[0], (10.0 + 2.0 / np.sqrt(np.pi)) / 100.0, rtol=1e-14))
    True
    """
    check_exchange(time, diffusivity, exchange)
    length = bar_length(ends)
    immersed = origin - ends[0]
    if not 0 <= immersed < length:
        raise ValueError(
            f"the liquid level must lie in the bar from {ends[0]:g} to {ends[1]:g}, got {origin:g}"
        )
    q = np.arange(number, dtype=np.float64) * (np.pi / length)
    free = length - immersed
    if time == 0 or exchange == 0:
        surface, tail = float(np.isinf(exchange)), np.zeros(number)
    elif diffusivity * time / free**2 < EARLY:
        surface, tail = _half_space(q, immersed, time, diffusivity, exchange)
    else:
        surface, tail = _whole_bar(q, free, time, diffusivity, exchange)
    integral = surface * immersed * np.sinc(q * immersed / np.pi) + tail
    integral[1:] *= 2.0
    return np.asarray(integral / length)


def _half_space(
    q: FloatArray, immersed: float, time: float, diffusivity: float, exchange: float
) -> tuple[float, FloatArray]:
    """Share at the surface, and the integral of share times cosine behind it."""
    ell = 2.0 * np.sqrt(diffusivity * time)
    a = float(exchange * np.sqrt(time / diffusivity))
    surface = float(
        exchange_profile(0.0, time, diffusivity, start=0.0, source=1.0, exchange=exchange)
    )
    w = wofz(0.5 * q[1:] * ell)
    transform = np.empty(q.size, dtype=complex)
    transform[1:] = (w - 1.0) / (1j * q[1:])
    if not np.isinf(a):
        transform[1:] -= (w - erfcx(a)) / (2.0 * a / ell + 1j * q[1:])
    transform[0] = _amount(a, ell)
    return surface, np.asarray((np.exp(1j * q * immersed) * transform).real)


def _amount(a: float, ell: float) -> float:
    """∫ share over the half space, ℓ/√π - (1 - erfcx a)/h, where that cancels as an integral."""
    if np.isinf(a):
        return float(ell / np.sqrt(np.pi))
    if a >= 0.5:
        return float(ell / np.sqrt(np.pi) - ell * (1.0 - erfcx(a)) / (2.0 * a))
    z = 0.5 * a * (1.0 + _NODES)
    return float(0.5 * ell * (_WEIGHTS @ (z * erfcx(z))))


def _whole_bar(
    q: FloatArray, free: float, time: float, diffusivity: float, exchange: float
) -> tuple[float, FloatArray]:
    """Do as `_half_space`, where the far end has felt the source."""
    fourier = diffusivity * time / free**2
    beta = bar_eigenvalues(exchange * free / diffusivity, fourier)
    left = bar_weights(beta) * np.exp(-(beta**2) * fourier)
    surface = 1.0 - float(left @ np.cos(beta))
    # in the distance from the far end, where every cosine of the closed bar is ±1
    sign = np.where(np.arange(q.size) % 2 == 0, 1.0, -1.0)
    kappa = beta / free
    difference = np.subtract.outer(q, kappa) * (free / np.pi)
    total = np.add.outer(q, kappa) * (free / np.pi)
    modes = 0.5 * free * (np.sinc(difference) + np.sinc(total))
    return surface, np.asarray(sign * (free * np.sinc(q * free / np.pi) - modes @ left))

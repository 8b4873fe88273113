"""The isotope fraction beside one grain boundary: two curved grains and a step between them.

Arrays in, arrays out; any consistent set of units. `nu` is the distance from the boundary along its
normal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtr

from lliso._types import FloatArray


def blurred_step(nu: Any, blur: float = 0.0, slice_length: float = 0.0) -> FloatArray:
    r"""Compute a unit step at ``nu = 0``, blurred by a Gaussian and averaged over a slice.

    .. math:: H(\nu) = \frac{1}{h} \int_{\nu-h/2}^{\nu+h/2} \Phi(s / \sigma)\, ds

    Parameters
    ----------
    nu : array_like
        Distance from the step to the middle of each slice.
    blur : float
        Standard deviation σ of the Gaussian, in the unit of `nu`; 0 for none.
    slice_length : float
        Length h of a slice, in the unit of `nu`; 0 for none.

    Returns
    -------
    numpy.ndarray
        Values from 0 to 1, of the shape of `nu`.

    Raises
    ------
    ValueError
        If `blur` or `slice_length` is negative.

    Examples
    --------
    >>> blurred_step([-2.0, 0.0, 0.25, 2.0], slice_length=1.0)
    array([0.  , 0.5 , 0.75, 1.  ])
    """
    if blur < 0 or slice_length < 0:
        raise ValueError(
            f"blur and slice_length must not be negative, got {blur:g} and {slice_length:g}"
        )
    nu = np.asarray(nu, dtype=float)
    if slice_length == 0:
        if blur == 0:
            return np.asarray(np.heaviside(nu, 0.5))
        with np.errstate(over="ignore"):
            return np.asarray(ndtr(nu / blur))
    half = slice_length / 2
    mean = (_integrated_step(nu + half, blur) - _integrated_step(nu - half, blur)) / slice_length
    return np.asarray(np.clip(mean, 0.0, 1.0))


def _integrated_step(s: FloatArray, blur: float) -> FloatArray:
    """Integral of the (blurred) unit step from -infinity to `s`."""
    if blur == 0:
        return np.maximum(s, 0.0)
    with np.errstate(over="ignore"):  # a fit may try a blur of next to nothing
        u = s / blur
        density = np.exp(-0.5 * u**2) / np.sqrt(2 * np.pi)
    return np.asarray(s * ndtr(u) + blur * density)


def boundary_terms(nu: Any, blur: float = 0.0, slice_length: float = 0.0) -> FloatArray:
    """Columns that `boundary_fraction` is a linear combination of.

    Parameters
    ----------
    nu : array_like, shape (n,)
        Distance from the boundary.
    blur, slice_length : float
        As in `blurred_step`.

    Returns
    -------
    numpy.ndarray, shape (n, 5)
        Factors of level, step, slope, curvature_before and curvature_after.

    Examples
    --------
    >>> boundary_terms([-2.0, 2.0])
    array([[ 1. , -0.5, -2. ,  2. ,  0. ],
           [ 1. ,  0.5,  2. ,  0. ,  2. ]])
    """
    nu = np.asarray(nu, dtype=float).ravel()
    terms = np.empty((nu.size, 5))
    terms[:, 0] = 1.0
    terms[:, 1] = blurred_step(nu, blur, slice_length) - 0.5
    terms[:, 2] = nu
    bend = nu**2 / 2
    terms[:, 3] = np.where(nu < 0, bend, 0.0)
    terms[:, 4] = np.where(nu > 0, bend, 0.0)
    return terms


def boundary_fraction(
    distance: Any,
    level: float = 0.5,
    step: float = 0.0,
    slope: float = 0.0,
    curvature_before: float = 0.0,
    curvature_after: float = 0.0,
    position: float = 0.0,
    blur: float = 0.0,
    slice_length: float = 0.0,
) -> FloatArray:
    r"""Isotope fraction along a line across one grain boundary.

    .. math::
        C(\nu) = c + \Delta C\,(H(\nu) - \tfrac12) + g\,\nu
                 + \tfrac12 q_-\nu^2\,[\nu<0] + \tfrac12 q_+\nu^2\,[\nu>0],
        \qquad \nu = x - x_0

    One slope g on both sides, because the flux through the boundary is continuous; the curvatures
    may differ.

    Parameters
    ----------
    distance : array_like, shape (n,)
        Position x along the line.
    level : float
        c, the mean of the fractions on both sides of the boundary.
    step : float
        ΔC, fraction after the boundary less fraction before it.
    slope : float
        g, per unit of distance.
    curvature_before, curvature_after : float
        q₋ and q₊, per unit of distance squared.
    position : float
        x₀, where the boundary is.
    blur : float
        Standard deviation of the Gaussian that blurs the step.
    slice_length : float
        Length of a slice, over which the step is averaged.

    Returns
    -------
    numpy.ndarray, shape (n,)
        Isotope fraction.

    Examples
    --------
    >>> boundary_fraction([0.0, 10.0], level=0.4, step=-0.02, slope=-1e-3, position=5.0)
    array([0.415, 0.385])
    """
    terms = boundary_terms(np.asarray(distance, dtype=float) - position, blur, slice_length)
    return np.asarray(terms @ np.array([level, step, slope, curvature_before, curvature_after]))

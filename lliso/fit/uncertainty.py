"""Confidence sets of a ratio of two uncertain numbers, and what they allow one to say.

The permeability is P = D_bulk · slope / step. Both are uncertain and correlated, and the slope
often is not different from zero: first-order error propagation then gives an interval that misses
the truth too often or reaches below zero. Fieller's set does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from lliso._types import BoolArray, FloatArray

MEASURED = "measured"
UPPER_LIMIT = "upper_limit"
LOWER_LIMIT = "lower_limit"
NOT_MEASURABLE = "not_measurable"
INCONSISTENT_SIGN = "inconsistent_sign"


@dataclass(frozen=True)
class RatioSet:
    """Confidence set of a ratio that must not be negative.

    Attributes
    ----------
    low, high : float
        Limits; 0 and infinity where the data set none, NaN for `INCONSISTENT_SIGN`.
    kind : str
        `MEASURED` (two limits), `UPPER_LIMIT` (0 belongs to the set), `LOWER_LIMIT` (the set is
        unbounded), `NOT_MEASURABLE` (both) or `INCONSISTENT_SIGN` (no value fits).
    """

    low: float
    high: float
    kind: str


def ratio_set(
    numerator: float,
    denominator: float,
    var_numerator: float,
    var_denominator: float,
    covariance: float,
    level: float = 0.95,
) -> RatioSet:
    r"""Fieller's confidence set of numerator/denominator, intersected with ratio ≥ 0.

    All ρ with :math:`(a - \rho b)^2 \le z^2 (v_a - 2\rho v_{ab} + \rho^2 v_b)`.

    Parameters
    ----------
    numerator, denominator : float
        Estimates a and b.
    var_numerator, var_denominator, covariance : float
        Their variances and covariance.
    level : float
        Confidence level.

    Returns
    -------
    RatioSet

    Raises
    ------
    ValueError
        If the level is not between 0 and 1, a variance is negative, or the covariance is larger
        than the variances allow.

    References
    ----------
    E. C. Fieller, J. R. Stat. Soc. B 16 (1954) 175.

    Examples
    --------
    >>> s = ratio_set(1.0, 2.0, 0.01, 0.01, 0.0)
    >>> s.kind, round(s.low, 3), round(s.high, 3)
    ('measured', 0.395, 0.615)
    >>> ratio_set(0.1, 2.0, 0.01, 0.01, 0.0).kind
    'upper_limit'
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    if var_numerator < 0 or var_denominator < 0:
        raise ValueError("variances must not be negative")
    if covariance**2 > var_numerator * var_denominator * (1 + 1e-9):
        raise ValueError("the covariance must be within the product of the standard errors")
    numbers = (numerator, denominator, var_numerator, var_denominator, covariance)
    if not all(math.isfinite(v) for v in numbers):
        return RatioSet(math.nan, math.nan, NOT_MEASURABLE)
    z2 = float(ndtri(0.5 + level / 2)) ** 2
    a = denominator**2 - z2 * var_denominator
    half_b = numerator * denominator - z2 * covariance
    c = numerator**2 - z2 * var_numerator
    discriminant = half_b**2 - a * c
    if a > 0:  # an interval; the discriminant cannot be negative here but for rounding
        return _classify(*_roots(a, half_b, c, max(discriminant, 0.0)))
    if discriminant <= 0 or a == 0:
        return RatioSet(0.0, math.inf, NOT_MEASURABLE)
    first, second = _roots(a, half_b, c, discriminant)
    # The set is everything but (first, second).
    if first < 0 < second:
        return RatioSet(second, math.inf, LOWER_LIMIT)
    return RatioSet(0.0, math.inf, NOT_MEASURABLE)


def kind_of(low: float, high: float) -> str:
    """Return what limits of 0 and infinity leave of a measurement.

    Examples
    --------
    >>> kind_of(0.0, 2e-6)
    'upper_limit'
    """
    if low > 0:
        return LOWER_LIMIT if math.isinf(high) else MEASURED
    return NOT_MEASURABLE if math.isinf(high) else UPPER_LIMIT


def positive_set(angle: FloatArray, inside: BoolArray, scale: float) -> RatioSet:
    """Classify a set of ratios scale · tan(angle) given on a grid of angles from −π/2 to π/2.

    Parameters
    ----------
    angle : numpy.ndarray, shape (n,)
        Grid, ends included.
    inside : numpy.ndarray of bool, shape (n,)
        Whether the ratio at that angle belongs to the set.
    scale : float
        What the tangent is multiplied with.

    Returns
    -------
    RatioSet
        The smallest interval that holds the part of the set that is not negative.

    Examples
    --------
    >>> angle = np.linspace(-np.pi / 2, np.pi / 2, 1801)
    >>> s = positive_set(angle, (angle > 0.5) & (angle < 1.0), 1.0)
    >>> s.kind, round(s.low, 2), round(s.high, 2)
    ('measured', 0.55, 1.55)
    """
    positive = inside & (angle >= 0)
    if not positive.any():
        return RatioSet(math.nan, math.nan, INCONSISTENT_SIGN)
    at = np.flatnonzero(positive)
    unbounded = bool(inside[-1])
    holds_zero = bool(np.any(inside & (np.abs(angle) <= angle[1] - angle[0])))
    low = 0.0 if holds_zero else scale * math.tan(angle[at[0]])
    high = math.inf if unbounded else scale * math.tan(angle[at[-1]])
    return RatioSet(low, high, kind_of(low, high))


def _roots(a: float, half_b: float, c: float, discriminant: float) -> tuple[float, float]:
    """Roots of a ρ² − 2 half_b ρ + c, in order, without cancellation."""
    q = half_b + math.copysign(math.sqrt(discriminant), half_b)
    if q == 0:
        return 0.0, 0.0
    one, two = q / a, c / q
    return min(one, two), max(one, two)


def _classify(low: float, high: float) -> RatioSet:
    if high < 0:
        return RatioSet(math.nan, math.nan, INCONSISTENT_SIGN)
    if low <= 0:
        return RatioSet(0.0, high, UPPER_LIMIT)
    return RatioSet(low, high, MEASURED)

"""Fieller's set against its definition, and the verdicts that it allows."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import ndtri

from lliso.fit.uncertainty import (
    INCONSISTENT_SIGN,
    LOWER_LIMIT,
    MEASURED,
    NOT_MEASURABLE,
    UPPER_LIMIT,
    ratio_set,
)

estimate = st.floats(-5, 5).filter(lambda v: abs(v) > 1e-3)
level = st.sampled_from([0.5, 0.6827, 0.95, 0.99])


def inside(ratio, a, b, va, vb, vab, z2):
    return (a - ratio * b) ** 2 <= z2 * (va - 2 * ratio * vab + ratio**2 * vb)


@settings(max_examples=500, deadline=None)
@given(a=estimate, b=estimate, correlation=st.floats(-0.99, 0.99), level=level)
def test_the_set_is_where_its_inequality_holds(a, b, correlation, level):
    """With unit variances, over ratios from 0 to 1000."""
    z2 = ndtri(0.5 + level / 2) ** 2
    assume(abs(b**2 - z2) > 1e-3)  # a ratio at infinity
    found = ratio_set(a, b, 1.0, 1.0, correlation, level)
    ratio = np.concatenate([[0.0], np.geomspace(1e-5, 1e3, 4000)])
    holds = inside(ratio, a, b, 1.0, 1.0, correlation, z2)
    unbounded = b**2 < z2
    if found.kind == INCONSISTENT_SIGN:
        assert not holds.any()
        return
    # Where the set in ratio >= 0 is in two parts, around 0 and out to infinity, it says nothing.
    expected = {
        (True, True): NOT_MEASURABLE,
        (True, False): UPPER_LIMIT,
        (False, True): LOWER_LIMIT,
        (False, False): MEASURED,
    }[bool(holds[0]), bool(unbounded)]
    assert found.kind == expected
    if expected != NOT_MEASURABLE:
        within = (ratio >= found.low) & (ratio <= found.high)
        margin = 1e-6 * (1 + ratio)  # points on the very edge may fall either way
        edge = (np.abs(ratio - found.low) < margin) | (np.abs(ratio - found.high) < margin)
        np.testing.assert_array_equal(within[~edge], holds[~edge])


@given(a=estimate, b=estimate, correlation=st.floats(-0.9, 0.9), scale=st.floats(1e-6, 1e6))
def test_units_do_not_matter(a, b, correlation, scale):
    one = ratio_set(a, b, 0.09, 0.04, correlation * 0.06)
    other = ratio_set(a * scale, b, 0.09 * scale**2, 0.04, correlation * 0.06 * scale)
    assert other.kind == one.kind
    if one.kind in (MEASURED, UPPER_LIMIT):
        assert other.high == pytest.approx(scale * one.high, rel=1e-7)


def test_small_errors_give_the_first_order_interval():
    a, b, sa, sb, r = 1.1, 0.02, 1e-5, 1e-7, -0.8
    found = ratio_set(a, b, sa**2, sb**2, r * sa * sb, 0.6827)
    relative = math.sqrt((sa / a) ** 2 + (sb / b) ** 2 - 2 * r * sa * sb / (a * b))
    z = ndtri(0.5 + 0.6827 / 2)
    assert (found.low, found.high) == pytest.approx(
        (a / b * (1 - z * relative), a / b * (1 + z * relative)), rel=1e-8
    )


@pytest.mark.parametrize(
    ("a", "b", "kind"),
    [
        (-1.0, -0.02, MEASURED),  # both negative: the ratio is positive
        (1.0, 0.02, MEASURED),
        (0.1, 0.02, UPPER_LIMIT),
        (1.0, 0.0005, LOWER_LIMIT),
        (0.1, 0.0005, NOT_MEASURABLE),
        (-1.0, 0.0005, LOWER_LIMIT),  # the step may have either sign
        (-1.0, 0.02, INCONSISTENT_SIGN),
    ],
)
def test_every_verdict(a, b, kind):
    found = ratio_set(a, b, 0.2**2, 0.002**2, 0.0)
    assert found.kind == kind
    limits = {
        MEASURED: 0 < found.low < a / b < found.high < math.inf,
        UPPER_LIMIT: found.low == 0 < found.high < math.inf,
        LOWER_LIMIT: 0 < found.low < found.high == math.inf,
        NOT_MEASURABLE: (found.low, found.high) == (0, math.inf),
        INCONSISTENT_SIGN: math.isnan(found.low) and math.isnan(found.high),
    }
    assert limits[kind]


def test_nothing_known_is_not_measurable_and_nan():
    found = ratio_set(math.nan, 1.0, 1.0, 1.0, 0.0)
    assert found.kind == NOT_MEASURABLE
    assert math.isnan(found.low)


@pytest.mark.parametrize("level", [0, 1, -0.5, 95, math.nan])
def test_bad_level(level):
    with pytest.raises(ValueError, match="level must be between 0 and 1, got"):
        ratio_set(1, 1, 1, 1, 0, level)


def test_bad_covariances():
    with pytest.raises(ValueError, match="variances must not be negative"):
        ratio_set(1, 1, -1, 1, 0)
    with pytest.raises(ValueError, match="the covariance must be within the product"):
        ratio_set(1, 1, 1, 1, 1.1)

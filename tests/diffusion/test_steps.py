"""The step, its blur and the model of one boundary, against integrals done another way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import ndtr

from lliso.diffusion.steps import blurred_step, boundary_fraction, boundary_terms

position = st.floats(-20, 20)
length = st.floats(0.05, 5)


@given(nu=position, blur=length, slice_length=length)
def test_it_is_the_average_of_the_blurred_step_over_the_slice(nu, blur, slice_length):
    low, high = nu - slice_length / 2, nu + slice_length / 2
    middle = min(max(0.0, low), high)
    expected = sum(
        quad(lambda s: ndtr(s / blur), a, b, epsabs=1e-12)[0]
        for a, b in ((low, middle), (middle, high))
    )
    assert blurred_step(nu, blur, slice_length) == pytest.approx(expected / slice_length, abs=1e-9)


some_or_none = st.one_of(st.just(0.0), st.floats(1e-3, 3))


@given(nu=position, blur=st.floats(0, 5), slice_length=some_or_none)
def test_it_is_odd_about_the_middle_and_within_0_and_1(nu, blur, slice_length):
    here, mirrored = blurred_step(nu, blur, slice_length), blurred_step(-nu, blur, slice_length)
    assert here + mirrored == pytest.approx(1.0, abs=1e-9)
    assert 0 <= here <= 1


@pytest.mark.parametrize("slice_length", [0.0, 1.0])
def test_it_rises(slice_length):
    values = blurred_step(np.linspace(-4, 4, 101), 0.7, slice_length)
    assert np.all(np.diff(values) > 0)


def test_limits_meet():
    nu = np.array([-1.3, -0.2, 0.0, 0.3, 2.0])
    np.testing.assert_allclose(blurred_step(nu, 1e-9, 1.0), blurred_step(nu, 0.0, 1.0), atol=1e-8)
    np.testing.assert_allclose(blurred_step(nu, 0.5, 1e-5), blurred_step(nu, 0.5, 0.0), atol=1e-9)
    np.testing.assert_array_equal(blurred_step(nu), [0, 0, 0.5, 1, 1])
    np.testing.assert_allclose(blurred_step(nu, 0.0, 1.0), [0, 0.3, 0.5, 0.8, 1], atol=1e-15)


@pytest.mark.parametrize(("blur", "slice_length"), [(-1, 0), (0, -1)])
def test_negative_lengths(blur, slice_length):
    with pytest.raises(ValueError, match=r"blur and slice_length must not be negative, got"):
        blurred_step(0.0, blur, slice_length)


def test_the_parameters_mean_what_they_say():
    """Level and step at the boundary, slope and curvature as one-sided derivatives there."""
    p = {"level": 0.4, "step": -0.02, "slope": -1e-3, "curvature_before": 3e-4,
         "curvature_after": -2e-4, "position": 7.0}  # fmt: skip
    h = 1e-3

    def c(nu):
        return boundary_fraction(np.asarray(nu) + p["position"], **p)

    for side, curvature in ((-1, "curvature_before"), (1, "curvature_after")):
        at = side * h * np.array([1.0, 2.0, 3.0])
        quadratic = np.polyfit(at, c(at), 2)
        assert quadratic[2] == pytest.approx(p["level"] + side * p["step"] / 2, rel=1e-9)
        assert quadratic[1] == pytest.approx(p["slope"], rel=1e-6)
        assert 2 * quadratic[0] == pytest.approx(p[curvature], rel=1e-3)
    assert c([0.0])[0] == pytest.approx(p["level"])


@given(value=st.tuples(*[st.floats(-1, 1)] * 5), blur=some_or_none, slice_length=some_or_none)
def test_it_is_linear_in_its_terms(value, blur, slice_length):
    nu = np.linspace(-9, 9, 19)
    names = ("level", "step", "slope", "curvature_before", "curvature_after")
    expected = boundary_terms(nu, blur, slice_length) @ np.array(value)
    found = boundary_fraction(
        nu + 4, **dict(zip(names, value, strict=True)), position=4.0, blur=blur,
        slice_length=slice_length,
    )  # fmt: skip
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_without_a_step_it_is_smooth():
    nu = np.array([-1e-9, 1e-9])
    assert np.ptp(boundary_fraction(nu, slope=1.0, curvature_after=5.0)) < 3e-9

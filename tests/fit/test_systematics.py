"""Systematic parts: limits where they are known exactly, the published simulations elsewhere."""

import numpy as np
import pytest

from lliso.fit.systematics import bulk, calibration, cold_relaxation, dip, structure


@pytest.mark.parametrize(
    ("energy", "left"), [(0.25, 0.66), (0.28, 0.86), (0.33, 0.98), (0.36, 0.99), (0.40, 1.00)]
)
def test_cold_relaxation_is_that_of_simulated_polycrystals(energy, left):
    """P_apparent/P in simulated 16 ± 11 µm maps (larger grains among them lose less)."""
    found = 1 / cold_relaxation("2.6e-8 cm^2/s", energy, 16.0).high
    assert found == pytest.approx(left, abs=0.16)
    assert found < left + 0.02


def test_longer_grains_colder_stages_and_shorter_imaging_lose_less():
    base = cold_relaxation(2.6e-8, 0.28, 16.0)
    assert base.high > cold_relaxation(2.6e-8, 0.28, 34.0).high > 1
    assert base.high > cold_relaxation(2.6e-8, 0.28, 16.0, imaging_time="1 h").high
    assert base.high > cold_relaxation(2.6e-8, 0.28, 16.0, imaging_temperature="-130 °C").high
    assert "µm" in base.reason


def test_a_closed_grain_ends_flat():
    assert cold_relaxation(2.6e-8, 0.1, 16.0, imaging_temperature="0 °C").high > 1e6


def test_dip_is_the_sine_of_the_angle_or_one_sided():
    assert dip(90).low == dip(90).high == 1
    assert dip(30).high == pytest.approx(0.5)
    unknown = dip()
    assert unknown.high < 1


def test_the_others_say_what_they_are():
    assert bulk(0.1).low == pytest.approx(0.9)
    assert (bulk(0).low, calibration().high) == (1, 1)
    assert np.log(structure(False).high) > np.log(structure(True).high) > 0.15


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dip(120), "dip must be above 0 and up to 90 degrees, got 120"),
        (lambda: cold_relaxation(-1, 0.3, 16), "d_bulk must be positive, got -1"),
        (lambda: cold_relaxation(1e-8, 0.3, 3.0), "guard must be within half a grain of 3 um"),
        (lambda: cold_relaxation(1e-8, 0.3, 16, imaging_time="5 eV"), "imaging_time must have"),
    ],
)
def test_bad_input_is_answered_in_words(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_what_is_left_of_a_slope_against_a_stepped_solution():
    """The cosine series against finite volumes in time, for a straight line in a closed grain."""
    from scipy.sparse import diags
    from scipy.sparse.linalg import expm_multiply

    from lliso.fit.systematics import _slope_left

    length, guard, n = 16.0, 2.0, 800
    h = length / n
    x = (np.arange(n) + 0.5) * h
    middle = np.full(n, -2.0)
    middle[[0, -1]] = -1.0  # nothing passes the ends
    laplace = diags([np.ones(n - 1), middle, np.ones(n - 1)], [-1, 0, 1], format="csc") / h**2
    inside = (x > guard) & (x < length - guard)
    for diffused in (0.5, 5.0, 20.0):  # D t in µm²
        relaxed = expm_multiply(laplace * diffused, x)
        stepped = np.polyfit(x[inside], relaxed[inside], 1)[0]
        assert _slope_left(diffused, length, guard) == pytest.approx(stepped, rel=2e-3)

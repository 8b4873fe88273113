"""Steps of simulated binomial profiles: found where they are, and not where there are none."""

import numpy as np
import pytest
import xarray as xr
from scipy.special import ndtr
from scipy.stats import poisson

from lliso.diffusion.steps import blurred_step
from lliso.maps.detect import default_window, find_steps, locate_step, scan_steps


def simulated_profile(rng, steps=(), *, slices=200, counts=20_000, pitch=1.0, start=0.6,
                      slope=-2e-4, blur=0.0):  # fmt: skip
    """Return a simulated profile, and the error of its fraction per slice at the start."""
    x = (np.arange(slices) + 0.5) * pitch
    c = start + slope * x + sum(h * blurred_step(x - at, blur, pitch) for at, h in steps)
    n6 = rng.binomial(counts, c)
    return xr.Dataset(
        {"counts": (("species", "distance"), np.stack([n6, counts - n6]))},
        coords={"species": ["6Li", "7Li"], "distance": np.round(x, 6)},
        attrs={"slice_length": pitch, "simulated": 1},
    )


@pytest.mark.parametrize(
    ("start", "slope"), [(0.4, 0.0), (0.6, -2.5e-3), (0.1, 2.5e-3)], ids=["flat", "down", "up"]
)
def test_false_steps_are_as_rare_as_the_threshold_says(rng, start, slope):
    profiles, threshold, slices = 100, 4.0, 200
    found = sum(
        len(find_steps(simulated_profile(rng, start=start, slope=slope, slices=slices), threshold))
        for _ in range(profiles)
    )
    # Neighbouring candidates share most of their slices, so this is above the expected number.
    most = profiles * slices * 2 * ndtr(-threshold)
    assert found <= poisson.ppf(0.999, most)
    assert most < profiles / 50


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("counts", [30_000, 3_000_000])
def test_a_staircase_is_found_step_by_step(rng, counts, sign):
    """Also upwards from low fractions, where taking the steps off leaves other counting errors."""
    at = np.arange(16.3, 190, 16.0)
    steps = [(a, sign * 0.065) for a in at]
    for _ in range(5):
        profile = simulated_profile(
            rng, steps, counts=counts, start=0.8 if sign < 0 else 0.05, slope=sign * 1e-4
        )
        found = find_steps(profile)
        assert len(found) == at.size
        np.testing.assert_allclose([s.position for s in found], at, atol=0.6)
        assert all(np.sign(s.step) == sign and s.found for s in found)


@pytest.mark.parametrize("at", [30.0, 30.3, 30.5])
@pytest.mark.parametrize("counts", [30_000, 600_000])
def test_position_wherever_in_its_slice_the_step_is(rng, counts, at):
    height, draws = 0.03, 40
    error = []
    for _ in range(draws):
        step = locate_step(
            simulated_profile(rng, [(at, -height)], counts=counts, slices=60), at + 3
        )
        assert step.found
        error.append(step.position - at)
    # The slice the step falls into tells its place; a tenth of a slice is the grid.
    expected = np.hypot(np.sqrt(0.24 / counts) / height, 0.1 / np.sqrt(12))
    assert np.sqrt(np.mean(np.square(error))) < 1.6 * expected
    assert abs(np.mean(error)) < 4 * 1.6 * expected / np.sqrt(draws)


@pytest.mark.parametrize("blur", [0.0, 0.425, 0.6], ids=["sharp", "1 um", "1.4 um"])
@pytest.mark.parametrize("at", [50.0, 50.3, 50.5])
def test_a_large_step_has_no_sidelobes(rng, at, blur):
    for height in (-0.2, 0.2):
        profile = simulated_profile(rng, [(at, height)], slices=100, counts=100_000, blur=blur)
        found = find_steps(profile)
        assert [round(s.position) for s in found] == [round(at)]
        assert found[0].step == pytest.approx(height, rel=0.1)


def test_a_small_step_beside_a_large_one_is_found(rng):
    profile = simulated_profile(rng, [(50.0, -0.2), (60.5, -0.03)], slices=100, counts=100_000)
    found = find_steps(profile)
    np.testing.assert_allclose([s.position for s in found], [50.0, 60.5], atol=0.5)


def test_known_steps_are_not_found_again(rng):
    profile = simulated_profile(rng, [(50.0, -0.05), (80.0, -0.05)], slices=120)
    found = find_steps(profile, known=[(50.0, -0.05)])
    np.testing.assert_allclose([s.position for s in found], [80.0], atol=0.5)


def test_significance_has_unit_spread_without_a_step(rng):
    draws = 400
    z = [
        scan_steps(simulated_profile(rng, slices=30, start=c), np.array([15.0])).significance[0]
        for c in np.linspace(0.1, 0.9, draws)
    ]
    # χ² of the sum of squares, ± 4 standard deviations.
    assert np.sum(np.square(z)) == pytest.approx(draws, abs=4 * np.sqrt(2 * draws))


def test_step_and_significance_of_the_scan(rng):
    profile = simulated_profile(rng, [(30.0, -0.05)], slices=60, counts=10_000_000)
    scan = scan_steps(profile, np.array([30.0]))
    assert scan.step[0] == pytest.approx(-0.05, abs=5 * abs(scan.step[0] / scan.significance[0]))


def test_scan_at_the_ends_knows_nothing(rng):
    scan = scan_steps(simulated_profile(rng, slices=40))
    assert np.isnan(scan.step[:2]).all()
    assert (scan.significance[[0, 1, -2, -1]] == 0).all()
    assert scan.significance[20] != 0


def test_nothing_near_leaves_the_place_that_was_meant(rng):
    profile = simulated_profile(rng, [(80.0, -0.05)], slices=120)
    step = locate_step(profile, 40.123)
    assert (step.found, step.position) == (False, 40.123)
    assert locate_step(profile, 80.0 + 5.5).found
    assert not locate_step(profile, 80.0 + 6.9).found


def test_the_nearest_of_two_is_taken(rng):
    profile = simulated_profile(rng, [(50.0, -0.05), (60.0, -0.1)], slices=120, counts=60_000)
    assert locate_step(profile, 54.0).position == pytest.approx(50.0, abs=0.5)
    assert locate_step(profile, 56.0).position == pytest.approx(60.0, abs=0.5)


@pytest.mark.parametrize("slices", [1, 2, 5, 7])
def test_profiles_too_short_for_a_step(rng, slices):
    profile = simulated_profile(rng, slices=slices)
    assert find_steps(profile) == []
    assert not locate_step(profile, 0.5).found


def test_no_counts_at_all(rng):
    profile = simulated_profile(rng, slices=40)
    empty = profile.assign(counts=profile.counts * 0)
    assert find_steps(empty) == []
    assert not locate_step(empty, 20.0).found


def test_slices_without_counts_are_left_out(rng):
    profile = simulated_profile(rng, [(50.0, -0.05)], slices=100)
    profile.counts.values[:, 30:34] = 0
    found = find_steps(profile)
    np.testing.assert_allclose([s.position for s in found], [50.0], atol=0.5)


# default windows ----------------------------------------------------------------------------------
def test_window_ends_at_the_next_steps(rng):
    profile = simulated_profile(rng, [(30.0, -0.05), (50.0, -0.05), (75.5, -0.05)], slices=120)
    low, high = default_window(profile, 50.0)
    assert (low, high) == pytest.approx((30.0, 75.5), abs=0.5)


def test_window_ends_at_known_neighbours(rng):
    profile = simulated_profile(rng, [(50.0, -0.05)], slices=120)
    assert default_window(profile, 50.0, others=[20.0, 38.0, 64.0, 80.0]) == (38.0, 64.0)


def test_window_ends_with_the_profile_or_its_longest_reach(rng):
    profile = simulated_profile(rng, [(25.0, -0.05)], slices=120)
    assert default_window(profile, 25.0) == (0.0, 65.0)
    assert default_window(profile, 25.0, longest=15.0) == (10.0, 40.0)


def test_window_is_not_cut_at_its_own_step(rng):
    profile = simulated_profile(rng, [(60.4, -0.2)], slices=120, counts=200_000, blur=0.6)
    assert default_window(profile, 59.0) == (19.0, 99.0)

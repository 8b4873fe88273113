"""Dead time is undone on average and in its variance, once, and on lazy data lazily."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from lliso.maps.carried import steps_of
from lliso.maps.dead_time import correct_dead_time, non_paralysable, single_stop
from lliso.maps.fraction import bin_pixels, sum_frames
from lliso.schema import make_map


def stack(counts, **attrs):
    counts = np.asarray(counts)
    y, x = (np.arange(n) * 1.0 for n in counts.shape[-2:])
    return make_map(counts, ["6Li", "7Li"][: len(counts)], x=x, y=y, attrs=attrs)


def binomial(shots, rate, shape, seed=1):
    return np.random.default_rng(seed).binomial(shots, -np.expm1(-rate), shape)


def test_formula_of_single_stop_counting():
    m = np.array([0, 10, 500, 999])
    n, variance, saturated = single_stop(m, 1000, unbiased=False)
    assert n == pytest.approx(-1000 * np.log(1 - m / 1000))
    assert variance == pytest.approx(1000 * np.expm1(n / 1000))
    assert not saturated.any()


@pytest.mark.parametrize("shots", [10, 100, 1700])
def test_unbiased_at_any_number_of_shots_where_the_logarithm_is_not(shots):
    """The exact mean over the binomial law, not a simulation; p^N of saturation is negligible."""
    from scipy.stats import binom

    rate = 0.3
    m = np.arange(shots)  # without the saturated outcome
    weight = binom.pmf(m, shots, -np.expm1(-rate))
    assert weight.sum() == pytest.approx(1, abs=2e-6)
    means = [float(weight @ single_stop(m, shots, unbiased=u)[0]) for u in (True, False)]
    assert means[0] == pytest.approx(shots * rate, abs=1e-4)
    bias = 0.5 * np.expm1(rate)
    assert means[1] - shots * rate == pytest.approx(bias, rel=1.5 * rate + 2 / shots)


def test_variance_is_that_of_the_estimate():
    shots, rate, n = 200, 0.6, 200_000
    found, variance, _ = single_stop(binomial(shots, rate, n), shots)
    assert found.var() == pytest.approx(shots * np.expm1(rate), rel=0.02)
    assert variance.mean() == pytest.approx(found.var(), rel=0.02)


def test_saturated_pixels_are_unknown_and_not_large():
    ds = stack([[[5, 5]], [[10, 9]]], shots_per_pixel=10)
    done = correct_dead_time(ds)
    assert done.unknown.values.tolist() == [[True, False]]
    assert done.counts.values[:, 0, 0].tolist() == [0, 0]
    assert done.variance.values[:, 0, 0].tolist() == [0, 0]
    assert done.counts.values[1, 0, 1] > 9


def test_a_pixel_saturated_in_one_frame_is_unknown_in_the_sum():
    frames = np.full((2, 3, 1, 2), 4)
    frames[1, 1, 0, 0] = 10
    summed = sum_frames(correct_dead_time(stack(frames), shots=10))
    assert summed.unknown.values.tolist() == [[True, False]]
    assert summed.counts.values[:, 0, 0].tolist() == [0, 0]
    assert np.all(summed.counts.values[:, 0, 1] > 12)


def test_other_species_do_not_blind_those_that_are_corrected():
    ds = stack([[[5]], [[10]]])
    done = correct_dead_time(ds, shots=10, species=["6Li"])
    assert not done.unknown.any()
    assert done.counts.values[1, 0, 0] == 10
    assert done.counts.values[0, 0, 0] > 5


def test_shots_may_differ_between_frames():
    ds = stack(np.full((2, 2, 1, 1), 4))
    done = correct_dead_time(ds, shots=xr.DataArray([8, 80], dims="frame"))
    n = done.counts.values[0, :, 0, 0]
    assert n[0] == pytest.approx(single_stop(4, 8)[0])
    assert n[1] == pytest.approx(single_stop(4, 80)[0])


def test_shots_of_the_whole_measurement_are_shared_by_the_frames():
    ds = stack(np.full((2, 4, 1, 1), 3), shots_per_pixel=40)
    assert np.allclose(correct_dead_time(ds).counts, single_stop(3, 10)[0])


def test_non_paralysable_mean_and_variance_against_a_simulated_counter():
    """Ions at random times; those within tau of the last counted one are lost."""
    rng = np.random.default_rng(3)
    rate, tau, dwell, n = 400.0, 5e-4, 1.0, 4000
    counted = np.zeros(n, int)
    for i in range(n):
        times = np.sort(rng.uniform(0, dwell, rng.poisson(rate * dwell)))
        end = -1.0
        for t in times:
            if t >= end:
                counted[i] += 1
                end = t + tau
    found, variance, _ = non_paralysable(counted, tau / dwell)
    assert found.mean() == pytest.approx(rate, abs=4 * found.std() / np.sqrt(n))
    assert found.var() == pytest.approx(variance.mean(), rel=0.1)


def test_error_of_tau_is_a_systematic_parameter():
    ds = stack([[[1000]], [[5000]]])
    done = correct_dead_time(ds, tau="44 ns", dwell="1 ms", tau_std="2 ns")
    assert done.parameter.values.tolist() == ["dead_time"]
    assert float(done.systematic_covariance[0, 0]) == pytest.approx(4e-18)
    more = correct_dead_time(ds, tau="44.01 ns", dwell="1 ms")
    change = float((more.counts - done.counts)[1, 0, 0])
    assert float(done.sensitivity[0, 1, 0, 0]) * 1e-11 == pytest.approx(change, rel=1e-3)


def test_facts_of_the_file_are_used_with_their_units():
    ds = stack([[[1000]], [[5000]]]).assign_coords(
        dead_time=("species", [44.0, np.nan], {"units": "ns"}),
        pixel_time=("species", [1.0, 1.0], {"units": "ms"}),
    )
    done = correct_dead_time(ds).counts.values[:, 0, 0]
    assert done == pytest.approx([1000 / (1 - 1000 * 44e-6), 5000])


def test_never_twice_and_never_what_the_instrument_corrected():
    ds = stack([[[5]], [[9]]])
    done = correct_dead_time(ds, shots=10)
    assert steps_of(done) == ("dead_time",)
    assert done.attrs["dead_time_corrected"] == "yes"
    with pytest.raises(ValueError, match="the dead time must be corrected once, got a map with"):
        correct_dead_time(done, shots=10)
    for state in ("yes", "not needed"):
        with pytest.raises(ValueError, match="must not be corrected twice, got a map with"):
            correct_dead_time(ds.assign_attrs(dead_time_corrected=state), shots=10)


@pytest.mark.parametrize("step", [sum_frames, lambda m: bin_pixels(sum_frames(m), 2, 1)])
def test_not_after_counts_were_added(step):
    ds = step(stack(np.full((2, 3, 1, 2), 4)))
    with pytest.raises(ValueError, match=r"the dead time must be corrected before .*summed"):
        correct_dead_time(ds, shots=100)


def test_what_cannot_be_counts_is_refused():
    with pytest.raises(ValueError, match=r"counts must be whole numbers .* got 4\.5; were they"):
        correct_dead_time(stack(np.array([[[4.5]], [[1.0]]])), shots=10)
    with pytest.raises(ValueError, match="counts must not exceed the shots, got 11 counts of 10"):
        correct_dead_time(stack([[[4]], [[11]]]), shots=10)
    with pytest.raises(ValueError, match=r"dead time needs the shots per pixel and frame"):
        correct_dead_time(stack([[[4]], [[11]]]))
    with pytest.raises(ValueError, match="either shots or tau and dwell, got both"):
        correct_dead_time(stack([[[4]], [[1]]]), shots=10, tau=1e-9, dwell=1.0)
    with pytest.raises(ValueError, match="shots must be whole numbers above 0, got 0"):
        correct_dead_time(stack([[[4]], [[1]]]), shots=0)
    with pytest.raises(ValueError, match="species must be among 6Li, 7Li, got Na to correct"):
        correct_dead_time(stack([[[4]], [[1]]]), shots=10, species=["Na"])
    with pytest.raises(ValueError, match="tau must be below the dwell time, got 2 times"):
        correct_dead_time(stack([[[4]], [[1]]]), tau=2.0, dwell=1.0)


def test_more_counts_than_the_dead_time_allows_are_unknown():
    done = correct_dead_time(stack([[[4, 12]], [[1, 1]]]), tau=0.1, dwell=1.0)
    assert done.unknown.values.tolist() == [[False, True]]

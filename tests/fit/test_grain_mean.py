"""Mean gradient over the area of a map, and the scatter of the drops at its boundaries."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from lliso.fit.grain_mean import area_mean, drop_scatter, rough_mean


def grains(slope, std, area):
    return xr.Dataset(
        {"slope_y": ("grain", slope), "slope_y_std": ("grain", std), "area": ("grain", area)}
    )


def test_at_high_counts_it_is_the_mean_over_the_area():
    rng = np.random.default_rng(1)
    slope, area = rng.normal(-1.0, 0.4, 50), rng.lognormal(5.0, 1.0, 50)
    found = area_mean(grains(slope, np.full(50, 1e-5), area), np.ones(50))
    assert found.slope * 1e4 == pytest.approx(np.average(slope, weights=area), rel=1e-5)
    np.testing.assert_allclose(found.weight, area / area.sum(), rtol=1e-5)
    assert found.relative_std < 1e-4


def test_the_error_is_the_distance_to_the_mean_over_the_area():
    rng = np.random.default_rng(2)
    n, scatter = 60, 0.3
    area = rng.lognormal(5.0, 1.0, n)
    std = 300.0 / area  # small grains tell nothing
    off, stated = [], []
    for _ in range(400):
        true = rng.normal(-1.0, scatter, n)
        found = area_mean(grains(rng.normal(true, std), std, area), np.ones(n))
        off.append(found.slope * 1e4 - np.average(true, weights=area))
        stated.append(found.relative_std * abs(found.slope) * 1e4)
    assert np.std(off) == pytest.approx(np.median(stated), rel=0.12)
    # Small and large grains are alike here; the power of the diameter is a bias of this size.
    assert abs(np.mean(off)) < 0.05
    plain = np.average(rng.normal(-1.0, std, (400, n)), axis=1, weights=area).std()
    assert np.std(off) < 0.8 * plain


def test_grains_without_a_slope_widen_the_error():
    area = np.full(40, 100.0)
    slope, std = np.full(40, -1.0), np.full(40, 0.01)
    all_known = area_mean(grains(slope, std, area), np.ones(40))
    slope[::2] = std[::2] = np.nan
    half = area_mean(grains(slope, std, area), np.ones(40))
    assert half.slope == pytest.approx(all_known.slope, rel=1e-9)
    assert np.all(half.weight[::2] == 0)
    # Twenty grains of scatter 0.3 stand for forty: each side of the mean misses 0.3/√40.
    assert half.relative_std == pytest.approx(0.3 * np.sqrt(1 / 20 - 1 / 40), rel=0.1)
    assert all_known.relative_std < 0.3 * half.relative_std


def test_slopes_that_follow_the_model_are_compared_where_they_are():
    model = np.linspace(2.0, 1.0, 30)
    std = np.linspace(0.01, 1.0, 30)  # the steep ones are known best
    found = area_mean(grains(-model, std, np.full(30, 50.0)), model)
    assert found.slope * 1e4 == pytest.approx(-1.5, rel=1e-6)


def chain(steps, noise=0.0, rng=None):
    """Grains in a row, 10 µm each, no slope inside them."""
    n = len(steps) + 1
    c = 0.5 + np.concatenate([[0.0], np.cumsum(steps)])
    if rng is not None:
        c = rng.normal(c, noise)
    slopes = xr.Dataset(
        {
            "fraction": ("grain", c),
            "fraction_std": ("grain", np.full(n, noise)),
            "centre_y": ("grain", 10.0 * np.arange(n)),
        },
        {"grain": np.arange(n)},
        {"mean_slope_per_cm": 0.0},
    )
    one = np.ones(n - 1)
    network = xr.Dataset(
        {
            "grain1": ("boundary", np.arange(n - 1)),
            "grain2": ("boundary", np.arange(1, n)),
            "ny": ("boundary", one),
            "length": ("boundary", 10 * one),
        }
    )
    return network, slopes


def test_scatter_of_drops_and_the_error_of_their_mean():
    rng = np.random.default_rng(3)
    steps = -0.02 * rng.lognormal(0.0, 0.7, 400)
    expected = steps.std() / abs(steps.mean())
    scatter, error = drop_scatter(*chain(steps))
    assert scatter == pytest.approx(expected, rel=1e-6)
    assert error == pytest.approx(expected / 20, rel=1e-6)
    noisy = [drop_scatter(*chain(steps, 0.01, rng))[0] for _ in range(60)]
    # The noise of the steps, 0.014 of 0.025, is taken off again.
    assert np.mean(noisy) == pytest.approx(expected, rel=0.03)
    assert drop_scatter(*chain(np.full(9, -0.02)))[0] == pytest.approx(0.0, abs=1e-6)


def test_where_drops_tell_nothing():
    network, slopes = chain(np.full(5, -0.02))
    along = network.assign(ny=("boundary", np.zeros(5)))
    assert drop_scatter(along, slopes) == (1.0, 1.0)
    assert drop_scatter(*chain(np.zeros(5))) == (1.0, 1.0)


def test_rough_mean_is_no_less_than_its_error():
    assert rough_mean(np.array([1.0, -1.0]), np.array([2.0, 2.0])) == pytest.approx(2**0.5)
    assert rough_mean(np.array([-3.0, -3.0]), np.array([1.0, 1.0])) == pytest.approx(3.0)

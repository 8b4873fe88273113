"""Several estimates of one ratio, and all boundaries of a cut at once."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import binom, kstest

from lliso.fit.boundary import fit_boundary
from lliso.fit.joint import combine_ratios, fit_cut
from lliso.fit.uncertainty import ratio_set
from lliso.maps.cuts import LineCut, line_profile
from lliso.maps.picks import BoundaryPick
from lliso.schema import make_map

COV = np.array([[1e-6, -4e-9], [-4e-9, 2.5e-11]])


def drawn(rng, step, ratio, covariance=COV):
    value = rng.multivariate_normal([step, ratio * step], covariance)
    return float(value[0]), float(value[1]), covariance


@pytest.mark.parametrize("step", [-0.02, -0.002, -0.0005])
@pytest.mark.parametrize("level", [0.68, 0.95])
def test_one_estimate_gives_fiellers_set(rng, step, level):
    for _ in range(30):
        s, g, cov = drawn(rng, step, 0.0055)
        found = combine_ratios([(s, g, cov)], level).interval
        expected = ratio_set(g, s, cov[1, 1], cov[0, 0], cov[0, 1], level)
        if expected.kind == "not_measurable":
            continue  # disjoint sets are reported by their hull
        assert found.kind == expected.kind
        np.testing.assert_allclose(
            [found.low, found.high], [expected.low, expected.high], rtol=0.02
        )


def test_two_stages_narrow_the_set_and_share_one_ratio(rng):
    draws, hits, p_values = 400, 0, []
    for _ in range(draws):
        estimates = [drawn(rng, -0.02, 0.0055), drawn(rng, -0.009, 0.0055)]
        both = combine_ratios(estimates)
        hits += both.interval.low <= 0.0055 <= both.interval.high
        p_values.append(both.p_value)
    assert binom.ppf(1e-3, draws, 0.95) <= hits <= binom.ppf(1 - 1e-3, draws, 0.95)
    assert kstest(p_values, "uniform").pvalue > 1e-3


def test_stages_that_differ_are_told_so(rng):
    p = [
        combine_ratios([drawn(rng, -0.02, 0.0055), drawn(rng, -0.02, 0.0090)]).p_value
        for _ in range(50)
    ]
    assert np.median(p) < 1e-4


def test_nothing_finite_is_refused():
    with pytest.raises(ValueError, match="at least one estimate that is finite"):
        combine_ratios([(np.nan, np.nan, COV)])


def cut_through(rng, counts, steps, edges, bend):
    """Return a profile and picks across several boundaries with continuous slope."""
    y = np.arange(120) + 0.5
    slope = np.full(y.shape, -1.1e-4)
    for left, right, q in zip(edges[:-1], edges[1:], bend, strict=True):
        slope = slope + q * np.clip(y - left, 0, right - left)
    c = 0.45 + np.cumsum(slope) - 0.5 * slope
    for at, step in zip(edges[1:-1], steps, strict=True):
        c = c + step * (y > at)
    fraction = np.repeat(c[:, None], 40, axis=1)
    light = fraction * counts if rng is None else rng.binomial(counts, fraction)
    ds = make_map([light, counts - light], ["6Li", "7Li"], x=np.arange(40.0), y=y)
    cut = LineCut(name="a", start=(19.5, 0), end=(19.5, 120), width=40)
    picks = [
        BoundaryPick(name=str(i), cut="a", position=at, window=(edges[i], edges[i + 2]))
        for i, at in enumerate(edges[1:-1])
    ]
    return line_profile(ds, cut), picks


def test_a_whole_cut_comes_back_exactly():
    edges, steps, bend = [0, 30, 70, 120], [-0.02, -0.01], [1e-6, -2e-6, 3e-6]
    profile, picks = cut_through(None, 1e6, steps, edges, bend)
    fit = fit_cut(profile, picks)
    np.testing.assert_allclose(fit.step, steps, atol=1e-6)
    expected = [-1.1e-4 + 1e-6 * 30, -1.1e-4 + 1e-6 * 30 - 2e-6 * 40]
    np.testing.assert_allclose(fit.slope, expected, rtol=1e-3)


def test_neighbours_share_what_is_known_of_the_grain_between(rng):
    """Calibrated, and surer than each boundary by itself."""
    edges, steps, mean_slope = [0, 30, 70, 120], [-0.02, -0.015], 1.1e-4
    lengths = np.diff(edges)
    z = []
    for _ in range(300):
        bend = rng.normal(0, 0.6 * mean_slope / lengths)
        profile, picks = cut_through(rng, 2000, steps, edges, bend)
        fit = fit_cut(profile, picks, mean_slope=mean_slope)
        slopes = [-1.1e-4 + bend[0] * 30, -1.1e-4 + bend[0] * 30 + bend[1] * 40]
        error = np.concatenate([fit.step - steps, fit.slope - slopes])
        z.append(error / np.sqrt(np.diag(fit.covariance)))
    z = np.array(z)
    assert np.all(np.abs(z.mean(axis=0)) < 0.1 + 2 / np.sqrt(300))
    np.testing.assert_allclose(z.std(axis=0), 1.0, atol=3.5 / np.sqrt(600))
    for i, pick in enumerate(picks):
        alone = fit_boundary(profile, pick, mean_slope=mean_slope)
        assert fit.covariance[2 + i, 2 + i] < alone.covariance[1, 1]


def test_a_cut_without_boundaries_is_refused():
    with pytest.raises(ValueError, match="at least one boundary, got none"):
        fit_cut(xr.Dataset(), [])

"""Isotope fraction: eq. (1), its counting error, intervals, and sums that keep every count."""

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import brentq
from scipy.stats import binom, chi2, norm

from lliso.errors import LlisoWarning
from lliso.maps.fraction import bin_pixels, fraction_interval, isotope_fraction, sum_frames
from lliso.schema import check_map, make_map


def dataset(n6, n7, dims=("y", "x"), species=("6Li", "7Li")):
    counts = np.stack([np.asarray(n6), np.asarray(n7)])
    return xr.Dataset({"counts": (("species", *dims), counts)}, coords={"species": list(species)})


def image(counts, pitch=1.0, **attrs):
    counts = np.asarray(counts)
    return make_map(
        counts, ["6Li", "7Li"], x=(np.arange(counts.shape[-1]) + 0.5) * pitch,
        y=(np.arange(counts.shape[-2]) + 0.5) * pitch, attrs=attrs,
    )  # fmt: skip


# equation (1) -------------------------------------------------------------------------------------
def test_fraction_error_and_total():
    c = isotope_fraction(dataset([[30, 1]], [[70, 3]]))
    np.testing.assert_allclose(c.fraction, [[0.3, 0.25]])
    np.testing.assert_allclose(c.fraction_std, [[np.sqrt(0.3 * 0.7 / 100), np.sqrt(0.1875 / 4)]])
    np.testing.assert_array_equal(c.total, [[100, 4]])
    assert "species" not in c.coords


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
def test_the_error_is_the_scatter_whatever_the_yield(rng, fraction):
    """Also with pixels that count differently: the total drops out."""
    draws = 40_000
    total = rng.poisson(rng.uniform(50, 500, draws))
    n6 = rng.binomial(total, fraction)
    c = isotope_fraction(dataset(n6, total - n6, dims=("pixel",)))
    true_std = np.sqrt(fraction * (1 - fraction) / total)
    z2 = np.sum(((c.fraction.values - fraction) / true_std) ** 2)
    low, high = chi2.ppf([1e-4, 1 - 1e-4], draws)
    assert low < z2 < high
    # The error from the counts themselves is that with C estimated: low by about 1/n.
    ratio = np.mean(c.fraction_std.values**2) / np.mean(true_std**2)
    assert ratio == pytest.approx(1.0, abs=0.02)


def test_no_counts_are_nan_and_silent():
    c = isotope_fraction(dataset([[0, 5]], [[0, 0]]))
    assert np.isnan(c.fraction[0, 0])
    assert np.isnan(c.fraction_std[0, 0])
    assert (c.fraction[0, 1], c.fraction_std[0, 1], c.total[0, 0]) == (1.0, 0.0, 0.0)


def test_a_map_without_counts_warns():
    with pytest.warns(LlisoWarning, match="the data hold no counts of 6Li or 7Li") as caught:
        c = isotope_fraction(dataset(np.zeros((2, 2)), np.zeros((2, 2))))
    assert caught[0].filename == __file__
    assert np.isnan(c.fraction).all()


def test_missing_species():
    with pytest.raises(
        ValueError, match=r"the data lack the species 6Li; they hold 6Li\+, 7Li\. If"
    ):
        isotope_fraction(dataset([[1]], [[1]], species=("6Li+", "7Li")))
    with pytest.raises(ValueError, match="isotope fractions need the variable 'counts' with"):
        isotope_fraction(xr.Dataset())


def test_other_isotopes():
    c = isotope_fraction(dataset([[1]], [[3]], species=("16O", "18O")), light="18O", heavy="16O")
    assert c.fraction.item() == 0.75
    assert c.fraction.attrs["long_name"] == "18O fraction"


@pytest.mark.parametrize("dims", [(), ("distance",), ("y", "x"), ("frame", "y", "x")])
def test_any_dimensions(dims):
    shape = (2, 3, 4)[: len(dims)]
    c = isotope_fraction(dataset(np.full(shape, 1), np.full(shape, 3), dims=dims))
    assert c.fraction.dims == dims
    assert np.all(c.fraction == 0.25)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int8, np.uint32])
def test_small_integers_do_not_overflow(kind):
    most = np.iinfo(kind).max
    c = isotope_fraction(dataset(np.full((2, 2), most, kind), np.full((2, 2), most, kind)))
    assert np.all(c.fraction == 0.5)
    assert np.all(c.total == 2.0 * most)


def test_lazy_data_stay_lazy():
    da = pytest.importorskip("dask.array")

    def touched(block):
        raise AssertionError("computed")

    lazy = da.ones((2, 4, 4), dtype=np.int64).map_blocks(touched, dtype=np.int64)
    ds = xr.Dataset({"counts": (("species", "y", "x"), lazy)}, coords={"species": ["6Li", "7Li"]})
    c = isotope_fraction(ds)
    assert c.fraction.chunks is not None
    assert c.fraction_std.chunks is not None


def test_attributes_go_along():
    ds = image(np.ones((2, 3, 3), int), stage="59 h")
    assert isotope_fraction(ds).attrs["stage"] == "59 h"


# intervals ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("level", [0.68, 0.95])
@pytest.mark.parametrize(("k", "n"), [(0, 1), (0, 10), (1, 10), (7, 10), (10, 10), (123, 1000)])
def test_interval_inverts_the_score_test(k, n, level):
    """Its ends are where (p̂ − p)² = z² p(1−p)/n, found by a root finder."""
    z = norm.ppf(0.5 + level / 2)

    def score(p):
        return (k / n - p) ** 2 - z**2 * p * (1 - p) / n

    low, high = (float(v) for v in fraction_interval(k, n, level))
    # Where no or only light isotopes were counted, p = 0 or 1 is a root too, and not the one meant.
    expected_low = 0.0 if k == 0 else brentq(score, 1e-12, k / n - 1e-9, xtol=1e-14)
    expected_high = 1.0 if k == n else brentq(score, k / n + 1e-9, 1 - 1e-12, xtol=1e-14)
    assert (low, high) == pytest.approx((expected_low, expected_high), abs=1e-10)


@pytest.mark.parametrize("fraction", [0.076, 0.3, 0.5, 0.95])
@pytest.mark.parametrize("n", [50, 400])
def test_interval_covers(fraction, n):
    """Exact coverage, summed over all outcomes; Wilson's oscillates about the level."""
    k = np.arange(n + 1)
    low, high = fraction_interval(k, np.full(n + 1, n), 0.95)
    covered = binom.pmf(k, n, fraction)[(low <= fraction) & (fraction <= high)].sum()
    assert 0.92 < covered < 0.98


def test_interval_without_counts_is_everything():
    low, high = fraction_interval([0, 3], [0, 5])
    assert (low[0], high[0]) == (0.0, 1.0)
    assert 0 < low[1] < 0.6 < high[1] < 1


@pytest.mark.parametrize("level", [0, 1, 68, -0.1])
def test_interval_levels(level):
    with pytest.raises(ValueError, match=f"level must be between 0 and 1, got {level}"):
        fraction_interval(1, 2, level)


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5)])
def test_interval_impossible_counts(k, n):
    with pytest.raises(
        ValueError, match="counts of the light isotope must be between 0 and the to"
    ):
        fraction_interval(k, n)


# binning ------------------------------------------------------------------------------------------
def test_binning_keeps_every_count_of_whole_blocks(rng):
    ds = image(rng.integers(0, 1000, (2, 12, 20)), pitch=0.977)
    binned = bin_pixels(ds, 5, 3)
    blocks = ds.counts.values.reshape(2, 4, 3, 4, 5).sum(axis=(2, 4))
    np.testing.assert_array_equal(binned.counts.values, blocks)
    assert binned.counts.dtype.kind in "ui"
    np.testing.assert_allclose(binned.x, ds.x.values.reshape(4, 5).mean(axis=1))
    np.testing.assert_allclose(binned.y, ds.y.values.reshape(4, 3).mean(axis=1))
    check_map(binned, needs=("6Li", "7Li"))
    assert binned.x.attrs["units"] == "um"


def test_binning_says_what_is_lost():
    ds = image(np.ones((2, 13, 22), int), stage="59 h")
    binned = bin_pixels(ds, 5, 4)
    assert binned.attrs["history"].splitlines()[-1] == (
        "binned 5 x 4 pixels (x, y); 2 columns and 1 rows left out"
    )
    assert binned.counts.sum() == 2 * 12 * 20
    assert (binned.attrs["map_id"], binned.attrs["stage"]) == (ds.attrs["map_id"], "59 h")
    assert ds.attrs["history"] == ""


def test_binning_small_integers_does_not_overflow():
    binned = bin_pixels(image(np.full((2, 8, 8), 255, np.uint8)), 8)
    np.testing.assert_array_equal(binned.counts.values.ravel(), [255 * 64] * 2)


def test_binning_frames_and_lazy_maps(rng):
    counts = rng.integers(0, 9, (2, 3, 4, 6))
    np.testing.assert_array_equal(
        bin_pixels(image(counts), 2).counts, counts.reshape(2, 3, 2, 2, 3, 2).sum(axis=(3, 5))
    )
    da = pytest.importorskip("dask.array")
    lazy = make_map(da.from_array(counts), ["6Li", "7Li"], x=np.arange(6.0), y=np.arange(4.0),
                    attrs={"map_id": "a"})  # fmt: skip
    assert bin_pixels(lazy, 2).counts.chunks is not None


def test_unknown_counts_stay_unknown():
    counts = np.ones((2, 3, 4, 4))
    ds = image(counts)
    ds.counts.values[0, 1, 0, 0] = np.nan
    assert np.isnan(sum_frames(ds).counts.values[0, 0, 0])
    assert np.isnan(bin_pixels(ds, 2).counts.values[0, 1, 0, 0])
    assert np.isnan(bin_pixels(ds, 2).counts.values).sum() == 1


@pytest.mark.parametrize(("nx", "ny"), [(0, 1), (-1, 1), (7, 1), (1, 5), (2.5, 1)])
def test_bad_blocks(nx, ny):
    with pytest.raises(
        ValueError, match=r"n[xy] must be a whole number from 1 to [46] pixels, got"
    ):
        bin_pixels(image(np.ones((2, 4, 6), int)), nx, ny)


def test_fraction_of_sums_not_mean_of_fractions():
    ds = image([[[1, 0], [0, 0]], [[0, 9], [0, 0]]])
    binned = bin_pixels(ds, 2)
    assert isotope_fraction(binned).fraction.item() == 0.1


# frames -------------------------------------------------------------------------------------------
def test_frames_are_summed():
    frames = np.full((2, 300, 2, 2), 200, np.uint8)
    ds = image(frames)
    summed = sum_frames(ds)
    assert summed.counts.dims == ("species", "y", "x")
    assert np.all(summed.counts == 60_000)
    assert summed.attrs["history"].endswith("summed 300 frames")
    assert sum_frames(summed) is summed

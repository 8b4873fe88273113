"""What a map can be looked at as, against the same numbers made by hand."""

import numpy as np
import pytest

from lliso import isotope_fraction, make_map
from lliso.maps.quantities import colour_limits, difference, map_quantity, quantities_of

X, Y = np.arange(24.0), np.arange(30.0)


def made(rng, fraction=0.4, n=50):
    light = rng.binomial(n, fraction, (Y.size, X.size))
    return make_map([light, n - light, light * 0 + 7], ["6Li", "7Li", "16O"], x=X, y=Y)


def test_each_quantity_is_what_it_says(rng):
    ds = made(rng)
    c = isotope_fraction(ds)
    light, heavy, oxygen = ds.counts.values
    for quantity, expected in {
        "fraction": light / (light + heavy),
        "fraction_std": c.fraction_std.values,
        "counts": light,
        "total": light + heavy,
    }.items():
        np.testing.assert_allclose(map_quantity(ds, quantity).values, expected, err_msg=quantity)
    np.testing.assert_array_equal(map_quantity(ds, "counts", "16O").values, oxygen)


def test_a_step_is_significant_where_it_is(rng):
    fraction = np.where(Y < 15, 0.3, 0.6)[:, None]
    z = map_quantity(made(rng, fraction, 200), "significance").values
    assert abs(z[:, 12].argmax() - 14.5) < 2
    assert z[14, 12] > 10 > z[5, 12]


def test_binning_sums_counts_and_smoothing_keeps_them(rng):
    ds = made(rng)
    light, heavy = ds.counts.values[:2]
    blocks = [c.reshape(10, 3, 8, 3).sum(axis=(1, 3)) for c in (light, heavy)]
    np.testing.assert_allclose(
        map_quantity(ds, "fraction", binned=3).values, blocks[0] / (blocks[0] + blocks[1])
    )
    smooth = map_quantity(ds, "counts", smooth=2.0).values
    assert smooth.mean() == pytest.approx(light.mean(), rel=0.02)
    assert smooth.std() < 0.3 * light.std()


def test_smoothing_does_not_touch_statements_on_the_data(rng):
    ds = made(rng)
    for quantity in ("fraction_std", "significance"):
        plain, soft = (map_quantity(ds, quantity, smooth=s).values for s in (0.0, 3.0))
        np.testing.assert_array_equal(plain, soft)


def test_smoothing_sums_counts_before_the_ratio():
    """A pixel of one count must not weigh as much as one of a thousand."""
    light, heavy = np.zeros((2, Y.size, X.size), int)
    light[:, 0::2], heavy[:, 0::2] = 900, 100
    heavy[:, 1::2] = 1
    ds = make_map([light, heavy], ["6Li", "7Li"], x=X, y=Y)
    assert map_quantity(ds, "fraction", smooth=4.0).values[15, 12] > 0.89


def test_the_difference_and_its_significance(rng):
    first, last = made(rng, 0.5), made(rng, 0.4)
    expected = isotope_fraction(last).fraction.values - isotope_fraction(first).fraction.values
    np.testing.assert_allclose(difference(last, first).values, expected)
    z = difference(first, made(rng, 0.5), significance=True).values
    assert np.nanmean(z**2) == pytest.approx(1.0, abs=0.15)


def test_maps_on_other_pixels_have_no_difference(rng):
    shifted = made(rng).assign_coords(x=X + 0.3)
    with pytest.raises(ValueError, match="must have the same pixels, got different 'x'"):
        difference(made(rng), shifted)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantity": "colour"}, "must be one of fraction, fraction_std, counts"),
        ({"quantity": "counts", "species": "4He"}, "lack the species 4He"),
        ({"quantity": "total", "binned": 0}, "at least 1, got 0"),
        ({"quantity": "total", "smooth": -1.0}, "must not be negative, got -1 um"),
    ],
)
def test_what_is_not_there_is_refused(rng, options, message):
    with pytest.raises(ValueError, match=message):
        map_quantity(made(rng), **options)


def test_without_lithium_there_are_only_counts(rng):
    ds = made(rng).sel(species=["16O"])
    assert quantities_of(ds) == ("counts",)


def test_limits_of_colours():
    images = [np.arange(101.0), np.full(3, np.nan)]
    assert colour_limits(images, 5, 95) == (5.0, 95.0)
    assert colour_limits(images, 0, 100, centre=20.0) == (-60.0, 100.0)
    assert colour_limits([np.full(4, 2.0)]) == (1.5, 2.5)
    assert colour_limits([np.full(4, np.nan)]) == (0.0, 1.0)
    with pytest.raises(ValueError, match="percentiles must be in order"):
        colour_limits(images, 60, 40)

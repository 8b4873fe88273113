"""The quick sums are those of `line_profile`, whatever the map carries and however the cut lies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lliso import LineCut, line_profile, make_map
from lliso.maps.carried import VARIANCE, effective_counts
from lliso.maps.live_cuts import LiveCuts

X = 0.25 + 0.5 * np.arange(30)
Y = 0.3 + 0.6 * np.arange(50)


@pytest.fixture(scope="module")
def ds():
    rng = np.random.default_rng(7)
    return make_map(rng.poisson(4, (2, Y.size, X.size)), ["6Li", "7Li"], x=X, y=Y)


def same(ds, cut):
    quick, profile = LiveCuts(ds).sums(cut), line_profile(ds, cut)
    light, total = effective_counts(profile)
    np.testing.assert_array_equal(quick.distance, profile.distance.values)
    np.testing.assert_array_equal(quick.light, light)
    np.testing.assert_array_equal(quick.total, total)
    assert (quick.step, quick.width) == (profile.attrs["slice_length"], profile.attrs["cut_width"])


inside = st.tuples(st.floats(1, 14), st.floats(1, 29))


@given(start=inside, end=inside, width=st.floats(1.5, 9))
@pytest.mark.filterwarnings("ignore:.*lies outside the map")
def test_the_sums_are_those_of_the_profile(ds, start, end, width):
    if np.hypot(*np.subtract(start, end)) < 2:
        return
    same(ds, LineCut(start=start, end=end, width=width))


def test_a_map_with_a_variance_goes_the_labelled_way(ds):
    same(ds.assign({VARIANCE: 2.0 * ds.counts}), LineCut(start=(7, 1), end=(8, 28), width=5))


def test_refusals_are_those_of_the_profile(ds):
    cuts = LiveCuts(ds)
    with pytest.raises(ValueError, match="at least one pixel wide"):
        cuts.sums(LineCut(start=(7, 1), end=(7, 28), width=0.1))
    with pytest.raises(ValueError, match="must lie on the map"):
        cuts.sums(LineCut(start=(70, 1), end=(70, 28), width=5))
    with pytest.raises(ValueError, match="slice length"):
        cuts.sums(LineCut(start=(7, 1), end=(7, 1.1), width=5))


def test_a_slice_without_counts_is_a_gap():
    counts = np.full((2, Y.size, X.size), 3)
    counts[:, 10:12] = 0
    cut = LineCut(start=(7, 0), end=(7, 30), width=5)
    sums = LiveCuts(make_map(counts, ["6Li", "7Li"], x=X, y=Y)).sums(cut)
    assert np.isnan(sums.fraction).sum() == np.isnan(sums.fraction_std).sum() == 2
    assert np.nanmax(sums.fraction) == 0.5

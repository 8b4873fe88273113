"""Which slices a boundary's fit may look at."""

import math

import numpy as np
import pytest

from lliso.fit.window import cut_window, guard_length
from lliso.maps.picks import BoundaryPick


def pick(position=30.0, window=(10.0, 50.0), tilt=0.0):
    return BoundaryPick(name="1", cut="a", position=position, window=window, tilt=tilt)


def test_guard():
    assert guard_length(1.0, 0.2) == 1.5  # 1.5 pixels
    assert guard_length(0.5, 1.0) == 1.5  # resolution and one pixel
    assert guard_length(1.0, 1.0, cut_width=20, tilt=10) == pytest.approx(
        2.0 + 10 * math.tan(math.radians(10))
    )
    assert guard_length(1.0, 1.0, 20, -10) == guard_length(1.0, 1.0, 20, 10)


def test_guards_at_the_boundary_and_at_both_ends(field):
    window = cut_window(field.noiseless(), pick(), 1.0)
    assert window.guard == 2.0
    x = window.nu + 30
    # Slices whose middle is within 12…28 and 32…48.
    np.testing.assert_allclose(x, [*np.arange(12.5, 28), *np.arange(32.5, 48)])
    assert (window.reach_before, window.reach_after) == (18.0, 18.0)


def test_no_guard_at_the_ends_of_the_profile(field):
    window = cut_window(field.noiseless(), pick(window=(0, 60)), 1.0)
    assert (window.nu + 30).min() == 0.5
    assert (window.nu + 30).max() == 59.5
    beyond = cut_window(field.noiseless(), pick(window=(-20, 90)), 1.0)
    np.testing.assert_array_equal(beyond.nu, window.nu)
    assert (beyond.reach_before, beyond.reach_after) == (29.5, 29.5)


def test_without_the_inner_guard(field):
    window = cut_window(field.noiseless(), pick(), 1.0, inner_guard=False)
    np.testing.assert_allclose(window.nu + 30, np.arange(12.5, 48))


def test_a_tilt_widens_the_guard(field):
    window = cut_window(field.noiseless(), pick(tilt=20), 1.0)
    assert window.guard == pytest.approx(2 + 10 * math.tan(math.radians(20)))
    assert np.abs(window.nu).min() >= window.guard


def test_slices_without_counts_are_left_out(field):
    profile = field.noiseless()
    profile.counts.values[:, 20:23] = 0
    window = cut_window(profile, pick(), 1.0)
    assert window.nu.size == 32 - 3
    assert np.isfinite(window.fraction).all()


@pytest.mark.parametrize(
    ("window", "side", "found"), [((23.6, 50), "before", 2), ((10, 35), "after", 1)]
)
def test_too_few_slices(field, window, side, found):
    message = (
        rf"^the window of boundary '1' must leave at least 3 slices with counts {side} the "
        rf"boundary, got {found}: it runs from {window[0]} to {window[1]} um around 30 um and "
        r"loses 2 um of guard at the boundary and at each end; widen it$"
    )
    with pytest.raises(ValueError, match=message):
        cut_window(field.noiseless(), pick(window=window), 1.0)


def test_three_slices_are_enough(field):
    window = cut_window(field.noiseless(), pick(window=(23.0, 37.0)), 1.0)
    assert sorted(window.nu) == [-4.5, -3.5, -2.5, 2.5, 3.5, 4.5]

"""Gestures as functions of picks, on a simulated profile with known steps."""

import numpy as np
import pytest
import xarray as xr

from lliso.diffusion.steps import blurred_step
from lliso.maps.cuts import LineCut
from lliso.maps.picks import BoundaryPick, Picks
from lliso.sessions.boundaries.gestures import (
    CLOSEST,
    add_boundary,
    move_boundary,
    move_window,
    replace_cut,
)

CUT = LineCut(name="a", start=(20.0, 0.0), end=(20.0, 120.0), width=10)
EDGES = (30.4, 60.0, 90.0)


@pytest.fixture(scope="module")
def profile():
    """A simulated profile along y: the same wherever the cut lies."""
    x = np.arange(120) + 0.5
    c = 0.6 - 0.05 * sum(blurred_step(x - at, 0.0, 1.0) for at in EDGES)
    n6 = np.random.default_rng(3).binomial(20_000, c)
    return xr.Dataset(
        {"counts": (("species", "distance"), np.stack([n6, 20_000 - n6]))},
        coords={"species": ["6Li", "7Li"], "distance": x},
        attrs={"slice_length": 1.0, "cut_width": 10.0, "simulated": 1},
    )


@pytest.fixture
def picks(profile):
    picks = Picks(cuts=(CUT,))
    for at in EDGES:
        picks, _, _ = add_boundary(picks, CUT, at + 2, profile)
    return picks


def no_window_crosses_a_boundary(picks):
    return not any(
        b.window[0] < other.position < b.window[1]
        for b in picks.boundaries
        for other in picks.boundaries
        if b.name != other.name
    )


def test_add_in_any_order_gives_the_same_windows(profile):
    windows = set()
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        picks = Picks(cuts=(CUT,))
        for i in order:
            picks, name, _ = add_boundary(picks, CUT, EDGES[i] - 1, profile)
            assert picks.boundary(name).position == pytest.approx(EDGES[i], abs=0.3)
        windows.add(tuple(b.window for b in picks.on_cut("a")))
        assert no_window_crosses_a_boundary(picks)
    assert len(windows) == 1


def test_names_go_on_from_the_largest_number(profile):
    picks = Picks(
        cuts=(CUT,),
        boundaries=(
            BoundaryPick(name="7", cut="a", position=90, window=(62, 118)),
            BoundaryPick(name="left grain", cut="a", position=60, window=(32, 88)),
        ),
    )
    assert add_boundary(picks, CUT, 30, profile)[1] == "8"


def test_add_between_two_keeps_clear_of_both(picks, profile):
    new, name, _ = add_boundary(picks, CUT, 75.0, profile)
    assert new.boundary(name).position == 75.0  # no step is near
    assert no_window_crosses_a_boundary(new)
    with pytest.raises(
        ValueError, match=r"there is a boundary at 60.5 um already; drag it, or rem"
    ):
        add_boundary(picks, CUT, 60.5, profile)


def test_add_beside_a_marked_step_marks_the_place_that_was_clicked(picks, profile):
    new, name, _ = add_boundary(picks, CUT, 60.0 + CLOSEST + 1, profile)
    assert new.boundary(name).position == 60.0 + CLOSEST + 1


def test_a_mark_beside_a_known_step_is_judged_without_that_step(picks, profile):
    doubt = add_boundary(picks, CUT, 60.0 + CLOSEST + 1, profile)[2]
    assert doubt.startswith("no significant step here (")
    assert doubt.endswith("the window of 2, 3 was shortened")


def test_at_the_end_nobody_can_tell(profile):
    doubt = add_boundary(Picks(cuts=(CUT,)), CUT, 119.0, profile)[2]
    assert doubt == (
        "no significant step here (too few slices beside it to tell): marked where you clicked"
    )


@pytest.mark.parametrize("distance", [-0.1, 120.1])
def test_add_off_the_cut(picks, profile, distance):
    with pytest.raises(ValueError, match=r"a boundary must lie on the cut, from 0 to 120 um, got"):
        add_boundary(picks, CUT, distance, profile)


def test_at_the_very_end_of_the_cut(profile):
    for at in (0.0, 120.0):
        new, name, _ = add_boundary(Picks(cuts=(CUT,)), CUT, at, profile)
        assert new.boundary(name).position == at


@pytest.mark.parametrize("to", [5.0, 45.0, 75.0, 110.0])
@pytest.mark.parametrize("name", ["1", "2", "3"])
def test_move_anywhere_and_no_window_crosses_a_boundary(picks, profile, name, to):
    new = move_boundary(picks, name, to, profile, snap=True)
    assert new.boundary(name).position == to
    assert no_window_crosses_a_boundary(new)
    assert picks.boundary(name).position != to  # the old value is as it was


def test_move_within_its_window_keeps_the_other_ends(picks, profile):
    new = move_boundary(picks, "2", 50.0, profile, snap=False)
    assert new.boundary("2").window == picks.boundary("2").window
    assert new.boundary("1").window == (picks.boundary("1").window[0], 50.0)
    assert new.boundary("3").window == (50.0, picks.boundary("3").window[1])


def test_move_beyond_the_cut_stops_at_its_end(picks, profile):
    assert move_boundary(picks, "3", 1e4, profile, snap=False).boundary("3").position == 120.0
    assert move_boundary(picks, "1", -1e4, profile, snap=False).boundary("1").position == 0.0


def test_move_onto_another(picks, profile):
    with pytest.raises(ValueError, match="boundary '1' must not be dropped onto another boundary"):
        move_boundary(picks, "1", 60.0 + 0.9 * CLOSEST, profile, snap=False)


def test_snap_takes_the_step_within_reach_only(picks, profile):
    assert move_boundary(picks, "2", 62.0, profile, snap=True).boundary("2").position == (
        pytest.approx(60.0, abs=0.3)
    )
    assert move_boundary(picks, "2", 64.0, profile, snap=True).boundary("2").position == 64.0


def test_windows_end_on_the_cut_and_beside_the_boundary(picks):
    at = picks.boundary("1").position
    assert move_window(picks, "1", "from", -50.0).boundary("1").window[0] == 0.0
    assert move_window(picks, "3", "to", 500.0).boundary("3").window[1] == 120.0
    assert move_window(picks, "1", "from", at + 9).boundary("1").window[0] == at - CLOSEST / 2
    assert move_window(picks, "1", "to", at - 9).boundary("1").window[1] == at + CLOSEST / 2
    with pytest.raises(ValueError, match="side must be 'from' or 'to', got 'left'"):
        move_window(picks, "1", "left", 5.0)


def test_cut_that_moves_keeps_boundaries_on_the_map(picks, profile):
    shifted = CUT.moved(3.0, 5.0)
    new, fallen = replace_cut(picks, shifted, lambda _cut: profile, final=False)
    assert fallen == []
    for b in picks.boundaries:
        assert new.boundary(b.name).position == pytest.approx(b.position - 5.0, abs=1e-9)


def test_cut_that_gets_too_short(picks, profile):
    short = LineCut(name="a", start=(20, 0), end=(20, 50), width=10)
    new, fallen = replace_cut(picks, short, lambda _cut: profile, final=False)
    assert fallen == ["2", "3"]
    assert [b.name for b in new.boundaries] == ["1"]
    with pytest.raises(ValueError, match="boundary 2, 3 would fall off the cut; remove it first"):
        replace_cut(picks, short, lambda _cut: profile, final=True)


def test_wider_is_the_same_line(picks, profile):
    wide = LineCut(name="a", start=CUT.start, end=CUT.end, width=20)
    new, _ = replace_cut(picks, wide, lambda _cut: profile, final=True)
    assert new.boundaries == picks.boundaries
    assert new.cut("a").width == 20


def test_other_cuts_and_all_else_are_left_alone(picks, profile):
    other = LineCut(name="b", start=(0, 10), end=(100, 10), width=5)
    full = picks.with_cut(other).with_note("mind the scratch")
    full = full.with_boundary(
        BoundaryPick(name="x", cut="b", position=50, window=(20, 80), tilt=12, note="twin?")
    )
    new, _ = replace_cut(full, CUT.moved(1, 0), lambda _cut: profile, final=True)
    assert new.boundary("x") == full.boundary("x")
    assert (new.note, new.cut("b")) == ("mind the scratch", other)
    moved = move_window(full, "x", "to", 70.0).boundary("x")
    assert (moved.tilt, moved.note) == (12, "twin?")

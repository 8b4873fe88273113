"""New cuts, names of cuts, cuts removed, and which clicks on the map mean a cut."""

import numpy as np
import pytest

from lliso.maps.cuts import LineCut, line_profile
from lliso.maps.picks import BoundaryPick, Picks
from lliso.schema import make_map
from lliso.sessions.boundaries.cut_gestures import (
    BESIDE,
    distance_of_click,
    first_cut,
    new_cut,
    remove_cut,
    rename_cut,
)

CUT = LineCut(name="cut 1", start=(50.0, 5.0), end=(50.0, 75.0), width=10)


@pytest.fixture(scope="module")
def ds():
    """A simulated map of 100 × 80 µm."""
    x, y = np.arange(100) + 0.5, np.arange(80) + 0.5
    return make_map(np.full((2, 80, 100), 9), ["6Li", "7Li"], x=x, y=y, attrs={"simulated": 1})


def with_cuts(*cuts):
    return Picks(cuts=cuts)


def on_map(cut, ds):
    return line_profile(ds, cut).attrs["outside_fraction"] < 1e-9


def test_a_new_cut_is_as_the_one_beside(ds):
    new = new_cut(with_cuts(CUT), CUT, ds)
    assert (new.name, new.width, new.length) == ("cut 2", CUT.width, CUT.length)
    assert new.direction == CUT.direction
    assert abs(new.start[0] - CUT.start[0]) == CUT.width


def test_many_new_cuts_lie_beside_one_another_and_on_the_map(ds):
    picks, shown = with_cuts(CUT), CUT
    for _ in range(8):
        shown = new_cut(picks, shown, ds)
        assert on_map(shown, ds)
        picks = picks.with_cut(shown)
    assert [c.name for c in picks.cuts] == [f"cut {i}" for i in range(1, 10)]
    middles = sorted(c.start[0] for c in picks.cuts)
    assert min(np.diff(middles)) == pytest.approx(10)  # they fill the map, none upon another


def test_a_tilted_cut_in_a_corner_is_moved_across_its_own_direction(ds):
    tilted = CUT.model_copy(update={"start": (8.0, 12.0), "end": (58.0, 62.0)})
    new = new_cut(with_cuts(tilted), tilted, ds)
    along, across = tilted.project(*new.start)
    assert along == pytest.approx(0, abs=1e-9)
    assert abs(across) == pytest.approx(tilted.width)
    assert on_map(new, ds)


def test_without_room_aside_it_lies_in_the_middle_of_the_map(ds):
    wide = LineCut(name="all", start=(20.0, 5.0), end=(20.0, 65.0), width=90)
    new = new_cut(with_cuts(wide), wide, ds)
    assert new.name == "cut 2"
    assert new.point(new.length / 2) == pytest.approx((50, 40))
    assert (new.width, new.length) == (90, 60)
    outside = LineCut(name="all", start=(50.0, -40.0), end=(50.0, 70.0), width=90)
    assert new_cut(with_cuts(outside), outside, ds).start == first_cut(ds).start


def test_numbers_go_on_from_the_largest(ds):
    picks = with_cuts(CUT, *(CUT.model_copy(update={"name": n}) for n in ("cut 7", "cut 3b", "x")))
    assert new_cut(picks, CUT, ds).name == "cut 8"
    assert new_cut(with_cuts(CUT.model_copy(update={"name": "cut 01"})), CUT, ds).name == "cut 2"
    assert new_cut(with_cuts(CUT.model_copy(update={"name": "x"})), CUT, ds).name == "cut 2"


@pytest.fixture
def picks():
    other = CUT.moved(20, 0).model_copy(update={"name": "b"})
    mark = BoundaryPick(name="1", cut="b", position=30, window=(5, 60), tilt=10, note="twin?")
    return Picks(cuts=(CUT, other), boundaries=(mark,), note="mind the scratch")


def test_renaming_keeps_all_else(picks):
    new = rename_cut(picks, "b", "c")
    assert [c.name for c in new.cuts] == ["cut 1", "c"]
    assert new.boundary("1") == picks.boundary("1").model_copy(update={"cut": "c"})
    assert new.note == picks.note
    assert rename_cut(new, "c", "b") == picks
    assert rename_cut(picks, "b", "b") == picks


def test_removing(picks):
    new, words = remove_cut(picks, "b")
    assert ([c.name for c in new.cuts], new.boundaries) == (["cut 1"], ())
    assert words == "b removed, with boundary 1; Ctrl+Z brings it back"
    assert remove_cut(picks, "cut 1")[1] == "cut 1 removed; Ctrl+Z brings it back"
    with pytest.raises(ValueError, match="the last cut must stay, got 'cut 1' to remove; draw a"):
        remove_cut(new, "cut 1")


@pytest.mark.parametrize("side", [-1, 1])
def test_a_click_means_the_cut_up_to_a_little_beside_its_band(side):
    reach = CUT.width / 2 + BESIDE
    assert distance_of_click(CUT, 50 + side * (reach - 0.1), 30.0) == pytest.approx(25)
    with pytest.raises(ValueError, match="within 10 um of the band of the cut, got 11 um: click"):
        distance_of_click(CUT, 50 + side * (reach + 1), 30.0)


@pytest.mark.parametrize(("y", "end"), [(2.0, "3 um past A: drag A"), (77.5, "2.5 um past B")])
def test_a_click_past_an_end(y, end):
    with pytest.raises(ValueError, match=f"must be between A and B, .* got {end}"):
        distance_of_click(CUT, 50.0, y)


def test_a_click_nowhere():
    with pytest.raises(ValueError, match="within 10 um of the band"):
        distance_of_click(CUT, float("nan"), 30.0)

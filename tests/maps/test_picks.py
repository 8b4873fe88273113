"""Picks: one text for one value, a file that is never half written, and words for what is wrong."""

import json
import math
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lliso.errors import FormatError, PicksMismatch
from lliso.maps.cuts import LineCut
from lliso.maps.picks import BoundaryPick, Landmark, Picks
from lliso.schema import make_map

CUT = LineCut(name="a", start=(0, 0), end=(0, 50), width=10)
PICK = BoundaryPick(name="1", cut="a", position=20, window=(5, 40), note="µ-twin 粒界")
PICKS = Picks(
    maps={"59 h": "0123456789ab", "16 d": "ba9876543210"},
    cuts=(CUT, LineCut(name="b", start=(-0.0, 1), end=(40, 1))),
    boundaries=(PICK, BoundaryPick(name="2", cut="b", position=7.25, window=(0, 20), tilt=-12.5)),
    landmarks=(Landmark(name="corner", map_point=(1, 2), image_point=(300, 400)),),
    note='quotes " and\nlines',
)


@pytest.fixture
def ds():
    axis = np.arange(5.0)
    return make_map(
        np.ones((2, 5, 5), int), ["6Li", "7Li"], x=axis, y=axis, attrs={"stage": "59 h"}
    )


# text ---------------------------------------------------------------------------------------------
def test_round_trip():
    assert Picks.loads(PICKS.dumps()) == PICKS


def test_text_is_sorted_rounded_and_ends_with_a_newline():
    text = PICKS.dumps()
    data = json.loads(text)
    assert list(data) == sorted(data)
    assert list(data["maps"]) == ["16 d", "59 h"]
    assert text.endswith("}\n")
    assert "粒界" in text  # readable, not escaped
    assert "-0.0" not in text


def test_order_of_adding_does_not_show():
    a = Picks().with_cut(CUT).with_cut(PICKS.cut("b")).with_boundary(PICK)
    a = a.with_boundary(PICKS.boundary("2"))
    b = Picks().with_cut(PICKS.cut("b")).with_boundary(PICKS.boundary("2")).with_cut(CUT)
    b = b.with_boundary(PICK)
    assert a.dumps() == b.dumps()


number = st.floats(-500, 500)


@settings(deadline=None, max_examples=100)
@given(
    points=st.lists(st.tuples(number, number, number, number), min_size=1, max_size=4),
    share=st.floats(0.01, 0.99),
    reach=st.floats(0.01, 200),
    note=st.text(st.characters(exclude_categories=["Cs"])),
)
def test_text_read_and_written_again_is_the_same(points, share, reach, note):
    picks = Picks(note=note)
    for i, (x0, y0, x1, y1) in enumerate(points):
        if math.dist((x0, y0), (x1, y1)) < 1:
            continue
        cut = LineCut(name=f"cut {i}", start=(x0, y0), end=(x1, y1))
        at = share * cut.length
        pick = BoundaryPick(
            name=str(i), cut=cut.name, position=at, window=(at - reach, at + reach), note=note
        )
        picks = picks.with_cut(cut).with_boundary(pick)
    text = picks.dumps()
    again = Picks.loads(text)
    assert again.dumps() == text
    assert Picks.loads(again.dumps()) == again
    for pick in picks.boundaries:
        assert again.boundary(pick.name).position == pytest.approx(pick.position, abs=5.1e-5)


def test_equal_to_a_ten_thousandth_of_a_um_is_equal_text():
    near = PICKS.with_boundary(PICK.model_copy(update={"position": 20.00001}))
    assert near.dumps() == PICKS.dumps()
    far = PICKS.with_boundary(PICK.model_copy(update={"position": 20.001}))
    assert far.dumps() != PICKS.dumps()


# validation ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("position", [4.0, 5.0, 40.0, 41.0])
def test_boundary_outside_its_window(position):
    message = (
        f"boundary '1' must lie inside its window, got a position of {position:g} um and a window "
        "from 5 to 40 um"
    )
    with pytest.raises(ValueError, match=message):
        BoundaryPick(name="1", cut="a", position=position, window=(5, 40))


@pytest.mark.parametrize(
    "change",
    [{"position": math.nan}, {"window": (5, math.inf)}, {"tilt": 81}, {"tilt": math.nan},
     {"name": ""}, {"colour": "red"}, {"window": (5, 6, 7)}],
)  # fmt: skip
def test_bad_boundaries(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        BoundaryPick(**{"name": "1", "cut": "a", "position": 20, "window": (5, 40), **change})


def test_names_are_unique():
    with pytest.raises(ValueError, match="boundaries must have different names, got 1 twice"):
        Picks(cuts=(CUT,), boundaries=(PICK, PICK))
    with pytest.raises(ValueError, match="cuts must have different names, got a twice"):
        Picks(cuts=(CUT, CUT))


def test_boundary_on_no_cut():
    with pytest.raises(
        ValueError, match=r"boundary '1' must lie on one of the cuts \(b\), got 'a'"
    ):
        Picks(cuts=(PICKS.cut("b"),), boundaries=(PICK,))
    with pytest.raises(ValueError, match=r"one of the cuts \(there are none\), got 'a'"):
        Picks(boundaries=(PICK,))


@pytest.mark.parametrize("position", [-0.1, 50.1])
def test_boundary_beyond_the_cut(position):
    pick = BoundaryPick(name="1", cut="a", position=position, window=(-9, 90))
    with pytest.raises(ValueError, match="must lie on cut 'a' of 50 um, got a position of"):
        Picks(cuts=(CUT,), boundaries=(pick,))


def test_unknown_names():
    with pytest.raises(ValueError, match="the picks hold no cut 'z', only: a, b"):
        PICKS.cut("z")
    with pytest.raises(ValueError, match="the picks hold no boundary 'z', only: 1, 2"):
        PICKS.without_boundary("z")
    with pytest.raises(ValueError, match="the picks hold no cut 'z', only: none"):
        Picks().without_cut("z")


def test_picks_are_a_value():
    changed = PICKS.without_cut("a").with_note("other")
    assert [b.name for b in changed.boundaries] == ["2"]
    assert len(PICKS.boundaries) == 2
    with pytest.raises(ValueError, match="frozen"):
        PICKS.note = "x"
    replaced = PICKS.with_boundary(PICK.model_copy(update={"note": "new"}))
    assert [b.note for b in replaced.boundaries] == ["new", ""]


def test_on_cut_is_by_distance():
    picks = Picks(cuts=(CUT,))
    for name, at in (("1", 30), ("2", 10), ("3", 20)):
        picks = picks.with_boundary(
            BoundaryPick(name=name, cut="a", position=at, window=(at - 5, at + 5))
        )
    assert [b.name for b in picks.on_cut("a")] == ["2", "3", "1"]


# belonging to a map -------------------------------------------------------------------------------
def test_another_map(ds):
    with pytest.raises(PicksMismatch) as caught:
        PICKS.check(ds)
    assert str(caught.value) == (
        "the picks were made on '16 d' (ba9876543210), '59 h' (0123456789ab), but this map is "
        f"'59 h' ({ds.attrs['map_id']}). If it shows the same place of the same sample, say so "
        "with picks.anchored_to(map)"
    )
    with pytest.raises(PicksMismatch, match="were made on no map, but"):
        Picks().check(ds)


def test_anchoring_is_the_cure(ds):
    anchored = PICKS.anchored_to(ds)
    anchored.check(ds)
    assert anchored.maps["16 d"] == "ba9876543210"
    assert PICKS.maps["59 h"] == "0123456789ab"
    # A map without a stage goes by its source.
    assert Picks().anchored_to(ds.assign_attrs(stage="", source="a.bif6")).maps == {
        "a.bif6": ds.attrs["map_id"]
    }


# file ---------------------------------------------------------------------------------------------
def test_save_and_load(tmp_path):
    path = tmp_path / "new" / "ünï 粒.json"
    PICKS.save(path)
    assert Picks.load(path) == PICKS
    assert path.read_bytes() == PICKS.dumps().encode()
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("broken", ["replace", "fsync"])
def test_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch, broken):
    path = tmp_path / "picks.json"
    PICKS.save(path)
    old = path.read_bytes()

    def interrupted(*_args):
        raise KeyboardInterrupt if broken == "replace" else OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, broken, interrupted)
        with pytest.raises((KeyboardInterrupt, OSError)):
            PICKS.with_note("new").save(path)
    assert path.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == ["picks.json"]


def test_no_file(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"there is no picks file .*; mark boundaries first"
    ):
        Picks.load(tmp_path / "absent.json")


def test_not_utf8(tmp_path):
    path = tmp_path / "latin.json"
    path.write_bytes(b'{"note": "\xb5m"}')
    with pytest.raises(FormatError, match=r"latin\.json: at 10: picks must be UTF-8 text"):
        Picks.load(path)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, len(PICKS.dumps()) - 3))
def test_truncated_anywhere(n):
    with pytest.raises(FormatError, match=r"^cut short: not valid picks: picks: Invalid JSON: "):
        Picks.loads(PICKS.dumps()[:n], "cut short")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "picks: Input should be an object"),
        ('{"version": 2}', "version: Input should be less than or equal to 1"),
        ('{"boundries": []}', "boundries: Extra inputs are not permitted"),
        ('{"cuts": [{"name": "a", "start": [0, 0]}]}', r"cuts\.0\.end: Field required"),
        (
            '{"cuts": [{"name": "a", "start": [0, 0], "end": [0, 0]}]}',
            r"cuts\.0: cut 'a' must have a length, got the same point \(0\.0, 0\.0\) um",
        ),
        (
            '{"boundaries": [{"name": "1", "cut": "a", "position": 3, "window": [5, 9]}]}',
            r"boundaries\.0: boundary '1' must lie inside its window, got a position of 3 um",
        ),
        (
            '{"boundaries": [{"name": "1", "cut": "a", "position": 7, "window": [5, 9]}]}',
            r"picks: boundary '1' must lie on one of the cuts \(there are none\), got 'a'",
        ),
        ('{"boundaries": [{"name": "1", "cut": "a", "position": NaN}]}', "window: Field required"),
        ('{"cuts": [{"name": "a", "start": [NaN, 0], "end": [0, 0]}]}', "finite number"),
        ('{"maps": {"59 h": 3}, "note": 4}', r"maps\.59 h: .* note: Input should be a valid str"),
    ],
)  # fmt: skip
def test_damaged_files_say_what_and_where(text, message):
    with pytest.raises(FormatError, match=message) as caught:
        Picks.loads(text, "some.json")
    assert str(caught.value).startswith("some.json: not valid picks: ")
    assert "pydantic" not in str(caught.value)


def test_names_are_sorted_as_a_person_counts():
    cuts = tuple(
        LineCut(name=f"cut {n}", start=(0, n), end=(0, n + 50), width=2) for n in (10, 2, 1)
    )
    text = Picks(cuts=cuts).dumps()
    assert [c.name for c in Picks.loads(text).cuts] == ["cut 1", "cut 2", "cut 10"]
    assert Picks(cuts=cuts[::-1]).dumps() == text


def test_two_maps_of_one_stage_both_stay():
    maps = [
        make_map(np.full((2, 3, 3), n), ["6Li", "7Li"], x=range(3), y=range(3),
                 attrs={"stage": "59 h"})
        for n in (1, 2)
    ]  # fmt: skip
    picks = Picks().anchored_to(maps[0]).anchored_to(maps[1]).anchored_to(maps[1])
    assert set(picks.maps) == {"59 h", "59 h (2)"}
    for ds in maps:
        picks.check(ds)

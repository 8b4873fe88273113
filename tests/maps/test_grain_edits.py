"""Merging and splitting grains, and the file that holds it."""

import numpy as np
import pytest
import xarray as xr

from lliso.errors import FormatError, PicksMismatch
from lliso.maps.grain_edits import GrainEdits, Merge, Split, apply_edits, grain_at

X, Y = 0.5 * np.arange(60.0), 0.5 * np.arange(40.0)


@pytest.fixture
def grains():
    """Three grains side by side, and pixels that belong to none at the right edge."""
    label = np.repeat([0, 1, 2], 20)[None, :] + np.zeros((40, 1), dtype=int)
    label[:, -2:] = -1
    return xr.Dataset(
        {"label": (("y", "x"), label)},
        coords={"x": X, "y": Y},
        attrs={"map_id": "abc", "found_from": "counts"},
    )


@pytest.fixture
def none(grains):
    return GrainEdits.of(grains)


def test_two_grains_become_one_and_the_others_stay(grains, none):
    edited = apply_edits(grains, none.with_edit(Merge(first=(12, 5), second=(28, 5))))
    expected = np.where(grains.label == 2, 1, grains.label)
    np.testing.assert_array_equal(edited.label, expected)
    assert edited.attrs["found_from"] == "counts, with 1 edits by hand"
    assert grains.label.max() == 2  # what was given is as it was


def test_a_straight_line_cuts_a_grain_from_edge_to_edge(grains, none):
    # Two places well inside: the line goes on to the grain's edges, and not into its neighbours.
    edited = apply_edits(grains, none.with_edit(Split(line=((13, 7.25), (17, 7.25)))))
    own = grains.label.values == 1
    below = own & (grains.y.values < 7.25)[:, None]
    new = edited.label.values == 3
    assert (new == (own & ~below)).all() or (new == below).all()
    np.testing.assert_array_equal(edited.label.values[~own], grains.label.values[~own])


def test_a_bent_line_follows_its_legs(grains, none):
    line = ((10.2, 4.0), (15, 4.0), (15, 12.0))
    edited = apply_edits(grains, none.with_edit(Split(line=line)))
    with_corner = edited.label.sel(x=17, y=2).item()  # right of the corner, below
    assert edited.label.sel(x=12, y=8).item() != with_corner
    assert edited.label.sel(x=12, y=2).item() == with_corner
    assert edited.label.sel(x=18, y=15).item() == with_corner


def test_every_part_of_a_split_is_in_one_piece(none, grains):
    """A line over a grain shaped like a C cuts off splinters; they stay with what they touch."""
    from scipy import ndimage

    label = np.zeros((40, 60), dtype=int)
    label[5:35, 10:40] = 1
    label[15:25, 20:40] = 0
    shape = grains.assign(label=(("y", "x"), label)).isel(x=slice(0, 60))
    edits = GrainEdits.of(shape).with_edit(Split(line=((16, 3), (16, 6))))
    edited = apply_edits(shape, edits).label.values
    for name in (1, edited.max()):
        assert ndimage.label(edited == name)[1] == 1
    assert ((edited == 1) | (edited == edited.max())).sum() == (label == 1).sum()


def test_edits_are_done_in_their_order(grains, none):
    edits = none.with_edit(Split(line=((13, 7.25), (17, 7.25))))
    edits = edits.with_edit(Merge(first=(15, 2), second=(5, 2)))
    edited = apply_edits(grains, edits)
    assert grain_at(edited, (15, 2)) == grain_at(edited, (5, 15))
    assert grain_at(edited, (15, 15)) != grain_at(edited, (15, 2))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (Merge(first=(2, 2), second=(3, 9)), "must be two, got two places in one grain"),
        (Merge(first=(2, 2), second=(25, 9)), r"must touch, got those at \(2, 2\) and \(25, 9\)"),
        (Merge(first=(2, 2), second=(99, 9)), r"must lie in a grain, got \(99, 9\) um"),
        (Merge(first=(2, 2), second=(29.5, 9)), "must lie in a grain"),
        (Split(line=((5, 5), (5, 5))), "must have a length, got one place"),
        (Split(line=((10.0, 2), (10.0, 9))), "at least 6 pixels, got 0 on one side"),
        (Split(line=((50, 2), (60, 9))), "must lie in a grain, got one outside of all"),
    ],
)
def test_what_cannot_be_done_is_refused(grains, none, edit, message):
    with pytest.raises(ValueError, match=message):
        apply_edits(grains, none.with_edit(edit))


def test_equal_edits_are_equal_text_and_come_back(none, tmp_path):
    edits = none.with_edit(Merge(first=(1.00000001, 2), second=(3, 4)))
    edits = edits.with_edit(Split(line=((1, 2), (3, 4), (5, 6))))
    path = tmp_path / "edits.json"
    path.write_text(edits.dumps(), encoding="utf-8")
    found = GrainEdits.load(path)
    assert found.dumps() == edits.dumps()
    assert found.edits[0].first == (1.0, 2.0)
    assert found.edits[1] == edits.edits[1]


def test_edits_of_other_grains_are_refused(grains, none):
    other = grains.assign(label=grains.label.where(grains.label < 2, 1))
    with pytest.raises(PicksMismatch, match=r"must be of this segmentation, got edits of labels"):
        apply_edits(other, none)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid edits of grains"),
        ('{"labels": "a", "edits": [{"kind": "melt"}]}', "edits"),
        ('{"labels": "a", "edits": [{"kind": "split", "line": [[0, 1]]}]}', "at least 2 items"),
        ('{"labels": "a", "version": 2}', "version"),
    ],
)
def test_a_bad_file_says_what_is_wrong(tmp_path, text, message):
    path = tmp_path / "edits.json"
    path.write_text(text)
    with pytest.raises(FormatError, match=message):
        GrainEdits.load(path)
    with pytest.raises(FileNotFoundError, match="merge or split grains first"):
        GrainEdits.load(tmp_path / "none.json")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(FormatError, match="UTF-8"):
        GrainEdits.load(path)

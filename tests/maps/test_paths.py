"""Cuts that share ends, as one path."""

import numpy as np
import pytest

from lliso.maps.cuts import LineCut
from lliso.maps.paths import path_of


def cut(name, start, end):
    return LineCut(name=name, start=start, end=end, width=5)


A, B, C = (cut("a", (0, 0), (0, 30)), cut("b", (40, 30), (0, 30)), cut("c", (40, 30), (40, 80)))
ALONE = cut("d", (90, 0), (90, 50))


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_a_path_is_the_same_from_each_of_its_legs(name):
    legs = path_of([A, B, C, ALONE], name)
    assert [(leg.cut.name, leg.offset, leg.forward) for leg in legs] == [
        ("a", 0, True),
        ("b", 30, False),
        ("c", 70, True),
    ]
    assert legs[-1].stop == 120


def test_it_runs_as_its_first_cut_does():
    legs = path_of([C, B, A], "a")
    assert [(leg.cut.name, leg.forward) for leg in legs] == [("a", True), ("b", False), ("c", True)]
    backwards = cut("c", (40, 80), (40, 30))
    legs = path_of([backwards, B, A], "a")
    assert [(leg.cut.name, leg.forward) for leg in legs] == [
        ("c", True),
        ("b", True),
        ("a", False),
    ]


def test_distances_go_there_and_back():
    for leg in path_of([A, B, C], "a"):
        at = np.array([0.0, 10.0, leg.cut.length])
        assert leg.distance(leg.along(at)) == pytest.approx(at)
        assert np.all((leg.along(at) >= leg.offset) & (leg.along(at) <= leg.stop))
    there = path_of([A, B, C], "b")[1]
    assert there.along(0.0) == 70  # the start of b is where c begins


def test_one_alone_closed_and_forked():
    assert [leg.cut.name for leg in path_of([A, ALONE], "d")] == ["d"]
    back = cut("back", (40, 30), (0, 0))
    assert sorted(leg.cut.name for leg in path_of([A, B, back], "b")) == ["a", "b", "back"]
    fork = cut("fork", (0, 30), (0, 60))
    assert [leg.cut.name for leg in path_of([A, B, fork], "a")] == ["a", "b"]
    with pytest.raises(ValueError, match="must be one of a, b, got 'z'"):
        path_of([A, B], "z")

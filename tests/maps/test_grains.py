"""Networks of label images: geometry against lines of known length, angle and place."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from lliso.maps.cracks import find_cracks
from lliso.maps.cuts import line_profile
from lliso.maps.grains import (
    boundary_network,
    interior_distance,
    mean_linear_intercept,
    picks_from_network,
)
from lliso.schema import make_map

X, Y = np.arange(80) * 0.5, np.arange(60) * 0.5


def grains(label, x=X, y=Y, **attrs):
    return xr.Dataset({"label": (("y", "x"), label)}, {"x": x, "y": y}, attrs)


def halves(angle, offset=0.0):
    """Two grains with a straight boundary through the middle; the normal is at `angle` to y."""
    nx, ny = np.sin(np.radians(angle)), np.cos(np.radians(angle))
    away = (X - 20.0)[None, :] * nx + (Y - 15.0)[:, None] * ny - offset
    return (away > 0).astype(int)


@pytest.mark.parametrize("angle", [0.0, 7.0, 20.0, 33.0, 45.0, -26.0])
def test_straight_boundary(angle):
    net = boundary_network(grains(halves(angle)))
    assert net.sizes["boundary"] == 1
    row = net.isel(boundary=0)
    nx, ny = np.sin(np.radians(angle)), np.cos(np.radians(angle))
    assert row.ny > 0
    assert np.degrees(np.arccos(min(1.0, float(row.nx * nx + row.ny * ny)))) < 1.0
    # The staircase of a line at 45° is 1.41 times too long; the line is not. One pixel is 0.5 µm.
    width = 40.0 if abs(np.tan(np.radians(angle))) * 40 < 30 else 30.0 / np.tan(np.radians(angle))
    assert float(row.length) == pytest.approx(width / ny, abs=0.8)
    assert (float(row.x) - 20.0) * nx + (float(row.y) - 15.0) * ny == pytest.approx(0, abs=0.3)
    assert (int(row.grain1), int(row.grain2)) == (0, 1)
    assert float(row.straightness) > 0.97


def test_grain1_is_nearer_the_source_whatever_the_labels():
    net = boundary_network(grains(1 - halves(10.0)))
    assert (int(net.grain1[0]), int(net.grain2[0])) == (1, 0)
    upright = boundary_network(grains(np.repeat([X > 20.0], Y.size, axis=0).astype(int)))
    assert (float(upright.nx[0]), float(upright.ny[0])) == (1.0, 0.0)
    assert (int(upright.grain1[0]), int(upright.grain2[0])) == (0, 1)


def test_a_bent_boundary_is_two():
    label = ((Y - 10.0)[:, None] > 0.5 * np.abs(X - 20.0)[None, :]).astype(int)
    net = boundary_network(grains(label))
    assert net.sizes["boundary"] == 2
    assert np.sort(net.nx.values).round(1).tolist() == [-0.4, 0.4]
    assert net.length.values.sum() == pytest.approx(2 * 20.0 * np.hypot(1, 0.5), rel=0.05)


def test_grains_that_touch_twice_have_two_boundaries():
    label = (Y[:, None] > 15.0).astype(int) + np.zeros((1, X.size), int)
    label[:, 35:45] = 2
    net = boundary_network(grains(label))
    pair = (net.grain1 == 0) & (net.grain2 == 1)
    assert int(pair.sum()) == 2
    assert sorted(net.x.values[pair.values].tolist()) == pytest.approx([8.5, 31.0], abs=0.3)


def test_reach_area_and_edges():
    label = np.zeros((60, 80), int)
    label[20:44] = 1
    label[44:] = 2
    net = boundary_network(grains(label))
    first = net.isel(boundary=0)
    assert float(first.reach_after) == pytest.approx(12.0, abs=0.3)
    assert float(first.reach_before) == pytest.approx(10.0, abs=0.3)
    assert "map_edge" in str(first.flags.values)
    assert net.grain_area.values.tolist() == [400.0, 480.0, 320.0]
    assert net.grain_y.values.tolist() == pytest.approx([4.75, 15.75, 25.75])


def test_unknown_pixels_have_no_boundary():
    label = halves(0.0)
    label[28:32] = -1
    with pytest.raises(ValueError, match="must hold boundaries of at least 3 um"):
        boundary_network(grains(label))
    assert find_cracks(label, X, Y).x.size == 0
    assert interior_distance(label, (0.5, 0.5))[29].max() == 0.0


@pytest.mark.parametrize(
    ("ds", "message"),
    [
        (xr.Dataset(), r"needs the image label\(y, x\), got nothing"),
        (grains(np.zeros((60, 80))), "labels must be whole numbers, got the type float64"),
    ],
)
def test_what_is_no_label_image(ds, message):
    with pytest.raises(ValueError, match=message):
        boundary_network(ds)


def test_mean_intercept_of_squares_and_its_error():
    side = 10
    label = np.add.outer(np.arange(400) // side * 50, np.arange(300) // side)
    mean, std = mean_linear_intercept(label, (1.0, 1.0))
    assert mean == pytest.approx(side, rel=0.04)  # the outer sides are no crossings
    assert std < 0.5
    rng = np.random.default_rng(4)
    x, y = np.arange(120)[None, :, None], np.arange(90)[:, None, None]
    found = []
    for _ in range(40):  # grains at random: the stated error is that of the scatter
        a, b = rng.random((2, max(rng.poisson(60), 2))) * [[120], [90]]
        label = np.argmin((x - a) ** 2 + (y - b) ** 2, axis=2)
        found.append(mean_linear_intercept(label, (1.0, 1.0)))
    means, stds = np.array(found).T
    assert 0.5 < stds.mean() / means.std() < 2.0
    assert mean_linear_intercept(np.zeros((9, 9), int), (1.0, 1.0)) == (np.inf, np.inf)


def test_picks_lie_on_the_boundary_and_cut_it_along_its_normal():
    label = halves(20.0)
    step = np.where(label, 0.4, 0.5)
    n6 = np.round(1e5 * step).astype(int)
    ds = make_map([n6, 100000 - n6], ["6Li", "7Li"], x=X, y=Y, attrs={"stage": "59 h"})
    net = boundary_network(grains(label), source=ds)
    picks = picks_from_network(net, ds, longest=8.0)
    picks.check(ds)
    (pick,) = picks.boundaries
    assert (pick.position, pick.window) == (8.0, (0.0, 16.0))
    narrow = picks.cut("1").model_copy(update={"width": 6.0})
    profile = line_profile(ds, narrow)
    c = (profile.counts[0] / profile.counts.sum("species")).values
    crossing = float(np.interp(-0.45, -c, profile.distance.values))
    assert crossing == pytest.approx(8.0, abs=0.5)
    with pytest.raises(ValueError, match="got none of 1"):
        picks_from_network(net.assign(probability=0 * net.probability), ds)

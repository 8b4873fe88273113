"""The grain boundary nearest to a place, from labels."""

import numpy as np
import pytest
import xarray as xr

from lliso.maps.edges import nearest_edge

X = Y = (np.arange(80) + 0.5) * 0.9


def grains(label):
    return xr.Dataset({"label": (("y", "x"), label)}, {"x": X, "y": Y})


@pytest.mark.parametrize("angle", [0, 7, 20, 45, 70, 90, 133])
def test_direction_and_place_of_a_straight_boundary(angle):
    n = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    middle = np.array([36.0, 36.0])
    depth = (X[None, :] - middle[0]) * n[0] + (Y[:, None] - middle[1]) * n[1]
    place, normal = nearest_edge(grains((depth > 0).astype(int)), tuple(middle + 5 * n))
    assert abs(np.dot(normal, n)) > np.cos(np.radians(4))  # a staircase of 12 µm
    assert np.linalg.norm(np.array(place) - middle) < 1.0


def test_the_nearest_of_several_and_none():
    label = np.searchsorted([20.0, 50.0], Y)[:, None] + np.zeros(80, int)
    assert nearest_edge(grains(label), (30.0, 45.0))[0][1] == pytest.approx(50, abs=0.9)
    label[label == 2] = -1  # unknown is no grain
    assert nearest_edge(grains(label), (30.0, 45.0))[0][1] == pytest.approx(20, abs=0.9)
    with pytest.raises(ValueError, match="must hold a boundary between two grains, got none"):
        nearest_edge(grains(np.zeros((80, 80), int)), (30.0, 45.0))
    label = np.zeros((80, 80), int)
    label[0, 0] = 1
    with pytest.raises(ValueError, match="needs at least 4 sides of pixels, got 2"):
        nearest_edge(grains(label), (30.0, 45.0))

"""Grains found on simulated counts, judged by the boundaries that were put in."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import ndimage

from lliso.errors import LlisoWarning
from lliso.maps.grains import boundary_network, interior_distance
from lliso.maps.proposals import image_lines
from lliso.maps.segment import segment_grains
from lliso.schema import make_map

X, Y = np.arange(120.0), np.arange(90.0)


def voronoi(n, seed):
    sites = np.random.default_rng(seed).random((n, 2)) * [X.size, Y.size]
    away = (X[None, :, None] - sites[:, 0]) ** 2 + (Y[:, None, None] - sites[:, 1]) ** 2
    return np.argmin(away, axis=2)


def counted(fraction, n, seed):
    rng = np.random.default_rng(seed)
    n6, n7 = rng.poisson(n * fraction), rng.poisson(n * (1 - fraction))
    return make_map([n6, n7], ["6Li", "7Li"], x=X, y=Y, attrs={"simulated": 1})


def stepped(label, size, seed):
    """C of each grain at random, and a small gradient within all."""
    level = np.random.default_rng(seed).normal(0.4, size, label.max() + 1)
    return level[label] - 1e-4 * Y[:, None]


def found_along(network, truth, least):
    """Shares of (boundaries found that are true, true boundaries that were found), and distance."""
    found = network.isel(boundary=(network.probability >= least).values)
    found = found.isel(boundary=(found.length > 5).values)
    near = interior_distance(truth, (1.0, 1.0)) - 0.5
    points = [[], []]
    for t in np.linspace(-0.4, 0.4, 9):
        points[0].append(found.x - t * found.length * found.ny)
        points[1].append(found.y + t * found.length * found.nx)
    column = np.clip(np.rint(points[0]).astype(int), 0, X.size - 1)
    row = np.clip(np.rint(points[1]).astype(int), 0, Y.size - 1)
    distance = near[row, column]
    image = np.zeros(truth.shape, bool)
    image[row, column] = True
    covered = ndimage.distance_transform_edt(~image)
    return np.mean(np.median(distance, axis=0) <= 2.0), covered, np.median(distance)


def test_clear_steps_are_found_in_place():
    truth = voronoi(14, 3)
    c = stepped(truth, 0.05, 4)
    network = boundary_network(segment_grains(counted(c, 600, 5)))
    right, covered, place = found_along(network, truth, 0.8)
    assert right >= 0.9
    assert place <= 1.0
    true = boundary_network(xr.Dataset({"label": (("y", "x"), truth)}, {"x": X, "y": Y}))
    level = np.random.default_rng(4).normal(0.4, 0.05, truth.max() + 1)
    step = np.abs(level[true.grain1.values] - level[true.grain2.values])
    wanted = (true.length.values > 8) & (step > 0.03)
    at = covered[np.rint(true.y).astype(int).values, np.rint(true.x).astype(int).values]
    assert wanted.sum() >= 10
    assert np.mean(at[wanted] <= 3.5) >= 0.8


def test_a_map_without_steps_has_no_probable_boundary():
    # The whole gradient lies inside one grain: 0.12 over the map.
    c = 0.45 - 0.12 / Y.size * Y[:, None] + 0 * X
    shares = []
    for seed in range(4):
        grains = segment_grains(counted(c, 600, seed))
        probability = grains.get("piece_probability", xr.DataArray(np.zeros(1)))
        shares.append(int((probability > 0.9).sum()))
    assert sum(shares) <= 2


def test_stages_add_their_evidence():
    truth = (Y[:, None] > 45).astype(int) + np.zeros((1, X.size), int)
    c = 0.4 - 0.006 * truth
    one, two = counted(c, 600, 1), counted(c, 600, 2)

    def significance(maps):
        grains = segment_grains(maps)
        if "piece_significance" not in grains:
            return 0.0
        return float((grains.piece_significance).max())

    assert significance([one, two]) > max(significance(one), significance(two))


def test_an_image_shows_what_the_counts_cannot():
    # Two grains side by side along the flux: no step between them.
    c = 0.4 - 1e-3 * Y[:, None] + 0 * X
    ds = counted(c, 300, 7)
    fine_x, fine_y = np.arange(-5, 125, 0.5), np.arange(-5, 95, 0.5)
    grey = 200.0 - 80 * np.exp(-0.5 * ((fine_x - 60.3) / 0.7) ** 2)[None, :] + 0 * fine_y[:, None]
    grey += np.random.default_rng(8).normal(0, 8, grey.shape)
    image = xr.DataArray(grey, dims=("y", "x"), coords={"x": fine_x, "y": fine_y})
    network = boundary_network(segment_grains(ds, optical=image))
    assert network.attrs["found_from"] == "counts and image"
    assert segment_grains(ds).attrs["found_from"] == "counts"
    best = network.isel(boundary=int(network.length.values.argmax()))
    assert float(best.x) == pytest.approx(60.3, abs=1.0)
    assert float(best.probability) > 0.9
    bright = xr.DataArray(-grey, dims=("y", "x"), coords=image.coords)
    a, b = (image_lines(i, X, Y, lines=k) for i, k in ((image, "dark"), (bright, "bright")))
    np.testing.assert_allclose(a, b)
    with pytest.warns(LlisoWarning, match="covers only 50%"):
        segment_grains(ds, optical=image.isel(x=slice(0, 130)))


def test_a_trace_is_followed():
    c = 0.4 + 0 * X + 0 * Y[:, None]
    network = boundary_network(segment_grains(counted(c, 300, 9), traces=[[(0, 30), (119, 60)]]))
    sure = network.isel(boundary=(network.probability > 0.9).values)
    off = sure.y - (30 + 30 / 119 * sure.x)
    assert float(np.abs(off).max()) <= 1.0
    assert float(sure.length.sum()) > 0.8 * np.hypot(119, 30)


def test_maps_that_cannot_be_segmented():
    ds = counted(0.4 + 0 * X + 0 * Y[:, None], 10, 0)
    with pytest.raises(ValueError, match="at least one map, got none"):
        segment_grains([])
    with pytest.raises(ValueError, match="must have the same pixels, got different 'x'"):
        segment_grains([ds, ds.assign_coords(x=X + 3.0)])
    with pytest.raises(ValueError, match="must hold counts of 6Li or 7Li, got none"):
        segment_grains(ds.assign(counts=0 * ds.counts))
    with pytest.raises(ValueError, match="a trace must be points"):
        segment_grains(ds, traces=[[1.0, 2.0]])
    far = xr.DataArray(
        np.zeros((5, 5)), dims=("y", "x"), coords={"x": np.arange(5) + 900.0, "y": np.arange(5.0)}
    )
    with pytest.raises(ValueError, match="must overlap the map, got no common area"):
        segment_grains(ds, optical=far)
    with pytest.raises(ValueError, match="must be 'dark' or 'bright', got 'grey'"):
        segment_grains(ds, optical=far, lines="grey")

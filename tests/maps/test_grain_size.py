"""Grain size: means with errors on structures of known size, and grains from orientations."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from lliso.diffusion.orientations import (
    cubic_misorientation_angle,
    quaternions_from_euler,
    random_orientations,
)
from lliso.diffusion.structures import laguerre_structure
from lliso.maps.grain_size import GrainSize, grain_size, grains_of_orientations
from lliso.maps.synthetic_labels import rasterised


def image(label: np.ndarray, pitch: float = 1.0) -> xr.DataArray:
    ny, nx = label.shape
    coords = {"y": np.arange(ny) * pitch, "x": np.arange(nx) * pitch}
    return xr.DataArray(label, dims=("y", "x"), coords=coords, name="label")


@pytest.fixture(scope="module")
def views() -> tuple[list[GrainSize], np.ndarray]:
    """Twelve views of 150 × 150 µm of large structures, and the diameters of all grains."""
    sizes, diameters = [], []
    for seed in range(3):
        s = laguerre_structure((0, 0, 330, 330), 16.0, 11.0, np.random.default_rng([seed, 7]))
        label = rasterised(s, (660, 660))
        diameters.append(s.diameters)
        for top in (10, 340):
            views = (label[top : top + 300, left : left + 300] for left in (10, 340))
            sizes += [grain_size(image(view, 0.5)) for view in views]
    return sizes, np.concatenate(diameters)


def test_means_of_a_view_are_those_of_the_structure(views: tuple) -> None:
    """Without the weights the number mean of what the edge leaves whole is 15 % too small."""
    sizes, d = views
    for name, truth in (("number_mean", d.mean()), ("area_mean", np.average(d, weights=d**2))):
        got = np.array([getattr(s, name) for s in sizes])
        stated = np.array([getattr(s, f"{name}_std") for s in sizes])
        assert abs(got.mean() - truth) < 3.0 * got.std(ddof=1) / np.sqrt(len(got)) + 0.02 * truth
        # the errors are those of the scatter between views
        assert np.sqrt(np.mean(stated**2)) == pytest.approx(got.std(ddof=1), rel=0.45)


def test_squares() -> None:
    n = np.arange(120) // 10
    size = grain_size(image(100 * n[:, None] + n[None, :], 0.5))
    assert (size.n_grains, size.n_whole) == (144, 100)
    assert size.number_mean == pytest.approx(np.sqrt(4 * 25.0 / np.pi))
    assert size.area_mean == pytest.approx(size.number_mean)
    assert size.spread == pytest.approx(0.0, abs=1e-12)
    assert "100 of them whole" in str(size)


def test_large_grains_are_not_lost_to_the_edge() -> None:
    """Half of the area in stripes that mostly touch the edge: the weights bring them back."""
    rng = np.random.default_rng(0)
    got = []
    for _ in range(60):
        big = 40
        ox, oy = rng.integers(0, big, 2)
        j, i = np.meshgrid(np.arange(100) + oy, np.arange(100) + ox, indexing="ij")
        coarse = (j // big) * 1000 + i // big
        fine = 10**6 + (j // 10) * 1000 + i // 10
        chequered = ((j // big) + (i // big)) % 2 == 0
        got.append(grain_size(image(np.where(chequered, coarse, fine))).number_mean)
    # of 17 grains one is 40 µm wide and sixteen are 10 µm
    exact = (40 + 16 * 10) / 17 * np.sqrt(4 / np.pi)
    assert np.nanmean(got) == pytest.approx(exact, rel=0.05)


def test_what_cannot_be_had_is_nan() -> None:
    alone = grain_size(image(np.zeros((20, 20), dtype=int)))
    assert np.isnan(alone.number_mean)
    assert np.isinf(alone.intercept)
    with pytest.raises(ValueError, match="must be whole numbers"):
        grain_size(image(np.zeros((20, 20))))
    with pytest.raises(ValueError, match="must hold a grain"):
        grain_size(image(-np.ones((20, 20), dtype=int)))


@pytest.fixture
def oriented() -> tuple[xr.Dataset, np.ndarray]:
    """Thirty grains of random orientation, each point turned by up to 1° more, 3 % not indexed."""
    rng = np.random.default_rng(1)
    s = laguerre_structure((0, 0, 60, 50), 10.0, 3.0, rng)
    label = rasterised(s, (100, 120))
    drawn: list[np.ndarray] = []
    while len(drawn) <= label.max():  # no two within 15°
        one = rng.uniform(0, 1, 3) * [2 * np.pi, np.pi, 2 * np.pi]
        q = quaternions_from_euler(np.column_stack([one, *drawn]))
        if all(cubic_misorientation_angle(q[:1].repeat(len(q) - 1, 0), q[1:]) > 15):
            drawn.append(one)
    euler = np.column_stack(drawn)
    points = euler[:, label] + rng.normal(0, np.deg2rad(0.3), (3, *label.shape))
    phase = (rng.random(label.shape) > 0.03).astype(int)
    ds = xr.Dataset(
        {"euler": (("angle", "y", "x"), points), "phase": (("y", "x"), phase)},
        coords={"y": np.arange(100) * 0.5, "x": np.arange(120) * 0.5},
    )
    return ds, label


def test_grains_are_found_from_orientations(oriented: tuple) -> None:
    ds, label = oriented
    found = grains_of_orientations(ds)
    pairs = np.unique(np.stack([found.values.ravel(), label.ravel()]), axis=1, return_counts=True)
    agree = sum(pairs[1][pairs[0][0] == k].max() for k in np.unique(found)) / label.size
    assert agree > 0.985
    assert abs(len(np.unique(found)) - len(np.unique(label))) <= 2


def test_domains_turned_by_90_degrees_are_one_grain(oriented: tuple) -> None:
    ds, _ = oriented
    euler = ds["euler"].values.copy()
    euler[2, :, ::2] += np.pi / 2  # about the crystal's own axis: an equivalent cube
    turned = ds.assign(euler=(ds["euler"].dims, euler))
    assert len(np.unique(grains_of_orientations(turned))) == len(
        np.unique(grains_of_orientations(ds))
    )


def test_orientations_that_make_no_grain(oriented: tuple) -> None:
    ds, _ = oriented
    with pytest.raises(ValueError, match="threshold must be between"):
        grains_of_orientations(ds, threshold=0)
    with pytest.raises(ValueError, match="must be a grain of 4 points"):
        grains_of_orientations(ds.assign(phase=0 * ds["phase"]))


def test_quaternions_turn_as_the_euler_angles_do() -> None:
    """Against the product of the three rotation matrices."""
    rng = np.random.default_rng(2)
    euler = rng.uniform(0, 3, (3, 20))
    w, x, y, z = quaternions_from_euler(euler).T
    trace = 3 * w**2 - x**2 - y**2 - z**2
    about = {
        "z": lambda t: np.array([[np.cos(t), -np.sin(t), 0], [np.sin(t), np.cos(t), 0], [0, 0, 1]]),
        "x": lambda t: np.array([[1, 0, 0], [0, np.cos(t), -np.sin(t)], [0, np.sin(t), np.cos(t)]]),
    }
    exact = [np.trace(about["z"](a) @ about["x"](b) @ about["z"](c)) for a, b, c in euler.T]
    assert trace == pytest.approx(np.array(exact))
    assert np.allclose(np.linalg.norm(random_orientations(3, rng), axis=1), 1)

"""Drift in stacks whose single frames say little: against what counting allows at the best."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.ndimage import shift as moved

from lliso.maps._drift_joint import most_probable
from lliso.maps.alignment import _nearest
from lliso.maps.drift import measure_drift
from lliso.schema import make_map

NY, NX, MARGIN, FRAMES, PITCH = 120, 200, 8, 20, 0.5
#: half the height of a step in C
STEP = 0.01


@pytest.fixture(scope="module")
def scene():
    """C with steps between grains on a slope, blurred by the beam; even yield: simulated."""
    rng = np.random.default_rng(5)
    shape = (NY + 2 * MARGIN, NX + 2 * MARGIN)
    grains = np.sign(gaussian_filter(rng.standard_normal(shape), 4, mode="wrap"))
    return 0.47 - 0.001 * np.arange(shape[0])[:, None] + STEP * gaussian_filter(grains, 0.6)


def path_of(kind):
    t = np.linspace(-1.0, 1.0, FRAMES)
    if kind == "creep":
        return np.stack([2.0 * t + 0.3 * np.sin(4 * t), -1.5 * t + 0.4 * t**2], axis=1)
    return np.where(t[:, None] < 0, [[-1.5, 1.0]], [[1.5, -1.0]])  # a jump of the stage


def stack(scene, path, n=30.0, seed=1):
    """Frames of 30 counts a pixel whose specimen is offset by `path` (frame, (y, x)) pixels."""
    rng = np.random.default_rng(seed)
    inner = slice(MARGIN, -MARGIN)
    frames = [moved(scene, p, order=3, mode="nearest")[inner, inner] for p in path]
    counts = np.stack([[rng.poisson(n * c), rng.poisson(n * (1 - c))] for c in frames], axis=1)
    x, y = np.arange(NX) * PITCH, np.arange(NY) * PITCH
    return make_map(counts, ["6Li", "7Li"], x=x, y=y)


def least_error(scene, n=30.0):
    """Cramér-Rao bound of one frame's offset (y, x) in pixels, were the scene known."""
    c = scene[MARGIN:-MARGIN, MARGIN:-MARGIN]
    slopes = np.gradient(c)
    # d6 = n c' and d7 = -n c': information n c'^2 (1/c + 1/(1-c))
    return np.array([1 / np.sqrt(np.sum(n * s**2 / (c * (1 - c)))) for s in slopes])


def error_of(drift, path):
    found = drift.drift.values[:, ::-1] / PITCH
    return found - (path - path.mean(axis=0))


@pytest.mark.parametrize(("kind", "gain"), [("creep", 1.0), ("jump", 2.0)])
def test_weak_contrast_in_the_fraction_is_used_to_what_counting_allows(scene, kind, gain):
    """A path that creeps is known better than any single frame could be were the scene known.

    One that jumps is known from single frames, beside a scene that is nearly as noisy as they are.
    """
    path = path_of(kind)
    bound = least_error(scene)
    assert bound.min() > 0.2  # pixels: such frames are hard
    rms = []
    for seed in (1, 2, 3):
        drift = measure_drift(stack(scene, path, seed=seed))
        assert set(drift.status.values) == {"ok"}
        rms.append(np.sqrt(np.mean(error_of(drift, path) ** 2, axis=0)))
    assert np.all(np.sqrt(np.mean(np.square(rms), axis=0)) < gain * bound)


def test_what_is_left_of_the_drift_biases_no_pixel_by_a_quarter_of_its_error(scene):
    """Expected C of the aligned sum, without noise, beside C at the place that it says."""
    path = path_of("creep")
    path = path - path.mean(axis=0)
    ds = stack(scene, path)
    drift = measure_drift(ds)
    nothing = drift.assign(drift=0.0 * drift.drift)
    inner = slice(2 * MARGIN, -2 * MARGIN)
    c = scene[inner, inner]
    std = np.sqrt(c * (1 - c) / (30.0 * FRAMES))
    worst = {}
    for name, by in (("aligned", drift), ("as it is", nothing)):
        whole, zero = _nearest(by.drift.values[:, ::-1] / PITCH)
        parts = [moved(scene, p - k, order=3) for p, k in zip(path, whole, strict=True)]
        bias = (np.mean(parts, axis=0) - moved(scene, zero, order=3))[inner, inner]
        worst[name] = np.max(np.abs(bias) / std)
        assert abs(bias.mean()) < np.sqrt(np.mean(std**2) / c.size)
    assert worst["aligned"] < 0.25 < worst["as it is"]


def test_a_path_is_smoothed_as_much_as_it_asks_for():
    rng = np.random.default_rng(1)
    t = np.arange(40)
    noise = rng.standard_normal(40)
    smooth = np.sin(t / 12)
    found = most_probable(smooth + 0.5 * noise, np.full(40, 4.0))
    assert np.std(found - smooth) < 0.25 < np.std(0.5 * noise)
    exact = most_probable(smooth + 0.001 * noise, np.full(40, 1e6))
    np.testing.assert_allclose(exact, smooth, atol=0.004)
    jump = np.where(t < 20, 0.0, 8.0)
    np.testing.assert_allclose(most_probable(jump, np.full(40, 100.0)), jump, atol=0.3)


def test_a_frame_that_failed_lies_between_its_neighbours():
    places = np.arange(10.0)
    information = np.full(10, 25.0)
    places[4], information[4] = 99.0, 0.0
    np.testing.assert_allclose(most_probable(places, information), np.arange(10.0), atol=1e-6)

"""Drift of long stacks, which are searched in groups of frames first: simulated."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import fourier_shift, gaussian_filter

from lliso.maps import drift as drift_module
from lliso.maps.drift import measure_drift
from lliso.schema import make_map

SIZE, MARGIN = 80, 12
FRAMES = 150


def images(path, n, contrast=0.2):
    """Frames of a specimen offset by `path` (frame, (x, y)) pixels, before counting."""
    rng = np.random.default_rng(1)
    whole = SIZE + 2 * MARGIN
    wide = gaussian_filter(rng.standard_normal((2, whole, whole)), (0, 5, 5), mode="wrap")
    grains = gaussian_filter(np.sign(wide), (0, 0.7, 0.7), mode="wrap")
    c = 0.4 + 0.05 * grains[1]
    scene = np.exp(contrast * grains[0]) * np.stack([c, 1 - c]) * n
    spectra = np.fft.fft2(scene)
    inner = slice(MARGIN, -MARGIN)
    for dx, dy in path:
        moved = [np.fft.ifft2(fourier_shift(s, (dy, dx))).real for s in spectra]
        yield np.stack(moved)[:, inner, inner].clip(0)


def stack(path, n, seed=2, contrast=0.2):
    rng = np.random.default_rng(seed)
    counts = np.stack([rng.poisson(i) for i in images(path, n, contrast)], axis=1)
    axis = np.arange(SIZE) * 0.5
    return make_map(counts.astype("u2"), ["6Li", "7Li"], x=axis, y=axis)


def path_of(n=FRAMES):
    t = np.linspace(0, 1, n)
    return np.stack([9 * t, 5 * np.sin(3 * t)], axis=1)


def error_of(drift, path, use=slice(None)):
    found = drift.drift.values / 0.5
    return (found - found[use].mean(axis=0)) - (path - path[use].mean(axis=0))


def within(n):
    """Twice the least error that counting allows (Cramér-Rao, pixels), and 0.02 of a pixel."""
    expected = next(images([(0.0, 0.0)], n))
    slopes = np.gradient(expected, axis=(1, 2))
    information = [[np.sum(a * b / expected) for b in slopes] for a in slopes]
    return 2 * np.sqrt(np.diag(np.linalg.inv(information)).mean()) + 0.02


def rms_of(error):
    return np.sqrt(np.mean(error**2))


@pytest.fixture(scope="module")
def plain():
    return stack(path_of(), 30.0)


@pytest.fixture(scope="module")
def found(plain):
    return measure_drift(plain)


@pytest.mark.parametrize("n", [300.0, 3.0])
def test_drift_of_single_frames_is_found(n):
    path = path_of()
    drift = measure_drift(stack(path, n))
    assert set(drift.status.values) == {"ok"}
    assert rms_of(error_of(drift, path)) < within(n)


def test_groups_lose_nothing_against_the_search_frame_by_frame(plain, found, monkeypatch):
    path = path_of()
    rms = rms_of(error_of(found, path))
    first = plain.isel(frame=slice(0, 50))
    monkeypatch.setattr(drift_module, "MOST_GROUPS", FRAMES)
    each = measure_drift(first)
    assert rms < rms_of(error_of(each, path[:50]))
    assert rms < within(30.0)


def test_a_jump_within_a_group_and_one_between_groups():
    """150 frames are 50 groups of three: the second jump lies within one."""
    path = path_of()
    path[60:] += [4.0, -3.0]
    path[100:] += [-5.0, 2.0]
    drift = measure_drift(stack(path, 100.0))
    assert set(drift.status.values) == {"ok"}
    error = error_of(drift, path)
    assert rms_of(error) < within(100.0)
    assert np.abs(error).max() < 5 * within(100.0)


def test_a_stage_that_shakes_blurs_the_groups_only_at_first():
    path = path_of() + np.random.default_rng(5).normal(0, 1.2, (FRAMES, 2))
    lines = []
    drift = measure_drift(stack(path, 100.0), progress=lines.append)
    assert any(line.startswith("drift, groups again") for line in lines)
    assert rms_of(error_of(drift, path)) < within(100.0)


def test_bad_frames_are_named_one_by_one(plain):
    counts = plain.counts.values.copy()
    rng = np.random.default_rng(3)
    counts[:, 20] = 0
    counts[:, 71] = rng.permutation(counts[:, 71].reshape(2, -1), axis=1).reshape(2, SIZE, SIZE)
    counts[:, 110] *= 9
    counts[:, 130:136] = 0  # two whole groups
    drift = measure_drift(plain.assign(counts=(plain.counts.dims, counts)))
    failed = {int(i): str(s) for i, s in enumerate(drift.status.values) if s != "ok"}
    empty = dict.fromkeys([20, *range(130, 136)], "empty")
    assert failed == empty | {71: "unlike", 110: "bright"}
    good = drift.status.values == "ok"
    assert np.abs(error_of(drift, path_of(), good)).max() < 0.4


def test_frames_lost_in_noise_follow_a_smooth_path():
    path = path_of()
    drift = measure_drift(stack(path, 0.5))
    rms = rms_of(error_of(drift, path))
    assert rms < within(0.5)
    assert drift.scatter > rms  # single frames are worse than their path


def test_lazy_frames_are_read_thrice_and_give_the_same(plain, found):
    lazy = plain.chunk({"frame": 8})
    lines = []
    xr.testing.assert_allclose(measure_drift(lazy, progress=lines.append), found)
    assert [k.split(":")[0] for k in lines[::19]] == ["counts", "drift, groups", "drift"]
    assert lines[-1] == f"drift: frame {FRAMES} of {FRAMES}"


def test_interrupted_it_stops_at_once(plain):
    lines = []

    def stop(line):
        lines.append(line)
        if line.startswith("drift:"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_drift(plain.chunk({"frame": 8}), progress=stop)
    assert lines[-1] == f"drift: frame 8 of {FRAMES}"


def test_no_contrast_at_all_is_refused():
    axis = np.arange(64.0)
    flat = make_map(np.full((1, 70, 64, 64), 5), ["7Li"], x=axis, y=axis)
    with pytest.raises(ValueError, match="frames that look alike, got none"):
        measure_drift(flat)

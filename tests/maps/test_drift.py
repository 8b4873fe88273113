"""Drift is found, and frames are put onto each other with every count kept whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import gaussian_filter
from scipy.ndimage import shift as moved

from lliso.errors import LlisoWarning
from lliso.io import read_map
from lliso.maps.alignment import align_frames
from lliso.maps.dead_time import correct_dead_time
from lliso.maps.drift import measure_drift
from lliso.maps.fraction import isotope_fraction, sum_frames
from lliso.schema import make_map

REAL = Path(__file__).parents[2] / "data" / "samples" / "real" / "cameca" / "image sun.im"
SIZE, MARGIN = 96, 12


def scene(contrast=0.15, seed=1):
    """Yield and C, both with steps between grains of some ten pixels: simulated."""
    rng = np.random.default_rng(seed)
    n = SIZE + 2 * MARGIN
    wide = [gaussian_filter(rng.standard_normal((n, n)), 5, mode="wrap") for _ in range(2)]
    return np.exp(contrast * np.sign(wide[0])), 0.4 + 0.05 * np.sign(wide[1])


def stack(path, n=60.0, contrast=0.15, seed=2, **attrs):
    """Frames of a specimen that is offset by `path` (frame, (x, y)) pixels."""
    rng = np.random.default_rng(seed)
    rate, c = scene(contrast)
    frames = []
    for dx, dy in path:
        images = [moved(n * rate * part, (dy, dx), order=1) for part in (c, 1 - c)]
        inner = slice(MARGIN, -MARGIN)
        frames.append([rng.poisson(i[inner, inner]) for i in images])
    axis = np.arange(SIZE) * 0.5
    counts = np.stack(frames, axis=1)
    return make_map(counts, ["6Li", "7Li"], x=axis, y=axis, attrs=attrs)


def line(n, x=4.0, y=-3.0):
    t = np.linspace(-0.5, 0.5, n)[:, None]
    return t * [x, y] + 0.3 * np.sin(7 * t)


@pytest.mark.parametrize(("n", "within"), [(2000.0, 0.03), (200.0, 0.08), (20.0, 0.2)])
def test_drift_is_found_to_a_fraction_of_a_pixel(n, within):
    path = line(12)
    drift = measure_drift(stack(path, n))
    assert drift.status.values.tolist() == ["ok"] * 12
    found = drift.drift.values / 0.5
    error = found - (path - path.mean(axis=0))
    assert np.sqrt(np.mean(error**2)) < within


def test_contrast_in_the_fraction_alone_is_enough():
    """Where all pixels yield alike, the sum of all species has nothing to align by."""
    path = line(20)
    drift = measure_drift(stack(path, 100.0, contrast=0.0))
    error = drift.drift.values / 0.5 - (path - path.mean(axis=0))
    assert np.sqrt(np.mean(error**2)) < 0.25


def test_a_sudden_jump_of_the_stage_is_no_failure():
    path = np.repeat([[0.0, 0.0], [6.0, -4.0]], 6, axis=0)
    drift = measure_drift(stack(path, 1000.0))
    assert set(drift.status.values) == {"ok"}
    assert np.diff(drift.drift.values[:, 0] / 0.5)[5] == pytest.approx(6.0, abs=0.1)


def bad_stack():
    ds = stack(line(12))
    counts = ds.counts.values.copy()
    rng = np.random.default_rng(3)
    counts[:, 2] = 0
    counts[:, 5] = rng.permutation(counts[:, 5].reshape(2, -1), axis=1).reshape(2, SIZE, SIZE)
    counts[:, 8] *= 9
    return ds.assign(counts=(ds.counts.dims, counts))


def test_bad_frames_are_named_and_left_out_on_request():
    ds = bad_stack()
    drift = measure_drift(ds)
    expected = {2: "empty", 5: "unlike", 8: "bright"}
    found = {i: s for i, s in enumerate(drift.status.values) if s != "ok"}
    assert found == expected
    path = line(12)
    good = [i for i in range(12) if i not in expected]
    error = drift.drift.values / 0.5 - (path - path[good].mean(axis=0))
    assert np.abs(error[good]).max() < 0.2
    assert np.abs(error).max() < 0.5  # those between their neighbours
    with pytest.warns(LlisoWarning, match=r"kept where their neighbours were: empty: 2; unlike: 5"):
        kept = align_frames(ds, drift)
    assert kept.sizes["frame"] == 12
    left = align_frames(ds, drift, leave_out_failed=True)
    assert left.sizes["frame"] == 9
    assert "left out: 2, 5, 8" in left.attrs["history"]


def test_a_bad_first_frame_does_not_spoil_the_rest():
    ds = stack(line(8))
    counts = ds.counts.values.copy()
    rng = np.random.default_rng(3)
    counts[:, 0] = rng.permutation(counts[:, 0].reshape(2, -1), axis=1).reshape(2, SIZE, SIZE)
    drift = measure_drift(ds.assign(counts=(ds.counts.dims, counts)))
    assert drift.status.values.tolist() == ["unlike"] + ["ok"] * 7


@pytest.mark.parametrize("method", ["whole_pixels", "random"])
def test_counts_are_conserved_and_stay_poisson(method):
    path = line(10)
    ds = stack(path, 30.0)
    drift = measure_drift(ds)
    done = align_frames(ds, drift, method=method, rng=np.random.default_rng(1))
    ny, nx = done.sizes["y"], done.sizes["x"]
    assert done.counts.dtype.kind in "ui"
    # what each frame held where it was cut out, it still holds: none is lost, none made up
    y0, x0 = float(done.y[0]) / 0.5, float(done.x[0]) / 0.5
    for f, (dx, dy) in enumerate(drift.drift.values / 0.5):
        low, high = (np.floor([y0 + dy, x0 + dx]) + k for k in (0, 1))
        held = [
            ds.counts.values[:, f, int(i) : int(i) + ny, int(j) : int(j) + nx].sum()
            for i in (low[0], high[0])
            for j in (low[1], high[1])
        ]
        if method == "whole_pixels":
            assert done.counts.values[:, f].sum() in held
        else:
            assert min(held) * 0.999 < done.counts.values[:, f].sum() < max(held) * 1.001
    total = done.counts.sum("frame").values
    rest = done.counts.values - total[:, None] / 10
    index = (rest**2).sum() / (total.sum() * 0.9)
    assert index == pytest.approx(1.0, abs=0.02)
    # neighbouring pixels of one frame share no count
    white = rest / np.sqrt(np.maximum(total[:, None] / 10, 1))
    assert abs(np.mean(white[..., 1:] * white[..., :-1])) < 0.01


def test_unaligned_frames_fail_that_test():
    ds = stack(line(10, 8.0, 8.0), 100.0)
    for aligned, low, high in ((ds, 1.3, 9.0), (align_frames(ds), 0.95, 1.1)):
        total = aligned.counts.sum("frame").values
        rest = aligned.counts.values - total[:, None] / 10
        assert low < (rest**2).sum() / (total.sum() * 0.9) < high


def test_whole_pixels_move_every_count_with_its_variance():
    path = np.array([[0.0, 0.0], [2.0, -1.0]])
    ds = correct_dead_time(stack(path), shots=600)
    drift = xr.Dataset(
        {
            "drift": (("frame", "axis"), 0.5 * path),
            "status": ("frame", ["ok", "ok"]),
        }
    )
    done = align_frames(ds, drift)
    assert dict(done.sizes) == {"species": 2, "frame": 2, "y": SIZE - 1, "x": SIZE - 2}
    for name in ("counts", "variance", "unknown"):
        a, b = ds[name].values, done[name].values
        assert np.array_equal(b[..., 0, :, :], a[..., 0, 1:, : SIZE - 2])
        assert np.array_equal(b[..., 1, :, :], a[..., 1, : SIZE - 1, 2:])
    assert done.x.values[0] == pytest.approx(0.0, abs=1e-12)
    assert done.y.values[0] == pytest.approx(0.5)


def test_coordinates_stay_with_the_specimen():
    """Whatever zero the rounding takes, a feature keeps its place in µm."""
    rate, _ = scene()
    inner = slice(MARGIN, -MARGIN)
    axis = np.arange(SIZE) * 0.5
    still = xr.DataArray(rate[inner, inner], {"y": axis, "x": axis}, ("y", "x"))
    path = np.array([[-0.3, 0.2], [0.7, 0.2], [0.7, -0.8], [0.7, -0.8]])
    path -= path.mean(axis=0)
    done = sum_frames(align_frames(stack(path, 2000.0)))
    total = done.counts.sum("species")
    chi = {}
    for off in (-0.25, 0.0, 0.25):
        expected = still.interp(x=done.x + off, y=done.y, kwargs={"fill_value": None})
        chi[off] = float(((total / total.mean() - expected / expected.mean()) ** 2).mean())
    assert min(chi, key=chi.get) == 0.0


def test_lazy_frames_stay_lazy_once_the_drift_is_known():
    ds = stack(line(6))
    drift = measure_drift(ds)
    lazy = ds.chunk({"frame": 2, "x": 40})
    done = align_frames(lazy, drift)
    assert done.counts.chunks is not None
    xr.testing.assert_identical(done.compute(), align_frames(ds, drift))
    xr.testing.assert_allclose(measure_drift(lazy), drift, atol=0.02)
    rngs = [np.random.default_rng(4) for _ in range(2)]
    pair = [
        align_frames(d, drift, method="random", rng=r)
        for d, r in zip((ds, lazy), rngs, strict=True)
    ]
    xr.testing.assert_identical(pair[1].compute(), pair[0])


def test_step_inside_grains_is_not_smeared_after_alignment():
    path = line(12, 8.0, 6.0)
    ds = stack(path, 200.0)
    _, c = scene()
    inner = slice(MARGIN, -MARGIN)
    true = xr.DataArray(
        c[inner, inner], {"y": np.arange(SIZE) * 0.5, "x": np.arange(SIZE) * 0.5}, ("y", "x")
    )
    chi2 = []
    for done in (sum_frames(ds), sum_frames(align_frames(ds))):
        f = isotope_fraction(done)
        at = true.interp(x=f.x, y=f.y)
        chi2.append(float((((f.fraction - at) / f.fraction_std) ** 2).mean()))
    # what is left beside counting (1) is the blur of the shift that made the frames
    assert chi2[0] > 3.0
    assert chi2[1] - 1 < 0.3 * (chi2[0] - 1)


def test_refusals():
    ds = stack(line(4))
    with pytest.raises(ValueError, match="drift needs at least 2 frames, got 1"):
        measure_drift(ds.isel(frame=[0]))
    with pytest.raises(ValueError, match="drift needs at least 2 frames in order, got 0 of 4"):
        measure_drift(ds.assign(counts=ds.counts * 0))
    drift = measure_drift(ds)
    with pytest.raises(
        ValueError, match="drift must be of the same frames, got 4 for a stack of 3"
    ):
        align_frames(ds.isel(frame=slice(0, 3)), drift)
    with pytest.raises(ValueError, match="frames must overlap, got a drift over"):
        align_frames(ds, drift.assign(drift=drift.drift * 100))
    with pytest.raises(ValueError, match="must be 'whole_pixels' or 'random', got 'spline'"):
        align_frames(ds, drift, method="spline")
    with pytest.raises(ValueError, match="the drift must be corrected once"):
        align_frames(align_frames(ds, drift), drift)
    with pytest.raises(ValueError, match=r"needs whole counts as registered, got corrected ones"):
        align_frames(correct_dead_time(ds, shots=900), drift, method="random")


def plain_shift(images):
    """Shift of the second image by scikit-image alone, images smoothed and windowed."""
    from skimage.registration import phase_cross_correlation

    window = np.outer(*(np.hanning(n) for n in images.shape[-2:]))
    smooth = [gaussian_filter(i - i.mean(), 1.5) for i in images.astype(float)]
    ready = [(s - s.mean()) * window for s in smooth]
    return phase_cross_correlation(*ready, upsample_factor=50, normalization=None)[0]


def test_real_frames_are_aligned_and_their_rare_isotopes_stay_poisson():
    """NanoSIMS, two frames. The surface changes under the beam, so species do not agree."""
    ds = read_map(REAL)
    cn = ["12C 14N", "12C 15N"]
    # compared as it is, with all that changed between the frames, 12C15N has moved by 2.5 pixels
    assert np.hypot(*plain_shift(ds.counts.sel(species=cn[1]).values)) == pytest.approx(
        2.5, abs=0.1
    )
    pitch = float(ds.x[1] - ds.x[0])
    drift = measure_drift(ds, species=cn)
    found = np.diff(drift.drift.values, axis=0)[0] / pitch
    # without what is wider than a seventh of the image, the two together by 2.1
    assert np.hypot(*found) == pytest.approx(2.1, abs=0.3)
    for method in ("whole_pixels", "random"):
        done = align_frames(ds, drift, method=method, rng=np.random.default_rng(1))
        for label in ("18O", "12C 15N"):
            a, b = done.counts.sel(species=label).values.astype(float)
            share = a.sum() / (a + b).sum()
            use = a + b > 0
            chi2 = (a - share * (a + b)) ** 2 / np.where(use, share * (1 - share) * (a + b), 1)
            assert 0.95 < chi2[use].mean() < 1.15
    whole = align_frames(ds, drift)
    for f in range(2):
        kept = whole.counts.values[:, f]
        found_at = [
            np.array_equal(
                kept, ds.counts.values[:, f, i : i + kept.shape[1], j : j + kept.shape[2]]
            )
            for i in range(4)
            for j in range(4)
        ]
        assert found_at.count(True) == 1  # every count of the frame, where it was cut out

"""Corrections recover what was put in, in one order, with the errors that they state."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from lliso.io import read_map, write_map
from lliso.maps.calibration import Calibration, Reference, calibrate
from lliso.maps.carried import fraction_gradient, steps_of
from lliso.maps.corrections import (
    correct_background,
    correct_fractionation,
    correct_hydride,
    normalise_for_display,
)
from lliso.maps.cuts import LineCut, line_profile
from lliso.maps.dead_time import correct_dead_time
from lliso.maps.fraction import bin_pixels, isotope_fraction, sum_frames
from lliso.maps.synthetic_detector import mass_effects
from lliso.maps.synthetic_parameters import Artefacts
from lliso.schema import make_map

SHOTS, K, H, BACKGROUND = 1700, 1.045, 0.006, {"6Li": 0.4, "7Li": 0.9}
EFFECTS = Artefacts(
    hydride=H, mass_fractionation=K, background=(BACKGROUND["6Li"], BACKGROUND["7Li"])
)
BACKGROUND_STD = {"6Li": 0.01, "7Li": 0.02}


def as_map(counts, **attrs):
    y, x = (np.arange(n) * 1.0 for n in counts.shape[-2:])
    return make_map(counts, ["6Li", "7Li"], x=x, y=y, attrs=attrs)


def truth(shape=(160, 160)):
    """C with a profile and steps, and a yield that knows nothing of it."""
    y, x = np.indices(shape)
    c = 0.5 - 0.2 * y / shape[0] - 0.02 * ((y // 16) % 2)
    return c, np.exp(0.2 * np.sin(x / 5.0) + 0.1 * np.sin(y / 3.0))


def measured(seed, n=900.0, frames=1, shape=(160, 160)):
    """Counts of a single-stop detector with everything that goes wrong: simulated."""
    rng = np.random.default_rng(seed)
    c, rate = truth(shape)
    mean = mass_effects(n * rate * np.stack([c, 1 - c]), EFFECTS)
    per_frame = SHOTS // frames
    p = -np.expm1(-mean / (per_frame * frames))
    counts = rng.binomial(per_frame, np.repeat(p[:, None], frames, axis=1))
    counts = counts if frames > 1 else counts[:, 0]
    return as_map(counts, dead_time_corrected="no", shots_per_pixel=per_frame * frames), c


def references(seed, pixels=40_000, n=900.0):
    rng = np.random.default_rng(seed)
    found = []
    for name, c in (("natural", 0.0759), ("source", 0.95)):
        sums = rng.poisson(pixels * mass_effects(n * np.array([c, 1 - c]), EFFECTS))
        net = [sums[i] - pixels * b for i, b in enumerate(BACKGROUND.values())]
        found.append(Reference(net[0], net[1], c, var_light=sums[0], var_heavy=sums[1], name=name))
    return found


def corrected(raw, calibration, background=BACKGROUND):
    done = sum_frames(correct_dead_time(raw))
    done = correct_background(done, background, BACKGROUND_STD)
    return correct_fractionation(correct_hydride(done, calibration), calibration)


@pytest.mark.parametrize("frames", [1, 10])
def test_recovery_of_c_in_every_part_and_on_the_whole(frames):
    """The mean over many draws is the bias: below a quarter of a pixel's error everywhere."""
    calibration = calibrate(references(100))
    draws, sums = [], []
    for seed in range(6):
        raw, c = measured(seed, frames=frames)
        done = corrected(raw, calibration)
        found = isotope_fraction(done)
        draws.append((found.fraction.values - c) / found.fraction_std.values)
        whole = isotope_fraction(
            line_profile(
                done, LineCut(start=(80, -0.5), end=(80, 159.5), width=160), slice_length=160
            )
        )
        expected = float((c * found.total.values).sum() / found.total.values.sum())
        sums.append(
            (
                float(whole.fraction[0]) - expected,
                float(whole.fraction_std[0]),
                float(whole.fraction_systematic_std[0]),
            )
        )
    pulls = np.stack(draws)
    assert pulls.var() == pytest.approx(1.0, abs=0.02)
    # 8 x 8 pixels of 6 draws know their mean to 1/sqrt(384) = 0.051 of one pixel's error
    parts = pulls.reshape(6, 20, 8, 20, 8).mean(axis=(0, 2, 4))
    assert np.abs(parts).max() < 0.25
    assert parts.std() < 1.25 / np.sqrt(6 * 64)
    off, counting, systematic = np.mean(sums, axis=0)
    assert 5e-5 < systematic < 5e-4
    assert abs(off) < 2 * np.hypot(systematic, counting / np.sqrt(6))
    raw, c = measured(0, frames=frames)
    biased = isotope_fraction(sum_frames(raw))
    assert float((biased.fraction.values - c).mean()) > 30 * systematic


def test_stated_systematic_error_is_the_scatter_over_references():
    raw, _ = measured(1, shape=(32, 32))
    values = []
    for seed in range(30):
        done = corrected(raw, calibrate(references(seed)), background=BACKGROUND)
        c = isotope_fraction(done)
        values.append(float(c.fraction.mean()))
    stated = corrected(raw, calibrate(references(0)))
    # without the background's part, which was the same in all of these
    gradient = fraction_gradient(stated).mean(["x", "y"]).values[2:]
    covariance = stated.systematic_covariance.values[2:, 2:]
    std = float(np.sqrt(gradient @ covariance @ gradient))
    assert np.std(values) == pytest.approx(std, rel=4 / np.sqrt(2 * 29))


def test_variance_of_hydride_and_fractionation_by_simulation():
    rng = np.random.default_rng(5)
    n = rng.poisson(np.array([400.0, 600.0])[:, None, None], (2, 200, 200))
    done = correct_fractionation(correct_hydride(as_map(n), 0.1), 1.2)
    c = isotope_fraction(done)
    assert float(c.fraction.std()) == pytest.approx(float(c.fraction_std.mean()), rel=0.02)
    assert float(done.counts[1].var()) == pytest.approx(float(done.variance[1].mean()), rel=0.03)


def test_sensitivities_are_derivatives_of_the_whole_chain():
    raw, _ = measured(2, shape=(6, 5))
    base = correct_dead_time(raw)

    def chain(b7=0.9, h=0.006, k=1.045):
        done = correct_background(base, {"7Li": b7}, {"7Li": 0.1})
        return correct_fractionation(correct_hydride(done, h, 0.1), k, 0.1)

    done, step = chain(), 1e-5
    for name, other in (
        ("background_7Li", chain(b7=0.9 + step)),
        ("hydride", chain(h=0.006 + step)),
        ("fractionation", chain(k=1.045 + step)),
    ):
        found = (other.counts - done.counts) / step
        stated = done.sensitivity.sel(parameter=name, drop=True)
        xr.testing.assert_allclose(found, stated.transpose(*found.dims), rtol=1e-3, atol=1e-3)


STEPS = {
    "dead_time": lambda m: correct_dead_time(m, shots=100),
    "background": lambda m: correct_background(m, {"6Li": 0.1}),
    "hydride": lambda m: correct_hydride(m, 0.01),
    "fractionation": lambda m: correct_fractionation(m, 1.1),
}


@pytest.mark.parametrize(("first", "second"), list(pairwise(reversed(STEPS))))
def test_wrong_order_is_refused(first, second):
    ds = STEPS[first](as_map(np.full((2, 2, 2), 9)))
    with pytest.raises(ValueError, match=f"must be corrected before {first}, got a map"):
        STEPS[second](ds)


@pytest.mark.parametrize("name", list(STEPS)[1:])
def test_twice_is_refused(name):
    ds = STEPS[name](as_map(np.full((2, 2, 2), 9)))
    with pytest.raises(ValueError, match=f"must be corrected once, got a map with the .*{name}"):
        STEPS[name](ds)


def test_history_and_input_stay():
    raw = as_map(np.full((2, 2, 2), 9))
    before = raw.copy(deep=True)
    done = raw
    for step in STEPS.values():
        done = step(done)
    xr.testing.assert_identical(raw, before)
    assert steps_of(done) == tuple(STEPS)
    history = done.attrs["history"].splitlines()
    assert "hydride: 0.01 +- 0 of 6Li from 7Li" in history[-2]
    assert done.attrs["map_id"] == raw.attrs["map_id"]


def test_net_counts_may_be_negative_and_go_through_a_file(tmp_path):
    raw = as_map(np.array([[[0, 3]], [[1, 9]]]))
    net = correct_background(raw, {"6Li": 0.5, "7Li": 2.0}, {"6Li": 0.1})
    assert net.counts.values[0, 0, 0] == -0.5
    path = write_map(net, tmp_path / "net.nc") or tmp_path / "net.nc"
    back = read_map(path)
    xr.testing.assert_equal(back.drop_attrs(), net.drop_attrs())
    assert steps_of(back) == ("background",)


def test_sums_carry_all_parts():
    raw, _ = measured(3, shape=(8, 8))
    done = corrected(raw, calibrate(references(1)))
    binned = bin_pixels(done, 4, 2)
    for name in ("counts", "variance", "covariance", "sensitivity"):
        assert float(binned[name].sum()) == pytest.approx(float(done[name].sum()))
    cut = line_profile(done, LineCut(start=(3.5, -0.5), end=(3.5, 7.5), width=8))
    for name in ("counts", "variance", "covariance", "sensitivity"):
        assert np.allclose(cut[name].sum("distance"), done[name].sum(["x", "y"]))
    assert float(cut.systematic_covariance.sum()) == float(done.systematic_covariance.sum())


def test_bad_values_are_refused():
    m = as_map(np.full((2, 2, 2), 9))
    with pytest.raises(ValueError, match="rate of 6Li must be counts per pixel, got -1"):
        correct_background(m, {"6Li": -1})
    with pytest.raises(ValueError, match="std must name species with a rate, got 7Li"):
        correct_background(m, {"6Li": 1}, {"7Li": 1})
    with pytest.raises(ValueError, match="the map lacks the species Na"):
        correct_background(m, {"Na": 1})
    with pytest.raises(ValueError, match=r"hydride must be a share from 0 to 1, got -0\.1"):
        correct_hydride(m, -0.1, 0.01)
    with pytest.raises(ValueError, match="fractionation must be positive, got 0"):
        correct_fractionation(m, 0)
    with pytest.raises(ValueError, match=r"share of 0.02 before its fractionation, got 0;"):
        correct_fractionation(m, Calibration(1.1, 0.02, ((1e-4, 0.0), (0.0, 1e-6))))


def test_display_is_no_map():
    m = as_map(np.array([[[1, 2]], [[3, 6]]]))
    shown = normalise_for_display(m, "mean")
    assert shown.intensity.mean(["x", "y"]).values.tolist() == [1, 1]
    with pytest.raises(ValueError, match="a map needs the variable 'counts'"):
        correct_hydride(shown, 0.1)
    with pytest.raises(ValueError, match="by must be 'total' or 'mean', got 'max'"):
        normalise_for_display(m, "max")


def test_the_example_of_the_docs_runs(capsys):
    page = (Path(__file__).parents[2] / "docs" / "corrections.md").read_text(encoding="utf-8")
    code = page.split("```python\n")[1].split("```")[0]
    exec(code, {})
    fraction, systematic = map(float, capsys.readouterr().out.splitlines()[0].split())
    counting = np.sqrt(0.3 * 0.7 / (900 * 64 * 64))
    assert fraction == pytest.approx(0.30, abs=4 * np.hypot(systematic, counting))


class NotComputed:
    """A chunked array that fails when it is computed."""

    def __call__(self, _):
        raise AssertionError("computed")


def test_a_lazy_map_is_not_computed():
    import dask.array as da

    raw, _ = measured(4, frames=4, shape=(8, 8))
    calibration = calibrate(references(2))
    lazy = raw.chunk({"frame": 2})
    data = lazy.counts.data
    watched = data.map_blocks(NotComputed(), dtype=data.dtype, meta=np.empty((0,) * 4, data.dtype))
    done = corrected(lazy.assign(counts=(raw.counts.dims, watched)), calibration)
    assert isinstance(done.counts.data, da.Array)
    assert isinstance(done.variance.data, da.Array)
    with pytest.raises(AssertionError, match="computed"):
        done.compute()
    eager, fine = corrected(raw, calibration), corrected(lazy, calibration).compute()
    xr.testing.assert_allclose(fine, eager)

"""A forgotten or wrong correction shows; a right one does not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from lliso.maps.calibration import Reference, calibrate
from lliso.maps.check_corrections import check_corrections
from lliso.maps.corrections import correct_background, correct_fractionation, correct_hydride
from lliso.maps.dead_time import correct_dead_time
from lliso.maps.synthetic_detector import mass_effects
from lliso.maps.synthetic_parameters import Artefacts
from lliso.schema import make_map

EFFECTS = Artefacts(mass_fractionation=1.06, hydride=0.02, background=(3.0, 20.0))
BACKGROUND = {"6Li": 3.0, "7Li": 20.0}
SHOTS = 1600


def raw(c, seed, frames=1, n=800.0, size=128):
    """Single-stop counts of a map of one fraction and uneven yield: simulated."""
    rng = np.random.default_rng(seed)
    noise = gaussian_filter(rng.standard_normal((size, size)), 2)
    mean = mass_effects(
        n
        * np.exp(0.3 * noise / noise.std())
        * np.stack([c * np.ones_like(noise), (1 - c) * np.ones_like(noise)]),
        EFFECTS,
    )
    p = -np.expm1(-mean / SHOTS)[:, None]
    counts = rng.binomial(SHOTS // frames, np.repeat(p, frames, axis=1))
    axis = np.arange(size) * 1.0
    return make_map(
        counts if frames > 1 else counts[:, 0],
        ["6Li", "7Li"],
        x=axis,
        y=axis,
        attrs={"shots_per_pixel": SHOTS, "dead_time_corrected": "no"},
    )


@pytest.fixture(scope="module")
def areas():
    return [(raw(c, seed), c) for seed, c in ((11, 0.0759), (12, 0.95))]


def linear(ds, background=True):
    done = correct_dead_time(ds)
    return correct_background(done, BACKGROUND) if background else done


@pytest.fixture(scope="module")
def calibration(areas):
    return calibrate([Reference.from_map(linear(m), c) for m, c in areas])


def finish(ds, calibration, hydride=True):
    if not hydride:
        return correct_fractionation(ds, calibration.fractionation)
    return correct_fractionation(correct_hydride(ds, calibration), calibration)


def test_all_corrections_made_leaves_nothing_to_report(areas, calibration):
    done = finish(linear(raw(0.3, 1)), calibration)
    known = [(finish(linear(raw(c, 20 + i)), calibration), c) for i, (_, c) in enumerate(areas)]
    report = check_corrections(done, known)
    assert report.suspicious == (), str(report)
    assert "ok: steps: dead_time background hydride fractionation" in str(report)


def test_forgotten_dead_time(areas, calibration):
    report = check_corrections(raw(0.3, 1))
    assert {"rate", "dead time"} <= set(report.suspicious)
    assert "use correct_dead_time before everything else" in str(report)
    frames = check_corrections(raw(0.3, 1, frames=8))
    assert {"frames: 6Li", "frames: 7Li"} <= set(frames.suspicious)
    assert "less than Poisson" in str(frames)
    assert check_corrections(correct_dead_time(raw(0.3, 1, frames=8))).suspicious == ("dead time",)


def test_forgotten_background(areas, calibration):
    """C then depends on the yield, and the dark reference end is off."""
    done = finish(linear(raw(0.3, 1), background=False), calibration)
    known = [(finish(linear(m, background=False), calibration), c) for m, c in areas]
    report = check_corrections(done, known)
    assert {"dead time", "reference: reference 2"} <= set(report.suspicious)


@pytest.mark.parametrize("forgotten", ["hydride", "fractionation"])
def test_forgotten_hydride_or_fractionation_shows_in_the_references(areas, calibration, forgotten):
    def chain(m):
        if forgotten == "hydride":
            return finish(linear(m), calibration, hydride=False)
        return correct_hydride(linear(m), calibration)

    report = check_corrections(chain(raw(0.3, 1)), [(chain(m), c) for m, c in areas])
    assert any(name.startswith("reference") for name in report.suspicious)
    assert "dead time" not in report.suspicious


def test_too_much_background_and_saturation_are_said():
    ds = raw(0.3, 1, size=32)
    assert "negative on average" in str(check_corrections(correct_background(ds, {"6Li": 900.0})))
    few = correct_dead_time(ds.assign(counts=ds.counts.clip(max=550)), shots=550)
    assert "unknown pixels" in check_corrections(few).suspicious


def test_drift_scatters_the_frames():
    ds = raw(0.3, 1, frames=8)
    counts = np.stack([np.roll(ds.counts.values[:, f], f, axis=-1) for f in range(8)], axis=1)
    report = check_corrections(correct_dead_time(ds.assign(counts=(ds.counts.dims, counts))))
    assert "frames: 7Li" in report.suspicious
    assert "drift" in str(report)

"""Errors of the corrections go to the table apart, and P hardly feels them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lliso.fit.boundaries import fit_boundaries
from lliso.maps.carried import effective_counts
from lliso.maps.corrections import correct_background, correct_fractionation, correct_hydride
from lliso.maps.cuts import LineCut
from lliso.maps.dead_time import correct_dead_time
from lliso.maps.picks import BoundaryPick, Picks
from lliso.maps.synthetic_detector import mass_effects
from lliso.maps.synthetic_parameters import Artefacts
from lliso.schema import make_map

SHAPE, EDGE = (80, 40), 39.5
D_BULK = 2.6e-8


def fraction():
    y = np.arange(SHAPE[0])[:, None] * np.ones(SHAPE[1])
    return 0.3 - 1.1e-4 * (y - EDGE) - 0.02 * (y > EDGE)


def as_map(counts):
    return make_map(
        counts, ["6Li", "7Li"], x=np.arange(SHAPE[1]) * 1.0, y=np.arange(SHAPE[0]) * 1.0
    )


def table(ds, **options):
    cut = LineCut(name="a", start=(19.5, -0.5), end=(19.5, 79.5), width=40)
    pick = BoundaryPick(name="1", cut="a", position=40, window=(0, 80))
    picks = Picks(cuts=(cut,), boundaries=(pick,)).anchored_to(ds)
    return fit_boundaries(ds, picks, d_bulk=D_BULK, mean_slope=1.1, **options)


def without_noise(k=1.0, h=0.0):
    c = fraction()
    return as_map(
        mass_effects(1e9 * np.stack([c, 1 - c]), Artefacts(mass_fractionation=k, hydride=h))
    )


@pytest.mark.parametrize("method", ["patch", "profile"])
@pytest.mark.parametrize(("k", "h"), [(1.01, 0.0), (1.0, 0.01), (1.005, 0.01), (1.05, 0.01)])
def test_permeability_does_not_depend_on_fractionation_and_hydride(method, k, h):
    """At the slope and step of the 2024 paper, to 1e-5; step and slope by themselves change.

    What is left grows with K − 1: the slopes of the two sides then differ a little, and so do the
    weights that a binomial likelihood gives the sides.
    """
    true = table(without_noise(), method=method)
    off = table(without_noise(k, h), method=method)
    assert abs(float(off.step[0] / true.step[0]) - 1) > 3e-4
    p = [float(t.slope[0] / t.step[0]) for t in (off, true)]
    assert p[0] / p[1] == pytest.approx(1.0, abs=1e-5 if k < 1.02 else 4e-5)


def corrected(std=1.0, seed=1):
    rng = np.random.default_rng(seed)
    c = fraction()
    mean = mass_effects(
        900 * np.stack([c, 1 - c]),
        Artefacts(mass_fractionation=1.05, hydride=0.01, background=(0.5, 1.0)),
    )
    raw = as_map(rng.binomial(1700, -np.expm1(-mean / 1700)))
    ds = correct_dead_time(raw, shots=1700)
    ds = correct_background(ds, {"6Li": 0.5, "7Li": 1.0}, {"6Li": 0.05 * std, "7Li": 0.05 * std})
    return correct_fractionation(correct_hydride(ds, 0.01, 0.001 * std), 1.05, 0.01 * std)


def test_the_table_states_systematic_errors_apart():
    found = table(corrected())
    none = table(corrected(std=0.0))
    for name in ("step", "slope", "step_std", "slope_std", "permeability_low"):
        assert float(found[name][0]) == pytest.approx(float(none[name][0]), rel=1e-9)
    # the step scales with K: d ln(step)/dK = (2 C - 1)/K, and K is known to 0.01
    relative = float(found.step_systematic_std[0] / abs(found.step[0]))
    assert relative == pytest.approx(0.01 * (1 - 2 * 0.29) / 1.05, rel=0.3)
    assert float(found.permeability_systematic_rel[0]) < 1e-2 * relative + 1e-3
    assert float(none.step_systematic_std[0]) == 0
    parts = {p["name"]: p for p in json.loads(found.attrs["systematic"])}
    assert 1 - parts["calibration"]["low"] < 2e-3
    assert "step_systematic_std" not in table(without_noise())


def test_effective_counts_carry_the_information_of_corrected_ones():
    """Pulls of fitted steps over draws have unit width; plain counts would promise too much."""
    pulls, chi2 = [], []
    for seed in range(24):
        t = table(corrected(std=0.0, seed=seed))
        pulls.append(float((t.step[0] + 0.02) / t.step_std[0]))
        chi2.append(float(t.chi2_red[0]))
    assert np.mean(chi2) == pytest.approx(1.0, abs=4 * np.sqrt(2 / 2900 / 24))
    assert np.std(pulls) == pytest.approx(1.0, abs=4 / np.sqrt(48))
    assert abs(np.mean(pulls)) < 4 / np.sqrt(24)
    plain = [
        float(table(corrected(std=0.0, seed=i).drop_vars(["variance", "covariance"])).chi2_red[0])
        for i in range(6)
    ]
    assert np.mean(plain) > 1 + 4 * np.sqrt(2 / 2900 / 6)


def test_effective_number_is_that_of_the_variance_of_c():
    ds = corrected()
    light, total = effective_counts(ds)
    n6, n7 = ds.counts.values
    v6, v7 = ds.variance.values
    c = n6.sum() / (n6 + n7).sum()
    raw = (1 - c) ** 2 * v6.sum() + c**2 * v7.sum() - 2 * c * (1 - c) * ds.covariance.values.sum()
    assert total.sum() == pytest.approx(c * (1 - c) * (n6 + n7).sum() ** 2 / raw, rel=2e-3)
    assert np.allclose(light / total, n6 / (n6 + n7))

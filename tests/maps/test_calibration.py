"""K and h from references."""

from __future__ import annotations

import numpy as np
import pytest

from lliso.maps.calibration import Reference, calibrate
from lliso.maps.synthetic_detector import mass_effects
from lliso.maps.synthetic_parameters import Artefacts
from lliso.schema import make_map

K, H = 0.93, 0.012
EFFECTS = Artefacts(hydride=H, mass_fractionation=K)


def draw(rng, c, n=3e6):
    m6, m7 = rng.poisson(mass_effects(n * np.array([c, 1 - c]), EFFECTS))
    return Reference(m6, m7, c)


def test_two_references_give_both_with_their_covariance():
    rng = np.random.default_rng(1)
    found = [calibrate([draw(rng, 0.0759), draw(rng, 0.95)]) for _ in range(400)]
    values = np.array([[f.fractionation, f.hydride] for f in found])
    stated = np.array(found[0].covariance)
    scatter = np.cov(values.T)
    assert values.mean(axis=0) == pytest.approx([K, H], abs=4 * np.sqrt(scatter[0, 0] / 400))
    assert np.allclose(np.sqrt(np.diag(scatter)), np.sqrt(np.diag(stated)), rtol=0.15)
    correlation = [c[0, 1] / np.sqrt(c[0, 0] * c[1, 1]) for c in (scatter, stated)]
    assert correlation[0] == pytest.approx(correlation[1], abs=0.15)


def test_one_reference_needs_h_and_takes_its_error():
    exact = mass_effects(1e9 * np.array([0.0759, 1 - 0.0759]), EFFECTS)
    reference = Reference(exact[0], exact[1], 0.0759)
    found = calibrate([reference], hydride=H, hydride_std=0.002)
    assert found.fractionation == pytest.approx(K, rel=1e-9)
    shifted = calibrate([reference], hydride=H + 0.002, hydride_std=0.002)
    change = shifted.fractionation - found.fractionation
    assert found.covariance[0][1] / 0.002 == pytest.approx(change, rel=0.01)


def test_error_of_the_known_fraction_counts():
    exact = mass_effects(1e12 * np.array([0.0759, 1 - 0.0759]), EFFECTS)
    found = calibrate([Reference(*exact, 0.0759, 0.0002)])
    change = 0.0002 / (0.0759 * (1 - 0.0759))
    assert found.fractionation_std / found.fractionation == pytest.approx(change, rel=0.02)


def test_three_references_that_disagree_show_in_chi2():
    good = [
        Reference(*mass_effects(1e7 * np.array([c, 1 - c]), EFFECTS), c) for c in (0.08, 0.5, 0.95)
    ]
    assert calibrate(good).chi2 == pytest.approx(0, abs=1e-9)
    bad = [*good[:2], Reference(good[2].n_light * 1.01, good[2].n_heavy * 1.1, 0.95)]
    assert calibrate(bad).chi2 > 10  # p = 0.002
    assert calibrate(bad).dof == 1


def test_bad_references_are_refused():
    with pytest.raises(ValueError, match="at least one reference of known fraction, got none"):
        calibrate([])
    with pytest.raises(ValueError, match="two references must differ in their fraction"):
        calibrate([Reference(10, 90, 0.1), Reference(20, 180, 0.1)])
    with pytest.raises(ValueError, match="ref must hold counts of both isotopes, got 0 and 9"):
        Reference(0, 9, 0.1, name="ref")
    with pytest.raises(ValueError, match="fraction of reference must be between 0 and 1, got 1"):
        Reference(9, 9, 1.0)
    with pytest.raises(ValueError, match="must come out positive, got 1/K = -"):
        calibrate([Reference(90, 10, 0.1), Reference(10, 90, 0.9)])


def test_reference_from_part_of_a_map():
    counts = np.arange(24).reshape(2, 3, 4)
    m = make_map(counts, ["6Li", "7Li"], x=np.arange(4.0), y=np.arange(3.0))
    reference = Reference.from_map(m.sel(y=slice(1, 2)), 0.3)
    assert reference.n_light == counts[0, 1:].sum()
    assert reference.relative_variance == pytest.approx(
        1 / counts[0, 1:].sum() + 1 / counts[1, 1:].sum()
    )

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lliso.diffusion.exchange import exchange_profile
from lliso.maps.synthetic_profiles import (
    LineAnalysis,
    TransportLaw,
    simulate_arrhenius,
    simulate_line_analysis,
    true_profiles,
)

CLEAN = LineAnalysis(local_spread=0.0)


def test_exchange_stage_is_erfc_averaged_over_the_box() -> None:
    _, truth = simulate_line_analysis(CLEAN, 1)
    x = truth["distance"].values
    far = x > 100.0
    exact = exchange_profile(x[far], 110 * 3600.0, 0.8, start=0.0759, source=0.95, exchange=np.inf)
    # the box of 50 µm adds width²/24 times the curvature
    assert truth["fraction"].values[0, far] == pytest.approx(exact, abs=2e-3)


def test_counts_follow_the_truth() -> None:
    profiles, truth = simulate_line_analysis(CLEAN, 1)
    for k, p in enumerate(profiles):
        n6, n7 = p["counts"].values.astype(float)
        n, c = n6 + n7, truth["fraction"].values[k]
        pulls = (n6 - n * c) / np.sqrt(n * c * (1 - c))
        assert np.mean(pulls**2) == pytest.approx(1.0, abs=4 * np.sqrt(2 / pulls.size))
        assert p.attrs["simulated"] == 1


def test_local_spread_widens_the_scatter() -> None:
    profiles, truth = simulate_line_analysis(replace(CLEAN, local_spread=0.02), 1)
    n6, n7 = profiles[0]["counts"].values.astype(float)
    c = truth["fraction"].values[0]
    scatter = n6 / (n6 + n7) - c
    steep = (c > 0.2) & (c < 0.8)
    assert scatter[steep].std() > 2.0 * np.sqrt(0.25 / 50_000)


def test_lithium_is_conserved_in_storage() -> None:
    x = np.linspace(*CLEAN.ends, 20_001)
    amounts = [np.trapezoid(f(x), x) for f in true_profiles(CLEAN)]
    assert amounts[1:] == pytest.approx([amounts[0]] * 2, rel=1e-6)


def test_level_and_barrier_shift_the_profile() -> None:
    at = np.array([500.0])
    base = true_profiles(CLEAN)[0](at)[0]
    assert true_profiles(replace(CLEAN, level=200.0))[0](at)[0] > base
    assert true_profiles(replace(CLEAN, surface_exchange=1e-8))[0](at)[0] < base


def test_arrhenius_set_of_the_paper() -> None:
    """l P = 0.048 exp(-0.43 eV/kT) is 2.18e-9 at 22 °C, and the Haven ratio comes back."""
    law = TransportLaw()
    t = np.array([295.15, 373.15, 473.15, 673.15])
    assert law.boundary(t)[0] == pytest.approx(2.18e-9, rel=0.02)
    assert law.d_bulk(t)[0] == pytest.approx(2.6e-8, rel=0.02)
    d_sigma = law.sigma_total(t) * 8.617333e-5 * t / (5.0e21 * 1.602176634e-19)
    charge = 1.0 / (1.0 / d_sigma - 1.0 / law.d_bulk(t))
    tracer = 1.0 / (1.0 / law.d_eff(t) - 1.0 / law.d_bulk(t))
    assert tracer / charge == pytest.approx(0.24, rel=1e-6)


def test_arrhenius_errors_and_exact_values() -> None:
    t = list(np.linspace(295.0, 700.0, 400))
    measured, truth = simulate_arrhenius(TransportLaw(), t, 2)
    scatter = np.log(measured["d_eff"] / truth["d_eff"]).std().item()
    assert scatter == pytest.approx(0.08, rel=4 / np.sqrt(2 * 400))
    exact, _ = simulate_arrhenius(
        TransportLaw(errors={"d_eff": 0.0, "d_bulk": 0.0, "sigma": 0.0}), t, 2
    )
    assert exact["sigma_total"].values == pytest.approx(truth["sigma_total"].values)


def test_stages_may_be_typed_with_units() -> None:
    typed = LineAnalysis(stages=(("3e-9 cm^2/s", "14 d"),))
    assert typed.stages[0] == (3e-9, 14 * 86400.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LineAnalysis(d_exchange=-1.0), "d_exchange must be positive"),
        (lambda: LineAnalysis(exchange="3 um"), "another dimension"),
        (lambda: LineAnalysis(stages=((1e-9, -5.0),)), "stages must have"),
        (lambda: LineAnalysis(stages=(("3e-9 cm/s", "14 d"),)), "D of a stage must have a unit"),
        (lambda: LineAnalysis(immersed=20_000.0), "longer than its immersed part"),
        (lambda: LineAnalysis(first=-990.0), "points must lie in the bar"),
        (lambda: simulate_arrhenius(TransportLaw(), [-3.0], 1), "temperatures must be positive"),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]

"""Boundary part, Haven ratio and quench check on simulated sets of the paper's parameters."""

import numpy as np
import pytest
from scipy.stats import binom

import lliso
from lliso.errors import LlisoWarning
from lliso.fit.arrhenius import fit_arrhenius
from lliso.fit.boundary_law import fit_boundary_law
from lliso.fit.transport import (
    boundary_part,
    haven_ratio,
    haven_ratio_points,
    nernst_einstein,
    quench_check,
)
from lliso.maps.synthetic_profiles import TransportLaw, simulate_arrhenius

T = np.array([22.0, 50, 75, 100, 150, 200, 250, 300, 350, 400]) + 273.15
EXACT = TransportLaw(errors={"d_eff": 0.0, "d_bulk": 0.0, "sigma": 0.0})


def test_exact_data_give_the_laws_that_were_put_in():
    truth = simulate_arrhenius(EXACT, list(T), seed=1)[1]
    t = truth.temperature.values
    total, _ = nernst_einstein(t, truth.sigma_total, density=5e21)
    grain, _ = nernst_einstein(t, truth.sigma_bulk, density=5e21)
    tracer = fit_arrhenius(t, boundary_part(t, truth.d_eff, truth.d_bulk).boundary)
    charge = fit_arrhenius(t, boundary_part(t, total, grain).boundary)
    assert (tracer.energy, charge.energy) == pytest.approx((0.43, 0.43), abs=1e-9)
    assert tracer.prefactor == pytest.approx(0.048, rel=1e-9)
    found = haven_ratio(tracer, charge, [295.15, 400.0])
    assert found.from_prefactors == pytest.approx(0.24, rel=1e-9)
    np.testing.assert_allclose(found.ratio, 0.24, rtol=1e-9)


def test_coverage_and_bias_of_the_paper_chain_over_400_repeats():
    """Noise of 8, 10 and 4 %, all ten temperatures: E_a, ln D₀ and the Haven ratio."""
    n, pulls = 400, []
    for seed in range(n):
        m = simulate_arrhenius(TransportLaw(), list(T), seed=seed)[0]
        sigma = {
            k: nernst_einstein(T, m[f"sigma_{k}"], m[f"sigma_{k}_std"], density=5e21)
            for k in ("total", "bulk")
        }
        tracer = fit_boundary_law(T, m.d_eff, m.d_bulk, m.d_eff_std, m.d_bulk_std)
        (total, total_std), (grain, grain_std) = sigma["total"], sigma["bulk"]
        charge = fit_boundary_law(T, total, grain, total_std, grain_std)
        h = haven_ratio(tracer, charge)
        prefactors = np.log(tracer.prefactor / 0.048), np.log(charge.prefactor / 0.2)
        pulls.append(
            (
                (tracer.energy - 0.43) / tracer.energy_std,
                (charge.energy - 0.43) / charge.energy_std,
                prefactors[0] / tracer.log_prefactor_std,
                prefactors[1] / charge.log_prefactor_std,
                np.log(float(h.ratio) / 0.24) / float(h.ratio_std / h.ratio),
            )
        )
    pulls = np.array(pulls)
    assert np.all(np.abs(pulls.mean(axis=0)) < 0.1)
    for hits, level in (
        (np.sum(np.abs(pulls) < 1, axis=0), 0.6827),
        (np.sum(np.abs(pulls) < 1.96, axis=0), 0.95),
    ):
        low, high = binom.interval(0.999, n, level)
        assert np.all((low <= hits) & (hits <= high))


def test_what_the_boundary_part_says_where_it_cannot_be_had():
    found = boundary_part(
        [300.0, 500.0, 600.0],
        [2e-9, 6.0e-6, 9e-6],
        [2.6e-8, 6.1e-6, 6e-6],
        [2e-10, 5e-7, 3e-7],
        3e-7,
    )
    assert found.verdict.values.tolist()[1:] == ["lower_limit", "negative"]
    assert np.isnan(found.boundary.values[1:]).all()
    assert found.boundary_low.values[1] > 0
    assert found.boundary_high.values[1] == np.inf
    assert np.isnan(found.boundary_low.values[2])


def test_limits_are_normal_in_the_resistance():
    found = boundary_part([300.0], [2e-9], [2.6e-8], [1e-10], level=0.6827)
    r, std = 1 / 2e-9 - 1 / 2.6e-8, 1e-10 / 2e-9**2
    assert float(found.boundary_low[0]) == pytest.approx(1 / (r + std), rel=1e-4)
    assert float(found.boundary_high[0]) == pytest.approx(1 / (r - std), rel=1e-4)


def test_ten_mev_change_the_haven_ratio_1_48_fold_at_22_celsius():
    t = T[:5]

    def law(energy):
        return 0.048 * np.exp(-energy / (8.617333262e-5 * t))

    fits = [fit_arrhenius(t, law(e), 0.05 * law(e)) for e in (0.43, 0.44)]
    found = haven_ratio(*fits)
    assert float(found.factor_per_10_mev) == pytest.approx(1.48, abs=0.005)
    assert float(found.ratio) == pytest.approx(float(found.factor_per_10_mev), rel=1e-9)
    assert found.from_prefactors == pytest.approx(1.0, rel=1e-9)
    assert found.energies_equal  # the errors of these fits are larger than 10 meV
    assert "10 meV change it 1.48-fold" in str(found)


def test_the_haven_ratio_at_each_temperature():
    found = haven_ratio_points([300.0, 400.0], [2.4e-9, np.nan], [1e-8, 2e-8], 2.4e-10, 1e-9)
    assert found.ratio.values[0] == pytest.approx(0.24)
    assert found.ratio_std.values[0] == pytest.approx(0.24 * np.hypot(0.1, 0.1))
    assert np.isnan(found.ratio.values[1])
    with pytest.raises(ValueError, match="tracer and charge must be positive"):
        haven_ratio_points([300.0], [-1.0], [1.0])


def test_laws_of_different_units_have_no_ratio():
    d = fit_arrhenius([300.0, 400.0, 500.0], [1.0, 2.0, 3.0])
    s = fit_arrhenius([300.0, 400.0, 500.0], [1.0, 2.0, 3.0], unit="S/cm")
    with pytest.raises(ValueError, match="must have one unit, got cm2/s and S/cm"):
        haven_ratio(d, s)


def test_the_quench_of_the_paper_is_fine_for_d_eff_and_not_inside_the_grains():
    measured, _ = simulate_arrhenius(TransportLaw(), list(T), seed=2)
    low = T < 460
    laws = {
        name: fit_arrhenius(T[low], measured[name].values[low], measured[f"{name}_std"].values[low])
        for name in ("d_eff", "d_bulk")
    }
    assert quench_check({"d_eff": laws["d_eff"]}).ok
    with pytest.warns(
        LlisoWarning, match="of d_bulk is .* not safely below the resolution of 1 µm"
    ):
        found = quench_check(laws)
    assert not found.ok
    value, least, most = found.length["d_bulk"]
    assert least < value < most
    # PHYSICS: 1 to 4 µm for an activation energy of the bulk of 0.28 to 0.36 eV
    for energy, expected in ((0.28, 4.0), (0.36, 1.1)):
        d = 2.6e-8 * np.exp(-energy / 8.617333262e-5 * (1 / 163.15 - 1 / 295.15))
        length = quench_check({"d_bulk": d}, warn=False).length["d_bulk"][0]
        assert length == pytest.approx(expected, rel=0.15)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="conductivity must be positive, got 0 S/cm"):
        nernst_einstein(300.0, 0.0, density=1e21)
    with pytest.raises(ValueError, match="density must be positive, got 0"):
        nernst_einstein(300.0, 1.0, density=0)
    with pytest.raises(ValueError, match="one per temperature"):
        boundary_part([300.0, 400.0], [1.0, 1.0, 1.0], [2.0, 2.0])
    with pytest.raises(ValueError, match="D of 'd_eff' must be positive, got 0 cm2/s"):
        quench_check({"d_eff": 0.0})
    with pytest.raises(ValueError, match="needs a law, a time and a resolution"):
        quench_check({}, resolution=1.0)


def test_the_public_names_are_these_functions():
    assert lliso.boundary_part is boundary_part
    assert lliso.haven_ratio is haven_ratio
    assert lliso.nernst_einstein is nernst_einstein
    assert lliso.quench_check is quench_check

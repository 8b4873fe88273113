"""Arrhenius, Nernst–Einstein, the boundary part and the quench length as formulas."""

import numpy as np
import pytest
from scipy import constants

from lliso.diffusion.transport import (
    BOLTZMANN,
    CHARGE,
    arrhenius,
    boundary_part,
    nernst_einstein,
    quench_length,
)


def test_the_constants_are_those_of_codata():
    assert pytest.approx(constants.e, rel=1e-15) == CHARGE
    assert pytest.approx(constants.k / constants.e, rel=1e-9) == BOLTZMANN


def test_nernst_einstein_in_si_units():
    sigma, t, n = 1e-3, 300.15, 5.0e21
    si = sigma * 100 * constants.k * t / (n * 1e6 * constants.e**2)  # m²/s
    assert nernst_einstein(sigma, t, n) == pytest.approx(si * 1e4, rel=1e-9)
    assert nernst_einstein(sigma, t, n, valence=2) == pytest.approx(si * 1e4 / 4, rel=1e-9)


def test_the_boundary_part_undoes_the_series_model():
    bulk, across = np.array([2.6e-8, 6e-6]), np.array([2.2e-9, 3e-5])
    value, resistance, std = boundary_part(1 / (1 / bulk + 1 / across), bulk)
    np.testing.assert_allclose(value, across, rtol=1e-12)
    np.testing.assert_allclose(resistance, 1 / across, rtol=1e-12)
    assert np.all(std == 0)


def test_the_error_of_the_resistance_against_simulated_errors(rng):
    total = 2.0e-9 * (1 + 1e-3 * rng.standard_normal(200_000))
    bulk = 2.6e-8 * (1 + 3e-3 * rng.standard_normal(200_000))
    value, _, _ = boundary_part(total, bulk)
    one, r, std = boundary_part(2.0e-9, 2.6e-8, 2.0e-12, 7.8e-11)
    assert np.std(value) == pytest.approx(float(one * std / r), rel=0.01)


def test_no_boundary_part_where_d_eff_is_not_below_d_bulk():
    value, resistance, _ = boundary_part([2e-8, 2e-8], [2e-8, 1e-8])
    assert np.isnan(value).all()
    assert resistance[0] == 0
    assert resistance[1] < 0
    with pytest.raises(ValueError, match="d_eff must be positive, got 0 cm2/s"):
        boundary_part(0.0, 1.0)
    with pytest.raises(ValueError, match="standard errors must not be negative"):
        boundary_part(1.0, 2.0, -0.1)


def test_the_papers_quench_length():
    assert quench_length(1e-14, 5 * 3600) * 1e4 == pytest.approx(0.19, abs=0.005)


def test_arrhenius_broadcasts():
    found = arrhenius(np.array([300.0, 400.0]), np.log(0.1), [[0.3], [0.4]])
    assert found.shape == (2, 2)
    np.testing.assert_allclose(found[1, 0], 0.1 * np.exp(-0.4 / (BOLTZMANN * 300)), rtol=1e-13)

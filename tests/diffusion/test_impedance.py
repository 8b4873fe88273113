"""The circuit against impedance.py and its limits."""

import numpy as np
import pytest

from lliso.diffusion.impedance import arc, capacitance, polycrystal_impedance

F = np.geomspace(1e-1, 1e9, 61)


def test_the_circuit_is_that_of_impedance_py():
    circuits = pytest.importorskip("impedance.models.circuits")
    values = [200.0, 1e-11, 0.95, 1800.0, 1e-8, 0.9, 1e-5, 0.8]
    circuit = circuits.CustomCircuit("p(R0,CPE0)-p(R1,CPE1)-CPE2", initial_guess=values)
    circuit.parameters_ = np.array(values)
    expected = circuit.predict(F)
    found = polycrystal_impedance(F, 200.0, 1800.0, 1e-8, 0.9, 1e-11, 0.95, 1e-5, 0.8)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_an_ideal_arc_is_a_half_circle():
    z = arc(F, 100.0, 1e-9, 1.0)
    np.testing.assert_allclose(np.abs(z - 50.0), 50.0, rtol=1e-12)
    top = np.argmin(z.imag)
    assert F[top] == pytest.approx(1 / (2 * np.pi * 100.0 * 1e-9), rel=0.3)


def test_absent_elements_and_the_leads():
    z = polycrystal_impedance([1e-3], 100.0, 900.0, 1e-8)
    assert z[0] == pytest.approx(1000.0, rel=1e-6)
    coil = polycrystal_impedance([1e6], 100.0, 900.0, 1e-3, inductance=1e-6)
    assert coil[0].imag == pytest.approx(2 * np.pi, rel=1e-4)
    assert capacitance(1e4, 2e-9, 0.8) == pytest.approx((1e4**0.2 * 2e-9) ** 1.25)

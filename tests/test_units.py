"""Quantities as people type them, and what is refused."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lliso.units import (
    CONDUCTIVITY,
    DIFFUSION,
    ENERGY,
    GRADIENT,
    LENGTH,
    PERMEABILITY,
    TEMPERATURE,
    TIME,
    parse_quantity,
)

DAY, HOUR, WEEK = 24 * 3600.0, 3600.0, 7 * 24 * 3600.0
ZERO_CELSIUS = 273.15


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("16 d", TIME, 16 * DAY),
        ("16d", TIME, 16 * DAY),
        (" 59  h ", TIME, 59 * HOUR),
        ("59 hours", TIME, 59 * HOUR),
        ("2 weeks", TIME, 2 * WEEK),
        ("16 d", "d", 16.0),
        ("22 °C", TEMPERATURE, ZERO_CELSIUS + 22),
        ("22°C", TEMPERATURE, ZERO_CELSIUS + 22),
        ("22 ℃", TEMPERATURE, ZERO_CELSIUS + 22),
        ("22 degC", TEMPERATURE, ZERO_CELSIUS + 22),
        ("-110 °C", TEMPERATURE, ZERO_CELSIUS - 110),
        ("−110 °C", TEMPERATURE, ZERO_CELSIUS - 110),
        ("295 K", TEMPERATURE, 295.0),
        ("2.6e-8 cm^2/s", DIFFUSION, 2.6e-8),
        ("2.6e-8 cm2/s", DIFFUSION, 2.6e-8),
        ("2.6e-8 cm²/s", DIFFUSION, 2.6e-8),
        ("2.6e-8 cm² / s", DIFFUSION, 2.6e-8),
        ("2.6e-8 cm²·s⁻¹", DIFFUSION, 2.6e-8),
        ("2.6e-8 cm2 s-1", DIFFUSION, 2.6e-8),
        ("2.6E-8 cm**2/s", DIFFUSION, 2.6e-8),
        ("2.6×10⁻⁸ cm²/s", DIFFUSION, 2.6e-8),
        ("2.6e-12 m2/s", DIFFUSION, 2.6e-8),
        ("2.6 µm²/s", DIFFUSION, 2.6e-8),
        ("1.4e-6 cm/s", PERMEABILITY, 1.4e-6),
        ("14 nm/s", PERMEABILITY, 1.4e-6),
        ("1.1 1/cm", GRADIENT, 1.1),
        ("1.1 /cm", GRADIENT, 1.1),
        ("1.1 cm-1", GRADIENT, 1.1),
        ("1.1 cm⁻¹", GRADIENT, 1.1),
        ("16 um", LENGTH, 16.0),
        ("16 µm", LENGTH, 16.0),  # micro sign
        ("16 μm", LENGTH, 16.0),  # Greek mu
        ("500 nm", LENGTH, 0.5),
        ("5 Å", "nm", 0.5),
        ("0.43 eV", ENERGY, 0.43),
        ("430 meV", ENERGY, 0.43),
        ("1e-3 S/cm", CONDUCTIVITY, 1e-3),
        ("0.1 S/m", CONDUCTIVITY, 1e-3),
        ("12.5", LENGTH, 12.5),  # a bare number is in the convention's unit
    ],
)
def test_strings(text, unit, value):
    assert parse_quantity(text, unit) == pytest.approx(value, rel=1e-11)


@pytest.mark.parametrize(
    "value",
    [3, 3.0, np.float64(3), np.float32(3), np.int16(3), np.array(3.0), Fraction(3), "3"],
    ids=lambda v: type(v).__name__,
)
def test_numbers_of_every_kind(value):
    found = parse_quantity(value, LENGTH)
    assert found == 3.0
    assert type(found) is float


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_kept_to_the_last_bit(value):
    assert parse_quantity(value, DIFFUSION) == value
    assert parse_quantity(repr(value), DIFFUSION) == value


@given(st.floats(1e-12, 1e12))
def test_converting_there_and_back(value):
    in_metres = parse_quantity(f"{value!r} cm^2/s", "m^2/s")
    assert parse_quantity(f"{in_metres!r} m^2/s", DIFFUSION) == pytest.approx(value, rel=1e-11)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("16 um", TIME),
        ("2.6e-8 cm/s", DIFFUSION),
        ("59 h", LENGTH),
        ("5 %", TIME),
        ("3 kg", ENERGY),
    ],
)
def test_wrong_dimension(text, unit):
    pattern = rf"^d_bulk must have a unit like .*, got '{text}', which is of another dimension"
    with pytest.raises(ValueError, match=pattern):
        parse_quantity(text, unit, "d_bulk")


def test_wrong_dimension_shows_how_to_write_it():
    with pytest.raises(ValueError, match=r"write it as, for example, '2.6e-8 cm\^2/s'"):
        parse_quantity("16 um", DIFFUSION)


@pytest.mark.parametrize("text", ["", "  ", "abc", "5 parrots", "16 um um)", "5 d 3 h"])
def test_nonsense(text):
    with pytest.raises(ValueError, match=r"^t must be a quantity such as '59 h', got .* cannot be"):
        parse_quantity(text, TIME, "t")


@pytest.mark.parametrize("text", ["2,6e-8 cm^2/s", "2,6", "1,000 um"])
def test_a_decimal_comma_is_not_swallowed(text):
    with pytest.raises(ValueError, match="write the decimal sign as a point"):
        parse_quantity(text, DIFFUSION)


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, "nan", "inf s", "nan d", "1e400 s"]
)
def test_not_finite(value):
    with pytest.raises(ValueError, match=r"^t must be finite, got"):
        parse_quantity(value, TIME, "t")


@pytest.mark.parametrize("value", [True, np.True_, None, 1j, [1.0], np.array([1.0, 2.0])])
def test_wrong_kind(value):
    kind = type(value).__name__
    with pytest.raises(TypeError, match=f"^t must be a number or a string with a unit, got {kind}"):
        parse_quantity(value, TIME, "t")

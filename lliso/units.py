"""The unit convention, and the only place where units are converted.

Lengths are in µm, times in s, temperatures in K, diffusion coefficients in cm²/s, permeabilities
P = D_gb/δ in cm/s, gradients in 1/cm, activation energies in eV, conductivities in S/cm. Wherever
a person types a quantity, a string with its unit is accepted (`"16 d"`, `"22 °C"`,
`"2.6e-8 cm^2/s"`); a bare number is taken to be in the convention's unit.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any

UM_PER_CM = 1.0e4
CM_PER_NM = 1.0e-7

LENGTH = "um"
TIME = "s"
TEMPERATURE = "K"
DIFFUSION = "cm^2/s"
PERMEABILITY = "cm/s"
GRADIENT = "1/cm"
ENERGY = "eV"
CONDUCTIVITY = "S/cm"

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_EXAMPLES = {
    LENGTH: "16 um",
    TIME: "59 h",
    TEMPERATURE: "22 °C",
    DIFFUSION: "2.6e-8 cm^2/s",
    PERMEABILITY: "1.4e-6 cm/s",
    GRADIENT: "1.1 1/cm",
    ENERGY: "0.43 eV",
    CONDUCTIVITY: "1e-3 S/cm",
    "nm": "0.5 nm",
}


@lru_cache(maxsize=1)
def _registry() -> Any:
    import pint

    return pint.UnitRegistry(autoconvert_offset_to_baseunit=True)


def _spelled_for_pint(text: str) -> str:
    """Rewrite what people type (cm2/s, cm²/s, µm, °C) into what pint reads."""
    text = text.strip().replace("μ", "µ").replace("−", "-").replace("·", "*")
    text = text.replace("°C", "degC").replace("℃", "degC")
    text = re.sub(
        r"(?<=[A-Za-zµ])([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)", lambda m: "^" + m.group(1).translate(_SUPERSCRIPTS), text
    )
    text = re.sub(r"^(\S+)\s+/", r"\1 1/", text)  # "1.1 /cm"
    return re.sub(r"(?<![\w.])([A-Za-zµ]+)(-?[1-9])(?![\w.])", r"\1^\2", text)


def parse_quantity(value: float | str, unit: str, name: str = "value") -> float:
    """Read a number or a string with a unit, and return it in `unit`.

    Parameters
    ----------
    value : float or str
        A number (taken to be in `unit`) or a string such as ``"2.6e-8 cm^2/s"`` or ``"22 °C"``.
    unit : str
        The unit wanted, in pint's spelling, e.g. `lliso.units.DIFFUSION`.
    name : str
        What the quantity is called in an error message.

    Returns
    -------
    float
        The value in `unit`.

    Raises
    ------
    TypeError
        If `value` is neither a number nor a string.
    ValueError
        If the string cannot be read, or its unit has another dimension, or it is not finite.

    Examples
    --------
    >>> parse_quantity("16 d", "s")
    1382400.0
    >>> parse_quantity("2.6e-12 m2/s", "cm^2/s")
    2.6e-08
    >>> round(parse_quantity("22 °C", "K"), 2)
    295.15
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        kind = type(value).__name__
        try:
            # A truth value would turn into 0 or 1, and nobody means that as a quantity.
            value = float("" if kind.startswith("bool") else value)
        except (TypeError, ValueError):
            raise TypeError(
                f"{name} must be a number or a string with a unit, got {kind}"
            ) from None
    result = _parse_text(value, unit, name) if isinstance(value, str) else float(value)
    if not math.isfinite(result):
        raise ValueError(f"{name} must be finite, got {value}")
    return result


def _parse_text(text: str, unit: str, name: str) -> float:
    example = _EXAMPLES.get(unit, f"1 {unit}")
    try:
        return float(text)
    except ValueError:
        pass
    if "," in text:  # pint would take "2,6" for 26
        raise ValueError(
            f"{name} must be a quantity such as '{example}', got {text!r}; "
            "write the decimal sign as a point"
        )
    registry = _registry()
    spelled = _spelled_for_pint(text)
    number, _, rest = spelled.partition(" ")
    try:
        # An offset unit (°C) must be attached, not multiplied.
        quantity = (
            registry.Quantity(float(number), rest)
            if rest and _is_number(number)
            else registry.Quantity(spelled)
        )
    except Exception as err:  # pint raises a dozen kinds for text it cannot read
        raise ValueError(
            f"{name} must be a quantity such as '{example}', got {text!r}, which cannot be read"
        ) from err
    wanted = registry.Unit(unit)
    if quantity.dimensionality != wanted.dimensionality:
        raise ValueError(
            f"{name} must have a unit like {unit}, got {text!r}, which is of another dimension; "
            f"write it as, for example, '{example}'"
        )
    # pint's conversion factor carries its own rounding; 12 digits are more than anyone types.
    return float(f"{float(quantity.to(wanted).magnitude):.12g}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

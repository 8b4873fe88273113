"""What is not in the counting error of P, listed apart.

Systematic parts do not average out over boundaries as counting errors do, and are of one sign at
times, so they are never mixed into the intervals. The sizes for structure and dip were found in an
earlier, independent simulation study at the parameters of LLTO at 22 °C (16 and 34 µm grains) and
have not been repeated with lliso; another material wants its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lliso.diffusion.transport import BOLTZMANN
from lliso.units import TEMPERATURE, TIME, UM_PER_CM, parse_quantity


@dataclass(frozen=True)
class Systematic:
    """One systematic part of P.

    Attributes
    ----------
    name : str
        What it is.
    low, high : float
        The true P lies between `low` and `high` times the value in the table, as far as this part
        is concerned (one standard deviation where it has two sides).
    reason : str
        Why, in a sentence.
    """

    name: str
    low: float
    high: float
    reason: str


def structure(two_dimensional: bool = True) -> Systematic:
    """Return the part due to the field around a boundary not being one-dimensional.

    Parameters
    ----------
    two_dimensional : bool
        Whether the fit was on a patch (True) or on a profile.
    """
    spread = 0.18 if two_dimensional else 0.28
    return Systematic(
        "structure",
        math.exp(-spread),
        math.exp(spread),
        "grains are not flat plates: noise-free fits scatter this much around the truth",
    )


def dip(angle_deg: float | None = None) -> Systematic:
    """Return the part due to the boundary's inclination below the surface.

    Parameters
    ----------
    angle_deg : float, optional
        Angle between boundary plane and surface in degrees (90 is upright), if it is known; then
        the part is a factor, P = P_apparent · sin(dip).

    Raises
    ------
    ValueError
        If the angle is not within 0 to 90 degrees.

    Examples
    --------
    >>> round(dip(60).low, 3)
    0.866
    """
    if angle_deg is None:
        return Systematic(
            "dip",
            1 / 1.27,
            1 / 1.07,
            "an inclined boundary shows only part of its normal gradient at the surface; "
            "P reads 7 to 27 % high if the dip is unknown",
        )
    if not 0 < angle_deg <= 90:
        raise ValueError(f"the dip must be above 0 and up to 90 degrees, got {angle_deg:g}")
    factor = math.sin(math.radians(angle_deg))
    return Systematic("dip", factor, factor, f"P = P_apparent sin({angle_deg:g}°)")


def bulk(relative_std: float) -> Systematic:
    """Return the part due to D_bulk, which scales P.

    Parameters
    ----------
    relative_std : float
        Standard error of D_bulk over D_bulk; 0 if it is not known.
    """
    if relative_std == 0:
        return Systematic("D_bulk", 1.0, 1.0, "no error of D_bulk was given; P scales with it")
    return Systematic("D_bulk", 1 - relative_std, 1 + relative_std, "P is proportional to D_bulk")


def cold_relaxation(
    d_bulk: float | str,
    activation_energy_ev: float,
    reach_um: float,
    imaging_time: float | str = "6 h",
    imaging_temperature: float | str = "-110 °C",
    temperature: float | str = "22 °C",
    guard_um: float = 2.0,
) -> Systematic:
    """Return the part due to lithium still moving inside grains while the map is taken.

    Boundaries let nothing through at the cold, so that each grain by itself relaxes towards its
    mean: the slope at the boundary decays, the step hardly changes, P reads low.

    Parameters
    ----------
    d_bulk : float or str
        Diffusion coefficient inside the grains at `temperature` (cm²/s).
    activation_energy_ev : float
        Activation energy of bulk diffusion in eV.
    reach_um : float
        Length of the grain in µm.
    imaging_time, imaging_temperature : float or str
        How long, and how cold the sample is mapped.
    temperature : float or str
        Temperature of the exchange.
    guard_um : float
        Guard that the fit keeps off the boundaries in µm.

    Returns
    -------
    Systematic
        ``low`` is 1; ``high`` is by how much the true P may exceed the one in the table: the
        inverse of what is left of the slope of a straight line through the grain, guards left out.

    Raises
    ------
    ValueError
        If a quantity is not positive or of the wrong dimension.

    Examples
    --------
    >>> cold_relaxation("2.6e-8 cm^2/s", 0.40, 16.0).high < 1.01
    True
    >>> round(cold_relaxation("2.6e-8 cm^2/s", 0.28, 16.0).high, 1)
    1.2
    """
    d = parse_quantity(d_bulk, "cm^2/s", "d_bulk")
    seconds = parse_quantity(imaging_time, TIME, "imaging_time")
    cold = parse_quantity(imaging_temperature, TEMPERATURE, "imaging_temperature")
    warm = parse_quantity(temperature, TEMPERATURE, "temperature")
    for name, value in (("d_bulk", d), ("imaging_time", seconds), ("reach_um", reach_um)):
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {value:g}")
    if not (cold > 0 and warm > 0):
        raise ValueError(f"temperatures must be above 0 K, got {cold:g} and {warm:g} K")
    d_cold = d * math.exp(activation_energy_ev / BOLTZMANN * (1 / warm - 1 / cold))
    left = _slope_left(d_cold * UM_PER_CM**2 * seconds, reach_um, guard_um)
    length = math.sqrt(2 * d_cold * seconds) * UM_PER_CM
    return Systematic(
        "cold relaxation",
        1.0,
        1 / left if left > 1e-9 else math.inf,
        f"diffusion length during imaging inside grains: {length:.2g} µm",
    )


def _slope_left(diffused: float, length: float, guard: float) -> float:
    """Return what is left of a straight line's slope in a closed grain after D t = `diffused`.

    The line relaxes as a cosine series; its slope is read as a fit reads it, off the guards.
    """
    if not 0 < guard < length / 2:
        raise ValueError(f"the guard must be within half a grain of {length:g} um, got {guard:g}")
    x = np.linspace(guard, length - guard, 200)
    n = np.arange(1, 400, 2)[:, None]
    decay = np.exp(-((n * math.pi / length) ** 2) * diffused)
    relaxed = -np.sum(4 * length / (n * math.pi) ** 2 * np.cos(n * math.pi * x / length) * decay, 0)
    return float(np.polyfit(x, relaxed, 1)[0])


def calibration() -> Systematic:
    """Return the part due to mass fractionation and hydride: none, they scale slope and step."""
    return Systematic("calibration", 1.0, 1.0, "scales slope and step alike; C and D_eff do change")

r"""Diffusion, charge and temperature: Arrhenius, Nernst–Einstein, Haven ratio, boundary part.

Units are the field's here, because constants enter: K, eV, cm²/s, S/cm, 1/cm³.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lliso._types import FloatArray

#: Boltzmann's constant, eV/K
BOLTZMANN = 8.617333262e-5
#: elementary charge, C
CHARGE = 1.602176634e-19
#: °C to K
ZERO_CELSIUS = 273.15


def arrhenius(
    temperature: npt.ArrayLike, log_prefactor: npt.ArrayLike, energy: npt.ArrayLike
) -> FloatArray:
    r"""D = D₀ exp(−E_a/kT), by ln D₀.

    Parameters
    ----------
    temperature : array_like
        K.
    log_prefactor : array_like
        ln D₀, D₀ in the unit of the result.
    energy : array_like
        E_a in eV.

    Examples
    --------
    >>> f"{arrhenius(295.15, np.log(0.048), 0.43):.2e}"
    '2.18e-09'
    """
    beta = 1.0 / (BOLTZMANN * np.asarray(temperature, dtype=float))
    return np.asarray(np.exp(np.asarray(log_prefactor) - np.asarray(energy) * beta))


def nernst_einstein(
    conductivity: npt.ArrayLike, temperature: npt.ArrayLike, density: float, valence: int = 1
) -> FloatArray:
    r"""D_σ = σ kT/(n z² e²).

    Parameters
    ----------
    conductivity : array_like
        S/cm.
    temperature : array_like
        K.
    density : float
        Charge carriers n in 1/cm³.
    valence : int
        z.

    Returns
    -------
    numpy.ndarray
        cm²/s.

    Raises
    ------
    ValueError
        If temperature, density or valence are not positive.

    Examples
    --------
    >>> f"{nernst_einstein(1e-3, 300.15, 5.0e21):.2e}"
    '3.23e-08'
    """
    t = np.asarray(temperature, dtype=float)
    for name, value in (("temperature", t.min()), ("density", density), ("valence", valence)):
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {value:g}")
    kt = BOLTZMANN * t  # eV, so that one of the charges is in it
    return np.asarray(np.asarray(conductivity, dtype=float) * kt / (density * valence**2 * CHARGE))


def boundary_part(
    d_eff: npt.ArrayLike,
    d_bulk: npt.ArrayLike,
    d_eff_std: npt.ArrayLike = 0.0,
    d_bulk_std: npt.ArrayLike = 0.0,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    r"""Resistance of the boundaries in a measured total, and l P, by eq. (6).

    .. math:: r = \frac{1}{l P} = \frac{1}{D_\mathrm{eff}} - \frac{1}{D_\mathrm{bulk}}

    Parameters
    ----------
    d_eff, d_bulk : array_like
        Of the ceramic and of its grains, cm²/s.
    d_eff_std, d_bulk_std : array_like
        Their standard errors.

    Returns
    -------
    value : numpy.ndarray
        l P in cm²/s; NaN where D_eff is not below D_bulk.
    resistance, resistance_std : numpy.ndarray
        r and its standard error, s/cm². It is r that is close to normal, not l P.

    Raises
    ------
    ValueError
        If a diffusivity is not positive or an error negative.

    References
    ----------
    Eq. (6) of G. Hasegawa et al., J. Mater. Chem. A 12 (2024) 731.

    Examples
    --------
    >>> value, r, std = boundary_part(2.0e-9, 2.6e-8, 2e-10, 2e-9)
    >>> f"{value:.2e} ± {value * std / r:.1e}"
    '2.17e-09 ± 2.4e-10'
    """
    total, grain = np.asarray(d_eff, dtype=float), np.asarray(d_bulk, dtype=float)
    errors = np.asarray(d_eff_std, dtype=float), np.asarray(d_bulk_std, dtype=float)
    for name, value in (("d_eff", total), ("d_bulk", grain)):
        if np.any(value <= 0):
            raise ValueError(f"{name} must be positive, got {np.nanmin(value):g} cm2/s")
    if any(np.any(e < 0) for e in errors):
        raise ValueError("standard errors must not be negative")
    resistance = 1.0 / total - 1.0 / grain
    std = np.hypot(errors[0] / total**2, errors[1] / grain**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(resistance > 0, 1.0 / resistance, np.nan)
    return np.asarray(value), np.asarray(resistance), np.asarray(std)


def quench_length(diffusivity: npt.ArrayLike, time: npt.ArrayLike) -> FloatArray:
    """Diffusion length √(2Dt) while a map is taken.

    Examples
    --------
    >>> round(float(quench_length(1e-14, 5 * 3600)) * 1e4, 2)  # cm²/s, s; µm
    0.19
    """
    return np.asarray(np.sqrt(2.0 * np.asarray(diffusivity) * np.asarray(time)))

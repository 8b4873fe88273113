r"""From D_eff, D_bulk and conductivities to what boundaries do: l P, Haven ratio, quench check."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from lliso._types import FloatArray
from lliso.diffusion import transport
from lliso.diffusion.transport import BOLTZMANN, ZERO_CELSIUS, quench_length
from lliso.errors import LlisoWarning
from lliso.fit.activated import MEASURABLE, kelvin
from lliso.fit.arrhenius import ArrheniusFit
from lliso.units import LENGTH, TIME, UM_PER_CM, parse_quantity

#: difference of activation energies for which the caveat of a Haven ratio is given, eV
_SMALL_DIFFERENCE = 0.01


def nernst_einstein(
    temperature: Any, conductivity: Any, std: Any = 0.0, *, density: float, valence: int = 1
) -> tuple[FloatArray, FloatArray]:
    """D_σ of conductivities, with errors.

    Parameters
    ----------
    temperature : array_like
        K, or strings with a unit.
    conductivity, std : array_like
        S/cm.
    density : float
        Carriers n in 1/cm³; 5.0e21 for Li in LLTO.
    valence : int

    Returns
    -------
    d_sigma, d_sigma_std : numpy.ndarray
        cm²/s. An error of n would be common to all values and is not in it.

    Raises
    ------
    ValueError
        If a conductivity is not positive, or a temperature cannot be meant in K.

    Examples
    --------
    >>> d, _ = nernst_einstein("27 °C", 1e-3, density=5.0e21)
    >>> f"{d:.2e}"
    '3.23e-08'
    """
    sigma, error = np.asarray(conductivity, dtype=float), np.asarray(std, dtype=float)
    if not np.all(sigma > 0):
        raise ValueError(f"conductivity must be positive, got {np.min(sigma):g} S/cm")
    t = kelvin(temperature, coldest=MEASURABLE)
    value = transport.nernst_einstein(sigma, t, density, valence)
    return value, np.asarray(value * error / sigma)


def boundary_part(
    temperature: Any,
    d_eff: Any,
    d_bulk: Any,
    d_eff_std: Any = 0.0,
    d_bulk_std: Any = 0.0,
    *,
    level: float = 0.95,
) -> xr.Dataset:
    """Boundary part l P of a measured D_eff (or D_σ,total) by eq. (6).

    Parameters
    ----------
    temperature : array_like, shape (n,)
        K, or strings with a unit.
    d_eff, d_bulk, d_eff_std, d_bulk_std : array_like
        cm²/s.
    level : float
        Of the limits.

    Returns
    -------
    xarray.Dataset
        Along ``temperature``: ``boundary`` (l P, cm²/s), ``boundary_std`` (to first order),
        ``boundary_low``, ``boundary_high`` (from the normal limits of the resistance 1/(l P);
        inf where the resistance may be 0), ``resistance_share`` (of the boundaries), and
        ``verdict``: ``"measured"``, ``"lower_limit"`` (the resistance is not significant; the
        value is NaN) or ``"negative"`` (D_eff is significantly above D_bulk: the two are not of
        one material, or boundaries are fast).

    Raises
    ------
    ValueError
        If a diffusivity is not positive, an error negative, or shapes differ.

    References
    ----------
    Eq. (6) of G. Hasegawa et al., J. Mater. Chem. A 12 (2024) 731.

    Examples
    --------
    >>> found = boundary_part([295.15, 673.15], [2.0e-9, 6.3e-6], [2.6e-8, 6.4e-6], [2e-10, 5e-7],
    ...                       [2.6e-9, 6e-7])
    >>> [str(v) for v in found.verdict.values], f"{float(found.boundary[0]):.2e}"
    (['measured', 'lower_limit'], '2.17e-09')
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level:g}")
    t = np.atleast_1d(kelvin(temperature, coldest=MEASURABLE))
    given = [np.asarray(v, dtype=float) for v in (d_eff, d_bulk, d_eff_std, d_bulk_std)]
    try:
        given = [np.broadcast_to(v, t.shape) for v in given]
    except ValueError:
        shapes = [v.shape for v in given]
        raise ValueError(f"values must be one per temperature ({t.size}), got {shapes}") from None
    value, r, std = transport.boundary_part(*given)
    reach = float(stats.norm.ppf(0.5 + level / 2)) * std
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(r + reach > 0, 1.0 / (r + reach), np.nan)
        high = np.where(r - reach > 0, 1.0 / (r - reach), np.inf)
        error = np.where(r > 0, std / r**2, np.nan)
    measured = r > reach
    verdict = np.where(measured, "measured", np.where(r + reach > 0, "lower_limit", "negative"))
    high = np.where(verdict == "negative", np.nan, high)

    def column(values: FloatArray, unit: str = "cm2/s") -> tuple[str, FloatArray, dict[str, str]]:
        return "temperature", values, {"units": unit}

    return xr.Dataset(
        {
            "boundary": column(np.where(measured, value, np.nan)),
            "boundary_std": column(np.where(measured, error, np.nan)),
            "boundary_low": column(low),
            "boundary_high": column(high),
            "resistance_share": column(r * given[0], "1"),
            "verdict": ("temperature", verdict),
        },
        {"temperature": ("temperature", t, {"units": "K"})},
        {"level": level},
    )


@dataclass(frozen=True)
class HavenRatio:
    """H_R = D*/D_σ from two Arrhenius laws.

    Attributes
    ----------
    from_prefactors, from_prefactors_std : float
        Ratio of the D₀: the Haven ratio if the energies are equal.
    energy_difference, energy_difference_std : float
        E_a(tracer) − E_a(charge), eV.
    temperature : numpy.ndarray
        K.
    ratio, ratio_std : numpy.ndarray
        H_R at each temperature, by both laws with their own energies.
    factor_per_10_mev : numpy.ndarray
        By how much a difference of 0.01 eV changes H_R at each temperature, if the prefactors
        stay.
    energies_equal : bool
        Whether the difference is within two standard errors.
    """

    from_prefactors: float
    from_prefactors_std: float
    energy_difference: float
    energy_difference_std: float
    temperature: FloatArray
    ratio: FloatArray
    ratio_std: FloatArray
    factor_per_10_mev: FloatArray
    energies_equal: bool

    def __str__(self) -> str:
        """Return the ratio and its caveat in words."""
        t, factor = float(self.temperature.flat[0]), float(self.factor_per_10_mev.flat[0])
        equal = "agree" if self.energies_equal else "differ"
        return (
            f"H_R = {self.from_prefactors:.2g} ± {self.from_prefactors_std:.1g} from prefactors, "
            f"{float(self.ratio.flat[0]):.2g} ± {float(self.ratio_std.flat[0]):.1g} at "
            f"{t - ZERO_CELSIUS:.0f} °C; energies {equal} ({self.energy_difference * 1e3:+.0f} ± "
            f"{self.energy_difference_std * 1e3:.0f} meV), and 10 meV change it {factor:.2f}-fold"
        )


def haven_ratio(
    tracer: ArrheniusFit, charge: ArrheniusFit, temperature: Any = "22 °C"
) -> HavenRatio:
    """Haven ratio of two Arrhenius laws, from prefactors and at given temperatures.

    Parameters
    ----------
    tracer, charge : ArrheniusFit
        D* and D_σ (or their boundary parts l P), of independent errors.
    temperature : array_like
        K, or strings with a unit.

    Returns
    -------
    HavenRatio

    Raises
    ------
    ValueError
        If the two laws are not in one unit.

    Notes
    -----
    Prefactors are known worse than values within the range that was measured, and a difference of
    the energies ΔE, real or of chance, changes H_R at T by exp(ΔE/kT): prefer the ratio at T, or
    fit with one energy (`lliso.fit_arrhenius_shared`).

    Examples
    --------
    >>> from lliso.fit.arrhenius import fit_arrhenius
    >>> t = np.array([295.15, 373.15, 473.15])
    >>> law = lambda a: a * np.exp(-0.43 / (8.617333262e-5 * t))
    >>> h = haven_ratio(fit_arrhenius(t, law(0.048), 1e-10), fit_arrhenius(t, law(0.2), 1e-10))
    >>> round(float(h.from_prefactors), 6), round(float(h.factor_per_10_mev), 2)
    (0.24, 1.48)
    """
    if tracer.unit != charge.unit:
        raise ValueError(
            f"tracer and charge must have one unit, got {tracer.unit} and {charge.unit}"
        )
    t = kelvin(temperature)
    (ln_d, d_std), (ln_s, s_std) = tracer.log_value(t), charge.log_value(t)
    ratio = np.exp(ln_d - ln_s)
    plain = float(np.exp(tracer.log_prefactor - charge.log_prefactor))
    difference = tracer.energy - charge.energy
    std = float(np.hypot(tracer.energy_std, charge.energy_std))
    return HavenRatio(
        from_prefactors=plain,
        from_prefactors_std=plain
        * float(np.hypot(tracer.log_prefactor_std, charge.log_prefactor_std)),
        energy_difference=difference,
        energy_difference_std=std,
        temperature=t,
        ratio=np.asarray(ratio),
        ratio_std=np.asarray(ratio * np.hypot(d_std, s_std)),
        factor_per_10_mev=np.asarray(np.exp(_SMALL_DIFFERENCE / (BOLTZMANN * t))),
        energies_equal=bool(abs(difference) <= 2 * std),
    )


def haven_ratio_points(
    temperature: Any, tracer: Any, charge: Any, tracer_std: Any = 0.0, charge_std: Any = 0.0
) -> xr.Dataset:
    """Haven ratio D*/D_σ at every temperature at which both were measured.

    Parameters
    ----------
    temperature : array_like, shape (n,)
        K, or strings with a unit.
    tracer, charge, tracer_std, charge_std : array_like
        cm²/s; NaN where there is no value.

    Returns
    -------
    xarray.Dataset
        ``ratio``, ``ratio_std`` along ``temperature``.

    Examples
    --------
    >>> float(haven_ratio_points([295.15], [2.4e-9], [1e-8]).ratio[0])
    0.24
    """
    t = np.atleast_1d(kelvin(temperature, coldest=MEASURABLE))
    d, s = np.asarray(tracer, dtype=float), np.asarray(charge, dtype=float)
    if np.any(d <= 0) or np.any(s <= 0):
        raise ValueError("tracer and charge must be positive; NaN stands for no value")
    ratio = np.broadcast_to(d / s, t.shape)
    relative = np.hypot(np.asarray(tracer_std, dtype=float) / d, np.asarray(charge_std) / s)
    return xr.Dataset(
        {
            "ratio": ("temperature", ratio, {"units": "1"}),
            "ratio_std": ("temperature", ratio * relative, {"units": "1"}),
        },
        {"temperature": ("temperature", t, {"units": "K"})},
    )


@dataclass(frozen=True)
class QuenchCheck:
    """Whether the isotopes stood still while a map was taken.

    Attributes
    ----------
    temperature, time, resolution : float
        K, s, µm.
    length : dict of str to (float, float, float)
        Per law: √(2Dt) in µm, and its 95 % limits from the law's band; NaN limits for a single D.
    ok : bool
        All upper limits (or values) are below the resolution.
    text : str
        The finding in words.
    """

    temperature: float
    time: float
    resolution: float
    length: dict[str, tuple[float, float, float]]
    ok: bool
    text: str


def quench_check(
    laws: dict[str, ArrheniusFit | float],
    *,
    temperature: float | str = "-110 °C",
    time: float | str = "5 h",
    resolution: float | str = 1.0,
    warn: bool = True,
) -> QuenchCheck:
    """Compare √(2Dt) during imaging with the resolution, for D_eff and for D_bulk.

    Parameters
    ----------
    laws : dict of str to ArrheniusFit or float
        For example ``{"d_eff": fit, "d_bulk": fit}``; a number is D at the imaging temperature
        in cm²/s. Inside a grain it is D_bulk that counts.
    temperature, time : float or str
        Of imaging; K and s.
    resolution : float or str
        µm.
    warn : bool
        Issue a `LlisoWarning` too where a length exceeds the resolution.

    Returns
    -------
    QuenchCheck

    Raises
    ------
    ValueError
        If a quantity is not positive or there is no law.

    Examples
    --------
    >>> quench_check({"d_eff": 1e-14}).text
    'at -110 °C for 5 h: √(2Dt) of d_eff is 0.19 µm: below the resolution of 1 µm'
    """
    t = float(kelvin(temperature))
    seconds = parse_quantity(time, TIME, "time")
    pixel = parse_quantity(resolution, LENGTH, "resolution")
    if not (seconds > 0 and pixel > 0) or not laws:
        raise ValueError(
            f"quench_check needs a law, a time and a resolution above 0, got {len(laws)} laws, "
            f"{seconds:g} s and {pixel:g} um"
        )
    found = {}
    for name, law in laws.items():
        if isinstance(law, ArrheniusFit):
            band = law.predict([t])
            d = [float(band[k].values[0]) for k in ("value", "low", "high")]
        else:
            d = [float(law), float("nan"), float("nan")]
        if not d[0] > 0:
            raise ValueError(f"D of {name!r} must be positive, got {d[0]:g} cm2/s")
        value, low, high = (float(quench_length(v, seconds)) * UM_PER_CM for v in d)
        found[name] = (value, low, high)
    ok = all((high if np.isfinite(high) else value) < pixel for value, _, high in found.values())
    text = _quench_text(t, seconds, pixel, found, ok)
    if warn and not ok:
        warnings.warn(text, LlisoWarning, stacklevel=2)
    return QuenchCheck(t, seconds, pixel, found, ok, text)


def _quench_text(
    t: float, time: float, pixel: float, found: dict[str, tuple[float, float, float]], ok: bool
) -> str:
    each = []
    for name, (value, low, high) in found.items():
        limits = f" ({low:.2g} to {high:.2g})" if np.isfinite(high) else ""
        each.append(f"√(2Dt) of {name} is {value:.2g} µm{limits}")
    end = "below" if ok else "not safely below"
    where = f"at {t - ZERO_CELSIUS:.0f} °C for {time / 3600:.3g} h: "
    return f"{where}{', '.join(each)}: {end} the resolution of {pixel:g} µm"

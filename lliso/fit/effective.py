r"""D_eff that grains and boundaries predict, with its errors and the conditions it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lliso.diffusion.effective import (
    d_eff_brick_layer,
    d_eff_hart,
    d_eff_maxwell_garnett,
    d_eff_series,
    harmonic_factor,
)
from lliso.diffusion.regimes import Regime, classify
from lliso.units import CM_PER_NM, DIFFUSION, LENGTH, PERMEABILITY, TIME, UM_PER_CM, parse_quantity

_MODELS = {
    "series": d_eff_series,
    "brick_layer": d_eff_brick_layer,
    "maxwell_garnett": d_eff_maxwell_garnett,
    "hart": d_eff_hart,
}

#: what each flag means
FLAGS = {
    "few_grains": "diffusion has come less than five grain sizes far: no effective medium yet",
    "large_error": "the relative error exceeds a half: the interval is lognormal, not ±",
    "transparent": "boundaries make up less than 5 % of the resistance: D_eff says nothing of P",
    "unlike_models": "the models differ by more than a tenth",
}


@dataclass(frozen=True)
class EffectiveMedium:
    """A predicted D_eff.

    Attributes
    ----------
    model : str
    d_eff, d_eff_std : float
        cm²/s; the error from the errors of D_bulk, P and l, as means.
    d_eff_low, d_eff_high : float
        68 % limits, normal in ln D_eff.
    d_eff_spread : float
        How much D_eff would differ between chains of one grain size each, from the spread of l
        (and not an error: it does not fall with the number of grains); 0 if no spread was given.
    shares : dict of str to float
        Part of the variance of ln D_eff that each of ``d_bulk``, ``permeability``,
        ``grain_size`` brings (with a correlation, the first two hold half of it each).
    resistance_share : float
        Of the boundaries.
    regime : Regime
        With the models that do not hold and why.
    flags : tuple of str
        See `FLAGS`.
    """

    model: str
    d_eff: float
    d_eff_std: float
    d_eff_low: float
    d_eff_high: float
    d_eff_spread: float
    shares: dict[str, float]
    resistance_share: float
    regime: Regime
    flags: tuple[str, ...]


def effective_medium(
    *,
    d_bulk: float | str,
    permeability: float | str,
    grain_size: float | str,
    d_bulk_std: float | str = 0.0,
    permeability_std: float | str = 0.0,
    grain_size_std: float | str = 0.0,
    permeability_spread: float | str = 0.0,
    grain_size_spread: float | str = 0.0,
    correlation: float = 0.0,
    delta: float | str = "0.5 nm",
    time: float | str | None = None,
    model: str = "series",
) -> EffectiveMedium:
    r"""Predict D_eff of a ceramic from grains and boundaries.

    Parameters
    ----------
    d_bulk : float or str
        cm²/s.
    permeability : float or str
        Mean P = D_gb/δ in cm/s.
    grain_size : float or str
        Mean l in µm; from a map `lliso.diffusion.effective.grain_size_from_intercept`.
    d_bulk_std, permeability_std, grain_size_std : float or str
        Standard errors of these means.
    permeability_spread, grain_size_spread : float or str
        Standard deviations of the distributions. That of P (lognormal) enters the value, because
        boundaries in series go with ⟨1/P⟩ = (1 + (s/⟨P⟩)²)/⟨P⟩. That of l does not (⟨l⟩ is what
        counts); it gives ``d_eff_spread``.
    correlation : float
        Of the errors of D_bulk and P: 1 where P came from a map as D_bulk × slope/step with this
        D_bulk and its error is all that matters.
    delta : float or str
        Boundary thickness in nm (or with its unit).
    time : float or str, optional
        Duration of the diffusion, for the test of l against √(D_eff t).
    model : {"series", "brick_layer", "maxwell_garnett", "hart"}

    Returns
    -------
    EffectiveMedium

    Raises
    ------
    ValueError
        If a quantity is not positive, an error negative, or the model does not hold for these
        boundaries (Hart's for blocking ones, the series model for fast ones), with the reason. Too
        short a time is a flag, not an error.

    References
    ----------
    Eqs. (5), (6) of G. Hasegawa et al., J. Mater. Chem. A 12 (2024) 731.

    Examples
    --------
    >>> e = effective_medium(
    ...     d_bulk=2.8e-8, permeability=1.5e-6, grain_size=16, grain_size_spread=11)
    >>> f"{e.d_eff:.1e}, one chain and another differ by {e.d_eff_spread:.1e}"
    '2.2e-09, one chain and another differ by 1.4e-09'
    """
    if model not in _MODELS:
        raise ValueError(f"model must be one of {', '.join(_MODELS)}, got {model!r}")
    if not -1.0 <= correlation <= 1.0:
        raise ValueError(f"correlation must be between -1 and 1, got {correlation:g}")
    mean = {
        "d_bulk": _quantity(d_bulk, DIFFUSION, "d_bulk"),
        "permeability": _quantity(permeability, PERMEABILITY, "permeability"),
        "grain_size": _quantity(grain_size, LENGTH, "grain_size") / UM_PER_CM,
    }
    width = _quantity(delta, "nm", "delta") * CM_PER_NM
    errors = {
        "d_bulk": _error(d_bulk_std, DIFFUSION, "d_bulk_std"),
        "permeability": _error(permeability_std, PERMEABILITY, "permeability_std"),
        "grain_size": _error(grain_size_std, LENGTH, "grain_size_std") / UM_PER_CM,
    }
    relative = {name: errors[name] / mean[name] for name in mean}
    spread_p = _error(permeability_spread, PERMEABILITY, "permeability_spread")
    spread_l = _error(grain_size_spread, LENGTH, "grain_size_spread") / UM_PER_CM
    mean["permeability"] /= float(harmonic_factor(spread_p / mean["permeability"]))
    seconds = float("nan") if time is None else _quantity(time, TIME, "time")
    regime = classify(**mean, delta=width, time=seconds)
    classify(**mean, delta=width).check(model)  # whether it is long enough, is a flag
    value, slopes = _value(model, mean, width)
    parts = {name: slopes[name] * relative[name] for name in mean}
    cross = correlation * parts["d_bulk"] * parts["permeability"]
    variance = sum(p**2 for p in parts.values()) + 2 * cross
    shares = {name: p**2 + (cross if name != "grain_size" else 0.0) for name, p in parts.items()}
    log_std = float(np.sqrt(max(variance, 0.0)))
    return EffectiveMedium(
        model=model,
        d_eff=value,
        d_eff_std=value * log_std,
        d_eff_low=value * float(np.exp(-log_std)),
        d_eff_high=value * float(np.exp(log_std)),
        d_eff_spread=value * abs(slopes["grain_size"]) * spread_l / mean["grain_size"],
        shares={k: (v / variance if variance > 0 else 0.0) for k, v in shares.items()},
        resistance_share=regime.resistance_share,
        regime=regime,
        flags=_flags(regime, log_std, compare_models(mean, width)),
    )


def _value(model: str, mean: dict[str, float], width: float) -> tuple[float, dict[str, float]]:
    """D_eff, and d ln D_eff over d ln of each input (central differences, exact to 1e-9)."""
    function: Any = _MODELS[model]
    thickness = width if model != "series" else 0.0

    def log_value(name: str, step: float) -> float:
        at = {**mean, name: mean[name] * float(np.exp(step))}
        return float(np.log(function(**at, delta=thickness)))

    h = 1e-4
    if model == "hart":  # just above D_gb = D_bulk a step would leave its range
        slopes = {n: (log_value(n, 0.0) - log_value(n, -h if n == "d_bulk" else h)) for n in mean}
        slopes = {n: s / (h if n == "d_bulk" else -h) for n, s in slopes.items()}
    else:
        slopes = {n: (log_value(n, h) - log_value(n, -h)) / (2 * h) for n in mean}
    return float(function(**mean, delta=thickness)), slopes


def compare_models(mean: dict[str, float], width: float) -> dict[str, float]:
    """D_eff of every model that holds for these boundaries, cm²/s.

    Parameters
    ----------
    mean : dict of str to float
        ``d_bulk`` (cm²/s), ``permeability`` (cm/s), ``grain_size`` (cm).
    width : float
        δ in cm.

    Examples
    --------
    >>> mean = {"d_bulk": 2.6e-8, "permeability": 1.4e-6, "grain_size": 16e-4}
    >>> found = compare_models(mean, 5e-8)
    >>> {k: f"{v:.3e}" for k, v in found.items()}
    {'series': '2.062e-09', 'brick_layer': '2.062e-09', 'maxwell_garnett': '2.062e-09'}
    """
    refused = classify(**mean, delta=width).refused
    out = {}
    for name, function in _MODELS.items():
        if name not in refused:
            out[name] = float(function(**mean, delta=width if name != "series" else 0.0))
    return out


def _flags(regime: Regime, log_std: float, models: dict[str, float]) -> tuple[str, ...]:
    found = {
        "few_grains": regime.reach < 5.0,
        "large_error": log_std > 0.5,
        "transparent": regime.kind == "transparent",
        "unlike_models": max(models.values()) > 1.1 * min(models.values()),
    }
    return tuple(name for name, there in found.items() if there)


def _quantity(value: float | str, unit: str, name: str) -> float:
    number = parse_quantity(value, unit, name)
    if not number > 0:
        raise ValueError(f"{name} must be positive, got {number:g} {unit}")
    return number


def _error(value: float | str, unit: str, name: str) -> float:
    number = parse_quantity(value, unit, name)
    if number < 0:
        raise ValueError(f"{name} must not be negative, got {number:g} {unit}")
    return number

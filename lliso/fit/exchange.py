"""D_eff from long-range profiles taken after an exchange: erfc, or with a surface barrier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from lliso.fit.curve import CurveFit, fit_curve
from lliso.fit.exchange_curve import (
    ExchangeCurve,
    Instrument,
    exchange_curve,
    parse_spread,
    parse_times,
    profile_noise,
    source_fraction,
)
from lliso.fit.immersed import fit_step
from lliso.fit.parameters import FREE, Choice, Layout
from lliso.fit.profile_table import FATAL, check_level, fit_flags, profile_table
from lliso.fit.profiles import Profile, read_profiles
from lliso.fit.scoring import Noise

if TYPE_CHECKING:
    import xarray as xr

SHARED = ("d_eff", "x0", "c0", "c1", "k")


def fit_exchange(
    profiles: xr.Dataset | Sequence[xr.Dataset],
    *,
    time: float | str | Sequence[float | str],
    x0: Choice = FREE,
    c0: Choice = FREE,
    c1: Choice | None = None,
    k: Choice = np.inf,
    d_eff: Choice = FREE,
    separate: Sequence[str] = (),
    immersed: str = "surface",
    ends: tuple[float | str, float | str] | None = None,
    both_ends: bool = False,
    box: float | str | None = None,
    blur: float | str = 0.0,
    local_spread: float | str = FREE,
    level: float = 0.95,
) -> xr.Dataset:
    r"""Fit D_eff, and what else is free, to one or more profiles taken after an exchange.

    The curve is `lliso.diffusion.long_range.exchange_fraction`: eq. (4) of J. Mater. Chem. A 12
    (2024) 731 without a barrier, Crank's solution with one. Each parameter is ``"free"``, a value
    at which it is held (a string with its unit, if wanted), or ``(value, standard deviation)`` for
    a prior. A free `x0` is the default: the meniscus moves the level, and a level held at 0 makes
    D_eff too large.

    Parameters
    ----------
    profiles : xarray.Dataset or sequence of Dataset
        ``counts(species, position)`` in µm (`lliso.fit.profiles.read_profiles`).
    time : float, str or sequence
        Duration of the exchange, s; one for all profiles or one each.
    x0 : Choice
        Liquid level, µm.
    c0, c1 : Choice
        Fraction before the exchange, and of the source. `c1` is free by default; with a free `k`
        it is held at the profiles' attribute ``c_source``, because the plateau then tells k.
    k : Choice
        Surface exchange coefficient, cm/s; inf for no barrier.
    d_eff : Choice
        cm²/s.
    separate : sequence of str
        Parameters that each profile has for itself; the others are common.
    immersed : str
        Before the level: ``"surface"`` for the value at the surface, ``"free"`` for a level of
        its own (``c_immersed``).
    ends : tuple, optional
        Ends of the bar, µm; the far one without flux. Default: a bar without end.
    both_ends : bool
        The source is at the far end of the bar too, with the same k; needs `ends`.
    box : float or str, optional
        Width over which each point averages, µm; default: attribute ``box_um`` of the profiles.
    blur : float or str
        Standard deviation of a Gaussian blur, µm.
    local_spread : float or "free"
        Standard deviation of C between places at half share, beyond counting.
    level : float
        Confidence level of ``low`` and ``high``.

    Returns
    -------
    xarray.Dataset
        See `lliso.fit.profile_table.profile_table`; parameters ``d_eff`` (cm²/s), ``x0`` (µm),
        ``c0, c1``, ``k`` (cm/s), with the profile's name in brackets where separate.

    Raises
    ------
    TypeError, ValueError
        If profiles, times or choices make no sense; the message says which and why.

    Examples
    --------
    >>> from lliso.maps.synthetic_profiles import LineAnalysis, simulate_line_analysis
    >>> (after, *_), _ = simulate_line_analysis(LineAnalysis(d_exchange=8.0e-9), seed=1)
    >>> found = fit_exchange(after, time="110 h")
    >>> d = found.sel(param="d_eff")
    >>> bool(abs(d.value - 8.0e-9) < 3 * d.stderr)
    True
    """
    data = read_profiles(profiles)
    times = parse_times(time, len(data))
    check_level(level)
    if immersed not in ("surface", "free"):
        raise ValueError(f"immersed must be 'surface' or 'free', got {immersed!r}")
    unknown = [name for name in separate if name not in SHARED]
    if unknown:
        raise ValueError(f"separate must name some of {', '.join(SHARED)}, got {unknown[0]!r}")
    if immersed == "free" and "x0" in separate:
        raise ValueError(
            "immersed='free' needs one level for all profiles, got separate=['x0']; fit the "
            "profiles apart"
        )
    view = Instrument.parse(data, box, blur, ends, both_ends=both_ends)
    if c1 is None:
        c1 = FREE if k != FREE else source_fraction(data)
    choices = {"d_eff": d_eff, "x0": x0, "c0": c0, "c1": c1, "k": k}
    layout, curve = exchange_curve(data, times, choices, separate, view, immersed)
    noise = profile_noise(data, curve.envelope, parse_spread(local_spread))
    fraction = np.concatenate([p.fraction for p in data])
    ambiguous = False
    if immersed == "free":
        fit, ambiguous = fit_step(curve, fraction, noise)
    else:
        fit = fit_curve(curve, layout.free(), fraction, noise)
    flags = [*level_flags(fit, layout, data), *gradient_flags(data)]
    flags += ["level_ambiguous"] if ambiguous else []
    if not isinstance(x0, tuple | list) and x0 != FREE and not set(flags) & set(FATAL):
        flags += _level_off(curve, layout, fit, data, noise)
    return profile_table(
        fit,
        layout,
        data,
        flags=sorted(set(flags)),
        level=level,
        attrs={
            "model": "exchange",
            "time_s": [float(t) for t in times],
            "box_um": view.box,
            "blur_um": view.blur,
            "ends_um": [float(e) for e in view.ends],
            "immersed": immersed,
            "both_ends": int(both_ends),
        },
    )


def _level_off(
    curve: ExchangeCurve, layout: Layout, fit: CurveFit, data: Sequence[Profile], noise: Noise
) -> list[str]:
    """Flag a level that was held at another place than the data put it."""
    start = layout.full(fit.value)
    slots = [
        replace(s, start=float(v), free=s.free or s.name.startswith("x0"))
        for s, v in zip(layout.slots, start, strict=True)
    ]
    freed = replace(curve, layout=Layout(tuple(slots)))
    fraction = np.concatenate([p.fraction for p in data])
    again = fit_curve(freed, freed.layout.free(), fraction, replace(noise, envelope=freed.envelope))
    if again.singular or not again.converged:
        return []
    names = [s.name for s in slots if s.free]
    for i, name in enumerate(names):
        if name.startswith("x0"):
            held = start[layout.index(name)]
            error = again.covariance[i, i] ** 0.5
            if abs(again.value[i] - held) > 3.0 * error:
                return ["level_off"]
    return []


def level_flags(fit: CurveFit, layout: Layout, profiles: Sequence[Profile]) -> list[str]:
    """Return the flags of any fit with a liquid level."""
    flags = fit_flags(fit, layout, profiles)
    full = layout.full(fit.value)
    low = min(p.position[0] for p in profiles)
    high = max(p.position[-1] for p in profiles)
    for slot, value in zip(layout.slots, full, strict=True):
        if slot.name.startswith("x0") and slot.free and not low <= value <= high:
            flags.append("level_outside_data")
    return flags


def gradient_flags(profiles: Sequence[Profile]) -> list[str]:
    """Flag profiles that are the same everywhere within four counting errors."""
    return ["no_gradient"] if any(_flat(p) for p in profiles) else []


def _flat(profile: Profile) -> bool:
    if profile.position.size < 3:
        return True
    weight = profile.counting_std() ** -2.0
    mean = np.sum(weight * profile.fraction) / weight.sum()
    chi2 = np.sum(weight * (profile.fraction - mean) ** 2)
    dof = profile.position.size - 1
    return bool(chi2 < dof + 4.0 * np.sqrt(2.0 * dof))

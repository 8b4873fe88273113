"""D_eff from one long-range profile taken after storage or annealing, from a start given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr

from lliso._types import FloatArray
from lliso.diffusion.cosine import bar_length
from lliso.fit.exchange_curve import UM2, Instrument, parse_spread
from lliso.fit.given_start import Start, fit_given_start, give_start, given_table
from lliso.fit.parameters import FREE, INVERSE, LOG, Choice, Layout, Slot
from lliso.fit.profile_table import check_level
from lliso.fit.profiles import Profile, read_profiles
from lliso.fit.sample import EACH, finish
from lliso.fit.sample_curve import GUESS_TERMS, Anneal, Law, SampleCurve
from lliso.units import DIFFUSION, LENGTH, parse_quantity

_GRID = 17


def fit_anneal(
    profile: xr.Dataset,
    *,
    start: Start,
    time: float | str,
    ends: tuple[float | str, float | str],
    temperature: float | str | None = None,
    d_eff: Choice = FREE,
    stage_error: float | str = 0.0,
    box: float | str | None = None,
    blur: float | str = 0.0,
    local_spread: float | str = FREE,
    level: float = 0.95,
) -> xr.Dataset:
    r"""Fit D_eff to one profile taken after storage or annealing without source.

    The bar is closed, and the start spreads in it by ∫D dt, exactly in time (cosine series). The
    start's uncertainty enters the result: a fitted start with its covariance, a measured one with
    the scatter of its points.

    Parameters
    ----------
    profile : xarray.Dataset
        ``counts(species, position)`` after the stage.
    start : xarray.Dataset, callable or (positions, values)
        Where it began: the result of `lliso.fit_exchange`; a measured profile, whose points are
        joined by a cubic spline and whose box is not undone; a function of positions (µm); or
        points joined by straight lines. The last two are taken to be exact.
    time : float or str
        Duration of the stage, s.
    ends : tuple
        Ends of the bar, µm.
    temperature : float or str, optional
        K or with unit; noted in the result.
    d_eff : Choice
        cm²/s.
    stage_error : float or str
        Standard deviation (µm) of the profile's position against the start's.
    box, blur, local_spread, level
        As in `lliso.fit_exchange`.

    Returns
    -------
    xarray.Dataset
        As of `lliso.fit_exchange`; ``d_eff`` (cm²/s), and of a fitted start its parameters as this
        profile moves them. ``li6_change`` tells if ⁶Li was lost.

    Raises
    ------
    TypeError, ValueError
        If profiles, times or choices make no sense; the message says why.

    Examples
    --------
    >>> from lliso.fit.exchange import fit_exchange
    >>> from lliso.maps.synthetic_profiles import LineAnalysis, simulate_line_analysis
    >>> line = LineAnalysis()
    >>> (before, after, _), _ = simulate_line_analysis(line, seed=1)
    >>> begin = fit_exchange(before, time="110 h")
    >>> found = fit_anneal(after, start=begin, time="14 d", ends=line.ends).sel(param="d_eff")
    >>> bool(abs(found.value - 3.0e-9) < 3 * found.stderr)
    True
    """
    check_level(level)
    data = read_profiles(profile)
    if len(data) != 1:
        raise ValueError(f"fit_anneal takes one profile, got {len(data)}; use fit_sample")
    stage = Anneal.parse(time, temperature)
    view = Instrument.parse(data, box, blur, ends)
    error = parse_quantity(stage_error, LENGTH, "stage_error")
    if error < 0:
        raise ValueError(f"stage_error must not be negative, got {error:g} um")
    spread = parse_spread(local_spread)
    kelvin = {} if temperature is None else {"temperature_K": float(stage.temperatures[0])}
    if isinstance(start, xr.Dataset) and "param" in start.dims:
        curve = _from_fit(start, data, stage, view, d_eff, error)
        return finish(curve, lambda *_: [], level, spread, {"law": EACH, **kelvin})
    slots = [_d_slot(view, stage, d_eff), *_shift_slot(error)]
    given = give_start(start, view, spread)
    found = fit_given_start(data[0], given, slots, stage.duration, view, spread)
    return given_table(found, level, {"time_s": [stage.duration], **kelvin})


def _d_slot(view: Instrument, stage: Anneal, d_eff: Choice) -> Slot:
    length2 = bar_length(view.ends) ** 2
    low, high = (float(np.log(f * length2 / stage.duration)) for f in (1e-9, 1e3))
    return Slot("d_eff", DIFFUSION, 0.5 * (low + high), low, high, 1.0, LOG, UM2).chosen(d_eff)


def _shift_slot(error: float) -> list[Slot]:
    if error == 0:
        return []
    return [Slot("offset", "um", 0.0, -20.0 * error, 20.0 * error, error, std=error)]


# ------------------------------------------------------------------------------- a fitted start


def _from_fit(
    start: xr.Dataset,
    data: Sequence[Profile],
    stage: Anneal,
    view: Instrument,
    d_eff: Choice,
    error: float,
) -> SampleCurve:
    """Curve with the start's parameters, free within what their fit found."""
    names = ("d_eff", "x0", "c0", "c1", "k")
    have = [str(p) for p in start["param"].values]
    if str(start.attrs.get("model")) != "exchange" or any(n not in have for n in names):
        raise ValueError(
            "a fitted start must be the result of fit_exchange with common parameters, got the "
            f"parameters {', '.join(have)}"
        )
    if not bool(start["success"]):
        raise ValueError(
            f"a fitted start must be a fit that succeeded, got the flags: {start['flags'].item()}"
        )
    if start.attrs.get("both_ends", 0):
        raise ValueError(
            "a fitted start must be of a source at one end, got both_ends; give the fitted curve "
            "as points: start=(table.position.values, table.curve.values)"
        )
    times = set(np.atleast_1d(start.attrs["time_s"]).tolist())
    if len(times) != 1:
        raise ValueError(f"a fitted start must be of one exchange, got the times {sorted(times)} s")
    own = [_d_slot(view, stage, d_eff), *_shift_slot(error)]
    value, covariance = _inner(start, names, view)
    begun = _start_slots(names, value, covariance, view)
    # the prior comes first in the row of free parameters
    slots = [*begun, *own]
    index = {"d_exchange": 0, "x0": 1, "c0": 2, "c1": 3, "k": 4}
    if error > 0:
        index["offset 0"] = 6
    known = [i for i, s in enumerate(begun) if s.free]
    prior = (value[known], covariance[np.ix_(known, known)]) if known else None
    make: Any = (data, [1], float(times.pop()), [stage], Law([5]), view, index, {})

    first = own[0]
    if first.free and np.isinf(first.std):
        tries = np.linspace(first.low + np.log(1e3), first.high - np.log(1e3), _GRID)
        row = Layout((*begun, *own))
        guess = replace(SampleCurve(row, *make), most=GUESS_TERMS)
        cost = guess.misfits(row.free().start, 0, np.exp(tries) * stage.duration)
        own[0] = replace(first, start=float(tries[int(np.argmin(cost))]))
    return SampleCurve(Layout((*slots[:5], *own), prior), *make)


def _blank(name: str, view: Instrument) -> Slot:
    low, high = view.ends
    return {
        "d_eff": Slot("d_eff[exchange]", DIFFUSION, 0.0, -60.0, 60.0, 1.0, LOG, UM2),
        "x0": Slot("x0", "um", 0.0, low, high - 1e-6 * (high - low), 1.0),
        "c0": Slot("c0", "1", 0.0, 0.0, 1.0, 0.1),
        "c1": Slot("c1", "1", 0.0, 0.0, 1.0, 0.1),
        "k": Slot("k", "cm/s", 0.0, 0.0, np.inf, 1.0, INVERSE, 1e-4),
    }[name]


def _inner(
    start: xr.Dataset, names: Sequence[str], view: Instrument
) -> tuple[FloatArray, FloatArray]:
    """Values and covariance of a fitted start, in the numbers that a fit moves."""
    slots = [_blank(n, view) for n in names]
    have = [str(p) for p in start["param"].values]
    at = [have.index(n) for n in names]
    reported = start["best"].values[at]
    value = np.array([s.inner(float(v)) for s, v in zip(slots, reported, strict=True)])
    scale = np.array([s.derivative(v) for s, v in zip(slots, value, strict=True)])
    scale[~np.isfinite(scale)] = 1.0
    covariance = start["covariance"].values[np.ix_(at, at)]
    return value, covariance / np.outer(scale, scale)


def _start_slots(
    names: Sequence[str],
    value: FloatArray,
    covariance: FloatArray,
    view: Instrument,
) -> list[Slot]:
    slots = []
    for i, name in enumerate(names):
        free = bool(covariance[i, i] > 0)  # NaN: held at a bound
        scale = float(np.sqrt(covariance[i, i])) if free else 1.0
        blank = _blank(name, view)
        slots.append(replace(blank, start=float(value[i]), scale=10.0 * scale, free=free))
    return slots

"""All long-range profiles of one sample together: exchange and what followed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.diffusion.transport import BOLTZMANN
from lliso.fit.conservation import DRIFT, change_columns, li6_change
from lliso.fit.curve import CurveFit, fit_curve
from lliso.fit.exchange import gradient_flags, level_flags
from lliso.fit.exchange_curve import (
    UM2,
    Instrument,
    exchange_slots,
    parse_spread,
    parse_times,
    profile_noise,
    source_fraction,
)
from lliso.fit.parameters import FREE, LOG, Choice, Layout, Slot
from lliso.fit.profile_table import Derived, check_level, profile_table
from lliso.fit.profiles import Profile, read_profiles
from lliso.fit.sample_curve import GUESS_TERMS, Anneal, Law, SampleCurve, parse_temperature
from lliso.units import DIFFUSION, ENERGY, LENGTH, parse_quantity

if TYPE_CHECKING:
    import xarray as xr

EACH, SHARED, ARRHENIUS = "each", "shared", "arrhenius"


def fit_sample(
    profiles: Sequence[xr.Dataset | None],
    *,
    exchange: float | str,
    storage: Sequence[Any],
    ends: tuple[float | str, float | str],
    temperatures: Sequence[float | str] | None = None,
    exchange_temperature: float | str | None = None,
    law: str = EACH,
    x0: Choice = FREE,
    c0: Choice = FREE,
    c1: Choice | None = None,
    k: Choice = np.inf,
    d_exchange: Choice = FREE,
    d_eff: Choice | list[Choice] = FREE,
    e_a: Choice = FREE,
    stage_error: float | str = 0.0,
    box: float | str | None = None,
    blur: float | str = 0.0,
    local_spread: float | str = FREE,
    level: float = 0.95,
) -> xr.Dataset:
    r"""Fit all stages of a sample together: one liquid level, one start, D of every stage.

    The exchange leaves the profile of `lliso.diffusion.long_range.exchange_fraction`; it then
    spreads in the closed bar by ∫D dt, exactly in time. Because one fit moves the start as well,
    its uncertainty is in every D.

    Parameters
    ----------
    profiles : sequence of xarray.Dataset or None
        After the exchange, and after each storage; None for a stage that was not measured.
    exchange : float or str
        Duration of the exchange, s.
    storage : sequence
        Of each stage after it: its own duration (s), or a programme of corners
        ``(time, temperature)`` joined by straight ramps.
    ends : tuple
        Ends of the bar, µm.
    temperatures : sequence, optional
        Of the storages given by their duration, K or with unit; needed for ``law="arrhenius"``.
    exchange_temperature : float or str, optional
        If given with ``law="arrhenius"``, the law covers the exchange too.
    law : str
        ``"each"`` for a D of every stage, ``"shared"`` for one D of all storages,
        ``"arrhenius"`` for D₀ exp(−E_a/kT).
    x0, c0, c1, k : Choice
        As in `lliso.fit_exchange`.
    d_exchange : Choice
        D_eff of the exchange, cm²/s.
    d_eff : Choice or list of Choice
        D_eff of the storages, cm²/s; at the reference temperature for the Arrhenius law.
    e_a : Choice
        Activation energy, eV.
    stage_error : float or str
        Standard deviation (µm) of the position of each later profile against the first.
    box, blur, local_spread, level
        As in `lliso.fit_exchange`.

    Returns
    -------
    xarray.Dataset
        As of `lliso.fit_exchange`, with parameters ``d_eff[exchange]``, ``x0``, ``c0``, ``c1``,
        ``k``, ``d_eff[storage 1]`` ...; under a law ``d_eff[storage]`` or ``d_ref``, ``e_a`` and
        ``d0``. ``li6_change`` and ``li6_change_stderr`` along ``profile``: by what share the
        excess of ⁶Li of a later stage differs from what the others say.

    Raises
    ------
    TypeError, ValueError
        If profiles, times, temperatures or choices make no sense; the message says why.

    Examples
    --------
    >>> from lliso.maps.synthetic_profiles import LineAnalysis, simulate_line_analysis
    >>> line = LineAnalysis()
    >>> measured, _ = simulate_line_analysis(line, seed=1)
    >>> found = fit_sample(measured, exchange="110 h", storage=["14 d", "28 d"], ends=line.ends)
    >>> d = found.sel(param="d_eff[storage 2]")
    >>> bool(abs(d.value - 3.0e-9) < 3 * d.stderr)
    True
    """
    check_level(level)
    if len(profiles) != len(storage) + 1:
        raise ValueError(
            "profiles must be one for the exchange and one for each storage (None if not "
            f"measured), got {len(profiles)} for {len(storage)} storages"
        )
    number = [i for i, p in enumerate(profiles) if p is not None]
    data = read_profiles([p for p in profiles if p is not None])
    time = parse_times(exchange, 1)[0]
    stages = parse_stages(storage, temperatures)
    view = Instrument.parse(data, box, blur, ends)
    if c1 is None:
        c1 = FREE if k != FREE else source_fraction(data)
    choices = {"d_eff": d_exchange, "x0": x0, "c0": c0, "c1": c1, "k": k}
    hot = None if exchange_temperature is None else parse_temperature(exchange_temperature)
    plan = _Plan(data, number, time, stages, view, law, hot)
    curve = plan.curve(choices, d_eff, e_a, parse_quantity(stage_error, LENGTH, "stage_error"))
    return finish(curve, plan.derived, level, parse_spread(local_spread), {"law": law})


def parse_stages(
    storage: Sequence[Any], temperatures: Sequence[float | str] | None
) -> list[Anneal]:
    """Read the stages after an exchange.

    Raises
    ------
    ValueError
        If there are none, or the temperatures are not as many.

    Examples
    --------
    >>> [s.duration for s in parse_stages(["1 h", "2 h"], None)]
    [3600.0, 7200.0]
    """
    if isinstance(storage, str) or len(storage) == 0:
        raise ValueError("storage must be a list of one or more stages, got none")
    if temperatures is None:
        return [Anneal.parse(s) for s in storage]
    if isinstance(temperatures, str) or len(temperatures) != len(storage):
        raise ValueError(
            f"temperatures must be one for each of {len(storage)} storages, got {temperatures!r}"
        )
    return [Anneal.parse(s, t) for s, t in zip(storage, temperatures, strict=True)]


class _Plan:
    """Lays out the parameters of a sample."""

    def __init__(
        self,
        data: Sequence[Profile],
        number: Sequence[int],
        time: float,
        stages: Sequence[Anneal],
        view: Instrument,
        law: str,
        exchange_temperature: float | None,
    ) -> None:
        if law not in (EACH, SHARED, ARRHENIUS):
            raise ValueError(f"law must be 'each', 'shared' or 'arrhenius', got {law!r}")
        if law != ARRHENIUS and not all(s.isothermal or not s.known for s in stages):
            raise ValueError(f"a programme of temperatures needs law='arrhenius', got law={law!r}")
        if law == ARRHENIUS and not all(s.known for s in stages):
            raise ValueError("law='arrhenius' needs the temperature of every storage, got none")
        if law == EACH and any(n not in number for n in range(1, len(stages) + 1)):
            raise ValueError(
                "law='each' needs a profile of every storage, got None; give one law to all "
                "('shared' or 'arrhenius'), or state two stages as one"
            )
        self.data, self.number, self.time = data, number, time
        self.stages, self.view, self.law = stages, view, law
        self.exchange_temperature = exchange_temperature if law == ARRHENIUS else None
        kelvins = np.concatenate([s.temperatures for s in stages])
        self.reference = float(1.0 / np.mean(1.0 / kelvins))

    def curve(
        self,
        choices: dict[str, Choice],
        d_eff: Choice | list[Choice],
        e_a: Choice,
        stage_error: float,
    ) -> SampleCurve:
        """Slots with their guesses, and the curve."""
        first = self.data[0]
        begin = exchange_slots(first, self.time, choices, self.view.ends)
        begin["d_eff"] = replace(begin["d_eff"], name="d_eff[exchange]")
        if self.exchange_temperature is not None:
            begin["d_eff"] = replace(begin["d_eff"], free=False)
        slots = list(begin.values())
        names = ("d_exchange", "x0", "c0", "c1", "k")
        index = dict(zip(names, range(len(slots)), strict=True))
        own, law = self._law_slots(len(slots), d_eff, e_a)
        slots += own
        if stage_error < 0:
            raise ValueError(f"stage_error must not be negative, got {stage_error:g} um")
        if stage_error > 0:
            for i, profile in list(enumerate(self.data))[1:]:
                index[f"offset {i}"] = len(slots)
                reach = 20.0 * stage_error
                name = f"offset[{profile.name}]"
                slots.append(Slot(name, "um", 0.0, -reach, reach, stage_error, std=stage_error))
        make = (self.data, self.number, self.time, self.stages, law, self.view, index)
        curve = SampleCurve(Layout(tuple(slots)), *make)
        return SampleCurve(Layout(tuple(self._guessed(curve, slots))), *make)

    def _law_slots(
        self, first: int, d_eff: Choice | list[Choice], e_a: Choice
    ) -> tuple[list[Slot], Law]:
        n = len(self.stages)
        blank = Slot("d_eff", DIFFUSION, 0.0, -60.0, 60.0, 1.0, LOG, UM2)
        each: list[Choice] = list(d_eff) if isinstance(d_eff, list) else [d_eff] * n
        if len(each) != n:
            raise ValueError(f"d_eff must be one choice or {n}, one per storage, got {len(each)}")
        if self.law == EACH:
            slots = [
                replace(blank, name=f"d_eff[storage {i + 1}]").chosen(choice)
                for i, choice in enumerate(each)
            ]
            return slots, Law(range(first, first + n))
        if self.law == SHARED:
            return [replace(blank, name="d_eff[storage]").chosen(each[0])], Law([first] * n)
        energy = Slot("e_a", ENERGY, 0.4, -2.0, 5.0, 0.1).chosen(e_a)
        law = Law([first] * n, first + 1, self.reference, self.exchange_temperature)
        return [replace(blank, name="d_ref").chosen(each[0]), energy], law

    def _guessed(self, curve: SampleCurve, slots: list[Slot]) -> list[Slot]:
        """Start ln D where the profiles agree best with the start that the first one suggests."""
        slots = list(slots)
        length = self.view.ends[1] - self.view.ends[0]
        for index in dict.fromkeys(curve.law.d_index):
            if not slots[index].free or np.isfinite(slots[index].std):
                continue
            stage = [s for s, i in zip(self.stages, curve.law.d_index, strict=True) if i == index]
            time = sum(s.duration for s in stage)
            low, high = (float(np.log(f * length**2 / time)) for f in (1e-11, 1e3))
            slots[index] = replace(slots[index], low=low, high=high)
            grid = np.linspace(low + np.log(1e5), high - np.log(1e3), 15)
            trials = [{index: float(v)} for v in grid]
            energy = curve.law.energy
            if energy is not None and slots[energy].free and np.isinf(slots[energy].std):
                trials += self._activated(curve, index, energy)
            cost = _misfits(curve, slots, trials, index)
            slots = _started(slots, trials[int(np.argmin(cost))])
        return slots

    def _activated(self, curve: SampleCurve, index: int, energy: int) -> list[dict[int, float]]:
        """Make a start from the line through ln D of each stage, found by itself, over 1/T."""
        theta = curve.layout.free().start
        spreads = np.array([curve.best_spread(theta, i) for i in range(len(self.data))])
        seen = [i for i, n in enumerate(self.number) if n > 0]
        numbers = [0, *(self.number[i] for i in seen)]
        grown = np.diff(np.concatenate([[0.0], spreads[seen]]))
        inverse, log_d = [], []
        for a, b, more in zip(numbers[:-1], numbers[1:], grown, strict=True):
            part = self.stages[a:b]
            if more > 0:
                inverse.append(float(np.mean([np.mean(1.0 / s.temperatures) for s in part])))
                log_d.append(float(np.log(more / sum(s.duration for s in part))))
        if len(set(inverse)) < 2:
            return []
        slope, level = np.polyfit(np.array(inverse) - 1.0 / self.reference, log_d, 1)
        return [{index: float(level), energy: float(-slope * BOLTZMANN)}]

    def derived(self, fit: CurveFit, curve: SampleCurve) -> list[Derived]:
        """D₀ of an Arrhenius law, and D at the temperatures of the stages."""
        law = curve.law
        if law.energy is None:
            return []
        full = curve.layout.full(fit.value)
        d_ref = curve.layout.slots[law.d_index[0]].reported(full[law.d_index[0]])
        wanted = [("d0", 0.0)]
        wanted += [
            (f"d_eff[storage {i + 1}]", 1.0 / float(s.temperatures[0]))
            for i, s in enumerate(self.stages)
            if s.isothermal
        ]
        if law.exchange_temperature is not None:
            wanted.append(("d_eff[exchange] by the law", 1.0 / law.exchange_temperature))
        out = []
        for name, inverse in wanted:
            distance = (inverse - 1.0 / law.reference) / BOLTZMANN
            value = d_ref * float(np.exp(-full[law.energy] * distance))
            gradient = np.zeros(full.size)
            gradient[law.d_index[0]] = value / d_ref
            gradient[law.energy] = -distance * value
            out.append(Derived(name, DIFFUSION, value, gradient))
        return out


def _started(slots: Sequence[Slot], starts: dict[int, float]) -> list[Slot]:
    """Return the slots with other starts."""
    return [replace(s, start=starts[i]) if i in starts else s for i, s in enumerate(slots)]


def _misfits(
    curve: SampleCurve, slots: Sequence[Slot], trials: Sequence[dict[int, float]], index: int
) -> list[float]:
    """Squares of the residuals, for each trial, of the stages that `index` drives."""
    driven = {i + 1 for i, at in enumerate(curve.law.d_index) if at == index}
    fraction = np.concatenate([p.fraction for p in curve.profiles])
    sizes = [p.position.size for p in curve.profiles]
    use = np.repeat([n in driven for n in curve.number], sizes)
    quick = replace(curve, most=GUESS_TERMS)
    cost = []
    for trial in trials:
        full = np.array([trial.get(i, s.start) for i, s in enumerate(slots)], dtype=float)
        cost.append(float(np.sum((quick.at(full) - fraction)[use] ** 2)))
    return cost


def finish(
    curve: SampleCurve,
    derived: Any,
    level: float,
    spread: float | None,
    attrs: dict[str, Any],
) -> xr.Dataset:
    """Fit a sample's curve and tabulate the result."""
    data = curve.profiles
    noise = profile_noise(data, curve.envelope, spread)
    fit = fit_curve(curve, curve.layout.free(), np.concatenate([p.fraction for p in data]), noise)
    change, error = li6_change(fit, curve.excess(fit.value), data, curve.number)
    flags = level_flags(fit, curve.layout, data)
    flags += gradient_flags([p for p, n in zip(data, curve.number, strict=True) if n == 0])
    if np.any(np.abs(change) > DRIFT * error):
        flags.append("li6_drift")
    flags += _temperature_flags(fit, curve)
    return profile_table(
        fit,
        curve.layout,
        data,
        flags=sorted(set(flags)),
        level=level,
        derived=derived(fit, curve),
        variables=change_columns(change, error),
        attrs={
            "model": "sample",
            "time_s": [curve.time],
            "box_um": curve.view.box,
            "blur_um": curve.view.blur,
            "ends_um": list(curve.view.ends),
            "storage_s": [s.duration for s in curve.stages],
            "reference_temperature_K": curve.law.reference,
            **attrs,
        },
    )


def _temperature_flags(fit: CurveFit, curve: SampleCurve) -> list[str]:
    """D must not fall with temperature."""
    law, full = curve.law, curve.layout.full(fit.value)
    falls = "d_falls_with_temperature"
    if law.energy is not None:
        return [falls] if full[law.energy] < 0 else []
    variance = dict(zip(curve.layout.moving.tolist(), np.diag(fit.covariance), strict=True))
    for i, a in zip(law.d_index, curve.stages, strict=True):
        for j, b in zip(law.d_index, curve.stages, strict=True):
            if not (a.known and b.known and a.temperatures[0] < b.temperatures[0]):
                continue
            both = variance.get(i, 0.0) + variance.get(j, 0.0)
            if full[i] - full[j] > 3.0 * np.sqrt(both):
                return [falls]
    return []

"""The curves of one sample, exchange and what followed, as a fit moves them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from lliso._types import FloatArray
from lliso.diffusion.anneal import diffusion_integral
from lliso.diffusion.cosine import (
    MOST_TERMS,
    bar_length,
    cosine_basis,
    damping,
    exchange_amplitudes,
    terms_needed,
)
from lliso.diffusion.long_range import exchange_share
from lliso.diffusion.transport import BOLTZMANN
from lliso.fit.activated import MEASURABLE, kelvin
from lliso.fit.exchange_curve import Instrument, mixing_envelope
from lliso.fit.parameters import Layout
from lliso.fit.profiles import Profile
from lliso.units import TEMPERATURE, TIME, parse_quantity

#: terms with which a first guess of D is looked for
GUESS_TERMS = 600


def parse_temperature(value: float | str) -> float:
    """Read the temperature of a stage, in K or with its unit.

    Raises
    ------
    ValueError
        If it is too low or too high for a ceramic in which lithium is to move.

    Examples
    --------
    >>> round(parse_temperature("22 °C"), 2)
    295.15
    """
    return float(kelvin(parse_quantity(value, TEMPERATURE, "temperature"), coldest=MEASURABLE))


@dataclass(frozen=True, eq=False)
class Anneal:
    """A stage without source: times (s) and temperatures (K) of the corners of its programme.

    Parameters
    ----------
    times : numpy.ndarray, shape (m,)
        Growing from 0.
    temperatures : numpy.ndarray, shape (m,)
        NaN where no temperature was given.

    Examples
    --------
    >>> Anneal.parse("14 d", "22 °C").duration
    1209600.0
    """

    times: FloatArray
    temperatures: FloatArray

    @classmethod
    def parse(cls, stage: Any, temperature: float | str | None = None) -> Anneal:
        """Read a duration, or a programme of (time, temperature) corners.

        Raises
        ------
        TypeError, ValueError
            If times run backwards, or a temperature is absurd.
        """
        if isinstance(stage, str | int | float | np.number):
            duration = parse_quantity(stage, TIME, "time")  # type: ignore[arg-type]
            if not duration > 0:
                raise ValueError(f"time must be positive, got {duration:g} s")
            held = np.nan if temperature is None else parse_temperature(temperature)
            return cls(np.array([0.0, duration]), np.array([held, held]))
        corners = [tuple(c) for c in stage]
        if len(corners) < 2 or any(len(c) != 2 for c in corners):
            raise ValueError(
                f"a programme must be two or more corners (time, temperature), got {len(corners)}"
            )
        times = np.array([parse_quantity(c[0], TIME, "time") for c in corners])
        if times[0] < 0 or np.any(np.diff(times) < 0) or times[-1] <= times[0]:
            raise ValueError(
                f"times of a programme must not decrease or be negative, got {times.tolist()} s"
            )
        kelvins = np.array([parse_temperature(c[1]) for c in corners])
        return cls(times - times[0], kelvins)

    @property
    def duration(self) -> float:
        """Length of the stage, s."""
        return float(self.times[-1])

    @property
    def isothermal(self) -> bool:
        """Whether the temperature is one and known."""
        return bool(np.all(self.temperatures == self.temperatures[0]))

    @property
    def known(self) -> bool:
        """Whether temperatures were given."""
        return not bool(np.isnan(self.temperatures).any())

    def time_at(self, reference: float, energy: float) -> float:
        """Return the time (s) at `reference` (K) that diffuses as much, ∫ D(T)/D(T_ref) dt."""

        def ratio(temperature: FloatArray) -> FloatArray:
            exponent = -energy / BOLTZMANN * (1.0 / temperature - 1.0 / reference)
            return np.asarray(np.exp(np.clip(exponent, -600.0, 600.0)))

        return diffusion_integral(self.times, self.temperatures, ratio)


@dataclass(frozen=True, eq=False)
class Law:
    """How the parameters give D in each stage.

    Parameters
    ----------
    d_index : sequence of int
        Where ln D of each storage stage is (of the reference temperature with `energy`).
    energy : int or None
        Where E_a is, for an Arrhenius law.
    reference : float
        T_ref, K.
    exchange_temperature : float or None
        K, where the law covers the exchange as well.
    """

    d_index: Sequence[int]
    energy: int | None = None
    reference: float = np.nan
    exchange_temperature: float | None = None

    def spreads(self, full: FloatArray, stages: Sequence[Anneal]) -> FloatArray:
        """∫ D dt (µm²) at the end of each stage."""
        if self.energy is None:
            times = [stage.duration for stage in stages]
        else:
            energy = float(full[self.energy])
            times = [stage.time_at(self.reference, energy) for stage in stages]
        return np.asarray(np.cumsum(np.exp(full[list(self.d_index)]) * times))

    def log_d_exchange(self, full: FloatArray, index: int) -> float:
        """Return ln D of the exchange."""
        if self.energy is None or self.exchange_temperature is None:
            return float(full[index])
        kelvin = 1.0 / self.exchange_temperature - 1.0 / self.reference
        return float(full[self.d_index[0]] - full[self.energy] / BOLTZMANN * kelvin)


@dataclass(frozen=True, eq=False)
class SampleCurve:
    """Fractions of all measured stages at the free parameters; remembers the last shares."""

    layout: Layout
    profiles: Sequence[Profile]
    number: Sequence[int]  # stage of each profile: 0 the exchange, then storages
    time: float
    stages: Sequence[Anneal]
    law: Law
    view: Instrument
    index: dict[str, int]
    memory: dict[tuple[float, ...], FloatArray] = field(default_factory=dict)
    most: int = MOST_TERMS  # of the cosine series; a guess does with fewer

    def __call__(self, theta: FloatArray) -> FloatArray:
        """Fraction at all points."""
        return self.at(self.layout.full(theta))

    def at(self, full: FloatArray) -> FloatArray:
        """Fraction at all points, from all parameters."""
        ix = self.index
        log_d = self.law.log_d_exchange(full, ix["d_exchange"])
        spreads = self.law.spreads(full, self.stages)
        flat = 1e4 * (self.view.ends[1] - self.view.ends[0]) ** 2  # beyond it all is level
        parts = []
        for i, (profile, number) in enumerate(zip(self.profiles, self.number, strict=True)):
            spread = min(float(spreads[number - 1]), flat) if number else 0.0
            at = ix.get(f"offset {i}")
            offset = 0.0 if at is None else float(full[at])
            key = (float(i), log_d, float(full[ix["x0"]]), float(full[ix["k"]]), spread, offset)
            parts.append(self._share(key, profile.position))
        share = np.concatenate(parts)
        return np.asarray(full[ix["c0"]] + (full[ix["c1"]] - full[ix["c0"]]) * share)

    def misfits(self, theta: FloatArray, profile: int, spreads: FloatArray) -> FloatArray:
        """Squares of one profile's residuals (in shares) for each ∫ D dt (µm²)."""
        full, ix = self.layout.full(theta), self.index
        start = (float(full[ix["d_exchange"]]), float(full[ix["x0"]]), float(full[ix["k"]]))
        data = self.profiles[profile]
        share = (data.fraction - full[ix["c0"]]) / (full[ix["c1"]] - full[ix["c0"]])
        keys = [(float(profile), *start, float(s), 0.0) for s in spreads]
        return np.array([np.sum((self._share(k, data.position) - share) ** 2) for k in keys])

    def best_spread(self, theta: FloatArray, profile: int) -> float:
        """∫ D dt (µm²) with which one profile agrees best, at the start that is now assumed."""
        length2 = (self.view.ends[1] - self.view.ends[0]) ** 2

        def cost(log_spread: float) -> float:
            return float(self.misfits(theta, profile, np.exp([log_spread]))[0])

        grid = np.linspace(np.log(1e-6 * length2), np.log(length2), 29)
        best = float(grid[int(np.argmin(self.misfits(theta, profile, np.exp(grid))))])
        step = float(grid[1] - grid[0])
        found = minimize_scalar(cost, bounds=(best - step, best + step), method="bounded")
        return float(np.exp(found.x))

    def _share(self, key: tuple[float, ...], position: FloatArray) -> FloatArray:
        if key not in self.memory:
            if len(self.memory) > 1000:
                self.memory.clear()
            profile, log_d, x0, resistance, spread, offset = key
            view, half = self.view, 0.5 * self.view.box
            at = np.clip(position - offset, view.ends[0] + half, view.ends[1] - half)
            if spread == 0.0:
                k = 1.0 / resistance if resistance > 0 else np.inf
                self.memory[key] = exchange_share(
                    at, float(np.exp(log_d)), x0, k, time=self.time, ends=view.ends,
                    box=view.box, blur=view.blur,
                )  # fmt: skip
            else:
                number = min(self.most, terms_needed(bar_length(view.ends), spread, view.blur))
                terms = self._amplitudes((log_d, x0, resistance), number)
                terms = terms * self._damping(spread, number)
                self.memory[key] = self._basis((profile, offset), at, number) @ terms
        return self.memory[key]

    def _amplitudes(self, key: tuple[float, float, float], number: int) -> FloatArray:
        """Amplitudes of the start; more than are wanted are kept for the next stage."""
        kept = self.memory.get(key)
        if kept is None or kept.size < number:
            log_d, x0, resistance = key
            kept = exchange_amplitudes(
                self.time,
                float(np.exp(log_d)),
                ends=self.view.ends,
                number=max(number, 64),
                exchange=1.0 / resistance if resistance > 0 else np.inf,
                origin=x0,
            )
            self.memory[key] = kept
        return kept[:number]

    def _damping(self, spread: float, number: int) -> FloatArray:
        kept = self.memory.get((spread,))
        if kept is None or kept.size != number:
            view = self.view
            kept = damping(spread, ends=view.ends, number=number, box=view.box, blur=view.blur)
            self.memory[spread,] = kept
        return kept

    def _basis(self, key: tuple[float, float], at: FloatArray, number: int) -> FloatArray:
        kept = self.memory.get(key)
        if kept is None or kept.shape[1] < number:
            kept = cosine_basis(at, ends=self.view.ends, number=max(number, 64), box=self.view.box)
            self.memory[key] = kept
        return kept[:, :number]

    def envelope(self, theta: FloatArray, curve: FloatArray) -> FloatArray:
        """Shape of the local spread."""
        full = self.layout.full(theta)
        return mixing_envelope(full[self.index["c0"]], full[self.index["c1"]], curve)

    def excess(self, theta: FloatArray) -> FloatArray:
        """Fraction above C₀ at all points."""
        return np.asarray(self(theta) - self.layout.full(theta)[self.index["c0"]])

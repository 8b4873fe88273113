"""The curve of an exchange as a fit moves it: parameters, first guesses, the instrument."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import ndtr

from lliso._types import FloatArray
from lliso.diffusion.long_range import exchange_share
from lliso.fit.exchange_guess import guess_barrier, guess_ends, guess_exchange
from lliso.fit.parameters import FREE, INVERSE, LOG, Choice, Layout, Slot
from lliso.fit.profiles import Profile, shared_attribute
from lliso.fit.scoring import Noise
from lliso.units import DIFFUSION, LENGTH, TIME, UM_PER_CM, parse_quantity

UM2 = UM_PER_CM**-2  # 1 µm²/s in cm²/s
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


@dataclass(frozen=True)
class Instrument:
    """What the measurement does to a profile: box and Gaussian blur (µm), ends of the bar (µm).

    With `both_ends` the source is at the far end as well.
    """

    box: float
    blur: float
    ends: tuple[float, float]
    both_ends: bool = False

    @classmethod
    def parse(
        cls,
        profiles: Sequence[Profile],
        box: float | str | None,
        blur: float | str,
        ends: tuple[float | str, float | str] | None,
        *,
        both_ends: bool = False,
    ) -> Instrument:
        """Read and check; the box is taken from the profiles where it is None.

        Raises
        ------
        ValueError
            If a width is negative, the ends are not in order, points lie outside the bar, or a
            source at both ends is wanted of a bar without end.
        """
        if box is None:
            box = shared_attribute(profiles, "box_um") or 0.0
        width = parse_quantity(box, LENGTH, "box")
        sigma = parse_quantity(blur, LENGTH, "blur")
        if width < 0 or sigma < 0:
            raise ValueError(f"box and blur must not be negative, got {width:g} and {sigma:g} um")
        if ends is None and both_ends:
            raise ValueError("both_ends needs the ends of the bar, got none: ends=(x0, far end)")
        if ends is None:
            return cls(width, sigma, (-np.inf, np.inf))
        low, high = (parse_quantity(e, LENGTH, "ends") for e in ends)
        if not low < high:
            raise ValueError(f"ends of the bar must be in order, got {low:g} and {high:g} um")
        first = min(p.position[0] for p in profiles) - 0.5 * width
        last = max(p.position[-1] for p in profiles) + 0.5 * width
        if first < low or last > high:
            raise ValueError(
                f"points with their box must lie in the bar from {low:g} to {high:g} um, got "
                f"{first:g} to {last:g} um"
            )
        return cls(width, sigma, (low, high), both_ends)


def parse_times(time: float | str | Sequence[float | str], number: int) -> list[float]:
    """Durations in s, one per profile.

    Raises
    ------
    ValueError
        If one is not positive, or they are not as many as the profiles.

    Examples
    --------
    >>> parse_times("110 h", 2)
    [396000.0, 396000.0]
    """
    many = [time] * number if isinstance(time, str | float | int | np.number) else list(time)
    if len(many) != number:
        raise ValueError(f"time must be one duration or {number}, one per profile, got {len(many)}")
    out = [parse_quantity(t, TIME, "time") for t in many]
    for t in out:
        if not t > 0:
            raise ValueError(f"time must be positive, got {t:g} s")
    return out


def mixing_envelope(
    c0: FloatArray | float, c1: FloatArray | float, curve: FloatArray
) -> FloatArray:
    """Shape of the local spread's variance, 4 (C - C₀)(C₁ - C)/(C₁ - C₀)²: none at either end."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.clip((curve - c0) / (c1 - c0), 0.0, 1.0)
    return np.nan_to_num(4.0 * share * (1.0 - share))


def source_fraction(profiles: Sequence[Profile]) -> float:
    """C₁ that the profiles carry.

    Raises
    ------
    ValueError
        If they carry none.
    """
    known = shared_attribute(profiles, "c_source")
    if known is None:
        raise ValueError(
            "a free k needs the fraction of the source, got no c1 and no attribute 'c_source'; "
            "give c1=0.95 or c1=(0.95, 0.002)"
        )
    return known


def parse_spread(local_spread: float | str) -> float | None:
    """Local spread as `Noise` wants it; None to estimate it.

    Raises
    ------
    ValueError
        If it is neither 'free' nor a number that is not negative.

    Examples
    --------
    >>> parse_spread(0.008)
    0.008
    """
    if local_spread == FREE:
        return None
    value = parse_quantity(local_spread, "1", "local_spread")
    if value < 0:
        raise ValueError(f"local_spread must not be negative, got {value:g}")
    return value


def profile_noise(
    profiles: Sequence[Profile],
    envelope: Callable[[FloatArray, FloatArray], FloatArray],
    spread: float | None,
) -> Noise:
    """Noise of profiles in a row."""
    return Noise(
        np.concatenate([p.total for p in profiles]),
        np.concatenate([p.variance for p in profiles]),
        envelope,
        spread,
    )


def exchange_slots(
    profile: Profile, time: float, choices: dict[str, Choice], ends: tuple[float, float]
) -> dict[str, Slot]:
    """Slots of the parameters of an exchange, with guesses from one profile.

    Parameters
    ----------
    profile : Profile
        From which to guess.
    time : float
        s.
    choices : dict
        What the person wants of each.
    ends : tuple of float
        Ends of the bar, µm.

    Returns
    -------
    dict of str to Slot
    """
    c0, c1 = guess_ends(profile)
    slots = {
        "c0": Slot("c0", "1", c0, 0.0, 1.0, 0.1).chosen(choices["c0"]),
        "c1": Slot("c1", "1", c1, 0.0, 1.0, 0.1).chosen(choices["c1"]),
    }
    c0, c1 = slots["c0"].start, slots["c1"].start
    span = profile.position[-1] - profile.position[0]
    low = max(ends[0], profile.position[0] - 0.5 * span)
    high = min(ends[1] - 1e-6 * span, profile.position[-1])
    level = Slot("x0", "um", 0.0, low, high, 1.0).chosen(choices["x0"])
    if not level.free and not ends[0] <= level.start < ends[1]:
        raise ValueError(f"x0 must lie in the bar, got {level.start:g} um")
    barrier = Slot("k", "cm/s", 0.0, 0.0, np.inf, 1.0, INVERSE, 1.0 / UM_PER_CM)
    barrier = barrier.chosen(choices["k"])
    top = c1
    if barrier.free:
        top = min(c1, float(np.max(profile.fraction[:3])))
    known = None if level.free and np.isinf(level.std) else level.start
    d, x0 = guess_exchange(profile, time, c0, top, known)
    d_slot = Slot("d_eff", DIFFUSION, np.log(d), *_log_range(span, time), 1.0, LOG, UM2)
    d_slot = d_slot.chosen(choices["d_eff"])
    if level.free and np.isinf(level.std):
        level = _moved(level, x0)
    level = _scaled(level, float(np.sqrt(np.exp(d_slot.start) * time)))
    natural = float(np.sqrt(time / np.exp(d_slot.start)))
    if barrier.free and np.isinf(barrier.std):
        share = (top - c0) / (c1 - c0) if c1 != c0 else 0.9
        barrier = _moved(barrier, natural / guess_barrier(share))
    return {"d_eff": d_slot, "x0": level, **slots, "k": _scaled(barrier, natural)}


def _log_range(span: float, time: float) -> tuple[float, float]:
    """Bounds of ln D: from a diffusion length of a hundred-thousandth of the line to 100 lines."""
    return float(np.log((1e-5 * span) ** 2 / time)), float(np.log((100.0 * span) ** 2 / time))


def _moved(slot: Slot, start: float) -> Slot:
    return replace(slot, start=start)


def _scaled(slot: Slot, scale: float) -> Slot:
    return replace(slot, scale=scale)


@dataclass(frozen=True, eq=False)
class ExchangeCurve:
    """Fractions of all profiles at the free parameters; remembers the last shares."""

    layout: Layout
    profiles: Sequence[Profile]
    times: Sequence[float]
    view: Instrument
    index: Sequence[dict[str, int]]  # of each profile: where its parameters are
    memory: dict[tuple[int, float, float, float], FloatArray] = field(default_factory=dict)

    def __call__(self, theta: FloatArray) -> FloatArray:
        """Fraction at all points."""
        full = self.layout.full(theta)
        return np.concatenate([self._one(i, full) for i in range(len(self.profiles))])

    def envelope(self, theta: FloatArray, curve: FloatArray) -> FloatArray:
        """Shape of the local spread."""
        full = self.layout.full(theta)
        sizes = [p.position.size for p in self.profiles]
        c0 = np.repeat([full[ix["c0"]] for ix in self.index], sizes)
        c1 = np.repeat([full[ix["c1"]] for ix in self.index], sizes)
        return mixing_envelope(c0, c1, curve)

    def _one(self, i: int, full: FloatArray) -> FloatArray:
        ix = self.index[i]
        share = self._share(i, full[ix["d_eff"]], full[ix["x0"]], full[ix["k"]])
        c = full[ix["c0"]] + (full[ix["c1"]] - full[ix["c0"]]) * share
        if "c_immersed" in ix:
            before = self._before(self.profiles[i].position, full[ix["x0"]])
            top = self._share(i, full[ix["d_eff"]], full[ix["x0"]], full[ix["k"]], surface=True)
            surface = full[ix["c0"]] + (full[ix["c1"]] - full[ix["c0"]]) * float(top[0])
            c = c + before * (full[ix["c_immersed"]] - surface)
        return np.asarray(c)

    def _share(
        self, i: int, log_d: float, x0: float, resistance: float, *, surface: bool = False
    ) -> FloatArray:
        at = np.array([x0]) if surface else self.profiles[i].position
        key = (-1 - i if surface else i, float(log_d), float(x0), float(resistance))
        if key not in self.memory:
            if len(self.memory) > 16 * len(self.profiles):
                self.memory.clear()
            self.memory[key] = exchange_share(
                at,
                float(np.exp(log_d)),
                float(x0),
                1.0 / resistance if resistance > 0 else np.inf,
                time=self.times[i],
                ends=self.view.ends,
                both_ends=self.view.both_ends,
                box=0.0 if surface else self.view.box,
                blur=0.0 if surface else self.view.blur,
            )
        return self.memory[key]

    def _before(self, x: FloatArray, x0: float) -> FloatArray:
        """Share of each point that lies before the level."""
        view = self.view
        if view.blur > 0:
            u = (x0 - x[:, None] - 0.5 * view.box * _NODES) / view.blur
            return np.asarray(0.5 * ndtr(u) @ _WEIGHTS)
        if view.box > 0:
            return np.clip((x0 - x) / view.box + 0.5, 0.0, 1.0)
        return (x < x0).astype(float)


def _behind(profile: Profile, plateau: float) -> Profile:
    """Return the part of a profile behind a plateau, from which to guess what follows it."""
    c = profile.fraction
    left = np.abs(c - plateau) > 0.05 * (c.max() - c.min())
    first = min(int(np.argmax(left)), max(0, c.size - 4))
    return replace(profile, position=profile.position[first:], fraction=c[first:])


def _near_half(profile: Profile, view: Instrument) -> Profile:
    """Return the half of a profile nearer to the level, from which to guess; all if it is short."""
    far = max(view.ends[1], profile.position[-1])
    near = profile.position < 0.5 * (max(view.ends[0], profile.position[0]) + far)
    if np.count_nonzero(near) < 4:
        return profile
    return replace(profile, position=profile.position[near], fraction=profile.fraction[near])


def exchange_curve(
    profiles: Sequence[Profile],
    times: Sequence[float],
    choices: dict[str, Choice],
    separate: Sequence[str],
    view: Instrument,
    immersed: str,
) -> tuple[Layout, ExchangeCurve]:
    """Lay out the parameters of an exchange and the curve that they make.

    Parameters
    ----------
    profiles : sequence of Profile
    times : sequence of float
        s, one per profile.
    choices : dict
        What the person wants of each parameter.
    separate : sequence of str
        Parameters that each profile has for itself.
    view : Instrument
    immersed : str
        "surface" or "free".

    Returns
    -------
    Layout, ExchangeCurve
    """
    slots: list[Slot] = []
    index: list[dict[str, int]] = []
    for i, (profile, time) in enumerate(zip(profiles, times, strict=True)):
        top = float(np.median(profile.fraction[:3]))
        guided = _near_half(profile, view) if view.both_ends else profile
        guided = _behind(guided, top) if immersed == "free" else guided
        own = exchange_slots(guided, time, choices, view.ends)
        if immersed == "free":
            own["c_immersed"] = Slot("c_immersed", "1", top, 0.0, 1.0, 0.1)
        where = {}
        for name, slot in own.items():
            alone = name in separate or (name == "c_immersed" and len(profiles) > 1)
            if i == 0 or alone:
                named = replace(slot, name=f"{name}[{profile.name}]") if alone else slot
                where[name] = len(slots)
                slots.append(named)
            else:
                where[name] = index[0][name]
        index.append(where)
    layout = Layout(tuple(slots))
    return layout, ExchangeCurve(layout, profiles, times, view, index)

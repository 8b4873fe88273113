"""The curve of an exchange as a fit moves it: parameters, first guesses, the instrument."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import erfcinv, erfcx, ndtr

from lliso._types import BoolArray, FloatArray
from lliso.diffusion.long_range import exchange_share
from lliso.fit.parameters import FREE, INVERSE, LOG, Choice, Layout, Slot
from lliso.fit.profiles import Profile, shared_attribute
from lliso.fit.scoring import Noise
from lliso.units import DIFFUSION, LENGTH, TIME, UM_PER_CM, parse_quantity

UM2 = UM_PER_CM**-2  # 1 µm²/s in cm²/s
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)


@dataclass(frozen=True)
class Instrument:
    """What the measurement does to a profile: box and Gaussian blur (µm), ends of the bar (µm)."""

    box: float
    blur: float
    ends: tuple[float, float]

    @classmethod
    def parse(
        cls,
        profiles: Sequence[Profile],
        box: float | str | None,
        blur: float | str,
        ends: tuple[float | str, float | str] | None,
    ) -> Instrument:
        """Read and check; the box is taken from the profiles where it is None.

        Raises
        ------
        ValueError
            If a width is negative, the ends are not in order, or points lie outside the bar.
        """
        if box is None:
            box = shared_attribute(profiles, "box_um") or 0.0
        width = parse_quantity(box, LENGTH, "box")
        sigma = parse_quantity(blur, LENGTH, "blur")
        if width < 0 or sigma < 0:
            raise ValueError(f"box and blur must not be negative, got {width:g} and {sigma:g} um")
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
        return cls(width, sigma, (low, high))


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


def guess_ends(profile: Profile) -> tuple[float, float]:
    """Guess C₀ and C₁: what the attributes say, else the ends of the measured range."""
    c = np.sort(profile.fraction)
    few = max(1, c.size // 12)
    low = float(str(profile.attrs.get("c_natural", np.median(c[:few]))))
    high = float(str(profile.attrs.get("c_source", np.median(c[-few:]))))
    return low, high


def guess_exchange(
    profile: Profile, time: float, c0: float, c1: float, x0: float | None = None
) -> tuple[float, float]:
    """Guess D_eff (µm²/s) and level (µm) from the straight line erfc⁻¹ makes of the profile.

    Parameters
    ----------
    profile : Profile
    time : float
        s.
    c0, c1 : float
        Fractions far away and at the surface.
    x0 : float, optional
        Level, if it is known.

    Returns
    -------
    d_eff, x0 : float
    """
    x = profile.position
    share = (profile.fraction - c0) / (c1 - c0) if c1 != c0 else np.full(x.shape, np.nan)
    use: BoolArray = (share > 0.05) & (share < 0.95)
    if np.count_nonzero(use) >= 2:
        z = erfcinv(share[use])
        weight = np.exp(-2.0 * z**2)  # an error of the share is one of z times e^(z²)
        if x0 is None:
            mean_x, mean_z = np.average(x[use], weights=weight), np.average(z, weights=weight)
            dx, dz = x[use] - mean_x, z - mean_z
            slope = np.sum(weight * dx * dz) / np.sum(weight * dx**2)
            level = mean_x - mean_z / slope if slope > 0 else x[0]
        else:
            dx = x[use] - x0
            slope, level = np.sum(weight * dx * z) / np.sum(weight * dx**2), x0
        if slope > 0:
            return float(0.25 / (slope**2 * time)), float(np.clip(level, x[0], x[-1]))
    reach = 0.25 * (x[-1] - x[0])
    steepest = int(np.argmin(np.diff(profile.fraction))) if x.size > 1 else 0
    return float(reach**2 / (16.0 * time)), float(x[steepest] if x0 is None else x0)


def guess_barrier(surface_share: float) -> float:
    """Guess h√(Dt) = k√(t/D) from the share at the surface, 1 - erfcx.

    Examples
    --------
    >>> round(float(erfcx(guess_barrier(0.6))), 3)
    0.4
    """
    wanted = float(np.clip(1.0 - surface_share, 1e-3, 0.999))
    grid = np.logspace(-4, 4, 2001)
    return float(np.exp(np.interp(-np.log(wanted), -np.log(erfcx(grid)), np.log(grid))))


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
        guided = _behind(profile, top) if immersed == "free" else profile
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

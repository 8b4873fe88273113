"""What a person decides about Arrhenius series, and the laws that follow.

`ArrheniusChoices` is a small file: which points are left out, the range of temperatures, whether
one activation energy is shared, between which two series the Haven ratio is taken.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from lliso._types import BoolArray, FloatArray
from lliso.errors import FormatError, PicksMismatch
from lliso.fit.activated import inside, kelvin
from lliso.fit.arrhenius import ArrheniusFit, fit_arrhenius
from lliso.fit.arrhenius_series import SAME, Series
from lliso.fit.arrhenius_shared import SharedArrhenius, fit_arrhenius_shared
from lliso.fit.boundary_law import fit_boundary_law
from lliso.fit.profile_choices import read_record
from lliso.fit.transport import HavenRatio, haven_ratio, haven_ratio_points
from lliso.maps.decisions import read_decisions

_KIND = "lliso arrhenius choices"


@dataclass(frozen=True)
class ArrheniusChoices:
    """How Arrhenius series are fitted.

    Attributes
    ----------
    off : tuple of (str, float)
        Points left out: series and temperature (K).
    low, high : float or None
        Range of temperatures used (K), for all series.
    shared : bool
        One activation energy for all measured series.
    tracer, charge : str
        Series of which the Haven ratio is taken; "" for none.
    hidden : tuple of str
        Series that are neither shown nor fitted.
    at : float
        Temperature (K) at which values are predicted.

    Examples
    --------
    >>> choices = ArrheniusChoices(off=(("D", 473.15),), low=290.0)
    >>> ArrheniusChoices.loads(choices.dumps()) == choices
    True
    """

    off: tuple[tuple[str, float], ...] = ()
    low: float | None = None
    high: float | None = None
    shared: bool = False
    tracer: str = ""
    charge: str = ""
    hidden: tuple[str, ...] = ()
    at: float = 295.15

    def __post_init__(self) -> None:
        ends = [v for v in (self.low, self.high) if v is not None]
        for value in (*ends, self.at):
            kelvin(value)
        if len(ends) == 2 and not ends[0] < ends[1]:
            raise ValueError(
                f"the lower temperature must be below the upper, got {ends[0]:g} and {ends[1]:g} K"
            )

    @property
    def window(self) -> tuple[float | None, float | None] | None:
        """Range of temperatures, as `lliso.fit_arrhenius` takes it."""
        return None if self.low is None and self.high is None else (self.low, self.high)

    def toggled(self, points: Sequence[tuple[str, float]]) -> ArrheniusChoices:
        """Return choices without these points, or with them if all of them were left out."""
        now, given = set(self.off), set(points)
        now = now - given if given <= now else now | given
        return replace(self, off=tuple(sorted(now)))

    def dumps(self) -> str:
        """Return the choices as JSON, equal text for equal choices."""
        body = {"kind": _KIND, "version": 1, **asdict(self)}
        return json.dumps(body, indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def loads(cls, text: str, path: str = "choices") -> ArrheniusChoices:
        """Read choices from JSON.

        Raises
        ------
        FormatError
            If it is none, or of other contents.
        """
        body = read_record(text, _KIND, path)
        try:
            ends = [None if body[k] is None else float(body[k]) for k in ("low", "high")]
            return cls(
                off=tuple(sorted((str(s), float(t)) for s, t in body["off"])),
                low=ends[0],
                high=ends[1],
                shared=bool(body["shared"]),
                tracer=str(body["tracer"]),
                charge=str(body["charge"]),
                hidden=tuple(sorted(str(s) for s in body["hidden"])),
                at=float(body["at"]),
            )
        except (KeyError, TypeError, ValueError) as err:
            raise FormatError(path, None, f"no choices for Arrhenius series: {err}") from None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ArrheniusChoices:
        """Read the file that `lliso.explore_arrhenius` writes."""
        cure = "choose first, lliso.explore_arrhenius(..., file) writes it"
        return cls.loads(read_decisions(path, "choices", cure), str(path))


@dataclass(frozen=True, eq=False)
class Laws:
    """What choices give.

    Attributes
    ----------
    fits : dict of str to ArrheniusFit
    shared : SharedArrhenius or None
    haven : HavenRatio or None
        At the temperature of the choices.
    problems : dict of str to str
        Why a series, ``shared`` or ``haven`` has no result.
    """

    fits: dict[str, ArrheniusFit]
    shared: SharedArrhenius | None = None
    haven: HavenRatio | None = None
    problems: dict[str, str] = field(default_factory=dict)


def used_points(series: Mapping[str, Series], choices: ArrheniusChoices, name: str) -> BoolArray:
    """Which points of a series are used: those that neither choices nor the range leave out."""
    one = series[name]
    keep = inside(one.temperature, choices.window)
    for who in (name, *(one.parents or ())):
        for _, t in (p for p in choices.off if p[0] == who):
            keep &= np.abs(one.temperature - t) > SAME
    return keep


def checked_choices(series: Mapping[str, Series], choices: ArrheniusChoices) -> ArrheniusChoices:
    """Check that choices belong to these series.

    Raises
    ------
    PicksMismatch
        If they name a series or a point that is not there.
    """
    names = {*(s for s, _ in choices.off), *choices.hidden, choices.tracer, choices.charge} - {""}
    unknown = sorted(names - set(series))
    if unknown:
        raise PicksMismatch(
            f"the choices must be about {', '.join(series)}, got {unknown[0]!r}; start with "
            "another file"
        )
    for name, t in choices.off:
        if not np.any(np.abs(series[name].temperature - t) <= SAME):
            raise PicksMismatch(f"a point left out must be of {name!r}, got none at {t:g} K")
    return choices


def fit_laws(series: Mapping[str, Series], choices: ArrheniusChoices) -> Laws:
    """Fit series as a person chose.

    A series that cannot be fitted is a problem in words, not an error: the others stand.

    Parameters
    ----------
    series : mapping of str to Series
        Of `lliso.fit.arrhenius_series.read_series`.
    choices : ArrheniusChoices

    Returns
    -------
    Laws

    Raises
    ------
    PicksMismatch
        If the choices are about other series.

    Examples
    --------
    >>> from lliso.fit.arrhenius_series import read_series
    >>> t = np.array([295.15, 373.15, 473.15])
    >>> d = 0.048 * np.exp(-0.43 / (8.617333262e-5 * t))
    >>> laws = fit_laws(read_series({"D": (t, d, 0.05 * d)}), ArrheniusChoices())
    >>> round(laws.fits["D"].energy, 6)
    0.43
    """
    checked_choices(series, choices)
    fits: dict[str, ArrheniusFit] = {}
    problems: dict[str, str] = {}
    shown = [name for name in series if name not in choices.hidden]
    for name in shown:
        try:
            fits[name] = _fit_one(series, choices, name)
        except ValueError as err:
            problems[name] = str(err)
    shared = None
    if choices.shared:
        measured = [n for n in shown if n in fits and series[n].parents is None]
        try:
            shared = fit_arrhenius_shared(
                {n: _kept(series, choices, n) for n in measured},
            )
        except ValueError as err:
            problems["shared"] = str(err)
        else:
            fits |= shared.fits
    haven = None
    if choices.tracer and choices.charge:
        try:
            haven = haven_at(fits, shared, choices, choices.at)
        except ValueError as err:
            problems["haven"] = str(err)
    return Laws(fits, shared, haven, problems)


def _kept(series: Mapping[str, Series], choices: ArrheniusChoices, name: str) -> tuple[Any, ...]:
    one, keep = series[name], used_points(series, choices, name)
    std = None if one.std is None else one.std[keep]
    return one.temperature[keep], one.value[keep], std


def _fit_one(series: Mapping[str, Series], choices: ArrheniusChoices, name: str) -> ArrheniusFit:
    one = series[name]
    if one.parents is None:
        t, v, std = _kept(series, choices, name)
        return fit_arrhenius(t, v, std, name=name, unit=one.unit)
    keep = used_points(series, choices, name)
    total, bulk = (series[p] for p in one.parents)
    if total.std is None or bulk.std is None:
        raise ValueError(f"the boundary {name!r} needs the errors of both series")
    return fit_boundary_law(
        one.temperature[keep],
        total.value[keep],
        bulk.value[keep],
        total.std[keep],
        bulk.std[keep],
        name=name,
    )


def haven_at(
    fits: Mapping[str, ArrheniusFit],
    shared: SharedArrhenius | None,
    choices: ArrheniusChoices,
    temperature: Any,
) -> HavenRatio:
    """Return the Haven ratio of the two series of choices.

    Where both share their energy, it is the ratio of the prefactors at every temperature, and the
    error of the energy drops out of its error.

    Raises
    ------
    ValueError
        If they are one series, or one has no law.
    """
    pair = choices.tracer, choices.charge
    for name in pair:
        if name not in fits:
            raise ValueError(f"the Haven ratio needs a law of {name!r}, got none")
    if pair[0] == pair[1]:
        raise ValueError(f"tracer and charge must be two series, got {pair[0]!r} twice")
    found = haven_ratio(fits[pair[0]], fits[pair[1]], temperature)
    if shared is None or not set(pair) <= set(shared.names):
        return found
    std = shared.prefactor_ratio(*pair)[1]
    return replace(
        found,
        from_prefactors_std=std,
        ratio_std=np.full_like(found.ratio, std),
        energy_difference_std=0.0,
    )


def haven_points(
    series: Mapping[str, Series], choices: ArrheniusChoices
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return temperatures at which both series are measured and used, the ratio and its error."""
    one, other = series[choices.tracer], series[choices.charge]
    use, also = (used_points(series, choices, n) for n in (choices.tracer, choices.charge))
    pairs = [
        (i, j)
        for i in np.flatnonzero(use & np.isfinite(one.value))
        for j in np.flatnonzero(also & np.isfinite(other.value))
        if abs(one.temperature[i] - other.temperature[j]) < SAME
    ]
    i, j = ([p[k] for p in pairs] for k in (0, 1))
    stds = [np.zeros(len(k)) if s.std is None else s.std[k] for s, k in ((one, i), (other, j))]
    t = one.temperature[i]
    found = haven_ratio_points(t, one.value[i], other.value[j], *stds) if pairs else None
    if found is None:
        return t, t, t
    return t, found["ratio"].values, found["ratio_std"].values

"""What a person decides about the long-range profiles of a sample, and the fit that follows.

`ProfileChoices` is a small file: the model, what is held, which points are left out. `fit_chosen`
makes the result of it with `lliso.fit_exchange`, `lliso.fit_anneal` or `lliso.fit_sample`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.errors import FormatError, PicksMismatch
from lliso.fit.anneal import fit_anneal
from lliso.fit.exchange import fit_exchange
from lliso.fit.parameters import FREE
from lliso.fit.profiles import Profile, read_profiles
from lliso.fit.sample import ARRHENIUS, EACH, SHARED, fit_sample
from lliso.maps.decisions import read_decisions
from lliso.schema import COUNTS, SPECIES

if TYPE_CHECKING:
    import xarray as xr

EXCHANGE, FITTED, MEASURED, ALL = "exchange", "storage fitted", "storage measured", "all"
#: the models, in words
MODELS = {
    EXCHANGE: "exchange",
    FITTED: "storage, fitted start",
    MEASURED: "storage, measured start",
    ALL: "all stages together",
}
#: the laws of D in the storages, in words
LAWS = {EACH: "D of each storage", SHARED: "one D of all storages", ARRHENIUS: "D₀ exp(−E_a/kT)"}
#: parameters that can be held, and their units
HOLDABLE = {"x0": "um", "c0": "1", "c1": "1", "k": "cm/s"}
_KIND = "lliso profile choices"


@dataclass(frozen=True)
class ProfileChoices:
    """How the profiles of a sample are fitted.

    Attributes
    ----------
    model : str
        One of `MODELS`.
    stage : str
        Of the storage models: which storage.
    law : str
        Of the model of all stages: see `lliso.fit_sample`.
    barrier : bool
        Whether the surface has a barrier k.
    spread : bool
        Whether places at one distance may differ by more than counting.
    held : tuple of (str, float)
        Parameters that are held: `x0` (µm), `c0`, `c1`, `k` (cm/s).
    excluded : tuple of (str, float)
        Points left out: stage, and the position as the profile's coordinate has it.

    Examples
    --------
    >>> choices = ProfileChoices(held=(("x0", 260.0),))
    >>> ProfileChoices.loads(choices.dumps()) == choices
    True
    """

    model: str = EXCHANGE
    stage: str = ""
    law: str = EACH
    barrier: bool = False
    spread: bool = True
    held: tuple[tuple[str, float], ...] = ()
    excluded: tuple[tuple[str, float], ...] = ()
    map_ids: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise ValueError(f"model must be one of {', '.join(MODELS)}, got {self.model!r}")
        if self.law not in LAWS:
            raise ValueError(f"law must be one of {', '.join(LAWS)}, got {self.law!r}")
        for name, value in self.held:
            if name not in HOLDABLE:
                raise ValueError(
                    f"only {', '.join(HOLDABLE)} can be held, got {name!r}; leave the others free"
                )
            if not np.isfinite(value):
                raise ValueError(f"{name} must be held at a number, got {value:g}")

    def holding(self, name: str, value: float | None) -> ProfileChoices:
        """Return choices with a parameter held at a value, or free (None)."""
        kept = {k: v for k, v in self.held if k != name}
        if value is not None:
            kept[name] = float(value)
        return replace(self, held=tuple(sorted(kept.items())))

    def toggled(self, points: Sequence[tuple[str, float]]) -> ProfileChoices:
        """Return choices without these points, or with them if all of them were left out."""
        now, given = set(self.excluded), set(points)
        now = now - given if given <= now else now | given
        return replace(self, excluded=tuple(sorted(now)))

    def dumps(self) -> str:
        """Return the choices as JSON, equal text for equal choices."""
        body = {"kind": _KIND, "version": 1, **asdict(self)}
        body["held"], body["map_ids"] = dict(self.held), dict(self.map_ids)
        return json.dumps(body, indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def loads(cls, text: str, path: str = "choices") -> ProfileChoices:
        """Read choices from JSON.

        Raises
        ------
        FormatError
            If it is none, or of other contents.
        """
        body = read_record(text, _KIND, path)
        try:
            return cls(
                model=str(body["model"]),
                stage=str(body["stage"]),
                law=str(body["law"]),
                barrier=bool(body["barrier"]),
                spread=bool(body["spread"]),
                held=tuple(sorted((str(k), float(v)) for k, v in body["held"].items())),
                excluded=tuple(sorted((str(s), float(x)) for s, x in body["excluded"])),
                map_ids=tuple(sorted((str(k), str(v)) for k, v in body["map_ids"].items())),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as err:
            raise FormatError(path, None, f"no choices for profiles: {err}") from None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ProfileChoices:
        """Read the file that `lliso.explore_profiles` writes."""
        cure = "choose first, lliso.explore_profiles(..., file) writes it"
        return cls.loads(read_decisions(path, "choices", cure), str(path))


def read_record(text: str, kind: str, path: str) -> dict[str, Any]:
    """Read a JSON record of a kind.

    Raises
    ------
    FormatError
        If it is not JSON, or of another kind or version.
    """
    try:
        body = json.loads(text)
    except json.JSONDecodeError as err:
        raise FormatError(path, err.lineno, f"no JSON: {err.msg}") from None
    if not isinstance(body, dict) or body.get("kind") != kind:
        found = body.get("kind") if isinstance(body, dict) else type(body).__name__
        raise FormatError(path, None, f"must be {kind!r}, got {found!r}")
    if body.get("version") != 1:
        raise FormatError(path, None, f"version must be 1, got {body.get('version')!r}")
    return body


@dataclass(frozen=True, eq=False)
class SampleProfiles:
    """The profiles of a sample by stage, the exchange first, with what was done to it.

    Attributes
    ----------
    profiles : dict of str to xarray.Dataset
    exchange : float or str
        Duration of the exchange, s or with unit.
    storage : tuple
        Duration of each storage after it.
    ends : pair, optional
        Ends of the bar, µm or with unit; needed for storages.
    temperatures : tuple, optional
        Of the storages, K or with unit.

    Raises
    ------
    ValueError
        If durations or temperatures are not one per stage, or a profile cannot be read.
    """

    profiles: dict[str, xr.Dataset]
    exchange: float | str
    storage: tuple[Any, ...] = ()
    ends: tuple[float | str, float | str] | None = None
    temperatures: tuple[Any, ...] | None = None
    _points: dict[str, tuple[Profile, list[float]]] = field(
        default_factory=dict, init=False, repr=False
    )

    def __post_init__(self) -> None:
        if not self.profiles:
            raise ValueError("a sample needs at least one profile, got none")
        if len(self.storage) != len(self.profiles) - 1:
            raise ValueError(
                "storage must be one duration for each profile after the first, got "
                f"{len(self.storage)} for {len(self.profiles)} profiles"
            )
        if self.storage and self.ends is None:
            raise ValueError("profiles after storage need the ends of the bar: ends=(low, high)")
        if self.temperatures is not None and len(self.temperatures) != len(self.storage):
            raise ValueError(
                f"temperatures must be one per storage ({len(self.storage)}), got "
                f"{len(self.temperatures)}"
            )

    @property
    def stages(self) -> list[str]:
        """Names of the stages, the exchange first."""
        return list(self.profiles)

    @property
    def models(self) -> list[str]:
        """Which of `MODELS` can be fitted."""
        return list(MODELS) if self.storage else [EXCHANGE]

    @property
    def laws(self) -> list[str]:
        """Which of `LAWS` can be fitted."""
        return list(LAWS) if self.temperatures is not None else [EACH, SHARED]

    def points(self, stage: str) -> tuple[Profile, list[float]]:
        """Return a profile as arrays, and the coordinate of each of its points."""
        if stage not in self._points:  # a screen asks a dozen times while a level is dragged
            self._points[stage] = self._read_points(self.profiles[stage])
        return self._points[stage]

    def _read_points(self, ds: xr.Dataset) -> tuple[Profile, list[float]]:
        (profile,) = read_profiles(ds)
        name = _dimension(ds)
        at = np.asarray(ds[name].values, dtype=float)
        if COUNTS in ds:
            at = at[ds[COUNTS].sum(SPECIES).values > 0]
        else:
            at = at[np.isfinite(ds["fraction"].values)]
        return profile, [float(v) for v in at]

    def kept(self, stage: str, choices: ProfileChoices) -> xr.Dataset:
        """Return a profile without the points that are left out.

        Raises
        ------
        ValueError
            If none is left, or one that is left out is not there.
        """
        ds = self.profiles[stage]
        name = _dimension(ds)
        off = [x for s, x in choices.excluded if s == stage]
        missing = sorted(set(off) - {float(v) for v in ds[name].values})
        if missing:
            raise ValueError(
                f"points that are left out must be in {stage!r}, got {name} {missing[0]:g}"
            )
        if len(off) >= ds.sizes[name]:
            raise ValueError(f"at least one point of {stage!r} must be used, got none")
        left = ds.drop_sel({name: off}) if off else ds
        return left.assign_attrs(stage=stage)

    def anchored(self, choices: ProfileChoices) -> ProfileChoices:
        """Check that choices belong to these profiles, and note whose they are.

        Raises
        ------
        PicksMismatch
            If they were made on another profile.
        ValueError
            If their stage or law does not fit the sample.
        """
        made_on = dict(choices.map_ids)
        ids = {s: str(ds.attrs.get("map_id", "")) for s, ds in self.profiles.items()}
        for stage, found in ids.items():
            if made_on.get(stage, found) != found:
                raise PicksMismatch(
                    f"the choices must be made on this profile of {stage!r} ({found}), got those "
                    f"of {made_on[stage]}; start with another file"
                )
        unknown = [s for s, _ in choices.excluded if s not in self.profiles]
        if unknown:
            raise PicksMismatch(
                f"a point left out must be of {', '.join(self.stages)}, got {unknown[0]!r}"
            )
        if choices.model not in self.models:
            raise ValueError(f"the model {choices.model!r} needs a profile after storage, got none")
        if choices.law not in self.laws:
            raise ValueError(f"law {choices.law!r} needs the temperatures of the storages")
        stage = choices.stage if choices.stage in self.stages[1:] else (self.stages[1:] or [""])[0]
        return replace(choices, stage=stage, map_ids=tuple(sorted(ids.items())))

    def used(self, choices: ProfileChoices) -> list[str]:
        """Return the stages that the model fits, in order; a measured start is not fitted."""
        if choices.model == EXCHANGE:
            return self.stages[:1]
        return self.stages if choices.model == ALL else [choices.stage]


def _dimension(ds: xr.Dataset) -> str:
    data = ds[COUNTS] if COUNTS in ds else ds["fraction"]
    return next(str(d) for d in data.dims if d != SPECIES)


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a fit: the function, the stages it takes, its other arguments."""

    function: str
    stages: tuple[str, ...]
    options: Mapping[str, Any]


def calls_of(sample: SampleProfiles, choices: ProfileChoices) -> list[Call]:
    """Return the calls that make the result of choices; the last gives it."""
    held = dict(choices.held)
    parameters: dict[str, Any] = {n: held[n] for n in ("x0", "c0", "c1") if n in held}
    if choices.barrier:
        parameters["k"] = held.get("k", FREE)
    spread: dict[str, Any] = {} if choices.spread else {"local_spread": 0.0}
    ends = {} if sample.ends is None else {"ends": sample.ends}
    first = sample.stages[0]
    begin = Call(
        "fit_exchange", (first,), {"time": sample.exchange, **parameters, **ends, **spread}
    )
    if choices.model == EXCHANGE:
        return [begin]
    if choices.model == ALL:
        options: dict[str, Any] = {"exchange": sample.exchange, "storage": list(sample.storage)}
        if choices.law == ARRHENIUS and sample.temperatures is not None:
            options["temperatures"] = list(sample.temperatures)
        law = {} if choices.law == EACH else {"law": choices.law}
        return [
            Call("fit_sample", tuple(sample.stages), options | ends | law | parameters | spread)
        ]
    at = sample.stages.index(choices.stage)
    if choices.model == MEASURED:
        options = {"time": sample.storage[at - 1], **ends, **spread}
        return [Call("fit_anneal", (choices.stage, sample.stages[at - 1]), options)]
    time = sample.storage[0] if at == 1 else _sum_of(sample.storage[:at])
    return [begin, Call("fit_anneal", (choices.stage,), {"time": time, **ends, **spread})]


def _sum_of(durations: Sequence[Any]) -> float:
    from lliso.fit.sample import parse_stages

    return float(sum(s.duration for s in parse_stages(list(durations), None)))


def fit_chosen(
    sample: SampleProfiles, choices: ProfileChoices | str | os.PathLike[str]
) -> xr.Dataset:
    """Fit the profiles of a sample as a person chose.

    Parameters
    ----------
    sample : SampleProfiles
    choices : ProfileChoices, str or os.PathLike
        Choices, or their file.

    Returns
    -------
    xarray.Dataset
        Of `lliso.fit_exchange`, `lliso.fit_anneal` or `lliso.fit_sample`.

    Raises
    ------
    PicksMismatch, ValueError
        If the choices do not belong to the sample, or cannot be fitted.

    Examples
    --------
    >>> from lliso.maps.synthetic_profiles import LineAnalysis, simulate_line_analysis
    >>> line = LineAnalysis(d_exchange=3.0e-9, level=260.0)
    >>> (after, *_), _ = simulate_line_analysis(line, seed=1)
    >>> sample = SampleProfiles({"exchange": after}, "110 h")
    >>> free = fit_chosen(sample, ProfileChoices()).sel(param="d_eff")
    >>> held = fit_chosen(sample, ProfileChoices(held=(("x0", 0.0),))).sel(param="d_eff")
    >>> bool(held.value > 1.3 * free.value)  # a level held too low makes D too large
    True
    """
    if not isinstance(choices, ProfileChoices):
        choices = ProfileChoices.load(choices)
    choices = sample.anchored(choices)
    result: Any = None
    for call in calls_of(sample, choices):
        data = [sample.kept(s, choices) for s in call.stages]
        if call.function == "fit_exchange":
            result = fit_exchange(data[0], **call.options)
        elif call.function == "fit_sample":
            result = fit_sample(data, **call.options)
        else:
            start = data[1] if len(data) > 1 else result
            result = fit_anneal(data[0], start=start, **call.options)
    found: xr.Dataset = result
    return found

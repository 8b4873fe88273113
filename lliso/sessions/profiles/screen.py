"""What the profile app shows: points, curves, handles, residuals, the table in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.fit.conservation import DRIFT
from lliso.fit.profile_choices import (
    ALL,
    EXCHANGE,
    FITTED,
    LAWS,
    MEASURED,
    MODELS,
    ProfileChoices,
    SampleProfiles,
)
from lliso.fit.profile_table import FLAGS
from lliso.sessions.in_words import flags_in_words, interval, value_error
from lliso.sessions.parts import Part, across, axis, line, points, table, words
from lliso.sessions.profiles.layout import HANDLES
from lliso.sessions.profiles.report import shown_curve

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

    from lliso.sessions.session import Screen

#: flags that are no warning: what they say is in the errors already
_MILD = {"local_spread", "no_barrier", "points_dropped"}
_COLUMNS = (
    ("parameter", "parameter", ""),
    ("value", "value ± standard error", ""),
    ("interval", "95 % interval", ""),
    ("unit", "unit", ""),
    ("how", "how", ""),
)
_NAMES = {
    "d_eff": "D_eff",
    "x0": "liquid level x₀",
    "c0": "C₀, far away",
    "c1": "C₁, of the source",
    "k": "surface exchange k",
    "e_a": "E_a",
    "d_ref": "D at the middle temperature",
    "d0": "D₀",
}
_UNITS = {"cm^2/s": "cm²/s", "um": "µm", "1": "", "cm/s": "cm/s", "eV": "eV"}


def point_name(stage: str, coordinate: float) -> str:
    """Return what a point is called in gestures."""
    return f"{stage}|{coordinate!r}"


def names_of(sample: SampleProfiles, stages: Sequence[str]) -> list[str]:
    """Return the names of all points of stages, in order."""
    return [point_name(s, c) for s in stages for c in sample.points(s)[1]]


def profile_screen(sample: SampleProfiles, choices: ProfileChoices, found: xr.Dataset) -> Screen:
    """Return the screen of a result."""
    flags = str(found["flags"].item()).split()
    said = flags_in_words(flags, FLAGS)
    serious = [f for f in flags if f not in _MILD]
    simulated = " · simulated" if int(found.attrs.get("simulated", 0)) else ""
    ends = _range(sample)
    return {
        "title": f"Long-range profiles{simulated}",
        "message": "; ".join(said),
        "level": "warning" if serious else "info",
        "panels": {
            "profile": {
                "marks": [*_data(sample, choices, found), *_handles(choices, found, ends)],
                "x": axis("", ends, bare=True),
                "y": axis("isotope fraction C", _heights(sample, choices, found)),
                "result": _result(found),
            },
            "residuals": _residuals(sample, found, ends),
        },
        "controls": _values(sample, choices, found),
        "can": {"points": bool(choices.excluded), "held": bool(choices.held)},
        **table(_COLUMNS, _rows(choices, found)),
    }


def _colour(sample: SampleProfiles, stage: str) -> str:
    return f"c{sample.stages.index(stage) % 8}"


def _data(sample: SampleProfiles, choices: ProfileChoices, found: xr.Dataset) -> list[Part]:
    used, marks = sample.used(choices), []
    started = sample.stages[sample.stages.index(choices.stage) - 1] if choices.stage else ""
    for stage in sample.stages:
        profile, coordinates = sample.points(stage)
        active = stage in used or (choices.model == MEASURED and stage == started)
        names = [point_name(stage, c) for c in coordinates]
        off = [(stage, c) in choices.excluded for c in coordinates]
        more: Part = {"click": "toggle", "remove": "toggle"} if active else {"alpha": 0.25}
        marks.append(
            points(
                profile.position,
                profile.fraction,
                _colour(sample, stage),
                error=_errors(profile, stage, found),
                names=names,
                off=off,
                size=3,
                legend=stage if active else f"{stage} (not used)",
                **more,
            )
        )
        if stage in used:
            x, y = shown_curve(sample, choices, found, stage)
            marks.append(line(x, y, _colour(sample, stage), width=1.8))
    return marks


def _errors(profile: Any, stage: str, found: xr.Dataset) -> Any:
    """Return the errors of the fit, with its spread; of points left out, by counting."""
    error = profile.counting_std()
    mine = (found["of_profile"] == stage).values
    at = np.searchsorted(profile.position, found["position"].values[mine])
    error[at] = found["fraction_std"].values[mine]
    return error


def _range(sample: SampleProfiles) -> tuple[float, float]:
    reach = [v for s in sample.stages for v in sample.points(s)[0].position[[0, -1]]]
    room = 0.025 * (max(reach) - min(reach))
    return float(min(reach) - room), float(max(reach) + room)


def _heights(
    sample: SampleProfiles, choices: ProfileChoices, found: xr.Dataset
) -> tuple[float, float]:
    """Return the ends of the axis of C, in steps: it rests while a level is dragged."""
    levels = [dict(choices.held).get(n, _value_of(found).get(n, np.nan)) for n in ("c0", "c1")]
    shown = [v for s in sample.stages for v in sample.points(s)[0].fraction]
    shown += [v for v in levels if np.isfinite(v)]
    low, high = np.floor(20 * min(shown) - 0.5) / 20, np.ceil(20 * max(shown) + 0.5) / 20
    return float(low), float(high)


def _handles(choices: ProfileChoices, found: xr.Dataset, ends: tuple[float, float]) -> list[Part]:
    if choices.model == MEASURED:
        return []
    held, marks = dict(choices.held), []
    value = _value_of(found)
    for name, label, _, _ in HANDLES:
        at = held.get(name, value.get(name, np.nan))
        if not np.isfinite(at):
            continue
        text = f"{label} held" if name in held else label
        marks.append(
            across(
                "x" if name == "x0" else "y",
                at,
                "fit" if name in held else "muted",
                name=name,
                move="hold",
                click="select",
                inside=True,
                label=text if name == "x0" else "",
                row=13,  # near the bottom, where there are no points
                dash=[] if name in held else [5, 4],
                width=1.3,
            )
        )
        if name != "x0":  # beside the knob in the middle: the legend is at the end
            beside = 0.5 * (ends[0] + ends[1]) + 0.018 * (ends[1] - ends[0])
            style = "fit" if name in held else "muted"
            away = 0.04 if name == "c0" else -0.05
            marks.append(words(text, beside, at + away, style=style, bold=True))
    return marks


def _value_of(found: xr.Dataset, column: str = "value") -> dict[str, float]:
    names = [str(p) for p in found["param"].values]
    return dict(zip(names, map(float, found[column].values), strict=True))


def _result(found: xr.Dataset) -> str:
    value, error = _value_of(found), _value_of(found, "stderr")
    named = [n for n in value if n == "d_eff" or n.startswith("d_eff[storage")]
    named = named or [n for n in value if n.startswith("d_eff")]
    shown = [value_error(value[n], error[n], "cm²/s") for n in named[-1:]]
    which = named[-1].partition("[")[2].rstrip("]") if named else ""
    head = f"D_eff{f' of {which}' if which else ''} = {shown[0]}, " if shown else ""
    return f"{head}χ²_red = {float(found['chi2_red']):.2f}"


def _residuals(sample: SampleProfiles, found: xr.Dataset, ends: tuple[float, float]) -> Part:
    marks: list[Part] = [
        across("y", 0.0, "muted", width=1),
        across("y", 2.0, "muted", dash=[2, 5], width=1, label="2 σ"),
        across("y", -2.0, "muted", dash=[2, 5], width=1),
    ]
    for stage in dict.fromkeys(str(s) for s in found["of_profile"].values):
        mine = found["of_profile"].values == stage
        position = found["position"].values[mine]
        where, coordinates = sample.points(stage)
        at = np.searchsorted(where.position, position)
        names = [point_name(stage, coordinates[i]) for i in at]
        colour = _colour(sample, stage)
        marks.append(
            points(
                position,
                found["residual"].values[mine],
                colour,
                names=names,
                click="toggle",
                remove="toggle",
                size=2.6,
            )
        )
    largest = float(np.nanmax(np.abs(found["residual"].values), initial=0.0))
    reach = max(3.5, 1.1 * largest) if np.isfinite(largest) else 3.5
    return {
        "marks": marks,
        "x": axis("distance from the nominal level (µm)", ends),
        "y": axis("residual (σ)", (-reach, reach)),
    }


def _values(sample: SampleProfiles, choices: ProfileChoices, found: xr.Dataset) -> dict[str, Any]:
    held, value = dict(choices.held), _value_of(found)
    start = choices.model == MEASURED
    one_stage = choices.model in (FITTED, MEASURED)
    shown: dict[str, Any] = {
        "model": {"value": choices.model, "options": [[m, MODELS[m]] for m in sample.models]},
        "stage": {
            "value": choices.stage,
            "options": sample.stages[1:],
            "hidden": not one_stage or len(sample.stages) < 3,
        },
        "law": {
            "value": choices.law,
            "options": [[law, LAWS[law]] for law in sample.laws],
            "hidden": choices.model != ALL,
        },
        "barrier": {"value": choices.barrier, "hidden": start},
        "spread": choices.spread,
    }
    for name, *_ in (*HANDLES, ("k",)):
        hidden = start or (name == "k" and not choices.barrier)
        at = held.get(name, value.get(name, np.nan))
        text: Any = at if np.isfinite(at) else None
        if name == "k":
            text = f"{at:.3g}" if np.isfinite(at) else "∞"
        shown[f"{name}_value"] = {"value": text, "hidden": hidden}
        shown[f"{name}_held"] = {"value": name in held, "hidden": hidden}
    return shown


# the table ---------------------------------------------------------------------------------------
def _rows(choices: ProfileChoices, found: xr.Dataset) -> list[dict[str, Any]]:
    columns = ("param", "value", "stderr", "low", "high", "fixed", "unit")
    each = zip(*(found[name].values.tolist() for name in columns), strict=True)
    rows = [_parameter(choices, dict(zip(columns, one, strict=True))) for one in each]
    rows = [row for row in rows if row]
    if choices.model != EXCHANGE and "li6_change" in found:
        rows += _conservation(found)
    spread, error = float(found["local_spread"]), float(found["local_spread_stderr"])
    chi2, dof = float(found["chi2_red"]), int(found["dof"])
    rows += [
        {
            "name": "spread",
            "parameter": "spread between places",
            "value": value_error(spread, error) if choices.spread else "0",
            "unit": "of C",
            "how": "estimated" if choices.spread else "held",
        },
        {
            "name": "chi2_red",
            "parameter": "χ²_red against counting",
            "value": f"{chi2:.2f}",
            "how": f"{dof} degrees of freedom",
        },
    ]
    return rows


def _parameter(choices: ProfileChoices, one: dict[str, Any]) -> dict[str, Any]:
    name = str(one["param"])
    value, error = float(one["value"]), float(one["stderr"])
    low, high, fixed = float(one["low"]), float(one["high"]), bool(one["fixed"])
    if name == "k" and fixed and np.isinf(value):
        return {}
    base, _, of = name.partition("[")
    label = _NAMES.get(base, base) + (f", {of.rstrip(']')}" if of else "")
    if name == "d_eff" and choices.model in (FITTED, MEASURED):
        label = f"D_eff, {choices.stage}"
    if name == "d_eff[exchange] by the law":
        label = "D_eff, exchange by the law"
    text = "∞" if np.isinf(value) else value_error(value, error)
    return {
        "name": name,
        "parameter": label,
        "value": text,
        "interval": "" if fixed else interval(low, high, error),
        "unit": _UNITS.get(str(one["unit"]), str(one["unit"])),
        "how": "held" if fixed or name in dict(choices.held) else "fitted",
        "sort": {"value": value if np.isfinite(value) else 0.0},
    }


def _conservation(found: xr.Dataset) -> list[dict[str, Any]]:
    rows = []
    columns = ("profile", "li6_change", "li6_change_stderr")
    for stage, change, error in zip(*(found[c].values.tolist() for c in columns), strict=True):
        if not np.isfinite(change):
            continue
        drifts = abs(change) > DRIFT * error
        rows.append(
            {
                "name": f"li6_change[{stage}]",
                "parameter": f"⁶Li change, {stage}",
                "value": value_error(100 * change, 100 * error),
                "unit": "%",
                "how": f"drifts: {abs(change) / error:.1f} standard errors"
                if drifts
                else "conserved within its error",
            }
        )
    return rows

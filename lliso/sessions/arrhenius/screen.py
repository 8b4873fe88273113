"""What the Arrhenius app shows: points, laws with bands, residuals, the Haven ratio, the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.diffusion.transport import ZERO_CELSIUS
from lliso.fit.arrhenius import FLAGS, ArrheniusFit
from lliso.fit.arrhenius_choices import ArrheniusChoices, Laws, haven_at, haven_points, used_points
from lliso.fit.arrhenius_series import Series
from lliso.sessions.arrhenius.layout import unit_in_words
from lliso.sessions.in_words import flags_in_words, interval, value_error
from lliso.sessions.parts import Part, across, axis, band, line, points, table

if TYPE_CHECKING:
    from lliso.sessions.session import Screen

_ROUND = (-150, -100, -50, 0, 22, 50, 100, 150, 200, 300, 400, 600, 800, 1000)
_DENSE = 160


def point_name(series: str, temperature: float) -> str:
    """Return what a point is called in gestures."""
    return f"{series}|{float(temperature)!r}"


def range_shown(series: Mapping[str, Series], choices: ArrheniusChoices) -> tuple[float, float]:
    """Return the ends of the axis, 1000/T: all points, and where values are predicted."""
    at = np.concatenate([1e3 / s.temperature for s in series.values()] + [[1e3 / choices.at]])
    room = 0.06 * max(float(np.ptp(at)), 0.1)
    return float(at.min()) - room, float(at.max()) + room


def arrhenius_screen(series: Mapping[str, Series], choices: ArrheniusChoices, laws: Laws) -> Screen:
    """Return the screen of laws."""
    ends = range_shown(series, choices)
    shown = [n for n in series if n not in choices.hidden]
    marks: list[Part] = []
    for name in shown:
        marks += _law(series, name, laws.fits.get(name), ends)
    for name in shown:
        marks.append(_points(series, choices, name))
    x = axis("1000/T (1/K)", ends, above=_celsius(ends))
    problems = [f"{'' if n in ('shared', 'haven') else f'{n}: '}{t}" for n, t in
                laws.problems.items()]  # fmt: skip
    simulated = " · simulated" if any(s.simulated for s in series.values()) else ""
    return {
        "title": f"Arrhenius laws{simulated}",
        "message": "; ".join(problems),
        "level": "warning" if problems else "info",
        "panels": {
            "plot": {
                "marks": marks + _handles(choices, ends, len(shown)),
                "x": x | {"bare": True},
                "result": _result(laws),
            },
            "residuals": _residuals(series, choices, laws) | {"x": axis("1000/T (1/K)", ends)},
            "haven": _haven(series, choices, laws, ends),
        },
        "controls": _values(series, choices),
        "can": {"points": bool(choices.off) or choices.window is not None},
        **table(_columns(series, choices), _rows(series, choices, laws)),
    }


def _colour(series: Mapping[str, Series], name: str) -> str:
    return f"c{list(series).index(name) % 8}"


def _celsius(ends: tuple[float, float]) -> list[tuple[float, str]]:
    """Return round temperatures, far enough apart to be read."""
    kept: list[tuple[float, str]] = []
    for celsius in reversed(_ROUND):
        at = 1e3 / (celsius + ZERO_CELSIUS)
        near = kept and abs(at - kept[-1][0]) < 0.055 * (ends[1] - ends[0])
        if ends[0] <= at <= ends[1] and not near:
            kept.append((at, f"{celsius} °C".replace("-", "−")))
    return kept


def _limits(one: Series) -> tuple[Any, Any]:
    if one.std is None:
        return np.full(one.value.shape, np.nan), np.full(one.value.shape, np.nan)
    factor = np.exp(one.std / one.value)
    return one.value / factor, one.value * factor


def _points(series: Mapping[str, Series], choices: ArrheniusChoices, name: str) -> Part:
    one, used = series[name], used_points(series, choices, name)
    low, high = _limits(one)
    return points(
        1e3 / one.temperature,
        one.value,
        _colour(series, name),
        low=low,
        high=high,
        names=[point_name(name, t) for t in one.temperature],
        off=[not bool(u) for u in used],
        symbol="circle" if one.parents is None else "diamond",
        size=4,
        click="toggle",
        remove="toggle",
        legend=name,
    )


def _law(
    series: Mapping[str, Series], name: str, fit: ArrheniusFit | None, ends: tuple[float, float]
) -> list[Part]:
    """Return band, law where it was fitted, and dashed where it is extrapolated."""
    if fit is None or not np.isfinite(fit.energy):
        return []
    x = np.linspace(*ends, _DENSE)
    found = fit.predict(1e3 / x)
    value, colour = found["value"].values, _colour(series, name)
    inside = (found["extrapolated"].values == 0) & np.isfinite(value)
    marks = [line(x, np.where(inside, value, np.nan), colour, width=1.8)]
    marks.append(line(x, np.where(_widened(inside), np.nan, value), colour, width=1.2, dash=[5, 4]))
    low, high = found["low"].values, found["high"].values
    if np.isfinite(low).all() and np.isfinite(high).all():
        marks.insert(0, band(x, low, high, colour, alpha=0.14, outside=True))
    return marks


def _widened(inside: Any) -> Any:
    """Return the inner part without its ends, so that dashes meet the line."""
    inner = inside.copy()
    inner[1:] &= inside[:-1]
    inner[:-1] &= inside[1:]
    return inner


def _handles(choices: ArrheniusChoices, ends: tuple[float, float], shown: int) -> list[Part]:
    below = max(11, 16 * shown // 14 + 2)  # rows: under the knob in the middle, and the legend
    margin = 0.012 * (ends[1] - ends[0])
    places = {
        "low": ends[1] - margin if choices.low is None else 1e3 / choices.low,
        "high": ends[0] + margin if choices.high is None else 1e3 / choices.high,
    }
    marks = [
        across("x", at, "fit" if getattr(choices, name) is not None else "muted", name=name,
               move="limit", click="select", label="lowest" if name == "low" else "highest",
               row=below if name == "low" else 0, width=1.2, outside=True)
        for name, at in places.items()
    ]  # fmt: skip
    celsius = f"{choices.at - ZERO_CELSIUS:.4g} °C".replace("-", "−")
    marks.append(
        across("x", 1e3 / choices.at, "ink", name="at", move="limit", click="select",
               label=celsius, row=below + 1, dash=[1, 4], width=1.3, outside=True)
    )  # fmt: skip
    return marks


def _result(laws: Laws) -> str:
    if laws.shared is not None:
        energy = value_error(laws.shared.energy, laws.shared.energy_std, "eV")
        return f"one E_a = {energy}, p of equal energies {_p(laws.shared.equal_p)}"
    return ""


def _p(value: float) -> str:
    if not np.isfinite(value):
        return "–"
    return "< 0.001" if value < 1e-3 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def _residuals(
    series: Mapping[str, Series],
    choices: ArrheniusChoices,
    laws: Laws,
) -> Part:
    largest = 0.0
    marks: list[Part] = [across("y", 0.0, "muted", width=1)]
    marks.append(across("y", 2.0, "muted", dash=[2, 5], width=1, label="2 σ"))
    marks.append(across("y", -2.0, "muted", dash=[2, 5], width=1))
    for name, fit in laws.fits.items():
        one, used = series[name], used_points(series, choices, name)
        std = one.std if one.std is not None else np.full(one.value.shape, float(fit.std[0]))
        if one.std is None:  # one scatter of ln D for all points
            std = one.value * float(fit.std[0] / fit.value[0])
        keep = used & np.isfinite(one.value)
        t, values = one.temperature[keep], one.value[keep]
        off = (np.log(values) - fit.log_value(t)[0]) / (std[keep] / values)
        largest = max(largest, float(np.abs(off).max(initial=0.0)))
        marks.append(
            points(
                1e3 / t, off, _colour(series, name), names=[point_name(name, k) for k in t],
                click="toggle", remove="toggle", size=3,
                symbol="circle" if one.parents is None else "diamond",
            )
        )  # fmt: skip
    reach = max(3.5, 1.1 * largest)
    return {"marks": marks, "y": axis("residual (σ)", (-reach, reach))}


def _haven(
    series: Mapping[str, Series],
    choices: ArrheniusChoices,
    laws: Laws,
    ends: tuple[float, float],
) -> Part:
    if laws.haven is None:
        return {"hidden": True}
    x = np.linspace(*ends, 80)
    law = haven_at(laws.fits, laws.shared, choices, 1e3 / x)
    factor = np.exp(law.ratio_std / law.ratio)
    t, ratio, std = haven_points(series, choices)
    marks = [
        band(x, law.ratio / factor, law.ratio * factor, "c5", alpha=0.16, outside=True),
        line(x, law.ratio, "c5"),
        points(1e3 / t, ratio, "c5", error=std, size=3.5),
        across("x", 1e3 / choices.at, "ink", name="at", move="limit", click="select",
               dash=[1, 4], width=1.3, outside=True),
    ]  # fmt: skip
    celsius = f"{choices.at - ZERO_CELSIUS:.4g} °C".replace("-", "−")
    return {
        "hidden": False,
        "title": f"Haven ratio of {choices.tracer} over {choices.charge}",
        "result": f"H_R = {value_error(float(laws.haven.ratio), float(laws.haven.ratio_std))} "
        f"at {celsius}",
        "marks": marks,
        "x": axis("1000/T (1/K)", ends, above=_celsius(ends)),
    }


def _values(series: Mapping[str, Series], choices: ArrheniusChoices) -> dict[str, Any]:
    shown: dict[str, Any] = {f"show:{name}": name not in choices.hidden for name in series}
    measured = [n for n in series if series[n].parents is None]
    shown["shared"] = {"value": choices.shared, "hidden": len(measured) < 2}
    for name in ("tracer", "charge"):
        shown[name] = {
            "value": getattr(choices, name),
            "options": [["", "–"], *([n, n] for n in series)],
            "hidden": len(series) < 2,
        }
    for name in ("low", "high", "at"):
        value = getattr(choices, name)
        shown[name] = None if value is None else round(value - ZERO_CELSIUS, 6)
    return shown


# the table ---------------------------------------------------------------------------------------
def _columns(
    series: Mapping[str, Series], choices: ArrheniusChoices
) -> tuple[tuple[str, str, str], ...]:
    celsius = f"{choices.at - ZERO_CELSIUS:.4g} °C".replace("-", "−")
    unit = _common_unit(series) or "unit of the series"
    return (
        ("series", "series", ""),
        ("energy", "E_a", "eV"),
        ("prefactor", "D₀", unit),
        ("value", f"at {celsius}", unit),
        ("interval", "95 % interval", ""),
        ("chi2", "χ²_red", ""),
        ("curvature", "curvature p", ""),
        ("points", "points", ""),
        ("remarks", "remarks", ""),
    )


def _rows(
    series: Mapping[str, Series], choices: ArrheniusChoices, laws: Laws
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    common = _common_unit(series)
    for name, one in series.items():
        fit = laws.fits.get(name)
        if name in choices.hidden:
            rows.append({"series": name, "remarks": "not shown, not fitted"})
        elif fit is None:
            rows.append({"series": name, "remarks": laws.problems.get(name, "")})
        else:
            n = int(used_points(series, choices, name).sum())
            rows.append(_row(name, one, fit, choices, n, "" if common else one.unit))
    if laws.shared is not None:
        rows.append(
            {
                "series": "one E_a",
                "energy": value_error(laws.shared.energy, laws.shared.energy_std),
                "chi2": f"{laws.shared.chi2 / laws.shared.dof:.2f}" if laws.shared.dof else "–",
                "remarks": f"p of equal energies {_p(laws.shared.equal_p)}"
                + ("" if laws.shared.equal else ": they differ"),
            }
        )
    if laws.haven is not None:
        h = laws.haven
        rows.append(
            {
                "series": "Haven ratio",
                "energy": f"Δ {value_error(h.energy_difference, h.energy_difference_std)}",
                "prefactor": value_error(h.from_prefactors, h.from_prefactors_std),
                "value": value_error(float(h.ratio), float(h.ratio_std)),
                "remarks": "energies agree"
                if h.energies_equal
                else "energies differ: H_R depends on T",
            }
        )
    return rows


def _common_unit(series: Mapping[str, Series]) -> str:
    units = {s.unit for s in series.values()}
    return unit_in_words(units.pop()) if len(units) == 1 else ""


def _row(
    name: str, one: Series, fit: ArrheniusFit, choices: ArrheniusChoices, n: int, unit: str
) -> dict[str, Any]:
    at = fit.predict(choices.at)
    value, low, high = (float(at[k][0]) for k in ("value", "low", "high"))
    reach = float(at["extrapolated"][0])
    remarks = flags_in_words(fit.flags, FLAGS)
    if reach > 0:
        remarks.append(f"{choices.at:.0f} K is extrapolated by {reach:.1f} of the range")
    unit = unit_in_words(unit)
    return {
        "series": name,
        "energy": value_error(fit.energy, fit.energy_std),
        "prefactor": value_error(fit.prefactor, fit.prefactor_std, unit),
        "value": value_error(value, value * float(at["log_std"][0]), unit),
        "interval": interval(low, high, value * float(at["log_std"][0])),
        "chi2": f"{fit.chi2_reduced:.2f}" if np.isfinite(fit.chi2_reduced) else "–",
        "curvature": _p(fit.curvature_p),
        "points": f"{n} of {one.temperature.size}",
        "remarks": "; ".join(remarks),
        "sort": {"energy": fit.energy, "prefactor": fit.prefactor, "value": value, "points": n},
    }

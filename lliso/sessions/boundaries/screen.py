"""What the boundary app shows, as plain data: arrays, numbers and text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso._types import FloatArray
from lliso.fit.words import limits_of, readable_row
from lliso.maps.cuts import LineCut
from lliso.sessions.parts import Part, across, axis, lines, points
from lliso.sessions.state import State

if TYPE_CHECKING:
    from lliso.fit.boundary import BoundaryFit
    from lliso.maps.live_cuts import CutSums
    from lliso.maps.picks import BoundaryPick, Picks


#: columns whose numbers a table is sorted by
_SORTED = ("step", "slope", "permeability", "d_gb", "chi2_red")


def in_order(picks: Picks, rows: dict[str, Any]) -> list[BoundaryPick]:
    """Return the boundaries by cut and distance, as a person reads them."""
    ordered = [b for cut in picks.cuts for b in picks.on_cut(cut.name)]
    return [b for b in ordered if b.name in rows]


def _numbers(values: Any) -> FloatArray:
    """Return numbers for the screen; they travel as bytes."""
    return np.asarray(values, dtype=np.float32)


def table_rows(order: list[BoundaryPick], rows: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the table in words, with numbers to sort by."""
    return [{**readable_row(b.name, rows[b.name]), "sort": _sortable(rows[b.name])} for b in order]


def _sortable(row: dict[str, Any]) -> dict[str, float]:
    found = {key: float(row[key]) for key in _SORTED}
    # A limit is sorted by where it lies.
    if not np.isfinite(found["permeability"]):
        for key in ("permeability", "d_gb"):
            high, low = float(row[f"{key}_high"]), float(row[f"{key}_low"])
            found[key] = high if np.isfinite(high) else low
    return {key: v for key, v in found.items() if np.isfinite(v)}


def profile_on_screen(sums: CutSums) -> dict[str, FloatArray]:
    """Return the profile with its error band."""
    return {
        "distance": _numbers(sums.distance),
        "fraction": _numbers(sums.fraction),
        "std": _numbers(sums.fraction_std),
    }


def others_on_screen(picks: Picks, shown: str) -> list[dict[str, Any]]:
    """Return the cuts that are not shown, with the places of their boundaries on the map."""
    others = []
    for cut in picks.cuts:
        if cut.name != shown:
            places = [(b.name, *cut.point(b.position)) for b in picks.on_cut(cut.name)]
            marks = [{"name": name, "x": x, "y": y} for name, x, y in places]
            others.append({**cut.model_dump(mode="json"), "boundaries": marks})
    return others


def boundaries_on_screen(
    picks: Picks, cut: LineCut, fits: dict[str, BoundaryFit], rows: dict[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the boundaries of a cut with their places on the map, windows and fits."""
    shown = []
    for pick in picks.on_cut(cut.name):
        x, y = cut.point(pick.position)
        distance, fraction = fit_curve(fits[pick.name].on_cut(cut))
        shown.append(
            {
                "name": pick.name,
                "position": pick.position,
                "window": list(pick.window),
                "x": x,
                "y": y,
                "fit": {"distance": distance, "fraction": fraction},
                "limits": limits_of(rows[pick.name], "permeability"),
            }
        )
    return shown


def fit_curve(fit: BoundaryFit) -> tuple[FloatArray, FloatArray]:
    """Return distance and fraction of the two branches of a fit, with a gap between them."""
    if not fit.success:
        return _numbers([]), _numbers([])
    at = fit.parameters["position"]
    before = np.linspace(at - fit.reach_before, at, 25)
    after = np.linspace(at, at + fit.reach_after, 25)
    # At the boundary itself each branch shows its own side's value.
    sides = np.minimum(before, at - 1e-9), np.maximum(after, at + 1e-9)
    fraction = fit.curve(np.concatenate([sides[0], [np.nan], sides[1]]))
    return _numbers(np.concatenate([before, [np.nan], after])), _numbers(fraction)


def boundaries_fits(
    picks: Picks, cut: LineCut, fits: dict[str, BoundaryFit]
) -> list[tuple[BoundaryPick, BoundaryFit]]:
    """Return the boundaries of a cut with their fits, as they look along it."""
    found = []
    for b in picks.on_cut(cut.name):
        fit = fits[b.name]
        found.append((b, replace(fit.on_cut(cut), guard=fit.guard)))
    return found


def residuals_on_screen(
    sums: CutSums, fits: list[tuple[BoundaryPick, BoundaryFit]], length: float
) -> Part:
    """Return what the fits leave over, in units of the counting error, within their windows."""
    at, left = [], []
    for pick, fit in fits:
        if not fit.success:
            continue
        x, position = sums.distance, fit.parameters["position"]
        near = np.abs(x - position) >= fit.guard
        low, high = max(pick.window[0], position - fit.reach_before), position + fit.reach_after
        use = near & (x >= low - 1e-9) & (x <= high + 1e-9) & (sums.total > 0)
        c = np.clip(fit.curve(x[use]), 1e-9, 1 - 1e-9)
        std = np.sqrt(c * (1 - c) / sums.total[use])
        at.append(x[use])
        left.append((sums.light[use] / sums.total[use] - c) / std)
    x, r = (np.concatenate(v) if v else np.zeros(0) for v in (at, left))
    reach = max(3.2, float(np.abs(r).max()) * 1.1) if r.size else 3.2
    marks = [across("y", v, "muted", dash=[4, 3], width=1) for v in (-2, 0, 2)]
    return {
        "hidden": not fits,
        "marks": [*marks, points(x, r, "data", size=1.8)],
        "x": axis("", (0.0, length), bare=True),
        "y": axis("residual (σ)", (-reach, reach)),
    }


def ghosts_on_profile(state: State) -> list[Part]:
    """Return the proposals as lines that can be clicked."""
    return [
        across(
            "x",
            at,
            "muted",
            name=f"ghost {i}",
            label=f"{significance:.1f} σ ?",
            dash=[5, 4],
            click="accept",
            remove="dismiss",
        )
        for i, (at, significance) in enumerate(state.proposed)
    ]


def ghosts_on_map(state: State) -> list[Part]:
    """Return the proposals as ticks across the band of the cut."""
    if not state.proposed:
        return []
    cut = state.picks.cut(state.cut)
    (ux, uy), half = cut.direction, cut.width / 2
    ticks = []
    for at, _ in state.proposed:
        x, y = cut.point(at)
        ticks.append([(x + half * uy, y - half * ux), (x - half * uy, y + half * ux)])
    names = [f"ghost {i}" for i in range(len(ticks))]
    more = {"names": names, "click": "accept", "remove": "dismiss", "alpha": 0.75}
    return [lines(ticks, "#ffd180", width=1.6, name="ghosts", **more)]


def control_values(state: State, cut: LineCut) -> dict[str, Any]:
    """Return what the boxes of the boundary app say."""
    names = [c.name for c in state.picks.cuts]
    chosen = None if state.selected is None else state.picks.boundary(state.selected)
    low, high = (None, None) if chosen is None else chosen.window
    values = {
        "boundary": None if chosen is None else chosen.name,
        "position": None if chosen is None else chosen.position,
        "low": low,
        "high": high,
    }
    return {
        "cuts": {"value": cut.name, "options": names, "hidden": len(names) < 2},
        "name": cut.name,
        "x0": cut.start[0],
        "y0": cut.start[1],
        "x1": cut.end[0],
        "y1": cut.end[1],
        "width": cut.width,
        **{key: {"value": value, "hidden": chosen is None} for key, value in values.items()},
        "note": state.picks.note if chosen is None else chosen.note,
    }

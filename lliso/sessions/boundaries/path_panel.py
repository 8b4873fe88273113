"""The profile of a whole path in the boundary app: its legs joined, with marks at the corners."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from lliso.sessions.boundaries.screen import fit_curve
from lliso.sessions.parts import Part, across, axis, band, line, span

if TYPE_CHECKING:
    from lliso.fit.boundary import BoundaryFit
    from lliso.maps.cuts import LineCut
    from lliso.maps.live_cuts import CutSums
    from lliso.maps.paths import Leg
    from lliso.sessions.state import State

SumsOf = Callable[["LineCut"], "CutSums"]


def path_on_screen(
    state: State, legs: Sequence[Leg], sums_of: SumsOf, fits: Mapping[str, BoundaryFit]
) -> Part:
    """Return the joined profile; hidden where the cut shown is no part of a path."""
    if len(legs) < 2:
        return {"hidden": True}
    marks: list[Part] = []
    for leg in legs:
        if leg.cut.name == state.cut:
            marks.append(span(leg.offset, leg.stop, "data", alpha=0.08))
        sums = sums_of(leg.cut)
        x, c, std = leg.along(sums.distance), sums.fraction, sums.fraction_std
        marks += [band(x, c - std, c + std), line(x, c, "data", width=1.3)]
        for pick in state.picks.on_cut(leg.cut.name):
            chosen = pick.name == state.selected
            marks.append(
                across(
                    "x",
                    leg.along(pick.position),
                    "fit" if chosen else "muted",
                    name=pick.name,
                    label=pick.name,
                    width=2 if chosen else 1,
                    click="select",
                    remove="remove",
                )
            )
            if fits[pick.name].success:
                distance, fraction = fit_curve(fits[pick.name].on_cut(leg.cut))
                marks.append(line(leg.along(distance), fraction, "fit", width=2))
    marks += [across("x", leg.offset, "ink", dash=[2, 3], width=1.5) for leg in legs[1:]]
    names = " → ".join(leg.cut.name for leg in legs)
    return {
        "hidden": False,
        "title": f"Path: {names}",
        "marks": marks,
        "x": axis("distance along the path (µm)", (0.0, legs[-1].stop)),
    }

"""What a person does to whole line cuts: draw a new one, name it, remove it; functions of picks."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from lliso.maps.cuts import LineCut, map_extent
from lliso.maps.picks import Picks
from lliso.schema import pixel_size

if TYPE_CHECKING:
    import xarray as xr

#: how far beside the band of a cut a click on the map still means that cut, in µm
BESIDE = 10.0
#: longest name of a cut, in characters: as much as its box on the screen shows
LONGEST_NAME = 40
#: how far aside a new cut is tried, in widths of the one beside
_TRIED = 40

Extent = tuple[tuple[float, float], tuple[float, float]]


def first_cut(ds: xr.Dataset) -> LineCut:
    """Return a cut down the middle of the map, along the diffusion direction."""
    (x0, x1), (y0, y1) = map_extent(ds)
    middle, margin = (x0 + x1) / 2, 0.05 * (y1 - y0)
    return LineCut(
        name="cut 1",
        start=(middle, y0 + margin),
        end=(middle, y1 - margin),
        width=min(20 * pixel_size(ds)[0], x1 - x0),
    )


def new_cut(picks: Picks, beside: LineCut, ds: xr.Dataset) -> LineCut:
    """Return one more cut: as long, as wide and in the same direction as the one it lies beside.

    It is moved aside by its width, further if a cut lies there already, and to the middle of the
    map if there is no room aside.
    """
    name = f"cut {_next_number(picks)}"
    extent = map_extent(ds)
    ux, uy = beside.direction
    for steps in range(1, _TRIED + 1):
        for shift in (steps * beside.width, -steps * beside.width):
            moved = beside.moved(-uy * shift, ux * shift).model_copy(update={"name": name})
            if _band_on(moved, extent) and not any(_same_place(moved, c) for c in picks.cuts):
                return moved
    (x0, x1), (y0, y1) = extent
    (ax, ay), (bx, by) = beside.start, beside.end
    centred = beside.moved((x0 + x1 - ax - bx) / 2, (y0 + y1 - ay - by) / 2)
    inside = all(x0 <= x <= x1 and y0 <= y <= y1 for x, y in (centred.start, centred.end))
    return (centred if inside else first_cut(ds)).model_copy(update={"name": name})


def extended_cut(picks: Picks, cut: LineCut, ds: xr.Dataset) -> LineCut:
    """Return the next leg of a path: from the end of a cut on, or round the corner at the edge."""
    (ux, uy), extent = cut.direction, map_extent(ds)
    least = 4 * max(pixel_size(ds))
    best = cut
    for way in ((ux, uy), (-uy, ux), (uy, -ux)):
        reach = min(_room(cut.end, way, extent), max(cut.length / 2, least))
        end = (cut.end[0] + reach * way[0], cut.end[1] + reach * way[1])
        if reach >= least:
            best = cut.model_copy(update={"start": cut.end, "end": end})
            break
    if best is cut:
        raise ValueError("the path must have room to go on, got an end in a corner of the map")
    return LineCut(**{**dict(best), "name": f"cut {_next_number(picks)}"})


def squared_cut(
    cut: LineCut, place: tuple[float, float], normal: tuple[float, float], ds: xr.Dataset
) -> LineCut:
    """Return the cut turned about a point of a boundary until it runs along the normal there."""
    (ux, uy), extent = cut.direction, map_extent(ds)
    sign = 1.0 if ux * normal[0] + uy * normal[1] >= 0 else -1.0
    way = (sign * normal[0], sign * normal[1])
    at = min(max(cut.project(*place)[0], 0.0), cut.length)
    before = min(at, _room(place, (-way[0], -way[1]), extent))
    after = min(cut.length - at, _room(place, way, extent))
    start = (place[0] - before * way[0], place[1] - before * way[1])
    end = (place[0] + after * way[0], place[1] + after * way[1])
    return LineCut(**{**dict(cut), "start": start, "end": end})


def _room(point: tuple[float, float], way: tuple[float, float], extent: Extent) -> float:
    """Return how far one can go from a point until the edge of the map, in µm."""
    found = [math.inf]
    for p, u, (low, high) in zip(point, way, extent, strict=True):
        if abs(u) > 1e-12:
            found.append(((high if u > 0 else low) - p) / u)
    return max(0.0, min(found))


def remove_cut(picks: Picks, name: str) -> tuple[Picks, str]:
    """Remove a cut with its boundaries; return the picks and what happened in words."""
    picks.cut(name)
    if len(picks.cuts) == 1:
        raise ValueError(
            f"the last cut must stay, got '{name}' to remove; draw a new cut before you remove it"
        )
    lost = ", ".join(b.name for b in picks.on_cut(name))
    words = f"{name} removed{f', with boundary {lost}' if lost else ''}; Ctrl+Z brings it back"
    return picks.without_cut(name), words


def rename_cut(picks: Picks, name: str, new: str) -> Picks:
    """Give a cut another name; its boundaries stay on it."""
    cut = picks.cut(name)
    new = " ".join(str(new).split())
    if not new:
        raise ValueError(f"the name of a cut must not be empty; '{name}' keeps its name")
    if len(new) > LONGEST_NAME:
        raise ValueError(
            f"the name of a cut must have at most {LONGEST_NAME} characters, got {len(new)}"
        )
    if new != name and any(c.name == new for c in picks.cuts):
        raise ValueError(f"the name of a cut must be its own, got '{new}', which another cut has")
    renamed = cut.model_copy(update={"name": new})
    return Picks(
        **{
            **dict(picks),
            "cuts": tuple(renamed if c.name == name else c for c in picks.cuts),
            "boundaries": tuple(
                b.model_copy(update={"cut": new}) if b.cut == name else b for b in picks.boundaries
            ),
        }
    )


def distance_of_click(cut: LineCut, x: float, y: float) -> float:
    """Return the distance along a cut of a click on the map; refuse a click that is not at it."""
    along, across = cut.project(x, y)
    outside = abs(across) - cut.width / 2
    if not outside <= BESIDE:
        raise ValueError(
            f"a click must be within {BESIDE:g} um of the band of the cut, got {outside:.0f} um: "
            "click within the band of the cut, or draw the cut there"
        )
    if not 0 <= along <= cut.length:
        end, letter = (-along, "A") if along < 0 else (along - cut.length, "B")
        raise ValueError(
            f"a click must be between A and B, the ends of the cut, got {end:.3g} um past "
            f"{letter}: drag {letter} there first, or draw a new cut"
        )
    return along


def _next_number(picks: Picks) -> int:
    numbers = [re.fullmatch(r"cut (\d+)", c.name) for c in picks.cuts]
    return max((int(n[1]) for n in numbers if n), default=len(picks.cuts)) + 1


def _band_on(cut: LineCut, extent: Extent) -> bool:
    (x0, x1), (y0, y1) = extent
    ux, uy = cut.direction
    half = 0.999 * cut.width / 2  # rounding must not decide about a band that touches the edge
    corners = [
        (px - s * uy * half, py + s * ux * half) for px, py in (cut.start, cut.end) for s in (-1, 1)
    ]
    return all(x0 <= x <= x1 and y0 <= y <= y1 for x, y in corners)


def _same_place(cut: LineCut, other: LineCut) -> bool:
    """Whether two cuts lie on one another so closely that they could not be told apart."""
    near = min(cut.width, other.width) / 2
    straight = math.dist(cut.start, other.start), math.dist(cut.end, other.end)
    turned = math.dist(cut.start, other.end), math.dist(cut.end, other.start)
    return max(straight) < near or max(turned) < near

"""What a person does to picks with the mouse or by typing, as functions of picks.

Every gesture takes picks and returns new ones, or raises a ValueError in words. Nothing here knows
of widgets, files or undo.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from lliso.maps.cuts import LineCut
from lliso.maps.detect import default_window, find_steps, locate_step, scan_steps
from lliso.maps.picks import BoundaryPick, Picks

if TYPE_CHECKING:
    import xarray as xr

#: how far a click may be from the step that it means, in µm
CLICK_REACH = 8.0
#: how far a boundary that was dropped looks for its step, in µm
DROP_REACH = 3.0
#: significance from which a step is the one that a person pointed at: lower than for a search that
#: nobody pointed at, because pointing is evidence too
POINTED_AT = 3.0
#: closest that two boundaries or a boundary and the end of its window may come, in µm
CLOSEST = 2.0

#: longest name of a boundary, in characters: what fits beside its tick
LONGEST_NAME = 24

ProfileOf = Callable[[LineCut], "xr.Dataset"]


def add_boundary(
    picks: Picks, cut: LineCut, distance: float, profile: xr.Dataset
) -> tuple[Picks, str, str]:
    """Mark the boundary nearest to `distance` on a cut.

    It is placed on the nearest significant step of the profile, or where the person clicked if
    there is none near. Neighbours' windows end at the new boundary.

    Returns
    -------
    picks : Picks
        The new picks.
    name : str
        The boundary's name.
    doubt : str
        In words, that there is no significant step and what it did to its neighbours; empty if
        there is one.
    """
    if not 0 <= distance <= cut.length:
        raise ValueError(
            f"a boundary must lie on the cut, from 0 to {cut.length:.4g} um, got {distance:.4g} um"
        )
    step = locate_step(profile, distance, CLICK_REACH, POINTED_AT)
    position = min(max(step.position, 0.0), cut.length)
    significance = step.significance
    others = [b.position for b in picks.on_cut(cut.name)]
    if any(abs(position - other) < CLOSEST for other in others):
        position = distance  # that step is marked already; the person means another one
        significance = _beside_others(profile, position, others)
    if any(abs(position - other) < CLOSEST for other in others):
        raise ValueError(
            f"there is a boundary at {distance:.4g} um already; drag it, or remove it with Delete"
        )
    numbers = [int(b.name) for b in picks.boundaries if b.name.isdecimal()]
    name = str(max(numbers, default=0) + 1)
    window = _around(position, default_window(profile, position, others), cut)
    pick = BoundaryPick(name=name, cut=cut.name, position=position, window=window)
    new = _neighbours_cut_back(picks, pick).with_boundary(pick)
    if abs(significance) >= POINTED_AT:
        return new, name, ""
    return new, name, _doubt(significance, shortened(picks, new))


def shortened(old: Picks, new: Picks) -> list[str]:
    """Return the names of the boundaries that are in both picks with different windows."""
    windows = {b.name: b.window for b in old.boundaries}
    return [b.name for b in new.boundaries if windows.get(b.name, b.window) != b.window]


def _beside_others(profile: xr.Dataset, position: float, others: list[float]) -> float:
    """Return the significance of a step at a position, the steps that are marked taken off."""
    heights = scan_steps(profile, np.array(others)).step
    known = [(at, float(h)) for at, h in zip(others, heights, strict=True) if np.isfinite(h)]
    return float(scan_steps(profile, np.array([position]), known=known).significance[0])


def _doubt(significance: float, neighbours: list[str]) -> str:
    seen = f"{abs(significance):.1f} σ" if significance else "too few slices beside it to tell"
    words = f"no significant step here ({seen}): marked where you clicked"
    if neighbours:
        words += f"; the window of {', '.join(neighbours)} was shortened"
    return words


def move_boundary(
    picks: Picks, name: str, distance: float, profile: xr.Dataset, *, snap: bool
) -> Picks:
    """Move a boundary along its cut, and the ends of its neighbours' windows with it."""
    old = picks.boundary(name)
    cut = picks.cut(old.cut)
    position = min(max(distance, 0.0), cut.length)
    if snap:
        position = min(
            max(locate_step(profile, position, DROP_REACH, POINTED_AT).position, 0.0), cut.length
        )
    others = [b for b in picks.on_cut(cut.name) if b.name != name]
    if any(abs(position - b.position) < CLOSEST for b in others):
        raise ValueError(f"boundary '{name}' must not be dropped onto another boundary")
    low, high = old.window
    jumped = not low + CLOSEST <= position <= high - CLOSEST
    if jumped:
        low, high = default_window(profile, position, [b.position for b in others])
    moved = old.model_copy(
        update={"position": position, "window": _around(position, (low, high), cut)}
    )
    passed = any(
        min(old.position, position) < b.position < max(old.position, position) for b in others
    )
    for other in () if passed else others:
        ends = [position if abs(end - old.position) < 1e-3 else end for end in other.window]
        if ends != list(other.window) and ends[0] < other.position < ends[1]:
            picks = picks.with_boundary(other.model_copy(update={"window": (ends[0], ends[1])}))
    if jumped:
        picks = _neighbours_cut_back(picks, moved)
    return picks.with_boundary(BoundaryPick(**dict(moved)))


def move_window(picks: Picks, name: str, side: str, distance: float) -> Picks:
    """Move one end ("from" or "to") of a boundary's window."""
    pick = picks.boundary(name)
    length = picks.cut(pick.cut).length
    low, high = pick.window
    if side == "from":
        low = min(max(distance, 0.0), pick.position - CLOSEST / 2)
    elif side == "to":
        high = max(min(distance, length), pick.position + CLOSEST / 2)
    else:
        raise ValueError(f"side must be 'from' or 'to', got {side!r}")
    return picks.with_boundary(BoundaryPick(**{**dict(pick), "window": (low, high)}))


def rename_boundary(picks: Picks, name: str, new: str) -> tuple[Picks, str]:
    """Give a boundary another name; return the picks and the name as it is kept."""
    pick = picks.boundary(name)
    new = " ".join(str(new).split())
    if not new:
        raise ValueError(f"the name of a boundary must not be empty; '{name}' keeps its name")
    if len(new) > LONGEST_NAME:
        raise ValueError(
            f"the name of a boundary must have at most {LONGEST_NAME} characters, got {len(new)}"
        )
    if new != name and any(b.name == new for b in picks.boundaries):
        raise ValueError(
            f"the name of a boundary must be its own, got '{new}', which another boundary has"
        )
    renamed = pick.model_copy(update={"name": new})
    kept = tuple(renamed if b.name == name else b for b in picks.boundaries)
    return Picks(**{**dict(picks), "boundaries": kept}), new


def propose(picks: Picks, cut: LineCut, profile: xr.Dataset) -> list[tuple[float, float]]:
    """Return position (µm) and significance of the steps on a cut that are not marked yet."""
    marked = [b.position for b in picks.on_cut(cut.name)]
    heights = scan_steps(profile, np.array(marked)).step if marked else np.zeros(0)
    known = [(at, float(h)) for at, h in zip(marked, heights, strict=True) if np.isfinite(h)]
    return [
        (round(step.position, 3), round(abs(step.significance), 1))
        for step in find_steps(profile, known=known)
        if 0 <= step.position <= cut.length
        and all(abs(step.position - at) >= CLOSEST for at in marked)
    ]


def replace_cut(
    picks: Picks, cut: LineCut, profile_of: ProfileOf, *, final: bool
) -> tuple[Picks, list[str]]:
    """Put a changed cut in the place of the old one; boundaries stay where they are on the map.

    Each boundary is projected onto the new line and, when the gesture is final, placed on the
    nearest step there. While dragging, boundaries that fall off the line are only left out; a final
    gesture that would lose one is refused, because nothing that a person picked is ever lost.

    Returns
    -------
    picks : Picks
        The new picks.
    fallen : list of str
        Names of the boundaries that are off the line (never any if `final`).
    """
    old = picks.cut(cut.name)
    placed: list[BoundaryPick] = []
    fallen: list[str] = []
    same_line = (old.start, old.end) == (cut.start, cut.end)
    turned = sum(a * b for a, b in zip(old.direction, cut.direction, strict=True)) < 0
    for pick in picks.on_cut(cut.name):
        shift = cut.project(*old.point(pick.position))[0] - pick.position
        position = pick.position + shift
        if not 0 <= position <= cut.length:
            fallen.append(pick.name)
            continue
        if final and not same_line:
            found = locate_step(profile_of(cut), position, DROP_REACH, POINTED_AT).position
            taken = any(abs(found - p.position) < CLOSEST for p in placed)
            position = position if taken or not 0 <= found <= cut.length else found
        reach = (pick.position - pick.window[0], pick.window[1] - pick.position)
        before, after = reach[::-1] if turned else reach
        middle = pick.position + shift
        window = (middle - before, middle + after)
        window = pick.window if same_line else _around(position, window, cut)
        placed.append(BoundaryPick(**{**dict(pick), "position": position, "window": window}))
    if final and fallen:
        raise ValueError(
            f"boundary {', '.join(fallen)} would fall off the cut; remove it first, "
            "or leave the cut long enough"
        )
    kept = tuple(b for b in picks.boundaries if b.cut != cut.name)
    return Picks(
        **{
            **dict(picks),
            "cuts": tuple(cut if c.name == cut.name else c for c in picks.cuts),
            "boundaries": (*kept, *placed),
        }
    ), fallen


def _around(position: float, window: tuple[float, float], cut: LineCut) -> tuple[float, float]:
    """Return the window, kept on the cut and with the boundary inside."""
    low = min(max(window[0], 0.0), position - CLOSEST / 2)
    high = max(min(window[1], cut.length), position + CLOSEST / 2)
    return low, high


def _neighbours_cut_back(picks: Picks, new: BoundaryPick) -> Picks:
    for other in picks.on_cut(new.cut):
        low, high = other.window
        if other.position < new.position < high:
            picks = picks.with_boundary(other.model_copy(update={"window": (low, new.position)}))
        elif low < new.position < other.position:
            picks = picks.with_boundary(other.model_copy(update={"window": (new.position, high)}))
    return picks

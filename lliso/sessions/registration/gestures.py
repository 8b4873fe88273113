"""What a person does in the registration app, as methods that return the new state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.maps.image_edges import Refined, refine_on_edges
from lliso.maps.picks import Landmark, Picks
from lliso.maps.registration import KINDS, Kind, Registration
from lliso.sessions.registration.layout import SHOWN
from lliso.sessions.session import Session

if TYPE_CHECKING:
    import xarray as xr

Point = tuple[float, float]
#: what a mark of the image is called: the selection tells the two points of a landmark apart
_IMAGE = "in the image: "


@dataclass(frozen=True)
class RegistrationState:
    """Landmarks, a point whose partner is missing, and how the map is looked at."""

    picks: Picks
    kind: Kind = "similarity"
    pending: tuple[str, Point] | None = None
    refined: Refined | None = None
    lines: str = "dark"
    quantity: str = "fraction"
    overlay: bool = True
    opacity: float = 0.6
    swipe: float = 0.5
    selected: str | None = None


class RegistrationGestures(Session[RegistrationState]):
    """Landmarks set, moved, named and removed; the transform chosen and refined."""

    ds: xr.Dataset
    grey: xr.DataArray
    extents: dict[str, tuple[float, float, float, float]]

    @property
    def picks(self) -> Picks:
        """The picks as they are now."""
        return self._state.picks

    @property
    def fitted(self) -> Registration | None:
        """The transform of the landmarks; None while they do not suffice."""
        return self._fit(self._state)[0]

    @property
    def registration(self) -> Registration | None:
        """The transform: of the landmarks, refined if that was asked for."""
        return self._found(self._state)

    def _fit(self, state: RegistrationState) -> tuple[Registration | None, str]:
        raise NotImplementedError

    def _found(self, state: RegistrationState) -> Registration | None:
        return self._fit(state)[0] if state.refined is None else state.refined.registration

    def _do_place(
        self,
        _final: bool,
        side: str,
        x: float,
        y: float,
        name: str | None = None,  # noqa: ARG002
    ) -> RegistrationState:
        """Take a click in a panel: the first or the second point of a landmark."""
        at, state = self._inside(side, x, y), self._state
        if state.pending is None or state.pending[0] == side:
            return replace(state, pending=(side, at))
        pair = {side: at, state.pending[0]: state.pending[1]}
        new = self._next_name()
        mark = Landmark(name=new, map_point=pair["map"], image_point=pair["image"])
        return self._with_marks((*state.picks.landmarks, mark), mark_name(new, side))

    def _do_forget(self, _final: bool, side: str, name: str | None = None) -> RegistrationState:  # noqa: ARG002
        return replace(self._state, pending=None)

    def _do_select(self, _final: bool, name: str | None) -> RegistrationState:
        if name is None and self._state.pending is not None:
            return replace(self._state, pending=None, selected=None)
        if name is not None:
            landmark_named(self.picks, own_name(name))
        return replace(self._state, selected=name)

    def _do_other_side(self, _final: bool) -> RegistrationState:
        name = self.chosen(self._state)
        if name is None:
            raise ValueError("no landmark is selected; click one")
        inside = self._state.selected == mark_name(name, "image")
        return replace(self._state, selected=mark_name(name, "map" if inside else "image"))

    def _do_move(self, _final: bool, name: str, x: float, y: float) -> RegistrationState:
        side = "image" if name.startswith(_IMAGE) else "map"
        changes = {f"{side}_point": self._inside(side, x, y)}
        return self._changed(own_name(name), name, **changes)

    def _do_numbers(self, _final: bool, **typed: float) -> RegistrationState:
        name = self._needed()
        mark = landmark_named(self.picks, name)
        x, y, u, v = (
            typed.get(k, old)
            for k, old in zip("xyuv", (*mark.map_point, *mark.image_point), strict=True)
        )
        changes = {
            "map_point": self._inside("map", x, y),
            "image_point": self._inside("image", u, v),
        }
        return self._changed(name, self._state.selected, **changes)

    def _do_rename(self, _final: bool, new: str) -> RegistrationState:
        name, new = self._needed(), new.strip()
        if not new or new.startswith(_IMAGE):
            raise ValueError(f"the name of a landmark must not be empty, got {new!r}")
        if new != name and any(m.name == new for m in self.picks.landmarks):
            raise ValueError(f"landmarks must have different names, got {new!r} twice")
        return self._changed(name, mark_name(new, "map"), name=new)

    def _do_new(self, _final: bool) -> RegistrationState:
        places = {}
        for side, (x0, x1, y0, y1) in self.extents.items():
            places[side] = ((x0 + x1) / 2, (y0 + y1) / 2)
        found = self.registration
        if found is not None:  # where the landmarks so far put it, if that is within the image
            u, v = (float(k) for k in found.inverse([places["map"]])[0])
            u0, u1, v0, v1 = self.extents["image"]
            places["image"] = (min(max(u, u0), u1), min(max(v, v0), v1))
        name = self._next_name()
        mark = Landmark(name=name, map_point=places["map"], image_point=places["image"])
        return self._with_marks((*self.picks.landmarks, mark), mark_name(name, "map"))

    def _do_remove(self, _final: bool, name: str | None = None) -> RegistrationState:
        own = self._needed() if name is None else own_name(name)
        landmark_named(self.picks, own)
        rest = tuple(m for m in self.picks.landmarks if m.name != own)
        self._say(f"Landmark {own} is removed; Ctrl+Z brings it back.")
        return self._with_marks(rest, None)

    def _do_kind(self, _final: bool, value: Kind) -> RegistrationState:
        check_kind(value)
        return replace(self._state, kind=value, refined=None)

    def _do_refine(self, final: bool) -> RegistrationState:
        fitted, why = self._fit(self._state)
        if fitted is None:
            raise ValueError(why)
        if not final:
            return self._state
        self.progress(None, "moving the image over the edges in C")
        lines: Any = self._state.lines
        found = refine_on_edges(fitted, self.grey, self.ds, lines=lines)
        if not found.clear:
            self._say(
                f"The edges do not tell: correlation {found.after:.2f}, by chance up to "
                f"{found.chance:.2f}. The landmarks stand.",
                "warning",
            )
            return replace(self._state, refined=None)
        dx, dy = found.shift
        spread = "" if np.isnan(found.std) else f", ± {found.std:.2f} µm"
        self._say(
            f"Moved by ({dx:.2f}, {dy:.2f}) µm and {found.turn:.3f}°{spread}; correlation "
            f"{found.before:.2f} before, {found.after:.2f} now, by chance up to {found.chance:.2f}."
        )
        return replace(self._state, refined=found)

    def _do_lines(self, _final: bool, value: str) -> RegistrationState:
        if value not in ("dark", "bright"):
            raise ValueError(f"lines must be 'dark' or 'bright', got {value!r}")
        return replace(self._state, lines=value)

    def _do_show(self, _final: bool, value: str) -> RegistrationState:
        if value not in SHOWN:
            raise ValueError(f"the quantity must be one of {', '.join(SHOWN)}, got {value!r}")
        return replace(self._state, quantity=value)

    def _do_overlay(self, _final: bool, value: bool | None = None) -> RegistrationState:
        return replace(self._state, overlay=not self._state.overlay if value is None else value)

    def _do_opacity(self, _final: bool, value: float) -> RegistrationState:
        if not 0 <= value <= 1:
            raise ValueError(f"the opacity must be between 0 and 1, got {value:g}")
        return replace(self._state, opacity=float(value))

    def _do_swipe(
        self,
        _final: bool,
        x: float,
        share: bool = False,
        name: str | None = None,  # noqa: ARG002
    ) -> RegistrationState:
        x0, x1, _, _ = self.extents["map"]
        at = x if share else (x - x0) / (x1 - x0)
        return replace(self._state, swipe=min(max(float(at), 0.0), 1.0))

    # its parts ---------------------------------------------------------------------------------
    def _inside(self, side: str, x: float, y: float) -> Point:
        if side not in self.extents:
            raise ValueError(f"a landmark's point must be on the map or the image, got {side!r}")
        x0, x1, y0, y1 = self.extents[side]
        if not (x0 <= x <= x1 and y0 <= y <= y1):
            raise ValueError(
                f"the point must lie on the {side} (x {x0:.4g} to {x1:.4g} um, y {y0:.4g} to "
                f"{y1:.4g} um), got ({x:.4g}, {y:.4g}) um"
            )
        return float(x), float(y)

    def _next_name(self) -> str:
        taken = {m.name for m in self.picks.landmarks}
        return next(str(k) for k in range(1, len(taken) + 2) if str(k) not in taken)

    def chosen(self, state: RegistrationState) -> str | None:
        """Return the landmark of which a point is selected."""
        name = None if state.selected is None else own_name(state.selected)
        return name if any(m.name == name for m in state.picks.landmarks) else None

    def _needed(self) -> str:
        name = self.chosen(self._state)
        if name is None:
            raise ValueError("no landmark is selected; click one")
        return name

    def _changed(self, own: str, /, selected: str | None, **changes: Any) -> RegistrationState:
        mark = landmark_named(self.picks, own)
        new = Landmark(**{**dict(mark), **changes})
        marks = tuple(new if m.name == own else m for m in self.picks.landmarks)
        return self._with_marks(marks, selected)

    def _with_marks(self, marks: tuple[Landmark, ...], selected: str | None) -> RegistrationState:
        picks = Picks(**{**dict(self.picks), "landmarks": marks})
        return replace(self._state, picks=picks, pending=None, refined=None, selected=selected)


def check_kind(kind: str) -> None:
    """Raise ValueError unless there is such a transform."""
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")


def mark_name(name: str, side: str) -> str:
    """Return what the point of a landmark on the map or in the image is called."""
    return f"{_IMAGE}{name}" if side == "image" else name


def own_name(name: str) -> str:
    """Return the landmark that a point belongs to."""
    return name.removeprefix(_IMAGE)


def landmark_named(picks: Picks, name: str) -> Landmark:
    """Return the landmark of that name; ValueError if there is none."""
    for mark in picks.landmarks:
        if mark.name == name:
            return mark
    have = ", ".join(m.name for m in picks.landmarks) or "none"
    raise ValueError(f"the picks hold no landmark '{name}', only: {have}")

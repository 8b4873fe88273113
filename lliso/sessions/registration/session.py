"""The session behind the registration app: landmarks, the transform they give, the overlay.

The landmarks are in the picks file. What the eye is helped with (overlay, opacity, swipe) is no
decision: it is neither saved nor undone.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from lliso._types import FloatArray
from lliso.maps.cuts import map_extent
from lliso.maps.fraction import sum_frames
from lliso.maps.overlay import image_axes, image_on_map
from lliso.maps.picks import Picks
from lliso.maps.quantities import QUANTITIES, map_quantity
from lliso.maps.registration import KINDS, Kind, Registration, fit_registration
from lliso.schema import LI6, LI7, check_map
from lliso.sessions.map_image import image_on_screen, map_title
from lliso.sessions.overlays import Overlay
from lliso.sessions.parts import Part, Picture, across, arrows, layer, points, table
from lliso.sessions.registration.gestures import (
    RegistrationGestures,
    RegistrationState,
    check_kind,
    landmark_named,
    mark_name,
)
from lliso.sessions.registration.layout import SHOWN, registration_layout
from lliso.sessions.registration.report import (
    in_words,
    registration_code,
    registration_csv,
    registration_figure,
    summary,
)
from lliso.sessions.session import Screen
from lliso.sessions.state import opened

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

#: how much longer than they are residuals may be drawn, and how long (share of the map's width)
_FACTORS = (100.0, 50.0, 20.0, 10.0, 5.0, 2.0)
_LONGEST = 0.1
_COLUMNS = (
    ("landmark", "landmark", ""),
    ("x", "x", "µm"),
    ("y", "y", "µm"),
    ("u", "u", "µm"),
    ("v", "v", "µm"),
    ("residual", "residual", "µm"),
    ("left_out", "left out", "µm"),
    ("flag", "remarks", ""),
)


class RegistrationSession(RegistrationGestures):
    """Register a microscope image to a map by landmarks.

    Parameters
    ----------
    ds : xarray.Dataset
        A map with ⁶Li and ⁷Li; frames are summed.
    image : xarray.DataArray, shape (v, u)
        Grey values with coordinates in µm of the image's own frame.
    picks : Picks, str or os.PathLike, optional
        Picks to start from, or their file.
    kind : {"similarity", "affine", "projective"}
        Transform to start with.

    Raises
    ------
    PicksMismatch
        If the picks were made on another map.
    ValueError
        If the map lacks a species, the image its coordinates, or the kind is unknown.
    """

    def __init__(
        self,
        ds: xr.Dataset,
        image: xr.DataArray,
        picks: Picks | str | os.PathLike[str] | None = None,
        *,
        kind: Kind = "similarity",
    ) -> None:
        check_map(ds, needs=(LI6, LI7))
        check_kind(kind)
        self.ds = sum_frames(ds).load()
        self.grey = _upright(image)
        rows, columns = image_axes(self.grey)
        dv, du = rows[1] - rows[0], columns[1] - columns[0]
        (x0, x1), (y0, y1) = map_extent(self.ds)
        u = float(columns[0] - du / 2), float(columns[-1] + du / 2)
        v = float(rows[0] - dv / 2), float(rows[-1] + dv / 2)
        self.extents = {"map": (x0, x1, y0, y1), "image": (*u, *v)}
        self._pixel = np.array([[du, 0.0, u[0]], [0.0, dv, v[0]], [0.0, 0.0, 1.0]])
        self._photo = Overlay.of((self.grey.values, self._pixel)).picture
        self._pictures = {"fraction": image_on_screen(self.ds)}
        self._laid: Overlay | None = None  # of a projective transform, which is resampled
        self._last: tuple[Any, Registration | None, str] = (None, None, "")
        path, start = opened(picks, self.ds)
        start = Picks.loads(start.dumps())
        super().__init__(RegistrationState(start, kind), path)

    # what there is -----------------------------------------------------------------------------
    @property
    def swipe_at(self) -> float:
        """Place on the map, µm, to the left of which the image lies over it."""
        return self._swiped(self._state)

    def arrows(self) -> tuple[FloatArray, FloatArray, float] | None:
        """Return where residuals start and end on the map, µm, and how much they are enlarged."""
        return self._arrows(self._fit(self._state)[0])

    def layout(self) -> dict[str, Any]:
        """Return panels, controls and keys of the app."""
        return registration_layout()

    def images(self) -> dict[str, Picture]:
        """Return the map, the image, and the image as it lies on the map where it is resampled."""
        shown = self._state.quantity
        if shown not in self._pictures:
            found = map_quantity(self.ds, shown)
            low, high = (float(v) for v in np.nanpercentile(found.values, [1, 99]))
            grey = found.values.astype(np.float32)
            self._pictures[shown] = Picture(grey, self.extents["map"], low, max(high, low + 1e-9))
        found_images = {"map": self._pictures[shown], "image": self._photo}
        return found_images | ({} if self._laid is None else {"laid": self._laid.picture})

    def code(self) -> str:
        """Return the lines of lliso that give the registration."""
        return registration_code(self)

    # computing ---------------------------------------------------------------------------------
    def _fit(self, state: RegistrationState) -> tuple[Registration | None, str]:
        key = (state.picks.landmarks, state.kind)
        if self._last[0] != key:
            try:
                self._last = (key, fit_registration(state.picks.landmarks, kind=state.kind), "")
            except ValueError as err:
                self._last = (key, None, str(err))
        return self._last[1], self._last[2]

    def _compute(self, state: RegistrationState) -> None:
        found, self._laid = self._found(state), None
        if found is not None and state.kind == "projective":
            try:
                laid = image_on_map(self.grey, found, self.ds, pixel=float(self._pixel[0, 0]))
            except ValueError:
                return  # the landmarks put the image beside the map: nothing to lay over it
            self._laid = Overlay.of(laid)

    def _kept(self, state: RegistrationState) -> Any:
        return state.picks, state.kind, state.pending, state.refined

    def _settled(self, state: RegistrationState) -> RegistrationState:
        return replace(state, picks=Picks.loads(state.picks.dumps()))

    def _text(self, state: RegistrationState) -> str:
        return state.picks.dumps()

    def _read(self, path: Path) -> RegistrationState:
        picks = Picks.load(path)
        picks.check(self.ds)
        return replace(self._state, picks=picks, pending=None, refined=None, selected=None)

    def _csv(self) -> str:
        return registration_csv(self)

    def _figure(self, width: float, height: float) -> Figure:
        return registration_figure(self, width, height)

    def _arrows(self, found: Registration | None) -> tuple[FloatArray, FloatArray, float] | None:
        if found is None or not found.redundancy:
            return None
        miss = found.residuals
        x0, x1, _, _ = self.extents["map"]
        longest = float(np.hypot(*miss.T).max())
        fits = (f for f in _FACTORS if f * longest <= _LONGEST * (x1 - x0))
        factor = next(fits, 1.0)
        start = found.map_points - miss
        return start, start + factor * miss, factor

    def _swiped(self, state: RegistrationState) -> float:
        x0, x1, _, _ = self.extents["map"]
        return x0 + state.swipe * (x1 - x0)

    # the screen --------------------------------------------------------------------------------
    def _shown(self, state: RegistrationState) -> Screen:
        fitted, why = self._fit(state)
        found = self._found(state)
        flags = in_words(fitted.flags) if fitted is not None else ""
        return {
            "title": " · ".join(filter(None, ["Registration", map_title(self.ds)])),
            "message": self._ask(state) or flags,
            "level": "warning" if flags and not state.pending else "info",
            "panels": {
                "map": self._map_panel(state, fitted, found),
                "image": {
                    "layers": [layer("image", cmap="gray", smooth=True)],
                    "extent": list(self.extents["image"]),
                    "marks": self._marks(state, "image", found),
                    "result": summary(found) if found is not None else self._lacking(state) or why,
                },
            },
            "controls": self._controls(state, found),
            "can": {"refine": found is not None, "remove": self.chosen(state) is not None},
            **table(_COLUMNS, self._rows(state, fitted)),
        }

    @staticmethod
    def _lacking(state: RegistrationState) -> str:
        lacking = KINDS[state.kind] // 2 - len(state.picks.landmarks)
        more = f"{lacking} more landmark{'s' if lacking > 1 else ''}"
        return f"needs {more} for this transform" if lacking > 0 else ""

    @staticmethod
    def _ask(state: RegistrationState) -> str:
        if state.pending is None:
            return ""
        other = "image" if state.pending[0] == "map" else "map"
        return f"Now click the same point in the {other} (Esc: forget it)."

    def _map_panel(
        self, state: RegistrationState, fitted: Registration | None, found: Registration | None
    ) -> Part:
        layers, marks = [layer("map")], self._marks(state, "map", found)
        said = ""
        drawn = self._arrows(fitted)
        if drawn is not None:
            marks.insert(0, arrows(drawn[0], drawn[1], "#ff8a65"))
            said = "arrows: residuals" + (f" × {drawn[2]:g}" if drawn[2] > 1 else "")
        if state.overlay and found is not None:
            over = self._over(state, found)
            if over is not None:
                layers.append({**over, "swipe": "swipe"})
                at = self._swiped(state)
                more: dict[str, Any] = {"move": "swipe", "cased": True, "through": True}
                marks.append(across("x", at, "#fff", name="swipe", **more))
        title = QUANTITIES[state.quantity]
        return {
            "title": f"Map: {title}",
            "layers": layers,
            "extent": list(self.extents["map"]),
            "reads": [["map", "C ≈" if state.quantity == "fraction" else "counts", None]],
            "marks": marks,
            "result": said,
        }

    def _over(self, state: RegistrationState, found: Registration) -> Part | None:
        if found.kind == "projective":
            return None if self._laid is None else self._laid.layer(state.opacity, "laid")
        m = found.matrix @ self._pixel
        (a, c, e), (b, d, f) = m[0], m[1]
        dx, dy = found.shift
        matrix = [float(v) for v in (a, b, c, d, e + dx, f + dy)]
        more = {"opacity": state.opacity, "smooth": True, "clear": True, "cmap": "gray"}
        return layer("image", transform=matrix, **more)

    def _marks(self, state: RegistrationState, side: str, found: Registration | None) -> list[Part]:
        chosen, marks = self.chosen(state), state.picks.landmarks
        shown: list[Part] = []
        if marks:
            at = np.array([m.map_point if side == "map" else m.image_point for m in marks])
            shown.append(
                points(
                    at[:, 0],
                    at[:, 1],
                    "#ffffff",
                    names=[mark_name(m.name, side) for m in marks],
                    labels=[m.name for m in marks],
                    colours=["#ffab40" if m.name == chosen else "#ffffff" for m in marks],
                    ring=True,
                    size=4.5,
                    name=f"landmarks {side}",
                    click="select",
                    move="move",
                    remove="remove",
                )
            )
        if state.pending is not None:
            there, at_point = state.pending
            if there == side:
                more: dict[str, Any] = {"move": "place", "remove": "forget", "labels": ["?"]}
                shown.append(self._ring(at_point, side, "#ffab40", **more))
            elif found is not None:
                place = found([at_point]) if side == "map" else found.inverse([at_point])
                # Only to look at: a click takes the place that was clicked, or residuals would lie.
                more = {"hollow": True, "alpha": 0.9}
                shown.append(self._ring(place[0], side, "#ffab4055", **more))
        return shown

    @staticmethod
    def _ring(at: Any, side: str, style: str, **more: Any) -> Part:
        x, y = (float(v) for v in at)
        more |= {"ring": True, "size": 6.0, "name": f"pending {side}", "names": ["pending"]}
        return points([x], [y], style, args={"side": side}, **more)

    def _rows(self, state: RegistrationState, fitted: Registration | None) -> list[dict[str, Any]]:
        rows = []
        for k, mark in enumerate(state.picks.landmarks):
            numbers = dict(zip("xyuv", (*mark.map_point, *mark.image_point), strict=True))
            if fitted is not None:
                if fitted.redundancy:
                    numbers["residual"] = float(np.hypot(*fitted.residuals[k]))
                numbers["left_out"] = float(fitted.left_out[k])
            numbers = {key: v for key, v in numbers.items() if np.isfinite(v)}
            wrong = fitted is not None and f"outlier:{mark.name}" in fitted.flags
            # The row is called as the point that is selected, be it that of the map or the image.
            inside = state.selected == mark_name(mark.name, "image")
            rows.append(
                {
                    **{key: f"{v:.2f}" for key, v in numbers.items()},
                    "name": mark_name(mark.name, "image" if inside else "map"),
                    "landmark": mark.name,
                    "flag": "the others contradict it" if wrong else "",
                    "sort": numbers,
                }
            )
        return rows

    def _controls(self, state: RegistrationState, found: Registration | None) -> dict[str, Any]:
        name = self.chosen(state)
        mark = None if name is None else landmark_named(state.picks, name)
        values = [None] * 4 if mark is None else [*mark.map_point, *mark.image_point]
        hidden = not state.overlay or found is None
        return {
            "quantity": {"value": state.quantity, "options": [[q, QUANTITIES[q]] for q in SHOWN]},
            "kind": {"value": state.kind, "options": list(KINDS)},
            "lines": {"value": state.lines, "options": ["dark", "bright"]},
            "overlay": {"value": state.overlay, "disabled": found is None},
            "opacity": {"value": state.opacity, "hidden": hidden},
            "swipe": {"value": state.swipe, "hidden": hidden},
            "name": {"value": name, "hidden": mark is None},
            **{
                key: {"value": value, "hidden": mark is None}
                for key, value in zip("xyuv", values, strict=True)
            },
        }


def _upright(image: xr.DataArray) -> xr.DataArray:
    """Return an image with both coordinates growing, as a panel shows it."""
    if not isinstance(image, xr.DataArray):
        raise TypeError(
            "the image must be an xarray.DataArray of shape (v, u) with coordinates in um, got "
            f"{type(image).__name__}"
        )
    image_axes(image)
    return image.sortby([str(d) for d in image.dims]).astype(float)

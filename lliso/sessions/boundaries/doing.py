"""What a person does to boundaries and cuts: the gestures of the boundary app.

Each method ``_do_<kind>`` returns the state that its gesture gives, or raises a ValueError in
words. Lengths are in µm.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lliso.fit.patch import PatchFit
from lliso.maps.cuts import LineCut
from lliso.maps.edges import nearest_edge
from lliso.maps.paths import path_of
from lliso.sessions.boundaries.cut_gestures import (
    distance_of_click,
    extended_cut,
    new_cut,
    remove_cut,
    rename_cut,
    squared_cut,
)
from lliso.sessions.boundaries.gestures import (
    add_boundary,
    move_boundary,
    move_window,
    propose,
    rename_boundary,
    replace_cut,
)
from lliso.sessions.session import Session
from lliso.sessions.state import State

if TYPE_CHECKING:
    import xarray as xr

    from lliso.fit.boundary import BoundaryFit
    from lliso.maps.live_cuts import LiveCuts
    from lliso.maps.picks import BoundaryPick, Picks

Point = tuple[float, float]


class BoundaryDoing(Session[State]):
    """The gestures of `lliso.sessions.boundaries.session.BoundarySession`."""

    ds: xr.Dataset
    grains: xr.Dataset | None
    _fits: dict[str, BoundaryFit]
    _live: LiveCuts

    @property
    def picks(self) -> Picks:
        """The picks as they are now."""
        return self._state.picks

    @property
    def cut(self) -> LineCut:
        """The cut that is shown."""
        return self.picks.cut(self._state.cut)

    def _profile(self, cut: LineCut) -> xr.Dataset:
        raise NotImplementedError

    def _placed(self, pick: BoundaryPick) -> PatchFit:
        raise NotImplementedError

    def _do_cut_start(self, final: bool, x: float, y: float) -> State:
        return self._with_cut(final, start=self._on_map(x, y))

    def _do_cut_end(self, final: bool, x: float, y: float) -> State:
        return self._with_cut(final, end=self._on_map(x, y))

    def _do_cut_body(self, final: bool, dx: float, dy: float) -> State:
        cut = self.cut
        (x0, x1), (y0, y1) = self._live.extent
        xs, ys = (cut.start[0], cut.end[0]), (cut.start[1], cut.end[1])
        dx = min(max(dx, x0 - min(xs)), x1 - max(xs))
        dy = min(max(dy, y0 - min(ys)), y1 - max(ys))
        moved = cut.moved(dx, dy)
        return self._with_cut(final, start=moved.start, end=moved.end)

    def _do_cut_width(self, final: bool, width: float) -> State:
        return self._with_cut(final, width=max(float(width), self._least_width()))

    def _do_cut_numbers(
        self,
        final: bool,
        x0: float | None = None,
        y0: float | None = None,
        x1: float | None = None,
        y1: float | None = None,
        width: float | None = None,
    ) -> State:
        (ax, ay), (bx, by) = self.cut.start, self.cut.end
        start = (ax if x0 is None else x0, ay if y0 is None else y0)
        end = (bx if x1 is None else x1, by if y1 is None else y1)
        width = self.cut.width if width is None else width
        return self._with_cut(final, start=start, end=end, width=width)

    def _do_boundary_move(
        self, final: bool, name: str, distance: float, snap: bool = True
    ) -> State:
        profile = self._profile(self.picks.cut(self.picks.boundary(name).cut))
        picks = move_boundary(self.picks, name, distance, profile, snap=final and snap)
        return replace(self._state, picks=picks, selected=name)

    def _do_window_move(self, _final: bool, name: str, side: str, distance: float) -> State:
        picks = move_window(self.picks, name, side, distance)
        return replace(self._state, picks=picks, selected=name)

    def _do_add_at_distance(self, _final: bool, distance: float) -> State:
        return self._with_new(self.cut, distance)

    def _do_add_at_point(self, final: bool, x: float, y: float) -> State:
        return self._do_add_at_distance(final, distance_of_click(self.cut, x, y))

    def _do_add_on_path(self, _final: bool, x: float, y: float = 0.0) -> State:  # noqa: ARG002
        """Mark a boundary at a distance along the path, on the leg that lies there."""
        legs = path_of(self.picks.cuts, self.cut.name)
        leg = next((leg for leg in legs if x <= leg.stop), legs[-1])
        distance = min(max(leg.distance(x), 0.0), leg.cut.length)
        return self._with_new(leg.cut, distance)

    def _do_remove(self, _final: bool, name: str | None = None) -> State:
        name = self._chosen() if name is None else name
        picks = self.picks.without_boundary(name)
        self._say(f"boundary {name} removed; Ctrl+Z brings it back")
        return replace(self._state, picks=picks, selected=None)

    def _do_select(self, _final: bool, name: str | None) -> State:
        cut = self._state.cut if name is None else self.picks.boundary(name).cut
        return replace(self._state, cut=cut, selected=name)

    def _do_choose_cut(self, _final: bool, name: str) -> State:
        return replace(self._state, cut=self.picks.cut(name).name, selected=None)

    def _do_new_cut(self, _final: bool) -> State:
        cut = new_cut(self.picks, self.cut, self.ds)
        self._say(f"{cut.name} is new: drag it to where you want it; Ctrl+Z takes it back")
        return State(self.picks.with_cut(cut), cut.name)

    def _do_remove_cut(self, _final: bool, name: str | None = None) -> State:
        name = self._state.cut if name is None else name
        picks, words = remove_cut(self.picks, name)
        self._say(words)
        if name != self._state.cut:
            return replace(self._state, picks=picks)
        before = max([c.name for c in self.picks.cuts].index(name) - 1, 0)
        return State(picks, picks.cuts[before].name)

    def _do_rename_cut(self, _final: bool, new: str, name: str | None = None) -> State:
        name = self._state.cut if name is None else name
        at = [c.name for c in self.picks.cuts].index(self.picks.cut(name).name)
        picks = rename_cut(self.picks, name, new)
        shown = picks.cuts[at].name if name == self._state.cut else self._state.cut
        return replace(self._state, picks=picks, cut=shown)

    def _do_extend_cut(self, _final: bool) -> State:
        cut = extended_cut(self.picks, self.cut, self.ds)
        self._say(f"{cut.name} goes on from B of {self.cut.name}; drag its end along the path")
        return State(self.picks.with_cut(cut), cut.name)

    def _do_square_cut(self, final: bool, name: str | None = None) -> State:
        words, place, normal = self._crossed(self._state.selected if name is None else name)
        turned = squared_cut(self.cut, place, normal, self.ds)
        self._say(f"{self.cut.name} crosses {words} at a right angle")
        return self._with_cut(final, start=turned.start, end=turned.end)

    def _crossed(self, name: str | None) -> tuple[str, Point, Point]:
        """Return a boundary in words, its place and normal: marked, proposed, or of the grains."""
        fit = self._fitted(name)
        if fit is not None:
            return f"boundary {fit.name}", fit.place, fit.normal
        middle = self.cut.length / 2
        for at, _ in sorted(self._state.proposed, key=lambda ghost: abs(ghost[0] - middle)):
            picks, new, _ = add_boundary(self.picks, self.cut, at, self._profile(self.cut))
            fit = self._placed(picks.boundary(new))
            if fit.success and math.isfinite(fit.normal[0]):
                return "what is proposed", fit.place, fit.normal
        if self.grains is not None:
            return (
                "the nearest edge of a grain",
                *nearest_edge(self.grains, self.cut.point(middle)),
            )
        raise ValueError(
            "a right angle needs a fitted boundary on this cut; mark one first, propose some (P), "
            "or open the app with grains=lliso.segment_grains(ds)"
        )

    def _fitted(self, name: str | None) -> PatchFit | None:
        """Return the fit on pixels of a boundary; without a name, of the one nearest the middle."""
        picks: tuple[BoundaryPick, ...] = self.picks.on_cut(self.cut.name)
        middle = self.cut.length / 2
        near = sorted(picks, key=lambda b: (b.name != name, abs(b.position - middle)))
        fits = [self._fits.get(b.name) for b in near]
        for fit in fits[:1] if name is not None else fits:
            if isinstance(fit, PatchFit) and fit.success and math.isfinite(fit.normal[0]):
                return fit
        if name is not None:
            raise ValueError(f"a right angle needs a fit, got none of boundary {name}")
        return None

    # proposals ---------------------------------------------------------------------------------
    def _do_propose(self, _final: bool) -> State:
        profile = self._profile(self.cut)
        found = propose(self.picks, self.cut, profile)
        if not found:
            self._say("no further significant step on this cut")
        else:
            self._say(
                f"{len(found)} proposed: click one to accept it, right-click to drop it, A: all"
            )
        return replace(self._state, ghosts=(self.cut, tuple(found)))

    def _do_accept(self, final: bool, name: str) -> State:
        at, _ = self._ghost(name)
        return replace(self._do_add_at_distance(final, at), ghosts=self._without(name))

    def _do_accept_all(self, _final: bool) -> State:
        if not self._state.proposed:
            raise ValueError("there is nothing to accept; P proposes boundaries on this cut")
        picks, profile, n = self.picks, self._profile(self.cut), 0
        for at, _ in self._state.proposed:
            try:
                picks = add_boundary(picks, self.cut, at, profile)[0]
            except ValueError:  # one marked meanwhile on that very step
                continue
            n += 1
        self._say(f"{n} boundar{'y' if n == 1 else 'ies'} accepted; Ctrl+Z takes them back")
        return replace(self._state, picks=picks, selected=None, ghosts=None)

    def _do_dismiss(self, _final: bool, name: str | None = None) -> State:
        return replace(self._state, ghosts=None if name is None else self._without(name))

    def _ghost(self, name: str) -> tuple[float, float]:
        for i, ghost in enumerate(self._state.proposed):
            if f"ghost {i}" == name:
                return ghost
        raise ValueError(f"there is no proposal {name!r}; P proposes boundaries on this cut")

    def _without(self, name: str) -> tuple[LineCut, tuple[tuple[float, float], ...]]:
        gone = self._ghost(name)
        return self.cut, tuple(g for g in self._state.proposed if g != gone)

    # names, notes, typed numbers ---------------------------------------------------------------
    def _do_note(self, _final: bool, value: str) -> State:
        name = self._state.selected
        if name is None:
            return replace(self._state, picks=self.picks.with_note(str(value)))
        noted = self.picks.boundary(name).model_copy(update={"note": str(value)})
        return replace(self._state, picks=self.picks.with_boundary(noted))

    def _do_rename_boundary(self, _final: bool, new: str, name: str | None = None) -> State:
        name = self._chosen() if name is None else name
        picks, shown = rename_boundary(self.picks, name, new)
        return replace(self._state, picks=picks, selected=shown)

    def _do_boundary_numbers(
        self,
        final: bool,
        position: float | None = None,
        low: float | None = None,
        high: float | None = None,
    ) -> State:
        name = self._chosen()
        if position is not None:
            return self._do_boundary_move(final, name, position, snap=False)
        if low is not None:
            return self._do_window_move(final, name, "from", low)
        if high is not None:
            return self._do_window_move(final, name, "to", high)
        return self._state

    # how it is done ----------------------------------------------------------------------------
    def _with_cut(self, final: bool, **changes: Any) -> State:
        cut = LineCut(**{**dict(self.cut), **changes})
        picks, fallen = replace_cut(self.picks, cut, self._profile, final=final)
        for leg in _joined(self.picks, self.cut, cut):  # the legs of a path stay together
            picks, off = replace_cut(picks, leg, self._profile, final=final)
            fallen += off
        if fallen:
            self._say(f"boundary {', '.join(fallen)} would fall off the cut", "warning")
        return replace(self._state, picks=picks)

    def _with_new(self, cut: LineCut, distance: float) -> State:
        picks, name, doubt = add_boundary(self.picks, cut, distance, self._profile(cut))
        if doubt:
            self._say(f"{doubt}; Ctrl+Z takes it back", "warning")
        return replace(self._state, picks=picks, cut=cut.name, selected=name)

    def _on_map(self, x: float, y: float) -> tuple[float, float]:
        (x0, x1), (y0, y1) = self._live.extent
        return min(max(float(x), x0), x1), min(max(float(y), y0), y1)

    def _least_width(self) -> float:
        return max(self._live.pitch)

    def _chosen(self) -> str:
        if self._state.selected is None:
            raise ValueError("a boundary must be selected first; click it, or its row")
        return self._state.selected


def _joined(picks: Picks, old: LineCut, new: LineCut) -> list[LineCut]:
    """Return the other legs of a path, with the ends that they share with a cut moved with it."""
    moved = []
    for leg in picks.cuts:
        ends: dict[str, tuple[float, float]] = {}
        for mine in ("start", "end") if leg.name != old.name else ():
            at, to = getattr(old, mine), getattr(new, mine)
            for theirs in ("start", "end"):
                if at != to and math.dist(getattr(leg, theirs), at) < 1e-3:
                    ends[theirs] = to
        if ends:
            moved.append(LineCut(**{**dict(leg), **ends}))
    return moved

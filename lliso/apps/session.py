"""The session behind the boundary app: state, undo, autosave; what is on the screen as plain data.

No widget, no event loop: a test, or a script, that calls `gesture` walks the user's path.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from lliso.apps.cut_gestures import (
    BESIDE,
    distance_of_click,
    first_cut,
    new_cut,
    remove_cut,
    rename_cut,
)
from lliso.apps.gestures import add_boundary, move_boundary, move_window, replace_cut
from lliso.apps.screen import (
    boundaries_on_screen,
    image_on_screen,
    in_order,
    others_on_screen,
    profile_on_screen,
)
from lliso.apps.state import State, opened
from lliso.errors import LlisoWarning
from lliso.fit.boundaries import fit_picks, mean_grain_slope
from lliso.fit.patch import PatchImage
from lliso.fit.table import Constants, boundary_row
from lliso.fit.words import READABLE, readable_row
from lliso.maps.cuts import LineCut, line_profile, map_extent
from lliso.maps.fraction import sum_frames
from lliso.maps.picks import Picks, problems_in_words
from lliso.schema import LI6, LI7, check_map, pixel_size
from lliso.units import LENGTH, parse_quantity

if TYPE_CHECKING:
    import xarray as xr

    from lliso.fit.boundary import BoundaryFit

_PROFILES_KEPT = 64


class BoundarySession:
    """Pick grain boundaries on line cuts of one map.

    Parameters
    ----------
    ds : xarray.Dataset
        A map with ⁶Li and ⁷Li; frames are summed.
    picks : Picks, str or os.PathLike, optional
        Picks to start from, or their file: read if it exists, and written after every change that
        a person makes (never on opening). Without a file nothing is saved.
    d_bulk : float or str
        Diffusion coefficient inside the grains in cm²/s, or a string with a unit.
    delta : float or str
        Boundary thickness δ in nm.
    resolution : float or str
        Full width at half maximum of the point spread function in µm, or a string with a unit.
    cut : str, optional
        Name of the cut to show; default: the first.

    Raises
    ------
    PicksMismatch
        If the picks were made on another map.
    ValueError
        If a species is missing, the map holds no counts, or a constant is bad.
    """

    def __init__(
        self,
        ds: xr.Dataset,
        picks: Picks | str | os.PathLike[str] | None = None,
        *,
        d_bulk: float | str,
        delta: float | str = "0.5 nm",
        resolution: float | str = 1.0,
        cut: str | None = None,
    ) -> None:
        check_map(ds, needs=(LI6, LI7))
        self.ds = sum_frames(ds).load()
        if not float(self.ds["counts"].sel(species=[LI6, LI7]).sum()) > 0:
            raise ValueError(f"the map must hold counts of {LI6} or {LI7}, got none at all")
        self._image = PatchImage.from_map(self.ds)
        self.constants = Constants.parse(d_bulk, 0.0, delta, 0.95)
        self.resolution = parse_quantity(resolution, LENGTH, "resolution")
        if not self.resolution >= 0:
            raise ValueError(f"resolution must not be negative, got {self.resolution:g} um")
        self.path, start = opened(picks, self.ds)
        if not start.cuts:
            start = start.with_cut(first_cut(self.ds))
        start = Picks.loads(start.dumps())  # as a file would hold them, to the last digit
        name = start.cuts[0].name if cut is None else start.cut(cut).name
        self._state = State(start, name)
        self._past: list[State] = []
        self._future: list[State] = []
        self._profiles: dict[LineCut, xr.Dataset] = {}
        self._rows: dict[str, dict[str, Any]] = {}
        self._mean_slope = float("inf")
        self._sequence = 0
        self._message, self._level = "", "info"
        self._saved = "" if self.path is None else f"picks file: {self.path.name}"
        self._fits: dict[str, BoundaryFit] = {}
        self._refit()

    # what there is -----------------------------------------------------------------------------
    @property
    def picks(self) -> Picks:
        """The picks as they are now."""
        return self._state.picks

    @property
    def cut(self) -> LineCut:
        """The cut that is shown."""
        return self.picks.cut(self._state.cut)

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """The table's rows by boundary, as numbers (see `lliso.fit.table.COLUMNS`)."""
        return dict(self._rows)

    def image(self) -> dict[str, Any]:
        """Return the fraction map as bytes for the screen.

        Returns
        -------
        dict
            ``pixels`` (uint8, (y, x), 0 where there are no counts, else 1 to 255 from ``low`` to
            ``high``), the extent ``x0, x1, y0, y1`` in µm, and a ``title``.
        """
        return image_on_screen(self.ds)

    def screen(self) -> dict[str, Any]:
        """Return all that the view shows besides the image, as plain data."""
        return self._screen(self._state, self._fits, self._rows)

    # what a person does ------------------------------------------------------------------------
    def gesture(self, kind: str, final: bool = True, **args: Any) -> dict[str, Any]:
        """Do what a person did, and return the screen.

        Parameters
        ----------
        kind : str
            ``cut_start(x, y)``, ``cut_end(x, y)``, ``cut_body(dx, dy)``, ``cut_width(width)``,
            ``cut_numbers(x0, y0, x1, y1, width)``, ``boundary_move(name, distance, snap)``,
            ``window_move(name, side, distance)``, ``add_at_distance(distance)``,
            ``add_at_point(x, y)``, ``remove(name)``, ``select(name)``, ``choose_cut(name)``,
            ``new_cut``, ``remove_cut(name)``, ``rename_cut(name, new)``, ``undo`` or ``redo``. All
            lengths in µm.
        final : bool
            False shows what would be, with a quick fit, and changes nothing; True commits: full
            fit, undo point, autosave.
        **args
            As listed.

        Returns
        -------
        dict
            See `screen`.

        Raises
        ------
        ValueError
            In words, if it cannot be done; the state is as before.
        """
        doer = getattr(self, f"_do_{kind}", None)
        if doer is None:
            known = sorted(n.removeprefix("_do_") for n in dir(self) if n.startswith("_do_"))
            raise ValueError(f"gesture must be one of {', '.join(known)}, got {kind!r}")
        said = self._message, self._level
        self._message, self._level = "", "info"
        try:
            return self._done(doer, final, args)
        except Exception:
            self._message, self._level = "", "info"  # what it would have said did not happen
            raise
        finally:
            if not final:
                self._message, self._level = said

    def _done(
        self, doer: Callable[..., State | None], final: bool, args: dict[str, Any]
    ) -> dict[str, Any]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", LlisoWarning)
            try:
                new = doer(final, **args)
            except ValidationError as err:  # numbers that make no cut: one line on the screen
                raise ValueError(problems_in_words(err)) from None
            if new is not None and not final:
                screen = self._preview(new)
            else:
                if new is not None:
                    self._commit(new)
                screen = self.screen()
        for warning in caught:
            if issubclass(warning.category, LlisoWarning) and not self._message:
                screen["message"], screen["level"] = str(warning.message), "warning"
        return screen

    def _do_cut_start(self, final: bool, x: float, y: float) -> State:
        return self._with_cut(final, start=self._on_map(x, y))

    def _do_cut_end(self, final: bool, x: float, y: float) -> State:
        return self._with_cut(final, end=self._on_map(x, y))

    def _do_cut_body(self, final: bool, dx: float, dy: float) -> State:
        cut = self.cut
        (x0, x1), (y0, y1) = map_extent(self.ds)
        xs, ys = (cut.start[0], cut.end[0]), (cut.start[1], cut.end[1])
        dx = min(max(dx, x0 - min(xs)), x1 - max(xs))
        dy = min(max(dy, y0 - min(ys)), y1 - max(ys))
        moved = cut.moved(dx, dy)
        return self._with_cut(final, start=moved.start, end=moved.end)

    def _do_cut_width(self, final: bool, width: float) -> State:
        return self._with_cut(final, width=max(float(width), self._least_width()))

    def _do_cut_numbers(
        self, final: bool, x0: float, y0: float, x1: float, y1: float, width: float
    ) -> State:
        return self._with_cut(final, start=(x0, y0), end=(x1, y1), width=width)

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
        picks, name, doubt = add_boundary(self.picks, self.cut, distance, self._profile(self.cut))
        if doubt:
            self._message, self._level = f"{doubt}; Ctrl+Z takes it back", "warning"
        return replace(self._state, picks=picks, selected=name)

    def _do_add_at_point(self, final: bool, x: float, y: float) -> State:
        return self._do_add_at_distance(final, distance_of_click(self.cut, x, y))

    def _do_remove(self, _final: bool, name: str) -> State:
        picks = self.picks.without_boundary(name)
        self._message = f"boundary {name} removed; Ctrl+Z brings it back"
        return replace(self._state, picks=picks, selected=None)

    def _do_select(self, _final: bool, name: str | None) -> State:
        cut = self._state.cut if name is None else self.picks.boundary(name).cut
        return replace(self._state, cut=cut, selected=name)

    def _do_choose_cut(self, _final: bool, name: str) -> State:
        return replace(self._state, cut=self.picks.cut(name).name, selected=None)

    def _do_new_cut(self, _final: bool) -> State:
        cut = new_cut(self.picks, self.cut, self.ds)
        self._message = f"{cut.name} is new: drag it to where you want it; Ctrl+Z takes it back"
        return State(self.picks.with_cut(cut), cut.name)

    def _do_remove_cut(self, _final: bool, name: str) -> State:
        picks, self._message = remove_cut(self.picks, name)
        if name != self._state.cut:
            return replace(self._state, picks=picks)
        before = max([c.name for c in self.picks.cuts].index(name) - 1, 0)
        return State(picks, picks.cuts[before].name)

    def _do_rename_cut(self, _final: bool, name: str, new: str) -> State:
        at = [c.name for c in self.picks.cuts].index(self.picks.cut(name).name)
        picks = rename_cut(self.picks, name, new)
        shown = picks.cuts[at].name if name == self._state.cut else self._state.cut
        return replace(self._state, picks=picks, cut=shown)

    def _do_undo(self, final: bool) -> State | None:
        return self._step(final, self._past, self._future, "there is nothing to undo")

    def _do_redo(self, final: bool) -> State | None:
        return self._step(final, self._future, self._past, "there is nothing to redo")

    def close(self) -> None:
        """Let go of everything that was computed; the picks stay readable."""
        self._profiles.clear()

    # how it is done ----------------------------------------------------------------------------
    def _with_cut(self, final: bool, **changes: Any) -> State:
        cut = LineCut(**{**dict(self.cut), **changes})
        picks, fallen = replace_cut(self.picks, cut, self._profile, final=final)
        if fallen:
            self._message = f"boundary {', '.join(fallen)} would fall off the cut"
            self._level = "warning"
        return replace(self._state, picks=picks)

    def _on_map(self, x: float, y: float) -> tuple[float, float]:
        (x0, x1), (y0, y1) = map_extent(self.ds)
        return min(max(float(x), x0), x1), min(max(float(y), y0), y1)

    def _least_width(self) -> float:
        return max(pixel_size(self.ds))

    def _profile(self, cut: LineCut) -> xr.Dataset:
        if cut not in self._profiles:
            while len(self._profiles) >= _PROFILES_KEPT:
                self._profiles.pop(next(iter(self._profiles)))
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", LlisoWarning)
                profile = line_profile(self.ds, cut)
            # Said each time the cut is shown, not only when it is computed.
            profile.attrs["warning"] = " ".join(str(w.message) for w in caught)
            self._profiles[cut] = profile
        return self._profiles[cut]

    def _commit(self, new: State) -> None:
        old = self._state
        if new.picks == old.picks:  # another selection, or a gesture that came to nothing
            self._state = new
            return
        # What is shown is what the file says, to the last digit: the same numbers headless.
        new = replace(new, picks=Picks.loads(new.picks.dumps()))
        self._state = new
        try:
            self._refit()
        except BaseException:
            self._state = old
            raise
        if new.picks != old.picks:  # rounded, they may be the same again
            self._past.append(old)
            self._future.clear()
            self._save()

    def _step(
        self, final: bool, source: list[State], target: list[State], empty: str
    ) -> State | None:
        if not source:
            self._message = empty
            return None
        if not final:
            return source[-1]
        target.append(self._state)
        self._state = source.pop()
        self._refit()
        self._save()
        return None

    def _save(self) -> None:
        if self.path is None:
            self._saved = "not saved: no picks file was given"
            return
        try:
            self.picks.save(self.path)
        except OSError as err:
            self._saved = f"not saved: {err.strerror} ({self.path.name})"
            self._message, self._level = self._saved, "error"
        else:
            self._saved = f"saved {time.strftime('%H:%M:%S')}, {self.path.name}"

    def _refit(self) -> None:
        """Fit every boundary on every cut, as `lliso.fit_boundaries` does."""
        picks = self.picks
        profiles = {c.name: self._profile(c) for c in picks.cuts if picks.on_cut(c.name)}
        self._mean_slope = mean_grain_slope(profiles, picks, self.resolution)
        fits = fit_picks(self._image, profiles, picks, resolution=self.resolution)
        self._fits = {fit.name: fit for fit in fits}
        self._rows = {fit.name: boundary_row(fit, picks, self.constants) for fit in fits}

    def _preview(self, new: State) -> dict[str, Any]:
        """Return the screen of a state that is not committed, with a quick fit of the cut shown."""
        if new.picks == self.picks:
            return self._screen(new, self._fits, self._rows)
        shown = new.picks.model_copy(update={"boundaries": new.picks.on_cut(new.cut)})
        fits = fit_picks(
            None,  # slices, not pixels: quick enough to follow the mouse
            {new.cut: self._profile(new.picks.cut(new.cut))},
            shown,
            method="profile",
            resolution=self.resolution,
            mean_slope=self._mean_slope,
            rounds=1,
        )
        rows = {n: row for n, row in self._rows.items() if n not in {f.name for f in fits}}
        rows |= {fit.name: boundary_row(fit, shown, self.constants) for fit in fits}
        return self._screen(new, {fit.name: fit for fit in fits}, rows)

    def _screen(
        self, state: State, fits: dict[str, BoundaryFit], rows: dict[str, dict[str, Any]]
    ) -> dict[str, Any]:
        self._sequence += 1
        cut = state.picks.cut(state.cut)
        message, level = self._message, self._level
        failed = [fits[b.name] for b in state.picks.on_cut(cut.name) if not fits[b.name].success]
        if failed and not message:
            message, level = failed[0].message, "warning"
        if not message and self._profile(cut).attrs["warning"]:
            message, level = self._profile(cut).attrs["warning"], "warning"
        return {
            "sequence": self._sequence,
            "cut": cut.model_dump(mode="json"),
            "cuts": [c.name for c in state.picks.cuts],
            "others": others_on_screen(state.picks, cut.name),
            "beside": BESIDE,
            "profile": profile_on_screen(self._profile(cut)),
            "boundaries": boundaries_on_screen(state.picks, cut, fits, rows),
            "selected": state.selected,
            "columns": [{"key": k, "label": label, "unit": unit} for k, label, unit in READABLE],
            "rows": [readable_row(b.name, rows[b.name]) for b in in_order(state.picks, rows)],
            "message": message,
            "level": level,
            "can_undo": bool(self._past),
            "can_redo": bool(self._future),
            "saved": self._saved,
        }

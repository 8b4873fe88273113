"""The session behind the boundary app: boundaries on line cuts, with their fits.

No widget, no event loop: a test, or a script, that calls `gesture` walks the user's path.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lliso.errors import LlisoWarning
from lliso.fit.boundaries import fit_picks, mean_grain_slope
from lliso.fit.boundary import failed_fit, quick_fit
from lliso.fit.patch import PatchFit, PatchImage, fit_patch, geometry_of_pick
from lliso.fit.table import Constants, boundary_row
from lliso.fit.window import window_of
from lliso.fit.words import READABLE
from lliso.maps.cuts import LineCut, line_profile
from lliso.maps.fraction import sum_frames
from lliso.maps.live_cuts import CutSums, LiveCuts
from lliso.maps.paths import path_of
from lliso.maps.picks import Picks
from lliso.schema import LI6, LI7, check_map
from lliso.sessions.boundaries.cut_gestures import BESIDE, first_cut
from lliso.sessions.boundaries.doing import BoundaryDoing
from lliso.sessions.boundaries.layout import boundary_layout
from lliso.sessions.boundaries.path_panel import path_on_screen
from lliso.sessions.boundaries.report import boundary_code, boundary_csv, boundary_figure
from lliso.sessions.boundaries.screen import (
    boundaries_fits,
    boundaries_on_screen,
    control_values,
    ghosts_on_map,
    ghosts_on_profile,
    in_order,
    others_on_screen,
    profile_on_screen,
    residuals_on_screen,
    table_rows,
)
from lliso.sessions.boundaries.stages import OtherStages
from lliso.sessions.map_image import grain_outlines, image_on_screen, map_title
from lliso.sessions.parts import Picture, layer, table
from lliso.sessions.session import Screen
from lliso.sessions.state import State, opened
from lliso.units import LENGTH, parse_quantity

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lliso.fit.boundary import BoundaryFit
    from lliso.maps.picks import BoundaryPick

_PROFILES_KEPT = 64


class BoundarySession(BoundaryDoing):
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
    stages : mapping of str to xarray.Dataset, optional
        Maps of the same place at other times: shown in the same profile, fitted with one D_gb/δ
        per boundary (`lliso.fit_stages`).
    grains : xarray.Dataset, optional
        Grains of the map (`lliso.segment_grains`, `lliso.boundary_network`): their outlines are
        drawn, and a cut can be turned across the nearest boundary before any is marked.

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
        stages: Mapping[str, xr.Dataset] | None = None,
        grains: xr.Dataset | None = None,
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
        path, start = opened(picks, self.ds)
        if not start.cuts:
            start = start.with_cut(first_cut(self.ds))
        start = Picks.loads(start.dumps())  # as a file would hold them, to the last digit
        name = start.cuts[0].name if cut is None else start.cut(cut).name
        self._profiles: dict[LineCut, xr.Dataset] = {}
        self._rows: dict[str, dict[str, Any]] = {}
        self._mean_slope = float("inf")
        self._fits: dict[str, BoundaryFit] = {}
        self._live = LiveCuts(self.ds)
        self._pictures = {"fraction": image_on_screen(self.ds)}
        self.grains = grains
        self._layers = [layer("fraction")]
        if grains is not None:
            self._pictures["grains"] = grain_outlines(self.ds, grains)
            self._layers.append(layer("grains", cmap="gray", clear=True, opacity=0.3))
        self._others = OtherStages(self.ds, dict(stages or {}), self.resolution)
        start = self._others.anchored(start)
        super().__init__(State(start, name), path)

    # what there is -----------------------------------------------------------------------------
    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """The table's rows by boundary, as numbers (see `lliso.fit.table.COLUMNS`)."""
        return dict(self._rows)

    @property
    def stages(self) -> dict[str, xr.Dataset]:
        """The maps of other times, by what they are called."""
        return self._others.maps

    @property
    def joint(self) -> xr.Dataset | None:
        """What all stages together say (see `lliso.fit_stages`); None without stages."""
        return self._others.table

    def layout(self) -> dict[str, Any]:
        """Return panels, controls and keys of the app."""
        return boundary_layout()

    def images(self) -> dict[str, Picture]:
        """Return the fraction map, and the outlines of the grains if they are known."""
        return self._pictures

    def close(self) -> None:
        """Let go of everything that was computed; the picks stay readable."""
        self._profiles.clear()
        self._pictures.clear()
        # IPython keeps what a cell showed, and so every session that was ever opened in a notebook
        for name in ("_image", "_live", "_others"):
            self.__dict__.pop(name, None)

    def _profile(self, cut: LineCut) -> xr.Dataset:
        if cut not in self._profiles:
            while len(self._profiles) >= _PROFILES_KEPT:
                self._profiles.pop(next(iter(self._profiles)))
            with warnings.catch_warnings():  # `_on_screen` says it each time the cut is shown
                warnings.simplefilter("ignore", LlisoWarning)
                self._profiles[cut] = line_profile(self.ds, cut)
        return self._profiles[cut]

    # what is kept and shown --------------------------------------------------------------------
    def _kept(self, state: State) -> Picks:
        return state.picks

    def _settled(self, state: State) -> State:
        return replace(state, picks=Picks.loads(state.picks.dumps()))

    def _text(self, state: State) -> str:
        return state.picks.dumps()

    def _read(self, path: Path) -> State:
        picks = Picks.load(path)
        picks.check(self.ds)
        if not picks.cuts:
            picks = picks.with_cut(first_cut(self.ds))
        return State(picks, picks.cuts[0].name)

    def _csv(self) -> str:
        stage = str(self.ds.attrs.get("stage") or "map")
        return boundary_csv(self.picks, self._rows, stage, self._others, self.constants)

    def code(self) -> str:
        """Return the lines of lliso that give the table and the figure."""
        return boundary_code(self)

    def _figure(self, width: float, height: float) -> Figure:  # noqa: ARG002 - set by the caller
        return boundary_figure(self)

    def _compute(self, state: State) -> None:
        """Fit every boundary on every cut, as `lliso.fit_boundaries` does."""
        picks = state.picks
        profiles = {c.name: self._profile(c) for c in picks.cuts if picks.on_cut(c.name)}
        self._mean_slope = mean_grain_slope(profiles, picks, self.resolution)
        fits = fit_picks(self._image, profiles, picks, resolution=self.resolution)
        self._fits = {fit.name: fit for fit in fits}
        self._rows = {fit.name: boundary_row(fit, picks, self.constants) for fit in fits}
        self._others.compute(picks, self.constants)

    def _placed(self, pick: BoundaryPick) -> PatchFit:
        """Fit a boundary that is only proposed, for where it lies and how it runs."""
        geometry = geometry_of_pick(pick, self.cut)
        slope = self._mean_slope
        return fit_patch(self._image, geometry, resolution=self.resolution, mean_slope=slope)

    def _preview(self, state: State) -> Screen:
        """Return the screen of a state that is not committed, with a quick fit of the cut shown."""
        if state.picks == self.picks:
            return self._framed(self._shown(state))
        cut = state.picks.cut(state.cut)
        sums = self._live.sums(cut)
        fits = {b.name: self._quick(sums, b) for b in state.picks.on_cut(cut.name)}
        rows = {n: row for n, row in self._rows.items() if n not in fits}
        rows |= {n: boundary_row(fit, state.picks, self.constants) for n, fit in fits.items()}
        return self._framed(self._on_screen(state, sums, fits, rows))

    def _quick(self, sums: CutSums, pick: BoundaryPick) -> BoundaryFit:
        """Fit on slices, not pixels, and linearly: quick enough to follow the mouse."""
        try:
            counts = sums.distance, sums.light, sums.total, sums.step, sums.width
            return quick_fit(window_of(*counts, pick, self.resolution), pick, self._mean_slope)
        except ValueError as err:
            return failed_fit(pick, str(err))

    def _shown(self, state: State) -> Screen:
        sums = self._live.sums(state.picks.cut(state.cut))
        return self._on_screen(state, sums, self._fits, self._rows)

    def _on_screen(
        self,
        state: State,
        sums: CutSums,
        fits: dict[str, BoundaryFit],
        rows: dict[str, dict[str, Any]],
    ) -> Screen:
        cut = state.picks.cut(state.cut)
        failed = [fits[b.name] for b in state.picks.on_cut(cut.name) if not fits[b.name].success]
        warning = failed[0].message if failed else sums.warning
        boundaries = boundaries_on_screen(state.picks, cut, fits, rows)
        chosen = [b for b in boundaries if b["name"] == state.selected]
        return {
            "message": warning,
            "level": "warning" if warning else "info",
            "title": " · ".join(filter(None, ["Boundaries", map_title(self.ds)])),
            "selected": state.selected,
            "cut": cut.model_dump(mode="json"),
            "cuts": [c.name for c in state.picks.cuts],
            "others": others_on_screen(state.picks, cut.name),
            "beside": BESIDE,
            "least_width": self._least_width(),
            "profile": profile_on_screen(sums),
            "boundaries": boundaries,
            "controls": control_values(state, cut),
            "can": {
                "remove_cut": len(state.picks.cuts) > 1,
                "fitted": bool(boundaries),
                "ghosts": bool(state.proposed),
            },
            "panels": {
                "map": {"layers": self._layers, "marks": ghosts_on_map(state)},
                "profile": {
                    "result": _result(chosen[0]) if chosen else "",
                    "marks": ghosts_on_profile(state) + self._others.marks(state.picks, cut),
                },
                "residuals": residuals_on_screen(
                    sums, boundaries_fits(state.picks, cut, fits), cut.length
                ),
                "path": path_on_screen(
                    state,
                    path_of(state.picks.cuts, cut.name),
                    self._live.sums,
                    {**self._fits, **fits},
                ),
            },
            **table(
                (*READABLE, *self._others.columns),
                self._others.with_joint(table_rows(in_order(state.picks, rows), rows)),
            ),
        }


def _result(boundary: dict[str, Any]) -> str:
    limits = boundary["limits"]
    known = any(c.isdigit() for c in limits)
    return f"{boundary['name']}: {f'D_gb/δ {limits} cm/s' if known else limits}"

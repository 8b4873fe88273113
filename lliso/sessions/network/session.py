"""The session behind the view of a grain network: boundaries, their histogram, edits of grains."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.fit.network import check_same_pixels, fit_network, grain_slopes
from lliso.fit.network_update import refit_network
from lliso.fit.table import Constants
from lliso.maps.cuts import map_extent
from lliso.maps.fraction import sum_frames
from lliso.maps.grain_edits import GrainEdits, Merge, Split, apply_edits, grain_at
from lliso.maps.grains import boundary_network
from lliso.maps.segment import segment_grains
from lliso.schema import LI6, LI7, check_map
from lliso.sessions.map_image import image_on_screen, map_title, outlines
from lliso.sessions.network.layout import COLOURS, MODES, network_layout, what_to_click
from lliso.sessions.network.report import network_code, network_csv, network_figure
from lliso.sessions.network.screen import (
    ASIDE,
    COLUMNS,
    Shown,
    chords,
    histogram,
    place_inside,
    population_in_words,
    rows,
    selected_in_words,
)
from lliso.sessions.parts import Part, Picture, layer, lines, points, table
from lliso.sessions.session import Screen, Session
from lliso.units import LENGTH, parse_quantity

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

Point = tuple[float, float]
_KEPT = 8  # results of states that undo may come back to


@dataclass(frozen=True)
class NetworkState:
    """Edits, and how the network is looked at."""

    edits: GrainEdits
    colour: str = "permeability"
    least: float = 0.63  # as of `lliso.picks_from_network`
    mode: str = "look"
    pending: Point | None = None
    bin: int | None = None
    outlines: bool = True
    selected: str | None = None


@dataclass(frozen=True, eq=False)
class _Found:
    """What one set of edits gives."""

    network: xr.Dataset
    table: xr.Dataset
    outlines: Picture
    population: str


class NetworkSession(Session[NetworkState]):
    """Look at the boundaries of all grains, and correct the grains.

    Parameters
    ----------
    ds : xarray.Dataset
        A map with ⁶Li and ⁷Li; frames are summed.
    edits : GrainEdits, str or os.PathLike, optional
        Edits to start from, or their file.
    grains : xarray.Dataset, optional
        Of `lliso.segment_grains`; default: found on `ds` alone.
    d_bulk, delta, resolution
        See `lliso.fit_network`.

    Raises
    ------
    PicksMismatch
        If the edits are of other grains.
    ValueError
        If a species is missing, there is no boundary, or a constant is bad.
    """

    _noun = "file of edits"

    def __init__(
        self,
        ds: xr.Dataset,
        edits: GrainEdits | str | os.PathLike[str] | None = None,
        *,
        grains: xr.Dataset | None = None,
        d_bulk: float | str,
        delta: float | str = "0.5 nm",
        resolution: float | str = 1.0,
    ) -> None:
        check_map(ds, needs=(LI6, LI7))
        self.ds = sum_frames(ds).load()
        self.constants = Constants.parse(d_bulk, 0.0, delta, 0.95)
        self.resolution = parse_quantity(resolution, LENGTH, "resolution")
        self.segmented = grains is None
        self.grains = segment_grains(self.ds) if grains is None else grains
        first = boundary_network(self.grains)
        check_same_pixels(self.ds, first)
        slopes = grain_slopes(self.ds, first, resolution=self.resolution).attrs
        self._slope = float(np.hypot(slopes["mean_slope_per_cm"], slopes["mean_slope_std_per_cm"]))
        self._map = image_on_screen(self.ds)
        self._found: dict[GrainEdits, _Found] = {}
        self._shown_of: tuple[Any, Shown] | None = None
        self._rows_of: tuple[Any, list[dict[str, Any]]] | None = None
        path, start = None, edits
        if isinstance(start, (str, os.PathLike)):
            path = Path(start)
            start = GrainEdits.load(path) if path.exists() else None
        start = GrainEdits.of(self.grains) if start is None else start
        start.check(self.grains)
        super().__init__(NetworkState(GrainEdits.loads(start.dumps())), path)

    # what there is -----------------------------------------------------------------------------
    @property
    def network(self) -> xr.Dataset:
        """The network after the edits."""
        return self._found[self._state.edits].network

    @property
    def table(self) -> xr.Dataset:
        """The table of all its boundaries (see `lliso.fit_network`)."""
        return self._found[self._state.edits].table

    @property
    def shown(self) -> Shown:
        """The boundaries that are probable enough, with what colours them."""
        return self._shown_boundaries(self._state)

    def layout(self) -> dict[str, Any]:
        """Return panels, controls and keys of the app."""
        return network_layout()

    def images(self) -> dict[str, Picture]:
        """Return the fraction map and the outlines of the grains."""
        return {"fraction": self._map, "outlines": self._found[self._state.edits].outlines}

    def code(self) -> str:
        """Return the lines of lliso that give the table."""
        return network_code(self)

    def close(self) -> None:
        """Let go of what undo would come back to."""
        now = self._state.edits
        self._found = {now: self._found[now]}

    # computing ---------------------------------------------------------------------------------
    def _compute(self, state: NetworkState) -> None:
        edits = state.edits
        if edits in self._found:
            return
        self.progress(None, "finding the boundaries of the grains")
        network = boundary_network(apply_edits(self.grains, edits))
        options: dict[str, Any] = {
            "d_bulk": self.constants.d_bulk,
            "delta": self.constants.delta,
            "resolution": self.resolution,
        }
        if self._found:
            self.progress(None, "fitting the boundaries that the edit changed")
            last = next(reversed(self._found.values()))
            found = refit_network(self.ds, network, last.network, last.table, **options)
        else:
            self.progress(None, f"fitting {network.sizes['boundary']} boundaries")
            found = fit_network(self.ds, network, mean_slope=self._slope, **options)
        edge = outlines(network["label"].values)
        picture = Picture(edge.astype(np.float32), self._map.extent, 0.0, 1.0)
        while len(self._found) >= _KEPT:
            self._found.pop(next(iter(self._found)))
        self._found[edits] = _Found(network, found, picture, population_in_words(found))

    def _kept(self, state: NetworkState) -> GrainEdits:
        return state.edits

    def _settled(self, state: NetworkState) -> NetworkState:
        return replace(state, edits=GrainEdits.loads(state.edits.dumps()))

    def _text(self, state: NetworkState) -> str:
        return state.edits.dumps()

    def _read(self, path: Path) -> NetworkState:
        edits = GrainEdits.load(path)
        edits.check(self.grains)
        return replace(self._state, edits=edits, pending=None, bin=None, selected=None)

    def _csv(self) -> str:
        return network_csv(self)

    def _figure(self, width: float, height: float) -> Figure:
        return network_figure(self, width, height)

    def _stem(self) -> str:
        return "network" if self.path is None else self.path.stem

    # the screen --------------------------------------------------------------------------------
    def _shown_boundaries(self, state: NetworkState) -> Shown:
        key = (state.edits, state.colour, state.least)
        if self._shown_of is None or self._shown_of[0] != key:
            found = Shown.of(self._found[state.edits].table, state.colour, state.least)
            self._shown_of = (key, found)
        return self._shown_of[1]

    def _rows(self, state: NetworkState, shown: Shown) -> list[dict[str, Any]]:
        key = (state.edits, state.least)  # hundreds of rows in words: not at every click
        if self._rows_of is None or self._rows_of[0] != key:
            self._rows_of = (key, rows(self._found[state.edits].table, shown.at))
        return self._rows_of[1]

    def _shown(self, state: NetworkState) -> Screen:
        found, shown = self._found[state.edits], self._shown_boundaries(state)
        colours, _ = shown.colours()
        bins = shown.bins()
        names = [str(n) for n in found.table["boundary"].values[shown.at]]
        edits = len(state.edits.edits)
        return {
            "title": " · ".join(filter(None, ["Grain network", map_title(self.ds)])),
            "message": what_to_click(state.mode, state.pending is not None),
            # Esc forgets a first click as it forgets a selection.
            "selected": "a first click" if state.pending is not None else state.selected,
            "panels": {
                "map": self._map_panel(state, found, shown, colours, bins, names),
                "histogram": histogram(
                    shown, state.colour, found.population, state.bin, state.selected, names
                ),
            },
            "controls": {
                "colour": {
                    "value": state.colour,
                    "options": [[k, words] for k, (words, _) in COLOURS.items()],
                },
                "least": state.least,
                "mode": {"value": state.mode, "options": [[k, w] for k, w in MODES.items()]},
                "outlines": state.outlines,
                "line": "",
            },
            "can": {"remove": state.selected is not None},
            "edited": f"{edits} edit{'' if edits == 1 else 's'}",
            **table(COLUMNS, self._rows(state, shown)),
        }

    def _map_panel(
        self,
        state: NetworkState,
        found: _Found,
        shown: Shown,
        colours: list[str],
        bins: Any,
        names: list[str],
    ) -> Part:
        paths = chords(found.network)[shown.at]
        looks = {"click": "select", "remove": "remove"} if state.mode == "look" else {}
        marks = []
        # Those without a value first, thin: what was measured lies on top of them.
        for name, use in (("unmeasured", bins < 0), ("measured", bins >= 0)):
            lit = use & (bins == state.bin)
            thin = 1.2 if name == "unmeasured" else 2.4
            more: dict[str, Any] = {
                "names": [n for n, k in zip(names, use.tolist(), strict=True) if k],
                "colours": [
                    c if state.bin is None or k else ASIDE
                    for c, k, own in zip(colours, lit.tolist(), use.tolist(), strict=True)
                    if own
                ],
                "widths": np.where(lit[use], 3.4, thin if state.bin is None else 1.0).tolist(),
                "cased": name == "measured" and state.bin is None,
            }
            marks.append(lines(list(paths[use]), name=name, **more, **looks))
        if state.pending is not None:
            x, y = state.pending
            marks.append(points([x], [y], "#ffab40", ring=True, size=5, labels=["1"]))
        (x0, x1), (y0, y1) = map_extent(self.ds)
        layers = [layer("fraction", cmap="gray")]
        if state.outlines:
            layers.append(layer("outlines", cmap="gray", clear=True, opacity=0.3))
        panel: Part = {"layers": layers, "marks": marks, "extent": [x0, x1, y0, y1]}
        panel["reads"] = [["fraction", "C ≈", 2]]
        panel["title"] = f"{len(names)} boundaries coloured by {COLOURS[state.colour][0]}"
        panel["result"] = selected_in_words(found.table, state.selected)
        # In the other modes a click is one on a grain, wherever the boundaries are.
        return panel if state.mode == "look" else {**panel, "click": state.mode}

    # what a person does ------------------------------------------------------------------------
    def _do_select(self, _final: bool, name: str | None) -> NetworkState:
        if name is None:
            pending = self._state.pending is not None
            selected = self._state.selected if pending else None
            return replace(self._state, pending=None, selected=selected)
        if name not in self.table["boundary"].values:
            raise ValueError(f"the network holds no boundary {name!r}")
        return replace(self._state, selected=name)

    def _do_step(self, _final: bool, by: int) -> NetworkState:
        names = [str(n) for n in self.table["boundary"].values[self.shown.at]]
        if not names:
            raise ValueError("no boundary is shown")
        if self._state.selected not in names:
            return replace(self._state, selected=names[0 if by > 0 else -1])
        at = names.index(self._state.selected) + by
        return replace(self._state, selected=names[at % len(names)])

    def _do_bin(self, _final: bool, name: int) -> NetworkState:
        if not 0 <= name < self.shown.heights.size:
            raise ValueError(f"the histogram has {self.shown.heights.size} bars, got {name}")
        return replace(self._state, bin=None if self._state.bin == name else int(name))

    def _do_step_bin(self, _final: bool, by: int) -> NetworkState:
        filled = [int(k) for k in self.shown.heights.nonzero()[0]]
        if not filled:
            raise ValueError("the histogram is empty")
        at = filled.index(self._state.bin) + by if self._state.bin in filled else min(by, 0)
        return replace(self._state, bin=filled[at % len(filled)])

    def _do_colour(self, _final: bool, value: str) -> NetworkState:
        if value not in COLOURS:
            raise ValueError(f"boundaries are coloured by {', '.join(COLOURS)}, got {value!r}")
        return replace(self._state, colour=value, bin=None)

    def _do_least(self, _final: bool, value: float) -> NetworkState:
        if not 0 <= value <= 1:
            raise ValueError(f"the least probability must be between 0 and 1, got {value:g}")
        return replace(self._state, least=float(value), bin=None)

    def _do_outlines(self, _final: bool, value: bool) -> NetworkState:
        return replace(self._state, outlines=bool(value))

    def _do_mode(self, _final: bool, value: str) -> NetworkState:
        if value not in MODES:
            raise ValueError(f"a click must be one of {', '.join(MODES)}, got {value!r}")
        return replace(self._state, mode=value, pending=None)

    def _do_merge(self, final: bool, x: float, y: float) -> NetworkState:
        if self._state.pending is None:
            grain_at(self._now(), (x, y))  # outside of all grains is said at once
            return replace(self._state, pending=(x, y))
        return self._edited(final, Merge(first=self._state.pending, second=(x, y)))

    def _do_split(self, final: bool, x: float, y: float) -> NetworkState:
        if self._state.pending is None:
            grain_at(self._now(), (x, y))
            return replace(self._state, pending=(x, y))
        return self._edited(final, Split(line=(self._state.pending, (x, y))))

    def _do_split_line(self, final: bool, value: str) -> NetworkState:
        try:
            places = [tuple(float(v) for v in p.split(",")) for p in value.split(";")]
        except ValueError:
            places = []
        if len(places) < 2 or any(len(p) != 2 for p in places):
            raise ValueError(f"the line must be typed as x, y; x, y in um, got {value!r}")
        return self._edited(final, Split(line=tuple((p[0], p[1]) for p in places)))

    def _do_remove(self, final: bool, name: str | None = None) -> NetworkState:
        """Merge the grains on the two sides of a boundary."""
        name = self._state.selected if name is None else name
        if name is None or name not in self.table["boundary"].values:
            raise ValueError("no boundary is selected; click one")
        row = self.network.sel(boundary=name)
        at = [place_inside(self.network, row, int(row[k])) for k in ("grain1", "grain2")]
        return self._edited(final, Merge(first=at[0], second=at[1]))

    def _now(self) -> xr.Dataset:
        return apply_edits(self.grains, self._state.edits)

    def _edited(self, final: bool, edit: Merge | Split) -> NetworkState:
        new = replace(
            self._state,
            edits=self._state.edits.with_edit(edit),
            pending=None,
            bin=None,
            selected=None,
        )
        try:
            apply_edits(self.grains, new.edits)
        except ValueError:
            self._state = replace(self._state, pending=None)  # the next click is a first one again
            raise
        if not final:
            return replace(self._state, pending=None)
        done = "merged" if isinstance(edit, Merge) else "split"
        self._say(f"Grains {done}; Ctrl+Z brings back what was.")
        return new

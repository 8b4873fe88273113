"""The session behind the map explorer: what of which stage is shown, in which colours.

Nothing here is a result: smoothing and binning are for the eye and said so on the image; the
read-out under the pointer is always of the data as they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso._types import FloatArray
from lliso.apps.explorer_layout import CMAPS, explorer_layout
from lliso.apps.explorer_report import explorer_code, explorer_figure
from lliso.apps.overlays import Overlay
from lliso.apps.parts import Part, Picture, across, bars, layer
from lliso.apps.session import Screen, Session
from lliso.errors import LlisoWarning
from lliso.maps.cuts import map_extent
from lliso.maps.fraction import FRACTION, FRACTION_STD, isotope_fraction, species_counts, sum_frames
from lliso.maps.quantities import (
    QUANTITIES,
    colour_limits,
    difference,
    map_quantity,
    quantities_of,
)
from lliso.schema import LI6, LI7, SPECIES, check_map

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

#: what a person may change, and the kind of its value
_SETTINGS: dict[str, type] = {
    "quantity": str,
    "species": str,
    "cmap": str,
    "low_percent": float,
    "high_percent": float,
    "symmetric": bool,
    "log": bool,
    "binned": int,
    "smooth": float,
    "difference": bool,
    "opacity": float,
}
_BINS = 80


@dataclass(frozen=True)
class Look:
    """How maps are looked at.

    Attributes
    ----------
    low, high : float or None
        Limits of the colours; None: by the percentiles.
    """

    quantity: str
    species: str
    cmap: str = "viridis"
    low_percent: float = 1.0
    high_percent: float = 99.0
    low: float | None = None
    high: float | None = None
    symmetric: bool = False
    log: bool = False
    binned: int = 1
    smooth: float = 0.0
    difference: bool = False
    opacity: float = 0.5
    selected: None = None
    ranges: tuple[float, float, float, float] | None = None


class ExplorerSession(Session[Look]):
    """Look at the maps of one or several stages.

    Parameters
    ----------
    maps : xarray.Dataset or mapping of str to xarray.Dataset
        A map, or maps by stage in the order of time; frames are summed.
    overlay : xarray.DataArray or (array, matrix), optional
        See `lliso.apps.overlays.Overlay`.

    Raises
    ------
    ValueError
        If there is no map, or one holds no counts.
    """

    def __init__(
        self, maps: xr.Dataset | Mapping[str, xr.Dataset], overlay: Any | None = None
    ) -> None:
        by_stage = by_name(maps)
        if not by_stage:
            raise ValueError("the explorer needs at least one map, got none")
        for stage, ds in by_stage.items():
            check_map(ds)
            if not float(ds["counts"].sum()) > 0:
                raise ValueError(f"the map {stage!r} must hold counts, got none at all")
        self.maps: dict[str, xr.Dataset] = {
            stage or str(ds.attrs.get("stage") or "map"): sum_frames(ds).load()
            for stage, ds in by_stage.items()
        }
        self.overlay = None if overlay is None else Overlay.of(overlay)
        first = next(iter(self.maps.values()))
        self._known = quantities_of(first)
        self._species = [str(s) for s in first[SPECIES].values]
        self._cache: dict[tuple[Any, ...], xr.DataArray] = {}
        self._pictures: dict[tuple[Any, ...], Picture] = {}
        self._limits = (0.0, 1.0)
        species = LI6 if LI6 in self._species else self._species[0]
        super().__init__(Look(self._known[0], species))

    # what is shown -----------------------------------------------------------------------------
    def layout(self) -> dict[str, Any]:
        """Return panels, controls and keys of the app."""
        return explorer_layout(list(self.maps), self.overlay is not None)

    def images(self) -> dict[str, Picture]:
        """Return what is shown, what the read-out reads, and the overlay."""
        look = self._state
        found = {}
        for stage, ds in self.maps.items():
            found[f"{stage}|shown"] = self._picture(stage, self._image(look, stage))
            found |= {f"{stage}|{name}": p for name, p in self._readings(stage, ds).items()}
        if look.difference:
            found["change"] = self._picture("change", self._change(look))
        if self.overlay is not None:
            found["overlay"] = self.overlay.picture
        return found

    def values(self) -> dict[str, xr.DataArray]:
        """Return the images that are shown, by stage, and the ``change`` if it is."""
        found = {stage: self._image(self._state, stage) for stage in self.maps}
        return found | ({"change": self._change(self._state)} if self._state.difference else {})

    @property
    def limits(self) -> tuple[float, float]:
        """Ends of the colours of the stages."""
        return self._limits

    def _compute(self, state: Look) -> None:
        images = [self._image(state, stage).values for stage in self.maps]
        if state.difference:
            self._change(state)
        self._limits = self._limits_of(state, images)

    def _image(self, look: Look, stage: str) -> xr.DataArray:
        key = (stage, look.quantity, look.species, look.binned, look.smooth)
        if key not in self._cache:
            self.progress(None, f"computing {QUANTITIES[look.quantity]} of {stage}")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", LlisoWarning)
                self._keep(
                    key,
                    map_quantity(
                        self.maps[stage],
                        look.quantity,
                        look.species,
                        binned=look.binned,
                        smooth=look.smooth,
                    ),
                )
        return self._cache[key]

    def _change(self, look: Look) -> xr.DataArray:
        stages = list(self.maps)
        if len(stages) < 2:
            raise ValueError("a difference needs the maps of two stages, got one")
        significance = look.quantity in ("significance", "fraction_std")
        key = ("change", significance, look.binned, look.smooth)
        if key not in self._cache:
            found = difference(
                self.maps[stages[-1]],
                self.maps[stages[0]],
                significance=significance,
                binned=look.binned,
                smooth=look.smooth,
            )
            self._keep(key, found)
        return self._cache[key]

    def _keep(self, key: tuple[Any, ...], image: xr.DataArray) -> None:
        while len(self._cache) > 24:
            self._cache.pop(next(iter(self._cache)))
        self._cache[key] = image

    def _picture(self, stage: str, image: xr.DataArray) -> Picture:
        key = (stage, id(image))  # the image is kept in the cache, so its id is its own
        if key not in self._pictures:
            for old in [k for k in self._pictures if k[0] == stage]:
                del self._pictures[old]
            dx, dy = (float(image[k][1] - image[k][0]) for k in ("x", "y"))
            x, y = image["x"].values, image["y"].values
            extent = (x[0] - dx / 2, x[-1] + dx / 2, y[0] - dy / 2, y[-1] + dy / 2)
            self._pictures[key] = Picture(image.values.astype(np.float32), extent)
        return self._pictures[key]

    def _readings(self, stage: str, ds: xr.Dataset) -> dict[str, Picture]:
        """Return C, its error and counts as they are: what the read-out says."""
        key = (f"{stage} reads",)
        if key not in self._pictures:
            (x0, x1), (y0, y1) = map_extent(ds)
            named: dict[str, FloatArray] = {}
            if {LI6, LI7} <= set(self._species):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", LlisoWarning)
                    c = isotope_fraction(ds)
                named = {"C": c[FRACTION].values, "std": c[FRACTION_STD].values}
            for name in self._species[:4]:
                named[name] = species_counts(ds, name).values
            for name, values in named.items():
                whole = name not in ("C", "std") and values.max() < 65536 and values.min() >= 0
                whole = whole and bool(np.all(values == np.round(values)))
                kept = values.astype(np.uint16 if whole else np.float32)
                self._pictures[(f"{stage} reads", name)] = Picture(kept, (x0, x1, y0, y1))
            self._pictures[key] = Picture(np.zeros((1, 1), np.uint8), (0, 1, 0, 1))
        return {k[1]: p for k, p in self._pictures.items() if k[0] == f"{stage} reads" and k[1:]}

    def _limits_of(self, look: Look, images: list[FloatArray]) -> tuple[float, float]:
        centre = float(np.nanmedian(images[0])) if look.symmetric else None
        low, high = colour_limits(images, look.low_percent, look.high_percent, centre)
        low = low if look.low is None else look.low
        high = high if look.high is None else look.high
        if look.log and low <= 0:
            positive = [i[i > 0] for i in images]
            low = float(min((p.min() for p in positive if p.size), default=high / 1000))
        return low, max(high, low + 1e-12 * max(1.0, abs(low)))

    # the screen --------------------------------------------------------------------------------
    def _shown(self, state: Look) -> Screen:
        images = [self._image(state, stage).values for stage in self.maps]
        low, high = self._limits_of(state, images)
        panels = {f"map:{stage}": self._panel(state, stage, low, high) for stage in self.maps}
        panels["change"] = self._change_panel(state)
        panels["contrast"] = self._contrast(images, low, high)
        words = QUANTITIES[state.quantity]
        if state.quantity == "counts":
            words = f"counts of {state.species}"
        first = next(iter(self.maps.values()))
        simulated = " · simulated" if first.attrs.get("simulated") else ""
        return {
            "title": f"{words[0].upper()}{words[1:]}{simulated}",
            "panels": panels,
            "controls": self._values(state, low, high),
            "can": {"difference": len(self.maps) > 1},
        }

    def _panel(self, look: Look, stage: str, low: float, high: float) -> Part:
        ends = {"low": low, "high": high, "cmap": look.cmap, "log": look.log}
        layers = [layer(f"{stage}|shown", **ends)]
        if self.overlay is not None:
            layers.append(self.overlay.layer(look.opacity))
        (x0, x1), (y0, y1) = map_extent(self.maps[stage])
        reads: list[list[Any]] = []
        if {LI6, LI7} <= set(self._species):
            reads = [[f"{stage}|C", "C", 3], [f"{stage}|std", "±", 3]]
        reads += [[f"{stage}|{s}", s, 0] for s in self._species[:4]]
        if look.quantity == "significance":
            reads.insert(0, [f"{stage}|shown", "step", 1, " σ"])
        return {
            "layers": layers,
            "extent": [x0, x1, y0, y1],
            "reads": reads,
            "mark": self._softened(look),
        }

    def _softened(self, look: Look) -> str:
        done = [f"{look.binned} × {look.binned} pixels binned"] if look.binned > 1 else []
        if look.smooth > 0 and look.quantity not in ("fraction_std", "significance"):
            done.append(f"smoothed, σ {look.smooth:g} µm")
        return f"{', '.join(done)}: for the eye only" if done else ""

    def _change_panel(self, look: Look) -> Part:
        if not look.difference:
            return {"hidden": True}
        image = self._change(look)
        reach = colour_limits([image.values], look.low_percent, look.high_percent, 0.0)[1]
        (x0, x1), (y0, y1) = map_extent(next(iter(self.maps.values())))
        stages = list(self.maps)
        unit = " (σ)" if look.quantity in ("significance", "fraction_std") else ""
        return {
            "hidden": False,
            "title": f"Change of C{unit}: {stages[-1]} − {stages[0]}",
            "layers": [layer("change", low=-reach, high=reach, cmap="RdBu_r")],
            "extent": [x0, x1, y0, y1],
            "reads": [["change", "ΔC" if not unit else "ΔC/σ", 3 if not unit else 1]],
            "mark": self._softened(look),
        }

    def _contrast(self, images: list[FloatArray], low: float, high: float) -> Part:
        ends = colour_limits(images, 0.1, 99.9)
        reach = max(ends[1], high) - min(ends[0], low)
        first, last = min(ends[0], low) - 0.02 * reach, max(ends[1], high) + 0.02 * reach
        values = np.concatenate([i[np.isfinite(i)] for i in images])
        heights, edges = np.histogram(values, _BINS, (first, last))
        marks = [
            bars(edges, heights, "muted"),
            across("x", low, "fit", name="low", move="limit", label="low"),
            across("x", high, "fit", name="high", move="limit", label="high"),
        ]
        most = float(heights.max()) * 1.08 or 1.0
        return {
            "marks": marks,
            "x": {"label": "value", "range": [first, last]},
            "y": {"label": "pixels", "range": [0, most], "compact": True},
        }

    def _values(self, look: Look, low: float, high: float) -> dict[str, Any]:
        return {
            "quantity": {
                "value": look.quantity,
                "options": [[q, QUANTITIES[q]] for q in self._known],
            },
            "species": {
                "value": look.species,
                "options": self._species,
                "hidden": look.quantity != "counts",
            },
            "cmap": {"value": look.cmap, "options": list(CMAPS)},
            "low_percent": look.low_percent,
            "high_percent": look.high_percent,
            "low": float(f"{low:.4g}"),
            "high": float(f"{high:.4g}"),
            "symmetric": look.symmetric,
            "log": look.log,
            "binned": look.binned,
            "smooth": look.smooth,
            "difference": {"value": look.difference, "hidden": len(self.maps) < 2},
            "opacity": {"value": look.opacity, "hidden": self.overlay is None},
        }

    # what a person does ------------------------------------------------------------------------
    def _do_set(self, _final: bool, key: str, value: Any) -> Look:
        if key not in _SETTINGS:
            raise ValueError(f"a setting must be one of {', '.join(_SETTINGS)}, got {key!r}")
        new = replace(self._state, **{key: _SETTINGS[key](value)})
        if key in ("low_percent", "high_percent", "symmetric", "quantity", "species"):
            new = replace(new, low=None, high=None)
        if key == "symmetric":
            new = replace(new, cmap="RdBu_r" if value else "viridis", log=False)
        if key == "quantity":
            new = replace(new, log=False)
        if new.quantity not in self._known:
            raise ValueError(
                f"the quantity must be one of {', '.join(self._known)}, got {new.quantity!r}"
            )
        if key == "cmap" and value not in CMAPS:
            raise ValueError(f"the colour map must be one of {', '.join(CMAPS)}, got {value!r}")
        if key == "opacity" and not 0 <= new.opacity <= 1:
            raise ValueError(f"the opacity must be between 0 and 1, got {new.opacity:g}")
        if (
            new.binned > 1
            and min(next(iter(self.maps.values()))["counts"].shape[1:]) < 3 * new.binned
        ):
            raise ValueError(f"at most a third of the map can be binned, got {new.binned} pixels")
        if key == "difference" and new.difference:
            self._change(new)  # maps on other pixels are refused before anything changes
        return new

    def _do_toggle(self, final: bool, key: str) -> Look:
        return self._do_set(final, key, not getattr(self._state, key))

    def _do_limit(self, _final: bool, name: str, x: float | None) -> Look:
        if name not in ("low", "high"):
            raise ValueError(f"a limit must be 'low' or 'high', got {name!r}")
        changes: dict[str, Any] = {name: x}
        new = replace(self._state, **changes)
        low = self._limits[0] if new.low is None else new.low
        high = self._limits[1] if new.high is None else new.high
        if not low < high:
            raise ValueError(f"the lower limit must be below the upper, got {low:g} and {high:g}")
        return new

    def _do_bin(self, final: bool, by: int) -> Look:
        return self._do_set(final, "binned", max(1, self._state.binned + by))

    def _do_percentiles(self, _final: bool) -> Look:
        return replace(self._state, low=None, high=None)

    def _do_zoom(self, _final: bool, ranges: Mapping[str, Mapping[str, float]]) -> Look:
        at = ranges.get("xy")
        window = None if at is None else (at["x0"], at["x1"], at["y0"], at["y1"])
        return replace(self._state, ranges=window)

    # what is kept and taken away ---------------------------------------------------------------
    def _kept(self, state: Look) -> Look:
        return replace(state, ranges=None)

    def _stem(self) -> str:
        return "_".join([self._state.quantity, *self.maps]).replace(" ", "_")

    def code(self) -> str:
        """Return the lines of lliso that give the images."""
        return explorer_code(self.maps, self._state, self._limits)

    def _figure(self, width: float, height: float) -> Figure:
        return explorer_figure(self, width, height)

    def close(self) -> None:
        """Let go of all images."""
        self._cache.clear()
        self._pictures.clear()


def by_name(maps: xr.Dataset | Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """Return maps by stage; a single one without a name."""
    single: Any = maps  # a Dataset is a mapping too
    return {"": single} if hasattr(maps, "data_vars") else dict(single)

"""The session behind the map explorer: what of which stage is shown, in which colours.

Nothing here is a result: smoothing and binning are for the eye and said so on the image; the
read-out under the pointer is always of the data as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lliso.maps.fraction import sum_frames
from lliso.maps.quantities import quantities_of
from lliso.schema import LI6, check_map
from lliso.sessions.explorer.images import Images, Look
from lliso.sessions.explorer.layout import CMAPS, explorer_layout
from lliso.sessions.explorer.report import explorer_code, explorer_figure
from lliso.sessions.explorer.screen import panels_of, title_of, values_of
from lliso.sessions.overlays import Overlay
from lliso.sessions.parts import Picture
from lliso.sessions.session import Screen, Session

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


class ExplorerSession(Session[Look]):
    """Look at the maps of one or several stages.

    Parameters
    ----------
    maps : xarray.Dataset or mapping of str to xarray.Dataset
        A map, or maps by stage in the order of time; frames are summed.
    overlay : xarray.DataArray or (array, matrix), optional
        See `lliso.sessions.overlays.Overlay`.

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
        # `progress` is looked up when it is called: a view puts its own in place
        self._images = Images(self.maps, lambda *a: self.progress(*a))  # noqa: PLW0108
        species = self._images.species
        super().__init__(Look(self._known[0], LI6 if LI6 in species else species[0]))

    # what is shown -----------------------------------------------------------------------------
    def layout(self) -> dict[str, Any]:
        """Return panels, controls and keys of the app."""
        return explorer_layout(list(self.maps), self.overlay is not None)

    def images(self) -> dict[str, Picture]:
        """Return what is shown, what the read-out reads, and the overlay."""
        over = {} if self.overlay is None else {"overlay": self.overlay.picture}
        return self._images.pictures(self._state) | over

    def values(self) -> dict[str, xr.DataArray]:
        """Return the images that are shown, by stage, and the ``change`` if it is."""
        look, images = self._state, self._images
        found = {stage: images.of(look, stage) for stage in self.maps}
        return found | ({"change": images.change(look)} if look.difference else {})

    @property
    def limits(self) -> tuple[float, float]:
        """Ends of the colours of the stages."""
        return self._images.limits(self._state)

    @property
    def reach(self) -> float:
        """End of the colours of the change."""
        return self._images.reach(self._state)

    def _compute(self, state: Look) -> None:
        self._images.limits(state)
        if state.difference:
            self._images.change(state)

    def _shown(self, state: Look) -> Screen:
        n, over, limits = len(self.maps), self.overlay, self._images.limits(state)
        return {
            "title": title_of(state, next(iter(self.maps.values()))),
            "panels": panels_of(state, self.maps, self._images, limits, over),
            "controls": values_of(
                state, limits, self._known, self._images.species, n, over is not None
            ),
            "can": {"difference": n > 1},
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
            self._images.change(new)  # maps on other pixels are refused before anything changes
        return new

    def _do_toggle(self, final: bool, key: str) -> Look:
        return self._do_set(final, key, not getattr(self._state, key))

    def _do_limit(self, _final: bool, name: str, x: float | None) -> Look:
        if name not in ("low", "high"):
            raise ValueError(f"a limit must be 'low' or 'high', got {name!r}")
        changes: dict[str, Any] = {name: x}
        new = replace(self._state, **changes)
        low = self.limits[0] if new.low is None else new.low
        high = self.limits[1] if new.high is None else new.high
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
        return explorer_code(self.maps, self._state, self.limits)

    def _figure(self, width: float, height: float) -> Figure:
        return explorer_figure(self, width, height)

    def close(self) -> None:
        """Let go of all images."""
        self._images.clear()


def by_name(maps: xr.Dataset | Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """Return maps by stage; a single one without a name."""
    single: Any = maps  # a Dataset is a mapping too
    return {"": single} if hasattr(maps, "data_vars") else dict(single)

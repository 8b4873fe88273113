"""The same cuts and boundaries on maps of other times: their profiles, fits and what all share."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lliso.errors import LlisoWarning
from lliso.fit.boundaries import cut_profiles, fit_picks
from lliso.fit.patch import PatchImage
from lliso.fit.stages import fit_stages
from lliso.fit.table import BOUNDARY, boundary_row
from lliso.fit.words import with_limits
from lliso.maps.fraction import sum_frames
from lliso.maps.live_cuts import LiveCuts
from lliso.schema import LI6, LI7, check_map
from lliso.sessions.boundaries.screen import fit_curve
from lliso.sessions.parts import Part, band, line

if TYPE_CHECKING:
    import xarray as xr

    from lliso.fit.boundary import BoundaryFit
    from lliso.fit.table import Constants
    from lliso.maps.cuts import LineCut
    from lliso.maps.picks import Picks

#: columns that several stages add to the table
JOINT = (
    ("joint", "D_gb/δ, all stages", "cm/s"),
    ("same", "p (one D_gb/δ)", ""),
)
#: what the row of all stages together is called in the table that is exported
ALL = "all"


class OtherStages:
    """Maps of one place at other times, beside the one that boundaries are picked on.

    Parameters
    ----------
    ds : xarray.Dataset
        The map that is picked on.
    maps : dict of str to xarray.Dataset
        The others, by what they are called; may be empty.
    resolution : float
        Full width at half maximum of the point spread function in µm.
    """

    def __init__(self, ds: xr.Dataset, maps: dict[str, xr.Dataset], resolution: float) -> None:
        for other in maps.values():
            check_map(other, needs=(LI6, LI7))
        self._ds = ds
        self._resolution = resolution
        self._maps = {name: sum_frames(other).load() for name, other in maps.items()}
        self._live = {name: LiveCuts(other) for name, other in self._maps.items()}
        self._images = {name: PatchImage.from_map(other) for name, other in self._maps.items()}
        self._fits: dict[str, dict[str, BoundaryFit]] = {}
        self._joint: dict[str, dict[str, Any]] = {}
        self.table: xr.Dataset | None = None

    @property
    def maps(self) -> dict[str, xr.Dataset]:
        """The other maps, by what they are called."""
        return self._maps

    @property
    def columns(self) -> Sequence[tuple[str, str, str]]:
        """Columns that the stages add to the table."""
        return JOINT if self._maps else ()

    def anchored(self, picks: Picks) -> Picks:
        """Return the picks, declared to hold on these maps too."""
        for other in self._maps.values():
            if str(other.attrs.get("map_id", "")) not in picks.maps.values():
                picks = picks.anchored_to(other)
        return picks

    def compute(self, picks: Picks, constants: Constants) -> None:
        """Fit the boundaries on every map, and with one D_gb/δ for all."""
        self._fits, self._joint, self.table = {}, {}, None
        if not self._maps or not picks.boundaries:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LlisoWarning)  # rows say it
            for name, other in self._maps.items():
                profiles = cut_profiles(other, picks)
                fits = fit_picks(self._images[name], profiles, picks, resolution=self._resolution)
                self._fits[name] = {fit.name: fit for fit in fits}
            self.table = table = fit_stages(
                [self._ds, *self._maps.values()],
                picks,
                d_bulk=constants.d_bulk,
                delta=constants.delta,
                resolution=self._resolution,
                level=constants.level,
            )
        for i, name in enumerate(str(b) for b in table["boundary"].values):
            self._joint[name] = {k: table[k].values[i].item() for k in _joint_columns(table)}

    def rows(self, picks: Picks, name: str, constants: Constants) -> dict[str, dict[str, Any]]:
        """Return what goes into the file below the row of a boundary: a row per stage, then all."""
        if name not in self._joint:
            return {}
        rows = {
            stage: boundary_row(fits[name], picks, constants) for stage, fits in self._fits.items()
        }
        joint = dict(self._joint[name])
        joint["p_value_stages"] = joint.pop("p_value")  # that of a single fit is another question
        return rows | {ALL: joint}

    def with_joint(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Add to the rows what the stages say together."""
        if not self._maps:
            return rows
        return [{**row, **self._words(row)} for row in rows]

    def _words(self, row: Mapping[str, Any]) -> dict[str, Any]:
        found = self._joint.get(row["boundary"])
        if found is None:
            return {"joint": "", "same": ""}
        best, low, high = (float(found[f"permeability{k}"]) for k in ("", "_low", "_high"))
        p_value = float(found["p_value"])
        value = next((v for v in (best, high, low) if math.isfinite(v)), None)
        sort = {k: v for k, v in (("joint", value), ("same", p_value)) if v is not None}
        return {
            "joint": with_limits(best, low, high, str(found["verdict"])),
            "same": f"{p_value:.2f}" if math.isfinite(p_value) else "–",
            "sort": {**row["sort"], **{k: v for k, v in sort.items() if math.isfinite(v)}},
        }

    def marks(self, picks: Picks, cut: LineCut) -> list[Part]:
        """Return the profiles of the other stages along a cut, with their fits."""
        found = []
        if self._maps:  # the profile itself, of which nothing but its name is missing
            found.append(line([], [], "data", legend=str(self._ds.attrs.get("stage", "this map"))))
        for i, name in enumerate(self._maps):
            colour = f"c{(1, 2, 3, 4)[i % 4]}"
            sums = self._live[name].sums(cut)
            c, std = sums.fraction, sums.fraction_std
            found.append(band(sums.distance, c - std, c + std, colour))
            found.append(line(sums.distance, c, colour, width=1.3, legend=name))
            fits = self._fits.get(name, {})
            shown = [fits[b.name] for b in picks.on_cut(cut.name) if b.name in fits]
            curves = [fit_curve(fit.on_cut(cut)) for fit in shown if fit.success]
            found += [line(*curve, "fit", width=1.4, dash=[6, 3]) for curve in curves]
        return found


def _joint_columns(table: xr.Dataset) -> list[str]:
    return [str(k) for k, v in table.data_vars.items() if v.dims == (BOUNDARY,)]

"""What the boundary app shows, as plain data: arrays, numbers and text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lliso._types import FloatArray
from lliso.apps.parts import Picture
from lliso.fit.words import readable_row
from lliso.maps.cuts import LineCut, map_extent
from lliso.maps.fraction import isotope_fraction

if TYPE_CHECKING:
    import xarray as xr

    from lliso.fit.boundary import BoundaryFit
    from lliso.maps.live_cuts import CutSums
    from lliso.maps.picks import BoundaryPick, Picks


#: columns whose numbers a table is sorted by
_SORTED = ("step", "slope", "permeability", "d_gb", "chi2_red")


def in_order(picks: Picks, rows: dict[str, Any]) -> list[BoundaryPick]:
    """Return the boundaries by cut and distance, as a person reads them."""
    ordered = [b for cut in picks.cuts for b in picks.on_cut(cut.name)]
    return [b for b in ordered if b.name in rows]


def _numbers(values: Any) -> FloatArray:
    """Return numbers for the screen; they travel as bytes."""
    return np.asarray(values, dtype=np.float32)


def table_rows(order: list[BoundaryPick], rows: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the table in words, with numbers to sort by."""
    return [{**readable_row(b.name, rows[b.name]), "sort": _sortable(rows[b.name])} for b in order]


def _sortable(row: dict[str, Any]) -> dict[str, float]:
    found = {key: float(row[key]) for key in _SORTED}
    # A limit is sorted by where it lies.
    if not np.isfinite(found["permeability"]):
        for key in ("permeability", "d_gb"):
            high, low = float(row[f"{key}_high"]), float(row[f"{key}_low"])
            found[key] = high if np.isfinite(high) else low
    return {key: v for key, v in found.items() if np.isfinite(v)}


def image_on_screen(ds: xr.Dataset) -> Picture:
    """Return the fraction map as bytes, from its 1st to its 99th percentile."""
    fraction = isotope_fraction(ds)["fraction"].values
    known = np.isfinite(fraction)
    low, high = (float(v) for v in np.percentile(fraction[known], [1, 99]))
    if not high > low:
        low, high = low - 0.01, high + 0.01
    scaled = np.clip((np.where(known, fraction, low) - low) / (high - low), 0, 1)
    pixels = np.where(known, 1 + np.round(254 * scaled), 0).astype(np.uint8)
    (x0, x1), (y0, y1) = map_extent(ds)
    return Picture(pixels, (x0, x1, y0, y1), low, high)


def map_title(ds: xr.Dataset) -> str:
    """Return stage, instrument, and whether a map is simulated."""
    parts = [str(ds.attrs.get("stage", "")), str(ds.attrs.get("instrument", ""))]
    parts = [p for p in parts if p and p not in ("unknown", "simulated")]
    return " · ".join([*parts, "simulated"] if ds.attrs.get("simulated") else parts)


def profile_on_screen(sums: CutSums) -> dict[str, FloatArray]:
    """Return the profile with its error band."""
    return {
        "distance": _numbers(sums.distance),
        "fraction": _numbers(sums.fraction),
        "std": _numbers(sums.fraction_std),
    }


def others_on_screen(picks: Picks, shown: str) -> list[dict[str, Any]]:
    """Return the cuts that are not shown, with the places of their boundaries on the map."""
    others = []
    for cut in picks.cuts:
        if cut.name != shown:
            places = [(b.name, *cut.point(b.position)) for b in picks.on_cut(cut.name)]
            marks = [{"name": name, "x": x, "y": y} for name, x, y in places]
            others.append({**cut.model_dump(mode="json"), "boundaries": marks})
    return others


def boundaries_on_screen(
    picks: Picks, cut: LineCut, fits: dict[str, BoundaryFit], rows: dict[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the boundaries of a cut with their places on the map, windows and fits."""
    shown = []
    for pick in picks.on_cut(cut.name):
        x, y = cut.point(pick.position)
        shown.append(
            {
                "name": pick.name,
                "position": pick.position,
                "window": list(pick.window),
                "x": x,
                "y": y,
                "fit": _curve(fits[pick.name].on_cut(cut)),
                "limits": readable_row(pick.name, rows[pick.name])["permeability"],
            }
        )
    return shown


def _curve(fit: BoundaryFit) -> dict[str, FloatArray]:
    """Return the two branches of a fit, with a gap between them."""
    if not fit.success:
        return {"distance": _numbers([]), "fraction": _numbers([])}
    at = fit.parameters["position"]
    before = np.linspace(at - fit.reach_before, at, 25)
    after = np.linspace(at, at + fit.reach_after, 25)
    # At the boundary itself each branch shows its own side's value.
    nudge = 1e-9
    fraction = np.concatenate(
        [
            fit.curve(np.minimum(before, at - nudge)),
            [np.nan],
            fit.curve(np.maximum(after, at + nudge)),
        ]
    )
    distance = np.concatenate([before, [np.nan], after])
    return {"distance": _numbers(distance), "fraction": _numbers(fraction)}

"""What the boundary app shows, as plain data: lists of rounded numbers and text for JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.fit.words import readable_row
from lliso.maps.cuts import DISTANCE, LineCut
from lliso.schema import LI6, LI7

if TYPE_CHECKING:
    import xarray as xr

    from lliso.fit.boundary import BoundaryFit
    from lliso.maps.picks import BoundaryPick, Picks


def in_order(picks: Picks, rows: dict[str, Any]) -> list[BoundaryPick]:
    """Return the boundaries by cut and distance, as a person reads them."""
    ordered = [b for cut in picks.cuts for b in picks.on_cut(cut.name)]
    return [b for b in ordered if b.name in rows]


def _numbers(values: Any, digits: int) -> list[float | None]:
    """Return numbers for JSON: rounded, None for NaN."""
    rounded = np.round(np.asarray(values, dtype=float), digits)
    return [v if v == v else None for v in rounded.tolist()]


def profile_on_screen(profile: xr.Dataset) -> dict[str, Any]:
    """Return the profile with its error band."""
    # Plain arrays: this runs at every motion of the mouse.
    counts = profile["counts"].values
    species = list(profile["species"].values)
    light = counts[species.index(LI6)].astype(float)
    total = light + counts[species.index(LI7)]
    with np.errstate(invalid="ignore", divide="ignore"):
        fraction = light / total
        std = np.sqrt(fraction * (1 - fraction) / total)
    return {
        "distance": _numbers(profile[DISTANCE].values, 3),
        "fraction": _numbers(fraction, 6),
        "std": _numbers(std, 6),
    }


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


def _curve(fit: BoundaryFit) -> dict[str, list[float | None]]:
    """Return the two branches of a fit, with a gap between them."""
    if not fit.success:
        return {"distance": [], "fraction": []}
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
    return {"distance": _numbers(distance, 3), "fraction": _numbers(fraction, 6)}

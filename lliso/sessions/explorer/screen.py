"""What is on the screen of the explorer: panels with images, the histogram, values of controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso._types import FloatArray
from lliso.maps.cuts import map_extent
from lliso.maps.quantities import QUANTITIES, colour_limits
from lliso.sessions.explorer.images import Images, Look
from lliso.sessions.explorer.layout import CMAPS
from lliso.sessions.parts import Part, across, bars, layer

if TYPE_CHECKING:
    import xarray as xr

    from lliso.sessions.overlays import Overlay

_BINS = 80


def title_of(look: Look, ds: xr.Dataset) -> str:
    """Return what is shown, in words."""
    words, simulated = _words(look), " · simulated" if ds.attrs.get("simulated") else ""
    return f"{words[0].upper()}{words[1:]}{simulated}"


def _words(look: Look) -> str:
    return f"counts of {look.species}" if look.quantity == "counts" else QUANTITIES[look.quantity]


def panels_of(
    look: Look,
    maps: Mapping[str, xr.Dataset],
    images: Images,
    limits: tuple[float, float],
    overlay: Overlay | None,
) -> dict[str, Part]:
    """Return the panels by name."""
    low, high = limits
    over = [] if overlay is None else [overlay.layer(look.opacity)]
    panels = {}
    for stage, ds in maps.items():
        shown = layer(f"{stage}|shown", low=low, high=high, cmap=look.cmap, log=look.log)
        reads = images.read_out(stage)
        if look.quantity == "significance":
            reads.insert(0, [f"{stage}|shown", "step", 1, " σ"])
        panels[f"map:{stage}"] = _image(look, ds, [shown, *over], reads)
    panels["change"] = _change(look, maps, images)
    panels["contrast"] = _contrast(images.stages(look), low, high, _words(look))
    return panels


def _image(look: Look, ds: xr.Dataset, layers: list[Part], reads: list[list[Any]]) -> Part:
    (x0, x1), (y0, y1) = map_extent(ds)
    extent = [x0, x1, y0, y1]
    return {"layers": layers, "extent": extent, "reads": reads, "mark": _softened(look)}


def _softened(look: Look) -> str:
    done = [f"{look.binned} × {look.binned} pixels binned"] if look.binned > 1 else []
    if look.smooth > 0 and look.quantity not in ("fraction_std", "significance"):
        done.append(f"smoothed, σ {look.smooth:g} µm")
    return f"{', '.join(done)}: for the eye only" if done else ""


def _change(look: Look, maps: Mapping[str, xr.Dataset], images: Images) -> Part:
    if not look.difference:
        return {"hidden": True}
    reach, stages = images.reach(look), list(maps)
    unit = " (σ)" if look.quantity in ("significance", "fraction_std") else ""
    reads = [["change", "ΔC/σ" if unit else "ΔC", 1 if unit else 3]]
    shown = layer("change", low=-reach, high=reach, cmap="RdBu_r")
    title = f"Change of C{unit}: {stages[-1]} − {stages[0]}"
    return {"hidden": False, "title": title, **_image(look, maps[stages[0]], [shown], reads)}


def _contrast(images: list[FloatArray], low: float, high: float, label: str) -> Part:
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
        "x": {"label": label, "range": [first, last]},
        "y": {"label": "pixels", "range": [0, most], "compact": True},
    }


def values_of(
    look: Look,
    limits: tuple[float, float],
    known: Sequence[str],
    species: Sequence[str],
    n_stages: int,
    overlay: bool,
) -> dict[str, Any]:
    """Return what the controls say."""
    low, high = limits
    return {
        "quantity": {
            "value": look.quantity,
            "options": [[q, QUANTITIES[q]] for q in known],
        },
        "species": {
            "value": look.species,
            "options": species,
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
        "difference": {"value": look.difference, "hidden": n_stages < 2},
        "opacity": {"value": look.opacity, "hidden": not overlay},
    }

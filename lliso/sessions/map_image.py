"""A map as a picture: its fraction, the outlines of its grains, its title."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lliso._types import BoolArray, FloatArray, IntArray
from lliso.maps.cuts import map_extent
from lliso.maps.fraction import isotope_fraction
from lliso.sessions.parts import Picture

if TYPE_CHECKING:
    import xarray as xr


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


def grain_outlines(ds: xr.Dataset, grains: xr.Dataset) -> Picture:
    """Return an image that is 1 in pixels beside another grain and NaN elsewhere."""
    label, pixels = grains["label"].values, ds["counts"].shape[-2:]
    if label.shape != pixels:
        raise ValueError(
            f"the grains must have the pixels of the map, {pixels[0]} × {pixels[1]}, got "
            f"{label.shape[0]} × {label.shape[1]}"
        )
    (x0, x1), (y0, y1) = map_extent(ds)
    return Picture(outlines(label).astype(np.float32), (x0, x1, y0, y1))


def map_title(ds: xr.Dataset) -> str:
    """Return stage, instrument, and whether a map is simulated."""
    parts = [str(ds.attrs.get("stage", "")), str(ds.attrs.get("instrument", ""))]
    parts = [p for p in parts if p and p not in ("unknown", "simulated")]
    return " · ".join([*parts, "simulated"] if ds.attrs.get("simulated") else parts)


def outlines(label: IntArray) -> FloatArray:
    """Return 1 in pixels beside another grain, NaN elsewhere, shape (y, x)."""
    edge: BoolArray = np.zeros(label.shape, dtype=bool)
    edge[:, 1:] |= label[:, 1:] != label[:, :-1]
    edge[1:] |= label[1:] != label[:-1]
    return np.where(edge, 1.0, np.nan)

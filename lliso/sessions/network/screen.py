"""How a grain network is shown: colours of its boundaries, bins, rows of the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex

from lliso._types import FloatArray, IntArray
from lliso.fit.population import population_permeability
from lliso.fit.words import READABLE, readable_row, with_limits
from lliso.sessions.network.layout import COLOURS
from lliso.sessions.parts import Part, across, axis, bars

if TYPE_CHECKING:
    import xarray as xr

_BINS = 18
#: colours from low to high; neither so dark nor so bright that lines vanish on a grey map
_CMAP, _BOTTOM, _TOP = "plasma", 0.12, 0.95
#: a boundary without a value, and one that is not of the chosen bin
UNKNOWN, ASIDE = "#9e9e9e", "#5f6368"
COLUMNS = (
    READABLE[0],
    ("grains", "grains", ""),
    ("length", "length", "µm"),
    ("probability", "probability", ""),
    *(c for c in READABLE[1:] if c[0] != "d_gb"),
)
_SORTED = ("step", "slope", "chi2_red", "length", "probability")


@dataclass(frozen=True, eq=False)
class Shown:
    """The boundaries that are shown, and the quantity that colours them.

    Attributes
    ----------
    at : int array
        Rows of the table.
    values : array, shape (shown,)
        NaN where the quantity is not known.
    edges, heights : arrays
        Of the histogram.
    """

    at: IntArray
    values: FloatArray
    edges: FloatArray
    heights: FloatArray
    log: bool

    @classmethod
    def of(cls, table: xr.Dataset, colour: str, least: float) -> Shown:
        """Choose the boundaries that are probable enough, and bin them."""
        at = np.flatnonzero(table["probability"].values >= least)
        values = quantity(table, colour)[at]
        log = colour == "permeability"
        known = values[np.isfinite(values) & ((values > 0) | (not log))]
        if colour == "probability":
            edges = np.linspace(0.0, 1.0, 21)
        elif known.size == 0:
            edges = np.array([1e-9, 1e-6]) if log else np.array([0.0, 1.0])
        elif log:
            low, high = np.log10(known.min()), np.log10(known.max())
            edges = np.logspace(low - 1e-6, max(high, low + 0.1) + 1e-6, _BINS + 1)
        else:
            edges = np.linspace(0.0, float(np.percentile(known, 99)) * 1.001 + 1e-9, _BINS + 1)
        heights, _ = np.histogram(np.clip(known, edges[0], edges[-1]), edges)
        return cls(at, values, np.asarray(edges), heights.astype(float), log)

    def bins(self) -> IntArray:
        """Return the bin of each boundary, −1 where it has no value."""
        known = np.isfinite(self.values)
        clipped = np.clip(np.where(known, self.values, self.edges[0]), *self.edges[[0, -1]])
        found = np.clip(np.searchsorted(self.edges, clipped, "right") - 1, 0, self.edges.size - 2)
        return np.where(known, found, -1)

    def colours(self) -> tuple[list[str], list[str]]:
        """Return the colours of the boundaries and of the bars, the same scale for both."""
        cmap = mpl.colormaps[_CMAP]
        scaled = np.log(self.edges) if self.log else self.edges
        span = scaled[-1] - scaled[0]
        middle = (0.5 * (scaled[1:] + scaled[:-1]) - scaled[0]) / span
        of_bars = [to_hex(cmap(_BOTTOM + (_TOP - _BOTTOM) * m)) for m in middle.tolist()]
        return [UNKNOWN if b < 0 else of_bars[b] for b in self.bins().tolist()], of_bars


def quantity(table: xr.Dataset, colour: str) -> FloatArray:
    """Return what colours the boundaries; NaN where a fit failed or measured nothing."""
    if colour == "significance":
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.abs(table["step"].values / table["step_std"].values))
    return table[colour].values.astype(float)


def chords(network: xr.Dataset) -> FloatArray:
    """Return the ends of every boundary as a straight line, shape (boundary, 2, 2), µm."""
    x, y, nx, ny = (network[k].values for k in ("x", "y", "nx", "ny"))
    half = 0.5 * network["length"].values * network["straightness"].values
    ends = [np.stack([x + s * half * ny, y - s * half * nx], axis=1) for s in (-1, 1)]
    return np.stack(ends, axis=1)


def rows(table: xr.Dataset, at: IntArray) -> list[dict[str, Any]]:
    """Return the rows of the table in words, with numbers to sort by."""
    columns = {str(k): table[k].values.tolist() for k in table.data_vars}
    names = [str(n) for n in table["boundary"].values]
    found = []
    for i in at.tolist():
        row = {k: v[i] for k, v in columns.items()}
        numbers = {k: float(row[k]) for k in _SORTED}
        limits = [row[k] for k in ("permeability", "permeability_high", "permeability_low")]
        known = [float(v) for v in limits if np.isfinite(v)]
        if known:
            numbers["permeability"] = known[0]
        found.append(
            {
                **readable_row(names[i], row),
                "grains": f"{row['grain1']} | {row['grain2']}",
                "length": f"{row['length']:.1f}",
                "probability": f"{row['probability']:.2f}",
                "sort": {k: v for k, v in numbers.items() if np.isfinite(v)},
            }
        )
    return found


def population_in_words(found: xr.Dataset) -> str:
    """Return the mean P of the population, or nothing where it cannot be told."""
    try:
        p = population_permeability(found)
    except ValueError:
        return ""
    text = with_limits(float(p.permeability), float(p.low), float(p.high), "measured")
    return f"population {text} cm/s, {p.n} boundaries"


def place_inside(network: xr.Dataset, row: xr.Dataset, grain: int) -> tuple[float, float]:
    """Return the pixel of a grain that is nearest to a boundary's middle."""
    r, c = np.nonzero(network["label"].values == grain)
    x, y = network["pixel_x"].values[c], network["pixel_y"].values[r]
    k = int(np.argmin(np.hypot(x - float(row["x"]), y - float(row["y"]))))
    return float(x[k]), float(y[k])


def selected_in_words(found: xr.Dataset, name: str | None) -> str:
    """Return P of the boundary that is selected."""
    if name is None:
        return ""
    row = found.sel(boundary=name)
    value, low, high = (float(row[f"permeability{end}"]) for end in ("", "_low", "_high"))
    text = with_limits(value, low, high, str(row["verdict"].item()))
    return f"{name}: {text}{' cm/s' if any(c.isdigit() for c in text) else ''}"


def histogram(
    shown: Shown,
    colour: str,
    population: str,
    chosen: int | None,
    selected: str | None,
    names: list[str],
) -> Part:
    """Return the panel of the histogram: its bars can be clicked, the selected one has a line."""
    _, colours = shown.colours()
    marks: list[Part] = [
        bars(
            shown.edges,
            shown.heights,
            colours=colours,
            names=list(range(len(colours))),
            chosen=[] if chosen is None else [chosen],
            name="bins",
            click="bin",
        )
    ]
    if selected in names:
        value = float(shown.values[names.index(selected)])
        if np.isfinite(value):
            at = float(np.clip(value, shown.edges[0], shown.edges[-1]))
            marks.append(across("x", at, "fit", label=selected, dash=[5, 3]))
    known = int(np.isfinite(shown.values).sum())
    limits = (float(shown.edges[0]), float(shown.edges[-1]))
    words = population if colour == "permeability" else f"{known} of {len(names)} with a value"
    return {
        "title": COLOURS[colour][0],
        "result": words,
        "marks": marks,
        "x": axis(COLOURS[colour][1], limits, log=shown.log, compact=shown.log),
        "y": axis("boundaries", (0.0, max(1.0, 1.08 * float(shown.heights.max())))),
    }

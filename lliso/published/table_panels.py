"""The figure of the boundary table, drawn from what `lliso.published.table_boundaries` found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import NullFormatter

from lliso.plot import BOUNDARY, DATA, FIT, PAGE_WIDTH, PALETTE, STYLE, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lliso.published.fig3 import Data
    from lliso.published.table_boundaries import Found

#: boundaries that panel a shows: the longest, whatever came out
LONGEST = 40
#: limits of panel a, cm/s; intervals that leave it end in arrows
FLOOR, CEILING = 1e-7, 1e-5


def figure_of_table(
    data: Data, frame: pd.DataFrame, estimators: pd.DataFrame, found: Found
) -> Figure:
    """Draw intervals of the longest boundaries, the distribution of P, the estimators' errors.

    Returns
    -------
    matplotlib.figure.Figure
        Its axes are labelled ``"a"``, ``"b"`` and ``"c"``.
    """
    import matplotlib.pyplot as plt

    with style():
        fig = plt.figure(figsize=(PAGE_WIDTH, 4.6))
        boxes: Any = [["a", "a"], ["b", "c"]]
        axes: dict[str, Axes] = fig.subplot_mosaic(boxes, height_ratios=[1.15, 1])
        _intervals(axes["a"], frame)
        _distribution(axes["b"], frame, found)
        _errors(axes["c"], estimators)
        for name, ax in axes.items():
            ax.set_label(name)
            ax.set_title(f"({name})", loc="left", size=STYLE["axes.titlesize"], weight="bold")
        if data.maps[0].attrs.get("simulated"):
            fig.suptitle("SIMULATED, with the parameters of the paper", size=6.5, color="0.35")
    return fig


def _intervals(ax: Axes, frame: pd.DataFrame) -> None:
    """Panel a: one P for both times, 95 % limits, of the longest boundaries."""
    shown = frame.nlargest(LONGEST, "length (um)")
    known = "true P (cm/s)" in shown
    if known:
        shown = shown.sort_values("true P (cm/s)")
    low, high = (shown[f"both: P {end} (cm/s)"].to_numpy(dtype=float) for end in ("low", "high"))
    for k, (a, b) in enumerate(zip(low, high, strict=True)):
        if np.isfinite(a):
            ax.plot([k, k], [max(a, FLOOR), min(b, CEILING)], color=DATA, lw=0.9)
        for end, mark, out in ((a, "v", a <= FLOOR), (b, "^", b >= CEILING)):
            at = min(max(end, FLOOR), CEILING)
            ax.plot(k, at, mark if out else "_", color=DATA, ms=3.5 if out else 4, mfc="none")
    value = shown["both: P (cm/s)"].to_numpy(dtype=float)
    ax.plot(np.arange(len(shown)), value, "o", color=DATA, ms=3, label="measured, 95 % limits")
    if known:
        true = shown["true P (cm/s)"].to_numpy(dtype=float)
        ax.plot(np.arange(len(shown)), true, "_", color=FIT, ms=7, mew=1.6, label="truth")
    ax.set_yscale("log")
    ax.set(ylim=(FLOOR / 1.15, CEILING * 1.15), xlim=(-1, len(shown)), ylabel="$D_{gb}/δ$ (cm/s)")
    order = "true P" if known else "length"
    ax.set_xlabel(f"the {len(shown)} longest boundaries, by {order}; arrows: no limit in sight")
    ax.set_xticks([])
    ax.set_title("one P for both times", size=STYLE["axes.titlesize"])
    where: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1.0, 0.97), "ncols": 2}
    ax.legend(frameon=False, handletextpad=0.3, borderpad=0.2, **where)


def _distribution(ax: Axes, frame: pd.DataFrame, found: Found) -> None:
    """Panel b: what all boundaries have in common, over the true distribution."""
    if "true P (cm/s)" in frame:
        true = frame["true P (cm/s)"].dropna().to_numpy(dtype=float)
        edges = np.geomspace(FLOOR, CEILING, 31).tolist()
        ax.hist(true, edges, color="0.82", edgecolor="0.6", lw=0.4, label="true P of all")
    top = ax.get_ylim()[1]
    for k, (table, estimate) in enumerate(zip(found.tables, found.populations, strict=True)):
        at, colour = top * (1.1 + 0.14 * k), PALETTE[k]
        ax.plot([estimate.low, estimate.high], [at, at], color=colour, lw=1.6)
        name = f"step²-weighted mean, {table.attrs['stage']}"
        ax.plot(estimate.permeability, at, "os"[k], color=colour, ms=4, label=name)
    ax.set_xscale("log")
    ax.set(xlim=(FLOOR, CEILING), ylim=(0, top * 2.0), xlabel="$D_{gb}/δ$ (cm/s)")
    ax.set_ylabel("number of boundaries")
    ax.legend(frameon=False, borderpad=0.1, handletextpad=0.3, loc="upper left", fontsize=6.5)


def _errors(ax: Axes, estimators: pd.DataFrame) -> None:
    """Panel c: the median error of the slope that each estimator leaves."""
    shown = estimators.dropna(subset=["median slope error (1/cm)"])
    names = {
        "patch": "one slope, pixels",
        "profile": "one slope, profile",
        "paper2024": "two parabolas",
        "network": "one slope, grains",
    }
    labels = []
    errors: dict[Any, float] = shown["median slope error (1/cm)"].to_dict()
    for k, ((where, method), value) in enumerate(errors.items()):
        colour = FIT if method == "paper2024" else BOUNDARY
        ax.barh(k, value, 0.6, color=colour)
        ax.annotate(f"{value:.2g}", (value, k), (3, 0), textcoords="offset points", va="center")
        labels.append(f"{names[method]}\n{where}")
    ax.set_yticks(range(len(labels)), labels, fontsize=6.5)
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlim(0.1, 60)
    ax.set_xlabel("median error of dC/dn (1/cm)")

"""The figure of `lliso.published.method`: scatter and coverage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import NullFormatter, ScalarFormatter

from lliso.plot import BOUNDARY, FIT, PAGE_WIDTH, STYLE, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lliso.published.method import Case

COLOURS = {"one slope": BOUNDARY, "two parabolas": FIT}
MARKS = {"one slope": "o", "two parabolas": "s"}
WHAT = {
    "reach": "length of the grains beside the boundary (µm)",
    "counts": "counts in a pixel",
    "width": "width of the cut (µm)",
}


def figure_of_method(frame: pd.DataFrame, case: Case) -> Figure:
    """Draw the scatter against what was varied about a case (a, b, c), and the coverage (d).

    Returns
    -------
    matplotlib.figure.Figure
        Its axes are labelled ``"a"`` to ``"d"``.
    """
    import matplotlib.pyplot as plt

    with style():
        fig, axes = plt.subplots(2, 2, figsize=(PAGE_WIDTH, 4.8))
        for ax, name in zip(axes.flat, WHAT, strict=False):
            _scatter(ax, frame.xs(name, level="varied"), WHAT[name])
        axes.flat[0].legend(frameon=False, loc="upper right", borderpad=0.1)
        _coverage(axes.flat[3], frame)
        for ax, letter in zip(axes.flat, "abcd", strict=True):
            ax.set_label(letter)
            ax.set_title(f"({letter})", loc="left", size=STYLE["axes.titlesize"], weight="bold")
        about = (
            "SIMULATED: one boundary between two grains; where not varied, "
            f"{case.counts:,.0f} counts in a pixel of 1 µm, grains of {case.reach:g} µm, "
            f"a cut of {case.width:g} µm"
        )
        fig.suptitle(about, size=6.5, color="0.35")
    return fig


def _scatter(ax: Axes, part: Any, what: str) -> None:
    for method, colour in COLOURS.items():
        one = part.xs(method, level="method")
        at = one.index.to_numpy(dtype=float)
        scatter = one["scatter"].to_numpy(dtype=float)
        # The error of a scatter from n draws, of a Gaussian, by the median absolute deviation.
        error = 1.17 * scatter / np.sqrt(one["draws"].to_numpy(dtype=float))
        style_of: dict[str, Any] = {"color": colour, "ms": 3.5, "mfc": "white", "label": method}
        ax.errorbar(at, scatter, error, fmt=MARKS[method] + "-", lw=1.0, **style_of)
    ax.plot(at, one["bound"], color="0.3", lw=0.9, ls="--", label="bound of the counts")
    ax.axhline(0.2, color="0.6", lw=0.7, zorder=0)
    ax.annotate("20 %", (at[0], 0.2), (0, 2), textcoords="offset points", size=6.5, color="0.4")
    ax.set(xscale="log", yscale="log", xlabel=what, ylabel="error of the slope / slope")
    ax.set_ylim(0.05, 100)
    ax.set_xticks(at, [f"{v:,g}" for v in at])
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_formatter(ScalarFormatter() if at.max() < 1000 else "{x:,.0f}")


def _coverage(ax: Axes, frame: pd.DataFrame) -> None:
    """Panel d: coverage of the 95 % limits of P in every case, with its binomial error."""
    order = list(dict.fromkeys((name, value) for name, value, _ in frame.index))
    for shift, (method, colour) in zip((-0.12, 0.12), COLOURS.items(), strict=True):
        one = frame.xs(method, level="method").loc[order]
        share = one["coverage"].to_numpy(dtype=float)
        error = np.sqrt(np.maximum(share * (1 - share), 0.0099) / one["draws"])
        at = np.arange(len(order)) + shift
        ax.errorbar(at, share, error, fmt=MARKS[method], color=colour, ms=3.5, mfc="white", lw=0.8)
    ax.axhline(0.95, color="0.3", lw=0.9, ls="--", zorder=0)
    ax.set_xticks(range(len(order)), [f"{v:g}" for _, v in order], rotation=90, fontsize=6)
    groups = [name for name, _ in order]
    for name in dict.fromkeys(groups):
        places = [k for k, g in enumerate(groups) if g == name]
        ax.annotate(name, (np.mean(places), 0.72), ha="center", size=7)
        ax.axvline(places[-1] + 0.5, color="0.8", lw=0.6)
    ax.set(
        ylim=(0.7, 1.02), xlim=(-0.6, len(order) - 0.4), ylabel="95 % limits that hold the truth"
    )

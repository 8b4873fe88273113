"""The panels of Fig. 3, drawn from what `lliso.published.fig3` found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle

from lliso.fit.boundary import BoundaryFit
from lliso.maps.cracks import find_cracks
from lliso.maps.cuts import DISTANCE, line_profile, map_extent
from lliso.maps.fraction import isotope_fraction
from lliso.plot import BOUNDARY, DATA, FIT, PAGE_WIDTH, STYLE, draw_map, draw_scale_bar, style

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lliso.published.fig3 import Data, Measured, Traced

#: of the two times, as in the paper: black and (colour-blind safe) red
COLOURS = (DATA, FIT)
SMALL = 6.5
#: how far from the boundary panel e shows, µm
REACH = 30.0


def figure_3(
    data: Data,
    traced: Traced,
    found: Measured,
    profiles: pd.DataFrame,
    boundary: pd.DataFrame,
) -> Figure:
    """Draw panels a to f; see `lliso.published.fig3`.

    Returns
    -------
    matplotlib.figure.Figure
        Its axes are labelled ``"a"`` to ``"f"`` (`matplotlib.axes.Axes.get_label`), those of
        panel e ``"e1"`` and ``"e2"``.
    """
    import matplotlib.pyplot as plt

    with style():
        fig = plt.figure(figsize=(PAGE_WIDTH, 5.2))
        parts: Any = fig.subfigures(1, 2, width_ratios=[1.3, 1])
        left, right = parts
        maps = left.subplots(3, 1)
        boxes = [["d", "d"], ["e1", "e2"], ["f", "f"]]
        others = right.subplot_mosaic(boxes, height_ratios=[1, 1, 0.72])
        axes: dict[str, Axes] = {**dict(zip("abc", maps, strict=True)), **others}
        for name, ax in axes.items():
            ax.set_label(name)
        _maps(axes, data)
        _image(axes["c"], data, traced)
        _profiles(axes["d"], data, profiles)
        _boundary((axes["e1"], axes["e2"]), data, found, boundary)
        _permeability(axes["f"], boundary)
        for name in ("a", "b", "c", "d", "e1", "f"):
            _letter(axes[name], name[0])
        if data.maps[0].attrs.get("simulated"):
            fig.suptitle("SIMULATED, with the parameters of the paper", size=SMALL, color="0.35")
    return fig


def _letter(ax: Axes, letter: str) -> None:
    ax.set_title(f"({letter})", loc="left", size=STYLE["axes.titlesize"], weight="bold")


def _stage(ds: xr.Dataset) -> str:
    return str(ds.attrs.get("stage", ""))


def _maps(axes: dict[str, Axes], data: Data) -> None:
    """Panels a and b: one colour scale for both, so that they can be compared."""
    values = [isotope_fraction(ds)["fraction"].values for ds in data.maps]
    low, high = np.nanpercentile(np.stack(values), [0.5, 99.5])
    for name, ds, colour in zip("ab", data.maps, COLOURS, strict=True):
        ax = axes[name]
        draw_map(ax, ds, low=float(low), high=float(high))
        ax.set_title(_stage(ds), size=STYLE["axes.titlesize"])
        _line(ax, data, colour)
        ax.set_xlabel("")


def _line(ax: Axes, data: Data, colour: str) -> None:
    """Draw the line of panel d, on a white edge that shows on any map, and the chosen boundary."""
    x, y = zip(data.line.start, data.line.end, strict=True)
    ax.plot(x, y, color="white", lw=2.6, solid_capstyle="butt")
    ax.plot(x, y, color=colour, lw=1.4, solid_capstyle="butt")
    place = data.picks.cut(data.chosen.cut).point(data.chosen.position)
    ax.plot(*place, "o", ms=5, color=colour, mfc="white", mew=1.2)


def _image(ax: Axes, data: Data, traced: Traced) -> None:
    """Panel c: the image on the map, the boundaries of its grains, the landmarks."""
    (x0, x1), (y0, y1) = map_extent(data.maps[0])
    grey = traced.image.values
    low, high = np.nanpercentile(grey, [1, 99])
    ax.imshow(grey, origin="lower", extent=(x0, x1, y0, y1), cmap="gray", vmin=low, vmax=high)
    cracks = find_cracks(
        traced.grains["label"].values, traced.grains["x"].values, traced.grains["y"].values
    )
    middle = np.column_stack([cracks.x, cracks.y])
    half = 0.5 * np.column_stack([cracks.dx, cracks.dy])
    ends = np.stack([middle - half, middle + half], axis=1)
    ax.add_collection(LineCollection(list(ends), colors=BOUNDARY, linewidths=0.7))
    marks = np.array([m.map_point for m in data.picks.landmarks])
    if marks.size:
        ax.plot(*marks.T, "+", color=FIT, ms=6, mew=1.2)
    ax.set(xlabel="x (µm)", ylabel="y (µm)", xlim=(x0, x1), ylim=(y0, y1))
    ax.set_title("microscope image, boundaries found", size=STYLE["axes.titlesize"])
    dark = ax.add_patch(Rectangle((0.74, 0.02), 0.245, 0.24, transform=ax.transAxes))
    dark.set(facecolor="0.2", edgecolor="none", alpha=0.8, zorder=2)
    for artist in draw_scale_bar(ax, x1 - x0):
        artist.set_zorder(3)


def _profiles(ax: Axes, data: Data, profiles: pd.DataFrame) -> None:
    """Panel d: both profiles, with the chosen boundary."""
    at = profiles.index.to_numpy(dtype=float)
    for ds, colour in zip(data.maps, COLOURS, strict=True):
        stage = _stage(ds)
        ax.errorbar(
            at,
            profiles[f"C {stage}"],
            profiles[f"std {stage}"],
            fmt="o",
            ms=2.0,
            mfc="white",
            mew=0.5,
            elinewidth=0.4,
            color=colour,
            label=stage,
        )
    cut = data.picks.cut(data.chosen.cut)
    place = data.line.project(*cut.point(data.chosen.position))[0]
    ax.axvline(place, color=BOUNDARY, lw=0.8, ls="--", zorder=0)
    ax.set(xlabel="distance along the line (µm)", ylabel="⁶Li fraction C")
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.14 * (high - low))
    ax.legend(frameon=False, handletextpad=0.2, ncols=2, loc="upper right")


def _boundary(axes: tuple[Axes, Axes], data: Data, found: Measured, boundary: pd.DataFrame) -> None:
    """Panel e: the same boundary at both times, on one scale: gradient and step."""
    cut = data.picks.cut(data.chosen.cut)
    spans = []
    for ax, ds, fit, colour in zip(axes, data.maps, found.fits, COLOURS, strict=True):
        shown = fit.on_cut(cut)
        profile = line_profile(ds, cut)
        fraction = isotope_fraction(profile)
        nu = profile[DISTANCE].values - shown.parameters["position"]
        near = (nu > -shown.reach_before) & (nu < min(shown.reach_after, REACH))
        c, std = fraction["fraction"].values[near], fraction["fraction_std"].values[near]
        ax.errorbar(
            nu[near], c, std, fmt="o", ms=2.0, mfc="white", mew=0.5, elinewidth=0.4, color=colour
        )
        _branches(ax, shown)
        row = boundary.loc[_stage(ds)]
        words = (
            f"|ΔC| = {1e3 * row['|ΔC|']:.1f} ± {1e3 * row['its std']:.1f} · 10⁻³\n"
            f"|dC/dn| = {row['|dC/dn| (1/cm)']:.1f} ± {row['its std (1/cm)']:.1f} cm⁻¹"
        )
        ax.text(0.04, 0.04, words, transform=ax.transAxes, va="bottom", size=SMALL)
        ax.set_xlabel("distance (µm)")
        ax.set_title(_stage(ds), size=STYLE["axes.titlesize"])
        ax.locator_params(axis="y", nbins=4)
        spans.append((float(c.min()), float(c.max())))
    half = 0.6 * max(high - low for low, high in spans)
    for ax, (low, high) in zip(axes, spans, strict=True):
        middle = 0.5 * (low + high)
        ax.set_ylim(middle - 1.7 * half, middle + half)  # room for words below
    axes[0].set_ylabel("⁶Li fraction C")


def _branches(ax: Axes, shown: BoundaryFit) -> None:
    """Draw fit, tangents at the boundary, and the step between them."""
    at, p = shown.parameters["position"], shown.parameters
    ends = [shown.curve(np.array([at + e]))[0] for e in (-1e-9, 1e-9)]
    for sign, end, reach in ((-1, ends[0], shown.reach_before), (1, ends[1], shown.reach_after)):
        x = sign * np.linspace(1e-9, min(reach, REACH), 60)
        ax.plot(x, shown.curve(at + x), color=BOUNDARY, lw=1.4, zorder=3)
        tangent = sign * np.array([0.0, 12.0])
        ax.plot(tangent, end + p["slope"] * tangent, color=BOUNDARY, lw=0.8, ls="--", zorder=3)
    ax.annotate(
        "",
        (0, ends[0]),
        (0, ends[1]),
        arrowprops={"arrowstyle": "<->", "lw": 0.8, "shrinkA": 0, "shrinkB": 0, "color": BOUNDARY},
    )


def _permeability(ax: Axes, boundary: pd.DataFrame) -> None:
    """Panel f: D_gb with its limits at both times and jointly, beside truth and paper."""
    colours: dict[str, Any] = dict(zip(boundary.index, (*COLOURS, BOUNDARY), strict=True))
    for k, (stage, row) in enumerate(boundary.iterrows()):
        low, value, high = (row[f"D_gb{end} (cm^2/s)"] for end in (" low", "", " high"))
        floor = 1e-15
        ax.plot([max(low, floor), min(high, 1e-10)], [k, k], color=colours[str(stage)], lw=1.2)
        for end, mark in ((low, "<" if low <= 0 else "|"), (high, ">" if high > 1e-10 else "|")):
            at = min(max(end, floor), 1e-10)
            ax.plot(at, k, mark, color=colours[str(stage)], ms=5, mfc="none")
        if np.isfinite(value):
            ax.plot(value, k, "o", color=colours[str(stage)], ms=4)
    if "true P (cm/s)" in boundary:
        true = boundary["D_gb (cm^2/s)"].iloc[0] / boundary["P (cm/s)"].iloc[0]
        true *= boundary["true P (cm/s)"].iloc[0]
        ax.axvline(true, color="0.5", lw=1.0, zorder=0)
        ax.annotate(
            "truth",
            (true, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(2, -7),
            textcoords="offset points",
            size=SMALL,
            color="0.4",
        )
    ax.set_xscale("log")
    ax.set_yticks(range(len(boundary)), [str(s) for s in boundary.index])
    ax.set(xlabel="$D_{gb}$ (cm²/s), 95 % intervals, δ = 0.5 nm")
    ax.set_ylim(len(boundary) - 0.4, -0.9)

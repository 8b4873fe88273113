"""The panels of Fig. 3, drawn from what `lliso.published.fig3` found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

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
#: by how much (10⁻³ of C) its second profile is shifted down
APART = 25.0


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
        Its axes are labelled ``"a"`` to ``"f"`` (`matplotlib.axes.Axes.get_label`).
    """
    import matplotlib.pyplot as plt

    with style():
        fig = plt.figure(figsize=(PAGE_WIDTH, 5.2))
        parts: Any = fig.subfigures(1, 2, width_ratios=[1.22, 1])
        left, right = parts
        maps = left.subplots(3, 1)
        others = right.subplot_mosaic([["d"], ["e"], ["f"]], height_ratios=[1, 1, 0.6])
        axes: dict[str, Axes] = {**dict(zip("abc", maps, strict=True)), **others}
        _maps(axes, data)
        _image(axes["c"], data, traced)
        _profiles(axes["d"], data, profiles)
        _boundary(axes["e"], data, found, boundary)
        _permeability(axes["f"], boundary)
        for name, ax in axes.items():
            ax.set_label(name)
            _letter(ax, name)
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
        _behind_the_bar(ax)
        ax.set_xlabel("")


def _behind_the_bar(ax: Axes) -> None:
    """Darken the corner of the scale bar, which is white on maps that may be bright."""
    dark = ax.add_patch(Rectangle((0.745, 0.02), 0.24, 0.24, transform=ax.transAxes))
    dark.set(facecolor="0.2", edgecolor="none", alpha=0.7, zorder=1.5)


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
    ends = np.stack([middle - half, middle + half], axis=1).reshape(-1, 2)
    # One path for all: ten thousand short ones would make a drawing of 3 MB.
    sides = Path(ends, np.tile([Path.MOVETO, Path.LINETO], len(middle)))
    ax.add_patch(PathPatch(sides, fill=False, edgecolor=BOUNDARY, lw=0.7, capstyle="round"))
    marks = np.array([m.map_point for m in data.picks.landmarks])
    if marks.size:
        ax.plot(*marks.T, "+", color=FIT, ms=6, mew=1.2)
    ax.set(xlabel="x (µm)", ylabel="y (µm)", xlim=(x0, x1), ylim=(y0, y1))
    ax.set_title("microscope image, boundaries found", size=STYLE["axes.titlesize"])
    draw_scale_bar(ax, x1 - x0)
    _behind_the_bar(ax)


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


def _boundary(ax: Axes, data: Data, found: Measured, boundary: pd.DataFrame) -> None:
    """Panel e: the same boundary at both times, on one scale: gradient and step."""
    cut = data.picks.cut(data.chosen.cut)
    for k, (ds, fit, colour) in enumerate(zip(data.maps, found.fits, COLOURS, strict=True)):
        shown = fit.on_cut(cut)
        profile = line_profile(ds, cut)
        fraction = isotope_fraction(profile)
        nu = profile[DISTANCE].values - shown.parameters["position"]
        near = (nu > -shown.reach_before) & (nu < min(shown.reach_after, REACH))
        middle = shown.parameters["level"]
        c = 1e3 * (fraction["fraction"].values[near] - middle) - APART * k
        std = 1e3 * fraction["fraction_std"].values[near]
        ax.errorbar(
            nu[near], c, std, fmt="o", ms=2.0, mfc="white", mew=0.5, elinewidth=0.4, color=colour
        )
        _branches(ax, shown, middle, -APART * k)
        row: dict[Any, Any] = boundary.loc[_stage(ds)].to_dict()
        words = (
            f"{_stage(ds)}\n"
            f"|ΔC| = {_with_error(row['|ΔC|'], row['its std'], 4)}\n"
            f"|dC/dn| = {_with_error(row['|dC/dn| (1/cm)'], row['its std (1/cm)'], 1)} cm⁻¹"
        )
        ax.text(REACH + 2, -APART * k, words, va="center", size=SMALL, color=colour)
    left = min(fit.reach_before for fit in found.fits)
    ax.set(xlim=(-min(left, REACH) - 3, REACH + 52), xlabel="distance from the boundary (µm)")
    ax.set_xticks([-10, 0, 10, 20, 30])
    ax.set_ylabel("$C - C_{gb}$ (10⁻³), shifted")


def _with_error(value: float, error: float, digits: int) -> str:
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def _branches(ax: Axes, shown: BoundaryFit, middle: float, shift: float) -> None:
    """Draw fit, tangents at the boundary, and the step between them, in 10⁻³."""
    at, p = shown.parameters["position"], shown.parameters
    ends = [1e3 * (shown.curve(np.array([at + e]))[0] - middle) + shift for e in (-1e-9, 1e-9)]
    for sign, end, reach in ((-1, ends[0], shown.reach_before), (1, ends[1], shown.reach_after)):
        x = sign * np.linspace(1e-9, min(reach, REACH), 60)
        ax.plot(x, 1e3 * (shown.curve(at + x) - middle) + shift, color=BOUNDARY, lw=1.4, zorder=3)
        tangent = sign * np.array([0.0, 12.0])
        slope = 1e3 * p["slope"]
        ax.plot(tangent, end + slope * tangent, color=BOUNDARY, lw=0.8, ls="--", zorder=3)
    ax.plot([0, 0], ends, color=BOUNDARY, lw=1.4, marker="_", ms=5, zorder=3)


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
    low, high = ax.get_xlim()
    ax.set_xlim(low / (high / low) ** 0.45, high)
    for k, stage in enumerate(map(str, boundary.index)):
        place = ("axes fraction", "data")
        ax.annotate(stage, (0.02, k), xycoords=place, va="center", color=colours[stage], size=7)
    ax.set_yticks([])
    ax.set(xlabel="$D_{gb}$ (cm²/s), 95 % intervals, δ = 0.5 nm")
    ax.set_ylim(len(boundary) - 0.4, -0.9)

"""Maps, cuts, profiles along them, and tables of boundaries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from matplotlib.ticker import NullFormatter

from lliso.maps.cuts import DISTANCE, map_extent
from lliso.maps.fraction import isotope_fraction
from lliso.plot.styling import BOUNDARY, CUT, DATA, FIT, STYLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

    from lliso.fit.boundary import BoundaryFit
    from lliso.maps.cuts import LineCut
    from lliso.maps.picks import BoundaryPick


def draw_map(
    ax: Axes,
    ds: xr.Dataset,
    *,
    low: float | None = None,
    high: float | None = None,
    cmap: str = "viridis",
) -> AxesImage:
    """Draw the isotope fraction of a map, with a scale bar and a colour bar.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    ds : xarray.Dataset
        A map.
    low, high : float, optional
        Fractions at the ends of the colour scale; default: the 1st and 99th percentile.
    cmap : str
        Colour map. Pixels without counts are light grey.

    Returns
    -------
    matplotlib.image.AxesImage
    """
    fraction = isotope_fraction(ds)["fraction"].values
    found = np.nanpercentile(fraction, [1, 99])
    (x0, x1), (y0, y1) = map_extent(ds)
    colours = mpl.colormaps[cmap].with_extremes(bad="0.85")
    image = ax.imshow(
        fraction,
        origin="lower",
        extent=(x0, x1, y0, y1),
        cmap=colours,
        vmin=found[0] if low is None else low,
        vmax=found[1] if high is None else high,
        interpolation="nearest",
    )
    ax.set(xlabel="x (µm)", ylabel="y (µm)")
    ax.set_title(map_title(ds), size=STYLE["axes.titlesize"])
    draw_scale_bar(ax, x1 - x0)
    if ax.figure is not None:
        # Beside the map and as tall as it: a bar with room of its own keeps that of the figure.
        bar = ax.figure.colorbar(image, cax=ax.inset_axes((1.015, 0.0, 0.022, 1.0)))
        bar.set_label("⁶Li fraction C", size=STYLE["axes.labelsize"])
        bar.ax.tick_params(labelsize=STYLE["ytick.labelsize"])
        bar.outline.set_linewidth(0.4)
    return image


def draw_scale_bar(ax: Axes, width: float) -> list[Any]:
    """Draw a scale bar of a round length, about a fifth of `width` µm, into the lower right."""
    power = 10.0 ** np.floor(np.log10(width / 5))
    length = power * max(m for m in (1, 2, 5) if m * power <= width / 5)
    (x0, x1), (y0, y1) = ax.get_xlim(), ax.get_ylim()
    right, low = x1 - 0.03 * (x1 - x0), y0 + 0.07 * (y1 - y0)
    line = ax.plot(
        [right - length, right], [low, low], color="white", lw=2.5, solid_capstyle="butt"
    )
    text = ax.text(
        right - length / 2,
        low + 0.02 * (y1 - y0),
        f"{length:g} µm",
        color="white",
        ha="center",
        va="bottom",
        size=STYLE["xtick.labelsize"],
    )
    ax.set(xlim=(x0, x1), ylim=(y0, y1))
    return [*line, text]


def map_title(ds: xr.Dataset) -> str:
    """Return the stage of a map, and "simulated" where it is."""
    stage = str(ds.attrs.get("stage", ""))
    return f"{stage} (simulated)".strip() if ds.attrs.get("simulated") else stage


def draw_cut(
    ax: Axes, cut: LineCut, boundaries: Sequence[BoundaryPick] = (), *, label: bool = True
) -> list[Any]:
    """Draw a line cut with its width, and the boundaries on it, onto a map.

    Returns
    -------
    list
        The band, the line, and a short line per boundary.
    """
    ux, uy = cut.direction
    half = cut.width / 2
    artists: list[Any] = [
        ax.add_patch(Polygon(band_corners(cut), closed=True, fill=False, edgecolor=CUT, lw=0.8)),
        ax.add_line(Line2D(*zip(cut.start, cut.end, strict=True), color=CUT, lw=0.6, ls=":")),
    ]
    for pick in boundaries:
        x, y = cut.point(pick.position)
        ends = ((x - half * uy, x + half * uy), (y + half * ux, y - half * ux))
        artists.append(ax.add_line(Line2D(*ends, color=FIT, lw=1.2)))
    if label:
        # Near the right edge the name would leave the map.
        left = ax.transAxes.inverted().transform(ax.transData.transform(cut.end))[0] > 0.93
        artists.append(
            ax.annotate(
                cut.name,
                cut.end,
                ha="right" if left else "left",
                xytext=(-3 if left else 3, 3),
                textcoords="offset points",
                color=CUT,
                fontsize=6,
                clip_on=True,
            )
        )
    return artists


def band_corners(cut: LineCut) -> list[tuple[float, float]]:
    """Return the corners of the band of a cut, once round."""
    (ux, uy), half = cut.direction, cut.width / 2
    return [
        (p[0] - s * half * uy, p[1] + s * half * ux)
        for p, s in ((cut.start, 1), (cut.end, 1), (cut.end, -1), (cut.start, -1))
    ]


def draw_profile(ax: Axes, profile: xr.Dataset, *, color: str = DATA) -> Any:
    """Draw the isotope fraction along a cut with its counting error.

    Returns
    -------
    matplotlib.container.ErrorbarContainer
    """
    fraction = isotope_fraction(profile)
    bars = ax.errorbar(
        profile[DISTANCE].values,
        fraction["fraction"].values,
        fraction["fraction_std"].values,
        fmt="o",
        ms=2.0,
        lw=0.5,
        color=color,
        mfc="white",
        mew=0.5,
        zorder=2,
    )
    ax.set(xlabel="distance along the cut (µm)", ylabel="⁶Li fraction C")
    return bars


def draw_fits(
    ax: Axes,
    fits: Mapping[str, BoundaryFit],
    boundaries: Sequence[BoundaryPick],
    *,
    color: str = FIT,
) -> list[Any]:
    """Draw fitted boundaries, their windows and names onto a profile.

    Returns
    -------
    list
        Per boundary: the window's span and, where the fit succeeded, its two branches.
    """
    artists: list[Any] = []
    for pick in boundaries:
        fit = fits[pick.name]
        artists.append(ax.axvline(pick.position, color=BOUNDARY, lw=0.6, ls="--", zorder=1))
        ax.annotate(
            pick.name,
            (pick.position, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(2, -8),
            textcoords="offset points",
            fontsize=7,
            color=BOUNDARY,
        )
        if not fit.success:
            continue
        at = fit.parameters["position"]
        for start, end, nudge in (
            (at - fit.reach_before, at, -1e-9),
            (at, at + fit.reach_after, 1e-9),
        ):
            x = np.linspace(start, end, 50)
            shown = np.minimum(x, at + nudge) if nudge < 0 else np.maximum(x, at + nudge)
            artists += ax.plot(x, fit.curve(shown), color=color, zorder=3)
    return artists


def draw_permeabilities(ax: Axes, table: xr.Dataset, *, truth: Sequence[float] = ()) -> list[Any]:
    """Draw D_gb/δ of every boundary of a table: points with intervals, or arrows for limits.

    A legend and a title say what is what: stage, whether simulated, and the level.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    table : xarray.Dataset
        Result of `lliso.fit_boundaries`.
    truth : sequence of float
        True values in cm/s, where they are known (simulations).

    Returns
    -------
    list
        One artist per boundary that says anything, then those of the truth.
    """
    names = [str(n) for n in table["boundary"].values]
    artists: list[Any] = []
    shown: dict[str, Any] = {}
    for i, verdict in enumerate(table["verdict"].values):
        low, high = (float(table[f"permeability_{end}"][i]) for end in ("low", "high"))
        value = float(table["permeability"][i])
        if verdict == "measured":
            error = [[value - low], [high - value]]
            artists.append(ax.errorbar(i, value, error, fmt="o", ms=3, color=DATA, capsize=2))
        elif verdict == "upper_limit":
            artists += ax.plot(i, high, marker="v", ms=5, color=FIT, mfc="none", ls="")
        elif verdict == "lower_limit":
            artists += ax.plot(i, low, marker="^", ms=5, color=FIT, mfc="none", ls="")
        else:
            continue
        shown.setdefault(str(verdict).replace("_", " "), artists[-1])
    for i, value in enumerate(truth):
        artists += ax.plot([i - 0.3, i + 0.3], [value, value], color=BOUNDARY, lw=1.5)
        shown["truth"] = artists[-1]
    ax.set_yscale("log")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_xticks(range(len(names)), names)
    ax.set(xlabel="boundary", ylabel="$D_{gb}/δ$ (cm/s)", xlim=(-0.7, len(names) - 0.3))
    if shown:
        where: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 4}
        size = STYLE["legend.fontsize"]
        ax.legend(shown.values(), shown, frameon=False, borderpad=0.2, fontsize=size, **where)
    level = table.attrs.get("level")
    meaning = f"intervals and limits at {level:.0%}" if level else ""
    title = " · ".join(filter(None, [map_title(table), meaning]))
    ax.set_title(title, size=STYLE["axes.titlesize"], pad=20 if shown else 6)
    return artists

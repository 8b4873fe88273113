"""Whole figures: a map with its cuts, a cut with its profile, all profiles on one page."""

from __future__ import annotations

from itertools import cycle, product
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.path import Path as Path2D
from matplotlib.transforms import Affine2D

from lliso.fit.boundaries import cut_profiles, fit_picks
from lliso.fit.patch import PatchImage
from lliso.fit.words import with_limits
from lliso.maps.cuts import LineCut, line_profile, map_extent
from lliso.maps.paths import Leg, path_of
from lliso.plot import (
    BOUNDARY,
    CUT,
    DATA,
    FIT,
    PAGE_WIDTH,
    STYLE,
    band_corners,
    draw_cut,
    draw_fits,
    draw_map,
    draw_profile,
    draw_scale_bar,
    figure,
    map_title,
    style,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lliso.fit.boundary import BoundaryFit
    from lliso.maps.picks import Picks

#: where a name may stand beside a point: alignment, and the sign of its distance
_SIDES_X = {"left": 1, "right": -1}
_SIDES_Y = {"bottom": 1, "top": -1}
#: points and fits of the first and of further stages
_STAGES = ((DATA, FIT), ("#e69f00", "#a06f00"), ("#009e73", "#00624a"), ("#cc79a7", "#8f4a72"))


def figure_of_cut(
    ds: xr.Dataset,
    picks: Picks,
    cut: str,
    *,
    stages: Mapping[str, xr.Dataset] | None = None,
    joint: xr.Dataset | None = None,
    path: bool = False,
    **options: Any,
) -> Figure:
    """Draw a map with one cut above the profile along it with its fits.

    Parameters
    ----------
    ds : xarray.Dataset
        A map.
    picks : Picks
        Picks made on it.
    cut : str
        Name of the cut.
    stages : mapping of str to xarray.Dataset, optional
        Maps of the same place at other times: their profiles along the same cut, with their fits.
    joint : xarray.Dataset, optional
        What `lliso.fit_stages` says of all of them; written below.
    path : bool
        Whether to draw the path that the cut is part of too: the profiles of its legs joined
        (see `lliso.maps.paths`).
    **options
        For `lliso.fit.boundaries.fit_picks`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    legs = path_of(picks.cuts, cut) if path else ()
    heights = [1.25, 1.0, *([0.7] if legs else [])]
    fig, axes = figure(PAGE_WIDTH, 2.3 * sum(heights), nrows=len(heights), height_ratios=heights)
    maps = {str(ds.attrs.get("stage") or "this map"): ds, **(stages or {})}
    with style():
        draw_map(axes[0], ds)
        for leg in legs or [Leg(picks.cut(cut))]:
            draw_cut(axes[0], leg.cut, picks.on_cut(leg.cut.name))
        for (name, one), colours in zip(maps.items(), cycle(_STAGES), strict=False):
            profiles = cut_profiles(one, picks)
            found = fit_picks(PatchImage.from_map(one), profiles, picks, **options)
            bars = _profile_of_cut(axes[1], one, picks, cut, found, colours)
            bars.set_label(name)
            if legs and one is ds:
                _draw_path(axes[2], ds, picks, legs, found)
        axes[1].set_title(cut)
        if len(maps) > 1:
            axes[1].legend(loc="best")
        if joint is not None and picks.on_cut(cut):
            fig.supxlabel(_joint_words(joint, picks, cut), size=6.5, x=0.08, ha="left")
    return fig


def _profile_of_cut(
    ax: Axes,
    ds: xr.Dataset,
    picks: Picks,
    cut: str,
    found: Sequence[BoundaryFit],
    colours: tuple[str, str],
) -> Any:
    line = picks.cut(cut)
    bars = draw_profile(ax, line_profile(ds, line), color=colours[0])
    fits = {f.name: f.on_cut(line) for f in found}
    draw_fits(ax, fits, picks.on_cut(cut), color=colours[1])
    return bars


def _draw_path(
    ax: Axes, ds: xr.Dataset, picks: Picks, legs: Sequence[Leg], found: Sequence[BoundaryFit]
) -> None:
    """Draw the profiles of the legs one after the other, with their corners and boundaries."""
    for leg in legs:
        profile = line_profile(ds, leg.cut)
        draw_profile(ax, profile.assign_coords(distance=leg.along(profile["distance"].values)))
        fits = {f.name: f.on_cut(leg.cut) for f in found}
        for pick in picks.on_cut(leg.cut.name):
            fit = fits[pick.name]
            ax.axvline(leg.along(pick.position), color=BOUNDARY, lw=0.6, ls="--", zorder=1)
            at = fit.parameters["position"]
            for low, high in (
                (at - fit.reach_before, at - 1e-9),
                (at + 1e-9, at + fit.reach_after),
            ):
                if fit.success:
                    x = np.linspace(low, high, 50)
                    ax.plot(leg.along(x), fit.curve(x), color=FIT, zorder=3)
        if leg.offset:
            ax.axvline(leg.offset, color="0.2", lw=1.0, ls=":")
    ax.set(xlabel="distance along the path (µm)", xlim=(0, legs[-1].stop))
    ax.set_title(" → ".join(leg.cut.name for leg in legs))


def _joint_words(joint: xr.Dataset, picks: Picks, cut: str) -> str:
    """Return a line per boundary: D_gb/δ common to all stages, and whether they agree."""
    found = ["all stages together:"]
    for pick in picks.on_cut(cut):
        at = joint.sel(boundary=pick.name)
        best, low, high = (float(at[f"permeability{k}"]) for k in ("", "_low", "_high"))
        limits = with_limits(best, low, high, str(at["verdict"].item()))
        words = f"{pick.name}: D_gb/δ {limits} cm/s, p (one D_gb/δ) {float(at['p_value']):.2f}"
        found.append(words)
    return "\n".join(found)


def figure_of_map(ds: xr.Dataset, picks: Picks) -> Figure:
    """Draw a map with every cut and boundary of the picks.

    Returns
    -------
    matplotlib.figure.Figure
    """
    (x0, x1), (y0, y1) = map_extent(ds)
    height = 0.8 + (PAGE_WIDTH - 1.2) * (y1 - y0) / (x1 - x0)
    fig, ax = figure(PAGE_WIDTH, min(height, 8.0))
    with style():
        draw_map(ax, ds)
        for cut in picks.cuts:
            draw_cut(ax, cut, picks.on_cut(cut.name), label=False)
        fig.draw_without_rendering()  # the layout must be known before names can keep apart
        _name_cuts(ax, picks.cuts)
    return fig


def _name_cuts(ax: Axes, cuts: Sequence[LineCut]) -> list[Any]:
    """Write each name beside an end of its cut, where it covers least of cuts and other names."""
    outlines = [Path2D(ax.transData.transform(band_corners(cut))) for cut in cuts]
    texts: list[Any] = []
    taken = [text.get_window_extent() for text in ax.texts]  # that of the scale bar
    for cut in cuts:
        found: list[tuple[int, int, Any]] = []
        ends = band_corners(cut)
        for (x, y), ha, va in product((cut.end, cut.start, *ends), _SIDES_X, _SIDES_Y):
            offset = (3 * _SIDES_X[ha], 3 * _SIDES_Y[va])
            text = ax.annotate(
                cut.name,
                (x, y),
                xytext=offset,
                textcoords="offset points",
                ha=ha,
                va=va,
                color=CUT,
                fontsize=6,
            )
            box = text.get_window_extent()
            outside = not (ax.bbox.contains(*box.min) and ax.bbox.contains(*box.max))
            names = sum(box.overlaps(other) for other in taken)
            crossed = sum(o.intersects_bbox(box, filled=False) for o in outlines)
            covered = sum(o.intersects_bbox(box) for o in outlines)
            found.append((100 * outside + 20 * names + 3 * crossed + covered, len(found), text))
        *others, (_, _, best) = sorted(found, key=lambda item: item[:2], reverse=True)
        for *_, text in others:
            text.remove()
        texts.append(best)
        taken.append(best.get_window_extent())
    return texts


def figure_of_profiles(ds: xr.Dataset, picks: Picks, **options: Any) -> Figure:
    """Draw the profiles along all cuts that carry boundaries, with their fits.

    Parameters
    ----------
    ds : xarray.Dataset
        A map.
    picks : Picks
        Picks made on it.
    **options
        For `lliso.fit.boundaries.fit_picks`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    profiles = cut_profiles(ds, picks)
    found = fit_picks(PatchImage.from_map(ds), profiles, picks, **options)
    fits = {f.name: f.on_cut(picks.cut(picks.boundary(f.name).cut)) for f in found}
    columns = min(3, len(profiles))
    rows = -(-len(profiles) // columns)
    fig, axes = figure(PAGE_WIDTH, 1.75 * rows + 0.3, nrows=rows, ncols=columns, squeeze=False)
    with style():
        for ax, (name, profile) in zip(axes.flat, profiles.items(), strict=False):
            draw_profile(ax, profile)
            draw_fits(ax, fits, picks.on_cut(name))
            ax.set(xlabel="", ylabel="")
            ax.set_title(name)
        for ax in axes.flat[len(profiles) :]:
            ax.set_axis_off()
        what = "points: counts with their 1σ error, lines: fits"
        title = " · ".join(filter(None, [map_title(ds), what]))
        fig.suptitle(title, size=STYLE["axes.titlesize"])
        fig.supxlabel("distance along the cut (µm)", size=STYLE["axes.labelsize"])
        fig.supylabel("⁶Li fraction C", size=STYLE["axes.labelsize"])
    return fig


def figure_of_images(
    images: Mapping[str, xr.DataArray],
    *,
    low: float,
    high: float,
    cmap: str = "viridis",
    label: str = "",
    log: bool = False,
    window: tuple[float, float, float, float] | None = None,
    change: xr.DataArray | None = None,
    reach: float = 1.0,
    overlay: tuple[Any, Sequence[float], float] | None = None,
    size: tuple[float, float] = (PAGE_WIDTH, 3.4),
) -> Figure:
    """Draw images of maps side by side in the same colours.

    Parameters
    ----------
    images : mapping of str to xarray.DataArray
        By title, shape (y, x) with coordinates in µm (see `lliso.maps.quantities.map_quantity`).
    low, high : float
        Ends of the colours.
    cmap, label : str
        Colour map and words beside the colour bar.
    log : bool
        Logarithmic colours.
    window : tuple of float, optional
        x0, x1, y0, y1 in µm to draw; default: all.
    change : xarray.DataArray, optional
        One more image, in diverging colours from −`reach` to `reach`.
    overlay : (array, matrix, opacity), optional
        Grey values (row, column) over the images, with (a, b, c, d, e, f) of
        x = a·column + c·row + e, y = b·column + d·row + f.
    size : tuple of float
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure
    """
    panels = [(title, image, cmap, (low, high)) for title, image in images.items()]
    if change is not None:
        panels.append(("change of C", change, "RdBu_r", (-reach, reach)))
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    fig, axes = figure(*size, nrows=rows, ncols=columns, squeeze=False)
    with style():
        for ax, (title, image, colours, ends) in zip(axes.flat, panels, strict=False):
            bounds = _bounds(image)
            shown = ax.imshow(
                image.values,
                origin="lower",
                extent=bounds,
                cmap=mpl.colormaps[colours].with_extremes(bad="0.85"),
                norm=(LogNorm if log and colours == cmap else Normalize)(*ends),
                interpolation="nearest",
            )
            if overlay is not None:
                _overlaid(ax, *overlay)
            x0, x1, y0, y1 = bounds if window is None else window
            ax.set(xlabel="x (µm)", ylabel="y (µm)", xlim=(x0, x1), ylim=(y0, y1))
            ax.set_title(title)
            draw_scale_bar(ax, x1 - x0)
            bar = fig.colorbar(shown, cax=ax.inset_axes((1.015, 0.0, 0.022, 1.0)))
            bar.set_label(label if colours == cmap else "ΔC", size=STYLE["axes.labelsize"])
            bar.outline.set_linewidth(0.4)
        for ax in axes.flat[len(panels) :]:
            ax.set_axis_off()
    return fig


def _bounds(image: xr.DataArray) -> tuple[float, float, float, float]:
    found: list[float] = []
    for name in ("x", "y"):
        at = image[name].values
        half = 0.5 * float(at[-1] - at[0]) / max(at.size - 1, 1)
        found += [float(at[0]) - half, float(at[-1]) + half]
    return found[0], found[1], found[2], found[3]


def _overlaid(ax: Axes, grey: Any, matrix: Sequence[float], opacity: float) -> None:
    a, b, c, d, e, f = matrix
    rows, columns = grey.shape
    known = grey[np.isfinite(grey)]
    image = ax.imshow(
        grey,
        origin="lower",
        extent=(0, columns, 0, rows),
        cmap="gray",
        alpha=opacity,
        vmin=np.percentile(known, 1),
        vmax=np.percentile(known, 99),
    )
    image.set_transform(Affine2D.from_values(a, b, c, d, e, f) + ax.transData)

"""Long-range profiles with their fits and residuals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.plot.styling import DATA, MARKERS, PALETTE

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from lliso._types import FloatArray

_UM_PER_MM = 1e3
_POSITIONS = ("position", "distance", "x")


def _columns(profile: xr.Dataset) -> dict[str, FloatArray]:
    at = next((name for name in _POSITIONS if name in profile.variables), None)
    if at is None or "fraction" not in profile:
        raise ValueError(
            "a profile must have fraction and one of position, distance, x (um), got "
            f"{', '.join(map(str, profile.variables)) or 'nothing'}"
        )
    names = {"position": at, **{n: n for n in ("fraction", "fraction_std", "model")}}
    if "model" not in profile.variables:
        names["model"] = "curve"  # as the table of a fit calls it
    return {
        key: np.asarray(profile[name], dtype=float).ravel()
        for key, name in names.items()
        if name in profile.variables
    }


def _stages(table: xr.Dataset) -> dict[str, xr.Dataset]:
    """Return the points of each profile of a fit's table."""
    of = table["of_profile"].values
    return {str(n): table.isel(point=of == n) for n in dict.fromkeys(of)}


def draw_long_range(
    ax: Axes,
    profile: xr.Dataset,
    *,
    residuals: Axes | None = None,
    label: str = "",
    color: str = DATA,
    marker: str = "o",
) -> list[Any]:
    """Draw a profile against the distance from the liquid level in mm, with its fit.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw; several stages go into one by several calls.
    profile : xarray.Dataset
        ``fraction`` along ``position`` (or ``distance``, ``x``) in µm; drawn too if there:
        ``fraction_std`` and ``model`` (the fit at the points). The table of a fit
        (`lliso.fit_exchange` and the like) is drawn profile by profile, each in a colour.
    residuals : matplotlib.axes.Axes, optional
        Where to draw (data − model)/σ.
    label, color, marker
        Of the points.

    Returns
    -------
    list
        The points, the fit's line, the residuals: those that there are.

    Raises
    ------
    ValueError
        If the profile has no fraction or no position, or residuals are wanted without a model.
    """
    if "of_profile" in profile.variables and len(_stages(profile)) > 1:
        artists: list[Any] = []
        for i, (name, part) in enumerate(_stages(profile).items()):
            look: Any = {"color": PALETTE[i % len(PALETTE)], "marker": MARKERS[i % len(MARKERS)]}
            artists += draw_long_range(ax, part, residuals=residuals, label=label or name, **look)
        return artists
    found = _columns(profile)
    whole = {"model", "fraction_std"} <= set(found)
    if residuals is not None and not whole:
        raise ValueError("residuals need the profile's model and fraction_std")
    at = found["position"] / _UM_PER_MM
    artists = [
        ax.errorbar(
            at,
            found["fraction"],
            found.get("fraction_std"),
            fmt=marker,
            ms=2.6,
            lw=0.5,
            mew=0.6,
            color=color,
            mfc="white",
            label=label or None,
            zorder=2,
        )
    ]
    if "model" in found:
        order = np.argsort(at)
        artists += ax.plot(at[order], found["model"][order], color=color, zorder=3)
    ax.axvline(0.0, color="0.6", lw=0.5, ls=":", zorder=1)
    ax.set(xlabel="distance from the liquid level (mm)", ylabel="⁶Li fraction C")
    if residuals is not None:
        artists += _draw_residuals(residuals, at, found, color, marker)
        ax.set_xlabel("")
        ax.tick_params(labelbottom=False)
    return artists


def _draw_residuals(
    ax: Axes, at: FloatArray, found: dict[str, Any], color: str, marker: str
) -> list[Any]:
    pull = (found["fraction"] - found["model"]) / found["fraction_std"]
    artists: list[Any] = []
    artists += ax.plot(at, pull, marker, ms=2.2, mew=0.5, color=color, mfc="white")
    if not any(line.get_gid() == "zero" for line in ax.lines):
        ax.axhspan(-2, 2, color="0.93", lw=0, zorder=0)
        ax.axhline(0.0, color="0.5", lw=0.6, zorder=1, gid="zero")
    ax.set(xlabel="distance from the liquid level (mm)", ylabel="residual (σ)")
    return artists

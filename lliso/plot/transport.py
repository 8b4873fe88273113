"""Arrhenius plots, Haven ratios, and models of the effective medium."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from lliso.diffusion.effective import (
    d_eff_brick_layer,
    d_eff_hart,
    d_eff_maxwell_garnett,
    d_eff_series,
)
from lliso.diffusion.transport import ZERO_CELSIUS
from lliso.fit.activated import kelvin
from lliso.plot.styling import DATA, PALETTE, STYLE

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

    from lliso._types import FloatArray
    from lliso.fit.arrhenius import ArrheniusFit
    from lliso.fit.transport import HavenRatio

#: °C at which the upper axis may have a tick
_ROUND = (-150, -110, -75, -50, -25, 0, 25, 50, 100, 150, 200, 300, 400, 600, 800, 1000, 1400)
#: least distance of two of these ticks, inches
_APART = 0.3

_UNITS = {"cm2/s": "cm² s⁻¹", "cm/s": "cm s⁻¹", "S/cm": "S cm⁻¹"}


def draw_arrhenius(
    ax: Axes,
    temperature: Any,
    value: Any,
    std: Any = None,
    *,
    fit: ArrheniusFit | None = None,
    reach: tuple[Any, Any] | None = None,
    level: float = 0.95,
    label: str = "",
    color: str = DATA,
    marker: str = "o",
    filled: bool = True,
    ylabel: str | None = None,
) -> list[Any]:
    """Draw a series on a log scale against 1000/T, with °C above, its law and the law's band.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw; several series go into one by several calls.
    temperature : array_like
        K, or strings with a unit.
    value, std : array_like
        In any unit; points without a value (NaN) are left out.
    fit : ArrheniusFit, optional
        Its law, solid where it was fitted, dashed where it is extrapolated.
    reach : (low, high), optional
        Temperatures to which the law is drawn; default: those fitted.
    level : float
        Of the band.
    label : str
        For the legend.
    color, marker, filled
        Of the points.
    ylabel : str, optional
        Default: D with the unit of the fit.

    Returns
    -------
    list
        The points (ErrorbarContainer), then line, dashed lines and band of the law.
    """
    t = np.atleast_1d(kelvin(temperature))
    d = np.broadcast_to(np.asarray(value, dtype=float), t.shape)
    error = None if std is None else np.broadcast_to(np.asarray(std, dtype=float), t.shape)
    there = np.isfinite(d)
    artists: list[Any] = [
        ax.errorbar(
            1e3 / t[there],
            d[there],
            None if error is None else _log_bars(d[there], error[there]),
            fmt=marker,
            ms=3.5,
            lw=0.7,
            mew=0.8,
            color=color,
            mfc=color if filled else "white",
            label=label or None,
            zorder=3,
        )
    ]
    if fit is not None:
        artists += _law(ax, fit, reach, level, color)
    unit = fit.unit if fit is not None else str(getattr(value, "attrs", {}).get("units", "cm2/s"))
    symbol = "σ" if unit == "S/cm" else "D"
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(numticks=12))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set(
        xlabel="1000/T (K⁻¹)",
        ylabel=ylabel or f"${symbol}$ ({_UNITS.get(unit, unit)})",
    )
    draw_celsius_axis(ax)
    return artists


def _log_bars(value: FloatArray, std: FloatArray) -> FloatArray:
    """Bars of the error of ln D: on a log scale ± would reach 0 for an error of 100 %."""
    factor = np.exp(std / value)
    return np.stack([value - value / factor, value * factor - value])


def _law(
    ax: Axes, fit: ArrheniusFit, reach: tuple[Any, Any] | None, level: float, color: str
) -> list[Any]:
    low, high = float(fit.temperature.min()), float(fit.temperature.max())
    ends = (low, high) if reach is None else tuple(float(kelvin(end)) for end in reach)
    u = np.linspace(1 / max(ends[1], high), 1 / min(ends[0], low), 200)
    band = fit.predict(1 / u, level=level)
    inside = (u >= 1 / high * (1 - 1e-12)) & (u <= 1 / low * (1 + 1e-12))
    value = band["value"].values
    artists: list[Any] = []
    artists += ax.plot(1e3 * u[inside], value[inside], color=color, lw=1.0, zorder=2)
    for part in (u <= 1 / high, u >= 1 / low):
        if part.sum() > 1:
            artists += ax.plot(1e3 * u[part], value[part], color=color, lw=0.8, ls="--", zorder=2)
    if np.isfinite(band["low"].values).all():
        artists.append(
            ax.fill_between(
                1e3 * u, band["low"], band["high"], color=color, alpha=0.15, lw=0, zorder=1
            )
        )
    return artists


def draw_celsius_axis(ax: Axes) -> Axes:
    """Draw an upper axis in °C over an axis of 1000/T; the one that is there is brought up to date.

    Returns
    -------
    matplotlib.axes.Axes
        The upper axis.
    """
    upper: Any = next((c for c in ax.child_axes if c.get_label() == "celsius"), None)
    if upper is None:
        upper = ax.secondary_xaxis("top")
        upper.set_label("celsius")
        upper.set_xlabel("T (°C)")
        upper.xaxis.set_minor_locator(NullLocator())
        upper.xaxis.set_major_formatter(
            FuncFormatter(lambda x, _: f"{1e3 / x - ZERO_CELSIUS:.0f}".replace("-", "−"))
        )
    left, right = sorted(ax.get_xlim())
    least = _APART / (_width(ax) / (right - left))
    kept: list[float] = []
    for celsius in reversed(_ROUND):
        at = 1e3 / (celsius + ZERO_CELSIUS)
        apart = not kept or at - kept[-1] > least
        if left <= at <= right and apart:
            kept.append(at)
    upper.xaxis.set_major_locator(FixedLocator(kept))
    return cast("Axes", upper)


def _width(ax: Axes) -> float:
    """Width of an Axes in inches (before the layout is final: about)."""
    return float(ax.bbox.width / ax.figure.dpi)


def draw_haven_ratio(
    ax: Axes,
    points: xr.Dataset | None = None,
    ratio: HavenRatio | None = None,
    *,
    label: str = "boundary",
    color: str = PALETTE[0],
    marker: str = "o",
) -> list[Any]:
    """Draw H_R against 1000/T: points at each temperature, and the ratio of two laws with its band.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    points : xarray.Dataset, optional
        Of `lliso.fit.transport.haven_ratio_points`.
    ratio : HavenRatio, optional
        Of `lliso.haven_ratio` at several temperatures; the band is one standard error.
    label, color, marker
        Of both.

    Returns
    -------
    list
        Points, line, band (those that were asked for), and the line at H_R = 1.

    Raises
    ------
    ValueError
        If there is nothing to draw.
    """
    if points is None and ratio is None:
        raise ValueError("draw_haven_ratio needs points or a ratio, got neither")
    artists: list[Any] = []
    if points is not None:
        there = np.isfinite(points["ratio"].values)
        at = 1e3 / points["temperature"].values[there]
        value, std = points["ratio"].values[there], points["ratio_std"].values[there]
        artists.append(
            ax.errorbar(
                at,
                value,
                _log_bars(value, std),
                fmt=marker,
                ms=3.5,
                lw=0.7,
                color=color,
                label=label,
                zorder=3,
            )
        )
    if ratio is not None and ratio.temperature.size > 1:
        order = np.argsort(ratio.temperature)
        at, value = 1e3 / ratio.temperature[order], ratio.ratio[order]
        factor = np.exp(ratio.ratio_std[order] / value)
        named = None if points is not None else label
        artists += ax.plot(at, value, color=color, label=named, zorder=2)
        artists.append(
            ax.fill_between(at, value / factor, value * factor, color=color, alpha=0.15, lw=0)
        )
    artists.append(ax.axhline(1.0, color="0.5", lw=0.6, ls=":", zorder=1))
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(FixedLocator([0.05, 0.1, 0.2, 0.5, 1, 2, 5]))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set(xlabel="1000/T (K⁻¹)", ylabel="Haven ratio $H_R$ = $D$*/$D_σ$")
    draw_celsius_axis(ax)
    return artists


def draw_models(
    ax: Axes,
    *,
    thickness: float = 1e-4,
    ratios: tuple[float, float] = (1e-8, 1e6),
    material: tuple[float, float] | None = None,
    label: str = "",
) -> list[Any]:
    """Compare the models of the effective medium: D_eff/D_bulk against D_gb/D_bulk.

    A model is dashed where it does not hold: the series model for fast boundaries, and what
    Hart's would give for blocking ones.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    thickness : float
        δ/l.
    ratios : (float, float)
        Range of D_gb/D_bulk.
    material : (float, float), optional
        D_gb/D_bulk and D_eff/D_bulk of a measured material, as a point.
    label : str
        Of that point.

    Returns
    -------
    list
        The lines in the order series, brick layer, Maxwell–Garnett, Hart (two each where a part
        is dashed), then the point.
    """
    ratio = np.geomspace(*ratios, 281)
    given: dict[str, Any] = {"d_bulk": 1.0, "permeability": ratio / thickness, "grain_size": 1.0}
    fast = ratio >= 1.0
    share = -np.expm1(-3 * np.log1p(thickness))
    hart = np.where(fast, 1.0, 1.0 - share + share * ratio)
    hart[fast] = d_eff_hart(1.0, ratio[fast] / thickness, 1.0, thickness)
    every = np.ones(ratio.shape, dtype=bool)
    lines: list[tuple[str, Any, Any]] = [
        ("series, eq. (5)", d_eff_series(**given, delta=thickness), ~fast),
        ("brick layer", d_eff_brick_layer(**given, delta=thickness), every),
        ("Maxwell–Garnett", d_eff_maxwell_garnett(**given, delta=thickness), every),
        ("Hart", hart, fast),
    ]
    artists: list[Any] = []
    for k, (name, value, holds) in enumerate(lines):
        # Thinner from line to line: where models agree, the ones below stay visible.
        look: dict[str, Any] = {
            "color": PALETTE[k],
            "lw": (3.6, 2.2, 1.2, 1.2)[k],
            "zorder": 2 + 0.1 * k,
        }
        artists += ax.plot(ratio[holds], value[holds], label=name, **look)
        if not holds.all():
            look |= {"lw": 0.9, "ls": (0, (4, 3))}
            artists += ax.plot(ratio[~holds], value[~holds], **look)
    if material is not None:
        artists += ax.plot(*material, "o", ms=5, color=DATA, mfc="white", label=label, zorder=4)
    ax.axvline(1.0, color="0.6", lw=0.5, ls=":", zorder=1)
    ax.set(xscale="log", yscale="log", xlim=ratios)
    ax.xaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set(xlabel="$D_{gb}/D_{bulk}$", ylabel="$D_{eff}/D_{bulk}$")
    ax.legend(frameon=False, fontsize=STYLE["legend.fontsize"], loc="upper left")
    return artists

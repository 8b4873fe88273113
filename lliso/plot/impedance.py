"""Impedance spectra: Nyquist and Bode plots with their fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import NullFormatter

from lliso.plot.styling import DATA, FIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from matplotlib.axes import Axes

    from lliso.fit.impedance import ImpedanceFit

#: largest impedance (Ω) that is written in this unit
_SCALES = ((2e3, 1.0, "Ω"), (2e6, 1e3, "kΩ"), (np.inf, 1e6, "MΩ"))


def _scale(largest: float) -> tuple[float, str]:
    return next((factor, unit) for limit, factor, unit in _SCALES if largest < limit)


def draw_nyquist(
    ax: Axes,
    spectrum: xr.Dataset,
    fit: ImpedanceFit | None = None,
    *,
    decades: bool = True,
    full: bool = False,
    label: str = "",
    color: str = DATA,
) -> list[Any]:
    """Draw −Z″ against Z′ with equal scales, the fit, and the decades of frequency.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    spectrum : xarray.Dataset
        ``z_real``, ``z_imag`` (Ω) along ``frequency`` (Hz).
    fit : ImpedanceFit, optional
    decades : bool
        Mark the points next to whole decades, with their frequency.
    full : bool
        Show the electrode's tail too, however high it rises; by default the arcs fill the Axes.
    label, color
        Of the points.

    Returns
    -------
    list
        Points, the fit's line, marks and texts of the decades.
    """
    f = np.asarray(spectrum["frequency"], dtype=float)
    real, imag = (np.asarray(spectrum[n], dtype=float) for n in ("z_real", "z_imag"))
    extent = 1.35 * fit.r_total if fit is not None and np.isfinite(fit.r_total) else real.max()
    factor, unit = _scale(extent)
    artists: list[Any] = []
    look: dict[str, Any] = {"color": color, "mfc": "white", "mew": 0.7, "zorder": 2}
    artists += ax.plot(real / factor, -imag / factor, "o", ms=3.0, label=label or "data", **look)
    if fit is not None:
        order = np.argsort(fit.frequency)
        z = fit.model[order] / factor
        artists += ax.plot(z.real, -z.imag, color=FIT, lw=1.0, label="fit", zorder=3)
    ax.set_aspect("equal", adjustable="box")
    if not full:
        ax.set(xlim=(-0.03 * extent / factor, extent / factor), ylim=(0, 0.62 * extent / factor))
    if decades:
        artists += _draw_decades(
            ax, f, real / factor, -imag / factor, color, None if full else extent / factor
        )
    ax.set(xlabel=f"$Z'$ ({unit})", ylabel=f"$-Z''$ ({unit})")
    return artists


def _draw_decades(
    ax: Axes, f: Any, real: Any, imag: Any, color: str, extent: float | None
) -> list[Any]:
    artists: list[Any] = []
    near = 0.09 * (real.max() if extent is None else extent)
    marked: list[tuple[float, float]] = []
    for power in range(int(np.ceil(np.log10(f.min()))), int(np.log10(f.max())) + 1):
        k = int(np.argmin(np.abs(np.log10(f) - power)))
        hidden = extent is not None and not (real[k] < extent and imag[k] < 0.55 * extent)
        # From low frequencies on: those near the origin lie on each other and would not be read.
        if hidden or any(np.hypot(real[k] - x, imag[k] - y) < near for x, y in marked):
            continue
        marked.append((real[k], imag[k]))
        artists += ax.plot(real[k], imag[k], "o", ms=3.0, color=color, zorder=4)
        artists.append(
            ax.annotate(
                f"$10^{{{power}}}$ Hz",
                (real[k], imag[k]),
                xytext=(4, -2),  # inside the arcs, where nothing is drawn
                textcoords="offset points",
                ha="left",
                va="top",
                fontsize=6,
                clip_on=True,
            )
        )
    return artists


def draw_bode(
    axes: Sequence[Axes],
    spectrum: xr.Dataset,
    fit: ImpedanceFit | None = None,
    *,
    label: str = "",
    color: str = DATA,
) -> list[Any]:
    """Draw |Z| and the phase against frequency.

    Parameters
    ----------
    axes : pair of matplotlib.axes.Axes
        For |Z| and for the phase.
    spectrum, fit, label, color
        As in `draw_nyquist`.

    Returns
    -------
    list
        Points of |Z| and of the phase, then the fit's two lines.

    Raises
    ------
    ValueError
        If there are not two Axes.
    """
    if len(axes) != 2:
        raise ValueError(f"draw_bode needs two Axes, for |Z| and the phase, got {len(axes)}")
    upper, lower = axes
    f = np.asarray(spectrum["frequency"], dtype=float)
    z = np.asarray(spectrum["z_real"]) + 1j * np.asarray(spectrum["z_imag"])
    look: dict[str, Any] = {"color": color, "mfc": "white", "mew": 0.7, "ms": 3.0, "ls": ""}
    artists: list[Any] = []
    artists += upper.plot(f, np.abs(z), marker="o", label=label or "data", **look)
    artists += lower.plot(f, -np.angle(z, deg=True), marker="o", **look)
    if fit is not None:
        order = np.argsort(fit.frequency)
        at, model = fit.frequency[order], fit.model[order]
        artists += upper.plot(at, np.abs(model), color=FIT, lw=1.0, label="fit", zorder=3)
        artists += lower.plot(at, -np.angle(model, deg=True), color=FIT, lw=1.0, zorder=3)
    for ax in axes:
        ax.set_xscale("log")
        ax.xaxis.set_minor_formatter(NullFormatter())
    upper.set_yscale("log")
    upper.set_ylabel("|Z| (Ω)")
    lower.set(xlabel="frequency (Hz)", ylabel="−phase (°)", ylim=(0, 95), yticks=(0, 30, 60, 90))
    return artists

"""The panels of Fig. 4, drawn from what `lliso.published.fig4` found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from lliso.plot import BOUNDARY, DATA, FIT, PAGE_WIDTH, STYLE, draw_long_range, style
from lliso.published.fig4 import HOT, ROOM
from lliso.units import UM_PER_CM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lliso.published.fig4 import Data, Measured

#: as in the paper: black, then (colour-blind safe) red and blue
COLOURS, MARKERS = (DATA, FIT, BOUNDARY), ("o", "s", "^")
SMALL = 6.5
#: what panel c shows, mm
NEAR = (-1.25, 3.1)


def figure_4(data: Data, found: Measured) -> Figure:
    """Draw panels a to c, with the residuals of a and b below them.

    Returns
    -------
    matplotlib.figure.Figure
        Its axes are labelled ``"a"``, ``"b"``, ``"c"``, ``"residuals a"`` and so on.
    """
    import matplotlib.pyplot as plt

    with style():
        fig = plt.figure(figsize=(PAGE_WIDTH, 3.3))
        names: Any = [["a", "b", "c"], ["residuals a", "residuals b", "residuals c"]]
        axes: dict[str, Axes] = fig.subplot_mosaic(names, height_ratios=[3.2, 1])
        _sample(axes, "a", found.room, [ROOM[0], "+ 2 weeks", "+ 6 weeks"])
        _sample(axes, "b", found.hot, [HOT[0], "+ 3.8 h at 200 °C"])
        _level(axes, found)
        _say_d_eff(axes["a"], "stored at 22 °C", found.room)
        _say_d_eff(axes["b"], "at 200 °C", found.hot)
        for name, ax in axes.items():
            ax.set_label(name)
            if len(name) == 1:
                ax.set_title(f"({name})", loc="left", size=STYLE["axes.titlesize"], weight="bold")
                ax.set_ylim(0, 1.02)
                ax.set_ylabel("⁶Li fraction C" if name == "a" else "")
                ax.set_xlabel("")
                ax.tick_params(labelbottom=False)
            else:
                ax.set(xlabel="", ylabel="residual (σ)" if name == "residuals a" else "")
                if name != "residuals c":
                    ax.set(ylim=(-4.5, 4.5), yticks=[-3, 0, 3])
        axes["residuals c"].set_ylabel("data − fit (%)")
        fig.supxlabel("distance from the nominal liquid level (mm)", size=STYLE["axes.labelsize"])
        if data.simulated:
            fig.suptitle("SIMULATED, with the parameters of the paper", size=SMALL, color="0.35")
    return fig


def _say_d_eff(ax: Axes, where: str, fit: xr.Dataset) -> None:
    words = with_error(*_value(fit, "d_eff[storage]")) + " cm²/s"
    at: dict[str, Any] = {"transform": ax.transAxes, "ha": "right", "va": "top"}
    ax.text(0.97, 0.6, f"$D_{{eff}}$ {where}:\n{words}", size=SMALL, **at)


def _value(fit: xr.Dataset, name: str) -> tuple[float, float]:
    one = fit.sel(param=name)
    return float(one["value"]), float(one["stderr"])


def with_error(value: float, error: float) -> str:
    """Return ``(2.97 ± 0.02)·10⁻⁹``: both with as many digits as the error's first one needs."""
    power = int(np.floor(np.log10(value)))
    digits = max(0, power - int(np.floor(np.log10(error))))
    numbers = f"({value / 10.0**power:.{digits}f} ± {error / 10.0**power:.{digits}f})"
    return f"{numbers}·10$^{{{power}}}$"


def _stages(fit: xr.Dataset) -> list[xr.Dataset]:
    """Points and curve of each profile of a fit, as `draw_long_range` wants them."""
    stages = []
    for name in fit["profile"].values:
        own = fit.isel(point=np.flatnonzero(fit["of_profile"].values == name))
        stages.append(
            xr.Dataset(
                {
                    "fraction": ("position", own["fraction"].values),
                    "fraction_std": ("position", own["fraction_std"].values),
                    "model": ("position", own["curve"].values),
                },
                {"position": own["position"].values},
            )
        )
    return stages


def _sample(axes: dict[str, Axes], name: str, fit: xr.Dataset, labels: Sequence[str]) -> None:
    """One sample: its stages with fits in one panel, the residuals in the one below."""
    for stage, label, colour, marker in zip(_stages(fit), labels, COLOURS, MARKERS, strict=False):
        draw_long_range(
            axes[name],
            stage,
            residuals=axes[f"residuals {name}"],
            label=label,
            color=colour,
            marker=marker,
        )
    axes[name].legend(frameon=False, loc="upper right", handletextpad=0.3)
    axes[f"residuals {name}"].sharex(axes[name])


def _level(axes: dict[str, Axes], found: Measured) -> None:
    """Panel c: eq. (4) with the origin held and free, near the level."""
    ax, below = axes["c"], axes["residuals c"]
    (stage,) = _stages(found.free)
    at = 1e3 * np.linspace(*NEAR, 400)
    held = found.held.curve(at)
    draw_long_range(ax, stage.drop_vars("model"), color=DATA)
    ax.plot(at / 1e3, held, "--", color=FIT, lw=1.2, zorder=3)
    points = stage["position"].values
    free = _free_curve(found, at)
    ax.plot(at / 1e3, free, color=BOUNDARY, lw=1.2, zorder=3)
    level = _value(found.free, "x0")
    ax.axvline(level[0] / 1e3, color=BOUNDARY, lw=0.5, ls=":")
    arrow: dict[str, Any] = {"arrowstyle": "-|>", "color": BOUNDARY, "lw": 0.8, "shrinkA": 0}
    ax.annotate("", (level[0] / 1e3, 0.12), (0.0, 0.12), arrowprops=arrow | {"shrinkB": 0})
    ax.text(
        -0.06,
        0.16,
        f"meniscus\n{level[0]:.0f} ± {level[1]:.0f} µm",
        size=SMALL,
        color=BOUNDARY,
        va="bottom",
        ha="right",
    )
    held_d, free_d = with_error(found.held.d_eff, found.held.stderr), _value(found.free, "d_eff")
    for y, text, colour in (
        (0.90, "level free:\n" + with_error(*free_d) + " cm²/s", BOUNDARY),
        (0.66, "origin held:\n" + held_d + " cm²/s", FIT),
    ):
        where: dict[str, Any] = {"transform": ax.transAxes, "ha": "right", "va": "top"}
        ax.text(0.98, y, text, size=SMALL, color=colour, **where)
    ax.set_xlim(*NEAR)
    ax.set_title("110 h, eq. (4) in two ways", size=SMALL, loc="right")
    difference = 1e2 * (stage["fraction"].values - found.held.curve(points))
    below.plot(points / 1e3, difference, "s", ms=2.4, mew=0.6, color=FIT, mfc="white")
    difference = 1e2 * (stage["fraction"].values - stage["model"].values)
    below.plot(points / 1e3, difference, "o", ms=2.4, mew=0.6, color=BOUNDARY, mfc="white")
    below.axhline(0.0, color="0.5", lw=0.6)
    below.set(ylim=(-24, 24), yticks=[-20, 0, 20])
    below.sharex(ax)


def _free_curve(found: Measured, at: Any) -> Any:
    from lliso.diffusion.long_range import exchange_fraction

    values = [_value(found.free, name)[0] for name in ("d_eff", "x0", "c0", "c1")]
    values[0] *= UM_PER_CM**2
    return exchange_fraction(at, *values, time=float(found.free.attrs["time_s"][0]))

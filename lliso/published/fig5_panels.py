"""The panels of Fig. 5, drawn from what `lliso.published.fig5` found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.patches import Circle, FancyArrowPatch, Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from lliso.diffusion.transport import ZERO_CELSIUS
from lliso.fit.activated import kelvin
from lliso.plot import (
    DATA,
    PAGE_WIDTH,
    PALETTE,
    STYLE,
    draw_arrhenius,
    draw_haven_ratio,
    draw_models,
    style,
)
from lliso.published.fig5 import CHARGE, COLD, IMAGING, RESOLUTION, ROOM, TRACER
from lliso.units import parse_quantity

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lliso.published.fig5 import Data, Measured

SMALL = 6.5
GRAIN, WALL = "0.86", PALETTE[0]
#: name in `Measured.series` -> label, colour, marker, filled: the markers are the paper's
SERIES: dict[str, tuple[str, str, str, bool]] = {
    "d_sigma_bulk": ("$D_{σ,bulk}$", PALETTE[1], "s", True),
    "d_bulk": ("$D_{NMR,bulk}$", PALETTE[2], "o", False),
    "d_sigma_total": ("$D_{σ,total}$", PALETTE[1], "s", False),
    "d_eff": ("$D_{eff}$, SIMS", PALETTE[0], "^", False),
}


def figure_5(data: Data, found: Measured, quench: pd.DataFrame) -> Figure:
    """Draw panels a to e.

    Returns
    -------
    matplotlib.figure.Figure
        Its axes are labelled ``"a"`` (the sketches), ``"models"``, and ``"b"`` to ``"e"``.
    """
    import matplotlib.pyplot as plt

    with style():
        fig = plt.figure(figsize=(PAGE_WIDTH, 5.4))
        names: Any = [["a", "models", "e"], ["b", "c", "d"]]
        axes: dict[str, Axes] = fig.subplot_mosaic(names, height_ratios=[1, 1.25])
        _sketches(axes["a"])
        _models(axes["models"], data, found)
        _arrhenius(axes["b"], data, found)
        _boundaries(axes["c"], data, found)
        draw_haven_ratio(axes["d"], found.haven_points, found.haven, label="boundaries")
        _haven_words(axes["d"], found)
        _quench(axes["e"], quench)
        for name, ax in axes.items():
            ax.set_label(name)
            if len(name) == 1:
                ax.set_title(f"({name})", loc="left", size=STYLE["axes.titlesize"], weight="bold")
        if data.simulated:
            fig.suptitle("SIMULATED, with the parameters of the paper", size=SMALL, color="0.35")
    return fig


def _sketches(ax: Axes) -> None:
    """Panel a: what each model takes for a polycrystal; the arrows are the paths of lithium."""
    ax.set(xlim=(0, 10), ylim=(0, 10), aspect="equal")
    ax.set_axis_off()
    rows = (7.3, 3.9, 0.5)
    names = ("brick layer", "Maxwell–Garnett", "series (1D)")
    for y, name in zip(rows, names, strict=True):
        ax.add_patch(Rectangle((0, y), 5.6, 2.6, facecolor=WALL, lw=0))
        ax.text(6.0, y + 1.3, name, va="center", size=STYLE["legend.fontsize"])
    for column in range(4):
        for row in range(2):
            place = (0.12 + 1.37 * column, rows[0] + 0.08 + 1.32 * row)
            ax.add_patch(Rectangle(place, 1.24, 1.12, facecolor=GRAIN, lw=0))
        radius = 0.56
        for row in range(2):
            middle = (0.72 + 1.39 * column, rows[1] + 0.66 + 1.28 * row)
            ax.add_patch(Circle(middle, radius, facecolor=GRAIN, lw=0))
        ax.add_patch(Rectangle((0.12 + 1.37 * column, rows[2]), 1.24, 2.6, facecolor=GRAIN, lw=0))
    _path(ax, rows[0] + 0.64)
    _path(ax, rows[0] + 1.3, "white")
    _path(ax, rows[1] + 0.66)
    _path(ax, rows[1] + 1.3, "white")
    _path(ax, rows[2] + 1.3)


def _path(ax: Axes, y: float, colour: str = DATA) -> None:
    """Draw a path of lithium: across the boundaries (black), or along them (white)."""
    ends = (-0.3, 6.0) if colour == DATA else (0.1, 5.5)
    arrow: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 6, "lw": 0.9}
    arrow |= {"color": colour, "shrinkA": 0, "shrinkB": 0}
    ax.add_patch(FancyArrowPatch((ends[0], y), (ends[1], y), **arrow))


def _models(ax: Axes, data: Data, found: Measured) -> None:
    d_bulk, size = data.printed("d_bulk"), data.printed("grain_size")
    thickness = 1e-3 * data.printed("delta") / size
    d_gb = found.permeability * 1e-7 * data.printed("delta")
    draw_models(
        ax,
        thickness=thickness,
        material=(d_gb / d_bulk, found.one_d.d_eff / d_bulk),
        label="LLTO, 22 °C",
    )
    ax.legend(frameon=False, loc="lower right", fontsize=SMALL)


def _arrhenius(ax: Axes, data: Data, found: Measured) -> None:
    """Panel b: all four series, and the 1D model at 22 °C."""
    t = data.transport["temperature"].values
    for name, (label, colour, marker, filled) in SERIES.items():
        draw_arrhenius(
            ax,
            t,
            *found.series[name],
            fit=found.fits[name],
            label=label,
            color=colour,
            marker=marker,
            filled=filled,
        )
    e = found.one_d
    draw_arrhenius(ax, ROOM, e.d_eff, label="1D model", color=DATA, marker="^")
    ax.legend(frameon=False, loc="lower left", handletextpad=0.2, fontsize=SMALL)


def _boundaries(ax: Axes, data: Data, found: Measured) -> None:
    """Panel c: (l/δ)D_gb of tracer and charge with their laws, and that of the maps."""
    looks = {CHARGE: ("conductivity", PALETTE[1], "s"), TRACER: ("SIMS line", PALETTE[0], "^")}
    for name, (label, colour, marker) in looks.items():
        part = found.parts[name]
        draw_arrhenius(
            ax,
            part["temperature"].values,
            part["boundary"].values,
            part["boundary_std"].values,
            fit=found.laws[name],
            label=label,
            color=colour,
            marker=marker,
            filled=False,
            ylabel="$(l/δ)D_{gb}$ (cm² s⁻¹)",
        )
    from_maps = found.permeability * data.printed("grain_size") * 1e-4
    draw_arrhenius(
        ax, ROOM, from_maps, label="SIMS maps", color=DATA, marker="^", ylabel=ax.get_ylabel()
    )
    ax.legend(frameon=False, loc="lower left", handletextpad=0.2, fontsize=SMALL)
    where: dict[str, Any] = {"transform": ax.transAxes, "ha": "right", "va": "top", "size": SMALL}
    for k, (name, (_, colour, _)) in enumerate(looks.items()):
        law = found.laws[name]
        words = (
            f"{law.energy:.3f} ± {law.energy_std:.3f} eV\n"
            f"{law.prefactor:.3f} ± {law.prefactor_std:.3f} cm²/s"
        )
        ax.text(0.98, 0.97 - 0.12 * k, words, color=colour, **where)


def _haven_words(ax: Axes, found: Measured) -> None:
    ratio, std = found.shared.prefactor_ratio(TRACER, CHARGE)
    text = f"one $E_a$ for both:\n$H_R$ = {ratio:.2f} ± {std:.2f}"
    ax.text(0.98, 0.03, text, transform=ax.transAxes, ha="right", va="bottom", size=SMALL)
    ax.set_ylim(0.08, 1.6)
    ax.text(0.98, 0.86, "bulk: 1", transform=ax.transAxes, ha="right", va="top", size=SMALL)


def _quench(ax: Axes, quench: pd.DataFrame) -> None:
    """Panel e: how far lithium moves while a map is taken."""
    at = quench.index.to_numpy(dtype=float) - ZERO_CELSIUS
    for name, words, colour in (
        ("d_bulk", "inside a grain ($D_{bulk}$)", PALETTE[2]),
        ("d_eff", "through the ceramic ($D_{eff}$)", PALETTE[0]),
    ):
        ax.plot(at, quench[f"{name} value (um)"], color=colour, label=words)
        low, high = (quench[f"{name} {end} (um)"] for end in ("low", "high"))
        ax.fill_between(at, low, high, color=colour, alpha=0.15, lw=0)
    pixel = parse_quantity(RESOLUTION, "um", "resolution")
    cold = float(kelvin(COLD)) - ZERO_CELSIUS
    ax.axhline(pixel, color="0.5", lw=0.6, ls=":")
    ax.axvline(cold, color="0.5", lw=0.6, ls=":")
    ax.text(at[-1], pixel * 0.92, "resolution ", ha="right", va="top", size=SMALL, color="0.35")
    ax.text(cold + 1, 0.016, "imaging", size=SMALL, color="0.35")
    ax.set(yscale="log", xlim=(at[0], at[-1]), ylim=(0.01, 100), xlabel="T (°C)")
    ax.yaxis.set_major_locator(FixedLocator([0.01, 0.1, 1, 10, 100]))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_ylabel(f"√(2Dt) in {IMAGING} (µm)")
    ax.legend(frameon=False, loc="upper left", fontsize=SMALL, handlelength=1.2)

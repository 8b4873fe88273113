"""Does a figure keep the house style? Its faults, in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from lliso.plot.styling import COLUMN_WIDTH, PAGE_WIDTH, PALETTE

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

#: smallest type in points, at the size of print
SMALLEST = 6.0
#: what a label may say instead of a unit in parentheses: a pure number, or a name
_PURE = re.compile(r"fraction|\bC\b|ratio|number|count|share|/|boundar|hold")
_UNIT = re.compile(r"\(.+\)")


def style_faults(fig: Figure, *, simulated: bool = False) -> list[str]:
    """Return what is wrong with a figure's style; an empty list if nothing is.

    Looked at are the width (a column or a page), the smallest type, units in the labels of axes,
    colours (those that colour-blind readers tell apart, and greys), scale bars on maps, text that
    leaves the figure, and the word *simulated*.

    Parameters
    ----------
    fig : matplotlib.figure.Figure
        Drawn with `lliso.plot.style` in force.
    simulated : bool
        Whether it shows simulated data, and so has to say it.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from lliso.plot import figure
    >>> fig, ax = figure(3.35, 2.5)
    >>> _ = ax.set(xlabel="distance (µm)", ylabel="D")
    >>> style_faults(fig)
    ["the label 'D' has no unit"]
    """
    fig.draw_without_rendering()
    faults = []
    width = float(fig.get_figwidth())
    if not 0.5 * COLUMN_WIDTH <= width <= PAGE_WIDTH + 1e-9:
        faults.append(f"{width:.2f} inches wide, a page has {PAGE_WIDTH}")
    every: list[Any] = fig.findobj(Text)
    texts = [t for t in every if t.get_visible() and t.get_text().strip()]
    panels: list[Any] = fig.findobj(Axes)
    # Ticks beyond the limits of an axis are there, but are not drawn.
    ticks = {id(t) for ax in panels for axis in (ax.xaxis, ax.yaxis) for t in _tick_labels(axis)}
    for text in texts:
        if text.get_fontsize() < SMALLEST - 1e-9:
            faults.append(f"{text.get_text()!r} is set in {text.get_fontsize():.1f} points")
        if id(text) not in ticks and not _inside(fig, text):
            faults.append(f"{text.get_text()!r} leaves the figure")
    for ax in panels:
        faults += _faults_of_axes(ax)
    if simulated and not any("simulated" in t.get_text().lower() for t in texts):
        faults.append("does not say that it is simulated")
    return faults


def _inside(fig: Figure, text: Text) -> bool:
    box, room = text.get_window_extent(), fig.bbox
    slack = 1.0
    return bool(
        box.x0 >= room.x0 - slack
        and box.x1 <= room.x1 + slack
        and box.y0 >= room.y0 - slack
        and box.y1 <= room.y1 + slack
    )


def _tick_labels(axis: Axis) -> list[Any]:
    return [*axis.get_ticklabels(which="both"), axis.get_offset_text()]


def _faults_of_axes(ax: Axes) -> Iterator[str]:
    for label in (ax.get_xlabel(), ax.get_ylabel()):
        if label and not _UNIT.search(label) and not _PURE.search(label):
            yield f"the label {label!r} has no unit"
    is_map = bool(ax.images) and "µm" in ax.get_ylabel()
    if is_map and not any(re.fullmatch(r"[\d.]+ µm", t.get_text()) for t in ax.texts):
        yield "a map has no scale bar"
    known = np.array([to_rgb(c) for c in PALETTE])
    for line in ax.lines:
        colour = np.array(to_rgb(line.get_color()))
        grey = np.ptp(colour) < 0.02
        if not grey and np.abs(known - colour).max(axis=1).min() > 0.01:
            yield f"a line has a colour that is not in the palette, {line.get_color()}"

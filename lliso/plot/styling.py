"""The look of lliso's figures, and writing them: the same bytes whenever the numbers are."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from matplotlib.figure import Figure

COLUMN_WIDTH = 3.35  # inches, one column of a journal page
PAGE_WIDTH = 7.0

#: Okabe and Ito's colours, which colour-blind readers tell apart
DATA = "#000000"
FIT = "#D55E00"
CUT = "#FFFFFF"
BOUNDARY = "#0072B2"
#: for series in one Axes, in this order; the markers differ too, for readers without colour
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


STYLE: Any = {
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 7.0,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "figure.dpi": 150,
    "savefig.dpi": 300,
    "figure.constrained_layout.use": True,
    "image.interpolation": "nearest",
    "svg.hashsalt": "lliso",  # ids in an SVG are random otherwise
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


@contextmanager
def style() -> Iterator[None]:
    """Apply lliso's figure style inside a ``with`` block."""
    # Not rc_context: it also takes back what a notebook's backend sets when it is loaded inside,
    # and figures are then never shown.
    before = {name: mpl.rcParams[name] for name in STYLE}
    mpl.rcParams.update(STYLE)
    try:
        yield
    finally:
        mpl.rcParams.update(before)


def figure(width: float = PAGE_WIDTH, height: float = 3.0, **kwargs: Any) -> tuple[Figure, Any]:
    """Make a figure in lliso's style.

    Parameters
    ----------
    width, height : float
        Size in inches.
    **kwargs
        For `matplotlib.pyplot.subplots`, e.g. ``nrows=2``.

    Returns
    -------
    figure, axes
    """
    import matplotlib.pyplot as plt

    with style():
        return plt.subplots(figsize=(width, height), **kwargs)


def save_figure(fig: Figure, path: str | os.PathLike[str]) -> list[Path]:
    """Write a figure as SVG, PDF and PNG, without dates, and close it.

    Parameters
    ----------
    fig : matplotlib.figure.Figure
        The figure.
    path : str or os.PathLike
        Path without ending.

    Returns
    -------
    list of pathlib.Path
        The files.
    """
    import matplotlib.pyplot as plt

    base = Path(path)
    base.parent.mkdir(parents=True, exist_ok=True)
    undated: dict[str, dict[str, Any]] = {
        ".svg": {"Date": None},
        ".pdf": {"CreationDate": None},
        ".png": {},
    }
    files = []
    with style():
        for ending, metadata in undated.items():
            file = base.with_name(base.name + ending)
            fig.savefig(file, metadata=metadata)
            files.append(file)
    plt.close(fig)
    return files

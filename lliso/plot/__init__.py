"""Drawing: every function takes an Axes, draws into it, and returns the artists.

Figures are made with `figure`, which applies lliso's style; `save_figure` writes SVG, PDF and PNG
that are the same bytes whenever the numbers are. Drawing into a figure of one's own, put the calls
into ``with style():``.
"""

from __future__ import annotations

from lliso.plot.impedance import draw_bode, draw_nyquist
from lliso.plot.long_range import draw_long_range
from lliso.plot.maps import (
    band_corners,
    draw_cut,
    draw_fits,
    draw_map,
    draw_permeabilities,
    draw_profile,
    draw_scale_bar,
    map_title,
)
from lliso.plot.styling import (
    BOUNDARY,
    COLUMN_WIDTH,
    CUT,
    DATA,
    FIT,
    MARKERS,
    PAGE_WIDTH,
    PALETTE,
    STYLE,
    figure,
    save_figure,
    style,
)
from lliso.plot.transport import (
    draw_arrhenius,
    draw_celsius_axis,
    draw_haven_ratio,
    draw_models,
)

__all__ = [
    "BOUNDARY",
    "COLUMN_WIDTH",
    "CUT",
    "DATA",
    "FIT",
    "MARKERS",
    "PAGE_WIDTH",
    "PALETTE",
    "STYLE",
    "band_corners",
    "draw_arrhenius",
    "draw_bode",
    "draw_celsius_axis",
    "draw_cut",
    "draw_fits",
    "draw_haven_ratio",
    "draw_long_range",
    "draw_map",
    "draw_models",
    "draw_nyquist",
    "draw_permeabilities",
    "draw_profile",
    "draw_scale_bar",
    "figure",
    "map_title",
    "save_figure",
    "style",
]

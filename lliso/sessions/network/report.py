"""What a person takes away from a grain network: figure, table, the lines that repeat it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lliso.sessions.network.layout import COLOURS
from lliso.sessions.network.screen import chords
from lliso.sessions.reading import map_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lliso.sessions.network.session import NetworkSession


def network_csv(session: NetworkSession) -> str:
    """Return the table of the boundaries that are shown, with all its columns and digits."""
    from lliso.fit.table import table_frame

    shown = session.table.isel(boundary=session.shown.at)
    return str(table_frame(shown).to_csv(lineterminator="\n"))


def network_code(session: NetworkSession) -> str:
    """Return the lines of lliso that give the table."""
    ds, constants = session.ds, session.constants
    file = "edits.json" if session.path is None else str(session.path)
    lines = ["import lliso", "", map_line("ds", ds)]
    if session.segmented:
        lines.append("grains = lliso.segment_grains(ds)")
    else:
        lines.append("grains = app.session.grains  # as they were given to explore_network")
    if session.state.edits.edits:
        if session.path is None:
            lines.append(f"app.session.state.edits.save({file!r})  # no file was given")
        lines.append(f"grains = lliso.apply_edits(grains, lliso.GrainEdits.load({file!r}))")
    lines.append("network = lliso.boundary_network(grains)")
    slope = session.table.attrs["mean_slope_per_cm"]
    lines += [
        "table = lliso.fit_network(",
        (
            f"    ds, network, d_bulk={constants.d_bulk!r}, delta={constants.delta!r}, "
            f"resolution={session.resolution!r},"
        ),
        f"    mean_slope={slope!r},  # of the grains before any edit: no edit changes other rows",
        ")",
        f"probable = table.isel(boundary=table.probability.values >= {session.state.least!r})",
    ]
    return "\n".join([*lines, ""])


def network_figure(session: NetworkSession, width: float, height: float) -> Figure:
    """Draw the map with its boundaries and the histogram, at a size in inches."""
    from matplotlib.collections import LineCollection

    from lliso.plot import draw_map, figure, style

    fig, (top, bottom) = figure(width, height, nrows=2, height_ratios=[1.7, 1])
    shown, state = session.shown, session.state
    colours, bars = shown.colours()
    with style():
        draw_map(top, session.ds, cmap="gray")
        paths, known = chords(session.network)[shown.at], shown.bins() >= 0
        for use, width_pt in ((~known, 0.5), (known, 1.4)):
            own = [c for c, k in zip(colours, use.tolist(), strict=True) if k]
            top.add_collection(LineCollection(list(paths[use]), colors=own, linewidths=width_pt))
        bottom.bar(
            shown.edges[:-1],
            shown.heights,
            np.diff(shown.edges),
            align="edge",
            color=bars,
            linewidth=0,
        )
        if shown.log:
            bottom.set_xscale("log")
        bottom.set(xlabel=COLOURS[state.colour][1], ylabel="boundaries")
    return fig

"""What a person takes away from the boundary app: the table as CSV, the lines that repeat it."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from lliso.maps.paths import path_of
from lliso.sessions.boundaries.screen import in_order
from lliso.sessions.reading import map_line, maps_lines

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lliso.fit.table import Constants
    from lliso.maps.picks import Picks
    from lliso.sessions.boundaries.session import BoundarySession
    from lliso.sessions.boundaries.stages import OtherStages


def boundary_csv(
    picks: Picks,
    rows: dict[str, dict[str, Any]],
    stage: str,
    others: OtherStages,
    constants: Constants,
) -> str:
    """Return the table with all its columns and digits.

    A line per boundary; with other stages a line per boundary and stage, and one for ``all`` with
    what `lliso.fit_stages` says.
    """
    order = in_order(picks, rows)
    found: list[dict[str, Any]] = []
    for pick in order:
        first = {"stage": stage} if others.maps else {}
        found.append({"boundary": pick.name, **first, **rows[pick.name], "note": pick.note})
        for name, row in others.rows(picks, pick.name, constants).items():
            found.append({"boundary": pick.name, "stage": name, **row, "note": pick.note})
    columns = list(dict.fromkeys(k for row in found for k in row if k != "note"))
    stream = io.StringIO()
    names = [*(columns or ["boundary"]), "note"]
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return stream.getvalue()


def boundary_code(session: BoundarySession) -> str:
    """Return the lines of lliso that give the table and the figure of the cut that is shown."""
    path, constants = session.path, session.constants
    file = "picks.json" if path is None else str(path)
    numbers = (
        f"d_bulk={constants.d_bulk!r}, delta={constants.delta!r}, resolution={session.resolution!r}"
    )
    options = [f"resolution={session.resolution!r}"]
    lines = [
        "import lliso",
        "from lliso.figures import figure_of_cut",
        "",
        map_line("ds", session.ds),
    ]
    if session.stages:
        lines += maps_lines("stages", session.stages, "app.session.stages")
    if path is None:
        lines.append("app.picks.save('picks.json')  # no file was given")
    lines.append(f"picks = lliso.Picks.load({file!r})")
    lines.append(f"table = lliso.fit_boundaries(ds, picks, {numbers})")
    if session.stages:
        lines.append("tables = {")
        lines.append(f"    name: lliso.fit_boundaries(other, picks, {numbers})")
        lines += ["    for name, other in stages.items()", "}"]
        lines += ["joint = lliso.fit_stages(", f"    [ds, *stages.values()], picks, {numbers}", ")"]
        options += ["stages=stages", "joint=joint"]
    if len(path_of(session.picks.cuts, session.cut.name)) > 1:
        options.append("path=True")
    lines.append(f"figure = figure_of_cut(ds, picks, {session.cut.name!r}, {', '.join(options)})")
    return "\n".join([*lines, ""])


def boundary_figure(session: BoundarySession) -> Figure:
    """Draw the cut that is shown on the map, with its profiles and the path it is part of."""
    from lliso.figures import figure_of_cut

    return figure_of_cut(
        session.ds,
        session.picks,
        session.cut.name,
        stages=session.stages,
        joint=session.joint,
        path=len(path_of(session.picks.cuts, session.cut.name)) > 1,
        resolution=session.resolution,
    )

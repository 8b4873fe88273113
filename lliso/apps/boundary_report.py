"""What a person takes away from the boundary app: the table as CSV, the lines that repeat it."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from lliso.apps.screen import in_order

if TYPE_CHECKING:
    from pathlib import Path

    import xarray as xr

    from lliso.fit.table import Constants
    from lliso.maps.picks import Picks


def boundary_csv(picks: Picks, rows: dict[str, dict[str, Any]]) -> str:
    """Return the table with all its columns and digits, a line per boundary."""
    order = in_order(picks, rows)
    columns = list(rows[order[0].name]) if order else []
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["boundary", *columns, "note"])
    for pick in order:
        values = [rows[pick.name][c] for c in columns]
        writer.writerow([pick.name, *values, pick.note])
    return stream.getvalue()


def boundary_code(
    ds: xr.Dataset, path: Path | None, constants: Constants, resolution: float, cut: str
) -> str:
    """Return the lines of lliso that give the table and the figure of the cut that is shown."""
    source = str(ds.attrs.get("source") or "map.nc")
    file = "picks.json" if path is None else str(path)
    saved = "" if path is not None else "app.picks.save('picks.json')  # no file was given\n"
    return (
        "import lliso\n"
        "from lliso.figures import figure_of_cut\n\n"
        f"ds = lliso.read_map({source!r})  # map_id {ds.attrs.get('map_id', '')}\n"
        f"{saved}"
        f"picks = lliso.Picks.load({file!r})\n"
        "table = lliso.fit_boundaries(\n"
        f"    ds, picks, d_bulk={constants.d_bulk!r}, delta={constants.delta!r}, "
        f"resolution={resolution!r}\n"
        ")\n"
        f"figure = figure_of_cut(ds, picks, {cut!r}, resolution={resolution!r})\n"
    )

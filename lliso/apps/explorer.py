"""The app that shows maps: species, C, its error, stages side by side, an image over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lliso.apps.opening import App, open_view
from lliso.sessions.explorer.session import ExplorerSession, by_name

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


class ExplorerApp(App[ExplorerSession]):
    """Maps being looked at; shows itself at the end of a notebook cell. Made by `explore_map`."""

    def _words(self) -> str:
        return f"{self.session.state.quantity} of {', '.join(self.session.maps)}"


def explore_map(
    maps: xr.Dataset | Mapping[str, xr.Dataset], *, overlay: Any | None = None
) -> ExplorerApp:
    """Open the app that shows maps.

    Parameters
    ----------
    maps : xarray.Dataset or mapping of str to xarray.Dataset
        A map, or the maps of several stages in the order of time, shown side by side with one zoom
        and one cursor. Frames are summed.
    overlay : xarray.DataArray or (array, matrix), optional
        A second image drawn over the maps with an opacity: with coordinates ``x`` and ``y`` in µm
        of the map (see `lliso.image_on_map`), or an array (row, column) with the 2 × 3 matrix from
        (column, row, 1) to (x, y) in µm.

    Returns
    -------
    ExplorerApp
        As the last line of a cell it shows itself. One that was open on the same maps is closed.

    Raises
    ------
    ImportError
        If the parts for notebooks are not installed.
    ValueError
        If there is no map, one holds no counts, or the overlay is no image.
    """
    ids = ",".join(str(ds.attrs.get("map_id", "")) for ds in by_name(maps).values())
    session, widget = open_view(
        f"explore:{ids}",
        lambda: ExplorerSession(maps, overlay),
        _picture,
        headless="lliso.maps.quantities.map_quantity and lliso.figures.figure_of_images",
    )
    return ExplorerApp(session, widget)


def _picture(session: ExplorerSession) -> Figure:
    from lliso.sessions.explorer.report import explorer_figure

    return explorer_figure(session, 7.0, 3.4)

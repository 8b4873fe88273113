"""The app that shows every grain boundary of a map, and corrects the grains."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lliso.apps.opening import App, key_of, open_view
from lliso.sessions.network.session import NetworkSession

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lliso.maps.grain_edits import GrainEdits


class NetworkApp(App[NetworkSession]):
    """A grain network being looked at; shows itself at the end of a notebook cell.

    Made by `explore_network`.
    """

    @property
    def table(self) -> xr.Dataset:
        """The table of all boundaries now; an analysis computes it from the saved edits."""
        return self.session.table

    def _words(self) -> str:
        session = self.session
        n, edits = session.network.sizes["boundary"], len(session.state.edits.edits)
        return f"{n} boundaries, {edits} edit{'' if edits == 1 else 's'}"


def explore_network(
    ds: xr.Dataset,
    edits: GrainEdits | str | os.PathLike[str] | None = None,
    *,
    grains: xr.Dataset | None = None,
    d_bulk: float | str,
    delta: float | str = "0.5 nm",
    resolution: float | str = 1.0,
) -> NetworkApp:
    """Open the app that shows every grain boundary of a map, its D_gb/δ and their histogram.

    Parameters
    ----------
    ds : xarray.Dataset
        A map with counts of both lithium isotopes; frames are summed.
    edits : GrainEdits, str or os.PathLike, optional
        Merges and splits of grains to start from, or their file: read if it exists, and written
        after every edit that a person makes. Without a file nothing is saved.
    grains : xarray.Dataset, optional
        Of `lliso.segment_grains`, e.g. with a microscope image; default: found on `ds` alone.
    d_bulk : float or str
        Diffusion coefficient inside the grains in cm²/s, or a string with a unit.
    delta : float or str
        Boundary thickness in nm, or a string with a unit.
    resolution : float or str
        Full width at half maximum of the point spread function in µm, or a string with a unit.

    Returns
    -------
    NetworkApp
        As the last line of a cell it shows itself. An app that was open on the same file (or,
        without a file, on the same map) is closed.

    Raises
    ------
    ImportError
        If the parts for notebooks are not installed.
    PicksMismatch
        If the edits were made on other grains.
    ValueError
        If a species is missing, there is no boundary, or a constant is bad.
    """
    session, widget = open_view(
        key_of(edits, f"network:{ds.attrs.get('map_id', '')}"),
        lambda: NetworkSession(
            ds, edits, grains=grains, d_bulk=d_bulk, delta=delta, resolution=resolution
        ),
        _picture,
        headless="lliso.segment_grains, lliso.boundary_network and lliso.fit_network",
    )
    return NetworkApp(session, widget)


def _picture(session: NetworkSession) -> Figure:
    from lliso.sessions.network.report import network_figure

    return network_figure(session, 6.0, 5.0)

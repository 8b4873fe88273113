"""The app that picks grain boundaries on a line cut: a session and its view, opened together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from lliso.apps.opening import App, key_of, open_view
from lliso.sessions.boundaries.report import boundary_figure
from lliso.sessions.boundaries.session import BoundarySession

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lliso.maps.picks import Picks


class BoundaryApp(App[BoundarySession]):
    """Grain boundaries being picked on a map; shows itself at the end of a notebook cell.

    Made by `pick_boundaries`.

    Attributes
    ----------
    session : BoundarySession
        The state: every gesture of the view is a call of its methods.
    widget : CanvasView
        What is on the screen.
    """

    @property
    def picks(self) -> Picks:
        """What is picked now; an analysis reads the saved file instead, so that it runs alone."""
        return self.session.picks

    def _words(self) -> str:
        n = len(self.picks.boundaries)
        return f"{n} boundar{'y' if n == 1 else 'ies'} picked"


def pick_boundaries(
    ds: xr.Dataset,
    picks: Picks | str | os.PathLike[str] | None = None,
    *,
    d_bulk: float | str,
    delta: float | str = "0.5 nm",
    resolution: float | str = 1.0,
    cut: str | None = None,
    stages: Mapping[str, xr.Dataset] | None = None,
    grains: xr.Dataset | None = None,
) -> BoundaryApp:
    """Open the app that picks grain boundaries on a line cut of a map.

    Parameters
    ----------
    ds : xarray.Dataset
        A map with counts of both lithium isotopes; frames are summed.
    picks : Picks, str or os.PathLike, optional
        Picks to start from, or their file: read if it exists, and written after every change that
        a person makes (never on opening). Without a file nothing is saved.
    d_bulk : float or str
        Diffusion coefficient inside the grains in cm²/s, or a string with a unit.
    delta : float or str
        Boundary thickness in nm, or a string with a unit.
    resolution : float or str
        Full width at half maximum of the point spread function in µm, or a string with a unit.
    cut : str, optional
        Name of the cut to show; default: the first.
    stages : mapping of str to xarray.Dataset, optional
        Maps of the same place at other times: their profiles along the same cuts, and one D_gb/δ
        for all (`lliso.fit_stages`). The picks are anchored to them too.
    grains : xarray.Dataset, optional
        Grains of the map (`lliso.segment_grains`, `lliso.boundary_network`), drawn on it; *Square*
        turns a cut across the nearest of their edges where none is marked yet.

    Returns
    -------
    BoundaryApp
        As the last line of a cell it shows itself. An app that was open on the same picks file (or,
        without a file, on the same map) is closed.

    Raises
    ------
    ImportError
        If the parts for notebooks are not installed.
    PicksMismatch
        If the picks were made on another map.
    ValueError
        If the map lacks a species or holds no counts, or a constant is bad.
    """
    session, widget = open_view(
        key_of(picks, f"map:{ds.attrs.get('map_id', '')}"),
        lambda: BoundarySession(
            ds,
            picks,
            d_bulk=d_bulk,
            delta=delta,
            resolution=resolution,
            cut=cut,
            stages=stages,
            grains=grains,
        ),
        _picture,
        headless="lliso.sessions.boundaries.session.BoundarySession and lliso.fit_boundaries",
    )
    return BoundaryApp(session, widget)


def _picture(session: BoundarySession) -> Figure:
    """Draw the cut that is shown, for readers of the notebook who have no kernel."""
    return boundary_figure(session)

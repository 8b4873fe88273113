"""The app that picks grain boundaries on a line cut: a session and its view, opened together."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lliso.apps.session import BoundarySession

if TYPE_CHECKING:
    import xarray as xr

    from lliso.apps.view import CanvasView
    from lliso.maps.picks import Picks


class BoundaryApp:
    """Grain boundaries being picked on a map; shows itself at the end of a notebook cell.

    Made by `pick_boundaries`.

    Attributes
    ----------
    session : BoundarySession
        The state: every gesture of the view is a call of its methods.
    widget : CanvasView
        What is on the screen.
    """

    def __init__(self, session: BoundarySession, widget: CanvasView) -> None:
        self.session = session
        self.widget = widget

    @property
    def picks(self) -> Picks:
        """What is picked now; an analysis reads the saved file instead, so that it runs alone."""
        return self.session.picks

    def close(self) -> None:
        """Close the view and its session; what was picked is saved already."""
        self.widget.close()

    def __repr__(self) -> str:
        n = len(self.picks.boundaries)
        state = "closed" if self.widget.closed else "shown in a notebook"
        return f"<BoundaryApp: {n} boundar{'y' if n == 1 else 'ies'} picked, {state}>"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle = None if self.widget.closed else self.widget._repr_mimebundle_(**kwargs)
        if bundle is None:
            return {"text/plain": repr(self)}, {}
        data, metadata = bundle
        return {**data, "text/plain": f"{self!r}\n{data['text/plain']}"}, metadata


def pick_boundaries(
    ds: xr.Dataset,
    picks: Picks | str | os.PathLike[str] | None = None,
    *,
    d_bulk: float | str,
    delta: float | str = "0.5 nm",
    resolution: float | str = 1.0,
    cut: str | None = None,
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
    try:
        from lliso.apps.view import CanvasView, close_view
    except ModuleNotFoundError as err:
        raise ImportError(
            f"the interactive view needs {err.name}; install it with: pip install 'lliso[lab]'. "
            "Without it, lliso.apps.session.BoundarySession and lliso.fit_boundaries do the same "
            "computation"
        ) from err
    if isinstance(picks, str | os.PathLike):
        key = f"picks:{Path(picks).resolve()}"
    else:
        key = f"map:{ds.attrs.get('map_id', '')}"
    close_view(key)  # before the file is read: two apps must never own it
    session = BoundarySession(ds, picks, d_bulk=d_bulk, delta=delta, resolution=resolution, cut=cut)
    widget = CanvasView(session, key=key, fallback_png=lambda: _picture(session))
    return BoundaryApp(session, widget)


def _picture(session: BoundarySession) -> bytes:
    """Draw the cut that is shown, for readers of the notebook who have no kernel."""
    import io

    from matplotlib import pyplot as plt

    from lliso.figures import figure_of_cut

    figure = figure_of_cut(
        session.ds, session.picks, session.cut.name, resolution=session.resolution
    )
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110)
    plt.close(figure)  # else a notebook shows it below the view
    return stream.getvalue()

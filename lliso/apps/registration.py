"""The app that registers a microscope image to a map: landmarks, residuals, overlay."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lliso.apps.opening import App, key_of, open_view
from lliso.sessions.registration.session import RegistrationSession

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    from lliso.maps.picks import Picks
    from lliso.maps.registration import Kind, Registration


class RegistrationApp(App[RegistrationSession]):
    """An image being registered; shows itself at the end of a notebook cell.

    Made by `register_image`.
    """

    @property
    def picks(self) -> Picks:
        """The picks now; an analysis reads the saved file instead, so that it runs alone."""
        return self.session.picks

    @property
    def registration(self) -> Registration | None:
        """The transform now; None while the landmarks do not suffice."""
        return self.session.registration

    def _words(self) -> str:
        n = len(self.picks.landmarks)
        return f"{n} landmark{'' if n == 1 else 's'}"


def register_image(
    ds: xr.Dataset,
    image: xr.DataArray,
    picks: Picks | str | os.PathLike[str] | None = None,
    *,
    kind: Kind = "similarity",
) -> RegistrationApp:
    """Open the app that registers a microscope image to a map.

    Parameters
    ----------
    ds : xarray.Dataset
        A map with counts of both lithium isotopes; frames are summed.
    image : xarray.DataArray, shape (v, u)
        Grey values with coordinates in µm of the image's own frame.
    picks : Picks, str or os.PathLike, optional
        Picks to start from, or their file: read if it exists, and written (its ``landmarks``) after
        every change that a person makes. Without a file nothing is saved.
    kind : {"similarity", "affine", "projective"}
        Transform to start with (see `lliso.fit_registration`).

    Returns
    -------
    RegistrationApp
        As the last line of a cell it shows itself. An app that was open on the same picks file (or,
        without a file, on the same map) is closed. The same without an app:
        ``lliso.fit_registration(lliso.Picks.load(file).landmarks)``.

    Raises
    ------
    ImportError
        If the parts for notebooks are not installed.
    PicksMismatch
        If the picks were made on another map.
    TypeError, ValueError
        If the image has no coordinates, the map lacks a species, or the kind is unknown.
    """
    session, widget = open_view(
        key_of(picks, f"register:{ds.attrs.get('map_id', '')}"),
        lambda: RegistrationSession(ds, image, picks, kind=kind),
        _picture,
        headless="lliso.fit_registration and lliso.image_on_map",
    )
    return RegistrationApp(session, widget)


def _picture(session: RegistrationSession) -> Figure:
    from lliso.sessions.registration.report import registration_figure

    return registration_figure(session, 6.0, 5.0)

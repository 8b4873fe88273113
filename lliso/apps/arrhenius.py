"""The app that fits Arrhenius laws to several series."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lliso.apps.opening import App, key_of, open_view
from lliso.fit.arrhenius_choices import ArrheniusChoices, Laws
from lliso.fit.arrhenius_series import read_series
from lliso.sessions.arrhenius.session import ArrheniusSession

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


class ArrheniusApp(App[ArrheniusSession]):
    """Arrhenius series being fitted; shows itself at the end of a cell.

    Made by `explore_arrhenius`.
    """

    @property
    def choices(self) -> ArrheniusChoices:
        """What is chosen now."""
        return self.session.choices

    @property
    def laws(self) -> Laws:
        """The laws now."""
        return self.session.laws

    def _words(self) -> str:
        return f"laws of {', '.join(self.session.series)}"


def explore_arrhenius(
    series: xr.Dataset | Mapping[str, tuple[Any, ...]],
    choices: ArrheniusChoices | str | os.PathLike[str] | None = None,
    *,
    boundaries: Mapping[str, tuple[str, str]] | None = None,
) -> ArrheniusApp:
    """Open the app that fits Arrhenius laws.

    Parameters
    ----------
    series : xarray.Dataset or mapping of str to (temperature, value[, std])
        Temperatures in K or with unit; a Dataset holds ``name`` and ``name_std`` along
        ``temperature``. A value that is a DataArray brings its unit.
    choices : ArrheniusChoices, str or os.PathLike, optional
        What to start from, or its file: read if it exists, and written after every change that a
        person makes (never on opening). Without a file nothing is saved.
    boundaries : mapping of str to (str, str), optional
        Names of l P = (1/D_eff − 1/D_bulk)⁻¹, and the series of D_eff and D_bulk each is made of;
        their law is `lliso.fit_boundary_law`.

    Returns
    -------
    ArrheniusApp
        As the last line of a cell it shows itself. One that was open on the same file (or, without
        a file, on series of the same names) is closed.

    Raises
    ------
    ImportError
        If the parts for notebooks are not installed.
    PicksMismatch
        If the choices are about other series.
    ValueError
        If there is no series, or its numbers make no sense.
    """
    read = read_series(series, boundaries)
    session, widget = open_view(
        key_of(choices, f"arrhenius:{','.join(read)}"),
        lambda: ArrheniusSession(read, choices),
        _picture,
        headless="lliso.fit_arrhenius, lliso.fit_arrhenius_shared and lliso.haven_ratio",
    )
    return ArrheniusApp(session, widget)


def _picture(session: ArrheniusSession) -> Figure:
    from lliso.sessions.arrhenius.report import arrhenius_figure

    return arrhenius_figure(session.series, session.choices, session.laws, 7.0, 4.2)

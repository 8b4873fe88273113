"""The app that fits long-range profiles after exchange, storage and annealing."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lliso.apps.opening import App, key_of, open_view
from lliso.fit.profile_choices import MODELS, ProfileChoices, SampleProfiles
from lliso.sessions.profiles.session import ProfileSession

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

    Given = xr.Dataset | str | os.PathLike[str]


class ProfileApp(App[ProfileSession]):
    """Long-range profiles being fitted; shows itself at the end of a cell.

    Made by `explore_profiles`.
    """

    @property
    def choices(self) -> ProfileChoices:
        """What is chosen now."""
        return self.session.choices

    @property
    def table(self) -> xr.Dataset:
        """The result now, as of `lliso.fit_sample`."""
        return self.session.table

    def _words(self) -> str:
        return f"{MODELS[self.choices.model]} of {', '.join(self.session.sample.stages)}"


def explore_profiles(
    profiles: Given | Mapping[str, Given] | Sequence[Given],
    choices: ProfileChoices | str | os.PathLike[str] | None = None,
    *,
    exchange: float | str,
    storage: Sequence[float | str] = (),
    ends: tuple[float | str, float | str] | None = None,
    temperatures: Sequence[float | str] | None = None,
) -> ProfileApp:
    """Open the app that fits long-range profiles.

    Parameters
    ----------
    profiles : Dataset, path, or mapping or sequence of them
        After the exchange, and after each storage: ``counts(species, position)``, or files for
        `lliso.read_profile`. A mapping names the stages; else their attribute ``stage`` does.
    choices : ProfileChoices, str or os.PathLike, optional
        What to start from, or its file: read if it exists, and written after every change that a
        person makes (never on opening). Without a file nothing is saved.
    exchange : float or str
        Duration of the exchange, s or with unit.
    storage : sequence of float or str
        Duration of each storage after it.
    ends : pair, optional
        Ends of the bar, µm or with unit; needed after storage.
    temperatures : sequence, optional
        Of the storages, K or with unit: for one Arrhenius law.

    Returns
    -------
    ProfileApp
        As the last line of a cell it shows itself. One that was open on the same file (or, without
        a file, on the same profiles) is closed.

    Raises
    ------
    ImportError
        If the parts for notebooks are not installed.
    PicksMismatch
        If the choices were made on other profiles.
    ValueError
        If profiles, durations and ends do not go together.
    """
    sample = SampleProfiles(
        _by_stage(profiles),
        exchange,
        tuple(storage),
        ends,
        None if temperatures is None else tuple(temperatures),
    )
    ids = ",".join(str(ds.attrs.get("map_id", "")) for ds in sample.profiles.values())
    session, widget = open_view(
        key_of(choices, f"profiles:{ids}"),
        lambda: ProfileSession(sample, choices),
        _picture,
        headless="lliso.fit_exchange, lliso.fit_anneal and lliso.fit_sample",
    )
    return ProfileApp(session, widget)


def _by_stage(profiles: Any) -> dict[str, xr.Dataset]:
    """Return profiles by stage, read where they are files."""
    if isinstance(profiles, (str, os.PathLike)) or hasattr(profiles, "data_vars"):
        profiles = [profiles]
    if isinstance(profiles, Mapping):
        return {str(stage): _read(given) for stage, given in profiles.items()}
    found: dict[str, xr.Dataset] = {}
    for i, given in enumerate(profiles):
        ds = _read(given)
        name = str(ds.attrs.get("stage") or ("exchange" if i == 0 else f"storage {i}"))
        if name in found:
            raise ValueError(
                f"stages must have names of their own, got {name!r} twice; give a dict"
            )
        found[name] = ds
    return found


def _read(given: Given) -> xr.Dataset:
    if isinstance(given, (str, os.PathLike)):
        from lliso.io import read_profile

        return read_profile(given).assign_attrs(file=Path(given).as_posix())
    return given


def _picture(session: ProfileSession) -> Figure:
    from lliso.sessions.profiles.report import profile_figure

    return profile_figure(session.sample, session.choices, session.table, 7.0, 4.6)

"""The session behind the profile app: how long-range profiles are fitted, and what that gives.

No widget, no event loop: a test, or a script, that calls `gesture` walks the user's path.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lliso.fit.profile_choices import (
    ALL,
    EXCHANGE,
    HOLDABLE,
    MEASURED,
    ProfileChoices,
    SampleProfiles,
    fit_chosen,
)
from lliso.sessions.profiles.layout import profile_layout
from lliso.sessions.profiles.report import profile_code, profile_csv, profile_figure
from lliso.sessions.profiles.screen import names_of, point_name, profile_screen
from lliso.sessions.session import Screen, Session
from lliso.units import PERMEABILITY, parse_quantity

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

_KEPT = 40
#: what a person may set, and the kind of its value
_SETTINGS: dict[str, type] = {
    "model": str,
    "stage": str,
    "law": str,
    "barrier": bool,
    "spread": bool,
}


@dataclass(frozen=True)
class ProfileState:
    """What undo goes back to, and the selection, which it does not."""

    choices: ProfileChoices
    selected: str | None = None


class ProfileSession(Session[ProfileState]):
    """Fit the long-range profiles of a sample.

    Parameters
    ----------
    sample : SampleProfiles
        The profiles, and what was done to the sample.
    choices : ProfileChoices, str or os.PathLike, optional
        What to start from, or its file: read if it exists, and written after every change that a
        person makes (never on opening). Without a file nothing is saved.

    Raises
    ------
    PicksMismatch
        If the choices were made on other profiles.
    ValueError
        If a profile cannot be fitted.
    """

    _noun = "file of choices"

    def __init__(
        self,
        sample: SampleProfiles,
        choices: ProfileChoices | str | os.PathLike[str] | None = None,
    ) -> None:
        self.sample = sample
        self._tables: dict[ProfileChoices, xr.Dataset] = {}
        path = None
        if isinstance(choices, (str, os.PathLike)):
            path = Path(choices)
            choices = ProfileChoices.load(path) if path.exists() else None
        if choices is None:
            choices = ProfileChoices(model=ALL if sample.storage else EXCHANGE)
        super().__init__(ProfileState(sample.anchored(choices)), path)

    # what there is -----------------------------------------------------------------------------
    @property
    def choices(self) -> ProfileChoices:
        """What is chosen now."""
        return self._state.choices

    @property
    def table(self) -> xr.Dataset:
        """The result of what is chosen now."""
        return self._table(self._state.choices)

    def layout(self) -> dict[str, Any]:
        """Return panels, controls and keys of the app."""
        return profile_layout()

    def code(self) -> str:
        """Return the lines of lliso that give the result."""
        return profile_code(self.sample, self._state.choices)

    def close(self) -> None:
        """Let go of all results."""
        self._tables.clear()

    def _table(self, choices: ProfileChoices) -> xr.Dataset:
        if choices not in self._tables:
            while len(self._tables) >= _KEPT:
                self._tables.pop(next(iter(self._tables)))
            self._tables[choices] = fit_chosen(self.sample, choices)
        return self._tables[choices]

    # the base ----------------------------------------------------------------------------------
    def _compute(self, state: ProfileState) -> None:
        self._table(state.choices)

    def _settled(self, state: ProfileState) -> ProfileState:
        held = tuple((n, _rounded(n, v)) for n, v in state.choices.held)
        choices = replace(state.choices, held=held)
        return replace(state, choices=ProfileChoices.loads(choices.dumps()))

    def _text(self, state: ProfileState) -> str:
        return state.choices.dumps()

    def _read(self, path: Path) -> ProfileState:
        return ProfileState(self.sample.anchored(ProfileChoices.load(path)))

    def _stem(self) -> str:
        return "profiles" if self.path is None else self.path.stem

    def _figure(self, width: float, height: float) -> Figure:
        return profile_figure(self.sample, self._state.choices, self.table, width, height)

    def _csv(self) -> str:
        return profile_csv(self.table)

    def _shown(self, state: ProfileState) -> Screen:
        return profile_screen(self.sample, state.choices, self._table(state.choices))

    # what a person does ------------------------------------------------------------------------
    def _chosen(self, choices: ProfileChoices, **more: Any) -> ProfileState:
        return replace(self._state, choices=self.sample.anchored(choices), **more)

    def _do_set(self, _final: bool, key: str, value: Any) -> ProfileState:
        if key not in _SETTINGS:
            raise ValueError(f"a setting must be one of {', '.join(_SETTINGS)}, got {key!r}")
        if key == "stage" and value not in self.sample.stages[1:]:
            known = ", ".join(self.sample.stages[1:]) or "none"
            raise ValueError(f"the storage must be one of {known}, got {value!r}")
        changes: dict[str, Any] = {key: _SETTINGS[key](value)}
        return self._chosen(replace(self.choices, **changes))

    def _do_toggle_setting(self, final: bool, key: str) -> ProfileState:
        return self._do_set(final, key, not getattr(self.choices, key))

    def _do_next_model(self, final: bool) -> ProfileState:
        models = self.sample.models
        at = (models.index(self.choices.model) + 1) % len(models)
        return self._do_set(final, "model", models[at])

    def _do_hold(
        self,
        _final: bool,
        name: str,
        x: float | None = None,
        y: float | None = None,
        value: float | str | None = None,
    ) -> ProfileState:
        """Hold a parameter where its handle is, or at what is typed; nothing frees it."""
        self._holdable(name)
        given = next((v for v in (x, y, value) if v is not None and v != ""), None)
        if isinstance(given, str):
            given = parse_quantity(given, PERMEABILITY, name)
        return self._chosen(self.choices.holding(name, given), selected=name)

    def _do_keep(self, _final: bool, name: str, value: bool) -> ProfileState:
        """Hold a parameter where it is, or give it back to the fit."""
        self._holdable(name)
        return self._chosen(self.choices.holding(name, self._now(name) if value else None))

    def _do_hold_here(self, final: bool) -> ProfileState:
        return self._do_keep(final, str(self._state.selected), True)

    def _do_free(self, final: bool) -> ProfileState:
        return self._do_keep(final, str(self._state.selected), False)

    def _do_free_all(self, _final: bool) -> ProfileState:
        return self._chosen(replace(self.choices, held=()))

    def _do_toggle(self, _final: bool, name: str) -> ProfileState:
        return self._chosen(self.choices.toggled([self._point(name)]))

    def _do_toggle_selected(self, final: bool) -> ProfileState:
        return self._do_toggle(final, str(self._state.selected))

    def _do_range(
        self, _final: bool, x0: float, x1: float, y0: float, y1: float
    ) -> ProfileState | None:
        inside = []
        for stage in self.sample.used(self.choices):
            profile, coordinates = self.sample.points(stage)
            places = zip(profile.position, profile.fraction, coordinates, strict=True)
            inside += [(stage, c) for x, y, c in places if x0 <= x <= x1 and y0 <= y <= y1]
        if not inside:
            self._say("there is no point in that range")
            return None
        self._say(f"{len(inside)} point{'s' * (len(inside) > 1)}; Ctrl Z undoes it")
        return self._chosen(self.choices.toggled(inside))

    def _do_all_points(self, _final: bool) -> ProfileState:
        return self._chosen(replace(self.choices, excluded=()))

    def _do_step(self, _final: bool, by: int) -> ProfileState:
        """Select the next point, or the one before."""
        names = names_of(self.sample, self.sample.used(self.choices))
        selected = self._state.selected
        if selected in names:
            at = (names.index(selected) + by) % len(names)
        else:
            at = 0 if by > 0 else len(names) - 1
        return replace(self._state, selected=names[at])

    def _holdable(self, name: str) -> None:
        if name not in HOLDABLE:
            raise ValueError(
                f"select one of {', '.join(HOLDABLE)} to hold or free it, got {name!r}"
            )
        if self.choices.model == MEASURED:
            raise ValueError(
                f"{name} must be a parameter of the model, got a start that was measured"
            )
        if name == "k" and not self.choices.barrier:
            raise ValueError("k needs a barrier at the surface; switch it on first")

    def _now(self, name: str) -> float:
        table = self.table
        value = float(table["value"].sel(param=name))
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError(f"{name} must have a value to be held there, got {value:g}; type one")
        return value

    def _point(self, name: str) -> tuple[str, float]:
        for stage in self.sample.stages:
            for coordinate in self.sample.points(stage)[1]:
                if point_name(stage, coordinate) == name:
                    return stage, coordinate
        raise ValueError(f"select a point first: , and . go through them, got {name!r}")


def _rounded(name: str, value: float) -> float:
    """Round to what the file holds: 1 nm, 1e-6 of C, 6 digits of k."""
    if name == "k":
        return float(f"{value:.6g}")
    return round(value, 3 if name == "x0" else 6) + 0.0  # and no minus before 0

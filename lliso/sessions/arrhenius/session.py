"""The session behind the Arrhenius app: which points make which law.

No widget, no event loop: a test, or a script, that calls `gesture` walks the user's path.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.diffusion.transport import ZERO_CELSIUS
from lliso.fit.arrhenius_choices import ArrheniusChoices, Laws, checked_choices, fit_laws
from lliso.fit.arrhenius_series import Series
from lliso.sessions.arrhenius.layout import arrhenius_layout
from lliso.sessions.arrhenius.report import arrhenius_code, arrhenius_csv, arrhenius_figure
from lliso.sessions.arrhenius.screen import arrhenius_screen, point_name
from lliso.sessions.session import Screen, Session

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_KEPT = 40


@dataclass(frozen=True)
class ArrheniusState:
    """What undo goes back to, and the selection, which it does not."""

    choices: ArrheniusChoices
    selected: str | None = None


class ArrheniusSession(Session[ArrheniusState]):
    """Fit Arrhenius laws to series.

    Parameters
    ----------
    series : mapping of str to Series
        Of `lliso.fit.arrhenius_series.read_series`.
    choices : ArrheniusChoices, str or os.PathLike, optional
        What to start from, or its file: read if it exists, and written after every change that a
        person makes (never on opening). Without a file nothing is saved.

    Raises
    ------
    PicksMismatch
        If the choices are about other series.
    """

    _noun = "file of choices"

    def __init__(
        self,
        series: Mapping[str, Series],
        choices: ArrheniusChoices | str | os.PathLike[str] | None = None,
    ) -> None:
        self.series = dict(series)
        self._laws: dict[ArrheniusChoices, Laws] = {}
        path = None
        if isinstance(choices, (str, os.PathLike)):
            path = Path(choices)
            choices = ArrheniusChoices.load(path) if path.exists() else None
        start = checked_choices(self.series, choices or ArrheniusChoices())
        super().__init__(ArrheniusState(start), path)

    # what there is -----------------------------------------------------------------------------
    @property
    def choices(self) -> ArrheniusChoices:
        """What is chosen now."""
        return self._state.choices

    @property
    def laws(self) -> Laws:
        """The laws of what is chosen now."""
        return self._found(self._state.choices)

    def layout(self) -> dict[str, Any]:
        """Return panels, controls and keys of the app."""
        return arrhenius_layout(self.series)

    def code(self) -> str:
        """Return the lines of lliso that give the laws."""
        return arrhenius_code(self.series, self.choices, self.laws)

    def close(self) -> None:
        """Let go of all laws."""
        self._laws.clear()

    def _found(self, choices: ArrheniusChoices) -> Laws:
        if choices not in self._laws:
            while len(self._laws) >= _KEPT:
                self._laws.pop(next(iter(self._laws)))
            self._laws[choices] = fit_laws(self.series, choices)
        return self._laws[choices]

    # the base ----------------------------------------------------------------------------------
    def _compute(self, state: ArrheniusState) -> None:
        self._found(state.choices)

    def _settled(self, state: ArrheniusState) -> ArrheniusState:
        return replace(state, choices=ArrheniusChoices.loads(state.choices.dumps()))

    def _text(self, state: ArrheniusState) -> str:
        return state.choices.dumps()

    def _read(self, path: Path) -> ArrheniusState:
        return ArrheniusState(checked_choices(self.series, ArrheniusChoices.load(path)))

    def _stem(self) -> str:
        return "arrhenius" if self.path is None else self.path.stem

    def _figure(self, width: float, height: float) -> Figure:
        return arrhenius_figure(self.series, self.choices, self.laws, width, height)

    def _csv(self) -> str:
        return arrhenius_csv(self.series, self.choices, self.laws)

    def _shown(self, state: ArrheniusState) -> Screen:
        return arrhenius_screen(self.series, state.choices, self._found(state.choices))

    # what a person does ------------------------------------------------------------------------
    def _chosen(self, **changes: Any) -> ArrheniusState:
        return replace(self._state, choices=replace(self.choices, **changes))

    def _do_toggle(self, _final: bool, name: str) -> ArrheniusState:
        return replace(self._state, choices=self.choices.toggled([self._point(name)]))

    def _do_toggle_selected(self, final: bool) -> ArrheniusState:
        return self._do_toggle(final, str(self._state.selected))

    def _do_range(
        self, _final: bool, x0: float, x1: float, y0: float, y1: float
    ) -> ArrheniusState | None:
        inside = []
        for name, one in self.series.items():
            if name in self.choices.hidden:
                continue
            x = 1e3 / one.temperature
            here = (x0 <= x) & (x <= x1) & (y0 <= one.value) & (one.value <= y1)
            inside += [(name, float(t)) for t in one.temperature[here]]
        if not inside:
            self._say("there is no point in that range")
            return None
        self._say(f"{len(inside)} point{'s' * (len(inside) > 1)}; Ctrl Z undoes it")
        return replace(self._state, choices=self.choices.toggled(inside))

    def _do_all_points(self, _final: bool) -> ArrheniusState:
        return self._chosen(off=(), low=None, high=None)

    def _do_limit(
        self,
        _final: bool,
        name: str,
        x: float | None = None,
        celsius: float | None = None,
    ) -> ArrheniusState:
        """Move an end of the range, or the temperature of predictions; None gives an end back."""
        if name not in ("low", "high", "at"):
            raise ValueError(f"a limit must be low, high or at, got {name!r}")
        kelvin = None if celsius is None else celsius + ZERO_CELSIUS
        if x is not None:
            if not x > 0:
                raise ValueError(f"1000/T must be positive, got {x:g} 1/K")
            kelvin = round(1e3 / x - ZERO_CELSIUS) + ZERO_CELSIUS  # whole °C
        if name == "at" and kelvin is None:
            raise ValueError("the temperature of predictions must be a number, got none")
        changes: dict[str, Any] = {name: None if kelvin is None else round(kelvin, 6)}
        return replace(self._chosen(**changes), selected=name)

    def _do_shared(self, _final: bool, value: bool) -> ArrheniusState:
        return self._chosen(shared=bool(value))

    def _do_toggle_shared(self, final: bool) -> ArrheniusState:
        return self._do_shared(final, not self.choices.shared)

    def _do_show(self, _final: bool, name: str, value: bool) -> ArrheniusState:
        self._known(name)
        hidden = {n for n in self.choices.hidden if n != name} | (set() if value else {name})
        if len(hidden) == len(self.series):
            raise ValueError("at least one series must be shown, got none")
        return self._chosen(hidden=tuple(sorted(hidden)))

    def _do_toggle_shown(self, final: bool) -> ArrheniusState:
        name = self._series_of(self._state.selected)
        return self._do_show(final, str(name), name in self.choices.hidden)

    def _do_haven(self, _final: bool, name: str, value: str) -> ArrheniusState:
        if name not in ("tracer", "charge"):
            raise ValueError(f"the Haven ratio is of tracer and charge, got {name!r}")
        if value:
            self._known(value)
        return self._chosen(**{name: value})

    def _do_step(self, _final: bool, by: int) -> ArrheniusState:
        """Select the next point of the selected series, or of all."""
        selected = self._state.selected
        mine = self._series_of(selected)
        stays = selected in self.series
        names = [
            point_name(name, t)
            for name, one in self.series.items()
            if name not in self.choices.hidden and not (stays and name != mine)
            for t in one.temperature[np.isfinite(one.value)]
        ]
        if not names:
            raise ValueError("there is no point to select: the series is not shown")
        if selected in names:
            at = (names.index(selected) + by) % len(names)
        else:
            at = 0 if by > 0 else len(names) - 1
        return replace(self._state, selected=names[at])

    def _known(self, name: str) -> None:
        if name not in self.series:
            raise ValueError(f"the series must be one of {', '.join(self.series)}, got {name!r}")

    def _series_of(self, selected: str | None) -> str | None:
        if selected in self.series:
            return selected
        name = (selected or "").rpartition("|")[0]
        return name if name in self.series else selected

    def _point(self, name: str) -> tuple[str, float]:
        for series, one in self.series.items():
            for t in one.temperature:
                if point_name(series, t) == name:
                    return series, float(t)
        raise ValueError(f"select a point first: , and . go through them, got {name!r}")

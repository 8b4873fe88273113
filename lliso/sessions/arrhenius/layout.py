"""What never changes on the screen of the Arrhenius app."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lliso.fit.arrhenius_series import Series
from lliso.sessions.parts import Part, axis, button, control, curve_panel, key

HELP = (
    ("click a point", "leave it out of the fit, or take it in again"),
    ("drag over points", "leave them out, or take them in again"),
    ("drag lowest, highest", "the range of temperatures that is fitted, for all series"),
    ("drag the dotted line", "the temperature at which values are predicted"),
    (", and .", "previous, next point; X leaves it out or takes it in"),
    ("click a row", "select the series: , and . go through its points only"),
    ("S", "one activation energy for all series, or one each"),
    ("V", "show the selected series, or not"),
    ("A", "take in every point, of all temperatures"),
    ("Ctrl Z, Ctrl Y", "undo, redo"),
    ("Esc", "cancel a drag; deselect"),
    ("?", "show or hide this"),
)
_AXIS = "1000/T (1/K)"


def arrhenius_layout(series: Mapping[str, Series]) -> dict[str, Any]:
    """Return the layout of the Arrhenius app for these series."""
    units = dict.fromkeys(s.unit for s in series.values())
    label = "value, each in its unit" if len(units) > 1 else f"D ({unit_in_words(*units)})"
    large = {"x": axis(_AXIS), "tall": 330}
    return {
        "title": "Arrhenius laws",
        "aria": "Arrhenius plot with its laws; press ? for the keys",
        "hint": "Click points to leave them out; drag over several; drag the ends of the range.",
        "below": "temperatures",
        "panels": [
            curve_panel("plot", "Arrhenius plot", y=axis(label, log=True), brush="range", **large),
            curve_panel("residuals", "Residuals (σ)", under="plot", x=axis(_AXIS), tall=150, top=8),
            curve_panel("haven", "Haven ratio", y=axis("H_R"), hidden=True, **large),
        ],
        "controls": [*_above(series), *_below()],
        "buttons": [button("All points", "all_points", "A: of all temperatures", needs="points")],
        "keys": [
            key("s", "toggle_shared"),
            key("v", "toggle_shown", needs="selected"),
            key("a", "all_points"),
            key(",", "step", args={"by": -1}, repeat=True),
            key(".", "step", args={"by": 1}, repeat=True),
            key("x", "toggle_selected"),
        ],
        "help": [list(row) for row in HELP],
        "exports": ["svg", "pdf", "png", "csv"],
        "file": True,
        "code": True,
    }


def _above(series: Mapping[str, Series]) -> list[Part]:
    place: Any = {"where": "above"}
    made = []
    for name in series:
        more = {"args": {"name": name}, "aria": f"show {name}", **place}
        made.append(control(f"show:{name}", name, "check", "show", **more))
    made.append(control("shared", "one E_a", "check", "shared", title="S", **place))
    for name, words in (("tracer", "H_R of"), ("charge", "over")):
        more = {"args": {"name": name}, "title": "Haven ratio D*/D_σ of two series", **place}
        made.append(control(name, words, "select", "haven", joined=name == "charge", **more))
    return made


def _below() -> list[Part]:
    made = []
    for name, words, title in (
        ("low", "fit from", "lowest temperature fitted; empty: all"),
        ("high", "to", "highest temperature fitted; empty: all"),
        ("at", "predict at", "where values and the Haven ratio are read"),
    ):
        more: Part = {"arg": "celsius", "args": {"name": name}, "unit": "°C", "digits": 2}
        more |= {} if name == "at" else {"empty": True, "placeholder": "all"}
        made.append(
            control(name, words, "number", "limit", title=title, joined=name == "high", **more)
        )
    return made


def unit_in_words(unit: str) -> str:
    """Write a unit as a person reads it.

    Examples
    --------
    >>> unit_in_words("cm2/s")
    'cm²/s'
    """
    return {"cm2/s": "cm²/s", "cm^2/s": "cm²/s"}.get(unit, unit)

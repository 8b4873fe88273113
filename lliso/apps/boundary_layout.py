"""What never changes on the screen of the boundary app: panels, controls, buttons, keys, help."""

from __future__ import annotations

from typing import Any

from lliso.apps.cut_gestures import LONGEST_NAME
from lliso.apps.gestures import LONGEST_NAME as LONGEST
from lliso.apps.parts import axis, button, control, curve_panel, image_panel, key

HELP = (
    ("drag A or B", "move an end of the cut"),
    ("drag the line", "move the whole cut"),
    ("drag the square", "change the width of the cut"),
    ("click the map", "in the band: mark where the cut crosses the nearest edge"),
    ("click the profile", "mark a boundary there"),
    ("click a boundary", "select it"),
    ("Ctrl or Alt + click", "remove a boundary (as right click and the × do)"),
    ("drag a boundary", "move it"),
    ("drag a window edge", "choose what its fit may look at"),
    ("← →", "nudge the selected boundary (Shift: coarse)"),
    ("Alt + ← →", "move the near edge of its window (Shift: the far one)"),
    ("[ and ]", "select the previous or next boundary"),
    ("N", "new boundary in the middle of the cut"),
    ("arrows", "with nothing selected: move the cut (Shift: coarse)"),
    ("+ −", "wider or narrower cut (Shift: coarse)"),
    ("Delete, Backspace", "remove the selected boundary"),
    ("P", "propose boundaries on this cut: click a dashed line to accept, right-click to drop"),
    ("A", "accept all that is proposed"),
    ("C", "new cut beside the one shown"),
    ("E", "extend: the next leg of a path; click the joined profile to mark on any leg"),
    ("S", "square: turn the cut across the marked, proposed or nearest boundary"),
    ("F2", "name the cut"),
    ("click another cut", "on the map: show it"),
    ("wheel, Page ↑ ↓", "zoom the map (Ctrl + wheel without a click before); Home: all of it"),
    ("Ctrl Z, Ctrl Y", "undo, redo"),
    ("Esc", "cancel a drag; close a pop-up; deselect"),
    ("?", "show or hide this"),
)


def boundary_layout() -> dict[str, Any]:
    """Return the layout of the boundary app."""
    return {
        "title": "Map",
        "aria": "Map with a line cut and its profile; press ? for the keys",
        "hint": "Drag A, B, the line or the square. Click the profile or the band to mark a "
        "boundary; drag it or its window. Its ×, Ctrl+click or Delete removes it. C: new cut.",
        "empty": "No boundaries marked yet: click the profile or the map.",
        "below": "line cut in µm",
        "panels": [
            image_panel(
                "map",
                "Isotope fraction ⁶Li / (⁶Li + ⁷Li)",
                interactors=["cut"],
                y={"label": "y (µm), away from the source"},
                reads=[["fraction", "C ≈", 2]],
            ),
            curve_panel(
                "profile",
                "Profile along the cut",
                interactors=["boundaries"],
                x=axis("distance along the cut (µm)"),
                y=axis("isotope fraction C"),
                low=168,
            ),
            curve_panel("residuals", under="profile", tall=72, top=4),
            curve_panel(
                "path",
                "Path",
                under="profile",
                tall=116,
                top=12,
                click="add_on_path",
                y=axis("C"),
            ),
        ],
        "controls": _controls(),
        "buttons": [
            button("New cut", "new_cut", "C: one more cut, beside the one shown"),
            button("Extend", "extend_cut", "E: the next leg of a path, from B on", where="below"),
            button(
                "Square",
                "square_cut",
                "S: turn the cut until it crosses the boundary at a right angle",
                needs="fitted",
                where="below",
            ),
            button(
                "Remove cut",
                "remove_cut",
                "remove the cut shown, with its boundaries",
                needs="remove_cut",
            ),
            button(
                "Propose", "propose", "P: show where boundaries might be on this cut", where="below"
            ),
            button(
                "Accept all",
                "accept_all",
                "A: mark all that is proposed",
                needs="ghosts",
                where="below",
            ),
            button(
                "Remove boundary",
                "remove",
                "Delete: remove the selected boundary",
                needs="selected",
            ),
        ],
        "keys": [
            key("Delete", "remove", needs="selected"),
            key("Backspace", "remove", needs="selected"),
            key("c", "new_cut"),
            key("e", "extend_cut"),
            key("s", "square_cut"),
            key("p", "propose"),
            key("a", "accept_all"),
            {"key": "F2", "focus": "name"},
        ],
        "help": [list(row) for row in HELP],
        "exports": ["svg", "pdf", "png", "csv"],
        "code": True,
        "file": True,
    }


def _controls() -> list[dict[str, Any]]:
    made = [
        control("cuts", "", "select", "choose_cut", arg="name", where="bar", aria="line cut"),
        control(
            "name",
            "cut",
            "text",
            "rename_cut",
            arg="new",
            aria="name of the cut",
            title="F2: name the cut",
            most=LONGEST_NAME,
            wide=150,
        ),
    ]
    for name, label, words in (
        ("x0", "A: x", "x of A"),
        ("y0", "y", "y of A"),
        ("x1", "B: x", "x of B"),
        ("y1", "y", "y of B"),
        ("width", "width", "width of the cut"),
    ):
        unit = {"unit": "µm"} if name == "width" else {}
        made.append(
            control(
                name,
                label,
                "number",
                "cut_numbers",
                arg=name,
                aria=f"{words} in µm",
                digits=2,
                **unit,
            )
        )
    made.append(
        control(
            "boundary",
            "boundary",
            "text",
            "rename_boundary",
            arg="new",
            aria="name of the boundary",
            most=LONGEST,
            wide=70,
        )
    )
    for name, label, words in (
        ("position", "at", "position of the boundary"),
        ("low", "window", "start of its window"),
        ("high", "to", "end of its window"),
    ):
        unit = {"unit": "µm"} if name == "high" else {}
        made.append(
            control(
                name,
                label,
                "number",
                "boundary_numbers",
                arg=name,
                aria=f"{words} in µm",
                digits=2,
                **unit,
            )
        )
    made.append(control("note", "note", "text", "note", aria="note", wide=220))
    return made

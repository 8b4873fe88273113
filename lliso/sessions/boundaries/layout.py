"""What never changes on the screen of the boundary app: panels, controls, buttons, keys, help."""

from __future__ import annotations

from typing import Any

from lliso.sessions.boundaries.cut_gestures import LONGEST_NAME
from lliso.sessions.boundaries.gestures import LONGEST_NAME as LONGEST
from lliso.sessions.parts import AWAY, Part, axis, button, control, curve_panel, image_panel, key

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
    ("Enter, X", "accept, or drop, the proposal nearest to A"),
    ("A", "accept all that is proposed"),
    ("C", "new cut beside the one shown"),
    ("E", "extend: the next leg of a path; click the joined profile to mark on any leg"),
    ("S", "square: turn the cut across the marked, proposed or nearest boundary"),
    ("F2", "name the cut"),
    ("click another cut", "on the map: show it"),
    ("wheel, Page ↑ ↓", "zoom the map (Ctrl + wheel without a click before); Home: all of it"),
    ("Ctrl + arrows", "move the zoomed map (Shift: far)"),
    ("Ctrl Z, Ctrl Y", "undo, redo"),
    ("Esc", "cancel a drag; close a pop-up; deselect"),
    ("?", "show or hide this"),
)


def boundary_layout() -> dict[str, Any]:
    """Return the layout of the boundary app."""
    return {
        "title": "Boundaries",
        "aria": "Map with a line cut and its profile; press ? for the keys",
        "hint": "Drag A, B, the line or the square. Click the profile or the band to mark a "
        "boundary (or Propose); drag it or its window. Its ×, Ctrl+click or Delete removes it.",
        "empty": "No boundaries marked yet: click the profile or the map, or Propose.",
        "below": "line cut in µm",
        "panels": _panels(),
        "controls": [*_of_the_cut(), *_of_the_boundary()],
        "buttons": _buttons(),
        "keys": [
            key("Delete", "remove", needs="selected"),
            key("Backspace", "remove", needs="selected"),
            key("c", "new_cut"),
            key("e", "extend_cut"),
            key("s", "square_cut"),
            key("p", "propose"),
            key("a", "accept_all"),
            key("Enter", "accept", args={"name": "ghost 0"}),
            key("x", "dismiss", args={"name": "ghost 0"}),
            {"key": "F2", "focus": "name"},
        ],
        "help": [list(row) for row in HELP],
        "exports": ["svg", "pdf", "png", "csv"],
        "code": True,
        "file": True,
    }


def _panels() -> list[Part]:
    title, reads = "Isotope fraction ⁶Li / (⁶Li + ⁷Li)", [["fraction", "C ≈", 2]]
    along, below = axis("distance along the cut (µm)"), {"under": "profile"}
    path = {"tall": 116, "top": 12, "click": "add_on_path", "y": axis("C")}
    return [
        image_panel("map", title, interactors=["cut"], y=AWAY, reads=reads),
        curve_panel(
            "profile",
            "Profile along the cut",
            interactors=["boundaries"],
            x=along,
            y=axis("isotope fraction C"),
            low=168,
        ),
        curve_panel("residuals", **below, tall=72, top=4),
        curve_panel("path", "Path", **below, **path),
    ]


def _buttons() -> list[Part]:
    """Return what makes something above the map, what changes the chosen one below it."""
    square = "S: turn the cut until it crosses the boundary at a right angle"
    take, drop = "remove the cut shown, with its boundaries", "Delete: remove the selected boundary"
    return [
        button("New cut", "new_cut", "C: one more cut, beside the one shown"),
        button("Propose", "propose", "P: show where boundaries might be on this cut"),
        button("Accept all", "accept_all", "A: mark all that is proposed", needs="ghosts"),
        button("Extend", "extend_cut", "E: the next leg of a path, from B on", where="below"),
        button("Square", "square_cut", square, needs="fitted", where="below"),
        button("Remove cut", "remove_cut", take, needs="remove_cut", where="below"),
        button("Remove boundary", "remove", drop, needs="selected", where="below"),
    ]


def _of_the_cut() -> list[Part]:
    naming = {"arg": "new", "aria": "name of the cut", "title": "F2: name the cut"}
    made = [
        control("cuts", "", "select", "choose_cut", arg="name", where="bar", aria="line cut"),
        control("name", "cut", "text", "rename_cut", most=LONGEST_NAME, wide=150, **naming),
    ]
    for name, label, words in (
        ("x0", "A: x", "x of A"),
        ("y0", "y", "y of A"),
        ("x1", "B: x", "x of B"),
        ("y1", "y", "y of B"),
        ("width", "width", "width of the cut"),
    ):
        made.append(_number(name, label, words, "cut_numbers", joined=label == "y"))
    return made


def _of_the_boundary() -> list[Part]:
    naming = {"arg": "new", "aria": "name of the boundary", "most": LONGEST, "wide": 70}
    made = [control("boundary", "boundary", "text", "rename_boundary", **naming)]
    for name, label, words in (
        ("position", "at", "position of the boundary"),
        ("low", "window", "start of its window"),
        ("high", "to", "end of its window"),
    ):
        made.append(_number(name, label, words, "boundary_numbers", joined=label == "to"))
    made.append(control("note", "note", "text", "note", aria="note", wide=220))
    return made


def _number(name: str, label: str, words: str, gesture: str, joined: bool) -> Part:
    unit = {"unit": "µm"} if name in ("width", "high") else {}
    more: Part = {"arg": name, "aria": f"{words} in µm", "digits": 2, "joined": joined, **unit}
    return control(name, label, "number", gesture, **more)

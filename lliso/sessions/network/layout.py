"""What never changes on the screen of the view of a grain network."""

from __future__ import annotations

from typing import Any

from lliso.sessions.parts import AWAY, Part, axis, button, control, curve_panel, image_panel, key

HELP = (
    ("click a boundary", "select it: its row, its bar in the histogram"),
    ("click a bar", "highlight its boundaries on the map (, and . go from bar to bar)"),
    ("right click a boundary, Delete, Backspace", "it is none: merge the grains on its two sides"),
    ("M, then click two grains", "merge them (they must touch)"),
    ("S, then click twice", "split the grain between the clicks along the line through them"),
    ("V", "clicks select again"),
    ("[ and ]", "previous or next boundary of the table"),
    ("wheel, Page ↑ ↓", "zoom the map (Ctrl + wheel without a click before); Home: all of it"),
    ("Ctrl + arrows", "move the zoomed map (Shift: far)"),
    ("Ctrl Z, Ctrl Y", "undo, redo a merge or a split"),
    ("Esc", "forget the first click; deselect"),
    ("?", "show or hide this"),
)
#: what boundaries are coloured by -> words, and the label of the axis
COLOURS = {
    "permeability": ("D_gb/δ", "D_gb/δ (cm/s)"),
    "significance": ("significance of the step", "|ΔC| over its error"),
    "probability": ("probability", "probability of a boundary"),
}
#: what a click on the map does
MODES = {"look": "selects", "merge": "merges two grains (M)", "split": "splits a grain (S)"}


def network_layout() -> dict[str, Any]:
    """Return the layout of the view of a grain network."""
    return {
        "title": "Grain network",
        "aria": "Map with its grain boundaries and their histogram; press ? for the keys",
        "hint": "Click a boundary or a bar. M: merge two grains, S: split one; "
        "Delete: the selected boundary is none.",
        "empty": "No boundary is this probable.",
        "below": "split a grain along a line",
        "panels": [
            image_panel("map", "Map", y=AWAY),
            curve_panel("histogram", "Boundaries", y=axis("boundaries")),
        ],
        "controls": _controls(),
        "buttons": [
            button(
                "Merge its grains",
                "remove",
                "Delete: the selected boundary is none",
                needs="remove",
                where="below",
            ),
        ],
        "keys": [
            key("Delete", "remove", needs="selected"),
            key("Backspace", "remove", needs="selected"),
            key("m", "mode", args={"value": "merge"}),
            key("s", "mode", args={"value": "split"}),
            key("v", "mode", args={"value": "look"}),
            key("[", "step", args={"by": -1}, repeat=True),
            key("]", "step", args={"by": 1}, repeat=True),
            key(",", "step_bin", args={"by": -1}, repeat=True),
            key(".", "step_bin", args={"by": 1}, repeat=True),
        ],
        "help": [list(row) for row in HELP],
        "exports": ["svg", "pdf", "png", "csv"],
        "code": True,
        "file": True,
    }


def _controls() -> list[Part]:
    place: Any = {"where": "above"}
    least = {"min": 0, "max": 1, "step": 0.05, "digits": 2, "wide": 64, **place}
    least["title"] = "boundaries less probable are not shown"
    along = {"wide": 200, "unit": "µm", "placeholder": "x, y; x, y"}
    along |= {"aria": "split along x, y; x, y in µm", "title": "corners of the line, two or more"}
    return [
        control("colour", "colour by", "select", "colour", **place),
        control("least", "probability ≥", "number", "least", **least),
        control("mode", "a click", "select", "mode", title="V, M, S", **place),
        control("outlines", "outlines of grains", "check", "outlines", **place),
        control("line", "split along", "text", "split_line", **along),
    ]


def what_to_click(mode: str, second: bool) -> str:
    """Return what a person has to do next."""
    if mode == "merge":
        return f"Merge: click the {'first' if not second else 'second'} grain (V: done)."
    if mode == "split":
        if not second:
            return "Split: click one end of the boundary that is missing (V: done)."
        return "Split: click its other end."
    return ""

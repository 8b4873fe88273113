"""What never changes on the screen of the registration app."""

from __future__ import annotations

from typing import Any

from lliso.sessions.parts import AWAY, Part, button, control, image_panel, key

HELP = (
    ("click the map, then the image", "set a landmark: the same point in both, in either order"),
    ("hollow ring", "where the landmarks so far put the other point: look there, click the point"),
    ("drag a landmark", "move it; the overlay follows"),
    ("click a landmark, or its row", "select it, in both"),
    ("arrows", "nudge the selected landmark (Shift: coarse)"),
    ("I", "change between its point on the map and its point in the image"),
    ("N", "new landmark in the middle of the map, to be moved"),
    ("right click, Ctrl or Alt + click, Delete, Backspace", "remove a landmark"),
    ("O", "show or hide the image over the map"),
    ("drag the line over the map", "swipe: the image lies to the left of it only"),
    ("R", "refine on the edges in C"),
    ("wheel, Page ↑ ↓", "zoom (Ctrl + wheel without a click before); Home: all of it"),
    ("Ctrl + arrows", "move the zoomed map (Shift: far)"),
    ("Ctrl Z, Ctrl Y", "undo, redo"),
    ("Esc", "forget a point whose partner is missing; deselect"),
    ("?", "show or hide this"),
)
#: colours of the map: what is shown of it
SHOWN = ("fraction", "total")


def registration_layout() -> dict[str, Any]:
    """Return the layout of the registration app."""
    clicks = {side: {"click": "place", "args": {"side": side}} for side in ("map", "image")}
    axes = {"x": {"label": "u (µm)"}, "y": {"label": "v (µm)"}}
    refine = "R: move the image until its lines lie on the edges in C"
    return {
        "title": "Registration",
        "aria": "Map and microscope image with landmarks; press ? for the keys",
        "hint": "Click a point of the map, then the same point in the image. "
        "Drag landmarks; right click removes one.",
        "empty": "No landmarks yet: click a point of the map, then the same one in the image.",
        "below": "selected landmark in µm",
        "panels": [
            image_panel("map", "Map", y=AWAY, **clicks["map"]),
            image_panel("image", "Image", bar=False, **axes, **clicks["image"]),
        ],
        "controls": [*_above(), *_below()],
        "buttons": [
            button("Refine on edges", "refine", refine, needs="refine"),
            button("Remove landmark", "remove", "Delete", needs="remove", where="below"),
        ],
        "keys": [
            key("Delete", "remove", needs="selected"),
            key("Backspace", "remove", needs="selected"),
            key("i", "other_side", needs="selected"),
            key("n", "new"),
            key("o", "overlay"),
            key("r", "refine"),
        ],
        "help": [list(row) for row in HELP],
        "exports": ["svg", "pdf", "png", "csv"],
        "code": True,
        "file": True,
    }


def _above() -> list[dict[str, Any]]:
    place: Any = {"where": "above"}
    return [
        control("quantity", "show", "select", "show", **place),
        control("kind", "transform", "select", "kind", **place),
        control("lines", "boundaries in the image", "select", "lines", **place),
        control("overlay", "overlay", "check", "overlay", title="O", **place),
        control(
            "opacity", "opacity", "range", "opacity", min=0, max=1, step=0.05, wide=100, **place
        ),
        control(
            "swipe",
            "swipe",
            "range",
            "swipe",
            arg="x",
            min=0,
            max=1,
            step=0.005,
            wide=100,
            aria="swipe: how far right the image reaches, as a share of the map",
            args={"share": True},
            **place,
        ),
    ]


def _below() -> list[dict[str, Any]]:
    made = [control("name", "landmark", "text", "rename", arg="new", aria="name", most=24, wide=80)]
    for name, label, words in (
        ("x", "map x", "x on the map"),
        ("y", "y", "y on the map"),
        ("u", "image u", "u in the image"),
        ("v", "v", "v in the image"),
    ):
        more: Part = {"unit": "µm"} if name == "v" else {}
        more |= {"arg": name, "digits": 2, "aria": f"{words} in µm", "joined": name in ("y", "v")}
        made.append(control(name, label, "number", "numbers", **more))
    return made

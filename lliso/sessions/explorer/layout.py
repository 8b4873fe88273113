"""What never changes on the screen of the map explorer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lliso.sessions.parts import AWAY, Part, button, control, curve_panel, image_panel, key

#: perceptually even, told apart by colour-blind readers; the last is for signed quantities
CMAPS = ("viridis", "cividis", "inferno", "gray", "RdBu_r")

HELP = (
    ("point at a map", "read x, y, C ± σ and counts, the same place on the maps beside"),
    ("wheel, Page ↑ ↓", "zoom (Ctrl + wheel without a click before); Home: all of it"),
    ("arrows", "read the maps without a mouse (Shift: ten pixels on)"),
    ("drag a zoomed map", "move it, and those beside (Ctrl + arrows; Shift: far)"),
    ("drag low or high", "in the histogram: the ends of the colours"),
    ("P", "ends of the colours by percentiles again"),
    ("S", "symmetric about the median, or not"),
    ("L", "logarithmic colours, or not"),
    ("D", "change between the last and the first stage, or not"),
    ("[ and ]", "finer or coarser binning, for the eye only"),
    ("Ctrl Z, Ctrl Y", "undo, redo"),
    ("Esc", "cancel a drag; close a pop-up"),
    ("?", "show or hide this"),
)


def explorer_layout(stages: Sequence[str], overlay: bool) -> dict[str, Any]:
    """Return the layout of the explorer for these stages."""
    panels = [image_panel(f"map:{stage}", stage, link="xy", y=AWAY) for stage in stages]
    panels.append(image_panel("change", "Change", link="xy", hidden=True, y=AWAY))
    panels.append(curve_panel("contrast", "Colours: drag low and high", tall=150, top=8))
    return {
        "title": "Maps",
        "aria": "Maps side by side; press ? for the keys",
        "hint": "Point at a map to read it; the wheel zooms after a click. Binning and "
        "smoothing are for the eye only.",
        "panels": panels,
        "controls": _controls(changes=len(stages) > 1, overlay=overlay),
        "buttons": [button("Percentiles", "percentiles", "P: ends of the colours by percentiles")],
        "keys": [
            key("p", "percentiles"),
            key("s", "toggle", args={"key": "symmetric"}),
            key("l", "toggle", args={"key": "log"}),
            key("[", "bin", args={"by": -1}),
            key("]", "bin", args={"by": 1}),
            key("d", "toggle", args={"key": "difference"}),
        ],
        "help": [list(row) for row in HELP],
        "exports": ["svg", "pdf", "png"],
        "code": True,
        "zoom": "zoom",
        "cursor": True,
    }


def _controls(*, changes: bool, overlay: bool) -> list[Part]:
    """Return the controls; change and overlay need two stages and an image beside."""
    controls = [
        _setting("quantity", "show", "select"),
        _setting("species", "of", "select"),
        _setting("cmap", "colours", "select"),
        _setting("low_percent", "percentiles", "number", digits=2, min=0, max=100, wide=64),
        _setting(
            "high_percent", "to", "number", digits=2, min=0, max=100, wide=64, unit="%", joined=True
        ),
        _limit("low", "limits"),
        _limit("high", "to"),
        _setting("symmetric", "symmetric", "check"),
        _setting("log", "log", "check"),
        _setting("binned", "bin", "number", digits=0, min=1, step=1, wide=54),
        _setting("smooth", "smooth σ", "number", digits=2, min=0, wide=62, unit="µm"),
    ]
    if changes:
        controls.append(_setting("difference", "change of C", "check"))
    if overlay:
        controls.append(
            _setting("opacity", "overlay", "range", min=0, max=1, step=0.05, aria="opacity of it")
        )
    return controls


def _limit(name: str, label: str) -> Part:
    return control(
        name,
        label,
        "number",
        "limit",
        arg="x",
        args={"name": name},
        where="above",
        empty=True,
        digits=6,
        title="empty: by the percentile",
        joined=name == "high",
        aria=f"{name} end of the colours",
    )


def _setting(name: str, label: str, kind: Any, **more: Any) -> Part:
    return control(name, label, kind, "set", args={"key": name}, where="above", **more)

"""What never changes on the screen of the profile app."""

from __future__ import annotations

from typing import Any

from lliso.sessions.parts import button, control, curve_panel, key

#: handles: their name, how the number beside them is called, unit, digits
HANDLES = (
    ("x0", "x₀", "µm", 1),
    ("c0", "C₀", "", 4),
    ("c1", "C₁", "", 4),
)

HELP = (
    ("drag x₀, C₀ or C₁", "hold it there: the fit follows"),
    ("click it, or its row", "select it; ← → ↑ ↓ nudge it (Shift: coarse)"),
    ("F, or free", "give the selected one back to the fit; H holds it where it is"),
    ("click a point", "leave it out of the fit, or take it in again"),
    ("drag over points", "leave them out, or take them in again"),
    (", and .", "previous, next point; X leaves it out or takes it in"),
    ("M", "next model"),
    ("B", "a barrier k at the surface, or none"),
    ("click a row", "select that parameter, and its handle"),
    ("Ctrl Z, Ctrl Y", "undo, redo"),
    ("Esc", "cancel a drag; deselect"),
    ("?", "show or hide this"),
)


def profile_layout() -> dict[str, Any]:
    """Return the layout of the profile app."""
    controls = [
        _setting("model", "model", "select", title="M: next"),
        _setting("stage", "of", "select"),
        _setting("law", "with", "select"),
        _setting("barrier", "barrier k", "check", title="B: exchange coefficient of the surface"),
        _setting(
            "spread", "spread between places", "check", title="beyond counting, as grains make it"
        ),
    ]
    for name, label, unit, digits in HANDLES:
        controls += _holding(name, label, unit, digits)
    controls += _holding("k", "k", "cm/s", None)
    return {
        "title": "Long-range profiles",
        "aria": "Profiles with their fit; press ? for the keys",
        "hint": "Drag x₀, C₀ or C₁ to hold it; click points to leave them out.",
        "below": "held parameters",
        "panels": [
            curve_panel(
                "profile",
                "Profiles",
                brush="range",
                tall=290,
            ),
            curve_panel("residuals", "Residuals (σ)", under="profile", tall=150, top=8),
        ],
        "controls": controls,
        "buttons": [
            button("All points", "all_points", "take in every point", needs="points"),
            button("Free all", "free_all", "nothing is held", needs="held"),
        ],
        "keys": [
            key("m", "next_model"),
            key("b", "toggle_setting", args={"key": "barrier"}),
            key("f", "free"),
            key("h", "hold_here"),
            key(",", "step", args={"by": -1}, repeat=True),
            key(".", "step", args={"by": 1}, repeat=True),
            key("x", "toggle_selected"),
        ],
        "help": [list(row) for row in HELP],
        "exports": ["svg", "pdf", "png", "csv"],
        "file": True,
        "code": True,
    }


def _holding(name: str, label: str, unit: str, digits: int | None) -> list[dict[str, Any]]:
    more: dict[str, Any] = {} if digits is None else {"digits": digits}
    return [
        control(
            f"{name}_value",
            label,
            "number" if digits is not None else "text",
            "hold",
            arg="value",
            args={"name": name},
            unit=unit,
            aria=f"{name}: a number holds it",
            wide=92,
            empty=True,
            **more,
        ),
        control(
            f"{name}_held",
            f"hold {label}",
            "check",
            "keep",
            args={"name": name},
            aria=f"{name} is held",
        ),
    ]


def _setting(name: str, label: str, kind: Any, **more: Any) -> dict[str, Any]:
    return control(name, label, kind, "set", args={"key": name}, where="above", **more)

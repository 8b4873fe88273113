"""The pieces of a screen, made by functions so that a misspelt key is an error, not a blank.

A screen is plain data (see `lliso.sessions.session`). This module makes its pieces: pictures,
panels, controls, buttons and marks. Colours are names of the theme (``data``, ``fit``, ``muted``,
``ink``, ``bad``), of the series (``c0`` … ``c7``, Okabe and Ito's) or of CSS. Any array may hold
NaN for what is missing.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Part = dict[str, Any]
_version = itertools.count(1)
_PLAIN = frozenset({int, float, str, bool, type(None)})


@dataclass(frozen=True, eq=False)
class Picture:
    """An image in µm for a panel.

    Attributes
    ----------
    pixels : numpy.ndarray, shape (y, x)
        Row 0 at the smallest y. Any real type; floats may be NaN. ``uint8`` means 0 for nothing
        and 1 to 255 from `low` to `high`.
    extent : tuple of float
        Outer edges x0, x1, y0, y1 in µm.
    low, high : float
        What the ends of the colours mean unless a layer says otherwise.
    """

    pixels: np.ndarray[Any, Any]
    extent: tuple[float, float, float, float]
    low: float = 0.0
    high: float = 1.0
    version: int = field(default_factory=lambda: next(_version))

    def __post_init__(self) -> None:
        if self.pixels.ndim != 2 or self.pixels.dtype.kind not in "uif":
            raise ValueError(
                "the pixels of an image must be numbers of shape (y, x), got "
                f"{self.pixels.dtype} of shape {self.pixels.shape}"
            )

    def packed(self) -> Part:
        """Return what the browser gets: bytes, sent as they are."""
        kept = {"u1": np.uint8, "u2": np.uint16}.get(self.pixels.dtype.str[1:], np.float32)
        ny, nx = self.pixels.shape
        x0, x1, y0, y1 = (float(v) for v in self.extent)
        edges = {"x0": x0, "x1": x1, "y0": y0, "y1": y1, "nx": nx, "ny": ny}
        ends = {"low": float(self.low), "high": float(self.high), "version": self.version}
        return {**edges, **ends, "pixels": array_part(self.pixels.astype(kept, copy=False))}


def array_part(values: np.ndarray[Any, Any]) -> Part:
    """Return an array as bytes with their type; 64-bit numbers become 32-bit floats."""
    kind = values.dtype.str[1:]
    if kind not in ("u1", "u2", "u4", "i4", "f4"):
        values, kind = values.astype(np.float32), "f4"
    return {"array": np.ascontiguousarray(values).reshape(-1).view(np.uint8).data, "type": kind}


def packed(value: Any, buffers: list[memoryview] | None = None) -> Any:
    """Return a screen as a message holds it: arrays of numpy as bytes.

    Parameters
    ----------
    value : any
        Plain data with arrays in it.
    buffers : list, optional
        Takes the bytes, and the message their number in it; else the bytes stay in place, as the
        state of a widget wants it.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, np.ndarray):
        part = array_part(value)
        if buffers is not None:
            buffers.append(part["array"])
            part["array"] = len(buffers) - 1
        return part
    if isinstance(value, dict):
        return {k: packed(v, buffers) for k, v in value.items()}
    if isinstance(value, list | tuple):
        if all(type(v) in _PLAIN for v in value):  # most lists, at no cost
            return value
        return [packed(v, buffers) for v in value]
    return value


def image_panel(name: str, title: str = "", **more: Any) -> Part:
    """Return a panel that shows images.

    Parameters
    ----------
    name : str
        Unique; what the screen says of it goes under ``panels[name]``.
    title : str
        Its heading.
    **more
        Of the layout: ``link`` (panels of one link share zoom and cursor), ``grow``,
        ``interactors`` (``["cut"]``). Of layout or screen: ``layers`` (see `layer`), ``marks``,
        ``extent``, ``x`` and ``y`` (``{"label": ...}``), ``bar`` (False: no colour bar), ``mark``
        (words in the corner), ``reads`` (rows ``[image, label, digits, unit]`` of the read-out),
        ``result`` (words in the heading), ``hidden``, ``click`` and ``brush`` (gestures of a click
        or a drag on empty ground: ``x, y`` or ``x0, x1, y0, y1``), ``args`` (added to those).
    """
    return {"name": name, "kind": "image", "title": title, **_only(more, _PANEL | _IMAGE)}


def curve_panel(name: str, title: str = "", **more: Any) -> Part:
    """Return a panel that shows curves.

    Parameters
    ----------
    name, title
        As of `image_panel`.
    **more
        Of the layout: ``under`` (name of the panel below which it stands), ``tall``, ``low``
        (where it does not stand beside an image) and ``top`` (px), ``interactors``
        (``["boundaries"]``). Of layout or screen: ``x`` and ``y`` (see `axis`), ``marks``,
        ``result``, ``hidden``, ``click``, ``brush``, ``args``.
    """
    return {"name": name, "kind": "curve", "title": title, **_only(more, _PANEL | _CURVE)}


def axis(
    label: str,
    limits: Sequence[float] | None = None,
    *,
    log: bool = False,
    compact: bool = False,
    bare: bool = False,
    above: Sequence[tuple[float, str]] | None = None,
) -> Part:
    """Return an axis of a curve panel.

    Parameters
    ----------
    label : str
        With the unit.
    limits : pair of float, optional
        Default: around what is shown.
    log, compact, bare : bool
        Logarithmic; numbers in the short form (for very small ones); without numbers.
    above : sequence of (float, str), optional
        Ticks of a second scale above the panel, at places of this one (°C over 1/T).
    """
    found: Part = {"label": label, "log": log, "compact": compact, "bare": bare}
    if limits is not None:
        found["range"] = [float(v) for v in limits]
    if above is not None:
        found["above"] = [[float(at), text] for at, text in above]
    return found


def layer(image: str, **more: Any) -> Part:
    """Return an image as a panel shows it.

    Parameters
    ----------
    image : str
        Name of the picture.
    **more
        ``low``, ``high``, ``cmap`` (viridis, cividis, inferno, gray, RdBu_r), ``log``, ``opacity``,
        ``smooth`` (bool: interpolated, for photographs), ``clear`` (bool: nothing where it is NaN),
        ``transform`` (a, b, c, d, e, f: x = a·column + c·row + e, y = b·column + d·row + f in µm),
        ``swipe`` (name of a `across` mark along x: shown to the left of it only).
    """
    return {"image": image, **_only(more, _LAYER)}


def control(
    key: str,
    label: str,
    kind: Literal["text", "number", "range", "select", "check"],
    gesture: str,
    **more: Any,
) -> Part:
    """Return a control; its value is ``controls[key]`` of the screen.

    Parameters
    ----------
    key : str
        Unique. The screen's value may be a dictionary: ``value``, ``options`` (texts, or pairs of
        value and text), ``disabled``, ``hidden``.
    label : str
        In front of it.
    kind : str
        A ``range`` (slider) sends while it is moved, with ``final=False``.
    gesture : str
        Sent with the value as argument `arg`.
    **more
        ``arg`` (default ``value``), ``args``, ``where`` (``bar``, ``above`` or ``below`` the
        panels), ``aria``, ``title``, ``unit``, ``digits``, ``min``, ``max``, ``step``, ``wide``
        (px), ``most`` (characters), ``empty`` (bool: may be left empty, sent as None), ``joined``
        (bool: belongs to the control before it), ``placeholder`` (what an empty box says).
    """
    return {"key": key, "label": label, "kind": kind, "gesture": gesture, **_only(more, _CONTROL)}


def button(label: str, gesture: str, title: str = "", **more: Any) -> Part:
    """Return a button.

    ``args`` of its gesture, ``needs`` (a key of the screen's ``can``), ``where`` (``bar``,
    ``above`` or ``below`` the panels).
    """
    return {
        "label": label,
        "gesture": gesture,
        "title": title,
        **_only(more, {"args", "needs", "where"}),
    }


def key(name: str, gesture: str, **more: Any) -> Part:
    """Return a shortcut: ``args``, ``needs`` (a key of the screen that is not None), ``repeat``."""
    return {"key": name, "gesture": gesture, **_only(more, {"args", "needs", "repeat"})}


def table(
    columns: Sequence[tuple[str, str, str]], rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the table of a screen.

    Parameters
    ----------
    columns : sequence of (key, label, unit)
        The first names the row, unless a row has ``name``.
    rows : sequence of mapping
        Texts by key; ``sort`` holds numbers by key to sort by.
    """
    heads = [{"key": k, "label": label, "unit": unit} for k, label, unit in columns]
    return {"columns": heads, "rows": [dict(row) for row in rows]}


# marks -------------------------------------------------------------------------------------------
def line(x: Any, y: Any, style: str = "fit", **more: Any) -> Part:
    """Return a curve or polyline; gaps where x or y is NaN. ``width``, ``dash``, ``cased``."""
    return _mark("line", {"x": _numbers(x), "y": _numbers(y), "style": style}, more, _LINE)


def band(x: Any, low: Any, high: Any, style: str = "data", **more: Any) -> Part:
    """Return the area between two curves."""
    data = {"x": _numbers(x), "low": _numbers(low), "high": _numbers(high), "style": style}
    return _mark("band", data, more, set())


def points(x: Any, y: Any, style: str = "data", **more: Any) -> Part:
    """Return points.

    Parameters
    ----------
    x, y : array_like
        Places.
    style : str
        Colour.
    **more
        ``error`` (or ``low`` and ``high``), ``names`` (what gestures are sent with; else the
        index), ``labels``, ``off`` (drawn hollow and pale), ``colours``, ``symbol`` (``circle``,
        ``square``, ``diamond``), ``size`` (px), ``ring`` (dark edge, for images), ``hollow``,
        ``axis`` (``x``, ``y``: moves along it only).
    """
    for name in ("error", "low", "high"):
        if name in more:
            more[name] = _numbers(more[name])
    return _mark("points", {"x": _numbers(x), "y": _numbers(y), "style": style}, more, _POINTS)


def bars(edges: Any, heights: Any, style: str = "data", **more: Any) -> Part:
    """Return a histogram: ``chosen`` (indices), ``colours``, ``names``."""
    data = {"edges": _numbers(edges), "heights": _numbers(heights), "style": style}
    return _mark("bars", data, more, {"chosen", "colours", "names"})


def across(axis: Literal["x", "y"], at: float, style: str = "ink", **more: Any) -> Part:
    """Return a straight line across the panel at a place of one axis.

    ``label``, ``row`` (line of the label), ``width``, ``dash``, ``cased``, ``inside`` (bool: the
    axis reaches to it), ``through`` (bool: it can be dragged, but a click on it is one on the
    panel).
    """
    kind = "vline" if axis == "x" else "hline"
    return _mark(kind, {"at": float(at), "style": style}, more, _ACROSS)


def span(low: float, high: float, style: str = "muted", **more: Any) -> Part:
    """Return a shaded range of the x axis."""
    return _mark("span", {"from": float(low), "to": float(high), "style": style}, more, set())


def lines(paths: Sequence[Any], style: str = "fit", **more: Any) -> Part:
    """Return many polylines of points (x, y): ``names``, ``colours``, ``widths``, ``width``."""
    data = {"lines": [np.asarray(p, float).tolist() for p in paths], "style": style}
    return _mark("lines", data, more, {"names", "colours", "widths", "width", "cased"})


def arrows(start: Any, end: Any, style: str = "fit", **more: Any) -> Part:
    """Return arrows from points (x, y) to points."""
    ends = {"from": np.asarray(start, float).tolist(), "to": np.asarray(end, float).tolist()}
    return _mark("arrows", {**ends, "style": style}, more, set())


def words(text: str, x: float = 0.0, y: float = 0.0, **more: Any) -> Part:
    """Return text at a place, or in the ``corner`` (bool) at ``row``; ``align``, ``bold``."""
    data = {"text": text, "x": float(x), "y": float(y)}
    return _mark("text", data, more, {"corner", "row", "align", "bold", "style"})


#: the y axis of a map (see DATA of the schema: y grows away from the source)
AWAY = {"label": "y (µm), away from the source"}
_PANEL = {"result", "hidden", "click", "brush", "args", "marks", "x", "y", "interactors"}
_IMAGE = {"link", "grow", "layers", "extent", "bar", "mark", "reads"}
_CURVE = {"under", "tall", "top", "low"}
_LAYER = {"low", "high", "cmap", "log", "opacity", "smooth", "clear", "transform", "swipe"}
_CONTROL = {"arg", "args", "where", "aria", "title", "unit", "digits", "min", "max", "step"}
_CONTROL |= {"wide", "most", "empty", "joined", "placeholder"}
#: what every mark may have: its name, how it is reached, how it is drawn
_MARK = {"name", "click", "move", "remove", "args", "alpha", "legend", "outside"}
_LINE = {"width", "dash", "cased"}
_POINTS = {"error", "low", "high", "names", "labels", "off", "colours", "symbol", "size", "ring"}
_POINTS |= {"hollow", "axis"}
_ACROSS = {"label", "row", "width", "dash", "cased", "inside", "through"}


def _mark(kind: str, data: Part, more: Part, allowed: set[str]) -> Part:
    return {"type": kind, **data, **_only(more, _MARK | allowed)}


def _only(given: Part, allowed: set[str]) -> Part:
    unknown = sorted(set(given) - allowed)
    if unknown:
        raise TypeError(
            f"a part of a screen takes {', '.join(sorted(allowed))}, got {', '.join(unknown)}"
        )
    return given


def _numbers(values: Any) -> np.ndarray[Any, Any]:
    return np.asarray(values, dtype=np.float32).reshape(-1)

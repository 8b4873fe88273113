"""The canvas view of an app: one anywidget, its JavaScript in the ``canvas*.js`` beside this.

The view knows nothing of lithium: it shows what a session says is on the screen and hands it what a
person did. A session is anything that follows `CanvasSession`.
"""

from __future__ import annotations

import base64
import logging
import weakref
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, Protocol

import anywidget
import numpy as np
import traitlets

from lliso.apps.dispatch import Dispatcher

log = logging.getLogger("lliso.apps")

LABELS = {
    "title": "Map",
    "image": "Isotope fraction ⁶Li / (⁶Li + ⁷Li)",
    "image_x": "x (µm)",
    "image_y": "y (µm), away from the source",
    "profile": "Profile along the cut",
    "profile_x": "distance along the cut (µm)",
    "profile_y": "isotope fraction C",
    "result": "D_gb/δ {} cm/s",
    "aria": "Map with a line cut and its profile; press ? for the keys",
    "hint": (
        "Drag A, B, the line or the square. Click the profile or the band to mark a boundary; "
        "drag it or its window. Its ×, Ctrl+click or Delete removes it. C: new cut."
    ),
    "empty": "No boundaries marked yet: click the profile or the map.",
}

#: the parts of the one module that the browser gets; each may use what the ones before it define
SCRIPTS = ("canvas_tools.js", "canvas_draw.js", "canvas_gestures.js", "canvas.js")

#: what a notebook without the widget's part in the browser shows instead
CURE = (
    "If you read this instead of seeing a map: the view needs JupyterLab (start it with "
    "`lliso lab`) with anywidget installed beside it (`pip install anywidget`, then restart "
    "JupyterLab and reload the page)."
)

_open_views: weakref.WeakValueDictionary[str, CanvasView] = weakref.WeakValueDictionary()


class CanvasSession(Protocol):
    """What a view needs of a session."""

    def image(self) -> dict[str, Any]:
        """Return the map: ``pixels`` (uint8, row 0 at the smallest y), limits, edges, title."""

    def screen(self) -> dict[str, Any]:
        """Return what is on the screen, ready for JSON."""

    def gesture(self, kind: str, final: bool, **args: Any) -> dict[str, Any]:
        """Do what a person did (`final`), or say what it would give; return the screen."""

    def close(self) -> None:
        """Let go of everything."""


class CanvasView(anywidget.AnyWidget):
    """A map with a line cut, its profile and a table, in a notebook.

    Parameters
    ----------
    session : CanvasSession
        What is shown and changed.
    key : str, optional
        What this view is for (a picks file, a map). Opening a second view with the same key closes
        the first, so that running a cell again leaves one view.
    labels : mapping of str to str, optional
        Words on the screen that differ from `LABELS`.
    fallback_png : callable, optional
        Returns a PNG of the screen, stored beside the widget in the notebook so that a repository
        browser has something to show.

    Attributes
    ----------
    failures : list of str
        Errors that are lliso's own fault, newest last. A person's errors (a cut off the map) are
        only said in the status line.
    """

    _esm = "\n".join((files("lliso.apps") / name).read_text("utf-8") for name in SCRIPTS)
    _css = (files("lliso.apps") / "canvas.css").read_text(encoding="utf-8")
    _image = traitlets.Bytes().tag(sync=True)
    _image_info = traitlets.Dict().tag(sync=True)
    _screen = traitlets.Dict().tag(sync=True)
    _labels = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        session: CanvasSession,
        *,
        key: str | None = None,
        labels: Mapping[str, str] | None = None,
        fallback_png: Callable[[], bytes] | None = None,
    ) -> None:
        if key is not None:
            close_view(key)
        self.session = session
        self.fallback_png = fallback_png
        self.failures: list[str] = []
        self._dispatch = Dispatcher()
        image, info = _packed(session.image())
        super().__init__(
            _image=image,
            _image_info=info,
            _screen=session.screen(),
            _labels={**LABELS, **dict(labels or {})},
        )
        self.on_msg(self._received)
        if key is not None:
            _open_views[key] = self

    @property
    def closed(self) -> bool:
        """Whether the view was closed."""
        return self.comm is None

    def refresh(self) -> None:
        """Show the session's state again, after it was changed from a cell."""
        self._screen = self.session.screen()

    def close(self) -> None:
        """Close the view, what belongs to it, and its session; a second time does nothing."""
        if self.comm is None:
            return
        self.on_msg(self._received, remove=True)
        layout = self.layout
        super().close()
        layout.close()
        self.session.close()

    # messages ----------------------------------------------------------------------------------
    def _received(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        """Take a message, on whatever thread the kernel handles it, to the home thread."""
        if content.get("type") == "gesture":
            self._dispatch(lambda: self._answer(content))

    def _answer(self, content: dict[str, Any]) -> None:
        """Do one gesture and acknowledge it, which releases the next one in the browser."""
        if self.closed:
            return
        final = bool(content["final"])
        screen = self._guarded(content["kind"], final, content.get("args") or {})
        answer = {"type": "answer", "view": content["view"], "n": content["n"]}
        if final:  # the state goes first, to every view of this widget, then its acknowledgement
            self._screen = screen
        else:
            answer["screen"] = screen
        self.send(answer)

    def _guarded(self, kind: str, final: bool, args: dict[str, Any]) -> dict[str, Any]:
        try:
            return self.session.gesture(kind, final, **args)
        except (ValueError, OSError) as err:  # what a person can do something about
            log.info("%s was refused: %s", kind, err)
            text = str(err)
        except Exception as err:  # everything else must reach the person too
            log.exception("the gesture %s failed", kind)
            text = f"{kind} failed, which should not happen: {type(err).__name__}: {err}"
            self.failures = [*self.failures[-19:], text]
        return {**self.session.screen(), "message": text, "level": "error"}

    # showing -----------------------------------------------------------------------------------
    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle
        data["text/plain"] = CURE
        png = self._png()
        if png is not None:
            data["image/png"] = base64.b64encode(png).decode("ascii")
        return data, metadata

    def _png(self) -> bytes | None:
        if self.fallback_png is None:
            return None
        try:
            return self.fallback_png()
        except Exception:  # the view itself must show, whatever is wrong with its picture
            log.exception("the picture beside the view could not be drawn")
            return None


def close_view(key: str) -> None:
    """Close the view that is open for `key`, if any."""
    view = _open_views.pop(key, None)
    if view is not None:
        view.close()


def _packed(image: Mapping[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """Split an image into its bytes, sent once and as they are, and what JSON can hold."""
    pixels = np.asarray(image["pixels"])
    if pixels.dtype != np.uint8 or pixels.ndim != 2:
        raise ValueError(
            "the pixels of an image must be uint8 of shape (y, x), got "
            f"{pixels.dtype} of shape {pixels.shape}"
        )
    info = {k: v if isinstance(v, str) else float(v) for k, v in image.items() if k != "pixels"}
    ny, nx = pixels.shape
    return np.ascontiguousarray(pixels).tobytes(), {**info, "nx": nx, "ny": ny}

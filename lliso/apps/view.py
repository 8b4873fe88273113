"""The canvas view of every app: one anywidget, its JavaScript in the ``canvas*.js`` beside this.

That is one module, which a page loads once however often a cell is run (``canvas_loader.js``).

The view knows nothing of lithium: it shows what a session says is on the screen and hands it what a
person did. A session is anything that follows `CanvasSession`; `lliso.sessions.session.Session`
says how to write one.

Messages. The browser sends ``gesture`` (kind, final, args) and ``ask`` (``code`` or ``export``,
which change nothing), one at a time; each is acknowledged by an ``answer`` with its number. Motion
is answered with its own screen and the ms ``spent`` on it; what a person decided changes the shared
state ``_screen`` first. ``progress`` may come at any time. Arrays travel as bytes.
"""

from __future__ import annotations

import base64
import logging
import time
import weakref
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, Protocol

import anywidget
import traitlets

from lliso.apps.dispatch import Dispatcher
from lliso.sessions.files import Download
from lliso.sessions.parts import Picture, packed

log = logging.getLogger("lliso.apps")

#: the parts of the one module that draws; each may use what the ones before it define
SCRIPTS = (
    "canvas_tools.js",
    "canvas_panel.js",
    "canvas_image.js",
    "canvas_curve.js",
    "canvas_marks.js",
    "canvas_cut.js",
    "canvas_page.js",
    "canvas_gestures.js",
    "canvas.js",
)

#: the small module that every view brings to the page; it loads the other one once
LOADER = "canvas_loader.js"

#: what a notebook without the widget's part in the browser shows instead
CURE = (
    "If you read this instead of seeing a map: the view needs JupyterLab (start it with "
    "`lliso lab`) with anywidget installed beside it (`pip install anywidget`, then restart "
    "JupyterLab and reload the page)."
)

_open_views: weakref.WeakValueDictionary[str, CanvasView] = weakref.WeakValueDictionary()


class CanvasSession(Protocol):
    """What a view needs of a session."""

    progress: Callable[[float | None, str], None]

    def layout(self) -> dict[str, Any]:
        """Return what of the screen never changes."""

    def images(self) -> Mapping[str, Picture]:
        """Return the images of the panels by name."""

    def screen(self) -> dict[str, Any]:
        """Return what is on the screen: plain data and arrays."""

    def gesture(self, kind: str, final: bool, **args: Any) -> dict[str, Any]:
        """Do what a person did (`final`), or say what it would give; return the screen."""

    def code(self) -> str:
        """Return the lines of lliso that give what is on the screen."""

    def export(self, kind: str, width: float, height: float) -> Download:
        """Return the figure as shown, or the table, as a file."""

    def close(self) -> None:
        """Let go of everything that was computed."""

    def forget(self) -> None:
        """Let go of all but the state: another app took the place of this one."""


class CanvasView(anywidget.AnyWidget):
    """An app in a notebook: panels, controls and a table.

    Parameters
    ----------
    session : CanvasSession
        What is shown and changed.
    key : str, optional
        What this view is for (a picks file, a map). Opening a second view with the same key closes
        the first, so that running a cell again leaves one view.
    fallback_png : callable, optional
        Returns a PNG of the screen, stored beside the widget in the notebook so that a repository
        browser has something to show.

    Attributes
    ----------
    failures : list of str
        Errors that are lliso's own fault, newest last. A person's errors (a cut off the map) are
        only said in the status line.
    """

    _esm = (files("lliso.apps") / LOADER).read_text(encoding="utf-8")
    _css = (files("lliso.apps") / "canvas.css").read_text(encoding="utf-8")
    _source = traitlets.Unicode(
        "\n".join((files("lliso.apps") / name).read_text("utf-8") for name in SCRIPTS)
    ).tag(sync=True)
    _layout = traitlets.Dict().tag(sync=True)
    _images = traitlets.Dict().tag(sync=True)
    _screen = traitlets.Dict().tag(sync=True)

    def __init__(
        self,
        session: CanvasSession,
        *,
        key: str | None = None,
        fallback_png: Callable[[], bytes] | None = None,
    ) -> None:
        if key is not None:
            close_view(key)
        self.session = session
        self.fallback_png = fallback_png
        self.failures: list[str] = []
        self._dispatch = Dispatcher()
        self._versions: dict[str, int] = {}
        self._committed = session.screen()
        super().__init__(
            _layout=session.layout(),
            _images=self._new_images() or {},
            _screen=packed(self._committed),
        )
        session.progress = self._progress
        self.on_msg(self._received)
        if key is not None:
            _open_views[key] = self

    @property
    def closed(self) -> bool:
        """Whether the view was closed."""
        return self.comm is None

    def refresh(self) -> None:
        """Show the session's state again, after it was changed from a cell."""
        self._show(self.session.screen())

    def close(self) -> None:
        """Close the view, what belongs to it, and its session; a second time does nothing."""
        if self.comm is None:
            return
        self.on_msg(self._received, remove=True)
        self.session.progress = lambda _share, _text: None
        layout = self.layout
        super().close()
        layout.close()
        self.session.close()
        # IPython keeps what a cell showed: what is left of a closed view must be little.
        self._images, self._screen, self._layout, self._committed = {}, {}, {}, {}

    # messages ----------------------------------------------------------------------------------
    def _received(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        """Take a message, on whatever thread the kernel handles it, to the home thread."""
        if content.get("type") == "gesture":
            self._dispatch(lambda: self._answer(content))
        elif content.get("type") == "ask":
            self._dispatch(lambda: self._reply(content))

    def _answer(self, content: dict[str, Any]) -> None:
        """Do one gesture and acknowledge it, which releases the next one in the browser."""
        if self.closed:
            return
        final = bool(content["final"])
        begun = time.perf_counter()
        screen = self._guarded(content["kind"], final, content.get("args") or {})
        answer = {"type": "answer", "view": content["view"], "n": content["n"]}
        if final:  # the state goes first, to every view of this widget, then its acknowledgement
            self._show(screen)
            self.send(answer)
        else:
            buffers: list[memoryview] = []
            # What is as in the committed screen stays there: the browser lays this one over it.
            changed = {k: v for k, v in screen.items() if not _same(v, self._committed.get(k))}
            answer["screen"] = packed(changed, buffers)
            answer["spent"] = 1000 * (time.perf_counter() - begun)  # the browser paces itself by it
            self.send(answer, buffers)

    def _reply(self, content: dict[str, Any]) -> None:
        """Answer a question that changes nothing: code to copy, a file to download."""
        if self.closed:
            return
        answer = {"type": "answer", "view": content["view"], "n": content["n"]}
        buffers: list[bytes] = []
        try:
            if content["what"] == "code":
                answer["reply"] = {"text": self.session.code()}
            else:
                file = self.session.export(**content.get("args") or {})
                answer["reply"] = {"name": file.name, "mime": file.mime}
                buffers.append(file.data)
        except (ValueError, OSError) as err:
            answer["error"] = str(err)
        except Exception as err:  # noqa: BLE001 - said and logged
            answer["error"] = self._failed(content["what"], err)
        self.send(answer, buffers)

    def _show(self, screen: dict[str, Any]) -> None:
        images = self._new_images()
        with self.hold_sync():
            if images is not None:
                self._images = images
            self._committed = screen
            self._screen = packed(screen)

    def _new_images(self) -> dict[str, Any] | None:
        """Return the session's images as the browser gets them, or None if they are as before."""
        images = self.session.images()
        versions = {name: image.version for name, image in images.items()}
        if versions == self._versions:
            return None
        self._versions = versions
        return {name: image.packed() for name, image in images.items()}

    def _progress(self, share: float | None, text: str) -> None:
        if not self.closed:
            self.send({"type": "progress", "share": share, "text": text})

    def _guarded(self, kind: str, final: bool, args: dict[str, Any]) -> dict[str, Any]:
        try:
            return self.session.gesture(kind, final, **args)
        except (ValueError, OSError) as err:  # what a person can do something about
            log.info("%s was refused: %s", kind, err)
            text = str(err)
        except Exception as err:  # noqa: BLE001 - everything else must reach the person too
            text = self._failed(kind, err)
        return {**self.session.screen(), "message": text, "level": "error"}

    def _failed(self, what: str, err: Exception) -> str:
        log.error("%s failed", what, exc_info=err)
        text = f"{what} failed, which should not happen: {type(err).__name__}: {err}"
        self.failures = [*self.failures[-19:], text]
        return text

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


def close_view(key: str) -> CanvasView | None:
    """Close the view that is open for `key`, if any, and return it."""
    view = _open_views.pop(key, None)
    if view is not None:
        view.close()
    return view


def _same(new: Any, old: Any) -> bool:
    try:
        return bool(new == old)
    except ValueError:  # arrays in it
        return False

"""Opening an app: its session and its view together, one of each for what it is about."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from lliso.sessions.session import Session

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lliso.apps.view import CanvasView

T = TypeVar("T", bound="Session[Any]")


class App(Generic[T]):
    """An app that is open; shows itself at the end of a notebook cell.

    Attributes
    ----------
    session : Session
        The state: every gesture of the view is a call of its methods.
    widget : CanvasView
        What is on the screen.
    """

    def __init__(self, session: T, widget: CanvasView) -> None:
        self.session = session
        self.widget = widget

    def close(self) -> None:
        """Close the view and its session; what was decided is saved already."""
        self.widget.close()

    def _words(self) -> str:
        """Return what the app holds, in a few words."""
        return ""

    def __repr__(self) -> str:
        state = "closed" if self.widget.closed else "shown in a notebook"
        return f"<{type(self).__name__}: {', '.join(filter(None, [self._words(), state]))}>"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        bundle = None if self.widget.closed else self.widget._repr_mimebundle_(**kwargs)
        if bundle is None:
            return {"text/plain": repr(self)}, {}
        data, metadata = bundle
        return {**data, "text/plain": f"{self!r}\n{data['text/plain']}"}, metadata


def key_of(path: object, otherwise: str) -> str:
    """Return what an app is about: its file, or else what is said."""
    if isinstance(path, str | os.PathLike):
        return f"picks:{Path(path).resolve()}"
    return otherwise


def open_view(
    key: str,
    session: Callable[[], T],
    picture: Callable[[T], Figure] | None,
    *,
    headless: str,
) -> tuple[T, CanvasView]:
    """Open a session and its view; an app that is open for the same key is closed before.

    Parameters
    ----------
    key : str
        What the app is about (see `key_of`).
    session : callable
        Makes the session, after the app before was closed: two apps must never own one file.
    picture : callable, optional
        Draws a figure of it, for readers of the notebook who have no kernel.
    headless : str
        What does the same without a view, for the message where widgets are not installed.

    Raises
    ------
    ImportError
        If the parts for notebooks are not installed.
    """
    try:
        from lliso.apps.view import CanvasView, close_view
    except ModuleNotFoundError as err:
        raise ImportError(
            f"the interactive view needs {err.name}; install it with: pip install 'lliso[lab]'. "
            f"Without it, {headless} do the same computation"
        ) from err
    before = close_view(key)
    if before is not None:
        before.session.forget()
    made = session()
    fallback = None if picture is None else lambda: _png(picture(made))
    return made, CanvasView(made, key=key, fallback_png=fallback)


def _png(figure: Figure) -> bytes:
    """Draw a figure in at most 256 colours: it is in every saved notebook, and IPython keeps it."""
    import io

    from matplotlib import pyplot as plt
    from PIL import Image

    drawn, stream = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=110)
    plt.close(figure)  # else a notebook shows it below the view
    with Image.open(drawn) as image:
        image.convert("RGB").quantize(256).save(stream, format="png", optimize=True)
    return stream.getvalue()

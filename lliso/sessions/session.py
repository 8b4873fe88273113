"""What the sessions of all apps share: state, gestures, undo, autosave, files to download.

A session is an app without a face: no widget, no event loop. A test, or a script, that calls
`Session.gesture` walks the user's path; `lliso.apps.view.CanvasView` shows any session.

**How to build an app.** Write a frozen dataclass for the state (with ``selected``), a subclass of
`Session`, and a function that opens both together (see `lliso.apps.opening.open_app`). The subclass
gives:

- ``layout()``: what never changes, a dictionary with ``title``, ``aria``, ``hint``, ``panels``,
  ``controls``, ``buttons``, ``keys``, ``help``, ``exports``, ``code``, ``file``
  (`lliso.sessions.parts` makes its pieces and says what each may hold);
- ``images()``: `lliso.sessions.parts.Picture` by name, sent to the browser once;
- ``_shown(state)``: what is on the screen: ``panels`` (by name: ``marks``, ``layers``, ranges,
  titles), ``controls`` (values by key), ``columns`` and ``rows`` of the table, ``can`` (which
  buttons do something). Arrays of numpy are welcome: they travel as bytes;
- one method ``_do_<kind>(final, **args)`` per gesture, which returns a new state (or None) or
  raises a ValueError in words. `_say` puts a message beside the new state.

And where it needs them:

- ``_kept(state)``: the part that undo and the file are about; default: all but ``selected``;
- ``_compute(state)``: what takes long, once per committed state; if it raises, nothing
  happened;
- ``_preview(state)``: the screen while something is dragged, without `_compute`;
- ``_settled(state)``: the state as its file would hold it, rounded;
- ``_text(state)`` and ``_read(path)``: what the file holds, and back;
- ``_figure(width, height)``, ``_csv()``, ``code()``: what can be downloaded and copied.

`progress(share, text)` may be called from anything that takes more than half a second.
"""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import ValidationError

from lliso.errors import LlisoWarning
from lliso.maps.decisions import content_of, free_name, write_decisions
from lliso.maps.picks import problems_in_words
from lliso.sessions.files import Download, rendered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    from lliso.sessions.parts import Picture

#: what is left of a session after `Session.forget`
_STAYS = {"path", "progress", "_state", "_past", "_future", "_sequence", "_message", "_level"}
_STAYS |= {"_saved", "_read_as"}

S = TypeVar("S")
Screen = dict[str, Any]


class Session(Generic[S]):
    """State of an app, changed by gestures only.

    Parameters
    ----------
    state : dataclass
        What it starts from: frozen, with a field ``selected``.
    path : pathlib.Path, optional
        The file that every change is written to; nothing is written on opening.

    Attributes
    ----------
    progress : callable
        ``progress(share, text)``: says how far something is, with a share from 0 to 1 or None.
        Does nothing until a view puts its own in place.
    """

    def __init__(self, state: S, path: Path | None = None) -> None:
        self.path = path
        self.progress: Callable[[float | None, str], None] = lambda _share, _text: None
        self._state = state
        self._past: list[S] = []
        self._future: list[S] = []
        self._sequence = 0
        self._message, self._level = "", "info"
        self._saved = "" if path is None else f"{self._noun}: {path.name}"
        self._read_as = content_of(path)
        self._compute(state)

    #: what the file is called on the screen
    _noun = "picks file"

    # what a subclass gives ---------------------------------------------------------------------
    def layout(self) -> dict[str, Any]:
        """Return what of the screen never changes."""
        raise NotImplementedError

    def images(self) -> Mapping[str, Picture]:
        """Return the images that the panels show, by name; asked again after every change."""
        return {}

    def code(self) -> str:
        """Return the lines of lliso that give what is on the screen."""
        return ""

    def _shown(self, state: S) -> Screen:
        raise NotImplementedError

    def _compute(self, state: S) -> None:
        """Compute what a committed state shows."""

    def _preview(self, state: S) -> Screen:
        return self._framed(self._shown(state))

    def _kept(self, state: S) -> Any:
        return dataclasses.replace(state, selected=None)  # type: ignore[type-var]

    def _settled(self, state: S) -> S:
        return state

    def _text(self, state: S) -> str | None:  # noqa: ARG002
        """Return what the file holds; None: this app has nothing to save."""
        return None

    def _read(self, path: Path) -> S:
        raise ValueError(f"this app opens no files, got {path.name}")

    def _figure(self, width: float, height: float) -> Figure:  # noqa: ARG002
        raise ValueError("this app draws no figure to export")

    def _csv(self) -> str:
        raise ValueError("this app has no table to export")

    # what a view and a test call ---------------------------------------------------------------
    @property
    def state(self) -> S:
        """The state as it is now."""
        return self._state

    def screen(self) -> Screen:
        """Return all that the view shows besides the images, as plain data and arrays."""
        return self._framed(self._shown(self._state))

    def gesture(self, kind: str, final: bool = True, **args: Any) -> Screen:
        """Do what a person did, and return the screen.

        Parameters
        ----------
        kind : str
            The gesture; its arguments are those of the method ``_do_<kind>``.
        final : bool
            False shows what would be and changes nothing; True commits: computed in full, an undo
            point, saved.
        **args
            As the gesture needs them.

        Returns
        -------
        dict
            See `screen`.

        Raises
        ------
        ValueError
            In words, if it cannot be done; the state is as before.
        """
        doer = getattr(self, f"_do_{kind}", None)
        if doer is None:
            known = sorted(n.removeprefix("_do_") for n in dir(self) if n.startswith("_do_"))
            raise ValueError(f"gesture must be one of {', '.join(known)}, got {kind!r}")
        said = self._message, self._level
        self._message, self._level = "", "info"
        try:
            return self._done(doer, final, args)
        except Exception:
            self._message, self._level = "", "info"  # what it would have said did not happen
            raise
        finally:
            if not final:
                self._message, self._level = said

    def export(self, kind: str, width: float = 178.0, height: float = 130.0) -> Download:
        """Return the figure as shown, or the table, as a file to download.

        Parameters
        ----------
        kind : str
            ``svg``, ``pdf``, ``png`` or ``csv``.
        width, height : float
            Size of the figure in mm.
        """
        name = self._stem()
        if kind == "csv":
            return Download(f"{name}.csv", "text/csv", self._csv().encode())
        return rendered(self._figure, name, kind, width, height)

    def close(self) -> None:
        """Let go of everything that was computed; what was picked stays readable."""

    def forget(self) -> None:
        """Let go of all but what was picked, as another app took the place of this one.

        IPython keeps whatever a cell showed: with its map and images, every run of a cell would
        leave as much behind.
        """
        self.close()
        self._past.clear()
        self._future.clear()
        for name in [n for n in vars(self) if n not in _STAYS]:
            delattr(self, name)
        self._forgotten = True

    if not TYPE_CHECKING:  # a type checker would take any name for an attribute

        def __getattr__(self, name: str) -> Any:
            if vars(self).get("_forgotten") and not name.startswith("__"):
                raise AttributeError(
                    f"{name} is gone with its app, which was closed when its cell was run again; "
                    "what was picked is still here: use the app that is open now"
                )
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")

    # gestures that every app has ---------------------------------------------------------------
    def _do_select(self, _final: bool, name: str | None) -> S:
        return dataclasses.replace(self._state, selected=name)  # type: ignore[type-var]

    def _do_undo(self, final: bool) -> S | None:
        return self._step(final, self._past, self._future, "there is nothing to undo")

    def _do_redo(self, final: bool) -> S | None:
        return self._step(final, self._future, self._past, "there is nothing to redo")

    def _do_open_file(self, final: bool, path: str) -> S | None:
        file = self._given(path)
        state = self._settled(self._read(file))
        if not final:
            return state
        content = content_of(file)
        self._compute(state)
        self._state, self.path, self._read_as = state, file, content
        self._past.clear()
        self._future.clear()
        self._saved = f"{self._noun}: {file.name}"
        return None

    def _do_save_as(self, final: bool, path: str) -> S | None:
        file = self._given(path)
        if file.exists():
            raise ValueError(f"the file must not be there yet, got {file.name}; open it instead")
        if final:
            self.path, self._read_as = file, None
            self._save()
        return None

    @staticmethod
    def _given(path: str) -> Path:
        if not str(path).strip():
            raise ValueError("the path of the file must not be empty")
        return Path(str(path).strip()).expanduser()

    # how it is done ----------------------------------------------------------------------------
    def _say(self, message: str, level: str = "info") -> None:
        """Say something beside the state that a gesture returns: ``info`` or ``warning``."""
        self._message, self._level = message, level

    def _stem(self) -> str:
        return "figure" if self.path is None else self.path.stem

    def _done(self, doer: Callable[..., S | None], final: bool, args: dict[str, Any]) -> Screen:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", LlisoWarning)
            try:
                new = doer(final, **args)
            except ValidationError as err:  # numbers that make no value: one line on the screen
                raise ValueError(problems_in_words(err)) from None
            if new is not None and not final:
                screen = self._preview(new)
            else:
                if new is not None:
                    self._commit(new)
                screen = self.screen()
        for warning in caught:
            if issubclass(warning.category, LlisoWarning) and not self._message:
                screen["message"], screen["level"] = str(warning.message), "warning"
        return screen

    def _commit(self, new: S) -> None:
        old = self._state
        if self._kept(new) == self._kept(old):  # another selection, or a gesture without effect
            self._state = new
            return
        # What is shown is what the file says, to the last digit: the same numbers headless.
        new = self._settled(new)
        self._state = new
        try:
            self._compute(new)
        except BaseException:
            self._state = old
            raise
        if self._kept(new) != self._kept(old):  # rounded, they may be the same again
            self._past.append(old)
            self._future.clear()
            self._save()

    def _step(self, final: bool, source: list[S], target: list[S], empty: str) -> S | None:
        if not source:
            self._say(empty)
            return None
        if not final:
            return source[-1]
        target.append(self._state)
        self._state = source.pop()
        self._compute(self._state)
        self._save()
        return None

    def _save(self) -> None:
        text = self._text(self._state)
        if text is None:
            return
        if self.path is None:
            self._saved = f"not saved: no {self._noun} was given"
            return
        path = self.path
        try:
            there = content_of(path)
            if there not in (None, self._read_as, text.encode()):
                path = free_name(path)
            write_decisions(path, text)
        except OSError as err:
            self._saved = f"not saved: {err.strerror} ({path.name})"
            self._say(self._saved, "error")
        else:
            self._saved = f"saved {time.strftime('%H:%M:%S')}, {path.name}"
            if path != self.path:
                self._say(
                    f"{self.path.name} was changed elsewhere since it was read here, and is left "
                    f"as it is: what you do here is saved in {path.name} from now on. To go on "
                    f"from the other one, open {self.path.name}.",
                    "warning",
                )
            self.path, self._read_as = path, text.encode()

    def _framed(self, screen: Screen) -> Screen:
        """Add what every screen says."""
        self._sequence += 1
        message = {} if not self._message else {"message": self._message, "level": self._level}
        return {
            "message": "",
            "level": "info",
            **screen,
            **message,
            "sequence": self._sequence,
            "selected": getattr(self._state, "selected", None)
            if "selected" not in screen
            else screen["selected"],
            "can_undo": bool(self._past),
            "can_redo": bool(self._future),
            "saved": self._saved,
            "path": "" if self.path is None else str(self.path),
        }

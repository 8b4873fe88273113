"""One thread for everything a widget calls back.

Since ipykernel 7 a message from the browser may be handled on the thread of a subshell while a cell
runs on the main thread. State of an app belongs to one thread, its home: a `Dispatcher` brings
every callback there.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable

log = logging.getLogger("lliso.apps")


class Dispatcher:
    """Run functions on the event loop of the thread it was made on.

    Called on that thread the function runs at once; from another thread it is handed to the home
    loop, in the order of the calls, and runs with the caller's context (so that a kernel knows
    which message it answers). Where the home has no loop (a script, a test), there is nobody to
    hand it to: it runs at once on the calling thread, one at a time.

    Examples
    --------
    >>> dispatch = Dispatcher()
    >>> seen = []
    >>> dispatch(lambda: seen.append("at once"))
    >>> seen
    ['at once']
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._loop = _home_loop()
        self._lock = threading.RLock()

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The home loop, or None."""
        return self._loop

    def __call__(self, function: Callable[[], None]) -> None:
        """Run `function`; what it raises is logged, as there is no caller to tell."""
        if self._loop is None or self._loop.is_closed():
            with self._lock:
                _run(function)
        elif threading.get_ident() == self._thread:
            _run(function)
        else:
            self._loop.call_soon_threadsafe(_run, function)


def _home_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:  # no loop runs on this thread: a script or a test
        return None


def _run(function: Callable[[], None]) -> None:
    try:
        function()
    except Exception:  # the last stop before it would vanish in the kernel
        log.exception("a callback failed")

"""``lliso app``: the apps of a map as a page of its own, for those who do not write code."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

#: of the grains of LLTO at 22 °C, J. Mater. Chem. A 12 (2024) 731
D_BULK = "2.6e-8 cm^2/s"
Fov = float | tuple[float, float] | None


def add_app(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    app = commands.add_parser(
        "app", help="open a map as a page in the browser: look at it, pick boundaries"
    )
    app.add_argument("map", metavar="MAP")
    app.add_argument(
        "--picks",
        metavar="FILE",
        help="read if it is there, written after every change "
        "(default: the map's name with .picks.json, in this folder)",
    )
    app.add_argument(
        "--d-bulk", default=D_BULK, help=f'D inside the grains (default: "{D_BULK}", of LLTO)'
    )
    app.add_argument("--delta", default="0.5 nm", help="boundary thickness (default: 0.5 nm)")
    app.add_argument("--resolution", default="1 um", help="FWHM of the beam (default: 1 um)")
    app.add_argument("--port", type=int, help="of the server (default: a free one from 8866 on)")
    app.add_argument("--no-browser", action="store_true", help="only start the server")
    app.add_argument(
        "--fov",
        nargs="+",
        type=float,
        metavar="UM",
        help="field of view in um (x y, or one side if square), where the file does not say",
    )
    app.set_defaults(run=_app)


def _app(args: argparse.Namespace) -> int:
    fov: Fov = None
    if args.fov is not None:
        if len(args.fov) > 2:
            raise ValueError(f"--fov must be one or two lengths in um, got {len(args.fov)}")
        fov = float(args.fov[0]) if len(args.fov) == 1 else (args.fov[0], args.fov[1])
    picks = args.picks or f"{Path(args.map).stem}.picks.json"
    constants = {"d_bulk": args.d_bulk, "delta": args.delta, "resolution": args.resolution}
    return open_page(
        args.map, picks, constants, fov=fov, port=args.port, browser=not args.no_browser
    )


def open_page(
    path: str | os.PathLike[str],
    picks: str | os.PathLike[str],
    constants: dict[str, str],
    *,
    fov: Fov = None,
    port: int | None = None,
    browser: bool = True,
) -> int:
    """Serve the map explorer and the boundary app of a map until Ctrl+C.

    Parameters
    ----------
    path : path
        The map.
    picks : path
        The picks file: read if it exists, written after every change.
    constants : dict
        ``d_bulk``, ``delta`` and ``resolution`` with their units.
    fov : float or tuple of float, optional
        Field of view in µm, where the file does not say.
    port : int, optional
        Where the server listens, on this machine alone; default: a free one from 8866 on.
    browser : bool
        Open a browser window; without it the address is printed by the server.

    Returns
    -------
    int
        The server's exit code.

    Raises
    ------
    ModuleNotFoundError
        If Voilà or anywidget is not installed.
    FileNotFoundError, FormatError, PicksMismatch, ValueError
        If map, picks or constants cannot be used: before anything is served.
    """
    missing = [name for name in ("voila", "anywidget") if not importlib.util.find_spec(name)]
    if missing:
        raise ModuleNotFoundError(
            f"lliso app needs {' and '.join(missing)}, got none in {sys.prefix}; "
            'pip install "lliso[lab]"'
        )
    _check(path, picks, constants, fov)
    with tempfile.TemporaryDirectory(prefix="lliso-app-") as folder:
        notebook = Path(folder) / f"{Path(path).stem}.ipynb"
        notebook.write_text(json.dumps(page_notebook(path, picks, constants, fov)), "utf-8")
        return _served(_started(page_command(notebook, port=port, browser=browser)))


def _started(command: list[str]) -> subprocess.Popen[bytes]:
    """Start the server so that SIGINT, by which it ends in order, reaches it.

    What a script or ``nohup`` starts in the background ignores SIGINT, and so would the server.
    """
    main = threading.current_thread() is threading.main_thread()
    ignored = main and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(command)
    finally:
        if ignored:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _served(process: subprocess.Popen[bytes]) -> int:
    """Wait for the server; if this process is told to end, the server and its kernels end first."""

    def end(_number: int, _frame: object) -> None:
        # As Ctrl+C does: the server then shuts its kernels down.
        if os.name == "nt":
            process.terminate()
        else:
            process.send_signal(signal.SIGINT)

    numbers = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")]
    with contextlib.ExitStack() as after:
        if threading.current_thread() is threading.main_thread():
            for number in filter(None, numbers):
                if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays what it says
                    after.callback(signal.signal, number, signal.signal(number, end))
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:  # the server received it too, and ends
                continue


def _check(
    path: str | os.PathLike[str],
    picks: str | os.PathLike[str],
    constants: dict[str, str],
    fov: Fov,
) -> None:
    """Raise what the page would fail with, while somebody reads the terminal."""
    from lliso.fit.table import Constants
    from lliso.io import read_map
    from lliso.maps.picks import Picks
    from lliso.schema import LI6, LI7, check_map
    from lliso.units import LENGTH, parse_quantity

    Constants.parse(constants["d_bulk"], 0.0, constants["delta"], 0.95)
    parse_quantity(constants["resolution"], LENGTH, "--resolution")
    ds = read_map(path, fov=fov)
    check_map(ds, needs=(LI6, LI7))
    if Path(picks).exists():
        Picks.load(picks).check(ds)


def page_notebook(
    path: str | os.PathLike[str],
    picks: str | os.PathLike[str],
    constants: dict[str, str],
    fov: Fov = None,
) -> dict[str, Any]:
    """Return the notebook that the page is made of, as plain data.

    Examples
    --------
    >>> constants = {"d_bulk": "2.6e-8 cm^2/s", "delta": "0.5 nm", "resolution": "1 um"}
    >>> made = page_notebook("map.nc", "picks.json", constants)
    >>> [cell["cell_type"] for cell in made["cells"]]
    ['markdown', 'code', 'code']
    """
    source, file = Path(path).resolve(), Path(picks).resolve()
    words = (
        f"# {source.name}\n\nPicks are saved in `{file.name}` after every change. D inside the "
        f"grains: {constants['d_bulk']}; boundary thickness: {constants['delta']}; beam: "
        f"{constants['resolution']} (FWHM). Close this tab when you are done; `Ctrl C` in the "
        "terminal ends the server."
    )
    reading = f"lliso.read_map({str(source)!r}" + ("" if fov is None else f", fov={fov!r}") + ")"
    look = f"import lliso\n\nds = {reading}\nexplorer = lliso.explore_map(ds)\nexplorer"
    more = ", ".join(f"{name}={value!r}" for name, value in constants.items())
    pick = f"app = lliso.pick_boundaries(ds, {str(file)!r}, {more})\napp"
    cells = [{"cell_type": "markdown", "metadata": {}, "source": words, "id": "words"}]
    for name, text in (("look", look), ("pick", pick)):
        code = {"cell_type": "code", "metadata": {}, "source": text, "id": name}
        cells.append({**code, "execution_count": None, "outputs": []})  # type: ignore[dict-item]
    kernel = {"name": "python3", "display_name": "Python 3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def page_command(notebook: Path, *, port: int | None = None, browser: bool = True) -> list[str]:
    """Return the command that serves a notebook: on this machine, with a token, without its code.

    Examples
    --------
    >>> page_command(Path("map.ipynb"), port=9999, browser=False)[-3:]
    ['--port=9999', '--Voila.port_retries=0', '--no-browser']
    """
    command = [sys.executable, "-m", "voila", str(notebook), "--Voila.ip=127.0.0.1"]
    # Made by the server itself: a token on the command line could be read by other users.
    command.append("--Voila.auto_token=True")
    command.append("--VoilaConfiguration.strip_sources=True")
    if port is not None:
        command += [f"--port={port}", "--Voila.port_retries=0"]
    return command if browser else [*command, "--no-browser"]

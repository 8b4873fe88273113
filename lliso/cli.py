"""The command line: ``lliso lab``, ``app``, ``info``, ``formats``, ``convert``, ``fit`` and more.

Nothing heavy is imported until a command runs, so that ``lliso --help`` answers at once.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lliso.__about__ import __version__
from lliso.errors import LlisoWarning

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

    from lliso.maps.picks import Picks


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return 0, or 1 after a message if it failed."""
    for stream in (sys.stdout, sys.stderr):
        # A pipe on Windows may not know δ; better an escape than no answer.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    parser = _parser()
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help()
        return 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", LlisoWarning)
            warnings.showwarning = _show_warning
            code = int(args.run(args) or 0)
            sys.stdout.flush()
            return code
    except BrokenPipeError:  # `lliso info FILE | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + 13  # what a shell says of a program that SIGPIPE has ended
    except (ValueError, TypeError, OSError, ImportError) as err:
        print(f"lliso: {err}", file=sys.stderr)
        return 1


def _show_warning(message: Warning | str, *_where: Any, **_more: Any) -> None:
    print(f"lliso: warning: {message}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lliso", description="From SIMS maps of lithium isotopes to diffusion coefficients."
    )
    parser.add_argument("--version", action="version", version=f"lliso {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    lab = commands.add_parser("lab", help="open JupyterLab on your copy of the notebooks")
    lab.add_argument(
        "folder",
        nargs="?",
        help="open it as it is; if new, your copy goes there",
    )
    lab.add_argument("--no-browser", action="store_true", help="only start the server")
    lab.set_defaults(run=_lab)

    info = commands.add_parser("info", help="say what is in a file, and what is missing to use it")
    info.add_argument("file")
    _add_fov(info)
    info.set_defaults(run=_info)

    formats = commands.add_parser("formats", help="list the file formats that can be read")
    formats.set_defaults(run=_formats)

    convert = commands.add_parser("convert", help="write a map as netCDF")
    convert.add_argument("file")
    convert.add_argument("out", metavar="OUT.nc")
    _add_fov(convert)
    convert.set_defaults(run=_convert)

    fit = commands.add_parser("fit", help="fit picked boundaries: tables, figures and a record")
    fit.add_argument("map", metavar="MAP")
    fit.add_argument("--picks", required=True, help="file of picks made on this map")
    fit.add_argument("--d-bulk", required=True, help='such as "2.6e-8 cm^2/s"')
    fit.add_argument("--delta", default="0.5 nm", help="boundary thickness (default: 0.5 nm)")
    fit.add_argument("--resolution", default="1 um", help="FWHM of the beam (default: 1 um)")
    fit.add_argument("--method", default="patch", help="default: patch")
    fit.add_argument("--no-figures", action="store_true", help="write the tables only")
    fit.add_argument("-o", "--out", default="results", metavar="DIR", help="(default: results)")
    _add_fov(fit)
    fit.set_defaults(run=_fit)
    from lliso.apps.page import add_app
    from lliso.cli_figures import add_figures
    from lliso.cli_simulate import add_simulate

    add_app(commands)
    add_simulate(commands)
    add_figures(commands)
    return parser


def _add_fov(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--fov",
        nargs="+",
        type=float,
        metavar="UM",
        help="field of view in um (x y, or one side if square), where the file does not say",
    )


def _fov(args: argparse.Namespace) -> float | tuple[float, float] | None:
    if args.fov is None:
        return None
    if len(args.fov) > 2:
        raise ValueError(f"--fov must be one or two lengths in um, got {len(args.fov)}")
    return float(args.fov[0]) if len(args.fov) == 1 else (args.fov[0], args.fov[1])


def _lab(args: argparse.Namespace) -> int:
    from lliso.lab import open_lab

    return open_lab(args.folder, browser=not args.no_browser)


def _info(args: argparse.Namespace) -> None:
    from lliso.io import describe

    print(describe(args.file, fov=_fov(args)))


def _formats(_args: argparse.Namespace) -> None:
    from lliso.io import formats

    for reader in formats():
        tried = "tried on a real file" if reader.seen else "not yet tried on a real file"
        print(f"{reader.name:14}{tried:31}{reader.description}")


def _convert(args: argparse.Namespace) -> None:
    from lliso.io import convert

    print(f"wrote {convert(args.file, args.out, fov=_fov(args))}")


def _fit(args: argparse.Namespace) -> None:
    from lliso.fit.boundaries import METHODS, fit_boundaries
    from lliso.fit.record import write_record, write_table
    from lliso.fit.words import readable_table
    from lliso.io import read_map
    from lliso.maps.cuts import map_extent
    from lliso.maps.picks import Picks
    from lliso.units import LENGTH, parse_quantity

    if args.method not in METHODS:
        raise ValueError(f"--method must be one of {', '.join(METHODS)}, got {args.method}")
    ds = read_map(args.map, fov=_fov(args))
    picks = Picks.load(args.picks)
    resolution = parse_quantity(args.resolution, LENGTH, "--resolution")
    table = fit_boundaries(
        ds,
        picks,
        d_bulk=args.d_bulk,
        delta=args.delta,
        method=args.method,
        resolution=resolution,
    )
    out = Path(args.out)
    files = write_table(table, out, "boundaries")
    if not args.no_figures:
        files += _figures(ds, picks, table, out, method=args.method, resolution=resolution)
    settings = {
        "d_bulk_cm2_per_s": table.attrs["d_bulk_cm2_per_s"],
        "delta_nm": table.attrs["delta_nm"],
        "level": table.attrs["level"],
        "method": args.method,
        "resolution_um": resolution,
        "map_id": ds.attrs["map_id"],
        "extent_um": [list(edges) for edges in map_extent(ds)],
        "not_in_the_intervals": json.loads(table.attrs["systematic"]),
        "simulated": int(ds.attrs.get("simulated", 0)),
    }
    files.append(
        write_record(out / "record.json", {"map": args.map, "picks": args.picks}, settings, files)
    )
    print(readable_table(table))
    print(f"wrote {len(files)} files to {out}")


def _figures(
    ds: xr.Dataset, picks: Picks, table: xr.Dataset, out: Path, **options: Any
) -> list[Path]:
    import matplotlib as mpl

    mpl.use("agg")
    from lliso.figures import figure_of_map, figure_of_profiles
    from lliso.plot import draw_permeabilities, figure, save_figure

    files = save_figure(figure_of_map(ds, picks), out / "map")
    files += save_figure(figure_of_profiles(ds, picks, **options), out / "profiles")
    fig, ax = figure(4.5, 2.8)
    draw_permeabilities(ax, table)
    return files + save_figure(fig, out / "permeabilities")

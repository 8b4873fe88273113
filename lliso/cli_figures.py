"""``lliso figures``: the published figures and tables, made anew without a notebook."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse


def add_figures(commands: Any) -> None:
    """Add the command to a parser's subcommands."""
    figures = commands.add_parser(
        "figures", help="make the published figures and tables anew, with a record"
    )
    figures.add_argument(
        "--only", nargs="+", metavar="NAME", help="such as fig3 (default: all; see --list)"
    )
    figures.add_argument("--list", action="store_true", help="say what there is, and its inputs")
    figures.add_argument(
        "--input",
        nargs="+",
        default=[],
        metavar="ROLE=FILE",
        help="a file of your own in place of a simulated one (with one --only); an empty FILE "
        "leaves out what may be missing, such as the truth",
    )
    figures.add_argument(
        "--root",
        metavar="DIR",
        help="folder that holds data and notebooks (default: those that lliso brings)",
    )
    figures.add_argument("-o", "--out", default="figures", metavar="DIR", help="(default: figures)")
    figures.set_defaults(run=_figures)


def _figures(args: argparse.Namespace) -> None:
    from lliso.published import NAMES, module_of, write

    if args.list:
        for name in NAMES:
            module = module_of(name)
            print(f"{name:20}{module.TITLE}")
            for role, path in module.INPUTS.items():
                print(f"{'':20}{role.removesuffix('?'):14}{path}")
        return
    names = args.only or list(NAMES)
    for name in names:
        module_of(name)
    own = dict(_pair(text) for text in args.input)
    if own and len(names) != 1:
        raise ValueError(f"--input needs --only with one name, got {len(names)} figures")
    root = Path(args.root) if args.root else _shared()
    for name in names:
        files = write(name, args.out, root, own)
        print(f"{name}: wrote {len(files)} files to {args.out}")


def _pair(text: str) -> tuple[str, str]:
    role, equals, path = text.partition("=")
    if not equals:
        raise ValueError(f"--input must be ROLE=FILE, got {text!r}")
    return role, path


def _shared() -> Path:
    import lliso
    from lliso.lab import checkout

    return checkout() or Path(lliso.__file__).parent / "_share"

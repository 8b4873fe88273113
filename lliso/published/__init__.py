"""The published figures and tables, made anew: one module each, for notebooks and command line.

A module of this package makes one thing. It has

``TITLE``
    what it is, in a line;
``INPUTS``
    what it reads: role -> path below the folder that holds ``data`` and ``notebooks``; a role
    whose name ends in ``?`` may be missing (the truth of a simulation);
``make(inputs)``
    from paths by role to a `Made`: figures, tables and the settings that they depend on.

To add one (say ``fig6``), write ``lliso/published/fig6.py`` with these three names, and put
``"fig6"`` into `NAMES`; ``lliso figures`` then knows it, and ``tests/published`` checks that it is
complete. Everything random needs a fixed seed: two runs must write the same bytes. Its notebook
calls the same functions step by step, so that there is one truth.

The paper's measurements are not public, so the default inputs are simulated, and every figure says
so. Whoever has measurements of their own gives another path to ``make`` or to ``lliso figures``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

    import pandas as pd
    from matplotlib.figure import Figure

#: in the order in which they are made
NAMES: tuple[str, ...] = ("fig3", "table_boundaries", "method", "fig4", "fig5")


@dataclass(frozen=True)
class Made:
    """What a module of this package makes.

    Attributes
    ----------
    figures : mapping of str to matplotlib.figure.Figure
        By file name without ending.
    tables : mapping of str to pandas.DataFrame
        By file name without ending; units in the column names; the index is written too.
    settings : mapping
        Plain values that the results depend on, for the record.
    """

    figures: Mapping[str, Figure]
    tables: Mapping[str, pd.DataFrame]
    settings: Mapping[str, Any] = field(default_factory=dict)


def module_of(name: str) -> Any:
    """Return the module that makes `name`; ValueError if there is none."""
    if name not in NAMES:
        raise ValueError(f"a published figure must be one of {', '.join(NAMES)}, got {name!r}")
    return import_module(f"lliso.published.{name}")


def default_inputs(
    name: str,
    root: str | os.PathLike[str],
    replaced: Mapping[str, str | os.PathLike[str]] | None = None,
) -> dict[str, Path]:
    """Return the files that a figure is made from, by role.

    Parameters
    ----------
    name : str
        One of `NAMES`.
    root : str or os.PathLike
        The folder that holds ``data`` and ``notebooks``.
    replaced : mapping of str to path, optional
        Files of one's own, by role. An empty path leaves out what may be missing.

    Returns
    -------
    dict of str to Path

    Raises
    ------
    ValueError
        If there is no such figure or role.
    FileNotFoundError
        If a file is missing that is needed.

    Examples
    --------
    >>> default_inputs("fig3", ".", {"map": "mine.nc"})
    Traceback (most recent call last):
    ...
    ValueError: inputs of fig3 must be exchange, storage, image, picks, ledger, truth, got map
    """
    declared: Mapping[str, str] = module_of(name).INPUTS
    roles = {role.removesuffix("?"): role.endswith("?") for role in declared}
    own = dict(replaced or {})
    unknown = sorted(set(own) - set(roles))
    if unknown:
        raise ValueError(f"inputs of {name} must be {', '.join(roles)}, got {', '.join(unknown)}")
    found: dict[str, Path] = {}
    for role, optional in roles.items():
        given = own.get(role)
        if optional and given is not None and not str(given):
            continue
        key = role + "?" * optional
        path = Path(root) / declared[key] if given is None else Path(given)
        if path.is_file():
            found[role] = path
        elif not optional or given is not None:
            raise FileNotFoundError(
                f"{name} needs the file {path.as_posix()} ({role}), which is not there"
            )
    return found


def make(name: str, inputs: Mapping[str, Any]) -> Made:
    """Make a published figure or table from its inputs (see `default_inputs`)."""
    made: Made = module_of(name).make(inputs)
    return made


def write(
    name: str,
    folder: str | os.PathLike[str],
    root: str | os.PathLike[str],
    replaced: Mapping[str, str | os.PathLike[str]] | None = None,
) -> list[Path]:
    """Make one of `NAMES` and write it: SVG, PDF, PNG, CSV and a record of what it was made from.

    Parameters
    ----------
    name, root, replaced
        See `default_inputs`.
    folder : str or os.PathLike
        Where to; made if it is not there.

    Returns
    -------
    list of pathlib.Path
        The files, the record ``NAME_record.json`` last. The same inputs give the same bytes on
        one machine, except in PDFs that another version of matplotlib writes.
    """
    import matplotlib as mpl

    mpl.use("agg")
    from lliso.fit.record import write_record
    from lliso.plot import save_figure

    inputs = default_inputs(name, root, replaced)
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    made = make(name, inputs)
    files = [f for stem, fig in made.figures.items() for f in save_figure(fig, target / stem)]
    for stem, table in made.tables.items():
        file = target / f"{stem}.csv"
        text = table.to_csv(float_format="%.6g", lineterminator="\n")
        file.write_text(text, encoding="utf-8", newline="\n")
        files.append(file)
    record = target / f"{name}_record.json"
    return [*files, write_record(record, inputs, made.settings, files)]

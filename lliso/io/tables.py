"""Tables against temperature with units in their header, and the values of the literature."""

from __future__ import annotations

import csv
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lliso import units
from lliso.diffusion.transport import ZERO_CELSIUS
from lliso.errors import FormatError
from lliso.io._text_table import decode
from lliso.schema import hash_of_bytes

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from lliso._types import FloatArray

_NAMED = re.compile(r"^(?P<name>[^\[(]*?)\s*(?:[\[(]\s*(?P<unit>[^\])]*)\s*[\])])?$")
_TEMPERATURE = re.compile(r"^(t|temp\w*)$", re.IGNORECASE)
_CELSIUS = ("°c", "℃", "degc", "c", "celsius")
#: the unit to which a column is converted: the first of the same dimension
_TARGETS = (units.CONDUCTIVITY, units.DIFFUSION, units.PERMEABILITY, "ohm", units.ENERGY, "um")
_WRITTEN = {units.DIFFUSION: "cm2/s"}
_LETTERS = {"σ": "sigma", "ρ": "rho", "±": "std", "δ": "delta"}


def read_conductivities(path: str | os.PathLike[str]) -> xr.Dataset:
    r"""Read a CSV table of conductivities (or diffusivities) against temperature.

    The first line names the columns with their units in brackets, such as
    ``T (°C), sigma_bulk (S/cm), sigma_bulk_std (%), sigma_total (mS/cm)``. Lines that begin with
    ``#`` are comments; cells are separated by commas, semicolons or tabs (with a decimal comma
    only by the latter two); an empty cell is a value that was not measured.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    xarray.Dataset
        Along ``temperature`` (K): every other column under its name in small letters (σ is
        ``sigma``), in S/cm, cm²/s, cm/s or Ω as its dimension says. ``*_std`` in % are turned into
        the unit of their value. Attributes ``map_id``, ``source`` and, from comments such as
        ``# material: LLTO``, what they say.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If there is no column of temperature, a column has no unit or one of another kind, a cell
        is no number, a temperature is below 0 K or a conductivity is not positive.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "sigma.csv"
    ...     _ = file.write_text("T (°C),σ_total (mS/cm),σ_total_std (%)\n22,0.212,4\n")
    ...     table = read_conductivities(file)
    >>> float(table.temperature[0]), float(table.sigma_total[0]), table.sigma_total.attrs["units"]
    (295.15, 0.000212, 'S/cm')
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}; check the spelling")
    import xarray as xr

    data = path.read_bytes()
    rows, comments = _rows(path, decode(path, data))
    (line, header), *body = rows
    if not body:
        raise FormatError(path, line, "the table must hold at least one row of numbers, got none")
    columns: dict[str, tuple[FloatArray, str]] = {}
    temperature = None
    for k, cell in enumerate(header):
        name, unit = _name(path, line, cell)
        values = np.array([_number(path, n, row, k) for n, row in body])
        if _TEMPERATURE.match(name):
            if temperature is not None:
                raise FormatError(
                    path, line, f"one column must be the temperature, got {cell!r} too"
                )
            temperature = _kelvin(path, line, values, unit)
        elif name in columns:
            raise FormatError(path, line, f"columns must have names of their own, got two {name!r}")
        else:
            columns[name] = (values, unit)
    if temperature is None:
        raise FormatError(
            path, line, f"a column must be the temperature, 'T (°C)', got {', '.join(header)}"
        )
    attrs = {**comments, "map_id": hash_of_bytes(data), "source": path.name}
    out = xr.Dataset({}, {"temperature": ("temperature", temperature, {"units": "K"})}, attrs)
    for name, (values, unit) in columns.items():
        converted, written = _converted(path, line, name, values, unit, columns)
        out[name] = ("temperature", converted, {"units": written})
    return out


def is_conductivity_header(line: str) -> bool:
    """Tell whether a line names columns of which one is a temperature with its unit."""
    separator = next((s for s in ("\t", ";") if s in line), ",")
    matches = [_NAMED.match(cell.strip()) for cell in line.split(separator)]
    if len(matches) < 2 or not all(m and m["unit"] is not None for m in matches):
        return False
    return any(m is not None and bool(_TEMPERATURE.match(m["name"].strip())) for m in matches)


def _rows(path: Path, text: str) -> tuple[list[tuple[int, list[str]]], dict[str, str]]:
    comments, lines = {}, []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.lstrip().startswith("#"):
            key, _, value = line.lstrip("# ").partition(":")
            if value:
                comments[key.strip().lower().replace(" ", "_")] = value.strip()
        elif line.strip():
            lines.append((number, line))
    if not lines:
        raise FormatError(path, 1, "the table must begin with a line of names, got none")
    header = lines[0][1]
    separator = next((s for s in ("\t", ";") if s in header), ",")
    cut = csv.reader((line for _, line in lines), delimiter=separator, skipinitialspace=True)
    try:
        rows = [[cell.strip() for cell in row] for row in cut]
    except csv.Error as err:
        raise FormatError(path, None, f"the table must be text in columns ({err})") from err
    if len(rows) != len(lines):
        raise FormatError(
            path, None, "a quotation mark must be closed in its own row, got one open"
        )
    for (number, _), row in zip(lines, rows, strict=True):
        if len(row) != len(rows[0]):
            raise FormatError(
                path, number, f"every row must have {len(rows[0])} cells, got {len(row)}"
            )
    return [(number, row) for (number, _), row in zip(lines, rows, strict=True)], comments


def _name(path: Path, line: int, cell: str) -> tuple[str, str]:
    match = _NAMED.match(cell)
    if match is None or not match["name"].strip():
        raise FormatError(
            path, line, f"a column must be named like 'sigma_total (S/cm)', got {cell!r}"
        )
    if match["unit"] is None:
        raise FormatError(
            path, line, f"the column {cell!r} must state its unit: '{cell} (S/cm)', for example"
        )
    name = match["name"].strip().lower()
    for letter, word in _LETTERS.items():
        name = name.replace(letter, word)
    name = re.sub(r"[^a-z0-9*]+", "_", name).strip("_")
    if not name:
        raise FormatError(path, line, f"a column must have a name of letters, got {cell!r}")
    return name, match["unit"].strip()


def _number(path: Path, line: int, row: list[str], column: int) -> float:
    cell = row[column].replace("−", "-").replace(",", ".")
    if not cell:
        return float("nan")
    try:
        value = float(cell)
    except ValueError:
        value = np.inf
    if np.isinf(value) or "_" in cell:
        raise FormatError(path, line, f"a cell must be a number or empty, got {cell!r}")
    return value


def _kelvin(path: Path, line: int, values: FloatArray, unit: str) -> FloatArray:
    if unit.lower() in _CELSIUS:
        values = values + ZERO_CELSIUS
    elif unit != "K":
        raise FormatError(path, line, f"a temperature must be in °C or K, got {unit!r}")
    if not np.all(values > 0):
        raise FormatError(
            path, line, f"temperatures must be above 0 K, got {values.min():g} K; none may lack"
        )
    return values


def _converted(
    path: Path,
    line: int,
    name: str,
    values: FloatArray,
    unit: str,
    columns: dict[str, tuple[FloatArray, str]],
) -> tuple[FloatArray, str]:
    if unit == "%" and name.endswith("_std"):
        of = name.removesuffix("_std")
        if of not in columns:
            raise FormatError(path, line, f"'{name} (%)' needs a column {of!r}, got none")
        whole, written = _converted(path, line, of, *columns[of], columns)
        return values / 100.0 * whole, written
    if unit in ("", "1", "-"):
        return values, "1"
    for target in _TARGETS:
        try:
            factor = units.parse_quantity(f"1 {unit}", target, name)
        except ValueError:
            continue
        with np.errstate(over="ignore", under="ignore"):
            converted = values * factor
        if np.isinf(converted).any():
            raise FormatError(path, line, f"{name} must be a number, got one too large")
        if target in (units.CONDUCTIVITY, units.DIFFUSION) and np.any(converted <= 0):
            raise FormatError(path, line, f"{name} must be positive, got {np.nanmin(values):g}")
        return converted, _WRITTEN.get(target, target)
    raise FormatError(path, line, f"the unit of {name!r} must be like S/cm or cm^2/s, got {unit!r}")


def read_literature(path: str | os.PathLike[str] | None = None) -> pd.DataFrame:
    """Read values of the literature, each with its source and uncertainty.

    Parameters
    ----------
    path : str or os.PathLike, optional
        A table, or a folder of them; by default those that come with lliso.

    Returns
    -------
    pandas.DataFrame
        One row per value: ``material``, ``quantity`` (d_bulk, d_eff, sigma_bulk, permeability, …),
        ``value``, ``std`` (NaN where the source states none), ``unit``, ``temperature`` (K, NaN
        where it does not apply), ``method``, ``uncertainty`` (what is known of it, in words),
        ``stated`` (True: the source's text says this number), ``source``, ``doi``, ``note``,
        ``file``.

    Raises
    ------
    FileNotFoundError
        If there is no such table.
    FormatError
        If a column is missing or a number cannot be read.

    Examples
    --------
    >>> table = read_literature()
    >>> paper = table[table.file == "hasegawa2024.csv"]
    >>> float(paper[paper.quantity == "haven_ratio_boundary"].value.iloc[0])
    0.24
    """
    import pandas as pd

    where = _literature() if path is None else Path(path)
    files = sorted(where.glob("*.csv")) if where.is_dir() else [where]
    if not files or not files[0].is_file():
        raise FileNotFoundError(f"there is no table of literature values at {where}")
    parts = []
    for file in files:
        try:
            part = pd.read_csv(file, comment="#", skipinitialspace=True, dtype=str).fillna("")
        except (ValueError, pd.errors.ParserError) as err:
            raise FormatError(file, None, f"the table cannot be read ({err})") from err
        missing = [c for c in _LITERATURE if c not in part.columns]
        if missing:
            raise FormatError(file, 1, f"the table must have the column {missing[0]!r}, got none")
        for name in ("value", "std", "temperature_C"):
            try:
                part[name] = [float(cell or "nan") for cell in part[name]]
            except ValueError as err:
                raise FormatError(file, None, f"{name} must be numbers: {err}") from err
        part["stated"] = part["stated"] == "yes"
        part["temperature"] = part["temperature_C"] + ZERO_CELSIUS
        part["file"] = file.name
        parts.append(part.drop(columns="temperature_C"))
    return pd.concat(parts, ignore_index=True)


_LITERATURE = (
    "material",
    "quantity",
    "value",
    "std",
    "unit",
    "temperature_C",
    "method",
    "uncertainty",
    "stated",
    "source",
    "doi",
    "note",
)


def _literature() -> Path:
    package = Path(__file__).resolve().parents[1]
    for root in (package.parent, package / "_share"):
        folder = root / "data" / "samples" / "literature"
        if folder.is_dir():
            return folder
    return package / "_share" / "data" / "samples" / "literature"

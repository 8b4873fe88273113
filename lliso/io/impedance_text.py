"""Impedance spectra from text exports: generic CSV, ZPlot, Gamry, BioLogic.

What decides is what the file says of itself in its first lines, not its ending. The layouts of
ZPlot, Gamry and BioLogic are known from files that the package impedance.py carries as examples.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lliso.errors import FormatError
from lliso.io._text_table import decode
from lliso.schema import hash_of_bytes

if TYPE_CHECKING:
    import xarray as xr

#: layout -> what it is and whether a real file of it was read
LAYOUTS = {
    "zplot": "ZPlot/ZView .z (Scribner); tried on the layout of one public file",
    "gamry": "Gamry .DTA (EISPOT, ZCURVE table); tried on the layout of one public file",
    "biologic": "BioLogic EC-Lab .mpt text; tried on the layout of one public file",
    "csv": "columns of frequency, Z' and Z'' with a header, or three bare columns",
}

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$")
_FREQUENCY = re.compile(r"^(f|freq\w*)(?![a-z])", re.IGNORECASE)
_REAL = re.compile(r"(z'(?!')|re\(?z|z_?re|zreal|^real|z1\b|^r\b)", re.IGNORECASE)
_IMAGINARY = re.compile(r"(z''|z\"|im\(?z|z_?im|zimag|^-?\s*imag|z2\b)", re.IGNORECASE)
_FACTORS = {"mhz": 1e6, "khz": 1e3, "hz": 1.0}
_OHMS = {"mohm": 1e6, "kohm": 1e3, "ohm": 1.0}


def read_impedance(path: str | os.PathLike[str], *, layout: str | None = None) -> xr.Dataset:
    r"""Read an impedance spectrum.

    Parameters
    ----------
    path : str or os.PathLike
        A text export.
    layout : {"csv", "zplot", "gamry", "biologic"}, optional
        Found out from the contents by default.

    Returns
    -------
    xarray.Dataset
        ``z_real`` and ``z_imag`` (Ω; capacitive is negative) along ``frequency`` (Hz), in the
        order of the file. Points at frequency 0 (open circuit) are left out.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If the file is empty, damaged, or holds no columns of frequency, Z′ and Z″.
    ValueError
        If `layout` is another word.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "cell.csv"
    ...     _ = file.write_text("freq (kHz),Z' (ohm),-Z'' (ohm)\n1,100,5\n10,90,12\n")
    ...     spectrum = read_impedance(file)
    >>> spectrum.frequency.values.tolist(), spectrum.z_imag.values.tolist()
    ([1000.0, 10000.0], [-5.0, -12.0])
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}; check the spelling")
    if layout is not None and layout not in LAYOUTS:
        raise ValueError(f"layout must be one of {', '.join(LAYOUTS)}, got {layout!r}")
    data = path.read_bytes()
    lines = decode(path, data).split("\n")
    found = layout or layout_of(lines)
    header, first, last = _table(path, lines, found)
    names = _cells(header, _separator(header)) if header else []
    values, decimal_comma = _numbers(path, lines, first, last)
    columns, signs, factors = _columns(path, names, values.shape[1], first)
    with np.errstate(over="ignore"):  # what is too large for a number is refused below
        f, real, imag = (values[:, c] * k for c, k in zip(columns, factors, strict=True))
    keep = f != 0
    return _dataset(
        path,
        (f[keep], real[keep], signs * imag[keep]),
        {
            "layout": found,
            "map_id": hash_of_bytes(data),
            "source": path.name,
            "decimal_comma": int(decimal_comma),
        },
        first,
    )


def layout_of(lines: list[str]) -> str:
    """Return the layout that the first lines of a file speak of, a key of `LAYOUTS`."""
    head = "\n".join(lines[:200])
    if lines[0].startswith("EC-Lab ASCII"):
        return "biologic"
    if lines[0].strip().upper().startswith("ZPLOT") or "End Comments" in head:
        return "zplot"
    if any(line.startswith(("ZCURVE", "EXPLAIN")) for line in lines):
        return "gamry"
    return "csv"


def is_impedance_header(line: str) -> bool:
    """Tell whether a line names columns of frequency, Z′ and Z″."""
    names = _cells(line.lstrip("#% "), _separator(line))
    real = [n for n in names if _REAL.search(n) and not _IMAGINARY.search(n)]
    others = [any(p.search(n) for n in names) for p in (_FREQUENCY, _IMAGINARY)]
    return bool(real) and all(others)


def _table(path: Path, lines: list[str], layout: str) -> tuple[str, int, int]:
    """Header line, and first and last line of the numbers (from 0, end excluded)."""
    if layout == "zplot":
        at = _find(path, lines, lambda s: s.strip().startswith("End Comments"), "End Comments")
        return (lines[at - 1].strip() if at else ""), at + 1, len(lines)
    if layout == "gamry":
        at = _find(path, lines, lambda s: s.startswith("ZCURVE"), "a ZCURVE table")
        if at + 3 > len(lines):
            raise FormatError(path, at + 1, "the ZCURVE table must have rows; is it cut off?")
        stop = at + 3
        while stop < len(lines) and lines[stop].startswith("\t"):
            stop += 1
        return lines[at + 1].strip(), at + 3, stop
    if layout == "biologic":
        at = _find(path, lines, lambda s: s.startswith("Nb header lines"), "Nb header lines")
        count = re.search(r":\s*(\d+)", lines[at])
        n = int(count.group(1)) if count else 0
        if not 2 < n <= len(lines):
            raise FormatError(
                path, at + 1, f"the number of header lines must be in the file, got {n}"
            )
        return lines[n - 1].strip(), n, len(lines)
    for number, line in enumerate(lines):
        cells = _cells(line, _separator(line))
        if len(cells) >= 3 and all(_is_number(c) for c in cells[:3]):
            above = lines[number - 1].lstrip("#% ") if number else ""
            return above, number, len(lines)
    raise FormatError(
        path, None, "the file must hold columns of frequency, Z' and Z'', got no row of 3 numbers"
    )


def _find(path: Path, lines: list[str], test: object, what: str) -> int:
    for number, line in enumerate(lines):
        if callable(test) and test(line):
            return number
    raise FormatError(path, None, f"the file must hold {what}, got none; is it cut off?")


def _separator(line: str) -> str | None:
    return next((s for s in ("\t", ";", ",") if s in line), None)


def _cells(line: str, separator: str | None) -> list[str]:
    return [cell.strip().strip('"') for cell in line.strip().split(separator)]


def _is_number(cell: str) -> bool:
    return bool(_NUMBER.match(cell.replace(",", ".")))


def _numbers(path: Path, lines: list[str], first: int, last: int) -> tuple[np.ndarray, bool]:
    rows: list[list[float]] = []
    comma = False
    for number in range(first, last):
        if not lines[number].strip():
            continue
        cells = _cells(lines[number], _separator(lines[number]))
        comma = comma or any("," in cell for cell in cells)
        rows.append([_value(cell) for cell in cells])
        if len(rows[-1]) != len(rows[0]):
            raise FormatError(
                path,
                number + 1,
                f"every row must have {len(rows[0])} cells, got {len(rows[-1])}; is the file cut "
                "off?",
            )
    if not rows:
        raise FormatError(path, first + 1, "the file must hold a spectrum, got no rows of numbers")
    return np.array(rows, dtype=float), comma


def _value(cell: str) -> float:
    return float(cell.replace(",", ".")) if _is_number(cell) else float("nan")


def _columns(
    path: Path, names: list[str], width: int, first: int
) -> tuple[tuple[int, int, int], float, tuple[float, float, float]]:
    """Columns of f, Z′, Z″, the sign of the last, and their factors."""
    if not names or all(_is_number(n) for n in names) or not any(n for n in names):
        if width < 3:
            raise FormatError(path, first + 1, f"a row must have 3 columns, got {width}")
        return (0, 1, 2), 1.0, (1.0, 1.0, 1.0)
    found = []
    for what, pattern in (("frequency", _FREQUENCY), ("Z'", _REAL), ("Z''", _IMAGINARY)):
        at = [k for k, n in enumerate(names) if pattern.search(n) and k < width]
        # Z″ looks like Z′ too, and a phase or modulus column like neither.
        at = [k for k in at if what != "Z'" or not _IMAGINARY.search(names[k])]
        if not at:
            raise FormatError(
                path, first, f"a column must be {what}, got the columns {', '.join(names)}"
            )
        found.append(at[0])
    f, real, imag = found
    sign = -1.0 if names[imag].lstrip("( ").startswith(("-", "−", "–")) else 1.0
    factors = (
        _factor(names[f], _FACTORS),
        _factor(names[real], _OHMS),
        _factor(names[imag], _OHMS),
    )
    return (f, real, imag), sign, factors


def _factor(name: str, known: dict[str, float]) -> float:
    text = name.replace("Ω", "ohm").replace("Ω", "ohm")
    if re.search(r"m(?:[Hh]z|[Oo]hm)", text):  # milli; a capital M is mega
        return 1e-3
    return next((k for unit, k in known.items() if unit in text.lower()), 1.0)


def _dataset(
    path: Path, columns: tuple[np.ndarray, ...], attrs: dict[str, str | int], first: int
) -> xr.Dataset:
    import xarray as xr

    f, real, imag = columns
    if not (np.isfinite(f) & np.isfinite(real) & np.isfinite(imag)).all():
        raise FormatError(path, first + 1, "frequency, Z' and Z'' must be numbers in every row")
    if np.any(f < 0) or f.size == 0:
        raise FormatError(path, first + 1, "frequencies must be positive, got others or none")
    return xr.Dataset(
        {
            "z_real": ("frequency", real, {"units": "ohm"}),
            "z_imag": ("frequency", imag, {"units": "ohm"}),
        },
        {"frequency": ("frequency", f, {"units": "Hz"})},
        attrs,
    )

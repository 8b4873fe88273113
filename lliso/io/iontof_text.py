"""Depth profiles that IONTOF SurfaceLab exported as text.

The layout is that of real files: a line on smoothing, a line of ion names, one of m/z, one of
column titles, then ``point, sputter time, dose, fluence, total, ions...``. Columns without m/z are
computed by SurfaceLab (ratios, sums) and left out.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lliso.__about__ import __version__
from lliso.errors import FormatError
from lliso.io._reader import hash_of_files
from lliso.io._text_table import decode
from lliso.io.iontof_ascii import clean_ion
from lliso.schema import COUNTS, SPECIES

if TYPE_CHECKING:
    import xarray as xr

    from lliso._types import FloatArray

POINT = "point"
#: before the ions: number of the point, sputter time, dose and fluence
_FIXED = 4
_ELEMENT = re.compile(r"[A-Z][a-z]?")


def kind_of(head: bytes) -> str:
    """Return "depth profile", "spectrum", "mass intervals" or "" from the first bytes.

    Examples
    --------
    >>> kind_of(b"# Binning: 200 channels"), kind_of(b"1,2,3")
    ('spectrum', '')
    """
    text = head.removeprefix(b"\xef\xbb\xbf")
    if text.startswith((b"# Profile", b"#Data Point")):
        return "depth profile"
    if text.startswith((b"# Binning", b"Channel\t")):
        return "spectrum"
    return "mass intervals" if text.startswith(b"No.\t") else ""


def read_depth_profile(path: str | os.PathLike[str], *, partial: bool = False) -> xr.Dataset:
    """Read a depth profile that IONTOF SurfaceLab exported as text.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    partial : bool, default False
        Read the whole lines of a file that ends early; the attribute ``partial`` is then 1.

    Returns
    -------
    xarray.Dataset
        ``counts(species, point)`` and ``total(point)``, with ``sputter_time`` (s), ``dose`` (ions)
        and ``fluence`` (1/cm²) along point, ``mass`` (m/z) and ``ion`` (name as in the file) along
        species. The attribute ``left_out`` lists the computed columns, ``dead_time_corrected`` is
        "yes" if counts are not whole numbers: SurfaceLab has corrected them then, and their
        variance is larger than their value.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If the file is damaged, smoothed or no depth profile.
    """
    import xarray as xr

    path = existing(path)
    data = path.read_bytes()
    lines = decode(path, data).split("\n")
    lines, cut = whole_lines(path, lines, partial)
    titles = _profile_header(path, lines)
    names, masses = cells(lines[1]), cells(lines[2])
    values = _profile_rows(path, lines, len(titles))
    columns = [i for i, m in enumerate(masses) if i > _FIXED and m != "N/A"]
    mass = np.array([_mass(path, masses[i]) for i in columns])
    counts = _counts(path, values[:, columns].T, [names[i] for i in columns])
    whole = np.array_equal(counts, np.rint(counts))
    time, dose = values[:, 1], values[:, 2]
    for what, axis in (("sputter time", time), ("dose", dose)):
        if np.any(np.diff(axis) <= 0):
            line = 5 + int(np.argmax(np.diff(axis) <= 0)) + 1
            raise FormatError(path, line, f"the {what} must grow from line to line; damaged")
    return xr.Dataset(
        {
            COUNTS: ((SPECIES, POINT), counts, {"units": "1", "long_name": "counts"}),
            "total": (POINT, values[:, _FIXED], {"units": "1", "long_name": "all ions"}),
        },
        coords={
            SPECIES: _species([names[i] for i in columns], mass),
            "ion": (SPECIES, [names[i] for i in columns]),
            "mass": (SPECIES, mass, {"units": "m/z"}),
            POINT: (POINT, values[:, 0].astype(int)),
            "sputter_time": (POINT, time, {"units": "s"}),
            "dose": (POINT, dose, {"units": "1"}),
            "fluence": (POINT, values[:, 3], {"units": "1/cm2"}),
        },
        attrs={
            "map_id": hash_of_files([(path.name, data)]),
            "instrument": "IONTOF",
            "source": path.name,
            "simulated": 0,
            # Whole numbers of few counts may be corrected too; only the others show it.
            "dead_time_corrected": "unknown" if whole else "yes",
            "left_out": ", ".join(
                n for i, n in enumerate(names) if i > _FIXED and i not in columns
            ),
            "history": f"read {path.name} as IONTOF depth profile (lliso {__version__})",
            **({"partial": 1} if cut else {}),
        },
    )


def existing(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file that is there."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}; check the spelling")
    return path


def cells(line: str) -> list[str]:
    """Return the cells of a line with tabs, without an empty last one."""
    found = [c.strip() for c in line.split("\t")]
    return found[:-1] if found and not found[-1] else found


def whole_lines(path: Path, lines: list[str], partial: bool) -> tuple[list[str], bool]:
    """Return the lines that end with a line break."""
    if not lines[-1]:
        return lines[:-1], False
    if partial:
        return lines[:-1], True
    raise FormatError(
        path,
        len(lines),
        "the last line must end with a line break: the file ends early; copy or export it again, "
        "or read its whole lines with partial=True",
    )


def _profile_header(path: Path, lines: list[str]) -> list[str]:
    """Check the four lines above the numbers; return the titles of the columns."""
    if len(lines) < 5:
        raise FormatError(path, len(lines), "a depth profile must have 4 header lines and rows")
    if "smoothing is disabled" not in lines[0].lower():
        raise FormatError(
            path,
            1,
            f"smoothing must be disabled, the file says {lines[0][:60]!r}; smoothed counts have no "
            "counting statistics: export the profile again without",
        )
    titles = cells(lines[3])
    if len(titles) <= _FIXED + 1 or not titles[0].startswith("#Data Point"):
        raise FormatError(
            path,
            4,
            "the line must be the titles of the columns, beginning with "
            f"'#Data Point #', got {lines[3][:40]!r}; damaged or another export",
        )
    wanted = ("sputter time", "dose", "fluence")
    for title, name in zip(titles[1:_FIXED], wanted, strict=True):
        if not title.lower().startswith(name):
            raise FormatError(path, 4, f"a column must be {name}, got {title[:30]!r}")
    if any(t != "Intensity" for t in titles[_FIXED:]):
        raise FormatError(
            path, 4, "the columns of ions must be intensities; export without concentrations"
        )
    for number in (2, 3):
        n = len(cells(lines[number - 1]))
        if n != len(titles):
            raise FormatError(
                path, number, f"the line must have {len(titles)} cells, got {n}; it is damaged"
            )
    if cells(lines[1])[_FIXED].lower() != "total":
        raise FormatError(path, 2, "the first column of ions must be the total; another export")
    return titles


def _profile_rows(path: Path, lines: list[str], width: int) -> FloatArray:
    rows = []
    for number, line in enumerate(lines[4:], start=5):
        found = cells(line)
        if len(found) != width:
            raise FormatError(
                path,
                number,
                f"the line must have {width} cells, got {len(found)}; it is damaged: export it "
                "again",
            )
        try:
            if "_" in line:
                raise ValueError(line)
            row = [float(c) for c in found]
        except ValueError as err:
            raise FormatError(path, number, "every cell must be a number; damaged") from err
        if row[0] != number - 4:
            raise FormatError(
                path, number, f"this must be point {number - 4}, got {row[0]:g}; lines are missing"
            )
        rows.append(row)
    return np.array(rows)


def _mass(path: Path, cell: str) -> float:
    try:
        mass = float(cell)
    except ValueError:
        mass = float("nan")
    if not 0 < mass < 1e6:
        raise FormatError(path, 3, f"m/z must be a positive number or N/A, got {cell[:20]!r}")
    return mass


def _counts(path: Path, counts: FloatArray, names: list[str]) -> FloatArray:
    bad = ~np.isfinite(counts) | (counts < 0) | (counts > 2**53)
    if bad.any():
        i, k = (int(v[0]) for v in np.nonzero(bad))
        raise FormatError(
            path, 5 + k, f"counts of {names[i]} must be finite and not negative, got {counts[i, k]}"
        )
    return counts


def _species(names: list[str], mass: FloatArray) -> list[str]:
    """Return labels: SurfaceLab leaves out the mass number of the most abundant isotope."""
    labels = []
    for name, m in zip(names, mass, strict=True):
        label = clean_ion(name)
        labels.append(f"{round(m)}{label}" if _ELEMENT.fullmatch(label) else label)
    twice = {label for label in labels if labels.count(label) > 1}
    labels = [
        f"{label} (m/z {m:.4f})" if label in twice else label
        for label, m in zip(labels, mass, strict=True)
    ]
    return [
        f"{label} no. {i}" if labels.count(label) > 1 else label for i, label in enumerate(labels)
    ]

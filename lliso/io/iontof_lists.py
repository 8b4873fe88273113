"""Spectra and lists of mass intervals that IONTOF SurfaceLab exported as text.

Spectrum (the layout is that of real files): ``Channel  m/z  Intensity`` below two lines that state
binning and dead-time correction. List of mass intervals (known from other programs only): ``Area``
over ``Uncorrected Area`` is the dead-time correction that was applied.
"""

from __future__ import annotations

import os
import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.errors import FormatError
from lliso.io._reader import hash_of_files
from lliso.io._text_table import decode
from lliso.io.iontof_text import cells, existing, whole_lines
from lliso.schema import COUNTS

if TYPE_CHECKING:
    import xarray as xr

    from lliso._types import FloatArray

_INTERVAL_COLUMNS = ("Center Mass (u)", "Lower Mass (u)", "Upper Mass (u)")


#: flight times are of some ten million channels at most
_MOST_CHANNELS = 2**31 - 1


def read_spectrum(path: str | os.PathLike[str], *, partial: bool = False) -> xr.Dataset:
    """Read a mass spectrum that IONTOF SurfaceLab exported as text.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    partial : bool, default False
        Read the whole lines of a file that ends early; the attribute ``partial`` is then 1.

    Returns
    -------
    xarray.Dataset
        ``counts(channel)`` with the coordinate ``mz``; attributes ``binning`` (channels per line)
        and ``dead_time_corrected``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If the file is damaged or no spectrum.
    """
    import xarray as xr

    path = existing(path)
    data = path.read_bytes()
    lines, cut = whole_lines(path, decode(path, data).split("\n"), partial)
    start = next((i for i, s in enumerate(lines[:20]) if s.startswith("Channel\t")), None)
    if start is None or cells(lines[start])[1:] != ["m/z", "Intensity"]:
        raise FormatError(
            path, 1, "a spectrum must have the titles 'Channel', 'm/z', 'Intensity'; another export"
        )
    header = "\n".join(lines[:start])
    binning = re.search(r"Binning:\s*(\d{1,9})\b", header)
    dead_time = re.search(r"Deadtime Correction:\s*(on|off)\b", header, re.IGNORECASE)
    values = _plain_rows(path, lines, start + 1, 3)
    _check_channels(path, values, start + 2, int(binning[1]) if binning else None)
    corrected = "unknown" if dead_time is None else dead_time[1].lower()
    return xr.Dataset(
        {COUNTS: ("channel", values[:, 2], {"units": "1"})},
        coords={
            "channel": values[:, 0].astype(np.int64),
            "mz": ("channel", values[:, 1], {"units": "m/z"}),
        },
        attrs={
            "map_id": hash_of_files([(path.name, data)]),
            "instrument": "IONTOF",
            "source": path.name,
            "dead_time_corrected": {"on": "yes", "off": "no"}.get(corrected, corrected),
            **({"binning": int(binning[1])} if binning else {}),
            **({"partial": 1} if cut else {}),
        },
    )


def _plain_rows(path: Path, lines: list[str], start: int, width: int) -> FloatArray:
    rows = []
    for number, line in enumerate(lines[start:], start=start + 1):
        try:
            row = [float(c) for c in cells(line)]
        except ValueError:
            row = []
        if len(row) != width or "_" in line or not np.isfinite(row).all() or min(row) < 0:
            raise FormatError(
                path,
                number,
                f"the line must have {width} numbers, finite and not negative, got "
                f"{line[:40]!r}; the file is damaged: export it again",
            )
        rows.append(row)
    if not rows:
        raise FormatError(path, start + 1, "the file must hold rows of numbers; it ends early")
    return np.array(rows)


def _check_channels(path: Path, values: FloatArray, first: int, binning: int | None) -> None:
    """Every line is one bin further; only the last bin may be shorter."""
    if values[:, 0].max() > _MOST_CHANNELS or np.any(values[:, 0] % 1):
        raise FormatError(
            path, first, f"channels must be whole and at most {_MOST_CHANNELS}; damaged"
        )
    steps = np.diff(values[:, 0])
    expected = binning if binning else (steps[0] if steps.size else 0.0)
    bad = steps[:-1] != expected if steps.size > 1 else np.zeros(0, dtype=bool)
    if bad.any() or np.any(steps <= 0) or np.any(steps > expected):
        k = int(np.argmax((steps != expected) if not bad.any() else bad))
        raise FormatError(
            path,
            first + k + 1,
            f"channels must grow by {expected:g}, got a step of {steps[k]:g}: lines are missing or "
            "damaged; export it again",
        )
    falls = np.diff(values[:, 1]) <= 0
    if falls.any():
        raise FormatError(
            path, first + int(np.argmax(falls)) + 1, "m/z must grow from line to line; damaged"
        )


# --- mass intervals ---


def read_mass_intervals(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read a list of mass intervals of IONTOF SurfaceLab.

    Parameters
    ----------
    path : str or os.PathLike
        The file.

    Returns
    -------
    xarray.Dataset
        ``mass``, ``mass_lower``, ``mass_upper`` (m/z) along ``interval``, with the coordinate
        ``assignment``; where the file has them, ``area`` and ``uncorrected_area`` (counts) and
        ``dead_time_factor``, their ratio: what SurfaceLab's correction multiplied the counts by.
        The attribute ``overlapping_windows`` names intervals that overlap.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If the file is damaged or no such list.
    """
    import xarray as xr

    path = existing(path)
    data = path.read_bytes()
    lines, _ = whole_lines(path, decode(path, data).split("\n"), partial=False)
    titles = cells(lines[0])
    missing = [t for t in ("No.", *_INTERVAL_COLUMNS, "Assignment") if t not in titles]
    if missing:
        raise FormatError(path, 1, f"a list of mass intervals needs the columns {missing}")
    rows = [_interval(path, number, s, titles) for number, s in enumerate(lines[1:], start=2) if s]
    if not rows:
        raise FormatError(path, 2, "the list must hold an interval; the file ends early")
    mz = np.array([[row[t] for t in _INTERVAL_COLUMNS] for row in rows])
    bad = ~((mz[:, 1] <= mz[:, 0]) & (mz[:, 0] <= mz[:, 2]) & (mz[:, 1] >= 0))
    if bad.any():
        raise FormatError(
            path, 2 + int(np.argmax(bad)), "an interval must have lower <= centre <= upper; damaged"
        )
    names = [str(row["Assignment"]) for row in rows]
    ds = xr.Dataset(
        {n: ("interval", mz[:, i], {"units": "m/z"}) for i, n in enumerate(_MASS_NAMES)},
        coords={"assignment": ("interval", names)},
        attrs={"source": path.name, "instrument": "IONTOF"},
    )
    if overlaps := _overlaps(names, mz):
        ds.attrs["overlapping_windows"] = overlaps
    if "Area" in titles and "Uncorrected Area" in titles:
        area = np.array([row["Area"] for row in rows])
        raw = np.array([row["Uncorrected Area"] for row in rows])
        if np.any(area < raw * (1 - 1e-6)):
            raise FormatError(
                path,
                2 + int(np.argmax(area < raw * (1 - 1e-6))),
                "the corrected area must not be below the uncorrected one; damaged",
            )
        factor = np.divide(area, raw, out=np.full_like(area, np.nan), where=raw > 0)
        ds = ds.assign(
            area=("interval", area, {"units": "1"}),
            uncorrected_area=("interval", raw, {"units": "1"}),
            dead_time_factor=("interval", factor, {"units": "1"}),
        )
    return ds


_MASS_NAMES = ("mass", "mass_lower", "mass_upper")


def _interval(path: Path, number: int, line: str, titles: list[str]) -> dict[str, Any]:
    found = [c.strip() for c in line.split("\t")]
    if len(found) == len(titles) + 1 and not found[-1]:
        found = found[:-1]
    if len(found) != len(titles):
        raise FormatError(
            path, number, f"the line must have {len(titles)} cells, got {len(found)}; damaged"
        )
    row: dict[str, Any] = dict(zip(titles, found, strict=True))
    for title in (*_INTERVAL_COLUMNS, "Area", "Uncorrected Area"):
        if title in row:
            try:
                row[title] = float(row[title])
            except ValueError:
                row[title] = float("nan")
            if not np.isfinite(row[title]) or row[title] < 0:
                raise FormatError(
                    path, number, f"{title} must be a number and not negative; damaged"
                )
    return row


def _overlaps(names: list[str], mz: FloatArray) -> str:
    """Name the neighbouring intervals that overlap (those wider than 1 are totals)."""
    narrow = sorted(
        (low, high, name or f"m/z {centre:g}")
        for (centre, low, high), name in zip(mz, names, strict=True)
        if high - low < 1.0
    )
    return "; ".join(f"{a[2]} with {b[2]}" for a, b in pairwise(narrow) if b[0] < a[1])

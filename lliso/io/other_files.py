"""Files that are no maps but that lliso reads: what is in them, and the function to use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from lliso.errors import FormatError
from lliso.io import other_tables
from lliso.io.depth import check_depth
from lliso.io.imagej import read_lines
from lliso.io.iontof_lists import read_mass_intervals, read_spectrum
from lliso.io.iontof_text import POINT, kind_of, read_depth_profile
from lliso.io.profiles import is_profile_table, read_profile
from lliso.maps.cuts import DISTANCE
from lliso.schema import COUNTS, LI6, LI7, SPECIES

Lines = list[tuple[str, str]]

#: kind -> what to do with such a file
USE = {
    "depth profile": "an IONTOF depth profile, no image: read it with lliso.read_profile",
    "spectrum": "an IONTOF spectrum, no image: read it with lliso.io.read_spectrum",
    "mass intervals": "a list of mass intervals, no image: read it with "
    "lliso.io.read_mass_intervals",
    "line analysis": "a table of a line analysis, no image: read it with lliso.read_profile",
    "lines of ImageJ": "lines drawn in ImageJ, no image: read them with lliso.read_cuts",
    **other_tables.USE,
}


def other_kind(head: bytes, path: Path) -> str:
    """Return the kind of a file that is no map, a key of `USE`, or ""."""
    if path.is_dir():
        # Only where nothing else is there: profiles may lie beside the images of a sample.
        images = (".txt", ".asc", ".csv", ".tif", ".tiff")
        files = [p for p in path.iterdir() if p.is_file() and p.suffix.lower() in images]
        return "depth profile" if files and all(_is_depth_profile(p) for p in files) else ""
    if head.startswith(b"Iout"):
        return "lines of ImageJ"
    if head.startswith(b"PK") and path.suffix.lower() == ".zip":
        return "lines of ImageJ"
    if kind := kind_of(head) or other_tables.table_kind(head, path):
        return kind
    text = path.suffix.lower() in (".csv", ".txt", ".tsv", ".dat")
    return "line analysis" if text and is_profile_table(path, head) else ""


def _is_depth_profile(path: Path) -> bool:
    if path.suffix.lower() != ".txt":
        return False
    with path.open("rb") as file:
        return kind_of(file.read(64)) == "depth profile"


def describe_other(kind: str, path: Path) -> str:
    """Say what is in a file that is no map, and what is missing to use it.

    Raises
    ------
    FormatError
        If the file is damaged.
    """
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.is_file() and _is_depth_profile(p))
        parts = [describe_other(kind, p) for p in files]
        return "\n".join([f"{path.name}: {len(files)} depth profiles", *parts])
    lines = [("format", f"{kind}: {USE[kind]}"), *_TELL[kind](path)]
    return "\n".join([path.name, *(f"  {key:<20} {value}" for key, value in lines)])


def _depth_profile(path: Path) -> Lines:
    ds = read_depth_profile(path)
    species = [str(s) for s in ds[SPECIES].values]
    time, fluence = ds["sputter_time"].values, ds["fluence"].values
    lines = [
        ("species", f"{len(species)}: {', '.join(species[:10])}{', ...' * (len(species) > 10)}"),
        ("size", f"{ds.sizes[POINT]} points, sputter time {time[0]:g} to {time[-1]:g} s"),
        ("fluence", f"{fluence[0]:.3g} to {fluence[-1]:.3g} ions/cm2"),
        ("dead_time_corrected", str(ds.attrs["dead_time_corrected"])),
    ]
    if ds.attrs["left_out"]:
        lines.append(("left out (computed)", str(ds.attrs["left_out"])))
    missing = ["the position on the line: read_profile(..., positions=[...]) in um"]
    if {LI6, LI7} <= set(species):
        first, second = (ds[COUNTS].sel({SPECIES: s}).values for s in (LI6, LI7))
        check = check_depth(first, second, time)
        trend = f"trend in depth {check.trend:+.2g} (z = {check.z:.1f})"
        fraction = f"{check.fraction:.4g}, {trend}, chi2_red = {check.chi2_red:.2f}"
        lines.append(("6Li fraction", fraction))
    else:
        missing += [f"the species {s}" for s in (LI6, LI7) if s not in species]
    if ds.attrs["dead_time_corrected"] == "yes":
        missing.append(
            "the size of the dead-time correction, for the variance: intervals=, the list of mass "
            "intervals"
        )
    return [*lines, ("missing", "; ".join(missing))]


def _spectrum(path: Path) -> Lines:
    ds = read_spectrum(path)
    mz, counts = ds["mz"].values, ds[COUNTS].values
    top = float(mz[int(np.argmax(counts))])
    return [
        ("size", f"{mz.size} bins of {ds.attrs.get('binning', '?')} channels"),
        ("m/z", f"{mz[0]:g} to {mz[-1]:g}"),
        ("counts", f"{counts.sum():,.0f}, most ({counts.max():,.0f}) at m/z {top:.4f}"),
        ("dead_time_corrected", str(ds.attrs["dead_time_corrected"])),
        ("missing", "images: a spectrum serves to choose mass windows"),
    ]


def _mass_intervals(path: Path) -> Lines:
    ds = read_mass_intervals(path)
    names = [
        str(n) or f"m/z {m:g}"
        for n, m in zip(ds["assignment"].values, ds["mass"].values, strict=True)
    ]
    lines = [("intervals", f"{len(names)}: {', '.join(names[:10])}{', ...' * (len(names) > 10)}")]
    lines.append(("overlapping", str(ds.attrs.get("overlapping_windows", "none"))))
    if "dead_time_factor" not in ds:
        return [*lines, ("missing", "the areas with and without dead-time correction")]
    factor = ds["dead_time_factor"].values
    known = factor[np.isfinite(factor)]
    span = f"{known.min():.4f} to {known.max():.4f}" if known.size else "unknown: no counts"
    return [*lines, ("dead-time factor", span), ("missing", "nothing; use it as intervals=")]


def _line_analysis(path: Path) -> Lines:
    ds = read_profile(path)
    x = ds[DISTANCE].values
    totals = zip(ds[SPECIES].values, ds[COUNTS].sum(DISTANCE).values, strict=True)
    have = [str(s) for s in ds[SPECIES].values]
    return [
        ("species", ", ".join(have)),
        ("size", f"{x.size} points from {x[0]:g} to {x[-1]:g} um"),
        ("counts", ", ".join(f"{s} {n:,.0f}" for s, n in totals)),
        ("dead_time_corrected", str(ds.attrs["dead_time_corrected"])),
        (
            "missing",
            "; ".join(f"the species {s}" for s in (LI6, LI7) if s not in have) or "nothing",
        ),
    ]


def _imagej(path: Path) -> Lines:
    found, others = read_lines(path)
    lines = [
        (name[:20], f"({x1:g}, {y1:g}) to ({x2:g}, {y2:g}) px, {width:g} px wide")
        for name, (x1, y1, x2, y2), width in found
    ]
    if others:
        lines.append(("left out", ", ".join(others)))
    return [*lines, ("missing", "the map they were drawn on: read_cuts(path, map)")]


_TELL: dict[str, Callable[[Path], Lines]] = {
    "depth profile": _depth_profile,
    "spectrum": _spectrum,
    "mass intervals": _mass_intervals,
    "line analysis": _line_analysis,
    "lines of ImageJ": _imagej,
    **other_tables.TELL,
}


def refuse(kind: str, path: Path) -> FormatError:
    """Return the error for a file of another kind where a map is wanted."""
    return FormatError(path, None, f"this is {USE[kind]}; `lliso info` says what is in it")

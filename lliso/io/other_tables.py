"""Orientation maps, impedance spectra, tables of conductivities and picks: what is in them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lliso.errors import FormatError
from lliso.io.ebsd import NOT_INDEXED, read_ebsd
from lliso.io.impedance_text import is_impedance_header, layout_of, read_impedance
from lliso.io.tables import is_conductivity_header, read_conductivities
from lliso.schema import X, Y

Lines = list[tuple[str, str]]

USE = {
    "orientation map": "an orientation map of EBSD, no counts: read it with lliso.read_ebsd, and "
    "its grains with lliso.grains_of_orientations",
    "impedance spectrum": "an impedance spectrum, no image: read it with lliso.read_impedance",
    "conductivities": "a table over temperature, no image: read it with lliso.read_conductivities",
    "picks": "picks (cuts and boundaries) of a map, no counts: load them with lliso.Picks.load",
}
_TEXT = (".csv", ".txt", ".tsv", ".dat")


def table_kind(head: bytes, path: Path) -> str:
    """Return the kind of a file by its first bytes and its name, a key of `USE`, or ""."""
    suffix = path.suffix.lower()
    if head.startswith(b"Channel Text File") or (suffix == ".ang" and head.startswith(b"#")):
        return "orientation map"
    if suffix == ".json" and b'"boundaries"' in head and b'"cuts"' in head:
        return "picks"
    lines = head.decode("utf-8", "replace").splitlines()
    if not lines or b"\0" in head:
        return ""
    if layout_of(lines) != "csv":
        return "impedance spectrum"
    if suffix not in _TEXT:
        return ""
    first = next((s for s in lines if s.strip() and not s.lstrip().startswith("#")), "")
    if is_impedance_header(first):
        return "impedance spectrum"
    return "conductivities" if is_conductivity_header(first) else ""


def _orientation_map(path: Path) -> Lines:
    ds = read_ebsd(path)
    phase = ds["phase"].values
    nx, ny = ds.sizes[X], ds.sizes[Y]
    steps = [float(ds[k][1] - ds[k][0]) if ds.sizes[k] > 1 else np.nan for k in (X, Y)]
    indexed = float(np.mean(phase != NOT_INDEXED))
    names = ", ".join(str(p) for p in np.unique(phase[phase != NOT_INDEXED]))
    return [
        ("size", f"{nx} x {ny} points (x, y), steps of {steps[0]:g} x {steps[1]:g} um"),
        ("phases", names or "none"),
        ("indexed", f"{indexed:.1%} of the points"),
        (
            "missing",
            "landmarks, to lay it onto a map (lliso.fit_registration)"
            if indexed
            else "orientations: no point was indexed",
        ),
    ]


def _impedance_spectrum(path: Path) -> Lines:
    ds = read_impedance(path)
    f, z = ds["frequency"].values, ds["z_real"].values
    upward = float(np.mean(ds["z_imag"].values > 0))
    return [
        ("layout", str(ds.attrs.get("layout", ""))),
        ("size", f"{f.size} points from {f.min():.4g} to {f.max():.4g} Hz"),
        ("Z'", f"{z.min():.4g} to {z.max():.4g} ohm"),
        ("Z'' > 0 (inductive)", f"{upward:.0%} of the points"),
        ("missing", "the sample's thickness and area, for a conductivity"),
    ]


def _conductivities(path: Path) -> Lines:
    ds = read_conductivities(path)
    t = ds["temperature"].values
    columns = ", ".join(f"{n} ({ds[n].attrs['units']})" for n in ds)
    return [
        ("size", f"{t.size} temperatures from {t.min():g} to {t.max():g} K"),
        ("columns", columns or "none"),
        ("missing", "nothing" if len(ds) else "a column beside the temperature"),
    ]


def _picks(path: Path) -> Lines:
    from lliso.maps.picks import Picks

    try:
        picks = Picks.load(path)
    except (ValueError, TypeError, KeyError) as err:
        if isinstance(err, FormatError):
            raise
        raise FormatError(path, None, re.sub(r"\s+", " ", str(err))) from err
    return [
        ("size", f"{len(picks.cuts)} cuts, {len(picks.boundaries)} boundaries"),
        ("missing", "the map they were made on"),
    ]


TELL: dict[str, Callable[[Path], Lines]] = {
    "orientation map": _orientation_map,
    "impedance spectrum": _impedance_spectrum,
    "conductivities": _conductivities,
    "picks": _picks,
}

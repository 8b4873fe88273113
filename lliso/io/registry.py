"""The list of readers, and what is done with it: read, write, describe, convert.

A new format is a module with a `READER` and one more entry in `READERS`; the order is that of
trying, special formats before general ones.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lliso.errors import FormatError
from lliso.io import (
    bif6,
    cameca_im,
    csv_matrix,
    imzml,
    iontof_ascii,
    ita,
    netcdf,
    npz,
    openmims,
    simsh5,
    tiff,
    zarr_store,
)
from lliso.io._reader import (
    ONE_UM_PER_PIXEL,
    FieldOfView,
    FovMissing,
    Options,
    Reader,
)
from lliso.io.other_files import describe_other, other_kind, refuse
from lliso.schema import COUNTS, FRAME, LI6, LI7, SPECIES, X, Y, hash_of_bytes, pixel_size

if TYPE_CHECKING:
    import xarray as xr

    Chunks = Mapping[Hashable, int] | int | str

READERS: list[Reader] = [
    simsh5.READER,
    netcdf.READER,
    zarr_store.READER,
    npz.READER,
    bif6.READER,
    cameca_im.READER,
    ita.READER,
    imzml.READER,
    tiff.READER,
    openmims.READER,
    iontof_ascii.READER,
    csv_matrix.READER,
]

_HEAD_BYTES = 4096
#: formats that no program outside the instrument's maker reads: the way round them
_EXPORT_FIRST = (".itm", ".itmx", ".itax", ".itrx", ".raw")


def formats() -> list[Reader]:
    """Return the formats lliso reads, in the order in which they are tried.

    Examples
    --------
    >>> [reader.name for reader in formats()][:4]
    ['simsh5', 'netcdf', 'zarr', 'npz']
    """
    return list(READERS)


def read_map(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002 - the word a user looks for
    fov: FieldOfView | None = None,
    partial: bool = False,
    shots: int | None = None,
    chunks: Chunks | None = None,
    windows: Mapping[str, tuple[float, float]] | None = None,
) -> xr.Dataset:
    """Read a map of counts.

    Parameters
    ----------
    path : str or os.PathLike
        A file, or a folder of files with one ion each.
    format : str, optional
        Name of the format (see `formats`); found out from the contents by default.
    fov : float, str or pair of them, optional
        Field of view for files that do not state it: the full ``(x, y)`` size of the image in µm,
        or one number for a square image. Strings with a unit work too: ``("0.5 mm", "200 um")``.
    partial : bool, default False
        Read what is whole of a file that was cut off (frames, images); the map then has the
        attribute ``partial`` = 1.
    shots : int, optional
        Primary ion pulses per pixel (and frame): no counter with one stop per pulse can exceed it.
        Checked, and kept as the variable ``shots``.
    chunks : mapping, int or "auto", optional
        Return dask arrays of this chunking; netCDF then stays on disk until it is needed.
    windows : mapping of str to (float, float), optional
        For formats that hold spectra: species and their lower and upper m/z, such as
        ``{"6Li": (5.95, 6.08), "7Li": (6.95, 7.09)}``.

    Returns
    -------
    xarray.Dataset
        ``counts(species, [frame], y, x)``, with x and y in µm from the lower left edge.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder.
    FormatError
        If the format is not known, or the file damaged or incomplete.
    ValueError
        If `format`, `fov`, `shots` or `windows` make no sense.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from lliso.schema import make_map
    >>> m = make_map([[[5, 7]], [[95, 93]]], ["6Li", "7Li"], x=[0.5, 1.5], y=[0.5])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_map(m, pathlib.Path(folder) / "map.nc")
    ...     read_map(pathlib.Path(folder) / "map.nc").equals(m)
    True
    """
    path = _existing(path)
    reader = _named(format) if format is not None else _find(path)
    if path.is_dir() and not reader.folders:
        raise FormatError(
            path, None, f"the format '{reader.name}' needs a file, got a folder; give the file"
        )
    if windows is not None and not reader.windows:
        raise ValueError(
            f"windows must be given for formats that hold spectra only, got them for "
            f"'{reader.name}', whose images are made already"
        )
    options = Options(fov=fov, partial=partial, chunks=chunks, windows=windows)
    ds = reader.read(path, options)
    if fov is not None or windows is not None:
        # Read otherwise, the same bytes are another map: picks are in µm and on these counts.
        size = (float(ds[X].values[-1]), float(ds[Y].values[-1]))
        chosen = f"{size} {sorted((windows or {}).items())}"
        ds.attrs["map_id"] = hash_of_bytes(str(ds.attrs["map_id"]).encode(), chosen.encode())
    if shots is not None:
        ds = _with_shots(ds, shots, path)
    ds = ds if chunks is None else ds.chunk(chunks)
    ds.encoding["source"] = str(path.absolute())  # as xarray itself keeps it: not part of the data
    return ds


def write_map(ds: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write a map to netCDF or zarr, without loss; `read_map` gives the same map back.

    The file appears when it is complete: it is written aside and then put in place.

    Parameters
    ----------
    ds : xarray.Dataset
        A map.
    path : str or os.PathLike
        Where to; must end in ``.nc``, or in ``.zarr`` for a folder of chunks. A map there is
        replaced.

    Returns
    -------
    pathlib.Path
        The path.

    Raises
    ------
    ValueError
        If the name has another ending, or `ds` is not a map.
    TypeError
        If an attribute is neither a plain string nor a number.
    FileNotFoundError
        If the folder does not exist.
    """
    path = Path(path)
    writer = next((m for m in (netcdf, zarr_store) if path.suffix.lower() in m.EXTENSIONS), None)
    if writer is None:
        raise ValueError(f"the name of a map file must end in .nc or .zarr, got {path.name!r}")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"the folder {path.parent} must exist before {path.name} is written"
        )
    writer.write(ds, path)
    return path


def convert(
    src: str | os.PathLike[str],
    dst: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002
    fov: FieldOfView | None = None,
    partial: bool = False,
) -> Path:
    """Read any known format and write netCDF; see `read_map` and `write_map`.

    Raises
    ------
    ValueError
        If the result would replace the file it is made from.
    """
    if Path(dst).exists() and Path(src).exists() and Path(dst).samefile(src):
        raise ValueError(
            f"the result must not replace its input, got {os.fspath(dst)!r} for both; "
            "give another name"
        )
    return write_map(read_map(src, format=format, fov=fov, partial=partial), dst)


def describe(path: str | os.PathLike[str], *, fov: FieldOfView | None = None) -> str:
    """Say what is in a file and what is missing to use it, for ``lliso info``.

    Raises
    ------
    FileNotFoundError, FormatError
        As `read_map`; a missing field of view is part of the answer, not an error.
    """
    path = _existing(path)
    if kind := other_kind(_head(path), path):
        return describe_other(kind, path)
    reader = _find(path)
    missing = []
    try:
        ds = reader.read(path, Options(fov=fov))
    except FovMissing:
        ds = reader.read(path, Options(fov=ONE_UM_PER_PIXEL))
        missing.append("the field of view, which the file does not state: fov=(x, y) in um")
    lines = [("format", f"{reader.name}: {reader.description}{_untried(reader)}")]
    lines += _size_lines(ds, known=not missing)
    totals = _totals(ds)
    lines.append(("counts", ", ".join(f"{s} {n:,.0f}" for s, n in totals.items())))
    for name in ("map_id", "stage", "instrument", "dead_time_corrected", "orientation", "partial"):
        if str(ds.attrs.get(name, "")):
            lines.append((name, str(ds.attrs[name])))
    lines.append(("simulated", "yes" if ds.attrs.get("simulated") else "no"))
    missing += [f"the species {s}" for s in (LI6, LI7) if s not in totals]
    missing += [f"counts of {s} (all are zero)" for s, n in totals.items() if n == 0]
    lines.append(("missing", "; ".join(missing) or "nothing: ready for isotope fractions"))
    lines += [("history", line) for line in str(ds.attrs.get("history", "")).splitlines()]
    return "\n".join([path.name, *(f"  {key:<20} {value}" for key, value in lines)])


def _size_lines(ds: xr.Dataset, *, known: bool) -> list[tuple[str, str]]:
    nx, ny = ds.sizes[X], ds.sizes[Y]
    frames = f", {ds.sizes[FRAME]} frames" if FRAME in ds.sizes else ""
    lines = [
        ("species", ", ".join(str(s) for s in ds[SPECIES].values)),
        ("size", f"{nx} x {ny} pixels (x, y){frames}, {ds[COUNTS].dtype}"),
    ]
    if not known or nx < 2 or ny < 2:
        return [*lines, ("field of view", "unknown")]
    dx, dy = pixel_size(ds)
    extent = f"{nx * dx:g} x {ny * dy:g} um (x, y), pixels of {dx:.4g} x {dy:.4g} um"
    return [*lines, ("field of view", extent)]


def _totals(ds: xr.Dataset) -> dict[str, float]:
    counts = ds[COUNTS]
    sums = counts.sum([d for d in counts.dims if d != SPECIES]).values
    return {str(s): float(n) for s, n in zip(ds[SPECIES].values, sums, strict=True)}


def _untried(reader: Reader) -> str:
    return "" if reader.seen else " (not yet tried on a real file)"


def _existing(path: str | os.PathLike[str]) -> Path:
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {str(path)!r}; check the spelling")
    return path


def _named(name: str) -> Reader:
    for reader in READERS:
        if reader.name == name:
            return reader
    raise ValueError(f"format must be one of {', '.join(r.name for r in READERS)}, got {name!r}")


def _head(path: Path) -> bytes:
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise FormatError(path, 0, "the file is empty; copy or export it again")
    return head


def _find(path: Path) -> Reader:
    head = _head(path)
    if kind := other_kind(head, path):
        raise refuse(kind, path)
    for reader in READERS:
        if reader.sniff(head, path):
            return reader
    raise FormatError(path, None, _unknown(path))


def _unknown(path: Path) -> str:
    known = "; ".join(f"{r.name} ({r.description})" for r in READERS)
    suffix = path.suffix.lower()
    if path.is_dir():
        reason = "the folder holds no file that lliso can read"
    elif suffix in _EXPORT_FIRST:
        reason = (
            f"{suffix} files of the instrument's own software cannot be read; export images as "
            "BIF6 or as ASCII from SurfaceLab (see docs/formats.md)"
        )
    else:
        claims = [r.name for r in READERS if suffix in r.extensions]
        damaged = f"; by its name it should be {claims[0]}: is it damaged?" if claims else ""
        reason = f"the contents are of no format that lliso knows{damaged}"
    return f"{reason}. lliso reads: {known}"


def _with_shots(ds: xr.Dataset, shots: int, path: Path) -> xr.Dataset:
    if shots < 1:
        raise ValueError(f"shots must be a whole number of at least 1, got {shots}")
    peak = float(ds[COUNTS].max())
    if ds.attrs["dead_time_corrected"] != "yes" and peak > shots:
        raise FormatError(
            path,
            None,
            f"a pixel must not hold more counts than the {shots} shots, got {peak:g}; the file is "
            "damaged, or shots is not the number per pixel",
        )
    return ds.assign(shots=((), int(shots), {"long_name": "primary ion pulses per pixel"}))

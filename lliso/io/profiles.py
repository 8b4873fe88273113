"""Line analyses: counts per species at positions along a line, from a table or depth profiles."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lliso.__about__ import __version__
from lliso.errors import FormatError
from lliso.io import netcdf
from lliso.io._iontof_image import _DEAD_TIME_LINE
from lliso.io._line import MICROMETRES, line_dataset
from lliso.io._line_of_depths import head_of, line_of_profiles, profiles_in
from lliso.io._per_ion import checked_counts
from lliso.io._reader import Options, hash_of_files
from lliso.io._text_table import decode, read_table
from lliso.io.iontof_ascii import clean_ion
from lliso.io.iontof_text import kind_of
from lliso.maps.cuts import DISTANCE
from lliso.schema import COUNTS, LI6, LI7, SPECIES

if TYPE_CHECKING:
    import xarray as xr

    PathLike = str | os.PathLike[str]
    Positions = Sequence[float | str] | Mapping[str, float | str]

_POSITION = re.compile(r"(position|distance|pos\.?|x|y|z)(?![A-Za-z])", re.IGNORECASE)
_LENGTH_UNIT = re.compile(r"(?<![A-Za-z])(nm|um|µm|μm|microns?|mm|cm)(?![A-Za-z])", re.IGNORECASE)
_NO_COUNTS = re.compile(r"cps|fraction|ratio|/|%|error|sigma|std|±", re.IGNORECASE)


def read_profile(
    path: PathLike | Sequence[PathLike],
    *,
    positions: Positions | None = None,
    isotopes: tuple[str, str] = (LI6, LI7),
    sputter_time: tuple[float, float] | None = None,
    intervals: PathLike | None = None,
    partial: bool = False,
) -> xr.Dataset:
    r"""Read a line analysis: counts per species at positions along a line.

    From a table (CSV or TXT: a column of positions and one of counts per species, named in the
    line above), from netCDF as ``lliso simulate --what profile`` writes it, or from IONTOF depth
    profiles, one per point of the line: a file, a list of files or a folder. Each depth profile is
    tested for a fraction that is the same at all depths, and its counts are summed.

    Parameters
    ----------
    path : str, os.PathLike or sequence of them
        A table, a depth profile, several depth profiles, or a folder of depth profiles.
    positions : sequence or mapping, optional
        For depth profiles: the positions on the line in µm (or texts with a unit), in the order
        of the list (of a folder: of the sorted names), or by file name. Default: the length in
        each file name, such as ``LLTO 1200um.txt``.
    isotopes : tuple of str, default ("6Li", "7Li")
        The two species whose fraction is tested in depth.
    sputter_time : tuple of float, optional
        Only points of the depth profiles from the first to the second sputter time (s), both
        included: what lies above is the surface.
    intervals : str or os.PathLike, optional
        SurfaceLab's list of mass intervals of these profiles: gives the dead-time correction that
        was applied, and with it the variable ``variance``.
    partial : bool, default False
        Read the whole lines of depth profiles that end early; marked by ``partial`` = 1.

    Returns
    -------
    xarray.Dataset
        ``counts(species, distance)``, distance in µm, growing. From depth profiles also, along
        distance: ``depth_trend`` (change of the fraction from the first to the last point),
        ``depth_trend_z`` (Cochran–Armitage), ``depth_chi2_red``, ``depth_uniform`` and
        ``depth_points``. Counts corrected for dead time by the instrument's software stay as they
        are, with ``dead_time_corrected`` = "yes": do not correct them again, and their variance
        is larger than their value (by `intervals` or not at all).

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    FormatError
        If a file is damaged, or holds no counts.
    ValueError
        If positions are missing or do not fit the files, or `isotopes` are not in them.

    Warns
    -----
    LlisoWarning
        If the fraction of a depth profile is not uniform.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "line.csv"
    ...     _ = file.write_text("position (mm),6Li,7Li\n0.0,60,40\n0.5,30,70\n")
    ...     profile = read_profile(file)
    >>> profile.distance.values, profile.counts.sel(species="6Li").values
    (array([  0., 500.]), array([60, 30], dtype=int32))
    """
    if isinstance(path, (str, os.PathLike)):
        single = Path(path)
        if not single.exists():
            raise FileNotFoundError(f"there is no file or folder {str(path)!r}; check the spelling")
        files = profiles_in(single) if single.is_dir() else [single]
        if not single.is_dir() and kind_of(head_of(single)) != "depth profile":
            if positions is not None or sputter_time is not None or intervals is not None:
                raise ValueError(
                    f"positions, sputter_time and intervals must be given for depth profiles only, "
                    f"got them for {single.name!r}, which has positions of its own"
                )
            own = head_of(single).startswith((b"\x89HDF", b"CDF"))
            found = _netcdf(single) if own else _table(single)
            found.encoding["source"] = str(single.absolute())
            return found
    else:
        files = [Path(p) for p in path]
        if not files:
            raise ValueError("path must name at least one file, got an empty list")
    return line_of_profiles(files, positions, isotopes, sputter_time, intervals, partial)


# --- lliso's own file ---


def _netcdf(path: Path) -> xr.Dataset:
    """Read ``counts(species, distance)`` as a simulation writes it."""
    ds = netcdf.open_sound(path, Options())
    if COUNTS not in ds or set(ds[COUNTS].dims) != {SPECIES, DISTANCE}:
        found = ", ".join(f"{k}{tuple(v.dims)}" for k, v in ds.data_vars.items())
        raise FormatError(
            path, None, f"a line analysis needs counts(species, distance), got {found or 'nothing'}"
        )
    checked_counts(path, ds[COUNTS].transpose(SPECIES, DISTANCE).values, "yes")
    return ds


# --- a table ---


def is_profile_table(path: Path, head: bytes) -> bool:
    """Return True for a text with a named column of positions, from its first bytes."""
    try:
        lines = decode(path, head[: len(head) // 2 * 2]).split("\n")
        # The last line of the head may be cut anywhere.
        table = read_table(path, "\n".join([*(lines[:-1] if len(lines) > 2 else lines), ""]))
    except FormatError:
        return False
    named = len(table.names) == table.values.shape[1] and _POSITION.match(table.names[0])
    return bool(named) and table.names[1:2] != () and table.names[1].lower() != "y"


def _table(path: Path) -> xr.Dataset:
    data = path.read_bytes()
    table = read_table(path, decode(path, data))
    if table.ends_open:
        raise FormatError(
            path,
            table.lines[-1],
            "the last line must end with a line break, or its last number may have been cut off; "
            "export again, or add the line break if the file is whole",
        )
    names = table.names
    if not 1 < len(names) == table.values.shape[1] or _POSITION.match(names[0]) is None:
        raise FormatError(
            path,
            table.lines[0],
            "the line above the numbers must name the columns: first 'position (um)', then the "
            f"species, such as 'position (um);6Li;7Li'; got {', '.join(names) or 'no names'}",
        )
    bad = [n for n in names[1:] if _NO_COUNTS.search(n)]
    if bad:
        raise FormatError(
            path,
            table.header[-1][0],
            f"columns must be counts, got {', '.join(bad)}: errors come from the counts; give the "
            "counts of each isotope and leave other columns out",
        )
    species = [_label(n) for n in names[1:]]
    if len(set(species)) < len(species) or not all(species):
        raise FormatError(path, table.header[-1][0], f"species must differ, got {names[1:]}")
    unit = _LENGTH_UNIT.search(names[0][1:])
    scale = 1.0 if unit is None else MICROMETRES.get(unit[1].lower(), 1.0)
    distance = table.values[:, 0] * scale
    stated = _DEAD_TIME_LINE.search("\n".join(s for _, s in table.header))
    corrected = "" if stated is None else ("yes" if stated[1].lower() in ("on", "yes") else "no")
    counts = checked_counts(path, table.values[:, 1:].T, corrected)
    return line_dataset(
        distance,
        species,
        counts,
        {
            "map_id": hash_of_files([(path.name, data)]),
            "instrument": "unknown",
            "source": path.name,
            "dead_time_corrected": corrected or "unknown",
            "history": f"read {path.name} as table of a line analysis (lliso {__version__})",
        },
        path,
    )


def _label(name: str) -> str:
    plain = re.sub(r"[(\[].*?[)\]]|\bcounts\b|\bN\b", "", name, flags=re.IGNORECASE)
    return clean_ion(plain.strip(" _:"))

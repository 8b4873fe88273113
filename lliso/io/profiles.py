"""Line analyses: counts per species at positions along a line, from a table or depth profiles."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso import units
from lliso.__about__ import __version__
from lliso.errors import FormatError, LlisoWarning
from lliso.io import netcdf
from lliso.io._iontof_image import _DEAD_TIME_LINE
from lliso.io._per_ion import checked_counts
from lliso.io._reader import Options, hash_of_files
from lliso.io._text_table import decode, read_table
from lliso.io.depth import DepthCheck, check_depth
from lliso.io.iontof_ascii import clean_ion
from lliso.io.iontof_lists import read_mass_intervals
from lliso.io.iontof_text import POINT, kind_of, read_depth_profile
from lliso.maps.cuts import DISTANCE
from lliso.schema import COUNTS, LI6, LI7, SPECIES

if TYPE_CHECKING:
    import xarray as xr

    from lliso._types import FloatArray

    PathLike = str | os.PathLike[str]
    Positions = Sequence[float | str] | Mapping[str, float | str]

_POSITION = re.compile(r"(position|distance|pos\.?|x|y|z)(?![A-Za-z])", re.IGNORECASE)
_LENGTH_UNIT = re.compile(r"(?<![A-Za-z])(nm|um|µm|μm|microns?|mm|cm)(?![A-Za-z])", re.IGNORECASE)
_MICROMETRES = {"nm": 1e-3, "um": 1.0, "µm": 1.0, "μm": 1.0, "mm": 1e3, "cm": 1e4}
_NO_COUNTS = re.compile(r"cps|fraction|ratio|/|%|error|sigma|std|±", re.IGNORECASE)
#: a length in a file name; its minus needs a blank, a "_" or the beginning before it
_IN_NAME = re.compile(r"((?:(?<![^\s_(])-)?\d+(?:[.,]\d+)?)\s*(nm|um|µm|μm|mm)(?![A-Za-z])")


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
        files = _profiles_in(single) if single.is_dir() else [single]
        if not single.is_dir() and kind_of(_head(single)) != "depth profile":
            if positions is not None or sputter_time is not None or intervals is not None:
                raise ValueError(
                    f"positions, sputter_time and intervals must be given for depth profiles only, "
                    f"got them for {single.name!r}, which has positions of its own"
                )
            own = _head(single).startswith((b"\x89HDF", b"CDF"))
            found = _netcdf(single) if own else _table(single)
            found.encoding["source"] = str(single.absolute())
            return found
    else:
        files = [Path(p) for p in path]
        if not files:
            raise ValueError("path must name at least one file, got an empty list")
    return _line(files, positions, isotopes, sputter_time, intervals, partial)


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
    scale = 1.0 if unit is None else _MICROMETRES.get(unit[1].lower(), 1.0)
    distance = table.values[:, 0] * scale
    stated = _DEAD_TIME_LINE.search("\n".join(s for _, s in table.header))
    corrected = "" if stated is None else ("yes" if stated[1].lower() in ("on", "yes") else "no")
    counts = checked_counts(path, table.values[:, 1:].T, corrected)
    return _dataset(
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


def _dataset(
    distance: FloatArray, species: list[str], counts: Any, attrs: dict[str, Any], path: Path
) -> xr.Dataset:
    import xarray as xr

    order = np.argsort(distance, kind="stable")
    if np.any(np.diff(distance[order]) <= 0):
        twice = distance[order][1:][np.diff(distance[order]) <= 0][0]
        raise FormatError(
            path, None, f"every position must occur once, got {twice:g} um again; sum its counts"
        )
    ds = xr.Dataset(
        {COUNTS: ((SPECIES, DISTANCE), counts, {"units": "1", "long_name": "counts"})},
        coords={SPECIES: species, DISTANCE: (DISTANCE, distance, {"units": "um"})},
        attrs={"simulated": 0, "stage": "", **attrs},
    )
    return ds.isel({DISTANCE: order})


# --- depth profiles ---


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(64)


def _profiles_in(folder: Path) -> list[Path]:
    files = [p for p in sorted(folder.iterdir()) if p.is_file() and p.suffix.lower() == ".txt"]
    files = [p for p in files if kind_of(_head(p)) == "depth profile"]
    if not files:
        raise FormatError(
            folder, None, "the folder must hold depth profiles of IONTOF (.txt), found none"
        )
    return files


def _line(
    files: list[Path],
    positions: Positions | None,
    isotopes: tuple[str, str],
    sputter_time: tuple[float, float] | None,
    intervals: PathLike | None,
    partial: bool,
) -> xr.Dataset:
    distance = _positions(files, positions)
    profiles = [_windowed(f, read_depth_profile(f, partial=partial), sputter_time) for f in files]
    common = [
        str(s)
        for s in profiles[0][SPECIES].values
        if all(s in p[SPECIES].values for p in profiles[1:])
    ]
    missing = [s for s in isotopes if s not in common]
    if missing:
        raise ValueError(
            f"isotopes must be in every profile, {' and '.join(missing)} are not; they hold "
            f"{', '.join(common[:12])}... Give isotopes=(..., ...)"
        )
    corrected = {str(p.attrs["dead_time_corrected"]) for p in profiles}
    # One profile of few counts may by chance show whole numbers: the export was the same for all.
    state = "yes" if "yes" in corrected else corrected.pop()
    profiles = [p.sel({SPECIES: common}) for p in profiles]
    counts = np.stack([p[COUNTS].sum(POINT).values for p in profiles], axis=1)
    whole = np.array_equal(counts, np.rint(counts))
    checks = [
        check_depth(
            p[COUNTS].sel({SPECIES: isotopes[0]}).values,
            p[COUNTS].sel({SPECIES: isotopes[1]}).values,
            p["sputter_time"].values,
        )
        for p in profiles
    ]
    _warn(files, checks)
    attrs = _line_attrs(files, profiles, state, isotopes, sputter_time)
    ds = _dataset(distance, common, counts.astype(np.int64) if whole else counts, attrs, files[0])
    order = np.argsort(distance, kind="stable")
    columns = {
        "depth_trend": [c.trend for c in checks],
        "depth_trend_z": [c.z for c in checks],
        "depth_chi2_red": [c.chi2_red for c in checks],
        "depth_uniform": [c.uniform for c in checks],
        "depth_points": [p.sizes[POINT] for p in profiles],
    }
    ds = ds.assign({n: (DISTANCE, np.array(v)[order]) for n, v in columns.items()})
    ds = ds.assign_coords(mass=(SPECIES, profiles[0]["mass"].values, {"units": "m/z"}))
    return ds if intervals is None else _with_variance(ds, intervals, isotopes)


def _line_attrs(
    files: list[Path],
    profiles: list[xr.Dataset],
    dead_time: str,
    isotopes: tuple[str, str],
    sputter_time: tuple[float, float] | None,
) -> dict[str, Any]:
    return {
        "map_id": hash_of_files((f.name, f.read_bytes()) for f in files),
        "instrument": "IONTOF",
        "source": ", ".join(f.name for f in files),
        "dead_time_corrected": dead_time,
        "depth_isotopes": "/".join(isotopes),
        "history": f"summed {len(files)} depth profiles, {_window_text(sputter_time)} "
        f"(lliso {__version__})",
        **({"partial": 1} if any("partial" in p.attrs for p in profiles) else {}),
    }


def _positions(files: list[Path], positions: Positions | None) -> FloatArray:
    """Return the positions in µm, as given or from the names of the files."""
    if positions is None:
        found = [_IN_NAME.findall(f.stem) for f in files]
        for f, lengths in zip(files, found, strict=True):
            if len(lengths) != 1:
                raise ValueError(
                    f"the position of {f.name!r} must be given: its name holds {len(lengths)} "
                    "lengths. Pass positions=[...] in um, in the order of the files, or one for "
                    "each file name"
                )
        return np.array(
            [float(v.replace(",", ".")) * _MICROMETRES[u] for [(v, u)] in found], dtype=float
        )
    if isinstance(positions, Mapping):
        missing = [f.name for f in files if f.name not in positions and f.stem not in positions]
        if missing:
            raise ValueError(f"positions must name every file, {', '.join(missing)} is missing")
        given = [positions[f.name if f.name in positions else f.stem] for f in files]
    else:
        given = list(positions)
        if len(given) != len(files):
            raise ValueError(
                f"positions must be one for each of the {len(files)} profiles, got {len(given)}"
            )
    return np.array([units.parse_quantity(p, units.LENGTH, "position") for p in given])


def _windowed(
    path: Path, profile: xr.Dataset, sputter_time: tuple[float, float] | None
) -> xr.Dataset:
    if sputter_time is None:
        return profile
    time = profile["sputter_time"].values
    inside = (time >= sputter_time[0]) & (time <= sputter_time[1])
    if not inside.any():
        raise ValueError(
            f"sputter_time must overlap the profile {path.name!r} of {time[0]:g} to {time[-1]:g} "
            f"s, got {sputter_time[0]:g} to {sputter_time[1]:g} s"
        )
    return profile.isel({POINT: inside})


def _window_text(window: tuple[float, float] | None) -> str:
    return "all depths" if window is None else f"sputter time {window[0]:g} to {window[1]:g} s"


def _warn(files: list[Path], checks: list[DepthCheck]) -> None:
    flagged = [
        f"{f.name} (trend {c.trend:+.3g}, z = {c.z:.1f}, chi2_red = {c.chi2_red:.2f})"
        for f, c in zip(files, checks, strict=True)
        if not c.uniform
    ]
    if flagged:
        more = f" and {len(flagged) - 3} more" if len(flagged) > 3 else ""
        warnings.warn(
            f"the fraction is not the same at all depths in {'; '.join(flagged[:3])}{more}: the "
            "sum mixes depths; choose a part by sputter_time, or leave the point out",
            LlisoWarning,
            stacklevel=4,
        )


def _with_variance(ds: xr.Dataset, intervals: PathLike, isotopes: tuple[str, str]) -> xr.Dataset:
    """Add the variance of counts that a factor f was multiplied to: n = f·raw, so f²·raw = f·n."""
    table = read_mass_intervals(intervals)
    if "dead_time_factor" not in table:
        raise ValueError(
            "intervals must have the columns 'Area' and 'Uncorrected Area'; export it with both"
        )
    lower, upper = table["mass_lower"].values, table["mass_upper"].values
    factor = np.full(ds.sizes[SPECIES], np.nan)
    for i, (name, mass) in enumerate(zip(ds[SPECIES].values, ds["mass"].values, strict=True)):
        inside = np.flatnonzero((lower <= mass) & (mass <= upper))
        if inside.size == 1:
            factor[i] = table["dead_time_factor"].values[inside[0]]
        elif str(name) in isotopes:
            raise ValueError(
                f"intervals must hold exactly one interval with {name} (m/z {mass:g}), got "
                f"{inside.size}; overlapping: {table.attrs.get('overlapping_windows', 'none')}"
            )
    if "overlapping_windows" in table.attrs:
        ds = ds.assign_attrs(overlapping_windows=table.attrs["overlapping_windows"])
    variance = ds[COUNTS] * factor[:, np.newaxis]
    return ds.assign(variance=variance.assign_attrs(units="1")).assign_coords(
        dead_time_factor=(SPECIES, factor, {"units": "1"})
    )

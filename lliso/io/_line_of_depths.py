"""Line analyses of IONTOF: one depth profile for each point of the line, summed over its depth."""

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
from lliso.io._line import MICROMETRES, line_dataset
from lliso.io._reader import hash_of_files
from lliso.io.depth import DepthCheck, check_depth
from lliso.io.iontof_lists import read_mass_intervals
from lliso.io.iontof_text import POINT, kind_of, read_depth_profile
from lliso.maps.cuts import DISTANCE
from lliso.schema import COUNTS, SPECIES

if TYPE_CHECKING:
    import xarray as xr

    from lliso._types import FloatArray

    PathLike = str | os.PathLike[str]
    Positions = Sequence[float | str] | Mapping[str, float | str]

#: a length in a file name; its minus needs a blank, a "_" or the beginning before it
_IN_NAME = re.compile(r"((?:(?<![^\s_(])-)?\d+(?:[.,]\d+)?)\s*(nm|um|µm|μm|mm)(?![A-Za-z])")


def head_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(64)


def profiles_in(folder: Path) -> list[Path]:
    files = [p for p in sorted(folder.iterdir()) if p.is_file() and p.suffix.lower() == ".txt"]
    files = [p for p in files if kind_of(head_of(p)) == "depth profile"]
    if not files:
        raise FormatError(
            folder, None, "the folder must hold depth profiles of IONTOF (.txt), found none"
        )
    return files


def line_of_profiles(
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
    ds = line_dataset(
        distance, common, counts.astype(np.int64) if whole else counts, attrs, files[0]
    )
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
            [float(v.replace(",", ".")) * MICROMETRES[u] for [(v, u)] in found], dtype=float
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

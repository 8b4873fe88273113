"""The line that reads a map or a profile again, for the code that an app shows.

A line is shown only if it gives the same data: what was simulated in the notebook, or changed after
it was read, has no file that gives it. Then the code takes it from the app that is open.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from lliso.errors import LlisoWarning
from lliso.io import read_map, read_profile
from lliso.maps.fraction import sum_frames

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

#: what an app does with data that no file gives
HELD = "the app that is open holds it; no file does"


def read_map_line(ds: xr.Dataset) -> str | None:
    """Return the call that reads a map, or None if no file gives it."""
    path = _file_of(ds)
    if path is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LlisoWarning)  # said when it was read first
            again = read_map(path)
    except (OSError, ValueError):
        return None
    for whole in (again, sum_frames(again)):
        if _same(whole, ds):
            return f"lliso.read_map({_shown(path)!r})"
    return None


def read_profile_line(ds: xr.Dataset) -> str | None:
    """Return the call that reads a profile, or None if no file gives it."""
    path = _file_of(ds)
    if path is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LlisoWarning)
            again = read_profile(path)
    except (OSError, ValueError):
        return None
    return f"lliso.read_profile({_shown(path)!r})" if _same(again, ds) else None


def map_line(variable: str, ds: xr.Dataset, held: str = "app.session.ds") -> str:
    """Return the assignment of a map: read from its file, or taken from the app."""
    call = read_map_line(ds)
    if call is None:
        return f"{variable} = {held}  # {HELD}: lliso.write_map({variable}, 'map.nc') keeps it"
    return f"{variable} = {call}  # map_id {ds.attrs.get('map_id', '')}"


def maps_lines(variable: str, maps: Mapping[str, xr.Dataset], held: str) -> list[str]:
    """Return the assignment of maps by name."""
    calls = {name: read_map_line(ds) for name, ds in maps.items()}
    if None in calls.values():
        return [f"{variable} = {held}  # {HELD}"]
    ids = {name: ds.attrs.get("map_id", "") for name, ds in maps.items()}
    inner = [f"    {name!r}: {call},  # map_id {ids[name]}" for name, call in calls.items()]
    return [f"{variable} = {{", *inner, "}"]


def _file_of(ds: xr.Dataset) -> Path | None:
    source = ds.encoding.get("source")
    return Path(source) if source and Path(source).exists() else None


def _same(one: xr.Dataset, other: xr.Dataset) -> bool:
    return one.equals(other) and one.attrs.get("map_id") == other.attrs.get("map_id")


def _shown(path: Path) -> str:
    """Return the path as a person would write it: from here, if it is near."""
    try:
        near = Path(os.path.relpath(path))
    except ValueError:  # another drive
        return str(path)
    return str(path if near.parts.count("..") > 2 else near.as_posix())

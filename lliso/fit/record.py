"""Results on disk: the table as CSV and netCDF, and a record of what it was made from."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lliso.__about__ import __version__
from lliso.fit.table import table_frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

_PACKAGES = ("numpy", "scipy", "xarray", "lmfit", "matplotlib", "pint", "pydantic", "h5netcdf")


def write_table(table: xr.Dataset, folder: str | os.PathLike[str], name: str) -> list[Path]:
    """Write a table as ``name.csv`` (units in the column names) and ``name.nc``.

    Parameters
    ----------
    table : xarray.Dataset
        Result of `lliso.fit_boundaries`.
    folder : str or os.PathLike
        Made if it is not there.
    name : str
        File name without ending.

    Returns
    -------
    list of pathlib.Path
        The files. Each is written aside and then put in place.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    frame = table_frame(table)
    csv, nc = target / f"{name}.csv", target / f"{name}.nc"
    text = frame.to_csv(float_format="%.6g", lineterminator="\n")
    _in_place(csv, lambda path: path.write_text(text, encoding="utf-8", newline="\n"))
    _in_place(nc, lambda path: table.to_netcdf(path, engine="h5netcdf"))
    return [csv, nc]


def write_record(
    path: str | os.PathLike[str],
    inputs: Mapping[str, str | os.PathLike[str]],
    settings: Mapping[str, Any],
    outputs: list[Path],
) -> Path:
    """Write a JSON record of inputs, settings, versions and outputs, with SHA-256 of each file.

    Parameters
    ----------
    path : str or os.PathLike
        The record's file.
    inputs : mapping of str to path
        What was read, by role.
    settings : mapping
        Plain values that the results depend on.
    outputs : list of pathlib.Path
        What was written.

    Returns
    -------
    pathlib.Path
    """
    record = {
        "lliso": __version__,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "inputs": {
            role: {"file": Path(file).name, "sha256": _sha256(Path(file))}
            for role, file in sorted(inputs.items())
        },
        "settings": dict(settings),
        "outputs": {file.name: _sha256(file) for file in sorted(outputs)},
    }
    text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    target = Path(path)
    _in_place(target, lambda aside: aside.write_text(text, encoding="utf-8", newline="\n"))
    return target


def _in_place(path: Path, write: Any) -> None:
    aside = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        write(aside)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        if path.is_dir():
            digest.update(file.relative_to(path).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"

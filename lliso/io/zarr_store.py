"""zarr: the schema of lliso's netCDF in a folder of chunks, for maps larger than memory.

Stores of zarr's formats 2 and 3 are read, with the package zarr; written is format 2, because the
third has no agreed type for labels yet. What lliso writes is sealed: the file ``lliso.seal`` lists
the CRC-32 of every other file, so that a chunk that is damaged, or lost, is found when the map is
read into memory. Without a seal, a chunk that is not there stands for zeros, by zarr's own rule.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import shutil
import sys
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lliso.errors import FormatError, LlisoWarning
from lliso.io._kept import check_writable, checked, plain
from lliso.io._reader import Options, Reader, hash_of_files
from lliso.io._zarr_chunks import check_blosc, chunks_among, files_in, grid_of
from lliso.schema import COUNTS, add_history

if TYPE_CHECKING:
    import xarray as xr

EXTENSIONS = (".zarr",)
SEAL = "lliso.seal"
#: by how much zstd can shrink zeros
_MOST_SHRUNK = 20_000
#: so many chunks of zeros may be left out, and so many more for each that is there; looking for
#: 90,000 that a damaged shape claims takes ten seconds
_FEW_CHUNKS, _MOST_EMPTY = 1_000, 100
_MARKS = ("zarr.json", ".zgroup", ".zmetadata")


def sniff(head: bytes, path: Path) -> bool:  # noqa: ARG001 - all readers are asked alike
    """Return True for a folder that is a zarr group."""
    return path.is_dir() and any((path / mark).is_file() for mark in _MARKS)


def write(ds: xr.Dataset, path: Path) -> None:
    """Write a map; lazy counts are computed and written chunk by chunk.

    Raises
    ------
    TypeError, ValueError
        If `ds` is not a map, an attribute is not a plain string or number, or there is something
        else than a zarr store at `path`.
    """
    check_writable(ds)
    _need_zarr()
    if path.exists() and not sniff(b"", path):
        raise ValueError(
            f"a zarr store must replace nothing but another one, got {path.name!r}, which is none"
        )
    out = ds.drop_encoding()
    encoding = {
        name: {"_FillValue": None} for name, v in out.variables.items() if v.dtype.kind in "iufb"
    }
    mark = secrets.token_hex(4)
    aside, old = (path.with_name(f".{path.name}.{mark}.{kind}") for kind in ("part", "old"))
    try:
        out.to_zarr(aside, mode="w", zarr_format=2, consolidated=True, encoding=encoding)
        (aside / SEAL).write_bytes(_seal(_sums(aside)))
        if path.exists():
            os.replace(path, old)
        os.replace(aside, path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def read(path: Path, options: Options) -> xr.Dataset:
    """Read a map from a zarr store.

    Parameters
    ----------
    path : pathlib.Path
        The folder.
    options : Options
        With `chunks` the values stay on disk until they are needed (dask), unchecked.

    Returns
    -------
    xarray.Dataset
        The map as it was written.

    Raises
    ------
    FormatError
        If the store is damaged or does not hold a map.
    ModuleNotFoundError
        If the package zarr is missing.
    """
    if options.fov is not None:
        raise ValueError(
            "fov must not be given for a map in zarr, which has its own coordinates; change them "
            "with map.assign_coords(x=..., y=...)"
        )
    _need_zarr()
    sealed = (path / SEAL).is_file()
    if sealed and options.chunks is None:
        _check_seal(path)
    try:
        ds, missing = _open(path, options)
    except FormatError:
        raise
    except Exception as err:  # a damaged store raises any kind of error
        text = (str(err).strip().splitlines() or [type(err).__name__])[0][:120]
        raise FormatError(
            path, None, f"the store is damaged or incomplete ({text}); copy it again"
        ) from err
    ds = checked(ds, path, READER.name, lambda: _hash(path))
    if not missing or sealed:
        return ds
    note = f"{missing} of the counts are not in the store and were read as zeros"
    warnings.warn(
        f"{path.name}: {note}; zarr leaves chunks of zeros out, and so does a copy that was "
        "interrupted",
        LlisoWarning,
        stacklevel=3,
    )
    return add_history(ds, note)


def _open(path: Path, options: Options) -> tuple[xr.Dataset, str]:
    import xarray as xr

    missing = _check_sizes(path)
    chunks: Any = options.chunks
    # The list of all arrays in one file, where there is one: the folder is not searched then.
    listed = (path / ".zmetadata").is_file()
    with warnings.catch_warnings():
        # Reading is a little slower then; the chunks are still what was asked for.
        warnings.filterwarnings("ignore", message="The specified chunks separate")
        ds = xr.open_zarr(
            path, consolidated=listed, chunks=chunks, decode_times=False, mask_and_scale=False
        )
    for name in ("scale_factor", "add_offset"):
        if COUNTS in ds and name in ds[COUNTS].attrs:
            raise FormatError(
                path, None, f"counts must be stored as they are, got them packed with {name}"
            )
    for variable in ds.variables.values():
        variable.attrs.pop("_FillValue", None)
    return plain(ds if chunks is not None else ds.load()), missing


def _check_sizes(path: Path) -> str:
    """Refuse arrays that the files cannot hold; say how many chunks of counts the store lacks.

    An array must not claim more bytes than the whole store can unpack to, nor many more chunks
    than are there, and a chunk packed with Blosc must be as long as its header says
    (`check_blosc`): all this before zarr reads a number.
    """
    import zarr

    files = [f for f in path.rglob("*") if f.is_file()]
    size = sum(f.stat().st_size for f in files)
    missing = ""
    for name, array in zarr.open_group(str(path), mode="r").arrays():
        claimed = math.prod(array.shape) * array.dtype.itemsize
        if claimed > _MOST_SHRUNK * size:
            raise FormatError(
                path,
                None,
                f"array '{name}' claims {claimed} bytes, the whole store has {size}: it is "
                "damaged or incomplete; copy it again",
            )
        there = files_in(path / array.path)
        chunks = math.prod(grid_of(array))
        if chunks > _FEW_CHUNKS + _MOST_EMPTY * len(there):
            raise FormatError(
                path,
                None,
                f"array '{name}' claims {chunks} chunks, {len(there)} are in the store: it is "
                "damaged or incomplete; copy it again",
            )
        stored = chunks_among(there, path / array.path, array)
        check_blosc(path, name, array, stored)
        if name == COUNTS and chunks > len(stored):
            missing = f"{chunks - len(stored)} {'chunks' if array.shards is None else 'shards'}"
    return missing


def _sums(path: Path) -> dict[str, str]:
    """Return the CRC-32 of every file of a store but the seal, by its name in the store."""
    found = {}
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        if not file.is_file() or name == SEAL:
            continue
        crc = 0
        with file.open("rb") as content:
            while block := content.read(2**20):
                crc = zlib.crc32(block, crc)
        found[name] = f"{crc:08x}"
    return found


def _check_seal(path: Path) -> None:
    found = _sums(path)
    text = (path / SEAL).read_bytes()
    if text == _seal(found):
        return
    try:
        stated = dict(json.loads(text))
    except (ValueError, TypeError):
        stated = {}
    wrong = sorted(n for n in {*stated, *found} if stated.get(n) != found.get(n))
    shown = ", ".join(wrong[:3]) + (", ..." if len(wrong) > 3 else "") or SEAL
    raise FormatError(
        path,
        None,
        f"the store is damaged: its files are not those that lliso wrote ({shown}); copy it "
        f"again, or delete {SEAL} if another program changed it on purpose",
    )


def _seal(sums: dict[str, str]) -> bytes:
    return json.dumps(sums, indent=0).encode()


def _hash(path: Path) -> str:
    files = [f for f in path.rglob("*") if f.is_file() and f.name != SEAL]
    return hash_of_files((f.relative_to(path).as_posix(), f.read_bytes()) for f in files)


def _need_zarr() -> Any:
    try:
        import zarr
    except ModuleNotFoundError as err:
        raise ModuleNotFoundError(
            "maps in zarr need the package zarr, got none; "
            f'"{sys.executable}" -m pip install "zarr>=3"'
        ) from err
    return zarr


READER = Reader(
    name="zarr",
    description=f"zarr store (folder) with {COUNTS}(species, [frame], y, x), for large maps",
    extensions=EXTENSIONS,
    sniff=sniff,
    read=read,
    seen=True,
    folders=True,
)

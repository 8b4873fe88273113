"""HDF5 with care: the library trusts its files, lliso does not."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from lliso.errors import FormatError

MAGIC = b"\x89HDF\r\n\x1a\n"
#: processor time that a walk may take at first; none in order took a tenth. By the clock it may
#: take `_PATIENCE` times that: on a busy machine a walk waits, and a good file must not be refused.
WALK_SECONDS = 10.0
_PATIENCE = 12.0
#: An error is no answer yet: what fails here may be something that the reader does not touch, and
#: what comes after it may hang. So all of it is tried. What the reader needs and cannot have goes
#: wrong again in its own process, and is told there.
_WALK = """
import sys
try:
    import resource
    limit = int(float(sys.argv[2])) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
except (ImportError, ValueError):
    pass  # Windows; a stricter limit is set already: the clock alone
import h5py

def tried(step):
    try:
        return step()
    except Exception:
        return None

def look(name, item):
    for key in tried(lambda: list(item.attrs)) or ():
        tried(lambda: item.attrs[key])
    tried(lambda: list(item.attrs.items()))
    if isinstance(item, h5py.Dataset):
        for axis in range(tried(lambda: item.ndim) or 0):
            tried(lambda: len(item.dims[axis]))
            tried(lambda: [scale.name for scale in item.dims[axis].values()])
        tried(lambda: item.id.get_storage_size())
        tried(lambda: item.chunks and item.id.chunk_iter(lambda chunk: None))
        tried(lambda: item.id.get_create_plist())

def inside(group):
    for key in tried(lambda: list(group)) or ():
        item = tried(lambda: group[key])
        if item is None:
            continue
        mark = tried(lambda: h5py.h5o.get_info(item.id).addr)
        if mark in seen:
            continue
        seen.add(mark)
        look(key, item)
        if isinstance(item, h5py.Group):
            inside(item)

seen = set()
with h5py.File(sys.argv[1], "r") as file:
    look("/", file)
    inside(file)
    tried(lambda: file.visititems(look))
"""
#: signals of a process whose processor time is used up (the hard limit may come as SIGKILL)
_OUT_OF_TIME = (9, 24)
#: HDF5's numbers of its filters (H5Zpublic.h), and what a checksum adds to a chunk
_SHUFFLE, _FLETCHER, _CHECKSUM_BYTES = 2, 3, 4
_NO_VALUES = b"This is a netCDF dimension but not a netCDF variable"


def end(path: Path) -> int:
    """Return where HDF5 ends by its own account (superblock), 0 if it does not say.

    HDF5 File Format Specification 3.0, section II.A.
    """
    with path.open("rb") as file:
        head = file.read(48)
    if len(head) < 48 or not head.startswith(MAGIC):
        return 0
    at = {0: 40, 1: 44, 2: 28, 3: 28}.get(head[8], 0)
    return int.from_bytes(head[at : at + 8], "little") if 0 < at <= 40 else 0


def check_walk(path: Path) -> None:
    """Refuse a file in whose tables the HDF5 library would lose its way, or its life.

    A damaged file can make the library run in a circle, or crash, and Python can neither interrupt
    nor catch that. So a process of its own walks through everything but the values first. That
    costs the start of a Python, and is for files that no checksum vouches for.
    """
    size = path.stat().st_size
    if end(path) > size:
        raise FormatError(
            path, size, f"the file must have {end(path)} bytes, got {size}: it ends early; copy it"
        )
    limit = WALK_SECONDS + size / 1e8
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _WALK, str(path), f"{limit:.1f}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit * _PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as err:
        raise _lost(path, limit) from err
    except OSError:  # no Python to start: then without
        return
    if -done.returncode in _OUT_OF_TIME:
        raise _lost(path, limit)
    if done.returncode < 0:
        raise FormatError(
            path, None, "the HDF5 library crashes on the file: it is damaged; copy it again"
        )


def _lost(path: Path, limit: float) -> FormatError:
    return FormatError(
        path,
        None,
        f"the HDF5 library did not find its way through the file within {limit:.0f} s: it is "
        "damaged; copy it again",
    )


def check_sizes(path: Path, most: int, *, lookup: bool = True) -> None:
    """Refuse a file whose header claims other data than its bytes hold.

    HDF5 itself reads zeros, or whatever is in memory, where a chunk is lost, lies elsewhere or is
    not unpacked because a flag says so.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    most : int
        By how much the compression in use can shrink data at most.
    lookup : bool
        Whether to fetch each chunk by its place in the array, as reading will: an index can list
        a chunk and not lead to it, and HDF5 then reads zeros. That reads the whole file.
    """
    import h5py

    size = path.stat().st_size
    places: list[tuple[int, int]] = []
    with h5py.File(path, "r") as file:

        def check(name: str, item: Any) -> None:
            if not isinstance(item, h5py.Dataset) or item.size is None:
                return
            if np.bytes_(item.attrs.get("NAME", b"")).startswith(_NO_VALUES):
                return  # the size of a dimension, without values
            claimed = int(item.size) * item.dtype.itemsize
            stored = int(item.id.get_storage_size())
            if stored > size or claimed > most * stored + 4096:
                raise FormatError(
                    path,
                    None,
                    f"variable '{name}' claims {claimed} bytes but {stored} are stored: the file "
                    "is damaged; copy it again",
                )
            if item.chunks is not None:
                places.extend(_places_of_chunks(path, name, item, lookup))
            elif (offset := item.id.get_offset()) is not None:
                if stored != claimed and item.dtype.kind != "O":  # texts lie elsewhere
                    raise _contradiction(path, name, f"{stored} bytes for {claimed}")
                places.append((offset, offset + stored))

        file.visititems(check)
    places.sort()
    if any(a[1] > b[0] for a, b in itertools.pairwise(places)):
        raise FormatError(path, None, "values lie in the same place: the file is damaged")


def _places_of_chunks(path: Path, name: str, item: Any, lookup: bool) -> list[tuple[int, int]]:
    """Return first and last byte of each chunk, after a look at whether all are there and whole."""
    chunks: list[Any] = []
    item.id.chunk_iter(chunks.append)
    corners = {tuple(c.chunk_offset) for c in chunks}
    grid = zip(item.shape, item.chunks, strict=True)
    expected = math.prod(-(-n // c) for n, c in grid)
    inside = all(
        0 <= at < n and at % c == 0
        for corner in corners
        for at, n, c in zip(corner, item.shape, item.chunks, strict=True)
    )
    if len(chunks) != expected or len(corners) != expected or not inside:
        raise _contradiction(path, name, f"{len(chunks)} chunks for {expected}")
    filters = item.id.get_create_plist()
    codes = [filters.get_filter(i)[0] for i in range(filters.get_nfilters())]
    if item.dtype.kind == "O":
        return []
    whole = math.prod(item.chunks) * item.dtype.itemsize
    for chunk in chunks:
        # Compression that does not pay may be left out, nothing else, and then the size tells.
        left_out = [c for i, c in enumerate(codes) if chunk.filter_mask >> i & 1]
        packed = set(codes) - {_SHUFFLE, _FLETCHER, *left_out}
        fits = packed or chunk.size == whole + (_CHECKSUM_BYTES if _FLETCHER in codes else 0)
        if not fits or set(left_out) & {_SHUFFLE, _FLETCHER} or chunk.filter_mask >> len(codes):
            raise _contradiction(path, name, f"a chunk of {chunk.size} bytes for {whole}")
        if lookup:  # only now: HDF5 writes beyond its memory where a chunk is larger than it should
            item.id.read_direct_chunk(tuple(chunk.chunk_offset))  # an error if it is not found
    return [(c.byte_offset, c.byte_offset + c.size) for c in chunks]


def _contradiction(path: Path, name: str, what: str) -> FormatError:
    return FormatError(
        path,
        None,
        f"the values of variable '{name}' must all be there, got {what}: the file is damaged, or "
        "was never finished; copy it again",
    )


def damaged(path: Path, err: Exception) -> FormatError:
    """Return the error for whatever HDF5 raised: a damaged file can raise anything."""
    text = (str(err).strip().splitlines() or [type(err).__name__])[0][:120]
    return FormatError(path, None, f"the file is damaged or cut short ({text}); copy it again")

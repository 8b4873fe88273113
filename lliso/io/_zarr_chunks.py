"""The chunks of a zarr store as they lie in its files, looked at before zarr reads a number.

A chunk is a file, or a part of one (a shard), which begins or ends with the table of its parts.
The library of Blosc reads on behind a chunk that is shorter than its header says.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lliso.errors import FormatError

_EMPTY = 2**64 - 1
_HEAD = 16


def chunk_files(path: Path, array: Any) -> list[Path]:
    """Return the files that hold chunks of an array, or shards of several."""
    return [
        file
        for file in (path / array.path).rglob("*")
        if not file.name.startswith(".") and file.name != "zarr.json" and file.is_file()
    ]


def check_blosc(path: Path, name: str, array: Any, files: Sequence[Path]) -> None:
    """Compare the headers of all chunks of an array with what is stored.

    Parameters
    ----------
    path : pathlib.Path
        The store.
    name : str
        Of the array, for the message.
    array : zarr.Array
        Arrays that are not packed with Blosc are left alone.
    files : sequence of pathlib.Path
        Its chunks or shards (`chunk_files`).

    Raises
    ------
    FormatError
        If a chunk is not as long as its header says, unpacks to another size than the array's
        chunks have, or lies outside its shard.
    """
    packed = array.compressors
    if not packed or "blosc" not in type(packed[-1]).__name__.lower():
        return
    plain_bytes = not array.filters and array.dtype.kind in "biufU"
    whole = math.prod(array.chunks) * array.dtype.itemsize if plain_bytes else None
    for file in files:
        for size, head in _chunks(path, name, array, file):
            unpacked, _, stored = struct.unpack("<3I", head[4:]) if len(head) == _HEAD else (0,) * 3
            if stored != size or whole not in (None, unpacked):
                raise FormatError(
                    path,
                    None,
                    f"a chunk of '{name}' has {size} bytes, its header promises {stored} for "
                    f"{unpacked} of numbers: it is damaged or incomplete; copy it again",
                )


def _chunks(path: Path, name: str, array: Any, file: Path) -> Iterator[tuple[int, bytes]]:
    """Yield size and first bytes of each chunk in a file."""
    size = file.stat().st_size
    with file.open("rb") as content:
        if array.shards is None:
            yield size, content.read(_HEAD)
            return
        for offset, length in _table(path, name, array, content, size):
            if (offset, length) == (_EMPTY, _EMPTY):
                continue
            if offset + length > size:
                raise _shard(path, name, f"a part at {offset} + {length} of {size} bytes")
            content.seek(offset)
            yield length, content.read(min(_HEAD, length))


def _table(path: Path, name: str, array: Any, content: Any, size: int) -> list[tuple[int, ...]]:
    """Return offset and length of the parts of a shard (specification of zarr 3, sharding)."""
    sharding = array.metadata.codecs[0]
    parts = math.prod(s // c for s, c in zip(array.shards, array.chunks, strict=True))
    checksum = 4 * (len(sharding.index_codecs) - 1)  # CRC-32C is the only other codec of a table
    length = 16 * parts + checksum
    if size < length:
        raise _shard(path, name, f"{size} bytes where the table of {parts} parts needs {length}")
    if str(getattr(sharding.index_location, "value", sharding.index_location)) == "end":
        content.seek(size - length)
    table = content.read(16 * parts)
    return list(struct.iter_unpack("<2Q", table))


def _shard(path: Path, name: str, found: str) -> FormatError:
    return FormatError(
        path, None, f"a shard of '{name}' has {found}: it is damaged or incomplete; copy it again"
    )

"""The chunks of a zarr store as they lie in its files, looked at before zarr reads a number.

A chunk is a file, or a part of one (a shard), which begins or ends with the table of its parts.
The library of Blosc reads on behind a chunk that is shorter than its header says.
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lliso.errors import FormatError

_EMPTY = 2**64 - 1
_HEAD = 16
_SHARDING = "ShardingCodec"


def files_in(folder: Path) -> list[Path]:
    """Return the files in the folder of an array, but those that describe it."""
    return [
        file
        for file in folder.rglob("*")
        if not file.name.startswith(".") and file.name != "zarr.json" and file.is_file()
    ]


def grid_of(array: Any) -> list[int]:
    """Return how many chunks (shards, where there are) an array has along each axis."""
    pieces = zip(array.shape, array.shards or array.chunks, strict=True)
    return [-(-n // max(piece, 1)) for n, piece in pieces]


def chunks_among(files: Sequence[Path], folder: Path, array: Any) -> list[Path]:
    """Return the files that are chunks (or shards) of an array; others may lie beside them."""
    places = itertools.product(*map(range, grid_of(array)))
    keys = {str(array.metadata.encode_chunk_key(place)) for place in places}
    return [file for file in files if file.relative_to(folder).as_posix() in keys]


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
        Its chunks or shards (`chunks_among`).

    Raises
    ------
    FormatError
        If a chunk is not as long as its header says, unpacks to another size than the array's
        chunks have, or lies outside its shard; if shards lie within shards.
    """
    _check_sharding(path, name, array)
    packed = array.compressors
    if not packed or "blosc" not in type(packed[-1]).__name__.lower():
        return
    alone = len(packed) == 1 and not array.filters and array.dtype.kind in "biufU"
    whole = math.prod(array.chunks) * array.dtype.itemsize if alone else None
    for file in files:
        for size, head in _chunks(path, name, array, file):
            known = len(head) == _HEAD
            unpacked, _, stored = struct.unpack("<3I", head[4:]) if known else (0, 0, 0)
            if not known or stored != size or whole not in (None, unpacked):
                raise FormatError(
                    path,
                    None,
                    f"a chunk of '{name}' has {size} bytes, its header promises {stored} for "
                    f"{unpacked} of numbers: it is damaged or incomplete; copy it again",
                )


def _check_sharding(path: Path, name: str, array: Any) -> None:
    """Refuse what `_chunks` could not look into: shards in shards, or under another codec."""
    codecs = getattr(array.metadata, "codecs", ())
    names = [type(codec).__name__ for codec in codecs]
    if _SHARDING not in names:
        return
    inner = [type(codec).__name__ for codec in codecs[names.index(_SHARDING)].codecs]
    if names != [_SHARDING] or _SHARDING in inner:
        raise FormatError(
            path,
            None,
            f"array '{name}' must be sharded once and by nothing else, got {', '.join(names)} of "
            f"{', '.join(inner)}; write it again with plain shards, or without",
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
                raise _damaged_shard(path, name, f"a part at {offset} + {length} of {size} bytes")
            content.seek(offset)
            yield length, content.read(min(_HEAD, length))


def _table(path: Path, name: str, array: Any, content: Any, size: int) -> list[tuple[int, ...]]:
    """Return offset and length of the parts of a shard (specification of zarr 3, sharding)."""
    sharding = array.metadata.codecs[0]
    codecs = {type(codec).__name__: codec for codec in sharding.index_codecs}
    if not {"BytesCodec"} <= codecs.keys() <= {"BytesCodec", "Crc32cCodec"}:
        raise FormatError(
            path,
            None,
            f"the shards of '{name}' must list their parts as plain numbers with or without a "
            f"CRC-32C, got {', '.join(codecs)}; write it again with zarr's own settings",
        )
    order = ">" if str(_value(codecs["BytesCodec"].endian)) == "big" else "<"
    parts = math.prod(s // c for s, c in zip(array.shards, array.chunks, strict=True))
    length = 16 * parts + 4 * ("Crc32cCodec" in codecs)
    if size < length:
        found = f"{size} bytes where the table of {parts} parts needs {length}"
        raise _damaged_shard(path, name, found)
    if _value(sharding.index_location) == "end":
        content.seek(size - length)
    return list(struct.iter_unpack(f"{order}2Q", content.read(16 * parts)))


def _value(choice: Any) -> Any:
    """Return the word of an enumeration, or the word itself."""
    return getattr(choice, "value", choice)


def _damaged_shard(path: Path, name: str, found: str) -> FormatError:
    return FormatError(
        path, None, f"a shard of '{name}' has {found}: it is damaged or incomplete; copy it again"
    )

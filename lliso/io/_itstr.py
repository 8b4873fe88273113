"""The block file of IONTOF's SurfaceLab (``ITStrF01``): a tree of named blocks in one file.

A block is: one byte kind, uint32 25 (the length of what precedes the name), five uint32 (length of
the name, id, number of children, length of the value, again), the name, the value; little-endian.
Kinds 1 and 3 are directories: their value begins with 41 bytes, of which the last 8 are the place
of the directory's continuation (0: none), and goes on with 33 bytes for each child: kind, place of
its name in the value, length of its name, id, a flag, length and place of the child. Kind 0 holds
a value, kind 0x80 one that zlib has compressed. Known from the package pySPM, whose author found
it out; no real file was at hand.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lliso.errors import FormatError

MAGIC = b"ITStrF01"
_HEAD = struct.Struct("<B6I")
_CHILD = struct.Struct("<B4I2Q")
_CHAIN = struct.Struct("<2I25xQ")
_PREAMBLE = 25
_DIRECTORIES, _VALUE, _ZLIB = (1, 3), 0, 0x80
#: no file has more pieces of one directory; a chain that is longer runs in a circle
_LONGEST_CHAIN = 100_000
#: deflate cannot shrink by more than this
_MOST_SHRUNK = 1100


@dataclass(frozen=True)
class Tree:
    """The whole file, and where it came from."""

    path: Path
    data: bytes | mmap.mmap

    def root(self) -> Block:
        """Return the block that holds all others."""
        if self.data[: len(MAGIC)] != MAGIC:
            raise FormatError(
                self.path, 0, f"the file must begin with {MAGIC!r}, got {self.data[:8]!r}"
            )
        return self.block(len(MAGIC))

    def block(self, at: int) -> Block:
        """Return the block at a place, all of which lies within the file."""
        if at < len(MAGIC) or at + _HEAD.size > len(self.data):
            raise FormatError(
                self.path,
                len(self.data),
                f"a block must begin at byte {at}, the file has {len(self.data)}: it ends early or "
                "is damaged; copy it again",
            )
        kind, preamble, n_name, number, n, length, _ = _HEAD.unpack_from(self.data, at)
        start = at + _HEAD.size + n_name
        if preamble != _PREAMBLE or start + length > len(self.data):
            raise FormatError(
                self.path,
                at,
                f"a block of {length} bytes must begin here, the file has {len(self.data)}: it "
                "ends early or is damaged; copy it again",
            )
        name = bytes(self.data[at + _HEAD.size : start]).decode("latin-1")
        return Block(self, kind, name, number, n, start, length)


@dataclass(frozen=True)
class Block:
    """One block of the tree."""

    tree: Tree
    kind: int
    name: str
    number: int
    n: int
    start: int
    length: int

    def children(self) -> Iterator[tuple[str, int, int]]:
        """Yield name, id and place of what a directory holds."""
        piece, seen = self, {self.start}
        while True:
            if piece.kind not in _DIRECTORIES or piece.length < _CHAIN.size + 33 * piece.n:
                raise self._error(f"'{piece.name}' must be a directory with room for its entries")
            data, start = self.tree.data, piece.start
            following = _CHAIN.unpack_from(data, start)[2]
            for i in range(piece.n):
                _, at, n_name, number, _, _, place = _CHILD.unpack_from(data, start + 41 + 33 * i)
                if at + n_name > piece.length:
                    raise self._error(f"the name of entry {i} lies outside of '{piece.name}'")
                name = bytes(data[start + at : start + at + n_name]).decode("latin-1")
                yield name, number, place
            if following == 0:
                return
            piece = self.tree.block(following)
            if piece.start in seen or len(seen) > _LONGEST_CHAIN:
                raise self._error(f"the directory '{self.name}' runs in a circle")
            seen.add(piece.start)

    def find(self, path: str) -> Block | None:
        """Return the block at ``a/b/c``, the first of its name at each step; None if none is."""
        block = self
        for step in path.split("/"):
            places = [(number, at) for name, number, at in block.children() if name == step]
            if not places:
                return None
            block = self.tree.block(min(places)[1])
        return block

    def all_of(self, name: str) -> dict[int, Block]:
        """Return the children of one name by their ids, each of which occurs once."""
        found: dict[int, Block] = {}
        for child, number, at in self.children():
            if child != name:
                continue
            if number in found:
                raise self._error(f"'{name}' no. {number} must occur once in '{self.name}'")
            found[number] = self.tree.block(at)
        return found

    def whole(self, form: str) -> float:
        """Return the one number that the block holds, by its code in `struct`."""
        if self.kind != _VALUE or self.length != struct.calcsize("<" + form):
            raise self._error(f"'{self.name}' must hold one number ({form})")
        return float(struct.unpack_from("<" + form, self.tree.data, self.start)[0])

    def text(self) -> str:
        """Return the text of the block."""
        raw = self.tree.data[self.start : self.start + self.length]
        return bytes(raw).decode("utf-16-le", "replace").strip("\0\ufeff \t")

    def content(self, size: int) -> bytes:
        """Return the `size` bytes of the block, decompressed; never more than that is taken."""
        if size > _MOST_SHRUNK * self.length + 64:
            raise self._error(f"'{self.name}' must hold {size} bytes, {self.length} are stored")
        raw = bytes(self.tree.data[self.start : self.start + self.length])
        if self.kind == _ZLIB or (self.kind == _VALUE and len(raw) != size):
            unpack = zlib.decompressobj()
            try:
                raw = unpack.decompress(raw, size + 1)
            except zlib.error as err:
                raise self._error(f"'{self.name}' cannot be decompressed ({err})") from err
            if not unpack.eof:
                raw += b"?"  # longer or shorter than it may be: refused below
        if len(raw) != size:
            raise self._error(f"'{self.name}' must hold {size} bytes, got another number")
        return raw

    def _error(self, reason: str) -> FormatError:
        return FormatError(
            self.tree.path, self.start, f"{reason}: the file is damaged; copy it again"
        )

"""A look at the structure of a TIFF file before any other program's code sees its bytes.

The chain of pages is followed by hand; sizes, strips and tiles must lie in the file, and what they
unpack to must be what the page declares. After this check no page can ask for more memory than its
own bytes can hold. Layout: TIFF 6.0 (Adobe, 1992) and BigTIFF.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

from lliso.errors import FormatError

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_NONE, _PACKBITS, _DEFLATE = 1, 32773, (8, 32946)
#: bytes of one value of each field type
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 8: 2, 9: 4, 13: 4, 16: 8, 17: 8, 18: 8}
_CODES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_MAX_PAGES = 200_000
_MAX_PIXELS = 2**31


@dataclass(frozen=True)
class Page:
    """Size and place of one page.

    `offset` is where its pixels begin, `link` the bytes that point to the next page.
    """

    width: int
    height: int
    samples: int
    bits: int
    kind: int
    compression: int
    offset: int
    little: bool
    link: slice

    @property
    def layout(self) -> tuple[int, ...]:
        """What all pages of a stack have in common."""
        return self.width, self.height, self.samples, self.bits, self.kind

    @property
    def n_bytes(self) -> int:
        """Bytes of the unpacked page."""
        return self.width * self.height * self.samples * self.bits // 8


def check_pages(path: Path, data: bytes) -> tuple[list[Page], FormatError | None]:
    """Follow the chain of pages.

    Returns
    -------
    pages : list of Page
        The pages that are whole.
    failure : FormatError or None
        Why the page after them is not.

    Raises
    ------
    FormatError
        If the file is no TIFF, has no whole page, or pages of several sizes.
    """
    order, big, offset = _header(path, data)
    pages: list[Page] = []
    seen: set[int] = set()
    failure: FormatError | None = None
    while offset:
        if offset in seen or len(pages) >= _MAX_PAGES:
            failure = FormatError(path, offset, "the chain of pages is a circle: it is damaged")
            break
        seen.add(offset)
        try:
            tags, following, link = _directory(path, data, order, big, offset)
            pages.append(replace(_page(path, data, order, tags, offset), link=link))
        except FormatError as err:
            failure = err
            break
        offset = following
    if not pages:
        raise failure or FormatError(path, 4, "the file must hold a page; it is damaged")
    if len({p.layout for p in pages}) > 1:
        found = ", ".join(sorted({f"{p.width} x {p.height} ({p.bits} bit)" for p in pages}))
        raise FormatError(
            path,
            None,
            f"all pages must be of one size and type, got {found}; save one image per file",
        )
    return pages, failure


def _header(path: Path, data: bytes) -> tuple[str, bool, int]:
    if len(data) < 16 or data[:4] not in MAGICS:
        raise FormatError(path, 0, "a TIFF must begin with 'II' or 'MM' and have 16 bytes or more")
    order = "<" if data[:2] == b"II" else ">"
    big = b"+" in data[2:4]
    if big:
        size, zero, offset = struct.unpack_from(order + "HHQ", data, 4)
        if (size, zero) != (8, 0):
            raise FormatError(path, 4, "the header of the BigTIFF is damaged; save it again")
        return order, big, offset
    return order, big, struct.unpack_from(order + "I", data, 4)[0]


def _directory(
    path: Path, data: bytes, order: str, big: bool, offset: int
) -> tuple[dict[int, tuple[int, ...]], int, slice]:
    """Return the tags with whole numbers, the place of the next directory, and where it stands."""
    count_code, entry_bytes, next_code = ("Q", 20, "Q") if big else ("H", 12, "I")
    start = offset + struct.calcsize(order + count_code)
    if start > len(data):
        raise _cut(path, data, "a directory of a page")
    (n,) = struct.unpack_from(order + count_code, data, offset)
    end = start + n * entry_bytes
    if end + struct.calcsize(order + next_code) > len(data):
        raise _cut(path, data, "a directory of a page")
    tags: dict[int, tuple[int, ...]] = {}
    for place in range(start, end, entry_bytes):
        tag, values = _entry(path, data, order, big, place)
        if values:
            tags[tag] = values
    link = slice(end, end + struct.calcsize(order + next_code))
    return tags, int(struct.unpack_from(order + next_code, data, end)[0]), link


def _entry(
    path: Path, data: bytes, order: str, big: bool, place: int
) -> tuple[int, tuple[int, ...] | None]:
    tag, kind, count = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, place)
    inline = 8 if big else 4
    where = place + (12 if big else 8)
    size = _TYPE_BYTES.get(kind, 8) * count
    if size > inline:
        (where,) = struct.unpack_from(order + ("Q" if big else "I"), data, where)
    if where + size > len(data):
        raise _cut(path, data, f"the value of tag {tag}")
    if kind not in _CODES:
        return tag, None
    return tag, struct.unpack_from(f"{order}{count}{_CODES[kind]}", data, where)


def _page(
    path: Path,
    data: bytes,
    order: str,
    tags: dict[int, tuple[int, ...]],
    offset: int,
) -> Page:
    def one(tag: int, default: int) -> int:
        return next(iter(tags.get(tag, ())), default)

    width, height, samples = one(256, 0), one(257, 0), one(277, 1)
    bits = set(tags.get(258, (1,)))
    kind = one(339, 1)
    if min(width, height, samples) < 1 or samples > 1024:
        raise FormatError(
            path, offset, f"the page must have a size, got {width} x {height} x {samples}; damaged"
        )
    if width * height * samples > _MAX_PIXELS:
        raise FormatError(path, offset, f"the page declares {width} x {height} pixels: damaged")
    if len(bits) > 1 or not bits <= {8, 16, 32, 64} or kind not in (1, 2, 3):
        raise FormatError(
            path,
            offset,
            f"pixels must be whole numbers or floats of 8 to 64 bits, got {sorted(bits)} bits of "
            f"kind {kind}; save as 16 or 32 bit grey",
        )
    if one(262, 1) not in (0, 1):
        raise FormatError(
            path,
            offset,
            "the image must be of grey values, got colours; a coloured picture holds no counts: "
            "save the image itself as 16 or 32 bit grey",
        )
    if one(274, 1) != 1:
        raise FormatError(
            path,
            offset,
            f"rows must be stored from top to bottom, the file says otherwise (orientation "
            f"{one(274, 1)}); save it again as it is to be seen",
        )
    page = Page(
        width=width,
        height=height,
        samples=samples,
        bits=bits.pop(),
        kind=kind,
        compression=one(259, 1),
        offset=0,
        little=order == "<",
        link=slice(0, 0),
    )
    return replace(page, offset=_check_segments(path, data, tags, page, offset))


def _check_segments(
    path: Path, data: bytes, tags: dict[int, tuple[int, ...]], page: Page, offset: int
) -> int:
    """Compare what strips or tiles hold with what the page declares; return the first place."""
    tiled = 322 in tags or 324 in tags
    places, sizes = tags.get(324 if tiled else 273, ()), tags.get(325 if tiled else 279, ())
    expected = _segment_bytes(path, tags, page, tiled, offset)
    if len(places) != len(expected) or len(sizes) != len(expected):
        raise FormatError(
            path,
            offset,
            f"the strips or tiles must cover the page, got {len(places)} places and {len(sizes)} "
            "sizes that do not; the file is damaged",
        )
    for place, size, n_bytes in zip(places, sizes, expected, strict=True):
        if place + size > len(data) or not place:
            raise _cut(path, data, "the pixels of a page")
        _check_packed(path, data, place, size, n_bytes, page.compression)
    return places[0]


def _segment_bytes(
    path: Path, tags: dict[int, tuple[int, ...]], page: Page, tiled: bool, offset: int
) -> list[int]:
    """Return the unpacked size of every strip or tile."""
    separate = tags.get(284, (1,))[0] == 2
    planes, inside = (page.samples, 1) if separate else (1, page.samples)
    pixel = inside * page.bits // 8
    if tiled:
        w, h = tags.get(322, (0,))[0], tags.get(323, (0,))[0]
        if not (0 < w <= 65536 and 0 < h <= 65536):
            raise FormatError(path, offset, f"tiles must have a size, got {w} x {h}; damaged")
        n = ceil(page.width / w) * ceil(page.height / h) * planes
        if n > len(tags.get(324, ())):
            n = len(tags.get(324, ())) + 1  # too few: said by the caller, without a long list
        return [w * h * pixel] * n
    rows = min(tags.get(278, (page.height,))[0], page.height)
    if rows < 1:
        raise FormatError(path, offset, "a strip must have rows, got none; the file is damaged")
    n = ceil(page.height / rows)
    if n * planes > len(tags.get(273, ())):
        return [0] * (len(tags.get(273, ())) + 1)  # too few, as above
    last = page.height - rows * (n - 1)
    return ([rows * page.width * pixel] * (n - 1) + [last * page.width * pixel]) * planes


def _check_packed(
    path: Path, data: bytes, place: int, size: int, n_bytes: int, compression: int
) -> None:
    if compression == _NONE:
        if size < n_bytes:
            raise FormatError(
                path, place, f"a strip needs {n_bytes} bytes, the file gives it {size}; damaged"
            )
        return
    if compression in _DEFLATE:
        unpacker = zlib.decompressobj()
        try:
            got = unpacker.decompress(data[place : place + size], n_bytes + 1)
        except zlib.error as err:
            raise FormatError(path, place, f"packed pixels are damaged ({err})") from err
        if len(got) != n_bytes or not unpacker.eof:
            raise FormatError(
                path, place, f"packed pixels must give {n_bytes} bytes; they are damaged"
            )
        return
    if compression == _PACKBITS:
        if n_bytes > 128 * size:
            raise FormatError(path, place, f"{size} packed bytes cannot hold {n_bytes}; damaged")
        return
    raise FormatError(
        path,
        place,
        f"the TIFF is compressed in a way (no. {compression}) that lliso does not unpack; save it "
        "uncompressed or with zip (deflate)",
    )


def _cut(path: Path, data: bytes, what: str) -> FormatError:
    return FormatError(
        path,
        len(data),
        f"{what} must lie in the file, which has {len(data)} bytes: it ends early or is damaged; "
        "copy or save it again",
    )


def whole_pages(data: bytes, pages: list[Page]) -> bytes:
    """Return the file with its chain of pages ended after the last one that is whole.

    What lies behind was found to be damaged, and nobody else shall follow it.
    """
    link = pages[-1].link
    return data[: link.start] + bytes(link.stop - link.start) + data[link.stop :]

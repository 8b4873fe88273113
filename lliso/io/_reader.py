"""What all readers share: the record that describes one, its options, and the field of view."""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso import units
from lliso.__about__ import __version__
from lliso.errors import FormatError

if TYPE_CHECKING:
    import xarray as xr

    from lliso._types import FloatArray

#: what a person may give as field of view
FieldOfView = float | str | tuple[float | str, float | str]

#: no detector counts this many ions in one pixel: such a number is a damaged byte
MAX_COUNTS = 2**31 - 1

#: stands in for the field of view where only the contents of a file are asked for
ONE_UM_PER_PIXEL = "1 um per pixel"

_BLOCK = 1 << 22

UNSTATED_ORIENTATION = "unstated by the format; row 0 taken as the smallest y"


@dataclass(frozen=True)
class Options:
    """What the caller of `lliso.io.read_map` asks of a reader."""

    fov: FieldOfView | None = None
    partial: bool = False
    chunks: Mapping[Hashable, int] | int | str | None = None
    windows: Mapping[str, tuple[float, float]] | None = None


@dataclass(frozen=True)
class Reader:
    """One entry of the list of readers.

    Parameters
    ----------
    name : str
        Short name, as given to ``read_map(..., format=name)``.
    description : str
        One line for a person.
    extensions : tuple of str
        Usual endings of the file name, lower case; ``()`` if a folder only.
    sniff : callable
        ``sniff(head, path) -> bool``, with the first bytes of a file (empty for a folder).
    read : callable
        ``read(path, options) -> xarray.Dataset``; fails with `FormatError` only.
    seen : bool
        True if the reader was tried on a real file of this format.
    folders : bool
        True if a folder of files can be one map.
    windows : bool
        True if the file holds spectra, so that the mass windows can be chosen.
    """

    name: str
    description: str
    extensions: tuple[str, ...]
    sniff: Callable[[bytes, Path], bool]
    read: Callable[[Path, Options], xr.Dataset]
    seen: bool
    folders: bool = False
    windows: bool = False


class FovMissing(FormatError):  # noqa: N818 - says what happened, like PicksMismatch
    """The file is in order, but does not say how large the image is."""


def field_of_view(
    fov: FieldOfView | None, nx: int, ny: int, path: str | os.PathLike[str]
) -> tuple[float, float]:
    """Return the size of the image in µm.

    Parameters
    ----------
    fov : float, str or pair of them, or None
        One length for a square image, or ``(x, y)``; numbers are in µm.
    nx, ny : int
        Pixels along x and y.
    path : path
        The file, for messages.

    Returns
    -------
    tuple of float
        Width and height in µm, from outer edge to outer edge.

    Raises
    ------
    FormatError
        If `fov` is None.
    ValueError
        If `fov` does not fit the image.

    Examples
    --------
    >>> field_of_view((500, "0.2 mm"), 512, 206, "map.bif6")
    (500.0, 200.0)
    """
    if fov is None:
        raise FovMissing(
            path,
            None,
            f"the file does not say how large its {nx} x {ny} pixels are; pass the field of view, "
            "fov=(x, y) in um, or one number for a square image: read_map(path, fov=(500, 200))",
        )
    if fov == ONE_UM_PER_PIXEL:
        return float(nx), float(ny)
    if isinstance(fov, (tuple, list, np.ndarray)):
        if len(fov) != 2:
            raise ValueError(f"fov must be one length or (x, y) in um, got {len(fov)} values")
        pair = (fov[0], fov[1])
    elif nx == ny:
        pair = (fov, fov)
    else:
        raise ValueError(
            f"fov must be given as (x, y) in um because the image is not square "
            f"({nx} x {ny} pixels), got {fov!r}"
        )
    width, height = (units.parse_quantity(v, units.LENGTH, "fov") for v in pair)
    if width <= 0 or height <= 0:
        raise ValueError(f"fov must be positive, got ({width:g}, {height:g}) um")
    return width, height


def stated_or_given(
    own: tuple[float, float] | None,
    fov: FieldOfView | None,
    nx: int,
    ny: int,
    path: str | os.PathLike[str],
    *,
    source: str = "file",
) -> tuple[tuple[float, float], str]:
    """Return the size of the image in µm, and a note if what was given overrules the file.

    Parameters
    ----------
    own : tuple of float, or None
        Width and height (µm) that the file states; None if it states none.
    fov, nx, ny, path
        As in `field_of_view`.
    source : str
        What states `own`, for the note.

    Returns
    -------
    tuple
        Width and height in µm, and the note for the map's history; it is empty where `fov` is not
        given, agrees with the file within 0.1 %, or the file states nothing.

    Raises
    ------
    FormatError
        If neither the file nor `fov` says how large the image is.
    ValueError
        If `fov` does not fit the image.

    Examples
    --------
    >>> stated_or_given((80.0, 80.0), None, 256, 256, "map.h5")
    ((80.0, 80.0), '')
    >>> stated_or_given((80.0, 80.0), 100, 256, 256, "map.h5")
    ((100.0, 100.0), 'the file states 80 x 80 um, overruled by fov')
    """
    if own is not None and fov is None:
        return own, ""
    given = field_of_view(fov, nx, ny, path)
    if own is None or np.allclose(given, own, rtol=1e-3):
        return given, ""
    return given, f"the {source} states {own[0]:g} x {own[1]:g} um, overruled by fov"


def pixel_centres(n: int, extent: float) -> FloatArray:
    """Return the centres of `n` pixels that fill `extent` (µm), starting at 0.

    Examples
    --------
    >>> pixel_centres(4, 2.0).tolist()
    [0.25, 0.75, 1.25, 1.75]
    """
    return np.asarray((np.arange(n) + 0.5) * (extent / n), dtype=np.float64)


def hash_of_files(contents: Iterable[tuple[str, bytes]]) -> str:
    """Return the `map_id` of files: of the bytes of one, of sorted names and bytes of several."""
    files = sorted(contents)
    digest = hashlib.sha256()
    for name, data in files:
        if len(files) > 1:
            digest.update(name.encode() + b"\0")
        digest.update(data)
    return digest.hexdigest()[:12]


def read_hashed(path: Path, size: int) -> tuple[np.ndarray[Any, Any], Callable[[], str]]:
    """Read a file whose size is known, while a thread computes its `map_id`.

    SHA-256 takes longer than reading the bytes from the cache and building the map from them, and
    does not need Python's lock: it follows the reading block by block, on another processor.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    size : int
        Its size in bytes, from before; compared with what the rest of the program expects.

    Returns
    -------
    data : numpy.ndarray of uint8, shape (size,)
        The bytes.
    map_id : callable
        Waits for the thread and returns `hash_of_files` of the file.

    Raises
    ------
    FormatError
        If the file has another size by now.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> path = getfixture("tmp_path") / "map.bif6"
    >>> _ = path.write_bytes(b"counts")
    >>> data, map_id = read_hashed(path, 6)
    >>> map_id() == hash_of_files([("map.bif6", data.tobytes())])
    True
    """
    data, digest = np.empty(size, np.uint8), hashlib.sha256()
    room = data.data
    blocks: queue.SimpleQueue[memoryview | None] = queue.SimpleQueue()

    def follow() -> None:
        while (block := blocks.get()) is not None:
            digest.update(block)

    thread = threading.Thread(target=follow, daemon=True)  # never what keeps Python from ending
    thread.start()
    try:
        read, more = 0, False
        with path.open("rb", buffering=0) as file:
            while read < size and (n := file.readinto(room[read : read + _BLOCK])):
                blocks.put(room[read : read + n])
                read += n
            more = bool(file.read(1))
        if read < size or more:
            raise FormatError(path, read, "the file changed while it was read; read it again")
    finally:
        blocks.put(None)

    def wait() -> str:
        thread.join()
        return digest.hexdigest()[:12]

    return data, wait


def read_line(reader: str, what: str, fov: tuple[float, float], note: str = "") -> str:
    """Return the first line of a map's history."""
    extra = f"; {note}" if note else ""
    size = f"{fov[0]:g} x {fov[1]:g} um"
    return f"read {what} as {reader}, field of view {size}{extra} (lliso {__version__})"


def whole_counts(counts: Any, path: str | os.PathLike[str]) -> Any:
    """Return whole numbers as int32, after a check that none is absurdly large.

    A signed type is used because differences of unsigned counts wrap around silently. Writeable
    uint32 of this machine's byte order comes back as a view, anything else as a copy.

    Raises
    ------
    FormatError
        If a number is above `MAX_COUNTS`.
    """
    peak = int(counts.max())
    if peak > MAX_COUNTS:
        raise FormatError(
            path,
            None,
            f"a pixel must hold at most {MAX_COUNTS} counts, got {peak}; the file is damaged or "
            "is not what it was taken for",
        )
    if counts.dtype == np.uint32 and counts.flags.writeable:
        return counts.view(np.int32)  # the same bytes: nothing to copy
    return counts.astype(np.int32)

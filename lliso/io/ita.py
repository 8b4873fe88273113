"""IONTOF `.ita`: the images of a measurement's mass intervals, summed over its scans.

A block file (see `lliso.io._itstr`). The intervals are ``MassIntervalList/mi``, their images
``ImageStackScansAdded/Image[id]/ImageArray.Long`` or, from later versions, ``Images/SN/SumImage``
below ``filterdata/TofCorrection/ImageStack/Reduced Data``: uint32, x fastest, row 0 at the bottom.
The field of view is that of ``Meta/SI Image``, in metres. All this is known from the package pySPM;
no real file was at hand, and the reader has only been run on files built to that layout.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.errors import FormatError
from lliso.io._itstr import MAGIC, Block, Tree
from lliso.io._mass_windows import different, first_bad, labels_of, overlaps
from lliso.io._reader import (
    Options,
    Reader,
    pixel_centres,
    read_line,
    stated_or_given,
    whole_counts,
)
from lliso.io.iontof_ascii import clean_ion
from lliso.schema import LI6, LI7, SPECIES, hash_of_bytes, make_map

if TYPE_CHECKING:
    import xarray as xr

EXTENSIONS = (".ita",)
_IMAGES = "filterdata/TofCorrection/ImageStack/Reduced Data"
_SI_IMAGE = "Meta/SI Image"
#: of the interval list, that are no mass intervals: all ions, and those outside of every interval
_SUMS = {0: "total", 1: "sum of rest"}
#: pixels along one side that no instrument writes, and intervals
_MOST_PIXELS, _MOST_INTERVALS = 65_536, 100_000
#: deflate cannot shrink by more than this
_MOST_SHRUNK = 1100


@dataclass(frozen=True)
class _Interval:
    number: int
    ion: str
    serial: str
    mz: tuple[float, float, float]


def sniff(head: bytes, path: Path) -> bool:
    """Return True for a block file that is called .ita; raw data (.itm) hold no images."""
    return head.startswith(MAGIC) and path.suffix.lower() in EXTENSIONS


def read(path: Path, options: Options) -> xr.Dataset:
    """Read the sum image of every mass interval.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    options : Options
        `fov` (µm) overrules the file.

    Returns
    -------
    xarray.Dataset
        A map with ``mass``, ``mass_lower``, ``mass_upper`` (m/z) and ``ion`` (the name in the
        file) along species. Row 0, the bottom of the image, is the smallest y.

    Raises
    ------
    FormatError
        If the file is damaged, cut short or holds no images, or two intervals could both be 6Li
        or 7Li.
    """
    with _mapped(path) as data:
        root = Tree(path, data).root()
        map_id = hash_of_bytes(data)  # type: ignore[arg-type] # an mmap is as good as bytes
        size = _pixels(path, root)
        intervals = _intervals(path, root)
        fov, note = _fov(path, root, options, *size)
        images, missing = _sum_images(path, root, intervals, size)
    kept = [i for i in intervals if i not in missing]
    mz = np.array([i.mz for i in kept])
    crossing = overlaps(mz[[i.number not in _SUMS for i in kept]])
    lost = f"no image of {', '.join(_say(i) for i in missing)}" if missing else ""
    ds = make_map(
        whole_counts(images, path),
        _labels(path, kept, mz),
        x=pixel_centres(size[0], fov[0]),
        y=pixel_centres(size[1], fov[1]),
        attrs={
            "map_id": map_id,
            "instrument": "IONTOF",
            "source": path.name,
            "orientation": "row 0 is the bottom of the image (IONTOF) and the smallest y",
            "history": read_line(
                READER.name, path.name, fov, "; ".join(n for n in (note, lost) if n)
            ),
            **({"overlapping_windows": crossing} if crossing else {}),
        },
    )
    names = ("mass", "mass_lower", "mass_upper")
    columns = {name: (SPECIES, mz[:, i], {"units": "m/z"}) for i, name in enumerate(names)}
    return ds.assign_coords({**columns, "ion": (SPECIES, [i.ion for i in kept])})


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    """Give the bytes of the file without taking memory for them: spectra and scans come with it."""
    with path.open("rb") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as err:  # nothing to map
            raise FormatError(path, 0, "the file is empty; copy or export it again") from err
        with data:
            yield data


def _need(path: Path, root: Block, where: str) -> Block:
    found = root.find(where)
    if found is None:
        raise FormatError(
            path,
            None,
            f"an .ita file of images must have the entry '{where}', got none; export the images "
            "as BIF6 or as ASCII from SurfaceLab",
        )
    return found


def _pixels(path: Path, root: Block) -> tuple[int, int]:
    """Return nx, ny: of the image stack, which may be binned, else of the measurement."""
    stack = root.find(f"{_IMAGES}/ImageStackScans")
    own = [stack.find(f"Image.{side}Size") if stack else None for side in "XY"]
    blocks = [
        block or _need(path, root, f"{_SI_IMAGE}/res_{side}")
        for block, side in zip(own, "xy", strict=True)
    ]
    nx, ny = (int(block.whole("i")) for block in blocks)
    if not (0 < nx <= _MOST_PIXELS and 0 < ny <= _MOST_PIXELS):
        raise FormatError(
            path,
            blocks[0].start,
            f"the image must have 1 to {_MOST_PIXELS} pixels along x and y, got {nx} x {ny}; the "
            "file is damaged",
        )
    return nx, ny


def _fov(
    path: Path, root: Block, options: Options, nx: int, ny: int
) -> tuple[tuple[float, float], str]:
    meta = _need(path, root, _SI_IMAGE)
    width, res_x, res_y = (meta.find(n) for n in ("fieldofview", "res_x", "res_y"))
    own = (0.0, 0.0)
    if width is not None and res_x is not None and res_y is not None:
        aspect = res_y.whole("i") / max(res_x.whole("i"), 1.0)
        own = (width.whole("d") * 1e6, width.whole("d") * 1e6 * aspect)
    stated = all(0 < v < 1e6 for v in own)
    return stated_or_given(own if stated else None, options.fov, nx, ny, path)


def _intervals(path: Path, root: Block) -> list[_Interval]:
    found = []
    for entry in _need(path, root, "MassIntervalList").all_of("mi").values():
        number = int(_need(path, entry, "id").whole("i"))
        mz = tuple(_need(path, entry, n).whole("d") for n in ("cmass", "lmass", "umass"))
        names = [entry.find(n) for n in ("assign", "desc", "SN")]
        assign, desc, serial = ("" if b is None else b.text() for b in names)
        if number not in _SUMS and first_bad(np.array([mz])) is not None:
            raise FormatError(
                path,
                entry.start,
                f"mass interval {number} must have 0 <= lower <= centre <= upper, got centre "
                f"{mz[0]:g}, lower {mz[1]:g}, upper {mz[2]:g} m/z; the file is damaged",
            )
        found.append(_Interval(number, assign or desc, serial, (mz[0], mz[1], mz[2])))
    numbers = [i.number for i in found]
    if not found or len(set(numbers)) < len(numbers) or len(found) > _MOST_INTERVALS:
        raise FormatError(
            path,
            None,
            f"mass intervals must have different ids, got {sorted(numbers)[:20]}; damaged",
        )
    return found


def _sum_images(
    path: Path, root: Block, intervals: list[_Interval], size: tuple[int, int]
) -> tuple[Any, list[_Interval]]:
    """Return the images, shape (species, y, x), and the intervals that have none."""
    nx, ny = size
    added = root.find(f"{_IMAGES}/ImageStackScansAdded")
    by_id = {} if added is None else added.all_of("Image")
    later = root.find(f"{_IMAGES}/Images")
    if 4 * nx * ny * len(intervals) > _MOST_SHRUNK * len(root.tree.data):
        raise FormatError(
            path,
            None,
            f"{len(intervals)} images of {nx} x {ny} pixels must fit into the file of "
            f"{len(root.tree.data)} bytes; it is damaged or cut short",
        )
    images, missing = [], []
    for interval in intervals:
        holder = by_id.get(interval.number)
        block = None if holder is None else holder.find("ImageArray.Long")
        if block is None and later is not None and interval.serial:
            block = later.find(f"{interval.serial}/SumImage")
        if block is None:
            missing.append(interval)
            continue
        raw = np.frombuffer(block.content(4 * nx * ny), "<u4")
        images.append(raw.reshape(ny, nx))
    if not images:
        raise FormatError(
            path,
            None,
            "an .ita file must hold the images of its mass intervals, got none; reconstruct them "
            "in SurfaceLab, or export BIF6 or ASCII",
        )
    return np.stack(images), missing


def _labels(path: Path, intervals: list[_Interval], mz: Any) -> list[str]:
    """Take the assigned names; what has none is called by its mass, 6Li and 7Li included."""
    labels = [_SUMS.get(i.number, clean_ion(i.ion)) for i in intervals]
    for name in (LI6, LI7):
        if labels.count(name) > 1:
            raise FormatError(
                path,
                None,
                f"one mass interval must be {name}, got {labels.count(name)} of that name; remove "
                "the others in SurfaceLab",
            )
    unnamed = [k for k, label in enumerate(labels) if not label]
    if unnamed:
        for k, label in zip(unnamed, labels_of(path, mz[unnamed]), strict=True):
            taken = label in labels
            labels[k] = f"m/z {mz[k, 0]:.2f}" if taken else label
    return different(labels, mz)


def _say(interval: _Interval) -> str:
    return interval.ion or f"interval {interval.number}"


READER = Reader(
    name="ita",
    description="IONTOF .ita, sum images of the mass intervals",
    extensions=EXTENSIONS,
    sniff=sniff,
    read=read,
    seen=False,
)

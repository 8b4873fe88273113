"""Cameca `.im`: images of a NanoSIMS, one frame ("plane") of all masses after the other.

A header of stated length, then ``counts[plane, mass, y, x]`` as unsigned whole numbers of 2 or 4
bytes; workstations of Sun wrote them big-endian, those of Windows little-endian. Only the parts of
the header that a map needs are read: the table of masses near its beginning, the sizes in its last
84 bytes, and the dead times behind the mark ``Anal_param_nano``. Where they lie is known from the
readers of OpenMIMS and of the package sims, with which the tests compare; no package is needed, so
that a run that was cut short can be read and a header that lies is found out first.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.errors import FormatError
from lliso.io._reader import (
    Options,
    Reader,
    hash_of_files,
    pixel_centres,
    read_line,
    stated_or_given,
    whole_counts,
)
from lliso.schema import SPECIES, make_map

if TYPE_CHECKING:
    import xarray as xr

EXTENSIONS = (".im",)
IMAGE = 27
_START = "3i"  # version, type, length of the header
_DEFINITION = "12x4i32s16si12x16s16s"  # sample, data there or not, stage, ..., date, time
_IMAGE_HEADER = "i6hi64s"
_IMAGE_HEADER_BYTES = 84
_N_MASSES_AT = 408
_TABLE_AT = 412
_POINTERS = 4108  # version from which the table of pointers before the masses has 60 entries
_MASS = "2id2i2d8x17x64s63x"  # trolley, -, u, -, detector, -, time of a frame, label
_MASS_BYTES = 192
_MULTIPLIER = "d2i"  # yield, background, dead time in ns
_PARAMETERS = b"Anal_param_nano\0"
#: from that mark to the multiplier of the first detector
_MULTIPLIERS_AT = 16 + 272 + 552 + 192 + 6 * 88 + 72
_MORE_PARAMETERS = b"Anal_param_nano_bis\0"
#: from that mark to the multipliers of detectors 6 and 7
_MORE_AT = (24 + 88, 24 + 88 + 16 + 88)
#: trolleys that carry a detector, and which; 8 is the secondary electrons
_DETECTORS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 10: 6, 11: 7}
_ELECTRONS = 8


@dataclass(frozen=True)
class _Mass:
    label: str
    mass: float
    detector: str
    dead_time: float
    pixel_time: float


@dataclass(frozen=True)
class _Header:
    order: str
    size: int
    nx: int
    ny: int
    planes: int
    counts: np.dtype[Any]
    raster_um: float
    masses: list[_Mass]
    stage: tuple[int, int]
    when: str


def sniff(head: bytes, path: Path) -> bool:
    """Return True for a Cameca file of any type that is called an image."""
    return path.suffix.lower() in EXTENSIONS and _byte_order(head) is not None


def read(path: Path, options: Options) -> xr.Dataset:
    """Read the frames of all masses.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    options : Options
        `fov` (µm) overrules the raster of the header; with `partial` the whole frames of a run
        that was cut short are returned, and the attribute ``partial`` is 1.

    Returns
    -------
    xarray.Dataset
        A map with frames, and along species ``mass`` (u), ``detector``, ``dead_time`` (ns)
        and ``pixel_time`` (s), NaN where the header has none. Row 0 of the file is the top of the
        image and becomes the largest y.

    Raises
    ------
    FormatError
        If the file is damaged, cut short or holds no image.
    """
    data = path.read_bytes()
    header = _header(path, data)
    planes, note = _whole_planes(path, header, len(data), options.partial)
    shape = (planes, len(header.masses), header.ny, header.nx)
    cube = np.frombuffer(data, header.counts, int(np.prod(shape)), header.size).reshape(shape)
    counts = whole_counts(np.ascontiguousarray(cube.swapaxes(0, 1)[..., ::-1, :]), path)
    _check_rates(path, header, counts)
    fov, fov_note = _fov(path, header, options)
    notes = "; ".join(n for n in (note, fov_note) if n)
    ds = make_map(
        counts,
        _different([m.label for m in header.masses]),
        x=pixel_centres(header.nx, fov[0]),
        y=pixel_centres(header.ny, fov[1]),
        attrs={
            "map_id": hash_of_files([(path.name, data)]),
            "instrument": "Cameca NanoSIMS",
            "source": path.name,
            "dead_time_corrected": "no",
            "orientation": "row 0 is the top of the image (Cameca) and the largest y",
            "stage_x_um": header.stage[0],
            "stage_y_um": header.stage[1],
            "measured": header.when,
            "history": read_line(READER.name, path.name, fov, notes),
            **({"partial": 1} if note else {}),
        },
    )
    return ds.assign_coords(
        mass=(SPECIES, [m.mass for m in header.masses], {"units": "u"}),
        detector=(SPECIES, [m.detector for m in header.masses]),
        dead_time=(SPECIES, [m.dead_time for m in header.masses], {"units": "ns"}),
        pixel_time=(SPECIES, [m.pixel_time for m in header.masses], {"units": "s"}),
    )


def _byte_order(head: bytes) -> str | None:
    """Return the order in which type and length of the header make sense."""
    if len(head) < _TABLE_AT:
        return None
    for order in "<>":
        _, kind, size = struct.unpack_from(order + _START, head)
        if 20 < kind < 42 and _TABLE_AT < size < 2**24:
            return order
    return None


def _header(path: Path, data: bytes) -> _Header:
    order = _byte_order(data)
    if order is None:
        raise FormatError(path, 0, "the file does not begin like one of Cameca; copy it again")
    version, kind, size = struct.unpack_from(order + _START, data)
    if kind != IMAGE:
        raise FormatError(
            path, 4, f"only images (type {IMAGE}) can be read, this file is of Cameca's type {kind}"
        )
    if len(data) < size:
        raise FormatError(
            path, len(data), f"the header must have {size} bytes, got {len(data)}; copy it again"
        )
    definition = struct.unpack_from(order + _DEFINITION, data)
    n = struct.unpack_from(f"{order}i", data, _N_MASSES_AT)[0]
    at = size - _IMAGE_HEADER_BYTES
    own, _, nx, ny, width, masses, planes, raster, _ = struct.unpack_from(
        order + _IMAGE_HEADER, data, at
    )
    if own != _IMAGE_HEADER_BYTES or width not in (2, 4) or min(nx, ny, planes, masses) < 1:
        raise FormatError(
            path,
            at,
            f"the sizes of the image must be positive, with 2 or 4 bytes a count, got {nx} x {ny} "
            f"pixels, {masses} masses, {planes} frames, {width} bytes; the file is damaged",
        )
    if masses != n or not definition[1]:
        raise FormatError(
            path,
            _N_MASSES_AT,
            f"the header must announce data of {masses} masses twice, got {n} the first time"
            f"{'' if definition[1] else ' and that there are none'}; the file is damaged",
        )
    # A real-time image states the time of something else than its frame.
    n_pixels = 0 if _text(definition[4]).lower().endswith("rti") else nx * ny
    table = _TABLE_AT + 4 * (60 if version >= _POINTERS else 10)
    if table + n * _MASS_BYTES > at:
        raise FormatError(path, table, f"the header has no room for {n} masses; damaged")
    return _Header(
        order,
        size,
        nx,
        ny,
        planes,
        np.dtype(f"{order}u{width}"),
        raster * 1e-3,
        [_mass(path, data[:size], order, table + i * _MASS_BYTES, n_pixels) for i in range(n)],
        (definition[2], definition[3]),
        " ".join(_text(t) for t in definition[7:9]),
    )


def _mass(path: Path, data: bytes, order: str, at: int, n_pixels: int) -> _Mass:
    trolley, _, mass, _, kind, _, time, label = struct.unpack_from(order + _MASS, data, at)
    if not (0 <= mass < 1000 and 0 <= time < 1e9):
        raise FormatError(
            path,
            at,
            "a mass must lie within 0 and 1000 u and take a positive time, got "
            f"{mass:g} u and {time:g} s; the file is damaged",
        )
    pixel_time = time / n_pixels if n_pixels and time else np.nan
    if trolley == _ELECTRONS:
        return _Mass("SE", mass, "SE", np.nan, pixel_time)
    detector = {0: "EM", 1: "FC"}.get(kind, "unknown")
    dead_time = _dead_time(data, order, trolley) if detector == "EM" else np.nan
    return _Mass(_text(label) or "unnamed", mass, detector, dead_time, pixel_time)


def _dead_time(header: bytes, order: str, trolley: int) -> float:
    """Return the dead time in ns that the header gives for a trolley's multiplier."""
    number = _DETECTORS.get(trolley, 0)
    mark = _PARAMETERS if number < 6 else _MORE_PARAMETERS
    at = header.find(mark)
    if number == 0 or at < 0:
        return float("nan")
    at += _MULTIPLIERS_AT + 16 * (number - 1) if number < 6 else _MORE_AT[number - 6]
    if at + struct.calcsize("<" + _MULTIPLIER) > len(header):
        return float("nan")
    dead_time = struct.unpack_from(order + _MULTIPLIER, header, at)[2]
    return float(dead_time) if 0 < dead_time < 10_000 else float("nan")


def _whole_planes(path: Path, header: _Header, size: int, partial: bool) -> tuple[int, str]:
    plane = len(header.masses) * header.ny * header.nx * header.counts.itemsize
    expected = header.size + header.planes * plane
    if size == expected:
        return header.planes, ""
    promise = (
        f"{header.planes} frames of {len(header.masses)} masses and {header.nx} x {header.ny} "
        f"pixels need {expected} bytes, the file has {size}"
    )
    if size > expected:
        raise FormatError(path, expected, f"{promise}: it is damaged; copy it again")
    whole = (size - header.size) // plane
    if partial and whole:
        return whole, f"the run was cut short: {whole} of {header.planes} frames"
    cure = f"; partial=True reads the {whole} whole frames" if whole else ""
    raise FormatError(path, size, f"{promise}: it ends early; copy it again{cure}")


def _check_rates(path: Path, header: _Header, counts: Any) -> None:
    """Refuse what no multiplier can count: more than one ion per dead time."""
    for mass, images in zip(header.masses, counts, strict=True):
        if not (mass.dead_time > 0 and mass.pixel_time > 0):
            continue
        most = mass.pixel_time / (mass.dead_time * 1e-9)
        if images.max() > most:
            raise FormatError(
                path,
                None,
                f"a pixel of {mass.label} must hold at most {most:.0f} counts in "
                f"{mass.pixel_time:g} s at a dead time of {mass.dead_time:g} ns, got "
                f"{images.max()}; the file is damaged",
            )


def _fov(path: Path, header: _Header, options: Options) -> tuple[tuple[float, float], str]:
    own = (header.raster_um, header.raster_um * header.ny / header.nx)
    stated = None if own[0] <= 0 else own
    return stated_or_given(stated, options.fov, header.nx, header.ny, path)


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("latin-1").strip()


def _different(labels: list[str]) -> list[str]:
    """Return labels with a number where one occurs again: two detectors, two without a name."""
    return [
        f"{label} ({labels[:i].count(label) + 1})" if label in labels[:i] else label
        for i, label in enumerate(labels)
    ]


READER = Reader(
    name="cameca-im",
    description="Cameca NanoSIMS images (.im)",
    extensions=EXTENSIONS,
    sniff=sniff,
    read=read,
    seen=True,
)

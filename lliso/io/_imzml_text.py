"""The text half of imzML: what the XML says of the raster, and of where each array lies."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lliso.errors import FormatError
from lliso.io._reader import Options, stated_or_given

_MZ, _INTENSITY, _ZLIB = "MS:1000514", "MS:1000515", "MS:1000574"
_COUNT, _PITCH = ("IMS:1000042", "IMS:1000043"), ("IMS:1000046", "IMS:1000047")
_POSITION, _PLANE = ("IMS:1000050", "IMS:1000051"), "IMS:1000052"
_OFFSET, _LENGTH, _ENCODED = "IMS:1000102", "IMS:1000103", "IMS:1000104"
_TYPES = {
    "MS:1000521": "<f4",
    "MS:1000523": "<f8",
    "MS:1000519": "<i4",
    "MS:1000522": "<i8",
    "IMS:1000141": "<i4",
    "IMS:1000142": "<i8",
    "IMS:1100000": "<i1",
    "IMS:1100001": "<i2",
}
#: µm in the units that a pixel size is given in; without a unit it is µm
_UNITS = {"UO:0000016": 1e3, "UO:0000017": 1.0, "UO:0000018": 1e-3}
#: a raster may be sparse, but not to any degree: a header that claims more is damaged
_MOST_SPARSE = 10_000

Terms = dict[str, tuple[str, str]]  # accession -> value and unit


@dataclass(frozen=True)
class Array:
    offset: int
    n: int
    size: int
    dtype: str
    packed: bool


@dataclass
class Contents:
    """What the XML says."""

    groups: dict[str, Terms] = field(default_factory=dict)
    about: Terms = field(default_factory=dict)
    raster: Terms = field(default_factory=dict)
    pixels: list[tuple[int, int]] = field(default_factory=list)
    arrays: list[tuple[Array, Array]] = field(default_factory=list)


def contents_of(path: Path, xml: bytes) -> Contents:
    contents = Contents()
    try:
        for _, element in ET.iterparse(io.BytesIO(xml), events=("end",)):
            _take(path, contents, element)
    except (ET.ParseError, ValueError, LookupError) as err:
        if isinstance(err, FormatError):
            raise
        at = err.position[0] if isinstance(err, ET.ParseError) else None
        raise FormatError(
            path, at, f"the XML is damaged or cut short ({err}); copy or export both files again"
        ) from err
    if not contents.pixels:
        raise FormatError(path, None, "an imzML file must hold spectra, got none; export it again")
    return contents


def _take(path: Path, contents: Contents, element: ET.Element) -> None:
    name = _name(element)
    if name == "referenceableParamGroup":
        contents.groups[element.get("id", "")] = _terms(element, {})
    elif name == "fileContent":
        contents.about.update(_terms(element, contents.groups))
    elif name == "scanSettings":
        contents.raster.update(_terms(element, contents.groups))
    elif name == "spectrum":
        _take_spectrum(path, contents, element)
        element.clear()


def _take_spectrum(path: Path, contents: Contents, spectrum: ET.Element) -> None:
    number = len(contents.pixels)
    place: Terms = {}
    found: dict[str, Array] = {}
    for element in spectrum.iter():
        if _name(element) == "scan":
            place.update(_terms(element, contents.groups))
        elif _name(element) == "binaryDataArray":
            terms = _terms(element, contents.groups)
            kind = next((k for k in (_MZ, _INTENSITY) if k in terms), "")
            found[kind] = _array(path, number, terms)
    if not {_MZ, _INTENSITY} <= set(found) or any(axis not in place for axis in _POSITION):
        raise FormatError(
            path,
            None,
            f"spectrum {number} must have a position, masses and intensities, got less; export "
            "the file again",
        )
    if int(place.get(_PLANE, ("1", ""))[0]) != 1:
        raise FormatError(path, None, "only one plane (z) can be read; export one plane")
    mz, intensity = found[_MZ], found[_INTENSITY]
    if mz.n != intensity.n:
        raise FormatError(
            path,
            None,
            f"spectrum {number} must have as many intensities as masses, got {intensity.n} and "
            f"{mz.n}; the file is damaged",
        )
    x, y = (int(place[axis][0]) for axis in _POSITION)
    contents.pixels.append((x, y))
    contents.arrays.append((mz, intensity))


def _array(path: Path, number: int, terms: Terms) -> Array:
    dtype = next((_TYPES[t] for t in terms if t in _TYPES), "")
    if not dtype or any(t not in terms for t in (_OFFSET, _LENGTH)):
        raise FormatError(
            path,
            None,
            f"an array of spectrum {number} must have a type, a place and a length that are known, "
            f"got {', '.join(sorted(terms)) or 'nothing'}; export the file again",
        )
    offset, n = int(terms[_OFFSET][0]), int(terms[_LENGTH][0])
    plain = n * np.dtype(dtype).itemsize
    packed = _ZLIB in terms
    size = int(terms[_ENCODED][0]) if packed and _ENCODED in terms else plain
    if min(offset, n, size) < 0:
        raise FormatError(
            path, None, f"an array of spectrum {number} has a negative place; damaged"
        )
    return Array(offset, n, size, dtype, packed)


def _terms(element: ET.Element, groups: Mapping[str, Terms]) -> Terms:
    """Return the terms in an element, those of the groups that it refers to included."""
    terms: Terms = {}
    for child in element.iter():
        if _name(child) == "referenceableParamGroupRef":
            terms.update(groups.get(child.get("ref", ""), {}))
        elif _name(child) == "cvParam":
            own = child.get("value", "").strip(), child.get("unitAccession", "")
            terms[child.get("accession", "")] = own
    return terms


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def raster_size(path: Path, contents: Contents) -> tuple[int, int]:
    """Return nx, ny: as stated, else up to the last pixel."""
    last = [max(p[i] for p in contents.pixels) for i in (0, 1)]
    first = min(min(p) for p in contents.pixels)
    stated = [contents.raster.get(term, ("", ""))[0] for term in _COUNT]
    try:
        nx, ny = (int(s) if s else n for s, n in zip(stated, last, strict=True))
    except ValueError as err:
        raise FormatError(path, None, f"the raster must be of whole numbers, got {stated}") from err
    if first < 1 or last[0] > nx or last[1] > ny:
        raise FormatError(
            path,
            None,
            f"pixels must lie within 1 to {nx} and 1 to {ny}, got {first} to {max(last)}; damaged",
        )
    if len(set(contents.pixels)) < len(contents.pixels):
        raise FormatError(path, None, "every pixel must occur once, one occurs again; damaged")
    if nx * ny > _MOST_SPARSE * (len(contents.pixels) + 1):
        raise FormatError(
            path,
            None,
            f"{nx} x {ny} pixels are too many for {len(contents.pixels)} spectra; damaged",
        )
    return nx, ny


def stated_fov(
    path: Path, raster: Terms, options: Options, nx: int, ny: int
) -> tuple[tuple[float, float], str]:
    pitch = []
    for term in _PITCH:
        value, unit = raster.get(term, ("", ""))
        try:
            pitch.append(float(value) * _UNITS.get(unit, 1.0))
        except ValueError:
            pitch.append(pitch[0] if pitch else 0.0)  # one size is that of a square pixel
    own = (pitch[0] * nx, pitch[1] * ny)
    stated = all(0 < v < 1e6 for v in own)
    return stated_or_given(own if stated else None, options.fov, nx, ny, path)

"""imzML: one spectrum per pixel, described in XML (`.imzML`), the numbers in a file beside it.

Images are summed over mass windows when the file is read. What is needed is little and read here:
where the arrays of each pixel lie in the `.ibd`, of which type they are, and the size of a pixel.
Every array is compared with the size of the `.ibd`, and its first 16 bytes with the identifier in
the XML, before anything is read. Files that leave out terms, or pixels, are accepted; exports of
SurfaceLab are reported to do both. Tried on a synthetic file that imitates such an export, and
beside the package pyimzml; no real export was at hand.
"""

from __future__ import annotations

import hashlib
import io
import warnings
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.errors import FormatError, LlisoWarning
from lliso.io._mass_windows import LITHIUM_WINDOWS, check_windows
from lliso.io._reader import (
    MAX_COUNTS,
    FovMissing,
    Options,
    Reader,
    field_of_view,
    hash_of_files,
    pixel_centres,
    read_line,
    whole_counts,
)
from lliso.schema import SPECIES, make_map

if TYPE_CHECKING:
    import xarray as xr

EXTENSIONS = (".imzml",)
_MZ, _INTENSITY, _ZLIB = "MS:1000514", "MS:1000515", "MS:1000574"
_UUID, _MD5, _SHA1 = "IMS:1000080", "IMS:1000090", "IMS:1000091"
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
class _Array:
    offset: int
    n: int
    size: int
    dtype: str
    packed: bool


@dataclass
class _Contents:
    """What the XML says."""

    groups: dict[str, Terms] = field(default_factory=dict)
    about: Terms = field(default_factory=dict)
    raster: Terms = field(default_factory=dict)
    pixels: list[tuple[int, int]] = field(default_factory=list)
    arrays: list[tuple[_Array, _Array]] = field(default_factory=list)


def sniff(head: bytes, path: Path) -> bool:
    """Return True for XML that is called .imzML."""
    return path.suffix.lower() in EXTENSIONS and b"<" in head[:64]


def read(path: Path, options: Options) -> xr.Dataset:
    """Read images from an imzML file and the `.ibd` beside it.

    Parameters
    ----------
    path : pathlib.Path
        The ``.imzML`` file.
    options : Options
        `windows` maps species to (lower, upper) m/z, by default those of the lithium isotopes;
        `fov` (µm) overrules the pixel size of the file. With `partial` the pixels are kept whose
        spectra lie wholly in an `.ibd` that was cut off; the attribute ``partial`` is 1.

    Returns
    -------
    xarray.Dataset
        A map with ``mass_lower``, ``mass_upper`` along species; pixels without a spectrum have no
        counts, and their number is in the history. Row 1 is the top of the image by the
        convention of the format and becomes the largest y.

    Raises
    ------
    FormatError
        If one of the two files is damaged, cut short or missing, or they do not belong together.
    """
    windows = LITHIUM_WINDOWS if options.windows is None else dict(options.windows)
    check_windows(windows)
    xml = path.read_bytes()
    contents = _contents(path, xml)
    binary = _binary(path)
    data = binary.read_bytes()
    _check_identity(binary, contents.about, data)
    nx, ny = _size(path, contents)
    kept = _inside(binary, contents, len(data), options.partial)
    counts = _images(binary, contents, kept, data, windows, (ny, nx))
    fov, note = _fov(path, contents.raster, options, nx, ny)
    empty = nx * ny - len(kept)
    notes = [note, f"{empty} of {nx * ny} pixels have no spectrum" if empty else ""]
    cut = len(kept) < len(contents.pixels)
    ds = make_map(
        _as_counts(path, counts),
        list(windows),
        x=pixel_centres(nx, fov[0]),
        y=pixel_centres(ny, fov[1]),
        attrs={
            "map_id": hash_of_files([(path.name, xml), (binary.name, data)]),
            "source": path.name,
            "orientation": "row 1 taken as the top of the image (imzML) and the largest y",
            "pixels_without_spectrum": empty,
            "history": read_line(READER.name, path.name, fov, "; ".join(n for n in notes if n)),
            **({"partial": 1} if cut else {}),
        },
    )
    limits = np.array(list(windows.values()), dtype=float)
    names = enumerate(("mass_lower", "mass_upper"))
    return ds.assign_coords({n: (SPECIES, limits[:, i], {"units": "m/z"}) for i, n in names})


# --- what the XML says ---


def _contents(path: Path, xml: bytes) -> _Contents:
    contents = _Contents()
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


def _take(path: Path, contents: _Contents, element: ET.Element) -> None:
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


def _take_spectrum(path: Path, contents: _Contents, spectrum: ET.Element) -> None:
    number = len(contents.pixels)
    place: Terms = {}
    found: dict[str, _Array] = {}
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


def _array(path: Path, number: int, terms: Terms) -> _Array:
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
    return _Array(offset, n, size, dtype, packed)


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


def _size(path: Path, contents: _Contents) -> tuple[int, int]:
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


def _fov(
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
    try:
        given = field_of_view(options.fov, nx, ny, path)
    except FovMissing:
        if not stated:
            raise
        return own, ""
    same = not stated or np.allclose(given, own, rtol=1e-3)
    return given, "" if same else f"the file states {own[0]:g} x {own[1]:g} um, overruled by fov"


# --- the numbers beside it ---


def _binary(path: Path) -> Path:
    for other in sorted(path.parent.iterdir()):
        if other.stem == path.stem and other.suffix.lower() == ".ibd" and other.is_file():
            return other
    raise FormatError(
        path, None, f"the file '{path.stem}.ibd' must lie beside it, got none; copy both files"
    )


def _check_identity(binary: Path, about: Terms, data: bytes) -> None:
    """Compare the identifier and, if stated, the checksum of the binary file with the XML's."""
    stated = about.get(_UUID, ("", ""))[0].strip("{}").replace("-", "").lower()
    if stated and stated != data[:16].hex():
        raise FormatError(
            binary,
            0,
            f"the file must begin with the identifier {stated} of its .imzML, got "
            f"{data[:16].hex()}; the two files do not belong together",
        )
    for term, name in ((_SHA1, "sha1"), (_MD5, "md5")):
        want = about.get(term, ("", ""))[0].lower()
        if want and hashlib.new(name, data, usedforsecurity=False).hexdigest() != want:
            raise FormatError(
                binary, None, f"the file is damaged: its {name} is not that of the .imzML; copy it"
            )


def _inside(binary: Path, contents: _Contents, size: int, partial: bool) -> list[int]:
    """Return the spectra that lie wholly in the file, which must be all if not `partial`."""
    ends = [max(a.offset + a.size for a in arrays) for arrays in contents.arrays]
    kept = [i for i, end in enumerate(ends) if end <= size]
    if len(kept) == len(ends) or (partial and kept):
        return kept
    cure = f"; partial=True reads the {len(kept)} whole spectra" if kept else ""
    raise FormatError(
        binary,
        size,
        f"{len(ends)} spectra need {max(ends)} bytes, the file has {size}: it ends early; copy "
        f"both files again{cure}",
    )


def _images(
    binary: Path,
    contents: _Contents,
    kept: list[int],
    data: bytes,
    windows: Mapping[str, tuple[float, float]],
    shape: tuple[int, int],
) -> Any:
    """Return sums of intensity, shape (species, y, x), the last row of the file first."""
    counts = np.zeros((len(windows), *shape))
    edges = np.array(list(windows.values()), dtype=float)
    shared: tuple[_Array | None, Any] = (None, None)
    for i in kept:
        mz, intensity = contents.arrays[i]
        if mz != shared[0]:  # in continuous mode all spectra have the masses of the first
            masses = _numbers(binary, data, mz)
            if not np.isfinite(masses).all() or (np.diff(masses) < 0).any():
                raise FormatError(binary, mz.offset, "masses must grow, got others; damaged")
            shared = (mz, np.searchsorted(masses, edges))
        values = _numbers(binary, data, intensity)
        if not np.isfinite(values).all() or (values < 0).any():
            raise FormatError(
                binary,
                intensity.offset,
                "intensities must be finite and not negative; export counts without a background "
                "subtracted",
            )
        x, y = contents.pixels[i]
        with np.errstate(over="ignore"):  # found out below
            sums = [values[a:b].sum(dtype=float) for a, b in shared[1]]
        counts[:, shape[0] - y, x - 1] = sums
    if counts.max() > MAX_COUNTS:
        raise FormatError(
            binary,
            None,
            f"a pixel must hold at most {MAX_COUNTS} counts, got {counts.max():g}; damaged",
        )
    return counts


def _numbers(binary: Path, data: bytes, array: _Array) -> Any:
    raw = data[array.offset : array.offset + array.size]
    plain = array.n * np.dtype(array.dtype).itemsize
    if array.packed:
        unpack = zlib.decompressobj()
        try:
            raw = unpack.decompress(raw, plain + 1)
        except zlib.error as err:
            raise FormatError(
                binary, array.offset, f"an array cannot be decompressed ({err}); copy the files"
            ) from err
    if len(raw) != plain:
        raise FormatError(
            binary, array.offset, f"an array must have {plain} bytes, got {len(raw)}; damaged"
        )
    return np.frombuffer(raw, array.dtype)


def _as_counts(path: Path, counts: Any) -> Any:
    if np.array_equal(counts, np.rint(counts)):
        return whole_counts(counts, path)
    warnings.warn(
        f"{path.name}: intensities are not whole numbers, so they are no plain counts; if they "
        "were normalised, errors will be wrong",
        LlisoWarning,
        stacklevel=4,
    )
    return counts


READER = Reader(
    name="imzml",
    description="imzML, images of mass windows (with the .ibd beside it)",
    extensions=EXTENSIONS,
    sniff=sniff,
    read=read,
    seen=False,
    windows=True,
)

"""NRRD as written by OpenMIMS: NanoSIMS images of all masses and planes in one file.

A text header (``NRRD0004``, ``field: value``, ``key:=value``) ends with an empty line; then come
the numbers, x fastest, then y, plane and mass. OpenMIMS writes the names of the masses
(``Mims_mass_symbols``), the size of a pixel in nm (``Mims_pixel_width``) and whether dead time was
corrected. Layout: the definition of NRRD (teem.sourceforge.net/nrrd) and the source of OpenMIMS;
no file written by OpenMIMS was at hand.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.errors import FormatError
from lliso.io._per_ion import Part, assemble
from lliso.io._reader import Options, Reader
from lliso.io.iontof_ascii import clean_ion

if TYPE_CHECKING:
    import xarray as xr

    from lliso._types import FloatArray

MAGIC = b"NRRD000"
_MAX_HEADER = 1 << 20
_TYPES = {
    "u1": ("uint8", "uint8_t", "uchar", "unsigned char"),
    "i1": ("int8", "int8_t", "signed char"),
    "u2": ("uint16", "uint16_t", "ushort", "unsigned short", "unsigned short int"),
    "i2": ("int16", "int16_t", "short", "short int", "signed short", "signed short int"),
    "u4": ("uint32", "uint32_t", "uint", "unsigned int"),
    "i4": ("int32", "int32_t", "int", "signed int"),
    "u8": ("uint64", "uint64_t", "ulonglong", "unsigned long long", "unsigned long long int"),
    "i8": ("int64", "int64_t", "longlong", "long long", "signed long long", "long long int"),
    "f4": ("float",),
    "f8": ("double",),
}
_DTYPES = {name: code for code, names in _TYPES.items() for name in names}


@dataclass(frozen=True)
class Header:
    """Fields (lower case) and keys of the header, and where the numbers begin."""

    fields: dict[str, str]
    keys: dict[str, str]
    start: int


def sniff(head: bytes, path: Path) -> bool:  # noqa: ARG001 - all readers are asked alike
    """Return True if the file begins like NRRD."""
    return head.startswith(MAGIC)


def read(path: Path, options: Options) -> xr.Dataset:
    """Read an NRRD file of OpenMIMS.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    options : Options
        `fov` (µm) where the header does not state the size of a pixel.

    Returns
    -------
    xarray.Dataset
        A map with the planes as frames; row 0, at the top in OpenMIMS, is the smallest y.

    Raises
    ------
    FormatError
        If the file is damaged, or packed in a way that is not read.
    """
    data = path.read_bytes()
    header = read_header(path, data)
    images = _images(path, data, header)
    if header.keys.get("Mims_QSA_correction_applied", "false").strip().lower() == "true":
        raise FormatError(
            path,
            None,
            "the images must be counts, these were corrected for quasi-simultaneous arrival (QSA); "
            "save them in OpenMIMS without that correction",
        )
    corrected = {"true": "yes", "false": "no"}.get(
        header.keys.get("Mims_deadtime_correction_applied", "").strip().lower(), ""
    )
    labels, mass = _species(path, header, images.shape[0])
    part = Part(
        path,
        data,
        images,
        labels=labels,
        pitch=_pitch(path, header, images.shape[-1]),
        corrected=corrected,
        orientation="top row of the image, as OpenMIMS shows it, taken as the smallest y",
        mass=mass,
    )
    ds = assemble(READER.name, path, [part], options)
    ds.attrs["instrument"] = "Cameca NanoSIMS (OpenMIMS)"
    return ds


def read_header(path: Path, data: bytes) -> Header:
    """Read the text above the numbers."""
    if not data.startswith(MAGIC):
        raise FormatError(path, 0, "an NRRD file must begin with 'NRRD000'; it is damaged")
    ends = [(data.find(mark), len(mark)) for mark in (b"\n\n", b"\r\n\r\n")]
    found = [(at, n) for at, n in ends if 0 <= at < _MAX_HEADER]
    if not found:
        raise FormatError(
            path,
            min(len(data), _MAX_HEADER),
            "the header must end with an empty line: the file ends early, or the numbers are in "
            "a file of their own, which is not read; save it as one file",
        )
    at, n = min(found)
    fields: dict[str, str] = {}
    keys: dict[str, str] = {}
    for number, raw in enumerate(data[:at].split(b"\n")[1:], start=2):
        line = raw.decode("utf-8", "replace").strip("\r")
        if not line.strip() or line.startswith("#"):
            continue
        if ":=" in line:
            key, value = line.split(":=", 1)
            target, name = keys, key.strip()
        elif ":" in line:
            key, value = line.split(":", 1)
            target, name = fields, key.strip().lower()
        else:
            raise FormatError(path, number, f"the header line {line[:40]!r} is damaged")
        if name in target:
            raise FormatError(path, number, f"the header states {name!r} twice: it is damaged")
        target[name] = value.strip()
    return Header(fields, keys, at + n)


def _images(path: Path, data: bytes, header: Header) -> Any:
    """Return the numbers with the dimensions species, [frame], y, x."""
    fields = header.fields
    for name in ("type", "dimension", "sizes", "encoding"):
        if name not in fields:
            raise FormatError(path, None, f"the header must state {name!r}: it is damaged")
    if "data file" in fields or "datafile" in fields:
        raise FormatError(path, None, "the numbers must be in the same file; save it as one file")
    skips = [fields.get(k, "0") for k in ("line skip", "lineskip", "byte skip", "byteskip")]
    if set(skips) != {"0"}:
        raise FormatError(path, None, "the header must not skip lines or bytes; save it again")
    try:
        sizes = [int(s) for s in fields["sizes"].split()]
        dimension = int(fields["dimension"])
    except ValueError as err:
        raise FormatError(path, None, f"the sizes {fields['sizes'][:40]!r} are damaged") from err
    if len(sizes) != dimension or dimension not in (3, 4) or min(sizes) < 1:
        raise FormatError(
            path,
            None,
            "the sizes must be x, y, planes and masses (or x, y and masses), got "
            f"{fields['sizes'][:40]!r} in {dimension} dimensions",
        )
    code = _DTYPES.get(fields["type"].lower())
    if code is None:
        raise FormatError(path, None, f"the type {fields['type'][:30]!r} is not one of numbers")
    endian = fields.get("endian", "").lower()
    if endian not in ("little", "big") and code[1] != "1":
        raise FormatError(path, None, "the header must state 'endian: little' or 'big'")
    dtype = np.dtype(("<" if endian != "big" else ">") + code)
    n_bytes = dtype.itemsize
    for size in sizes:
        n_bytes *= size
    numbers = _unpacked(path, data, header, n_bytes)
    return np.frombuffer(numbers, dtype).reshape(sizes[::-1])


def _unpacked(path: Path, data: bytes, header: Header, n_bytes: int) -> bytes:
    packed = data[header.start :]
    encoding = header.fields["encoding"].lower()
    if encoding == "raw":
        if len(packed) != n_bytes:
            how = "ends early" if len(packed) < n_bytes else "has bytes too many"
            raise FormatError(
                path,
                len(data),
                f"{n_bytes} bytes must follow the header, the file has {len(packed)}: it {how}; "
                "copy or save it again",
            )
        return packed
    if encoding not in ("gzip", "gz"):
        raise FormatError(
            path, None, f"the encoding must be raw or gzip, got {encoding[:20]!r}; save it as raw"
        )
    unpacker = zlib.decompressobj(wbits=31)
    try:
        # One byte more than is due shows that there is too much, and no bomb unfolds.
        numbers = unpacker.decompress(packed, n_bytes + 1)
    except zlib.error as err:
        raise FormatError(path, header.start, f"the packed numbers are damaged ({err})") from err
    if len(numbers) != n_bytes or not unpacker.eof or unpacker.unused_data:
        raise FormatError(
            path,
            len(data),
            f"the packed numbers must give {n_bytes} bytes and nothing else: the file ends early "
            "or is damaged; copy or save it again",
        )
    return numbers


def _species(path: Path, header: Header, n: int) -> tuple[tuple[str, ...], FloatArray | None]:
    symbols = header.keys.get("Mims_mass_symbols", "").split()
    numbers = header.keys.get("Mims_mass_numbers", "").split()
    for what, found in (("symbols", symbols), ("numbers", numbers)):
        if found and len(found) != n:
            raise FormatError(
                path, None, f"the {n} images must have as many mass {what}, got {len(found)}"
            )
    mass: FloatArray | None = None
    if numbers:
        try:
            mass = np.array([float(m) for m in numbers])
        except ValueError:
            mass = None  # names instead of numbers: labels are enough
    known = symbols and set(symbols) != {"-"}
    names = [clean_ion(s) or s for s in symbols] if known else [f"m/z {m}" for m in numbers]
    return tuple(names) if names else tuple(f"channel {i + 1}" for i in range(n)), mass


def _pitch(path: Path, header: Header, nx: int) -> tuple[float, float] | None:
    """Return the pixel size in µm; the header gives nm, and the raster must agree with it."""
    try:
        pitch = [float(header.keys[f"Mims_pixel_{k}"]) / 1000 for k in ("width", "height")]
    except (KeyError, ValueError):
        return None
    if not all(0 < p < 1e4 for p in pitch):
        return None
    try:
        raster = float(header.keys["Mims_raster"]) / 1000
    except (KeyError, ValueError):
        raster = 0.0
    if raster > 0 and not 0.99 < pitch[0] * nx / raster < 1.01:
        raise FormatError(
            path,
            None,
            f"the raster of {raster:g} um must be {nx} pixels of {pitch[0]:g} um wide: the header "
            "is damaged, or the image was cropped or put together; give fov and save it anew",
        )
    return pitch[0], pitch[1]


READER = Reader(
    name="nrrd",
    description="NRRD of OpenMIMS: NanoSIMS images, masses and planes in one file",
    extensions=(".nrrd",),
    sniff=sniff,
    read=read,
    seen=False,
)

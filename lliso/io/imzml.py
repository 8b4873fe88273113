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
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.errors import FormatError, LlisoWarning
from lliso.io._imzml_text import Array, Contents, Terms, contents_of, raster_size, stated_fov
from lliso.io._mass_windows import LITHIUM_WINDOWS, check_windows
from lliso.io._reader import (
    MAX_COUNTS,
    Options,
    Reader,
    hash_of_files,
    pixel_centres,
    read_line,
    whole_counts,
)
from lliso.schema import SPECIES, make_map

if TYPE_CHECKING:
    import xarray as xr

EXTENSIONS = (".imzml",)
_UUID, _MD5, _SHA1 = "IMS:1000080", "IMS:1000090", "IMS:1000091"


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
    contents = contents_of(path, xml)
    binary = _binary(path)
    data = binary.read_bytes()
    _check_identity(binary, contents.about, data)
    nx, ny = raster_size(path, contents)
    kept = _inside(binary, contents, len(data), options.partial)
    counts = _images(binary, contents, kept, data, windows, (ny, nx))
    fov, note = stated_fov(path, contents.raster, options, nx, ny)
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


def _inside(binary: Path, contents: Contents, size: int, partial: bool) -> list[int]:
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
    contents: Contents,
    kept: list[int],
    data: bytes,
    windows: Mapping[str, tuple[float, float]],
    shape: tuple[int, int],
) -> Any:
    """Return sums of intensity, shape (species, y, x), the last row of the file first."""
    counts = np.zeros((len(windows), *shape))
    edges = np.array(list(windows.values()), dtype=float)
    shared: tuple[Array | None, Any] = (None, None)
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


def _numbers(binary: Path, data: bytes, array: Array) -> Any:
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

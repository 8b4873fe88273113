"""TIFF images of counts: one file per species, a stack of frames, or several channels.

Names of channels and the size of a pixel are taken from ImageJ, OME or the resolution where they
are stated. The layout of the file is checked before tifffile reads it.
"""

from __future__ import annotations

import html
import io
import re
import struct
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.errors import FormatError, LlisoWarning
from lliso.io._per_ion import Part, assemble, family, split_name
from lliso.io._reader import Options, Reader
from lliso.io._tiff_check import MAGICS, Page, check_pages, whole_pages
from lliso.io.iontof_ascii import clean_ion

if TYPE_CHECKING:
    import tifffile
    import xarray as xr

EXTENSIONS = (".tif", ".tiff")
_ORIENTATION = "unstated by the format; the top row of the picture taken as the smallest y"
_MICROMETRES = {
    "nm": 1.0e-3,
    "um": 1.0,
    "µm": 1.0,
    "μm": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "mm": 1.0e3,
    "cm": 1.0e4,
    "m": 1.0e6,
    "inch": 25_400.0,
}
#: a resolution per inch or cm that gives larger pixels than this is that of a printer (µm)
_LARGEST_PIXEL = 20.0
#: what tifffile raises on a file that passed the check and is damaged all the same
_FAILURES = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    OSError,
    struct.error,
    zlib.error,
)


def sniff(head: bytes, path: Path) -> bool:
    """Return True for a file that begins like TIFF, or a folder of such files."""
    if path.is_dir():
        return any(_is_tiff(p) for p in path.iterdir() if p.is_file())
    return head.startswith(MAGICS)


def _is_tiff(path: Path) -> bool:
    if path.suffix.lower() not in EXTENSIONS:
        return False
    with path.open("rb") as file:
        return file.read(4) in MAGICS


def read(path: Path, options: Options) -> xr.Dataset:
    """Read TIFF images of counts.

    Parameters
    ----------
    path : pathlib.Path
        A file (those of the same sample beside it are read with it: ``map_6Li.tif`` and
        ``map_7Li.tif``), or a folder that holds the files of one sample.
    options : Options
        `fov` (µm) where the file does not state the size of a pixel. With `partial` the whole
        frames of a stack that ends early are kept, and the attribute ``partial`` is 1.

    Returns
    -------
    xarray.Dataset
        A map. Channels are species; other pages are frames, unless all of them are named after
        different ions.

    Raises
    ------
    FormatError
        If a file is damaged, compressed in a way that is not read, or holds no counts.
    """
    parts = [_part(p, options.partial) for p in family(path, _is_tiff)]
    return assemble(READER.name, path, parts, options)


def _part(path: Path, partial: bool) -> Part:
    import tifffile

    data = path.read_bytes()
    pages, failure = check_pages(path, data)
    if failure is not None and not partial:
        cure = f" (partial=True reads the {len(pages)} whole pages)" if len(pages) > 1 else ""
        raise FormatError(path, failure.offset, failure.reason + cure)
    shown = data if failure is None else whole_pages(data, pages)
    try:
        with tifffile.TiffFile(io.BytesIO(shown)) as tif:
            names, pitch, wanted = _described(tif)
            shape, axes = _layout(path, tif, pages, wanted)
            stack, n_whole = _pixels(path, tif, data, pages, shape, partial)
    except FormatError:
        raise
    except _FAILURES as err:
        raise FormatError(path, None, f"the TIFF cannot be read ({err}); save it again") from err
    if failure is not None and not n_whole:
        # Nothing but the broken chain tells that there were more pages.
        n_whole = f"{path.name}: read to where it ends early, {len(pages)} whole pages"
    counts, labels, note = _ordered(path, stack, axes, names)
    _warn_if_full(path, counts, pages[0])
    notes = [note] if note else []
    if n_whole:
        notes.append(n_whole)
    return Part(
        path,
        data,
        counts,
        labels=labels,
        pitch=pitch,
        orientation=_ORIENTATION,
        notes=tuple(notes),
        partial=bool(n_whole),
    )


def _described(tif: tifffile.TiffFile) -> tuple[list[str], tuple[float, float] | None, int]:
    """Return names of the slices or channels, the pixel size in µm, and the number of images."""
    page = tif.pages[0]
    if tif.is_ome:
        return _ome(tif.ome_metadata or "")
    names: list[str] = []
    unit, wanted = "", 0
    if tif.is_imagej:
        meta = tif.imagej_metadata or {}
        if any(key in meta for key in ("cf", "c0", "c1")):
            # So ImageJ keeps signed 16-bit images: 32768 more than is meant.
            raise ValueError(
                "ImageJ states a calibration of the grey values: they are not the counts; remove it"
                " (Image > Type > 32-bit, Analyze > Calibrate: none)"
            )
        names = [str(n).splitlines()[0].strip() for n in meta.get("Labels") or [] if str(n).strip()]
        unit = str(meta.get("unit", "")).replace("\\u00B5", "µ").strip().lower()
        wanted = int(meta.get("images", 1))
    else:
        found = [_tag(p, 285) for p in tif.pages]  # PageName
        names = [str(t.value).strip("\0 ") for t in found if t is not None]
    return names, _resolution(page, unit, imagej=tif.is_imagej), wanted


def _tag(page: Any, code: int) -> Any:
    # tifffile gives later pages of some stacks without their tags
    return page.tags.get(code) if hasattr(page, "tags") else None


def _resolution(page: Any, unit: str, *, imagej: bool) -> tuple[float, float] | None:
    """Return the pixel size in µm from the resolution, where it means a length on the sample."""
    values = [page.tags.get(282), page.tags.get(283)]
    if any(v is None for v in values):
        return None
    per_unit = [v.value[0] / v.value[1] if v.value[1] else 0.0 for v in values]
    if not all(0 < v < 1e12 for v in per_unit):
        return None
    if imagej:
        scale = _MICROMETRES.get(unit)
    else:
        tag = page.tags.get(296)
        scale = {2: 25_400.0, 3: 1.0e4}.get(2 if tag is None else int(tag.value))
    if scale is None:
        return None
    pitch = (scale / per_unit[0], scale / per_unit[1])
    return pitch if imagej or max(pitch) <= _LARGEST_PIXEL else None


def _ome(text: str) -> tuple[list[str], tuple[float, float] | None, int]:
    """Read three attributes of OME-XML without an XML parser, which a bad file can exhaust."""
    pixels = re.search(r"<(?:\w+:)?Pixels\b([^>]*)>", text)
    attributes = dict(re.findall(r'(\w+)="([^"]*)"', pixels[1] if pixels else ""))
    names = []
    for channel in re.findall(r"<(?:\w+:)?Channel\b([^>]*)>", text):
        name = re.search(r'\bName="([^"]*)"', channel)
        names.append(html.unescape(name[1]) if name else "")
    pitch = []
    for axis in "XY":
        unit = html.unescape(attributes.get(f"PhysicalSize{axis}Unit", "µm"))
        try:
            size = float(attributes[f"PhysicalSize{axis}"]) * _MICROMETRES[unit]
        except (KeyError, ValueError):
            return names, None, 0
        if not 0 < size < 1e6:
            return names, None, 0
        pitch.append(size)
    return names, (pitch[0], pitch[1]), 0


def _layout(
    path: Path, tif: tifffile.TiffFile, pages: list[Page], wanted: int
) -> tuple[tuple[int, ...], str]:
    """Return shape and axes of the image that the pages make up."""
    page = pages[0]
    series = tif.series
    if len(series) != 1:
        raise FormatError(
            path, None, f"the file must hold one image, got {len(series)}; save one per file"
        )
    shape, axes = tuple(int(n) for n in series[0].shape), str(series[0].axes)
    n_values = int(np.prod(shape, dtype=object))
    per_page = page.width * page.height * page.samples
    n_pages = max(len(pages), wanted, len(tif.pages))
    if n_values != per_page * n_pages or {"Y", "X"} - set(axes):
        # A stack that ends early, or a description that does not fit: count what is there.
        if page.samples > 1:
            raise FormatError(
                path, None, "the description of the image does not fit its pages; save it again"
            )
        shape, axes = (n_pages, page.height, page.width), "QYX"
    return shape, axes


def _pixels(
    path: Path,
    tif: tifffile.TiffFile,
    data: bytes,
    pages: list[Page],
    shape: tuple[int, ...],
    partial: bool,
) -> tuple[Any, str]:
    """Return the stack of images, and what was left out of a file that ends early."""
    page = pages[0]
    n_values = int(np.prod(shape, dtype=object))
    per_page = page.width * page.height * page.samples
    n_pages = n_values // per_page
    if len(pages) == 1 and n_pages > 1:
        # ImageJ writes stacks that are too large for its pages as one block behind the first.
        if page.compression != 1:
            raise FormatError(path, None, "an ImageJ stack of one page must not be compressed")
        n_there = min(n_pages, (len(data) - page.offset) // page.n_bytes)
        kind = {1: "u", 2: "i", 3: "f"}[page.kind]
        dtype = np.dtype(f"{'<' if page.little else '>'}{kind}{page.bits // 8}")
        flat = np.frombuffer(data, dtype, count=n_there * per_page, offset=page.offset)
    else:
        n_there = min(len(pages), n_pages)
        flat = np.concatenate([tif.pages[i].asarray().ravel() for i in range(n_there)])
        kind = {1: "u", 2: "i", 3: "f"}[page.kind]
        if flat.size != n_there * per_page or flat.dtype.str[1:] != f"{kind}{page.bits // 8}":
            raise FormatError(path, None, "a page does not hold what it declares; save it again")
    if n_there == n_pages:
        return flat.reshape(shape), ""
    inner = int(np.prod(shape[1:], dtype=object)) // per_page
    outer = n_there // inner
    if not partial or not outer:
        raise FormatError(
            path,
            len(data),
            f"{n_pages} images must be in the file, it holds {n_there}: it ends early; save it "
            "again, or read its whole images with partial=True",
        )
    kept = flat[: outer * inner * per_page].reshape(outer, *shape[1:])
    return kept, f"{path.name}: {outer} of {shape[0]} images are whole"


def _ordered(
    path: Path, stack: Any, axes: str, names: list[str]
) -> tuple[Any, tuple[str, ...], str]:
    """Bring the axes into the order species, frame, y, x."""
    keep = [i for i, a in enumerate(axes) if stack.shape[i] > 1 or a in "YX"]
    stack = stack.reshape([stack.shape[i] for i in keep])
    axes = "".join(axes[i] for i in keep)
    other = [i for i, a in enumerate(axes) if a not in "YXCS"]
    channels = [i for i, a in enumerate(axes) if a in "CS"]
    if len(channels) > 1 or len(other) > 1:
        raise FormatError(
            path,
            None,
            f"the image must have at most channels and frames beside y and x, got the axes {axes}; "
            "save one stack of frames per ion",
        )
    note = ""
    if other and not channels and _all_ions(names, stack.shape[other[0]]):
        channels, other = other, []
        note = "pages taken as species, as they are named"
    stack = np.transpose(stack, [*channels, *other, axes.index("Y"), axes.index("X")])
    if not channels:
        own = _ion(names[0]) if len(names) == 1 and not split_name(path.stem)[1] else ""
        return stack[np.newaxis], (own,), note
    n = stack.shape[0]
    if len(names) == n and all(names):
        return stack, tuple(_ion(name) or name for name in names), note
    return stack, tuple(f"channel {i + 1}" for i in range(n)), "channels are not named"


def _ion(name: str) -> str:
    ion = split_name(re.sub(r"\.\w{2,4}$", "", name))[1]
    return clean_ion(ion.replace(" ", "")) if ion else ""


def _all_ions(names: list[str], n: int) -> bool:
    ions = [_ion(name) for name in names]
    return len(ions) == n and all(ions) and len(set(ions)) == n


def _warn_if_full(path: Path, counts: Any, page: Page) -> None:
    """Warn of pixels at the largest number that 8 or 16 bits hold: counts may be clipped."""
    if page.kind == 1 and page.bits <= 16 and int(counts.max()) == 2**page.bits - 1:
        warnings.warn(
            f"{path.name}: pixels reach {2**page.bits - 1}, the largest number of {page.bits} "
            "bits: counts may have been clipped or scaled for display",
            LlisoWarning,
            stacklevel=5,
        )


READER = Reader(
    name="tiff",
    description="TIFF of counts: one file per species, a stack of frames, or channels",
    extensions=EXTENSIONS,
    sniff=sniff,
    read=read,
    seen=False,
    folders=True,
)

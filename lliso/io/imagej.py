"""Straight lines drawn in ImageJ (``.roi``, ``RoiSet.zip``) as line cuts, and back.

ImageJ counts pixels from the top left; whole numbers are the centres of pixels for lines (the
corner of a pixel for areas). Layout of the 64 bytes in front: ImageJ's RoiDecoder.
"""

from __future__ import annotations

import io
import math
import os
import struct
import sys
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lliso.errors import FormatError, LlisoWarning
from lliso.maps.cuts import LineCut, map_extent
from lliso.schema import X, Y, check_map, pixel_size

if TYPE_CHECKING:
    import xarray as xr

_MAGIC = b"Iout"
_HEADER = 64
_LINE = 3
_KINDS = {
    0: "polygon",
    1: "rectangle",
    2: "oval",
    3: "line",
    4: "freehand line",
    5: "segmented line",
    6: "area without shape",
    7: "freehand area",
    8: "traced area",
    9: "angle",
    10: "points",
}
#: a straight line with a name is 200 bytes; nothing of this size is one
_MAX_ROI_BYTES = 1 << 20
_MAX_ROIS = 10_000


def read_cuts(
    path: str | os.PathLike[str],
    ds: xr.Dataset,
    *,
    top: Literal["smallest y", "largest y"] = "smallest y",
) -> list[LineCut]:
    """Read straight lines that were drawn in ImageJ on an image of a map.

    Parameters
    ----------
    path : str or os.PathLike
        A ``.roi`` file, or a ``.zip`` of them as ImageJ's ROI manager saves it.
    ds : xarray.Dataset
        The map whose image the lines were drawn on, pixel for pixel.
    top : {"smallest y", "largest y"}
        Which end of y was the top row of that image. Images that lliso reads from TIFF have the
        top row at the smallest y.

    Returns
    -------
    list of LineCut
        Named as in ImageJ; the width is that of the line, at least one pixel.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FormatError
        If the file is damaged or holds no straight line. A segmented line is not split: draw one
        straight line for each boundary.
    ValueError
        If a line lies off the map, or a slanted one was drawn on pixels that are not square.
    ModuleNotFoundError
        If the package roifile is missing.

    Warns
    -----
    LlisoWarning
        If other kinds of selections in the ``.zip`` were left out.
    """
    check_map(ds)
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {str(path)!r}; check the spelling")
    lines, others = read_lines(path)
    if others:
        warnings.warn(
            f"{path.name}: only straight lines become cuts, left out: {', '.join(others)}",
            LlisoWarning,
            stacklevel=2,
        )
    return [_cut(ds, name, ends, width, top) for name, ends, width in lines]


def write_cuts(
    cuts: Sequence[LineCut],
    path: str | os.PathLike[str],
    ds: xr.Dataset,
    *,
    top: Literal["smallest y", "largest y"] = "smallest y",
) -> Path:
    """Write line cuts as lines for ImageJ.

    Parameters
    ----------
    cuts : sequence of LineCut
        The cuts.
    path : str or os.PathLike
        Where to: ``.roi`` for one cut, ``.zip`` for any number. A file there is replaced.
    ds : xarray.Dataset
        The map they were drawn on.
    top : {"smallest y", "largest y"}
        Which end of y is the top row of the image in ImageJ.

    Returns
    -------
    pathlib.Path
        The path.

    Raises
    ------
    ValueError
        If there is no cut, or more than one for a ``.roi``.
    ModuleNotFoundError
        If the package roifile is missing.
    """
    check_map(ds)
    path = Path(path)
    if path.suffix.lower() not in (".roi", ".zip"):
        raise ValueError(f"the name must end in .roi or .zip, got {path.name!r}")
    if not cuts or (path.suffix.lower() == ".roi" and len(cuts) > 1):
        raise ValueError(f"a {path.suffix} file needs one cut (.zip: or more), got {len(cuts)}")
    rois = [_roi(ds, cut, top).tobytes() for cut in cuts]
    content = rois[0] if path.suffix.lower() == ".roi" else _zipped(cuts, rois)
    aside = path.with_name(path.name + ".part")
    aside.write_bytes(content)
    aside.replace(path)
    return path


# --- files ---


Line = tuple[str, tuple[float, float, float, float], float]


def read_lines(path: Path) -> tuple[list[Line], list[str]]:
    """Return name, ends (x1, y1, x2, y2) and width in pixels; and what else there is."""
    data = path.read_bytes()
    if not data.startswith(b"PK"):
        kind = _check(path, data, path.name)
        if kind != _LINE:
            raise FormatError(path, 6, f"{_no_line(kind)}: draw straight lines, one per cut")
        return [_line_of(path, data, path.stem)], []
    lines, others = [], []
    for name, content in _members(path, data):
        kind = _check(path, content, name)
        if kind == _LINE:
            lines.append(_line_of(path, content, Path(name).stem))
        else:
            others.append(f"{Path(name).stem} ({_KINDS.get(kind, f'kind {kind}')})")
    if not lines:
        found = ", ".join(others) or "nothing"
        raise FormatError(path, None, f"the file must hold a straight line, got {found}")
    return lines, others


def _members(path: Path, data: bytes) -> list[tuple[str, bytes]]:
    """Return the selections in a zip; sizes are checked before anything is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [m for m in archive.infolist() if m.filename.lower().endswith(".roi")]
            if len(members) > _MAX_ROIS:
                raise FormatError(path, None, f"{len(members)} selections are too many; damaged")
            for m in members:
                if m.file_size > _MAX_ROI_BYTES or m.file_size > 1100 * m.compress_size + 64:
                    raise FormatError(
                        path,
                        m.header_offset,
                        f"{m.filename!r} declares {m.file_size} bytes: "
                        "no selection is that large; the file is damaged",
                    )
            return [(m.filename, archive.read(m)) for m in members]
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as err:
        raise FormatError(path, None, f"the zip is damaged ({err}); save it again") from err
    except (NotImplementedError, ValueError, LookupError, struct.error) as err:
        if isinstance(err, FormatError):
            raise
        raise FormatError(path, None, f"the zip cannot be read ({err}); save it again") from err


def _check(path: Path, data: bytes, name: str) -> int:
    """Check one selection; return its kind."""
    if len(data) < _HEADER or not data.startswith(_MAGIC):
        raise FormatError(
            path, 0, f"{name!r} must begin with 'Iout' and have 64 bytes or more: it is damaged"
        )
    kind, header2 = data[6], struct.unpack_from(">i", data, 60)[0]
    version = struct.unpack_from(">h", data, 4)[0]
    if not 0 < version < 1000 or kind not in _KINDS:
        raise FormatError(path, 4, f"{name!r} is of an unknown kind or version; damaged")
    if header2 and not _HEADER <= header2 <= len(data) - 52:
        raise FormatError(
            path, 60, f"{name!r} states more at byte {header2}, it has {len(data)}: it ends early"
        )
    if header2:
        at, n = struct.unpack_from(">ii", data, header2 + 16)
        if at < 0 or n < 0 or at + 2 * n > len(data):
            raise FormatError(path, header2 + 16, f"the name of {name!r} lies outside it; damaged")
    return kind


def _line_of(path: Path, data: bytes, name: str) -> Line:
    roifile = _roifile()
    try:
        roi = roifile.ImagejRoi.frombytes(data)
    except (ValueError, struct.error, UnicodeDecodeError, TypeError, LookupError) as err:
        raise FormatError(path, None, f"{name!r} cannot be read ({err}); save it again") from err
    ends = (float(roi.x1), float(roi.y1), float(roi.x2), float(roi.y2))
    # ImageJ writes the width twice: as it is, and rounded for old versions.
    width = float(roi.float_stroke_width) or float(roi.stroke_width)
    if not all(math.isfinite(v) and abs(v) < 1e6 for v in (*ends, width)) or width < 0:
        raise FormatError(path, 18, f"{name!r} must have finite ends and width; it is damaged")
    return roi.name or name, ends, max(width, 1.0)


def _no_line(kind: int) -> str:
    return f"the selection must be a straight line, got a {_KINDS.get(kind, f'kind {kind}')}"


def _zipped(cuts: Sequence[LineCut], rois: list[bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for i, (cut, roi) in enumerate(zip(cuts, rois, strict=True), start=1):
            plain = "".join(c if c.isalnum() or c in " -_" else "_" for c in cut.name)
            # Names may repeat, the files in an archive may not.
            archive.writestr(f"{i:04d}-{plain}.roi", roi)
    return out.getvalue()


# --- pixels and µm ---


def _scale(ds: xr.Dataset, top: str) -> tuple[float, float, float, float]:
    """Return x and y (µm) of the pixel (0, 0) of the image and the steps to the next ones."""
    if top not in ("smallest y", "largest y"):
        raise ValueError(f"top must be 'smallest y' or 'largest y', got {top!r}")
    dx, dy = pixel_size(ds)
    x0 = float(ds[X].values[0])
    if top == "smallest y":
        return x0, dx, float(ds[Y].values[0]), dy
    return x0, dx, float(ds[Y].values[-1]), -dy


def _width_scale(ds: xr.Dataset, name: str, along: tuple[float, float]) -> float:
    """Return µm per pixel across a line of the direction `along` (any units)."""
    dx, dy = pixel_size(ds)
    if math.isclose(dx, dy, rel_tol=1e-3):
        return dx
    if along[0] == 0:
        return dx
    if along[1] == 0:
        return dy
    raise ValueError(
        f"cut '{name}' must run along x or y, because the width of a slanted line is not defined "
        f"on pixels of {dx:.4g} x {dy:.4g} um"
    )


def _cut(
    ds: xr.Dataset, name: str, ends: tuple[float, float, float, float], width: float, top: str
) -> LineCut:
    x0, dx, y0, dy = _scale(ds, top)
    x1, y1, x2, y2 = ends
    across = _width_scale(ds, name, (x2 - x1, y2 - y1))
    start, end = (x0 + dx * x1, y0 + dy * y1), (x0 + dx * x2, y0 + dy * y2)
    for axis, (low, high) in enumerate(map_extent(ds)):
        if max(start[axis], end[axis]) < low or min(start[axis], end[axis]) > high:
            raise ValueError(
                f"line '{name}' must lie on the map, got ({x1:g}, {y1:g}) to ({x2:g}, {y2:g}) px "
                f"on {ds.sizes[X]} x {ds.sizes[Y]} pixels; was it drawn on another image?"
            )
    return LineCut(name=name, start=start, end=end, width=width * across)


def _roi(ds: xr.Dataset, cut: LineCut, top: str) -> Any:
    roifile = _roifile()
    x0, dx, y0, dy = _scale(ds, top)
    (x1, y1), (x2, y2) = (((p[0] - x0) / dx, (p[1] - y0) / dy) for p in (cut.start, cut.end))
    width = cut.width / _width_scale(ds, cut.name, (x2 - x1, y2 - y1))
    roi = roifile.ImagejRoi()
    roi.roitype = roifile.ROI_TYPE.LINE
    roi.name = cut.name
    roi.x1, roi.y1, roi.x2, roi.y2 = x1, y1, x2, y2
    roi.left, roi.top = math.floor(min(x1, x2)), math.floor(min(y1, y2))
    roi.right, roi.bottom = math.ceil(max(x1, x2)), math.ceil(max(y1, y2))
    roi.stroke_width = max(1, round(width))
    roi.float_stroke_width = width
    return roi


def _roifile() -> Any:
    try:
        import roifile
    except ModuleNotFoundError as err:
        raise ModuleNotFoundError(
            "lines of ImageJ need the package roifile, got none; "
            f'"{sys.executable}" -m pip install roifile'
        ) from err
    return roifile

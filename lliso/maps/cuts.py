"""Line cuts: a line with a width on a map, and the profile of counts along it.

A cut runs from `start` to `end` (x, y in µm) and is `width` µm wide, perpendicular to the line.
Every pixel whose centre lies in that band is counted once, whole, in the slice its centre falls
in; the isotope fraction is formed from the sums. So neighbouring slices share no count and χ² keeps
its meaning, which interpolation along a line would destroy.
"""

from __future__ import annotations

import math
import warnings
from typing import Annotated

import numpy as np
import xarray as xr
from pydantic import BaseModel, ConfigDict, Field, model_validator

from lliso._types import FloatArray, IntArray
from lliso.errors import LlisoWarning
from lliso.maps.carried import ADDITIVE, UNKNOWN, VARIANCE
from lliso.maps.fraction import sum_frames
from lliso.schema import COUNTS, SPECIES, X, Y, check_counts, check_map, pixel_size

DISTANCE = "distance"
Finite = Annotated[float, Field(allow_inf_nan=False)]


class LineCut(BaseModel):
    """A line with a width, drawn on a map.

    Parameters
    ----------
    name : str
        What the cut is called; boundaries refer to it by this name.
    start, end : tuple of float
        (x, y) of the two ends in µm. Distances along the cut count from `start`.
    width : float
        Full width perpendicular to the line in µm.

    Raises
    ------
    ValueError
        If the ends coincide, a number is not finite, or the width is not positive.

    Examples
    --------
    >>> cut = LineCut(name="a", start=(0, 0), end=(30, 40), width=10)
    >>> cut.length, cut.direction
    (50.0, (0.6, 0.8))
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default="cut 1", min_length=1)
    start: tuple[Finite, Finite]
    end: tuple[Finite, Finite]
    width: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 10.0

    @model_validator(mode="after")
    def _has_length(self) -> LineCut:
        if not self.length > 0:
            raise ValueError(
                f"cut '{self.name}' must have a length, got the same point {self.start} um "
                "for both ends"
            )
        return self

    @property
    def length(self) -> float:
        """Length in µm."""
        return math.dist(self.start, self.end)

    @property
    def direction(self) -> tuple[float, float]:
        """Unit vector (x, y) from start to end."""
        length = self.length
        return (self.end[0] - self.start[0]) / length, (self.end[1] - self.start[1]) / length

    @property
    def outwards(self) -> float:
        """1 if the cut runs away from the source (growing y; along x, growing x), else −1."""
        ux, uy = self.direction
        return 1.0 if (uy, ux) > (0.0, 0.0) else -1.0

    def point(self, distance: float) -> tuple[float, float]:
        """(x, y) in µm of the point at `distance` µm from the start."""
        ux, uy = self.direction
        return self.start[0] + ux * distance, self.start[1] + uy * distance

    def project(self, x: float, y: float) -> tuple[float, float]:
        """Distance along the cut and signed distance from its axis, in µm, of a point (x, y)."""
        ux, uy = self.direction
        px, py = x - self.start[0], y - self.start[1]
        return px * ux + py * uy, py * ux - px * uy

    def moved(self, dx: float, dy: float) -> LineCut:
        """Return the cut shifted by (dx, dy) µm."""
        return self.model_copy(
            update={
                "start": (self.start[0] + dx, self.start[1] + dy),
                "end": (self.end[0] + dx, self.end[1] + dy),
            }
        )


def line_profile(ds: xr.Dataset, cut: LineCut, slice_length: float | None = None) -> xr.Dataset:
    """Sum whole counts in slices along a line cut.

    Parameters
    ----------
    ds : xarray.Dataset
        A map; frames, if any, are summed.
    cut : LineCut
        The cut, in µm.
    slice_length : float, optional
        Length of a slice along the cut in µm. Default: the pixel pitch along the cut.

    Returns
    -------
    xarray.Dataset
        ``counts(species, distance)`` and ``pixels(distance)`` (pixels in each slice).
        ``distance`` in µm is the mean position of the slice's pixels along the cut (the middle of
        the slice where it holds none). Attributes: those of the map, and ``cut`` (JSON),
        ``cut_width`` and ``slice_length`` (µm), ``outside_fraction`` (the share of the band's area
        that lies off the map).

    Raises
    ------
    ValueError
        If the cut lies wholly outside the map, is narrower than a pixel or shorter than a slice.

    Warns
    -----
    LlisoWarning
        If part of the band leaves the map, with its share.

    Examples
    --------
    >>> from lliso.schema import make_map
    >>> m = make_map(np.ones((1, 6, 6), int), ["6Li"], x=np.arange(6.0), y=np.arange(6.0))
    >>> p = line_profile(m, LineCut(start=(2.5, -0.5), end=(2.5, 5.5), width=4))
    >>> p.counts.values
    array([[4, 4, 4, 4, 4, 4]])
    >>> p.distance.values
    array([0.5, 1.5, 2.5, 3.5, 4.5, 5.5])
    """
    check_map(ds)
    ds = sum_frames(ds)
    pitch = pixel_size(ds)
    step, n_slices = slices_of(cut, pitch, slice_length)
    rows, columns, along = band_pixels(ds[X].values, ds[Y].values, cut, n_slices * step)
    if rows.size == 0:
        raise ValueError(_outside_message(ds, cut))
    index = np.minimum((along / step).astype(np.intp), n_slices - 1)
    profile = _summed(ds, rows, columns, index, n_slices)
    profile = profile.assign_coords({DISTANCE: slice_distances(along, index, n_slices, step)})
    profile[DISTANCE].attrs = {"units": "um", "long_name": f"distance along {cut.name}"}
    outside, words = outside_fraction(map_extent(ds), cut)
    if words:
        warnings.warn(words, LlisoWarning, stacklevel=2)
    profile.attrs = {
        **ds.attrs,
        "cut": cut.model_dump_json(),
        "cut_width": cut.width,
        "slice_length": step,
        "outside_fraction": outside,
    }
    return profile


def slices_of(
    cut: LineCut, pitch: tuple[float, float], slice_length: float | None = None
) -> tuple[float, int]:
    """Return length (µm) and number of the slices of a cut; refuse one that is too small."""
    ux, uy = cut.direction
    if cut.width * math.hypot(uy / pitch[0], ux / pitch[1]) < 1 - 1e-9:
        raise ValueError(
            f"cut '{cut.name}' must be at least one pixel wide, got a width of {cut.width:g} um "
            f"on pixels of {pitch[0]:.3g} x {pitch[1]:.3g} um"
        )
    step = _pitch_along(cut, pitch) if slice_length is None else float(slice_length)
    if not 0 < step <= cut.length:
        raise ValueError(
            f"the slice length must be positive and within the length of cut '{cut.name}' "
            f"({cut.length:.4g} um), got {step:.4g} um"
        )
    return step, max(1, math.floor(cut.length / step + 1e-9))


def _pitch_along(cut: LineCut, pitch: tuple[float, float]) -> float:
    """Length along the cut that one pixel covers; exact for cuts along x or y."""
    ux, uy = cut.direction
    return 1.0 / math.hypot(ux / pitch[0], uy / pitch[1])


def band_pixels(
    x: FloatArray, y: FloatArray, cut: LineCut, reach: float
) -> tuple[IntArray, IntArray, FloatArray]:
    """Rows and columns of the pixels centred in the band, and their distance along the cut."""
    half = cut.width / 2
    ux, uy = cut.direction
    # Only the bounding box of the band is looked at: a cut costs what it covers, not the map.
    corner_x = [p[0] + s * half * uy for p in (cut.start, cut.end) for s in (-1, 1)]
    corner_y = [p[1] + s * half * ux for p in (cut.start, cut.end) for s in (-1, 1)]
    i0, i1 = np.searchsorted(y, [min(corner_y) - 1e-9, max(corner_y) + 1e-9])
    j0, j1 = np.searchsorted(x, [min(corner_x) - 1e-9, max(corner_x) + 1e-9])
    px = x[None, j0:j1] - cut.start[0]
    py = y[i0:i1, None] - cut.start[1]
    along = px * ux + py * uy
    across = py * ux - px * uy
    # Half-open in both directions: a pixel centred on an edge belongs to one of two cuts (or
    # slices) that touch, never to both. Which one is a matter of the map, not of where the cut was
    # begun; and the nudge keeps rounding from deciding differently along one edge.
    nudge = 1e-9 * cut.length
    along = along + (nudge if (uy, ux) > (0.0, 0.0) else -nudge)
    across = across + (nudge if (ux, -uy) > (0.0, 0.0) else -nudge)
    inside = (along >= 0) & (along < reach) & (across >= -half) & (across < half)
    rows, columns = np.nonzero(inside)
    return rows + i0, columns + j0, along[inside]


def _summed(
    ds: xr.Dataset, rows: IntArray, columns: IntArray, index: IntArray, n_slices: int
) -> xr.Dataset:
    window = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
    inside = (rows - rows.min(), columns - columns.min())
    known = np.ones(rows.size, dtype=bool)
    if UNKNOWN in ds:
        known = ~np.asarray(ds[UNKNOWN].data[window])[inside]
    pixels = np.bincount(index, minlength=n_slices)
    # What has no x and y (the systematic parameters) is as true of the cut as of the map.
    fixed = {n: v for n, v in ds.data_vars.items() if not {X, Y} & set(map(str, v.dims))}
    profile = xr.Dataset(fixed, coords={SPECIES: ds[SPECIES]})
    for name in ADDITIVE:
        if name not in ds:
            continue
        array = ds[name]
        picked = np.asarray(array.data[..., *window])[..., *inside]
        if name == COUNTS:  # of a lazy map nobody has looked at the values yet
            check_counts(picked, net=VARIANCE in ds)
        flat = np.where(known, picked, 0).reshape(-1, rows.size)
        sums = np.stack([np.bincount(index, weights=s, minlength=n_slices) for s in flat])
        if array.dtype.kind in "ui":  # whole below 2**53, so the way through float is exact
            sums = sums.astype(np.int64)
        sums = sums.reshape(*picked.shape[:-1], n_slices)
        profile[name] = ((*array.dims[:-2], DISTANCE), sums, array.attrs)
    profile["pixels"] = (DISTANCE, pixels, {"long_name": "pixels in the slice", "units": "1"})
    return profile


def slice_distances(along: FloatArray, index: IntArray, n_slices: int, step: float) -> FloatArray:
    """Mean distance of the pixels of each slice; its middle where it holds none."""
    pixels = np.bincount(index, minlength=n_slices)
    total = np.bincount(index, weights=along, minlength=n_slices)
    middle = (np.arange(n_slices) + 0.5) * step
    mean = np.where(pixels > 0, total / np.maximum(pixels, 1), middle)
    # The nudge of band_pixels is not data: it is rounded away.
    return np.asarray(np.round(mean, 6), dtype=np.float64)


def outside_fraction(
    extent: tuple[tuple[float, float], tuple[float, float]], cut: LineCut
) -> tuple[float, str]:
    """Share of the band's area outside the map, and a warning in words if it is worth one.

    The band is clipped at the map's four edges.
    """
    ux, uy = cut.direction
    half = cut.width / 2
    band = [
        (p[0] - side * half * uy, p[1] + side * half * ux)
        for p, side in ((cut.start, -1), (cut.end, -1), (cut.end, 1), (cut.start, 1))
    ]
    for axis, (low, high) in enumerate(extent):
        band = _clipped(_clipped(band, axis, low, 1.0), axis, high, -1.0)
    nexts = [*band[1:], *band[:1]]
    area = 0.5 * sum(p[0] * q[1] - q[0] * p[1] for p, q in zip(band, nexts, strict=True))
    share = max(0.0, round(1.0 - area / (cut.length * cut.width), 9))
    words = f"{share:.1%} of cut '{cut.name}' lies outside the map and is left out"
    return share, words if share > 0.005 else ""


def _clipped(
    polygon: list[tuple[float, float]], axis: int, edge: float, sign: float
) -> list[tuple[float, float]]:
    """Part of a polygon where ``sign * (coordinate - edge) >= 0``."""
    kept = []
    for p, q in zip([*polygon[-1:], *polygon[:-1]], polygon, strict=True):
        a, b = sign * (p[axis] - edge), sign * (q[axis] - edge)
        if (a < 0) != (b < 0):
            t = a / (a - b)
            kept.append((p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])))
        if b >= 0:
            kept.append(q)
    return kept


def map_extent(ds: xr.Dataset) -> tuple[tuple[float, float], tuple[float, float]]:
    """Outer edges of the map, ``((x0, x1), (y0, y1))`` in µm (half a pixel beyond the centres)."""
    edges = []
    for name, pitch in zip((X, Y), pixel_size(ds), strict=True):
        axis = ds[name].values
        edges.append((float(axis[0]) - pitch / 2, float(axis[-1]) + pitch / 2))
    return edges[0], edges[1]


def _outside_message(ds: xr.Dataset, cut: LineCut) -> str:
    (x0, x1), (y0, y1) = map_extent(ds)
    return (
        f"cut '{cut.name}' must lie on the map, got a line from {cut.start} to {cut.end} um that "
        f"covers no pixel; the map spans x = {x0:.4g} to {x1:.4g} and y = {y0:.4g} to {y1:.4g} um"
    )

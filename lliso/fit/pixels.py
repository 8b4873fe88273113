"""The pixels of a patch: counts around a boundary, in the boundary's own coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lliso._types import BoolArray, FloatArray
from lliso.fit.window import FEWEST_SLICES
from lliso.maps.carried import effective_counts
from lliso.maps.fraction import sum_frames
from lliso.schema import LI6, LI7, X, Y, check_map, pixel_size

if TYPE_CHECKING:
    import xarray as xr

    from lliso.maps.cuts import LineCut
    from lliso.maps.picks import BoundaryPick


@dataclass(frozen=True)
class PatchImage:
    """Counts of a map as arrays.

    Attributes
    ----------
    light, total : numpy.ndarray, shape (y, x)
        Counts of ⁶Li and of both isotopes; effective ones, where the map carries a variance.
    x, y : numpy.ndarray
        Pixel centres in µm.
    pitch : float
        The larger pixel side in µm.
    """

    light: FloatArray
    total: FloatArray
    x: FloatArray
    y: FloatArray
    pitch: float

    @classmethod
    def from_map(cls, ds: xr.Dataset) -> PatchImage:
        """Take the counts of a map; frames are summed.

        Of corrected counts, which scatter more than binomial ones, the effective number is taken.
        """
        summed = sum_frames(ds)
        check_map(summed, needs=(LI6, LI7))
        light, total = effective_counts(summed)
        x, y = summed[X].values.astype(float), summed[Y].values.astype(float)
        return cls(light, total, x, y, max(pixel_size(summed)))


@dataclass(frozen=True)
class PatchGeometry:
    """Where a boundary is, and how far its two grains reach.

    Attributes
    ----------
    name : str
        Name of the boundary.
    x, y : float
        A point of the boundary in µm, in the middle of the patch.
    nx, ny : float
        Unit normal; the step is the fraction after the boundary, along the normal, less before.
    width : float
        Extent of the patch along the boundary in µm.
    reach_before, reach_after : float
        Distance to the next boundary on each side in µm; guards are not subtracted.
    guarded_before, guarded_after : bool
        False where the reach ends at the edge of the map rather than at another boundary.
    """

    name: str
    x: float
    y: float
    nx: float
    ny: float
    width: float
    reach_before: float
    reach_after: float
    guarded_before: bool = True
    guarded_after: bool = True


@dataclass(frozen=True)
class PatchPixels:
    """Pixels of a patch in the coordinates of its boundary (µm), with their counts."""

    nu: FloatArray
    tau: FloatArray
    light: FloatArray
    total: FloatArray


def geometry_of_pick(pick: BoundaryPick, cut: LineCut) -> PatchGeometry:
    """Return the patch of a picked boundary: the band of its cut between the window's ends."""
    x, y = cut.point(pick.position)
    angle = math.radians(pick.tilt)
    ux, uy = cut.direction
    low, high = pick.window
    return PatchGeometry(
        name=pick.name,
        x=x,
        y=y,
        nx=ux * math.cos(angle) + uy * math.sin(angle),
        ny=uy * math.cos(angle) - ux * math.sin(angle),
        width=cut.width,
        reach_before=pick.position - low,
        reach_after=high - pick.position,
        guarded_before=low > 1e-3,
        guarded_after=high < cut.length - 1e-3,
    )


def reaches(geometry: PatchGeometry, guard: float) -> tuple[float, float]:
    """Return how far the fit may look on each side, in µm: the window less its far guards."""
    before = geometry.reach_before - (guard if geometry.guarded_before else 0.0)
    after = geometry.reach_after - (guard if geometry.guarded_after else 0.0)
    return before, after


def patch_pixels(
    image: PatchImage,
    geometry: PatchGeometry,
    guard: float,
    allowed: BoolArray | None,
    far_guard: float | None = None,
) -> PatchPixels:
    """Take the pixels of a patch, in the coordinates of its boundary."""
    before, after = reaches(geometry, guard if far_guard is None else far_guard)
    corner = np.hypot(max(before, after, 0.0), geometry.width / 2)
    i0, i1 = np.searchsorted(image.y, [geometry.y - corner, geometry.y + corner])
    j0, j1 = np.searchsorted(image.x, [geometry.x - corner, geometry.x + corner])
    dx = image.x[None, j0:j1] - geometry.x
    dy = image.y[i0:i1, None] - geometry.y
    nu = dx * geometry.nx + dy * geometry.ny
    tau = dy * geometry.nx - dx * geometry.ny
    total = image.total[i0:i1, j0:j1]
    use = (np.abs(tau) <= geometry.width / 2) & (nu >= -before) & (nu <= after)
    use &= (np.abs(nu) >= guard) & (total > 0)
    if allowed is not None:
        use &= allowed[i0:i1, j0:j1]
    pixels = PatchPixels(nu[use], tau[use], image.light[i0:i1, j0:j1][use], total[use])
    # As many pixels as a profile of the fewest slices would hold.
    fewest = FEWEST_SLICES * max(2.0, geometry.width / image.pitch)
    for side, sign in (("before", -1), ("after", 1)):
        n = int(np.count_nonzero(sign * pixels.nu > 0))
        if n < 0.5 * fewest:
            raise ValueError(
                f"the window of boundary '{geometry.name}' must leave at least {FEWEST_SLICES} "
                f"slices with counts {side} the boundary, got {n} pixels over a width of "
                f"{geometry.width:.4g} um; it loses {guard:.3g} um of guard at the boundary and "
                "at each end; widen it"
            )
    return pixels

"""The local estimator on a patch of pixels: position and angle refined, then step and slope.

A profile sums the counts of a slice and with them whatever the boundary does across the cut. On
the pixels themselves the boundary's place and angle can be fitted, and the fraction may also vary
along the boundary:

    C = c + ΔC (H(ν) − ½) + g ν + ½ q₋ν² [ν<0] + ½ q₊ν² [ν>0] + γ τ

with ν the distance from the boundary along its normal and τ the one along it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from lliso._types import BoolArray, FloatArray
from lliso.diffusion.steps import blurred_step, boundary_terms
from lliso.fit.boundary import CURVATURE_SHARE, FWHM_PER_STD, BoundaryFit, judged
from lliso.fit.linear import fit_linear
from lliso.fit.window import FEWEST_SLICES, guard_length
from lliso.maps.fraction import species_counts, sum_frames
from lliso.schema import LI6, LI7, X, Y, pixel_size

if TYPE_CHECKING:
    import xarray as xr

    from lliso.maps.cuts import LineCut
    from lliso.maps.picks import BoundaryPick

#: how far from the boundary pixels may help to place it, in µm
_PLACING_REACH = 10.0
#: significance of the step below which the place a person gave is kept
_PLACING_SIGNIFICANCE = 5.0
#: how far from the pick the step is looked for, in µm
LARGEST_SHIFT = 6.0
#: largest correction of the angle, in degrees
_LARGEST_TURN = 20.0


@dataclass(frozen=True)
class PatchImage:
    """Counts of a map as arrays.

    Attributes
    ----------
    light, total : numpy.ndarray, shape (y, x)
        Counts of ⁶Li and of both isotopes.
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
        """Take the counts of a map; frames are summed."""
        summed = sum_frames(ds)
        light = species_counts(summed, LI6).values
        total = light + species_counts(summed, LI7).values
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
class PatchFit(BoundaryFit):
    """The fit of one boundary on pixels: a `BoundaryFit` along the normal, and where that is.

    Attributes
    ----------
    place : tuple of float
        (x, y) of the refined boundary in µm.
    normal : tuple of float
        Its unit normal.
    along : float
        Slope along the boundary, 1/µm.
    turn : float
        By how many degrees the normal was turned against the clock.
    information : numpy.ndarray, shape (6, 6)
        Fisher information of the counts on level, step, slope, both curvatures and `along`.
    prior_precision : numpy.ndarray, shape (6,)
        1/variance of the prior on each.
    """

    place: tuple[float, float] = (np.nan, np.nan)
    normal: tuple[float, float] = (np.nan, np.nan)
    along: float = 0.0
    turn: float = 0.0
    information: FloatArray = field(default_factory=lambda: np.full((6, 6), np.nan))
    prior_precision: FloatArray = field(default_factory=lambda: np.zeros(6))

    def on_cut(self, cut: LineCut) -> BoundaryFit:
        """Return the fit as it looks along the axis of a cut, to be drawn on its profile."""
        ux, uy = cut.direction
        nx, ny = self.normal
        along_normal = ux * nx + uy * ny
        along_boundary = uy * nx - ux * ny
        position, aside = cut.project(*self.place)
        # The axis meets the boundary beside its reference point if the two are not square.
        shift = aside * along_boundary / along_normal
        p = dict(self.parameters)
        p["level"] += self.along * (aside / along_normal)
        p["slope"] = p["slope"] * along_normal + self.along * along_boundary
        for name in ("curvature_before", "curvature_after"):
            p[name] *= along_normal**2
        p["position"] = position + shift
        return BoundaryFit(
            self.name,
            p,
            self.covariance,
            reach_before=self.reach_before,
            reach_after=self.reach_after,
            flags=self.flags,
            message=self.message,
        )


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


def fit_patch(
    image: PatchImage,
    geometry: PatchGeometry,
    *,
    resolution: float = 1.0,
    mean_slope: float = np.inf,
    refine: bool = True,
    allowed: BoolArray | None = None,
    guard_factor: float = 1.0,
) -> PatchFit:
    """Fit one boundary on the pixels around it.

    Parameters
    ----------
    image : PatchImage
        Counts of the map.
    geometry : PatchGeometry
        Place, normal and reach of the boundary.
    resolution : float
        Full width at half maximum of the point spread function in µm.
    mean_slope : float
        ḡ, mean in-grain slope of the map in 1/µm; sets the prior on the curvatures.
    refine : bool
        Fit place and angle first, where the step is significant enough to tell.
    allowed : numpy.ndarray of bool, shape (y, x), optional
        Pixels that may be used (such as those of the two grains, off every boundary); the guard of
        this boundary is kept in any case.
    guard_factor : float
        Multiplies the usual guard, to see whether the result hangs on it.

    Returns
    -------
    PatchFit

    Raises
    ------
    ValueError
        If too few pixels are left on a side.
    """
    turn, shift_std, given = 0.0, math.nan, geometry
    if refine:
        geometry, turn, shift_std = refined_geometry(image, geometry, resolution=resolution)
    moved = math.hypot(geometry.x - given.x, geometry.y - given.y)
    guard = guard_factor * guard_length(image.pitch, resolution)
    pixels = patch_pixels(image, geometry, guard, allowed)
    before, after = _reaches(geometry, guard)
    prior = np.full(6, np.inf)
    prior[3:5] = CURVATURE_SHARE * abs(mean_slope) / np.array([before, after])
    terms = np.column_stack([boundary_terms(pixels.nu), pixels.tau])
    fit = fit_linear(terms, pixels.light, pixels.total, prior)
    names = ("level", "step", "slope", "curvature_before", "curvature_after")
    found = judged(
        geometry.name,
        {**dict(zip(names, map(float, fit.value[:5]), strict=True)), "position": 0.0, "blur": 0.0},
        fit.covariance[1:3, 1:3],
        fit.chi2,
        fit.dof,
    )
    return PatchFit(
        **{k: getattr(found, k) for k in ("name", "parameters", "covariance", "chi2_red")},
        p_value=found.p_value,
        flags=(*found.flags, "position_off") if moved > guard else found.flags,
        n_slices=int(pixels.nu.size),
        guard=guard,
        reach_before=before,
        reach_after=after,
        place=(geometry.x, geometry.y),
        normal=(geometry.nx, geometry.ny),
        along=float(fit.value[5]),
        turn=math.degrees(turn),
        position_std=shift_std,
        information=np.asarray(np.linalg.inv(fit.covariance) - np.diag(prior**-2.0), dtype=float),
        prior_precision=prior**-2.0,
    )


def placed_as(geometry: PatchGeometry, fit: PatchFit) -> PatchGeometry:
    """Return a patch moved to where a fit of it was placed; its window's ends stay."""
    dx, dy = fit.place[0] - geometry.x, fit.place[1] - geometry.y
    shift = dx * fit.normal[0] + dy * fit.normal[1]
    return replace(
        geometry,
        x=fit.place[0],
        y=fit.place[1],
        nx=fit.normal[0],
        ny=fit.normal[1],
        reach_before=geometry.reach_before + shift,
        reach_after=geometry.reach_after - shift,
    )


def refined_geometry(
    image: PatchImage, geometry: PatchGeometry, *, resolution: float = 1.0, rounds: int = 12
) -> tuple[PatchGeometry, float, float]:
    """Place a boundary and its angle by the likelihood of a blurred step on the pixels around it.

    A scan across the boundary finds the step, Gauss–Newton steps then settle place and angle.

    Parameters
    ----------
    image, geometry, resolution
        As in `fit_patch`.
    rounds : int
        Gauss–Newton steps at the most.

    Returns
    -------
    geometry : PatchGeometry
        The refined one, or the given one if the step is too small to tell. The ends of its window
        stay where they were.
    turn : float
        By how much the normal was turned, in radians.
    shift_std : float
        Standard error of the place across the boundary in µm; NaN if it was not fitted.
    """
    guard = guard_length(image.pitch, resolution)
    near = replace(
        geometry,
        reach_before=min(geometry.reach_before, _PLACING_REACH + guard),
        reach_after=min(geometry.reach_after, _PLACING_REACH + guard),
    )
    try:
        pixels = patch_pixels(image, near, 0.0, None, far_guard=guard)
    except ValueError:
        return geometry, 0.0, math.nan
    # The beam, and the width of a pixel.
    blur = math.hypot(resolution / FWHM_PER_STD, image.pitch / math.sqrt(12))
    pooled = float(pixels.light.sum() / pixels.total.sum())
    weight = pixels.total / max(pooled * (1 - pooled), 1e-9)
    shift = _scanned_shift(pixels, weight, blur, LARGEST_SHIFT)
    turn, shift_std, largest_turn = 0.0, math.nan, math.radians(_LARGEST_TURN)
    for _ in range(rounds):
        step = _placing_step(pixels, weight, blur, shift, turn)
        if step is None:
            return geometry, 0.0, math.nan
        shift_std = step[2]
        # A blurred step is felt only within its blur: longer strides would overshoot.
        shift = float(np.clip(shift + np.clip(step[0], -1, 1), -LARGEST_SHIFT, LARGEST_SHIFT))
        turn = float(np.clip(turn + np.clip(step[1], -0.1, 0.1), -largest_turn, largest_turn))
        if abs(step[0]) < 1e-3 and abs(step[1]) < 1e-4:
            break
    # nu' = cos(turn) nu + sin(turn) tau, so the normal turns from n towards the tangent.
    c, s = math.cos(turn), math.sin(turn)
    nx, ny = c * geometry.nx - s * geometry.ny, s * geometry.nx + c * geometry.ny
    return (
        replace(
            geometry,
            x=geometry.x + shift * nx,
            y=geometry.y + shift * ny,
            nx=nx,
            ny=ny,
            reach_before=geometry.reach_before + shift,
            reach_after=geometry.reach_after - shift,
        ),
        turn,
        shift_std,
    )


def _scanned_shift(pixels: PatchPixels, weight: FloatArray, blur: float, farthest: float) -> float:
    """Return the shift of the boundary at which a line with a step fits best."""
    # Three slices of the fraction must be left on either side.
    low = max(-farthest, float(pixels.nu.min()) + 3.0)
    high = min(farthest, float(pixels.nu.max()) - 3.0)
    if not low < 0 < high:
        return 0.0
    shifts = np.concatenate([np.arange(0, low, -0.5)[::-1], np.arange(0.5, high, 0.5)])
    steps = blurred_step(pixels.nu[None, :] - shifts[:, None], blur) - 0.5
    common = np.column_stack([np.ones_like(pixels.nu), pixels.nu, pixels.tau])
    root = np.sqrt(weight)
    # What is left of data and steps when level, slope and the slope along have been taken out.
    basis, _ = np.linalg.qr(common * root[:, None])
    data = root * pixels.light / pixels.total
    data = data - basis @ (basis.T @ data)
    steps = steps * root
    steps = steps - (steps @ basis) @ basis.T
    gain = (steps @ data) ** 2 / np.maximum(np.sum(steps**2, axis=1), 1e-30)
    return float(shifts[int(np.argmax(gain))])


def _placing_step(
    pixels: PatchPixels, weight: FloatArray, blur: float, shift: float, turn: float
) -> tuple[float, float, float] | None:
    """Return a Gauss–Newton step of (shift, turn) and the error of the shift.

    None where the step is not significant.
    """
    nu = math.cos(turn) * pixels.nu + math.sin(turn) * pixels.tau - shift
    terms = np.column_stack([np.ones_like(nu), blurred_step(nu, blur) - 0.5, nu, pixels.tau])
    normal = (terms * weight[:, None]).T @ terms
    fraction = pixels.light / pixels.total
    value = np.linalg.solve(normal, terms.T @ (weight * fraction))
    if abs(value[1]) < _PLACING_SIGNIFICANCE * math.sqrt(np.linalg.inv(normal)[1, 1]):
        return None
    density = np.exp(-0.5 * (nu / blur) ** 2) / (blur * math.sqrt(2 * math.pi))
    slope = value[1] * density
    full = np.column_stack([terms, -slope, slope * pixels.tau])
    normal = (full * weight[:, None]).T @ full
    normal[np.diag_indices(6)] *= 1 + 1e-9
    change = np.linalg.solve(normal, full.T @ (weight * (fraction - terms @ value)))
    return float(change[4]), float(change[5]), float(np.sqrt(np.linalg.inv(normal)[4, 4]))


def _reaches(geometry: PatchGeometry, guard: float) -> tuple[float, float]:
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
    before, after = _reaches(geometry, guard if far_guard is None else far_guard)
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

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

import numpy as np

from lliso._types import BoolArray, FloatArray
from lliso.diffusion.steps import boundary_terms
from lliso.fit.boundary import CURVATURE_SHARE, BoundaryFit, judged
from lliso.fit.linear import fit_linear
from lliso.fit.pixels import PatchGeometry, PatchImage, geometry_of_pick, patch_pixels, reaches
from lliso.fit.placing import refined_geometry
from lliso.fit.window import guard_length
from lliso.maps.cuts import LineCut

__all__ = [
    "PatchFit",
    "PatchGeometry",
    "PatchImage",
    "fit_patch",
    "geometry_of_pick",
    "patch_pixels",
    "placed_as",
    "refined_geometry",
]


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
    before, after = reaches(geometry, guard)
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

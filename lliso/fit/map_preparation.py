"""From a map to a stage of the whole-map inversion: pixels in use, scales of rim and rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso._types import BoolArray, FloatArray, IntArray
from lliso.diffusion.pixels import pixel_matrix
from lliso.diffusion.quasisteady import QuasiSteady
from lliso.diffusion.windowmesh import WindowMesh
from lliso.fit.map_stage import MapStage, mean_intercept, rate_basis, rim_basis
from lliso.fit.rate import Clock
from lliso.schema import LI6, LI7, X, Y, pixel_size

if TYPE_CHECKING:
    import xarray as xr

FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))


@dataclass(frozen=True, eq=False)
class Prepared:
    """A stage, and what its map shows at a glance.

    Attributes
    ----------
    stage : MapStage
    mean_slope : tuple of float
        Slope of C inside the grains along the macroscopic gradient, and that gradient's size.
    macroscopic : array, shape (2,)
        Macroscopic gradient of C.
    near : array of bool, shape (pixel,)
        Whether a pixel in use lies within one pixel of the guard, next to a boundary.
    """

    stage: MapStage
    mean_slope: tuple[float, float]
    macroscopic: FloatArray
    near: BoolArray


def prepared_stage(
    ds: xr.Dataset, problem: QuasiSteady, guard: float, fwhm: float, clock: Clock | None
) -> Prepared:
    """Make a map into a stage.

    Parameters
    ----------
    ds : xarray.Dataset
    problem : QuasiSteady
        On the mesh of the map's field of view, lengths in µm, D in µm²/s.
    guard : float
        Pixels nearer than this to a boundary are left out, µm.
    fwhm : float
        Of the point spread function, µm.
    clock : Clock, optional
        What tells ∂C/∂t; without it ∂C/∂t is a free smooth field.

    Raises
    ------
    ValueError
        If no pixel with counts is left.
    """
    mesh = problem.mesh
    light = _counts(ds, LI6)
    total = light + _counts(ds, LI7)
    x, y = np.meshgrid(ds[X].values, ds[Y].values)
    points = np.column_stack([x.ravel(), y.ravel()]).astype(float)
    width = max(pixel_size(ds))
    blur = float(np.hypot(fwhm / FWHM_PER_SIGMA, width / np.sqrt(12.0)))
    matrix, part, distance = pixel_matrix(mesh, points, guard, blur)
    used = (distance >= guard) & (total > 0)
    if not used.any():
        raise ValueError(
            f"the inversion needs pixels with counts farther than {guard:g} um from every "
            "boundary, got none; are the grains resolved?"
        )
    light, total, points, part = light[used], total[used], points[used], part[used]
    gradient = _regressed(points, light, total, None)
    inside = _regressed(points, light, total, part)
    steep = float(np.hypot(*gradient))
    along = gradient / max(steep, 1e-300)
    slope = float(np.clip(abs(inside @ along), 0.05 * steep, steep))
    if clock is None:
        x0, y0, x1, y1 = mesh.outlines.box
        # enough to turn the flux right round within the field of view
        mean, std = np.zeros(mesh.n), problem.diffusivity * slope / max(x1 - x0, y1 - y0) * 4.0
    else:
        # a piece of grain without usable pixels takes the plane through all of them
        plane = light.sum() / total.sum() + (mesh.points - points.mean(axis=0)) @ gradient
        level = _levels(mesh, light, total, part)
        mean = clock.rate(np.where(np.isfinite(level), level, plane))
        std = clock.relative_std * float(np.sqrt(np.mean(mean**2)))
    rim = rim_basis(mesh, slope, 0.5 * mean_intercept(mesh.outlines))
    stage = MapStage(problem, matrix[used], light, total, rim, mean, rate_basis(mesh, std))
    return Prepared(stage, (slope, steep), gradient, distance[used] < guard + width)


def _levels(mesh: WindowMesh, light: FloatArray, total: FloatArray, part: IntArray) -> FloatArray:
    """Fraction of each node's piece of grain, NaN where it has no pixels."""
    count = len(mesh.part_grain)
    with np.errstate(invalid="ignore"):
        per_part = np.bincount(part, light, count) / np.bincount(part, total, count)
    return np.asarray(per_part[mesh.node_part])


def _counts(ds: xr.Dataset, species: str) -> FloatArray:
    counts = ds["counts"].sel(species=species)
    if "frame" in counts.dims:
        counts = counts.sum("frame")
    return np.asarray(counts.values, dtype=float).ravel()


def _regressed(
    points: FloatArray, light: FloatArray, total: FloatArray, part: Any | None
) -> FloatArray:
    """Gradient of the fraction, common to all pieces of grain, each with its own mean."""
    group = np.zeros(len(points), dtype=np.int64) if part is None else part
    weight = np.bincount(group, total)
    safe = np.maximum(weight, 1e-300)

    def centred(v: FloatArray) -> FloatArray:
        return np.asarray(v - (np.bincount(group, total * v) / safe)[group])

    a = np.column_stack([centred(points[:, 0]), centred(points[:, 1])])
    f = centred(light / total)
    return np.asarray(np.linalg.lstsq(a.T @ (total[:, None] * a), a.T @ (total * f), rcond=None)[0])


def first_guess(prepared: Prepared, problem: QuasiSteady) -> float:
    """Return ln P that makes grains and boundaries in series as steep as the map is."""
    outlines = problem.mesh.outlines
    size = 4.0 / np.pi * mean_intercept(outlines)
    slope, steep = prepared.mean_slope
    rest = max(steep - slope, 0.05 * steep)
    return float(np.log(problem.diffusivity * slope / (rest * size)))

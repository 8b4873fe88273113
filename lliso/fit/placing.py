"""Where a boundary is, and at which angle: the likelihood of a blurred step on its pixels."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from lliso._types import FloatArray
from lliso.diffusion.steps import blurred_step
from lliso.fit.boundary import FWHM_PER_STD
from lliso.fit.pixels import PatchGeometry, PatchImage, PatchPixels, patch_pixels
from lliso.fit.window import guard_length

#: how far from the boundary pixels may help to place it, in µm
_PLACING_REACH = 10.0
#: significance of the step below which the place a person gave is kept
_PLACING_SIGNIFICANCE = 5.0
#: how far from the pick the step is looked for, in µm
LARGEST_SHIFT = 6.0
#: largest correction of the angle, in degrees
_LARGEST_TURN = 20.0


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

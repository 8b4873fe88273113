"""The search for drift in a long stack: groups of frames first, then each frame against them.

Consecutive frames are added to some sixty groups, whose path is found as that of a short stack
and interpolated. Each frame is then compared once with the sum of all groups but its own, near
the place that the path suggests: one Fourier transform per frame and species.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
import xarray as xr

from lliso._types import BoolArray, FloatArray, IntArray
from lliso.maps._drift_stack import Stack, inner_window
from lliso.schema import FRAME, SPECIES, X, Y

#: a stack of more frames is searched in so many groups
MOST_GROUPS = 60
#: pixels from the suggested place within which a frame is looked for, beside twice the largest
#: step of the path from group to group
REACH = 6.0
#: frames that are this far off the path of the groups (rms, pixels) have blurred them
_BLURRED = 0.5
_NEWTON_STEPS = 4


@dataclass
class Groups:
    """Consecutive frames, added up.

    ``of_frame`` is the group of each frame, ``centre`` the mean number of its usable frames, and
    ``stack`` the sums, in memory.
    """

    of_frame: IntArray
    centre: FloatArray
    stack: Stack

    def between(self, path: FloatArray) -> FloatArray:
        """Interpolate the groups' path to every frame."""
        index = np.arange(self.of_frame.size)
        return np.stack([np.interp(index, self.centre, p) for p in path.T], axis=1)


def grouped(stack: Stack, usable: BoolArray) -> Groups:
    """Add up groups of frames, of those that are usable."""
    n = usable.size
    each = -(-n // MOST_GROUPS)
    of_frame = np.arange(n) // each
    n_groups = int(of_frame[-1]) + 1
    ny, nx = stack.counts.sizes[Y], stack.counts.sizes[X]
    sums = np.zeros((stack.counts.sizes[SPECIES], n_groups, ny, nx), dtype=np.float32)
    for f, image in stack.images("drift, groups"):
        if usable[f]:
            sums[:, of_frame[f]] += image
    share = np.bincount(of_frame, usable, n_groups)
    index = np.bincount(of_frame, usable * np.arange(n), n_groups)
    all_index = np.bincount(of_frame, np.arange(n)) / np.bincount(of_frame)
    centre = np.where(share > 0, index / np.where(share > 0, share, 1), all_index)
    counts = xr.DataArray(sums, dims=(SPECIES, FRAME, Y, X))
    # The groups' own lines of progress would count other frames than the caller's.
    inner = Stack(counts, [slice(g, g + 1) for g in range(n_groups)], lambda _: None)
    return Groups(of_frame, centre, inner)


def placed_groups(groups: Groups, path: FloatArray, good: BoolArray) -> Any:
    """Spectra of the groups, each moved back to where the specimen was without drift."""
    ny, nx = groups.stack.window.shape
    out = np.zeros((path.shape[0], groups.stack.weight.size, ny, nx // 2 + 1), np.complex64)
    for g, image in groups.stack.images(""):
        if good[g]:
            out[g] = groups.stack.half_moved(groups.stack.half_spectrum(image), -path[g])
    return out


def each_frame(
    stack: Stack, usable: BoolArray, placed: Any, of_frame: IntArray, suggested: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Find each frame near its suggested place; return offsets (y, x) and likeness.

    What is maximised is the sum of the frame times a template, the sum of the other groups where
    all of them overlap, shifted. The frame has no window, which would favour small shifts and
    leave out most of its counts.
    """
    path, likeness = suggested.copy(), np.zeros(usable.size)
    total = placed.sum(axis=0)
    steps = np.abs(np.diff(suggested, axis=0)).max(initial=0.0) * np.bincount(of_frame).max()
    reach = REACH + 2.0 * float(steps)
    window = inner_window(stack.window.shape, suggested)
    template, now = None, -1
    for f, image in stack.images("drift"):
        if not usable[f]:
            continue
        if of_frame[f] != now:
            now = int(of_frame[f])
            at = suggested[of_frame == now].mean(axis=0)
            template = Template.of(stack, total - placed[now], at, window)
        if template is None or template.size == 0:
            continue
        path[f], likeness[f] = template.find(stack, image, suggested[f], reach)
    return path, likeness


def placed_frames(stack: Stack, good: BoolArray, path: FloatArray, of_frame: IntArray) -> Any:
    """Spectra of the groups from frames each moved back by its own offset."""
    ny, nx = stack.window.shape
    shape = (int(of_frame[-1]) + 1, stack.weight.size, ny, nx // 2 + 1)
    out = np.zeros(shape, np.complex64)
    for f, image in stack.images("drift, groups again"):
        if good[f]:
            out[of_frame[f]] += stack.half_moved(stack.half_spectrum(image), -path[f])
    return out


def blurred(found: FloatArray, suggested: FloatArray, good: BoolArray) -> bool:
    """Tell whether frames lie so far off the path of their groups that the sums are blurred."""
    off = (found - suggested)[good]
    return bool(off.size) and float(np.sqrt(np.mean(off**2))) > _BLURRED


@dataclass
class Template:
    """What a frame should look like at the offset `at`: half spectra per species, weighted.

    `size` is its strength, `share` the mean square of its window.
    """

    spectrum: Any
    at: FloatArray
    size: float
    share: float

    @classmethod
    def of(cls, stack: Stack, others: Any, at: FloatArray, window: Any) -> Template:
        """Window the sum of the other groups as it lies in the frames around `at`."""
        seen = scipy.fft.irfft2(stack.half_moved(others, at), s=window.shape)
        weights = window / window.sum()
        seen = (seen - (seen * weights).sum(axis=(1, 2), keepdims=True)) * window
        spectrum = scipy.fft.rfft2(seen * window) * stack.half_band
        weight = stack.weight[:, None, None].astype(np.float32)
        size = float(np.sum(weight * seen.astype(float) ** 2))
        share = float(np.mean(window.astype(float) ** 2))
        return cls(spectrum.conj() * weight, np.asarray(at, dtype=float), size, share)

    def find(
        self, stack: Stack, image: Any, near: FloatArray, reach: float
    ) -> tuple[FloatArray, float]:
        """Return the offset of a frame, and its correlation with the template."""
        half = scipy.fft.rfft2(image - image.mean(axis=(1, 2), keepdims=True))
        product = np.sum(half * self.spectrum, axis=0)
        there = scipy.fft.irfft2(product, s=stack.window.shape)
        peak = _highest(there, near - self.at, reach)
        offset, value = _refined(stack, product, peak)
        strength = np.abs(half * stack.half_band) ** 2 @ stack.twice  # (species, y)
        power = self.share * float(stack.weight @ strength.sum(axis=1)) / stack.window.size
        like = value / np.sqrt(power * self.size) if power > 0 and self.size > 0 else 0.0
        return self.at + offset, like


def _highest(image: Any, near: FloatArray, reach: float) -> FloatArray:
    """Place of the highest value not further than `reach` from `near`; shifts wrap around."""
    axes = []
    for n, middle in zip(image.shape, near, strict=True):
        width = int(min(np.ceil(reach), (n - 1) // 2))
        axes.append(np.arange(-width, width + 1) + round(float(middle)))
    part = image[np.ix_(axes[0] % image.shape[0], axes[1] % image.shape[1])]
    i, j = np.unravel_index(int(np.argmax(part)), part.shape)
    return np.array([axes[0][i], axes[1][j]], dtype=float)


def _refined(stack: Stack, product: Any, start: FloatArray) -> tuple[FloatArray, float]:
    """Climb to the top of the correlation by Newton's method, from the pixel it lies in.

    The correlation is a sum of waves, so its slopes and bends are sums of the same waves times
    powers of their wave numbers: three by three numbers from two products of matrices.
    """
    ky, kx = 2j * np.pi * stack.ky[:, 0], 2j * np.pi * stack.half_kx
    powers = np.arange(3)[:, None]
    at, value = start.copy(), 0.0
    for step in range(_NEWTON_STEPS + 1):
        wave_y = (ky**powers * np.exp(ky * at[0])).astype(np.complex64)
        wave_x = (kx**powers * np.exp(kx * at[1]) * stack.twice).astype(np.complex64)
        d = (wave_y @ product @ wave_x.T).real.astype(float)
        value = float(d[0, 0]) / product.shape[0] / stack.window.shape[1]
        bend = np.array([[d[2, 0], d[1, 1]], [d[1, 1], d[0, 2]]])
        if step == _NEWTON_STEPS or not (bend[0, 0] < 0 and np.linalg.det(bend) > 0):
            break
        move = -np.linalg.solve(bend, [d[1, 0], d[0, 1]])
        at = start + np.clip(at + move - start, -1.0, 1.0)
        if np.max(np.abs(move)) < 1e-3:
            break
    return at, value

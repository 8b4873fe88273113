"""Frames put onto each other, with every count kept whole.

The drift is measured to a fraction of a pixel (`lliso.maps.drift`); the frames are then moved by
**whole pixels**. So every count stays one whole count in one pixel: sums are exactly as Poisson as
the frames were, no two pixels share a count, and corrected counts move with their variances. What
is left of the drift in a frame is at most half a pixel each way (0.29 px rms over many frames), a
blur that is small beside the beam's. Pixels that are not in every frame are cropped.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lliso._types import BoolArray, FloatArray, IntArray
from lliso.errors import LlisoWarning
from lliso.maps.carried import VARIANCE, with_step
from lliso.maps.drift import DRIFT, OK, STATUS, measure_drift, summary_of
from lliso.maps.order import check_order
from lliso.schema import FRAME, X, Y, add_history, pixel_size

if TYPE_CHECKING:
    import xarray as xr


def align_frames(
    ds: xr.Dataset,
    drift: xr.Dataset | None = None,
    *,
    leave_out_failed: bool = False,
    method: Literal["whole_pixels", "random"] = "whole_pixels",
    rng: np.random.Generator | None = None,
    progress: Callable[[str], None] | None = None,
) -> xr.Dataset:
    """Put frames onto each other, with every count kept whole.

    Parameters
    ----------
    ds : xarray.Dataset
        A stack of frames, dead time corrected if that is needed (it acts on what was counted in
        one pixel, so it cannot be undone afterwards).
    drift : xarray.Dataset, optional
        From `measure_drift`; default: measured now. With it, lazy data stay lazy.
    leave_out_failed : bool
        Leave out frames whose status is not "ok". Else they are kept where their neighbours were,
        with a warning.
    method : {"whole_pixels", "random"}
        Move each frame by the nearest whole number of pixels (default); or give each count at
        random to one of the four pixels that it lies between, which leaves no offset between
        frames but blurs more (0.41 px rms instead of 0.29) and is for uncorrected counts only.
    rng : numpy.random.Generator, optional
        For "random".
    progress : callable, optional
        For `measure_drift`.

    Returns
    -------
    xarray.Dataset
        The stack, cropped to the pixels that are in every frame; ``history`` says which frames
        were left out and how much was cropped. Coordinates are those of the specimen at its mean
        place, so they may have moved by up to half a pixel.

    Raises
    ------
    ValueError
        If frames were aligned or summed before, a linear correction was made already, or the
        drift is larger than the map.

    Warns
    -----
    LlisoWarning
        If frames failed and are kept.
    """
    check_order(ds, "aligned")
    if drift is None:
        drift = measure_drift(ds, progress=progress)
    if FRAME not in ds.dims or drift.sizes.get(FRAME) != ds.sizes[FRAME]:
        raise ValueError(
            f"drift must be of the same frames, got {drift.sizes.get(FRAME, 0)} for a stack of "
            f"{ds.sizes.get(FRAME, 0)}"
        )
    failed = drift[STATUS].values != OK
    if failed.any() and not leave_out_failed:
        warnings.warn(
            f"frames that could not be aligned are kept where their neighbours were: "
            f"{summary_of(drift[STATUS].values)}; leave_out_failed=True leaves them out",
            LlisoWarning,
            stacklevel=2,
        )
    if failed.any() and leave_out_failed:
        keep = np.flatnonzero(~failed)
        ds, drift = ds.isel({FRAME: keep}), drift.isel({FRAME: keep})
    pixels = drift[DRIFT].values[:, ::-1] / np.array(pixel_size(ds))[::-1]
    if method == "whole_pixels":
        whole, zero = _nearest(pixels)
        move: _WholePixels | _AtRandom = _WholePixels(whole, _map_shape(ds))
    elif method == "random":
        if VARIANCE in ds:
            raise ValueError(
                "method='random' needs whole counts as registered, got corrected ones; use "
                "method='whole_pixels'"
            )
        zero = np.zeros(2)
        seed = int((rng or np.random.default_rng()).integers(2**63))
        move = _AtRandom(np.floor(pixels).astype(int), _map_shape(ds), pixels=pixels, seed=seed)
    else:
        raise ValueError(f"method must be 'whole_pixels' or 'random', got {method!r}")
    rows, columns = move.kept
    moved = {
        name: array.copy(deep=False).isel({Y: rows, X: columns}).copy(data=_moved(array, move))
        for name, array in ds.data_vars.items()
        if array.dims[-3:] == (FRAME, Y, X)
    }
    result = ds.isel({Y: rows, X: columns}).assign(moved)
    for name, part in ((Y, zero[0]), (X, zero[1])):
        pitch = pixel_size(ds)[name == Y]
        result[name] = (name, result[name].values - part * pitch, result[name].attrs)
    far = np.ptp(drift[DRIFT].values, axis=0)
    line = (
        f"aligned {result.sizes[FRAME]} frames by whole pixels ({method}), drift "
        f"{far[0]:.3g} um along x, {far[1]:.3g} um along y; cropped to {result.sizes[X]} x "
        f"{result.sizes[Y]} pixels; {summary_of(_became(failed, leave_out_failed))}"
    )
    return with_step(add_history(result, line.rstrip("; ")), "aligned")


def _became(failed: BoolArray, left_out: bool) -> Any:
    """Return statuses that say only what became of frames that failed."""
    return np.where(failed, "left out" if left_out else "kept", OK)


def _nearest(pixels: FloatArray) -> tuple[IntArray, FloatArray]:
    """Round offsets to whole pixels, from a zero (y, x) that leaves the least; return both."""
    zeros = np.arange(-0.5, 0.5, 0.02)
    whole, chosen = [], []
    for path in pixels.T:
        rest = [np.sum((path - z - np.rint(path - z)) ** 2) for z in zeros]
        best = min(range(zeros.size), key=lambda i: (round(rest[i], 9), abs(zeros[i])))
        whole.append(np.rint(path - zeros[best]).astype(int))
        chosen.append(zeros[best])
    return np.stack(whole, axis=1), np.array(chosen)


def _map_shape(ds: xr.Dataset) -> tuple[int, int]:
    return ds.sizes[Y], ds.sizes[X]


@dataclass
class _WholePixels:
    """Moves frames by whole pixels; `whole` (frame, 2) is the offset (y, x) of each."""

    whole: IntArray
    shape: tuple[int, int]
    reach: int = 0

    @property
    def kept(self) -> tuple[slice, slice]:
        """Rows and columns that are in every frame."""
        kept = []
        for axis, n, name in ((0, self.shape[0], "y"), (1, self.shape[1], "x")):
            low = max(0, -int(self.whole[:, axis].min()))
            high = n - max(0, int(self.whole[:, axis].max()) + self.reach)
            if high <= low:
                raise ValueError(
                    f"frames must overlap, got a drift over {n - high + low} pixels along {name} "
                    f"of a map of {n}"
                )
            kept.append(slice(low, high))
        return kept[0], kept[1]

    def frame(self, image: Any, f: int) -> Any:
        """Move one frame, shape (..., y, x)."""
        rows, columns = self.kept
        ky, kx = self.whole[f]
        return image[..., rows.start + ky : rows.stop + ky, columns.start + kx : columns.stop + kx]

    def block(self, block: Any, first: int) -> Any:
        """Move consecutive frames, shape (..., frame, y, x)."""
        frames = [self.frame(block[..., k, :, :], first + k) for k in range(block.shape[-3])]
        return np.stack(frames, axis=-3)


@dataclass
class _AtRandom(_WholePixels):
    """Gives each count to one of the four pixels around the place where it belongs."""

    pixels: FloatArray = field(default_factory=lambda: np.zeros((0, 2)))
    seed: int = 0
    reach: int = 1

    def frame(self, image: Any, f: int) -> Any:
        if np.asarray(image).dtype.kind not in "ui":
            raise ValueError("method='random' needs whole counts, got fractions of counts")
        rng = np.random.default_rng([self.seed, f])
        rows, columns = self.kept
        ky, kx = self.whole[f]
        fy, fx = self.pixels[f] - self.whole[f]
        here = image[
            ..., rows.start + ky : rows.stop + ky + 1, columns.start + kx : columns.stop + kx + 1
        ].astype(np.int64)
        # A Poisson count split at random is two independent Poisson counts.
        up = rng.binomial(here, fy)
        here = (here - up)[..., :-1, :] + up[..., 1:, :]
        left = rng.binomial(here, fx)
        return (here - left)[..., :-1] + left[..., 1:]


def _moved(array: xr.DataArray, move: _WholePixels) -> Any:
    data = array.data
    if isinstance(data, np.ndarray):
        return move.block(data, 0)
    data = data.rechunk({data.ndim - 2: -1, data.ndim - 1: -1})
    rows, columns = move.kept
    chunks = (*data.chunks[:-2], (rows.stop - rows.start,), (columns.stop - columns.start,))
    kind = np.int64 if isinstance(move, _AtRandom) else data.dtype
    meta = np.empty((0,) * data.ndim, kind)
    return data.map_blocks(_moved_block, move=move, chunks=chunks, dtype=kind, meta=meta)


def _moved_block(block: Any, move: _WholePixels, block_info: Any = None) -> Any:
    return move.block(block, block_info[0]["array-location"][-3][0])

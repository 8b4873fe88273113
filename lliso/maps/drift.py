"""Drift: where the specimen was in each frame.

Measured to a fraction of a pixel; `lliso.maps.alignment` then moves the frames by whole pixels.

Species are compared each with itself, and what they say is added up with the weights that counting
gives them. The sum of all species alone would not do: where all pixels yield alike, only the
isotope fraction has any contrast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from lliso._types import BoolArray, FloatArray
from lliso.maps._drift_groups import (
    MOST_GROUPS,
    REACH,
    blurred,
    each_frame,
    grouped,
    placed_frames,
    placed_groups,
)
from lliso.maps._drift_joint import joint_path
from lliso.maps._drift_stack import WEAK_SMOOTHING, Stack
from lliso.schema import FRAME, pixel_size

DRIFT = "drift"
STATUS = "status"
LIKENESS = "likeness"
OK = "ok"
#: what a frame's status means
STATUSES = {
    OK: "measured",
    "empty": "has less than a fifth of the usual counts",
    "bright": "has more than five times the usual counts",
    "unlike": "does not look like the other frames",
    "jump": "lies far off the path of its neighbours",
}
_LEAST_COUNTS, _MOST_COUNTS = 0.2, 5.0
#: likeness below which a frame is mostly noise, so that only the path of many frames can be known
_WEAK = 0.55
#: likeness that a frame must have, as a share of the usual one
_LEAST_LIKENESS, _LEAST_WEAK_LIKENESS = 0.4, 0.1
#: how far off the path of its neighbours a frame may be, and how many of them tell, in pixels
_LARGEST_JUMP, _NEIGHBOURS = 2.0, 3
#: scatter of single frames about their path, in pixels, from which on the path is smoothed
_SCATTER = 0.15
#: a path that changes by less than this, in pixels, needs no other look
_SETTLED = 0.05
#: frames that a path must have to be smoothed
_FEWEST_TO_SMOOTH = 8


def measure_drift(
    ds: xr.Dataset,
    *,
    species: Sequence[str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> xr.Dataset:
    """Find where the specimen was in each frame, by sub-pixel phase correlation.

    Each species' image is made free of its mean and of what is wider than a seventh of the map,
    smoothed by 1.5 pixels, windowed (Hann) and correlated with the sum of the frames aligned so
    far, then once or twice with the sum of all others; the correlations are added with the
    weights 1/counts. Where single frames are mostly counting noise, images are smoothed more and
    the path is smoothed as much as its own scatter asks for (generalised cross-validation). From
    there all frames are placed together: each by its likelihood beside a Wiener-filtered sum of the
    others, over the whole map and with no further smoothing, and the path is the most probable one
    whose slope changes at random, by as much as the frames themselves make most probable.

    A stack of more than 60 frames is added up in at most 60 groups of consecutive frames, whose
    path is found as above. Each frame is then compared with the sum of all groups but its own,
    near the interpolated path; if frames turn out to lie far off it, the groups are added up once
    more, frame by frame where it lies. Frames are read one block at a time: of lazy data a few
    frames and the groups (two sets of 60 images per species in single precision) are in memory.

    Parameters
    ----------
    ds : xarray.Dataset
        A stack of frames.
    species : sequence of str, optional
        Species to compare; default: all. Leave out those whose image changes while the surface
        is sputtered.
    progress : callable, optional
        Called with a line of text after each block of frames.

    Returns
    -------
    xarray.Dataset
        ``drift (frame, axis)``: offset of the specimen in µm, axis x and y, relative to the mean
        of the frames that are in order; ``status (frame)``, one of `STATUSES`; ``likeness
        (frame)``, the correlation with the sum of the others; ``frame_counts (frame)``. Frames
        that failed have the offset of their neighbours (interpolated). The attribute ``scatter``
        is that of single frames about their path in pixels, 0 where the path was not smoothed.

    Raises
    ------
    ValueError
        If there are fewer than 2 frames, or none is in order.

    Notes
    -----
    scikit-image's default normalisation ("phase") misses shifts of 3 pixels on count images; the
    plain cross-correlation that is used here does not.

    Examples
    --------
    >>> from scipy.ndimage import gaussian_filter
    >>> from lliso.schema import make_map
    >>> rng = np.random.default_rng(1)
    >>> scene = 200 * np.exp(5 * gaussian_filter(rng.standard_normal((80, 80)), 2))
    >>> frames = [rng.poisson(scene[4 : 74, 5 - k : 75 - k]) for k in range(4)]
    >>> m = make_map(np.stack(frames)[None], ["7Li"], x=np.arange(70.0), y=np.arange(70.0))
    >>> measure_drift(m).drift.sel(axis="x").values.round(1)
    array([-1.5, -0.5,  0.5,  1.5])
    """
    stack = Stack.of(ds, species, progress)
    counts = stack.counts_per_frame
    usual = float(np.median(counts))
    status = np.full(counts.size, OK, dtype="<U8")
    status[counts < _LEAST_COUNTS * usual] = "empty"
    status[counts > _MOST_COUNTS * usual] = "bright"
    usable = (status == OK) & (counts > 0)
    if np.count_nonzero(usable) < 2:
        raise ValueError(
            f"drift needs at least 2 frames in order, got {np.count_nonzero(usable)} of "
            f"{counts.size}; {summary_of(status)}"
        )
    search = _search_long if counts.size > MOST_GROUPS else _search
    found = search(stack, usable)
    status[usable & ~found.good] = "unlike"
    status[found.jumped] = "jump"
    path = found.path
    offset = (path - path[status == OK].mean(axis=0))[:, ::-1] * pixel_size(ds)
    drift_attrs = {"units": "um", "long_name": "offset of the specimen"}
    return xr.Dataset(
        {
            DRIFT: ((FRAME, "axis"), offset, drift_attrs),
            STATUS: (FRAME, status),
            LIKENESS: (FRAME, found.likeness, {"long_name": "correlation with the others"}),
            "frame_counts": (FRAME, counts, {"long_name": "counts per pixel and frame"}),
        },
        coords={"axis": ["x", "y"]},
        attrs={
            "map_id": str(ds.attrs.get("map_id", "")),
            "summary": summary_of(status),
            "scatter": found.scatter,
        },
    )


def summary_of(status: Any) -> str:
    """Name the frames of every status but ok.

    >>> summary_of(np.array(["ok", "empty", "ok", "empty"]))
    'empty: 1, 3'
    """
    bad = [s for s in dict.fromkeys(map(str, status)) if s != OK]
    return "; ".join(f"{s}: {', '.join(map(str, np.flatnonzero(status == s)))}" for s in bad)


@dataclass
class _Result:
    """Where the frames are.

    `path` in pixels (y, x), filled in where frames failed; which are `good`, like the others, and
    which `jumped`; `scatter` of single frames, 0 where the path was not smoothed.
    """

    path: FloatArray
    good: BoolArray
    jumped: BoolArray
    likeness: FloatArray
    scatter: float


@dataclass
class _Found:
    """Offsets in pixels (y, x); where each frame lies in the sum `total`; likeness."""

    path: FloatArray
    placed: FloatArray
    total: Any
    likeness: FloatArray


def _search(stack: Stack, usable: BoolArray) -> _Result:
    """Compare the frames of a short stack with each other."""
    found = _running(stack, usable)
    weak = float(np.median(found.likeness[usable])) < _WEAK
    if weak:
        stack.smooth_by(WEAK_SMOOTHING)
        found = _unmoved(stack, usable)
    path = found.path
    for _ in range(2):
        before = path
        found = _against_others(stack, usable, found, path)
        done = _judged(found.path, found.likeness, usable, weak)
        path = done.path
        if not weak and np.max(np.abs(path - before)[done.good]) < _SETTLED:
            break
    if weak:
        kept = done.good & ~done.jumped
        done.path, done.scatter = joint_path(stack, kept, done.path)
    return done


def _search_long(stack: Stack, usable: BoolArray) -> _Result:
    """Compare groups of frames with each other, then each frame with the groups."""
    groups = grouped(stack, usable)
    with_frames = np.bincount(groups.of_frame, usable) > 0
    of_groups = _search(groups.stack, with_frames)
    stack.smooth_by(groups.stack.sigma)
    good = of_groups.good & ~of_groups.jumped
    suggested = groups.between(of_groups.path)
    placed = placed_groups(groups, of_groups.path, good)
    of_frame = groups.of_frame
    del groups
    for again in (False, True):
        path, likeness = each_frame(stack, usable, placed, of_frame, suggested)
        weak = float(np.median(likeness[usable])) < _WEAK
        done = _judged(path, likeness, usable, weak)
        if weak and done.scatter > REACH / 4:  # single frames are lost in noise, groups are not
            done.path = suggested
        kept = done.good & ~done.jumped
        if again or not blurred(done.path, suggested, kept):
            break
        suggested = done.path
        placed = placed_frames(stack, kept, suggested, of_frame)
    return done


def _judged(found: FloatArray, likeness: FloatArray, usable: BoolArray, weak: bool) -> _Result:
    """Tell which frames failed, and draw the path through the others."""
    usual = float(np.median(likeness[usable]))
    least = (_LEAST_WEAK_LIKENESS if weak else _LEAST_LIKENESS) * usual
    good = usable & (likeness > least)
    if not (good.any() and usual > 0):
        raise ValueError("drift needs frames that look alike, got none; is there any contrast?")
    jumped = good & _off_path(found, good)
    path, scatter = _filled(found, good & ~jumped), 0.0
    if weak:
        path, scatter = _smoothed(path)
    return _Result(path, good, jumped, likeness, scatter)


def _running(stack: Stack, usable: BoolArray) -> _Found:
    """Compare each frame with the sum of those before, starting where the last one was."""
    path, likeness = np.zeros((usable.size, 2)), np.zeros(usable.size)
    total, last, n_in = None, np.zeros(2), 0
    for f, spectrum in stack.spectra("drift"):
        if not usable[f]:
            continue
        if total is None:
            total, n_in = spectrum, 1
            continue
        path[f], likeness[f] = stack.match(stack.windowed(total), spectrum, last)
        here = stack.moved(spectrum, -path[f])
        if n_in == 1 and likeness[f] < 0.5 * _WEAK:  # which of the two is no good will show
            total = total + here
        elif likeness[f] > 0.5 * _LEAST_LIKENESS:
            total, last = total + here, path[f]
        n_in += 1
    first = int(np.argmax(usable))
    likeness[first] = np.median(likeness[usable])
    return _Found(path, path.copy(), total, likeness)


def _unmoved(stack: Stack, usable: BoolArray) -> _Found:
    total: Any = 0
    for f, spectrum in stack.spectra("drift, weak contrast"):
        total = total + spectrum if usable[f] else total
    zero = np.zeros((usable.size, 2))
    return _Found(zero, zero.copy(), total, np.zeros(usable.size))


def _against_others(stack: Stack, usable: BoolArray, before: _Found, path: FloatArray) -> _Found:
    """Compare each frame with the sum of all others: with itself it would always agree."""
    found, likeness = path.copy(), np.zeros(usable.size)
    total: Any = 0
    for f, spectrum in stack.spectra("drift, against all others"):
        if not usable[f]:
            continue
        others = before.total - stack.moved(spectrum, -before.placed[f])
        found[f], likeness[f] = stack.match(stack.windowed(others), spectrum, path[f])
        total = total + stack.moved(spectrum, -path[f])
    return _Found(found, path.copy(), total, likeness)


def _off_path(offset: FloatArray, good: BoolArray) -> BoolArray:
    """Tell which of the good frames lie far from those before and from those after.

    After a jump of the stage a frame still has its neighbours on one side.
    """
    index = np.flatnonzero(good)
    away = np.zeros(good.size)
    for i, f in enumerate(index):
        sides = (index[max(i - _NEIGHBOURS, 0) : i], index[i + 1 : i + 1 + _NEIGHBOURS])
        off = [np.hypot(*(offset[f] - np.median(offset[s], axis=0))) for s in sides if s.size]
        away[f] = min(off) if off else 0.0
    spread = 1.4826 * float(np.median(away[good])) if good.any() else 0.0
    return np.asarray(away > max(_LARGEST_JUMP, 6 * spread))


def _filled(path: FloatArray, good: BoolArray) -> FloatArray:
    """Give frames that failed the offset that their neighbours suggest."""
    index = np.arange(good.size)
    return np.stack([np.interp(index, index[good], p[good]) for p in path.T], axis=1)


def _smoothed(path: FloatArray) -> tuple[FloatArray, float]:
    """Smooth a path that scatters; return it and the scatter of its frames in pixels."""
    n = len(path)
    if n < _FEWEST_TO_SMOOTH:
        return path, 0.0
    bend = np.diff(path, n=2, axis=0)
    scatter = float((1.4826 * np.median(np.abs(bend), axis=0) / np.sqrt(6)).max())
    if scatter < _SCATTER:
        return path, 0.0
    d = np.diff(np.eye(n), n=2, axis=0)
    roughness, modes = np.linalg.eigh(d.T @ d)
    columns = [_cross_validated(p, np.clip(roughness, 0, None), modes) for p in path.T]
    return np.stack(columns, axis=1), scatter


def _cross_validated(values: FloatArray, roughness: FloatArray, modes: FloatArray) -> FloatArray:
    """Smooth by a penalty on the bend whose strength generalised cross-validation chooses."""
    n = values.size
    along = modes.T @ values
    strengths = 10.0 ** np.arange(-2.0, 6.0, 0.5)
    kept = 1.0 / (1.0 + strengths[:, None] * roughness)
    rest = np.sum(((1.0 - kept) * along) ** 2, axis=1)
    best = int(np.argmin(n * rest / (n - kept.sum(axis=1)) ** 2))
    return np.asarray(modes @ (kept[best] * along))

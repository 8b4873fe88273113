"""Where boundaries might be: what the counts, a microscope image and traces each suggest.

`step_significance` looks for steps of C in many directions under the counting noise; `image_lines`
and `trace_lines` turn a registered image and drawn lines into evidence per µm of boundary; and
`small_grains` cuts the map along the ridges of all of it into pieces that are certainly not too
large. `lliso.maps.segment` then decides which belong together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

from lliso._types import FloatArray, IntArray
from lliso.errors import LlisoWarning
from lliso.maps.carried import effective_counts
from lliso.maps.fraction import sum_frames
from lliso.schema import LI6, LI7, X, Y, check_map, pixel_size

if TYPE_CHECKING:
    import xarray as xr

_DIRECTIONS = 12
#: extents of the step filters in pixels, along and across the boundary
_EXTENTS = ((2.55, 1.53), (3.0, 1.8), (3.6, 2.16))
#: largest evidence of a line in natural logarithms per µm, so that no image overrules everything
_MOST_PER_UM = 3.0


def weighted_fractions(maps: Sequence[xr.Dataset]) -> tuple[FloatArray, FloatArray]:
    """Fractions of several maps of one place and their statistical weights.

    Parameters
    ----------
    maps : sequence of xarray.Dataset
        Maps (stages) on the same pixels; frames are summed. Corrected counts have the weight of the
        variance that they carry.

    Returns
    -------
    fraction, weight : arrays, shape (map, y, x)
        C, and 1/σ² of C from a smoothed C; the weight is 0 where there are no counts.

    Raises
    ------
    ValueError
        If there is no map, a species is missing, or the maps differ in their pixels.
    """
    if not maps:
        raise ValueError("finding grains needs at least one map, got none")
    fractions, weights = [], []
    for ds in maps:
        check_map(ds, needs=(LI6, LI7))
        for axis in (X, Y):
            if ds.sizes[axis] != maps[0].sizes[axis] or not np.allclose(ds[axis], maps[0][axis]):
                raise ValueError(
                    f"the maps must have the same pixels, got different '{axis}'; register and "
                    "resample them first"
                )
        summed = sum_frames(ds)
        # Corrections may leave less than no ions in a pixel; such a pixel tells nothing.
        light, total = (np.maximum(n, 0.0) for n in effective_counts(summed))
        near = ndimage.gaussian_filter(np.stack([light, total]), (0, 3, 3))
        # Half a count keeps the variance from vanishing where all counts are of one isotope.
        smooth = (near[0] + 0.5) / (near[1] + 1.0)
        fractions.append(light / np.where(total > 0, total, 1.0))
        weights.append(total / (smooth * (1 - smooth)))
    if not np.any(np.stack(weights) > 0):
        raise ValueError(f"the maps must hold counts of {LI6} or {LI7}, got none")
    return np.stack(fractions), np.stack(weights)


def step_significance(fraction: FloatArray, weight: FloatArray) -> FloatArray:
    """Significance of a step of C at every pixel, in the direction where it is largest.

    Parameters
    ----------
    fraction, weight : arrays, shape (map, y, x)
        Of `weighted_fractions`.

    Returns
    -------
    array, shape (y, x)
        Root of the sum over the maps of (step / its counting error)², largest over twelve
        directions, mean of three lengths; not corrected for the gradient inside the grains.

    Examples
    --------
    >>> c = np.where(np.arange(20) < 10, 0.4, 0.5)[None, None] + np.zeros((1, 20, 1))
    >>> z = step_significance(c, np.full((1, 20, 20), 1e4))
    >>> int(np.abs(z[10].argmax() - 9.5) < 1)
    1
    """
    # Pixels without counts take their neighbours' place: the mean weighted over a few pixels.
    tiny = 1e-12 * max(float(weight.max()), 1e-300)
    smooth = ndimage.gaussian_filter(weight, (0, 2, 2)) + tiny
    filled = np.where(
        weight > 0, fraction, ndimage.gaussian_filter(weight * fraction, (0, 2, 2)) / smooth
    )
    total = np.zeros(fraction.shape[1:])
    for extent in _EXTENTS:
        best = np.zeros_like(total)
        for k in range(_DIRECTIONS):
            kernel = _step_kernel(np.pi * k / _DIRECTIONS, *extent)
            response = np.stack([ndimage.convolve(f, kernel, mode="nearest") for f in filled])
            squared = np.sum(response**2 * smooth, axis=0) / np.sum(kernel**2)
            best = np.maximum(best, squared)
        total += np.sqrt(best)
    return np.asarray(total / len(_EXTENTS))


def _step_kernel(angle: float, along: float, across: float) -> FloatArray:
    half = int(np.ceil(3 * max(along, across)))
    j, i = np.meshgrid(np.arange(-half, half + 1.0), np.arange(-half, half + 1.0))
    u = j * np.cos(angle) + i * np.sin(angle)
    v = i * np.cos(angle) - j * np.sin(angle)
    kernel = u * np.exp(-0.5 * ((u / across) ** 2 + (v / along) ** 2))
    return np.asarray(kernel - kernel.mean())


def image_lines(
    image: xr.DataArray,
    x: FloatArray,
    y: FloatArray,
    *,
    lines: Literal["dark", "bright"] = "dark",
    width: float = 1.5,
    strength: float = 1.5,
) -> FloatArray:
    """Evidence of boundary lines in a registered microscope image.

    Parameters
    ----------
    image : xarray.DataArray, shape (y, x)
        Grey values with coordinates ``x`` and ``y`` in µm *of the map*: register it before.
    x, y : arrays
        Pixel centres of the map in µm.
    lines : {"dark", "bright"}
        How boundaries look.
    width : float
        Their width in µm.
    strength : float
        Evidence of a typical line in natural logarithms per µm; how far the image is trusted
        against the counts.

    Returns
    -------
    array, shape (y, x)
        Evidence per µm of boundary: positive on lines, negative off them, 0 outside the image.

    Raises
    ------
    ValueError
        If the image has no ``x`` and ``y``, does not reach the map, or `lines` is unknown.
    """
    if lines not in ("dark", "bright"):
        raise ValueError(f"lines must be 'dark' or 'bright', got {lines!r}")
    if image.ndim != 2 or X not in image.coords or Y not in image.coords:
        raise ValueError(f"the image needs the coordinates x and y in um, got {image.dims}")
    grey = image.transpose(Y, X).values.astype(float) * (1.0 if lines == "bright" else -1.0)
    pitch = [float(image[k].values[-1] - image[k].values[0]) / (image.sizes[k] - 1) for k in (Y, X)]
    sigma = np.maximum(0.5 * width / np.abs(pitch), 0.7)
    ridge = line_strength(grey, sigma)
    # Half of the image is surely no line: its scatter is the noise, the strong tail the lines.
    middle = float(np.median(ridge))
    noise = 1.4826 * float(np.median(np.abs(ridge - middle)))
    typical = float(np.quantile(ridge, 0.95)) - middle
    scale = max(typical, 6.0 * noise, 1e-300)
    at_y = (y - float(image[Y].values[0])) / pitch[0]
    at_x = (x - float(image[X].values[0])) / pitch[1]
    grid = np.meshgrid(at_y, at_x, indexing="ij")
    covered = (grid[0] >= 0) & (grid[0] <= image.sizes[Y] - 1)
    covered &= (grid[1] >= 0) & (grid[1] <= image.sizes[X] - 1)
    if not covered.any():
        raise ValueError("the image must overlap the map, got no common area; register it first")
    ridge = ndimage.maximum_filter(ridge, size=3)
    value = ndimage.map_coordinates((ridge - middle) / scale, grid, order=1, mode="nearest")
    evidence = strength * np.clip(2.0 * value - 1.0, -0.6, _MOST_PER_UM)
    return np.where(covered, evidence, 0.0)


def line_strength(grey: FloatArray, sigma: FloatArray) -> FloatArray:
    """Strength of bright lines: the larger curvature across, less that along.

    Parameters
    ----------
    grey : array, shape (y, x)
    sigma : array, shape (2,)
        Half width of the lines along y and x, in pixels.
    """
    yy = ndimage.gaussian_filter(grey, sigma, order=(2, 0))
    xx = ndimage.gaussian_filter(grey, sigma, order=(0, 2))
    xy = ndimage.gaussian_filter(grey, sigma, order=(1, 1))
    mean, half = 0.5 * (xx + yy), np.hypot(0.5 * (xx - yy), xy)
    return np.asarray(np.maximum(half - mean, 0.0) - np.abs(mean + half))


def trace_lines(
    traces: Iterable[Any],
    x: FloatArray,
    y: FloatArray,
    *,
    width: float = 1.0,
    probability: float = 0.95,
) -> FloatArray:
    """Evidence of boundaries that a person drew.

    Parameters
    ----------
    traces : iterable of array_like, shape (point, 2)
        Polylines, (x, y) in µm of the map.
    x, y : arrays
        Pixel centres of the map in µm.
    width : float
        How exactly they were drawn, as a standard deviation in µm.
    probability : float
        How far they are trusted, between 0.5 and 1.

    Returns
    -------
    array, shape (y, x)
        Evidence in natural logarithms per µm of boundary, 0 far from every trace.

    Raises
    ------
    ValueError
        If a trace is no polyline or `probability` is outside 0.5 to 1.

    Examples
    --------
    >>> e = trace_lines([[(0, 2), (4, 2)]], np.arange(5.0), np.arange(5.0), probability=0.9)
    >>> int(e[:, 2].argmax()), round(float(e[2, 2]), 1)
    (2, 2.2)
    """
    if not 0.5 < probability < 1:
        raise ValueError(f"probability must be between 0.5 and 1, got {probability:g}")
    distance = np.full((y.size, x.size), np.inf)
    for trace in traces:
        points = np.asarray(trace, dtype=float)
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < 2:
            raise ValueError(f"a trace must be points (x, y), got an array of {points.shape}")
        for start, end in pairwise(points):
            distance = np.minimum(distance, _distance_to_segment(start, end, x, y))
    odds = min(float(np.log(probability / (1 - probability))), _MOST_PER_UM)
    return np.asarray(odds * np.exp(-0.5 * (distance / width) ** 2))


def _distance_to_segment(
    start: FloatArray, end: FloatArray, x: FloatArray, y: FloatArray
) -> FloatArray:
    px, py = x[None, :] - start[0], y[:, None] - start[1]
    line = end - start
    share = np.clip((px * line[0] + py * line[1]) / max(float(line @ line), 1e-30), 0.0, 1.0)
    return np.asarray(np.hypot(px - share * line[0], py - share * line[1]))


def small_grains(ridges: FloatArray, spacing: float = 5.0) -> IntArray:
    """Cut an image along its ridges into small pieces (watershed).

    Parameters
    ----------
    ridges : array, shape (y, x)
        Large where a boundary may be.
    spacing : float
        Least distance between the seeds of two pieces, in pixels.

    Returns
    -------
    int array, shape (y, x)
        Labels 0, 1, ...

    Examples
    --------
    >>> ridges = np.zeros((12, 24)); ridges[:, 11:13] = 9.0
    >>> label = small_grains(ridges)
    >>> bool(label[6, 3] != label[6, 20])
    True
    """
    smooth = ndimage.gaussian_filter(ridges, 0.7)
    size = max(3, round(spacing))
    # A faint ramp makes every plateau have one lowest pixel per neighbourhood.
    tilt = np.random.default_rng(0).random(ridges.shape) * 1e-6 * max(float(np.ptp(smooth)), 1.0)
    lowest = ndimage.minimum_filter(smooth + tilt, size=size, mode="nearest") == smooth + tilt
    return _flooded(smooth, np.flatnonzero(lowest))


def _flooded(height: FloatArray, seeds: IntArray) -> IntArray:
    """Watershed of seeds: the cheapest forest, where a side costs its higher pixel."""
    number = np.arange(height.size).reshape(height.shape)
    pairs = [(number[:-1], number[1:]), (number[:, :-1], number[:, 1:])]
    a, b = (np.concatenate([p[k].ravel() for p in pairs]) for k in (0, 1))
    flat = height.ravel() - height.min() + 1.0
    # One root tied to all seeds for less than anything else: the tree, less the root, is the
    # forest in which every tree holds one seed.
    root = np.full(seeds.size, height.size)
    cost = np.concatenate([np.maximum(flat[a], flat[b]), np.full(seeds.size, 0.5)])
    graph = coo_matrix(
        (cost, (np.concatenate([a, root]), np.concatenate([b, seeds]))),
        shape=(height.size + 1, height.size + 1),
    )
    tree = minimum_spanning_tree(graph.tocsr()).tocoo()
    kept = (tree.row < height.size) & (tree.col < height.size)
    forest = coo_matrix(
        (tree.data[kept], (tree.row[kept], tree.col[kept])), shape=(height.size, height.size)
    )
    label = connected_components(forest, directed=False)[1]
    return np.asarray(label.reshape(height.shape), dtype=np.int64)


def evidence_of_lines(
    maps: Sequence[xr.Dataset],
    optical: xr.DataArray | None,
    traces: Iterable[Any] | None,
    lines: Literal["dark", "bright"] = "dark",
) -> FloatArray:
    """Sum of the evidence of a microscope image and of traces on a map's pixels, per µm."""
    import warnings

    x, y = (maps[0][k].values.astype(float) for k in (X, Y))
    total = np.zeros((y.size, x.size))
    if optical is not None:
        found = image_lines(optical, x, y, lines=lines)
        share = float(np.mean(found != 0))
        if share < 0.9:
            warnings.warn(
                f"the microscope image covers only {share:.0%} of the map; elsewhere boundaries "
                "come from the counts alone",
                LlisoWarning,
                stacklevel=3,
            )
        total += found
    if traces is not None:
        total += trace_lines(traces, x, y, width=max(1.0, *pixel_size(maps[0])))
    return total

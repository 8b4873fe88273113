"""Boundaries as smooth polylines from a label image.

The cracks between pixels of different labels are followed from junction to junction; each chain is
straightened as far as the pixels allow (Douglas, Peucker, Cartographica 10 (1973) 112), and the
lines are placed through the middles of the cracks. Where straightened chains would touch each other
the cracks themselves are kept.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.ndimage import label as connected_parts

from lliso._types import BoolArray, FloatArray, IntArray
from lliso.diffusion._power import Box
from lliso.diffusion.subpixel import placed_between_pixels
from lliso.diffusion.windowmesh import Outlines, oriented

#: steps from a crack end, as (row, column) of pixel corners: right, down, left, up
_STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))


def label_outlines(
    label: IntArray, box: Box, *, tolerance: float = 0.75, smallest: int = 4
) -> Outlines:
    """Trace the boundaries of a label image.

    Parameters
    ----------
    label : int array, shape (y, x)
        Grain of every pixel; negative where it is not known (filled from the nearest pixel).
    box : tuple of float
        Outer edges ``(x0, y0, x1, y1)`` of the image.
    tolerance : float
        How far a polyline may stray from the pixels' edges, in pixels; half a pixel and a little is
        what digitising a straight line needs.
    smallest : int
        Connected patches of fewer pixels are given to their surroundings.

    Returns
    -------
    Outlines
        ``origin`` numbers the boundaries; ``grains`` holds labels.

    Raises
    ------
    ValueError
        If no pixel is labelled, or tolerance is negative.

    Examples
    --------
    >>> label = np.repeat([[3], [5]], 4, axis=0) * np.ones((1, 6), dtype=int)
    >>> o = label_outlines(label, (0.0, 0.0, 6.0, 8.0))
    >>> o.grains.tolist(), sorted(o.chains[0].tolist())
    ([[3, 5]], [[0.0, 4.0], [6.0, 4.0]])
    """
    image = np.asarray(label)
    if image.ndim != 2 or image.dtype.kind not in "iu":
        raise ValueError(f"label must be a 2-D array of whole numbers, got {image.dtype}")
    if not tolerance >= 0:
        raise ValueError(f"tolerance must not be negative, got {tolerance:g} pixels")
    image = _cleaned(image.astype(np.int64), smallest)
    cracks = [np.array(c) for c in _chains(image)]
    pairs = np.array([_sides(image, c) for c in cracks], dtype=np.int64).reshape(-1, 2)
    lines = _between_pixels(cracks, _apart(cracks, tolerance), image.shape)
    x0, y0, x1, y1 = box
    rows, columns = image.shape
    chains: list[FloatArray] = []
    for line in lines:
        xy = line[:, ::-1].astype(float)
        xy[:, 0] = np.where(xy[:, 0] == columns, x1, x0 + xy[:, 0] * ((x1 - x0) / columns))
        xy[:, 1] = np.where(xy[:, 1] == rows, y1, y0 + xy[:, 1] * ((y1 - y0) / rows))
        chains.append(xy)
    return oriented(box, chains, pairs)


def _cleaned(image: IntArray, smallest: int) -> IntArray:
    """Fill unknown pixels and tiny patches from their nearest neighbours."""
    # patches of all labels at once: neighbours of equal label, found on the doubled grid
    fine = np.zeros((2 * image.shape[0] - 1, 2 * image.shape[1] - 1), dtype=bool)
    known = image >= 0
    fine[::2, ::2] = known
    fine[1::2, ::2] = (image[1:] == image[:-1]) & known[1:]
    fine[::2, 1::2] = (image[:, 1:] == image[:, :-1]) & known[:, 1:]
    patches, number = connected_parts(fine)
    patches = patches[::2, ::2]
    size = np.bincount(patches.ravel(), minlength=number + 1)
    keep = known & (size[patches] >= smallest)
    if not keep.any():
        raise ValueError(
            f"label must mark grains of at least {smallest} pixels, got none; negative labels "
            "mean unknown"
        )
    if keep.all():
        return image
    near = distance_transform_edt(~keep, return_distances=False, return_indices=True)
    return np.asarray(image[tuple(near)])


def _links(image: IntArray) -> tuple[BoolArray, BoolArray]:
    """Whether a crack leaves each pixel corner, per direction; and the corners' junctions."""
    rows, columns = image.shape
    right = np.zeros((rows + 1, columns + 1), dtype=bool)
    down = np.zeros((rows + 1, columns + 1), dtype=bool)
    right[1:-1, :-1] = image[1:] != image[:-1]
    down[:-1, 1:-1] = image[:, 1:] != image[:, :-1]
    link = np.zeros((rows + 1, columns + 1, 4), dtype=bool)
    link[..., 0], link[..., 1] = right, down
    link[:, 1:, 2], link[1:, :, 3] = right[:, :-1], down[:-1]
    degree = link.sum(axis=-1)
    return link, (degree != 2) & (degree > 0)


def _chains(image: IntArray) -> list[list[tuple[int, int]]]:
    """Cracks as lists of pixel corners, from junction to junction, then the closed loops."""
    link, junction = _links(image)
    chains: list[list[tuple[int, int]]] = []

    def follow(r: int, c: int, k: int) -> list[tuple[int, int]]:
        chain = [(r, c)]
        while True:
            link[r, c, k] = False
            r, c = r + _STEPS[k][0], c + _STEPS[k][1]
            link[r, c, (k + 2) % 4] = False
            chain.append((r, c))
            ahead = np.flatnonzero(link[r, c])
            if junction[r, c] or not len(ahead):
                return chain
            k = int(ahead[0])

    for r, c in np.argwhere(junction).tolist():
        chains.extend(follow(r, c, k) for k in range(4) if link[r, c, k])
    for r, c in np.argwhere(link.any(axis=-1)).tolist():
        if link[r, c].any():  # a loop without junctions
            chains.append(follow(r, c, int(np.flatnonzero(link[r, c])[0])))
    return chains


def _sides(image: IntArray, chain: IntArray) -> tuple[int, int]:
    """Labels to the left and right of a chain, seen with x = column and y = row growing up."""
    (r, c), (dr, dc) = chain[0], chain[1] - chain[0]
    if dr == 0:  # along x: left is the higher row
        at = min(c, c + dc)
        above, below = image[r, at], image[r - 1, at]
        return (above, below) if dc > 0 else (below, above)
    at = min(r, r + dr)
    east, west = image[at, c], image[at, c - 1]
    return (west, east) if dr > 0 else (east, west)


def _apart(cracks: list[IntArray], tolerance: float) -> list[FloatArray]:
    """Straighten the chains, less where they would touch each other."""
    allowed = np.full(len(cracks), tolerance)
    while True:
        lines = [_straightened(c, t) for c, t in zip(cracks, allowed, strict=True)]
        touching = _touching(lines) & (allowed > 0)
        if not touching.any():
            return lines
        # half the freedom first; then none
        allowed[touching] = np.where(allowed[touching] == tolerance, 0.5 * tolerance, 0.0)


def _between_pixels(
    cracks: list[IntArray], lines: list[FloatArray], shape: tuple[int, int]
) -> list[FloatArray]:
    """Place the straightened chains to a fraction of a pixel, but where they would touch."""
    # a chain that was left as it is has no line to be placed
    frozen = np.array([len(n) == len(c) > 2 for c, n in zip(cracks, lines, strict=True)], bool)
    while True:
        placed = placed_between_pixels(cracks, lines, shape, frozen)
        touching = _touching(placed) & ~frozen
        if not touching.any():
            return placed
        frozen |= touching


def _straightened(crack: IntArray, tolerance: float) -> FloatArray:
    if len(crack) < 3 or tolerance == 0:
        return crack.astype(float)
    if (crack[0] == crack[-1]).all():
        # a loop: three corners far apart stay, so that it keeps an area
        d = ((crack - crack[0]) ** 2).sum(axis=1)
        far = int(d.argmax())
        a, b = crack[0], crack[far]
        off = np.abs((crack[:, 0] - a[0]) * (b - a)[1] - (crack[:, 1] - a[1]) * (b - a)[0])
        off[[0, far, len(crack) - 1]] = 0
        fixed = sorted({0, far, int(off.argmax()), len(crack) - 1})
    else:
        fixed = [0, len(crack) - 1]
    kept = set(fixed)
    points = crack.astype(float)
    # the middles of the cracks are nearer to the true line than their corners
    middles = 0.5 * (points[1:] + points[:-1])
    stack = list(pairwise(fixed))
    while stack:
        i, j = stack.pop()
        if j - i < 2:
            continue
        a, d = points[i], points[j] - points[i]
        length = float(np.hypot(*d))
        inner = middles[i:j] - a
        off = np.abs(inner[:, 0] * d[1] - inner[:, 1] * d[0]) / max(length, 1e-12)
        worst = int(off.argmax())
        if off[worst] > tolerance:
            k = min(max(i + worst + (worst < (j - i) / 2), i + 1), j - 1)
            kept.add(k)
            stack += [(i, k), (k, j)]
    return points[sorted(kept)]


def _touching(lines: list[FloatArray]) -> BoolArray:
    """Which polylines cross, overlap or touch another one (or themselves) but at their ends."""
    start = np.concatenate([line[:-1] for line in lines]) if lines else np.empty((0, 2))
    end = np.concatenate([line[1:] for line in lines]) if lines else np.empty((0, 2))
    owner = np.repeat(np.arange(len(lines)), [len(line) - 1 for line in lines])
    bad = np.zeros(len(lines), dtype=bool)
    low, high = np.minimum(start, end), np.maximum(start, end)
    order = np.argsort(low[:, 0])
    low, high, start, end, owner = low[order], high[order], start[order], end[order], owner[order]
    last = np.searchsorted(low[:, 0], high[:, 0], side="right")
    count = np.maximum(last - np.arange(len(low)) - 1, 0)
    i = np.repeat(np.arange(len(low)), count)
    j = i + 1 + np.arange(len(i)) - np.repeat(np.cumsum(count) - count, count)
    near = (low[i, 1] <= high[j, 1]) & (low[j, 1] <= high[i, 1])
    i, j = i[near], j[near]
    a, b, c, d = start[i], end[i], start[j], end[j]
    shared = sum((p == q).all(axis=1).astype(int) for p, q in ((a, c), (a, d), (b, c), (b, d)))
    o1, o2 = _side(a, b, c), _side(a, b, d)
    o3, o4 = _side(c, d, a), _side(c, d, b)
    meet = (o1 * o2 <= 0) & (o3 * o4 <= 0)
    parallel = (o1 == 0) & (o2 == 0)
    # sharing an end is how chains meet; then they overlap only if they leave it the same way
    common = np.where((a == c).all(axis=1)[:, None] | (a == d).all(axis=1)[:, None], a, b)
    ahead = ((a + b - 2 * common) * (c + d - 2 * common)).sum(axis=1) > 0
    touch = np.where(shared == 0, meet, (shared > 1) | (parallel & ahead))
    bad[owner[i[touch]]] = True
    bad[owner[j[touch]]] = True
    return bad


def _side(a: FloatArray, b: FloatArray, p: FloatArray) -> FloatArray:
    s = (b[:, 0] - a[:, 0]) * (p[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (p[:, 0] - a[:, 0])
    return np.asarray(np.sign(np.where(np.abs(s) < 1e-9, 0.0, s)))

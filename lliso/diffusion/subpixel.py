"""Polylines through the staircases of pixel edges, to a fraction of a pixel.

A straight boundary on a grid of pixels becomes a staircase. The middles of its edges lie about the
boundary, on both sides alike, at most half a pixel off; a line through many of them is much better
than its two ends on corners of pixels. Corners of all polylines, junctions included, are placed by
least squares so that the middles lie on the lines, with a weak pull to where they were.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array, diags_array
from scipy.sparse.linalg import spsolve

from lliso._types import BoolArray, FloatArray, IntArray

#: weight of a corner's old place: that of one middle of an edge is 1
_PULL, _FIXED = 0.25, 1e9
#: how far a corner may move, in pixels
_REACH = 0.9
_ROUNDS = 2


def placed_between_pixels(
    cracks: Sequence[IntArray],
    lines: Sequence[FloatArray],
    shape: tuple[int, int],
    frozen: BoolArray,
) -> list[FloatArray]:
    """Move the corners of polylines to where the cracks between pixels lie in the mean.

    Parameters
    ----------
    cracks : sequence of int array, shape (corner, 2)
        Pixel corners ``(row, column)`` along each boundary.
    lines : sequence of array, shape (vertex, 2)
        Those that were kept, first and last among them.
    shape : tuple of int
        Rows and columns of the image; what lies on its rim stays there.
    frozen : bool array, shape (line,)
        Lines whose vertices stay.

    Returns
    -------
    list of array, shape (vertex, 2)
        Lines that met before meet still.

    Examples
    --------
    Stairs whose edges lie half a pixel beside the diagonal through their ends, on one side:

    >>> stairs = np.repeat(np.arange(1, 30), 2)
    >>> stairs = np.column_stack([stairs[:-1], stairs[1:]])
    >>> ends = stairs[[0, -1]].astype(float)
    >>> line, = placed_between_pixels([stairs], [ends], (40, 40), np.zeros(1, bool))
    >>> (line[:, 1] - line[:, 0]).round(2).tolist()
    [0.5, 0.5]
    """
    if not lines:
        return []
    count = np.cumsum([len(line) for line in lines])[:-1]
    start, which = np.unique(np.concatenate(lines), axis=0, return_inverse=True)
    vertices = np.split(which.ravel(), count)
    a, b, share, middle = _observed(cracks, lines, vertices, frozen)
    pull = np.where((start == 0) | (start == np.array(shape)), _FIXED, _PULL)
    for ids, still in zip(vertices, frozen, strict=True):
        if still:
            pull[ids] = _FIXED
    place = start
    for _ in range(_ROUNDS):
        place = _solved(place, start, pull, a, b, share, middle)
    moved = place - start
    far = np.hypot(*moved.T) / _REACH
    place = start + moved / np.maximum(far, 1.0)[:, None]
    place = np.where(pull == _FIXED, start, place)
    return [place[ids] for ids in vertices]


def _observed(
    cracks: Sequence[IntArray],
    lines: Sequence[FloatArray],
    vertices: Sequence[IntArray],
    frozen: BoolArray,
) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Middles of all edges: between which two vertices, how far from the first, and where."""
    a, b, share, middle = [], [], [], []
    for crack, line, ids, still in zip(cracks, lines, vertices, frozen, strict=True):
        if still:
            continue
        # a loop ends where it begins: its last corner is the last of the crack
        where = {tuple(corner): k for k, corner in reversed(list(enumerate(crack.tolist())))}
        at = [where[tuple(v)] for v in line[:-1].astype(int).tolist()] + [len(crack) - 1]
        edges = np.arange(len(crack) - 1)
        segment = np.searchsorted(at, edges, side="right") - 1
        length = np.diff(at)[segment]
        a.append(ids[segment])
        b.append(ids[segment + 1])
        share.append((edges - np.array(at)[segment] + 0.5) / length)
        middle.append(0.5 * (crack[1:] + crack[:-1]))
    if not a:
        none = np.zeros(0, dtype=np.int64)
        return none, none, np.zeros(0), np.zeros((0, 2))
    return np.concatenate(a), np.concatenate(b), np.concatenate(share), np.concatenate(middle)


def _solved(
    place: FloatArray,
    start: FloatArray,
    pull: FloatArray,
    a: IntArray,
    b: IntArray,
    share: FloatArray,
    middle: FloatArray,
) -> FloatArray:
    """Least squares of the distances of the middles from the lines as they lie now."""
    along = place[b] - place[a]
    length = np.maximum(np.hypot(*along.T), 1e-9)  # vertices that meet on the way have no normal
    normal = np.column_stack([-along[:, 1], along[:, 0]]) / length[:, None]
    edge = np.tile(np.arange(len(a)), 4)
    column = np.concatenate([2 * a, 2 * a + 1, 2 * b, 2 * b + 1])
    value = np.concatenate([(1.0 - share) * normal.T, share * normal.T]).ravel()
    matrix = coo_array((value, (edge, column)), shape=(len(a), start.size)).tocsc()
    right = matrix.T @ (normal * middle).sum(axis=1) + (pull * start).ravel()
    full = (matrix.T @ matrix + diags_array(pull.ravel())).tocsc()
    return np.asarray(spsolve(full, right)).reshape(start.shape)

"""Sides that pixels of different labels share, and the straight boundaries they make up.

A *crack* is such a side. The length, normal and place of a boundary come from all its cracks
together, so that the staircase of the pixel grid averages out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from lliso._types import BoolArray, FloatArray, IntArray

#: a boundary that strays this many pixels from its chord is taken as two
_BENT = 2.0


@dataclass(frozen=True)
class Cracks:
    """The pixel sides between different labels.

    Attributes
    ----------
    first, second : int arrays, shape (crack,)
        Labels on the two sides, the smaller first.
    x, y : arrays, shape (crack,)
        Middle of each crack in µm.
    dx, dy : arrays, shape (crack,)
        The crack as a vector in µm, with `first` on its left.
    piece : int array, shape (crack,)
        Number of the connected chain it belongs to; pieces of one pair of labels differ where the
        two grains touch in two places.
    """

    first: IntArray
    second: IntArray
    x: FloatArray
    y: FloatArray
    dx: FloatArray
    dy: FloatArray
    piece: IntArray


def find_cracks(label: IntArray, x: FloatArray, y: FloatArray) -> Cracks:
    """Find the cracks of a label image; negative labels are unknown and have no boundary.

    Parameters
    ----------
    label : int array, shape (y, x)
    x, y : arrays
        Pixel centres in µm.

    Returns
    -------
    Cracks

    Examples
    --------
    >>> c = find_cracks(np.array([[0, 0], [1, 1]]), np.arange(2.0), np.arange(2.0))
    >>> c.x.tolist(), c.y.tolist(), c.piece.tolist()
    ([0.0, 1.0], [0.5, 0.5], [0, 0])
    """
    label = np.asarray(label)
    px, py = float(x[1] - x[0]), float(y[1] - y[0])
    width = label.shape[1] + 1  # vertices in a row of the lattice of pixel corners
    parts = []
    for axis in (0, 1):
        a, b = (label[:-1], label[1:]) if axis == 0 else (label[:, :-1], label[:, 1:])
        i, j = np.nonzero((a != b) & (a >= 0) & (b >= 0))
        one, two = a[i, j], b[i, j]
        # Going along +x the pixel below (smaller y) is on the right; going along +y, on the left.
        sign = np.where(one < two, 1.0, -1.0)
        if axis == 0:
            vertex, other = (i + 1) * width + j, (i + 1) * width + j + 1
            place = (x[j], y[i] + py / 2, -sign * px, np.zeros(len(i)))
        else:
            vertex, other = i * width + j + 1, (i + 1) * width + j + 1
            place = (x[j] + px / 2, y[i], np.zeros(len(i)), sign * py)
        parts.append((np.minimum(one, two), np.maximum(one, two), *place, vertex, other))
    first, second, cx, cy, dx, dy, v1, v2 = (np.concatenate(p) for p in zip(*parts, strict=True))
    return Cracks(first, second, cx, cy, dx, dy, _chains(first, second, v1, v2))


def _chains(first: IntArray, second: IntArray, v1: IntArray, v2: IntArray) -> IntArray:
    """Tell the connected chains of the cracks of each pair of labels apart."""
    n = first.size
    if n == 0:
        return np.zeros(0, dtype=np.int64)
    crack = np.tile(np.arange(n), 2)
    vertex = np.concatenate([v1, v2])
    order = np.lexsort((vertex, second[crack], first[crack]))
    a, b = crack[order[:-1]], crack[order[1:]]
    joined = (first[a] == first[b]) & (second[a] == second[b])
    joined &= vertex[order[:-1]] == vertex[order[1:]]
    graph = coo_matrix((np.ones(joined.sum()), (a[joined], b[joined])), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def straight_pieces(cracks: Cracks, pixel: float, shortest: float) -> list[dict[str, Any]]:
    """Return one row per straight piece of every chain of cracks."""
    order = np.argsort(cracks.piece, kind="stable")
    edges = np.flatnonzero(np.diff(cracks.piece[order])) + 1
    chains = [c for c in np.split(order, edges) if c.size]
    rows = []
    while chains:
        chain = chains.pop()
        mid = np.column_stack([cracks.x[chain], cracks.y[chain]])
        vector = np.column_stack([cracks.dx[chain], cracks.dy[chain]])
        cut = _kink(mid, vector, pixel)
        if cut is not None:
            chains += [chain[cut], chain[~cut]]
            continue
        row = _straight(mid, vector)
        if row["length"] < shortest:
            continue
        first, second = int(cracks.first[chain[0]]), int(cracks.second[chain[0]])
        # With `first` on the left of the vectors, the normal to their right points to `second`.
        row["grain1"], row["grain2"] = (first, second) if row.pop("forward") else (second, first)
        rows.append(row)
    return sorted(rows, key=lambda r: (r["grain1"], r["grain2"], r["y"], r["x"]))


def _kink(mid: FloatArray, vector: FloatArray, pixel: float) -> BoolArray | None:
    """Which cracks lie before the kink of a bent chain; None if it is straight enough."""
    chord = vector.sum(axis=0)
    length = float(np.hypot(*chord))
    if len(mid) < 10 or length < 8 * pixel:
        return None
    t = chord / length
    along = (mid - mid.mean(axis=0)) @ t
    off = (mid - mid.mean(axis=0)) @ np.array([-t[1], t[0]])
    ends = np.array([along.min(), along.max()])
    # Distance from the chord between the ends themselves, each the mean of a few cracks there.
    at = [off[np.abs(along - e) <= 1.5 * pixel].mean() for e in ends]
    from_chord = np.abs(off - np.interp(along, ends, at))
    worst = int(np.argmax(from_chord))
    if from_chord[worst] < _BENT * pixel:
        return None
    before = along < along[worst]
    return before if 4 <= before.sum() <= len(mid) - 4 else None


def _straight(mid: FloatArray, vector: FloatArray) -> dict[str, Any]:
    """Middle, normal, length of a chain of cracks; `forward`: the normal lies to its right."""
    centre = mid.mean(axis=0)
    chord = vector.sum(axis=0)
    t = _direction(mid, chord)
    # With the cracks as vectors the staircase adds up to the distance between the ends exactly.
    ends = float(np.hypot(*chord))
    length = ends * (1.0 + 8.0 / 3.0 * (_sagitta(mid - centre, t) / max(ends, 1e-9)) ** 2)
    normal = np.array([t[1], -t[0]])
    forward = bool(normal[1] > 1e-9 or (abs(normal[1]) <= 1e-9 and normal[0] > 0))
    if not forward:
        normal = -normal
    straight = ends / length if length > 0 else 0.0
    return {
        "x": float(centre[0]),
        "y": float(centre[1]),
        "nx": float(normal[0]),
        "ny": float(normal[1]),
        "length": length,
        "straightness": straight,
        "forward": forward,
    }


def _sagitta(off_centre: FloatArray, t: FloatArray) -> float:
    """Height of the arc that a chain makes over its chord, from a parabola through its cracks."""
    along = off_centre @ t
    if len(along) < 8 or np.ptp(along) <= 0:
        return 0.0
    half = 0.5 * float(np.ptp(along))
    u = along / half
    off = off_centre @ np.array([-t[1], t[0]])
    return abs(float(np.linalg.lstsq(np.stack([u**0, u, u**2], axis=1), off)[0][2]))


def _direction(mid: FloatArray, chord: FloatArray) -> FloatArray:
    """Find the direction of a chain by total least squares, or by its ends if it is short."""
    if len(mid) >= 5:
        spread, axes = np.linalg.eigh(np.cov(mid.T))
        if spread[1] > 4 * spread[0]:
            return np.asarray(axes[:, 1] * (1.0 if axes[:, 1] @ chord >= 0 else -1.0))
    length = float(np.hypot(*chord))
    return np.asarray(chord / length if length > 0 else np.array([1.0, 0.0]))

"""Triangulation of a field of view that cuts through grains, one set of nodes per grain.

Grains here may have any shape: what is given are the boundaries as polylines between junctions
(`Outlines`), from a `Structure` or traced from a label image (`lliso.diffusion.outlines`). All
grains are triangulated at once, then the nodes on every boundary are split between its two grains.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Delaunay, cKDTree

from lliso._types import BoolArray, FloatArray, IntArray
from lliso.diffusion._power import Box
from lliso.diffusion.structures import Structure

#: how often missing segments are halved before the outlines are declared crossing
_ROUNDS = 14
#: segment that belongs to the rim, not to a boundary
_RIM = -1


@dataclass(frozen=True, eq=False)
class Outlines:
    """Boundaries inside a box as polylines from junction to junction.

    Seen along a polyline its first grain lies to the left; the normal, from the first grain to the
    second, points to the right and has a positive y component (of an upright boundary: a positive
    x component), so that steps are signed away from the source.

    Parameters
    ----------
    box : tuple of float
        ``(x0, y0, x1, y1)``.
    chains : tuple of array, shape (point, 2)
        They meet only at their ends.
    grains : int array, shape (boundary, 2)
    origin : int array, shape (boundary,)
        Which boundary of what they were made from each one is (a part of).
    """

    box: Box
    chains: tuple[FloatArray, ...]
    grains: IntArray
    origin: IntArray

    @property
    def lengths(self) -> FloatArray:
        """Length of each boundary."""
        return np.array([np.hypot(*np.diff(c, axis=0).T).sum() for c in self.chains])

    @property
    def normals(self) -> FloatArray:
        """Mean unit normal of each boundary; NaN for a closed loop."""
        d = np.array([c[-1] - c[0] for c in self.chains]).reshape(-1, 2)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.column_stack([d[:, 1], -d[:, 0]]) / np.hypot(*d.T)[:, None])

    @property
    def middles(self) -> FloatArray:
        """Point half way along each boundary."""
        out = np.empty((len(self.chains), 2))
        for k, c in enumerate(self.chains):
            s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(c, axis=0).T))])
            out[k] = [np.interp(0.5 * s[-1], s, c[:, i]) for i in (0, 1)]
        return out


def oriented(
    box: Box, chains: list[FloatArray], grains: IntArray, origin: IntArray | None = None
) -> Outlines:
    """Build `Outlines` from polylines with their (left, right) grains, turned as it promises."""
    pairs = np.array(grains, dtype=np.int64).reshape(-1, 2)
    turned = []
    for k, chain in enumerate(chains):
        d = chain[-1] - chain[0]
        back = d[0] > 1e-12 or (abs(d[0]) <= 1e-12 and d[1] < 0)  # normal (d_y, -d_x) points down
        turned.append(chain[::-1].copy() if back else chain)
        if back:
            pairs[k] = pairs[k, ::-1]
    origin = np.arange(len(chains)) if origin is None else origin
    return Outlines(box, tuple(turned), pairs, origin)


def window_outlines(structure: Structure, box: Box) -> Outlines:
    """Cut the boundaries of a structure out by a box.

    Parameters
    ----------
    structure : Structure
    box : tuple of float
        ``(x0, y0, x1, y1)`` inside the structure's.

    Raises
    ------
    ValueError
        If the box reaches beyond the structure.

    Examples
    --------
    >>> from lliso.diffusion.structures import laminate
    >>> o = window_outlines(laminate((0, 0, 10, 60), [20.0, 40.0]), (2, 5, 8, 30))
    >>> len(o.chains), o.grains.tolist(), o.origin.tolist()
    (1, [[0, 1]], [0])
    """
    x0, y0, x1, y1 = box
    b = structure.box
    if x0 < b[0] or y0 < b[1] or x1 > b[2] or y1 > b[3]:
        raise ValueError(f"the field of view must lie inside the structure's box {b}, got {box}")
    a = structure.segments[:, 0]
    d = structure.segments[:, 1] - a
    with np.errstate(divide="ignore", invalid="ignore"):
        to_low = (np.array([x0, y0]) - a) / d
        to_high = (np.array([x1, y1]) - a) / d
    inside = (a >= [x0, y0]) & (a <= [x1, y1])
    enter = np.where(d == 0, np.where(inside, -np.inf, np.inf), np.minimum(to_low, to_high))
    leave = np.where(d == 0, np.inf, np.maximum(to_low, to_high))
    t0, t1 = np.maximum(enter.max(axis=1), 0.0), np.minimum(leave.min(axis=1), 1.0)
    slack = 1e-9 * max(x1 - x0, y1 - y0)
    kept = np.flatnonzero((t1 - t0) * np.hypot(*d.T) > slack)
    chains = []
    for k in kept:
        ends = np.stack([a[k] + t0[k] * d[k], a[k] + t1[k] * d[k]])
        for axis, (low, high) in enumerate(((x0, x1), (y0, y1))):
            ends[np.abs(ends[:, axis] - low) < slack, axis] = low
            ends[np.abs(ends[:, axis] - high) < slack, axis] = high
        chains.append(ends)
    # the first grain lies against the normal, which is on the left if the normal is on the right
    along = np.array([c[1] - c[0] for c in chains]).reshape(-1, 2)
    right = (structure.normals[kept] * np.column_stack([along[:, 1], -along[:, 0]])).sum(axis=1) > 0
    pairs = np.where(right[:, None], structure.grains[kept], structure.grains[kept][:, ::-1])
    return oriented(box, chains, pairs, kept)


@dataclass(frozen=True, eq=False)
class WindowMesh:
    """Triangles of a field of view, and the pairs of coincident segments across boundaries.

    `faces` as in `lliso.diffusion.mesh.Mesh`: two nodes in the first grain, the coincident two in
    the second. `part` numbers the connected pieces of grain, `part_grain` says of which grain.
    """

    outlines: Outlines
    points: FloatArray
    triangles: IntArray
    triangle_part: IntArray
    part_grain: IntArray
    faces: IntArray
    face_boundary: IntArray

    @property
    def n(self) -> int:
        """Number of nodes."""
        return len(self.points)

    @property
    def n_boundaries(self) -> int:
        """Number of boundaries."""
        return len(self.outlines.chains)

    @cached_property
    def triangle_areas(self) -> FloatArray:
        """Area of each triangle."""
        a, b, c = (self.points[self.triangles[:, k]] for k in range(3))
        return _cross(b - a, c - a) / 2.0

    @cached_property
    def face_lengths(self) -> FloatArray:
        """Length of each boundary segment."""
        d = self.points[self.faces[:, 1]] - self.points[self.faces[:, 0]]
        return np.asarray(np.hypot(*d.T))

    @cached_property
    def node_part(self) -> IntArray:
        """The piece of grain that each node belongs to."""
        part = np.empty(self.n, dtype=np.int64)
        part[self.triangles.ravel()] = np.repeat(self.triangle_part, 3)
        return part

    @cached_property
    def rim(self) -> BoolArray:
        """Nodes on the rim of the field of view."""
        x0, y0, x1, y1 = self.outlines.box
        x, y = self.points.T
        return np.asarray((x == x0) | (x == x1) | (y == y0) | (y == y1))


def _cross(u: FloatArray, v: FloatArray) -> FloatArray:
    return np.asarray(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])


def mesh_window(outlines: Outlines, size: float) -> WindowMesh:
    """Triangulate a field of view with elements of about the given size.

    Parameters
    ----------
    outlines : Outlines
    size : float
        Element size h.

    Returns
    -------
    WindowMesh

    Raises
    ------
    ValueError
        If the size is not positive, or the outlines cross each other.

    Examples
    --------
    >>> from lliso.diffusion.structures import laminate
    >>> m = mesh_window(window_outlines(laminate((0, 0, 4, 8), [4.0]), (0, 0, 4, 8)), 1.0)
    >>> len(m.faces), round(float(m.triangle_areas.sum()), 12), m.part_grain.tolist()
    (4, 32.0, [0, 1])
    """
    if not (np.isfinite(size) and size > 0):
        raise ValueError(f"element size must be finite and positive, got {size:g}")
    points, segments, owner = _divided(outlines, size)
    points = np.concatenate([points, _filling(points, segments, outlines.box, size)])
    points, segments, owner, triangles = _conforming(points, segments, owner)
    area = _cross(
        points[triangles[:, 1]] - points[triangles[:, 0]],
        points[triangles[:, 2]] - points[triangles[:, 0]],
    )
    triangles = np.where((area < 0)[:, None], triangles[:, [0, 2, 1]], triangles)
    triangles = triangles[np.abs(area) > 1e-10 * size**2]
    return _split(outlines, points, triangles, segments, owner)


def _divided(outlines: Outlines, h: float) -> tuple[FloatArray, IntArray, IntArray]:
    """Points on boundaries and rim, the segments between them, and the boundary of each."""
    x0, y0, x1, y1 = outlines.box
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    ends = np.concatenate([corners, *[c[[0, -1]] for c in outlines.chains]])
    runs = [(c, k) for k, c in enumerate(outlines.chains)]
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        axis = int(a[0] == b[0])
        on = ends[ends[:, 1 - axis] == a[1 - axis]]
        at = np.unique(on[:, axis])
        line = np.empty((len(at), 2))
        line[:, axis], line[:, 1 - axis] = at, a[1 - axis]
        runs.append((line if b[axis] > a[axis] else line[::-1], _RIM))
    coordinates: list[FloatArray] = []
    owner: list[IntArray] = []
    for line, k in runs:
        for a, b in pairwise(line):
            n = max(1, round(float(np.hypot(*(b - a))) / h))
            t = np.arange(n + 1)[:, None] / n
            # at both ends the very coordinates, so that neighbours share them to the last bit
            at = np.where(t == 1.0, b, a + t * (b - a))
            coordinates.append(np.concatenate([at[:-1], at[1:]], axis=1))
            owner.append(np.full(n, k))
    pairs = np.concatenate(coordinates).reshape(-1, 2)
    step = 1e-7 * h
    _, first, index = np.unique(
        np.rint((pairs - [x0, y0]) / step).astype(np.int64),
        axis=0,
        return_index=True,
        return_inverse=True,
    )
    return pairs[first], index.reshape(-1, 2), np.concatenate(owner)


def _filling(points: FloatArray, segments: IntArray, box: Box, h: float) -> FloatArray:
    """Points of a hexagonal grid inside the box, at least 0.6 h from every segment."""
    x0, y0, x1, y1 = box
    row = h * np.sqrt(3.0) / 2.0
    j, i = np.mgrid[0 : int((y1 - y0) / row) + 1, 0 : int((x1 - x0) / h) + 1]
    grid = np.column_stack(
        [(x0 + (i + 0.25 + 0.5 * (j % 2)) * h).ravel(), (y0 + (j + 0.5) * row).ravel()]
    )
    grid = grid[(grid > [x0, y0]).all(axis=1) & (grid < [x1, y1]).all(axis=1)]
    t = (np.arange(5) / 5.0)[None, :, None]
    a, b = points[segments[:, 0]], points[segments[:, 1]]
    fine = (a[:, None] + t * (b - a)[:, None]).reshape(-1, 2)
    distance, _ = cKDTree(fine).query(grid)
    return np.asarray(grid[distance > 0.6 * h])


def _conforming(
    points: FloatArray, segments: IntArray, owner: IntArray
) -> tuple[FloatArray, IntArray, IntArray, IntArray]:
    """Delaunay triangles that contain every segment, halving those that are missing."""
    for _ in range(_ROUNDS):
        triangles = Delaunay(points).simplices.astype(np.int64)
        edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        wanted = np.sort(segments, axis=1)
        n = len(points)
        missing = ~np.isin(wanted[:, 0] * n + wanted[:, 1], edges[:, 0] * n + edges[:, 1])
        if not missing.any():
            return points, segments, owner, triangles
        a, b = segments[missing].T
        new = n + np.arange(len(a))
        points = np.concatenate([points, 0.5 * (points[a] + points[b])])
        segments = np.concatenate(
            [segments[~missing], np.column_stack([a, new]), np.column_stack([new, b])]
        )
        owner = np.concatenate([owner[~missing], owner[missing], owner[missing]])
    where = points[-1]
    raise ValueError(
        f"boundaries must meet only at their ends, got some that cross or touch near "
        f"({where[0]:.4g}, {where[1]:.4g})"
    )


def _split(
    outlines: Outlines,
    points: FloatArray,
    triangles: IntArray,
    segments: IntArray,
    owner: IntArray,
) -> WindowMesh:
    """Give every piece of grain nodes of its own."""
    n = len(points)
    inner = owner != _RIM
    segments, owner = segments[inner], owner[inner]
    directed = triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    code = directed[:, 0] * n + directed[:, 1]
    order = np.argsort(code)

    def triangle_of(a: IntArray, b: IntArray) -> IntArray:
        """Triangle to the left of the edge from a to b, -1 if none."""
        k = np.minimum(np.searchsorted(code, a * n + b, sorter=order), len(code) - 1)
        return np.where(code[order[k]] == a * n + b, order[k] // 3, -1)

    across = triangle_of(directed[:, 1], directed[:, 0])
    lines = np.concatenate([segments, segments[:, ::-1]])
    open_ = (across >= 0) & ~np.isin(code, lines[:, 0] * n + lines[:, 1])
    here = np.repeat(np.arange(len(triangles)), 3)
    graph = coo_matrix((np.ones(open_.sum()), (here[open_], across[open_])), (len(triangles),) * 2)
    count, part = connected_components(graph, directed=False)
    keys, own = np.unique(np.repeat(part, 3) * n + triangles.ravel(), return_inverse=True)
    left = triangle_of(segments[:, 0], segments[:, 1])
    right = triangle_of(segments[:, 1], segments[:, 0])
    part_grain = np.full(count, -1)
    part_grain[part[left]] = outlines.grains[owner, 0]
    part_grain[part[right]] = outlines.grains[owner, 1]
    part_grain[part_grain < 0] = 0 if count == 1 else -1
    real = part[left] != part[right]  # a line that ends inside a grain parts nothing
    sides = np.column_stack([part_grain[part[left]], part_grain[part[right]]])
    wrong = real & (sides != outlines.grains[owner]).any(axis=1)
    if wrong.any():
        where = points[segments[wrong][0]].mean(axis=0)
        raise ValueError(
            "boundaries must enclose grains and meet only at their ends, got one between other "
            f"grains than it says near ({where[0]:.4g}, {where[1]:.4g})"
        )
    nodes = [
        np.searchsorted(keys, part[side][real] * n + segments[real, end])
        for side in (left, right)
        for end in (0, 1)
    ]
    return WindowMesh(
        outlines,
        points[keys % n],
        own.reshape(-1, 3),
        np.asarray(part, dtype=np.int64),
        part_grain,
        np.column_stack(nodes),
        owner[real],
    )

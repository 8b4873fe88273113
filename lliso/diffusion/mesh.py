"""Triangulation of a grain structure with one set of nodes per grain.

Both sides of a boundary are divided at the same points, but each grain has nodes of its own
there: the jump of C across a boundary is represented exactly, without any staircase. Across a
boundary with P = inf the two sides share their nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import Delaunay

from lliso._types import FloatArray, IntArray
from lliso.diffusion._power import Box
from lliso.diffusion.structures import Structure

SizeLaw = Callable[[FloatArray], FloatArray]

#: an edge's nodes are pushed outwards by this share of its length while its grain is
#: triangulated, so that no triangle has all its corners on one edge
_BULGE = 1e-4


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles, and the pairs of coincident segments across boundaries.

    `faces` holds for every boundary segment its two nodes in the first grain, then the two
    coincident ones in the second, shape (face, 4).
    """

    structure: Structure
    points: FloatArray
    triangles: IntArray
    triangle_grain: IntArray
    faces: IntArray
    face_boundary: IntArray

    @property
    def n(self) -> int:
        """Number of nodes."""
        return len(self.points)

    @property
    def face_lengths(self) -> FloatArray:
        """Length of each boundary segment."""
        a, b = self.points[self.faces[:, 0]], self.points[self.faces[:, 1]]
        return np.asarray(np.hypot(*(b - a).T))

    @property
    def triangle_areas(self) -> FloatArray:
        """Area of each triangle."""
        a, b, c = (self.points[self.triangles[:, k]] for k in range(3))
        u, v = b - a, c - a
        return np.asarray(0.5 * (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]))


def graded_size(window: Box, fine: float, coarse: float, growth: float = 0.3) -> SizeLaw:
    """Element size: `fine` inside `window`, growing outside by `growth` per length to `coarse`.

    Examples
    --------
    >>> size = graded_size((0, 0, 10, 10), 1.0, 5.0)
    >>> size(np.array([[5.0, 5.0], [5.0, 20.0], [5.0, 99.0]])).tolist()
    [1.0, 4.0, 5.0]
    """
    x0, y0, x1, y1 = window

    def size(points: FloatArray) -> FloatArray:
        dx = np.maximum(np.maximum(x0 - points[:, 0], points[:, 0] - x1), 0.0)
        dy = np.maximum(np.maximum(y0 - points[:, 1], points[:, 1] - y1), 0.0)
        return np.asarray(np.minimum(fine + growth * np.hypot(dx, dy), coarse))

    return size


def triangulate(structure: Structure, size: float | SizeLaw) -> Mesh:
    """Triangulate every grain with elements of about the given size.

    Parameters
    ----------
    structure : Structure
    size : float or callable
        Element size h, or a function of points (n, 2) that returns it (see `graded_size`). A
        grain is filled at the smallest size found at its corners and centre.

    Returns
    -------
    Mesh

    Raises
    ------
    ValueError
        If the size is not positive.

    Examples
    --------
    >>> from lliso.diffusion.structures import laminate
    >>> m = triangulate(laminate((0, 0, 4, 8), [4.0]), 1.0)
    >>> len(m.faces), round(float(m.triangle_areas.sum()), 12)
    (4, 32.0)
    """
    law: SizeLaw = size if callable(size) else _constant(float(size))
    at_vertices = law(structure.vertices)
    h_cell = np.minimum(law(structure.centroids), [at_vertices[c].min() for c in structure.cells])
    if not (np.isfinite(h_cell).all() and (h_cell > 0).all()):
        raise ValueError(f"element size must be finite and positive, got {h_cell.min():g}")
    chains = _divide_edges(structure, law)
    points: list[FloatArray] = []
    triangles: list[IntArray] = []
    grain_of: list[IntArray] = []
    chain_nodes: dict[tuple[int, int, int], IntArray] = {}
    offset = 0
    for g, cell in enumerate(structure.cells):
        ring, bulged, corner = _ring(cell, chains)
        interior = _interior(structure.vertices[cell], float(h_cell[g]))
        if len(interior):
            local = Delaunay(np.concatenate([bulged, interior])).simplices.astype(np.int64)
        else:
            interior = ring.mean(axis=0, keepdims=True)
            k = np.arange(len(ring))
            local = np.column_stack([k, np.roll(k, -1), np.full(len(ring), len(ring))])
        own = np.concatenate([ring, interior])
        points.append(own)
        triangles.append(_anticlockwise(own, local) + offset)
        grain_of.append(np.full(len(local), g))
        vertices = cell.tolist()
        for side, (v, w) in enumerate(zip(vertices, vertices[1:] + vertices[:1], strict=True)):
            nodes = np.arange(int(corner[side]), int(corner[side + 1]) + 1)
            nodes[-1] %= len(ring)
            chain_nodes[(g, v, w)] = nodes + offset
        offset += len(own)
    faces, face_boundary = _faces(structure, chain_nodes)
    return _merged(
        structure,
        np.concatenate(points),
        np.concatenate(triangles),
        np.concatenate(grain_of),
        faces,
        face_boundary,
    )


def _constant(h: float) -> SizeLaw:
    return lambda points: np.full(len(points), h)


Chains = dict[tuple[int, int], tuple[FloatArray, FloatArray]]


def _divide_edges(structure: Structure, law: SizeLaw) -> Chains:
    """Points on each edge (without its end), straight and bulged to the right, both ways round."""
    both = np.concatenate([np.column_stack([c, np.roll(c, -1)]) for c in structure.cells])
    edges = np.unique(np.sort(both, axis=1), axis=0)
    a, b = structure.vertices[edges[:, 0]], structure.vertices[edges[:, 1]]
    d = b - a
    h = np.minimum(np.minimum(law(a), law(b)), law(0.5 * (a + b)))
    number = np.maximum(1, np.rint(np.hypot(*d.T) / h)).astype(int)
    chains: Chains = {}
    for (i, j), p, q, e, n in zip(edges.tolist(), a, b, d, number.tolist(), strict=True):
        t = np.arange(n) / n
        # measured from the lower-numbered end on both sides: coincident to the last bit
        inner = p + t[1:, None] * e
        push = (4.0 * _BULGE * t[1:] * (1.0 - t[1:]))[:, None] * np.array([e[1], -e[0]])
        chains[(i, j)] = np.vstack([p, inner]), np.vstack([p, inner + push])
        chains[(j, i)] = np.vstack([q, inner[::-1]]), np.vstack([q, (inner - push)[::-1]])
    return chains


def _ring(cell: IntArray, chains: Chains) -> tuple[FloatArray, FloatArray, IntArray]:
    pieces = [
        chains[(i, j)] for i, j in zip(cell.tolist(), np.roll(cell, -1).tolist(), strict=True)
    ]
    corner = np.cumsum([0] + [len(p[0]) for p in pieces])
    return np.concatenate([p[0] for p in pieces]), np.concatenate([p[1] for p in pieces]), corner


def _interior(polygon: FloatArray, h: float) -> FloatArray:
    """Points of a hexagonal grid inside a convex polygon, at least 0.6 h from its edges."""
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    if np.any(high - low < 1.2 * h):
        return np.empty((0, 2))
    row = h * np.sqrt(3.0) / 2.0
    centre = polygon.mean(axis=0)
    nx = int(np.ceil((high[0] - low[0]) / h)) + 1
    ny = int(np.ceil((high[1] - low[1]) / row)) + 1
    j, i = np.mgrid[-ny : ny + 1, -nx : nx + 1]
    grid = np.column_stack([((i + 0.5 * (j % 2)) * h).ravel(), (j * row).ravel()]) + centre
    d = np.roll(polygon, -1, axis=0) - polygon
    inward = np.column_stack([-d[:, 1], d[:, 0]]) / np.hypot(*d.T)[:, None]
    distance = grid @ inward.T - (polygon * inward).sum(axis=1)
    return np.asarray(grid[(distance > 0.6 * h).all(axis=1)])


def _anticlockwise(points: FloatArray, triangles: IntArray) -> IntArray:
    a, b, c = (points[triangles[:, k]] for k in range(3))
    u, v = b - a, c - a
    negative = u[:, 0] * v[:, 1] < u[:, 1] * v[:, 0]
    return np.where(negative[:, None], triangles[:, [0, 2, 1]], triangles)


def _faces(
    structure: Structure, chain_nodes: dict[tuple[int, int, int], IntArray]
) -> tuple[IntArray, IntArray]:
    faces: list[IntArray] = []
    boundary: list[IntArray] = []
    for k, ((v, w), (g1, g2)) in enumerate(
        zip(structure.ends.tolist(), structure.grains.tolist(), strict=True)
    ):
        one = chain_nodes.get((g1, v, w))
        if one is None:
            one = chain_nodes[(g1, w, v)]
            two = chain_nodes[(g2, v, w)][::-1]
        else:
            two = chain_nodes[(g2, w, v)][::-1]
        faces.append(np.column_stack([one[:-1], one[1:], two[:-1], two[1:]]))
        boundary.append(np.full(len(one) - 1, k))
    if not faces:
        return np.empty((0, 4), dtype=np.int64), np.empty(0, dtype=np.int64)
    return np.concatenate(faces), np.concatenate(boundary)


def _merged(
    structure: Structure,
    points: FloatArray,
    triangles: IntArray,
    grain_of: IntArray,
    faces: IntArray,
    boundary: IntArray,
) -> Mesh:
    """Join the nodes across boundaries without resistance, and drop those faces."""
    open_ = np.isinf(structure.permeability)[boundary] if len(faces) else np.empty(0, dtype=bool)
    if open_.any():
        f = faces[open_]
        pairs = np.concatenate([f[:, [0, 2]], f[:, [1, 3]]])
        graph = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(len(points),) * 2)
        count, group = connected_components(graph, directed=False)
        keep = np.full(count, len(points))
        np.minimum.at(keep, group, np.arange(len(points)))
        points, triangles, faces = points[keep], group[triangles], group[faces[~open_]]
        boundary = boundary[~open_]
    return Mesh(structure, points, triangles, grain_of, faces, boundary)


def sampling_matrix(mesh: Mesh, x: FloatArray, y: FloatArray) -> tuple[csr_matrix, IntArray]:
    """Interpolation from nodes to the points of a grid, and the grain of each point.

    Parameters
    ----------
    mesh : Mesh
    x, y : array
        Equally spaced coordinates of the grid.

    Returns
    -------
    matrix : sparse, shape (len(y) · len(x), node)
    grain : int array, shape (y, x)

    Raises
    ------
    ValueError
        If a point of the grid lies outside the mesh.

    Examples
    --------
    >>> from lliso.diffusion.structures import laminate
    >>> m = triangulate(laminate((0, 0, 4, 8), [4.0]), 1.0)
    >>> matrix, grain = sampling_matrix(m, np.array([1.0, 2.0]), np.array([1.0, 7.0]))
    >>> np.round(matrix @ m.points[:, 1], 12).tolist(), grain.tolist()
    ([1.0, 1.0, 7.0, 7.0], [[0, 0], [1, 1]])
    """
    corners = mesh.points[mesh.triangles]
    low, high = corners.min(axis=1), corners.max(axis=1)
    i0, i1 = _index_range(x, low[:, 0], high[:, 0])
    j0, j1 = _index_range(y, low[:, 1], high[:, 1])
    wide, tall = np.maximum(i1 - i0, 0), np.maximum(j1 - j0, 0)
    number = wide * tall
    t = np.repeat(np.arange(len(number)), number)
    k = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
    i, j = i0[t] + k % np.maximum(wide, 1)[t], j0[t] + k // np.maximum(wide, 1)[t]
    a, b, c = corners[t, 0], corners[t, 1], corners[t, 2]
    u, v = b - a, c - a
    dx, dy = x[i] - a[:, 0], y[j] - a[:, 1]
    det = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    wb = (dx * v[:, 1] - dy * v[:, 0]) / det
    wc = (dy * u[:, 0] - dx * u[:, 1]) / det
    weights = np.column_stack([1.0 - wb - wc, wb, wc])
    inside = weights.min(axis=1) > -1e-9
    flat = (j * len(x) + i)[inside]
    chosen = np.full(len(x) * len(y), -1)
    chosen[flat] = np.flatnonzero(inside)
    if (chosen < 0).any():
        raise ValueError(
            f"points must lie inside the structure, got {int((chosen < 0).sum())} outside "
            f"the box {mesh.structure.box}"
        )
    rows = np.repeat(np.arange(len(chosen)), 3)
    cols = mesh.triangles[t[chosen]].ravel()
    matrix = csr_matrix((weights[chosen].ravel(), (rows, cols)), shape=(len(chosen), mesh.n))
    grain = mesh.structure.parent[mesh.triangle_grain[t[chosen]]].reshape(len(y), len(x))
    return matrix, grain


def _index_range(axis: FloatArray, low: FloatArray, high: FloatArray) -> tuple[IntArray, IntArray]:
    slack = 1e-9 * (abs(axis[-1]) + abs(axis[0]) + 1.0)
    return np.searchsorted(axis, low - slack), np.searchsorted(axis, high + slack, side="right")

"""Power diagrams (weighted Voronoi, Laguerre tessellations) of points in a box.

The cell of a site p with weight w is where |x - p|² - w is smallest. Lifting the sites to
(p, |p|² - w) turns the diagram into a convex hull (Aurenhammer, SIAM J. Comput. 16 (1987) 78).
The box comes from mirror images of the sites near its sides: the bisector of a site and its image
is the side itself, so that cells end there exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix, csc_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import spsolve
from scipy.spatial import ConvexHull, cKDTree

from lliso._types import FloatArray, IntArray

Box = tuple[float, float, float, float]

#: end points of cell edges nearer than this (as a share of the box) are one point
MERGE = 1e-9


@dataclass(frozen=True, eq=False)
class PowerDiagram:
    """Cells of a power diagram in a box.

    `edge_sites` holds the two sites of every edge; the second is -1 on the box. `edge_points` are
    the end points, shape (edge, 2, 2).
    """

    n: int
    edge_sites: IntArray
    edge_points: FloatArray

    def areas(self) -> FloatArray:
        """Area of each cell, 0 for a site without a cell, shape (n,)."""
        return self._moments()[0]

    def centroids(self) -> FloatArray:
        """Centre of mass of each cell, shape (n, 2)."""
        area, moment = self._moments()
        with np.errstate(invalid="ignore", divide="ignore"):
            return moment / area[:, None]

    def _moments(self) -> tuple[FloatArray, FloatArray]:
        # Fan of triangles (apex, edge) from any point of the cell: no need to order the edges.
        a, b = self.edge_points[:, 0], self.edge_points[:, 1]
        apex_sum = np.zeros((self.n, 2))
        number = np.zeros(self.n)
        inner = self.edge_sites[:, 1] >= 0
        both: list[tuple[IntArray, Any]] = [
            (self.edge_sites[:, 0], slice(None)),
            (self.edge_sites[inner, 1], inner),
        ]
        for site, use in both:
            np.add.at(apex_sum, site, 0.5 * (a[use] + b[use]))
            np.add.at(number, site, 1.0)
        apex = apex_sum / np.maximum(number, 1.0)[:, None]
        area = np.zeros(self.n)
        moment = np.zeros((self.n, 2))
        for site, use in both:
            p, q, o = a[use], b[use], apex[site]
            size = 0.5 * np.abs(_cross(p - o, q - o))
            np.add.at(area, site, size)
            np.add.at(moment, site, size[:, None] * (p + q + o) / 3.0)
        return area, moment


def _cross(u: FloatArray, v: FloatArray) -> FloatArray:
    return np.asarray(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])


def power_diagram(sites: FloatArray, weights: FloatArray, box: Box) -> PowerDiagram:
    """Power diagram of `sites` (n, 2) with `weights` (n,) inside `box` (x0, y0, x1, y1)."""
    x0, y0, x1, y1 = box
    size = max(x1 - x0, y1 - y0)
    n = len(sites)
    margin = 6.0 * np.sqrt((x1 - x0) * (y1 - y0) / n) + 2.0 * np.sqrt(np.ptp(weights))
    while True:
        points, mirrored_weights = _with_mirrors(sites, weights, box, float(margin))
        diagram = _from_hull(points, mirrored_weights, n)
        ends = diagram.edge_points.reshape(-1, 2)
        tol = 1e-7 * size
        inside = (ends >= (x0 - tol, y0 - tol)).all() and (ends <= (x1 + tol, y1 + tol)).all()
        if inside or margin > 2.0 * size:
            break
        margin *= 2.0
    points_in_box = np.clip(diagram.edge_points, (x0, y0), (x1, y1))
    length = np.hypot(*(points_in_box[:, 1] - points_in_box[:, 0]).T)
    keep = length > MERGE * size
    return PowerDiagram(n, diagram.edge_sites[keep], points_in_box[keep])


def _with_mirrors(
    sites: FloatArray, weights: FloatArray, box: Box, margin: float
) -> tuple[FloatArray, FloatArray]:
    x0, y0, x1, y1 = box
    points, w = [sites], [weights]
    for axis, side in ((0, x0), (0, x1), (1, y0), (1, y1)):
        near = np.abs(sites[:, axis] - side) < margin
        image = sites[near].copy()
        image[:, axis] = 2.0 * side - image[:, axis]
        points.append(image)
        w.append(weights[near])
    # A box corner belongs to a site, its two images and the image of both: without the last one
    # the diagram is still right inside the box, so it is left out.
    return np.concatenate(points), np.concatenate(w)


def _from_hull(points: FloatArray, weights: FloatArray, n: int) -> PowerDiagram:
    low, high, ends = hull_edges(points, weights, n)
    return PowerDiagram(n, np.column_stack([low, np.where(high < n, high, -1)]), ends)


def hull_edges(
    points: FloatArray, weights: FloatArray, n: int
) -> tuple[IntArray, IntArray, FloatArray]:
    """Edges of the cells of the first `n` points: lower and higher point, and the end points."""
    centre = points.mean(axis=0)
    local = points - centre
    lifted = np.column_stack([local, (local**2).sum(axis=1) - weights])
    hull = ConvexHull(lifted)
    normal = hull.equations
    lower = normal[:, 2] < 0
    with np.errstate(divide="ignore", invalid="ignore"):
        vertex = -0.5 * normal[:, :2] / normal[:, 2:3] + centre
    facet = np.repeat(np.arange(len(hull.simplices)), 3)
    opposite = np.tile(np.arange(3), len(hull.simplices))
    other = hull.neighbors.ravel()
    first = hull.simplices[facet, (opposite + 1) % 3]
    second = hull.simplices[facet, (opposite + 2) % 3]
    low, high = np.minimum(first, second), np.maximum(first, second)
    use = (facet < other) & lower[facet] & lower[other] & (low < n)
    ends = np.stack([vertex[facet[use]], vertex[other[use]]], axis=1)
    return low[use], high[use], ends


def fit_weights(
    sites: FloatArray,
    target: FloatArray,
    box: Box,
    *,
    tolerance: float = 1e-3,
    evening: int = 3,
    smoothing: int = 12,
    iterations: int = 80,
) -> tuple[FloatArray, FloatArray, PowerDiagram]:
    """Sites and weights whose power diagram has cells of the `target` areas.

    Damped Newton on the weights (Kitagawa, Mérigot, Thibert, J. Eur. Math. Soc. 21 (2019) 2603);
    during the first `smoothing` steps the sites also move half-way to their cells' centres of
    mass, which makes compact grains. `evening` such moves come before sizes are asked of them.

    Raises
    ------
    ValueError
        If the areas cannot be reached to `tolerance` (largest relative deviation).
    """
    weights = np.zeros(len(sites))
    diagram = power_diagram(sites, weights, box)
    for _ in range(evening):  # even out a random start before sizes are asked of it
        sites = sites + 0.7 * (diagram.centroids() - sites)
        diagram = power_diagram(sites, weights, box)
    worst = np.inf
    for step in range(iterations):
        areas = diagram.areas()
        worst = float(np.max(np.abs(areas / target - 1.0)))
        if worst < tolerance and step >= smoothing:
            return sites, weights, diagram
        weights, diagram = _newton_step(sites, weights, diagram, target, box)
        if step < smoothing:
            sites, diagram = _towards_centres(sites, weights, diagram, box)
    raise ValueError(
        f"grain areas must follow the size law to {tolerance:g}, got {worst:g} after "
        f"{iterations} iterations; use a smaller spread or another seed"
    )


def _newton_step(
    sites: FloatArray, weights: FloatArray, diagram: PowerDiagram, target: FloatArray, box: Box
) -> tuple[FloatArray, PowerDiagram]:
    areas = diagram.areas()
    inner = diagram.edge_sites[:, 1] >= 0
    i, j = diagram.edge_sites[inner].T
    length = np.hypot(*(diagram.edge_points[inner, 1] - diagram.edge_points[inner, 0]).T)
    k = length / (2.0 * np.hypot(*(sites[i] - sites[j]).T))
    n = len(sites)
    rows, cols = np.concatenate([i, j, i, j]), np.concatenate([j, i, i, j])
    jac = csc_matrix(coo_matrix((np.concatenate([-k, -k, k, k]), (rows, cols)), shape=(n, n)))
    delta = np.zeros(n)
    # weights matter only up to a constant: the first is held
    delta[1:] = spsolve(jac[1:, 1:], (target - areas)[1:])
    damping = 1.0
    for _ in range(12):
        trial = weights + damping * delta
        new = power_diagram(sites, trial, box)
        if np.all(new.areas() > 0.3 * np.minimum(areas, target)):
            return trial, new
        damping *= 0.5
    return weights, diagram


def _towards_centres(
    sites: FloatArray, weights: FloatArray, diagram: PowerDiagram, box: Box
) -> tuple[FloatArray, PowerDiagram]:
    areas, move = diagram.areas(), diagram.centroids() - sites
    share = 0.5
    for _ in range(4):
        trial = sites + share * move
        new = power_diagram(trial, weights, box)
        if np.all(new.areas() > 0.3 * areas):
            return trial, new
        share *= 0.5
    return sites, diagram


def cell_polygons(
    diagram: PowerDiagram, box: Box
) -> tuple[FloatArray, list[IntArray], IntArray, IntArray]:
    """Vertices, cells as rings of vertices (anticlockwise), and the edges between two cells.

    Returns
    -------
    vertices : (v, 2); cells : list of (k,) arrays; edge_vertices : (e, 2); edge_cells : (e, 2).
    """
    x0, y0, x1, y1 = box
    size = max(x1 - x0, y1 - y0)
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
    raw = np.concatenate([diagram.edge_points.reshape(-1, 2), corners])
    vertices, index = merge_points(raw, 1e-8 * size)
    ends = index[:-4].reshape(-1, 2)
    sites = diagram.edge_sites
    owner = np.concatenate([sites[:, 0], sites[:, 0], sites[:, 1], sites[:, 1]])
    vertex = np.concatenate([ends[:, 0], ends[:, 1], ends[:, 0], ends[:, 1]])
    pairs = np.unique(np.column_stack([owner, vertex])[owner >= 0], axis=0)
    starts = np.searchsorted(pairs[:, 0], np.arange(diagram.n + 1))
    cells = [ring(vertices, pairs[a:b, 1]) for a, b in pairwise(starts)]
    inner = (sites[:, 1] >= 0) & (ends[:, 0] != ends[:, 1])
    return vertices, cells, ends[inner], sites[inner]


def ring(vertices: FloatArray, index: IntArray) -> IntArray:
    """Order the vertices of a convex cell anticlockwise."""
    p = vertices[index]
    d = p - p.mean(axis=0)
    return np.asarray(index[np.argsort(np.arctan2(d[:, 1], d[:, 0]))])


def merge_points(points: FloatArray, tol: float) -> tuple[FloatArray, IntArray]:
    """Join points nearer than `tol`; return the distinct points and each point's index in them."""
    pairs = cKDTree(points).query_pairs(tol, output_type="ndarray")
    n = len(points)
    graph = csr_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    count, group = connected_components(graph, directed=False)
    first = np.full(count, n)
    np.minimum.at(first, group, np.arange(n))
    return points[first], group

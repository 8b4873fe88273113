"""Periodic grain structures: Laguerre grains on a torus, and diffusion in them.

A grain that crosses a side of the box comes in again on the other one. In a `Structure` it is then
several cells with the same `parent`, cut along the sides; `PeriodicPolycrystal` joins the nodes on
opposite sides again, without a resistance.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product

import numpy as np
from scipy.sparse import coo_matrix, csc_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import spsolve
from scipy.spatial import cKDTree

from lliso._types import BoolArray, FloatArray, IntArray
from lliso.diffusion._power import Box, PowerDiagram, hull_edges, merge_points, ring
from lliso.diffusion.krylov import conserved, factorised
from lliso.diffusion.mesh import triangulate
from lliso.diffusion.polycrystal import Polycrystal, Stage
from lliso.diffusion.structures import Structure, assembled, grain_areas, polygon_area

#: rounds of weights and sites, the first ones with moving sites (as in bounded structures)
_ROUNDS, _SMOOTHING = 80, 12
_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class _Torus:
    """Cells on a torus: for every cell all its edges, the cell beyond, how far its site is."""

    own: IntArray
    other: IntArray
    gap: FloatArray
    diagram: PowerDiagram


def periodic_laguerre(
    box: Box,
    mean: float,
    spread: float,
    rng: np.random.Generator,
    *,
    permeability: FloatArray | float = 1.0,
    diffusivity: FloatArray | float = 1.0,
    elongation: float = 1.0,
) -> Structure:
    """Polycrystal as `lliso.diffusion.structures.laguerre_structure`, but periodic in x and y.

    Parameters
    ----------
    box, mean, spread, rng, permeability, diffusivity, elongation
        As there. A boundary that crosses a side is two pieces, which may differ in P.

    Returns
    -------
    Structure
        Cells cut along the sides of the box; `parent` numbers the grains.

    Raises
    ------
    ValueError
        As there, and if the box holds fewer than 16 grains.

    Examples
    --------
    >>> s = periodic_laguerre((0, 0, 100, 100), 16.0, 6.0, np.random.default_rng(1))
    >>> int(s.parent.max()) + 1, s.n_grains > 43
    (43, True)
    """
    areas, squeezed = grain_areas(box, mean, spread, rng, elongation)
    if len(areas) < 16:
        raise ValueError(f"a periodic box must hold at least 16 grains, got {len(areas)}")
    x0, y0, x1, y1 = squeezed
    corner, size = np.array([x0, y0]), np.array([x1 - x0, y1 - y0])
    torus = _fitted(rng.random((len(areas), 2)) * size + corner, areas, squeezed)
    pieces, parent = _cut_at_sides(torus, squeezed)
    vertices, cells, ends, grains = _joined(pieces, float(size.max()))
    vertices = vertices * [1.0, elongation]
    whole = (x0, y0 * elongation, x1, y1 * elongation)
    return assembled(whole, vertices, cells, ends, grains, permeability, diffusivity, parent)


def _torus(sites: FloatArray, weights: FloatArray, box: Box) -> _Torus:
    x0, y0, x1, y1 = box
    low, size = np.array([x0, y0]), np.array([x1 - x0, y1 - y0])
    n = len(sites)
    margin = 6.0 * np.sqrt(size.prod() / n) + 2.0 * np.sqrt(np.ptp(weights))
    points, w, parent = [sites], [weights], [np.arange(n)]
    for shift in product((-1, 0, 1), repeat=2):
        moved = sites + np.array(shift) * size
        near = ((moved > low - margin) & (moved < low + size + margin)).all(axis=1)
        if shift != (0, 0):
            points.append(moved[near])
            w.append(weights[near])
            parent.append(np.flatnonzero(near))
    at, of = np.concatenate(points), np.concatenate(parent)
    first, second, ends = hull_edges(at, np.concatenate(w), n)
    # an edge between two cells of the box belongs to both; the others come from both sides anyway
    inner = second < n
    own = np.concatenate([first, second[inner]])
    other = np.concatenate([second, first[inner]])
    edges = np.concatenate([ends, ends[inner]])
    gap = np.hypot(*(at[own] - at[other]).T)
    alone = np.column_stack([own, np.full(len(own), -1)])
    return _Torus(own, of[other], gap, PowerDiagram(n, alone, edges))


def _fitted(sites: FloatArray, target: FloatArray, box: Box) -> _Torus:
    """Cells of the `target` areas, by damped Newton steps as in `lliso.diffusion._power`."""
    weights = np.zeros(len(sites))
    torus = _torus(sites, weights, box)
    for _ in range(3):  # even out a random start before sizes are asked of it
        sites = _wrapped(sites + 0.7 * (torus.diagram.centroids() - sites), box)
        torus = _torus(sites, weights, box)
    worst = np.inf
    for step in range(_ROUNDS):
        areas = torus.diagram.areas()
        worst = float(np.max(np.abs(areas / target - 1.0)))
        if worst < _TOLERANCE and step >= _SMOOTHING:
            return torus
        change = _newton_direction(torus, target - areas)
        floor = 0.3 * np.minimum(areas, target)
        for damping in 0.5 ** np.arange(12):
            trial = _torus(sites, weights + damping * change, box)
            if np.all(trial.diagram.areas() > floor):
                weights, torus = weights + damping * change, trial
                break
        if step < _SMOOTHING:
            sites, torus = _moved(sites, weights, torus, box)
    raise ValueError(
        f"grain areas must follow the size law to {_TOLERANCE:g}, got {worst:g} after "
        f"{_ROUNDS} iterations; use a smaller spread or another seed"
    )


def _moved(
    sites: FloatArray, weights: FloatArray, torus: _Torus, box: Box
) -> tuple[FloatArray, _Torus]:
    """Sites half-way (or less) to the centres of their cells, if no cell shrinks too much."""
    areas, move = torus.diagram.areas(), torus.diagram.centroids() - sites
    for share in (0.5, 0.25, 0.125, 0.0625):
        moved = _wrapped(sites + share * move, box)
        trial = _torus(moved, weights, box)
        if np.all(trial.diagram.areas() > 0.3 * areas):
            return moved, trial
    return sites, torus


def _newton_direction(torus: _Torus, missing: FloatArray) -> FloatArray:
    n = torus.diagram.n
    ends = torus.diagram.edge_points
    k = np.hypot(*(ends[:, 1] - ends[:, 0]).T) / (2.0 * torus.gap)
    rows, cols = np.tile(torus.own, 2), np.concatenate([torus.own, torus.other])
    jac = csc_matrix(coo_matrix((np.concatenate([k, -k]), (rows, cols)), shape=(n, n)))
    change = np.zeros(n)
    # weights matter only up to a constant: the first is held
    change[1:] = spsolve(jac[1:, 1:], missing[1:])
    return change


def _wrapped(sites: FloatArray, box: Box) -> FloatArray:
    low, size = np.array(box[:2]), np.array(box[2:]) - np.array(box[:2])
    return np.asarray(low + (sites - low) % size)


def _cut_at_sides(torus: _Torus, box: Box) -> tuple[list[FloatArray], IntArray]:
    """Polygons of all cells and their images, as far as they lie in the box."""
    x0, y0, x1, y1 = box
    size = np.array([x1 - x0, y1 - y0])
    order = np.argsort(torus.own, kind="stable")
    split = np.searchsorted(torus.own[order], np.arange(1, torus.diagram.n))
    pieces: list[FloatArray] = []
    parent: list[int] = []
    for g, rows in enumerate(np.split(order, split)):
        points, _ = merge_points(
            torus.diagram.edge_points[rows].reshape(-1, 2), 1e-9 * float(size.max())
        )
        polygon = points[ring(points, np.arange(len(points)))]
        for shift in product((-1, 0, 1), repeat=2):
            piece = polygon + np.array(shift) * size
            for axis, at, sign in ((0, x0, 1), (0, x1, -1), (1, y0, 1), (1, y1, -1)):
                piece = _half(piece, axis, at, sign)
            if len(piece) >= 3 and polygon_area(piece) > 1e-12 * float(size.prod()):
                pieces.append(piece)
                parent.append(g)
    return pieces, np.array(parent)


def _half(polygon: FloatArray, axis: int, at: float, sign: int) -> FloatArray:
    """Part of a convex polygon on one side of a line along an axis."""
    out = []
    for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        da, db = sign * (a[axis] - at), sign * (b[axis] - at)
        if da >= 0:
            out.append(a)
        if da * db < 0:
            crossing = a + (b - a) * (da / (da - db))
            crossing[axis] = at
            out.append(crossing)
    return np.array(out).reshape(-1, 2)


def _joined(
    pieces: list[FloatArray], size: float
) -> tuple[FloatArray, list[IntArray], IntArray, IntArray]:
    """Vertices, cells, and the edges that two cells have in common."""
    count = np.cumsum([0] + [len(p) for p in pieces])
    vertices, index = merge_points(np.concatenate(pieces), 1e-8 * size)
    cells = [ring(vertices, np.unique(index[a:b])) for a, b in pairwise(count)]
    side = {
        (v, w): c
        for c, cell in enumerate(cells)
        for v, w in zip(cell.tolist(), np.roll(cell, -1).tolist(), strict=True)
    }
    edges = [(v, w, c, side[(w, v)]) for (v, w), c in side.items() if v < w and (w, v) in side]
    table = np.array(edges, dtype=np.int64).reshape(-1, 4)
    return vertices, cells, table[:, :2], table[:, 2:]


@dataclass(frozen=True, eq=False)
class PeriodicPolycrystal:
    """The problem of a polycrystal whose opposite sides are one.

    A `lliso.diffusion.polycrystal.Problem` on fewer unknowns: `lift` gives the field on the nodes
    of the mesh, `lower` a mask of the unknowns.

    Parameters
    ----------
    problem : Polycrystal
        On a structure from `periodic_laguerre`, or another whose sides match.
    sides : str
        ``"x"`` joins left and right (an experiment with a source below), ``"xy"`` all four.

    Raises
    ------
    ValueError
        When it is used, if the sides do not match.

    Examples
    --------
    >>> s = periodic_laguerre((0, 0, 100, 100), 16.0, 6.0, np.random.default_rng(1))
    >>> p = PeriodicPolycrystal(Polycrystal(triangulate(s, 5.0)))
    >>> p.n < p.problem.n, p.lift(np.ones(p.n)).shape == (p.problem.n,)
    (True, True)
    """

    problem: Polycrystal
    sides: str = "xy"

    def __post_init__(self) -> None:
        if self.sides not in ("x", "y", "xy"):
            raise ValueError(f"sides must be 'x', 'y' or 'xy', got {self.sides!r}")

    @cached_property
    def _group(self) -> IntArray:
        """Unknown of every node."""
        mesh = self.problem.mesh
        box = np.array(mesh.structure.box).reshape(2, 2)
        size = float((box[1] - box[0]).max())
        # a node lies in every grain whose triangles it is a corner of
        parent = mesh.structure.parent[mesh.triangle_grain]
        pairs = np.column_stack([mesh.triangles.ravel(), np.repeat(parent, 3)])
        node, grain = np.unique(pairs, axis=0).T
        links = []
        for axis in (k for k, name in enumerate("xy") if name in self.sides):
            at = mesh.points[node, axis]
            low, high = (np.flatnonzero(np.abs(at - b) < 1e-9 * size) for b in box[:, axis])
            key = np.column_stack([mesh.points[node, 1 - axis], grain * size])
            distance, match = cKDTree(key[low]).query(key[high])
            if len(low) != len(high) or (distance > 1e-6 * size).any():
                raise ValueError(
                    "opposite sides must match node by node, got sides that do not; use "
                    "periodic_laguerre"
                )
            links.append(np.column_stack([node[low[match]], node[high]]))
        joined = np.concatenate(links)
        ones = np.ones(len(joined))
        graph = coo_matrix((ones, joined.T), shape=(mesh.n, mesh.n))
        return np.asarray(connected_components(graph, directed=False)[1])

    @cached_property
    def _spread(self) -> csr_matrix:
        group = self._group
        return csr_matrix((np.ones(len(group)), (np.arange(len(group)), group)))

    @property
    def n(self) -> int:
        """Number of unknowns."""
        return int(self._spread.shape[1])

    @cached_property
    def mass(self) -> csc_matrix:
        """Mass matrix."""
        return csc_matrix(self._spread.T @ self.problem.mass @ self._spread)

    def stiffness(self, stage: Stage | None = None) -> csc_matrix:
        """K, with the factors of `stage` on D and P."""
        return csc_matrix(self._spread.T @ self.problem.stiffness(stage) @ self._spread)

    def lift(self, field: FloatArray) -> FloatArray:
        """Field on the nodes of the mesh."""
        return np.asarray(field[self._group])

    def gather(self, load: FloatArray) -> FloatArray:
        """Load on the unknowns: sums over the nodes that are one."""
        return np.asarray(
            np.bincount(self._group, weights=load, minlength=self.n), dtype=np.float64
        )

    def lower(self, mask: BoolArray) -> BoolArray:
        """Mask of the unknowns that have a node in `mask` (e.g. the source)."""
        out = np.zeros(self.n, dtype=bool)
        out[self._group[mask]] = True
        return out


def diffusivity_tensor(structure: Structure, size: float) -> FloatArray:
    """Homogenised diffusivity of a periodic structure, without any effect of ends.

    C = e·r + w with w periodic, no change in time; ``D_ij = ∫ ∇C_i·D·∇C_j / area``, boundaries
    included.

    Parameters
    ----------
    structure : Structure
        From `periodic_laguerre`, or another whose sides match.
    size : float
        Element size.

    Returns
    -------
    array, shape (2, 2)
        Symmetric, (x, y), in the unit of the structure's diffusivity.

    Examples
    --------
    >>> s = periodic_laguerre((0, 0, 100, 100), 16.0, 6.0, np.random.default_rng(1),
    ...                       permeability=0.0136, diffusivity=2.6)
    >>> d = diffusivity_tensor(s, 5.0)
    >>> bool(0.15 < d[1, 1] < 0.3), bool(abs(d[0, 1]) < 0.05)
    (True, True)
    """
    problem = Polycrystal(triangulate(structure, size))
    periodic = PeriodicPolycrystal(problem)
    k, own = problem.stiffness(), periodic.stiffness()
    # one value of every connected part is free
    part = conserved(own, periodic.mass).part
    held = np.unique(part, return_index=True)[1]
    free = np.setdiff1d(np.arange(periodic.n), held)
    factors = factorised(csc_matrix(own[free][:, free]))
    fields = []
    for axis in range(2):
        linear = problem.mesh.points[:, axis]
        w = np.zeros(periodic.n)
        w[free] = factors.solve(-periodic.gather(k @ linear)[free])
        fields.append(linear + periodic.lift(w))
    both = np.column_stack(fields)
    x0, y0, x1, y1 = structure.box
    return np.asarray(both.T @ (k @ both) / ((x1 - x0) * (y1 - y0)))

"""Grain structures in two dimensions: convex grains, and a permeability on every boundary.

Lengths are in any unit u; a permeability is in u per time and a diffusivity in u² per time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from scipy.special import ndtri

from lliso._types import FloatArray, IntArray
from lliso.diffusion._power import Box, cell_polygons, fit_weights, power_diagram


@dataclass(frozen=True, eq=False)
class Structure:
    """Convex grains that fill a box, and the boundaries between them.

    A boundary is one straight edge between two grains. Its normal points from `grains[:, 0]` to
    `grains[:, 1]`, and grains are ordered so that the normal has a positive y component (for a
    boundary along y: a positive x component): steps are then signed away from the source.

    Parameters
    ----------
    box : tuple of float
        ``(x0, y0, x1, y1)``.
    vertices : array, shape (vertex, 2)
    cells : tuple of int arrays
        The vertices of each grain, anticlockwise.
    ends : int array, shape (boundary, 2)
        End vertices of each boundary.
    grains : int array, shape (boundary, 2)
        The grains on its two sides.
    permeability : array, shape (boundary,)
        P; 0 lets nothing through, ``inf`` is no boundary at all.
    diffusivity : array, shape (grain,)
        D inside each grain.

    Examples
    --------
    >>> s = laminate((0.0, 0.0, 10.0, 60.0), [20.0, 40.0], permeability=0.5, diffusivity=2.0)
    >>> s.n_grains, s.n_boundaries, float(s.areas.sum())
    (3, 2, 600.0)
    """

    box: Box
    vertices: FloatArray
    cells: tuple[IntArray, ...]
    ends: IntArray
    grains: IntArray
    permeability: FloatArray
    diffusivity: FloatArray
    #: grain of the original structure that each cell is a part of (see `split_at`)
    parent: IntArray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def __post_init__(self) -> None:
        if len(self.parent) == 0:
            object.__setattr__(self, "parent", np.arange(len(self.cells)))
        _check(self)

    @property
    def n_grains(self) -> int:
        """Number of cells."""
        return len(self.cells)

    @property
    def n_boundaries(self) -> int:
        """Number of boundaries."""
        return len(self.ends)

    @property
    def segments(self) -> FloatArray:
        """End points of the boundaries, shape (boundary, 2, 2)."""
        return np.asarray(self.vertices[self.ends])

    @property
    def lengths(self) -> FloatArray:
        """Length of each boundary."""
        return np.asarray(np.hypot(*(self.segments[:, 1] - self.segments[:, 0]).T))

    @property
    def normals(self) -> FloatArray:
        """Unit normal of each boundary, from its first grain to its second, shape (boundary, 2)."""
        return _normals(self.vertices, self.ends, self.centroids, self.grains)

    @cached_property
    def areas(self) -> FloatArray:
        """Area of each grain."""
        return np.array([polygon_area(self.vertices[c]) for c in self.cells])

    @cached_property
    def centroids(self) -> FloatArray:
        """Mean of each grain's vertices, shape (grain, 2)."""
        return np.array([self.vertices[c].mean(axis=0) for c in self.cells])

    @property
    def diameters(self) -> FloatArray:
        """Diameter of the disc of each grain's area."""
        return np.asarray(np.sqrt(4.0 * self.areas / np.pi))

    def mean_intercept(self) -> float:
        """Mean length of random lines within a grain, π A / (2 · boundary length) in the plane."""
        return float(np.pi * self.areas.sum() / (2.0 * self.lengths.sum()))

    def with_permeability(self, permeability: FloatArray | float) -> Structure:
        """Return the same grains with other P, one number or one per boundary."""
        return replace(self, permeability=_filled(permeability, self.n_boundaries, "permeability"))

    def with_diffusivity(self, diffusivity: FloatArray | float) -> Structure:
        """Return the same grains with another D, one number or one per grain."""
        return replace(self, diffusivity=_filled(diffusivity, self.n_grains, "diffusivity"))


def _filled(value: FloatArray | float, n: int, name: str) -> FloatArray:
    array = np.asarray(value, dtype=float)
    if array.ndim and array.shape != (n,):
        raise ValueError(f"{name} must be one number or {n} numbers, got the shape {array.shape}")
    return np.array(np.broadcast_to(array, (n,)))


def _check(s: Structure) -> None:
    if np.isnan(s.permeability).any() or (s.permeability < 0).any():
        raise ValueError(f"permeability must not be negative or NaN, got {s.permeability.min():g}")
    if not (np.isfinite(s.diffusivity).all() and (s.diffusivity > 0).all()):
        raise ValueError(f"diffusivity must be finite and positive, got {s.diffusivity.min():g}")
    if len(s.permeability) != s.n_boundaries or len(s.diffusivity) != s.n_grains:
        raise ValueError(
            f"a structure needs one permeability per boundary ({s.n_boundaries}) and one "
            f"diffusivity per grain ({s.n_grains}), got {len(s.permeability)} and "
            f"{len(s.diffusivity)}"
        )
    empty = int(np.count_nonzero(s.areas <= 0))
    if empty:
        raise ValueError(f"grains must have an area and run anticlockwise, got {empty} that do not")
    x0, y0, x1, y1 = s.box
    excess = float(s.areas.sum() / ((x1 - x0) * (y1 - y0)) - 1.0)
    if abs(excess) > 1e-6:
        raise ValueError(
            f"grains must fill the box without overlapping, got {1 + excess:.6f} of its area"
        )


def polygon_area(p: FloatArray) -> float:
    """Signed area of a polygon (positive if anticlockwise)."""
    x, y = (p - p[0]).T
    return float(0.5 * np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))


def _normals(
    vertices: FloatArray, ends: IntArray, centroids: FloatArray, grains: IntArray
) -> FloatArray:
    d = vertices[ends[:, 1]] - vertices[ends[:, 0]]
    n = np.column_stack([d[:, 1], -d[:, 0]]) / np.hypot(*d.T)[:, None]
    towards = ((centroids[grains[:, 1]] - centroids[grains[:, 0]]) * n).sum(axis=1)
    return np.asarray(n * np.where(towards < 0, -1.0, 1.0)[:, None])


def assembled(
    box: Box,
    vertices: FloatArray,
    cells: list[IntArray],
    ends: IntArray,
    grains: IntArray,
    permeability: FloatArray | float,
    diffusivity: FloatArray | float,
    parent: IntArray | None = None,
) -> Structure:
    """Build a `Structure`, with the two grains of every boundary in the order it promises."""
    centroids = np.array([vertices[c].mean(axis=0) for c in cells])
    n = _normals(vertices, ends, centroids, grains)
    back = (n[:, 1] < -1e-12) | ((np.abs(n[:, 1]) <= 1e-12) & (n[:, 0] < 0))
    grains = np.where(back[:, None], grains[:, ::-1], grains)
    return Structure(
        box,
        vertices,
        tuple(cells),
        ends,
        grains,
        _filled(permeability, len(ends), "permeability"),
        _filled(diffusivity, len(cells), "diffusivity"),
        np.empty(0, dtype=np.int64) if parent is None else parent,
    )


def lognormal_diameters(n: int, mean: float, spread: float, rng: np.random.Generator) -> FloatArray:
    """Draw `n` grain diameters of a lognormal law, one from each of `n` equally likely classes.

    Parameters
    ----------
    n : int
    mean, spread : float
        Mean and standard deviation of the diameter.
    rng : numpy.random.Generator

    Examples
    --------
    >>> d = lognormal_diameters(4000, 16.0, 11.0, np.random.default_rng(1))
    >>> round(float(d.mean()), 1), round(float(d.std()), 0)
    (16.0, 11.0)
    """
    sigma2 = np.log1p((spread / mean) ** 2)
    quantile = (rng.permutation(n) + rng.random(n)) / n
    return np.asarray(mean * np.exp(np.sqrt(sigma2) * ndtri(quantile) - 0.5 * sigma2))


def laguerre_structure(
    box: Box,
    mean: float,
    spread: float,
    rng: np.random.Generator,
    *,
    permeability: FloatArray | float = 1.0,
    diffusivity: FloatArray | float = 1.0,
    elongation: float = 1.0,
    relaxed: bool = True,
    clustering: float = 0.0,
) -> Structure:
    """Polycrystal whose grain diameters follow a lognormal law.

    Laguerre cells whose areas are iterated to those of the diameters drawn. The number of grains
    is the area of the box over the mean grain area π (mean² + spread²)/4.

    Parameters
    ----------
    box : tuple of float
        ``(x0, y0, x1, y1)``.
    mean, spread : float
        Mean and standard deviation of the diameter (of the disc of equal area), by number.
    rng : numpy.random.Generator
    permeability, diffusivity : float
        See `Structure`; P per boundary is set afterwards with `with_permeability`.
    elongation : float
        Ratio of the grains' extent along y to that along x; 1 is equiaxed, above about 3 columnar.
    relaxed : bool
        Let the sites move to their grains' centres: compact grains, as grain growth makes them.
        False keeps random sites: at equal sizes some 5 % more boundary.
    clustering : float
        0 draws the sizes independently of the places. Up to 1, small grains lie where sites are
        dense and large ones where they are sparse: the law of sizes is the same, but it varies
        from place to place, and D_eff with it.

    Raises
    ------
    ValueError
        If fewer than two grains fit into the box, the size law cannot be reached, or clustering is
        not between 0 and 1.

    Examples
    --------
    >>> s = laguerre_structure((0, 0, 200, 200), 16.0, 8.0, np.random.default_rng(3))
    >>> s.n_grains
    159
    """
    areas, squeezed = grain_areas(box, mean, spread, rng, elongation)
    x0, y0, x1, y1 = squeezed
    sites = rng.random((len(areas), 2)) * np.array([x1 - x0, y1 - y0]) + [x0, y0]
    if not 0.0 <= clustering <= 1.0:
        raise ValueError(f"clustering must be between 0 and 1, got {clustering:g}")
    if clustering > 0:
        room = power_diagram(sites, np.zeros(len(sites)), squeezed).areas()
        areas = _clustered(areas, room, clustering, rng)
    how = {} if relaxed else {"evening": 0, "smoothing": 0, "iterations": 200}
    diagram = fit_weights(sites, areas, squeezed, **how)[2]
    vertices, cells, ends, grains = cell_polygons(diagram, squeezed)
    vertices = vertices * [1.0, elongation]
    whole = (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
    return assembled(whole, vertices, cells, ends, grains, permeability, diffusivity)


def _clustered(
    areas: FloatArray, room: FloatArray, clustering: float, rng: np.random.Generator
) -> FloatArray:
    """Give the larger areas to the sites with more room, in part by chance."""
    n = len(areas)
    by_room = ndtri((np.argsort(np.argsort(room)) + 0.5) / n)
    chance = rng.standard_normal(n)
    score = clustering * by_room + np.sqrt(1.0 - clustering**2) * chance
    return np.asarray(np.sort(areas)[np.argsort(np.argsort(score))])


def grain_areas(
    box: Box, mean: float, spread: float, rng: np.random.Generator, elongation: float = 1.0
) -> tuple[FloatArray, Box]:
    """Draw areas of equiaxed grains that fill the box, and the box squeezed along y to hold them.

    Raises
    ------
    ValueError
        If a length is not positive, or fewer than two grains fit into the box.

    Examples
    --------
    >>> areas, squeezed = grain_areas((0, 0, 90, 90), 16.0, 8.0, np.random.default_rng(3), 2.0)
    >>> squeezed, round(float(areas.sum()), 9)
    ((0.0, 0.0, 90.0, 45.0), 4050.0)
    """
    x0, y0, x1, y1 = (float(v) for v in box)
    for name, value in (("mean", mean), ("spread", spread), ("elongation", elongation)):
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be positive, got {value:g}")
    if not (x1 > x0 and y1 > y0):
        raise ValueError(f"box must be (x0, y0, x1, y1) with x1 > x0 and y1 > y0, got {box}")
    total = (x1 - x0) * (y1 - y0)
    n = int(total / (0.25 * np.pi * (mean**2 + spread**2)))
    if n < 2:
        raise ValueError(f"box must hold at least 2 grains, got room for {n}; enlarge the box")
    areas = lognormal_diameters(n, mean, spread, rng) ** 2
    areas *= total / elongation / areas.sum()
    return areas, (x0, y0 / elongation, x1, y1 / elongation)


def laminate(
    box: Box,
    positions: FloatArray | list[float],
    *,
    tilt: float = 0.0,
    permeability: FloatArray | float = 1.0,
    diffusivity: FloatArray | float = 1.0,
) -> Structure:
    """Parallel boundaries across a box; with one position, a single tilted boundary.

    Parameters
    ----------
    box : tuple of float
        ``(x0, y0, x1, y1)``.
    positions : array, shape (boundary,)
        Where the boundaries cross the middle of the box, along y, growing.
    tilt : float
        Angle of the boundaries' normal to y, in radians.
    permeability : float or array, shape (boundary,)
    diffusivity : float or array, shape (boundary + 1,)

    Raises
    ------
    ValueError
        If a boundary leaves the box through its lower or upper side, or positions do not grow.

    Examples
    --------
    >>> s = laminate((0, 0, 10, 10), [5.0], tilt=0.3)
    >>> np.round(s.normals, 4).tolist()
    [[-0.2955, 0.9553]]
    """
    x0, y0, x1, y1 = (float(v) for v in box)
    at = np.asarray(positions, dtype=float)
    rise = 0.5 * (x1 - x0) * np.tan(tilt)
    if at.ndim != 1 or not at.size or np.any(np.diff(at) <= 0):
        raise ValueError(f"positions must be growing numbers, got {positions}")
    if at[0] - abs(rise) <= y0 or at[-1] + abs(rise) >= y1:
        raise ValueError(
            f"boundaries must cross the box from side to side, got positions {at[0]:g} to "
            f"{at[-1]:g} with a rise of {rise:g} in the box {y0:g} to {y1:g}; enlarge the box"
        )
    left = np.concatenate([[y0], at - rise, [y1]])
    right = np.concatenate([[y0], at + rise, [y1]])
    k = len(left)
    vertices = np.concatenate(
        [np.column_stack([np.full(k, x0), left]), np.column_stack([np.full(k, x1), right])]
    )
    rows = np.arange(k - 1)
    cells = [np.array([r, k + r, k + r + 1, r + 1]) for r in rows]
    ends = np.column_stack([rows[1:], rows[1:] + k])
    grains = np.column_stack([rows[1:] - 1, rows[1:]])
    return assembled((x0, y0, x1, y1), vertices, cells, ends, grains, permeability, diffusivity)


def lognormal_permeability(
    structure: Structure, median: float, sigma: float, rng: np.random.Generator
) -> FloatArray:
    """Draw P of every boundary: ``median · exp(sigma · N(0, 1))``.

    Examples
    --------
    >>> s = laminate((0, 0, 1, 3), [1.0, 2.0])
    >>> lognormal_permeability(s, 2.0, 0.0, np.random.default_rng(0)).tolist()
    [2.0, 2.0]
    """
    if not (median > 0 and sigma >= 0):
        raise ValueError(
            f"median must be positive and sigma not negative, got {median:g}, {sigma:g}"
        )
    return np.asarray(median * np.exp(sigma * rng.standard_normal(structure.n_boundaries)))


def permeability_by(
    structure: Structure, law: Callable[[IntArray, FloatArray], FloatArray]
) -> FloatArray:
    """P of every boundary from ``law(grains, normals)``, e.g. by misorientation class."""
    return _filled(law(structure.grains, structure.normals), structure.n_boundaries, "permeability")

"""A chain of grains: diffusion in one dimension with a permeability at every boundary.

Finite volumes, whose conductance across a boundary is exact: the resistances of the two half cells
and of the boundary add up. Any consistent set of units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lliso._types import FloatArray, IntArray
from lliso.diffusion.polycrystal import Stage
from lliso.diffusion.rational import expm_tridiagonal


@dataclass(frozen=True, eq=False)
class Chain:
    """Grains in a row from the source on.

    Parameters
    ----------
    edges : array, shape (grain + 1,)
        Ends of the grains, growing; the first is the source's surface.
    permeability : array, shape (grain - 1,)
        P of each boundary; 0 and inf allowed.
    diffusivity : array, shape (grain,)
        D of each grain.
    exchange : float
        Exchange coefficient k of the surface; inf for none.
    cells : int
        Cells per grain.

    Examples
    --------
    >>> c = chain_of([16.0] * 4, permeability=0.012, diffusivity=2.6)
    >>> c.edges.tolist()
    [0.0, 16.0, 32.0, 48.0, 64.0]
    """

    edges: FloatArray
    permeability: FloatArray
    diffusivity: FloatArray
    exchange: float = np.inf
    cells: int = 10

    def __post_init__(self) -> None:
        n = len(self.edges) - 1
        if n < 1 or not np.all(np.diff(self.edges) > 0):
            raise ValueError("edges must grow, got a grain of no or negative length")
        if self.permeability.shape != (n - 1,) or self.diffusivity.shape != (n,):
            raise ValueError(
                f"a chain of {n} grains needs {n - 1} permeabilities and {n} diffusivities, got "
                f"{len(self.permeability)} and {len(self.diffusivity)}"
            )
        if np.any(~(self.permeability >= 0)) or not self.exchange >= 0:
            raise ValueError("permeability and exchange must not be negative or NaN")
        if not (np.isfinite(self.diffusivity).all() and np.all(self.diffusivity > 0)):
            raise ValueError("diffusivity must be finite and positive")
        if self.cells < 1:
            raise ValueError(f"cells must be at least 1, got {self.cells}")

    @property
    def widths(self) -> FloatArray:
        """Width of each cell, shape (grain · cells,)."""
        return np.repeat(np.diff(self.edges) / self.cells, self.cells)

    @property
    def centres(self) -> FloatArray:
        """Middle of each cell."""
        return np.asarray(self.edges[0] + np.cumsum(self.widths) - 0.5 * self.widths)

    @property
    def grain(self) -> IntArray:
        """Grain of each cell."""
        return np.repeat(np.arange(len(self.diffusivity)), self.cells)


def chain_of(
    sizes: Sequence[float] | FloatArray,
    *,
    permeability: FloatArray | float,
    diffusivity: FloatArray | float,
    exchange: float = np.inf,
    cells: int = 10,
) -> Chain:
    """Make a chain from the grains' sizes, beginning at 0.

    Examples
    --------
    >>> len(chain_of([1.0, 2.0], permeability=1.0, diffusivity=1.0).centres)
    20
    """
    size = np.asarray(sizes, dtype=float)
    edges = np.concatenate([[0.0], np.cumsum(size)])
    p = np.array(np.broadcast_to(np.asarray(permeability, dtype=float), (len(size) - 1,)))
    d = np.array(np.broadcast_to(np.asarray(diffusivity, dtype=float), (len(size),)))
    return Chain(edges, p, d, exchange, cells)


def _conductances(chain: Chain, stage: Stage) -> tuple[FloatArray, float]:
    """Between neighbouring cells, and from the source into the first cell."""
    half = 0.5 * chain.widths / (stage.bulk_factor * chain.diffusivity[chain.grain])
    resistance = half[:-1] + half[1:]
    at = np.arange(1, len(chain.diffusivity)) * chain.cells - 1
    with np.errstate(divide="ignore"):
        resistance[at] += 1.0 / (stage.boundary_factor * chain.permeability)
        surface = 1.0 / (half[0] + 1.0 / np.float64(stage.boundary_factor * chain.exchange))
    return np.asarray(1.0 / resistance), float(surface)


def run_chain(
    chain: Chain, stages: Sequence[Stage], *, initial: float | FloatArray
) -> list[FloatArray]:
    """C in the cells at the end of each stage; the far end is closed.

    Parameters
    ----------
    chain : Chain
    stages : sequence of Stage
        With a source, C is held at the first edge; without, the chain is closed.
    initial : float or array, shape (cell,)

    Returns
    -------
    list of array, shape (cell,)
        Mean C of each cell.

    Examples
    --------
    >>> c = chain_of([16.0] * 20, permeability=0.012, diffusivity=2.6)
    >>> a, b = run_chain(c, [Stage(2e5, source=0.95), Stage(1e6)], initial=0.0759)
    >>> bool(np.isclose(c.widths @ a, c.widths @ b, rtol=1e-13))
    True
    """
    width = chain.widths
    field = np.broadcast_to(np.asarray(initial, dtype=float), width.shape).copy()
    out = []
    for stage in stages:
        between, surface = _conductances(chain, stage)
        # symmetric form: with s = √width · C the matrix is symmetric and well scaled
        root = np.sqrt(width)
        off = between / (root[:-1] * root[1:])
        diagonal = np.zeros_like(width)
        diagonal[:-1] -= between
        diagonal[1:] -= between
        if stage.source is not None:
            diagonal[0] -= surface
        diagonal /= width
        groups = _closed_parts(between)
        rest = _rest(field, stage, width, groups, closed=stage.source is None)
        moved = expm_tridiagonal(off, diagonal, off, root * (field - rest), stage.duration) / root
        if stage.source is None:
            moved -= _means(moved, width, groups)
        field = rest + moved
        out.append(field.copy())
    return out


def _closed_parts(between: FloatArray) -> IntArray:
    """Return the part, among those that P = 0 separates, of each cell."""
    return np.concatenate([[0], np.cumsum(between == 0)])


def _means(field: FloatArray, width: FloatArray, part: IntArray) -> FloatArray:
    mean = np.bincount(part, width * field) / np.bincount(part, width)
    return np.asarray(mean[part])


def _rest(
    field: FloatArray, stage: Stage, width: FloatArray, part: IntArray, *, closed: bool
) -> FloatArray:
    """Return the state reached in the end, which is split off so that it stays exact."""
    means = _means(field, width, part)
    if closed or stage.source is None:
        return means
    return np.where(part == 0, stage.source, means)


def chain_steps(chain: Chain, field: FloatArray, stage: Stage | None = None) -> FloatArray:
    """Jump of C at each boundary, later minus earlier grain; 0 where P is inf.

    Parameters
    ----------
    chain : Chain
    field : array, shape (cell,)
        C in the cells.
    stage : Stage, optional
        Stage at whose temperature the jump is meant.

    Examples
    --------
    >>> c = chain_of([1.0, 1.0], permeability=1e-9, diffusivity=1.0, cells=1)
    >>> np.round(chain_steps(c, np.array([1.0, 0.0])), 6).tolist()
    [-1.0]
    """
    stage = Stage(0.0) if stage is None else stage
    between, _ = _conductances(chain, stage)
    at = np.arange(1, len(chain.diffusivity)) * chain.cells - 1
    difference = field[at + 1] - field[at]
    p = stage.boundary_factor * chain.permeability
    with np.errstate(invalid="ignore", divide="ignore"):
        jump = between[at] * difference / p
    return np.asarray(np.where(p == 0, difference, jump))

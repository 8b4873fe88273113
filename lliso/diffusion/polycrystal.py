"""Diffusion in a polycrystal whose boundaries resist: -D ∂C/∂n = P ΔC.

Linear finite elements with one set of nodes per grain (`lliso.diffusion.mesh`): the boundary
enters as the jump condition itself (eqs. 2 and 3 of J. Mater. Chem. A 12 (2024) 731), not as a
layer of elements. In time the solution is exact up to the tolerance of a Krylov space
(`lliso.diffusion.krylov`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from scipy.sparse import csc_matrix

from lliso._types import BoolArray, FloatArray, IntArray
from lliso.diffusion.krylov import (
    SHIFT,
    Conserved,
    KrylovSpace,
    conserved,
    factorised,
    krylov_space,
)
from lliso.diffusion.mesh import Mesh

_EDGE = np.array([[2.0, 1.0], [1.0, 2.0]]) / 6.0
#: jump across a boundary segment: consistent mass matrix of the edge on C₂ - C₁
_JUMP = np.block([[_EDGE, -_EDGE], [-_EDGE, _EDGE]])


@dataclass(frozen=True)
class Stage:
    """One part of an experiment.

    Parameters
    ----------
    duration : float
        Its length in time.
    source : float or None
        C held on the source nodes; None closes the sample (storage, annealing).
    bulk_factor, boundary_factor : float
        By what D and P differ from the structure's in this stage (another temperature).

    Examples
    --------
    >>> Stage(3600.0, source=0.95).source
    0.95
    """

    duration: float
    source: float | None = None
    bulk_factor: float = 1.0
    boundary_factor: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.duration) and self.duration >= 0):
            raise ValueError(f"duration must be finite and not negative, got {self.duration:g}")
        if not (self.bulk_factor > 0 and self.boundary_factor >= 0):
            raise ValueError(
                "factors must be positive (bulk) and not negative (boundary), got "
                f"{self.bulk_factor:g} and {self.boundary_factor:g}"
            )


@dataclass(frozen=True, eq=False)
class Polycrystal:
    """The discrete diffusion problem on a mesh: ``M dC/dt = -K C``."""

    mesh: Mesh

    @property
    def n(self) -> int:
        """Number of nodes."""
        return self.mesh.n

    @cached_property
    def bulk_stiffness(self) -> csc_matrix:
        """The grains' part of K."""
        m = self.mesh
        p = m.points[m.triangles]
        area = m.triangle_areas
        b = np.roll(p[:, :, 1], -1, axis=1) - np.roll(p[:, :, 1], -2, axis=1)
        c = np.roll(p[:, :, 0], -2, axis=1) - np.roll(p[:, :, 0], -1, axis=1)
        d = m.structure.diffusivity[m.triangle_grain] / (4.0 * area)
        local = (b[:, :, None] * b[:, None, :] + c[:, :, None] * c[:, None, :]) * d[:, None, None]
        return _scattered(local, m.triangles, m.n)

    @cached_property
    def boundary_stiffness(self) -> csc_matrix:
        """The boundaries' part of K, P from the structure."""
        return self.boundary_matrix(self.mesh.structure.permeability)

    @cached_property
    def mass(self) -> csc_matrix:
        """Consistent mass matrix."""
        m = self.mesh
        local = (m.triangle_areas / 12.0)[:, None, None] * (np.ones((3, 3)) + np.eye(3))
        return _scattered(local, m.triangles, m.n)

    def boundary_matrix(self, permeability: FloatArray) -> csc_matrix:
        """Σ over the boundaries of P times the edge mass matrix of the jump."""
        m = self.mesh
        scale = permeability[m.face_boundary] * m.face_lengths
        return _scattered(scale[:, None, None] * _JUMP, m.faces, m.n)

    @property
    def permeabilities(self) -> FloatArray:
        """P of every boundary, by which `lliso.diffusion.adjoint` takes derivatives."""
        return self.mesh.structure.permeability

    def overlap_by_permeability(
        self, modes: FloatArray, overlap: FloatArray, adjoint: FloatArray, stage: Stage
    ) -> FloatArray:
        """Σ over i, j of ``adjoint_jᵀ (∂K/∂P) modes_i overlap_ij``, of every boundary.

        Parameters
        ----------
        modes : array, shape (node, i)
        overlap : array, shape (i, j)
        adjoint : array, shape (node, j)
        stage : Stage

        Returns
        -------
        array, shape (boundary,)
        """
        m, f = self.mesh, self.mesh.faces
        left, right = modes[f[:, 2]] - modes[f[:, 0]], modes[f[:, 3]] - modes[f[:, 1]]
        left, right = left @ overlap, right @ overlap
        low, high = adjoint[f[:, 2]] - adjoint[f[:, 0]], adjoint[f[:, 3]] - adjoint[f[:, 1]]
        # the edge mass matrix (2 1; 1 2)/6 between the jumps at both ends
        per_face = ((2.0 * left + right) * low + (left + 2.0 * right) * high).sum(axis=1) / 6.0
        weights = stage.boundary_factor * per_face * m.face_lengths
        n = m.structure.n_boundaries
        return np.asarray(np.bincount(m.face_boundary, weights=weights, minlength=n))

    def stiffness(self, stage: Stage | None = None) -> csc_matrix:
        """K, with the factors of `stage` on D and P."""
        if stage is None:
            return csc_matrix(self.bulk_stiffness + self.boundary_stiffness)
        return csc_matrix(
            stage.bulk_factor * self.bulk_stiffness
            + stage.boundary_factor * self.boundary_stiffness
        )

    def amount(self, field: FloatArray) -> float:
        """∫ C over the structure."""
        return float(np.asarray(self.mass.sum(axis=0)).ravel() @ field)

    def steps(self, field: FloatArray) -> FloatArray:
        """Mean jump C₂ - C₁ over each boundary, NaN where P is inf; shape (boundary,)."""
        f, m = self.mesh.faces, self.mesh
        jump = 0.5 * (field[f[:, 2]] + field[f[:, 3]] - field[f[:, 0]] - field[f[:, 1]])
        n = m.structure.n_boundaries
        total = np.bincount(m.face_boundary, jump * m.face_lengths, minlength=n)
        with np.errstate(invalid="ignore"):
            return np.asarray(total / np.bincount(m.face_boundary, m.face_lengths, minlength=n))

    def slopes(self, field: FloatArray) -> FloatArray:
        """Mean ∂C/∂n on both sides of each boundary, P ΔC / D (eqs. 2, 3); (boundary, 2)."""
        s = self.mesh.structure
        finite = np.where(np.isinf(s.permeability), np.nan, s.permeability)
        return np.asarray((finite * self.steps(field))[:, None] / s.diffusivity[s.grains])


def _scattered(local: FloatArray, nodes: IntArray, n: int) -> csc_matrix:
    k = nodes.shape[1]
    rows = np.repeat(nodes, k, axis=1).ravel()
    cols = np.tile(nodes, (1, k)).ravel()
    return csc_matrix((local.ravel(), (rows, cols)), shape=(n, n))


class Problem(Protocol):
    """What `run_stages` needs: ``M dC/dt = -K C`` for `n` unknowns."""

    @property
    def n(self) -> int:
        """Number of unknowns."""

    @property
    def mass(self) -> csc_matrix:
        """M."""

    def stiffness(self, stage: Stage | None = None) -> csc_matrix:
        """K."""


@dataclass(frozen=True, eq=False)
class StageRecord:
    """One stage solved: `space` lives on the unknowns `free`, `rest` is added to it."""

    stage: Stage
    free: IntArray
    rest: float
    space: KrylovSpace
    stiffness: csc_matrix
    mass: csc_matrix
    factors: Any
    null: Conserved
    field: FloatArray


def run_stages(
    problem: Problem,
    stages: Sequence[Stage],
    *,
    initial: float | FloatArray,
    source: BoolArray | None = None,
    tolerance: float = 1e-7,
    progress: Callable[[str], None] | None = None,
) -> list[FloatArray]:
    """C at the end of each stage.

    Parameters
    ----------
    problem : Polycrystal or VoxelProblem
    stages : sequence of Stage
    initial : float or array, shape (node,)
        C at the start.
    source : bool array, shape (node,), optional
        Nodes whose C is held during stages with a source.
    tolerance : float
        Of the solution in time, root mean square as a share of C.
    progress : callable, optional
        Called with a line of text before each stage.

    Returns
    -------
    list of array, shape (node,)

    Raises
    ------
    ValueError
        If a stage has a source but no node is on it, or nothing is connected to it.

    Examples
    --------
    >>> from lliso.diffusion.mesh import triangulate
    >>> from lliso.diffusion.structures import laminate
    >>> p = Polycrystal(triangulate(laminate((0, 0, 1, 8), [4.0], permeability=0.1), 0.5))
    >>> at_source = p.mesh.points[:, 1] == 0
    >>> after, later = run_stages(
    ...     p, [Stage(5.0, source=1.0), Stage(3.0)], initial=0.0, source=at_source
    ... )
    >>> bool(np.isclose(p.amount(after), p.amount(later), rtol=1e-13))
    True
    """
    out: list[FloatArray] = []
    field = np.array(np.broadcast_to(np.asarray(initial, dtype=float), (problem.n,)))
    for number, stage in enumerate(stages, start=1):
        if progress is not None:
            progress(f"stage {number} of {len(stages)}")
        field = run_stage(problem, stage, field, source, tolerance=tolerance).field
        out.append(field)
    return out


def run_stage(
    problem: Problem,
    stage: Stage,
    field: FloatArray,
    source: BoolArray | None = None,
    *,
    tolerance: float = 1e-7,
    watch: Sequence[float] = (1.0,),
) -> StageRecord:
    """Solve one stage from `field`, and keep what an adjoint run needs (see `run_stages`)."""
    stiffness, mass = problem.stiffness(stage), problem.mass
    free: IntArray = np.arange(problem.n)
    rest = 0.0
    out = field.copy()
    if stage.source is not None:
        free = _unheld(stage, stiffness, source)
        rest = float(stage.source)
        out[:] = rest
        stiffness, mass = csc_matrix(stiffness[free][:, free]), csc_matrix(mass[free][:, free])
    # C = source is a steady state, so the difference to it obeys the equation with C = 0 held.
    null = conserved(stiffness, mass)
    duration = stage.duration
    factors = None
    if duration > 0 and len(free):
        factors = factorised(csc_matrix(mass + SHIFT * duration * stiffness))
    space = krylov_space(
        stiffness,
        mass,
        field[free] - rest,
        duration,
        tolerance=tolerance,
        factors=factors,
        null=null,
        watch=watch,
    )
    out[free] = rest + space.field(duration)
    return StageRecord(stage, free, rest, space, stiffness, mass, factors, null, out)


def _unheld(stage: Stage, stiffness: csc_matrix, source: BoolArray | None) -> IntArray:
    """Unknowns that are not held by the source, after checking that there is one."""
    held = np.zeros(stiffness.shape[0], dtype=bool) if source is None else np.asarray(source)
    if held.shape != (stiffness.shape[0],) or not held.any():
        raise ValueError(
            "a stage with a source needs nodes on the source, got none; "
            "check the liquid level against the box"
        )
    if stage.source is None or not np.isfinite(stage.source):
        raise ValueError(f"source must be finite, got {stage.source}")
    free = np.flatnonzero(~held)
    if len(free) and stiffness[free][:, np.flatnonzero(held)].nnz == 0:
        raise ValueError(
            "the source must be connected to the sample, got no path from it; "
            "every boundary around it has P = 0"
        )
    return free


def steady_state(problem: Polycrystal, held: BoolArray, values: FloatArray | float) -> FloatArray:
    """C without change in time, with `values` on the nodes `held` and no flux elsewhere.

    Parameters
    ----------
    problem : Polycrystal
    held : bool array, shape (node,)
    values : float or array, shape (node,)
        C on the held nodes; other entries are not looked at.

    Raises
    ------
    ValueError
        If part of the structure is not connected to a held node.
    """
    field = np.where(held, np.broadcast_to(np.asarray(values, dtype=float), held.shape), 0.0)
    free, fixed = np.flatnonzero(~held), np.flatnonzero(held)
    if len(fixed) == 0:
        raise ValueError("a steady state needs nodes with C held, got none")
    k = problem.stiffness().tocsr()[free]
    inner = csc_matrix(k[:, free])
    apart = len(conserved(inner, csc_matrix(problem.mass[free][:, free])).total)
    if apart:
        raise ValueError(
            f"every grain must be connected to a node with C held, got {apart} groups of grains "
            "behind P = 0"
        )
    field[free] = factorised(inner).solve(-(k[:, fixed] @ field[fixed]))
    return field

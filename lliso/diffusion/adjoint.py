"""Gradients by the permeability of all boundaries at once, by the adjoint of diffusion.

For a number J that depends on C at the ends of the stages,

    dJ/dP_e = - Σ stages ∫ λᵀ (∂K/∂P_e) C dt,    -M dλ/dt = -K λ,    M λ(end) = ∂J/∂C,

where ∂K/∂P_e is on a mesh the edge mass matrix of the jump across boundary e, on pixels the change
of the faces' conductances. Both C and λ live in Krylov spaces, so
the integral over time is exact in them. The spaces are made accurate at early times too, not only
at the end: the integral needs the whole way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from scipy.sparse import csc_matrix, diags
from scipy.sparse.linalg import cg

from lliso._types import BoolArray, FloatArray
from lliso.diffusion.krylov import KrylovSpace, krylov_space
from lliso.diffusion.polycrystal import Problem, Stage, StageRecord, run_stage


class VariableProblem(Problem, Protocol):
    """A problem whose K depends on one permeability per boundary (or pair of grains)."""

    @property
    def permeabilities(self) -> FloatArray:
        """P of every boundary."""

    def overlap_by_permeability(
        self, modes: FloatArray, overlap: FloatArray, adjoint: FloatArray, stage: Stage
    ) -> FloatArray:
        """Σ over i, j of ``adjoint_jᵀ (∂K/∂P) modes_i overlap_ij``, of every boundary."""


Sensitivity = Callable[[list[FloatArray]], Sequence[FloatArray | None]]

#: shares of a stage at which the spaces must have converged
_WATCH = (0.03, 0.3, 1.0)


def permeability_gradient(
    problem: VariableProblem,
    stages: Sequence[Stage],
    sensitivities: Sequence[FloatArray | None],
    *,
    initial: float | FloatArray,
    source: BoolArray | None = None,
    tolerance: float = 1e-4,
) -> tuple[list[FloatArray], FloatArray]:
    """C at the end of each stage, and the derivative of a number by every P.

    Parameters
    ----------
    problem : Polycrystal or VoxelProblem
    stages : sequence of Stage
    sensitivities : sequence of array, shape (node,), or None
        ∂J/∂C at the end of each stage.
    initial, source
        As in `lliso.diffusion.polycrystal.run_stages`.
    tolerance : float
        Of both fields in time, root mean square as a share of their start; the gradient is
        then far more accurate (on the whole sample 2e-6 at 1e-4, 2e-4 at 1e-3).

    Returns
    -------
    fields : list of array, shape (node,)
    gradient : array, shape (boundary,) or (pair,)
        ∂J/∂P; NaN where P is inf, which leaves nothing to vary.

    Raises
    ------
    ValueError
        If there are not as many sensitivities as stages, or as `run_stages`.

    Examples
    --------
    >>> from lliso.diffusion.mesh import triangulate
    >>> from lliso.diffusion.polycrystal import Polycrystal
    >>> from lliso.diffusion.structures import laminate
    >>> p = Polycrystal(triangulate(laminate((0, 0, 1, 8), [4.0], permeability=0.1), 0.5))
    >>> far = np.where(p.mesh.points[:, 1] == 8.0, 1.0, 0.0)
    >>> _, g = permeability_gradient(
    ...     p, [Stage(5.0, source=1.0)], [far], initial=0.0, source=p.mesh.points[:, 1] == 0
    ... )
    >>> bool(g[0] > 0)
    True
    """
    return gradient_of(
        problem,
        stages,
        lambda _: sensitivities,
        initial=initial,
        source=source,
        tolerance=tolerance,
    )


def gradient_of(
    problem: VariableProblem,
    stages: Sequence[Stage],
    sensitivity: Sensitivity,
    *,
    initial: float | FloatArray,
    source: BoolArray | None = None,
    tolerance: float = 1e-4,
) -> tuple[list[FloatArray], FloatArray]:
    """As `permeability_gradient`, with ∂J/∂C computed from the fields by a function.

    Parameters
    ----------
    sensitivity : callable
        ``sensitivity(fields)`` returns ∂J/∂C for each stage's end, e.g. weighted residuals.
    """
    field = np.array(np.broadcast_to(np.asarray(initial, dtype=float), (problem.n,)))
    records: list[StageRecord] = []
    for stage in stages:
        record = run_stage(problem, stage, field, source, tolerance=tolerance, watch=_WATCH)
        records.append(record)
        field = record.field
    fields = [r.field for r in records]
    wanted = list(sensitivity(fields))
    if len(wanted) != len(stages):
        raise ValueError(
            f"there must be one sensitivity per stage, got {len(wanted)} for {len(stages)} stages"
        )
    gradient = np.zeros(len(problem.permeabilities))
    carried = np.zeros(problem.n)
    for record, own in zip(reversed(records), reversed(wanted), strict=True):
        if own is not None:
            carried = carried + own
        carried = _one_stage(problem, record, carried, tolerance, gradient)
    gradient[np.isinf(problem.permeabilities)] = np.nan
    return fields, gradient


def _one_stage(
    problem: VariableProblem,
    record: StageRecord,
    sensitivity: FloatArray,
    tolerance: float,
    gradient: FloatArray,
) -> FloatArray:
    """Add one stage's part to `gradient`; return ∂J/∂C at the stage's start."""
    free, duration = record.free, record.stage.duration
    g = sensitivity[free]
    if duration == 0 or not np.any(g):
        carried = np.zeros(problem.n)
        carried[free] = g
        return carried
    space = krylov_space(
        record.stiffness,
        record.mass,
        _mass_solve(record.mass, g),
        duration,
        tolerance=tolerance,
        factors=record.factors,
        null=record.null,
        watch=_WATCH,
    )
    gradient -= _time_integral(problem, record, space)
    carried = np.zeros(problem.n)
    carried[free] = record.mass @ space.field(duration)
    return carried


def _mass_solve(mass: csc_matrix, g: FloatArray) -> FloatArray:
    scaling = diags(1.0 / mass.diagonal())
    solved, failed = cg(mass, g, rtol=1e-12, M=scaling, maxiter=500)
    if failed:
        raise ValueError("the mass matrix must be well conditioned, got no convergence")
    return np.asarray(solved)


def _time_integral(
    problem: VariableProblem, record: StageRecord, adjoint: KrylovSpace
) -> FloatArray:
    """∫ λᵀ (∂K/∂P_e) C dt of every boundary."""
    t = record.stage.duration
    a, u = _modes(problem, record, record.space, record.rest)
    b, w = _modes(problem, record, adjoint, 0.0)
    ea, eb = np.exp(-a * t)[:, None], np.exp(-b * t)[None, :]
    gap = b[None, :] - a[:, None]
    near = np.abs(gap) * t < 1e-6
    with np.errstate(divide="ignore", invalid="ignore"):
        overlap = np.where(near, t * np.sqrt(ea * eb), (ea - eb) / np.where(near, 1.0, gap))
    return problem.overlap_by_permeability(u, overlap, w, record.stage)


def _modes(
    problem: VariableProblem, record: StageRecord, space: KrylovSpace, rest: float
) -> tuple[FloatArray, FloatArray]:
    """Decay rates, and the mode of each on all unknowns; the first is what does not decay."""
    full = np.zeros((problem.n, len(space.rates) + 1))
    full[:, 0] = rest
    full[record.free, 0] += space.rest
    if len(space.rates):
        full[record.free, 1:] = space.norm * (space.basis @ space.vectors) * space.vectors[0]
    return np.concatenate([[0.0], space.rates]), full

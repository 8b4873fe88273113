"""exp(-t M⁻¹K) applied to a field, by shift-and-invert Lanczos.

K (stiffness) and M (mass) are symmetric, K positive semidefinite, M positive definite. The Krylov
space of (M + γK)⁻¹M needs one factorisation and some ten to twenty solves for any t, however stiff
the problem is (van den Eshof, Hochbruck, SIAM J. Sci. Comput. 27 (2006) 1438). Fields on which K
vanishes (a constant on every closed part) are split off first, so that what is conserved is
conserved to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import eigh
from scipy.sparse import csc_matrix
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from lliso._types import FloatArray, IntArray

#: shift γ as a share of the time; near the optimum for 8 to 20 steps
SHIFT = 0.1
#: right-hand sides solved for at once
_AT_ONCE = 32


def factorised(matrix: csc_matrix) -> Any:
    """LU factors of a symmetric positive definite matrix, without pivoting for stability."""
    return splu(
        matrix,
        permc_spec="MMD_AT_PLUS_A",
        relax=1,  # supernodes made larger cost twice the time on these matrices
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )


def solved(factors: Any, right: FloatArray) -> FloatArray:
    """Solve for many right-hand sides, shape (node, k), few at a time: they stay in cache."""
    out = np.empty(right.shape)
    for at in range(0, right.shape[1], _AT_ONCE):
        out[:, at : at + _AT_ONCE] = factors.solve(right[:, at : at + _AT_ONCE])
    return out


@dataclass(frozen=True, eq=False)
class Conserved:
    """The fields on which K vanishes: constants on each connected part (label -1: none)."""

    part: IntArray
    weight: FloatArray
    total: FloatArray

    def means(self, field: FloatArray) -> FloatArray:
        """Project `field` on those constants (M-orthogonally)."""
        if not len(self.total):
            return np.zeros_like(field)
        inside = self.part >= 0
        amount = np.bincount(
            self.part[inside], (self.weight * field)[inside], minlength=len(self.total)
        )
        mean = np.append(amount / self.total, 0.0)
        return np.asarray(mean[self.part])


def conserved(stiffness: csc_matrix, mass: csc_matrix) -> Conserved:
    """Find the connected parts from which nothing leaks (row sums of K vanish)."""
    count, part = connected_components(stiffness, directed=False)
    weight = np.asarray(mass.sum(axis=0)).ravel()
    leak = np.abs(np.asarray(stiffness.sum(axis=1)).ravel())
    scale = np.bincount(part, stiffness.diagonal(), minlength=count)
    closed = np.bincount(part, leak, minlength=count) <= 1e-10 * scale
    number = np.where(closed, np.cumsum(closed) - 1, -1)
    part = number[part]
    inside = part >= 0
    total = np.bincount(part[inside], weights=weight[inside], minlength=int(closed.sum()))
    return Conserved(part, weight, np.asarray(total, dtype=float))


@dataclass(frozen=True, eq=False)
class KrylovSpace:
    """M-orthonormal basis V (n, m) and the eigenpairs of K projected on it.

    ``field(t) = rest + V Q exp(-rates t) Qᵀ e₁ · norm``.
    """

    rest: FloatArray
    basis: FloatArray
    rates: FloatArray
    vectors: FloatArray
    norm: float
    solves: int

    def field(self, t: float) -> FloatArray:
        """Return the field after the time `t` (at most the time the space was made for)."""
        return np.asarray(self.rest + self.basis @ self.coefficients(t))

    def coefficients(self, t: float) -> FloatArray:
        """Return the coefficients of the basis after the time `t`."""
        if not len(self.rates):
            return np.empty(0)
        return np.asarray(self.norm * (self.vectors @ (np.exp(-self.rates * t) * self.vectors[0])))


def krylov_space(
    stiffness: csc_matrix,
    mass: csc_matrix,
    start: FloatArray,
    time: float,
    *,
    tolerance: float = 1e-8,
    steps: int = 60,
    factors: Any = None,
    null: Conserved | None = None,
    watch: Sequence[float] = (1.0,),
) -> KrylovSpace:
    """Build the space in which the field is known up to `time`.

    Parameters
    ----------
    stiffness, mass : sparse matrices
    start : array, shape (n,)
    time : float
    tolerance : float
        Change of the result by the last two steps, as a share of the start (both root mean
        square).
    steps : int
        Largest number of steps.
    factors : optional
        `factorised(mass + SHIFT * time * stiffness)` if already at hand.
    null : Conserved, optional
        `conserved(stiffness, mass)` if already at hand.
    watch : sequence of float
        The shares of `time` at which the result must have converged.

    Raises
    ------
    ValueError
        If the tolerance is not reached.
    """
    null = conserved(stiffness, mass) if null is None else null
    rest = null.means(start)
    v = start - rest
    v = v - null.means(v)
    scale = _norm(mass, start)
    norm = _norm(mass, v)
    if norm <= 1e-15 * scale or norm == 0.0 or time == 0.0:
        if time == 0.0:
            rest = start
        return KrylovSpace(rest, np.empty((len(v), 0)), np.empty(0), np.empty((0, 0)), 0.0, 0)
    gamma = SHIFT * time
    factors = factorised(csc_matrix(mass + gamma * stiffness)) if factors is None else factors
    basis, images = [v / norm], [mass @ (v / norm)]
    projected = np.zeros((steps, steps))
    last: FloatArray = np.zeros((0, len(watch)))
    calm = 0
    for m in range(steps):
        w = np.asarray(factors.solve(images[m]))
        w -= null.means(w)
        for _ in range(2):  # twice is enough for orthogonality to rounding
            c = np.array([q @ w for q in images])
            projected[: m + 1, m] += c
            for q, ck in zip(basis, c, strict=True):
                w -= ck * q
        rates, q = _rates(projected[: m + 1, : m + 1], gamma)
        decay = np.exp(-np.multiply.outer(rates, np.asarray(watch) * time))
        now = norm * (q @ (decay * q[0][:, None]))
        before = np.vstack([last, np.zeros((1, len(watch)))])
        change = float(np.sqrt(((now - before) ** 2).sum(axis=0)).max())
        calm = calm + 1 if change <= tolerance * scale else 0
        last = now
        beta = _norm(mass, w)
        if calm >= 2 or beta <= 1e-14:
            return KrylovSpace(rest, np.column_stack(basis), rates, q, norm, m + 1)
        basis.append(w / beta)
        images.append(mass @ basis[-1])
    raise ValueError(
        f"the exponential must converge to {tolerance:g}, got a change of {change / scale:.2g} "
        f"after {steps} steps; ask for a larger tolerance or more steps"
    )


def _norm(mass: csc_matrix, v: FloatArray) -> float:
    return float(np.sqrt(max(v @ (mass @ v), 0.0)))


def _rates(projected: FloatArray, gamma: float) -> tuple[FloatArray, FloatArray]:
    """Rates λ and vectors of K in the basis, from the projection of (M + γK)⁻¹M = 1/(1 + γλ)."""
    theta, q = eigh(projected, lower=False)  # only the upper triangle is filled
    theta = np.clip(theta, 1e-300, 1.0)
    return np.asarray((1.0 / theta - 1.0) / gamma), np.asarray(q)

"""Diffusion through a field of view at one moment: −∇·(D∇C) = −∂C/∂t, with P on every boundary.

Linear finite elements on a `WindowMesh`; C on the rim and ∂C/∂t are given. What lies inside a grain
is eliminated once and for all (it does not depend on P), so that each new set of P costs one
factorisation on the nodes of the boundaries, and each sensitivity one solve with it.

Equations (2), (3) of J. Mater. Chem. A 12 (2024) 731: D ∂C/∂n = P (C₂ − C₁) at a boundary.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix, csc_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components

from lliso._types import BoolArray, FloatArray, IntArray
from lliso.diffusion.krylov import factorised, solved
from lliso.diffusion.windowmesh import WindowMesh

_EDGE = np.array([[2.0, 1.0], [1.0, 2.0]]) / 6.0
#: jump across a boundary segment: consistent mass matrix of the edge on C₂ - C₁
_JUMP = np.block([[_EDGE, -_EDGE], [-_EDGE, _EDGE]])
#: P h/D above which a boundary cannot be told from none; keeps the equations well conditioned
_OPEN = 1e6


@dataclass(frozen=True, eq=False)
class QuasiSteady:
    """The discrete problem, condensed onto the skeleton (nodes on boundaries and rim).

    Parameters
    ----------
    mesh : WindowMesh
    diffusivity : float
        D inside the grains.

    Examples
    --------
    A single boundary across the field of view, C = 0 and 1 on the rim's ends:

    >>> from lliso.diffusion.structures import laminate
    >>> from lliso.diffusion.windowmesh import mesh_window, window_outlines
    >>> grains = laminate((0, 0, 4, 8), [4.0])
    >>> q = QuasiSteady(mesh_window(window_outlines(grains, grains.box), 1.0), diffusivity=2.0)
    >>> y = q.mesh.points[:, 1]
    >>> upper = q.mesh.part_grain[q.mesh.node_part] == 1
    >>> field = q.solve(np.array([0.5]), rim=0.1 * y + 0.4 * upper)
    >>> np.round(q.steps(field), 12).tolist()  # D times slope over P
    [0.4]
    """

    mesh: WindowMesh
    diffusivity: float = 1.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.diffusivity) and self.diffusivity > 0):
            raise ValueError(f"diffusivity must be finite and positive, got {self.diffusivity:g}")

    @cached_property
    def stiffness(self) -> csr_matrix:
        """K of the grains, without boundaries; shape (node, node)."""
        m = self.mesh
        p = m.points[m.triangles]
        b = np.roll(p[:, :, 1], -1, axis=1) - np.roll(p[:, :, 1], -2, axis=1)
        c = np.roll(p[:, :, 0], -2, axis=1) - np.roll(p[:, :, 0], -1, axis=1)
        scale = (self.diffusivity / (4.0 * m.triangle_areas))[:, None, None]
        return _scattered(
            (b[:, :, None] * b[:, None, :] + c[:, :, None] * c[:, None, :]) * scale,
            m.triangles,
            m.n,
        )

    @cached_property
    def mass(self) -> csr_matrix:
        """Consistent mass matrix, shape (node, node)."""
        m = self.mesh
        local = (m.triangle_areas / 12.0)[:, None, None] * (np.ones((3, 3)) + np.eye(3))
        return _scattered(local, m.triangles, m.n)

    @cached_property
    def on_boundary(self) -> BoolArray:
        """Nodes on a boundary."""
        flag = np.zeros(self.mesh.n, dtype=bool)
        flag[self.mesh.faces.ravel()] = True
        return flag

    @cached_property
    def skeleton(self) -> IntArray:
        """Nodes of the skeleton: first the free ones on boundaries, then the rim."""
        rim = self.mesh.rim
        return np.concatenate([np.flatnonzero(self.on_boundary & ~rim), np.flatnonzero(rim)])

    @property
    def n_free(self) -> int:
        """Number of free nodes of the skeleton."""
        return len(self.skeleton) - int(self.mesh.rim.sum())

    @cached_property
    def _inside(self) -> tuple[IntArray, Any]:
        inside = np.flatnonzero(~(self.on_boundary | self.mesh.rim))
        if not len(inside):
            return inside, None
        return inside, factorised(csc_matrix(self.stiffness[inside][:, inside]))

    @cached_property
    def lift(self) -> csr_matrix:
        """C on all nodes from C on the skeleton, for ∂C/∂t = 0; shape (node, skeleton)."""
        inside, factors = self._inside
        s = self.skeleton
        local = np.arange(len(s))
        rows, cols, values = [s], [local], [np.ones(len(s))]
        if len(inside):
            # Pieces of grain do not touch inside, so all are served by the same right-hand sides:
            # the j-th of them belongs to the j-th skeleton node of every piece.
            owner = self.mesh.node_part[s]
            order = np.argsort(owner, kind="stable")
            count = np.bincount(owner, minlength=len(self.mesh.part_grain))
            first = np.cumsum(count) - count
            rank = np.empty(len(s), dtype=np.int64)
            rank[order] = np.arange(len(s)) - first[owner[order]]
            coupling = coo_matrix(self.stiffness[inside][:, s])
            right = np.zeros((len(inside), int(count.max())))
            right[coupling.row, rank[coupling.col]] = -coupling.data
            x = np.asarray(factors.solve(right))
            part = self.mesh.node_part[inside]
            i, j = np.nonzero(np.arange(x.shape[1]) < count[part][:, None])
            rows.append(inside[i])
            cols.append(order[first[part[i]] + j])
            values.append(x[i, j])
        index = np.concatenate(rows), np.concatenate(cols)
        return csr_matrix((np.concatenate(values), index), shape=(self.mesh.n, len(s)))

    @cached_property
    def condensed(self) -> csc_matrix:
        """K of the grains on the skeleton."""
        return csc_matrix(self.stiffness[self.skeleton] @ self.lift)

    def loads(self, rates: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return what ∂C/∂t does: C with the skeleton at 0, and the load on its free nodes.

        Parameters
        ----------
        rates : array, shape (node, k)
            Fields ∂C/∂t.

        Returns
        -------
        lifted : array, shape (node, k)
        load : array, shape (n_free, k)
        """
        weighted = -(self.mass @ rates)
        lifted = np.zeros_like(weighted)
        inside, factors = self._inside
        if len(inside):
            lifted[inside] = factors.solve(weighted[inside])
        return lifted, np.asarray((self.lift.T @ weighted)[: self.n_free])

    def response(self, permeability: FloatArray) -> Response:
        """Factorise for given P (0 to infinity) of all boundaries.

        Raises
        ------
        ValueError
            If P is negative or NaN, or a group of grains is cut off from the rim by P = 0.
        """
        p = np.asarray(permeability, dtype=float)
        if p.shape != (self.mesh.n_boundaries,):
            raise ValueError(
                f"permeability must be {self.mesh.n_boundaries} numbers, got the shape {p.shape}"
            )
        if np.isnan(p).any() or (p < 0).any():
            raise ValueError(f"permeability must not be negative or NaN, got {np.nanmin(p):g}")
        if len(self.mesh.faces):
            p = np.minimum(p, _OPEN * self.diffusivity / self.mesh.face_lengths.min())
        return Response(self, p)

    def solve(
        self, permeability: FloatArray, rim: FloatArray, rate: FloatArray | float = 0.0
    ) -> FloatArray:
        """C on all nodes.

        Parameters
        ----------
        permeability : array, shape (boundary,)
        rim : array, shape (node,)
            C on the nodes of the rim; other entries are not looked at.
        rate : float or array, shape (node,)
            ∂C/∂t.

        Raises
        ------
        ValueError
            See `response`.
        """
        rates = np.array(np.broadcast_to(np.asarray(rate, dtype=float), (self.mesh.n,)))[:, None]
        lifted, load = self.loads(rates)
        held = rim[self.skeleton[self.n_free :]][:, None]
        z = self.response(permeability).skeleton_values(held, load)
        return np.asarray((self.lift @ z + lifted)[:, 0])

    def steps(self, field: FloatArray) -> FloatArray:
        """Mean jump C₂ − C₁ over each boundary, shape (boundary,)."""
        f, m = self.mesh.faces, self.mesh
        jump = 0.5 * (field[f[:, 2]] + field[f[:, 3]] - field[f[:, 0]] - field[f[:, 1]])
        n = m.n_boundaries
        total = np.bincount(m.face_boundary, jump * m.face_lengths, minlength=n)
        with np.errstate(invalid="ignore"):
            return np.asarray(total / np.bincount(m.face_boundary, m.face_lengths, minlength=n))


@dataclass(frozen=True, eq=False)
class Response:
    """The problem factorised for one set of P (see `QuasiSteady.response`)."""

    problem: QuasiSteady
    permeability: FloatArray

    @cached_property
    def _index(self) -> IntArray:
        """Skeleton number of every node, -1 inside."""
        index = np.full(self.problem.mesh.n, -1)
        index[self.problem.skeleton] = np.arange(len(self.problem.skeleton))
        return index

    @cached_property
    def matrix(self) -> csc_matrix:
        """K with the boundaries, on the skeleton."""
        m = self.problem.mesh
        scale = self.permeability[m.face_boundary] * m.face_lengths
        jump = _scattered(
            scale[:, None, None] * _JUMP, self._index[m.faces], len(self.problem.skeleton)
        )
        return csc_matrix(self.problem.condensed + jump)

    @cached_property
    def factors(self) -> Any:
        """LU factors on the free nodes."""
        n = self.problem.n_free
        self._check_connected()
        return factorised(csc_matrix(self.matrix[:n, :n]))

    def _check_connected(self) -> None:
        """Raise if C is not determined anywhere."""
        m = self.problem.mesh
        open_ = self.permeability[m.face_boundary] > 0
        if open_.all():
            return
        pairs = m.node_part[m.faces[open_][:, [0, 2]]]
        n = len(m.part_grain)
        graph = coo_matrix((np.ones(len(pairs)), pairs.T), shape=(n, n))
        count, group = connected_components(graph, directed=False)
        apart = count - len(np.unique(group[m.node_part[m.rim]]))
        if apart:
            raise ValueError(
                f"every grain must be connected to the rim of the field of view, got {apart} "
                "groups of grains behind P = 0"
            )

    def skeleton_values(self, rim: FloatArray, load: FloatArray) -> FloatArray:
        """C on the skeleton from C on the rim and loads, each with k columns."""
        n = self.problem.n_free
        free = np.empty((0, rim.shape[1]))
        if n:
            free = solved(self.factors, load - self.matrix[:n, n:] @ rim)
        return np.concatenate([free, rim])

    def ln_permeability_sensitivity(self, z: FloatArray) -> FloatArray:
        """∂C/∂ln P of every boundary on the free nodes, shape (n_free, boundary).

        Parameters
        ----------
        z : array, shape (skeleton,)
            C on the skeleton.
        """
        return solved(self.factors, -self.fluxes(z).toarray()[: self.problem.n_free])

    def ln_permeability_pullback(self, weight: FloatArray, z: FloatArray) -> FloatArray:
        """Σ over columns of `weight` · ∂C/∂ln P, without forming the derivative (adjoint).

        Parameters
        ----------
        weight : array, shape (skeleton, k)
            What the derivative of each field on the skeleton is multiplied with.
        z : array, shape (skeleton, k)
            The fields on the skeleton; rim and loads do not depend on P.

        Returns
        -------
        array, shape (boundary,)
        """
        m = self.problem.mesh
        adjoint = np.zeros_like(weight)
        n = self.problem.n_free
        if n:
            adjoint[:n] = solved(self.factors, weight[:n])
        nodes = self._index[m.faces]
        per_face = np.einsum("fik,ij,fjk->f", adjoint[nodes], _JUMP, z[nodes], optimize=True)
        scale = self.permeability[m.face_boundary] * m.face_lengths
        return np.asarray(
            -np.bincount(m.face_boundary, scale * per_face, minlength=m.n_boundaries), dtype=float
        )

    def fluxes(self, z: FloatArray) -> csc_matrix:
        """P ∫ (C₁ − C₂) of every boundary against the skeleton's basis, (skeleton, boundary)."""
        m = self.problem.mesh
        nodes = self._index[m.faces]
        scale = self.permeability[m.face_boundary] * m.face_lengths
        value = scale[:, None] * (z[nodes] @ _JUMP)
        cols = np.repeat(m.face_boundary[:, None], 4, axis=1)
        shape = (len(self.problem.skeleton), m.n_boundaries)
        return csc_matrix((value.ravel(), (nodes.ravel(), cols.ravel())), shape=shape)


def _scattered(local: FloatArray, nodes: IntArray, n: int) -> csr_matrix:
    k = nodes.shape[1]
    rows = np.repeat(nodes, k, axis=1).ravel()
    cols = np.tile(nodes, (1, k)).ravel()
    return csr_matrix((local.ravel(), (rows, cols)), shape=(n, n))

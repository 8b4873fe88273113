"""One map of a field of view as data on P: the binomial likelihood, linearised about a given P.

For given P the fraction is linear in what else is unknown, the values on the rim and a smooth
∂C/∂t: both are solved for, with their weak priors, and eliminated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import coo_matrix, csr_matrix, diags_array
from scipy.sparse.csgraph import connected_components

from lliso._types import FloatArray, IntArray
from lliso.diffusion.quasisteady import QuasiSteady, Response
from lliso.diffusion.windowmesh import Outlines, WindowMesh

#: rounds of the binomial weights within one linearisation
_ROUNDS = 2
#: bends of the rim smaller than this share of their prior width are left out
_RIM_TOLERANCE = 0.1


@dataclass(frozen=True)
class Linearised:
    """The likelihood near some ln P: ``score @ d - d @ information @ d / 2`` for a change d.

    Attributes
    ----------
    information, score : arrays, shape (boundary, boundary) and (boundary,)
        After elimination of rim and rate.
    field : array, shape (node,)
        C at that ln P.
    loss : float
        Minus the log-likelihood, rim's and rate's priors included.
    chi2, n_pixels : float, int
    rate : array, shape (coefficient,)
        Coefficients of the rate's basis.
    """

    information: FloatArray
    score: FloatArray
    field: FloatArray
    loss: float
    chi2: float
    n_pixels: int
    rate: FloatArray


@dataclass(frozen=True, eq=False)
class MapStage:
    """Counts of one map, its observation matrix, and the bases of rim and rate.

    Parameters
    ----------
    problem : QuasiSteady
    pixels : sparse matrix, shape (pixel, node)
        Fraction of each pixel from C on the nodes.
    light, total : array, shape (pixel,)
        Counts of ⁶Li and of both isotopes, totals above 0.
    rim_basis : array, shape (rim node, k)
        Rim values per unit-variance coefficient.
    rate : array, shape (node,)
        Prior mean of ∂C/∂t.
    rate_basis : array, shape (node, j)
        Deviations from it per unit-variance coefficient.
    """

    problem: QuasiSteady
    pixels: csr_matrix
    light: FloatArray
    total: FloatArray
    rim_basis: FloatArray
    rate: FloatArray
    rate_basis: FloatArray

    @cached_property
    def _loads(self) -> tuple[FloatArray, FloatArray]:
        return self.problem.loads(np.column_stack([self.rate_basis, self.rate]))

    def nuisance(self, response: Response) -> tuple[FloatArray, FloatArray]:
        """C per coefficient of rim and rate, and C of the mean rate alone, on the nodes."""
        q = self.problem
        lifted, load = self._loads
        k = self.rim_basis.shape[1]
        rim = np.zeros((len(q.skeleton) - q.n_free, k + load.shape[1]))
        rim[:, :k] = self.rim_basis
        loads = np.zeros((q.n_free, rim.shape[1]))
        loads[:, k:] = load
        fields = q.lift @ response.skeleton_values(rim, loads)
        fields[:, k:] += lifted
        return fields[:, :-1], fields[:, -1]

    def linearised(self, ln_permeability: FloatArray, *, sensitivities: bool = True) -> Linearised:
        """Solve for rim and rate at the given ln P and linearise in ln P.

        Parameters
        ----------
        ln_permeability : array, shape (boundary,)
        sensitivities : bool
            Without, only field and loss are made: ten times faster.
        """
        q = self.problem
        response = q.response(np.exp(ln_permeability))
        basis, mean = self.nuisance(response)
        offset = self.pixels @ mean
        fraction = self.light / self.total
        fitted = np.full(len(fraction), float(self.light.sum() / self.total.sum()))
        for _ in range(_ROUNDS):
            weight = self.total / _variance(fitted)
            normal = self._normal(weight)
            image = normal @ basis
            factor = cho_factor(basis.T @ image + np.eye(basis.shape[1]))
            right = basis.T @ (self.pixels.T @ (weight * (fraction - offset)))
            coefficients = cho_solve(factor, right)
            field = basis @ coefficients + mean
            fitted = self.pixels @ field
        weight = self.total / _variance(fitted)
        residual = fraction - fitted
        n = q.mesh.n_boundaries
        information, score = np.zeros((n, n)), np.zeros(n)
        if sensitivities and n:
            # all on the skeleton's free nodes, which are fewer than the nodes
            s = response.ln_permeability_sensitivity(field[q.skeleton])
            lift = q.lift[:, : q.n_free]
            cross = (lift.T @ image).T @ s
            information = s.T @ ((lift.T @ normal @ lift) @ s) - cross.T @ cho_solve(factor, cross)
            score = (lift.T @ (self.pixels.T @ (weight * residual))) @ s
            score -= self._occam(response, basis, image, factor)
        safe = np.clip(fitted, 1e-9, 1.0 - 1e-9)
        occam = float(np.log(np.diag(factor[0])).sum())
        loss = -float(self.light @ np.log(safe) + (self.total - self.light) @ np.log1p(-safe))
        return Linearised(
            0.5 * (information + information.T),
            score,
            field,
            loss + 0.5 * float(coefficients @ coefficients) + occam,
            float(np.sum(weight * residual**2)),
            len(fraction),
            coefficients[self.rim_basis.shape[1] :],
        )

    def squares(self, field: FloatArray) -> FloatArray:
        """Squared residual of each pixel, in units of its counting variance, for C on the nodes."""
        fitted = self.pixels @ field
        residual = self.light / self.total - fitted
        return np.asarray(residual**2 * self.total / _variance(fitted))

    def _occam(
        self, response: Response, basis: FloatArray, image: FloatArray, factor: Any
    ) -> FloatArray:
        """Gradient of ½ ln det of the rim's and rate's information.

        Integrating over them instead of taking their best values. The smaller P, the more a slope
        on the rim makes of the steps, and the fewer such slopes fit by chance: leaving this out
        favours small P (by a few per cent at 600 counts a pixel).
        """
        q = self.problem
        weighted = cho_solve(factor, image.T).T
        return response.ln_permeability_pullback(q.lift.T @ weighted, basis[q.skeleton])

    def _normal(self, weight: FloatArray) -> csr_matrix:
        return csr_matrix(self.pixels.T @ diags_array(weight) @ self.pixels)


def _variance(fraction: FloatArray) -> FloatArray:
    safe = np.clip(fraction, 1e-4, 1.0 - 1e-4)
    return np.asarray(safe * (1.0 - safe))


def mean_intercept(outlines: Outlines) -> float:
    """Mean linear intercept of the grains in the field of view; at most its longer side."""
    x0, y0, x1, y1 = outlines.box
    length, longest = float(outlines.lengths.sum()), max(x1 - x0, y1 - y0)
    if not length:
        return longest
    return min(np.pi * (x1 - x0) * (y1 - y0) / (2.0 * length), longest)


def rim_basis(mesh: WindowMesh, slope: float, scale: float) -> FloatArray:
    """Smooth functions on the stretches of the rim, one set per stretch within a grain.

    The prior on a stretch is a free mean, a slope that differs from one common to all stretches by
    1.5 times `slope`, and a Gaussian process of correlation length `scale` and width `slope` times
    `scale`. The common slope (width 10 `slope`) has two coefficients of its own: were every stretch
    drawn towards zero slope, so would be the flux through the map, and with it all P.

    Parameters
    ----------
    mesh : WindowMesh
    slope : float
        Typical slope of C inside the grains.
    scale : float
        Length over which C on the rim may bend.

    Returns
    -------
    array, shape (rim node, k)
        In the order of the mesh's rim nodes; coefficients have unit variance.
    """
    nodes = np.flatnonzero(mesh.rim)
    blocks = []
    common = np.empty((len(nodes), 2))
    for stretch in _stretches(mesh, nodes):
        p = mesh.points[nodes[stretch]]
        p = p - p.mean(axis=0)
        common[stretch] = 10.0 * slope * p
        squared = ((p[:, None] - p[None]) ** 2).sum(axis=-1)
        bends = (slope * scale) ** 2 * np.exp(-0.5 * squared / scale**2)
        covariance = 1.0 + (1.5 * slope) ** 2 * (p @ p.T) + bends
        size, vectors = np.linalg.eigh(covariance)
        kept = size > (_RIM_TOLERANCE * slope * scale) ** 2 * len(p)
        blocks.append((stretch, vectors[:, kept] * np.sqrt(size[kept])))
    out = np.zeros((len(nodes), 2 + sum(b.shape[1] for _, b in blocks)))
    out[:, :2] = common
    at = 2
    for stretch, b in blocks:
        out[stretch, at : at + b.shape[1]] = b
        at += b.shape[1]
    return out


def _stretches(mesh: WindowMesh, nodes: IntArray) -> list[IntArray]:
    """Return the connected stretches of the rim within a piece of grain, as places in `nodes`."""
    index = np.full(mesh.n, -1)
    index[nodes] = np.arange(len(nodes))
    edges = index[np.sort(mesh.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)]
    edges = edges[(edges >= 0).all(axis=1)]
    unique, count = np.unique(edges, axis=0, return_counts=True)
    outer = unique[count == 1]
    graph = coo_matrix((np.ones(len(outer)), outer.T), shape=(len(nodes),) * 2)
    number, group = connected_components(graph, directed=False)
    return [np.flatnonzero(group == k) for k in range(number)]


def rate_basis(mesh: WindowMesh, std: float) -> FloatArray:
    """Products of Legendre polynomials in x and y up to the second degree, each of width `std`."""
    x0, y0, x1, y1 = mesh.outlines.box
    u = 2.0 * (mesh.points[:, 0] - x0) / (x1 - x0) - 1.0
    v = 2.0 * (mesh.points[:, 1] - y0) / (y1 - y0) - 1.0
    terms = [np.ones_like(u), u, v, u * v, 1.5 * u**2 - 0.5, 1.5 * v**2 - 0.5]
    return std * np.column_stack(terms)

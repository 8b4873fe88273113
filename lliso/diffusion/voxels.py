"""Diffusion on a label image: pixels in two dimensions, voxels in three.

Finite volumes. On a grid a slanted boundary is a staircase, longer than the boundary itself by
|n_x| + |n_y| (+ |n_z|); with P as it is, too much passes (1.7 % in C at any resolution). Each
face therefore carries P / (|n_x| + |n_y| + |n_z|), where the components follow from how many of the
boundary's faces look along each axis; what is left is of first order in the pixel size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csc_matrix, csr_matrix, diags
from scipy.sparse.linalg import LinearOperator, cg, splu

from lliso._types import BoolArray, FloatArray, IntArray
from lliso.diffusion.krylov import conserved
from lliso.diffusion.polycrystal import Stage

PairLaw = Callable[[IntArray], FloatArray]


@dataclass(frozen=True, eq=False)
class VoxelProblem:
    """Grains of a label image, with a permeability per pair of neighbours.

    Parameters
    ----------
    labels : int array, shape (y, x) or (z, y, x)
        Grain of every pixel.
    spacing : tuple of float
        Pixel size along each axis, in the order of the array's axes.
    permeability : float, or callable
        P, one number or a function of the pairs of labels, shape (pair, 2), see `pairs`.
    diffusivity : float or array, shape (largest label + 1,)
    staircase : bool
        Correct P for the staircase (the default); False to see what it costs.
    level : float, optional
        Where along the first axis the source ends, in pixels from the array's edge. It seldom goes
        through the pixels' centres, where C is held: in stages with a source, the first pixels
        beyond it take in over their own distance to it.

    Examples
    --------
    >>> v = VoxelProblem(np.repeat([[0], [1]], 5, axis=0), (1.0, 1.0), 0.5, 2.0)
    >>> v.pairs.tolist(), v.n
    ([[0, 1]], 10)
    """

    labels: IntArray
    spacing: tuple[float, ...]
    permeability: float | PairLaw
    diffusivity: float | FloatArray
    staircase: bool = True
    level: float | None = None

    def __post_init__(self) -> None:
        if self.labels.ndim not in (2, 3) or not self.labels.size:
            raise ValueError(f"labels must be an image or a box, got shape {self.labels.shape}")
        if len(self.spacing) != self.labels.ndim or not all(h > 0 for h in self.spacing):
            raise ValueError(
                f"spacing must be {self.labels.ndim} positive lengths, got {self.spacing}"
            )
        if self.labels.dtype.kind not in "ui" or self.labels.min() < 0:
            raise ValueError("labels must be whole numbers, not negative")
        d = self.diffusivity_of_grain
        if not (np.isfinite(d).all() and (d > 0).all()):
            raise ValueError(f"diffusivity must be finite and positive, got {d.min():g}")
        if np.isnan(self.pair_permeability).any() or (self.pair_permeability < 0).any():
            raise ValueError("permeability must not be negative or NaN")

    @property
    def n(self) -> int:
        """Number of pixels."""
        return int(self.labels.size)

    @cached_property
    def diffusivity_of_grain(self) -> FloatArray:
        """D of every label, shape (largest label + 1,)."""
        count = int(self.labels.max()) + 1
        d = np.asarray(self.diffusivity, dtype=float)
        if d.ndim and d.shape != (count,):
            raise ValueError(f"diffusivity must be one number or {count}, got shape {d.shape}")
        return np.array(np.broadcast_to(d, (count,)))

    @cached_property
    def _faces(self) -> tuple[IntArray, IntArray, IntArray]:
        """The two pixels of every face, and the axis it looks along."""
        index = np.arange(self.n).reshape(self.labels.shape)
        first, second, axes = [], [], []
        for axis in range(self.labels.ndim):
            a = np.moveaxis(index, axis, 0)
            first.append(a[:-1].ravel())
            second.append(a[1:].ravel())
            axes.append(np.full(first[-1].size, axis))
        return np.concatenate(first), np.concatenate(second), np.concatenate(axes)

    @cached_property
    def _pairing(self) -> tuple[IntArray, IntArray, FloatArray]:
        """Pairs of labels, pair of each face (-1 inside a grain), staircase factor of pairs."""
        a, b, axis = self._faces
        flat = self.labels.ravel().astype(np.int64)
        low, high = np.minimum(flat[a], flat[b]), np.maximum(flat[a], flat[b])
        across = low != high
        key = low * (int(flat.max()) + 1) + high
        keys, inverse = np.unique(key[across], return_inverse=True)
        pairs = np.column_stack([keys // (int(flat.max()) + 1), keys % (int(flat.max()) + 1)])
        pair = np.full(len(a), -1)
        pair[across] = inverse
        area = np.stack(
            [
                np.bincount(inverse[axis[across] == k], minlength=len(keys)) * self._face_area(k)
                for k in range(self.labels.ndim)
            ]
        )
        with np.errstate(invalid="ignore"):
            factor = area.sum(axis=0) / np.sqrt((area**2).sum(axis=0))
        return pairs, pair, factor if self.staircase else np.ones(len(keys))

    @property
    def staircase_factor(self) -> FloatArray:
        """By what the faces of each pair are more than the boundary itself (1: not corrected)."""
        return self._pairing[2]

    @property
    def face_positions(self) -> tuple[FloatArray, IntArray]:
        """Middle of every face between grains, in pixels from the array's corner, and its pair."""
        a, b, _ = self._faces
        pair = self._pairing[1]
        use = pair >= 0
        ends = [np.stack(np.unravel_index(k[use], self.labels.shape), axis=1) for k in (a, b)]
        return np.asarray(0.5 * (ends[0] + ends[1]) + 0.5, dtype=np.float64), pair[use]

    @cached_property
    def pair_vectors(self) -> FloatArray:
        """Vector area of each pair's boundary, from the lower label to the higher one.

        Its length is the area of a flat boundary (in two dimensions its length), its direction the
        normal; components in the order of the array's axes. Shape (pair, ndim).
        """
        a, b, axis = self._faces
        pairs, pair, _ = self._pairing
        flat = self.labels.ravel()
        up = np.where(flat[a] < flat[b], 1.0, -1.0)
        columns = []
        for k in range(self.labels.ndim):
            use = (pair >= 0) & (axis == k)
            count = np.bincount(pair[use], weights=up[use], minlength=len(pairs))
            columns.append(count * self._face_area(k))
        return np.stack(columns, axis=1)

    def _face_area(self, axis: int) -> float:
        return float(np.prod([h for k, h in enumerate(self.spacing) if k != axis]))

    @property
    def pairs(self) -> IntArray:
        """Pairs of grains that touch, shape (pair, 2), lower label first."""
        return self._pairing[0]

    @cached_property
    def pair_permeability(self) -> FloatArray:
        """P of every pair."""
        law = self.permeability
        value = np.asarray(law(self.pairs) if callable(law) else law, dtype=float)
        if value.ndim and value.shape != (len(self.pairs),):
            raise ValueError(f"permeability must give {len(self.pairs)} numbers")
        return np.array(np.broadcast_to(value, (len(self.pairs),)))

    @cached_property
    def mass(self) -> csc_matrix:
        """Volume of every pixel, on the diagonal."""
        return csc_matrix(diags(np.full(self.n, float(np.prod(self.spacing)))))

    def _bulk_resistance(self, stage: Stage) -> tuple[FloatArray, BoolArray]:
        """Resistance of the pixels on both sides of every face, and whether P is in the way."""
        a, b, axis = self._faces
        d = stage.bulk_factor * self.diffusivity_of_grain[self.labels.ravel()]
        h = np.asarray(self.spacing)[axis]
        bulk = 0.5 * h / d[a] + 0.5 * h / d[b]
        crossed = self._pairing[1] >= 0
        if self.level is not None and stage.source is not None:
            held = int(np.floor(self.level - 0.5))  # the last row whose centre is in the source
            reach = held + 1.5 - self.level  # from the level to the next row's centre, in pixels
            row = a // (self.n // self.labels.shape[0])
            at = (axis == 0) & (row == held)
            bulk[at] = h[at] * min(reach, 0.5) / d[b[at]] + h[at] * max(reach - 0.5, 0.0) / d[a[at]]
            crossed = crossed & ~(at & (reach <= 0.5))  # a boundary below the level hinders nothing
        return bulk, crossed

    def _conductance(self, stage: Stage | None) -> tuple[FloatArray, FloatArray]:
        """Conductance of every face, and the share of its resistance that the boundary is."""
        a, _, axis = self._faces
        _, pair, factor = self._pairing
        stage = Stage(0.0) if stage is None else stage
        bulk, crossed = self._bulk_resistance(stage)
        with np.errstate(divide="ignore"):
            per_pair = factor / (stage.boundary_factor * self.pair_permeability)
        boundary = np.where(crossed, per_pair[pair], 0.0) if len(per_pair) else np.zeros(len(a))
        area = np.array([self._face_area(k) for k in range(self.labels.ndim)])[axis]
        with np.errstate(invalid="ignore"):
            share = np.where(np.isinf(boundary), 1.0, boundary / (bulk + boundary))
        return area / (bulk + boundary), share

    def stiffness(self, stage: Stage | None = None) -> csc_matrix:
        """Conductances between pixels as a matrix K."""
        a, b, _ = self._faces
        g, _ = self._conductance(stage)
        rows, cols = np.concatenate([a, b, a, b]), np.concatenate([b, a, a, b])
        k = csc_matrix((np.concatenate([-g, -g, g, g]), (rows, cols)), shape=(self.n, self.n))
        k.eliminate_zeros()  # a face with P = 0 connects nothing
        return k

    @property
    def permeabilities(self) -> FloatArray:
        """P of every pair, by which `lliso.diffusion.adjoint` takes derivatives."""
        return self.pair_permeability

    def overlap_by_permeability(
        self, modes: FloatArray, overlap: FloatArray, adjoint: FloatArray, stage: Stage
    ) -> FloatArray:
        """Σ over i, j of ``adjoint_jᵀ (∂K/∂P) modes_i overlap_ij``, of every pair.

        With r the bulk's resistance on a face, s the staircase factor and f the stage's factor on
        P, a face of area A conducts A/(r + s/(f P)); the derivative is A s f/(f P r + s)².
        """
        a, b, axis = self._faces
        pairs, pair, factor = self._pairing
        bulk, use = self._bulk_resistance(stage)
        a, b, axis, pair, bulk = a[use], b[use], axis[use], pair[use], bulk[use]
        area = np.array([self._face_area(k) for k in range(self.labels.ndim)])[axis]
        s, f = factor[pair], stage.boundary_factor
        slope = area * s * f / (f * self.pair_permeability[pair] * bulk + s) ** 2
        jumps = ((modes[b] - modes[a]) @ overlap * (adjoint[b] - adjoint[a])).sum(axis=1)
        return np.asarray(np.bincount(pair, weights=slope * jumps, minlength=len(pairs)))

    def steps(self, field: FloatArray) -> FloatArray:
        """Mean jump of C across each pair, higher label minus lower; shape (pair,)."""
        a, b, _ = self._faces
        pairs, pair, _ = self._pairing
        _, share = self._conductance(None)
        flat, c = self.labels.ravel(), field.ravel()
        up = np.where(flat[a] < flat[b], 1.0, -1.0)
        jump = up * (c[b] - c[a]) * share
        use = pair >= 0
        number = np.bincount(pair[use], minlength=len(pairs))
        return np.asarray(np.bincount(pair[use], weights=jump[use], minlength=len(pairs)) / number)

    def fluxes(self, field: FloatArray) -> FloatArray:
        """Flow from the lower to the higher label through each pair, shape (pair,)."""
        a, b, _ = self._faces
        pairs, pair, _ = self._pairing
        g, _ = self._conductance(None)
        flat, c = self.labels.ravel(), field.ravel()
        flow = np.where(flat[a] < flat[b], 1.0, -1.0) * g * (c[a] - c[b])
        use = pair >= 0
        return np.asarray(np.bincount(pair[use], weights=flow[use], minlength=len(pairs)))


def voxel_steady_state(
    problem: VoxelProblem,
    held: BoolArray,
    values: FloatArray | float,
    *,
    rate: FloatArray | float = 0.0,
    tolerance: float = 1e-10,
) -> FloatArray:
    """C that changes at a given `rate`, with `values` in the pixels `held`, no flux elsewhere.

    Conjugate gradients with a correction by one unknown per grain (boundaries make the grains'
    mean C the slow part), so that boxes of a few million voxels fit into memory.

    Parameters
    ----------
    problem : VoxelProblem
    held : bool array, of the shape of the labels
        E.g. the first and last layer; the free surface is simply not held.
    values : float or array, of the shape of the labels
        C in the pixels held; in the others, where the iteration starts.
    rate : float or array, of the shape of the labels
        ∂C/∂t; 0 for a steady state. In a slowly changing profile it is known from the means.
    tolerance : float
        Of the residual, relative.

    Returns
    -------
    array, of the shape of the labels

    Raises
    ------
    ValueError
        If nothing is held, grains are shut off by P = 0, or the iteration does not converge.

    Examples
    --------
    >>> v = VoxelProblem(np.repeat([0, 0, 1, 1], 3).reshape(4, 3), (1.0, 1.0), 0.5, 2.0)
    >>> held = np.zeros((4, 3), dtype=bool)
    >>> held[[0, -1]] = True
    >>> c = voxel_steady_state(v, held, np.arange(4.0)[:, None] / 3 * np.ones((4, 3)))
    >>> np.round(c[:, 0], 6).tolist()
    [0.0, 0.142857, 0.857143, 1.0]
    """
    fixed = np.flatnonzero(held.ravel())
    free = np.flatnonzero(~held.ravel())
    if not len(fixed):
        raise ValueError("a steady state needs pixels with C held, got none")
    field = np.where(held, np.broadcast_to(np.asarray(values, float), held.shape), 0.0).ravel()
    k = csr_matrix(problem.stiffness())[free]
    change = np.broadcast_to(np.asarray(rate, float), held.shape).ravel()[free]
    inner = csr_matrix(k[:, free])
    apart = len(conserved(csc_matrix(inner), csc_matrix(problem.mass[free][:, free])).total)
    if apart:
        raise ValueError(
            f"every grain must be connected to a pixel with C held, got {apart} groups of grains "
            "behind P = 0"
        )
    right = -(k[:, fixed] @ field[fixed]) - float(np.prod(problem.spacing)) * change
    precondition = _two_level(inner, problem.labels.ravel()[free])
    guess = np.broadcast_to(np.asarray(values, float), held.shape).ravel()[free]
    solved, failed = cg(inner, right, x0=guess, rtol=tolerance, maxiter=3000, M=precondition)
    if failed:
        raise ValueError(
            "the steady state must converge, got no convergence in 3000 iterations; "
            "ask for a larger tolerance"
        )
    field[free] = solved
    return np.asarray(field.reshape(held.shape))


def _two_level(inner: csr_matrix, label: IntArray) -> LinearOperator:
    _, group = np.unique(label, return_inverse=True)
    n = len(label)
    grains = csr_matrix((np.ones(n), (np.arange(n), group)))
    coarse_matrix = csc_matrix(grains.T @ inner @ grains)
    # a grain that touches nothing held or passing would make it singular
    shift = 1e-14 * coarse_matrix.diagonal().max()
    coarse = splu(csc_matrix(coarse_matrix + shift * diags(np.ones(coarse_matrix.shape[0]))))
    inverse_diagonal = 1.0 / np.maximum(inner.diagonal(), 1e-300)

    def apply(r: FloatArray) -> FloatArray:
        return np.asarray(inverse_diagonal * r + grains @ coarse.solve(grains.T @ r))

    return LinearOperator((n, n), matvec=apply, dtype=float)

"""Grain labels of a box in three dimensions, whose first layer is the surface that is mapped."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from lliso._types import FloatArray, IntArray
from lliso.diffusion.structures import lognormal_diameters


def laguerre_labels(
    shape: tuple[int, int, int],
    spacing: float,
    mean: float,
    spread: float,
    rng: np.random.Generator,
    *,
    rounds: int = 8,
    prismatic: bool = False,
) -> IntArray:
    """Laguerre grains as voxels, equiaxed or columnar.

    Parameters
    ----------
    shape : tuple of int
        Voxels along (z, y, x); z = 0 is the surface.
    spacing : float
        Size of a voxel.
    mean, spread : float
        Mean and standard deviation of the diameter of the ball of a grain's volume (of the disc of
        its area if prismatic), by number.
    rng : numpy.random.Generator
    rounds : int
        Rounds in which sites move to their grain's centre and weights are set to its volume.
    prismatic : bool
        Columns along z with the same cross section at every depth.

    Returns
    -------
    int array, shape (z, y, x)
        Labels 0 … grains - 1, without gaps.

    Raises
    ------
    ValueError
        If a length is not positive, or fewer than two grains fit.

    Examples
    --------
    >>> labels = laguerre_labels((16, 24, 24), 2.0, 16.0, 5.0, np.random.default_rng(1))
    >>> labels.shape, bool(labels.max() + 1 == np.unique(labels).size)
    ((16, 24, 24), True)
    """
    if not (spacing > 0 and mean > 0 and spread > 0):
        raise ValueError(
            f"spacing, mean and spread must be positive, got {spacing:g}, {mean:g}, {spread:g}"
        )
    if prismatic:
        layer = _packed(shape[1:], spacing, mean, spread, rng, rounds)
        return np.repeat(layer[None], shape[0], axis=0)
    return _packed(shape, spacing, mean, spread, rng, rounds)


def _packed(
    shape: tuple[int, ...],
    spacing: float,
    mean: float,
    spread: float,
    rng: np.random.Generator,
    rounds: int,
) -> IntArray:
    """Grains in two or three dimensions, from discs or balls of the sizes drawn."""
    dim = len(shape)
    ball, root = (np.pi, np.sqrt) if dim == 2 else (4.0 / 3.0 * np.pi, np.cbrt)
    size = np.array(shape) * spacing
    moment = mean**dim * (1.0 + (spread / mean) ** 2) ** (dim * (dim - 1) // 2)
    n = int(np.prod(size) / (ball / 2**dim * moment))
    if n < 2:
        raise ValueError(f"box must hold at least 2 grains, got room for {n}; enlarge the box")
    volume = ball / 2**dim * lognormal_diameters(n, mean, spread, rng) ** dim
    volume *= np.prod(size) / volume.sum()
    voxels: FloatArray = np.asarray(
        (np.indices(shape).reshape(dim, -1).T + 0.5) * spacing, dtype=np.float64
    )
    sites = rng.random((n, dim)) * size
    radius = root(volume / ball)
    weights: FloatArray = np.asarray(radius**2, dtype=np.float64)
    label = _assign(voxels, sites, weights)
    for _ in range(rounds):
        count = np.bincount(label, minlength=n)
        held = count > 0
        centre = np.stack(
            [np.bincount(label, voxels[:, k], minlength=n) for k in range(dim)], axis=1
        )
        sites[held] += 0.7 * (centre[held] / count[held, None] - sites[held])
        # a grain too small gets more weight: d(volume) ~ surface · d(radius)
        now = root(count * spacing**dim / ball)
        weights = weights + 1.2 * radius * (radius - now)
        label = _assign(voxels, sites, weights)
    return np.asarray(np.unique(label, return_inverse=True)[1].reshape(shape))


def _assign(voxels: FloatArray, sites: FloatArray, weights: FloatArray) -> IntArray:
    """Site with the least power distance, among the nearest ones of every voxel.

    Lifting a site to (site, √(w_max - w)) turns the power distance into a plain distance.
    """
    lift = np.sqrt(weights.max() - weights)
    tree = cKDTree(np.column_stack([sites, lift]))
    _, label = tree.query(np.column_stack([voxels, np.zeros(len(voxels))]))
    return np.asarray(label)

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
) -> IntArray:
    """Laguerre grains as voxels.

    Parameters
    ----------
    shape : tuple of int
        Voxels along (z, y, x); z = 0 is the surface.
    spacing : float
        Size of a voxel.
    mean, spread : float
        Mean and standard deviation of the diameter of the ball of a grain's volume, by number.
    rng : numpy.random.Generator
    rounds : int
        Rounds in which sites move to their grain's centre and weights are set to its volume.

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
    size = np.array(shape) * spacing
    third_moment = mean**3 * (1.0 + (spread / mean) ** 2) ** 3
    n = int(np.prod(size) / (np.pi / 6.0 * third_moment))
    if n < 2:
        raise ValueError(f"box must hold at least 2 grains, got room for {n}; enlarge the box")
    volume = np.pi / 6.0 * lognormal_diameters(n, mean, spread, rng) ** 3
    volume *= np.prod(size) / volume.sum()
    voxels: FloatArray = np.asarray(
        (np.indices(shape).reshape(3, -1).T + 0.5) * spacing, dtype=np.float64
    )
    sites = rng.random((n, 3)) * size
    radius = np.cbrt(volume / (4.0 / 3.0 * np.pi))
    weights: FloatArray = np.asarray(radius**2, dtype=np.float64)
    label = _assign(voxels, sites, weights)
    for _ in range(rounds):
        count = np.bincount(label, minlength=n)
        held = count > 0
        centre = np.stack([np.bincount(label, voxels[:, k], minlength=n) for k in range(3)], axis=1)
        sites[held] += 0.7 * (centre[held] / count[held, None] - sites[held])
        # a grain too small gets more weight: d(volume) ~ surface · d(radius)
        now = np.cbrt(count * spacing**3 / (4.0 / 3.0 * np.pi))
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

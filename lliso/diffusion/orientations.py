"""Orientations of cubic grains, and permeabilities by the misorientation across a boundary.

The pseudocubic cell of a perovskite is taken as cubic: of the 24 equivalent rotations between two
grains the smallest is the misorientation (Mackenzie, Biometrika 45 (1958) 229: for random grains
40.7° on average, 62.8° at most).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from lliso._types import FloatArray, IntArray
from lliso.diffusion.structures import Structure


def random_orientations(n: int, rng: np.random.Generator) -> FloatArray:
    """Draw `n` uniformly random rotations, as unit quaternions (w, x, y, z), shape (n, 4).

    Examples
    --------
    >>> q = random_orientations(5, np.random.default_rng(0))
    >>> np.round((q**2).sum(axis=1), 12).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    q = rng.standard_normal((n, 4))
    return np.asarray(q / np.linalg.norm(q, axis=1, keepdims=True))


def quaternions_from_euler(euler: FloatArray) -> FloatArray:
    """Turn Bunge's Euler angles into unit quaternions (w, x, y, z).

    Parameters
    ----------
    euler : array, shape (3, ...)
        φ₁, Φ, φ₂ in radians.

    Returns
    -------
    array, shape (..., 4)

    Examples
    --------
    >>> q = quaternions_from_euler(np.deg2rad([[30.0, 0], [0, 90.0], [50.0, 0]]))
    >>> np.round(np.rad2deg(2 * np.arccos(q[:, 0])), 6).tolist()
    [80.0, 90.0]
    """
    first, tilt, last = np.asarray(euler, dtype=float)
    c, s = np.cos(0.5 * tilt), np.sin(0.5 * tilt)
    plus, minus = 0.5 * (first + last), 0.5 * (first - last)
    turned = [c * np.cos(plus), s * np.cos(minus), s * np.sin(minus), c * np.sin(plus)]
    return np.asarray(np.stack(turned, axis=-1))


def _cubic() -> FloatArray:
    """Half of the quaternions of the 24 rotations of a cube; the others differ in sign."""
    whole = np.eye(4)
    two = [v for v in product((-1, 0, 1), repeat=4) if np.abs(v).sum() == 2]
    four = list(product((-1, 1), repeat=4))
    every = np.concatenate([whole, np.array(two) / np.sqrt(2.0), np.array(four) / 2.0])
    first = np.array([q[np.flatnonzero(q)[0]] for q in every])
    return np.asarray(every[first > 0])


def misorientation(orientations: FloatArray, pairs: IntArray) -> FloatArray:
    """Smallest angle that turns one cubic grain of each pair into the other, in degrees.

    Parameters
    ----------
    orientations : array, shape (grain, 4)
        Unit quaternions.
    pairs : int array, shape (pair, 2)

    Returns
    -------
    array, shape (pair,)

    Examples
    --------
    >>> turned = np.deg2rad(80.0) / 2
    >>> q = np.array([[1.0, 0, 0, 0], [np.cos(turned), 0, 0, np.sin(turned)]])
    >>> np.round(misorientation(q, np.array([[0, 1]])), 9).tolist()
    [10.0]
    """
    return cubic_misorientation_angle(orientations[pairs[:, 0]], orientations[pairs[:, 1]])


def cubic_misorientation_angle(a: FloatArray, b: FloatArray) -> FloatArray:
    """Smallest angle in degrees between cubic orientations `a` and `b`, shape (n, 4) each."""
    # conj(a) b
    w = (a * b).sum(axis=1)
    cross = np.cross(a[:, 1:], b[:, 1:])
    between = np.column_stack([w, a[:, :1] * b[:, 1:] - b[:, :1] * a[:, 1:] - cross])
    # the scalar part of (symmetry · between) is a product of four numbers for each symmetry
    symmetry = _cubic() * [1.0, -1.0, -1.0, -1.0]
    cosine = np.abs(between @ symmetry.T).max(axis=1)
    return np.asarray(np.rad2deg(2.0 * np.arccos(np.minimum(cosine, 1.0))))


def permeability_by_misorientation(
    structure: Structure,
    orientations: FloatArray,
    limits: Sequence[float],
    medians: Sequence[float],
    sigma: float,
    rng: np.random.Generator,
) -> FloatArray:
    """Draw P of every boundary from the lognormal law of its class of misorientation.

    Parameters
    ----------
    structure : Structure
        Grains cut in parts count as one (`parent`).
    orientations : array, shape (grain, 4)
    limits : sequence of float
        Angles in degrees that part the classes, growing; 15 for low and high angles.
    medians : sequence of float
        Median of P in every class, one more than `limits`.
    sigma : float
        Standard deviation of ln P inside a class.
    rng : numpy.random.Generator

    Returns
    -------
    array, shape (boundary,)

    Raises
    ------
    ValueError
        If there is not one median per class, limits do not grow, or grains lack an orientation.

    Examples
    --------
    >>> from lliso.diffusion.structures import laminate
    >>> s = laminate((0, 0, 1, 3), [1.0, 2.0])
    >>> small, large = np.deg2rad(5.0) / 2, np.deg2rad(40.0) / 2
    >>> q = np.array([[np.cos(t), np.sin(t), 0, 0] for t in (0.0, small, large)])
    >>> rng = np.random.default_rng(0)
    >>> permeability_by_misorientation(s, q, [15], [9.0, 1.0], 0.0, rng).tolist()
    [9.0, 1.0]
    """
    edges = np.asarray(limits, dtype=float)
    middle = np.asarray(medians, dtype=float)
    if middle.size != edges.size + 1 or np.any(np.diff(edges) <= 0):
        raise ValueError(
            "there must be one median more than growing limits, got "
            f"{middle.size} medians and the limits {edges.tolist()} degrees"
        )
    if not (np.all(middle >= 0) and sigma >= 0):
        raise ValueError(f"medians and sigma must not be negative, got {medians} and {sigma:g}")
    parents = int(structure.parent.max()) + 1
    if len(orientations) != parents:
        raise ValueError(f"every grain needs an orientation, got {len(orientations)} for {parents}")
    angle = misorientation(orientations, structure.parent[structure.grains])
    noise = np.exp(sigma * rng.standard_normal(structure.n_boundaries))
    return np.asarray(middle[np.searchsorted(edges, angle, side="right")] * noise)

"""Effective diffusivity of a grain structure, from a steady state through it."""

from __future__ import annotations

import numpy as np

from lliso._types import FloatArray
from lliso.diffusion.mesh import sampling_matrix, triangulate
from lliso.diffusion.polycrystal import Polycrystal, steady_state
from lliso.diffusion.structures import Structure

#: the slabs (shares of the length) whose mean C gives the gradient: clear of both ends, where
#: grains cut by the planes of constant C are short-circuited
_SLAB = (0.15, 0.35)
_SHIFT = 0.5


def effective_diffusivity(
    structure: Structure, size: float, *, samples: int = 400, between_ends: bool = False
) -> float:
    """Homogenised D_eff along y: flux over macroscopic gradient in the steady state.

    C is held on the lower and upper side, nothing passes the others. The gradient is taken between
    the mean C of two slabs in the interior, because the grains cut by the sides of constant C
    would make D_eff too high.

    Parameters
    ----------
    structure : Structure
    size : float
        Element size.
    samples : int
        Number of lines along y on which C is averaged; a multiple of 20.
    between_ends : bool
        Take the gradient from side to side instead: the conductance of the box as it is.

    Returns
    -------
    float
        D_eff in the unit of the structure's diffusivity.

    Raises
    ------
    ValueError
        If grains are shut off by boundaries with P = 0.

    Examples
    --------
    >>> from lliso.diffusion.structures import laminate
    >>> s = laminate((0, 0, 8, 160), np.arange(4.0, 160, 8), permeability=0.5, diffusivity=2.0)
    >>> round(effective_diffusivity(s, 4.0), 9), round(1 / (1 / 2.0 + 1 / (8 * 0.5)), 9)
    (1.333333333, 1.333333333)
    """
    if samples < 20 or samples % 20:
        raise ValueError(f"samples must be a multiple of 20, got {samples}")
    problem = Polycrystal(triangulate(structure, size))
    x0, y0, x1, y1 = structure.box
    y = problem.mesh.points[:, 1]
    length, width = y1 - y0, x1 - x0
    top, bottom = np.abs(y - y1) < 1e-9 * length, np.abs(y - y0) < 1e-9 * length
    field = steady_state(problem, top | bottom, np.where(top, 1.0, 0.0))
    flux = float(field @ (problem.stiffness() @ field)) / width  # energy = flux · difference of 1
    if between_ends:
        return flux * length
    return flux / _gradient(problem, field, samples)


def _gradient(problem: Polycrystal, field: FloatArray, samples: int) -> float:
    x0, y0, x1, y1 = problem.mesh.structure.box
    x = x0 + (np.arange(samples) + 0.5) * (x1 - x0) / samples
    share = (np.arange(samples) + 0.5) / samples
    matrix, _ = sampling_matrix(problem.mesh, x, y0 + share * (y1 - y0))
    profile = (matrix @ field).reshape(samples, samples).mean(axis=1)
    low = (share > _SLAB[0]) & (share < _SLAB[1])
    high = (share > _SLAB[0] + _SHIFT) & (share < _SLAB[1] + _SHIFT)
    return float((profile[high].mean() - profile[low].mean()) / (_SHIFT * (y1 - y0)))

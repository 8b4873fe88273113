"""Time stepping with growing steps: a second way to the same answer, and for rates that change.

Two-stage singly diagonally implicit Runge–Kutta (Alexander, SIAM J. Numer. Anal. 14 (1977) 1006):
second order and L-stable, so that steps of C and stiff grains do no harm. Where D and P are
constant, `lliso.diffusion.krylov` is faster and exact in time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csc_matrix

from lliso._types import FloatArray
from lliso.diffusion.krylov import factorised

_GAMMA = 1.0 - 1.0 / np.sqrt(2.0)


def growing_steps(time: float, number: int, growth: float = 1.0) -> FloatArray:
    """Return steps that add up to `time`, each `growth` times the one before.

    Examples
    --------
    >>> growing_steps(7.0, 3, 2.0).tolist()
    [1.0, 2.0, 4.0]
    """
    if not (time > 0 and number >= 1 and growth > 0):
        raise ValueError(
            f"time, number and growth must be positive, got {time:g}, {number}, {growth:g}"
        )
    steps = growth ** np.arange(number)
    return np.asarray(time * steps / steps.sum())


def step_through(
    stiffness: csc_matrix, mass: csc_matrix, start: FloatArray, steps: Sequence[float] | FloatArray
) -> FloatArray:
    """Solve ``M dC/dt = -K C`` over `steps`, factorising once for each length of step.

    Parameters
    ----------
    stiffness, mass : sparse matrices
    start : array, shape (n,)
    steps : sequence of float
        Lengths of the steps, all positive.

    Raises
    ------
    ValueError
        If a step is not positive: time cannot run backwards.

    Examples
    --------
    >>> k, m = csc_matrix([[2.0]]), csc_matrix([[1.0]])
    >>> c = step_through(k, m, np.array([1.0]), growing_steps(0.5, 50))
    >>> bool(abs(c[0] - np.exp(-1.0)) < 1e-4)
    True
    """
    if not all(h > 0 for h in steps):
        raise ValueError(f"steps must be positive, got {min(steps):g}; time cannot run backwards")
    field = np.array(start, dtype=float)
    factors, made_for = None, 0.0
    for h in steps:
        if factors is None or h != made_for:
            factors, made_for = factorised(csc_matrix(mass + _GAMMA * h * stiffness)), h
        first = factors.solve(-(stiffness @ field))
        second = factors.solve(-(stiffness @ (field + (1.0 - _GAMMA) * h * first)))
        field = field + h * ((1.0 - _GAMMA) * first + _GAMMA * second)
    return field

"""The algebra of Arrhenius fits: weighted lines and parabolas in 1/kT."""

from __future__ import annotations

import numpy as np
from scipy import stats

from lliso._types import FloatArray
from lliso.diffusion.transport import BOLTZMANN


def whitening(cov: FloatArray) -> FloatArray:
    """Return the matrix that makes errors of this covariance independent and 1."""
    return np.asarray(np.linalg.inv(np.linalg.cholesky(cov)))


def straight_line(
    t: FloatArray, y: FloatArray, white: FloatArray, degree: int
) -> tuple[FloatArray, FloatArray, float]:
    """Fit (ln D₀, E_a[, half the curvature]) to whitened data; covariance; χ²."""
    u = 1.0 / (BOLTZMANN * t)
    centre = float(u.mean())
    # About the middle of the data and in units of the spread: well conditioned for any E_a.
    spread = float(np.ptp(u))
    z = (u - centre) / spread
    terms = np.stack([z**k for k in range(degree + 1)], axis=1)
    a, b = white @ terms, white @ y
    q, r = np.linalg.qr(a)
    inverse = np.linalg.inv(r)
    coefficient = inverse @ (q.T @ b)
    chi2 = float(np.sum((b - a @ coefficient) ** 2))
    c = inverse @ inverse.T
    if degree == 2:
        return coefficient / spread ** np.arange(3), c / spread**4, chi2
    back = np.array([[1.0, -centre / spread], [0.0, -1.0 / spread]])
    return back @ coefficient, back @ c @ back.T, chi2


def curvature(
    t: FloatArray, y: FloatArray, white: FloatArray, known: bool
) -> tuple[float, float, float]:
    """Second derivative of y against 1/kT, its standard error, and its probability by chance."""
    if np.unique(t).size < 3 or t.size < 4:
        return float("nan"), float("nan"), float("nan")
    beta, c, chi2 = straight_line(t, y, white, 2)
    dof = t.size - 3
    std = float(np.sqrt(c[2, 2] * (1.0 if known else chi2 / dof)))
    bend = float(beta[2])
    if std == 0 or (not known and chi2 < 1e-20 * dof):  # exact: rounding is no scatter
        return 2 * bend, 0.0, float("nan")
    p = 2 * stats.t.sf(abs(bend) / std, np.inf if known else dof)
    return 2 * bend, 2 * std, float(p)

"""The recipe of the 2024 paper, for reproduction and comparison only.

A quadratic is fitted to the isotope fraction on each side of the boundary by least squares; the
step is the difference of the two at the boundary, the slope the mean of their derivatives there,
and errors are propagated to first order from the scatter of the points. Simulations show that this
uses a few per cent of the information in the counts and misstates the error; `lliso` offers it so
that published numbers can be traced.

G. Hasegawa, N. Kuwata, T. Ohnishi, K. Takada, J. Mater. Chem. A 12 (2024) 731.
"""

from __future__ import annotations

import numpy as np

from lliso._types import FloatArray
from lliso.fit.window import Window


def fit_two_quadratics(window: Window) -> tuple[FloatArray, FloatArray, float]:
    """Fit a quadratic on each side of a boundary.

    Parameters
    ----------
    window : Window
        The slices to use.

    Returns
    -------
    value : numpy.ndarray, shape (2,)
        Step (isotope fraction) and slope (1/µm), along the cut.
    covariance : numpy.ndarray, shape (2, 2)
        First-order, from the scatter of the points around the two quadratics.
    chi2_red : float
        Reduced χ² against the counting errors of the points.

    Raises
    ------
    ValueError
        If a side has fewer than 4 slices: a quadratic and its scatter need that many.

    Examples
    --------
    >>> nu = np.r_[-8:-2, 3:9].astype(float)
    >>> c = 0.4 - 1e-3 * nu - 0.02 * (nu > 0) + 1e-4 * nu**2
    >>> total = np.full(12, 1000.0)
    >>> value, _, _ = fit_two_quadratics(Window(nu, c * total, total, 8, 8, 2, 1))
    >>> value.round(6)
    array([-0.02 , -0.001])
    """
    ends = []
    chi2, dof = 0.0, 0
    for sign in (-1, 1):
        side = np.sign(window.nu) == sign
        nu, c = window.nu[side], window.fraction[side]
        if nu.size < 4:
            raise ValueError(
                f"two quadratics need at least 4 slices on each side, got {nu.size}; "
                "widen the window"
            )
        coefficients, unscaled = np.polyfit(nu, c, 2, cov="unscaled")
        residual = c - np.polyval(coefficients, nu)
        scatter = float(residual @ residual) / (nu.size - 3)
        ends.append((coefficients[::-1][:2], unscaled[::-1, ::-1][:2, :2] * scatter))
        mean = float(np.clip(window.light[side].sum() / window.total[side].sum(), 1e-9, 1 - 1e-9))
        chi2 += float(np.sum(window.total[side] * residual**2)) / (mean * (1 - mean))
        dof += nu.size - 3
    (before, cov_before), (after, cov_after) = ends
    to_result = np.array([[-1.0, 0.0, 1.0, 0.0], [0.0, 0.5, 0.0, 0.5]])
    value = to_result @ np.concatenate([before, after])
    covariance = np.zeros((4, 4))
    covariance[:2, :2], covariance[2:, 2:] = cov_before, cov_after
    return value, to_result @ covariance @ to_result.T, chi2 / dof

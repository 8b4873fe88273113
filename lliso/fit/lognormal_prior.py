"""Empirical Bayes for ln P: a common normal prior whose mean and width the map itself tells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import minimize_scalar

from lliso._types import FloatArray

#: hyperprior on ln tau: median 0.5, and a factor of two either way is one standard deviation
_TAU_MEDIAN, _TAU_SPREAD = 0.5, np.log(2.0)
_TAU_RANGE = (0.02, 3.0)


@dataclass(frozen=True)
class LogNormalPosterior:
    """Posterior of ln P under N(mu, tau²), the data's part being Gaussian.

    Attributes
    ----------
    mean : array, shape (boundary,)
    covariance : array, shape (boundary, boundary)
        For the given mu and tau, plus what the uncertainty of mu adds.
    mu, mu_std, tau : float
    """

    mean: FloatArray
    covariance: FloatArray
    mu: float
    mu_std: float
    tau: float


def lognormal_posterior(
    information: FloatArray, score: FloatArray, tau: float | None = None
) -> LogNormalPosterior:
    r"""Maximise the marginal likelihood over mu and tau and return the posterior.

    The data contribute :math:`\exp(b^T m - m^T H m / 2)`; mu is integrated out with a flat prior,
    tau maximises the evidence times a wide log-normal hyperprior (median 0.5).

    Parameters
    ----------
    information : array, shape (boundary, boundary)
        H, symmetric and positive semidefinite.
    score : array, shape (boundary,)
        b.
    tau : float, optional
        A width that is known.

    Raises
    ------
    ValueError
        If tau is not positive or the data say nothing about any boundary.

    Examples
    --------
    >>> p = lognormal_posterior(np.diag([400.0, 0.0]), np.array([800.0, 0.0]), tau=0.5)
    >>> [round(float(v), 2) for v in (*p.mean, *np.sqrt(np.diag(p.covariance)), p.mu)]
    [2.0, 2.0, 0.05, 0.71, 2.0]
    """
    if tau is not None and not tau > 0:
        raise ValueError(f"tau must be positive, got {tau:g}")
    eigenvalues, vectors = eigh(information)
    h = np.maximum(eigenvalues, 0.0)
    b = vectors.T @ score
    one = vectors.sum(axis=0)
    if not h.max() > 0:
        raise ValueError("the map must show something of the boundaries, got no information on P")

    def of_mu(t: float) -> tuple[float, float]:
        """Precision of mu and its best value, for a width t."""
        shrunk = 1.0 / (1.0 + t**2 * h)
        precision = float(np.sum(one**2 * h * shrunk))
        return precision, float(np.sum(one * b * shrunk)) / precision

    def minus_evidence(ln_tau: float) -> float:
        t = float(np.exp(ln_tau))
        precision, mu = of_mu(t)
        quadratic = t**2 * np.sum(b**2 / (1.0 + t**2 * h)) + precision * mu**2
        ln_det = np.sum(np.log1p(t**2 * h)) + np.log(precision)
        hyper = ((ln_tau - np.log(_TAU_MEDIAN)) / _TAU_SPREAD) ** 2
        return 0.5 * float(ln_det - quadratic + hyper)

    if tau is None:
        bounds = tuple(np.log(_TAU_RANGE))
        tau = float(np.exp(minimize_scalar(minus_evidence, bounds=bounds, method="bounded").x))
    precision, mu = of_mu(tau)
    variance = tau**2 / (1.0 + tau**2 * h)
    mean = vectors @ (variance * (b + mu * one / tau**2))
    pull = vectors @ (variance * one / tau**2)
    covariance = (vectors * variance) @ vectors.T + np.outer(pull, pull) / precision
    return LogNormalPosterior(mean, covariance, mu, 1.0 / np.sqrt(precision), tau)

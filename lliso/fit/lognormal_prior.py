"""Empirical Bayes for ln P: a common normal prior whose mean and width the map itself tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import minimize_scalar

from lliso._types import FloatArray

#: hyperprior on ln tau: median 0.5, and a factor of two either way is one standard deviation
_TAU_MEDIAN, _TAU_SPREAD = 0.5, np.log(2.0)
_TAU_RANGE = (0.02, 3.0)
#: step in ln tau for the curvature of its evidence, and the widest that curvature may make it
_CURVATURE_STEP, _WIDEST = 0.05, 0.7
#: nodes over the uncertainty of ln tau
_NODES = 7


@dataclass(frozen=True)
class LogNormalPosterior:
    """Posterior of ln P under N(mu, tau²), the data's part being Gaussian.

    Attributes
    ----------
    mean : array, shape (boundary,)
    covariance : array, shape (boundary, boundary)
        For the given mu and tau, plus what the uncertainty of mu (and of tau) adds.
    mu, mu_std, tau : float
    """

    mean: FloatArray
    covariance: FloatArray
    mu: float
    mu_std: float
    tau: float


def lognormal_posterior(
    information: FloatArray,
    score: FloatArray,
    tau: float | None = None,
    *,
    average: bool = False,
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
    average : bool
        Average over tau, as far as the map leaves it open, instead of taking its best value; tau
        is the root of its mean square then.

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

    def given(t: float) -> tuple[FloatArray, FloatArray, float, float]:
        """Mean, variance along each eigenvector, mu and its precision, for a width t."""
        precision, mu = of_mu(t)
        variance = t**2 / (1.0 + t**2 * h)
        return variance * (b + mu * one / t**2), variance, mu, precision

    widths, shares = np.array([tau if tau is not None else 0.0]), np.ones(1)
    if tau is None:
        bounds = tuple(np.log(_TAU_RANGE))
        best = float(minimize_scalar(minus_evidence, bounds=bounds, method="bounded").x)
        widths = np.exp([best])
        if average:
            widths, shares = _spread(minus_evidence, best)
    parts = [given(float(t)) for t in widths]
    middle = np.asarray(shares @ np.array([m for m, *_ in parts]))
    mu = float(shares @ [u for _, _, u, _ in parts])
    # what mu leaves open, and how far mean and mu move with tau
    columns, mu_variance = [], 0.0
    for t, share, (m, variance, u, precision) in zip(widths, shares, parts, strict=True):
        columns += [variance * one / t**2 * np.sqrt(share / precision), (m - middle) * share**0.5]
        mu_variance += float(share * (1.0 / precision + (u - mu) ** 2))
    root = vectors @ np.column_stack(columns)
    diagonal = np.asarray(shares @ np.array([v for _, v, _, _ in parts]))
    covariance = (vectors * diagonal) @ vectors.T + root @ root.T
    width = float(np.sqrt(shares @ widths**2))
    return LogNormalPosterior(vectors @ middle, covariance, mu, float(np.sqrt(mu_variance)), width)


def _spread(minus_evidence: Callable[[float], float], best: float) -> tuple[FloatArray, FloatArray]:
    """Widths tau and their shares: Gauss-Hermite nodes about the best one, by their evidence."""
    low, at, high = (minus_evidence(best + k * _CURVATURE_STEP) for k in (-1, 0, 1))
    curvature = (low - 2.0 * at + high) / _CURVATURE_STEP**2
    std = float(np.clip(max(curvature, 1e-12) ** -0.5, 0.0, _WIDEST))
    z, weight = np.polynomial.hermite_e.hermegauss(_NODES)
    evidence = np.array([minus_evidence(best + std * v) for v in z]) - at
    share = weight * np.exp(0.5 * z**2 - evidence)
    return np.exp(best + std * z), np.asarray(share / share.sum())

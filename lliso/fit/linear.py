"""Binomial maximum likelihood for a fraction that is linear in its parameters.

With the identity link the likelihood equations are those of least squares with the weights
n/(C(1−C)) of the fitted C: a few weighted solves reach the maximum (iteratively reweighted least
squares). A Gaussian prior enters as one more observation per parameter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lliso._types import FloatArray


@dataclass(frozen=True)
class LinearFit:
    """A maximum of the likelihood.

    Attributes
    ----------
    value : numpy.ndarray, shape (k,)
        Parameters.
    covariance : numpy.ndarray, shape (k, k)
        Their covariance, prior included.
    fitted : numpy.ndarray, shape (n,)
        Fitted fraction.
    chi2 : float
        Sum of squared residuals of the data in units of their counting error.
    dof : float
        Number of data less the parameters that they determine (the trace of the hat matrix).
    """

    value: FloatArray
    covariance: FloatArray
    fitted: FloatArray
    chi2: float
    dof: float


def fit_linear(
    terms: FloatArray,
    light: FloatArray,
    total: FloatArray,
    prior_std: FloatArray | None = None,
    rounds: int = 6,
) -> LinearFit:
    """Fit ``fraction = terms @ value`` to binomial counts.

    Parameters
    ----------
    terms : numpy.ndarray, shape (n, k)
        Columns of the linear model.
    light, total : numpy.ndarray, shape (n,)
        Counts of the light isotope and of both; totals above 0.
    prior_std : numpy.ndarray, shape (k,), optional
        Standard deviation of a Gaussian prior around 0; infinity for a free parameter, 0 for one
        that is 0.
    rounds : int
        Weighted solves at the most; 1 gives the quick fit that is used while dragging.

    Returns
    -------
    LinearFit

    Raises
    ------
    ValueError
        If the data do not determine the parameters.

    Examples
    --------
    >>> light, total = np.array([10.0, 20.0, 30.0]), np.full(3, 100.0)
    >>> fit = fit_linear(np.column_stack([np.ones(3), [-1, 0, 1]]), light, total)
    >>> fit.value.round(6)
    array([0.2, 0.1])
    """
    if prior_std is not None and np.any(prior_std == 0):
        return _some_held_at_zero(terms, light, total, prior_std, rounds)
    fraction = light / total
    precision = np.zeros(terms.shape[1]) if prior_std is None else 1.0 / prior_std**2
    scale = np.sqrt(np.mean(terms**2, axis=0))
    scale[scale == 0] = 1.0  # a column of zeros is caught below unless a prior holds it
    scaled = terms / scale
    prior = precision / scale**2
    pooled = float(light.sum() / total.sum())
    # One pseudo-count keeps the variance of an all-one-isotope slice from vanishing.
    lowest = 0.5 / (float(total.sum()) + 1.0)
    fitted = np.full(fraction.shape, pooled)
    previous = np.full(terms.shape[1], np.inf)
    for _ in range(rounds):
        safe = np.clip(fitted, lowest, 1 - lowest)
        weight = total / (safe * (1 - safe))
        normal = (scaled * weight[:, None]).T @ scaled + np.diag(prior)
        size = np.sqrt(np.diag(normal))  # a strong prior is no reason for doubt
        if not size.all() or np.linalg.cond(normal / np.outer(size, size)) > 1e14:
            raise ValueError(
                f"the {terms.shape[1]} parameters must be determined by the data, got "
                f"{light.size} points that leave some of them open; widen the window"
            )
        covariance = np.linalg.inv(normal)
        value = covariance @ (scaled.T @ (weight * fraction))
        fitted = scaled @ value
        if np.all(np.abs(value - previous) <= 1e-9 * np.sqrt(np.diag(covariance))):
            break
        previous = value
    hat = float(np.einsum("ij,ni,nj,n->", covariance, scaled, scaled, weight))
    return LinearFit(
        value=value / scale,
        covariance=covariance / np.outer(scale, scale),
        fitted=fitted,
        chi2=float(np.sum(weight * (fraction - fitted) ** 2)),
        dof=light.size - hat,
    )


def _some_held_at_zero(
    terms: FloatArray, light: FloatArray, total: FloatArray, prior_std: FloatArray, rounds: int
) -> LinearFit:
    free = prior_std > 0
    fit = fit_linear(terms[:, free], light, total, prior_std[free], rounds)
    value, covariance = np.zeros(free.size), np.zeros((free.size, free.size))
    value[free], covariance[np.ix_(free, free)] = fit.value, fit.covariance
    return replace(fit, value=value, covariance=covariance)

"""Fit of a curve to isotope fractions: counting errors, local spread, priors and bounds.

Fisher scoring: each step is a weighted least-squares solve with the variance of the fitted curve,
which for pure counting leads to the maximum of the binomial likelihood. Beyond counting, places at
one distance from the source differ because grains do; the variance of that *local spread* is
estimated by restricted maximum likelihood along with the curve.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lliso._types import BoolArray, FloatArray
from lliso.fit.scoring import Free, Model, Noise, State, descend

__all__ = ["CurveFit", "Free", "Model", "Noise", "fit_curve"]

_ROUNDS = 60
#: spread with which the fit sets out before it is estimated
_FIRST_SPREAD = 0.01


@dataclass(frozen=True, eq=False)
class CurveFit:
    """What `fit_curve` found.

    Attributes
    ----------
    value : numpy.ndarray, shape (k,)
    covariance : numpy.ndarray, shape (k, k)
        NaN in the rows of parameters at a bound, and everywhere if the fit is singular.
    curve, counting_std, std : numpy.ndarray, shape (n,)
        Fitted curve, and the standard deviation of a point by counting and in all.
    chi2, dof : float
        Against counting alone; points less parameters that the data determine.
    spread, spread_std : float
        Local spread and its standard error (NaN where it was not estimated or came out as 0).
    at_bound : numpy.ndarray of bool, shape (k,)
    singular, converged : bool
    state : State
        Curve, derivatives and weights at the end.
    information : float
        Of the local spread's variance.
    drift : numpy.ndarray, shape (k, k)
        Derivative of the covariance by that variance.
    """

    value: FloatArray
    covariance: FloatArray
    curve: FloatArray
    counting_std: FloatArray
    std: FloatArray
    chi2: float
    dof: float
    spread: float
    spread_std: float
    at_bound: BoolArray
    singular: bool
    converged: bool
    state: State
    information: float = 0.0
    drift: FloatArray | None = None

    def student_dof(self, direction: FloatArray) -> float:
        """Degrees of freedom of the variance of ``direction @ value`` (Satterthwaite).

        The local spread is estimated from few points; limits then follow Student's law.

        Parameters
        ----------
        direction : numpy.ndarray, shape (k,)

        Returns
        -------
        float
            inf where the spread was not estimated or plays no part.
        """
        if self.drift is None or self.information <= 0 or self.spread == 0:
            return np.inf
        used = direction != 0
        variance = direction[used] @ self.covariance[np.ix_(used, used)] @ direction[used]
        change = direction[used] @ self.drift[np.ix_(used, used)] @ direction[used]
        if not (np.isfinite(variance) and change > 0):
            return np.inf
        return float(2.0 * variance**2 * self.information / change**2)


def fit_curve(model: Model, free: Free, fraction: FloatArray, noise: Noise) -> CurveFit:
    """Fit `model` to `fraction`.

    Parameters
    ----------
    model : callable
        Curve at an array of parameters.
    free : Free
        The parameters.
    fraction : numpy.ndarray, shape (n,)
        Measured isotope fraction.
    noise : Noise
        What it scatters by.

    Returns
    -------
    CurveFit
        A fit that does not converge, is singular or ends at a bound says so; nothing is raised.

    Examples
    --------
    >>> x = np.linspace(-1.0, 1.0, 21)
    >>> noise = Noise(np.full(21, 1e4), np.full(21, np.nan), lambda p, c: np.zeros(21))
    >>> one = np.ones(2)
    >>> free = Free(0.3 * one, 0 * one, one, 0.1 * one, 0 * one, np.zeros((2, 2)))
    >>> fit = fit_curve(lambda p: p[0] + 0.5 * p[1] * x, free, 0.5 + 0.1 * x, noise)
    >>> fit.value.round(6).tolist()
    [0.5, 0.2]
    """
    estimate = noise.spread is None
    spread = _FIRST_SPREAD if noise.spread is None else noise.spread
    start = np.clip(free.start, free.low, free.high)
    first = 0.03 if estimate else 1e-5  # the spread will move it anyway
    state, converged = descend(model, free, fraction, noise, start, spread**2, _ROUNDS, tight=first)
    spread2, information = spread**2, 0.0
    if estimate:
        state, spread2, information, converged = _with_spread(
            model, free, fraction, noise, state, spread2
        )
    covariance, singular = state.covariance()
    hat = np.nan_to_num(covariance) @ (state.white_jacobian.T @ state.white_jacobian)
    return CurveFit(
        value=state.value,
        covariance=covariance,
        curve=state.curve,
        counting_std=np.sqrt(state.counting),
        std=np.sqrt(state.variance),
        chi2=float(np.sum(state.residual**2 / state.counting)),
        dof=float(fraction.size - np.trace(hat)),
        spread=float(np.sqrt(spread2)),
        spread_std=(
            float(0.5 / np.sqrt(information * spread2))
            if estimate and information * spread2 > 0
            else np.nan
        ),
        at_bound=state.active,
        singular=singular,
        converged=converged,
        state=state,
        information=information,
        drift=state.drift(),
    )


def _with_spread(
    model: Model, free: Free, fraction: FloatArray, noise: Noise, state: State, spread2: float
) -> tuple[State, float, float, bool]:
    """Curve and local spread in turns, until both stand still."""
    information = 0.0
    for _ in range(_ROUNDS):
        score, information = state.restricted()
        if information <= 0:  # every point is at one of the two ends: no room for a spread
            state, settled = descend(model, free, fraction, noise, state.value, 0.0, _ROUNDS, state)
            return state, 0.0, 0.0, settled
        updated = max(0.0, spread2 + score / information)
        if abs(updated - spread2) <= 1e-3 * information**-0.5:
            state, settled = descend(
                model, free, fraction, noise, state.value, updated, _ROUNDS, state
            )
            return state, updated, information, settled
        spread2 = updated
        state, _ = descend(model, free, fraction, noise, state.value, spread2, 1, state)
    return state, spread2, information, False

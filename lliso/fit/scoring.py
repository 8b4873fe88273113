"""One step of Fisher scoring for a curve through isotope fractions, and its local spread.

The arithmetic under `lliso.fit.curve.fit_curve`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_solve, solve_triangular

from lliso._types import BoolArray, FloatArray

Model = Callable[[FloatArray], FloatArray]
#: condition of the scaled normal matrix above which the data leave a parameter open
SINGULAR = 1e13


@dataclass(frozen=True, eq=False)
class Noise:
    """Variance of the data around the curve.

    Parameters
    ----------
    total : numpy.ndarray, shape (n,)
        Counts behind each point (effective, once corrected); NaN where `given` holds.
    given : numpy.ndarray, shape (n,)
        Variance of each point where it is known otherwise; NaN where counts tell.
    envelope : callable
        From (parameters, curve) the shape of the local spread's variance, at the most 1.
    spread : float or None
        Standard deviation of the local spread where the envelope is 1; None to estimate it.
    shared : callable, optional
        From the parameters a covariance between points, shape (n, n), e.g. of a common start.
    """

    total: FloatArray
    given: FloatArray
    envelope: Callable[[FloatArray, FloatArray], FloatArray]
    spread: float | None = 0.0
    shared: Callable[[FloatArray], FloatArray] | None = None

    def counting(self, curve: FloatArray) -> FloatArray:
        """Variance of each point by counting alone."""
        lowest = 0.5 / (self.total + 1.0)  # half a count keeps a pure isotope from weighing all
        safe = np.clip(curve, lowest, 1.0 - lowest)
        return np.where(np.isnan(self.given), safe * (1.0 - safe) / self.total, self.given)


@dataclass(frozen=True, eq=False)
class Free:
    """Free parameters: start, bounds, scale of a step, and a Gaussian prior.

    Parameters
    ----------
    start, low, high, scale : numpy.ndarray, shape (k,)
        `scale` is a change of the parameter that changes the curve visibly.
    mean : numpy.ndarray, shape (k,)
        Of the prior.
    precision : numpy.ndarray, shape (k, k)
        Of the prior; 0 for none.
    """

    start: FloatArray
    low: FloatArray
    high: FloatArray
    scale: FloatArray
    mean: FloatArray
    precision: FloatArray


def numeric_jacobian(model: Model, value: FloatArray, free: Free, curve: FloatArray) -> FloatArray:
    """Differences over a step of 1e-5 of the scale, away from the bounds; shape (n, k).

    One-sided: their error, 1e-5 of a derivative, moves the maximum by as little of an error bar.
    """
    out = np.empty((curve.size, value.size))
    for j in range(value.size):
        step = 1e-5 * free.scale[j]
        moved = value.copy()
        moved[j] += step if value[j] + step <= free.high[j] else -step
        out[:, j] = (model(moved) - curve) / (moved[j] - value[j])
    return out


@dataclass(frozen=True, eq=False)
class State:
    """Curve, derivatives and weights at one set of parameters."""

    value: FloatArray
    curve: FloatArray
    counting: FloatArray  # variance by counting
    envelope: FloatArray
    variance: FloatArray  # of each point, in all
    factor: FloatArray | None  # Cholesky's, where points are correlated
    jacobian: FloatArray
    white_jacobian: FloatArray
    white_residual: FloatArray
    residual: FloatArray
    normal: FloatArray
    gradient: FloatArray
    active: BoolArray  # held at a bound

    def whiten(self, array: FloatArray) -> FloatArray:
        """Divide by the standard deviation of the points (or its triangular root)."""
        if self.factor is None:
            root = 1.0 / np.sqrt(self.variance)
            return np.asarray((array.T * root).T)
        return np.asarray(solve_triangular(self.factor, array, lower=True, check_finite=False))

    def covariance(self) -> tuple[FloatArray, bool]:
        """Return the covariance of the parameters (NaN where held at a bound), and if singular."""
        return self._covariance

    @cached_property
    def _covariance(self) -> tuple[FloatArray, bool]:
        out = np.full(self.normal.shape, np.nan)
        free = ~self.active
        normal = self.normal[np.ix_(free, free)]
        size = np.sqrt(np.diag(normal))
        if not (np.all(np.isfinite(normal)) and size.all()):
            return out, True
        scaled = normal / np.outer(size, size)
        if normal.size:
            sizes = np.abs(np.linalg.eigvalsh(scaled))
            if not sizes.min() * SINGULAR >= sizes.max():
                return out, True
        out[np.ix_(free, free)] = np.linalg.inv(scaled) / np.outer(size, size)
        return out, False

    def drift(self) -> FloatArray:
        """Return the derivative of the covariance of the parameters by the spread's variance."""
        a = np.nan_to_num(self.covariance()[0])
        twice = self.white_jacobian
        if self.factor is None:
            twice = twice / np.sqrt(self.variance)[:, None]
        else:
            twice = solve_triangular(self.factor.T, twice, lower=False, check_finite=False)
        return np.asarray(a @ (twice.T @ (self.envelope[:, None] * twice)) @ a)

    def restricted(self) -> tuple[float, float]:
        """Score and information of the variance of the local spread (restricted likelihood).

        With P the inverse covariance of the points less what the curve takes away, and g the
        envelope: ½(rᵀV⁻¹gV⁻¹r − tr Pg) and ½ tr PgPg.
        """
        covariance, _ = self.covariance()
        a = np.nan_to_num(covariance)
        g = self.envelope
        if self.factor is None:
            gw = g / self.variance
            wj = self.white_jacobian
            hat = np.einsum("ij,jk,ik->i", wj, a, wj)
            once = a @ (wj.T @ (gw[:, None] * wj))
            twice = a @ (wj.T @ (gw[:, None] ** 2 * wj))
            data = np.sum(gw * self.white_residual**2)
            trace = np.sum(gw * (1.0 - hat))
            square = np.sum(gw**2) - 2.0 * np.trace(twice) + np.trace(once @ once)
        else:
            v = cho_solve((self.factor, True), np.eye(g.size), check_finite=False)
            vj = v @ self.jacobian
            p = v - vj @ a @ vj.T
            data, trace = np.sum(g * (v @ self.residual) ** 2), np.sum(g * np.diag(p))
            square = g @ (p * p) @ g
        return 0.5 * float(data - trace), 0.5 * float(square)


def state_at(
    model: Model,
    free: Free,
    fraction: FloatArray,
    noise: Noise,
    value: FloatArray,
    spread2: float,
    known: State | None = None,
) -> State:
    """Evaluate the curve, its derivatives and the weights.

    Parameters
    ----------
    model, free, fraction, noise
        As in `lliso.fit.curve.fit_curve`.
    value : numpy.ndarray, shape (k,)
        Parameters.
    spread2 : float
        Variance of the local spread where the envelope is 1.
    known : State, optional
        A state at the same parameters, whose curve and derivatives are taken over.

    Returns
    -------
    State
    """
    curve = model(value) if known is None else known.curve
    counting = noise.counting(curve)
    envelope = noise.envelope(value, curve)
    variance = counting + spread2 * envelope
    factor: FloatArray | None = None
    if noise.shared is not None:
        shared = noise.shared(value)
        factor = np.asarray(np.linalg.cholesky(shared + np.diag(variance)), dtype=np.float64)
        variance = variance + np.diag(shared)
    jacobian = numeric_jacobian(model, value, free, curve) if known is None else known.jacobian
    residual = fraction - curve
    empty = np.zeros((0, 0))
    part = State(
        value, curve, counting, envelope, variance, factor, jacobian, empty, empty, residual,
        empty, empty, np.zeros(value.size, dtype=bool),
    )  # fmt: skip
    wj, wr = part.whiten(jacobian), part.whiten(residual)
    normal = wj.T @ wj + free.precision
    gradient = wj.T @ wr - free.precision @ (value - free.mean)
    active = ((value <= free.low) & (gradient < 0)) | ((value >= free.high) & (gradient > 0))
    return State(
        value, curve, counting, envelope, variance, factor, jacobian, wj, wr, residual,
        normal, gradient, active,
    )  # fmt: skip


def descend(
    model: Model,
    free: Free,
    fraction: FloatArray,
    noise: Noise,
    value: FloatArray,
    spread2: float,
    rounds: int,
    known: State | None = None,
    tight: float = 1e-5,
) -> tuple[State, bool]:
    """Damped Gauss–Newton steps within the bounds, weights renewed at every step.

    Parameters
    ----------
    model, free, fraction, noise, value, spread2
        As in `state_at`.
    rounds : int
        Steps at the most.
    known : State, optional
        As in `state_at`.
    tight : float
        Last step allowed, in standard errors.

    Returns
    -------
    state : State
        The last one.
    converged : bool
        The last step was below `tight`.
    """
    damping, idle = 0.0, 0
    state = state_at(model, free, fraction, noise, value, spread2, known)
    for _ in range(rounds):
        moving = ~state.active
        if not moving.any():
            return state, True
        step, size = _step(state, moving, damping)
        target = np.clip(state.value + step, free.low, free.high)
        before = _cost(state, state.curve, fraction, free, state.value)
        gain = before - _cost(state, model(target), fraction, free, target)
        if gain >= -1e-12 * before:
            state = state_at(model, free, fraction, noise, target, spread2)
            # a kink of the curve (the level at a point) lets steps zigzag that gain nothing
            idle = idle + 1 if gain <= 1e-5 * max(1.0, before / fraction.size) else 0
            if idle > 4 or (damping == 0.0 and np.all(np.abs(step) <= tight * size)):
                return state, True
            damping = 0.0 if damping < 1e-3 else damping * 0.1
        else:
            if np.all(np.abs(step) <= tight * size):
                return state, True  # as low as rounding lets it
            damping = max(1e-3, damping * 10.0)
            if damping > 1e12:
                return state, False
    return state, False


def _step(state: State, moving: BoolArray, damping: float) -> tuple[FloatArray, FloatArray]:
    normal = state.normal[np.ix_(moving, moving)]
    diagonal = np.maximum(np.diag(normal), 1e-300)
    root = np.sqrt(diagonal)
    # a trace of damping keeps a parameter that the data leave open from running away
    scaled = normal / np.outer(root, root) + (damping + 1e-12) * np.eye(root.size)
    step = np.zeros(state.value.size)
    size = np.full(state.value.size, np.inf)
    step[moving] = np.linalg.solve(scaled, state.gradient[moving] / root) / root
    size[moving] = 1.0 / root
    return step, size


def _cost(
    state: State, curve: FloatArray, fraction: FloatArray, free: Free, value: FloatArray
) -> float:
    away = value - free.mean
    return float(np.sum(state.whiten(fraction - curve) ** 2) + away @ free.precision @ away)

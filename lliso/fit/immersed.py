"""The liquid level where the immersed part has a fraction of its own: a step in the curve.

A step between measured points is felt only by the point whose box it crosses. The likelihood of
the level has a maximum at every such point and is nearly flat between, so that one maximum and its
curvature say little. Here the level is moved over a grid, everything else fitted to each place, and
the covariance is that of all places by their likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lliso._types import FloatArray
from lliso.fit.curve import CurveFit, fit_curve
from lliso.fit.exchange_curve import ExchangeCurve
from lliso.fit.parameters import Layout
from lliso.fit.scoring import Noise

_LEVEL = "x0"
#: how far (in distances between points) and how densely the level is tried
_REACH, _COARSE, _FINE = 4.0, 6, 42
#: places less likely than the best by exp(-_GONE/2) do not count
_GONE = 20.0
#: by how much the error must exceed that of a single maximum to be flagged
_WIDER = 1.5


def fit_step(curve: ExchangeCurve, fraction: FloatArray, noise: Noise) -> tuple[CurveFit, bool]:
    """Fit a curve with a step at the liquid level.

    Parameters
    ----------
    curve : ExchangeCurve
        With one level for all profiles.
    fraction : numpy.ndarray, shape (n,)
    noise : Noise

    Returns
    -------
    fit : CurveFit
        At the most likely level; its covariance is over all levels that are possible.
    ambiguous : bool
        The errors are much larger than the best maximum alone would have.
    """
    free = curve.layout.free()
    fit = fit_curve(curve, free, fraction, noise)
    names = [s.name for s in curve.layout.slots if s.free]
    if _LEVEL not in names or fit.singular:
        return fit, False
    slot = curve.layout.slots[curve.layout.index(_LEVEL)]
    at = names.index(_LEVEL)
    spacing = float(np.median(np.concatenate([np.diff(p.position) for p in curve.profiles])))
    for _ in range(2):  # the first maximum may be another one, and its spread too large
        middle, reach = float(fit.value[at]), _REACH * spacing
        places = np.linspace(middle - reach, middle + reach, int(2 * _REACH * _COARSE) + 1)
        tried = _Tried(curve, fraction, replace(noise, spread=fit.spread), at)
        _, cost, values, _ = tried.at(places[(places > slot.low) & (places < slot.high)], fit.value)
        best = values[int(np.argmin(cost))]
        again = fit_curve(curve, replace(free, start=best), fraction, noise)
        if again.singular or not tried.cost(again) < tried.cost(fit) - 1e-6:
            break
        fit = again
    return _over_levels(fit, tried, spacing, (slot.low, slot.high))


def _over_levels(
    fit: CurveFit,
    tried: _Tried,
    spacing: float,
    limits: tuple[float, float],
) -> tuple[CurveFit, bool]:
    """Replace the covariance of a maximum by that over all levels."""
    at, level = tried.index, float(fit.value[tried.index])
    coarse = level + spacing / _COARSE * np.arange(-_REACH * _COARSE, _REACH * _COARSE + 1)
    # as fine as the maximum that was found is narrow, and as the data let it move
    error = float(np.nan_to_num(fit.covariance[at, at]) ** 0.5)
    near = level + error * np.linspace(-4.0, 4.0, _FINE // 3)
    places = np.unique(np.concatenate([coarse, near]))
    places, cost, values, covariances = tried.at(
        places[(places > limits[0]) & (places < limits[1])], fit.value
    )
    possible = np.flatnonzero(cost < cost.min() + _GONE)
    if possible.size < 2:
        return fit, False
    first = places[max(0, possible[0] - 1)]
    last = places[min(places.size - 1, possible[-1] + 1)]
    fine = np.unique(np.concatenate([np.linspace(first, last, _FINE), near]))
    fine = fine[(fine > limits[0]) & (fine < limits[1])]
    places, cost, values, covariances = tried.at(fine, fit.value)
    weight = np.exp(-0.5 * (cost - cost.min())) * np.gradient(places)
    weight /= weight.sum()
    away = values - fit.value
    over = np.einsum("i,ij,ik->jk", weight, away, away)
    over += np.einsum("i,ijk->jk", weight, covariances)
    over = np.where(np.isnan(fit.covariance), np.nan, over)
    wider = bool(over[at, at] > (_WIDER * error) ** 2)
    return replace(fit, covariance=over), wider


@dataclass(frozen=True, eq=False)
class _Tried:
    """Fits with the level held at one place after another."""

    curve: ExchangeCurve
    fraction: FloatArray
    noise: Noise
    index: int  # of the level among the free parameters

    def at(
        self, places: FloatArray, start: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Places that could be fitted, -2 ln L, values and covariances there."""
        kept: list[tuple[float, float, FloatArray, FloatArray]] = []
        size = start.size
        others = np.delete(np.arange(size), self.index)
        full = self.curve.layout.full(start)
        for place in places:
            slots = [
                replace(s, start=float(place), free=False) if s.name == _LEVEL
                else replace(s, start=float(v))
                for s, v in zip(self.curve.layout.slots, full, strict=True)
            ]  # fmt: skip
            held: Any = replace(self.curve, layout=Layout(tuple(slots)))
            noise = replace(self.noise, envelope=held.envelope)
            fit = fit_curve(held, held.layout.free(), self.fraction, noise)
            if fit.singular or not fit.converged:
                continue
            value, covariance = np.empty(size), np.zeros((size, size))
            value[others], value[self.index] = fit.value, place
            covariance[np.ix_(others, others)] = np.nan_to_num(fit.covariance)
            kept.append((float(place), self.cost(fit) + self._prior(float(place)), value,
                         covariance))  # fmt: skip
            full = self.curve.layout.full(value)
        return (
            np.array([k[0] for k in kept]),
            np.array([k[1] for k in kept]),
            np.array([k[2] for k in kept]).reshape(-1, size),
            np.array([k[3] for k in kept]).reshape(-1, size, size),
        )

    def cost(self, fit: CurveFit) -> float:
        """-2 ln L of the points at one local spread for all fits."""
        envelope = fit.state.envelope
        variance = fit.counting_std**2 + (self.noise.spread or 0.0) ** 2 * envelope
        return float(np.sum(fit.state.residual**2 / variance + np.log(variance)))

    def _prior(self, place: float) -> float:
        slot = self.curve.layout.slots[self.curve.layout.index(_LEVEL)]
        return 0.0 if np.isinf(slot.std) else ((place - slot.mean) / slot.std) ** 2

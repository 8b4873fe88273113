"""How strongly the counts support a step between two groups of pixels.

In each group C is a plane with a Gaussian prior; its coefficients are integrated out, so that the
evidence of two planes over one is the likelihood ratio with the price of the freedom included.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lliso._types import FloatArray


@dataclass(frozen=True)
class Evidence:
    """What merging and splitting ask: the data, the prior of a plane, the price of a boundary.

    Attributes
    ----------
    fraction, weight : arrays, shape (map, pixel)
        C and 1/σ².
    x, y : arrays, shape (pixel,)
        µm.
    level_std : array, shape (map,)
        Spread of the levels of neighbouring grains.
    slope, slope_std : arrays, shape (map, 2) and (map,)
        Mean and spread of the gradient inside grains, per µm.
    lines : array, shape (pixel,)
        Evidence of an image and traces per µm of boundary.
    cost : float
        Price of a boundary per µm in natural logarithms.
    start : float
        Price of a boundary whatever its length.
    """

    fraction: FloatArray
    weight: FloatArray
    x: FloatArray
    y: FloatArray
    level_std: FloatArray
    slope: FloatArray
    slope_std: FloatArray
    lines: FloatArray
    cost: float
    start: float

    @cached_property
    def moments(self) -> FloatArray:
        """Per map and pixel what the evidence is made of, shape (map, pixel, 9).

        Weighted products of (1, x, y) with each other (6) and with C less the mean slope (3).
        """
        w, x, y = self.weight, self.x, self.y
        r = w * (self.fraction - self.slope[:, :1] * x - self.slope[:, 1:] * y)
        one = np.ones_like(x)
        grid = np.stack([one, x, y, x * x, x * y, y * y], axis=1)
        return np.concatenate([w[..., None] * grid, r[..., None] * grid[:, :3]], axis=2)

    def score(self, moments: FloatArray) -> FloatArray:
        """Log evidence of sums of `moments`, summed over the maps; shape (map, ..., 9) -> (...)."""
        a = moments[..., 0] + _aligned(1.0 / self.level_std**2, moments)
        p = _aligned(1.0 / self.slope_std**2, moments)
        b, c = moments[..., 1], moments[..., 2]
        d, e, f = moments[..., 3] + p, moments[..., 4], moments[..., 5] + p
        h0, h1, h2 = moments[..., 6], moments[..., 7], moments[..., 8]
        # The 3 × 3 system by elimination, for many at once.
        d1, e1, f1 = d - b * b / a, e - b * c / a, f - c * c / a
        g1, g2 = h1 - b * h0 / a, h2 - c * h0 / a
        f2 = f1 - e1 * e1 / d1
        g3 = g2 - e1 * g1 / d1
        quadratic = h0 * h0 / a + g1 * g1 / d1 + g3 * g3 / f2
        prior = _aligned(self.level_std * self.slope_std**2, moments)
        determinant = a * d1 * f2 * prior**2
        return np.asarray(np.sum(0.5 * (quadratic - np.log(determinant)), axis=0))

    def gain(self, one: FloatArray, two: FloatArray) -> FloatArray:
        """Log evidence for two planes over one, of sums of `moments` of shape (map, ..., 9)."""
        both = one + two
        return np.asarray(
            self.score(_about(one, both))
            + self.score(_about(two, both))
            - self.score(_about(both, both))
        )


def _about(sums: FloatArray, both: FloatArray) -> FloatArray:
    """Shift sums of moments to the centre and the mean fraction of `both`."""
    total = np.maximum(both[..., 0].sum(axis=0), 1e-300)
    cx, cy = both[..., 1].sum(axis=0) / total, both[..., 2].sum(axis=0) / total
    base = both[..., 6] / np.maximum(both[..., 0], 1e-300)
    w, wx, wy, wxx, wxy, wyy, wc, wcx, wcy = np.moveaxis(sums, -1, 0)
    sx, sy = wx - cx * w, wy - cy * w
    return np.stack(
        [
            w,
            sx,
            sy,
            wxx - 2 * cx * wx + cx**2 * w,
            wxy - cx * wy - cy * wx + cx * cy * w,
            wyy - 2 * cy * wy + cy**2 * w,
            wc - base * w,
            wcx - cx * wc - base * sx,
            wcy - cy * wc - base * sy,
        ],
        axis=-1,
    )


def _aligned(value: FloatArray, like: FloatArray) -> FloatArray:
    return value.reshape((-1,) + (1,) * (like.ndim - 2))

"""Crank's solution to 1e-12 of itself, against arithmetic of 60 digits."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest

from lliso.diffusion.exchange import exchange_profile


def erfcx(z: mp.mpf) -> mp.mpf:
    if z < 100:
        return mp.exp(z * z) * mp.erfc(z)
    total, term = mp.mpf(0), mp.mpf(1)
    for n in range(40):
        total += term
        term *= -(2 * n + 1) / (2 * z * z)
    return total / (z * mp.sqrt(mp.pi))


@pytest.mark.parametrize("a", np.logspace(-6, 6, 25))
def test_share_at_all_arguments(a: float) -> None:
    """With D = t = 1: h√(Dt) = k, ξ = x/2."""
    x = np.array([0.0, 2e-8, 0.02, 0.2, 1.0, 2.0, 4.0, 6.6, 10.0, 16.0, 28.0, 40.0])
    found = exchange_profile(x, 1.0, 1.0, start=0.0, source=1.0, exchange=float(a))
    with mp.workdps(60):
        for at, value in zip(x, found, strict=True):
            xi, barrier = mp.mpf(float(at)) / 2, mp.mpf(float(a))
            exact = mp.exp(-xi * xi) * (erfcx(xi) - erfcx(xi + barrier))
            assert abs(mp.mpf(float(value)) / exact - 1) < 1e-12

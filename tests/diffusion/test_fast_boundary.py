"""Whipple's solution against mpmath and the equations it solves; Le Claire's slope against it."""

import mpmath as mp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import erfc

from lliso.diffusion.fast_boundary import le_claire, whipple, whipple_mean

UNITS = {"time": 1.0, "d_bulk": 1.0}


def reference(y, x, d_gb, delta):
    """Whipple's integral at 20 digits."""
    with mp.workdps(20):
        eta, ratio = mp.mpf(y), mp.mpf(d_gb)
        beta = (ratio - 1) * mp.mpf(delta) / 2
        xi = mp.mpf(x) - mp.mpf(delta) / 2

        def kernel(s):
            at = mp.sqrt((ratio - 1) / (ratio - s)) * (xi + (s - 1) / beta) / 2
            return mp.exp(-(eta**2) / 4 / s) / s ** mp.mpf(1.5) * mp.erfc(at)

        top = min(ratio, 1 + 80 * beta)
        points = [
            mp.mpf(1),
            *(1 + mp.mpf(10) ** k for k in range(-4, 12) if 10.0**k < top - 1),
            top,
        ]
        return mp.erfc(eta / 2) + eta / (2 * mp.sqrt(mp.pi)) * mp.quad(kernel, points)


@pytest.mark.parametrize(("d_gb", "delta"), [(1e6, 1e-3), (1e4, 1e-2), (20.0, 0.5)])
@pytest.mark.parametrize(("y", "x"), [(1.0, 0.0), (5.0, 0.3), (15.0, 1.5)])
def test_whipple_against_mpmath(d_gb, delta, y, x):
    at = delta / 2 + x
    found = float(whipple(y, at, **UNITS, d_gb=d_gb, delta=delta))
    assert found == pytest.approx(float(reference(y, at, d_gb, delta)), rel=1e-12)


def test_it_solves_the_diffusion_equation_and_fishers_condition_at_the_boundary():
    d_gb, delta, h = 1e4, 1e-2, 2e-3
    y, x = 6.0, 0.4

    def c(y=y, x=x, time=1.0):
        return float(whipple(y, x, time=time, d_bulk=1.0, d_gb=d_gb, delta=delta))

    rate = (c(time=1 + h) - c(time=1 - h)) / (2 * h)
    bend = (c(y + h) + c(y - h) + c(x=x + h) + c(x=x - h) - 4 * c()) / h**2
    assert rate == pytest.approx(bend, rel=1e-4)
    # in the boundary: ∂c/∂t = D_gb ∂²c/∂y² + (2D/δ) ∂c/∂x at its edge; both sides nearly cancel
    edge = delta / 2

    def e(**kwargs):
        return c(**{"x": edge, **kwargs})

    rate = (e(time=1 + h) - e(time=1 - h)) / (2 * h)
    along = d_gb * (e(y=y + 0.05) + e(y=y - 0.05) - 2 * e()) / 0.05**2
    out = 2 / delta * (-3 * c(x=edge) + 4 * c(x=edge + h) - c(x=edge + 2 * h)) / (2 * h)
    assert rate == pytest.approx(along + out, abs=2e-3 * abs(along))


def test_the_mean_is_the_integral_over_the_layer():
    d_gb, delta, spacing = 1e5, 1e-3, 40.0
    for y in (2.0, 12.0):
        extra = quad(
            lambda x, y=y: float(
                whipple(y, x + delta / 2, **UNITS, d_gb=d_gb, delta=delta) - erfc(y / 2)
            ),
            0,
            20,
            epsabs=0,
            epsrel=1e-11,
            limit=200,
        )[0]
        found = whipple_mean(y, **UNITS, d_gb=d_gb, delta=delta, spacing=spacing)
        assert float(found) == pytest.approx(erfc(y / 2) + 2 / spacing * extra, rel=1e-10)


@pytest.mark.parametrize("beta", [50.0, 5e3, 5e5])
def test_le_claires_factor_is_right_to_five_percent_in_the_tail(beta):
    delta = 1e-3
    d_gb = 2 * beta / delta
    y = np.sqrt(beta) * np.array([2.0, 3.0, 4.0])
    step = 1e-4 * y
    ends = [
        whipple_mean(y + s, **UNITS, d_gb=d_gb, delta=delta, spacing=1e3) for s in (step, -step)
    ]
    slope = np.log(ends[0] / ends[1]) / ((y + step) ** 1.2 - (y - step) ** 1.2)
    for s in slope:
        assert le_claire(s, 1.0, 1.0) == pytest.approx(d_gb * delta, rel=0.05)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"d_gb must exceed d_bulk, got .* nothing runs ahead"):
        whipple(1.0, 1.0, **UNITS, d_gb=0.5, delta=1e-3)
    with pytest.raises(ValueError, match="spacing must exceed three diffusion lengths"):
        whipple_mean(1.0, **UNITS, d_gb=1e4, delta=1e-3, spacing=2.0)
    with pytest.raises(ValueError, match="delta must be positive, got 0"):
        whipple(1.0, 1.0, **UNITS, d_gb=10.0, delta=0.0)
    with pytest.raises(ValueError, match=r"must be negative, got 0\.1"):
        le_claire(0.1, 1.0, 1.0)

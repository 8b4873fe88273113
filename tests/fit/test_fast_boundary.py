"""D_gb δ of fast boundaries from simulated profiles, and the refusals."""

import numpy as np
import pytest
from scipy.special import erfc
from scipy.stats import binom

from lliso.diffusion.fast_boundary import whipple_mean
from lliso.fit.fast_boundary import fit_fast_boundary

KNOWN = {"time": "1e5 s", "d_bulk": "1e-15 cm^2/s", "grain_size": "50 um"}
EXACT = {"time": 1e5, "d_bulk": 1e-15, "delta": 5e-8, "spacing": 50e-4}
Y = np.linspace(0.2, 20.0, 100)  # um; √(βDt) is 16 um with D_gb = 1e-8


@pytest.mark.parametrize("d_gb", [1e-9, 1e-8, 1e-7])
def test_exact_profiles_give_the_triple_product(d_gb):
    scale = np.sqrt(d_gb / 1e-8)
    c = whipple_mean(Y * scale * 1e-4, **EXACT, d_gb=d_gb)
    found = fit_fast_boundary(Y * scale, c, **KNOWN)
    assert found.triple_product == pytest.approx(d_gb * 5e-8, rel=1e-6)
    assert found.by_le_claire == pytest.approx(d_gb * 5e-8, rel=0.4)  # the depths are shallow
    assert found.permeability == pytest.approx(d_gb / 5e-8, rel=1e-6)
    assert found.beta > 10
    assert found.alpha < 0.1


def test_coverage_and_bias_over_many_repeats(rng):
    n, truth = 600, 1e-8 * 5e-8
    y = Y[::6]
    c = whipple_mean(y * 1e-4, **EXACT, d_gb=1e-8)
    pulls = []
    for _ in range(n):
        seen = c * (1 + 0.05 * rng.standard_normal(y.size))
        found = fit_fast_boundary(y, seen, 0.05 * seen, **KNOWN)
        relative = found.triple_product_std / found.triple_product
        pulls.append(np.log(found.triple_product / truth) / relative)
    pulls = np.array(pulls)
    assert abs(pulls.mean()) < 0.1  # known to 0.04
    for hits, level in ((np.sum(np.abs(pulls) < 1), 0.6827), (np.sum(np.abs(pulls) < 1.96), 0.95)):
        low, high = binom.interval(0.999, n, level)
        assert low <= hits <= high


def test_a_profile_without_a_tail_is_refused():
    y = np.linspace(0.01, 0.49, 100)
    with pytest.raises(ValueError, match="must hold 4 points deeper than 5 diffusion lengths"):
        fit_fast_boundary(y, erfc(y / 0.2), **KNOWN)
    with pytest.raises(ValueError, match="the tail must fall with depth"):
        fit_fast_boundary(Y, np.full(Y.size, 0.01) + 1e-4 * np.sin(Y), **KNOWN)


def test_data_of_another_type_are_refused_with_the_reason():
    c = whipple_mean(Y * 1e-4, **EXACT, d_gb=1e-8)
    with pytest.raises(ValueError, match=r"'fisher' must not be used here: .* Harrison type AB?,"):
        fit_fast_boundary(Y, c, **{**KNOWN, "grain_size": 0.1})
    with pytest.raises(ValueError, match="'fisher' must not be used here"):
        fit_fast_boundary(Y, c, **KNOWN, delta="100 nm")  # α is no longer small


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="depth and concentration must be of one length"):
        fit_fast_boundary(Y, Y[:-1], **KNOWN)
    with pytest.raises(ValueError, match="d_bulk must be positive, got 0"):
        fit_fast_boundary(Y, Y, **{**KNOWN, "d_bulk": 0.0})
    with pytest.raises(ValueError, match="std must be positive"):
        fit_fast_boundary(Y, Y, 0.0, **KNOWN)

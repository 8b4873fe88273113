"""The closed forms against quadrature, a linear system and a chain solved in time; limits."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import lognorm

from lliso.diffusion.anneal import anneal_profile
from lliso.diffusion.chain import chain_of, run_chain
from lliso.diffusion.effective import (
    d_eff_brick_layer,
    d_eff_hart,
    d_eff_maxwell_garnett,
    d_eff_mixed,
    d_eff_series,
    grain_size_from_intercept,
    harmonic_factor,
)
from lliso.diffusion.polycrystal import Stage

LLTO = {"d_bulk": 2.6e-8, "permeability": 1.36e-6, "grain_size": 16e-4}
DELTA = 5e-8
OTHER = {"d_bulk": 2.0, "permeability": 0.5, "grain_size": 8.0}


@pytest.mark.parametrize("given", [LLTO, OTHER])
@pytest.mark.parametrize("share", [1e-5, 0.05, 0.5])
def test_the_series_model_is_the_integral_of_the_resistance(given, share):
    length = given["grain_size"]
    delta = share * length
    slow = given["permeability"] * delta

    def resistance(x: float) -> float:
        return length / (given["d_bulk"] if x < 1.0 else slow)

    pieces = [
        quad(resistance, a, b, epsabs=0, epsrel=1e-13)[0] for a, b in ((0, 1), (1, 1 + share))
    ]
    expected = (length + delta) / sum(pieces)
    assert d_eff_series(**given, delta=delta) == pytest.approx(expected, rel=1e-10)


def test_eq_5_becomes_eq_6_for_thin_boundaries():
    thin = d_eff_series(**LLTO)
    assert thin == pytest.approx(1 / (1 / 2.6e-8 + 1 / (16e-4 * 1.36e-6)), rel=1e-14)
    assert d_eff_series(**LLTO, delta=DELTA) / thin - 1 == pytest.approx(DELTA / 16e-4, rel=1e-9)


def test_the_brick_layer_is_the_integral_over_its_columns():
    delta, size = 1.5, OTHER["grain_size"]

    def conductance(y: float, z: float) -> float:
        inside = y < size and z < size
        return float(d_eff_series(**OTHER, delta=delta)) if inside else 0.5 * delta

    total = 0.0
    for y in ((0, size), (size, size + delta)):
        for z in ((0, size), (size, size + delta)):
            total += quad(
                lambda u, z=z: quad(lambda v: conductance(u, v), *z, epsrel=1e-12)[0],
                *y,
                epsrel=1e-12,
            )[0]
    expected = total / (size + delta) ** 2
    assert d_eff_brick_layer(**OTHER, delta=delta) == pytest.approx(expected, rel=1e-10)


def coated(dimensions: int, d_bulk: float, d_gb: float, size: float, delta: float) -> float:
    """D of the medium that a coated cylinder or sphere does not disturb, by its own potential."""
    a, b, n = size / 2, (size + delta) / 2, dimensions
    # inside: A r; shell: B r + E r^(1-n); outside the field of the medium, r, undisturbed
    m = np.array(
        [
            [a, -a, -(a ** (1 - n)), 0.0],
            [d_bulk, -d_gb, -d_gb * (1 - n) * a**-n, 0.0],
            [0.0, b, b ** (1 - n), 0.0],
            [0.0, d_gb, d_gb * (1 - n) * b**-n, -1.0],
        ]
    )
    return float(np.linalg.solve(m, [0.0, 0.0, b, 0.0])[3])


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("permeability", [0.01, 0.5, 40.0])
def test_maxwell_garnett_is_the_coated_inclusion_that_disturbs_nothing(dimensions, permeability):
    delta, size, d_bulk = 0.7, 8.0, 2.0
    if dimensions == 1:
        expected = float(d_eff_series(d_bulk, permeability, size, delta))
    else:
        expected = coated(dimensions, d_bulk, permeability * delta, size, delta)
    found = d_eff_maxwell_garnett(d_bulk, permeability, size, delta, dimensions=dimensions)
    assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("model", [d_eff_brick_layer, d_eff_maxwell_garnett])
def test_blocking_boundaries_reduce_the_others_to_eq_6_to_first_order(model):
    exact = d_eff_series(**OTHER)
    off = [abs(model(**OTHER, delta=d) / exact - 1) for d in (1e-4, 1e-5, 1e-6)]
    np.testing.assert_allclose(np.divide(off[:-1], off[1:]), 10.0, rtol=0.01)


def test_fast_boundaries_carry_the_brick_layer_as_hart_says():
    fast = {"d_bulk": 1.0, "permeability": 1e12, "grain_size": 1.0, "delta": 1e-6}
    # Two thirds of the walls of cubes lie along the flux; Hart counts all of them.
    brick, hart = d_eff_brick_layer(**fast) - 1.0, d_eff_hart(**fast) - 1.0
    assert brick / hart == pytest.approx(2 / 3, rel=1e-4)
    series = d_eff_series(1.0, 1e12, 1.0, 1e-6)
    assert series == pytest.approx(1.0, rel=1e-5)  # and the series model sees nothing of it


def test_hart_is_refused_for_blocking_boundaries_with_the_reason():
    with pytest.raises(ValueError, match=r"Hart's model needs boundaries at least as fast .* got"):
        d_eff_hart(**LLTO, delta=DELTA)


def test_unequal_grains_and_boundaries_need_the_mean_size_and_the_mean_resistance(rng):
    sizes, p = rng.lognormal(2.5, 0.5, 300), rng.lognormal(-4.0, 0.5, 300)
    total = np.sum(sizes) / (np.sum(sizes / 2.6) + np.sum(1 / p))
    assert d_eff_mixed(2.6, p, sizes) == pytest.approx(total, rel=1e-12)
    assert d_eff_mixed(2.6, [1.0, 0.0], [8.0]) == 0.0


@pytest.mark.parametrize("spread", [0.1, 0.5, 1.5])
def test_the_lognormal_mean_resistance_against_quadrature(spread):
    sigma = np.sqrt(np.log1p(spread**2))
    law = lognorm(s=sigma, scale=np.exp(-0.5 * sigma**2))  # mean 1
    inverse = quad(
        lambda z: np.exp(-z) * law.pdf(np.exp(z)) * np.exp(z), -12, 12, epsabs=0, epsrel=1e-12
    )[0]
    assert harmonic_factor(spread) == pytest.approx(inverse, rel=1e-10)


def test_a_chain_solved_in_time_spreads_with_the_predicted_d_eff(rng):
    sizes = rng.lognormal(np.log(14.0), 0.4, 400)
    p = rng.lognormal(np.log(0.0136), 0.5, 399)
    chain = chain_of(sizes, permeability=p, diffusivity=2.6, cells=4)
    x, length = chain.centres, float(chain.edges[-1])
    start = np.where(x < length / 2, 1.0, 0.0)
    time = 2e6
    (after,) = run_chain(chain, [Stage(time)], initial=start)
    d_eff = d_eff_mixed(2.6, p, sizes)

    def step(y):
        return np.where(y < length / 2, 1.0, 0.0)

    even = anneal_profile(x, d_eff * time, start=step, ends=(0.0, length))
    # Grain by grain the field has steps; their mean is that of the medium.
    assert np.sqrt(np.mean((after - even) ** 2)) < 0.02
    wrong = anneal_profile(x, 1.3 * d_eff * time, start=step, ends=(0.0, length))
    assert np.mean((after - wrong) ** 2) > 1.5 * np.mean((after - even) ** 2)


def test_grain_size_from_intercepts():
    assert grain_size_from_intercept(np.pi) == pytest.approx(4.0, rel=1e-15)
    assert grain_size_from_intercept(2.0, dimensions=3) == 3.0
    with pytest.raises(ValueError, match="dimensions must be 2 or 3, got 1"):
        grain_size_from_intercept(2.0, dimensions=1)


@pytest.mark.parametrize("name", ["d_bulk", "permeability", "grain_size"])
@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan")])
def test_what_is_not_positive_is_named(name, bad):
    for model in (d_eff_series, d_eff_brick_layer, d_eff_maxwell_garnett, d_eff_hart):
        with pytest.raises(ValueError, match=f"{name} must be positive"):
            model(**{**OTHER, name: bad}, delta=0.1)

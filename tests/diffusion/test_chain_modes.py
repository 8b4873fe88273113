from __future__ import annotations

import numpy as np
import pytest

from lliso.diffusion.chain import Chain, chain_of, chain_steps, run_chain
from lliso.diffusion.chain_modes import solve_chain
from lliso.diffusion.exchange import bar_exchange, exchange_profile
from lliso.diffusion.polycrystal import Stage

SIZES = [12.0, 20.0, 9.0, 16.0, 25.0]
P = np.array([0.01, 0.03, 0.005, 0.02])
D = np.array([2.6, 2.0, 3.0, 2.6, 1.5])
STAGES = [Stage(3000.0, source=0.95), Stage(500.0), Stage(2000.0, None, 3.0, 7.0)]


def laplace(chain: Chain, at: np.ndarray, time: float) -> np.ndarray:
    """C for a source of 1 behind a barrier k: its transform inverted (fixed Talbot)."""
    m = 24
    r = 2.0 * m / (5.0 * time)
    theta = np.arange(1, m) * np.pi / m
    s = r * theta * (1.0 / np.tan(theta) + 1j)
    sigma = theta + (theta / np.tan(theta) - 1.0) / np.tan(theta)

    def transform(p: complex) -> np.ndarray:
        value, flux = 1.0 + 0j, 0.0 + 0j
        out = np.zeros(len(at), dtype=complex)
        for g in range(len(chain.diffusivity) - 1, -1, -1):
            d, left, right = chain.diffusivity[g], chain.edges[g], chain.edges[g + 1]
            q = np.sqrt(p / d)
            here = (at >= left) & (at < right)
            u = at[here] - right
            out[here] = value * np.cosh(q * u) + flux / (d * q) * np.sinh(q * u)
            ch, sh = np.cosh(q * (left - right)), np.sinh(q * (left - right))
            value, flux = value * ch + flux / (d * q) * sh, value * d * q * sh + flux * ch
            if g:
                value = value - flux / chain.permeability[g - 1]
        return out / ((value - flux / chain.exchange) * p)

    total = 0.5 * np.exp(r * time) * transform(r).real
    for sk, gk in zip(s, sigma, strict=True):
        total = total + (np.exp(time * sk) * transform(sk) * (1 + 1j * gk)).real
    return r / m * total


@pytest.mark.parametrize("k", [np.inf, 0.03])
@pytest.mark.parametrize("time", [60.0, 300.0, 3000.0, 30000.0])
def test_exchange_agrees_with_the_inverted_laplace_transform(k: float, time: float) -> None:
    chain = chain_of(SIZES, permeability=P, diffusivity=D, exchange=k)
    x = np.linspace(0.5, 81.5, 60)
    (state,) = solve_chain(chain, [Stage(time, source=1.0)], initial=0.0)
    assert np.abs(state.value(x) - laplace(chain, x, time)).max() < 1e-10


def test_finite_volumes_converge_to_it_at_second_order() -> None:
    exact = solve_chain(chain_of(SIZES, permeability=P, diffusivity=D), STAGES, initial=0.0759)
    errors, steps = [], []
    for cells in (5, 10, 20, 40):
        chain = chain_of(SIZES, permeability=P, diffusivity=D, cells=cells)
        fields = run_chain(chain, STAGES, initial=0.0759)
        errors.append(
            [np.abs(f - e.value(chain.centres)).max() for f, e in zip(fields, exact, strict=True)]
        )
        steps.append(np.abs(chain_steps(chain, fields[1]) - exact[1].steps()).max())
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert np.all(np.abs(orders - 2.0) < 0.1)
    assert np.log2(steps[2] / steps[3]) == pytest.approx(2.0, abs=0.1)


def test_lithium_is_conserved_to_rounding() -> None:
    sizes = np.random.default_rng(0).lognormal(2.5, 0.6, 60)
    chain = chain_of(sizes, permeability=0.0136, diffusivity=2.6)
    stages = [Stage(2e5, source=0.95), Stage(1e6), Stage(1e5, None, 10.0, 30.0), Stage(1e8)]
    amounts = [s.amount() for s in solve_chain(chain, stages, initial=0.0759)]
    assert amounts[1:] == pytest.approx([amounts[0]] * 3, rel=1e-13)


def test_one_grain_is_a_bar() -> None:
    chain = chain_of([50.0], permeability=1.0, diffusivity=2.6, exchange=0.02)
    (state,) = solve_chain(chain, [Stage(500.0, source=0.95)], initial=0.1)
    x = np.linspace(0.0, 50.0, 41)
    law = {"start": 0.1, "source": 0.95, "exchange": 0.02}
    assert state.value(x) == pytest.approx(
        bar_exchange(x, 500.0, 2.6, length=50.0, **law), abs=1e-13
    )


def test_a_long_chain_diffuses_with_eq_6() -> None:
    """Means of grains far from both ends; the first boundary is a whole grain from the source."""
    size, p, d, time = 16.0, 0.0136, 2.6, 60 * 86400.0
    (state,) = solve_chain(
        chain_of(np.full(300, size), permeability=p, diffusivity=d),
        [Stage(time, source=1.0)],
        initial=0.0,
    )
    d_eff = 1.0 / (1.0 / d + 1.0 / (size * p))
    middle = (np.arange(300) + 0.5) * size
    origin = 0.5 * d_eff / p
    exact = bar_exchange(middle, time, d_eff, length=300 * size - origin, start=0.0, source=1.0,
                         origin=origin)  # fmt: skip
    assert np.abs(state.grain_means() - exact)[:250].max() < 2e-5
    wrong = exchange_profile(middle, time, d, start=0.0, source=1.0, origin=origin)
    assert np.abs(state.grain_means() - wrong).max() > 0.1


def test_no_resistance_no_source_and_no_time() -> None:
    free = chain_of([10.0, 10.0], permeability=np.inf, diffusivity=1.0)
    (state,) = solve_chain(free, [Stage(30.0, source=1.0)], initial=0.2)
    x = np.linspace(0.0, 20.0, 21)
    exact = bar_exchange(x, 30.0, 1.0, length=20.0, start=0.2, source=1.0)
    assert state.value(x) == pytest.approx(exact, abs=1e-13)
    assert state.steps() == pytest.approx([0.0], abs=1e-13)
    shut = chain_of([10.0, 10.0], permeability=0.1, diffusivity=1.0, exchange=0.0)
    (closed,) = solve_chain(shut, [Stage(30.0, source=1.0)], initial=0.2)
    assert closed.value(x) == pytest.approx(0.2, abs=1e-14)
    (still,) = solve_chain(free, [Stage(0.0, source=1.0)], initial=0.2)
    assert still.value(x) == pytest.approx(0.2, abs=0)


@pytest.mark.parametrize(
    ("permeability", "time", "message"),
    [(0.0, 10.0, "must be positive, got 0"), (0.01, 1e-9, "long enough for 600 eigenfunctions")],
)
def test_bad_input(permeability: float, time: float, message: str) -> None:
    chain = chain_of([10.0, 10.0], permeability=permeability, diffusivity=1.0)
    with pytest.raises(ValueError, match=message):
        solve_chain(chain, [Stage(time, source=1.0)], initial=0.0)

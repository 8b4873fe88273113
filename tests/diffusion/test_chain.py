from __future__ import annotations

import numpy as np
import pytest

from lliso.diffusion.chain import Chain, chain_of, chain_steps, run_chain
from lliso.diffusion.exchange import exchange_profile
from lliso.diffusion.polycrystal import Stage
from lliso.diffusion.rational import expm_tridiagonal, exponential_poles

HOURS59, DAYS16 = 59 * 3600.0, 16 * 86400.0


def test_rational_exponential_is_accurate_on_the_whole_axis() -> None:
    z, c = exponential_poles()
    s = -np.concatenate([[0.0], np.logspace(-6, 12, 500)])
    assert np.abs(2.0 * (c / (s[:, None] - z)).sum(axis=1).real - np.exp(s)).max() < 1e-12


def test_tridiagonal_exponential_agrees_with_eigenvectors() -> None:
    rng = np.random.default_rng(1)
    off = rng.random(59)
    diagonal = -np.concatenate([[0.3], off]) - np.concatenate([off, [0.0]])
    a = np.diag(diagonal) + np.diag(off, 1) + np.diag(off, -1)
    lam, q = np.linalg.eigh(a)
    start = rng.random(60)
    for t in (0.1, 3.0, 1e4):
        exact = q @ (np.exp(lam * t) * (q.T @ start))
        assert expm_tridiagonal(off, diagonal, off, start, t) == pytest.approx(exact, abs=1e-12)


def laplace_profile(chain: Chain, at: np.ndarray, time: float) -> np.ndarray:
    """C at positions `at` for a source of 1 held from time 0, by inverting its transform.

    In a grain C̄ = a cosh q(x - r) + b sinh q(x - r), q = √(s/D); value and flux are carried from
    the closed end to the source. Fixed Talbot inversion (Abate, Valkó 2004).
    """
    m = 24
    r = 2.0 * m / (5.0 * time)
    theta = np.arange(1, m) * np.pi / m
    s = r * theta * (1.0 / np.tan(theta) + 1j)
    sigma = theta + (theta / np.tan(theta) - 1.0) / np.tan(theta)

    def transform(p: complex) -> np.ndarray:
        value, flux = 1.0 + 0j, 0.0 + 0j  # at the far end; flux is D dC/dx
        out = np.zeros(len(at), dtype=complex)
        for g in range(len(chain.diffusivity) - 1, -1, -1):
            d, left, right = chain.diffusivity[g], chain.edges[g], chain.edges[g + 1]
            q = np.sqrt(p / d)
            here = (at >= left) & (at < right)
            u = at[here] - right
            out[here] = value * np.cosh(q * u) + flux / (d * q) * np.sinh(q * u)
            u0 = left - right
            value, flux = (
                value * np.cosh(q * u0) + flux / (d * q) * np.sinh(q * u0),
                value * d * q * np.sinh(q * u0) + flux * np.cosh(q * u0),
            )
            if g:
                value = value - flux / chain.permeability[g - 1]
        return out / (value * p)

    total = 0.5 * np.exp(r * time) * transform(r).real
    for sk, gk in zip(s, sigma, strict=True):
        total = total + (np.exp(time * sk) * transform(sk) * (1 + 1j * gk)).real
    return r / m * total


def test_laminate_agrees_with_the_inverted_laplace_transform() -> None:
    sizes, p = [12.0, 20.0, 9.0, 16.0, 25.0], np.array([0.01, 0.03, 0.005, 0.02])
    d = np.array([2.6, 2.0, 3.0, 2.6, 1.5])
    errors = []
    for cells in (10, 20, 40):
        chain = chain_of(sizes, permeability=p, diffusivity=d, cells=cells)
        (c,) = run_chain(chain, [Stage(3000.0, source=1.0)], initial=0.0)
        # midpoint values differ from cell means by h²/24 C'': part of the second-order error
        errors.append(np.abs(c - laplace_profile(chain, chain.centres, 3000.0)).max())
    assert errors[0] < 1e-3
    assert np.log2(errors[0] / errors[1]) > 1.8
    assert np.log2(errors[1] / errors[2]) > 1.8


def test_long_chain_follows_effective_diffusion() -> None:
    """Eq. (6): far from the ends a fine chain diffuses with 1/(1/D + 1/(l P))."""
    size, p, d = 16.0, 0.0136, 2.6
    chain = chain_of(np.full(400, size), permeability=p, diffusivity=d)
    (c,) = run_chain(chain, [Stage(60 * 86400.0, source=1.0)], initial=0.0)
    d_eff = 1.0 / (1.0 / d + 1.0 / (size * p))
    # the first boundary lies a whole grain from the source: half its resistance is missing there
    origin = 0.5 * d_eff / p
    means = c.reshape(400, -1).mean(axis=1)
    middle = (np.arange(400) + 0.5) * size
    exact = exchange_profile(middle, 60 * 86400.0, d_eff, start=0.0, source=1.0, origin=origin)
    assert np.abs(means - exact)[:200].max() < 1e-5


def test_steps_carry_the_flux() -> None:
    chain = chain_of([10.0, 10.0, 10.0], permeability=np.array([0.02, 0.01]), diffusivity=2.6)
    (c,) = run_chain(chain, [Stage(500.0, source=1.0)], initial=0.0)
    steps = chain_steps(chain, c)
    width = 1.0
    slope = (c[9] - c[8]) / width  # just before the first boundary
    assert np.all(steps < 0)
    assert 0.02 * steps[0] == pytest.approx(2.6 * slope, rel=0.03)


def test_conservation_in_storage_and_through_stages() -> None:
    chain = chain_of(
        np.random.default_rng(0).lognormal(2.5, 0.6, 200), permeability=0.0136, diffusivity=2.6
    )
    a, b, c = run_chain(
        chain, [Stage(HOURS59, source=0.95), Stage(DAYS16), Stage(DAYS16)], initial=0.0759
    )
    amounts = [chain.widths @ f for f in (a, b, c)]
    assert amounts[1:] == pytest.approx([amounts[0]] * 2, rel=1e-12)


def test_p_zero_and_p_infinite() -> None:
    wall = chain_of([10.0, 10.0], permeability=0.0, diffusivity=1.0)
    (c,) = run_chain(wall, [Stage(1e6, source=1.0)], initial=0.2)
    assert c[:10] == pytest.approx(1.0, abs=1e-9)
    assert c[10:] == pytest.approx(0.2, abs=1e-12)
    assert chain_steps(wall, c)[0] == pytest.approx(-0.8)
    none = chain_of([10.0, 10.0], permeability=np.inf, diffusivity=1.0)
    one = chain_of([20.0], permeability=1.0, diffusivity=1.0, cells=20)
    (c,) = run_chain(none, [Stage(30.0, source=1.0)], initial=0.2)
    (e,) = run_chain(one, [Stage(30.0, source=1.0)], initial=0.2)
    assert c == pytest.approx(e, abs=1e-13)
    assert chain_steps(none, c)[0] == 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: chain_of([1.0, 0.0], permeability=1.0, diffusivity=1.0), "edges must grow"),
        (lambda: chain_of([1.0, 1.0], permeability=-1.0, diffusivity=1.0), "must not be negative"),
        (lambda: chain_of([1.0], permeability=1.0, diffusivity=0.0), "finite and positive"),
        (lambda: chain_of([1.0], permeability=1.0, diffusivity=1.0, cells=0), "cells must be"),
        (lambda: Chain(np.arange(4.0), np.ones(1), np.ones(3)), "needs 2 permeabilities"),
        (lambda: Stage(-5.0), "duration must be finite and not negative"),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]

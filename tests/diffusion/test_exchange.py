from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import erfc

from lliso.diffusion.chain import chain_of, run_chain
from lliso.diffusion.exchange import bar_exchange, box_mean, exchange_profile
from lliso.diffusion.polycrystal import Stage

X = np.linspace(0.0, 6.0, 25)


def test_without_barrier_it_is_erfc() -> None:
    c = exchange_profile(X, 3.0, 0.5, start=0.1, source=0.9, origin=1.0)
    xi = np.maximum(X - 1.0, 0.0) / (2 * np.sqrt(1.5))
    assert c == pytest.approx(0.1 + 0.8 * erfc(xi), abs=1e-15)


@pytest.mark.parametrize("k", [1e-6, 1e-2, 0.3, 0.7, 5.0, 1e3])
def test_surface_condition_and_amount(k: float) -> None:
    """What has gone in is the time integral of k (C₁ - C at the surface)."""
    t, d = 2.0, 0.5

    def missing(s: float) -> float:
        return float(1.0 - exchange_profile(0.0, s, d, start=0.0, source=1.0, exchange=k))

    entered = k * quad(lambda r: 2 * r * missing(r * r), 0, np.sqrt(t), epsabs=1e-13)[0]
    inside = quad(
        lambda s: float(exchange_profile(s, t, d, start=0.0, source=1.0, exchange=k)),
        0,
        12.0,
        epsabs=1e-14 * k,
    )[0]
    assert inside == pytest.approx(entered, rel=1e-8)


def test_small_barrier_agrees_with_its_expansion() -> None:
    """To first order in a = k√(t/D): 2a ierfc(ξ); the plain formula loses all digits here."""
    t, d, k = 1.0, 1.0, 1e-9
    xi = X / 2.0
    ierfc = np.exp(-(xi**2)) / np.sqrt(np.pi) - xi * erfc(xi)
    c = exchange_profile(X, t, d, start=0.0, source=1.0, exchange=k)
    assert c == pytest.approx(2.0 * k * ierfc, rel=1e-8)


def test_both_forms_meet() -> None:
    around = [
        exchange_profile(X, 1.0, 1.0, start=0.0, source=1.0, exchange=0.5 * (1 + e))
        for e in (-1e-13, 1e-13)
    ]
    assert around[0] == pytest.approx(around[1], rel=1e-11, abs=1e-16)


def test_no_overflow_for_a_fast_surface() -> None:
    c = exchange_profile(X, 1.0, 1.0, start=0.0, source=1.0, exchange=1e8)
    assert c == pytest.approx(erfc(X / 2), abs=1e-7)


@pytest.mark.parametrize("k", [np.inf, 0.2])
def test_bar_equals_the_half_space_early_and_the_source_late(k: float) -> None:
    early = bar_exchange(X, 0.3, 1.0, length=6.0, start=0.0, source=1.0, exchange=k)
    half = exchange_profile(X, 0.3, 1.0, start=0.0, source=1.0, exchange=k)
    assert early == pytest.approx(half, abs=1e-14)
    late = bar_exchange(X, 1e4, 1.0, length=6.0, start=0.0, source=1.0, exchange=k)
    assert late == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("k", [np.inf, 0.2])
def test_bar_forms_meet(k: float) -> None:
    t = 36.0 * 0.00601
    series = bar_exchange(X, t, 1.0, length=6.0, start=0.0, source=1.0, exchange=k)
    half = exchange_profile(X, t, 1.0, start=0.0, source=1.0, exchange=k)
    assert series == pytest.approx(half, abs=1e-13)


@pytest.mark.parametrize("k", [np.inf, 0.02])
def test_bar_agrees_with_finite_volumes(k: float) -> None:
    chain = chain_of([50.0], permeability=1.0, diffusivity=2.6, exchange=k, cells=800)
    (c,) = run_chain(chain, [Stage(500.0, source=0.95)], initial=0.1)
    exact = bar_exchange(chain.centres, 500.0, 2.6, length=50.0, start=0.1, source=0.95, exchange=k)
    assert c == pytest.approx(exact, abs=2e-6)


def test_no_exchange_and_no_time_change_nothing() -> None:
    for kw in ({"time": 0.0}, {"time": 1.0, "exchange": 0.0}):
        c = exchange_profile([1.0, 2.0], diffusivity=1.0, start=0.2, source=1.0, **kw)
        assert c.tolist() == [0.2, 0.2]


def test_box_mean_of_erfc_across_the_level() -> None:
    def profile(s: np.ndarray) -> np.ndarray:
        return exchange_profile(s, 1.0, 1.0, start=0.0, source=1.0)

    at = [-3.0, 0.1, 1.0]
    exact = [quad(lambda s: float(profile(s)), a - 0.5, a + 0.5, points=[0.0])[0] for a in at]
    assert box_mean(profile, at, 1.0, breaks=(0.0,)) == pytest.approx(exact, abs=1e-12)
    assert box_mean(profile, at, 0.0) == pytest.approx(profile(np.array(at)))


@pytest.mark.parametrize(
    ("kw", "message"),
    [
        ({"time": -1.0}, "time must be finite and not negative, got -1"),
        ({"diffusivity": 0.0}, "diffusivity must be finite and positive, got 0"),
        ({"exchange": -2.0}, "exchange must not be negative, got -2"),
        ({"length": 0.0}, "length must be finite and positive, got 0"),
    ],
)
def test_bad_input(kw: dict[str, float], message: str) -> None:
    good = {"time": 1.0, "diffusivity": 1.0, "length": 1.0, "start": 0.0, "source": 1.0}
    with pytest.raises(ValueError, match=message):
        bar_exchange(X, **(good | kw))


def test_negative_box_is_refused() -> None:
    with pytest.raises(ValueError, match="width must not be negative"):
        box_mean(lambda s: s, [0.0], -1.0)

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from lliso.diffusion.anneal import anneal_profile, diffusion_integral
from lliso.diffusion.exchange import exchange_profile

ENDS = (-800.0, 2600.0)


def start(s: np.ndarray) -> np.ndarray:
    return exchange_profile(s, 59 * 3600.0, 0.3, start=0.0759, source=0.95)


def test_a_cosine_decays_exactly() -> None:
    x = np.linspace(0.0, 10.0, 21)
    wave = 3 * np.pi / 10.0
    c = anneal_profile(x, 0.7, start=lambda s: 0.5 + np.cos(wave * s), ends=(0.0, 10.0))
    assert c == pytest.approx(0.5 + np.cos(wave * x) * np.exp(-(wave**2) * 0.7), abs=1e-14)


def test_two_steps_equal_one() -> None:
    x = np.linspace(*ENDS, 1701)
    once = anneal_profile(x, 5e5, start=start, ends=ENDS)
    first = anneal_profile(x, 2e5, start=start, ends=ENDS)
    twice = anneal_profile(x, 3e5, start=(x, first), ends=ENDS)
    assert twice == pytest.approx(once, abs=1e-6)


def test_lithium_is_conserved() -> None:
    n = 2048
    cells = ENDS[0] + (np.arange(n) + 0.5) * (ENDS[1] - ENDS[0]) / n
    for spread in (1e3, 4e5, 1e9):
        c = anneal_profile(cells, spread, start=start, ends=ENDS, points=n)
        assert c.sum() == pytest.approx(start(cells).sum(), rel=1e-12)


def test_error_of_the_kink_at_the_level() -> None:
    x = np.linspace(*ENDS, 300)
    exact = anneal_profile(x, 4e5, start=start, ends=ENDS, points=2**16)
    error = [
        np.abs(anneal_profile(x, 4e5, start=start, ends=ENDS, points=p) - exact).max()
        for p in (512, 1024, 2048)
    ]
    assert error[2] < 2e-7
    assert error[0] / error[2] > 8.0


def test_free_spreading_agrees_with_the_infinite_bar() -> None:
    x = np.linspace(-50.0, 50.0, 41)
    c = anneal_profile(
        x, 20.0, start=lambda s: np.exp(-(s**2) / 40.0), ends=(-200.0, 200.0), points=1024
    )
    assert c == pytest.approx(np.sqrt(1 / 3) * np.exp(-(x**2) / 120.0), abs=1e-13)


def test_programme_of_ramp_and_hold() -> None:
    def d(temperature: np.ndarray) -> np.ndarray:
        return 0.05 * np.exp(-0.35 / (8.617333e-5 * temperature))

    times, temps = [0.0, 600.0, 4200.0, 4800.0], [295.0, 473.0, 473.0, 295.0]
    exact = quad(
        lambda t: float(d(np.interp(t, times, temps))), 0, 4800, points=times, epsrel=1e-11
    )[0]
    assert diffusion_integral(times, temps, d) == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: anneal_profile([0.0], -1.0, start=start, ends=ENDS), "cannot run backwards"),
        (lambda: anneal_profile([0.0], 1.0, start=start, ends=(1.0, 0.0)), "ends must be in order"),
        (lambda: anneal_profile([9e9], 1.0, start=start, ends=ENDS), "positions must lie in the"),
        (lambda: anneal_profile([0.0], 1.0, start=start, ends=ENDS, points=1), "points must be"),
        (
            lambda: anneal_profile([0.0], 1.0, start=([1.0, 0.0], [0.0, 1.0]), ends=ENDS),
            "start must be growing",
        ),
        (lambda: diffusion_integral([1.0, 0.0], [3.0, 3.0], np.ones_like), "runs backwards"),
        (lambda: diffusion_integral([1.0], [3.0], np.ones_like), "at least 2, got 1 and 1"),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]

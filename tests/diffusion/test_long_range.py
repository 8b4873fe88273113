from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from lliso.diffusion.anneal import anneal_profile
from lliso.diffusion.exchange import bar_exchange, exchange_profile
from lliso.diffusion.long_range import (
    exchange_fraction,
    exchange_share,
    gaussian_mean,
    storage_fraction,
    storage_share,
)

X = np.array([-3.0, -0.1, 0.2, 1.0, 4.0, 9.0])


@pytest.mark.parametrize("k", [np.inf, 0.4])
def test_a_blurred_exchange_agrees_with_quadrature(k: float) -> None:
    blur, level = 0.7, 0.3
    found = exchange_share(X, 1.0, level, k, time=2.0, blur=blur)

    def profile(s: float) -> float:
        return float(exchange_profile(s, 2.0, 1.0, start=0, source=1, exchange=k, origin=level))

    for x, value in zip(X, found, strict=True):
        kernel = lambda s, x=x: profile(s) * np.exp(-0.5 * ((s - x) / blur) ** 2)  # noqa: E731
        exact = quad(kernel, x - 7, x + 7, points=[level, x], epsabs=1e-14, limit=200)[0]
        assert value == pytest.approx(exact / (blur * np.sqrt(2 * np.pi)), abs=1e-10)


def test_box_and_blur_together_are_the_box_of_the_blurred() -> None:
    both = exchange_share(X, 1.0, 0.3, time=2.0, blur=0.7, box=1.0)[2]

    def blurred(s: float) -> float:
        return float(exchange_share([s], 1.0, 0.3, time=2.0, blur=0.7)[0])

    assert both == pytest.approx(quad(blurred, -0.3, 0.7, epsabs=1e-13)[0], abs=1e-12)


def test_a_gaussian_does_not_move_a_plateau_or_a_line() -> None:
    assert gaussian_mean(np.ones_like, X, 2.0) == pytest.approx(1.0, abs=1e-14)
    assert gaussian_mean(lambda s: s, X, 2.0) == pytest.approx(X, abs=1e-13)


def test_storage_begins_with_the_exchange() -> None:
    ends = (-10.0, 40.0)
    before = exchange_share(X, 1.0, 0.3, time=2.0, ends=ends)
    assert storage_share(X, 0.0, 1.0, 0.3, time=2.0, ends=ends) == pytest.approx(before, abs=0)
    soon = storage_share(X, 1e-5, 1.0, 0.3, time=2.0, ends=ends)
    assert soon == pytest.approx(before, abs=2e-3)


def test_storage_agrees_with_the_sampled_bar_at_second_order() -> None:
    """The cosine transform of a sampled start converges to the closed form, 4-fold per doubling."""
    ends, level = (-10.0, 40.0), 0.37
    exact = storage_share(X, 3.0, 1.0, level, time=2.0, ends=ends)

    def start(s: np.ndarray) -> np.ndarray:
        return bar_exchange(s, 2.0, 1.0, length=40.0 - level, start=0, source=1, origin=level)

    error = [
        np.abs(anneal_profile(X, 3.0, start=start, ends=ends, points=p) - exact).max()
        for p in (256, 1024, 4096, 16384)
    ]
    # a cell of width h misplaces h²/8 of the kink's change of slope, spread by Green's function
    kink, peak = 1.0 / np.sqrt(np.pi * 2.0), 1.0 / np.sqrt(4.0 * np.pi * 3.0)
    assert error[-1] < (50.0 / 16384) ** 2 / 8.0 * kink * peak
    orders = np.log2(np.array(error[:-1]) / np.array(error[1:])) / 2
    assert orders.mean() == pytest.approx(2.0, abs=0.4)


def test_both_ends_are_the_mirror_of_one() -> None:
    whole = exchange_share(np.array([1.0, 19.0]), 1.0, 0.0, 0.4, time=30.0, ends=(0.0, 20.0),
                           both_ends=True)  # fmt: skip
    assert whole[0] == pytest.approx(whole[1], abs=1e-15)
    half = bar_exchange([1.0], 30.0, 1.0, length=10.0, start=0, source=1, exchange=0.4)
    assert whole[0] == pytest.approx(half[0], abs=1e-15)
    early = exchange_share(np.array([1.0, 19.0]), 1.0, 0.0, time=0.1, ends=(0.0, 20.0),
                           both_ends=True)  # fmt: skip
    assert early[0] == early[1]


def test_fractions_run_between_the_two() -> None:
    c = exchange_fraction([-1.0, 1e3], 1.0, 0.0, 0.0759, 0.95, time=1.0)
    assert c.tolist() == [0.95, 0.0759]
    stored = storage_fraction([5.0], 1e5, 1.0, 0.0, 0.1, 0.9, time=1.0, ends=(-10.0, 10.0))
    assert stored[0] == pytest.approx(0.1 + 0.8 * (10 + 2 / np.sqrt(np.pi)) / 20, abs=1e-13)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: exchange_share(X, 1.0, 0.0, time=-1.0), "time must be finite and not negative"),
        (lambda: exchange_share(X, 0.0, 0.0, time=1.0), "diffusivity must be finite and positive"),
        (lambda: exchange_share(X, 1.0, 9.0, time=1.0, ends=(0.0, 9.0)), "must lie behind the"),
        (lambda: exchange_share(X, 1.0, 0.0, time=1.0, both_ends=True), "bar of finite length"),
        (lambda: gaussian_mean(np.ones_like, X, -1.0), "blur must not be negative"),
        (
            lambda: storage_share(X, -1.0, 1.0, 0.0, time=1.0, ends=(-9.0, 9.0)),
            "spread must be finite",
        ),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from lliso.diffusion.cosine import (
    cosine_basis,
    cosine_sum,
    damping,
    exchange_amplitudes,
    line_amplitudes,
    terms_needed,
)
from lliso.diffusion.exchange import bar_exchange

ENDS = (-10.0, 40.0)


@pytest.mark.parametrize("k", [np.inf, 0.3, 1e-5])
@pytest.mark.parametrize("time", [1.0, 9.0, 300.0])
def test_amplitudes_of_an_exchange_agree_with_quadrature(k: float, time: float) -> None:
    """At 300 the far end has felt the source."""
    origin, length = 1.0, 50.0
    found = exchange_amplitudes(time, 1.0, ends=ENDS, number=7, exchange=k, origin=origin)

    def share(x: float) -> float:
        law = {"start": 0.0, "source": 1.0, "exchange": k, "origin": origin}
        return float(bar_exchange(x, time, 1.0, length=ENDS[1] - origin, **law))

    for n, amplitude in enumerate(found):
        q = n * np.pi / length
        pieces = [(ENDS[0], origin), (origin, 12.0), (12.0, ENDS[1])]
        exact = sum(
            quad(lambda x, q=q: share(x) * np.cos(q * (x - ENDS[0])), a, b, epsabs=1e-13)[0]
            for a, b in pieces
        )
        assert amplitude == pytest.approx((1 if n == 0 else 2) * exact / length, abs=1e-12)


def test_both_forms_of_the_amplitudes_meet() -> None:
    free = ENDS[1] - 1.0
    for k in (np.inf, 0.3):
        early, late = (
            exchange_amplitudes(f * free**2, 1.0, ends=ENDS, number=40, exchange=k, origin=1.0)
            for f in (0.0059999999, 0.0060000001)
        )
        assert early == pytest.approx(late, abs=1e-8)


def test_spreading_of_an_erfc_agrees_with_an_independent_quadrature() -> None:
    """Green's function of the closed bar (images) integrated over the start."""
    time, spread = 4.0, 3.0

    def start(s: float) -> float:
        law = {"start": 0.0, "source": 1.0, "origin": 1.0}
        return float(bar_exchange(s, time, 1.0, length=39.0, **law))

    def green(x: float, s: float) -> float:
        images = [s, 2 * ENDS[0] - s, 2 * ENDS[1] - s]
        return sum(np.exp(-((x - i) ** 2) / (4 * spread)) for i in images) / np.sqrt(
            4 * np.pi * spread
        )

    number = terms_needed(50.0, spread)
    amplitudes = exchange_amplitudes(time, 1.0, ends=ENDS, number=number, origin=1.0)
    x = np.array([-10.0, -3.0, 0.9, 2.0, 7.0, 40.0])
    found = cosine_sum(x, amplitudes, spread, ends=ENDS)
    for at, value in zip(x, found, strict=True):
        exact = quad(
            lambda s, at=at: start(s) * green(at, s), -10.0, 40.0, points=[1.0, at],
            epsabs=1e-13, limit=200,
        )[0]  # fmt: skip
        assert value == pytest.approx(exact, abs=1e-10)


def test_box_and_gaussian_agree_with_quadrature() -> None:
    amplitudes = exchange_amplitudes(4.0, 1.0, ends=ENDS, number=400, origin=1.0)

    def plain(s: float, spread: float) -> float:
        return float(cosine_sum([s], amplitudes, spread, ends=ENDS)[0])

    box = quad(lambda s: plain(s, 2.0), 1.5, 3.5, epsabs=1e-13)[0] / 2.0
    assert cosine_sum([2.5], amplitudes, 2.0, ends=ENDS, box=2.0)[0] == pytest.approx(
        box, abs=1e-12
    )
    # a Gaussian of σ is worth a spread of σ²/2
    blurred = cosine_sum([2.5], amplitudes, 2.0, ends=ENDS, blur=1.5)[0]
    assert blurred == pytest.approx(plain(2.5, 2.0 + 1.125), abs=1e-14)


def test_lithium_is_conserved_to_rounding() -> None:
    amplitudes = exchange_amplitudes(4.0, 1.0, ends=ENDS, number=2000, origin=1.0)
    nodes, weights = np.polynomial.legendre.leggauss(400)
    x = 15.0 + 25.0 * nodes
    amounts = [25.0 * weights @ cosine_sum(x, amplitudes, s, ends=ENDS) for s in (1.0, 30.0, 1e5)]
    assert amounts == pytest.approx([50.0 * amplitudes[0]] * 3, rel=1e-13)


def test_points_joined_by_lines() -> None:
    at, values = np.array([-9.0, -2.0, 3.0, 30.0]), np.array([0.9, 0.8, 0.3, 0.1])
    found = line_amplitudes(at, ends=ENDS, number=6) @ values
    for n, amplitude in enumerate(found):
        q = n * np.pi / 50.0
        exact = quad(
            lambda x, q=q: np.interp(x, at, values) * np.cos(q * (x + 10.0)), *ENDS,
            points=at, epsabs=1e-13, limit=200,
        )[0]  # fmt: skip
        assert amplitude == pytest.approx((1 if n == 0 else 2) * exact / 50.0, abs=1e-12)


def test_a_single_cosine_decays_exactly() -> None:
    amplitudes = np.array([0.5, 0.0, 0.0, 1.0])
    q = 3 * np.pi / 50.0
    x = np.linspace(*ENDS, 9)
    found = cosine_sum(x, amplitudes, 7.0, ends=ENDS)
    assert found == pytest.approx(0.5 + np.cos(q * (x + 10)) * np.exp(-(q**2) * 7.0), abs=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: damping(-1.0, ends=ENDS, number=2), "cannot run backwards"),
        (lambda: damping(1.0, ends=ENDS, number=2, box=-1.0), "box and blur must not be negative"),
        (lambda: cosine_basis([99.0], ends=ENDS, number=2), "positions must lie in the bar"),
        (
            lambda: cosine_basis([0.0], ends=(1.0, 0.0), number=2),
            "ends must be finite and in order",
        ),
        (lambda: line_amplitudes([1.0, 1.0], ends=ENDS, number=2), "two or more growing positions"),
        (lambda: line_amplitudes([1.0, 99.0], ends=ENDS, number=2), "start's positions must lie"),
        (
            lambda: exchange_amplitudes(1.0, 1.0, ends=ENDS, number=2, origin=50.0),
            "liquid level must lie in the bar",
        ),
        (lambda: exchange_amplitudes(-1.0, 1.0, ends=ENDS, number=2), "time must be finite"),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]

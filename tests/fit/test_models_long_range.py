from __future__ import annotations

import pickle

import numpy as np
import pytest

from lliso.fit.exchange import fit_exchange
from lliso.fit.models_long_range import (
    ExchangeModel,
    StorageModel,
    SurfaceExchangeModel,
    exchange_profile_fraction,
)
from lliso.maps.fraction import isotope_fraction
from lliso.maps.synthetic_profiles import LineAnalysis, simulate_line_analysis

X = np.arange(-900.0, 6000.0, 120.0)
TIME = 110 * 3600.0


def test_the_model_and_the_fit_agree_on_pure_counting() -> None:
    (first, *_), _ = simulate_line_analysis(LineAnalysis(local_spread=0.0), seed=2)
    data = isotope_fraction(first)
    c, x = data.fraction.values, first.distance.values
    model = ExchangeModel()
    law = {"position": x, "time": TIME, "box": 50.0}
    weights = 1.0 / data.fraction_std.values
    result = model.fit(c, model.guess(c, x, TIME), weights=weights, scale_covar=False, **law)
    table = fit_exchange(first, time=TIME, local_spread=0.0)
    for name in ("d_eff", "x0", "c0", "c1"):
        row, found = table.sel(param=name), result.params[name]
        assert abs(found.value - float(row.value)) < 0.2 * float(row.stderr)
        assert found.stderr == pytest.approx(float(row.stderr), rel=0.05)


def test_guesses_are_near() -> None:
    c = exchange_profile_fraction(X, 8e-9, 300.0, 0.0759, 0.95, time=TIME)
    guess = ExchangeModel().guess(c, X, TIME)
    assert guess["d_eff"].value == pytest.approx(8e-9, rel=0.1)
    assert guess["x0"].value == pytest.approx(300.0, abs=20.0)
    assert ExchangeModel().guess(c, X, TIME, x0=250.0)["x0"].value == 250.0
    assert ExchangeModel(prefix="a_").guess(c, X, TIME, c0=0.07)["a_c0"].value == 0.07


def test_models_pickle() -> None:
    for model in (ExchangeModel(), SurfaceExchangeModel(), StorageModel()):
        assert pickle.loads(pickle.dumps(model)).param_names == model.param_names


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ExchangeModel().guess(X), "guess needs positions and time"),
        (lambda: ExchangeModel().guess(X, X[:5], TIME), "of one length, at least 4"),
        (lambda: ExchangeModel().guess(X, X[::-1], TIME), "positions must grow"),
        (lambda: ExchangeModel().guess(X, X, -1.0), "time must be positive"),
        (lambda: StorageModel().guess(X, X), "guess needs the start and the bar, got no d_exch"),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]

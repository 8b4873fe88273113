"""A predicted D_eff with its errors; spread and error of the mean kept apart."""

import numpy as np
import pytest

import lliso
from lliso.diffusion.effective import d_eff_series
from lliso.fit.effective import compare_models, effective_medium

LLTO = {"d_bulk": "2.6e-8 cm^2/s", "permeability": "1.36e-6 cm/s", "grain_size": "16 um"}


def test_the_papers_number_and_where_its_error_comes_from():
    """2.2 ± 1.4 e-9 with P = 1.5e-6: the ± is the spread of the grains' sizes, not an error."""
    found = effective_medium(
        d_bulk=2.8e-8, permeability=1.5e-6, grain_size=16, grain_size_spread=11
    )
    assert found.d_eff == pytest.approx(2.2e-9, abs=0.05e-9)
    assert found.d_eff_spread == pytest.approx(1.4e-9, abs=0.05e-9)
    assert found.d_eff_std == 0.0
    many = effective_medium(
        d_bulk=2.8e-8, permeability=1.5e-6, grain_size=16, grain_size_std=11 / np.sqrt(400)
    )
    assert many.d_eff_std == pytest.approx(found.d_eff_spread / 20, rel=1e-6)


def test_errors_against_simulated_errors(rng):
    n = 200_000
    d, p, size = (
        v * np.exp(s * rng.standard_normal(n))
        for v, s in ((2.6e-8, 0.05), (1.36e-6, 0.04), (16e-4, 0.03))
    )
    found = effective_medium(
        **LLTO,
        d_bulk_std=0.05 * 2.6e-8,
        permeability_std=0.04 * 1.36e-6,
        grain_size_std=0.03 * 16,
    )
    drawn = np.log(d_eff_series(d, p, size))
    assert found.d_eff_std / found.d_eff == pytest.approx(np.std(drawn), rel=0.01)
    assert sum(found.shares.values()) == pytest.approx(1.0, rel=1e-12)
    assert found.shares["permeability"] > found.shares["grain_size"] > found.shares["d_bulk"]


def test_p_that_came_from_d_bulk_shares_its_error(rng):
    scale = np.exp(0.1 * rng.standard_normal(200_000))
    drawn = d_eff_series(2.6e-8 * scale, 1.36e-6 * scale, 16e-4)
    errors = {"d_bulk_std": 2.6e-9, "permeability_std": 1.36e-7}
    found = effective_medium(**LLTO, **errors, correlation=1.0)
    assert found.d_eff_std / found.d_eff == pytest.approx(np.std(np.log(drawn)), rel=0.01)
    assert found.d_eff_std > effective_medium(**LLTO, **errors).d_eff_std


def test_the_spread_of_p_lowers_d_eff_by_its_harmonic_mean(rng):
    plain = effective_medium(**LLTO)
    wide = effective_medium(**LLTO, permeability_spread=0.5 * 1.36e-6)
    assert 1 / wide.d_eff - 1 / 2.6e-8 == pytest.approx(1.25 * (1 / plain.d_eff - 1 / 2.6e-8))


@pytest.mark.parametrize("model", ["brick_layer", "maxwell_garnett"])
def test_the_other_models_agree_for_thin_blocking_boundaries(model):
    assert effective_medium(**LLTO, model=model).d_eff == pytest.approx(
        effective_medium(**LLTO).d_eff, rel=2e-4
    )


def test_hart_is_refused_and_left_out_of_the_comparison():
    with pytest.raises(ValueError, match=r"'hart' must not be used here: boundaries are slower"):
        effective_medium(**LLTO, model="hart")
    mean = {"d_bulk": 2.6e-8, "permeability": 1.36e-6, "grain_size": 16e-4}
    assert set(compare_models(mean, 5e-8)) == {"series", "brick_layer", "maxwell_garnett"}


def test_fast_boundaries_take_hart_and_not_the_series_model():
    fast = {"d_bulk": 1e-15, "permeability": 1e-2, "grain_size": 5.0}
    found = effective_medium(**fast, model="hart", d_bulk_std=1e-16)
    assert found.d_eff == pytest.approx(1e-15 + 3 * 5e-8 / 5e-4 * 5e-10, rel=1e-3)
    assert found.d_eff_std < 1e-3 * found.d_eff  # the boundaries carry nearly all
    with pytest.raises(ValueError, match=r"'series' must not be used here: .* along them"):
        effective_medium(**fast)


def test_too_short_a_time_is_flagged():
    assert "few_grains" in effective_medium(**LLTO, time="1 h").flags
    assert effective_medium(**LLTO, time="110 h").flags == ()
    assert effective_medium(**{**LLTO, "permeability": 1e-3}).flags == ("transparent",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"d_bulk": -1.0}, r"d_bulk must be positive, got -1 cm\^2/s"),
        ({"grain_size": "16 s"}, "grain_size must have a unit like um"),
        ({"permeability_std": -1.0}, "permeability_std must not be negative"),
        ({"model": "fisher"}, "model must be one of series, brick_layer"),
        ({"correlation": 2.0}, "correlation must be between -1 and 1"),
    ],
)
def test_bad_input_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        effective_medium(**{**LLTO, **change})


def test_the_public_name_is_this_function():
    assert lliso.effective_medium is effective_medium

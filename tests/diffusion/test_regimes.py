"""Which regime, and which models are refused in it."""

import numpy as np
import pytest

from lliso.diffusion.regimes import classify

LLTO = {"d_bulk": 2.6e-8, "permeability": 1.36e-6, "grain_size": 16e-4, "delta": 5e-8}
METAL = {"d_bulk": 1e-15, "permeability": 1e-2, "grain_size": 50e-4, "delta": 5e-8}


def test_llto_blocks_and_the_boundaries_carry_most_of_the_resistance():
    found = classify(**LLTO, time=110 * 3600)
    assert found.kind == "blocking"
    assert found.biot == pytest.approx(1.36e-6 * 16e-4 / 2.6e-8)
    assert found.resistance_share == pytest.approx(1 / (1 + found.biot))
    assert set(found.refused) == {"hart", "fisher"}
    found.check("series")
    with pytest.raises(ValueError, match=r"'fisher' must not be used here: boundaries are slower"):
        found.check("fisher")


def test_a_short_time_refuses_every_effective_medium():
    found = classify(**LLTO, time=3600.0)
    assert found.reach < 5
    with pytest.raises(ValueError, match=r"'series' .* grain sizes far"):
        found.check("series")


def test_boundaries_without_resistance_are_transparent():
    found = classify(2.6e-8, 1e-3, 16e-4, 5e-8)
    assert found.kind == "transparent"
    assert np.isnan(found.reach)


@pytest.mark.parametrize(
    ("time", "kind"),
    [(1e14, "A"), (1e10, "AB"), (1e6, "B"), (5.0, "BC"), (0.1, "C")],
)
def test_harrisons_types_of_fast_boundaries_in_their_order(time, kind):
    found = classify(**METAL, time=time)
    assert (found.kind, found.harrison) == ("fast", kind)
    assert found.alpha == pytest.approx(0.5 * 5e-8 / np.sqrt(1e-15 * time))


def test_fishers_model_is_for_type_b_and_the_series_model_never_for_fast_boundaries():
    classify(**METAL, time=1e6).check("fisher")
    assert "faster" in classify(**METAL, time=1e6).refused["series"]
    for time in (1e14, 0.1):
        with pytest.raises(ValueError, match="the analysis needs type B"):
            classify(**METAL, time=time).check("fisher")
    weak = classify(1e-15, 1e-7, 50e-4, 5e-8, time=1e6)  # D_gb/D = 5: β is small
    with pytest.raises(ValueError, match=r"beta = .* above 10"):
        weak.check("fisher")


@pytest.mark.parametrize("name", [*LLTO, "time"])
def test_what_is_not_positive_is_named(name):
    with pytest.raises(ValueError, match=f"{name} must be positive, got -1"):
        classify(**{**LLTO, "time": 1.0, name: -1.0})

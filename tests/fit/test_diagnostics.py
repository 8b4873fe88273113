"""Diagnostics say what is wrong when something is, and nothing when nothing is."""

import numpy as np
import pytest

from lliso.fit.diagnostics import (
    counts_needed,
    expected_error,
    patch_residuals,
    stability,
    why_so_large,
)
from lliso.fit.patch import PatchGeometry, PatchImage, fit_patch

X, Y = np.arange(40) * 1.0, np.arange(80) * 1.0
GEOMETRY = PatchGeometry("1", 19.5, 39.5, 0.0, 1.0, 30.0, 35.0, 35.0)


def simulated(rng, counts=2000, wrong=0.0):
    nu = np.broadcast_to((Y - 39.5)[:, None], (Y.size, X.size))
    fraction = 0.3 - 0.02 * ((nu > 0) - 0.5) - 1.1e-4 * nu
    fraction = fraction + wrong * (np.abs(nu - 20) < 4)  # a grain that nobody marked
    light = rng.binomial(counts, fraction).astype(float)
    return PatchImage(light, np.full(light.shape, float(counts)), X, Y, 1.0)


def test_residuals_of_a_right_model_are_gaussian(rng):
    image = simulated(rng)
    fit = fit_patch(image, GEOMETRY, mean_slope=1e-4)
    residuals = patch_residuals(image, GEOMETRY, fit)
    assert residuals.z.size == fit.n_slices
    assert residuals.p_value() > 1e-3
    expected, found = residuals.quantiles()
    inner = slice(expected.size // 20, -expected.size // 20)
    np.testing.assert_allclose(found[inner], expected[inner], atol=0.25)
    binned = residuals.binned(5.0)
    assert float(np.abs(binned.z).max()) < 4.5


def test_residuals_show_where_the_model_is_wrong(rng):
    image = simulated(rng, wrong=0.02)
    fit = fit_patch(image, GEOMETRY, mean_slope=1e-4)
    binned = patch_residuals(image, GEOMETRY, fit).binned(5.0)
    across = np.abs(binned.z).mean("tau")
    assert float(across.max()) > 3
    assert 13 < float(across.nu[int(across.argmax("nu"))]) < 27


def test_a_sound_result_is_stable_and_shrinking_windows_only_cost(rng):
    image = simulated(rng, counts=100_000)
    table = stability(image, GEOMETRY, mean_slope=1e-4, guards=(1.0, 2.0), shares=(1.0, 0.6))
    full = table.sel(guard=1.0, share=1.0)
    assert str(full.kind.values) == "measured"
    for guard in (1.0, 2.0):
        for share in (1.0, 0.6):
            one = table.sel(guard=guard, share=share)
            assert float(one.low) < 1.1e-4 / 0.02 * 1.35
            assert float(one.high) > 1.1e-4 / 0.02 / 1.35
    width = table.high - table.low
    assert float(width.sel(guard=1.0, share=0.6)) > float(width.sel(guard=1.0, share=1.0))


def test_what_is_left_too_short_is_nan(rng):
    table = stability(simulated(rng), GEOMETRY, guards=(1.0, 17.0), shares=(1.0,))
    assert np.isnan(table.ratio.sel(guard=17.0, share=1.0))
    assert str(table.kind.sel(guard=17.0, share=1.0).values) == "failed"


def test_counts_needed_scale_as_counts_do(rng):
    """Four times the counts need a quarter of the factor, and have the error foretold."""
    few = fit_patch(simulated(rng, 1000), GEOMETRY, mean_slope=1e-4)
    many = fit_patch(simulated(rng, 4000), GEOMETRY, mean_slope=1e-4)
    assert counts_needed(few, 1.1e-4) / counts_needed(many, 1.1e-4) == pytest.approx(4, rel=0.25)
    foretold = expected_error(few, 1.1e-4, more_counts=4.0)
    assert expected_error(many, 1.1e-4) == pytest.approx(foretold, rel=0.1)


def test_grains_too_short_for_any_counts_are_told_so(rng):
    short = PatchGeometry("1", 19.5, 39.5, 0.0, 1.0, 30.0, 9.0, 9.0)
    fit = fit_patch(simulated(rng), short, mean_slope=1e-4)
    assert np.isinf(counts_needed(fit, 1e-4, target=0.05))


def test_the_sentence_names_what_limits(rng):
    fit = fit_patch(simulated(rng, 300), GEOMETRY, mean_slope=1e-4)
    sentence = why_so_large(fit, 1.1e-4, hours=5.0)
    assert "The slope is known to" in sentence
    assert "times the counts" in sentence
    assert "of the same imaging" in sentence

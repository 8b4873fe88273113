"""The population estimate on tables whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from lliso.diffusion.homogenised import effective_diffusivity
from lliso.diffusion.structures import laminate
from lliso.fit.population import (
    permeability_distribution,
    population_permeability,
    predicted_d_eff,
)

D_BULK = 2.6e-8
P = 1.3e-6


def table(rng, n=240, *, slope_noise=1.0, step_noise=0.003, sigma=0.0, size=0.02, shared=0.0):
    """A table of boundaries between grains of a chain, with errors correlated as in a fit.

    `shared` is the part of the slopes' noise that the two boundaries of a grain have in common.
    """
    p = P * np.exp(sigma * rng.standard_normal(n) - 0.5 * sigma**2)
    step = -np.abs(rng.normal(size, 0.4 * size, n))
    slope = p / D_BULK * step
    of_grain = rng.standard_normal(n + 1)
    common = (of_grain[:-1] + of_grain[1:]) / np.sqrt(2)
    a = np.sqrt(1 - shared) * rng.standard_normal(n) + np.sqrt(shared) * common
    b = -0.87 * a + np.sqrt(1 - 0.87**2) * rng.standard_normal(n)
    columns = {
        "step": step + step_noise * b,
        "slope": slope + slope_noise * a,
        "step_std": np.full(n, step_noise),
        "slope_std": np.full(n, slope_noise),
        "step_slope_correlation": np.full(n, -0.87),
        "grain1": np.arange(n),
        "grain2": np.arange(n) + 1,
    }
    attrs = {"d_bulk_cm2_per_s": D_BULK, "d_bulk_relative_std": 0.1, "mean_slope_per_cm": 1.0}
    found = xr.Dataset({k: ("boundary", v) for k, v in columns.items()}, attrs=attrs)
    return found, float(np.sum(step**2 * p) / np.sum(step**2))


@pytest.mark.parametrize("shared", [0.0, 0.8])
def test_no_bias_and_true_intervals(shared):
    rng = np.random.default_rng(1)
    draws = [table(rng, shared=shared) for _ in range(300)]
    found = [(population_permeability(t), true) for t, true in draws]
    off = np.array([e.permeability - true for e, true in found])
    std = np.array([e.std for e, _ in found])
    assert abs(off.mean()) < 3 * off.std() / np.sqrt(off.size)
    assert off.std() == pytest.approx(np.median(std), rel=0.12)
    for level, low, high in ((0.6827, "low68", "high68"), (0.95, "low", "high")):
        inside = np.mean([getattr(e, low) <= t <= getattr(e, high) for e, t in found])
        error = np.sqrt(level * (1 - level) / len(found))
        assert abs(inside - level) < 3.5 * error


def test_without_its_correction_the_regression_would_be_wrong():
    rng = np.random.default_rng(2)
    plain, mine, true = [], [], []
    for _ in range(60):
        t, p = table(rng, step_noise=0.01, slope_noise=2.5)
        plain.append(D_BULK * float((t.slope * t.step).sum() / (t.step**2).sum()))
        mine.append(population_permeability(t).permeability)
        true.append(p)
    assert np.mean(plain) < 0.7 * np.mean(true)
    assert np.mean(mine) == pytest.approx(np.mean(true), rel=0.05)


def test_step_squared_mean_of_a_spread():
    rng = np.random.default_rng(3)
    ratio = []
    for _ in range(40):
        t, true = table(rng, n=600, sigma=0.5, slope_noise=0.2, step_noise=0.001)
        ratio.append(population_permeability(t).permeability / true)
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.02)


def test_flags():
    rng = np.random.default_rng(4)
    t, _ = table(rng)
    assert population_permeability(t).flags == ()
    assert population_permeability(t, chosen_by_step=True).flags == ("visible_steps_only",)
    few, _ = table(rng, n=20)
    assert "few_boundaries" in population_permeability(few).flags
    noisy, _ = table(rng, step_noise=0.02)
    assert "low_counts" in population_permeability(noisy).flags
    named = t.assign(probability=("boundary", np.linspace(0, 1, 240)))
    half = population_permeability(named, least_probability=0.5)
    assert (half.n, half.flags) == (120, ("visible_steps_only",))
    found = population_permeability(t.assign_attrs(found_from="counts"))
    assert found.flags == ("undetected_boundaries",)
    with pytest.raises(ValueError, match="at least 10 fitted boundaries, got 8"):
        population_permeability(table(rng, n=8)[0])


def test_no_steps_is_a_lower_limit():
    rng = np.random.default_rng(5)
    t, _ = table(rng, size=1e-9, step_noise=0.001)
    slope = -12.0 + rng.standard_normal(240)
    found = population_permeability(t.assign(slope=("boundary", slope)))
    assert "no_steps" in found.flags
    assert np.isnan(found.permeability)
    assert found.high == np.inf


def test_spread_of_a_lognormal_law():
    rng = np.random.default_rng(6)
    clear, _ = table(rng, n=900, sigma=0.5, slope_noise=0.1, step_noise=0.0005)
    found = permeability_distribution(clear, structure=0.0)
    assert found.sigma == pytest.approx(0.5, abs=0.1)
    assert found.median == pytest.approx(P * np.exp(-0.125), rel=0.1)
    assert found.flags == ()
    noisy, _ = table(rng, sigma=0.1, slope_noise=3.0)
    assert permeability_distribution(noisy).flags == ("noise_dominates",)


def test_predicted_d_eff_of_a_laminate():
    # Lines across layers only: eq. (6) itself, with l the distance of the boundaries.
    size = 16.0
    box = (0.0, 0.0, 8.0, 20 * size)
    layers = laminate(
        box,
        np.arange(size / 2, 20 * size, size),
        permeability=P * 1e4,
        diffusivity=D_BULK * 1e8,
    )
    true = effective_diffusivity(layers, 4.0) * 1e-8
    assert predicted_d_eff(P, D_BULK, size * np.pi / 4) == pytest.approx(true, rel=1e-6)
    assert predicted_d_eff(P, D_BULK, 10.0, dimensions=3) > predicted_d_eff(P, D_BULK, 10.0)
    with pytest.raises(ValueError, match="dimensions must be 2 or 3, got 1"):
        predicted_d_eff(P, D_BULK, 10.0, dimensions=1)
    with pytest.raises(ValueError, match="permeability must be positive, got 0"):
        predicted_d_eff(0.0, D_BULK, 10.0)


def test_short_boundaries_are_left_out_where_there_are_others():
    rng = np.random.default_rng(7)
    t, true = table(rng, slope_noise=0.1, step_noise=0.0005)
    short = np.arange(240) % 3 == 0
    seen = np.where(short, 0.8, 1.0) * t.slope.values
    t = t.assign(slope=("boundary", seen), length=("boundary", np.where(short, 5.0, 20.0)))
    found = population_permeability(t)
    assert (found.n, found.flags) == (160, ())
    assert found.permeability == pytest.approx(true, rel=0.02)
    everything = population_permeability(t, shortest=0.0)
    assert everything.n == 240
    assert everything.permeability < 0.96 * true
    few = population_permeability(t.isel(boundary=slice(0, 36)))
    assert (few.n, few.flags) == (36, ("short_boundaries",))


def test_columns_of_the_wide_prior_are_preferred():
    rng = np.random.default_rng(8)
    t, true = table(rng, slope_noise=0.1, step_noise=0.0005)
    names = ("step", "slope", "step_std", "slope_std", "step_slope_correlation")
    wide = t.assign({f"{n}_wide": t[n] for n in names}).assign(slope=0.5 * t.slope)
    assert population_permeability(wide).permeability == pytest.approx(true, rel=0.02)

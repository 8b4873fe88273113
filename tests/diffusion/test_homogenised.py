from __future__ import annotations

import numpy as np
import pytest

from lliso.diffusion.homogenised import effective_diffusivity
from lliso.diffusion.structures import laguerre_structure, laminate


def test_periodic_layers_follow_equation_6_exactly() -> None:
    """(6) D_eff = 1/(1/D + 1/(l P)) for layers of thickness l across the flux."""
    d, p, size = 2.6, 0.0136, 8.0
    s = laminate((0, 0, 20, 320), np.arange(4.0, 320, size), permeability=p, diffusivity=d)
    exact = 1.0 / (1.0 / d + 1.0 / (size * p))
    assert effective_diffusivity(s, 4.0) == pytest.approx(exact, rel=1e-10)


def test_two_kinds_of_layers_average_their_resistance() -> None:
    d, sizes = 2.6, np.tile([4.0, 12.0], 20)
    at = np.concatenate([[2.0], 2.0 + np.cumsum(sizes)[:-1]])
    p = np.tile([0.01, 0.03], 20)
    s = laminate((0, 0, 20, 320), at, permeability=p, diffusivity=d)
    exact = 1.0 / (1.0 / d + np.mean(1.0 / p) / sizes.mean())
    assert effective_diffusivity(s, 4.0) == pytest.approx(exact, rel=1e-10)


def test_without_boundaries_it_is_d() -> None:
    s = laguerre_structure((0, 0, 100, 200), 16.0, 8.0, np.random.default_rng(1), diffusivity=2.6)
    assert effective_diffusivity(s.with_permeability(np.inf), 5.0) == pytest.approx(2.6, rel=1e-9)


def test_cut_grains_at_the_ends_make_the_box_conduct_better() -> None:
    rng = np.random.default_rng(1)
    s = laguerre_structure((0, 0, 150, 200), 16.0, 8.0, rng, permeability=0.0136, diffusivity=2.6)
    inside = effective_diffusivity(s, 3.0)
    box = effective_diffusivity(s, 3.0, between_ends=True)
    assert 1.01 < box / inside < 1.3


def test_equation_6_with_the_mean_intercept_predicts_a_polycrystal() -> None:
    """l = (4/π) · mean intercept in the plane brings (6) within a tenth of the truth."""
    rng = np.random.default_rng(2)
    p, d = 0.0136, 2.6
    s = laguerre_structure((0, 0, 300, 400), 16.0, 8.0, rng, permeability=p, diffusivity=d)
    true = effective_diffusivity(s, 5.0)
    by_intercept = 1.0 / (1.0 / d + 1.0 / (4.0 / np.pi * s.mean_intercept() * p))
    by_diameter = 1.0 / (1.0 / d + 1.0 / (s.diameters.mean() * p))
    assert true == pytest.approx(by_intercept, rel=0.1)
    assert abs(true / by_intercept - 1.0) < abs(true / by_diameter - 1.0)


def test_bad_input() -> None:
    s = laminate((0, 0, 1, 4), [2.0])
    with pytest.raises(ValueError, match="samples must be a multiple of 20"):
        effective_diffusivity(s, 1.0, samples=30)
    with pytest.raises(ValueError, match="element size"):
        effective_diffusivity(s, -1.0)

from __future__ import annotations

import numpy as np
import pytest

from lliso.diffusion.krylov import krylov_space
from lliso.diffusion.mesh import triangulate
from lliso.diffusion.polycrystal import Polycrystal
from lliso.diffusion.stepping import growing_steps, step_through
from lliso.diffusion.structures import laguerre_structure, lognormal_permeability


@pytest.fixture(scope="module")
def problem() -> Polycrystal:
    rng = np.random.default_rng(3)
    s = laguerre_structure((0, 0, 60, 80), 16.0, 8.0, rng, diffusivity=2.6)
    s = s.with_permeability(lognormal_permeability(s, 1.2e-2, 0.5, rng))
    return Polycrystal(triangulate(s, 5.0))


def test_second_order_in_time_towards_the_krylov_solution(problem: Polycrystal) -> None:
    """Two programs that agree: implicit steps converge to the exponential, as Δt²."""
    k, m = problem.stiffness(), problem.mass
    start = np.cos(np.pi * problem.mesh.points[:, 1] / 80.0)
    exact = krylov_space(k, m, start, 5e3, tolerance=1e-11).field(5e3)
    errors = [
        np.abs(step_through(k, m, start, growing_steps(5e3, n)) - exact).max()
        for n in (40, 80, 160)
    ]
    order = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    assert order == pytest.approx(2.0, abs=0.15)
    assert errors[-1] < 1e-5


def test_growing_steps_carry_a_jump_without_ringing(problem: Polycrystal) -> None:
    k, m = problem.stiffness(), problem.mass
    start = np.where(problem.mesh.points[:, 1] < 40.0, 1.0, 0.0)
    exact = krylov_space(k, m, start, 5e4, tolerance=1e-10).field(5e4)
    stepped = step_through(k, m, start, growing_steps(5e4, 40, 1.3))
    assert np.abs(stepped - exact).max() < 2e-3
    weight = np.asarray(m.sum(axis=0)).ravel()
    assert weight @ stepped == pytest.approx(weight @ start, rel=1e-12)


def test_bad_input(problem: Polycrystal) -> None:
    with pytest.raises(ValueError, match="time cannot run backwards"):
        step_through(problem.stiffness(), problem.mass, np.zeros(problem.n), [1.0, -1.0])
    with pytest.raises(ValueError, match="must be positive, got 1, 0, 1"):
        growing_steps(1.0, 0)

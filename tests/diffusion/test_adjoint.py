from __future__ import annotations

import numpy as np
import pytest

from lliso.diffusion.adjoint import gradient_of, permeability_gradient
from lliso.diffusion.mesh import Mesh, sampling_matrix, triangulate
from lliso.diffusion.polycrystal import Polycrystal, Stage, run_stages
from lliso.diffusion.splitting import split_at
from lliso.diffusion.structures import (
    Structure,
    laguerre_structure,
    laminate,
    lognormal_permeability,
)
from lliso.diffusion.voxels import VoxelProblem

STAGES = [Stage(59 * 900.0, source=0.95), Stage(86400.0, boundary_factor=0.8)]


def with_permeability(mesh: Mesh, p: np.ndarray) -> Polycrystal:
    s = mesh.structure.with_permeability(p)
    return Polycrystal(
        Mesh(s, mesh.points, mesh.triangles, mesh.triangle_grain, mesh.faces, mesh.face_boundary)
    )


@pytest.fixture(scope="module")
def structure() -> Structure:
    rng = np.random.default_rng(3)
    s = laguerre_structure((0, -20, 80, 150), 16.0, 8.0, rng, diffusivity=2.6)
    return split_at(s.with_permeability(lognormal_permeability(s, 1.2e-2, 0.5, rng)), 0.0)


def test_gradient_agrees_with_finite_differences(structure: Structure) -> None:
    """J = random weights on the pixels of two stages; the largest and some small gradients."""
    mesh = triangulate(structure, 5.0)
    problem = Polycrystal(mesh)
    source = mesh.points[:, 1] <= 1e-9
    pixels = sampling_matrix(mesh, np.arange(1.0, 80, 2), np.arange(30.0, 70, 2))[0]
    rng = np.random.default_rng(0)
    sensitivities = [pixels.T @ rng.standard_normal(pixels.shape[0]) for _ in STAGES]

    def value(p: np.ndarray) -> float:
        fields = run_stages(
            with_permeability(mesh, p), STAGES, initial=0.0759, source=source, tolerance=1e-11
        )
        return float(sum(s @ f for s, f in zip(sensitivities, fields, strict=True)))

    fields, gradient = permeability_gradient(
        problem, STAGES, sensitivities, initial=0.0759, source=source
    )
    same = run_stages(problem, STAGES, initial=0.0759, source=source)
    for a, b in zip(fields, same, strict=True):
        assert a == pytest.approx(b, abs=1e-3)
    p = structure.permeability
    assert np.array_equal(np.isnan(gradient), np.isinf(p))
    largest = np.argsort(-np.abs(np.nan_to_num(gradient)))
    scale = float(np.abs(gradient[largest[0]]))
    for k in largest[[0, 3, 12, 40]]:
        h = 1e-3 * p[k]
        up, down = p.copy(), p.copy()
        up[k], down[k] = p[k] + h, p[k] - h
        central = (value(up) - value(down)) / (2 * h)
        assert gradient[k] == pytest.approx(central, abs=1e-5 * scale)


def test_gradient_of_what_is_conserved_vanishes(structure: Structure) -> None:
    problem = Polycrystal(triangulate(structure, 6.0))
    weight = np.asarray(problem.mass.sum(axis=0)).ravel()
    start = np.sin(problem.mesh.points[:, 1] / 30.0)
    one = np.where(problem.mesh.points[:, 1] > 60.0, weight, 0.0)
    _, reference = permeability_gradient(problem, [Stage(3e4)], [one], initial=start)
    _, gradient = permeability_gradient(problem, [Stage(3e4)], [weight], initial=start)
    assert np.nanmax(np.abs(gradient)) < 1e-9 * np.nanmax(np.abs(reference))


def test_gradient_at_p_zero() -> None:
    """A wall between 1 and 0: opening it by dP moves P · t · length."""
    s = laminate((0, 0, 3, 40), [20.0], permeability=0.0, diffusivity=2.6)
    problem = Polycrystal(triangulate(s, 2.0))
    side = np.zeros(problem.n)
    side[problem.mesh.triangles[problem.mesh.triangle_grain == 1]] = 1.0
    weight = np.asarray(problem.mass.sum(axis=0)).ravel()
    _, g = permeability_gradient(problem, [Stage(50.0)], [weight * side], initial=1.0 - side)
    assert g[0] == pytest.approx(50.0 * 3.0, rel=1e-10)


def test_residuals_may_depend_on_the_fields(structure: Structure) -> None:
    problem = Polycrystal(triangulate(structure, 6.0))
    start = np.where(problem.mesh.points[:, 1] > 60.0, 1.0, 0.0)
    fields, g = gradient_of(
        problem, [Stage(3e4)], lambda f: [problem.mass @ (f[0] - 0.5)], initial=start
    )
    again = permeability_gradient(
        problem, [Stage(3e4)], [problem.mass @ (fields[0] - 0.5)], initial=start
    )[1]
    assert g == pytest.approx(again, nan_ok=True)


def test_gradient_on_labels_agrees_with_finite_differences() -> None:
    """All pairs of grains of a label image, one of them with P = 0 and one without boundary."""
    labels = np.repeat(np.repeat([[0, 0, 1], [2, 3, 1], [2, 4, 5]], 4, axis=0), 5, axis=1)
    labels[6:9, 3:7] = 3
    stages = [Stage(300.0, source=0.95), Stage(2000.0, bulk_factor=0.5, boundary_factor=0.8)]
    source = np.zeros(labels.shape, dtype=bool)
    source[0] = True
    rng = np.random.default_rng(1)
    sensitivities = [rng.standard_normal(labels.size) for _ in stages]

    def with_pairs(p: np.ndarray) -> VoxelProblem:
        return VoxelProblem(labels, (1.0, 1.5), lambda _: p, np.linspace(2.0, 3.0, 6))

    def value(p: np.ndarray) -> float:
        fields = run_stages(
            with_pairs(p), stages, initial=0.0759, source=source.ravel(), tolerance=1e-12
        )
        return float(sum(s @ f for s, f in zip(sensitivities, fields, strict=True)))

    n = len(VoxelProblem(labels, (1.0, 1.5), 1.0, 1.0).pairs)
    p = 0.02 * np.exp(0.5 * rng.standard_normal(n))
    p[2], p[4] = np.inf, 0.0
    gradient = permeability_gradient(
        with_pairs(p), stages, sensitivities, initial=0.0759, source=source.ravel(), tolerance=1e-8
    )[1]
    scale = np.nanmax(np.abs(gradient))
    for k in range(n):
        if k == 2:
            assert np.isnan(gradient[k])
            continue
        h = 1e-3 * max(p[k], 1e-3)
        up, down, further = p.copy(), p.copy(), p.copy()
        up[k] += h
        if p[k] == 0.0:  # one-sided, second order
            further[k] += 2 * h
            expected = (4 * value(up) - value(further) - 3 * value(p)) / (2 * h)
        else:
            down[k] -= h
            expected = (value(up) - value(down)) / (2 * h)
        assert gradient[k] == pytest.approx(expected, abs=1e-5 * scale)


def test_bad_input(structure: Structure) -> None:
    problem = Polycrystal(triangulate(structure, 8.0))
    with pytest.raises(ValueError, match="one sensitivity per stage, got 0 for 1"):
        permeability_gradient(problem, [Stage(1.0)], [], initial=0.0)

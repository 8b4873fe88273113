from __future__ import annotations

import numpy as np
import pytest

from lliso.diffusion.mesh import sampling_matrix, triangulate
from lliso.diffusion.polycrystal import Polycrystal, Stage, run_stages, steady_state
from lliso.diffusion.structures import laguerre_structure, laminate, lognormal_permeability
from lliso.diffusion.voxels import VoxelProblem, voxel_steady_state


def layers(cells: int, axis: int, shape: tuple[int, ...]) -> np.ndarray:
    index = np.indices(shape)[axis]
    return index // cells


@pytest.mark.parametrize("shape", [(12, 3), (12, 3, 2)])
def test_flat_boundaries_are_exact(shape: tuple[int, ...]) -> None:
    """Layers along the grid: half cells and boundaries in series, no staircase."""
    labels = layers(4, 0, shape)
    d, p = np.array([2.6, 1.0, 2.0]), np.array([0.3, 0.1])
    v = VoxelProblem(labels, (0.5,) * len(shape), lambda pairs: p[pairs[:, 0]], d)
    held = np.zeros(shape, dtype=bool)
    held[[0, -1]] = True
    c = voxel_steady_state(v, held, np.indices(shape)[0] / 11.0, tolerance=1e-13)
    # between the middles of the first and last cell
    resistance = 1.75 / 2.6 + 2.0 / 1.0 + 1.75 / 2.0 + (1 / p).sum()
    assert v.steps(c) == pytest.approx(1.0 / resistance / p, rel=1e-9)
    area = 0.5 ** (len(shape) - 1) * np.prod(shape[1:])
    assert v.fluxes(c) == pytest.approx([-area / resistance] * 2, rel=1e-9)


def rough_error(pixel: float, *, staircase: bool) -> float:
    """Rms of C against the conforming mesh, in a small polycrystal with C on its rim."""
    rng = np.random.default_rng(6)
    s = laguerre_structure((0, 0, 96, 96), 16.0, 6.0, rng, diffusivity=2.6)
    s = s.with_permeability(lognormal_permeability(s, 1.2e-2, 0.5, rng))
    fine = Polycrystal(triangulate(s, 2.0))
    x, y = fine.mesh.points.T
    rim = np.isclose(x, 0) | np.isclose(x, 96) | np.isclose(y, 0) | np.isclose(y, 96)
    exact = steady_state(fine, rim, 1.0 - y / 96.0)
    axis = (np.arange(int(96 / pixel)) + 0.5) * pixel
    matrix, labels = sampling_matrix(fine.mesh, axis, axis)
    true = (matrix @ exact).reshape(labels.shape)
    table = {tuple(sorted(g)): p for g, p in zip(s.grains.tolist(), s.permeability, strict=True)}
    v = VoxelProblem(
        labels,
        (pixel, pixel),
        lambda pairs: np.array([table.get((a, b), 0.012) for a, b in pairs.tolist()]),
        2.6,
        staircase=staircase,
    )
    held = np.ones(labels.shape, dtype=bool)
    held[1:-1, 1:-1] = False
    c = voxel_steady_state(v, held, true)
    same = np.sqrt(np.mean((c - true)[~held] ** 2))
    return float(same)


def test_staircase_is_corrected_and_what_is_left_is_first_order() -> None:
    corrected = [rough_error(h, staircase=True) for h in (2.0, 1.0, 0.5)]
    plain = [rough_error(h, staircase=False) for h in (2.0, 1.0, 0.5)]
    # uncorrected, refining does not help: the length of a staircase stays too long
    assert plain[2] > 0.6 * plain[1]
    assert corrected[2] < 0.4 * plain[2]
    assert corrected[2] < 0.4 * corrected[0]


def test_transient_on_labels_agrees_with_the_mesh() -> None:
    s = laminate((0, 0, 4, 40), [20.0], permeability=0.05, diffusivity=2.6)
    mesh = Polycrystal(triangulate(s, 0.5))
    fields = run_stages(mesh, [Stage(60.0)], initial=np.where(mesh.mesh.points[:, 1] < 10, 1, 0))
    labels = np.repeat(np.repeat([0, 1], 40)[:, None], 8, axis=1)
    v = VoxelProblem(labels, (0.5, 0.5), 0.05, 2.6)
    y = (np.arange(80) + 0.5) * 0.5
    start = np.repeat((y < 10.0)[:, None], 8, axis=1).ravel().astype(float)
    (c,) = run_stages(v, [Stage(60.0)], initial=start)
    expected = sampling_matrix(mesh.mesh, np.array([2.0]), y)[0] @ fields[0]
    assert c.reshape(80, 8)[:, 4] == pytest.approx(expected, abs=0.02)
    assert c.sum() == pytest.approx(start.sum(), rel=1e-12)


def test_growing_profile_has_curvature() -> None:
    """D C'' = rate."""
    v = VoxelProblem(np.zeros((41, 2), dtype=int), (0.25, 1.0), 1.0, 2.0)
    held = np.zeros((41, 2), dtype=bool)
    held[[0, -1]] = True
    y = np.arange(41) * 0.25
    exact = 0.5 * 0.3 / 2.0 * y * (y - y[-1])
    c = voxel_steady_state(v, held, 0.0, rate=0.3, tolerance=1e-12)
    assert c[:, 0] == pytest.approx(exact, abs=1e-9)


def apparent_ratio(refine: int) -> float:
    """P sin(dip) from step and slope at a free surface, over P; dip 63.4° (tangent 2)."""
    p, d, h = 0.4, 2.6, 1.0 / refine
    z, y, _ = np.indices((40 * refine, 80 * refine, 2)) + 0.5
    labels = (2.0 * (y * h - 60.0) + z * h > 0).astype(int)
    v = VoxelProblem(labels, (h, h, h), p, d)
    held = np.zeros(labels.shape, dtype=bool)
    held[:, [0, -1]] = True
    c = voxel_steady_state(v, held, y * h / 80.0)
    assert v.fluxes(c)[0] == pytest.approx(d * h * (c[:, 0] - c[:, 1]).sum(), rel=1e-7)
    surface, at = c[0, :, 0], y[0, :, 0] * h
    sides = [
        np.polyfit(at[use] - 60.0, surface[use], 2)
        for use in ((at > 51) & (at < 58.5), (at > 61.5) & (at < 69))
    ]
    step = sides[1][2] - sides[0][2]
    slope = 0.5 * (sides[1][1] + sides[0][1])
    return float(d * slope / step / p * np.sin(np.arctan(2.0)))


def test_inclined_boundary_in_a_box_with_a_free_surface() -> None:
    """No flux leaves the surface, so P_apparent = P / sin(dip); first order in the voxels."""
    coarse, fine = (abs(apparent_ratio(k) - 1.0) for k in (1, 2))
    assert coarse < 0.005
    assert fine < 0.65 * coarse


def test_p_zero_shuts_off_and_p_infinite_is_no_boundary() -> None:
    labels = layers(5, 0, (10, 2))
    held = np.zeros((10, 2), dtype=bool)
    held[[0, -1]] = True
    values = np.indices((10, 2))[0] / 9.0
    shut = voxel_steady_state(VoxelProblem(labels, (1.0, 1.0), 0.0, 1.0), held, values)
    assert shut[:5] == pytest.approx(0.0, abs=1e-12)
    assert shut[5:] == pytest.approx(1.0, abs=1e-12)
    v = VoxelProblem(labels, (1.0, 1.0), np.inf, 1.0)
    assert voxel_steady_state(v, held, values) == pytest.approx(values, abs=1e-9)
    assert v.steps(values)[0] == 0.0


def test_grains_without_a_path_to_the_source_are_refused() -> None:
    labels = layers(4, 0, (12, 2))
    v = VoxelProblem(labels, (1.0, 1.0), lambda pairs: np.where(pairs[:, 0] == 0, 0.0, 1.0), 1.0)
    held = np.zeros((12, 2), dtype=bool)
    held[0] = True
    with pytest.raises(ValueError, match="got 1 groups of grains behind P = 0"):
        voxel_steady_state(v, held, 1.0)
    alone = VoxelProblem(labels, (1.0, 1.0), 0.0, 1.0)
    with pytest.raises(ValueError, match="no path from it"):
        run_stages(alone, [Stage(1.0, source=1.0)], initial=0.0, source=(labels == 0).ravel())
    # what a source reaches only in part is no mistake: the rest keeps what it has
    (c,) = run_stages(alone, [Stage(1e4, source=1.0)], initial=0.1, source=held.ravel())
    assert c.reshape(12, 2)[:4] == pytest.approx(1.0)
    assert c.reshape(12, 2)[4:] == pytest.approx(0.1, abs=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: VoxelProblem(np.zeros(3, int), (1.0,), 1.0, 1.0), "image or a box"),
        (lambda: VoxelProblem(np.zeros((3, 3), int), (1.0,), 1.0, 1.0), "2 positive lengths"),
        (lambda: VoxelProblem(np.zeros((3, 3)), (1.0, 1.0), 1.0, 1.0), "labels must be whole"),
        (lambda: VoxelProblem(np.eye(3, dtype=int), (1.0, 1.0), -1.0, 1.0), "must not be negative"),
        (lambda: VoxelProblem(np.eye(3, dtype=int), (1.0, 1.0), 1.0, 0.0), "finite and positive"),
        (
            lambda: voxel_steady_state(
                VoxelProblem(np.eye(3, dtype=int), (1.0, 1.0), 1.0, 1.0),
                np.zeros((3, 3), dtype=bool),
                0.0,
            ),
            "with C held, got none",
        ),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]

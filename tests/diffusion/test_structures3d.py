from __future__ import annotations

import numpy as np
import pytest

from lliso.diffusion.structures3d import laguerre_labels
from lliso.diffusion.voxels import VoxelProblem, voxel_steady_state


def test_sizes_follow_the_law_and_grains_are_whole() -> None:
    labels = laguerre_labels((40, 60, 60), 2.0, 16.0, 5.0, np.random.default_rng(1))
    diameter = np.cbrt(6.0 / np.pi * np.bincount(labels.ravel()) * 8.0)
    assert diameter.mean() == pytest.approx(16.0, rel=0.06)
    assert diameter.std() == pytest.approx(5.0, rel=0.3)


def test_surface_map_of_a_polycrystal_carries_the_flux() -> None:
    """Steady box: every layer along y carries the same; boundaries meet the surface inclined."""
    labels = laguerre_labels((16, 40, 24), 2.0, 16.0, 5.0, np.random.default_rng(1))
    d, p = 2.6, 0.0136
    v = VoxelProblem(labels, (2.0, 2.0, 2.0), p, d)
    held = np.zeros(labels.shape, dtype=bool)
    held[:, [0, -1]] = True
    c = voxel_steady_state(v, held, np.indices(labels.shape)[1] / 39.0)
    k = v.stiffness()
    residual = (k @ c.ravel()).reshape(labels.shape)
    flow = residual[:, -1].sum()
    assert -residual[:, 0].sum() == pytest.approx(flow, rel=1e-6)
    assert np.abs(residual[:, 1:-1]).max() < 1e-6 * flow
    d_eff = flow * 78.0 / (16 * 24 * 4.0)
    # between the resistance of the boundaries alone in series, and the grains without boundaries
    assert 0.1 < d_eff < 0.6
    assert v.steps(c).size == len(v.pairs)


def test_bad_input() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="must be positive"):
        laguerre_labels((4, 4, 4), -1.0, 16.0, 5.0, rng)
    with pytest.raises(ValueError, match="at least 2 grains"):
        laguerre_labels((4, 4, 4), 1.0, 16.0, 5.0, rng)

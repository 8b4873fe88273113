from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lliso.diffusion.orientations import (
    misorientation,
    permeability_by_misorientation,
    random_orientations,
)
from lliso.diffusion.structures import laguerre_structure, laminate


def test_random_cubic_grains_follow_mackenzie() -> None:
    q = random_orientations(40_000, np.random.default_rng(1))
    angle = misorientation(q, np.arange(40_000).reshape(-1, 2))
    assert angle.mean() == pytest.approx(40.74, abs=4 * 11.3 / np.sqrt(20_000))
    assert 61.0 < angle.max() <= 62.8
    # 15° and less: share 0.0208 of the Mackenzie distribution
    assert np.mean(angle < 15.0) == pytest.approx(0.0208, abs=4 * np.sqrt(0.02 / 20_000))


def test_it_agrees_with_brute_force_and_is_symmetric() -> None:
    q = random_orientations(20, np.random.default_rng(2))
    pairs = np.arange(20).reshape(-1, 2)
    cube = Rotation.create_group("O")
    for (i, j), angle in zip(pairs, misorientation(q, pairs), strict=True):
        a, b = (Rotation.from_quat(q[k, [1, 2, 3, 0]]) for k in (i, j))
        exact = np.rad2deg(min((a.inv() * b * s).magnitude() for s in cube))
        assert angle == pytest.approx(exact, abs=1e-9)
    assert misorientation(q, pairs[:, ::-1]) == pytest.approx(misorientation(q, pairs))


def test_classes_have_their_own_permeability() -> None:
    rng = np.random.default_rng(3)
    s = laguerre_structure((0, 0, 300, 300), 16.0, 6.0, rng)
    q = random_orientations(s.n_grains, rng)
    p = permeability_by_misorientation(s, q, [25.0, 45.0], [4.0, 2.0, 1.0], 0.1, rng)
    angle = misorientation(q, s.grains)
    for low, high, median in ((0, 25, 4.0), (25, 45, 2.0), (45, 90, 1.0)):
        inside = p[(angle >= low) & (angle < high)]
        assert np.median(inside) == pytest.approx(median, rel=0.1)
        assert np.log(inside).std() == pytest.approx(0.1, rel=0.25)


def test_bad_input() -> None:
    s, rng = laminate((0, 0, 1, 3), [1.0, 2.0]), np.random.default_rng(0)
    q = random_orientations(3, rng)
    with pytest.raises(ValueError, match="one median more than growing limits, got 1 medians"):
        permeability_by_misorientation(s, q, [15.0], [1.0], 0.0, rng)
    with pytest.raises(ValueError, match="one median more than growing limits"):
        permeability_by_misorientation(s, q, [15.0, 5.0], [1.0, 1.0, 1.0], 0.0, rng)
    with pytest.raises(ValueError, match="must not be negative"):
        permeability_by_misorientation(s, q, [15.0], [1.0, -1.0], 0.0, rng)
    with pytest.raises(ValueError, match="every grain needs an orientation, got 2 for 3"):
        permeability_by_misorientation(s, q[:2], [15.0], [1.0, 1.0], 0.0, rng)

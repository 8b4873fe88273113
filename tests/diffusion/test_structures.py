from __future__ import annotations

import numpy as np
import pytest

from lliso.diffusion.splitting import split_at
from lliso.diffusion.structures import (
    Structure,
    laguerre_structure,
    laminate,
    lognormal_diameters,
    lognormal_permeability,
    permeability_by,
)

BOX = (-10.0, -50.0, 190.0, 150.0)


@pytest.fixture(scope="module")
def grains() -> Structure:
    return laguerre_structure(BOX, 16.0, 8.0, np.random.default_rng(2))


def test_grains_fill_the_box_and_follow_the_law(grains: Structure) -> None:
    assert grains.areas.sum() == pytest.approx(200.0 * 200.0, rel=1e-12)
    drawn = lognormal_diameters(grains.n_grains, 16.0, 8.0, np.random.default_rng(2))
    drawn *= np.sqrt(200.0 * 200.0 / (0.25 * np.pi * (drawn**2).sum()))
    assert np.sort(grains.diameters) == pytest.approx(np.sort(drawn), rel=1e-3)
    many = lognormal_diameters(5000, 16.0, 8.0, np.random.default_rng(2))
    assert (many.mean(), many.std()) == pytest.approx((16.0, 8.0), rel=0.01)


def test_every_grain_is_convex_and_anticlockwise(grains: Structure) -> None:
    for cell in grains.cells:
        p = grains.vertices[cell]
        d = np.roll(p, -1, axis=0) - p
        e = np.roll(d, -1, axis=0)
        assert np.all(d[:, 0] * e[:, 1] - d[:, 1] * e[:, 0] > -1e-9)


def test_edges_of_neighbours_are_the_same(grains: Structure) -> None:
    count: dict[tuple[int, int], int] = {}
    for cell in grains.cells:
        for a, b in zip(cell.tolist(), np.roll(cell, -1).tolist(), strict=True):
            count[(min(a, b), max(a, b))] = count.get((min(a, b), max(a, b)), 0) + 1
    shared = {k for k, n in count.items() if n == 2}
    assert shared == {(min(a, b), max(a, b)) for a, b in grains.ends.tolist()}
    # Euler: vertices - edges + cells = 1 in a plane without its outside
    assert len({v for k in count for v in k}) - len(count) + grains.n_grains == 1


def test_normals_point_from_first_to_second_grain_and_away_from_the_source(
    grains: Structure,
) -> None:
    n = grains.normals
    assert np.hypot(*n.T) == pytest.approx(1.0)
    assert np.all(n[:, 1] > -1e-12)
    across = grains.centroids[grains.grains[:, 1]] - grains.centroids[grains.grains[:, 0]]
    assert np.all((across * n).sum(axis=1) > 0)


def test_same_seed_same_grains_other_seed_other_grains() -> None:
    a, b, c = (
        laguerre_structure((0, 0, 100, 100), 16, 8, np.random.default_rng(s)) for s in (1, 1, 2)
    )
    assert np.array_equal(a.vertices, b.vertices)
    assert not np.array_equal(a.areas, c.areas)


def test_columnar_grains_are_longer_along_y() -> None:
    s = laguerre_structure((0, 0, 200, 400), 16, 6, np.random.default_rng(1), elongation=4.0)
    extent = np.array([np.ptp(s.vertices[c], axis=0) for c in s.cells]).mean(axis=0)
    assert 3.0 < extent[1] / extent[0] < 5.0
    assert s.areas.sum() == pytest.approx(200 * 400)


def test_grains_whose_sites_stay_are_less_compact(grains: Structure) -> None:
    rough = laguerre_structure(BOX, 16.0, 8.0, np.random.default_rng(2), relaxed=False)
    assert np.sort(rough.areas) == pytest.approx(np.sort(grains.areas), rel=3e-3)
    assert 0.85 < rough.mean_intercept() / grains.mean_intercept() < 0.98


def test_mean_intercept_of_a_laminate_is_that_of_its_layers() -> None:
    # random lines through layers of thickness a: 2 A / (boundary length per area ...) = π a / 2
    s = laminate((0, 0, 1000, 100), np.arange(10.0, 100.0, 10.0))
    assert s.mean_intercept() == pytest.approx(0.5 * np.pi * 10.0 * 10 / 9)


def test_laminate_normal_and_lengths() -> None:
    s = laminate((0, 0, 10, 40), [15.0, 25.0], tilt=0.2)
    assert s.normals == pytest.approx(np.tile([-np.sin(0.2), np.cos(0.2)], (2, 1)))
    assert s.lengths == pytest.approx(10.0 / np.cos(0.2))


def test_split_keeps_grains_boundaries_and_permeabilities(grains: Structure) -> None:
    p = lognormal_permeability(grains, 2.0, 0.5, np.random.default_rng(0))
    s = split_at(grains.with_permeability(p), 0.0)
    closed = np.isfinite(s.permeability)
    assert s.areas.sum() == pytest.approx(grains.areas.sum(), rel=1e-12)
    assert np.bincount(s.parent, s.areas) == pytest.approx(grains.areas)
    assert s.lengths[closed] @ s.permeability[closed] == pytest.approx(grains.lengths @ p)
    assert s.lengths[~closed].sum() == pytest.approx(200.0)
    assert s.vertices[s.ends[~closed], 1] == pytest.approx(0.0, abs=1e-9)
    own = np.sort(s.parent[s.grains[closed]], axis=1)
    assert set(map(tuple, own)) == set(map(tuple, np.sort(grains.grains, axis=1)))


def test_split_through_corners_and_along_a_boundary() -> None:
    s = laminate((0, 0, 10, 40), [10.0, 20.0])
    same = split_at(s, 20.0)
    assert same.n_grains == 3
    assert np.array_equal(same.permeability, s.permeability)


def test_permeability_by_misorientation_class() -> None:
    s = laminate((0, 0, 1, 4), [1.0, 2.0, 3.0])
    classes = np.array([0, 1, 0, 1])
    p = permeability_by(s, lambda g, _: np.where(classes[g[:, 0]] == 1, 5.0, 7.0))
    assert p.tolist() == [7.0, 5.0, 7.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: laguerre_structure(BOX, -1.0, 8.0, np.random.default_rng(0)), "mean must be posi"),
        (lambda: laguerre_structure((0, 0, 9, 9), 16, 8, np.random.default_rng(0)), "at least 2"),
        (lambda: laguerre_structure((0, 9, 9, 0), 1, 1, np.random.default_rng(0)), "box must be"),
        (lambda: laminate((0, 0, 1, 9), [5.0, 4.0]), "positions must be growing"),
        (lambda: laminate((0, 0, 10, 9), [5.0], tilt=1.2), "from side to side"),
        (lambda: laminate((0, 0, 1, 9), [5.0], permeability=-1.0), "must not be negative"),
        (lambda: laminate((0, 0, 1, 9), [5.0], permeability=np.nan), "negative or NaN"),
        (lambda: laminate((0, 0, 1, 9), [5.0], diffusivity=0.0), "diffusivity must be finite"),
        (lambda: laminate((0, 0, 1, 9), [5.0], permeability=np.ones(3)), "one number or 1"),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]


def test_overlapping_and_empty_grains_are_refused() -> None:
    s = laminate((0, 0, 10, 10), [5.0])
    both = (s.cells[0], np.array([0, 3, 5, 2]))
    with pytest.raises(ValueError, match=r"without overlapping, got 1\.5"):
        Structure(s.box, s.vertices, both, s.ends, s.grains, s.permeability, s.diffusivity)
    empty = (s.cells[0], np.array([1, 4, 1]))
    with pytest.raises(ValueError, match="must have an area"):
        Structure(s.box, s.vertices, empty, s.ends, s.grains, s.permeability, s.diffusivity)


def test_clustering_moves_the_sizes_and_keeps_their_law() -> None:
    """The same diameters, but neighbours are alike and the view's count of grains varies more."""
    box = (0.0, 0.0, 300.0, 300.0)
    plain, alike = (
        laguerre_structure(box, 12.0, 8.0, np.random.default_rng(3), clustering=c)
        for c in (0.0, 1.0)
    )
    assert np.sort(alike.diameters) == pytest.approx(np.sort(plain.diameters), rel=1e-3)

    def of_neighbours(s: Structure) -> float:
        size = np.log(s.areas)[s.grains]
        both = np.concatenate([size, size[:, ::-1]])
        return float(np.corrcoef(both.T)[0, 1])

    assert abs(of_neighbours(plain)) < 0.1
    assert of_neighbours(alike) > 0.2
    with pytest.raises(ValueError, match="clustering must be between 0 and 1"):
        laguerre_structure(box, 12.0, 8.0, np.random.default_rng(3), clustering=1.5)

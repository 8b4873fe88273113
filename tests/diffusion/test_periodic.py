from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lliso.diffusion.homogenised import effective_diffusivity
from lliso.diffusion.mesh import triangulate
from lliso.diffusion.periodic import PeriodicPolycrystal, diffusivity_tensor, periodic_laguerre
from lliso.diffusion.polycrystal import Polycrystal, Stage, run_stages
from lliso.diffusion.splitting import split_at
from lliso.diffusion.structures import (
    Structure,
    laguerre_structure,
    laminate,
    lognormal_diameters,
    lognormal_permeability,
)

BOX = (-10.0, 0.0, 140.0, 130.0)


@pytest.fixture(scope="module")
def grains() -> Structure:
    return periodic_laguerre(
        BOX, 16.0, 8.0, np.random.default_rng(2), permeability=0.0136, diffusivity=2.6
    )


def periodic_layers(period: float, number: int, **kw: object) -> Structure:
    """Layers of one thickness; the first and the last are two halves of one."""
    s = laminate((0, 0, 12, period * number), (np.arange(number) + 0.5) * period, **kw)
    parent = np.arange(s.n_grains)
    parent[-1] = 0
    return replace(s, parent=parent)


def test_areas_follow_the_law_and_the_box_is_full(grains: Structure) -> None:
    area = np.bincount(grains.parent, weights=grains.areas)
    n = len(area)
    drawn = lognormal_diameters(n, 16.0, 8.0, np.random.default_rng(2))
    drawn *= np.sqrt(150.0 * 130.0 / (0.25 * np.pi * (drawn**2).sum()))
    assert np.sort(np.sqrt(4 * area / np.pi)) == pytest.approx(np.sort(drawn), rel=1e-3)
    assert grains.areas.sum() == pytest.approx(150.0 * 130.0, rel=1e-12)


def test_opposite_sides_show_the_same_grains(grains: Structure) -> None:
    for axis, (low, high) in enumerate(((-10.0, 140.0), (0.0, 130.0))):
        sides = []
        for at in (low, high):
            side = {}
            for cell, g in zip(grains.cells, grains.parent.tolist(), strict=True):
                v = grains.vertices[cell]
                on = np.abs(v[:, axis] - at) < 1e-6
                if on.sum() >= 2:
                    side[g] = np.round(np.sort(v[on, 1 - axis]), 5).tolist()
            sides.append(side)
        assert sides[0] == sides[1]
        assert len(sides[0]) > 4


def test_every_inner_edge_has_two_sides(grains: Structure) -> None:
    """What is no boundary lies on the box: lengths of all cell edges add up."""
    around = sum(
        np.hypot(*(np.roll(grains.vertices[c], -1, axis=0) - grains.vertices[c]).T).sum()
        for c in grains.cells
    )
    assert around == pytest.approx(2 * grains.lengths.sum() + 2 * (150.0 + 130.0), rel=1e-9)


def test_periodic_layers_are_eq_6_exactly() -> None:
    """D_yy = 1/(1/D + 1/(l P)); along the layers D_xx = D."""
    s = periodic_layers(8.0, 3, permeability=0.5, diffusivity=2.0)
    expected = np.diag([2.0, 1.0 / (1.0 / 2.0 + 1.0 / (8.0 * 0.5))])
    assert diffusivity_tensor(s, 3.0) == pytest.approx(expected, abs=1e-12)


def test_no_path_and_no_boundary() -> None:
    s = periodic_layers(8.0, 2, permeability=0.0, diffusivity=2.0)
    assert diffusivity_tensor(s, 3.0) == pytest.approx(np.diag([2.0, 0.0]), abs=1e-12)
    free = s.with_permeability(np.inf)
    assert diffusivity_tensor(free, 3.0) == pytest.approx(np.diag([2.0, 2.0]), abs=1e-12)


def test_polycrystal_without_boundaries_is_its_grains(grains: Structure) -> None:
    d = diffusivity_tensor(grains.with_permeability(np.inf), 6.0)
    assert d == pytest.approx(2.6 * np.eye(2), abs=1e-9)


def test_tensor_agrees_with_large_bounded_boxes() -> None:
    """Both ways to D_eff within the scatter between structures; columns are anisotropic."""
    own, bounded = [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        kw = {"permeability": 0.0136, "diffusivity": 2.6}
        p = periodic_laguerre((0, 0, 150, 150), 16.0, 6.0, rng, **kw)
        own.append(0.5 * np.trace(diffusivity_tensor(p, 5.0)))
        b = laguerre_structure((0, 0, 150, 250), 16.0, 6.0, rng, **kw)
        bounded.append(effective_diffusivity(b, 5.0, samples=100))
    spread = np.hypot(np.std(own, ddof=1), np.std(bounded, ddof=1))
    assert abs(np.mean(own) - np.mean(bounded)) < 3 * spread
    assert spread < 0.15 * np.mean(own)
    columns = periodic_laguerre(
        (0, 0, 120, 360), 16.0, 6.0, np.random.default_rng(5), elongation=3.0, **kw
    )
    d = diffusivity_tensor(columns, 5.0)
    assert d[1, 1] > 1.5 * d[0, 0]


def test_exchange_with_joined_flanks_conserves_and_follows_one_dimension() -> None:
    s = periodic_laguerre((0, -30, 60, 150), 14.0, 5.0, np.random.default_rng(3), diffusivity=2.6)
    s = s.with_permeability(lognormal_permeability(s, 0.05, 0.5, np.random.default_rng(4)))
    inner = Polycrystal(triangulate(split_at(s, 0.0), 4.0))
    p = PeriodicPolycrystal(inner, sides="x")
    source = p.lower(inner.mesh.points[:, 1] <= 1e-9)
    after, later = run_stages(
        p, [Stage(900.0, source=0.95), Stage(900.0)], initial=0.1, source=source
    )
    start, end = p.lift(after), p.lift(later)
    assert inner.amount(end) == pytest.approx(inner.amount(start), rel=1e-12)
    x, y = inner.mesh.points.T
    left, right = (np.abs(x - at) < 1e-9 for at in (0.0, 60.0))
    order = [np.flatnonzero(m)[np.argsort(y[m], kind="stable")] for m in (left, right)]
    assert y[order[0]] == pytest.approx(y[order[1]], abs=1e-6)
    assert np.sort(start[order[0]]) == pytest.approx(np.sort(start[order[1]]), abs=1e-12)


def test_bad_input() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="at least 16 grains, got 5"):
        periodic_laguerre((0, 0, 40, 40), 16.0, 11.0, rng)
    with pytest.raises(ValueError, match="mean must be positive"):
        periodic_laguerre((0, 0, 40, 40), 0.0, 11.0, rng)
    p = Polycrystal(triangulate(laguerre_structure((0, 0, 60, 60), 12.0, 4.0, rng), 5.0))
    with pytest.raises(ValueError, match="must match node by node"):
        _ = PeriodicPolycrystal(p).n
    with pytest.raises(ValueError, match="sides must be 'x', 'y' or 'xy', got 'z'"):
        PeriodicPolycrystal(p, sides="z")

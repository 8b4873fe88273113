from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.special import erfc

from lliso.diffusion.krylov import krylov_space
from lliso.diffusion.mesh import graded_size, sampling_matrix, triangulate
from lliso.diffusion.polycrystal import Polycrystal, Stage, run_stages, steady_state
from lliso.diffusion.splitting import split_at
from lliso.diffusion.structures import (
    Structure,
    laguerre_structure,
    laminate,
    lognormal_permeability,
)


def grains(seed: int = 3, box: tuple[float, float, float, float] = (0, 0, 80, 80)) -> Structure:
    rng = np.random.default_rng(seed)
    s = laguerre_structure(box, 16.0, 8.0, rng, diffusivity=2.6)
    return s.with_permeability(lognormal_permeability(s, 1.2e-2, 0.5, rng))


def problem(s: Structure, h: float) -> Polycrystal:
    return Polycrystal(triangulate(s, h))


def rim(p: Polycrystal) -> np.ndarray:
    x0, y0, x1, y1 = p.mesh.structure.box
    x, y = p.mesh.points.T
    return np.isclose(x, x0) | np.isclose(x, x1) | np.isclose(y, y0) | np.isclose(y, y1)


def node_grain(p: Polycrystal) -> np.ndarray:
    g = np.empty(p.mesh.n, dtype=int)
    g[p.mesh.triangles] = p.mesh.triangle_grain[:, None]
    return g


@pytest.mark.parametrize("tilt", [0.0, 0.15, 0.6])
def test_single_tilted_boundary_is_exact(tilt: float) -> None:
    """C = g ν/D + step H(ν) with D₁ ≠ D₂ is linear in each grain: exact on a conforming mesh."""
    d, flux, perm = np.array([2.6, 1.3]), -0.01, 0.012
    s = laminate((0, 0, 30, 60), [30.0], tilt=tilt, permeability=perm, diffusivity=d)
    p = problem(s, 4.0)
    nu = (p.mesh.points - [15.0, 30.0]) @ s.normals[0]
    side = node_grain(p)
    exact = flux * nu / d[side] + (flux / perm) * side
    solved = steady_state(p, rim(p), exact)
    assert np.abs(solved - exact).max() <= 1e-12 * abs(flux / perm)
    assert p.steps(solved)[0] == pytest.approx(flux / perm, rel=1e-12)
    assert p.slopes(solved)[0] == pytest.approx(flux / d, rel=1e-12)


def test_layers_in_series_are_exact() -> None:
    """Resistances add up: L/D_eff = Σ l/D + Σ 1/P, eq. (6) for unequal layers."""
    at, p_list = np.array([10.0, 26.0, 31.0]), np.array([0.01, 0.02, 0.005])
    d = np.array([2.6, 2.0, 3.0, 1.0])
    s = laminate((0, 0, 12, 50), at, permeability=p_list, diffusivity=d)
    p = problem(s, 3.0)
    y = p.mesh.points[:, 1]
    f = steady_state(p, (y == 0) | (y == 50), np.where(y > 25, 1.0, 0.0))
    resistance = (np.diff([0, *at, 50]) / d).sum() + (1 / p_list).sum()
    assert f @ (p.stiffness() @ f) == pytest.approx(12.0 / resistance, rel=1e-12)


def test_amount_is_conserved_in_a_closed_polycrystal() -> None:
    p = problem(grains(), 4.0)
    start = np.sin(p.mesh.points[:, 1] / 20.0) + 1.0
    (end,) = run_stages(p, [Stage(3e4)], initial=start)
    assert p.amount(end) == pytest.approx(p.amount(start), rel=1e-12)
    assert np.ptp(end) < 0.7 * np.ptp(start)


def test_krylov_agrees_with_the_dense_exponential() -> None:
    p = problem(grains(box=(0, 0, 40, 60)), 6.0)
    k, m = p.stiffness(), p.mass
    start = np.where(p.mesh.points[:, 1] < 20.0, 1.0, 0.0)
    for t in (1.0, 300.0, 3e4, 3e6):
        exact = expm(-t * np.linalg.solve(m.toarray(), k.toarray())) @ start
        space = krylov_space(k, m, start, t, tolerance=1e-10)
        assert np.abs(space.field(t) - exact).max() < 1e-7
        assert space.solves <= 40


def test_krylov_converges_exponentially_in_its_steps() -> None:
    p = problem(grains(box=(0, 0, 40, 60)), 4.0)
    start = np.where(p.mesh.points[:, 1] < 20.0, 1.0, 0.0)
    solves = [
        krylov_space(p.stiffness(), p.mass, start, 3e4, tolerance=tol).solves
        for tol in (1e-4, 1e-8)
    ]
    assert solves[1] - solves[0] <= 12


def half_space_steps(y: np.ndarray, t: float, d: float, perm: float) -> np.ndarray:
    """Two half spaces (1 and 0 at the start) with a contact resistance 1/P between them.

    By symmetry the step s obeys Crank's problem of surface exchange with h = 2P/D:
    C(0⁺) side: ½[erfc ξ - exp(hx + h²Dt) erfc(ξ + h√(Dt))].
    """
    from scipy.special import erfcx

    h = 2.0 * perm / d
    xi = np.abs(y) / (2.0 * np.sqrt(d * t))
    a = h * np.sqrt(d * t)
    low = 0.5 * (erfc(xi) - erfcx(xi + a) * np.exp(-(xi**2)))
    return np.where(y > 0, low, 1.0 - low)


def test_contact_resistance_between_half_spaces_and_order_in_h() -> None:
    d, perm, t = 2.6, 0.05, 400.0
    s = laminate((0, -300, 6, 300), [0.0], permeability=perm, diffusivity=d)
    errors = []
    for h in (6.0, 3.0):
        p = problem(s, h)
        y, side = p.mesh.points[:, 1], node_grain(p)
        (f,) = run_stages(p, [Stage(t)], initial=np.where(side == 0, 1.0, 0.0), tolerance=1e-9)
        signed = np.where(side == 1, np.maximum(y, 1e-300), np.minimum(y, -1e-300))
        errors.append(np.abs(f - half_space_steps(signed, t, d, perm)).max())
    assert errors[1] < 3e-4
    assert np.log2(errors[0] / errors[1]) > 1.8


def test_exchange_into_a_uniform_grain_is_erfc() -> None:
    d, t = 2.6, 2000.0
    layers = np.arange(-10.0, 590.0, 20.0)
    s = split_at(laminate((0, -40, 6, 600), layers, permeability=np.inf, diffusivity=d), 0.0)
    p = Polycrystal(triangulate(s, graded_size((0, -5, 6, 200), 1.5, 10.0)))
    y = p.mesh.points[:, 1]
    (f,) = run_stages(p, [Stage(t, source=0.95)], initial=0.0759, source=y <= 0)
    exact = 0.0759 + (0.95 - 0.0759) * np.where(y > 0, erfc(y / (2 * np.sqrt(d * t))), 1.0)
    assert np.abs(f - exact).max() < 2e-4


def test_no_boundary_means_one_grain_and_p_zero_means_no_flux() -> None:
    s = laminate((0, 0, 10, 40), [20.0], permeability=0.0, diffusivity=2.6)
    p = problem(s, 2.0)
    y, side = p.mesh.points[:, 1], node_grain(p)
    (f,) = run_stages(p, [Stage(1e5, source=1.0)], initial=0.0, source=y == 0)
    assert f[side == 1] == pytest.approx(0.0, abs=1e-14)
    assert f[side == 0] == pytest.approx(1.0, abs=1e-6)
    free = problem(s.with_permeability(np.inf), 2.0)
    high = problem(s.with_permeability(1e6), 2.0)
    at = np.array([1.0, 19.0, 21.0, 39.0])
    both = []
    for q in (free, high):
        (f,) = run_stages(
            q, [Stage(100.0, source=1.0)], initial=0.0, source=q.mesh.points[:, 1] == 0
        )
        both.append(sampling_matrix(q.mesh, np.array([5.0]), at)[0] @ f)
    assert both[0] == pytest.approx(both[1], abs=1e-6)
    assert np.isnan(free.steps(np.zeros(free.mesh.n))).all()


def test_order_of_convergence_in_h_in_a_polycrystal() -> None:
    """Steady conductance; corners of grains keep the order between one and two."""
    s = grains()
    conductance = []
    for h in (8.0, 4.0, 2.0, 0.7):
        p = problem(s, h)
        y = p.mesh.points[:, 1]
        held = np.isclose(y, 0) | np.isclose(y, 80)
        f = steady_state(p, held, np.where(y > 40, 1.0, 0.0))
        conductance.append(f @ (p.stiffness() @ f))
    error = np.array(conductance[:-1]) / conductance[-1] - 1.0
    # the discrete conductance is an upper bound: nested energies
    assert np.all(np.diff(conductance) < 0)
    assert error[0] < 5e-3
    assert error[0] / error[2] > 4.0


def test_fluxes_through_boundaries_balance_in_each_grain_at_steady_state() -> None:
    s = grains()
    p = problem(s, 3.0)
    y = p.mesh.points[:, 1]
    f = steady_state(p, np.isclose(y, 0) | np.isclose(y, 80), np.where(y > 40, 1.0, 0.0))
    flux = s.permeability * p.steps(f) * s.lengths
    net = np.bincount(s.grains[:, 0], flux, minlength=s.n_grains)
    net -= np.bincount(s.grains[:, 1], flux, minlength=s.n_grains)
    inner = np.ones(s.n_grains, dtype=bool)
    for g, cell in enumerate(s.cells):
        v = s.vertices[cell, 1]
        inner[g] = v.min() > 1e-9 and v.max() < 80 - 1e-9
    assert np.abs(net[inner]).max() < 1e-10 * np.abs(flux).max()


def test_temperature_factors_scale_time() -> None:
    p = problem(grains(box=(0, 0, 40, 60)), 5.0)
    start = np.where(p.mesh.points[:, 1] < 20.0, 1.0, 0.0)
    (slow,) = run_stages(p, [Stage(2e4)], initial=start)
    (fast,) = run_stages(p, [Stage(2e3, bulk_factor=10.0, boundary_factor=10.0)], initial=start)
    assert fast == pytest.approx(slow, abs=1e-6)


def test_bad_input() -> None:
    p = problem(laminate((0, 0, 10, 40), [20.0], permeability=0.0), 5.0)
    y = p.mesh.points[:, 1]
    with pytest.raises(ValueError, match="needs nodes on the source, got none"):
        run_stages(p, [Stage(1.0, source=1.0)], initial=0.0)
    with pytest.raises(ValueError, match="duration must be finite and not negative, got -1"):
        Stage(-1.0)
    with pytest.raises(ValueError, match="factors must be positive"):
        Stage(1.0, bulk_factor=0.0)
    with pytest.raises(ValueError, match="source must be finite"):
        run_stages(p, [Stage(1.0, source=np.nan)], initial=0.0, source=y == 0)
    upper = laminate((0, 0, 10, 40), [20.0], permeability=0.0)
    q = problem(upper, 5.0)
    lower_grain = node_grain(q) == 0
    with pytest.raises(ValueError, match="no path from it"):
        run_stages(q, [Stage(1.0, source=1.0)], initial=0.0, source=lower_grain)
    with pytest.raises(ValueError, match="behind P = 0"):
        steady_state(q, y == 0, 1.0)
    with pytest.raises(ValueError, match="element size must be finite and positive"):
        triangulate(upper, 0.0)
    with pytest.raises(ValueError, match="points must lie inside"):
        sampling_matrix(p.mesh, np.array([5.0]), np.array([50.0]))

"""Quasi-steady diffusion through a field of view, its mesh, and its sensitivities."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

import lliso.diffusion.outlines as outlines_module
from lliso.diffusion.krylov import solved
from lliso.diffusion.mesh import sampling_matrix, triangulate
from lliso.diffusion.outlines import label_outlines
from lliso.diffusion.pixels import pixel_matrix
from lliso.diffusion.polycrystal import Polycrystal, Stage, run_stages
from lliso.diffusion.quasisteady import QuasiSteady
from lliso.diffusion.structures import (
    Structure,
    laguerre_structure,
    laminate,
    lognormal_permeability,
)
from lliso.diffusion.windowmesh import Outlines, mesh_window, oriented, window_outlines

D = 2.6
VIEW = (10.0, 12.0, 70.0, 62.0)


@pytest.fixture(scope="module")
def grains() -> Structure:
    """Some 60 grains with a log-normal P of median 0.0136 (µm, s)."""
    rng = np.random.default_rng(7)
    s = laguerre_structure((0.0, 0.0, 80.0, 75.0), 10.0, 5.0, rng, diffusivity=D)
    return s.with_permeability(lognormal_permeability(s, 0.0136, 0.5, rng))


@pytest.fixture(scope="module")
def problem(grains: Structure) -> QuasiSteady:
    return QuasiSteady(mesh_window(window_outlines(grains, VIEW), 2.5), D)


def _permeability(problem: QuasiSteady, grains: Structure) -> np.ndarray:
    return grains.permeability[problem.mesh.outlines.origin]


def _rim(problem: QuasiSteady) -> np.ndarray:
    """C that falls by 0.3 over the field of view, with a jump from grain to grain."""
    part = problem.mesh.node_part
    y = problem.mesh.points[:, 1]
    centre = np.bincount(part, y) / np.bincount(part)
    return 0.6 - 0.006 * (0.8 * centre[part] + 0.2 * y - VIEW[1])


def _inside(x: np.ndarray, y: np.ndarray, s: Structure) -> np.ndarray:
    """Grain of each point."""
    out = np.full(x.shape, -1)
    for g, cell in enumerate(s.cells):
        p = s.vertices[cell]
        d = np.roll(p, -1, axis=0) - p
        cross = d[:, 0, None] * (y.ravel() - p[:, 1, None]) - d[:, 1, None] * (
            x.ravel() - p[:, 0, None]
        )
        out.ravel()[(cross >= 0).all(axis=0)] = g
    return out


class TestMesh:
    def test_fills_the_field_of_view_and_divides_every_boundary_on_both_sides(
        self, grains: Structure
    ) -> None:
        outlines = window_outlines(grains, VIEW)
        mesh = mesh_window(outlines, 2.0)
        assert mesh.triangle_areas.sum() == pytest.approx(60 * 50, rel=1e-12)
        length = np.bincount(mesh.face_boundary, mesh.face_lengths)
        np.testing.assert_allclose(length, outlines.lengths, rtol=1e-9)
        one, two = mesh.points[mesh.faces[:, :2]], mesh.points[mesh.faces[:, 2:]]
        np.testing.assert_array_equal(one, two)
        assert (mesh.faces[:, :2] != mesh.faces[:, 2:]).all()

    def test_gives_every_triangle_its_grain(self, grains: Structure) -> None:
        mesh = mesh_window(window_outlines(grains, VIEW), 2.0)
        x, y = mesh.points[mesh.triangles].mean(axis=1).T
        np.testing.assert_array_equal(mesh.part_grain[mesh.triangle_part], _inside(x, y, grains))

    def test_normals_point_from_the_first_grain_to_the_second(self, grains: Structure) -> None:
        outlines = window_outlines(grains, VIEW)
        np.testing.assert_allclose(outlines.normals, grains.normals[outlines.origin], atol=1e-9)
        np.testing.assert_array_equal(outlines.grains, grains.grains[outlines.origin])

    def test_refuses_crossing_boundaries(self) -> None:
        cross = [np.array([[0.0, 1.0], [4.0, 3.0]]), np.array([[0.0, 3.0], [4.0, 1.0]])]
        bad = oriented((0, 0, 4, 4), cross, np.array([[0, 1], [2, 3]]))
        with pytest.raises(ValueError, match="meet only at their ends, got one between other"):
            mesh_window(bad, 0.7)  # both have a node where they cross
        cross[1] = np.array([[0.0, 2.7], [4.0, 1.1]])
        bad = oriented((0, 0, 4, 4), cross, np.array([[0, 1], [2, 3]]))
        with pytest.raises(ValueError, match="must meet only at their ends, got some that cross"):
            mesh_window(bad, 0.7)

    def test_refuses_a_field_of_view_beyond_the_structure(self, grains: Structure) -> None:
        with pytest.raises(ValueError, match="must lie inside the structure's box"):
            window_outlines(grains, (10, 10, 90, 60))


def _astray(traced: Outlines, true: Outlines) -> np.ndarray:
    """Distances of evenly spaced points on the traced boundaries from the true ones (straight)."""
    pairs = {tuple(sorted(p)): k for k, p in enumerate(true.grains.tolist())}
    found = []
    for chain, pair in zip(traced.chains, traced.grains.tolist(), strict=True):
        a, b = true.chains[pairs[tuple(sorted(pair))]]
        normal = np.array([b[1] - a[1], a[0] - b[0]]) / np.hypot(*(b - a))
        way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(chain, axis=0).T))])
        even = np.arange(0.05, way[-1], 0.1)
        found.append((np.column_stack([np.interp(even, way, v) for v in chain.T]) - a) @ normal)
    return np.concatenate(found)


class TestLabels:
    def test_trace_the_boundaries_of_a_structure(self, grains: Structure) -> None:
        x, y = np.meshgrid(VIEW[0] + np.arange(60) + 0.5, VIEW[1] + np.arange(50) + 0.5)
        traced = label_outlines(_inside(x, y, grains), VIEW)
        true = window_outlines(grains, VIEW)
        pairs = {tuple(sorted(p)): k for k, p in enumerate(true.grains.tolist())}
        match = [pairs[tuple(sorted(p))] for p in traced.grains.tolist()]
        assert len(set(match)) == len(match)
        assert true.lengths[match].sum() > 0.98 * true.lengths.sum()
        assert traced.lengths.sum() == pytest.approx(true.lengths[match].sum(), rel=0.03)
        astray = _astray(traced, true)
        assert np.abs(astray).max() < 1.0  # pixels
        assert np.sqrt(np.mean(astray**2)) < 0.2

    def test_lines_lie_between_the_pixels_not_on_their_corners(
        self, grains: Structure, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        x, y = np.meshgrid(VIEW[0] + np.arange(60) + 0.5, VIEW[1] + np.arange(50) + 0.5)
        label, true = _inside(x, y, grains), window_outlines(grains, VIEW)
        placed = label_outlines(label, VIEW)
        ends = np.concatenate([chain[[0, -1]] for chain in placed.chains])
        monkeypatch.setattr(
            outlines_module, "_between_pixels", lambda _cracks, lines, _shape: lines
        )
        corners = label_outlines(label, VIEW)
        was = np.concatenate([chain[[0, -1]] for chain in corners.chains])
        # what met still meets, and what left the field of view still leaves it
        assert len(np.unique(ends, axis=0)) == len(np.unique(was, axis=0))
        for at, rim in enumerate((VIEW[::2], VIEW[1::2])):
            np.testing.assert_array_equal(np.isin(ends[:, at], rim), np.isin(was[:, at], rim))
        rms = [np.sqrt(np.mean(_astray(o, true) ** 2)) for o in (placed, corners)]
        assert rms[0] < 0.75 * rms[1]

    def test_normals_point_from_the_first_label_to_the_second(self) -> None:
        label = np.tile(np.array([4, 4, 9, 9]), (3, 1))
        o = label_outlines(label, (0.0, 0.0, 4.0, 3.0))
        assert o.grains.tolist() == [[4, 9]]
        np.testing.assert_allclose(o.normals, [[1.0, 0.0]], atol=1e-12)
        flipped = label_outlines(label.T[::-1].copy(), (0.0, 0.0, 3.0, 4.0))
        assert flipped.grains.tolist() == [[9, 4]]
        np.testing.assert_allclose(flipped.normals, [[0.0, 1.0]], atol=1e-12)

    def test_an_island_becomes_a_closed_loop(self) -> None:
        label = np.zeros((20, 20), dtype=int)
        label[6:14, 5:15] = 3
        mesh = mesh_window(label_outlines(label, (0.0, 0.0, 20.0, 20.0)), 2.0)
        areas = np.bincount(mesh.triangle_part, mesh.triangle_areas)
        found = dict(zip(mesh.part_grain.tolist(), areas, strict=True))
        assert found == pytest.approx({0: 320.0, 3: 80.0}, abs=1.0)

    def test_unknown_pixels_and_specks_go_to_their_neighbours(self) -> None:
        label = np.zeros((10, 12), dtype=int)
        label[5:] = 1
        label[4:6] = -1
        label[2, 3] = 7
        o = label_outlines(label, (0.0, 0.0, 12.0, 10.0))
        assert o.grains.tolist() == [[0, 1]]
        np.testing.assert_allclose(o.chains[0][:, 1], 5.0)

    @pytest.mark.parametrize("seed", range(6))
    def test_any_label_image_can_be_meshed(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        label = rng.integers(0, 3, (14, 17)).repeat(3, axis=0).repeat(2, axis=1)
        if seed % 2:
            label = rng.integers(0, 4, (25, 30))
        box = (0.0, 0.0, 51.0, 42.0)
        mesh = mesh_window(label_outlines(label, box, smallest=1), 1.5)
        assert mesh.triangle_areas.sum() == pytest.approx(51 * 42, rel=1e-12)
        assert (mesh.part_grain >= 0).all()

    def test_refuse_what_is_no_label_image(self) -> None:
        with pytest.raises(ValueError, match="label must be a 2-D array of whole numbers"):
            label_outlines(np.zeros((4, 4)), (0, 0, 1, 1))  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="must mark grains of at least 4 pixels, got none"):
            label_outlines(np.full((4, 4), -1), (0, 0, 1, 1))


class TestForward:
    def test_a_source_term_bends_the_profile_at_second_order(self) -> None:
        """In one dimension D C″ = r is a parabola on both sides of the jump."""
        s = laminate((0.0, 0.0, 5.0, 20.0), [8.0], diffusivity=D)
        r, p = -2e-3, 0.04

        def exact(y: np.ndarray, upper: np.ndarray) -> np.ndarray:
            flux_at_8 = D * (-0.01) + r * 8.0  # D C' there
            return 0.5 - 0.01 * y + r * y**2 / (2 * D) + upper * flux_at_8 / p

        errors = []
        for h in (2.0, 1.0, 0.5):
            q = QuasiSteady(mesh_window(window_outlines(s, s.box), h), D)
            upper = q.mesh.part_grain[q.mesh.node_part] == 1
            truth = exact(q.mesh.points[:, 1], upper)
            field = q.solve(np.array([p]), rim=truth, rate=r)
            errors.append(float(np.abs(field - truth).max()))
        assert errors[2] < 1e-4 * np.ptp(truth)
        assert errors[0] / errors[2] > 10

    def test_agrees_with_diffusion_in_time(self, grains: Structure) -> None:
        """Rim and ∂C/∂t are read from an independent run in time on another mesh."""
        whole = Polycrystal(triangulate(grains, 1.0))
        source = whole.mesh.points[:, 1] <= 1e-9
        fields = run_stages(
            whole,
            [Stage(3900.0, source=1.0), Stage(100.0, source=1.0), Stage(100.0, source=1.0)],
            initial=0.0,
            source=source,
        )
        x, y = VIEW[0] + np.arange(60) + 0.5, VIEW[1] + np.arange(50) + 0.5
        matrix, _ = sampling_matrix(whole.mesh, x, y)
        q = QuasiSteady(mesh_window(window_outlines(grains, VIEW), 1.0), D)
        nodes = q.mesh.points
        # a node's own side of a boundary: a little towards the middle of its piece of grain
        part = q.mesh.node_part
        centre = np.array([np.bincount(part, nodes[:, k]) / np.bincount(part) for k in (0, 1)]).T
        inwards = nodes + 1e-6 * (centre[part] - nodes)
        at = [_at_points(whole, f, inwards) for f in fields]
        rate = (at[2] - at[0]) / 200.0
        field = q.solve(_permeability(q, grains), rim=at[1], rate=rate)
        pixels, _, _ = pixel_matrix(
            q.mesh, np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2), guard=0.0
        )
        difference = pixels @ field - matrix @ fields[1]
        assert np.sqrt(np.mean(difference**2)) < 2e-4 * np.ptp(fields[1])
        # and what the rate does is seen: without it the fields differ fifty times as much
        without = pixels @ q.solve(_permeability(q, grains), rim=at[1]) - matrix @ fields[1]
        assert np.std(without) > 50 * np.std(difference)

    def test_what_flows_into_a_grain_flows_out_or_stays(
        self, problem: QuasiSteady, grains: Structure
    ) -> None:
        rate = -1e-4 * (1 + 0.01 * problem.mesh.points[:, 0])
        p = _permeability(problem, grains)
        field = problem.solve(p, _rim(problem), rate)
        through = p * problem.steps(field) * problem.mesh.outlines.lengths  # towards grain 1
        m = problem.mesh
        gained = np.bincount(m.node_part, problem.mass @ rate)
        rim_parts = set(m.node_part[m.rim].tolist())
        inner = [k for k in range(len(m.part_grain)) if k not in rim_parts]
        assert len(inner) > 10
        for k in inner:
            g = m.part_grain[k]
            sides = m.outlines.grains
            net = through[sides[:, 0] == g].sum() - through[sides[:, 1] == g].sum()
            assert net == pytest.approx(gained[k], rel=1e-9)

    def test_without_resistance_there_is_no_step(self, problem: QuasiSteady) -> None:
        plane = 0.2 + 0.003 * problem.mesh.points[:, 0] - 0.002 * problem.mesh.points[:, 1]
        field = problem.solve(np.full(problem.mesh.n_boundaries, np.inf), plane)
        np.testing.assert_allclose(field, plane, atol=1e-6)

    def test_a_closed_boundary_stops_the_flux(self) -> None:
        s = laminate((0.0, 0.0, 5.0, 20.0), [8.0], diffusivity=D)
        q = QuasiSteady(mesh_window(window_outlines(s, s.box), 1.0), D)
        upper = q.mesh.part_grain[q.mesh.node_part] == 1
        flat = np.where(upper, 0.3, 0.7)
        np.testing.assert_allclose(q.solve(np.array([0.0]), flat), flat, atol=1e-12)
        slopes = [np.ptp(q.solve(np.array([p]), flat)[upper]) for p in (1e-3, 1e-5)]
        assert slopes[1] == pytest.approx(slopes[0] / 100, rel=0.05)

    def test_refuses_a_grain_cut_off_from_the_rim(self) -> None:
        label = np.zeros((20, 20), dtype=int)
        label[6:14, 5:15] = 3
        q = QuasiSteady(mesh_window(label_outlines(label, (0.0, 0.0, 20.0, 20.0)), 2.0), D)
        with pytest.raises(ValueError, match="must be connected to the rim"):
            q.solve(np.array([0.0]), np.zeros(q.mesh.n))

    def test_refuses_bad_numbers(self, problem: QuasiSteady) -> None:
        n = problem.mesh.n_boundaries
        with pytest.raises(ValueError, match="permeability must not be negative or NaN, got -1"):
            problem.response(np.full(n, -1.0))
        with pytest.raises(ValueError, match=f"permeability must be {n} numbers"):
            problem.response(np.ones(n + 1))
        with pytest.raises(ValueError, match="diffusivity must be finite and positive, got 0"):
            QuasiSteady(problem.mesh, 0.0)


def _at_points(whole: Polycrystal, field: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Field of the run in time at any points, each in its own grain."""
    m = whole.mesh
    corners = m.points[m.triangles]
    _, near = cKDTree(corners.mean(axis=1)).query(points, k=40)
    a = corners[near, 0]
    u, v, d = corners[near, 1] - a, corners[near, 2] - a, points[:, None] - a
    det = u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]
    wb = (d[..., 0] * v[..., 1] - d[..., 1] * v[..., 0]) / det
    wc = (u[..., 0] * d[..., 1] - u[..., 1] * d[..., 0]) / det
    w = np.stack([1 - wb - wc, wb, wc], axis=-1)
    best = np.arange(len(points)), w.min(axis=-1).argmax(axis=1)
    return np.asarray((w[best] * field[m.triangles[near[best]]]).sum(axis=1))


class TestSensitivities:
    def test_agree_with_finite_differences(self, problem: QuasiSteady, grains: Structure) -> None:
        ln_p = np.log(_permeability(problem, grains))
        rim, rate = _rim(problem), 1e-5

        def field(at: np.ndarray) -> np.ndarray:
            return problem.solve(np.exp(at), rim, rate)

        z = field(ln_p)[problem.skeleton]
        response = problem.response(np.exp(ln_p))
        exact = problem.lift[:, : problem.n_free] @ response.ln_permeability_sensitivity(z)
        h = 3e-3
        for k in range(0, problem.mesh.n_boundaries, 5):
            e = np.zeros_like(ln_p)
            e[k] = h
            # fourth order, so that 1e-6 is reached
            numeric = (
                8 * (field(ln_p + e) - field(ln_p - e)) - field(ln_p + 2 * e) + field(ln_p - 2 * e)
            ) / (12 * h)
            np.testing.assert_allclose(
                exact[:, k], numeric, atol=1e-6 * np.abs(numeric).max(), rtol=0
            )

    def test_the_adjoint_gives_the_same(self, problem: QuasiSteady, grains: Structure) -> None:
        rng = np.random.default_rng(3)
        response = problem.response(_permeability(problem, grains))
        rim = rng.standard_normal((len(problem.skeleton) - problem.n_free, 2))
        z = response.skeleton_values(rim, np.zeros((problem.n_free, 2)))
        weight = rng.standard_normal(z.shape)
        direct = sum(
            response.ln_permeability_sensitivity(z[:, k]).T @ weight[: problem.n_free, k]
            for k in (0, 1)
        )
        np.testing.assert_allclose(
            response.ln_permeability_pullback(weight, z), direct, rtol=1e-9, atol=1e-12
        )


class TestPixels:
    def test_interpolate_exactly_and_leave_the_guard_out(self, problem: QuasiSteady) -> None:
        x, y = np.meshgrid(np.arange(11.0, 70.0, 1.7), np.arange(13.0, 62.0, 1.3))
        points = np.column_stack([x.ravel(), y.ravel()])
        plane = problem.mesh.points @ [0.3, -0.2]
        matrix, _, distance = pixel_matrix(problem.mesh, points, guard=1.5)
        used = distance >= 1.5
        np.testing.assert_allclose((matrix @ plane)[used], points[used] @ [0.3, -0.2], atol=1e-9)
        assert (np.diff(matrix.indptr)[~used] == 0).all()
        # against every boundary in turn
        exact = np.full(len(points), np.inf)
        for a, b in problem.mesh.outlines.chains:
            t = np.clip((points - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
            exact = np.minimum(exact, np.hypot(*(points - a - t[:, None] * (b - a)).T))
        np.testing.assert_allclose(distance[exact < 3], exact[exact < 3], atol=0.02)

    def test_see_the_other_grain_through_the_blur(self) -> None:
        """Against a step, a slope in each grain, averaged over a Gaussian by brute force."""
        laminate_ = laminate((0, 0, 20, 40), [20.0])
        mesh = mesh_window(window_outlines(laminate_, (0, 0, 20, 40)), 2.0)
        y = mesh.points[:, 1]
        upper = mesh.part_grain[mesh.node_part] == 1
        field = 0.02 * y + 0.3 * upper
        points = np.column_stack([np.full(9, 10.0), 20 + np.linspace(-2.0, 2.0, 9) + 0.01])
        matrix, _, _ = pixel_matrix(mesh, points, 0.0, 0.6)
        fine = np.linspace(-5.0, 5.0, 20001)
        kernel = np.exp(-0.5 * (fine / 0.6) ** 2)
        at = points[:, 1:] + fine
        exact = ((0.02 * at + 0.3 * (at > 20)) * kernel).sum(axis=1) / kernel.sum()
        np.testing.assert_allclose(matrix @ field, exact, atol=1e-4)

    def test_refuse_points_outside(self, problem: QuasiSteady) -> None:
        with pytest.raises(ValueError, match="pixels must lie inside the field of view"):
            pixel_matrix(problem.mesh, np.array([[5.0, 20.0], [20.0, 20.0]]), 0.0)


@pytest.mark.parametrize("columns", [0, 1, 31, 32, 33, 100])
def test_many_right_hand_sides_are_solved_as_if_at_once(problem, grains, columns):
    factors = problem.response(_permeability(problem, grains)).factors
    right = np.random.default_rng(columns).standard_normal((problem.n_free, columns))
    x = solved(factors, right)
    assert x.shape == right.shape
    np.testing.assert_allclose(factors.solve(right) if columns else right, x, rtol=0, atol=1e-12)

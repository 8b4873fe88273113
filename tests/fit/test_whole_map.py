"""The whole-map inversion on simulated maps whose P are known. Everything here is simulated."""

from functools import lru_cache

import numpy as np
import pytest
import xarray as xr
from scipy.special import erfc

from lliso.diffusion.mesh import Mesh, graded_size, sampling_matrix, triangulate
from lliso.diffusion.polycrystal import Polycrystal, Stage, run_stages
from lliso.diffusion.quasisteady import QuasiSteady
from lliso.diffusion.splitting import split_at
from lliso.diffusion.structures import Structure, laguerre_structure, lognormal_permeability
from lliso.diffusion.windowmesh import mesh_window
from lliso.fit.lognormal_prior import lognormal_posterior
from lliso.fit.map_preparation import prepared_stage
from lliso.fit.rate import Clock
from lliso.fit.whole_map import invert_map, map_outlines
from lliso.fit.whole_map_table import COLUMNS
from lliso.schema import make_map

D = 2.6e-8
EXCHANGE, STORAGE = 59 * 3600.0, 16 * 86400.0
X, Y = np.arange(120) + 0.5, 120 + np.arange(100) + 0.5
VIEW = (0.0, 120.0, 120.0, 220.0)
MEDIAN, SIGMA = 0.012, 0.5  # of P in µm/s


@lru_cache(maxsize=16)
def run(seed: int) -> tuple[Structure, Mesh, list[np.ndarray]]:
    """Grains of 16 µm, and C on their mesh after exchange and after storage, run in time."""
    rng = np.random.default_rng(seed)
    s = laguerre_structure((-20.0, -100.0, 140.0, 800.0), 16.0, 7.0, rng, diffusivity=2.6)
    s = s.with_permeability(lognormal_permeability(s, MEDIAN, SIGMA, rng))
    mesh = triangulate(split_at(s, 0.0), graded_size(VIEW, 2.5, 6.0))
    fields = run_stages(
        Polycrystal(mesh),
        [Stage(EXCHANGE, source=0.95), Stage(STORAGE)],
        initial=0.0759,
        source=mesh.points[:, 1] <= 1e-9,
    )
    return s, mesh, fields


@lru_cache(maxsize=16)
def specimen(seed: int) -> tuple[Structure, list[np.ndarray], np.ndarray]:
    """Structure, C in the middle of the pixels after exchange and after storage, labels."""
    s, mesh, fields = run(seed)
    matrix, grain = sampling_matrix(mesh, X, Y)
    return s, [(matrix @ f).reshape(grain.shape) for f in fields], grain.astype(int)


def averaged(seed: int) -> np.ndarray:
    """C after exchange as pixels see it, averaged over each."""
    _, mesh, fields = run(seed)
    fine_x, fine_y = ((np.arange(3 * v.size) + 0.5) / 3 + v[0] - 0.5 for v in (X, Y))
    c = sampling_matrix(mesh, fine_x, fine_y)[0] @ fields[0]
    return c.reshape(Y.size, 3, X.size, 3).mean(axis=(1, 3))


def counted(
    c: np.ndarray, n: float, seed: int | None = None, *, stored: bool = False
) -> xr.Dataset:
    """Return a map of `n` counts a pixel; without a seed, of the expected counts."""
    both = np.stack([n * c, n * (1 - c)])
    if seed is not None:
        both = np.random.default_rng([seed, 9]).poisson(both)
    attrs = {
        "simulated": 1,
        "stage": "59 h + 16 d" if stored else "59 h",
        "exchange_s": EXCHANGE,
        "storage_s": STORAGE if stored else 0.0,
        "c_source": 0.95,
        "c_natural": 0.0759,
    }
    return make_map(both, ["6Li", "7Li"], x=X, y=Y, attrs=attrs)


def errors(table: xr.Dataset, s: Structure) -> tuple[np.ndarray, ...]:
    """Error of ln P, its stated standard deviation, flux-weight, and the truth's deviation."""
    pairs = {tuple(sorted(p)): k for k, p in enumerate(s.grains.tolist())}
    both = zip(table["grain1"].values.tolist(), table["grain2"].values.tolist(), strict=True)
    match = np.array([pairs.get(tuple(sorted(p)), -1) for p in both])
    kept = (match >= 0) & (table["length"].values > 3.0)
    error = table["ln_permeability"].values - np.log(s.permeability[match] * 1e-4)
    weight = np.abs(table["flux"].values[0]) * table["length"].values
    spread = np.log(s.permeability[match] / MEDIAN)
    return error[kept], table["ln_permeability_std"].values[kept], weight[kept], spread[kept]


class TestRecovery:
    def test_expected_counts_give_back_what_they_determine(self) -> None:
        s, fields, _ = specimen(1)
        table = invert_map(counted(fields[0], 1e6), s, d_bulk=D, tau=1.0)
        truth = np.log(s.permeability[map_outlines(counted(fields[0], 1), s).origin] * 1e-4)
        error = table["ln_permeability"].values - truth
        known = table["shrinkage"].values > 0.95
        assert known.sum() > 30
        assert np.sqrt(np.mean(error[known] ** 2)) < 0.08
        assert abs(table.attrs["mu"] - truth.mean()) < 0.05
        assert table.attrs["success"] == 1

    @pytest.mark.parametrize("route", ["structure", "labels"])
    def test_stated_errors_cover_the_truth(self, route: str) -> None:
        """Seven specimens, 1,500 counts: about a thousand boundaries, correlated in each."""
        found, mu = [], []
        for seed in range(1, 8):
            s, fields, label = specimen(seed)
            grains = s if route == "structure" else label
            table = invert_map(counted(fields[0], 1500, seed), grains, d_bulk=D)
            found.append(errors(table, s))
            mu.append((table.attrs["mu"] - np.log(MEDIAN * 1e-4)) / table.attrs["mu_std"])
        error, std, weight, spread = (np.concatenate(v) for v in zip(*found, strict=True))
        assert 0.62 < np.mean(np.abs(error) < std) < 0.75
        assert 0.92 < np.mean(np.abs(error) < 1.96 * std) < 0.98
        assert abs(np.mean(mu)) < 2.0 / np.sqrt(len(mu))
        rms = np.sqrt(np.average(error**2, weights=weight))
        alone = np.sqrt(np.average(spread**2, weights=weight))
        assert rms < 0.92 * alone  # better than knowing the distribution of P

    def test_a_second_stage_adds_information(self) -> None:
        s, fields, _ = specimen(2)
        first, second = counted(fields[0], 3000, 1), counted(fields[1], 3000, 2, stored=True)
        one = invert_map(first, s, d_bulk=D, tau=0.5)
        two = invert_map([first, second], s, d_bulk=D, tau=0.5)
        assert two["step"].dims == ("stage", "boundary")
        assert two["stage"].values.tolist() == ["59 h", "59 h + 16 d"]
        gain = two["shrinkage"].values - one["shrinkage"].values
        assert gain.mean() > 0
        error, std, _, _ = errors(two, s)
        assert 0.55 < np.mean(np.abs(error) < std) < 0.8

    def test_d_bulk_follows_from_the_exchange_time(self) -> None:
        ratios = []
        for seed in (1, 2, 3):
            s, fields, _ = specimen(seed)
            table = invert_map(counted(fields[0], 1e5), s, d_bulk=None)
            assert table.attrs["d_bulk_estimated"] == 1
            ratios.append(table.attrs["d_bulk_cm2_per_s"] / D)
            assert abs(np.log(ratios[-1])) < 2.5 * table.attrs["d_bulk_relative_std"]
            known = invert_map(counted(fields[0], 1e5), s, d_bulk=D)
            shift = table["ln_permeability"] - known["ln_permeability"]
            assert np.median(shift) == pytest.approx(np.log(ratios[-1]), abs=0.1)
        assert np.mean(ratios) == pytest.approx(1.0, abs=0.15)

    def test_another_estimate_of_d_bulk_enters_with_its_weight(self) -> None:
        s, fields, _ = specimen(1)
        ds = counted(fields[0], 1e5)
        sure = invert_map(ds, s, d_bulk=None, d_bulk_prior=(D, 0.001 * D)).attrs
        assert sure["d_bulk_cm2_per_s"] == pytest.approx(D, rel=1e-3)
        assert sure["d_bulk_relative_std"] == pytest.approx(1e-3, rel=1e-3)


class TestOutlines:
    """Outlines astray are found by the pixels next to them."""

    @pytest.mark.parametrize(
        ("guard", "shift", "off"),
        [(0.0, 0, False), (0.0, 1, True), (1.5, 0, False), (1.5, 3, True)],
    )
    def test_outlines_astray_are_flagged(self, guard: float, shift: int, off: bool) -> None:
        label, c = specimen(1)[2], averaged(1)
        moved = np.pad(label, ((shift, 0), (shift, 0)), mode="edge")[: Y.size, : X.size]
        ds = counted(c, 1500, 1)
        table = invert_map(ds, moved, d_bulk=D, resolution=0.0, guard=guard)
        flagged = ["outlines_off" in f.split() for f in table["flags"].values]
        assert flagged == [off] * table.sizes["boundary"]
        assert (table.attrs["edge_chi2_ratio"] > 1.1) == off
        assert 0.0 < table.attrs["edge_chi2_ratio_std"] < 0.1

    def test_every_pixel_tells_more(self) -> None:
        label, ds = specimen(2)[2], counted(averaged(2), 1500, 2)
        some = invert_map(ds, label, d_bulk=D, resolution=0.0, tau=0.5, guard=1.5)
        whole = invert_map(ds, label, d_bulk=D, resolution=0.0, tau=0.5, guard=0.0)
        gain = whole["shrinkage"].values - some["shrinkage"].values
        assert gain.mean() > 0.01
        assert (gain > -0.01).all()
        shift = whole["ln_permeability"].values - some["ln_permeability"].values
        assert np.abs(shift / some["ln_permeability_std"].values).max() < 1.5


class TestLimits:
    def test_a_map_without_steps_sets_a_lower_limit(self) -> None:
        s, _, _ = specimen(1)
        plane = np.broadcast_to(0.5 - 0.001 * (Y[:, None] - 120), (Y.size, X.size))
        table = invert_map(counted(plane, 3000, 1), s, d_bulk=D)
        assert set(table["verdict"].values) == {"lower_limit"}
        assert np.isinf(table["permeability_high"]).all()
        assert np.isnan(table["permeability"]).all()
        assert table.attrs["limit"] == "lower_limit"
        # Biot number P l/D: steps of a tenth of what C loses across a grain would show
        assert D / 16e-4 < table.attrs["permeability_limit"] < 100 * D / 16e-4
        # tau is the prior's alone: root mean square of a log-normal about 0.5, a factor of 2 wide
        tau = table.attrs["tau"]
        assert tau == pytest.approx(0.5 * np.exp(np.log(2.0) ** 2), rel=0.1)
        below = np.exp(-1.96 * tau) * table.attrs["permeability_limit"]
        np.testing.assert_allclose(table["permeability_low"], below, rtol=1e-3)

    def test_a_map_of_flat_grains_has_small_p(self) -> None:
        s, _, label = specimen(1)
        y = np.broadcast_to(Y[:, None], label.shape).ravel()
        centre = np.bincount(label.ravel(), y) / np.maximum(np.bincount(label.ravel()), 1)
        flat = counted(0.5 - 0.002 * (centre[label] - 120), 1e4, 1).drop_attrs()
        table = invert_map(flat, s, d_bulk=D)
        upper = np.exp(table.attrs["mu"] + table.attrs["mu_std"])
        assert upper < 0.5 * MEDIAN * 1e-4
        usual = invert_map(counted(specimen(1)[1][0], 1e4, 1), s, d_bulk=D)
        assert table.attrs["mu"] < usual.attrs["mu"] - 1.0

    def test_boundaries_along_the_flux_are_flagged_and_left_to_the_prior(self) -> None:
        label = np.add.outer(np.arange(100) // 25 * 10, np.arange(120) // 30)
        c = 0.6 - 0.0005 * (Y[:, None] - 120) - 0.03 * (np.arange(100) // 25)[:, None]
        table = invert_map(counted(np.broadcast_to(c, label.shape), 1e5), label, d_bulk=D, tau=0.5)
        upright = np.abs(table["ny"].values) < 0.1
        flagged = np.array(["parallel_to_flux" in f for f in table["flags"].values])
        np.testing.assert_array_equal(upright, flagged)
        assert table["shrinkage"].values[upright].max() < 0.1
        assert table["shrinkage"].values[~upright].min() > 0.8
        np.testing.assert_allclose(
            table["permeability"].values[~upright], D * 5.0 / 0.03, rtol=0.15
        )


class TestInformation:
    def test_the_score_is_the_gradient_of_the_loss(self) -> None:
        s, fields, _ = specimen(3)
        ds = counted(fields[0], 3000, 1)
        outlines = map_outlines(ds, s)
        problem = QuasiSteady(mesh_window(outlines, 3.0), 2.6)
        stage = prepared_stage(ds, problem, 1.0, 1.0, None).stage
        m = np.log(s.permeability[outlines.origin]) + 0.2
        score = stage.linearised(m).score
        for k in range(0, len(m), 12):
            e = np.zeros_like(m)
            e[k] = 0.02
            up, down = (stage.linearised(m + t * e, sensitivities=False).loss for t in (1, -1))
            assert score[k] == pytest.approx((down - up) / 0.04, rel=5e-3, abs=5e-3)

    def test_evidence_finds_the_width_of_the_prior(self) -> None:
        rng = np.random.default_rng(5)
        m = -14.0 + 0.8 * rng.standard_normal(400)
        h = rng.uniform(0.0, 40.0, 400)
        seen = m + rng.standard_normal(400) / np.sqrt(h)
        p = lognormal_posterior(np.diag(h), h * seen)
        assert p.tau == pytest.approx(0.8, abs=0.1)
        assert p.mu == pytest.approx(-14.0, abs=3 * p.mu_std)
        error = (p.mean - m) / np.sqrt(np.diag(p.covariance))
        assert np.std(error) == pytest.approx(1.0, abs=0.12)

    def test_averaging_over_the_width_widens_what_little_data_leave(self) -> None:
        """Against a brute-force average over a fine grid of widths and of mu."""
        h, b = np.array([30.0, 4.0, 0.5, 9.0]), np.array([40.0, 1.0, 0.3, 2.0])
        ln_tau = np.linspace(np.log(0.5) - 2.5, np.log(0.5) + 2.5, 201)
        moments = np.zeros(3)
        for value in ln_tau:
            t2 = np.exp(2 * value)
            spread = t2 + 1 / h  # of b/h about mu
            precision = np.sum(1 / spread)
            mu = np.sum(b / h / spread) / precision
            chi2 = np.sum((b / h - mu) ** 2 / spread)
            hyper = ((value - np.log(0.5)) / np.log(2.0)) ** 2
            weight = np.exp(-0.5 * (chi2 + hyper + np.sum(np.log(spread)) + np.log(precision)))
            mean = (b[1] + mu / t2) / (h[1] + 1 / t2)
            var = 1 / (h[1] + 1 / t2) + (1 / t2 / (h[1] + 1 / t2)) ** 2 / precision
            moments += weight * np.array([1.0, mean, var + mean**2])
        exact_mean = moments[1] / moments[0]
        exact_std = np.sqrt(moments[2] / moments[0] - exact_mean**2)
        order = np.eye(4)[[1, 0, 2, 3]]
        p = lognormal_posterior(order @ np.diag(h) @ order.T, order @ b, average=True)
        assert p.mean[0] == pytest.approx(exact_mean, abs=0.02 * exact_std)
        assert np.sqrt(p.covariance[0, 0]) == pytest.approx(exact_std, rel=0.02)
        best = lognormal_posterior(np.diag(h), b)
        assert p.tau > best.tau

    def test_the_clock_is_the_derivative_of_the_exchange_profile(self) -> None:
        y, d = np.linspace(10.0, 900.0, 12), 0.31

        def at(t: float) -> np.ndarray:
            return 0.0759 + (0.95 - 0.0759) * erfc(y / (2 * np.sqrt(d * t)))

        c, t = at(EXCHANGE), EXCHANGE
        clock = Clock(t, 0.95, 0.0759)
        np.testing.assert_allclose(
            clock.rate(c), (at(1.001 * t) - at(0.999 * t)) / (0.002 * t), rtol=1e-4
        )
        near = np.linspace(395.0, 405.0, 11)
        c = 0.0759 + (0.95 - 0.0759) * erfc(near / (2 * np.sqrt(d * t)))
        flux = clock.flux(near, c, np.ones(11))
        assert flux == pytest.approx(d * np.gradient(c, near)[5], rel=1e-3)


class TestTable:
    def test_has_every_column_with_its_unit(self) -> None:
        s, fields, _ = specimen(1)
        seen: list[str] = []
        table = invert_map(
            counted(fields[0], 600, 1), s, d_bulk="2.6e-8 cm^2/s", progress=seen.append
        )
        for name, (unit, _) in COLUMNS.items():
            assert table[name].attrs["units"] == unit
        n = table.sizes["boundary"]
        assert table["ln_permeability_covariance"].shape == (n, n)
        std = np.sqrt(np.diag(table["ln_permeability_covariance"]))
        np.testing.assert_allclose(std, table["ln_permeability_std"])
        assert len(seen) == table.attrs["iterations"]
        assert table.attrs["simulated"] == 1
        assert 0.9 < table.attrs["chi2_red"] < 1.1
        np.testing.assert_allclose(table["d_gb"], table["permeability"] * 0.5e-7)
        wide = table["permeability_high"] / table["permeability_low"]
        np.testing.assert_allclose(np.log(wide), 2 * 1.959964 * table["ln_permeability_std"])

    def test_frames_are_summed(self) -> None:
        s, fields, _ = specimen(1)
        ds = counted(fields[0], 600, 1)
        frames = ds.assign(counts=ds["counts"].expand_dims(frame=2, axis=1) / 2)
        one, two = (invert_map(m, s, d_bulk=D) for m in (ds, frames))
        np.testing.assert_allclose(one["ln_permeability"], two["ln_permeability"], rtol=1e-9)

    def test_refuses_what_it_cannot_use(self) -> None:
        s, fields, label = specimen(1)
        ds = counted(fields[0], 600, 1)
        with pytest.raises(ValueError, match="at least one map, got none"):
            invert_map([], s, d_bulk=D)
        with pytest.raises(ValueError, match=r"labels must be whole numbers of the map's shape"):
            invert_map(ds, label[:-1], d_bulk=D)
        with pytest.raises(ValueError, match="must share their grid, got different x"):
            invert_map([ds, ds.assign_coords(x=ds["x"] + 1)], s, d_bulk=D)
        with pytest.raises(ValueError, match="d_bulk needs the exchange time"):
            invert_map(ds.drop_attrs(), s, d_bulk=None)
        with pytest.raises(ValueError, match=r"exchange_time must be one per map \(1\), got 2"):
            invert_map(ds, s, d_bulk=D, exchange_time=["59 h", None])
        with pytest.raises(ValueError, match="exchange_time must be positive, got -1 s"):
            invert_map(ds, s, d_bulk=D, exchange_time=-1.0)
        with pytest.raises(ValueError, match=r"tau must be positive, got -0\.5"):
            invert_map(ds, s, d_bulk=D, tau=-0.5)
        with pytest.raises(ValueError, match="needs pixels with counts farther than 50 um"):
            invert_map(ds, s, d_bulk=D, guard="50 um")

"""The patch estimator: exact on its own fields, honest on noise, and it finds the boundary."""

import numpy as np
import pytest
from scipy.stats import binom

from lliso.fit.patch import (
    PatchGeometry,
    PatchImage,
    fit_patch,
    geometry_of_pick,
    refined_geometry,
)
from lliso.fit.uncertainty import ratio_set
from lliso.maps.cuts import LineCut
from lliso.maps.picks import BoundaryPick

X = np.arange(60) * 0.977
Y = np.arange(80) * 0.971
MIDDLE = (29.0, 39.0)


def field(angle: float, step=-0.02, slope=-1.1e-4, before=0.0, after=0.0, along=0.0, shift=0.0):
    """Return the fraction around a boundary whose normal is `angle` degrees from y."""
    a = np.radians(angle)
    n = (np.sin(a), np.cos(a))
    dx, dy = X[None, :] - MIDDLE[0], Y[:, None] - MIDDLE[1]
    nu = dx * n[0] + dy * n[1] - shift
    tau = dy * n[0] - dx * n[1]
    bend = np.where(nu < 0, before, after) * nu**2 / 2
    return 0.3 + step * ((nu > 0) - 0.5) + slope * nu + bend + along * tau, n


def image(fraction, counts=1e9):
    return PatchImage(fraction * counts, np.full(fraction.shape, counts), X, Y, 0.977)


def geometry(n, **changes):
    values = {"width": 24.0, "reach_before": 30.0, "reach_after": 30.0, **changes}
    return PatchGeometry("1", *MIDDLE, *n, **values)


@pytest.mark.parametrize("angle", [0.0, 17.0, -40.0, 90.0, 180.0])
def test_its_own_field_comes_back_exactly(angle):
    truth = {"step": -0.02, "slope": -1.1e-4, "before": 2e-6, "after": -3e-6, "along": 5e-5}
    fraction, n = field(angle, **truth)
    fit = fit_patch(image(fraction), geometry(n), refine=False)
    assert fit.parameters["step"] == pytest.approx(truth["step"], abs=1e-9)
    assert fit.parameters["slope"] == pytest.approx(truth["slope"], rel=1e-6)
    assert fit.parameters["curvature_before"] == pytest.approx(truth["before"], rel=1e-5)
    assert fit.parameters["curvature_after"] == pytest.approx(truth["after"], rel=1e-5)


@pytest.mark.parametrize(("shift", "turn"), [(1.2, 0.0), (0.0, 6.0), (-1.5, -8.0)])
def test_a_misplaced_pick_is_put_right(shift, turn):
    from scipy.ndimage import gaussian_filter

    # The boundary is rendered at a tenth of a pixel and blurred as the instrument does.
    fine_x = (np.arange(600) - 4.5) * 0.0977
    fine_y = (np.arange(800) - 4.5) * 0.0971
    a = np.radians(12.0)
    n = np.array([np.sin(a), np.cos(a)])
    nu = (fine_x[None, :] - MIDDLE[0]) * n[0] + (fine_y[:, None] - MIDDLE[1]) * n[1]
    fine = 0.3 - 0.02 * ((nu > 0) - 0.5) - 1.1e-4 * nu
    blurred = gaussian_filter(fine, 1.0 / 2.3548 / 0.0974)
    fraction = blurred.reshape(80, 10, 60, 10).mean(axis=(1, 3))
    b = np.radians(12.0 - turn)
    wrong = PatchGeometry(
        "1",
        MIDDLE[0] + shift * n[0],
        MIDDLE[1] + shift * n[1],
        np.sin(b),
        np.cos(b),
        24.0,
        28.0,
        28.0,
    )
    found, _, std = refined_geometry(image(fraction, 3e3), wrong)
    offset = (found.x - MIDDLE[0]) * n[0] + (found.y - MIDDLE[1]) * n[1]
    assert abs(offset) < 0.05
    assert 0.02 < std < 0.3
    assert found.nx * n[0] + found.ny * n[1] == pytest.approx(1.0, abs=2e-5)
    fit = fit_patch(image(fraction, 1e9), wrong)
    assert fit.parameters["slope"] == pytest.approx(-1.1e-4, rel=0.02)


def test_a_step_lost_in_the_noise_leaves_the_pick_where_it_was(rng):
    fraction, n = field(0.0, step=-1e-4)
    total = np.full(fraction.shape, 100.0)
    noisy = PatchImage(rng.binomial(100, fraction).astype(float), total, X, Y, 0.977)
    given = geometry(n)
    found, turn, std = refined_geometry(noisy, given)
    assert found == given
    assert turn == 0.0
    assert np.isnan(std)


def test_bias_scatter_and_coverage_on_its_own_fields(rng):
    """Bias within 0.1 σ, and 68/95 % sets that hold the truth as often as they say."""
    draws, mean_slope, counts = 400, 1.1e-4, 1500
    spread = 0.6 * mean_slope / (30.0 - 1.977)
    z_step, z_slope, hits = [], [], {0.6827: 0, 0.95: 0}
    for _ in range(draws):
        before, after = rng.normal(0, spread, 2)
        fraction, n = field(9.0, before=before, after=after)
        light = rng.binomial(counts, fraction).astype(float)
        noisy = PatchImage(light, np.full(light.shape, float(counts)), X, Y, 0.977)
        fit = fit_patch(noisy, geometry(n), mean_slope=mean_slope, refine=False)
        z_step.append((fit.parameters["step"] + 0.02) / np.sqrt(fit.covariance[0, 0]))
        z_slope.append((fit.parameters["slope"] + 1.1e-4) / np.sqrt(fit.covariance[1, 1]))
        for level in hits:
            found = ratio_set(
                fit.parameters["slope"],
                fit.parameters["step"],
                fit.covariance[1, 1],
                fit.covariance[0, 0],
                fit.covariance[0, 1],
                level,
            )
            hits[level] += found.low <= 1.1e-4 / 0.02 <= found.high
    error_of_mean = 1 / np.sqrt(draws)
    for z in (z_step, z_slope):
        # 0.1 σ is the bias allowed; the mean of 400 draws is known to half of that.
        assert abs(np.mean(z)) < 0.1 + 2 * error_of_mean
        assert np.std(z) == pytest.approx(1.0, abs=3.5 / np.sqrt(2 * draws))
    for level, n_hit in hits.items():
        assert binom.ppf(1e-3, draws, level) <= n_hit <= binom.ppf(1 - 1e-3, draws, level)


def test_one_common_slope_reaches_the_information_bound():
    """var(slope) = 6v/L³ and var(step) = 8v/L without guard and curvature (v: PHYSICS)."""
    fraction, n = field(0.0, step=0.0, slope=0.0)
    counts, reach = 1e4, 30.0
    fit = fit_patch(
        image(fraction, counts),
        geometry(n, reach_before=reach + 1.977, reach_after=reach + 1.977),
        mean_slope=1e-12,  # a prior this tight is no curvature
        refine=False,
    )
    v = 0.3 * 0.7 * 0.977 * 0.971 / (counts * 24.0)
    # The guard takes the inner 2 of 30 µm, where there is hardly any slope to be learnt.
    assert fit.covariance[1, 1] == pytest.approx(6 * v / reach**3, rel=0.35)
    assert fit.covariance[1, 1] > 6 * v / reach**3
    assert fit.covariance[0, 0] > 8 * v / reach


def test_only_allowed_pixels_are_looked_at():
    fraction, n = field(0.0)
    spoiled = fraction.copy()
    spoiled[:, :25] = 0.9
    allowed = np.ones(fraction.shape, bool)
    allowed[:, :25] = False
    fit = fit_patch(image(spoiled), geometry(n), refine=False, allowed=allowed)
    assert fit.parameters["step"] == pytest.approx(-0.02, abs=1e-9)


def test_a_picks_patch_is_the_band_of_its_cut():
    cut = LineCut(name="a", start=(10, 10), end=(10, 60), width=8)
    pick = BoundaryPick(name="1", cut="a", position=20, window=(0, 45), tilt=10)
    found = geometry_of_pick(pick, cut)
    assert (found.x, found.y) == (10, 30)
    assert (found.reach_before, found.reach_after) == (20, 25)
    assert (found.guarded_before, found.guarded_after) == (False, True)
    assert np.degrees(np.arccos(found.ny)) == pytest.approx(10)


def test_a_patch_that_is_too_short_says_so():
    fraction, n = field(0.0)
    with pytest.raises(ValueError, match="window of boundary '1' must leave at least 3 slices"):
        fit_patch(image(fraction), geometry(n, reach_before=4.0), refine=False)


def test_it_agrees_with_lmfit(rng):
    """The closed form and a least-squares search on the same pixels: to 1e-5 σ."""
    import lmfit

    from lliso.diffusion.steps import boundary_terms
    from lliso.fit.patch import patch_pixels
    from lliso.fit.window import guard_length

    fraction, n = field(9.0, before=2e-6, after=-2e-6, along=3e-5)
    light = rng.binomial(2000, fraction).astype(float)
    noisy = PatchImage(light, np.full(light.shape, 2000.0), X, Y, 0.977)
    fit = fit_patch(noisy, geometry(n), mean_slope=1.1e-4, refine=False)
    pixels = patch_pixels(noisy, geometry(n), guard_length(0.977, 1.0), None)
    terms = np.column_stack([boundary_terms(pixels.nu), pixels.tau])
    names = ["level", "step", "slope", "curvature_before", "curvature_after", "along"]
    found = np.array([*(fit.parameters[k] for k in names[:5]), fit.along])
    fitted = terms @ found
    weight = np.sqrt(pixels.total / (fitted * (1 - fitted)))
    # The search needs parameters of one size; what is compared is in units of the error.
    size = np.sqrt(np.diag(np.linalg.inv(fit.information + np.diag(fit.prior_precision))))

    def residual(params):
        value = np.array([params[k].value for k in names]) * size
        data = (terms @ value - pixels.light / pixels.total) * weight
        return np.concatenate([data, value[3:5] * np.sqrt(fit.prior_precision[3:5])])

    params = lmfit.create_params(**dict(zip(names, found / size + 0.5, strict=True)))
    result = lmfit.minimize(residual, params, scale_covar=False, ftol=1e-13, xtol=1e-13)
    searched = np.array([result.params[k].value for k in names])
    np.testing.assert_allclose(searched, found / size, atol=1e-5)
    errors = np.array([result.params[k].stderr for k in names])
    np.testing.assert_allclose(errors, 1.0, rtol=1e-4)

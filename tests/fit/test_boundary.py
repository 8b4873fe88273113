"""One boundary on simulated profiles: no bias, errors that are true, and what is refused."""

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import binom, chi2

from lliso.diffusion.steps import boundary_fraction, boundary_terms
from lliso.fit.boundary import CURVATURE_SHARE, failed_fit, fit_boundary
from lliso.fit.linear import fit_linear
from lliso.fit.paper2024 import fit_two_quadratics
from lliso.fit.uncertainty import INCONSISTENT_SIGN, ratio_set
from lliso.fit.window import cut_window
from lliso.maps.picks import BoundaryPick

# Counts a slice: 20 pixels across at 100 and 600 counts, 40 across at 3,000.
LOW, MEDIUM, HIGH = 2_000, 12_000, 120_000
DRAWS = 1_500


@pytest.fixture
def ensemble(rng, field):
    """Fits of many simulated fields whose curvatures are drawn from the prior."""

    def make(counts, level=0.95):
        steepness = abs(field.truth["slope"])
        window = cut_window(field.noiseless(), field.pick, 1.0)
        reach = np.array([window.reach_before, window.reach_after])
        prior = np.r_[np.full(3, np.inf), CURVATURE_SHARE * steepness / reach]
        terms = boundary_terms(window.nu)
        truth = [field.truth[k] for k in ("level", "step", "slope")]
        fits = []
        for _ in range(DRAWS):
            value = np.r_[truth, prior[3:] * rng.standard_normal(2)]
            light = rng.binomial(counts, terms @ value).astype(float)
            fits.append(fit_linear(terms, light, np.full(light.size, float(counts)), prior))
        return fits

    return make


@pytest.mark.parametrize("counts", [LOW, MEDIUM, HIGH])
def test_bias_scatter_and_chi2(ensemble, field, counts):
    fits = ensemble(counts)
    for i, name in ((1, "step"), (2, "slope")):
        z = np.array([(f.value[i] - field.truth[name]) / f.covariance[i, i] ** 0.5 for f in fits])
        assert abs(z.mean()) < 0.1
        low, high = chi2.ppf([1e-4, 1 - 1e-4], DRAWS)
        assert low < np.sum(z**2) < high
    low, high = chi2.ppf([1e-4, 1 - 1e-4], sum(f.dof for f in fits))
    assert low < sum(f.chi2 for f in fits) < high


def sets(fits, level):
    return [
        ratio_set(f.value[2], f.value[1], f.covariance[2, 2], f.covariance[1, 1],
                  f.covariance[1, 2], level)
        for f in fits
    ]  # fmt: skip


def coverage_of_sets(fits, truth, level):
    return sum(s.kind != INCONSISTENT_SIGN and s.low <= truth <= s.high for s in sets(fits, level))


def coverage_of_first_order(fits, truth, level):
    covered, z = 0, ndtri(0.5 + level / 2)
    for f in fits:
        ratio = f.value[2] / f.value[1]
        gradient = ratio * np.array([-1 / f.value[1], 1 / f.value[2]])
        std = np.sqrt(gradient @ f.covariance[1:3, 1:3] @ gradient)
        covered += abs(ratio - truth) <= z * std
    return covered


@pytest.mark.parametrize("level", [0.6827, 0.95])
@pytest.mark.parametrize("counts", [LOW, MEDIUM, HIGH])
def test_coverage_of_fiellers_set(ensemble, field, counts, level):
    covered = coverage_of_sets(ensemble(counts), field.ratio, level)
    # Never too few; too many only where a set in two parts is reported as "not measurable".
    assert covered >= binom.ppf(1e-3, DRAWS, level)
    if counts == HIGH:
        assert covered <= binom.ppf(1 - 1e-3, DRAWS, level)


def test_first_order_errors_are_worse_at_low_counts(ensemble, field):
    fits = ensemble(LOW)
    fieller = coverage_of_sets(fits, field.ratio, 0.6827) / DRAWS
    first_order = coverage_of_first_order(fits, field.ratio, 0.6827) / DRAWS
    assert abs(first_order - 0.6827) > abs(fieller - 0.6827) + 3 * np.sqrt(0.22 / DRAWS)
    # And many of those intervals reach below zero, where no permeability is.
    negative = [f for f in fits if f.value[2] / f.value[1] < 0]
    assert len(negative) > DRAWS / 20


def test_few_counts_are_said_to_be_few(ensemble):
    kinds = {
        counts: [s.kind for s in sets(ensemble(counts), 0.95)].count("measured") / DRAWS
        for counts in (LOW, HIGH)
    }
    assert kinds[LOW] < 0.1
    assert kinds[HIGH] > kinds[LOW] + 0.3


# the fit as it is called --------------------------------------------------------------------------
def test_the_model_without_noise_comes_back(field):
    changes = {"curvature_before": 2e-6, "curvature_after": -3e-6}
    fit = fit_boundary(field.noiseless(**changes), field.pick)
    for name, value in {**field.truth, **changes}.items():
        assert fit.parameters[name] == pytest.approx(value, rel=1e-6), name
    assert fit.success
    assert fit.flags == ()
    assert fit.chi2_red < 1e-6
    np.testing.assert_allclose(
        fit.curve(field.x[:25]), field.fraction(**changes)[:25], rtol=1e-9, atol=0
    )


def test_the_prior_pulls_curvatures_only(field):
    bent = {"curvature_before": 2e-5, "curvature_after": 2e-5}
    free = fit_boundary(field.noiseless(**bent), field.pick)
    held = fit_boundary(field.noiseless(1e3, **bent), field.pick, mean_slope=1e-9)
    assert free.parameters["curvature_after"] == pytest.approx(2e-5, rel=1e-6)
    assert abs(held.parameters["curvature_after"]) < 1e-9


def test_quick_fit_is_close_to_the_full_one(field, rng):
    profile = field.simulated(rng, MEDIUM)
    quick = fit_boundary(profile, field.pick, mean_slope=1.1e-4, rounds=1)
    full = fit_boundary(profile, field.pick, mean_slope=1.1e-4)
    sigma = np.sqrt(np.diag(full.covariance))
    for i, name in enumerate(("step", "slope")):
        assert abs(quick.parameters[name] - full.parameters[name]) < 0.05 * sigma[i]


def test_position_off_is_flagged(field, rng):
    profile = field.simulated(rng, HIGH)
    off = BoundaryPick(name="1", cut="a", position=33.0, window=(0, 60))
    assert "position_off" in fit_boundary(profile, off).flags
    assert "position_off" not in fit_boundary(profile, field.pick).flags
    assert "position_off" not in fit_boundary(profile, off, rounds=1).flags


def test_poor_fit_is_flagged(field, rng):
    wave = 0.01 * np.sin(field.x / 2)
    counts = HIGH
    profile = field.noiseless(counts)
    profile.counts.values[0] += counts * wave
    profile.counts.values[1] -= counts * wave
    fit = fit_boundary(profile, field.pick)
    assert "poor_fit" in fit.flags
    assert fit.chi2_red > 2
    assert fit.p_value < 1e-3


def test_a_step_within_its_error_is_flagged(field):
    fit = fit_boundary(field.noiseless(LOW, step=0.0), field.pick)
    assert "step_not_significant" in fit.flags


def test_unknown_method(field):
    with pytest.raises(ValueError, match=r"method must be one of profile, .* got 'spline'"):
        fit_boundary(field.noiseless(), field.pick, method="spline")


@pytest.mark.parametrize("blur", [-0.1, float("nan")])
def test_bad_blur(field, blur):
    with pytest.raises(ValueError, match="blur must be a standard deviation in um or 'fit', got"):
        fit_boundary(field.noiseless(), field.pick, blur=blur)


def test_a_failed_fit_is_a_row_of_nan(field):
    fit = failed_fit(field.pick, "why")
    assert not fit.success
    assert fit.flags == ("fit_failed",)
    assert np.isnan(fit.parameters["step"])
    assert fit.parameters["position"] == 30.0
    assert np.isnan(fit.covariance).all()


# blurred step -------------------------------------------------------------------------------------
@pytest.mark.parametrize("blur", [0.45, 1.2])
def test_blur_and_position_are_recovered(field, rng, blur):
    draws, z, found = 25, [], []
    for _ in range(draws):
        profile = field.simulated(
            rng, 200_000, step=-0.05, position=30.3, blur=blur, slice_length=1
        )
        fit = fit_boundary(profile, field.pick, blur="fit", mean_slope=1.1e-4)
        z.append((fit.parameters["position"] - 30.3) / fit.position_std)
        found.append(fit.parameters["blur"])
    low, high = chi2.ppf([1e-4, 1 - 1e-4], draws)
    assert low < np.sum(np.square(z)) < high
    assert abs(np.mean(found) - blur) < 4 * np.std(found) / np.sqrt(draws) + 0.02


def test_blur_given(field):
    truth = {"step": -0.05, "position": 30.4, "blur": 0.6, "slice_length": 1.0}
    fit = fit_boundary(field.noiseless(**truth), field.pick, blur=0.6, mean_slope=1e-4)
    assert fit.parameters["position"] == pytest.approx(30.4, abs=1e-4)
    assert fit.parameters["step"] == pytest.approx(-0.05, rel=1e-4)
    assert fit.parameters["slope"] == pytest.approx(-1.1e-4, rel=1e-2)
    assert fit.parameters["blur"] == 0.6
    assert fit.position_std > 0


def test_no_blur_to_be_found_is_no_failure(field, rng):
    for _ in range(5):
        profile = field.simulated(rng, HIGH, step=-0.05, slice_length=1)
        fit = fit_boundary(profile, field.pick, blur="fit", mean_slope=1.1e-4)
        assert fit.success
        assert fit.parameters["blur"] < 0.5
        assert abs(fit.parameters["step"] + 0.05) < 5 * fit.covariance[0, 0] ** 0.5


# the 2024 recipe ----------------------------------------------------------------------------------
def test_paper2024_recovers_two_quadratics_without_noise(field):
    x = field.x - 30
    before, after = (0.41, -1.2e-4, 3e-6), (0.39, -1.0e-4, -2e-6)
    c = np.where(x < 0, np.polyval(before[::-1], x), np.polyval(after[::-1], x))
    profile = field.noiseless()
    profile.counts.values[:] = 1e6 * c, 1e6 * (1 - c)
    fit = fit_boundary(profile, field.pick, method="paper2024")
    assert fit.parameters["step"] == pytest.approx(after[0] - before[0], rel=1e-9)
    assert fit.parameters["slope"] == pytest.approx((before[1] + after[1]) / 2, rel=1e-9)
    assert fit.flags == ("paper2024",)
    assert fit.n_slices == 56


def test_paper2024_needs_four_slices_a_side(field):
    window = cut_window(
        field.noiseless(), BoundaryPick(name="1", cut="a", position=30, window=(23, 37)), 1.0
    )
    with pytest.raises(
        ValueError, match="two quadratics need at least 4 slices on each side, got 3"
    ):
        fit_two_quadratics(window)


def test_paper2024_wastes_counts(field, rng):
    """Its scatter of the slope against that of the common slope, on the same fields."""
    slopes = []
    for _ in range(60):
        profile = field.simulated(rng, MEDIUM)
        slopes.append([
            fit_boundary(profile, field.pick, method=m, mean_slope=1.1e-4, rounds=1)
            .parameters["slope"]
            for m in ("paper2024", "profile")
        ])  # fmt: skip
    assert np.std(slopes, axis=0)[0] > 2 * np.std(slopes, axis=0)[1]


def test_the_model_function_is_the_fitted_curve(field):
    fit = fit_boundary(field.noiseless(), field.pick)
    np.testing.assert_array_equal(fit.curve(field.x), boundary_fraction(field.x, **fit.parameters))

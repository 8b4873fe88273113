"""The binomial fit against independent optimisers, and against what counting allows."""

import lmfit
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import chi2

from lliso.diffusion.steps import boundary_terms
from lliso.fit.linear import fit_linear
from lliso.fit.paper2024 import fit_two_quadratics
from lliso.fit.window import Window

NAMES = ("level", "step", "slope", "curvature_before", "curvature_after")
TRUTH = np.array([0.4, -0.02, -1.1e-4, 3e-6, -2e-6])
PRIOR = np.array([np.inf, np.inf, np.inf, 4e-6, 5e-6])
NU = np.r_[-27.5:-2:1.0, 2.5:28:1.0]
TERMS = boundary_terms(NU)


def simulated(rng, counts):
    total = rng.poisson(counts, NU.size).astype(float)
    return rng.binomial(total.astype(int), TERMS @ TRUTH).astype(float), total


@pytest.mark.parametrize("counts", [60, 2_000, 100_000])
def test_it_is_the_maximum_of_the_binomial_likelihood(rng, counts):
    light, total = simulated(rng, counts)
    fit = fit_linear(TERMS, light, total, PRIOR, rounds=30)
    sigma = np.sqrt(np.diag(fit.covariance))

    def cost(z):  # parameters in standard errors away from the fit
        value = fit.value + z * sigma
        c = np.clip(TERMS @ value, 1e-12, 1 - 1e-12)
        likelihood = np.sum(light * np.log(c) + (total - light) * np.log1p(-c))
        return -likelihood + 0.5 * np.sum((value / PRIOR) ** 2)

    def gradient(z):
        value = fit.value + z * sigma
        c = TERMS @ value
        score = TERMS.T @ ((light - total * c) / (c * (1 - c)))
        return sigma * (-score + value / PRIOR**2)

    start = np.array([0.3, -0.2, 0.25, -0.3, 0.2])
    best = minimize(cost, start, jac=gradient, method="BFGS", options={"gtol": 1e-7})
    assert np.abs(best.x).max() < 1e-5
    assert np.abs(gradient(np.zeros(5))).max() < 1e-6


@pytest.mark.parametrize("counts", [500, 50_000])
def test_the_default_rounds_are_enough(rng, counts):
    for _ in range(20):
        light, total = simulated(rng, counts)
        short, full = (fit_linear(TERMS, light, total, PRIOR, rounds=n) for n in (6, 60))
        sigma = np.sqrt(np.diag(full.covariance))
        assert np.abs((short.value - full.value) / sigma).max() < 1e-6


def test_lmfit_on_the_same_model_agrees(rng):
    light, total = simulated(rng, 3_000)
    fit = fit_linear(TERMS, light, total, PRIOR, rounds=30)
    weight = np.sqrt(total / (fit.fitted * (1 - fit.fitted)))
    params = lmfit.Parameters()
    sigma = np.sqrt(np.diag(fit.covariance))
    for name, value, std in zip(NAMES, fit.value, sigma, strict=True):
        params.add(name, value=value + 0.5 * std)

    def residual(p):
        value = np.array([p[name].value for name in NAMES])
        return np.r_[(light / total - TERMS @ value) * weight, (value / PRIOR)[3:]]

    result = lmfit.minimize(residual, params, scale_covar=False, ftol=1e-13, xtol=1e-13)
    found = np.array([result.params[name].value for name in NAMES])
    assert np.abs((found - fit.value) / sigma).max() < 1e-5
    np.testing.assert_allclose(result.covar, fit.covariance, rtol=1e-4, atol=0)
    assert float(np.sum(residual(result.params)[: NU.size] ** 2)) == pytest.approx(fit.chi2)


def test_covariance_is_the_cramer_rao_bound():
    """On the expected counts themselves: the inverse of information and prior at the truth."""
    c = TERMS @ TRUTH
    fit = fit_linear(TERMS, c * 1e4, np.full(NU.size, 1e4), PRIOR * 1e6)
    np.testing.assert_allclose(fit.value, TRUTH, rtol=1e-6)
    information = (TERMS.T * (1e4 / (c * (1 - c)))) @ TERMS
    np.testing.assert_allclose(fit.covariance, np.linalg.inv(information), rtol=1e-6)


def test_scatter_of_many_draws_is_the_covariance(rng):
    draws = 600
    z = []
    for _ in range(draws):
        light = rng.binomial(20_000, TERMS @ TRUTH).astype(float)
        fit = fit_linear(TERMS[:, :3], light - 20_000 * (TERMS[:, 3:] @ TRUTH[3:]), 20_000 + 0 * NU)
        root = np.linalg.cholesky(np.linalg.inv(fit.covariance))
        z.append(root.T @ (fit.value - TRUTH[:3]))
    z = np.array(z)
    low, high = chi2.ppf([1e-4, 1 - 1e-4], draws)
    for squares in np.sum(z**2, axis=0):
        assert low < squares < high
    assert np.abs(z.mean(axis=0)).max() < 4 / np.sqrt(draws)


# the limits of counting, by formula ---------------------------------------------------------------
L, SLICES, V = 16.0, 4000, 3.0e-5  # reach, slices a side, variance of C times length


def dense(counts_at=0.4):
    """Slices so fine that sums are integrals; v = C(1−C)/(counts per µm)."""
    h = L / SLICES
    nu = (np.arange(-SLICES, SLICES) + 0.5) * h
    total = np.full(nu.size, counts_at * (1 - counts_at) / V * h)
    return nu, total


def test_one_common_slope():
    nu, total = dense()
    covariance = fit_linear(boundary_terms(nu)[:, :3], 0.4 * total, total).covariance
    assert covariance[1, 1] == pytest.approx(8 * V / L, rel=1e-6)
    assert covariance[2, 2] == pytest.approx(6 * V / L**3, rel=1e-6)
    correlation = covariance[1, 2] / np.sqrt(covariance[1, 1] * covariance[2, 2])
    assert correlation == pytest.approx(-np.sqrt(3) / 2, rel=1e-6)


def test_a_common_slope_with_both_curvatures_free_gains_nothing():
    nu, total = dense()
    covariance = fit_linear(boundary_terms(nu), 0.4 * total, total).covariance
    assert covariance[2, 2] == pytest.approx(96 * V / L**3, rel=1e-6)
    # The step: two ends of quadratics, 9v/L each, less what the equal slopes tell.
    assert covariance[1, 1] == pytest.approx(18 * V / L, rel=1e-6)


def test_two_quadratics_of_the_paper(rng):
    nu, total = dense()
    light = 0.4 * total + np.sqrt(total * 0.24) * rng.standard_normal(nu.size)
    _, covariance, chi2_red = fit_two_quadratics(Window(nu, light, total, L, L, 0, L / SLICES))
    # Errors come from the scatter of 2 × 4000 points.
    scatter = 5 / np.sqrt(SLICES)
    assert covariance[0, 0] == pytest.approx(18 * V / L, rel=scatter)
    assert covariance[1, 1] == pytest.approx(96 * V / L**3, rel=scatter)
    assert chi2_red == pytest.approx(1.0, abs=scatter)


def test_the_prior_lies_between():
    nu, total = dense()
    terms = boundary_terms(nu)
    variances = []
    for width in (1e-12, 0.6 * 1.1e-4 / L, 1.0):
        prior = np.r_[np.full(3, np.inf), width, width]
        variances.append(fit_linear(terms, 0.4 * total, total, prior).covariance[2, 2])
    assert variances[0] == pytest.approx(6 * V / L**3, rel=1e-4)
    assert variances[0] < variances[1] < variances[2] == pytest.approx(96 * V / L**3, rel=1e-4)


# degrees of freedom, edges ------------------------------------------------------------------------
def test_degrees_of_freedom_count_what_the_data_determine():
    total = np.full(NU.size, 1e4)
    free = fit_linear(TERMS, 0.4 * total, total)
    assert free.dof == pytest.approx(NU.size - 5)
    held = fit_linear(TERMS, 0.4 * total, total, np.r_[np.full(3, np.inf), 1e-12, 1e-12])
    assert held.dof == pytest.approx(NU.size - 3)


def test_chi2_has_its_distribution(rng):
    found = [fit_linear(TERMS, *simulated(rng, 5_000)) for _ in range(300)]
    dof = NU.size - 5
    total = sum(f.chi2 for f in found)
    low, high = chi2.ppf([1e-4, 1 - 1e-4], 300 * dof)
    assert low < total < high


def test_a_parameter_held_at_zero_is_left_out():
    light = np.array([10.0, 22.0, 29.0, 41.0])
    total = np.full(4, 100.0)
    terms = np.column_stack([np.ones(4), np.arange(4.0), np.arange(4.0) ** 2])
    held = fit_linear(terms, light, total, np.array([np.inf, np.inf, 0.0]))
    line = fit_linear(terms[:, :2], light, total)
    np.testing.assert_allclose(held.value, [*line.value, 0.0], rtol=1e-14)
    np.testing.assert_allclose(held.covariance[:2, :2], line.covariance, rtol=1e-14)
    assert (held.covariance[2] == 0).all()
    assert held.dof == pytest.approx(line.dof, rel=1e-14)


def test_undetermined_parameters():
    total = np.full(6, 100.0)
    with pytest.raises(ValueError, match="the 5 parameters must be determined by the data, got 6"):
        fit_linear(boundary_terms(np.arange(1.0, 7.0)), 0.4 * total, total)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_only_one_isotope(share):
    total = np.full(NU.size, 50.0)
    fit = fit_linear(TERMS, share * total, total, PRIOR)
    assert fit.value[0] == pytest.approx(share, abs=1e-9)
    assert np.all(np.isfinite(fit.covariance))
    assert fit.covariance[0, 0] > 0

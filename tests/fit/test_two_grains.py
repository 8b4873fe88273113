"""The two-grain patch: its basis obeys the equations, its likelihood holds the truth."""

import numpy as np
import pytest
from scipy.stats import binom

from lliso.fit.patch import PatchGeometry, PatchImage
from lliso.fit.two_grains import fit_two_grains, harmonic_terms

X = np.arange(48) * 1.0
Y = np.arange(64) * 1.0
GEOMETRY = PatchGeometry("1", 23.5, 31.5, 0.0, 1.0, 30.0, 26.0, 26.0)


def field(epsilon, a, b, f, nu, tau):
    """Return the fraction of the basis functions with the given coefficients."""
    k = len(a) - 1
    terms = harmonic_terms(np.ravel(nu), np.ravel(tau), k)
    value = np.concatenate([a, b, np.array(b) / (2 * epsilon), [f]])
    return (terms @ value).reshape(np.shape(nu))


def test_the_basis_obeys_diffusion_flux_continuity_and_the_jump():
    epsilon, a, b, f = 0.05, [0.3, 1e-3, 2e-5, -1e-7], [-1e-3, 2e-5, 1e-6, 3e-8], 4e-6
    h, tau = 0.05, np.linspace(-8, 8, 9)
    for nu in (-6.0, -2.0, 3.0):

        def at(dn, dt, nu=nu):
            return field(epsilon, a, b, f, np.full(tau.shape, nu + dn), tau + dt)

        laplacian = (at(h, 0) + at(-h, 0) + at(0, h) + at(0, -h) - 4 * at(0, 0)) / h**2
        np.testing.assert_allclose(laplacian, f, rtol=1e-4)
    tiny = 1e-12
    above = field(epsilon, a, b, f, np.full(tau.shape, tiny), tau)
    below = field(epsilon, a, b, f, np.full(tau.shape, -tiny), tau)
    slopes = []
    for side, start in ((1, above), (-1, below)):
        near, far = (
            field(epsilon, a, b, f, np.full(tau.shape, side * d), tau) for d in (1e-2, 2e-2)
        )
        slopes.append(side * (4 * near - 3 * start - far) / 2e-2)
    np.testing.assert_allclose(slopes[0], slopes[1], rtol=1e-6)
    # The differences are of second order: h² times the third derivative.
    np.testing.assert_allclose(slopes[0], epsilon * (above - below), rtol=1e-6)


def simulated(rng, counts, degree=1, epsilon=0.055):
    nu = np.broadcast_to((Y - 31.5)[:, None], (Y.size, X.size))
    tau = np.broadcast_to((23.5 - X)[None, :], (Y.size, X.size))
    a = [0.3, *(rng.normal(0, 1e-4, degree) / 20.0 ** np.arange(degree))]
    b = [-1.1e-3, *(rng.normal(0, 2e-5, degree) / 20.0 ** np.arange(degree))]
    fraction = field(epsilon, a, b, rng.normal(0, 3e-6), nu, tau)
    if counts is None:
        return fraction
    light = rng.binomial(counts, fraction).astype(float)
    return PatchImage(light, np.full(light.shape, float(counts)), X, Y, 1.0)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_without_noise_epsilon_comes_back(rng, degree):
    fraction = simulated(rng, None, degree)
    image = PatchImage(fraction * 1e9, np.full(fraction.shape, 1e9), X, Y, 1.0)
    fit = fit_two_grains(image, GEOMETRY, degree=degree, refine=False)
    assert fit.epsilon == pytest.approx(0.055, rel=2e-3)
    assert fit.slope / fit.step == pytest.approx(fit.epsilon, rel=0.06)


def test_the_likelihood_ratio_set_covers(rng):
    draws = 300
    hits = {0.6827: 0, 0.95: 0}
    for _ in range(draws):
        fit = fit_two_grains(simulated(rng, 3000), GEOMETRY, degree=1, refine=False)
        for level in hits:
            found = fit.interval(level)
            hits[level] += found.low <= 0.055 <= found.high
    for level, n in hits.items():
        assert binom.ppf(1e-3, draws, level) <= n <= binom.ppf(1 - 1e-3, draws, level)


def test_no_boundary_is_a_lower_limit_and_a_wall_an_upper_one(rng):
    nu = np.broadcast_to((Y - 31.5)[:, None], (Y.size, X.size))
    for fraction, kind in (
        (0.3 - 1e-3 * nu, "lower_limit"),
        (0.3 - 0.02 * (nu > 0), "upper_limit"),
    ):
        light = rng.binomial(3000, fraction).astype(float)
        image = PatchImage(light, np.full(light.shape, 3000.0), X, Y, 1.0)
        fit = fit_two_grains(image, GEOMETRY, refine=False)
        assert fit.interval().kind == kind


def test_counts_choose_the_degree(rng):
    """What few counts cannot tell apart stays simple; many counts ask for more."""
    degrees = {}
    for counts in (100, 1_000_000):
        found = []
        for _ in range(20):
            image = simulated(rng, counts, degree=3)
            found.append(fit_two_grains(image, GEOMETRY, refine=False).degree)
        degrees[counts] = np.mean(found)
    assert degrees[100] < degrees[1_000_000]


def test_an_unknown_degree_is_refused():
    image = PatchImage(np.ones((64, 48)), np.full((64, 48), 3.0), X, Y, 1.0)
    with pytest.raises(ValueError, match="degree must be 1, 2 or 3, got 7"):
        fit_two_grains(image, GEOMETRY, degree=7)

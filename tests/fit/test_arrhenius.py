"""Arrhenius fits recover what was put in, with errors that are right, and see bad input."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import binom

import lliso
from lliso.fit.activated import kelvin
from lliso.fit.arrhenius import fit_arrhenius, straight_range
from lliso.fit.arrhenius_model import ArrheniusModel
from lliso.fit.arrhenius_shared import fit_arrhenius_shared
from lliso.maps.synthetic_profiles import TransportLaw, simulate_arrhenius

K = 8.617333262e-5
CELSIUS = np.array([22.0, 50, 75, 100, 150, 200, 250, 300, 350, 400])
T = CELSIUS + 273.15


def law(t, prefactor=0.048, energy=0.43):
    return prefactor * np.exp(-energy / (K * t))


def noisy(rng, error, **kwargs):
    d = law(T, **kwargs) * np.exp(error * rng.standard_normal(T.size))
    return d, error * d


def within(hits, n, level):
    """Whether a number of hits lies in the central 99.9 % of the binomial law."""
    low, high = binom.interval(0.999, n, level)
    return low <= hits <= high


def test_exact_data_give_the_law_exactly():
    fit = fit_arrhenius(T, law(T), 0.05 * law(T))
    assert fit.energy == pytest.approx(0.43, abs=1e-12)
    assert fit.log_prefactor == pytest.approx(np.log(0.048), abs=1e-11)
    assert fit.flags == ()


def test_coverage_and_bias_of_400_repeats(rng):
    n, truth = 400, np.array([np.log(0.048), 0.43])
    error = np.linspace(0.03, 0.2, T.size)  # unequal, so that the weights matter
    pulls = np.empty((n, 2))
    for i in range(n):
        fit = fit_arrhenius(T, *noisy(rng, error))
        std = np.sqrt(np.diag(fit.covariance))
        pulls[i] = (np.array([fit.log_prefactor, fit.energy]) - truth) / std
    assert np.all(np.abs(pulls.mean(axis=0)) < 0.1)
    for j in range(2):
        assert within(np.sum(np.abs(pulls[:, j]) < 1.0), n, 0.6827)
        assert within(np.sum(np.abs(pulls[:, j]) < 1.96), n, 0.95)


def test_coverage_where_the_errors_come_from_the_scatter(rng):
    n, hits = 400, 0
    for _ in range(n):
        fit = fit_arrhenius(T, noisy(rng, 0.1)[0])
        band = fit.predict([250.0], level=0.95)
        hits += float(band.low[0]) < law(250.0) < float(band.high[0])
        assert "errors_from_scatter" in fit.flags
    assert within(hits, n, 0.95)


def test_prediction_bands_cover_far_outside_the_range(rng):
    n, at = 400, np.array([163.15, 295.15, 900.0])
    inside, single = np.zeros(3), np.zeros(3)
    for _ in range(n):
        fit = fit_arrhenius(T, *noisy(rng, 0.1))
        band = fit.predict(at, level=0.68)
        inside += (band.low.values < law(at)) & (law(at) < band.high.values)
        new = law(at) * np.exp(0.1 * rng.standard_normal(3))
        wide = fit.predict(at, level=0.68, point_std=0.1)
        single += (wide.low.values < new) & (new < wide.high.values)
    assert all(within(h, n, 0.68) for h in (*inside, *single))
    assert band.extrapolated.values[1] == 0.0
    assert band.extrapolated.values[0] > 0.9


def test_a_common_error_of_all_points_goes_into_the_prefactor_alone():
    d = law(T)
    own = np.diag(np.full(T.size, 0.05**2))
    alone = fit_arrhenius(T, d, covariance=own)
    shared = fit_arrhenius(T, d, covariance=own + 0.3**2)
    assert shared.energy_std == pytest.approx(alone.energy_std, rel=1e-9)
    expected = np.hypot(alone.log_prefactor_std, 0.3)
    assert shared.log_prefactor_std == pytest.approx(expected, rel=1e-9)


def test_the_closed_form_is_what_lmfit_finds(rng):
    d, std = noisy(rng, 0.1)
    fit = fit_arrhenius(T, d, std)
    model = ArrheniusModel()
    params = model.guess(np.log(d), temperature=T)
    result = model.fit(np.log(d), params, temperature=T, weights=d / std, scale_covar=False)
    assert result.params["energy"].value == pytest.approx(fit.energy, rel=1e-7)
    assert result.params["energy"].stderr == pytest.approx(fit.energy_std, rel=1e-5)
    assert result.chisqr == pytest.approx(fit.chi2, rel=1e-9)


def test_a_simulated_paper_set_is_recovered():
    measured, _ = simulate_arrhenius(TransportLaw(), list(T), seed=5)
    fit = fit_arrhenius(measured.temperature, measured.d_bulk, measured.d_bulk_std)
    assert fit.name == "d_bulk"
    assert fit.unit == "cm2/s"
    assert abs(fit.energy - 0.35) < 2.5 * fit.energy_std


def test_curvature_is_seen_and_the_straight_range_leaves_it_out():
    bent = law(T, 0.0246, 0.35) * np.exp(-np.maximum(T - 450.15, 0) * 0.006)  # bends above 177 °C
    fit = fit_arrhenius(T, bent, 0.05 * bent)
    assert "curved" in fit.flags
    assert fit.curvature < 0
    low, high = straight_range(T, bent, 0.05 * bent)
    assert low == T[0]
    assert high <= 200 + 273.15
    cut = fit_arrhenius(T, bent, 0.05 * bent, window=(low, high))
    assert "curved" not in cut.flags
    assert cut.temperature.max() == high


def test_the_curvature_test_has_its_size(rng):
    n = 400
    seen = sum("curved" in fit_arrhenius(T, *noisy(rng, 0.1)).flags for _ in range(n))
    assert within(seen, n, 0.05)


def test_one_energy_for_two_series(rng):
    n, pulls, refused = 1600, np.empty((1600, 2)), 0  # the mean is known to 0.025
    for i in range(n):
        series = {
            "tracer": (T, *noisy(rng, 0.08)),
            "charge": (T[2:], *(v[2:] for v in noisy(rng, 0.05, prefactor=0.2))),
        }
        found = fit_arrhenius_shared(series)
        ratio, std = found.prefactor_ratio("tracer", "charge")
        pulls[i] = (found.energy - 0.43) / found.energy_std, np.log(ratio / 0.24) / (std / ratio)
        refused += not found.equal
    assert np.all(np.abs(pulls.mean(axis=0)) < 0.1)
    for j in range(2):
        assert within(np.sum(np.abs(pulls[:, j]) < 1.0), n, 0.6827)
        assert within(np.sum(np.abs(pulls[:, j]) < 1.96), n, 0.95)
    assert within(refused, n, 0.05)


def test_unequal_energies_are_said_to_be_unequal(rng):
    series = {"a": (T, *noisy(rng, 0.05)), "b": (T, *noisy(rng, 0.05, energy=0.36))}
    assert not fit_arrhenius_shared(series).equal
    with pytest.raises(ValueError, match="name must be one of a, b, got 'c'"):
        fit_arrhenius_shared(series).prefactor_ratio("a", "c")


def test_a_shared_fit_needs_errors_of_every_series():
    with pytest.raises(ValueError, match=r"the series 'b' must be \(temperature, value, std\)"):
        fit_arrhenius_shared({"a": (T, law(T), 0.1 * law(T)), "b": (T, law(T), None)})
    with pytest.raises(ValueError, match="at least two series, got 1"):
        fit_arrhenius_shared({"a": (T, law(T), 0.1 * law(T))})


def test_celsius_taken_for_kelvin_is_refused_where_it_is_absurd():
    with pytest.raises(ValueError, match=r"temperature must be in K, .* got 22; add 273.15"):
        fit_arrhenius(CELSIUS, law(T))
    with pytest.raises(ValueError, match=r"got -110; add 273\.15"):
        fit_arrhenius(T, law(T)).predict([-110.0])
    with pytest.raises(ValueError, match=r"between 120 and 3000, got 100; .* write '100 °C'"):
        fit_arrhenius(CELSIUS[3:], law(T[3:]))  # nothing moves at 100 K that could be measured
    assert kelvin("77 K") == 77.0  # a stage may be as cold as that
    with pytest.raises(ValueError, match="got 4000; check the unit"):
        kelvin([300.0, 4000.0])


def test_celsius_taken_for_kelvin_is_suspected_where_the_line_says_so():
    hot = CELSIUS >= 150
    d = law(T[hot])
    assert "celsius_suspected" in fit_arrhenius(CELSIUS[hot], d, 0.05 * d).flags
    assert "celsius_suspected" not in fit_arrhenius(T[hot], d, 0.05 * d).flags
    assert fit_arrhenius(CELSIUS[hot] + 273, d, 0.05 * d).flags == ()  # whole numbers, in K


def test_temperatures_with_units_are_read():
    text = fit_arrhenius([f"{c:g} °C" for c in CELSIUS], law(T))
    array = xr.DataArray(CELSIUS, dims="t", attrs={"units": "°C"})
    assert text.energy == pytest.approx(0.43, abs=1e-12)
    assert fit_arrhenius(array, law(T)).energy == pytest.approx(0.43, abs=1e-12)
    assert kelvin("22 °C") == pytest.approx(295.15)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"value": [1.0, -2.0, 3.0]}, "value must be positive and finite, got -2"),
        ({"value": [1.0, np.nan, 3.0]}, "value must be positive and finite, got nan"),
        ({"temperature": [300.0, np.nan, 400.0]}, "temperature must be in K"),
        ({"std": [0.1, 0.0, 0.1]}, "std must be positive and finite, got 0"),
        ({"value": [1.0, 2.0]}, "lists of one length"),
        ({"temperature": [300.0] * 3}, "at least two temperatures, got 1"),
        ({"covariance": np.ones((3, 3)), "std": None}, "covariance must be positive definite"),
        ({"covariance": np.eye(2), "std": None}, "covariance must have the shape"),
        ({"covariance": np.triu(np.ones((3, 3))), "std": None}, "finite and symmetric"),
        ({"covariance": np.eye(3)}, "give either std or covariance"),
        ({"window": ("400 °C", None)}, "at least two temperatures, got 0"),
    ],
)
def test_bad_input_is_an_error_that_says_what(change, message):
    given = {"temperature": [300.0, 350.0, 400.0], "value": [1.0, 2.0, 3.0], "std": [0.1] * 3}
    with pytest.raises(ValueError, match=message):
        fit_arrhenius(**{**given, **change})


def test_repeats_are_fine_and_duplicates_are_flagged():
    d = law(T)
    assert fit_arrhenius([*T, T[0]], [*d, 1.02 * d[0]], 0.1 * d[0]).flags == ()
    twice = fit_arrhenius([*T, T[0]], [*d, d[0]], [*(0.1 * d), 0.1 * d[0]])
    assert twice.flags == ("duplicated_points",)


def test_what_cannot_be_known_is_nan_and_flagged():
    two = fit_arrhenius(T[:2], law(T[:2]))
    assert np.isnan(two.energy_std)
    assert "two_points" in two.flags
    wild = law(T) * np.exp(np.where(np.arange(T.size) % 2, 0.5, -0.5))
    assert "poor_fit" in fit_arrhenius(T, wild, 0.05 * wild).flags
    assert "large_errors" in fit_arrhenius(T, wild, 0.6 * wild).flags


def test_the_public_names_are_these_functions():
    assert lliso.fit_arrhenius is fit_arrhenius
    assert lliso.fit_arrhenius_shared is fit_arrhenius_shared

"""The lmfit model: guesses, names, and the fit that a person would write."""

import pickle

import numpy as np
import pytest

from lliso.diffusion.steps import boundary_fraction
from lliso.fit.models import GrainBoundaryModel

X = np.arange(60) + 0.5
TRUTH = {"level": 0.4, "step": -0.05, "slope": -2e-4, "position": 23.0}


def test_names_are_those_of_the_function():
    model = GrainBoundaryModel()
    names = ("level", "step", "slope", "curvature_before", "curvature_after", "position", "blur")
    assert tuple(model.param_names) == names
    assert model.independent_vars == ["distance", "slice_length"]


@pytest.mark.parametrize("position", [8.0, 23.0, 51.0])
def test_guess_finds_the_step(position):
    truth = {**TRUTH, "position": position}
    params = GrainBoundaryModel().guess(boundary_fraction(X, **truth), distance=X)
    for name, value in truth.items():
        assert params[name].value == pytest.approx(value, rel=1e-6), name
    assert not params["position"].vary
    assert not params["blur"].vary
    assert params["blur"].min == 0


def test_guess_keeps_what_is_given():
    data = boundary_fraction(X, **TRUTH)
    params = GrainBoundaryModel().guess(data, distance=X, position=25.0, blur=0.4)
    assert (params["position"].value, params["blur"].value) == (25.0, 0.4)


def test_guess_needs_positions():
    model = GrainBoundaryModel()
    with pytest.raises(ValueError, match="guess needs the positions of the slices"):
        model.guess(X)
    with pytest.raises(ValueError, match=r"one length, at least 6, got \(5,\) and \(5,\)"):
        model.guess(X[:5], distance=X[:5])
    with pytest.raises(ValueError, match=r"one length, at least 6, got \(60,\) and \(59,\)"):
        model.guess(X, distance=X[:-1])


def test_fit_with_known_errors(rng):
    counts = 200_000
    truth = {**TRUTH, "position": 23.3, "blur": 0.8}
    c = rng.binomial(counts, boundary_fraction(X, **truth, slice_length=1.0)) / counts
    model = GrainBoundaryModel()
    params = model.guess(c, distance=X, slice_length=1.0, blur=0.5)
    params["position"].vary = params["blur"].vary = True
    weights = np.sqrt(counts / (c * (1 - c)))
    result = model.fit(c, params, distance=X, slice_length=1.0, weights=weights, scale_covar=False)
    for name, value in truth.items():
        assert abs(result.params[name].value - value) < 4 * result.params[name].stderr, name


def test_it_pickles():
    model = pickle.loads(pickle.dumps(GrainBoundaryModel()))
    assert model.eval(distance=0.0, level=0.4, slope=0.0, step=0.0) == pytest.approx(0.4)

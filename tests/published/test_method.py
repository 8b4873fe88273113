"""How well a D_gb can be known: bias, scatter and coverage of one simulated boundary."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.stats import binom

from lliso.plot.checks import style_faults
from lliso.published import method

CASE = method.Case(reach=28.0)


@pytest.fixture(scope="module")
def scores():
    return {name: method.score(CASE, name, draws=200) for name in method.METHODS}


def test_one_slope_is_unbiased_and_its_limits_hold(scores):
    s = scores["one slope"]
    assert abs(s["bias"]) < 4 * 1.2533 * s["scatter"] / np.sqrt(s["draws"])
    low, high = binom.interval(0.999, s["draws"], 0.95)
    assert low <= s["coverage"] * s["draws"] <= high


def test_one_slope_comes_near_the_bound_and_two_parabolas_do_not(scores):
    one, two = (scores[name]["scatter"] for name in method.METHODS)
    assert CASE.bound < one < 1.5 * CASE.bound
    assert two > 2.5 * one


@pytest.mark.parametrize(("change", "factor"), [({"counts": 12000}, 0.5), ({"width": 7.5}, 2.0)])
def test_the_bound_goes_with_the_root_of_the_counts(change, factor):
    assert replace(CASE, **change).bound == pytest.approx(factor * CASE.bound)


def test_the_bound_is_that_of_the_paper_s_numbers():
    # C (1 − C)/(N w) = 0.24/(3000·30); L = 16 − 2 µm
    v, length = 0.24 / 90_000, 16.0 - 2.0
    assert method.Case().bound == pytest.approx(np.sqrt(6 * v / length**3) / 1.1e-4, rel=0.02)


def test_the_same_case_gives_the_same_score():
    assert method.score(CASE, "one slope", 5) == method.score(CASE, "one slope", 5)
    other = replace(CASE, counts=2999.0)
    assert method.score(CASE, "one slope", 5) != method.score(other, "one slope", 5)


def test_the_figure_shows_the_survey_and_keeps_the_style():
    grid = {"reach": (14.0, 28.0), "counts": (1000.0, 3000.0), "width": (15.0, 30.0)}
    survey = method.survey(CASE, grid, draws=6)
    assert survey.index.names == ["varied", "value", "method"]
    assert len(survey) == 12
    fig = method.draw(survey, CASE)
    panels = {ax.get_label(): ax for ax in fig.axes}
    assert sorted(panels) == list("abcd")
    assert style_faults(fig, simulated=True) == []
    shown = panels["b"].containers[0].lines[0].get_ydata()
    expected = survey.xs("one slope", level="method").loc["counts", "scatter"]
    np.testing.assert_array_equal(shown, expected)
    plt.close(fig)

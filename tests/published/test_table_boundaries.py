"""The boundary table: limits that hold the truth, the population, the estimators compared."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from lliso.plot.checks import style_faults
from lliso.published import table_boundaries as tb


@pytest.fixture(scope="module")
def found(fig3_data, fig3_traced):
    return tb.fit_all(fig3_data, fig3_traced.grains)


@pytest.fixture(scope="module")
def frame(fig3_data, found):
    return tb.boundary_frame(fig3_data, found)


@pytest.fixture(scope="module")
def estimators(fig3_data, found):
    return tb.estimator_frame(fig3_data, found, methods=("patch", "paper2024"))


def test_limits_of_both_times_hold_the_truth(frame):
    true = frame["true P (cm/s)"]
    known = true.notna()
    assert known.sum() > 200
    held = frame["both: P low (cm/s)"].le(true) & true.le(frame["both: P high (cm/s)"])
    # 95 % of 290 or so, which share grains: 0.90 is four standard deviations away.
    assert 0.90 < held[known].mean() < 0.99


def test_one_p_for_both_times_is_not_refused_too_often(frame):
    p = frame["both: p that P stayed"]
    assert (p < 0.05).mean() < 0.09
    assert (p > 0.5).mean() == pytest.approx(0.5, abs=0.15)


def test_both_times_together_measure_more_than_either(frame):
    measured = {
        name: (frame[f"{name}: verdict"] == "measured").sum()
        for name in ("59 h", "59 h + 16 d", "both")
    }
    assert measured["both"] >= measured["59 h"] > measured["59 h + 16 d"] > 0


def test_the_population_holds_its_true_mean(fig3_data, found):
    population = tb.population_frame(fig3_data, found)
    true = population["true step²-weighted P (cm/s)"]
    assert (population["P low (cm/s)"] < true).all()
    assert (population["P high (cm/s)"] > true).all()
    assert (true < population["true mean P (cm/s)"]).all()  # tight boundaries have large steps
    # the law that the boundaries were drawn from, and the paper's mean: 6.8e-14 / 0.5 nm
    assert population["true mean P (cm/s)"].to_numpy() == pytest.approx(1.36e-6, rel=0.1)


def test_two_parabolas_know_the_slope_far_worse(estimators):
    errors = estimators["median slope error (1/cm)"]
    assert errors["marked", "paper2024"] > 5 * errors["marked", "patch"]
    assert errors["every boundary", "paper2024"] > 5 * errors["every boundary", "network"]
    assert estimators.loc[("every boundary", "paper2024"), "holds the truth"] < 0.85
    assert estimators.loc[("every boundary", "network"), "holds the truth"] > 0.90
    mean = estimators.loc[("marked", "patch"), "mean D_gb (cm^2/s)"]
    assert 0.7 < mean / 6.8e-14 < 1.4


def test_d_gb_is_p_times_half_a_nanometre(frame):
    np.testing.assert_allclose(
        frame["both: D_gb high (cm^2/s)"], 5e-8 * frame["both: P high (cm/s)"]
    )


def test_the_figure_shows_them_and_keeps_the_style(fig3_data, frame, estimators, found):
    fig = tb.draw(fig3_data, frame, estimators, found)
    panels = {ax.get_label(): ax for ax in fig.axes}
    assert list(panels) == ["a", "b", "c"]
    assert style_faults(fig, simulated=True) == []
    bars = [bar.get_width() for bar in panels["c"].patches]
    assert bars == pytest.approx(estimators["median slope error (1/cm)"].tolist())
    counted = sum(bar.get_height() for bar in panels["b"].patches)
    assert counted == frame["true P (cm/s)"].between(1e-7, 1e-5).sum()
    shown = frame.nlargest(40, "length (um)")
    points = next(
        x for x in panels["a"].lines if len(x.get_xdata()) == 40 and x.get_marker() == "o"
    )
    assert np.isfinite(points.get_ydata()).sum() == (shown["both: verdict"] == "measured").sum()
    plt.close(fig)

"""Figures say the numbers they were given, and are the same bytes twice."""

from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot as plt

import lliso
from lliso.figures import figure_of_cut, figure_of_map, figure_of_profiles
from lliso.fit.boundaries import cut_profiles, fit_picks
from lliso.maps.picks import Picks
from lliso.plot import (
    draw_cut,
    draw_fits,
    draw_map,
    draw_permeabilities,
    draw_profile,
    figure,
    map_title,
    save_figure,
)


@pytest.fixture
def picks(simulated_map: xr.Dataset) -> Picks:
    cut = lliso.LineCut(name="down", start=(7.5, 0.0), end=(7.5, 40.0), width=12.0)
    pick = lliso.BoundaryPick(name="1", cut="down", position=20.0, window=(0.0, 40.0))
    return Picks().anchored_to(simulated_map).with_cut(cut).with_boundary(pick)


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def test_a_map_is_drawn_in_micrometres_with_the_source_below(simulated_map):
    _, ax = figure()
    image = draw_map(ax, simulated_map)
    assert image.get_extent() == pytest.approx([0.0, 15.0, 0.0, 40.0])
    assert image.origin == "lower"
    drawn = np.asarray(image.get_array())
    np.testing.assert_array_equal(drawn, lliso.isotope_fraction(simulated_map).fraction.values)
    assert "µm" in ax.get_xlabel()
    assert "µm" in ax.get_ylabel()


def test_a_simulated_map_says_so(simulated_map):
    assert map_title(simulated_map.assign_attrs(stage="59 h")) == "59 h (simulated)"
    assert map_title(simulated_map.assign_attrs(stage="59 h", simulated=0)) == "59 h"


def test_pixels_without_counts_have_a_colour_of_their_own(simulated_map):
    counts = simulated_map.counts.copy()
    counts[:, 3, 4] = 0
    _, ax = figure()
    image = draw_map(ax, simulated_map.assign(counts=counts))
    assert np.ma.getmaskarray(image.get_array())[3, 4]
    assert image.to_rgba(image.get_array())[3, 4] == pytest.approx([0.85, 0.85, 0.85, 1.0])


def test_a_cut_is_drawn_with_its_width_and_its_boundaries(simulated_map, picks):
    _, ax = figure()
    band, line, boundary = draw_cut(ax, picks.cut("down"), picks.boundaries, label=False)
    corners = band.get_xy()
    assert np.ptp(corners[:, 0]) == pytest.approx(12.0)
    assert np.ptp(corners[:, 1]) == pytest.approx(40.0)
    assert list(line.get_ydata()) == [0.0, 40.0]
    assert list(boundary.get_ydata()) == [20.0, 20.0]


def test_profile_and_fits_show_the_data_and_the_fitted_curve(simulated_map, picks):
    profiles = cut_profiles(simulated_map, picks)
    fits = {f.name: f for f in fit_picks(None, profiles, picks, method="profile")}
    _, ax = figure()
    bars = draw_profile(ax, profiles["down"])
    drawn = bars.lines[0].get_ydata()
    np.testing.assert_array_equal(drawn, lliso.isotope_fraction(profiles["down"]).fraction.values)
    _, before, after = draw_fits(ax, fits, picks.boundaries)
    step = after.get_ydata()[0] - before.get_ydata()[-1]
    assert step == pytest.approx(fits["1"].parameters["step"], rel=1e-6)


def test_limits_are_arrows_and_measurements_are_points():
    names = ["a", "b", "c", "d"]
    table = xr.Dataset(
        {
            "verdict": (
                "boundary",
                ["measured", "upper_limit", "lower_limit", "not_measurable"],
            ),
            "permeability": ("boundary", [2e-6, np.nan, np.nan, np.nan]),
            "permeability_low": ("boundary", [1e-6, 0.0, 3e-6, 0.0]),
            "permeability_high": ("boundary", [4e-6, 5e-6, np.inf, np.inf]),
        },
        coords={"boundary": names},
        attrs={"stage": "59 h", "simulated": 1, "level": 0.9},
    )
    _, ax = figure()
    point, upper, lower, true_value = draw_permeabilities(ax, table, truth=[1.5e-6])
    segment = point.lines[2][0].get_segments()[0]
    assert segment[:, 1] == pytest.approx([1e-6, 4e-6])
    assert (upper.get_marker(), upper.get_ydata()[0]) == ("v", 5e-6)
    assert (lower.get_marker(), lower.get_ydata()[0]) == ("^", 3e-6)
    assert list(true_value.get_ydata()) == [1.5e-6, 1.5e-6]
    assert [t.get_text() for t in ax.get_xticklabels()] == names
    explained = [t.get_text() for t in ax.get_legend().get_texts()]
    assert explained == ["measured", "upper limit", "lower limit", "truth"]
    assert ax.get_title() == "59 h (simulated) · intervals and limits at 90%"


def test_the_figure_of_profiles_says_what_it_is(simulated_map, picks):
    fig = figure_of_profiles(simulated_map.assign_attrs(stage="59 h"), picks)
    title = fig.get_suptitle()
    assert title == "59 h (simulated) · points: counts with their 1σ error, lines: fits"
    assert [ax.get_title() for ax in fig.axes] == ["down"]


def test_names_of_cuts_keep_apart_and_the_colour_bar_is_as_tall_as_the_map(simulated_map, picks):
    for name, x in (("second", 6.5), ("third", 7.0)):  # their ends all but coincide
        cut = lliso.LineCut(name=name, start=(x, 0.2), end=(x, 39.8), width=3.0)
        picks = picks.with_cut(cut)
    fig = figure_of_map(simulated_map, picks)
    fig.draw_without_rendering()
    ax = fig.axes[0]
    boxes = {t.get_text(): t.get_window_extent() for t in ax.texts}
    assert {"down", "second", "third"} < set(boxes)
    for one, other in combinations(boxes.values(), 2):
        assert not one.overlaps(other)
    (bar,) = ax.child_axes
    assert bar.get_window_extent().height == pytest.approx(ax.get_window_extent().height)


def test_two_runs_write_the_same_bytes(simulated_map, picks, tmp_path):
    written = []
    for run in ("one", "two"):
        files = save_figure(figure_of_cut(simulated_map, picks, "down"), tmp_path / run / "cut")
        written.append({f.suffix: f.read_bytes() for f in files})
    assert set(written[0]) == {".svg", ".pdf", ".png"}
    assert written[0] == written[1]


def test_saving_closes_the_figure(simulated_map, picks, tmp_path):
    save_figure(figure_of_cut(simulated_map, picks, "down"), tmp_path / "cut")
    assert plt.get_fignums() == []


def test_the_style_leaves_the_users_settings_alone():
    before = dict(mpl.rcParams)
    figure()
    assert dict(mpl.rcParams) == before

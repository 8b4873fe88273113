"""Fig. 4: the level matters, what was put in comes out, and every panel shows its numbers."""

from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.testing.compare import compare_images

from lliso.plot.checks import style_faults
from lliso.published import default_inputs, fig4

ROOT = Path(__file__).resolve().parents[2]
BASELINE = Path(__file__).parent / "baseline" / "fig4.png"
TOLERANCE = 6.0  # as for Fig. 3


@pytest.fixture(scope="module")
def inputs():
    return default_inputs("fig4", ROOT)


@pytest.fixture(scope="module")
def data(inputs):
    return fig4.load(inputs)


@pytest.fixture(scope="module")
def found(data):
    return fig4.measure(data)


@pytest.fixture
def drawn(data, found):
    fig = fig4.draw(data, found)
    yield fig
    plt.close(fig)


def test_only_the_held_origin_misses_the_truth(data, found):
    frame = fig4.result_frame(data, found)
    held = frame.index.str.contains("origin held")
    assert held.sum() == 1
    assert frame["true inside"].tolist() == (~held).tolist()
    assert frame.loc["level", "true"] == 260.0


def test_the_papers_numbers_lie_within_the_limits(data, found, inputs):
    printed = fig4.printed_frame(fig4.result_frame(data, found), inputs["ledger"])
    assert list(printed["printed"]) == [8.0e-9, 3.0e-9, 6.6e-7]
    assert printed["printed inside"].all()


def test_another_printed_number_does_not(data, found, tmp_path, inputs):
    other = tmp_path / "other.toml"
    text = Path(inputs["ledger"]).read_text(encoding="utf-8")
    other.write_text(text.replace('"6.6e-7"', '"7.6e-7"'), encoding="utf-8")
    printed = fig4.printed_frame(fig4.result_frame(data, found), other)
    assert printed["printed inside"].tolist() == [True, True, False]


def test_the_held_fit_is_eq_4_to_exact_points(data):
    exact = fig4.Held(5.0e-9, 0.0, 0.0, 0.0)
    x = data.room[0]["distance"].values
    c = exact.curve(x)
    counts = np.rint(1e9 * np.stack([c, 1 - c])).astype(np.int64)
    profile = xr.Dataset(
        {"counts": (("species", "distance"), counts)}, {"species": ["6Li", "7Li"], "distance": x}
    )
    assert fig4.fit_held(profile).d_eff == pytest.approx(5.0e-9, rel=1e-6)
    assert c[x < 0] == pytest.approx(0.95)


def test_without_a_truth_there_is_no_truth_column(data, found):
    bare = [p.assign_attrs(simulated=0) for p in (*data.room, *data.hot)]
    own = fig4.Data(tuple(bare[:3]), tuple(bare[3:]))
    assert not own.simulated
    assert "true" not in fig4.result_frame(own, found)
    fig = fig4.draw(own, found)
    assert "SIMULATED" not in "".join(t.get_text() for t in fig.texts)
    plt.close(fig)


def test_every_panel_shows_its_points_and_numbers(drawn, data, found):
    panels = {ax.get_label(): ax for ax in drawn.axes}
    assert set(panels) == {*"abc", *(f"residuals {n}" for n in "abc")}
    for name, fit, profiles in (("a", found.room, data.room), ("b", found.hot, data.hot)):
        shown = panels[name].containers
        assert len(shown) == len(profiles)
        for bars, stage in zip(shown, fit["profile"].values, strict=True):
            own = fit["fraction"].values[fit["of_profile"].values == stage]
            np.testing.assert_array_equal(bars.lines[0].get_ydata(), own)
    words = ["".join(t.get_text() for t in panels[n].texts) for n in "abc"]
    assert "(2.97 ± 0.02)·10$^{-9}$" in words[0]
    assert "(6.66 ± 0.06)·10$^{-7}$" in words[1]
    assert "(7.9 ± 0.6)·10$^{-9}$" in words[2]
    assert "260 ± 2 µm" in words[2]


def test_the_figure_keeps_the_style(drawn):
    assert style_faults(drawn, simulated=True) == []


@pytest.mark.usefixtures("pinned_matplotlib")
def test_the_figure_looks_as_it_did(drawn, data, found, tmp_path):
    drawn.savefig(tmp_path / "fig4.png", dpi=50)
    assert compare_images(str(BASELINE), str(tmp_path / "fig4.png"), tol=TOLERANCE) is None
    swapped = fig4.draw(data, replace(found, room=found.hot, hot=found.room))
    swapped.savefig(tmp_path / "swapped.png", dpi=50)
    plt.close(swapped)
    assert compare_images(str(BASELINE), str(tmp_path / "swapped.png"), tol=TOLERANCE) is not None

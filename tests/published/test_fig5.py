"""Fig. 5: the printed laws come out of data made with them, and every panel shows its numbers."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.testing.compare import compare_images

from lliso.plot.checks import style_faults
from lliso.published import default_inputs, fig5

ROOT = Path(__file__).resolve().parents[2]
BASELINE = Path(__file__).parent / "baseline" / "fig5.png"
TOLERANCE = 6.0  # as for Fig. 3


@pytest.fixture(scope="module")
def data():
    return fig5.load(default_inputs("fig5", ROOT))


@pytest.fixture(scope="module")
def found(data):
    return fig5.measure(data)


@pytest.fixture
def drawn(data, found):
    fig = fig5.draw(data, found)
    yield fig
    plt.close(fig)


def test_the_papers_numbers_lie_within_the_limits_but_for_the_cold(data, found):
    printed = fig5.printed_frame(data, found)
    cold = ["d_eff_cold", "diffusion_length_cold"]
    assert printed["printed inside"].drop(cold).all()
    # with 0.43 eV D_eff falls to a third of the printed 1e-14 cm2/s
    assert not printed.loc[cold, "printed inside"].any()
    assert printed["true inside"].dropna().tolist() == [True] * 4


def test_another_haven_ratio_is_outside(data, found):
    other = data.transport.copy()
    for name in ("sigma_total", "sigma_total_std"):
        other[name] = 0.7 * other[name]
    printed = fig5.printed_frame(data, fig5.measure(fig5.Data(other, data.ledger)))
    assert not printed.loc["haven_ratio", "printed inside"]


def test_the_1d_model_is_eq_6(data, found):
    p = 6.8e-14 / 0.5e-7
    assert found.permeability == pytest.approx(p)
    assert found.one_d.d_eff == pytest.approx(1 / (1 / 2.6e-8 + 1 / (16e-4 * p)), rel=1e-4)


def test_tables_hold_every_series(data, found):
    frame = fig5.series_frame(data, found)
    assert len(frame) == data.transport.sizes["temperature"]
    np.testing.assert_array_equal(frame["d_eff (cm^2/s)"], data.transport["d_eff"])
    laws = fig5.law_frame(found)
    assert laws.loc["d_sigma_total", "flags"] == "curved"
    assert laws.loc["(l/δ)D_gb tracer", "E_a (eV)"] == pytest.approx(0.43, abs=0.01)


def test_the_quench_table_agrees_with_the_check(found):
    frame = fig5.quench_frame(found)
    value, low, high = found.quench.length["d_bulk"]
    row = frame.loc[163.15]
    assert row["d_bulk value (um)"] == pytest.approx(value)
    assert row["d_bulk low (um)"] == pytest.approx(low)
    assert row["d_bulk high (um)"] == pytest.approx(high)


def test_every_panel_shows_its_points(drawn, data, found):
    panels = {ax.get_label(): ax for ax in drawn.axes if ax.get_label()}
    assert {*"abcde", "models"} <= set(panels)
    assert len(panels["b"].containers) == 5  # four series and the 1D model
    shown = [c.lines[0].get_ydata() for c in panels["b"].containers]
    np.testing.assert_array_equal(shown[3], data.transport["d_eff"])
    assert shown[4] == pytest.approx([found.one_d.d_eff])
    shown = [c.lines[0].get_ydata() for c in panels["c"].containers]
    np.testing.assert_allclose(shown[1], found.parts["tracer"]["boundary"])
    assert shown[2] == pytest.approx([16e-4 * found.permeability])
    (points,) = panels["d"].containers
    np.testing.assert_allclose(points.lines[0].get_ydata(), found.haven_points["ratio"])
    words = "".join(t.get_text() for t in panels["c"].texts)
    assert "0.431 ± 0.005 eV" in words
    assert "0.047 ± 0.006 cm²/s" in words


def test_the_figure_keeps_the_style(drawn):
    assert style_faults(drawn, simulated=True) == []


@pytest.mark.usefixtures("pinned_matplotlib")
def test_the_figure_looks_as_it_did(drawn, tmp_path):
    drawn.savefig(tmp_path / "fig5.png", dpi=50)
    assert compare_images(str(BASELINE), str(tmp_path / "fig5.png"), tol=TOLERANCE) is None
    panel = next(ax for ax in drawn.axes if ax.get_label() == "c")
    for artist in [*panel.lines, *panel.collections]:
        artist.set_visible(False)
    drawn.savefig(tmp_path / "empty.png", dpi=50)
    assert compare_images(str(BASELINE), str(tmp_path / "empty.png"), tol=TOLERANCE) is not None

"""Fig. 3: what was put in comes out, every panel is drawn, and own data take one line."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.testing.compare import compare_images

import lliso
from lliso.plot import style
from lliso.plot.checks import style_faults
from lliso.published import fig3

#: root mean square difference of colours (0 to 255) allowed between two renderings of Fig. 3 at 50
#: dots an inch: another release of matplotlib may set type by a fraction of a pixel
TOLERANCE = 6.0


@pytest.fixture
def drawn(fig3_data, fig3_traced, fig3_found):
    fig = fig3.draw(fig3_data, fig3_traced, fig3_found)
    yield fig
    plt.close(fig)


def panels(fig):
    return {ax.get_label(): ax for ax in fig.axes if ax.get_label() in tuple("abcdef")}


def test_the_image_lies_where_it_was_turned_and_shifted_from(fig3_inputs, fig3_traced):
    import xarray as xr

    a = xr.load_dataset(fig3_inputs["image"], engine="h5netcdf").attrs
    matrix = np.array([[a["to_map_xx"], a["to_map_xy"]], [a["to_map_yx"], a["to_map_yy"]]])
    corners = np.array([[20, 300], [480, 300], [20, 470], [480, 470.0]])
    true = corners @ matrix.T + [a["to_map_x0"], a["to_map_y0"]]
    off = np.hypot(*(fig3_traced.refined.registration(corners) - true).T)
    by_hand = np.hypot(*(lliso.fit_registration(fig3_landmarks(fig3_inputs))(corners) - true).T)
    assert fig3_traced.refined.clear
    assert off.max() < 0.5  # half a pixel
    assert off.max() < by_hand.max()


def fig3_landmarks(inputs):
    return lliso.Picks.load(inputs["picks"]).landmarks


def test_the_limits_hold_the_truth_of_that_boundary(fig3_data, fig3_found, fig3_inputs):
    frame = fig3.boundary_frame(fig3_data, fig3_found)
    printed = fig3.printed_frame(frame, fig3_inputs["ledger"])
    assert list(printed.index) == list(fig3.PRINTED)
    assert printed["true inside"].all()
    assert frame.loc["both", "p that P stayed"] > 0.05


def test_the_papers_d_gb_lies_within_the_limits_at_both_times(fig3_data, fig3_found, fig3_inputs):
    printed = fig3.printed_frame(fig3.boundary_frame(fig3_data, fig3_found), fig3_inputs["ledger"])
    agrees = printed["printed inside"]
    assert agrees[["permeability_59h", "d_gb_59h", "d_gb_16d", "slope_59h", "slope_16d"]].all()
    # another boundary with another flux: the steps need not be the paper's, and are not
    assert not agrees[["step_59h", "step_16d"]].any()


def test_a_truth_ten_times_as_large_is_outside(fig3_data, fig3_found, fig3_inputs):
    truth = fig3_data.truth.assign(permeability=10 * fig3_data.truth["permeability"])
    frame = fig3.boundary_frame(replace(fig3_data, truth=truth), fig3_found)
    printed = fig3.printed_frame(frame, fig3_inputs["ledger"])
    assert not printed.loc["d_gb_59h", "true inside"]


def test_every_panel_shows_its_numbers(drawn, fig3_data, fig3_found):
    found = panels(drawn)
    assert sorted(found) == list("abcdef")
    for name, ds in zip("ab", fig3_data.maps, strict=True):
        (image,) = found[name].images
        np.testing.assert_array_equal(
            image.get_array(), lliso.isotope_fraction(ds)["fraction"].values
        )
        assert found[name].get_xlim() == pytest.approx((0, 500))
        assert found[name].get_ylim() == pytest.approx((300, 500))
        line = found[name].lines[-2].get_xydata()
        np.testing.assert_allclose(line, [fig3_data.line.start, fig3_data.line.end])
    assert found["a"].images[0].get_clim() == found["b"].images[0].get_clim()
    traces = found["c"].patches[0].get_path().vertices
    assert len(traces) > 10_000  # two ends of each side between pixels
    np.testing.assert_array_less(traces.min(axis=0), (1, 301))
    np.testing.assert_array_less((499, 499), traces.max(axis=0))
    assert found["c"].lines[0].get_xydata().shape == (6, 2)  # landmarks
    profiles = fig3.profile_frame(fig3_data)
    for k, stage in enumerate(("59 h", "59 h + 16 d")):
        shown = found["d"].containers[k].lines[0].get_ydata()
        np.testing.assert_array_equal(shown, profiles[f"C {stage}"])
    words = [t.get_text() for t in found["e"].texts]
    assert words[0].splitlines() == ["59 h", "|ΔC| = 0.0121 ± 0.0011", "|dC/dn| = 0.8 ± 0.3 cm⁻¹"]
    step = found["e"].lines[-1].get_ydata()
    fitted = 1e3 * fig3_found.fits[1].on_cut(fig3_data.picks.cut("cut 02")).parameters["step"]
    assert step[1] - step[0] == pytest.approx(fitted, rel=1e-6)
    values = [x.get_xdata()[0] for x in found["f"].lines if x.get_marker() == "o"]
    frame = fig3.boundary_frame(fig3_data, fig3_found)
    assert values == pytest.approx(frame["D_gb (cm^2/s)"].tolist())


def test_the_figure_keeps_the_style(drawn):
    assert style_faults(drawn, simulated=True) == []


def rendered(fig, path):
    fig.savefig(path, dpi=50)
    return str(path)


@pytest.mark.usefixtures("pinned_matplotlib")
def test_the_figure_looks_as_it_did(drawn, request, tmp_path):
    expected = request.path.parent / "baseline" / "fig3.png"
    found = rendered(drawn, tmp_path / "fig3.png")
    assert compare_images(str(expected), found, tol=TOLERANCE) is None


def test_the_comparison_sees_swapped_maps(fig3_data, fig3_traced, fig3_found, request, tmp_path):
    swapped = replace(fig3_data, maps=fig3_data.maps[::-1])
    turned = replace(fig3_found, tables=fig3_found.tables[::-1], fits=fig3_found.fits[::-1])
    fig = fig3.draw(swapped, fig3_traced, turned)
    found = rendered(fig, tmp_path / "fig3.png")
    plt.close(fig)
    expected = request.path.parent / "baseline" / "fig3.png"
    assert compare_images(str(expected), found, tol=TOLERANCE) is not None


def test_drawing_twice_writes_the_same_svg(fig3_data, fig3_traced, fig3_found, tmp_path):
    written = []
    for _ in range(2):
        fig = fig3.draw(fig3_data, fig3_traced, fig3_found)
        with style():
            fig.savefig(tmp_path / "fig3.svg", metadata={"Date": None})
        plt.close(fig)
        written.append((tmp_path / "fig3.svg").read_bytes())
    assert written[0] == written[1]
    assert len(written[0]) < 2_000_000


def test_maps_of_ones_own_are_not_called_simulated(fig3_data, fig3_traced, fig3_found):
    maps = tuple(ds.assign_attrs(simulated=0) for ds in fig3_data.maps)
    own = replace(fig3_data, maps=maps, truth=None)
    fig = fig3.draw(own, fig3_traced, fig3_found)
    texts = [t.get_text() for ax in fig.axes for t in ax.texts]
    assert "truth" not in texts
    assert not any("simulated" in fault for fault in style_faults(fig))
    assert style_faults(fig, simulated=True) == ["does not say that it is simulated"]
    plt.close(fig)
    frame = fig3.boundary_frame(own, fig3_found)
    assert not [c for c in frame.columns if "true" in c]


def test_the_truth_of_another_simulation_is_not_used(fig3_inputs, fig3_data):
    other = fig3_data.truth.assign_attrs(map_ids="0123456789ab")
    assert fig3.load({**fig3_inputs, "truth": other}).truth is None


def test_without_a_note_the_first_boundary_is_shown(fig3_data):
    first = fig3_data.picks.boundaries[0]
    picks = fig3_data.picks.with_boundary(fig3_data.chosen.model_copy(update={"note": ""}))
    assert replace(fig3_data, picks=picks).chosen == first


def test_maps_without_a_stage_are_told_apart(fig3_inputs, fig3_data):
    nameless = [ds.assign_attrs(stage="") for ds in fig3_data.maps]
    own = fig3.load({**fig3_inputs, "exchange": nameless[0], "storage": nameless[1]})
    assert [ds.attrs["stage"] for ds in own.maps] == ["exchange", "storage"]
    columns = list(fig3.profile_frame(own).columns)
    assert columns == ["C exchange", "std exchange", "C storage", "std storage"]

"""Figures of transport, long range and impedance: what is drawn, by its numbers."""

import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot as plt

from lliso.diffusion.impedance import polycrystal_impedance
from lliso.diffusion.transport import ZERO_CELSIUS
from lliso.fit.arrhenius import fit_arrhenius
from lliso.fit.impedance import fit_impedance
from lliso.fit.transport import haven_ratio, haven_ratio_points
from lliso.plot import (
    draw_arrhenius,
    draw_bode,
    draw_celsius_axis,
    draw_haven_ratio,
    draw_long_range,
    draw_models,
    draw_nyquist,
    figure,
    save_figure,
)

T = np.array([295.15, 373.15, 473.15, 673.15])
D = 0.048 * np.exp(-0.43 / (8.617333262e-5 * T))


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def test_an_arrhenius_plot_shows_points_law_and_band():
    fit = fit_arrhenius(T, D, 0.1 * D)
    fig, ax = figure(3.35, 3.0)
    bars, line, cold, band = draw_arrhenius(ax, T, D, 0.1 * D, fit=fit, reach=("-110 °C", "400 °C"))
    np.testing.assert_allclose(bars.lines[0].get_xdata(), 1e3 / T)
    np.testing.assert_allclose(bars.lines[0].get_ydata(), D)
    np.testing.assert_allclose(line.get_ydata(), fit.predict(1e3 / line.get_xdata()).value)
    assert line.get_linestyle() == "-"
    assert cold.get_linestyle() == "--"
    assert cold.get_xdata().max() == pytest.approx(1e3 / 163.15)
    assert band.get_paths()[0].vertices[:, 1].min() < D.min()
    assert ax.get_yscale() == "log"
    assert ax.get_ylabel() == "$D$ (cm² s⁻¹)"
    fig.draw_without_rendering()


def test_the_upper_axis_says_celsius_at_the_right_places():
    fig, ax = figure(3.35, 3.0)
    draw_arrhenius(ax, T, D, 0.1 * D)
    draw_arrhenius(ax, T, 4 * D, 0.4 * D)
    upper = draw_celsius_axis(ax)
    assert len(ax.child_axes) == 1  # one axis, however many series
    fig.draw_without_rendering()
    ticks = [t for t in upper.get_xticklabels() if t.get_text()]
    assert len(ticks) >= 3
    for tick, at in zip(ticks, upper.get_xticks(), strict=True):
        celsius = float(tick.get_text().replace("−", "-"))
        assert 1e3 / (celsius + ZERO_CELSIUS) == pytest.approx(at, abs=1e-9)
    boxes = [t.get_window_extent() for t in ticks]
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[k + 1 :])


def test_the_table_of_a_fit_is_drawn_stage_by_stage():
    x = np.array([0.0, 500.0, 1000.0])
    table = xr.Dataset(
        {
            "position": ("point", np.tile(x, 2)),
            "of_profile": ("point", ["before"] * 3 + ["after"] * 3),
            "fraction": ("point", [0.9, 0.5, 0.1, 0.6, 0.5, 0.4]),
            "fraction_std": ("point", np.full(6, 0.01)),
            "curve": ("point", [0.91, 0.5, 0.1, 0.6, 0.5, 0.39]),
        }
    )
    fig, (ax, rest) = figure(3.35, 4.0, nrows=2)
    artists = draw_long_range(ax, table, residuals=rest)
    assert len(artists) == 6  # points, curve and residuals of both
    np.testing.assert_allclose(artists[4].get_ydata(), [0.6, 0.5, 0.39])
    np.testing.assert_allclose(artists[5].get_ydata(), [0.0, 0.0, 1.0], atol=1e-9)
    assert [t.get_text() for t in ax.legend().get_texts()] == ["before", "after"]
    fig.draw_without_rendering()


def test_the_haven_ratio_is_drawn_where_it_is_known():
    tracer, charge = fit_arrhenius(T, D, 0.1 * D), fit_arrhenius(T, D / 0.24, 0.1 * D)
    points = haven_ratio_points(T, [*D[:3], np.nan], D / 0.24, 0.1 * D, 0.1 * D)
    _, ax = figure(3.35, 3.0)
    bars, line, _, one = draw_haven_ratio(ax, points, haven_ratio(tracer, charge, T))
    assert bars.lines[0].get_xdata().size == 3
    np.testing.assert_allclose(line.get_ydata(), 0.24, rtol=1e-9)
    assert one.get_ydata()[0] == 1.0
    with pytest.raises(ValueError, match="needs points or a ratio, got neither"):
        draw_haven_ratio(ax)


def test_models_are_dashed_where_they_do_not_hold():
    _, ax = figure(3.35, 3.0)
    lines = draw_models(ax, material=(2.6e-6, 0.12), label="LLTO")
    styles = [line.get_linestyle() for line in lines[:-1]]
    assert styles.count("--") == 2  # the series model for fast boundaries, Hart's for blocking
    series, beyond = lines[0], lines[1]
    assert series.get_xdata().max() < 1.0 <= beyond.get_xdata().min()
    names = [t.get_text() for t in ax.get_legend().get_texts()]
    assert names == ["series, eq. (5)", "brick layer", "Maxwell–Garnett", "Hart", "LLTO"]


def long_range(**drop):
    x = np.linspace(-900.0, 6000.0, 30)
    model = 0.5 + 0.4 * np.tanh(-x / 1000)
    data = {"fraction": model + 0.01, "fraction_std": np.full(30, 0.005), "model": model}
    kept = {k: ("position", v) for k, v in data.items() if k not in drop}
    return xr.Dataset(kept, {"position": x})


def test_a_long_range_profile_comes_in_millimetres_with_residuals_in_sigma():
    _, (ax, rest) = figure(3.35, 3.5, nrows=2, sharex=True)
    bars, line, residuals = draw_long_range(ax, long_range(), residuals=rest, label="110 h")
    assert bars.lines[0].get_xdata()[0] == pytest.approx(-0.9)
    np.testing.assert_allclose(line.get_ydata(), long_range().model)
    np.testing.assert_allclose(residuals.get_ydata(), 2.0)
    assert "(mm)" in rest.get_xlabel()
    draw_long_range(ax, long_range(), residuals=rest)
    assert sum(line.get_gid() == "zero" for line in rest.lines) == 1


def test_a_long_range_profile_without_its_parts():
    _, ax = figure()
    assert len(draw_long_range(ax, long_range(model=1, fraction_std=1))) == 1
    assert len(draw_long_range(ax, long_range().rename(position="distance"))) == 2
    with pytest.raises(ValueError, match="residuals need the profile's model"):
        draw_long_range(ax, long_range(model=1), residuals=ax)
    with pytest.raises(ValueError, match="a profile must have fraction and one of position"):
        draw_long_range(ax, long_range(fraction=1))


@pytest.fixture(scope="module")
def impedance():
    f = np.geomspace(1.0, 1e7, 40)
    z = polycrystal_impedance(f, 2e5, 1e6, 3e-9, 0.9, 1e-11, 0.95, 1e-6, 0.8)
    data = {"z_real": ("frequency", z.real), "z_imag": ("frequency", z.imag)}
    spectrum = xr.Dataset(data, {"frequency": f})
    return spectrum, fit_impedance(spectrum)


def test_a_nyquist_plot_has_equal_scales_and_its_unit(impedance):
    spectrum, fit = impedance
    fig, ax = figure(3.35, 2.5)
    points, line, *_ = draw_nyquist(ax, spectrum, fit)
    np.testing.assert_allclose(points.get_ydata(), -spectrum.z_imag / 1e3)
    np.testing.assert_allclose(line.get_xdata(), fit.model.real[np.argsort(fit.frequency)] / 1e3)
    assert ax.get_xlabel() == "$Z'$ (kΩ)"
    assert ax.get_aspect() == 1.0
    assert ax.get_xlim()[1] == pytest.approx(1.35 * fit.r_total / 1e3)
    fig.draw_without_rendering()
    draw_nyquist(figure()[1], spectrum, decades=False, full=True)


def test_a_bode_plot_shows_modulus_and_phase(impedance):
    spectrum, fit = impedance
    _, axes = figure(3.35, 3.5, nrows=2)
    modulus, phase, _, model_phase = draw_bode(axes, spectrum, fit)
    z = spectrum.z_real.values + 1j * spectrum.z_imag.values
    np.testing.assert_allclose(modulus.get_ydata(), np.abs(z))
    np.testing.assert_allclose(phase.get_ydata(), -np.degrees(np.angle(z)))
    np.testing.assert_allclose(model_phase.get_ydata(), phase.get_ydata(), atol=0.01)
    with pytest.raises(ValueError, match="draw_bode needs two Axes"):
        draw_bode(axes[:1], spectrum)


def test_two_runs_write_the_same_bytes(tmp_path):
    written = []
    for run in ("one", "two"):
        fig, ax = figure(3.35, 3.0)
        draw_arrhenius(ax, T, D, 0.1 * D, fit=fit_arrhenius(T, D, 0.1 * D))
        files = save_figure(fig, tmp_path / run / "arrhenius")
        written.append({f.suffix: f.read_bytes() for f in files})
    assert written[0] == written[1]

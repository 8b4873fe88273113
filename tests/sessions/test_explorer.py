"""The map explorer without a browser: its session, its files, opening and closing."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from lliso import isotope_fraction, make_map
from lliso.sessions.explorer.session import ExplorerSession
from lliso.sessions.overlays import Overlay
from lliso.sessions.parts import packed

AXES = {"x": np.arange(40.0), "y": np.arange(30.0)}


def stage(rng, fraction, name):
    light = rng.binomial(80, fraction, (30, 40))
    return make_map(
        [light, 80 - light], ["6Li", "7Li"], **AXES, attrs={"stage": name, "simulated": 1}
    )


@pytest.fixture
def maps(rng):
    step = np.where(np.arange(30) < 15, 0.6, 0.4)[:, None]
    return {"59 h": stage(rng, step, "59 h"), "16 d": stage(rng, 0.5 * step + 0.25, "16 d")}


@pytest.fixture
def session(maps):
    return ExplorerSession(maps)


def test_it_opens_on_the_fraction_of_all_stages_in_common_colours(session, maps):
    screen = session.screen()
    values = np.concatenate([isotope_fraction(m).fraction.values.ravel() for m in maps.values()])
    low, high = np.percentile(values, [1, 99])
    for name in maps:
        (shown,) = screen["panels"][f"map:{name}"]["layers"]
        assert (shown["low"], shown["high"]) == pytest.approx((low, high))
        np.testing.assert_allclose(
            session.images()[f"{name}|shown"].pixels,
            isotope_fraction(maps[name]).fraction.values,
            rtol=1e-6,
        )
    assert screen["panels"]["change"] == {"hidden": True}
    assert "simulated" in screen["title"]
    json.dumps(packed(screen, []), allow_nan=False)


def test_the_read_out_is_of_the_data_whatever_is_shown(session, maps):
    before = session.images()
    session.gesture("set", key="quantity", value="total")
    session.gesture("set", key="smooth", value=3.0)
    session.gesture("set", key="binned", value=2)
    after = session.images()
    for name, ds in maps.items():
        reads = session.screen()["panels"][f"map:{name}"]["reads"]
        assert [r[0] for r in reads] == [f"{name}|{n}" for n in ("C", "std", "6Li", "7Li")]
        for image, *_ in reads:
            assert after[image] is before[image]
        np.testing.assert_array_equal(after[f"{name}|6Li"].pixels, ds.counts.values[0])
        assert after[f"{name}|shown"].pixels.shape == (15, 20)


def test_what_is_softened_is_marked(session):
    assert session.screen()["panels"]["map:59 h"]["mark"] == ""
    session.gesture("set", key="smooth", value=1.5)
    screen = session.gesture("bin", by=1)
    words = "2 × 2 pixels binned, smoothed, σ 1.5 µm: for the eye only"
    assert screen["panels"]["map:16 d"]["mark"] == words
    screen = session.gesture("set", key="quantity", value="significance")
    assert "smoothed" not in screen["panels"]["map:16 d"]["mark"]


def test_limits_are_typed_dragged_and_given_back_to_the_percentiles(session):
    low, high = session.limits
    session.gesture("limit", name="low", x=0.3)
    assert session.limits == (0.3, high)
    preview = session.gesture("limit", final=False, name="high", x=0.7)
    assert preview["panels"]["map:59 h"]["layers"][0]["high"] == 0.7
    assert session.limits == (0.3, high)
    with pytest.raises(ValueError, match="lower limit must be below the upper, got 0\\.9"):
        session.gesture("limit", name="low", x=0.9)
    session.gesture("percentiles")
    assert session.limits == (low, high)


def test_symmetric_is_about_the_median(session, maps):
    session.gesture("toggle", key="symmetric")
    low, high = session.limits
    first = isotope_fraction(maps["59 h"]).fraction.values
    assert (low + high) / 2 == pytest.approx(np.median(first))
    assert session.state.cmap == "RdBu_r"


def test_the_change_between_the_stages(session, maps):
    screen = session.gesture("toggle", key="difference")
    panel = screen["panels"]["change"]
    assert panel["title"] == "Change of C: 16 d − 59 h"
    assert panel["layers"][0]["low"] == -panel["layers"][0]["high"]
    expected = (
        isotope_fraction(maps["16 d"]).fraction.values
        - isotope_fraction(maps["59 h"]).fraction.values
    )
    np.testing.assert_allclose(session.images()["change"].pixels, expected, atol=1e-6)


def test_a_change_of_maps_on_other_pixels_is_refused_in_words(maps):
    maps["16 d"] = maps["16 d"].assign_coords(x=AXES["x"] + 0.5)
    session = ExplorerSession(maps)
    with pytest.raises(ValueError, match="must have the same pixels"):
        session.gesture("toggle", key="difference")
    assert not session.state.difference


@pytest.mark.parametrize(
    ("kind", "args", "message"),
    [
        ("set", {"key": "weather", "value": 1}, "must be one of quantity"),
        ("set", {"key": "cmap", "value": "jet"}, "must be one of viridis"),
        ("set", {"key": "quantity", "value": "colour"}, "must be one of fraction"),
        ("set", {"key": "low_percent", "value": 99.5}, "percentiles must be in order"),
        ("set", {"key": "binned", "value": 20}, "at most a third of the map"),
        ("set", {"key": "opacity", "value": 2.0}, "between 0 and 1"),
        ("limit", {"name": "middle", "x": 1.0}, "must be 'low' or 'high'"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(session, kind, args, message):
    before = session.state
    with pytest.raises(ValueError, match=message):
        session.gesture(kind, **args)
    assert session.state == before
    assert not session.screen()["can_undo"]


def test_undo_brings_back_what_was_shown_but_zooming_is_no_step(session):
    session.gesture("set", key="quantity", value="total")
    session.gesture("zoom", ranges={"xy": {"x0": 1, "x1": 9, "y0": 2, "y1": 8}})
    session.gesture("set", key="cmap", value="gray")
    session.gesture("undo")
    assert (session.state.cmap, session.state.quantity) == ("viridis", "total")
    session.gesture("undo")
    assert session.state.quantity == "fraction"
    session.gesture("redo")
    assert session.state.quantity == "total"


@pytest.mark.parametrize("kind", ["svg", "pdf", "png"])
def test_the_figure_is_exported_as_seen(session, kind):
    session.gesture("toggle", key="difference")
    session.gesture("zoom", ranges={"xy": {"x0": 1, "x1": 9, "y0": 2, "y1": 8}})
    file = session.export(kind, 120, 60)
    start = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}[kind]
    assert file.data.startswith(start)
    assert file.name == f"fraction_59_h_16_d.{kind}"
    if kind == "svg":
        assert f'width="{120 / 25.4 * 72:.6f}'[:12] in file.data.decode()[:900]


def test_no_table_and_other_formats_are_refused(session):
    with pytest.raises(ValueError, match="no table"):
        session.export("csv")
    with pytest.raises(ValueError, match="must be one of svg, pdf, png, got 'bmp'"):
        session.export("bmp")
    with pytest.raises(ValueError, match="between 30 and 500 mm"):
        session.export("png", 4, 100)


def test_the_code_gives_the_images_that_are_shown(session, maps):
    session.gesture("set", key="binned", value=2)
    session.gesture("set", key="quantity", value="total")
    found = {"app": SimpleNamespace(session=session)}
    exec(session.code(), found)
    from matplotlib import pyplot as plt

    plt.close(found["figure"])
    assert list(found["images"]) == list(maps)
    shown = session.values()["16 d"]
    np.testing.assert_array_equal(found["images"]["16 d"].values, shown.values)


def test_log_colours_start_above_zero(session):
    session.gesture("set", key="quantity", value="counts")
    session.gesture("limit", name="low", x=0.0)
    session.gesture("toggle", key="log")
    assert session.limits[0] > 0


# an image over the maps -----------------------------------------------------------------------
def test_an_image_with_coordinates_lies_where_they_say():
    image = xr.DataArray(
        np.eye(4), dims=("y", "x"), coords={"x": 2.0 * np.arange(4), "y": AXES["y"][:4]}
    )
    overlay = Overlay.of(image)
    assert overlay.matrix == (2.0, 0.0, 0.0, 1.0, -1.0, -0.5)
    assert overlay.picture.extent == (-1.0, 7.0, -0.5, 3.5)


def test_an_array_with_a_matrix_is_drawn_with_it(maps):
    turned = (np.ones((5, 8, 3)), [[0, 2, 1], [3, 0, 2]])
    session = ExplorerSession(maps, turned)
    overlay = session.screen()["panels"]["map:59 h"]["layers"][1]
    assert overlay["transform"] == [0, 3, 2, 0, 1, 2]
    assert session.images()["overlay"].pixels.shape == (5, 8)
    session.gesture("set", key="opacity", value=0.2)
    assert session.screen()["panels"]["map:16 d"]["layers"][1]["opacity"] == 0.2
    assert session.export("png").data.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (3.0, r"must be an image with x and y in um, or \(array, matrix\), got float"),
        ((np.zeros(3), np.eye(3)), "must be an array"),
        ((np.zeros((3, 3)), [[1, 0, 0], [0, 1, 0], [0.1, 0, 1]]), "projective transform"),
        ((np.full((3, 3), np.nan), np.eye(3)), "must hold numbers, got none"),
        (xr.DataArray(np.zeros((2, 2)), dims=("a", "b")), "needs the coordinates x and y"),
    ],
)
def test_what_is_no_image_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Overlay.of(given)


# opening --------------------------------------------------------------------------------------
def test_without_maps_or_counts_it_does_not_open(rng):
    with pytest.raises(ValueError, match="at least one map"):
        ExplorerSession({})
    empty = stage(rng, 0.5, "a")
    empty["counts"] = empty.counts * 0
    with pytest.raises(ValueError, match="must hold counts"):
        ExplorerSession(empty)


def test_it_opens_shows_itself_and_closes(maps):
    pytest.importorskip("anywidget")
    from ipywidgets.widgets import widget as ipywidget

    from lliso.apps.explorer import explore_map

    before = set(ipywidget._instances)
    first = explore_map(maps)
    app = explore_map(maps)
    assert (first.widget.closed, app.widget.closed) == (True, False)
    data, _ = app._repr_mimebundle_()
    assert "<ExplorerApp: fraction of 59 h, 16 d, shown in a notebook>" in data["text/plain"]
    assert data["image/png"]
    app.close()
    assert set(ipywidget._instances) == before

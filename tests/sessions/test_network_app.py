"""The view of a grain network without a browser: session, file, messages."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from lliso import (
    GrainEdits,
    apply_edits,
    boundary_network,
    fit_network,
    make_map,
    population_permeability,
)
from lliso.errors import PicksMismatch
from lliso.sessions.network.session import NetworkSession
from lliso.sessions.parts import packed

D_BULK = 2.6e-8


@pytest.fixture(scope="module")
def scene():
    """Twelve square grains of 20 µm, with steps where y grows; labels as one would find them."""
    rng = np.random.default_rng(3)
    rows, columns = np.mgrid[0:80, 0:60]
    label = 3 * (rows // 20) + columns // 20
    c = 0.8 - 0.0015 * rows - (0.03 + 0.02 * (columns // 20)) * (rows // 20)
    light = rng.binomial(800, c)
    axes = {"x": np.arange(0.5, 60), "y": np.arange(0.5, 80)}
    attrs = {"stage": "59 h", "simulated": 1}
    ds = make_map([light, 800 - light], ["6Li", "7Li"], **axes, attrs=attrs)
    grains = xr.Dataset(
        {"label": (("y", "x"), label)}, axes, {"map_id": ds.map_id, "found_from": "counts"}
    )
    return ds, grains


@pytest.fixture
def session(scene, tmp_path):
    ds, grains = scene
    return NetworkSession(ds, tmp_path / "edits.json", grains=grains, d_bulk=D_BULK)


def between(session, first, second):
    """Name of the boundary between two grains."""
    found = session.table
    sides = {(int(a), int(b)) for a, b in ((first, second), (second, first))}
    pairs = zip(found.grain1.values.tolist(), found.grain2.values.tolist(), strict=True)
    (at,) = [i for i, pair in enumerate(pairs) if pair in sides]
    return str(found.boundary.values[at])


def test_it_opens_on_the_network_that_fit_network_gives(session, scene):
    ds, grains = scene
    network = boundary_network(grains)
    xr.testing.assert_identical(session.table, fit_network(ds, network, d_bulk=D_BULK))
    screen = session.screen()
    assert len(screen["rows"]) == network.sizes["boundary"]
    found = population_permeability(session.table)
    assert screen["panels"]["histogram"]["result"].endswith(f"cm/s, {found.n} boundaries")
    assert not session.path.exists()  # opening writes nothing
    json.dumps(packed(screen, []), allow_nan=False)


def test_the_histogram_counts_what_is_measured(session):
    values = session.table.permeability.values
    (bars,) = [m for m in session.screen()["panels"]["histogram"]["marks"] if m["type"] == "bars"]
    assert bars["heights"].sum() == np.isfinite(values).sum()
    expected, _ = np.histogram(values[np.isfinite(values)], bars["edges"].astype(float))
    np.testing.assert_array_equal(bars["heights"], expected)
    for colour in ("significance", "probability"):
        screen = session.gesture("colour", value=colour)
        bars = screen["panels"]["histogram"]["marks"][0]
        assert bars["heights"].sum() == session.shown.at.size


def lit(screen):
    return sorted(
        name
        for mark in screen["panels"]["map"]["marks"]
        for name, width in zip(mark["names"], mark["widths"], strict=True)
        if width > 3
    )


def test_a_bar_highlights_its_boundaries_and_a_boundary_its_bar(session):
    bars = session.shown
    k = int(np.argmax(bars.heights))
    screen = session.gesture("bin", name=k)
    values = session.table.permeability.values
    own = (values >= bars.edges[k]) & (values <= bars.edges[k + 1])
    assert lit(screen) == sorted(session.table.boundary.values[own])
    assert screen["panels"]["histogram"]["marks"][0]["chosen"] == [k]
    screen = session.gesture("bin", name=k)  # again: none
    assert lit(screen) == []
    name = str(session.table.boundary.values[own][0])
    screen = session.gesture("select", name=name)
    (at,) = [m["at"] for m in screen["panels"]["histogram"]["marks"] if m["type"] == "vline"]
    assert at == session.table.permeability.sel(boundary=name)
    assert screen["panels"]["map"]["result"].startswith(f"{name}: ")


def test_keys_go_from_one_filled_bar_to_the_next(session):
    filled = [int(k) for k in np.flatnonzero(session.shown.heights)]
    session.gesture("step_bin", by=1)
    seen = [session.state.bin]
    for _ in filled:
        session.gesture("step_bin", by=1)
        seen.append(session.state.bin)
    assert seen == [*filled, filled[0]]
    session.gesture("step_bin", by=-1)
    assert session.state.bin == filled[-1]


def test_boundaries_are_where_the_grains_meet(session):
    (mark,) = [m for m in session.screen()["panels"]["map"]["marks"] if m["name"] == "measured"]
    ends = dict(zip(mark["names"], mark["lines"], strict=True))
    (x0, y0), (x1, y1) = ends[between(session, 1, 4)]
    assert sorted([x0, x1]) == pytest.approx([20.0, 40.0], abs=0.6)
    assert (y0, y1) == pytest.approx((20.0, 20.0), abs=0.1)


def test_two_clicks_merge_and_the_file_gives_the_same_headless(session, scene):
    ds, grains = scene
    slope = session.table.attrs["mean_slope_per_cm"]
    session.gesture("mode", value="merge")
    screen = session.gesture("merge", x=30, y=10)
    assert screen["message"] == "Merge: click the second grain (V: done)."
    assert screen["selected"] is not None  # so that Esc is sent
    said = []
    session.progress = lambda _share, text: said.append(text)
    screen = session.gesture("merge", x=30, y=30)
    assert screen["message"].startswith("Grains merged")
    assert said[-1] == "fitting the boundaries that the edit changed"
    edited = apply_edits(grains, GrainEdits.load(session.path))
    assert (edited.label == 1).sum() == 800
    again = fit_network(ds, boundary_network(edited), d_bulk=D_BULK, mean_slope=slope)
    xr.testing.assert_identical(session.table, again)
    assert "1 | 4" not in [row["grains"] for row in screen["rows"]]


def test_the_code_gives_the_table_that_is_shown(session):
    session.gesture("remove", name=between(session, 1, 4))
    session.gesture("least", value=0.9)
    found = {"app": SimpleNamespace(session=session)}
    exec(session.code(), found)
    xr.testing.assert_identical(found["table"], session.table)
    assert found["probable"].sizes["boundary"] == len(session.screen()["rows"])


def test_a_boundary_that_is_none_is_removed_and_comes_back(session):
    before = session.table
    name = between(session, 4, 7)
    session.gesture("select", name=name)
    session.gesture("remove")
    label = session.network.label.values
    assert (label == 7).sum() == 0
    assert (label == 4).sum() == 800
    session.gesture("undo")
    assert session.table is before
    assert GrainEdits.load(session.path).edits == ()
    session.gesture("redo")
    assert len(GrainEdits.load(session.path).edits) == 1


def test_two_clicks_split_a_grain_along_their_line(session):
    session.gesture("mode", value="split")
    session.gesture("split", x=50, y=22)
    screen = session.gesture("split", x=50, y=38)
    own = session.network.label.values[20:40, 40:60]  # pixels of a µm, from 0 on
    left, right = own[:, :10], own[:, 10:]
    assert left[0, 0] != right[0, 0]
    assert (left == left[0, 0]).all()
    assert (right == right[0, 0]).all()
    assert "Grains split" in screen["message"]
    before = session.table.sizes["boundary"]
    session.gesture("split_line", value="2, 10; 18, 10")
    assert session.table.sizes["boundary"] > before


def test_esc_forgets_the_first_click_then_the_selection(session):
    session.gesture("select", name="1")
    session.gesture("mode", value="split")
    session.gesture("split", x=50, y=22)
    session.gesture("select", name=None)
    assert session.state.pending is None
    assert session.state.selected == "1"
    session.gesture("select", name=None)
    assert session.state.selected is None


@pytest.mark.parametrize(
    ("kind", "args", "message"),
    [
        ("merge", {"x": 99, "y": 5}, "must lie in a grain"),
        ("split_line", {"value": "here to there"}, "must be typed as x, y; x, y in um"),
        ("split_line", {"value": "1, 2"}, "must be typed as x, y; x, y in um"),
        ("colour", {"value": "taste"}, "are coloured by permeability"),
        ("least", {"value": 3}, "between 0 and 1, got 3"),
        ("mode", {"value": "melt"}, "a click must be one of look"),
        ("bin", {"name": 99}, "bars, got 99"),
        ("select", {"name": "none"}, "holds no boundary 'none'"),
        ("remove", {}, "no boundary is selected"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(session, kind, args, message):
    before = session.state
    with pytest.raises(ValueError, match=message):
        session.gesture(kind, **args)
    assert session.state == before
    assert not session.path.exists()


def test_a_merge_that_cannot_be_starts_anew(session):
    session.gesture("mode", value="merge")
    session.gesture("merge", x=10, y=10)
    with pytest.raises(ValueError, match="must touch"):
        session.gesture("merge", x=50, y=70)
    assert session.state.pending is None
    assert session.state.edits.edits == ()


def test_improbable_boundaries_are_left_out(scene, tmp_path):
    ds, grains = scene
    network = boundary_network(grains)
    n = network.sizes["boundary"]
    judged = grains.assign(
        piece_x=("piece", network.x.values),
        piece_y=("piece", network.y.values),
        piece_probability=("piece", np.linspace(0.0, 1.0, n)),
    )
    session = NetworkSession(ds, grains=judged, d_bulk=D_BULK)
    expected = int((np.linspace(0.0, 1.0, n) >= 0.63).sum())
    assert len(session.screen()["rows"]) == expected
    assert len(session.gesture("least", value=0.0)["rows"]) == n
    csv = session.export("csv").data.decode().splitlines()
    assert len(csv) == n + 1
    assert csv[0].startswith("boundary,grain1,grain2")


def test_edits_of_other_grains_are_refused_and_nothing_is_shown(session, scene, tmp_path):
    session.gesture("remove", name=between(session, 1, 4))
    ds, grains = scene
    other = grains.assign(label=grains.label.where(grains.label != 11, 10))
    with pytest.raises(PicksMismatch, match="must be of this segmentation"):
        NetworkSession(ds, session.path, grains=other, d_bulk=D_BULK)


def test_the_next_boundary_by_key(session):
    names = [r["boundary"] for r in session.screen()["rows"]]
    assert session.gesture("step", by=1)["selected"] == names[0]
    assert session.gesture("step", by=-1)["selected"] == names[-1]


@pytest.mark.parametrize("kind", ["svg", "pdf", "png"])
def test_the_figure_is_exported(session, kind):
    start = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}[kind]
    assert session.export(kind, 120, 110).data.startswith(start)


def test_it_opens_shows_itself_answers_and_closes(scene, tmp_path):
    pytest.importorskip("anywidget")
    from ipywidgets.widgets import widget as ipywidget

    from lliso import explore_network

    before = set(ipywidget._instances)
    ds, grains = scene
    path = tmp_path / "edits.json"
    first = explore_network(ds, path, grains=grains, d_bulk="2.6e-8 cm^2/s")
    app = explore_network(ds, path, grains=grains, d_bulk="2.6e-8 cm^2/s")
    assert (first.widget.closed, app.widget.closed) == (True, False)
    sent = []
    app.widget.send = lambda content, _buffers=None: sent.append(content)
    message = {"type": "gesture", "view": "v", "final": True, "n": 1, "kind": "remove"}
    app.widget._received(None, {**message, "args": {"name": between(app.session, 1, 4)}}, [])
    assert [m["type"] for m in sent] == ["progress", "progress", "answer"]
    assert len(GrainEdits.load(path).edits) == 1
    assert app.widget.failures == []
    data, _ = app._repr_mimebundle_()
    n = app.table.sizes["boundary"]
    assert f"<NetworkApp: {n} boundaries, 1 edit, shown in a notebook>" in data["text/plain"]
    assert data["image/png"]
    app.close()
    assert set(ipywidget._instances) == before


def test_without_grains_they_are_found_on_the_map(scene):
    ds, _ = scene
    session = NetworkSession(ds, d_bulk=D_BULK)
    assert "lliso.segment_grains(ds)" in session.code()
    assert session.table.attrs["found_from"] == "counts"

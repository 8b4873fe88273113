"""The profile app without a browser: its session, its file, its view through messages."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import lliso
from lliso.errors import FormatError, PicksMismatch
from lliso.fit.profile_choices import ProfileChoices, SampleProfiles, fit_chosen
from lliso.maps.synthetic_profiles import LineAnalysis, simulate_line_analysis
from lliso.sessions.parts import packed
from lliso.sessions.profiles.screen import point_name
from lliso.sessions.profiles.session import ProfileSession

LINE = LineAnalysis(d_exchange=3.0e-9, level=260.0)
ENDS = ("-1 mm", "9 mm")


@pytest.fixture(scope="module")
def profiles():
    many, _ = simulate_line_analysis(LINE, seed=3)
    return dict(zip(("exchange", "storage 1", "storage 2"), many, strict=True))


@pytest.fixture
def sample(profiles):
    return SampleProfiles(profiles, "110 h", ("14 d", "28 d"), ENDS)


@pytest.fixture
def session(sample, tmp_path):
    return ProfileSession(sample, tmp_path / "choices.json")


def d(table, name="d_eff"):
    return float(table["value"].sel(param=name))


def row(screen, name):
    return next(r for r in screen["rows"] if r["name"] == name)


def handles(screen):
    marks = screen["panels"]["profile"]["marks"]
    return {m["name"]: m for m in marks if m.get("move") == "hold"}


def test_it_opens_on_all_stages_and_writes_nothing(session, profiles):
    screen = session.screen()
    json.dumps(packed(screen, []), allow_nan=False)
    assert not session.path.exists()
    table = lliso.fit_sample(
        list(profiles.values()), exchange="110 h", storage=["14 d", "28 d"], ends=ENDS
    )
    np.testing.assert_array_equal(session.table["value"], table["value"])
    assert row(screen, "li6_change[storage 2]")["how"] == "conserved within its error"
    assert "simulated" in screen["title"]
    shown = handles(screen)
    assert shown["x0"]["at"] == pytest.approx(d(table, "x0"))
    assert shown["c1"]["type"] == "hline"


def test_the_curve_runs_through_what_was_fitted_at_the_points(session):
    marks = [m for m in session.screen()["panels"]["profile"]["marks"] if m["type"] == "line"]
    table = session.table
    for stage, mark in zip(session.sample.stages, marks, strict=True):
        mine = table.isel(point=(table["of_profile"] == stage).values)
        at = np.interp(mine["position"].values, mark["x"], mark["y"])
        np.testing.assert_allclose(at, mine["curve"].values, atol=2e-3)


def test_a_dragged_level_is_held_and_given_back(session):
    free = d(session.table, "d_eff[exchange]")
    before = session.table
    preview = session.gesture("hold", final=False, name="x0", x=0.0)
    assert handles(preview)["x0"]["at"] == 0.0
    assert session.choices.held == ()
    assert not session.path.exists()
    screen = session.gesture("hold", name="x0", x=0.00049)
    assert session.choices.held == (("x0", 0.0),)  # as the file holds it
    assert d(session.table, "d_eff[exchange]") > 1.5 * free
    assert row(screen, "x0")["how"] == "held"
    assert screen["level"] == "warning"
    assert screen["controls"]["x0_held"]["value"] is True
    assert ProfileChoices.load(session.path) == session.choices
    session.gesture("free")  # x0 is selected by the drag
    assert session.table.identical(before)
    session.gesture("undo")
    session.gesture("undo")
    assert session.choices.held == ()
    assert not session.screen()["can_undo"]
    session.gesture("redo")
    assert session.choices.held == (("x0", 0.0),)


@pytest.mark.parametrize(("name", "typed"), [("c1", 0.93), ("c0", 0.08), ("x0", 250.0)])
def test_a_typed_number_holds_and_an_empty_one_frees(session, name, typed):
    session.gesture("hold", name=name, value=typed)
    assert dict(session.choices.held) == {name: typed}
    assert float(session.table["value"].sel(param=name)) == pytest.approx(typed)
    session.gesture("hold", name=name, value=None)
    assert session.choices.held == ()


def test_held_where_it_is_changes_the_errors_only(session):
    before = session.table
    session.gesture("select", name="x0")
    session.gesture("hold_here")
    after = session.table
    assert d(after, "d_eff[storage 2]") == pytest.approx(d(before, "d_eff[storage 2]"), rel=1e-4)
    stderr = [float(t["stderr"].sel(param="d_eff[exchange]")) for t in (before, after)]
    assert stderr[1] < stderr[0]
    session.gesture("free_all")
    assert session.choices.held == ()


def test_points_are_left_out_one_by_one_by_range_and_by_keys(session, sample, profiles):
    x = float(profiles["exchange"].distance.values[10])
    name = point_name("exchange", x)
    screen = session.gesture("toggle", name=name)
    marks = screen["panels"]["profile"]["marks"]
    assert sum(sum(m["off"]) for m in marks if m["type"] == "points") == 1
    left = [p.drop_sel(distance=[x]) if s == "exchange" else p for s, p in profiles.items()]
    table = lliso.fit_sample(left, exchange="110 h", storage=["14 d", "28 d"], ends=ENDS)
    np.testing.assert_array_equal(session.table["value"], table["value"])
    assert session.gesture("toggle", name=name)["can"]["points"] is False

    session.gesture("range", x0=-950.0, x1=-600.0, y0=0.0, y1=1.0)
    assert len(session.choices.excluded) == 9  # three of each stage
    session.gesture("range", x0=-950.0, x1=-600.0, y0=0.0, y1=1.0)
    assert session.choices.excluded == ()
    screen = session.gesture("range", x0=0.0, x1=1.0, y0=0.99, y1=1.0)
    assert screen["message"] == "there is no point in that range"

    session.gesture("step", by=-1)
    last = sample.points("storage 2")[1][-1]
    assert session.state.selected == point_name("storage 2", last)
    session.gesture("step", by=1)
    session.gesture("toggle_selected")
    assert session.choices.excluded == (("exchange", sample.points("exchange")[1][0]),)
    session.gesture("all_points")
    assert session.choices.excluded == ()


@pytest.mark.parametrize("model", ["exchange", "storage fitted", "storage measured", "all"])
def test_every_model_gives_what_its_function_gives(session, profiles, model):
    one, two, three = profiles.values()
    begin = lliso.fit_exchange(one, time="110 h", ends=ENDS)
    wanted = {
        "exchange": lambda: begin,
        "storage fitted": lambda: lliso.fit_anneal(
            three, start=begin, time=42 * 86400.0, ends=ENDS
        ),
        "storage measured": lambda: lliso.fit_anneal(three, start=two, time="28 d", ends=ENDS),
        "all": lambda: session.table,
    }[model]()
    session.gesture("set", key="stage", value="storage 2")
    screen = session.gesture("set", key="model", value=model)
    np.testing.assert_array_equal(session.table["value"], wanted["value"])
    json.dumps(packed(screen, []), allow_nan=False)
    assert bool(handles(screen)) is (model != "storage measured")
    code = session.code()
    compile(code, "shown", "exec")
    assert {"storage fitted": "fit_anneal", "all": "fit_sample"}.get(model, "lliso.") in code
    assert session.export("csv").data.startswith(b"param,unit,fixed,value")


@pytest.mark.parametrize("from_file", [True, False])
def test_the_code_gives_what_is_shown(profiles, tmp_path, monkeypatch, capsys, from_file):
    monkeypatch.chdir(tmp_path)
    if from_file:
        profiles["exchange"].to_netcdf("exchange.nc", engine="h5netcdf")
        profiles = {**profiles, "exchange": lliso.read_profile("exchange.nc")}
    session = ProfileSession(SampleProfiles(profiles, "110 h", ("14 d", "28 d"), ENDS))
    session.gesture("set", key="model", value="exchange")
    session.gesture("set", key="barrier", value=True)
    session.gesture("hold", name="k", value="2e-6 cm/s")
    x = float(profiles["exchange"].distance.values[12])
    session.gesture("toggle", name=point_name("exchange", x))
    assert ("lliso.read_profile('exchange.nc')" in session.code()) is from_file
    space = {} if from_file else {"app": SimpleNamespace(session=session)}
    exec(session.code(), space)
    np.testing.assert_array_equal(space["result"]["value"], session.table["value"])
    assert "d_eff" in capsys.readouterr().out


def test_a_drift_of_lithium_is_said(profiles):
    lost = profiles["storage 1"].copy()
    lost["counts"] = lost["counts"].copy()
    lost["counts"].loc[{"species": "6Li"}] = (
        (lost["counts"].sel(species="6Li") * 0.9).astype(int).values
    )
    sample = SampleProfiles({**profiles, "storage 1": lost}, "110 h", ("14 d", "28 d"), ENDS)
    session = ProfileSession(sample)
    assert row(session.screen(), "li6_change[storage 1]")["how"].startswith("drifts: ")
    assert "the amount of 6Li changes between stages" in session.screen()["message"]


def test_what_cannot_be_done_is_said_and_changes_nothing(session):
    state = session.state
    for match, gesture in {
        "only x0, c0, c1, k|select one of x0": {"kind": "hold", "name": "d_eff", "value": 1.0},
        "k needs a barrier": {"kind": "hold", "name": "k", "value": 1e-6},
        "must be one of exchange": {"kind": "set", "key": "model", "value": "magic"},
        "needs the temperatures": {"kind": "set", "key": "law", "value": "arrhenius"},
        "select a point first": {"kind": "toggle", "name": "x0"},
        "at least one point": {
            "kind": "range", "x0": -1e9, "x1": 1e9, "y0": -1.0, "y1": 2.0,
        },
        "x0 must lie in the bar": {"kind": "hold", "name": "x0", "x": -1e6},
    }.items():  # fmt: skip
        with pytest.raises(ValueError, match=match):
            session.gesture(**gesture)
        assert session.state == state
    session.gesture("set", key="model", value="storage measured")
    with pytest.raises(ValueError, match="a start that was measured"):
        session.gesture("hold", name="x0", x=100.0)


def test_the_file_brings_it_back_and_another_sample_refuses_it(session, sample, profiles):
    session.gesture("hold", name="c1", value=0.94)
    again = ProfileSession(sample, session.path)
    assert again.choices == session.choices
    assert fit_chosen(sample, session.path).identical(session.table)
    other = dict(profiles)
    other["exchange"] = other["exchange"].assign_attrs(map_id="another")
    with pytest.raises(PicksMismatch, match="must be made on this profile of 'exchange'"):
        ProfileSession(SampleProfiles(other, "110 h", ("14 d", "28 d"), ENDS), session.path)
    bad = session.path.with_name("bad.json")
    bad.write_text('{"kind": "something"}')
    with pytest.raises(FormatError, match="must be 'lliso profile choices', got 'something'"):
        session.gesture("open_file", path=str(bad))
    session.gesture("save_as", path=str(session.path.with_name("copy.json")))
    assert ProfileChoices.load(session.path) == session.choices


def test_samples_that_make_no_sense_are_refused(profiles):
    with pytest.raises(ValueError, match="one duration for each profile after the first, got 1"):
        SampleProfiles(profiles, "110 h", ("14 d",), ENDS)
    with pytest.raises(ValueError, match="need the ends of the bar"):
        SampleProfiles(profiles, "110 h", ("14 d", "28 d"))
    sample = SampleProfiles({"exchange": profiles["exchange"]}, "110 h")
    with pytest.raises(ValueError, match="needs a profile after storage"):
        fit_chosen(sample, ProfileChoices(model="all"))


def test_the_figure_is_drawn(session):
    session.gesture("range", x0=-950.0, x1=-600.0, y0=0.0, y1=1.0)
    for kind, start in {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}.items():
        assert session.export(kind).data.startswith(start)


def test_the_view_opens_takes_a_gesture_and_closes(profiles, tmp_path):
    pytest.importorskip("anywidget")
    files = []
    for stage, ds in profiles.items():
        files.append(tmp_path / f"{stage}.nc")
        ds.to_netcdf(files[-1], engine="h5netcdf")
    app = lliso.explore_profiles(
        files, tmp_path / "c.json", exchange="110 h", storage=["14 d", "28 d"], ends=ENDS
    )
    sent = []
    app.widget.send = lambda content, *_: sent.append(content)
    message = {"type": "gesture", "view": "v", "n": 1, "kind": "hold", "final": True}
    app.widget._handle_custom_msg({**message, "args": {"name": "x0", "x": 100.0}}, [])
    assert sent[-1]["type"] == "answer"
    assert dict(app.choices.held) == {"x0": 100.0}
    assert "all stages together" in repr(app)
    assert app.widget.failures == []
    app.close()
    assert "closed" in repr(app)

"""What the picker does beyond marking: proposals, paths, right angles, notes, stages, files."""

import csv
import gc
import io
import math
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from lliso import LineCut, Picks, boundary_network, fit_boundaries, fit_stages, make_map
from lliso.sessions.boundaries.session import BoundarySession

D_BULK = "2.6e-8 cm^2/s"
EDGES = (30.2, 62.5, 95.0)


def made(rng, factor=1.0, stage="59 h", lean=0.0):
    x = (np.arange(60) + 0.5) * 0.977
    y = (np.arange(130) + 0.5) * 0.971
    depth = y[:, None] + lean * (x[None, :] - 29.0)
    c = 0.6 - factor * (1.1e-4 * depth + 0.04 * sum((depth > at).astype(float) for at in EDGES))
    n6 = rng.binomial(2000, c)
    attrs = {"simulated": 1, "stage": stage}
    return make_map([n6, 2000 - n6], ["6Li", "7Li"], x=x, y=y, attrs=attrs)


@pytest.fixture
def ds(rng):
    return made(rng)


@pytest.fixture
def session(ds, tmp_path):
    return BoundarySession(ds, tmp_path / "picks.json", d_bulk=D_BULK)


def on_map(session):
    return [session.cut.point(b.position)[1] for b in session.picks.on_cut(session.cut.name)]


# proposals ------------------------------------------------------------------------------------
def test_proposals_are_ghosts_until_they_are_accepted(session):
    screen = session.gesture("propose")
    ghosts = [m for m in screen["panels"]["profile"]["marks"] if m.get("click") == "accept"]
    at = [session.cut.point(g["at"])[1] for g in ghosts]
    assert at == pytest.approx(EDGES, abs=0.7)
    assert len(screen["panels"]["map"]["marks"][0]["lines"]) == 3
    assert screen["can"]["ghosts"] is True
    assert session.picks.boundaries == ()
    assert not session.path.exists()
    assert not screen["can_undo"]

    screen = session.gesture("accept", name="ghost 1")
    assert on_map(session) == pytest.approx([EDGES[1]], abs=0.7)
    assert len(session.state.proposed) == 2
    session.gesture("dismiss", name="ghost 0")
    assert len(session.state.proposed) == 1
    session.gesture("accept_all")
    assert on_map(session) == pytest.approx(EDGES[1:], abs=0.7)
    assert session.state.proposed == ()
    assert Picks.load(session.path) == session.picks


def test_all_are_accepted_at_once_and_taken_back_at_once(session):
    session.gesture("propose")
    screen = session.gesture("accept_all")
    assert screen["message"] == "3 boundaries accepted; Ctrl+Z takes them back"
    assert on_map(session) == pytest.approx(EDGES, abs=0.7)
    assert "no further significant step" in session.gesture("propose")["message"]
    session.gesture("undo")
    assert session.picks.boundaries == ()


def test_proposals_belong_to_the_cut_as_it_was(session):
    session.gesture("propose")
    session.gesture("cut_width", width=9.0)
    assert session.state.proposed == ()
    with pytest.raises(ValueError, match="nothing to accept; P proposes"):
        session.gesture("accept_all")
    with pytest.raises(ValueError, match="no proposal 'ghost 0'"):
        session.gesture("accept", name="ghost 0")


# paths and right angles -----------------------------------------------------------------------
def test_a_path_is_a_chain_of_cuts_that_stay_together(session):
    session.gesture("cut_end", x=29.0, y=70.0)
    first = session.cut.name
    session.gesture("extend_cut")
    leg = session.cut
    assert leg.name != first
    assert leg.start == session.picks.cut(first).end
    session.gesture("cut_end", x=40.0, y=100.0)
    session.gesture("add_at_distance", distance=18.0)
    session.gesture("choose_cut", name=first)
    preview = session.gesture("cut_end", final=False, x=25.0, y=66.0)
    assert preview["others"][0]["start"] == [25.0, 66.0]
    session.gesture("cut_end", x=25.0, y=66.0)
    assert session.picks.cut(leg.name).start == (25.0, 66.0)
    assert session.picks.cut(leg.name).end == (40.0, 100.0)
    session.gesture("undo")
    assert session.picks.cut(leg.name).start == leg.start


def test_at_the_edge_a_path_goes_round_the_corner(session):
    session.gesture("cut_end", x=29.0, y=1e3)
    session.gesture("extend_cut")
    ahead = np.dot(session.cut.direction, session.picks.cut("cut 1").direction)
    assert ahead == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("turned", [False, True])
def test_square_crosses_the_boundary_at_a_right_angle(rng, turned):
    lean = math.tan(math.radians(20))
    session = BoundarySession(made(rng, lean=lean), d_bulk=D_BULK)
    ends = {"x0": 29, "y0": 25, "x1": 29, "y1": 95}
    if turned:
        ends = {"x0": 29, "y0": 95, "x1": 29, "y1": 25}
    session.gesture("cut_numbers", width=14, **ends)
    session.gesture("add_at_distance", distance=abs(EDGES[1] - ends["y0"]))
    before = session.cut
    screen = session.gesture("square_cut")
    assert "at a right angle" in screen["message"]
    ux, uy = session.cut.direction
    angle = math.degrees(math.atan2(uy, ux)) + (180 if turned else 0)
    assert angle == pytest.approx(90 - 20, abs=2.0)
    assert session.cut.length <= before.length + 1e-3
    assert abs(session.rows["1"]["tilt"]) < 2.0


def test_square_needs_a_boundary(session):
    with pytest.raises(ValueError, match="needs a fitted boundary on this cut; mark one"):
        session.gesture("square_cut")


def angle_of(cut):
    return math.degrees(math.atan2(cut.direction[1], cut.direction[0]))


def test_square_crosses_what_is_only_proposed(rng):
    session = BoundarySession(made(rng, lean=math.tan(math.radians(20))), d_bulk=D_BULK)
    session.gesture("cut_numbers", width=14, x0=29, y0=25, x1=29, y1=95)
    session.gesture("propose")
    screen = session.gesture("square_cut")
    assert screen["message"] == "cut 1 crosses what is proposed at a right angle"
    assert angle_of(session.cut) == pytest.approx(90 - 20, abs=2.0)
    assert session.picks.boundaries == ()


@pytest.mark.parametrize("known_as", [lambda grains: grains, boundary_network])
def test_square_crosses_the_nearest_edge_of_known_grains(rng, known_as):
    slope = math.tan(math.radians(20))
    ds = made(rng, lean=slope)
    depth = ds.y.values[:, None] + slope * (ds.x.values[None, :] - 29.0)
    label = np.searchsorted(EDGES, depth)
    grains = known_as(xr.Dataset({"label": (("y", "x"), label)}, {"x": ds.x, "y": ds.y}))
    session = BoundarySession(ds, d_bulk=D_BULK, grains=grains)
    session.gesture("cut_numbers", width=14, x0=29, y0=25, x1=29, y1=95)
    session.gesture("square_cut")
    assert angle_of(session.cut) == pytest.approx(90 - 20, abs=2.0)
    layers = session.screen()["panels"]["map"]["layers"]
    assert [layer["image"] for layer in layers] == ["fraction", "grains"]
    edge = session.images()["grains"].pixels
    assert np.nanmax(edge) == 1
    assert 0.01 < np.isfinite(edge).mean() < 0.1


def test_grains_of_another_map_are_refused(ds):
    grains = xr.Dataset({"label": (("y", "x"), np.zeros((4, 5), int))})
    with pytest.raises(ValueError, match="must have the pixels of the map, 130 × 60, got 4 × 5"):
        BoundarySession(ds, d_bulk=D_BULK, grains=grains)


def path_marks(session, kind):
    return [m for m in session.screen()["panels"]["path"]["marks"] if m["type"] == kind]


def test_a_path_has_one_profile_with_marks_at_its_corners(session):
    assert session.screen()["panels"]["path"] == {"hidden": True}
    session.gesture("cut_end", x=29.0, y=70.0)
    first = session.cut
    session.gesture("extend_cut")
    session.gesture("cut_end", x=40.0, y=110.0)
    second = session.cut
    panel = session.screen()["panels"]["path"]
    assert panel["title"] == "Path: cut 1 → cut 2"
    assert panel["x"]["range"][1] == pytest.approx(first.length + second.length)
    joined = np.concatenate([m["x"] for m in path_marks(session, "line")])
    assert np.all(np.diff(joined) > 0)
    corners = [m["at"] for m in path_marks(session, "vline") if "name" not in m]
    assert corners == [pytest.approx(first.length)]
    # A click marks a boundary on the leg that lies there, whichever is shown.
    session.gesture("add_on_path", x=first.project(29.0, EDGES[0])[0], y=0.3)
    assert session.cut.name == "cut 1"
    assert on_map(session) == pytest.approx([EDGES[0]], abs=0.7)
    (mark,) = [m for m in path_marks(session, "vline") if m.get("name") == "1"]
    assert mark["at"] == session.picks.boundary("1").position
    session.gesture("add_on_path", x=first.length + 25.0 / second.direction[1], y=0.3)
    assert session.cut.name == "cut 2"
    assert on_map(session) == pytest.approx([EDGES[2]], abs=0.7)


def test_the_figure_and_the_code_of_a_path_show_all_of_it(session):
    from matplotlib import pyplot as plt

    session.gesture("cut_end", x=29.0, y=70.0)
    session.gesture("extend_cut")
    figure = session._figure(7.0, 5.0)
    assert figure.axes[2].get_xlabel() == "distance along the path (µm)"
    assert "path=True" in session.code()
    plt.close(figure)


# names, notes, numbers ------------------------------------------------------------------------
def test_notes_and_names_are_kept_in_the_file(session):
    session.gesture("note", value="polished twice")
    session.gesture("propose")
    session.gesture("accept_all")
    session.gesture("select", name="2")
    session.gesture("note", value="twin")
    screen = session.gesture("rename_boundary", new=" twin  A ")
    assert screen["selected"] == "twin A"
    picks = Picks.load(session.path)
    assert (picks.note, picks.boundary("twin A").note) == ("polished twice", "twin")
    assert screen["controls"]["note"] == "twin"
    assert session.gesture("select", name=None)["controls"]["note"] == "polished twice"
    for new, message in (
        ("", "must not be empty"),
        ("1", "must be its own"),
        ("x" * 25, "24 char"),
    ):
        with pytest.raises(ValueError, match=message):
            session.gesture("rename_boundary", name="twin A", new=new)


def test_place_and_window_are_typed(session):
    with pytest.raises(ValueError, match="must be selected first"):
        session.gesture("boundary_numbers", position=20.0)
    session.gesture("add_at_distance", distance=56.0)
    session.gesture("boundary_numbers", position=57.25)
    session.gesture("boundary_numbers", low=40.0)
    screen = session.gesture("boundary_numbers", high=80.5)
    pick = session.picks.boundary("1")
    assert (pick.position, pick.window) == (57.25, (40.0, 80.5))
    assert screen["controls"]["low"] == {"value": 40.0, "hidden": False}


# residuals ------------------------------------------------------------------------------------
def test_residuals_are_those_of_the_fit_and_scatter_as_they_should(session):
    assert session.screen()["panels"]["residuals"]["hidden"]
    session.gesture("propose")
    panel = session.gesture("accept_all")["panels"]["residuals"]
    scatter = panel["marks"][-1]["y"]
    assert not panel["hidden"]
    assert scatter.size > 60
    assert np.std(scatter) == pytest.approx(1.0, abs=0.25)


# stages ---------------------------------------------------------------------------------------
@pytest.fixture
def staged(ds, rng, tmp_path):
    later = made(rng, 0.6, "16 d")
    session = BoundarySession(ds, tmp_path / "picks.json", d_bulk=D_BULK, stages={"16 d": later})
    session.gesture("propose")
    session.gesture("accept_all")
    return session, later


def test_stages_share_one_profile_and_one_ratio(staged, ds):
    session, later = staged
    screen = session.screen()
    legends = [m["legend"] for m in screen["panels"]["profile"]["marks"] if "legend" in m]
    assert legends == ["59 h", "16 d"]
    table = fit_stages([ds, later], session.picks, d_bulk=D_BULK)
    joint = {c["key"] for c in screen["columns"]} - {"boundary"}
    assert {"joint", "same"} <= joint
    for row in screen["rows"]:
        at = table.sel(boundary=row["boundary"])
        assert row["same"] == f"{float(at.p_value):.2f}"
        if str(at.verdict.item()) == "measured":
            assert row["sort"]["joint"] == float(at.permeability)


def test_the_file_of_the_table_holds_every_stage_and_all_together(staged, ds):
    session, later = staged
    rows = list(csv.DictReader(io.StringIO(session.export("csv").data.decode())))
    assert [(r["boundary"], r["stage"]) for r in rows] == [
        (b, s) for b in "123" for s in ("59 h", "16 d", "all")
    ]
    tables = {
        "59 h": fit_boundaries(ds, session.picks, d_bulk=D_BULK),
        "16 d": fit_boundaries(later, session.picks, d_bulk=D_BULK),
        "all": fit_stages([ds, later], session.picks, d_bulk=D_BULK),
    }
    for row in rows:
        at = tables[row["stage"]].sel(boundary=row["boundary"])
        for name in ("permeability", "permeability_low", "permeability_high", "d_gb"):
            assert float(row[name]) == pytest.approx(float(at[name]), rel=1e-12, nan_ok=True)
        assert row["verdict"] == at.verdict.item()
        name = "p_value_stages" if row["stage"] == "all" else "p_value"
        assert float(row[name]) == pytest.approx(at.p_value.item(), rel=1e-12)


def test_the_code_of_stages_gives_every_table_and_the_figure(staged, ds):
    from matplotlib import pyplot as plt

    session, later = staged
    found = {"app": SimpleNamespace(session=session)}
    exec(session.code(), found)
    assert found["table"].equals(fit_boundaries(ds, session.picks, d_bulk=D_BULK))
    assert found["tables"]["16 d"].equals(fit_boundaries(later, session.picks, d_bulk=D_BULK))
    assert found["joint"].equals(session.joint)
    figure = found["figure"]
    legend = figure.axes[1].get_legend()
    assert [t.get_text() for t in legend.get_texts()] == ["59 h", "16 d"]
    words = figure.get_supxlabel().splitlines()
    assert words[0] == "all stages together:"
    assert [w.split(":")[0] for w in words[1:]] == ["1", "2", "3"]
    plt.close(figure)


def test_picks_of_stages_hold_on_all_of_them(staged, ds):
    session, later = staged
    picks = Picks.load(session.path)
    picks.check(ds)
    picks.check(later)


def test_other_stages_follow_a_drag(staged):
    session, _ = staged
    screens = session.screen(), session.gesture("cut_width", final=False, width=5.0)
    marks = [m for s in screens for m in s["panels"]["profile"]["marks"]]
    before, after = (m["y"] for m in marks if m.get("legend") == "16 d")
    assert not np.array_equal(before, after)


# files ----------------------------------------------------------------------------------------
def test_another_file_is_opened_and_the_first_left_alone(session, tmp_path, ds):
    session.gesture("add_at_distance", distance=56.0)
    first = session.path.read_bytes()
    cut = LineCut(name="elsewhere", start=(20, 5), end=(20, 110), width=10)
    other = tmp_path / "other.json"
    Picks().anchored_to(ds).with_cut(cut).save(other)
    screen = session.gesture("open_file", path=str(other))
    assert (screen["cut"]["name"], screen["path"]) == ("elsewhere", str(other))
    assert not screen["can_undo"]  # the other file's past is not this one's
    session.gesture("add_at_distance", distance=56.0)
    assert len(Picks.load(other).boundaries) == 1
    assert (tmp_path / "picks.json").read_bytes() == first


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("open_file", "missing.json", "there is no picks file"),
        ("open_file", " ", "must not be empty"),
        ("open_file", "alien.json", "made on 'other'"),
        ("open_file", "broken.json", "not valid picks"),
        ("save_as", "alien.json", "must not be there yet, got alien.json"),
    ],
)
def test_files_that_will_not_do_are_refused_and_nothing_changes(
    session, tmp_path, kind, name, message
):
    session.gesture("add_at_distance", distance=56.0)
    Picks(maps={"other": "0" * 12}).save(tmp_path / "alien.json")
    (tmp_path / "broken.json").write_text("{")
    before = session.picks, session.path
    with pytest.raises((ValueError, OSError), match=message):
        session.gesture(kind, path=str(tmp_path / name) if name.strip() else name)
    assert (session.picks, session.path) == before


def test_saved_under_another_name_changes_go_there(session, tmp_path):
    session.gesture("add_at_distance", distance=56.0)
    first = session.path.read_bytes()
    session.gesture("save_as", path=str(tmp_path / "copy.json"))
    session.gesture("remove", name="1")
    assert Picks.load(tmp_path / "copy.json").boundaries == ()
    assert (tmp_path / "picks.json").read_bytes() == first


def test_the_table_is_exported_with_all_digits(session):
    session.gesture("propose")
    session.gesture("accept_all")
    file = session.export("csv")
    rows = list(csv.DictReader(io.StringIO(file.data.decode())))
    assert file.name == "picks.csv"
    assert [r["boundary"] for r in rows] == ["1", "2", "3"]
    for row in rows:
        assert float(row["step"]) == session.rows[row["boundary"]]["step"]
        assert float(row["permeability_high"]) == session.rows[row["boundary"]]["permeability_high"]


@pytest.mark.parametrize("kind", ["svg", "pdf", "png"])
def test_the_figure_is_exported(session, kind):
    session.gesture("propose")
    session.gesture("accept_all")
    file = session.export(kind, 90.0, 80.0)
    assert file.data.startswith({"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}[kind])


def test_the_code_gives_the_table_that_is_shown(session, ds):
    session.gesture("propose")
    session.gesture("accept_all")
    found = {"app": SimpleNamespace(session=session)}
    exec(session.code(), found)
    from matplotlib import pyplot as plt

    plt.close(found["figure"])
    for name, row in session.rows.items():
        assert float(found["table"]["step"].sel(boundary=name)) == row["step"]
    expected = fit_boundaries(ds, session.picks, d_bulk=D_BULK)
    assert found["table"].equals(expected)


# nothing grows --------------------------------------------------------------------------------
def test_nothing_grows_over_two_hundred_runs_of_a_cell(ds, tmp_path):
    pytest.importorskip("anywidget")
    from ipywidgets.widgets import widget as ipywidget

    from lliso.apps.boundaries import BoundaryApp, pick_boundaries
    from lliso.apps.view import close_view

    def run(times):
        for _ in range(times):
            pick_boundaries(ds, tmp_path / "picks.json", d_bulk=D_BULK)
        gc.collect()
        ours = [o for o in gc.get_objects() if isinstance(o, BoundaryApp | BoundarySession)]
        observers = sum(len(w._trait_notifiers) for w in ipywidget._instances.values())
        return len(ipywidget._instances), len(ours), observers

    assert run(3) == run(200)
    close_view(f"picks:{(tmp_path / 'picks.json').resolve()}")

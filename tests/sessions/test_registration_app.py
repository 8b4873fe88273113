"""The registration app without a browser: its session, its file, its view through messages."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from lliso import Picks, fit_registration, make_map, refine_on_edges
from lliso.maps.cuts import LineCut
from lliso.maps.registration import Registration
from lliso.sessions.parts import packed
from lliso.sessions.registration.session import RegistrationSession

TRUE = np.array([[1.05, -0.04, 6.0], [0.04, 1.05, -3.0]])  # (u, v, 1) of the image to the map
PLACES = {"1": (12.0, 14.0), "2": (75.0, 11.0), "3": (70.0, 52.0), "4": (15.0, 55.0)}
MISS = {"1": (0.4, 0.1), "2": (-0.3, 0.3), "3": (0.2, -0.4), "4": (-0.1, 0.2)}


def edges(x, y):
    """Distance of places of the map from the nearest of three edges, and what lies beyond it."""
    return [y - 18 - 4 * np.sin(x / 9), y - 40 - 0.1 * x, (x - 48) + 0.2 * (y - 30)]


@pytest.fixture(scope="module")
def scene():
    """A map with edges, and an image with dark lines on them, in its own frame."""
    rng = np.random.default_rng(7)
    x, y = np.arange(0.5, 100), np.arange(0.5, 70)
    xx, yy = np.meshgrid(x, y)
    c = 0.8 - sum(0.12 * (d > 0) for d in edges(xx, yy))
    light = rng.binomial(400, c)
    ds = make_map(
        [light, 400 - light],
        ["6Li", "7Li"],
        x=x,
        y=y,
        attrs={"stage": "59 h", "simulated": 1},
    )
    u, v = np.arange(0, 92, 0.5), np.arange(0, 68, 0.5)
    uu, vv = np.meshgrid(u, v)
    on_map = np.stack([uu, vv, np.ones_like(uu)], -1) @ TRUE.T
    away = np.min(np.abs(edges(on_map[..., 0], on_map[..., 1])), axis=0)
    grey = 200 - 120 * np.exp(-0.5 * (away / 0.8) ** 2) + rng.normal(0, 6, uu.shape)
    return ds, xr.DataArray(grey, dims=("v", "u"), coords={"v": v, "u": u})


def map_place(name):
    return tuple(float(k) for k in TRUE @ [*PLACES[name], 1.0] + np.array(MISS[name]))


def set_landmarks(session, names="1234", first="map"):
    for name in names:
        sides = {"map": map_place(name), "image": PLACES[name]}
        for side in (first, "image" if first == "map" else "map"):
            x, y = sides[side]
            screen = session.gesture("place", side=side, x=x, y=y)
    return screen


@pytest.fixture
def session(scene, tmp_path):
    return RegistrationSession(*scene, tmp_path / "picks.json")


def test_a_click_in_each_panel_sets_a_landmark_in_either_order(session):
    screen = session.gesture("place", side="map", x=20, y=20)
    assert screen["message"].startswith("Now click the same point in the image")
    assert session.picks.landmarks == ()
    assert [m["labels"] for m in screen["panels"]["map"]["marks"]] == [["?"]]
    session.gesture("undo")
    set_landmarks(session, "12", first="image")
    set_landmarks(session, "34")
    assert [m.name for m in session.picks.landmarks] == list("1234")
    assert session.picks.landmarks[0].image_point == PLACES["1"]
    assert session.picks.landmarks[3].map_point == pytest.approx(map_place("4"), abs=1e-4)


def test_the_file_gives_the_same_registration_headless(session):
    screen = set_landmarks(session)
    headless = fit_registration(Picks.load(session.path).landmarks)
    np.testing.assert_array_equal(session.registration.matrix, headless.matrix)
    result = screen["panels"]["image"]["result"]
    assert result == (
        f"scale {headless.scale:.4f} · turned {headless.rotation:.2f}° · landmarks ± "
        f"{headless.point_std:.2f} µm"
    )
    assert [r["left_out"] for r in screen["rows"]] == [f"{d:.2f}" for d in headless.left_out]
    found = [r["residual"] for r in screen["rows"]]
    assert found == [f"{np.hypot(*d):.2f}" for d in headless.residuals]
    json.dumps(packed(screen, []), allow_nan=False)


def test_the_code_gives_the_registration_that_is_shown(session):
    set_landmarks(session)
    session.gesture("kind", value="affine")
    found = {"app": SimpleNamespace(session=session)}
    exec(session.code(), found)
    assert isinstance(found["registration"], Registration)
    np.testing.assert_array_equal(found["registration"].matrix, session.registration.matrix)
    assert found["on_map"].sizes == {"y": 70, "x": 100}


def test_boundaries_and_cuts_of_the_file_are_kept(scene, tmp_path):
    cut = LineCut(name="a", start=(10, 10), end=(10, 60), width=4)
    path = tmp_path / "picks.json"
    Picks().anchored_to(scene[0]).with_cut(cut).save(path)
    before = path.read_text()
    session = RegistrationSession(*scene, path)
    assert path.read_text() == before  # opening writes nothing
    set_landmarks(session, "1")
    assert Picks.load(path).cuts == (cut,)


def test_the_other_point_is_suggested_once_two_landmarks_are_set(session):
    set_landmarks(session, "12")
    session.gesture("place", side="map", x=50, y=40)
    (ring,) = [m for m in session.screen()["panels"]["image"]["marks"] if "pending" in m["name"]]
    expected = session.registration.inverse([(50, 40)])[0]
    assert (ring["x"][0], ring["y"][0]) == pytest.approx(tuple(expected), abs=1e-4)
    # Only to look at: a click beside it takes the place that was clicked.
    assert not {"click", "move", "remove"} & set(ring)
    session.gesture("place", side="image", x=expected[0] + 1, y=expected[1])
    assert session.picks.landmarks[2].image_point[0] == pytest.approx(expected[0] + 1, abs=1e-4)


def test_esc_forgets_a_point_without_partner(session):
    session.gesture("place", side="map", x=50, y=40)
    screen = session.gesture("select", name=None)
    assert session.state.pending is None
    assert screen["message"] == ""


def test_a_drag_shows_the_overlay_follow_and_the_release_saves(session):
    set_landmarks(session)
    text = session.path.read_text()
    before = session.screen()["panels"]["map"]["layers"][1]["transform"]
    x, y = PLACES["2"]
    preview = session.gesture("move", final=False, name="in the image: 2", x=x + 3, y=y)
    assert preview["panels"]["map"]["layers"][1]["transform"] != before
    assert session.path.read_text() == text
    session.gesture("move", name="in the image: 2", x=x + 3, y=y)
    assert Picks.load(session.path).landmarks[1].image_point == (x + 3, y)
    session.gesture("undo")
    assert session.path.read_text() == text


def test_the_overlay_lies_where_the_transform_says(session, scene):
    set_landmarks(session)
    a, b, c, d, e, f = session.screen()["panels"]["map"]["layers"][1]["transform"]
    image = scene[1]
    column, row = 31, 47  # the centre of a pixel lies half a pixel from its corner
    place = (a * 31.5 + c * 47.5 + e, b * 31.5 + d * 47.5 + f)
    at = (float(image.u[column]), float(image.v[row]))
    assert place == pytest.approx(tuple(session.registration([at])[0]))


def test_a_tilted_image_is_resampled(session):
    set_landmarks(session)
    screen = session.gesture("kind", value="projective")
    over = screen["panels"]["map"]["layers"][1]
    assert over["image"] == "laid"
    assert session.images()["laid"].pixels.shape == (140, 200)  # at the image's own pixels
    assert "no more landmarks than needed" in screen["message"]
    assert session.export("png").data.startswith(b"\x89PNG")


def test_refining_moves_the_image_onto_the_edges_as_headless(session, scene):
    set_landmarks(session)
    for name in PLACES:  # set carelessly, all to one side
        x, y = map_place(name)
        session.gesture("move", name=name, x=x + 1.5, y=y - 1.2)
    said = []
    session.progress = lambda share, text: said.append((share, text))
    screen = session.gesture("refine")
    ds, image = scene
    headless = refine_on_edges(fit_registration(Picks.load(session.path).landmarks), image, ds)
    assert headless.clear
    assert session.registration.shift == headless.registration.shift
    np.testing.assert_array_equal(session.registration.matrix, headless.registration.matrix)
    assert said == [(None, "moving the image over the edges in C")]
    assert screen["message"].startswith("Moved by (")
    assert "refine_on_edges(" in session.code()
    at = np.array(list(PLACES.values()))
    truth = np.column_stack([at, np.ones(4)]) @ TRUE.T
    before = fit_registration(session.picks.landmarks)
    error = [np.sqrt(np.mean((r(at) - truth) ** 2)) for r in (before, session.registration)]
    assert error[1] < error[0]
    session.gesture("move", name="1", x=20, y=12)  # other landmarks: it has to be asked for again
    assert session.state.refined is None
    session.gesture("undo")
    assert session.registration.shift == headless.registration.shift


def test_an_image_without_lines_says_so_and_the_landmarks_stand(scene):
    ds, image = scene
    rng = np.random.default_rng(0)
    blank = image.copy(data=rng.normal(100, 5, image.shape))
    session = RegistrationSession(ds, blank)
    set_landmarks(session)
    before = session.registration
    screen = session.gesture("refine")
    assert screen["level"] == "warning"
    assert "The landmarks stand." in screen["message"]
    assert session.registration is before


def test_a_wrong_landmark_is_named(session):
    set_landmarks(session)
    for k, at in enumerate([(40, 30), (50, 20)]):
        session.gesture("place", side="image", x=at[0], y=at[1])
        x, y = TRUE @ [*at, 1.0] + (0.3 * k)
        session.gesture("place", side="map", x=x, y=y)
    screen = session.gesture("move", name="2", x=70, y=30)
    assert "outlier:2" in session.fitted.flags
    assert screen["rows"][1]["flag"] == "the others contradict it"
    assert "the others contradict landmark 2" in screen["message"]
    assert session.export("csv").data.decode().splitlines()[2].endswith(",outlier")


def test_numbers_and_names_are_typed_for_the_selected_landmark(session):
    set_landmarks(session)
    session.gesture("select", name="3")
    session.gesture("numbers", v=50.25)
    session.gesture("rename", new="twin")
    mark = Picks.load(session.path).landmarks[-1]
    assert (mark.name, mark.image_point) == ("twin", (70.0, 50.25))
    assert session.state.selected == "twin"
    session.gesture("other_side")
    assert session.screen()["selected"] == "in the image: twin"
    assert [r["name"] for r in session.screen()["rows"]] == ["1", "2", "4", "in the image: twin"]


def test_a_new_landmark_by_key_is_put_where_the_others_suggest(session):
    session.gesture("new")
    assert session.picks.landmarks[0].map_point == (50.0, 35.0)
    session.gesture("undo")
    set_landmarks(session)
    expected = session.registration.inverse([(50.0, 35.0)])[0]
    session.gesture("new")
    assert session.picks.landmarks[-1].image_point == pytest.approx(tuple(expected), abs=1e-4)
    session.gesture("remove")
    assert len(session.picks.landmarks) == 4


def test_swipe_and_opacity_are_for_the_eye_and_no_undo_point(session):
    set_landmarks(session)
    text = session.path.read_text()
    session.gesture("undo")
    session.gesture("redo")
    for kind, args in (
        ("opacity", {"value": 0.2}),
        ("swipe", {"name": "swipe", "x": 25.0}),
        ("show", {"value": "total"}),
        ("overlay", {"value": False}),
    ):
        session.gesture(kind, **args)
    assert session.state.swipe == 0.25
    assert len(session.screen()["panels"]["map"]["layers"]) == 1
    assert session.screen()["controls"]["swipe"]["hidden"]
    session.gesture("undo")
    assert len(session.picks.landmarks) == 3 or session.state.pending is not None
    session.gesture("redo")
    assert session.path.read_text() == text


@pytest.mark.parametrize(
    ("kind", "args", "message"),
    [
        ("place", {"side": "map", "x": 150, "y": 5}, "point must lie on the map"),
        ("place", {"side": "moon", "x": 1, "y": 5}, "on the map or the image, got 'moon'"),
        ("move", {"name": "in the image: 1", "x": -9, "y": 5}, "point must lie on the image"),
        ("move", {"name": "9", "x": 9, "y": 5}, "hold no landmark '9', only: 1, 2"),
        ("kind", {"value": "rubber"}, "kind must be one of similarity"),
        ("lines", {"value": "blue"}, "lines must be 'dark' or 'bright'"),
        ("opacity", {"value": 2}, "opacity must be between 0 and 1"),
        ("show", {"value": "weather"}, "quantity must be one of fraction"),
        ("numbers", {"x": 3.0}, "no landmark is selected"),
        ("remove", {"name": "7"}, "hold no landmark '7'"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_changes(session, kind, args, message):
    set_landmarks(session, "12")
    session.gesture("select", name=None)
    before, text = session.state, session.path.read_text()
    with pytest.raises(ValueError, match=message):
        session.gesture(kind, **args)
    assert session.state == before
    assert session.path.read_text() == text


def test_too_few_landmarks_are_said_and_nothing_can_be_refined(session):
    screen = set_landmarks(session, "1")
    assert screen["panels"]["image"]["result"] == "needs 1 more landmark for this transform"
    assert not screen["can"]["refine"]
    with pytest.raises(ValueError, match="needs 2 landmarks, got 1"):
        session.gesture("refine")


def test_an_image_without_coordinates_does_not_open(scene):
    with pytest.raises(TypeError, match=r"image must be an xarray\.DataArray"):
        RegistrationSession(scene[0], np.zeros((4, 4)))
    with pytest.raises(ValueError, match="with a coordinate in um along both axes"):
        RegistrationSession(scene[0], xr.DataArray(np.zeros((4, 4)), dims=("v", "u")))


def test_an_image_whose_rows_run_down_is_shown_upright(scene):
    ds, image = scene
    turned = RegistrationSession(ds, image.isel(v=slice(None, None, -1)))
    straight = RegistrationSession(ds, image)
    pixels = [s.images()["image"].pixels for s in (turned, straight)]
    np.testing.assert_array_equal(*pixels)


@pytest.mark.parametrize("kind", ["svg", "pdf", "png"])
def test_the_figure_is_exported(session, kind):
    set_landmarks(session)
    start = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}[kind]
    file = session.export(kind, 120, 120)
    assert file.data.startswith(start)
    assert file.name == f"picks.{kind}"


def test_it_opens_shows_itself_answers_and_closes(scene, tmp_path):
    pytest.importorskip("anywidget")
    from ipywidgets.widgets import widget as ipywidget

    from lliso import register_image

    before = set(ipywidget._instances)
    first = register_image(*scene, tmp_path / "picks.json")
    app = register_image(*scene, tmp_path / "picks.json")
    assert (first.widget.closed, app.widget.closed) == (True, False)
    sent = []
    app.widget.send = lambda content, _buffers=None: sent.append(content)
    message = {"type": "gesture", "view": "v", "final": True, "kind": "place"}
    app.widget._received(None, {**message, "n": 1, "args": {"side": "map", "x": 20, "y": 20}}, [])
    app.widget._received(None, {**message, "n": 2, "args": {"side": "image", "x": 9, "y": 9}}, [])
    assert [m["n"] for m in sent] == [1, 2]
    assert app.picks.landmarks == Picks.load(tmp_path / "picks.json").landmarks
    assert app.widget.failures == []
    data, _ = app._repr_mimebundle_()
    assert "<RegistrationApp: 1 landmark, shown in a notebook>" in data["text/plain"]
    assert data["image/png"]
    app.close()
    assert set(ipywidget._instances) == before

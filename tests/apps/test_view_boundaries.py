"""The boundary app without a browser: opening, closing, gestures through the view's messages."""

import base64
import subprocess
import sys

import pytest
from matplotlib import pyplot as plt

pytest.importorskip("anywidget")

from ipywidgets.widgets import widget as ipywidget

from lliso import LineCut, Picks, fit_boundaries
from lliso.apps.boundaries import pick_boundaries

D_BULK = "2.6e-8 cm^2/s"
CUT = LineCut(name="cut 1", start=(7.5, 1), end=(7.5, 39), width=12)


@pytest.fixture
def file(tmp_path, simulated_map):
    path = tmp_path / "picks.json"
    Picks().anchored_to(simulated_map).with_cut(CUT).save(path)
    return path


@pytest.fixture
def app(simulated_map, file):
    app = pick_boundaries(simulated_map, file, d_bulk=D_BULK)
    yield app
    app.close()
    assert app.widget.failures == []


def say(app, kind, final=True, **args):
    message = {"type": "gesture", "view": "v", "n": 1, "kind": kind, "final": final, "args": args}
    data = {"method": "custom", "content": message}
    app.widget._handle_msg({"content": {"data": data}, "buffers": []})
    return app.widget._screen


def test_opening_writes_nothing(app, file):
    before = file.stat()
    app._repr_mimebundle_()
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert app.widget._screen["boundaries"] == []


def test_a_click_marks_a_boundary_saves_it_and_fits_it_as_headless(app, file, simulated_map):
    screen = say(app, "add_at_distance", distance=18.0)
    (row,) = screen["rows"]
    assert row[screen["columns"][0]["key"]] == "1"
    table = fit_boundaries(simulated_map, Picks.load(file), d_bulk=D_BULK)
    assert app.session.rows["1"]["permeability"] == float(table["permeability"][0])
    assert app.picks == Picks.load(file)


def test_a_drag_that_is_not_released_changes_nothing(app, file):
    before = file.read_text(), app.picks, dict(app.widget._screen)
    say(app, "cut_end", final=False, x=10.0, y=30.0)
    assert (file.read_text(), app.picks, dict(app.widget._screen)) == before


def test_what_is_refused_is_said(app):
    screen = say(app, "cut_numbers", x0=1, y0=1, x1=1, y1=1, width=5)
    assert screen["level"] == "error"
    assert "cut 'cut 1' must have a length" in screen["message"]
    assert screen["cut"]["end"] == [7.5, 39]


def test_running_the_cell_again_closes_the_app_before(simulated_map, file):
    before = set(ipywidget._instances)
    apps = [pick_boundaries(simulated_map, file, d_bulk=D_BULK) for _ in range(3)]
    assert [a.widget.closed for a in apps] == [True, True, False]
    other = pick_boundaries(simulated_map, d_bulk=D_BULK)  # no file: another app
    again = pick_boundaries(simulated_map, d_bulk=D_BULK)
    assert (other.widget.closed, apps[2].widget.closed) == (True, False)
    apps[2].close()
    again.close()
    assert set(ipywidget._instances) == before
    assert apps[0].picks == apps[2].picks  # picks stay readable


def test_it_shows_itself_with_words_and_a_picture_for_those_who_cannot(app):
    data, _ = app._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == app.widget.model_id
    assert data["text/plain"].startswith("<BoundaryApp: 0 boundaries picked, shown in a notebook>")
    assert "pip install anywidget" in data["text/plain"]
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert plt.get_fignums() == []  # what stays open, a notebook draws again


def test_the_picture_is_fitted_as_the_session_is(simulated_map, file, monkeypatch):
    seen = {}

    def figure_of_cut(*_args, **options):
        seen.update(options)
        return plt.figure()

    monkeypatch.setattr("lliso.figures.figure_of_cut", figure_of_cut)
    app = pick_boundaries(simulated_map, file, d_bulk=D_BULK, resolution="2500 nm")
    app._repr_mimebundle_()
    app.close()
    assert seen == {"resolution": 2.5, "stages": {}, "joint": None, "path": False}


def test_a_closed_app_says_so(app):
    app.close()
    assert app._repr_mimebundle_() == (
        {"text/plain": "<BoundaryApp: 0 boundaries picked, closed>"},
        {},
    )


def test_without_anywidget_the_cure_is_said(simulated_map, monkeypatch):
    monkeypatch.delitem(sys.modules, "lliso.apps.view", raising=False)
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(ImportError, match=r"needs anywidget; install it with: pip install 'lliso"):
        pick_boundaries(simulated_map, d_bulk=D_BULK)


def test_no_other_room_loads_widgets():
    code = (
        "import sys, lliso.sessions.boundaries.session, lliso.apps.boundaries, lliso.plot;"
        "print([m for m in ('ipywidgets', 'anywidget') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"

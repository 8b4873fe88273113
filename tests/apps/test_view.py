"""The view through its own messages: a made-up session, no kernel, no browser."""

import asyncio
import base64
import json
import logging
import re
import threading
from importlib.resources import files

import numpy as np
import pytest
from ipywidgets.widgets import widget as ipywidget

pytest.importorskip("anywidget")

from lliso.apps.view import CURE, LOADER, SCRIPTS, CanvasView, close_view
from lliso.sessions.files import Download
from lliso.sessions.parts import Picture, packed


class FakeSession:
    """Counts gestures; refuses some; never computes."""

    def __init__(self):
        self.n = 0
        self.seen = []
        self.threads = []
        self.closed = 0
        pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)
        self.picture = Picture(pixels, (0, 3, np.float64(0.0), 2), 0.1, 0.9)

    def layout(self):
        return {"title": "made up", "panels": []}

    def images(self):
        return {"fraction": self.picture}

    def code(self):
        return "import lliso"

    def export(self, kind, width, height):
        if kind == "csv":
            raise ValueError("this app has no table to export")
        return Download(f"a.{kind}", "image/png", f"{width} x {height}".encode())

    def screen(self):
        return {"sequence": self.n, "message": "ready", "level": "info", "seen": len(self.seen)}

    def gesture(self, kind, final, **args):
        self.threads.append(threading.get_ident())
        if kind == "cut_width" and args["width"] < 1:
            raise ValueError("cut 'a' must be at least one pixel wide, got 0.5 um")
        if kind == "undo":
            raise KeyError("a mistake of ours")
        if kind == "remove":
            raise OSError("disk full")
        self.seen.append((kind, final, args))
        if final:
            self.n += 1
        return {**self.screen(), "message": kind, "preview": not final}

    def close(self):
        self.closed += 1


@pytest.fixture
def failed(caplog):
    """Fail a test in which a callback failed, unless it takes the records away itself."""
    with caplog.at_level(logging.INFO, logger="lliso.apps"):
        yield caplog
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR] == []


@pytest.fixture
def view(failed):
    view = CanvasView(FakeSession())
    view.sent = []
    view.send = lambda content, buffers=None: view.sent.append(
        (content, dict(view._screen), buffers)
    )
    yield view
    view.close()


def say(view, kind, final, n=1, **args):
    """What arrives when the browser sends a gesture."""
    message = {"type": "gesture", "view": "v", "n": n, "kind": kind, "final": final, "args": args}
    content = json.loads(json.dumps(message))
    view._handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})


def test_an_image_is_sent_once_as_bytes(view):
    image = view._images["fraction"]
    assert bytes(image["pixels"]["array"]) == bytes(range(6))
    assert (image["nx"], image["ny"], image["x1"], image["pixels"]["type"]) == (3, 2, 3.0, "u1")
    json.dumps({k: v for k, v in image.items() if k != "pixels"})  # numbers of numpy would not go
    before = view._images
    say(view, "cut_end", True)
    assert view._images is before
    view.session.picture = Picture(np.zeros((2, 2)), (0, 1, 0, 1))
    say(view, "cut_end", True)
    assert view._images["fraction"]["pixels"]["type"] == "f4"


@pytest.mark.parametrize("pixels", [np.zeros((2, 3), complex), np.zeros(6, np.uint8)])
def test_an_image_of_another_kind_is_refused(pixels):
    with pytest.raises(ValueError, match=r"must be numbers of shape \(y, x\), got"):
        Picture(pixels, (0, 1, 0, 1))


def test_arrays_travel_as_bytes():
    screen = {"a": [1, None], "b": [{"c": np.array([1.5, np.nan])}], "d": np.arange(2, dtype="i4")}
    buffers = []
    message = packed(screen, buffers)
    assert message["a"] == [1, None]
    assert message["b"] == [{"c": {"array": 0, "type": "f4"}}]
    assert np.frombuffer(buffers[0], np.float32)[0] == 1.5
    assert message["d"] == {"array": 1, "type": "i4"}
    assert bytes(packed(screen)["d"]["array"]) == np.arange(2, dtype="i4").tobytes()


def ask(view, what, **args):
    message = {"type": "ask", "view": "v", "n": 3, "what": what, "args": args, "final": False}
    view._handle_msg({"content": {"data": {"method": "custom", "content": message}}, "buffers": []})
    return view.sent[-1]


def test_code_and_files_are_handed_over_and_change_nothing(view):
    before = dict(view._screen)
    assert ask(view, "code")[0]["reply"] == {"text": "import lliso"}
    answer, state, buffers = ask(view, "export", kind="png", width=10, height=20)
    assert answer["reply"] == {"name": "a.png", "mime": "image/png"}
    assert buffers == [b"10 x 20"]
    answer, state, buffers = ask(view, "export", kind="csv", width=10, height=20)
    assert (answer["error"], buffers) == ("this app has no table to export", [])
    assert state == before


def test_a_mistake_of_ours_in_a_file_is_said_logged_and_kept(view, failed):
    assert "TypeError" in ask(view, "export", nonsense=1)[0]["error"]
    assert len(view.failures) == 1
    failed.clear()  # this one was meant


def test_progress_is_said_while_something_takes_long(view):
    view.session.progress(0.5, "halfway")
    assert view.sent[-1][0] == {"type": "progress", "share": 0.5, "text": "halfway"}
    view.close()
    view.session.progress(1.0, "nobody listens")
    assert len(view.sent) == 1


def test_motion_is_answered_with_its_own_screen_and_leaves_the_state_alone(view):
    before = dict(view._screen)
    say(view, "cut_end", False, n=7, x=1.0, y=2.0)
    ((answer, _, _),) = view.sent
    assert (answer["type"], answer["view"], answer["n"]) == ("answer", "v", 7)
    assert answer["screen"]["preview"] is True
    assert 0 < answer["spent"] < 1000
    assert view._screen == before
    assert view.session.seen == [("cut_end", False, {"x": 1.0, "y": 2.0})]


def test_a_release_changes_the_state_before_it_is_acknowledged(view):
    say(view, "cut_end", True, n=8, x=1.0, y=2.0)
    ((answer, state_then, _),) = view.sent
    assert answer == {"type": "answer", "view": "v", "n": 8}
    assert state_then["sequence"] == 1
    assert state_then["preview"] is False


def test_other_messages_are_not_gestures(view):
    view._handle_msg({"content": {"data": {"method": "custom", "content": {"type": "hello"}}}})
    assert view.sent == []


@pytest.mark.parametrize(
    ("kind", "args", "text"),
    [
        ("cut_width", {"width": 0.5}, "cut 'a' must be at least one pixel wide, got 0.5 um"),
        ("remove", {"name": "1"}, "disk full"),
    ],
)
@pytest.mark.parametrize("final", [True, False])
def test_a_refused_gesture_is_said_in_the_status_line_and_acknowledged(
    view, failed, kind, args, text, final
):
    say(view, kind, final, **args)
    ((answer, state, _),) = view.sent
    screen = state if final else {**state, **answer["screen"]}  # as the browser does
    assert (screen["message"], screen["level"]) == (text, "error")
    assert screen["sequence"] == 0
    assert view.failures == []
    (record,) = failed.records
    assert record.levelno == logging.INFO  # no text on stderr of the notebook


def test_our_own_mistake_is_said_logged_and_kept(view, failed):
    say(view, "undo", True)
    assert view._screen["level"] == "error"
    assert "undo failed, which should not happen: KeyError" in view._screen["message"]
    assert view.failures == [view._screen["message"]]
    (record,) = failed.records
    assert record.exc_info[0] is KeyError
    failed.clear()  # this one was meant


def test_after_an_error_the_next_gesture_works(view):
    say(view, "cut_width", True, n=1, width=0.5)
    say(view, "cut_width", True, n=2, width=5)
    assert [answer["n"] for answer, _, _ in view.sent] == [1, 2]
    assert (view._screen["level"], view._screen["sequence"]) == ("info", 1)


def test_gestures_run_on_the_home_thread_in_their_order():
    async def main():
        view = CanvasView(FakeSession())
        try:
            thread = threading.Thread(
                target=lambda: [say(view, "cut_body", True, n=i, dx=i, dy=0) for i in range(20)]
            )
            thread.start()
            thread.join(10)
            assert view.session.seen == []  # this coroutine is the running cell
            await asyncio.sleep(0)
            return view.session.seen, view.session.threads
        finally:
            view.close()

    seen, threads = asyncio.run(main())
    assert [args["dx"] for _, _, args in seen] == list(range(20))
    assert set(threads) == {threading.get_ident()}


def test_a_gesture_that_comes_after_closing_is_dropped():
    view = CanvasView(FakeSession())
    view.close()
    view._answer({"view": "v", "n": 1, "kind": "cut_body", "final": True, "args": {}})
    assert view.session.seen == []


def test_refresh_shows_what_a_cell_changed(view):
    view.session.n = 41
    view.refresh()
    assert view._screen["sequence"] == 41


def test_closing_closes_layout_and_session_once():
    view = CanvasView(FakeSession())
    layout = view.layout
    view.close()
    view.close()
    assert (view.closed, layout.comm, view.session.closed) == (True, None, 1)


def test_opening_the_same_again_closes_the_view_before():
    first = CanvasView(FakeSession(), key="picks:a")
    other = CanvasView(FakeSession(), key="picks:b")
    second = CanvasView(FakeSession(), key="picks:a")
    try:
        assert (first.closed, other.closed, second.closed) == (True, False, False)
        assert first.session.closed == 1
    finally:
        other.close()
        second.close()
    close_view("picks:a")  # closed already: nothing happens


def test_nothing_is_left_alive_by_thirty_runs_of_a_cell():
    before = set(ipywidget._instances)
    for _ in range(30):
        view = CanvasView(FakeSession(), key="picks:again")
    assert len(set(ipywidget._instances) - before) == 2  # the view and its layout
    view.close()
    assert set(ipywidget._instances) == before


def test_a_notebook_that_cannot_show_it_gets_words_and_a_picture(view):
    data, _ = view._repr_mimebundle_()
    assert data["text/plain"] == CURE
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "image/png" not in data
    view.fallback_png = lambda: b"\x89PNG"
    data, _ = view._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]) == b"\x89PNG"


def test_a_picture_that_cannot_be_drawn_does_not_hide_the_view(view, failed):
    view.fallback_png = lambda: 1 / 0
    data, _ = view._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "image/png" not in data
    (record,) = failed.records
    assert record.exc_info[0] is ZeroDivisionError
    failed.clear()  # this one was meant


def test_a_closed_view_shows_nothing():
    view = CanvasView(FakeSession())
    view.close()
    assert view._repr_mimebundle_ is None


def test_the_scripts_travel_as_text():
    for script in (CanvasView._esm, CanvasView._source.default_value):
        assert isinstance(script, str)
        assert "export default" in script
        assert "://" not in script  # nothing from a network
        assert not re.search(r"^import\b|from \"", script, re.MULTILINE)


def test_every_run_of_a_cell_brings_the_small_module_only():
    """A page keeps every module that it ever loaded: the large one is loaded once."""
    assert len(CanvasView._esm) < 2500
    assert len(CanvasView._source.default_value) > 20 * len(CanvasView._esm)


def test_the_parts_of_the_script_are_one_module_in_an_order_that_works():
    parts = [(files("lliso.apps") / name).read_text("utf-8") for name in SCRIPTS]
    source = CanvasView._source.default_value
    assert source == "\n".join(parts)
    beside = {p.name for p in files("lliso.apps").iterdir() if p.name.endswith(".js")}
    assert {*SCRIPTS, LOADER} == beside
    classes = re.findall(r"^class (\w+)(?: extends (\w+))? \{", source, re.MULTILINE)
    for i, (_, base) in enumerate(classes):
        assert base in ["", *(name for name, _ in classes[:i])]
    assert source.count("export default") == 1

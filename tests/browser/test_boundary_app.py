"""The boundary app in JupyterLab, with the real mouse and keyboard, against the headless result."""

import json
import math

import pytest

MAP = """
import numpy as np
from lliso import Picks, fit_boundaries, make_map
from lliso.apps.boundaries import pick_boundaries

rng = np.random.default_rng(20240205)
x, y = (np.arange(512) + 0.5) * 500 / 512, (np.arange(206) + 0.5) * 200 / 206
X, Y = np.meshgrid(x, y)
truth = 0.9 - 0.0012 * Y
for edge, step in ((45.0, 0.10), (95.0, 0.06), (150.0, 0.05)):
    truth = truth - step * (Y > edge + 6 * np.sin(X / 60))
total = rng.poisson(60, truth.shape)
light = rng.binomial(total, truth)
ds = make_map([light, total - light], ["6Li", "7Li"], x=x, y=y,
              attrs={"stage": "59 h", "instrument": "test pattern", "simulated": 1})
"""
OPEN = 'app = pick_boundaries(ds, PATH, d_bulk="2.6e-8 cm^2/s")\napp'
HEADLESS = "fit_boundaries(ds, Picks.load(PATH), d_bulk='2.6e-8 cm^2/s')"
PIXEL = 0.98  # µm


@pytest.fixture
def app(lab, server, request):
    """The app open on a map without picks, in a notebook; its picks file as `nb.file`."""
    name = request.node.name.split("[")[0]
    file = server.folder / f"{name}.json"

    def start(*more, **window):
        file.unlink(missing_ok=True)
        cells = (f"PATH = {str(file)!r}\n{MAP}", OPEN, *more)
        nb = lab(server.notebook(f"{name}.ipynb", *cells), **window).run_all()
        nb.file = file
        assert nb.errors() == []
        return nb.view()

    return start


def saved(nb):
    return json.loads(nb.file.read_text())


def same_as_headless(nb):
    """The table on the screen, the session and `fit_boundaries` on the saved file agree."""
    nb.do(f"from lliso.fit.words import READABLE, readable_row; table = {HEADLESS}")
    names = nb.ask("[str(n) for n in table.boundary.values]")
    keys = nb.ask("[k for k, _, _ in READABLE]")
    screen = nb.rows()[1:]
    assert sorted(row[0] for row in screen) == sorted(names)
    headless = nb.ask("[[float(v) for v in table[p]] for p in ('permeability', 'position')]")
    live = nb.ask(
        "[[float(app.session.rows[str(n)][p]) for n in table.boundary.values]"
        " for p in ('permeability', 'position')]"
    )
    for mine, theirs in zip(sum(live, []), sum(headless, []), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-9, nan_ok=True)
    for row in screen:
        text = nb.ask(f"readable_row({row[0]!r}, app.session.rows[{row[0]!r}])")
        assert row == [" ".join(text[k].split()) for k in keys]


@pytest.mark.parametrize("ratio", [1, 1.25, 2])
def test_it_fits_the_window_and_is_sharp(app, ratio):
    nb = app(size=(1280, 800), ratio=ratio)
    nb.click(nb.on_profile(36))
    nb.click(nb.on_profile(86))
    fits(nb, (1280, 800), ratio)
    for size in [(1920, 1080), (820, 900)] if ratio == 1 else []:
        before = nb.page.evaluate("() => document.querySelector('.lliso-app').view.panels.map.w")
        nb.page.set_viewport_size({"width": size[0], "height": size[1]})
        nb.wait(
            """(() => { const { view } = document.querySelector('.lliso-app');
              const { w, element: box } = view.panels.map;
              return w !== arg && w === box.clientWidth; })()""",
            before,
        )
        fits(nb.view(), size, ratio)


def fits(nb, size, ratio):
    """Nothing overlaps, is cut off or blurred at this size of the window."""
    shape = nb.page.evaluate(
        """() => { const root = document.querySelector('.lliso-app');
          const box = (q) => root.querySelector(q).getBoundingClientRect();
          const shown = [...root.querySelectorAll('canvas')].filter((c) => c.offsetParent);
          const canvases = shown.map((c) => {
            const r = c.getBoundingClientRect();
            return [c.width / r.width, c.height / r.height]; });
          const inner = (e) => [e.scrollWidth, e.clientWidth];
          const heads = [...root.querySelectorAll('.lliso-head')].map(inner);
          const parts = ['.lliso-bar', '.lliso-status', '.lliso-stage',
            '.lliso-numbers:not(.lliso-above)', '.lliso-scroll'].map(
            (q) => [box(q).top, box(q).bottom]);
          return { wide: inner(root), canvases, heads, parts,
            table: inner(root.querySelector('.lliso-scroll')),
            fits: box('.lliso-stage').bottom - box('.lliso-bar').top, window: innerHeight }; }"""
    )
    assert shape["wide"][0] <= shape["wide"][1]
    for across, down in shape["canvases"]:
        assert across == pytest.approx(ratio, rel=0.003)
        assert down == pytest.approx(ratio, rel=0.003)
    for inner, outer in shape["heads"]:
        assert inner <= outer
    for (_, bottom), (top, _) in zip(shape["parts"], shape["parts"][1:], strict=False):
        assert top >= bottom - 0.5  # nothing overlaps
    if size[0] >= 1280:
        assert shape["table"][0] <= shape["table"][1]  # nothing to scroll for
        assert shape["fits"] < shape["window"] - 112  # map and profile are seen together
    nb.page.mouse.move(5, 5)
    nb.shoot(f"boundary_app_{size[0]}x{size[1]}_{ratio}")


def test_the_cut_is_dragged_with_the_mouse(app):
    nb = app()
    start, end = nb.shown()["cut"]["start"], nb.shown()["cut"]["end"]
    nb.drag(nb.on_map(*end), nb.on_map(310, 170))
    cut = nb.committed()["cut"]
    assert math.dist(cut["end"], (310, 170)) < PIXEL
    assert cut["start"] == pytest.approx(start)
    nb.drag(nb.on_map(*start), nb.on_map(200, 20))
    assert math.dist(nb.committed()["cut"]["start"], (200, 20)) < PIXEL
    nb.drag(nb.on_map(255, 95), nb.on_map(235, 105))  # the middle of the line
    cut = nb.committed()["cut"]
    assert math.dist(cut["start"], (180, 30)) < 2 * PIXEL
    assert math.dist(cut["end"], (290, 180)) < 2 * PIXEL
    handle = nb.width_handle()
    middle = [(a + b) / 2 for a, b in zip(cut["start"], cut["end"], strict=True)]
    wide = [m + 2 * (h - m) for m, h in zip(middle, handle, strict=True)]
    nb.drag(nb.on_map(*handle), nb.on_map(*wide))
    assert nb.committed()["cut"]["width"] == pytest.approx(2 * cut["width"], abs=2 * PIXEL)
    (on_disk,) = saved(nb)["cuts"]
    assert on_disk["width"] == pytest.approx(nb.committed()["cut"]["width"], abs=1e-4)
    for _ in range(4):
        nb.press("Control+z")
    assert nb.committed()["cut"]["end"] == end
    assert saved(nb)["cuts"][0]["end"] == pytest.approx(end)
    nb.press("Control+Shift+Z", "Control+y")
    assert math.dist(nb.committed()["cut"]["start"], (200, 20)) < PIXEL


def in_words(screen):
    """Return the rows of the table as they are to be read."""
    keys = [c["key"] for c in screen["columns"]]
    return [[" ".join(row[k].split()) for k in keys] for row in screen["rows"]]


def test_boundaries_are_marked_moved_and_removed_with_the_mouse(app):
    nb = app()
    nb.click(nb.on_profile(36))  # where the profile steps down, 10 µm from the map's edge
    (first,) = nb.committed()["boundaries"]
    same_as_headless(nb)
    cut = nb.committed()["cut"]
    nb.click(nb.on_map(cut["start"][0] + 15, 96))  # beside the band: the nearest edge it crosses
    assert len(nb.committed()["boundaries"]) == 2
    second = nb.committed()["selected"]
    assert second not in (None, first["name"])
    same_as_headless(nb)
    assert len(saved(nb)["boundaries"]) == 2
    nb.shoot("boundary_app_two_boundaries")
    at = next(b for b in nb.committed()["boundaries"] if b["name"] == second)
    nb.page.mouse.move(*nb.on_profile(at["window"][1]))
    nb.page.mouse.down()
    nb.page.mouse.move(*nb.on_profile(at["window"][1] - 8), steps=4)
    nb.settled()  # still held: the words of the table follow
    assert nb.rows()[1:] == in_words(nb.shown()) != in_words(nb.committed())
    nb.page.mouse.move(*nb.on_profile(at["window"][1] - 12), steps=4)
    nb.page.mouse.up()
    nb.settled()
    assert nb.rows()[1:] == in_words(nb.committed())
    moved = next(b for b in nb.committed()["boundaries"] if b["name"] == second)
    assert moved["window"][1] == pytest.approx(at["window"][1] - 12, abs=0.5)
    assert moved["position"] == at["position"]
    same_as_headless(nb)
    nb.drag(nb.on_profile(at["position"]), nb.on_profile(at["position"] + 9))
    far = next(b for b in nb.committed()["boundaries"] if b["name"] == second)
    assert far["position"] == pytest.approx(at["position"] + 9, abs=3.5)  # a step near is taken
    same_as_headless(nb)
    nb.click(nb.on_profile(first["position"]))
    assert nb.committed()["selected"] == first["name"]
    nb.page.mouse.dblclick(*nb.on_profile(first["position"]))  # clicks only select
    nb.settled()
    assert len(nb.committed()["boundaries"]) == 2
    assert nb.committed()["selected"] == first["name"]
    nb.click(nb.on_profile(far["position"]), button="right")
    assert [b["name"] for b in nb.committed()["boundaries"]] == [first["name"]]
    assert nb.page.locator(".lm-Menu").count() == 0  # JupyterLab's own menu stays away
    same_as_headless(nb)


def test_every_way_to_remove_a_boundary_says_so_and_can_be_undone(app):
    nb = app()
    nb.click(nb.on_profile(36))
    (made,) = nb.committed()["boundaries"]
    name, at = made["name"], made["position"]
    on_map = nb.on_map(nb.committed()["cut"]["start"][0] + 3, made["y"])
    ways = {
        "Ctrl+click": lambda: nb.click(nb.on_profile(at), key="Control"),
        "Alt+click on the map": lambda: nb.click(on_map, key="Alt"),
        "right click": lambda: nb.click(on_map, button="right"),
        "× on the profile": lambda: nb.click(nb.cross("profile")),
        "× on the map": lambda: nb.click(nb.cross("map")),
        "Delete": lambda: nb.press("Delete"),
        "Backspace": lambda: nb.press("Backspace"),
        "button": lambda: (nb.page.get_by_role("button", name="Remove boundary").click(),
                           nb.settled()),
    }  # fmt: skip
    for way, remove in ways.items():
        if nb.committed()["selected"] is None:
            nb.click(nb.on_profile(at))
        assert nb.committed()["selected"] == name, way
        remove()
        assert nb.committed()["boundaries"] == [], way
        assert nb.status() == f"boundary {name} removed; Ctrl+Z brings it back", way
        nb.focus()
        nb.press("Control+z")
        assert len(nb.committed()["boundaries"]) == 1, way
    nb.click(nb.on_profile(at + 30), key="Control")  # who means to remove never marks
    assert nb.status() == "There is nothing under the pointer to remove."
    assert len(nb.committed()["boundaries"]) == 1


def test_clicks_that_do_not_mean_the_cut_and_marks_without_a_step_are_said(app):
    nb = app()
    cut = nb.committed()["cut"]
    nb.click(nb.on_map(cut["start"][0] + 60, 96))
    assert "click within the band of the cut, or draw the cut there" in nb.status()
    nb.click(nb.on_map(cut["start"][0] + 12, 3))
    assert "past A: drag A there first" in nb.status()
    assert nb.committed()["boundaries"] == []
    assert not nb.file.exists()
    nb.click(nb.on_profile(36))
    nb.click(nb.on_profile(60))  # 20 µm or more from any edge
    assert len(nb.committed()["boundaries"]) == 2
    assert nb.status().startswith("no significant step here (")
    assert "the window of 1 was shortened" in nb.status()
    assert nb.page.locator(".lliso-app [role=status]").get_attribute("data-level") == "warning"
    nb.shoot("boundary_app_no_step")


def test_cuts_are_added_named_shown_and_removed(app):
    nb = app()
    nb.click(nb.on_profile(36))
    first = nb.committed()["cut"]
    nb.focus()
    nb.press("c")
    second = nb.committed()["cut"]
    assert second["name"] == "cut 2"
    assert [o["name"] for o in nb.committed()["others"]] == ["cut 1"]
    assert len(saved(nb)["cuts"]) == 2
    nb.drag(nb.on_map(second["start"][0], 100), nb.on_map(second["start"][0] + 40, 100))
    nb.press("F2")
    nb.page.keyboard.type("east")
    nb.press("Enter")
    assert nb.committed()["cut"]["name"] == "east"
    assert nb.page.get_by_label("line cut", exact=True).input_value() == "east"
    nb.page.get_by_role("button", name="New cut").click()
    nb.settled()
    nb.page.mouse.move(*nb.on_map(first["start"][0], 120))
    nb.wait("document.querySelector('.lliso-app').view.hover?.kind === 'other_cut'")
    nb.shoot("boundary_app_three_cuts")
    nb.click(nb.on_map(first["start"][0], 120))  # on the line of the first: shows it, marks nothing
    assert nb.committed()["cut"] == first
    assert len(nb.committed()["boundaries"]) == 1
    name = nb.page.get_by_label("name of the cut")
    name.fill("east")
    name.press("Enter")
    nb.settled()
    assert "must be its own, got 'east'" in nb.status()
    assert nb.page.locator(".lliso-wrong").inner_text() == nb.status()
    nb.focus()
    assert name.input_value() == "cut 1"
    nb.page.get_by_role("button", name="Remove cut").click()
    nb.settled()
    assert nb.status() == "cut 1 removed, with boundary 1; Ctrl+Z brings it back"
    assert [c["name"] for c in saved(nb)["cuts"]] == nb.committed()["cuts"] == ["cut 2", "east"]
    nb.focus()
    nb.press("Control+z")
    assert nb.committed()["cut"] == first
    same_as_headless(nb)
    for _ in range(2):
        nb.page.get_by_role("button", name="Remove cut").click()
        nb.settled()
    assert nb.page.get_by_role("button", name="Remove cut").is_disabled()  # the last one stays


def test_a_kernel_killed_in_the_middle_of_a_drag_loses_nothing_that_was_picked(app):
    nb = app()
    nb.click(nb.on_profile(36))
    nb.click(nb.on_profile(86))
    before, text = nb.committed(), nb.file.read_text()
    nb.page.mouse.move(*nb.on_map(*before["cut"]["end"]))
    nb.page.mouse.down()
    nb.page.mouse.move(*nb.on_map(300, 170), steps=10)
    nb.js(
        """panel.sessionContext.session.kernel.requestExecute({ code: arg });""",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    )
    nb.page.mouse.move(*nb.on_map(320, 160), steps=10)
    nb.page.mouse.up()
    nb.wait("/kernel/.test(document.querySelector('.lliso-app [role=status]').innerText)")
    assert nb.file.read_text() == text
    assert [p.name for p in nb.file.parent.glob(f"*{nb.file.name}*")] == [nb.file.name]
    nb.wait("document.querySelector('.jp-Dialog')", None)  # "Kernel Restarting"
    nb.page.locator(".jp-Dialog button.jp-mod-accept").click()
    nb.idle()
    nb.run_all().view()
    assert nb.committed()["cut"] == before["cut"]
    assert nb.committed()["boundaries"] == before["boundaries"]
    assert nb.file.read_text() == text
    assert nb.errors() == []


def test_the_keyboard_reaches_everything(app):
    nb = app()
    nb.focus()
    cells = nb.cells()
    nb.press("n")
    (made,) = nb.committed()["boundaries"]
    nb.press("Escape")
    assert nb.committed()["selected"] is None
    width = nb.committed()["cut"]["width"]
    nb.press("+")
    assert nb.committed()["cut"]["width"] > width
    nb.press("-")
    assert nb.committed()["cut"]["width"] == pytest.approx(width, abs=1e-3)
    start = nb.committed()["cut"]["start"]
    nb.press("Shift+ArrowRight")
    assert nb.committed()["cut"]["start"][0] > start[0] + 5
    nb.press("Control+z", "]")
    assert nb.committed()["selected"] == made["name"]
    (before,) = nb.committed()["boundaries"]
    nb.press("Alt+ArrowRight", "Alt+Shift+ArrowLeft")
    (after,) = nb.committed()["boundaries"]
    assert after["window"][0] > before["window"][0]
    assert after["window"][1] < before["window"][1]
    nb.press("Shift+ArrowRight")
    (moved,) = nb.committed()["boundaries"]
    assert moved["position"] > before["position"] + 5
    nb.press("?")
    assert nb.page.locator(".lliso-help").is_visible()
    nb.shoot("boundary_app_help")
    nb.press("Escape", "Delete")
    assert nb.committed()["boundaries"] == []
    assert nb.cells() == cells


def test_the_notebook_does_not_act_on_keys_meant_for_the_app(app):
    nb = app("1 + 1")
    nb.click(nb.on_profile(36))
    places = [".lliso-app tbody button", ".lliso-bar button:not(:disabled)"]
    places += [".lliso-numbers:not(.lliso-above) input", ".lliso-stage"]
    # JupyterLab acts on keys a little later, and in their order: a key of its own comes last,
    # and keys that would undo each other (insert, delete) are tried apart.
    for keys in (["b", "a", "m", "y", "ArrowDown", "j"], ["d", "d", "x", "ArrowUp", "k", "Delete"]):
        cells = nb.cells()
        for place in places:
            nb.page.locator(place).first.focus()
            for key in keys:
                nb.page.keyboard.press(key)
        nb.settled()
        assert nb.js("return panel.content.activeCellIndex;") == 1
        nb.js("panel.content.node.focus();")
        nb.page.keyboard.press("b")
        nb.wait("panel.content.widgets.length !== arg", cells)
        nb.page.keyboard.press("a")
        nb.wait("panel.content.widgets.length !== arg", cells + 1)
        assert nb.cells() == cells + 2
        assert nb.js("return panel.content.widgets.every((c) => c.model.type === 'code');")
        nb.js("panel.content.activeCellIndex = 1;")
    nb.js("await panel.context.save(); panel.context.model.dirty = true;")
    nb.focus()
    nb.page.keyboard.press("Control+s")  # but saving stays the notebook's
    nb.wait("panel.context.model.dirty === false")


@pytest.mark.parametrize("subshell", [False, True])
def test_callbacks_run_on_the_home_thread(app, subshell):
    nb = app()
    nb.do(
        "import threading; home = threading.main_thread().ident; arrived, worked = [], [];"
        "app.widget.on_msg(lambda *a: arrived.append(threading.get_ident()));"
        "gesture = app.session.gesture;"
        "app.session.gesture = lambda *a, **k: (worked.append(threading.get_ident()),"
        " gesture(*a, **k))[1]"
    )
    nb.do("import ipykernel; subshells = ipykernel.version_info >= (7,)")
    if subshell:
        if not nb.ask("subshells"):
            pytest.skip("this ipykernel has no subshells")
        # ipykernel 7.3 hands every widget message to a subshell, 7.4 some: here all of them.
        nb.do("app.widget.comm._reply_subshell_for = lambda data, default: default")
    nb.drag(nb.on_map(*nb.shown()["cut"]["end"]), nb.on_map(300, 170))
    nb.click(nb.on_profile(30))
    assert nb.ask("len(worked)") >= 3
    assert nb.ask("set(worked) == {home}")
    if subshell:
        assert nb.ask("home not in arrived and len(arrived) == len(worked)")
    assert len(saved(nb)["boundaries"]) == 1


def test_gestures_made_while_a_cell_runs_are_done_afterwards(app):
    nb = app()
    nb.do("app.widget.comm._reply_subshell_for = lambda data, default: default")
    nb.js(
        """window.running = panel.sessionContext.session.kernel.requestExecute({ code: arg });""",
        "import time; end = time.monotonic() + 2.5\nwhile time.monotonic() < end: pass\nseen = 1\n"
        "at_the_end = app.session.cut.end",
    )
    nb.wait("panel.sessionContext.session.kernel.status === 'busy'")
    start = nb.on_map(*nb.shown()["cut"]["end"])
    nb.page.mouse.move(*start)
    nb.page.mouse.down()
    nb.page.mouse.move(*nb.on_map(300, 170), steps=5)
    nb.page.mouse.up()
    nb.wait("/kernel/.test(document.querySelector('.lliso-app [role=status]').innerText)")
    nb.settled()
    nb.js("await window.running.done;")
    assert nb.ask("list(at_the_end)") == [250, 190]  # nothing moved under the running cell
    assert math.dist(nb.committed()["cut"]["end"], (300, 170)) < PIXEL
    assert "kernel" not in nb.status()


def test_the_release_counts_not_the_last_motion_and_motion_after_it_is_ignored(app):
    nb = app()
    end = nb.on_map(*nb.shown()["cut"]["end"])
    nb.page.mouse.move(*end)
    nb.page.mouse.down()
    nb.page.mouse.move(*nb.on_map(290, 150), steps=3)
    late = """([kind, p]) => document.querySelector('canvas.lliso-map:last-child').dispatchEvent(
      new PointerEvent(kind, { clientX: p[0], clientY: p[1], pointerId: 1, bubbles: true }))"""
    nb.page.evaluate(late, ["pointerup", nb.on_map(320, 165)])
    nb.page.evaluate(late, ["pointermove", nb.on_map(290, 150)])
    nb.page.mouse.up()
    nb.settled()
    assert math.dist(nb.committed()["cut"]["end"], (320, 165)) < PIXEL
    assert nb.shown() == nb.committed()


def test_escape_cancels_a_drag_and_fast_motion_is_dropped(app):
    nb = app()
    before = nb.committed()["cut"]
    nb.page.mouse.move(*nb.on_map(*before["end"]))
    nb.page.mouse.down()
    nb.page.mouse.move(*nb.on_map(300, 150), steps=5)
    nb.page.keyboard.press("Escape")
    nb.page.mouse.up()
    nb.settled()
    assert nb.shown()["cut"] == nb.committed()["cut"] == before
    assert nb.ask("app.session.screen()['can_undo']") is False
    assert not nb.file.exists()
    nb.page.evaluate(
        """() => { const v = document.querySelector('.lliso-app').view, send = v.model.send;
          const f = (window.flight = { early: 0, sent: 0, last: 0, most: 0 });
          v.model.send = function (m, ...rest) {
            if (v.flight.length > 2) f.early++;
            f.sent++; f.last = m.n; f.most = Math.max(f.most, v.flight.length);
            return send.call(this, m, ...rest); }; }"""
    )
    for i in range(3):
        cut = nb.shown()["cut"]
        nb.drag(nb.on_map(*cut["end"]), nb.on_map(300 + 20 * i, 170 - 20 * (i % 2)), steps=60)
    flight = nb.page.evaluate("() => window.flight")
    made = nb.page.evaluate("() => document.querySelector('.lliso-app').view.n")
    assert flight["early"] == 0
    assert made > 150
    assert flight["sent"] <= made
    assert math.dist(nb.committed()["cut"]["end"], (340, 170)) < PIXEL
    nb.page.evaluate(  # as from a kernel that takes long over each motion
        """() => { window.flight.most = 0;
          const { view } = document.querySelector('.lliso-app');
          Object.defineProperty(view, 'spent', { get: () => 100, set() {} }); }"""
    )
    nb.drag(nb.on_map(340, 170), nb.on_map(300, 150), steps=60)
    assert nb.page.evaluate("() => window.flight.most") == 1


def test_a_typed_number_is_not_written_over_and_is_compared_with_tolerance(app):
    nb = app()
    width = nb.page.get_by_label("width of the cut in µm")
    width.fill("31")
    width.press("Enter")
    width.press("End")
    width.press("4")  # typing goes on while the kernel answers
    nb.settled()
    assert width.input_value() == "314"
    assert nb.committed()["cut"]["width"] == 31
    nb.focus()  # leaving the box commits what is in it
    nb.settled()
    assert nb.committed()["cut"]["width"] == 314
    nb.press("Control+z")
    assert width.input_value() == "31"
    # what the kernel rounds otherwise is no change
    nb.do("app.session.gesture('cut_width', True, width=9.999999999999998); app.widget.refresh()")
    nb.wait("document.querySelector('.lliso-app').view.committed.cut.width < 10.01")
    assert width.input_value() == "10"
    sent = nb.page.locator(".lliso-app").get_attribute("data-sent")
    width.fill("10.0")
    width.press("Enter")
    nb.focus()
    nb.settled()
    assert nb.page.locator(".lliso-app").get_attribute("data-sent") == sent


def test_what_cannot_be_done_is_said_in_the_status_line(app):
    nb = app()
    nb.click(nb.on_profile(36))
    before = nb.committed()["cut"]
    width = nb.page.get_by_label("width of the cut in µm")
    width.fill("0.2")
    width.press("Enter")
    nb.settled()
    assert "must be at least one pixel wide, got" in nb.status()
    assert nb.committed()["cut"] == before
    assert nb.page.locator(".lliso-wrong").inner_text() == nb.status()  # beside the box, too
    assert nb.errors() == []  # nothing on stderr of the notebook
    nb.shoot("boundary_app_error")
    nb.focus()
    nb.press("Control+z")
    assert nb.committed()["boundaries"] == []
    assert "pixel" not in nb.status()
    assert nb.page.locator(".lliso-wrong").inner_text() == ""


def test_kernel_restart_and_run_all_restores_the_screen(app):
    nb = app()
    nb.click(nb.on_profile(36))
    nb.click(nb.on_profile(86))
    nb.drag(nb.on_map(*nb.shown()["cut"]["end"]), nb.on_map(262, 185))
    nb.press("Escape")  # the selection is not part of the picks
    volatile = ("sequence", "message", "level", "saved", "can_undo", "can_redo")

    def lasting():
        return {k: v for k, v in nb.committed().items() if k not in volatile}, nb.rows()

    before, text = lasting(), nb.file.read_text()
    nb.restart_and_run_all()
    nb.wait("!document.querySelector('.lliso-app')?.view?.inflight")
    nb.view()
    assert lasting() == before
    assert nb.file.read_text() == text
    assert nb.errors() == []
    same_as_headless(nb)


def test_running_the_cell_again_leaves_one_view_and_no_widget_behind(app):
    nb = app()
    assert not nb.file.exists()  # opening writes nothing
    assert nb.rows()[1][0].startswith("No boundaries marked yet: click the profile or the map")
    nb.do("from ipywidgets.widgets.widget import _instances")
    alive = nb.ask("len(_instances)")
    for _ in range(5):
        nb.run_cell(1)
    nb.view()
    assert nb.ask("len(_instances)") == alive
    assert nb.page.locator(".lliso-app").count() == 1
    nb.click(nb.on_profile(36))
    assert len(saved(nb)["boundaries"]) == 1
    nb.do("app.close()")
    nb.wait("!document.querySelector('.lliso-app')")
    assert nb.ask("len(_instances)") == alive - 2  # the view and its layout


def test_two_views_of_one_app_show_the_same(app):
    nb = app("app")
    views = nb.page.locator(".lliso-app")
    assert views.count() == 2
    nb.click(nb.on_profile(36))
    both = nb.page.evaluate(
        """() => [...document.querySelectorAll('.lliso-app')].map(
          (e) => JSON.stringify(e.view.screen))"""
    )
    assert both[0] == both[1]
    assert len(json.loads(both[1])["boundaries"]) == 1


def test_dark_theme(app):
    nb = app()
    nb.click(nb.on_profile(36))
    nb.click(nb.on_profile(86))
    change = "await window.jupyterapp.commands.execute('apputils:change-theme', {{ theme: '{}' }});"
    nb.js(change.format("JupyterLab Dark"))
    nb.wait("document.body.dataset.jpThemeLight === 'false'")
    nb.wait("document.querySelector('.lliso-app').view.ink.data === '#6cc0f0'")
    nb.wait("!document.querySelector('#jupyterlab-splash')")
    nb.page.mouse.move(5, 5)
    nb.shoot("boundary_app_dark")
    # The server keeps the theme for whoever comes next.
    nb.js(change.format("JupyterLab Light"))
    nb.wait("document.body.dataset.jpThemeLight === 'true'")


def test_proposals_stages_notes_and_files(app, server, tmp_path):
    nb = app(
        'later = make_map([rng.binomial(total, 0.5 * truth + 0.2) for _ in "a"] + [total - light],'
        ' ["6Li", "7Li"], x=x, y=y, attrs={"stage": "16 d", "simulated": 1})\n'
        "app.close()\n"
        'app = pick_boundaries(ds, PATH, d_bulk="2.6e-8 cm^2/s", stages={"16 d": later})\napp'
    )
    # Ghosts: one dropped, one accepted by its line on the profile, the rest by the key.
    box = nb.page.locator("[data-key=width]")
    box.fill("60")
    box.press("Enter")
    nb.settled()
    nb.focus()
    nb.press("p")
    assert nb.committed()["boundaries"] == []
    marks = nb.committed()["panels"]["profile"]["marks"]
    ghosts = {m["name"]: m["at"] for m in marks if m.get("click") == "accept"}
    assert len(ghosts) >= 2
    nb.shoot("boundary_app_ghosts")
    nb.click(nb.on_profile(ghosts["ghost 1"]), button="right")
    assert nb.ask("len(app.session.state.proposed)") == len(ghosts) - 1
    nb.press("p")
    nb.click(nb.on_profile(ghosts["ghost 0"]))
    (first,) = nb.committed()["boundaries"]
    assert first["position"] == pytest.approx(ghosts["ghost 0"], abs=1.0)
    nb.press("a")
    assert len(nb.committed()["boundaries"]) == len(saved(nb)["boundaries"]) == len(ghosts)

    # The note and the window of the selected boundary are typed and reach the file.
    nb.page.locator(".lliso-app tbody button").first.click()
    nb.settled()
    for key, text in (("note", "a twin"), ("low", "12.5")):
        box = nb.page.locator(f"[data-key={key}]")
        box.fill(text)
        box.press("Enter")
        nb.settled()
    kept = next(b for b in saved(nb)["boundaries"] if b["name"] == "1")
    assert (kept["note"], kept["window"][0]) == ("a twin", 12.5)
    assert "D_gb/δ, all stages" in " ".join(nb.rows()[0])
    nb.page.mouse.move(5, 5)
    nb.shoot("boundary_app_stages")
    nb.picture("picker")

    # The table as CSV; the code; another file.
    nb.page.get_by_role("button", name="Export").click()
    nb.page.get_by_label("format").select_option("csv")
    with nb.page.expect_download() as found:
        nb.page.get_by_role("button", name="Download").click()
    found.value.save_as(tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text() == nb.ask("app.session._csv()")
    nb.page.get_by_role("button", name="Code").click()
    nb.wait("document.querySelector('.lliso-code').textContent.includes('fit_boundaries')")
    nb.page.get_by_role("button", name="File").click()
    nb.page.get_by_label("path of the file").fill(str(server.folder / "none.json"))
    nb.page.get_by_role("button", name="Open", exact=True).click()
    nb.settled()
    assert "there is no picks file" in nb.status()
    nb.focus()
    nb.press("e", "s")
    assert len(nb.committed()["cuts"]) == 2


@pytest.mark.parametrize("ratio", [1, 1.25, 2])
def test_a_path_is_marked_on_its_joined_profile_and_squared_to_known_grains(app, ratio):
    nb = app(
        "import xarray as xr\n"
        "label = np.searchsorted([45.0, 95.0, 150.0], Y - 6 * np.sin(X / 60))\n"
        "grains = xr.Dataset({'label': (('y', 'x'), label)}, {'x': x, 'y': y})\n"
        'app.close()\napp = pick_boundaries(ds, PATH, d_bulk="2.6e-8 cm^2/s", grains=grains)\napp',
        ratio=ratio,
    )
    nb.drag(nb.on_map(*nb.shown()["cut"]["end"]), nb.on_map(250, 120))
    nb.drag(nb.on_map(*nb.shown()["cut"]["start"]), nb.on_map(300, 60))
    nb.focus()
    nb.press("s")  # nothing is marked: across the nearest edge of the grains
    assert "crosses the nearest edge of a grain at a right angle" in nb.status()
    cut = nb.committed()["cut"]
    across = [b - a for a, b in zip(cut["start"], cut["end"], strict=True)]
    slope = math.cos(sum(p[0] for p in (cut["start"], cut["end"])) / 2 / 60) / 10
    assert math.atan2(across[0], across[1]) == pytest.approx(-math.atan(slope), abs=0.1)

    nb.press("e")
    nb.drag(nb.on_map(*nb.shown()["cut"]["end"]), nb.on_map(330, 180))
    panel = nb.committed()["panels"]["path"]
    assert panel["title"] == "Path: cut 1 → cut 2"
    at, height = panel["x"]["range"][1] * 0.45, 0.7
    for m in panel["marks"]:
        if m["type"] == "line":
            height = m["y"][-1]

    def click(x):  # below a map this wide the panel is not all in the window
        nb.page.locator("canvas.lliso-path").last.scroll_into_view_if_needed()
        nb.click(nb.on_panel("path", x, height))

    click(at)
    click(panel["x"]["range"][1] * 0.8)
    cuts = [b["cut"] for b in saved(nb)["boundaries"]]
    assert len(cuts) == 2
    (mark,) = [m for m in nb.committed()["panels"]["path"]["marks"] if m.get("name") == "1"]
    nb.press("Escape")
    click(mark["at"])
    assert nb.committed()["selected"] == "1"
    assert nb.committed()["cut"]["name"] == cuts[0]
    nb.page.mouse.move(5, 5)
    nb.shoot(f"boundary_app_path_{ratio}")

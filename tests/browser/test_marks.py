"""Marks that any app can use, in a small app of this test's own."""

import pytest

APP = """
from dataclasses import dataclass, replace
import numpy as np
from lliso.apps.opening import App, open_view
from lliso.sessions.parts import (
    across,
    arrows,
    axis,
    band,
    bars,
    control,
    curve_panel,
    image_panel,
    layer,
    line,
    lines,
    Picture,
    points,
    table,
    words,
)
from lliso.sessions.session import Session


@dataclass(frozen=True)
class State:
    places: tuple = ((20.0, 30.0), (60.0, 50.0))
    off: tuple = ()
    at: float = 2.0
    swipe: float = 50.0
    brushed: tuple = (0.0, 0.0)
    selected: str | None = None


Y, X = np.mgrid[0:80, 0:100]
FIRST = Picture(np.hypot(X - 50, Y - 40).astype(np.float32), (0, 100, 0, 80), 0, 60)
SECOND = Picture(X.astype(np.float32), (0, 100, 0, 80), 0, 100)
AT = np.linspace(1, 5, 9)


class Demo(Session[State]):
    def layout(self):
        return {
            "title": "Marks",
            "hint": "Nothing but marks.",
            "code": True,
            "exports": ["png"],
            "panels": [
                image_panel("map", "Image"),
                curve_panel("plot", "Data", x=axis("x"), y=axis("D (cm²/s)", log=True)),
                curve_panel("counts", "Histogram", under="plot", tall=130),
            ],
            "controls": [control("at", "x₀", "number", "move_line", arg="x", digits=2)],
            "help": [["drag", "move"]],
            "empty": "none",
        }

    def images(self):
        return {"a": FIRST, "b": SECOND}

    def _shown(self, s):
        names = [str(i) for i in range(len(s.places))]
        data = 1e-12 * 10 ** (-AT)
        return {
            "panels": {
                "map": {
                    "layers": [layer("a"), layer("b", cmap="gray", swipe="swipe")],
                    "click": "add",
                    "marks": [
                        points(
                            *zip(*s.places),
                            "fit",
                            names=names,
                            labels=names,
                            ring=True,
                            size=5,
                            click="select",
                            move="place",
                            remove="take",
                            name="places",
                        ),
                        arrows(
                            [p for p in s.places],
                            [(p[0] + 8, p[1] + 5) for p in s.places],
                            "#fff",
                        ),
                        lines(
                            [[(5, 5), (40, 8)], [(60, 10), (90, 30)]],
                            names=["north", "south"],
                            colours=["#ffab40", "#56b4e9"],
                            click="select",
                            name="edges",
                        ),
                        across("x", s.swipe, "#fff", name="swipe", move="swipe", cased=True),
                    ],
                },
                "plot": {
                    "brush": "range",
                    "marks": [
                        band(AT, data / 2, data * 2, "c0"),
                        line(AT, data, "c0", legend="model"),
                        points(
                            AT,
                            data,
                            "c1",
                            low=data * 0.7,
                            high=data * 1.4,
                            names=[f"p{i}" for i in range(9)],
                            off=[f"p{i}" in s.off for i in range(9)],
                            click="toggle",
                            name="data",
                            legend="data",
                        ),
                        across("x", s.at, "fit", name="x0", move="move_line", label="x₀"),
                        words("a word", corner=True),
                    ],
                },
                "counts": {
                    "marks": [bars(np.arange(6), [1, 4, 2, 5, 3], click="bar", name="bars")]
                },
            },
            "controls": {"at": s.at},
            **table(
                [("name", "name", ""), ("size", "size", "µm")],
                [
                    {"name": n, "size": f"{p[0]:.1f}", "sort": {"size": p[0]}}
                    for n, p in zip(names, s.places)
                ],
            ),
        }

    def _do_add(self, final, x, y):
        return replace(self._state, places=(*self._state.places, (x, y)))

    def _do_place(self, final, name, x, y):
        p = list(self._state.places)
        p[int(name)] = (x, y)
        return replace(self._state, places=tuple(p), selected=name)

    def _do_take(self, final, name):
        p = list(self._state.places)
        del p[int(name)]
        return replace(self._state, places=tuple(p), selected=None)

    def _do_toggle(self, final, name):
        return replace(self._state, off=tuple({*self._state.off} ^ {name}))

    def _do_move_line(self, final, x, name=None):
        if not 1 <= x <= 5:
            raise ValueError(f"x0 must be between 1 and 5, got {x:g}")
        return replace(self._state, at=x)

    def _do_swipe(self, final, name, x):
        return replace(self._state, swipe=x)

    def _do_range(self, final, x0, x1, y0, y1):
        return replace(self._state, brushed=(x0, x1))

    def _do_bar(self, final, name):
        self._say(f"bar {name}")
        return replace(self._state, selected=None)

    def _do_slow(self, final):
        import time

        self.progress(0.3, "a third is done")
        time.sleep(1.2)
        return replace(self._state, at=3.0)

    def code(self):
        return f"x0 = {self._state.at}"


session, widget = open_view("demo", lambda: Demo(State()), None, headless="nothing")
app = App(session, widget)
app
"""


@pytest.fixture
def demo(lab, server):
    nb = lab(server.notebook("marks.ipynb", APP)).run_all()
    assert nb.errors() == []
    return nb.view()


def test_marks_are_clicked_dragged_removed_and_nudged(demo):
    nb = demo
    state = "app.session.state"
    nb.shoot("marks")
    # points on an image
    nb.drag(nb.on_panel("map", 20, 30), nb.on_panel("map", 35, 42))
    assert nb.ask(f"{state}.places[0]") == pytest.approx([35, 42], abs=0.4)
    nb.click(nb.on_panel("map", 80, 70))
    assert nb.ask(f"{state}.places[2]") == pytest.approx([80, 70], abs=0.4)
    nb.click(nb.on_panel("map", 80, 70), button="right")
    assert nb.ask(f"len({state}.places)") == 2
    nb.click(nb.on_panel("map", 60, 50))
    assert nb.committed()["selected"] == "1"
    before = nb.ask(f"{state}.places[1]")
    nb.press("ArrowRight", "Shift+ArrowUp")
    after = nb.ask(f"{state}.places[1]")
    assert after[0] > before[0]
    assert after[1] - before[1] == pytest.approx(10 * (after[0] - before[0]), rel=0.01)
    nb.press("Delete")
    assert nb.ask(f"len({state}.places)") == 1
    nb.press("Control+z")
    nb.click(nb.on_panel("map", 75, 20))  # one of many lines
    assert nb.committed()["selected"] == "south"
    nb.drag(nb.on_panel("map", 50, 75), nb.on_panel("map", 30, 75))
    assert nb.ask(f"{state}.swipe") == pytest.approx(30, abs=0.4)

    # curves
    nb.click(nb.on_panel("plot", 3.0, 1e-15))
    assert nb.ask(f"{state}.off") == ["p4"]
    top = nb.on_panel("plot", 2.0, 1e-13)
    nb.drag(top, nb.on_panel("plot", 4.25, 1e-13))
    assert nb.ask(f"{state}.at") == pytest.approx(4.25, abs=0.03)
    nb.drag(nb.on_panel("plot", 1.2, 3e-17), nb.on_panel("plot", 2.9, 1e-16))
    assert nb.ask(f"{state}.brushed") == pytest.approx([1.2, 2.9], abs=0.05)
    nb.click(nb.on_panel("counts", 3.5, 1.0))
    assert nb.status() == "bar 3"

    # a refusal is said beside its box and the handle goes back
    box = nb.page.locator("[data-key=at]")
    box.fill("9")
    box.press("Enter")
    nb.settled()
    assert nb.status() == "x0 must be between 1 and 5, got 9"
    assert nb.page.locator(".lliso-wrong").inner_text() == nb.status()


def test_the_table_sorts_copies_and_long_work_shows(demo):
    nb = demo
    heads = nb.page.locator(".lliso-app thead button")
    heads.nth(1).click()
    assert [r[0] for r in nb.rows()[1:]] == ["0", "1"]
    heads.nth(1).click()
    assert [r[0] for r in nb.rows()[1:]] == ["1", "0"]
    assert nb.page.locator("th[aria-sort=descending]").count() == 1
    nb.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    nb.page.get_by_role("button", name="Copy table").click()
    nb.wait("document.querySelector('.lliso-tools button').textContent === 'Copied'")
    text = nb.page.evaluate("() => navigator.clipboard.readText()")
    assert text == "name\tsize (µm)\n1\t60.0\n0\t20.0"
    nb.page.evaluate("() => document.querySelector('.lliso-app').view.send('slow', true)")
    nb.page.locator(".lliso-progress[data-known]").wait_for(state="visible")
    assert nb.status() == "a third is done"
    nb.settled()
    assert nb.page.locator(".lliso-progress").is_hidden()

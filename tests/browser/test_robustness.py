"""What a person decided is never lost, in any app: kernels that die, cells run again, files."""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import pytest

CASES = Path(__file__).resolve().parents[2] / "benchmarks" / "app_cases.py"
#: what a screen says that is not about what was decided
VOLATILE = {"sequence", "message", "level", "saved", "can_undo", "can_redo", "selected", "path"}


def cells(name, file):
    """The cells that open an app, as the measurements use them."""
    spec = importlib.util.spec_from_file_location("app_cases", CASES)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.cells(name, file)


@dataclass
class Case:
    """An app with something decided on it by mouse, and a drag that is not finished."""

    app: str
    decide: object
    grip: object


def mark(nb):
    for at in (36, 100):
        nb.click(nb.on_profile(at))
    nb.press("Escape")


def cut_end(nb):
    end = nb.shown()["cut"]["end"]
    return nb.on_map(*end), nb.on_map(end[0] + 40, end[1] - 30)


def landmarks(nb):
    for on_map, on_image in (((60, 330), (70, 330)), ((300, 450), (380, 440))):
        nb.click(nb.on_panel("map", *on_map))
        nb.click(nb.on_panel("image", *on_image))
    nb.focus()
    nb.press("Escape")


def landmark(nb):
    return nb.on_panel("map", 60, 330), nb.on_panel("map", 90, 360)


def hold(nb):
    x0 = nb.ask("float(app.table['value'].sel(param='x0'))")
    nb.drag(nb.on_panel("profile", x0, 0.7), nb.on_panel("profile", 500.0, 0.7))


def level(nb):
    x0 = nb.ask("float(app.table['value'].sel(param='x0'))")
    return nb.on_panel("profile", x0, 0.7), nb.on_panel("profile", x0 + 900, 0.7)


def leave_out(nb):
    nb.click(nb.on_panel("plot", *nb.ask("[1e3 / 330.0, float(table['bulk'][1])]")))


def range_end(nb):
    at = nb.page.evaluate(
        "() => document.querySelector('.lliso-app').view.panels.plot.interactors[0].value('high')"
    )
    d = nb.ask("float(table['bulk'][0])")
    return nb.on_panel("plot", at, d), nb.on_panel("plot", 1e3 / 420.0, d)


def merge(nb):
    nb.focus()
    nb.press("m")
    for at in nb.ask("places(app)"):
        nb.click(nb.on_panel("map", *at))
    nb.press("v")


def across_the_map(nb):
    return nb.on_panel("map", 30, 30), nb.on_panel("map", 80, 60)


PLACES = """
import numpy as np
from scipy.ndimage import distance_transform_edt
def places(app):
    label, t = app.session.network.label.values, app.table
    found = []
    i = int(np.argmax(t.length.values))
    for side in ("grain1", "grain2"):
        inside = np.pad(label == int(t[side].values[i]), 1)
        far = distance_transform_edt(inside)[1:-1, 1:-1].argmax()
        row, column = np.unravel_index(far, label.shape)
        found.append([float(ds.x[column]), float(ds.y[row])])
    return found
"""

CASES_OF = [
    Case("boundaries", mark, cut_end),
    Case("registration", landmarks, landmark),
    Case("network", merge, across_the_map),
    Case("profiles", hold, level),
    Case("Arrhenius", leave_out, range_end),
]
KILL = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


def lasting(nb):
    """What is on the screen, as far as it is about what was decided."""
    shown = {k: v for k, v in nb.committed().items() if k not in VOLATILE}
    return json.loads(json.dumps(shown))


def closed_and_open_again(nb, before, text, file):
    nb.do("app.close()")
    nb.wait("!document.querySelector('.lliso-app')")
    nb.run_cell(1)
    assert lasting(nb.view()) == before
    for index in (0, 1, 0, 1):  # both cells again, and again
        nb.run_cell(index)
    assert lasting(nb.view()) == before
    assert nb.page.locator(".lliso-app").count() == 1
    assert file.read_text() == text


@pytest.mark.parametrize("case", CASES_OF, ids=lambda c: c.app)
def test_nothing_that_was_decided_is_lost(lab, server, case):
    file = server.folder / f"lasting_{case.app}.json"
    file.unlink(missing_ok=True)
    setup, opened = cells(case.app, str(file))
    setup += PLACES if case.app == "network" else ""
    name = server.notebook(f"lasting_{case.app}.ipynb", setup, opened)
    nb = lab(name).run_all().view()
    assert nb.errors() == []
    assert not file.exists()  # opening writes nothing
    case.decide(nb)
    text = file.read_text()
    assert json.loads(text)
    closed_and_open_again(nb, lasting(nb), text, file)
    before = lasting(nb)

    # The kernel dies while the mouse holds something.
    start, end = case.grip(nb)
    middle = [(a + b) / 2 for a, b in zip(start, end, strict=True)]
    nb.page.mouse.move(*start)
    nb.page.mouse.down()
    nb.page.mouse.move(*middle, steps=6)
    nb.js("panel.sessionContext.session.kernel.requestExecute({ code: arg });", KILL)
    nb.page.mouse.move(*end, steps=6)
    nb.page.mouse.up()
    nb.wait("document.querySelector('.jp-Dialog')")  # "Kernel Restarting"
    assert file.read_text() == text
    assert [p.name for p in file.parent.glob(f"*{file.name}*")] == [file.name]  # none half written
    nb.page.locator(".jp-Dialog button.jp-mod-accept").click()
    nb.idle()
    nb.run_all().view()
    assert nb.errors() == []
    assert lasting(nb) == before

    # Saved, and opened again while the kernel lives: the same, without running anything.
    nb.js("await panel.context.save();")
    saved = json.loads((server.folder / name).read_text())
    assert "widgets" not in saved["metadata"]
    assert lasting(nb.open(name).view()) == before
    assert file.read_text() == text

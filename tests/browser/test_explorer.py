"""The map explorer in JupyterLab, read back from the page and compared with the maps."""

import json

import pytest

CELLS = (
    """
import numpy as np
from lliso import explore_map, isotope_fraction, make_map

rng = np.random.default_rng(20240205)
x, y = (np.arange(300) + 0.5), (np.arange(206) + 0.5)
X, Y = np.meshgrid(x, y)

def stage(name, steps, gradient):
    truth = 0.9 - gradient * Y
    for edge, step in zip((45.0, 95.0, 150.0), steps):
        truth = truth - step * (Y > edge + 6 * np.sin(X / 40))
    total = rng.poisson(90, truth.shape)
    light = rng.binomial(total, truth)
    return make_map([light, total - light], ["6Li", "7Li"], x=x, y=y,
                    attrs={"stage": name, "instrument": "test pattern", "simulated": 1})

maps = {"59 h": stage("59 h", (0.10, 0.06, 0.05), 0.0012),
        "16 d": stage("16 d", (0.05, 0.03, 0.02), 0.0008)}
fractions = {name: isotope_fraction(ds) for name, ds in maps.items()}

def reading(name, row, column):
    found = fractions[name]
    c, std = (float(v[row, column]) for v in (found.fraction, found.fraction_std))
    light, heavy = maps[name].counts.values[:, row, column]
    return f"C {c:.3f} ± {std:.3f}   6Li {light}   7Li {heavy}"

image = 200 + 8 * rng.standard_normal((120, 170))
for edge in (45.0, 95.0, 150.0):
    v = (edge + 6 * np.sin((np.arange(170) * 1.8) / 40)) / 1.75
    image -= 110 * np.exp(-0.5 * ((np.arange(120)[:, None] - v) / 1.2) ** 2)
""",
    "app = explore_map(maps)\napp",
)
OVERLAID = "app = explore_map(maps, overlay=(image, [[1.8, 0, 0], [0, 1.75, 0]]))\napp"


@pytest.fixture
def explorer(lab, server, request):
    def start(*cells, **window):
        name = request.node.name.split("[")[0]
        nb = lab(server.notebook(f"{name}.ipynb", *(cells or CELLS)), **window).run_all()
        assert nb.errors() == []
        return nb.view()

    return start


def choose(nb, key, value):
    nb.page.locator(f"[data-key={key}]").select_option(value)
    nb.settled()


def layers(nb, panel):
    return nb.page.evaluate(
        "(p) => document.querySelector('.lliso-app').view.panels[p].state.layers", panel
    )


def readout(nb, panel):
    return nb.page.evaluate(
        "(p) => document.querySelector('.lliso-app').view.panels[p].readout.textContent", panel
    )


def test_maps_are_read_zoomed_and_coloured(explorer):
    nb = explorer()
    first, last = "map:59 h", "map:16 d"
    assert nb.page.locator(".lliso-panel:visible").count() == 3  # two maps and the histogram
    low = nb.ask("app.session.limits[0]")
    assert [layers(nb, p)[0]["low"] for p in (first, last)] == pytest.approx([low, low])

    # The read-out under the pointer, and on the map beside, is that of the data.
    nb.page.mouse.move(*nb.on_panel(first, 100.5, 60.5))
    words = [nb.ask(f"reading({stage!r}, 60, 100)") for stage in ("59 h", "16 d")]
    assert readout(nb, first) == f"x 100.5 µm   y 60.5 µm   {words[0]}"
    assert readout(nb, last) == f"x 100.5 µm   y 60.5 µm   {words[1]}"

    # One zoom for both; the wheel only after a click, so that the page can be scrolled.
    range_of = "(p) => document.querySelector('.lliso-app').view.panels[p].range"
    nb.page.mouse.click(*nb.on_panel(first, 100, 100))
    nb.page.mouse.wheel(0, -400)
    nb.wait("document.querySelector('.lliso-app').dataset.zoom")
    zooms = [nb.page.evaluate(range_of, p) for p in (first, last)]
    assert zooms[0] == zooms[1]
    assert zooms[0]["x1"] - zooms[0]["x0"] < 200
    nb.wait("document.querySelector('.lliso-app').view.committed.can_undo === false")
    nb.drag(nb.on_panel(first, 100, 100), nb.on_panel(first, 90, 95))
    moved = nb.page.evaluate(range_of, last)
    assert moved["x0"] == pytest.approx(zooms[0]["x0"] + 10, abs=0.6)
    nb.shoot("explorer_zoomed")
    nb.press("Home")
    assert nb.page.evaluate(range_of, last)["x1"] == 300

    # What is smoothed is marked; the colours follow the handle in the histogram.
    choose(nb, "quantity", "total")
    assert nb.page.locator(".lliso-title").inner_text().startswith("Counts of ⁶Li and ⁷Li")
    choose(nb, "quantity", "fraction")
    box = nb.page.locator("[data-key=smooth]")
    box.fill("2")
    box.press("Enter")
    nb.settled()
    assert nb.committed()["panels"][last]["mark"] == "smoothed, σ 2 µm: for the eye only"
    top = nb.committed()["panels"]["contrast"]["y"]["range"][1]
    high = nb.ask("app.session.limits[1]")
    nb.drag(nb.on_panel("contrast", high, 0.5 * top), nb.on_panel("contrast", 0.8, 0.5 * top))
    assert nb.ask("app.session.limits[1]") == pytest.approx(0.8, abs=0.01)
    nb.focus()
    nb.press("p", "Control+z", "Control+z", "Control+z")
    assert nb.ask("app.session.state.smooth") == 0

    # The change between the stages, by its key.
    nb.press("d")
    assert nb.page.locator(".lliso-panel:visible").count() == 4
    shown = nb.page.evaluate(
        """() => { const i = document.querySelector('.lliso-app').view.images.change;
          return i.pixels[60 * i.nx + 100]; }"""
    )
    change = "float((fractions['16 d'].fraction - fractions['59 h'].fraction)[60, 100])"
    assert shown == pytest.approx(nb.ask(change), abs=1e-6)
    assert nb.cells() == 2  # JupyterLab's own keys did nothing
    nb.shoot("explorer_change")
    nb.picture("explorer")


def test_the_figure_and_the_code_are_handed_over(explorer, tmp_path):
    nb = explorer(CELLS[0], OVERLAID)
    assert [s["image"] for s in layers(nb, "map:59 h")] == ["59 h|shown", "overlay"]
    slider = nb.page.locator("[data-key=opacity]")
    slider.focus()
    slider.press("ArrowLeft")
    nb.settled()
    assert nb.ask("app.session.state.opacity") == pytest.approx(0.45)
    nb.page.mouse.move(5, 5)
    nb.shoot("explorer_overlay")
    nb.page.get_by_role("button", name="Export").click()
    starts = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}
    for kind, start in starts.items():
        nb.page.get_by_label("format").select_option(kind)
        with nb.page.expect_download() as found:
            nb.page.get_by_role("button", name="Download").click()
        file = tmp_path / found.value.suggested_filename
        found.value.save_as(file)
        assert file.suffix == f".{kind}"
        assert file.read_bytes().startswith(start)
    nb.page.get_by_role("button", name="Code").click()
    nb.wait("document.querySelector('.lliso-code').textContent.includes('figure_of_images')")
    code = nb.page.locator(".lliso-code").inner_text()
    assert code.strip() == nb.ask("app.session.code()").strip()
    assert json.dumps(code)

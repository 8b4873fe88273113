"""The registration app in JupyterLab: real clicks on map and image, compared with headless."""

from pathlib import Path

import pytest

from lliso import Picks, fit_registration

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "samples"

SETUP = """
from pathlib import Path
import numpy as np
import xarray as xr
import lliso

SAMPLES = Path({samples!r})
ds = lliso.read_map(SAMPLES / "simulated_llto_59h.nc")
with xr.open_dataset(SAMPLES / "simulated_llto_micrograph.nc") as file:
    image, facts = file["image"].load(), dict(file.attrs)
if {small}:
    ds = ds.isel(x=slice(0, 140), y=slice(0, 120))
    image = image.sel(u=slice(0, 140), v=slice(270, 400))
TURN = np.array([[facts["to_map_xx"], facts["to_map_xy"]],
                 [facts["to_map_yx"], facts["to_map_yy"]]])
SHIFT = np.array([facts["to_map_x0"], facts["to_map_y0"]])
"""
OPEN = "app = lliso.register_image(ds, image, 'picks.json')\napp"
#: in the image, µm; and how far off a person clicks on the map
PLACES = ((60.0, 330.0), (430.0, 320.0), (400.0, 450.0), (80.0, 460.0), (250.0, 400.0))
MISS = ((0.8, -0.5), (-0.6, 0.7), (0.5, 0.9), (-0.9, -0.4), (0.3, 0.2))


@pytest.fixture
def registration(lab, server, request):
    def start(small=False):
        name = request.node.name
        setup = SETUP.format(samples=str(SAMPLES), small=small)
        (server.folder / "picks.json").unlink(missing_ok=True)
        nb = lab(server.notebook(f"{name}.ipynb", setup, OPEN)).run_all()
        assert nb.errors() == []
        return nb.view()

    return start


def pixel(nb, panel):
    """What a click may be off, µm: the mouse stands on whole pixels."""
    scale = "(p) => document.querySelector('.lliso-app').view.panels[p].scale"
    return 1 / nb.page.evaluate(scale, panel)


def map_place(nb, at, miss=(0.0, 0.0)):
    x, y = nb.ask(f"(TURN @ {list(at)} + SHIFT).tolist()")
    return x + miss[0], y + miss[1]


def set_pair(nb, at, miss=(0.0, 0.0)):
    nb.click(nb.on_panel("map", *map_place(nb, at, miss)))
    nb.click(nb.on_panel("image", *at))


def test_landmarks_are_clicked_dragged_and_removed(registration, server):
    nb = registration()
    file = server.folder / "picks.json"
    assert not file.exists()
    assert nb.page.locator("[data-key=overlay]").is_disabled()
    nb.focus()
    nb.press("Escape")
    nb.click(nb.on_panel("map", *map_place(nb, PLACES[0], MISS[0])))
    assert nb.status().startswith("Now click the same point in the image")
    nb.click(nb.on_panel("image", *PLACES[0]))
    for at, miss in zip(PLACES[1:], MISS[1:], strict=True):
        set_pair(nb, at, miss)
    marks = Picks.load(file).landmarks
    assert [m.name for m in marks] == list("12345")
    for mark, at in zip(marks, PLACES, strict=True):
        assert mark.image_point == pytest.approx(at, abs=pixel(nb, "image"))

    # The same numbers headless, in the table and in the line above the image.
    found = fit_registration(marks)
    assert [row[5] for row in nb.rows()[1:]] == [f"{(r @ r) ** 0.5:.2f}" for r in found.residuals]
    assert [row[6] for row in nb.rows()[1:]] == [f"{d:.2f}" for d in found.left_out]
    result = nb.page.locator(".lliso-result").nth(1).inner_text()
    assert result.startswith(f"scale {found.scale:.4f} · turned {found.rotation:.2f}°")
    truth = nb.ask(
        "(float(np.sqrt(np.linalg.det(TURN))), "
        "float(np.degrees(np.arctan2(TURN[1, 0], TURN[0, 0]))))"
    )
    assert (found.scale, found.rotation) == pytest.approx(truth, abs=0.3)
    nb.focus()
    nb.press("Escape")
    nb.picture("registration")

    # A wrong landmark: dragged away, named by the others, brought back by undo.
    before = file.read_text()
    x, y = marks[1].map_point
    nb.drag(nb.on_panel("map", x, y), nb.on_panel("map", x - 30, y + 20))
    moved = Picks.load(file).landmarks[1].map_point
    assert moved == pytest.approx((x - 30, y + 20), abs=pixel(nb, "map"))
    assert "the others contradict landmark 2" in nb.status()
    assert nb.rows()[2][7] == "the others contradict it"
    nb.press("Control+z")
    assert file.read_text() == before

    # Keys: nudge the point in the image, remove, and bring back; the notebook does not hear them.
    nb.click(nb.on_panel("image", *marks[2].image_point))
    nb.press("ArrowRight")
    nudged = Picks.load(file).landmarks[2].image_point
    assert nudged[0] > marks[2].image_point[0]
    nb.press("i")
    nb.press("ArrowUp")
    assert Picks.load(file).landmarks[2].map_point[1] > marks[2].map_point[1]
    nb.press("Delete")
    assert [m.name for m in Picks.load(file).landmarks] == list("1245")
    nb.press("Control+z", "Control+z", "Control+z")
    assert file.read_text() == before
    nb.click(nb.on_panel("map", *marks[4].map_point), button="right")
    assert len(Picks.load(file).landmarks) == 4
    assert nb.cells() == 2


def test_the_overlay_swipes_and_a_restart_shows_the_same(registration, server):
    nb = registration(small=True)
    for at in ((20.0, 300.0), (120.0, 310.0), (70.0, 380.0)):
        set_pair(nb, at, (1.2, -0.8))
    swipe = "app.session.swipe_at"
    at = nb.ask(swipe)
    middle = 350.0
    nb.drag(nb.on_panel("map", at, middle), nb.on_panel("map", at - 30, middle))
    assert nb.ask(swipe) == pytest.approx(at - 30, abs=pixel(nb, "map"))
    colour = """([x, y]) => { const p = document.querySelector('.lliso-app').view.panels.map;
      const k = p.canvas[0].width / p.w, d = p.canvas[0].getContext('2d')
        .getImageData(Math.round(p.X(x) * k), Math.round(p.Y(y) * k), 1, 1).data;
      return [...d]; }"""
    inside, outside = ((at - 45, 370.0), (at + 20, 370.0))
    shown = [nb.page.evaluate(colour, p) for p in (inside, outside)]
    nb.focus()
    nb.press("o")  # without the image
    bare = [nb.page.evaluate(colour, p) for p in (inside, outside)]
    assert shown[0] != bare[0]
    assert shown[1] == bare[1]
    nb.press("o")

    nb.page.get_by_role("button", name="Refine on edges").click()
    nb.settled()
    headless = (
        "lliso.refine_on_edges(lliso.fit_registration("
        "lliso.Picks.load('picks.json').landmarks), image, ds)"
    )
    shift = nb.ask(f"list({headless}.registration.shift)")
    assert nb.ask("list(app.registration.shift)") == shift
    assert nb.status().startswith("Moved by (")
    error = "lambda r: float(np.abs(r([[70, 340]]) - TURN @ [70, 340] - SHIFT).max())"
    assert nb.ask(f"({error})(app.registration)") < nb.ask(f"({error})(app.session.fitted)")

    rows = nb.rows()
    nb.restart_and_run_all().view()
    assert nb.errors() == []
    assert nb.rows() == rows
    assert Picks.load(server.folder / "picks.json").landmarks[0].name == "1"

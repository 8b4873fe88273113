"""The first notebook as a new user opens it: run all, then use the app in it."""

import math
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME = "notebooks/explore_grain_boundaries.ipynb"
PICKS = "notebooks/picks/explore_grain_boundaries.json"


@pytest.fixture
def copy(server):
    """Copies of the notebook, its picks and its samples in the folder that the server shows."""
    for folder in ("notebooks", "data"):
        shutil.rmtree(server.folder / folder, ignore_errors=True)
    (server.folder / "notebooks" / "picks").mkdir(parents=True)
    shutil.copy(ROOT / NAME, server.folder / NAME)
    shutil.copy(ROOT / PICKS, server.folder / PICKS)
    shutil.copytree(ROOT / "data" / "samples", server.folder / "data" / "samples")
    return server.folder / PICKS


@pytest.mark.parametrize("size", [(1280, 800), (1920, 1080)])
def test_all_cells_run_and_the_app_is_drawn(lab, copy, size):
    text = copy.read_text()
    nb = lab(NAME, size=size).run_all()
    assert nb.errors() == []
    assert copy.read_text() == text  # opening writes nothing
    nb.view()
    assert nb.js("return panel.content.activeCell.model.outputs.length;") == 1
    assert len(nb.rows()) - 1 == nb.ask("len(picks.boundaries)")
    box = nb.page.evaluate(
        """() => { const s = document.querySelector('.lliso-scroll');
          return [s.scrollWidth, s.clientWidth]; }"""
    )
    assert box[0] <= box[1]
    nb.shoot(f"explore_app_{size[0]}x{size[1]}")
    nb.page.evaluate(
        "() => document.querySelector('.lliso-numbers').scrollIntoView({block: 'start'})"
    )
    nb.shoot(f"explore_table_{size[0]}x{size[1]}")


def test_the_app_is_used(lab, copy):
    text = copy.read_text()
    nb = lab(NAME).run_all().view()
    before = nb.rows()
    names = [row[0] for row in before[1:]]
    # a click on a row shows its boundary, on its own cut
    nb.page.locator(f".lliso-app tr[data-row='{names[3]}']").click()
    nb.settled()
    assert nb.committed()["selected"] == names[3]
    assert names[3] in [b["name"] for b in nb.committed()["boundaries"]]
    nb.page.evaluate("() => document.querySelector('.lliso-bar').scrollIntoView({block: 'start'})")
    (old,) = [b for b in nb.committed()["boundaries"] if b["name"] == names[3]]
    # the width of its cut is dragged: the row changes and is what a headless fit gives
    handle, cut = nb.width_handle(), nb.committed()["cut"]
    middle = [(a + b) / 2 for a, b in zip(cut["start"], cut["end"], strict=True)]
    narrow = [m + 0.6 * (h - m) for m, h in zip(middle, handle, strict=True)]
    nb.drag(nb.on_map(*handle), nb.on_map(*narrow))
    assert nb.committed()["cut"]["width"] == pytest.approx(0.6 * cut["width"], abs=2)
    assert nb.rows() != before
    same_as_headless(nb)
    # a boundary is marked by a click on the profile, away from the first
    length = math.dist(cut["start"], cut["end"])
    free = max((0.15, 0.85), key=lambda s: abs(s * length - old["position"])) * length
    nb.click(nb.on_profile(free))
    assert len(nb.rows()) == len(before) + 1
    same_as_headless(nb)
    nb.shoot("explore_app_used")
    nb.focus()
    nb.press("Control+z", "Control+z")
    assert nb.rows() == before
    assert nb.page.get_by_role("button", name="Undo").is_disabled()
    assert copy.read_text() == text  # the same picks are the same text


def same_as_headless(nb):
    """Rows on the screen and rows of `fit_boundaries` on the saved file are the same text."""
    nb.do(
        "from lliso.fit.words import READABLE, readable_row;"
        "now = lliso.fit_boundaries(ds, lliso.Picks.load(PICKS), d_bulk=D_BULK);"
        "live = app.session.rows"
    )
    for name in nb.ask("[str(n) for n in now.boundary.values]"):
        both = nb.ask(
            f"[[float(live[{name!r}][p]), float(now[p].sel(boundary={name!r}))]"
            " for p in ('permeability', 'permeability_high', 'd_gb')]"
        )
        for mine, theirs in both:
            assert mine == pytest.approx(theirs, rel=1e-9, nan_ok=True)
    keys = nb.ask("[k for k, _, _ in READABLE]")
    for row in nb.rows()[1:]:
        text = nb.ask(f"readable_row({row[0]!r}, live[{row[0]!r}])")
        assert row == [" ".join(text[k].split()) for k in keys]

"""The notebook that opens first, as a new user walks through it."""

import shutil
from pathlib import Path

import pytest

from lliso.lab import FIRST_NOTEBOOK, lay_out

PICKS = Path("notebooks/picks/start_here.json")


@pytest.fixture
def folder(server):
    """What `lliso lab` lays out, in the folder that the server shows."""
    for name in ("notebooks", "data", "tests"):
        shutil.rmtree(server.folder / name, ignore_errors=True)
    lay_out(server.folder)
    return server.folder


def test_what_the_text_says_can_be_done(lab, folder):
    text = (folder / PICKS).read_text()
    nb = lab(FIRST_NOTEBOOK).run_all()
    assert nb.errors() == []
    assert (folder / PICKS).read_text() == text
    assert (folder / "notebooks/results/start_here.csv").is_file()
    nb.view()
    nb.page.locator(".lliso-app tr[data-row='01']").click()
    nb.settled()
    nb.picture("../first_walk")
    nb.focus()
    nb.press("Escape")
    nb.page.set_viewport_size({"width": 1280, "height": 800})
    nb.view()
    before = nb.committed()["cut"]
    # 1. another line on the map, or a row of the table
    nb.click(nb.on_map(70, 370))
    assert nb.committed()["cut"]["name"] == "cut 03"
    nb.page.locator(".lliso-app tr[data-row='01']").click()
    nb.settled()
    assert nb.committed()["cut"] == before
    # 2. an end of the line
    nb.view()
    end = nb.on_map(*before["end"])
    nb.drag(end, (end[0] + 25, end[1] - 15))
    assert nb.committed()["cut"]["end"] != before["end"]
    # 3. a place on the profile, and 4. back again
    nb.click(nb.on_profile(50))
    assert len(nb.rows()) == 5
    nb.press("Control+z", "Control+z")
    assert nb.committed()["cut"] == before
    assert len(nb.rows()) == 4
    assert (folder / PICKS).read_text() == text

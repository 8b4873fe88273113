"""The profile app in JupyterLab: its gestures on the canvas, held against the fits without it."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CELLS = (
    """
import lliso
from lliso.fit.profile_choices import ProfileChoices, SampleProfiles, fit_chosen

folder = {root!r} + "/data/samples/simulated_fig4a_"
stages = ("exchange", "storage_1", "storage_2")
profiles = {{s.replace("_", " "): lliso.read_profile(folder + s + ".nc") for s in stages}}
facts = dict(exchange="110 h", storage=["14 d", "28 d"], ends=("-1 mm", "9 mm"))

def headless():  # what a cell without the app gets from the file that the app wrote
    sample = SampleProfiles(profiles, "110 h", ("14 d", "28 d"), ("-1 mm", "9 mm"))
    table = fit_chosen(sample, ProfileChoices.load("choices.json"))
    return {{str(p): float(v) for p, v in table["value"].to_series().items()}}

def shown():
    return {{str(p): float(v) for p, v in app.table["value"].to_series().items()}}
""",
    'app = lliso.explore_profiles(profiles, "choices.json", **facts)\napp',
)


@pytest.fixture
def open_app(lab, server):
    def start(name, **window):
        for old in ("choices.json", "other.json"):
            (server.folder / old).unlink(missing_ok=True)
        cells = [c.format(root=str(ROOT)) for c in CELLS]
        nb = lab(server.notebook(f"{name}.ipynb", *cells), **window).run_all()
        assert nb.errors() == []
        return nb.view()

    return start


def choices(server):
    return json.loads((server.folder / "choices.json").read_text())


def value(nb, name):
    return nb.ask(f"shown()[{name!r}]")


def cell(nb, row, column=1):
    return next(r for r in nb.rows() if r[0] == row)[column]


def test_a_level_is_dragged_and_points_are_left_out(open_app, server):
    nb = open_app("profile_gestures")
    assert not (server.folder / "choices.json").exists()  # opening writes nothing
    free = nb.ask("shown()")
    assert free["x0"] == pytest.approx(260, abs=15)  # what was simulated

    # The liquid level is dragged to the nominal one and held there: D becomes too large.
    nb.drag(nb.on_panel("profile", free["x0"], 0.7), nb.on_panel("profile", 0.0, 0.7))
    held = choices(server)["held"]["x0"]
    assert held == pytest.approx(0.0, abs=8)  # a pixel is 7 µm
    assert value(nb, "x0") == held
    assert value(nb, "d_eff[exchange]") > 1.5 * free["d_eff[exchange]"]
    assert nb.ask("shown() == headless()")
    assert nb.page.locator("[data-key=x0_held]").is_checked()
    assert "the curve has another shape" in nb.status()
    nb.picture("profiles_held")

    # The keys nudge it, free it, and go back.
    nb.focus()
    nb.press("ArrowRight")
    assert choices(server)["held"]["x0"] > held
    nb.press("f")
    assert choices(server)["held"] == {}
    assert nb.ask("shown()") == free
    nb.press("Control+z", "Control+z", "Control+z")
    assert choices(server)["held"] == {}

    # A point is clicked away, a range is drawn over others; both are in the file and the fit.
    x = nb.ask("float(profiles['exchange'].distance.values[14])")
    c = nb.ask("float(lliso.isotope_fraction(profiles['exchange']).fraction.values[14])")
    nb.click(nb.on_panel("profile", x, c))
    assert choices(server)["excluded"] == [["exchange", x]]
    assert nb.ask("shown() == headless()")
    assert nb.ask("shown()") != free
    nb.drag(nb.on_panel("profile", 4700, 0.16), nb.on_panel("profile", 6050, 0.02))
    gone = choices(server)["excluded"]
    assert {s for s, _ in gone} == {"exchange", "storage 1", "storage 2"}
    assert len(gone) == 1 + 3 * 11
    assert nb.ask("shown() == headless()")
    nb.page.get_by_role("button", name="All points").click()
    nb.settled()
    assert choices(server)["excluded"] == []
    assert nb.ask("shown()") == free
    nb.picture("profiles")
    assert nb.cells() == 2  # JupyterLab's own keys did nothing


def test_models_change_and_the_code_repeats_them(open_app, server, tmp_path):
    nb = open_app("profile_models")
    assert cell(nb, "⁶Li change, storage 2", 4) == "conserved within its error"
    for model, row in (
        ("exchange", "D_eff"),
        ("storage measured", "D_eff, storage 1"),
        ("storage fitted", "D_eff, exchange"),
    ):
        nb.page.locator("[data-key=model]").select_option(model)
        nb.settled()
        assert choices(server)["model"] == model
        assert nb.ask("shown() == headless()")
        assert cell(nb, row).endswith("·10⁻⁹")
    nb.page.locator("[data-key=stage]").select_option("storage 2")
    nb.settled()
    assert nb.ask("shown() == headless()")
    nb.shoot("profiles_storage")

    # Typed numbers hold, the keyboard alone reaches points, and the file restores the screen.
    nb.page.locator("[data-key=model]").select_option("exchange")
    nb.settled()
    box = nb.page.locator("[data-key=c1_value]")
    box.fill("0.93")
    box.press("Enter")
    nb.settled()
    assert choices(server)["held"] == {"c1": 0.93}
    nb.focus()
    nb.press("Escape", ".", ".", "x")
    assert len(choices(server)["excluded"]) == 1
    before = nb.ask("shown()")
    nb.restart_and_run_all()
    nb.view()
    assert nb.ask("shown()") == before
    assert nb.page.locator("[data-key=c1_held]").is_checked()

    # What the code gives is what is shown; files are handed over.
    nb.page.get_by_role("button", name="Code").click()
    nb.wait("document.querySelector('.lliso-code').textContent.includes('fit_exchange')")
    code = nb.page.locator(".lliso-code").inner_text()
    nb.do("profiles['exchange'].to_netcdf('exchange.nc')")
    nb.do(code)
    assert nb.ask("{str(p): float(v) for p, v in result['value'].to_series().items()}") == before
    nb.page.get_by_role("button", name="Export").click()
    for kind, start in {
        "svg": b"<?xml",
        "pdf": b"%PDF",
        "png": b"\x89PNG",
        "csv": b"param,",
    }.items():
        nb.page.get_by_label("format").select_option(kind)
        with nb.page.expect_download() as found:
            nb.page.get_by_role("button", name="Download").click()
        file = tmp_path / found.value.suggested_filename
        found.value.save_as(file)
        assert file.read_bytes().startswith(start)

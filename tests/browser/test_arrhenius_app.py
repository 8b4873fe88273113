"""The Arrhenius app in JupyterLab: its gestures on the canvas, held against the laws without it."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CELLS = (
    """
import lliso
import numpy as np
import xarray as xr
from lliso.fit.arrhenius_choices import ArrheniusChoices, fit_laws
from lliso.fit.arrhenius_series import read_series

ds = xr.load_dataset({root!r} + "/data/samples/simulated_fig5.nc")
T = ds.temperature.values

def charge(name):
    sigma = ds[f"sigma_{{name}}"].values, ds[f"sigma_{{name}}_std"].values
    return (T, *lliso.nernst_einstein(T, *sigma, density=5.0e21))

series = {{
    "D_eff": (T, ds.d_eff, ds.d_eff_std), "D_bulk": (T, ds.d_bulk, ds.d_bulk_std),
    "Dσ total": charge("total"), "Dσ bulk": charge("bulk"),
}}
parts = {{"l·P tracer": ("D_eff", "D_bulk"), "l·P charge": ("Dσ total", "Dσ bulk")}}

named = {{n: s for n, (_, v, std) in series.items() for n, s in ((n, v), (n + "_std", std))}}
table = xr.Dataset(
    {{n: ("temperature", np.asarray(v)) for n, v in named.items()}}, {{"temperature": T}}, ds.attrs
)

def energies(laws):
    return {{name: [fit.energy, fit.energy_std] for name, fit in laws.fits.items()}}

def headless():  # what a cell without the app gets from the file that the app wrote
    return energies(fit_laws(read_series(series, parts), ArrheniusChoices.load("laws.json")))
""",
    'app = lliso.explore_arrhenius(table, "laws.json", boundaries=parts)\napp',
)


@pytest.fixture
def open_app(lab, server):
    def start(name, **window):
        (server.folder / "laws.json").unlink(missing_ok=True)
        cells = [c.format(root=str(ROOT)) if i == 0 else c for i, c in enumerate(CELLS)]
        nb = lab(server.notebook(f"{name}.ipynb", *cells), **window).run_all()
        assert nb.errors() == []
        return nb.view()

    return start


def choices(server):
    return json.loads((server.folder / "laws.json").read_text())


def row(nb, series):
    head, *rows = nb.rows()
    found = next(r for r in rows if r[0] == series)
    return dict(zip([h.split(" ")[0] for h in head], found, strict=True))


def test_points_and_ranges_are_toggled_on_the_canvas(open_app, server):
    nb = open_app("arrhenius_gestures")
    assert not (server.folder / "laws.json").exists()  # opening writes nothing
    whole = nb.ask("energies(app.laws)")
    plain = "lliso.fit_arrhenius(T, ds.d_eff, ds.d_eff_std).energy"
    assert whole["D_eff"][0] == nb.ask(plain)
    assert "simulated" in nb.page.locator(".lliso-title").inner_text()

    # One point is clicked away and comes back.
    t, d = nb.ask("[float(T[2]), float(ds.d_eff.values[2])]")
    nb.click(nb.on_panel("plot", 1e3 / t, d))
    assert choices(server)["off"] == [["D_eff", t]]
    found = nb.ask("energies(app.laws)")
    assert found == nb.ask("headless()")
    assert found["D_eff"] != whole["D_eff"]
    assert found["l·P tracer"] != whole["l·P tracer"]  # is made of it
    assert found["D_bulk"] == whole["D_bulk"]
    assert row(nb, "D_eff")["points"] == "8 of 9"
    nb.click(nb.on_panel("plot", 1e3 / t, d))
    assert choices(server)["off"] == []

    # A range is drawn over the two hottest temperatures of all series.
    top, bottom = nb.ask("[float(1e3 / T[-2]), float(1e3 / T[-1])]")
    nb.drag(nb.on_panel("plot", bottom - 0.03, 2.2e-4), nb.on_panel("plot", top + 0.05, 3e-6))
    assert {t for _, t in choices(server)["off"]} == set(nb.ask("[float(t) for t in T[-2:]]"))
    assert len(choices(server)["off"]) == 12
    assert nb.ask("energies(app.laws) == headless()")
    nb.focus()
    nb.press("Control+z")
    assert choices(server)["off"] == []

    # The ends of the range are dragged, typed, and given back.
    at = nb.page.evaluate(
        "() => document.querySelector('.lliso-app').view.panels.plot.interactors[0].value('high')"
    )
    nb.drag(nb.on_panel("plot", at, 1e-7), nb.on_panel("plot", 1e3 / 500.0, 1e-7))
    assert choices(server)["high"] == pytest.approx(500, abs=2)
    assert nb.ask("energies(app.laws) == headless()")
    assert row(nb, "D_bulk")["points"] == "5 of 9"
    nb.shoot("arrhenius_range")
    box = nb.page.locator("[data-key=high]")
    box.fill("")
    box.press("Enter")
    nb.settled()
    assert choices(server)["high"] is None
    assert nb.ask("energies(app.laws)") == whole
    assert nb.cells() == 2


def test_one_energy_and_the_haven_ratio(open_app, server, tmp_path):
    nb = open_app("arrhenius_haven")
    nb.page.locator("[data-key=tracer]").select_option("l·P tracer")
    nb.page.locator("[data-key=charge]").select_option("l·P charge")
    nb.settled()
    assert nb.page.locator(".lliso-panel:visible").count() == 3
    ratio = nb.ask("float(app.laws.haven.ratio)")
    tracer, charge = (
        f"lliso.fit_boundary_law(T, *(series[n][k] for k in (1, 2) for n in {pair!r}))"
        for pair in (("D_eff", "D_bulk"), ("Dσ total", "Dσ bulk"))
    )
    assert ratio == nb.ask(f"float(lliso.haven_ratio({tracer}, {charge}, 295.15).ratio)")
    assert ratio == pytest.approx(0.24, abs=0.06)  # what was simulated
    assert float(row(nb, "Haven ratio")["at"].split(" ")[0]) == pytest.approx(ratio, abs=6e-4)
    nb.picture("arrhenius")

    # Two series are put away; the others share an energy, by its key.
    for name in ("D_bulk", "Dσ bulk"):
        nb.page.get_by_label(f"show {name}").uncheck()
        nb.settled()
    nb.focus()
    nb.press("s")
    assert choices(server)["shared"] is True
    shared = nb.ask("[app.laws.shared.energy, app.laws.shared.equal_p]")
    both = "lliso.fit_arrhenius_shared({n: series[n] for n in ('D_eff', 'Dσ total')})"
    assert shared == nb.ask(f"(lambda f: [f.energy, f.equal_p])({both})")
    assert float(row(nb, "one E_a")["E_a"].split(" ")[0]) == pytest.approx(shared[0], abs=1e-4)

    # The keyboard alone leaves a point out; the file brings the screen back.
    nb.press("Escape", ".", ".", "x")
    assert len(choices(server)["off"]) == 1
    before = nb.ask("energies(app.laws)")
    nb.restart_and_run_all()
    nb.view()
    assert nb.ask("energies(app.laws)") == before
    assert nb.page.locator("[data-key=shared]").is_checked()

    nb.page.get_by_role("button", name="Code").click()
    nb.wait("document.querySelector('.lliso-code').textContent.includes('fit_arrhenius_shared')")
    nb.do(nb.page.locator(".lliso-code").inner_text())
    again = nb.ask("{n: f.energy for n, f in laws.items()}")
    assert again == pytest.approx({n: e for n, (e, _) in before.items()}, rel=1e-7)
    nb.page.get_by_role("button", name="Export").click()
    for kind, start in {"svg": b"<?xml", "png": b"\x89PNG", "csv": b"series,"}.items():
        nb.page.get_by_label("format").select_option(kind)
        with nb.page.expect_download() as found:
            nb.page.get_by_role("button", name="Download").click()
        file = tmp_path / found.value.suggested_filename
        found.value.save_as(file)
        assert file.read_bytes().startswith(start)

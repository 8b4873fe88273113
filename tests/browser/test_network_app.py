"""The view of a grain network in JupyterLab: linked clicks, merging and splitting on the canvas."""

from pathlib import Path

import pytest

from lliso import GrainEdits

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "samples"
CELLS = (
    f"""
from pathlib import Path
import numpy as np
import xarray as xr
import lliso

SAMPLES = Path({str(SAMPLES)!r})
part = dict(x=slice(0, 260), y=slice(0, 206))
ds = lliso.read_map(SAMPLES / "simulated_llto_59h.nc").isel(part)
with xr.open_dataset(SAMPLES / "simulated_llto_truth.nc") as file:
    label = file["label"].isel(part).astype(int).load()
grains = label.to_dataset().assign_attrs(map_id=ds.map_id, found_from="the simulation's truth")
""",
    "app = lliso.explore_network(ds, 'edits.json', grains=grains, d_bulk='2.6e-8 cm^2/s')\napp",
)
TABLE = (
    "lliso.fit_network(ds, lliso.boundary_network(lliso.apply_edits(grains, "
    "lliso.GrainEdits.load('edits.json'))), d_bulk=2.6e-8, "
    "mean_slope=app.table.attrs['mean_slope_per_cm'])"
)


@pytest.fixture
def network(lab, server, request):
    (server.folder / "edits.json").unlink(missing_ok=True)
    nb = lab(server.notebook(f"{request.node.name}.ipynb", *CELLS)).run_all()
    assert nb.errors() == []
    return nb.view()


def measured(nb):
    """Row number, name and middle of the longest measured boundary."""
    return nb.ask(
        "(lambda t: (lambda i: [str(t.boundary.values[i]), float(t.x[i]), float(t.y[i])])"
        "(int(np.argmax(np.where(np.isfinite(t.permeability), t.length, 0)))))(app.table)"
    )


def grain_place(nb, name, side):
    """A place inside the grain on one side of a boundary, far from other grains."""
    return nb.ask(
        "(lambda label: (lambda k: [float(ds.x[k[1]]), float(ds.y[k[0]])])(np.unravel_index("
        "__import__('scipy.ndimage').ndimage.distance_transform_edt("
        f"np.pad(label == int(app.table.{side}.sel(boundary={name!r})), 1))[1:-1, 1:-1].argmax(), "
        "label.shape)))(app.session.network.label.values)"
    )


def test_map_histogram_and_table_are_linked(network, server):
    nb = network
    name, x, y = measured(nb)
    nb.click(nb.on_panel("map", x, y))
    assert nb.committed()["selected"] == name
    row = next(r for r in nb.rows() if r[0] == name)
    assert nb.page.locator(".lliso-selected").first.inner_text().split()[0] == name
    result = nb.page.locator(".lliso-result").first.inner_text()
    assert result.startswith(f"{name}: {row[6]}")
    bars = nb.committed()["panels"]["histogram"]["marks"][0]
    k = max(range(len(bars["heights"])), key=lambda i: bars["heights"][i])
    at = (bars["edges"][k] * bars["edges"][k + 1]) ** 0.5
    nb.click(nb.on_panel("histogram", at, 0.4 * bars["heights"][k]))
    lit = nb.page.evaluate(
        """() => document.querySelector('.lliso-app').view.panels.map.state.marks
          .filter((m) => m.names).flatMap((m) => m.names.filter((_, i) => m.widths[i] > 3))"""
    )
    expected = nb.ask(
        f"(lambda v: [str(n) for n in app.table.boundary.values[(v >= app.session.shown.edges[{k}])"
        f" & (v <= app.session.shown.edges[{k + 1}])]])(app.table.permeability.values)"
    )
    assert sorted(lit) == sorted(expected)
    assert len(lit) == bars["heights"][k]
    nb.page.locator("[data-key=colour]").select_option("significance")
    nb.settled()
    nb.shoot("network_significance")
    nb.page.locator("[data-key=colour]").select_option("permeability")
    nb.settled()
    heads = nb.page.locator(".lliso-app thead button")
    heads.nth(2).click()
    lengths = [float(r[2]) for r in nb.rows()[1:]]
    assert lengths == sorted(lengths)
    heads.nth(2).click()
    assert not (server.folder / "edits.json").exists()
    nb.picture("network")


def test_grains_are_merged_and_split_by_clicks(network, server):
    nb = network
    file = server.folder / "edits.json"
    name, _, _ = measured(nb)
    first, second = (grain_place(nb, name, side) for side in ("grain1", "grain2"))
    before = nb.ask("int(app.session.network.sizes['grain'])")
    nb.focus()
    nb.press("m")
    nb.click(nb.on_panel("map", *first))
    assert nb.status() == "Merge: click the second grain (V: done)."
    nb.press("Escape")
    assert nb.status() == "Merge: click the first grain (V: done)."
    nb.click(nb.on_panel("map", *first))
    nb.click(nb.on_panel("map", *second))
    assert nb.status().startswith("Grains merged")
    assert nb.ask("int(app.session.network.sizes['grain'])") == before - 1
    assert len(GrainEdits.load(file).edits) == 1
    assert nb.ask(f"{TABLE}.identical(app.table)")

    nb.press("s")
    x, y = first
    nb.click(nb.on_panel("map", x - 4, y))
    nb.click(nb.on_panel("map", x + 4, y))
    assert nb.status().startswith("Grains split")
    assert nb.ask("int(app.session.network.sizes['grain'])") == before
    assert nb.ask(f"{TABLE}.identical(app.table)")
    (_, split) = GrainEdits.load(file).edits
    assert split.line[0] == pytest.approx((x - 4, y), abs=0.8)

    # Removed by its key; all of it undone; kept over a restart.
    nb.press("v")
    name, x, y = measured(nb)
    nb.click(nb.on_panel("map", x, y))
    nb.press("Delete")
    assert len(GrainEdits.load(file).edits) == 3
    nb.press("Control+z", "Control+z")
    assert len(GrainEdits.load(file).edits) == 1
    rows = nb.rows()
    assert nb.cells() == 2
    nb.restart_and_run_all().view()
    assert nb.rows() == rows
    nb.focus()
    nb.press("s")
    nb.click(nb.on_panel("map", *first))
    nb.click(nb.on_panel("map", first[0], first[1]))  # no line
    assert "must have a length" in nb.status()
    assert len(GrainEdits.load(file).edits) == 1

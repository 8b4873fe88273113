"""Fitting an edited network again: the same numbers, with fewer fits."""

import numpy as np
import pytest
import xarray as xr

from lliso import boundary_network, fit_network, make_map
from lliso.fit import network_update
from lliso.fit.network_update import refit_network
from lliso.maps.grain_edits import GrainEdits, Merge, Split, apply_edits

OPTIONS = {"d_bulk": 2.6e-8}


@pytest.fixture(scope="module")
def scene():
    """Twelve square grains of 20 µm with steps between them."""
    rng = np.random.default_rng(11)
    rows, columns = np.mgrid[0:60, 0:80]
    label = 4 * (rows // 20) + columns // 20
    c = 0.8 - 0.002 * rows - 0.05 * (label // 4) - 0.01 * (label % 4)
    light = rng.binomial(300, c)
    axes = {"x": np.arange(80.0), "y": np.arange(60.0)}
    ds = make_map([light, 300 - light], ["6Li", "7Li"], **axes)
    return ds, xr.Dataset({"label": (("y", "x"), label)}, coords=axes)


@pytest.mark.parametrize(
    "edit", [Merge(first=(10, 10), second=(10, 30)), Split(line=((25, 5), (35, 16)))]
)
def test_it_is_what_fitting_all_gives_with_fewer_fits(scene, edit, monkeypatch):
    ds, grains = scene
    before = boundary_network(grains)
    table = fit_network(ds, before, **OPTIONS)
    after = boundary_network(apply_edits(grains, GrainEdits.of(grains).with_edit(edit)))
    slope = table.attrs["mean_slope_per_cm"]
    everything = fit_network(ds, after, mean_slope=slope, **OPTIONS)
    fitted = []

    def counted(ds, network, **options):
        fitted.append(network.sizes["boundary"])
        return fit_network(ds, network, **options)

    monkeypatch.setattr(network_update, "fit_network", counted)
    found = refit_network(ds, after, before, table, **OPTIONS)
    xr.testing.assert_identical(found, everything)
    assert 0 < sum(fitted) < after.sizes["boundary"]


def test_without_a_change_nothing_is_fitted(scene, monkeypatch):
    ds, grains = scene
    network = boundary_network(grains)
    table = fit_network(ds, network, **OPTIONS)
    monkeypatch.setattr(network_update, "fit_network", None)
    xr.testing.assert_identical(refit_network(ds, network, network, table, **OPTIONS), table)

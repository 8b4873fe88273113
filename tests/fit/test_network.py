"""Every boundary of a simulated polycrystal, against what was put in."""

from __future__ import annotations

import time

import numpy as np
import pytest
import xarray as xr

from lliso.fit.network import fit_network, grain_slopes
from lliso.maps.grains import boundary_network, interior_distance
from lliso.maps.synthetic import Instrument, Specimen, simulate_maps

D_BULK = 2.6e-8


@pytest.fixture(scope="module")
def case():
    specimen = Specimen(
        storage=0.0,
        box=(-20.0, -200.0, 180.0, 1000.0),
        window=(0.0, 250.0, 160.0, 370.0),
        mesh_fine=2.5,
        mesh_coarse=10.0,
    )
    (ds,), truth = simulate_maps(specimen, Instrument(counts=3000.0, pixels=(160, 120)), seed=21)
    label = truth.label.astype(int)
    grains = xr.Dataset({"label": label}, {"x": ds.x, "y": ds.y})
    return ds, truth, boundary_network(grains, source=ds)


def true_rows(table, truth):
    """Number of each row's boundary in the truth, and which rows were fitted."""
    number = {
        (min(a, b), max(a, b)): i
        for i, (a, b) in enumerate(
            zip(truth.grain1.values.tolist(), truth.grain2.values.tolist(), strict=True)
        )
    }
    pairs = zip(table.grain1.values.tolist(), table.grain2.values.tolist(), strict=True)
    at = np.array([number.get((min(p), max(p)), -1) for p in pairs])
    return at, (at >= 0) & np.isfinite(table.step.values)


def test_network_of_the_truth_has_its_lengths_and_normals(case):
    _, truth, net = case
    at, _ = true_rows(net.assign(step=net.length), truth)
    # Triple points that lie within the map: those of boundaries that the edge does not cut.
    x0, y0, x1, y1 = (truth[k].values[at] for k in ("x0", "y0", "x1", "y1"))
    inside = (np.minimum(x0, x1) > 2) & (np.maximum(x0, x1) < 158)
    inside &= (np.minimum(y0, y1) > 252) & (np.maximum(y0, y1) < 368) & (at >= 0)
    length = truth.length.values[at]
    assert inside.sum() > 40
    assert net.length.values[inside].sum() == pytest.approx(length[inside].sum(), rel=0.03)
    cos = net.nx.values * truth.nx.values[at] + net.ny.values * truth.ny.values[at]
    long = inside & (length > 8)
    assert np.all(cos[long] > np.cos(np.radians(12)))
    assert np.median(np.degrees(np.arccos(np.clip(cos[long], -1, 1)))) < 2.0


def test_steps_slopes_and_intervals_hold_the_truth(case):
    ds, truth, net = case
    table = fit_network(ds, net, d_bulk=D_BULK)
    at, ok = true_rows(table, truth)
    step = truth.step.values[0][at]
    # Both say "grain 2 less grain 1", but may differ in which is which for boundaries along y.
    step = step * np.where(truth.grain1.values[at] == table.grain1.values, 1, -1)
    off = ((table.step - step) / table.step_std).values[ok]
    assert ok.sum() > 40
    assert abs(np.median(off)) < 0.4
    assert 0.7 < 0.5 * np.ptp(np.quantile(off, [0.16, 0.84])) < 1.4
    p = truth.permeability.values[at]
    inside = (table.permeability_low.values <= p) & (p <= table.permeability_high.values)
    assert inside[ok].mean() >= 0.85  # of some 70 boundaries; 0.92 to 0.95 over many maps
    assert set(table.verdict.values[~np.isfinite(table.step.values)]) <= {"failed"}
    assert {"grain1", "grain2", "length", "nx", "ny", "flags"} <= set(table.data_vars)
    assert table.step.attrs["units"] == "1"
    assert table.attrs["map_id"] == ds.attrs["map_id"]


def test_the_table_is_quick(case):
    ds, _, net = case
    start = time.perf_counter()
    fit_network(ds, net, d_bulk=D_BULK)
    # Three seconds for a thousand boundaries, on an idle machine; some room for a busy one.
    assert time.perf_counter() - start < 3 * 3.0 * net.sizes["boundary"] / 1000 + 0.5


def test_mean_grain_slope_is_that_of_the_field(case):
    ds, truth, net = case
    found = grain_slopes(ds, net)
    # The true ḡ from the noise-free field, between whole pixels of one grain.
    field, label = truth.fraction.values[0], truth.label.values
    inside = interior_distance(label.astype(int), (1.0, 1.0)) >= 1.5
    same = (label[1:] == label[:-1]) & inside[1:] & inside[:-1]
    dy = float(ds.y[1] - ds.y[0])
    true = float(np.mean((np.diff(field, axis=0) / dy * 1e4)[same]))
    assert found.attrs["share_of_area"] > 0.8
    difference = found.attrs["mean_slope_per_cm"] - true
    assert abs(difference) < 3 * found.attrs["mean_slope_std_per_cm"] + 0.1 * abs(true)
    assert np.all(found.slope_y_std.values[np.isfinite(found.slope_y)] > 0)


def test_what_does_not_fit_together(case):
    ds, _, net = case
    with pytest.raises(ValueError, match="must have the pixels of the network's labels, got 159"):
        fit_network(ds.isel(x=slice(1, None)), net, d_bulk=D_BULK)
    with pytest.raises(ValueError, match="prior_width must be positive, got 0"):
        fit_network(ds, net, d_bulk=D_BULK, prior_width=0.0)
    with pytest.raises(ValueError, match="d_bulk must be positive, got -1 cm"):
        fit_network(ds, net, d_bulk=-1.0)
    with pytest.raises(ValueError, match="farther than 90 um from its boundaries, got none"):
        grain_slopes(ds, net, erosion=90.0)


def test_wide_columns_are_the_fit_under_the_wide_prior(case):
    ds, _, net = case
    table = fit_network(ds, net, d_bulk=D_BULK)
    wide = fit_network(ds, net, d_bulk=D_BULK, prior_width=3.0)
    for name in ("step", "slope", "step_std", "slope_std", "step_slope_correlation"):
        a, b = table[f"{name}_wide"].values, wide[name].values
        # The weights are those of the narrow fit: the same to the accuracy of a fitted fraction.
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=1e-2 * np.nanmedian(np.abs(b)))
        np.testing.assert_allclose(wide[f"{name}_wide"].values, b, rtol=1e-6)

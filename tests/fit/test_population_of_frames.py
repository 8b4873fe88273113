"""P of a population from frames that drifted: wrong as they are, right after alignment.

Simulated: a polycrystal solved once, 24 frames under a drift of 8 µm, boundaries of the truth.
"""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from lliso.fit.network import fit_network
from lliso.fit.population import population_permeability
from lliso.maps.alignment import align_frames
from lliso.maps.drift import measure_drift
from lliso.maps.fraction import sum_frames
from lliso.maps.grains import boundary_network
from lliso.maps.synthetic import Instrument, Specimen, simulate_maps
from lliso.maps.synthetic_parameters import Artefacts

D_BULK = 2.6e-8


@pytest.fixture(scope="module")
def case():
    specimen = Specimen(
        storage=0.0,
        d_bulk=D_BULK,
        box=(-30.0, -500.0, 230.0, 1500.0),
        window=(0.0, 200.0, 200.0, 340.0),
        mesh_fine=2.0,
        mesh_coarse=10.0,
    )
    instrument = Instrument(counts=12_000.0, pixels=(200, 140))
    drifting = Artefacts(frames=24, drift=8.0)
    (ds,), truth = simulate_maps(specimen, instrument, seed=21, artefacts=drifting)
    return ds, truth


def population(ds, truth):
    """P of all boundaries of the truth's grains, where the map shows them."""
    at = truth.label.sel(x=ds.x, y=ds.y, method="nearest").astype(int)
    grains = xr.Dataset({"label": (("y", "x"), at.values)}, {"x": ds.x, "y": ds.y})
    network = boundary_network(grains, source=ds)
    return population_permeability(fit_network(ds, network, d_bulk=D_BULK))


def test_frames_as_they_are_give_too_large_a_p_and_aligned_ones_the_true_one(case):
    ds, truth = case
    weight = truth.step.values[0] ** 2
    true = float(np.nansum(weight * truth.permeability.values) / np.nansum(weight))
    drift = measure_drift(ds)
    off = drift.drift.values - truth.drift.values[0]
    off -= off.mean(axis=0)
    assert np.sqrt(np.mean(off**2)) < 0.05  # µm, and pixels
    before = population(sum_frames(ds), truth)
    after = population(sum_frames(align_frames(ds, drift)), truth)
    # A blurred step looks smaller: P seems larger, and by far more than the error that is stated.
    assert before.permeability > 1.4 * true
    assert before.low > true
    assert after.low68 < true < after.high68
    assert after.std < 0.15 * true

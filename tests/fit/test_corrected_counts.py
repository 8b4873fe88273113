"""Counts that carry a variance larger than Poisson's weigh less wherever counts are weighed."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from lliso.fit.bulk import d_bulk_from_map
from lliso.fit.joint import fit_cut
from lliso.maps.corrections import correct_background
from lliso.maps.cuts import LineCut, line_profile
from lliso.maps.grains import boundary_network
from lliso.maps.picks import BoundaryPick
from lliso.maps.proposals import weighted_fractions
from lliso.schema import make_map

NY, NX = 80, 40
Y = np.arange(NY) + 0.5


def as_map(n):
    """Two grains, without noise."""
    c = np.repeat((0.3 - 4e-4 * Y - 0.02 * (Y > 40))[:, None], NX, axis=1)
    return make_map([n * c, n * (1 - c)], ["6Li", "7Li"], x=np.arange(NX) * 1.0, y=Y)


def scattering(ds, times):
    return ds.assign(variance=times * ds.counts)


def test_errors_of_a_joint_fit_are_those_of_the_variance():
    ds = as_map(900.0)
    cut = LineCut(name="a", start=(19.5, 0), end=(19.5, NY), width=NX)
    pick = BoundaryPick(name="1", cut="a", position=40, window=(0, NY))
    plain, twice = (fit_cut(line_profile(d, cut), [pick]) for d in (ds, scattering(ds, 2.0)))
    np.testing.assert_allclose(twice.covariance, 2 * plain.covariance, rtol=1e-6)
    np.testing.assert_allclose(twice.step, plain.step, rtol=1e-6)


def test_weights_of_the_search_are_those_of_the_variance():
    ds = as_map(900.0)
    c, plain = weighted_fractions([ds])
    c_twice, twice = weighted_fractions([scattering(ds, 2.0)])
    np.testing.assert_allclose(c_twice, c, rtol=1e-12)
    np.testing.assert_allclose(twice, plain / 2, rtol=5e-3)  # half a count is in the smooth C
    dark = ds.counts.copy()
    dark[:, 3, 4] = 0.0
    net = correct_background(ds.assign(counts=dark), {"6Li": 1.0, "7Li": 2.0})
    assert net.counts.min() < 0
    fraction, weight = weighted_fractions([net])
    assert weight.min() == weight[0, 3, 4] == 0
    assert np.isfinite(fraction).all()


@pytest.mark.parametrize(("times", "few"), [(1.0, False), (2.0, True)])
def test_few_counts_are_few_effective_ones(times, few):
    label = 100 * (Y // 10).astype(int)[:, None] + (np.arange(NX) // 10)[None, :]
    ds = scattering(as_map(100.0), times)
    net = boundary_network(xr.Dataset({"label": (("y", "x"), label)}, {"x": ds.x, "y": ds.y}))
    found = d_bulk_from_map(ds, net, exchange="59 h", c_source=0.4, c_natural=0.0759)
    assert ("low_counts" in found.flags) == few

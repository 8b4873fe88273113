"""D_bulk from one map, on a staircase whose fluxes close by construction."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.special import erfc

from lliso.fit.bulk import d_bulk_from_map, flux_closure
from lliso.fit.network import grain_slopes
from lliso.maps.grains import boundary_network
from lliso.schema import make_map

D_BULK, D_EFF = 2.6e-8, 3.0e-9
TIME = 59 * 3600.0
C0, C1 = 0.0759, 0.95
SIZE = 25.0
X, Y = np.arange(150.0), 300.0 + np.arange(200.0)
DIFFUSION_LENGTH = 2 * np.sqrt(D_EFF * TIME) * 1e4  # µm


def staircase(size=SIZE, level=40.0):
    """Square grains: C has the macroscopic profile at their centres, and the flux inside."""
    along = np.floor((Y - Y[0]) / size)
    centre = Y[0] + (along + 0.5) * size
    z = (centre - level) / DIFFUSION_LENGTH
    macro = -2 / np.sqrt(np.pi) * (C1 - C0) / DIFFUSION_LENGTH * np.exp(-(z**2))
    c = C0 + (C1 - C0) * erfc(z) + D_EFF / D_BULK * macro * (Y - centre)
    label = 100 * along.astype(int)[:, None] + np.floor(X / size).astype(int)
    return np.repeat(c[:, None], X.size, axis=1), label


def case(n, rng=None, **options):
    c, label = staircase(**options)
    mean = [n * c, n * (1 - c)]
    counts = mean if rng is None else [rng.poisson(m) for m in mean]
    ds = make_map(counts, ["6Li", "7Li"], x=X, y=Y)
    return ds, boundary_network(xr.Dataset({"label": (("y", "x"), label)}, {"x": X, "y": Y}))


def estimate(ds, net, **options):
    return d_bulk_from_map(ds, net, exchange="59 h", c_source=C1, c_natural=C0, **options)


def test_without_noise_the_input_comes_out():
    found = estimate(*case(600.0, size=12.5))
    # A line through n stairs is less steep by 1/n² than the stairs: 0.4 % here.
    assert found.d_eff == pytest.approx(D_EFF, rel=0.01)
    assert found.d_bulk == pytest.approx(D_BULK, rel=0.015)
    assert found.level == pytest.approx(40.0, abs=3.0)
    assert found.flags == ("large_error",)  # for so few counts; with more of them:
    assert estimate(*case(1e5, size=12.5)).usable
    known = estimate(*case(600.0, size=12.5), level=40.0)
    assert known.d_bulk == pytest.approx(D_BULK, rel=0.015)


def test_the_error_is_the_scatter():
    rng = np.random.default_rng(1)
    ds, net = case(600.0)
    found = [estimate(case(600.0, rng)[0], net) for _ in range(40)]
    values = np.array([f.d_bulk for f in found])
    error = values.std() / np.sqrt(values.size)
    assert np.mean(values) == pytest.approx(estimate(ds, net).d_bulk, abs=3 * error, rel=0.02)
    # In this structure all grains of a row are alike; only the slopes' noise scatters.
    assert np.median([f.d_bulk_std for f in found]) == pytest.approx(values.std(), rel=0.6)
    off = np.array([(f.d_bulk - D_BULK) / f.d_bulk_std for f in found])
    assert np.mean(np.abs(off) < 2) > 0.8


def test_fluxes_close():
    ds, net = case(600.0)
    slope = grain_slopes(ds, net).attrs["mean_slope_per_cm"]
    found = estimate(ds, net)
    ratio, std = flux_closure(
        D_BULK, D_EFF, grain_slope=slope, macro_slope=found.macro_slope, grain_slope_std=0.1
    )
    assert ratio == pytest.approx(1.0, rel=0.03)
    assert std == pytest.approx(0.1 / abs(slope), rel=0.05)
    with pytest.raises(ValueError, match="must differ from 0"):
        flux_closure(D_BULK, D_EFF, grain_slope=1.0, macro_slope=0.0)


def test_where_it_cannot_be_had():
    rng = np.random.default_rng(2)
    ds, net = case(600.0)
    low, _ = case(30.0, rng)
    assert "low_counts" in estimate(low, net).flags
    assert "broad_beam" in estimate(ds, net, resolution=5.0).flags
    assert "undetected_boundaries" in estimate(ds, net, from_counts=True).flags
    assert not estimate(ds, net, from_counts=True).usable
    frames = make_map(np.stack([ds.counts.values / 2] * 2, axis=1), ["6Li", "7Li"], x=X, y=Y)
    assert "drift" in estimate(frames, net).flags
    upside = ds.assign(counts=(ds.counts.dims, ds.counts.values[:, ::-1]))
    flat = ds.assign(counts=(ds.counts.dims, 0 * ds.counts.values + 300.0))
    assert estimate(upside, net).d_bulk > 0  # both slopes turn round
    with pytest.raises(ValueError, match="must have a gradient along y"):
        estimate(flat, net)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"exchange": 0.0}, "exchange must be positive, got 0 s"),
        ({"c_natural": 0.96}, "must be fractions, the source's the larger, got 0.96 and 0.95"),
        ({"c_source": 0.1, "c_natural": 0.05}, "must have fractions between 0.05 and 0.1, got 0"),
    ],
)
def test_refusals(options, message):
    given = {"exchange": "59 h", "c_source": C1, "c_natural": C0}
    with pytest.raises(ValueError, match=message):
        d_bulk_from_map(*case(600.0), **(given | options))


def test_the_error_holds_the_structure_and_says_when_twenty_per_cent_is_too_much():
    rng = np.random.default_rng(3)
    ds, net = case(600.0, size=12.5)
    free, given = estimate(ds, net), estimate(ds, net, level=40.0)
    # Without noise the grains' own variety and the part of the structure are left.
    assert free.d_bulk_std > given.d_bulk_std > 0.05 * given.d_bulk
    few = estimate(case(60.0, rng, size=12.5)[0], net)
    assert few.d_bulk_std > 0.15 * few.d_bulk
    assert "large_error" in few.flags


def test_a_known_level_shares_the_flux_with_the_slope_of_the_profile():
    ds, net = case(1e4, size=12.5)
    free = estimate(ds, net)
    wrong = estimate(ds, net, level=-20.0)  # 60 µm off
    # What C alone gives, as a straight line z through the wrong level.
    z = (Y - 40.0) / DIFFUSION_LENGTH
    weight = np.exp(-2 * z**2)
    slope = np.sum(weight * (Y + 20.0) * z) / np.sum(weight * (Y + 20.0) ** 2)
    alone = np.mean(np.exp(-((slope * (Y + 20.0)) ** 2))) / slope
    right = np.mean(np.exp(-(z**2))) * DIFFUSION_LENGTH
    expected = 0.63 * np.log(alone / right)
    assert expected > 0.05
    assert np.log(wrong.d_bulk / free.d_bulk) == pytest.approx(expected, rel=0.1)
    assert wrong.level == -20.0


def test_steps_that_differ_widely_are_flagged():
    ds, net = case(1e5)
    assert "wide_permeabilities" not in estimate(ds, net).flags
    c, _ = staircase()
    rows = np.floor((Y - Y[0]) / SIZE).astype(int)
    # The step between two rows of grains is 0.03: rows of grains half a step up and down.
    c = c + 0.014 * np.array([1, -1, 1, 1, -1, -1, 1, -1])[rows][:, None]
    odd = make_map([1e5 * c, 1e5 * (1 - c)], ["6Li", "7Li"], x=X, y=Y)
    found = estimate(odd, net, level=40.0)
    assert "wide_permeabilities" in found.flags
    assert not found.usable
    assert found.d_bulk_std / found.d_bulk > estimate(ds, net, level=40.0).d_bulk_std / D_BULK

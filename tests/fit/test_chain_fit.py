from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from lliso.diffusion.chain import chain_of
from lliso.diffusion.chain_modes import solve_chain
from lliso.diffusion.polycrystal import Stage
from lliso.fit.chain import fit_chain
from lliso.fit.exchange import fit_exchange
from lliso.maps.synthetic_profiles import LineAnalysis, simulate_line_analysis

TIME, P, D, LEVEL = 110 * 3600.0, 1.4e-6, 2.6e-8, 150.0
SIZES = np.random.default_rng(3).lognormal(np.log(40.0), 0.4, 120)


def profile() -> xr.Dataset:
    """Noise-free, exact in space and time, averaged over boxes of 50 µm."""
    chain = chain_of(SIZES, permeability=P * 1e4, diffusivity=D * 1e8)
    (state,) = solve_chain(chain, [Stage(TIME, source=0.95)], initial=0.0759)
    x = np.arange(-600.0, 3000.0, 80.0)
    fine = (np.arange(100) + 0.5) * 0.5 - 25.0
    s = x[:, None] + fine - LEVEL
    c = np.where(s < 0, 0.95, state.value(np.maximum(s, 0.0).ravel()).reshape(s.shape)).mean(axis=1)
    return xr.Dataset(
        {"fraction": ("position", c), "fraction_std": ("position", np.full(x.shape, 1e-3))},
        {"position": ("position", x, {"units": "um"})},
        {"box_um": 50.0},
    )


def test_p_of_an_exact_chain_is_recovered() -> None:
    table = fit_chain(profile(), time=TIME, grain_sizes=SIZES, d_bulk=D, local_spread=0.0)
    assert table.value.sel(param="permeability") == pytest.approx(P, rel=2e-3)
    assert table.value.sel(param="x0") == pytest.approx(LEVEL, abs=0.5)
    d_eff = 1.0 / (1.0 / D + 1.0 / (SIZES.mean() * 1e-4 * P))
    assert table.value.sel(param="d_eff") == pytest.approx(d_eff, rel=0.05)
    assert table.success


def test_the_error_of_d_bulk_enters_and_d_eff_is_that_of_the_plain_fit() -> None:
    (first, *_), _ = simulate_line_analysis(LineAnalysis(d_exchange=8e-9), seed=4)
    law = {"time": "110 h", "grain_sizes": 20.0}
    known = fit_chain(first, d_bulk=D, **law)
    unsure = fit_chain(first, d_bulk=(D, 0.2 * D), **law)
    error = [float(t.stderr.sel(param="permeability")) for t in (known, unsure)]
    assert error[1] > 1.5 * error[0]
    plain = fit_exchange(first, time="110 h")
    assert unsure.value.sel(param="d_eff") == pytest.approx(
        float(plain.value.sel(param="d_eff")), rel=0.02
    )


@pytest.mark.parametrize("d_bulk", [(2.6e-8, 2e-9), 2.3e-8])
def test_where_boundaries_are_not_seen_it_says_so(d_bulk: float | tuple[float, float]) -> None:
    (first, *_), _ = simulate_line_analysis(LineAnalysis(d_exchange=2.6e-8), seed=1)
    table = fit_chain(first, time="110 h", grain_sizes=16.0, d_bulk=d_bulk)
    assert "boundary_not_seen" in table.flags.item()
    row = table.sel(param="permeability")
    assert np.isnan(row.value)  # a lower limit is no value
    assert np.isnan(row.stderr)
    assert np.isposinf(row.high)
    # l P is far above D_bulk
    assert 16e-4 * float(row.low) > 2.6e-8


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"d_bulk": "free"}, "d_bulk must be given: a profile over many grains tells only D_eff"),
        ({"grain_sizes": [10.0, -1.0]}, "grain_sizes must be positive lengths"),
        ({"grain_sizes": []}, "grain_sizes must be positive lengths"),
        ({"grain_sizes": 1e-3}, "grains must be at most 20000"),
        ({"time": -5.0}, "time must be positive"),
    ],
)
def test_bad_input(kwargs: dict[str, object], message: str) -> None:
    good = {"time": TIME, "grain_sizes": 40.0, "d_bulk": D}
    with pytest.raises(ValueError, match=message):
        fit_chain(profile(), **(good | kwargs))  # type: ignore[arg-type]

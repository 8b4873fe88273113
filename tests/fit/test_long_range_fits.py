"""Fits of exchange, storage and whole samples: recovery, coverage, what they say of bad data."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.special import ndtr, stdtr

import lliso
from lliso.diffusion.transport import BOLTZMANN
from lliso.fit.anneal import fit_anneal
from lliso.fit.exchange import fit_exchange
from lliso.fit.sample import fit_sample
from lliso.maps.synthetic_profiles import LineAnalysis, simulate_line_analysis, true_profiles

LINE = LineAnalysis(level=260.0)
BARRIER = LineAnalysis(level=100.0, surface_exchange=1e-7)
STAGES = {"exchange": "110 h", "storage": ["14 d", "28 d"], "ends": LINE.ends}


@cache
def measured(line: LineAnalysis = LINE, seed: int = 1) -> tuple[xr.Dataset, ...]:
    return simulate_line_analysis(line, seed)[0]


def exact(line: LineAnalysis, stage: int, box: float = 0.0) -> xr.Dataset:
    """Noise-free profile with its error bars."""
    x = np.arange(line.first, line.last, line.pitch)
    c = true_profiles(line)[stage](x)
    return xr.Dataset(
        {"fraction": ("position", c), "fraction_std": ("position", np.full(x.shape, 1e-3))},
        {"position": ("position", x, {"units": "um"})},
        {"c_source": line.c_source, "box_um": box, "stage": f"stage {stage}"},
    )


def found(table: xr.Dataset, name: str) -> tuple[float, float]:
    row = table.sel(param=name)
    return float(row.value), float(row.stderr)


def flags(table: xr.Dataset) -> list[str]:
    return str(table.flags.item()).split()


# ------------------------------------------------------------------------------------ recovery


@pytest.mark.parametrize(("line", "k"), [(LINE, np.inf), (BARRIER, "free")])
def test_noise_free_exchange_is_recovered(line: LineAnalysis, k: Any) -> None:
    table = fit_exchange(exact(line, 0), time="110 h", k=k, local_spread=0.0)
    truth = {"d_eff": 8e-9, "x0": line.level, "c0": 0.0759}
    if k == "free":
        truth["k"] = 1e-7
    for name, true in truth.items():
        assert found(table, name)[0] == pytest.approx(true, rel=1e-5)
    assert table.success
    assert table.chi2_red < 1e-8


def test_noise_free_storage_is_recovered_from_every_kind_of_start() -> None:
    before, after = exact(LINE, 0), exact(LINE, 1)
    function = true_profiles(LINE)[0]
    x = np.linspace(*LINE.ends, 4001)
    fitted = fit_exchange(before, time="110 h", local_spread=0.0)
    law = {"time": "14 d", "ends": LINE.ends, "local_spread": 0.0}
    close = [
        fit_anneal(after, start=start, **law) for start in (fitted, function, (x, function(x)))
    ]
    for table in close:
        assert found(table, "d_eff")[0] == pytest.approx(3e-9, rel=1e-3)
        assert flags(table) == []
    # a start known at 58 points only: the kink at the level is not seen
    coarse = fit_anneal(after, start=before, **law)
    assert found(coarse, "d_eff")[0] == pytest.approx(3e-9, rel=0.01)


def test_measured_start_makes_the_error_larger() -> None:
    before, after, _ = measured()
    law: dict[str, Any] = {"time": "14 d", "ends": LINE.ends, "local_spread": 0.008}
    fitted = fit_exchange(before, time="110 h", local_spread=0.008)
    starts = (true_profiles(LINE)[0], fitted, before)
    errors = [found(fit_anneal(after, start=s, **law), "d_eff")[1] for s in starts]
    assert errors[0] < 0.97 * errors[1]
    assert errors[0] < 0.97 * errors[2]


def test_a_sample_shares_level_and_start() -> None:
    table = fit_sample(measured(), **STAGES)
    for name, true in {
        "d_eff[exchange]": 8e-9, "x0": 260.0, "d_eff[storage 1]": 3e-9, "d_eff[storage 2]": 3e-9
    }.items():  # fmt: skip
        value, error = found(table, name)
        assert abs(value - true) < 3 * error
        assert error < 0.05 * true
    assert np.isnan(table.li6_change[0])
    assert np.all(np.abs(table.li6_change[1:]) < 3 * table.li6_change_stderr[1:])
    both = fit_sample(measured(), **STAGES, law="shared")
    alone = table.stderr.sel(param=["d_eff[storage 1]", "d_eff[storage 2]"])
    assert found(both, "d_eff[storage]")[1] < alone.min()


def test_arrhenius_law_of_a_sample() -> None:
    kelvins, hours = (295.15, 323.15, 373.15, 473.15), (336.0, 120.0, 24.0, 1.0)
    law = [0.045 * np.exp(-0.42 / (BOLTZMANN * t)) for t in kelvins]
    line = LineAnalysis(stages=tuple((d, 3600 * h) for d, h in zip(law, hours, strict=True)))
    table = fit_sample(
        measured(line),
        exchange="110 h",
        storage=[f"{h} h" for h in hours],
        temperatures=["22 °C", "50 °C", "100 °C", 473.15],
        law="arrhenius",
        ends=line.ends,
    )
    value, error = found(table, "e_a")
    assert abs(value - 0.42) < 3 * error < 0.05
    assert found(table, "d_eff[storage 3]")[0] == pytest.approx(law[2], rel=0.1)
    # the covariance is there: D at a stage's temperature is known better than D₀
    d0, d2 = (found(table, n) for n in ("d0", "d_eff[storage 3]"))
    assert d2[1] / d2[0] < 0.3 * d0[1] / d0[0]


def test_a_programme_of_ramps_counts_by_its_integral() -> None:
    line = LineAnalysis(stages=((3e-9, 14 * 86400.0),))
    corners = [("0 s", "22 °C"), ("7 d", "22 °C"), ("14 d", "22 °C")]
    plain = fit_sample(measured(line), exchange="110 h", storage=["14 d"], ends=line.ends)
    ramped = fit_sample(
        measured(line), exchange="110 h", storage=[corners], ends=line.ends,
        law="arrhenius", e_a=0.42,
    )  # fmt: skip
    assert found(ramped, "d_ref")[0] == pytest.approx(found(plain, "d_eff[storage 1]")[0], rel=1e-4)


def test_the_chain_of_the_paper_and_its_meniscus() -> None:
    """110 h, 2 and 6 weeks at 22 °C, 3.8 h at 200 °C, simulated; the level risen by 260 µm."""
    level = fit_sample(measured(LineAnalysis(), 5), **STAGES)
    for name, true in {"exchange": 8.0e-9, "storage 1": 3.0e-9, "storage 2": 3.0e-9}.items():
        assert found(level, f"d_eff[{name}]")[0] == pytest.approx(true, rel=0.05)
    hot = LineAnalysis(exchange=63 * 3600.0, stages=((6.6e-7, 3.8 * 3600.0),))
    table = fit_sample(measured(hot, 5), exchange="63 h", storage=["3.8 h"], ends=hot.ends)
    assert found(table, "d_eff[storage 1]")[0] == pytest.approx(6.6e-7, rel=0.05)
    risen = LineAnalysis(d_exchange=3.0e-9, level=260.0)
    (first, *_) = measured(risen, 5)
    held = fit_exchange(first, time="110 h", x0=0.0)
    free = fit_exchange(first, time="110 h")
    assert found(held, "d_eff")[0] == pytest.approx(8.0e-9, rel=0.25)
    assert "level_off" in flags(held)
    assert found(free, "d_eff")[0] == pytest.approx(3.0e-9, rel=0.05)
    assert found(free, "x0")[0] == pytest.approx(260.0, abs=15.0)


@pytest.mark.parametrize(("k", "time"), [(np.inf, "60 h"), (np.inf, "110 h"), ("free", "60 h")])
def test_a_source_at_both_ends(k: Any, time: str) -> None:
    """A bar of 2 mm whose middle has felt both ends; measured from face to face."""
    from lliso.diffusion.long_range import exchange_share
    from lliso.fit.profile_curves import fitted_curve

    x, far = np.arange(-100.0, 2001.0, 50.0), 2050.0
    hours = float(time.split()[0]) * 3600.0
    share = exchange_share(
        x, 1.5, 60.0, 1e-3 if k == "free" else np.inf, time=hours, ends=(-150.0, far),
        both_ends=True, box=50.0,
    )  # fmt: skip
    profile = xr.Dataset(
        {
            "fraction": ("position", 0.0759 + 0.8741 * share),
            "fraction_std": ("position", np.full(x.shape, 1e-3)),
        },
        {"position": ("position", x, {"units": "um"})},
        {"c_source": 0.95, "c_natural": 0.0759, "box_um": 50.0},
    )
    law: dict[str, Any] = {
        "time": time, "ends": (-150.0, far), "local_spread": 0.0, "k": k, "c0": 0.0759
    }  # fmt: skip
    table = fit_exchange(profile, **law, both_ends=True)
    assert found(table, "d_eff")[0] == pytest.approx(1.5e-8, rel=1e-4)
    assert found(table, "x0")[0] == pytest.approx(60.0, abs=0.05)
    if k == "free":
        assert found(table, "k")[0] == pytest.approx(1e-7, rel=1e-4)
    drawn = fitted_curve(table, 0, x)
    assert drawn is not None
    np.testing.assert_allclose(drawn, table.curve, atol=1e-9)
    assert "residuals_correlated" in flags(fit_exchange(profile, **law))  # one end is another law
    with pytest.raises(ValueError, match="must be of a source at one end, got both_ends"):
        fit_anneal(profile, start=table, time="1 d", ends=(-150.0, far))


def test_several_profiles_at_once() -> None:
    many = [measured(LINE, s)[0].assign_attrs(stage=f"line {s}") for s in (1, 2, 3)]
    one, three = fit_exchange(many[0], time="110 h"), fit_exchange(many, time="110 h")
    assert found(three, "d_eff")[1] < 0.75 * found(one, "d_eff")[1]
    own = fit_exchange(many, time="110 h", separate=["x0"])
    names = [f"x0[line {s}]" for s in (1, 2, 3)]
    assert all(abs(found(own, n)[0] - 260.0) < 15.0 for n in names)
    assert own.sizes["profile"] == 3


def test_immersed_part_of_its_own() -> None:
    counts = measured(LINE)[0].copy(deep=True)
    before = counts.distance.values < 200.0
    total = counts["counts"].values[:, before].sum(axis=0)
    counts["counts"].values[:, before] = np.round([0.8 * total, 0.2 * total]).astype(int)
    table = fit_exchange(counts, time="110 h", immersed="free", c1=0.95)
    assert found(table, "c_immersed")[0] == pytest.approx(0.8, abs=2e-3)
    assert found(table, "d_eff")[0] == pytest.approx(8e-9, rel=0.05)


def stepped(seed: int) -> tuple[xr.Dataset, float]:
    """Immersed part at 0.8 up to a level somewhere between points that are 120 µm apart."""
    from lliso.diffusion.long_range import exchange_fraction

    level = float(np.random.default_rng(1000 + seed).uniform(100.0, 400.0))
    rng = np.random.default_rng(seed)
    x = np.arange(-900.0, 6000.0, 120.0)
    c = exchange_fraction(x, 0.8, level, 0.0759, 0.95, time=396000.0, box=50.0)
    c = c - 0.15 * np.clip((level - x) / 50.0 + 0.5, 0.0, 1.0)
    share = np.clip((c - 0.0759) / 0.8741, 0.0, 1.0)
    c = c + 0.016 * np.sqrt(share * (1.0 - share)) * rng.standard_normal(x.size)
    light = rng.binomial(40_000, np.clip(c, 0.0, 1.0))
    profile = xr.Dataset(
        {"counts": (("species", "position"), [light, 40_000 - light])},
        {"species": ["6Li", "7Li"], "position": ("position", x, {"units": "um"})},
        {"c_source": 0.95, "c_natural": 0.0759, "box_um": 50.0},
    )
    return profile, level


@pytest.mark.parametrize("seed", [3, 4, 7])  # one maximum alone would be 14 to 17 errors off
def test_every_level_that_fits_a_step_is_in_the_errors(seed: int) -> None:
    profile, level = stepped(seed)
    table = fit_exchange(profile, time="110 h", immersed="free")
    value, error = found(table, "x0")
    assert abs(value - level) < 3 * error < 180.0
    d, d_error = found(table, "d_eff")
    assert abs(d - 8e-9) < 3 * d_error
    assert "level_ambiguous" in flags(table)


def test_blur_and_box_are_the_instrument_s() -> None:
    sharp = exact(LineAnalysis(exchange=3600.0, pitch=20.0), 0)
    wide = xr.apply_ufunc(lambda c: c, sharp)
    from lliso.diffusion.long_range import exchange_fraction

    for box, blur in ((200.0, 0.0), (0.0, 80.0)):
        c = exchange_fraction(
            sharp.position.values, 0.8, 0.0, 0.0759, 0.95, time=3600.0, box=box, blur=blur
        )
        seen = wide.assign(fraction=("position", c))
        law = {"time": "1 h", "local_spread": 0.0}
        table = fit_exchange(seen, box=box, blur=blur, **law)
        assert found(table, "d_eff")[0] == pytest.approx(8e-9, rel=1e-4)
        assert found(fit_exchange(seen, box=0.0, **law), "d_eff")[0] > 1.2 * 8e-9


def test_priors_and_held_values() -> None:
    (first, *_) = measured()
    held = fit_exchange(first, time="110 h", c0=0.0759, x0=("260 um", "1 um"))
    assert held.sel(param="c0").fixed
    assert held.stderr.sel(param="c0") == 0
    assert found(held, "x0")[1] < 1.0
    moved = fit_exchange(first, time="110 h", x0=(200.0, 0.01))
    assert found(moved, "x0")[0] == pytest.approx(200.0, abs=0.1)


# ------------------------------------------------------------------------------------ coverage


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "fit", "truth"),
    [
        (BARRIER, lambda p: fit_exchange(p[0], time="110 h", k="free"),
         {"d_eff": 8e-9, "x0": 100.0, "k": 1e-7}),
        (LINE, lambda p: fit_sample(p, **STAGES),
         {"d_eff[exchange]": 8e-9, "x0": 260.0, "d_eff[storage 2]": 3e-9}),
    ],
)  # fmt: skip
def test_intervals_hold_the_truth_as_often_as_they_say(
    line: LineAnalysis, fit: Callable[[Any], xr.Dataset], truth: dict[str, float]
) -> None:
    """60 simulated samples; benchmarks/long_range.py does 400 of each kind."""
    repeats = 60
    levels: dict[str, list[float]] = {n: [] for n in truth}
    for seed in range(repeats):
        table = fit(simulate_line_analysis(line, 5000 + seed)[0])
        for name, true in truth.items():
            row = table.sel(param=name)
            z = abs(float(row.value) - true) / float(row.stderr)
            if name.startswith("d_eff"):
                z = abs(np.log(float(row.value) / true)) * float(row.value / row.stderr)
            if name == "k":
                z = abs(1 / float(row.value) - 1 / true) * float(row.value**2 / row.stderr)
            dof = float(row.student_dof)
            law = ndtr(z) if np.isinf(dof) else stdtr(dof, z)
            levels[name].append(2 * float(law) - 1)
    for values in levels.values():
        for level in (0.68, 0.95):
            share = np.mean(np.array(values) < level)
            assert abs(share - level) < 3 * np.sqrt(level * (1 - level) / repeats)


# -------------------------------------------------------------------------------- what it says


def test_counting_is_reported_and_never_rescaled() -> None:
    (first, *_) = measured()
    table = fit_exchange(first, time="110 h", local_spread=0.0)
    assert table.chi2_red > 2
    assert "poor_fit" in flags(table)
    spread = fit_exchange(first, time="110 h")
    assert spread.chi2_red == pytest.approx(float(table.chi2_red), rel=0.1)
    assert "local_spread" in flags(spread)
    assert abs(spread.local_spread - 0.008) < 3 * spread.local_spread_stderr
    assert found(spread, "d_eff")[1] > 1.5 * found(table, "d_eff")[1]


def test_pure_counting_gives_chi2_of_one() -> None:
    line = LineAnalysis(local_spread=0.0, counts=5000.0)
    reduced = [
        float(fit_exchange(simulate_line_analysis(line, s)[0][0], time="110 h").chi2_red)
        for s in range(12)
    ]
    assert np.mean(reduced) == pytest.approx(1.0, abs=4 * np.sqrt(2 / 54 / 12))


def test_lost_lithium_is_flagged() -> None:
    before, after, last = measured()
    x = after.distance.values
    lost = after.copy(deep=True)
    c = after.counts.values[0] / after.counts.values.sum(axis=0)
    total = after.counts.values.sum(axis=0)
    less = 0.0759 + 0.93 * (c - 0.0759)
    lost["counts"].values[:] = np.round([less * total, (1 - less) * total]).astype(int)
    assert x.size == c.size
    table = fit_sample([before, lost, last], **STAGES)
    assert "li6_drift" in flags(table)
    assert float(table.li6_change[1]) < -3 * float(table.li6_change_stderr[1])


def test_an_equal_profile_is_nan_and_says_so() -> None:
    (first, *_) = measured()
    flat = first.copy(deep=True)
    flat["counts"].values[0], flat["counts"].values[1] = 3000, 37000
    table = fit_exchange(flat, time="110 h")
    assert "no_gradient" in flags(table)
    assert not table.success
    assert np.isnan(found(table, "d_eff")).all()


def test_d_at_a_bound_is_nan_and_says_so() -> None:
    """After the longest anneal everything is level: D has no upper end."""
    line = LineAnalysis(stages=((1e-2, 1e7),))
    table = fit_anneal(
        exact(line, 1), start=true_profiles(line)[0], time=1e7, ends=line.ends, local_spread=0.0
    )
    assert not table.success
    assert np.isnan(found(table, "d_eff")[0])
    assert {"no_gradient", "d_eff_at_bound", "singular_covariance"} & set(flags(table))


def test_what_is_left_open_is_singular() -> None:
    table = fit_exchange(measured()[0].isel(distance=slice(0, 9)), time="110 h")
    assert not table.success
    assert np.isnan(found(table, "d_eff")[0])


def test_no_barrier_leaves_a_lower_limit() -> None:
    table = fit_exchange(measured()[0], time="110 h", k="free")
    assert "no_barrier" in flags(table)
    row = table.sel(param="k")
    assert np.isnan(row.value)
    assert 0 < row.low < np.inf
    assert np.isposinf(row.high)
    # it may still be the start of a storage
    after = fit_anneal(measured()[1], start=table, time="14 d", ends=LINE.ends)
    value, error = found(after, "d_eff")
    assert abs(value - 3e-9) < 3 * error


def test_level_outside_the_data_and_points_without_counts() -> None:
    (first, *_) = measured()
    part = first.isel(distance=slice(14, None)).copy(deep=True)
    part["counts"].values[:, 3] = 0
    table = fit_exchange(part, time="110 h", c1=0.95)
    assert "points_dropped" in flags(table)
    assert table.n_points.item() == part.sizes["distance"] - 1


def test_results_go_through_netcdf(tmp_path: Any) -> None:
    table = fit_sample(measured(), **STAGES)
    table.to_netcdf(tmp_path / "sample.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "sample.nc", engine="h5netcdf") as again:
        xr.testing.assert_allclose(again.value, table.value)
        assert again.attrs["simulated"] == 1


def test_public_names() -> None:
    assert lliso.fit_exchange is fit_exchange
    assert lliso.fit_anneal is fit_anneal
    assert lliso.fit_sample is fit_sample


def test_falling_d_is_flagged() -> None:
    """Celsius taken for kelvin in one of two stages: D falls as the temperature rises."""
    line = LineAnalysis(stages=((3e-9, 14 * 86400.0), (4e-8, 86400.0)))
    law = {"exchange": "110 h", "storage": ["14 d", "1 d"], "ends": line.ends}
    right = fit_sample(measured(line), **law, temperatures=[295.15, 323.15])
    assert "d_falls_with_temperature" not in flags(right)
    wrong = fit_sample(measured(line), **law, temperatures=[295.15, 150.0])
    assert "d_falls_with_temperature" in flags(wrong)
    by_law = fit_sample(measured(line), **law, temperatures=[295.15, 150.0], law="arrhenius")
    assert "d_falls_with_temperature" in flags(by_law)

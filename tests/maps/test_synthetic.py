from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from lliso import schema
from lliso.maps.synthetic import (
    Instrument,
    Solution,
    Specimen,
    draw_structure,
    map_id_of,
    parameters_from,
    parameters_text,
    simulate_maps,
    solve_specimen,
)
from lliso.maps.synthetic_truth import write_experiment, write_simulated

SMALL = Specimen(
    box=(-20.0, -100.0, 120.0, 400.0),
    window=(0.0, 40.0, 100.0, 120.0),
    mesh_fine=3.0,
    mesh_coarse=8.0,
)
COARSE = Instrument(pixels=(100, 80))


@pytest.fixture(scope="module")
def solved() -> Solution:
    return solve_specimen(SMALL, 5)


@pytest.fixture(scope="module")
def simulated(solved: Solution) -> tuple[tuple[xr.Dataset, ...], xr.Dataset]:
    return simulate_maps(SMALL, COARSE, 5, solution=solved)


def chi2(ds: xr.Dataset, fraction: xr.DataArray) -> float:
    """Mean χ² per pixel of n₆ against a binomial of the true fraction."""
    n6 = ds["counts"].sel(species="6Li").values.astype(float)
    n = ds["counts"].sum("species").values.astype(float)
    c = fraction.values
    return float(np.mean((n6 - n * c) ** 2 / (n * c * (1.0 - c))))


def test_maps_are_valid_and_labelled_simulated(
    simulated: tuple[tuple[xr.Dataset, ...], xr.Dataset],
) -> None:
    maps, truth = simulated
    assert [m.attrs["stage"] for m in maps] == ["59 h", "59 h + 16 d"]
    for m in maps:
        schema.check_map(m, needs=["6Li", "7Li"])
        assert m.attrs["simulated"] == 1
        assert all(isinstance(v, str | int | float) for v in m.attrs.values())
        assert m.attrs["map_id"] == map_id_of(m.attrs["parameters"], m.attrs["stage"])
        assert parameters_from(m.attrs["parameters"]) == (SMALL, COARSE, 5)
    assert truth.attrs["map_ids"].split() == [m.attrs["map_id"] for m in maps]


def test_counts_agree_with_the_truth(
    simulated: tuple[tuple[xr.Dataset, ...], xr.Dataset],
) -> None:
    maps, truth = simulated
    for k, m in enumerate(maps):
        total = m["counts"].sum("species").values.mean()
        assert total == pytest.approx(3000.0, abs=4 * np.sqrt(3000.0 / 8000))
        # 8000 pixels: the standard deviation of the mean χ² is √(2/8000) = 0.016
        assert chi2(m, truth["fraction_blurred"][k]) == pytest.approx(1.0, abs=4 * 0.016)


def test_steps_and_slopes_belong_together(
    simulated: tuple[tuple[xr.Dataset, ...], xr.Dataset],
) -> None:
    """Eqs. (2), (3): D dC/dn = P ΔC on every boundary, and steps are those of the image."""
    _, truth = simulated
    flux = SMALL.d_bulk * truth["slope"]
    through = truth["step"] * truth["permeability"]
    for side in range(2):
        assert flux[..., side].values == pytest.approx(through.values, rel=1e-12)
    assert float(truth["step"].mean()) < 0.0


def test_true_step_is_the_jump_in_the_true_image(solved: Solution) -> None:
    """Pixel means just beside a long, flat boundary differ by its step (to a tenth)."""
    _, truth = simulate_maps(
        SMALL, Instrument(pixels=(400, 320), psf_fwhm=0.01, topography=0.0), 5, solution=solved
    )
    fraction, label = truth["fraction"].values[0], truth["label"].values
    size = np.bincount(label.ravel(), minlength=2)
    middle = 0.5 * (truth["x0"] + truth["x1"]).values, 0.5 * (truth["y0"] + truth["y1"]).values
    inside = (middle[0] > 5) & (middle[0] < 95) & (middle[1] > 45) & (middle[1] < 115)
    long = inside & (truth["length"].values > 12.0) & (np.abs(truth["step"].values[0]) > 0.02)
    assert long.sum() >= 3
    for b in np.flatnonzero(long):
        n = np.array([truth["nx"].values[b], truth["ny"].values[b]])
        t = np.array([-n[1], n[0]])
        reach = 0.25 * truth["length"].values[b]
        along = np.linspace(-reach, reach, 15)
        values = []
        for side, name in ((-0.5, "grain1"), (0.5, "grain2")):
            px = middle[0][b] + side * n[0] + along * t[0]
            py = middle[1][b] + side * n[1] + along * t[1]
            i, j = (px / 0.25).astype(int), ((py - 40.0) / 0.25).astype(int)
            assert np.mean(label[j, i] == int(truth[name].values[b])) > 0.9
            values.append(fraction[j, i].mean())
        jump = values[1] - values[0]
        slope = truth["slope"].values[0, b].mean() * 1e-4  # 1/µm, over the 1 µm between the rows
        assert jump == pytest.approx(truth["step"].values[0, b] + slope, rel=0.1)
    assert size.max() > 0


def test_lithium_is_conserved_in_storage(solved: Solution) -> None:
    before, after = (solved.problem.amount(f) for f in solved.fields)
    assert after == pytest.approx(before, rel=1e-12)


def test_psf_conserves_the_total_and_softens_steps(solved: Solution) -> None:
    sharp = simulate_maps(SMALL, Instrument(pixels=(100, 80), psf_fwhm=0.01), 5, solution=solved)[1]
    broad = simulate_maps(SMALL, Instrument(pixels=(100, 80), psf_fwhm=4.0), 5, solution=solved)[1]
    assert float(broad["fraction_blurred"].mean()) == pytest.approx(
        float(sharp["fraction_blurred"].mean()), abs=1e-3
    )
    roughness = [
        float(np.abs(np.diff(t["fraction_blurred"][0], axis=0)).max()) for t in (sharp, broad)
    ]
    assert roughness[1] < 0.6 * roughness[0]


def test_same_seed_same_counts(solved: Solution) -> None:
    again, _ = simulate_maps(SMALL, COARSE, 5, solution=solved)
    first, _ = simulate_maps(SMALL, COARSE, 5)
    other, _ = simulate_maps(SMALL, Instrument(counts=300, pixels=(100, 80)), 5, solution=solved)
    assert np.array_equal(again[0]["counts"], first[0]["counts"])
    assert other[0].attrs["map_id"] != first[0].attrs["map_id"]


def test_netcdf_round_trip(
    simulated: tuple[tuple[xr.Dataset, ...], xr.Dataset], tmp_path: Path
) -> None:
    maps, truth = simulated
    write_simulated(maps[0], tmp_path / "map.nc")
    write_simulated(truth, tmp_path / "truth.nc")
    with xr.open_dataset(tmp_path / "map.nc") as back:
        assert np.array_equal(back["counts"], maps[0]["counts"])
        assert json.loads(back.attrs["parameters"])["seed"] == 5
    with xr.open_dataset(tmp_path / "truth.nc") as back:
        assert float(np.abs(back["fraction_blurred"] - truth["fraction_blurred"]).max()) < 1e-5
        assert np.array_equal(back["label"], truth["label"])
        assert back["step"].values == pytest.approx(truth["step"].values, rel=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Specimen(d_bulk=-1e-8), "d_bulk must be positive"),
        (lambda: Specimen(d_bulk="16 d"), "another dimension"),
        (lambda: Specimen(exchange=-1.0), "exchange must be positive"),
        (lambda: Specimen(c_source=1.5), "c_source must be between 0 and 1"),
        (lambda: Specimen(window=(0, 300, 600, 500)), "window must lie inside the box"),
        (lambda: Specimen(box=(-40, 10, 540, 2600)), "liquid level"),
        (lambda: Specimen(d_spread=-0.1), "d_spread must not be negative"),
        (lambda: Specimen(exchange="59 um"), "exchange must have a unit like s"),
        (lambda: Specimen(permeability_median=np.inf), "permeability_median must be finite"),
        (lambda: Specimen(storage="-1 d"), "storage must be positive, got -86400 s"),
        (lambda: Specimen(box=(0, 1, 2)), "box must be four lengths"),
        (lambda: Instrument(counts=0), "counts must be positive"),
        (lambda: Instrument(pixels=(1, 5)), "pixels must be at least 2 by 2"),
        (lambda: Instrument(psf_fwhm=-1.0), "psf_fwhm must not be negative"),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]


def test_p_zero_and_p_infinite_specimens() -> None:
    """P = 0: lithium stays in the grains at the source. P = inf: no steps, erfc of D_bulk."""
    from scipy.special import erfc

    shut = replace(SMALL, permeability_median=0.0, storage=0.0)
    dark = solve_specimen(shut, 5)
    _, truth = simulate_maps(shut, COARSE, 5, solution=dark)
    far = truth["macro_fraction"].values[0, -3:]
    assert far == pytest.approx(shut.c_natural, abs=1e-12)
    assert np.abs(truth["slope"].values).max() == pytest.approx(0.0, abs=1e-9)
    short = replace(SMALL, exchange=600.0, storage=0.0)
    open_ = draw_structure(short, 5).with_permeability(np.inf)
    solution = solve_specimen(short, 5, structure=open_)
    _, truth = simulate_maps(short, COARSE, 5, solution=solution)
    y = truth["macro_y"].values
    z = y[y > 0] / (2 * np.sqrt(short.d_bulk * 1e8 * short.exchange))
    exact = short.c_natural + (short.c_source - short.c_natural) * erfc(z)
    assert truth["macro_fraction"].values[0, y > 0] == pytest.approx(exact, abs=2e-3)
    assert np.isnan(truth["step"].values).all()


def test_diffusivities_and_elongation_differ_on_request_only() -> None:
    text = parameters_text(SMALL, COARSE, 5)
    assert '"d_spread"' not in text
    assert '"elongation"' not in text
    assert '"clustering"' not in text
    other = replace(SMALL, d_spread=0.3, elongation=3.0)
    assert parameters_from(parameters_text(other, COARSE, 5)) == (other, COARSE, 5)
    grains = draw_structure(other, 5)
    assert np.log(grains.diffusivity / 2.6).std() == pytest.approx(0.3, rel=0.2)
    extent = np.array([np.ptp(grains.vertices[c], axis=0) for c in grains.cells]).mean(axis=0)
    assert extent[1] > 2.0 * extent[0]


def test_unequal_grains_keep_flux_continuous() -> None:
    """D₁ dC/dn = D₂ dC/dn = P ΔC: the slopes on both sides differ as 1/D."""
    other = replace(SMALL, d_spread=0.5)
    _, truth = simulate_maps(other, COARSE, 5)
    d = truth["grain_d"].values
    one, two = truth["slope"].values[0].T
    ratio = d[truth["grain1"].values] / d[truth["grain2"].values]
    assert two / one == pytest.approx(ratio, rel=1e-9)


def test_experiment_is_written_to_a_folder(
    simulated: tuple[tuple[xr.Dataset, ...], xr.Dataset], tmp_path: Path
) -> None:
    paths = write_experiment(*simulated, tmp_path / "new", "try")
    assert [p.name for p in paths] == ["try_59h.nc", "try_59h_16d.nc", "try_truth.nc"]
    with xr.open_dataset(paths[1]) as back:
        assert back.attrs["map_id"] == simulated[0][1].attrs["map_id"]


def test_solution_of_another_specimen_is_refused(solved: Solution) -> None:
    with pytest.raises(ValueError, match="same specimen and seed"):
        simulate_maps(SMALL, COARSE, 6, solution=solved)

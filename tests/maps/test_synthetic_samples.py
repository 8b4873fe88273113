"""The stored samples: what they say about themselves, and that the counts follow the truth."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from lliso import schema
from lliso.maps.synthetic import Instrument, Specimen, map_id_of, parameters_text

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "samples"
SEED = 20241
MAPS = {"59 h": "simulated_llto_59h.nc", "59 h + 16 d": "simulated_llto_59h_16d.nc"}


@pytest.mark.parametrize("stage", MAPS)
def test_stored_map_is_the_one_of_its_parameters(stage: str) -> None:
    with xr.open_dataset(SAMPLES / MAPS[stage]) as ds:
        schema.check_map(ds.load(), needs=["6Li", "7Li"])
        assert ds.attrs["simulated"] == 1
        assert ds.attrs["stage"] == stage
        assert ds.attrs["parameters"] == parameters_text(Specimen(), Instrument(), SEED)
        assert ds.attrs["map_id"] == map_id_of(ds.attrs["parameters"], stage)
        assert dict(ds.sizes) == {"species": 2, "y": 206, "x": 512}
        assert ds["counts"].dtype == np.uint16


@pytest.mark.parametrize("stage", MAPS)
def test_stored_counts_agree_with_the_stored_truth(stage: str) -> None:
    with (
        xr.open_dataset(SAMPLES / MAPS[stage]) as ds,
        xr.open_dataset(SAMPLES / "simulated_llto_truth.nc") as truth,
    ):
        n6 = ds["counts"].sel(species="6Li").values.astype(float)
        n = ds["counts"].sum("species").values.astype(float)
        c = truth["fraction_blurred"].sel(stage=stage).values
    # 105,472 pixels: √(2/105472) = 0.0044
    assert 0.99 < np.mean((n6 - n * c) ** 2 / (n * c * (1 - c))) < 1.01
    assert n.mean() == pytest.approx(3000.0, abs=2.0)
    assert np.sum(n6) == pytest.approx(np.sum(n * c), abs=4 * np.sqrt(np.sum(n * c * (1 - c))))


def test_truth_matches_the_map() -> None:
    with xr.open_dataset(SAMPLES / "simulated_llto_truth.nc") as t:
        assert t.attrs["simulated"] == 1
        specimen = Specimen()
        ratio = t["permeability"] * t["step"] / (specimen.d_bulk * t["slope"].isel(side=0))
        assert ratio.values == pytest.approx(1.0, rel=1e-5)
        d = np.sqrt(4 * t["grain_area"].values / np.pi)
        assert d.mean() == pytest.approx(16.0, rel=0.02)
        assert d.std() == pytest.approx(11.0, rel=0.04)
        mean = specimen.permeability_median * np.exp(0.5 * specimen.permeability_sigma**2)
        assert t["permeability"].mean().item() == pytest.approx(mean, rel=0.05)
        assert t["label"].values.max() < t.sizes["grain"]


def listed() -> dict[str, str]:
    text = (SAMPLES / "README.md").read_text(encoding="utf-8")
    return {name: digest for digest, name in re.findall(r"`([0-9a-f]{64})` \| `([^`]+)`", text)}


def test_every_sample_is_listed_with_its_checksum() -> None:
    files = {
        p.relative_to(SAMPLES).as_posix()
        for p in SAMPLES.rglob("*")
        if p.is_file() and p.name != "README.md"
    }
    known = listed()
    assert files == set(known)
    for name, digest in known.items():
        assert hashlib.sha256((SAMPLES / name).read_bytes()).hexdigest() == digest, name


def test_samples_stay_small() -> None:
    size = sum(p.stat().st_size for p in SAMPLES.rglob("*") if p.is_file())
    assert size <= 6_000_000

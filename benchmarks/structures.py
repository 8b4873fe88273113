"""Simulated polycrystals that the benchmarks share: solved once, kept in a folder, drawn often.

    python benchmarks/structures.py --numbers 16 --fields build/fields

A structure is drawn and solved through the exchange (59 h), blurred by a beam of 1 µm and given a
yield per grain and topography; `counts` then draws Poisson counts of it at any intensity.
Everything is simulated.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from lliso.maps.grains import boundary_network
from lliso.maps.synthetic import Instrument, Specimen, simulate_maps, solve_specimen
from lliso.maps.synthetic_render import scene
from lliso.schema import make_map

D_BULK = 2.6e-8
#: kind -> mean and spread of the grain diameter (µm), start of the view along y (µm), sigma of
#: ln P, clustering of the sizes; a kind's place sets its seeds, so that new ones go last
KINDS = {
    "16": (16.0, 11.0, 300.0, 0.5, 0.0),
    "34": (34.0, 16.0, 380.0, 0.5, 0.0),
    "16 wide": (16.0, 11.0, 300.0, 1.2, 0.0),
    "16 clustered": (16.0, 11.0, 300.0, 0.5, 1.0),
    "16 wide clustered": (16.0, 11.0, 300.0, 1.2, 1.0),
    "34 clustered": (34.0, 16.0, 380.0, 0.5, 1.0),
}


def specimen(kind: str) -> Specimen:
    """The specimen of a kind: 500 × 200 µm in view, 59 h of exchange, no storage."""
    mean, spread, y0, sigma, clustering = KINDS[kind]
    return Specimen(
        grain_mean=mean,
        grain_spread=spread,
        permeability_sigma=sigma,
        d_bulk=D_BULK,
        storage=0.0,
        box=(-40.0, -300.0, 540.0, 1700.0),
        window=(0.0, y0, 500.0, y0 + 200.0),
        mesh_fine=2.0,
        mesh_coarse=6.0,
        clustering=clustering,
    )


@dataclass(frozen=True, eq=False)
class Structure:
    """Mean counts of both isotopes per mean total count, (2, y, x), and the truth."""

    kind: str
    number: int
    intensity: np.ndarray
    truth: xr.Dataset

    def counts(self, level: float, rng: np.random.Generator) -> xr.Dataset:
        """Draw a map of `level` counts a pixel on average."""
        drawn = rng.poisson(level * self.intensity)
        attrs = {"stage": "59 h", "simulated": 1, "map_id": f"{self.kind} {self.number}"}
        axes = {k: self.truth[k].values for k in ("x", "y")}
        return make_map(drawn.astype(np.int64), ["6Li", "7Li"], attrs=attrs, **axes)

    def noiseless(self, level: float = 1e6) -> xr.Dataset:
        """The expected counts themselves, as a map; of so many counts that noise is no matter."""
        axes = {k: self.truth[k].values for k in ("x", "y")}
        counts = np.rint(level * self.intensity).astype(np.int64)
        return make_map(counts, ["6Li", "7Li"], attrs={"stage": "59 h", "simulated": 1}, **axes)

    def network(self) -> xr.Dataset:
        """The network of the true labels."""
        label = self.truth["label"].astype(np.int64).to_dataset(name="label")
        return boundary_network(label)

    def true_of(self, table: xr.Dataset) -> dict[str, np.ndarray]:
        """True P (cm/s) and step of the boundaries of a table, oriented as they are there."""
        t = self.truth
        pairs = zip(t["grain1"].values.tolist(), t["grain2"].values.tolist(), strict=True)
        number = {tuple(sorted(p)): i for i, p in enumerate(pairs)}
        own = zip(table["grain1"].values.tolist(), table["grain2"].values.tolist(), strict=True)
        at = np.array([number.get(tuple(sorted(p)), -1) for p in own])
        sign = np.where(t["grain1"].values[at] == table["grain1"].values, 1.0, -1.0)
        gone = at < 0
        return {
            "p": np.where(gone, np.nan, t["permeability"].values[at].astype(float)),
            "step": np.where(gone, np.nan, sign * t["step"].values[0][at].astype(float)),
        }


def structure(kind: str, number: int, folder: Path) -> Structure:
    """Solve one structure, or take it from `folder`."""
    file = folder / f"structure_{kind.replace(' ', '_')}_{number}.nc"
    if not file.exists():
        _solve(kind, number, file)
    ds = xr.load_dataset(file)
    return Structure(kind, number, ds["intensity"].values, ds.drop_vars("intensity"))


def _solve(kind: str, number: int, file: Path) -> None:
    chosen = specimen(kind)
    seed = 10000 * (1 + list(KINDS).index(kind)) + number
    solution = solve_specimen(chosen, seed)
    _, truth = simulate_maps(chosen, Instrument(counts=1.0), seed, solution=solution)
    mean = scene(solution, Instrument(counts=1.0), solution.fields).intensity(0)
    kept = ["x0", "y0", "x1", "y1", "nx", "ny", "length", "grain1", "grain2"]
    kept += ["permeability", "step", "slope", "label", "grain_area"]
    found = truth[kept].assign(intensity=(("isotope", "y", "x"), mean))
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    found.to_netcdf(part)
    part.replace(file)


def main() -> None:
    """Solve the structures ahead of the benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--numbers", type=int, nargs="*", default=list(range(16)))
    parser.add_argument("--fields", default="build/fields")
    args = parser.parse_args()
    for number in args.numbers:
        for kind in args.kinds:
            started = time.perf_counter()
            structure(kind, number, Path(args.fields))
            print(f"{kind} {number}: {time.perf_counter() - started:.1f} s", flush=True)


if __name__ == "__main__":
    main()

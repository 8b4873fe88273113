"""How long reading takes beside reading the bytes: ``python benchmarks/readers.py``.

Two images of 512 x 512 pixels (2 MB), then two hundred (210 MB), file in the cache of the operating
system, the best of many runs. A map carries the SHA-256 of its file (`map_id`), so that "bytes and
SHA-256" is the floor of any reader that keeps that promise; it is shown beside the bytes alone.
So is the least time that an xarray Dataset of the schema takes whose numbers are there already:
the floor of any reader that returns one.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
import time
from pathlib import Path

import numpy as np
import xarray as xr

from lliso.io import read_map, write_map
from lliso.schema import DEFAULT_ATTRS, make_map

RUNS, RUNS_LARGE = 300, 10


def best(function, runs: int = RUNS) -> float:
    """Least wall time of one call, in ms."""
    function()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


def bif6(path: Path, counts) -> Path:
    """Write images as BIF6."""
    n, ny, nx = counts.shape
    with path.open("wb") as file:
        file.write(b"\0\0BIF6" + struct.pack("<3H", n, nx, ny))
        for i, image in enumerate(counts):
            mass = 7.016 if i == 1 else 6.015 + 10 * i
            file.write(struct.pack("<i3f", i, mass, mass - 0.02, mass + 0.02) + image.tobytes())
    return path


def files(folder: Path) -> dict[str, tuple[Path, dict]]:
    """Write the same map in several formats."""
    n = 512
    counts = np.random.default_rng(1).poisson(20, (2, n, n)).astype("i4")
    axis = np.arange(n) + 0.5
    ds = make_map(counts, ["6Li", "7Li"], x=axis, y=axis)
    plain = folder / "plain.nc"
    ds.to_netcdf(plain, engine="h5netcdf")
    np.savez(folder / "map.npz", **{"6Li": counts[0], "7Li": counts[1]}, x=axis, y=axis)
    return {
        "BIF6": (bif6(folder / "map.bif6", counts), {"fov": (500, 500)}),
        "npz": (folder / "map.npz", {}),
        "netCDF, not compressed": (plain, {}),
        "netCDF of write_map (deflated)": (write_map(ds, folder / "map.nc"), {}),
    }


def large_files(folder: Path) -> dict[str, tuple[Path, dict]]:
    """Write two hundred images, as species or as frames of two species."""
    n = 512
    counts = np.random.default_rng(1).poisson(20, (200, n, n)).astype("i4")
    axis = np.arange(n) + 0.5
    ds = make_map(counts.reshape(2, 100, n, n), ["6Li", "7Li"], x=axis, y=axis)
    plain = folder / "large.nc"
    ds.to_netcdf(plain, engine="h5netcdf")
    return {
        "BIF6, 200 images": (bif6(folder / "large.bif6", counts), {"fov": (500, 500)}),
        "netCDF, not compressed, 100 frames": (plain, {}),
    }


def dataset_alone() -> float:
    """Least time of a Dataset with the schema's names, whose arrays are there already, in ms."""
    n = 512
    counts, axis = np.zeros((2, n, n), "i4"), np.arange(n) + 0.5
    attrs = {"long_name": "counts", "units": "1"}

    def build() -> xr.Dataset:
        return xr.Dataset(
            {"counts": (("species", "y", "x"), counts, attrs)},
            {
                "species": ["6Li", "7Li"],
                "x": ("x", axis, {"units": "um"}),
                "y": ("y", axis, {"units": "um"}),
            },
            {**DEFAULT_ATTRS},
        )

    return best(build)


def table(made: dict[str, tuple[Path, dict]], runs: int) -> None:
    """Print one line for each file."""
    for name, (path, options) in made.items():
        plain = best(path.read_bytes, runs)
        floor = best(lambda p=path: hashlib.sha256(p.read_bytes()).hexdigest(), runs)
        own = best(lambda p=path, o=options: read_map(p, **o), runs)
        peer = float("nan")
        if path.suffix == ".nc":
            peer = best(lambda p=path: xr.load_dataset(p, engine="h5netcdf"), min(runs, 50))
        cells = [f"{t:.2f}" for t in (plain, floor, peer, own)]
        print(f"| {name} | {' | '.join(cells)} | {plain / own:.0%} | {floor / own:.0%} |")


def main() -> None:
    """Print the table."""
    print(f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors, ms")
    print(f"a Dataset of the schema alone: {dataset_alone():.2f} ms")
    print("| file | bytes | with SHA-256 | xarray | lliso | of the bytes' speed | of the floor's |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        table(files(Path(folder)), RUNS)
        table(large_files(Path(folder)), RUNS_LARGE)


if __name__ == "__main__":
    main()

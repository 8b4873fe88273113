"""How long reading takes beside reading the bytes: ``python benchmarks/readers.py``.

Two images of 512 x 512 pixels (2 MB), file in the cache of the operating system, the best of many
runs. A map carries the SHA-256 of its file (`map_id`), so that "bytes and SHA-256" is the floor of
any reader that keeps that promise; it is shown beside the bytes alone.
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
from lliso.schema import make_map

RUNS = 300


def best(function) -> float:
    """Least wall time of one call, in ms."""
    function()
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


def files(folder: Path) -> dict[str, tuple[Path, dict]]:
    """Write the same map in several formats."""
    n = 512
    counts = np.random.default_rng(1).poisson(20, (2, n, n)).astype("i4")
    bif6 = folder / "map.bif6"
    data = b"\0\0BIF6" + struct.pack("<3H", 2, n, n)
    for i, (mass, image) in enumerate(zip((6.015, 7.016), counts, strict=True)):
        data += struct.pack("<i3f", i, mass, mass - 0.02, mass + 0.02) + image.tobytes()
    bif6.write_bytes(data)
    axis = np.arange(n) + 0.5
    ds = make_map(counts, ["6Li", "7Li"], x=axis, y=axis)
    plain = folder / "plain.nc"
    ds.to_netcdf(plain, engine="h5netcdf")
    np.savez(folder / "map.npz", **{"6Li": counts[0], "7Li": counts[1]}, x=axis, y=axis)
    return {
        "BIF6": (bif6, {"fov": (500, 500)}),
        "npz": (folder / "map.npz", {}),
        "netCDF, not compressed": (plain, {}),
        "netCDF of write_map (deflated)": (write_map(ds, folder / "map.nc"), {}),
    }


def main() -> None:
    """Print the table."""
    print(f"load of the machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors, ms")
    print("| file | bytes | with SHA-256 | xarray | lliso | of the bytes' speed | of the floor's |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, (path, options) in files(Path(folder)).items():
            plain = best(path.read_bytes)
            floor = best(lambda p=path: hashlib.sha256(p.read_bytes()).hexdigest())
            own = best(lambda p=path, o=options: read_map(p, **o))
            peer = float("nan")
            if path.suffix == ".nc":
                peer = best(lambda p=path: xr.load_dataset(p, engine="h5netcdf"))
            cells = [f"{t:.2f}" for t in (plain, floor, peer, own)]
            print(f"| {name} | {' | '.join(cells)} | {plain / own:.0%} | {floor / own:.0%} |")


if __name__ == "__main__":
    main()

"""A stack larger than one wants in memory: dead time, drift and sum, with the peak of memory.

    python benchmarks/large_stack.py [--frames 1000] [--size 512] [--format npy|zarr|netcdf]
                                     [--folder FOLDER] [--write FILE.json]

Makes a simulated stack of three species (a drifting specimen, single-stop counting) on disk, then
in a process of its own opens it lazily, corrects the dead time of every frame, measures the drift,
aligns and sums. Reports the seconds of each part and the peak of resident memory (of that process;
VmHWM, which counts pages of files too), and how far drift and counts are from the truth.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SPECIES = ["6Li", "7Li", "23Na"]
SHOTS = 60
RATES = np.array([0.08, 0.25, 0.15])


def scene(size, margin):
    """Relative yield, with grains of some 16 pixels and steps between them."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(1)
    big = gaussian_filter(rng.standard_normal((size + 2 * margin,) * 2), 8, mode="wrap")
    return np.exp(0.15 * np.sign(big) + 0.1 * big / big.std())


def path(frames):
    """Drift in whole pixels, so that the truth of every pixel is known: (y, x) per frame."""
    t = np.arange(frames) / max(frames - 1, 1)
    return np.stack([np.rint(12 * t), np.rint(8 * np.sin(3 * t))], axis=1).astype(int)


def make(folder, frames, size):
    """Write the stack block by block."""
    margin = 16
    whole = scene(size, margin)
    drift = path(frames)
    rng = np.random.default_rng(2)
    file = Path(folder) / "stack.npy"
    shape = (len(SPECIES), frames, size, size)
    out = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint16, shape=shape)
    for f in range(frames):
        y, x = margin - drift[f]
        here = whole[y : y + size, x : x + size]
        for s, rate in enumerate(RATES):
            out[s, f] = rng.binomial(SHOTS, -np.expm1(-rate * here))
    out.flush()
    return file


def convert(file, kind):
    """Store the stack in another format, chunked by frames."""
    import xarray as xr

    if kind == "npy":
        return file
    from lliso.maps.stacks import open_stack

    size = np.load(file, mmap_mode="r").shape[-1]
    axis = np.arange(size) * 1.0
    stack = open_stack(file, SPECIES, x=axis, y=axis)
    target = file.with_suffix({"zarr": ".zarr", "netcdf": ".nc"}[kind])
    counts = xr.Dataset({"counts": stack["counts"]})
    if kind == "zarr":
        counts.to_zarr(target, mode="w")
    else:
        counts.to_netcdf(target, engine="h5netcdf")
    return target


def opened(file, attrs):
    """Open the stack lazily."""
    import xarray as xr

    from lliso.maps.stacks import open_stack
    from lliso.schema import make_map

    if file.suffix == ".npy":
        size = np.load(file, mmap_mode="r").shape[-1]
        axis = np.arange(size) * 1.0
        return open_stack(file, SPECIES, x=axis, y=axis, attrs=attrs)
    engine = {"engine": "zarr"} if file.suffix == ".zarr" else {"engine": "h5netcdf"}
    chunks = {} if file.suffix == ".zarr" else {"frame": 4}
    ds = xr.open_dataset(file, chunks=chunks, **engine)
    axis = np.arange(ds.sizes["x"]) * 1.0
    attrs = {**attrs, "map_id": "benchmark"}
    return make_map(ds["counts"].data, SPECIES, x=axis, y=axis, attrs=attrs)


def peak():
    """Peak of resident memory in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(file):
    """The job; prints its figures as JSON."""
    from lliso.maps.alignment import align_frames
    from lliso.maps.dead_time import correct_dead_time
    from lliso.maps.drift import measure_drift
    from lliso.maps.stacks import sum_stack

    seconds, start = {}, time.perf_counter()

    def lap(name):
        nonlocal start
        seconds[name] = round(time.perf_counter() - start, 1)
        start = time.perf_counter()

    def tell(text):
        print(text, file=sys.stderr)

    raw = opened(file, {"dead_time_corrected": "no"})
    frames, size = raw.sizes["frame"], raw.sizes["x"]
    lap("open")
    drift = measure_drift(raw, progress=tell)
    lap("drift")
    corrected = correct_dead_time(raw, shots=SHOTS)
    aligned = align_frames(corrected, drift)
    total = sum_stack(aligned, progress=tell)
    lap("dead time, alignment, sum")
    true = path(frames) - path(frames).mean(axis=0)
    error = drift["drift"].values[:, ::-1] - true
    expected = RATES * SHOTS * frames
    # what is seen of the scene differs from frame to frame by a margin only
    margin = 16
    whole = scene(size, margin)
    y = np.rint(total.y.values + margin - path(frames).mean(axis=0)[0]).astype(int)
    x = np.rint(total.x.values + margin - path(frames).mean(axis=0)[1]).astype(int)
    truth = expected[:, None, None] * whole[np.ix_(y, x)]
    z = (total["counts"].values - truth) / np.sqrt(total["variance"].values)
    print(
        json.dumps(
            {
                "frames": frames,
                "size": size,
                "species": len(SPECIES),
                "format": file.suffix[1:],
                "raw_mb": round(raw["counts"].nbytes / 2**20),
                "peak_mb": round(peak()),
                "seconds": seconds,
                "drift_rms_px": round(float(np.sqrt(np.mean(error**2))), 4),
                "pull_mean": round(float(z.mean()), 4),
                "pull_variance": round(float(z.var()), 4),
            }
        )
    )


def main():
    """Make, then run in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--format", choices=("npy", "zarr", "netcdf"), default="npy")
    parser.add_argument("--folder", default=None)
    parser.add_argument("--write", default=None)
    parser.add_argument("--run", default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run(Path(options.run))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        file = convert(make(folder, options.frames, options.size), options.format)
        command = [sys.executable, __file__, "--run", str(file)]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    print(text.strip())
    if options.write:
        Path(options.write).write_text(text.strip() + "\n")


if __name__ == "__main__":
    main()

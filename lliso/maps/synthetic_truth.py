"""The truth behind a simulated map, as a tidy Dataset, and how to write it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso._types import BoolArray, FloatArray
from lliso.units import UM_PER_CM

if TYPE_CHECKING:
    import xarray as xr

    from lliso.maps.synthetic_render import Scene
    from lliso.maps.synthetic_solution import Solved

#: boundaries are listed as far as this beyond the field of view, µm
_RIM = 20.0


def truth_dataset(
    solution: Solved,
    under_beam: Scene,
    x: FloatArray,
    y: FloatArray,
    attrs: Mapping[str, Any],
    imaged: tuple[FloatArray, ...] | None = None,
) -> xr.Dataset:
    """Put the truth together (see `lliso.maps.synthetic.simulate_maps`).

    `imaged` are the fields after diffusion in the cold, if there was any: the picture then shows
    them, while `step` and `slope` stay those of the end of the stage.
    """
    import xarray as xr

    edges = solution.boundaries
    near = _near(edges.segments, solution.specimen.window)
    segments = edges.segments[near]
    step, slope = _steps_and_slopes(solution, solution.fields, near)
    stages = range(len(solution.stages))
    fraction = np.stack([under_beam.pixels(c) for c in under_beam.fraction])
    intensity = np.stack([under_beam.intensity(k) for k in stages])
    blurred = intensity[:, 0] / intensity.sum(axis=1)
    grain_d = solution.grain_diffusivity / UM_PER_CM**2
    rate, label = under_beam.pixels(under_beam.rate), under_beam.label
    macro_y, macro = mean_profile(solution)
    b, st = "boundary", "stage"

    def var(dims: Any, values: Any, units: str, name: str) -> Any:
        return (dims, values, {"units": units, "long_name": name})

    data = {
        "x0": var(b, segments[:, 0, 0], "um", "end point"),
        "y0": var(b, segments[:, 0, 1], "um", "end point"),
        "x1": var(b, segments[:, 1, 0], "um", "end point"),
        "y1": var(b, segments[:, 1, 1], "um", "end point"),
        "nx": var(b, edges.normals[near, 0], "1", "unit normal, from grain1 to grain2"),
        "ny": var(b, edges.normals[near, 1], "1", "unit normal, away from the source"),
        "length": var(b, edges.lengths[near], "um", "length of the boundary"),
        "grain1": var(b, edges.grains[near, 0].astype(np.uint16), "1", "grain"),
        "grain2": var(b, edges.grains[near, 1].astype(np.uint16), "1", "grain"),
        "permeability": var(b, edges.permeability[near] / UM_PER_CM, "cm/s", "P = D_gb/delta"),
        "step": var((st, b), step, "1", "mean C in grain2 minus grain1 along the boundary"),
        "slope": var((st, b, "side"), slope, "1/cm", "mean dC/dn at the boundary, per side"),
        "fraction": var((st, "y", "x"), fraction, "1", "mean C of the pixel"),
        "fraction_blurred": var((st, "y", "x"), blurred, "1", "C as the beam sees it"),
        "relative_yield": var(("y", "x"), rate, "1", "yield and topography, mean 1"),
        "label": var(("y", "x"), label.astype(np.uint16), "1", "grain at the pixel's centre"),
        "grain_area": var("grain", solution.grain_areas, "um2", "area of the grain"),
        "grain_d": var("grain", grain_d, "cm2/s", "D in the grain"),
        "macro_fraction": var((st, "macro_y"), macro, "1", "C averaged over x"),
    }
    if edges.sin_dip is not None:
        data["sin_dip"] = var(b, edges.sin_dip[near], "1", "sine of the dip below the surface")
    if imaged is not None:
        cold, _ = _steps_and_slopes(solution, imaged, near)
        data["step_imaged"] = var((st, b), cold, "1", "step after diffusion in the cold")
    return xr.Dataset(
        data,
        coords={
            "stage": list(solution.stages),
            "side": ["grain1", "grain2"],
            "x": ("x", x, {"units": "um"}),
            "y": ("y", y, {"units": "um"}),
            "macro_y": ("macro_y", macro_y, {"units": "um"}),
        },
        attrs={**attrs, "mean_intercept_um": solution.mean_intercept},
    )


def _near(segments: FloatArray, window: tuple[float, float, float, float]) -> BoolArray:
    x0, y0, x1, y1 = window
    low, high = segments.min(axis=1), segments.max(axis=1)
    return np.asarray(
        (high[:, 0] > x0 - _RIM)
        & (low[:, 0] < x1 + _RIM)
        & (high[:, 1] > y0 - _RIM)
        & (low[:, 1] < y1 + _RIM)
    )


def _steps_and_slopes(
    solution: Solved, fields: Sequence[FloatArray], near: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """Step per stage and boundary, and slope (1/cm) also per side."""
    both = [solution.steps_and_slopes(f) for f in fields]
    steps, slopes = np.stack([b[0][near] for b in both]), np.stack([b[1][near] for b in both])
    return steps, slopes * UM_PER_CM


def mean_profile(solution: Solved, pitch: float = 10.0) -> tuple[FloatArray, FloatArray]:
    """C averaged over the width: y in µm, every `pitch`, and C (stage, y)."""
    x0, y0, x1, y1 = solution.extent
    n = max(int((y1 - y0) / pitch), 2)
    y = y0 + (np.arange(n) + 0.5) * (y1 - y0) / n
    m = max(int((x1 - x0) / 2.0), 2)
    x = x0 + (np.arange(m) + 0.5) * (x1 - x0) / m
    matrix, _ = solution.sample(x, y)
    profile = [(matrix @ f).reshape(n, m).mean(axis=1) for f in solution.fields]
    return y, np.stack(profile)


def write_experiment(
    maps: Sequence[xr.Dataset],
    truth: xr.Dataset,
    folder: str | os.PathLike[str],
    name: str,
    *,
    write: Callable[[xr.Dataset, Path], object] | None = None,
) -> tuple[Path, ...]:
    """Write the maps of an experiment and its truth into a folder.

    Parameters
    ----------
    maps : sequence of xarray.Dataset
        One map per stage, written to ``NAME_<stage>.nc``.
    truth : xarray.Dataset
        Written to ``NAME_truth.nc``.
    folder : path
        Made if it does not exist.
    name : str
        First part of the file names.
    write : callable, optional
        What writes a map: `lliso.write_map` seals it with a checksum. Without, `write_simulated`,
        as the samples were; their checksums are in their README.

    Returns
    -------
    tuple of pathlib.Path
        The files, the truth last.
    """
    into = Path(folder)
    into.mkdir(parents=True, exist_ok=True)
    paths = []
    for ds in maps:
        stage = str(ds.attrs["stage"]).replace(" + ", "_").replace(" ", "")
        paths.append(into / f"{name}_{stage}.nc")
        (write or write_simulated)(ds, paths[-1])
    paths.append(into / f"{name}_truth.nc")
    write_simulated(truth, paths[-1])
    return tuple(paths)


#: variables left out of the file of a sample: large, and not needed to judge a fit
_DERIVED = ("fraction", "relative_yield")
_LEVELS = 65534.0


def write_simulated(
    ds: xr.Dataset, path: str | os.PathLike[str], *, leave_out: Sequence[str] = _DERIVED
) -> None:
    """Write a simulated map, its truth, or what belongs to it, as compressed netCDF.

    The blurred fraction is stored in steps of 1/65534 (half a step is 1e-5), other real numbers in
    single precision. There is no seal: this floor knows nothing of file formats (see `lliso.io`).

    Parameters
    ----------
    ds : xarray.Dataset
        A map, or the truth.
    path : path
    leave_out : sequence of str
        Variables that are not written; by default the unblurred fraction and the yield, to keep
        the samples small.
    """
    ds = ds.drop_vars([n for n in leave_out if n in ds])
    packed = {"zlib": True, "complevel": 9, "shuffle": True}
    encoding: dict[str, dict[str, Any]] = {}
    for name, v in ds.data_vars.items():
        encoding[str(name)] = dict(packed)
        if v.dtype.kind == "f":
            encoding[str(name)]["dtype"] = "float32"
    if "fraction_blurred" in ds:
        small = {"dtype": "uint16", "scale_factor": 1.0 / _LEVELS, "_FillValue": 65535}
        encoding["fraction_blurred"] |= small
    ds.to_netcdf(path, engine="h5netcdf", encoding=encoding)

"""Simulated experiments on a polycrystal, with the truth beside them.

Grains and permeabilities are drawn, diffusion is solved (`lliso.diffusion.polycrystal`), and the
fraction is turned into counts: yield of each grain and topography, the beam's point spread on the
intensity of each isotope, then counting. Everything is simulated and says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from lliso import schema
from lliso._types import FloatArray, IntArray
from lliso.diffusion.mesh import Mesh, graded_size, sampling_matrix, triangulate
from lliso.diffusion.polycrystal import Polycrystal, Stage, run_stages
from lliso.diffusion.splitting import split_at
from lliso.diffusion.structures import (
    Structure,
    laguerre_structure,
    lognormal_permeability,
)
from lliso.maps.synthetic_parameters import (
    Instrument,
    Specimen,
    map_id_of,
    parameters_from,
    parameters_text,
)
from lliso.units import UM_PER_CM

if TYPE_CHECKING:
    import xarray as xr

FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))
__all__ = [
    "Instrument",
    "Solution",
    "Specimen",
    "draw_structure",
    "expected_intensity",
    "map_id_of",
    "parameters_from",
    "parameters_text",
    "simulate_maps",
    "solve_specimen",
]

#: points per pixel and direction at which the field is sampled before blurring
_OVERSAMPLE = 3
#: pixels beyond the field of view that the blur may reach into
_MARGIN = 3
#: independent random streams of one seed, so that a new effect does not change the others
_STREAM = {"grains": 1, "permeability": 2, "yield": 3, "topography": 4, "counts": 10}


@dataclass(frozen=True, eq=False)
class Solution:
    """A specimen solved: the grains and C on the mesh at the end of every stage."""

    specimen: Specimen
    seed: int
    structure: Structure
    problem: Polycrystal
    stages: tuple[str, ...]
    fields: tuple[FloatArray, ...]

    @property
    def mesh(self) -> Mesh:
        """The mesh."""
        return self.problem.mesh


def _rng(seed: int, stream: str, number: int = 0) -> np.random.Generator:
    return np.random.default_rng([seed, _STREAM[stream], number])


def draw_structure(specimen: Specimen, seed: int) -> Structure:
    """Draw the grains and their permeabilities (lengths in µm, P in µm/s, D in µm²/s)."""
    grains = laguerre_structure(
        specimen.box,
        specimen.grain_mean,
        specimen.grain_spread,
        _rng(seed, "grains"),
        diffusivity=specimen.d_bulk * UM_PER_CM**2,
    )
    if specimen.permeability_median == 0:
        return grains.with_permeability(0.0)
    p = lognormal_permeability(
        grains,
        specimen.permeability_median * UM_PER_CM,
        specimen.permeability_sigma,
        _rng(seed, "permeability"),
    )
    return grains.with_permeability(p)


def solve_specimen(
    specimen: Specimen,
    seed: int,
    *,
    structure: Structure | None = None,
    progress: Callable[[str], None] | None = None,
) -> Solution:
    """Draw a specimen and solve exchange, then storage.

    Parameters
    ----------
    specimen : Specimen
    seed : int
    structure : Structure, optional
        Grains to use instead of drawn ones (µm, µm/s, µm²/s); must fill `specimen.box`.
    progress : callable, optional
        Called with a line of text before each part.

    Returns
    -------
    Solution
    """
    tell = progress or _silent
    tell("grains")
    if structure is None:
        structure = draw_structure(specimen, seed)
    tell("mesh")
    pixel = 5.0
    x0, y0, x1, y1 = specimen.window
    size = graded_size(
        (x0 - pixel, y0 - pixel, x1 + pixel, y1 + pixel), specimen.mesh_fine, specimen.mesh_coarse
    )
    problem = Polycrystal(triangulate(split_at(structure, 0.0), size))
    stages = [Stage(specimen.exchange, source=specimen.c_source)]
    names = [_duration(specimen.exchange)]
    if specimen.storage > 0:
        stages.append(Stage(specimen.storage))
        names.append(f"{names[0]} + {_duration(specimen.storage)}")
    solved = run_stages(
        problem,
        stages,
        initial=specimen.c_natural,
        source=problem.mesh.points[:, 1] <= 1e-9,
        progress=tell,
    )
    return Solution(specimen, seed, structure, problem, tuple(names), tuple(solved))


def _silent(_: str) -> None:
    pass


def _duration(seconds: float) -> str:
    """Text of a duration in the largest unit that keeps it short: 59 h, 16 d.

    >>> _duration(59 * 3600.0), _duration(16 * 86400.0), _duration(90.0)
    ('59 h', '16 d', '90 s')
    """
    days, hours = seconds / 86400.0, seconds / 3600.0
    if days >= 7:
        return f"{days:.6g} d"
    return f"{hours:.6g} h" if hours >= 1 else f"{seconds:.6g} s"


def expected_intensity(
    solution: Solution, instrument: Instrument
) -> tuple[FloatArray, FloatArray, FloatArray, IntArray]:
    """Noise-free mean counts per pixel and isotope, the true fraction, and the grains.

    Returns
    -------
    intensity : array, shape (stage, 2, y, x)
        Mean counts of ⁶Li and ⁷Li, blurred by the beam.
    fraction : array, shape (stage, y, x)
        Mean C of each pixel before blurring.
    relative_yield : array, shape (y, x)
        Yield and topography of each pixel, mean 1.
    label : int array, shape (y, x)
        Grain at the pixel's centre.
    """
    nx, ny = instrument.pixels
    x0, y0, x1, y1 = solution.specimen.window
    dx, dy = (x1 - x0) / nx, (y1 - y0) / ny
    fx = _fine_axis(x0, dx, nx)
    fy = _fine_axis(y0, dy, ny)
    matrix, grain = sampling_matrix(solution.mesh, fx, fy)
    rate = _relative_yield(solution, instrument, grain, (dx, dy))
    inner = (slice(_MARGIN, -_MARGIN),) * 2
    rate /= _binned(rate)[inner].mean()
    sigma = instrument.psf_fwhm / FWHM_PER_SIGMA * _OVERSAMPLE / np.array([dy, dx])
    intensity, fraction = [], []
    for field in solution.fields:
        c = (matrix @ field).reshape(grain.shape)
        fraction.append(_binned(c)[inner])
        both = (_binned(gaussian_filter(part * rate, sigma))[inner] for part in (c, 1.0 - c))
        intensity.append(instrument.counts * np.stack(list(both)))
    centre = _OVERSAMPLE // 2
    label = grain[centre::_OVERSAMPLE, centre::_OVERSAMPLE][inner]
    return np.stack(intensity), np.stack(fraction), _binned(rate)[inner], label


def _fine_axis(start: float, pitch: float, n: int) -> FloatArray:
    k = np.arange((n + 2 * _MARGIN) * _OVERSAMPLE)
    return np.asarray(start - _MARGIN * pitch + (k + 0.5) * pitch / _OVERSAMPLE)


def _binned(fine: FloatArray) -> FloatArray:
    ny, nx = (n // _OVERSAMPLE for n in fine.shape)
    return np.asarray(fine.reshape(ny, _OVERSAMPLE, nx, _OVERSAMPLE).mean(axis=(1, 3)))


def _relative_yield(
    solution: Solution, instrument: Instrument, grain: IntArray, pitch: tuple[float, float]
) -> FloatArray:
    normal = _rng(solution.seed, "yield").standard_normal(solution.structure.n_grains)
    rate = np.exp(instrument.yield_spread * normal)[grain]
    if instrument.topography > 0:
        noise = _rng(solution.seed, "topography").standard_normal(grain.shape)
        step = np.array([pitch[1], pitch[0]]) / _OVERSAMPLE
        smooth = gaussian_filter(noise, instrument.topography_length / step, mode="wrap")
        rate = rate * np.exp(instrument.topography * smooth / smooth.std())
    return np.asarray(rate)


def simulate_maps(
    specimen: Specimen,
    instrument: Instrument,
    seed: int,
    *,
    solution: Solution | None = None,
    progress: Callable[[str], None] | None = None,
) -> tuple[tuple[xr.Dataset, ...], xr.Dataset]:
    """Simulate one map per stage, and the truth behind them.

    Parameters
    ----------
    specimen : Specimen
    instrument : Instrument
    seed : int
        Everything random follows from it.
    solution : Solution, optional
        `solve_specimen` of the same specimen and seed, to measure it again in another way.
    progress : callable, optional
        Called with a line of text before each part.

    Returns
    -------
    maps : tuple of xarray.Dataset
        One map per stage, see `lliso.schema`.
    truth : xarray.Dataset
        Per boundary, pixel and grain what was put in and what it led to.

    Raises
    ------
    ValueError
        If `solution` belongs to another specimen or seed.

    Examples
    --------
    >>> small = Specimen(box=(-20, -60, 60, 160), window=(0, 20, 40, 60), mesh_coarse=8.0,
    ...                  mesh_fine=4.0)
    >>> maps, truth = simulate_maps(small, Instrument(pixels=(40, 40)), seed=1)
    >>> [m.attrs["stage"] for m in maps], truth.attrs["simulated"]
    (['59 h', '59 h + 16 d'], 1)
    """
    tell = progress or _silent
    if solution is None:
        solution = solve_specimen(specimen, seed, progress=progress)
    elif solution.specimen != specimen or solution.seed != seed:
        raise ValueError("solution must belong to the same specimen and seed, got another")
    tell("counts")
    intensity, fraction, rate, label = expected_intensity(solution, instrument)
    nx, ny = instrument.pixels
    x0, y0, x1, y1 = specimen.window
    x = x0 + (np.arange(nx) + 0.5) * (x1 - x0) / nx
    y = y0 + (np.arange(ny) + 0.5) * (y1 - y0) / ny
    maps = []
    for k, stage in enumerate(solution.stages):
        counts = _rng(seed, "counts", k).poisson(intensity[k])
        kind = np.uint16 if counts.max() < 2**16 else np.uint32
        maps.append(
            schema.make_map(
                counts.astype(kind),
                [schema.LI6, schema.LI7],
                x=x,
                y=y,
                attrs=_attributes(specimen, instrument, seed, stage),
            )
        )
    truth = _truth(solution, instrument, intensity, fraction, rate, label, x, y)
    return tuple(maps), truth


def _attributes(
    specimen: Specimen, instrument: Instrument, seed: int, stage: str
) -> dict[str, str | int | float]:
    text = parameters_text(specimen, instrument, seed)
    return {
        "map_id": map_id_of(text, stage),
        "stage": stage,
        "instrument": "simulated",
        "source": "simulated by lliso.maps.synthetic",
        "simulated": 1,
        "seed": seed,
        "parameters": text,
        "orientation": "y grows away from the source; y = 0 is the liquid level",
        "dead_time_corrected": "not needed",
        "c_natural": specimen.c_natural,
        "c_source": specimen.c_source,
        "exchange_s": specimen.exchange,
        "storage_s": specimen.storage if "+" in stage else 0.0,
        "d_bulk_cm2_s": specimen.d_bulk,
        "psf_fwhm_um": instrument.psf_fwhm,
        "history": "simulated; not a measurement",
    }


def _truth(
    solution: Solution,
    instrument: Instrument,
    intensity: FloatArray,
    fraction: FloatArray,
    rate: FloatArray,
    label: IntArray,
    x: FloatArray,
    y: FloatArray,
) -> xr.Dataset:
    from lliso.maps.synthetic_truth import truth_dataset

    attrs = _attributes(solution.specimen, instrument, solution.seed, solution.stages[-1])
    for name in ("stage", "storage_s", "map_id", "dead_time_corrected"):
        attrs.pop(name)
    blurred = intensity[:, 0] / intensity.sum(axis=1)
    attrs["map_ids"] = " ".join(
        map_id_of(str(attrs["parameters"]), stage) for stage in solution.stages
    )
    return truth_dataset(solution, x, y, fraction, blurred, rate, label, attrs)

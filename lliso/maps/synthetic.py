"""Simulated experiments on a polycrystal, with the truth beside them.

Grains and permeabilities are drawn, diffusion is solved (`lliso.diffusion.polycrystal`), and the
fraction is turned into counts: yield of each grain and topography, the beam's point spread on the
intensity of each isotope, then counting, with whatever a detector does to it (`Artefacts`).
Everything is simulated and says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from lliso import schema
from lliso._types import FloatArray, IntArray
from lliso.maps.synthetic_detector import Detected, detect
from lliso.maps.synthetic_parameters import (
    Artefacts,
    Cooling,
    Instrument,
    Specimen,
    effects_from,
    map_id_of,
    parameters_from,
    parameters_text,
)
from lliso.maps.synthetic_render import Scene, scene
from lliso.maps.synthetic_solution import (
    Solution,
    Solved,
    cooled,
    draw_structure,
    silent,
    solve_specimen,
    stream,
)

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Artefacts",
    "Cooling",
    "Instrument",
    "Solution",
    "Specimen",
    "draw_structure",
    "effects_from",
    "map_id_of",
    "parameters_from",
    "parameters_text",
    "simulate_maps",
    "solve_specimen",
]


def simulate_maps(
    specimen: Specimen,
    instrument: Instrument,
    seed: int,
    *,
    artefacts: Artefacts | None = None,
    cooling: Cooling | None = None,
    solution: Solved | None = None,
    progress: Callable[[str], None] | None = None,
) -> tuple[tuple[xr.Dataset, ...], xr.Dataset]:
    """Simulate one map per stage, and the truth behind them.

    Parameters
    ----------
    specimen : Specimen
    instrument : Instrument
    seed : int
        Everything random follows from it.
    artefacts : Artefacts, optional
        What the detector and the drift do; without, counts are Poisson of the true intensity.
    cooling : Cooling, optional
        Diffusion at the imaging temperature; without, none.
    solution : Solution or LabelSolution, optional
        `solve_specimen` of the same specimen and seed, to measure it again in another way; or
        another specimen of it, see `lliso.maps.synthetic_labels` (a segmented micrograph, a
        surface with inclined boundaries).
    progress : callable, optional
        Called with a line of text before each part.

    Returns
    -------
    maps : tuple of xarray.Dataset
        One map per stage, see `lliso.schema`; with several frames, counts have the dimension
        ``frame``.
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
    tell = progress or silent
    if solution is None:
        solution = solve_specimen(specimen, seed, progress=progress)
    elif solution.specimen != specimen or solution.seed != seed:
        raise ValueError("solution must belong to the same specimen and seed, got another")
    fields = solution.fields
    if cooling is not None:
        tell("cooling")
        fields = cooled(solution, cooling)
    tell("counts")
    under_beam = scene(solution, instrument, fields, artefacts)
    text = parameters_text(specimen, instrument, seed, artefacts, cooling)
    maps, detected = [], []
    for k, stage in enumerate(solution.stages):
        if artefacts is None:
            counts: IntArray = stream(seed, "counts", k).poisson(under_beam.intensity(k))
        else:
            detected.append(detect(under_beam, k, artefacts, seed))
            counts = detected[-1].counts
            counts = counts if artefacts.frames > 1 else counts[:, 0]
        maps.append(_map(counts, solution, instrument, stage, text, artefacts))
    return tuple(maps), _truth(solution, under_beam, fields, text, detected, cooling is not None)


def _axes(specimen: Specimen, instrument: Instrument) -> tuple[FloatArray, FloatArray]:
    nx, ny = instrument.pixels
    x0, y0, x1, y1 = specimen.window
    x = x0 + (np.arange(nx) + 0.5) * (x1 - x0) / nx
    y = y0 + (np.arange(ny) + 0.5) * (y1 - y0) / ny
    return x, y


def _map(
    counts: IntArray,
    solution: Solved,
    instrument: Instrument,
    stage: str,
    text: str,
    artefacts: Artefacts | None,
) -> xr.Dataset:
    kinds = [k for k in (np.uint8, np.uint16, np.uint32) if counts.max() <= np.iinfo(k).max]
    kind = kinds[0] if counts.ndim == 4 else np.promote_types(kinds[0], np.uint16)
    x, y = _axes(solution.specimen, instrument)
    attrs = _attributes(solution, instrument, stage, text)
    if artefacts is not None and artefacts.shots:
        attrs |= {"dead_time_corrected": "no", "shots_per_pixel": artefacts.shots}
    return schema.make_map(counts.astype(kind), [schema.LI6, schema.LI7], x=x, y=y, attrs=attrs)


def _attributes(
    solution: Solved, instrument: Instrument, stage: str, text: str
) -> dict[str, str | int | float]:
    specimen = solution.specimen
    return {
        "map_id": map_id_of(text, stage),
        "stage": stage,
        "instrument": "simulated",
        "source": "simulated by lliso.maps.synthetic",
        "simulated": 1,
        "seed": solution.seed,
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
    solution: Solved,
    under_beam: Scene,
    imaged: tuple[FloatArray, ...],
    text: str,
    detected: list[Detected],
    cold: bool,
) -> xr.Dataset:
    from lliso.maps.synthetic_truth import truth_dataset

    instrument = under_beam.instrument
    attrs = _attributes(solution, instrument, solution.stages[-1], text)
    for name in ("stage", "storage_s", "map_id", "dead_time_corrected"):
        attrs.pop(name)
    attrs["map_ids"] = " ".join(map_id_of(text, stage) for stage in solution.stages)
    x, y = _axes(solution.specimen, instrument)
    truth = truth_dataset(solution, under_beam, x, y, attrs, imaged if cold else None)
    if detected:
        truth["drift"] = (
            ("stage", "frame", "axis"),
            np.stack([d.offset for d in detected]),
            {"units": "um", "long_name": "offset of the specimen, (x, y)"},
        )
        truth["current"] = (
            ("stage", "frame"),
            np.stack([d.current for d in detected]),
            {"units": "1", "long_name": "beam current over its mean"},
        )
    return truth

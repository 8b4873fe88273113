"""Mark what Fig. 3 needs on the simulated sample: landmarks, a line, the boundary of panel e.

It starts from the twelve boundaries of ``make_sample_picks.py``, which were marked by geometry
before any fit, and adds what a person would:

* six landmarks, points where three grains meet, each set with an error of 0.5 µm on the map and
  0.3 µm in the image (standard deviation per coordinate, seed 20245);
* the boundary of panel e: of the twelve, the one whose true P is nearest to the paper's
  2.6e-8 · 1.1 / 0.02 = 1.43e-6 cm/s. A choice by the truth, not by what a fit says of it;
* the line of panel d: across that boundary along its normal, from edge to edge of the map.

Run from anywhere: ``python scripts/make_figure_picks.py``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

import lliso
from lliso.maps.cuts import map_extent
from lliso.maps.picks import Landmark
from lliso.maps.truth import boundary_segments

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "data" / "samples"
PICKS = ROOT / "notebooks" / "picks"
TARGET = PICKS / "fig3_map_and_boundaries.json"

SEED = 20245
PAPER = 2.6e-8 * 1.1 / 0.02
MAP_ERROR_UM, IMAGE_ERROR_UM = 0.5, 0.3
#: where landmarks are looked for, as shares of the map's width and height
SPOTS = ((0.08, 0.15), (0.92, 0.12), (0.45, 0.45), (0.1, 0.85), (0.55, 0.88), (0.93, 0.8))
MARGIN_UM = 4.0


def landmarks(truth: xr.Dataset, image: xr.DataArray, extent) -> tuple[Landmark, ...]:
    """Triple points near the spots, set as a person would."""
    rng = np.random.default_rng(SEED)
    ends, times = np.unique(boundary_segments(truth).reshape(-1, 2), axis=0, return_counts=True)
    triple = ends[times >= 3]
    a = image.attrs
    matrix = np.array([[a["to_map_xx"], a["to_map_xy"]], [a["to_map_yx"], a["to_map_yy"]]])
    offset = np.array([a["to_map_x0"], a["to_map_y0"]])
    found = []
    for number, spot in enumerate(SPOTS, start=1):
        at = extent[:, 0] + np.array(spot) * (extent[:, 1] - extent[:, 0])
        point = triple[np.argmin(np.hypot(*(triple - at).T))]
        there = point + rng.normal(0, MAP_ERROR_UM, 2)
        here = np.linalg.solve(matrix, point - offset) + rng.normal(0, IMAGE_ERROR_UM, 2)
        pair = {"map_point": tuple(there.tolist()), "image_point": tuple(here.tolist())}
        found.append(Landmark(name=f"L{number}", **pair))
    return tuple(found)


def across(cut: lliso.LineCut, position: float, extent) -> lliso.LineCut:
    """The line along a cut, from edge to edge of the map."""
    middle, direction = np.array(cut.point(position)), np.array(cut.direction)
    steps = np.linspace(-600, 600, 24_001)[:, None] * direction + middle
    inside = np.all((steps > extent[:, 0] + MARGIN_UM) & (steps < extent[:, 1] - MARGIN_UM), axis=1)
    start, end = steps[inside][[0, -1]]
    return lliso.LineCut(
        name="line", start=tuple(start.tolist()), end=tuple(end.tolist()), width=cut.width
    )


def main() -> None:
    """Write the picks file."""
    ds = lliso.read_map(SAMPLES / "simulated_llto_59h.nc")
    image = xr.load_dataset(SAMPLES / "simulated_llto_micrograph.nc", engine="h5netcdf")
    truth = xr.load_dataset(SAMPLES / "simulated_llto_truth.nc", engine="h5netcdf")
    picks = lliso.Picks.load(PICKS / "explore_grain_boundaries.json")
    extent = np.array(map_extent(ds))
    points = [picks.cut(b.cut).point(b.position) for b in picks.boundaries]
    true = lliso.true_permeability(truth, *np.array(points).T)
    chosen = picks.boundaries[int(np.argmin(np.abs(np.log(true / PAPER))))]
    picks = picks.with_boundary(chosen.model_copy(update={"note": "panel e"}))
    picks = picks.with_cut(across(picks.cut(chosen.cut), chosen.position, extent))
    picks = picks.with_note(
        "Simulated sample. The boundaries of explore_grain_boundaries.json; landmarks, line and "
        "panel e by scripts/make_figure_picks.py, by rules that look at no fit."
    )
    marks = landmarks(truth, image, extent)
    lliso.Picks(**{**dict(picks), "landmarks": marks}).save(TARGET)


if __name__ == "__main__":
    main()

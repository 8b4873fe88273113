"""Mark boundaries of the simulated sample for the first notebook, by their geometry alone.

This stands for a person who sees the boundaries on a laser-microscope image of the etched surface:
where they are and how far the grains beside them reach, not how large their steps are. The rule was
written down, and the picks were made, before any boundary was fitted.

The first rule (30 µm, 50°, 80 %, 15 µm, cuts wholly on the map) found 1 boundary, the second
(15 µm, 60°, 80 %, 12 µm) 5, both before any fit as well. The rule in force:

* straight boundaries of at least 15 µm whose normal is within 60° of y,
* a cut along the normal through the middle, 60 % of the boundary wide,
* free of any other boundary over its whole width for at least 10 µm on each side (the window ends
  there, at the edge of the map, or after 60 µm);
* of these the 12 with the largest width · reach³, which is what the error of the slope goes with.

Run from anywhere: ``python scripts/make_sample_picks.py``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

import lliso
from lliso.maps.cuts import map_extent
from lliso.maps.truth import boundary_segments, free_reach

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "data" / "samples"
TARGET = ROOT / "notebooks" / "picks" / "explore_grain_boundaries.json"

SHORTEST_UM = 15.0
STEEPEST_DEG = 60.0
WIDTH_SHARE = 0.6
LEAST_REACH_UM = 10.0
LONGEST_REACH_UM = 60.0
MARGIN_UM = 5.0
HOW_MANY = 12


def room(middle, direction, width: float, extent) -> float:
    """How far a band from `middle` along `direction` stays on the map, in µm."""
    side = np.array([-direction[1], direction[0]]) * width / 2
    far = LONGEST_REACH_UM + MARGIN_UM
    for corner in (np.array(middle) + side, np.array(middle) - side):
        for axis in (0, 1):
            if direction[axis]:
                edge = extent[axis][1] if direction[axis] > 0 else extent[axis][0]
                far = min(far, (edge - corner[axis]) / direction[axis])
    return float(far)


def main() -> None:
    """Write the picks file."""
    ds = lliso.read_map(SAMPLES / "simulated_llto_59h.nc")
    later = lliso.read_map(SAMPLES / "simulated_llto_59h_16d.nc")
    truth = xr.load_dataset(SAMPLES / "simulated_llto_truth.nc", engine="h5netcdf")
    extent = np.array(map_extent(ds))
    segments = boundary_segments(truth)
    found = []
    for i in range(truth.sizes["boundary"]):
        normal = np.array([float(truth.nx[i]), float(truth.ny[i])])
        length = float(np.hypot(truth.x1[i] - truth.x0[i], truth.y1[i] - truth.y0[i]))
        if length < SHORTEST_UM or normal[1] < np.cos(np.radians(STEEPEST_DEG)):
            continue
        middle = (float(truth.x0[i] + truth.x1[i]) / 2, float(truth.y0[i] + truth.y1[i]) / 2)
        width = WIDTH_SHARE * length
        before, after = free_reach(segments, i, normal, width, LONGEST_REACH_UM)
        room_before = room(middle, -normal, width, extent)
        room_after = room(middle, normal, width, extent)
        before, after = min(before, room_before), min(after, room_after)
        if min(before, after) < LEAST_REACH_UM:
            continue
        start = np.array(middle) - normal * min(before + MARGIN_UM, room_before)
        end = np.array(middle) + normal * min(after + MARGIN_UM, room_after)
        worth = width * min(before, after) ** 3
        at = float(np.hypot(*(np.array(middle) - start)))
        window = (at - before, at + after)
        found.append((worth, at, window, width, tuple(start), tuple(end)))
    best = sorted(found, reverse=True)[:HOW_MANY]
    picks = lliso.Picks(
        note="Simulated sample. Marked from the geometry of the boundaries alone, by "
        "scripts/make_sample_picks.py, before any fit."
    )
    picks = picks.anchored_to(ds).anchored_to(later)
    in_order = sorted(best, key=lambda b: b[4][1])
    for number, (_, position, window, width, start, end) in enumerate(in_order, start=1):
        name = f"{number:02d}"
        cut = lliso.LineCut(name=f"cut {name}", start=start, end=end, width=width)
        picks = picks.with_cut(cut).with_boundary(
            lliso.BoundaryPick(name=name, cut=cut.name, position=position, window=window)
        )
    picks.save(TARGET)


if __name__ == "__main__":
    main()

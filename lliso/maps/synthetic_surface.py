"""The surface map of a box of grains whose boundaries are inclined.

A box under the field of view, a few grains deep, with a free surface: no lithium leaves it there.
The macroscopic profile is that of the effective medium with the D_eff of the box itself; it gives
C on the two ends of the box and its rate of change. Inside, the field is **quasi-steady**: grains
of 16 µm follow that profile within minutes. Boxes through the whole specimen would need 100 times
the voxels and show the same steps; what is not in it is the scatter of C among grains at the ends.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lliso._types import FloatArray, IntArray
from lliso.diffusion.anneal import anneal_profile
from lliso.diffusion.exchange import exchange_profile
from lliso.diffusion.structures3d import laguerre_labels
from lliso.diffusion.voxels import VoxelProblem, voxel_steady_state
from lliso.maps.synthetic_labels import LabelSolution, drawn_permeability
from lliso.maps.synthetic_parameters import Specimen
from lliso.maps.synthetic_solution import silent, stage_names, stream
from lliso.units import UM_PER_CM

#: mean grain diameters that are ground off the box before it is looked at
_POLISHED = 1.5
#: the part of the box, from end to end, whose mean C gives the macroscopic gradient
_MIDDLE = (0.2, 0.8)


def solve_surface(
    specimen: Specimen,
    seed: int,
    *,
    spacing: float = 1.25,
    depth: float = 40.0,
    margin: float = 20.0,
    prismatic: bool = False,
    progress: Callable[[str], None] | None = None,
) -> LabelSolution:
    """Solve a box of grains under the field of view, and keep its surface.

    Parameters
    ----------
    specimen : Specimen
        Mean and spread of the diameter are those of the ball of a grain's volume.
    seed : int
    spacing : float
        Size of a voxel, µm; steps are right to 2–3 % where a grain has some ten voxels.
    depth : float
        Depth of the box, µm; more than two grains make no difference at the surface.
    margin : float
        How far the box reaches beyond the field of view on all four sides, µm.
    prismatic : bool
        Columnar grains: the boundaries go straight down.
    progress : callable, optional
        Called with a line of text before each part.

    Returns
    -------
    LabelSolution
        For `lliso.maps.synthetic.simulate_maps`; its boundaries have ``sin_dip``. Slopes are those
        in the plane of the surface, P ΔC / (D sin(dip)).

    Raises
    ------
    ValueError
        If a length is not positive, or the box would reach below the liquid level.

    Examples
    --------
    >>> small = Specimen(box=(-20, -60, 60, 600), window=(0, 60, 30, 90), grain_spread=4)
    >>> solved = solve_surface(small, 1, spacing=2.5, depth=15, margin=10)
    >>> solved.labels.shape, bool((solved.sin_dip <= 1).all())
    ((20, 20), True)
    """
    tell = progress or silent
    for name, value in (("spacing", spacing), ("depth", depth), ("margin", margin)):
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {value:g} um")
    x0, y0, x1, y1 = specimen.window
    if y0 - margin < 0:
        raise ValueError(
            f"the box must lie above the liquid level, got {y0 - margin:g} um; use a smaller margin"
        )
    ny, nx = (int(np.ceil((b - a + 2 * margin) / spacing)) for a, b in ((y0, y1), (x0, x1)))
    low = (0.5 * (x0 + x1 - nx * spacing), 0.5 * (y0 + y1 - ny * spacing))
    nz = max(round(depth / spacing), 1)
    tell("grains")
    labels = _grains(specimen, seed, (nz, ny, nx), spacing, prismatic)
    problem = _problem(specimen, seed, labels, spacing)
    tell("effective diffusivity of the box")
    d_eff = _box_diffusivity(problem)
    y = np.asarray(low[1] + (np.arange(ny) + 0.5) * spacing, dtype=np.float64)
    fields = []
    for name, (mean, rate) in zip(
        stage_names(specimen), _profiles(specimen, d_eff, y), strict=True
    ):
        tell(name)
        fields.append(_slice(problem, mean, rate))
    surface, p, sin_dip = _surface(problem)
    extent = (low[0], low[1], low[0] + nx * spacing, low[1] + ny * spacing)
    return LabelSolution(
        specimen, seed, surface, p, extent, stage_names(specimen), tuple(fields), sin_dip
    )


def _grains(
    specimen: Specimen, seed: int, shape: tuple[int, int, int], spacing: float, prismatic: bool
) -> IntArray:
    """Grains of the box, whose surface is a section: grains do not end at it, it cuts them."""
    rng = stream(seed, "grains")
    size = (specimen.grain_mean, specimen.grain_spread)
    polished = 0 if prismatic else int(np.ceil(_POLISHED * specimen.grain_mean / spacing))
    whole = laguerre_labels(
        (shape[0] + polished, *shape[1:]), spacing, *size, rng, prismatic=prismatic
    )[polished:]
    return np.unique(whole, return_inverse=True)[1].reshape(shape)


def _problem(specimen: Specimen, seed: int, labels: IntArray, spacing: float) -> VoxelProblem:
    n = int(labels.max()) + 1
    d = np.full(n, specimen.d_bulk * UM_PER_CM**2)
    if specimen.d_spread > 0:
        d *= np.exp(specimen.d_spread * stream(seed, "diffusivity").standard_normal(n))

    def law(pairs: IntArray) -> FloatArray:
        return drawn_permeability(specimen, seed, len(pairs))

    return VoxelProblem(labels, (spacing,) * 3, law, d)


def _slice(problem: VoxelProblem, mean: FloatArray, rate: FloatArray | float) -> FloatArray:
    """C of the surface with the profile `mean` on both ends of the box, as a flat image."""
    held = np.zeros(problem.labels.shape, dtype=bool)
    held[:, [0, -1]] = True
    c = voxel_steady_state(
        problem,
        held,
        np.asarray(mean)[None, :, None],
        rate=np.broadcast_to(np.asarray(rate, dtype=float), mean.shape)[None, :, None],
        tolerance=1e-7,
    )
    return np.asarray(c[0].ravel())


def _box_diffusivity(problem: VoxelProblem) -> float:
    """D_eff along y: flux over the gradient of the mean C, clear of both ends."""
    nz, ny, nx = problem.labels.shape
    h = problem.spacing[0]
    held = np.zeros(problem.labels.shape, dtype=bool)
    held[:, [0, -1]] = True
    ends = np.linspace(0.0, 1.0, ny)[None, :, None]
    c = voxel_steady_state(problem, held, ends, tolerance=1e-7)
    flow = (problem.stiffness() @ c.ravel()).reshape(c.shape)[:, -1].sum()
    profile = c.mean(axis=(0, 2))
    use = slice(int(_MIDDLE[0] * ny), int(np.ceil(_MIDDLE[1] * ny)))
    gradient = np.polyfit(np.arange(ny)[use] * h, profile[use], 1)[0]
    return float(flow / (nz * nx * h**2) / gradient)


def _profiles(
    specimen: Specimen, d_eff: float, y: FloatArray
) -> list[tuple[FloatArray, FloatArray]]:
    """Macroscopic C and its rate of change at the end of every stage."""

    def exchanged(at: FloatArray, time: float) -> FloatArray:
        return exchange_profile(at, time, d_eff, start=specimen.c_natural, source=specimen.c_source)

    def stored(at: FloatArray, time: float) -> FloatArray:
        ends = (specimen.box[1], specimen.box[3])
        return anneal_profile(
            at, d_eff * time, start=lambda s: exchanged(s, specimen.exchange), ends=ends
        )

    out = []
    stages = [(exchanged, specimen.exchange), (stored, specimen.storage)]
    for profile, time in stages[: len(stage_names(specimen))]:
        dt = 1e-3 * time
        rate = (profile(y, time + dt) - profile(y, time - dt)) / (2.0 * dt)
        out.append((profile(y, time), rate))
    return out


def _surface(problem: VoxelProblem) -> tuple[VoxelProblem, FloatArray, FloatArray]:
    """Make a problem of the first layer, with P and sin(dip) of its pairs.

    The jump on a face of the layer is that of the box: its faces carry P over the staircase factor
    of the box, not over that of the line which the boundary is in the surface.
    """
    vector = problem.pair_vectors
    in_plane = np.hypot(vector[:, 1], vector[:, 2])
    sin_dip = in_plane / np.maximum(np.hypot(in_plane, vector[:, 0]), 1e-300)
    row = {tuple(p): k for k, p in enumerate(problem.pairs.tolist())}
    names, index = np.unique(problem.labels[0], return_inverse=True)
    image = index.reshape(problem.labels.shape[1:])
    d = problem.diffusivity_of_grain[names]

    def rows(pairs: IntArray) -> IntArray:
        return np.array([row[tuple(p)] for p in names[pairs].tolist()], dtype=np.int64)

    p, factor = problem.pair_permeability, problem.staircase_factor
    surface = VoxelProblem(
        image,
        problem.spacing[1:],
        lambda pairs: p[rows(pairs)] / factor[rows(pairs)],
        d,
        staircase=False,
    )
    k = rows(surface.pairs)
    return surface, p[k], sin_dip[k]

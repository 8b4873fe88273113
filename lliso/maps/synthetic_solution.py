"""A simulated specimen solved: grains drawn, exchange and storage computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from lliso._types import FloatArray, IntArray
from lliso.diffusion.mesh import Mesh, graded_size, sampling_matrix, triangulate
from lliso.diffusion.polycrystal import Polycrystal, Stage, run_stage, run_stages
from lliso.diffusion.splitting import split_at
from lliso.diffusion.structures import Structure, laguerre_structure, lognormal_permeability
from lliso.maps.synthetic_parameters import Cooling, Specimen
from lliso.units import UM_PER_CM

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

#: independent random streams of one seed, so that a new effect does not change the others
_STREAM = {
    "grains": 1,
    "permeability": 2,
    "yield": 3,
    "topography": 4,
    "drift": 5,
    "micrograph": 6,
    "references": 7,
    "profile": 8,
    "arrhenius": 9,
    "counts": 10,
    "diffusivity": 11,
}


@dataclass(frozen=True, eq=False)
class Boundaries:
    """Boundaries of a solved specimen: lengths in µm, P in µm/s.

    `segments` (boundary, 2, 2) are the end points, `normals` point from the first to the second
    of `grains`; `sin_dip` is the sine of the angle between boundary and surface, where it is known.
    """

    segments: FloatArray
    normals: FloatArray
    lengths: FloatArray
    grains: IntArray
    permeability: FloatArray
    sin_dip: FloatArray | None = None


class Solved(Protocol):
    """What a map can be simulated from: C in a specimen at the end of every stage."""

    @property
    def specimen(self) -> Specimen:
        """What was solved."""

    @property
    def seed(self) -> int:
        """Its seed."""

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages."""

    @property
    def fields(self) -> tuple[FloatArray, ...]:
        """C per stage, on the solution's own unknowns."""

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """``(x0, y0, x1, y1)`` of the part that was solved, µm."""

    @property
    def grain_areas(self) -> FloatArray:
        """Area of every grain, µm²."""

    @property
    def grain_diffusivity(self) -> FloatArray:
        """D of every grain, µm²/s."""

    @property
    def mean_intercept(self) -> float:
        """Mean length of random lines within a grain, µm."""

    @property
    def boundaries(self) -> Boundaries:
        """All boundaries."""

    def sample(self, x: FloatArray, y: FloatArray) -> tuple[csr_matrix, IntArray]:
        """Matrix from a field to the points of a grid (µm), and the grain of each, (y, x)."""

    def steps_and_slopes(self, field: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean step of each boundary (b,), and the slope (1/µm) on both its sides (b, 2)."""

    def cooled(self, stage: Stage) -> tuple[FloatArray, ...]:
        """Fields after a further stage, one from the end of each."""


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

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """The whole specimen."""
        return self.specimen.box

    @property
    def grain_areas(self) -> FloatArray:
        """Area of every grain, µm²."""
        return self.structure.areas

    @property
    def grain_diffusivity(self) -> FloatArray:
        """D of every grain, µm²/s."""
        return self.structure.diffusivity

    @property
    def mean_intercept(self) -> float:
        """Mean length of random lines within a grain, µm."""
        return self.structure.mean_intercept()

    @cached_property
    def boundaries(self) -> Boundaries:
        """The boundaries as drawn, before the liquid level cut grains."""
        s = self.structure
        return Boundaries(s.segments, s.normals, s.lengths, s.grains, s.permeability)

    def sample(self, x: FloatArray, y: FloatArray) -> tuple[csr_matrix, IntArray]:
        """Matrix from a field to the points of a grid (µm), and the grain of each, (y, x)."""
        return sampling_matrix(self.mesh, x, y)

    @cached_property
    def _drawn(self) -> IntArray:
        """Boundary of the solved structure for each drawn one, -1 if the level cuts it.

        The solved structure has grains cut at the liquid level; its boundaries are matched to
        those of the drawn one by their middles.
        """
        cut = self.mesh.structure.segments.mean(axis=1)
        index = {_key(p): k for k, p in enumerate(cut)}
        drawn = self.structure.segments.mean(axis=1)
        return np.array([index.get(_key(p), -1) for p in drawn], dtype=np.int64)

    def steps_and_slopes(self, field: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean step of each boundary (b,), and the slope (1/µm) on both its sides (b, 2)."""
        k = self._drawn
        steps, slopes = self.problem.steps(field)[k], self.problem.slopes(field)[k]
        # a boundary that the liquid level itself cuts has no counterpart, and no single step
        steps[k < 0], slopes[k < 0] = np.nan, np.nan
        return steps, slopes

    def cooled(self, stage: Stage) -> tuple[FloatArray, ...]:
        """Fields after a further stage, one from the end of each."""
        return tuple(run_stage(self.problem, stage, f).field for f in self.fields)


def _key(point: FloatArray) -> tuple[int, int]:
    return round(float(point[0]) * 1e5), round(float(point[1]) * 1e5)


def stream(seed: int, name: str, number: int = 0) -> np.random.Generator:
    """Return the random stream of one effect, independent of all others of the same seed."""
    return np.random.default_rng([seed, _STREAM[name], number])


def draw_structure(specimen: Specimen, seed: int) -> Structure:
    """Draw the grains and their permeabilities (lengths in µm, P in µm/s, D in µm²/s)."""
    grains = laguerre_structure(
        specimen.box,
        specimen.grain_mean,
        specimen.grain_spread,
        stream(seed, "grains"),
        diffusivity=specimen.d_bulk * UM_PER_CM**2,
        elongation=specimen.elongation,
        clustering=specimen.clustering,
    )
    if specimen.d_spread > 0:
        factor = np.exp(
            specimen.d_spread * stream(seed, "diffusivity").standard_normal(grains.n_grains)
        )
        grains = grains.with_diffusivity(grains.diffusivity * factor)
    if specimen.permeability_median == 0:
        return grains.with_permeability(0.0)
    p = lognormal_permeability(
        grains,
        specimen.permeability_median * UM_PER_CM,
        specimen.permeability_sigma,
        stream(seed, "permeability"),
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
    tell = progress or silent
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
    solved = run_stages(
        problem,
        stages_of(specimen),
        initial=specimen.c_natural,
        source=problem.mesh.points[:, 1] <= 1e-9,
        progress=tell,
    )
    return Solution(specimen, seed, structure, problem, stage_names(specimen), tuple(solved))


def stages_of(specimen: Specimen) -> list[Stage]:
    """Exchange, and storage if there is any."""
    stages = [Stage(specimen.exchange, source=specimen.c_source)]
    return [*stages, Stage(specimen.storage)] if specimen.storage > 0 else stages


def stage_names(specimen: Specimen) -> tuple[str, ...]:
    """Names of the stages.

    >>> stage_names(Specimen())
    ('59 h', '59 h + 16 d')
    """
    first = _duration(specimen.exchange)
    both = (first, f"{first} + {_duration(specimen.storage)}")
    return both if specimen.storage > 0 else (first,)


def silent(_: str) -> None:
    """Take a line of progress and say nothing."""


def _duration(seconds: float) -> str:
    """Text of a duration in the largest unit that keeps it short: 59 h, 16 d.

    >>> _duration(59 * 3600.0), _duration(16 * 86400.0), _duration(90.0)
    ('59 h', '16 d', '90 s')
    """
    days, hours = seconds / 86400.0, seconds / 3600.0
    if days >= 7:
        return f"{days:.6g} d"
    return f"{hours:.6g} h" if hours >= 1 else f"{seconds:.6g} s"


def cooled(solution: Solved, cooling: Cooling) -> tuple[FloatArray, ...]:
    """C after the time at the imaging temperature, one field per stage.

    Diffusion inside the grains goes on in the cold, more than across the boundaries if its
    activation energy is lower. The stages themselves go on from the warm fields.
    """
    stage = Stage(
        cooling.duration,
        bulk_factor=cooling.factor(cooling.bulk_energy),
        boundary_factor=cooling.factor(cooling.boundary_energy),
    )
    return solution.cooled(stage)

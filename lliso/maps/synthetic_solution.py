"""A simulated specimen solved: grains drawn, exchange and storage computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lliso._types import FloatArray
from lliso.diffusion.mesh import Mesh, graded_size, triangulate
from lliso.diffusion.polycrystal import Polycrystal, Stage, run_stage, run_stages
from lliso.diffusion.splitting import split_at
from lliso.diffusion.structures import Structure, laguerre_structure, lognormal_permeability
from lliso.maps.synthetic_parameters import Cooling, Specimen
from lliso.units import UM_PER_CM

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


def cooled(solution: Solution, cooling: Cooling) -> tuple[FloatArray, ...]:
    """C after the time at the imaging temperature, one field per stage.

    Diffusion inside the grains goes on in the cold, more than across the boundaries if its
    activation energy is lower. The stages themselves go on from the warm fields.
    """
    stage = Stage(
        cooling.duration,
        bulk_factor=cooling.factor(cooling.bulk_energy),
        boundary_factor=cooling.factor(cooling.boundary_energy),
    )
    return tuple(run_stage(solution.problem, stage, f).field for f in solution.fields)

"""Cost of the diffusion solvers: ``python benchmarks/diffusion.py [--large]``.

Prints a table of wall-clock times, sizes and errors on this machine. Targets: the whole 2-D
experiment within 20 s and 2 GiB, a bare field of view within 3 s, all gradients within 3 forward
runs, a chain of 1,000 grains within 20 ms, a closed bar within 1 ms.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable

import numpy as np

from lliso.diffusion.adjoint import permeability_gradient
from lliso.diffusion.anneal import anneal_profile
from lliso.diffusion.chain import chain_of, run_chain
from lliso.diffusion.exchange import exchange_profile
from lliso.diffusion.mesh import sampling_matrix, triangulate
from lliso.diffusion.polycrystal import Polycrystal, Stage, run_stages, steady_state
from lliso.diffusion.structures import laguerre_structure, lognormal_permeability
from lliso.diffusion.voxels import VoxelProblem
from lliso.maps.synthetic import Instrument, Specimen, simulate_maps, solve_specimen

STAGES = [Stage(59 * 3600.0, source=0.95), Stage(16 * 86400.0)]


def timed(call: Callable[[], object], repeat: int = 1) -> tuple[float, object]:
    """Return the best wall-clock time of `repeat` calls, and the last result."""
    best, result = np.inf, None
    for _ in range(repeat):
        start = time.perf_counter()
        result = call()
        best = min(best, time.perf_counter() - start)
    return best, result


def peak_gib() -> float:
    """Largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def small_jobs() -> None:
    """Closed bar and chains."""

    def start(s: np.ndarray) -> np.ndarray:
        return exchange_profile(s, 59 * 3600.0, 0.3, start=0.0759, source=0.95)

    x = np.linspace(-800.0, 2600.0, 300)
    spread = 0.3 * 16 * 86400.0
    t, _ = timed(lambda: anneal_profile(x, spread, start=start, ends=(-800.0, 2600.0)), 20)
    print(f"closed bar, 300 points                 {1e3 * t:9.2f} ms")
    for n in (10, 100, 1000):
        chain = chain_of(np.full(n, 16.0), permeability=0.0136, diffusivity=2.6)
        t, _ = timed(lambda c=chain: run_chain(c, STAGES, initial=0.0759), 5)
        print(f"chain of {n:4d} grains, 59 h + 16 d      {1e3 * t:9.2f} ms")


def whole_experiment() -> None:
    """The sample: grains, mesh, both stages, images; then all gradients."""
    specimen, instrument = Specimen(), Instrument()
    t, solution = timed(lambda: solve_specimen(specimen, 20241))
    print(f"experiment: grains, mesh, both stages  {t:9.1f} s, {solution.mesh.n} nodes")
    t, _ = timed(lambda: simulate_maps(specimen, instrument, 20241, solution=solution))
    print(f"experiment: images, counts, truth      {t:9.1f} s, peak {peak_gib():.2f} GiB")
    problem = solution.problem
    source = problem.mesh.points[:, 1] <= 1e-9
    forward, _ = timed(lambda: run_stages(problem, STAGES, initial=0.0759, source=source), 2)
    x = (np.arange(512) + 0.5) * 500 / 512
    y = 300 + (np.arange(206) + 0.5) * 200 / 206
    pixels, _ = sampling_matrix(solution.mesh, x, y)
    rng = np.random.default_rng(0)
    g = [pixels.T @ rng.standard_normal(pixels.shape[0]) for _ in STAGES]
    adjoint, _ = timed(
        lambda: permeability_gradient(problem, STAGES, g, initial=0.0759, source=source)
    )
    print(f"experiment: both stages                {forward:9.1f} s")
    print(f"experiment: with all gradients         {adjoint:9.1f} s, {adjoint / forward:.1f} x")


def field_of_view() -> None:
    """A bare field of view of 500 x 200 µm."""
    rng = np.random.default_rng(1)
    grains = laguerre_structure((0, 300, 500, 500), 16.0, 11.0, rng, diffusivity=2.6)
    grains = grains.with_permeability(lognormal_permeability(grains, 0.012, 0.5, rng))

    def solve() -> Polycrystal:
        problem = Polycrystal(triangulate(grains, 2.0))
        y = problem.mesh.points[:, 1]
        ends = (np.abs(y - 300) < 1e-9) | (np.abs(y - 500) < 1e-9)
        steady = steady_state(problem, ends, np.where(y > 400, 0.2, 0.4))
        run_stages(problem, [Stage(16 * 86400.0)], initial=steady)
        return problem

    t, problem = timed(solve)
    print(f"field of view: mesh, steady, 16 d      {t:9.1f} s, {problem.n} nodes")


def scaling(sizes: tuple[int, ...]) -> None:
    """Pixels: exchange and storage on label images, and the exponent of their CPU time."""
    times = []
    for n in sizes:
        rng = np.random.default_rng(2)
        grains = laguerre_structure((0, 0, n, n), 16.0, 11.0, rng)
        mesh = triangulate(grains, 16.0)
        axis = np.arange(n) + 0.5
        _, labels = sampling_matrix(mesh, axis, axis)
        problem = VoxelProblem(labels, (1.0, 1.0), 0.0136, 2.6)
        source = np.zeros(labels.shape, dtype=bool)
        source[0] = True
        cpu = time.process_time()
        t, _ = timed(
            lambda p=problem, s=source: run_stages(
                p, STAGES, initial=0.0759, source=s.ravel(), tolerance=1e-6
            )
        )
        times.append(time.process_time() - cpu)
        rate = 1e6 * times[-1] / n**2
        print(f"pixels {n:4d} x {n:4d}, 59 h + 16 d        {t:9.1f} s, ", end="")
        print(f"CPU {times[-1]:.1f} s, {rate:.0f} µs a pixel, peak {peak_gib():.2f} GiB")
    slope = np.polyfit(np.log([float(n) ** 2 for n in sizes]), np.log(times), 1)[0]
    print(f"CPU time grows as pixels^{slope:.2f}")


if __name__ == "__main__":
    small_jobs()
    field_of_view()
    whole_experiment()
    scaling((128, 256, 512, 1024, 2048) if "--large" in sys.argv else (128, 256, 512))

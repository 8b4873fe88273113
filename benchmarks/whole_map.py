"""How well and how fast the whole-map inversion tells P, on simulated maps with known P.

``python benchmarks/whole_map.py [--structures 4] [--grains 16 34] [--counts 600 3000]``

Each structure is drawn, run in time (59 h of exchange), blurred by a beam of 1 µm, given a yield
per grain of 10 % scatter and counted; the inversion gets the counts and the label image, or the
true outlines (``--outlines``). Root mean squares are over boundaries longer than 3 µm, weighted by
the true flux through each (and with its square); ``interior`` leaves out those within 15 µm of the
rim, whose surroundings are half unknown.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from lliso.diffusion.mesh import graded_size, sampling_matrix, triangulate
from lliso.diffusion.polycrystal import Polycrystal, Stage, run_stages
from lliso.diffusion.splitting import split_at
from lliso.diffusion.structures import Structure, laguerre_structure, lognormal_permeability
from lliso.fit.whole_map import invert_map
from lliso.schema import make_map

EXCHANGE, D_BULK, MEDIAN, SIGMA = 59 * 3600.0, 2.6e-8, 1.2e-6, 0.5
SPREAD = {16.0: 11.0, 34.0: 16.0}
LEVEL = {16.0: 300.0, 34.0: 380.0}
PIXELS, OVERSAMPLE, MARGIN = (512, 206), 3, 3
FWHM_PER_SIGMA = 2.3548


@dataclass(frozen=True, eq=False)
class Simulated:
    """Mean counts of a map per total count, and the truth."""

    structure: Structure
    intensity: np.ndarray
    label: np.ndarray
    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray


def simulate(mean: float, seed: int) -> Simulated:
    """Draw a structure, run it in time and look at it through the instrument."""
    rng = np.random.default_rng([seed, int(mean)])
    y0 = LEVEL[mean]
    view = (0.0, y0, 500.0, y0 + 200.0)
    s = laguerre_structure(
        (-40.0, -300.0, 540.0, 1700.0), mean, SPREAD[mean], rng, diffusivity=D_BULK * 1e8
    )
    s = s.with_permeability(lognormal_permeability(s, MEDIAN * 1e4, SIGMA, rng))
    mesh = triangulate(split_at(s, 0.0), graded_size(view, 2.0 if mean < 20 else 3.0, 6.0))
    problem = Polycrystal(mesh)
    source = mesh.points[:, 1] <= 1e-9
    field = run_stages(problem, [Stage(EXCHANGE, source=0.95)], initial=0.0759, source=source)[0]
    nx, ny = PIXELS
    pitch = np.array([200.0 / ny, 500.0 / nx])
    x, y = (np.arange(nx) + 0.5) * pitch[1], y0 + (np.arange(ny) + 0.5) * pitch[0]
    fine = [
        start + (np.arange((n + 2 * MARGIN) * OVERSAMPLE) + 0.5) * p / OVERSAMPLE - MARGIN * p
        for start, n, p in ((0.0, nx, pitch[1]), (y0, ny, pitch[0]))
    ]
    matrix, grain = sampling_matrix(mesh, *fine)
    c = (matrix @ field).reshape(grain.shape)
    rate = np.exp(0.1 * rng.standard_normal(s.n_grains))[grain]
    sigma = OVERSAMPLE / FWHM_PER_SIGMA / pitch
    intensity = np.stack([_binned(gaussian_filter(part * rate, sigma)) for part in (c, 1 - c)])
    label = grain[1::OVERSAMPLE, 1::OVERSAMPLE][MARGIN:-MARGIN, MARGIN:-MARGIN].astype(int)
    # boundaries that the liquid level does not cut come first, in their old order
    side = np.sign(s.vertices[s.ends][:, :, 1])
    whole = side[:, 0] * side[:, 1] >= 0
    step = np.full(s.n_boundaries, np.nan)
    step[whole] = problem.steps(field)[: whole.sum()]
    return Simulated(s, intensity, label, x, y, np.abs(step) * s.permeability)


def _binned(fine: np.ndarray) -> np.ndarray:
    ny, nx = (n // OVERSAMPLE for n in fine.shape)
    pixels = fine.reshape(ny, OVERSAMPLE, nx, OVERSAMPLE).mean(axis=(1, 3))
    return pixels[MARGIN:-MARGIN, MARGIN:-MARGIN]


def measure(sim: Simulated, counts: float, seed: int, *, outlines: bool) -> dict[str, float]:
    """Count, invert, and compare with the truth."""
    drawn = np.random.default_rng([seed, int(counts), 7]).poisson(counts * sim.intensity)
    attrs = {"simulated": 1, "exchange_s": EXCHANGE, "c_source": 0.95, "c_natural": 0.0759}
    ds = make_map(drawn, ["6Li", "7Li"], x=sim.x, y=sim.y, attrs=attrs)
    start = time.perf_counter()
    table = invert_map(ds, sim.structure if outlines else sim.label, d_bulk=D_BULK)
    seconds = time.perf_counter() - start
    pairs = {tuple(sorted(p)): k for k, p in enumerate(sim.structure.grains.tolist())}
    both = zip(table["grain1"].values.tolist(), table["grain2"].values.tolist(), strict=True)
    match = np.array([pairs.get(tuple(sorted(p)), -1) for p in both])
    length = table["length"].values
    used = (match >= 0) & (length > 3.0)
    x, y = table["x"].values, table["y"].values
    rim = np.minimum(np.minimum(x, 500 - x), np.minimum(y - sim.y[0], sim.y[-1] - y))[used]
    truth = np.log(sim.structure.permeability[match] * 1e-4)[used]
    error = table["ln_permeability"].values[used] - truth
    ratio = np.abs(error) / table["ln_permeability_std"].values[used]
    weight = (sim.flux[match] * length)[used]

    def rms(w: np.ndarray) -> float:
        return float(np.sqrt(np.average(error**2, weights=w)))

    return {
        "boundaries": float(used.sum()),
        "rms_flux": rms(weight),
        "rms_flux_interior": rms(weight * (rim > 15)),
        "rms_flux2": rms(weight**2),
        "rms_flux2_interior": rms(weight**2 * (rim > 15)),
        "prior_alone": float(np.sqrt(np.average((truth - np.log(MEDIAN)) ** 2, weights=weight))),
        "mu_error": table.attrs["mu"] - float(np.log(MEDIAN)),
        "mu_std": table.attrs["mu_std"],
        "tau": table.attrs["tau"],
        "cover68": float(np.mean(ratio < 1.0)),
        "cover95": float(np.mean(ratio < 1.96)),
        "chi2_red": table.attrs["chi2_red"],
        "iterations": float(table.attrs["iterations"]),
        "seconds": seconds,
    }


def main() -> None:
    """Print one line per structure and the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--structures", type=int, default=4)
    parser.add_argument("--grains", type=float, nargs="+", default=[16.0, 34.0])
    parser.add_argument("--counts", type=float, nargs="+", default=[600.0, 3000.0])
    parser.add_argument("--outlines", action="store_true", help="true outlines, not labels")
    chosen = parser.parse_args()
    for mean in chosen.grains:
        maps = [simulate(mean, seed) for seed in range(chosen.structures)]
        for counts in chosen.counts:
            rows = [
                measure(sim, counts, seed, outlines=chosen.outlines)
                for seed, sim in enumerate(maps)
            ]
            print(f"\n{mean:g} um grains, {counts:g} counts a pixel (simulated)")
            for name in rows[0]:
                values = np.array([row[name] for row in rows])
                each = " ".join(f"{v:8.3f}" for v in values)
                print(f"  {name:<20} mean {values.mean():8.3f}   each {each}")


if __name__ == "__main__":
    main()

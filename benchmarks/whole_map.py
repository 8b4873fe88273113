"""How well and how fast the whole-map inversion tells P, on simulated maps with known P.

``python benchmarks/whole_map.py [--structures 10] [--grains 16 34] [--counts 600 3000]
[--whole 10] [--off 3] [--draws 0] [--bounds 3] [--bulk 10] [--cache DIR] [--fresh] [--report]``

Each structure is drawn, run in time (59 h of exchange), blurred by a beam of 1 µm, given a yield
per grain of 10 % scatter and counted; the inversion gets the counts and the label image of the
pixels. Root mean squares are over boundaries longer than 3 µm. A boundary's weight is the true flux
through it, P |ΔC| times its length; the square of that flux is the second weight, and the third
takes all boundaries alike.

Beside each error stands what the counts allow: the posterior standard deviation at the true P,
with the true outlines and the true width of the prior, averaged over maps (in place of a Bayesian
Cramér–Rao bound, than which it is not smaller), with the rim unknown as it is, and with the rim
given; once with the pixels that the inversion uses, once with all pixels. Where the labels are
known to be true, ``guard=0`` lets every pixel serve; what that does to labels that lie one pixel
off in x and in y is shown too.

What ``results/whole_map.json`` holds already is not done again unless ``--fresh``; ``--report``
only writes ``results/whole_map.md`` anew. The results are those of

``--counts 100 600 3000 --grains 34 --structures 40 --whole 40 --off 10 --bounds 40 --bulk 40
--draws 10``
``--counts 100 600 3000 --grains 16 --structures 10 --whole 10 --off 3 --bounds 10 --draws 40``
"""

from __future__ import annotations

import argparse
import json
import pickle
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.ndimage import gaussian_filter

from lliso.diffusion.mesh import graded_size, sampling_matrix, triangulate
from lliso.diffusion.polycrystal import Polycrystal, Stage, run_stages
from lliso.diffusion.quasisteady import QuasiSteady
from lliso.diffusion.splitting import split_at
from lliso.diffusion.structures import Structure, laguerre_structure, lognormal_permeability
from lliso.diffusion.windowmesh import mesh_window
from lliso.fit.lognormal_prior import lognormal_posterior
from lliso.fit.map_preparation import prepared_stage
from lliso.fit.map_stage import mean_intercept
from lliso.fit.network import fit_network
from lliso.fit.rate import clocks
from lliso.fit.whole_map import invert_map, map_outlines
from lliso.maps.grains import boundary_network
from lliso.schema import make_map

EXCHANGE, D_BULK, MEDIAN, SIGMA = 59 * 3600.0, 2.6e-8, 1.2e-6, 0.5
SPREAD = {16.0: 11.0, 34.0: 16.0}
LEVEL = {16.0: 300.0, 34.0: 380.0}
SHORTEST, RIM = 3.0, 15.0
RESULTS = Path(__file__).parent / "results"
REFERENCE: dict[tuple[float, float], float] = {
    (16, 600): 0.41,
    (16, 3000): 0.36,
    (34, 600): 0.34,
    (34, 3000): 0.24,
}
PIXELS, OVERSAMPLE, MARGIN = (512, 206), 3, 3
#: Guard in µm (None: the default) and by how many pixels the labels are off.
KINDS: dict[str, tuple[float | None, int]] = {
    "default": (None, 0),
    "whole": (0.0, 0),
    "off": (None, 1),
    "whole_off": (0.0, 1),
}
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
    return np.asarray(pixels[MARGIN:-MARGIN, MARGIN:-MARGIN])


def counted(sim: Simulated, counts: float, seed: int, draw: int = 0) -> xr.Dataset:
    """Draw the counts of a map."""
    name = [seed, int(counts), 7] + [draw] * (draw > 0)
    drawn = np.random.default_rng(name).poisson(counts * sim.intensity)
    attrs = {"simulated": 1, "exchange_s": EXCHANGE, "c_source": 0.95, "c_natural": 0.0759}
    return make_map(drawn, ["6Li", "7Li"], x=sim.x, y=sim.y, attrs=attrs)


def summary(
    error: np.ndarray, std: np.ndarray, flux: np.ndarray, rim: np.ndarray
) -> dict[str, float]:
    """Weighted root mean squares of error and stated error, and coverage."""
    out = {}
    weights = {
        "flux": flux,
        "flux2": flux**2,
        "interior": flux * (rim > RIM),
        "alike": np.ones_like(flux),
    }
    for name, w in weights.items():
        out[f"rms_{name}"] = float(np.sqrt(np.average(error**2, weights=w)))
        out[f"std_{name}"] = float(np.sqrt(np.average(std**2, weights=w)))
    ratio = np.abs(error) / std
    for name, z in (("68", 1.0), ("95", 1.96)):
        out[f"cover{name}"] = float(np.mean(ratio < z))
        out[f"cover{name}_flux"] = float(np.average(ratio < z, weights=flux))
    return out


def measure(
    sim: Simulated,
    counts: float,
    seed: int,
    guard: float | None = None,
    off: int = 0,
    draw: int = 0,
) -> dict[str, float]:
    """Count, invert with labels that are `off` pixels off, and compare with the truth."""
    ds = counted(sim, counts, seed, draw)
    ny, nx = sim.label.shape
    label = np.pad(sim.label, ((off, 0), (off, 0)), mode="edge")[:ny, :nx]
    wall, cpu = time.perf_counter(), time.process_time()
    table = invert_map(ds, label, d_bulk=D_BULK, guard=guard)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    pairs = {tuple(sorted(p)): k for k, p in enumerate(sim.structure.grains.tolist())}
    both = zip(table["grain1"].values.tolist(), table["grain2"].values.tolist(), strict=True)
    match = np.array([pairs.get(tuple(sorted(p)), -1) for p in both])
    length = table["length"].values
    used = (match >= 0) & (length > SHORTEST)
    x, y = table["x"].values, table["y"].values
    rim = np.minimum(np.minimum(x, 500 - x), np.minimum(y - sim.y[0], sim.y[-1] - y))[used]
    truth = np.log(sim.structure.permeability[match] * 1e-4)[used]
    error = table["ln_permeability"].values[used] - truth
    weight = (sim.flux[match] * length)[used]
    spread = truth - np.log(MEDIAN)
    return summary(error, table["ln_permeability_std"].values[used], weight, rim) | {
        "boundaries": float(used.sum()),
        "inverted": float(len(used)),
        "prior_alone": float(np.sqrt(np.average(spread**2, weights=weight))),
        "mu_error": table.attrs["mu"] - float(np.log(MEDIAN)),
        "mu_std": table.attrs["mu_std"],
        "tau": table.attrs["tau"],
        "chi2_red": table.attrs["chi2_red"],
        "edge": table.attrs["edge_chi2_ratio"],
        "flagged": float("outlines_off" in str(table["flags"].values[0])),
        "iterations": float(table.attrs["iterations"]),
        "success": float(table.attrs["success"]),
        "wall_s": wall,
        "cpu_s": cpu,
    }


def drawn_again(sim: Simulated, counts: float, seed: int, number: int) -> dict[str, float]:
    """Every pixel in use, for many draws of the counts: mean squares and coverage over them."""
    found = [measure(sim, counts, seed, 0.0, draw=k + 1) for k in range(number)]
    out = {"draws": float(number)}
    for name in found[0]:
        v = np.array([one[name] for one in found])
        square = name.startswith(("rms", "std"))
        out[f"again_{name}"] = float(np.sqrt(np.mean(v**2)) if square else v.mean())
    return out


def bounds(sim: Simulated, counts: float, seed: int) -> dict[str, float]:
    """Posterior standard deviation at the true P with true outlines, rim unknown and given."""
    ds = counted(sim, counts, seed)
    outlines = map_outlines(ds, sim.structure)
    problem = QuasiSteady(mesh_window(outlines, 0.3 * mean_intercept(outlines)), D_BULK * 1e8)
    guard = 1.0 + 0.5 * float(sim.x[1] - sim.x[0])
    times = clocks([ds], None, None, None)[0]
    stage = prepared_stage(ds, problem, guard, 1.0, times).stage
    every = prepared_stage(ds, problem, 0.0, 1.0, times).stage
    given = replace(stage, rim_basis=0.0 * stage.rim_basis[:, :1])
    flux = (sim.flux[outlines.origin] * outlines.lengths)[outlines.lengths > SHORTEST]
    there = np.log(sim.structure.permeability[outlines.origin])
    out = {}
    for name, known in (("", stage), ("_rim_given", given), ("_all_pixels", every)):
        one = known.linearised(there)
        posterior = lognormal_posterior(one.information, one.score, SIGMA)
        variance = np.diag(posterior.covariance)[outlines.lengths > SHORTEST]
        weights = {"flux": flux, "flux2": flux**2, "alike": np.ones_like(flux)}
        for weight, w in weights.items():
            out[f"bound_{weight}{name}"] = float(np.sqrt(np.average(variance, weights=w)))
    return out


def local_table(sim: Simulated, counts: float, seed: int) -> dict[str, float]:
    """CPU time of the network of boundaries and of the local fit of every one of them."""
    ds = counted(sim, counts, seed)
    cpu = time.process_time()
    label = xr.Dataset({"label": (("y", "x"), sim.label)}, {"x": ds["x"], "y": ds["y"]})
    network = boundary_network(label, source=ds)
    drawn = time.process_time()
    fit_network(ds, network, d_bulk=D_BULK)
    done = time.process_time()
    return {"local_s": done - drawn, "network_s": drawn - cpu, "local": network.sizes["boundary"]}


def bulk(sim: Simulated, counts: float, seed: int) -> dict[str, float]:
    """D_bulk estimated along with P, from the exchange time, with the liquid level free."""
    found = invert_map(counted(sim, counts, seed), sim.label, d_bulk=None).attrs
    ratio, std = found["d_bulk_cm2_per_s"] / D_BULK, found["d_bulk_relative_std"]
    return {
        "bulk_ratio": ratio,
        "bulk_error": ratio - 1.0,
        "bulk_std": std,
        "bulk_cover68": float(abs(np.log(ratio)) < std),
        "bulk_cover95": float(abs(np.log(ratio)) < 1.96 * std),
    }


def cached(mean: float, seed: int, folder: Path | None) -> Simulated:
    """Return the simulated map, from `folder` if it was made before."""
    if folder is None:
        return simulate(mean, seed)
    path = folder / f"whole_map_{mean:g}_{seed}.pickle"
    if path.exists():
        stored: Simulated = pickle.loads(path.read_bytes())
        return stored
    sim = simulate(mean, seed)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(sim))
    return sim


def fill(row: dict[str, float], cache: Path | None, wanted: dict[str, int]) -> bool:
    """Do what is missing of a map's results; return whether anything was."""
    counts, seed = row["counts"], int(row["seed"])
    probe = {"bound": "bound_alike_all_pixels", "default": "local_s", "bulk": "bulk_ratio"}
    kinds = [k for k in wanted if k != "again" and wanted[k]]
    missing = [k for k in kinds if probe.get(k, f"{k}_rms_flux") not in row]
    missing += ["again"] * (row.get("draws", 0) < wanted["again"])
    if not missing:
        return False
    sim = cached(row["grains"], seed, cache)
    for kind in missing:
        if kind == "bound":
            row |= bounds(sim, counts, seed)
        elif kind == "bulk":
            row |= bulk(sim, counts, seed)
        elif kind == "again":
            row |= drawn_again(sim, counts, seed, wanted[kind])
        else:
            found = measure(sim, counts, seed, *KINDS[kind])
            found |= local_table(sim, counts, seed) if kind == "default" else {}
            row |= {name if kind == "default" else f"{kind}_{name}": v for name, v in found.items()}
    return True


def pooled(rows: list[dict[str, float]], name: str, square: bool) -> tuple[float, float]:
    """Mean (or root mean square) over maps and its standard error."""
    v = np.array([row[name] for row in rows if name in row])
    if square:
        v = v**2
    if not len(v):
        return np.nan, np.nan
    mean, error = v.mean(), v.std(ddof=1) / np.sqrt(len(v)) if len(v) > 1 else np.nan
    return (np.sqrt(mean), error / (2 * np.sqrt(mean))) if square else (mean, error)


def efficiency(rows: list[dict[str, float]]) -> tuple[float, float]:
    """Squared bound from all pixels over the mean squared error, all boundaries alike."""
    both = [r for r in rows if "again_rms_alike" in r and "bound_alike_all_pixels" in r]
    if len(both) < 2:
        return np.nan, np.nan
    bound, error = (
        np.array([r[k] for r in both]) ** 2 for k in ("bound_alike_all_pixels", "again_rms_alike")
    )
    ratio = bound.mean() / error.mean()
    scatter = (bound - ratio * error).std(ddof=1) / error.mean()
    return float(ratio), float(scatter / np.sqrt(len(both)))


def report(rows: list[dict[str, float]]) -> str:
    """Write the table that goes into ``results/whole_map.md``."""
    settings = sorted({(row["grains"], row["counts"]) for row in rows})
    quantities = [
        ("rms error of ln P, weight flux", "rms_flux", True),
        ("the same, stated by the inversion", "std_flux", True),
        ("the same, bound from the counts", "bound_flux", True),
        ("the same bound from all pixels", "bound_flux_all_pixels", True),
        ("the same bound, were the rim given", "bound_flux_rim_given", True),
        ("rms error of ln P, weight flux²", "rms_flux2", True),
        ("the same, stated by the inversion", "std_flux2", True),
        ("the same, bound from the counts", "bound_flux2", True),
        ("the same bound from all pixels", "bound_flux2_all_pixels", True),
        ("the same bound, were the rim given", "bound_flux2_rim_given", True),
        ("rms error of ln P, all boundaries alike", "rms_alike", True),
        ("the same, stated by the inversion", "std_alike", True),
        ("the same, bound from the counts", "bound_alike", True),
        ("rms error, weight flux, 15 µm and more from the rim", "rms_interior", True),
        ("rms of ln P − µ, weight flux (no map at all)", "prior_alone", True),
        ("coverage of 68 %", "cover68", False),
        ("coverage of 95 %", "cover95", False),
        ("coverage of 68 %, weight flux", "cover68_flux", False),
        ("coverage of 95 %, weight flux", "cover95_flux", False),
        ("**guard 0**: rms error, weight flux", "whole_rms_flux", True),
        ("guard 0: stated, weight flux", "whole_std_flux", True),
        ("guard 0: rms error, weight flux²", "whole_rms_flux2", True),
        ("guard 0: stated, weight flux²", "whole_std_flux2", True),
        ("guard 0: coverage of 68 %", "whole_cover68", False),
        ("guard 0: coverage of 95 %", "whole_cover95", False),
        ("**guard 0, many draws**: rms error, weight flux", "again_rms_flux", True),
        ("many draws: rms error, weight flux²", "again_rms_flux2", True),
        ("many draws: stated, weight flux²", "again_std_flux2", True),
        ("many draws: coverage of 68 %", "again_cover68", False),
        ("many draws: coverage of 95 %", "again_cover95", False),
        ("many draws: share flagged `outlines_off`", "again_flagged", False),
        ("**many draws, all boundaries alike**: rms error", "again_rms_alike", True),
        ("all boundaries alike: stated", "again_std_alike", True),
        ("all boundaries alike: bound from all pixels", "bound_alike_all_pixels", True),
        ("all boundaries alike: bound² over the mean squared error", "efficiency", False),
        ("guard 0: χ² next to boundaries over that elsewhere", "whole_edge", False),
        ("guard 0: share of maps flagged `outlines_off`", "whole_flagged", False),
        ("**labels one pixel off**: rms error, weight flux²", "off_rms_flux2", True),
        ("one pixel off: stated, weight flux²", "off_std_flux2", True),
        ("one pixel off: coverage of 68 %", "off_cover68", False),
        ("one pixel off: share of maps flagged `outlines_off`", "off_flagged", False),
        ("one pixel off, guard 0: rms error, weight flux²", "whole_off_rms_flux2", True),
        ("one pixel off, guard 0: stated, weight flux²", "whole_off_std_flux2", True),
        ("one pixel off, guard 0: coverage of 68 %", "whole_off_cover68", False),
        ("one pixel off, guard 0: χ² next to boundaries", "whole_off_edge", False),
        ("one pixel off, guard 0: share of maps flagged", "whole_off_flagged", False),
        ("default guard: error of µ", "mu_error", False),
        ("its stated standard error", "mu_std", True),
        ("τ (true: 0.5)", "tau", False),
        ("χ² per pixel", "chi2_red", False),
        ("**D_bulk estimated along with P**, level free: over the truth", "bulk_ratio", False),
        ("D_bulk: rms relative error", "bulk_error", True),
        ("D_bulk: the same, stated", "bulk_std", True),
        ("D_bulk: coverage of 68 %", "bulk_cover68", False),
        ("D_bulk: coverage of 95 %", "bulk_cover95", False),
        ("CPU time of the inversion, s (one thread; many draws)", "again_cpu_s", False),
        ("boundaries in the local table", "local", False),
        ("CPU time of the local table (`fit_network`), s", "local_s", False),
        ("CPU time of the network of boundaries before it, s", "network_s", False),
    ]
    about = " ".join(" ".join((__doc__ or "").split("\n\n")[2:4]).split())
    lines = ["# Whole-map inversion on simulated maps", "", about]
    heads = [f"{g:g} µm, N = {n:,.0f}" for g, n in settings]
    lines += ["", "| | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    groups = [[r for r in rows if (r["grains"], r["counts"]) == key] for key in settings]
    counts = [f"{len(g)} / {sum(r['boundaries'] for r in g):,.0f}" for g in groups]
    lines.append("| maps / boundaries longer than 3 µm | " + " | ".join(counts) + " |")
    again = [f"{sum(r.get('draws', 0) for r in g):.0f}" for g in groups]
    lines.append("| draws of the counts besides (many draws) | " + " | ".join(again) + " |")
    wanted = [f"{REFERENCE[k]:.2f}" if k in REFERENCE else "" for k in settings]
    lines.append("| aimed at | " + " | ".join(wanted) + " |")
    for title, name, square in quantities:
        cells = []
        for group in groups:
            value, error = (
                efficiency(group) if name == "efficiency" else pooled(group, name, square)
            )
            cell = f"{value:.3f} ± {error:.3f}" if np.isfinite(error) else f"{value:.3f}"
            needed = "again_rms_alike" if name == "efficiency" else name
            number = sum(needed in row for row in group)
            if number < len(group):
                cell = f"{cell} ({number} maps)" if number else "–"
            cells.append(cell)
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    failed = sum(row["success"] == 0 for row in rows)
    draws = sum(row.get("draws", 0) for row in rows)
    again = sum((1 - row.get("again_success", 1)) * row.get("draws", 0) for row in rows)
    lines += ["", "± is the standard error over maps."]
    lines[-1] += f" Not converged: {failed} of {len(rows)} maps, {again:.0f} of {draws:,.0f} draws."
    return "\n".join(lines) + "\n"


def main() -> None:
    """Do the maps that are missing and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--structures", type=int, default=10)
    parser.add_argument("--grains", type=float, nargs="+", default=[34.0, 16.0])
    parser.add_argument("--counts", type=float, nargs="+", default=[600.0, 3000.0])
    parser.add_argument("--cache", type=Path, help="folder for the simulated maps")
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--bounds", type=int, default=3, help="structures with a bound")
    parser.add_argument("--bulk", type=int, default=10, help="structures with D_bulk free")
    parser.add_argument("--whole", type=int, default=10, help="structures with guard 0 too")
    parser.add_argument("--draws", type=int, default=0, help="more draws of each map, guard 0")
    parser.add_argument("--off", type=int, default=3, help="structures with labels one pixel off")
    parser.add_argument("--out", type=Path, default=RESULTS)
    chosen = parser.parse_args()
    path = chosen.out / "whole_map.json"
    rows = json.loads(path.read_text()) if path.exists() and not chosen.fresh else []
    found = {(row["grains"], row["counts"], row["seed"]): row for row in rows}
    for seed in range(0 if chosen.report else chosen.structures):
        for mean in chosen.grains:
            for counts in chosen.counts:
                row = found.get((mean, counts, seed), {"grains": mean, "counts": counts})
                if "seed" not in row:
                    rows.append(row | {"seed": seed})
                    row = rows[-1]
                wanted: dict[str, int] = {
                    "default": True,
                    "whole": seed < chosen.whole,
                    "off": seed < chosen.off,
                    "whole_off": seed < chosen.off,
                    "bound": seed < chosen.bounds,
                    "bulk": seed < chosen.bulk,
                    "again": chosen.draws,
                }
                if fill(row, chosen.cache, wanted):
                    print(f"{mean:g} um, N = {counts:g}, map {seed}: {row['rms_flux']:.3f}")
                    path.write_text(json.dumps(rows, indent=1) + "\n")
    (chosen.out / "whole_map.md").write_text(report(rows))


if __name__ == "__main__":
    main()

"""Against experiments of an independent program: ``python benchmarks/diffusion_cases.py FOLDER``.

FOLDER holds ``*_truth.nc`` files with `label`, `C_true`, boundaries (`b_*`) and the mean profile.
First, their label maps inside the field of view are solved with their C on the rim and their P,
and steps and flows are compared boundary by boundary. Then own structures are drawn with their
laws of grain size and P (attribute `params`), and D_eff by an erfc is compared with theirs.
``--seeds N`` sets how many structures (12 by default; ten seconds each).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from scipy.optimize import least_squares

from lliso.diffusion.anneal import anneal_profile
from lliso.diffusion.exchange import exchange_profile
from lliso.diffusion.structures import laguerre_structure, lognormal_permeability
from lliso.diffusion.voxels import VoxelProblem, voxel_steady_state
from lliso.maps.synthetic import Specimen, solve_specimen
from lliso.maps.synthetic_truth import mean_profile
from lliso.units import UM_PER_CM

C_NATURAL = 0.0759
#: boundaries shorter than this (µm) are a few pixels and are left out
SHORTEST = 6.0


def fitted_d_eff(
    y: np.ndarray, c: np.ndarray, time: float, source: float, *, free_origin: bool
) -> tuple[float, float]:
    """D_eff (cm²/s) of an erfc fitted to the mean profile above the level, and the rms left."""
    use = y > 0

    def left(p: np.ndarray) -> np.ndarray:
        origin = p[1] if free_origin else 0.0
        model = exchange_profile(
            y[use], time, float(np.exp(p[0])), start=C_NATURAL, source=source, origin=origin
        )
        return model - c[use]

    fit = least_squares(left, [np.log(0.3), 0.0][: 1 + free_origin])
    return float(np.exp(fit.x[0]) / UM_PER_CM**2), float(np.sqrt(np.mean(fit.fun**2)))


def rates(truth: xr.Dataset, params: dict, y: np.ndarray) -> list[np.ndarray]:
    """∂C/∂t of the mean profile at the end of each stage, from an effective medium."""
    source, t0, t1 = params["C1"], params["t_ex"], params["t_st"]
    macro_y, macro = truth["macro_y"].values, truth["macro_C"].values
    d = fitted_d_eff(macro_y, macro[0], t0, source, free_origin=True)[0] * UM_PER_CM**2
    half = 0.5 * (macro_y[1] - macro_y[0])
    ends = (float(macro_y[0] - half), float(macro_y[-1] + half))

    def exchanged(at: np.ndarray, time: float) -> np.ndarray:
        return exchange_profile(at, time, d, start=C_NATURAL, source=source)

    def stored(at: np.ndarray, time: float) -> np.ndarray:
        return anneal_profile(at, d * time, start=lambda s: exchanged(s, t0), ends=ends)

    def rate(profile: Callable[[np.ndarray, float], np.ndarray], time: float) -> np.ndarray:
        return (profile(y, 1.001 * time) - profile(y, 0.999 * time)) / (0.002 * time)

    return [rate(exchanged, t0), rate(stored, t1)]


def compare_view(truth: xr.Dataset, params: dict) -> None:
    """Steps and flows inside the field of view."""
    x, y = truth["x"].values, truth["y"].values
    names, index = np.unique(truth["label"].values, return_inverse=True)
    label = index.reshape(truth["label"].shape)
    spacing = (float(np.diff(y).mean()), float(np.diff(x).mean()))
    pair = np.sort(np.column_stack([truth["b_g1"].values, truth["b_g2"].values]), axis=1)
    table = {tuple(p): k for k, p in enumerate(pair.tolist())}
    theirs = truth["b_P_cm_s"].values * UM_PER_CM

    def law(pairs: np.ndarray) -> np.ndarray:
        rows = [table.get(tuple(p), -1) for p in names[pairs].tolist()]
        return np.where(np.array(rows) >= 0, theirs[rows], np.median(theirs))

    corner = np.stack([[truth[f"b_{a}{k}"].values for a in "xy"] for k in (1, 2)])
    low, high = np.array([x[0], y[0]]) + 2.0, np.array([x[-1], y[-1]]) - 2.0
    inside = ((corner > low[None, :, None]) & (corner < high[None, :, None])).all(axis=(0, 1))
    inside &= truth["b_length"].values > SHORTEST
    for k, stage in enumerate(truth["stage"].values):
        for staircase in (True, False):
            problem = VoxelProblem(
                label, spacing, law, params["D"] * UM_PER_CM**2, staircase=staircase
            )
            held = np.ones(label.shape, dtype=bool)
            held[1:-1, 1:-1] = False
            c_true = truth["C_true"].values[k].astype(float)
            rate = rates(truth, params, y)[k][:, None]
            c = voxel_steady_state(problem, held, c_true, rate=rate, tolerance=1e-8)
            rows = np.array([table.get(tuple(p), -1) for p in names[problem.pairs].tolist()])
            use = (rows >= 0) & inside[rows]
            b = rows[use]
            # both of mine are from the lower to the higher label
            sign = np.where(truth["b_g1"].values[b] < truth["b_g2"].values[b], 1.0, -1.0)
            step = sign * problem.steps(c)[use]
            flow = sign * problem.fluxes(c)[use]
            step0 = truth["b_step"].values[b, k]
            flow0 = -theirs[b] * step0 * truth["b_length"].values[b]
            error = np.sqrt(np.mean((c - c_true)[~held] ** 2))
            how = "corrected" if staircase else "staircase"
            print(f"  {stage:9s} {how}: {agreement('steps', step, step0)}; ", end="")
            print(f"{agreement('flows', flow, flow0)}; C {error:.1e} rms; {b.size} boundaries")


def agreement(name: str, mine: np.ndarray, theirs: np.ndarray) -> str:
    """Slope of a regression through 0, and what is left as a share of the rms."""
    slope = (mine @ theirs) / (theirs @ theirs)
    left = np.sqrt(np.mean((mine - theirs) ** 2) / np.mean(theirs**2))
    return f"{name} {slope:.3f} of theirs, {100 * left:.1f} % rms apart"


def compare_structures(truth: xr.Dataset, params: dict, seeds: int, **how: Any) -> None:
    """D_eff of own structures with the same laws, against theirs."""
    time, source = params["t_ex"], params["C1"]
    there = (truth["macro_y"].values, truth["macro_C"].values[0])
    rows = []
    for seed in range(101, 101 + seeds):
        specimen = Specimen(
            grain_mean=params["mean"],
            grain_spread=params["sd"],
            d_bulk=params["D"],
            permeability_median=params["P_med"],
            permeability_sigma=params["P_sig"],
            c_source=source,
            exchange=time,
            storage=0.0,
            mesh_fine=5.0,
            mesh_coarse=8.0,
        )
        rng = np.random.default_rng([seed, 1])
        grains = laguerre_structure(
            specimen.box,
            specimen.grain_mean,
            specimen.grain_spread,
            rng,
            diffusivity=specimen.d_bulk * UM_PER_CM**2,
            **how,
        )
        median = specimen.permeability_median * UM_PER_CM
        p = lognormal_permeability(grains, median, specimen.permeability_sigma, rng)
        solution = solve_specimen(specimen, seed, structure=grains.with_permeability(p))
        own_y, own_c = mean_profile(solution)
        here = (own_y, own_c[0])
        d = solution.structure.diameters
        fits = [fitted_d_eff(*here, time, source, free_origin=f) for f in (False, True)]
        profile = np.interp(there[0], *here)
        view = solution.sample(truth["x"].values, truth["y"].values)[1]
        shape = [d.mean(), d.std(), profile, solution.structure.mean_intercept()]
        shape.append(np.unique(view).size)
        rows.append([fits[0][0], fits[1][0], fits[0][1], *shape])
    theirs = [fitted_d_eff(*there, time, source, free_origin=f) for f in (False, True)]
    for k, name in enumerate(("fixed origin", "free origin")):
        own_d = np.array([r[k] for r in rows])
        above = int((own_d > theirs[k][0]).sum())
        print(
            f"  D_eff, {name}: {own_d.mean():.2e} ± {own_d.std(ddof=1):.2e} cm^2/s "
            f"({own_d.min():.2e} to {own_d.max():.2e}, {seeds} structures), "
            f"theirs {theirs[k][0]:.2e}, {above} of mine above it"
        )
    left = np.array([r[2] for r in rows])
    print(
        f"  rms of the mean profile from its erfc: {left.mean():.4f} ± {left.std(ddof=1):.4f}, ",
        end="",
    )
    print(f"theirs {theirs[0][1]:.4f}")
    intercepts = np.array([r[6] for r in rows])
    print(f"  mean intercept: {intercepts.mean():.2f} ± {intercepts.std(ddof=1):.2f} µm, ", end="")
    print(f"theirs in the field of view {view_intercept(truth):.2f} µm")
    counts = np.array([r[7] for r in rows])
    print(
        f"  grains in the field of view: {counts.mean():.0f} ± {counts.std(ddof=1):.0f}, ", end=""
    )
    print(f"theirs {np.unique(truth['label']).size}")
    mean, spread = np.mean([r[3] for r in rows]), np.mean([r[4] for r in rows])
    print(
        f"  diameters: {mean:.2f} ± {spread:.2f} µm, "
        f"theirs {truth.attrs['grain_d_mean']:.2f} ± {truth.attrs['grain_d_sd']:.2f} µm; "
        f"ln P: theirs {np.log(truth['b_P_cm_s']).std().item():.2f} (asked {params['P_sig']}), "
        f"median {np.exp(np.log(truth['b_P_cm_s']).median().item()):.2e}"
    )
    profiles = np.stack([r[5] for r in rows])
    use = (there[0] > 50) & (there[0] < 700)
    scatter = profiles.std(axis=0, ddof=1)[use]
    off = np.abs(there[1] - profiles.mean(axis=0))[use]
    print(
        f"  mean profile 50 to 700 µm: scatter {scatter.max():.4f} at most, theirs from the mean "
        f"{off.max():.4f} at most, {np.sqrt(np.mean((off / scatter) ** 2)):.1f} standard "
        "deviations rms"
    )


def view_intercept(truth: xr.Dataset) -> float:
    """Mean intercept (µm) of their boundaries inside the field of view."""
    share = (np.arange(200) + 0.5) / 200
    ends = [[truth[f"b_{a}{k}"].values[:, None] for a in "xy"] for k in (1, 2)]
    at = [ends[0][a] + share * (ends[1][a] - ends[0][a]) for a in range(2)]
    area, inside = 1.0, np.ones(at[0].shape, dtype=bool)
    for axis, name in enumerate("xy"):
        c = truth[name].values
        half = 0.5 * (c[1] - c[0])
        low, high = c[0] - half, c[-1] + half
        inside &= (at[axis] > low) & (at[axis] < high)
        area *= high - low
    length = (truth["b_length"].values * inside.mean(axis=1)).sum()
    return float(np.pi * area / (2.0 * length))


def main() -> None:
    """Compare every case in two dimensions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--only", default="*", help="pattern of the cases' names")
    parser.add_argument("--unrelaxed", action="store_true", help="sites stay where they are drawn")
    parser.add_argument("--clustering", type=float, default=0.0, help="of the sizes, 0 to 1")
    args = parser.parse_args()
    seen = set()
    for path in sorted(args.folder.glob(f"{args.only}_truth.nc")):
        truth = xr.load_dataset(path, engine="h5netcdf")
        params = json.loads(truth.attrs.get("params", "{}"))
        if params.get("kind") != "fem2d" or params["D_sd"] or params["seed"] in seen:
            continue
        seen.add(params["seed"])
        print(
            f"{path.stem.removesuffix('_truth')}: {params['mean']:g} ± {params['sd']:g} µm, ",
            end="",
        )
        print(f"P {params['P_med']:g} cm/s, sd of ln P {params['P_sig']}")
        compare_view(truth, params)
        if args.seeds:
            how = {"relaxed": not args.unrelaxed, "clustering": args.clustering}
            compare_structures(truth, params, args.seeds, **how)


if __name__ == "__main__":
    main()

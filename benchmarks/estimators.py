"""Bias, scatter and coverage of the local estimators on simulated polycrystals with known truth.

    python benchmarks/estimators.py --structures 10 --draws 40 -o benchmarks/results

For each grain size and each number of counts, `draws` noise draws of each of `structures`
independent polycrystals are fitted at boundaries drawn at random. Everything is simulated. Writes
``estimators.json`` with the figures and ``estimators.md`` with the table of docs/how_sure.md. The
solved fields are kept in the folder given by ``--fields`` so that a second run starts at once.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from lliso.fit.paper2024 import fit_two_quadratics
from lliso.fit.patch import PatchGeometry, PatchImage, fit_patch, patch_pixels
from lliso.fit.two_grains import fit_two_grains
from lliso.fit.uncertainty import ratio_set
from lliso.fit.window import Window, guard_length
from lliso.maps.synthetic import simulate_maps, solve_specimen
from lliso.maps.synthetic_parameters import Instrument, Specimen
from lliso.maps.truth import boundary_segments, free_reach

GRAINS = {16: (16.0, 11.0), 34: (34.0, 16.0)}
COUNTS = (100, 600, 3000)
D_BULK = 2.6e-8
PER_DRAW = 25  # boundaries fitted per draw
SHORTEST, LEAST_REACH = 8.0, 7.0  # µm: less leaves no slices between the guards


def field(size: int, number: int, folder: Path) -> dict[str, np.ndarray]:
    """Solve one polycrystal, or take it from `folder`: true fraction and boundaries."""
    file = folder / f"field_{size}um_{number}.npz"
    if file.exists():
        return dict(np.load(file))
    mean, spread = GRAINS[size]
    specimen = Specimen(grain_mean=mean, grain_spread=spread)
    seed = 1000 * size + number
    solution = solve_specimen(specimen, seed)
    (first, _), truth = simulate_maps(specimen, Instrument(), seed, solution=solution)
    segments = boundary_segments(truth)
    normals = np.column_stack([truth.nx.values, truth.ny.values]).astype(float)
    length = np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1)
    width = 0.6 * length
    reach = np.array([free_reach(segments, i, normals[i], width[i]) for i in range(len(segments))])
    inside = _inside(segments, normals, reach, first)
    good = inside & (length >= SHORTEST) & (reach.min(axis=1) >= LEAST_REACH)
    result = {
        "fraction": truth["fraction_blurred"].values[0],
        "x": first.x.values,
        "y": first.y.values,
        "middle": segments.mean(axis=1)[good],
        "normal": normals[good],
        "width": width[good],
        "reach": reach[good],
        "p": truth["permeability"].values[good].astype(float),
        "step": truth["step"].values[0][good].astype(float),
        "slope": truth["slope"].values[0][good].mean(axis=1).astype(float) * 1e-4,
        "mean_slope": np.array(abs(np.nanmean(truth["slope"].values[0][inside])) * 1e-4),
    }
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(file, **result)
    return result


def _inside(segments, normals, reach, ds):
    middle = segments.mean(axis=1)
    ends = [middle - reach[:, :1] * normals, middle + reach[:, 1:] * normals]
    box = np.array([[ds.x.values[0], ds.y.values[0]], [ds.x.values[-1], ds.y.values[-1]]])
    return np.all([(e > box[0] + 2) & (e < box[1] - 2) for e in ends], axis=(0, 2))


def geometry(f: dict[str, np.ndarray], i: int) -> PatchGeometry:
    """Patch of one boundary."""
    return PatchGeometry(
        str(i), *f["middle"][i], *f["normal"][i], float(f["width"][i]), *f["reach"][i]
    )


def paper(image: PatchImage, g: PatchGeometry) -> tuple[float, float, np.ndarray]:
    """Two quadratics on a ratio profile, with the same guards as the patch."""
    pixels = patch_pixels(image, g, guard_length(image.pitch, 1.0), None)
    index = np.round(pixels.nu / image.pitch).astype(int)
    at = index - index.min()
    n = np.bincount(at)
    keep = n > 0
    light, total = (np.bincount(at, v)[keep] for v in (pixels.light, pixels.total))
    nu = (np.bincount(at, pixels.nu)[keep]) / n[keep]
    value, cov, _ = fit_two_quadratics(Window(nu, light, total, 0, 0, 0, image.pitch))
    return float(value[0]), float(value[1]), cov


def first_order(step, slope, cov):
    """Ratio slope / step and its error to first order; `cov` of (step, slope) in the last axes."""
    ratio = slope / step
    relative = cov[..., 0, 0] / step**2 + cov[..., 1, 1] / slope**2
    relative -= 2 * cov[..., 0, 1] / (step * slope)
    return ratio, np.abs(ratio) * np.sqrt(relative)


def one_setting(size: int, counts: int, structures: int, draws: int, folder: Path) -> dict:
    """Fit all draws of one grain size and number of counts."""
    rng = np.random.default_rng([size, counts])
    rows, started = [], time.process_time()
    for number in range(structures):
        f = field(size, number, folder)
        for draw in range(draws):
            light = rng.poisson(counts * f["fraction"]).astype(float)
            total = light + rng.poisson(counts * (1 - f["fraction"]))
            image = PatchImage(light, total, f["x"], f["y"], 500 / 512)
            chosen = rng.permutation(len(f["p"]))[:PER_DRAW]
            rows += [_fit_one(image, f, i, both=draw % 4 == 0) for i in chosen]
    rows = [r for r in rows if r is not None]
    return _summary(rows, size, counts, structures, draws, time.process_time() - started)


def _fit_one(image, f, i, *, both):
    g = geometry(f, i)
    ratio = f["p"][i] / D_BULK * 1e-4  # 1/µm
    try:
        fit = fit_patch(image, g, mean_slope=float(f["mean_slope"]))
    except ValueError:
        return None
    row = {
        "step": (fit.parameters["step"] - f["step"][i]) / fit.covariance[0, 0] ** 0.5,
        "slope": (fit.parameters["slope"] - f["slope"][i]) / fit.covariance[1, 1] ** 0.5,
        "slope_error": (fit.parameters["slope"] - f["slope"][i]) / float(f["mean_slope"]),
    }
    s, gg, cov = fit.parameters["step"], fit.parameters["slope"], fit.covariance
    for level in (0.6827, 0.95):
        found = ratio_set(gg, s, cov[1, 1], cov[0, 0], cov[0, 1], level)
        row[f"patch{level}"] = found.low <= ratio <= found.high
        row[f"kind{level}"] = found.kind
    if not both:
        return row
    two = fit_two_grains(image, g)
    for level in (0.6827, 0.95):
        found = two.interval(level)
        row[f"two{level}"] = found.low <= ratio <= found.high
        row[f"twokind{level}"] = found.kind
    try:
        s, gg, cov = paper(image, g)
    except ValueError:
        return row
    row["paper_error"] = (gg - f["slope"][i]) / float(f["mean_slope"])
    r, std = first_order(s, gg, cov)
    row["paper0.6827"] = abs(r - ratio) <= std
    row["paper0.95"] = abs(r - ratio) <= 1.96 * std
    row["paper_negative"] = r < 0
    return row


def _summary(rows, size, counts, structures, draws, seconds):
    def column(name):
        return np.array([r[name] for r in rows if name in r])

    def spread(values):
        return float(1.4826 * np.median(np.abs(values - np.median(values))))

    return {
        "grain_um": size,
        "counts": counts,
        "structures": structures,
        "draws": structures * draws,
        "fits": len(rows),
        "slope_z_mean": float(column("slope").mean()),
        "slope_z_std": float(column("slope").std()),
        "step_z_mean": float(column("step").mean()),
        "step_z_std": float(column("step").std()),
        "slope_error": spread(column("slope_error")),
        "paper_slope_error": spread(column("paper_error")),
        "coverage68": float(column("patch0.6827").mean()),
        "coverage95": float(column("patch0.95").mean()),
        "measured": float(np.mean(column("kind0.95") == "measured")),
        "two_grains_coverage68": float(column("two0.6827").mean()),
        "two_grains_coverage95": float(column("two0.95").mean()),
        "two_grains_measured": float(np.mean(column("twokind0.95") == "measured")),
        "paper_coverage68": float(column("paper0.6827").mean()),
        "paper_coverage95": float(column("paper0.95").mean()),
        "paper_negative": float(column("paper_negative").mean()),
        "seconds": round(seconds, 1),
    }


def _short(value: float) -> str:
    return f"{float(f'{value:.2g}'):g}"


def table(results: list[dict]) -> str:
    """The figures that docs/how_sure.md shows, as Markdown."""
    head = (
        "| grains | counts a pixel | one slope: 68 / 95 % | two grains: 68 / 95 % "
        "| paper's way: 68 / 95 % | error of the slope: one slope / paper's way |"
    )
    rows = [
        f"| {r['grain_um']} µm | {r['counts']:,} "
        f"| {r['coverage68']:.3f} / {r['coverage95']:.3f} "
        f"| {r['two_grains_coverage68']:.2f} / {r['two_grains_coverage95']:.2f} "
        f"| {r['paper_coverage68']:.2f} / {r['paper_coverage95']:.2f} "
        f"| {_short(r['slope_error'])} / {_short(r['paper_slope_error'])} |"
        for r in results
    ]
    return "\n".join([head, "|---|---|---|---|---|---|", *rows]) + "\n"


def main() -> None:
    """Run all settings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=int, default=10)
    parser.add_argument("--draws", type=int, default=40, help="per structure")
    parser.add_argument("--fields", default="build/fields")
    parser.add_argument("-o", "--out", default="benchmarks/results")
    args = parser.parse_args()
    results = []
    for size in GRAINS:
        for counts in COUNTS:
            one = one_setting(size, counts, args.structures, args.draws, Path(args.fields))
            results.append(one)
            print(json.dumps(one), flush=True)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "estimators.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (out / "estimators.md").write_text(table(results), encoding="utf-8")


if __name__ == "__main__":
    main()

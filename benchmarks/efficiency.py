"""How close the default local fits come to the Cramér–Rao bound, on their own model's fields.

    python benchmarks/efficiency.py --draws 3000 -o benchmarks/results

The field of every draw comes from the model itself: step and slope as in LLTO after 59 h, both
curvatures drawn from the prior, a slope along the boundary, the beam's blur, Poisson counts. Place
and angle of the boundary are random on the pixels; the patch fit is told them up to 0.5 µm and 2°
and finds them itself.

The bound is that of a Bayesian who knows place, angle and the weights: the estimator that reaches
it exactly is linear (weighted least squares with the prior as observations) and is run on the same
counts, so that the efficiency, the ratio of the two mean squared errors, is known better than
either. Its own error comes from a bootstrap over the draws. ``joint`` is slope − (true ratio) ×
step, the combination that a confidence set of P rests on. Everything is simulated.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np

from lliso.diffusion.steps import blurred_step, boundary_terms
from lliso.fit.boundary import CURVATURE_SHARE, fit_boundary
from lliso.fit.patch import PatchGeometry, PatchImage, fit_patch, patch_pixels
from lliso.fit.pixels import reaches
from lliso.fit.uncertainty import ratio_set
from lliso.fit.window import cut_window, guard_length
from lliso.maps.cuts import LineCut, line_profile
from lliso.maps.picks import BoundaryPick
from lliso.schema import make_map

WINDOWS = (16.0, 34.0)
COUNTS = (100, 600, 3000)
LEVEL, SLOPE, STEP = 0.40, -1.2e-4, -0.023  # ⁶Li fraction, 1/µm, ⁶Li fraction
MAP_UM, PITCH, FWHM = 110.0, 500 / 512, 1.0
BEYOND = 5.0  # µm by which the cut is longer than the window, so that the window has far guards


def draw(window: float, counts: int, rng: np.random.Generator, *, along: bool) -> tuple:
    """Counts of one field of the model, its geometry and its parameters."""
    x = (np.arange(int(MAP_UM / PITCH)) + 0.5) * PITCH
    angle = rng.uniform(0, math.pi)
    nx, ny = math.cos(angle), math.sin(angle)
    middle = MAP_UM / 2 + rng.uniform(-0.5, 0.5, 2)
    reach = window * rng.uniform(0.75, 1.25, 2)
    g = PatchGeometry("1", *middle, nx, ny, 0.75 * window, *reach)
    prior = CURVATURE_SHARE * abs(SLOPE) / np.array(reaches(g, guard_length(PITCH, FWHM)))
    curvature = prior * rng.standard_normal(2)
    gamma = abs(SLOPE) * rng.standard_normal() if along else 0.0
    dx, dy = x[None, :] - middle[0], x[:, None] - middle[1]
    nu, tau = dx * nx + dy * ny, dy * nx - dx * ny
    blur = math.hypot(FWHM / 2.3548, PITCH / math.sqrt(12))
    c = LEVEL + STEP * (blurred_step(nu, blur) - 0.5) + SLOPE * nu + gamma * tau
    c += 0.5 * nu**2 * np.where(nu < 0, *curvature)
    c = np.clip(c, 0.01, 0.99)
    light = rng.poisson(counts * c).astype(float)
    total = light + rng.poisson(counts * (1 - c))
    return PatchImage(light, total, x, x, PITCH), g, c, prior


def bound(terms: np.ndarray, c: np.ndarray, light, total, prior: np.ndarray) -> tuple:
    """Step and slope by the estimator that reaches the bound, and the bound itself."""
    weight = total / (c * (1 - c))
    precision = np.zeros(terms.shape[1])
    precision[3:5] = prior**-2.0
    covariance = np.linalg.inv((terms * weight[:, None]).T @ terms + np.diag(precision))
    value = covariance @ (terms.T @ (weight * (light / total)))
    return value[1:3], covariance[1:3, 1:3]


def patch_draw(window: float, counts: int, rng: np.random.Generator) -> dict:
    """One draw for the patch: the fit as called by default, and with the place known."""
    image, g, c, prior = draw(window, counts, rng, along=True)
    turn, off = np.radians(2.0) * rng.standard_normal(), 0.5 * rng.standard_normal()
    co, si = math.cos(turn), math.sin(turn)
    nx, ny = co * g.nx - si * g.ny, si * g.nx + co * g.ny
    place = (g.x + off * g.nx, g.y + off * g.ny)
    told = PatchGeometry("1", *place, nx, ny, g.width, g.reach_before + off, g.reach_after - off)
    pixels = patch_pixels(image, g, guard_length(PITCH, FWHM), None)
    truth = patch_pixels(
        PatchImage(c * 1e3, np.full_like(c, 1e3), image.x, image.y, PITCH),
        g,
        guard_length(PITCH, FWHM),
        None,
    )
    terms = np.column_stack([boundary_terms(pixels.nu), pixels.tau])
    row = {"oracle": bound(terms, truth.light / 1e3, pixels.light, pixels.total, prior)}
    for name, where, refine in (("patch", told, True), ("patch, place known", g, False)):
        fit = fit_patch(image, where, mean_slope=abs(SLOPE), refine=refine)
        row[name] = (np.array([fit.parameters["step"], fit.parameters["slope"]]), fit.covariance)
    return row


def slices_draw(window: float, counts: int, rng: np.random.Generator) -> dict:
    """One draw for the slices of a cut along the normal."""
    image, g, c, _ = draw(window, counts, rng, along=False)
    n, middle = np.array([g.nx, g.ny]), np.array([g.x, g.y])
    start = middle - (g.reach_before + BEYOND) * n
    end = middle + (g.reach_after + BEYOND) * n
    cut = LineCut(name="a", start=tuple(start), end=tuple(end), width=g.width)
    pick = BoundaryPick(
        name="1",
        cut="a",
        position=g.reach_before + BEYOND,
        window=(BEYOND, BEYOND + g.reach_before + g.reach_after),
    )
    axes = {"x": image.x, "y": image.y}
    counted = np.stack([image.light, image.total - image.light]).astype(np.int64)
    profile = line_profile(make_map(counted, ["6Li", "7Li"], **axes), cut)
    expected = np.rint(1e6 * np.stack([c, 1 - c])).astype(np.int64)
    exact = cut_window(line_profile(make_map(expected, ["6Li", "7Li"], **axes), cut), pick, FWHM)
    window_ = cut_window(profile, pick, FWHM)
    reach = np.array([window_.reach_before, window_.reach_after])
    own = CURVATURE_SHARE * abs(SLOPE) / reach
    terms = boundary_terms(window_.nu)
    row = {"oracle": bound(terms, exact.fraction, window_.light, window_.total, own)}
    fit = fit_boundary(profile, pick, mean_slope=abs(SLOPE), resolution=FWHM)
    row["slices"] = (np.array([fit.parameters["step"], fit.parameters["slope"]]), fit.covariance)
    return row


def summary(rows: list[dict], name: str, rng: np.random.Generator) -> dict:
    """Bias, coverage and efficiency of one estimator."""
    truth = np.array([STEP, SLOPE])
    ratio = SLOPE / STEP
    contrast = np.array([[1.0, 0.0], [0.0, 1.0], [-ratio, 1.0]])
    error = np.array([contrast @ (r[name][0] - truth) for r in rows])
    best = np.array([contrast @ (r["oracle"][0] - truth) for r in rows])
    std = np.array([np.sqrt(np.diag(contrast @ r[name][1] @ contrast.T)) for r in rows])
    crb = np.array([np.diag(contrast @ r["oracle"][1] @ contrast.T) for r in rows])
    # Windows differ from draw to draw: errors in units of the bound of each.
    scaled, scaled_best = error**2 / crb, best**2 / crb
    pick = rng.integers(0, len(rows), (400, len(rows)))
    efficiency = scaled_best.mean(0) / scaled.mean(0)
    samples = scaled_best[pick].mean(1) / scaled[pick].mean(1)
    z = error / std
    found = {
        "estimator": name,
        "draws": len(rows),
        "efficiency": efficiency.tolist(),
        "efficiency_std": samples.std(0).tolist(),
        "bias": z.mean(0).tolist(),
        "bound_reached": scaled_best.mean(0).tolist(),
    }
    for level, limit in ((68, 1.0), (95, 1.959964)):
        found[f"coverage{level}"] = (np.abs(z) <= limit).mean(0).tolist()
        sets = [
            ratio_set(v[1], v[0], k[1, 1], k[0, 0], k[0, 1], {68: 0.6826895, 95: 0.95}[level])
            for v, k in (r[name] for r in rows)
        ]
        found[f"set{level}"] = float(np.mean([s.low <= ratio <= s.high for s in sets]))
    return found


def table(results: list[dict]) -> str:
    """Results as Markdown."""
    n = results[0]["draws"]
    three = [f"{100 * math.sqrt(p * (1 - p) / n):.1f}" for p in (0.6827, 0.95)]
    head = (
        f"{n:,} draws a line; binomial error of a coverage ± {three[0]} / {three[1]} points. "
        "Efficiency: mean squared error of the bound's own estimator over that of the fit, "
        "same counts.\n\n"
        "| window | counts | fit | efficiency: step | slope | slope − ratio × step "
        "| bias of step, slope (σ) | step 68 / 95 % | slope 68 / 95 % | set of P 68 / 95 % |\n"
        "|---|---|---|---|---|---|---|---|---|---|\n"
    )
    rows = []
    for r in results:
        e = [
            f"{a:.3f} ± {b:.3f}" for a, b in zip(r["efficiency"], r["efficiency_std"], strict=True)
        ]
        cover = [f"{r['coverage68'][k]:.3f} / {r['coverage95'][k]:.3f}" for k in (0, 1)]
        rows.append(
            f"| {r['window']:.0f} µm | {r['counts']:,} | {r['estimator']} | {e[0]} | {e[1]} "
            f"| {e[2]} | {r['bias'][0]:+.3f}, {r['bias'][1]:+.3f} | {cover[0]} | {cover[1]} "
            f"| {r['set68']:.3f} / {r['set95']:.3f} |"
        )
    return head + "\n".join(rows) + "\n"


def main() -> None:
    """Run all settings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=3000)
    parser.add_argument("-o", "--out", default="benchmarks/results")
    args = parser.parse_args()
    results = []
    for window in WINDOWS:
        for counts in COUNTS:
            rng = np.random.default_rng([int(window), counts])
            patch = [patch_draw(window, counts, rng) for _ in range(args.draws)]
            slices = [slices_draw(window, counts, rng) for _ in range(args.draws)]
            for rows, names in ((patch, ("patch", "patch, place known")), (slices, ("slices",))):
                for name in names:
                    one = {"window": window, "counts": counts, **summary(rows, name, rng)}
                    results.append(one)
                    print(json.dumps(one), flush=True)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "efficiency.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (out / "efficiency.md").write_text(table(results), encoding="utf-8")


if __name__ == "__main__":
    main()

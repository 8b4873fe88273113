"""P of the population of a map over its true, step²-weighted mean, and what its error is worth.

    python benchmarks/population.py --structures 10 --draws 40 --fields build/fields

The boundaries are the true ones; the truth is the step²-weighted mean of P over all boundaries of
the map, whether they could be fitted or not. Draws of one structure share its grains: the errors of
mean and coverage are from the scatter between structures. Beside `population_permeability` the
table has its estimate without a shortest length, and the interval of a bootstrap that draws
boundaries one by one. Everything is simulated.

    python benchmarks/population.py --from-counts --fields build/fields

does the same with boundaries found from the counts alone, on structures that the search was not
tuned on, and writes ``population_from_counts.md``.

    python benchmarks/population.py --paper --fields build/fields

puts the way of the 2024 paper beside it: two parabolas on each boundary, P = D_bulk slope / step
with first-order errors. The median of all, and what a person would keep: P above 0 and a step of
more than three of its errors, of which the mean weighted with the errors of P is taken. On the
structures of `estimators.py` (boundaries longer than 8 µm at their true places; the truth is the
step²-weighted mean of those); writes ``population_paper.md``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import estimators
import numpy as np
from network_draws import draws_of, table_of
from structures import D_BULK, structure

from lliso.fit.network import fit_network
from lliso.fit.population import PopulationEstimate, population_permeability
from lliso.maps.grains import boundary_network
from lliso.maps.segment import segment_grains

if TYPE_CHECKING:
    import xarray as xr

COUNTS = (100, 600, 3000)
PRIOR_WIDTH = 3.0  # of the columns ..._wide of `lliso.fit.network.fit_network`
RESAMPLES = 200


def bootstrap(table: xr.Dataset, rng: np.random.Generator) -> np.ndarray:
    """Quantiles of P at 2.5, 15.9, 84.1 and 97.5 % over boundaries drawn one by one, cm/s."""
    long = (table["length"].values >= 8.0) & np.isfinite(table["slope"].values)
    s, g, ss, sg, c = (
        table[n].values[long]
        for n in ("step", "slope", "step_std", "slope_std", "step_slope_correlation")
    )
    w = 1.0 / (sg**2 + (0.25 * table.attrs["mean_slope_per_cm"]) ** 2)
    top, bottom = w * (g * s - c * ss * sg), w * (s**2 - ss**2)
    at = rng.integers(0, s.size, (RESAMPLES, s.size))
    return D_BULK * np.quantile(top[at].sum(1) / bottom[at].sum(1), (0.025, 0.1587, 0.8413, 0.975))


def one_setting(kind: str, counts: int, structures: int, draws: int, folder: Path) -> dict:
    """Run all draws of one grain size and number of counts."""
    rows = []
    rng = np.random.default_rng([int(kind), counts])
    for number in range(structures):
        s = structure(kind, number, folder)
        found, _ = draws_of(s, counts, draws, PRIOR_WIDTH, 1, folder)
        known = np.isfinite(found["p"].values)
        weight = found["true_step"].values[known] ** 2
        true = float(np.sum(weight * found["p"].values[known]) / weight.sum())
        for k in range(draws):
            table = table_of(found, k)
            e = population_permeability(table)
            every = population_permeability(table, shortest=0.0)
            low, low68, high68, high = bootstrap(table, rng)
            rows.append(
                {
                    "number": number,
                    "ratio": e.permeability / true,
                    "std": e.std / true,
                    "in68": _holds(e, true)[0],
                    "in95": _holds(e, true)[1],
                    "flagged": "low_counts" in e.flags,
                    "every": every.permeability / true,
                    "every68": _holds(every, true)[0],
                    "every95": _holds(every, true)[1],
                    "boot68": low68 <= true <= high68,
                    "boot95": low <= true <= high,
                }
            )
    return {"kind": kind, "counts": counts, "structures": structures, **summary(rows)}


def from_counts(folder: Path, out: Path) -> None:
    """Write P over the truth with boundaries found from the counts."""
    lines = []
    for kind in ("16", "34"):
        for counts in (600, 3000):
            found = []
            for number in range(6, 12):
                s = structure(kind, number, folder)
                ds = s.counts(counts, np.random.default_rng([9, number, counts]))
                network = boundary_network(segment_grains(ds))
                e = population_permeability(fit_network(ds, network, d_bulk=D_BULK))
                p, weight = s.truth["permeability"].values, s.truth["step"].values[0] ** 2
                true = float(np.nansum(p * weight) / np.nansum(weight))
                found.append((e.permeability / true, e.std / true, *_holds(e, true)))
            ratio, std, in68, in95 = np.array(found, dtype=float).T
            lines.append(
                f"| {kind} µm | {counts:,} | {len(found)} | {ratio.mean():.2f} "
                f"| {ratio.min():.2f} to {ratio.max():.2f} | {std.mean():.2f} "
                f"| {in68.sum():.0f} / {in95.sum():.0f} |"
            )
            print(lines[-1], flush=True)
    head = (
        "| grains | counts | structures | P / truth, mean | range | stated error "
        "| 68 / 95 % hold in |\n|---|---|---|---|---|---|---|\n"
    )
    text = head + "\n".join(lines) + "\n"
    (out / "population_from_counts.md").write_text(text, encoding="utf-8")


def papers_way(folder: Path, structures: int, draws: int, out: Path) -> None:
    """Write P of the population from two parabolas on each boundary."""
    lines = []
    for size in estimators.GRAINS:
        for counts in COUNTS:
            rng = np.random.default_rng([11, size, counts])
            rows = []
            for number in range(structures):
                f = estimators.field(size, number, folder)
                true = float(np.average(f["p"], weights=f["step"] ** 2))
                for _ in range(draws):
                    p, std, seen = _parabolas(f, counts, rng)
                    kept = seen & (p > 0)
                    weight = std[kept] ** -2.0
                    mean = np.average(p[kept], weights=weight) if kept.any() else np.nan
                    off = abs(mean - true) * weight.sum() ** 0.5
                    rows.append(
                        {
                            "number": number,
                            "median": np.median(p) / true,
                            "mean": mean / true,
                            "stated": weight.sum() ** -0.5 / true if kept.any() else np.nan,
                            "kept": kept.mean(),
                            "in68": off <= 1.0 if kept.any() else np.nan,
                            "in95": off <= 1.96 if kept.any() else np.nan,
                            "negative": np.mean(p < 0),
                        }
                    )
            s = summary(rows)
            scatter = {n: np.nanstd([r[n] for r in rows]) for n in ("median", "mean")}
            lines.append(
                f"| {size} µm | {counts:,} | {structures} × {draws} | {s['negative']:.0%} "
                f"| {s['median']:.2f} ± {s['median_error']:.2f} | {scatter['median']:.2f} "
                f"| {s['kept']:.1%} | {s['mean']:.2f} ± {s['mean_error']:.2f} "
                f"| {scatter['mean']:.2f} | {s['stated']:.2f} | {s['in68']:.2f} / {s['in95']:.2f} |"
            )
            print(lines[-1], flush=True)
    head = (
        "| grains | counts | draws | negative P | median of P / truth | scatter "
        "| kept | weighted mean of those / truth | scatter | stated | 68 / 95 % hold |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|\n"
    )
    text = head + "\n".join(lines) + "\n"
    (out / "population_paper.md").write_text(text, encoding="utf-8")


def _parabolas(
    f: dict[str, np.ndarray], counts: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """P and its first-order error of every boundary of a draw, cm/s; whether the step is seen."""
    light = rng.poisson(counts * f["fraction"]).astype(float)
    total = light + rng.poisson(counts * (1 - f["fraction"]))
    image = estimators.PatchImage(light, total, f["x"], f["y"], 500 / 512)
    found = []
    for i in range(len(f["p"])):
        try:
            found.append(estimators.paper(image, estimators.geometry(f, i)))
        except ValueError:  # too few slices between the guards
            continue
    step, slope = (np.array([one[k] for one in found]) for k in (0, 1))
    cov = np.array([one[2] for one in found])
    ratio, std = estimators.first_order(step, slope, cov)
    scale = D_BULK / 1e-4  # slope is per um, P in cm/s
    seen = np.abs(step) > 3 * np.sqrt(cov[:, 0, 0])
    return scale * ratio, scale * std, seen


def _holds(e: PopulationEstimate, true: float) -> tuple[bool, bool]:
    return e.low68 <= true <= e.high68, e.low <= true <= e.high


def summary(rows: list[dict]) -> dict:
    """Means over draws, and their errors from the scatter between structures."""
    number = np.array([r["number"] for r in rows])
    result: dict = {"draws": len(rows)}
    for name in rows[0]:
        if name == "number":
            continue
        values = np.array([float(r[name]) for r in rows])
        known = np.isfinite(values)
        by = np.array([values[known & (number == n)].mean() for n in np.unique(number[known])])
        result[name] = float(np.nanmean(values))
        result[f"{name}_error"] = float(by.std(ddof=1) / np.sqrt(by.size))
        if name == "ratio":
            result["scatter"] = float(np.nanstd(values))
    return result


def table(results: list[dict]) -> str:
    """Results as Markdown."""

    def pm(r: dict, name: str) -> str:
        return f"{r[name]:.3f} ± {r[name + '_error']:.3f}"

    head = (
        "| grains | counts | draws | P / truth, mean | scatter | stated | 68 % holds | 95 % holds "
        "| flagged `low_counts` | with short boundaries too: mean, 68 / 95 % "
        "| bootstrap over boundaries: 68 / 95 % |\n|---|---|---|---|---|---|---|---|---|---|---|\n"
    )
    rows = [
        f"| {r['kind']} µm | {r['counts']:,} | {r['structures']} × {r['draws'] // r['structures']} "
        f"| {pm(r, 'ratio')} | {r['scatter']:.3f} | {r['std']:.3f} | {pm(r, 'in68')} "
        f"| {pm(r, 'in95')} | {r['flagged']:.0%} "
        f"| {r['every']:.3f}, {r['every68']:.2f} / {r['every95']:.2f} "
        f"| {r['boot68']:.2f} / {r['boot95']:.2f} |"
        for r in results
    ]
    return head + "\n".join(rows) + "\n"


def main() -> None:
    """Run all settings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=int, default=10)
    parser.add_argument("--draws", type=int, default=40, help="per structure")
    parser.add_argument("--fields", default="build/fields")
    parser.add_argument("--counts", type=int, nargs="*", default=list(COUNTS))
    parser.add_argument("-o", "--out", default="benchmarks/results")
    parser.add_argument("--from-counts", action="store_true")
    parser.add_argument("--paper", action="store_true", help="two parabolas on each boundary")
    args = parser.parse_args()
    if args.paper:
        papers_way(Path(args.fields), args.structures, args.draws, Path(args.out))
        return
    if args.from_counts:
        from_counts(Path(args.fields), Path(args.out))
        return
    results = []
    for kind in ("16", "34"):
        for counts in args.counts:
            one = one_setting(kind, counts, args.structures, args.draws, Path(args.fields))
            results.append(one)
            print(json.dumps(one), flush=True)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "population.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (out / "population.md").write_text(table(results), encoding="utf-8")


if __name__ == "__main__":
    main()

"""D_bulk from one map and the exchange time, against the truth, and what its flags are worth.

    python benchmarks/bulk.py --structures 12 --draws 34 --fields build/fields
    python benchmarks/bulk.py --cases FOLDER --names NAME ... --draws 40

For every structure (see `benchmarks/structures.py`) and every noise draw D_bulk is estimated with
the true grain labels, with the liquid level free and with it given. A setting's line holds the
share of maps that no flag speaks against (``usable``) and how many of those are within 20 %. The
last lines pool all kinds of structures. The same draws serve both levels. Everything is simulated.

The second does the first stage of experiments of another program (see `cases.py`), as supplied and
counted anew, and writes ``bulk_cases.md``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cases
import numpy as np
from structures import D_BULK, KINDS, structure

from lliso.fit.bulk import d_bulk_from_map

COUNTS = (100, 600, 3000)
KNOWN = {"exchange": "59 h", "c_source": 0.95, "c_natural": 0.0759}


def estimates(kind: str, counts: int, structures: int, draws: int, folder: Path) -> list[dict]:
    """Estimates of all draws of one setting, with the level free and given."""
    rows = []
    for number in range(structures):
        s = structure(kind, number, folder)
        network = s.network()
        for draw in range(draws):
            ds = s.counts(counts, np.random.default_rng([77, number, counts, draw]))
            for level in (None, 0.0):
                found = d_bulk_from_map(ds, network, level=level, **KNOWN)
                rows.append(
                    {
                        "number": number,
                        "level": "free" if level is None else "given",
                        "ratio": found.d_bulk / D_BULK,
                        "std": found.d_bulk_std / D_BULK,
                        "usable": found.usable,
                    }
                )
    return rows


def summary(rows: list[dict]) -> dict:
    """Mean, scatter, stated error, coverage and the worth of the flags."""
    ratio, std, usable = (np.array([r[k] for r in rows]) for k in ("ratio", "std", "usable"))
    z = np.abs(ratio - 1) / std
    near = np.abs(ratio - 1) <= 0.2
    numbers = np.array([r["number"] for r in rows])
    by_structure = [np.mean(ratio[numbers == n]) for n in np.unique(numbers)]
    return {
        "maps": len(rows),
        "mean": float(ratio.mean()),
        "mean_std": float(np.std(by_structure, ddof=1) / np.sqrt(len(by_structure))),
        "rms": float(np.sqrt(np.mean((ratio - 1) ** 2))),
        "stated": float(np.median(std / ratio)),
        "coverage68": float(np.mean(z <= 1)),
        "coverage95": float(np.mean(z <= 1.96)),
        "usable": float(usable.mean()),
        "within_20": float(near.mean()),
        "within_20_usable": float(near[usable].mean()) if usable.any() else None,
    }


def by_level(kind: str, counts: int, rows: list[dict]) -> list[dict]:
    """Summaries of one setting, with the level free and given."""
    found = []
    for level in ("free", "given"):
        one = summary([r for r in rows if r["level"] == level])
        found.append({"kind": kind, "counts": counts, "level": level, **one})
        print(json.dumps(found[-1]), flush=True)
    return found


def name(kind: str) -> str:
    """Name of a kind of structures in the table."""
    size, *rest = kind.split()
    return kind if kind == "all" else ", ".join([f"{size} µm", *rest])


def table(results: list[dict]) -> str:
    """Results as Markdown."""
    head = (
        "| grains | counts | level | maps | D_bulk / truth, mean | rms error | stated error "
        "| 68 / 95 % hold | not flagged | of those within 20 % |\n"
        "|---|---|---|---|---|---|---|---|---|---|\n"
    )
    rows = []
    for r in results:
        within = "–" if r["within_20_usable"] is None else f"{r['within_20_usable']:.0%}"
        rows.append(
            f"| {name(r['kind'])} | {r['counts']:,} | {r['level']} | {r['maps']} "
            f"| {r['mean']:.2f} ± {r['mean_std']:.2f} | {r['rms']:.0%} | {r['stated']:.0%} "
            f"| {r['coverage68']:.2f} / {r['coverage95']:.2f} | {r['usable']:.0%} | {within} |"
        )
    return head + "\n".join(rows) + "\n"


def of_cases(folder: Path, names: list[str], draws: int) -> str:
    """D_bulk of each case over its truth, as Markdown."""
    head = (
        "D_bulk over the truth of experiments simulated by an independent program, first stage.\n\n"
        "| case | counts | level | as supplied | flags | counted anew: mean (scatter) | stated "
        "| within 20 % | not flagged | of those within 20 % |\n"
        "|---|---|---|---|---|---|---|---|---|---|\n"
    )
    lines = []
    for name in names:
        case = cases.opened(folder / f"{name}.nc")
        if case is None or not case.clean:
            raise ValueError(f"{name} must be a clean map with cuts")
        truth = case.params["D"]
        maps = [case.prepared(0)[0]]
        maps += [case.drawn(0, np.random.default_rng([78, k])) for k in range(draws)]
        for level in (None, 0.0):
            found = []
            for ds in maps:
                network = cases.network_of(case, ds, np.zeros(2))
                found.append(d_bulk_from_map(ds, network, level=level, **KNOWN))
            ratio = np.array([f.d_bulk for f in found]) / truth
            std = np.array([f.d_bulk_std for f in found]) / truth
            near = np.abs(ratio[1:] - 1) <= 0.2
            usable = np.array([f.usable for f in found[1:]])
            within = f"{near[usable].mean():.0%}" if usable.any() else "–"
            lines.append(
                f"| {name} | {case.params['instr']['N']:,.0f} "
                f"| {'free' if level is None else 'given'} | {ratio[0]:.2f} ± {std[0]:.2f} "
                f"| {', '.join(found[0].flags) or '–'} "
                f"| {ratio[1:].mean():.3f} ({ratio[1:].std(ddof=1):.3f}) | {std[1:].mean():.3f} "
                f"| {near.mean():.0%} | {usable.mean():.0%} | {within} |"
            )
            print(lines[-1], flush=True)
    return head + "\n".join(lines) + "\n"


def main() -> None:
    """Run all settings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=int, default=12)
    parser.add_argument("--draws", type=int, default=34, help="per structure")
    parser.add_argument("--fields", default="build/fields")
    parser.add_argument("-o", "--out", default="benchmarks/results")
    parser.add_argument("--cases", type=Path, help="folder of cases, instead of own structures")
    parser.add_argument("--names", nargs="*", default=[], help="of the cases")
    args = parser.parse_args()
    if args.cases is not None:
        text = of_cases(args.cases, args.names, args.draws)
        (Path(args.out) / "bulk_cases.md").write_text(text, encoding="utf-8")
        return
    results = []
    pool: dict[int, list[dict]] = {counts: [] for counts in COUNTS}
    for kind in KINDS:
        for counts in COUNTS:
            rows = estimates(kind, counts, args.structures, args.draws, Path(args.fields))
            pool[counts] += [r | {"number": f"{kind} {r['number']}"} for r in rows]
            results += by_level(kind, counts, rows)
    for counts, rows in pool.items():
        results += by_level("all", counts, rows)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "bulk.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (out / "bulk.md").write_text(table(results), encoding="utf-8")


if __name__ == "__main__":
    main()

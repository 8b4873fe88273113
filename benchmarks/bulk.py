"""D_bulk from one map and the exchange time, against the truth, and what its flags are worth.

    python benchmarks/bulk.py --structures 12 --draws 34 --fields build/fields

For every structure (see `benchmarks/structures.py`) and every noise draw D_bulk is estimated with
the true grain labels, with the liquid level free and with it given. A setting's line holds the
share of maps that no flag speaks against (``usable``) and how many of those are within 20 %. The
last lines pool all kinds of structures. The same draws serve both levels. Everything is simulated.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

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


def main() -> None:
    """Run all settings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=int, default=12)
    parser.add_argument("--draws", type=int, default=34, help="per structure")
    parser.add_argument("--fields", default="build/fields")
    parser.add_argument("-o", "--out", default="benchmarks/results")
    args = parser.parse_args()
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

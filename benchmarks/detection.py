"""How well boundaries are found: precision and recall against the threshold, place, time.

    python benchmarks/detection.py --own 16 34 --fields build/fields
    python benchmarks/detection.py FOLDER [NAME ...] --draws 20

The first judges 40 maps of each of ten structures of `benchmarks/structures.py` at 600 counts a
pixel and writes the curve and its scatter to ``detection.md``; structures 0 to 5 were used for
finding the settings (the default threshold: 6 to 11), so that others are taken. The second writes
``detection_cases.md``: FOLDER holds pairs NAME.nc and NAME_truth.nc of experiments simulated by
another program: raw counts ``counts_6Li, counts_7Li (stage, y, x)`` and, in the truth,
``label (y, x)``, ``b_g1``, ``b_g2``, ``b_step (boundary, stage)``, ``b_x1`` ... ``b_y2``.
Boundaries longer than 5 µm are judged.

A true boundary counts for the recall if its true step exceeds three times the error that the local
fit has on it with the true labels. It is found if at least half of it lies within 2 µm of found
boundaries running within 30° of its direction. A found boundary is right if at least half of it
lies thus along true boundaries, whatever their steps.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from structures import structure

from lliso.fit.network import fit_network
from lliso.maps.grains import boundary_network
from lliso.maps.segment import segment_grains
from lliso.schema import make_map

LONGEST_DISTANCE = 2.0
LARGEST_ANGLE = 30.0
SHORTEST = 5.0


def load(folder, name, stages):
    """Maps and truth of one case."""
    case = xr.load_dataset(Path(folder) / f"{name}.nc")
    truth = xr.load_dataset(Path(folder) / f"{name}_truth.nc")
    maps = []
    for s in range(stages):
        counts = [case[f"counts_{k}"].isel(stage=s).values.astype(np.int64) for k in ("6Li", "7Li")]
        attrs = {"stage": str(case.stage.values[s]), "simulated": 1}
        x, y = case.x.values, case.y.values
        maps.append(make_map(np.stack(counts), ["6Li", "7Li"], x=x, y=y, attrs=attrs))
    return maps, truth


def true_segments(ds, truth):
    """Ends, true step and error of the local fit of every true boundary within the map."""
    label = xr.Dataset({"label": truth.label.astype(np.int64)}, {"x": ds.x, "y": ds.y})
    network = boundary_network(label, source=ds)
    table = fit_network(ds, network, d_bulk=1e-8)
    ends = np.stack([truth.b_x1, truth.b_y1, truth.b_x2, truth.b_y2], axis=1).reshape(-1, 2, 2)
    pairs = zip(truth.b_g1.values.tolist(), truth.b_g2.values.tolist(), strict=True)
    number = {tuple(sorted(p)): i for i, p in enumerate(pairs)}
    error = np.full(len(ends), np.nan)
    pairs = zip(table.grain1.values.tolist(), table.grain2.values.tolist(), strict=True)
    for p, std in zip(pairs, table.step_std.values, strict=True):
        if tuple(sorted(p)) in number:
            error[number[tuple(sorted(p))]] = std
    middle = ends.mean(axis=1)
    inside = (middle[:, 0] > ds.x.values[0]) & (middle[:, 0] < ds.x.values[-1])
    inside &= (middle[:, 1] > ds.y.values[0]) & (middle[:, 1] < ds.y.values[-1])
    return ends, np.abs(truth.b_step.isel(stage=0).values), error, inside


def points_on(ends, spacing=0.5):
    """Points along segments, with the segment of each and its direction."""
    at, owner = [], []
    for k, (a, b) in enumerate(ends):
        n = max(2, int(np.hypot(*(b - a)) / spacing))
        t = (np.arange(n) + 0.5) / n
        at.append(a + t[:, None] * (b - a))
        owner.append(np.full(n, k))
    at, owner = np.concatenate(at), np.concatenate(owner)
    d = (ends[:, 1] - ends[:, 0])[owner]
    return at, owner, np.arctan2(d[:, 1], d[:, 0])


def along(at, angle, other):
    """Which points have `other` running along them, and its distance from those."""
    a, b = other
    near = np.flatnonzero(
        (
            (at > np.minimum(a, b) - LONGEST_DISTANCE) & (at < np.maximum(a, b) + LONGEST_DISTANCE)
        ).all(axis=1)
    )
    line = b - a
    length = max(np.hypot(*line), 1e-9)
    u = line / length
    turn = np.abs((angle[near] - np.arctan2(u[1], u[0]) + np.pi / 2) % np.pi - np.pi / 2)
    place = (at[near] - a) @ u
    off = np.abs((at[near] - a) @ np.array([-u[1], u[0]]))
    distance = np.hypot(off, np.maximum(np.maximum(-place, place - length), 0.0))
    hit = (turn <= np.radians(LARGEST_ANGLE)) & (distance <= LONGEST_DISTANCE)
    return near[hit], distance[hit]


def matched(ends, others):
    """Share of each segment that runs along any of the others, and the median distance to them."""
    at, owner, angle = points_on(ends)
    best = np.full(len(at), np.inf)
    for other in others:
        here, distance = along(at, angle, other)
        best[here] = np.minimum(best[here], distance)
    hit = np.isfinite(best)
    share = np.bincount(owner, hit, minlength=len(ends)) / np.bincount(owner, minlength=len(ends))
    middle = np.array(
        [np.median(best[(owner == k) & hit]) if share[k] > 0 else np.nan for k in range(len(ends))]
    )
    return share, middle


def covered(ends, others, probability, thresholds):
    """Share of each segment along others of at least those probabilities, (threshold, segment)."""
    at, owner, angle = points_on(ends)
    best = np.full(len(at), -np.inf)
    for other, p in zip(others, probability, strict=True):
        here, _ = along(at, angle, other)
        best[here] = np.maximum(best[here], p)
    n = np.bincount(owner, minlength=len(ends))
    return np.array([np.bincount(owner, best >= t, minlength=len(ends)) / n for t in thresholds])


def network_ends(network):
    """End points of the straight boundaries of a network, shape (boundary, 2, 2)."""
    middle = np.stack([network.x, network.y], axis=1)
    along = np.stack([-network.ny, network.nx], axis=1) * 0.5 * network.length.values[:, None]
    return np.stack([middle - along, middle + along], axis=1)


def score(network, ds, truth, thresholds):
    """Rows (threshold, precision, recall, median distance in µm, found, true)."""
    ends, step, error, inside = true_segments(ds, truth)
    length = np.hypot(*(ends[:, 1] - ends[:, 0]).T)
    wanted = inside & (length > SHORTEST) & (step > 3 * error)
    found = network_ends(network)
    long = network.length.values > SHORTEST
    share, distance = matched(found, ends)
    probability = network.probability.values
    recalled = covered(ends[wanted], found, probability, thresholds) >= 0.5
    rows = []
    for threshold, recall in zip(thresholds, recalled, strict=True):
        judged = (probability >= threshold) & long
        right = share[judged] >= 0.5
        place = np.nanmedian(distance[judged][right]) if right.any() else np.nan
        precision = right.mean() if judged.any() else np.nan
        rows.append((threshold, precision, recall.mean(), place, judged.sum(), wanted.sum()))
    return rows


THRESHOLDS = (0.05, 0.2, 0.35, 0.5, 0.55, 0.58, 0.6, 0.61, 0.62, 0.63, 0.65, 0.7, 0.8, 0.9, 0.97)
DEFAULT = 0.63  # of `lliso.maps.grains.picks_from_network`


def own_truth(s):
    """Truth of a structure under the names that `true_segments` looks for."""
    t = s.truth
    ends = {"b_x1": t.x0, "b_y1": t.y0, "b_x2": t.x1, "b_y2": t.y1}
    grains = {"b_g1": t.grain1.astype(int), "b_g2": t.grain2.astype(int)}
    step = ("boundary", "stage"), t.step.values.T
    return xr.Dataset({**ends, **grains, "b_step": step, "label": t.label})


def own_maps(kinds, numbers, draws, counts, fields, out):
    """Judge own structures; write curve and scatter."""
    head = (
        f"Maps of own structures at {counts:,} counts a pixel, simulated: mean over the structures "
        "± its standard error; in brackets the standard deviation between maps.\n\n"
        "| grains | structures × draws | probability from | precision | recall | median distance, "
        "µm |\n|---|---|---|---|---|---|\n"
    )
    lines, single = [], []
    for kind in kinds:
        found = np.array(
            [own_rows(structure(kind, k, Path(fields)), k, draws, counts) for k in numbers]
        )
        at = found[:, :, THRESHOLDS.index(DEFAULT)].mean(axis=1)
        each = ", ".join(
            f"{k}: {p:.3f} / {r:.3f}" for k, (_, p, r, *_) in zip(numbers, at, strict=True)
        )
        single.append(f"\n{kind} µm, mean of each structure from {DEFAULT:g} on: {each}.")
        for k, threshold in enumerate(THRESHOLDS):
            mark = "**" if threshold == DEFAULT else ""
            cells = [spread(found[:, :, k, 1 + j]) for j in range(2)]
            lines.append(
                f"| {kind} µm | {len(numbers)} × {draws} | {mark}{threshold:g}{mark} | {cells[0]} "
                f"| {cells[1]} | {found[:, :, k, 3].mean():.2f} |"
            )
    Path(out).mkdir(parents=True, exist_ok=True)
    text = head + "\n".join([*lines, *single]) + "\n"
    (Path(out) / "detection.md").write_text(text, encoding="utf-8")


def own_rows(s, number, draws, counts):
    """Rows of `score` for every draw of the counts of a structure."""
    rows = []
    for draw in range(draws):
        ds = s.counts(counts, np.random.default_rng([8, number, counts, draw]))
        rows.append(score(boundary_network(segment_grains(ds)), ds, own_truth(s), THRESHOLDS))
    at = np.mean(rows, axis=0)[THRESHOLDS.index(DEFAULT)]
    print(f"{s.kind} {number}: precision {at[1]:.3f}, recall {at[2]:.3f}", flush=True)
    return rows


def spread(values):
    """Mean of (structure, draw), its standard error over structures, and the scatter of maps."""
    error = values.mean(axis=1).std(ddof=1) / len(values) ** 0.5
    return f"{values.mean():.3f} ± {error:.3f} ({values.std(ddof=1):.3f})"


def thinned(ds, counts, rng):
    """A map of `counts` a pixel on average out of one with more: each count kept by chance."""
    kept = counts / float(ds.counts.sum(("species", "y", "x"))) * ds.sizes["x"] * ds.sizes["y"]
    drawn = rng.binomial(ds.counts.values, min(kept, 1.0))
    return make_map(drawn, list(ds.species.values), x=ds.x, y=ds.y, attrs=ds.attrs)


def of_cases(folder, names, draws, counts, out):
    """Judge the first stage of simulated experiments of another program, thinned to `counts`."""
    head = (
        f"First stages of experiments simulated by an independent program, thinned to {counts:,} "
        "counts a pixel (those with no more than that as they are): mean over the draws, in "
        "brackets the standard deviation between them.\n\n"
        "| case | draws | probability from | precision | recall | median distance, µm |\n"
        "|---|---|---|---|---|---|\n"
    )
    lines = []
    for name in names:
        (ds,), truth = load(folder, name, 1)
        more = float(ds.counts.sum("species").mean()) > 1.02 * counts
        found = []
        for draw in range(draws if more else 1):
            one = thinned(ds, counts, np.random.default_rng([9, draw])) if more else ds
            found.append(score(boundary_network(segment_grains(one)), one, truth, THRESHOLDS))
        found = np.array(found)
        for k, threshold in enumerate(THRESHOLDS):
            p, r, d = found[:, k, 1:4].T
            mark = "**" if threshold == DEFAULT else ""
            cells = [
                f"{v.mean():.3f}" + (f" ({v.std(ddof=1):.3f})" if more else "") for v in (p, r)
            ]
            start = f"| {name} | {len(found)} | {mark}{threshold:g}{mark}"
            lines.append(f"{start} | {cells[0]} | {cells[1]} | {d.mean():.2f} |")
            if mark:
                print(lines[-1], flush=True)
    Path(out).mkdir(parents=True, exist_ok=True)
    (Path(out) / "detection_cases.md").write_text(head + "\n".join(lines) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--own", nargs="*", default=[], help="kinds of own structures")
    parser.add_argument("--numbers", type=int, nargs="*", default=list(range(6, 16)))
    parser.add_argument("--draws", type=int, default=40, help="of the counts of each structure")
    parser.add_argument("--counts", type=int, default=600)
    parser.add_argument("--fields", default="build/fields")
    parser.add_argument("-o", "--out", default="benchmarks/results")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    if args.own:
        own_maps(args.own, args.numbers, args.draws, args.counts, args.fields, args.out)
    if args.folder is not None:
        found = sorted(p.stem.removesuffix("_truth") for p in Path(args.folder).glob("*_truth.nc"))
        of_cases(args.folder, args.names or found, args.draws, args.counts, args.out)


if __name__ == "__main__":
    main()

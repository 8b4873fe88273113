"""The estimators on experiments simulated by an independent program.

    python benchmarks/cases.py FOLDER [--draws 8] [-o benchmarks/results]

FOLDER holds pairs ``NAME.nc`` and ``NAME_truth.nc`` (counts per stage, and the truth: fraction,
labels, boundaries, cuts). One table per case and stage: coverage of the 68 and 95 % sets of the
local fit at the true cuts, of the two separate quadratics of the paper on the same pixels, the
error of the slope by either, and the population's P over the true one.

The first figure of a cell is for the counts as supplied; where the case has no artefacts the
truth is counted `draws` times more and the second figure is for these. Artefacts are corrected
and frames aligned before; what calibration needs is in the case file, the background in its truth.
Errors of the slope (robust standard deviations) are in units of the mean slope inside the grains.
The truth of the population is the mean of P, weighted with the squared steps, over the boundaries
longer than 8 µm, which are what the estimate is made of; in brackets the ratio to that of all.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from estimators import paper

from lliso.fit.network import fit_network, grain_slopes
from lliso.fit.patch import PatchGeometry, PatchImage, fit_patch
from lliso.fit.population import population_permeability
from lliso.fit.uncertainty import ratio_set
from lliso.maps.alignment import align_frames
from lliso.maps.calibration import Reference, calibrate
from lliso.maps.carried import effective_counts
from lliso.maps.corrections import correct_background, correct_fractionation, correct_hydride
from lliso.maps.dead_time import correct_dead_time
from lliso.maps.drift import measure_drift
from lliso.maps.fraction import isotope_fraction, sum_frames
from lliso.maps.grains import boundary_network
from lliso.schema import make_map

SPECIES = ["6Li", "7Li"]
#: µm; the population is estimated from boundaries longer than this
SHORTEST = 8.0
LEVELS = (0.6827, 0.95)


@dataclass
class Case:
    """A case's files and what its program was told."""

    name: str
    data: xr.Dataset
    truth: xr.Dataset
    params: dict

    @property
    def clean(self) -> bool:
        """Whether counts are Poisson counts of the true fraction."""
        return not set(self.params["instr"]) - {"N", "psf_fwhm"}

    def counts(self, stage: int) -> np.ndarray:
        """Counts as supplied."""
        return np.stack([self.data[f"counts_{s}"].isel(stage=stage).values for s in SPECIES])

    def map(self, counts: np.ndarray, **attrs: object) -> xr.Dataset:
        """A map of these counts on the case's pixels."""
        x, y = self.data.x.values, self.data.y.values
        return make_map(counts, SPECIES, x=x, y=y, attrs={"simulated": 1, **attrs})

    def prepared(self, stage: int) -> tuple[xr.Dataset, np.ndarray]:
        """The supplied map corrected and aligned, and where the specimen's origin went, µm."""
        instrument, shift = self.params["instr"], np.zeros(2)
        ds = self.map(self.counts(stage).astype(np.int64), dead_time_corrected="no")
        if "frame" in ds.dims:
            ds = sum_frames(align_frames(ds, measure_drift(ds)))
            moved = json.loads(self.truth.attrs[f"scan_shifts_{self.data.stage.values[stage]}"])
            shift = np.mean(moved, axis=0)[::-1]
        if "n_shots" in instrument:
            ds = self._corrected(ds)
        return ds, shift

    def _corrected(self, ds: xr.Dataset) -> xr.Dataset:
        instrument, pixels = self.params["instr"], 40_000
        background = {"6Li": instrument["b6"], "7Li": instrument["b7"]}
        light, heavy = (self.data[f"ref_counts_{s}"].values for s in SPECIES)
        known = zip(light, heavy, self.data.ref_C.values, strict=True)
        references = [
            Reference(a - background["6Li"] * pixels, b - background["7Li"] * pixels, c)
            for a, b, c in known
        ]
        found = calibrate(references)
        ds = correct_dead_time(ds, shots=int(self.data.n_shots))
        ds = correct_background(ds, background)
        return correct_fractionation(correct_hydride(ds, found), found)

    def drawn(self, stage: int, rng: np.random.Generator) -> xr.Dataset:
        """The truth counted anew."""
        c = self.truth["C_psf"].isel(stage=stage).values
        rate = self.params["instr"]["N"] * self.truth["yield_rel"].values
        return self.map(rng.poisson(np.stack([rate * c, rate * (1 - c)])))


def opened(file: Path) -> Case | None:
    """Read a case, or nothing where it is not a map with cuts."""
    truth = xr.load_dataset(file.with_name(f"{file.stem}_truth.nc"))
    if "cut_P_cm_s" not in truth:
        return None
    data = xr.load_dataset(file)
    data["n_shots"] = data.attrs.get("n_shots", -1)
    return Case(file.stem, data, truth, json.loads(truth.attrs["params"]))


def geometries(truth: xr.Dataset, ds: xr.Dataset, shift: np.ndarray) -> list[PatchGeometry | None]:
    """Patches of the true cuts that lie inside the map."""
    box = np.array([[ds.x.values[0], ds.y.values[0]], [ds.x.values[-1], ds.y.values[-1]]])
    place = np.column_stack([truth.cut_x.values, truth.cut_y.values]) + shift
    normal = np.column_stack([truth.cut_nx.values, truth.cut_ny.values])
    reach = np.column_stack([truth.cut_Lm.values, truth.cut_Lp.values])
    out: list[PatchGeometry | None] = []
    for k, (p, n, r) in enumerate(zip(place, normal, reach, strict=True)):
        ends = np.array([p - r[0] * n, p + r[1] * n])
        inside = bool(((ends > box[0]) & (ends < box[1])).all())
        width = float(truth.cut_width.values[k])
        out.append(PatchGeometry(str(k), *p, *n, width, *map(float, r)) if inside else None)
    return out


def local(case: Case, ds: xr.Dataset, stage: int, shift: np.ndarray) -> list[dict]:
    """Fit every true cut: is the truth inside, and how far is the slope off?"""
    light, total = effective_counts(ds)
    x, y = ds.x.values, ds.y.values
    image = PatchImage(light, total, x, y, max(float(x[1] - x[0]), float(y[1] - y[0])))
    d = case.params["D_assumed"]
    name = str(case.data.stage.values[stage])
    slope = case.truth[f"cut_grad_per_cm_{name}"].values * 1e-4
    ratio = case.truth["cut_P_cm_s"].values / d * 1e-4
    mean_slope = mean_grain_slope(case, ds, shift)
    rows = []
    for k, g in enumerate(geometries(case.truth, ds, shift)):
        if g is None or not np.isfinite(slope[k]):
            continue
        try:
            fit = fit_patch(image, g, mean_slope=mean_slope)
        except ValueError:
            continue
        s, gg, cov = fit.parameters["step"], fit.parameters["slope"], fit.covariance
        row = {"slope": (gg - slope[k]) / mean_slope}
        for level in LEVELS:
            found = ratio_set(gg, s, cov[1, 1], cov[0, 0], cov[0, 1], level)
            row[f"in{level}"] = found.low <= ratio[k] <= found.high
        try:
            s, gg, cov = paper(image, g)
        except ValueError:
            pass
        else:
            r = gg / s
            std = abs(r) * np.sqrt(cov[0, 0] / s**2 + cov[1, 1] / gg**2 - 2 * cov[0, 1] / s / gg)
            row["paper_slope"] = (gg - slope[k]) / mean_slope
            for level, z in zip(LEVELS, (1.0, 1.96), strict=True):
                row[f"paper{level}"] = abs(r - ratio[k]) < z * std
        rows.append(row)
    return rows


def network_of(case: Case, ds: xr.Dataset, shift: np.ndarray) -> xr.Dataset:
    """The true grains of the map's pixels."""
    label = xr.Dataset(
        {"label": (("y", "x"), case.truth.label.values.astype(np.int64))},
        {"x": case.data.x.values + shift[0], "y": case.data.y.values + shift[1]},
    )
    label = label.sel(x=ds.x, y=ds.y, method="nearest").assign_coords(x=ds.x, y=ds.y)
    return boundary_network(label, source=ds)


def mean_grain_slope(case: Case, ds: xr.Dataset, shift: np.ndarray) -> float:
    """ḡ, 1/µm, as the map tells it."""
    found = grain_slopes(ds, network_of(case, ds, shift)).attrs["mean_slope_per_cm"]
    return abs(float(found)) * 1e-4


def population(
    case: Case, ds: xr.Dataset, stage: int, shift: np.ndarray
) -> tuple[float, float, float]:
    """P of the population over the true one, its stated error, and P over that of all."""
    network = network_of(case, ds, shift)
    try:
        found = population_permeability(fit_network(ds, network, d_bulk=case.params["D_assumed"]))
    except ValueError:  # a laminate has too few boundaries
        return np.nan, np.nan, np.nan
    middle = [
        0.5 * (case.truth[f"b_{c}1"].values + case.truth[f"b_{c}2"].values) for c in ("x", "y")
    ]
    inside = np.ones(len(middle[0]), dtype=bool)
    for at, axis in zip(middle, (case.data.x.values, case.data.y.values), strict=True):
        inside &= (at > axis[0]) & (at < axis[-1])
    step = case.truth["b_step_imaged" if case.params["cold"] else "b_step"].values
    weight = np.where(inside, step.reshape(len(inside), -1)[:, stage] ** 2, 0.0)
    p = case.truth["b_P_cm_s"].values
    known = np.isfinite(weight) & np.isfinite(p)
    long = known & (case.truth["b_length"].values > SHORTEST)
    mean, whole = (float(np.average(p[k], weights=weight[k])) for k in (long, known))
    return found.permeability / mean, found.std / mean, found.permeability / whole


def robust(values: np.ndarray) -> float:
    """Standard deviation from the median of the distances."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def summary(rows: list[dict]) -> dict[str, float]:
    """Coverage and errors of many fits."""
    out: dict[str, float] = {"fits": len(rows)}
    for name in ("in0.6827", "in0.95", "paper0.6827", "paper0.95"):
        out[name] = float(np.mean([r[name] for r in rows if name in r]))
    for name in ("slope", "paper_slope"):
        out[name] = robust(np.array([r[name] for r in rows if name in r]))
    return out


def measured(case: Case, stage: int, draws: int) -> dict:
    """All figures of one case and stage."""
    ds, shift = case.prepared(stage)
    result = {"case": case.name, "stage": str(case.data.stage.values[stage])}
    result["counts"] = float(isotope_fraction(ds)["total"].mean())
    names = ("population", "population_std", "population_all")
    found = dict(zip(names, population(case, ds, stage, shift), strict=True))
    result["supplied"] = summary(local(case, ds, stage, shift)) | found
    if case.clean and draws:
        rng = np.random.default_rng([stage, *map(ord, case.name)])
        rows, ratios = [], []
        for _ in range(draws):
            one = case.drawn(stage, rng)
            rows += local(case, one, stage, shift)
            ratios.append(population(case, one, stage, shift))
        value, std, whole = np.array(ratios).T
        result["drawn"] = summary(rows) | {
            "population": float(value.mean()),
            "population_std": float(value.std(ddof=1)),
            "population_stated": float(np.sqrt(np.mean(std**2))),
            "population_all": float(whole.mean()),
        }
    return result


def table(results: list[dict]) -> str:
    """The figures as Markdown."""

    def cell(r: dict, *names: str) -> str:
        shown = [r[which] for which in ("supplied", "drawn") if which in r]
        return "; ".join(" / ".join(f"{one[n]:.2f}" for n in names) for one in shown)

    def spread(one: dict) -> float:
        return float(one.get("population_stated", one["population_std"]))

    head = (
        "| case | stage | counts a pixel | cuts | one slope: 68 / 95 % | paper's way: 68 / 95 % "
        "| error of the slope: one slope / paper's way | P of the population / truth ± stated |"
    )
    lines = [head, "|---" * 8 + "|"]
    for r in results:
        shown = [r[which] for which in ("supplied", "drawn") if which in r]
        population = "; ".join(
            f"{one['population']:.2f} ± {spread(one):.2f} ({one['population_all']:.2f})"
            if np.isfinite(one["population"])
            else "–"
            for one in shown
        )
        lines.append(
            f"| {r['case']} | {r['stage']} | {r['counts']:,.0f} | {r['supplied']['fits']} "
            f"| {cell(r, 'in0.6827', 'in0.95')} | {cell(r, 'paper0.6827', 'paper0.95')} "
            f"| {cell(r, 'slope', 'paper_slope')} | {population} |"
        )
    about = " ".join((__doc__ or "").split("\n\n", 2)[2].split())
    return "\n".join(["# Cases of an independent program (simulated)", "", about, "", *lines, ""])


def main() -> None:
    """Run all cases in a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("-o", "--out", type=Path, default=Path(__file__).parent / "results")
    args = parser.parse_args()
    results = []
    for file in sorted(args.folder.glob("*_truth.nc")):
        if args.only not in file.name:
            continue
        case = opened(file.with_name(file.name.replace("_truth", "")))
        for stage in range(0 if case is None else case.data.sizes["stage"]):
            assert case is not None
            results.append(measured(case, stage, args.draws))
            print(json.dumps(results[-1]), flush=True)
    (args.out / "cases.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (args.out / "cases.md").write_text(table(results), encoding="utf-8")


if __name__ == "__main__":
    main()

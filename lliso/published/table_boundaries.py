"""The boundary table: every boundary of the map at both times, and the estimators compared.

The paper reads step and slope off two parabolas at a handful of boundaries and states the range
and mean of D_gb (its Table S2). Here every boundary of the map is fitted, at both times and with
one P for both; beside it stands what the paper's own way gives on the same counts, and, because
the default inputs are simulated, the truth.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lliso._types import FloatArray
from lliso.errors import LlisoWarning
from lliso.fit.boundaries import METHODS, fit_boundaries
from lliso.fit.joint import combine_ratios
from lliso.fit.network import fit_network
from lliso.fit.population import (
    PopulationEstimate,
    permeability_distribution,
    population_permeability,
)
from lliso.maps.grains import boundary_network, picks_from_network
from lliso.maps.picks import Picks
from lliso.maps.truth import true_permeability
from lliso.published import Made, fig3
from lliso.published.fig3 import D_BULK, DELTA, Data
from lliso.units import CM_PER_NM, parse_quantity

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

TITLE = "D_gb of every boundary at both times, their distribution, and the estimators compared"
INPUTS = {k: v for k, v in fig3.INPUTS.items() if k != "ledger"}
#: boundaries shorter than this are too short for a slope of their own, µm
SHORTEST = 8.0
_ALL, _MARKED = "every boundary", "marked"


@dataclass(frozen=True)
class Found:
    """Fits of every boundary: a table per time, joint limits, and the network they belong to."""

    network: xr.Dataset
    tables: tuple[xr.Dataset, xr.Dataset]
    joint: pd.DataFrame
    populations: tuple[PopulationEstimate, PopulationEstimate]


def fit_all(data: Data, grains: xr.Dataset) -> Found:
    """Fit every boundary between the grains at both times, and with one P for both."""
    network = boundary_network(grains)
    network = network.sel(boundary=network["length"] >= SHORTEST)
    one, two = (fit_network(ds, network, d_bulk=D_BULK, delta=DELTA) for ds in data.maps)
    populations = (population_permeability(one), population_permeability(two))
    return Found(network, (one, two), _joint((one, two)), populations)


def _joint(tables: Sequence[xr.Dataset], level: float = 0.95) -> pd.DataFrame:
    """Limits of one P for all times, by boundary (cm/s), and the probability that it stayed."""
    names = [str(n) for n in tables[0]["boundary"].values]
    d_bulk = float(tables[0].attrs["d_bulk_cm2_per_s"])
    rows: dict[str, dict[str, Any]] = {}
    for k, name in enumerate(names):
        stages = [_estimate(table.isel(boundary=k)) for table in tables]
        if not all(np.isfinite(step) for step, _, _ in stages):
            continue
        found = combine_ratios(stages, level)
        rows[name] = {
            "P (cm/s)": d_bulk * found.ratio if found.interval.kind == "measured" else np.nan,
            "P low (cm/s)": d_bulk * found.interval.low,
            "P high (cm/s)": d_bulk * found.interval.high,
            "verdict": found.interval.kind,
            "p that P stayed": found.p_value,
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _estimate(row: xr.Dataset) -> tuple[float, float, FloatArray]:
    step, slope, a, b, rho = (
        float(row[n]) for n in ("step", "slope", "step_std", "slope_std", "step_slope_correlation")
    )
    return step, slope, np.array([[a * a, rho * a * b], [rho * a * b, b * b]])


def boundary_frame(data: Data, found: Found) -> pd.DataFrame:
    """Tabulate every fitted boundary: place, length, step, slope and P at each time and jointly."""
    one = found.tables[0]
    frame = one[["x", "y", "length"]].to_dataframe()
    frame.columns = pd.Index(["x (um)", "y (um)", "length (um)"])
    for table in found.tables:
        stage = str(table.attrs["stage"])
        for name, column in (
            ("step", "ΔC"),
            ("step_std", "std of ΔC"),
            ("slope", "dC/dn (1/cm)"),
            ("slope_std", "std of dC/dn (1/cm)"),
            ("permeability_low", "P low (cm/s)"),
            ("permeability_high", "P high (cm/s)"),
            ("verdict", "verdict"),
        ):
            frame[f"{stage}: {column}"] = table[name].values
    frame = frame.join(found.joint.add_prefix("both: "), how="inner")
    to_d_gb = parse_quantity(DELTA, "nm", "delta") * CM_PER_NM
    for end in ("", " low", " high"):
        frame[f"both: D_gb{end} (cm^2/s)"] = frame[f"both: P{end} (cm/s)"] * to_d_gb
    if data.truth is not None:
        frame["true P (cm/s)"] = true_permeability(data.truth, frame["x (um)"], frame["y (um)"])
    return frame


def estimator_frame(data: Data, found: Found, methods: Sequence[Any] = METHODS) -> pd.DataFrame:
    """Compare the estimators after the exchange: on the marked boundaries, and on every one.

    Returns
    -------
    pandas.DataFrame
        By (boundaries, method): how many, the median error of the slope (1/cm), the share of
        intervals with two ends above 0, of values below 0, and, with a truth, the share of 95 %
        intervals that hold it and the median of |ln(P/true P)|; then mean and range of D_gb as the
        paper states them, over the values that are positive.
    """
    ds = data.maps[0]
    rows = {}
    for method in methods:
        table = fit_boundaries(ds, data.picks, d_bulk=D_BULK, delta=DELTA, method=method)
        rows[(_MARKED, method)] = _scores(table, data)
    rows[(_ALL, "network")] = _scores(found.tables[0], data)
    every = own_picks(found.network, ds)
    with warnings.catch_warnings():
        # Short grains have no room for two parabolas: such rows are left out, and counted.
        warnings.simplefilter("ignore", LlisoWarning)
        table = fit_boundaries(ds, every, d_bulk=D_BULK, delta=DELTA, method="paper2024")
    rows[(_ALL, "paper2024")] = _scores(table, data)
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index = pd.MultiIndex.from_tuples(list(rows), names=["boundaries", "method"])
    return frame


def own_picks(network: xr.Dataset, ds: xr.Dataset) -> Picks:
    """Return a cut across every boundary of a network, as wide as the boundary is long."""
    return picks_from_network(network, ds, narrowest=SHORTEST, least_probability=0.0)


def _scores(table: xr.Dataset, data: Data) -> dict[str, float]:
    table = table.isel(boundary=np.isfinite(table["slope"].values))
    d_bulk = float(table.attrs["d_bulk_cm2_per_s"])
    p = d_bulk * table["slope"].values / table["step"].values
    low, high = table["permeability_low"].values, table["permeability_high"].values
    to_d_gb = parse_quantity(DELTA, "nm", "delta") * CM_PER_NM
    positive = to_d_gb * p[p > 0]
    scores: dict[str, float] = {
        "number": p.size,
        "median slope error (1/cm)": float(np.median(table["slope_std"])),
        "two ends above 0": float(np.mean((low > 0) & np.isfinite(high))),
        "values below 0": float(np.mean(p < 0)),
    }
    if data.truth is not None:
        true = true_permeability(data.truth, table["x"].values, table["y"].values)
        known = np.isfinite(true)
        inside = (low <= true) & (true <= high)
        both = known & (p > 0)
        scores |= {
            "holds the truth": float(np.mean(inside[known])),
            "median |ln P/true|": float(np.median(np.abs(np.log(p[both] / true[both])))),
        }
    return scores | {
        "mean D_gb (cm^2/s)": float(positive.mean()),
        "least D_gb (cm^2/s)": float(positive.min()),
        "greatest D_gb (cm^2/s)": float(positive.max()),
    }


def population_frame(data: Data, found: Found) -> pd.DataFrame:
    """Estimate what all boundaries share: the step²-weighted mean of P, and its lognormal law."""
    rows = {}
    for table, estimate in zip(found.tables, found.populations, strict=True):
        law = permeability_distribution(table)
        row: dict[str, Any] = {
            "boundaries": estimate.n,
            "P (cm/s)": estimate.permeability,
            "P low (cm/s)": estimate.low,
            "P high (cm/s)": estimate.high,
            "median P (cm/s)": law.median,
            "std of ln P": law.sigma,
            "its std": law.sigma_std,
            "flags": " ".join((*estimate.flags, *law.flags)),
        }
        if data.truth is not None:
            row |= _true_population(data.truth, str(table.attrs["stage"]), table)
        rows[str(table.attrs["stage"])] = row
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index.name = "stage"
    return frame


def _true_population(truth: xr.Dataset, stage: str, table: xr.Dataset) -> dict[str, float]:
    """Means of the true P over the boundaries of the truth in the table's field and length."""
    step = truth["step"].sel(stage=stage).values
    p = truth["permeability"].values.astype(float)
    (x0, x1), (y0, y1) = ((float(table[k].min()), float(table[k].max())) for k in ("x", "y"))
    middle = [0.5 * (truth[f"{k}0"] + truth[f"{k}1"]).values for k in ("x", "y")]
    inside = (middle[0] >= x0) & (middle[0] <= x1) & (middle[1] >= y0) & (middle[1] <= y1)
    use = inside & (truth["length"].values >= SHORTEST) & np.isfinite(step)
    return {
        "true step²-weighted P (cm/s)": float(np.average(p[use], weights=step[use] ** 2)),
        "true mean P (cm/s)": float(p[use].mean()),
        "true median P (cm/s)": float(np.median(p[use])),
        "true std of ln P": float(np.log(p[use]).std()),
    }


def draw(data: Data, frame: pd.DataFrame, estimators: pd.DataFrame, found: Found) -> Figure:
    """Draw the intervals of the longest boundaries, and the distribution of P."""
    from lliso.published.table_panels import figure_of_table

    return figure_of_table(data, frame, estimators, found)


def make(inputs: Mapping[str, Any]) -> Made:
    """Make the boundary table from maps, image and picks (paths, or the things themselves)."""
    data = fig3.load(inputs)
    found = fit_all(data, fig3.trace(data).grains)
    frame, estimators = boundary_frame(data, found), estimator_frame(data, found)
    tables = {
        "table_boundaries": frame,
        "table_population": population_frame(data, found),
        "table_estimators": estimators,
    }
    settings = {
        "d_bulk": D_BULK,
        "delta": DELTA,
        "shortest_um": SHORTEST,
        "populations": [
            {k: v if isinstance(v, tuple) else float(v) for k, v in asdict(p).items()}
            for p in found.populations
        ],
        "simulated": int(data.maps[0].attrs.get("simulated", 0)),
    }
    figures = {"table_boundaries": draw(data, frame, estimators, found)}
    return Made(figures, tables, settings)

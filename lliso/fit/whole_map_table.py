"""The table of a whole-map inversion: one row per boundary, with what the prior had to add."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtri

from lliso._types import FloatArray
from lliso.fit.rate import Clock
from lliso.fit.table import BOUNDARY, Constants
from lliso.fit.uncertainty import LOWER_LIMIT, MEASURED, NOT_MEASURABLE, UPPER_LIMIT
from lliso.units import CM_PER_NM, UM_PER_CM

if TYPE_CHECKING:
    import xarray as xr

    from lliso.fit.whole_map import WholeMapFit

STAGE, OTHER = "stage", "other"

#: what each flag of a row means
FLAGS = {
    "at_rim": "the boundary leaves the field of view: its surroundings are known on one side only",
    "not_converged": "the iterations did not settle; take no number from this map",
    "outlines_off": "pixels next to the boundaries fit worse than the others: the outlines (or the "
    "resolution) are off by more than the guard allows; correct them, or widen the guard",
    "parallel_to_flux": "nearly along the flux: no counts can tell this P",
    "prior_only": "the map says next to nothing of this P (shrinkage below 0.1)",
}

#: column -> (unit, what it is)
COLUMNS = {
    "grain1": ("", "grain on the side nearer the source"),
    "grain2": ("", "grain on the other side"),
    "x": ("um", "middle of the boundary, x"),
    "y": ("um", "middle of the boundary, y"),
    "nx": ("1", "unit normal from grain1 to grain2, x"),
    "ny": ("1", "unit normal from grain1 to grain2, y"),
    "length": ("um", "length"),
    "ln_permeability": ("1", "posterior mean of ln P, P in cm/s"),
    "ln_permeability_std": ("1", "its standard deviation"),
    "shrinkage": ("1", "1 - (posterior sd / prior sd)^2: 0 all prior, 1 all map"),
    "permeability": ("cm/s", "P = D_gb/delta, posterior median; NaN where there is only a limit"),
    "permeability_low68": ("cm/s", "68 % interval of the posterior, lower limit"),
    "permeability_high68": ("cm/s", "68 % interval of the posterior, upper limit"),
    "permeability_low": ("cm/s", "interval at the stated level, lower limit"),
    "permeability_high": ("cm/s", "interval at the stated level, upper limit"),
    "verdict": (
        "",
        "measured (the map halves the prior's variance), not_measurable, lower_ or upper_limit",
    ),
    "d_gb": ("cm^2/s", "D_gb = P delta"),
    "d_gb_low": ("cm^2/s", "its lower limit at the stated level"),
    "d_gb_high": ("cm^2/s", "its upper limit at the stated level"),
    "delta": ("nm", "boundary thickness assumed"),
    "step": ("1", "mean step of the isotope fraction in the fitted field"),
    "flux": ("cm/s", "P times step: flux density through the boundary over that of lithium"),
    "flags": ("", "reasons for care, separated by blanks"),
}

#: a normal within this angle of being across the gradient makes a boundary parallel to the flux
_PARALLEL = np.sin(np.radians(15.0))
_MOSTLY_PRIOR, _HALF = 0.1, 0.5
#: χ² of the pixels next to boundaries over that of the others, and its excess in standard errors,
#: from which outlines are off. With true labels of pixels and no guard the ratio was 0.97 to 1.05,
#: and 2 of 2,400 maps were taken for off. With labels one pixel off it was 1.06 to 2.0 at 600 and
#: 3,000 counts, where 68 % intervals held the truth in half of the cases (all 26 maps were found);
#: at 100 counts they are not told apart (simulated maps, benchmarks/results/whole_map.md).
_EDGE, _EDGE_SIGNIFICANT = 1.06, 4.0
#: how well D_bulk from one place and time is known, apart from noise: maps of 16 and 34 µm grains
#: with P narrow and wide scattered by 15 %; those of whole_map.md, P narrow, by 6 to 11 %
_STRUCTURAL = 0.13


def bulk_from_exchange(
    fit: WholeMapFit, clock: Clock, prior: tuple[float, float] | None
) -> tuple[float, float]:
    """D_bulk in cm²/s and its relative standard error from one map and its exchange time.

    The macroscopic profile and the time tell the flux, D_eff dC/dy; the slope inside the grains is
    the flux over D_bulk. `prior` is another estimate and its standard error, cm²/s. The liquid
    level is left free; `lliso.d_bulk_from_map` can use it, and says when not to trust the result.
    """
    mesh = fit.stages[0].problem.mesh
    field, areas = fit.last[0].field, mesh.triangle_areas
    along = fit.macroscopic[0] / np.hypot(*fit.macroscopic[0])
    corner = mesh.points[mesh.triangles]
    u, v = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    du, dv = (field[mesh.triangles[:, k]] - field[mesh.triangles[:, 0]] for k in (1, 2))
    gradient = np.column_stack([du * v[:, 1] - dv * u[:, 1], dv * u[:, 0] - du * v[:, 0]])
    inside = float((gradient @ along).sum() / (2.0 * areas.sum()))
    place, value = corner.mean(axis=1) @ along, field[mesh.triangles].mean(axis=1)
    flux = clock.flux(place, value, areas)
    d = flux / inside / UM_PER_CM**2
    if not d > 0:
        raise ValueError(
            f"d_bulk must be positive, got {d:g} cm^2/s from the map and its exchange time; "
            "give d_bulk instead"
        )
    std = float(np.hypot(_STRUCTURAL, fit.posterior.mu_std))
    if prior is not None:
        weights = np.array([std**-2, (prior[0] / prior[1]) ** 2])
        d = float(np.exp(weights @ np.log([d, prior[0]]) / weights.sum()))
        std = float(weights.sum() ** -0.5)
    return d, std


def whole_map_table(
    fit: WholeMapFit,
    stack: Sequence[xr.Dataset],
    constants: Constants,
    settings: Mapping[str, float],
    d_bulk: tuple[float, float] | None,
) -> xr.Dataset:
    """Tabulate an inversion (see `lliso.fit.whole_map.invert_map`).

    `d_bulk` (cm²/s and relative standard error) turns P/D_bulk into P; None: it was known.
    """
    import xarray as xr

    if d_bulk is None:
        bulk, relative = constants.d_bulk, constants.d_bulk_std / constants.d_bulk
        to_cm = 1.0 / UM_PER_CM
    else:
        bulk, relative = d_bulk
        to_cm = bulk * UM_PER_CM
    limit = _limit(fit, constants.level)
    columns = _columns(fit, constants, to_cm, limit)
    names = [str(k + 1) for k in range(len(columns["x"]))]
    table = xr.Dataset(
        coords={BOUNDARY: names, STAGE: [str(ds.attrs.get("stage", "")) for ds in stack]}
    )
    for name, (unit, long_name) in COLUMNS.items():
        values = columns[name]
        dims = (STAGE, BOUNDARY) if values.ndim == 2 else (BOUNDARY,)
        table[name] = (dims, values, {"units": unit, "long_name": long_name})
    table["ln_permeability_covariance"] = (
        (BOUNDARY, OTHER),
        fit.posterior.covariance,
        {"units": "1", "long_name": "posterior covariance of ln P"},
    )
    dof = sum(one.n_pixels for one in fit.last)
    return table.assign_attrs(
        map_id=" ".join(str(ds.attrs.get("map_id", "")) for ds in stack),
        simulated=int(any(int(ds.attrs.get("simulated", 0)) for ds in stack)),
        method="whole_map",
        mu=fit.posterior.mu + float(np.log(to_cm)),
        mu_std=fit.posterior.mu_std,
        tau=fit.posterior.tau,
        limit=limit[0],
        permeability_limit=float(np.exp(limit[1]) * to_cm),
        chi2=sum(one.chi2 for one in fit.last),
        chi2_red=sum(one.chi2 for one in fit.last) / dof,
        edge_chi2_ratio=fit.edge[0],
        edge_chi2_ratio_std=fit.edge[1],
        n_pixels=dof,
        iterations=fit.iterations,
        success=int(fit.success),
        d_bulk_cm2_per_s=bulk,
        d_bulk_relative_std=relative,
        d_bulk_estimated=int(d_bulk is not None),
        delta_nm=constants.delta,
        level=constants.level,
        **settings,
    )


def _limit(fit: WholeMapFit, level: float) -> tuple[str, float]:
    """Return the kind of limit that the map sets to the median P, and ln P there.

    By the likelihood ratio of a P common to all boundaries; nothing where it bounds P both ways.
    """
    if fit.scan is None:
        return "", np.nan
    at, loss = fit.scan
    excess = loss - loss.min() - 0.5 * float(ndtri(level)) ** 2
    best = int(loss.argmin())
    below, above = excess[0] > 0, excess[-1] > 0
    if below and not above:
        k = int(np.flatnonzero(excess[: best + 1] > 0)[-1])
        return LOWER_LIMIT, float(np.interp(0.0, -excess[k : k + 2], at[k : k + 2]))
    if above and not below:
        k = best + int(np.flatnonzero(excess[best:] > 0)[0])
        return UPPER_LIMIT, float(np.interp(0.0, excess[k - 1 : k + 1], at[k - 1 : k + 1]))
    return "", np.nan


def _columns(
    fit: WholeMapFit, constants: Constants, to_cm: float, limit: tuple[str, float]
) -> dict[str, Any]:
    problem = fit.stages[0].problem
    outlines = problem.mesh.outlines
    mean = fit.posterior.mean + np.log(to_cm)
    std = np.sqrt(np.diag(fit.posterior.covariance))
    shrinkage = np.clip(1.0 - (std / fit.posterior.tau) ** 2, 0.0, 1.0)
    p = np.exp(mean)
    wide = float(ndtri(0.5 + constants.level / 2))
    step = np.stack([problem.steps(one.field) for one in fit.last])
    to_d_gb = constants.delta * CM_PER_NM
    known = shrinkage >= _HALF
    kind, edge = limit
    verdict = np.where(known, MEASURED, kind or NOT_MEASURABLE)
    intervals: dict[str, FloatArray] = {}
    for name, z in (("68", 1.0), ("", wide)):
        low, high = np.exp(mean - z * std), np.exp(mean + z * std)
        # around the limit of the median, single boundaries scatter by tau
        bound, scatter = np.exp(edge + np.log(to_cm)), np.exp(z * fit.posterior.tau)
        low = np.where(verdict == LOWER_LIMIT, bound / scatter, low)
        high = np.where(verdict == LOWER_LIMIT, np.inf, high)
        high = np.where(verdict == UPPER_LIMIT, bound * scatter, high)
        low = np.where(verdict == UPPER_LIMIT, 0.0, low)
        intervals |= {f"permeability_low{name}": low, f"permeability_high{name}": high}
    if kind:
        p = np.where(known, p, np.nan)
    middles, normals = outlines.middles, outlines.normals + 0.0  # no minus zeros
    return {
        "grain1": outlines.grains[:, 0],
        "grain2": outlines.grains[:, 1],
        "x": middles[:, 0],
        "y": middles[:, 1],
        "nx": normals[:, 0],
        "ny": normals[:, 1],
        "length": outlines.lengths,
        "ln_permeability": mean,
        "ln_permeability_std": std,
        "shrinkage": shrinkage,
        "permeability": p,
        **intervals,
        "verdict": verdict,
        "d_gb": p * to_d_gb,
        "d_gb_low": intervals["permeability_low"] * to_d_gb,
        "d_gb_high": intervals["permeability_high"] * to_d_gb,
        "delta": np.full(len(p), constants.delta),
        "step": step,
        "flux": np.exp(mean) * step,
        "flags": _flags(fit, shrinkage, normals),
    }


def _flags(fit: WholeMapFit, shrinkage: FloatArray, normals: FloatArray) -> Any:
    outlines = fit.stages[0].problem.mesh.outlines
    x0, y0, x1, y1 = outlines.box
    along = fit.macroscopic[0] / max(float(np.hypot(*fit.macroscopic[0])), 1e-300)
    ratio, error = fit.edge
    off = ratio > _EDGE and ratio - 1.0 > _EDGE_SIGNIFICANT * error
    rows = []
    for chain, share, normal in zip(outlines.chains, shrinkage, normals, strict=True):
        ends = chain[[0, -1]]
        rim = np.isin(ends[:, 0], (x0, x1)) | np.isin(ends[:, 1], (y0, y1))
        rows.append(
            {
                "at_rim": bool(rim.any()),
                "not_converged": not fit.success,
                "outlines_off": bool(off),
                "parallel_to_flux": bool(abs(normal @ along) < _PARALLEL),
                "prior_only": bool(share < _MOSTLY_PRIOR),
            }
        )
    return np.array([" ".join(k for k, on in row.items() if on) for row in rows], dtype=str)

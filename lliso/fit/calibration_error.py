"""What the corrections of a map leave uncertain in each boundary's step, slope and P.

The parameters of the corrections (background, hydride, mass fractionation) are the same in every
pixel, so their errors do not average out over boundaries and stay out of the intervals. Here each
is moved by its error along the independent directions of their covariance, and everything is
fitted again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lliso._types import FloatArray
from lliso.fit.systematics import Systematic, calibration
from lliso.maps.carried import PARAMETER, SENSITIVITY, SYSTEMATIC_COVARIANCE
from lliso.schema import COUNTS

if TYPE_CHECKING:
    import xarray as xr

    from lliso.fit.boundary import BoundaryFit

#: columns that are added to a table, with unit and meaning
SYSTEMATIC_COLUMNS = {
    "step_systematic_std": ("1", "error of the step from the corrections of the counts"),
    "slope_systematic_std": ("1/cm", "error of the slope from the corrections of the counts"),
    "permeability_systematic_rel": ("1", "relative error of P from the corrections of the counts"),
}


def has_systematic(ds: xr.Dataset) -> bool:
    """Whether a map carries parameters of corrections."""
    return SENSITIVITY in ds and SYSTEMATIC_COVARIANCE in ds


def shifted(ds: xr.Dataset) -> list[xr.Dataset]:
    """Return the map with its parameters moved by one error along each independent direction."""
    covariance = np.asarray(ds[SYSTEMATIC_COVARIANCE].values, dtype=float)
    values, vectors = np.linalg.eigh(covariance)
    found = []
    for value, vector in zip(values, vectors.T, strict=True):
        if not value > 1e-12 * max(values.max(), 1e-300):
            continue
        by = ds[PARAMETER].copy(data=np.sqrt(value) * vector)
        change = (ds[SENSITIVITY] * by).sum(PARAMETER)
        counts = (ds[COUNTS] + change).transpose(*ds[COUNTS].dims).assign_attrs(ds[COUNTS].attrs)
        found.append(ds.assign({COUNTS: counts}))
    return found


def systematic_errors(
    ds: xr.Dataset,
    fits: Sequence[BoundaryFit],
    refit: Callable[[xr.Dataset], Sequence[BoundaryFit]],
) -> FloatArray:
    """Return the systematic errors of step, slope and ln P of each boundary.

    Parameters
    ----------
    ds : xarray.Dataset
        A map that carries parameters of corrections.
    fits : sequence of BoundaryFit
        Fits of that map.
    refit : callable
        Fits another map in the same way.

    Returns
    -------
    numpy.ndarray, shape (3, boundary)
        In the units of the fits (slope in 1/µm).
    """
    base = _step_slope(fits)
    squares = np.zeros((3, len(fits)))
    for other in shifted(ds):
        moved = _step_slope(refit(other))
        with np.errstate(divide="ignore", invalid="ignore"):
            ln_p = np.log(np.abs(moved[1] / moved[0])) - np.log(np.abs(base[1] / base[0]))
        squares += np.stack([moved[0] - base[0], moved[1] - base[1], ln_p]) ** 2
    return np.asarray(np.sqrt(squares))


def _step_slope(fits: Sequence[BoundaryFit]) -> FloatArray:
    pairs = [[f.parameters["step"], f.parameters["slope"]] for f in fits]
    return np.array(pairs, dtype=float).reshape(-1, 2).T


def calibration_part(errors: FloatArray | None) -> Systematic:
    """Return the entry of the list of systematic parts: what the corrections do to P."""
    if errors is None or not np.isfinite(errors[2]).any():
        return calibration()
    spread = float(np.nanmedian(errors[2]))
    return Systematic(
        "calibration",
        float(np.exp(-spread)),
        float(np.exp(spread)),
        "errors of the corrections (median over boundaries); mass fractionation and hydride scale "
        "slope and step alike, C and D_eff do change",
    )

"""Every boundary of a map in one call.

`fit_network` takes the network of boundaries (`lliso.maps.grains`) and fits each on the pixels of
its two grains, with the default estimator and the guard off every boundary; `grain_slopes` fits
the gradient inside each grain, which sets the prior of that estimator and, with the macroscopic
gradient, D_bulk (`lliso.fit.bulk`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from lliso._types import BoolArray, FloatArray, IntArray
from lliso.fit.boundary import failed_fit
from lliso.fit.grain_mean import GRAIN_SCATTER, rough_mean
from lliso.fit.patch import PatchFit, PatchGeometry, PatchImage, fit_patch
from lliso.fit.table import BOUNDARY, COLUMNS, Constants, boundary_row
from lliso.fit.window import guard_length
from lliso.maps.cuts import LineCut
from lliso.maps.grains import COLUMN, GRAIN, ROW, interior_distance
from lliso.maps.picks import BoundaryPick, Picks
from lliso.schema import LI6, LI7, X, Y, check_map
from lliso.units import UM_PER_CM

if TYPE_CHECKING:
    from lliso.fit.boundary import BoundaryFit

#: columns of the table of fits that have no meaning without a line cut
_OF_CUTS = ("cut", "position", "position_std", "tilt")
#: columns of the network that the table carries on
_OF_NETWORK = (
    "grain1",
    "grain2",
    "nx",
    "ny",
    "length",
    "straightness",
    "reach_before",
    "reach_after",
    "probability",
)
#: width of the prior on the curvatures for a population, over that for single boundaries
_WIDE = 3.0
#: column of the fit under it -> (unit, what it is)
_WIDE_COLUMNS = {
    "step_wide": ("1", "step under a wide prior, for a population"),
    "slope_wide": ("1/cm", "gradient under a wide prior"),
    "step_std_wide": ("1", "standard error of step_wide"),
    "slope_std_wide": ("1/cm", "standard error of slope_wide"),
    "step_slope_correlation_wide": ("1", "correlation of step_wide and slope_wide"),
}
#: fewest interior pixels for a plane in a grain
_FEWEST_PIXELS = 12


def fit_network(
    ds: xr.Dataset,
    network: xr.Dataset,
    *,
    d_bulk: float | str,
    d_bulk_std: float | str = 0.0,
    delta: float | str = "0.5 nm",
    resolution: float = 1.0,
    mean_slope: float | None = None,
    prior_width: float = 1.0,
    refine: bool = False,
    longest: float = 40.0,
    level: float = 0.95,
) -> xr.Dataset:
    """Fit every boundary of a network on one map and tabulate D_gb/δ and D_gb.

    Parameters
    ----------
    ds : xarray.Dataset
        A map with ⁶Li and ⁷Li on the pixels of the network's labels.
    network : xarray.Dataset
        Of `lliso.maps.grains.boundary_network`.
    d_bulk, d_bulk_std, delta, level
        See `lliso.fit_boundaries`.
    resolution : float
        Full width at half maximum of the point spread function in µm; sets the guard.
    mean_slope : float, optional
        Mean in-grain slope in 1/cm for the prior on the curvatures; default: the mean of
        `grain_slopes`, no less than its error.
    prior_width : float
        Factor on the width of that prior. The columns ``step_wide``, ``slope_wide`` and so on hold
        the fit with a factor of 3 in any case, for the population of a map
        (`lliso.fit.population`), where noise averages out but the pull of the prior does not.
    refine : bool
        Fit place and angle of each boundary too (where its step is clear enough). Worth it where
        labels come from counts; slower.
    longest : float
        How far from a boundary its grains are looked at, in µm.
    level : float
        Confidence level of the intervals.

    Returns
    -------
    xarray.Dataset
        As of `lliso.fit_boundaries`, without the columns that speak of cuts and with those of the
        network. A boundary that cannot be fitted is a row of NaN with the flag ``fit_failed``.

    Raises
    ------
    ValueError
        If a species is missing, the map's pixels are not those of the network's labels, or a
        quantity is not positive or of the wrong dimension.

    References
    ----------
    Eqs. (2), (3) of G. Hasegawa et al., J. Mater. Chem. A 12 (2024) 731.
    """
    constants = Constants.parse(d_bulk, d_bulk_std, delta, level)
    check_map(ds, needs=(LI6, LI7))
    check_same_pixels(ds, network)
    image = PatchImage.from_map(ds)
    guard = guard_length(image.pitch, resolution)
    members = interior_pixels(network, guard)
    if mean_slope is None:
        slopes = grain_slopes(ds, network, resolution=resolution)
        slope = np.hypot(slopes.attrs["mean_slope_per_cm"], slopes.attrs["mean_slope_std_per_cm"])
    else:
        slope = abs(mean_slope)
    if not prior_width > 0:
        raise ValueError(f"prior_width must be positive, got {prior_width:g}")
    prior = prior_width * float(slope) / UM_PER_CM
    allowed = np.zeros(image.total.shape, dtype=bool)
    columns = {k: network[k].values for k in (*_OF_NETWORK, "x", "y", "flags")}
    rows = []
    for i, name in enumerate(network[BOUNDARY].values):
        row = {k: v[i] for k, v in columns.items()}
        geometry = _geometry(str(name), row, longest)
        pixels = np.concatenate([members[int(row["grain1"])], members[int(row["grain2"])]])
        allowed.flat[pixels] = True
        fit = _fit(image, geometry, allowed, resolution, prior, refine)
        allowed.flat[pixels] = False
        rows.append(_row(fit, geometry, row, constants) | _wide(fit, (prior_width / _WIDE) ** 2))
    return _table(rows, ds, network, constants, float(slope))


def check_same_pixels(ds: xr.Dataset, network: xr.Dataset) -> None:
    """Raise ValueError unless the map has the pixels of the network's labels."""
    for axis, own in ((X, COLUMN), (Y, ROW)):
        a, b = ds[axis].values, network[own].values
        if a.size != b.size or not np.allclose(a, b):
            raise ValueError(
                f"the map must have the pixels of the network's labels, got {a.size} along "
                f"{axis} from {a[0]:g} um against {b.size} from {b[0]:g} um"
            )


def interior_pixels(network: xr.Dataset, guard: float) -> dict[int, IntArray]:
    """Flat numbers of the pixels of each grain that are at least `guard` µm off any boundary."""
    label = network["label"].values
    pitch = tuple(float(network[k].values[1] - network[k].values[0]) for k in (COLUMN, ROW))
    inside = np.flatnonzero(interior_distance(label, (pitch[0], pitch[1])) >= guard)
    owner = label.flat[inside]
    order = np.argsort(owner, kind="stable")
    names = network[GRAIN].values
    edges = np.searchsorted(owner[order], names)
    ends = np.searchsorted(owner[order], names, side="right")
    return {int(g): inside[order[a:b]] for g, a, b in zip(names.tolist(), edges, ends, strict=True)}


def _geometry(name: str, row: dict[str, Any], longest: float) -> PatchGeometry:
    before, after = float(row["reach_before"]), float(row["reach_after"])
    # The allowed pixels keep the far guards, at whatever angle the next boundaries are: a reach
    # that were shortened once more would throw counts away.
    return PatchGeometry(
        name=name,
        x=float(row["x"]),
        y=float(row["y"]),
        nx=float(row["nx"]),
        ny=float(row["ny"]),
        width=float(row["length"]),
        reach_before=min(before, longest),
        reach_after=min(after, longest),
    )


def _fit(
    image: PatchImage,
    geometry: PatchGeometry,
    allowed: BoolArray,
    resolution: float,
    slope: float,
    refine: bool,
) -> BoundaryFit:
    try:
        return fit_patch(
            image,
            geometry,
            resolution=resolution,
            mean_slope=slope,
            refine=refine,
            allowed=allowed,
        )
    except ValueError as err:
        pick = BoundaryPick(name=geometry.name, cut="-", position=0.0, window=(-1.0, 1.0))
        return failed_fit(pick, str(err))


def _row(
    fit: BoundaryFit, geometry: PatchGeometry, row: dict[str, Any], constants: Constants
) -> dict[str, Any]:
    place, normal = (geometry.x, geometry.y), (geometry.nx, geometry.ny)
    if isinstance(fit, PatchFit):
        place, normal = fit.place, fit.normal
    end = (place[0] + normal[0], place[1] + normal[1])
    picks = Picks(
        cuts=(LineCut(name="-", start=place, end=end, width=max(geometry.width, 1e-3)),),
        boundaries=(BoundaryPick(name=fit.name, cut="-", position=0.0, window=(-1.0, 1.0)),),
    )
    found = boundary_row(fit, picks, constants)
    kept = {k: v for k, v in found.items() if k not in _OF_CUTS}
    flags = " ".join(f for f in (str(row["flags"]), str(found["flags"])) if f)
    return {**{k: row[k] for k in _OF_NETWORK}, **kept, "flags": flags}


def _wide(fit: BoundaryFit, factor: float) -> dict[str, float]:
    """Return step and slope (1/cm) with the precision of the prior multiplied by `factor`.

    The fit is linear: its information and its prior tell what it would be under another one.
    """
    if not isinstance(fit, PatchFit):
        return dict.fromkeys(_WIDE_COLUMNS, np.nan)
    names = ("level", "step", "slope", "curvature_before", "curvature_after")
    found = np.array([*(fit.parameters[n] for n in names), fit.along])
    prior = np.diag(fit.prior_precision)
    covariance = np.linalg.inv(fit.information + factor * prior)
    value = covariance @ ((fit.information + prior) @ found)
    std = np.sqrt(np.diag(covariance))
    return {
        "step_wide": float(value[1]),
        "slope_wide": float(value[2]) * UM_PER_CM,
        "step_std_wide": float(std[1]),
        "slope_std_wide": float(std[2]) * UM_PER_CM,
        "step_slope_correlation_wide": float(covariance[1, 2] / (std[1] * std[2])),
    }


def _table(
    rows: list[dict[str, Any]],
    ds: xr.Dataset,
    network: xr.Dataset,
    constants: Constants,
    slope: float,
) -> xr.Dataset:
    table = xr.Dataset(coords={BOUNDARY: network[BOUNDARY].values})
    for name in (*_OF_NETWORK, *(c for c in COLUMNS if c not in _OF_CUTS), *_WIDE_COLUMNS):
        attrs = network[name].attrs if name in _OF_NETWORK else None
        unit, text = (COLUMNS | _WIDE_COLUMNS).get(name, ("", ""))
        table[name] = (
            BOUNDARY,
            np.array([row[name] for row in rows]),
            attrs or {"units": unit, "long_name": text},
        )
    return table.assign_attrs(
        map_id=str(ds.attrs.get("map_id", "")),
        stage=str(ds.attrs.get("stage", "")),
        simulated=int(ds.attrs.get("simulated", 0)),
        d_bulk_cm2_per_s=constants.d_bulk,
        d_bulk_relative_std=constants.d_bulk_std / constants.d_bulk,
        delta_nm=constants.delta,
        level=constants.level,
        mean_slope_per_cm=slope,
        found_from=str(network.attrs.get("found_from", "")),
    )


def grain_slopes(
    ds: xr.Dataset, network: xr.Dataset, *, resolution: float = 1.0, erosion: float | None = None
) -> xr.Dataset:
    """Fit a plane to C inside every grain, off its boundaries.

    Parameters
    ----------
    ds, network : xarray.Dataset
        As in `fit_network`.
    resolution : float
        Full width at half maximum of the point spread function in µm.
    erosion : float, optional
        Distance kept from every boundary in µm; default: the guard of the local fits.

    Returns
    -------
    xarray.Dataset
        Along ``grain``: ``slope_x``, ``slope_y`` (1/cm; NaN in grains with too few pixels),
        ``slope_y_std``, ``pixels`` (in the interior), ``area`` (of the whole grain, µm²) and
        ``weight`` (in the mean; their sum is 1), ``fraction`` (C of all counts of the interior),
        ``fraction_std`` and ``centre_y`` (of those counts, µm).
        Attributes ``mean_slope_per_cm`` (ḡ, the mean of dC/dy inside the grains),
        ``mean_slope_std_per_cm`` and ``share_of_area`` (of the grains that could be fitted).

    Raises
    ------
    ValueError
        If no grain has enough pixels with counts.

    Notes
    -----
    ḡ sets the scale of slopes for priors; its weights are those of least error, which favour the
    large grains at few counts. What the macroscopic flux asks for is the mean over the area:
    `lliso.fit.grain_mean.area_mean`.
    """
    check_same_pixels(ds, network)
    image = PatchImage.from_map(ds)
    off = guard_length(image.pitch, resolution) if erosion is None else erosion
    members = interior_pixels(network, off)
    px, py = np.meshgrid(image.x, image.y)
    light, total = image.light.ravel(), image.total.ravel()
    found = np.full((network.sizes[GRAIN], 7), np.nan)
    for i, name in enumerate(network[GRAIN].values.tolist()):
        use = members[name][total[members[name]] > 0]
        found[i, 3] = use.size
        if use.size >= _FEWEST_PIXELS:
            found[i, :3] = _plane(px.flat[use], py.flat[use], light[use], total[use])
            ions = total[use].sum()
            c = light[use].sum() / ions
            found[i, 4:] = c, np.sqrt(c * (1 - c) / ions), py.flat[use] @ total[use] / ions
    area = network["grain_area"].values
    fitted = np.isfinite(found[:, 0])
    if not fitted.any():
        raise ValueError(
            f"at least one grain must hold {_FEWEST_PIXELS} pixels with counts farther than "
            f"{off:.3g} um from its boundaries, got none; the grains are too small for this map"
        )
    weight = np.zeros(len(found))
    mean, std, weight[fitted] = _mean_over_grains(found[fitted, 1], found[fitted, 2])
    names = ("slope_x", "slope_y", "slope_y_std")
    data: dict[str, Any] = {
        n: (GRAIN, found[:, k] * UM_PER_CM, {"units": "1/cm"}) for k, n in enumerate(names)
    }
    data |= {"pixels": (GRAIN, found[:, 3]), "area": (GRAIN, area, {"units": "um^2"})}
    data["weight"] = (GRAIN, weight, {"units": "1"})
    data["fraction"], data["fraction_std"] = ((GRAIN, found[:, k], {"units": "1"}) for k in (4, 5))
    data["centre_y"] = (GRAIN, found[:, 6], {"units": "um"})
    return xr.Dataset(
        data,
        coords={GRAIN: network[GRAIN].values},
        attrs={
            "mean_slope_per_cm": mean * UM_PER_CM,
            "mean_slope_std_per_cm": std * UM_PER_CM,
            "share_of_area": float(area[fitted].sum() / area.sum()),
            "erosion_um": off,
        },
    )


def _plane(
    x: FloatArray, y: FloatArray, light: FloatArray, total: FloatArray
) -> tuple[float, float, float]:
    """Slopes of C along x and y and the error of the latter, per µm."""
    pooled = float(light.sum() / total.sum())
    variance = max(pooled * (1 - pooled), 0.25 / float(total.sum() + 1))
    terms = np.column_stack([np.ones(x.size), x - x.mean(), y - y.mean()])
    normal = (terms * total[:, None]).T @ terms
    if np.linalg.cond(normal / total.sum()) > 1e8:
        return np.nan, np.nan, np.nan
    value = np.linalg.solve(normal, terms.T @ light)
    return float(value[1]), float(value[2]), float(np.sqrt(variance * np.linalg.inv(normal)[2, 2]))


def _mean_over_grains(slope: FloatArray, std: FloatArray) -> tuple[float, float, FloatArray]:
    """Mean of the slopes of grains, its error from their scatter, and their weights.

    True slopes differ between grains; a grain whose slope is known better than that is worth no
    more for it. Weights must not come from the slopes' own scatter: where counts are few it would
    choose the grains that happen to agree.
    """
    rough = rough_mean(slope, std)
    weight = 1.0 / (std**2 + (GRAIN_SCATTER * rough) ** 2)
    mean = float(np.sum(weight * slope) / weight.sum())
    # The scatter about the mean holds both the noise and the variety of the grains.
    scatter = weight * (slope - mean)
    n = slope.size
    error = float(np.sqrt(np.sum(scatter**2) * n / max(n - 1, 1)) / weight.sum())
    return mean, error, weight / weight.sum()

"""All picked boundaries of a map: from a map and picks to the table of D_gb.

`fit_boundaries` is what a notebook calls; the app calls its parts, on profiles that it has already.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Literal, TypedDict

import numpy as np

from lliso.diffusion.steps import boundary_terms
from lliso.errors import LlisoWarning
from lliso.fit.boundary import (
    METHODS,
    PROFILE_METHODS,
    BoundaryFit,
    Method,
    failed_fit,
    fit_boundary,
)
from lliso.fit.calibration_error import (
    SYSTEMATIC_COLUMNS,
    calibration_part,
    has_systematic,
    systematic_errors,
)
from lliso.fit.diagnostics import why_so_large
from lliso.fit.linear import fit_linear
from lliso.fit.patch import PatchFit, PatchImage, fit_patch, geometry_of_pick
from lliso.fit.systematics import bulk, dip, structure
from lliso.fit.table import BOUNDARY, Constants, boundary_table
from lliso.fit.two_grains import as_patch
from lliso.fit.window import cut_window
from lliso.maps.cuts import line_profile
from lliso.maps.fraction import sum_frames
from lliso.schema import LI6, LI7, check_map
from lliso.units import LENGTH, UM_PER_CM, parse_quantity

__all__ = ["METHODS", "cut_profiles", "fit_boundaries", "fit_picks", "mean_grain_slope"]

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from lliso.maps.picks import BoundaryPick, Picks


class FitOptions(TypedDict):
    """What `fit_picks` is told besides the data and the method."""

    resolution: float
    mean_slope: float | None
    blur: float | Literal["fit"] | None


#: fewer windows than this do not tell how steep the grains of a map are
FEWEST_WINDOWS = 3


def fit_boundaries(
    ds: xr.Dataset,
    picks: Picks,
    *,
    d_bulk: float | str,
    d_bulk_std: float | str = 0.0,
    delta: float | str = "0.5 nm",
    method: Method = "patch",
    resolution: float | str = 1.0,
    mean_slope: float | None = None,
    blur: float | Literal["fit"] | None = None,
    level: float = 0.95,
) -> xr.Dataset:
    r"""Fit every picked boundary of a map and tabulate D_gb/δ and D_gb.

    P ≡ D_gb/δ = D_bulk (dC/dn) / ΔC is what is measured; D_gb = P δ needs the convention δ.

    Parameters
    ----------
    ds : xarray.Dataset
        A map with ⁶Li and ⁷Li.
    picks : Picks
        Cuts and boundaries made on this map.
    d_bulk : float or str
        Diffusion coefficient inside the grains in cm²/s, or a string with a unit.
    d_bulk_std : float or str
        Its standard error; a systematic part, common to all boundaries, that is reported beside
        the statistical intervals (attribute ``d_bulk_relative_std``), not mixed into them.
    delta : float or str
        Boundary thickness δ in nm, or a string with a unit.
    method : {"patch", "profile", "two_grains", "paper2024"}
        On the pixels of a patch, place and angle refined (`lliso.fit.patch`); the same model on the
        slices of the cut (`lliso.fit.boundary`); fields that obey the diffusion equation on both
        sides (`lliso.fit.two_grains`); the paper's two quadratics, for comparison only.
    resolution : float or str
        Full width at half maximum of the point spread function in µm; sets the guard.
    blur : float or "fit", optional
        With ``method="profile"``: fit the blurred step, of this standard deviation in µm, instead
        of keeping a guard off the boundary (see `lliso.fit.boundary.fit_boundary`).
    mean_slope : float, optional
        Mean in-grain slope of the map in 1/cm for the curvature prior; default: pooled over the
        windows of these picks (see `mean_grain_slope`).
    level : float
        Confidence level of the intervals and of the verdict whether P is measured.

    Returns
    -------
    xarray.Dataset
        The table: one entry per boundary along ``boundary``, see `lliso.fit.table`. A boundary
        that cannot be fitted is a row of NaN with a flag. The attribute ``systematic`` (JSON) lists
        what is not in the intervals, see `lliso.fit.systematics`. Of a map that was corrected,
        ``step_systematic_std``, ``slope_systematic_std`` and ``permeability_systematic_rel`` say
        what the errors of the corrections do, apart from the intervals.

    Raises
    ------
    PicksMismatch
        If the picks were made on another map.
    ValueError
        If a species is missing, the map holds no counts, there are no boundaries, or a quantity is
        not positive or of the wrong dimension.

    Warns
    -----
    LlisoWarning
        If a boundary could not be fitted, or a cut leaves the map.

    References
    ----------
    Eqs. (2), (3) of G. Hasegawa et al., J. Mater. Chem. A 12 (2024) 731.
    """
    constants = Constants.parse(d_bulk, d_bulk_std, delta, level)
    resolution = parse_quantity(resolution, LENGTH, "resolution")
    _check_options(method, resolution, mean_slope, blur)
    check_map(ds, needs=(LI6, LI7))
    picks.check(ds)
    if not picks.boundaries:
        raise ValueError("the picks must hold at least one boundary, got none; mark one on a cut")
    profiles = cut_profiles(ds, picks)
    slope = None if mean_slope is None else abs(mean_slope) / UM_PER_CM

    def fit_all(image: PatchImage | None, cuts: Mapping[str, xr.Dataset]) -> list[BoundaryFit]:
        options: FitOptions = {"resolution": resolution, "mean_slope": slope, "blur": blur}
        return fit_picks(image, cuts, picks, method=method, **options)

    def refit(other: xr.Dataset) -> list[BoundaryFit]:
        return fit_all(_image(other, method), cut_profiles(other, picks))

    fits = fit_all(_image(ds, method), profiles)
    for fit in fits:
        if not fit.success:
            warnings.warn(fit.message, LlisoWarning, stacklevel=2)
    table = boundary_table(fits, picks, profiles, constants)
    table["limited_by"] = (BOUNDARY, _limits(fits, profiles, picks, resolution, slope))
    table["limited_by"].attrs = {"units": "", "long_name": "what limits a fit on pixels"}
    errors = systematic_errors(sum_frames(ds), fits, refit) if has_systematic(ds) else None
    if errors is not None:
        scales = (1.0, UM_PER_CM, 1.0)
        for (name, (unit, text)), e, k in zip(
            SYSTEMATIC_COLUMNS.items(), errors, scales, strict=True
        ):
            table[name] = (BOUNDARY, k * e, {"units": unit, "long_name": text})
    parts = [structure(method in ("patch", "two_grains")), dip()]
    parts += [bulk(constants.d_bulk_std / constants.d_bulk), calibration_part(errors)]
    return table.assign_attrs(
        method=method, resolution_um=resolution, systematic=json.dumps([asdict(p) for p in parts])
    )


def _image(ds: xr.Dataset, method: str) -> PatchImage | None:
    return None if method in PROFILE_METHODS else PatchImage.from_map(ds)


def _limits(
    fits: list[BoundaryFit],
    profiles: Mapping[str, xr.Dataset],
    picks: Picks,
    resolution: float,
    mean_slope: float | None,
) -> list[str]:
    """Return a sentence on each fit on pixels: what limits it, and what 20 % would take."""
    slope = mean_grain_slope(profiles, picks, resolution) if mean_slope is None else mean_slope
    known = 0 < slope < np.inf
    return [why_so_large(fit, slope) if known and type(fit) is PatchFit else "" for fit in fits]


def _check_options(method: str, resolution: float, mean_slope: float | None, blur: object) -> None:
    """Raise for what is wrong with the call; one boundary's trouble is only a row of the table."""
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if not 0 <= resolution < np.inf:
        raise ValueError(f"resolution must be a length in um, got {resolution:g} um")
    if mean_slope is not None and np.isnan(mean_slope):
        raise ValueError("mean_slope must be a number in 1/cm, got nan")
    is_length = isinstance(blur, (int, float, np.number)) and 0 <= blur < np.inf
    if blur is not None and blur != "fit" and not is_length:
        raise ValueError(f"blur must be a standard deviation in um or 'fit', got {blur!r}")
    if blur is not None and method != "profile":
        raise ValueError(
            f"blur needs method='profile', got {method!r}; the other methods keep a guard instead"
        )


def cut_profiles(ds: xr.Dataset, picks: Picks) -> dict[str, xr.Dataset]:
    """Line profiles of the cuts that carry boundaries, by the cuts' names.

    Raises
    ------
    ValueError
        If the map holds no counts of lithium, or a cut lies off the map.
    """
    used = [cut for cut in picks.cuts if picks.on_cut(cut.name)]
    profiles = {cut.name: line_profile(ds, cut) for cut in used}
    for name, profile in profiles.items():
        if not float(profile["counts"].sel(species=[LI6, LI7]).sum()) > 0:
            raise ValueError(
                f"cut '{name}' must cross pixels with counts of {LI6} or {LI7}, got none; "
                "is this the right map, and are the species' mass windows right?"
            )
    return profiles


def fit_picks(
    image: PatchImage | None,
    profiles: Mapping[str, xr.Dataset],
    picks: Picks,
    *,
    method: Method = "patch",
    resolution: float = 1.0,
    mean_slope: float | None = None,
    blur: float | Literal["fit"] | None = None,
    rounds: int = 6,
) -> list[BoundaryFit]:
    """Fit every boundary of `picks` on pixels and profiles that are there already.

    Parameters
    ----------
    image : PatchImage or None
        Counts of the map; only the methods on profiles do without.
    profiles : mapping of str to xarray.Dataset
        Line profiles by the cuts' names.
    picks : Picks
        Boundaries with their windows.
    method, resolution, blur
        As in `fit_boundaries`.
    mean_slope : float, optional
        ḡ in 1/µm; default: pooled over the windows (see `mean_grain_slope`).
    rounds : int
        Weighted solves at the most, on profiles; 1 is the quick fit.

    Returns
    -------
    list of BoundaryFit
        In the order of the picks. A boundary whose window is too short becomes a failed fit.
    """
    on_pixels = image is not None and method in ("patch", "two_grains")
    few = mean_slope is None and method != "paper2024" and len(picks.boundaries) < FEWEST_WINDOWS
    if mean_slope is None and method != "paper2024":
        # Straight lines first: they tell how steep the grains are, which is what the prior on the
        # curvatures needs to know.
        mean_slope = mean_grain_slope(profiles, picks, resolution)
    slope = np.inf if mean_slope is None else mean_slope
    fits = []
    for pick in picks.boundaries:
        try:
            fit = (
                _fit_pixels(image, picks, pick, method, resolution, slope)
                if on_pixels and image is not None
                else fit_boundary(
                    profiles[pick.cut],
                    pick,
                    method=method,
                    resolution=resolution,
                    mean_slope=slope,
                    blur=blur,
                    rounds=rounds,
                )
            )
        except ValueError as err:
            fit = failed_fit(pick, str(err))
        fits.append(replace(fit, flags=(*fit.flags, "few_windows")) if few else fit)
    return fits


def _fit_pixels(
    image: PatchImage,
    picks: Picks,
    pick: BoundaryPick,
    method: Method,
    resolution: float,
    mean_slope: float,
) -> BoundaryFit:
    geometry = geometry_of_pick(pick, picks.cut(pick.cut))
    fit = fit_patch(image, geometry, resolution=resolution, mean_slope=mean_slope)
    if method == "two_grains":
        return as_patch(image, geometry, fit, resolution=resolution)
    return fit


def mean_grain_slope(
    profiles: Mapping[str, xr.Dataset], picks: Picks, resolution: float = 1.0
) -> float:
    """Mean steepness inside the grains in 1/µm, pooled over the windows of all picks.

    Straight lines with a common slope are fitted in every window and averaged with their weights,
    oriented away from the source. The root of the mean square is returned, so that a slope that is
    lost in the noise widens the prior instead of tightening it.

    Parameters
    ----------
    profiles : mapping of str to xarray.Dataset
        Line profiles by the cuts' names.
    picks : Picks
        Boundaries with their windows.
    resolution : float
        FWHM of the point spread function in µm.

    Returns
    -------
    float
        1/µm; infinity (no prior) if no window can be fitted.
    """
    slopes, weights = [], []
    for pick in picks.boundaries:
        try:
            window = cut_window(profiles[pick.cut], pick, resolution)
            fit = fit_linear(boundary_terms(window.nu)[:, :3], window.light, window.total)
        except ValueError:
            continue
        slopes.append(picks.cut(pick.cut).outwards * fit.value[2])
        weights.append(1.0 / fit.covariance[2, 2])
    if not slopes:
        return float(np.inf)
    mean = float(np.average(slopes, weights=weights))
    return float(np.hypot(mean, 1.0 / np.sqrt(np.sum(weights))))

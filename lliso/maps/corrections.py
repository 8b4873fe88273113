"""Background, hydride and mass fractionation: what is linear in the counts.

Each correction is a pure function, map in, map out, with a known parameter taken off and its error
kept as a systematic parameter (see `lliso.maps.carried`). Undo the dead time first
(`lliso.correct_dead_time`); the order is enforced (see `lliso.maps.order`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import xarray as xr

from lliso.maps.calibration import Calibration
from lliso.maps.carried import (
    COVARIANCE,
    PARAMETER,
    SENSITIVITY,
    VARIANCE,
    add_parameter,
    known_part,
    variance_of,
    with_step,
)
from lliso.maps.order import check_order
from lliso.schema import COUNTS, LI6, LI7, SPECIES, add_history, check_map

HYDRIDE = "hydride"
FRACTIONATION = "fractionation"
#: what `normalise_for_display` returns instead of counts
INTENSITY = "intensity"


def correct_background(
    ds: xr.Dataset, rate: Mapping[str, float], std: Mapping[str, float] | None = None
) -> xr.Dataset:
    """Take off counts that are not the species' own.

    Parameters
    ----------
    ds : xarray.Dataset
        A map, or a stack of frames.
    rate : mapping of str to float
        Background per species, in counts per pixel of this map (per frame, where it has frames),
        as a neighbouring empty mass interval or a place without the species shows it.
    std : mapping of str to float, optional
        Its standard error; becomes the systematic parameters ``background_<species>``.

    Returns
    -------
    xarray.Dataset
        Net counts, which may be negative in a pixel; they are not clipped, for the mean of clipped
        ones is too large. ``variance`` stays that of all that was counted.

    Raises
    ------
    ValueError
        If it was done before, something that comes later was done, a species is missing or a
        number is negative.

    Examples
    --------
    >>> from lliso.schema import make_map
    >>> m = make_map([[[5, 0]], [[20, 1]]], ["6Li", "7Li"], x=[0.0, 1.0], y=[0.0])
    >>> net = correct_background(m, {"6Li": 0.5, "7Li": 2.0}, std={"7Li": 0.1})
    >>> net.counts.values.tolist(), net.variance.values.tolist()
    ([[[4.5, -0.5]], [[18.0, -1.0]]], [[[5.0, 0.0]], [[20.0, 1.0]]])
    """
    check_order(ds, "background")
    check_map(ds, needs=rate)
    errors = dict(std or {})
    extra = sorted(set(errors) - set(rate))
    if extra:
        raise ValueError(f"std must name species with a rate, got {', '.join(extra)}")
    for name, values in (("rate", rate), ("std", errors)):
        for label, value in values.items():
            if not 0 <= value < np.inf:
                raise ValueError(f"{name} of {label} must be counts per pixel, got {value:g}")
    level = _per_species(ds, rate)
    result = ds.assign({COUNTS: (ds[COUNTS] - level).assign_attrs(ds[COUNTS].attrs)})
    result = result.assign({VARIANCE: variance_of(ds).astype(float)})
    for label, value in rate.items():
        one = xr.zeros_like(ds[COUNTS], dtype=float) - _per_species(ds, {label: 1.0})
        name = f"background_{label}"
        result = add_parameter(result, name, value, errors.get(label, 0.0), one)
    result = result.assign(known_part(result))
    text = ", ".join(
        f"{value:.6g} +- {errors.get(label, 0.0):.3g} counts per pixel of {label}"
        for label, value in rate.items()
    )
    return with_step(add_history(result, f"subtracted background: {text}"), "background")


def correct_hydride(
    ds: xr.Dataset,
    hydride: float | Calibration,
    std: float = 0.0,
    *,
    light: str = LI6,
    heavy: str = LI7,
) -> xr.Dataset:
    """Take the light isotope's hydride off the heavy isotope: n₇ → n₇ − h n₆.

    Parameters
    ----------
    ds : xarray.Dataset
        A map with dead time and background corrected.
    hydride : float or Calibration
        h, counts of the hydride over those of the light isotope.
    std : float
        Its standard error; becomes the systematic parameter ``hydride``.
    light, heavy : str
        The isotopes.

    Returns
    -------
    xarray.Dataset
        With ``covariance`` of the two isotopes' counts, which share what was subtracted.

    Raises
    ------
    ValueError
        If it was done before, the fractionation was corrected already, a species is missing, or h
        is not from 0 to 1.

    Examples
    --------
    >>> from lliso.schema import make_map
    >>> m = make_map([[[100]], [[910]]], ["6Li", "7Li"], x=[0.0], y=[0.0])
    >>> correct_hydride(m, 0.1, std=0.01).counts.values.ravel().tolist()
    [100.0, 900.0]
    """
    check_order(ds, HYDRIDE)
    check_map(ds, needs=(light, heavy))
    if isinstance(hydride, Calibration):
        found = hydride
        hydride, std = found.hydride, found.hydride_std
    # A calibration may find a little less than nothing; clipped, it would bias the rest.
    if not (0 <= std < np.inf and -3 * std <= hydride < 1):
        raise ValueError(f"hydride must be a share from 0 to 1, got {hydride:g} +- {std:g}")
    counts, variance = ds[COUNTS].astype(float), variance_of(ds).astype(float)
    to_heavy = _per_species(ds, {heavy: 1.0})
    n_light = counts.sel({SPECIES: light}, drop=True)
    v_light = variance.sel({SPECIES: light}, drop=True)
    parts = {
        COUNTS: counts - hydride * to_heavy * n_light,
        VARIANCE: variance + hydride**2 * to_heavy * v_light,
    }
    if SENSITIVITY in ds:
        s = ds[SENSITIVITY]
        parts[SENSITIVITY] = s - hydride * to_heavy * s.sel({SPECIES: light}, drop=True)
    result = _with(ds, parts)
    result[COVARIANCE] = (-hydride * v_light).assign_attrs(
        long_name=f"covariance of the counts of {light} and {heavy}"
    )
    # In this order, for the product has the dimensions of its first factor first.
    sensitivity = (-n_light * to_heavy).transpose(*counts.dims)
    result = add_parameter(result, HYDRIDE, hydride, std, sensitivity)
    line = f"subtracted hydride: {hydride:.6g} +- {std:.3g} of {light} from {heavy}"
    return with_step(add_history(result, line), HYDRIDE)


def correct_fractionation(
    ds: xr.Dataset,
    fractionation: float | Calibration,
    std: float = 0.0,
    *,
    light: str = LI6,
    heavy: str = LI7,
) -> xr.Dataset:
    """Undo the instrumental mass fractionation: C = r/(r + K), with r = n₆/n₇ as measured.

    Parameters
    ----------
    ds : xarray.Dataset
        A map with everything else corrected.
    fractionation : float or Calibration
        K, measured over true ratio of light to heavy isotope (`lliso.calibrate`).
    std : float
        Its standard error; becomes the systematic parameter ``fractionation``.
    light, heavy : str
        The isotopes.

    Returns
    -------
    xarray.Dataset
        The light isotope's counts over K; the heavy isotope's stay, so that counts hardly change.

    Raises
    ------
    ValueError
        If it was done before, a species is missing, or K is not positive.

    Examples
    --------
    >>> from lliso.schema import make_map
    >>> m = make_map([[[220]], [[800]]], ["6Li", "7Li"], x=[0.0], y=[0.0])
    >>> done = correct_fractionation(m, 1.1, std=0.01)
    >>> done.counts.values.ravel().round(9).tolist(), done.variance.values.ravel().round(2).tolist()
    ([200.0, 800.0], [181.82, 800.0])
    """
    check_order(ds, FRACTIONATION)
    check_map(ds, needs=(light, heavy))
    shared: dict[str, float] = {}
    if isinstance(fractionation, Calibration):
        shared = {HYDRIDE: fractionation.covariance[0][1]}
        _check_same_hydride(ds, fractionation)
        found = fractionation
        fractionation, std = found.fractionation, found.fractionation_std
    if not (0 < fractionation < np.inf and 0 <= std < np.inf):
        raise ValueError(f"fractionation must be positive, got {fractionation:g} +- {std:g}")
    others = {str(s): 1.0 for s in ds[SPECIES].values}
    factor = _per_species(ds, {**others, light: 1.0 / fractionation})
    counts = ds[COUNTS] * factor
    parts = {COUNTS: counts, VARIANCE: variance_of(ds) * factor**2}
    if SENSITIVITY in ds:
        parts[SENSITIVITY] = ds[SENSITIVITY] * factor
    if COVARIANCE in ds:
        parts[COVARIANCE] = ds[COVARIANCE] / fractionation
    result = _with(ds, parts)
    n_light = counts.sel({SPECIES: light}, drop=True)
    sensitivity = (-n_light / fractionation * _per_species(ds, {light: 1.0})).transpose(
        *counts.dims
    )
    result = add_parameter(result, FRACTIONATION, fractionation, std, sensitivity, shared)
    line = f"corrected mass fractionation: {light} divided by {fractionation:.6g} +- {std:.3g}"
    return with_step(add_history(result, line), FRACTIONATION)


def normalise_for_display(ds: xr.Dataset, by: Literal["total", "mean"] = "total") -> xr.Dataset:
    """Scale counts to be looked at; the result is no map and nothing can be fitted to it.

    Parameters
    ----------
    ds : xarray.Dataset
        A map.
    by : {"total", "mean"}
        Divide by the counts of all species in the pixel, or by each species' mean over the map.

    Returns
    -------
    xarray.Dataset
        ``intensity`` instead of ``counts``, with the same dimensions; NaN where there is nothing.

    Raises
    ------
    ValueError
        If `by` is neither.

    Examples
    --------
    >>> from lliso.schema import make_map
    >>> m = make_map([[[1, 0]], [[3, 0]]], ["6Li", "7Li"], x=[0.0, 1.0], y=[0.0])
    >>> normalise_for_display(m).intensity.values[:, 0].tolist()
    [[0.25, nan], [0.75, nan]]
    """
    check_map(ds)
    if by not in ("total", "mean"):
        raise ValueError(f"by must be 'total' or 'mean', got {by!r}")
    counts = ds[COUNTS].astype(float)
    dims = SPECIES if by == "total" else [d for d in counts.dims if d != SPECIES]
    scale = counts.sum(dims) if by == "total" else counts.mean(dims)
    shown = (counts / scale.where(scale != 0)).transpose(*counts.dims)
    shown.attrs = {"long_name": f"intensity over its {by}", "units": "1"}
    kept = {k: v for k, v in ds.attrs.items() if k in ("map_id", "stage", "simulated", "history")}
    result = xr.Dataset({INTENSITY: shown}, attrs=kept)
    return add_history(result, f"normalised to the {by}, for display only")


def _per_species(ds: xr.Dataset, values: Mapping[str, float]) -> xr.DataArray:
    """Return one number per species, 0 where none is given."""
    each = [float(values.get(str(s), 0.0)) for s in ds[SPECIES].values]
    return xr.DataArray(each, dims=SPECIES, coords={SPECIES: ds[SPECIES].values})


def _with(ds: xr.Dataset, parts: Mapping[str, xr.DataArray]) -> xr.Dataset:
    done = {}
    for name, part in parts.items():
        dims = ds[name].dims if name in ds else ds[COUNTS].dims
        attrs = ds[name].attrs if name in ds else {}
        done[name] = part.transpose(*dims).assign_attrs(attrs)
    return ds.assign(done)


def _check_same_hydride(ds: xr.Dataset, calibration: Calibration) -> None:
    """Refuse K that was found together with a hydride share which the map was not corrected for."""
    used = 0.0
    if PARAMETER in ds.coords and HYDRIDE in ds[PARAMETER].values:
        used = float(ds["systematic"].sel({PARAMETER: HYDRIDE}))
    if not np.isclose(used, calibration.hydride, rtol=1e-6, atol=1e-12):
        raise ValueError(
            f"the hydride must be corrected with this calibration's share of "
            f"{calibration.hydride:.6g} before its fractionation, got {used:.6g}; use "
            "correct_hydride(map, calibration) first"
        )

"""Dead time: what a detector misses because it is still busy with the ion before.

Acts on the counts of one pixel and frame, so it is undone there, before anything is added up.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import xarray as xr
from scipy.special import digamma

from lliso._types import BoolArray, FloatArray
from lliso.maps.carried import SHOTS, UNKNOWN, VARIANCE, add_parameter, known_part, with_step
from lliso.maps.order import check_order
from lliso.schema import COUNTS, FRAME, SPECIES, add_history
from lliso.units import TIME, parse_quantity

Estimator = Literal["unbiased", "log"]
#: coordinate along ``species``: dead time of the detector, with its unit
DEAD_TIME = "dead_time"
#: and the time that each pixel of a frame was looked at, with its unit
PIXEL_TIME = "pixel_time"


def correct_dead_time(
    ds: xr.Dataset,
    *,
    shots: int | xr.DataArray | None = None,
    tau: float | str | None = None,
    dwell: float | str | None = None,
    tau_std: float | str = 0.0,
    species: Sequence[str] | None = None,
    estimator: Estimator = "unbiased",
) -> xr.Dataset:
    r"""Undo the dead time of the detector, pixel by pixel and frame by frame.

    A **single-stop** detector (time of flight) registers at most one ion of a mass per shot. Of N
    shots, m registered:

    .. math:: \hat n = -N \ln(1 - m/N), \qquad
              \mathrm{var}\,\hat n = N (e^\lambda - 1),\ \lambda = \hat n/N.

    This is on average (e^λ − 1)/2 too large, in every pixel and frame. The default takes the
    bias off, as :math:`\hat n = N (H_N - H_{N-m})` with the harmonic numbers H, whose bias is below
    :math:`p^{N+1}/(1-p)`, with p the chance of a count per shot.

    A **non-paralysable** detector (electron multiplier) is blind for τ after each count. In the
    dwell time T,

    .. math:: \hat n = m/(1 - m\tau/T), \qquad \mathrm{var}\,\hat n = \hat n/(1 - m\tau/T).

    Parameters
    ----------
    ds : xarray.Dataset
        A map or a stack of frames with the counts as registered; lazy data stay lazy.
    shots : int or xarray.DataArray, optional
        Pulses per pixel **and frame**; an array may have any of the dimensions of ``counts``.
        Default: the variable ``shots``, or the attribute ``shots_per_pixel`` (of the whole
        measurement, shared out evenly over the frames).
    tau, dwell : float or str, optional
        For the other kind of detector: dead time and dwell time per pixel and frame, in s or with
        a unit ("44 ns"). Default: the coordinates ``dead_time`` and ``pixel_time`` along
        ``species``, where the file has them and no shots.
    tau_std : float or str
        Standard error of `tau`; becomes the systematic parameter ``dead_time``.
    species : sequence of str, optional
        Species to correct; default all. The others stay as they were counted.
    estimator : {"unbiased", "log"}
        For single-stop counting: without the bias (default), or the formula above as it stands.

    Returns
    -------
    xarray.Dataset
        ``counts`` (no longer whole), their ``variance``, and ``unknown``: pixels in which a species
        was registered with every shot tell nothing but a lower limit; they hold 0 counts in every
        species. The attribute ``dead_time_corrected`` is "yes".

    Raises
    ------
    ValueError
        If the counts were corrected before (by the instrument's program, or here), were added up
        or moved, are not whole numbers or more than the shots. Of lazy data the last two show when
        they are computed.

    Notes
    -----
    The variance of the non-paralysable estimate follows from renewal theory: m has the mean
    n/(1 + nρ) and the variance n/(1 + nρ)³, ρ = τ/T. Pixels in which only some of the frames are
    known are unknown in the sum (`lliso.maps.fraction.sum_frames`).

    References
    ----------
    T. Stephan, J. Zehnpfenning, A. Benninghoven, J. Vac. Sci. Technol. A 12 (1994) 405.

    Examples
    --------
    >>> from lliso.schema import make_map
    >>> m = make_map([[[500, 0]], [[900, 1000]]], ["6Li", "7Li"], x=[0.0, 1.0], y=[0.0])
    >>> n = correct_dead_time(m, shots=1000, estimator="log")
    >>> n.counts.values.round(1).tolist(), n.unknown.values.tolist()
    ([[[693.1, 0.0]], [[2302.6, 0.0]]], [[False, True]])
    >>> n.variance.values[:, 0, 0].round(1).tolist()
    [1000.0, 9000.0]
    """
    if estimator not in ("unbiased", "log"):
        raise ValueError(f"estimator must be 'unbiased' or 'log', got {estimator!r}")
    check_order(ds, "dead_time")
    _check_uncorrected(ds)
    counts = ds[COUNTS]
    chosen = _chosen(ds, species)
    by_map = shots is None and SHOTS not in ds and "shots_per_pixel" not in ds.attrs
    if tau is None and dwell is None and not (by_map and DEAD_TIME in ds.coords):
        given = _shots(ds, shots)
        kernel = partial(single_stop, unbiased=estimator == "unbiased")
        parts = _applied(kernel, counts, given)
        note = f"single-stop, {_text(given)} shots per pixel and frame"
        slope = None
    else:
        if shots is not None:
            raise ValueError("dead time needs either shots or tau and dwell, got both")
        tau_s, rho, dwell_s = _rho(ds, tau, dwell)
        parts = _applied(non_paralysable, counts, rho)
        note = f"non-paralysable, tau/dwell = {_text(rho)}"
        slope = (tau_s, parts[0] ** 2 / dwell_s)
    n, variance, blind = (_only(p, r, chosen) for p, r in zip(parts, _raw(counts), strict=True))
    unknown = blind.any(SPECIES)
    if UNKNOWN in ds:
        unknown = unknown | ds[UNKNOWN]
    result = ds.assign(
        {
            COUNTS: n.assign_attrs(counts.attrs),
            VARIANCE: variance.assign_attrs(units="1", long_name="statistical variance of counts"),
            UNKNOWN: unknown.assign_attrs(long_name="saturated in one of the species"),
        }
    )
    std = parse_quantity(tau_std, TIME, "tau_std")
    if slope is not None and std > 0:
        sensitivity = slope[1].where(chosen, 0.0)
        result = add_parameter(result, "dead_time", slope[0], std, sensitivity)
    result = result.assign(known_part(result)).assign_attrs(dead_time_corrected="yes")
    who = "" if species is None else f" of {', '.join(species)}"
    return with_step(add_history(result, f"corrected dead time{who}: {note}"), "dead_time")


def single_stop(
    m: Any, shots: Any, *, unbiased: bool = True
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Return estimate, variance and saturation of single-stop counts; arrays in, arrays out.

    Parameters
    ----------
    m, shots : array_like
        Registered counts and shots, whole numbers.
    unbiased : bool
        Take off the bias of the logarithm.

    Returns
    -------
    n, variance, saturated : numpy.ndarray
        NaN where saturated.

    Raises
    ------
    ValueError
        If counts are not whole numbers from 0 to the shots.
    """
    m, shots = _whole(m, "counts"), np.asarray(shots)
    if m.size and np.any(m > shots):
        raise ValueError(
            f"counts must not exceed the shots, got {int(np.max(m))} counts of "
            f"{int(np.min(shots))} shots; give the shots per pixel and frame"
        )
    distinct = np.unique(shots)
    if distinct.size == 1:  # one look into a table instead of a logarithm per pixel
        most = int(m.max()) if m.size else 0
        estimate, variance = _single_stop(np.arange(most + 1), distinct[0], unbiased)
        return estimate[m], variance[m], np.asarray(m == distinct[0])
    estimate, variance = _single_stop(m, shots, unbiased)
    return estimate, variance, np.asarray(m == shots)


def _single_stop(m: Any, shots: Any, unbiased: bool) -> tuple[FloatArray, FloatArray]:
    left = np.where(m < shots, shots - m, 1)
    rate = np.log(shots / left)
    n = shots * (digamma(shots + 1.0) - digamma(left + 1.0) if unbiased else rate)
    saturated = m == shots
    return (
        np.where(saturated, np.nan, n),
        np.where(saturated, np.nan, shots * np.expm1(n / shots)),
    )


def non_paralysable(m: Any, rho: Any) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Return estimate, variance and saturation of counts with the dead time `rho` = τ/T each.

    Returns
    -------
    n, variance, saturated : numpy.ndarray
        NaN where more was counted than the dead time allows.
    """
    m = _whole(m, "counts")
    alive = 1.0 - m * np.asarray(rho)
    blind = alive <= 0
    alive = np.where(blind, np.nan, alive)
    n = m / alive
    return n, n / alive, blind


def _whole(values: Any, name: str) -> Any:
    values = np.asarray(values)
    if values.dtype.kind in "ui":
        return values
    if not np.all(values == np.rint(values)):
        raise ValueError(
            f"{name} must be whole numbers to correct their dead time, got "
            f"{float(values[values != np.rint(values)].flat[0]):g}; were they corrected already?"
        )
    return values.astype(np.int64)


def _check_uncorrected(ds: xr.Dataset) -> None:
    state = str(ds.attrs.get("dead_time_corrected", "unknown"))
    if state not in ("no", "unknown"):
        raise ValueError(
            f"the dead time must not be corrected twice, got a map with dead_time_corrected = "
            f"{state!r}; if the file says so wrongly, "
            "map.assign_attrs(dead_time_corrected='no') says otherwise"
        )


def _chosen(ds: xr.Dataset, species: Sequence[str] | None) -> xr.DataArray:
    have = [str(s) for s in ds[SPECIES].values]
    names = have if species is None else list(species)
    missing = [s for s in names if s not in have]
    if missing:
        raise ValueError(
            f"species must be among {', '.join(have)}, got {', '.join(missing)} to correct"
        )
    return xr.DataArray([s in names for s in have], coords={SPECIES: ds[SPECIES]}, dims=SPECIES)


def _shots(ds: xr.Dataset, shots: int | xr.DataArray | None) -> xr.DataArray:
    if shots is None and SHOTS in ds:
        shots = ds[SHOTS]
    elif shots is None and "shots_per_pixel" in ds.attrs:
        shots = max(int(ds.attrs["shots_per_pixel"]) // ds.sizes.get(FRAME, 1), 1)
    if shots is None:
        raise ValueError(
            "dead time needs the shots per pixel and frame (shots=...), or tau and dwell of a "
            "non-paralysable detector; the map tells neither"
        )
    array = shots if isinstance(shots, xr.DataArray) else xr.DataArray(shots)
    extra = set(array.dims) - set(ds[COUNTS].dims)
    if extra:
        raise ValueError(f"shots must have dimensions of counts, got {', '.join(map(str, extra))}")
    values = array.values
    if values.dtype.kind not in "uif" or np.any(values < 1) or np.any(values != np.rint(values)):
        raise ValueError(f"shots must be whole numbers above 0, got {_text(array)}")
    return array.astype(np.int64)


def _rho(
    ds: xr.Dataset, tau: float | str | None, dwell: float | str | None
) -> tuple[float, xr.DataArray, xr.DataArray]:
    """Return τ in s (the mean over species), τ/T and T in s."""
    times = []
    for name, coordinate, given in (("tau", DEAD_TIME, tau), ("dwell", PIXEL_TIME, dwell)):
        if given is not None:
            times.append(xr.DataArray(parse_quantity(given, TIME, name)))
        elif coordinate in ds.coords:
            unit = str(ds[coordinate].attrs.get("units", "s"))
            known = ds[coordinate].reset_coords(drop=True).astype(float)
            # a detector of which no dead time is known (secondary electrons) has none to correct
            times.append(known.fillna(0.0) * parse_quantity(f"1 {unit}", TIME, coordinate))
        else:
            raise ValueError(
                f"dead time needs tau and dwell, got no {name}, and the map has no '{coordinate}'"
            )
    seconds, per_pixel = times
    if not bool(np.all((seconds.values >= 0) & (per_pixel.values > 0))):
        raise ValueError(
            f"tau must not be negative and dwell must be positive, got {_text(seconds)} s and "
            f"{_text(per_pixel)} s"
        )
    rho = seconds / per_pixel
    if not bool(np.all(rho.values < 1)):
        raise ValueError(f"tau must be below the dwell time, got {_text(rho)} times as much")
    return float(seconds.mean()), rho, per_pixel


def _applied(kernel: Any, counts: xr.DataArray, other: xr.DataArray) -> list[xr.DataArray]:
    found = xr.apply_ufunc(
        kernel,
        counts,
        other,
        output_core_dims=[[], [], []],
        dask="parallelized",
        output_dtypes=[np.float64, np.float64, np.bool_],
    )
    return [part.transpose(*counts.dims) for part in found]


def _raw(counts: xr.DataArray) -> list[xr.DataArray]:
    raw = counts.astype(float)
    return [raw, raw, xr.zeros_like(counts, dtype=bool)]


def _only(part: xr.DataArray, raw: xr.DataArray, chosen: xr.DataArray) -> xr.DataArray:
    return part if bool(chosen.all()) else part.where(chosen, raw)


def _text(array: xr.DataArray) -> str:
    low, high = float(array.min()), float(array.max())
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"

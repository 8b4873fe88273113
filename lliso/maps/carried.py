"""What a corrected map carries beside its counts: variance, and errors common to all pixels.

Two kinds of error are kept apart to the end. ``variance`` is statistical: each pixel has its own,
and sums of pixels average it out. ``systematic`` parameters (a background, a hydride share, a mass
fractionation) are known with an error that is the same for every pixel and does not average out;
``sensitivity`` says by how much each of them moves each count.

==========================  ======================================  =============================
variable                    dimensions                              what
==========================  ======================================  =============================
``variance``                those of ``counts``                     statistical variance
``covariance``              those of ``counts`` less ``species``    of the light and heavy isotope
``unknown``                 those of ``counts`` less ``species``    pixels that tell nothing
``systematic``              ``parameter``                           values of the parameters
``systematic_covariance``   ``parameter, parameter_b``              their covariance
``sensitivity``             ``parameter`` and those of ``counts``   d counts / d parameter
==========================  ======================================  =============================

All of these but ``systematic`` and its covariance add up over pixels and frames as counts do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import xarray as xr

from lliso._types import FloatArray
from lliso.schema import COUNTS, FRAME, LI6, LI7, SPECIES

VARIANCE = "variance"
COVARIANCE = "covariance"
UNKNOWN = "unknown"
SHOTS = "shots"
PARAMETER = "parameter"
PARAMETER_B = "parameter_b"
SYSTEMATIC = "systematic"
SYSTEMATIC_COVARIANCE = "systematic_covariance"
SENSITIVITY = "sensitivity"
#: variables that add up over pixels and frames
ADDITIVE = (COUNTS, VARIANCE, COVARIANCE, SENSITIVITY)
#: attribute: what was done to the counts, words in order
STEPS = "steps"


def steps_of(ds: xr.Dataset) -> tuple[str, ...]:
    """Return what was done to the counts of a map, in order."""
    return tuple(str(ds.attrs.get(STEPS, "")).split())


def with_step(ds: xr.Dataset, step: str) -> xr.Dataset:
    """Return `ds` with one more word in its attribute ``steps``, unless it is the last already."""
    done = steps_of(ds)
    return ds.assign_attrs({STEPS: " ".join(done if done[-1:] == (step,) else (*done, step))})


def variance_of(ds: xr.Dataset) -> xr.DataArray:
    """Statistical variance of the counts: the one carried, else that of Poisson counts."""
    return ds[VARIANCE] if VARIANCE in ds else ds[COUNTS].astype(float)


def added(ds: xr.Dataset, add: Callable[[xr.DataArray], xr.DataArray]) -> dict[str, xr.DataArray]:
    """Apply a summation to everything in `ds` that adds up as counts do."""
    return {name: add(ds[name]) for name in ADDITIVE if name in ds}


def known_part(ds: xr.Dataset, names: Iterable[str] = ADDITIVE) -> dict[str, xr.DataArray]:
    """Return the additive variables of `ds`, 0 in all species where a pixel is unknown."""
    parts = {name: ds[name] for name in names if name in ds}
    if UNKNOWN not in ds:
        return parts
    return {k: v.where(~ds[UNKNOWN], 0).transpose(*v.dims) for k, v in parts.items()}


def add_parameter(
    ds: xr.Dataset,
    name: str,
    value: float,
    std: float,
    sensitivity: xr.DataArray,
    covariances: dict[str, float] | None = None,
) -> xr.Dataset:
    """Return `ds` with one more systematic parameter.

    Parameters
    ----------
    ds : xarray.Dataset
        A map.
    name : str
        Name of the parameter.
    value, std : float
        Its value and standard error.
    sensitivity : xarray.DataArray
        d counts / d parameter, with the dimensions of ``counts``.
    covariances : dict of str to float, optional
        With parameters that are there already; 0 where not given.

    Returns
    -------
    xarray.Dataset
    """
    names = [str(p) for p in ds[PARAMETER].values] if PARAMETER in ds.coords else []
    old_covariance = ds[SYSTEMATIC_COVARIANCE].values if names else np.zeros((0, 0))
    covariance = np.zeros((len(names) + 1,) * 2)
    covariance[:-1, :-1] = old_covariance
    covariance[-1, -1] = std**2
    for other, c in (covariances or {}).items():
        if other in names:
            covariance[names.index(other), -1] = covariance[-1, names.index(other)] = c
    values = np.append(ds[SYSTEMATIC].values if names else np.zeros(0), value)
    one = sensitivity.expand_dims({PARAMETER: [name]}).astype(float).reset_coords(drop=True)
    if names:
        one = xr.concat([ds[SENSITIVITY], one], PARAMETER, coords="minimal", compat="override")
    rest = ds.drop_vars(
        [SENSITIVITY, SYSTEMATIC, SYSTEMATIC_COVARIANCE, PARAMETER, PARAMETER_B], errors="ignore"
    )
    return rest.assign(
        {
            SENSITIVITY: one.assign_attrs(long_name="change of the counts with each parameter"),
            SYSTEMATIC: (PARAMETER, values),
            SYSTEMATIC_COVARIANCE: ((PARAMETER, PARAMETER_B), covariance),
        }
    ).assign_coords({PARAMETER: [*names, name], PARAMETER_B: [*names, name]})


def fraction_variance(ds: xr.Dataset, light: str = LI6, heavy: str = LI7) -> xr.DataArray:
    r"""Statistical variance of C = n₆/(n₆ + n₇) from the variance that the counts carry.

    .. math:: \mathrm{var}\,C = [(1-C)^2 v_6 + C^2 v_7 - 2 C (1-C)\,c_{67}] / n^2

    NaN where there are no counts.
    """
    n6, n7 = (ds[COUNTS].sel({SPECIES: s}, drop=True).astype(float) for s in (light, heavy))
    v6, v7 = (variance_of(ds).sel({SPECIES: s}, drop=True).astype(float) for s in (light, heavy))
    total = (n6 + n7).where(n6 + n7 > 0)
    c = n6 / total
    variance = (1 - c) ** 2 * v6 + c**2 * v7
    if COVARIANCE in ds:
        variance = variance - 2 * c * (1 - c) * ds[COVARIANCE]
    return variance / total**2


def fraction_systematic_std(ds: xr.Dataset, light: str = LI6, heavy: str = LI7) -> xr.DataArray:
    r"""Error of C that is common to all pixels, from the covariance of the parameters.

    .. math:: \partial C/\partial p = [(1-C) S_6 - C S_7]/n

    with S the sensitivity of the counts; NaN where there are no counts.
    """
    gradient = fraction_gradient(ds, light, heavy)
    covariance = ds[SYSTEMATIC_COVARIANCE]
    other = gradient.rename({PARAMETER: PARAMETER_B})
    variance = (gradient * covariance * other).sum([PARAMETER, PARAMETER_B], skipna=False)
    return variance.clip(min=0.0) ** 0.5


def fraction_gradient(ds: xr.Dataset, light: str = LI6, heavy: str = LI7) -> xr.DataArray:
    """Return dC/d parameter of every pixel, slice or sum; NaN where there are no counts."""
    n6, n7 = (ds[COUNTS].sel({SPECIES: s}, drop=True).astype(float) for s in (light, heavy))
    s6, s7 = (ds[SENSITIVITY].sel({SPECIES: s}, drop=True) for s in (light, heavy))
    total = (n6 + n7).where(n6 + n7 > 0)
    c = n6 / total
    return ((1 - c) * s6 - c * s7) / total


def dispersion(ds: xr.Dataset, light: str = LI6, heavy: str = LI7, reach: int = 7) -> FloatArray:
    r"""Variance of C over the binomial one, from sums over the neighbourhood of each pixel.

    .. math:: \varphi = [(1-C) v_6/n_6 + C v_7/n_7 - 2 c_{67}/n],\qquad n_{eff} = n/\varphi
                      = C(1-C)/\mathrm{var}\,C

    with every quantity summed over `reach` pixels (slices) each way: a pixel's own scatter must
    not decide on its weight.

    Parameters
    ----------
    ds : xarray.Dataset
        Counts with or without ``variance``, over ``(y, x)`` or ``distance``; frames summed.
    light, heavy : str
        The two isotopes.
    reach : int
        Side of the neighbourhood in pixels or slices.

    Returns
    -------
    numpy.ndarray
        Without ``variance``, ones.
    """
    from scipy.ndimage import uniform_filter

    n6, n7 = (_values(ds[COUNTS], s) for s in (light, heavy))
    if VARIANCE not in ds:
        return np.ones(n6.shape)
    v6, v7 = (_values(ds[VARIANCE], s) for s in (light, heavy))
    c67 = np.asarray(ds[COVARIANCE].values, float) if COVARIANCE in ds else np.zeros(n6.shape)
    n6, n7, v6, v7, c67 = (uniform_filter(a, reach, mode="nearest") for a in (n6, n7, v6, v7, c67))
    total = n6 + n7
    good = (n6 > 0) & (n7 > 0) & (v6 > 0) & (v7 > 0)
    safe = np.where(good, total, 1.0)
    c = np.where(good, n6 / safe, 0.5)
    binomial = c * (1 - c) * safe
    found = ((1 - c) ** 2 * v6 + c**2 * v7 - 2 * c * (1 - c) * c67) / binomial
    return np.where(good & (found > 0), found, 1.0)


def effective_counts(
    ds: xr.Dataset, light: str = LI6, heavy: str = LI7
) -> tuple[FloatArray, FloatArray]:
    """Return counts of the light isotope and of both that a binomial likelihood may take.

    Corrected counts scatter more than binomial ones; divided by their `dispersion` they hold the
    information that is there, with C unchanged. Counts without ``variance`` are returned as they
    are.

    Returns
    -------
    light, total : numpy.ndarray

    Examples
    --------
    >>> n = xr.DataArray([[30.0] * 9, [70.0] * 9], dims=("species", "distance"),
    ...                  coords={"species": ["6Li", "7Li"]})
    >>> ds = xr.Dataset({"counts": n, "variance": 2 * n})
    >>> light, total = effective_counts(ds)
    >>> float(light[0].round(9)), float(total[0].round(9))
    (15.0, 50.0)
    """
    n6, n7 = (_values(ds[COUNTS], s) for s in (light, heavy))
    over = dispersion(ds, light, heavy)
    return n6 / over, (n6 + n7) / over


def _values(array: xr.DataArray, species: str) -> Any:
    return np.asarray(array.sel({SPECIES: species}).values, dtype=float)


def drop_frames(ds: xr.Dataset) -> xr.Dataset:
    """Return `ds` without whatever has a frame dimension."""
    return ds.drop_vars([str(n) for n, v in ds.variables.items() if FRAME in v.dims])

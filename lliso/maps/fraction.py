"""Isotope fraction of counts, its counting error, and pixel binning.

The ratio is always formed last: sum whole counts first (`bin_pixels`, `lliso.line_profile`), then
take the fraction of the sums. The mean of pixel ratios is biased and undefined where a pixel holds
no count.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr

from lliso.errors import LlisoWarning
from lliso.maps.carried import (
    SENSITIVITY,
    SHOTS,
    UNKNOWN,
    VARIANCE,
    added,
    drop_frames,
    fraction_systematic_std,
    fraction_variance,
    known_part,
    with_step,
)
from lliso.schema import COUNTS, FRAME, LI6, LI7, SPECIES, X, Y, add_history

FRACTION = "fraction"
FRACTION_STD = "fraction_std"
FRACTION_SYSTEMATIC_STD = "fraction_systematic_std"
TOTAL = "total"


def isotope_fraction(ds: xr.Dataset, light: str = LI6, heavy: str = LI7) -> xr.Dataset:
    r"""Compute the isotope fraction C = n_light / (n_light + n_heavy) and its counting error.

    With the total n = n_light + n_heavy fixed, n_light is binomial, so that topography, yield and
    beam current drop out and

    .. math:: \sigma_C = \sqrt{C (1 - C) / n}.

    Parameters
    ----------
    ds : xarray.Dataset
        Anything with ``counts(species, ...)``: a map, a stack of frames, a line profile.
    light, heavy : str
        Labels of the two isotopes.

    Returns
    -------
    xarray.Dataset
        ``fraction`` (dimensionless), ``fraction_std`` (its binomial counting error; 0 where all
        counts are of one isotope, see Notes) and ``total`` (counts n), with the dimensions of
        ``counts`` less ``species``. Where n = 0 the fraction and its error are NaN. Of corrected
        counts ``fraction_std`` follows from the ``variance`` that they carry, and what the
        corrections leave uncertain in all pixels alike is ``fraction_systematic_std``, apart.

    Raises
    ------
    ValueError
        If a species is missing.

    Warns
    -----
    LlisoWarning
        If there are no counts of either isotope at all.

    Notes
    -----
    At few counts, √(C(1−C)/n) is too small near C = 0 and 1; use `fraction_interval` there.

    References
    ----------
    Eq. (1) of G. Hasegawa et al., J. Mater. Chem. A 12 (2024) 731.

    Examples
    --------
    >>> counts = xr.DataArray([[30, 0], [70, 0]], dims=("species", "x"),
    ...                       coords={"species": ["6Li", "7Li"]})
    >>> c = isotope_fraction(counts.to_dataset(name="counts"))
    >>> c.fraction.values
    array([0.3, nan])
    >>> c.fraction_std.values.round(4)
    array([0.0458,    nan])
    """
    n_light = species_counts(ds, light)
    total = n_light + species_counts(ds, heavy)
    # Python's where on arrays: the division by 0 must not warn, and lazy data must stay lazy.
    safe = total.where(total > 0)
    fraction = n_light / safe
    if VARIANCE in ds:
        std = fraction_variance(ds, light, heavy) ** 0.5
    else:
        std = (fraction * (1.0 - fraction) / safe) ** 0.5
    fraction.attrs = {"long_name": f"{light} fraction", "units": "1"}
    std.attrs = {"long_name": f"counting error of the {light} fraction", "units": "1"}
    total.attrs = {"long_name": f"{light} + {heavy} counts", "units": "1"}
    if isinstance(total.data, np.ndarray) and not np.any(total.data):
        warnings.warn(
            f"the fraction is undefined everywhere: the data hold no counts of {light} or {heavy}",
            LlisoWarning,
            stacklevel=2,
        )
    result = xr.Dataset({FRACTION: fraction, FRACTION_STD: std, TOTAL: total}, attrs=ds.attrs)
    if SENSITIVITY in ds:
        systematic = fraction_systematic_std(ds, light, heavy).transpose(*fraction.dims)
        systematic.attrs = {
            "long_name": f"error of the {light} fraction common to all pixels",
            "units": "1",
        }
        result[FRACTION_SYSTEMATIC_STD] = systematic
    return result.drop_vars(SPECIES, errors="ignore")


def species_counts(ds: xr.Dataset, species: str) -> xr.DataArray:
    """Return the counts of one species as floats (sums of small integers cannot overflow)."""
    if COUNTS not in ds or SPECIES not in ds.coords:
        raise ValueError("isotope fractions need the variable 'counts' with labelled 'species'")
    have = [str(s) for s in ds[SPECIES].values]
    if species not in have:
        raise ValueError(
            f"the data lack the species {species}; they hold {', '.join(have)}. If a species has "
            "another name there, rename it with .assign_coords(species=[...])"
        )
    return ds[COUNTS].sel({SPECIES: species}, drop=True).astype(float)


def fraction_interval(n_light: Any, total: Any, level: float = 0.68) -> tuple[Any, Any]:
    """Wilson score interval of a fraction, defined at any number of counts.

    Parameters
    ----------
    n_light, total : array_like
        Counts of the light isotope and of both.
    level : float
        Confidence level, between 0 and 1.

    Returns
    -------
    low, high : numpy.ndarray
        Limits of the fraction; (0, 1) where there are no counts.

    Raises
    ------
    ValueError
        If `level` is not between 0 and 1 or counts are negative or larger than the total.

    References
    ----------
    E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209.

    Examples
    --------
    >>> low, high = fraction_interval(0, 10, level=0.95)
    >>> round(float(low), 3), round(float(high), 3)
    (0.0, 0.278)
    """
    from scipy.special import ndtri

    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level}")
    k = np.asarray(n_light, dtype=float)
    n = np.asarray(total, dtype=float)
    if np.any(k < 0) or np.any(k > n):
        raise ValueError("counts of the light isotope must be between 0 and the total")
    z2 = float(ndtri(0.5 + level / 2)) ** 2
    safe = np.where(n > 0, n, 1.0)
    p = k / safe
    centre = (p + z2 / (2 * safe)) / (1 + z2 / safe)
    half = np.sqrt(z2 * (p * (1 - p) / safe + z2 / (4 * safe**2))) / (1 + z2 / safe)
    empty = n == 0
    return np.where(empty, 0.0, np.clip(centre - half, 0, 1)), np.where(
        empty, 1.0, np.clip(centre + half, 0, 1)
    )


def bin_pixels(ds: xr.Dataset, nx: int, ny: int | None = None) -> xr.Dataset:
    """Sum counts over blocks of `nx` × `ny` pixels.

    Parameters
    ----------
    ds : xarray.Dataset
        A map. Rows and columns at the far edges that do not fill a block are left out, and the
        ``history`` says how many.
    nx, ny : int
        Pixels per block along x and y; `ny` defaults to `nx`.

    Returns
    -------
    xarray.Dataset
        The binned map, with whole counts, block centres as coordinates and the same ``map_id``:
        picks are in µm and stay valid.

    Raises
    ------
    ValueError
        If a block is not at least 1 pixel or larger than the map.

    Examples
    --------
    >>> from lliso.schema import make_map
    >>> m = make_map(np.ones((1, 4, 6), int), ["6Li"], x=np.arange(6.0), y=np.arange(4.0))
    >>> bin_pixels(m, 3, 2).counts.values[0]
    array([[6, 6],
           [6, 6]])
    """
    ny = nx if ny is None else ny
    for name, n, size in (("nx", nx, ds.sizes[X]), ("ny", ny, ds.sizes[Y])):
        if int(n) != n or not 1 <= n <= size:
            raise ValueError(f"{name} must be a whole number from 1 to {size} pixels, got {n}")
    parts = xr.Dataset(known_part(ds), attrs=ds.attrs)
    blocks = parts.coarsen({X: int(nx), Y: int(ny)}, boundary="trim")
    # coarsen takes the mean of coordinates (block centres), and np.sum widens small integers.
    binned = blocks.reduce(np.sum, keep_attrs=True)  # unlike sum, it leaves NaN what it is
    for name in (X, Y):
        binned[name].attrs = ds[name].attrs
    plain = [n for n, v in ds.data_vars.items() if not {X, Y, FRAME} & set(map(str, v.dims))]
    binned = binned.assign({str(n): ds[n] for n in plain})
    binned.attrs = dict(ds.attrs)
    lost = f"{ds.sizes[X] % nx} columns and {ds.sizes[Y] % ny} rows left out"
    binned = add_history(binned, f"binned {nx} x {ny} pixels (x, y); {lost}")
    return with_step(binned, "binned") if nx * ny > 1 else binned


def sum_frames(ds: xr.Dataset) -> xr.Dataset:
    """Sum a stack of frames to one image per species; a map without frames is returned as it is.

    Frames must have been aligned before if the sample drifted. A pixel that is unknown in any of
    the frames is unknown in the sum (0 counts in every species, and marked in ``unknown``).
    """
    if FRAME not in ds.dims:
        return ds
    # A pixel that saturated in some frames only is not what the others say: those were chosen.
    parts = added(ds, lambda a: a.sum(FRAME, keep_attrs=True, skipna=False))
    n = ds.sizes[FRAME]
    if SHOTS in ds:
        shots = ds[SHOTS]
        parts[SHOTS] = shots.sum(FRAME, keep_attrs=True) if FRAME in shots.dims else shots * n
    if UNKNOWN in ds:
        parts[UNKNOWN] = ds[UNKNOWN].any(FRAME, keep_attrs=True)
    summed = drop_frames(ds).assign(parts)
    summed = summed.assign(known_part(summed))
    return with_step(add_history(summed, f"summed {n} frames"), "summed")

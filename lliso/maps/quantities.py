"""What a map can be looked at as: counts, C, its error, how significant its steps are.

Smoothing here is for the eye only: counts are smoothed before the ratio is formed, so that no ratio
of noise is averaged, and nothing that is fitted ever comes from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from lliso._types import FloatArray
from lliso.maps.fraction import FRACTION, FRACTION_STD, bin_pixels, isotope_fraction, species_counts
from lliso.maps.fraction import sum_frames as _sum_frames
from lliso.maps.proposals import step_significance, weighted_fractions
from lliso.schema import COUNTS, LI6, LI7, SPECIES, X, Y, check_map, pixel_size

if TYPE_CHECKING:
    import xarray as xr

#: name and words of what a map can be looked at as
QUANTITIES = {
    "fraction": "isotope fraction C",
    "fraction_std": "counting error σ of C",
    "counts": "counts of one species",
    "total": "counts of ⁶Li and ⁷Li",
    "significance": "significance of steps in C (σ)",
}
_NEEDS_LITHIUM = ("fraction", "fraction_std", "total", "significance")


def quantities_of(ds: xr.Dataset) -> tuple[str, ...]:
    """Return the quantities that a map can be looked at as.

    Examples
    --------
    >>> from lliso.schema import make_map
    >>> m = make_map(np.ones((1, 6, 6), int), ["16O"], x=np.arange(6.0), y=np.arange(6.0))
    >>> quantities_of(m)
    ('counts',)
    """
    have = {str(s) for s in ds[SPECIES].values}
    lithium = {LI6, LI7} <= have
    return tuple(q for q in QUANTITIES if lithium or q not in _NEEDS_LITHIUM)


def map_quantity(
    ds: xr.Dataset,
    quantity: str,
    species: str = LI6,
    *,
    binned: int = 1,
    smooth: float = 0.0,
) -> xr.DataArray:
    """Return an image of a map, as it is or made smoother for the eye.

    Parameters
    ----------
    ds : xarray.Dataset
        A map; frames are summed.
    quantity : str
        One of `QUANTITIES`.
    species : str
        Of ``counts``.
    binned : int
        Pixels summed into one, in both directions; what is left over at the ends is dropped.
    smooth : float
        Standard deviation in µm of a Gaussian that the counts are smoothed with; 0 for none. Not
        applied to ``fraction_std`` and ``significance``, which are statements on the data.

    Returns
    -------
    xarray.DataArray, shape (y, x)
        NaN where it is undefined.

    Raises
    ------
    ValueError
        If the quantity or species is not there, or binning or smoothing is negative.

    Examples
    --------
    >>> from lliso.schema import make_map
    >>> m = make_map(np.ones((2, 6, 6), int), ["6Li", "7Li"], x=np.arange(6.0), y=np.arange(6.0))
    >>> map_quantity(m, "total", binned=2).values[0]
    array([8., 8., 8.])
    """
    check_map(ds)
    have = quantities_of(ds)
    if quantity not in have:
        raise ValueError(f"the quantity must be one of {', '.join(have)}, got {quantity!r}")
    if binned < 1:
        raise ValueError(f"pixels to bin must be at least 1, got {binned}")
    if not 0 <= smooth < np.inf:
        raise ValueError(f"smoothing must not be negative, got {smooth:g} um")
    ds = _sum_frames(ds)
    if binned > 1 and quantity != "significance":
        ds = bin_pixels(ds, binned)
    like = ds[COUNTS].isel({SPECIES: 0}, drop=True)
    if quantity == "significance":
        return like.copy(data=step_significance(*weighted_fractions([ds])))
    if quantity == "fraction_std":
        return isotope_fraction(ds)[FRACTION_STD]
    if quantity == "fraction" and smooth == 0:
        return isotope_fraction(ds)[FRACTION]
    names = (species,) if quantity == "counts" else (LI6, LI7)
    counts = [_smoothed(species_counts(ds, s).values, ds, smooth) for s in names]
    if quantity == "fraction":
        total = counts[0] + counts[1]
        with np.errstate(invalid="ignore", divide="ignore"):
            return like.copy(data=np.where(total > 0, counts[0] / total, np.nan))
    return like.copy(data=np.sum(counts, axis=0))


def _smoothed(counts: FloatArray, ds: xr.Dataset, smooth: float) -> FloatArray:
    if smooth == 0:
        return counts
    dx, dy = pixel_size(ds)
    return np.asarray(ndimage.gaussian_filter(counts, (smooth / dy, smooth / dx), mode="nearest"))


def difference(
    later: xr.Dataset,
    earlier: xr.Dataset,
    *,
    significance: bool = False,
    binned: int = 1,
    smooth: float = 0.0,
) -> xr.DataArray:
    """Return the change of C between two stages of one place.

    Parameters
    ----------
    later, earlier : xarray.Dataset
        Maps on the same pixels; register and resample them first.
    significance : bool
        In units of its counting error instead (then not smoothed).
    binned, smooth
        As of `map_quantity`.

    Returns
    -------
    xarray.DataArray, shape (y, x)

    Raises
    ------
    ValueError
        If the maps differ in their pixels or lack lithium.

    Examples
    --------
    >>> from lliso.schema import make_map
    >>> a, b = (make_map(np.stack([np.full((6, 6), n), np.full((6, 6), 40)]), ["6Li", "7Li"],
    ...                  x=np.arange(6.0), y=np.arange(6.0)) for n in (10, 60))
    >>> float(difference(b, a)[0, 0].round(6))
    0.4
    """
    for name in (X, Y):
        same = later.sizes[name] == earlier.sizes[name]
        if not same or not np.allclose(
            later[name], earlier[name], atol=0.01 * min(pixel_size(later))
        ):
            raise ValueError(
                f"the two maps must have the same pixels, got different '{name}'; register and "
                "resample them first"
            )
    if not significance:
        parts = [
            map_quantity(ds, "fraction", binned=binned, smooth=smooth) for ds in (later, earlier)
        ]
        return parts[0].copy(data=parts[0].values - parts[1].values)
    a, b = (isotope_fraction(bin_pixels(_sum_frames(ds), binned)) for ds in (later, earlier))
    std = np.hypot(a[FRACTION_STD].values, b[FRACTION_STD].values)
    with np.errstate(invalid="ignore", divide="ignore"):
        change = (a[FRACTION].values - b[FRACTION].values) / std
    return a[FRACTION].copy(data=np.where(std > 0, change, np.nan))


def colour_limits(
    images: list[FloatArray], low: float = 1.0, high: float = 99.0, centre: float | None = None
) -> tuple[float, float]:
    """Return common limits of the colours of images.

    Parameters
    ----------
    images : list of arrays
        NaN is left out.
    low, high : float
        Percentiles.
    centre : float, optional
        The limits are made symmetric about this value.

    Raises
    ------
    ValueError
        If the percentiles are not in order between 0 and 100.

    Examples
    --------
    >>> colour_limits([np.array([0.0, 1.0, 5.0])], 0, 100, centre=1.0)
    (-3.0, 5.0)
    """
    if not 0 <= low < high <= 100:
        raise ValueError(
            f"percentiles must be in order between 0 and 100, got {low:g} and {high:g}"
        )
    values = np.concatenate([np.ravel(i)[np.isfinite(np.ravel(i))] for i in images])
    if values.size == 0:
        return 0.0, 1.0
    first, last = (float(v) for v in np.percentile(values, [low, high]))
    if centre is not None:
        reach = max(abs(first - centre), abs(last - centre))
        first, last = centre - reach, centre + reach
    if not last > first:
        first, last = first - 0.5, last + 0.5
    return first, last

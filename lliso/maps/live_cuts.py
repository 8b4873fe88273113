"""Profiles along cuts as plain arrays, quick enough to follow a hand.

The sums are those of `lliso.line_profile`, to the last count; what is left out is the labelling,
which costs several times more than the sums themselves.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lliso._types import FloatArray
from lliso.errors import LlisoWarning
from lliso.maps.carried import effective_counts
from lliso.maps.cuts import (
    DISTANCE,
    LineCut,
    band_pixels,
    line_profile,
    map_extent,
    outside_fraction,
    slice_distances,
    slices_of,
)
from lliso.maps.fraction import species_counts, sum_frames
from lliso.schema import LI6, LI7, X, Y, check_map, pixel_size

if TYPE_CHECKING:
    import xarray as xr

_PLAIN = {"counts"}


@dataclass(frozen=True)
class CutSums:
    """Counts in the slices of a cut.

    Attributes
    ----------
    distance : numpy.ndarray, shape (n,)
        Mean distance of the pixels of each slice along the cut in µm.
    light, total : numpy.ndarray, shape (n,)
        Counts of ⁶Li and of both isotopes (effective ones where the map carries a variance).
    step, width : float
        Length of a slice and width of the cut in µm.
    warning : str
        That part of the cut leaves the map, in words.
    """

    distance: FloatArray
    light: FloatArray
    total: FloatArray
    step: float
    width: float
    warning: str = ""

    @property
    def fraction(self) -> FloatArray:
        """Isotope fraction, NaN where nothing was counted."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.light / self.total

    @property
    def fraction_std(self) -> FloatArray:
        """Counting error of the fraction."""
        c = self.fraction
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.sqrt(c * (1 - c) / self.total))


class LiveCuts:
    """The counts of a map, ready for many cuts.

    Parameters
    ----------
    ds : xarray.Dataset
        A map with ⁶Li and ⁷Li; frames are summed.

    Attributes
    ----------
    pitch : tuple of float
        Pixel pitch in µm, see `lliso.schema.pixel_size`.
    extent : tuple of tuple of float
        Outer edges of the map in µm, see `lliso.maps.cuts.map_extent`.

    Examples
    --------
    >>> from lliso.schema import make_map
    >>> m = make_map(np.ones((2, 6, 6), int), ["6Li", "7Li"], x=np.arange(6.0), y=np.arange(6.0))
    >>> LiveCuts(m).sums(LineCut(start=(2.5, -0.5), end=(2.5, 5.5), width=4)).total
    array([8., 8., 8., 8., 8., 8.])
    """

    def __init__(self, ds: xr.Dataset) -> None:
        check_map(ds, needs=(LI6, LI7))
        self._ds = ds = sum_frames(ds)
        # A map with more than counts (a variance, unknown pixels) goes the labelled way.
        self._plain = {str(n) for n, v in ds.data_vars.items() if {X, Y} & set(v.dims)} <= _PLAIN
        self._x, self._y = (np.asarray(ds[k].values, dtype=float) for k in (X, Y))
        self.pitch, self.extent = pixel_size(ds), map_extent(ds)
        counts = [species_counts(ds, s).values for s in (LI6, LI7)] if self._plain else []
        self._light = counts[0].ravel() if counts else np.zeros(0)
        self._total = (counts[0] + counts[1]).ravel() if counts else np.zeros(0)

    def sums(self, cut: LineCut) -> CutSums:
        """Sum the counts along a cut.

        Raises
        ------
        ValueError
            As `lliso.line_profile`.
        """
        step, n = slices_of(cut, self.pitch)
        rows, columns, along = band_pixels(self._x, self._y, cut, n * step)
        if not self._plain or rows.size == 0:
            return self._labelled(cut)
        index = np.minimum((along / step).astype(np.intp), n - 1)
        at = rows * self._x.size + columns
        distance = slice_distances(along, index, n, step)
        return CutSums(
            distance,
            np.bincount(index, self._light[at], n).astype(float),
            np.bincount(index, self._total[at], n).astype(float),
            step,
            cut.width,
            outside_fraction(self.extent, cut)[1],
        )

    def _labelled(self, cut: LineCut) -> CutSums:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LlisoWarning)  # said below
            profile = line_profile(self._ds, cut)
        light, total = effective_counts(profile)
        step, width = (float(profile.attrs[k]) for k in ("slice_length", "cut_width"))
        words = outside_fraction(self.extent, cut)[1]
        return CutSums(profile[DISTANCE].values, light, total, step, width, words)

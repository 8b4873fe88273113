"""Which slices of a profile a boundary's fit may look at.

Close to a boundary the instrument's blur mixes the two grains, so a guard is kept off the boundary
itself and, for the same reason, off the window's ends, where the next boundaries are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lliso._types import FloatArray
from lliso.maps.carried import effective_counts
from lliso.maps.cuts import DISTANCE
from lliso.maps.picks import BoundaryPick

if TYPE_CHECKING:
    import xarray as xr

#: fewest slices with counts on each side: a level and a slope need 2, the third tells if they fit
FEWEST_SLICES = 3


@dataclass(frozen=True)
class Window:
    """The part of a profile that belongs to one boundary.

    Attributes
    ----------
    nu : numpy.ndarray, shape (n,)
        Distance of each slice from the picked position in µm, along the cut.
    light, total : numpy.ndarray, shape (n,)
        Counts of ⁶Li and of both isotopes.
    reach_before, reach_after : float
        Distance in µm from the boundary to the far guard on each side.
    guard : float
        Guard in µm.
    slice_length : float
        Length of a slice in µm.
    """

    nu: FloatArray
    light: FloatArray
    total: FloatArray
    reach_before: float
    reach_after: float
    guard: float
    slice_length: float

    @property
    def fraction(self) -> FloatArray:
        """Isotope fraction of each slice."""
        return self.light / self.total


def guard_length(
    slice_length: float, resolution: float, cut_width: float = 0.0, tilt: float = 0.0
) -> float:
    """Guard band on each side of a boundary, in µm.

    Parameters
    ----------
    slice_length : float
        Length of a slice in µm.
    resolution : float
        Full width at half maximum of the instrument's point spread function in µm.
    cut_width : float
        Width of the cut in µm.
    tilt : float
        Angle in degrees between the cut and the boundary's normal: a tilted boundary crosses a
        wide cut over a length of width · tan(tilt).

    Returns
    -------
    float

    Examples
    --------
    >>> guard_length(1.0, 1.0)
    2.0
    """
    straight = max(1.5 * slice_length, resolution + slice_length)
    return straight + 0.5 * cut_width * math.tan(math.radians(abs(tilt)))


def cut_window(
    profile: xr.Dataset, pick: BoundaryPick, resolution: float, *, inner_guard: bool = True
) -> Window:
    """Take the slices that the fit of one boundary may use.

    Parameters
    ----------
    profile : xarray.Dataset
        A line profile.
    pick : BoundaryPick
        The boundary; its window's ends are taken to be the next boundaries, except where they are
        the ends of the profile.
    resolution : float
        FWHM of the point spread function in µm.
    inner_guard : bool
        False keeps the slices at the boundary, for a fit of the blurred step.

    Returns
    -------
    Window

    Raises
    ------
    ValueError
        If fewer than `FEWEST_SLICES` slices with counts are left on a side.
    """
    light, total = effective_counts(profile)
    step, width = float(profile.attrs["slice_length"]), float(profile.attrs["cut_width"])
    x = profile[DISTANCE].values
    return window_of(x, light, total, step, width, pick, resolution, inner_guard=inner_guard)


def window_of(
    x: FloatArray,
    light: FloatArray,
    total: FloatArray,
    step: float,
    width: float,
    pick: BoundaryPick,
    resolution: float,
    *,
    inner_guard: bool = True,
) -> Window:
    """Do what `cut_window` does, on arrays: distances, counts, length and width of the slices."""
    guard = guard_length(step, resolution, width, pick.tilt)
    low, high = pick.window
    low = max(low + guard, x[0]) if low > x[0] else x[0]
    high = min(high - guard, x[-1]) if high < x[-1] else x[-1]
    nu = x - pick.position
    eps = 1e-6 * step
    use = (x >= low - eps) & (x <= high + eps) & (total > 0)
    if inner_guard:
        use &= np.abs(nu) >= guard - eps
    for side, found in (("before", nu[use] < 0), ("after", nu[use] > 0)):
        if np.count_nonzero(found) < FEWEST_SLICES:
            raise ValueError(
                f"the window of boundary '{pick.name}' must leave at least {FEWEST_SLICES} slices "
                f"with counts {side} the boundary, got {np.count_nonzero(found)}: it runs from "
                f"{pick.window[0]:.4g} to {pick.window[1]:.4g} um around {pick.position:.4g} um "
                f"and loses {guard:.3g} um of guard at the boundary and at each end; widen it"
            )
    return Window(
        nu[use],
        light[use],
        total[use],
        reach_before=float(pick.position - low),
        reach_after=float(high - pick.position),
        guard=guard,
        slice_length=step,
    )

"""The boundary between two grains that is nearest to a place, and how it runs there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from lliso.maps.cracks import find_cracks
from lliso.maps.grains import COLUMN, ROW
from lliso.schema import X, Y

if TYPE_CHECKING:
    import xarray as xr

#: how much of a boundary, in µm to each side of a place, tells how it runs there
REACH = 6.0
#: fewer sides of pixels than this have no direction
FEWEST = 4


def nearest_edge(
    grains: xr.Dataset, place: tuple[float, float], *, reach: float = REACH
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return where the nearest grain boundary is, and its unit normal there.

    A straight line is laid through the sides of pixels between the same two grains within `reach`
    of the nearest of them, by total least squares (it has no preferred axis).

    Parameters
    ----------
    grains : xarray.Dataset
        ``label(y, x)`` with ``x`` and ``y`` in µm (of `lliso.segment_grains`) or a network (of
        `lliso.boundary_network`). Negative labels are unknown pixels, not grains.
    place : tuple of float
        x, y in µm.
    reach : float
        In µm.

    Returns
    -------
    place, normal : tuple of float
        Point on the boundary in µm, and the unit normal (its sign has no meaning).

    Raises
    ------
    ValueError
        If the labels hold no boundary, or the nearest one is too short to have a direction.

    Examples
    --------
    >>> import xarray as xr
    >>> label = (np.arange(20) > 9)[None, :] + np.zeros((20, 1), int)
    >>> grains = xr.Dataset({"label": (("y", "x"), label)}, {"x": np.arange(20.0),
    ...     "y": np.arange(20.0)})
    >>> place, normal = nearest_edge(grains, (12.0, 8.0))
    >>> [round(float(v), 6) for v in place], [round(abs(float(v)), 6) for v in normal]
    ([9.5, 8.0], [1.0, 0.0])
    """
    x, y = (X, Y) if X in grains["label"].dims else (COLUMN, ROW)
    cracks = find_cracks(grains["label"].values, grains[x].values, grains[y].values)
    sides = np.column_stack([cracks.x, cracks.y])
    if not len(sides):
        raise ValueError("the labels must hold a boundary between two grains, got none")
    nearest = int(np.hypot(*(sides - place).T).argmin())
    same = cracks.piece == cracks.piece[nearest]
    near = sides[same & (np.hypot(*(sides - sides[nearest]).T) <= reach)]
    if len(near) < FEWEST:
        raise ValueError(f"a boundary needs at least {FEWEST} sides of pixels, got {len(near)}")
    middle = near.mean(axis=0)
    along = np.linalg.svd(near - middle)[2][0]
    foot = middle + along * (along @ (np.asarray(place) - middle))
    # Beyond what the line was laid through, the nearest side itself.
    on = foot if math.dist(foot, sides[nearest]) <= reach else sides[nearest]
    return (float(on[0]), float(on[1])), (float(-along[1]), float(along[0]))

"""Images and traces of a microscope, laid onto the map by a registration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from lliso._types import FloatArray
from lliso.maps.registration import Registration
from lliso.schema import X, Y

if TYPE_CHECKING:
    import xarray as xr


def image_on_map(
    image: xr.DataArray,
    registration: Registration,
    like: xr.Dataset | xr.DataArray,
    *,
    pixel: float | None = None,
) -> xr.DataArray:
    """Lay an image onto the map's coordinates, to look at and for `segment_grains`.

    Parameters
    ----------
    image : xarray.DataArray, shape (v, u)
        Grey values; the two coordinates in µm (rows, then columns).
    registration : Registration
    like : xarray.Dataset or DataArray
        The map: its extent, and its pixels unless `pixel` is given.
    pixel : float, optional
        Pixel size of the result, µm; the image's own resolution is worth keeping.

    Returns
    -------
    xarray.DataArray, shape (y, x)
        Linear between pixels, NaN where the image does not reach.

    Raises
    ------
    ValueError
        If the image has no two coordinates, or does not meet the map.

    Examples
    --------
    >>> import xarray as xr
    >>> from lliso.maps.registration import fit_registration
    >>> image = xr.DataArray(np.arange(9.0).reshape(3, 3), dims=("v", "u"),
    ...                      coords={"v": [0, 1, 2.0], "u": [0, 1, 2.0]})
    >>> grid = xr.DataArray(np.zeros((2, 2)), dims=("y", "x"),
    ...                     coords={"y": [1, 2.0], "x": [1, 2.0]})
    >>> square = np.array([[0, 0], [1, 0], [0, 1.0]])
    >>> image_on_map(image, fit_registration(square, square), grid).values.tolist()
    [[4.0, 5.0], [7.0, 8.0]]
    """
    import xarray as xr

    x, y = (_axis(like, name, pixel) for name in (X, Y))
    rows, columns = image_axes(image)
    xx, yy = np.meshgrid(x, y)
    back = registration.inverse(np.column_stack([xx.ravel(), yy.ravel()]))
    at = [(back[:, k] - axis[0]) / (axis[1] - axis[0]) for k, axis in ((1, rows), (0, columns))]
    grey = np.asarray(image.values, dtype=float)
    inside = np.all([(a >= -0.5) & (a <= n - 0.5) for a, n in zip(at, grey.shape, strict=True)], 0)
    if not inside.any():
        raise ValueError("the image must meet the map, got no common area; check the landmarks")
    value = ndimage.map_coordinates(grey, at, order=1, mode="nearest")
    out = np.where(inside, value, np.nan).reshape(xx.shape)
    return xr.DataArray(
        out,
        dims=(Y, X),
        coords={Y: (Y, y, {"units": "um"}), X: (X, x, {"units": "um"})},
        name=image.name,
        attrs={k: v for k, v in image.attrs.items() if not k.startswith("to_map_")},
    )


def _axis(like: xr.Dataset | xr.DataArray, name: str, pixel: float | None) -> FloatArray:
    own = like[name].values.astype(float)
    if pixel is None:
        return np.asarray(own)
    if not pixel > 0:
        raise ValueError(f"pixel must be positive, got {pixel:g} um")
    half = 0.5 * (own[1] - own[0])
    n = max(round(abs(own[-1] - own[0] + 2 * half) / pixel), 1)
    edges = np.linspace(own[0] - half, own[-1] + half, n + 1)
    return np.asarray(0.5 * (edges[1:] + edges[:-1]))


def image_axes(image: xr.DataArray) -> tuple[FloatArray, FloatArray]:
    """Coordinates of an image's rows and columns, after a check that it has them."""
    if image.ndim != 2 or any(d not in image.coords or image.sizes[d] < 2 for d in image.dims):
        raise ValueError(
            "the image must be two-dimensional with a coordinate in um along both axes, got "
            f"{dict(image.sizes)}"
        )
    rows, columns = (image[d].values.astype(float) for d in image.dims)
    return np.asarray(rows), np.asarray(columns)


def move_traces(traces: Iterable[Any], registration: Registration) -> tuple[FloatArray, ...]:
    """Carry boundaries that were traced on the image over to the map.

    Parameters
    ----------
    traces : iterable of array_like, shape (point, 2)
        Polylines in µm of the image.
    registration : Registration

    Returns
    -------
    tuple of array, shape (point, 2)
        µm of the map, for ``segment_grains(traces=…)``.

    Examples
    --------
    >>> from lliso.maps.registration import fit_registration
    >>> square = np.array([[0, 0], [1, 0], [0, 1.0]])
    >>> move_traces([[(0, 0), (1, 1)]], fit_registration(square + 1, square))[0].round(9).tolist()
    [[1.0, 1.0], [2.0, 2.0]]
    """
    return tuple(registration(np.asarray(trace, dtype=float)) for trace in traces)


def trace_crossings(traces: Iterable[Any], start: Any, end: Any) -> FloatArray:
    """Distances from `start` at which the line to `end` crosses traced boundaries, growing.

    Parameters
    ----------
    traces : iterable of array_like, shape (point, 2)
        Polylines in µm of the map.
    start, end : (float, float)
        Of a line cut, µm.

    Returns
    -------
    array, shape (crossing,)
        µm.

    Examples
    --------
    >>> trace_crossings([[(-1, 2), (1, 2)], [(-1, 6), (1, 8)]], (0, 0), (0, 10)).tolist()
    [2.0, 7.0]
    """
    origin, far = np.asarray(start, dtype=float), np.asarray(end, dtype=float)
    length = float(np.hypot(*(far - origin)))
    if not length > 0:
        raise ValueError("the cut must have a length, got start = end")
    along = (far - origin) / length
    found: list[float] = []
    for trace in traces:
        p = np.asarray(trace, dtype=float) - origin
        s, t = p @ along, p @ np.array([-along[1], along[0]])
        for k in np.flatnonzero((t[:-1] < 0) != (t[1:] < 0)):
            at = s[k] - t[k] * (s[k + 1] - s[k]) / (t[k + 1] - t[k])
            if 0.0 <= at <= length:
                found.append(float(at))
    return np.sort(np.array(found, dtype=float))

"""Looking up what a simulated map was made of, to judge a result by it, and its geometry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lliso._types import FloatArray

if TYPE_CHECKING:
    import xarray as xr

#: a point farther than this from every boundary was not picked on one, in µm
_FARTHEST = 5.0


def true_permeability(truth: xr.Dataset, x: Any, y: Any) -> FloatArray:
    """Return the true P = D_gb/δ of the simulated boundary nearest to each point.

    Parameters
    ----------
    truth : xarray.Dataset
        Truth of a simulated map: ``x0, y0, x1, y1`` (end points in µm) and ``permeability``
        (cm/s) along ``boundary``.
    x, y : array_like, shape (n,)
        Points in µm, such as the columns of a table of fitted boundaries.

    Returns
    -------
    numpy.ndarray, shape (n,)
        cm/s; NaN where no boundary is within 5 µm.

    Raises
    ------
    ValueError
        If `truth` lacks a variable.

    Examples
    --------
    >>> import xarray as xr
    >>> ends = {"x0": [0.0, 0.0], "y0": [0.0, 9.0], "x1": [10.0, 10.0], "y1": [0.0, 9.0]}
    >>> truth = xr.Dataset({k: ("boundary", v) for k, v in ends.items()})
    >>> truth["permeability"] = ("boundary", [1e-6, 2e-6])
    >>> true_permeability(truth, [5.0, 5.0, 50.0], [1.0, 8.0, 0.0])
    array([1.e-06, 2.e-06,    nan])
    """
    missing = [n for n in ("x0", "y0", "x1", "y1", "permeability") if n not in truth]
    if missing:
        raise ValueError(f"the truth of a simulated map needs {', '.join(missing)}")
    start = np.column_stack([truth["x0"].values, truth["y0"].values]).astype(float)
    end = np.column_stack([truth["x1"].values, truth["y1"].values]).astype(float)
    points = np.column_stack([np.atleast_1d(x), np.atleast_1d(y)]).astype(float)
    line = end - start
    squared = np.maximum(np.sum(line**2, axis=1), 1e-30)
    share = np.einsum("pbi,bi->pb", points[:, None] - start, line) / squared
    nearest = start + np.clip(share, 0, 1)[..., None] * line
    distance = np.linalg.norm(points[:, None] - nearest, axis=-1)
    found = truth["permeability"].values.astype(float)[distance.argmin(axis=1)]
    return np.asarray(np.where(distance.min(axis=1) <= _FARTHEST, found, np.nan))


def free_reach(
    segments: FloatArray,
    own: int,
    normal: Any,
    width: float,
    longest: float = 60.0,
) -> tuple[float, float]:
    """How far a band across one boundary is free of all others.

    Parameters
    ----------
    segments : numpy.ndarray, shape (n, 2, 2)
        Ends of all boundaries: (boundary, end, (x, y)) in µm.
    own : int
        Which of them the band crosses, in its middle.
    normal : array_like, shape (2,)
        Unit vector across it.
    width : float
        Width of the band in µm.
    longest : float
        Where to stop looking, in µm.

    Returns
    -------
    before, after : float
        µm, against and along the normal.

    Examples
    --------
    >>> walls = np.array([[[0, y], [10, y]] for y in (0.0, 20.0, 50.0)])
    >>> free_reach(walls, 1, (0.0, 1.0), 5.0)
    (20.0, 30.0)
    """
    nx, ny = (float(v) for v in normal)
    middle = segments[own].mean(axis=0)
    others = np.delete(segments, own, axis=0) - middle
    near = np.abs(others).min(axis=(1, 2)) < longest + 2 * width
    others = others[near]
    along = others @ np.array([nx, ny])
    across = others @ np.array([-ny, nx])
    # Points along each boundary, half a micrometre apart at the most for boundaries of 50 µm.
    share = np.linspace(0, 1, 101)[:, None]
    a = along[:, 0] + share * (along[:, 1] - along[:, 0])
    within = np.abs(across[:, 0] + share * (across[:, 1] - across[:, 0])) <= width / 2
    before = np.min(-a[within & (a < 0)], initial=longest)
    after = np.min(a[within & (a > 0)], initial=longest)
    return float(before), float(after)


def boundary_segments(truth: xr.Dataset) -> FloatArray:
    """Return the ends of all simulated boundaries, shape (boundary, end, (x, y)), in µm."""
    ends = [[truth[f"x{i}"].values, truth[f"y{i}"].values] for i in (0, 1)]
    return np.asarray(ends, dtype=float).transpose(2, 0, 1)

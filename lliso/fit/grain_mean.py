"""Mean gradient inside the grains of a field of view, and how far the view may be from the rest.

The flux through a field of view asks for the mean of dC/dy over its area. Counts tell the slope of
large grains well and that of small ones hardly at all. So every grain's slope is pulled towards the
common one, by as much as its noise exceeds the scatter between grains, and then weighs with its
area: at high counts this is the mean over the area, at low counts that of least noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lliso._types import FloatArray
from lliso.maps.grains import GRAIN
from lliso.units import UM_PER_CM

if TYPE_CHECKING:
    import xarray as xr

#: scatter of the true slopes of grains over their mean (0.25 in simulated grains of 34 µm, 0.3 in
#: grains of 16 µm, 0.45 where P spreads over orders of magnitude)
GRAIN_SCATTER = 0.3
#: large grains gather flux: their slopes go about as this power of their diameter (simulated)
_SIZE_POWER = 0.05
#: boundaries whose normal is farther than this from y (cosine) say little of the drop along y
_ACROSS = 0.3


@dataclass(frozen=True)
class GrainMean:
    """Mean of dC/dy over the area of a map, per µm, and its relative error.

    Attributes
    ----------
    slope : float
        1/µm.
    relative_std : float
        From the counts, and from the grains whose slope could not be measured. How typical the
        view is of the specimen is not in it, see `drop_scatter`.
    weight : array, shape (grain,)
        What each grain's measured slope contributes; 0 where there is none.
    """

    slope: float
    relative_std: float
    weight: FloatArray


def area_mean(slopes: xr.Dataset, model: FloatArray) -> GrainMean:
    """Mean of dC/dy over the area of a map from the slopes of its grains.

    Parameters
    ----------
    slopes : xarray.Dataset
        Of `lliso.fit.network.grain_slopes`.
    model : array, shape (grain,)
        How the slope varies over the map, for instance with y, in any unit.

    Returns
    -------
    GrainMean

    Notes
    -----
    With s_i = ρ m_i + noise + scatter, the common ρ is the weighted mean (generalised least
    squares) and every s_i its best linear prediction (C. R. Henderson, Biometrics 31 (1975) 423).

    Examples
    --------
    >>> import xarray as xr
    >>> found = xr.Dataset({"slope_y": ("grain", [-1.0, -3.0, np.nan]),
    ...     "slope_y_std": ("grain", [1e-6, 1e-6, np.nan]), "area": ("grain", [3.0, 1.0, 0.0])})
    >>> round(area_mean(found, np.ones(3)).slope * 1e4, 3)
    -1.5
    """
    slope, std = (slopes[k].values / UM_PER_CM for k in ("slope_y", "slope_y_std"))
    share = slopes["area"].values / slopes["area"].values.sum()
    shape = np.abs(model) * share ** (0.5 * _SIZE_POWER)
    shape = shape / np.sum(share * shape)
    good = np.isfinite(slope) & (std > 0)
    s, e, m = slope[good], std[good], shape[good]
    scatter = GRAIN_SCATTER * rough_mean(s, e)
    own = scatter**2 / (e**2 + scatter**2)
    common = m / (e**2 + scatter**2)
    weight = share[good] * own
    weight = weight + (1.0 - np.sum(weight * m)) * common / np.sum(common * m)
    mean = float(np.sum(weight * s))
    # What is missing for the mean over the area: noise, and grains pulled to the common slope.
    absent = float(np.sum(share[~good] ** 2))
    variance = np.sum((weight * e) ** 2)
    pulled = float(np.sum((weight - share[good]) ** 2)) + absent
    # Seen in the map itself, but no less than usual: for the error, not for the weights.
    precise = (e**2 + scatter**2) ** -2.0
    seen = float(np.sum(precise * ((s - mean * m) ** 2 - e**2)) / precise.sum())
    variance += max(seen, scatter**2) * pulled
    out = np.zeros(len(slope))
    out[good] = weight
    return GrainMean(mean, float(np.sqrt(variance)) / max(abs(mean), 1e-300), out)


def rough_mean(slope: FloatArray, std: FloatArray) -> float:
    """Size of the slopes of grains, no less than its error; for weights that counts do not set."""
    precision = std**-2.0
    known = float(precision.sum())
    return float(max(abs(float(np.sum(precision * slope))) / known, known**-0.5))


def drop_scatter(network: xr.Dataset, slopes: xr.Dataset) -> tuple[float, float]:
    """Scatter of the drop of C at boundaries, and the error of its mean as a sample; relative.

    A field of view holds so many boundaries; with their steps spread as they are, other views of
    the same specimen would conduct more or less by about this error. It grows where P is spread
    over orders of magnitude, and falls with the square root of the area.

    Parameters
    ----------
    network, slopes : xarray.Dataset
        Of `lliso.maps.grains.boundary_network` and `lliso.fit.network.grain_slopes`.

    Returns
    -------
    scatter, error : float
        Standard deviation of step / n_y, boundaries weighing with their extent across y, and the
        standard error of its mean, both over that mean and without the noise; 1 where they cannot
        be told.
    """
    names = slopes[GRAIN].values
    a, b = (np.searchsorted(names, network[k].values) for k in ("grain1", "grain2"))
    ny, length = network["ny"].values, network["length"].values
    mean = slopes.attrs["mean_slope_per_cm"] / UM_PER_CM
    # Inside a grain the mean slope is good enough: it changes C by far less than a step does.
    level = slopes["fraction"].values - mean * slopes["centre_y"].values
    variance = slopes["fraction_std"].values ** 2
    good = np.isfinite(level[a] + level[b]) & (np.abs(ny) > _ACROSS)
    if not good.any():
        return 1.0, 1.0
    drop = (level[b] - level[a])[good] / ny[good]
    noise = (variance[a] + variance[b])[good] / ny[good] ** 2
    weight = (length * np.abs(ny))[good]
    weight = weight / weight.sum()
    typical = float(np.sum(weight * drop))
    if typical == 0:
        return 1.0, 1.0
    excess = (drop - typical) ** 2 - noise
    both = [max(float(np.sum(w * excess)), 0.0) for w in (weight, weight**2)]
    scatter, error = np.minimum(np.sqrt(both) / abs(typical), 1.0)
    return float(scatter), float(error)

"""Grain size from a segmented image or an orientation map, with its errors.

Three means that are often taken for each other: over grains (each counts once), over area (each
by its area; what a random point sees), and over intercepts (what a random line sees; the one that
enters eq. (6) of J. Mater. Chem. A 12 (2024) 731, l = (4/π) L̄ in a plane). Grains cut by the
image's edge have no size; a large grain is cut more often than a small one, so those left are
weighted by the inverse of their chance to lie inside (Miles 1974; Lantuéjoul 1980).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from lliso._types import BoolArray, FloatArray, IntArray
from lliso.diffusion.orientations import cubic_misorientation_angle, quaternions_from_euler
from lliso.maps.grains import mean_linear_intercept
from lliso.schema import X, Y, pixel_size


@dataclass(frozen=True)
class GrainSize:
    """Grain size of an image, µm. Diameters are those of the circle of a grain's area.

    Parameters
    ----------
    n_grains, n_whole : int
        Grains in the image, and those that its edge does not cut.
    number_mean, number_mean_std : float
        Mean diameter over grains and its standard error.
    spread : float
        Standard deviation of the diameters: a property of the material, not an error.
    area_mean, area_mean_std : float
        Mean diameter weighted by area, and its standard error.
    intercept, intercept_std : float
        Mean linear intercept L̄ and its standard error.

    Examples
    --------
    >>> import xarray as xr
    >>> n = np.arange(60) // 10
    >>> squares = xr.DataArray(10 * n[:, None] + n[None, :], dims=("y", "x"),
    ...                        coords={"y": np.arange(60.0), "x": np.arange(60.0)})
    >>> size = grain_size(squares)
    >>> size.n_whole, round(size.number_mean, 2), size.spread, round(size.intercept, 1)
    (16, 11.28, 0.0, 11.8)
    """

    n_grains: int
    n_whole: int
    number_mean: float
    number_mean_std: float
    spread: float
    area_mean: float
    area_mean_std: float
    intercept: float
    intercept_std: float

    def __str__(self) -> str:
        """Say it in a sentence."""
        return (
            f"{self.n_grains} grains, {self.n_whole} of them whole: "
            f"diameter {self.number_mean:.3g} ± {self.number_mean_std:.2g} µm over grains "
            f"(spread {self.spread:.3g} µm), "
            f"{self.area_mean:.3g} ± {self.area_mean_std:.2g} µm over area; "
            f"mean linear intercept {self.intercept:.3g} ± {self.intercept_std:.2g} µm"
        )


def grain_size(labels: xr.DataArray | xr.Dataset) -> GrainSize:
    """Means of the grain size with their standard errors.

    Parameters
    ----------
    labels : xarray.DataArray (y, x), or a Dataset with ``label``
        Grain of every pixel; negative where it is not known. ``x`` and ``y`` in µm.

    Returns
    -------
    GrainSize
        Means over grains are NaN where no grain is whole, errors where there are less than two.

    Raises
    ------
    ValueError
        If the labels are not whole numbers on a map with coordinates, or hold no grain.
    """
    image = labels["label"] if isinstance(labels, xr.Dataset) else labels
    value = image.transpose(Y, X).values
    if value.dtype.kind not in "iu":
        raise ValueError(f"labels must be whole numbers, got {value.dtype}")
    pitch = pixel_size(image.to_dataset(name="label"))
    names, compact = np.unique(np.where(value < 0, -1, value), return_inverse=True)
    compact = compact.reshape(value.shape) - int(names[0] < 0)
    n = int(compact.max()) + 1
    if n < 1:
        raise ValueError("labels must hold a grain, got negative ones only")
    area = np.bincount(compact[compact >= 0], minlength=n) * pitch[0] * pitch[1]
    whole, weight = _whole_grains(compact, n)
    d, w = 2.0 * np.sqrt(area[whole] / np.pi), weight[whole]
    mean, std = _weighted_mean(d, w)
    over_area, over_area_std = _weighted_mean(d, w * area[whole])
    spread = float(np.sqrt(np.sum(w * (d - mean) ** 2) / w.sum())) if d.size else float("nan")
    intercept, intercept_std = mean_linear_intercept(compact, pitch)
    return GrainSize(
        n, int(whole.sum()), mean, std, spread, over_area, over_area_std, intercept, intercept_std
    )


def _whole_grains(label: IntArray, n: int) -> tuple[BoolArray, FloatArray]:
    """Grains that no edge cuts, and the inverse of the chance that their box lies inside."""
    rim = np.unique(np.concatenate([label[0], label[-1], label[:, 0], label[:, -1]]))
    whole = np.ones(n, dtype=bool)
    whole[rim[rim >= 0]] = False
    boxes = ndimage.find_objects(label + 1, max_label=n)
    size = np.array([[s.stop - s.start for s in box] if box else [0, 0] for box in boxes])
    room = np.asarray(label.shape) - size + 1  # places where a grain of this box is not cut
    chance = np.maximum(room - 2, 1) / (np.asarray(label.shape) - 2)
    return whole & (size.min(axis=1) > 0), 1.0 / np.maximum(chance.prod(axis=1), 1e-6)


def _weighted_mean(value: FloatArray, weight: FloatArray) -> tuple[float, float]:
    """Mean, and its standard error from the scatter of its terms."""
    if value.size == 0:
        return float("nan"), float("nan")
    mean = float(np.sum(weight * value) / weight.sum())
    n = value.size
    if n < 2:
        return mean, float("nan")
    terms = weight * (value - mean) / weight.sum()
    return mean, float(np.sqrt(np.sum(terms**2) * n / (n - 1)))


def grains_of_orientations(
    ebsd: xr.Dataset, *, threshold: float = 10.0, smallest: int = 4
) -> xr.DataArray:
    """Join neighbouring points of nearly one orientation to grains.

    Parameters
    ----------
    ebsd : xarray.Dataset
        Of `lliso.io.ebsd.read_ebsd`.
    threshold : float
        Misorientation in degrees above which two neighbours belong to two grains. The crystals
        are taken as cubic, as the pseudocubic cell of a perovskite is: of the 24 equivalent turns
        the smallest counts. The 90° domains inside LLTO grains are then no boundaries.
    smallest : int
        Grains of fewer points, and points that were not indexed, take the grain of the nearest
        point that has one.

    Returns
    -------
    xarray.DataArray, shape (y, x)
        Grain of every point, 0, 1, …

    Raises
    ------
    ValueError
        If the threshold is not between 0 and 62.8°, or nothing is left.
    """
    if not 0 < threshold < 62.8:
        raise ValueError(f"threshold must be between 0 and 62.8 degrees, got {threshold:g}")
    euler = ebsd["euler"].transpose("angle", Y, X).values
    phase = ebsd["phase"].transpose(Y, X).values
    indexed = (phase > 0) & np.isfinite(euler).all(axis=0)
    q = quaternions_from_euler(np.where(indexed, euler, 0.0)).reshape(-1, 4)
    index = np.arange(phase.size).reshape(phase.shape)
    links = []
    for axis in (0, 1):
        a, b = (np.take(index, r, axis).ravel() for r in _neighbours(phase.shape[axis]))
        both = indexed.ravel()[a] & indexed.ravel()[b] & (phase.ravel()[a] == phase.ravel()[b])
        a, b = a[both], b[both]
        near = cubic_misorientation_angle(q[a], q[b]) < threshold
        links.append((a[near], b[near]))
    one, two = (np.concatenate(k) for k in zip(*links, strict=True))
    graph = coo_matrix((np.ones(one.size), (one, two)), shape=(phase.size,) * 2)
    grain = connected_components(graph, directed=False)[1]
    size = np.bincount(grain)
    kept = (size[grain] >= smallest) & indexed.ravel()
    if not kept.any():
        raise ValueError(
            f"there must be a grain of {smallest} points, got none; is the file of this phase?"
        )
    nearest = ndimage.distance_transform_edt(
        ~kept.reshape(phase.shape), return_distances=False, return_indices=True
    )
    filled = grain.reshape(phase.shape)[tuple(nearest)]
    label = np.unique(filled, return_inverse=True)[1].reshape(phase.shape)
    return xr.DataArray(
        label,
        dims=(Y, X),
        coords={k: ebsd[k] for k in (Y, X)},
        name="label",
        attrs={"threshold_deg": threshold},
    )


def _neighbours(n: int) -> tuple[IntArray, IntArray]:
    return np.arange(n - 1), np.arange(1, n)

"""Grains from counts: where C steps, and what a microscope image or traces add.

The map is modelled as grains in each of which C is nearly a plane. The watershed of the step
significance gives small pieces; two neighbours are merged as long as the counts do not support a
step between them (a likelihood ratio with the planes' coefficients integrated out). Every boundary
that is left is then judged by the counts beside it alone, with a prior on the gradient that also
allows for a map without steps: this is its probability.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import ndimage

from lliso._types import FloatArray, IntArray
from lliso.maps.evidence import Evidence
from lliso.maps.grains import boundary_network
from lliso.maps.proposals import (
    evidence_of_lines,
    small_grains,
    step_significance,
    weighted_fractions,
)
from lliso.schema import X, Y, pixel_size

if TYPE_CHECKING:
    import xarray as xr

#: in-grain gradient over the macroscopic one, mean and spread, while pieces are merged: the steps
#: carry most of the profile of a map that is worth segmenting
_MERGING_SLOPE = (0.13, 0.04)
#: and while a boundary is judged: a map without steps has its whole gradient inside the grains
_JUDGING_SLOPE = (0.3, 0.3)
#: how far to each side a boundary is judged, in µm
_REACH = 14.0
#: significance at which a boundary is as likely there as not, and the width of the turn: fitted to
#: the share of right ones in simulated maps of 16 and 34 µm grains at 600 counts a pixel
_EVEN, _TURN = 2.6, 0.95
#: attributes of the map that its grains carry on
_KEPT = ("map_id", "stage", "simulated")
#: price of a boundary in natural logarithms, per µm and as such
_COST, _START = 0.1, 2.0
#: significance that an image or traces of unit evidence per µm add to the ridges
_RIDGE_OF_LINES = 6.0


def _side_sums(
    label: IntArray, lines: FloatArray, pitch: tuple[float, float]
) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Length of the side of every pair of neighbours in µm, and the evidence of lines along it."""
    rows = []
    for axis, size in ((0, pitch[0]), (1, pitch[1])):
        a, b = (label[:-1], label[1:]) if axis == 0 else (label[:, :-1], label[:, 1:])
        across = _across(lines, axis)
        i, j = np.nonzero(a != b)
        # π/4: what the two directions of pixel sides overstate the length of a line of any angle.
        length = np.full(i.size, size * np.pi / 4)
        rows.append((a[i, j], b[i, j], length, length * across[i, j]))
    one, two, length, value = (np.concatenate(r) for r in zip(*rows, strict=True))
    low, high = np.minimum(one, two), np.maximum(one, two)
    pair, index = np.unique(np.stack([low, high]), axis=1, return_inverse=True)
    index = index.ravel()
    worth = [np.asarray(np.bincount(index, v), dtype=float) for v in (length, value)]
    return pair[0], pair[1], worth[0], worth[1]


def _across(lines: FloatArray, axis: int, off: int = 3) -> FloatArray:
    """Evidence of lines for the sides between pixels along `axis`.

    A boundary that meets a line at an angle must not be paid for crossing it: what counts is how
    far the line rises above its surroundings on both sides of the pixel side.
    """
    e = np.moveaxis(lines, axis, 0)
    n = len(e)
    at = 0.5 * (e[:-1] + e[1:])
    before = e[np.maximum(np.arange(n - 1) - off, 0)]
    after = e[np.minimum(np.arange(n - 1) + 1 + off, n - 1)]
    rise = np.clip(at - 0.5 * (before + after), 0.0, None)
    return np.moveaxis(np.where(at > 0, np.minimum(at, rise), at), 0, axis)


def region_sums(label: IntArray, evidence: Evidence) -> FloatArray:
    """Sum the moments over the regions 0, 1, ..., shape (map, region, 9)."""
    flat = label.ravel()
    n = int(flat.max()) + 1
    return np.stack(
        [
            np.stack([np.bincount(flat, m[:, k], minlength=n) for k in range(9)], axis=1)
            for m in evidence.moments
        ]
    )


def merged(label: IntArray, evidence: Evidence, pitch: tuple[float, float]) -> IntArray:
    """Merge neighbours, the least supported step first, until every step is worth its price.

    Parameters
    ----------
    label : int array, shape (y, x)
        Labels 0, 1, ...
    evidence : Evidence
    pitch : tuple of float
        ``(dx, dy)`` in µm.

    Returns
    -------
    int array, shape (y, x)
    """
    sums = region_sums(label, evidence)
    one, two, length, lines = _side_sums(label, evidence.lines.reshape(label.shape), pitch)
    worth = lines - evidence.cost * length
    sides: dict[int, dict[int, float]] = {k: {} for k in range(sums.shape[1])}
    for a, b, v in zip(one.tolist(), two.tolist(), worth.tolist(), strict=True):
        sides[a][b] = sides[b][a] = v
    value = evidence.gain(sums[:, one], sums[:, two]) + worth - evidence.start
    age = np.zeros(sums.shape[1], dtype=np.int64)
    owner = np.arange(sums.shape[1])
    queue = [(v, a, b, 0, 0) for v, a, b in zip(value.tolist(), one, two, strict=True) if v < 0]
    heapq.heapify(queue)
    while queue:
        _, a, b, age_a, age_b = heapq.heappop(queue)
        if age[a] != age_a or age[b] != age_b:
            continue  # one of them has changed since
        sums[:, a] += sums[:, b]
        owner[b] = a
        age[a] += 1
        age[b] = -1
        for other, v in sides.pop(int(b)).items():
            del sides[other][int(b)]
            if other != a:
                sides[int(a)][other] = sides[other][int(a)] = sides[int(a)].get(other, 0.0) + v
        near = np.array(list(sides[int(a)]), dtype=np.int64)
        if near.size == 0:
            continue
        value = evidence.gain(np.broadcast_to(sums[:, [a]], sums[:, near].shape), sums[:, near])
        value = value + np.array(list(sides[int(a)].values())) - evidence.start
        for v, other in zip(value, near, strict=True):
            if v < 0:
                heapq.heappush(queue, (float(v), a, other, age[a], age[other]))
    while np.any(owner != owner[owner]):
        owner = owner[owner]
    return np.asarray(np.unique(owner[label], return_inverse=True)[1].reshape(label.shape))


def local_significance(
    network: xr.Dataset, evidence: Evidence, reach: float = _REACH
) -> FloatArray:
    """Significance of the step across every boundary of a network, from the pixels beside it.

    Parameters
    ----------
    network : xarray.Dataset
        Of `lliso.maps.grains.boundary_network`, on the pixels of `evidence`.
    evidence : Evidence
    reach : float
        How far to each side pixels of the two grains are taken, in µm.

    Returns
    -------
    array, shape (boundary,)
        Step over its error, the maps weighed with what each is expected to give, with the prior
        on the gradient; 0 where a side holds too few pixels.
    """
    label = network["label"].values
    x, y = evidence.x.reshape(label.shape)[0], evidence.y.reshape(label.shape)[:, 0]
    names = ("x", "y", "nx", "ny", "length", "grain1", "grain2")
    columns = [network[k].values for k in names]
    found = np.zeros(network.sizes["boundary"])
    for k, (cx, cy, nx, ny, length, one, two) in enumerate(zip(*columns, strict=True)):
        corner = np.hypot(reach, length / 2)
        i0, i1 = np.searchsorted(y, [cy - corner, cy + corner])
        j0, j1 = np.searchsorted(x, [cx - corner, cx + corner])
        dx, dy = x[None, j0:j1] - cx, y[i0:i1, None] - cy
        nu, tau = dx * nx + dy * ny, dy * nx - dx * ny
        part = label[i0:i1, j0:j1]
        use = ((part == one) | (part == two)) & (np.abs(nu) <= reach) & (np.abs(nu) > 0.7)
        use &= np.abs(tau) <= length / 2
        n, at = nu[use], np.flatnonzero(use)
        if min(np.count_nonzero(n < 0), np.count_nonzero(n > 0)) < 4:
            continue
        number = (np.arange(i0, i1)[:, None] * x.size + np.arange(j0, j1)).ravel()[at]
        inside = np.stack([(dx + 0 * dy)[use], (dy + 0 * dx)[use]])
        found[k] = _significance(evidence, number, np.sign(n), inside)
    return found


def _significance(
    evidence: Evidence, number: IntArray, side: FloatArray, inside: FloatArray
) -> float:
    terms = np.concatenate([np.ones((1, side.size)), 0.5 * side[None], inside])
    total = norm = 0.0
    for m in range(len(evidence.fraction)):
        w = evidence.weight[m, number]
        c = evidence.fraction[m, number] - evidence.slope[m] @ inside
        normal = (terms * w) @ terms.T
        normal[[2, 3], [2, 3]] += 1.0 / evidence.slope_std[m] ** 2
        normal[[0, 1], [0, 1]] += 1e-9 * (w.sum() + 1e-300)
        inverse = np.linalg.inv(normal)
        step = float((inverse @ (terms @ (w * c)))[1])
        # The steps of one boundary have one sign at all stages and go with the gradient: so much
        # significance each map is expected to give, and with that it is weighed.
        share = float(evidence.slope_std[m]) / float(np.sqrt(inverse[1, 1]))
        total += share * step / float(np.sqrt(inverse[1, 1]))
        norm += share**2
    return abs(total) / float(np.sqrt(norm))


def segment_grains(
    maps: xr.Dataset | Sequence[xr.Dataset],
    *,
    optical: xr.DataArray | None = None,
    lines: Literal["dark", "bright"] = "dark",
    traces: Iterable[Any] | None = None,
) -> xr.Dataset:
    """Find grains on one or several maps of one place.

    Parameters
    ----------
    maps : xarray.Dataset or sequence of xarray.Dataset
        Maps with ⁶Li and ⁷Li; stages of the same place add their evidence.
    optical : xarray.DataArray, optional
        Microscope image registered to the map: grey values with ``x`` and ``y`` in µm of the map.
    lines : {"dark", "bright"}
        How boundaries look in the image.
    traces : iterable of array_like, shape (point, 2), optional
        Boundaries that a person drew: polylines (x, y) in µm.

    Returns
    -------
    xarray.Dataset
        ``label(y, x)``, and per boundary piece (along ``piece``) its place ``piece_x``,
        ``piece_y``, ``piece_significance`` (step over its error) and ``piece_probability``, which
        `lliso.maps.grains.boundary_network` carries on. Attribute ``found_from``: "counts", or
        what helped them.

    Raises
    ------
    ValueError
        If a species is missing, maps differ in their pixels, or image and map have no common area.

    Warns
    -----
    LlisoWarning
        If the image covers less than 90 % of the map.

    Notes
    -----
    Boundaries along the flux have no step: counts alone do not show them, and grains side by side
    come out as one. Only an image or traces can tell.

    Examples
    --------
    >>> from lliso.schema import make_map
    >>> rng = np.random.default_rng(2)
    >>> c = np.where(np.arange(40) < 20, 0.45, 0.40)[:, None] + np.zeros(40)
    >>> n6 = rng.poisson(600 * c)
    >>> m = make_map([n6, rng.poisson(600 * (1 - c))], ["6Li", "7Li"],
    ...              x=np.arange(40.0), y=np.arange(40.0))
    >>> label = segment_grains(m).label.values
    >>> bool(label[5, 5] == label[15, 35]), bool(label[5, 5] == label[30, 5])
    (True, False)
    """
    import xarray as xr

    several = [maps] if isinstance(maps, xr.Dataset) else list(maps)
    fraction, weight = weighted_fractions(several)
    drawn = evidence_of_lines(several, optical, traces, lines)
    merging, judging = _evidence(several, fraction, weight, drawn)
    ridges = step_significance(fraction, weight)
    pieces = small_grains(ridges + _RIDGE_OF_LINES * np.maximum(drawn, 0.0))
    pitch = pixel_size(several[0])
    label = merged(pieces, merging, pitch)
    found = xr.Dataset(
        {"label": ((Y, X), label, {"long_name": "grain"})},
        coords={X: several[0][X], Y: several[0][Y]},
        attrs={k: several[0].attrs[k] for k in _KEPT if k in several[0].attrs},
    )
    helped = [n for n, v in (("image", optical), ("traces", traces)) if v is not None]
    found.attrs["found_from"] = " and ".join(["counts", *helped])
    if label.max() == 0:
        return found
    return _with_probabilities(found, judging)


def _with_probabilities(found: xr.Dataset, judging: Evidence) -> xr.Dataset:
    from scipy.special import expit

    try:
        network = boundary_network(found)
    except ValueError:  # no boundary is long enough
        return found
    significance = local_significance(network, judging)
    column = np.rint(np.interp(network["x"], found[X], np.arange(found.sizes[X]))).astype(np.intp)
    row = np.rint(np.interp(network["y"], found[Y], np.arange(found.sizes[Y]))).astype(np.intp)
    # What lines say of a boundary: their evidence along its length, at its middle.
    drawn = judging.lines.reshape(found["label"].shape)[row, column] * network["length"].values
    probability = expit((significance - _EVEN) / _TURN + drawn)
    return found.assign(
        piece_x=("piece", network["x"].values, {"units": "um"}),
        piece_y=("piece", network["y"].values, {"units": "um"}),
        piece_significance=("piece", significance),
        piece_probability=("piece", probability),
    )


def _evidence(
    maps: Sequence[xr.Dataset], fraction: FloatArray, weight: FloatArray, lines: FloatArray
) -> tuple[Evidence, Evidence]:
    """Evidence for merging and for judging, with priors taken from the map's own gradient."""
    x, y = np.meshgrid(maps[0][X].values.astype(float), maps[0][Y].values.astype(float))
    terms = np.stack([np.ones(x.size), x.ravel() - x.mean(), y.ravel() - y.mean()], axis=1)
    slopes, levels = [], []
    for f, w in zip(fraction, weight, strict=True):
        normal = (terms * w.reshape(-1, 1)).T @ terms
        value = np.linalg.solve(normal, terms.T @ (w * f).ravel())
        rest = np.where(w > 0, f - (terms @ value).reshape(f.shape), 0.0)
        slopes.append(value[1:])
        # A Gaussian of 2 pixels leaves 1/(16 π) of the variance of the counting noise.
        noise = 1.0 / float(w[w > 0].mean())
        structure = float(ndimage.gaussian_filter(rest, 2).var()) - noise / (16 * np.pi)
        levels.append(float(np.sqrt(max(structure, 4e-4 * noise))))
    macro = np.array(slopes)
    size = np.maximum(np.hypot(*macro.T), np.array(levels) / max(np.ptp(x), np.ptp(y)))
    merging = Evidence(
        fraction.reshape(len(maps), -1),
        weight.reshape(len(maps), -1),
        x.ravel(),
        y.ravel(),
        np.array(levels),
        _MERGING_SLOPE[0] * macro,
        _MERGING_SLOPE[1] * size,
        lines.ravel(),
        _COST,
        _START,
    )
    mean, spread = _JUDGING_SLOPE
    return merging, replace(merging, slope=mean * macro, slope_std=spread * size)

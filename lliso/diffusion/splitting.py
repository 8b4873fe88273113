"""Cutting the grains of a structure along a line, for the liquid level."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from lliso._types import FloatArray, IntArray
from lliso.diffusion._power import merge_points, ring
from lliso.diffusion.structures import Structure, assembled


def split_at(structure: Structure, y: float) -> Structure:
    """Cut the grains along the line at `y` without putting a resistance there.

    Used for the liquid level: both parts of a grain stay connected (P = inf between them), but a
    mesh of the parts has nodes on the line. `parent` keeps the grain each part belongs to.

    Examples
    --------
    >>> from lliso.diffusion.structures import laminate
    >>> s = split_at(laminate((0, 0, 10, 10), [5.0]), 2.0)
    >>> s.n_grains, s.parent.tolist(), s.permeability.tolist()
    (3, [0, 0, 1], [1.0, inf])
    """
    box, v = structure.box, structure.vertices
    side = np.where(np.abs(v[:, 1] - y) < 1e-9 * (box[3] - box[1]), 0, np.sign(v[:, 1] - y))
    cells: list[FloatArray] = []
    parent: list[int] = []
    cuts: list[FloatArray] = []
    for g, cell in enumerate(structure.cells):
        s = side[cell]
        if not ((s > 0).any() and (s < 0).any()):
            cells.append(v[cell])
            parent.append(g)
            continue
        below, above, cut = _cut_polygon(v[cell], s, y)
        cells += [below, above]
        parent += [g, g]
        cuts.append(cut)
    return _from_polygons(structure, cells, np.array(parent), cuts, side, y)


def _cut_polygon(
    p: FloatArray, side: FloatArray, y: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    below, above, cut = [], [], []
    for k in range(len(p)):
        a, b = p[k], p[(k + 1) % len(p)]
        if side[k] <= 0:
            below.append(a)
        if side[k] >= 0:
            above.append(a)
        if side[k] == 0:
            cut.append(a)
        if side[k] * side[(k + 1) % len(p)] < 0:
            low, high = (a, b) if a[1] < b[1] else (b, a)  # one crossing for both neighbours
            at = low + (high - low) * ((y - low[1]) / (high[1] - low[1]))
            at[1] = y
            for part in (below, above, cut):
                part.append(at)
    return np.array(below), np.array(above), np.array(cut)


def _from_polygons(
    old: Structure,
    polygons: list[FloatArray],
    parent: IntArray,
    cuts: list[FloatArray],
    side: FloatArray,
    y: float,
) -> Structure:
    """Join the parts of cut grains, the edges cut with them, and the new edges on the line."""
    count = np.cumsum([0] + [len(p) for p in polygons])
    seg, grains = old.segments, old.grains
    s = side[old.ends]
    crossing = s[:, 0] * s[:, 1] < 0
    parts, P, owners = [seg[~crossing]], [old.permeability[~crossing]], [grains[~crossing]]
    if crossing.any():
        low = np.where((s[crossing, 0] < 0)[:, None], seg[crossing, 0], seg[crossing, 1])
        high = np.where((s[crossing, 0] < 0)[:, None], seg[crossing, 1], seg[crossing, 0])
        at = low + (high - low) * ((y - low[:, 1]) / (high[:, 1] - low[:, 1]))[:, None]
        at[:, 1] = y
        parts += [np.stack([low, at], axis=1), np.stack([at, high], axis=1)]
        P += [old.permeability[crossing]] * 2
        owners += [grains[crossing]] * 2
    parts.append(np.array(cuts).reshape(-1, 2, 2))
    P.append(np.full(len(cuts), np.inf))
    segments = np.concatenate(parts)
    raw = np.concatenate([*polygons, segments.reshape(-1, 2)])
    x0, _, x1, _ = old.box
    vertices, index = merge_points(raw, 1e-8 * max(x1 - x0, old.box[3] - old.box[1]))
    cells = [ring(vertices, np.unique(index[a:b])) for a, b in pairwise(count)]
    # Which part of a cut grain an edge belongs to follows from where its middle lies.
    centre = np.array([vertices[c].mean(axis=0) for c in cells])
    lower = {int(g): k for k, g in enumerate(parent) if centre[k, 1] < y}
    upper = {int(g): k for k, g in enumerate(parent) if centre[k, 1] >= y}
    middle = segments.mean(axis=1)[:, 1]
    known = np.concatenate(owners)
    pairs = [
        [
            lower[int(g)] if (m < y and int(g) in lower) or int(g) not in upper else upper[int(g)]
            for g in pair
        ]
        for pair, m in zip(known, middle, strict=False)
    ]
    split = [g for g in lower if g in upper]
    pairs += [[lower[g], upper[g]] for g in sorted(split)]
    ends = index[count[-1] :].reshape(-1, 2)
    return assembled(
        old.box,
        vertices,
        cells,
        ends,
        np.array(pairs, dtype=np.int64).reshape(-1, 2),
        np.concatenate(P),
        old.diffusivity[parent],
        old.parent[parent],
    )

"""From C on the nodes of a field of view to the fraction that its pixels show.

A pixel sees its surroundings through the point spread function. Near a boundary, which is straight
there, and with C linear on both sides, this adds the other grain's share of the step,

    C(pixel) = C(own grain, at the centre) + Φ(−d/σ) · step at the foot of the perpendicular,

with d the distance to the boundary and σ² the variance of point spread function and pixel.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree
from scipy.special import ndtr

from lliso._types import FloatArray, IntArray
from lliso.diffusion.windowmesh import WindowMesh

#: distance in sigma beyond which nothing of the other grain is seen
_FAR = 4.0
#: points per boundary segment among which the nearest is looked for
_FINE = 8


def pixel_matrix(
    mesh: WindowMesh, points: FloatArray, guard: float, blur: float = 0.0
) -> tuple[csr_matrix, IntArray, FloatArray]:
    """Fraction that pixels show, from C on the nodes.

    Parameters
    ----------
    mesh : WindowMesh
    points : array, shape (pixel, 2)
        Pixel centres inside the field of view.
    guard : float
        Pixels nearer than this to a boundary get an empty row.
    blur : float
        Standard deviation of point spread function and pixel together, along the normal.

    Returns
    -------
    matrix : sparse, shape (pixel, node)
    part : int array, shape (pixel,)
        The piece of grain each pixel lies in.
    distance : array, shape (pixel,)
        Distance to the nearest boundary, accurate near the guard; infinity without boundaries.
    """
    triangle, weights = _located(mesh, points)
    face, share, distance = _nearest_face(mesh, points)
    part = mesh.triangle_part[triangle]
    used = distance >= guard
    rows = [np.repeat(np.flatnonzero(used), 3)]
    cols = [mesh.triangles[triangle[used]].ravel()]
    values = [weights[used].ravel()]
    if blur > 0 and len(mesh.faces):
        near = np.flatnonzero(used & (distance < _FAR * blur))
        step, sign = _step_nodes(mesh, face[near], part[near])
        seen = (ndtr(-distance[near] / blur) * sign)[:, None]
        along = np.column_stack([1.0 - share[near], share[near]])
        rows.append(np.repeat(near, 4))
        cols.append(step.ravel())
        values.append((seen * np.concatenate([-along, along], axis=1)).ravel())
    index = np.concatenate(rows), np.concatenate(cols)
    matrix = csr_matrix((np.concatenate(values), index), shape=(len(points), mesh.n))
    return matrix, part, distance


def _step_nodes(mesh: WindowMesh, face: IntArray, part: IntArray) -> tuple[IntArray, FloatArray]:
    """Nodes of the faces (step: last two minus first two) and which way the step is seen.

    +1 from the first side, -1 from the second, 0 from a third piece of grain at a junction.
    """
    nodes = mesh.faces[face]
    first, second = (mesh.node_part[nodes[:, k]] == part for k in (0, 2))
    return nodes, first.astype(float) - second.astype(float)


def _located(mesh: WindowMesh, points: FloatArray) -> tuple[IntArray, FloatArray]:
    """Triangle of each point and its barycentric weights."""
    corners = mesh.points[mesh.triangles]
    centre = corners.mean(axis=1)
    tree = cKDTree(centre)
    found = np.full(len(points), -1)
    weights = np.zeros((len(points), 3))
    left = np.arange(len(points))
    near = 8
    while len(left) and near <= 4096:
        k = min(near, len(centre))
        _, candidate = tree.query(points[left], k=k)
        candidate = np.asarray(candidate).reshape(len(left), -1)
        a = corners[candidate, 0]
        u, v = corners[candidate, 1] - a, corners[candidate, 2] - a
        d = points[left][:, None] - a
        det = u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]
        wb = (d[..., 0] * v[..., 1] - d[..., 1] * v[..., 0]) / det
        wc = (u[..., 0] * d[..., 1] - u[..., 1] * d[..., 0]) / det
        w = np.stack([1.0 - wb - wc, wb, wc], axis=-1)
        best = w.min(axis=-1).argmax(axis=1)
        pick = np.arange(len(left)), best
        hit = w[pick].min(axis=-1) > -1e-9
        found[left[hit]] = candidate[pick][hit]
        weights[left[hit]] = w[pick][hit]
        left, near = left[~hit], near * 4
    if len(left):
        raise ValueError(
            f"pixels must lie inside the field of view {mesh.outlines.box}, got {len(left)} outside"
        )
    return found, weights


def _nearest_face(mesh: WindowMesh, points: FloatArray) -> tuple[IntArray, FloatArray, FloatArray]:
    """Boundary segment nearest to each point, how far along it, and its distance."""
    if not len(mesh.faces):
        nowhere = np.zeros(len(points))
        return nowhere.astype(np.int64), nowhere, np.full(len(points), np.inf)
    a, b = mesh.points[mesh.faces[:, 0]], mesh.points[mesh.faces[:, 1]]
    t = ((np.arange(_FINE) + 0.5) / _FINE)[None, :, None]
    fine = (a[:, None] + t * (b - a)[:, None]).reshape(-1, 2)
    _, near = cKDTree(fine).query(points)
    face = near // _FINE
    d = b[face] - a[face]
    share = np.clip(((points - a[face]) * d).sum(axis=1) / (d**2).sum(axis=1), 0.0, 1.0)
    return face, share, np.asarray(np.hypot(*(points - a[face] - share[:, None] * d).T))

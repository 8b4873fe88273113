"""Registration: where a point of a microscope image lies on the map.

Pairs of landmarks fix a similarity, an affine or a projective transform by least squares. How far
the landmarks miss each other afterwards says how well they were set; how well the transform is
known anywhere else follows from that by the usual propagation, and is what matters.
`lliso.maps.overlay` lays images and traces onto the map, `lliso.maps.image_edges` moves a
registration onto the edges in C.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from scipy import stats
from scipy.optimize import least_squares

from lliso._types import FloatArray
from lliso.maps.picks import Landmark

Kind = Literal["similarity", "affine", "projective"]

#: parameters of each kind, and what it can undo
KINDS: dict[str, int] = {"similarity": 4, "affine": 6, "projective": 8}
#: probability below which a landmark's miss, left out of the fit, is called an outlier
_OUTLIER = 0.01


@dataclass(frozen=True, eq=False)
class Registration:
    """A transform from the image's µm to the map's µm, and how well it is known.

    Calling it with points ``(n, 2)`` of the image gives points of the map.

    Parameters
    ----------
    kind : {"similarity", "affine", "projective"}
    matrix : array, shape (3, 3)
        Acts on (u, v, 1) of the image; homogeneous coordinates of the map.
    names : tuple of str
        The landmarks.
    image_points, map_points : array, shape (landmark, 2)
        µm.
    shift : tuple of float
        What a refinement added to the transform, (x, y) in µm of the map.

    Examples
    --------
    >>> image = np.array([[0, 0], [10, 0], [10, 10], [0, 10.0]])
    >>> found = fit_registration(2 * image + [5, 1], image)
    >>> found([[1, 1]]).round(9).tolist(), round(found.scale, 9), round(found.rotation, 9)
    ([[7.0, 3.0]], 2.0, 0.0)
    """

    kind: Kind
    matrix: FloatArray
    names: tuple[str, ...]
    image_points: FloatArray
    map_points: FloatArray
    shift: tuple[float, float] = (0.0, 0.0)

    def __call__(self, points: Any) -> FloatArray:
        """Map points of the points (n, 2) of the image, µm."""
        return np.asarray(_applied(self.matrix, points) + np.asarray(self.shift))

    def inverse(self, points: Any) -> FloatArray:
        """Image points of the points (n, 2) of the map, µm."""
        back = np.asarray(np.linalg.inv(self.matrix), dtype=float)
        return _applied(back, np.asarray(points) - np.asarray(self.shift))

    @property
    def scale(self) -> float:
        """Map length over image length in the middle of the landmarks."""
        return float(np.sqrt(abs(np.linalg.det(self._slope()))))

    @property
    def rotation(self) -> float:
        """Angle in degrees by which the image is turned, x towards y."""
        a = self._slope()
        sign = 1.0 if np.linalg.det(a) > 0 else -1.0
        return float(np.degrees(np.arctan2(a[1, 0] - sign * a[0, 1], a[0, 0] + sign * a[1, 1])))

    @property
    def residuals(self) -> FloatArray:
        """Landmarks of the map minus those of the image carried over, shape (landmark, 2), µm."""
        return np.asarray(self.map_points - _applied(self.matrix, self.image_points))

    @property
    def redundancy(self) -> int:
        """Coordinates given beyond those that the transform needs."""
        return self.map_points.size - KINDS[self.kind]

    @cached_property
    def point_std(self) -> float:
        """Standard deviation of one coordinate of one landmark, µm; NaN without redundancy."""
        if not self.redundancy:
            return float("nan")
        return float(np.sqrt(np.sum(self.residuals**2) / self.redundancy))

    @cached_property
    def left_out(self) -> FloatArray:
        """How far each landmark is from where the others put it, µm; NaN if they do not suffice."""
        n = len(self.names)
        out = np.full(n, np.nan)
        for k in range(n):
            rest = np.arange(n) != k
            if 2 * (n - 1) < KINDS[self.kind]:
                continue
            try:
                found = fit_registration(
                    self.map_points[rest], self.image_points[rest], kind=self.kind
                )
            except ValueError:
                continue  # the others lie on a line
            out[k] = np.hypot(*(self.map_points[k] - found(self.image_points[k : k + 1])[0]))
        return out

    def position_std(self, points: Any) -> FloatArray:
        """Return by how much (1 σ, µm) the place of points (n, 2) of the image is uncertain, (n,).

        Root of the sum over x and y; from the scatter of the landmarks, so NaN without redundancy.
        It grows away from the landmarks.
        """
        sensitivity = _sensitivity(self.kind, self.matrix, self.image_points)
        covariance = np.linalg.pinv(sensitivity.T @ sensitivity) * self.point_std**2
        at = _sensitivity(self.kind, self.matrix, np.atleast_2d(np.asarray(points, dtype=float)))
        variance = np.einsum("ij,jk,ik->i", at, covariance, at)
        return np.asarray(np.sqrt(variance.reshape(-1, 2).sum(axis=1)))

    @property
    def flags(self) -> tuple[str, ...]:
        """Reasons for care.

        ``no_redundancy`` (the residuals are 0 whatever the landmarks: they say nothing),
        ``outlier:NAME`` (a landmark that the others contradict), ``mirrored`` (the image must be
        flipped to fit), ``uneven_scale`` (an affine stretches one way by over 5 % more than the
        other: with one microscope and one map this is mostly a wrong landmark).
        """
        out = [] if self.redundancy else ["no_redundancy"]
        out += [f"outlier:{name}" for name in self._outliers()]
        sizes = np.linalg.svd(self._slope(), compute_uv=False)
        if np.linalg.det(self._slope()) < 0:
            out.append("mirrored")
        if sizes[0] > 1.05 * sizes[1]:
            out.append("uneven_scale")
        return tuple(out)

    def _outliers(self) -> list[str]:
        """Landmarks whose miss stands out against that of the others fitted without them."""
        n, dof = len(self.names), self.redundancy - 2
        if dof < 2:
            return []
        out = []
        for k in range(n):
            rest = np.arange(n) != k
            try:
                other = fit_registration(
                    self.map_points[rest], self.image_points[rest], kind=self.kind
                )
            except ValueError:
                continue
            miss = self.map_points[k] - other(self.image_points[k : k + 1])[0]
            spread = other.point_std**2 + 0.5 * float(
                other.position_std(self.image_points[k : k + 1])[0] ** 2
            )
            f = float(miss @ miss) / (2.0 * max(spread, 1e-12))
            if n * stats.f.sf(f, 2, dof) < _OUTLIER:
                out.append(self.names[k])
        return out

    def _slope(self) -> FloatArray:
        """Differentiate the transform in the middle of the landmarks, shape (2, 2)."""
        middle = self.image_points.mean(axis=0)
        h = 1e-3 * max(float(np.ptp(self.image_points)), 1e-9)
        ahead = _applied(self.matrix, middle + h * np.eye(2))
        behind = _applied(self.matrix, middle - h * np.eye(2))
        return np.asarray((ahead - behind).T / (2.0 * h))

    def moved(self, dx: float, dy: float) -> Registration:
        """Return it with a further shift on the map, µm."""
        return replace(self, shift=(self.shift[0] + dx, self.shift[1] + dy))

    def record(self) -> dict[str, Any]:
        """Return what a file should keep: plain numbers and text, µm."""
        return {
            "kind": self.kind,
            "matrix": self.matrix.tolist(),
            "shift_um": list(self.shift),
            "landmarks": list(self.names),
            "residual_rms_um": float(np.sqrt(np.mean(np.sum(self.residuals**2, axis=1)))),
            "landmark_std_um": self.point_std,
            "flags": list(self.flags),
        }


def fit_registration(
    map_points: Iterable[Landmark] | Any,
    image_points: Any = None,
    *,
    kind: Kind = "similarity",
    names: Sequence[str] | None = None,
) -> Registration:
    """Fit the transform that carries an image's landmarks onto those of the map.

    Parameters
    ----------
    map_points : landmarks, or array_like of shape (landmark, 2)
        The `landmarks` of picks, or points of the map in µm.
    image_points : array_like, shape (landmark, 2), optional
        The same points in the image, µm (or any unit: the scale takes it up).
    kind : {"similarity", "affine", "projective"}
        Similarity (turn, one scale, shift; two landmarks at least) for a microscope that looks
        straight down; affine (three) where x and y have different scales or the raster is
        sheared; projective (four) for a tilted specimen, as in EBSD. More landmarks than needed
        are what makes errors visible.
    names : sequence of str, optional

    Returns
    -------
    Registration

    Raises
    ------
    ValueError
        If landmarks are too few for the kind, coincide, or lie on a line where they must not.

    Examples
    --------
    >>> from lliso.maps.picks import Landmark
    >>> pairs = [Landmark(name=n, map_point=p, image_point=q) for n, p, q in
    ...          [("a", (0, 0), (0, 0)), ("b", (0, 10), (10, 0)), ("c", (-10, 0), (0, 10))]]
    >>> round(fit_registration(pairs).rotation, 6)
    90.0
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    if image_points is None:
        landmarks: list[Landmark] = list(map_points)
        names = [mark.name for mark in landmarks]
        map_points = [mark.map_point for mark in landmarks]
        image_points = [mark.image_point for mark in landmarks]
    there, here = (
        np.array(list(p), dtype=float).reshape(-1, 2) for p in (map_points, image_points)
    )
    if len(there) != len(here):
        raise ValueError(f"landmarks must come in pairs, got {len(there)} and {len(here)} points")
    if not (np.isfinite(there).all() and np.isfinite(here).all()):
        raise ValueError("landmarks must be finite, got NaN or inf")
    if 2 * len(here) < KINDS[kind]:
        raise ValueError(
            f"{_article(kind)} transform needs {KINDS[kind] // 2} landmarks, got {len(here)}"
        )
    _check_spread(kind, here, "image")
    _check_spread(kind, there, "map")
    matrix = _fitted(kind, here, there)
    labels = tuple(names) if names is not None else tuple(str(k + 1) for k in range(len(here)))
    return Registration(kind, matrix, labels, here, there)


def _article(kind: str) -> str:
    return f"an {kind}" if kind == "affine" else f"a {kind}"


def _check_spread(kind: Kind, points: FloatArray, where: str) -> None:
    centred = points - points.mean(axis=0)
    sizes = np.linalg.svd(centred, compute_uv=False)
    if sizes[0] <= 1e-9 * (1.0 + float(np.abs(points).max())):
        raise ValueError(f"landmarks must lie apart, got one point in the {where}")
    if kind != "similarity" and sizes[1] < 1e-6 * sizes[0]:
        raise ValueError(
            f"landmarks of {_article(kind)} transform must not lie on one line, "
            f"got that in the {where}; set one to the side, or use a similarity"
        )
    if kind == "projective" and len(points) == 4:
        for k in range(4):
            three = np.delete(points, k, axis=0)
            flat = np.linalg.svd(three - three.mean(axis=0), compute_uv=False)
            if flat[1] < 1e-6 * flat[0]:
                raise ValueError(
                    "no three of the four landmarks of a projective transform may lie on one "
                    f"line, got that in the {where}"
                )


def _fitted(kind: Kind, here: FloatArray, there: FloatArray) -> FloatArray:
    """Least squares in coordinates of order one, so that a projective fit converges."""
    inner, outer = _normaliser(here), _normaliser(there)
    u, x = _applied(inner, here), _applied(outer, there)
    first = _linear("similarity" if kind == "similarity" else "affine", u, x)
    if kind == "projective":
        start = first.ravel()[:8]

        def miss(p: FloatArray) -> FloatArray:
            return np.asarray((_applied(np.append(p, 1.0).reshape(3, 3), u) - x).ravel())

        found = least_squares(miss, start, jac="3-point", xtol=1e-15, ftol=1e-15, gtol=1e-15)
        first = np.append(found.x, 1.0).reshape(3, 3)
    matrix = np.linalg.inv(outer) @ first @ inner
    return np.asarray(matrix / matrix[2, 2])


def _linear(kind: str, u: FloatArray, x: FloatArray) -> FloatArray:
    design = _design(kind, u)
    p = np.linalg.lstsq(design, x.ravel(), rcond=None)[0]
    if kind == "similarity":
        a, b, tx, ty = p
        return np.array([[a, -b, tx], [b, a, ty], [0.0, 0.0, 1.0]])
    return np.vstack([p.reshape(2, 3), [0.0, 0.0, 1.0]])


def _design(kind: str, u: FloatArray) -> FloatArray:
    """Differentiate (x₁, y₁, x₂, y₂, …) by the parameters of a linear kind."""
    n = len(u)
    one, zero = np.ones(n), np.zeros(n)
    if kind == "similarity":
        rows = [[u[:, 0], -u[:, 1], one, zero], [u[:, 1], u[:, 0], zero, one]]
    else:
        rows = [
            [u[:, 0], u[:, 1], one, zero, zero, zero],
            [zero, zero, zero, u[:, 0], u[:, 1], one],
        ]
    return np.asarray(np.array(rows).transpose(2, 0, 1).reshape(2 * n, -1))


def _sensitivity(kind: Kind, matrix: FloatArray, points: FloatArray) -> FloatArray:
    """Differentiate the carried points by the parameters, shape (2 n, parameters)."""
    if kind != "projective":
        return _design(kind, points)
    base = matrix.ravel()[:8]
    columns = []
    for k in range(8):
        h = 1e-6 * max(abs(base[k]), 1e-3)
        ends = []
        for sign in (1, -1):
            p = np.append(base, 1.0)
            p[k] += sign * h
            ends.append(_applied(p.reshape(3, 3), points).ravel())
        columns.append((ends[0] - ends[1]) / (2 * h))
    return np.stack(columns, axis=1)


def _normaliser(points: FloatArray) -> FloatArray:
    middle = points.mean(axis=0)
    s = 1.0 / np.sqrt(np.mean((points - middle) ** 2))
    return np.array([[s, 0, -s * middle[0]], [0, s, -s * middle[1]], [0, 0, 1.0]])


def _applied(matrix: FloatArray, points: Any) -> FloatArray:
    p = np.atleast_2d(np.asarray(points, dtype=float))
    if p.shape[-1] != 2:
        raise ValueError(f"points must be (x, y), got an array of shape {p.shape}")
    carried = np.column_stack([p, np.ones(len(p))]) @ matrix.T
    return np.asarray(carried[:, :2] / carried[:, 2:])

"""Registration refined on what image and map both show: the boundaries themselves.

Landmarks are set by eye, to a micrometre or two. Etched boundaries are lines in the image, and
where C steps the map has an edge at the same place; a small turn, scale and shift that brings the
two to the best correlation is known to a fraction of a micrometre, wherever C steps at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import xarray as xr
from scipy import ndimage, stats
from scipy.optimize import minimize

from lliso._types import FloatArray
from lliso.maps.overlay import image_axes
from lliso.maps.proposals import line_strength, step_significance, weighted_fractions
from lliso.maps.registration import Registration
from lliso.schema import X, Y, pixel_size

#: blur of image and map in the successive rounds, µm: the first sees far, the last is sharp
_BLURS = (4.0, 2.0, 1.0)
#: what is called clear must come by chance once in so many times
_ONCE_IN = 100.0
#: trials of a simplex where only the height of its top matters
_ROUGHLY = 80
#: so many standard deviations above its mean is that quantile of Gumbel's distribution
_GUMBEL = (-np.log(-np.log1p(-1.0 / _ONCE_IN)) - np.euler_gamma) * np.sqrt(6.0) / np.pi


@dataclass(frozen=True, eq=False)
class Refined:
    """A registration refined on the edges in C.

    Parameters
    ----------
    registration : Registration
        The refined one; the one given, where `clear` is False.
    before, after : float
        Correlation between the image's lines and the edges in C.
    chance : float
        Correlation that comes by chance once in a hundred times, from the same search with the
        edges turned over and moved, where nothing can fit.
    shift : tuple of float
        How the middle of the map moved, (x, y) in µm.
    turn, stretch : float
        Degrees and relative change of scale.
    std : float
        µm, from refining both halves of the map by themselves: half of the distance between the
        two answers in the middle of the map. NaN if one of them has no clear answer.
    clear : bool
        Whether the edges told anything: `after` is above `chance`.
    """

    registration: Registration
    before: float
    after: float
    chance: float
    shift: tuple[float, float]
    turn: float
    stretch: float
    std: float
    clear: bool


def refine_on_edges(
    registration: Registration,
    image: xr.DataArray,
    maps: xr.Dataset | Sequence[xr.Dataset],
    *,
    lines: Literal["dark", "bright"] = "dark",
    width: float = 1.5,
    reach: float = 6.0,
) -> Refined:
    """Move a registration so that the image's lines lie on the edges in C.

    Parameters
    ----------
    registration : Registration
        From landmarks; right to within `reach`.
    image : xarray.DataArray, shape (v, u)
        The image in its own frame, coordinates in µm.
    maps : xarray.Dataset or sequence of them
        Maps of counts of one place, together.
    lines : {"dark", "bright"}
        How boundaries look in the image.
    width : float
        Their width, µm.
    reach : float
        Largest shift that is looked for, µm.

    Returns
    -------
    Refined

    Raises
    ------
    ValueError
        If `lines` or `reach` is wrong, or image and map do not meet.
    """
    if lines not in ("dark", "bright"):
        raise ValueError(f"lines must be 'dark' or 'bright', got {lines!r}")
    if not reach > 0:
        raise ValueError(f"reach must be positive, got {reach:g} um")
    view = _View.of(registration, image, maps, lines, width)
    found = _climb(view, reach)
    chance = _clear_from(_chances(view, reach))
    after = view.correlation(found, _BLURS[-1])
    before = view.correlation(np.zeros(4), _BLURS[-1])
    clear = bool(after > chance)
    std = _of_halves(view, found, reach) if clear else float("nan")
    moved = view.moved(found) if clear else registration
    dx, dy, turn, stretch = (float(v) for v in (found if clear else np.zeros(4)))
    return Refined(moved, before, after, chance, (dx, dy), np.degrees(turn), stretch, std, clear)


@dataclass(frozen=True, eq=False)
class _View:
    """Image lines and map edges, and the correlation between them after a small move."""

    registration: Registration
    lines: dict[float, FloatArray]  # by blur in µm
    rows: FloatArray
    columns: FloatArray
    edges: dict[float, FloatArray]
    x: FloatArray
    y: FloatArray
    pitch: float

    @classmethod
    def of(
        cls,
        registration: Registration,
        image: xr.DataArray,
        maps: xr.Dataset | Sequence[xr.Dataset],
        lines: str,
        width: float,
    ) -> _View:
        several: list[xr.Dataset] = [maps] if isinstance(maps, xr.Dataset) else list(maps)
        rows, columns = image_axes(image)
        pixel = np.abs([rows[1] - rows[0], columns[1] - columns[0]])
        grey = image.values.astype(float) * (1.0 if lines == "bright" else -1.0)
        ridge = line_strength(grey, np.maximum(0.5 * width / pixel, 0.7))
        top = float(np.quantile(ridge, 0.98))
        ridge = np.clip(ridge, 0.0, top if top > 0 else None)
        edges = step_significance(*weighted_fractions(several))
        x, y = (several[0][name].values.astype(float) for name in (X, Y))
        pitch = float(min(pixel_size(several[0])))
        return cls(
            registration,
            {b: np.asarray(ndimage.gaussian_filter(ridge, b / pixel)) for b in _BLURS},
            rows,
            columns,
            {b: np.asarray(ndimage.gaussian_filter(edges, b / pitch)) for b in _BLURS},
            x,
            y,
            pitch,
        )

    def moved(self, p: FloatArray) -> Registration:
        """Return the registration followed by the move p = (dx, dy, turn, stretch) on the map."""
        dx, dy, turn, stretch = p
        middle = np.array([self.x.mean(), self.y.mean()])
        c, s = (1.0 + stretch) * np.cos(turn), (1.0 + stretch) * np.sin(turn)
        a = np.array([[c, -s], [s, c]])
        b = middle - a @ middle + [dx, dy] + a @ np.asarray(self.registration.shift)
        step = np.eye(3)
        step[:2, :2], step[:2, 2] = a, b
        matrix = np.asarray(step @ self.registration.matrix, dtype=float)
        return replace(self.registration, matrix=matrix / matrix[2, 2], shift=(0.0, 0.0))

    def correlation(self, p: FloatArray, blur: float, part: slice = slice(None)) -> float:
        """Correlation of the lines with the edges, both blurred, where the image reaches."""
        step = max(int(0.5 * blur / self.pitch), 1)
        x = self.x[part]
        edges = self.edges[blur][::step, part][:, ::step]
        xx, yy = np.meshgrid(x[::step], self.y[::step])
        back = self.moved(p).inverse(np.column_stack([xx.ravel(), yy.ravel()]))
        row = (back[:, 1] - self.rows[0]) / (self.rows[1] - self.rows[0])
        column = (back[:, 0] - self.columns[0]) / (self.columns[1] - self.columns[0])
        n, m = self.lines[blur].shape
        inside = (row >= 0) & (row <= n - 1) & (column >= 0) & (column <= m - 1)
        if inside.sum() < 100:
            return 0.0
        value = ndimage.map_coordinates(
            self.lines[blur], [row[inside], column[inside]], order=1, mode="nearest"
        )
        return float(np.corrcoef(value, edges.ravel()[inside])[0, 1])


def _climb(
    view: _View,
    reach: float,
    part: slice = slice(None),
    start: FloatArray | None = None,
    *,
    most: int = 250,
) -> FloatArray:
    """Coarse grid of shifts, then a simplex in shift, turn and scale, sharper every round."""
    best = np.zeros(4) if start is None else start
    if start is None:
        steps = np.arange(-reach, reach + 1e-9, _BLURS[0] / 2)
        trials = [np.array([dx, dy, 0.0, 0.0]) for dx in steps for dy in steps]
        best = max(trials, key=lambda p: view.correlation(p, _BLURS[0], part))
    half = 0.5 * max(float(np.ptp(view.x[part])), float(np.ptp(view.y)), 1e-9)
    scale = np.array([1.0, 1.0, 1.0 / half, 1.0 / half])  # what moves the rim by 1 µm
    for blur in _BLURS:
        found = minimize(
            lambda q, blur=blur: -view.correlation(q * scale, blur, part),
            best / scale,
            method="Nelder-Mead",
            options={
                "initial_simplex": best / scale + 0.7 * blur * np.vstack([np.zeros(4), np.eye(4)]),
                "xatol": 0.02,
                "fatol": 1e-5,
                "maxfev": most,
            },
        )
        best = np.asarray(found.x * scale, dtype=float)
    return best


def _chances(view: _View, reach: float) -> FloatArray:
    """Return the best correlations where there can be none: with the edges turned over and moved.

    The same search as that for the real place, since the best of many places is high by chance,
    and the higher the smaller the map. Turned over and moved around, the edges are as many, as
    long and as wide as they were, and nothing else is.
    """
    best = []
    for flip in ((-1, 1), (1, -1), (-1, -1)):
        for part in ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.5, 0.5)):
            moved = {
                blur: np.roll(edges[:: flip[0], :: flip[1]], _pixels(part, edges.shape), (0, 1))
                for blur, edges in view.edges.items()
            }
            wrong = replace(view, edges=moved)
            best.append(wrong.correlation(_climb(wrong, reach, most=_ROUGHLY), _BLURS[-1]))
    return np.array(best)


def _pixels(part: tuple[float, float], shape: tuple[int, ...]) -> tuple[int, int]:
    return int(part[0] * shape[0]), int(part[1] * shape[1])


def _clear_from(chances: FloatArray) -> float:
    """Correlation that comes by chance once in a hundred times, from those of wrong places.

    The largest of many is distributed after Gumbel; its 99 % point lies 3.14 standard deviations
    above the mean. Both are known from a few draws only: Student's t, at the probability that a
    normal distribution has so far out, and the error of the mean make up for that.
    """
    n = chances.size
    far = float(stats.t.ppf(stats.norm.cdf(_GUMBEL), n - 1)) * np.sqrt(1.0 + 1.0 / n)
    return float(chances.mean() + far * chances.std(ddof=1))


def _of_halves(view: _View, found: FloatArray, reach: float) -> float:
    n = len(view.x) // 2
    answers = [_climb(view, reach, part, found) for part in (slice(0, n), slice(n, None))]
    middle = np.array([[view.x.mean(), view.y.mean()]])
    own = view.moved(np.zeros(4)).inverse(middle)
    places = [view.moved(p)(own)[0] for p in answers]
    if max(float(np.hypot(*(p - middle[0]))) for p in places) > 2 * reach:
        return float("nan")
    return float(0.5 * np.hypot(*(places[0] - places[1])))

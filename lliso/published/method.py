"""How well a D_gb can be known: bias, scatter and coverage for counts, grain size and cut width.

One straight boundary between two grains is simulated again and again and fitted each time, by the
default estimator (one slope for both grains) and by the 2024 paper's two parabolas. The step and
the slope are the paper's at 59 h. Nothing is read: change the numbers to those of an experiment
that is planned.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lliso._types import FloatArray
from lliso.fit.paper2024 import fit_two_quadratics
from lliso.fit.patch import PatchGeometry, PatchImage, fit_patch, patch_pixels
from lliso.fit.uncertainty import ratio_set
from lliso.fit.window import Window, guard_length
from lliso.published import Made

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "what counts, grain size and cut width allow: bias, scatter and coverage (simulated)"
INPUTS: dict[str, str] = {}
METHODS = ("one slope", "two parabolas")
SEED = 59
#: pixel and full width at half maximum of the beam, µm
PIXEL, RESOLUTION = 1.0, 1.0
#: spread of the curvature inside grains, as share of the slope over the reach (see docs/how_sure)
BENDING = 0.6


@dataclass(frozen=True)
class Case:
    """One boundary to be measured.

    Attributes
    ----------
    counts : float
        Of both isotopes in a pixel.
    reach : float
        µm from the boundary to the next one, on both sides.
    width : float
        Of the cut along the boundary, µm.
    step, slope : float
        Jump of C, and gradient beside it in 1/µm.
    level : float
        C at the boundary.
    """

    counts: float = 3000.0
    reach: float = 16.0
    width: float = 30.0
    step: float = -0.02
    slope: float = -1.1e-4
    level: float = 0.4

    @property
    def seed(self) -> int:
        """Seed of its draws, so that each case stands for itself."""
        return zlib.crc32(repr(asdict(self)).encode()) ^ SEED

    @property
    def bound(self) -> float:
        """Least error of the slope over the slope for one common slope: √(6 v/L³)/|g|.

        v = C(1 − C)·p²/(N·width) is the variance of C in a slice of 1 µm; L reaches from the
        boundary to the far guard. Without curvature, prior and inner guard.
        """
        length = self.reach - guard_length(PIXEL, RESOLUTION)
        v = self.level * (1 - self.level) * PIXEL**2 / (self.counts * self.width)
        return float(np.sqrt(6 * v / length**3) / abs(self.slope))


#: what is varied, one thing at a time about the default case
GRID: dict[str, tuple[float, ...]] = {
    "reach": (10.0, 14.0, 20.0, 28.0, 40.0, 56.0),
    "counts": (100.0, 300.0, 1000.0, 3000.0, 10000.0),
    "width": (8.0, 15.0, 30.0, 60.0),
}


def draw_map(case: Case, rng: np.random.Generator) -> PatchImage:
    """Simulate the pixels around the boundary, with counting noise and a curvature per grain."""
    x = np.arange(round(case.width / PIXEL), dtype=float) + 0.5
    y = np.arange(round(2 * case.reach / PIXEL) + 4, dtype=float) + 0.5
    nu = y - y.size / 2
    bend = rng.normal(0, BENDING * abs(case.slope) / case.reach, 2)
    c = case.level + case.step * ((nu > 0) - 0.5) + case.slope * nu
    c += np.where(nu < 0, bend[0], bend[1]) * nu**2 / 2
    light = rng.binomial(int(case.counts), np.repeat(c[:, None], x.size, axis=1))
    total = np.full(light.shape, float(case.counts))
    return PatchImage(light.astype(float), total, x, y, PIXEL)


def _geometry(case: Case, image: PatchImage) -> PatchGeometry:
    half = image.y.size / 2
    return PatchGeometry("1", image.x.size / 2, half, 0.0, 1.0, case.width, half, half)


def one_slope(case: Case, image: PatchImage) -> tuple[float, float, FloatArray]:
    """Fit step and slope with one slope for both grains; returns both and their covariance."""
    geometry = _geometry(case, image)
    fit = fit_patch(
        image, geometry, resolution=RESOLUTION, mean_slope=abs(case.slope), refine=False
    )
    return fit.parameters["step"], fit.parameters["slope"], fit.covariance


def two_parabolas(case: Case, image: PatchImage) -> tuple[float, float, FloatArray]:
    """Fit step and slope by the 2024 paper's recipe on the same pixels."""
    guard = guard_length(PIXEL, RESOLUTION)
    p = patch_pixels(image, _geometry(case, image), guard, None)
    nu, row = np.unique(p.nu, return_inverse=True)
    light, total = (np.bincount(row, v).astype(float) for v in (p.light, p.total))
    (step, slope), covariance, _ = fit_two_quadratics(Window(nu, light, total, 0, 0, guard, PIXEL))
    return float(step), float(slope), covariance


FITS = {METHODS[0]: one_slope, METHODS[1]: two_parabolas}


def interval(method: str, step: float, slope: float, cov: FloatArray) -> tuple[float, float]:
    """95 % limits of slope/step: Fieller's set, or first-order errors for two parabolas."""
    if method == METHODS[0]:
        found = ratio_set(slope, step, cov[1, 1], cov[0, 0], cov[0, 1], 0.95)
        return found.low, found.high
    ratio = slope / step
    gradient = ratio * np.array([-1 / step, 1 / slope])
    std = float(np.sqrt(gradient @ cov @ gradient))
    return ratio - 1.96 * std, ratio + 1.96 * std


def score(case: Case, method: str, draws: int = 100) -> dict[str, float]:
    """Simulate and fit `draws` times.

    Returns
    -------
    dict
        ``bias`` and ``scatter`` of the slope over the slope (median, and 1.48 times the median
        absolute deviation), ``coverage`` of the 95 % limits of P, the share ``measured`` (two ends
        above 0), the share ``negative``, and the ``bound`` of the scatter.
    """
    rng = np.random.default_rng(case.seed)
    truth = case.slope / case.step
    slopes, held, measured, negative = [], 0, 0, 0
    for _ in range(draws):
        step, slope, covariance = FITS[method](case, draw_map(case, rng))
        low, high = interval(method, step, slope, covariance)
        slopes.append(slope / case.slope)
        held += low <= truth <= high
        measured += low > 0 and bool(np.isfinite(high))
        negative += slope / step < 0
    middle = float(np.median(slopes))
    return {
        "draws": draws,
        "bias": middle - 1.0,
        "scatter": 1.4826 * float(np.median(np.abs(np.array(slopes) - middle))),
        "coverage": held / draws,
        "measured": measured / draws,
        "negative": negative / draws,
        "bound": case.bound,
    }


def survey(
    case: Case | None = None,
    grid: Mapping[str, Iterable[float]] = GRID,
    draws: int = 100,
) -> pd.DataFrame:
    """Score both methods while one thing is varied at a time about a case.

    Returns
    -------
    pandas.DataFrame
        Indexed by (``varied``, ``value``, ``method``), with the columns of `score`.
    """
    start = Case() if case is None else case
    rows = {
        (name, value, method): score(replace(start, **{name: value}), method, draws)
        for name, values in grid.items()
        for value in values
        for method in METHODS
    }
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index = pd.MultiIndex.from_tuples(list(rows), names=["varied", "value", "method"])
    return frame


def draw(frame: pd.DataFrame, case: Case | None = None) -> Figure:
    """Draw the scatter against what was varied about a case, and the coverage of all cases."""
    from lliso.published.method_panels import figure_of_method

    return figure_of_method(frame, Case() if case is None else case)


def make(inputs: Mapping[str, Any]) -> Made:
    """Make figure and table; there are no inputs."""
    del inputs
    frame = survey()
    settings = {"case": asdict(Case()), "seed": SEED, "simulated": 1}
    return Made({"method": draw(frame)}, {"method": frame}, settings)

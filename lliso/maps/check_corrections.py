"""What a forgotten or wrongly ordered correction leaves behind, looked for and said in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter, uniform_filter

from lliso._types import FloatArray, IntArray
from lliso.maps.calibration import Reference
from lliso.maps.carried import STEPS, UNKNOWN, variance_of
from lliso.maps.fraction import sum_frames
from lliso.schema import COUNTS, FRAME, LI6, LI7, SPECIES, X, Y, check_map

if TYPE_CHECKING:
    import xarray as xr

#: deviation in standard errors from which on something is called suspicious
SUSPICIOUS = 4.0
#: side in pixels of the areas that stand in for grains where no labels are given
_AREA = 8
#: counts per shot from which on a dead time cannot be overlooked
_HIGH_RATE = 0.02
#: scatter of frames over the expected one that is worth a word
_SCATTER_TOLERANCE = 0.05


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    name : str
        What was looked at: "dead time", "reference: <name>", "frames", ...
    value, expected, std : float
        What was found, what is right, and the standard error of their difference.
    suspicious : bool
        Whether something seems to be wrong.
    text : str
        In words, with what to do.
    """

    name: str
    value: float
    expected: float
    std: float
    suspicious: bool
    text: str


@dataclass(frozen=True)
class CorrectionReport:
    """All checks; ``print(report)`` says them in words."""

    checks: tuple[Check, ...]

    @property
    def suspicious(self) -> tuple[str, ...]:
        """Names of the checks that something is wrong with."""
        return tuple(c.name for c in self.checks if c.suspicious)

    def __str__(self) -> str:
        return "\n".join(f"{'LOOK: ' if c.suspicious else 'ok: '}{c.text}" for c in self.checks)


def check_corrections(
    ds: xr.Dataset,
    references: Sequence[tuple[xr.Dataset, float] | Reference] = (),
    *,
    labels: Any = None,
    light: str = LI6,
    heavy: str = LI7,
) -> CorrectionReport:
    """Look for traces of corrections that were forgotten or made in the wrong order.

    Parameters
    ----------
    ds : xarray.Dataset
        A map or a stack of frames.
    references : sequence of (map, fraction) or Reference
        Areas of known fraction, corrected in the same way as `ds`; counts of a `Reference` are
        taken as they are.
    labels : array_like of int, shape (y, x), optional
        Grains (`lliso.segment_grains`), inside which C should not depend on the yield; negative or
        0: none. Default: areas of 8 × 8 pixels.
    light, heavy : str
        The isotopes.

    Returns
    -------
    CorrectionReport
        Of what can be looked at: the rate per shot, C against the counts inside grains, frames
        against each other, references, negative counts and unknown pixels.

    Examples
    --------
    >>> from lliso.schema import make_map
    >>> rng = np.random.default_rng(1)
    >>> yields = np.exp(0.3 * np.sin(np.arange(64) / 2)) * np.ones((64, 1))
    >>> rate = np.array([0.1, 0.4])[:, None, None] * yields
    >>> shots = rng.binomial(1000, -np.expm1(-rate))
    >>> m = make_map(shots, ["6Li", "7Li"], x=np.arange(64.0), y=np.arange(64.0),
    ...              attrs={"shots_per_pixel": 1000})
    >>> check_corrections(m).suspicious
    ('rate', 'dead time')
    >>> from lliso.maps.dead_time import correct_dead_time
    >>> check_corrections(correct_dead_time(m)).suspicious
    ()
    """
    check_map(ds, needs=(light, heavy))
    checks = [
        *_rate(ds, light, heavy),
        *_frames(ds, light, heavy),
        *_yield(ds, labels, light, heavy),
    ]
    for i, given in enumerate(references):
        if isinstance(given, Reference):
            reference = given
        else:
            name = f"reference {i + 1}"
            reference = Reference.from_map(given[0], given[1], light=light, heavy=heavy, name=name)
        checks.append(_reference(reference))
    checks += _pixels(ds, light, heavy)
    return CorrectionReport(tuple(checks))


def _rate(ds: xr.Dataset, light: str, heavy: str) -> list[Check]:
    """Compare counts with shots, if it is known that nobody has corrected them."""
    shots = ds.attrs.get("shots_per_pixel")
    state = str(ds.attrs.get("dead_time_corrected", "unknown"))
    if not shots or state in ("yes", "not needed"):
        return []
    counts = ds[COUNTS].sel({SPECIES: [light, heavy]}).mean([Y, X])
    if FRAME in counts.dims:
        counts = counts.sum(FRAME)
    n6, n7 = (min(float(v) / float(shots), 1 - 1e-9) for v in counts.values)
    t6, t7 = -np.log1p(-n6), -np.log1p(-n7)
    # the fraction with and without what was missed
    off = n6 / (n6 + n7) - t6 / (t6 + t7) if n6 + n7 > 0 else 0.0
    high = max(n6, n7) > _HIGH_RATE
    text = (
        f"up to {max(n6, n7):.2g} counts per shot and no dead time corrected (the map says "
        f"{state!r}): C is off by about {off:+.2g} on average"
    )
    if high:
        text += "; use correct_dead_time before everything else"
    return [Check("rate", max(n6, n7), 0.0, _HIGH_RATE, high, text)]


def _yield(ds: xr.Dataset, labels: Any, light: str, heavy: str) -> list[Check]:
    """Regress C on the yield inside grains: the ratio of isotopes must not know the yield.

    The yield of a pixel is told by its neighbours, which share no noise with it.
    """
    summed = sum_frames(ds)
    n6 = np.asarray(summed[COUNTS].sel({SPECIES: light}).values, dtype=float)
    total = n6 + np.asarray(summed[COUNTS].sel({SPECIES: heavy}).values, dtype=float)
    if min(total.shape) < 2 * _AREA:
        return []
    around = (9 * uniform_filter(total, 3, mode="nearest") - total) / 8
    good = (total > 0) & (around > 0)
    area = _areas(total.shape) if labels is None else np.asarray(labels)
    good &= area > 0
    if labels is not None:  # the beam mixes grains at their boundaries, where grooves are dark
        good &= minimum_filter(area, 3) == maximum_filter(area, 3)
    area = np.where(good, area, 0)
    log_yield = np.log(np.where(good, around, 1.0))
    fraction = _area_mean(n6, total, area)
    x = log_yield - _area_mean(log_yield * total, total, area)
    top = np.bincount(area[good], ((n6 - fraction * total) * x)[good])
    bottom = np.bincount(area[good], (total * x**2)[good])
    if not bottom.sum() > 0:
        return []
    slope = float(top.sum() / bottom.sum())
    # from the scatter of the areas: whatever else makes C vary inside them is in it
    std = float(np.sqrt(np.sum((top - slope * bottom) ** 2)) / bottom.sum())
    bad = abs(slope) > SUSPICIOUS * std
    text = f"C changes by {slope:+.3g} +- {std:.2g} per unit of ln(counts) inside grains"
    if bad and slope > 0:
        text += (
            "; bright pixels look richer in the light isotope: a dead time that was not corrected, "
            "or too little, reads so (or a background that holds too much of the heavy one)"
        )
    elif bad:
        text += (
            "; dark pixels look richer in the light isotope: a background that was not "
            "subtracted reads so, or a dead time that was corrected twice"
        )
    return [Check("dead time", slope, 0.0, std, bad, text)]


def _areas(shape: tuple[int, ...]) -> IntArray:
    i, j = np.indices(shape) // _AREA
    return np.asarray(1 + i * (j.max() + 1) + j)


def _area_mean(top: FloatArray, bottom: FloatArray, area: IntArray) -> FloatArray:
    sums = [np.bincount(area.ravel(), a.ravel()) for a in (top, bottom)]
    return np.asarray((sums[0] / np.where(sums[1] != 0, sums[1], 1.0))[area])


def _frames(ds: xr.Dataset, light: str, heavy: str) -> list[Check]:
    """Compare the scatter between frames with the variance that the counts carry."""
    n_frames = ds.sizes.get(FRAME, 1)
    if n_frames < 2:
        return []
    checks = []
    for label in (light, heavy):
        one = ds.sel({SPECIES: label})
        counts = one[COUNTS].astype(float)
        variance = variance_of(one)
        total, current = counts.sum(FRAME), counts.mean([Y, X])
        if not float(current.sum()) > 0:
            continue
        share = current / current.sum()
        rest = ((counts - total * share) ** 2).sum()
        expected = (variance.sum(FRAME) * share * (1 - share)).sum()
        index, pixels = float(rest / expected), counts.sizes[Y] * counts.sizes[X]
        std = float(np.sqrt(2.0 / (pixels * (n_frames - 1))))
        bad = abs(index - 1) > max(SUSPICIOUS * std, _SCATTER_TOLERANCE)
        text = f"frames of {label} scatter {index:.3f} +- {std:.2g} times as much as they should"
        if bad and index < 1:
            text += "; less than Poisson: a dead time that was not corrected"
        elif bad:
            text += "; more than their variance says: drift, or frames that differ"
        checks.append(Check(f"frames: {label}", index, 1.0, std, bad, text))
    return checks


def _reference(reference: Reference) -> Check:
    c = reference.measured
    counting = c * (1 - c) * np.sqrt(reference.relative_variance)
    std = float(np.hypot(counting, reference.fraction_std))
    off = c - reference.fraction
    bad = abs(off) > SUSPICIOUS * std
    text = f"{reference.name}: C = {c:.5f} +- {std:.1g}, known {reference.fraction:.5f}"
    if bad:
        text += (
            f", off by {off:+.2g}: something is missing or in the wrong order (mass "
            "fractionation shifts all references alike in ln(C/(1-C)); hydride and background "
            "shift one end more)"
        )
    return Check(f"reference: {reference.name}", c, reference.fraction, std, bad, text)


def _pixels(ds: xr.Dataset, light: str, heavy: str) -> list[Check]:
    checks = []
    steps = str(ds.attrs.get(STEPS, "")) or "none"
    means = sum_frames(ds)[COUNTS].sel({SPECIES: [light, heavy]}).mean([Y, X]).values
    worst = int(np.argmin(means))
    bad = bool(means[worst] < 0)
    text = f"steps: {steps}; mean counts per pixel: {means[0]:.4g} and {means[1]:.4g}"
    if bad:
        text += "; negative on average: the background is too large for this map (per frame?)"
    checks.append(Check("mean counts", float(means[worst]), 0.0, 0.0, bad, text))
    if UNKNOWN in ds:
        share = float(ds[UNKNOWN].mean())
        text = f"{share:.2%} of the pixels are saturated and unknown"
        checks.append(Check("unknown pixels", share, 0.0, 0.0, share > 0.01, text))
    return checks

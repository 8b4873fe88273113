"""Where the steps of a line profile are, under the noise of its counts.

`scan_steps` fits a short line with a step at every candidate position; `find_steps` takes the most
significant one, removes it and looks again; `locate_step` gives the step nearest to a click, and
`default_window` how far the two grains beside a boundary reach.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lliso._types import FloatArray
from lliso.diffusion.steps import blurred_step
from lliso.maps.cuts import DISTANCE
from lliso.maps.fraction import species_counts
from lliso.schema import LI6, LI7

if TYPE_CHECKING:
    import xarray as xr


#: two steps closer than this many slices are one
_APART = 3.0
#: how many slices beside a step its blur reaches
_BLURRED = 1.5


@dataclass(frozen=True)
class StepScan:
    """Significance of a step at each candidate position of a profile.

    Attributes
    ----------
    position : numpy.ndarray
        Candidates in µm along the cut.
    step : numpy.ndarray
        Fitted step of the isotope fraction at each (NaN where there are too few slices).
    significance : numpy.ndarray
        The step divided by its standard error; 0 where it is unknown.
    """

    position: FloatArray
    step: FloatArray
    significance: FloatArray


@dataclass(frozen=True)
class LocatedStep:
    """The step nearest to where a person pointed.

    Attributes
    ----------
    position : float
        µm along the cut.
    step : float
        Step of the isotope fraction.
    significance : float
        The step divided by its standard error.
    found : bool
        False if no significant step was near, and `position` is simply where the person pointed.
    """

    position: float
    step: float
    significance: float
    found: bool


def scan_steps(
    profile: xr.Dataset,
    positions: FloatArray | None = None,
    reach: float = 8.0,
    known: Iterable[tuple[float, float]] = (),
    guard: float = 0.5,
) -> StepScan:
    """Fit a straight line with a step at each candidate position.

    Parameters
    ----------
    profile : xarray.Dataset
        A line profile (see `lliso.line_profile`).
    positions : numpy.ndarray, optional
        Candidates in µm along the cut; default: the borders between slices.
    reach : float
        How far to each side the straight line extends, in µm. Short against a grain, or the next
        boundary is mistaken for slope.
    known : iterable of tuple of float
        (position in µm, step) of steps that are taken off before. Slices beside them are left out,
        because the instrument's blur stays there.
    guard : float
        Slices whose middle is nearer to a candidate than this many slices belong to neither side.

    Returns
    -------
    StepScan
    """
    known = list(known)
    x, c, n, pitch = _fractions(profile, known)
    for at, _ in known:
        n = np.where(np.abs(x - at) < _BLURRED * pitch, 0.0, n)
    raw = _fractions(profile, ())[1]
    if positions is None:
        positions = (x[:-1] + x[1:]) / 2
    nu = x[None, :] - positions[:, None]
    # Rounding must not decide about a slice that touches the guard.
    use = (np.abs(nu) <= reach) & (np.abs(nu) >= 0.999 * guard * pitch)
    # The counting error is that of what was counted, near the candidate, known steps and all.
    counts = np.where(use, n[None, :], 0.0)
    mean = (counts @ raw + 0.5) / (counts.sum(axis=1) + 1.0)
    weight = counts / (mean * (1 - mean))[:, None]
    terms = np.stack([np.ones_like(nu), np.sign(nu) / 2, nu / reach])
    normal = np.einsum("apx,px,bpx->pab", terms, weight, terms)
    right = np.einsum("apx,px,x->pa", terms, weight, c)
    sides = np.stack([((nu < 0) & (weight > 0)).sum(1), ((nu > 0) & (weight > 0)).sum(1)])
    good = sides.min(axis=0) >= 3
    step = np.full(positions.shape, np.nan)
    significance = np.zeros(positions.shape)
    if good.any():
        covariance = np.linalg.inv(normal[good])
        step[good] = np.einsum("pa,pa->p", covariance[:, 1, :], right[good])
        significance[good] = step[good] / np.sqrt(covariance[:, 1, 1])
    return StepScan(positions, step, significance)


def find_steps(
    profile: xr.Dataset,
    threshold: float = 4.5,
    known: Iterable[tuple[float, float]] = (),
    most: int = 60,
) -> list[LocatedStep]:
    """Find the steps of a profile, the most significant first.

    Each step that is found is taken off before the next is sought, because beside a large step the
    scan is significant, with the other sign, where nothing is.

    Parameters
    ----------
    profile : xarray.Dataset
        A line profile.
    threshold : float
        Significance (in standard errors) from which a step counts. 4.5 keeps false steps rare
        over a few hundred candidates.
    known : iterable of tuple of float
        (position in µm, step) of steps that are there already.
    most : int
        Number of steps after which to stop.

    Returns
    -------
    list of LocatedStep
        By position; the known ones not among them.
    """
    taken = list(known)
    pitch = _fractions(profile, ())[3]
    found: list[LocatedStep] = []
    while len(found) < most:
        scan = scan_steps(profile, known=taken)
        if scan.significance.size == 0:
            break
        significance = np.abs(scan.significance)
        for at, _ in taken:  # what is left there is blur, no second step
            significance[np.abs(scan.position - at) < _APART * pitch] = 0.0
        i = int(np.argmax(significance))
        if significance[i] < threshold:
            break
        # Taken off at its own place, not at the nearest border between slices: at high counts the
        # difference would look like another step.
        position = _refined(profile, float(scan.position[i]), taken)
        step = float(scan_steps(profile, np.array([position]), known=taken, guard=_BLURRED).step[0])
        if not np.isfinite(step):
            position, step = float(scan.position[i]), float(scan.step[i])
        taken.append((position, step))
        found.append(LocatedStep(position, step, float(scan.significance[i]), True))
    return sorted(found, key=lambda s: s.position)


def locate_step(
    profile: xr.Dataset, near: float, search: float = 6.0, threshold: float = 4.5
) -> LocatedStep:
    """Find the step of a profile nearest to a position.

    Parameters
    ----------
    profile : xarray.Dataset
        A line profile.
    near : float
        Where the person pointed, in µm along the cut.
    search : float
        How far from there to look, in µm.
    threshold : float
        Significance (in standard errors) from which a step counts as found.

    Returns
    -------
    LocatedStep
        The step nearest to `near`, placed to a tenth of a slice; `near` itself with
        ``found=False`` if there is none.
    """
    x = profile[DISTANCE].values
    close = profile.isel({DISTANCE: np.abs(x - near) <= search + 16.0})
    steps = find_steps(close, threshold) if close.sizes[DISTANCE] > 6 else []
    near_enough = [s for s in steps if abs(s.position - near) <= search]
    if not near_enough:
        scan = scan_steps(profile, np.array([near]))
        return LocatedStep(float(near), float(scan.step[0]), float(scan.significance[0]), False)
    best = min(near_enough, key=lambda s: abs(s.position - near))
    others = [(s.position, s.step) for s in steps if s is not best]
    return replace(best, position=_refined(close, best.position, others))


def _refined(
    profile: xr.Dataset, position: float, others: Iterable[tuple[float, float]], reach: float = 8.0
) -> float:
    """Place a step to a tenth of a slice: least misfit of a line with a step."""
    x, c, n, pitch = _fractions(profile, others)
    use = (np.abs(x - position) <= reach) & (n > 0)
    candidates = position + np.arange(-15, 16) * pitch / 10
    nu = x[None, use] - candidates[:, None]
    terms = np.stack([np.ones_like(nu), blurred_step(nu, 0.0, pitch), nu / reach])
    weighted = terms * n[use]
    normal = np.einsum("apx,bpx->pab", weighted, terms)
    right = np.einsum("apx,x->pa", weighted, c[use])
    value = np.einsum("pab,pb->pa", np.linalg.pinv(normal, hermitian=True), right)
    misfit = ((c[use] - np.einsum("pa,apx->px", value, terms)) ** 2) @ n[use]
    return float(candidates[int(np.argmin(misfit))])


def _fractions(
    profile: xr.Dataset, known: Iterable[tuple[float, float]]
) -> tuple[FloatArray, FloatArray, FloatArray, float]:
    """Positions, fractions less the known steps, total counts, and the slices' length."""
    x = profile[DISTANCE].values
    n6 = species_counts(profile, LI6).values
    n = n6 + species_counts(profile, LI7).values
    c = n6 / np.where(n > 0, n, 1)
    pitch = float(profile.attrs["slice_length"])
    for at, height in known:
        c = c - height * blurred_step(x - at, 0.0, pitch)
    return x, c, n, pitch


def default_window(
    profile: xr.Dataset,
    position: float,
    others: Iterable[float] = (),
    *,
    longest: float = 40.0,
    threshold: float = 5.0,
) -> tuple[float, float]:
    """Propose how far the two grains beside a boundary reach along a profile.

    Parameters
    ----------
    profile : xarray.Dataset
        A line profile.
    position : float
        The boundary, in µm along the cut.
    others : iterable of float
        Other boundaries that are known on this cut, in µm.
    longest : float
        Longest reach to a side, in µm.
    threshold : float
        Significance from which a further step ends the window.

    Returns
    -------
    low, high : float
        Window in µm along the cut: each side ends at the next known boundary, at the next
        significant step, at the end of the profile or at `longest`, whichever comes first.
    """
    x = profile[DISTANCE].values
    half = 0.5 * float(profile.attrs.get("slice_length", 1.0))
    # Nearer than this a second step is what blur or a crooked boundary leaves of the first.
    stops = [s.position for s in find_steps(profile, threshold) if abs(s.position - position) > 5]
    stops += list(others)
    low = max([x[0] - half, position - longest, *(s for s in stops if s < position)])
    high = min([x[-1] + half, position + longest, *(s for s in stops if s > position)])
    return float(low), float(high)

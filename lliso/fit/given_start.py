"""Storage from a start that is itself a profile: measured points, or a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import dct
from scipy.interpolate import CubicSpline

from lliso._types import FloatArray
from lliso.diffusion.cosine import bar_length, cosine_basis, damping, line_amplitudes, terms_needed
from lliso.fit.conservation import DRIFT, change_columns, li6_change
from lliso.fit.curve import CurveFit, fit_curve
from lliso.fit.exchange import gradient_flags
from lliso.fit.exchange_curve import Instrument, mixing_envelope, profile_noise
from lliso.fit.parameters import Layout, Slot
from lliso.fit.profile_table import fit_flags, profile_table
from lliso.fit.profiles import Profile, read_profiles

if TYPE_CHECKING:
    from collections.abc import Mapping

Start = xr.Dataset | Callable[[FloatArray], FloatArray] | tuple[Any, Any]
_CELLS = 4096  # in which a start given as a function is sampled
_GRID = 17


@dataclass(frozen=True, eq=False)
class GivenStart:
    """Start of a storage as a cosine series.

    Attributes
    ----------
    amplitudes : numpy.ndarray, shape (terms,)
        Of the start.
    tents : numpy.ndarray, shape (terms, m), or None
        Amplitudes of points joined by lines, where the start was measured.
    spline : numpy.ndarray, shape (m, points), or None
        The values at these from those that were measured.
    variance : numpy.ndarray, shape (points,)
        Of the measured points, with their local spread.
    limits : tuple of float
        Fractions far away and at the source, for the shape of the local spread.
    measured : Profile or None
    """

    amplitudes: FloatArray
    tents: FloatArray | None
    spline: FloatArray | None
    variance: FloatArray
    limits: tuple[float, float]
    measured: Profile | None

    def mapping(self, number: int) -> FloatArray:
        """Amplitudes of each measured point's share in the start, shape (number, points)."""
        if self.tents is None or self.spline is None:
            return np.zeros((number, 0))
        return np.asarray(self.tents[:number] @ self.spline)


def give_start(start: Start, view: Instrument, spread: float | None) -> GivenStart:
    """Expand a start in cosines.

    Parameters
    ----------
    start : xarray.Dataset, callable or (positions, values)
        A measured profile, a function of positions (µm), or points joined by straight lines.
    view : Instrument
        With the ends of the bar.
    spread : float or None
        Local spread of measured points; None to estimate it from the start's own roughness.

    Returns
    -------
    GivenStart

    Raises
    ------
    TypeError, ValueError
        If the start is of another kind, or its values are not fractions.
    """
    number = _terms(view)
    if callable(start) and not isinstance(start, xr.Dataset):
        length = bar_length(view.ends)
        cells = view.ends[0] + (np.arange(_CELLS, dtype=np.float64) + 0.5) * (length / _CELLS)
        values = _fractions(start(cells))
        amplitudes = np.asarray(dct(values, type=2) / _CELLS, dtype=float)
        amplitudes[0] *= 0.5
        limits = (float(values.min()), float(values.max()))
        return GivenStart(amplitudes, None, None, np.zeros(0), limits, None)
    if isinstance(start, tuple) and len(start) == 2:
        values = _fractions(start[1])
        tents = line_amplitudes(start[0], ends=view.ends, number=number)
        limits = (float(values.min()), float(values.max()))
        return GivenStart(tents @ values, None, None, np.zeros(0), limits, None)
    if not isinstance(start, xr.Dataset):
        raise TypeError(
            "start must be a Dataset, a function or (positions, values), got "
            f"{type(start).__name__}"
        )
    (profile,) = read_profiles(start)
    shortest = 0.3 * float(np.min(np.diff(profile.position), initial=np.inf))
    number = min(number, terms_needed(bar_length(view.ends), shortest**2))
    tents, spline = _spline_amplitudes(profile.position, view, number)
    limits = (
        float(str(profile.attrs.get("c_natural", profile.fraction.min()))),
        float(str(profile.attrs.get("c_source", profile.fraction.max()))),
    )
    variance = _start_variance(profile, limits, spread)
    amplitudes = tents @ (spline @ profile.fraction)
    return GivenStart(amplitudes, tents, spline, variance, limits, profile)


def _spline_amplitudes(
    position: FloatArray, view: Instrument, number: int
) -> tuple[FloatArray, FloatArray]:
    """Amplitudes of points joined by lines, and the cubic spline through all that gives them.

    Straight lines would be worth a diffusion over h²/12 of the distance h between points.
    """
    if position.size < 4:
        tents = line_amplitudes(position, ends=view.ends, number=number)
        return tents, np.eye(position.size)
    fine = np.interp(np.arange(4 * position.size - 3) / 4.0, np.arange(position.size), position)
    spline = CubicSpline(position, np.eye(position.size), bc_type="natural")(fine)
    return line_amplitudes(fine, ends=view.ends, number=number), np.asarray(spline)


def _terms(view: Instrument) -> int:
    """As many as the shortest spread that a fit may try (`fit_anneal`) leaves, within reason."""
    length = bar_length(view.ends)
    return min(2048, terms_needed(length, 1e-6 * length**2, view.blur))


def _fractions(values: Any) -> FloatArray:
    c = np.asarray(values, dtype=float)
    if c.size == 0 or not np.all((c >= 0) & (c <= 1)):
        bad = c[~((c >= 0) & (c <= 1))]
        got = f"{bad[0]:g}" if bad.size else "no values"
        raise ValueError(f"fractions of the start must lie between 0 and 1, got {got}")
    return c


def _start_variance(
    profile: Profile, limits: tuple[float, float], spread: float | None
) -> FloatArray:
    counting = profile.counting_std() ** 2
    envelope = mixing_envelope(*limits, profile.fraction)
    if spread is None:
        # roughness: distance of a point from the cubic through its four neighbours
        c, x = profile.fraction, profile.position
        if c.size < 6:
            return counting
        weights = _cubic_weights(sliding_window_view(x, 5))
        rough = np.sum(weights * sliding_window_view(c, 5), axis=1) ** 2
        of_counting = sliding_window_view(counting, 5)
        of_spread = sliding_window_view(envelope, 5)
        extra = np.sum(rough - np.sum(weights**2 * of_counting, axis=1))
        room = np.sum(np.sum(weights**2 * of_spread, axis=1))
        spread = float(np.sqrt(max(0.0, extra / room))) if room > 0 else 0.0
    return np.asarray(counting + spread**2 * envelope)


def _cubic_weights(x: FloatArray) -> FloatArray:
    """Weights of five points (last axis): the middle one less the cubic through the others."""
    others = np.array([0, 1, 3, 4])
    weights = np.ones(x.shape)
    for i in others:
        rest = others[others != i]
        weights[..., i] = -np.prod((x[..., [2]] - x[..., rest]) / (x[..., [i]] - x[..., rest]), -1)
    return weights


@dataclass(frozen=True, eq=False)
class GivenCurve:
    """Curve of one storage, at the free parameters: ln D, and an offset where there is one."""

    layout: Layout
    profile: Profile
    start: GivenStart
    duration: float
    view: Instrument
    memory: dict[float, FloatArray] = field(default_factory=dict)  # cosines, by offset

    def __call__(self, theta: FloatArray) -> FloatArray:
        """Fraction at all points."""
        return self._sum(theta, lambda number: self.start.amplitudes[:number])

    def envelope(self, theta: FloatArray, curve: FloatArray) -> FloatArray:  # noqa: ARG002
        """Shape of the local spread."""
        return mixing_envelope(*self.start.limits, curve)

    def shared(self, theta: FloatArray) -> FloatArray:
        """Covariance of the points by the scatter of the start that they come from."""
        moved = self._sum(theta, self.start.mapping)
        return np.asarray((moved * self.start.variance) @ moved.T)

    def _sum(self, theta: FloatArray, amplitudes: Callable[[int], FloatArray]) -> FloatArray:
        full = self.layout.full(theta)
        view, half = self.view, 0.5 * self.view.box
        offset = float(full[1]) if full.size > 1 else 0.0
        at = np.clip(self.profile.position - offset, view.ends[0] + half, view.ends[1] - half)
        spread = float(np.exp(full[0])) * self.duration
        most = self.start.amplitudes.size
        number = min(most, terms_needed(bar_length(view.ends), spread, view.blur))
        if offset not in self.memory:
            self.memory.clear()
        kept = self.memory.get(offset)
        if kept is None or kept.shape[1] < number:
            kept = cosine_basis(at, ends=view.ends, number=max(64, number), box=view.box)
            self.memory[offset] = kept
        factors = damping(spread, ends=view.ends, number=number, box=view.box, blur=view.blur)
        return np.asarray(kept[:, :number] @ (amplitudes(number).T * factors).T)


def fit_given_start(
    profile: Profile,
    start: GivenStart,
    slots: Sequence[Slot],
    duration: float,
    view: Instrument,
    spread: float | None,
) -> tuple[CurveFit, GivenCurve]:
    """Fit ln D (and an offset) of a storage.

    Parameters
    ----------
    profile : Profile
        After the storage.
    start : GivenStart
    slots : sequence of Slot
        D, and the offset if there is one.
    duration : float
        s.
    view : Instrument
    spread : float or None
        Local spread, None to estimate it.

    Returns
    -------
    CurveFit, GivenCurve
    """
    # a measured start has been averaged over the box already
    seen = replace(view, box=0.0, blur=0.0) if start.measured is not None else view

    memory: dict[float, FloatArray] = {}

    def curve_of(chosen: Sequence[Slot]) -> GivenCurve:
        return GivenCurve(Layout(tuple(chosen)), profile, start, duration, seen, memory)

    chosen = list(slots)
    if chosen[0].free and np.isinf(chosen[0].std):
        low, high = chosen[0].low + np.log(1e3), chosen[0].high - np.log(1e3)
        tries = np.linspace(low, high, _GRID)
        first = curve_of(chosen)
        theta, cost = first.layout.free().start, []
        for value in tries:
            theta[0] = value
            cost.append(np.sum((first(theta) - profile.fraction) ** 2))
        chosen[0] = replace(chosen[0], start=float(tries[int(np.argmin(cost))]))
    curve = curve_of(chosen)
    noise = profile_noise([profile], curve.envelope, spread)
    if start.tents is not None:
        noise = replace(noise, shared=curve.shared)
    return fit_curve(curve, curve.layout.free(), profile.fraction, noise), curve


def given_table(
    found: tuple[CurveFit, GivenCurve], level: float, attrs: Mapping[str, Any]
) -> xr.Dataset:
    """Tabulate `fit_given_start`, with the change of ⁶Li."""
    fit, curve = found
    data = [curve.profile]
    excess = curve(fit.value) - curve.start.limits[0]
    change, error = li6_change(fit, excess, data, [1])
    flags = [*fit_flags(fit, curve.layout, data), *gradient_flags(data)]
    if np.any(np.abs(change) > DRIFT * error):
        flags.append("li6_drift")
    return profile_table(
        fit,
        curve.layout,
        data,
        flags=sorted(set(flags)),
        level=level,
        variables=change_columns(change, error),
        attrs={
            "model": "anneal",
            "box_um": curve.view.box,
            "blur_um": curve.view.blur,
            "ends_um": list(curve.view.ends),
            **attrs,
        },
    )

"""From the fraction in the specimen to mean counts per pixel: yields, grooves, the beam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, shift

from lliso._types import FloatArray, IntArray
from lliso.maps.synthetic_parameters import Artefacts, Instrument
from lliso.maps.synthetic_solution import Solved, stream

FWHM_PER_SIGMA = 2.0 * np.sqrt(2.0 * np.log(2.0))
#: points per pixel and direction at which the field is sampled before blurring
_OVERSAMPLE = 3
#: pixels beyond the field of view that the blur may reach into
_MARGIN = 3


@dataclass(frozen=True, eq=False)
class Scene:
    """What lies under the beam, sampled finer than the pixels and somewhat beyond the view.

    `fraction` has the shape (stage, fine y, fine x), `rate` (fine y, fine x) is the relative
    intensity, `grain` the grain of each point; `margin` is in pixels, `pitch` (x, y) in µm.
    """

    fraction: FloatArray
    rate: FloatArray
    grain: IntArray
    margin: int
    pitch: tuple[float, float]
    instrument: Instrument

    def pixels(self, fine: FloatArray) -> FloatArray:
        """Mean over each pixel of the field of view."""
        m = self.margin
        return np.asarray(_binned(fine)[m:-m, m:-m])

    @property
    def label(self) -> IntArray:
        """Grain at each pixel's centre."""
        centre, m = _OVERSAMPLE // 2, self.margin
        return np.asarray(self.grain[centre::_OVERSAMPLE, centre::_OVERSAMPLE][m:-m, m:-m])

    def intensity(self, stage: int, offset: tuple[float, float] = (0.0, 0.0)) -> FloatArray:
        """Mean counts of both isotopes per pixel, with the specimen moved by `offset` µm (x, y).

        Returns
        -------
        array, shape (2, y, x)
        """
        c = self.fraction[stage]
        dx, dy = self.pitch
        sigma = self.instrument.psf_fwhm / FWHM_PER_SIGMA * _OVERSAMPLE / np.array([dy, dx])
        by = np.array([offset[1] / dy, offset[0] / dx]) * _OVERSAMPLE
        out = []
        for part in (c, 1.0 - c):
            blurred = gaussian_filter(part * self.rate, sigma)
            if np.any(by):
                blurred = shift(blurred, by, order=1, mode="nearest")
            out.append(self.pixels(blurred))
        return self.instrument.counts * np.stack(out)


def scene(
    solution: Solved,
    instrument: Instrument,
    fields: Sequence[FloatArray],
    artefacts: Artefacts | None = None,
) -> Scene:
    """Sample the specimen for an instrument (see `Scene`).

    Raises
    ------
    ValueError
        If the drift reaches beyond the specimen.
    """
    nx, ny = instrument.pixels
    x0, y0, x1, y1 = solution.specimen.window
    pitch = ((x1 - x0) / nx, (y1 - y0) / ny)
    reach = 0.0 if artefacts is None else artefacts.reach
    margin = _MARGIN + int(np.ceil(reach / min(pitch)))
    fx, fy = _fine_axis(x0, pitch[0], nx, margin), _fine_axis(y0, pitch[1], ny, margin)
    matrix, grain = solution.sample(fx, fy)
    rate = _relative_yield(solution, instrument, grain, pitch)
    if artefacts is not None and artefacts.groove_depth > 0:
        rate = rate * _grooves(grain, artefacts, pitch)
    rate = rate / _binned(rate)[margin:-margin, margin:-margin].mean()
    fraction = np.stack([(matrix @ f).reshape(grain.shape) for f in fields])
    return Scene(fraction, rate, grain, margin, pitch, instrument)


def _fine_axis(start: float, pitch: float, n: int, margin: int) -> FloatArray:
    k = np.arange((n + 2 * margin) * _OVERSAMPLE)
    return np.asarray(start - margin * pitch + (k + 0.5) * pitch / _OVERSAMPLE)


def _binned(fine: FloatArray) -> FloatArray:
    ny, nx = (n // _OVERSAMPLE for n in fine.shape)
    return np.asarray(fine.reshape(ny, _OVERSAMPLE, nx, _OVERSAMPLE).mean(axis=(1, 3)))


def _relative_yield(
    solution: Solved, instrument: Instrument, grain: IntArray, pitch: tuple[float, float]
) -> FloatArray:
    normal = stream(solution.seed, "yield").standard_normal(len(solution.grain_areas))
    rate = np.exp(instrument.yield_spread * normal)[grain]
    if instrument.topography > 0:
        noise = stream(solution.seed, "topography").standard_normal(grain.shape)
        step = np.array([pitch[1], pitch[0]]) / _OVERSAMPLE
        smooth = gaussian_filter(noise, instrument.topography_length / step, mode="wrap")
        # in a view smaller than the correlation length the mean is far larger than the spread
        smooth -= smooth.mean()
        rate = rate * np.exp(instrument.topography * smooth / smooth.std())
    return np.asarray(rate)


def boundary_distance(grain: IntArray, step: tuple[float, float]) -> FloatArray:
    """Distance of every point of a label image to the nearest boundary; `step` is (y, x).

    >>> boundary_distance(np.array([[0, 0, 1, 1]]), (1.0, 1.0)).tolist()
    [[1.5, 0.5, 0.5, 1.5]]
    """
    inside = np.ones(grain.shape, dtype=bool)
    across = grain[:, 1:] != grain[:, :-1]
    inside[:, 1:] &= ~across
    inside[:, :-1] &= ~across
    down = grain[1:] != grain[:-1]
    inside[1:] &= ~down
    inside[:-1] &= ~down
    # points beside a boundary are half a step from it
    if inside.all():
        return np.full(grain.shape, np.inf)
    distance = np.asarray(distance_transform_edt(inside, sampling=step))
    return np.asarray(distance + 0.5 * min(step))


def _grooves(grain: IntArray, artefacts: Artefacts, pitch: tuple[float, float]) -> FloatArray:
    far = boundary_distance(grain, (pitch[1] / _OVERSAMPLE, pitch[0] / _OVERSAMPLE))
    return np.asarray(1.0 - artefacts.groove_depth * np.exp(-((far / artefacts.groove_width) ** 2)))

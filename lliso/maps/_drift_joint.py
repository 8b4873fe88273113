"""Drift where single frames say little: all frames, species and the path's smoothness at once.

The scene is estimated from all frames but the one that is placed, with a Wiener filter: as much of
each wavelength, and of each combination of species, as the two halves of the stack agree on. Where
only the isotope fraction has contrast, what ⁶Li gains ⁷Li loses, and the filter finds that out.
A frame's place then follows from its likelihood (Poisson counts, taken as normal), and how exactly
from the slopes of the scene. The path through these places is the most probable one of a random
walk in its slope, whose strength is the one that makes the places most probable.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.fft

from lliso._types import BoolArray, FloatArray
from lliso.maps._drift_stack import Stack, inner_window

_ROUNDS = 8
#: a path that changes by less than this, in pixels, has converged
_SETTLED = 0.02
#: a frame is moved by no more than this in one round, pixels
_LARGEST_STEP = 1.0
#: degree of the polynomial of x and y that is taken out of each image, such as the profile
_DEGREE = 3
_BINS = 24
#: times its own error that the agreement of both halves must be to count
_CLEAR = 2.0
#: rms change of slope from frame to frame that is tried, pixels
_BENDS = 10.0 ** np.arange(-3.0, 1.01, 0.25)


def joint_path(stack: Stack, good: BoolArray, start: FloatArray) -> tuple[FloatArray, float]:
    """Return the path (y, x) in pixels, and the scatter of single frames about it.

    `start` must be right to about the width of what is seen in the images, some pixels.
    """
    path = start.copy()
    scatter = 0.0
    for _ in range(_ROUNDS):
        places, information = _placed(stack, good, path)
        columns = [most_probable(y, i) for y, i in zip(places.T, information.T, strict=True)]
        new = np.stack(columns, axis=1)
        scatter = float(np.sqrt(np.mean((places - new)[good] ** 2)))
        step = np.clip(new - path, -_LARGEST_STEP, _LARGEST_STEP)
        path = path + step - step[good].mean(axis=0)
        if np.max(np.abs(step - step[good].mean(axis=0))) < _SETTLED:
            break
    return path, scatter


def most_probable(places: FloatArray, information: FloatArray) -> FloatArray:
    """Draw the path through measured places whose slope changes at random.

    Parameters
    ----------
    places : array, shape (frame,)
        Measured, in pixels.
    information : array, shape (frame,)
        1/variance of each; 0 where nothing was measured.

    Returns
    -------
    array, shape (frame,)
        The posterior mean, with the rms change of slope of the largest marginal likelihood.
    """
    n = places.size
    if n < 3 or np.count_nonzero(information) < 3:
        return places.copy()
    bend = np.diff(np.eye(n), n=2, axis=0)
    roughness = bend.T @ bend
    best, found = -np.inf, places
    for tau in _BENDS:
        precision = np.diag(information) + roughness / tau**2
        mean = np.linalg.solve(precision, information * places)
        misfit = float(information @ (places * (places - mean)))
        likely = -0.5 * (misfit + np.linalg.slogdet(precision)[1]) - (n - 2) * np.log(tau)
        if likely > best:
            best, found = likely, mean
    return np.asarray(found)


def _placed(stack: Stack, good: BoolArray, path: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return where each frame lies by itself, and the information it has about that."""
    flat = _Flat(stack)
    window = inner_window(stack.window.shape, path)
    halves: Any = [0, 0]
    number = np.cumsum(good)
    for f, image in stack.images("drift, all frames together"):
        if good[f]:
            spectrum = scipy.fft.rfft2(flat(image))
            halves[number[f] % 2] = halves[number[f] % 2] + stack.half_moved(spectrum, -path[f])
    n = int(good.sum())
    noise = stack.usual  # variance of a pixel in one frame, by species
    share = _wiener(stack, halves, window, noise, n)
    total = halves[0] + halves[1]
    places, information = path.copy(), np.zeros_like(path)
    for f, image in stack.images("drift, all frames together"):
        if not good[f]:
            continue
        spectrum = scipy.fft.rfft2(flat(image))
        others = total - stack.half_moved(spectrum, -path[f])
        scene = np.einsum("ab...,b...->a...", share, others) / (n - 1)
        move, exact = _move(stack, spectrum, scene, window, path[f], noise)
        places[f], information[f] = path[f] + move, exact
    return places, information


def _move(
    stack: Stack, spectrum: Any, scene: Any, window: Any, at: FloatArray, noise: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Newton's step of a frame's likelihood from `at`, and the information about both axes."""
    shape = window.shape
    here = scipy.fft.irfft2(stack.half_moved(spectrum, -at), s=shape)
    there = scipy.fft.irfft2(scene, s=shape)
    waves = (2j * np.pi * stack.ky, 2j * np.pi * stack.half_kx)
    slopes = [scipy.fft.irfft2(scene * wave, s=shape) for wave in waves]
    weight = window / noise[:, None, None]
    rest = weight * (here - there)
    # Moved by +p, an image changes by -slope * p.
    score = -np.array([np.sum(rest * s) for s in slopes], dtype=float)
    exact = np.array([[np.sum(weight * a * b) for a in slopes] for b in slopes], dtype=float)
    if not (exact[0, 0] > 0 and np.linalg.det(exact) > 0):
        return np.zeros(2), np.zeros(2)
    return np.asarray(np.linalg.solve(exact, score)), np.diag(exact)


def _wiener(stack: Stack, halves: Any, window: Any, noise: FloatArray, n: int) -> Any:
    """Share of the sum of frames that is scene: matrices (species, species, y, x of half)."""
    shape = window.shape
    radius = np.hypot(stack.ky, stack.half_kx)
    index = np.minimum((radius / 0.5 * _BINS).astype(int), _BINS - 1).ravel()
    sides = np.array([(n + 1) // 2, n // 2], dtype=float)[::-1]
    a, b = (
        scipy.fft.rfft2(scipy.fft.irfft2(half, s=shape) * window) / side
        for half, side in zip(halves, sides, strict=True)
    )
    modes = np.bincount(index, np.broadcast_to(stack.twice, radius.shape).ravel(), _BINS)
    m = noise.size
    pixels = float(np.sum(window.astype(float) ** 2))
    power = np.zeros((_BINS, m, m))
    for i in range(m):
        for j in range(m):
            cross = 0.5 * (a[i] * b[j].conj() + b[i] * a[j].conj()).real * stack.twice
            power[:, i, j] = np.bincount(index, cross.ravel(), _BINS) / np.maximum(modes, 1)
    power /= pixels
    signal = np.empty_like(power)
    root = np.sqrt(noise)
    for k in range(_BINS):  # in units of the noise, which is then the same for all species
        values, vectors = np.linalg.eigh(power[k] / np.outer(root, root))
        least = _CLEAR * 2.0 / n / np.sqrt(max(modes[k], 1.0))
        values = np.where(values > least, values, 0.0)
        kept = vectors * (values / (values + 1.0 / (n - 1))) @ vectors.T
        signal[k] = root[:, None] * kept / root[None, :]
    centres = (np.arange(_BINS) + 0.5) * 0.5 / _BINS
    out = np.empty((m, m, *radius.shape), dtype=np.float32)
    for i in range(m):
        for j in range(m):
            out[i, j] = np.interp(radius, centres, signal[:, i, j])
    return out


class _Flat:
    """Takes a polynomial of x and y out of images."""

    def __init__(self, stack: Stack) -> None:
        self.bases = [
            np.linalg.qr(np.vander(np.linspace(-1, 1, n), _DEGREE + 1))[0].astype(np.float32)
            for n in stack.window.shape
        ]

    def __call__(self, image: Any) -> Any:
        qy, qx = self.bases
        return image - qy @ (qy.T @ image @ qx) @ qx.T

"""What a detector makes of mean counts: dead time, background, mass effects, drift, decay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lliso._types import FloatArray, IntArray
from lliso.maps.synthetic_parameters import Artefacts
from lliso.maps.synthetic_render import Scene
from lliso.maps.synthetic_solution import stream


@dataclass(frozen=True, eq=False)
class Detected:
    """Counts of one stage, shape (2, frame, y, x), and how they came about.

    `offset` (frame, 2) is the drift of the specimen in µm (x, y), `current` (frame,) the beam
    current relative to its mean.
    """

    counts: IntArray
    offset: FloatArray
    current: FloatArray


def mass_effects(intensity: FloatArray, artefacts: Artefacts) -> FloatArray:
    """Return mean counts at masses 6 and 7 from those of ⁶Li and ⁷Li; shape (2, ...).

    Instrumental mass fractionation multiplies the ratio ⁶Li/⁷Li by K at equal total; then a
    share h of the ⁶Li signal appears as ⁶LiH on mass 7; then the background is added.

    Examples
    --------
    >>> m6, m7 = mass_effects(np.array([200.0, 800.0]), Artefacts(mass_fractionation=1.1))
    >>> round(float(m6 / m7), 12), round(float(m6 + m7), 9)
    (0.275, 1000.0)
    """
    n6, n7 = intensity
    k = artefacts.mass_fractionation
    scale = (n6 + n7) / (k * n6 + n7)
    m6, m7 = k * n6 * scale, n7 * scale
    return np.stack(
        [m6 + artefacts.background[0], m7 + artefacts.hydride * m6 + artefacts.background[1]]
    )


def drift_path(artefacts: Artefacts, seed: int, stage: int) -> FloatArray:
    """Offset of the specimen in each frame, shape (frame, 2), mean 0, in µm (x, y).

    A straight line of the length `drift` in a random direction, with a random walk of a tenth.
    """
    n = artefacts.frames
    if n == 1 or artefacts.drift == 0:
        return np.zeros((n, 2))
    rng = stream(seed, "drift", stage)
    angle = rng.uniform(0.0, 2.0 * np.pi)
    line = np.linspace(-0.5, 0.5, n)[:, None] * [np.cos(angle), np.sin(angle)]
    walk = np.cumsum(rng.standard_normal((n, 2)), axis=0) * 0.1 / np.sqrt(n)
    path = artefacts.drift * (line + walk)
    return np.asarray(path - path.mean(axis=0))


def detect(under_beam: Scene, stage: int, artefacts: Artefacts, seed: int) -> Detected:
    """Count one stage of a scene frame by frame.

    With `shots`, a single-stop detector registers at most one ion of each mass per shot: m of N
    shots with m binomial of 1 - exp(-n/N) (Stephan, Zehnpfenning, Benninghoven, J. Vac. Sci.
    Technol. A 12 (1994) 405). Otherwise counts are Poisson.
    """
    frames = artefacts.frames
    offset = drift_path(artefacts, seed, stage)
    current = np.exp(-artefacts.current_decay * np.arange(frames) / max(frames - 1, 1))
    current /= current.mean()
    counts = []
    still = None
    for f in range(frames):
        moved = bool(np.any(offset[f]))
        if moved or still is None:
            mean = mass_effects(under_beam.intensity(stage, tuple(offset[f])), artefacts)
            still = None if moved else mean
        else:
            mean = still
        mean = mean * current[f] / frames
        rng = stream(seed, "counts", stage * 10_000 + f)
        if artefacts.shots:
            shots = max(artefacts.shots // frames, 1)
            counts.append(rng.binomial(shots, -np.expm1(-mean / shots)))
        else:
            counts.append(rng.poisson(mean))
    return Detected(np.stack(counts, axis=1), offset, current)

r"""A chain of grains exactly: eigenfunctions of the whole chain, without cells and time steps.

In each grain an eigenfunction is :math:`A\cos qu + B\sin qu`, :math:`q = \sqrt{\lambda/D}`; flux is
continuous at a boundary and C jumps by J/P. Followed from the closed far end, the phase of
(C, J) turns one way and turns faster for larger λ, so that the n-th eigenvalue is where it has
turned by (n + ½)π (source held) or nπ (closed): none is missed and none is found twice. Arrays in,
arrays out; any consistent set of units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lliso._types import FloatArray
from lliso.diffusion.chain import Chain
from lliso.diffusion.polycrystal import Stage

#: eigenfunctions damped by more than exp(-40) are left out
_DAMPED = 40.0
MOST_MODES = 600


@dataclass(frozen=True, eq=False)
class ChainProfile:
    """C along a chain: in grain g, rest + Σ a cos q u + b sin q u, u from the grain's far edge.

    Attributes
    ----------
    edges : numpy.ndarray, shape (grain + 1,)
    rest : float
        The part that stays: the source, or 0 for a closed chain (its mean is a mode with q = 0).
    q, a, b : numpy.ndarray, shape (grain, mode)
    """

    edges: FloatArray
    rest: float
    q: FloatArray
    a: FloatArray
    b: FloatArray

    def value(self, x: Any) -> FloatArray:
        """C at positions; at a boundary, that of the later grain.

        Parameters
        ----------
        x : array_like, shape (n,)

        Returns
        -------
        numpy.ndarray, shape (n,)
        """
        at = np.atleast_1d(np.asarray(x, dtype=float))
        n = len(self.edges) - 1
        grain = np.clip(np.searchsorted(self.edges, at, side="right") - 1, 0, n - 1)
        phase = self.q[grain] * (at - self.edges[grain + 1])[:, None]
        waves = self.a[grain] * np.cos(phase) + self.b[grain] * np.sin(phase)
        return np.asarray(self.rest + waves.sum(axis=1))

    def amount(self) -> float:
        """∫ C dx over the chain."""
        return float(np.sum(self.grain_means() * np.diff(self.edges)))

    def grain_means(self) -> FloatArray:
        """Mean C of each grain, shape (grain,)."""
        size = np.diff(self.edges)[:, None]
        even, odd = _sine_integral(self.q, size), _cosine_integral(self.q, size)
        return np.asarray(self.rest + ((self.a * even - self.b * odd) / size).sum(axis=1))

    def steps(self) -> FloatArray:
        """Jump of C at each boundary, later minus earlier grain, shape (grain - 1,)."""
        phase = -self.q * np.diff(self.edges)[:, None]
        near = (self.a * np.cos(phase) + self.b * np.sin(phase)).sum(axis=1)
        far = self.a.sum(axis=1)
        return np.asarray(near[1:] - far[:-1])


def solve_chain(chain: Chain, stages: Sequence[Stage], *, initial: float) -> list[ChainProfile]:
    """Profile at the end of each stage, exact in space and time.

    Parameters
    ----------
    chain : Chain
        Its cells play no part; no boundary with P = 0.
    stages : sequence of Stage
        With a source, C is held at the first edge (through `chain.exchange`); without, the chain
        is closed. The far end is closed.
    initial : float
        C at the start, everywhere.

    Returns
    -------
    list of ChainProfile

    Raises
    ------
    ValueError
        If a boundary has P = 0, or a stage is so short that too many eigenfunctions are left.

    Examples
    --------
    >>> from lliso.diffusion.chain import chain_of
    >>> chain = chain_of([16.0] * 20, permeability=0.012, diffusivity=2.6)
    >>> a, b = solve_chain(chain, [Stage(2e4, source=0.95), Stage(1e5)], initial=0.0759)
    >>> bool(np.isclose(a.amount(), b.amount(), rtol=1e-13))
    True
    """
    if np.any(chain.permeability == 0):
        raise ValueError(
            "permeability of an exact chain must be positive, got 0; solve both parts apart"
        )
    n = len(chain.diffusivity)
    flat = np.zeros((n, 1))
    state = ChainProfile(chain.edges, 0.0, flat, flat + float(initial), flat)
    out = []
    for stage in stages:
        if stage.duration > 0:
            state = _advance(chain, stage, state)
        out.append(state)
    return out


def _advance(chain: Chain, stage: Stage, state: ChainProfile) -> ChainProfile:
    d = stage.bulk_factor * chain.diffusivity
    with np.errstate(divide="ignore"):
        resistance = 1.0 / (stage.boundary_factor * chain.permeability)
        surface = 1.0 / np.float64(stage.boundary_factor * chain.exchange)
    held = stage.source is not None
    if held and np.isinf(surface):
        held = False  # nothing comes in
    size = np.diff(chain.edges)
    ladder = _Ladder(d, size, resistance, float(surface) if held else None)
    values = ladder.eigenvalues(_DAMPED / stage.duration)
    q = np.sqrt(values[None, :] / d[:, None])
    a, b = ladder.functions(values)
    rest = float(stage.source) if held and stage.source is not None else 0.0
    norm = np.sum(_overlap(q, a, b, q, a, b, size, own=True), axis=0)
    start = _shifted(state, rest)
    share = _overlap(q, a, b, *start, size) / norm * np.exp(-values * stage.duration)
    return ChainProfile(chain.edges, rest, q, a * share, b * share)


def _shifted(state: ChainProfile, rest: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Waves of a profile less `rest`, with the difference of constants as a wave of q = 0."""
    zero = np.zeros((len(state.q), 1))
    constant = zero + (state.rest - rest)
    return (
        np.hstack([zero, state.q]),
        np.hstack([constant, state.a]),
        np.hstack([zero, state.b]),
    )


def _sine_integral(k: FloatArray, size: FloatArray) -> FloatArray:
    """∫ cos(ku) du from -size to 0."""
    return np.asarray(size * np.sinc(k * size / np.pi))


def _cosine_integral(k: FloatArray, size: FloatArray) -> FloatArray:
    """-∫ sin(ku) du from -size to 0, (1 - cos(k size))/k."""
    half = 0.5 * k * size
    return np.asarray(size * half * np.sinc(half / np.pi) ** 2)


def _overlap(
    q: FloatArray,
    a: FloatArray,
    b: FloatArray,
    q2: FloatArray,
    a2: FloatArray,
    b2: FloatArray,
    size: FloatArray,
    *,
    own: bool = False,
) -> FloatArray:
    """∫ of each first function times the sum of the second ones (`own`: times itself, by grain)."""
    if own:
        length = size[:, None]
        even = 0.5 * (length + _sine_integral(2.0 * q, length))
        odd = 0.5 * (length - _sine_integral(2.0 * q, length))
        mixed = 0.5 * _cosine_integral(2.0 * q, length)
        return np.asarray(a**2 * even + b**2 * odd - 2.0 * a * b * mixed)
    total = np.zeros(q.shape[1])
    for g, length in enumerate(size):
        minus, plus = np.subtract.outer(q[g], q2[g]), np.add.outer(q[g], q2[g])
        near, far = _sine_integral(minus, length), _sine_integral(plus, length)
        slow, fast = _cosine_integral(minus, length), _cosine_integral(plus, length)
        total += a[g] * (0.5 * (near + far) @ a2[g]) + b[g] * (0.5 * (near - far) @ b2[g])
        total -= b[g] * (0.5 * (fast + slow) @ a2[g]) + a[g] * (0.5 * (fast - slow) @ b2[g])
    return total


@dataclass(frozen=True, eq=False)
class _Ladder:
    """A chain as the phase of (C, J) climbs it; `surface` is 1/k, None for a closed first end."""

    d: FloatArray
    size: FloatArray
    resistance: FloatArray
    surface: float | None

    def phase(self, values: FloatArray) -> FloatArray:
        """Angle of (C, J) at the first edge, in radians, for each λ > 0."""
        angle = np.zeros_like(values)
        scale = np.sqrt(self.d[-1] * values)  # of J in units of C: D q
        for g in range(len(self.d) - 1, -1, -1):
            wanted = np.sqrt(self.d[g] * values)
            angle = _rescaled(angle, scale / wanted)
            scale = wanted
            angle = angle + np.sqrt(values / self.d[g]) * self.size[g]
            if g:
                angle = _sheared(angle, self.resistance[g - 1] * scale)
        if self.surface:
            angle = _sheared(angle, self.surface * scale)
        return angle

    def eigenvalues(self, largest: float) -> FloatArray:
        """All eigenvalues below `largest`, growing."""
        top = float(self.phase(np.array([largest]))[0])
        closed = self.surface is None
        number = int(np.floor(top / np.pi)) if closed else int(np.floor(top / np.pi + 0.5))
        if number > MOST_MODES:
            raise ValueError(
                f"a stage must be long enough for {MOST_MODES} eigenfunctions, got one that needs "
                f"{number}; use run_chain"
            )
        first = np.zeros(1) if closed else np.zeros(0)
        if number == 0 and not closed:
            number = 1  # what is left is below rounding, but a profile needs a shape
        targets = np.pi * (np.arange(1, number + 1) - (0.0 if closed else 0.5))
        low, high = np.zeros(number), np.full(number, largest)
        while np.any(self.phase(high) < targets):
            high = np.where(self.phase(high) < targets, 2.0 * high, high)
        for _ in range(70):
            middle = 0.5 * (low + high)
            above = self.phase(middle) > targets
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return np.concatenate([first, 0.5 * (low + high)])

    def functions(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Coefficients A and B in each grain, shapes (grain, mode)."""
        n = len(self.d)
        a, b = np.zeros((n, values.size)), np.zeros((n, values.size))
        c, flux = np.ones(values.size), np.zeros(values.size)
        safe = np.where(values > 0, values, 1.0)
        for g in range(n - 1, -1, -1):
            q = np.sqrt(values / self.d[g])
            a[g] = c
            b[g] = np.where(values > 0, flux / np.sqrt(self.d[g] * safe), 0.0)
            cos, sin = np.cos(q * self.size[g]), np.sin(q * self.size[g])
            c, flux = a[g] * cos - b[g] * sin, self.d[g] * q * (b[g] * cos + a[g] * sin)
            if g:
                c = c - self.resistance[g - 1] * flux
        return a, b


def _rescaled(angle: FloatArray, factor: FloatArray) -> FloatArray:
    """Angle of (C, factor · J): it stays in its quadrant."""
    sin, cos = np.sin(angle), np.cos(angle)
    turn = np.arctan2(factor * sin, cos) - np.arctan2(sin, cos)
    return np.asarray(angle + turn)


def _sheared(angle: FloatArray, resistance: FloatArray) -> FloatArray:
    """Angle of (C - resistance · J, J): it stays in its half plane."""
    sin, cos = np.sin(angle), np.cos(angle)
    turn = np.arctan2(sin, cos - resistance * sin) - np.arctan2(sin, cos)
    return np.asarray(angle + turn)

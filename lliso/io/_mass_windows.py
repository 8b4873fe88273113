"""Images of mass intervals: which is which isotope, and which of them overlap."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from lliso.errors import FormatError
from lliso.schema import LI6, LI7

#: m/z of the singly charged isotopes (AME2020, electron mass neglected: 0.0005)
LITHIUM = {LI6: 6.0151, LI7: 7.0160}


#: m/z from which counts of a spectrum are summed if nothing else is asked for; 6LiH at 7.023 cannot
#: be told from 7Li at most mass resolutions
LITHIUM_WINDOWS = {LI6: (5.915, 6.115), LI7: (6.916, 7.116)}


def check_windows(windows: Mapping[str, tuple[float, float]]) -> None:
    """Raise if windows that a person gave make no sense.

    Raises
    ------
    ValueError
        If there is none, one is not (lower, upper), or two overlap.
    """
    ordered = sorted((float(lo), float(hi), name) for name, (lo, hi) in windows.items())
    for lo, hi, name in ordered:
        if not 0 <= lo < hi < np.inf:
            raise ValueError(
                f"the window of {name} must be (lower, upper) m/z, got ({lo:g}, {hi:g})"
            )
    for (_, hi, one), (lo, _, other) in pairwise(ordered):
        if lo < hi:
            raise ValueError(
                f"windows must not overlap, those of {one} and {other} do: {lo:g} < {hi:g} m/z"
            )
    if not ordered:
        raise ValueError("windows must name at least one species, got none")


def first_bad(mz: Any) -> int | None:
    """Return the first interval that is not ``0 <= lower <= centre <= upper``; None if all are.

    Parameters
    ----------
    mz : array, shape (n, 3)
        Centre, lower and upper m/z.
    """
    centre, lower, upper = mz.T
    good = np.isfinite(mz).all(axis=1) & (lower >= 0) & (lower <= centre) & (centre <= upper)
    return None if good.all() else int(np.argmin(good))


def labels_of(path: str | os.PathLike[str], mz: Any) -> list[str]:
    """Return one label for each interval, by its m/z; 6Li and 7Li for those that hold them.

    Raises
    ------
    FormatError
        If two intervals could both be 6Li or 7Li.
    """
    _, lower, upper = mz.T
    inside = {name: (lower <= m) & (m <= upper) for name, m in LITHIUM.items()}
    both = inside[LI6] & inside[LI7]  # a window that holds both is a total, or of no use here
    labels = [f"m/z {c:.2f}" for c in mz[:, 0]]
    for name in LITHIUM:
        found = np.flatnonzero(inside[name] & ~both)
        if found.size > 1:
            windows = " and ".join(_window(mz[i]) for i in found)
            raise FormatError(
                path,
                None,
                f"the mass windows {windows} overlap and could each be {name}; export the file "
                "with one window per isotope",
            )
        for i in found:
            labels[i] = name
    for i in np.flatnonzero(both):
        labels[i] = f"m/z {lower[i]:g} to {upper[i]:g}"
    return different(labels, mz)


def different(labels: list[str], mz: Any) -> list[str]:
    """Spell out labels that occur twice, first by the window, then by the position."""
    twice = [label for label in labels if labels.count(label) > 1]
    labels = [
        f"{label} ({mz[i, 1]:.5g} to {mz[i, 2]:.5g})" if label in twice else label
        for i, label in enumerate(labels)
    ]
    return [
        f"{label} no. {i}" if labels.count(label) > 1 else label for i, label in enumerate(labels)
    ]


def overlaps(mz: Any) -> str:
    """Name the neighbouring windows that overlap (totals, which hold everything, left out)."""
    narrow = sorted((row for row in mz if row[2] - row[1] < 1.0), key=lambda row: float(row[1]))
    return "; ".join(f"{_window(a)} with {_window(b)}" for a, b in pairwise(narrow) if b[1] < a[2])


def _window(interval: Any) -> str:
    return f"{interval[1]:.4g} to {interval[2]:.4g} m/z (centre {interval[0]:.4g})"

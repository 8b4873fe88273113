"""Is an isotope fraction the same at every depth? One depth profile becomes one point of a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lliso._types import FloatArray, IntArray

#: beyond these a profile is called not uniform: 0.27 % and 0.1 % of uniform ones are, too
Z_LIMIT = 3.0
P_LIMIT = 1.0e-3
#: χ² needs this many expected counts of each isotope in a group of points
_EXPECTED = 5.0


@dataclass(frozen=True)
class DepthCheck:
    """How a fraction changes along a depth profile.

    Parameters
    ----------
    fraction : float
        Counts of the first isotope over those of both, whole profile.
    trend : float
        Change of the fraction from the first point to the last, by the slope of the test.
    z : float
        The Cochran–Armitage statistic of that trend, standard normal for a uniform fraction.
    chi2_red : float
        χ² of the fraction in groups of neighbouring points about its mean, per degree of freedom.
    p : float
        Probability of a χ² as large or larger if the fraction is uniform.
    """

    fraction: float
    trend: float
    z: float
    chi2_red: float
    p: float

    @property
    def uniform(self) -> bool:
        """True if neither the trend nor χ² speaks against one fraction at all depths."""
        return not (abs(self.z) > Z_LIMIT or self.p < P_LIMIT)


def check_depth(first: FloatArray, second: FloatArray, depth: FloatArray) -> DepthCheck:
    r"""Test whether the fraction of two isotopes is uniform in depth.

    .. math:: z = \frac{\sum (a_i - N_i F)(t_i - \bar t)}{\sqrt{F(1-F) \sum N_i (t_i - \bar t)^2}}

    with :math:`\bar t` weighted by :math:`N_i`: the test for a linear trend in proportions of
    Cochran (Biometrics 10 (1954) 417) and Armitage (Biometrics 11 (1955) 375). It needs no minimum
    of counts per point. The yield of both isotopes together may change with depth as it likes.

    Parameters
    ----------
    first, second : array, shape (point,)
        Counts of the two isotopes.
    depth : array, shape (point,)
        Depth, sputter time or dose; only its linear scale matters.

    Returns
    -------
    DepthCheck
        NaN where there are too few counts or points to tell.

    Examples
    --------
    >>> import numpy as np
    >>> check_depth(np.array([10.0, 30.0]), np.array([90.0, 70.0]), np.array([0.0, 1.0])).z
    3.5355
    """
    from scipy.stats import chi2

    n = first + second
    total = float(n.sum())
    nan = float("nan")
    if total <= 0:
        return DepthCheck(nan, nan, nan, nan, nan)
    f = float(first.sum()) / total
    t = depth - float((n * depth).sum()) / total
    spread = float((n * t**2).sum())
    noise = f * (1 - f)
    if spread <= 0 or noise <= 0:
        return DepthCheck(f, nan, nan, nan, nan)
    score = float(((first - n * f) * t).sum())
    slope = score / spread
    groups = _groups(n * min(f, 1 - f))
    a, m = (np.bincount(groups, weights=v) for v in (first, n))
    freedom = a.size - 1
    value = float(((a - m * f) ** 2 / (m * noise)).sum())
    return DepthCheck(
        fraction=f,
        trend=slope * float(depth[-1] - depth[0]),
        z=score / float(np.sqrt(noise * spread)),
        chi2_red=value / freedom if freedom else nan,
        p=float(chi2.sf(value, freedom)) if freedom else nan,
    )


def _groups(expected: FloatArray) -> IntArray:
    """Return the group of each point: neighbours, with enough expected counts together."""
    numbers = np.zeros(expected.size, dtype=np.intp)
    group, inside = 0, 0.0
    for i, e in enumerate(expected):
        if inside >= _EXPECTED:
            group, inside = group + 1, 0.0
        numbers[i] = group
        inside += float(e)
    if inside < _EXPECTED and group:
        numbers[numbers == group] = group - 1
    return numbers

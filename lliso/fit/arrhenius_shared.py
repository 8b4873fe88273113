"""Several Arrhenius series with one activation energy, and whether they have one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from lliso._types import FloatArray
from lliso.diffusion.transport import BOLTZMANN
from lliso.fit.activated import checked_points, inside, name_and_unit
from lliso.fit.arrhenius import ArrheniusFit, fit_arrhenius, fit_points


@dataclass(frozen=True, eq=False)
class SharedArrhenius:
    """Series with an activation energy in common.

    Attributes
    ----------
    names : tuple of str
    energy, energy_std : float
        The common E_a in eV.
    log_prefactor : numpy.ndarray, shape (series,)
        ln D₀ of each series.
    covariance : numpy.ndarray, shape (series + 1, series + 1)
        Of the ln D₀ and, last, E_a.
    chi2, dof : float, int
    equal_p : float
        Probability of energies as different as those of the separate fits if they are equal.
    equal : bool
        ``equal_p`` is at least 5 %.
    separate : dict of str to ArrheniusFit
        The series each on its own.
    fits : dict of str to ArrheniusFit
        The series with the common energy, for predictions and figures.
    """

    names: tuple[str, ...]
    energy: float
    energy_std: float
    log_prefactor: FloatArray
    covariance: FloatArray
    chi2: float
    dof: int
    equal_p: float
    separate: dict[str, ArrheniusFit]
    fits: dict[str, ArrheniusFit]

    @property
    def equal(self) -> bool:
        """Whether one energy is compatible with the series."""
        return bool(self.equal_p >= 0.05)

    def prefactor_ratio(self, one: str, other: str) -> tuple[float, float]:
        """Ratio of two prefactors and its standard error, the common E_a drops out.

        Raises
        ------
        ValueError
            If there is no series of that name.
        """
        for name in (one, other):
            if name not in self.names:
                raise ValueError(f"name must be one of {', '.join(self.names)}, got {name!r}")
        i, j = self.names.index(one), self.names.index(other)
        ratio = float(np.exp(self.log_prefactor[i] - self.log_prefactor[j]))
        c = self.covariance
        return ratio, ratio * float(np.sqrt(max(c[i, i] + c[j, j] - 2 * c[i, j], 0.0)))


def fit_arrhenius_shared(
    series: Mapping[str, tuple[Any, ...]],
    *,
    window: tuple[Any, Any] | None = None,
    unit: str = "cm2/s",
) -> SharedArrhenius:
    """Fit several series with one activation energy and a prefactor each.

    Parameters
    ----------
    series : mapping of str to (temperature, value, std)
        As the arguments of `fit_arrhenius`; every series with its errors.
    window : (low, high), optional
        Range of temperatures used, for all.
    unit : str

    Returns
    -------
    SharedArrhenius

    Raises
    ------
    ValueError
        As `fit_arrhenius`; if there are fewer than two series, or one has no errors (then nothing
        says how to weigh them against each other).

    Examples
    --------
    >>> t = np.array([295.15, 373.15, 473.15])
    >>> both = {n: (t, a * np.exp(-0.43 / (8.617333262e-5 * t)), 1e-10)
    ...         for n, a in (("tracer", 0.048), ("charge", 0.20))}
    >>> found = fit_arrhenius_shared(both)
    >>> round(found.energy, 6), round(found.prefactor_ratio("tracer", "charge")[0], 6)
    (0.43, 0.24)
    """
    if len(series) < 2:
        raise ValueError(f"a shared energy needs at least two series, got {len(series)}")
    points, separate = {}, {}
    for name, given in series.items():
        if len(given) != 3 or given[2] is None:
            raise ValueError(f"the series {name!r} must be (temperature, value, std)")
        t, v, cov = checked_points(*given)
        keep = inside(t, window)
        variance = np.empty(0) if cov is None else np.diag(cov)[keep]
        points[name] = (t[keep], v[keep], np.sqrt(variance))
        separate[name] = fit_arrhenius(
            *given, window=window, name=name, unit=name_and_unit(given[1], name, unit)[1]
        )
    beta, c, chi2 = _joint(list(points.values()))
    k = len(points)
    n = sum(t.size for t, _, _ in points.values())
    apart = sum(f.chi2 for f in separate.values())
    fits = {}
    for i, (name, (t, v, s)) in enumerate(points.items()):
        own = [i, k]
        fits[name] = fit_points(
            t, v, np.diag(s**2), name, separate[name].unit, given=(beta[own], c[np.ix_(own, own)])
        )
    return SharedArrhenius(
        names=tuple(points),
        energy=float(beta[k]),
        energy_std=float(np.sqrt(c[k, k])),
        log_prefactor=beta[:k],
        covariance=c,
        chi2=chi2,
        dof=n - k - 1,
        equal_p=float(stats.chi2.sf(max(chi2 - apart, 0.0), k - 1)),
        separate=separate,
        fits=fits,
    )


def _joint(
    points: list[tuple[FloatArray, FloatArray, FloatArray]],
) -> tuple[FloatArray, FloatArray, float]:
    """Values and covariance of (ln D₀ of each, E_a), and χ²."""
    k = len(points)
    u = [1.0 / (BOLTZMANN * t) for t, _, _ in points]
    centre = float(np.concatenate(u).mean())
    rows, seen = [], []
    for i, ((_, v, s), own) in enumerate(zip(points, u, strict=True)):
        block = np.zeros((own.size, k + 1))
        block[:, i], block[:, k] = 1.0, centre - own
        rows.append(block / s[:, None])
        seen.append(np.log(v) / s)
    a, b = np.concatenate(rows), np.concatenate(seen)
    q, r = np.linalg.qr(a)
    inverse = np.linalg.inv(r)
    mean = inverse @ (q.T @ b)
    chi2 = float(np.sum((b - a @ mean) ** 2))
    back = np.eye(k + 1)
    back[:k, k] = centre  # from the middle of the data to 1/T = 0
    return back @ mean, back @ inverse @ inverse.T @ back.T, chi2

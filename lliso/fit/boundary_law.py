r"""The Arrhenius law of the boundaries, fitted to D_eff at all temperatures at once.

At high temperature the grains are all of the resistance, and l P of single points is lost in the
errors, negative or not there. Choosing the points where it is there chooses those with noise to one
side. The law itself needs no choice: ln D_eff = −ln(1/D_bulk + exp(E_a/kT)/D₀) is fitted to all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import lmfit
import numpy as np
from scipy import optimize, stats

from lliso._types import FloatArray
from lliso.diffusion.transport import BOLTZMANN
from lliso.diffusion.transport import boundary_part as part_of
from lliso.fit.activated import checked_points, inside, name_and_unit
from lliso.fit.arrhenius import ArrheniusFit, fit_arrhenius


def log_d_eff(
    temperature: FloatArray, d_bulk: FloatArray, log_prefactor: float, energy: float
) -> FloatArray:
    """Return ln D_eff by eq. (6), what `BoundaryLawModel` fits.

    Examples
    --------
    >>> d = np.exp(log_d_eff(np.array([295.15]), np.array([2.6e-8]), np.log(0.048), 0.43))
    >>> f"{d[0]:.2e}"
    '2.01e-09'
    """
    across = log_prefactor - energy / (BOLTZMANN * np.asarray(temperature))
    return np.asarray(-np.logaddexp(-np.log(d_bulk), -across))


class BoundaryLawModel(lmfit.Model):
    """ln D_eff against T and D_bulk: parameters ``log_prefactor`` (ln of l P) and ``energy`` (eV).

    Examples
    --------
    >>> model = BoundaryLawModel()
    >>> model.param_names
    ['log_prefactor', 'energy']
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("independent_vars", ["temperature", "d_bulk"])
        super().__init__(log_d_eff, **kwargs)


def fit_boundary_law(
    temperature: Any,
    d_eff: Any,
    d_bulk: Any,
    d_eff_std: Any,
    d_bulk_std: Any,
    *,
    window: tuple[Any, Any] | None = None,
    name: str = "boundary",
) -> ArrheniusFit:
    r"""Fit l P = D₀ exp(−E_a/kT) to D_eff (or D_σ,total) with the D_bulk measured beside it.

    .. math:: \frac{1}{D_\mathrm{eff}} = \frac{1}{D_\mathrm{bulk}} + \frac{e^{E_a/kT}}{D_0}

    Parameters
    ----------
    temperature : array_like, shape (n,)
        K, or strings with a unit.
    d_eff, d_bulk, d_eff_std, d_bulk_std : array_like
        cm²/s. The true D_bulk of every point is an unknown of the fit, held by
        its measured value and error.
    window : (low, high), optional
        Range of temperatures used.
    name : str

    Returns
    -------
    ArrheniusFit
        Its points are those l P that are positive; χ² and covariance are of all points.

    Raises
    ------
    ValueError
        As `lliso.fit_arrhenius`; if no D_eff is below its D_bulk, so that nothing is known of the
        boundaries.

    References
    ----------
    Eq. (6) of G. Hasegawa et al., J. Mater. Chem. A 12 (2024) 731.

    Examples
    --------
    >>> t = np.array([295.15, 373.15, 473.15, 673.15])
    >>> bulk = 0.0246 * np.exp(-0.35 / (8.617333262e-5 * t))
    >>> total = np.exp(log_d_eff(t, bulk, np.log(0.048), 0.43))
    >>> fit = fit_boundary_law(t, total, bulk, 0.08 * total, 0.1 * bulk)
    >>> round(fit.energy, 6), round(fit.prefactor, 6)
    (0.43, 0.048)
    """
    t, total, cov = checked_points(temperature, d_eff, d_eff_std)
    _, grain, cov_bulk = checked_points(temperature, d_bulk, d_bulk_std)
    if cov is None or cov_bulk is None:
        raise ValueError("fit_boundary_law needs the errors of d_eff and of d_bulk")
    keep = inside(t, window)
    t, total, grain = t[keep], total[keep], grain[keep]
    var, var_bulk = np.diag(cov)[keep], np.diag(cov_bulk)[keep]
    value, r, r_std = part_of(total, grain, total * np.sqrt(var), grain * np.sqrt(var_bulk))
    there = np.isfinite(value)
    if np.unique(t[there]).size < 2:
        raise ValueError(
            "d_eff must be below d_bulk at two temperatures at least for a law of the boundaries, "
            f"got {np.unique(t[there]).size}"
        )
    seen = fit_arrhenius(
        t[there],
        value[there],
        (r_std / r**2)[there],
        name=name,
        unit=name_and_unit(d_eff, name, "cm2/s")[1],
    )
    return _refined(seen, t, np.log(total), grain, var, var_bulk)


def _refined(
    start: ArrheniusFit,
    t: FloatArray,
    y: FloatArray,
    grain: FloatArray,
    var: FloatArray,
    var_bulk: FloatArray,
) -> ArrheniusFit:
    """Most likely law, with the true D_bulk of every point beside it as an unknown."""
    u, seen = 1.0 / (BOLTZMANN * t), np.log(grain)
    std, std_bulk = np.sqrt(var), np.sqrt(var_bulk)
    centre = float(u.mean())  # ln of l P in the middle of the data: nearly independent of E_a

    def misfit(p: FloatArray) -> FloatArray:
        across = p[0] - p[1] * (u - centre)
        total = -np.logaddexp(-p[2:], -across)
        return np.concatenate([(y - total) / std, (seen - p[2:]) / std_bulk])

    def slopes(p: FloatArray) -> FloatArray:
        across = p[0] - p[1] * (u - centre)
        of_boundary = 1.0 / (1.0 + np.exp(across - p[2:]))  # share in the resistance
        upper = np.column_stack(
            [-of_boundary, of_boundary * (u - centre), -np.diag(1.0 - of_boundary)]
        )
        lower = np.column_stack([np.zeros((t.size, 2)), -np.eye(t.size)])
        return np.concatenate([upper / std[:, None], lower / std_bulk[:, None]])

    first = np.concatenate([[start.log_prefactor - start.energy * centre, start.energy], seen])
    found = optimize.least_squares(misfit, first, jac=slopes, method="lm", xtol=1e-12)
    chi2, dof = 2 * float(found.cost), t.size - 2
    back = np.array([[1.0, centre], [0.0, 1.0]])
    c = back @ np.linalg.inv(found.jac.T @ found.jac)[:2, :2] @ back.T
    law = back @ found.x[:2]
    kept = [f for f in start.flags if f in ("duplicated_points", "celsius_suspected")]
    if dof and stats.chi2.sf(chi2, dof) < 1e-3:
        kept.append("poor_fit")
    if not found.success:
        law, c = np.full(2, np.nan), np.full((2, 2), np.nan)
    return replace(
        start,
        energy=float(law[1]),
        energy_std=float(np.sqrt(c[1, 1])),
        log_prefactor=float(law[0]),
        log_prefactor_std=float(np.sqrt(c[0, 0])),
        covariance=c,
        chi2=chi2,
        dof=dof,
        chi2_reduced=chi2 / dof if dof else float("nan"),
        curvature=float("nan"),
        curvature_std=float("nan"),
        curvature_p=float("nan"),
        flags=tuple(kept),
    )

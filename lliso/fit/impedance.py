r"""Resistances of grains and boundaries from impedance spectra, and conductivities from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso._types import FloatArray
from lliso.diffusion.impedance import ComplexArray, capacitance
from lliso.fit.impedance_model import PolycrystalImpedanceModel

if TYPE_CHECKING:
    import xarray as xr

_FEWEST = 8
#: by how much Akaike's criterion must fall for the arc of the grains, or the electrode, to stay
_WORTH = 10.0

#: what each flag means
FLAGS = {
    "bulk_arc_above_range": "the arc of the grains lies above the measured frequencies: R_bulk is "
    "where the spectrum begins, and holds whatever else is there (leads, contacts)",
    "electrode_hides_boundary": "the electrode sets in within a decade of the boundaries' arc",
    "errors_from_scatter": "no errors were given: they are estimated from the residuals",
    "fit_failed": "the fit did not converge; values are NaN",
    "gb_arc_below_range": "the arc of the boundaries peaks below the measured frequencies",
    "like_capacitances": "both arcs have capacitances within a factor of ten: which is the grains' "
    "is not clear",
    "poor_fit": "residuals exceed 5 % of |Z|: the circuit is not that of this sample",
}


@dataclass(frozen=True, eq=False)
class ImpedanceFit:
    """Resistances of a spectrum.

    Attributes
    ----------
    r_bulk, r_bulk_std, r_gb, r_gb_std, r_total, r_total_std : float
        Ω. (R_total has an error of its own: those of its parts are anticorrelated.)
    c_bulk, c_gb : float
        Capacitances of the arcs, F; NaN for an arc that was not fitted.
    values, stds : dict of str to float
        All parameters of `lliso.fit.impedance_model.PolycrystalImpedanceModel`.
    covariance : numpy.ndarray, shape (2, 2)
        Of (R_bulk, R_gb), Ω².
    frequency : numpy.ndarray, shape (n,)
    model : numpy.ndarray of complex, shape (n,)
        The fit at the measured frequencies.
    residual : float
        Root mean square of the residuals over |Z|.
    chi2_reduced : float
        NaN where no errors were given.
    bulk_arc, electrode : bool
        What was fitted.
    success : bool
    flags : tuple of str
        See `FLAGS`.
    """

    r_bulk: float
    r_bulk_std: float
    r_gb: float
    r_gb_std: float
    r_total: float
    r_total_std: float
    c_bulk: float
    c_gb: float
    values: dict[str, float]
    stds: dict[str, float]
    covariance: FloatArray
    frequency: FloatArray
    model: ComplexArray
    residual: float
    chi2_reduced: float
    bulk_arc: bool
    electrode: bool
    success: bool
    flags: tuple[str, ...]


def fit_impedance(
    spectrum: xr.Dataset,
    *,
    relative_std: float | None = None,
    bulk_arc: bool | None = None,
    electrode: bool | None = None,
    window: tuple[float, float] | None = None,
) -> ImpedanceFit:
    """Fit grains, boundaries and electrode to a spectrum.

    Parameters
    ----------
    spectrum : xarray.Dataset
        ``z_real`` and ``z_imag`` (Ω) along ``frequency`` (Hz), of `lliso.read_impedance`.
    relative_std : float, optional
        Standard error of Z over |Z|, the same for both parts; without it the residuals tell.
    bulk_arc, electrode : bool, optional
        Whether the arc of the grains and the electrode are in the spectrum; found out by default.
    window : (low, high), optional
        Frequencies used, Hz.

    Returns
    -------
    ImpedanceFit
        A fit that does not converge is NaN with ``success=False``.

    Raises
    ------
    ValueError
        If there are fewer than 8 frequencies, a value is not finite, a frequency or
        `relative_std` is not positive, or no real part is.

    References
    ----------
    J. T. S. Irvine, D. C. Sinclair, A. R. West, Adv. Mater. 2 (1990) 132; G. J. Brug et al.,
    J. Electroanal. Chem. 176 (1984) 275 (capacitance of an arc).

    Examples
    --------
    >>> import xarray as xr
    >>> from lliso.diffusion.impedance import polycrystal_impedance
    >>> f = np.geomspace(1e0, 1e7, 60)
    >>> z = polycrystal_impedance(f, 200.0, 1800.0, 1e-8, 0.9, 1e-11, 0.95, 1e-5, 0.8)
    >>> s = xr.Dataset({"z_real": ("frequency", z.real), "z_imag": ("frequency", z.imag)},
    ...                {"frequency": f})
    >>> fit = fit_impedance(s)
    >>> round(fit.r_bulk, 3), round(fit.r_gb, 3)
    (200.0, 1800.0)
    """
    f, z = _checked(spectrum, window)
    if relative_std is not None and not relative_std > 0:
        raise ValueError(f"relative_std must be positive, got {relative_std:g}")
    used, tail = bulk_arc is not False, electrode is not False
    result = _run(f, z, relative_std, used, tail)
    # An element stays where the data ask for it, even if its own shape is then badly known.
    if electrode is None:
        plain = _run(f, z, relative_std, used, False)
        if not _better(result, plain):
            tail, result = False, plain
    if bulk_arc is None:
        plain = _run(f, z, relative_std, False, tail)
        if not _better(result, plain):
            used, result = False, plain
    return _result(result, f, z, relative_std, used, tail, dropped=bulk_arc is None and not used)


def _checked(
    spectrum: xr.Dataset, window: tuple[float, float] | None
) -> tuple[FloatArray, ComplexArray]:
    missing = [n for n in ("frequency", "z_real", "z_imag") if n not in spectrum.variables]
    if missing:
        raise ValueError(f"a spectrum must have frequency, z_real and z_imag, got no {missing[0]}")
    f = np.asarray(spectrum["frequency"], dtype=float)
    z = np.asarray(spectrum["z_real"], dtype=float) + 1j * np.asarray(spectrum["z_imag"])
    if window is not None:
        keep = (f >= window[0]) & (f <= window[1])
        f, z = f[keep], z[keep]
    if f.size < _FEWEST:
        raise ValueError(f"a spectrum needs at least {_FEWEST} frequencies, got {f.size}")
    if not (np.isfinite(f).all() and np.isfinite(z).all() and np.all(f > 0)):
        raise ValueError("frequencies must be positive and impedances finite, got others")
    if not np.any(z.real > 0) or np.mean(z.imag > 0) > 0.7:
        raise ValueError(
            "a spectrum must have positive real and negative imaginary parts, got "
            f"Z' up to {z.real.max():g} and Z'' from {z.imag.min():g} to {z.imag.max():g} Ohm; "
            "is the sign of Z'' that of -Z''?"
        )
    return f, z


def _better(result: Any, plain: Any) -> bool:
    """Whether the larger circuit is worth its parameters."""
    known = all(p.stderr is not None for p in result.params.values() if p.vary)
    return bool(result.success and known and plain.aic - result.aic > _WORTH)


def _run(f: FloatArray, z: ComplexArray, std: float | None, bulk: bool, tail: bool) -> Any:
    model = PolycrystalImpedanceModel()
    params = model.guess(z, frequency=f, bulk_arc=bulk, electrode=tail)
    return model.fit(
        z,
        params,
        frequency=f,
        bulk_arc=bulk,
        electrode=tail,
        weights=1.0 / (np.abs(z) * (std or 1.0)),
        scale_covar=std is None,
        max_nfev=4000,
    )


def _peak(log_r: float, log_q: float, n: float) -> float:
    """Frequency at which an arc is highest, Hz."""
    return float(np.exp(np.clip(-(log_r + log_q) / n, -200, 200)) / (2 * np.pi))


def _result(
    result: Any,
    f: FloatArray,
    z: ComplexArray,
    std: float | None,
    bulk: bool,
    tail: bool,
    *,
    dropped: bool,
) -> ImpedanceFit:
    p = result.params
    names = list(p)
    good = bool(result.success) and p["log_r_gb"].stderr is not None
    values = {n: float(p[n].value) if good else np.nan for n in names}
    stds = {n: float(p[n].stderr or 0.0) if good else np.nan for n in names}
    r = [values["r_bulk"], values["r_gb"]]
    c = np.full((2, 2), np.nan)
    if good:
        own = [result.var_names.index(n) for n in ("log_r_bulk", "log_r_gb")]
        c = result.covar[np.ix_(own, own)] * np.outer(r, r)
    residual = float(np.sqrt(np.mean(np.abs((z - result.best_fit) / z) ** 2)))
    c_gb = float(capacitance(r[1], np.exp(values["log_q_gb"]), values["n_gb"]))
    c_bulk = float("nan")
    if bulk and good:
        c_bulk = float(capacitance(r[0], np.exp(values["log_q_bulk"]), values["n_bulk"]))
    gb_peak = _peak(np.log(r[1]), values["log_q_gb"], values["n_gb"])
    crossing = (
        1 / (2 * np.pi) * (r[1] * np.exp(values["log_q_electrode"])) ** (-1 / values["n_electrode"])
    )
    found = {
        "bulk_arc_above_range": dropped,
        "electrode_hides_boundary": tail and crossing > 0.1 * gb_peak,
        "errors_from_scatter": std is None,
        "fit_failed": not good,
        "gb_arc_below_range": gb_peak < f.min(),
        "like_capacitances": bulk and 0.1 < c_bulk / c_gb < 10,
        "poor_fit": residual > 0.05,
    }
    return ImpedanceFit(
        r_bulk=r[0],
        r_bulk_std=stds["r_bulk"],
        r_gb=r[1],
        r_gb_std=stds["r_gb"],
        r_total=values["r_total"],
        r_total_std=stds["r_total"],
        c_bulk=c_bulk,
        c_gb=c_gb,
        values=values,
        stds=stds,
        covariance=c,
        frequency=f,
        model=np.asarray(result.best_fit),
        residual=residual,
        chi2_reduced=float("nan") if std is None else float(result.redchi),
        bulk_arc=bulk,
        electrode=tail,
        success=good,
        flags=tuple(name for name, there in found.items() if there),
    )

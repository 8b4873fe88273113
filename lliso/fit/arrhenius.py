r"""Arrhenius laws: ln D = ln D₀ − E_a/kT, weighted, with covariance, for one series or several.

A relative error of D is the error of ln D, in which the law is a straight line in 1/kT: the fit is
linear and its covariance exact. Where no errors are given, the scatter about the line stands for
them and intervals are Student's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from lliso._types import FloatArray
from lliso.diffusion.transport import BOLTZMANN, ZERO_CELSIUS
from lliso.fit.activated import checked_points, inside, kelvin, name_and_unit
from lliso.fit.arrhenius_model import arrhenius_line
from lliso.fit.weighted_line import curvature, straight_line, whitening

if TYPE_CHECKING:
    import xarray as xr

#: how much better (Δχ²) a line must become by taking K for °C before it is said
_SUSPICIOUS = 10.0
#: significance at which curvature is said to be there
_CURVED = 0.05

#: what each flag of a fit means
FLAGS = {
    "celsius_suspected": "the points lie much better on a line if the temperatures are °C",
    "curved": "curvature against 1/T is significant (5 %): one activation energy does not "
    "describe the range; see straight_range",
    "duplicated_points": "the same temperature and value occur more than once: if it is one "
    "measurement, the errors come out too small",
    "errors_from_scatter": "no errors were given: they are estimated from the scatter",
    "large_errors": "an error exceeds half of its value: ln D is not normal",
    "poor_fit": "the scatter exceeds the errors (probability below 0.1 %)",
    "two_points": "two points: nothing tests the line",
}


@dataclass(frozen=True, eq=False)
class ArrheniusFit:
    """A fitted law.

    Attributes
    ----------
    name, unit : str
        Of the series, and of its values.
    energy, energy_std : float
        E_a in eV.
    log_prefactor, log_prefactor_std : float
        ln D₀, D₀ in `unit`.
    covariance : numpy.ndarray, shape (2, 2)
        Of (ln D₀, E_a).
    temperature, value, std : numpy.ndarray
        The points that were fitted; K and `unit`.
    chi2, dof, chi2_reduced : float
        χ² with the errors as given; NaN where none were.
    curvature, curvature_std : float
        Second derivative of ln D against 1/kT in eV², from a fit with a quadratic term; NaN for
        fewer than four points. Positive: E_a grows with T.
    curvature_p : float
        Probability of a curvature as large as this by chance.
    t_dof : float
        Degrees of freedom of Student's t for intervals; inf where errors were given.
    flags : tuple of str
        See `FLAGS`.
    """

    name: str
    unit: str
    energy: float
    energy_std: float
    log_prefactor: float
    log_prefactor_std: float
    covariance: FloatArray
    temperature: FloatArray
    value: FloatArray
    std: FloatArray
    chi2: float
    dof: int
    chi2_reduced: float
    curvature: float
    curvature_std: float
    curvature_p: float
    t_dof: float
    flags: tuple[str, ...]

    @property
    def prefactor(self) -> float:
        """D₀ in `unit`."""
        return float(np.exp(self.log_prefactor))

    @property
    def prefactor_std(self) -> float:
        """Standard error of D₀, to first order; the interval of ln D₀ is the better one."""
        return self.prefactor * self.log_prefactor_std

    def log_value(self, temperature: Any) -> tuple[FloatArray, FloatArray]:
        """Return ln D and its standard error at temperatures (K, or strings like ``"22 °C"``)."""
        u = 1.0 / (BOLTZMANN * kelvin(temperature))
        terms = np.stack([np.ones_like(u), -u], axis=-1)
        mean = terms @ np.array([self.log_prefactor, self.energy])
        var = np.einsum("...i,ij,...j->...", terms, self.covariance, terms)
        return np.asarray(mean), np.sqrt(np.maximum(var, 0.0))

    def predict(
        self, temperature: Any, *, level: float = 0.95, point_std: float = 0.0
    ) -> xr.Dataset:
        """Predict D with a band, also outside the range that was measured.

        Parameters
        ----------
        temperature : array_like
            K, or strings with a unit.
        level : float
            Of the band.
        point_std : float
            Relative error of a single new measurement: 0 for the band of the law itself, more for
            the band in which such a measurement falls.

        Returns
        -------
        xarray.Dataset
            ``value``, ``low``, ``high``, ``log_std`` along ``temperature`` (K), and
            ``extrapolated`` (how far outside the fitted range in 1/T, in units of its width).
        """
        import xarray as xr

        _check_level(level)
        t = np.atleast_1d(kelvin(temperature))
        mean, std = self.log_value(t)
        std = np.hypot(std, point_std)
        reach = _quantile(level, self.t_dof) * std
        u, fitted = 1.0 / t, 1.0 / self.temperature
        width = np.ptp(fitted)
        outside = np.maximum(np.maximum(fitted.min() - u, u - fitted.max()), 0.0) / width
        named = {"value": mean, "low": mean - reach, "high": mean + reach}
        data: dict[str, Any] = {
            k: ("temperature", np.exp(v), {"units": self.unit}) for k, v in named.items()
        }
        data["log_std"] = ("temperature", std, {"units": "1"})
        data["extrapolated"] = ("temperature", outside, {"units": "1"})
        return xr.Dataset(
            data,
            {"temperature": ("temperature", t, {"units": "K"})},
            {"name": self.name, "level": level, "energy_eV": self.energy},
        )


def fit_arrhenius(
    temperature: Any,
    value: Any,
    std: Any = None,
    *,
    covariance: FloatArray | None = None,
    window: tuple[Any, Any] | None = None,
    name: str = "",
    unit: str = "cm2/s",
) -> ArrheniusFit:
    """Fit ln D = ln D₀ − E_a/kT.

    Parameters
    ----------
    temperature : array_like, shape (n,)
        K, or strings such as ``"22 °C"``.
    value : array_like, shape (n,)
        D, or any other activated quantity, in `unit`. A DataArray brings its name and unit.
    std : array_like or float, optional
        Standard errors in the unit of `value`. Without them the scatter tells.
    covariance : array, shape (n, n), optional
        Of ln D, instead of `std`: where points share an error (a calibration, a geometry).
    window : (low, high), optional
        Range of temperatures used; either may be None.
    name, unit : str

    Returns
    -------
    ArrheniusFit

    Raises
    ------
    ValueError
        If a value is not positive or finite, a temperature cannot be in K, an error is not
        positive, `covariance` is singular or not symmetric, or fewer than two temperatures remain.

    Examples
    --------
    >>> t = np.array([295.15, 373.15, 473.15])
    >>> fit = fit_arrhenius(t, 0.048 * np.exp(-0.43 / (8.617333262e-5 * t)), std=1e-12)
    >>> round(fit.energy, 6), round(fit.prefactor, 6)
    (0.43, 0.048)
    """
    t, v, cov = checked_points(temperature, value, std, covariance)
    name, unit = name_and_unit(value, name, unit)
    if window is not None:
        keep = inside(t, window)
        t, v = t[keep], v[keep]
        cov = None if cov is None else cov[np.ix_(keep, keep)]
    if np.unique(t).size < 2:
        raise ValueError(
            f"an Arrhenius fit needs at least two temperatures, got {np.unique(t).size}"
        )
    return fit_points(t, v, cov, name, unit)


def fit_points(
    t: FloatArray,
    v: FloatArray,
    cov: FloatArray | None,
    name: str,
    unit: str,
    given: tuple[FloatArray, FloatArray] | None = None,
) -> ArrheniusFit:
    """Fit checked points, or say how the law that is `given` (values, covariance) fits them."""
    y = np.log(v)
    white = np.eye(t.size) if cov is None else whitening(cov)
    beta, c, chi2 = straight_line(t, y, white, 1)
    dof = t.size - 2
    known = cov is not None
    scale = 1.0 if known else (chi2 / dof if dof else np.nan)
    c = c * scale
    if given is not None:
        beta, c = given
        chi2 = float(np.sum((white @ (y - arrhenius_line(t, beta[0], beta[1]))) ** 2))
    bend, bend_std, bend_p = curvature(t, y, white, known)
    std = v * (np.sqrt(np.diag(cov)) if cov is not None else np.sqrt(scale))
    flags = _flags(t, v, white, known, chi2, dof, bend_p, cov)
    return ArrheniusFit(
        name=name,
        unit=unit,
        energy=float(beta[1]),
        energy_std=float(np.sqrt(c[1, 1])),
        log_prefactor=float(beta[0]),
        log_prefactor_std=float(np.sqrt(c[0, 0])),
        covariance=c,
        temperature=t,
        value=v,
        std=std,
        chi2=chi2 if known else float("nan"),
        dof=dof,
        chi2_reduced=chi2 / dof if known and dof else float("nan"),
        curvature=bend,
        curvature_std=bend_std,
        curvature_p=bend_p,
        t_dof=float("inf") if known else float(dof),
        flags=flags,
    )


def _flags(
    t: FloatArray,
    v: FloatArray,
    white: FloatArray,
    known: bool,
    chi2: float,
    dof: int,
    bend_p: float,
    cov: FloatArray | None,
) -> tuple[str, ...]:
    pairs = np.stack([t, v], axis=1)
    found = {
        "celsius_suspected": _better_as_celsius(t, np.log(v), white, chi2, dof, known),
        "curved": bend_p < _CURVED,
        "duplicated_points": len(np.unique(pairs, axis=0)) < len(pairs),
        "errors_from_scatter": not known,
        "large_errors": cov is not None and bool(np.any(np.diag(cov) > 0.25)),
        "poor_fit": known and dof > 0 and stats.chi2.sf(chi2, dof) < 1e-3,
        "two_points": t.size == 2,
    }
    return tuple(flag for flag, there in found.items() if there)


def _better_as_celsius(
    t: FloatArray, y: FloatArray, white: FloatArray, chi2: float, dof: int, known: bool
) -> bool:
    """Whether whole numbers lie on a line only if they are taken for °C."""
    if dof < 1 or not np.allclose(t, np.round(t), atol=1e-6):
        return False
    other = straight_line(t + ZERO_CELSIUS, y, white, 1)[2]
    if known:
        return chi2 - other > _SUSPICIOUS and stats.chi2.sf(other, dof) > 1e-3
    return dof > 1 and other < 0.1 * chi2


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level:g}")


def _quantile(level: float, dof: float) -> float:
    return float(stats.t.ppf(0.5 + level / 2, dof)) if dof > 0 else float("nan")


def straight_range(
    temperature: Any,
    value: Any,
    std: Any = None,
    *,
    keep: str = "low",
    significance: float = _CURVED,
    fewest: int = 4,
) -> tuple[float, float]:
    """Find the range of temperatures in which no curvature is seen, from one end on.

    Points are left out one by one at the other end while the quadratic term in 1/kT is
    significant.

    Parameters
    ----------
    temperature, value, std
        As in `fit_arrhenius`.
    keep : {"low", "high"}
        The end that stays.
    significance : float
        Probability below which a curvature counts.
    fewest : int
        Points that are kept at the least.

    Returns
    -------
    low, high : float
        K, for the argument `window` of `fit_arrhenius`.

    Raises
    ------
    ValueError
        As `fit_arrhenius`; if `keep` is another word, or there are fewer points than `fewest`.

    Notes
    -----
    A range chosen by the data favours straightness: the errors of the fit in it do not know of the
    choice.

    Examples
    --------
    >>> t = np.linspace(300.0, 600.0, 13)
    >>> d = np.exp(-0.35 / (8.617333262e-5 * t) - np.where(t > 450, 0.008 * (t - 450), 0.0))
    >>> straight_range(t, d, 0.05 * d)
    (300.0, 450.0)
    """
    if keep not in ("low", "high"):
        raise ValueError(f"keep must be 'low' or 'high', got {keep!r}")
    t, v, cov = checked_points(temperature, value, std, None)
    if t.size < max(fewest, 4):
        raise ValueError(f"a curvature needs at least {max(fewest, 4)} points, got {t.size}")
    order = np.argsort(t if keep == "low" else -t, kind="stable")
    for n in range(t.size, max(fewest, 4) - 1, -1):
        use = order[:n]
        white = np.eye(n) if cov is None else whitening(cov[np.ix_(use, use)])
        if not curvature(t[use], np.log(v[use]), white, cov is not None)[2] < significance:
            break
    return float(t[use].min()), float(t[use].max())

"""K and h from reference areas whose isotope fraction is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lliso._types import FloatArray
from lliso.maps.carried import (
    PARAMETER,
    SENSITIVITY,
    SYSTEMATIC_COVARIANCE,
    known_part,
    variance_of,
)
from lliso.maps.fraction import sum_frames
from lliso.schema import COUNTS, LI6, LI7, SPECIES, X, Y, check_map

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Reference:
    """Counts of an area whose isotope fraction is known.

    Parameters
    ----------
    n_light, n_heavy : float
        Counts at the masses of the light and of the heavy isotope, dead time and background
        corrected, nothing else.
    fraction : float
        True fraction of the light isotope.
    fraction_std : float
        Its standard error.
    var_light, var_heavy : float, optional
        Variance of the counts; default that of Poisson counts.
    name : str
        What it is called in messages.

    Raises
    ------
    ValueError
        If counts are not positive, or the fraction is not between 0 and 1.

    Examples
    --------
    >>> Reference(7_600, 92_400, fraction=0.0759).measured
    0.076
    """

    n_light: float
    n_heavy: float
    fraction: float
    fraction_std: float = 0.0
    var_light: float | None = None
    var_heavy: float | None = None
    name: str = "reference"

    def __post_init__(self) -> None:
        if not (self.n_light > 0 and self.n_heavy > 0):
            raise ValueError(
                f"{self.name} must hold counts of both isotopes, got {self.n_light:g} and "
                f"{self.n_heavy:g}"
            )
        if not 0 < self.fraction < 1:
            raise ValueError(
                f"the fraction of {self.name} must be between 0 and 1, got {self.fraction:g}"
            )
        if not self.fraction_std >= 0:
            raise ValueError(
                f"fraction_std of {self.name} must not be negative, got {self.fraction_std:g}"
            )

    @property
    def measured(self) -> float:
        """Fraction of its counts."""
        return float(self.n_light / (self.n_light + self.n_heavy))

    @property
    def relative_variance(self) -> float:
        """Relative variance of the ratio of its counts."""
        light = self.n_light if self.var_light is None else self.var_light
        heavy = self.n_heavy if self.var_heavy is None else self.var_heavy
        return float(light / self.n_light**2 + heavy / self.n_heavy**2)

    @classmethod
    def from_map(
        cls,
        ds: xr.Dataset,
        fraction: float,
        fraction_std: float = 0.0,
        *,
        light: str = LI6,
        heavy: str = LI7,
        name: str = "reference",
    ) -> Reference:
        """Sum all pixels of a map, or of the part of one: ``ds.sel(y=slice(0, 20))``.

        Errors common to the pixels (of a background, say) go into the variance of the sums.

        Examples
        --------
        >>> from lliso.schema import make_map
        >>> m = make_map([[[3, 4]], [[40, 45]]], ["6Li", "7Li"], x=[0.0, 1.0], y=[0.0])
        >>> reference = Reference.from_map(m, 0.0759)
        >>> reference.n_light, reference.n_heavy
        (7.0, 85.0)
        """
        check_map(ds, needs=(light, heavy))
        summed = sum_frames(ds)
        summed = summed.assign(known_part(summed))
        counts = summed[COUNTS].sum([Y, X]).astype(float)
        variance = variance_of(summed).sum([Y, X]).astype(float)
        if SENSITIVITY in summed:
            s = summed[SENSITIVITY].sum([Y, X])
            other = s.rename({PARAMETER: "parameter_b"})
            cov = summed[SYSTEMATIC_COVARIANCE]
            variance = variance + (s * cov * other).sum([PARAMETER, "parameter_b"])
        n = [float(counts.sel({SPECIES: k})) for k in (light, heavy)]
        v = [float(variance.sel({SPECIES: k})) for k in (light, heavy)]
        return cls(n[0], n[1], fraction, fraction_std, v[0], v[1], name)


@dataclass(frozen=True)
class Calibration:
    """Mass fractionation and hydride share, with their covariance.

    Attributes
    ----------
    fractionation, hydride : float
        K, measured over true ratio; h, hydride counts over those of the light isotope.
    covariance : tuple
        2 × 2, of (K, h).
    chi2, dof : float
        How well more than two references agree.
    """

    fractionation: float
    hydride: float
    covariance: tuple[tuple[float, float], tuple[float, float]]
    chi2: float = 0.0
    dof: int = 0

    @property
    def fractionation_std(self) -> float:
        """Standard error of K."""
        return math.sqrt(self.covariance[0][0])

    @property
    def hydride_std(self) -> float:
        """Standard error of h."""
        return math.sqrt(self.covariance[1][1])


def calibrate(
    references: Sequence[Reference], *, hydride: float = 0.0, hydride_std: float = 0.0
) -> Calibration:
    r"""Find K, and from two references or more also h, from areas of known fraction.

    What is measured at the heavy mass over what is measured at the light one is

    .. math:: \frac{m_7}{m_6} = \frac{1}{K}\,\frac{1-C}{C} + h,

    a straight line in (1 − C)/C: its slope is 1/K, what is left at C = 1 is h.

    Parameters
    ----------
    references : sequence of Reference
        Areas of known fraction, such as natural lithium and the source.
    hydride, hydride_std : float
        h with its standard error, used where there is only one reference.

    Returns
    -------
    Calibration

    Raises
    ------
    ValueError
        If there is no reference, references have all the same fraction, or K comes out negative.

    Notes
    -----
    A hydride share found slightly negative by chance is kept as it is found, since a clipped one
    would bias K.

    Examples
    --------
    >>> natural = Reference(1.1 * 75_900, 924_100 + 0.01 * 1.1 * 75_900, fraction=0.0759)
    >>> source = Reference(1.1 * 950_000, 50_000 + 0.01 * 1.1 * 950_000, fraction=0.95)
    >>> found = calibrate([natural, source])
    >>> round(found.fractionation, 9), round(found.hydride, 9)
    (1.1, 0.01)
    """
    if not references:
        raise ValueError("the calibration needs at least one reference of known fraction, got none")
    if not (0 <= hydride < 1 and 0 <= hydride_std < np.inf):
        raise ValueError(f"hydride must be a share from 0 to 1, got {hydride:g} +- {hydride_std:g}")
    z = np.array([(1 - r.fraction) / r.fraction for r in references])
    y = np.array([r.n_heavy / r.n_light for r in references])
    count_variance = np.array([r.relative_variance for r in references]) * y**2
    z_variance = np.array([(r.fraction_std / r.fraction**2) ** 2 for r in references])
    if len(references) == 1:
        q = (y[0] - hydride) / z[0]
        _check_slope(q)
        variance_y = count_variance[0] + q**2 * z_variance[0]
        covariance = np.array(
            [
                [(variance_y + hydride_std**2) / z[0] ** 2, -(hydride_std**2) / z[0]],
                [-(hydride_std**2) / z[0], hydride_std**2],
            ]
        )
        return _calibration(q, hydride, covariance, 0.0, 0)
    if np.ptp(z) <= 1e-9 * np.max(z):
        raise ValueError(
            "two references must differ in their fraction to tell hydride from fractionation, got "
            f"{references[0].fraction:g} for all; give one of them and hydride=..."
        )
    terms = np.column_stack([z, np.ones_like(z)])
    variance_y = count_variance
    for _ in range(4):  # errors of the known fractions act through the slope
        covariance = np.linalg.inv(terms.T @ (terms / variance_y[:, None]))
        q, h = covariance @ (terms.T @ (y / variance_y))
        variance_y = count_variance + q**2 * z_variance
    _check_slope(q)
    chi2 = float(np.sum((y - terms @ [q, h]) ** 2 / variance_y))
    return _calibration(float(q), float(h), covariance, chi2, len(references) - 2)


def _check_slope(q: float) -> None:
    if not q > 0:
        raise ValueError(
            f"the mass fractionation must come out positive, got 1/K = {q:g}; do the fractions "
            "belong to these references, and the counts to these masses?"
        )


def _calibration(q: float, h: float, covariance: FloatArray, chi2: float, dof: int) -> Calibration:
    """Turn the line's slope 1/K into K."""
    jacobian = np.diag([-1.0 / q**2, 1.0])
    c = jacobian @ covariance @ jacobian
    pairs = ((float(c[0, 0]), float(c[0, 1])), (float(c[1, 0]), float(c[1, 1])))
    return Calibration(1.0 / float(q), float(h), pairs, chi2, dof)

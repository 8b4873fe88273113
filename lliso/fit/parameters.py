"""Parameters of a curve: the names and units a person reads, the numbers that a fit moves.

D is fitted as its logarithm (it is positive and spans decades), the exchange coefficient k as 1/k
(0 for no barrier), positions and fractions as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from lliso._types import FloatArray, IntArray
from lliso.fit.scoring import Free
from lliso.units import parse_quantity

LINEAR, LOG, INVERSE = "linear", "log", "inverse"
FREE = "free"
#: what a person gives for a parameter: "free", a value (fixed) or (mean, standard deviation)
Choice = float | str | tuple[float, float]


@dataclass(frozen=True)
class Slot:
    """One parameter.

    Parameters
    ----------
    name, unit : str
        As they stand in tables.
    start, low, high : float
        In the fit's numbers.
    scale : float
        A visible change, in the fit's numbers.
    form : str
        `LINEAR`, `LOG` or `INVERSE`: how the fit's number becomes the reported one.
    factor : float
        From the fit's unit to `unit`.
    free : bool
    mean, std : float
        Gaussian prior in the fit's numbers; an infinite `std` for none.

    Examples
    --------
    >>> Slot("d_eff", "cm^2/s", 0.0, -9.0, 9.0, 1.0, LOG, 1e-8).reported(0.0)
    1e-08
    """

    name: str
    unit: str
    start: float
    low: float
    high: float
    scale: float
    form: str = LINEAR
    factor: float = 1.0
    free: bool = True
    mean: float = 0.0
    std: float = np.inf

    def reported(self, number: float) -> float:
        """Value in `unit` of the fit's number."""
        if self.form == LOG:
            return float(self.factor * np.exp(min(number, 700.0)))
        if self.form == INVERSE:
            return float(self.factor / number) if number > 0 else np.inf
        return float(self.factor * number)

    def inner(self, value: float) -> float:
        """Fit's number of a value in `unit`."""
        if self.form == LOG:
            return float(np.log(value / self.factor))
        if self.form == INVERSE:
            return float(self.factor / value)
        return value / self.factor

    def derivative(self, number: float) -> float:
        """Return the derivative of the reported value by the fit's number."""
        if self.form == LOG:
            return self.reported(number)
        if self.form == INVERSE:
            return float(-self.factor / number**2) if number > 0 else np.nan
        return self.factor

    def chosen(self, choice: Choice | None) -> Slot:
        """Apply what a person wants: free, fixed, or free with a prior.

        Raises
        ------
        TypeError, ValueError
            If the choice cannot be read.
        """
        if choice is None:
            return self
        if isinstance(choice, str) and choice == FREE:
            return replace(self, free=True, std=np.inf)
        if isinstance(choice, tuple | list):
            return self._with_prior(choice)
        value = np.inf if _endless(choice) else parse_quantity(choice, self.unit, self.name)
        self._check(value)
        return replace(self, start=self.inner(value), free=False)

    def _with_prior(self, choice: Sequence[Any]) -> Slot:
        if len(choice) != 2:
            raise ValueError(
                f"{self.name} must be '{FREE}', a value or (value, standard deviation), got "
                f"{len(choice)} numbers"
            )
        mean = parse_quantity(choice[0], self.unit, self.name)
        std = parse_quantity(choice[1], self.unit, f"standard deviation of {self.name}")
        self._check(mean)
        if not std > 0:
            raise ValueError(
                f"standard deviation of {self.name} must be positive, got {std:g} {self.unit}"
            )
        inner = self.inner(mean)
        width = std / abs(self.derivative(inner))
        return replace(self, start=inner, mean=inner, std=width, free=True)

    def _check(self, value: float) -> None:
        if self.form != LINEAR and not value > 0:
            raise ValueError(f"{self.name} must be positive, got {value:g} {self.unit}")
        if self.unit == "1" and not 0 <= value <= 1:
            raise ValueError(f"{self.name} must lie between 0 and 1, got {value:g}")


def _endless(choice: float | str) -> bool:
    return not isinstance(choice, str) and bool(np.isposinf(choice))


@dataclass(frozen=True, eq=False)
class Layout:
    """Parameters in a row, and where each is.

    Examples
    --------
    >>> row = Layout((Slot("a", "1", 0.5, 0.0, 1.0, 1.0), Slot("b", "um", 2.0, 0.0, 9.0, 1.0)))
    >>> float(row.full(np.array([0.1, 3.0]))[row.index("b")])
    3.0
    """

    slots: tuple[Slot, ...]
    prior: tuple[FloatArray, FloatArray] | None = None  # mean, covariance of the first free ones

    @cached_property
    def moving(self) -> IntArray:
        """Indices of the free parameters."""
        return np.array([i for i, s in enumerate(self.slots) if s.free], dtype=np.int64)

    @cached_property
    def _starts(self) -> FloatArray:
        return np.array([s.start for s in self.slots], dtype=float)

    def index(self, name: str) -> int:
        """Index of a parameter."""
        return [s.name for s in self.slots].index(name)

    def full(self, theta: FloatArray) -> FloatArray:
        """All parameters, from the free ones."""
        out = self._starts.copy()
        out[self.moving] = theta
        return out

    def free(self) -> Free:
        """Return the free parameters as the fit wants them."""
        free = [s for s in self.slots if s.free]
        precision = np.diag([0.0 if np.isinf(s.std) else s.std**-2 for s in free])
        mean = np.array([s.mean if np.isfinite(s.std) else 0.0 for s in free])
        if self.prior is not None:
            k = len(self.prior[0])
            mean[:k] = self.prior[0]
            precision[:k, :k] = np.linalg.inv(self.prior[1])
        return Free(
            np.array([s.start for s in free]),
            np.array([s.low for s in free]),
            np.array([s.high for s in free]),
            np.array([s.scale for s in free]),
            mean,
            precision,
        )

"""What the exchange time tells: ∂C/∂t at every point, and D_bulk without another measurement.

A source kept at C₁ since the time 0 makes every point go as erfc(const/√t), so that its C alone
tells how fast it changes: with c = (C − C₀)/(C₁ − C₀) = erfc(ξ),
∂C/∂t = (C₁ − C₀) ξ exp(−ξ²)/(√π t).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import erfcinv

from lliso._types import FloatArray
from lliso.units import TIME, parse_quantity

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Clock:
    """An exchange: for how long the source was on, and the two ends of the scale.

    Parameters
    ----------
    time : float
        s.
    c_source, c_natural : float
        Fraction of ⁶Li in the source and before the exchange.
    relative_std : float
        How well the relation is known: standard deviation of the smooth factor on ∂C/∂t.

    Examples
    --------
    >>> clock = Clock(100.0, 1.0, 0.0)
    >>> clock.rate(np.array([1e-9, 0.5, 0.9])).round(5).tolist()
    [0.0, 0.00214, 0.0005]
    """

    time: float
    c_source: float
    c_natural: float
    relative_std: float = 0.15

    def __post_init__(self) -> None:
        if not (np.isfinite(self.time) and self.time > 0):
            raise ValueError(f"exchange_time must be positive, got {self.time:g} s")
        ends = (self.c_source, self.c_natural)
        if not (all(0.0 <= c <= 1.0 for c in ends) and ends[0] != ends[1]):
            raise ValueError(
                "c_source and c_natural must be different fractions between 0 and 1, got "
                f"{self.c_source:g} and {self.c_natural:g}"
            )

    def _depth(self, fraction: FloatArray) -> FloatArray:
        share = (fraction - self.c_natural) / (self.c_source - self.c_natural)
        return np.asarray(erfcinv(np.clip(share, 1e-9, 1.0)))

    def rate(self, fraction: FloatArray) -> FloatArray:
        """∂C/∂t in 1/s where the fraction is `fraction`."""
        xi = self._depth(fraction)
        scale = (self.c_source - self.c_natural) / (np.sqrt(np.pi) * self.time)
        return np.asarray(scale * xi * np.exp(-(xi**2)))

    def flux(self, place: FloatArray, fraction: FloatArray, weight: FloatArray) -> float:
        """Mean of D_eff dC/dy, (unit of length)/s, over a profile.

        The depth ξ = erfc⁻¹(c) is a straight line in y, 1/(2√(D_eff t)) steep.

        Parameters
        ----------
        place, fraction, weight : array, shape (n,)
            y, C there, and the area that each value stands for.
        """
        xi = self._depth(fraction)
        w = weight / weight.sum()
        y = place - w @ place
        steep = float(w @ (y * xi) / (w @ y**2))
        line = w @ xi + steep * y
        full = self.c_source - self.c_natural
        slope = -full * 2.0 / np.sqrt(np.pi) * steep * (w @ np.exp(-(line**2)))
        return float(slope / (4.0 * self.time * steep**2))


def clocks(
    stack: Sequence[xr.Dataset],
    exchange_time: Any,
    c_source: float | None,
    c_natural: float | None,
) -> list[Clock | None]:
    """Clock of every map from arguments or attributes; None where something is not known.

    Raises
    ------
    ValueError
        If there is not one time per map, or a time or fraction is impossible.
    """
    if exchange_time is None:
        times = [_time_of(ds) for ds in stack]
    elif isinstance(exchange_time, (list, tuple)):
        if len(exchange_time) != len(stack):
            raise ValueError(
                f"exchange_time must be one per map ({len(stack)}), got {len(exchange_time)}"
            )
        times = list(exchange_time)
    else:
        times = [exchange_time] + [None] * (len(stack) - 1)
    out: list[Clock | None] = []
    for ds, time in zip(stack, times, strict=True):
        source = ds.attrs.get("c_source") if c_source is None else c_source
        natural = ds.attrs.get("c_natural") if c_natural is None else c_natural
        if time is None or source is None or natural is None:
            out.append(None)
        else:
            out.append(
                Clock(parse_quantity(time, TIME, "exchange_time"), float(source), float(natural))
            )
    return out


def _time_of(ds: xr.Dataset) -> float | None:
    if "exchange_s" not in ds.attrs or float(ds.attrs.get("storage_s", 0.0)) > 0:
        return None
    return float(ds.attrs["exchange_s"])

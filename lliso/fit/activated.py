"""Points of an activated quantity as people give them: temperatures in K, errors, covariances."""

from __future__ import annotations

from typing import Any

import numpy as np

from lliso._types import BoolArray, FloatArray
from lliso.diffusion.transport import ZERO_CELSIUS
from lliso.units import TEMPERATURE, parse_quantity

#: nothing is held colder than liquid nitrogen (77 K) holds it: a number below is one in °C
_COLDEST = 70.0
#: below this nothing moves that could be measured: a point or a storage there is one in °C
MEASURABLE = 120.0
#: above this ceramics melt
_HOTTEST = 3000.0


def kelvin(temperature: Any, *, coldest: float = _COLDEST) -> FloatArray:
    """Temperatures in K from numbers (K), strings with a unit, or a DataArray with ``units``.

    Below `coldest` a temperature is taken for one in °C: `MEASURABLE` for points and storages,
    less for what a law is carried to (a cold stage).

    Raises
    ------
    ValueError
        If one is not finite, or so low or so high that it cannot be meant in K.

    Examples
    --------
    >>> kelvin(["22 °C", "200 °C"]).tolist()
    [295.15, 473.15]
    """
    if isinstance(temperature, str):
        t = np.asarray(parse_quantity(temperature, TEMPERATURE, "temperature"))
    elif getattr(temperature, "attrs", {}).get("units") in ("°C", "degC", "celsius"):
        t = np.asarray(temperature, dtype=float) + ZERO_CELSIUS
    elif any(isinstance(v, str) for v in np.atleast_1d(np.asarray(temperature, dtype=object)).flat):
        t = np.array([parse_quantity(v, TEMPERATURE, "temperature") for v in temperature])
    else:
        t = np.asarray(temperature, dtype=float)
    bad = t[~((t >= coldest) & (t <= _HOTTEST))]
    if bad.size:
        cold = f"add 273.15, or write '{bad.flat[0]:g} °C'"
        cure = cold if np.all(bad < coldest) else "check the unit"
        raise ValueError(
            f"temperature must be in K, between {coldest:g} and {_HOTTEST:g}, got "
            f"{bad.flat[0]:g}; {cure}"
        )
    return t


def checked_points(
    temperature: Any, value: Any, std: Any = None, covariance: Any = None
) -> tuple[FloatArray, FloatArray, FloatArray | None]:
    """Temperatures in K, values, and the covariance of their logarithms (None without errors)."""
    t = np.atleast_1d(kelvin(temperature, coldest=MEASURABLE))
    v = np.atleast_1d(np.asarray(value, dtype=float))
    if t.ndim != 1 or t.shape != v.shape:
        raise ValueError(
            f"temperature and value must be lists of one length, got shapes {t.shape} and {v.shape}"
        )
    if not np.all(np.isfinite(v) & (v > 0)):
        bad = v[~(np.isfinite(v) & (v > 0))][0]
        raise ValueError(
            f"value must be positive and finite, got {bad:g}; leave the point out, a limit cannot "
            "be fitted"
        )
    if covariance is not None:
        if std is not None:
            raise ValueError("give either std or covariance, got both")
        return t, v, _checked(np.asarray(covariance, dtype=float), t.size)
    if std is None:
        return t, v, None
    s = np.broadcast_to(np.asarray(std, dtype=float), v.shape)
    if not np.all(np.isfinite(s) & (s > 0)):
        bad = s[~(np.isfinite(s) & (s > 0))][0]
        raise ValueError(
            f"std must be positive and finite, got {bad:g}; without errors leave std out"
        )
    return t, v, np.diag((s / v) ** 2)


def _checked(cov: FloatArray, n: int) -> FloatArray:
    if cov.shape != (n, n):
        raise ValueError(f"covariance must have the shape {(n, n)}, got {cov.shape}")
    if not np.isfinite(cov).all() or not np.allclose(cov, cov.T, rtol=1e-9, atol=0.0):
        raise ValueError("covariance must be finite and symmetric")
    size = np.sqrt(np.maximum(np.diag(cov), 0.0))
    lowest = np.linalg.eigvalsh(cov / np.outer(size, size)).min() if size.all() else 0.0
    if lowest < 1e-10:
        raise ValueError(
            f"covariance must be positive definite, got a smallest eigenvalue of {lowest:.2g} of "
            "the correlations; points that are one measurement must be entered once"
        )
    return cov


def inside(t: FloatArray, window: tuple[Any, Any] | None) -> BoolArray:
    """Which temperatures lie within a window."""
    if window is None:
        return np.ones(t.shape, dtype=bool)
    low, high = (None if end is None else float(kelvin(end)) for end in window)
    keep = np.ones(t.shape, dtype=bool)
    if low is not None:
        keep &= t >= low
    if high is not None:
        keep &= t <= high
    return keep


def name_and_unit(value: Any, name: str, unit: str) -> tuple[str, str]:
    """Name and unit of a series, its own first."""
    return name or str(getattr(value, "name", None) or ""), str(
        getattr(value, "attrs", {}).get("units", unit)
    )

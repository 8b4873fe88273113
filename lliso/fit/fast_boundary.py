r"""D_gb δ of fast boundaries from the tail of a mean depth profile (Fisher, Whipple, Le Claire)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq

from lliso._types import BoolArray, FloatArray
from lliso.diffusion.fast_boundary import le_claire, whipple_mean
from lliso.diffusion.regimes import classify
from lliso.units import CM_PER_NM, DIFFUSION, LENGTH, TIME, UM_PER_CM, parse_quantity

#: depths used begin here, in units of √(Dt): the direct profile is gone
_DIRECT = 5.0
_FEWEST = 4


@dataclass(frozen=True)
class FastBoundary:
    """What the tail of a profile says of fast boundaries.

    Attributes
    ----------
    triple_product, triple_product_std : float
        D_gb δ in cm³/s (s = 1), by the slope that Whipple's exact solution has over the same
        depths; the error from that of the slope and of D_bulk.
    by_le_claire : float
        The same by Le Claire's formula; within 5 % of it where ``reach`` is 2 to 4, 17 % too low
        where it is 1.
    permeability, d_gb : float
        D_gb/δ in cm/s and D_gb in cm²/s with the thickness that was assumed.
    slope, slope_std : float
        ∂ ln c̄/∂y^(6/5), cm^(−6/5).
    alpha, beta : float
        δ/2√(Dt), and (D_gb/D − 1) δ/2√(Dt).
    depths : (float, float)
        First and last depth used, µm.
    reach : float
        Mean depth used, in units of √(β D t).
    n : int
        Points used.
    """

    triple_product: float
    triple_product_std: float
    by_le_claire: float
    permeability: float
    d_gb: float
    slope: float
    slope_std: float
    alpha: float
    beta: float
    depths: tuple[float, float]
    reach: float
    n: int


def fit_fast_boundary(
    depth: Any,
    concentration: Any,
    std: Any = None,
    *,
    time: float | str,
    d_bulk: float | str,
    d_bulk_std: float | str = 0.0,
    grain_size: float | str,
    delta: float | str = "0.5 nm",
) -> FastBoundary:
    r"""Find D_gb δ from the mean concentration against depth below a surface of constant C.

    Parameters
    ----------
    depth : array_like, shape (n,)
        µm below the surface.
    concentration : array_like, shape (n,)
        Mean over the layer, less the natural level, in any unit.
    std : array_like, optional
        Its standard error; without it all relative errors are taken for equal and told by the
        scatter.
    time, d_bulk, d_bulk_std : float or str
        s, cm²/s.
    grain_size : float or str
        Distance of the boundaries, µm: for the test of the regime.
    delta : float or str
        Boundary thickness, nm: for α and for D_gb itself.

    Returns
    -------
    FastBoundary

    Raises
    ------
    ValueError
        If a quantity is not positive, fewer than four points lie in the tail, the tail does not
        fall, boundaries turn out slower than the grains, or the data are not of Harrison's type B
        (α < 0.1, β > 10, boundaries apart): the reason is said.

    References
    ----------
    R. T. P. Whipple, Phil. Mag. 45 (1954) 1225; A. D. Le Claire, Br. J. Appl. Phys. 14 (1963) 351.

    Examples
    --------
    >>> y = np.linspace(0.2, 20.0, 100)  # um
    >>> c = whipple_mean(y * 1e-4, time=1e5, d_bulk=1e-15, d_gb=1e-8, delta=5e-8, spacing=50e-4)
    >>> found = fit_fast_boundary(y, c, time=1e5, d_bulk=1e-15, grain_size=50)
    >>> bool(abs(found.triple_product / 5e-16 - 1) < 1e-3)
    True
    """
    y, c, s = _checked(depth, concentration, std)
    given = {
        "time": parse_quantity(time, TIME, "time"),
        "d_bulk": parse_quantity(d_bulk, DIFFUSION, "d_bulk"),
        "delta": parse_quantity(delta, "nm", "delta") * CM_PER_NM,
        "grain_size": parse_quantity(grain_size, LENGTH, "grain_size") / UM_PER_CM,
    }
    for name, value in given.items():
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {value:g}")
    bulk_std = parse_quantity(d_bulk_std, DIFFUSION, "d_bulk_std")
    root = float(np.sqrt(given["d_bulk"] * given["time"]))
    use, line = _tail(y, c, s, root)
    slope, slope_std, weight = line
    simple = le_claire(slope, given["time"], given["d_bulk"])
    _check_regime(simple, given)
    exact = _by_whipple(y[use], weight, slope, simple, given)
    beta = (exact / given["delta"] / given["d_bulk"] - 1) * given["delta"] / (2 * root)
    relative = _relative_error(y[use], weight, exact, given, slope_std, bulk_std)
    return FastBoundary(
        triple_product=exact,
        triple_product_std=exact * relative,
        by_le_claire=simple,
        permeability=exact / given["delta"] ** 2,
        d_gb=exact / given["delta"],
        slope=slope,
        slope_std=slope_std,
        alpha=given["delta"] / (2 * root),
        beta=float(beta),
        depths=(float(y[use][0] * UM_PER_CM), float(y[use][-1] * UM_PER_CM)),
        reach=float(np.mean(y[use]) / (np.sqrt(beta) * root)),
        n=int(use.sum()),
    )


def _checked(
    depth: Any, concentration: Any, std: Any
) -> tuple[FloatArray, FloatArray, FloatArray | None]:
    y = np.asarray(depth, dtype=float) / UM_PER_CM
    c = np.asarray(concentration, dtype=float)
    if y.ndim != 1 or y.shape != c.shape:
        raise ValueError(f"depth and concentration must be of one length, got {y.shape}, {c.shape}")
    s = None if std is None else np.broadcast_to(np.asarray(std, dtype=float), y.shape)
    keep = np.isfinite(c) & (c > 0) & (y > 0)
    if s is not None and not np.all(s[keep] > 0):
        raise ValueError("std must be positive")
    order = np.argsort(y[keep])
    return y[keep][order], c[keep][order], None if s is None else s[keep][order]


def _tail(
    y: FloatArray, c: FloatArray, s: FloatArray | None, root: float
) -> tuple[BoolArray, tuple[float, float, FloatArray]]:
    """Points of the tail, and the line through them."""
    use = y > _DIRECT * root
    if use.sum() < _FEWEST:
        raise ValueError(
            f"the tail must hold {_FEWEST} points deeper than {_DIRECT:g} diffusion lengths, "
            f"{_DIRECT * root * UM_PER_CM:.3g} um, got {int(use.sum())}; measure deeper, or "
            "boundaries are not fast"
        )
    line = _line(y[use], c[use], None if s is None else s[use])
    if not line[0] < -2 * line[1]:
        raise ValueError(
            "the tail must fall with depth for a fast boundary, got a slope of "
            f"{line[0]:.3g} ± {line[1]:.2g} cm^(-6/5); subtract the natural level first"
        )
    return use, line


def _line(y: FloatArray, c: FloatArray, s: FloatArray | None) -> tuple[float, float, FloatArray]:
    """Slope of ln c against y^(6/5), its error, and the weights."""
    x, v = y**1.2, np.log(c)
    w = np.ones(y.size) if s is None else (c / s) ** 2
    centred = x - np.sum(w * x) / w.sum()
    spread = float(np.sum(w * centred**2))
    slope = float(np.sum(w * centred * v) / spread)
    error = 1 / np.sqrt(spread)
    if s is None:
        rest = v - np.sum(w * v) / w.sum() - slope * centred
        error *= np.sqrt(np.sum(rest**2) / (y.size - 2))
    return slope, float(error), w


def _by_whipple(
    y: FloatArray, w: FloatArray, slope: float, start: float, given: dict[str, float]
) -> float:
    """D_gb δ whose exact profile has this slope over the same points."""

    def excess(log_triple: float) -> float:
        return float(_exact_slope(y, w, float(np.exp(log_triple)), given) / slope - 1)

    middle = float(np.log(start))
    low, high = middle - 0.5, middle + 2.5
    if excess(low) * excess(high) > 0:
        raise ValueError(
            "the tail must fall as that of a fast boundary does, got a slope of "
            f"{slope:.3g} cm^(-6/5) that no D_gb near Le Claire's {start:.2g} cm3/s has; are the "
            "depths beyond the direct profile?"
        )
    return float(np.exp(brentq(excess, low, high, xtol=1e-9)))


def _exact_slope(y: FloatArray, w: FloatArray, triple: float, given: dict[str, float]) -> float:
    """Slope that Whipple's solution has over these points."""
    c = whipple_mean(
        y,
        time=given["time"],
        d_bulk=given["d_bulk"],
        d_gb=triple / given["delta"],
        delta=given["delta"],
        spacing=given["grain_size"],
    )
    return _line(y, c, c / np.sqrt(w))[0]


def _relative_error(
    y: FloatArray,
    w: FloatArray,
    triple: float,
    given: dict[str, float],
    slope_std: float,
    bulk_std: float,
) -> float:
    """Relative error of D_gb δ by those of slope and D_bulk.

    Over shallow depths the slope depends less on D_gb δ than Le Claire's power of 5/3 says.
    """
    step = 1e-3

    def log_slope(more: float, d_more: float) -> float:
        other = {**given, "d_bulk": given["d_bulk"] * float(np.exp(d_more))}
        return float(np.log(-_exact_slope(y, w, triple * float(np.exp(more)), other)))

    by_triple = (log_slope(step, 0.0) - log_slope(-step, 0.0)) / (2 * step)
    by_bulk = (log_slope(0.0, step) - log_slope(0.0, -step)) / (2 * step)
    slope = -_exact_slope(y, w, triple, given)
    parts = slope_std / slope, by_bulk * bulk_std / given["d_bulk"]
    return float(np.hypot(*parts) / abs(by_triple))


def _check_regime(triple: float, given: dict[str, float]) -> None:
    permeability = triple / given["delta"] ** 2
    classify(
        given["d_bulk"], permeability, given["grain_size"], given["delta"], given["time"]
    ).check("fisher")

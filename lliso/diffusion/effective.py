r"""Effective diffusivity of a ceramic from that of its grains and boundaries: the closed forms.

Grains of size l and diffusivity D, boundaries of thickness δ with P = D_gb/δ. All functions are of
arrays that broadcast, in any consistent set of units. Which of them holds when, says
`lliso.diffusion.regimes`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lliso._types import FloatArray

#: l over the mean linear intercept: grains that go through the plane, and grains cut by it
INTERCEPT_FACTOR = {2: 4.0 / np.pi, 3: 1.5}


def _positive(**given: npt.ArrayLike) -> list[FloatArray]:
    out = []
    for name, values in given.items():
        value = np.asarray(values, dtype=float)
        if not np.all(value > 0):
            raise ValueError(f"{name} must be positive, got {np.min(value):g}")
        out.append(value)
    return out


def _thickness(delta: npt.ArrayLike) -> FloatArray:
    value = np.asarray(delta, dtype=float)
    if not np.all((value >= 0) & np.isfinite(value)):
        raise ValueError(f"delta must be finite and not negative, got {np.min(value):g}")
    return value


def d_eff_series(
    d_bulk: npt.ArrayLike,
    permeability: npt.ArrayLike,
    grain_size: npt.ArrayLike,
    delta: npt.ArrayLike = 0.0,
) -> FloatArray:
    r"""Grains and boundaries in series.

    .. math:: \frac{l + \delta}{D_\mathrm{eff}} = \frac{l}{D_\mathrm{bulk}} + \frac{1}{P}

    Parameters
    ----------
    d_bulk, permeability, grain_size : array_like
        D inside the grains, P = D_gb/δ, and l.
    delta : array_like
        Boundary thickness; 0 gives eq. (6), more gives eq. (5).

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    ValueError
        If a quantity is not positive, or `delta` negative.

    References
    ----------
    Eqs. (5), (6) of G. Hasegawa et al., J. Mater. Chem. A 12 (2024) 731.

    Examples
    --------
    >>> f"{d_eff_series(2.8e-8, 1.5e-6, 16e-4):.1e}"  # cm²/s, cm/s, cm
    '2.2e-09'
    """
    d, p, size = _positive(d_bulk=d_bulk, permeability=permeability, grain_size=grain_size)
    return np.asarray((size + _thickness(delta)) / (size / d + 1.0 / p))


def d_eff_brick_layer(
    d_bulk: npt.ArrayLike,
    permeability: npt.ArrayLike,
    grain_size: npt.ArrayLike,
    delta: npt.ArrayLike,
) -> FloatArray:
    r"""Cubic grains in a continuous layer of boundary: columns in series, walls in parallel.

    .. math:: D_\mathrm{eff} = a\,D_\mathrm{series} + (1 - a)\,P\delta, \qquad
              a = \Big(\frac{l}{l+\delta}\Big)^2

    Parameters
    ----------
    d_bulk, permeability, grain_size, delta : array_like
        As in `d_eff_series`; `delta` is needed, because it carries the path along the boundaries.

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    ValueError
        If a quantity is not positive.

    Notes
    -----
    The flux lines are taken to be straight, which makes this a lower bound for cubes in a matrix.

    References
    ----------
    J. Maier, Ber. Bunsenges. Phys. Chem. 90 (1986) 26 (brick layer).

    Examples
    --------
    >>> thin = d_eff_brick_layer(2.6e-8, 1.4e-6, 16e-4, 5e-8)
    >>> bool(abs(thin / d_eff_series(2.6e-8, 1.4e-6, 16e-4) - 1) < 1e-4)
    True
    """
    (width,) = _positive(delta=delta)
    columns = d_eff_series(d_bulk, permeability, grain_size, width)
    p, size = np.asarray(permeability, dtype=float), np.asarray(grain_size, dtype=float)
    share = (size / (size + width)) ** 2
    return np.asarray(share * columns + (1.0 - share) * p * width)


def d_eff_maxwell_garnett(
    d_bulk: npt.ArrayLike,
    permeability: npt.ArrayLike,
    grain_size: npt.ArrayLike,
    delta: npt.ArrayLike,
    *,
    dimensions: int = 3,
) -> FloatArray:
    r"""Grains as inclusions in a matrix of boundary.

    .. math:: D_\mathrm{eff} = D_\mathrm{gb}\,
        \frac{D_b + (d-1) D_\mathrm{gb} + (d-1)\varphi (D_b - D_\mathrm{gb})}
             {D_b + (d-1) D_\mathrm{gb} - \varphi (D_b - D_\mathrm{gb})}, \qquad
        \varphi = \Big(\frac{l}{l+\delta}\Big)^d

    Parameters
    ----------
    d_bulk, permeability, grain_size, delta : array_like
        As in `d_eff_series`; D_gb = P δ.
    dimensions : {1, 2, 3}
        d: slabs (the series model exactly), cylinders, spheres.

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    ValueError
        If a quantity is not positive, or `dimensions` not 1, 2 or 3.

    References
    ----------
    J. C. Maxwell Garnett, Phil. Trans. R. Soc. A 203 (1904) 385; for grain boundaries: I. V.
    Belova and G. E. Murch, J. Phys. Chem. Solids 64 (2003) 873.

    Examples
    --------
    >>> one = d_eff_maxwell_garnett(2.0, 0.5, 8.0, 0.1, dimensions=1)
    >>> bool(np.isclose(one, d_eff_series(2.0, 0.5, 8.0, 0.1), rtol=1e-14))
    True
    """
    if dimensions not in (1, 2, 3):
        raise ValueError(f"dimensions must be 1, 2 or 3, got {dimensions}")
    d, p, size, width = _positive(
        d_bulk=d_bulk, permeability=permeability, grain_size=grain_size, delta=delta
    )
    gb, others = p * width, dimensions - 1
    # 1 − φ without the cancellation: δ is 1e-5 of l
    empty = -np.expm1(-dimensions * np.log1p(width / size))
    top = d * (dimensions - others * empty) + others * gb * empty
    bottom = d * empty + gb * (dimensions - empty)
    return np.asarray(gb * top / bottom)


def d_eff_hart(
    d_bulk: npt.ArrayLike,
    permeability: npt.ArrayLike,
    grain_size: npt.ArrayLike,
    delta: npt.ArrayLike,
    *,
    dimensions: int = 3,
) -> FloatArray:
    r"""Grains and fast boundaries in parallel: the time that an atom spends in either.

    .. math:: D_\mathrm{eff} = (1 - f) D_\mathrm{bulk} + f D_\mathrm{gb}, \qquad
              f = 1 - \Big(\frac{l}{l+\delta}\Big)^d

    Parameters
    ----------
    d_bulk, permeability, grain_size, delta, dimensions
        As in `d_eff_maxwell_garnett`.

    Returns
    -------
    numpy.ndarray

    Raises
    ------
    ValueError
        If a quantity is not positive, or the boundaries are slower than the grains: a parallel
        path cannot show a resistance.

    References
    ----------
    E. W. Hart, Acta Metall. 5 (1957) 597.

    Examples
    --------
    >>> round(float(d_eff_hart(1.0, 1e6, 1.0, 1e-3)), 3)
    3.991
    """
    if dimensions not in (1, 2, 3):
        raise ValueError(f"dimensions must be 1, 2 or 3, got {dimensions}")
    d, p, size, width = _positive(
        d_bulk=d_bulk, permeability=permeability, grain_size=grain_size, delta=delta
    )
    gb = p * width
    if np.any(gb < d):
        worst = float(np.min(gb / d))
        raise ValueError(
            f"Hart's model needs boundaries at least as fast as the grains, got D_gb/D_bulk = "
            f"{worst:.2g}; it adds the boundaries in parallel and would return D_bulk whatever "
            "their resistance, use the series model"
        )
    share = -np.expm1(-dimensions * np.log1p(width / size))
    return np.asarray((1.0 - share) * d + share * gb)


def d_eff_mixed(
    d_bulk: npt.ArrayLike, permeabilities: npt.ArrayLike, grain_sizes: npt.ArrayLike
) -> float:
    r"""Unequal grains and boundaries in series: the means that count are ⟨l⟩, ⟨l/D⟩ and ⟨1/P⟩.

    .. math:: \frac{\langle l \rangle}{D_\mathrm{eff}} =
              \Big\langle \frac{l}{D_\mathrm{bulk}} \Big\rangle + \Big\langle \frac1P \Big\rangle

    Parameters
    ----------
    d_bulk : array_like
        One value, or one per grain.
    permeabilities : array_like, shape (boundary,)
        P; one that is 0 blocks the chain (D_eff = 0).
    grain_sizes : array_like, shape (grain,)

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If a list is empty, a size or D is not positive or a permeability negative.

    Examples
    --------
    >>> round(d_eff_mixed(2.0, [0.25, 1.0], [4.0, 12.0]), 6)
    1.230769
    """
    d, size = _positive(d_bulk=d_bulk, grain_sizes=grain_sizes)
    p = np.asarray(permeabilities, dtype=float)
    if p.size == 0 or size.size == 0 or not np.all(p >= 0):
        raise ValueError("permeabilities and grain_sizes must hold values of at least 0, got none")
    with np.errstate(divide="ignore"):
        resistance = float(np.mean(1.0 / p))
    return float(np.mean(size) / (np.mean(size / d) + resistance))


def harmonic_factor(relative_spread: npt.ArrayLike) -> FloatArray:
    r"""⟨P⟩⟨1/P⟩ of a lognormal distribution with this standard deviation over its mean.

    .. math:: \langle P \rangle \langle 1/P \rangle = e^{\sigma^2} = 1 + (s/\langle P\rangle)^2

    Examples
    --------
    >>> float(harmonic_factor(0.5))
    1.25
    """
    ratio = np.asarray(relative_spread, dtype=float)
    if not np.all(ratio >= 0):
        raise ValueError(f"relative_spread must not be negative, got {np.min(ratio):g}")
    return np.asarray(1.0 + ratio**2)


def grain_size_from_intercept(mean_intercept: float, *, dimensions: int = 2) -> float:
    """Return l of eq. (6) from the mean linear intercept L̄: (4/π) L̄ in 2-D, 1.5 L̄ in 3-D.

    Parameters
    ----------
    mean_intercept : float
        Mean length of straight lines within a grain.
    dimensions : {2, 3}
        2: boundaries perpendicular to the plane that is looked at; 3: grains cut by it.

    Raises
    ------
    ValueError
        If `mean_intercept` is not positive or `dimensions` not 2 or 3.

    Notes
    -----
    Both factors are those of the mean diameter of a disc or sphere over its mean chord. Against
    the homogenised D_eff of simulated structures the first was 0.92 to 1.10 (see
    `lliso.diffusion.homogenised`); the number-mean diameter of a broad distribution is not l.

    Examples
    --------
    >>> round(grain_size_from_intercept(12.57), 2)
    16.0
    """
    if dimensions not in INTERCEPT_FACTOR:
        raise ValueError(f"dimensions must be 2 or 3, got {dimensions}")
    _positive(mean_intercept=mean_intercept)
    return float(INTERCEPT_FACTOR[dimensions] * mean_intercept)

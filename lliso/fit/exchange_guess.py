"""First guesses for a profile after an exchange: fractions, D_eff, level, barrier."""

from __future__ import annotations

import numpy as np
from scipy.special import erfcinv, erfcx

from lliso._types import BoolArray
from lliso.fit.profiles import Profile


def guess_ends(profile: Profile) -> tuple[float, float]:
    """Guess C₀ and C₁: what the attributes say, else the ends of the measured range."""
    c = np.sort(profile.fraction)
    few = max(1, c.size // 12)
    low = float(str(profile.attrs.get("c_natural", np.median(c[:few]))))
    high = float(str(profile.attrs.get("c_source", np.median(c[-few:]))))
    return low, high


def guess_exchange(
    profile: Profile, time: float, c0: float, c1: float, x0: float | None = None
) -> tuple[float, float]:
    """Guess D_eff (µm²/s) and level (µm) from the straight line erfc⁻¹ makes of the profile.

    Parameters
    ----------
    profile : Profile
    time : float
        s.
    c0, c1 : float
        Fractions far away and at the surface.
    x0 : float, optional
        Level, if it is known.

    Returns
    -------
    d_eff, x0 : float
    """
    x = profile.position
    share = (profile.fraction - c0) / (c1 - c0) if c1 != c0 else np.full(x.shape, np.nan)
    use: BoolArray = (share > 0.05) & (share < 0.95)
    if np.count_nonzero(use) >= 2:
        z = erfcinv(share[use])
        weight = np.exp(-2.0 * z**2)  # an error of the share is one of z times e^(z²)
        if x0 is None:
            mean_x, mean_z = np.average(x[use], weights=weight), np.average(z, weights=weight)
            dx, dz = x[use] - mean_x, z - mean_z
            slope = np.sum(weight * dx * dz) / np.sum(weight * dx**2)
            level = mean_x - mean_z / slope if slope > 0 else x[0]
        else:
            dx = x[use] - x0
            slope, level = np.sum(weight * dx * z) / np.sum(weight * dx**2), x0
        if slope > 0:
            return float(0.25 / (slope**2 * time)), float(np.clip(level, x[0], x[-1]))
    reach = 0.25 * (x[-1] - x[0])
    steepest = int(np.argmin(np.diff(profile.fraction))) if x.size > 1 else 0
    return float(reach**2 / (16.0 * time)), float(x[steepest] if x0 is None else x0)


def guess_barrier(surface_share: float) -> float:
    """Guess h√(Dt) = k√(t/D) from the share at the surface, 1 - erfcx.

    Examples
    --------
    >>> round(float(erfcx(guess_barrier(0.6))), 3)
    0.4
    """
    wanted = float(np.clip(1.0 - surface_share, 1e-3, 0.999))
    grid = np.logspace(-4, 4, 2001)
    return float(np.exp(np.interp(-np.log(wanted), -np.log(erfcx(grid)), np.log(grid))))

"""Conductivities from resistances and the shape of a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lliso.units import LENGTH, UM_PER_CM, parse_quantity

if TYPE_CHECKING:
    from lliso.fit.impedance import ImpedanceFit


def conductivities(
    fit: ImpedanceFit,
    *,
    thickness: float | str,
    area: float | str,
    thickness_std: float | str = 0.0,
    area_std: float | str = 0.0,
) -> dict[str, tuple[float, float]]:
    r"""Conductivities from resistances and the sample's geometry.

    .. math:: \sigma = \frac{d}{A R}, \qquad
              \sigma_\mathrm{gb,specific} = \sigma_\mathrm{gb} \frac{C_\mathrm{bulk}}{C_\mathrm{gb}}

    Parameters
    ----------
    fit : ImpedanceFit
    thickness, thickness_std : float or str
        Distance d of the electrodes, µm or with a unit.
    area, area_std : float or str
        Of an electrode, cm² or with a unit.

    Returns
    -------
    dict of str to (float, float)
        ``sigma_bulk``, ``sigma_gb`` (of the boundaries with the sample's geometry),
        ``sigma_total``, each with its standard error, S/cm; and ``sigma_gb_specific``, of the
        boundaries' own material by the brick-layer model (δ/l = C_bulk/C_gb), NaN without an arc
        of the grains.

    Raises
    ------
    ValueError
        If a length or area is not positive, or an error negative.

    Examples
    --------
    >>> import xarray as xr
    >>> from lliso.diffusion.impedance import polycrystal_impedance
    >>> from lliso.fit.impedance import fit_impedance
    >>> f = np.geomspace(1e0, 1e7, 60)
    >>> z = polycrystal_impedance(f, 200.0, 1800.0, 1e-8, 0.9, 1e-11, 0.95, 1e-5, 0.8)
    >>> s = xr.Dataset({"z_real": ("frequency", z.real), "z_imag": ("frequency", z.imag)},
    ...                {"frequency": f})
    >>> found = conductivities(fit_impedance(s), thickness="1 mm", area="0.5 cm^2")
    >>> round(found["sigma_total"][0] * 1e4, 6)
    1.0
    """
    d = parse_quantity(thickness, LENGTH, "thickness") / UM_PER_CM
    a = parse_quantity(area, "cm^2", "area")
    d_std = parse_quantity(thickness_std, LENGTH, "thickness_std") / UM_PER_CM
    a_std = parse_quantity(area_std, "cm^2", "area_std")
    if not (d > 0 and a > 0 and d_std >= 0 and a_std >= 0):
        raise ValueError(
            f"thickness and area must be positive, their errors not negative, got {d:g} cm, "
            f"{a:g} cm2, {d_std:g} cm and {a_std:g} cm2"
        )
    shape = np.hypot(d_std / d, a_std / a)
    out = {}
    for name in ("bulk", "gb", "total"):
        r, std = getattr(fit, f"r_{name}"), getattr(fit, f"r_{name}_std")
        sigma = d / (a * r)
        out[f"sigma_{name}"] = (float(sigma), float(sigma * np.hypot(std / r, shape)))
    share = fit.c_bulk / fit.c_gb
    out["sigma_gb_specific"] = (out["sigma_gb"][0] * share, out["sigma_gb"][1] * share)
    return out

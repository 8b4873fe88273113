"""The curve of a fit to long-range profiles at any positions, to draw it between the points."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lliso._types import FloatArray
from lliso.diffusion.cosine import (
    bar_length,
    cosine_basis,
    damping,
    exchange_amplitudes,
    terms_needed,
)
from lliso.diffusion.long_range import exchange_share
from lliso.fit.exchange_curve import UM2
from lliso.units import UM_PER_CM

if TYPE_CHECKING:
    import xarray as xr


def fitted_curve(table: xr.Dataset, number: int, position: FloatArray) -> FloatArray | None:
    """Return the fitted fraction at positions.

    Parameters
    ----------
    table : xarray.Dataset
        Of `lliso.fit_exchange` or `lliso.fit_sample`, or of `lliso.fit_anneal` from a fitted start.
    number : int
        0 for the exchange, then the storages in order.
    position : numpy.ndarray
        µm.

    Returns
    -------
    numpy.ndarray or None
        None where the table does not hold the curve: a start that was measured or given, a
        programme of temperatures, profiles with parameters or offsets of their own, a fit that
        failed.

    Examples
    --------
    >>> from lliso.fit.exchange import fit_exchange
    >>> from lliso.maps.synthetic_profiles import LineAnalysis, simulate_line_analysis
    >>> (after, *_), _ = simulate_line_analysis(LineAnalysis(), seed=1)
    >>> table = fit_exchange(after, time="110 h")
    >>> drawn = fitted_curve(table, 0, table.position.values)
    >>> bool(np.allclose(drawn, table.curve, atol=1e-9))
    True
    """
    names = [str(p) for p in table["param"].values]
    have = dict(zip(names, map(float, table["best"].values), strict=True))
    spread = _spread_of(table, have, number)
    d = have.get("d_eff[exchange]", have.get("d_eff", np.nan))
    needed = [d, *(have.get(n, np.nan) for n in ("x0", "c0", "c1"))]
    own = any(p.startswith(("offset", "c_immersed")) for p in have)
    if spread is None or own or not np.all(np.isfinite(needed)):
        return None
    k = have.get("k", np.inf)
    if np.isnan(k):
        return None
    both = bool(table.attrs.get("both_ends", 0))
    ends = (float(table.attrs["ends_um"][0]), float(table.attrs["ends_um"][1]))
    box, blur = float(table.attrs["box_um"]), float(table.attrs["blur_um"])
    d_um, k_um = d / UM2, k * UM_PER_CM
    x0, time = have["x0"], float(np.atleast_1d(table.attrs["time_s"])[0])
    if spread == 0.0:
        share = exchange_share(
            position, d_um, x0, k_um, time=time, ends=ends, both_ends=both, box=box, blur=blur
        )
    else:
        terms = terms_needed(bar_length(ends), spread, blur)
        start = exchange_amplitudes(time, d_um, ends=ends, number=terms, exchange=k_um, origin=x0)
        at = np.clip(position, ends[0] + 0.5 * box, ends[1] - 0.5 * box)
        basis = cosine_basis(at, ends=ends, number=terms, box=box)
        share = basis @ (start * damping(spread, ends=ends, number=terms, box=box, blur=blur))
    return np.asarray(have["c0"] + (have["c1"] - have["c0"]) * share)


def _spread_of(table: xr.Dataset, have: dict[str, float], number: int) -> float | None:
    """∫ D dt (µm²) from the end of the exchange to the end of a storage."""
    if number == 0:
        return 0.0
    if "storage_s" not in table.attrs:
        return None
    total = 0.0
    for i, time in enumerate(np.atleast_1d(table.attrs["storage_s"])[:number]):
        names = (f"d_eff[storage {i + 1}]", "d_eff[storage]", "d_eff")
        known = [have[n] for n in names if n in have]
        if not known or not np.isfinite(known[0]):
            return None
        total += known[0] / UM2 * float(time)
    return total if total > 0 else None

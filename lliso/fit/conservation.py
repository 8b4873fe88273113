"""Conservation of lithium between the stages of a sample, as the profiles tell it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lliso._types import FloatArray
from lliso.fit.curve import CurveFit
from lliso.fit.profiles import Profile

#: standard errors beyond which a change of the amount is flagged
DRIFT = 3.0


def li6_change(
    fit: CurveFit, excess: FloatArray, profiles: Sequence[Profile], number: Sequence[int]
) -> tuple[FloatArray, FloatArray]:
    """Relative change of the excess of ⁶Li that each later stage would like, and its error.

    A factor on C − C₀ of one stage is added to the fit at its end (one step of scoring), with all
    other parameters free to follow: 0 within its error if lithium is conserved.

    Parameters
    ----------
    fit : CurveFit
    excess : numpy.ndarray, shape (n,)
        C − C₀ of the fitted curve.
    profiles : sequence of Profile
    number : sequence of int
        Stage of each profile, 0 the exchange.

    Returns
    -------
    change, stderr : numpy.ndarray, shape (profile,)
        NaN for the exchange, and where the other parameters can take up any change.
    """
    covariance = np.nan_to_num(fit.covariance)
    state = fit.state
    change, error = np.full(len(profiles), np.nan), np.full(len(profiles), np.nan)
    first = 0
    for i, profile in enumerate(profiles):
        column = np.zeros_like(excess)
        column[first : first + profile.position.size] = 1.0
        first += profile.position.size
        if number[i] == 0 or fit.singular:
            continue
        white = state.whiten(column * excess)
        along = state.white_jacobian.T @ white
        own = white @ white
        left = float(own - along @ covariance @ along)
        if left > 1e-9 * own:
            change[i] = float(white @ state.white_residual) / left
            error[i] = left**-0.5
    return change, error


def change_columns(change: FloatArray, error: FloatArray) -> dict[str, Any]:
    """Columns of a table for `li6_change`."""
    one = {"units": "1"}
    return {
        "li6_change": ("profile", change, {**one, "long_name": "change of the excess of 6Li"}),
        "li6_change_stderr": ("profile", error, one),
    }

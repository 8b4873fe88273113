"""The Arrhenius line as a lmfit model."""

from __future__ import annotations

from typing import Any

import lmfit
import numpy as np
from lmfit.models import update_param_vals

from lliso._types import FloatArray
from lliso.diffusion.transport import BOLTZMANN


def arrhenius_line(temperature: FloatArray, log_prefactor: float, energy: float) -> FloatArray:
    """Return ln D = ln D₀ − E_a/kT, what `ArrheniusModel` fits.

    Examples
    --------
    >>> round(float(np.exp(arrhenius_line(np.array([295.15]), np.log(0.048), 0.43))[0] * 1e9), 2)
    2.18
    """
    return np.asarray(log_prefactor - energy / (BOLTZMANN * np.asarray(temperature)))


class ArrheniusModel(lmfit.Model):
    """ln D against T: parameters ``log_prefactor`` (ln D₀) and ``energy`` (E_a, eV).

    Fit ln D with ``weights=value/std, scale_covar=False``. `lliso.fit_arrhenius` does the same
    in closed form; the model is there to be combined with others.

    Examples
    --------
    >>> t = np.array([295.0, 373.0, 473.0])
    >>> model = ArrheniusModel()
    >>> ln_d = model.eval(temperature=t, log_prefactor=-3.0, energy=0.43)
    >>> params = model.guess(ln_d, temperature=t)
    >>> round(params["energy"].value, 9)
    0.43
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("independent_vars", ["temperature"])
        super().__init__(arrhenius_line, **kwargs)

    def guess(self, data: Any, temperature: Any = None, **overrides: Any) -> lmfit.Parameters:
        """Guess by an unweighted line.

        Parameters
        ----------
        data : array_like
            ln D.
        temperature : array_like
            K.
        **overrides
            Values that replace the guess.

        Raises
        ------
        ValueError
            If `temperature` is missing.
        """
        if temperature is None:
            raise ValueError("guess needs the temperatures: guess(ln_d, temperature=t)")
        u = 1.0 / (BOLTZMANN * np.asarray(temperature, dtype=float))
        slope, intercept = np.polyfit(u, np.asarray(data, dtype=float), 1)
        params = self.make_params(log_prefactor=intercept, energy=-slope)
        return update_param_vals(params, self.prefix, **overrides)

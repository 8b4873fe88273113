"""The circuit of a polycrystal as a lmfit model, and its first guess."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import lmfit
import numpy as np
from lmfit.models import update_param_vals
from scipy.optimize import nnls

from lliso._types import FloatArray
from lliso.diffusion.impedance import ComplexArray, arc, polycrystal_impedance

#: exponents and the number of time constants that are tried for a first guess
_TRIED_N = (0.7, 0.9)
_TRIED_ELECTRODE = (0.5, 0.75, 0.95)
_TRIED_TAU = 14


def _circuit(
    frequency: FloatArray,
    log_r_bulk: float,
    log_r_gb: float,
    log_q_gb: float,
    n_gb: float,
    log_q_bulk: float,
    n_bulk: float,
    log_q_electrode: float,
    n_electrode: float,
    inductance: float,
    bulk_arc: bool = True,
    electrode: bool = True,
) -> ComplexArray:
    return polycrystal_impedance(
        frequency,
        r_bulk=np.exp(log_r_bulk),
        r_gb=np.exp(log_r_gb),
        q_gb=np.exp(log_q_gb),
        n_gb=n_gb,
        q_bulk=np.exp(log_q_bulk) if bulk_arc else 0.0,
        n_bulk=n_bulk,
        q_electrode=np.exp(log_q_electrode) if electrode else np.inf,
        n_electrode=n_electrode,
        inductance=inductance,
    )


class PolycrystalImpedanceModel(lmfit.Model):
    """Complex impedance of `lliso.diffusion.impedance.polycrystal_impedance`.

    Free parameters are logarithms, because resistances and constant-phase elements span decades:
    ``log_r_bulk``, ``log_r_gb``, ``log_q_gb``, ``n_gb``, ``log_q_bulk``, ``n_bulk``,
    ``log_q_electrode``, ``n_electrode``, ``inductance`` (fixed at 0 H unless told to vary); derived
    from them ``r_bulk``, ``r_gb``, ``r_total`` (Ω). Independent variables: ``frequency`` (Hz), and
    ``bulk_arc`` and ``electrode``, whether the arc of the grains and the electrode are there.

    Fit with ``weights=1/(relative error × |Z|)``: real and imaginary residuals count alike.

    Examples
    --------
    >>> f = np.geomspace(1e0, 1e7, 60)
    >>> z = polycrystal_impedance(f, 200.0, 1800.0, 1e-8, 0.9, 1e-11, 0.95, 1e-5, 0.8)
    >>> model = PolycrystalImpedanceModel()
    >>> params = model.guess(z, frequency=f)
    >>> result = model.fit(z, params, frequency=f, bulk_arc=True, electrode=True,
    ...                    weights=1 / abs(z))
    >>> bool(abs(result.params["r_gb"].value - 1800) < 1e-2)
    True
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("independent_vars", ["frequency", "bulk_arc", "electrode"])
        super().__init__(_circuit, **kwargs)
        for name in ("n_gb", "n_bulk", "n_electrode"):
            self.set_param_hint(name, min=0.3, max=1.0 + 1e-9, value=0.9)
        self.set_param_hint("inductance", value=0.0, vary=False)
        for name in ("r_bulk", "r_gb"):
            self.set_param_hint(name, expr=f"exp({self.prefix}log_{name})")
        self.set_param_hint(
            "r_total", expr=f"exp({self.prefix}log_r_bulk) + exp({self.prefix}log_r_gb)"
        )

    def guess(
        self,
        data: Any,
        frequency: Any = None,
        bulk_arc: bool = True,
        electrode: bool = True,
        **overrides: Any,
    ) -> lmfit.Parameters:
        """Guess by trying time constants; the resistances are linear then.

        Parameters
        ----------
        data : array_like of complex, shape (n,)
            Z in Ω.
        frequency : array_like, shape (n,)
            Hz.
        bulk_arc, electrode : bool
            Which elements are there.
        **overrides
            Values that replace the guess.

        Raises
        ------
        ValueError
            If `frequency` is missing.
        """
        if frequency is None:
            raise ValueError("guess needs the frequencies: guess(z, frequency=f)")
        found = _linear_guess(np.asarray(frequency), np.asarray(data), bulk_arc, electrode)
        params = self.make_params(**found)
        absent = [] if bulk_arc else ["log_q_bulk", "n_bulk"]
        absent += [] if electrode else ["log_q_electrode", "n_electrode"]
        for name in absent:
            params[f"{self.prefix}{name}"].set(vary=False)
        return update_param_vals(params, self.prefix, **overrides)


def _linear_guess(
    f: FloatArray, z: ComplexArray, bulk_arc: bool, electrode: bool
) -> dict[str, float]:
    weight = np.concatenate([1 / np.abs(z)] * 2)

    def real(values: Any) -> FloatArray:
        return np.asarray(np.concatenate([values.real, values.imag]) * weight)

    taus = np.geomspace(1 / (2 * np.pi * f.max() * 30), 3 / (2 * np.pi * f.min()), _TRIED_TAU)
    data = real(z)
    best: tuple[float, Any] = (np.inf, None)
    pairs = list(combinations(taus, 2)) if bulk_arc else [(0.0, tau) for tau in taus]
    tried_e = _TRIED_ELECTRODE if electrode else (1.0,)
    plain = np.ones(f.shape, dtype=np.complex128)
    for n in _TRIED_N:
        arcs = {tau: real(arc(f, 1.0, tau**n, n)) for tau in taus}
        for n_e in tried_e:
            tail = real((2j * np.pi * f) ** -n_e)
            for fast, slow in pairs:
                columns = [arcs[fast] if bulk_arc else real(plain), arcs[slow]]
                columns += [tail] if electrode else []
                size, misfit = nnls(np.stack(columns, axis=1), data)
                if misfit < best[0] and np.all(size > 0):
                    best = (misfit, (fast, slow, n, n_e, size))
    if best[1] is None:  # one of the parts is not there: begin somewhere sensible
        size = np.array([0.3 * z.real.max(), 0.7 * z.real.max(), 1.0])
        best = (np.inf, (taus[1], taus[_TRIED_TAU // 2], 0.9, 0.8, size))
    fast, slow, n, n_e, size = best[1]
    return {
        "log_r_bulk": np.log(size[0]),
        "log_r_gb": np.log(size[1]),
        "log_q_bulk": n * np.log(fast) - np.log(size[0]) if bulk_arc else -30.0,
        "log_q_gb": n * np.log(slow) - np.log(size[1]),
        "n_bulk": n,
        "n_gb": n,
        "log_q_electrode": -np.log(size[2]) if electrode else 0.0,
        "n_electrode": n_e,
    }

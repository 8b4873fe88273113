"""lmfit models: the functions of `lliso.diffusion` with parameter names, guesses and bounds."""

from __future__ import annotations

from typing import Any

import lmfit
import numpy as np
from lmfit.models import update_param_vals

from lliso.diffusion.steps import boundary_fraction, boundary_terms
from lliso.fit.linear import fit_linear


class GrainBoundaryModel(lmfit.Model):
    r"""One grain boundary on a line profile: `lliso.diffusion.steps.boundary_fraction`.

    Parameters of the model: ``level`` (isotope fraction), ``step`` (ΔC), ``slope`` (1/µm),
    ``curvature_before`` and ``curvature_after`` (1/µm²), ``position`` (µm) and ``blur`` (standard
    deviation in µm). ``position`` and ``blur`` are fixed unless they are told to vary. Independent
    variables: ``distance`` (µm) and ``slice_length`` (µm).

    The errors of counts are known: fit with ``weights=1/fraction_std, scale_covar=False``.

    Examples
    --------
    >>> x = np.linspace(0, 40, 41)
    >>> model = GrainBoundaryModel()
    >>> data = model.eval(distance=x, level=0.4, step=-0.02, slope=-1e-4, position=20.2)
    >>> params = model.guess(data, distance=x)
    >>> result = model.fit(data, params, distance=x, slice_length=0.0, weights=1e4,
    ...                    scale_covar=False)
    >>> abs(result.params["step"].value + 0.02) < 1e-6
    True
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("independent_vars", ["distance", "slice_length"])
        super().__init__(boundary_fraction, **kwargs)
        self.set_param_hint("position", vary=False)
        self.set_param_hint("blur", min=0.0, vary=False)

    def guess(
        self, data: Any, distance: Any = None, slice_length: float = 0.0, **overrides: Any
    ) -> lmfit.Parameters:
        """Guess the parameters: the position of the best step, the rest by a linear fit there.

        Parameters
        ----------
        data : array_like, shape (n,)
            Isotope fraction.
        distance : array_like, shape (n,)
            Position of each slice in µm.
        slice_length : float
            Length of a slice in µm.
        **overrides
            Values that replace the guess; a given ``position`` is kept.

        Returns
        -------
        lmfit.Parameters

        Raises
        ------
        ValueError
            If `distance` is missing, of another length than `data`, or too short.
        """
        if distance is None:
            raise ValueError("guess needs the positions of the slices: guess(data, distance=x)")
        x = np.asarray(distance, dtype=float)
        c = np.asarray(data, dtype=float)
        if x.shape != c.shape or x.size < 6:
            raise ValueError(
                "guess needs data and distance of one length, at least 6, got "
                f"{c.shape} and {x.shape}"
            )
        given = overrides.get("position")
        candidates = (x[2:-3] + x[3:-2]) / 2 if given is None else np.array([float(given)])
        best = min(candidates, key=lambda at: _misfit(c, x - at, slice_length))
        level, step, slope = _line_with_step(c, x - best, slice_length)
        params = self.make_params(
            level=level,
            step=step,
            slope=slope,
            curvature_before=0.0,
            curvature_after=0.0,
            position=float(best),
            blur=0.0,
        )
        return update_param_vals(params, self.prefix, **overrides)


def _line_with_step(c: Any, nu: Any, slice_length: float) -> tuple[float, float, float]:
    terms = boundary_terms(nu, 0.0, slice_length)[:, :3]
    # One parameter set for all weights alike: equal totals make the weights nearly so.
    total = np.full(c.shape, 1.0)
    level, step, slope = fit_linear(terms, np.clip(c, 0, 1), total, rounds=1).value
    return float(level), float(step), float(slope)


def _misfit(c: Any, nu: Any, slice_length: float) -> float:
    terms = boundary_terms(nu, 0.0, slice_length)[:, :3]
    return float(np.sum((c - terms @ _line_with_step(c, nu, slice_length)) ** 2))

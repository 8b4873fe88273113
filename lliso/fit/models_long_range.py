"""lmfit models of long-range profiles, in the units of the field (µm, s, cm²/s, cm/s).

The functions are those of `lliso.diffusion.long_range`. The errors of counts are known: fit with
``weights=1/fraction_std, scale_covar=False``. `lliso.fit_exchange`, `lliso.fit_anneal` and
`lliso.fit_sample` do the same with the local spread, joint stages and checks.
"""

from __future__ import annotations

from typing import Any

import lmfit
import numpy as np
from lmfit.models import update_param_vals

from lliso._types import FloatArray
from lliso.diffusion.long_range import exchange_fraction, storage_fraction
from lliso.fit.exchange_guess import guess_barrier, guess_exchange
from lliso.fit.profiles import Profile
from lliso.units import UM_PER_CM

_UM2_PER_CM2 = UM_PER_CM**2


def _positive(diffusivity: float) -> float:
    """D in µm²/s, held above 0.

    A bound of lmfit would do it by a change of variable that, at 1e-9, rounds away the steps by
    which derivatives are taken.
    """
    return max(diffusivity, 1e-30) * _UM2_PER_CM2


def exchange_profile_fraction(
    position: Any,
    d_eff: float,
    x0: float,
    c0: float,
    c1: float,
    time: float = 1.0,
    box: float = 0.0,
    blur: float = 0.0,
) -> FloatArray:
    """`exchange_fraction` without a barrier; µm, s, cm²/s.

    Examples
    --------
    >>> c = exchange_profile_fraction([0.0, 1000.0], 8e-9, 0.0, 0.0759, 0.95, time=396000.0)
    >>> c.round(3).tolist()
    [0.95, 0.259]
    """
    return exchange_fraction(position, _positive(d_eff), x0, c0, c1, time=time, box=box, blur=blur)


def surface_exchange_fraction(
    position: Any,
    d_eff: float,
    x0: float,
    c0: float,
    c1: float,
    k: float,
    time: float = 1.0,
    box: float = 0.0,
    blur: float = 0.0,
) -> FloatArray:
    """`exchange_fraction` with a surface barrier; µm, s, cm²/s, cm/s.

    Examples
    --------
    >>> c = surface_exchange_fraction([0.0], 8e-9, 0.0, 0.0759, 0.95, 1e-7, time=396000.0)
    >>> c.round(3).tolist()
    [0.492]
    """
    return exchange_fraction(
        position, _positive(d_eff), x0, c0, c1, max(k, 0.0) * UM_PER_CM,
        time=time, box=box, blur=blur,
    )  # fmt: skip


def stored_fraction(
    position: Any,
    d_eff: float,
    d_exchange: float,
    x0: float,
    c0: float,
    c1: float,
    time: float = 1.0,
    time_exchange: float = 1.0,
    first: float = 0.0,
    last: float = 1.0,
    box: float = 0.0,
    blur: float = 0.0,
) -> FloatArray:
    """`storage_fraction` at one temperature, in a bar from `first` to `last`; µm, s, cm²/s.

    Examples
    --------
    >>> bar = {"time": 1209600.0, "time_exchange": 396000.0, "first": -1000.0, "last": 9000.0}
    >>> stored_fraction([0.0], 3e-9, 8e-9, 0.0, 0.0759, 0.95, **bar).round(3).tolist()
    [0.72]
    """
    return storage_fraction(
        position,
        _positive(d_eff) * time,
        _positive(d_exchange),
        x0,
        c0,
        c1,
        time=time_exchange,
        ends=(first, last),
        box=box,
        blur=blur,
    )


class _LongRangeModel(lmfit.Model):
    """A model whose instrument is ideal unless it is told otherwise."""

    def fit(self, data: Any, params: Any = None, **kwargs: Any) -> Any:
        """Fit as `lmfit.Model.fit` does; ``box`` and ``blur`` are 0 by default."""
        return super().fit(data, params, **{"box": 0.0, "blur": 0.0, **kwargs})


class ExchangeModel(_LongRangeModel):
    r"""Exchange without a barrier, eq. (4): `exchange_profile_fraction`.

    Parameters of the model: ``d_eff`` (cm²/s), ``x0`` (liquid level, µm), ``c0`` and ``c1``
    (fractions before the exchange and of the source). Independent variables: ``position`` (µm),
    ``time`` (s), ``box`` and ``blur`` (µm).

    Examples
    --------
    >>> x = np.arange(-900.0, 6000.0, 120.0)
    >>> model = ExchangeModel()
    >>> data = model.eval(position=x, time=396000.0, d_eff=8e-9, x0=100.0, c0=0.08, c1=0.95)
    >>> params = model.guess(data, position=x, time=396000.0)
    >>> fit = model.fit(data, params, position=x, time=396000.0, weights=1e3, scale_covar=False)
    >>> round(fit.params["x0"].value, 3)
    100.0
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("independent_vars", ["position", "time", "box", "blur"])
        super().__init__(exchange_profile_fraction, **kwargs)
        _hints(self)

    def guess(
        self, data: Any, position: Any = None, time: float | None = None, **overrides: Any
    ) -> lmfit.Parameters:
        """Guess the parameters from the straight line that erfc⁻¹ makes of the profile.

        Parameters
        ----------
        data : array_like, shape (n,)
            Isotope fraction.
        position : array_like, shape (n,)
            µm, growing.
        time : float
            Duration of the exchange, s.
        **overrides
            Values that replace the guess.

        Returns
        -------
        lmfit.Parameters

        Raises
        ------
        ValueError
            If position or time is missing, or of another length than data.
        """
        profile, duration = _checked(data, position, time)
        params = self.make_params(**_guess(profile, duration, overrides))
        return update_param_vals(params, self.prefix, **overrides)


class SurfaceExchangeModel(_LongRangeModel):
    r"""Exchange through a surface barrier (Crank): `surface_exchange_fraction`.

    As `ExchangeModel`, with ``k`` (cm/s). ``c1`` is fixed unless it is told to vary, because the
    level of the plateau before ``x0`` tells k only if the source is known.

    Examples
    --------
    >>> x = np.arange(-900.0, 6000.0, 120.0)
    >>> model = SurfaceExchangeModel()
    >>> true = {"d_eff": 8e-9, "x0": 100.0, "c0": 0.08, "c1": 0.95, "k": 1e-7}
    >>> data = model.eval(position=x, time=396000.0, **true)
    >>> params = model.guess(data, position=x, time=396000.0, c1=0.95)
    >>> fit = model.fit(data, params, position=x, time=396000.0, weights=1e3, scale_covar=False)
    >>> round(fit.params["k"].value * 1e7, 4)
    1.0
    """

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("independent_vars", ["position", "time", "box", "blur"])
        super().__init__(surface_exchange_fraction, **kwargs)
        _hints(self)
        self.set_param_hint("c1", vary=False)

    def guess(
        self, data: Any, position: Any = None, time: float | None = None, **overrides: Any
    ) -> lmfit.Parameters:
        """Guess as `ExchangeModel.guess`; k from the plateau, for the ``c1`` that is given.

        Parameters
        ----------
        data, position, time, **overrides
            As in `ExchangeModel.guess`; give ``c1``.

        Returns
        -------
        lmfit.Parameters

        Raises
        ------
        ValueError
            As `ExchangeModel.guess`.
        """
        profile, duration = _checked(data, position, time)
        guessed = _guess(profile, duration, overrides)
        source = float(overrides.get("c1", 0.95))
        share = (guessed["c1"] - guessed["c0"]) / (source - guessed["c0"])
        barrier = guess_barrier(share)
        guessed["k"] = barrier * float(np.sqrt(guessed["d_eff"] / duration))
        guessed["c1"] = source
        params = self.make_params(**guessed)
        return update_param_vals(params, self.prefix, **overrides)


class StorageModel(_LongRangeModel):
    r"""Exchange and then storage without source in a closed bar: `stored_fraction`.

    Parameters of the model: ``d_eff`` of the storage, and of its start ``d_exchange`` (cm²/s),
    ``x0`` (µm), ``c0``, ``c1``, which are fixed unless they are told to vary. Independent
    variables: ``position``, ``first`` and ``last`` (ends of the bar), ``box``, ``blur`` (µm);
    ``time`` of the storage and ``time_exchange`` (s).

    Examples
    --------
    >>> x = np.arange(-900.0, 6000.0, 120.0)
    >>> bar = {"time": 1209600.0, "time_exchange": 396000.0, "first": -1000.0, "last": 9000.0}
    >>> start = {"d_exchange": 8e-9, "x0": 0.0, "c0": 0.08, "c1": 0.95}
    >>> model = StorageModel()
    >>> data = model.eval(position=x, d_eff=3e-9, **start, **bar)
    >>> params = model.guess(data, position=x, **start, **bar)
    >>> fit = model.fit(data, params, position=x, weights=1e3, scale_covar=False, **bar)
    >>> round(fit.params["d_eff"].value * 1e9, 3)
    3.0
    """

    def __init__(self, **kwargs: Any) -> None:
        variables = ["position", "time", "time_exchange", "first", "last", "box", "blur"]
        kwargs.setdefault("independent_vars", variables)
        super().__init__(stored_fraction, **kwargs)
        for name in ("d_exchange", "x0", "c0", "c1"):
            self.set_param_hint(name, vary=False)

    def guess(self, data: Any, position: Any = None, **given: Any) -> lmfit.Parameters:
        """Guess D of the storage, by trying decades; the start must be given.

        Parameters
        ----------
        data : array_like, shape (n,)
            Isotope fraction.
        position : array_like, shape (n,)
            µm, growing.
        **given
            The start (``d_exchange, x0, c0, c1``) and the independent variables.

        Returns
        -------
        lmfit.Parameters

        Raises
        ------
        ValueError
            If something that is needed is missing.
        """
        needed = ("d_exchange", "x0", "c0", "c1", "time", "time_exchange", "first", "last")
        missing = [n for n in needed if n not in given]
        if missing:
            raise ValueError(f"guess needs the start and the bar, got no {', '.join(missing)}")
        profile, duration = _checked(data, position, given["time"])
        length = float(given["last"]) - float(given["first"])
        variables = {n: given[n] for n in self.independent_vars if n in given}
        start = {n: float(given[n]) for n in ("d_exchange", "x0", "c0", "c1")}
        trials = np.geomspace(1e-6, 1.0, 25) * length**2 / duration / _UM2_PER_CM2
        cost = [
            np.sum((stored_fraction(profile.position, float(d), **start, **variables) - data) ** 2)
            for d in trials
        ]
        d_eff = float(given.get("d_eff", trials[int(np.argmin(cost))]))
        return self.make_params(d_eff=d_eff, **start)


def _hints(model: lmfit.Model) -> None:
    model.set_param_hint("c0", min=0.0, max=1.0)
    model.set_param_hint("c1", min=0.0, max=1.0)


def _checked(data: Any, position: Any, time: float | None) -> tuple[Profile, float]:
    if position is None or time is None:
        raise ValueError("guess needs positions and time: guess(data, position=x, time=t)")
    if not time > 0:
        raise ValueError(f"time must be positive, got {time:g} s")
    x, c = np.asarray(position, dtype=float), np.asarray(data, dtype=float)
    if x.shape != c.shape or x.size < 4:
        raise ValueError(
            f"guess needs data and position of one length, at least 4, got {c.shape} and {x.shape}"
        )
    if not np.all(np.diff(x) > 0):
        raise ValueError("positions must grow, got some that do not; sort them")
    nothing = np.full(x.shape, np.nan)
    return Profile("data", x, c, nothing, nothing, {}, 0), float(time)


def _guess(profile: Profile, time: float, overrides: dict[str, Any]) -> dict[str, float]:
    c = np.sort(profile.fraction)
    few = max(1, c.size // 12)
    c0 = float(overrides.get("c0", np.median(c[:few])))
    c1 = float(np.median(c[-few:]))
    known = overrides.get("x0")
    d_eff, x0 = guess_exchange(profile, time, c0, c1, None if known is None else float(known))
    return {"d_eff": d_eff / _UM2_PER_CM2, "x0": x0, "c0": c0, "c1": c1}

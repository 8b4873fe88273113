"""Permeability of the boundaries from a millimetre profile: a chain of grains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso._types import FloatArray
from lliso.diffusion.chain import chain_of, run_chain
from lliso.diffusion.polycrystal import Stage
from lliso.fit.curve import CurveFit, fit_curve
from lliso.fit.exchange import gradient_flags, level_flags
from lliso.fit.exchange_curve import (
    UM2,
    Instrument,
    exchange_slots,
    mixing_envelope,
    parse_spread,
    parse_times,
    profile_noise,
)
from lliso.fit.parameters import FREE, INVERSE, LOG, Choice, Layout, Slot
from lliso.fit.profile_table import Derived, check_level, profile_table
from lliso.fit.profiles import Profile, read_profiles
from lliso.units import DIFFUSION, LENGTH, PERMEABILITY, UM_PER_CM, parse_quantity

if TYPE_CHECKING:
    import xarray as xr

_CELLS = 4  # per grain
_MOST_GRAINS = 20_000


def fit_chain(
    profile: xr.Dataset,
    *,
    time: float | str,
    grain_sizes: float | str | Sequence[float],
    d_bulk: Choice,
    x0: Choice = FREE,
    c0: Choice = FREE,
    c1: Choice = FREE,
    box: float | str | None = None,
    local_spread: float | str = FREE,
    level: float = 0.95,
) -> xr.Dataset:
    r"""Fit the permeability P of the boundaries to a profile taken after an exchange.

    The grains stand in a row from the liquid level on (`lliso.diffusion.chain.run_chain`, in time
    exact, four cells per grain). Over many grains the chain diffuses with eq. (6),
    :math:`1/D_\mathrm{eff} = 1/D_\mathrm{bulk} + 1/(l P)`: the profile gives the sum, so that P
    needs `d_bulk` from elsewhere, and its error is that of :math:`1/D_\mathrm{eff} -
    1/D_\mathrm{bulk}`. Where the boundaries add nothing to the resistance beyond the errors, only
    a lower limit of P is left: its value is NaN, `low` the limit (flag ``boundary_not_seen``).

    Parameters
    ----------
    profile : xarray.Dataset
        ``counts(species, position)`` in µm.
    time : float or str
        Duration of the exchange, s.
    grain_sizes : float, str or sequence of float
        Sizes along the line, µm: one for all, or one after another from the level on (repeated
        if they end before the profile).
    d_bulk : Choice
        cm²/s: a value, or ``(value, standard deviation)``, whose error enters P.
    x0, c0, c1, box, local_spread, level
        As in `lliso.fit_exchange`.

    Returns
    -------
    xarray.Dataset
        As of `lliso.fit_exchange`, with ``permeability`` (cm/s), ``d_bulk`` and, derived from
        both, ``d_eff`` by eq. (6) and ``boundary_share``, the boundaries' share of the resistance.

    Raises
    ------
    TypeError, ValueError
        If the profile, sizes or choices make no sense, or `d_bulk` is left free.

    Examples
    --------
    >>> from lliso.maps.synthetic_profiles import LineAnalysis, simulate_line_analysis
    >>> (after, *_), _ = simulate_line_analysis(LineAnalysis(d_exchange=2.2e-9), seed=1)
    >>> found = fit_chain(after, time="110 h", grain_sizes=30.0, d_bulk="2.6e-8 cm2/s")
    >>> by_six = 1 / (30e-4 * (1 / 2.2e-9 - 1 / 2.6e-8))
    >>> bool(abs(found.value.sel(param="permeability") / by_six - 1) < 0.1)
    True
    """
    data = read_profiles(profile)
    if len(data) != 1:
        raise ValueError(f"fit_chain takes one profile, got {len(data)}")
    check_level(level)
    if isinstance(d_bulk, str) and d_bulk == FREE:
        raise ValueError(
            "d_bulk must be given: a profile over many grains tells only D_eff, to which D_bulk "
            "and P both contribute; give a value or (value, standard deviation)"
        )
    duration = parse_times(time, 1)[0]
    view = Instrument.parse(data, box, 0.0, None)
    choices: dict[str, Choice] = {"d_eff": FREE, "x0": x0, "c0": c0, "c1": c1, "k": np.inf}
    curve = _set_up(data[0], duration, _sizes(grain_sizes), d_bulk, choices, view)
    noise = profile_noise(data, curve.envelope, parse_spread(local_spread))
    fit = fit_curve(curve, curve.layout.free(), data[0].fraction, noise)
    return profile_table(
        fit,
        curve.layout,
        data,
        flags=sorted({*level_flags(fit, curve.layout, data), *gradient_flags(data)}),
        level=level,
        derived=_derived(fit, curve),
        attrs={
            "model": "chain",
            "time_s": [duration],
            "box_um": view.box,
            "grain_size_um": float(np.mean(curve.sizes)),
        },
    )


def _sizes(grain_sizes: float | str | Sequence[float]) -> FloatArray:
    many: Any = grain_sizes
    if isinstance(grain_sizes, str | float | int | np.number):
        many = [parse_quantity(grain_sizes, LENGTH, "grain_sizes")]
    sizes = np.asarray(many, dtype=float)
    if sizes.ndim != 1 or sizes.size == 0 or not np.all(np.isfinite(sizes) & (sizes > 0)):
        raise ValueError("grain_sizes must be positive lengths in um, got none, 0, less or NaN")
    return sizes


def _set_up(
    profile: Profile,
    time: float,
    sizes: FloatArray,
    d_bulk: Choice,
    choices: dict[str, Choice],
    view: Instrument,
) -> ChainCurve:
    begin = exchange_slots(profile, time, choices, view.ends)
    d_eff = float(np.exp(begin["d_eff"].start))
    bulk = Slot("d_bulk", DIFFUSION, np.log(d_eff), -60.0, 60.0, 1.0, LOG, UM2).chosen(d_bulk)
    d = float(np.exp(bulk.start))
    size = float(np.mean(sizes))
    resistance = size * max(1.0 / d_eff - 1.0 / d, 0.02 / d_eff)
    p = Slot(
        "permeability", PERMEABILITY, resistance, 0.0, np.inf, size / d_eff, INVERSE, 1 / UM_PER_CM
    )
    slots = (p, bulk, *(begin[name] for name in ("x0", "c0", "c1")))
    reach = profile.position[-1] + 0.5 * view.box - begin["x0"].low
    reach += 6.0 * float(np.sqrt(d_eff * time))  # the far end must not be felt
    number = int(np.ceil(reach / size)) + 1
    if number > _MOST_GRAINS:
        raise ValueError(f"grains must be at most {_MOST_GRAINS} over the profile, got {number}")
    # at least as long as wanted, whatever the order of sizes
    row = np.tile(sizes, int(np.ceil(reach / sizes.sum())) + 1)
    row = row[: int(np.searchsorted(np.cumsum(row), reach)) + 1]
    return ChainCurve(Layout(slots), profile, time, row, view)


@dataclass(frozen=True, eq=False)
class ChainCurve:
    """Fractions of a profile across a chain at the free parameters."""

    layout: Layout
    profile: Profile
    time: float
    sizes: FloatArray
    view: Instrument
    memory: dict[tuple[float, float], FloatArray] = field(default_factory=dict)

    def __call__(self, theta: FloatArray) -> FloatArray:
        """Fraction at all points."""
        resistance, log_d, x0, c0, c1 = self.layout.full(theta)
        edges, integral = self._share(float(resistance), float(log_d))
        s = self.profile.position - x0

        def amount(at: FloatArray) -> FloatArray:
            return np.where(at < 0, at, np.interp(at, edges, integral))

        width = self.view.box if self.view.box > 0 else 1e-3 * float(self.sizes.min())
        share = (amount(s + 0.5 * width) - amount(s - 0.5 * width)) / width
        return np.asarray(c0 + (c1 - c0) * share)

    def _share(self, resistance: float, log_d: float) -> tuple[FloatArray, FloatArray]:
        """Edges of the cells, and ∫ share from the level up to them."""
        p = 1.0 / resistance if resistance > 0 else np.inf
        chain = chain_of(self.sizes, permeability=p, diffusivity=float(np.exp(log_d)), cells=_CELLS)
        edges = np.concatenate([[0.0], np.cumsum(chain.widths)])
        key = (resistance, log_d)
        if key not in self.memory:
            if len(self.memory) > 32:
                self.memory.clear()
            (share,) = run_chain(chain, [Stage(self.time, source=1.0)], initial=0.0)
            self.memory[key] = np.concatenate([[0.0], np.cumsum(chain.widths * share)])
        return edges, self.memory[key]

    def envelope(self, theta: FloatArray, curve: FloatArray) -> FloatArray:
        """Shape of the local spread."""
        full = self.layout.full(theta)
        return mixing_envelope(full[3], full[4], curve)


def _derived(fit: CurveFit, curve: ChainCurve) -> list[Derived]:
    """D_eff by eq. (6), and the boundaries' share of the resistance."""
    full = curve.layout.full(fit.value)
    size = float(np.mean(curve.sizes))
    resistance, bulk = float(full[0]), float(np.exp(full[1]))
    if resistance <= 0:
        return []
    d_eff = 1.0 / (1.0 / bulk + resistance / size)
    # derivatives by the reported P (cm/s) and D_bulk (cm²/s)
    p_unit, d_unit = UM_PER_CM * resistance**2, bulk / (bulk * UM2)
    by_resistance, by_bulk = -(d_eff**2) / size, (d_eff / bulk) ** 2
    gradient = np.zeros(full.size)
    gradient[0], gradient[1] = -by_resistance * p_unit * UM2, by_bulk * d_unit * UM2
    share = resistance / size * d_eff
    of_share = np.zeros(full.size)
    of_share[0] = -(1.0 - share) * d_eff / size * p_unit
    of_share[1] = share * d_eff / bulk**2 * d_unit
    return [
        Derived("d_eff", DIFFUSION, d_eff * UM2, gradient),
        Derived("boundary_share", "1", share, of_share),
    ]

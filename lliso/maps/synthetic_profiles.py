"""Simulated long-range profiles (line analysis) and sets of D and σ against temperature."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from lliso import schema
from lliso._types import FloatArray
from lliso.diffusion.anneal import anneal_profile
from lliso.diffusion.exchange import box_mean, exchange_profile
from lliso.diffusion.transport import BOLTZMANN, CHARGE
from lliso.maps.synthetic_solution import stream
from lliso.units import DIFFUSION, LENGTH, TIME, UM_PER_CM, parse_quantity

if TYPE_CHECKING:
    import xarray as xr

#: elementary charge over volts: σ (S/cm) = n e² D / kT with n in 1/cm³ and kT in eV


@dataclass(frozen=True)
class LineAnalysis:
    """A long-range profile measured after exchange and after further stages.

    Parameters
    ----------
    d_exchange : float
        D_eff during the exchange, cm²/s.
    exchange : float
        Its duration, s.
    stages : tuple of (float, float)
        D_eff (cm²/s) and duration (s) of each stage after it, without source.
    c_natural, c_source : float
    immersed, length : float
        Immersed part, up to the nominal level at 0, and whole length of the bar, µm.
    surface_exchange : float
        Exchange coefficient k at the liquid level, cm/s; inf for none.
    level : float
        True position of the liquid level (the meniscus rises) on the measured axis, µm.
    first, last, pitch : float
        Positions measured, µm.
    box : float
        Width over which a point averages, µm.
    counts : float
        Mean total counts of a point.
    local_spread : float
        Standard deviation of C between places at the same distance, because grains differ.

    Examples
    --------
    >>> LineAnalysis(exchange="110 h").exchange
    396000.0
    """

    d_exchange: float = 8.0e-9
    exchange: float = 110 * 3600.0
    stages: tuple[tuple[float, float], ...] = ((3.0e-9, 14 * 86400.0), (3.0e-9, 28 * 86400.0))
    c_natural: float = 0.0759
    c_source: float = 0.95
    immersed: float = 1000.0
    length: float = 10_000.0
    surface_exchange: float = np.inf
    level: float = 0.0
    first: float = -900.0
    last: float = 6000.0
    pitch: float = 120.0
    box: float = 50.0
    counts: float = 50_000.0
    local_spread: float = 0.008

    def __post_init__(self) -> None:
        units = {"d_exchange": DIFFUSION, "exchange": TIME}
        units |= dict.fromkeys(("immersed", "length", "pitch", "box"), LENGTH)
        for name, unit in units.items():
            value = parse_quantity(getattr(self, name), unit, name)
            if not value > 0:
                raise ValueError(f"{name} must be positive, got {value:g} {unit}")
            object.__setattr__(self, name, value)
        stages = tuple(
            (parse_quantity(d, DIFFUSION, "D of a stage"), parse_quantity(t, TIME, "its duration"))
            for d, t in self.stages
        )
        object.__setattr__(self, "stages", stages)
        for d, t in stages:
            if not (d > 0 and t >= 0):
                raise ValueError(f"stages must have D > 0 and time >= 0, got {d:g} and {t:g}")
        if not (self.immersed < self.length and self.first < self.last):
            raise ValueError("the bar must be longer than its immersed part, and first < last")
        ends, half = self.ends, 0.5 * self.box
        if self.first - half < ends[0] or self.last + half > ends[1]:
            raise ValueError(
                f"points must lie in the bar from {ends[0]:g} to {ends[1]:g} um with their box, "
                f"got {self.first:g} to {self.last:g} um"
            )

    @property
    def ends(self) -> tuple[float, float]:
        """Both ends of the bar, µm."""
        return -self.immersed, self.length - self.immersed


def true_profiles(line: LineAnalysis) -> list[Callable[[FloatArray], FloatArray]]:
    """C along the bar (µm) after the exchange and after every further stage.

    The immersed part has the value at the surface.

    Examples
    --------
    >>> after, later, last = true_profiles(LineAnalysis())
    >>> float(after(np.array([-500.0]))[0])
    0.95
    """
    um2 = UM_PER_CM**2

    def exchanged(x: FloatArray) -> FloatArray:
        return exchange_profile(
            x,
            line.exchange,
            line.d_exchange * um2,
            start=line.c_natural,
            source=line.c_source,
            exchange=line.surface_exchange * UM_PER_CM,
            origin=line.level,
        )

    def stored(spread: float) -> Callable[[FloatArray], FloatArray]:
        def profile(x: FloatArray) -> FloatArray:
            return anneal_profile(x, spread, start=exchanged, ends=line.ends)

        return profile

    total = np.cumsum([d * um2 * t for d, t in line.stages])
    return [exchanged, *(stored(float(s)) for s in total)]


def simulate_line_analysis(
    line: LineAnalysis, seed: int
) -> tuple[tuple[xr.Dataset, ...], xr.Dataset]:
    """Simulate one long-range profile per stage, and the truth.

    Returns
    -------
    profiles : tuple of xarray.Dataset
        ``counts(species, distance)``, distance from the nominal liquid level in µm.
    truth : xarray.Dataset
        ``fraction(stage, distance)`` as averaged over a point's box.

    Examples
    --------
    >>> profiles, truth = simulate_line_analysis(LineAnalysis(), seed=3)
    >>> len(profiles), profiles[0]["counts"].dims
    (3, ('species', 'distance'))
    """
    import xarray as xr

    n = int((line.last - line.first) / line.pitch) + 1
    x = line.first + line.pitch * np.arange(n)
    content = {**asdict(line), "seed": seed}
    content["surface_exchange"] = str(line.surface_exchange)
    text = json.dumps(content, sort_keys=True)
    fractions, out = [], []
    for k, profile in enumerate(true_profiles(line)):
        breaks = (line.level,) if k == 0 else ()
        c = box_mean(profile, x, line.box, breaks)
        fractions.append(c)
        rng = stream(seed, "profile", k)
        # grains differ from place to place only where there is a gradient to be shared unevenly
        room = (c - line.c_natural) * (line.c_source - c) / (line.c_source - line.c_natural) ** 2
        here = c + line.local_spread * 2.0 * np.sqrt(np.maximum(room, 0.0)) * rng.standard_normal(n)
        here = np.clip(here, 0.0, 1.0)
        counts = rng.poisson(line.counts * np.stack([here, 1.0 - here]))
        stage = "exchange" if k == 0 else f"storage {k}"
        out.append(
            xr.Dataset(
                {"counts": ((schema.SPECIES, "distance"), counts, {"units": "1"})},
                coords={
                    schema.SPECIES: [schema.LI6, schema.LI7],
                    "distance": ("distance", x, {"units": "um"}),
                },
                attrs={
                    "simulated": 1,
                    "seed": seed,
                    "stage": stage,
                    "parameters": text,
                    "map_id": schema.hash_of_bytes(text.encode(), stage.encode()),
                    "box_um": line.box,
                    "c_natural": line.c_natural,
                    "c_source": line.c_source,
                    "source": "simulated by lliso.maps.synthetic_profiles",
                },
            )
        )
    truth = xr.Dataset(
        {"fraction": (("stage", "distance"), np.stack(fractions), {"units": "1"})},
        coords={
            "stage": [str(p.attrs["stage"]) for p in out],
            "distance": ("distance", x, {"units": "um"}),
        },
        attrs={"simulated": 1, "seed": seed, "parameters": text},
    )
    return tuple(out), truth


@dataclass(frozen=True)
class TransportLaw:
    """Activated transport of a ceramic: bulk, boundary for the tracer and for the charge.

    Parameters
    ----------
    bulk_prefactor, bulk_energy : float
        D_bulk = D₀ exp(-E/kT), cm²/s and eV.
    boundary_prefactor, boundary_energy : float
        l P of the tracer, cm²/s and eV.
    haven_ratio : float
        Tracer over charge at the boundary; 1 in the bulk.
    density : float
        Charge carriers, 1/cm³.
    grain_size : float
        l, µm.

    Examples
    --------
    >>> f"{TransportLaw().d_eff(np.array([295.15]))[0]:.2g}"
    '2e-09'
    """

    bulk_prefactor: float = 0.0246
    bulk_energy: float = 0.35
    boundary_prefactor: float = 0.048
    boundary_energy: float = 0.43
    haven_ratio: float = 0.24
    density: float = 5.0e21
    grain_size: float = 16.0
    errors: dict[str, float] = field(
        default_factory=lambda: {"d_eff": 0.08, "d_bulk": 0.10, "sigma": 0.04}
    )

    def d_bulk(self, temperature: FloatArray) -> FloatArray:
        """D inside the grains, cm²/s."""
        return _activated(self.bulk_prefactor, self.bulk_energy, temperature)

    def boundary(self, temperature: FloatArray) -> FloatArray:
        """Return l P of the tracer, cm²/s."""
        return _activated(self.boundary_prefactor, self.boundary_energy, temperature)

    def d_eff(self, temperature: FloatArray) -> FloatArray:
        """Tracer D_eff by eq. (6), cm²/s."""
        return np.asarray(1.0 / (1.0 / self.d_bulk(temperature) + 1.0 / self.boundary(temperature)))

    def sigma_bulk(self, temperature: FloatArray) -> FloatArray:
        """Conductivity of the grains (Nernst–Einstein), S/cm."""
        return self._conductivity(self.d_bulk(temperature), temperature)

    def sigma_total(self, temperature: FloatArray) -> FloatArray:
        """Conductivity of the ceramic, S/cm."""
        across = self.boundary(temperature) / self.haven_ratio
        d = 1.0 / (1.0 / self.d_bulk(temperature) + 1.0 / across)
        return self._conductivity(d, temperature)

    def _conductivity(self, d: FloatArray, temperature: FloatArray) -> FloatArray:
        return np.asarray(self.density * CHARGE * d / (BOLTZMANN * temperature))


def _activated(prefactor: float, energy: float, temperature: FloatArray) -> FloatArray:
    return np.asarray(prefactor * np.exp(-energy / (BOLTZMANN * temperature)))


def simulate_arrhenius(
    law: TransportLaw, temperatures: Sequence[float], seed: int
) -> tuple[xr.Dataset, xr.Dataset]:
    """Simulate measured D_eff, D_bulk (NMR) and conductivities, and the truth.

    Parameters
    ----------
    law : TransportLaw
        With its relative errors; an error of 0 gives exact values.
    temperatures : sequence of float
        K.
    seed : int

    Returns
    -------
    measured, truth : xarray.Dataset
        ``d_eff, d_bulk`` (cm²/s), ``sigma_bulk, sigma_total`` (S/cm) along ``temperature``; the
        measured ones with ``*_std``.

    Raises
    ------
    ValueError
        If a temperature is not positive.

    Examples
    --------
    >>> measured, truth = simulate_arrhenius(TransportLaw(), [295.15, 473.15], seed=1)
    >>> sorted(truth.data_vars)
    ['d_bulk', 'd_eff', 'sigma_bulk', 'sigma_total']
    """
    import xarray as xr

    t = np.asarray(temperatures, dtype=float)
    if not np.all(t > 0):
        raise ValueError(f"temperatures must be positive (K), got {t.min():g} K")
    exact = {
        "d_eff": (law.d_eff(t), law.errors["d_eff"], "cm2/s"),
        "d_bulk": (law.d_bulk(t), law.errors["d_bulk"], "cm2/s"),
        "sigma_bulk": (law.sigma_bulk(t), law.errors["sigma"], "S/cm"),
        "sigma_total": (law.sigma_total(t), law.errors["sigma"], "S/cm"),
    }
    rng = stream(seed, "arrhenius")
    data = {}
    for name, (value, error, unit) in exact.items():
        seen = value * np.exp(error * rng.standard_normal(t.size))
        data[name] = ("temperature", seen, {"units": unit})
        data[f"{name}_std"] = ("temperature", error * seen, {"units": unit})
    coords = {"temperature": ("temperature", t, {"units": "K"})}
    attrs = {
        "simulated": 1,
        "seed": seed,
        "parameters": json.dumps({**asdict(law), "seed": seed}, sort_keys=True),
        "source": "simulated by lliso.maps.synthetic_profiles",
    }
    truth = {n: ("temperature", v, {"units": u}) for n, (v, _, u) in exact.items()}
    return xr.Dataset(data, coords, attrs), xr.Dataset(truth, coords, attrs)

"""Fig. 5: from boundaries to the ceramic: models, temperature, tracer and charge, quench.

The paper's panels are (a) the models of a polycrystal, (b) D_eff, D_NMR and the conductivity
diffusion coefficients from 22 to 400 °C with the 1D model at 22 °C, (c) (l/δ)D_gb of tracer and
charge. Panels (d), the Haven ratio at each temperature, and (e), how far lithium moves while a map
is taken, are added: the paper says them in its text. The default inputs are simulated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from lliso.diffusion.transport import quench_length
from lliso.fit.arrhenius import ArrheniusFit, fit_arrhenius
from lliso.fit.arrhenius_shared import SharedArrhenius, fit_arrhenius_shared
from lliso.fit.boundary_law import fit_boundary_law
from lliso.fit.effective import EffectiveMedium, effective_medium
from lliso.fit.transport import (
    HavenRatio,
    QuenchCheck,
    boundary_part,
    haven_ratio,
    haven_ratio_points,
    nernst_einstein,
    quench_check,
)
from lliso.ledger import Entry, Printed, read_ledger
from lliso.published import Made
from lliso.units import UM_PER_CM, parse_quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "effective medium, Arrhenius plots, boundary part, Haven ratio, quench"
INPUTS = {"transport": "data/samples/simulated_fig5.nc", "ledger": "tests/published.toml"}
#: Li in LLTO, 1/cm³
DENSITY = 5.0e21
ROOM, COLD, IMAGING, RESOLUTION = "22 °C", "-110 °C", "5 h", "1 um"
LEVEL = 0.95
TRACER, CHARGE = "tracer", "charge"


@dataclass(frozen=True)
class Data:
    """D_eff, D_bulk (cm²/s), σ_bulk, σ_total (S/cm) with errors along temperature; the ledger."""

    transport: xr.Dataset
    ledger: Mapping[str, Entry]

    @property
    def simulated(self) -> bool:
        """Whether the series is."""
        return bool(self.transport.attrs.get("simulated"))

    def printed(self, name: str) -> float:
        """Return a number of the paper."""
        return Printed.read(self.ledger[name].published).value


@dataclass(frozen=True)
class Measured:
    """What was found; `parts` and `laws` are (l/δ)D_gb of tracer and charge."""

    series: Mapping[str, tuple[Any, Any]]
    fits: Mapping[str, ArrheniusFit]
    parts: Mapping[str, xr.Dataset]
    laws: Mapping[str, ArrheniusFit]
    shared: SharedArrhenius
    haven: HavenRatio
    haven_points: xr.Dataset
    one_d: EffectiveMedium
    permeability: float
    quench: QuenchCheck


def load(inputs: Mapping[str, Any]) -> Data:
    """Read what Fig. 5 is made from; values are paths, or the Dataset itself."""
    given = inputs["transport"]
    if not isinstance(given, xr.Dataset):
        given = xr.load_dataset(given, engine="h5netcdf")
    return Data(given, {e.name: e for e in read_ledger(inputs["ledger"])})


def measure(data: Data) -> Measured:
    """Separate boundaries from grains by eq. (6), fit every law, compare tracer and charge."""
    ds = data.transport
    t = ds["temperature"].values
    series = {name: (ds[name].values, ds[f"{name}_std"].values) for name in ("d_eff", "d_bulk")} | {
        f"d_{name}": nernst_einstein(t, ds[name], ds[f"{name}_std"], density=DENSITY)
        for name in ("sigma_bulk", "sigma_total")
    }
    fits = {n: fit_arrhenius(t, v, std, name=n) for n, (v, std) in series.items()}
    pairs = {TRACER: ("d_eff", "d_bulk"), CHARGE: ("d_sigma_total", "d_sigma_bulk")}
    parts, laws = {}, {}
    for name, (whole, grain) in pairs.items():
        (v, std), (g, g_std) = series[whole], series[grain]
        parts[name] = boundary_part(t, v, g, std, g_std, level=LEVEL)
        laws[name] = fit_boundary_law(t, v, g, std, g_std, name=name)
    return Measured(
        series=series,
        fits=fits,
        parts=parts,
        laws=laws,
        shared=fit_arrhenius_shared({name: _seen(part) for name, part in parts.items()}),
        haven=haven_ratio(laws[TRACER], laws[CHARGE], [ROOM, *t]),
        haven_points=haven_ratio_points(
            t,
            *(parts[n]["boundary"].values for n in pairs),
            *(parts[n]["boundary_std"].values for n in pairs),
        ),
        one_d=one_d_model(data),
        permeability=_permeability(data),
        quench=quench_check(
            {"d_eff": fits["d_eff"], "d_bulk": fits["d_bulk"]},
            temperature=COLD,
            time=IMAGING,
            resolution=RESOLUTION,
            warn=False,
        ),
    )


def _seen(part: xr.Dataset) -> tuple[Any, Any, Any]:
    """Temperature, l P and its error, where the boundaries are seen."""
    seen = part.isel(temperature=np.flatnonzero(part["verdict"].values == "measured"))
    return seen["temperature"].values, seen["boundary"].values, seen["boundary_std"].values


def _permeability(data: Data) -> float:
    """P in cm/s: the paper's mean D_gb over its δ."""
    return data.printed("d_gb_mean") / parse_quantity(f"{data.printed('delta')} nm", "cm", "delta")


def one_d_model(data: Data) -> EffectiveMedium:
    """D_eff at 22 °C by eq. (6), from the paper's mean of the boundaries, D_bulk and l."""
    return effective_medium(
        d_bulk=data.printed("d_bulk"),
        permeability=_permeability(data),
        grain_size=data.printed("grain_size"),
        grain_size_spread=data.printed("grain_size_spread"),
    )


def series_frame(data: Data, found: Measured) -> pd.DataFrame:
    """All series by temperature: value, error (cm²/s), boundary parts, Haven ratio."""
    columns: dict[str, Any] = {}
    for name, (value, std) in found.series.items():
        columns[f"{name} (cm^2/s)"], columns[f"{name} std (cm^2/s)"] = value, std
    for name, part in found.parts.items():
        columns[f"(l/δ)D_gb {name} (cm^2/s)"] = part["boundary"].values
        columns[f"(l/δ)D_gb {name} std (cm^2/s)"] = part["boundary_std"].values
        columns[f"verdict {name}"] = part["verdict"].values
    columns["H_R boundary"] = found.haven_points["ratio"].values
    columns["H_R boundary std"] = found.haven_points["ratio_std"].values
    index = pd.Index(data.transport["temperature"].values, name="temperature (K)")
    return pd.DataFrame(columns, index)


def law_frame(found: Measured) -> pd.DataFrame:
    """Every Arrhenius law: E_a (eV), D₀ (cm²/s), their errors, reduced χ², flags."""
    laws = {**found.fits, **{f"(l/δ)D_gb {n}": law for n, law in found.laws.items()}}
    rows = {
        name: {
            "E_a (eV)": law.energy,
            "E_a std (eV)": law.energy_std,
            "D_0 (cm^2/s)": law.prefactor,
            "ln D_0 std": law.log_prefactor_std,
            "chi2_red": law.chi2_reduced,
            "flags": " ".join(law.flags),
        }
        for name, law in laws.items()
    }
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index.name = "law"
    return frame


def _truth(data: Data) -> dict[str, float]:
    """Return what was put into a simulated series, by name in the ledger."""
    text = data.transport.attrs.get("parameters", "")
    if not (data.simulated and text):
        return {}
    law = json.loads(text)
    tracer = law["boundary_prefactor"]
    return {
        "energy": law["boundary_energy"],
        "prefactor_tracer": tracer,
        "prefactor_conductivity": tracer / law["haven_ratio"],
        "haven_ratio": law["haven_ratio"],
    }


def printed_frame(data: Data, found: Measured) -> pd.DataFrame:
    """Compare the paper's numbers of Fig. 5 with what was found here.

    The energy is that of the tracer's law, the prefactors are those of laws with energies of their
    own, and the Haven ratio is the prefactors' with one energy for both.

    Returns
    -------
    pandas.DataFrame
        By name in the ledger: ``printed``, ``here``, the 95 % interval ``low``, ``high``,
        ``printed inside`` (some value that is rounded to the printed one is) and, if known,
        ``true`` and ``true inside``.
    """
    z = 1.96
    tracer, charge = (found.laws[n] for n in (TRACER, CHARGE))
    ratio, ratio_std = found.shared.prefactor_ratio(TRACER, CHARGE)
    reach = float(np.exp(z * ratio_std / ratio))
    e, one = found.one_d, tracer.energy_std
    cold = found.fits["d_eff"].predict([COLD], level=LEVEL)
    cold_d = [float(cold[k].values[0]) for k in ("value", "low", "high")]
    rows: dict[str, tuple[float, float, float]] = {
        "energy": (tracer.energy, tracer.energy - z * one, tracer.energy + z * one),
        "prefactor_tracer": _prefactor(tracer, z),
        "prefactor_conductivity": _prefactor(charge, z),
        "haven_ratio": (ratio, ratio / reach, ratio * reach),
        "d_eff_series": (e.d_eff, e.d_eff - e.d_eff_spread, e.d_eff + e.d_eff_spread),
        "d_eff_cold": (cold_d[0], cold_d[1], cold_d[2]),
        "diffusion_length_cold": found.quench.length["d_eff"],
    }
    truth, table = _truth(data), {}
    for name, (value, low, high) in rows.items():
        entry = data.ledger[name]
        printed = Printed.read(entry.published)
        table[name] = {
            "what": entry.what,
            "unit": entry.unit,
            "printed": printed.value,
            "here": value,
            "low": low,
            "high": high,
            "printed inside": low <= printed.high and printed.low <= high,
        }
        if name in truth:
            table[name] |= {"true": truth[name], "true inside": low <= truth[name] <= high}
    frame = pd.DataFrame.from_dict(table, orient="index")
    frame.index.name = "number"
    return frame


def _prefactor(law: ArrheniusFit, z: float) -> tuple[float, float, float]:
    reach = float(np.exp(z * law.log_prefactor_std))
    return law.prefactor, law.prefactor / reach, law.prefactor * reach


def quench_frame(found: Measured) -> pd.DataFrame:
    """√(2Dt) during imaging (µm) by temperature, for D_eff and D_bulk, with 95 % limits."""
    t = np.linspace(143.15, 223.15, 81)
    seconds = parse_quantity(IMAGING, "s", "time")
    columns = {}
    for name in ("d_eff", "d_bulk"):
        band = found.fits[name].predict(t, level=LEVEL)
        for end in ("value", "low", "high"):
            columns[f"{name} {end} (um)"] = UM_PER_CM * quench_length(band[end].values, seconds)
    return pd.DataFrame(columns, pd.Index(t, name="temperature (K)"))


def draw(data: Data, found: Measured) -> Figure:
    """Draw panels a to e."""
    from lliso.published.fig5_panels import figure_5

    return figure_5(data, found, quench_frame(found))


def make(inputs: Mapping[str, Any]) -> Made:
    """Make Fig. 5 and its tables from a temperature series (a path, or the Dataset itself)."""
    data = load(inputs)
    found = measure(data)
    tables = {
        "fig5_series": series_frame(data, found),
        "fig5_laws": law_frame(found),
        "fig5_printed": printed_frame(data, found),
        "fig5_quench": quench_frame(found),
    }
    settings = {
        "density_per_cm3": DENSITY,
        "permeability_cm_per_s": found.permeability,
        "shared_energy_eV": [found.shared.energy, found.shared.energy_std],
        "imaging": [COLD, IMAGING, RESOLUTION],
        "simulated": int(data.simulated),
    }
    return Made({"fig5": draw(data, found)}, tables, settings)

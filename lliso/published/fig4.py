"""Fig. 4: long-range profiles after exchange, after storage and after annealing, with D_eff.

The paper's panels are (a) the profile after 110 h of exchange and after 2 and 6 weeks of storage
at 22 °C, (b) that after 63 h of exchange and after 3.8 h at 200 °C. Panel (c) is added: the first
millimetre and a half of (a), fitted with the origin held, as the paper did, and with the liquid
level as a parameter. The default inputs are simulated; there the meniscus is 260 µm high.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy import optimize, special, stats

from lliso.fit.exchange import fit_exchange
from lliso.fit.sample import fit_sample
from lliso.io import read_profile
from lliso.ledger import Printed, read_ledger
from lliso.maps.fraction import isotope_fraction
from lliso.published import Made
from lliso.units import UM_PER_CM, parse_quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lliso._types import FloatArray

TITLE = "long-range profiles after exchange, storage and annealing, with D_eff"
INPUTS = {
    "exchange": "data/samples/simulated_fig4a_exchange.nc",
    "weeks_2": "data/samples/simulated_fig4a_storage_1.nc",
    "weeks_6": "data/samples/simulated_fig4a_storage_2.nc",
    "before": "data/samples/simulated_fig4b_exchange.nc",
    "annealed": "data/samples/simulated_fig4b_storage_1.nc",
    "ledger": "tests/published.toml",
}
#: how long each sample was in the solution, and stored or annealed after that
ROOM: tuple[str, tuple[str, ...]] = ("110 h", ("14 d", "28 d"))
HOT: tuple[str, tuple[str, ...]] = ("63 h", ("3.8 h",))
#: ends of the bar from the nominal level: immersed part, and the other end
ENDS = ("-1 mm", "9 mm")
#: fractions before the exchange and in the solution, as the paper's eq. (4) has them
NATURAL, SOURCE = 0.0759, 0.95
LEVEL = 0.95
_AT = "distance"


@dataclass(frozen=True)
class Data:
    """Profiles of the sample kept at 22 °C (three) and of the annealed one (two)."""

    room: tuple[xr.Dataset, ...]
    hot: tuple[xr.Dataset, ...]

    @property
    def simulated(self) -> bool:
        """Whether any of them is."""
        return any(p.attrs.get("simulated") for p in (*self.room, *self.hot))


@dataclass(frozen=True)
class Held:
    """Eq. (4) with the origin held at the nominal level: D_eff (cm²/s), its error and limits."""

    d_eff: float
    stderr: float
    low: float
    high: float

    def curve(self, position: Any, time: str = ROOM[0]) -> FloatArray:
        """C at positions (µm)."""
        reach_um = 2 * np.sqrt(self.d_eff * parse_quantity(time, "s", "time")) * UM_PER_CM
        inside: FloatArray = np.clip(np.asarray(position, dtype=float) / reach_um, 0, None)
        return np.asarray(NATURAL + (SOURCE - NATURAL) * special.erfc(inside))


@dataclass(frozen=True)
class Measured:
    """What was fitted: eq. (4) twice to one profile, then all stages of each sample together."""

    held: Held
    free: xr.Dataset
    room: xr.Dataset
    hot: xr.Dataset


def load(inputs: Mapping[str, Any]) -> Data:
    """Read what Fig. 4 is made from; values are paths, or profiles."""

    def profile(role: str) -> xr.Dataset:
        given = inputs[role]
        return given if isinstance(given, xr.Dataset) else read_profile(given)

    room = tuple(profile(role) for role in ("exchange", "weeks_2", "weeks_6"))
    return Data(room, tuple(profile(role) for role in ("before", "annealed")))


def fit_held(profile: xr.Dataset, time: str = ROOM[0]) -> Held:
    """Fit eq. (4) by unweighted least squares with its origin held, as the paper did.

    Parameters
    ----------
    profile : xarray.Dataset
        ``counts(species, distance)``, µm from the nominal liquid level.
    time : str
        Of the exchange.

    Returns
    -------
    Held
    """
    position = profile[_AT].values.astype(float)
    fraction = isotope_fraction(profile)["fraction"].values
    outside = position >= 0

    def curve(x: FloatArray, in_1e9: float) -> FloatArray:
        return Held(1e-9 * in_1e9, 0, 0, 0).curve(x, time)

    found, cov = optimize.curve_fit(curve, position[outside], fraction[outside], p0=[5.0])
    d, error = 1e-9 * float(found[0]), 1e-9 * float(np.sqrt(cov[0, 0]))
    reach = float(stats.t.ppf(0.5 + LEVEL / 2, outside.sum() - 1)) * error
    return Held(d, error, d - reach, d + reach)


def measure(data: Data) -> Measured:
    """Fit the exchange with the origin held and free, then every sample as a whole."""
    given: dict[str, Any] = {"ends": ENDS, "level": LEVEL}
    return Measured(
        held=fit_held(data.room[0]),
        free=fit_exchange(data.room[0], time=ROOM[0], ends=ENDS, level=LEVEL),
        room=fit_sample(data.room, exchange=ROOM[0], storage=list(ROOM[1]), law="shared", **given),
        hot=fit_sample(
            data.hot,
            exchange=HOT[0],
            storage=list(HOT[1]),
            temperatures=["200 °C"],
            law="shared",
            **given,
        ),
    )


def profile_frame(found: xr.Dataset) -> pd.DataFrame:
    """All points of a fitted sample: position (µm), C, its errors, the fit, the residual (σ)."""
    names = {
        "of_profile": "stage",
        "position": "position (um)",
        "fraction": "C",
        "counting_std": "std from counts",
        "fraction_std": "std",
        "curve": "fit",
        "residual": "residual (std)",
    }
    frame = pd.DataFrame({new: found[old].values for old, new in names.items()})
    return frame.set_index(["stage", "position (um)"])


def _truth(data: Data) -> dict[str, float]:
    """Return what was put into simulated profiles; nothing for measured ones."""
    text = [p.attrs.get("parameters", "") for p in (data.room[0], data.hot[0])]
    if not (data.simulated and all(text)):
        return {}
    room, hot = (json.loads(t) for t in text)
    return {
        "exchange": room["d_exchange"],
        "storage": room["stages"][0][0],
        "hot": hot["stages"][0][0],
        "level": room["level"],
    }


def result_frame(data: Data, found: Measured) -> pd.DataFrame:
    """D_eff by stage and way, and the liquid level, with 95 % intervals and, if known, the truth.

    Returns
    -------
    pandas.DataFrame
        Columns ``unit``, ``value``, ``stderr``, ``low``, ``high``, and ``true``, ``true inside``.
    """
    held, d = found.held, "cm^2/s"
    rows: dict[str, list[Any]] = {
        "D_eff, 110 h, origin held": [d, held.d_eff, held.stderr, held.low, held.high, "exchange"],
        "D_eff, 110 h, level free": [*_of(found.free, "d_eff"), "exchange"],
        "level": [*_of(found.free, "x0"), "level"],
        "D_eff, 22 °C, storage": [*_of(found.room, "d_eff[storage]"), "storage"],
        "D_eff, 200 °C, anneal": [*_of(found.hot, "d_eff[storage]"), "hot"],
    }
    names = ["unit", "value", "stderr", "low", "high", "true"]
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=names)
    truth = _truth(data)
    if truth:
        frame["true"] = frame["true"].map(truth).astype(float)
        frame["true inside"] = (frame["low"] <= frame["true"]) & (frame["true"] <= frame["high"])
    else:
        frame = frame.drop(columns="true")
    frame.index.name = "quantity"
    return frame


def _of(fit: xr.Dataset, name: str) -> list[Any]:
    one = fit.sel(param=name)
    values = [float(one[column]) for column in ("value", "stderr", "low", "high")]
    return [str(one["unit"].values), *values]


#: name in the ledger -> row of `result_frame`
PRINTED = {
    "d_eff_110h": "D_eff, 110 h, origin held",
    "d_eff_storage": "D_eff, 22 °C, storage",
    "d_eff_200c": "D_eff, 200 °C, anneal",
}


def printed_frame(frame: pd.DataFrame, ledger: Any) -> pd.DataFrame:
    """Compare the paper's three D_eff with what was found here.

    Parameters
    ----------
    frame : pandas.DataFrame
        Of `result_frame`.
    ledger : path
        The ledger of the paper's numbers.

    Returns
    -------
    pandas.DataFrame
        By name in the ledger: ``printed``, ``here``, ``low``, ``high``, ``printed inside``: some
        value that is rounded to the printed one lies in the 95 % interval.
    """
    entries = {e.name: e for e in read_ledger(ledger)}
    rows = {}
    for name, row in PRINTED.items():
        printed, here = Printed.read(entries[name].published), frame.loc[row]
        rows[name] = {
            "what": entries[name].what,
            "unit": entries[name].unit,
            "printed": printed.value,
            "here": here["value"],
            "low": here["low"],
            "high": here["high"],
            "printed inside": here["low"] <= printed.high and printed.low <= here["high"],
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index.name = "number"
    return table


def draw(data: Data, found: Measured) -> Figure:
    """Draw panels a to c."""
    from lliso.published.fig4_panels import figure_4

    return figure_4(data, found)


def make(inputs: Mapping[str, Any]) -> Made:
    """Make Fig. 4 and its tables from five profiles (paths, or the profiles themselves)."""
    data = load(inputs)
    found = measure(data)
    frame = result_frame(data, found)
    tables = {
        "fig4_profiles_22C": profile_frame(found.room),
        "fig4_profiles_200C": profile_frame(found.hot),
        "fig4_results": frame,
        "fig4_printed": printed_frame(frame, inputs["ledger"]),
    }
    settings = {
        "exchange": [ROOM[0], HOT[0]],
        "storage": [list(ROOM[1]), list(HOT[1])],
        "ends": list(ENDS),
        "simulated": int(data.simulated),
    }
    return Made({"fig4": draw(data, found)}, tables, settings)

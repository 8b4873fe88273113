"""The ledger of a paper's numbers: what was printed, from what, and whether it follows.

A ledger is a TOML file with one entry ``[[number]]`` per printed number. Every number stands there
as it was printed, as text, because its last digit says how well it was given; a recomputed value is
compared with that, and the verdict is computed, never typed:

``follows``
    recomputed from the inputs as printed it rounds to the printed number;
``follows within rounding``
    it does for some value that the printed inputs may have been rounded from;
``does not follow``
    it does not;
``cannot be recomputed``
    the text does not hold what it came from (a reading, a setting, a value from the literature).
"""

from __future__ import annotations

import itertools
import math
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lliso.diffusion.effective import d_eff_series
from lliso.diffusion.transport import arrhenius, nernst_einstein, quench_length

if TYPE_CHECKING:
    import pandas as pd

FOLLOWS = "follows"
ROUNDING = "follows within rounding"
DIFFERS = "does not follow"
UNKNOWN = "cannot be recomputed"
VERDICTS = (FOLLOWS, ROUNDING, DIFFERS, UNKNOWN)

_KELVIN = 273.15
_UM_PER_CM = 1e4
_NM_PER_CM = 1e7
_NUMBER = re.compile(r"[+-]?(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?")


def _series(d_bulk: float, permeability: float, grain_size_um: float) -> float:
    """Eq. (6)."""
    return float(d_eff_series(d_bulk, permeability, grain_size_um / _UM_PER_CM))


def _series_spread(
    d_bulk: float, permeability: float, grain_size_um: float, spread_um: float
) -> float:
    """Eq. (6): by how much D_eff changes with l, times the spread of l."""
    size = grain_size_um / _UM_PER_CM
    slope = _series(d_bulk, permeability, grain_size_um) ** 2 / (size**2 * permeability)
    return slope * spread_um / _UM_PER_CM


def _two_points(cold: float, cold_c: float, hot: float, hot_c: float, at_c: float) -> float:
    """Straight line through two points of an Arrhenius plot."""
    low, high, at = (1.0 / (t + _KELVIN) for t in (cold_c, hot_c, at_c))
    return float(cold * (hot / cold) ** ((at - low) / (high - low)))


def _effective_ratio(
    d_bulk: float, prefactor_a: float, prefactor_b: float, energy_ev: float, temperature_c: float
) -> float:
    """Eq. (6) with l P of one Arrhenius line over that with another's."""
    at = temperature_c + _KELVIN
    a, b = (float(arrhenius(at, math.log(d0), energy_ev)) for d0 in (prefactor_a, prefactor_b))
    return (1.0 / d_bulk + 1.0 / b) / (1.0 / d_bulk + 1.0 / a)


def _warmed(energy_ev: float, from_c: float, to_c: float) -> float:
    """By what an activated quantity grows between two temperatures."""
    one, other = (float(arrhenius(t + _KELVIN, 0.0, energy_ev)) for t in (from_c, to_c))
    return other / one


#: what a ledger can ask for; the names of the arguments carry the units (cm, s, eV without)
FORMULAS: dict[str, Callable[..., float]] = {
    "P = D_bulk slope / step": lambda d_bulk, slope, step: d_bulk * slope / step,
    "D_gb = P delta": lambda permeability, delta_nm: permeability * delta_nm / _NM_PER_CM,
    "D_gb = D_bulk slope delta / step": lambda d_bulk, slope, step, delta_nm: (
        d_bulk * slope / step * delta_nm / _NM_PER_CM
    ),
    "P = D_gb / delta": lambda d_gb, delta_nm: d_gb / (delta_nm / _NM_PER_CM),
    "eq. (6)": _series,
    "eq. (6), spread of l": _series_spread,
    "D_0 exp(-E_a/kT)": lambda prefactor, energy_ev, temperature_c: float(
        arrhenius(temperature_c + _KELVIN, math.log(prefactor), energy_ev)
    ),
    "line through two points": _two_points,
    "a / b": lambda a, b: a / b,
    "a": lambda a: a,
    "sqrt(2 D t)": lambda d, hours: float(quench_length(d, hours * 3600.0)) * _UM_PER_CM,
    "Nernst-Einstein": lambda sigma_s_cm, density, temperature_c: float(
        nernst_einstein(sigma_s_cm, temperature_c + _KELVIN, density)
    ),
    "eq. (6) twice": _effective_ratio,
    "warmed": _warmed,
    "double ratio": lambda slope_after, slope_before, step_after, step_before: (
        (slope_after / slope_before) / (step_after / step_before)
    ),
}


@dataclass(frozen=True)
class Printed:
    """A number as it was printed: its value and half a unit of its last digit.

    Examples
    --------
    >>> Printed.read("7.6e-14")
    Printed(value=7.6e-14, half=5e-16)
    >>> Printed.read("16").low
    15.5
    """

    value: float
    half: float

    @classmethod
    def read(cls, text: str) -> Printed:
        """Read a number such as ``"2.6e-8"``; ValueError for anything else."""
        found = _NUMBER.fullmatch(text) if type(text) is str else None  # TOML has numbers too
        if found is None:
            raise ValueError(
                f"a printed number must be text like '2.6e-8' or '16', got {text!r}; "
                "its last digit says how well it is given"
            )
        decimals = len(found[2] or "")
        half = float(f"5e{int(found[3] or 0) - decimals - 1}")
        return cls(float(text), half)

    @property
    def low(self) -> float:
        """Least value that is rounded to the printed one."""
        return self.value - self.half

    @property
    def high(self) -> float:
        """Greatest value that is rounded to the printed one."""
        return self.value + self.half


@dataclass(frozen=True)
class Entry:
    """One printed number, what it is said to come from, and what may have happened.

    Parameters
    ----------
    name, what, where, unit : str
        What the number is and where it stands.
    published : str
        As printed; words where the text has words, then with `between`.
    formula : str
        One of `FORMULAS`; empty where the text does not hold what the number came from.
    inputs : mapping of str to str
        The formula's arguments as printed.
    between : tuple of float, optional
        What words are read as: the range in which the recomputed value must lie.
    complete : bool
        False where the inputs are not those of the authors, only the nearest that the text has:
        the value is shown, the verdict stays open.
    reason : str
        Why, for a person.
    """

    name: str
    what: str
    where: str
    published: str
    unit: str = ""
    formula: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    between: tuple[float, float] | None = None
    complete: bool = True
    reason: str = ""

    def __post_init__(self) -> None:
        if self.formula and self.formula not in FORMULAS:
            raise ValueError(
                f"formula of {self.name} must be one of {', '.join(FORMULAS)}, got {self.formula!r}"
            )
        for text in self.inputs.values():
            Printed.read(text)
        if self.between is None and self.formula:
            Printed.read(self.published)

    @property
    def value(self) -> float:
        """The number recomputed from the inputs as printed; NaN where that cannot be."""
        if not self.formula:
            return math.nan
        return FORMULAS[self.formula](**{k: Printed.read(v).value for k, v in self.inputs.items()})

    @property
    def range(self) -> tuple[float, float]:
        """Least and greatest value from inputs that are rounded to the printed ones.

        The formulas are monotonic in every input, so the corners hold the extremes.
        """
        if not self.formula:
            return math.nan, math.nan
        ends = [(p.low, p.high) for p in map(Printed.read, self.inputs.values())]
        corners = [
            FORMULAS[self.formula](**dict(zip(self.inputs, corner, strict=True)))
            for corner in itertools.product(*ends)
        ]
        return min(corners), max(corners)

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`."""
        if not self.formula or not self.complete:
            return UNKNOWN
        if self.between is None:
            printed = Printed.read(self.published)
            low, high = printed.low, printed.high
        else:
            low, high = self.between
        slack = 1e-9 * abs(high)  # the printed decimals are not exact in binary
        if low - slack <= self.value <= high + slack:
            return FOLLOWS
        least, most = self.range
        return ROUNDING if least <= high + slack and most >= low - slack else DIFFERS


def read_ledger(path: str | os.PathLike[str]) -> list[Entry]:
    """Read a ledger.

    Parameters
    ----------
    path : str or os.PathLike
        TOML with entries ``[[number]]`` whose keys are the parameters of `Entry`.

    Returns
    -------
    list of Entry
        In the order of the file.

    Raises
    ------
    ValueError
        If an entry has unknown keys, an unknown formula, a number that is not text, or a name
        that is taken.
    """
    with Path(path).open("rb") as file:
        content = tomllib.load(file)
    entries: list[Entry] = []
    for given in content.get("number", []):
        given = {k: v for k, v in given.items() if k != "verdict"}
        unknown = set(given) - set(Entry.__dataclass_fields__)
        if unknown:
            raise ValueError(f"an entry must have known keys, got {', '.join(sorted(unknown))}")
        if given["name"] in {e.name for e in entries}:
            raise ValueError(f"names must differ, got {given['name']!r} twice")
        if "between" in given:
            given["between"] = tuple(float(v) for v in given["between"])
        entries.append(Entry(**given))
    return entries


def expected_verdicts(path: str | os.PathLike[str]) -> dict[str, str]:
    """Verdicts that a ledger's file states, by name: what a test compares the computed ones with.

    Raises
    ------
    ValueError
        If an entry states none, or one that there is not.
    """
    with Path(path).open("rb") as file:
        content = tomllib.load(file)
    stated = {e["name"]: e.get("verdict", "") for e in content.get("number", [])}
    wrong = {name: v for name, v in stated.items() if v not in VERDICTS}
    if wrong:
        raise ValueError(f"verdict must be one of {', '.join(VERDICTS)}, got {wrong}")
    return stated


def ledger_table(entries: list[Entry]) -> pd.DataFrame:
    """Return a table for a person: printed, recomputed to two digits, verdict, reason."""
    import pandas as pd

    def shown(value: float) -> str:
        if math.isnan(value):
            return "–"
        digits = f"{value:.3g}" if 1e-2 <= abs(value) < 1e4 else f"{value:.2e}"
        return digits.replace("e-0", "e-").replace("e+0", "e+")

    rows: list[dict[str, Any]] = [
        {
            "number": e.what,
            "where": e.where,
            "printed": f"{e.published} {e.unit}".strip(),
            "recomputed": shown(e.value),
            "verdict": e.verdict,
            "reason": e.reason,
        }
        for e in entries
    ]
    return pd.DataFrame(rows)

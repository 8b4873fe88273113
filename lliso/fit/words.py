"""Results in words: the few characters a person reads in a table, a legend or a terminal."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

from lliso.fit.uncertainty import (
    INCONSISTENT_SIGN,
    LOWER_LIMIT,
    MEASURED,
    NOT_MEASURABLE,
    UPPER_LIMIT,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

_WIDTH = 100  # of a line that does not wrap beside JupyterLab's file list on a small screen

VERDICTS = {
    MEASURED: "measured",
    UPPER_LIMIT: "upper limit",
    LOWER_LIMIT: "lower limit",
    NOT_MEASURABLE: "not measurable",
    INCONSISTENT_SIGN: "signs disagree",
    "failed": "no fit",
}


def with_error(value: float, error: float) -> str:
    """Write a value with its standard error, rounded to what the error allows.

    Examples
    --------
    >>> with_error(-0.020035, 0.000777)
    '−0.0200 ± 0.0008'
    >>> with_error(1.2, 0.28)
    '1.2 ± 0.3'
    """
    if not (math.isfinite(value) and math.isfinite(error)):
        return "–"
    if error <= 0:
        return f"{value:.4g} ± 0"
    digits = max(0, -math.floor(math.log10(error)))
    return f"{value:.{digits}f} ± {error:.{digits}f}".replace("-", "−")


def with_limits(value: float, low: float, high: float, verdict: str) -> str:
    """Write a positive quantity with its interval, or the limit that is all that is known.

    Examples
    --------
    >>> with_limits(1.43e-6, 0.9e-6, 2.3e-6, "measured")
    '1.4 (0.9–2.3)·10⁻⁶'
    >>> with_limits(float("nan"), 0.0, 2.3e-6, "upper_limit")
    '< 2.3·10⁻⁶'
    """
    if verdict == MEASURED:
        power = math.floor(math.log10(abs(value)))
        scale = 10.0**power
        # A hyphen, not a dash, would read as a minus sign when a limit is negative.
        limits = f"{_short(low / scale)}–{_short(high / scale)}".replace("-", "−")
        return f"{value / scale:.1f} ({limits})·10{str(power).translate(_SUPERSCRIPT)}"
    if verdict == UPPER_LIMIT:
        return f"< {_power_of_ten(high)}"
    if verdict == LOWER_LIMIT:
        return f"> {_power_of_ten(low)}"
    return VERDICTS[verdict]


def _short(value: float) -> str:
    """Write one decimal, or what it takes not to round a positive limit to zero."""
    return f"{value:.1f}" if abs(value) >= 0.1 else f"{value:.1g}"


def _power_of_ten(value: float) -> str:
    power = math.floor(math.log10(value))
    return f"{value / 10.0**power:.1f}·10{str(power).translate(_SUPERSCRIPT)}"


#: key, label and unit of the columns that a person reads
READABLE = (
    ("boundary", "boundary", ""),
    ("step", "ΔC", ""),
    ("slope", "dC/dn", "1/cm"),
    ("permeability", "D_gb/δ", "cm/s"),
    ("d_gb", "D_gb", "cm²/s"),
    ("chi2_red", "χ²_red", ""),
    ("verdict", "verdict", ""),
    ("flags", "flags", ""),
)


def readable_row(name: str, row: Mapping[str, Any]) -> dict[str, str]:
    """Return the row of a table (see `lliso.fit.table.boundary_row`) as text, by `READABLE`."""
    chi2_red = float(row["chi2_red"])
    return {
        "boundary": name,
        "step": with_error(float(row["step"]), float(row["step_std"])),
        "slope": with_error(float(row["slope"]), float(row["slope_std"])),
        "permeability": limits_of(row, "permeability"),
        "d_gb": limits_of(row, "d_gb"),
        "chi2_red": f"{chi2_red:.2f}" if math.isfinite(chi2_red) else "–",
        "verdict": VERDICTS[str(row["verdict"])],
        "flags": str(row["flags"]).replace(" ", ", ").replace("_", " "),
    }


def limits_of(row: Mapping[str, Any], key: str) -> str:
    """Return ``permeability`` (cm/s) or ``d_gb`` (cm²/s) of a row with its interval, or the limit.

    Parameters
    ----------
    row : mapping
        Of `lliso.fit.table.boundary_row`.
    key : str
        Which of the two.

    Returns
    -------
    str
    """
    value, low, high = (float(row[f"{key}{end}"]) for end in ("", "_low", "_high"))
    return with_limits(value, low, high, str(row["verdict"]))


def readable_table(table: xr.Dataset) -> str:
    """Return a table (see `lliso.fit_boundaries`) as aligned text; flags, if any, stand below it.

    As a column they would make lines that wrap in a notebook.
    """
    names = [str(n) for n in table["boundary"].values]
    rows = [
        readable_row(name, {str(key): table[key].values[i] for key in table.data_vars})
        for i, name in enumerate(names)
    ]
    flagged = [f"{row['boundary']} {row['flags']}" for row in rows if row["flags"]]
    header = {k: f"{label} ({unit})" if unit else label for k, label, unit in READABLE}
    del header["flags"]
    widths = {k: max(len(r[k]) for r in [header, *rows]) for k in header}
    lines = ["  ".join(r[k].ljust(widths[k]) for k in header).rstrip() for r in [header, *rows]]
    title = " · ".join(
        part
        for part in (
            str(table.attrs.get("stage", "")),
            "simulated" if table.attrs.get("simulated") else "",
            f"D_bulk = {table.attrs['d_bulk_cm2_per_s']:g} cm²/s",
            f"δ = {table.attrs['delta_nm']:g} nm",
            f"intervals at {table.attrs['level']:.0%}",
        )
        if part
    )
    flags = textwrap.wrap(f"flags: {'; '.join(flagged)}", _WIDTH, subsequent_indent="       ")
    return "\n".join([title, *lines, *(flags if flagged else ())])

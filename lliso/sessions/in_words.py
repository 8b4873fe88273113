"""Numbers as a person reads them in a table, in the digits that their errors allow."""

from __future__ import annotations

import math
from collections.abc import Iterable

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MINUS = str.maketrans("-", "−")


def with_power(value: float, *others: float) -> tuple[list[str], str]:
    """Write numbers in the digits that the first of `others`, an error, allows, and their power.

    Returns
    -------
    texts : list of str
        Of all numbers, over one power of ten.
    power : str
        ``·10⁻⁹``, or nothing where none is needed.

    Examples
    --------
    >>> with_power(2.984e-9, 0.05e-9)
    (['2.98', '0.05'], '·10⁻⁹')
    >>> with_power(259.9, 3.1)
    (['260', '3'], '')
    """
    known = math.isfinite(value) and value != 0
    exponent = math.floor(math.log10(abs(value))) if known else 0
    if -3 <= exponent <= 4:
        exponent = 0
    scale = 10.0**exponent
    error = abs(others[0]) / scale if others else math.nan
    digits = 4
    if math.isfinite(error) and error > 0:
        digits = max(0, -math.floor(math.log10(error)) + (1 if _leads_with_one(error) else 0))
    texts = [f"{v / scale:.{digits}f}" if math.isfinite(v) else "–" for v in (value, *others)]
    power = "" if exponent == 0 else f"·10{str(exponent).translate(_SUPERSCRIPT)}"
    return [t.translate(_MINUS) for t in texts], power


def _leads_with_one(error: float) -> bool:
    """Whether one digit would round an error by up to a third."""
    return error / 10.0 ** math.floor(math.log10(error)) < 1.95


def value_error(value: float, error: float, unit: str = "") -> str:
    """Write a value with its standard error and unit.

    Examples
    --------
    >>> value_error(2.984e-9, 0.05e-9, "cm²/s")
    '(2.98 ± 0.05)·10⁻⁹ cm²/s'
    >>> value_error(0.4312, 0.0041, "eV")
    '0.431 ± 0.004 eV'
    >>> value_error(0.5, 0.0)
    '0.5'
    """
    if not math.isfinite(value):
        return "–"
    tail = f" {unit}" if unit else ""
    if not (math.isfinite(error) and error > 0):
        return f"{value:.4g}".translate(_MINUS) + tail
    (v, e), power = with_power(value, error)
    return f"({v} ± {e}){power}{tail}" if power else f"{v} ± {e}{tail}"


def interval(low: float, high: float, error: float) -> str:
    """Write an interval in the digits that an error allows, or the limit that it is.

    Examples
    --------
    >>> interval(2.88e-9, 3.08e-9, 0.05e-9)
    '(2.88 … 3.08)·10⁻⁹'
    >>> interval(1e-7, float("inf"), float("nan"))
    '> 1.00·10⁻⁷'
    """
    if math.isfinite(low) and math.isinf(high):
        power = math.floor(math.log10(low)) if low > 0 else 0
        return f"> {low / 10.0**power:.2f}·10{str(power).translate(_SUPERSCRIPT)}"
    if not (math.isfinite(low) and math.isfinite(high)) or low == high:
        return ""
    finer = error if math.isfinite(error) and error > 0 else (high - low) / 4
    exponent = math.floor(math.log10(low if low > 0 else max(abs(low), abs(high))))
    exponent = 0 if -3 <= exponent <= 4 else exponent
    scale = 10.0**exponent
    digits = max(0, -math.floor(math.log10(finer / scale)) + _leads_with_one(finer))
    texts = [f"{v / scale:.{digits}f}".translate(_MINUS) for v in (low, high)]
    if exponent == 0:
        return " … ".join(texts)
    return f"({' … '.join(texts)})·10{str(exponent).translate(_SUPERSCRIPT)}"


def flags_in_words(flags: Iterable[str], words: dict[str, str]) -> list[str]:
    """Return what flags mean; one about a parameter carries its name.

    Examples
    --------
    >>> flags_in_words(["x0_at_bound"], {"at_bound": "a parameter ended at its limit"})
    ['x0: a parameter ended at its limit']
    """
    found = []
    for flag in flags:
        general = next((k for k in words if flag != k and flag.endswith(f"_{k}")), None)
        if flag in words:
            found.append(words[flag])
        elif general is not None:
            found.append(f"{flag.removesuffix(f'_{general}')}: {words[general]}")
        else:
            found.append(flag.replace("_", " "))
    return found

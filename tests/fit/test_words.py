"""What a person reads."""

import math

import pytest
import xarray as xr

from lliso.fit.table import COLUMNS, FLAGS
from lliso.fit.words import (
    READABLE,
    VERDICTS,
    readable_row,
    readable_table,
    with_error,
    with_limits,
)

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (-0.02, 0.0008, "−0.0200 ± 0.0008"),
        (1.234, 0.21, "1.2 ± 0.2"),
        (123.4, 56.0, "123 ± 56"),
        (0.0, 1.0, "0 ± 1"),
        (NAN, 1.0, "–"),
        (1.0, NAN, "–"),
        (1.0, INF, "–"),
        (1.0, 0.0, "1 ± 0"),
    ],
)
def test_with_error(value, error, text):
    assert with_error(value, error) == text


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ((1.43e-6, 0.9e-6, 2.3e-6, "measured"), "1.4 (0.9–2.3)·10⁻⁶"),
        ((1.43e-6, -0.9e-6, 2.3e-6, "measured"), "1.4 (−0.9–2.3)·10⁻⁶"),
        ((NAN, 0.0, 2.3e-6, "upper_limit"), "< 2.3·10⁻⁶"),
        ((NAN, 2.3e-6, INF, "lower_limit"), "> 2.3·10⁻⁶"),
        ((NAN, 0.0, INF, "not_measurable"), "not measurable"),
        ((NAN, NAN, NAN, "inconsistent_sign"), "signs disagree"),
        ((NAN, NAN, NAN, "failed"), "no fit"),
    ],
)
def test_with_limits(args, text):
    assert with_limits(*args) == text


def test_a_row_without_a_result():
    row = dict.fromkeys(
        ["step", "step_std", "slope", "slope_std", "permeability", "permeability_low",
         "permeability_high", "d_gb", "d_gb_low", "d_gb_high", "chi2_red"], NAN
    )  # fmt: skip
    found = readable_row("7", {**row, "verdict": "failed", "flags": "fit_failed"})
    assert list(found) == [key for key, _, _ in READABLE]
    assert found["boundary"] == "7"
    assert found["step"] == found["chi2_red"] == "–"
    assert found["permeability"] == found["d_gb"] == VERDICTS["failed"]
    assert found["flags"] == "fit failed"


def table_of(flags):
    """A table of results that are as long as they get."""
    row = {
        **dict.fromkeys(COLUMNS, 1.0), "verdict": "measured", "step": -0.0163, "step_std": 0.0009,
        "slope": -1.1, "slope_std": 0.3,
        "permeability": 8.5e-7, "permeability_low": 4.0e-7, "permeability_high": 13.4e-7,
        "d_gb": 8.5e-14, "d_gb_low": 1.6e-14, "d_gb_high": 17.8e-14,
    }  # fmt: skip
    values = {name: ("boundary", [value] * len(flags)) for name, value in row.items()}
    attrs = {"stage": "59 h", "d_bulk_cm2_per_s": 2.6e-8, "delta_nm": 0.5, "level": 0.95}
    names = [f"{i:02}" for i in range(len(flags))]
    table = xr.Dataset(values, coords={"boundary": names}, attrs=attrs)
    return table.assign(flags=("boundary", flags))


def test_a_table_without_flags_does_not_speak_of_them():
    text = readable_table(table_of(["", ""]))
    assert "flags" not in text
    assert len(text.splitlines()) == 4


def test_flags_stand_below_and_no_line_wraps_in_a_notebook():
    many = " ".join(FLAGS)
    text = readable_table(table_of(["", many, "poor_fit"]))
    below = " ".join(" ".join(text.splitlines()[5:]).split())
    said = ", ".join(flag.replace("_", " ") for flag in FLAGS)
    assert below == f"flags: 01 {said}; 02 poor fit"
    assert max(map(len, text.splitlines())) <= 110

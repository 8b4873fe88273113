"""The ledger: every printed number gets the verdict that its file states."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from lliso.lab import shared_files
from lliso.ledger import (
    DIFFERS,
    FOLLOWS,
    FORMULAS,
    ROUNDING,
    UNKNOWN,
    Entry,
    Printed,
    expected_verdicts,
    ledger_table,
    read_ledger,
)

LEDGER = Path(__file__).with_name("published.toml")
ENTRIES = {e.name: e for e in read_ledger(LEDGER)}


@pytest.mark.parametrize("name", ENTRIES)
def test_verdict(name: str) -> None:
    assert ENTRIES[name].verdict == expected_verdicts(LEDGER)[name]


def test_the_ledger_holds_the_numbers_that_matter() -> None:
    printed = {e.published for e in ENTRIES.values()}
    wanted = "1.1 0.02 2.6e-8 1.5e-6 7.6e-14 0.65 0.009 9.2e-14 2.6e-14 1.5e-13 6.8e-14 1.4e-13"
    wanted += " 8.0e-9 3.0e-9 6.6e-7 2.8e-6 2.8e-8 16 11 2.3e-9 1.4e-9 1e-14 0.2 5.0e21 177 0.43"
    wanted += " 0.36 0.048 0.20 0.24"
    assert set(wanted.split()) <= printed
    assert set(FORMULAS) == {e.formula for e in ENTRIES.values() if e.formula}


def test_every_number_says_where_it_stands_and_why() -> None:
    assert all(e.what and e.where and e.reason for e in ENTRIES.values())


@pytest.mark.parametrize(
    ("text", "value", "half"),
    [("7.6e-14", 7.6e-14, 5e-16), ("16", 16.0, 0.5), ("0.009", 0.009, 5e-4), ("-110", -110, 0.5)],
)
def test_last_digit_says_how_well_a_number_is_given(text: str, value: float, half: float) -> None:
    assert Printed.read(text) == Printed(value, pytest.approx(half, rel=1e-12))


def test_the_verdicts_are_computed() -> None:
    """One entry with other digits printed beside it."""
    given = ENTRIES["permeability_59h"]
    assert given.value == pytest.approx(2.6e-8 * 1.1 / 0.02)
    assert replace(given, published="1.4e-6").verdict == FOLLOWS
    assert replace(given, published="2.0e-6").verdict == ROUNDING
    assert replace(given, published="2.1e-6").verdict == DIFFERS
    sharper = {"d_bulk": "2.60e-8", "slope": "1.10", "step": "0.0200"}
    assert replace(given, inputs=sharper).verdict == DIFFERS
    assert replace(given, complete=False).verdict == UNKNOWN
    assert replace(given, formula="", inputs={}).verdict == UNKNOWN


def test_range_is_that_of_all_inputs_within_their_rounding() -> None:
    low, high = ENTRIES["d_eff_series_59h"].range
    assert low == pytest.approx(1 / (1 / 2.75e-8 + 1 / (15.5e-4 * 1.45e-6)))
    assert high == pytest.approx(1 / (1 / 2.85e-8 + 1 / (16.5e-4 * 1.55e-6)))
    assert all(math.isnan(v) for v in ENTRIES["slope_59h"].range)


def test_spread_of_l_is_the_derivative_of_eq_6() -> None:
    series = FORMULAS["eq. (6)"]
    given = {"d_bulk": 2.8e-8, "permeability": 1.5e-6}
    slope = (series(**given, grain_size_um=16.01) - series(**given, grain_size_um=15.99)) / 0.02
    spread = FORMULAS["eq. (6), spread of l"](**given, grain_size_um=16.0, spread_um=11.0)
    assert spread == pytest.approx(11.0 * slope, rel=1e-5)


def test_table_for_a_person() -> None:
    table = ledger_table(list(ENTRIES.values())).set_index("number")
    row = table.loc["D_eff by eq. (6) with the numbers printed beside it"]
    assert (row["printed"], row["recomputed"]) == ("2.3e-9 cm²/s", "3.86e-9")
    assert row["verdict"] == DIFFERS
    assert table.loc["Thickness δ of a boundary", "recomputed"] == "–"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "a"\nwhat = ""\nwhere = ""\npublished = 1.5', "must be text like"),
        ('name = "a"\nwhat = ""\nwhere = ""\npublished = "1"\nformula = "magic"', "must be one of"),
        ('name = "a"\nwhat = ""\nwhere = ""\npublished = "1"\ncolour = "red"', "known keys"),
    ],
)
def test_bad_entries(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "ledger.toml"
    extra = '\nformula = "a"\ninputs = { a = "1" }' if "formula" not in text else ""
    path.write_text(f"[[number]]\n{text}{extra}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_ledger(path)


def test_names_and_verdicts_of_a_file_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "ledger.toml"
    entry = (
        '[[number]]\nname = "a"\nwhat = "b"\nwhere = "c"\npublished = "1"\nverdict = "perhaps"\n'
    )
    path.write_text(entry, encoding="utf-8")
    assert read_ledger(path) == [Entry("a", "b", "c", "1")]
    with pytest.raises(ValueError, match="verdict must be one of"):
        expected_verdicts(path)
    path.write_text(entry * 2, encoding="utf-8")
    with pytest.raises(ValueError, match="twice"):
        read_ledger(path)


def test_a_copy_of_the_notebooks_finds_the_ledger() -> None:
    shared = shared_files(LEDGER.parents[1])
    assert shared["tests/published.toml"] == LEDGER

"""What a person reads."""

import math

import pytest

from lliso.fit.words import READABLE, VERDICTS, readable_row, with_error, with_limits

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

"""What the fits of long-range profiles say to bad input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xarray as xr

from lliso.fit.anneal import fit_anneal
from lliso.fit.exchange import fit_exchange
from lliso.fit.sample import fit_sample
from lliso.maps.synthetic_profiles import LineAnalysis, true_profiles

LINE = LineAnalysis(level=260.0)


def exact() -> xr.Dataset:
    """Noise-free profile after the exchange, with error bars."""
    x = np.arange(LINE.first, LINE.last, LINE.pitch)
    return xr.Dataset(
        {
            "fraction": ("position", true_profiles(LINE)[0](x)),
            "fraction_std": ("position", np.full(x.shape, 1e-3)),
        },
        {"position": ("position", x, {"units": "um"})},
        {"c_source": LINE.c_source, "box_um": 0.0, "stage": "stage 0"},
    )


def changed(**kwargs: Any) -> xr.Dataset:
    ds = exact()
    if "position" in kwargs:
        return ds.assign_coords(position=("position", kwargs["position"], {"units": "um"}))
    return ds.assign(**{k: ("position", v) for k, v in kwargs.items()})


X = exact().position.values
C = exact().fraction.values


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: fit_exchange(p, time="-3 h"), "time must be positive, got -10800 s"),
        (lambda p: fit_exchange(p, time=["1 h", "2 h"]), "one duration or 1"),
        (lambda p: fit_exchange(p.isel(position=[]), time=1.0), "must not be empty"),
        (lambda _: fit_exchange([], time=1.0), "needs at least one profile"),
        (lambda _: fit_exchange(changed(position=X[::-1]), time=1.0), "must grow, .* use .sortby"),
        (lambda _: fit_exchange(changed(position=np.round(X, -3)), time=1.0), "must differ from"),
        (lambda _: fit_exchange(changed(position=X * np.nan), time=1.0), "must be finite"),
        (lambda _: fit_exchange(changed(fraction=100 * C), time=1.0), "percent must be divided"),
        (lambda _: fit_exchange(changed(fraction=C - 0.1), time=1.0), "between 0 and 1, got -0.0"),
        (lambda _: fit_exchange(changed(fraction_std=0 * C), time=1.0), "std of stage 0 must be"),
        (lambda p: fit_exchange(p.drop_vars("fraction_std"), time=1.0), "'fraction' with"),
        (lambda p: fit_exchange(p, time=1.0, x0=99999.0, ends=(-1e3, 9e3)), "x0 must lie in the"),
        (lambda p: fit_exchange(p, time=1.0, both_ends=True), "needs the ends of the bar"),
        (lambda p: fit_exchange(p, time=1.0, c0=1.4), "c0 must lie between 0 and 1, got 1.4"),
        (lambda p: fit_exchange(p, time=1.0, d_eff=-1.0), "d_eff must be positive"),
        (lambda p: fit_exchange(p, time=1.0, x0=(0.0, 0.0)), "deviation of x0 must be positive"),
        (lambda p: fit_exchange(p, time=1.0, x0=(0.0, 1.0, 2.0)), "got 3 numbers"),
        (lambda p: fit_exchange(p, time=1.0, separate=["y"]), "separate must name some of"),
        (lambda p: fit_exchange(p, time=1.0, immersed="no"), "'surface' or 'free', got 'no'"),
        (
            lambda p: fit_exchange([p, p], time=1.0, immersed="free", separate=["x0"]),
            "needs one level for all profiles",
        ),
        (lambda p: fit_exchange(p, time=1.0, ends=(0.0, 100.0)), "must lie in the bar from 0"),
        (lambda p: fit_exchange(p, time=1.0, ends=(9.0, 1.0)), "must be in order"),
        (lambda p: fit_exchange(p, time=1.0, box=-1.0), "must not be negative, got -1"),
        (lambda p: fit_exchange(p, time=1.0, local_spread=-1.0), "local_spread must not be"),
        (lambda p: fit_exchange(p, time=1.0, level=1.0), "level must be between 0 and 1"),
        (
            lambda p: fit_exchange(p.assign_attrs(c_source=0.95).drop_attrs(), time=1.0, k="free"),
            "needs the fraction of the source",
        ),
        (lambda p: fit_sample([p], exchange=1.0, storage=[1.0], ends=LINE.ends), "one for each"),
        (
            lambda p: fit_sample([p, p], exchange=1.0, storage=[-1.0], ends=LINE.ends),
            "time must be positive, got -1 s",
        ),
        (
            lambda p: fit_sample(
                [p, p], exchange=1.0, storage=[1.0], temperatures=[22.0], ends=LINE.ends
            ),
            "must be in K, between 120 and 3000, got 22; add 273.15, or write '22 °C'",
        ),
        (
            lambda p: fit_sample([p, p], exchange=1.0, storage=[1.0], ends=LINE.ends,
                                 law="arrhenius"),
            "needs the temperature of every storage",
        ),
        (
            lambda p: fit_sample([p, p], exchange=1.0, storage=[[(0, 300), (-5, 300)]],
                                 law="arrhenius", ends=LINE.ends),
            "must not decrease or be negative",
        ),
        (
            lambda p: fit_sample([p, p], exchange=1.0, storage=[[(0, 300), (5, 400)]],
                                 ends=LINE.ends),
            "programme of temperatures needs law='arrhenius'",
        ),
        (
            lambda p: fit_sample([p, None, p], exchange=1.0, storage=[1.0, 1.0], ends=LINE.ends),
            "needs a profile of every storage",
        ),
        (
            lambda p: fit_sample([p, p], exchange=1.0, storage=[1.0], ends=LINE.ends, law="x"),
            "law must be 'each', 'shared' or 'arrhenius'",
        ),
        (
            lambda p: fit_anneal(p, start=(X, 3 * C), time=1.0, ends=LINE.ends),
            "fractions of the start must lie between 0 and 1",
        ),
        (
            lambda p: fit_anneal(p, start=p, time=1.0, ends=LINE.ends, stage_error=-1.0),
            "stage_error must not be negative",
        ),
    ],
)  # fmt: skip
def test_bad_input(call: Callable[[xr.Dataset], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(exact())


def test_wrong_kinds() -> None:
    with pytest.raises(TypeError, match=r"a profile must be an xarray\.Dataset, got list"):
        fit_exchange([[1, 2]], time=1.0)  # type: ignore[list-item]
    with pytest.raises(TypeError, match="start must be a Dataset, a function or"):
        fit_anneal(exact(), start=3, time=1.0, ends=LINE.ends)  # type: ignore[arg-type]

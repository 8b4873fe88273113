"""Two stages of simulated boundaries: one P, a narrower interval, and a test that can fail."""

import numpy as np
import pytest

from lliso.errors import PicksMismatch
from lliso.fit.boundaries import fit_boundaries
from lliso.fit.stages import fit_stages
from lliso.maps.cuts import LineCut
from lliso.maps.picks import BoundaryPick, Picks
from lliso.schema import make_map

D_BULK = 2.6e-8


def stage(rng, name, step, slope, counts=3000):
    """A simulated map with a straight boundary at y = 45 µm; slope in 1/µm."""
    x, y = np.arange(40) + 0.5, np.arange(90) + 0.5
    c = np.repeat((0.4 + slope * (y - 45) + step * ((y > 45) - 0.5))[:, None], 40, axis=1)
    light = rng.binomial(counts, c)
    return make_map([light, counts - light], ["6Li", "7Li"], x=x, y=y,
                    attrs={"simulated": 1, "stage": name})  # fmt: skip


def picks_on(*maps):
    cut = LineCut(name="a", start=(20, 0), end=(20, 90), width=30)
    picks = Picks(
        cuts=(cut,), boundaries=(BoundaryPick(name="1", cut="a", position=45, window=(0, 90)),)
    )
    for ds in maps:
        picks = picks.anchored_to(ds)
    return picks


def test_two_stages_say_more_than_one(rng):
    first = stage(rng, "59 h", -0.02, -1.1e-4)
    second = stage(rng, "16 d", -0.0105, -0.5775e-4)
    both = fit_stages([first, second], picks_on(first, second), d_bulk=D_BULK)
    one = fit_boundaries(first, picks_on(first), d_bulk=D_BULK)
    assert list(both.stage.values) == ["59 h", "16 d"]
    assert both.step.dims == ("stage", "boundary")
    assert str(both.verdict.values[0]) == "measured"
    truth = D_BULK * 1.1 / 0.02
    assert float(both.permeability_low[0]) < truth < float(both.permeability_high[0])
    width = float(both.permeability_high[0] - both.permeability_low[0])
    assert width < float(one.permeability_high[0] - one.permeability_low[0])
    assert float(both.p_value[0]) > 0.001
    assert float(both.d_gb[0]) == pytest.approx(float(both.permeability[0]) * 0.5e-7)


def test_a_boundary_that_changed_is_seen(rng):
    first = stage(rng, "59 h", -0.02, -2.2e-4, counts=100_000)
    second = stage(rng, "16 d", -0.02, -1.1e-4, counts=100_000)
    both = fit_stages([first, second], picks_on(first, second), d_bulk=D_BULK)
    assert float(both.p_value[0]) < 1e-4


def test_bad_calls(rng):
    first, second = stage(rng, "59 h", -0.02, -1e-4), stage(rng, "16 d", -0.01, -0.5e-4)
    with pytest.raises(ValueError, match="needs at least 2 maps, got 1"):
        fit_stages([first], picks_on(first), d_bulk=D_BULK)
    with pytest.raises(PicksMismatch, match="made on '59 h'"):
        fit_stages([first, second], picks_on(first), d_bulk=D_BULK)

"""Simulated profiles whose truth is the model's own."""

import numpy as np
import pytest
import xarray as xr

from lliso.diffusion.steps import boundary_fraction
from lliso.maps.picks import BoundaryPick


def profile_of(light, total, pitch=1.0, cut_width=20.0):
    """Return a profile with these counts; slices from 0 on."""
    x = (np.arange(np.size(light)) + 0.5) * pitch
    return xr.Dataset(
        {"counts": (("species", "distance"), np.stack([light, np.asarray(total) - light]))},
        coords={"species": ["6Li", "7Li"], "distance": np.round(x, 6)},
        attrs={"slice_length": pitch, "cut_width": cut_width, "simulated": 1},
    )


class Field:
    """The model's own field: 60 slices of 1 µm with the boundary in the middle, 59 h of LLTO."""

    def __init__(self):
        self.truth = {"level": 0.4, "step": -0.02, "slope": -1.1e-4, "position": 30.0}
        self.x = np.arange(60) + 0.5
        self.pick = BoundaryPick(name="1", cut="a", position=30.0, window=(0.0, 60.0))
        #: slope over step, which times D_bulk is P, in 1/µm
        self.ratio = self.truth["slope"] / self.truth["step"]

    def fraction(self, **changes):
        return boundary_fraction(self.x, **{**self.truth, **changes})

    def simulated(self, rng, counts, **changes):
        return profile_of(rng.binomial(counts, self.fraction(**changes)), counts)

    def noiseless(self, counts=1.0e6, **changes):
        """Expected counts: not whole, and without noise."""
        return profile_of(self.fraction(**changes) * counts, np.full(60, counts))


@pytest.fixture
def field():
    return Field()

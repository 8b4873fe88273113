"""What all tests share."""

import os

import hypothesis
import numpy as np
import pytest
import xarray as xr

from lliso.schema import make_map

# The tests draw into memory; a window system must not be asked for.
os.environ.setdefault("MPLBACKEND", "agg")

# A first example may be slow (imports, a busy machine); how fast code is, benchmarks/ says.
hypothesis.settings.register_profile("lliso", deadline=None)
hypothesis.settings.load_profile("lliso")


@pytest.fixture
def rng() -> np.random.Generator:
    """Return randomness that is the same in every run."""
    return np.random.default_rng(20261122)


@pytest.fixture
def simulated_map(rng: np.random.Generator) -> xr.Dataset:
    """Return a small simulated map: one boundary along x at y = 20 µm, step 0.1, 0.5 µm pixels.

    C = 0.5 below and 0.4 above the boundary with a slope of −0.002 per µm, 400 counts a pixel.
    """
    x = 0.25 + 0.5 * np.arange(30)
    y = 0.25 + 0.5 * np.arange(80)
    fraction = np.where(y < 20.0, 0.5, 0.4) - 0.002 * (y - 20.0)
    n6 = rng.binomial(400, np.broadcast_to(fraction[:, None], (y.size, x.size)))
    return make_map([n6, 400 - n6], ["6Li", "7Li"], x=x, y=y, attrs={"simulated": 1})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the browser's tests for the end: they are the slow ones."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)

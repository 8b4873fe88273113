"""What the tests of the published figures share: what takes long is found once."""

from pathlib import Path

import pytest

from lliso.published import default_inputs, fig3

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def fig3_inputs():
    """Return the default inputs of Fig. 3."""
    return default_inputs("fig3", ROOT)


@pytest.fixture(scope="session")
def fig3_data(fig3_inputs):
    return fig3.load(fig3_inputs)


@pytest.fixture(scope="session")
def fig3_traced(fig3_data):
    return fig3.trace(fig3_data)


@pytest.fixture(scope="session")
def fig3_found(fig3_data):
    return fig3.measure(fig3_data)

"""What the tests of the published figures share: what takes long is found once."""

import re
from pathlib import Path

import matplotlib as mpl
import pytest

from lliso.published import default_inputs, fig3

ROOT = Path(__file__).resolve().parents[2]
PINS = ROOT / "constraints" / "lab-test.txt"


@pytest.fixture
def pinned_matplotlib():
    """Skip where another matplotlib than the baseline's draws the text; CI has the pinned one."""
    pinned = re.search(r"^matplotlib==(\d+\.\d+)", PINS.read_text(encoding="utf-8"), re.MULTILINE)
    if not mpl.__version__.startswith(f"{pinned[1]}."):
        pytest.skip(f"the baseline was drawn by matplotlib {pinned[1]}, this is {mpl.__version__}")


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

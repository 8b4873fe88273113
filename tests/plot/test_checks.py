"""The check of a figure's style sees what it is there for."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from lliso.plot import PALETTE, figure
from lliso.plot.checks import style_faults


@pytest.fixture
def good():
    fig, ax = figure(3.35, 2.5)
    ax.plot([0, 1], [0, 1], color=PALETTE[0])
    ax.set(xlabel="distance (µm)", ylabel="⁶Li fraction C")
    yield fig, ax
    plt.close(fig)


def test_a_good_figure_has_no_faults(good):
    assert style_faults(good[0]) == []


def spoil_label(fig, ax):
    ax.set_xlabel("distance")


def spoil_type(fig, ax):
    ax.text(0.5, 0.5, "tiny", size=4)


def spoil_colour(fig, ax):
    ax.plot([0, 1], [1, 0], color="red")


def spoil_width(fig, ax):
    fig.set_figwidth(9.0)


def spoil_map(fig, ax):
    ax.imshow(np.zeros((4, 4)))
    ax.set(xlabel="x (µm)", ylabel="y (µm)")


def spoil_place(fig, ax):
    text = ax.text(0.95, 0.5, "far too long for the place where it stands")
    text.set_in_layout(False)


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (spoil_label, "the label 'distance' has no unit"),
        (spoil_type, "'tiny' is set in 4.0 points"),
        (spoil_colour, "not in the palette, red"),
        (spoil_width, "9.00 inches wide"),
        (spoil_map, "a map has no scale bar"),
        (spoil_place, "stands' leaves the figure"),
    ],
)
def test_a_fault_is_found(good, spoil, fault):
    spoil(*good)
    (found,) = style_faults(good[0])
    assert fault in found


def test_simulated_data_must_be_called_so(good):
    fig, ax = good
    assert style_faults(fig, simulated=True) == ["does not say that it is simulated"]
    ax.set_title("59 h (simulated)")
    assert style_faults(fig, simulated=True) == []

"""A figure as a small picture that a notebook keeps."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """A PNG that notebooks show, and keep in their file.

    Attributes
    ----------
    png : bytes
    size : tuple of int
        Width and height in pixels.
    """

    png: bytes = field(repr=False)
    size: tuple[int, int]

    def _repr_png_(self) -> bytes:
        return self.png


def picture(fig: Figure, dpi: float = 150.0) -> Picture:
    """Turn a figure into a picture of 256 colours, and close it in pyplot.

    Maps are noise to the last bit, which makes a PNG in full colour three times as large and
    nothing better to look at. `lliso figures` writes them in full.

    Parameters
    ----------
    fig : matplotlib.figure.Figure
        Its artists can still be looked at afterwards.
    dpi : float
        Pixels per inch.

    Returns
    -------
    Picture

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> picture(Figure(figsize=(2, 1)), dpi=100)
    Picture(size=(200, 100))
    """
    import matplotlib.pyplot as plt
    from PIL import Image

    from lliso.plot import style

    full, small = io.BytesIO(), io.BytesIO()
    with style():
        fig.savefig(full, format="png", dpi=dpi)
    full.seek(0)
    with Image.open(full) as image:
        few = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(small, "PNG", optimize=True)
    plt.close(fig)
    return Picture(small.getvalue(), few.size)

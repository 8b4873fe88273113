"""Files of an app that a person downloads."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MM_PER_INCH = 25.4
_MIME = {"svg": "image/svg+xml", "pdf": "application/pdf", "png": "image/png"}
_UNDATED: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


@dataclass(frozen=True)
class Download:
    """A file for a person: its name, kind and content."""

    name: str
    mime: str
    data: bytes


def rendered(
    draw: Callable[[float, float], Figure], stem: str, kind: str, width: float, height: float
) -> Download:
    """Draw a figure of a size in mm and return it as a file; nothing stays open.

    Raises
    ------
    ValueError
        If the format is none of svg, pdf, png, or the size is not between 30 and 500 mm.
    """
    if kind not in _MIME:
        raise ValueError(f"the format must be one of {', '.join(_MIME)}, got {kind!r}")
    for name, size in (("width", width), ("height", height)):
        if not 30 <= (size or 0) <= 500:
            raise ValueError(f"the {name} must be between 30 and 500 mm, got {size!r} mm")
    from matplotlib import pyplot as plt

    from lliso.plot import style

    figure = draw(width / MM_PER_INCH, height / MM_PER_INCH)
    stream = io.BytesIO()
    try:
        with style():
            figure.set_size_inches(width / MM_PER_INCH, height / MM_PER_INCH)
            figure.savefig(stream, format=kind, metadata=_UNDATED.get(kind, {}))
    finally:
        plt.close(figure)  # else a notebook shows it below the view
    return Download(f"{stem}.{kind}", _MIME[kind], stream.getvalue())

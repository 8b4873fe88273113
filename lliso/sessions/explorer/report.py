"""What a person takes away from the explorer: the figure as seen, the lines that repeat it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lliso.maps.quantities import QUANTITIES
from lliso.sessions.reading import maps_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from matplotlib.figure import Figure

    from lliso.sessions.explorer.images import Look
    from lliso.sessions.explorer.session import ExplorerSession


def explorer_code(maps: Mapping[str, xr.Dataset], look: Look, limits: tuple[float, float]) -> str:
    """Return the lines of lliso that give the images, in these colours."""
    lines = [
        "import lliso",
        "from lliso.figures import figure_of_images",
        "from lliso.maps.quantities import map_quantity",
        "",
    ]
    lines += maps_lines("maps", maps, "app.session.maps")
    options = [f"{look.quantity!r}"]
    if look.quantity == "counts":
        options.append(f"{look.species!r}")
    if look.binned > 1:
        options.append(f"binned={look.binned}")
    if look.smooth > 0:
        options.append(f"smooth={look.smooth:g}")
    lines.append("images = {")
    lines.append(f"    stage: map_quantity(ds, {', '.join(options)}) for stage, ds in maps.items()")
    lines += ["}", "figure = figure_of_images("]
    lines.append(f"    images, low={limits[0]:.6g}, high={limits[1]:.6g}, cmap={look.cmap!r},")
    lines.append(f"    label={QUANTITIES[look.quantity]!r}, log={look.log},")
    if look.ranges is not None:
        lines.append(f"    window={tuple(round(v, 3) for v in look.ranges)},")
    return "\n".join([*lines, ")", ""])


def explorer_figure(session: ExplorerSession, width: float, height: float) -> Figure:
    """Draw what is shown, at a size in inches."""
    from lliso.figures import figure_of_images

    look, images = session.state, session.values()
    change = images.pop("change", None)
    (low, high), overlay = session.limits, session.overlay
    more: dict[str, Any] = {}
    if change is not None:
        more["change"], more["reach"] = change, session.reach
    if overlay is not None and look.opacity > 0:
        more["overlay"] = (overlay.grey, overlay.matrix, look.opacity)
    label = f"counts of {look.species}" if look.quantity == "counts" else QUANTITIES[look.quantity]
    return figure_of_images(
        images,
        low=low,
        high=high,
        cmap=look.cmap,
        label=label,
        log=look.log,
        window=look.ranges,
        size=(width, height),
        **more,
    )

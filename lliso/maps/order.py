"""The order of corrections, which is the order of what happened, backwards.

Lithium leaves the sample, some of it as hydride (mass 7), is detected with an efficiency that
depends on its mass, meets a background, and is then counted by a detector that misses what comes
too fast. So the dead time is undone first, on what was counted in one pixel and frame; after that
everything is linear, and frames may be moved and added; then background, hydride, fractionation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lliso.maps.carried import steps_of
from lliso.schema import check_map

if TYPE_CHECKING:
    import xarray as xr

#: what may have been done to counts, in the order in which it must be done
_RANK = {
    "dead_time": 0,
    "aligned": 1,
    "summed": 1,
    "binned": 1,
    "background": 2,
    "hydride": 3,
    "fractionation": 4,
}
_WHY = {
    "dead_time": "a detector's dead time acts on what was counted in one pixel and frame",
    "aligned": "frames are aligned as they were counted",
    "background": "the background was counted together with hydride and lithium",
    "hydride": "hydride is a share of what was counted at the mass of the light isotope",
}
_WORDS = {
    "dead_time": "the dead time",
    "aligned": "the drift",
    "background": "the background",
    "hydride": "the hydride",
    "fractionation": "the mass fractionation",
}


def check_order(ds: xr.Dataset, step: str) -> None:
    """Raise if a correction was made already, or one was made that must come after it.

    Raises
    ------
    ValueError
        With what was done to the map so far.

    Examples
    --------
    >>> from lliso.schema import make_map
    >>> m = make_map([[[9.0]]], ["6Li"], x=[0.0], y=[0.0], attrs={"steps": "hydride"})
    >>> check_order(m, "background")
    Traceback (most recent call last):
    ...
    ValueError: the background must be corrected before hydride, got a map with the steps hydride:
    the background was counted together with hydride and lithium; start again from the map as read
    """
    check_map(ds)
    done = steps_of(ds)
    if step in done:
        raise ValueError(
            f"{_WORDS[step]} must be corrected once, got a map with the steps {', '.join(done)}; "
            "start again from the map as read"
        )
    later = [s for s in done if _RANK.get(s, -1) > _RANK[step]]
    if later:
        raise ValueError(
            f"{_WORDS[step]} must be corrected before {', '.join(dict.fromkeys(later))}, got a map "
            f"with the steps {', '.join(done)}: {_WHY[step]}; start again from the map as read"
        )

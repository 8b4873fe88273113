"""Paths: cuts that share their ends, one after the other, with one distance along all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from lliso._types import FloatArray
from lliso.maps.cuts import LineCut

Distance = TypeVar("Distance", float, FloatArray)

#: ends that are closer than this, in µm, are one corner; files keep four digits after the point
SAME_PLACE = 1e-3


@dataclass(frozen=True)
class Leg:
    """A cut as a part of a path.

    Attributes
    ----------
    cut : LineCut
        The cut.
    offset : float
        Distance along the path at which the leg begins, in µm.
    forward : bool
        Whether the path runs from the start of the cut to its end.
    """

    cut: LineCut
    offset: float = 0.0
    forward: bool = True

    @property
    def stop(self) -> float:
        """Distance along the path at which the leg ends, in µm."""
        return self.offset + self.cut.length

    def along(self, distance: Distance) -> Distance:
        """Return the distance along the path (µm) of distances along the cut (µm)."""
        return self.offset + (distance if self.forward else self.cut.length - distance)

    def distance(self, along: float) -> float:
        """Return the distance along the cut (µm) of a distance along the path (µm)."""
        return along - self.offset if self.forward else self.stop - along


def path_of(cuts: Sequence[LineCut], name: str) -> tuple[Leg, ...]:
    """Return the legs of the path that a cut belongs to, in their order.

    Parameters
    ----------
    cuts : sequence of LineCut
        All cuts.
    name : str
        One of them.

    Returns
    -------
    tuple of Leg
        One leg alone if no other cut shares an end with it. The path runs as the first of its cuts
        does; where it forks, along the earlier one.

    Raises
    ------
    ValueError
        If there is no such cut.

    Examples
    --------
    >>> a = LineCut(name="a", start=(0, 0), end=(0, 30), width=10)
    >>> b = LineCut(name="b", start=(0, 30), end=(40, 30), width=10)
    >>> [(leg.cut.name, leg.offset, leg.stop) for leg in path_of([a, b], "b")]
    [('a', 0.0, 30.0), ('b', 30.0, 70.0)]
    """
    by_name = {cut.name: cut for cut in cuts}
    if name not in by_name:
        raise ValueError(f"the cut must be one of {', '.join(by_name)}, got {name!r}")
    left = [cut for cut in cuts if cut.name != name]
    first = Leg(by_name[name])
    after = _walk(first, left)
    before = _walk(replace(first, forward=False), left)
    legs = [*(replace(leg, forward=not leg.forward) for leg in reversed(before)), first, *after]
    order = [cut.name for cut in cuts]
    if not min(legs, key=lambda leg: order.index(leg.cut.name)).forward:
        legs = [replace(leg, forward=not leg.forward) for leg in reversed(legs)]
    placed: list[Leg] = []
    for leg in legs:
        placed.append(replace(leg, offset=placed[-1].stop if placed else 0.0))
    return tuple(placed)


def _walk(leg: Leg, left: list[LineCut]) -> list[Leg]:
    """Return the legs that follow one, and take their cuts out of those that are left."""
    found: list[Leg] = []
    while True:
        at = leg.cut.end if leg.forward else leg.cut.start
        for cut in left:
            if min(math.dist(cut.start, at), math.dist(cut.end, at)) < SAME_PLACE:
                leg = Leg(cut, forward=math.dist(cut.start, at) < SAME_PLACE)
                left.remove(cut)
                found.append(leg)
                break
        else:
            return found

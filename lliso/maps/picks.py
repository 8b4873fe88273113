"""Picks: everything a person decides on a map, as a frozen value and a small diffable file.

A pick of a boundary lies on a line cut, at a distance from its start, with the window that its fit
may look at. Picks name the maps they were made on by ``map_id``, so that they are never applied to
another map by mistake.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lliso.errors import FormatError, PicksMismatch
from lliso.maps.cuts import Finite, LineCut
from lliso.maps.decisions import read_decisions, write_decisions

if TYPE_CHECKING:
    import xarray as xr

_DECIMALS = 4  # of a µm: far below a pixel, far above rounding


class BoundaryPick(BaseModel):
    """A grain boundary marked on a line cut.

    Parameters
    ----------
    name : str
        What the boundary is called; unique within the picks.
    cut : str
        Name of the line cut it lies on.
    position : float
        Distance from the cut's start in µm.
    window : tuple of float
        Distances (from, to) in µm between which the profile belongs to the two grains beside this
        boundary. The fit keeps its guards off both ends.
    tilt : float
        Angle in degrees between the cut and the boundary's normal in the plane of the map; positive
        if the normal points to the right of the cut's direction.
    note : str
        Anything a person wants to remember.

    Raises
    ------
    ValueError
        If the boundary lies outside its window, or the tilt is not within ±80°.

    Examples
    --------
    >>> BoundaryPick(name="1", cut="a", position=20, window=(5, 40)).window
    (5.0, 40.0)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    cut: str
    position: Finite
    window: tuple[Finite, Finite]
    tilt: Annotated[float, Field(ge=-80, le=80, allow_inf_nan=False)] = 0.0
    note: str = ""

    @model_validator(mode="after")
    def _inside_window(self) -> BoundaryPick:
        low, high = self.window
        if not low < self.position < high:
            raise ValueError(
                f"boundary '{self.name}' must lie inside its window, got a position of "
                f"{self.position:g} um and a window from {low:g} to {high:g} um"
            )
        return self


class Landmark(BaseModel):
    """A point of a map paired with a point of another image, both (x, y)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    map_point: tuple[Finite, Finite]
    image_point: tuple[Finite, Finite]


class Picks(BaseModel):
    """Line cuts, boundaries, landmarks and notes made on one sample.

    Frozen: every ``with_...`` returns new picks. Equal picks are equal text (`dumps`).

    Parameters
    ----------
    maps : dict of str to str
        ``map_id`` of each map by its stage (e.g. ``{"59 h": "0a1b..."}``).
    cuts : tuple of LineCut
        The line cuts.
    boundaries : tuple of BoundaryPick
        The boundaries marked on them.
    landmarks : tuple of Landmark
        Pairs of points for registering a microscope image.
    note : str
        Anything a person wants to remember.

    Raises
    ------
    ValueError
        If two cuts or two boundaries have one name, or a boundary lies on no cut or beyond its
        end.

    Examples
    --------
    >>> cut = LineCut(name="a", start=(0, 0), end=(0, 50), width=10)
    >>> picks = Picks(maps={"59 h": "0123456789ab"}).with_cut(cut)
    >>> picks = picks.with_boundary(
    ...     BoundaryPick(name="1", cut="a", position=20, window=(5, 40)))
    >>> Picks.loads(picks.dumps()) == picks
    True
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(default=1, ge=1, le=1)
    maps: dict[str, str] = Field(default_factory=dict)
    cuts: tuple[LineCut, ...] = ()
    boundaries: tuple[BoundaryPick, ...] = ()
    landmarks: tuple[Landmark, ...] = ()
    note: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Picks:
        for kind, items in (("cuts", self.cuts), ("boundaries", self.boundaries)):
            names = [item.name for item in items]
            twice = sorted({n for n in names if names.count(n) > 1})
            if twice:
                raise ValueError(f"{kind} must have different names, got {', '.join(twice)} twice")
        lengths = {cut.name: cut.length for cut in self.cuts}
        for boundary in self.boundaries:
            if boundary.cut not in lengths:
                raise ValueError(
                    f"boundary '{boundary.name}' must lie on one of the cuts "
                    f"({', '.join(lengths) or 'there are none'}), got '{boundary.cut}'"
                )
            # Rounding in the file may shorten a cut by less than this.
            if not -1e-3 <= boundary.position <= lengths[boundary.cut] + 1e-3:
                raise ValueError(
                    f"boundary '{boundary.name}' must lie on cut '{boundary.cut}' of "
                    f"{lengths[boundary.cut]:.4g} um, got a position of {boundary.position:g} um"
                )
        return self

    # reading -----------------------------------------------------------------------------------
    def cut(self, name: str) -> LineCut:
        """Return the cut of that name; ValueError if there is none."""
        for cut in self.cuts:
            if cut.name == name:
                return cut
        have = ", ".join(c.name for c in self.cuts) or "none"
        raise ValueError(f"the picks hold no cut '{name}', only: {have}")

    def boundary(self, name: str) -> BoundaryPick:
        """Return the boundary of that name; ValueError if there is none."""
        for boundary in self.boundaries:
            if boundary.name == name:
                return boundary
        have = ", ".join(b.name for b in self.boundaries) or "none"
        raise ValueError(f"the picks hold no boundary '{name}', only: {have}")

    def on_cut(self, name: str) -> tuple[BoundaryPick, ...]:
        """Return the boundaries on one cut, by distance."""
        found = [b for b in self.boundaries if b.cut == name]
        return tuple(sorted(found, key=lambda b: (b.position, b.name)))

    # changing ----------------------------------------------------------------------------------
    def _with(self, **changes: Any) -> Picks:
        return Picks(**{**dict(self), **changes})

    def with_cut(self, cut: LineCut) -> Picks:
        """Add a cut, or replace the one of the same name."""
        return self._with(cuts=_replaced(self.cuts, cut))

    def without_cut(self, name: str) -> Picks:
        """Remove a cut and the boundaries on it."""
        self.cut(name)
        return self._with(
            cuts=tuple(c for c in self.cuts if c.name != name),
            boundaries=tuple(b for b in self.boundaries if b.cut != name),
        )

    def with_boundary(self, boundary: BoundaryPick) -> Picks:
        """Add a boundary, or replace the one of the same name."""
        return self._with(boundaries=_replaced(self.boundaries, boundary))

    def without_boundary(self, name: str) -> Picks:
        """Remove a boundary."""
        self.boundary(name)
        return self._with(boundaries=tuple(b for b in self.boundaries if b.name != name))

    def with_note(self, note: str) -> Picks:
        """Replace the note."""
        return self._with(note=note)

    # belonging to a map ------------------------------------------------------------------------
    def check(self, ds: xr.Dataset) -> None:
        """Raise `PicksMismatch` unless `ds` is one of the maps these picks were made on."""
        found = str(ds.attrs.get("map_id", ""))
        if found in self.maps.values():
            return
        made_on = ", ".join(f"'{s}' ({i})" for s, i in sorted(self.maps.items())) or "no map"
        raise PicksMismatch(
            f"the picks were made on {made_on}, but this map is "
            f"'{ds.attrs.get('stage') or ds.attrs.get('source')}' ({found}). If it shows the same "
            "place of the same sample, say so with picks.anchored_to(map)"
        )

    def anchored_to(self, ds: xr.Dataset) -> Picks:
        """Declare that these picks also hold on the map `ds` (same place of the same sample)."""
        stage = str(ds.attrs.get("stage") or ds.attrs.get("source") or "map")
        new = str(ds.attrs["map_id"])
        name, number = stage, 1
        while self.maps.get(name, new) != new:  # another map of that stage: both stay
            number += 1
            name = f"{stage} ({number})"
        return self._with(maps={**self.maps, name: new})

    # text and file -----------------------------------------------------------------------------
    def dumps(self) -> str:
        """Return the picks as JSON: sorted and rounded, so that equal picks are equal text."""
        import json

        data = self.model_dump(mode="json")
        for key in ("cuts", "boundaries", "landmarks"):
            data[key] = sorted(data[key], key=lambda item: _as_counted(str(item["name"])))
        text = json.dumps(_rounded(data), indent=1, sort_keys=True, ensure_ascii=False)
        return text + "\n"

    @classmethod
    def loads(cls, text: str, path: str | os.PathLike[str] = "picks") -> Picks:
        """Read picks from JSON text.

        Raises
        ------
        FormatError
            With every problem found and where.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as err:
            raise FormatError(path, None, f"not valid picks: {problems_in_words(err)}") from None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Picks:
        """Read picks from a file."""
        cure = "mark boundaries first, lliso.pick_boundaries(map, file) writes it"
        text = read_decisions(path, "picks", cure, file="picks file")
        return cls.loads(text, path)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write picks to a file: aside, then in place, so that it is never half written."""
        write_decisions(path, self.dumps())


def _as_counted(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts "cut 2" before "cut 10"."""
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(p), p) if p.isdecimal() else (1, 0, p) for p in parts)


def _replaced(items: Iterable[Any], new: Any) -> tuple[Any, ...]:
    kept = list(items)
    for i, item in enumerate(kept):
        if item.name == new.name:
            kept[i] = new
            return tuple(kept)
    return (*kept, new)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, _DECIMALS) + 0.0  # + 0.0 turns -0.0 into 0.0
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return value


def problems_in_words(err: ValidationError) -> str:
    """Return what is wrong with a value in one line; pydantic's own text runs over many."""
    found = []
    for problem in err.errors(include_url=False):
        where = ".".join(str(part) for part in problem["loc"])
        text = problem["msg"].removeprefix("Value error, ")
        found.append(f"{where or 'picks'}: {text}")
    return "; ".join(found)

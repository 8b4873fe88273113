"""What a person changes in a segmentation: grains merged and split, as a small file.

The edits name places, not numbers of grains, so that they can be read and repeated; they belong to
one segmentation, which they know by its ``map_id`` and a checksum of its labels.
"""

from __future__ import annotations

import hashlib
import json
import os
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scipy import ndimage

from lliso._types import BoolArray, FloatArray, IntArray
from lliso.errors import FormatError, PicksMismatch
from lliso.maps.cuts import Finite
from lliso.maps.decisions import read_decisions
from lliso.maps.picks import problems_in_words
from lliso.schema import X, Y

if TYPE_CHECKING:
    import xarray as xr

Point = tuple[Finite, Finite]
_DECIMALS = 4  # of a µm
#: a part of a grain with fewer pixels is no grain
_FEWEST = 6


class Merge(BaseModel):
    """Two neighbouring grains that are one: a point (x, y) in each, µm."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["merge"] = "merge"
    first: Point
    second: Point


class Split(BaseModel):
    """A grain that is two: the boundary between them, a polyline in µm.

    The grain is the one under most of the line; the line goes on straight beyond its ends.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["split"] = "split"
    line: tuple[Point, ...] = Field(min_length=2)


class GrainEdits(BaseModel):
    """Merges and splits of the grains of one segmentation, in their order.

    Parameters
    ----------
    map_id : str
        Of the map that was segmented.
    labels : str
        Checksum of the labels as the segmentation gave them.
    found_from : str
        What the segmentation was made from.
    edits : tuple of Merge and Split
        In the order they were made.

    Examples
    --------
    >>> import xarray as xr
    >>> label = xr.DataArray([[0, 0, 1, 1], [0, 0, 1, 1]], dims=("y", "x"),
    ...                      coords={"y": [0.0, 1.0], "x": [0.0, 1.0, 2.0, 3.0]}, name="label")
    >>> grains = label.to_dataset()
    >>> edits = GrainEdits.of(grains).with_edit(Merge(first=(0, 0), second=(3, 1)))
    >>> apply_edits(grains, edits).label.values.tolist()
    [[0, 0, 0, 0], [0, 0, 0, 0]]
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(default=1, ge=1, le=1)
    map_id: str = ""
    labels: str
    found_from: str = ""
    edits: tuple[Annotated[Merge | Split, Field(discriminator="kind")], ...] = ()

    @classmethod
    def of(cls, grains: xr.Dataset) -> GrainEdits:
        """Return no edits yet, of this segmentation."""
        return cls(
            map_id=str(grains.attrs.get("map_id", "")),
            labels=label_checksum(grains),
            found_from=str(grains.attrs.get("found_from", "")),
        )

    def with_edit(self, edit: Merge | Split) -> GrainEdits:
        """Return them with one more."""
        return GrainEdits(**{**dict(self), "edits": (*self.edits, edit)})

    def check(self, grains: xr.Dataset) -> None:
        """Raise `PicksMismatch` unless `grains` are those that were edited."""
        own = label_checksum(grains)
        if own != self.labels:
            raise PicksMismatch(
                f"the edits must be of this segmentation, got edits of labels {self.labels} "
                f"(map {self.map_id or 'unknown'}, from {self.found_from or 'unknown'}) for labels "
                f"{own} (map {grains.attrs.get('map_id', 'unknown')}); segment as it was done then"
            )

    def dumps(self) -> str:
        """Return the edits as JSON, rounded, so that equal edits are equal text."""
        data = self.model_dump(mode="json")
        return json.dumps(_rounded(data), indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def loads(cls, text: str, path: str | os.PathLike[str] = "edits") -> GrainEdits:
        """Read edits from JSON text; FormatError says every problem."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as err:
            words = problems_in_words(err)
            raise FormatError(path, None, f"not valid edits of grains: {words}") from None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> GrainEdits:
        """Read edits from a file."""
        cure = "merge or split grains first, lliso.explore_network(map, file, d_bulk=...) writes it"
        text = read_decisions(path, "edits", cure)
        return cls.loads(text, path)


def label_checksum(grains: xr.Dataset) -> str:
    """Return the first 12 hex digits of the SHA-256 of the labels and their shape."""
    label = np.ascontiguousarray(grains["label"].values, dtype="<i8")
    return hashlib.sha256(f"{label.shape}".encode() + label.tobytes()).hexdigest()[:12]


def apply_edits(grains: xr.Dataset, edits: GrainEdits) -> xr.Dataset:
    """Merge and split the grains of a segmentation.

    Parameters
    ----------
    grains : xarray.Dataset
        ``label(y, x)`` of `lliso.segment_grains`, with ``x`` and ``y`` in µm.
    edits : GrainEdits
        Made on these labels.

    Returns
    -------
    xarray.Dataset
        With the labels changed, all others as they were; for `lliso.boundary_network`. A boundary
        that an edit made or lengthened has the probability 1 there: a person has looked.

    Raises
    ------
    PicksMismatch
        If the edits are of other labels.
    ValueError
        If an edit cannot be done: a place outside of the map or of all grains, grains that do not
        touch, a line that does not cut its grain in two.
    """
    edits.check(grains)
    label = grains["label"].values.astype(np.int64, copy=True)
    x, y = (grains[k].values.astype(float) for k in (X, Y))
    for edit in edits.edits:
        if isinstance(edit, Merge):
            _merge(label, x, y, edit)
        else:
            _split(label, x, y, edit)
    edited = grains.assign(label=grains["label"].copy(data=label))
    if edits.edits:
        found_from = str(grains.attrs.get("found_from", ""))
        edited.attrs["found_from"] = f"{found_from}, with {len(edits.edits)} edits by hand"
    return edited


def grain_at(grains: xr.Dataset, place: tuple[float, float]) -> int:
    """Return the label at a place (x, y) in µm; ValueError outside of all grains."""
    x, y = (grains[k].values.astype(float) for k in (X, Y))
    return _grain(grains["label"].values, x, y, place)


def _grain(label: IntArray, x: FloatArray, y: FloatArray, place: tuple[float, float]) -> int:
    row, column = _pixel(x, y, np.array([place]))
    if row[0] < 0 or label[row[0], column[0]] < 0:
        raise ValueError(f"the place must lie in a grain, got ({place[0]:.4g}, {place[1]:.4g}) um")
    return int(label[row[0], column[0]])


def _pixel(x: FloatArray, y: FloatArray, places: FloatArray) -> tuple[IntArray, IntArray]:
    """Row and column of places (n, 2); −1 outside of the map."""
    column = np.rint((places[:, 0] - x[0]) / (x[1] - x[0])).astype(np.int64)
    row = np.rint((places[:, 1] - y[0]) / (y[1] - y[0])).astype(np.int64)
    inside = (column >= 0) & (column < x.size) & (row >= 0) & (row < y.size)
    return np.where(inside, row, -1), np.where(inside, column, -1)


def _merge(label: IntArray, x: FloatArray, y: FloatArray, edit: Merge) -> None:
    first, second = (_grain(label, x, y, p) for p in (edit.first, edit.second))
    if first == second:
        raise ValueError("the grains to merge must be two, got two places in one grain")
    own, other = label == first, label == second
    if not (ndimage.binary_dilation(own) & other).any():
        raise ValueError(
            f"the grains to merge must touch, got those at ({edit.first[0]:.4g}, "
            f"{edit.first[1]:.4g}) and ({edit.second[0]:.4g}, {edit.second[1]:.4g}) um"
        )
    label[own | other] = min(first, second)


def _split(label: IntArray, x: FloatArray, y: FloatArray, edit: Split) -> None:
    line = np.array(edit.line, dtype=float)
    name = _under(label, x, y, line)
    own = label == name
    rows, columns = np.nonzero(own)
    places = np.column_stack([x[columns], y[rows]])
    beyond = np.zeros(label.shape, dtype=bool)
    beyond[rows, columns] = _left_of(line, places)
    sides = _whole(own & ~beyond), _whole(beyond)
    if any(side.sum() < _FEWEST for side in sides):
        fewest = min(int(side.sum()) for side in sides)
        raise ValueError(
            f"the line must cut a grain in two parts of at least {_FEWEST} pixels, got "
            f"{fewest} on one side"
        )
    # Splinters that the line cut off a grain that is not convex stay with what they touch.
    rest = own & ~sides[0] & ~sides[1]
    splinters, count = ndimage.label(rest)
    joined = sides[1].copy()
    for k in range(1, count + 1):
        near = ndimage.binary_dilation(splinters == k)
        if (near & sides[1]).sum() > (near & sides[0]).sum():
            joined |= splinters == k
    label[joined] = label.max() + 1


def _under(label: IntArray, x: FloatArray, y: FloatArray, line: FloatArray) -> int:
    """Return the grain under most of a line."""
    share = np.linspace(0.0, 1.0, 101)[:, None]
    legs = [a + share * (b - a) for a, b in pairwise(line)]
    lengths = [float(np.hypot(*(leg[-1] - leg[0]))) for leg in legs]
    if not sum(lengths) > 0:
        raise ValueError("the line of a split must have a length, got one place")
    found: dict[int, float] = {}
    for leg, length in zip(legs, lengths, strict=True):
        row, column = _pixel(x, y, leg)
        for name in label[row[row >= 0], column[row >= 0]].tolist():
            if name >= 0:
                found[name] = found.get(name, 0.0) + length
    if not found:
        raise ValueError("the line of a split must lie in a grain, got one outside of all")
    return max(found, key=lambda name: found[name])


def _left_of(line: FloatArray, places: FloatArray) -> BoolArray:
    """Tell whether places lie to the left of the nearest leg of a line that goes on at its ends."""
    nearest, left = np.full(len(places), np.inf), np.zeros(len(places), dtype=bool)
    last = len(line) - 2
    for k, (a, b) in enumerate(pairwise(line)):
        leg = b - a
        size = float(leg @ leg)
        if not size > 0:
            continue
        along = (places - a) @ leg / size
        low, high = (-np.inf if k == 0 else 0.0), (np.inf if k == last else 1.0)
        foot = a + np.clip(along, low, high)[:, None] * leg
        away = np.hypot(*(places - foot).T)
        closer = away < nearest
        nearest = np.where(closer, away, nearest)
        cross = leg[0] * (places[:, 1] - a[1]) - leg[1] * (places[:, 0] - a[0])
        left = np.where(closer, cross > 0, left)
    return left


def _whole(part: BoolArray) -> BoolArray:
    """Return the largest connected piece of a part."""
    pieces, count = ndimage.label(part)
    if count == 0:
        return part
    sizes = np.bincount(pieces.ravel())[1:]
    return np.asarray(pieces == 1 + int(np.argmax(sizes)))


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, _DECIMALS) + 0.0  # + 0.0 turns -0.0 into 0.0
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return [_rounded(v) for v in value] if isinstance(value, list) else value

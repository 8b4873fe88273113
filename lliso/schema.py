"""What a map is: names of dimensions, variables and attributes, and the checks on them.

A map is an `xarray.Dataset` with ``counts(species, [frame], y, x)``; ``x`` and ``y`` are pixel
centres in µm, ``y`` along the diffusion direction and growing away from the source unless the
attribute ``orientation`` says otherwise. Attributes are plain strings and numbers, so that a map
goes through netCDF unchanged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

COUNTS = "counts"
SPECIES = "species"
FRAME = "frame"
X = "x"
Y = "y"
LI6 = "6Li"
LI7 = "7Li"
MAP_DIMS = (SPECIES, Y, X)
FRAME_DIMS = (SPECIES, FRAME, Y, X)

#: attributes that every map carries, with the value used when nothing is known
DEFAULT_ATTRS: dict[str, str | int] = {
    "map_id": "",
    "stage": "",
    "instrument": "unknown",
    "source": "unknown",
    "simulated": 0,
    "dead_time_corrected": "unknown",
    "orientation": "y grows away from the source (assumed)",
    "history": "",
}


def make_map(
    counts: Any,
    species: Sequence[str],
    *,
    x: Any,
    y: Any,
    attrs: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Build a map from arrays, checked against the schema.

    Parameters
    ----------
    counts : array_like, shape (species, y, x) or (species, frame, y, x)
        Counts; whole numbers are kept as they are, dask arrays stay lazy.
    species : sequence of str
        One label per image, e.g. ``["6Li", "7Li"]``.
    x, y : array_like, shape (x,) and (y,)
        Pixel centres in µm.
    attrs : mapping, optional
        Attributes; plain strings and numbers. What is missing is filled with `DEFAULT_ATTRS`, and
        ``map_id`` with a hash of the counts and coordinates.

    Returns
    -------
    xarray.Dataset
        A map.

    Raises
    ------
    TypeError
        If `species` is a text instead of a list of texts.
    ValueError
        If shapes do not match, or the result would not be a valid map.

    Examples
    --------
    >>> m = make_map(np.ones((2, 3, 4), int), ["6Li", "7Li"], x=np.arange(4.0), y=np.arange(3.0))
    >>> dict(m.sizes)
    {'species': 2, 'y': 3, 'x': 4}
    """
    import xarray as xr

    if isinstance(species, str):
        raise TypeError(f"species must be a list of labels, got the text {species!r}")
    if not hasattr(counts, "ndim"):
        counts = _stacked(counts, species)
    dims = {3: MAP_DIMS, 4: FRAME_DIMS}.get(counts.ndim)
    if dims is None:
        raise ValueError(
            "counts must have the dimensions (species, y, x) or (species, frame, y, x), "
            f"got an array of shape {tuple(counts.shape)}"
        )
    x = np.asarray(x, dtype=float)
    y = np.asarray(y, dtype=float)
    expected = (len(species), *counts.shape[1:-2], y.size, x.size)
    if tuple(counts.shape) != expected:
        raise ValueError(
            f"counts must have the shape {expected} of {len(species)} species, {y.size} rows (y) "
            f"and {x.size} columns (x), got {tuple(counts.shape)}"
        )
    ds = xr.Dataset(
        {COUNTS: (dims, counts, {"long_name": "counts", "units": "1"})},
        coords={
            SPECIES: list(species),
            X: (X, x, {"units": "um", "long_name": "x"}),
            Y: (Y, y, {"units": "um", "long_name": "y"}),
        },
        attrs={**DEFAULT_ATTRS, **dict(attrs or {})},
    )
    check_map(ds)
    if not ds.attrs["map_id"]:
        ds.attrs["map_id"] = hash_of_arrays([ds[COUNTS].values, x, y])
    return ds


def _stacked(images: Iterable[Any], species: Sequence[str]) -> Any:
    arrays = [np.asarray(image) for image in images]
    shapes = {a.shape for a in arrays}
    if len(shapes) > 1:
        found = ", ".join(f"{s}: {a.shape}" for s, a in zip(species, arrays, strict=False))
        raise ValueError(
            f"images of all species must have the same shape, got {found}; "
            "export them with the same binning and field of view"
        )
    return np.stack(arrays)


def hash_of_bytes(*parts: bytes) -> str:
    """First 12 hexadecimal digits of the SHA-256 of `parts` joined."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:12]


def hash_of_arrays(arrays: Iterable[Any]) -> str:
    """`hash_of_bytes` of arrays, with their shapes and independent of byte order."""
    parts: list[bytes] = []
    for array in arrays:
        values = np.ascontiguousarray(array)
        values = values.astype(values.dtype.newbyteorder("<"), copy=False)
        parts += [f"{values.dtype.str}{values.shape}".encode(), values.tobytes()]
    return hash_of_bytes(*parts)


def check_map(ds: xr.Dataset, needs: Iterable[str] = ()) -> None:
    """Raise if `ds` is not a map or lacks one of the species `needs`.

    Looks at the structure, and at coordinate values; at count values only where they are in memory
    already (see `check_counts`), so that lazy data stay lazy.

    Raises
    ------
    TypeError
        If `ds` is not a Dataset.
    ValueError
        With what is missing and what was found.
    """
    import xarray as xr

    if not isinstance(ds, xr.Dataset):
        raise TypeError(f"a map must be an xarray.Dataset, got {type(ds).__name__}")
    if COUNTS not in ds:
        found = ", ".join(map(str, ds.data_vars)) or "none"
        raise ValueError(f"a map needs the variable '{COUNTS}', found the variables: {found}")
    dims = ds[COUNTS].dims
    if dims not in (MAP_DIMS, FRAME_DIMS):
        raise ValueError(
            f"counts must have the dimensions {MAP_DIMS} or {FRAME_DIMS}, got {dims}; "
            "use .transpose(...) if only the order is wrong"
        )
    if 0 in ds[COUNTS].shape:
        raise ValueError(f"a map must not be empty, got counts of shape {ds[COUNTS].shape}")
    for name in (X, Y):
        _check_axis(ds, name)
    have = [str(s) for s in ds[SPECIES].values] if SPECIES in ds.coords else []
    if len(set(have)) != ds.sizes[SPECIES]:
        raise ValueError(f"species must be labelled and different from each other, got {have}")
    missing = [s for s in needs if s not in have]
    if missing:
        raise ValueError(
            f"the map lacks the species {', '.join(missing)}; it holds {', '.join(have)}. "
            "If a species has another name there, rename it with "
            "map.assign_coords(species=[...])"
        )
    if isinstance(ds[COUNTS].data, np.ndarray):
        check_counts(ds[COUNTS].values, net="variance" in ds)


def _check_axis(ds: xr.Dataset, name: str) -> None:
    if name not in ds.coords:
        raise ValueError(f"a map needs the coordinate '{name}' (pixel centres in um)")
    axis = np.asarray(ds[name].values, dtype=float)
    units = str(ds[name].attrs.get("units", "um"))
    if units not in ("um", "µm"):
        raise ValueError(f"coordinate '{name}' must be in um, got units {units!r}")
    if not np.all(np.isfinite(axis)):
        raise ValueError(f"coordinate '{name}' must be finite, got NaN or infinity")
    steps = np.diff(axis)
    if axis.size > 1 and not (steps[0] > 0 and np.allclose(steps, steps[0], rtol=1e-3)):
        raise ValueError(
            f"coordinate '{name}' must grow in equal steps, got steps from "
            f"{steps.min():g} to {steps.max():g} um"
        )


def check_counts(counts: Any, *, net: bool = False) -> None:
    """Raise if an array of counts holds NaN, infinities or negative numbers.

    Net counts (`net`), of which a background was taken off, may be negative.

    Raises
    ------
    ValueError
        With the number of bad pixels.
    """
    values = np.asarray(counts)
    if values.dtype.kind not in "uif":
        raise ValueError(f"counts must be numbers, got the type {values.dtype}")
    if values.dtype.kind == "f":
        bad = int(values.size - np.count_nonzero(np.isfinite(values)))
        if bad:
            raise ValueError(
                f"counts must be finite, got {bad} NaN or infinite values of {values.size}; "
                "mark unknown pixels by 0 counts in every species"
            )
    if not net and values.dtype.kind in "if" and values.size and values.min() < 0:
        raise ValueError(f"counts must not be negative, got {values.min():g}")


def pixel_size(ds: xr.Dataset) -> tuple[float, float]:
    """Return the pixel pitch ``(dx, dy)`` in µm.

    Examples
    --------
    >>> m = make_map(np.ones((1, 3, 4), int), ["6Li"], x=np.arange(4) * 0.5, y=np.arange(3.0))
    >>> pixel_size(m)
    (0.5, 1.0)
    """
    pitch = []
    for name in (X, Y):
        axis = np.asarray(ds[name].values, dtype=float)
        if axis.size < 2:
            raise ValueError(
                f"the pixel size along {name} needs at least 2 pixels, got {axis.size}"
            )
        pitch.append(float((axis[-1] - axis[0]) / (axis.size - 1)))
    return pitch[0], pitch[1]


def flip_y(ds: xr.Dataset) -> xr.Dataset:
    """Turn a map over, so that the other end of y is the source's side.

    Parameters
    ----------
    ds : xarray.Dataset
        A map.

    Returns
    -------
    xarray.Dataset
        The same counts with the rows in the other order, the same coordinates, and another
        ``map_id``: picks made on the map as it was do not fit it any more.

    Examples
    --------
    >>> m = make_map([[[1], [2]]], ["6Li"], x=[0.0], y=[0.0, 1.0])
    >>> flip_y(m).counts.values.ravel()
    array([2, 1])
    """
    flipped = ds.isel({Y: slice(None, None, -1)}).assign_coords({Y: ds[Y]})
    flipped.attrs = {
        **ds.attrs,
        "map_id": hash_of_bytes(str(ds.attrs.get("map_id", "")).encode(), b"flip_y"),
        "orientation": "y grows away from the source (turned over by flip_y)",
    }
    return add_history(flipped, "turned over (y)")


def add_history(ds: xr.Dataset, line: str) -> xr.Dataset:
    """Return `ds` with one more line in its attribute ``history``."""
    past = str(ds.attrs.get("history", ""))
    return ds.assign_attrs(history=f"{past}\n{line}" if past else line)

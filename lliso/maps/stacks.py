"""Stacks of frames and lists of events that are larger than memory.

Everything here works block by block: what is in memory at one time is a few blocks of frames,
however long the measurement was.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.maps._drift_stack import frame_blocks
from lliso.maps.carried import ADDITIVE, SHOTS, UNKNOWN, drop_frames, known_part, steps_of
from lliso.maps.fraction import sum_frames
from lliso.schema import COUNTS, FRAME, Y, add_history, check_map, hash_of_bytes, make_map

if TYPE_CHECKING:
    import xarray as xr

#: bytes of raw counts in one block, unless told otherwise: corrected ones take many times that
_BLOCK_BYTES = 4 * 2**20
#: blocks that are computed together, so that several processors have work
_BATCH = 4


def group_frames(ds: xr.Dataset, n: int) -> xr.Dataset:
    """Add up every `n` consecutive frames, as if they had been counted in one.

    A single-stop correction needs many shots in a frame, an alignment enough counts; groups of
    frames have both, as long as the specimen moves little within a group.

    Parameters
    ----------
    ds : xarray.Dataset
        A stack of frames as counted. Frames at the end that do not fill a group are left out.
    n : int
        Frames per group.

    Returns
    -------
    xarray.Dataset
        Fewer frames; ``shots``, where the map has them, are added up too.

    Raises
    ------
    ValueError
        If there are fewer frames than `n`, or counts were corrected.

    Examples
    --------
    >>> m = make_map(np.ones((1, 6, 1, 2), int), ["7Li"], x=[0.0, 1.0], y=[0.0])
    >>> group_frames(m, 3).counts.values[0, :, 0, 0].tolist()
    [3, 3]
    """
    check_map(ds)
    frames = ds.sizes.get(FRAME, 1)
    if int(n) != n or not 1 <= n <= frames:
        raise ValueError(f"n must be a whole number from 1 to {frames} frames, got {n}")
    if steps_of(ds):
        raise ValueError(
            f"frames must be grouped as counted, got a map with the steps "
            f"{', '.join(steps_of(ds))}; group first"
        )
    used = ds.isel({FRAME: slice(0, frames // n * n)})
    with_frames = [k for k, v in used.data_vars.items() if FRAME in v.dims]
    grouped = used[with_frames].coarsen({FRAME: int(n)}).reduce(np.sum, keep_attrs=True)
    result = drop_frames(ds).assign({str(k): grouped[k] for k in with_frames})
    if SHOTS in ds and FRAME not in ds[SHOTS].dims:
        result[SHOTS] = ds[SHOTS] * int(n)
    if "shots_per_pixel" in ds.attrs:
        share = (frames // n * n) / frames
        result.attrs["shots_per_pixel"] = round(int(ds.attrs["shots_per_pixel"]) * share)
    return add_history(result, f"added every {n} frames; {frames % n} at the end left out")


def sum_stack(ds: xr.Dataset, *, progress: Callable[[str], None] | None = None) -> xr.Dataset:
    """Sum the frames of a stack into memory, block by block.

    The same figures as `lliso.maps.fraction.sum_frames`, computed here and now: with bounded
    memory, a line of progress after each batch of blocks, and nothing left behind when
    interrupted. The scheduler is dask's: threads, or a cluster if a client is connected.

    Parameters
    ----------
    ds : xarray.Dataset
        A stack of frames, lazy or not, corrected and aligned or not.
    progress : callable, optional
        Called with a line of text.

    Returns
    -------
    xarray.Dataset
        The map, in memory.
    """
    if FRAME not in ds.dims:
        return ds.load()
    n = ds.sizes[FRAME]
    blocks = frame_blocks(ds[COUNTS])
    # The attributes and all that has no frame; the counts are filled in below.
    template = sum_frames(ds.isel({FRAME: slice(0, 1)}))
    totals: dict[str, Any] = {}
    for at in range(0, len(blocks), _BATCH):
        batch = blocks[at : at + _BATCH]
        part = sum_frames(ds.isel({FRAME: slice(batch[0].start, batch[-1].stop)}))
        done = part[[k for k in (*ADDITIVE, SHOTS, UNKNOWN) if k in part]].load()
        for name, array in done.data_vars.items():
            if str(name) not in totals:
                totals[str(name)] = array.copy()
            elif name == UNKNOWN:
                totals[str(name)] = totals[str(name)] | array
            else:
                totals[str(name)] = totals[str(name)] + array
        if progress is not None:
            progress(f"sum: frame {batch[-1].stop} of {n}")
    arrays = {k: v.assign_attrs(template[k].attrs) for k, v in totals.items()}
    result = template.assign(arrays)
    result = result.assign(known_part(result)).load()
    history = str(ds.attrs.get("history", ""))
    return add_history(result.assign_attrs(history=history), f"summed {n} frames")


def open_stack(
    path: str | os.PathLike[str],
    species: Sequence[str],
    *,
    x: Any,
    y: Any,
    attrs: Mapping[str, Any] | None = None,
    frames_per_block: int | None = None,
) -> xr.Dataset:
    """Open a stack stored as a NumPy file (``.npy``) without reading it.

    Parameters
    ----------
    path : path
        File of an array (species, frame, y, x).
    species : sequence of str
        Labels of the species.
    x, y : array_like
        Pixel centres in µm.
    attrs : mapping, optional
        Attributes, see `lliso.make_map`.
    frames_per_block : int, optional
        Frames that are read together; default: about 4 MB of counts.

    Returns
    -------
    xarray.Dataset
        A lazy map; ``map_id`` is a hash of the file's name, size and shape, unless given.

    Raises
    ------
    ValueError
        If the array has not four dimensions, or its size does not match.
    """
    import dask.array as da

    path = Path(path)
    stored = np.load(path, mmap_mode="r")
    shape, kind = stored.shape, stored.dtype
    del stored
    if len(shape) != 4:
        raise ValueError(f"a stack must have (species, frame, y, x), got the shape {shape}")
    each = int(shape[0] * shape[2] * shape[3] * kind.itemsize)
    size = frames_per_block or max(1, min(shape[1], _BLOCK_BYTES // max(each, 1)))
    chunks = (shape[:1], _split(shape[1], size), shape[2:3], shape[3:4])
    from_blocks: Any = da.map_blocks
    counts = from_blocks(
        _read_block, str(path), chunks=chunks, dtype=kind, meta=np.empty((0,) * 4, kind)
    )
    known = dict(attrs or {})
    text = f"{path.name} {path.stat().st_size} {shape}"
    known.setdefault("map_id", hash_of_bytes(text.encode()))
    return make_map(counts, species, x=x, y=y, attrs=known)


def _split(n: int, size: int) -> tuple[int, ...]:
    return tuple(min(size, n - k) for k in range(0, n, size))


def _read_block(path: str, block_info: Any = None) -> Any:
    """Read one block; the file is let go of at once, so its pages do not pile up in memory."""
    where = block_info[None]["array-location"]
    stored = np.load(path, mmap_mode="r")
    return np.array(stored[tuple(slice(a, b) for a, b in where)])


def count_events(
    chunks: Iterable[Mapping[str, Any]],
    species: Sequence[str],
    *,
    x: Any,
    y: Any,
    frames: int,
    path: str | os.PathLike[str] | None = None,
    attrs: Mapping[str, Any] | None = None,
    progress: Callable[[str], None] | None = None,
) -> xr.Dataset:
    """Count a list of events into a stack of frames.

    Parameters
    ----------
    chunks : iterable of mapping
        Parts of the list, each with the columns ``x``, ``y`` (pixel indices), ``frame`` and
        ``species`` (index into `species`; negative: none of them), in any order.
    species : sequence of str
        Labels of the species.
    x, y : array_like
        Pixel centres in µm.
    frames : int
        Number of frames.
    path : path, optional
        NumPy file to write the stack to, for one that is larger than memory; it appears when all
        is counted, and is opened lazily. Default: in memory.
    attrs : mapping, optional
        Attributes, see `lliso.make_map`.
    progress : callable, optional
        Called with a line of text after each part.

    Returns
    -------
    xarray.Dataset
        A stack of frames, counts as uint16.

    Raises
    ------
    ValueError
        If an index lies outside the map, or a pixel of a frame holds more than 65,535 counts.

    Examples
    --------
    >>> events = [{"x": [0, 1, 1], "y": [0, 0, 0], "frame": [0, 0, 1], "species": [0, 1, 1]}]
    >>> m = count_events(events, ["6Li", "7Li"], x=[0.0, 1.0], y=[0.0], frames=2)
    >>> m.counts.values[:, :, 0].tolist()
    [[[1, 0], [0, 0]], [[0, 1], [0, 1]]]
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    shape = (len(species), int(frames), y.size, x.size)
    if path is None:
        counts = np.zeros(shape, np.uint16)
        _count_into(counts, chunks, progress)
        return make_map(counts, species, x=x, y=y, attrs=attrs)
    path = Path(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        stored = np.lib.format.open_memmap(aside, mode="w+", dtype=np.uint16, shape=shape)
        _count_into(stored, chunks, progress)
        stored.flush()
        del stored
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    return open_stack(path, species, x=x, y=y, attrs=attrs)


def _count_into(
    counts: Any, chunks: Iterable[Mapping[str, Any]], progress: Callable[[str], None] | None
) -> None:
    n_species, frames, ny, nx = counts.shape
    n_events = 0
    for chunk in chunks:
        columns = [np.asarray(chunk[k]) for k in ("species", "frame", Y, "x")]
        inside = columns[0] >= 0
        n_events += inside.size
        for name, column, n in zip(
            ("species", "frame", "y", "x"), columns, (n_species, frames, ny, nx), strict=True
        ):
            used = column[inside]
            if used.size and (used.min() < 0 or used.max() >= n):
                bad = used.min() if used.min() < 0 else used.max()
                raise ValueError(f"{name} of an event must be from 0 to {n - 1}, got {bad}")
        flat = np.ravel_multi_index(tuple(c[inside].astype(np.intp) for c in columns), counts.shape)
        pixels, times = np.unique(flat, return_counts=True)
        at = np.unravel_index(pixels, counts.shape)
        total = counts[at].astype(np.int64) + times
        if total.size and total.max() > np.iinfo(np.uint16).max:
            raise ValueError(
                f"a pixel of a frame must hold at most 65535 counts, got {total.max()}"
            )
        counts[at] = total
        if progress is not None:
            progress(f"events: {n_events}")

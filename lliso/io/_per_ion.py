"""Maps from files of one or a few ions each: which belong together, and their assembly."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.errors import FormatError
from lliso.io._reader import (
    MAX_COUNTS,
    UNSTATED_ORIENTATION,
    Options,
    hash_of_files,
    pixel_centres,
    read_line,
    stated_or_given,
)
from lliso.io.iontof_ascii import clean_ion
from lliso.schema import SPECIES, make_map

if TYPE_CHECKING:
    import xarray as xr

    from lliso._types import FloatArray

_ELEMENTS = (
    "He Li Be Ne Na Mg Al Si Cl Ar Ca Sc Ti Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Zr Nb Mo "
    "Tc Ru Rh Pd Ag Cd In Sn Sb Te Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta Re "
    "Os Ir Pt Au Hg Tl Pb Bi Th H B C N O F P S K V Y I W U"
).replace(" ", "|")
#: "7Li", "^6Li+", "12C_14N", at the end of a name and after a separator
_ION_AT_END = re.compile(rf"(?:^|[\s_.-])((?:\^?\d{{1,3}}(?:{_ELEMENTS})\d*[ _]?)+[+-]*)$")


@dataclass(frozen=True)
class Part:
    """What one file holds.

    Parameters
    ----------
    path : pathlib.Path
    data : bytes
        The file, for the `map_id`.
    counts : array, shape (species, [frame], y, x)
    labels : tuple of str
        Names of the species; empty where the file does not tell.
    pitch : tuple of float or None
        Pixel size (x, y) in µm that the file states.
    axes : tuple of arrays or None
        Pixel centres x and y in µm that the file states.
    corrected : str
        "yes" or "no" where the file says whether dead time was corrected, else "".
    orientation : str
    notes : tuple of str
        For the history.
    partial : bool
        True if something is missing.
    mass : array or None
        m/z of the species.
    """

    path: Path
    data: bytes
    counts: Any
    labels: tuple[str, ...] = ("",)
    pitch: tuple[float, float] | None = None
    axes: tuple[FloatArray, FloatArray] | None = None
    corrected: str = ""
    orientation: str = UNSTATED_ORIENTATION
    notes: tuple[str, ...] = ()
    partial: bool = False
    mass: FloatArray | None = None


def split_name(stem: str) -> tuple[str, str]:
    """Return the name of the sample and of the ion in the name of a file; "" for no ion.

    Examples
    --------
    >>> split_name("LLTO 59 h - Li+"), split_name("LLTO_59h_6Li"), split_name("12C_14N")
    (('LLTO 59 h', 'Li+'), ('LLTO_59h', '6Li'), ('', '12C_14N'))
    >>> split_name("LLTO 59 h")
    ('LLTO 59 h', '')
    """
    if " - " in stem:
        prefix, ion = stem.rsplit(" - ", 1)
        return prefix.strip(), ion.strip()
    found = _ION_AT_END.search(stem)
    if found is None:
        return stem, ""
    return stem[: found.start(1)].rstrip(" _.-"), found[1]


def label_of(path: Path) -> str:
    """Return the species that a file is named after, or its whole name."""
    ion = split_name(path.stem)[1]
    return (clean_ion(ion.replace(" ", "")) if ion else "") or path.stem


def family(path: Path, ours: Callable[[Path], bool]) -> list[Path]:
    """Return the files of one sample: those in a folder, or a file and its siblings.

    A file named after a sample and an ion is read together with the files of the same sample and
    ending beside it.
    """
    if path.is_file():
        prefix, ion = split_name(path.stem)
        if not ion:
            return [path]
        beside = (p for p in path.parent.iterdir() if p.suffix.lower() == path.suffix.lower())
        mates = [p for p in beside if p != path and split_name(p.stem)[0] == prefix]
        mates = [p for p in mates if split_name(p.stem)[1] and p.is_file() and ours(p)]
        return sorted([path, *mates], key=label_of)
    files = [p for p in sorted(path.iterdir()) if p.is_file() and ours(p)]
    samples = {split_name(p.stem)[0] for p in files if split_name(p.stem)[1]}
    unnamed = [p for p in files if not split_name(p.stem)[1]]
    if len(samples) > 1 or (samples and unnamed):
        found = ", ".join(repr(s) for s in [*sorted(samples), *(p.name for p in unnamed)][:6])
        raise FormatError(
            path,
            None,
            f"a folder must hold the images of exactly one sample, found: {found}. Give one of "
            "the files instead, or sort them into folders",
        )
    if not files:
        raise FormatError(path, None, "the folder holds no image of this format")
    return sorted(files, key=label_of)


def assemble(reader: str, path: Path, parts: Sequence[Part], options: Options) -> xr.Dataset:
    """Make one map of what the files hold.

    Raises
    ------
    FormatError
        If the files do not belong together, values are no counts, or the field of view is unknown.
    """
    species = _labels(path, parts)
    arrays = [np.asarray(p.counts) for p in parts]
    if any(p.partial for p in parts) and all(a.ndim == 4 for a in arrays):
        n = min(a.shape[1] for a in arrays)
        arrays = [a[:, :n] for a in arrays]
    _check_shapes(path, parts, arrays)
    corrected = _dead_time(path, parts)
    counts = np.concatenate([checked_counts(p.path, a, corrected) for p, a in _zip(parts, arrays)])
    x, y, size, note = _axes(path, parts, options, *counts.shape[:-3:-1])
    source = path.name
    notes = [n for p in parts for n in p.notes] + ([note] if note else [])
    what = f"{source} ({', '.join(species)})"
    ds = make_map(
        counts,
        species,
        x=x,
        y=y,
        attrs={
            "map_id": hash_of_files((p.path.name, p.data) for p in parts),
            "source": source,
            "dead_time_corrected": corrected or "unknown",
            "orientation": parts[0].orientation,
            "history": read_line(reader, what, size, "; ".join(dict.fromkeys(notes))),
            **({"partial": 1} if any(p.partial for p in parts) else {}),
        },
    )
    masses = [p.mass for p in parts if p.mass is not None]
    if len(masses) == len(parts):
        ds = ds.assign_coords(mass=(SPECIES, np.concatenate(masses), {"units": "m/z"}))
    return ds


def checked_counts(path: Path, counts: Any, corrected: str) -> Any:
    """Return counts as int32 if they are whole, after a look at every value.

    Numbers that are not whole are accepted only where the file says that dead time was corrected:
    otherwise they are no counts, and errors computed from them would be wrong.
    """
    values = np.asarray(counts)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        bad = int(values.size - np.count_nonzero(np.isfinite(values)))
        raise FormatError(
            path,
            None,
            f"counts must be finite, got {bad} NaN or infinite values of {values.size}; mark "
            "unknown pixels by 0 counts in every species",
        )
    low, high = float(values.min()), float(values.max())
    if low < 0:
        raise FormatError(
            path,
            None,
            f"counts must not be negative, got {low:g}; export without background subtraction",
        )
    if high > MAX_COUNTS:
        raise FormatError(
            path,
            None,
            f"a pixel must hold at most {MAX_COUNTS} counts, got {high:g}; the file is damaged or "
            "is not what it was taken for",
        )
    if values.dtype.kind == "f" and not np.array_equal(values, np.rint(values)):
        if corrected == "yes":
            return values.astype(np.float64)
        example = float(values[values != np.rint(values)][0])
        raise FormatError(
            path,
            None,
            f"counts must be whole numbers, got {example:g}; export counts, not rates, ratios or a "
            "smoothed or scaled picture. If these are counts corrected for dead time, build the "
            "map with lliso.make_map(..., attrs={'dead_time_corrected': 'yes'})",
        )
    return values.astype(np.int32)


def _zip(parts: Sequence[Part], arrays: Sequence[Any]) -> list[tuple[Part, Any]]:
    return list(zip(parts, arrays, strict=True))


def _labels(path: Path, parts: Sequence[Part]) -> list[str]:
    labels = [
        (p, label or (label_of(p.path) if len(p.labels) == 1 else f"channel {i + 1}"))
        for p in parts
        for i, label in enumerate(p.labels)
    ]
    names = [label for _, label in labels]
    for i, name in enumerate(names):
        if name in names[:i]:
            first, second = labels[names.index(name)][0].path.name, labels[i][0].path.name
            where = f"in {first!r}" if first == second else f"in {first!r} and {second!r}"
            raise FormatError(
                path, None, f"every image must be of another ion, got {name} twice, {where}"
            )
    return names


def _check_shapes(path: Path, parts: Sequence[Part], arrays: Sequence[Any]) -> None:
    if len({a.shape[1:] for a in arrays}) > 1:
        found = ", ".join(
            f"{p.path.name}: {' x '.join(map(str, a.shape[:0:-1]))}" for p, a in _zip(parts, arrays)
        )
        raise FormatError(
            path,
            None,
            f"the images of all ions must have the same size, got {found} (x, y, frames); export "
            "them with the same binning, or move those of another measurement elsewhere",
        )
    if min(arrays[0].shape[-2:]) < 2:
        ny, nx = arrays[0].shape[-2:]
        raise FormatError(
            path, None, f"an image must have at least 2 x 2 pixels, got {nx} x {ny} (x, y)"
        )


def _dead_time(path: Path, parts: Sequence[Part]) -> str:
    stated = {p.corrected for p in parts}
    if len(stated) > 1:
        raise FormatError(
            path, None, "dead time must be corrected in all images or in none; export them again"
        )
    return stated.pop()


def _axes(
    path: Path, parts: Sequence[Part], options: Options, nx: int, ny: int
) -> tuple[FloatArray, FloatArray, tuple[float, float], str]:
    """Return x, y, the field of view in µm and a note for the history."""
    axes = [p.axes for p in parts if p.axes is not None]
    for other in axes[1:]:
        if not all(np.array_equal(a, b) for a, b in zip(axes[0], other, strict=True)):
            raise FormatError(path, None, "the images must have the same x and y in all files")
    pitches = {p.pitch for p in parts if p.pitch is not None}
    if len(pitches) > 1:
        found = "; ".join(f"{a:g} x {b:g} um" for a, b in sorted(pitches))
        raise FormatError(path, None, f"the images must have one pixel size, they state {found}")
    own: tuple[float, float] | None = None
    if axes:
        pitch = [float((a[-1] - a[0]) / (a.size - 1)) for a in axes[0]]
        own = (pitch[0] * nx, pitch[1] * ny)
    elif pitches:
        pitch_x, pitch_y = pitches.pop()
        own = (pitch_x * nx, pitch_y * ny)
    size, note = stated_or_given(own, options.fov, nx, ny, path)
    if axes and options.fov is None:
        return axes[0][0], axes[0][1], size, note
    return pixel_centres(nx, size[0]), pixel_centres(ny, size[1]), size, note

"""Image ASCII of IONTOF SurfaceLab: one text file per ion, ``X Y counts`` in each line.

Header lines begin with ``#``; rows are ``X Y counts`` (one image) or ``X Y scan counts`` (frames),
pixels counted from 0, X fastest (any other order is accepted). The ion is the text after the last
`` - `` of the file name: ``sample - 7Li+.txt``. The files of one sample lie in one folder and make
one map. The layout is known from other programs that read it; no real file was at hand.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lliso.errors import FormatError, LlisoWarning
from lliso.io._iontof_image import Image, is_number, read_image
from lliso.io._reader import (
    UNSTATED_ORIENTATION,
    FieldOfView,
    Options,
    Reader,
    field_of_view,
    hash_of_files,
    pixel_centres,
    read_line,
    stated_or_given,
    whole_counts,
)
from lliso.schema import LI7, SPECIES, make_map

if TYPE_CHECKING:
    import xarray as xr

    from lliso._types import FloatArray

EXTENSIONS = (".txt", ".asc")
_SEPARATOR = " - "
#: beginnings of other IONTOF exports, which may lie beside the images
_OTHER_EXPORTS = (b"# Profile", b"#Data Point", b"# Binning", b"Channel\t", b"No.\t")


def clean_ion(name: str) -> str:
    """Return the species label for an ion name in SurfaceLab's spelling.

    ``^`` marks a mass number and ``_`` a subscript; SurfaceLab leaves the mass number of the most
    abundant isotope away, so that ``Li+`` is 7Li. The charge is dropped.

    Examples
    --------
    >>> [clean_ion(name) for name in ("^6Li+", "7Li+", "Li+", "^13CH_5N_2+", "total")]
    ['6Li', '7Li', '7Li', '13CH5N2', 'total']
    """
    label = re.sub(r"[+-]+$", "", name.strip()).replace("^", "").replace("_", "")
    return LI7 if label == "Li" else label


def sniff(head: bytes, path: Path) -> bool:
    """Return True for a text file whose first row is 3 or 4 numbers, or a folder of such files."""
    if path.is_dir():
        return any(_is_text_file(p) and sniff(_head(p), p) for p in path.iterdir())
    lines = head.removeprefix(b"\xef\xbb\xbf").splitlines()
    # The last line of the head may be cut anywhere; it counts only if it is all there is.
    for line in lines[: max(1, len(lines) - 1)] if len(head) >= _HEAD_BYTES else lines:
        text = line.strip()
        if text and not text.startswith(b"#"):
            return len(text.split()) in (3, 4) and all(is_number(t) for t in text.split()[:2])
    return False


_HEAD_BYTES = 4096


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _is_text_file(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in EXTENSIONS


def read(path: Path, options: Options) -> xr.Dataset:
    """Read the images of one sample.

    Parameters
    ----------
    path : pathlib.Path
        One of the files (its siblings ``sample - *.txt`` in the same folder are read with it), or
        a folder that holds the files of one sample.
    options : Options
        `fov` (µm) is needed if the header does not state it; if both are given and differ, `fov`
        is taken and the history says so. With `partial` the whole frames of a file that ends
        early are kept and the attribute ``partial`` is 1.

    Returns
    -------
    xarray.Dataset
        A map; the coordinate ``ion`` keeps the names as in the files.

    Raises
    ------
    FormatError
        If a file is damaged, the images do not belong together, or the field of view is unknown.
    """
    images = [read_image(p, options.partial) for p in _family(path)]
    ions = [_ion(image.path) for image in images]
    species = [clean_ion(ion) for ion in ions]
    _check_labels(path, images, species)
    counts, notes = _stack(path, images, species)
    ny, nx = counts.shape[-2:]
    fov, fov_note = _find_fov(path, images, options.fov, nx, ny)
    corrected = _dead_time(path, images, counts)
    if np.array_equal(counts, np.rint(counts)):
        counts = whole_counts(counts, path)
    source = path.name if path.is_dir() or len(images) == 1 else f"{_prefix(path)}{_SEPARATOR}*.txt"
    what = f"{source} ({', '.join(ions)})"
    note = "; ".join([*notes, fov_note] if fov_note else notes)
    ds = make_map(
        counts,
        species,
        x=pixel_centres(nx, fov[0]),
        y=pixel_centres(ny, fov[1]),
        attrs={
            "map_id": hash_of_files((i.path.name, i.data) for i in images),
            "instrument": "IONTOF",
            "source": source,
            "dead_time_corrected": corrected,
            "orientation": UNSTATED_ORIENTATION,
            "history": read_line(READER.name, what, fov, note),
            **({"partial": 1} if notes else {}),
        },
    )
    return ds.assign_coords(ion=(SPECIES, ions))


# --- which files belong together ---


def _prefix(path: Path) -> str:
    return path.stem.rsplit(_SEPARATOR, 1)[0]


def _ion(path: Path) -> str:
    return path.stem.rsplit(_SEPARATOR, 1)[1].strip()


def _family(path: Path) -> list[Path]:
    """Return the files of the sample that `path` is, or holds."""
    if path.is_dir():
        prefix = _only_family(path)
        folder = path
    else:
        if _SEPARATOR not in path.stem or not clean_ion(path.stem.rsplit(_SEPARATOR, 1)[1]):
            raise FormatError(
                path,
                None,
                "the name of an IONTOF image must end with ' - ' and the ion, such as "
                f"'sample - 7Li+.txt', got {path.name!r}; rename it",
            )
        prefix, folder = _prefix(path), path.parent
    files = [p for p in _named(folder) if _prefix(p) == prefix and not _is_other_export(p)]
    return sorted(files, key=lambda p: clean_ion(_ion(p)))


def _named(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if _is_text_file(p) and _SEPARATOR in p.stem)


def _is_other_export(path: Path) -> bool:
    return _head(path).startswith(_OTHER_EXPORTS)


def _only_family(folder: Path) -> str:
    families: dict[str, int] = {}
    for path in _named(folder):
        if not _is_other_export(path):
            families[_prefix(path)] = families.get(_prefix(path), 0) + 1
    if len(families) == 1:
        return next(iter(families))
    found = ", ".join(f"'{name}' ({n} files)" for name, n in families.items()) or "none"
    raise FormatError(
        folder,
        None,
        "a folder must hold the images of exactly one sample, named 'sample - ion.txt'; found: "
        f"{found}. Give one of the files instead, or sort them into folders",
    )


# --- all files together ---


def _check_labels(path: Path, images: list[Image], species: list[str]) -> None:
    for i, label in enumerate(species):
        if label in species[:i]:
            both = f"'{images[species.index(label)].path.name}' and '{images[i].path.name}'"
            raise FormatError(
                path,
                None,
                f"the files {both} must be of different ions, both are {label}; move one elsewhere",
            )


def _stack(path: Path, images: list[Image], species: list[str]) -> tuple[FloatArray, list[str]]:
    notes = [image.note for image in images if image.note]
    arrays = [image.counts for image in images]
    if notes:
        n = min(len(a) for a in arrays)
        arrays = [a[:n] for a in arrays]
    if len({a.shape for a in arrays}) > 1:
        found = ", ".join(
            f"{s}: {' x '.join(map(str, a.shape[::-1]))}"
            for s, a in zip(species, arrays, strict=True)
        )
        raise FormatError(
            path,
            None,
            f"the images of all ions must have the same size, got {found} (X x Y); export them "
            "with the same binning, or move those of another measurement elsewhere",
        )
    return np.stack(arrays), notes


def _find_fov(
    path: Path, images: list[Image], fov: FieldOfView | None, nx: int, ny: int
) -> tuple[tuple[float, float], str]:
    stated = {image.fov for image in images if image.fov is not None}
    if len(stated) > 1:
        found = "; ".join(" x ".join(f"{v:g}" for v in s) + " um" for s in sorted(stated))
        raise FormatError(
            path, None, f"the images must be of one field of view, their headers state {found}"
        )
    header = next(iter(stated), None)
    if header is None:
        return field_of_view(fov, nx, ny, path), ""
    if len(header) == 1 and nx != ny and fov is None:
        raise FormatError(
            path,
            None,
            f"the header states one length ({header[0]:g} um) for an image of {nx} x {ny} pixels; "
            "pass fov=(x, y) in um",
        )
    return stated_or_given((header[0], header[-1]), fov, nx, ny, path, source="header")


def _dead_time(path: Path, images: list[Image], counts: FloatArray) -> str:
    """Say whether counts are corrected already: by the header, else by being whole or not."""
    stated = {image.corrected for image in images if image.corrected}
    whole = np.array_equal(counts, np.rint(counts))
    if len(stated) > 1:
        raise FormatError(
            path, None, "dead time must be corrected in all images or in none; export them again"
        )
    if stated == {"no"} and not whole:
        raise FormatError(
            path,
            None,
            "counts must be whole numbers where the header says that dead time is not corrected; "
            "export without smoothing and normalisation",
        )
    if not stated and not whole:
        warnings.warn(
            f"{path.name}: counts are not whole numbers, so they are taken as corrected for dead "
            "time already; if the export was normalised or smoothed, errors will be wrong",
            LlisoWarning,
            stacklevel=4,
        )
        return "yes"
    return next(iter(stated), "unknown")


READER = Reader(
    name="iontof-ascii",
    description="IONTOF image ASCII, 'sample - ion.txt', one file per ion or a folder of them",
    extensions=EXTENSIONS,
    sniff=sniff,
    read=read,
    seen=False,
    folders=True,
)

"""HDF5 with care: the library trusts its files, lliso does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from lliso.errors import FormatError

MAGIC = b"\x89HDF\r\n\x1a\n"
#: processor time that a walk may take at first; none in order took a tenth. By the clock it may
#: take `_PATIENCE` times that: on a busy machine a walk waits, and a good file must not be refused.
WALK_SECONDS = 10.0
_PATIENCE = 12.0
#: what goes wrong with an error, goes wrong again in the process that reads, and is told there
_WALK = """
import sys
try:
    import resource
    limit = int(float(sys.argv[2])) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
except (ImportError, ValueError):
    pass  # Windows; a stricter limit is set already: the clock alone
import h5py

def look(name, item):
    list(item.attrs.items())
    if isinstance(item, h5py.Dataset):
        [len(dimension) for dimension in item.dims]
        item.id.get_storage_size()
        if item.chunks:
            item.id.get_num_chunks()

with h5py.File(sys.argv[1], "r") as file:
    list(file.attrs.items())
    file.visititems(look)
"""
#: signals of a process whose processor time is used up (the hard limit may come as SIGKILL)
_OUT_OF_TIME = (9, 24)
_NO_VALUES = b"This is a netCDF dimension but not a netCDF variable"


def end(path: Path) -> int:
    """Return where HDF5 ends by its own account (superblock), 0 if it does not say.

    HDF5 File Format Specification 3.0, section II.A.
    """
    with path.open("rb") as file:
        head = file.read(48)
    if len(head) < 48 or not head.startswith(MAGIC):
        return 0
    at = {0: 40, 1: 44, 2: 28, 3: 28}.get(head[8], 0)
    return int.from_bytes(head[at : at + 8], "little") if 0 < at <= 40 else 0


def check_walk(path: Path) -> None:
    """Refuse a file in whose tables the HDF5 library would lose its way, or its life.

    A damaged file can make the library run in a circle, or crash, and Python can neither interrupt
    nor catch that. So a process of its own walks through everything but the values first. That
    costs the start of a Python, and is for files that no checksum vouches for.
    """
    size = path.stat().st_size
    if end(path) > size:
        raise FormatError(
            path, size, f"the file must have {end(path)} bytes, got {size}: it ends early; copy it"
        )
    limit = WALK_SECONDS + size / 1e8
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _WALK, str(path), f"{limit:.1f}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit * _PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as err:
        raise _lost(path, limit) from err
    except OSError:  # no Python to start: then without
        return
    if -done.returncode in _OUT_OF_TIME:
        raise _lost(path, limit)
    if done.returncode < 0:
        raise FormatError(
            path, None, "the HDF5 library crashes on the file: it is damaged; copy it again"
        )


def _lost(path: Path, limit: float) -> FormatError:
    return FormatError(
        path,
        None,
        f"the HDF5 library did not find its way through the file within {limit:.0f} s: it is "
        "damaged; copy it again",
    )


def check_sizes(path: Path, most: int) -> None:
    """Refuse a file whose header claims more data than its bytes can hold.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    most : int
        By how much the compression in use can shrink data at most.
    """
    import h5py

    size = path.stat().st_size
    with h5py.File(path, "r") as file:

        def check(name: str, item: Any) -> None:
            if not isinstance(item, h5py.Dataset) or h5py.check_vlen_dtype(item.dtype):
                return
            if np.bytes_(item.attrs.get("NAME", b"")).startswith(_NO_VALUES):
                return  # the size of a dimension, without values
            claimed = int(item.size or 0) * item.dtype.itemsize
            stored = int(item.id.get_storage_size())
            if stored > size or claimed > most * stored + 4096:
                raise FormatError(
                    path,
                    None,
                    f"variable '{name}' claims {claimed} bytes but {stored} are stored: the file "
                    "is damaged; copy it again",
                )

        file.visititems(check)


def damaged(path: Path, err: Exception) -> FormatError:
    """Return the error for whatever HDF5 raised: a damaged file can raise anything."""
    text = (str(err).strip().splitlines() or [type(err).__name__])[0][:120]
    return FormatError(path, None, f"the file is damaged or cut short ({text}); copy it again")

"""What fuzzing found in HDF5 files of other programs (``scripts/fuzz_stores.py``) stays mended.

The files are small maps with a few bytes changed in tables that have no checksum. HDF5 reads each
of them without an error, or does not come back at all.
"""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

from lliso.errors import FormatError
from lliso.io import _hdf5, read_map
from lliso.schema import make_map

DAMAGED = Path(__file__).parent / "damaged"
#: the script that the fixture `fuzz` loads
FUZZER = "fuzz_stores"


def _values(path):
    with h5py.File(path, "r") as file:
        return file["counts"][()]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("chunk_not_unpacked", "must all be there, got"),  # a flag says: not compressed
        ("chunk_elsewhere", "must all be there, got"),  # not where the grid of chunks has it
        ("chunk_not_found", "chunk storage is not allocated"),  # listed, and not found by its place
    ],
)
def test_chunks_that_hdf5_reads_as_zeros_or_as_they_are(name, message):
    path = DAMAGED / f"hdf5_{name}.nc"
    true = np.arange(24, dtype="i4").reshape(2, 3, 4) * 37 % 101
    wrong = _values(path)
    assert (wrong != np.stack([true, true + 1], axis=1)).any()
    with pytest.raises(FormatError, match=message):
        read_map(path)


def test_a_chunk_larger_than_its_place_is_refused_before_hdf5_reads_it():
    """HDF5 would write 2,096 bytes into memory for 48; in a process of its own, it may die."""
    code = (
        "import sys, lliso.io as i\ntry: i.read_map(sys.argv[1])\nexcept ValueError as e: print(e)"
    )
    path = DAMAGED / "hdf5_chunk_too_large.nc"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "got a chunk of 2096 bytes for 48" in done.stdout


def test_the_walk_goes_on_after_an_error(monkeypatch):
    """What fails first may be nothing that the reader needs, and what comes after may hang."""
    monkeypatch.setattr(_hdf5, "WALK_SECONDS", 2.0)
    with pytest.raises(FormatError, match="did not find its way through the file"):
        read_map(DAMAGED / "hdf5_never_ends_after_an_error.nc")


def test_references_into_the_file_are_no_attributes():
    """A damaged name of HDF5's own bookkeeping made its references an attribute of the map."""
    ds = read_map(DAMAGED / "hdf5_references_as_attribute.nc")
    xr.testing.assert_identical(ds.copy(deep=True), ds)
    for attrs in (ds.attrs, *(v.attrs for v in ds.variables.values())):
        assert all(isinstance(value, (str, int, float)) for value in attrs.values())


@pytest.mark.parametrize(
    "encoding",
    [
        {},
        {"chunksizes": (1, 2, 3)},
        {"chunksizes": (2, 2, 4), "zlib": True, "shuffle": True, "fletcher32": True},
        {"chunksizes": (1, 3, 4), "shuffle": True, "fletcher32": True},
    ],
)
@pytest.mark.parametrize("noise", [False, True])
def test_files_in_order_are_read(tmp_path, encoding, noise):
    """Chunks at the rim, and those that compression does not shrink, are as they should be."""
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 2**31 - 1, (2, 3, 4)) if noise else np.zeros((2, 3, 4))
    ds = make_map(counts.astype("i4"), ["6Li", "7Li"], x=np.arange(4.0), y=np.arange(3.0))
    path = tmp_path / "other.nc"
    ds.to_netcdf(path, engine="h5netcdf", encoding={"counts": encoding})
    xr.testing.assert_identical(read_map(path), ds)


def test_a_file_that_was_never_finished_is_refused(tmp_path):
    path = tmp_path / "other.nc"
    ds = make_map(np.ones((2, 3, 4), "i4"), ["6Li", "7Li"], x=np.arange(4.0), y=np.arange(3.0))
    ds.to_netcdf(path, engine="h5netcdf", encoding={"counts": {"chunksizes": (1, 3, 4)}})
    with h5py.File(path, "r+") as file:
        scales = [axis[0] for axis in file["counts"].dims]
        del file["counts"]
        half = file.create_dataset("counts", (2, 3, 4), "i4", chunks=(1, 3, 4))
        half[0] = 1
        for axis, scale in zip(half.dims, scales, strict=True):
            axis.attach_scale(scale)
    with pytest.raises(FormatError, match="must all be there, got 1 chunks for 2"):
        read_map(path)


def test_a_silent_change_would_be_seen(fuzz, tmp_path, monkeypatch):
    """The fuzzer's own check can fail: a reader that adds an ion is caught."""
    seed = next(iter(fuzz.TARGETS["hdf5"][2](tmp_path)))
    path = tmp_path / "map.nc"
    fuzz.written(seed.files, path)
    seed.expected = read_map(path)
    assert fuzz.judged(path, "netcdf", seed, seed.files)[0] == "same"
    real = fuzz.read_map

    def wrong(*args, **options):
        ds = real(*args, **options)
        ds.counts[0, 0, 0] += 1
        return ds

    monkeypatch.setattr(fuzz, "read_map", wrong)
    assert fuzz.judged(path, "netcdf", seed, seed.files)[0] == "silent"

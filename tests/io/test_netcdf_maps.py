import os
import random
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lliso.errors import FormatError
from lliso.io import _hdf5, read_map, write_map
from lliso.io._hdf5 import end
from lliso.schema import make_map

NEVER_ENDS = Path(__file__).parent / "damaged" / "hdf5_never_ends.nc"


def _map(dtype="int32", frames=None, **attrs):
    shape = (2, 5, 7) if frames is None else (2, frames, 5, 7)
    counts = (np.arange(np.prod(shape)).reshape(shape) * 3 % 251).astype(dtype)
    facts = {"stage": "59 h", "simulated": 1, "note": "µm, °C, 6Li/7Li", "blur": 0.1, **attrs}
    return make_map(
        counts,
        ["6Li", "7Li"],
        x=np.arange(7) * 0.1,
        y=np.arange(5) * 0.3 + 100,
        attrs=facts,
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("nc") / "map.nc"
    write_map(_map(), path)
    return path.read_bytes()


@pytest.mark.parametrize(
    "dtype", ["uint8", "uint16", ">u2", "int32", "uint32", "int64", "float32", "float64"]
)
@pytest.mark.parametrize("frames", [None, 3])
def test_round_trip_is_lossless(tmp_path, dtype, frames):
    ds = _map(dtype, frames)
    back = read_map(write_map(ds, tmp_path / "map.nc"))
    xr.testing.assert_identical(back, ds)
    assert back.counts.dtype == np.dtype(dtype).newbyteorder("=")
    assert back.species.dtype.kind == "U"
    assert {k: type(v) for k, v in back.attrs.items()} == {k: type(v) for k, v in ds.attrs.items()}


def test_round_trip_of_everything_beside_the_counts(tmp_path):
    ds = _map().assign_coords(
        dead_time=("species", [1.1e-8, 2.0e-8], {"units": "s"}), ion=("species", ["^6Li+", "Li+"])
    )
    ds = ds.assign(
        variance=(ds.counts.dims, ds.counts.values * 1.5),
        shots=((), 1234),
        mask=(("y", "x"), ds.counts.values[0] > 5),
    )
    back = read_map(write_map(ds, tmp_path / "map.nc"))
    xr.testing.assert_identical(back, ds)
    assert back.dead_time.dtype == np.float64
    assert back.mask.dtype == bool


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9_ ]{0,10}[a-z]", fullmatch=True),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50)
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False),
        max_size=4,
    )
)
def test_any_plain_attribute_survives(tmp_path, attrs):
    ds = _map().assign_attrs(attrs)
    back = read_map(write_map(ds, tmp_path / "map.nc"))
    assert back.attrs == ds.attrs


@pytest.mark.parametrize("value", [True, None, [1, 2], {"a": 1}, np.arange(3), b"x"])
def test_attributes_must_be_plain(tmp_path, value):
    with pytest.raises(TypeError, match="attribute 'odd' of the map must be a plain string or num"):
        write_map(_map().assign_attrs(odd=value), tmp_path / "map.nc")
    assert list(tmp_path.iterdir()) == []


def test_reading_leaves_no_trace_of_the_file_but_its_path(tmp_path):
    ds = read_map(write_map(_map(), tmp_path / "map.nc"))
    (tmp_path / "map.nc").unlink()
    assert ds.encoding == {"source": str(tmp_path / "map.nc")}
    assert ds.counts.encoding == {}
    assert ds.attrs == _map().attrs


def test_chunks_read_nothing_until_needed(tmp_path):
    pytest.importorskip("dask.array")
    ds = _map()
    lazy = read_map(write_map(ds, tmp_path / "map.nc"), chunks={"y": 2})
    assert lazy.counts.chunks is not None
    xr.testing.assert_identical(lazy.compute(), ds)
    lazy.close()


def test_lazy_maps_are_written(tmp_path):
    pytest.importorskip("dask.array")
    ds = _map()
    xr.testing.assert_identical(read_map(write_map(ds.chunk(y=2), tmp_path / "map.nc")), ds)


def test_writing_replaces_or_leaves_alone(tmp_path, monkeypatch):
    path = write_map(_map(), tmp_path / "map.nc")
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        write_map(_map(note="new"), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["map.nc"]
    monkeypatch.undo()
    write_map(_map(note="new"), path)
    assert read_map(path).attrs["note"] == "new"


def test_writing_refuses_what_is_no_map_or_no_place(tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.nc or \.zarr, got 'map\.tif'"):
        write_map(_map(), tmp_path / "map.tif")
    with pytest.raises(FileNotFoundError, match=r"must exist before map.nc is written"):
        write_map(_map(), tmp_path / "none" / "map.nc")
    with pytest.raises(ValueError, match="needs the variable 'counts'"):
        write_map(_map().drop_vars("counts"), tmp_path / "map.nc")


def test_foreign_netcdf_says_what_is_missing(tmp_path):
    path = tmp_path / "other.nc"
    xr.Dataset({"counts_6Li": (("y", "x"), np.ones((2, 3)))}).to_netcdf(path, engine="h5netcdf")
    with pytest.raises(FormatError, match=r"not a map .*'counts', found the variables: counts_6Li"):
        read_map(path)


def test_foreign_map_gets_the_attributes_it_lacks(tmp_path):
    path = tmp_path / "other.nc"
    bare = xr.Dataset(
        {"counts": (("species", "y", "x"), np.ones((1, 2, 3), "i2"))},
        coords={"species": ["7Li"], "x": [0.0, 1, 2], "y": [0.0, 1]},
    )
    bare.to_netcdf(path, engine="h5netcdf")
    ds = read_map(path)
    assert len(ds.attrs["map_id"]) == 12
    assert ds.attrs["source"] == "other.nc"
    assert "attributes filled" in ds.attrs["history"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ds: ds.drop_vars("x"), "needs the coordinate 'x'"),
        (lambda ds: ds.transpose("y", "x", "species"), r"use .transpose\(...\)"),
        (lambda ds: ds.assign(counts=ds.counts.astype(float).where(ds.x > 0.1)), "14 NaN|20 NaN"),
        (lambda ds: ds.assign(counts=ds.counts - 1), "not be negative, got -1"),
    ],
)
def test_maps_that_are_wrong_inside(tmp_path, change, message):
    path = tmp_path / "wrong.nc"
    change(_map()).to_netcdf(path, engine="h5netcdf")
    with pytest.raises(FormatError, match=message):
        read_map(path)


def test_classic_netcdf_is_told_how_to_convert(tmp_path):
    path = tmp_path / "classic.nc"
    path.write_bytes(b"CDF\x01" + bytes(100))
    with pytest.raises(FormatError, match=r"version 3.*nccopy -4"):
        read_map(path)


def test_field_of_view_is_refused(tmp_path):
    with pytest.raises(ValueError, match="fov must not be given for a netCDF map"):
        read_map(write_map(_map(), tmp_path / "map.nc"), fov=500)


def test_edited_by_another_program_it_is_read_as_it_is_now(tmp_path):
    path = write_map(_map(), tmp_path / "map.nc")
    with h5py.File(path, "r+") as file:
        file["counts"][0, 0, 0] += 1
    assert b"lliso crc32" not in path.read_bytes()
    assert read_map(path).counts[0, 0, 0] == _map().counts[0, 0, 0] + 1


def test_a_header_that_claims_more_than_is_stored(tmp_path):
    path = tmp_path / "bomb.nc"
    with h5py.File(path, "w") as file:
        file.create_dataset("counts", shape=(2, 10**6, 10**6), dtype="i4", chunks=(1, 100, 100))
    with pytest.raises(FormatError, match="claims 8000000000000 bytes but 0 are stored"):
        read_map(path)


def test_truncated(tmp_path, written):
    path = tmp_path / "map.nc"
    end = written.index(b"\nlliso crc32")
    rng = random.Random(1)
    for size in {1, 7, 8, 48, 96, end - 1, *(rng.randrange(end) for _ in range(40))}:
        path.write_bytes(written[:size])
        with pytest.raises(FormatError):
            read_map(path)
    for size in range(end + 1, len(written)):  # only the seal is cut
        path.write_bytes(written[:size])
        with pytest.raises(FormatError, match="its bytes are not those that lliso wrote"):
            read_map(path)


def test_flipped_bytes_are_refused(tmp_path, written):
    path = tmp_path / "map.nc"
    rng = random.Random(2)
    seal = range(written.index(b"\nlliso crc32"), len(written))
    for at in [*seal, *(rng.randrange(len(written)) for _ in range(250))]:
        data = bytearray(written)
        data[at] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        with pytest.raises(FormatError):
            read_map(path)


def test_every_byte_is_under_the_seal(tmp_path, written):
    path = tmp_path / "map.nc"
    end = written.index(b"\nlliso crc32")
    for at in range(8, end, 97):
        path.write_bytes(written[:at] + bytes([written[at] ^ 1]) + written[at + 1 :])
        with pytest.raises(FormatError, match="its bytes are not those that lliso wrote"):
            read_map(path)


@pytest.mark.parametrize("extra", [b"\n", b"more", bytes(100)])
def test_extra_bytes_are_refused(tmp_path, written, extra):
    path = tmp_path / "map.nc"
    for begin in (written, written[: written.index(b"\nlliso crc32")]):
        path.write_bytes(begin + extra)
        with pytest.raises(FormatError, match="its bytes are not those that lliso wrote"):
            read_map(path)


@pytest.mark.parametrize("libver", ["earliest", "v108", "latest"])
def test_where_hdf5_ends_by_its_own_account(tmp_path, libver):
    path = tmp_path / "other.h5"
    with h5py.File(path, "w", libver=libver) as file:
        file["counts"] = np.arange(1000)
    assert end(path) == path.stat().st_size


def test_a_file_without_a_seal_is_read(tmp_path):
    path = tmp_path / "other.nc"
    _map().to_netcdf(path, engine="h5netcdf")
    assert b"lliso crc32" not in path.read_bytes()
    xr.testing.assert_identical(read_map(path), _map())


@pytest.mark.parametrize("options", [{}, {"chunks": {}}])
def test_a_file_in_which_hdf5_never_ends(monkeypatch, options):
    """With HDF5 2.0 (h5py 3.16) counting the scales of a dimension runs for ever in this file."""
    monkeypatch.setattr(_hdf5, "WALK_SECONDS", 2.0)
    with pytest.raises(FormatError, match=r"did not find its way through the file|is damaged"):
        read_map(NEVER_ENDS, **options)


def test_a_file_that_would_crash_python(tmp_path, monkeypatch):
    path = tmp_path / "other.nc"
    _map().to_netcdf(path, engine="h5netcdf")
    monkeypatch.setattr(_hdf5, "_WALK", "import os; os.abort()")
    with pytest.raises(FormatError, match="the HDF5 library crashes on the file"):
        read_map(path)


def test_without_a_python_to_start_the_file_is_read(tmp_path, monkeypatch):
    path = tmp_path / "other.nc"
    _map().to_netcdf(path, engine="h5netcdf")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    xr.testing.assert_identical(read_map(path), _map())


def test_files_of_lliso_are_read_without_a_second_process(tmp_path, written, monkeypatch):
    path = tmp_path / "map.nc"
    path.write_bytes(written)
    monkeypatch.setattr(_hdf5, "check_walk", None)
    xr.testing.assert_identical(read_map(path), _map())

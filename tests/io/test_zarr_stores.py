import json
import random
import re
import shutil
import struct
import sys

import dask.array
import numpy as np
import pytest
import xarray as xr

from lliso.errors import FormatError, LlisoWarning
from lliso.io import convert, describe, read_map, write_map
from lliso.schema import make_map

zarr = pytest.importorskip("zarr")
numcodecs = pytest.importorskip("numcodecs")


def _map(frames=None, dtype="i4"):
    shape = (2, 5, 7) if frames is None else (2, frames, 5, 7)
    counts = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    attrs = {"stage": "59 h", "simulated": 1, "dose": 0.5, "history": "made\nby a test"}
    ds = make_map(counts, ["6Li", "7Li"], x=np.arange(7) * 0.5, y=np.arange(5.0), attrs=attrs)
    return ds.assign_coords(dead_time=("species", [36.0, np.nan], {"units": "ns"}))


@pytest.fixture
def store(tmp_path):
    return write_map(_map(), tmp_path / "map.zarr")


def _files(store):
    return sorted(f for f in store.rglob("*") if f.is_file())


def _bare(store):
    """Take away what lliso adds to a plain store of zarr."""
    (store / "lliso.seal").unlink()
    (store / ".zmetadata").unlink()


@pytest.mark.parametrize("frames", [None, 3])
@pytest.mark.parametrize("dtype", ["u1", "i4", "f8"])
def test_round_trip_is_lossless(tmp_path, frames, dtype):
    ds = _map(frames, dtype)
    ds.counts[..., 0] = 0  # what zarr takes for missing values if one lets it
    back = read_map(write_map(ds, tmp_path / "map.zarr"))
    xr.testing.assert_identical(back, ds)
    assert back.counts.dtype == np.dtype(dtype)
    assert "simulated            yes" in describe(tmp_path / "map.zarr")


def test_the_same_as_netcdf(tmp_path, store):
    xr.testing.assert_identical(read_map(convert(store, tmp_path / "map.nc")), _map())
    xr.testing.assert_identical(
        read_map(convert(tmp_path / "map.nc", tmp_path / "again.zarr")), _map()
    )


def test_lazy_counts_stay_lazy_on_both_ways(tmp_path):
    ds = _map(4)
    lazy = ds.chunk(frame=1)
    path = write_map(lazy, tmp_path / "map.zarr")
    assert isinstance(lazy.counts.data, dask.array.Array)
    back = read_map(path, chunks={"frame": 1})
    assert isinstance(back.counts.data, dask.array.Array)
    assert back.counts.chunks[1] == (1, 1, 1, 1)
    xr.testing.assert_identical(back.compute(), ds)


def test_a_store_is_replaced_and_nothing_else_is(tmp_path, store):
    write_map(_map(2), store)
    assert read_map(store).sizes["frame"] == 2
    assert [p.name for p in tmp_path.iterdir()] == ["map.zarr"]
    other = tmp_path / "photos.zarr"
    other.mkdir()
    (other / "me.jpg").write_bytes(b"1")
    with pytest.raises(ValueError, match="must replace nothing but another one"):
        write_map(_map(), other)
    assert (other / "me.jpg").exists()


def test_every_file_is_under_the_seal(store):
    for file in _files(store):
        data = file.read_bytes()
        for damaged in (data[:-1], data + b" ", bytes([data[0] ^ 1]) + data[1:], b"", None):
            file.unlink()
            if damaged is not None:
                file.write_bytes(damaged)
            lost = damaged is None and file.name in ("lliso.seal", ".zgroup")
            if lost and file.name == "lliso.seal":
                read_map(store)  # then it is as a store of another program
            else:
                with pytest.raises(FormatError):
                    read_map(store)
            file.write_bytes(data)
    xr.testing.assert_identical(read_map(store), _map())


def test_a_file_too_many(store):
    (store / "counts" / "9.9.9").write_bytes(b"1")
    with pytest.raises(FormatError, match=r"not those that lliso wrote \(counts/9\.9\.9\)"):
        read_map(store)


@pytest.mark.parametrize("version", [2, 3])
def test_stores_of_other_programs(tmp_path, version):
    path = tmp_path / "other.zarr"
    group = zarr.open_group(str(path), mode="w", zarr_format=version)
    dims = {"counts": ["species", "y", "x"], "species": ["species"], "y": ["y"], "x": ["x"]}
    values = {
        "counts": np.array([[[0, 5]], [[7, 0]]]),
        "species": np.array([6, 7]),
        "y": np.array([0.5]),
        "x": np.array([0.0, 1.0]),
    }
    for name, value in values.items():
        more = {"dimension_names": dims[name]} if version == 3 else {}
        array = group.create_array(name, data=value, fill_value=0, **more)
        array.attrs["_ARRAY_DIMENSIONS"] = dims[name]
    ds = read_map(path)
    np.testing.assert_array_equal(ds.counts, values["counts"])
    assert len(ds.attrs["map_id"]) == 12
    assert "read other.zarr as zarr" in ds.attrs["history"]


def test_chunks_that_are_not_there_are_said(tmp_path):
    path = write_map(_map().chunk(species=1), tmp_path / "map.zarr")
    (path / "lliso.seal").unlink()
    (path / "counts" / "1.0.0").unlink()
    with pytest.warns(LlisoWarning, match="1 chunks of the counts are not in the store"):
        ds = read_map(path)
    assert "read as zeros" in ds.attrs["history"]


def test_damage_without_a_seal_is_refused_or_a_map(store):
    (store / "lliso.seal").unlink()
    rng = random.Random(6)
    files = _files(store)
    for _ in range(150):
        file = rng.choice(files)
        data = file.read_bytes()
        damaged = bytearray(data)
        damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        file.write_bytes(damaged[: rng.choice([len(data), rng.randrange(len(data))])])
        try:
            read_map(store)
        except FormatError:
            pass
        finally:
            file.write_bytes(data)


def test_a_header_that_claims_more_than_is_stored(store):
    _bare(store)
    header = store / "counts" / ".zarray"
    text = json.loads(header.read_text())
    header.write_text(json.dumps({**text, "shape": [2, 10**7, 10**7]}))
    with pytest.raises(FormatError, match="claims 800000000000000 bytes"):
        read_map(store)


def test_a_header_that_claims_chunks_that_are_not_there(store):
    _bare(store)
    header = store / "counts" / ".zarray"
    text = json.loads(header.read_text())
    shape, chunks = [2, 65_535, text["shape"][-1]], [1, 1, text["shape"][-1]]
    header.write_text(json.dumps({**text, "shape": shape, "chunks": chunks}))
    with pytest.raises(FormatError, match="claims 131070 chunks"):
        read_map(store)


@pytest.mark.filterwarnings("ignore:The data type")  # texts in zarr 3, of fixed length
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_blosc_is_not_asked_for_more_than_a_file_holds(store, tmp_path, zarr_format):
    """Its library reads on behind the end of a chunk that was cut: other numbers each time."""
    ds = _map()
    for variable in ds.variables.values():
        variable.encoding.clear()
    path = tmp_path / "blosc.zarr"
    codec = numcodecs.Blosc() if zarr_format == 2 else zarr.codecs.BloscCodec()
    packed = {n: {"compressors": codec} for n in ("counts", "x", "y")}
    ds.to_zarr(path, zarr_format=zarr_format, encoding=packed, consolidated=False)
    np.testing.assert_array_equal(read_map(path).counts, ds.counts)
    chunk = next(f for f in (path / "x").rglob("0") if f.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-5])
    with pytest.raises(FormatError, match="a chunk of 'x' has"):
        read_map(path)


@pytest.mark.filterwarnings("ignore:The data type")
@pytest.mark.parametrize("index_location", ["start", "end"])
def test_chunks_within_shards_are_measured_too(tmp_path, index_location):
    ds = _map()
    for variable in ds.variables.values():
        variable.encoding.clear()
    ds["counts"][0, :2, :2] = 0  # a chunk that is left out
    path = tmp_path / "shards.zarr"
    ds.drop_vars("counts").to_zarr(path, zarr_format=3, consolidated=False)
    shape = ds.counts.shape
    array = zarr.open_group(path).create_array(
        "counts",
        shape=shape,
        chunks=(1, 2, 2),
        shards={"shape": (1, 4, 4), "index_location": index_location},
        dtype=ds.counts.dtype,
        compressors=zarr.codecs.BloscCodec(),
        dimension_names=ds.counts.dims,
        attributes=ds.counts.attrs,
    )
    array[:] = ds.counts.values
    np.testing.assert_array_equal(read_map(path).counts, ds.counts)

    shard = next(f for f in (path / "counts").rglob("0") if f.is_file())
    whole = shard.read_bytes()
    count = array.shards[1] // 2 * (array.shards[2] // 2)
    table_at = 0 if index_location == "start" else len(whole) - 16 * count - 4
    table = list(struct.iter_unpack("<2Q", whole[table_at : table_at + 16 * count]))
    offset, length = next(part for part in table if part[0] != 2**64 - 1)
    assert any(part[0] == 2**64 - 1 for part in table)
    for promised in (length - 1, length + 900, 2**31):  # Blosc's own count of its bytes
        damaged = bytearray(whole)
        struct.pack_into("<I", damaged, offset + 12, promised)
        shard.write_bytes(damaged)
        with pytest.raises(FormatError, match=f"a chunk of 'counts' has {length} bytes"):
            read_map(path)
    shard.write_bytes(whole[: 16 * count])
    with pytest.raises(FormatError, match="a shard of 'counts' has"):
        read_map(path)
    damaged = bytearray(whole)
    struct.pack_into("<Q", damaged, table_at + 16 * table.index((offset, length)), 10**9)
    shard.write_bytes(damaged)
    with pytest.raises(FormatError, match="a shard of 'counts' has a part at 1000000000"):
        read_map(path)


@pytest.mark.filterwarnings("ignore:The data type")
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_a_lost_chunk_is_said_whatever_else_lies_in_the_folder(tmp_path, zarr_format):
    ds = _map()
    for variable in ds.variables.values():
        variable.encoding.clear()
    path = tmp_path / "beside.zarr"
    encoding = {"counts": {"chunks": (1, 3, 4)}}
    ds.to_zarr(path, zarr_format=zarr_format, encoding=encoding, consolidated=False)
    (path / "counts" / "Thumbs.db").write_bytes(b"of a file manager")
    np.testing.assert_array_equal(read_map(path).counts, ds.counts)
    chunk = next(f for f in (path / "counts").rglob("*0") if f.is_file())
    chunk.unlink()
    with pytest.warns(LlisoWarning, match="1 chunks of the counts are not in the store"):
        read_map(path)


@pytest.mark.filterwarnings("ignore:The data type")
def test_shards_that_cannot_be_looked_into_are_refused(tmp_path):
    ds = _map()
    for variable in ds.variables.values():
        variable.encoding.clear()
    codecs = zarr.codecs
    inner = codecs.ShardingCodec(
        chunk_shape=(1, 2, 2), codecs=[codecs.BytesCodec(), codecs.BloscCodec()]
    )
    table = [codecs.BytesCodec(endian="big"), codecs.Crc32cCodec()]
    turned = [codecs.TransposeCodec(order=(1, 0, 2, 3)), *table]
    for name, outer, words in (
        ("nested", {"codecs": [inner]}, "must be sharded once and by nothing else"),
        ("turned", {"codecs": inner.codecs, "index_codecs": turned}, "list their parts as plain"),
        ("big", {"codecs": inner.codecs, "index_codecs": table}, ""),
    ):
        path = tmp_path / f"{name}.zarr"
        ds.drop_vars("counts").to_zarr(path, zarr_format=3, consolidated=False)
        array = zarr.open_group(path).create_array(
            "counts",
            shape=ds.counts.shape,
            chunks=(1, 4, 4),
            dtype=ds.counts.dtype,
            serializer=codecs.ShardingCodec(
                chunk_shape=(1, 2, 2) if name != "nested" else (1, 4, 4), **outer
            ),
            compressors=None,
            filters=None,
            dimension_names=ds.counts.dims,
            attributes=ds.counts.attrs,
        )
        array[:] = ds.counts.values
        if words:
            with pytest.raises(FormatError, match=words):
                read_map(path)
        else:
            np.testing.assert_array_equal(read_map(path).counts, ds.counts)


def test_packed_counts_are_refused(store):
    _bare(store)
    attrs = store / "counts" / ".zattrs"
    attrs.write_text(json.dumps({**json.loads(attrs.read_text()), "scale_factor": 2.0}))
    with pytest.raises(FormatError, match="got them packed with scale_factor"):
        read_map(store)


def test_not_a_map(tmp_path):
    xr.Dataset({"a": ("b", [1])}).to_zarr(tmp_path / "a.zarr", zarr_format=2, consolidated=True)
    with pytest.raises(FormatError, match="not a map that lliso can use"):
        read_map(tmp_path / "a.zarr")


def test_options_that_make_no_sense(store):
    with pytest.raises(ValueError, match="fov must not be given for a map in zarr"):
        read_map(store, fov=5)


def test_a_failed_write_leaves_the_old_store(store, monkeypatch):
    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(xr.Dataset, "to_zarr", fail)
    with pytest.raises(OSError, match="disk full"):
        write_map(_map(2), store)
    monkeypatch.undo()
    xr.testing.assert_identical(read_map(store), _map())
    assert [p.name for p in store.parent.iterdir()] == ["map.zarr"]


def test_missing_package_is_named(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    install = re.escape(f'"{sys.executable}" -m pip install "zarr>=3"')
    with pytest.raises(ModuleNotFoundError, match=f"need the package zarr.*{install}"):
        read_map(store)
    shutil.rmtree(store)
    with pytest.raises(ModuleNotFoundError, match="need the package zarr"):
        write_map(_map(), store)

"""TIFF: what ImageJ, OME and plain programs write, and damaged copies."""

import struct
import tracemalloc

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lliso.errors import FormatError, LlisoWarning
from lliso.io import read_map
from lliso.schema import pixel_size

FOV = (14, 10)


@pytest.fixture
def frames(counts):
    return np.stack([counts[0] + 10 * k for k in range(3)]).astype("u2")


def _write(path, frames, *, imagej=False, **how):
    if imagej:
        tifffile.imwrite(path, frames, imagej=True, metadata={"axes": "TYX"}, **how)
    else:
        tifffile.imwrite(path, frames, photometric="minisblack", metadata=None, **how)


def test_one_file_per_species(tmp_path, counts):
    for ion, image in zip(("^6Li+", "Li+"), counts, strict=True):
        tifffile.imwrite(tmp_path / f"LLTO 59 h - {ion}.tif", image.astype("u4"))
    for path in (tmp_path, tmp_path / "LLTO 59 h - Li+.tif"):
        ds = read_map(path, fov=FOV)
        assert list(ds.species.values) == ["6Li", "7Li"]
        np.testing.assert_array_equal(ds.counts.values, counts)
        assert "top row" in ds.attrs["orientation"]


@pytest.mark.parametrize("dtype", ["u1", ">u2", "i2", "u4", "f4", "f8"])
@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_kinds_of_numbers(tmp_path, counts, dtype, compression, bigtiff):
    path = tmp_path / "a_7Li.tif"
    order = ">" if dtype.startswith(">") else "<"
    image = counts[0].astype(dtype)
    tifffile.imwrite(path, image, compression=compression, bigtiff=bigtiff, byteorder=order)
    ds = read_map(path, fov=FOV)
    assert ds.counts.dtype == np.int32
    np.testing.assert_array_equal(ds.counts.values[0], counts[0])
    assert list(ds.species.values) == ["7Li"]


@pytest.mark.parametrize(
    "how", [{"rowsperstrip": 7, "compression": "deflate"}, {"rowsperstrip": 7}, {"tile": (16, 32)}]
)
def test_strips_and_tiles(tmp_path, how):
    image = np.arange(40 * 50).reshape(40, 50).astype("u2")
    path = tmp_path / "a_7Li.tif"
    tifffile.imwrite(path, image, **how)
    np.testing.assert_array_equal(read_map(path, fov=(5, 4)).counts.values[0], image)


def test_imagej_channels_with_names_and_scale(tmp_path, counts):
    path = tmp_path / "both.tif"
    meta = {"axes": "CYX", "unit": "um", "Labels": ["6Li", "7Li"]}
    tifffile.imwrite(path, counts.astype("u2"), imagej=True, metadata=meta, resolution=(2, 4))
    ds = read_map(path)
    assert list(ds.species.values) == ["6Li", "7Li"]
    assert pixel_size(ds) == pytest.approx((0.5, 0.25))
    np.testing.assert_array_equal(ds.counts.values, counts)
    assert "overruled by fov" in read_map(path, fov=FOV).attrs["history"]


@pytest.mark.parametrize("imagej", [True, False])
def test_stack_of_frames(tmp_path, frames, imagej):
    path = tmp_path / "a_7Li.tif"
    _write(path, frames, imagej=imagej)
    ds = read_map(path, fov=FOV)
    assert ds.sizes == {"species": 1, "frame": 3, "y": 5, "x": 7}
    np.testing.assert_array_equal(ds.counts.values[0], frames)


def test_pages_named_after_ions_are_species(tmp_path, counts):
    path = tmp_path / "both.tif"
    with tifffile.TiffWriter(path) as out:
        for name, image in zip(("6Li", "7Li"), counts, strict=True):
            tag = (285, "s", 0, name, True)
            out.write(image.astype("u2"), extratags=[tag], contiguous=False, metadata=None)
    ds = read_map(path, fov=FOV)
    assert list(ds.species.values) == ["6Li", "7Li"]
    assert "as they are named" in ds.attrs["history"]


def test_ome(tmp_path, counts):
    path = tmp_path / "both.ome.tif"
    meta = {
        "axes": "CYX",
        "PhysicalSizeX": 0.5,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": 250,
        "PhysicalSizeYUnit": "nm",
        "Channel": {"Name": ["6Li", "7Li"]},
    }
    tifffile.imwrite(path, counts.astype("u2"), metadata=meta)
    ds = read_map(path)
    assert list(ds.species.values) == ["6Li", "7Li"]
    assert pixel_size(ds) == pytest.approx((0.5, 0.25))


def test_a_printers_resolution_is_no_scale(tmp_path, counts):
    path = tmp_path / "a_7Li.tif"
    image = counts[0].astype("u2")
    tifffile.imwrite(path, image, resolution=(300, 300), resolutionunit="INCH")
    with pytest.raises(FormatError, match="pass the field of view"):
        read_map(path)
    tifffile.imwrite(path, image, resolution=(2e4, 4e4), resolutionunit="CENTIMETER")
    assert pixel_size(read_map(path)) == pytest.approx((0.5, 0.25))


def test_no_counts(tmp_path, counts):
    path = tmp_path / "a_7Li.tif"
    tifffile.imwrite(path, counts[0] / np.float32(7))
    with pytest.raises(FormatError, match=r"counts must be whole numbers.*make_map"):
        read_map(path, fov=FOV)
    tifffile.imwrite(path, np.zeros((5, 7, 3), "u1"), photometric="rgb")
    with pytest.raises(FormatError, match="got colours"):
        read_map(path, fov=FOV)
    tifffile.imwrite(path, -counts[0].astype("i2"))
    with pytest.raises(FormatError, match="must not be negative"):
        read_map(path, fov=FOV)


def test_grey_values_that_stand_for_others(tmp_path, counts):
    """ImageJ keeps signed images with 32768 added and a line that says so."""
    path = tmp_path / "a_7Li.tif"
    image = (counts[0] + 32768).astype("u2")
    meta = {"axes": "YX", "cf": 0, "c0": -32768.0, "c1": 1.0}
    tifffile.imwrite(path, image, imagej=True, metadata=meta)
    with pytest.raises(FormatError, match="calibration of the grey values"):
        read_map(path, fov=FOV)


def test_stored_upside_down(tmp_path, counts):
    path = tmp_path / "a_7Li.tif"
    tag = (274, "H", 1, 4, True)
    tifffile.imwrite(path, counts[0].astype("u2"), extratags=[tag], metadata=None)
    with pytest.raises(FormatError, match=r"top to bottom, .* \(orientation 4\)"):
        read_map(path, fov=FOV)


def test_full_scale_is_suspicious(tmp_path, counts):
    path = tmp_path / "a_7Li.tif"
    tifffile.imwrite(path, np.where(counts[0] > 20, 255, counts[0]).astype("u1"))
    with pytest.warns(LlisoWarning, match="pixels reach 255, the largest number of 8 bits"):
        read_map(path, fov=FOV)


@pytest.mark.parametrize("imagej", [True, False])
def test_cut_off_anywhere(tmp_path, frames, imagej):
    """A stack cut at every byte: refused, or on request its whole frames, marked."""
    path = tmp_path / "a_7Li.tif"
    _write(path, frames, imagej=imagej)
    data = path.read_bytes()
    seen = set()
    for end in {*range(1, len(data), 5), *range(len(data) - 8, len(data))}:
        path.write_bytes(data[:end])
        try:
            ds = read_map(path, fov=FOV)
        except FormatError:
            pass
        else:  # bytes behind the last pixels may be missing: padding
            np.testing.assert_array_equal(ds.counts.values[0], frames)
        try:
            ds = read_map(path, fov=FOV, partial=True)
        except FormatError:
            continue
        n = ds.sizes.get("frame", 1)
        seen.add(n)
        np.testing.assert_array_equal(ds.counts.values.reshape(n, 5, 7), frames[:n])
        assert n == 3 or ds.attrs["partial"] == 1
    assert {1, 2} <= seen


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 5000), st.integers(1, 255))
def test_flipped_bytes(tmp_path, frames, at, change):
    """Packed pixels have a checksum: a change there is found; one elsewhere is no bare error."""
    path = tmp_path / "a_7Li.tif"
    _write(path, frames, compression="deflate")
    with tifffile.TiffFile(path) as tif:
        pixels = [
            (start, start + n)
            for page in tif.pages
            for start, n in zip(page.dataoffsets, page.databytecounts, strict=True)
        ]
    data = bytearray(path.read_bytes())
    at %= len(data)
    data[at] ^= change
    path.write_bytes(data)
    try:
        values = read_map(path, fov=FOV).counts.values
    except (FormatError, LlisoWarning):
        return
    if any(start <= at < end for start, end in pixels):
        np.testing.assert_array_equal(values[0], frames)


@pytest.mark.parametrize(
    ("tag", "value"), [(256, 2**30), (257, 2**31), (257, 5 * 10**7), (278, 0), (277, 60000)]
)
def test_a_declared_size_takes_no_memory(tmp_path, counts, tag, value):
    path = tmp_path / "a_7Li.tif"
    tifffile.imwrite(path, counts[0].astype("u2"), metadata=None, rowsperstrip=1)
    data = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", data, 4)
    (n,) = struct.unpack_from("<H", data, start)
    for i in range(n):
        place = start + 2 + 12 * i
        if struct.unpack_from("<H", data, place)[0] == tag:
            struct.pack_into(
                "<HIi", data, place + 2, 4, 1, value - 2**32 if value >= 2**31 else value
            )
    path.write_bytes(data)
    with pytest.raises(FormatError):  # once, so that no import is measured
        read_map(path, fov=FOV)
    tracemalloc.start()
    with pytest.raises(FormatError):
        read_map(path, fov=FOV)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6


@pytest.mark.parametrize(
    "data", [b"II*\0", b"II*\0" + b"\xff" * 40, b"MM\0*\0\0\0\x08" + b"\0" * 8]
)
def test_nonsense(tmp_path, data):
    path = tmp_path / "a.tif"
    path.write_bytes(data)
    with pytest.raises(FormatError):
        read_map(path, fov=FOV)


def test_pages_in_a_circle(tmp_path, frames):
    path = tmp_path / "a_7Li.tif"
    _write(path, frames)
    data = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", data, 4)
    (n,) = struct.unpack_from("<H", data, start)
    struct.pack_into("<I", data, start + 2 + 12 * n, start)
    path.write_bytes(data)
    with pytest.raises(FormatError, match="chain of pages is a circle"):
        read_map(path, fov=FOV)


def test_a_damaged_page_is_seen_by_nobody_else(tmp_path, frames):
    """tifffile hung on a tag of 2³¹ values on the second page: it gets the whole pages only."""
    path = tmp_path / "a_7Li.tif"
    _write(path, frames)
    data = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", data, 4)
    (n,) = struct.unpack_from("<H", data, start)
    (second,) = struct.unpack_from("<I", data, start + 2 + 12 * n)
    for i in range(struct.unpack_from("<H", data, second)[0]):
        place = second + 2 + 12 * i
        if struct.unpack_from("<H", data, place)[0] == 278:
            struct.pack_into("<HI", data, place + 2, 16, 2**31 - 1)
    path.write_bytes(data)
    with pytest.raises(FormatError, match="the value of tag 278 must lie in the file"):
        read_map(path, fov=FOV)
    ds = read_map(path, fov=FOV, partial=True)
    assert ds.attrs["partial"] == 1
    np.testing.assert_array_equal(ds.counts.values, frames[:1])

"""NRRD of OpenMIMS: files made by hand and by pynrrd, and damaged copies."""

import gzip
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lliso.errors import FormatError
from lliso.io import read_map

KEYS = {
    "Mims_mass_numbers": "6.02 7.02 ",
    "Mims_mass_symbols": "6Li 7Li ",
    "Mims_raster": "3500",
    "Mims_pixel_width": "500.0",
    "Mims_pixel_height": "500.0",
    "Mims_deadtime_correction_applied": "false",
    "Mims_QSA_correction_applied": "false",
    "Mims_notes": "a note: with a colon",
}


@pytest.fixture
def images(counts):
    """Species, plane, y, x."""
    return np.stack([counts, counts + 100], axis=1).astype(">u2")


def _nrrd(images, keys=KEYS, *, encoding="raw", newline="\n", **changed):
    fields = {
        "type": "uint16",
        "encoding": encoding,
        "endian": "big",
        "dimension": "4",
        "sizes": " ".join(map(str, images.shape[::-1])),
        "kinds": "space space space list",
        "spacings": "0.5 0.5 1.0 NaN",
    } | changed
    lines = ["NRRD0004", "# Created by hand", *(f"{k}: {v}" for k, v in fields.items() if v)]
    lines += [f"{k}:={v}" for k, v in keys.items()]
    numbers = images.tobytes()
    body = gzip.compress(numbers, mtime=0) if encoding == "gzip" else numbers
    return (newline.join(lines) + 2 * newline).encode() + body


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_as_openmims_writes_it(tmp_path, images, encoding, newline):
    path = tmp_path / "a.nrrd"
    path.write_bytes(_nrrd(images, encoding=encoding, newline=newline))
    ds = read_map(path)
    assert ds.sizes == {"species": 2, "frame": 2, "y": 5, "x": 7}
    np.testing.assert_array_equal(ds.counts.values, images)
    assert list(ds.species.values) == ["6Li", "7Li"]
    assert ds.mass.values.tolist() == [6.02, 7.02]
    assert ds.attrs["dead_time_corrected"] == "no"
    assert ds.x.values[0] + ds.x.values[-1] == pytest.approx(3.5)
    assert "OpenMIMS" in ds.attrs["orientation"]


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_as_pynrrd_writes_it(tmp_path, images, encoding):
    nrrd = pytest.importorskip("nrrd")
    path = tmp_path / "a.nrrd"
    nrrd.write(str(path), images.astype("u2").T, {**KEYS, "encoding": encoding})
    np.testing.assert_array_equal(read_map(path).counts.values, images)


@pytest.mark.parametrize(
    ("keys", "fields", "message"),
    [
        ({"Mims_raster": "9000"}, {}, "raster of 9 um must be 7 pixels of 0.5 um"),
        ({"Mims_QSA_correction_applied": "true"}, {}, "without that correction"),
        ({"Mims_mass_symbols": "6Li"}, {}, "as many mass symbols, got 1"),
        ({"Mims_mass_symbols": "7Li 7Li"}, {}, "of another ion, got 7Li twice"),
        ({"Mims_pixel_width": "x"}, {}, "pass the field of view"),
        ({}, {"sizes": "7 5 4 2"}, "it ends early"),
        ({}, {"sizes": "7 5 1 2"}, "has bytes too many"),
        ({}, {"sizes": "7 5 -2 -2"}, "sizes must be x, y, planes and masses"),
        ({}, {"sizes": "99999999 99999999 9999 99"}, "it ends early"),
        ({}, {"type": "block"}, "not one of numbers"),
        ({}, {"endian": ""}, "must state 'endian"),
        ({}, {"data file": "a.raw"}, "must be in the same file"),
        ({}, {"byte skip": "4"}, "must not skip"),
        ({}, {"encoding": "ascii"}, "must be raw or gzip"),
        ({}, {"encoding": ""}, "must state 'encoding'"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, images, keys, fields, message):
    path = tmp_path / "a.nrrd"
    path.write_bytes(_nrrd(images, {**KEYS, **keys}, **{"encoding": "raw"} | fields))
    with pytest.raises(FormatError, match=message):
        read_map(path)


def test_a_bomb_does_not_unfold(tmp_path, images):
    path = tmp_path / "a.nrrd"
    head = _nrrd(images, encoding="gzip").split(b"\n\n")[0]
    path.write_bytes(head + b"\n\n" + gzip.compress(bytes(100_000_000)))
    tracemalloc.start()
    with pytest.raises(FormatError, match="must give 280 bytes and nothing else"):
        read_map(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_cut_off_anywhere_or_too_long(tmp_path, images, encoding):
    data = _nrrd(images, encoding=encoding)
    path = tmp_path / "a.nrrd"
    at = data.index(b"\n\n")
    for end in {*range(0, len(data), 9), at, at + 1, at + 2, len(data) - 1}:
        path.write_bytes(data[:end])
        with pytest.raises(FormatError):
            read_map(path, fov=(14, 10), format="nrrd")
    path.write_bytes(data + b"\0")
    with pytest.raises(FormatError):
        read_map(path)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2000), st.integers(1, 255))
def test_flipped_bytes(tmp_path, images, at, change):
    """Gzip has a checksum: the numbers are right or refused, unless the header says otherwise."""
    data = bytearray(_nrrd(images, encoding="gzip"))
    header = bytes(data).index(b"\n\n")
    at %= len(data)
    data[at] ^= change
    path = tmp_path / "a.nrrd"
    path.write_bytes(data)
    try:
        values = read_map(path, fov=(14, 10)).counts.values
    except FormatError:
        return
    if at > header:
        np.testing.assert_array_equal(values, images)

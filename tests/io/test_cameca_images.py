import random
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest

from lliso.errors import FormatError
from lliso.io import describe, formats, read_map, write_map

REAL = Path(__file__).parents[2] / "data/samples/real/cameca"
HEADER = 4096


def _im(counts, masses, *, order=">", version=11, kind=27, planes=None, dead_time=40, time=2.0):
    """Build an image of planes ``counts[plane, mass, y, x]``; masses are (trolley, u, label)."""
    counts = np.asarray(counts)
    header = bytearray(HEADER)
    n_planes, n, ny, nx = counts.shape

    def put(at, fmt, *values):
        struct.pack_into(order + fmt, header, at, *values)

    put(0, "3i", version, kind, HEADER)
    put(12, "4i32s16si12x16s16s", 0, 1, -5, 7, b"IMAGE", b"me", 0, b"01.02.20", b"10:00")
    put(408, "i", n)
    table = 412 + 4 * (60 if version >= 4108 else 10)
    for i, (trolley, mass, label) in enumerate(masses):
        put(table + 192 * i, "2id2i2d", trolley, 0, mass, 0, 0, 0.0, time)
        put(table + 192 * i + 65, "64s", label.encode("latin-1"))
    mark = 1500
    put(mark, "16s", b"Anal_param_nano\0")
    for i in range(5):
        put(mark + 1632 + 16 * i, "d2i", 1.0, 0, dead_time + i)
    mark += 1800
    put(mark, "20s", b"Anal_param_nano_bis\0")
    put(mark + 24 + 88, "d2i", 1.0, 0, 61)
    put(mark + 24 + 88 + 16 + 88, "d2i", 1.0, 0, 62)
    size = counts.itemsize
    own = (84, 0, nx, ny, size, n, n_planes if planes is None else planes, 4000, b"x.im")
    put(HEADER - 84, "i6hi64s", *own)
    return bytes(header) + counts.astype(f"{order}u{size}").tobytes()


MASSES = [(1, 6.015, "6Li"), (11, 7.016, "7Li"), (8, 0.0, "")]


@pytest.fixture
def planes():
    return np.arange(2 * 3 * 2 * 4, dtype="u2").reshape(2, 3, 2, 4)


@pytest.fixture
def path(tmp_path, planes):
    path = tmp_path / "x.im"
    path.write_bytes(_im(planes, MASSES))
    return path


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [11, 4108])
@pytest.mark.parametrize("dtype", ["u2", "u4"])
def test_counts_facts_and_orientation(path, planes, order, version, dtype):
    path.write_bytes(_im(planes.astype(dtype), MASSES, order=order, version=version))
    ds = read_map(path)
    assert ds.species.values.tolist() == ["6Li", "7Li", "SE"]
    np.testing.assert_array_equal(ds.counts, planes.swapaxes(0, 1)[..., ::-1, :])
    assert ds.counts.dtype == np.int32  # native, signed
    np.testing.assert_array_equal(ds.dead_time, [40, 62, np.nan])
    np.testing.assert_allclose(ds.pixel_time, 2.0 / 8)
    np.testing.assert_allclose(ds.x, [0.5, 1.5, 2.5, 3.5])
    np.testing.assert_allclose(ds.y, [0.5, 1.5])
    assert ds.attrs["orientation"].startswith("row 0 is the top")
    assert ds.attrs["dead_time_corrected"] == "no"
    assert (ds.attrs["stage_x_um"], ds.attrs["stage_y_um"]) == (-5, 7)


def test_labels_that_occur_twice_or_not_at_all(path, planes):
    path.write_bytes(_im(planes, [(0, 6.0, "6Li"), (0, 6.0, "6Li"), (0, 0.0, "")]))
    assert read_map(path).species.values.tolist() == ["6Li", "6Li (2)", "unnamed"]


def test_goes_through_netcdf(path, tmp_path):
    ds = read_map(path)
    assert read_map(write_map(ds, tmp_path / "x.nc")).identical(ds)


def test_a_run_cut_short(path):
    whole = read_map(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(FormatError, match=r"2 frames of 3 masses .* reads the 1 whole frames"):
        read_map(path)
    ds = read_map(path, partial=True)
    assert ds.attrs["partial"] == 1
    assert "1 of 2 frames" in ds.attrs["history"]
    np.testing.assert_array_equal(ds.counts, whole.counts[:, :1])
    path.write_bytes(path.read_bytes()[: HEADER + 5])
    with pytest.raises(FormatError, match=r"ends early; copy it again$"):
        read_map(path, partial=True)


def test_field_of_view_overruled(path):
    assert "4 x 2 um, overruled by fov" in read_map(path, fov=(8, 4)).attrs["history"]


def test_more_counts_than_the_multiplier_can(path, planes):
    planes[0, 0, 0, 0] = 60_000
    path.write_bytes(_im(planes, MASSES, time=0.01))
    with pytest.raises(FormatError, match=r"6Li must hold at most 31250 counts in 0\.00125 s"):
        read_map(path)


@pytest.mark.parametrize(
    ("at", "fmt", "value", "message"),
    [
        (4, "i", 26, "only images .* type 26"),
        (16, "i", 0, "that there are none"),
        (408, "i", 7, "masses twice, got 7"),
        (HEADER - 84, "i", 80, "sizes of the image must be positive"),
        (HEADER - 78, "h", -4, "got -4 x 2"),
        (HEADER - 74, "h", 3, "3 bytes"),
        (HEADER - 70, "h", 0, "0 frames"),
        (HEADER - 70, "h", 30000, "30000 frames"),
        (HEADER - 78, "h", 32767, "32767 x 2"),
        (460, "d", np.nan, "0 and 1000 u"),
    ],
)
def test_damaged_header(path, at, fmt, value, message):
    data = bytearray(path.read_bytes())
    struct.pack_into(">" + fmt, data, at, value)
    path.write_bytes(data)
    with pytest.raises(FormatError, match=message):
        read_map(path)


def test_no_room_for_the_masses(path, planes):
    many = np.zeros((1, 20, 1, 2), "u2")
    data = bytearray(_im(many, MASSES))
    path.write_bytes(data)
    with pytest.raises(FormatError, match="no room for 20 masses"):
        read_map(path)


def test_wrong_sizes(path):
    data = path.read_bytes()
    path.write_bytes(data + b"\0")
    with pytest.raises(FormatError, match="it is damaged; copy it again"):
        read_map(path, partial=True)
    boundaries = (1, 12, 124, 408, 411, 412, 452, 644, HEADER - 84, HEADER - 1, HEADER)
    rng = random.Random(5)
    for size in (*boundaries, *(rng.randrange(1, len(data)) for _ in range(30))):
        path.write_bytes(data[:size])
        with pytest.raises(FormatError):
            read_map(path)
        with pytest.raises(FormatError):
            read_map(path, format="cameca-im")
    path.write_bytes(b"")
    with pytest.raises(FormatError, match="empty"):
        read_map(path)


def test_flipped_bytes_never_end_in_another_error(path):
    data = path.read_bytes()
    rng = random.Random(8)
    for _ in range(300):
        damaged = bytearray(data)
        damaged[rng.randrange(HEADER if rng.random() < 0.5 else 800)] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            read_map(path, format="cameca-im")
        except FormatError:
            continue


def test_the_real_nanosims_image():
    """Shape, drift partner and natural oxygen; 18O/16O is 0.00205 in nature, detectors differ."""
    ds = read_map(REAL / "image sun.im")
    assert dict(ds.sizes) == {"species": 6, "frame": 2, "y": 256, "x": 256}
    assert ds.species.values.tolist() == ["12C", "16O", "18O", "12C 14N", "12C 15N", "SE"]
    sums = ds.counts.sel(species=["16O", "18O"]).sum(["y", "x"]).values
    assert sums.tolist() == [[18017979, 15881858], [128091, 134215]]
    assert ds.x.values[0] + ds.x.values[-1] == pytest.approx(7.011)
    assert ds.dead_time.values[:5].tolist() == [36.0] * 5
    assert ds.pixel_time.values[0] == pytest.approx(0.01)  # s, as the B field section has it
    assert "256 x 256 pixels (x, y), 2 frames" in describe(REAL / "image sun.im")
    assert next(r for r in formats() if r.name == "cameca-im").seen


def test_the_real_image_with_an_unnamed_channel():
    ds = read_map(REAL / "RTIimage.im")
    assert ds.species.values.tolist() == ["12C2", "unnamed"]
    assert ds.counts.sum(["frame", "y", "x"]).values.tolist() == [818720, 118239]
    assert np.isnan(ds.pixel_time.values).all()


@pytest.mark.parametrize("name", ["image sun.im", "RTIimage.im"])
def test_the_package_sims_finds_the_same(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own: it reads old NumPy names
        sims = pytest.importorskip("sims")
        other = sims.SIMS(str(REAL / name))
    ds = read_map(REAL / name)
    np.testing.assert_array_equal(ds.counts.values[..., ::-1, :], other.data.values)
    table = list(other.header["MassTable"].values())
    np.testing.assert_array_equal(ds.mass, [m["mass"] for m in table])
    assert ds.attrs["stage_x_um"] == other.header["sample x"]
    for trolley, dead_time in zip((m["trolley index"] for m in table), ds.dead_time, strict=True):
        if 0 < trolley < 6:
            assert other.header["Detectors"][f"Detector {trolley}"]["em deadtime"] == dead_time

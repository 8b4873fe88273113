import random
import re
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from lliso.errors import FormatError
from lliso.io import describe, formats, read_map

pytest.importorskip("hdf5plugin")

REAL = Path(__file__).parents[2] / "data/samples/real/phi/PowerCo-102-Pos-Cu_Grid.h5"
A, B = 0.38, -1.5


def _bins(mz):
    return round((np.sqrt(mz) - B) / A * 1e6)


def _write(path, hits, *, shape=(2, 3, 4), mode="image_2d", large=None, fields=("X", "Y")):
    """Write hits [(m/z, frame, y, x, count)] in the layout of SIMS-H5."""
    by_bin = {}
    for mz, *index, count in hits:
        by_bin.setdefault(_bins(mz), []).append((np.ravel_multi_index(index, shape), count))
    bins = sorted(by_bin)
    flat = [hit for b in bins for hit in sorted(by_bin[b])]
    with h5py.File(path, "w") as file:
        file.attrs.update(format="tof-sims-sparse-hdf5", acquisition_mode=mode, polarity="+")
        file["calibration/mass/coefficients"] = [A, B]
        rows = file.create_group("data/mass_csr")
        rows.attrs["mass_bin_width_ps"] = np.uint32(1)
        rows["mass_bin"] = np.array(bins, "u4")
        rows["indptr"] = np.cumsum([0, *(len(by_bin[b]) for b in bins)]).astype("u8")
        rows["pixel_id"] = np.array([p for p, _ in flat], "u4")
        rows["count"] = np.array([min(c, 255) for _, c in flat], "u1")
        if large:
            at = [i for i, (_, c) in enumerate(flat) if c > 255]
            rows["count_exceptions/nnz_index"] = np.array(at, "u8")
            rows["count_exceptions/value"] = np.array([flat[i][1] for i in at], "u4")
        geometry = file.create_group("geometry")
        geometry.attrs["row_shape"] = np.array(shape, "u8")
        geometry.attrs["row_count"] = np.uint64(np.prod(shape))
        text = "".join(f"ScanWidth{f}: 80.0000\r\n" for f in fields)
        text += "ImageCenterStageX(mm): -0.755\r\n"
        file["raw_header"] = np.frombuffer(text.encode().ljust(200, b"\0"), "u1")
    return path


HITS = [
    (6.015, 0, 1, 2, 3),
    (6.02, 1, 2, 3, 1),
    (7.016, 0, 0, 0, 5),
    (7.02, 0, 0, 0, 2),
    (7.016, 1, 2, 1, 300),
    (22.99, 0, 0, 1, 9),
]


@pytest.fixture
def path(tmp_path):
    return _write(tmp_path / "map.h5", HITS, large=True)


def test_counts_of_the_lithium_windows(path):
    ds = read_map(path)
    expected = np.zeros((2, 2, 3, 4), int)
    for mz, frame, y, x, n in HITS[:5]:
        expected[int(mz) - 6, frame, y, x] += n
    np.testing.assert_array_equal(ds.counts, expected)
    assert ds.counts.dims == ("species", "frame", "y", "x")
    np.testing.assert_allclose(ds.x, (np.arange(4) + 0.5) * 20)
    assert ds.attrs["stage_x_mm"] == -0.755
    assert ds.attrs["orientation"].startswith("row 0 is the bottom")


def test_windows_can_be_chosen(path):
    ds = read_map(path, windows={"23Na": (22.9, 23.1)})
    assert ds.species.values.tolist() == ["23Na"]
    assert int(ds.counts.sum()) == 9


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        ({"6Li": (6, 7.01), "7Li": (7, 8)}, "must not overlap, those of 6Li and 7Li do"),
        ({"6Li": (7, 6)}, r"window of 6Li must be \(lower, upper\)"),
        ({}, "at least one species"),
    ],
)
def test_senseless_windows(path, windows, message):
    with pytest.raises(ValueError, match=message):
        read_map(path, windows=windows)


def test_windows_are_refused_for_images(lithium_bif6):
    with pytest.raises(ValueError, match="hold spectra only, got them for 'bif6'"):
        read_map(lithium_bif6, fov=(1, 1), windows={"6Li": (6, 6.1)})


def test_field_of_view_missing_or_overruled(tmp_path, path):
    assert "overruled by fov" in read_map(path, fov=(40, 30)).attrs["history"]
    with pytest.raises(FormatError, match="pass the field of view"):
        read_map(_write(tmp_path / "bare.h5", HITS, fields=()))


def test_other_modes_are_refused(tmp_path):
    with pytest.raises(FormatError, match=r"only single image fields .* this is mosaic"):
        read_map(_write(tmp_path / "m.h5", HITS, mode="mosaic"))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("data/mass_csr/pixel_id", 24, "a hit lies in pixel 24 of 24"),
        ("data/mass_csr/indptr", 77, "contradicts itself"),
        ("data/mass_csr/mass_bin", 99, "contradicts itself"),
        ("calibration/mass/coefficients", np.nan, "mass calibration must be positive"),
        ("data/mass_csr/count_exceptions/nnz_index", 99, "list of large counts"),
    ],
)
def test_damaged_contents(path, name, value, message):
    with h5py.File(path, "r+") as file:
        file[name][-1 if name.endswith("mass_bin") else 0] = value
    with pytest.raises(FormatError, match=message):
        read_map(path)


def test_large_counts_cannot_get_lost(path):
    """A place or a value that does not fit, or a list whose name is damaged, is seen."""
    with h5py.File(path, "r+") as file:
        large = file["data/mass_csr/count_exceptions"]
        kept = large["value"][0]
        large["value"][0] = 200
    with pytest.raises(FormatError, match="contradicts the counts"):
        read_map(path)
    with h5py.File(path, "r+") as file:
        large = file["data/mass_csr/count_exceptions"]
        large["value"][0] = kept
        large["nnz_index"][0] -= 1
    with pytest.raises(FormatError, match="contradicts the counts"):
        read_map(path)
    with h5py.File(path, "r+") as file:
        file.move("data/mass_csr/count_exceptions", "data/mass_csr/counv_exceptions")
    with pytest.raises(FormatError, match="'counv_exceptions' too"):
        read_map(path)


def test_impossible_shape(path):
    with h5py.File(path, "r+") as file:
        file["geometry"].attrs["row_shape"] = np.array([2**31, 2**20, 2**9], "u8")
        file["geometry"].attrs["row_count"] = np.uint64(2**60)
    with pytest.raises(FormatError, match="too large for the file"):
        read_map(path)


def test_truncated(path):
    data = path.read_bytes()
    rng = random.Random(3)
    for size in (8, 96, len(data) - 1, *(rng.randrange(1, len(data)) for _ in range(20))):
        path.write_bytes(data[:size])
        with pytest.raises(FormatError):
            read_map(path, format="simsh5")
        with pytest.raises(FormatError):
            read_map(path)


@pytest.mark.skipif(not REAL.exists(), reason="the real PHI map is not in this copy")
def test_the_real_map_with_both_lithium_isotopes():
    """Counts and errors as published with the samples; Cu is near its natural 0.3085."""
    ds = read_map(REAL)
    n6, n7 = (int(n) for n in ds.counts.sum(["frame", "y", "x"]))
    assert (n6, n7) == (3, 69)
    assert ds.sizes == {"species": 2, "frame": 6, "y": 256, "x": 256}
    assert ds.x.values[-1] + ds.x.values[0] == pytest.approx(80)
    fraction = n6 / (n6 + n7)
    error = np.sqrt(fraction * (1 - fraction) / (n6 + n7))
    assert (round(fraction, 3), round(error, 3)) == (0.042, 0.024)
    copper = read_map(REAL, windows={"63Cu": (62.83, 63.03), "65Cu": (64.83, 65.03)})
    n63, n65 = (int(n) for n in copper.counts.sum(["frame", "y", "x"]))
    share = n65 / (n63 + n65)
    error = np.sqrt(share * (1 - share) / (n63 + n65))
    assert (n63, n65) == (3595, 1592)
    assert round(error, 4) == 0.0064
    # 0.3055 was found with windows that were not written down, 0.3085 is the natural share
    assert abs(share - 0.3055) < error / 4
    assert abs(share - 0.3085) < error
    assert "80 x 80 um" in describe(REAL)
    assert next(r for r in formats() if r.name == "simsh5").seen


def test_missing_package_is_named(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    install = re.escape(f'"{sys.executable}" -m pip install hdf5plugin')
    with pytest.raises(ModuleNotFoundError, match=f"needs the package hdf5plugin.*{install}"):
        read_map(path)

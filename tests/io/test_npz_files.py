import io
import random
import zipfile

import numpy as np
import pytest
import xarray as xr

from lliso.errors import FormatError
from lliso.io import read_map
from lliso.schema import make_map

FOV = (14, 10)


@pytest.fixture
def path(tmp_path, counts):
    np.savez_compressed(tmp_path / "map.npz", **{"6Li": counts[0], "7Li": counts[1]})
    return tmp_path / "map.npz"


def test_reads_images_and_keeps_their_type(path, counts):
    ds = read_map(path, fov=FOV)
    expected = make_map(counts, ["6Li", "7Li"], x=np.arange(7) * 2 + 1, y=np.arange(5) * 2 + 1)
    xr.testing.assert_equal(ds, expected)
    assert ds.counts.dtype == counts.dtype
    assert ds.attrs["source"] == "map.npz"


def test_frames_and_own_coordinates(tmp_path):
    cube = np.arange(24, dtype="u2").reshape(2, 3, 4)
    np.savez(tmp_path / "map.npz", x=np.arange(4) * 0.5, y=np.arange(3) * 2.0, **{"7Li": cube})
    ds = read_map(tmp_path / "map.npz")
    assert ds.counts.dims == ("species", "frame", "y", "x")
    np.testing.assert_array_equal(ds.counts[0], cube)
    assert ds.x.values.tolist() == [0, 0.5, 1, 1.5]
    assert "2 x 6 um" in ds.attrs["history"]


def test_field_of_view_is_asked_for(path):
    with pytest.raises(FormatError, match=r"pass the field of view, fov="):
        read_map(path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"6Li": np.ones((2, 3)), "7Li": np.ones((3, 2))}, r"one size.*6Li \(2, 3\), 7Li \(3, 2"),
        ({"6Li": np.ones(3)}, r"must be images .* got 6Li \(3,\)"),
        ({"x": np.ones(3), "y": np.ones(3)}, "got none"),
        ({"6Li": np.full((2, 3), np.nan)}, "6 NaN"),
        ({"6Li": np.full((2, 3), -1)}, "must not be negative"),
        ({"6Li": np.full((2, 3), "a")}, "counts must be numbers"),
        ({"6Li": np.ones((2, 3)), "x": np.arange(3)}, "both 'x' and 'y'"),
    ],
)
def test_what_is_no_map(tmp_path, arrays, message):
    np.savez(tmp_path / "map.npz", **arrays)
    with pytest.raises(FormatError, match=message):
        read_map(tmp_path / "map.npz", fov=(3, 2))


def test_objects_are_never_unpickled(tmp_path):
    np.savez(tmp_path / "map.npz", **{"6Li": np.array([[{}, {}]], dtype=object)})
    with pytest.raises(FormatError, match="must hold numbers and nothing else"):
        read_map(tmp_path / "map.npz", fov=FOV)


def test_a_header_that_promises_too_much_allocates_nothing(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<i8", "fortran_order": False, "shape": (10**6, 10**6)}
    )
    with zipfile.ZipFile(tmp_path / "map.npz", "w") as archive:
        archive.writestr("6Li.npy", header.getvalue() + bytes(64))
    with pytest.raises(FormatError, match="are 8000000000000 bytes, there are 64"):
        read_map(tmp_path / "map.npz", fov=FOV)


def test_damage_is_refused_or_harmless(path, counts):
    good = path.read_bytes()
    rng = random.Random(4)
    refused = 0
    for _ in range(300):
        data = bytearray(good)
        if rng.random() < 0.3:
            data = data[: rng.randrange(4, len(data))]
        else:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        try:
            ds = read_map(path, fov=FOV)
        except FormatError:
            refused += 1
            continue
        np.testing.assert_array_equal(ds.counts, counts)
        assert ds.species.values.tolist() == ["6Li", "7Li"]
    assert refused > 200

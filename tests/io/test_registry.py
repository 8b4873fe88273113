import numpy as np
import pytest
import xarray as xr

import lliso
from lliso.errors import FormatError
from lliso.io import convert, describe, formats, read_map, write_map
from lliso.schema import make_map


def test_public_names():
    assert lliso.read_map is read_map
    assert lliso.write_map is write_map


def test_every_format_is_described():
    names = [reader.name for reader in formats()]
    assert len(set(names)) == len(names)
    for reader in formats():
        assert reader.description
        assert all(e.startswith(".") and e == e.lower() for e in reader.extensions)


def test_the_list_handed_out_is_a_copy():
    formats().clear()
    assert formats()


@pytest.mark.parametrize("name", ["map.xyz", "map", "map.txt", "photo.png"])
def test_unknown_format_names_those_known(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"\x89PNG nothing we know")
    with pytest.raises(FormatError, match="no format that lliso knows") as caught:
        read_map(path)
    for reader in formats():
        assert reader.name in str(caught.value)


def test_known_ending_with_strange_contents(tmp_path):
    path = tmp_path / "map.bif6"
    path.write_bytes(b"garbage")
    with pytest.raises(FormatError, match="by its name it should be bif6: is it damaged"):
        read_map(path)


@pytest.mark.parametrize("ending", [".itm", ".itmx", ".itax"])
def test_raw_surfacelab_files_are_told_the_way(tmp_path, ending):
    path = tmp_path / f"map{ending}"
    path.write_bytes(b"ITStrF01....")
    with pytest.raises(FormatError, match=r"export images as BIF6 or as ASCII from SurfaceLab"):
        read_map(path)


def test_empty_file(tmp_path):
    path = tmp_path / "map.nc"
    path.touch()
    with pytest.raises(FormatError, match="the file is empty"):
        read_map(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file or folder '.*nowhere.nc'"):
        read_map(tmp_path / "nowhere.nc")


def test_empty_folder(tmp_path):
    with pytest.raises(FormatError, match="folder holds no file that lliso can read"):
        read_map(tmp_path)


def test_format_by_name(lithium_bif6, lithium_folder):
    assert read_map(lithium_bif6, format="bif6", fov=(1, 1)).sizes["x"] == 7
    with pytest.raises(ValueError, match=r"format must be one of .*netcdf, .*bif6, .* got 'tiff9'"):
        read_map(lithium_bif6, format="tiff9")
    with pytest.raises(FormatError, match="'bif6' needs a file, got a folder"):
        read_map(lithium_folder, format="bif6")
    for reader in formats():
        if reader.name != "bif6":
            if reader.name == "simsh5":
                pytest.importorskip("hdf5plugin")
            with pytest.raises(FormatError):
                read_map(lithium_bif6, format=reader.name)


def test_chunks_for_a_format_that_is_read_at_once(lithium_bif6):
    pytest.importorskip("dask.array")
    ds = read_map(lithium_bif6, fov=(1, 1), chunks={"y": 2})
    assert ds.counts.chunks == ((2,), (2, 2, 1), (7,))


def test_convert_keeps_everything(lithium_bif6, tmp_path):
    path = convert(lithium_bif6, tmp_path / "map.nc", fov=(14, 10))
    xr.testing.assert_identical(read_map(path), read_map(lithium_bif6, fov=(14, 10)))


def test_shots_must_be_positive(lithium_bif6):
    with pytest.raises(ValueError, match="shots must be a whole number of at least 1, got 0"):
        read_map(lithium_bif6, fov=(1, 1), shots=0)


def test_describe_says_what_is_there(tmp_path, counts):
    ds = make_map(counts, ["6Li", "7Li"], x=np.arange(7) * 2.0, y=np.arange(5) * 3.0)
    ds.attrs.update(stage="59 h", simulated=1, history="made\nby hand")
    text = describe(write_map(ds, tmp_path / "map.nc"))
    totals = f"6Li {counts[0].sum():,}, 7Li {counts[1].sum():,}"
    for piece in (
        "netcdf",
        "6Li, 7Li",
        "7 x 5 pixels",
        "14 x 15 um",
        "pixels of 2 x 3 um",
        totals,
        ds.attrs["map_id"],
        "59 h",
        "simulated            yes",
        "nothing: ready",
        "by hand",
    ):
        assert piece in text


def test_describe_says_what_is_missing(tmp_path, make_bif6, counts):
    path = tmp_path / "one.bif6"
    path.write_bytes(make_bif6(counts[1:] * 0, [(7.016, 6.9, 7.1)]))
    text = describe(path)
    assert "the field of view, which the file does not state: fov=(x, y)" in text
    assert "the species 6Li" in text
    assert "counts of 7Li (all are zero)" in text
    assert "field of view        unknown" in text
    assert "not yet tried on a real file" in text
    assert "field of view" not in describe(path, fov=(14, 10)).split("missing")[1].split("\n")[0]


def test_describe_of_a_folder(lithium_folder):
    text = describe(lithium_folder)
    assert "6Li, 7Li" in text
    assert "fov=(x, y)" in text


def test_the_field_of_view_belongs_to_the_map(lithium_bif6):
    """Picks are in µm: the same bytes over another field of view are another map."""
    ids = {read_map(lithium_bif6, fov=fov).attrs["map_id"] for fov in ((7, 5), (70, 50), (7, 5))}
    assert len(ids) == 2

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lliso.errors import FormatError, LlisoWarning
from lliso.io import read_map
from lliso.io.iontof_ascii import clean_ion
from lliso.schema import check_map

FOV = (14, 10)


def _one(tmp_path, data, name="s - 7Li+.txt"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("what", ["folder", "file"])
def test_reads_the_whole_family(lithium_folder, counts, what):
    path = lithium_folder if what == "folder" else lithium_folder / "LLTO 59 h - Li+.txt"
    ds = read_map(path, fov=FOV)
    for label, image in zip(("6Li", "7Li"), counts, strict=True):
        np.testing.assert_array_equal(ds.counts.sel(species=label), image)
    assert ds.counts.dtype == np.int32
    assert ds.ion.sel(species="6Li").item() == "^6Li+"
    np.testing.assert_allclose(ds.x, np.arange(7) * 2 + 1)
    assert ds.attrs["dead_time_corrected"] == "unknown"
    assert ds.attrs["orientation"].startswith("unstated by the format; row 0")
    assert ds.attrs["instrument"] == "IONTOF"
    assert str(lithium_folder) not in str(ds.attrs)


def test_folder_and_file_are_the_same_map(lithium_folder):
    one = read_map(lithium_folder, fov=FOV)
    other = read_map(lithium_folder / "LLTO 59 h - Li+.txt", fov=FOV)
    assert one.attrs["map_id"] == other.attrs["map_id"]


def test_map_id_changes_with_names_and_contents(lithium_folder):
    before = read_map(lithium_folder, fov=FOV).attrs["map_id"]
    file = lithium_folder / "LLTO 59 h - Li+.txt"
    file.write_bytes(file.read_bytes() + b"# end\r\n")
    changed = read_map(lithium_folder, fov=FOV).attrs["map_id"]
    file.rename(lithium_folder / "LLTO 59 h - Na+.txt")
    assert len({before, changed, read_map(lithium_folder, fov=FOV).attrs["map_id"]}) == 3


@pytest.mark.parametrize(
    ("name", "label"),
    [("7Li+", "7Li"), ("^6Li+", "6Li"), ("Li+", "7Li"), ("C_2H_4N+", "C2H4N"), ("O_2-", "O2")],
)
def test_ion_names(name, label):
    assert clean_ion(name) == label


def test_order_of_rows_does_not_matter(tmp_path, make_ascii, counts):
    lines = make_ascii(counts[0]).splitlines(keepends=True)
    rng = np.random.default_rng(1)
    shuffled = lines[:1] + [lines[i] for i in rng.permutation(np.arange(1, len(lines)))]
    ds = read_map(_one(tmp_path, b"".join(shuffled)), fov=FOV)
    np.testing.assert_array_equal(ds.counts[0], counts[0])


def test_frames(tmp_path, make_ascii):
    cube = np.arange(60).reshape(3, 4, 5)
    ds = read_map(_one(tmp_path, make_ascii(cube), "s (7) - Li+.txt"), fov=(5, 4))
    assert ds.counts.dims == ("species", "frame", "y", "x")
    np.testing.assert_array_equal(ds.counts[0], cube)


def test_frames_cut_off(tmp_path, make_ascii):
    cube = np.arange(60).reshape(3, 4, 5) + 10
    data = make_ascii(cube)
    path = _one(tmp_path, b"\r\n".join(data.split(b"\r\n")[:-5]) + b"\r\n")
    with pytest.raises(FormatError, match=r"scan 2 must have 20 rows, got 16.*partial=True"):
        read_map(path, fov=(5, 4))
    ds = read_map(path, fov=(5, 4), partial=True)
    np.testing.assert_array_equal(ds.counts[0], cube[:2])
    assert ds.attrs["partial"] == 1
    assert "scan 2 is left out" in ds.attrs["history"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("# Field of View: 500 µm x 200 µm", (500, 200)),
        ("# Field of View (µm): 500 x 200", None),
        ("# FOV = 500.0 x 200.0 um", (500, 200)),
        ("# Raster size: 0.5 x 0.2 mm", (500, 200)),
        ("# Image Size: 7 x 5 pixels", None),
        ("# Field of view: 500 um", "one length"),
        ("# Field of view: 500,5 µm x 200,5 µm", None),
        ("# Field of view: 250000 um²", None),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_field_of_view_from_the_header(tmp_path, make_ascii, counts, line, expected, encoding):
    data = make_ascii(counts[0])
    path = _one(tmp_path, line.encode(encoding) + b"\r\n" + data)
    if isinstance(expected, tuple):
        ds = read_map(path)
        np.testing.assert_allclose(ds.x, (np.arange(7) + 0.5) * expected[0] / 7)
        np.testing.assert_allclose(ds.y, (np.arange(5) + 0.5) * expected[1] / 5)
        return
    with pytest.raises(FormatError, match=expected or "pass the field of view, fov="):
        read_map(path)


def test_given_field_of_view_overrules_the_header_openly(tmp_path, make_ascii, counts):
    path = _one(tmp_path, make_ascii(counts[0], header=["# fov: 500 um x 200 um"]))
    ds = read_map(path, fov=(300, 100))
    assert ds.x.values[0] == pytest.approx(300 / 14)
    assert "header states 500 x 200 um, overruled by fov" in ds.attrs["history"]


def test_headers_that_contradict_each_other(tmp_path, make_ascii, counts):
    _one(tmp_path, make_ascii(counts[0], header=["# fov: 500 um x 200 um"]), "s - 6Li+.txt")
    path = _one(tmp_path, make_ascii(counts[0], header=["# fov: 300 um x 200 um"]))
    with pytest.raises(FormatError, match="headers state 300 x 200 um; 500 x 200 um"):
        read_map(path)


def test_one_number_for_a_square_image(tmp_path, make_ascii, counts):
    path = _one(tmp_path, make_ascii(counts[0][:, :5]))
    assert read_map(path, fov="0.1 mm").x.values[-1] == pytest.approx(90)


def test_one_number_for_another_image(lithium_folder):
    with pytest.raises(ValueError, match=r"fov must be given as \(x, y\) .* not square \(7 x 5"):
        read_map(lithium_folder, fov=500)


@pytest.mark.parametrize(("word", "expected"), [("on", "yes"), ("off", "no")])
def test_dead_time_from_the_header(tmp_path, make_ascii, counts, word, expected):
    header = [f"# Deadtime Correction: {word}"]
    path = _one(tmp_path, make_ascii(counts[0], header=header))
    assert read_map(path, fov=FOV).attrs["dead_time_corrected"] == expected


def test_counts_that_are_not_whole(tmp_path, make_ascii, counts):
    data = make_ascii(counts[0] * 1.01, fmt="{:.6g}")
    path = _one(tmp_path, data)
    with pytest.warns(LlisoWarning, match="not whole numbers, so they are taken as corrected"):
        ds = read_map(path, fov=FOV)
    assert ds.attrs["dead_time_corrected"] == "yes"
    assert ds.counts.dtype == np.float64
    np.testing.assert_allclose(ds.counts[0], counts[0] * 1.01, rtol=1e-5)
    path.write_bytes(b"# Deadtime Correction: on\r\n" + data)
    assert read_map(path, fov=FOV).attrs["dead_time_corrected"] == "yes"
    path.write_bytes(b"# Deadtime Correction: off\r\n" + data)
    with pytest.raises(FormatError, match="counts must be whole numbers where the header says"):
        read_map(path, fov=FOV)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        (b"3 1 13", b"3 1 nan", 12, "counts finite and not negative, got '3 1 nan'"),
        (b"3 1 13", b"3 1 inf", 12, "counts finite"),
        (b"3 1 13", b"3 1 -2", 12, "counts finite and not negative, got '3 1 -2'"),
        (b"3 1 13", b"3.5 1 13", 12, "pixel numbers must be whole"),
        (b"3 1 13", b"3 1", 12, "must have 3 numbers, got '3 1'"),
        (b"3 1 13", b"3 1 13 4", 12, "must have 3 numbers"),
        (b"3 1 13", b"3 1 1x", 12, "must have 3 numbers, got '3 1 1x'"),
        (b"3 1 13", b"3 1 13,5", 12, "export with decimal points"),
        (b"3 1 13", b"3 1 1_3", None, "cannot be read as numbers"),
        (b"3 1 13", b"2 1 13", 12, r"pixel \(X=2, Y=1\) must occur once"),
        (b"3 1 13\r\n", b"", None, r"35 rows, got 34; the first one missing is \(X=3, Y=1\)"),
        (b"3 1 13", b"3000000000 1 13", None, "rows, got 35"),
        (b"3 1 13", b"3 1 9e99", None, "at most 2147483647 counts"),
    ],
)
def test_damaged_rows(tmp_path, make_ascii, counts, old, new, line, message):
    data = make_ascii(counts[0])
    assert data.count(old) == 1
    path = _one(tmp_path, data.replace(old, new))
    with pytest.raises(FormatError, match=message) as caught:
        read_map(path, fov=FOV)
    assert caught.value.offset == line


def test_lost_beginning(tmp_path, make_ascii, counts):
    lines = make_ascii(counts[0]).splitlines(keepends=True)
    with pytest.raises(FormatError, match="X and Y must start at 0"):
        read_map(_one(tmp_path, b"".join(lines[8:])), fov=FOV)


def test_mismatched_images(lithium_folder, make_ascii, counts):
    file = lithium_folder / "LLTO 59 h - Li+.txt"
    file.write_bytes(make_ascii(counts[1][:4]))
    with pytest.raises(FormatError, match=r"same size, got .*6Li: 7 x 5.*7Li: 7 x 4"):
        read_map(lithium_folder, fov=FOV)


def test_same_ion_twice(lithium_folder, make_ascii, counts):
    (lithium_folder / "LLTO 59 h - 7Li+.txt").write_bytes(make_ascii(counts[1]))
    with pytest.raises(FormatError, match=r"- 7Li\+.txt' and .*- Li\+.txt' must be of different"):
        read_map(lithium_folder, fov=FOV)


def test_two_samples_in_a_folder(lithium_folder, make_ascii, counts):
    (lithium_folder / "LLTO 16 d - 7Li+.txt").write_bytes(make_ascii(counts[1]))
    with pytest.raises(FormatError, match=r"'LLTO 16 d' \(1 files\), 'LLTO 59 h' \(2 files\)"):
        read_map(lithium_folder, fov=FOV)
    ds = read_map(lithium_folder / "LLTO 16 d - 7Li+.txt", fov=FOV)
    assert ds.species.values.tolist() == ["7Li"]


def test_other_exports_beside_the_images_are_left_alone(lithium_folder):
    (lithium_folder / "LLTO 59 h - NF.txt").write_text("# Profile Smoothing is Disabled\r\n")
    (lithium_folder / "README.txt").write_text("what this is\n")
    assert read_map(lithium_folder, fov=FOV).sizes["species"] == 2


def test_a_damaged_sibling_is_not_skipped(lithium_folder):
    (lithium_folder / "LLTO 59 h - Na+.txt").write_bytes(b"")
    with pytest.raises(FormatError, match=r"Na\+.txt: at 1: the file is empty"):
        read_map(lithium_folder, fov=FOV)


def test_name_without_ion(tmp_path, make_ascii, counts):
    with pytest.raises(FormatError, match="must end with ' - ' and the ion"):
        read_map(_one(tmp_path, make_ascii(counts[0]), "image.txt"), fov=FOV)


def test_header_only(tmp_path):
    path = _one(tmp_path, b"# a\r\n# b\r\n")
    with pytest.raises(FormatError, match="no rows"):
        read_map(path, format="iontof-ascii", fov=FOV)


def test_missing_species_is_named(tmp_path, make_ascii, counts):
    ds = read_map(_one(tmp_path, make_ascii(counts[0])), fov=FOV)
    with pytest.raises(ValueError, match="lacks the species 6Li; it holds 7Li"):
        check_map(ds, needs=("6Li", "7Li"))


def test_a_number_cut_off_in_the_last_line_is_noticed(tmp_path, make_ascii, counts):
    data = make_ascii(counts[0]).rstrip()
    path = _one(tmp_path, data[:-1])
    with pytest.raises(FormatError, match="last line must end with a line break"):
        read_map(path, fov=FOV)
    assert read_map(path, fov=FOV, partial=True).counts[0, -1, -1] == 3


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 400), st.binary(max_size=3), st.booleans())
def test_damage_is_refused_or_changes_one_pixel(tmp_path, make_ascii, counts, at, new, cut):
    """Bytes replaced anywhere (or everything after them cut off): an error, or all else intact."""
    data = make_ascii(counts[0])
    at = min(at, len(data))
    path = tmp_path / "s - 7Li+.txt"
    path.write_bytes(data[:at] + new + (b"" if cut else data[at + len(new) :]))
    try:
        ds = read_map(path, fov=FOV)
    except FormatError:
        return
    except LlisoWarning:  # "1.5" for "135" is a number, and suspicious
        return
    rows = ds.sizes["y"]  # cut off after a whole row of pixels, it is a smaller image
    assert ds.counts.shape == (1, rows if cut else 5, 7)
    assert np.count_nonzero(ds.counts.values[0] != counts[0][:rows]) <= 2


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 4), st.integers(-9, 9))
@example(4, 0)
def test_cut_off_is_refused_unless_between_rows_of_pixels(tmp_path, make_ascii, counts, rows, by):
    """After a whole row of pixels nothing in the file tells: it is a smaller image."""
    whole = make_ascii(counts[0])
    end = len(make_ascii(counts[0][:rows])) if rows else 21
    path = tmp_path / "s - 7Li+.txt"
    path.write_bytes(whole[: end + by])
    if by or rows < 2:
        with pytest.raises(FormatError):
            read_map(path, fov=FOV)
    else:
        np.testing.assert_array_equal(read_map(path, fov=FOV).counts[0], counts[0][:rows])


def test_cut_between_rows_of_pixels_is_seen_beside_another_ion(lithium_folder, make_ascii, counts):
    file = lithium_folder / "LLTO 59 h - Li+.txt"
    file.write_bytes(make_ascii(counts[1][:3]))
    with pytest.raises(FormatError, match="must have the same size"):
        read_map(lithium_folder, fov=FOV)

import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lliso.errors import FormatError
from lliso.io import read_map
from lliso.io._reader import hash_of_files, read_hashed

LI6_WINDOW = (6.015, 5.99, 6.04)
LI7_WINDOW = (7.016, 6.99, 7.04)
FOV = (14, 10)
STRIDE = 16 + 4 * 35


def test_reads_counts_species_and_coordinates(lithium_bif6, counts):
    ds = read_map(lithium_bif6, fov=FOV)
    assert ds.species.values.tolist() == ["6Li", "7Li"]
    np.testing.assert_array_equal(ds.counts, counts)
    assert ds.counts.dtype == np.int32
    np.testing.assert_allclose(ds.x, np.arange(7) * 2 + 1)
    np.testing.assert_allclose(ds.y, np.arange(5) * 2 + 1)
    np.testing.assert_allclose(ds.mass_upper, [6.04, 7.04], rtol=1e-6)
    assert ds.attrs["orientation"].startswith("unstated by the format; row 0")
    assert ds.attrs["dead_time_corrected"] == "unknown"
    assert ds.attrs["source"] == "lithium.bif6"
    assert "field of view 14 x 10 um" in ds.attrs["history"]
    assert "partial" not in ds.attrs


def test_map_id_is_that_of_the_file_whatever_its_name(lithium_bif6, tmp_path):
    copy = tmp_path / "renamed"
    copy.write_bytes(lithium_bif6.read_bytes())
    expected = read_map(lithium_bif6, fov=FOV).attrs["map_id"]
    assert read_map(copy, fov=FOV).attrs["map_id"] == expected
    changed = bytearray(lithium_bif6.read_bytes())
    changed[-4] ^= 1  # one count of one pixel
    copy.write_bytes(changed)
    assert read_map(copy, fov=FOV).attrs["map_id"] != expected


@pytest.mark.parametrize("size", [-1, 1, 40])
def test_a_file_that_changes_while_it_is_read_is_refused(lithium_bif6, size):
    now = lithium_bif6.stat().st_size
    with pytest.raises(FormatError, match="the file changed while it was read; read it again"):
        read_hashed(lithium_bif6, now + size)


def test_bytes_and_name_are_those_of_the_file_whatever_the_blocks(tmp_path, monkeypatch):
    path = tmp_path / "any"
    content = np.random.default_rng(3).bytes(10_000)
    path.write_bytes(content)
    for block in (1_000, 3_333, 10_000, 20_000):
        monkeypatch.setattr("lliso.io._reader._BLOCK", block)
        data, map_id = read_hashed(path, len(content))
        assert data.tobytes() == content
        assert map_id() == hash_of_files([("any", content)])


def test_counts_may_be_written_over(lithium_bif6, counts):
    ds = read_map(lithium_bif6, fov=FOV)
    ds["counts"][:] = 1  # a view of what was read, not of the file
    assert (ds["counts"] == 1).all()
    assert (read_map(lithium_bif6, fov=FOV)["counts"].values == counts).all()


def test_order_of_intervals_ids_and_other_ions(tmp_path, make_bif6, counts):
    images = [counts[1], counts.sum(axis=0), counts[0], counts[0] + 1]
    windows = [LI7_WINDOW, (500.0, 0.0, 1000.0), LI6_WINDOW, (22.9898, 22.9, 23.1)]
    path = tmp_path / "four.bif6"
    path.write_bytes(make_bif6(images, windows, ids=[17, 4, 9, 2]))
    ds = read_map(path, fov=FOV)
    assert ds.species.values.tolist() == ["7Li", "m/z 0 to 1000", "6Li", "m/z 22.99"]
    np.testing.assert_array_equal(ds.counts.sel(species="6Li"), counts[0])
    assert "overlapping_windows" not in ds.attrs


def test_hydride_beside_7li_is_not_taken_for_it(tmp_path, make_bif6, counts):
    path = tmp_path / "hydride.bif6"
    windows = [(7.016, 7.010, 7.020), (7.0229, 7.0201, 7.03)]
    path.write_bytes(make_bif6(counts, windows))
    assert read_map(path, fov=FOV).species.values.tolist() == ["7Li", "m/z 7.02"]


def test_overlapping_lithium_windows_are_named(tmp_path, make_bif6, counts):
    path = tmp_path / "overlap.bif6"
    path.write_bytes(make_bif6(counts, [LI7_WINDOW, (7.02, 7.0, 7.2)]))
    with pytest.raises(FormatError, match=r"6.99 to 7.04 .* and 7 to 7.2 .* could each be 7Li"):
        read_map(path, fov=FOV)


def test_other_overlaps_are_recorded(tmp_path, make_bif6, counts):
    path = tmp_path / "overlap.bif6"
    path.write_bytes(make_bif6(counts, [(28.0, 27.9, 28.1), (28.05, 28.0, 28.2)]))
    ds = read_map(path, fov=FOV)
    assert "27.9 to 28.1" in ds.attrs["overlapping_windows"]


def test_same_label_twice_is_told_apart(tmp_path, make_bif6, counts):
    path = tmp_path / "twice.bif6"
    path.write_bytes(make_bif6(counts, [(28.001, 27.99, 28.002), (28.003, 28.0025, 28.01)]))
    assert len(set(read_map(path, fov=FOV).species.values)) == 2
    path.write_bytes(make_bif6(counts, [(28.0, 27.0, 29.0)] * 2))
    assert len(set(read_map(path, fov=FOV).species.values)) == 2


@pytest.mark.parametrize(
    ("fov", "message"),
    [
        (500, r"fov must be given as \(x, y\) in um because .* not square \(7 x 5 pixels\)"),
        ((500, 0), "fov must be positive"),
        ((1, 2, 3), "fov must be one length or"),
        (("1 s", "1 s"), "fov must have a unit like um"),
    ],
)
def test_senseless_field_of_view(lithium_bif6, fov, message):
    with pytest.raises(ValueError, match=message):
        read_map(lithium_bif6, fov=fov)


def test_missing_field_of_view_says_how_to_pass_it(lithium_bif6):
    with pytest.raises(FormatError, match=r"does not say how large .*fov=\(x, y\) in um"):
        read_map(lithium_bif6)


@pytest.mark.parametrize("size", [*range(1, 13), 13, 28, 12 + STRIDE, 11 + STRIDE, 11 + 2 * STRIDE])
def test_truncated(lithium_bif6, size):
    data = lithium_bif6.read_bytes()
    assert len(data) == 12 + 2 * STRIDE
    lithium_bif6.write_bytes(data[:size])
    with pytest.raises(FormatError, match=r"must have 12 bytes|ends early|no format"):
        read_map(lithium_bif6, fov=FOV)


def test_truncated_file_read_in_part_on_request(lithium_bif6, counts):
    lithium_bif6.write_bytes(lithium_bif6.read_bytes()[: 12 + STRIDE + 40])
    with pytest.raises(FormatError, match="partial=True reads the 1 whole images"):
        read_map(lithium_bif6, fov=FOV)
    ds = read_map(lithium_bif6, fov=FOV, partial=True)
    assert ds.species.values.tolist() == ["6Li"]
    assert ds.attrs["partial"] == 1
    assert "1 of 2 images" in ds.attrs["history"]
    np.testing.assert_array_equal(ds.counts[0], counts[0])


@pytest.mark.parametrize("partial", [False, True])
def test_extra_bytes(lithium_bif6, partial):
    lithium_bif6.write_bytes(lithium_bif6.read_bytes() + b"\0")
    with pytest.raises(FormatError, match="need 324 bytes, the file has 325: it is damaged"):
        read_map(lithium_bif6, fov=FOV, partial=partial)


@pytest.mark.parametrize("partial", [False, True])
def test_header_that_promises_too_much_allocates_nothing(lithium_bif6, partial):
    data = bytearray(lithium_bif6.read_bytes())
    data[6:12] = struct.pack("<3H", 0xFFFF, 0xFFFF, 0xFFFF)
    lithium_bif6.write_bytes(data)
    read_map_needs = 2_000_000  # imports and messages; the promise is 1.1e15 bytes
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="ends early"):
            read_map(lithium_bif6, fov=FOV, partial=partial)
        assert tracemalloc.get_traced_memory()[1] < read_map_needs
    finally:
        tracemalloc.stop()


def test_nothing_in_the_header(lithium_bif6):
    lithium_bif6.write_bytes(b"\0\0BIF6" + struct.pack("<3H", 0, 5, 5))
    with pytest.raises(FormatError, match="at least one image and pixel"):
        read_map(lithium_bif6, fov=FOV)


@pytest.mark.parametrize("window", [(7.0, 6.0, float("nan")), (9.0, 6.0, 7.0), (-1.0, -2.0, 0.0)])
def test_impossible_mass_interval(lithium_bif6, make_bif6, counts, window):
    lithium_bif6.write_bytes(make_bif6(counts, [LI6_WINDOW, window]))
    with pytest.raises(FormatError, match=f"at {12 + STRIDE}: mass interval 1 must have"):
        read_map(lithium_bif6, fov=FOV)


def test_signalling_nan_as_mass(lithium_bif6):
    data = bytearray(lithium_bif6.read_bytes())
    data[16:20] = bytes.fromhex("0100807f")
    lithium_bif6.write_bytes(data)
    with pytest.raises(FormatError, match=r"mass interval 0 must have .* got centre nan"):
        read_map(lithium_bif6, fov=FOV)


def test_a_flipped_high_bit_does_not_become_two_thousand_million_ions(lithium_bif6):
    data = bytearray(lithium_bif6.read_bytes())
    data[12 + 16 + 3] |= 0x80
    lithium_bif6.write_bytes(data)
    with pytest.raises(FormatError, match="must hold at most 2147483647 counts, got 2147483651"):
        read_map(lithium_bif6, fov=FOV)


def test_counts_are_bounded_by_the_shots(lithium_bif6):
    ds = read_map(lithium_bif6, fov=FOV, shots=100)
    assert int(ds.shots) == 100
    with pytest.raises(FormatError, match="more counts than the 50 shots, got 72"):
        read_map(lithium_bif6, fov=FOV, shots=50)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 28 + STRIDE), st.integers(0, 255), st.integers(0, 12 + 2 * STRIDE))
@example(6, 0, 324)
@example(8, 5, 324)
def test_damage_is_refused_or_harmless(lithium_bif6, make_bif6, counts, at, value, size):
    """A byte changed before the last image, then the file cut off."""
    data = bytearray(make_bif6(counts, [LI6_WINDOW, LI7_WINDOW]))
    data[min(at, len(data) - 1)] = value
    lithium_bif6.write_bytes(data[:size])
    try:
        ds = read_map(lithium_bif6, fov=FOV)
    except FormatError:
        return
    assert size == len(data)
    assert ds.counts.size == 70
    # The format has no checksum: at most the pixel that holds the changed byte may differ.
    flat = ds.counts.values.reshape(-1)
    if ds.sizes["x"] == 7:
        assert np.count_nonzero(flat != counts.reshape(-1)) <= 1

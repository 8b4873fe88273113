import random
import struct
import zlib

import numpy as np
import pytest

from lliso.errors import FormatError
from lliso.io import describe, read_map

STACK = "filterdata/TofCorrection/ImageStack/Reduced Data"


def _block(kind, name, number, n, value):
    raw = name.encode()
    return struct.pack("<B6I", kind, 25, len(raw), number, n, len(value), len(value)) + raw + value


def _write(tree, out, name="", number=0, split=None):
    """Append a tree to `out`, children first; return kind, length and place of its block.

    A dict is a directory of (name, id); bytes a value; ("zip", bytes) a compressed one. The
    directory called `split` is written in two pieces.
    """
    if not isinstance(tree, dict):
        kind, value = (0x80, zlib.compress(tree[1])) if isinstance(tree, tuple) else (0, tree)
        at = len(out)
        out += _block(kind, name, number, 0, value)
        return kind, len(value), at
    entries = [(k, _write(v, out, *k, split=split)) for k, v in tree.items()]
    pieces = [entries]
    if name == split:
        pieces = [entries[:1], entries[1:]]
    following = 0
    for i, piece in reversed(list(enumerate(pieces))):
        names = b"".join(k[0].encode() for k, _ in piece)
        index = 41 + 33 * len(piece)
        value = struct.pack("<2I5B5IQ", index, len(piece), *[0] * 5, *[0] * 5, following)
        for (child, child_number), (kind, length, place) in piece:
            value += struct.pack(
                "<B4I2Q", kind, index, len(child), child_number, kind in (0, 128), length, place
            )
            index += len(child)
        following = len(out)
        out += _block(1 if i == 0 else 3, name, number, len(piece), value + names)
    return 1, 0, following


def _long(n):
    return struct.pack("<i", n)


def _double(v):
    return struct.pack("<d", v)


def _text(s):
    return s.encode("utf-16-le")


def _tree(images, intervals, *, later=False, fov=50e-6, stack_size=True):
    ny, nx = images[0].shape
    peaks = {}
    for i, (number, mz, assign, desc) in enumerate(intervals):
        centre, lower, upper = mz
        peaks["mi", i] = {
            ("id", 0): _long(number),
            ("cmass", 0): _double(centre),
            ("lmass", 0): _double(lower),
            ("umass", 0): _double(upper),
            ("assign", 0): _text(assign),
            ("desc", 0): _text(desc),
            ("SN", 0): _text(f"sn-{number}"),
        }
    data = [("zip", image.astype("<u4").tobytes()) for image in images]
    if later:
        reduced = {
            ("Images", 0): {
                (f"sn-{n}", 0): {("SumImage", 0): d}
                for (n, *_), d in zip(intervals, data, strict=True)
            }
        }
    else:
        reduced = {
            ("ImageStackScansAdded", 0): {
                ("Image", n): {("ImageArray.Long", 0): d}
                for (n, *_), d in zip(intervals, data, strict=True)
            }
        }
    if stack_size:
        reduced["ImageStackScans", 0] = {
            ("Image.XSize", 0): _long(nx),
            ("Image.YSize", 0): _long(ny),
        }
    si = {("res_x", 0): _long(nx), ("res_y", 0): _long(ny), ("fieldofview", 0): _double(fov)}
    stack = {("ImageStack", 0): {("Reduced Data", 0): reduced}}
    return {
        ("Meta", 0): {("SI Image", 0): si},
        ("MassIntervalList", 0): peaks,
        ("filterdata", 0): {("TofCorrection", 0): stack},
    }


def _file(tree, split=None):
    """The root block lies right behind the mark, so that places are found twice."""
    length = 0
    for _ in range(2):
        out = bytearray(b"ITStrF01" + bytes(length))
        entries = [(k, _write(v, out, *k, split=split)) for k, v in tree.items()]
        names = b"".join(k[0].encode() for k, _ in entries)
        index = 41 + 33 * len(entries)
        value = struct.pack("<2I25xQ", index, len(entries), 0)
        for (child, number), (kind, n, place) in entries:
            value += struct.pack("<B4I2Q", kind, index, len(child), number, 0, n, place)
            index += len(child)
        root = _block(1, "", 0, len(entries), value + names)
        length = len(root)
    out[8 : 8 + length] = root
    return bytes(out)


INTERVALS = [
    (0, (0.0, 0.0, 0.0), "", "total"),
    (2, (6.015, 5.99, 6.04), "^6Li+", ""),
    (3, (7.016, 6.99, 7.04), "", ""),
    (7, (22.99, 22.9, 23.1), "Na+", "sodium"),
]


@pytest.fixture
def images():
    return np.arange(4 * 3 * 5).reshape(4, 3, 5)


@pytest.fixture
def path(tmp_path, images):
    path = tmp_path / "x.ita"
    path.write_bytes(_file(_tree(images, INTERVALS)))
    return path


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("split", [None, "MassIntervalList", "SI Image"])
def test_sum_images_names_and_orientation(path, images, later, split):
    path.write_bytes(_file(_tree(images, INTERVALS, later=later), split))
    ds = read_map(path)
    assert ds.species.values.tolist() == ["total", "6Li", "7Li", "Na"]
    np.testing.assert_array_equal(ds.counts, images)
    np.testing.assert_allclose(ds.x, (np.arange(5) + 0.5) * 10)
    np.testing.assert_allclose(ds.y, (np.arange(3) + 0.5) * 10)
    np.testing.assert_allclose(ds.mass_upper, [0, 6.04, 7.04, 23.1])
    assert ds.ion.values.tolist() == ["total", "^6Li+", "", "Na+"]
    assert ds.attrs["orientation"].startswith("row 0 is the bottom")
    assert "not yet tried on a real file" in describe(path)


def test_binned_images_keep_the_field_of_view(path, images):
    tree = _tree(images, INTERVALS)
    tree["Meta", 0]["SI Image", 0].update({("res_x", 0): _long(10), ("res_y", 0): _long(6)})
    path.write_bytes(_file(tree))
    assert read_map(path).x.values[-1] == pytest.approx(45)


def test_sizes_of_the_measurement_where_there_are_no_scans(path, images):
    path.write_bytes(_file(_tree(images, INTERVALS, stack_size=False)))
    assert dict(read_map(path).sizes) == {"species": 4, "y": 3, "x": 5}


def test_field_of_view_missing_or_overruled(path, images):
    assert "50 x 30 um, overruled by fov" in read_map(path, fov=(5, 3)).attrs["history"]
    path.write_bytes(_file(_tree(images, INTERVALS, fov=0.0)))
    with pytest.raises(FormatError, match="pass the field of view"):
        read_map(path)


def test_overlapping_windows(path, images):
    both = [*INTERVALS[:3], (7, (7.0229, 7.0, 7.1), "6LiH+", "")]
    path.write_bytes(_file(_tree(images, both)))
    ds = read_map(path)
    assert ds.species.values.tolist() == ["total", "6Li", "7Li", "6LiH"]
    assert "6.99 to 7.04" in ds.attrs["overlapping_windows"]
    path.write_bytes(_file(_tree(images, [*INTERVALS[:3], (7, (7.02, 7.0, 7.1), "", "")])))
    with pytest.raises(FormatError, match="overlap and could each be 7Li"):
        read_map(path)
    path.write_bytes(
        _file(_tree(images, [*INTERVALS[:2], (3, (7, 7, 7), "Li+", ""), (4, (7, 7, 7), "7Li", "")]))
    )
    with pytest.raises(FormatError, match="one mass interval must be 7Li, got 2"):
        read_map(path)


def test_intervals_without_an_image_are_named(path, images):
    tree = _tree(images, INTERVALS)
    added = tree["filterdata", 0]["TofCorrection", 0]["ImageStack", 0]["Reduced Data", 0]
    del added["ImageStackScansAdded", 0]["Image", 7]
    path.write_bytes(_file(tree))
    ds = read_map(path)
    assert ds.sizes["species"] == 3
    assert "no image of Na+" in ds.attrs["history"]
    del added["ImageStackScansAdded", 0]
    path.write_bytes(_file(tree))
    with pytest.raises(FormatError, match="must hold the images of its mass intervals"):
        read_map(path)


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("Meta", "SI Image", "res_x"), _long(10**9), "1 to 65536 pixels"),
        (("Meta", "SI Image", "res_x"), b"\0", r"'res_x' must hold one number \(i\)"),
        (("Meta", "SI Image"), b"\0", "'SI Image' must be a directory"),
        (("MassIntervalList",), {}, "mass intervals must have different ids"),
        (("Meta", "SI Image", "res_x"), _long(60_000), "must hold 720000 bytes, 37 are stored"),
    ],
)
def test_impossible_contents(path, images, where, value, message):
    tree = _tree(images, INTERVALS, stack_size=False)
    folder = tree
    for step in where[:-1]:
        folder = folder[step, 0]
    folder[where[-1], 0] = value
    path.write_bytes(_file(tree))
    with pytest.raises(FormatError, match=message):
        read_map(path)


def test_image_of_another_size(path, images):
    tree = _tree(images, INTERVALS)
    stack = tree["filterdata", 0]["TofCorrection", 0]["ImageStack", 0]["Reduced Data", 0]
    image = stack["ImageStackScansAdded", 0]["Image", 2]
    for wrong in (bytes(4 * 14), bytes(4 * 16), bytes(10**6)):
        image["ImageArray.Long", 0] = ("zip", wrong)
        path.write_bytes(_file(tree))
        with pytest.raises(FormatError, match="must hold 60 bytes"):
            read_map(path)
    image["ImageArray.Long", 0] = b"no zlib"
    path.write_bytes(_file(tree))
    with pytest.raises(FormatError, match="cannot be decompressed"):
        read_map(path)


def test_a_directory_in_a_circle(path):
    data = bytearray(path.read_bytes())
    struct.pack_into("<Q", data, 8 + 25 + 33, 8)  # the root goes on with itself
    path.write_bytes(data)
    with pytest.raises(FormatError, match="runs in a circle"):
        read_map(path)


def test_truncated_everywhere(path):
    data = path.read_bytes()
    for size in (*range(120), *range(120, len(data), 13), len(data) - 1):
        path.write_bytes(data[:size])
        with pytest.raises(FormatError):
            read_map(path)


def test_flipped_bytes_are_refused_or_change_no_image(path, images):
    """Images are under zlib's checksum; names and masses are not."""
    data = path.read_bytes()
    rng = random.Random(4)
    read = 0
    for _ in range(400):
        damaged = bytearray(data)
        damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        try:
            ds = read_map(path, format="ita", fov=(5, 3))
        except FormatError:
            continue
        read += 1
        for image in ds.counts.values.reshape(ds.sizes["species"], -1):
            assert image.tolist() in images.reshape(4, -1).tolist()
    assert read > 50


def test_raw_data_are_not_images(tmp_path, path):
    raw = tmp_path / "x.itm"
    raw.write_bytes(path.read_bytes())
    with pytest.raises(FormatError, match="export images as BIF6 or as ASCII"):
        read_map(raw)


def test_what_is_no_block_file_is_said_to_be_damaged(tmp_path):
    path = tmp_path / "x.ita"
    path.write_bytes(b"ITStrF02" + bytes(100))
    with pytest.raises(FormatError, match="by its name it should be ita: is it damaged"):
        read_map(path)

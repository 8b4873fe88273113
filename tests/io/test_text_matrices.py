"""CSV and TXT matrices: every way of writing gives one map; what is ambiguous is refused."""

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lliso.errors import FormatError
from lliso.io import read_map

FOV = (14, 10)


def _text(image, separator=",", decimal=".", header="", end="\n", fmt="{}"):
    rows = [separator.join(fmt.format(v).replace(".", decimal) for v in row) for row in image]
    return (header + end.join(rows) + end).encode()


def _pair(folder, counts, **how):
    for ion, image in zip(("6Li", "7Li"), counts, strict=True):
        (folder / f"LLTO_{ion}.csv").write_bytes(_text(image, **how))
    return folder / "LLTO_6Li.csv"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("separator", "decimal", "fmt"),
    [
        (",", ".", "{}"),
        (", ", ".", "{}"),
        (";", ".", "{:.1f}"),
        (";", ",", "{:.1f}"),
        ("\t", ",", "{:.2f}"),
        ("\t", ".", "{:.3e}"),
        (" ", ",", "{:.1f}"),
        ("   ", ".", "{:>4}"),
    ],
)
def test_every_way_of_writing_gives_the_same_map(tmp_path, counts, separator, decimal, fmt, end):
    path = _pair(tmp_path, counts, separator=separator, decimal=decimal, fmt=fmt, end=end)
    for source in (path, tmp_path):
        ds = read_map(source, fov=FOV)
        assert list(ds.species.values) == ["6Li", "7Li"]
        assert ds.counts.dtype == np.int32
        np.testing.assert_array_equal(ds.counts.values, counts)
        assert ds.x.values[0] == 1
        assert ds.y.values[-1] == 9
        assert ds.attrs["orientation"].startswith("unstated")


def test_encodings(tmp_path, counts):
    text = "# Größe in µm\n" + _text(counts[0]).decode()
    path = tmp_path / "7Li.csv"
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "latin-1"):
        path.write_bytes(text.encode(encoding))
        np.testing.assert_array_equal(read_map(path, fov=FOV).counts.values[0], counts[0])


def test_header_with_field_of_view_and_dead_time(tmp_path, counts):
    header = "# Field of View: 0.5 mm x 200 um\n# Deadtime Correction: on\nExported by hand\n"
    ds = read_map(_pair(tmp_path, counts + 0.25, header=header, fmt="{:.2f}"))
    assert ds.attrs["dead_time_corrected"] == "yes"
    assert ds.counts.values[0, 0, 0] == counts[0, 0, 0] + 0.25
    assert ds.x.values[0] + ds.x.values[-1] == pytest.approx(500)
    assert ds.y.values[0] + ds.y.values[-1] == pytest.approx(200)


@pytest.mark.parametrize(("corner", "scale"), [("", 1), ("y/x (mm)", 1000), ("y [nm]", 0.001)])
def test_coordinates(tmp_path, counts, corner, scale):
    x, y = np.arange(7) * 0.5 + 3, np.arange(5)[::-1] * 2.0 - 4
    lines = [";".join([corner, *map(str, x)])]
    lines += [";".join([str(v), *map(str, row)]) for v, row in zip(y, counts[0], strict=True)]
    path = tmp_path / "7Li.csv"
    path.write_text("\n".join(lines) + "\n")
    ds = read_map(path)
    np.testing.assert_allclose(ds.x.values, x * scale)
    np.testing.assert_allclose(ds.y.values, y[::-1] * scale)
    np.testing.assert_array_equal(ds.counts.values[0], counts[0][::-1])
    assert "downwards" in ds.attrs["orientation"]


def test_coordinates_must_be_even(tmp_path):
    path = tmp_path / "7Li.csv"
    path.write_text(";0;1;2.5\n0;5;6;7\n1;5;6;7\n")
    with pytest.raises(FormatError, match="coordinates x must grow in equal steps"):
        read_map(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,5\n2,5\n3,5\n", "could be two numbers or one with a decimal comma"),
        ("1,234;5,678\n1,234;5,678\n", "decimal comma or thousands"),
        ("1;2\t3\n4;5\t6\n", "tabs and semicolons"),
        ("1, 2 3, 4\n5, 6 7, 8\n", "blanks and commas"),
        ("1;2;3\n4;5\n", r"at 2: every row must have 3 numbers, got 2"),
        ("1;2;3\n4;x;6\n", "at 2: every cell must be a finite number, got 'x'"),
        ("1;2;3\n4;1_0;6\n", "finite number, got '1_0'"),
        ("1;2;3\n4;nan;6\n", "finite number, got 'nan'"),
        ("1;2;3\n4;-5;6\n", "counts must not be negative, got -5"),
        ("1;2;3\n4;5.5;6\n", "counts must be whole numbers, got 5.5"),
        ("1;2;3\n4;5000000000;6\n", "at most 2147483647 counts, got 5e"),
        ("1;2;3\n4;1e999;6\n", "a number is too large"),
        ("1;2;3\n4;5;6", "last line must end with a line break"),
        ("1;2;3\n", "at least 2 x 2 pixels, got 3 x 1"),
        ("position (um);6Li;7Li\n0;5;6\n", "a table of a line analysis.*read_profile"),
        ("0;5;60\n10;5;60\n20;5;60\n30;5;61\n40;5;62\n", "coordinates in its first columns"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, message):
    path = tmp_path / "7Li.csv"
    path.write_text(text)
    with pytest.raises(FormatError, match=message):
        read_map(path, fov=(3, 2))


def test_field_of_view_missing(tmp_path, counts):
    with pytest.raises(FormatError, match="pass the field of view"):
        read_map(_pair(tmp_path, counts))


def test_two_samples_in_a_folder(tmp_path, counts):
    _pair(tmp_path, counts)
    (tmp_path / "other_6Li.csv").write_bytes(_text(counts[0]))
    with pytest.raises(FormatError, match="exactly one sample, found: 'LLTO', 'other'"):
        read_map(tmp_path, fov=FOV)


def test_sizes_differ(tmp_path, counts):
    path = _pair(tmp_path, counts)
    path.write_bytes(_text(counts[0][:4]))
    with pytest.raises(FormatError, match=r"same size, got LLTO_6Li.csv: 7 x 4, .* 7 x 5"):
        read_map(path, fov=FOV)


def test_the_same_ion_twice(tmp_path, counts):
    _pair(tmp_path, counts)
    (tmp_path / "LLTO_^6Li+.csv").write_bytes(_text(counts[0]))
    with pytest.raises(FormatError, match="of another ion, got 6Li twice"):
        read_map(tmp_path, fov=FOV)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 100), st.binary(max_size=3), st.booleans())
@example(0, b"x", False)
def test_damage_is_refused_or_seen(tmp_path, counts, at, new, cut):
    """One place changed: an error, or a map of the same shape with all other pixels intact.

    The numbers do not rise in equal steps: without its first one such an image would be a matrix
    with its coordinates beside it.
    """
    image = counts[0] * 37 % 101
    data = _text(image)
    at = min(at, len(data))
    path = tmp_path / "7Li.csv"
    path.write_bytes(data[:at] + new + (b"" if cut else data[at + len(new) :]))
    try:
        values = read_map(path, fov=FOV).counts.values[0]
    except FormatError:
        return
    assert values.shape[1] == 7
    if values.shape[0] == 5:
        assert np.count_nonzero(values != image) <= 2
    else:  # cut off between rows, or a row made a comment or a header: a smaller image
        assert values.shape[0] < 5

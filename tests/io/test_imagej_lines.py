"""Lines drawn in ImageJ become cuts and go back; other selections and damage are named."""

import io
import struct
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lliso.errors import FormatError, LlisoWarning
from lliso.io import describe, read_cuts, write_cuts
from lliso.maps.cuts import LineCut, line_profile
from lliso.schema import make_map


@pytest.fixture(autouse=True)
def roifile():
    return pytest.importorskip("roifile")


@pytest.fixture
def pixels():
    """A map of 0.5 µm pixels in which every pixel has a number of its own."""
    return make_map(
        np.arange(50 * 60).reshape(1, 50, 60),
        ["7Li"],
        x=np.arange(60) * 0.5 + 0.25,
        y=np.arange(50) * 0.5 + 10.25,
    )


def _line(x1, y1, x2, y2, width=1, name=b"", kind=3):
    """A straight line as ImageJ saves it, by struct alone."""
    first = struct.pack(">4shBxhhhhH", b"Iout", 228, kind, 0, 0, 0, 0, 0)
    first += struct.pack(">4f", x1, y1, x2, y2)
    first += struct.pack(">hi4s4shhBBhii", width, 0, b"", b"", 0, 0, 0, 0, 0, 0, 64)
    text = name.decode().encode("utf-16-be")
    second = struct.pack(
        ">4xiiiii4shBBifiii", 0, 0, 0, 128, len(text) // 2, b"", 0, 0, 0, 0, 0, 0, 0, 0
    )
    return first + second.ljust(64, b"\0") + text


def test_a_line_as_imagej_saves_it(tmp_path, pixels):
    """Whole numbers are centres of pixels: the band holds what ImageJ shows under it."""
    path = tmp_path / "a.roi"
    path.write_bytes(_line(10, 5, 10, 25, width=3, name=b"boundary 1"))
    (cut,) = read_cuts(path, pixels)
    assert cut.name == "boundary 1"
    assert cut.start == (5.25, 12.75)
    assert cut.end == (5.25, 22.75)
    assert cut.width == 1.5
    profile = line_profile(pixels, cut)
    assert int(profile.counts[0, 3]) == pixels.counts.values[0, 8, 9:12].sum()
    (other,) = read_cuts(path, pixels, top="largest y")
    assert other.start == (5.25, 10.25 + 44 * 0.5)


@pytest.mark.parametrize("top", ["smallest y", "largest y"])
@pytest.mark.parametrize("name", ["a.roi", "a.zip"])
def test_there_and_back(tmp_path, pixels, top, name):
    cuts = [
        LineCut(name="a", start=(3, 14), end=(20.3, 27.1), width=3.3),
        LineCut(name="β / x", start=(25, 33), end=(-3, 12), width=2),
        LineCut(name="a", start=(3, 14), end=(3, 20), width=1),
    ][: 1 if name == "a.roi" else 3]
    back = read_cuts(write_cuts(cuts, tmp_path / name, pixels, top=top), pixels, top=top)
    assert [c.name for c in back] == [c.name for c in cuts]
    for a, b in zip(cuts, back, strict=True):
        assert b.start == pytest.approx(a.start, abs=1e-5)
        assert b.end == pytest.approx(a.end, abs=1e-5)
        assert b.width == pytest.approx(a.width, rel=1e-6)
    assert not list(tmp_path.glob("*.part"))


def test_pixels_that_are_not_square(tmp_path):
    m = make_map(np.ones((1, 9, 9), int), ["7Li"], x=np.arange(9.0), y=np.arange(9) * 2.0)
    path = tmp_path / "a.roi"
    path.write_bytes(_line(2, 2, 6, 2, width=2))
    assert read_cuts(path, m)[0].width == 4
    path.write_bytes(_line(2, 2, 2, 6, width=2))
    assert read_cuts(path, m)[0].width == 2
    path.write_bytes(_line(2, 2, 6, 6, width=2))
    with pytest.raises(ValueError, match="must run along x or y"):
        read_cuts(path, m)


def _zip(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def test_other_selections(tmp_path, pixels):
    path = tmp_path / "a.roi"
    path.write_bytes(_line(1, 2, 3, 4, kind=5))
    with pytest.raises(FormatError, match="a straight line, got a segmented line: draw straight"):
        read_cuts(path, pixels)
    path = tmp_path / "RoiSet.zip"
    path.write_bytes(_zip({"0001.roi": _line(1, 2, 3, 4), "0002.roi": _line(1, 2, 3, 4, kind=1)}))
    with pytest.warns(LlisoWarning, match=r"left out: 0002 \(rectangle\)"):
        (cut,) = read_cuts(path, pixels)
    assert cut.name == "0001"
    text = describe(path)
    assert "(1, 2) to (3, 4) px, 1 px wide" in text
    assert "0002 (rectangle)" in text
    path.write_bytes(_zip({"0002.roi": _line(1, 2, 3, 4, kind=1)}))
    with pytest.raises(FormatError, match="must hold a straight line, got 0002"):
        read_cuts(path, pixels)


def test_what_is_wrong_is_said(tmp_path, pixels):
    path = tmp_path / "a.roi"
    path.write_bytes(_line(500, 500, 600, 600))
    with pytest.raises(ValueError, match=r"must lie on the map, got \(500, 500\)"):
        read_cuts(path, pixels)
    path.write_bytes(_line(1, 2, float("nan"), 4))
    with pytest.raises(FormatError, match="finite ends"):
        read_cuts(path, pixels)
    path.write_bytes(_line(1, 2, 1, 2))
    with pytest.raises(ValueError, match="must have a length"):
        read_cuts(path, pixels)
    with pytest.raises(ValueError, match="top must be"):
        read_cuts(path, pixels, top="up")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_cuts(tmp_path / "b.roi", pixels)
    cut = LineCut(start=(1, 12), end=(5, 13))
    with pytest.raises(ValueError, match=r"a \.roi file needs one cut"):
        write_cuts([cut, cut], path, pixels)
    with pytest.raises(ValueError, match=r"must end in \.roi or \.zip"):
        write_cuts([cut], tmp_path / "a.txt", pixels)


def test_missing_package_is_named(tmp_path, pixels, monkeypatch):
    path = tmp_path / "a.roi"
    path.write_bytes(_line(1, 2, 3, 4))
    monkeypatch.setitem(sys.modules, "roifile", None)
    with pytest.raises(ModuleNotFoundError, match=r"need the package roifile.*pip install roifile"):
        read_cuts(path, pixels)


def test_cut_off_anywhere(tmp_path, pixels):
    path = tmp_path / "a.roi"
    data = _line(1, 2, 3, 4, name=b"boundary")
    for end in range(len(data)):
        path.write_bytes(data[:end])
        with pytest.raises(FormatError):
            read_cuts(path, pixels)
    packed = _zip({"a.roi": data, "b.roi": data})
    path = tmp_path / "RoiSet.zip"
    for end in range(len(packed)):
        path.write_bytes(packed[:end])
        with pytest.raises(FormatError):
            read_cuts(path, pixels)


def test_a_bomb_does_not_unfold(tmp_path, pixels):
    path = tmp_path / "RoiSet.zip"
    path.write_bytes(_zip({"a.roi": bytes(5_000_000)}))
    with pytest.raises(FormatError, match="declares 5000000 bytes"):
        read_cuts(path, pixels)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**4), st.integers(1, 255), st.booleans())
def test_flipped_bytes(tmp_path, pixels, at, change, packed):
    data = _line(1, 2, 30, 40, name=b"boundary")
    path = tmp_path / ("a.zip" if packed else "a.roi")
    data = bytearray(_zip({"a.roi": data}) if packed else data)
    data[at % len(data)] ^= change
    path.write_bytes(data)
    try:
        cuts = read_cuts(path, pixels)
    except (ValueError, LlisoWarning):  # FormatError, or a line that lies off the map
        return
    if packed:  # a zip has checksums
        assert cuts[0].start == (0.75, 11.25)

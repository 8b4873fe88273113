"""Depth profiles, spectra and mass intervals of IONTOF: real files, and damaged copies of them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lliso.errors import FormatError
from lliso.io import (
    describe,
    read_depth_profile,
    read_map,
    read_mass_intervals,
    read_spectrum,
)

REAL = Path(__file__).parents[2] / "data/samples/real/iontof"
LONG = REAL / "I241209zf_D_FACSPI-dev_1f-3nA_pos-C2 - NF.txt"
SHORT = REAL / "I240416f_B_MAPI_1f_pos-B1 - NF - with-lat-ROI.txt"
SPECTRUM = REAL / "N_Ru-Rh_Bi1_2.txt"
#: 117, 118, 119, 120Sn, IUPAC 2021
NATURAL = {"117Sn": 0.0768, "118Sn": 0.2422, "119Sn": 0.0859, "120Sn": 0.3258}


def test_real_profile_shows_the_hydride_of_tin():
    """119Sn/120Sn is 0.298 where nature has 0.264: 4.6 % of 118Sn arrives as 118SnH."""
    ds = read_depth_profile(LONG)
    sums = {str(s): float(ds.counts.sel(species=s).sum()) for s in NATURAL}
    ratio = sums["119Sn"] / sums["120Sn"]
    natural = NATURAL["119Sn"] / NATURAL["120Sn"]
    assert (round(ratio, 3), round(natural, 3)) == (0.298, 0.264)
    hydride = (sums["119Sn"] - natural * sums["120Sn"]) / sums["118Sn"]
    assert hydride == pytest.approx(0.046, abs=5e-4)


def test_real_profile_is_described_whole():
    ds = read_depth_profile(LONG)
    assert ds.sizes == {"species": 100, "point": 342}
    assert ds.attrs["dead_time_corrected"] == "yes"
    assert ds.attrs["left_out"].count("/ (") == 5
    at = dict(zip(ds.species.values, ds.ion.values, strict=True))
    assert (at["120Sn"], at["208Pb"], at["133Cs"], at["CH3N2"]) == ("Sn+", "Pb+", "Cs+", "CH_3N_2+")
    lead = ds.counts.sel(species="208Pb").values
    assert np.mean(lead != np.rint(lead)) > 0.9
    twice = [str(s) for s in ds.species.values if "m/z" in str(s)]
    assert twice == ["SnO (m/z 135.9143)", "SnO (m/z 135.8979)"]
    assert float(ds.total[0]) == 261041
    assert np.isfinite(ds.counts.values).all()


def test_profiles_and_spectra_are_no_maps():
    for path, name in ((LONG, "read_profile"), (SPECTRUM, "read_spectrum"), (REAL, "")):
        with pytest.raises(FormatError, match=name or "no file that lliso can read"):
            read_map(path)


def test_info_on_real_files():
    text = describe(SHORT)
    for piece in ("42 points", "0 to 60.1306 s", "positions=", "the species 6Li", "intervals="):
        assert piece in text
    text = describe(SPECTRUM)
    for piece in ("6994 bins of 200 channels", "dead_time_corrected  yes", "mass windows"):
        assert piece in text


def test_real_spectrum():
    ds = read_spectrum(SPECTRUM)
    assert ds.attrs["dead_time_corrected"] == "yes"
    assert ds.attrs["binning"] == 200
    assert ds.mz.values[[0, -1]].tolist() == [0.00023, 1799.935292]
    assert float(ds.counts[1]) == 337


@pytest.fixture(scope="module")
def small():
    """The real profile's first 12 points."""
    return b"\r\n".join(SHORT.read_bytes().split(b"\r\n")[:16]) + b"\r\n"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"Smoothing is Disabled", b"Smoothing is Enabled", "at 1: smoothing must be disabled"),
        (b"\ttotal\t", b"\ttotal", "at 2: the line must have 110 cells, got 109"),
        (b"Fluence", b"Flue", "a column must be fluence"),
        (b"Intensity\tIntensity", b"Intensity\tConcentration", "must be intensities"),
        (b"\r\n3\t", b"\r\n4\t", "at 7: this must be point 3, got 4; lines are missing"),
        (b"\r\n3\t", b"\r\n3\t\t", "at 7: the line must have 110 cells, got 111"),
        (b"\r\n3\t", b"\r\n3x\t", "at 7: every cell must be a number"),
        (b"320.7077", b"0", "m/z must be a positive number"),
        (b"2.00147", b"nan", r"counts of Ag_3\+ must be finite"),
        (b"2.00147", b"-2", r"counts of Ag_3\+ must be finite and not negative, got -2"),
        (b"2.00147", b"2e300", r"counts of Ag_3\+ must be finite"),
        (b"\r\n2\t1.4666", b"\r\n2\t0", "at 6: the sputter time must grow"),
    ],
)
def test_damaged_profile(tmp_path, small, old, new, message):
    assert old in small
    path = tmp_path / "profile.txt"
    path.write_bytes(small.replace(old, new, 1))
    with pytest.raises(FormatError, match=message):
        read_depth_profile(path)


def test_cut_off_profile(tmp_path, small):
    """Refused wherever it is cut but between two points, where nothing tells."""
    path = tmp_path / "profile.txt"
    whole = read_depth_profile_of(path, small)
    ends = [i + 2 for i in range(len(small)) if small[i : i + 2] == b"\r\n"]
    for end in sorted({*range(0, len(small), 97), *ends, *(e - 1 for e in ends), len(small) - 1}):
        path.write_bytes(small[:end])
        if end in ends[4:] or end + 1 in ends[4:]:
            n = len(read_depth_profile(path).point)
            np.testing.assert_array_equal(
                read_depth_profile(path).counts.values, whole.counts.values[:, :n]
            )
            continue
        with pytest.raises(FormatError):
            read_depth_profile(path)
        if end > ends[4]:
            part = read_depth_profile(path, partial=True)
            assert part.attrs["partial"] == 1
            np.testing.assert_array_equal(
                part.counts.values, whole.counts.values[:, : part.sizes["point"]]
            )


def read_depth_profile_of(path, data):
    path.write_bytes(data)
    return read_depth_profile(path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=3))
def test_flipped_bytes_in_a_profile(tmp_path, small, at, new):
    """At most the numbers at that place change; nothing but FormatError is raised."""
    path = tmp_path / "profile.txt"
    whole = read_depth_profile_of(path, small)
    at %= len(small)
    try:
        ds = read_depth_profile_of(path, small[:at] + new + small[at + len(new) :])
    except FormatError:
        return
    if ds.counts.shape == whole.counts.shape:
        assert np.count_nonzero(ds.counts.values != whole.counts.values) <= 2
    else:  # an m/z became N/A, or the line a file ends with is gone
        assert ds.sizes["species"] >= whole.sizes["species"] - 1


def test_damaged_spectrum(tmp_path):
    lines = SPECTRUM.read_bytes().split(b"\r\n")[:40]
    path = tmp_path / "spectrum.txt"
    for change, message in (
        (lambda x: [*x[:10], *x[11:]], "at 11: channels must grow by 200, got a step of 400"),
        (lambda x: [*x[:10], x[10].replace(b"\t", b" "), *x[11:]], "at 11: the line must have 3"),
        (lambda x: [*x[:10], x[10] + b"\t4", *x[11:]], "at 11: the line must have 3 numbers"),
        (lambda x: x[:3], "must hold rows of numbers"),
        (lambda x: x[3:], "must have the titles"),
    ):
        path.write_bytes(b"\r\n".join(change(lines)) + b"\r\n")
        with pytest.raises(FormatError, match=message):
            read_spectrum(path)
    path.write_bytes(b"\r\n".join(lines))
    with pytest.raises(FormatError, match="the file ends early"):
        read_spectrum(path)
    assert read_spectrum(path, partial=True).attrs["partial"] == 1


TITLES = "No.\tCenter Mass (u)\tLower Mass (u)\tUpper Mass (u)\tAssignment\tArea\tUncorrected Area"


@pytest.fixture
def intervals(tmp_path):
    def write(*rows, titles=TITLES):
        path = tmp_path / "intervals.txt"
        path.write_text("\r\n".join([titles, *("\t".join(map(str, r)) for r in rows)]) + "\r\n")
        return path

    return write


LI6 = (1, 6.015, 5.99, 6.04, "^6Li+", 1010.0, 1000)
LI7 = (2, 7.016, 6.99, 7.04, "^7Li+", 9900.0, 9000)


def test_mass_intervals(intervals):
    path = intervals(LI6, LI7, (3, 7.04, 7.03, 7.05, "H", 0, 0))
    ds = read_mass_intervals(path)
    np.testing.assert_allclose(ds.dead_time_factor.values, [1.01, 1.1, np.nan])
    assert ds.attrs["overlapping_windows"] == "^7Li+ with H"
    text = describe(path)
    assert "1.0100 to 1.1000" in text
    assert "^7Li+ with H" in text


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((1, 6.015, 6.02, 6.04, "Li", 10, 10), "at 2: an interval must have lower <= centre"),
        ((1, 6.015, 5.9, 6.04, "Li", 9, 10), "must not be below the uncorrected"),
        ((1, 6.015, 5.9, 6.04, "Li", 10), "at 2: the line must have 7 cells, got 6"),
        ((1, "x", 5.9, 6.04, "Li", 10, 10), r"at 2: Center Mass \(u\) must be a number"),
        ((1, 6.015, 5.9, 6.04, "Li", -1, 10), "Area must be a number and not negative"),
    ],
)
def test_damaged_mass_intervals(intervals, row, message):
    with pytest.raises(FormatError, match=message):
        read_mass_intervals(intervals(row))


def test_mass_intervals_without_their_columns(intervals):
    with pytest.raises(FormatError, match="needs the columns"):
        read_mass_intervals(intervals(LI6, titles=TITLES.replace("Assignment", "Name")))
    with pytest.raises(FormatError, match="must hold an interval"):
        read_mass_intervals(intervals())

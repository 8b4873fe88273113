"""read_profile: tables of positions and counts, and depth profiles as points of a line."""

import re
from pathlib import Path

import numpy as np
import pytest

import lliso
from lliso.errors import FormatError, LlisoWarning
from lliso.io import describe, read_profile
from lliso.io.depth import check_depth

REAL = Path(__file__).parents[2] / "data/samples/real"
LONG = REAL / "iontof/I241209zf_D_FACSPI-dev_1f-3nA_pos-C2 - NF.txt"


def _table(folder, text, name="line.csv"):
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "position (um),6Li,7Li\n500,30,70\n0,60,40\n",
        "# by hand\nDistance [mm];6Li counts;Li+\n0,50;30,0;70,0\n0,00;60,0;40,0\n",
        "x_um\tN 6Li\tN 7Li\n0\t60\t40\n500\t30\t70\n",
    ],
)
def test_tables(tmp_path, text):
    ds = read_profile(_table(tmp_path, text))
    assert ds.counts.dims == ("species", "distance")
    assert list(ds.species.values) == ["6Li", "7Li"]
    assert ds.distance.values.tolist() == [0, 500]
    assert ds.counts.values.tolist() == [[60, 30], [40, 70]]
    assert ds.counts.dtype == np.int32
    assert ds.attrs["dead_time_corrected"] == "unknown"
    assert ds.attrs["map_id"]
    assert lliso.read_profile is read_profile


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("6Li,7Li,Na\n1,2,3\n4,5,6\n", "must name the columns: first 'position"),
        ("position,6Li (cps),7Li\n0,1,2\n1,3,4\n", r"columns must be counts, got 6Li \(cps\)"),
        ("position,C fraction\n0,0.5\n1,0.4\n", "columns must be counts, got C fraction"),
        ("position,6Li,7Li\n0,1,2\n0,3,4\n", "every position must occur once, got 0 um again"),
        ("position,6Li,7Li\n0,1.5,2\n1,3,4\n", "counts must be whole numbers, got 1.5"),
        ("position,6Li,6Li\n0,1,2\n1,3,4\n", "species must differ"),
        ("position,6Li,7Li\n0,1,2\n1,3", "at 3: every row must have 3 numbers"),
        ("position,6Li,7Li\n0,1,2\n1,3,4", "last line must end with a line break"),
        ("position,6Li,7Li\n0,1,-2\n1,3,4\n", "must not be negative"),
        ("position,6Li,7Li\n", "found only text"),
        (" \n", "the file is empty"),
    ],
)
def test_tables_that_are_wrong(tmp_path, text, message):
    with pytest.raises(FormatError, match=message):
        read_profile(_table(tmp_path, text))


def test_corrected_table(tmp_path):
    text = "# Deadtime Correction: on\nposition,6Li,7Li\n0,1.5,2\n1,3,4\n"
    assert read_profile(_table(tmp_path, text)).attrs["dead_time_corrected"] == "yes"


def test_info_on_a_table(tmp_path):
    text = describe(_table(tmp_path, "position (mm),6Li,23Na\n0,10,2\n1,30,4\n"))
    for piece in ("0 to 1000 um", "6Li 40, 23Na 6", "the species 7Li", "read_profile"):
        assert piece in text


# --- depth profiles ---


def test_real_profile_is_uniform_in_the_film_and_not_at_its_interfaces():
    pb = read_profile(LONG, positions=["1.2 mm"], isotopes=("206Pb", "208Pb"))
    assert pb.distance.values == [1200]
    assert bool(pb.depth_uniform[0])
    with pytest.warns(LlisoWarning, match=r"not the same at all depths in .* z = -16\.4"):
        sn = read_profile(LONG, positions=[0], isotopes=("117Sn", "118Sn"))
    assert not bool(sn.depth_uniform[0])
    film = read_profile(LONG, positions=[0], isotopes=("117Sn", "118Sn"), sputter_time=(100, 300))
    assert bool(film.depth_uniform[0])
    assert film.depth_points.values == [136]
    assert film.attrs["dead_time_corrected"] == "yes"
    assert film.counts.dtype == float
    assert "variance" not in film


def _profile(six, seven, *, factor=1.0):
    """A depth profile in SurfaceLab's layout."""
    n = len(six)
    lines = [
        "# Profile Smoothing is Disabled",
        "#\t\t\t\ttotal\t^6Li+\tLi+\tLi+ / ( ^6Li+ )\t",
        "#\t\t\t\tN/A\t6.0151\t7.0160\tN/A\t",
        "#Data Point #\tSputter Time (s)\tDose (ions)\tFluence (ions/cm^2)"
        + "\tIntensity" * 4
        + "\t",
    ]
    lines += [
        f"{i + 1}\t{i * 1.5}\t{i + 1}e8\t{i + 1}e12\t{a + b}\t{a * factor}\t{b * factor}\tinf\t"
        for i, a, b in zip(range(n), six, seven, strict=True)
    ]
    return ("\r\n".join(lines) + "\r\n").encode("latin-1")


@pytest.fixture
def line(tmp_path):
    """Five points of a line, 60 depths each, with a fraction that is uniform in depth."""
    rng = np.random.default_rng(7)
    truth = {}
    for k, x in enumerate((1200, -500, 0, 300, 4000)):
        six, seven = rng.poisson(20 + 5 * k, 60), rng.poisson(100, 60)
        (tmp_path / f"LLTO 59 h {x}um.txt").write_bytes(_profile(six, seven))
        truth[x] = (int(six.sum()), int(seven.sum()))
    return tmp_path, truth


def test_a_folder_is_a_line(line):
    folder, truth = line
    ds = read_profile(folder)
    assert ds.distance.values.tolist() == sorted(truth)
    for x, sums in truth.items():
        assert tuple(ds.counts.sel(distance=x).values.tolist()) == sums
    assert ds.counts.dtype.kind == "i"
    assert ds.depth_uniform.values.all()
    assert ds.attrs["dead_time_corrected"] == "unknown"
    assert "6Li fraction" in describe(folder / "LLTO 59 h 0um.txt")


def test_positions_by_name_and_by_order(line):
    folder, _ = line
    files = sorted(folder.iterdir())
    by_order = read_profile(files, positions=range(5))
    by_name = read_profile(files, positions={f.name: k for k, f in enumerate(files)})
    assert by_order.counts.equals(by_name.counts)
    with pytest.raises(ValueError, match="one for each of the 5 profiles, got 2"):
        read_profile(files, positions=[1, 2])
    with pytest.raises(ValueError, match="positions must name every file"):
        read_profile(files, positions={files[0].name: 1})
    with pytest.raises(ValueError, match="must overlap the profile"):
        read_profile(files, sputter_time=(1000, 2000))
    with pytest.raises(ValueError, match="23Na are not; they hold 6Li, 7Li"):
        read_profile(files, isotopes=("6Li", "23Na"))


def test_positions_must_be_known(tmp_path):
    (tmp_path / "a.txt").write_bytes(_profile([1, 2], [3, 4]))
    with pytest.raises(ValueError, match=r"position of 'a.txt' must be given: .* positions="):
        read_profile(tmp_path)
    with pytest.raises(ValueError, match="for depth profiles only"):
        read_profile(_table(tmp_path, "position,6Li,7Li\n0,1,2\n1,2,3\n"), positions=[1])
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError, match="must hold depth profiles"):
        read_profile(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        read_profile(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "x"),
    [("LLTO-120um", 120), ("LLTO -120um", -120), ("LLTO_1.5mm_59h", 1500), ("x_-3,5mm", -3500)],
)
def test_positions_in_names(tmp_path, name, x):
    (tmp_path / f"{name}.txt").write_bytes(_profile([10, 12], [30, 34]))
    assert read_profile(tmp_path).distance.values == [x]


def test_a_fraction_that_changes_with_depth_is_flagged(tmp_path):
    rng = np.random.default_rng(11)
    depth = np.linspace(0, 1, 80)
    share = 0.3 + 0.1 * depth
    n = rng.poisson(300, 80)
    six = rng.binomial(n, share)
    path = tmp_path / "p 10um.txt"
    path.write_bytes(_profile(six, n - six))
    with pytest.warns(LlisoWarning, match=re.escape("p 10um.txt (trend +0.")):
        ds = read_profile(path)
    assert not ds.depth_uniform.values[0]
    assert ds.depth_trend.values[0] == pytest.approx(0.1, abs=0.03)


def test_trend_statistic_is_standard_normal_and_knows_its_reference():
    """z² is the χ² of Cochran–Armitage; on uniform profiles it has variance 1, at 2 counts too."""
    rng = np.random.default_rng(3)
    t = np.arange(50.0)
    z, p = [], []
    for _ in range(2000):
        six, seven = rng.poisson(0.5, 50).astype(float), rng.poisson(1.5, 50).astype(float)
        check = check_depth(six, seven, t)
        z.append(check.z)
        p.append(check.p)
    assert abs(np.mean(z)) < 4 / np.sqrt(2000)
    assert np.var(z) == pytest.approx(1, abs=4 * np.sqrt(2 / 2000))
    assert np.mean(np.array(p) < 0.01) < 0.02
    # Two points are the comparison of two proportions.
    two = check_depth(np.array([10.0, 30.0]), np.array([90.0, 70.0]), np.array([0.0, 1.0]))
    pooled = (0.3 - 0.1) / np.sqrt(0.2 * 0.8 * (1 / 100 + 1 / 100))
    assert two.z == pytest.approx(pooled)
    assert two.chi2_red == pytest.approx(pooled**2)
    assert two.trend == pytest.approx(0.2)


def test_nothing_to_tell_from():
    for check in (
        check_depth(np.zeros(3), np.zeros(3), np.arange(3.0)),
        check_depth(np.ones(3), np.zeros(3), np.arange(3.0)),
        check_depth(np.ones(1), np.ones(1), np.zeros(1)),
    ):
        assert np.isnan(check.z)
        assert check.uniform


def test_variance_by_the_mass_intervals(tmp_path):
    """Counts that were multiplied by f vary by f times their value: more than Poisson."""
    (tmp_path / "p 10um.txt").write_bytes(_profile([100, 90], [400, 420], factor=1.1))
    titles = (
        "No.\tCenter Mass (u)\tLower Mass (u)\tUpper Mass (u)\tAssignment\tArea\tUncorrected Area"
    )
    rows = ["1\t6.015\t5.99\t6.04\t6Li\t110\t100", "2\t7.016\t6.99\t7.04\t7Li\t1100\t1000"]
    table = tmp_path / "list.txt"
    table.write_text("\n".join([titles, *rows]) + "\n")
    ds = read_profile(tmp_path / "p 10um.txt", intervals=table)
    np.testing.assert_allclose(ds.variance.values, 1.1**2 * np.array([[190], [820]]))
    assert ds.attrs["dead_time_corrected"] == "yes"
    assert "overlapping_windows" not in ds.attrs
    hydride = "3\t7.035\t7.03\t7.05\tLiH\t0\t0"
    table.write_text("\n".join([titles, *rows, hydride]) + "\n")
    ds = read_profile(tmp_path / "p 10um.txt", intervals=table)
    assert ds.attrs["overlapping_windows"] == "7Li with LiH"
    table.write_text("\n".join([titles, rows[0]]) + "\n")
    with pytest.raises(ValueError, match=r"exactly one interval with 7Li \(m/z 7.016\), got 0"):
        read_profile(tmp_path / "p 10um.txt", intervals=table)


def test_partial_depth_profile(tmp_path):
    path = tmp_path / "p 10um.txt"
    path.write_bytes(_profile([10, 12, 14], [30, 34, 36])[:-20])
    with pytest.raises(FormatError, match="ends early"):
        read_profile(path)
    ds = read_profile(path, partial=True)
    assert ds.attrs["partial"] == 1
    assert ds.counts.values.ravel().tolist() == [22, 64]


# --- counting errors of another program ---


def test_counting_errors_against_another_program():
    """Look@NanoSIMS takes F sqrt(1/16O + 2/18O), 1.4 to 1.8 times the binomial error."""
    folder = REAL / "lans"
    rare, abundant, percent = (
        np.loadtxt(folder / name) for name in ("18O.dac", "16O.dac", "(18O-(16O+18O))-100.dac")
    )
    n_rare, n_abundant = rare[:, 3], abundant[:, 3]
    theirs = percent[:, 4] / 100
    fraction = n_rare / (n_rare + n_abundant)
    np.testing.assert_allclose(percent[:, 3] / 100, fraction, rtol=1e-3)
    np.testing.assert_allclose(theirs, fraction * np.sqrt(1 / n_abundant + 2 / n_rare), rtol=2e-3)
    table = lliso.make_map(
        np.stack([n_rare, n_abundant])[:, np.newaxis],
        ["18O", "16O"],
        x=np.arange(n_rare.size),
        y=[0.0],
    )
    ours = lliso.isotope_fraction(table, "18O", "16O")
    np.testing.assert_allclose(ours.fraction.values[0], fraction)
    total = n_rare + n_abundant
    binomial = np.sqrt(fraction * (1 - fraction) / total)
    np.testing.assert_allclose(ours.fraction_std.values[0], binomial)
    assert np.all((theirs / binomial > 1.4) & (theirs / binomial < 1.8))

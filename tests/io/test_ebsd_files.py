"""Orientation maps: .ang and .ctf as the tests write them, whole and damaged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lliso.errors import FormatError
from lliso.io.ebsd import read_ebsd

NY, NX = 4, 5
EULER = np.random.default_rng(0).uniform(0, 2, (3, NY, NX))


def ang(*, hexagonal: bool = False) -> str:
    lines = ["# TEM_PIXperUM 1.0", "# Phase 1", "# MaterialName  LLTO", "# Symmetry 43"]
    even = NX - 1 if hexagonal else NX
    lines += [f"# GRID: {'HexGrid' if hexagonal else 'SqrGrid'}", "# XSTEP: 0.500000"]
    lines += [f"# YSTEP: {0.433 if hexagonal else 0.5}", f"# NCOLS_ODD: {NX}"]
    lines += [f"# NCOLS_EVEN: {even}", f"# NROWS: {NY}", "#"]
    for j in range(NY):
        for i in range(NX if j % 2 == 0 else even):
            a, b, c = EULER[:, j, i]
            x = 0.5 * (i + 0.5 * (hexagonal and j % 2))
            y = j * (0.433 if hexagonal else 0.5)
            ci = -1.0 if (j, i) == (1, 2) else 0.8
            angles = f"{a:9.5f} {b:9.5f} {c:9.5f}"
            lines.append(f"{angles} {x:12.5f} {y:12.5f} {90 + i:6.1f} {ci:6.3f} 0 1 0.5")
    return "\n".join(lines) + "\n"


def ctf() -> str:
    lines = ["Channel Text File", "Prj\ta.cpr", "Author\t[Unknown]", "JobMode\tGrid"]
    lines += [f"XCells\t{NX}", f"YCells\t{NY}", "XStep\t0.5000", "YStep\t0.5000", "AcqE1\t0"]
    lines += ["Euler angles refer to Sample Coordinate system (CS0)!\tMag\t500", "Phases\t1"]
    lines += ["3.87;3.87;3.87\t90;90;90\tLLTO\t11\t221"]
    lines += ["Phase\tX\tY\tBands\tError\tEuler1\tEuler2\tEuler3\tMAD\tBC\tBS"]
    for j in range(NY):
        for i in range(NX):
            a, b, c = np.rad2deg(EULER[:, j, i])
            phase = 0 if (j, i) == (1, 2) else 1
            place = f"{phase}\t{0.5 * i:.4f}\t{0.5 * j:.4f}\t7\t0"
            lines.append(f"{place}\t{a:.4f}\t{b:.4f}\t{c:.4f}\t0.4\t120\t80")
    return "\r\n".join(lines) + "\r\n"


def written(folder: Path, text: str, name: str = "map.ang") -> Path:
    path = folder / name
    path.write_bytes(text.encode("latin-1"))
    return path


@pytest.mark.parametrize(("text", "name"), [(ang(), "map.ang"), (ctf(), "map.ctf")])
def test_orientations_lie_where_they_were_measured(tmp_path: Path, text: str, name: str) -> None:
    ds = read_ebsd(written(tmp_path, text, name))
    expected = EULER.copy()
    expected[:, 1, 2] = np.nan
    assert ds["euler"].values == pytest.approx(expected, abs=2e-5, nan_ok=True)
    assert ds["phase"].values[1, 2] == 0
    assert (ds["phase"].values == 1).sum() == NX * NY - 1
    assert ds["x"].values.tolist() == pytest.approx([0, 0.5, 1.0, 1.5, 2.0])
    assert ds["y"].attrs["units"] == "um"


def test_hexagonal_grid_takes_the_nearest_point(tmp_path: Path) -> None:
    ds = read_ebsd(written(tmp_path, ang(hexagonal=True)))
    assert dict(ds.sizes) == {"angle": 3, "y": NY, "x": NX}
    assert ds["euler"].values[:, 0] == pytest.approx(EULER[:, 0], abs=2e-5)
    # the second row is measured at 0.25, 0.75, ...: the point at 2.0 takes the last, at 1.75
    assert ds["euler"].values[:, 3, 4] == pytest.approx(EULER[:, 3, 3], abs=2e-5)
    assert ds["y"].values[1] == pytest.approx(0.433)


@pytest.mark.parametrize("text", [ang(), ctf()], ids=["ang", "ctf"])
def test_files_cut_off_anywhere_are_refused(tmp_path: Path, text: str) -> None:
    rng = np.random.default_rng(1)
    whole = read_ebsd(written(tmp_path, text))
    last = text.rstrip().rfind("\n")
    for n in sorted({0, 1, 17, 40, *rng.integers(0, last, 40).tolist()}):
        with pytest.raises(FormatError):
            read_ebsd(written(tmp_path, text[:n]))
    lines = text.splitlines()
    for k in rng.integers(0, len(lines), 25):
        broken = "\n".join([*lines[:k], *lines[k + 1 :]])
        try:
            ds = read_ebsd(written(tmp_path, broken))
        except FormatError:
            continue
        assert ds.equals(whole)  # a line that nothing depends on


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("# NROWS: 4", "# NROWS: 5", "needs 25 points .5 rows of 5 and 5 points., got 20"),
        ("# NROWS: 4", "# NROWS: four", "header needs NROWS, a whole number, got 'four'"),
        ("# XSTEP: 0.500000", "# XSTEP: -1", "header needs XSTEP in um, got '-1'"),
        ("SqrGrid", "RndGrid", "GRID must be SqrGrid or HexGrid, got 'RndGrid'"),
        ("# NCOLS_EVEN: 5", "# NCOLS_EVEN: 4", "rows of a SqrGrid must be equal|needs 18 points"),
        (" 90.0 ", " high ", "a line needs numbers"),
        (" 91.0 ", " nan ", "must be finite"),
    ],
)
def test_wrong_headers_and_numbers(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = ang()
    assert old in text
    with pytest.raises(FormatError, match=message):
        read_ebsd(written(tmp_path, text.replace(old, new)))


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="needs to begin with"):
        read_ebsd(written(tmp_path, "x y z\n1 2 3\n"))
    with pytest.raises(FormatError, match="column names with Phase and Euler1"):
        read_ebsd(written(tmp_path, ctf().replace("Euler1", "Angle1"), "a.ctf"))
    with pytest.raises(FileNotFoundError):
        read_ebsd(tmp_path / "none.ang")

"""``lliso info`` says what files without counts are; read as maps they are refused by name."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from lliso.errors import FormatError
from lliso.io import describe, read_map
from lliso.maps.cuts import LineCut
from lliso.maps.picks import BoundaryPick, Picks


def of(module):
    spec = importlib.util.spec_from_file_location(module, Path(__file__).parent / f"{module}.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("others")
    ebsd, impedance, tables = (
        of(m) for m in ("test_ebsd_files", "test_impedance_text", "test_tables")
    )
    texts = {
        "a.ang": ebsd.ang(),
        "hexagonal.ang": ebsd.ang(hexagonal=True),
        "a.ctf": ebsd.ctf(),
        "a.z": impedance.zplot(),
        "a.DTA": impedance.gamry(),
        "a.mpt": impedance.biologic(),
        "cell.csv": "f (Hz),Z' (ohm),-Z'' (ohm)\n1e3,100,5\n1e4,90,12\n",
        "sigma.csv": tables.TABLE,
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    cut = LineCut(name="a", start=(0.0, 0.0), end=(0.0, 20.0), width=4.0)
    pick = BoundaryPick(name="1", cut="a", position=10.0, window=(2.0, 18.0))
    Picks(cuts=(cut,), boundaries=(pick,)).save(folder / "picks.json")
    return folder


SAYS = {
    "a.ang": ("orientation map", "5 x 4 points (x, y), steps of 0.5 x 0.5 um", "95.0% of"),
    "hexagonal.ang": ("orientation map", "lliso.read_ebsd", "landmarks"),
    "a.ctf": ("orientation map", "5 x 4 points", "95.0% of"),
    "a.z": ("impedance spectrum", "zplot", "25 points from 1 to 1e+06 Hz"),
    "a.DTA": ("impedance spectrum", "gamry", "25 points"),
    "a.mpt": ("impedance spectrum", "biologic", "lliso.read_impedance"),
    "cell.csv": ("impedance spectrum", "2 points from 1000 to 1e+04 Hz", "thickness and area"),
    "sigma.csv": ("conductivities", "2 temperatures from 295.15 to 473.15 K", "sigma_bulk (S/cm)"),
    "picks.json": ("picks", "1 cuts, 1 boundaries", "the map they were made on"),
}


@pytest.mark.parametrize("name", list(SAYS))
def test_info_says_what_it_is_and_how_to_read_it(files, name):
    text = describe(files / name)
    for part in SAYS[name]:
        assert part in text
    kind = SAYS[name][0]
    with pytest.raises(FormatError, match=f"this is (a|an|{kind}).*lliso info. says what is in it"):
        read_map(files / name)


@pytest.mark.parametrize(
    "name", [n for n in SAYS if not n.endswith((".csv", ".z", ".mpt", ".DTA"))]
)
def test_cut_off_ones_are_refused(files, name, tmp_path):
    """Not those that are rows without their number: cut off between rows they are shorter."""
    data = (files / name).read_bytes()
    for share in (0.3, 0.6, 0.9):
        (tmp_path / name).write_bytes(data[: int(share * len(data))])
        with pytest.raises(FormatError):
            describe(tmp_path / name)


def test_images_in_text_are_still_images(tmp_path):
    (tmp_path / "sample_7Li.csv").write_text("1;2\n3;4\n")
    (tmp_path / "line.csv").write_text("position (um);6Li;7Li\n0;5;3\n120;4;3\n")
    assert "csv: CSV/TXT matrices" in describe(tmp_path / "sample_7Li.csv")
    assert "line analysis" in describe(tmp_path / "line.csv")

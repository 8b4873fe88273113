"""The command line, run as a person runs it."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import lliso
from lliso.cli import main
from lliso.fit.table import table_frame


@pytest.fixture
def files(simulated_map, tmp_path):
    """Return a map file and a file of picks made on it."""
    path = tmp_path / "map.nc"
    lliso.write_map(simulated_map.assign_attrs(stage="59 h"), path)
    cut = lliso.LineCut(name="down/1", start=(7.5, 0.0), end=(7.5, 40.0), width=12.0)
    pick = lliso.BoundaryPick(name="1", cut=cut.name, position=20.0, window=(0.0, 40.0))
    picks = lliso.Picks().anchored_to(lliso.read_map(path)).with_cut(cut).with_boundary(pick)
    picks.save(tmp_path / "picks.json")
    return str(path), str(tmp_path / "picks.json")


def test_without_a_command_it_helps(capsys):
    assert main([]) == 0
    assert "lliso" in capsys.readouterr().out


def test_it_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-c", "from lliso.cli import main; raise SystemExit(main())", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == f"lliso {lliso.__version__}"


def test_fit_writes_what_the_library_computes(files, tmp_path, capsys):
    out = tmp_path / "out"
    d_bulk = "2.6e-8 cm^2/s"
    assert main(["fit", files[0], "--picks", files[1], "--d-bulk", d_bulk, "-o", str(out)]) == 0
    table = lliso.fit_boundaries(
        lliso.read_map(files[0]), lliso.Picks.load(files[1]), d_bulk=d_bulk
    )
    written = pd.read_csv(out / "boundaries.csv", dtype={"boundary": str}, index_col="boundary")
    expected = table_frame(table)
    assert list(written.columns) == list(expected.columns)
    for name in expected.columns:
        if expected[name].dtype.kind == "f":
            np.testing.assert_allclose(written[name].astype(float), expected[name], rtol=1e-5)
    with xr.open_dataset(out / "boundaries.nc", engine="h5netcdf") as stored:
        xr.testing.assert_allclose(stored.load(), table)
        assert stored["permeability"].attrs["units"] == "cm/s"
    for ending in ("svg", "pdf", "png"):
        for figure in ("map", "profiles", "permeabilities"):
            assert (out / f"{figure}.{ending}").stat().st_size > 1000
    shown = capsys.readouterr().out
    assert "simulated" in shown
    assert "D_gb/δ (cm/s)" in shown


def test_fit_records_what_it_was_made_from(files, tmp_path):
    out = tmp_path / "out"
    command = ["fit", files[0], "--picks", files[1], "--d-bulk", "2.6e-8", "-o", str(out)]
    assert main([*command, "--no-figures"]) == 0
    first = (out / "record.json").read_bytes()
    record = json.loads(first)
    assert record["settings"]["d_bulk_cm2_per_s"] == 2.6e-8
    assert record["settings"]["simulated"] == 1
    assert set(record["inputs"]) == {"map", "picks"}
    assert set(record["outputs"]) == {"boundaries.csv", "boundaries.nc"}
    assert len(record["inputs"]["map"]["sha256"]) == 64
    csv = (out / "boundaries.csv").read_bytes()
    assert main([*command, "--no-figures"]) == 0
    assert (out / "boundaries.csv").read_bytes() == csv


def test_the_papers_way_is_there_for_comparison(files, tmp_path, capsys):
    command = ["fit", files[0], "--picks", files[1], "--d-bulk", "2.6e-8", "-o", str(tmp_path)]
    assert main([*command, "--method", "paper2024", "--no-figures"]) == 0
    assert "paper2024" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--d-bulk", "-2.6e-8 cm^2/s"), "d_bulk must be positive, got -2.6e-08 cm^2/s"),
        (("--d-bulk", "2.6e-8 cm/s"), "d_bulk must have a unit like cm"),
        (("--d-bulk", "fast"), "d_bulk must be a quantity such as '2.6e-8 cm"),
        (("--delta", "0 nm"), "delta must be positive, got 0 nm"),
        (("--method", "best"), "--method must be one of patch, profile, two_grains, paper2024, got best"),
        (("--picks", "nowhere.json"), "nowhere.json"),
        (("--fov", "1", "2", "3"), "--fov must be one or two lengths in um, got 3"),
    ],
)
def test_bad_words_are_answered_in_words(files, tmp_path, capsys, change, message):
    option, *values = change
    options = {"--picks": [files[1]], "--d-bulk": ["2.6e-8"], "-o": [str(tmp_path / "out")]}
    options[option] = values
    argv = ["fit", files[0]]
    for name, given in options.items():
        argv += [f"{name}={given[0]}"] if len(given) == 1 else [name, *given]
    assert main(argv) == 1
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown
    assert not (tmp_path / "out").exists()


def test_picks_of_another_map_are_refused(files, tmp_path, capsys, simulated_map):
    other = tmp_path / "other.nc"
    lliso.write_map(simulated_map.assign_attrs(stage="16 d", map_id="abcdefabcdef"), other)
    assert main(["fit", str(other), "--picks", files[1], "--d-bulk", "2.6e-8"]) == 1
    assert "picks were made on '59 h'" in capsys.readouterr().err


def test_info_and_convert(files, tmp_path, capsys):
    assert main(["info", files[0]]) == 0
    assert "6Li" in capsys.readouterr().out
    assert main(["convert", files[0], str(tmp_path / "again.nc")]) == 0
    again = lliso.read_map(tmp_path / "again.nc")
    xr.testing.assert_equal(again.counts, lliso.read_map(files[0]).counts)


def test_a_pipe_that_knows_no_greek_gets_an_answer(files, tmp_path):
    command = ["fit", files[0], "--picks", files[1], "--d-bulk", "2.6e-8", "--no-figures"]
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from lliso.cli import main; raise SystemExit(main())",
            *command,
            "-o",
            str(tmp_path / "out"),
        ],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    assert done.returncode == 0, done.stderr
    assert b"D_gb/" in done.stdout


def test_warnings_reach_the_person(files, tmp_path, capsys):
    picks = lliso.Picks.load(files[1])
    short = lliso.BoundaryPick(name="2", cut="down/1", position=5.0, window=(4.0, 6.0))
    picks.with_boundary(short).save(files[1])
    command = ["fit", files[0], "--picks", files[1], "--d-bulk", "2.6e-8", "-o", str(tmp_path)]
    assert main([*command, "--no-figures"]) == 0
    shown = capsys.readouterr()
    assert "warning: the window of boundary '2' must leave at least 3 slices" in shown.err
    assert "no fit" in shown.out

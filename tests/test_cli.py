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
        (
            ("--method", "best"),
            "--method must be one of patch, profile, two_grains, paper2024, got best",
        ),
        (("--picks", "nowhere.json"), "nowhere.json"),
        (("--resolution", "1 s"), "--resolution must have a unit like um"),
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


def test_convert_does_not_overwrite_what_it_reads(files, tmp_path, capsys, monkeypatch):
    before = (tmp_path / "map.nc").read_bytes()
    monkeypatch.chdir(tmp_path)
    assert main(["convert", files[0], "map.nc"]) == 1
    assert "the result must not replace its input, got 'map.nc' for both" in capsys.readouterr().err
    assert (tmp_path / "map.nc").read_bytes() == before


def test_formats_lists_every_reader(capsys):
    assert main(["formats"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for line, reader in zip(lines, lliso.io.formats(), strict=True):
        assert line.startswith(reader.name)
        assert reader.description in line
        assert ("not yet tried" in line) is not reader.seen


@pytest.mark.skipif(os.name == "nt", reason="a pipe that nobody reads is another error there")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_seen_enough_ends_it_quietly(files, unbuffered):
    """As `lliso info FILE | head -0` does, once with what is written late and once with early."""
    read, write = os.pipe()
    os.close(read)
    code = "from lliso.cli import main; raise SystemExit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "info", files[0]],
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


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


SMALL = [
    *("--box", "-20", "-60", "60", "160", "--window", "0", "20", "40", "60"),
    *("--pixels", "40", "40", "--mesh-fine", "4 um", "--mesh-coarse", "8 um"),
]


def test_simulate_writes_what_the_library_computes(tmp_path, capsys):
    options = ["--seed", "3", "--grain-mean", "12 um", "--storage", "10 d", "--counts", "500"]
    assert main(["simulate", "-o", str(tmp_path), *SMALL, *options, "--micrograph"]) == 0
    shown = capsys.readouterr().out
    assert "59 h + 10 d, simulated" in shown
    specimen = lliso.Specimen(
        grain_mean=12.0,
        storage="10 d",
        box=(-20, -60, 60, 160),
        window=(0, 20, 40, 60),
        mesh_fine=4.0,
        mesh_coarse=8.0,
    )
    instrument = lliso.Instrument(counts=500, pixels=(40, 40))
    maps, truth = lliso.simulate_maps(specimen, instrument, seed=3)
    for ds, name in zip(maps, ("simulated_59h.nc", "simulated_59h_10d.nc"), strict=True):
        stored = lliso.read_map(tmp_path / name)
        xr.testing.assert_equal(stored.counts, ds.counts)
        assert stored.attrs["map_id"] == ds.attrs["map_id"]
        assert (tmp_path / name).read_bytes().rstrip().split()[-2] == b"crc32"
        assert str(tmp_path / name) in shown
    with xr.open_dataset(tmp_path / "simulated_truth.nc", engine="h5netcdf") as stored:
        np.testing.assert_allclose(stored["permeability"], truth["permeability"], rtol=1e-6)
    with xr.open_dataset(tmp_path / "simulated_micrograph.nc", engine="h5netcdf") as stored:
        assert stored["image"].dtype == np.uint8


def test_simulate_without_options_is_the_experiment_of_the_samples():
    """The defaults are written down once, in the values themselves."""
    from lliso.cli import _parser
    from lliso.cli_simulate import _given
    from lliso.maps.synthetic import Instrument, Specimen

    args = _parser().parse_args(["simulate", "-o", "x"])
    assert Specimen(**_given(args, "Specimen")) == Specimen()
    assert Instrument(**_given(args, "Instrument")) == Instrument()
    assert _given(args, "Artefacts") == _given(args, "Cooling") == {}


def test_simulate_takes_artefacts_and_cold(tmp_path):
    from lliso.maps.synthetic import Artefacts, Cooling, effects_from

    effects = ["--shots", "900", "--frames", "3", "--drift", "2 um", "--background", "1", "2"]
    cold = ["--imaging-temperature", "-120 degC", "--imaging-time", "2 h"]
    command = ["simulate", "-o", str(tmp_path), "--references", *SMALL, "--storage", "0 d"]
    room = ["--box", "-40", "-60", "80", "160"]
    assert main([*command, "--name", "bad", *room, *effects, *cold]) == 0
    ds = lliso.read_map(tmp_path / "bad_59h.nc")
    assert ds.sizes["frame"] == 3
    assert effects_from(ds.attrs["parameters"]) == (
        Artefacts(shots=900, frames=3, drift=2.0, background=(1.0, 2.0)),
        Cooling(temperature=153.15, duration=7200.0),
    )
    with xr.open_dataset(tmp_path / "bad_references.nc", engine="h5netcdf") as stored:
        assert stored["true_fraction"].values == pytest.approx([0.0759, 0.95])


def test_simulate_other_specimens(tmp_path, capsys):
    image = np.repeat(np.repeat([[0, 1], [2, 3]], 20, axis=0), 20, axis=1)
    np.save(tmp_path / "grains.npy", image)
    command = ["simulate", "-o", str(tmp_path), *SMALL, "--storage", "0 d"]
    assert main([*command, "--name", "image", "--labels", str(tmp_path / "grains.npy")]) == 0
    with xr.open_dataset(tmp_path / "image_truth.nc", engine="h5netcdf") as stored:
        assert np.unique(stored["label"]).tolist() == [0, 1, 2, 3]
    above = ["--window", "0", "40", "10", "50", "--pixels", "10", "10", "--what", "surface"]
    assert main([*command, "--name", "inclined", *above]) == 0
    with xr.open_dataset(tmp_path / "inclined_truth.nc", engine="h5netcdf") as stored:
        assert ((stored["sin_dip"] > 0) & (stored["sin_dip"] <= 1)).all()
    for what, files in (("profile", 4), ("arrhenius", 2)):
        capsys.readouterr()
        assert main(["simulate", "-o", str(tmp_path), "--what", what]) == 0
        assert capsys.readouterr().out.count("wrote") == files
    with xr.open_dataset(tmp_path / "simulated_measured.nc", engine="h5netcdf") as stored:
        assert stored["temperature"].values[0] == pytest.approx(295.15)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--exchange", "59 um"], "exchange must have a unit like s"),
        (["--exchange", "-1 h"], "exchange must be positive, got -3600 s"),
        (["--d-bulk", "2.6e-8 cm/s"], "d_bulk must have a unit like cm"),
        (["--window", "0", "20", "40", "600"], "window must lie inside the box"),
        (["--drift", "3 um"], "drift needs several frames"),
        (["--temperatures", "3 K"], "--temperatures must not be given with --what maps"),
        (["--what", "profile"], "--box must not be given with --what profile"),
        (["--what", "surface", "--micrograph"], "--micrograph must not be given with --what surf"),
        (["--labels", "nowhere.npy"], "nowhere.npy"),
    ],
)
def test_simulate_answers_bad_words(tmp_path, capsys, options, message):
    given = [f"{options[0]}={options[1]}"] if len(options) == 2 else options
    assert main(["simulate", "-o", str(tmp_path / "out"), *SMALL, *given]) == 1
    shown = capsys.readouterr().err
    assert message in shown
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("ending", ["tif", "png"])
def test_grain_numbers_come_from_pictures_too(tmp_path, ending):
    from PIL import Image

    from lliso.cli_simulate import label_image

    labels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    Image.fromarray(labels).save(tmp_path / f"grains.{ending}")
    np.testing.assert_array_equal(label_image(tmp_path / f"grains.{ending}"), labels)
    Image.new("RGB", (4, 3)).save(tmp_path / f"colours.{ending}")
    with pytest.raises(ValueError, match=r"one channel, got the shape \(3, 4, 3\)"):
        label_image(tmp_path / f"colours.{ending}")
    (tmp_path / f"broken.{ending}").write_text("no picture")
    with pytest.raises(ValueError, match=r"must be a \.npy, TIFF or PNG image of grain numbers"):
        label_image(tmp_path / f"broken.{ending}")

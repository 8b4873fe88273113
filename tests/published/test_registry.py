"""The registry of published figures, and the command that makes them anew."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from lliso import published
from lliso.cli import main
from lliso.published import Made, method
from lliso.published.picture import picture

ROOT = Path(__file__).resolve().parents[2]

#: `method` with little to do, for tests of what goes around it
SMALL = """
from lliso.published import method
whole = method.survey
method.survey = lambda: whole(
    grid={"reach": (16.0, 28.0), "counts": (1000.0, 3000.0), "width": (15.0, 30.0)}, draws=4)
"""


@pytest.mark.parametrize("name", published.NAMES)
def test_every_module_is_complete_and_its_inputs_are_there(name):
    module = published.module_of(name)
    assert module.TITLE
    assert callable(module.make)
    inputs = published.default_inputs(name, ROOT)
    assert set(inputs) == {role.removesuffix("?") for role in module.INPUTS}


def test_an_unknown_figure_is_refused():
    with pytest.raises(ValueError, match=r"must be one of fig3, .*, got 'fig9'"):
        published.default_inputs("fig9", ROOT)


def test_what_is_needed_must_be_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"fig3 needs the file .*59h\.nc \(exchange\)"):
        published.default_inputs("fig3", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"mine\.nc \(truth\), which is not there"):
        published.default_inputs("fig3", ROOT, {"truth": tmp_path / "mine.nc"})


def test_a_file_of_ones_own_takes_the_place_of_the_sample(tmp_path):
    own = tmp_path / "mine.nc"
    own.write_bytes(b"")
    inputs = published.default_inputs("fig3", ROOT, {"exchange": own, "truth": ""})
    assert inputs["exchange"] == own
    assert "truth" not in inputs


def run(out, seed):
    code = f"{SMALL}\nfrom lliso.cli import main\nraise SystemExit(main({out!r}))"
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONHASHSEED": seed}
    )


def test_two_runs_write_the_same_bytes(tmp_path):
    for seed in "12":
        run(["figures", "--only", "method", "-o", str(tmp_path / seed)], seed)
    one, two = ({f.name: f.read_bytes() for f in (tmp_path / s).iterdir()} for s in "12")
    expected = {"method.svg", "method.pdf", "method.png", "method.csv", "method_record.json"}
    assert set(one) == expected
    assert one == two
    record = json.loads(one["method_record.json"])
    assert record["settings"]["simulated"] == 1
    assert set(record["outputs"]) == expected - {"method_record.json"}
    assert b"date" not in one["method.svg"].lower()


def test_the_command_lists_what_there_is(capsys):
    assert main(["figures", "--list"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in published.NAMES)
    assert "data/samples/simulated_llto_59h.nc" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "fig9"], "must be one of"),
        (["--input", "exchange=x.nc"], "--input needs --only with one name"),
        (["--only", "fig3", "--input", "x.nc"], "--input must be ROLE=FILE, got 'x.nc'"),
        (["--only", "fig3", "--input", "map=x.nc"], "inputs of fig3 must be exchange,"),
        (["--only", "fig3", "--root", "nowhere"], "which is not there"),
    ],
)
def test_what_is_wrong_with_the_command_is_said(arguments, message, capsys, tmp_path):
    assert main(["figures", *arguments, "-o", str(tmp_path)]) == 1
    assert message in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_a_file_of_ones_own_goes_into_figure_and_record(tmp_path, monkeypatch):
    mine = tmp_path / "mine.txt"
    mine.write_text("7")
    monkeypatch.setattr(method, "INPUTS", {"number": "data/none.txt"})

    def make(inputs):
        value = float(inputs["number"].read_text())
        return Made({}, {"seven": pd.DataFrame({"value": [value]})}, {"simulated": 0})

    monkeypatch.setattr(method, "make", make)
    arguments = ["figures", "--only", "method", "--input", f"number={mine}", "-o"]
    assert main([*arguments, str(tmp_path / "out")]) == 0
    assert pd.read_csv(tmp_path / "out" / "seven.csv")["value"].tolist() == [7.0]
    record = json.loads((tmp_path / "out" / "method_record.json").read_text())
    assert record["inputs"]["number"]["file"] == "mine.txt"


def test_a_picture_for_a_notebook_is_small_and_a_png():
    fig = Figure(figsize=(2, 1))
    fig.add_subplot().plot([1, 2])
    found = picture(fig, dpi=100)
    assert found.size == (200, 100)
    assert found._repr_png_().startswith(b"\x89PNG")
    assert len(found.png) < 20_000

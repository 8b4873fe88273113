"""`lliso app` without a browser: what it checks, writes and starts."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest

from lliso import Picks, make_map, write_map
from lliso.apps import page
from lliso.cli import main

CONSTANTS = {"d_bulk": "2.6e-8 cm^2/s", "delta": "0.5 nm", "resolution": "1 um"}


@pytest.fixture
def map_file(tmp_path, rng):
    c = np.where(np.arange(40) < 20, 0.6, 0.4)[:, None]
    light = rng.binomial(300, c, (40, 30))
    axes = {"x": np.arange(30.0), "y": np.arange(40.0)}
    ds = make_map([light, 300 - light], ["6Li", "7Li"], **axes)
    folder = tmp_path / "a person's maps"
    folder.mkdir()
    return write_map(ds, folder / "map.nc")


class Started:
    """Stands for the server: keeps what it was started with, and the notebook."""

    def __init__(self, command):
        Started.command = command
        Started.notebook = json.loads(Path(command[3]).read_text(encoding="utf-8"))
        Started.interrupts = 1

    def wait(self):
        if Started.interrupts:
            Started.interrupts -= 1
            raise KeyboardInterrupt
        return 0


@pytest.fixture
def started(monkeypatch):
    pytest.importorskip("voila")
    monkeypatch.setattr(page, "subprocess", SimpleNamespace(Popen=Started))
    Started.command = None
    return Started


def test_the_page_is_served_here_only_with_a_token_without_its_code(started, map_file, tmp_path):
    file = tmp_path / "picks.json"
    assert main(["app", str(map_file), "--picks", str(file), "--port", "9123", "--no-browser"]) == 0
    command = started.command
    assert command[:3] == [sys.executable, "-m", "voila"]
    assert set(command[4:]) == {
        "--Voila.ip=127.0.0.1",
        "--Voila.auto_token=True",
        "--VoilaConfiguration.strip_sources=True",
        "--port=9123",
        "--Voila.port_retries=0",
        "--no-browser",
    }
    nbformat.validate(nbformat.from_dict(started.notebook))
    assert not Path(command[3]).exists()  # its folder went with the server
    assert not file.exists()  # opening writes nothing


def test_the_notebook_opens_both_apps(map_file, tmp_path, started):
    pytest.importorskip("anywidget")
    file = tmp_path / "it's.json"
    made = page.page_notebook(map_file, file, CONSTANTS)
    found = {}
    for cell in made["cells"][1:]:
        exec(cell["source"], found)
    try:
        assert found["explorer"].session.state.quantity == "fraction"
        found["app"].session.gesture("add_at_distance", distance=19.5)
        assert len(Picks.load(file).boundaries) == 1
    finally:
        found["explorer"].close()
        found["app"].close()


def test_picks_lie_in_this_folder_unless_said_otherwise(started, map_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    main(["app", str(map_file)])
    (pick,) = [c["source"] for c in started.notebook["cells"] if c.get("id") == "pick"]
    assert repr(str(tmp_path / "map.picks.json")) in pick
    assert "--no-browser" not in started.command


def test_the_field_of_view_is_handed_on(started, map_file, tmp_path):
    made = page.page_notebook(map_file, tmp_path / "p.json", CONSTANTS, (60.0, 80.0))
    assert "fov=(60.0, 80.0))" in made["cells"][1]["source"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.nc"], "nothing.nc"),
        (["notes.txt"], "notes.txt"),
        (["MAP", "--d-bulk", "5 apples"], "apples"),
        (["MAP", "--resolution", "1 s"], "--resolution"),
        (["MAP", "--fov", "1", "2", "3"], "--fov must be one or two lengths in um, got 3"),
        (["MAP", "--picks", "broken.json"], "not valid picks"),
        (["MAP", "--picks", "other.json"], "the picks were made on"),
    ],
)
def test_what_cannot_be_opened_is_said_before_the_server_starts(
    started, map_file, tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("nothing to see")
    Path("broken.json").write_text("{")
    Picks(maps={"59 h": "0123456789ab"}).save("other.json")
    assert main(["app", *[str(map_file) if a == "MAP" else a for a in arguments]]) == 1
    said = capsys.readouterr().err
    assert said.startswith("lliso: ")
    assert message in said
    assert started.command is None


def test_a_map_without_lithium_is_refused_before_the_server_starts(started, tmp_path, capsys):
    ds = make_map([np.ones((9, 9), int)], ["23Na"], x=np.arange(9.0), y=np.arange(9.0))
    assert main(["app", str(write_map(ds, tmp_path / "map.nc"))]) == 1
    assert "6Li" in capsys.readouterr().err
    assert started.command is None


def test_without_voila_the_cure_is_said(map_file, monkeypatch, capsys):
    real = page.importlib.util.find_spec
    monkeypatch.setattr(
        page.importlib.util, "find_spec", lambda name: None if name == "voila" else real(name)
    )
    assert main(["app", str(map_file)]) == 1
    said = capsys.readouterr().err
    assert "lliso app needs voila, got none in" in said
    assert 'pip install "lliso[lab]"' in said

"""The examples of docs/registration.md run and show what the page says of them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def examples():
    page = (ROOT / "docs" / "registration.md").read_text(encoding="utf-8")
    return [part.split("```")[0] for part in page.split("```python\n")[1:]]


def test_landmarks_refinement_grains(examples, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    names: dict = {}
    exec(examples[0], names)
    said = capsys.readouterr().out
    assert "grains" in said
    assert "True" in said
    a = names["xr"].open_dataset("data/samples/simulated_llto_micrograph.nc").attrs
    matrix = np.array([[a[f"to_map_{r}{c}"] for c in "xy"] for r in "xy"])
    there = np.array([a["to_map_x0"], a["to_map_y0"]])
    points = np.array(names["on_image"], dtype=float)
    true = points @ matrix.T + there
    by_hand, refined = (
        np.hypot(*(r(points) - true).T) for r in (names["by_hand"], names["found"].registration)
    )
    assert by_hand.mean() == pytest.approx(1.1, abs=0.1)
    assert refined.max() < 0.15
    assert names["by_hand"].position_std(points[4:]) < 1.1
    assert names["grains"].attrs["found_from"] == "counts and image and traces"


def test_orientation_map(examples, monkeypatch, tmp_path, capsys):
    path = ROOT / "tests" / "io" / "test_ebsd_files.py"
    spec = importlib.util.spec_from_file_location("test_ebsd_files", path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    made.EULER[:] = 0.1
    made.EULER[0, :, 3:] = 0.6
    made.NY, made.NX = made.EULER.shape[1:]
    (tmp_path / "sample.ang").write_text(made.ang())
    monkeypatch.chdir(tmp_path)
    exec(examples[1], {})
    assert "2 grains, 0 of them whole" in capsys.readouterr().out

"""Notebooks: lean, in short cells, and those of the published figures with their picture."""

import json
from pathlib import Path

import pytest

from lliso import published

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
#: notebook of each published figure
OF = {"fig3": "fig3_map_and_boundaries", "method": "method_how_well_can_we_know"}


def cells(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_lean_and_its_cells_are_short(path):
    assert path.stat().st_size < 400_000
    assert max(len("".join(cell["source"]).splitlines()) for cell in cells(path)) <= 13


@pytest.mark.parametrize("name", published.NAMES)
def test_a_published_figure_has_a_notebook_that_shows_it_and_asserts(name):
    (path,) = [
        p for p in NOTEBOOKS if p.stem == OF.get(name, name) or p.stem.startswith(f"{name}_")
    ]
    pictures = [o for c in cells(path) for o in c["outputs"] if "image/png" in o.get("data", {})]
    assert pictures, "no picture for who only looks at the repository"
    sources = ["".join(cell["source"]) for cell in cells(path)]
    assert any("assert " in source for source in sources)
    assert any(f"{name}" in source and "published" in source for source in sources)

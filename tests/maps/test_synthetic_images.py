from __future__ import annotations

import numpy as np
import pytest

from lliso.maps.synthetic import Artefacts, Solution, Specimen, solve_specimen
from lliso.maps.synthetic_images import simulate_micrograph, simulate_references

SPECIMEN = Specimen(
    box=(-20.0, -100.0, 120.0, 400.0),
    window=(0.0, 40.0, 100.0, 120.0),
    mesh_fine=4.0,
    mesh_coarse=8.0,
)


@pytest.fixture(scope="module")
def solved() -> Solution:
    return solve_specimen(SPECIMEN, 5)


def test_references_give_back_fractionation_and_hydride() -> None:
    """Two areas of known C determine K and h: ratio 7/6 = (1 - C)/(C K) + h."""
    k, h = 1.05, 0.01
    ref = simulate_references(
        [0.0759, 0.95], Artefacts(mass_fractionation=k, hydride=h), seed=1, counts=1e9
    )
    n6, n7 = ref["counts"].values.astype(float)
    c = ref["true_fraction"].values
    design = np.column_stack([(1 - c) / c, np.ones(2)])
    inverse_k, hydride = np.linalg.solve(design, n7 / n6)
    assert 1.0 / inverse_k == pytest.approx(k, rel=1e-3)
    assert hydride == pytest.approx(h, abs=4e-4)


def test_references_feel_dead_time_per_pixel() -> None:
    plain = simulate_references([0.5], Artefacts(), 1, counts=1e7, names=["a"])
    dead = simulate_references([0.5], Artefacts(shots=1000), 1, counts=1e7, names=["a"])
    # 500 counts a pixel and isotope in 1,000 shots
    expected = -np.expm1(-0.5) / 0.5
    ratio = dead["counts"].values.sum() / plain["counts"].values.sum()
    assert ratio == pytest.approx(expected, rel=2e-3)


def test_micrograph_shows_the_boundaries_where_the_affine_map_says(solved: Solution) -> None:
    image = simulate_micrograph(solved, noise=1.0)
    a = image.attrs
    turn = np.array([[a["to_map_xx"], a["to_map_xy"]], [a["to_map_yx"], a["to_map_yy"]]])
    back = np.linalg.inv(turn)
    structure = solved.structure
    middle = structure.segments.mean(axis=1)
    x0, y0, x1, y1 = SPECIMEN.window
    use = (middle[:, 0] > x0) & (middle[:, 0] < x1) & (middle[:, 1] > y0) & (middle[:, 1] < y1)
    use &= structure.lengths > 4.0
    u, v = back @ (middle[use] - [a["to_map_x0"], a["to_map_y0"]]).T
    pixel = float(image["u"][1] - image["u"][0])
    i = np.rint((u - float(image["u"][0])) / pixel).astype(int)
    j = np.rint((v - float(image["v"][0])) / pixel).astype(int)
    grey = image["image"].values.astype(float)
    at_boundary = grey[j, i].mean()
    assert at_boundary < grey.mean() - 25.0
    shifted = grey[np.clip(j + 6, 0, grey.shape[0] - 1), i].mean()
    assert at_boundary < shifted - 20.0


def test_micrograph_is_reproducible_and_labelled(solved: Solution) -> None:
    one, two = simulate_micrograph(solved), simulate_micrograph(solved)
    assert np.array_equal(one["image"], two["image"])
    assert one["image"].dtype == np.uint8
    assert one.attrs["simulated"] == 1
    assert all(isinstance(v, str | int | float) for v in one.attrs.values())


def test_bad_input(solved: Solution) -> None:
    with pytest.raises(ValueError, match="pixel, scale and groove must be positive"):
        simulate_micrograph(solved, pixel=-1.0)
    with pytest.raises(ValueError, match="points must lie inside"):
        simulate_micrograph(solved, rotation=45.0)
    with pytest.raises(ValueError, match="one name per fraction"):
        simulate_references([0.5], Artefacts(), 1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        simulate_references([0.5, 1.5], Artefacts(), 1)

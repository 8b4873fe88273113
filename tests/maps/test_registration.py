"""Registration: transforms from landmarks, their errors, and the refinement on edges in C."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from lliso.maps.image_edges import refine_on_edges
from lliso.maps.overlay import image_on_map, move_traces, trace_crossings
from lliso.maps.picks import Landmark
from lliso.maps.registration import KINDS, Registration, fit_registration
from lliso.maps.synthetic import Instrument, Specimen, simulate_maps, solve_specimen
from lliso.maps.synthetic_images import simulate_micrograph

MATRICES = {
    "similarity": [[1.01, -0.05, 3.0], [0.05, 1.01, -4.0], [0, 0, 1.0]],
    "affine": [[1.01, -0.02, 3.0], [0.07, 0.95, -4.0], [0, 0, 1.0]],
    "projective": [[1.01, -0.02, 3.0], [0.07, 0.95, -4.0], [2e-4, -3e-4, 1.0]],
}


def carried(matrix: list[list[float]], points: np.ndarray) -> np.ndarray:
    p = np.column_stack([points, np.ones(len(points))]) @ np.array(matrix).T
    return p[:, :2] / p[:, 2:]


def scattered(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform((0, 0), (500, 200), (n, 2))


@pytest.mark.parametrize("kind", list(KINDS))
def test_exact_landmarks_give_the_transform(kind: str) -> None:
    here = scattered(7)
    found = fit_registration(carried(MATRICES[kind], here), here, kind=kind)
    elsewhere = scattered(20, 1)
    assert found(elsewhere) == pytest.approx(carried(MATRICES[kind], elsewhere), abs=1e-7)
    assert found.inverse(found(elsewhere)) == pytest.approx(elsewhere, abs=1e-7)
    assert np.abs(found.residuals).max() < 1e-7
    moved = found.moved(2.0, -1.0)
    assert moved(elsewhere) == pytest.approx(found(elsewhere) + np.array([2.0, -1.0]))
    assert moved.inverse(moved(elsewhere)) == pytest.approx(elsewhere, abs=1e-7)


@pytest.mark.parametrize("kind", list(KINDS))
def test_errors_are_those_of_repeated_landmarks(kind: str) -> None:
    """Scatter of a carried point over 300 sets of landmarks with 1.2 µm of error each."""
    rng = np.random.default_rng(3)
    here = scattered(8, 2)
    at = np.array([[60.0, 40.0], [480.0, 190.0]])
    there, truth = carried(MATRICES[kind], here), carried(MATRICES[kind], at)
    miss, stated, spread = [], [], []
    for _ in range(300):
        found = fit_registration(there + rng.normal(0, 1.2, there.shape), here, kind=kind)
        miss.append(((found(at) - truth) ** 2).sum(axis=1))
        stated.append(found.position_std(at) ** 2)
        spread.append(found.point_std**2)
    assert np.mean(spread) == pytest.approx(1.2**2, rel=0.08)
    assert np.mean(stated, axis=0) == pytest.approx(np.mean(miss, axis=0), rel=0.2)


def test_a_wrong_landmark_is_named_and_right_ones_are_not() -> None:
    rng = np.random.default_rng(4)
    false = 0
    for _ in range(40):
        here = rng.uniform((0, 0), (500, 200), (7, 2))
        there = carried(MATRICES["similarity"], here) + rng.normal(0, 1.0, (7, 2))
        false += bool([f for f in fit_registration(there, here).flags if "outlier" in f])
        there[3] += [25.0, 0.0]
        found = fit_registration(there, here, names=list("abcdefg"))
        assert "outlier:d" in found.flags
        assert found.left_out.argmax() == 3
    assert false <= 3


def test_what_landmarks_cannot_tell_is_said() -> None:
    here = np.array([[0, 0], [10, 0.0]])
    two = fit_registration(here + 1.0, here)
    assert two.flags == ("no_redundancy",)
    assert np.isnan(two.point_std)
    assert np.isnan(two.position_std(here)).all()
    flipped = scattered(5) * [1.0, -1.0]
    assert "mirrored" in fit_registration(flipped, scattered(5), kind="affine").flags
    here = scattered(5)
    assert "uneven_scale" in fit_registration(here, here * [1, 1.2], kind="affine").flags


def test_landmarks_of_picks_and_the_record() -> None:
    pairs = [
        Landmark(name=n, map_point=tuple(2 * p + 1), image_point=tuple(p))
        for n, p in zip("abc", scattered(3), strict=True)
    ]
    found = fit_registration(pairs)
    assert found.names == ("a", "b", "c")
    assert found.scale == pytest.approx(2.0)
    record = found.record()
    assert record["landmarks"] == ["a", "b", "c"]
    assert record["residual_rms_um"] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("kind", "points", "message"),
    [
        ("similarity", [[0, 0]], "needs 2 landmarks, got 1"),
        ("affine", [[0, 0], [1, 1]], "an affine transform needs 3 landmarks"),
        ("projective", [[0, 0], [1, 1], [2, 0]], "needs 4 landmarks"),
        ("affine", [[0, 0], [1, 1], [2, 2]], "must not lie on one line"),
        ("similarity", [[1, 1], [1, 1]], "must lie apart"),
        ("projective", [[0, 0], [1, 1], [2, 2], [0, 5]], "no three of the four"),
        ("similarity", [[0, 0], [np.nan, 1]], "must be finite"),
        ("rigid", [[0, 0], [1, 1]], "kind must be one of similarity, affine, projective"),
    ],
)
def test_bad_landmarks(kind: str, points: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_registration(np.array(points, dtype=float), np.array(points, dtype=float), kind=kind)
    with pytest.raises(ValueError, match="must come in pairs"):
        fit_registration([[0, 0], [1, 1]], [[0, 0]])


def test_image_lies_where_the_registration_puts_it() -> None:
    """A plane of grey, so that interpolation is exact."""
    u, v = np.arange(0, 80, 0.7), np.arange(0, 60, 0.7)
    image = xr.DataArray(
        2.0 * u[None, :] + 3.0 * v[:, None], dims=("v", "u"), coords={"u": u, "v": v}
    )
    turned = fit_registration(
        carried(MATRICES["affine"], scattered(5)), scattered(5), kind="affine"
    )
    x, y = np.arange(0, 50, 1.0), np.arange(0, 40, 1.0)
    grid = xr.DataArray(np.zeros((40, 50)), dims=("y", "x"), coords={"y": y, "x": x})
    out = image_on_map(image, turned, grid)
    back = turned.inverse(np.column_stack([v.ravel() for v in np.meshgrid(x, y)]))
    inside = (back >= 0).all(axis=1) & (back[:, 0] <= u[-1]) & (back[:, 1] <= v[-1])
    expected = 2.0 * back[:, 0] + 3.0 * back[:, 1]
    assert inside.sum() > 1000
    assert out.values.ravel()[inside] == pytest.approx(expected[inside])
    far_out = (back < -1.0).any(axis=1)
    assert np.isnan(out.values.ravel()[far_out]).all()
    assert image_on_map(image, turned, grid, pixel=0.5).shape == (80, 100)
    with pytest.raises(ValueError, match="no common area"):
        image_on_map(image, turned.moved(1000.0, 0.0), grid)
    with pytest.raises(ValueError, match="coordinate in um along both axes"):
        image_on_map(xr.DataArray(np.zeros((3, 3))), turned, grid)


def test_traces_move_and_cross_a_cut() -> None:
    square = np.array([[0, 0], [10, 0], [0, 10.0]])
    shifted = fit_registration(square + np.array([5.0, 0.0]), square)
    moved = move_traces([[(0, 1), (4, 1)], [(-9, 8), (9, 8)]], shifted)
    assert trace_crossings(moved, (6, 0), (6, 20)).tolist() == pytest.approx([1.0, 8.0])
    assert trace_crossings(moved, (2, 0), (2, 20)).tolist() == pytest.approx([8.0])
    with pytest.raises(ValueError, match="must have a length"):
        trace_crossings(moved, (1, 1), (1, 1))


@pytest.fixture(scope="module")
def scene() -> tuple[tuple[xr.Dataset, ...], xr.DataArray, np.ndarray]:
    """Maps of small counts, an image of the same place, and where the image really lies."""
    specimen = Specimen(
        box=(-20, -60, 180, 560), window=(0, 150, 160, 270), mesh_fine=3, mesh_coarse=6
    )
    solution = solve_specimen(specimen, 3)
    maps, _ = simulate_maps(
        specimen, Instrument(pixels=(160, 120), counts=1000), 3, solution=solution
    )
    picture = simulate_micrograph(solution)
    a = picture.attrs
    matrix = np.array(
        [
            [a["to_map_xx"], a["to_map_xy"], a["to_map_x0"]],
            [a["to_map_yx"], a["to_map_yy"], a["to_map_y0"]],
            [0.0, 0.0, 1.0],
        ]
    )
    return maps, picture["image"], matrix


def landmarks_of(image: xr.DataArray, matrix: np.ndarray, seed: int, error: float) -> Registration:
    rng = np.random.default_rng(seed)
    u, v = image["u"].values, image["v"].values
    here = rng.uniform((u[0] + 10, v[0] + 10), (u[-1] - 10, v[-1] - 10), (5, 2))
    return fit_registration(carried(matrix, here) + rng.normal(0, error, (5, 2)), here)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_refined_on_the_edges_of_c(scene: tuple, seed: int) -> None:
    maps, image, matrix = scene
    start = landmarks_of(image, matrix, seed, 1.5)
    found = refine_on_edges(start, image, maps)
    u, v = np.meshgrid(image["u"].values[::60], image["v"].values[::60])
    grid = np.column_stack([u.ravel(), v.ravel()])

    def error(r: Registration) -> float:
        return float(np.hypot(*(r(grid) - carried(matrix, grid)).T).mean())

    assert found.clear
    assert found.after > found.before
    assert error(found.registration) < 0.4 < error(start)
    assert error(found.registration) < 4 * found.std + 0.2


def test_an_image_of_another_place_refines_nothing(scene: tuple) -> None:
    maps, image, matrix = scene
    start = landmarks_of(image, matrix, 1, 0.5)
    other = image.copy(data=image.values[::-1, ::-1])
    found = refine_on_edges(start, other, maps)
    assert not found.clear
    assert found.registration is start
    assert np.isnan(found.std)
    with pytest.raises(ValueError, match="'dark' or 'bright'"):
        refine_on_edges(start, image, maps, lines="grey")
    with pytest.raises(ValueError, match="reach must be positive"):
        refine_on_edges(start, image, maps, reach=0.0)

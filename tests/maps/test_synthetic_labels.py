from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lliso.diffusion.exchange import exchange_profile
from lliso.maps.synthetic import (
    Cooling,
    Instrument,
    Solution,
    Specimen,
    simulate_maps,
    solve_specimen,
)
from lliso.maps.synthetic_labels import LabelSolution, embedded_labels, rasterised, solve_labels
from lliso.maps.synthetic_surface import solve_surface
from lliso.units import UM_PER_CM

SPECIMEN = Specimen(
    box=(-20.0, -40.0, 80.0, 260.0),
    window=(0.0, 40.0, 60.0, 100.0),
    grain_spread=6.0,
    mesh_fine=2.0,
    mesh_coarse=4.0,
)
INSTRUMENT = Instrument(pixels=(60, 60), psf_fwhm=1.0)


@pytest.fixture(scope="module")
def meshed() -> Solution:
    return solve_specimen(SPECIMEN, 4)


@pytest.fixture(scope="module")
def labelled(meshed: Solution) -> LabelSolution:
    """The same grains and P as an image of 1 µm pixels."""
    s = meshed.structure
    table = {
        tuple(sorted(g)): p / UM_PER_CM
        for g, p in zip(s.grains.tolist(), s.permeability, strict=True)
    }
    image = rasterised(s, (300, 100))

    def law(pairs: np.ndarray) -> np.ndarray:
        # grains may touch in a pixel's corner without a boundary of their own
        return np.array([table.get(tuple(sorted(p)), 1.2e-6) for p in pairs.tolist()])

    return solve_labels(SPECIMEN, 4, image, permeability=law)


def test_image_of_drawn_grains_gives_the_maps_of_the_grains(
    meshed: Solution, labelled: LabelSolution
) -> None:
    _, exact = simulate_maps(SPECIMEN, INSTRUMENT, 4, solution=meshed)
    maps, truth = simulate_maps(SPECIMEN, INSTRUMENT, 4, solution=labelled)
    assert [m.attrs["stage"] for m in maps] == ["59 h", "59 h + 16 d"]
    error = (truth["fraction"] - exact["fraction"]).values
    away = np.abs(np.diff(truth["label"].values, axis=0))[:, 1:] == 0
    # what is left of the staircase
    assert np.sqrt(np.mean(error[:, 1:, 1:][:, away] ** 2)) < 2.5e-3
    key = {tuple(sorted(g)): k for k, g in enumerate(pairs_of(exact))}
    pairs = pairs_of(truth)
    long = [
        (k, key[tuple(sorted(g))])
        for k, g in enumerate(pairs)
        if tuple(sorted(g)) in key and truth["length"].values[k] > 10.0
    ]
    a, b = np.array(long).T
    assert len(a) > 10
    assert truth["length"].values[a] == pytest.approx(exact["length"].values[b], abs=2.0)
    same = [g == h for g, h in zip(pairs[a].tolist(), pairs_of(exact)[b].tolist(), strict=True)]
    assert all(same)
    one, other = truth["step"].values[0, a], exact["step"].values[0, b]
    assert (one @ other) / (other @ other) == pytest.approx(1.0, abs=0.05)


def test_points_lie_on_the_slope_of_their_own_grain(labelled: LabelSolution) -> None:
    """A field that is linear in every grain is met everywhere, up to the boundaries."""
    rng = np.random.default_rng(5)
    ny, nx = labelled.labels.shape
    plane = rng.normal(size=(len(labelled.grain_areas), 3))
    x0, y0, x1, y1 = labelled.extent

    def field(x: np.ndarray, y: np.ndarray, grain: np.ndarray) -> np.ndarray:
        a, b, c = np.moveaxis(plane[grain], -1, 0)
        return a + b * x[None, :] + c * y[:, None]

    centres = field(
        x0 + (np.arange(nx) + 0.5) * (x1 - x0) / nx,
        y0 + (np.arange(ny) + 0.5) * (y1 - y0) / ny,
        labelled.labels,
    )
    x, y = np.linspace(x0 + 0.01, x1 - 0.01, 271), np.linspace(y0 + 0.01, y1 - 0.01, 733)
    matrix, grain = labelled.sample(x, y)
    error = (matrix @ centres.ravel()).reshape(grain.shape) - field(x, y, grain)
    # nothing is known of a slope where a grain is one pixel wide along an axis
    labels = labelled.labels
    wide = np.ones(labels.shape, dtype=bool)
    for axis in (0, 1):
        same = np.diff(labels, axis=axis) == 0
        pad = [(0, 0), (0, 0)]
        pad[axis] = (1, 1)
        padded = np.pad(same, pad)
        wide &= np.take(padded, range(labels.shape[axis]), axis) | np.take(
            padded, range(1, labels.shape[axis] + 1), axis
        )
    known = (labelled.sample(x, y)[0] @ wide.ravel().astype(float)).reshape(grain.shape) > 0.999
    i = np.floor((x - x0) / (x1 - x0) * nx).astype(int)
    j = np.floor((y - y0) / (y1 - y0) * ny).astype(int)
    known &= wide[np.ix_(j, i)]
    assert known.mean() > 0.95
    assert np.abs(error[known]).max() < 1e-9


@pytest.mark.parametrize("level", [0.0, 0.25, 0.5, 0.8])
def test_level_between_the_pixels_is_where_the_specimen_has_it(level: float) -> None:
    """One grain, rows of 2 µm of which the level cuts one: an erfc from 0 on."""
    h, hours = 2.0, 4 * 3600.0
    y0 = -h * (10 + level)
    one = replace(SPECIMEN, box=(-1.0, y0, 3.0, y0 + 1500.0), window=(0.0, 40.0, 2.0, 60.0))
    one = replace(one, exchange=hours, storage=0.0)
    solved = solve_labels(one, 1, np.zeros((750, 2), dtype=int))
    y = y0 + (np.arange(750) + 0.5) * h
    c = solved.fields[0].reshape(750, 2)[:, 0]
    exact = exchange_profile(
        np.maximum(y, 0.0), hours, 2.6, start=SPECIMEN.c_natural, source=SPECIMEN.c_source
    )
    assert np.abs(c - exact).max() < 1e-5


def pairs_of(truth: object) -> np.ndarray:
    return np.column_stack([truth["grain1"].values, truth["grain2"].values]).astype(int)


def test_chords_of_the_image_point_away_from_the_source(labelled: LabelSolution) -> None:
    edges = labelled.boundaries
    assert (edges.normals[:, 1] >= 0).all()
    along = edges.segments[:, 1] - edges.segments[:, 0]
    assert np.abs((along * edges.normals).sum(axis=1)).max() < 1e-9
    assert np.hypot(*along.T) == pytest.approx(edges.lengths)
    areas = labelled.grain_areas
    assert areas.sum() == pytest.approx(100.0 * 300.0)


def test_slope_and_step_of_the_image_belong_together(labelled: LabelSolution) -> None:
    step, slope = labelled.steps_and_slopes(labelled.fields[0])
    d = labelled.grain_diffusivity[labelled.boundaries.grains]
    flux = labelled.boundaries.permeability * step
    assert slope * d == pytest.approx(np.stack([flux, flux], axis=1))


def test_micrograph_of_the_view_is_set_into_drawn_grains() -> None:
    picture = np.repeat(np.repeat([[0, 1], [2, 3]], 30, axis=0), 30, axis=1)
    whole = embedded_labels(SPECIMEN, 4, picture, 2.0)
    assert whole.shape == (150, 50)
    solved = solve_labels(SPECIMEN, 4, whole)
    _, truth = simulate_maps(SPECIMEN, Instrument(pixels=(30, 30)), 4, solution=solved)
    assert np.unique(truth["label"]).tolist() == [0, 1, 2, 3]
    inner = truth["label"].values[:15, :15]
    assert (inner == inner[0, 0]).all()


def test_cold_labels(labelled: LabelSolution) -> None:
    _, truth = simulate_maps(
        SPECIMEN, INSTRUMENT, 4, solution=labelled, cooling=Cooling(bulk_energy=0.28)
    )
    strong = np.abs(truth["step"].values[0]) > 0.02
    ratio = truth["step_imaged"].values[0, strong] / truth["step"].values[0, strong]
    assert np.abs(np.median(ratio) - 1.0) < 0.2


@pytest.fixture(scope="module")
def surface() -> LabelSolution:
    box = replace(SPECIMEN, box=(-40.0, -100.0, 100.0, 600.0))
    return solve_surface(box, 2, spacing=2.0, depth=20.0, margin=15.0)


def test_surface_of_a_box_shows_dips_and_their_slopes(surface: LabelSolution) -> None:
    maps, truth = simulate_maps(surface.specimen, INSTRUMENT, 2, solution=surface)
    assert maps[0].attrs["simulated"] == 1
    sin_dip = truth["sin_dip"].values
    assert ((sin_dip > 0) & (sin_dip <= 1)).all()
    # planes of random orientation cut by a surface: 8/(3π) = 0.85
    assert sin_dip.mean() == pytest.approx(8.0 / (3.0 * np.pi), abs=0.08)
    p = truth["permeability"].values * truth["step"].values / sin_dip
    slope = truth["slope"].values * truth["grain_d"].values[0]
    assert slope == pytest.approx(np.stack([p, p], axis=2))
    assert np.nanmedian(truth["step"].values[0][truth["length"].values > 6]) < 0
    assert truth["macro_fraction"].values[0, 0] > truth["macro_fraction"].values[0, -1]


def test_steps_in_the_surface_are_the_jumps_of_its_image(surface: LabelSolution) -> None:
    """C beside a long boundary, extrapolated across it, leaves the step of the truth."""
    image = surface.fields[0].reshape(surface.labels.shape)
    flat = surface.boundaries
    steps, _ = surface.steps_and_slopes(surface.fields[0])
    jumps = []
    for k in np.argsort(-flat.lengths)[:8]:
        jump = []
        first, second = flat.grains[k]
        for j, i in np.argwhere(surface.labels[:-1] != surface.labels[1:]):
            if j < 1 or j + 2 >= len(image):
                continue
            column = surface.labels[j - 1 : j + 3, i]
            if column.tolist() == [first, first, second, second]:
                c = image[j - 1 : j + 3, i]
                jump.append((c[2] - 0.5 * (c[3] - c[2])) - (c[1] + 0.5 * (c[1] - c[0])))
        if len(jump) >= 5:
            jumps.append((np.mean(jump), steps[k]))
    seen, true = np.array(jumps).T
    assert len(seen) >= 3
    assert (seen @ true) / (true @ true) == pytest.approx(1.0, abs=0.15)


def test_columns_stand_upright() -> None:
    upright = solve_surface(
        replace(SPECIMEN, box=(-40.0, -100.0, 100.0, 600.0)),
        2,
        spacing=2.5,
        depth=10.0,
        margin=10.0,
        prismatic=True,
    )
    assert upright.sin_dip is not None
    assert upright.sin_dip == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: solve_labels(SPECIMEN, 1, np.zeros((4, 4))), "labels must be an image of whole"),
        (lambda: solve_labels(SPECIMEN, 1, np.zeros(4, int)), "labels must be an image of whole"),
        (lambda: embedded_labels(SPECIMEN, 1, -np.eye(4, dtype=int), 1.0), "not negative"),
        (lambda: embedded_labels(SPECIMEN, 1, np.eye(4, dtype=int), 0.0), "pixel must be positive"),
        (lambda: solve_surface(SPECIMEN, 1, depth=0.0), "depth must be positive, got 0 um"),
        (lambda: solve_surface(SPECIMEN, 1, margin=50.0), "must lie above the liquid level"),
    ],
)
def test_bad_input(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]


def test_what_a_surface_cannot_do(surface: LabelSolution) -> None:
    with pytest.raises(ValueError, match="cooling needs the whole box"):
        simulate_maps(surface.specimen, INSTRUMENT, 2, solution=surface, cooling=Cooling())
    with pytest.raises(ValueError, match="points must lie inside the label image"):
        surface.sample(np.array([-500.0]), np.array([50.0]))

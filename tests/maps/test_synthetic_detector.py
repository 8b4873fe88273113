"""Each artefact is undone by its own correction, here written out from its own formula."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from lliso import schema
from lliso.maps.synthetic import (
    Artefacts,
    Cooling,
    Instrument,
    Solution,
    Specimen,
    effects_from,
    simulate_maps,
    solve_specimen,
)
from lliso.maps.synthetic_detector import drift_path
from lliso.maps.synthetic_render import boundary_distance

if TYPE_CHECKING:
    import xarray as xr

SPECIMEN = Specimen(
    box=(-20.0, -100.0, 120.0, 400.0),
    window=(0.0, 40.0, 100.0, 120.0),
    mesh_fine=3.0,
    mesh_coarse=8.0,
)
INSTRUMENT = Instrument(counts=2000.0, pixels=(100, 80))


@pytest.fixture(scope="module")
def solved() -> Solution:
    return solve_specimen(SPECIMEN, 5)


def run(
    solved: Solution, artefacts: Artefacts | None, instrument: Instrument = INSTRUMENT
) -> tuple[np.ndarray, xr.Dataset, xr.Dataset]:
    maps, truth = simulate_maps(SPECIMEN, instrument, 5, artefacts=artefacts, solution=solved)
    schema.check_map(maps[0], needs=["6Li", "7Li"])
    return maps[0]["counts"].values.astype(float), truth, maps[0]


def pull(n6: np.ndarray, n7: np.ndarray, truth: xr.Dataset) -> float:
    """Deviation of the summed n₆ from the truth, in standard deviations of counting."""
    c = truth["fraction_blurred"].values[0]
    n = n6 + n7
    return float((n6 - n * c).sum() / np.sqrt((n * c * (1 - c)).sum()))


def test_no_artefacts_are_poisson_of_the_same_mean(solved: Solution) -> None:
    n, truth, _ = run(solved, Artefacts())
    c = truth["fraction_blurred"].values[0]
    chi2 = np.mean((n[0] - n.sum(0) * c) ** 2 / (n.sum(0) * c * (1 - c)))
    assert chi2 == pytest.approx(1.0, abs=4 * 0.016)
    assert abs(pull(n[0], n[1], truth)) < 4


def test_dead_time_is_undone_by_stephans_formula(solved: Solution) -> None:
    shots = 2500
    m, truth, ds = run(solved, Artefacts(shots=shots))
    assert ds.attrs["dead_time_corrected"] == "no"
    assert ds.attrs["shots_per_pixel"] == shots
    assert abs(pull(m[0], m[1], truth)) > 20
    n = -shots * np.log1p(-m / shots)
    # the estimator's own bias, (e^λ - 1)/2 counts a pixel and species, taken off
    n -= 0.5 * np.expm1(n / shots)
    variance = shots * np.expm1(n / shots)
    c = truth["fraction_blurred"].values[0]
    deviation = ((1 - c) * n[0] - c * n[1]).sum()
    sigma = np.sqrt(((1 - c) ** 2 * variance[0] + c**2 * variance[1]).sum())
    assert abs(deviation) < 4 * sigma


def test_background_is_undone_by_subtraction(solved: Solution) -> None:
    n, truth, _ = run(solved, Artefacts(background=(20.0, 60.0)))
    assert abs(pull(n[0], n[1], truth)) > 20
    c, total = truth["fraction_blurred"].values[0], n.sum()
    excess = ((1 - c) * (n[0] - 20.0) - c * (n[1] - 60.0)).sum()
    assert abs(excess) < 4 * np.sqrt(total * 0.25)


def test_hydride_and_fractionation_are_undone_in_their_order(solved: Solution) -> None:
    h, k = 0.03, 1.05
    n, truth, _ = run(solved, Artefacts(hydride=h, mass_fractionation=k))
    assert abs(pull(n[0], n[1], truth)) > 15
    n7 = n[1] - h * n[0]
    c = truth["fraction_blurred"].values[0]
    ratio = n[0].sum() / n7.sum()
    # K multiplies the ratio; with C nearly the same in all pixels sums may stand for means
    weight = n[0] / k + n7
    expected = (weight * c).sum() / (weight * (1 - c)).sum()
    assert ratio / k == pytest.approx(expected, rel=4 / np.sqrt(n.sum() * 0.2))


def test_frames_share_counts_current_and_shots(solved: Solution) -> None:
    artefacts = Artefacts(frames=5, current_decay=0.4, shots=5000)
    maps, truth = simulate_maps(SPECIMEN, INSTRUMENT, 5, artefacts=artefacts, solution=solved)
    counts = maps[0]["counts"]
    assert counts.dims == ("species", "frame", "y", "x")
    assert counts.dtype == np.uint16 or counts.dtype == np.uint8
    current = truth["current"].values[0]
    assert current.mean() == pytest.approx(1.0)
    assert current[0] / current[-1] == pytest.approx(np.exp(0.4))
    per_frame = -1000 * np.log1p(-counts.values.astype(float) / 1000)
    total = per_frame.sum(axis=(0, 2, 3))
    assert total / total.mean() == pytest.approx(current, abs=0.003)
    assert total.sum() / 8000 == pytest.approx(2000.0, rel=0.002)


def test_drift_moves_frames_by_what_the_truth_says(solved: Solution) -> None:
    """Frames pushed back by their true offset agree; as they are, they do not."""
    bright = Instrument(counts=40000.0, pixels=(100, 80))
    artefacts = Artefacts(frames=4, drift=6.0)
    n, truth, ds = run(solved, artefacts, bright)
    offset = truth["drift"].values[0]
    assert offset.mean(axis=0) == pytest.approx(0.0, abs=1e-12)
    assert np.hypot(*(offset[-1] - offset[0])) == pytest.approx(6.0, rel=0.25)
    from scipy.ndimage import shift

    total = n.sum(axis=0)
    raw = total[0] - total[-1]
    back = [shift(f, (-o[1], -o[0]), order=1) for f, o in zip(total, offset, strict=True)]
    inner = (slice(10, -10), slice(10, -10))
    assert (back[0] - back[-1])[inner].std() < 0.5 * raw[inner].std()
    assert ds.sizes["frame"] == 4


def test_drift_path_depends_on_seed_and_stage_only() -> None:
    a = Artefacts(frames=20, drift=5.0)
    assert np.array_equal(drift_path(a, 1, 0), drift_path(a, 1, 0))
    assert not np.allclose(drift_path(a, 1, 0), drift_path(a, 1, 1))
    assert np.abs(drift_path(a, 1, 0)).max() < a.reach


def test_grooves_lower_the_intensity_at_boundaries_not_the_fraction(solved: Solution) -> None:
    n, truth, _ = run(solved, Artefacts(groove_depth=0.5, groove_width=1.5))
    plain, _, _ = run(solved, Artefacts())
    far = boundary_distance(truth["label"].values, (1.0, 1.0))
    near = n[:, far < 1].sum() / plain[:, far < 1].sum()
    inside = n[:, far > 4].sum() / plain[:, far > 4].sum()
    assert near < 0.75 * inside
    # the truth's blurred fraction is the one seen through the grooves
    assert abs(pull(n[0], n[1], truth)) < 4


def test_cooling_softens_grains_and_leaves_the_steps(solved: Solution) -> None:
    """√(2Dt) of a few µm at E = 0.28 eV: slopes near boundaries go, steps move by little."""
    cold = Cooling(bulk_energy=0.28)
    maps, truth = simulate_maps(SPECIMEN, INSTRUMENT, 5, cooling=cold, solution=solved)
    _, warm = simulate_maps(SPECIMEN, INSTRUMENT, 5, solution=solved)
    step, imaged = truth["step"].values[0], truth["step_imaged"].values[0]
    assert truth["step"].values == pytest.approx(warm["step"].values)
    strong = np.abs(step) > 0.02
    change = imaged[strong] / step[strong] - 1.0
    assert np.abs(np.median(change)) < 0.1
    assert np.abs(change).max() > 1e-4
    flattening = [
        float(np.abs(t["fraction"][0] - t["fraction"][0].mean("x")).std()) for t in (warm, truth)
    ]
    assert flattening[1] != flattening[0]
    assert effects_from(maps[0].attrs["parameters"]) == (None, cold)
    frozen = Cooling(bulk_energy=1.0, boundary_energy=1.0)
    _, still = simulate_maps(SPECIMEN, INSTRUMENT, 5, cooling=frozen, solution=solved)
    assert still["step_imaged"].values == pytest.approx(still["step"].values, abs=1e-6)


def test_artefacts_are_in_the_attributes_and_change_the_id(solved: Solution) -> None:
    artefacts = Artefacts(hydride=0.02, background=(1.0, 2.0))
    _, _, ds = run(solved, artefacts)
    assert effects_from(ds.attrs["parameters"]) == (artefacts, None)
    assert ds.attrs["map_id"] != run(solved, None)[2].attrs["map_id"]


@pytest.mark.parametrize(
    ("kw", "message"),
    [
        ({"shots": -1}, "shots must not be negative"),
        ({"background": (-1.0, 0.0)}, "background must be two numbers"),
        ({"mass_fractionation": 0.0}, "must be positive, got 0, 1, 1"),
        ({"groove_depth": 1.5}, "groove_depth must be at most 1"),
        ({"drift": 3.0}, "drift needs several frames"),
        ({"drift": "3 s", "frames": 2}, "another dimension"),
    ],
)
def test_bad_artefacts(kw: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Artefacts(**kw)  # type: ignore[arg-type]


def test_bad_cooling() -> None:
    with pytest.raises(ValueError, match="temperature must be positive"):
        Cooling(temperature=0.0)
    with pytest.raises(ValueError, match="duration must be positive, got -1 s"):
        Cooling(duration=-1.0)


def test_drift_beyond_the_specimen_is_refused(solved: Solution) -> None:
    with pytest.raises(ValueError, match="points must lie inside the structure"):
        run(solved, Artefacts(frames=2, drift=40.0))


def corrected(name: str, maps: tuple, truth: xr.Dataset, artefacts: Artefacts) -> np.ndarray:
    """Counts (2, y, x) after undoing one artefact, the formula written out."""
    n = maps[0]["counts"].values.astype(float)
    if name == "dead time":
        n = -artefacts.shots * np.log1p(-n / artefacts.shots)
        # its own bias, (e^λ - 1)/2 a pixel and species
        return n - 0.5 * np.expm1(n / artefacts.shots)
    if name == "background":
        return n - np.array(artefacts.background)[:, None, None]
    if name == "hydride":
        return np.stack([n[0], n[1] - artefacts.hydride * n[0]])
    if name == "mass fractionation":
        return np.stack([n[0] / artefacts.mass_fractionation, n[1]])
    if name == "current decay":
        # dead time differs from frame to frame: corrected in each, then summed
        shots = artefacts.shots // artefacts.frames
        n = -shots * np.log1p(-n / shots)
        return (n - 0.5 * np.expm1(n / shots)).sum(axis=1)
    from scipy.ndimage import shift

    offset = truth["drift"].values[0]
    frames = [
        [
            shift(s, (-o[1], -o[0]), order=1, mode="nearest")
            for s, o in zip(one, offset, strict=True)
        ]
        for one in n
    ]
    return np.asarray(frames).sum(axis=1)


@pytest.mark.parametrize(
    ("name", "artefacts", "raw_bias"),
    [
        ("dead time", Artefacts(shots=2500), 5e-3),
        ("background", Artefacts(background=(20.0, 60.0)), 5e-3),
        ("hydride", Artefacts(hydride=0.03), 5e-3),
        ("mass fractionation", Artefacts(mass_fractionation=1.05), 2e-3),
        ("drift", Artefacts(frames=6, drift=8.0), 1e-3),
        ("current decay", Artefacts(frames=5, current_decay=1.0, shots=4000), 1e-3),
    ],
)
def test_residual_bias_of_each_artefact(
    solved: Solution, name: str, artefacts: Artefacts, raw_bias: float
) -> None:
    """Bias of C over the view, against the truth: seen before, within counting error after.

    With 1.6e7 ions the counting error of the mean is 1.1e-4; what is left is below 1e-4 of C.
    Drift does not bias the mean but blurs: there it is the rms of C, smoothed over 2 pixels; what
    is left is the interpolation of whole frames by parts of a pixel.
    """
    counts = 40_000.0 if name == "drift" else 2000.0
    instrument = replace(INSTRUMENT, counts=counts)
    maps, truth = simulate_maps(SPECIMEN, instrument, 5, artefacts=artefacts, solution=solved)
    c = truth["fraction_blurred"].values[0]
    raw = maps[0]["counts"].values.astype(float)
    raw = raw.sum(axis=1) if raw.ndim == 4 else raw
    after = corrected(name, maps, truth, artefacts)
    inner = (slice(8, -8), slice(8, -8))

    def bias(n: np.ndarray) -> float:
        excess = n[0] - c * n.sum(axis=0)
        if name == "drift":  # smoothed, so that counting does not hide it
            smooth = gaussian_filter(excess, 2.0) / gaussian_filter(n.sum(axis=0), 2.0)
            return float(np.sqrt(np.mean(smooth[inner] ** 2)))
        return float(excess.sum() / n.sum())

    assert abs(bias(raw)) > raw_bias
    limit = 0.4 * bias(raw) if name == "drift" else 4 * np.sqrt(0.25 / raw.sum())
    assert abs(bias(after)) < limit

"""Stacks and event lists larger than memory: same figures, block by block, or nothing at all."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from lliso.io import write_map
from lliso.maps.alignment import align_frames
from lliso.maps.dead_time import correct_dead_time
from lliso.maps.drift import measure_drift
from lliso.maps.fraction import sum_frames
from lliso.maps.stacks import count_events, group_frames, open_stack, sum_stack
from lliso.schema import make_map

LABELS = ["6Li", "7Li"]
AXIS = np.arange(32) * 1.0
SHOTS = 40


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(1)
    scene = np.exp(0.3 * np.sign(np.sin(np.arange(40) / 3)[:, None] * np.cos(np.arange(40) / 2)))
    frames = []
    for f in range(12):
        here = scene[4 - f % 3 : 36 - f % 3, 4:36]
        frames.append([rng.binomial(SHOTS, -np.expm1(-r * here)) for r in (0.1, 0.3)])
    return np.stack(frames, axis=1).astype(np.uint8)


@pytest.fixture
def stored(tmp_path, counts):
    np.save(tmp_path / "stack.npy", counts)
    return tmp_path / "stack.npy"


def opened(path, **options):
    return open_stack(path, LABELS, x=AXIS, y=AXIS, **options)


def job(ds, drift):
    return align_frames(correct_dead_time(ds, shots=SHOTS), drift)


def test_lazy_stack_gives_what_the_eager_one_gives(stored, counts):
    eager = make_map(counts, LABELS, x=AXIS, y=AXIS, attrs={"map_id": "a"})
    lazy = opened(stored, frames_per_block=2, attrs={"map_id": "a"})
    assert lazy.counts.chunks[1] == (2,) * 6
    drift = measure_drift(eager)
    expected = sum_frames(job(eager, drift))
    lines = []
    found = sum_stack(job(lazy, drift), progress=lines.append)
    xr.testing.assert_allclose(found, expected)
    assert found.attrs == expected.attrs
    assert lines == ["sum: frame 8 of 12", "sum: frame 12 of 12"]
    xr.testing.assert_allclose(sum_frames(job(lazy, drift)).compute(), expected)
    xr.testing.assert_identical(measure_drift(lazy), drift)


def test_few_blocks_are_in_memory_at_a_time(stored):
    """Reads are counted: when a batch is summed, the next one has not been read yet."""
    import dask.array as da

    lazy = opened(stored, frames_per_block=1)
    read = []

    def watch(block, block_info=None):
        read.append(block_info[0]["array-location"][1][0])
        return block

    data = lazy.counts.data
    watched = da.map_blocks(watch, data, dtype=data.dtype, meta=np.empty((0,) * 4, data.dtype))
    seen = []
    sum_stack(
        lazy.assign(counts=(lazy.counts.dims, watched)),
        progress=lambda _: seen.append(len(set(read))),
    )
    assert seen == [4, 8, 12]


class Stopped:
    """A progress callback that is interrupted at its nth call, as by Ctrl-C."""

    def __init__(self, n):
        self.left = n

    def __call__(self, _):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_interrupted_sum_leaves_nothing(stored, tmp_path):
    lazy = opened(stored, frames_per_block=1)
    with pytest.raises(KeyboardInterrupt):
        sum_stack(lazy, progress=Stopped(2))
    with pytest.raises(KeyboardInterrupt):
        measure_drift(lazy, progress=Stopped(20))
    assert [p.name for p in tmp_path.iterdir()] == ["stack.npy"]


def test_interrupted_while_a_lazy_map_is_written_leaves_nothing(stored, tmp_path):
    lazy = opened(stored, frames_per_block=1)

    def interrupt(block):
        raise KeyboardInterrupt

    data = lazy.counts.data
    broken = data.map_blocks(interrupt, dtype=data.dtype, meta=np.empty((0,) * 4, data.dtype))
    with pytest.raises(KeyboardInterrupt):
        write_map(sum_frames(lazy.assign(counts=(lazy.counts.dims, broken))), tmp_path / "m.nc")
    assert [p.name for p in tmp_path.iterdir()] == ["stack.npy"]


def events(counts, parts, seed=2):
    """The ions of a stack one by one, in any order."""
    s, f, y, x = (
        np.repeat(i, counts.ravel()) for i in (k.ravel() for k in np.indices(counts.shape))
    )
    order = np.random.default_rng(seed).permutation(s.size)
    for part in np.array_split(order, parts):
        yield {"species": s[part], "frame": f[part], "y": y[part], "x": x[part]}


def test_events_become_the_counts_they_are(counts, tmp_path):
    lines = []
    ds = count_events(events(counts, 5), LABELS, x=AXIS, y=AXIS, frames=12, progress=lines.append)
    assert np.array_equal(ds.counts.values, counts)
    assert len(lines) == 5
    assert lines[-1] == f"events: {counts.sum()}"
    path = tmp_path / "events.npy"
    lazy = count_events(events(counts, 7), LABELS, x=AXIS, y=AXIS, frames=12, path=path)
    assert lazy.counts.chunks is not None
    assert np.array_equal(lazy.counts.values, counts)
    assert [p.name for p in tmp_path.iterdir()] == ["events.npy"]


def test_interrupted_count_of_events_leaves_nothing(counts, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        count_events(
            events(counts, 5),
            LABELS,
            x=AXIS,
            y=AXIS,
            frames=12,
            path=tmp_path / "events.npy",
            progress=Stopped(3),
        )
    assert list(tmp_path.iterdir()) == []


def test_other_species_are_passed_over_and_strays_refused():
    one = {"x": [0], "y": [0], "frame": [0], "species": [-1]}
    ds = count_events([one], ["6Li"], x=[0.0], y=[0.0], frames=1)
    assert ds.counts.values.sum() == 0
    with pytest.raises(ValueError, match="x of an event must be from 0 to 0, got 3"):
        count_events([{**one, "x": [3], "species": [0]}], ["6Li"], x=[0.0], y=[0.0], frames=1)
    many = {k: np.zeros(70_000, int) for k in one}
    with pytest.raises(ValueError, match="must hold at most 65535 counts, got 70000"):
        count_events([many], ["6Li"], x=[0.0], y=[0.0], frames=1)


def test_groups_of_frames_have_the_shots_of_all(counts):
    ds = make_map(counts, LABELS, x=AXIS, y=AXIS, attrs={"shots_per_pixel": 12 * SHOTS})
    grouped = group_frames(ds, 5)
    assert grouped.sizes["frame"] == 2
    assert grouped.attrs["shots_per_pixel"] == 10 * SHOTS
    assert np.array_equal(grouped.counts.values[:, 1], counts[:, 5:10].sum(axis=1))
    both = group_frames(ds.assign(shots=SHOTS), 4)
    assert int(both.shots) == 4 * SHOTS
    with pytest.raises(ValueError, match="n must be a whole number from 1 to 12 frames, got 13"):
        group_frames(ds, 13)
    with pytest.raises(ValueError, match="must be grouped as counted, got a map with the steps"):
        group_frames(correct_dead_time(ds), 2)


def test_a_file_of_another_shape_is_refused(tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"must have \(species, frame, y, x\), got the shape \(3,"):
        opened(tmp_path / "flat.npy")


@pytest.mark.slow
def test_unchanged_on_a_cluster_of_processes(stored):
    distributed = pytest.importorskip("distributed")
    lazy = opened(stored, frames_per_block=3)
    drift = measure_drift(lazy)
    expected = sum_stack(job(lazy, drift))
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    )
    with cluster, distributed.Client(cluster):
        drift_there = measure_drift(lazy)
        found = sum_stack(job(lazy, drift_there))
    xr.testing.assert_identical(drift_there, drift)
    xr.testing.assert_allclose(found, expected)

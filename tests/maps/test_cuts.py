"""Line cuts: whole counts, each pixel once, distances in µm, and what lies outside."""

import json
import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lliso.errors import LlisoWarning
from lliso.maps.cuts import LineCut, line_profile, map_extent
from lliso.schema import make_map

PITCH = (0.977, 0.971)  # of the published map: neither whole nor square
SHAPE = (23, 31)  # rows, columns


def numbered_map(pitch=PITCH, shape=SHAPE, origin=(0.0, 0.0)):
    """Every pixel has a count of its own, a power of two being too large: its number, squared."""
    number = np.arange(shape[0] * shape[1], dtype=np.int64).reshape(shape)
    x = origin[0] + (np.arange(shape[1]) + 0.5) * pitch[0]
    y = origin[1] + (np.arange(shape[0]) + 0.5) * pitch[1]
    return make_map([number**2 + 1, 3 * number + 2], ["6Li", "7Li"], x=x, y=y)


def quiet_profile(ds, cut, slice_length=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LlisoWarning)
        return line_profile(ds, cut, slice_length)


def by_hand(ds, cut, slice_length, n_slices):
    """Slice sums by a slow loop over all pixels; None if a centre is too near an edge to tell."""
    (ax, ay), (bx, by) = cut.start, cut.end
    length = math.hypot(bx - ax, by - ay)
    counts = ds.counts.values
    sums = np.zeros((counts.shape[0], n_slices), np.int64)
    pixels = np.zeros(n_slices, int)
    for i, y in enumerate(ds.y.values):
        for j, x in enumerate(ds.x.values):
            along = ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length
            across = ((y - ay) * (bx - ax) - (x - ax) * (by - ay)) / length
            edge = min(abs(abs(across) - cut.width / 2), abs(along / slice_length % 1))
            edge = min(edge, 1 - along / slice_length % 1)
            if edge < 1e-6:
                return None
            if abs(across) < cut.width / 2 and 0 < along < n_slices * slice_length:
                sums[:, int(along / slice_length)] += counts[:, i, j]
                pixels[int(along / slice_length)] += 1
    return sums, pixels


coordinate = st.floats(-5.0, 35.0)
point = st.tuples(coordinate, coordinate)


@settings(deadline=None, max_examples=150)
@given(start=point, end=point, width=st.floats(1.0, 25.0), slices=st.floats(0.4, 5.0))
def test_slices_are_the_sums_of_their_pixels(start, end, width, slices):
    ds = numbered_map()
    if math.dist(start, end) < 2 * slices:
        return
    cut = LineCut(start=start, end=end, width=width)
    n_slices = math.floor(cut.length / slices + 1e-9)
    expected = by_hand(ds, cut, slices, n_slices)
    if expected is None:
        return
    if expected[1].sum() == 0:
        with pytest.raises(ValueError, match="must lie on the map"):
            line_profile(ds, cut, slices)
        return
    profile = quiet_profile(ds, cut, slices)
    np.testing.assert_array_equal(profile.counts.values, expected[0])
    np.testing.assert_array_equal(profile.pixels.values, expected[1])
    assert profile.counts.dtype == np.int64


@settings(deadline=None, max_examples=60)
@given(
    angle=st.one_of(st.floats(0, 2 * math.pi), st.integers(0, 7).map(lambda k: k * math.pi / 4)),
    width=st.sampled_from([3.0, 4.0, 7.5]),
    turned=st.booleans(),
)
def test_cuts_that_touch_share_no_pixel_and_lose_none(angle, width, turned):
    """Also with pixel centres exactly on the common edge, and with cuts drawn the other way."""
    ds = numbered_map(pitch=(1.0, 1.0), shape=(30, 30), origin=(-0.5, -0.5))
    ux, uy = math.cos(angle), math.sin(angle)
    nx, ny = -uy, ux
    total = np.zeros(2)
    for k in range(-9, 9):  # parallel stripes over the whole map
        mx, my = 15 + nx * width * k, 15 + ny * width * k
        a, b = (mx - 40 * ux, my - 40 * uy), (mx + 40 * ux, my + 40 * uy)
        cut = (
            LineCut(start=b, end=a, width=width)
            if turned and k % 2
            else LineCut(start=a, end=b, width=width)
        )
        try:
            total += quiet_profile(ds, cut, 80.0 / 20).counts.values.sum(axis=1)
        except ValueError as err:
            assert "covers no pixel" in str(err)  # noqa: PT017 - a stripe beside the map
    np.testing.assert_array_equal(total, ds.counts.values.sum(axis=(1, 2)))


def test_cuts_at_right_angles_that_touch_share_no_pixel():
    ds = numbered_map(pitch=(1.0, 1.0), shape=(20, 20), origin=(-0.5, -0.5))
    along_y = LineCut(start=(5, 0), end=(5, 20), width=10)  # x from 0 to 10
    along_x = LineCut(start=(10, 10), end=(20, 10), width=20)  # x from 10 to 20
    total = sum(quiet_profile(ds, c, 5.0).counts.values.sum(axis=1) for c in (along_y, along_x))
    np.testing.assert_array_equal(total, ds.counts.values.sum(axis=(1, 2)))


@pytest.mark.parametrize("axis", ["x", "y"])
def test_along_an_axis_a_slice_is_a_row_of_pixels(axis):
    ds = numbered_map()
    (x0, x1), (y0, y1) = map_extent(ds)
    dx, dy = PITCH
    if axis == "y":
        cut = LineCut(start=(x0 + 10 * dx, y0), end=(x0 + 10 * dx, y1), width=8 * dx)
        expected = ds.counts.values[:, :, 6:14].sum(axis=2)
        centres = ds.y.values
    else:
        cut = LineCut(start=(x0, y0 + 10 * dy), end=(x1, y0 + 10 * dy), width=8 * dy)
        expected = ds.counts.values[:, 6:14, :].sum(axis=1)
        centres = ds.x.values
    profile = line_profile(ds, cut)
    np.testing.assert_array_equal(profile.counts.values, expected)
    assert np.all(profile.pixels == 8)
    # Positions are rounded to 1e-6 µm.
    np.testing.assert_allclose(profile.distance, centres, atol=1e-6)
    assert profile.attrs["slice_length"] == pytest.approx(dy if axis == "y" else dx, rel=1e-12)
    assert profile.attrs["outside_fraction"] == 0


@settings(deadline=None, max_examples=60)
@given(
    start=st.tuples(st.integers(0, 29), st.integers(0, 29)),
    end=st.tuples(st.integers(0, 29), st.integers(0, 29)),
    width=st.sampled_from([2.0, 4.0, 5.0]),
    n=st.integers(1, 12),
)
def test_drawn_the_other_way_it_is_the_same_profile(start, end, width, n):
    """Ends on pixel centres: the worst case, because centres then lie on the band's edges."""
    if start == end:
        return
    ds = numbered_map(pitch=(1.0, 1.0), shape=(30, 30), origin=(-0.5, -0.5))
    there = LineCut(start=start, end=end, width=width)
    back = LineCut(start=end, end=start, width=width)
    a = quiet_profile(ds, there, there.length / n)
    b = quiet_profile(ds, back, back.length / n)
    np.testing.assert_array_equal(a.counts.values, b.counts.values[:, ::-1])
    np.testing.assert_allclose(a.distance, there.length - b.distance.values[::-1], atol=1e-5)


def test_distance_is_the_mean_place_of_the_pixels():
    ds = numbered_map(pitch=(1.0, 1.0), shape=(20, 20))
    cut = LineCut(start=(2, 3), end=(14, 12), width=4)  # a 3-4-5 triangle: length 15
    profile = line_profile(ds, cut, 3.0)
    along = {k: [] for k in range(5)}
    for x in ds.x.values:
        for y in ds.y.values:
            t, s = cut.project(x, y)
            if abs(s) < 2 and 0 <= t < 15:
                along[int(t // 3)].append(t)
    np.testing.assert_allclose(profile.distance, [np.mean(v) for v in along.values()], atol=1e-6)
    assert profile.distance.attrs["units"] == "um"


def test_an_empty_slice_is_empty_and_in_its_middle():
    ds = numbered_map(pitch=(1.0, 1.0), shape=(10, 10))
    cut = LineCut(start=(5, 1), end=(5, 9), width=1)
    profile = line_profile(ds, cut, 0.25)
    empty = profile.pixels.values == 0
    assert empty.sum() == 24  # three of four slices, on pixels of 1 µm
    np.testing.assert_allclose(
        profile.distance.values[empty], (np.flatnonzero(empty) + 0.5) * 0.25, atol=1e-6
    )
    assert np.all(profile.counts.values[:, empty] == 0)


def test_counts_of_small_types_do_not_overflow():
    counts = np.full((2, 40, 40), 255, np.uint8)
    ds = make_map(counts, ["6Li", "7Li"], x=np.arange(40.0), y=np.arange(40.0))
    profile = line_profile(ds, LineCut(start=(19.5, -0.5), end=(19.5, 39.5), width=40))
    assert np.all(profile.counts == 255 * 40)


def test_frames_are_summed_first():
    frames = np.arange(2 * 3 * 8 * 8).reshape(2, 3, 8, 8)
    axis = np.arange(8.0)
    stack = make_map(frames, ["6Li", "7Li"], x=axis, y=axis)
    flat = make_map(frames.sum(axis=1), ["6Li", "7Li"], x=axis, y=axis)
    cut = LineCut(start=(1, 1), end=(6, 5), width=3)
    np.testing.assert_array_equal(line_profile(stack, cut).counts, line_profile(flat, cut).counts)


def test_a_lazy_map_gives_the_same_and_only_the_band_is_computed():
    da = pytest.importorskip("dask.array")
    seen = []

    def block(block_info=None):
        where = block_info[None]["array-location"]
        seen.append(tuple(where[1]))
        rows = np.arange(*where[1])[:, None]
        return np.broadcast_to(rows, (2, rows.size, 10)).astype(np.int64)

    lazy = da.map_blocks(block, chunks=((2,), (10,) * 10, (10,)), dtype=np.int64)
    ds = make_map(
        lazy, ["6Li", "7Li"], x=np.arange(10.0), y=np.arange(100.0), attrs={"map_id": "a"}
    )
    assert seen == []
    profile = line_profile(ds, LineCut(start=(0, 42), end=(9, 42), width=4))
    assert set(seen) == {(40, 50)}
    np.testing.assert_array_equal(profile.counts.values[0], np.full(9, 40 + 41 + 42 + 43))


def test_a_lazy_map_with_bad_counts_is_refused():
    da = pytest.importorskip("dask.array")
    counts = np.ones((2, 9, 9))
    counts[0, 4, 4] = np.nan
    ds = make_map(
        da.from_array(counts),
        ["6Li", "7Li"],
        x=np.arange(9.0),
        y=np.arange(9.0),
        attrs={"map_id": "a"},
    )
    with pytest.raises(ValueError, match="counts must be finite, got 1 NaN"):
        line_profile(ds, LineCut(start=(4, 0), end=(4, 8), width=4))


def test_attributes_say_which_map_and_cut():
    ds = numbered_map().assign_attrs(stage="59 h", simulated=1)
    cut = LineCut(name="across", start=(3, 3), end=(20, 15), width=4)
    attrs = line_profile(ds, cut).attrs
    assert attrs["map_id"] == ds.attrs["map_id"]
    assert (attrs["stage"], attrs["simulated"], attrs["cut_width"]) == ("59 h", 1, 4)
    assert LineCut(**json.loads(attrs["cut"])) == cut


# outside, zero length, too narrow -----------------------------------------------------------------
def test_wholly_outside():
    ds = numbered_map()
    with pytest.raises(
        ValueError, match=r"cut 'far' must lie on the map.*covers no pixel; the map s"
    ):
        line_profile(ds, LineCut(name="far", start=(100, 100), end=(120, 100), width=5))


def test_partly_outside_is_reported_with_its_share():
    ds = numbered_map(pitch=(1.0, 1.0), shape=(20, 20))
    cut = LineCut(name="a", start=(10, 10), end=(30, 10), width=4)
    with pytest.warns(LlisoWarning, match=r"^50\.0% of cut 'a' lies outside the map") as caught:
        profile = line_profile(ds, cut)
    assert caught[0].filename == __file__
    assert profile.attrs["outside_fraction"] == pytest.approx(0.5)
    assert np.all(profile.pixels.values[:10] == 4)
    assert np.all(profile.pixels.values[10:] == 0)


def test_half_the_width_outside():
    ds = numbered_map(pitch=(1.0, 1.0), shape=(20, 20))
    with pytest.warns(LlisoWarning, match=r"^50\.0% of cut"):
        line_profile(ds, LineCut(start=(2, 0), end=(18, 0), width=8))


@settings(deadline=None, max_examples=50)
@given(start=point, end=point, width=st.floats(1.0, 25.0))
def test_the_share_outside_is_the_share_of_the_bands_area(start, end, width):
    if math.dist(start, end) < 3:
        return
    ds = numbered_map()
    cut = LineCut(start=start, end=end, width=width)
    (x0, x1), (y0, y1) = map_extent(ds)
    rng = np.random.default_rng(0)
    t, s = rng.uniform(0, cut.length, 20_000), rng.uniform(-width / 2, width / 2, 20_000)
    ux, uy = cut.direction
    x, y = cut.start[0] + t * ux - s * uy, cut.start[1] + t * uy + s * ux
    share = np.mean((x < x0) | (x > x1) | (y < y0) | (y > y1))
    try:
        found = quiet_profile(ds, cut).attrs["outside_fraction"]
    except ValueError:
        assert share > 0.5  # no pixel's centre in the band
        return
    # Five standard deviations of the random points, and one point.
    assert found == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) / 2e4) + 1 / 2e4)


def test_no_length():
    with pytest.raises(
        ValueError, match=r"cut 'a' must have a length, got the same point \(3.0, 4"
    ):
        LineCut(name="a", start=(3, 4), end=(3, 4), width=5)


@pytest.mark.parametrize(
    ("cut", "pitch"),
    [
        (LineCut(name="a", start=(10, 2), end=(10, 18), width=0.9), (1.0, 1.0)),
        # A cut along x is as many pixels wide as it covers in y, whatever the pitch in x.
        (LineCut(name="a", start=(2, 10), end=(18, 10), width=0.9), (0.5, 1.0)),
    ],
)
def test_narrower_than_a_pixel(cut, pitch):
    ds = numbered_map(pitch=pitch, shape=(20, 40))
    with pytest.raises(
        ValueError, match=r"cut 'a' must be at least one pixel wide, got a width of 0"
    ):
        line_profile(ds, cut)


def test_one_pixel_wide_along_the_narrow_side_of_oblong_pixels():
    ds = numbered_map(pitch=(0.5, 2.0), shape=(20, 40))
    profile = line_profile(ds, LineCut(start=(5.25, 0), end=(5.25, 40), width=0.5))
    assert np.all(profile.pixels == 1)


@pytest.mark.parametrize("length", [0.0, -1.0, math.nan, 21.0])
def test_impossible_slices(length):
    with pytest.raises(
        ValueError, match=r"the slice length must be positive and within the length"
    ):
        line_profile(numbered_map(), LineCut(start=(1, 1), end=(21, 1), width=4), length)


@pytest.mark.parametrize(
    "change", [{"width": 0}, {"width": -1}, {"width": math.inf}, {"start": (math.nan, 0)},
               {"end": (0, math.inf)}, {"name": ""}, {"colour": "red"}]
)  # fmt: skip
def test_bad_numbers(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        LineCut(**{"name": "a", "start": (0, 0), "end": (9, 9), "width": 5, **change})


# geometry -----------------------------------------------------------------------------------------
@given(start=point, end=point, t=st.floats(-50, 50))
def test_project_undoes_point(start, end, t):
    if math.dist(start, end) < 1e-3:
        return
    cut = LineCut(start=start, end=end)
    assert cut.project(*cut.point(t)) == pytest.approx((t, 0), abs=1e-9)


def test_a_cut_is_a_value():
    cut = LineCut(name="a", start=(0, 0), end=(3, 4), width=2)
    assert cut.moved(1, 2) == LineCut(name="a", start=(1, 2), end=(4, 6), width=2)
    assert cut.start == (0, 0)
    with pytest.raises(ValueError, match="frozen"):
        cut.width = 5
    assert len({cut, LineCut(name="a", start=(0, 0), end=(3, 4), width=2)}) == 1

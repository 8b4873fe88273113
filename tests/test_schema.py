"""What a map is, and the words for what is missing."""

import numpy as np
import pytest
import xarray as xr

from lliso.schema import (
    DEFAULT_ATTRS,
    add_history,
    check_counts,
    check_map,
    flip_y,
    hash_of_arrays,
    hash_of_bytes,
    make_map,
    pixel_size,
)

SPECIES = ["6Li", "7Li"]


def small(counts=None, pitch=(0.977, 0.971), **attrs):
    counts = np.arange(2 * 3 * 4).reshape(2, 3, 4) if counts is None else np.asarray(counts)
    x = (np.arange(counts.shape[-1]) + 0.5) * pitch[0]
    y = (np.arange(counts.shape[-2]) + 0.5) * pitch[1]
    return make_map(counts, SPECIES, x=x, y=y, attrs=attrs)


# making -------------------------------------------------------------------------------------------
def test_a_map():
    ds = small(stage="59 h", simulated=1)
    assert ds.counts.dims == ("species", "y", "x")
    assert ds.counts.dtype == np.int64
    assert ds.species.values.tolist() == SPECIES
    assert ds.x.attrs["units"] == ds.y.attrs["units"] == "um"
    assert {**DEFAULT_ATTRS, **ds.attrs} == ds.attrs
    assert (ds.attrs["stage"], ds.attrs["simulated"]) == ("59 h", 1)
    assert all(isinstance(v, (str, int, float)) for v in ds.attrs.values())
    assert pixel_size(ds) == pytest.approx((0.977, 0.971), rel=1e-12)
    check_map(ds, needs=SPECIES)


def test_frames():
    ds = make_map(np.zeros((2, 5, 3, 4), np.uint16), SPECIES, x=np.arange(4.0), y=np.arange(3.0))
    assert ds.counts.dims == ("species", "frame", "y", "x")
    assert ds.counts.dtype == np.uint16
    check_map(ds)


def test_a_list_of_images():
    images = [np.ones((3, 4), int), 2 * np.ones((3, 4), int)]
    ds = make_map(images, SPECIES, x=np.arange(4.0), y=np.arange(3.0))
    assert ds.counts.sel(species="7Li").values.tolist() == images[1].tolist()


def test_defaults_are_not_shared():
    small().attrs["history"] = "changed"
    assert DEFAULT_ATTRS["history"] == ""


def test_lazy_counts_stay_lazy():
    da = pytest.importorskip("dask.array")

    def touched(block):
        raise AssertionError("computed")

    lazy = da.ones((2, 3, 4), dtype=np.int64).map_blocks(touched, dtype=np.int64)
    ds = make_map(lazy, SPECIES, x=np.arange(4.0), y=np.arange(3.0), attrs={"map_id": "abc"})
    check_map(ds, needs=SPECIES)
    assert pixel_size(add_history(ds, "looked at")) == (1.0, 1.0)
    assert ds.counts.chunks is not None


def test_shapes_that_do_not_match():
    with pytest.raises(
        ValueError,
        match=r"images of all species must have the same shape, got 6Li: "
        r"\(2, 2\), 7Li: \(3, 2\); export them with the same binning",
    ):
        make_map([np.ones((2, 2)), np.ones((3, 2))], SPECIES, x=[0.0, 1], y=[0.0, 1])
    with pytest.raises(
        ValueError,
        match=r"counts must have the shape \(2, 3, 4\) of 2 species, 3 rows"
        r" \(y\) and 4 columns \(x\), got \(2, 4, 3\)",
    ):
        make_map(np.ones((2, 4, 3)), SPECIES, x=np.arange(4.0), y=np.arange(3.0))
    with pytest.raises(
        ValueError, match=r"counts must have the shape \(2, 3, 4\) .* got \(3, 3, 4\)"
    ):
        make_map(np.ones((3, 3, 4)), SPECIES, x=np.arange(4.0), y=np.arange(3.0))
    with pytest.raises(
        ValueError, match=r"counts must have the dimensions .* got an array of shape "
    ):
        make_map(np.ones((3, 4)), SPECIES, x=np.arange(4.0), y=np.arange(3.0))


def test_species_as_text():
    with pytest.raises(TypeError, match="species must be a list of labels, got the text '6Li'"):
        make_map(np.ones((3, 4, 4)), "6Li", x=np.arange(4.0), y=np.arange(4.0))


# identity -----------------------------------------------------------------------------------------
def test_map_id_is_that_of_the_counts():
    assert small().attrs["map_id"] == small().attrs["map_id"]
    assert small().attrs["map_id"] != small(np.ones((2, 3, 4), int)).attrs["map_id"]
    assert small().attrs["map_id"] != small(pitch=(1.0, 1.0)).attrs["map_id"]
    assert small(map_id="0123456789ab").attrs["map_id"] == "0123456789ab"
    assert len(small().attrs["map_id"]) == 12


@pytest.mark.parametrize("kind", ["u2", "i4", "i8", "f4", "f8"])
def test_hash_is_independent_of_byte_order_and_layout(kind):
    values = np.arange(24, dtype=f"<{kind}").reshape(2, 3, 4)
    expected = hash_of_arrays([values])
    assert hash_of_arrays([values.astype(f">{kind}")]) == expected
    assert hash_of_arrays([np.asfortranarray(values)]) == expected
    assert hash_of_arrays([np.repeat(values, 2, axis=2)[:, :, ::2]]) == expected


def test_hash_tells_shapes_and_borders_apart():
    values = np.arange(24)
    hashes = {
        hash_of_arrays(arrays)
        for arrays in (
            [values],
            [values.reshape(4, 6)],
            [values.reshape(6, 4)],
            [values[:12], values[12:]],
            [values.astype(np.int32)],
        )
    }
    assert len(hashes) == 5


def test_hash_of_nothing_is_that_of_sha256():
    assert hash_of_bytes() == "e3b0c44298fc"
    assert hash_of_bytes(b"ab", b"c") == hash_of_bytes(b"abc") == "ba7816bf8f01"


# checking -----------------------------------------------------------------------------------------
def axis(name, values, **attrs):
    return {name: (name, np.asarray(values, float), attrs)}


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (
            lambda ds: ds.rename(counts="n"),
            r"a map needs the variable 'counts', found the variables: n",
        ),
        (lambda ds: ds.drop_vars("counts"), "found the variables: none"),
        (
            lambda ds: ds.transpose("y", "x", "species"),
            r"must have the dimensions .*use \.transpose",
        ),
        (lambda ds: ds.isel(y=slice(0, 0)), r"must not be empty, got counts of shape \(2, 0, 4\)"),
        (lambda ds: ds.drop_vars("x"), r"a map needs the coordinate 'x' \(pixel centres in um\)"),
        (
            lambda ds: ds.assign_coords(axis("y", [0, 1, 2], units="mm")),
            "'y' must be in um, got .*mm",
        ),
        (lambda ds: ds.assign_coords(axis("x", [0, 1, np.nan, 3])), "'x' must be finite, got NaN"),
        (
            lambda ds: ds.assign_coords(axis("x", [0, 1, 2, 4])),
            "equal steps, got steps from 1 to 2 um",
        ),
        (
            lambda ds: ds.isel(y=slice(None, None, -1)),
            "'y' must grow in equal steps, got steps from -0",
        ),
        (lambda ds: ds.assign_coords(axis("x", [1, 1, 1, 1])), "'x' must grow in equal steps"),
        (
            lambda ds: ds.assign_coords(species=["6Li", "6Li"]),
            r"different from each other, got \['6Li",
        ),
        (lambda ds: ds.drop_vars("species"), r"species must be labelled .* got \[\]"),
        (
            lambda ds: ds.assign_coords(species=["6Li+", "7Li+"]),
            (
                r"the map lacks the species 6Li, 7Li; it holds 6Li\+, 7Li\+\. If a species has "
                r"another name there, rename it with map\.assign_coords\(species=\[\.\.\.\]\)"
            ),
        ),
        (lambda ds: ds.isel(species=[1]), "the map lacks the species 6Li; it holds 7Li"),
        (lambda ds: ds.assign(counts=-ds.counts), "counts must not be negative, got -23"),
        (
            lambda ds: ds.assign(counts=ds.counts.astype(str)),
            "counts must be numbers, got the type <U",
        ),
        (
            lambda ds: ds.assign(counts=ds.counts.where(ds.counts > 1)),
            "counts must be finite, got 2 NaN or infinite values of 24; mark unknown pixels by 0 ",
        ),
        (
            lambda ds: ds.assign(counts=ds.counts / 0.0),
            "counts must be finite, got 24 NaN or infinite",
        ),
    ],
)
def test_what_is_wrong_is_said(spoilt, message):
    with np.errstate(all="ignore"):
        ds = spoilt(small())
    with pytest.raises(ValueError, match=message):
        check_map(ds, needs=SPECIES)


@pytest.mark.parametrize("thing", [None, np.zeros((2, 3, 4)), xr.DataArray([1.0])])
def test_not_a_dataset(thing):
    with pytest.raises(TypeError, match=rf"must be an xarray\.Dataset, got {type(thing).__name__}"):
        check_map(thing)


def test_microns_by_either_sign_and_by_default():
    ds = small()
    check_map(ds.assign_coords(axis("x", [0, 1, 2, 3], units="µm")))
    check_map(ds.assign_coords(axis("x", [0, 1, 2, 3])))


def test_an_axis_as_exports_round_it():
    """Four decimals of a 0.977 µm pitch are equal steps."""
    x = np.round((np.arange(512) + 0.5) * 500 / 512, 4)
    ds = make_map(np.ones((2, 3, 512), int), SPECIES, x=x, y=np.arange(3.0))
    assert pixel_size(ds)[0] == pytest.approx(500 / 512, rel=1e-6)


def test_pixel_size_of_a_single_row():
    ds = small().isel(y=[0])
    check_map(ds)
    with pytest.raises(ValueError, match="the pixel size along y needs at least 2 pixels, got 1"):
        pixel_size(ds)


@pytest.mark.parametrize("counts", [[], [0, 3], np.zeros(2, np.uint8), [0.5]])
def test_good_counts(counts):
    check_counts(counts)


def test_history_grows_and_the_old_map_keeps_its_own():
    ds = small()
    twice = add_history(add_history(ds, "one"), "two")
    assert twice.attrs["history"] == "one\ntwo"
    assert ds.attrs["history"] == ""


def test_a_map_turned_over_is_another_map():
    m = make_map(np.arange(12).reshape(2, 3, 2), ["6Li", "7Li"], x=[0.5, 1.5], y=[0.5, 1.5, 2.5])
    over = flip_y(m)
    np.testing.assert_array_equal(over.counts.values, m.counts.values[:, ::-1])
    np.testing.assert_array_equal(over.y.values, m.y.values)
    assert over.attrs["map_id"] != m.attrs["map_id"]
    assert flip_y(over).counts.equals(m.counts)
    check_map(over)

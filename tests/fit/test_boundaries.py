"""From a map and picks to the table: signs, units, verdicts, and what is refused."""

import json
import math
import warnings

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from lliso.errors import LlisoWarning, PicksMismatch
from lliso.fit.boundaries import cut_profiles, fit_boundaries, fit_picks, mean_grain_slope
from lliso.fit.boundary import fit_boundary
from lliso.fit.patch import PatchImage
from lliso.fit.table import COLUMNS, FLAGS, Constants, table_frame
from lliso.maps.cuts import LineCut
from lliso.maps.fraction import isotope_fraction
from lliso.maps.picks import BoundaryPick, Picks
from lliso.schema import make_map

D_BULK = 2.6e-8
STEP, SLOPE = -0.02, -1.1e-4  # per µm
P = D_BULK * SLOPE * 1e4 / STEP  # cm/s


def expected_map(step=STEP, slope=SLOPE, counts=1e4, angle=0.0, shape=(60, 40), bend=0.0, at=30.0):
    """A map of expected counts, without noise: one straight boundary through (20, 30) µm.

    `angle` in degrees between its normal and y.
    """
    x, y = np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5
    a = math.radians(angle)
    nu = (x[None, :] - shape[1] / 2) * math.sin(a) + (y[:, None] - at) * math.cos(a)
    c = 0.4 + slope * nu + step * (np.heaviside(nu, 0.5) - 0.5) + 0.5 * bend * nu**2
    return make_map([c * counts, (1 - c) * counts], ["6Li", "7Li"], x=x, y=y,
                    attrs={"simulated": 1, "stage": "59 h"})  # fmt: skip


def along_y(ds, tilt=0.0, window=(0.0, 60.0), width=20.0):
    cut = LineCut(name="a", start=(20, 0), end=(20, 60), width=width)
    pick = BoundaryPick(name="1", cut="a", position=30, window=window, tilt=tilt)
    return Picks(cuts=(cut,), boundaries=(pick,)).anchored_to(ds)


def row_of(table, i=0):
    return {name: table[name].values[i] for name in table.data_vars}


def fitted(ds, picks=None, method="profile", **options):
    picks = picks or along_y(ds)
    return row_of(fit_boundaries(ds, picks, d_bulk=D_BULK, method=method, **options))


# numbers ------------------------------------------------------------------------------------------
def test_numbers_and_units():
    ds = expected_map(counts=1e7)
    options = {"d_bulk": "2.6e-8 cm^2/s", "delta": "0.5 nm", "method": "profile"}
    table = fit_boundaries(ds, along_y(ds), **options)
    row = row_of(table)
    assert row["step"] == pytest.approx(STEP, rel=1e-6)
    assert row["slope"] == pytest.approx(SLOPE * 1e4, rel=1e-6)  # 1/cm
    assert row["permeability"] == pytest.approx(P, rel=1e-6)
    assert row["d_gb"] == pytest.approx(P * 0.5e-7, rel=1e-6)  # δ = 0.5 nm = 0.5e-7 cm
    assert row["d_gb_low"] == pytest.approx(row["permeability_low"] * 0.5e-7, rel=1e-12)
    assert row["d_gb_high"] == pytest.approx(row["permeability_high"] * 0.5e-7, rel=1e-12)
    assert row["permeability_low"] < row["permeability_low68"] < P
    assert P < row["permeability_high68"] < row["permeability_high"]
    assert (row["x"], row["y"], row["position"], row["delta"]) == (20.0, 30.0, 30.0, 0.5)
    assert (row["verdict"], row["flags"], row["cut"]) == ("measured", "few_windows", "a")
    assert row["n_slices"] == 56
    assert math.isnan(row["position_std"])
    assert 0.9 < row["slope_share"] < 1.1
    assert list(table.data_vars) == [*COLUMNS, "limited_by"]
    for name, (unit, long_name) in COLUMNS.items():
        assert table[name].attrs == {"units": unit, "long_name": long_name}


def test_attributes():
    ds = expected_map()
    table = fit_boundaries(ds, along_y(ds), d_bulk=D_BULK, d_bulk_std=0.26e-8, level=0.9)
    attrs = table.attrs
    assert attrs["d_bulk_relative_std"] == pytest.approx(0.1)
    assert (attrs["map_id"], attrs["stage"], attrs["simulated"]) == (ds.attrs["map_id"], "59 h", 1)
    assert (attrs["delta_nm"], attrs["level"], attrs["method"]) == (0.5, 0.9, "patch")


def test_the_systematic_error_of_d_bulk_is_kept_apart():
    ds = expected_map()
    one = fitted(ds)
    other = fitted(ds, d_bulk_std=1e-8)
    assert one["permeability_high"] == other["permeability_high"]


def test_p_goes_with_d_bulk_and_d_gb_with_delta():
    ds = expected_map(counts=1e6)
    picks = along_y(ds)
    one = row_of(fit_boundaries(ds, picks, d_bulk=D_BULK))
    two = row_of(fit_boundaries(ds, picks, d_bulk=2 * D_BULK, delta="1 nm"))
    for name in ("permeability", "permeability_low", "permeability_high"):
        assert two[name] == pytest.approx(2 * one[name], rel=1e-12)
    assert two["d_gb"] == pytest.approx(4 * one["d_gb"], rel=1e-12)


def test_csv_names_carry_units():
    ds = expected_map()
    columns = list(table_frame(fit_boundaries(ds, along_y(ds), d_bulk=D_BULK)).columns)
    for name in ("step", "slope (1/cm)", "permeability (cm/s)", "d_gb (cm^2/s)", "delta (nm)",
                 "position (um)", "tilt (degree)", "verdict", "chi2_red"):  # fmt: skip
        assert name in columns


def test_the_table_survives_netcdf(tmp_path):
    import xarray as xr

    ds = expected_map()
    table = fit_boundaries(ds, along_y(ds), d_bulk=D_BULK)
    table.to_netcdf(tmp_path / "table.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "table.nc", engine="h5netcdf") as again:
        xr.testing.assert_equal(again.load(), table)
        assert again.attrs["level"] == 0.95


# signs --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("along", ["x", "y", "slanted"])
def test_drawn_in_either_direction_it_is_the_same_row(rng, along):
    ds = expected_map(counts=1)
    c = ds.counts.values[0] if along != "x" else np.ascontiguousarray(ds.counts.values[0][:40].T)
    n6 = rng.binomial(3000, c)
    ny, nx = c.shape
    ds = make_map([n6, 3000 - n6], ["6Li", "7Li"], x=np.arange(nx) + 0.5, y=np.arange(ny) + 0.5)
    ends = {"x": ((0, 15), (40, 15)), "y": ((20, 0), (20, 60)), "slanted": ((12, 2), (28, 58))}[
        along
    ]
    rows = []
    for start, end in (ends, ends[::-1]):
        # A whole number of slices, so that both directions have the same ones.
        cut = LineCut(name="a", start=start, end=end, width=20)
        at = cut.project(20, 30)[0] if along != "x" else cut.project(30, 15)[0]
        pick = BoundaryPick(name="1", cut="a", position=at, window=(0, cut.length))
        picks = Picks(cuts=(cut,), boundaries=(pick,)).anchored_to(ds)
        rows.append(row_of(fit_boundaries(ds, picks, d_bulk=D_BULK, mean_slope=1.1)))
    there, back = rows
    assert there["step"] < 0  # away from the source
    assert there["slope"] < 0
    if along == "slanted":  # the slices begin at the other end: not the same sums
        assert there["step"] == pytest.approx(back["step"], abs=there["step_std"])
        assert there["slope"] == pytest.approx(back["slope"], abs=there["slope_std"])
        return
    for name in COLUMNS:
        if name not in ("cut", "verdict", "flags", "position", "position_std"):
            assert there[name] == pytest.approx(back[name], rel=1e-6, nan_ok=True), name
    assert there["verdict"] == back["verdict"]


def test_step_and_slope_towards_the_source_keep_their_signs():
    row = fitted(expected_map(step=0.02, slope=1.1e-4, counts=1e7))
    assert row["step"] == pytest.approx(0.02, rel=1e-6)
    assert row["slope"] == pytest.approx(1.1, rel=1e-6)
    assert row["permeability"] == pytest.approx(P, rel=1e-6)


@pytest.mark.parametrize("angle", [-30, -12, 5, 20, 40])
def test_tilt_is_corrected_exactly(angle):
    """A straight boundary in straight fields: the cut sees the gradient times cos(tilt)."""
    ds = expected_map(angle=angle, counts=1e7, shape=(120, 40), at=60.0)
    cut = LineCut(name="a", start=(20, 0), end=(20, 120), width=10)
    pick = BoundaryPick(name="1", cut="a", position=60, window=(0, 120), tilt=angle)
    row = fitted(ds, Picks(cuts=(cut,), boundaries=(pick,)).anchored_to(ds))
    assert row["step"] == pytest.approx(STEP, rel=1e-5)
    assert row["slope"] == pytest.approx(SLOPE * 1e4, rel=1e-5)
    assert row["permeability"] == pytest.approx(P, rel=1e-5)
    assert row["tilt"] == angle
    straight = fitted(ds, Picks(cuts=(cut,), boundaries=(pick.model_copy(update={"tilt": 0.0}),))
                      .anchored_to(ds))  # fmt: skip
    assert abs(straight["permeability"] / P - 1) > abs(row["permeability"] / P - 1)


# verdicts -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"counts": 1e6}, "measured"),
        ({"counts": 1e5, "slope": 0.0}, "upper_limit"),
        ({"counts": 1e6, "step": 0.0}, "lower_limit"),  # P → ∞: no boundary resistance
        ({"counts": 30}, "not_measurable"),
        ({"counts": 1e6, "slope": -SLOPE}, "inconsistent_sign"),
    ],
)
def test_every_verdict_is_reached(changes, verdict):
    row = fitted(expected_map(**changes), mean_slope=1.1)
    assert row["verdict"] == verdict
    low, high = row["permeability_low"], row["permeability_high"]
    assert math.isfinite(row["permeability"]) == (verdict == "measured")
    assert math.isfinite(row["d_gb"]) == (verdict == "measured")
    if verdict == "inconsistent_sign":
        assert math.isnan(low)
        assert math.isnan(high)
        assert "inconsistent_sign" in row["flags"].split()
    else:
        assert (low > 0) == (verdict in ("measured", "lower_limit"))
        assert math.isfinite(high) == (verdict in ("measured", "upper_limit"))
    if verdict == "upper_limit":
        assert high > 0
    if verdict == "lower_limit":
        assert low > 10 * P
        assert "step_not_significant" in row["flags"].split()
    assert set(row["flags"].split()) <= set(FLAGS)


def test_only_one_isotope_is_not_measurable():
    axis = np.arange(60) + 0.5
    counts = np.full((60, 40), 100)
    for images in ([counts, 0 * counts], [0 * counts, counts]):
        ds = make_map(images, ["6Li", "7Li"], x=axis[:40], y=axis)
        row = fitted(ds)
        assert row["verdict"] == "not_measurable"
        assert row["chi2_red"] == pytest.approx(0.0, abs=1e-9)


def test_paper2024_is_for_comparison_only():
    ds = expected_map(counts=3e4)
    row = fitted(ds, method="paper2024")
    assert row["permeability"] == pytest.approx(P, rel=1e-6)
    assert row["flags"] == "paper2024"
    assert row["verdict"] == "measured"


# prior --------------------------------------------------------------------------------------------
def test_mean_grain_slope_is_pooled_away_from_the_source():
    ds = expected_map(counts=1e8)
    down = LineCut(name="down", start=(10, 0), end=(10, 60), width=15)
    up = LineCut(name="up", start=(30, 60), end=(30, 0), width=15)
    picks = Picks(
        cuts=(down, up),
        boundaries=tuple(
            BoundaryPick(name=c.name, cut=c.name, position=30, window=(0, 60)) for c in (down, up)
        ),
    ).anchored_to(ds)
    assert mean_grain_slope(cut_profiles(ds, picks), picks) == pytest.approx(1.1e-4, rel=1e-3)


def test_a_slope_lost_in_the_noise_widens_the_prior():
    ds = expected_map(counts=100, slope=0.0)
    picks = along_y(ds)
    profiles = cut_profiles(ds, picks)
    found = mean_grain_slope(profiles, picks)
    assert found > 1e-5
    assert mean_grain_slope(profiles, along_y(ds, window=(27, 33))) == math.inf


def test_mean_slope_given_in_per_cm():
    ds = expected_map(counts=1e5, bend=3e-6)
    picks = along_y(ds)
    profiles = cut_profiles(ds, picks)
    table = row_of(fit_boundaries(ds, picks, d_bulk=D_BULK, mean_slope=-1.1))
    (fit,) = fit_picks(PatchImage.from_map(ds), profiles, picks, mean_slope=1.1e-4)
    assert table["slope"] == pytest.approx(fit.parameters["slope"] * 1e4, rel=1e-12)
    straight = fitted(ds, mean_slope=0.0)
    assert straight["slope_std"] < table["slope_std"]


# on pixels ----------------------------------------------------------------------------------------
def blurred_map(rng, angle=0.0, counts=3000, shift=0.0):
    """A simulated map as the instrument shows it: beam of 1 µm, counts."""
    n = 10
    x, y = (np.arange(40 * n) + 0.5) / n, (np.arange(90 * n) + 0.5) / n
    a = math.radians(angle)
    nu = (x[None, :] - 20) * math.sin(a) + (y[:, None] - 45) * math.cos(a) - shift
    fine = gaussian_filter(0.4 + SLOPE * nu + STEP * ((nu > 0) - 0.5), n / 2.3548)
    c = fine.reshape(90, n, 40, n).mean(axis=(1, 3))
    light = rng.binomial(counts, c)
    return make_map([light, counts - light], ["6Li", "7Li"], x=np.arange(40) + 0.5,
                    y=np.arange(90) + 0.5, attrs={"simulated": 1, "stage": "59 h"})  # fmt: skip


def across(ds, tilt=0.0):
    cut = LineCut(name="a", start=(20, 0), end=(20, 90), width=24)
    pick = BoundaryPick(name="1", cut="a", position=45, window=(0, 90), tilt=tilt)
    return Picks(cuts=(cut,), boundaries=(pick,)).anchored_to(ds)


@pytest.mark.parametrize("method", ["patch", "two_grains"])
def test_pixels_find_place_and_angle_by_themselves(rng, method):
    ds = blurred_map(rng, angle=11.0, counts=20_000, shift=1.3)
    row = fitted(ds, across(ds), method=method)
    assert row["tilt"] == pytest.approx(11.0, abs=0.5)
    # The refined point is where the normal through the pick meets the boundary.
    off = (row["x"] - 20) * math.sin(math.radians(11)) + (row["y"] - 45) * math.cos(
        math.radians(11)
    )
    assert off == pytest.approx(1.3, abs=0.1)
    assert row["verdict"] == "measured"
    assert row["permeability_low"] < P < row["permeability_high"]
    assert row["step"] == pytest.approx(STEP, abs=0.002)
    assert math.isnan(row["step_std"]) == (method == "two_grains")


@pytest.mark.parametrize("off", [-5, -4, -3, -1.5, 0, 1.5, 3, 4, 5])
@pytest.mark.parametrize("angle", [0.0, 12.0])
def test_a_pick_beside_its_boundary_is_put_right_and_flagged(rng, off, angle):
    """Hands shake at a beamtime: the default fit goes to the step, and says so if it went far."""
    ds = blurred_map(rng, angle=angle, counts=20_000)
    cut = LineCut(name="a", start=(20, 0), end=(20, 90), width=24)
    pick = BoundaryPick(name="1", cut="a", position=45 + off, window=(0, 90))
    row = fitted(ds, Picks(cuts=(cut,), boundaries=(pick,)).anchored_to(ds), method="patch")
    away = (row["x"] - 20) * math.sin(math.radians(angle)) + (row["y"] - 45) * math.cos(
        math.radians(angle)
    )
    assert abs(away) < 4 * row["position_std"] + 0.02
    assert row["slope"] == pytest.approx(SLOPE * 1e4, abs=4 * row["slope_std"])
    assert row["step"] == pytest.approx(STEP, abs=4 * row["step_std"])
    assert ("position_off" in row["flags"]) == (
        abs(off) * math.cos(math.radians(angle)) > row["guard"]
    )


def test_a_table_says_what_limits_it_and_what_it_leaves_out(rng):
    ds = blurred_map(rng)
    table = fit_boundaries(ds, across(ds), d_bulk=D_BULK, d_bulk_std=0.26e-8, mean_slope=1.1)
    assert "times the counts" in str(table.limited_by.values[0])
    left_out = {part["name"]: part for part in json.loads(table.attrs["systematic"])}
    assert set(left_out) == {"structure", "dip", "D_bulk", "calibration"}
    assert left_out["D_bulk"]["high"] == pytest.approx(1.1)


@pytest.mark.parametrize("method", ["patch", "two_grains", "paper2024"])
def test_blur_belongs_to_the_profile(method):
    ds = expected_map()
    with pytest.raises(ValueError, match=f"blur needs method='profile', got '{method}'"):
        fitted(ds, method=method, blur=0.5)


def test_a_fit_on_pixels_can_be_drawn_along_its_cut(rng):
    ds = blurred_map(rng, angle=11.0, counts=20_000)
    picks = across(ds)
    profiles = cut_profiles(ds, picks)
    (fit,) = fit_picks(PatchImage.from_map(ds), profiles, picks)
    drawn = fit.on_cut(picks.cuts[0])
    profile = isotope_fraction(profiles["a"])
    x = profile.distance.values
    nu = np.abs(x - drawn.parameters["position"])
    far = (nu > 6) & (nu < 40)  # beyond where the tilted boundary crosses the cut's width
    z = (profile.fraction.values - drawn.curve(x))[far] / profile.fraction_std.values[far]
    assert np.std(z) == pytest.approx(1.0, abs=0.35)


def test_an_unknown_method_on_a_profile_is_refused():
    ds = expected_map()
    picks = along_y(ds)
    with pytest.raises(ValueError, match="method must be one of profile, paper2024 for a profile"):
        fit_boundary(cut_profiles(ds, picks)["a"], picks.boundaries[0], method="patch")


# failures -----------------------------------------------------------------------------------------
def test_a_window_that_is_too_short_is_a_row_of_nan():
    ds = expected_map(counts=1e5)
    picks = along_y(ds).with_boundary(
        BoundaryPick(name="2", cut="a", position=45, window=(43, 50), note="too close")
    )
    with pytest.warns(
        LlisoWarning, match="the window of boundary '2' must leave at least 3"
    ) as said:
        table = fit_boundaries(ds, picks, d_bulk=D_BULK)
    assert [w.filename for w in said] == [__file__]
    good, bad = row_of(table, 0), row_of(table, 1)
    assert good["verdict"] == "measured"
    assert (bad["verdict"], bad["cut"]) == ("failed", "a")
    assert bad["flags"] == "fit_failed few_windows"
    assert (bad["position"], bad["y"], bad["n_slices"]) == (45.0, 45.0, 0)
    for name in ("step", "slope", "permeability", "permeability_low", "d_gb_high", "chi2_red"):
        assert math.isnan(bad[name]), name


def test_only_failures():
    ds = expected_map()
    with pytest.warns(LlisoWarning, match="widen it"):
        table = fit_boundaries(ds, along_y(ds, window=(28, 32)), d_bulk=D_BULK)
    assert table["verdict"].values.tolist() == ["failed"]


BAD_CALLS = [
    ({"d_bulk": -2.6e-8}, r"d_bulk must be positive, got -2\.6e-08 cm\^2/s"),
    ({"d_bulk": 0}, r"d_bulk must be positive, got 0 cm\^2/s"),
    ({"d_bulk": "2.6e-8 cm/s"}, "d_bulk must have a unit like .* which is of another dimension"),
    ({"d_bulk": "fast"}, "d_bulk must be a quantity such as '2.6e-8 cm"),
    ({"d_bulk": math.nan}, "d_bulk must be finite, got nan"),
    ({"d_bulk_std": -1e-9}, "d_bulk_std must not be negative, got -1e-09"),
    ({"delta": 0}, "delta must be positive, got 0 nm"),
    ({"delta": "0.5 s"}, "delta must have a unit like nm"),
    ({"level": 95}, "level must be between 0 and 1, got 95"),
    ({"method": "spline"}, "method must be one of patch, .* got 'spline'"),
    ({"blur": -1}, "blur must be a standard deviation in um or 'fit', got -1"),
    ({"blur": "fitted"}, "blur must be a standard deviation in um or 'fit', got 'fitted'"),
    ({"resolution": -1.0}, "resolution must be a length in um, got -1 um"),
    ({"resolution": math.nan}, "resolution must be finite, got nan"),
    ({"mean_slope": math.nan}, "mean_slope must be a number in 1/cm, got nan"),
]


@pytest.mark.parametrize(("options", "message"), BAD_CALLS)
def test_bad_calls(options, message):
    ds = expected_map()
    with pytest.raises(ValueError, match=message):
        fit_boundaries(ds, along_y(ds), **{"d_bulk": D_BULK, **options})


def test_bad_maps_and_picks():
    ds = expected_map()
    picks = along_y(ds)

    def call(ds=ds, picks=picks):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LlisoWarning)
            return fit_boundaries(ds, picks, d_bulk=D_BULK)

    with pytest.raises(ValueError, match="the map lacks the species 7Li; it holds 6Li"):
        call(ds.isel(species=[0]))
    with pytest.raises(
        ValueError, match=r"cut 'a' must cross pixels with counts of 6Li or 7Li, got"
    ):
        call(ds.assign(counts=ds.counts * 0))
    with pytest.raises(ValueError, match="counts must be finite, got 1 NaN"):
        call(
            ds.assign(
                counts=ds.counts.where(np.arange(ds.counts.size).reshape(ds.counts.shape) > 0)
            )
        )
    with pytest.raises(PicksMismatch, match="the picks were made on"):
        call(ds.assign_attrs(map_id="another"))
    with pytest.raises(ValueError, match="the picks must hold at least one boundary, got none"):
        call(picks=picks.without_boundary("1"))
    with pytest.raises(TypeError, match=r"a map must be an xarray\.Dataset, got ndarray"):
        call(np.zeros((2, 3, 3)))
    far = LineCut(name="a", start=(500, 0), end=(500, 60), width=20)
    with pytest.raises(ValueError, match="cut 'a' must lie on the map"):
        call(picks=picks.with_cut(far))


def test_constants():
    constants = Constants.parse("2.6e-12 m^2/s", 0, "5 Å", 0.95)
    assert (constants.d_bulk, constants.delta) == (pytest.approx(2.6e-8), pytest.approx(0.5))

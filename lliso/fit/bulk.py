"""D_bulk from one map and the exchange time, and whether the fluxes of a map close.

The macroscopic profile is that of a semi-infinite solid (eq. 4), so that
z = erfinv(1 − (C − C₀)/(C₁ − C₀)) is a straight line of slope 1/(2 √(D_eff t)) wherever the liquid
level is. The flux D_eff dC/dy passes through the grains, where it is D_bulk ḡ: with the mean slope
ḡ inside the grains, D_bulk follows without any other measurement.

No specimen is homogeneous. Where the view conducts better than what lies between it and the liquid,
the profile in it is flat: its own slope then gives too large a flux, C and the level too small a
one. With the level known both are used, and their errors cancel in part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import erfinv

from lliso._types import FloatArray
from lliso.fit.grain_mean import area_mean, drop_scatter
from lliso.fit.network import check_same_pixels, grain_slopes
from lliso.fit.window import guard_length
from lliso.maps.carried import effective_counts
from lliso.maps.fraction import sum_frames
from lliso.maps.grains import COLUMN, ROW
from lliso.schema import FRAME, LI6, LI7, X, Y, check_map
from lliso.units import DIFFUSION, TIME, UM_PER_CM, parse_quantity

if TYPE_CHECKING:
    import xarray as xr

#: parts along x from whose scatter the error of the macroscopic profile is taken
_BLOCKS = 8
#: fewer counts a pixel than this and blur, drift and calibration outweigh the in-grain slope
_FEW_COUNTS = 60.0
#: weight of ln flux from the slope of the profile, the rest from C and the level (regression over
#: simulated grains of 16 and 34 µm, clustered or not, P narrow or wide; a pile of random layers
#: alone gives 0.28 to 0.44)
_SLOPE_SHARE = 0.37
#: error of the flux from the structure of the specimen over that of the mean drop at boundaries
#: (`lliso.fit.grain_mean.drop_scatter`), with the liquid level free and given: on the safe side,
#: because structures of another program scattered more than the ones these come from
_STRUCTURE_FREE, _STRUCTURE_LEVEL = 3.0, 2.0
#: with a larger relative error D_bulk is not known to 20 % at two standard errors
_LARGEST_ERROR = 0.10
#: steps that scatter more than this come from P spread over orders of magnitude: 0.4 to 0.5 at
#: sigma of ln P = 0.5 and 0.7 to 0.8 at 1.2 (simulated grains)
_LARGEST_SCATTER = 0.65
#: a smaller share of the area inside the eroded grains is not the mean of the map
_LEAST_AREA = 0.5

#: what each flag of an estimate means
FLAGS = {
    "broad_beam": "the beam is wider than a tenth of the grains: the steps leak into them",
    "drift": "frames were summed here without being aligned: the in-grain slope is too high",
    "large_error": "the stated error is above 10 %: two of them exceed 20 %",
    "low_counts": "fewer than 60 counts a pixel",
    "outside_range": "C leaves the range between the natural and the source's: calibrate first",
    "small_grains": "less than half of the area lies in grains that could be measured",
    "undetected_boundaries": "the network came from the counts: steps that were not found count "
    "as slope, and D_bulk comes out too low",
    "wide_permeabilities": "the steps are so unlike that P must spread over orders of magnitude: "
    "single paths carry the flux, and D_bulk can be off by more than the stated error",
    "wrong_sign": "C does not fall in the same direction inside the grains and over the map",
}


@dataclass(frozen=True)
class BulkEstimate:
    """D_bulk from one map, with what it was made of.

    Attributes
    ----------
    d_bulk, d_bulk_std : float
        cm²/s; NaN where the signs do not allow one. The error includes the structure's part.
    d_eff, d_eff_std : float
        Of the macroscopic profile, cm²/s.
    macro_slope : float
        Mean dC/dy of the fitted profile where the grains are, 1/cm.
    grain_slope, grain_slope_std : float
        ḡ, mean of dC/dy over the area, inside the grains, 1/cm (`lliso.fit.grain_mean`).
    level : float
        Where the profile has C = C₁, in µm of the map's y: the level given, or the one found.
    usable : bool
        Whether no flag says that it cannot be had from this map.
    flags : tuple of str
        See `FLAGS`.
    """

    d_bulk: float
    d_bulk_std: float
    d_eff: float
    d_eff_std: float
    macro_slope: float
    grain_slope: float
    grain_slope_std: float
    level: float
    usable: bool
    flags: tuple[str, ...]


def d_bulk_from_map(
    ds: xr.Dataset,
    network: xr.Dataset,
    *,
    exchange: float | str,
    c_source: float,
    c_natural: float,
    level: float | None = None,
    resolution: float = 1.0,
    erosion: float | None = None,
    from_counts: bool | None = None,
) -> BulkEstimate:
    r"""Estimate D_bulk from a map after the exchange, the exchange time and the two fractions.

    .. math:: D_\mathrm{eff} = \frac{1}{4 t (dz/dy)^2}, \qquad
              D_\mathrm{bulk} = D_\mathrm{eff}\,\frac{\langle dC/dy\rangle}{\bar g}

    With the level given there are two such fluxes, one from the slope of the profile alone and one
    from C and the distance to the level; their logarithms are averaged, 37 to 63.

    Parameters
    ----------
    ds : xarray.Dataset
        The map after the exchange (not after storage), calibrated: C itself enters.
    network : xarray.Dataset
        Of `lliso.maps.grains.boundary_network`.
    exchange : float or str
        Exchange time in s, or a string with a unit ("59 h").
    c_source, c_natural : float
        Fraction of the source and of the sample before.
    level : float, optional
        The liquid level in µm of the map's y (often 0), if it is known to a few tens of µm: give
        it, the error is smaller (two thirds of that without at 3,000 counts). By default it is left
        free: for maps whose distance from the liquid is not known, or where a meniscus has moved
        it.
    resolution : float
        Full width at half maximum of the point spread function in µm.
    erosion : float, optional
        Distance kept from the boundaries in µm; default: the guard of the local fits. Must be
        more than the blur, or the steps count as slope.
    from_counts : bool, optional
        Whether the network was found from counts alone; default: what the network says.

    Returns
    -------
    BulkEstimate

    Raises
    ------
    ValueError
        If a quantity is not positive or a fraction outside 0 to 1, the pixels of map and network
        differ, or no grain is large enough.

    Notes
    -----
    The error holds the counts, the grains too small to be measured, and how far the flux in a view
    this large can be from that of a homogeneous specimen: the scatter of the steps tells that.

    References
    ----------
    Eq. (4) of G. Hasegawa et al., J. Mater. Chem. A 12 (2024) 731; J. Crank, The Mathematics of
    Diffusion (Oxford 1975), eq. 2.45.
    """
    check_map(ds, needs=(LI6, LI7))
    check_same_pixels(ds, network)
    time = parse_quantity(exchange, TIME, "exchange")
    if not time > 0:
        raise ValueError(f"exchange must be positive, got {time:g} s")
    if not 0 <= c_natural < c_source <= 1:
        raise ValueError(
            "c_natural and c_source must be fractions, the source's the larger, got "
            f"{c_natural:g} and {c_source:g}"
        )
    pitch = max(float(network[k].values[1] - network[k].values[0]) for k in (COLUMN, ROW))
    off = guard_length(pitch, resolution) if erosion is None else erosion
    flags = ["drift"] if FRAME in ds.dims else []
    profile = _macroscopic(ds, c_source, c_natural, level)
    slopes = grain_slopes(ds, network, resolution=resolution, erosion=off)
    if from_counts is None:
        from_counts = network.attrs.get("found_from") == "counts"
    # The flux falls along y: the slopes of grains are compared where they are.
    flux = profile.flux(network["grain_y"].values, time)
    mean = area_mean(slopes, flux)
    area = slopes["area"].values
    through = float(area @ flux / area.sum())
    d_eff = profile.d_eff(time)
    sound = mean.slope * through < 0
    d_bulk = -through / mean.slope / UM_PER_CM**2 if sound else float("nan")
    structure = _STRUCTURE_FREE if level is None else _STRUCTURE_LEVEL
    scatter, drop_error = drop_scatter(network, slopes)
    parts = (profile.flux_std, mean.relative_std, structure * drop_error)
    relative = float(np.linalg.norm(parts))
    flags += _flags(ds, network, slopes, profile, resolution, from_counts)
    if not sound:
        flags.append("wrong_sign")
    if relative > _LARGEST_ERROR:
        flags.append("large_error")
    if scatter > _LARGEST_SCATTER:
        flags.append("wide_permeabilities")
    return BulkEstimate(
        d_bulk=d_bulk,
        d_bulk_std=abs(d_bulk) * relative,
        d_eff=d_eff / UM_PER_CM**2,
        d_eff_std=d_eff * profile.d_eff_std / UM_PER_CM**2,
        macro_slope=-through / d_eff * UM_PER_CM,
        grain_slope=mean.slope * UM_PER_CM,
        grain_slope_std=abs(mean.slope) * mean.relative_std * UM_PER_CM,
        level=profile.lines[-1][1],
        usable=not flags,
        flags=tuple(sorted(flags)),
    )


@dataclass(frozen=True)
class _Profile:
    """Straight lines z = slope (y − level), per µm, with the share of each; D's in µm²/s.

    `contrast` is the range of C, `outside` the share of rows beyond it; errors are relative.
    """

    lines: tuple[tuple[float, float], ...]
    contrast: float
    outside: float
    flux_std: float = 0.0
    d_eff_std: float = 0.0

    @property
    def shares(self) -> FloatArray:
        """Weight of ln flux and ln D_eff of every line."""
        own = [1.0] if len(self.lines) == 1 else [_SLOPE_SHARE, 1.0 - _SLOPE_SHARE]
        return np.array(own)

    def d_eff(self, time: float) -> float:
        """D_eff."""
        slope = np.array([line[0] for line in self.lines])
        return float(np.exp(-self.shares @ np.log(4 * time * slope**2)))

    def flux(self, y: FloatArray, time: float) -> FloatArray:
        """−D_eff dC/dy at y, µm/s; its sign is that of the slope of z."""
        slope, level = np.array(self.lines).T[..., None]
        z = slope * (np.atleast_1d(y) - level)
        log = np.log(self.contrast / (2 * np.sqrt(np.pi) * time * np.abs(slope))) - z**2
        return np.asarray(np.sign(slope[-1]) * np.exp(self.shares @ log))


def _macroscopic(
    ds: xr.Dataset, c_source: float, c_natural: float, level: float | None
) -> _Profile:
    summed = sum_frames(ds)
    light, total = effective_counts(summed)
    y = summed[Y].values.astype(float)
    blocks = np.array_split(np.arange(summed.sizes[X]), min(_BLOCKS, summed.sizes[X]))
    parts = np.array([[light[:, b].sum(axis=1), total[:, b].sum(axis=1)] for b in blocks])
    whole = parts.sum(axis=0)
    levels = (None,) if level is None else (None, level)

    def profile(counts: FloatArray) -> _Profile:
        found = [_line(y, counts, c_source, c_natural, at) for at in levels]
        lines = tuple(f[:2] for f in found)
        if len({np.sign(f[0]) for f in found}) > 1:
            lines = lines[-1:]  # the level is on the wrong side; the slope in the grains will tell
        return _Profile(lines, c_source - c_natural, found[0][2])

    # Leaving out one part of the map at a time: counting noise and grains scatter alike.
    n = len(parts)
    others = [profile(whole - p) for p in parts] if n > 1 else []
    middle = np.array([y.mean()])

    def scatter(values: list[float]) -> float:
        return float(np.sqrt((n - 1) * np.var(np.log(np.abs(values))))) if n > 1 else np.inf

    return replace(
        profile(whole),
        flux_std=scatter([float(o.flux(middle, 1.0)[0]) for o in others]),
        d_eff_std=scatter([o.d_eff(1.0) for o in others]),
    )


def _line(
    y: FloatArray, counts: FloatArray, c_source: float, c_natural: float, level: float | None
) -> tuple[float, float, float]:
    """Slope of z against y, where z = 0, and the share of rows where C is out of range."""
    light, total = counts
    fraction = light / np.where(total > 0, total, 1.0)
    share = 1.0 - (fraction - c_natural) / (c_source - c_natural)
    good = (total > 0) & (share > 1e-4) & (share < 1 - 1e-4)
    if np.count_nonzero(good) < 3:
        raise ValueError(
            f"the rows of the map must have fractions between {c_natural:g} and {c_source:g}, got "
            f"{np.count_nonzero(good)} of {y.size} that do; are the fractions those of this sample?"
        )
    outside = 1.0 - float(np.count_nonzero(good)) / max(float(np.count_nonzero(total > 0)), 1.0)
    z = erfinv(share[good])
    # dC/dz weighs: where the profile is flat, z is uncertain.
    weight = total[good] * np.exp(-2 * z**2)
    if level is not None:
        dy = y[good] - level
        return float(np.sum(weight * dy * z) / np.sum(weight * dy**2)), level, outside
    centre = float(np.average(y[good], weights=weight))
    mean = float(np.average(z, weights=weight))
    dy = y[good] - centre
    slope = float(np.sum(weight * dy * (z - mean)) / np.sum(weight * dy**2))
    if slope == 0:
        raise ValueError("the map must have a gradient along y, got the same fraction in all rows")
    return slope, centre - mean / slope, outside


def _flags(
    ds: xr.Dataset,
    network: xr.Dataset,
    slopes: xr.Dataset,
    profile: _Profile,
    resolution: float,
    from_counts: bool,
) -> list[str]:
    counts = effective_counts(sum_frames(ds))[1]
    named = {
        "broad_beam": resolution > 0.15 * network.attrs["mean_intercept_um"],
        "low_counts": float(counts.mean()) < _FEW_COUNTS,
        "outside_range": profile.outside > 0.02,
        "small_grains": slopes.attrs["share_of_area"] < _LEAST_AREA,
        "undetected_boundaries": from_counts,
    }
    return [name for name, raised in named.items() if raised]


def flux_closure(
    d_bulk: float | str,
    d_eff: float | str,
    *,
    grain_slope: float,
    macro_slope: float,
    grain_slope_std: float = 0.0,
) -> tuple[float, float]:
    """Ratio of the flux inside the grains to the macroscopic one, and its error; 1 if all is well.

    Parameters
    ----------
    d_bulk, d_eff : float or str
        cm²/s; D_eff of an independent long-range profile.
    grain_slope, macro_slope : float
        ḡ inside the grains (`lliso.fit.network.grain_slopes`) and dC/dy over many grains, 1/cm.
    grain_slope_std : float
        Standard error of ḡ, 1/cm.

    Returns
    -------
    ratio, std : float
        D_bulk ḡ / (D_eff dC/dy).

    Raises
    ------
    ValueError
        If a diffusivity is not positive or the macroscopic slope is 0.

    Examples
    --------
    >>> ratio, std = flux_closure(2.6e-8, "3e-9 cm^2/s", grain_slope=-1.2, macro_slope=-11.0)
    >>> round(ratio, 3)
    0.945
    """
    bulk = parse_quantity(d_bulk, DIFFUSION, "d_bulk")
    effective = parse_quantity(d_eff, DIFFUSION, "d_eff")
    if not (bulk > 0 and effective > 0):
        raise ValueError(
            f"d_bulk and d_eff must be positive, got {bulk:g} and {effective:g} cm^2/s"
        )
    if macro_slope == 0:
        raise ValueError("the macroscopic slope must differ from 0, got 0 1/cm")
    unit = bulk / (effective * macro_slope)
    return float(unit * grain_slope), float(abs(unit) * grain_slope_std)

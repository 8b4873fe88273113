"""Long-range profiles as arrays: what fits of exchange and storage need, and its checks."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from lliso._types import FloatArray
from lliso.maps.fraction import species_counts
from lliso.schema import COUNTS, LI6, LI7, SPECIES, check_counts
from lliso.units import LENGTH, parse_quantity

_MICRO = ("um", "µm", "μm", "micron", "micrometer")


@dataclass(frozen=True, eq=False)
class Profile:
    """Isotope fraction along a line.

    Attributes
    ----------
    name : str
        Its stage, or a number.
    position : numpy.ndarray, shape (n,)
        µm, growing.
    fraction : numpy.ndarray, shape (n,)
    total : numpy.ndarray, shape (n,)
        Counts behind each point, effective where a variance is given; NaN if there are none.
    variance : numpy.ndarray, shape (n,)
        Of the fraction, where no counts are given; else NaN.
    attrs : dict
        Of the Dataset.
    dropped : int
        Points without counts, left out.
    """

    name: str
    position: FloatArray
    fraction: FloatArray
    total: FloatArray
    variance: FloatArray
    attrs: dict[str, object]
    dropped: int

    def counting_std(self) -> FloatArray:
        """Return the standard deviation of each point by counting, at its own fraction."""
        lowest = 0.5 / (self.total + 1.0)
        c = np.clip(self.fraction, lowest, 1.0 - lowest)
        return np.sqrt(np.where(np.isnan(self.variance), c * (1.0 - c) / self.total, self.variance))


def read_profiles(profiles: xr.Dataset | Sequence[xr.Dataset]) -> list[Profile]:
    """Check profiles and take them apart.

    Parameters
    ----------
    profiles : xarray.Dataset or sequence of Dataset
        Each with ``counts(species, position)`` (or another single dimension with a coordinate),
        and ``variance`` of the same shape if the counts were corrected; or with
        ``fraction(position)`` and ``fraction_std``.

    Returns
    -------
    list of Profile
        With names that differ from each other.

    Raises
    ------
    TypeError
        If one is not a Dataset.
    ValueError
        If one is empty, its positions do not grow, or a fraction lies outside [0, 1].

    Examples
    --------
    >>> x = ("position", [0.0, 50.0], {"units": "um"})
    >>> ds = xr.Dataset({"counts": (("species", "position"), [[9, 4], [1, 6]])},
    ...                 {"species": ["6Li", "7Li"], "position": x})
    >>> read_profiles(ds)[0].fraction.tolist()
    [0.9, 0.4]
    """
    many = [profiles] if isinstance(profiles, xr.Dataset) else list(profiles)
    if not many:
        raise ValueError("a fit needs at least one profile, got none")
    found = [_read(ds, str(k)) for k, ds in enumerate(many)]
    names = [p.name for p in found]
    if len(set(names)) < len(names):
        names = [f"{name} {k}" for k, name in enumerate(names)]
    return [
        Profile(name, p.position, p.fraction, p.total, p.variance, p.attrs, p.dropped)
        for name, p in zip(names, found, strict=True)
    ]


def _read(ds: xr.Dataset, number: str) -> Profile:
    if not isinstance(ds, xr.Dataset):
        raise TypeError(f"a profile must be an xarray.Dataset, got {type(ds).__name__}")
    name = str(ds.attrs.get("stage") or ds.attrs.get("name") or f"profile {number}")
    if COUNTS in ds:
        dim, light, heavy = _two_species(ds)
        dims: tuple[Hashable, ...] = (dim,)
        total = light + heavy
        with np.errstate(invalid="ignore"):
            values = light / total
        given = np.full(total.shape, np.nan)
        if "variance" in ds:
            total = _effective_total(ds, values, total)
    elif "fraction" in ds and "fraction_std" in ds:
        dims, values = ds["fraction"].dims, np.asarray(ds["fraction"].values, dtype=float)
        given = np.asarray(ds["fraction_std"].values, dtype=float) ** 2
        total = np.full(given.shape, np.nan)
    else:
        have = ", ".join(map(str, ds.data_vars)) or "none"
        raise ValueError(
            "a profile needs 'counts' with 'species', or 'fraction' with 'fraction_std', found "
            f"the variables: {have}"
        )
    if len(dims) != 1:
        raise ValueError(f"a profile must have one dimension, got {dims}; average over the others")
    position = _positions(ds, str(dims[0]), name)
    keep = total > 0 if COUNTS in ds else np.isfinite(values)
    _check_values(values[keep], given[keep], name)
    return Profile(
        name,
        position[keep],
        values[keep],
        total[keep],
        given[keep],
        {str(k): v for k, v in ds.attrs.items()},
        int(np.count_nonzero(~keep)),
    )


def _two_species(ds: xr.Dataset) -> tuple[str, FloatArray, FloatArray]:
    """Return the dimension, and the counts of both isotopes."""
    have = [str(s) for s in ds[SPECIES].values] if SPECIES in ds.coords else []
    for wanted in (LI6, LI7):
        if wanted not in have:
            species_counts(ds, wanted)  # raises, and says what is there
    counts = ds[COUNTS]
    if counts.ndim != 2 or SPECIES not in counts.dims:
        raise ValueError(
            f"counts of a profile must have the dimensions species and position, got {counts.dims}"
        )
    values = np.asarray(counts.values)
    check_counts(values)
    axis = counts.dims.index(SPECIES)
    light, heavy = (
        np.take(values, have.index(s), axis=axis).astype(np.float64) for s in (LI6, LI7)
    )
    return str(counts.dims[1 - axis]), light, heavy


def _effective_total(ds: xr.Dataset, fraction: FloatArray, total: FloatArray) -> FloatArray:
    """Return the counts that would scatter as much as corrected ones do: C(1 - C)/var C."""
    variance = ds["variance"]
    light = variance.sel({SPECIES: LI6}).values
    heavy = variance.sel({SPECIES: LI7}).values
    with np.errstate(divide="ignore", invalid="ignore"):
        var_c = ((1.0 - fraction) ** 2 * light + fraction**2 * heavy) / total**2
        effective = fraction * (1.0 - fraction) / var_c
    return np.where(np.isfinite(effective) & (effective > 0), effective, total)


def _positions(ds: xr.Dataset, dim: str, name: str) -> FloatArray:
    if dim not in ds.coords:
        raise ValueError(f"{name} needs the coordinate '{dim}' with its positions in um")
    position = np.asarray(ds[dim].values, dtype=float)
    unit = str(ds[dim].attrs.get("units", "um"))
    if unit not in _MICRO:
        position = position * parse_quantity(f"1 {unit}", LENGTH, f"positions of {name}")
    if position.size == 0:
        raise ValueError(f"{name} must not be empty, got no points")
    if not np.all(np.isfinite(position)):
        raise ValueError(f"positions of {name} must be finite, got NaN or infinity")
    steps = np.diff(position)
    if np.any(steps == 0):
        where = position[1:][steps == 0][0]
        raise ValueError(
            f"positions of {name} must differ from each other, got {where:g} um more than once; "
            f"sum the counts of one place: .groupby('{dim}').sum()"
        )
    if np.any(steps < 0):
        raise ValueError(
            f"positions of {name} must grow, got {position[:-1][steps < 0][0]:g} um before "
            f"{position[1:][steps < 0][0]:g} um; use .sortby('{dim}')"
        )
    return position


def _check_values(fraction: FloatArray, variance: FloatArray, name: str) -> None:
    if fraction.size == 0:
        raise ValueError(f"{name} must hold counts, got none at any point")
    if np.any((fraction < 0) | (fraction > 1)):
        bad = fraction[(fraction < 0) | (fraction > 1)][0]
        raise ValueError(
            f"fractions of {name} must lie between 0 and 1, got {bad:g}; percent must be divided "
            "by 100"
        )
    if np.any(variance <= 0):
        raise ValueError(f"fraction_std of {name} must be positive, got 0 or less")


def shared_attribute(profiles: Sequence[Profile], name: str) -> float | None:
    """Return a number that all profiles carry as one attribute, if they do.

    Raises
    ------
    ValueError
        If they carry different ones.

    Examples
    --------
    >>> shared_attribute([], "box_um") is None
    True
    """
    values = {float(str(p.attrs[name])) for p in profiles if name in p.attrs}
    if len(values) > 1:
        raise ValueError(
            f"profiles of one fit must agree in '{name}', got {sorted(values)}; state it in the "
            "call, or fit them apart"
        )
    return values.pop() if values else None

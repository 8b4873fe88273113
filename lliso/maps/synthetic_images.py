"""What comes with a simulated map: reference areas of known composition, and a micrograph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

from lliso import schema
from lliso._types import FloatArray
from lliso.maps.synthetic_detector import mass_effects
from lliso.maps.synthetic_parameters import Artefacts
from lliso.maps.synthetic_render import boundary_distance
from lliso.maps.synthetic_solution import Solved, stream
from lliso.units import LENGTH, parse_quantity

if TYPE_CHECKING:
    import xarray as xr


def simulate_references(
    fractions: Sequence[float],
    artefacts: Artefacts,
    seed: int,
    *,
    counts: float = 1e6,
    pixels: int = 10_000,
    names: Sequence[str] = ("natural", "source"),
) -> xr.Dataset:
    """Count areas whose fraction is known, for the calibration of the mass effects.

    Parameters
    ----------
    fractions : sequence of float
        True C of each area.
    artefacts : Artefacts
        Those of the map; dead time acts on each pixel of the area.
    seed : int
    counts : float
        Mean total counts of an area.
    pixels : int
        Pixels the area is scanned with.
    names : sequence of str
        Names of the areas.

    Returns
    -------
    xarray.Dataset
        ``counts(species, area)`` and ``true_fraction(area)``.

    Raises
    ------
    ValueError
        If a fraction is not between 0 and 1, or names and fractions differ in number.

    Examples
    --------
    >>> ref = simulate_references([0.0759, 0.95], Artefacts(hydride=0.01), seed=1)
    >>> ref["counts"].dims, [str(a) for a in ref["area"].values]
    (('species', 'area'), ['natural', 'source'])
    """
    import xarray as xr

    c = np.asarray(fractions, dtype=float)
    if len(names) != c.size:
        raise ValueError(f"there must be one name per fraction, got {len(names)} and {c.size}")
    if np.any((c < 0) | (c > 1)):
        raise ValueError(f"fractions must be between 0 and 1, got {fractions}")
    per_pixel = mass_effects(counts / pixels * np.stack([c, 1.0 - c]), artefacts)
    rng = stream(seed, "references")
    if artefacts.shots:
        chance = -np.expm1(-per_pixel / artefacts.shots)
        detected = rng.binomial(artefacts.shots * pixels, chance)
    else:
        detected = rng.poisson(per_pixel * pixels)
    attrs = {
        "simulated": 1,
        "seed": seed,
        "pixels": pixels,
        "shots_per_pixel": artefacts.shots,
        "source": "simulated by lliso.maps.synthetic_images",
    }
    return xr.Dataset(
        {
            "counts": ((schema.SPECIES, "area"), detected),
            "true_fraction": ("area", c, {"units": "1"}),
        },
        coords={schema.SPECIES: [schema.LI6, schema.LI7], "area": list(names)},
        attrs=attrs,
    )


def simulate_micrograph(
    solution: Solved,
    *,
    pixel: float | str = 0.6,
    rotation: float = 1.4,
    scale: float = 1.02,
    offset: tuple[float, float] = (3.0, 4.0),
    groove: float = 0.8,
    noise: float = 6.0,
) -> xr.Dataset:
    """Image of the etched surface, as a laser microscope would show it, on its own grid.

    Dark boundaries of varying depth, grains of slightly different grey, uneven lighting and noise.
    The grid is rotated, scaled and shifted against the map: a point (u, v) of the micrograph lies
    at ``A (u, v) + b`` of the map, with A and b in the attributes.

    Parameters
    ----------
    solution : Solved
    pixel : float
        Pixel size, µm.
    rotation : float
        Angle in degrees.
    scale : float
        Map length over micrograph length.
    offset : tuple of float
        b, µm (x, y).
    groove : float
        Half width of a boundary's dark line, µm.
    noise : float
        Standard deviation of the noise in grey levels of 255.

    Returns
    -------
    xarray.Dataset
        ``image(v, u)`` in grey levels; coordinates in µm of the micrograph's own frame.

    Raises
    ------
    ValueError
        If pixel, scale or groove is not positive, or the image reaches beyond the specimen.

    Examples
    --------
    >>> from lliso.maps.synthetic import Specimen, solve_specimen
    >>> small = Specimen(box=(-20, -60, 60, 160), window=(0, 20, 40, 60), mesh_coarse=8.0,
    ...                  mesh_fine=4.0)
    >>> simulate_micrograph(solve_specimen(small, 1))["image"].dims
    ('v', 'u')
    """
    import xarray as xr

    pixel = parse_quantity(pixel, LENGTH, "pixel")
    if not (pixel > 0 and scale > 0 and groove > 0):
        raise ValueError(
            f"pixel, scale and groove must be positive, got {pixel:g}, {scale:g}, {groove:g}"
        )
    angle = np.deg2rad(rotation)
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shift = np.asarray(offset, dtype=float)
    u, v = _own_axes(solution, turn, shift, pixel)
    image = _grey(solution, u, v, turn, shift, groove, noise, pixel)
    attrs = {
        "simulated": 1,
        "seed": solution.seed,
        "to_map_xx": turn[0, 0],
        "to_map_xy": turn[0, 1],
        "to_map_yx": turn[1, 0],
        "to_map_yy": turn[1, 1],
        "to_map_x0": shift[0],
        "to_map_y0": shift[1],
        "source": "simulated by lliso.maps.synthetic_images",
    }
    return xr.Dataset(
        {"image": (("v", "u"), image, {"long_name": "grey level"})},
        coords={"u": ("u", u, {"units": "um"}), "v": ("v", v, {"units": "um"})},
        attrs=attrs,
    )


def _own_axes(
    solution: Solved, turn: FloatArray, shift: FloatArray, pixel: float
) -> tuple[FloatArray, FloatArray]:
    """Axes of a grid that covers the map's field of view in the micrograph's own frame."""
    x0, y0, x1, y1 = solution.specimen.window
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) - shift
    own = corners @ np.linalg.inv(turn).T
    low, high = own.min(axis=0), own.max(axis=0)
    nu, nv = np.ceil((high - low) / pixel).astype(int)
    return low[0] + (np.arange(nu) + 0.5) * pixel, low[1] + (np.arange(nv) + 0.5) * pixel


def _grey(
    solution: Solved,
    u: FloatArray,
    v: FloatArray,
    turn: FloatArray,
    shift: FloatArray,
    groove: float,
    noise: float,
    pixel: float,
) -> FloatArray:
    uu, vv = np.meshgrid(u, v)
    x = turn[0, 0] * uu + turn[0, 1] * vv + shift[0]
    y = turn[1, 0] * uu + turn[1, 1] * vv + shift[1]
    # grains on a regular grid half as coarse, looked up at the turned points
    h = 0.5 * pixel
    gx = np.arange(x.min() - h, x.max() + 2 * h, h)
    gy = np.arange(y.min() - h, y.max() + 2 * h, h)
    _, grain = solution.sample(gx, gy)
    far = boundary_distance(grain, (h, h))
    i, j = np.rint((x - gx[0]) / h).astype(int), np.rint((y - gy[0]) / h).astype(int)
    rng = stream(solution.seed, "micrograph")
    tone = 150.0 + 12.0 * rng.standard_normal(len(solution.grain_areas))
    depth = 70.0 * np.exp(0.4 * rng.standard_normal(len(solution.grain_areas)))
    g = grain[j, i]
    light = gaussian_filter(rng.standard_normal(uu.shape), 60.0 / pixel, mode="wrap")
    light = 10.0 * (light - light.mean()) / max(float(light.std()), 1e-12)
    dark = depth[g] * np.exp(-((far[j, i] / groove) ** 2))
    image = tone[g] + light - dark + noise * rng.standard_normal(uu.shape)
    return np.asarray(np.clip(np.rint(image), 0, 255).astype(np.uint8))

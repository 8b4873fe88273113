"""Tables of all boundaries of a structure for many noise draws at once.

The arithmetic is that of `lliso.fit_network` (without refinement of places): with the places of the
boundaries given every fit is linear, so that all draws of one boundary are solved together. The
first draw is compared with `lliso.fit_network` itself.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from structures import D_BULK, Structure

from lliso.diffusion.steps import boundary_terms
from lliso.fit.boundary import CURVATURE_SHARE
from lliso.fit.network import fit_network, grain_slopes, interior_pixels
from lliso.fit.patch import PatchGeometry, PatchImage, patch_pixels
from lliso.fit.pixels import reaches
from lliso.fit.window import guard_length
from lliso.schema import make_map

NAMES = ("step", "slope", "step_std", "slope_std", "step_slope_correlation")
LONGEST = 40.0
ROUNDS = 6


def draws_of(
    s: Structure, counts: int, draws: int, prior_width: float, seed: int, folder: Path | None = None
) -> tuple[xr.Dataset, np.ndarray]:
    """Return a table of the structure and the mean in-grain slope (1/cm) of every draw.

    The table has `NAMES` along ``draw`` and ``boundary`` and the truth (``p``, ``true_step``).
    """
    name = f"draws_{s.kind.replace(' ', '_')}_{s.number}_{counts}_{draws}_{prior_width:g}_{seed}.nc"
    file = None if folder is None else folder / name
    if file is not None and file.exists():
        table = xr.load_dataset(file)
        return table, table["mean_slope"].values
    rng = np.random.default_rng([seed, s.number, counts])
    drawn = rng.poisson(counts * s.intensity, (draws, *s.intensity.shape)).astype(float)
    light, total = drawn[:, 0], drawn.sum(axis=1)
    network = s.network()
    x, y = s.truth["x"].values, s.truth["y"].values
    maps = [
        make_map(d.astype(np.int64), ["6Li", "7Li"], x=x, y=y, attrs={"simulated": 1})
        for d in drawn
    ]
    found = [grain_slopes(m, network).attrs for m in maps]
    slope = np.array([np.hypot(f["mean_slope_per_cm"], f["mean_slope_std_per_cm"]) for f in found])
    values = _fits(network, x, y, light, total, prior_width * slope * 1e-4)
    table = xr.Dataset({n: (("draw", "boundary"), v) for n, v in zip(NAMES, values, strict=True)})
    for n in ("grain1", "grain2", "length", "x", "y", "probability"):
        table[n] = ("boundary", network[n].values)
    check = fit_network(maps[0], network, d_bulk=D_BULK, prior_width=prior_width)
    for n in NAMES:
        if not np.allclose(table[n].values[0], check[n].values, rtol=1e-6, equal_nan=True):
            raise RuntimeError(f"the draws at once differ from fit_network in '{n}'")
    truth = s.true_of(check)
    table = table.assign(
        p=("boundary", truth["p"]),
        true_step=("boundary", truth["step"]),
        mean_slope=("draw", slope),
    )
    if file is not None:
        table.to_netcdf(file)
    return table, slope


def table_of(draws: xr.Dataset, k: int) -> xr.Dataset:
    """Draw number `k` as `lliso.fit_network` would return it."""
    return draws.isel(draw=k).assign_attrs(
        d_bulk_cm2_per_s=D_BULK,
        d_bulk_relative_std=0.0,
        mean_slope_per_cm=float(draws["mean_slope"][k]),
        found_from="",
    )


def _fits(network, x, y, light, total, prior) -> np.ndarray:
    """Step, slope (1/cm), their errors and correlation, shape (5, draw, boundary)."""
    pitch = max(float(x[1] - x[0]), float(y[1] - y[0]))
    guard = guard_length(pitch, 1.0)
    members = interior_pixels(network, guard)
    number = np.arange(light[0].size, dtype=float).reshape(light[0].shape)
    image = PatchImage(number, np.ones_like(number), x, y, pitch)
    light, total = (v.reshape(len(v), -1) for v in (light, total))
    allowed = np.zeros(number.shape, dtype=bool)
    columns = ("x", "y", "nx", "ny", "length", "reach_before", "reach_after", "grain1", "grain2")
    rows = zip(*(network[k].values for k in columns), strict=True)
    out = np.full((5, len(light), network.sizes["boundary"]), np.nan)
    for i, (cx, cy, nx, ny, length, before, after, one, two) in enumerate(rows):
        reach = (min(before, LONGEST), min(after, LONGEST))
        g = PatchGeometry("", cx, cy, nx, ny, length, *reach)
        pixels = np.concatenate([members[int(one)], members[int(two)]])
        allowed.flat[pixels] = True
        try:
            found = patch_pixels(image, g, guard, allowed)
        except ValueError:
            continue
        finally:
            allowed.flat[pixels] = False
        at = found.light.astype(np.intp)
        precision = np.zeros((len(light), 6))
        width = np.outer(CURVATURE_SHARE * prior, 1.0 / np.array(reaches(g, guard)))
        precision[:, 3:5] = width**-2.0
        terms = np.column_stack([boundary_terms(found.nu), found.tau])
        value, covariance = _solve(terms, light[:, at], total[:, at], precision)
        std = np.sqrt(covariance[:, [1, 2], [1, 2]])
        out[:, :, i] = (
            value[:, 1],
            value[:, 2] * 1e4,
            std[:, 0],
            std[:, 1] * 1e4,
            covariance[:, 1, 2] / std.prod(axis=1),
        )
    return out


def _solve(terms, light, total, precision):
    """Weighted least squares with fitted weights, for all draws at once."""
    scale = np.sqrt(np.mean(terms**2, axis=0))
    t = terms / scale
    products = (t[:, :, None] * t[:, None, :]).reshape(len(t), -1)
    prior = (precision / scale**2)[:, :, None] * np.eye(6)
    fraction = light / total
    fitted = np.repeat(light.sum(1) / total.sum(1), light.shape[1]).reshape(light.shape)
    lowest = (0.5 / (total.sum(1) + 1.0))[:, None]
    for _ in range(ROUNDS):
        safe = np.clip(fitted, lowest, 1 - lowest)
        weight = total / (safe * (1 - safe))
        covariance = np.linalg.inv((weight @ products).reshape(-1, 6, 6) + prior)
        value = np.einsum("dij,dj->di", covariance, (weight * fraction) @ t)
        fitted = value @ t.T
    return value / scale, covariance / np.outer(scale, scale)

"""Whole-map inversion: P of every boundary at once, from the diffusion equation on the grains.

A boundary's step and the flux through it are tied to those of all its neighbours: what flows into
a grain flows out of it, or stays. The inversion uses this. It fits the counts of all pixels by the
quasi-steady diffusion equation (`lliso.diffusion.quasisteady`), with ln P of all boundaries, C on
the rim of the field of view and a smooth ∂C/∂t as unknowns. Boundaries share a log-normal prior
whose median and width the map itself tells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso._types import FloatArray
from lliso.diffusion.outlines import label_outlines
from lliso.diffusion.quasisteady import QuasiSteady
from lliso.diffusion.structures import Structure
from lliso.diffusion.windowmesh import Outlines, WindowMesh, mesh_window, window_outlines
from lliso.fit.lognormal_prior import LogNormalPosterior, lognormal_posterior
from lliso.fit.map_preparation import Prepared, first_guess, prepared_stage
from lliso.fit.map_stage import Linearised, MapStage, mean_intercept
from lliso.fit.rate import Clock, clocks
from lliso.fit.table import Constants
from lliso.fit.whole_map_table import bulk_from_exchange, whole_map_table
from lliso.schema import LI6, LI7, X, Y, check_map, pixel_size
from lliso.units import LENGTH, UM_PER_CM, parse_quantity

if TYPE_CHECKING:
    import xarray as xr

#: largest change of ln P in one iteration
_LARGEST_STEP = 1.5
#: the last iteration moves ln P by less than these shares of its error: typically, and at most
_CALM, _LARGEST_CALM = 0.05, 0.25
#: standard error of mu from which on the map may bound P on one side only
_UNBOUNDED = 0.75
#: element size as a share of the mean linear intercept of the grains, and its limits in pixels
_ELEMENT, _ELEMENT_PIXELS = 0.3, (1.5, 9.0)


@dataclass(frozen=True, eq=False)
class WholeMapFit:
    """What the iterations ended with, in µm and s."""

    posterior: LogNormalPosterior
    stages: tuple[MapStage, ...]
    last: tuple[Linearised, ...]
    iterations: int
    success: bool
    mean_slopes: tuple[tuple[float, float], ...]
    macroscopic: tuple[FloatArray, ...]
    #: ln P common to all boundaries against the loss, where mu is bounded on one side at the most
    scan: FloatArray | None = None
    #: χ² per pixel next to the boundaries over that of the others, and its standard error
    edge: tuple[float, float] = (np.nan, np.nan)


def invert_map(
    maps: xr.Dataset | Sequence[xr.Dataset],
    grains: Structure | Outlines | xr.DataArray | FloatArray,
    *,
    d_bulk: float | str | None,
    d_bulk_std: float | str = 0.0,
    d_bulk_prior: tuple[float, float] | None = None,
    delta: float | str = "0.5 nm",
    exchange_time: float | str | Sequence[float | str | None] | None = None,
    c_source: float | None = None,
    c_natural: float | None = None,
    resolution: float | str = 1.0,
    guard: float | str | None = None,
    element_size: float | str | None = None,
    tau: float | None = None,
    level: float = 0.95,
    iterations: int = 25,
    progress: Callable[[str], None] | None = None,
) -> xr.Dataset:
    r"""Estimate P = D_gb/δ of every boundary in the field of view.

    Minimises the binomial minus log-likelihood of the counts under
    :math:`-\nabla\cdot(D\nabla C) = -\partial C/\partial t` with
    :math:`D\,\partial C/\partial n = P\,\Delta C` at boundaries and
    :math:`\ln P \sim N(\mu, \tau^2)`, by Gauss–Newton with exact sensitivities; µ and τ maximise
    the marginal likelihood.

    Parameters
    ----------
    maps : xarray.Dataset or sequence of them
        One map, or several of the same field of view at different times (common P).
    grains : Structure, Outlines, or label image of shape (y, x)
        The grains: labels are the grain of each pixel, negative ones mean "not known" and are
        filled from the nearest grain.
    d_bulk : float, str or None
        Diffusion coefficient inside the grains in cm²/s, or a string with a unit. None: it is
        estimated from the first map and its exchange time
        (`lliso.fit.whole_map_table.bulk_from_exchange`); ∂C/∂t is a free smooth field then.
    d_bulk_std : float or str
        Its standard error; a systematic part common to all boundaries, reported as the attribute
        ``d_bulk_relative_std``, not mixed into the intervals.
    d_bulk_prior : tuple of float, optional
        Where `d_bulk` is None, another estimate of it and its standard error in cm²/s.
    delta : float or str
        Boundary thickness δ in nm, or a string with a unit.
    exchange_time : float or str, or one per map, optional
        Time in s (or a string with a unit) for which the source was on when the map was taken; None
        for a map taken after storage or where it is not known. Default: the attribute
        ``exchange_s`` of maps without storage.
    c_source, c_natural : float, optional
        Fraction of ⁶Li in the source and before the exchange; default: the maps' attributes. With
        the exchange time they tell ∂C/∂t; otherwise it is a free smooth field.
    resolution : float or str
        FWHM of the point spread function, µm.
    guard : float or str, optional
        Pixels whose centre is nearer to a boundary are left out, µm. Default: resolution plus half
        a pixel, which makes errors of the outlines of up to a pixel harmless. Blur is part of the
        model, so where the outlines are right to a fraction of a pixel 0 is possible, and tells
        more; ``outlines_off`` says where they were not, from some 600 counts a pixel on.
    element_size : float or str, optional
        Element size, µm. Default: 0.3 of the mean linear intercept of the grains.
    tau : float, optional
        Standard deviation of ln P between boundaries if it is known.
    level : float
        Level of the intervals ``permeability_low`` and ``permeability_high``.
    iterations : int
        At most so many Gauss–Newton iterations.
    progress : callable, optional
        Called with a line of text per iteration.

    Returns
    -------
    xarray.Dataset
        One entry per boundary along ``boundary`` (`lliso.fit.whole_map_table.COLUMNS`), the
        posterior covariance of ln P along ``boundary, other``, and µ, τ, χ² and the number of
        iterations among the attributes. An inversion that does not converge has the attribute
        ``success`` 0. ``edge_chi2_ratio`` is χ² per pixel next to the boundaries over that of the
        others; where it shows that the outlines are off, every row has the flag ``outlines_off``.

    Raises
    ------
    ValueError
        If a species is missing, maps differ in their grid, labels do not fit the map, or a
        quantity is not positive or of the wrong dimension.

    References
    ----------
    Eqs. (2), (3) of G. Hasegawa et al., J. Mater. Chem. A 12 (2024) 731.

    Examples
    --------
    Three grains in series, 0.003/µm steep, with steps of 0.1 at their boundaries: P is
    2.6e-8 cm²/s · 30/cm / 0.1. (Simulated, without noise.)

    >>> from lliso.schema import make_map
    >>> y, label = np.arange(45) + 0.5, np.repeat([0, 1, 2], 15)
    >>> c = np.tile((0.7 - 0.003 * y - 0.1 * label)[:, None], 30)
    >>> ds = make_map([1e5 * c, 1e5 * (1 - c)], ["6Li", "7Li"], x=np.arange(30) + 0.5, y=y)
    >>> grains = np.tile(label[:, None], 30)
    >>> table = invert_map(ds, grains, d_bulk="2.6e-8 cm^2/s", tau=0.5)
    >>> bool(np.allclose(table["permeability"], 7.8e-6, rtol=0.02))
    True
    """
    stack = _checked_maps(maps)
    constants = Constants.parse(1.0 if d_bulk is None else d_bulk, d_bulk_std, delta, level)
    times = clocks(stack, exchange_time, c_source, c_natural)
    if d_bulk is None and times[0] is None:
        raise ValueError(
            "d_bulk needs the exchange time and the fractions of source and natural lithium to be "
            "estimated, got none; give d_bulk, or exchange_time, c_source and c_natural"
        )
    outlines = map_outlines(stack[0], grains)
    fwhm = parse_quantity(resolution, LENGTH, "resolution")
    pixel = max(pixel_size(stack[0]))
    kept_out = fwhm + 0.5 * pixel if guard is None else parse_quantity(guard, LENGTH, "guard")
    if element_size is None:
        h = _default_element(outlines, pixel)
    else:
        h = parse_quantity(element_size, LENGTH, "element_size")
    mesh = mesh_window(outlines, h)
    d = 1.0 if d_bulk is None else constants.d_bulk * UM_PER_CM**2
    known = [None] * len(stack) if d_bulk is None else times
    fit = fit_whole_map(stack, mesh, d, kept_out, fwhm, known, tau, iterations, progress)
    settings = {"guard_um": kept_out, "resolution_um": fwhm, "element_um": h}
    found = None
    if d_bulk is None and times[0] is not None:
        found = bulk_from_exchange(fit, times[0], d_bulk_prior)
    return whole_map_table(fit, stack, constants, settings, found)


def _checked_maps(maps: xr.Dataset | Sequence[xr.Dataset]) -> list[xr.Dataset]:
    stack: list[Any] = list(maps) if isinstance(maps, (list, tuple)) else [maps]
    if not stack:
        raise ValueError("the inversion needs at least one map, got none")
    for ds in stack:
        check_map(ds, needs=(LI6, LI7))
        for name in (X, Y):
            a, b = stack[0][name].values, ds[name].values
            if a.shape != b.shape or not np.allclose(a, b):
                raise ValueError(
                    f"maps must share their grid, got different {name}; register them first"
                )
    return stack


def field_of_view(ds: xr.Dataset) -> tuple[float, float, float, float]:
    """Return the outer edges ``(x0, y0, x1, y1)`` of a map's pixels in µm."""
    dx, dy = pixel_size(ds)
    x, y = ds[X].values, ds[Y].values
    return (
        float(x[0] - dx / 2),
        float(y[0] - dy / 2),
        float(x[-1] + dx / 2),
        float(y[-1] + dy / 2),
    )


def map_outlines(ds: xr.Dataset, grains: Structure | Outlines | Any) -> Outlines:
    """Boundaries in a map's field of view from a structure, outlines or a label image.

    Raises
    ------
    ValueError
        If labels do not have the map's shape, or a structure does not cover the field of view.
    """
    if isinstance(grains, Outlines):
        return grains
    box = field_of_view(ds)
    if isinstance(grains, Structure):
        return window_outlines(grains, box)
    label = np.asarray(grains)
    shape = (ds.sizes[Y], ds.sizes[X])
    if label.shape != shape or label.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be whole numbers of the map's shape {shape}, got {label.dtype} of shape "
            f"{label.shape}"
        )
    return label_outlines(label, box)


def _default_element(outlines: Outlines, pixel: float) -> float:
    low, high = (pixel * n for n in _ELEMENT_PIXELS)
    return float(np.clip(_ELEMENT * mean_intercept(outlines), low, high))


def fit_whole_map(
    stack: Sequence[xr.Dataset],
    mesh: WindowMesh,
    d: float,
    guard: float,
    fwhm: float,
    times: Sequence[Clock | None],
    tau: float | None,
    iterations: int,
    progress: Callable[[str], None] | None = None,
) -> WholeMapFit:
    """Iterate to the posterior (see `invert_map`); lengths in µm, D in µm²/s."""
    tell = progress or _silent
    problem = QuasiSteady(mesh, d)
    prepared = [
        prepared_stage(ds, problem, guard, fwhm, clock)
        for ds, clock in zip(stack, times, strict=True)
    ]
    stages = tuple(p.stage for p in prepared)
    start = first_guess(prepared[0], problem)
    m = np.full(mesh.n_boundaries, start)
    now = [s.linearised(m) for s in stages]
    success = False
    number, last = 0, np.zeros_like(m)
    for number in range(1, iterations + 1):
        posterior = _posterior(now, m, tau)
        step = np.clip(posterior.mean - m, -_LARGEST_STEP, _LARGEST_STEP)
        moved = np.abs(step) / np.sqrt(np.diag(posterior.covariance))
        largest, typical = float(moved.max(initial=0.0)), float(np.sqrt(np.mean(moved**2)))
        tell(
            f"iteration {number}: median P {np.exp(posterior.mu) / UM_PER_CM:.3g} cm/s, "
            f"tau {posterior.tau:.2f}, changes {typical:.2g}, at most {largest:.2g} of "
            "their standard deviations"
        )
        if typical < _CALM and largest < _LARGEST_CALM:
            success = True
            break
        if step @ last < -0.5 * np.linalg.norm(step) * np.linalg.norm(last):
            step = 0.5 * step  # it swings to and fro
        last = step
        m, now = _advance(stages, m, step, now, posterior)
    return WholeMapFit(
        _posterior(now, m, tau, average=True),
        stages,
        tuple(now),
        number,
        success,
        tuple(p.mean_slope for p in prepared),
        tuple(p.macroscopic for p in prepared),
        _scan(stages) if posterior.mu_std > _UNBOUNDED else None,
        _edge(prepared, now),
    )


def _edge(prepared: Sequence[Prepared], now: Sequence[Linearised]) -> tuple[float, float]:
    """How much worse pixels next to a boundary fit: they are the first to feel outlines astray."""
    pairs = zip(prepared, now, strict=True)
    squares = np.concatenate([p.stage.squares(one.field) for p, one in pairs])
    near = np.concatenate([p.near for p in prepared])
    if not 1 < near.sum() < near.size - 1:
        return np.nan, np.nan
    (a, u), (b, v) = ((s.mean(), s.std() / s.size**0.5) for s in (squares[near], squares[~near]))
    return float(a / b), float(a / b * np.hypot(u / a, v / b))


def _scan(stages: Sequence[MapStage]) -> FloatArray:
    """Loss for one P of all boundaries: rows ln P and loss.

    Where the map does not bound P on both sides the likelihood is far from Gaussian in ln P.
    """
    problem = stages[0].problem
    even = np.log(problem.diffusivity / mean_intercept(problem.mesh.outlines))
    at = even + np.arange(-7.0, 5.1, 0.5)
    n = problem.mesh.n_boundaries
    loss = [sum(s.linearised(np.full(n, v), sensitivities=False).loss for s in stages) for v in at]
    return np.stack([at, np.array(loss)])


def _silent(_: str) -> None:
    pass


def _posterior(
    now: Sequence[Linearised], m: FloatArray, tau: float | None, *, average: bool = False
) -> LogNormalPosterior:
    information = np.sum([one.information for one in now], axis=0)
    score = np.sum([one.score for one in now], axis=0) + information @ m
    return lognormal_posterior(information, score, tau, average=average)


def _advance(
    stages: Sequence[MapStage],
    m: FloatArray,
    step: FloatArray,
    now: Sequence[Linearised],
    posterior: LogNormalPosterior,
) -> tuple[FloatArray, list[Linearised]]:
    """Go along `step`, halved as long as it makes the fit worse."""

    def loss(at: FloatArray, parts: Sequence[Linearised]) -> float:
        # mu takes its best value everywhere, lest all ln P swing to and fro together
        prior = 0.5 * float(np.sum((at - at.mean()) ** 2)) / posterior.tau**2
        return sum(p.loss for p in parts) + prior

    before = loss(m, now)
    there = m + step
    parts = [s.linearised(there) for s in stages]
    for _ in range(5):
        if loss(there, parts) <= before + 1e-3:
            break
        step = 0.5 * step
        there = m + step
        parts = [s.linearised(there) for s in stages]
    return there, parts

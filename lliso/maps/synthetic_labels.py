"""Specimens whose grains are a label image, such as a segmented micrograph.

Diffusion is solved on the pixels themselves (`lliso.diffusion.voxels`), with P corrected for the
staircase that a slanted boundary is there: right to about 1e-3 in C and a few per cent in single
steps, of first order in the pixel size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_matrix

from lliso._types import FloatArray, IntArray
from lliso.diffusion.mesh import sampling_matrix, triangulate
from lliso.diffusion.polycrystal import Stage, run_stage, run_stages
from lliso.diffusion.structures import Structure
from lliso.diffusion.voxels import VoxelProblem
from lliso.maps.synthetic_parameters import Specimen
from lliso.maps.synthetic_solution import (
    Boundaries,
    draw_structure,
    silent,
    stage_names,
    stages_of,
    stream,
)
from lliso.units import UM_PER_CM

Extent = tuple[float, float, float, float]
#: P (cm/s) of pairs of grains, shape (pair, 2), as they are numbered in the label image
PairLaw = Callable[[IntArray], FloatArray]


@dataclass(frozen=True, eq=False)
class LabelSolution:
    """A label image solved: C in every pixel at the end of every stage.

    `problem` holds the image, `permeability` (pair,) in µm/s P of every pair of neighbours,
    `extent` the image's outer edges in µm; `sin_dip` (pair,) where the image is the surface of a
    box.
    """

    specimen: Specimen
    seed: int
    problem: VoxelProblem
    permeability: FloatArray
    extent: Extent
    stages: tuple[str, ...]
    fields: tuple[FloatArray, ...]
    sin_dip: FloatArray | None = None

    @property
    def labels(self) -> IntArray:
        """Grain of every pixel, (y, x)."""
        return self.problem.labels

    @property
    def grain_areas(self) -> FloatArray:
        """Area of every grain, µm²."""
        pixel = float(np.prod(self.problem.spacing))
        return np.asarray(pixel * np.bincount(self.labels.ravel()), dtype=np.float64)

    @property
    def grain_diffusivity(self) -> FloatArray:
        """D of every grain, µm²/s."""
        return self.problem.diffusivity_of_grain

    @property
    def mean_intercept(self) -> float:
        """Mean length of random lines within a grain, µm."""
        return float(np.pi * self.grain_areas.sum() / (2.0 * self.boundaries.lengths.sum()))

    @cached_property
    def boundaries(self) -> Boundaries:
        """One straight chord per pair of grains that touch."""
        vector = self.problem.pair_vectors[:, ::-1]  # (x, y)
        length = np.hypot(*vector.T)
        normal = vector / np.maximum(length, 1e-300)[:, None]
        back = (normal[:, 1] < 0) | ((normal[:, 1] == 0) & (normal[:, 0] < 0))
        pairs = np.where(back[:, None], self.problem.pairs[:, ::-1], self.problem.pairs)
        normal = np.where(back[:, None], -normal, normal)
        along = np.column_stack([normal[:, 1], -normal[:, 0]])
        half = 0.5 * length[:, None] * along
        middle = self._middles()
        return Boundaries(
            np.stack([middle - half, middle + half], axis=1),
            normal,
            length,
            pairs,
            self.permeability,
            self.sin_dip,
        )

    def _middles(self) -> FloatArray:
        """Mean position of each pair's faces, (x, y) in µm."""
        dy, dx = self.problem.spacing
        position, pair = self.problem.face_positions
        x, y = self.extent[0] + position[:, 1] * dx, self.extent[1] + position[:, 0] * dy
        n = np.bincount(pair)
        return np.column_stack([np.bincount(pair, x), np.bincount(pair, y)]) / n[:, None]

    def sample(self, x: FloatArray, y: FloatArray) -> tuple[csr_matrix, IntArray]:
        """Matrix from a field to the points of a grid (µm), and the grain of each, (y, x).

        Linear between the centres of a grain's pixels, and on from them as far as its boundary.
        """
        ny, nx = self.labels.shape
        dy, dx = self.problem.spacing
        across = (np.asarray(x, dtype=float) - self.extent[0]) / dx
        along = (np.asarray(y, dtype=float) - self.extent[1]) / dy
        i, j = np.floor(across).astype(int), np.floor(along).astype(int)
        if i.min() < 0 or j.min() < 0 or i.max() >= nx or j.max() >= ny:
            raise ValueError(f"points must lie inside the label image {self.extent} (um)")
        rows, columns = np.meshgrid(j, i, indexing="ij")
        off_y, off_x = np.meshgrid(along - j - 0.5, across - i - 0.5, indexing="ij")
        shape = (rows.size, nx * ny)
        flat = (rows * nx + columns).ravel()
        matrix = csr_matrix((np.ones(flat.size), (np.arange(flat.size), flat)), shape=shape)
        for axis, off in ((0, off_y), (1, off_x)):
            matrix = matrix + self._towards(rows, columns, axis, off, shape)
        return matrix, self.labels.ravel()[flat].reshape(len(j), len(i))

    def _towards(
        self, rows: IntArray, columns: IntArray, axis: int, off: FloatArray, shape: tuple[int, int]
    ) -> csr_matrix:
        """`off` pixels along an axis times the slope to the nearer neighbour in the same grain.

        Where that one is another grain's, the slope from the neighbour behind; 0 with neither.
        """
        labels = self.labels
        here = labels[rows, columns]
        side = np.where(off < 0, -1, 1)
        slope = np.zeros(off.shape)
        other = np.ravel_multi_index((rows, columns), labels.shape)
        for sign in (-1, 1):  # the neighbour behind first: the nearer one takes precedence
            r = rows + sign * side * (axis == 0)
            c = columns + sign * side * (axis == 1)
            inside = (r >= 0) & (c >= 0) & (r < labels.shape[0]) & (c < labels.shape[1])
            r, c = np.where(inside, r, rows), np.where(inside, c, columns)
            use = inside & (labels[r, c] == here)
            slope = np.where(use, sign * np.abs(off), slope)
            other = np.where(use, np.ravel_multi_index((r, c), labels.shape), other)
        point = np.arange(off.size)
        own = np.ravel_multi_index((rows, columns), labels.shape)
        weight = slope.ravel()
        entries = (np.tile(point, 2), np.concatenate([other.ravel(), own.ravel()]))
        return csr_matrix((np.concatenate([weight, -weight]), entries), shape=shape)

    def steps_and_slopes(self, field: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean step of each boundary (b,), and the slope (1/µm) on both its sides (b, 2)."""
        edges = self.boundaries
        same = edges.grains[:, 0] == self.problem.pairs[:, 0]
        steps = np.where(same, 1.0, -1.0) * self.problem.steps(field)
        p = np.where(np.isinf(edges.permeability), np.nan, edges.permeability)
        if self.sin_dip is not None:  # no flux leaves the surface: all of it is in the plane
            p = p / self.sin_dip
        return steps, (p * steps)[:, None] / self.grain_diffusivity[edges.grains]

    def cooled(self, stage: Stage) -> tuple[FloatArray, ...]:
        """Fields after a further stage, one from the end of each."""
        if self.sin_dip is not None:
            raise ValueError("cooling needs the whole box in time, got the surface of a box only")
        return tuple(run_stage(self.problem, stage, f).field for f in self.fields)


def solve_labels(
    specimen: Specimen,
    seed: int,
    labels: IntArray,
    *,
    permeability: PairLaw | None = None,
    progress: Callable[[str], None] | None = None,
) -> LabelSolution:
    """Solve exchange and storage in a specimen whose grains are a label image.

    Parameters
    ----------
    specimen : Specimen
        Its `box` is what the image covers; of the grains only D and the law of P are taken.
    seed : int
    labels : int array, shape (y, x)
        Grain of every pixel, the first row at the box's lower edge; see `embedded_labels` for an
        image of a part of the specimen.
    permeability : callable, optional
        P in cm/s of pairs of labels, shape (pair, 2); without, drawn from the specimen's law.
    progress : callable, optional
        Called with a line of text before each part.

    Returns
    -------
    LabelSolution
        For `lliso.maps.synthetic.simulate_maps`.

    Raises
    ------
    ValueError
        If the image is not a label image.

    Examples
    --------
    >>> small = Specimen(box=(0, -20, 40, 100), window=(8, 10, 32, 60))
    >>> stripes = np.repeat(np.repeat(np.arange(6), 10)[:, None], 20, axis=1)
    >>> solved = solve_labels(small, 1, stripes)
    >>> solved.labels.shape, [round(float(n), 9) for n in solved.boundaries.lengths]
    ((60, 20), [40.0, 40.0, 40.0, 40.0, 40.0])
    """
    tell = progress or silent
    image = np.asarray(labels)
    if image.ndim != 2 or image.dtype.kind not in "iu" or min(image.shape) < 2:
        raise ValueError(
            "labels must be an image of whole numbers, got the shape "
            f"{image.shape} of {image.dtype}"
        )
    names, index = np.unique(image, return_inverse=True)
    index = index.reshape(image.shape)
    x0, y0, x1, y1 = specimen.box
    spacing = ((y1 - y0) / image.shape[0], (x1 - x0) / image.shape[1])
    d = np.full(len(names), specimen.d_bulk * UM_PER_CM**2)
    if specimen.d_spread > 0:
        noise = stream(seed, "diffusivity").standard_normal(len(names))
        d *= np.exp(specimen.d_spread * noise)

    def law(pairs: IntArray) -> FloatArray:
        if permeability is not None:
            return np.asarray(permeability(names[pairs]), dtype=float) * UM_PER_CM
        return drawn_permeability(specimen, seed, len(pairs))

    problem = VoxelProblem(index, spacing, law, d, level=-y0 / spacing[0])
    y = y0 + (np.arange(image.shape[0]) + 0.5) * spacing[0]
    source = np.repeat(y <= 0, image.shape[1])
    solved = run_stages(
        problem,
        stages_of(specimen),
        initial=specimen.c_natural,
        source=source,
        progress=tell,
    )
    p = problem.pair_permeability
    return LabelSolution(
        specimen, seed, problem, p, specimen.box, stage_names(specimen), tuple(solved)
    )


def drawn_permeability(specimen: Specimen, seed: int, n: int) -> FloatArray:
    """P of `n` boundaries from the specimen's law, µm/s."""
    noise = stream(seed, "permeability").standard_normal(n)
    factor = np.exp(specimen.permeability_sigma * noise)
    return np.asarray(specimen.permeability_median * UM_PER_CM * factor)


def rasterised(structure: Structure, shape: tuple[int, int]) -> IntArray:
    """Grain of every pixel of an image of a structure's box, shape (y, x).

    Examples
    --------
    >>> from lliso.diffusion.structures import laminate
    >>> rasterised(laminate((0, 0, 2, 4), [2.0]), (4, 2)).tolist()
    [[0, 0], [0, 0], [1, 1], [1, 1]]
    """
    x0, y0, x1, y1 = structure.box
    ny, nx = shape
    mesh = triangulate(structure, max(x1 - x0, y1 - y0))
    x = x0 + (np.arange(nx) + 0.5) * (x1 - x0) / nx
    y = y0 + (np.arange(ny) + 0.5) * (y1 - y0) / ny
    return sampling_matrix(mesh, x, y)[1]


def embedded_labels(specimen: Specimen, seed: int, image: IntArray, pixel: float) -> IntArray:
    """Put the label image of the field of view into a specimen of drawn grains.

    Lithium reaches the field of view through grains that no micrograph shows; these are drawn from
    the specimen's law. Grains of the image keep their labels, drawn ones get higher ones.

    Parameters
    ----------
    specimen : Specimen
    seed : int
    image : int array, shape (y, x)
        Labels, not negative, of the specimen's `window`.
    pixel : float
        Pixel size of the result, µm; it should divide the box.

    Returns
    -------
    int array, shape (y, x)
        Labels of the whole box, for `solve_labels`.

    Raises
    ------
    ValueError
        If the image has negative labels, or pixel is not positive.

    Examples
    --------
    >>> small = Specimen(box=(0, -20, 60, 100), window=(10, 20, 50, 60), grain_spread=4)
    >>> whole = embedded_labels(small, 1, np.repeat([[0, 1]], 8, axis=0), 2.0)
    >>> whole.shape, int(whole[20:40, 5:25].max()), bool((whole[:20] > 1).all())
    ((60, 30), 1, True)
    """
    picture = np.asarray(image)
    if picture.ndim != 2 or picture.dtype.kind not in "iu" or picture.min() < 0:
        raise ValueError("image must hold labels, whole numbers that are not negative")
    if not pixel > 0:
        raise ValueError(f"pixel must be positive, got {pixel:g} um")
    x0, y0, x1, y1 = specimen.box
    ny, nx = round((y1 - y0) / pixel), round((x1 - x0) / pixel)
    whole = rasterised(draw_structure(specimen, seed), (ny, nx)) + int(picture.max()) + 1
    x = x0 + (np.arange(nx) + 0.5) * (x1 - x0) / nx
    y = y0 + (np.arange(ny) + 0.5) * (y1 - y0) / ny
    a0, b0, a1, b1 = specimen.window
    i = np.floor((x - a0) / (a1 - a0) * picture.shape[1]).astype(int)
    j = np.floor((y - b0) / (b1 - b0) * picture.shape[0]).astype(int)
    columns = np.flatnonzero((i >= 0) & (i < picture.shape[1]))
    rows = np.flatnonzero((j >= 0) & (j < picture.shape[0]))
    whole[np.ix_(rows, columns)] = picture[np.ix_(j[rows], i[columns])]
    return whole

"""A second image over a map, e.g. of a microscope: where it lies and how it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lliso._types import FloatArray
from lliso.sessions.parts import Part, Picture, layer


@dataclass(frozen=True, eq=False)
class Overlay:
    """Grey values and where they lie on the map.

    Attributes
    ----------
    grey : numpy.ndarray, shape (row, column)
        Values; NaN is clear.
    matrix : tuple of float
        a, b, c, d, e, f: x = a·column + c·row + e and y = b·column + d·row + f in µm of the map, of
        the corner of a pixel.
    """

    grey: FloatArray
    matrix: tuple[float, float, float, float, float, float]
    picture: Picture

    @classmethod
    def of(cls, given: Any) -> Overlay:
        """Read what a person gives.

        Parameters
        ----------
        given : xarray.DataArray or (array, matrix)
            An image with coordinates ``x`` and ``y`` in µm of the map (as `lliso.image_on_map`
            gives it); or grey or colour values and the matrix (2 or 3 × 3) that takes (column, row,
            1), of the corner of a pixel, to (x, y) of the map in µm.

        Raises
        ------
        ValueError
            If it is neither.

        Examples
        --------
        >>> Overlay.of((np.zeros((4, 3)), [[2, 0, 10], [0, 2, 20]])).matrix
        (2.0, 0.0, 0.0, 2.0, 10.0, 20.0)
        """
        if hasattr(given, "coords"):
            if given.ndim != 2 or not {"x", "y"} <= {str(c) for c in given.coords}:
                raise ValueError(
                    f"the overlay needs the coordinates x and y in um, got {given.dims}"
                )
            image = given.transpose("y", "x")
            x, y = (image[k].values.astype(float) for k in ("x", "y"))
            dx, dy = (x[-1] - x[0]) / (x.size - 1), (y[-1] - y[0]) / (y.size - 1)
            matrix = (dx, 0.0, 0.0, dy, x[0] - dx / 2, y[0] - dy / 2)
            return cls._made(np.asarray(image.values, dtype=float), matrix)
        try:
            values, transform = given
        except (TypeError, ValueError):
            raise ValueError(
                "the overlay must be an image with x and y in um, or (array, matrix), got "
                f"{type(given).__name__}"
            ) from None
        values, m = np.asarray(values, dtype=float), np.asarray(transform, dtype=float)
        if values.ndim == 3 and values.shape[2] in (3, 4):
            values = values[..., :3] @ np.array([0.299, 0.587, 0.114])  # luma of Rec. 601
        if values.ndim != 2 or m.shape not in ((2, 3), (3, 3)):
            raise ValueError(
                "the overlay must be an array (row, column) with a matrix of 2 x 3 or 3 x 3, got "
                f"{values.shape} and {m.shape}"
            )
        if m.shape == (3, 3) and not np.allclose(m[2], [0, 0, 1]):
            raise ValueError(
                "a projective transform cannot be drawn as it is; resample the image with "
                "lliso.image_on_map"
            )
        a, c, e, b, d, f = (float(v) for v in m[:2].ravel())
        return cls._made(values, (a, b, c, d, e, f))

    @classmethod
    def _made(cls, grey: FloatArray, matrix: tuple[float, ...]) -> Overlay:
        known = grey[np.isfinite(grey)]
        if known.size == 0:
            raise ValueError("the overlay must hold numbers, got none")
        low, high = (float(v) for v in np.percentile(known, [1, 99]))
        ny, nx = grey.shape
        a, b, c, d, e, f = (float(v) for v in matrix)
        corners = np.array(
            [(a * i + c * j + e, b * i + d * j + f) for i in (0, nx) for j in (0, ny)]
        )
        (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
        extent = (float(x0), float(x1), float(y0), float(y1))
        picture = Picture(grey.astype(np.float32), extent, low, max(high, low + 1e-9))
        return cls(grey, (a, b, c, d, e, f), picture)

    def layer(self, opacity: float, name: str = "overlay") -> Part:
        """Return it as a layer of a panel."""
        more = {"opacity": opacity, "smooth": True, "clear": True, "cmap": "gray"}
        return layer(name, transform=list(self.matrix), **more)

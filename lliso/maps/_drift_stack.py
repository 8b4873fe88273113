"""Frames of a stack in Fourier space, read block by block: what the search for drift looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.fft

from lliso._types import FloatArray
from lliso.schema import COUNTS, FRAME, SPECIES, X, Y, check_map

if TYPE_CHECKING:
    import xarray as xr

#: smoothing before frames are compared, in pixels; and where contrast is lost in counting noise
SMOOTHING, WEAK_SMOOTHING = 1.5, 3.5
#: what is wider than this share of the map, such as the profile itself, is taken out
_WIDEST = 1 / 7
#: measured to this share of a pixel
_UPSAMPLE = 100
#: pixels over which the window of a template falls
TAPER = 8.0
#: times that what is left of a shift is measured again, at the most
_ROUNDS = 8


@dataclass
class Stack:
    """The frames of a stack, read block by block and looked at in Fourier space."""

    counts: xr.DataArray
    blocks: list[slice]
    tell: Callable[[str], None]
    counts_per_frame: FloatArray = field(init=False)
    weight: FloatArray = field(init=False)
    usual: FloatArray = field(init=False)
    window: Any = field(init=False)
    band: Any = field(init=False)
    half_band: Any = field(init=False)

    def __post_init__(self) -> None:
        ny, nx = self.counts.sizes[Y], self.counts.sizes[X]
        self.window = np.outer(np.hanning(ny), np.hanning(nx)).astype(np.float32)
        self.ky = np.fft.fftfreq(ny)[:, None]
        self.kx = np.fft.fftfreq(nx)[None, :]
        self.half_kx = np.fft.rfftfreq(nx)
        # Each column of a half spectrum stands for two, but for the first and, of an even
        # number, the last.
        self.twice = np.full(self.half_kx.size, 2.0, dtype=np.float32)
        self.twice[[0, -1] if nx % 2 == 0 else [0]] = 1.0
        self.smooth_by(SMOOTHING)
        means = []
        for block in self.blocks:
            part = self.counts.isel({FRAME: block}).transpose(SPECIES, FRAME, Y, X)
            means.append(part.mean([Y, X]).values)
            self.tell(f"counts: frame {block.stop} of {self.counts.sizes[FRAME]}")
        mean = np.concatenate(means, axis=1)
        self.counts_per_frame = np.asarray(mean.sum(axis=0), dtype=float)
        each = np.median(mean, axis=1)
        self.usual = np.where(each > 0, each, 1.0)  # counts per pixel and frame, by species
        # Poisson noise: a species' image says the more the fewer counts its contrast drowns in.
        self.weight = np.where(each > 0, 1.0 / np.where(each > 0, each, 1.0), 0.0)

    @classmethod
    def of(
        cls,
        ds: xr.Dataset,
        species: Sequence[str] | None,
        progress: Callable[[str], None] | None,
    ) -> Stack:
        check_map(ds, needs=species or ())
        if ds.sizes.get(FRAME, 1) < 2:
            raise ValueError(f"drift needs at least 2 frames, got {ds.sizes.get(FRAME, 1)}")
        counts = ds[COUNTS] if species is None else ds[COUNTS].sel({SPECIES: list(species)})
        return cls(counts, frame_blocks(counts), progress or _silent)

    def smooth_by(self, sigma: float) -> None:
        self.sigma = sigma
        k2 = self.ky**2 + self.kx**2
        wide = _WIDEST * min(self.counts.sizes[Y], self.counts.sizes[X])
        band = np.exp(-2 * np.pi**2 * sigma**2 * k2) - np.exp(-2 * np.pi**2 * wide**2 * k2)
        self.band = band.astype(np.float32)
        self.half_band = self.band[:, : self.half_kx.size]

    def images(self, what: str) -> Iterator[tuple[int, Any]]:
        """Yield each frame's images in single precision, shape (species, y, x)."""
        for block in self.blocks:
            part = self.counts.isel({FRAME: block}).transpose(FRAME, SPECIES, Y, X)
            for k, image in enumerate(part.values):
                yield block.start + k, image.astype(np.float32)
            self.tell(f"{what}: frame {block.stop} of {self.counts.sizes[FRAME]}")

    def spectra(self, what: str) -> Iterator[tuple[int, Any]]:
        """Yield each frame's band-passed spectrum, shape (species, y, x)."""
        for f, image in self.images(what):
            image -= image.mean(axis=(1, 2), keepdims=True)
            yield f, scipy.fft.fft2(image) * self.band

    def half_spectrum(self, image: Any) -> Any:
        """Band-passed spectrum of real images, its half: shape (species, y, x // 2 + 1)."""
        flat = image - image.mean(axis=(1, 2), keepdims=True)
        return scipy.fft.rfft2(flat) * self.half_band

    def half_moved(self, half: Any, by: FloatArray) -> Any:
        """Move what has a half spectrum by (y, x) pixels."""
        along_y = np.exp(-2j * np.pi * by[0] * self.ky).astype(np.complex64)
        along_x = np.exp(-2j * np.pi * by[1] * self.half_kx).astype(np.complex64)
        return half * along_y * along_x

    def moved(self, spectrum: Any, by: FloatArray) -> Any:
        """Move by (y, x) pixels."""
        along_y = np.exp(-2j * np.pi * by[0] * self.ky).astype(np.complex64)
        along_x = np.exp(-2j * np.pi * by[1] * self.kx).astype(np.complex64)
        return spectrum * along_y * along_x

    def windowed(self, spectrum: Any) -> Any:
        """Spectrum of the windowed image, free of its mean."""
        image = scipy.fft.ifft2(spectrum).real
        weights = self.window / self.window.sum()
        image = image - (image * weights).sum(axis=(1, 2), keepdims=True)
        return scipy.fft.fft2(image * self.window)

    def match(self, fixed: Any, spectrum: Any, start: FloatArray) -> tuple[FloatArray, float]:
        """Return the offset of an image from the (windowed) reference, and their correlation.

        The window favours small shifts, so what is left is measured again until nothing is.
        """
        from skimage.registration import phase_cross_correlation

        find: Any = phase_cross_correlation
        offset, like = np.array(start, dtype=float), 0.0
        weight = self.weight[:, None, None]
        for _ in range(_ROUNDS):
            here = self.windowed(self.moved(spectrum, -offset))
            product = np.sum(weight * fixed * here.conj(), axis=0)
            size = np.sum(weight * np.abs(fixed) ** 2) * np.sum(weight * np.abs(here) ** 2)
            if not size > 0:  # no contrast: nothing to compare
                return np.array(start, dtype=float), 0.0
            like = float(product.real.sum() / np.sqrt(size))
            ones = np.ones_like(product)
            back = find(
                product, ones, space="fourier", upsample_factor=_UPSAMPLE, normalization=None
            )[0]
            offset = offset - np.asarray(back, dtype=float)
            if np.max(np.abs(back)) < 1.5 / _UPSAMPLE:
                break
        return offset, like


def inner_window(shape: tuple[int, ...], path: FloatArray) -> Any:
    """1 where the specimen is seen whatever the drift, falling to 0 over some pixels around it."""
    sides = []
    for n, moved in zip(shape, np.abs(path).max(axis=0), strict=True):
        margin = min(float(np.ceil(moved)), n / 4)
        inside = (np.minimum(np.arange(n) + 0.5, n - np.arange(n) - 0.5) - margin) / TAPER
        sides.append(np.sin(0.5 * np.pi * np.clip(inside, 0.0, 1.0)) ** 2)
    return np.outer(*sides).astype(np.float32)


def frame_blocks(counts: xr.DataArray, most: int = 64) -> list[slice]:
    """Return slices of consecutive frames that are read together: the chunks of lazy data."""
    axis = counts.get_axis_num(FRAME)
    n = counts.sizes[FRAME]
    sizes = counts.chunks[axis] if counts.chunks is not None else (most,) * (-(-n // most))
    ends = np.minimum(np.cumsum(sizes), n)
    return [slice(int(a), int(b)) for a, b in zip([0, *ends[:-1]], ends, strict=True)]


def _silent(_: str) -> None:
    return None

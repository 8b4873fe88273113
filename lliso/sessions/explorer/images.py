"""The images of the explorer: computed once, kept while they may be looked at again."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso._types import FloatArray
from lliso.errors import LlisoWarning
from lliso.maps.cuts import map_extent
from lliso.maps.fraction import FRACTION, FRACTION_STD, isotope_fraction, species_counts
from lliso.maps.quantities import QUANTITIES, colour_limits, difference, map_quantity
from lliso.schema import LI6, LI7, SPECIES
from lliso.sessions.parts import Picture

if TYPE_CHECKING:
    import xarray as xr

#: images that are kept
_KEPT = 24
#: species whose counts the read-out says
_READ = 4


@dataclass(frozen=True)
class Look:
    """How maps are looked at.

    Attributes
    ----------
    low, high : float or None
        Limits of the colours; None: by the percentiles.
    """

    quantity: str
    species: str
    cmap: str = "viridis"
    low_percent: float = 1.0
    high_percent: float = 99.0
    low: float | None = None
    high: float | None = None
    symmetric: bool = False
    log: bool = False
    binned: int = 1
    smooth: float = 0.0
    difference: bool = False
    opacity: float = 0.5
    selected: None = None
    ranges: tuple[float, float, float, float] | None = None


class Images:
    """The images of maps of several stages.

    Parameters
    ----------
    maps : mapping of str to xarray.Dataset
        By stage, without frames.
    progress : callable
        Told what is computed.
    """

    def __init__(
        self, maps: Mapping[str, xr.Dataset], progress: Callable[[float | None, str], None]
    ) -> None:
        self._maps = maps
        self._progress = progress
        first = next(iter(maps.values()))
        self.species = [str(s) for s in first[SPECIES].values]
        self.has_fraction = {LI6, LI7} <= set(self.species)
        self._cache: dict[tuple[Any, ...], xr.DataArray] = {}
        self._pictures: dict[str, tuple[xr.DataArray, Picture]] = {}
        self._readings: dict[str, Picture] = {}

    def stages(self, look: Look) -> list[FloatArray]:
        """Return what is shown of every stage."""
        return [self.of(look, stage).values for stage in self._maps]

    def of(self, look: Look, stage: str) -> xr.DataArray:
        """Return what is shown of a stage."""
        softened: dict[str, Any] = {"binned": look.binned, "smooth": look.smooth}
        key = (stage, look.quantity, look.species, look.binned, look.smooth)

        def made() -> xr.DataArray:
            self._progress(None, f"computing {QUANTITIES[look.quantity]} of {stage}")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", LlisoWarning)
                return map_quantity(self._maps[stage], look.quantity, look.species, **softened)

        return self._kept(key, made)

    def change(self, look: Look) -> xr.DataArray:
        """Return what changed from the first stage to the last."""
        if len(self._maps) < 2:
            raise ValueError("a difference needs the maps of two stages, got one")
        first, *_, last = self._maps.values()
        softened: dict[str, Any] = {"binned": look.binned, "smooth": look.smooth}
        softened["significance"] = look.quantity in ("significance", "fraction_std")
        return self._kept(
            ("change", *softened.values()), lambda: difference(last, first, **softened)
        )

    def _kept(self, key: tuple[Any, ...], made: Callable[[], xr.DataArray]) -> xr.DataArray:
        if key not in self._cache:
            image = made()
            while len(self._cache) > _KEPT:
                self._cache.pop(next(iter(self._cache)))
            self._cache[key] = image
        return self._cache[key]

    def pictures(self, look: Look) -> dict[str, Picture]:
        """Return what is shown and what the read-out reads, by name."""
        found = {}
        for stage in self._maps:
            found[f"{stage}|shown"] = self._picture(stage, self.of(look, stage))
        if look.difference:
            found["change"] = self._picture("change", self.change(look))
        return found | self._reads()

    def _picture(self, name: str, image: xr.DataArray) -> Picture:
        if name not in self._pictures or self._pictures[name][0] is not image:
            dx, dy = (float(image[k][1] - image[k][0]) for k in ("x", "y"))
            x, y = image["x"].values, image["y"].values
            extent = (x[0] - dx / 2, x[-1] + dx / 2, y[0] - dy / 2, y[-1] + dy / 2)
            self._pictures[name] = image, Picture(image.values.astype(np.float32), extent)
        return self._pictures[name][1]

    def _reads(self) -> dict[str, Picture]:
        """Return C, its error and counts as they are: what the read-out says."""
        for stage, ds in () if self._readings else self._maps.items():
            (x0, x1), (y0, y1) = map_extent(ds)
            named: dict[str, FloatArray] = {}
            if self.has_fraction:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", LlisoWarning)
                    c = isotope_fraction(ds)
                named = {"C": c[FRACTION].values, "std": c[FRACTION_STD].values}
            for name in self.species[:_READ]:
                named[name] = species_counts(ds, name).values
            for name, values in named.items():
                whole = name not in ("C", "std") and values.max() < 65536 and values.min() >= 0
                whole = whole and bool(np.all(values == np.round(values)))
                kept = values.astype(np.uint16 if whole else np.float32)
                self._readings[f"{stage}|{name}"] = Picture(kept, (x0, x1, y0, y1))
        return self._readings

    def read_out(self, stage: str) -> list[list[Any]]:
        """Return the rows of the read-out of a stage: image, label, digits."""
        rows: list[list[Any]] = []
        if self.has_fraction:
            rows = [[f"{stage}|C", "C", 3], [f"{stage}|std", "±", 3]]
        return rows + [[f"{stage}|{s}", s, 0] for s in self.species[:_READ]]

    def limits(self, look: Look) -> tuple[float, float]:
        """Return the ends of the colours of the stages."""
        images = self.stages(look)
        centre = float(np.nanmedian(images[0])) if look.symmetric else None
        low, high = colour_limits(images, look.low_percent, look.high_percent, centre)
        low = low if look.low is None else look.low
        high = high if look.high is None else look.high
        if look.log and low <= 0:
            positive = [i[i > 0] for i in images]
            low = float(min((p.min() for p in positive if p.size), default=high / 1000))
        return low, max(high, low + 1e-12 * max(1.0, abs(low)))

    def reach(self, look: Look) -> float:
        """Return the end of the colours of the change, which are symmetric about none."""
        change = self.change(look).values
        return colour_limits([change], look.low_percent, look.high_percent, 0.0)[1]

    def clear(self) -> None:
        """Let go of all images."""
        for kept in (self._cache, self._pictures, self._readings):
            kept.clear()

"""What every line analysis becomes, whatever it was read from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.errors import FormatError
from lliso.maps.cuts import DISTANCE
from lliso.schema import COUNTS, SPECIES

if TYPE_CHECKING:
    import xarray as xr

    from lliso._types import FloatArray

MICROMETRES = {"nm": 1e-3, "um": 1.0, "µm": 1.0, "μm": 1.0, "mm": 1e3, "cm": 1e4}


def line_dataset(
    distance: FloatArray, species: list[str], counts: Any, attrs: dict[str, Any], path: Path
) -> xr.Dataset:
    import xarray as xr

    order = np.argsort(distance, kind="stable")
    if np.any(np.diff(distance[order]) <= 0):
        twice = distance[order][1:][np.diff(distance[order]) <= 0][0]
        raise FormatError(
            path, None, f"every position must occur once, got {twice:g} um again; sum its counts"
        )
    ds = xr.Dataset(
        {COUNTS: ((SPECIES, DISTANCE), counts, {"units": "1", "long_name": "counts"})},
        coords={SPECIES: species, DISTANCE: (DISTANCE, distance, {"units": "um"})},
        attrs={"simulated": 0, "stage": "", **attrs},
    )
    return ds.isel({DISTANCE: order})

"""lliso: from SIMS maps of lithium isotopes to diffusion coefficients.

The public names below are loaded when they are first used, so that ``import lliso`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from lliso.__about__ import __version__

#: public name -> module that defines it
_PUBLIC = {
    "BoundaryPick": "lliso.maps.picks",
    "FormatError": "lliso.errors",
    "Instrument": "lliso.maps.synthetic",
    "LineCut": "lliso.maps.cuts",
    "LlisoWarning": "lliso.errors",
    "Picks": "lliso.maps.picks",
    "PicksMismatch": "lliso.errors",
    "Specimen": "lliso.maps.synthetic",
    "bin_pixels": "lliso.maps.fraction",
    "fit_boundaries": "lliso.fit.boundaries",
    "flip_y": "lliso.schema",
    "fraction_interval": "lliso.maps.fraction",
    "isotope_fraction": "lliso.maps.fraction",
    "line_profile": "lliso.maps.cuts",
    "make_map": "lliso.schema",
    "pick_boundaries": "lliso.apps.boundaries",
    "read_map": "lliso.io",
    "readable_table": "lliso.fit.words",
    "table_frame": "lliso.fit.table",
    "simulate_maps": "lliso.maps.synthetic",
    "true_permeability": "lliso.maps.truth",
    "write_map": "lliso.io",
}

__all__ = ["__version__", *sorted(_PUBLIC)]

if not TYPE_CHECKING:  # hidden from mypy, so that a misspelt name is still an error there

    def __getattr__(name: str) -> object:
        if name in _PUBLIC:
            value = getattr(import_module(_PUBLIC[name]), name)
            globals()[name] = value
            return value
        raise AttributeError(f"module 'lliso' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)

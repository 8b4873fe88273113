"""Reading and writing maps: one module per format behind one `read_map`.

What is no map has functions of its own: line analyses, depth profiles, spectra, mass intervals and
lines drawn in ImageJ.
"""

from __future__ import annotations

from lliso.io.imagej import read_cuts, write_cuts
from lliso.io.iontof_lists import read_mass_intervals, read_spectrum
from lliso.io.iontof_text import read_depth_profile
from lliso.io.profiles import read_profile
from lliso.io.registry import convert, describe, formats, read_map, write_map

__all__ = [
    "convert",
    "describe",
    "formats",
    "read_cuts",
    "read_depth_profile",
    "read_map",
    "read_mass_intervals",
    "read_profile",
    "read_spectrum",
    "write_cuts",
    "write_map",
]

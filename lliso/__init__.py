"""lliso: from SIMS maps of lithium isotopes to diffusion coefficients.

The public names below are loaded when they are first used, so that ``import lliso`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from lliso.__about__ import __version__

#: public name -> module that defines it
_PUBLIC = {
    "align_frames": "lliso.maps.alignment",
    "apply_edits": "lliso.maps.grain_edits",
    "bin_pixels": "lliso.maps.fraction",
    "boundary_network": "lliso.maps.grains",
    "boundary_part": "lliso.fit.transport",
    "BoundaryPick": "lliso.maps.picks",
    "calibrate": "lliso.maps.calibration",
    "Calibration": "lliso.maps.calibration",
    "check_corrections": "lliso.maps.check_corrections",
    "conductivities": "lliso.fit.geometry",
    "correct_background": "lliso.maps.corrections",
    "correct_dead_time": "lliso.maps.dead_time",
    "correct_fractionation": "lliso.maps.corrections",
    "correct_hydride": "lliso.maps.corrections",
    "count_events": "lliso.maps.stacks",
    "d_bulk_from_map": "lliso.fit.bulk",
    "describe": "lliso.io",
    "effective_medium": "lliso.fit.effective",
    "explore_arrhenius": "lliso.apps.arrhenius",
    "explore_map": "lliso.apps.explorer",
    "explore_network": "lliso.apps.network",
    "explore_profiles": "lliso.apps.profiles",
    "fit_anneal": "lliso.fit.anneal",
    "fit_arrhenius": "lliso.fit.arrhenius",
    "fit_arrhenius_shared": "lliso.fit.arrhenius_shared",
    "fit_boundaries": "lliso.fit.boundaries",
    "fit_boundary_law": "lliso.fit.boundary_law",
    "fit_chain": "lliso.fit.chain",
    "fit_exchange": "lliso.fit.exchange",
    "fit_impedance": "lliso.fit.impedance",
    "fit_network": "lliso.fit.network",
    "fit_registration": "lliso.maps.registration",
    "fit_sample": "lliso.fit.sample",
    "fit_stages": "lliso.fit.stages",
    "flip_y": "lliso.schema",
    "FormatError": "lliso.errors",
    "formats": "lliso.io",
    "fraction_interval": "lliso.maps.fraction",
    "grain_size": "lliso.maps.grain_size",
    "GrainEdits": "lliso.maps.grain_edits",
    "grains_of_orientations": "lliso.maps.grain_size",
    "group_frames": "lliso.maps.stacks",
    "haven_ratio": "lliso.fit.transport",
    "image_on_map": "lliso.maps.overlay",
    "Instrument": "lliso.maps.synthetic",
    "invert_map": "lliso.fit.whole_map",
    "isotope_fraction": "lliso.maps.fraction",
    "line_profile": "lliso.maps.cuts",
    "LineCut": "lliso.maps.cuts",
    "LlisoWarning": "lliso.errors",
    "make_map": "lliso.schema",
    "measure_drift": "lliso.maps.drift",
    "move_traces": "lliso.maps.overlay",
    "nernst_einstein": "lliso.fit.transport",
    "normalise_for_display": "lliso.maps.corrections",
    "open_stack": "lliso.maps.stacks",
    "pick_boundaries": "lliso.apps.boundaries",
    "Picks": "lliso.maps.picks",
    "picks_from_network": "lliso.maps.grains",
    "PicksMismatch": "lliso.errors",
    "population_permeability": "lliso.fit.population",
    "quench_check": "lliso.fit.transport",
    "read_conductivities": "lliso.io.tables",
    "read_cuts": "lliso.io",
    "read_depth_profile": "lliso.io",
    "read_ebsd": "lliso.io.ebsd",
    "read_impedance": "lliso.io.impedance_text",
    "read_literature": "lliso.io.tables",
    "read_map": "lliso.io",
    "read_profile": "lliso.io",
    "readable_table": "lliso.fit.words",
    "Reference": "lliso.maps.calibration",
    "refine_on_edges": "lliso.maps.image_edges",
    "register_image": "lliso.apps.registration",
    "segment_grains": "lliso.maps.segment",
    "simulate_maps": "lliso.maps.synthetic",
    "Specimen": "lliso.maps.synthetic",
    "sum_frames": "lliso.maps.fraction",
    "sum_stack": "lliso.maps.stacks",
    "table_frame": "lliso.fit.table",
    "trace_crossings": "lliso.maps.overlay",
    "true_permeability": "lliso.maps.truth",
    "write_cuts": "lliso.io",
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

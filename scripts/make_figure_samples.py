"""Remake the simulated data of the published figures: ``python scripts/make_figure_samples.py``.

Fig. 3 uses the maps of ``make_samples.py``; here come the microscope image of the same place, the
long-range profiles of Fig. 4 and the temperature series of Fig. 5. Seeds were chosen before any
fit was made with the results, and stay.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lliso.maps.synthetic import Specimen, solve_specimen
from lliso.maps.synthetic_images import simulate_micrograph
from lliso.maps.synthetic_profiles import (
    LineAnalysis,
    TransportLaw,
    simulate_arrhenius,
    simulate_line_analysis,
)

if TYPE_CHECKING:
    import xarray as xr

#: of the maps in make_samples.py: the image shows the same grains
MAP_SEED = 20241
#: 110 h, 2 and 6 weeks at 22 °C; the meniscus stands 0.26 mm above the nominal level
FIG4A, FIG4A_SEED = (
    LineAnalysis(
        d_exchange=3.0e-9,
        exchange="110 h",
        stages=((3.0e-9, 14 * 86400.0), (3.0e-9, 28 * 86400.0)),
        level=260.0,
    ),
    20242,
)
#: 63 h at 22 °C, then 3.8 h at 200 °C
FIG4B, FIG4B_SEED = (
    LineAnalysis(d_exchange=3.0e-9, exchange="63 h", stages=((6.6e-7, 3.8 * 3600.0),)),
    20243,
)
CELSIUS, FIG5_SEED = (22, 50, 100, 150, 200, 250, 300, 350, 400), 20244


def datasets() -> dict[str, xr.Dataset]:
    """Everything that is written, by the file's name."""
    out = {"simulated_llto_micrograph": simulate_micrograph(solve_specimen(Specimen(), MAP_SEED))}
    for figure, line, seed in (("fig4a", FIG4A, FIG4A_SEED), ("fig4b", FIG4B, FIG4B_SEED)):
        profiles, truth = simulate_line_analysis(line, seed)
        for profile in profiles:
            stage = str(profile.attrs["stage"]).replace(" ", "_")
            out[f"simulated_{figure}_{stage}"] = profile
        out[f"simulated_{figure}_truth"] = truth
    measured, truth = simulate_arrhenius(
        TransportLaw(), 273.15 + np.array(CELSIUS, dtype=float), FIG5_SEED
    )
    return out | {"simulated_fig5": measured, "simulated_fig5_truth": truth}


def main(folder: Path) -> None:
    """Write the files into `folder`."""
    for name, ds in datasets().items():
        path = folder / f"{name}.nc"
        packed = {v: {"zlib": True, "complevel": 9} for v in ds.data_vars if ds[v].size > 1000}
        ds.to_netcdf(path, engine="h5netcdf", encoding=packed)
        print(f"{path}: {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    default = Path(__file__).resolve().parent.parent / "data" / "samples"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else default)

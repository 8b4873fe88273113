"""Remake the simulated samples of data/samples: ``python scripts/make_samples.py [FOLDER]``.

The seed was chosen before any fit was made with the result, and stays.
"""

from __future__ import annotations

import sys
from pathlib import Path

from lliso.maps.synthetic import Instrument, Specimen, simulate_maps
from lliso.maps.synthetic_truth import write_experiment

SEED = 20241
SPECIMEN = Specimen()
INSTRUMENT = Instrument()
NAME = "simulated_llto"


def main(folder: Path) -> None:
    """Simulate the sample and write its three files into `folder`."""
    maps, truth = simulate_maps(SPECIMEN, INSTRUMENT, SEED, progress=print)
    for path in write_experiment(maps, truth, folder, NAME):
        print(f"{path}: {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    default = Path(__file__).resolve().parent.parent / "data" / "samples"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else default)

"""``lliso simulate``: experiments with known truth, from the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse


#: options of ``lliso simulate`` by the value they belong to: field, how to read it, help
_OPTIONS: dict[str, dict[str, tuple[str, dict[str, Any], str]]] = {
    "Specimen": {
        "grain-mean": ("grain_mean", {}, 'mean grain diameter (default: "16 um")'),
        "grain-spread": ("grain_spread", {}, 'its standard deviation ("11 um")'),
        "elongation": ("elongation", {"type": float}, "extent along y over that along x (1)"),
        "clustering": ("clustering", {"type": float}, "grains of one size lie together, 0-1 (0)"),
        "d-bulk": ("d_bulk", {}, 'D inside the grains ("2.6e-8 cm^2/s")'),
        "d-spread": ("d_spread", {"type": float}, "standard deviation of ln D between grains (0)"),
        "permeability": ("permeability_median", {}, 'median of D_gb/delta ("1.2e-6 cm/s")'),
        "permeability-spread": ("permeability_sigma", {"type": float}, "that of ln P (0.5)"),
        "exchange": ("exchange", {}, 'duration of the exchange ("59 h")'),
        "storage": ("storage", {}, 'duration of the storage after it ("16 d"; "0 d" for none)'),
        "box": ("box", {"type": float, "nargs": 4}, "specimen x0 y0 x1 y1 in um; immersed: y <= 0"),
        "window": ("window", {"type": float, "nargs": 4}, "field of view x0 y0 x1 y1 in um"),
        "mesh-fine": ("mesh_fine", {}, 'element size in the field of view ("1.5 um")'),
        "mesh-coarse": ("mesh_coarse", {}, 'element size far from it ("5 um")'),
    },
    "Instrument": {
        "counts": ("counts", {"type": float}, "mean counts of a pixel (3000), of a point (50000)"),
        "pixels": ("pixels", {"type": int, "nargs": 2}, "pixels along x and y (512 206)"),
        "resolution": ("psf_fwhm", {}, 'FWHM of the beam ("1 um")'),
        "yield-spread": ("yield_spread", {"type": float}, "that of ln yield of grains (0.1)"),
        "topography": ("topography", {"type": float}, "that of intensity by topography (0.05)"),
    },
    "Artefacts": {
        "shots": ("shots", {"type": int}, "shots a pixel of a single-stop detector (no dead time)"),
        "background": ("background", {"type": float, "nargs": 2}, "counts a pixel, mass 6 and 7"),
        "hydride": ("hydride", {"type": float}, "share of 6Li counted as 6LiH on mass 7"),
        "mass-fractionation": ("mass_fractionation", {"type": float}, "measured over true ratio"),
        "frames": ("frames", {"type": int}, "frames that the counts are divided among"),
        "drift": ("drift", {}, 'distance the specimen moves meanwhile ("5 um")'),
        "current-decay": ("current_decay", {"type": float}, "ln of first over last beam current"),
        "groove-depth": ("groove_depth", {"type": float}, "loss of intensity at boundaries, 0-1"),
        "groove-width": ("groove_width", {}, 'its 1/e half width ("1 um")'),
    },
    "Cooling": {
        "imaging-temperature": ("temperature", {}, 'let D go on in the cold ("-110 degC")'),
        "imaging-time": ("duration", {}, 'from the quench to the middle of imaging ("6 h")'),
        "bulk-energy": ("bulk_energy", {}, 'activation energy of D ("0.33 eV")'),
        "boundary-energy": ("boundary_energy", {}, 'activation energy of P ("0.43 eV")'),
    },
    "profile or arrhenius": {
        "d-eff": ("d_exchange", {}, 'D_eff during the exchange of a profile ("8e-9 cm^2/s")'),
        "temperatures": ("temperatures", {"nargs": "+"}, 'of an Arrhenius set ("22 degC" ...)'),
    },
}
#: what can be said about things that are no maps
_ELSEWHERE = {"profile": {"exchange", "counts", "d-eff"}, "arrhenius": {"temperatures"}}


def add_simulate(commands: Any) -> None:
    """Add the command and its options to the parser's commands."""
    simulate = commands.add_parser(
        "simulate",
        help="simulate an experiment, with the truth beside it",
        description="Without options: the experiment of data/samples with another seed.",
    )
    simulate.add_argument("-o", "--out", required=True, metavar="DIR")
    simulate.add_argument("--name", default="simulated", help="first part of the file names")
    simulate.add_argument("--seed", type=int, default=1, help="everything random follows (1)")
    simulate.add_argument(
        "--what",
        choices=("maps", "surface", *_ELSEWHERE),
        default="maps",
        help="maps (default), maps of a surface with inclined boundaries (quasi-steady), a "
        "long-range profile, D and conductivity against temperature",
    )
    simulate.add_argument("--labels", metavar="IMAGE", help="grains of the view, .npy or .tif")
    simulate.add_argument("--micrograph", action="store_true", help="and an image of the surface")
    simulate.add_argument("--references", action="store_true", help="and areas of known fraction")
    for kind, options in _OPTIONS.items():
        group = simulate.add_argument_group(kind.lower())
        for option, (_, reading, text) in options.items():
            group.add_argument(f"--{option}", help=text, **reading)
    simulate.set_defaults(run=_simulate)


def _given(args: argparse.Namespace, kind: str) -> dict[str, Any]:
    """Fields of one value that the person has set."""
    values = {f: getattr(args, o.replace("-", "_")) for o, (f, _, _) in _OPTIONS[kind].items()}
    return {
        field: tuple(v) if isinstance(v, list) else v
        for field, v in values.items()
        if v is not None
    }


def _simulate(args: argparse.Namespace) -> None:
    from lliso.maps.synthetic_truth import write_simulated

    _check_options(args)
    if args.what in ("maps", "surface"):
        _simulate_maps(args)
        return
    from lliso.maps.synthetic_profiles import (
        LineAnalysis,
        TransportLaw,
        simulate_arrhenius,
        simulate_line_analysis,
    )
    from lliso.units import TEMPERATURE, parse_quantity

    out = Path(args.out)
    if args.what == "profile":
        wanted = {"exchange": args.exchange, "counts": args.counts, "d_exchange": args.d_eff}
        line = LineAnalysis(**{k: v for k, v in wanted.items() if v is not None})
        profiles, truth = simulate_line_analysis(line, args.seed)
        written = {str(p.attrs["stage"]).replace(" ", "_"): p for p in profiles}
    else:
        typed = args.temperatures or ["22 degC", "100 degC", "200 degC", "300 degC", "400 degC"]
        kelvin = [parse_quantity(t, TEMPERATURE, "--temperatures") for t in typed]
        measured, truth = simulate_arrhenius(TransportLaw(), kelvin, args.seed)
        written = {"measured": measured}
    out.mkdir(parents=True, exist_ok=True)
    for part, ds in (written | {"truth": truth}).items():
        path = out / f"{args.name}_{part}.nc"
        write_simulated(ds, path, leave_out=())
        print(f"wrote {path}")


def _check_options(args: argparse.Namespace) -> None:
    """Refuse what would be silently without effect."""
    allowed = _ELSEWHERE.get(args.what)
    for kind, options in _OPTIONS.items():
        for option in options:
            here = option in allowed if allowed is not None else kind != "profile or arrhenius"
            if getattr(args, option.replace("-", "_")) is not None and not here:
                raise ValueError(f"--{option} must not be given with --what {args.what}")
    for option in ("labels", "micrograph", "references"):
        if getattr(args, option) and (args.what != "maps"):
            raise ValueError(f"--{option} must not be given with --what {args.what}")


def _simulate_maps(args: argparse.Namespace) -> None:
    from lliso.io import write_map
    from lliso.maps.synthetic import Artefacts, Cooling, Instrument, Specimen, simulate_maps
    from lliso.maps.synthetic_images import simulate_micrograph, simulate_references
    from lliso.maps.synthetic_truth import write_experiment, write_simulated

    specimen = Specimen(**_given(args, "Specimen"))
    instrument = Instrument(**_given(args, "Instrument"))
    artefacts, cooling = _given(args, "Artefacts"), _given(args, "Cooling")
    effects = Artefacts(**artefacts) if artefacts else None
    solution = _solved(args, specimen)
    maps, truth = simulate_maps(
        specimen,
        instrument,
        args.seed,
        artefacts=effects,
        cooling=Cooling(**cooling) if cooling else None,
        solution=solution,
    )
    out = Path(args.out)
    files = list(write_experiment(maps, truth, out, args.name, write=write_map))
    extra = {}
    if args.micrograph:
        extra["micrograph"] = simulate_micrograph(solution)
    if args.references:
        known = [specimen.c_natural, specimen.c_source]
        extra["references"] = simulate_references(known, effects or Artefacts(), args.seed)
    for part, ds in extra.items():
        files.append(out / f"{args.name}_{part}.nc")
        write_simulated(ds, files[-1])
    for k, stage in enumerate(truth["stage"].values):
        print(
            f"{stage}, simulated: C {float(truth['fraction'][k].mean()):.3f} on average, "
            f"{truth.sizes['boundary']} boundaries in and around the view, steps up to "
            f"{float(abs(truth['step'][k]).max()):.3g}"
        )
    for path in files:
        print(f"wrote {path}")


def _solved(args: argparse.Namespace, specimen: Any) -> Any:
    """Solve the specimen: grains drawn, or those of an image, or the surface of a box."""
    from lliso.maps.synthetic import solve_specimen
    from lliso.maps.synthetic_labels import embedded_labels, solve_labels
    from lliso.maps.synthetic_surface import solve_surface

    def tell(line: str) -> None:
        print(line, file=sys.stderr)

    if args.what == "surface":
        return solve_surface(specimen, args.seed, progress=tell)
    if args.labels is None:
        return solve_specimen(specimen, args.seed, progress=tell)
    image = label_image(Path(args.labels))
    labels = embedded_labels(specimen, args.seed, image, specimen.mesh_fine)
    return solve_labels(specimen, args.seed, labels, progress=tell)


def label_image(path: Path) -> Any:
    """Read a label image: .npy, or any picture that Pillow (it comes with matplotlib) knows."""
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    if path.suffix == ".npy":
        return np.load(path)
    try:
        with Image.open(path) as picture:
            labels = np.asarray(picture)
    except UnidentifiedImageError:
        raise ValueError(
            f"--labels must be a .npy, TIFF or PNG image of grain numbers, got {path}"
        ) from None
    if labels.ndim != 2:
        raise ValueError(
            f"--labels must be an image of grain numbers, one channel, got the shape {labels.shape}"
        )
    return labels

"""Fig. 3: maps after exchange and storage, the microscope image, a line, one boundary, its D_gb.

The paper's panels are (a) and (b) the isotope fraction after 59 h of exchange and after 16 d of
storage, (c) a laser-microscope image of the same place, (d) profiles along one line at both
times, (e) gradient and step at one boundary. Panel (f) is added: what (e) says of D_gb, with its
uncertainty. The default inputs are simulated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from lliso.fit.boundaries import cut_profiles, fit_boundaries, fit_picks
from lliso.fit.boundary import BoundaryFit
from lliso.fit.patch import PatchImage
from lliso.fit.stages import fit_stages
from lliso.io import read_map
from lliso.ledger import Printed, read_ledger
from lliso.maps.cuts import DISTANCE, LineCut, line_profile
from lliso.maps.fraction import isotope_fraction
from lliso.maps.image_edges import Refined, refine_on_edges
from lliso.maps.overlay import image_on_map
from lliso.maps.picks import BoundaryPick, Picks
from lliso.maps.registration import fit_registration
from lliso.maps.segment import segment_grains
from lliso.maps.truth import true_permeability
from lliso.published import Made
from lliso.units import CM_PER_NM, parse_quantity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "maps, microscope image, profiles, gradient and step at a boundary, D_gb at both times"
INPUTS = {
    "exchange": "data/samples/simulated_llto_59h.nc",
    "storage": "data/samples/simulated_llto_59h_16d.nc",
    "image": "data/samples/simulated_llto_micrograph.nc",
    "picks": "notebooks/picks/fig3_map_and_boundaries.json",
    "ledger": "tests/published.toml",
    "truth?": "data/samples/simulated_llto_truth.nc",
}
#: lithium inside the grains, by PFG-NMR, and the thickness of a boundary, by convention
D_BULK, DELTA = "2.6e-8 cm^2/s", "0.5 nm"
#: the cut of panel d, and what the note of a boundary says that is shown in panel e
LINE, CHOSEN = "line", "panel e"
#: name in the ledger -> (stage, column of `boundary_frame`)
PRINTED = {
    "slope_59h": (0, "|dC/dn| (1/cm)"),
    "step_59h": (0, "|ΔC|"),
    "permeability_59h": (0, "P (cm/s)"),
    "d_gb_59h": (0, "D_gb (cm^2/s)"),
    "slope_16d": (1, "|dC/dn| (1/cm)"),
    "step_16d": (1, "|ΔC|"),
    "d_gb_16d": (1, "D_gb (cm^2/s)"),
}


@dataclass(frozen=True)
class Data:
    """What Fig. 3 is made from: two maps of one place, an image of it, picks; perhaps a truth."""

    maps: tuple[xr.Dataset, xr.Dataset]
    image: xr.DataArray
    picks: Picks
    truth: xr.Dataset | None = None

    @property
    def line(self) -> LineCut:
        """The line of panel d."""
        return self.picks.cut(LINE)

    @property
    def chosen(self) -> BoundaryPick:
        """The boundary of panel e: that whose note says so, else the first."""
        noted = [b for b in self.picks.boundaries if b.note == CHOSEN]
        return (noted or list(self.picks.boundaries))[0]


@dataclass(frozen=True)
class Traced:
    """The image on the map: how it was registered, its pixels there, and the grains found."""

    refined: Refined
    image: xr.DataArray
    grains: xr.Dataset


@dataclass(frozen=True)
class Measured:
    """Tables of all picked boundaries at both times and jointly, and the fits of panel e."""

    tables: tuple[xr.Dataset, xr.Dataset]
    joint: xr.Dataset
    fits: tuple[BoundaryFit, BoundaryFit]


def load(inputs: Mapping[str, Any]) -> Data:
    """Read what Fig. 3 is made from; values are paths, or the things themselves."""

    def dataset(role: str) -> xr.Dataset:
        given = inputs[role]
        return given if isinstance(given, xr.Dataset) else read_map(given)

    image, truth, picks = inputs["image"], inputs.get("truth"), inputs["picks"]
    if not isinstance(image, xr.DataArray):
        image = xr.load_dataset(image, engine="h5netcdf")["image"]
    if truth is not None and not isinstance(truth, xr.Dataset):
        truth = xr.load_dataset(truth, engine="h5netcdf")
    maps = _told_apart(dataset("exchange"), dataset("storage"))
    if truth is not None and maps[0].attrs["map_id"] not in truth.attrs["map_ids"]:
        truth = None  # the truth of another simulation
    picks = picks if isinstance(picks, Picks) else Picks.load(picks)
    return Data(maps, image, picks, truth)


def _told_apart(exchange: xr.Dataset, storage: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Name the stages of maps that do not: rows and columns of the tables are called after them."""
    names = [str(ds.attrs.get("stage", "")) for ds in (exchange, storage)]
    if names[0] and names[1] and names[0] != names[1]:
        return exchange, storage
    return exchange.assign_attrs(stage="exchange"), storage.assign_attrs(stage="storage")


def trace(data: Data) -> Traced:
    """Register the image by its landmarks, refine on the edges in C, find the grains."""
    by_hand = fit_registration(data.picks.landmarks)
    refined = refine_on_edges(by_hand, data.image, list(data.maps))
    laid = image_on_map(data.image, refined.registration, data.maps[0])
    return Traced(refined, laid, segment_grains(list(data.maps), optical=laid))


def measure(data: Data) -> Measured:
    """Fit the picked boundaries at each time by itself, and with one P for both."""
    constants: dict[str, Any] = {"d_bulk": D_BULK, "delta": DELTA}
    tables = [fit_boundaries(ds, data.picks, **constants) for ds in data.maps]
    joint = fit_stages(data.maps, data.picks, **constants)
    fits = []
    for ds in data.maps:
        found = fit_picks(PatchImage.from_map(ds), cut_profiles(ds, data.picks), data.picks)
        fits += [f for f in found if f.name == data.chosen.name]
    return Measured((tables[0], tables[1]), joint, (fits[0], fits[1]))


def profile_frame(data: Data) -> pd.DataFrame:
    """Panel d: C and its error along the line at both times, by distance (µm)."""
    columns = {}
    for ds in data.maps:
        profile = line_profile(ds, data.line)
        fraction = isotope_fraction(profile)
        at = pd.Index(profile[DISTANCE].values, name="distance (um)")
        stage = str(ds.attrs["stage"])
        columns[f"C {stage}"] = pd.Series(fraction["fraction"].values, at)
        columns[f"std {stage}"] = pd.Series(fraction["fraction_std"].values, at)
    return pd.DataFrame(columns)


def boundary_frame(data: Data, found: Measured) -> pd.DataFrame:
    """Panels e and f: step, gradient, P and D_gb of the chosen boundary, by stage and jointly."""
    at = {"boundary": data.chosen.name}
    rows = {}
    for table in found.tables:
        one = table.sel(at)
        rows[str(table.attrs["stage"])] = {
            "|ΔC|": abs(float(one["step"])),
            "its std": float(one["step_std"]),
            "|dC/dn| (1/cm)": abs(float(one["slope"])),
            "its std (1/cm)": float(one["slope_std"]),
            **_permeability(one, float(table.attrs["d_bulk_cm2_per_s"])),
        }
    joint = found.joint.sel(at)
    rows["both"] = _permeability(joint, float("nan")) | {"p that P stayed": float(joint["p_value"])}
    frame = pd.DataFrame.from_dict(rows, orient="index")
    if data.truth is not None:
        own = found.tables[0].sel(at)
        p = float(true_permeability(data.truth, own["x"].values, own["y"].values)[0])
        frame["true P (cm/s)"] = p
        number = int(np.flatnonzero(data.truth["permeability"].values.astype(float) == p)[0])
        for name, column in (("step", "true |ΔC|"), ("slope", "true |dC/dn| (1/cm)")):
            true = np.abs(data.truth[name].values[:, number].reshape(2, -1)).mean(axis=1)
            frame[column] = [*true, np.nan]
    frame.index.name = "stage"
    return frame


def _permeability(one: xr.Dataset, d_bulk: float) -> dict[str, Any]:
    """P and D_gb with their limits; the best value where there is a limit only too."""
    value = float(one["permeability"])
    if np.isnan(value) and np.isfinite(d_bulk):
        value = d_bulk * float(one["slope"]) / float(one["step"])
    to_d_gb = parse_quantity(DELTA, "nm", "delta") * CM_PER_NM
    low, high = (float(one[f"permeability_{end}"]) for end in ("low", "high"))
    return {
        "P (cm/s)": value,
        "P low (cm/s)": low,
        "P high (cm/s)": high,
        "D_gb (cm^2/s)": value * to_d_gb,
        "D_gb low (cm^2/s)": low * to_d_gb,
        "D_gb high (cm^2/s)": high * to_d_gb,
        "verdict": str(one["verdict"].values),
    }


def printed_frame(frame: pd.DataFrame, ledger: Any) -> pd.DataFrame:
    """Compare the paper's numbers for panel e with what was found here.

    Parameters
    ----------
    frame : pandas.DataFrame
        Of `boundary_frame`.
    ledger : path
        The ledger of the paper's numbers.

    Returns
    -------
    pandas.DataFrame
        By name in the ledger: ``printed``, ``here``, the 95 % interval ``low``, ``high``,
        ``printed inside`` and, with a truth, ``true`` and ``true inside``.
    """
    entries = {e.name: e for e in read_ledger(ledger)}
    rows = {}
    for name, (stage, column) in PRINTED.items():
        row = frame.iloc[stage]
        low, high = _ends(row, column)
        rows[name] = {
            "what": entries[name].what,
            "unit": entries[name].unit,
            "printed": Printed.read(entries[name].published).value,
            "here": row[column],
            "low": low,
            "high": high,
        }
        rows[name]["printed inside"] = low <= rows[name]["printed"] <= high
        true = _true(row, column)
        if np.isfinite(true):
            rows[name] |= {"true": true, "true inside": low <= true <= high}
    found = pd.DataFrame.from_dict(rows, orient="index")
    found.index.name = "number"
    return found


def _ends(row: pd.Series[Any], column: str) -> tuple[float, float]:
    if column.startswith("|"):
        std = row["its std" if column == "|ΔC|" else "its std (1/cm)"]
        return row[column] - 1.96 * std, row[column] + 1.96 * std
    name, unit = column.split(" ", 1)
    return row[f"{name} low {unit}"], row[f"{name} high {unit}"]


def _true(row: pd.Series[Any], column: str) -> float:
    if column.startswith("D_gb"):
        return float(row.get("true P (cm/s)", np.nan)) * parse_quantity(DELTA, "nm") * CM_PER_NM
    return float(row.get(f"true {column}", np.nan))


def registration_frame(traced: Traced) -> pd.DataFrame:
    """Landmarks in the image and on the map, and how far they miss before the refinement (µm)."""
    found = traced.refined.registration
    residuals = found.residuals
    return pd.DataFrame(
        {
            "image u (um)": found.image_points[:, 0],
            "image v (um)": found.image_points[:, 1],
            "map x (um)": found.map_points[:, 0],
            "map y (um)": found.map_points[:, 1],
            "miss x (um)": residuals[:, 0],
            "miss y (um)": residuals[:, 1],
            "left out, miss (um)": found.left_out,
        },
        index=pd.Index(found.names, name="landmark"),
    )


def draw(data: Data, traced: Traced, found: Measured) -> Figure:
    """Draw panels a to f."""
    from lliso.published.fig3_panels import figure_3

    return figure_3(data, traced, found, profile_frame(data), boundary_frame(data, found))


def make(inputs: Mapping[str, Any]) -> Made:
    """Make Fig. 3 and its tables from maps, image and picks (paths, or the things themselves)."""
    data = load(inputs)
    traced, found = trace(data), measure(data)
    frame = boundary_frame(data, found)
    tables = {
        "fig3_profiles": profile_frame(data),
        "fig3_boundary": frame,
        "fig3_printed": printed_frame(frame, inputs["ledger"]),
        "fig3_registration": registration_frame(traced),
    }
    refined = traced.refined
    settings = {
        "d_bulk": D_BULK,
        "delta": DELTA,
        "boundary": data.chosen.name,
        "registration": refined.registration.record(),
        "registration_std_um": refined.std,
        "simulated": int(data.maps[0].attrs.get("simulated", 0)),
    }
    return Made({"fig3": draw(data, traced, found)}, tables, settings)

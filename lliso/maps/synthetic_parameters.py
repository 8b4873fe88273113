"""What a simulated specimen and instrument are, as values that go through JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

from lliso import schema
from lliso.diffusion.transport import BOLTZMANN
from lliso.units import (
    DIFFUSION,
    ENERGY,
    LENGTH,
    PERMEABILITY,
    TEMPERATURE,
    TIME,
    parse_quantity,
)


@dataclass(frozen=True)
class Specimen:
    """Grains, transport and history of a simulated specimen.

    Parameters
    ----------
    grain_mean, grain_spread : float
        Mean and standard deviation of the lognormal grain diameter, µm.
    d_bulk : float
        D inside the grains, cm²/s.
    permeability_median, permeability_sigma : float
        Lognormal law of P = D_gb/δ: median in cm/s and standard deviation of ln P.
    c_natural, c_source : float
        Fraction of ⁶Li at the start, and of the source.
    exchange, storage : float
        Duration of the exchange and of the storage after it, s.
    box : tuple of float
        ``(x0, y0, x1, y1)`` of the specimen in µm; what has y ≤ 0 is immersed.
    window : tuple of float
        ``(x0, y0, x1, y1)`` of the field of view in µm.
    mesh_fine, mesh_coarse : float
        Element size inside and far from the field of view, µm.
    d_spread : float
        Standard deviation of ln D between grains.
    elongation : float
        Extent of the grains along y over that along x; above about 3 they are columnar.
    clustering : float
        How far grains of one size lie together, from 0 (not at all) to 1; see
        `lliso.diffusion.structures.laguerre_structure`.

    Examples
    --------
    >>> Specimen(storage="16 d").storage
    1382400.0
    """

    grain_mean: float = 16.0
    grain_spread: float = 11.0
    d_bulk: float = 2.6e-8
    permeability_median: float = 1.2e-6
    permeability_sigma: float = 0.5
    c_natural: float = 0.0759
    c_source: float = 0.95
    exchange: float = 59 * 3600.0
    storage: float = 16 * 86400.0
    box: tuple[float, float, float, float] = (-40.0, -800.0, 540.0, 2600.0)
    window: tuple[float, float, float, float] = (0.0, 300.0, 500.0, 500.0)
    mesh_fine: float = 1.5
    mesh_coarse: float = 5.0
    d_spread: float = 0.0
    elongation: float = 1.0
    clustering: float = 0.0

    def __post_init__(self) -> None:
        units = {
            "grain_mean": LENGTH,
            "grain_spread": LENGTH,
            "d_bulk": DIFFUSION,
            "permeability_median": PERMEABILITY,
            "exchange": TIME,
            "storage": TIME,
            "mesh_fine": LENGTH,
            "mesh_coarse": LENGTH,
        }
        for name, unit in units.items():
            value = parse_quantity(getattr(self, name), unit, name)
            if value < 0 or (value == 0 and name not in ("storage", "permeability_median")):
                raise ValueError(f"{name} must be positive, got {value:g} {unit}")
            object.__setattr__(self, name, value)
        if not (self.d_spread >= 0 and self.elongation > 0):
            raise ValueError(
                "d_spread must not be negative and elongation positive, got "
                f"{self.d_spread:g} and {self.elongation:g}"
            )
        for name in ("c_natural", "c_source", "clustering"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must be between 0 and 1, got {getattr(self, name):g}")
        for name in ("box", "window"):  # 20 and 20.0 are the same specimen, with the same map_id
            corners = tuple(float(v) for v in getattr(self, name))
            if len(corners) != 4:
                raise ValueError(f"{name} must be four lengths (x0, y0, x1, y1), got {corners}")
            object.__setattr__(self, name, corners)
        x0, y0, x1, y1 = self.box
        a0, b0, a1, b1 = self.window
        if not (x0 < a0 < a1 < x1 and y0 < b0 < b1 < y1 and y0 < 0 < y1):
            raise ValueError(
                "window must lie inside the box and the liquid level y = 0 too, got the window "
                f"{self.window} and the box {self.box} (um)"
            )


@dataclass(frozen=True)
class Instrument:
    """What the instrument does to the fraction.

    Parameters
    ----------
    counts : float
        Mean total counts (both isotopes) of a pixel.
    pixels : tuple of int
        Number of pixels along x and y.
    psf_fwhm : float
        Full width at half maximum of the beam, µm.
    yield_spread : float
        Standard deviation of ln yield between grains.
    topography : float
        Standard deviation of the relative intensity by topography.
    topography_length : float
        Its correlation length, µm.

    Examples
    --------
    >>> Instrument(counts=600).pixels
    (512, 206)
    """

    counts: float = 3000.0
    pixels: tuple[int, int] = (512, 206)
    psf_fwhm: float = 1.0
    yield_spread: float = 0.1
    topography: float = 0.05
    topography_length: float = 20.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "psf_fwhm", parse_quantity(self.psf_fwhm, LENGTH, "psf_fwhm"))
        object.__setattr__(self, "counts", float(self.counts))
        if not self.counts > 0:
            raise ValueError(f"counts must be positive, got {self.counts:g}")
        if min(self.pixels) < 2:
            raise ValueError(f"pixels must be at least 2 by 2, got {self.pixels}")
        for name in ("psf_fwhm", "yield_spread", "topography"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name):g}")


@dataclass(frozen=True)
class Artefacts:
    """What goes wrong between the beam and the file; the defaults are: nothing.

    Parameters
    ----------
    shots : int
        Pulses per pixel of a single-stop detector; 0 for a detector without dead time.
    background : tuple of float
        Mean counts per pixel at masses 6 and 7 that are not lithium.
    hydride : float
        Share of the ⁶Li signal that appears as ⁶LiH on mass 7.
    mass_fractionation : float
        K, measured over true ratio ⁶Li/⁷Li.
    frames : int
        Frames that the counts and shots are divided among.
    drift : float
        Distance the specimen moves during the measurement, µm.
    current_decay : float
        ln of the ratio of first to last beam current.
    groove_depth, groove_width : float
        Relative loss of intensity at boundaries, and its 1/e half width in µm.

    Examples
    --------
    >>> Artefacts(frames=20, drift=5.0).reach
    8.0
    """

    shots: int = 0
    background: tuple[float, float] = (0.0, 0.0)
    hydride: float = 0.0
    mass_fractionation: float = 1.0
    frames: int = 1
    drift: float = 0.0
    current_decay: float = 0.0
    groove_depth: float = 0.0
    groove_width: float = 1.0

    def __post_init__(self) -> None:
        for name, unit in (("drift", LENGTH), ("groove_width", LENGTH)):
            object.__setattr__(self, name, parse_quantity(getattr(self, name), unit, name))
        for name in ("shots", "hydride", "drift", "groove_depth"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name):g}")
        if min(self.background) < 0:
            raise ValueError(f"background must be two numbers, not negative, got {self.background}")
        if not (self.mass_fractionation > 0 and self.groove_width > 0 and self.frames >= 1):
            raise ValueError(
                "mass_fractionation, groove_width and frames must be positive, got "
                f"{self.mass_fractionation:g}, {self.groove_width:g}, {self.frames}"
            )
        if self.groove_depth > 1:
            raise ValueError(f"groove_depth must be at most 1, got {self.groove_depth:g}")
        if self.drift > 0 and self.frames == 1:
            raise ValueError("drift needs several frames, got 1; set frames")

    @property
    def reach(self) -> float:
        """How far beyond the field of view the specimen may come into it, µm."""
        return 1.6 * self.drift


@dataclass(frozen=True)
class Cooling:
    """Time at the imaging temperature, while diffusion inside grains goes on slowly.

    Parameters
    ----------
    temperature, reference : float
        Imaging temperature, and the one that the specimen's D and P belong to, K.
    duration : float
        Time from the quench to the middle of the measurement, s.
    bulk_energy, boundary_energy : float
        Activation energies of D and of P, eV.

    Examples
    --------
    >>> Cooling(temperature="-110 °C", duration="6 h").duration
    21600.0
    """

    temperature: float = 163.15
    duration: float = 6 * 3600.0
    bulk_energy: float = 0.33
    boundary_energy: float = 0.43
    reference: float = 295.15

    def __post_init__(self) -> None:
        units = {
            "temperature": TEMPERATURE,
            "reference": TEMPERATURE,
            "duration": TIME,
            "bulk_energy": ENERGY,
            "boundary_energy": ENERGY,
        }
        for name, unit in units.items():
            value = parse_quantity(getattr(self, name), unit, name)
            if value < 0 or (value == 0 and unit == TEMPERATURE):
                raise ValueError(f"{name} must be positive, got {value:g} {unit}")
            object.__setattr__(self, name, value)

    def factor(self, energy: float) -> float:
        """By what an activated quantity is smaller than at the reference temperature."""
        slope = energy / BOLTZMANN
        return math.exp(-slope * (1.0 / self.temperature - 1.0 / self.reference))


#: parameters that came after the first samples: left out of the text while they do nothing, so
#: that the identity of a map made before does not change
_LATER = ("d_spread", "elongation", "clustering")


def parameters_text(
    specimen: Specimen,
    instrument: Instrument,
    seed: int,
    artefacts: Artefacts | None = None,
    cooling: Cooling | None = None,
) -> str:
    """Return all parameters as sorted JSON; effects that are absent are not mentioned.

    Examples
    --------
    >>> '"seed": 7' in parameters_text(Specimen(), Instrument(), 7)
    True
    """
    content: dict[str, Any] = {
        "specimen": asdict(specimen),
        "instrument": asdict(instrument),
        "seed": seed,
    }
    for name in _LATER:
        if getattr(specimen, name) == Specimen.__dataclass_fields__[name].default:
            del content["specimen"][name]
    if artefacts is not None:
        content["artefacts"] = asdict(artefacts)
    if cooling is not None:
        content["cooling"] = asdict(cooling)
    return json.dumps(content, sort_keys=True)


def map_id_of(parameters: str, stage: str) -> str:
    """Return the ``map_id`` of a simulated map: a hash of its parameters and stage."""
    return schema.hash_of_bytes(parameters.encode(), stage.encode())


def parameters_from(text: str) -> tuple[Specimen, Instrument, int]:
    """Read back what `parameters_text` wrote.

    Examples
    --------
    >>> parameters_from(parameters_text(Specimen(), Instrument(), 7)) == (
    ...     Specimen(), Instrument(), 7)
    True
    """
    content = json.loads(text)
    return (
        Specimen(**_values(content["specimen"])),
        Instrument(**_values(content["instrument"])),
        int(content["seed"]),
    )


def effects_from(text: str) -> tuple[Artefacts | None, Cooling | None]:
    """Read back the artefacts and the cooling that `parameters_text` wrote, if any.

    Examples
    --------
    >>> text = parameters_text(Specimen(), Instrument(), 7, Artefacts(shots=1700))
    >>> effects_from(text)[0].shots
    1700
    """
    content = json.loads(text)
    return (
        Artefacts(**_values(content["artefacts"])) if "artefacts" in content else None,
        Cooling(**_values(content["cooling"])) if "cooling" in content else None,
    )


def _values(part: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in part.items()}

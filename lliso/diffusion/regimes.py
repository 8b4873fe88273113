r"""In which regime a polycrystal is, and which models hold there.

Two questions decide: is a boundary slower or faster than the grains, and how far has diffusion come
compared with a grain and with a boundary's thickness. Any consistent set of units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

#: Harrison's type A begins where l/√(Dt) is below, type B where it is above
_LONG, _SHORT = 0.4, 3.0
#: the limits of type B on α and β
_THIN, _STEEP = 0.1, 10.0
#: a share of the resistance below which a boundary cannot be seen in D_eff
_INVISIBLE = 0.05
#: fewest grain sizes within √(D_eff t) for an effective medium
_FEWEST_GRAINS = 5.0

#: why a model does not hold
REASONS = {
    "blocking": "boundaries are slower than the grains (D_gb/D_bulk = {ratio:.2g}): nothing runs "
    "ahead along them",
    "fast": "boundaries are faster than the grains (D_gb/D_bulk = {ratio:.2g}): diffusion goes "
    "along them, not only across",
    "short": "diffusion has come {reach:.2g} grain sizes far; an effective medium needs 5",
    "harrison": "the data are of Harrison type {harrison}, alpha = {alpha:.2g}, beta = {beta:.2g}; "
    "the analysis needs type B, alpha below 0.1 and beta above 10",
}


@dataclass(frozen=True)
class Regime:
    """What limits diffusion, and which models hold.

    Attributes
    ----------
    kind : str
        ``"blocking"`` (D_gb < D_bulk and boundaries make up more than 5 % of the resistance),
        ``"transparent"`` (D_gb ≤ D_bulk, but they do not show) or ``"fast"`` (D_gb > D_bulk).
    ratio : float
        D_gb/D_bulk.
    biot : float
        P l/D_bulk: resistance of a grain over that of a boundary.
    resistance_share : float
        1/(1 + biot): share of the boundaries in the resistance of the series model.
    reach : float
        √(D_eff t)/l; NaN without a time.
    alpha, beta : float
        δ/2√(Dt) and (D_gb/D − 1) δ/2√(Dt) of Harrison's and Le Claire's analysis; NaN without
        a time, and β for boundaries that are not fast.
    harrison : str
        ``"A"``, ``"B"``, ``"C"``, ``"AB"``, ``"BC"`` for fast boundaries, else ``"none"``.
    refused : dict of str to str
        Model (``series``, ``brick_layer``, ``maxwell_garnett``, ``hart``, ``fisher``) -> why it
        does not hold. What is not in it may be used.
    """

    kind: str
    ratio: float
    biot: float
    resistance_share: float
    reach: float
    alpha: float
    beta: float
    harrison: str
    refused: dict[str, str]

    def check(self, model: str) -> None:
        """Raise ValueError with the reason if `model` does not hold.

        Examples
        --------
        >>> classify(2.6e-8, 1.4e-6, 16e-4, 5e-8, 2e5).check("series")
        """
        if model in self.refused:
            raise ValueError(f"the model '{model}' must not be used here: {self.refused[model]}")


def classify(
    d_bulk: float, permeability: float, grain_size: float, delta: float, time: float = np.nan
) -> Regime:
    """Say in which regime a polycrystal is.

    Parameters
    ----------
    d_bulk, permeability, grain_size, delta : float
        D inside the grains, P = D_gb/δ, l, δ.
    time : float, optional
        Duration of the diffusion; without it what depends on time is NaN.

    Returns
    -------
    Regime

    Raises
    ------
    ValueError
        If a quantity is not positive.

    References
    ----------
    L. G. Harrison, Trans. Faraday Soc. 57 (1961) 1191; Y. Mishin and Chr. Herzig, Nanostruct.
    Mater. 6 (1995) 859 (limits of the types); A. D. Le Claire, Br. J. Appl. Phys. 14 (1963) 351.

    Examples
    --------
    >>> llto = classify(2.6e-8, 1.4e-6, 16e-4, 5e-8, 59 * 3600)  # cm, s
    >>> llto.kind, llto.harrison, sorted(llto.refused)
    ('blocking', 'none', ['fisher', 'hart'])
    >>> metal = classify(1e-15, 1e-2, 50e-4, 5e-8, 1e5)
    >>> metal.kind, metal.harrison
    ('fast', 'B')
    """
    given = {"d_bulk": d_bulk, "permeability": permeability, "grain_size": grain_size}
    for name, value in (given | {"delta": delta}).items():
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {value:g}")
    if time <= 0:
        raise ValueError(f"time must be positive, got {time:g}")
    ratio = permeability * delta / d_bulk
    biot = permeability * grain_size / d_bulk
    share = 1.0 / (1.0 + biot)
    alpha = 0.5 * delta / np.sqrt(d_bulk * time)
    if ratio > 1.0:
        kind, beta = "fast", (ratio - 1.0) * alpha
        filled = 1.0 - (grain_size / (grain_size + delta)) ** 3
        d_eff = (1.0 - filled) * d_bulk + filled * ratio * d_bulk
    else:
        kind, beta = ("blocking" if share > _INVISIBLE else "transparent"), np.nan
        d_eff = d_bulk * biot / (1.0 + biot)
    harrison = _type(grain_size / np.sqrt(d_bulk * time), alpha) if kind == "fast" else "none"
    found: dict[str, Any] = {
        "ratio": ratio,
        "reach": float(np.sqrt(d_eff * time) / grain_size),
        "alpha": float(alpha),
        "beta": float(beta),
        "harrison": harrison,
    }
    refused = _refused(kind, found)
    return Regime(kind=kind, biot=biot, resistance_share=share, refused=refused, **found)


def _type(grains: float, alpha: float) -> str:
    """Harrison's type from l/√(Dt) and α."""
    if not np.isfinite(grains):
        return "none"
    if alpha > 1.0:
        return "C"
    if grains < _LONG:
        return "A"
    if grains < _SHORT:
        return "AB"
    return "B" if alpha < _THIN else "BC"


def _refused(kind: str, found: dict[str, Any]) -> dict[str, str]:
    out = {}
    because = {name: text.format(**found) for name, text in REASONS.items()}
    if kind == "fast":
        out["series"] = because["fast"]
        typed = found["harrison"] == "B" and found["beta"] > _STEEP
        if found["harrison"] != "none" and not typed:
            out["fisher"] = because["harrison"]
    else:
        out["hart"] = out["fisher"] = because["blocking"]
    if found["reach"] < _FEWEST_GRAINS:
        for model in ("series", "brick_layer", "maxwell_garnett", "hart"):
            out.setdefault(model, because["short"])
    return out

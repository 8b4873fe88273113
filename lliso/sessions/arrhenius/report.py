"""What a person takes away from the Arrhenius app: figure, table, the lines that repeat it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.fit.arrhenius_choices import ArrheniusChoices, Laws, haven_at, haven_points, used_points
from lliso.fit.arrhenius_series import Series

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure


def arrhenius_code(series: Mapping[str, Series], choices: ArrheniusChoices, laws: Laws) -> str:
    """Return the lines of lliso that give the laws, with the points that are used."""
    shown = list(laws.fits)
    needed = [n for n in shown if series[n].parents is None]
    needed += [p for n in shown for p in series[n].parents or () if p not in needed]
    lines = ["import lliso", "", "series = {  # temperature (K), value, std: the points in use"]
    for name in dict.fromkeys(needed):
        keep = used_points(series, choices, name)
        one = series[name]
        columns = [one.temperature[keep], one.value[keep]]
        columns += [] if one.std is None else [one.std[keep]]
        lines.append(f"    {name!r}: (")
        lines += [f"        [{', '.join(f'{v:.9g}' for v in c)}]," for c in columns]
        lines.append("    ),")
    lines += ["}", "laws = {"]
    for name in shown:
        if series[name].parents is None:
            unit = series[name].unit
            more = f", unit={unit!r}" if unit != "cm2/s" else ""
            lines.append(f"    {name!r}: lliso.fit_arrhenius(*series[{name!r}]{more}),")
    lines.append("}")
    for name in shown:
        lines += _boundary(series, choices, name)
    measured = [n for n in shown if series[n].parents is None]
    if laws.shared is not None:
        lines.append(f"both = lliso.fit_arrhenius_shared({{n: series[n] for n in {measured}}})")
        lines.append("laws |= both.fits")
    lines.append("for name, law in laws.items():")
    lines.append(
        f"    print(name, law.energy, law.energy_std, law.predict({choices.at!r}).value.item())"
    )
    if laws.haven is not None:
        two = choices.tracer, choices.charge
        if laws.shared is not None and set(two) <= set(laws.shared.names):
            lines.append(f"print(both.prefactor_ratio({two[0]!r}, {two[1]!r}))  # Haven ratio")
        else:
            pair = f"laws[{two[0]!r}], laws[{two[1]!r}]"
            lines.append(f"print(lliso.haven_ratio({pair}, {choices.at!r}))")
    return "\n".join([*lines, ""])


def _boundary(series: Mapping[str, Series], choices: ArrheniusChoices, name: str) -> list[str]:
    parents = series[name].parents
    if parents is None:
        return []
    keep = used_points(series, choices, name)
    total, bulk = (series[p] for p in parents)
    columns: list[Any] = [total.temperature, total.value, bulk.value, total.std, bulk.std]
    lines = [f"laws[{name!r}] = lliso.fit_boundary_law(  # of {parents[0]} and {parents[1]}"]
    lines += [f"    [{', '.join(f'{v:.9g}' for v in np.asarray(c)[keep])}]," for c in columns]
    return [*lines, ")"]


def arrhenius_csv(series: Mapping[str, Series], choices: ArrheniusChoices, laws: Laws) -> str:
    """Return the laws as CSV."""
    import pandas as pd

    rows = []
    for name, fit in laws.fits.items():
        at = fit.predict(choices.at)
        rows.append(
            {
                "series": name,
                "unit": series[name].unit,
                "energy_eV": fit.energy,
                "energy_std_eV": fit.energy_std,
                "log_prefactor": fit.log_prefactor,
                "log_prefactor_std": fit.log_prefactor_std,
                "at_K": choices.at,
                **{k: float(at[k][0]) for k in ("value", "low", "high")},
                "chi2_red": fit.chi2_reduced,
                "curvature_p": fit.curvature_p,
                "n_points": int(used_points(series, choices, name).sum()),
                "flags": " ".join(fit.flags),
            }
        )
    if laws.haven is not None:
        rows.append(
            {
                "series": f"Haven ratio {choices.tracer}/{choices.charge}",
                "unit": "1",
                "energy_eV": laws.haven.energy_difference,
                "energy_std_eV": laws.haven.energy_difference_std,
                "at_K": choices.at,
                "value": float(laws.haven.ratio),
                "low": float(laws.haven.ratio - laws.haven.ratio_std),
                "high": float(laws.haven.ratio + laws.haven.ratio_std),
                "flags": "low_and_high_are_one_standard_error",
            }
        )
    text = pd.DataFrame(rows).to_csv(index=False, float_format="%.8g", lineterminator="\n")
    return str(text)


def _measured(series: Mapping[str, Series], choices: ArrheniusChoices) -> xr.Dataset | None:
    """Return the Haven ratio where both series are measured."""
    import xarray as xr

    t, ratio, std = haven_points(series, choices)
    if t.size == 0:
        return None
    along = {"ratio": ("temperature", ratio), "ratio_std": ("temperature", std)}
    return xr.Dataset(along, {"temperature": t})


def arrhenius_figure(
    series: Mapping[str, Series],
    choices: ArrheniusChoices,
    laws: Laws,
    width: float,
    height: float,
) -> Figure:
    """Draw the plot, and beside it the Haven ratio if it is shown, at a size in inches."""
    from lliso.plot import figure, style
    from lliso.plot.styling import PALETTE
    from lliso.plot.transport import draw_arrhenius, draw_haven_ratio

    pair = laws.haven is not None
    options = {"width_ratios": [1.5, 1]} if pair else {}
    fig, axes = figure(width, height, ncols=2 if pair else 1, **options)
    ax = np.atleast_1d(axes)[0]
    reach = (
        min(choices.at, *(float(s.temperature.min()) for s in series.values())),
        max(choices.at, *(float(s.temperature.max()) for s in series.values())),
    )
    with style():
        for i, (name, one) in enumerate(series.items()):
            if name in choices.hidden:
                continue
            used, color = used_points(series, choices, name), PALETTE[i % len(PALETTE)]
            marker = "o" if one.parents is None else "D"
            for part, label in ((used, name), (~used, "")):
                if not np.isfinite(one.value[part]).any():
                    continue
                draw_arrhenius(
                    ax,
                    one.temperature[part],
                    one.value[part],
                    None if one.std is None else one.std[part],
                    fit=laws.fits.get(name) if label else None,
                    reach=reach,
                    label=label,
                    color=color,
                    marker=marker,
                    filled=bool(label),
                )
        ax.legend()
        if pair:
            t = np.linspace(*reach, 60)
            law = haven_at(laws.fits, laws.shared, choices, t)
            draw_haven_ratio(
                axes[1],
                _measured(series, choices),
                law,
                label=f"{choices.tracer} / {choices.charge}",
            )
    return fig

"""What a person takes away from the profile app: figure, table, the lines that repeat it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lliso.fit.parameters import FREE
from lliso.fit.profile_choices import FITTED, Call, ProfileChoices, SampleProfiles, calls_of
from lliso.fit.profile_curves import fitted_curve
from lliso.sessions.reading import HELD, read_profile_line

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

_DENSE = 400


def profile_code(sample: SampleProfiles, choices: ProfileChoices) -> str:
    """Return the lines of lliso that give the result of choices."""
    calls = calls_of(sample, choices)
    used = dict.fromkeys(s for call in calls for s in call.stages)
    names = {s: _variable(s, i) for i, s in enumerate(sample.stages)}
    lines = ["import lliso", ""]
    for stage in used:
        ds = sample.profiles[stage]
        held = f"app.session.sample.profiles[{stage!r}]  # {HELD}"
        lines.append(f"{names[stage]} = {read_profile_line(ds) or held}  # {stage}")
        off = [x for s, x in choices.excluded if s == stage]
        if off:
            dim = next(str(d) for d in ds["counts" if "counts" in ds else "fraction"].dims
                       if d != "species")  # fmt: skip
            lines.append(f"{names[stage]} = {names[stage]}.drop_sel({dim}={off})")
    lines.append("")
    for i, call in enumerate(calls):
        last = i == len(calls) - 1
        lines.append(_call("result" if last else "start", call, names))
    return "\n".join(
        [*lines, 'print(result[["value", "stderr", "low", "high"]].to_dataframe())', ""]
    )


def _call(target: str, call: Call, names: dict[str, str]) -> str:
    data = [names[s] for s in call.stages]
    if call.function == "fit_sample":
        parts = [f"[{', '.join(data)}]"]
    elif call.function == "fit_anneal":
        parts = [data[0], f"start={data[1] if len(data) > 1 else 'start'}"]
    else:
        parts = data
    parts += [f"{k}={_literal(v)}" for k, v in call.options.items()]
    one = f"{target} = lliso.{call.function}({', '.join(parts)})"
    if len(one) <= 96:
        return one
    return "\n".join([f"{target} = lliso.{call.function}(", *[f"    {p}," for p in parts], ")"])


def _literal(value: Any) -> str:
    return '"free"' if value == FREE else repr(value).replace("'", '"')


def _variable(stage: str, number: int) -> str:
    name = "".join(c if c.isalnum() and c.isascii() else "_" for c in stage).strip("_").lower()
    return name if name.isidentifier() else f"profile_{number}"


def profile_csv(found: xr.Dataset) -> str:
    """Return the parameters of a result as CSV, and what is said of the whole."""
    import pandas as pd

    frame = found[["value", "stderr", "low", "high"]].to_dataframe().reset_index()
    frame = frame[["param", "unit", "fixed", "value", "stderr", "low", "high"]]
    missing = float("nan")
    rows: list[list[Any]] = []
    whole = {"chi2_red": "1", "p_value": "1", "local_spread": "1"}
    for name, unit in whole.items():
        rows.append([name, unit, False, float(found[name]), missing, missing, missing])
    if "li6_change" in found:
        for stage in found["profile"].values:
            both = (found[n].sel(profile=stage) for n in ("li6_change", "li6_change_stderr"))
            change, error = map(float, both)
            rows.append([f"li6_change[{stage}]", "1", False, change, error, missing, missing])
    frame = pd.concat([frame, pd.DataFrame(rows, columns=frame.columns)], ignore_index=True)
    frame["flags"] = str(found["flags"].item())
    return str(frame.to_csv(index=False, float_format="%.6g", lineterminator="\n"))


def shown_curve(
    sample: SampleProfiles, choices: ProfileChoices, found: xr.Dataset, stage: str
) -> tuple[Any, Any]:
    """Return the curve of a stage as it is drawn: smooth, or joined where only points are known."""
    mine = found["of_profile"].values == stage
    number = 1 if choices.model == FITTED else sample.stages.index(stage)
    x = found["position"].values[mine]
    dense = np.linspace(x[0], x[-1], _DENSE)
    y = fitted_curve(found, number, dense)
    return (x, found["curve"].values[mine]) if y is None else (dense, y)


def profile_figure(
    sample: SampleProfiles,
    choices: ProfileChoices,
    found: xr.Dataset,
    width: float,
    height: float,
) -> Figure:
    """Draw profiles, fit and residuals, at a size in inches."""
    from lliso.plot import figure, style
    from lliso.plot.long_range import draw_long_range
    from lliso.plot.styling import PALETTE

    fig, (top, bottom) = figure(width, height, nrows=2, height_ratios=[3, 1], sharex=True)
    with style():
        for i, stage in enumerate(sample.stages):
            mine = found.isel(point=(found["of_profile"] == stage).values)
            if mine.sizes["point"] == 0:
                continue
            data = mine[["position", "fraction", "fraction_std"]].assign(model=mine["curve"])
            artists = draw_long_range(
                top, data, residuals=bottom, label=stage, color=PALETTE[i % len(PALETTE)]
            )
            x, y = shown_curve(sample, choices, found, stage)
            artists[1].set_data(np.asarray(x) / 1e3, y)  # smooth between the points
            off = [c for s, c in choices.excluded if s == stage]
            if off:
                profile, coordinates = sample.points(stage)
                at = np.isin(coordinates, off)
                top.plot(
                    profile.position[at] / 1e3,
                    profile.fraction[at],
                    "x",
                    ms=3,
                    mew=0.6,
                    color=PALETTE[i % len(PALETTE)],
                    alpha=0.6,
                )
        values = {str(p): float(v) for p, v in found["value"].to_series().items()}
        if "x0" in values:
            top.axvline(values["x0"] / 1e3, color="0.5", lw=0.6, ls="--", zorder=1)
        top.set_xlabel("")
        top.legend()
    return fig

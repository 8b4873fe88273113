"""What a person takes away from the registration app: figure, table, the lines that repeat it."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import numpy as np

from lliso.sessions.reading import map_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lliso.maps.registration import Registration
    from lliso.sessions.registration.session import RegistrationSession

#: what each flag of a registration means
FLAGS = {
    "no_redundancy": "no more landmarks than needed: the residuals say nothing",
    "mirrored": "the image must be flipped to fit",
    "uneven_scale": "x and y differ in scale by over 5 %: mostly a wrong landmark",
}


def in_words(flags: tuple[str, ...]) -> str:
    """Return flags as a person reads them."""
    said = []
    for flag in flags:
        name = flag.removeprefix("outlier:")
        said.append(FLAGS.get(flag, f"the others contradict landmark {name}"))
    return "; ".join(said)


def summary(found: Registration) -> str:
    """Return scale, rotation and scatter in a line."""
    spread = "" if np.isnan(found.point_std) else f" · landmarks ± {found.point_std:.2f} µm"
    return f"scale {found.scale:.4f} · turned {found.rotation:.2f}°{spread}"


def registration_csv(session: RegistrationSession) -> str:
    """Return the landmarks with residuals and left-out distances, µm."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    heads = (
        "landmark,map_x_um,map_y_um,image_u_um,image_v_um,residual_x_um,residual_y_um,left_out_um"
    )
    writer.writerow([*heads.split(","), "note"])
    found = session.fitted
    for k, mark in enumerate(session.picks.landmarks):
        rest = ["", "", ""] if found is None else [*found.residuals[k], found.left_out[k]]
        wrong = found is not None and f"outlier:{mark.name}" in found.flags
        note = "outlier" if wrong else ""
        writer.writerow([mark.name, *mark.map_point, *mark.image_point, *rest, note])
    return stream.getvalue()


def registration_code(session: RegistrationSession) -> str:
    """Return the lines of lliso that give the registration and the image on the map."""
    ds, state = session.ds, session.state
    file = "picks.json" if session.path is None else str(session.path)
    lines = ["import lliso", "", map_line("ds", ds)]
    lines.append("image = app.session.grey  # as it was given to register_image: (v, u) in µm")
    if session.path is None:
        lines.append("app.picks.save('picks.json')  # no file was given")
    lines.append(f"picks = lliso.Picks.load({file!r})")
    lines.append(f"registration = lliso.fit_registration(picks.landmarks, kind={state.kind!r})")
    if state.refined is not None:
        lines.append(
            "registration = lliso.refine_on_edges("
            f"registration, image, ds, lines={state.lines!r}).registration"
        )
    lines.append("on_map = lliso.image_on_map(image, registration, ds)")
    return "\n".join([*lines, ""])


def registration_figure(session: RegistrationSession, width: float, height: float) -> Figure:
    """Draw map and image with the landmarks, at a size in inches."""
    from lliso.maps.overlay import image_on_map
    from lliso.plot import draw_map, draw_scale_bar, figure, style

    fig, (top, bottom) = figure(width, height, nrows=2)
    grey, marks = session.grey, session.picks.landmarks
    low, high = np.nanpercentile(grey.values, [1, 99])
    ends = {"cmap": "gray", "vmin": low, "vmax": high, "origin": "lower"}
    with style():
        draw_map(top, session.ds)
        x0, x1, y0, y1 = session.extents["map"]
        found = session.registration
        if found is not None and session.state.overlay:
            laid = image_on_map(grey, found, session.ds)
            reach = session.swipe_at
            shown = np.where(laid["x"].values[None, :] <= reach, laid.values, np.nan)
            top.imshow(shown, extent=(x0, x1, y0, y1), alpha=session.state.opacity, **ends)
        bottom.imshow(grey.values, extent=session.extents["image"], **ends)
        bottom.set(xlabel="u (µm)", ylabel="v (µm)", title="image")
        u0, u1, _, _ = session.extents["image"]
        draw_scale_bar(bottom, u1 - u0)
        for ax, side in ((top, "map_point"), (bottom, "image_point")):
            for mark in marks:
                at = getattr(mark, side)
                ax.plot(*at, "o", ms=4, mfc="none", mec="#d55e00", mew=1.0)
                ax.annotate(
                    mark.name,
                    at,
                    xytext=(4, 3),
                    textcoords="offset points",
                    color="#d55e00",
                    fontsize=7,
                )
        arrows = session.arrows()
        if arrows is not None:
            start, end, factor = arrows
            top.quiver(
                *start.T,
                *(end - start).T,
                angles="xy",
                scale_units="xy",
                scale=1,
                color="#d55e00",
                width=0.004,
            )
            top.set_title(f"{top.get_title()}  (residuals × {factor:g})", size=8)
    return fig

"""Draw docs/images/registration.png from the simulated samples.

A micrograph with landmarks, the map with the micrograph's lines laid on by the landmarks alone and
after refinement on the edges in C, and the grains that both together give.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import xarray as xr

import lliso

mpl.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "data" / "samples"
#: the landmarks of docs/registration.md, µm: simulated, with 1.5 µm of error
ON_IMAGE = [(60, 330), (440, 325), (420, 470), (75, 480), (250, 400)]
ON_MAP = [(55.0, 341.7), (446.1, 347.4), (417.1, 493.7), (66.6, 495.5), (245.5, 418.5)]
ZOOM = (398.0, 443.0, 399.0, 431.0)


def traced(image: xr.DataArray) -> np.ndarray:
    """Where the image is dark, 0 to 1, after its lighting is taken out."""
    from scipy.ndimage import gaussian_filter

    grey = np.nan_to_num(image.values, nan=float(np.nanmean(image.values)))
    dark = gaussian_filter(grey, 12) - gaussian_filter(grey, 0.7)
    return np.clip(dark / np.quantile(dark, 0.985), 0, 1)


def main() -> None:
    """Write the figure."""
    maps = [lliso.read_map(SAMPLES / f"simulated_llto_{s}.nc") for s in ("59h", "59h_16d")]
    picture = xr.open_dataset(SAMPLES / "simulated_llto_micrograph.nc")["image"]
    by_hand = lliso.fit_registration(ON_MAP, ON_IMAGE)
    refined = lliso.refine_on_edges(by_hand, picture, maps)
    fraction = lliso.isotope_fraction(maps[0]).fraction
    figure, axes = plt.subplot_mosaic(
        [["image", "image", "grains", "grains"], ["before", "before", "after", "after"]],
        figsize=(11, 7.4),
        layout="constrained",
        height_ratios=(1, 1.75),
    )
    ax = axes["image"]
    ax.imshow(picture, cmap="gray", extent=_extent(picture, "u", "v"), origin="lower")
    for k, (u, v) in enumerate(ON_IMAGE, start=1):
        ax.plot(u, v, "o", mfc="none", mec="#ff5a1f", mew=2, ms=10)
        ax.annotate(str(k), (u, v), (9, -14), textcoords="offset points", color="#ff5a1f", size=12)
    ax.set(title="Micrograph in its own µm, with landmarks", xlabel="u / µm", ylabel="v / µm")
    x0, x1, y0, y1 = ZOOM
    part = fraction.sel(x=slice(x0, x1), y=slice(y0, y1))
    slope = part.mean("x").polyfit("y", 1)
    flat = part - xr.polyval(part.y, slope.polyfit_coefficients)
    limit = float(np.quantile(np.abs(flat), 0.98))
    for name, title, registration in (
        ("before", f"By the landmarks: each ± {by_hand.point_std:.1f} µm", by_hand),
        ("after", f"Refined on the edges in C: ± {refined.std:.2f} µm", refined.registration),
    ):
        ax = axes[name]
        shown = ax.imshow(
            flat,
            cmap="RdBu_r",
            vmin=-limit,
            vmax=limit,
            extent=_extent(flat, "x", "y"),
            origin="lower",
        )
        laid = lliso.image_on_map(picture, registration, maps[0], pixel=0.4)
        laid = laid.sel(x=slice(x0, x1), y=slice(y0, y1))
        ink = np.zeros((*laid.shape, 4))
        ink[..., 3] = traced(laid)
        ax.imshow(ink, extent=_extent(laid, "x", "y"), origin="lower")
        ax.set(title=title, xlabel="x / µm", ylabel="y / µm", xlim=(x0, x1), ylim=(y0, y1))
    figure.colorbar(shown, ax=axes["after"], label="C less its mean gradient", shrink=0.8)
    on_map = lliso.image_on_map(picture, refined.registration, maps[0])
    grains = lliso.segment_grains(maps, optical=on_map)
    ax = axes["grains"]
    ax.imshow(fraction, cmap="viridis", extent=_extent(fraction, "x", "y"), origin="lower")
    label = grains.label.values
    edge = np.zeros(label.shape, dtype=bool)
    edge[1:] |= label[1:] != label[:-1]
    edge[:, 1:] |= label[:, 1:] != label[:, :-1]
    ink = np.zeros((*edge.shape, 4))
    ink[edge] = (1, 1, 1, 0.9)
    ax.imshow(ink, extent=_extent(fraction, "x", "y"), origin="lower", interpolation="nearest")
    n = lliso.grain_size(grains).n_grains
    ax.set(title=f"{n} grains from map and micrograph, on C", xlabel="x / µm", ylabel="y / µm")
    figure.suptitle("Simulated data (the samples simulated_llto_*)", size=10, color="0.35")
    figure.savefig(ROOT / "docs" / "images" / "registration.png", dpi=110)


def _extent(image: xr.DataArray, across: str, up: str) -> tuple[float, float, float, float]:
    half = [0.5 * float(image[k][1] - image[k][0]) for k in (across, up)]
    first, last = (image[across][i] for i in (0, -1))
    low, high = (image[up][i] for i in (0, -1))
    return (
        float(first) - half[0],
        float(last) + half[0],
        float(low) - half[1],
        float(high) + half[1],
    )


if __name__ == "__main__":
    main()

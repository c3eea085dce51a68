"""The latent map: draws, training data and geodesics on the log volume element, as one PNG on white.

It shows what Fig. 1 of Chadebec & Allassonnière (2021) shows, in the same signs: the log volume element in
grey, red start points, orange velocities, and the samples in blue.
"""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from PIL import Image

from riemaug.report.data import LatentMap
from riemaug.report.sprites import png_uri

MAX_DRAWS, MAX_CENTROIDS, MAX_GEODESICS = 300, 1000, 12
_WIDTH, _LEFT, _RIGHT, _BOTTOM, _TOP = 5.2, 0.4, 0.72, 0.85, 0.12  # inches: the figure and its margins
_BLUE, _RED, _CRIMSON, _ORANGE, _EDGE = "#1667d9", "#e11d2e", "#a80f27", "#f08c00", "#3a3a3a"
_HALO = [Stroke(linewidth=3.4, foreground="white"), Normal()]
_ARROW_SHARE = 0.13  # the longest arrow, as a share of the map's width
_GREYS, _TINTS = 96, 16


def latent_png(latent: LatentMap, dpi: int) -> str:
    """Draw the latent map and return it as the data URI of a PNG.

    Parameters
    ----------
    latent : LatentMap
        Long lists of points are thinned evenly: 300 draws, 1,000 centroids; the first 12 geodesics are drawn.
    dpi : int
        Resolution; the figure is 5.2 inches wide.
    """
    inner = _WIDTH - _LEFT - _RIGHT
    inner_height = inner * float(np.clip(np.ptp(latent.y) / max(np.ptp(latent.x), 1e-9), 0.4, 1.6))
    height = inner_height + _BOTTOM + _TOP
    figure = Figure(figsize=(_WIDTH, height), dpi=dpi, facecolor="white")
    axes = figure.add_axes((_LEFT / _WIDTH, _BOTTOM / height, inner / _WIDTH, inner_height / height))
    bar = figure.add_axes(
        ((_LEFT + inner + 0.1) / _WIDTH, _BOTTOM / height, 0.1 / _WIDTH, inner_height / height)
    )
    _background(axes, bar, latent)
    _points(axes, latent)
    _geodesics(axes, latent)
    axes.set_aspect("equal")
    axes.set_xlim(latent.x[0], latent.x[-1])
    axes.set_ylim(latent.y[0], latent.y[-1])
    axes.tick_params(labelsize=8, length=2)
    handles, _ = axes.get_legend_handles_labels()
    figure.legend(
        handles=handles, loc="lower center", ncols=3, fontsize=8.5, frameon=False, handletextpad=0.5
    )
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    small = picture.quantize(palette=_palette(), dither=Image.Dither.NONE)
    return png_uri(small)


def _palette() -> Image.Image:
    """Return greys, and each colour of the points mixed with them, so that a small PNG shows no bands."""
    greys = np.linspace(0, 255, _GREYS)[:, None].repeat(3, axis=1)
    share = np.linspace(0.25, 1.0, _TINTS // 2)[:, None]
    colors = [255 * np.array(to_rgb(color)) for color in (_BLUE, _RED, _CRIMSON, _ORANGE)]
    mixed = [share * color + (1 - share) * ground for color in colors for ground in (255.0, 150.0)]
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.concatenate([greys, *mixed]).round().astype(np.uint8).tobytes())
    return palette


def _background(axes: Axes, bar: Axes, latent: LatentMap) -> None:
    step_x, step_y = (np.ptp(axis) / max(len(axis) - 1, 1) / 2 for axis in (latent.x, latent.y))
    extent = (latent.x[0] - step_x, latent.x[-1] + step_x, latent.y[0] - step_y, latent.y[-1] + step_y)
    finite = latent.log_volume[np.isfinite(latent.log_volume)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    span = max(high - low, 1e-9)
    # Only the lighter part of the grey scale, so that crosses and dots stay visible on it.
    grey = Normalize(low - 0.9 * span, low + span)
    image = axes.imshow(latent.log_volume, cmap="gray", norm=grey, origin="lower", extent=extent)
    colorbar = axes.figure.colorbar(image, cax=bar)
    bar.set_ylim(low, low + span)
    colorbar.set_label(r"$\log\,\sqrt{\det\,G(z)}$", fontsize=9)
    bar.tick_params(labelsize=8, length=2)
    inside = latent.inside_support
    if inside.any() and not inside.all() and min(inside.shape) > 1:
        axes.contour(
            latent.x, latent.y, inside.astype(float), [0.5], colors=_EDGE, linewidths=1, linestyles="--"
        )
        axes.plot([], [], "--", color=_EDGE, linewidth=1, label="edge of the support")


def _points(axes: Axes, latent: LatentMap) -> None:
    draws, centroids = _some(latent.draws, MAX_DRAWS), _some(latent.centroids, MAX_CENTROIDS)
    white = {"markeredgecolor": "white", "markeredgewidth": 0.4}
    if len(draws):
        axes.plot(*draws.T, "o", color=_BLUE, markersize=3.4, label="draws", **white)
    if len(centroids):
        axes.plot(
            *centroids.T, "x", color="#111111", markersize=4.2, markeredgewidth=1, label="training data"
        )


def _geodesics(axes: Axes, latent: LatentMap) -> None:
    for number, path in enumerate(latent.geodesics[:MAX_GEODESICS]):
        label = "" if number else "geodesics"
        axes.plot(*path.T, "-", color=_CRIMSON, linewidth=1.7, label=label, path_effects=_HALO, zorder=4)
    starts, velocities = latent.starts[:MAX_GEODESICS], latent.velocities[:MAX_GEODESICS]
    if not len(starts):
        return
    white = {"markeredgecolor": "white", "markeredgewidth": 0.8}
    axes.plot(*starts.T, "o", color=_RED, markersize=6, label="start points", zorder=6, **white)
    longest = float(np.linalg.norm(velocities, axis=1).max(initial=0.0))
    if np.isfinite(longest) and longest > 0:
        arrows = velocities * (_ARROW_SHARE * np.ptp(latent.x) / longest)
        in_data_units = {"angles": "xy", "scale_units": "xy", "scale": 1}
        axes.quiver(*starts.T, *arrows.T, color=_ORANGE, width=0.009, zorder=5, **in_data_units)
        arrow = r"$\rightarrow$"
        axes.plot([], [], linestyle="", marker=arrow, color=_ORANGE, markersize=11, label="initial velocity")


def _some(points: Float[np.ndarray, "many 2"], most: int) -> Float[np.ndarray, "some 2"]:
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) <= most:
        return points
    return points[np.linspace(0, len(points) - 1, most).round().astype(int)]

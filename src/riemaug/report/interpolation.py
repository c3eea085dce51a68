"""One picture of an interpolation: the frames of both ways above each other, and where they run."""

import io
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke

MAX_SHOWN = 12
"""Frames of a row in the picture; of more, that many are shown at equal steps."""
_COLORS = (
    "#b3122d",
    "#1667d9",
)  # the geodesic, the straight line: told apart in grey and by colour-blind eyes
_STYLES = ("-", (0, (4, 1.6)))
_INK, _MUTED = "#1b1b1b", "#5c5c5c"
_HALO = [Stroke(linewidth=4.6, foreground="white"), Normal()]
_WIDTH, _LABEL, _MARGIN = 11.0, 1.6, 0.25  # inches
_GAP, _HEAD, _ROW_GAP, _AXIS = 0.07, 0.3, 0.16, 0.45
_PLANE, _CHART = 3.6, 2.0  # heights of the panels with and without the latent plane
_DPI = 120


@dataclass(frozen=True, eq=False)
class CurvePicture:
    """One way from A to B.

    Attributes
    ----------
    name : str
    length : float
        Its Riemannian length.
    frames : ndarray (steps, H, W) or (steps, H, W, 3), uint8, or None
        The decoded samples, where they are pictures.
    curve : ndarray (time, d)
    log_volume : ndarray (time,)
        log sqrt det G along the curve.
    """

    name: str
    length: float
    frames: UInt8[np.ndarray, "steps H W *channels"] | None
    curve: Float[np.ndarray, "time dim"]
    log_volume: Float[np.ndarray, " time"]


@dataclass(frozen=True, eq=False)
class LatentPlane:
    """log sqrt det G on a grid (ny, nx) of a two-dimensional latent space, and the training data in it."""

    x: Float[np.ndarray, " nx"]
    y: Float[np.ndarray, " ny"]
    log_volume: Float[np.ndarray, "ny nx"]
    centroids: Float[np.ndarray, "N 2"]


@dataclass(frozen=True, eq=False)
class InterpolationPicture:
    """The geodesic, the straight line, and the plane they lie in (None unless d = 2)."""

    geodesic: CurvePicture
    straight: CurvePicture
    plane: LatentPlane | None


def interpolation_png(picture: InterpolationPicture) -> bytes:
    """Draw both rows of frames, the latent plane with both curves, and the volume element along them.

    Only fixed words and numbers are written into it: fonts lack the glyphs of some names.
    """
    ways = (picture.geodesic, picture.straight)
    tile = _tile_size(ways[0].frames)
    rows = 0.0 if tile is None else _HEAD + 2 * tile[1] + _ROW_GAP
    panel = _CHART if picture.plane is None else _PLANE
    height = _MARGIN + rows + 0.35 + panel + _AXIS
    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    if tile is not None:
        for row, way in enumerate(ways):
            top = height - _MARGIN - _HEAD - row * (tile[1] + _ROW_GAP)
            _draw_row(figure, way, row, top, tile)
    _draw_panels(figure, ways, picture.plane, panel)
    buffer = io.BytesIO()
    canvas.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def _shown(frames: np.ndarray) -> np.ndarray:
    if len(frames) <= MAX_SHOWN:
        return frames
    return frames[np.linspace(0, len(frames) - 1, MAX_SHOWN).round().astype(int)]


def _tile_size(frames: np.ndarray | None) -> tuple[float, float] | None:
    """Return width and height of a frame in inches."""
    if frames is None:
        return None
    count = min(len(frames), MAX_SHOWN)
    width = (_WIDTH - _LABEL - _MARGIN - (count - 1) * _GAP) / count
    height = width * frames.shape[1] / frames.shape[2]
    shrink = min(1.0, 2.6 / height, 1.6 / width)
    return width * shrink, height * shrink


def _axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Add axes at a place given in inches from the lower left corner."""
    whole = float(figure.get_figheight())
    return figure.add_axes((left / _WIDTH, bottom / whole, width / _WIDTH, height / whole))


def _write(figure: Figure, x: float, y: float, text: str, **style: object) -> None:
    figure.text(x / _WIDTH, y / float(figure.get_figheight()), text, **style)  # type: ignore[arg-type]


def _draw_row(figure: Figure, way: CurvePicture, row: int, top: float, tile: tuple[float, float]) -> None:
    assert way.frames is not None
    frames, (width, height), color = _shown(way.frames), tile, _COLORS[row]
    middle = top - height / 2
    right = {"ha": "right", "va": "center"}
    _write(
        figure, _LABEL - 0.15, middle + 0.11, way.name, color=color, fontsize=13, fontweight="bold", **right
    )
    _write(figure, _LABEL - 0.15, middle - 0.13, f"length {way.length:.3g}", color=_INK, fontsize=10, **right)
    for number, frame in enumerate(frames):
        left = _LABEL + number * (width + _GAP)
        axes = _axes(figure, left, top - height, width, height)
        axes.imshow(frame, cmap="gray", vmin=0, vmax=255, aspect="auto", interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_color(color)
            spine.set_linewidth(1.8)
        if row == 0 and number in (0, len(frames) - 1):
            label = "A" if number == 0 else "B"
            _write(figure, left + width / 2, top + 0.1, label, ha="center", fontsize=13, color=_INK)
    if row == 0 and len(frames) < len(way.frames):
        middle = _LABEL + (len(frames) * (width + _GAP) - _GAP) / 2
        note = f"{len(frames)} of {len(way.frames)} frames"
        _write(figure, middle, top + 0.12, note, ha="center", fontsize=10, color=_MUTED)


def _draw_panels(
    figure: Figure, ways: tuple[CurvePicture, ...], plane: LatentPlane | None, height: float
) -> None:
    left, room = _LABEL, _WIDTH - _LABEL - _MARGIN
    if plane is not None:
        aspect = float(np.clip(np.ptp(plane.x) / max(np.ptp(plane.y), 1e-9), 0.5, 1.4))
        _draw_plane(_axes(figure, _LABEL, _AXIS, aspect * height, height), ways, plane)
        left += aspect * height + 1.05
        room = _WIDTH - left - _MARGIN
    axes = _axes(figure, left, _AXIS, room, height)
    for way, color, style in zip(ways, _COLORS, _STYLES, strict=True):
        share = np.linspace(0.0, 1.0, len(way.log_volume))
        axes.plot(share, way.log_volume, linestyle=style, color=color, linewidth=2.2, label=way.name)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["A", "", "half way", "", "B"], fontsize=10)
    low, high = axes.get_ylim()
    if high - low < 1.0:  # differences that do not matter must not look as if they did
        axes.set_ylim((low + high - 1.0) / 2, (low + high + 1.0) / 2)
    axes.set_ylabel("log volume element\n" + r"$\log\,\sqrt{\det\,G}$", fontsize=10, color=_INK)
    axes.set_title("high: far from the training data", fontsize=10, color=_MUTED, loc="left")
    axes.tick_params(labelsize=9, length=2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=10)


def _draw_plane(axes: Axes, ways: tuple[CurvePicture, ...], plane: LatentPlane) -> None:
    low, high = float(plane.log_volume.min()), float(plane.log_volume.max())
    span = max(high - low, 1e-9)
    # only the lighter part of the grey scale, so that crosses and curves stay visible on it
    grey = Normalize(low - 0.9 * span, low + span)
    extent = (plane.x[0], plane.x[-1], plane.y[0], plane.y[-1])
    axes.imshow(plane.log_volume, cmap="gray", norm=grey, origin="lower", extent=extent, aspect="auto")
    axes.plot(
        *plane.centroids.T,
        "x",
        color=_INK,
        markersize=3.6,
        markeredgewidth=0.8,
        alpha=0.8,
    )
    for way, color, style in zip(ways, _COLORS, _STYLES, strict=True):
        axes.plot(*way.curve.T, linestyle=style, color=color, linewidth=2.4, path_effects=_HALO)
    ends = ways[0].curve[0], ways[0].curve[-1]
    away = (ends[1] - ends[0]) / max(float(np.linalg.norm(ends[1] - ends[0])), 1e-12)
    for point, label, side in ((ends[0], "A", -1), (ends[1], "B", 1)):
        axes.plot(*point, "o", color=_INK, markersize=7, markeredgecolor="white", zorder=6)
        style = {"fontsize": 13, "color": _INK, "path_effects": _HALO, "zorder": 7, "annotation_clip": False}
        axes.annotate(
            label, point, 13 * side * away, textcoords="offset points", ha="center", va="center", **style
        )
    axes.set_title("latent space: × training samples, dark near them", fontsize=10, color=_MUTED, loc="left")
    axes.tick_params(labelsize=9, length=2)

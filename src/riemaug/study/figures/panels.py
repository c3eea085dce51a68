"""What the figures are made of: places on a page, latent planes, sheets of small images.

matplotlib's object interface alone: no figure is registered anywhere, so many may be drawn in one process.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PatchCollection
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from PIL import Image
from scipy.spatial import KDTree

from riemaug.atomic import atomic_path
from riemaug.geometry import KernelMetric
from riemaug.report.interpolation import LatentPlane

SMALL, NORMAL = 7.0, 8.0
"""Font sizes in points at the printed width."""
INK, MUTED = "#1b1b1b", "#555555"
BLUE, ORANGE, VERMILION, PURPLE = "#0072b2", "#e69f00", "#d55e00", "#cc79a7"
"""Told apart by colour-blind eyes (Okabe and Ito)."""
PAGE_WIDTH = 7.0
"""Inches."""
_GRID_SIDE = 181
_GREYS, _TINTS = 176, 10


@dataclass(frozen=True, eq=False)
class Frames:
    """Which images of a sheet get a frame, and its colour."""

    which: Bool[np.ndarray, " n"]
    color: str


@dataclass(frozen=True, eq=False)
class Page:
    """A figure with places in inches from its upper left corner."""

    figure: Figure
    width: float
    height: float

    @classmethod
    def of_size(cls, width: float, height: float) -> "Page":
        """Return an empty white page that can be rendered."""
        figure = Figure(figsize=(width, height), dpi=200, facecolor="white")
        FigureCanvasAgg(figure)
        return cls(figure, width, height)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Add axes."""
        bottom = self.height - top - height
        place = (
            left / self.width,
            bottom / self.height,
            width / self.width,
            height / self.height,
        )
        return self.figure.add_axes(place)

    def write(self, left: float, top: float, text: str, size: float = NORMAL, **style: Any) -> None:
        """Write text; `left` and `top` are where its anchor is, by default its left end and middle."""
        given = {"ha": "left", "va": "center", "color": INK, "fontsize": size, **style}
        self.figure.text(left / self.width, 1 - top / self.height, text, **given)

    def name_row(self, right: float, middle: float, model: str, law: str = "") -> None:
        """Write a model in bold and, below it, the law that is drawn from, up to the right."""
        if not law:
            self.write(right, middle, model, ha="right", fontweight="bold")
            return
        lines = law.count("\n") + 1
        self.write(right, middle - 0.07 * lines, model, ha="right", fontweight="bold")
        self.write(right, middle + 0.08, law, SMALL, ha="right", linespacing=1.15)

    def legend(self, handles: Mapping[str, Any], middle: float) -> None:
        """Write a legend in one line at the bottom; `handles` are named by their labels."""
        style = {"fontsize": SMALL, "frameon": False, "handletextpad": 0.4, "columnspacing": 1.4}
        place = {"loc": "lower center", "bbox_to_anchor": (middle / self.width, 0.0), "borderaxespad": 0.1}
        self.figure.legend(list(handles.values()), list(handles), ncols=len(handles), **place, **style)


def latent_plane(metric: KernelMetric, margin: float = 0.0) -> LatentPlane:
    """Return the log volume element over the metric's support and `margin` (latent units) around it."""
    lower, upper = metric.default_support().bounding_box()
    x, y = (
        torch.linspace(float(lower[i]) - margin, float(upper[i]) + margin, _GRID_SIDE, dtype=torch.float64)
        for i in (0, 1)
    )
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)
    volume = metric.log_volume_element(grid.to(metric.centroids.dtype)).reshape(_GRID_SIDE, _GRID_SIDE)
    return LatentPlane(x.numpy(), y.numpy(), volume.double().numpy(), metric.centroids.double().numpy())


def show_volume(axes: Axes, plane: LatentPlane) -> AxesImage:
    """Draw the log volume element in grey, dark where it is low, and fit the axes to it."""
    low, high = float(plane.log_volume.min()), float(plane.log_volume.max())
    span = max(high - low, 1e-9)
    # only the lighter part of the grey scale, so that crosses and dots stay visible on it
    grey = Normalize(low - 0.9 * span, low + span)
    extent = (plane.x[0], plane.x[-1], plane.y[0], plane.y[-1])
    return axes.imshow(plane.log_volume, cmap="gray", norm=grey, origin="lower", extent=extent, aspect="auto")


def add_volume_bar(axes: Axes, image: AxesImage, plane: LatentPlane) -> None:
    """Turn `axes` into the scale of `show_volume`."""
    bar = axes.figure.colorbar(image, cax=axes)
    axes.set_ylim(float(plane.log_volume.min()), float(plane.log_volume.max()))
    bar.set_label(r"$\log\,\sqrt{\det\,\mathbf{G}(z)}$", fontsize=NORMAL)
    axes.tick_params(labelsize=SMALL, length=2)
    bar.outline.set_linewidth(0.5)  # type: ignore[operator]


def frame_thinly(axes: Axes, with_numbers: bool = True) -> None:
    """Give axes of a latent space small ticks and a thin frame, and numbers at the left side or not."""
    axes.tick_params(labelsize=SMALL, length=2, width=0.5, pad=1.5, labelleft=with_numbers)
    axes.locator_params(nbins=5)
    for spine in axes.spines.values():
        spine.set_linewidth(0.5)


def fit_limits(axes: Axes, points: Float[np.ndarray, "n 2"], width: float, height: float) -> None:
    """Set limits that hold all points, with equal units along both axes of a panel of that size."""
    low, high = points.min(0), points.max(0)
    centre, reach = (low + high) / 2, np.maximum(high - low, 1e-3) * 0.55
    unit = max(reach[0] / width, reach[1] / height)
    axes.set_xlim(centre[0] - unit * width, centre[0] + unit * width)
    axes.set_ylim(centre[1] - unit * height, centre[1] + unit * height)


def beyond(axes: Axes, points: Float[np.ndarray, "n 2"]) -> int:
    """Return how many points lie outside the limits of the axes."""
    low = np.array([axes.get_xlim()[0], axes.get_ylim()[0]])
    high = np.array([axes.get_xlim()[1], axes.get_ylim()[1]])
    return int(((points < low) | (points > high)).any(axis=1).sum())


def sheet(
    images: Float[np.ndarray, "n height width"], columns: int, gap: int
) -> Float[np.ndarray, "tall wide"]:
    """Return images side by side, in rows of `columns`, white gaps of so many pixels between them."""
    count, height, width = images.shape
    rows = -(-count // columns)
    page = np.ones((rows * (height + gap) - gap, columns * (width + gap) - gap), dtype=np.float32)
    for number, image in enumerate(images):
        top, left = corner(number, columns, height + gap, width + gap)
        page[top : top + height, left : left + width] = image
    return page


def corner(number: int, columns: int, height: int, width: int) -> tuple[int, int]:
    """Return the top and left pixel of a tile in a sheet."""
    return number // columns * height, number % columns * width


def show_sheet(
    axes: Axes, images: Float[np.ndarray, "n height width"], columns: int, framed: Sequence[Frames] = ()
) -> None:
    """Draw images in [0, 1] as a sheet, black is 0, some of them framed."""
    gap = max(1, images.shape[1] // 16)
    axes.imshow(sheet(images, columns, gap), cmap="gray", vmin=0, vmax=1, aspect="auto")
    axes.set_axis_off()
    height, width = images.shape[1] + gap, images.shape[2] + gap
    for frames in framed:
        corners = (corner(number, columns, height, width) for number in np.flatnonzero(frames.which).tolist())
        boxes = [
            Rectangle((left - gap / 2 - 0.5, top - gap / 2 - 0.5), width, height) for top, left in corners
        ]
        collection = PatchCollection(boxes, facecolor="none", edgecolor=frames.color, linewidth=1.0)
        collection.set_clip_on(False)
        axes.add_collection(collection, autolim=False)


def show_left_out(axes: Axes, why: str) -> None:
    """Leave a place blank, with the reason in it."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(color=MUTED, linewidth=0.5, linestyle=(0, (3, 3)))
    style = {"ha": "center", "va": "center", "fontsize": SMALL, "color": MUTED}
    axes.text(0.5, 0.5, why, transform=axes.transAxes, **style)


def write_png(figure: Figure, path: Path, dpi: int = 150) -> None:
    """Write a figure in greys and the tints of its four colours, so that the file is small."""
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(dpi)
    canvas.draw()
    colors = np.asarray(canvas.buffer_rgba())[..., :3]
    found, place = np.unique(colors.reshape(-1, 3), axis=0, return_inverse=True)
    _, rows = KDTree(_palette()).query(found)
    nearest = np.asarray(rows, dtype=np.uint8)
    picture = Image.fromarray(nearest[place].reshape(colors.shape[:2]), mode="P")
    picture.putpalette(_palette().tobytes())
    with atomic_path(path) as temporary:
        picture.save(temporary, format="PNG", optimize=True)


def _palette() -> UInt8[np.ndarray, "256 3"]:
    """Return greys, and each colour mixed with white and with grey.

    A palette chosen from the picture itself would lose the few pixels of thin frames.
    """
    greys = np.linspace(0, 255, _GREYS)[:, None].repeat(3, axis=1)
    share = np.linspace(1 / _TINTS, 1.0, _TINTS)[:, None]
    colors = [255 * np.array(to_rgb(color)) for color in (BLUE, ORANGE, VERMILION, PURPLE)]
    mixed = [share * color + (1 - share) * ground for color in colors for ground in (255.0, 130.0)]
    return np.concatenate([greys, *mixed]).round().astype(np.uint8)

"""Figure 2: where each method draws in latent space, and what the draws are decoded to."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke

from riemaug.class_model import ClassModel
from riemaug.report.interpolation import LatentPlane
from riemaug.study.figures import panels
from riemaug.study.figures.ideal_shapes import misfit
from riemaug.study.figures.methods import (
    METHODS,
    NUM_DRAWS,
    MethodDraws,
    OnFit,
    draw_with,
    encodings,
    epochs_of,
    fit_tasks,
    nearest_images,
    tasks_of,
)
from riemaug.study.figures.panels import Frames, Page
from riemaug.study.shapes import SmallSet, load_small_set

COLUMNS = 10
LEAST_MISFIT = 0.1
"""See `riemaug.study.figures.ideal_shapes.misfit`: what is above it is framed."""
_PER_ROW, _WIDTH, _GAP, _LEFT = 3, 1.96, 0.34, 0.32  # inches
_PLANE, _TITLE, _TICKS, _NOTE, _BLOCK_GAP, _FOOT, _LEGEND = 1.6, 0.22, 0.18, 0.2, 0.1, 0.16, 0.22
_HALO = [Stroke(linewidth=2.0, foreground="white"), Normal()]
_CLASS_SIGNS = (("x", panels.ORANGE), ("+", panels.PURPLE))


@dataclass(frozen=True, eq=False)
class MethodPanel:
    """One method over the encoded training data.

    Attributes
    ----------
    draws : MethodDraws
    encoded : ndarray (N, 2)
        Posterior means of the training images.
    plane : LatentPlane or None
        Of a model with a metric.
    is_neither : ndarray (n,) of bool
        Decoded images that are like no disc and no ring.
    num_first_class : int
        Decoded images whose nearest training image, pixel by pixel, is of the first class.
    """

    draws: MethodDraws
    encoded: Float64[np.ndarray, "N 2"]
    plane: LatentPlane | None
    is_neither: Bool[np.ndarray, " n"]
    num_first_class: int


@dataclass(frozen=True, eq=False)
class Figure2:
    """What Figure 2 shows; `epochs` by kind of model."""

    data: SmallSet
    panels: tuple[MethodPanel, ...]
    epochs: dict[str, int]


def draw(
    folder: Path | None, seed: int, max_epochs: int | None, num_jobs: int, on_fit: OnFit | None
) -> Figure:
    """Draw Figure 2.

    Protocol: 180 binary discs and rings, one model of each kind on both classes together; networks and
    constants of the paper's Tables 4 and 5, Adam 1e-3, full batch, until the ELBO has not improved for 50
    epochs; VAMP with 10 pseudo-inputs that start at training images (ours). 100 draws a method; walks of 200
    steps from random training images, Sigma = 0.5 I, 10 sub-steps. The paper's walk is Algorithm 1; here is
    the walk made exact first, and Algorithm 1 as printed and with the sign of the published code beside it.
    """
    return page_of(prepare(folder, seed, max_epochs, num_jobs, on_fit))


def prepare(
    folder: Path | None, seed: int, max_epochs: int | None, num_jobs: int, on_fit: OnFit | None
) -> Figure2:
    """Fit the three models, draw by the six methods, and judge the draws."""
    data = load_small_set("shapes", folder, seed)
    tasks = tasks_of(data.name, data.samples.samples, METHODS, seed, max_epochs)
    models = dict(zip(tasks, fit_tasks(list(tasks.values()), num_jobs, on_fit), strict=True))
    metric = models["rhvae"].metric
    plane = None if metric is None else panels.latent_plane(metric, margin=0.5)
    shown = []
    for method in METHODS:
        item = models[method.kind]
        draws = draw_with(method, item, data.samples.shape, seed)
        shown.append(_judged(data, item, draws, plane if method.kind == "rhvae" else None))
    return Figure2(data, tuple(shown), {kind: epochs_of(item) for kind, item in models.items()})


def _judged(data: SmallSet, item: ClassModel, draws: MethodDraws, plane: LatentPlane | None) -> MethodPanel:
    nearest = nearest_images(draws.images, data.samples.samples)
    return MethodPanel(
        draws,
        encodings(item, data.samples.samples),
        plane,
        misfit(draws.images) > LEAST_MISFIT,
        int((data.samples.labels[nearest] == 0).sum()),
    )


def page_of(content: Figure2) -> Figure:
    """Lay out the methods in two rows: planes above, decoded images below."""
    block = _TITLE + _PLANE + _TICKS + _WIDTH + _NOTE
    rows = -(-len(content.panels) // _PER_ROW)
    page = Page.of_size(panels.PAGE_WIDTH, rows * block + (rows - 1) * _BLOCK_GAP + _FOOT + _LEGEND)
    handles, centred = {}, {"ha": "center", "color": panels.MUTED}
    for number, panel in enumerate(content.panels):
        row, column = divmod(number, _PER_ROW)
        left, top = _LEFT + column * (_WIDTH + _GAP), row * (block + _BLOCK_GAP)
        axes = page.axes(left, top + _TITLE, _WIDTH, _PLANE)
        title = f"{panel.draws.method.model}, {panel.draws.method.law}"
        axes.set_title(title, fontsize=panels.NORMAL, pad=3)
        _draw_plane(axes, panel, content.data)
        handles |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
        images = page.axes(left, top + _TITLE + _PLANE + _TICKS, _WIDTH, _WIDTH)
        framed = (Frames(panel.is_neither, panels.VERMILION),)
        panels.show_sheet(images, panel.draws.images, COLUMNS, framed)
        page.write(left + _WIDTH / 2, top + block - _NOTE / 2, _note(panel), panels.SMALL, **centred)
    page.write(page.width / 2, page.height - _LEGEND - _FOOT / 2, _epochs(content), panels.SMALL, **centred)
    page.legend(handles, page.width / 2)
    return page.figure


def _note(panel: MethodPanel) -> str:
    neither = int(panel.is_neither.sum())
    return f"{neither} like no shape, {panel.num_first_class} nearest to a disc"


def _epochs(content: Figure2) -> str:
    parts = (f"{kind.upper()} {number}" for kind, number in content.epochs.items())
    share = 100 * float((content.data.samples.labels == 0).mean())
    return f"{NUM_DRAWS} draws each; epochs: {', '.join(parts)}; training data: {share:.0f} % discs"


def _draw_plane(axes: Axes, panel: MethodPanel, data: SmallSet) -> None:
    """Draw the latent plane, the encoded data and the draws, and say how many of these lie beyond it."""
    points, good = panel.draws.points, ~panel.is_neither
    if panel.plane is None:
        panels.fit_limits(axes, np.concatenate([panel.encoded, points]), _WIDTH, _PLANE)
    else:
        corners = np.stack([panel.plane.x[[0, -1]], panel.plane.y[[0, -1]]], 1)
        panels.show_volume(axes, panel.plane)
        panels.fit_limits(axes, corners, _WIDTH, _PLANE)
    panels.frame_thinly(axes)
    for label, (name, (marker, color)) in enumerate(zip(data.class_names, _CLASS_SIGNS, strict=False)):
        own = panel.encoded[data.samples.labels == label]
        style = {"color": color, "markersize": 3.2, "markeredgewidth": 0.7}
        axes.plot(*own.T, marker, label=f"encoded {name}", zorder=2, **style)
    white = {"markeredgecolor": "white", "markeredgewidth": 0.3, "markersize": 2.9}
    axes.plot(*points[good].T, "o", color=panels.BLUE, label="draw", zorder=3, **white)
    label = "draw decoded to neither (framed)"
    axes.plot(*points[~good].T, "^", color=panels.VERMILION, label=label, zorder=4, **white)
    hidden = panels.beyond(axes, points)
    if hidden:
        style = {"fontsize": panels.SMALL, "ha": "right", "path_effects": _HALO, "zorder": 5}
        axes.text(0.98, 0.03, f"{hidden} draws beyond", transform=axes.transAxes, **style)

"""Figure 1: geodesics shot in a learned latent space, and draws of the wrapped normal."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke
from torch import Tensor

from riemaug.geometry import KernelMetric, WrappedNormal, shoot
from riemaug.random import Stream
from riemaug.report.interpolation import LatentPlane
from riemaug.study.figures import panels
from riemaug.study.figures.methods import NUM_DRAWS, FitTask, OnFit, fit_tasks
from riemaug.study.figures.panels import Page
from riemaug.study.shapes import load_small_set

SUB_STEPS = 100
"""Of the exponential map of the wrapped normal."""
NUM_STARTS, NUM_DIRECTIONS, SPEED = 7, 2, 3.0
"""Of the geodesics on the left; the speed in latent units."""
_SIDE, _GAP, _LEFT, _TOP, _BOTTOM = 1.92, 0.12, 0.3, 0.26, 0.58  # inches
_HALO = [Stroke(linewidth=2.6, foreground="white"), Normal()]


@dataclass(frozen=True, eq=False)
class Shooting:
    """Geodesics Exp_z(t v), t in [0, 1].

    Attributes
    ----------
    paths : ndarray (time, g, 2)
    starts, velocities : ndarray (g, 2)
    end_volume, straight_volume : float
        Mean log volume element where geodesics end, and where straight lines of their velocities do.
    """

    paths: Float64[np.ndarray, "time g 2"]
    starts: Float64[np.ndarray, "g 2"]
    velocities: Float64[np.ndarray, "g 2"]
    end_volume: float
    straight_volume: float


@dataclass(frozen=True, eq=False)
class WrappedDraws:
    """Draws of N^W(p, I).

    Attributes
    ----------
    rank : str
        Which volume element p has among all the data.
    centre : ndarray (2,)
        p.
    points : ndarray (n, 2)
    end_volume, straight_volume : float
        Mean log volume element of these draws, and of as many of N(p, I).
    """

    rank: str
    centre: Float64[np.ndarray, " 2"]
    points: Float64[np.ndarray, "n 2"]
    end_volume: float
    straight_volume: float


@dataclass(frozen=True, eq=False)
class Figure1:
    """What Figure 1 shows."""

    plane: LatentPlane
    shooting: Shooting
    wrapped: tuple[WrappedDraws, WrappedDraws]


def draw(
    folder: Path | None, seed: int, max_epochs: int | None, num_jobs: int, on_fit: OnFit | None
) -> Figure:
    """Draw Figure 1.

    Protocol: an RHVAE of the shapes (paper: "a RHVAE", data not said), networks and constants of the paper's
    Tables 4 and 5, Adam 1e-3, full batch, until the ELBO has not improved for 50 epochs. Left: from seven
    encoded training images far from each other, two geodesics each, in opposite directions.
    Middle and right: 100 draws each of N^W(p, I), p the encoded image of least and of largest volume element.
    """
    return page_of(prepare(folder, seed, max_epochs, num_jobs, on_fit))


def prepare(
    folder: Path | None, seed: int, max_epochs: int | None, num_jobs: int, on_fit: OnFit | None
) -> Figure1:
    """Fit the model and shoot."""
    data = load_small_set("shapes", folder, seed)
    (item,) = fit_tasks(
        [FitTask(data.name, data.samples.samples, "rhvae", seed, max_epochs)], num_jobs, on_fit
    )
    assert item.metric is not None
    metric = item.metric.double()
    stream = Stream(seed, ("study", "figure 1"))
    volume = metric.log_volume_element(metric.centroids)
    deep, edge = int(volume.argmin()), int(volume.argmax())
    return Figure1(
        panels.latent_plane(metric, margin=0.5),
        shoot_from(metric, stream.child("directions").generator()),
        (_wrapped(metric, "least", deep, stream), _wrapped(metric, "largest", edge, stream)),
    )


def shoot_from(metric: KernelMetric, generator: torch.Generator) -> Shooting:
    """Shoot geodesics from centroids far from each other, in evenly turned directions."""
    starts = _spread_out(metric.centroids, NUM_STARTS)
    turn = torch.rand(len(starts), 1, generator=generator, dtype=starts.dtype)
    angle = 2.0 * math.pi * (turn + torch.arange(NUM_DIRECTIONS) / NUM_DIRECTIONS)
    velocities = SPEED * torch.stack([angle.cos(), angle.sin()], -1).reshape(-1, 2)
    origins = starts.repeat_interleave(NUM_DIRECTIONS, 0)
    paths = shoot(metric, velocities, origins, num_steps=1000, num_points=101)
    end, straight = (_mean_volume(metric, points) for points in (paths[-1], origins + velocities))
    return Shooting(paths.numpy(), origins.numpy(), velocities.numpy(), end, straight)


def _mean_volume(metric: KernelMetric, points: Float[Tensor, "n 2"]) -> float:
    return float(metric.log_volume_element(points).mean())


def _spread_out(points: Float[Tensor, "N 2"], count: int) -> Float[Tensor, "k 2"]:
    """Return points far from each other: the first one, then again and again the one farthest from all."""
    chosen = [0]
    while len(chosen) < min(count, len(points)):
        chosen.append(int(torch.cdist(points, points[chosen]).amin(1).argmax()))
    return points[chosen]


def _wrapped(metric: KernelMetric, rank: str, row: int, stream: Stream) -> WrappedDraws:
    centre = metric.centroids[row]
    law = WrappedNormal(centre, torch.eye(2, dtype=centre.dtype), metric, num_steps=SUB_STEPS)
    points = law.sample(NUM_DRAWS, stream.child(rank).generator()).point
    generator = stream.child(rank, "straight").generator()
    straight = centre + torch.randn(points.shape, generator=generator, dtype=centre.dtype)
    return WrappedDraws(
        rank, centre.numpy(), points.numpy(), _mean_volume(metric, points), _mean_volume(metric, straight)
    )


def page_of(content: Figure1) -> Figure:
    """Lay out the three panels, with one grey scale."""
    page = Page.of_size(panels.PAGE_WIDTH, _TOP + _SIDE + _BOTTOM)
    handles, images = {}, []
    centred = {"ha": "center", "color": panels.MUTED}
    for number in range(3):
        axes = page.axes(_LEFT + number * (_SIDE + _GAP), _TOP, _SIDE, _SIDE)
        images.append(panels.show_volume(axes, content.plane))
        corners = np.array(
            [[content.plane.x[0], content.plane.y[0]], [content.plane.x[-1], content.plane.y[-1]]]
        )
        panels.fit_limits(axes, corners, 1.0, 1.0)
        panels.frame_thinly(axes, with_numbers=number == 0)
        title = (
            _shooting(axes, content) if number == 0 else _draws(axes, content, content.wrapped[number - 1])
        )
        axes.set_title(title, fontsize=panels.NORMAL, pad=3)
        middle = _LEFT + number * (_SIDE + _GAP) + _SIDE / 2
        page.write(middle, _TOP + _SIDE + 0.27, _note(content, number), panels.SMALL, **centred)
        handles |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    bar = page.axes(_LEFT + 3 * _SIDE + 2 * _GAP + 0.08, _TOP, 0.09, _SIDE)
    panels.add_volume_bar(bar, images[0], content.plane)
    page.legend(handles, _LEFT + 1.5 * _SIDE + _GAP)
    return page.figure


def _note(content: Figure1, number: int) -> str:
    shown = content.shooting if number == 0 else content.wrapped[number - 1]
    against = "straight" if number == 0 else r"$\mathcal{N}(p, I)$"
    mean = r"mean $\log\sqrt{\det\,\mathbf{G}}$"
    return f"{mean}: {shown.end_volume:.1f}, {against}: {shown.straight_volume:.1f}"


def _shooting(axes: Axes, content: Figure1) -> str:
    shooting = content.shooting
    for number, path in enumerate(shooting.paths.transpose(1, 0, 2)):
        label = "" if number else "geodesic"
        axes.plot(*path.T, "-", color=panels.BLUE, linewidth=1.1, label=label, path_effects=_HALO, zorder=4)
    # at scale: an arrow ends where the straight line of that velocity does
    in_data_units = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.009}
    axes.quiver(*shooting.starts.T, *shooting.velocities.T, color=panels.ORANGE, zorder=5, **in_data_units)
    arrow = {"linestyle": "", "marker": r"$\rightarrow$", "color": panels.ORANGE, "markersize": 9}
    axes.plot([], [], label="initial velocity", **arrow)
    white = {"markeredgecolor": "white", "markeredgewidth": 0.5}
    axes.plot(
        *shooting.starts.T, "o", color=panels.VERMILION, markersize=4.5, label="start", zorder=6, **white
    )
    hidden = panels.beyond(axes, shooting.paths[-1])
    return f"geodesic shooting ({hidden} ends beyond)" if hidden else "geodesic shooting"


def _draws(axes: Axes, content: Figure1, wrapped: WrappedDraws) -> str:
    crosses = {"color": panels.INK, "markersize": 2.6, "markeredgewidth": 0.5}
    axes.plot(*content.plane.centroids.T, "x", label="encoded data", zorder=2, **crosses)
    white = {"markeredgecolor": "white", "markeredgewidth": 0.3}
    label = r"draw of $\mathcal{N}^W(p, I)$"
    axes.plot(*wrapped.points.T, "o", color=panels.BLUE, markersize=2.8, label=label, zorder=3, **white)
    axes.plot(*wrapped.centre, "o", color=panels.VERMILION, markersize=4.5, zorder=6, **white)
    hidden = panels.beyond(axes, wrapped.points)
    lost = f" ({hidden} beyond)" if hidden else ""
    return rf"$\mathcal{{N}}^W(p, I)$, {wrapped.rank} $\sqrt{{\det\,\mathbf{{G}}(p)}}${lost}"

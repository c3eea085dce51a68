"""The picture of an interpolation, in the folder of the frames."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug.atomic import atomic_write_bytes
from riemaug.data import SampleFormat
from riemaug.geometry import KernelMetric
from riemaug.report.interpolation import CurvePicture, InterpolationPicture, LatentPlane, interpolation_png
from riemaug.run.interpolate import PICTURE_NAME, LatentPath
from riemaug.run.shown import upright_pictures

GRID_SIDE = 161
"""Points along each side of the latent plane at which the volume element is drawn."""


def write_picture(out: Path, fmt: SampleFormat, metric: KernelMetric, paths: list[LatentPath]) -> list[str]:
    """Draw what can be drawn, frames that are pictures and a latent plane; return the names of files."""
    frames = [upright_pictures(path.samples, fmt) for path in paths]
    if metric.dim != 2 and frames[0] is None:
        return []
    curves = [
        CurvePicture(
            path.name,
            path.length,
            frame,
            path.curve.numpy(),
            metric.log_volume_element(path.curve).numpy(),
        )
        for path, frame in zip(paths, frames, strict=True)
    ]
    plane = _latent_plane(metric, [path.curve for path in paths]) if metric.dim == 2 else None
    png = interpolation_png(InterpolationPicture(curves[0], curves[1], plane))
    atomic_write_bytes(out / PICTURE_NAME, png)
    return [PICTURE_NAME]


def _latent_plane(metric: KernelMetric, curves: list[Float[Tensor, "time 2"]]) -> LatentPlane:
    """Return log sqrt det G on a grid around the support and the curves."""
    lower, upper = metric.default_support().bounding_box()
    whole = torch.cat([lower[None], upper[None], *curves])
    low, high = whole.amin(0), whole.amax(0)
    x, y = (torch.linspace(float(low[i]), float(high[i]), GRID_SIDE, dtype=low.dtype) for i in (0, 1))
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)
    volume = metric.log_volume_element(grid.flatten(0, 1)).unflatten(0, grid.shape[:2])
    return LatentPlane(x.numpy(), y.numpy(), volume.numpy(), metric.centroids.numpy())

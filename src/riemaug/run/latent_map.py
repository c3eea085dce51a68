"""The latent plane of a class, as the report draws it (paper, Fig. 1): for d = 2 only."""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from riemaug.geometry import KernelMetric, shoot
from riemaug.random import Stream

GRID_SIDE = 121
NUM_GEODESICS = 8
SHOWN_DRAWS = 400


def latent_map_arrays(
    metric: KernelMetric, draws: Float[Tensor, "m 2"], stream: Stream
) -> dict[str, np.ndarray]:
    """Return the arrays of a `riemaug.report.LatentMap`, by name; geodesics as one (T, g, 2) array.

    Geodesics start at a few centroids with velocities of about two bandwidths in random directions.
    """
    support = metric.default_support()
    lower, upper = support.bounding_box()
    x, y = (torch.linspace(float(lower[i]), float(upper[i]), GRID_SIDE, dtype=lower.dtype) for i in (0, 1))
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)
    starts, velocities = _geodesic_starts(metric, stream.generator())
    paths = shoot(metric, velocities, starts, num_steps=200, num_points=50)
    arrays = {
        "x": x,
        "y": y,
        "log_volume": metric.log_volume_element(grid).reshape(GRID_SIDE, GRID_SIDE),
        "inside_support": support.contains(grid).reshape(GRID_SIDE, GRID_SIDE),
        "centroids": metric.centroids,
        "draws": draws[:SHOWN_DRAWS],
        "geodesics": paths,
        "starts": starts,
        "velocities": velocities,
    }
    return {name: tensor.numpy() for name, tensor in arrays.items()}


def _geodesic_starts(
    metric: KernelMetric, generator: torch.Generator
) -> tuple[Float[Tensor, "g 2"], Float[Tensor, "g 2"]]:
    count = min(NUM_GEODESICS, metric.num_centroids)
    chosen = torch.randperm(metric.num_centroids, generator=generator)[:count]
    angle = 2.0 * math.pi * torch.rand(count, generator=generator, dtype=metric.centroids.dtype)
    directions = torch.stack([angle.cos(), angle.sin()], -1)
    return metric.centroids[chosen], 2.0 * metric.bandwidth * directions

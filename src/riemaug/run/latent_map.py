"""The latent plane of a class, as the report draws it (paper, Fig. 1), with what the decoder makes of it.

With two latent dimensions it is the latent space itself; with more, the plane through the mean of the
centroids along which they spread most (their first two principal axes).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from riemaug.geometry import KernelMetric, shoot
from riemaug.random import Stream

GRID_SIDE = 121
NUM_GEODESICS = 8
SHOWN_DRAWS = 400
MOST_DECODED, LEAST_DECODED = 24, 9
"""Points along each side of the grid that is decoded: at most, and for very large samples."""
DECODED_VALUES = 2**24
"""Values that the decoded grid may hold in all."""
_MARGIN = 0.15  # around the projected centroids, as a share of their spread

Decode = Callable[[Float[Tensor, "n dim"]], np.ndarray | None]
"""From latent points to pictures (n, H, W) or (n, H, W, 3), uint8; None where samples are no pictures."""


@dataclass(frozen=True, eq=False)
class LatentPlane:
    """A plane in latent space.

    Attributes
    ----------
    origin : Tensor (d,)
    axes : Tensor (2, d)
        Orthonormal rows.
    share : float
        Share of the centroids' variance that lies in the plane.
    """

    origin: Float[Tensor, " dim"]
    axes: Float[Tensor, "2 dim"]
    share: float

    @classmethod
    def of_centroids(cls, centroids: Float[Tensor, "N dim"]) -> "LatentPlane":
        """Return the latent space itself if it is a plane, else the principal plane of the centroids."""
        if centroids.shape[1] == 2:
            return cls(torch.zeros_like(centroids[0]), torch.eye(2, dtype=centroids.dtype), 1.0)
        origin = centroids.mean(0)
        # all right singular vectors, so that two centroids span a plane, too
        _, spread, axes = torch.linalg.svd(centroids - origin, full_matrices=True)
        # the sign of a singular vector is free: fixed, so that maps are the same on any machine
        signs = axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
        squares = spread.square()
        share = float(squares[:2].sum() / squares.sum()) if float(squares.sum()) > 0 else 1.0
        return cls(origin, (axes * signs)[:2], share)

    def points(self, coordinates: Float[Tensor, "n 2"]) -> Float[Tensor, "n dim"]:
        """Return where in latent space points of the plane lie."""
        return self.origin + coordinates @ self.axes

    def project(self, points: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch 2"]:
        """Return the nearest points of the plane, in its coordinates."""
        return (points - self.origin.to(points.dtype)) @ self.axes.T.to(points.dtype)


def latent_map_arrays(
    metric: KernelMetric, draws: Float[Tensor, "m dim"], stream: Stream, decode: Decode | None = None
) -> dict[str, np.ndarray]:
    """Return the arrays of a `riemaug.report.LatentMap`, by name; geodesics as one (T, g, 2) array.

    Geodesics start at a few centroids with velocities of about two bandwidths in random directions of the
    plane. Above two dimensions they leave it: what is returned is their projection.

    Parameters
    ----------
    metric : KernelMetric
        Of two dimensions or more.
    draws : Tensor (m, d)
        The first 400 are taken.
    stream : Stream
        Draws where geodesics start.
    decode : callable, optional
        Adds "decoded", the pictures at the nodes of a coarser grid, row by row from the lowest y.
    """
    plane = LatentPlane.of_centroids(metric.centroids)
    support = metric.default_support()
    lower, upper = _bounds(metric, plane)
    x, y = (torch.linspace(float(lower[i]), float(upper[i]), GRID_SIDE, dtype=lower.dtype) for i in (0, 1))
    grid = plane.points(_nodes(x, y))
    starts, directions = _geodesic_starts(metric, stream.generator())
    velocities = directions @ plane.axes
    paths = shoot(metric, velocities, starts, num_steps=200, num_points=50)
    arrays = {
        "x": x,
        "y": y,
        "log_volume": metric.log_volume_element(grid).reshape(GRID_SIDE, GRID_SIDE),
        "inside_support": support.contains(grid).reshape(GRID_SIDE, GRID_SIDE),
        "centroids": plane.project(metric.centroids),
        "draws": plane.project(draws[:SHOWN_DRAWS]),
        "geodesics": plane.project(paths),
        "starts": plane.project(starts),
        "velocities": directions,
        "share": torch.tensor(plane.share),
    }
    found = {name: tensor.numpy() for name, tensor in arrays.items()}
    decoded = None if decode is None else decode(plane.points(_coarse_nodes(lower, upper, decode, plane)))
    return found if decoded is None else found | {"decoded": decoded}


def _bounds(metric: KernelMetric, plane: LatentPlane) -> tuple[Float[Tensor, " 2"], Float[Tensor, " 2"]]:
    """Return the corners of what is drawn: all of the support, or the projected centroids with a margin."""
    if metric.dim == 2:
        return metric.default_support().bounding_box()
    flat = plane.project(metric.centroids)
    low, high = flat.amin(0), flat.amax(0)
    margin = _MARGIN * torch.clamp((high - low).max(), min=metric.bandwidth)
    return low - margin, high + margin


def _nodes(x: Float[Tensor, " nx"], y: Float[Tensor, " ny"]) -> Float[Tensor, "nodes 2"]:
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)


def _coarse_nodes(
    lower: Float[Tensor, " 2"], upper: Float[Tensor, " 2"], decode: Decode, plane: LatentPlane
) -> Float[Tensor, "nodes 2"]:
    """Return the nodes that are decoded: the larger a sample is, the fewer."""
    probe = decode(plane.origin[None])
    size = 1 if probe is None else probe[0].size
    side = min(MOST_DECODED, max(LEAST_DECODED, math.isqrt(DECODED_VALUES // size)))
    x, y = (torch.linspace(float(lower[i]), float(upper[i]), side, dtype=lower.dtype) for i in (0, 1))
    return _nodes(x, y)


def _geodesic_starts(
    metric: KernelMetric, generator: torch.Generator
) -> tuple[Float[Tensor, "g dim"], Float[Tensor, "g 2"]]:
    count = min(NUM_GEODESICS, metric.num_centroids)
    chosen = torch.randperm(metric.num_centroids, generator=generator)[:count]
    angle = 2.0 * math.pi * torch.rand(count, generator=generator, dtype=metric.centroids.dtype)
    directions = torch.stack([angle.cos(), angle.sin()], -1)
    return metric.centroids[chosen], 2.0 * metric.bandwidth * directions

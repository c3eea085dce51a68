"""Uniform proposals over the support: in its bounding box, or in its balls, whichever is smaller."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug._typing import Point, Scalar
from riemaug.geometry import Support


@dataclass(frozen=True)
class FlatPart:
    """Proposals that cover S evenly.

    In the box their density is constant; in the balls (one around each centroid, equally likely)
    it is proportional to the number of balls that hold the point. Two far clusters have a huge box
    and small balls, many overlapping centroids the reverse.

    Attributes
    ----------
    support : Support
    in_box : bool
    log_volume : float
        Log of the box's volume, or of the sum of the balls' volumes.
    """

    support: Support
    in_box: bool
    log_volume: float

    @classmethod
    def of(cls, support: Support) -> "FlatPart":
        """Return the smaller of the two covers."""
        count, dim = support.centroids.shape
        log_unit_ball = 0.5 * dim * math.log(math.pi) - math.lgamma(0.5 * dim + 1.0)
        log_balls = math.log(count) + log_unit_ball + dim * math.log(support.radius)
        log_box = support.log_box_volume()
        return cls(support, log_box <= log_balls, min(log_box, log_balls))

    def draw(
        self, noise: Float[Tensor, "n dim"], generator: torch.Generator
    ) -> tuple[Float[Tensor, "n dim"], Float[Tensor, " n"]]:
        """Return points and the factor to keep them with so that what is kept is uniform on S.

        `noise` is standard normal; where the balls are used it gives the directions.
        """
        shape = (noise.shape[0], noise.shape[1] if self.in_box else 2)
        uniform = torch.rand(shape, generator=generator, dtype=noise.dtype, device=noise.device)
        if self.in_box:
            lower, upper = self.support.bounding_box()
            return lower + (upper - lower) * uniform, torch.ones_like(noise[:, 0])
        count = self.support.centroids.shape[0]
        centers = self.support.centroids[(uniform[:, 0] * count).long().clamp_max(count - 1)]
        direction = noise / noise.norm(dim=-1, keepdim=True).clamp_min(1e-300)
        radius = self.support.radius * uniform[:, 1:] ** (1.0 / noise.shape[1])
        points = centers + radius * direction
        return points, 1.0 / self.support.multiplicity(points).clamp_min(1.0)

    def log_density(self, point: Point) -> Scalar:
        """Return the log density of `draw` without thinning, (...), for points of S."""
        if self.in_box:
            return torch.full_like(point[..., 0], -self.log_volume)
        return self.support.multiplicity(point).log() - self.log_volume

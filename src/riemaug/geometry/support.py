"""The compact set S of Eq. 3: where the samplers' law lives."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from riemaug._typing import Flag, Point


class Support(nn.Module):
    """S = all points within `radius` of some centroid.

    Outside the data sqrt det C tends to lambda^(d/2) > 0, so without S the law of Eq. 3 has infinite
    mass. The default radius is where one kernel's weight falls to lambda, T sqrt(log(1/lambda));
    for lambda above 1/e, where that would shrink to nothing, it is T.

    Parameters
    ----------
    centroids : Tensor (N, d)
    radius : float
        Positive, in latent units.
    """

    centroids: Tensor

    def __init__(self, centroids: Float[Tensor, "N dim"], radius: float) -> None:
        super().__init__()
        self.radius = float(radius)
        self.register_buffer("centroids", centroids)

    @classmethod
    def of_kernels(
        cls, centroids: Float[Tensor, "N dim"], bandwidth: float, regularization: float
    ) -> "Support":
        """Return the default support of Gaussian kernels of width `bandwidth` above lambda."""
        decay = max(math.log(1.0 / regularization), 1.0)
        return cls(centroids, bandwidth * math.sqrt(decay))

    def contains(self, point: Point) -> Flag:
        """Return whether each point lies in S, (...); points that are not finite do not."""
        cross = point @ self.centroids.T
        squares = (point * point).sum(-1, keepdim=True) + (self.centroids * self.centroids).sum(-1)
        return (squares - 2.0 * cross).amin(-1) <= self.radius**2

    def bounding_box(self) -> tuple[Float[Tensor, " dim"], Float[Tensor, " dim"]]:
        """Return the lower and upper corner of the smallest box that contains S."""
        return self.centroids.amin(0) - self.radius, self.centroids.amax(0) + self.radius

    def log_box_volume(self) -> float:
        """Return the logarithm of the bounding box's volume."""
        lower, upper = self.bounding_box()
        return float(torch.log(upper - lower).sum())

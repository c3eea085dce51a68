"""The compact set S of Eq. 3: where the samplers' law lives."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from riemaug._typing import Flag, Point, Scalar
from riemaug.errors import InvalidInputError
from riemaug.geometry.engine import CompiledCounts, can_compile

_POINTS_AT_ONCE = 1024


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

    Raises
    ------
    InvalidInputError
        A radius that is not positive and finite.
    """

    centroids: Tensor

    def __init__(self, centroids: Float[Tensor, "N dim"], radius: float) -> None:
        super().__init__()
        if not 0 < radius < math.inf:
            raise InvalidInputError(f"the radius of a support must be positive and finite, got {radius}")
        self.radius = float(radius)
        self.register_buffer("centroids", centroids)
        self._counts: tuple[Tensor, CompiledCounts] | None = None

    @classmethod
    def of_kernels(
        cls, centroids: Float[Tensor, "N dim"], bandwidth: float, regularization: float
    ) -> "Support":
        """Return the default support of Gaussian kernels of width `bandwidth` above lambda."""
        decay = max(math.log(1.0 / regularization), 1.0)
        return cls(centroids, bandwidth * math.sqrt(decay))

    def contains(self, point: Point) -> Flag:
        """Return whether each point lies in S, (...); points that are not finite do not."""
        flat = point.detach().reshape(-1, self.centroids.shape[1])
        counts = self._compiled_counts(flat)
        if counts is not None:
            return counts.any(flat).reshape(point.shape[:-1])
        return self.multiplicity(point) > 0

    def multiplicity(self, point: Point) -> Scalar:
        """Return in how many of the balls each point lies, (...), as a float; 0 if it is not finite."""
        flat = point.detach().reshape(-1, self.centroids.shape[1])
        parts = [self._count(part) for part in flat.split(_POINTS_AT_ONCE)]
        return torch.cat(parts).reshape(point.shape[:-1])

    def _count(self, point: Float[Tensor, "n dim"]) -> Float[Tensor, " n"]:
        counts = self._compiled_counts(point)
        if counts is not None:
            return counts.counts(point).nan_to_num_(0.0)
        # |c|^2 - 2 z c + |z|^2 in one product
        lifted = torch.cat([-2.0 * point, torch.ones_like(point[:, :1])], 1)
        squares = (self.centroids * self.centroids).sum(1, keepdim=True)
        gaps = lifted @ torch.cat([self.centroids, squares], 1).T
        limit = self.radius**2 - (point * point).sum(-1, keepdim=True)
        return ((gaps <= limit) & limit.isfinite()).sum(-1).to(point.dtype)

    def _compiled_counts(self, point: Float[Tensor, "n dim"]) -> CompiledCounts | None:
        """Return the compiled counts of the present centroids if they can take these points."""
        if not can_compile(self.centroids, point):
            return None
        if self._counts is None or self._counts[0] is not self.centroids:
            self._counts = (self.centroids, CompiledCounts(self.centroids.detach(), self.radius))
        return self._counts[1]

    def bounding_box(self) -> tuple[Float[Tensor, " dim"], Float[Tensor, " dim"]]:
        """Return the lower and upper corner of the smallest box that contains S."""
        return self.centroids.amin(0) - self.radius, self.centroids.amax(0) + self.radius

    def log_box_volume(self) -> float:
        """Return the logarithm of the bounding box's volume."""
        lower, upper = self.bounding_box()
        return float(torch.log(upper - lower).sum())

    def __getstate__(self) -> dict[str, Any]:
        """Return what is copied and sent to other processes: not what can be made anew."""
        return {**self.__dict__, "_counts": None}

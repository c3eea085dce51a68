"""Metrics that several tests share; not a test itself."""

import copy
from functools import cached_property

import torch
from torch import Tensor

from riemaug.geometry import KernelMetric, Metric, Support


def random_metric(
    dim: int,
    num_centroids: int,
    seed: int,
    bandwidth: float = 0.8,
    regularization: float = 0.01,
    spread: float = 1.2,
) -> KernelMetric:
    """Return an anisotropic kernel metric, float64."""
    generator = torch.Generator().manual_seed(seed)
    options = {"generator": generator, "dtype": torch.float64}
    centroids = spread * torch.randn(num_centroids, dim, **options)
    below = torch.tril(0.3 * torch.randn(num_centroids, dim, dim, **options), -1)
    diagonal = 0.6 * torch.exp(0.5 * torch.randn(num_centroids, dim, **options))
    return KernelMetric(centroids, below + torch.diag_embed(diagonal), bandwidth, regularization)


def isotropic_metric(dim: int, num_centroids: int, seed: int, regularization: float = 0.05) -> KernelMetric:
    """Return the metric of `random_metric` with each factor made a multiple of the identity."""
    metric = random_metric(dim, num_centroids, seed, regularization=regularization)
    scales = metric.factors.diagonal(dim1=-2, dim2=-1).mean(-1)
    factors = scales[:, None, None] * torch.eye(dim, dtype=torch.float64)
    return KernelMetric(metric.centroids, factors, metric.bandwidth, regularization)


class PlainKernelMetric(Metric):
    """The same cometric with no closed form: everything by the fall-backs of `Metric`."""

    def __init__(self, metric: KernelMetric) -> None:
        super().__init__()
        self.inner = metric

    @property
    def dim(self) -> int:
        return self.inner.dim

    def cometric_matrix(self, point: Tensor) -> Tensor:
        difference = point[..., None, :] - self.inner.centroids
        weights = torch.exp(-(difference**2).sum(-1) / self.inner.bandwidth**2)
        kernels = self.inner.factors @ self.inner.factors.mT
        identity = torch.eye(self.dim, dtype=point.dtype)
        return torch.einsum("...n,nij->...ij", weights, kernels) + self.inner.regularization * identity


_CELLS = {1: 20001, 2: 901, 3: 101}


class GridLaw:
    """pi^b on S integrated over the middles of a grid's cells, in one to three dimensions.

    Discretisation error: the density is smooth inside S, where the sum converges faster than any power
    of the cell; what is left comes from S's edge, where the density is near its floor. Doubling the cells
    moves log Z and the moments by less than 2e-4 on the metrics of the tests (`test_grids_are_fine_enough`),
    a hundredth of the standard errors that they are compared with. The coordinates' distribution
    functions are linear within a cell: off by less than 5e-4.

    Attributes
    ----------
    log_normalizer : float
        Log of the integral of pi^b over S.
    mean_log_density, var_log_density : float
        Of log pi.
    mean, var : Tensor (d,)
        Of the coordinates.
    """

    def __init__(
        self, metric: Metric, support: Support, power: float = 1.0, num_cells: int | None = None
    ) -> None:
        num = num_cells or _CELLS[metric.dim]
        self.lower, upper = support.bounding_box()
        self.cell = (upper - self.lower) / num
        axes = [
            low + step * (torch.arange(num, dtype=torch.float64) + 0.5)
            for low, step in zip(self.lower, self.cell, strict=True)
        ]
        points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2)
        inside = torch.cat([support.contains(part) for part in points.split(100_000)])
        self.points = points[inside]
        parts = self.points.split(50_000)
        self.log_density = torch.cat([metric.log_density(part) for part in parts]).detach()
        self._num, self._support = num, support
        self._weigh(power)

    def _weigh(self, power: float) -> None:
        weights = power * self.log_density
        self.log_normalizer = float(weights.logsumexp(0)) + float(self.cell.log().sum())
        self.probability = weights.softmax(0)
        self.mean_log_density = float(self.probability @ self.log_density)
        self.var_log_density = float(self.probability @ (self.log_density - self.mean_log_density).square())
        self.mean = self.probability @ self.points
        self.var = self.probability @ (self.points - self.mean).square()

    def raised(self, power: float) -> "GridLaw":
        """Return pi^b of another b on the same grid."""
        other = copy.copy(self)
        other.__dict__.pop("_levels", None)
        other._weigh(power)
        return other

    @property
    def log_det(self) -> float:
        """E[2 log pi]: of log det C for a metric given by C."""
        return 2.0 * self.mean_log_density

    def draw(self, num: int, seed: int) -> Tensor:
        """Return points of the law, (num, d): cells by their probability, even within a cell.

        A point beyond the edge of S goes back to the middle of its cell.
        """
        generator = torch.Generator().manual_seed(seed)
        uniform = torch.rand(num, generator=generator, dtype=torch.float64)
        cumulative = self.probability.cumsum(0)
        index = torch.searchsorted(cumulative, uniform * cumulative[-1]).clamp_max(len(cumulative) - 1)
        offset = torch.rand(num, len(self.cell), generator=generator, dtype=torch.float64) - 0.5
        points = self.points[index] + offset * self.cell
        return torch.where(self._support.contains(points)[:, None], points, self.points[index])

    def coordinate_cdf(self, axis: int, values: Tensor) -> Tensor:
        """Return P(z_axis <= value)."""
        offsets = (self.points[:, axis] - self.lower[axis]) / self.cell[axis]
        masses = torch.zeros(self._num, dtype=torch.float64)
        masses.index_add_(0, offsets.long().clamp(0, self._num - 1), self.probability)
        cumulative = torch.cat([torch.zeros(1).double(), masses.cumsum(0)])
        position = ((values - self.lower[axis]) / self.cell[axis]).clamp(0, self._num)
        left = position.long().clamp_max(self._num - 1)
        return torch.lerp(cumulative[left], cumulative[left + 1], position - left)

    def log_density_cdf(self, values: Tensor) -> Tensor:
        """Return P(log pi <= value)."""
        levels, cumulative = self._levels
        return cumulative[torch.searchsorted(levels, values.contiguous(), right=True)]

    @cached_property
    def _levels(self) -> tuple[Tensor, Tensor]:
        """The grid's values of log pi, sorted, and the mass below each."""
        order = self.log_density.argsort()
        cumulative = torch.cat([torch.zeros(1).double(), self.probability[order].cumsum(0)])
        return self.log_density[order].contiguous(), cumulative

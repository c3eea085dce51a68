"""Metrics that several tests share; not a test itself."""

import math

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


class GridLaw:
    """pi^b on S, integrated on a grid in one or two dimensions."""

    def __init__(self, metric: KernelMetric, support: Support, power: float = 1.0) -> None:
        lower, upper = support.bounding_box()
        num = 20001 if metric.dim == 1 else 901
        axes = [torch.linspace(float(a), float(b), num).double() for a, b in zip(lower, upper, strict=True)]
        points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2)
        cell = math.prod(float(b - a) / (num - 1) for a, b in zip(lower, upper, strict=True))
        log_density = metric.log_density(points)
        density = torch.where(support.contains(points), torch.exp(power * log_density), 0.0)
        self.axis = axes[0].numpy()
        self.log_normalizer = math.log(float(density.sum()) * cell)
        probability = density / density.sum()
        self.log_det = float((probability * 2.0 * log_density).sum())
        self.cumulative = (
            probability.unflatten(0, (num,) * metric.dim).reshape(num, -1).sum(1).cumsum(0).numpy()
        )

"""Metrics that the tests of the public checks share; not a test itself."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from riemaug.geometry import (
    EuclideanMetric,
    Metric,
    PosteriorPrecisionMetric,
    PullbackMetric,
    SphereMetric,
    TensorMetric,
)
from tests.metrics import PlainKernelMetric, random_metric


def places(dim: int, num: int = 5) -> Tensor:
    return torch.randn(num, dim, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def precision_metric(dim: int) -> PosteriorPrecisionMetric:
    generator = torch.Generator().manual_seed(dim)
    means = torch.randn(6, dim, generator=generator)
    return PosteriorPrecisionMetric(means, 0.2 + 0.3 * torch.rand(6, dim, generator=generator), 1.5, 0.01)


def tanh_decoder(dim: int) -> nn.Module:
    decoder = nn.Sequential(nn.Linear(dim, 8), nn.Tanh(), nn.Linear(8, 12), nn.Unflatten(1, (3, 4)))
    with torch.no_grad():
        for weight in decoder.parameters():
            weight.copy_(0.7 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(dim)))
    return decoder


class Bump(Metric):
    """A metric of a user: one method and nothing else."""

    @property
    def dim(self) -> int:
        return 2

    def cometric_matrix(self, point: Tensor) -> Tensor:
        height = 0.1 + torch.exp(-(point * point).sum(-1, keepdim=True))
        shear = torch.tensor([[1.0, 0.3], [0.3, 0.5]]).to(point)
        return height[..., None] * shear


class Valley(TensorMetric):
    """The same for a metric given by G, in any dimension."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self._dim = dim

    @property
    def dim(self) -> int:
        return self._dim

    def metric_matrix(self, point: Tensor) -> Tensor:
        identity = torch.eye(self.dim).to(point)
        return point[..., :, None] * point[..., None, :] + 0.5 * identity


OUR_METRICS: dict[str, Callable[[int], Metric]] = {
    "kernel": lambda dim: random_metric(dim, 6, seed=dim),
    "kernel by autograd": lambda dim: PlainKernelMetric(random_metric(dim, 6, seed=dim)),
    "posterior precision": precision_metric,
    "pull-back": lambda dim: PullbackMetric(tanh_decoder(dim), dim),
    "one method, G": Valley,
    "Euclid": EuclideanMetric,
    "sphere": SphereMetric,
}

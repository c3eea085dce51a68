"""The same numbers on CUDA as on the CPU; skipped where there is no CUDA."""

import pytest
import torch

from riemaug.geometry import KernelMetric, LagrangianLeapfrog, dist, exp
from riemaug.samplers import HMC, MixtureSampler, PaperWalk, RiemannianRandomWalk, Sampler
from riemaug.samplers.chain_sampler import ChainOptions
from tests.metrics import random_metric

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA, this machine has none"),
]


def pair(dim: int) -> tuple[KernelMetric, KernelMetric]:
    metric = random_metric(dim, 40, seed=dim)
    return metric, random_metric(dim, 40, seed=dim).to("cuda")


@pytest.mark.parametrize("dim", [1, 2, 3, 6])
def test_the_metric_and_its_flows(dim: int) -> None:
    here, there = pair(dim)
    generator = torch.Generator().manual_seed(0)
    point = torch.randn(50, dim, generator=generator, dtype=torch.float64)
    vector = 0.3 * torch.randn(50, dim, generator=generator, dtype=torch.float64)
    for method in ("log_density", "log_density_gradient", "cometric_matrix"):
        torch.testing.assert_close(getattr(there, method)(point.cuda()).cpu(), getattr(here, method)(point))
    for integrator in (None, LagrangianLeapfrog()):
        expected = exp(here, vector, point, integrator, 5)
        actual = exp(there, vector.cuda(), point.cuda(), integrator, 5)
        torch.testing.assert_close(actual.point.cpu(), expected.point, rtol=1e-8, atol=1e-9)


def test_distances() -> None:
    here, there = pair(2)
    expected = dist(here, here.centroids[:5], here.centroids[5:10])
    actual = dist(there, there.centroids[:5], there.centroids[5:10])
    torch.testing.assert_close(actual.values.cpu(), expected.values, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", [MixtureSampler, RiemannianRandomWalk, HMC, PaperWalk])
@pytest.mark.parametrize("dim", [2, 5])
def test_samplers_draw_on_the_metrics_device(kind: type[Sampler], dim: int) -> None:
    _, metric = pair(dim)
    options = {} if kind is MixtureSampler else {"chains": ChainOptions(num_steps=20)}
    draws = kind(metric, **options).sample(64, 0)
    assert draws.points.is_cuda
    torch.testing.assert_close(draws.log_density, metric.log_density(draws.points))

"""Every sampler that states pi^b has it: grids in one to three dimensions, importance sampling in ten.

Chains begin in the law, at points drawn from the grid itself and not by code under test, and must stay: a
wrong law leaves it within a few steps, however well or badly the chains mix. All chains are independent.
Seeds are fixed; `assert_law` fails by chance with probability below 1.2e-4, the file with fresh seeds below
1.5e-2.
"""

from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor

from riemaug.geometry import (
    GeneralizedLeapfrog,
    GeodesicIntegrator,
    ImplicitMidpoint,
    KernelMetric,
    Metric,
    Support,
)
from riemaug.geometry.posterior_precision import PosteriorPrecisionMetric
from riemaug.samplers import HMC, ChainOptions, MixtureSampler, RiemannianRandomWalk, run_chains
from riemaug.samplers.chain_sampler import ChainSampler
from tests.metrics import GridLaw, PlainKernelMetric, random_metric
from tests.statistics.checks import WeightedLaw, assert_law, importance_law

pytestmark = pytest.mark.statistics

Build = Callable[[Metric, Support, float], ChainSampler]


def fixed_walk(metric: Metric, support: Support, power: float) -> ChainSampler:
    return RiemannianRandomWalk(
        metric,
        support,
        covariance=1.0 / metric.dim**2,
        num_integration_steps=2,
        inverse_temperature=power,
    )


def adaptive_walk(metric: Metric, support: Support, power: float) -> ChainSampler:
    return RiemannianRandomWalk(
        metric,
        support,
        covariance=1.0 / metric.dim,
        adaptive=True,
        num_integration_steps=2,
        inverse_temperature=power,
    )


def hmc(metric: Metric, support: Support, power: float) -> ChainSampler:
    options = ChainOptions(num_tuning_steps=40)
    return HMC(metric, support, num_leapfrog_steps=3, inverse_temperature=power, chains=options).tuned(0)


CHAINS: dict[str, Build] = {"walk": fixed_walk, "walk-adaptive": adaptive_walk, "hmc": hmc}


@cache
def kernel_law(dim: int, seed: int, power: float) -> tuple[KernelMetric, GridLaw]:
    if power != 1.0:
        metric, law = kernel_law(dim, seed, 1.0)
        return metric, law.raised(power)
    metric = random_metric(dim, 6, seed)
    return metric, GridLaw(metric, metric.default_support())


def assert_chains_stay(
    sampler: ChainSampler, law: GridLaw | WeightedLaw, start: Tensor, num_steps: int, least: float = 0.1
) -> None:
    run = run_chains(sampler, sampler.init(start), num_steps, torch.Generator().manual_seed(3))
    assert least < float(run.acceptance.mean()) < 0.97
    assert sampler.support.contains(run.state.position).all()
    assert_law(run.state.position, run.state.log_density, law)


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("dim", [1, 2, 3])
@pytest.mark.parametrize("name", CHAINS)
def test_chains_stay_in_the_law_of_the_grid(name: str, dim: int, seed: int, power: float) -> None:
    metric, law = kernel_law(dim, seed, power)
    sampler = CHAINS[name](metric, metric.default_support(), power)
    assert_chains_stay(sampler, law, law.draw(3000, seed), num_steps=12)


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_the_mixture_sampler_has_the_law_of_the_grid(dim: int, seed: int, power: float) -> None:
    metric, law = kernel_law(dim, seed, power)
    count = 10_000 if dim * power <= 4 else 1000
    draws = MixtureSampler(metric, inverse_temperature=power).sample(count, seed)
    assert_law(draws.points, draws.log_density, law)


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_grids_are_fine_enough(dim: int) -> None:
    metric, law = kernel_law(dim, 0, 1.0)
    num = {1: 40002, 2: 1401, 3: 141}[dim]
    finer = GridLaw(metric, metric.default_support(), 1.0, num)
    gap = finer.log_normalizer - law.log_normalizer
    gaps = [gap, finer.mean_log_density - law.mean_log_density, *(finer.mean - law.mean).tolist()]
    gaps += [finer.var_log_density - law.var_log_density, *(finer.var - law.var).tolist()]
    assert max(map(abs, gaps)) < 2e-4
    values = torch.linspace(-2, 2, 101).double()
    for axis in range(dim):
        gap = (finer.coordinate_cdf(axis, values) - law.coordinate_cdf(axis, values)).abs().max()
        assert float(gap) < 5e-4


@pytest.mark.parametrize(
    "integrator", [GeneralizedLeapfrog(), ImplicitMidpoint()], ids=["leapfrog", "midpoint"]
)
@pytest.mark.parametrize(("dim", "power"), [(1, 1.0), (2, 2.0)])
def test_walks_along_implicit_integrators_stay(
    integrator: GeodesicIntegrator, dim: int, power: float
) -> None:
    metric, law = kernel_law(dim, 1, power)
    walk = RiemannianRandomWalk(
        metric, integrator=integrator, num_integration_steps=3, inverse_temperature=power
    )
    assert_chains_stay(walk, law, law.draw(1000, 0), num_steps=5)


def precision_metric(dim: int) -> tuple[Metric, Support]:
    """A metric given by G, large at the data."""
    generator = torch.Generator().manual_seed(dim)
    centroids = torch.randn(5, dim, generator=generator, dtype=torch.float64)
    deviations = 0.3 + 0.5 * torch.rand(5, dim, generator=generator, dtype=torch.float64)
    metric = PosteriorPrecisionMetric(centroids, deviations, 1.5, 0.1)
    return metric, Support(centroids, 1.5)


class Valley(Metric):
    """A user's metric, one method written: C grows away from the axis, wider to one side."""

    @property
    def dim(self) -> int:
        return 2

    def cometric_matrix(self, point: Tensor) -> Tensor:
        x, y = point.unbind(-1)
        a, b, c = 1.0 + (x - 0.5 * y).square(), 0.3 * torch.sin(x), 0.5 + 0.4 * torch.tanh(y)
        return torch.stack([a, b, b, c + 0.2], -1).unflatten(-1, (2, 2))


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("kind", ["precision-1", "precision-2", "one-method", "no-closed-form"])
def test_other_metrics_have_the_law_they_state(name: str, kind: str) -> None:
    if kind == "one-method":
        metric, support = Valley(), Support(torch.tensor([[0.0, 0.0], [0.8, 0.3]]).double(), 1.2)
    elif kind == "no-closed-form":
        inner = random_metric(1, 4, seed=3)
        metric, support = PlainKernelMetric(inner), inner.default_support()
    else:
        metric, support = precision_metric(int(kind[-1]))
    law = GridLaw(metric, support, num_cells=4001 if metric.dim == 1 else 401)
    sampler = CHAINS[name](metric, support, 1.0)
    assert_chains_stay(sampler, law, law.draw(2000, 0), num_steps=6)


@cache
def ten_dimensional_law(power: float) -> tuple[KernelMetric, WeightedLaw]:
    metric = random_metric(10, 20, seed=10, bandwidth=1.5, regularization=1e-3)
    return metric, importance_law(metric, power, 400_000)


@pytest.mark.slow
@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("name", CHAINS)
def test_chains_stay_in_ten_dimensions(name: str, power: float) -> None:
    metric, law = ten_dimensional_law(power)
    generator = torch.Generator().manual_seed(1)
    start = law.points[torch.multinomial(law.probability, 3000, replacement=True, generator=generator)]
    sampler = CHAINS[name](metric, metric.default_support(), power)
    assert_chains_stay(sampler, law, start, num_steps=60 if name == "hmc" else 30, least=0.0)


@pytest.mark.slow
@pytest.mark.parametrize("power", [1.0, 2.0])
def test_the_mixture_sampler_in_ten_dimensions(power: float) -> None:
    metric, law = ten_dimensional_law(power)
    draws = MixtureSampler(metric, inverse_temperature=power).sample(4000, 0)
    assert_law(draws.points, draws.log_density, law)

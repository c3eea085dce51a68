"""The exact walk stays in pi, keeps detailed balance, and the paper's walk does neither.

Chains that begin in pi (draws of the mixture sampler, itself tested against grids) are independent, so
plain standard errors hold. Seeds are fixed; |z| < 4.5 fails by chance with probability 7e-6 each.
"""

import pytest
import torch

from riemaug.geometry import (
    GeneralizedLeapfrog,
    GeodesicIntegrator,
    KernelMetric,
    LagrangianLeapfrog,
)
from riemaug.samplers import MixtureSampler, PaperWalk, RiemannianRandomWalk, run_chains
from tests.metrics import GridLaw, PlainKernelMetric, random_metric
from tests.statistics.checks import ks_pvalue, z_score

pytestmark = pytest.mark.statistics


def end_of_chains(
    walk: RiemannianRandomWalk | PaperWalk, metric: KernelMetric, power: float, num: int, steps: int
):
    start = MixtureSampler(metric, inverse_temperature=power).sample(num, 5).points
    return run_chains(walk, walk.init(start), steps, torch.Generator().manual_seed(6))


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize(
    ("integrator", "num", "steps", "sub_steps"),
    [(LagrangianLeapfrog(), 4000, 30, 3), (GeneralizedLeapfrog(), 1500, 8, 3)],
    ids=["lagrangian", "generalized"],
)
def test_chains_that_begin_in_pi_stay_in_pi(
    integrator: GeodesicIntegrator,
    num: int,
    steps: int,
    sub_steps: int,
    dim: int,
    power: float,
    adaptive: bool,
) -> None:
    metric = random_metric(dim, 6, seed=10 + dim)
    law = GridLaw(metric, metric.default_support(), power)
    walk = RiemannianRandomWalk(
        metric,
        integrator=integrator,
        num_integration_steps=sub_steps,
        covariance=0.5,
        adaptive=adaptive,
        inverse_temperature=power,
    )
    run = end_of_chains(walk, metric, power, num, steps)
    assert 0.2 < float(run.acceptance.mean()) < 0.95
    assert abs(z_score(2 * run.state.log_density, law.log_det)) < 4.5
    assert ks_pvalue(run.state.position, law) > 1e-5
    torch.testing.assert_close(run.state.log_density, metric.log_density(run.state.position))


def test_full_covariances_stay_in_pi() -> None:
    metric = random_metric(2, 6, seed=12)
    law = GridLaw(metric, metric.default_support())
    covariance = torch.tensor([[0.5, 0.3], [0.3, 0.4]])
    walk = RiemannianRandomWalk(metric, covariance=covariance, num_integration_steps=2)
    run = end_of_chains(walk, metric, 1.0, 4000, 30)
    assert abs(z_score(2 * run.state.log_density, law.log_det)) < 4.5
    assert ks_pvalue(run.state.position, law) > 1e-5


def test_any_metric_can_be_walked() -> None:
    metric = random_metric(1, 4, seed=3)
    law = GridLaw(metric, metric.default_support())
    walk = RiemannianRandomWalk(PlainKernelMetric(metric), metric.default_support(), num_integration_steps=2)
    run = end_of_chains(walk, metric, 1.0, 2000, 10)
    assert abs(z_score(2 * run.state.log_density, law.log_det)) < 4.5


def imbalance(walk: RiemannianRandomWalk | PaperWalk, metric: KernelMetric) -> float:
    """z-score of E[f(x) g(y) - f(y) g(x)] over one step from x ~ pi to y: 0 under detailed balance."""
    draws = MixtureSampler(metric).sample(40000, 8)
    state = walk.init(draws.points)
    moved, _ = walk.step(state, torch.Generator().manual_seed(9))
    levels = (state.log_density, moved.log_density)
    values = torch.tanh(levels[0]) * levels[1] - torch.tanh(levels[1]) * levels[0]
    return z_score(values, 0.0)


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_detailed_balance(dim: int, adaptive: bool) -> None:
    metric = random_metric(dim, 6, seed=20 + dim)
    walk = RiemannianRandomWalk(metric, num_integration_steps=3, adaptive=adaptive)
    assert abs(imbalance(walk, metric)) < 4.5


def test_the_printed_algorithm_breaks_detailed_balance() -> None:
    metric = random_metric(2, 6, seed=22)
    assert abs(imbalance(PaperWalk(metric), metric)) > 10


@pytest.mark.parametrize(("dim", "sigma", "steps"), [(1, 0.1, 150), (2, 0.2, 150)])
def test_the_printed_algorithm_leaves_pi(dim: int, sigma: float, steps: int) -> None:
    metric = random_metric(dim, 6, seed=30 + dim, spread=1.5 if dim == 1 else 1.2)
    law = GridLaw(metric, metric.default_support())
    walk = PaperWalk(metric, covariance=sigma**2, num_integration_steps=5)
    run = end_of_chains(walk, metric, 1.0, 2000, steps)
    score = z_score(2 * run.state.log_density, law.log_det)
    # it concentrates in one dimension (pi^2 for small sigma) and, anisotropic, drifts outwards in two
    assert score > 8 if dim == 1 else score < -8


@pytest.mark.slow
@pytest.mark.parametrize("dim", [1, 2])
def test_chains_from_the_centroids_reach_pi(dim: int) -> None:
    metric = random_metric(dim, 6, seed=40 + dim)
    law = GridLaw(metric, metric.default_support())
    draws = RiemannianRandomWalk(metric).sample(1024, 0)
    assert abs(z_score(2 * draws.log_density, law.log_det)) < 4.5
    assert ks_pvalue(draws.points, law) > 1e-5
    assert draws.diagnostics.converged


@pytest.mark.slow
def test_printed_algorithm_in_the_long_run() -> None:
    # d = 1: pi^2 in the limit of small sigma, for isotropic kernels (every kernel is, in one dimension)
    metric = random_metric(1, 6, seed=31, spread=1.5)
    support = metric.default_support()
    once, twice = GridLaw(metric, support), GridLaw(metric, support, 2.0)
    walk = PaperWalk(metric, covariance=0.05**2, num_integration_steps=4)
    run = end_of_chains(walk, metric, 2.0, 2000, 3000)
    mean = float(2 * run.state.log_density.mean())
    assert abs(mean - twice.log_det) < 0.3 * abs(twice.log_det - once.log_det)

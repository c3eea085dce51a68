"""Hamiltonian Monte Carlo: detailed balance, the true force against the published one, robustness.

That its chains stay in the law of a grid is in `test_chain_laws_grid`. Seeds are fixed; |z| < 4.5 fails by
chance with probability 7e-6 each.
"""

import math

import pytest
import torch
from torch import Tensor

from riemaug import linalg
from riemaug.geometry import KernelMetric, Metric, Support
from riemaug.samplers import HMC, ChainOptions, MixtureSampler, run_chains
from riemaug.samplers.adaptation import DualAveraging
from tests.metrics import GridLaw, random_metric
from tests.statistics.checks import assert_law, imbalance, importance_law

pytestmark = pytest.mark.statistics


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_detailed_balance(dim: int, scaled: bool) -> None:
    metric = random_metric(dim, 6, seed=20 + dim)
    scales = torch.linspace(0.5, 2.0, dim).double() if scaled else None
    sampler = HMC(metric, step_size=0.6, num_leapfrog_steps=3, scales=scales)
    start = MixtureSampler(metric).sample(40_000, 8).points
    assert max(map(abs, imbalance(sampler, start, 9))) < 4.5


class PublishedForce(KernelMetric):
    """The true density with the force of the published code, (1/T^2) G sum_i w_i M_i (c_i - z)."""

    def log_density_and_gradient(self, point: Tensor) -> tuple[Tensor, Tensor]:
        away = self.centroids - point[..., None, :]
        weights = torch.exp(-away.square().sum(-1) / self.bandwidth**2)
        kernels = self.factors @ self.factors.mT
        pull = torch.einsum("...n,nij,...nj->...i", weights, kernels, away) / self.bandwidth**2
        return self.log_density(point), linalg.solve_spd(self.cometric_factor(point), pull)


def test_the_published_force_loses_most_moves_in_ten_dimensions() -> None:
    # measured: 0.996 with the gradient, 0.134 with the published force, same steps and noise
    metric = random_metric(10, 20, seed=10, bandwidth=1.5, regularization=1e-3)
    wrong = PublishedForce(metric.centroids, metric.factors, metric.bandwidth, metric.regularization)
    start = metric.centroids.repeat(20, 1)
    acceptance = []
    for case in (metric, wrong):
        sampler = HMC(case, step_size=0.05, num_leapfrog_steps=10)
        run = run_chains(sampler, sampler.init(start), 15, torch.Generator().manual_seed(0))
        acceptance.append(float(run.acceptance.mean()))
    assert acceptance[0] > 0.98
    assert acceptance[1] < 0.25


def test_the_force_is_the_gradient_of_log_pi() -> None:
    metric = random_metric(5, 7, seed=4)
    state = HMC(metric).init(metric.centroids + 0.3)
    point = (metric.centroids + 0.3).requires_grad_()
    (expected,) = torch.autograd.grad(metric.log_density(point).sum(), point)
    torch.testing.assert_close(state.gradient, expected)


def test_energies_of_a_thousand_do_not_stop_the_chain() -> None:
    # C times 1e-100 moves log pi by -1,151 and no gradient: exp(-H) is 0 in either run, the ratio is not
    metric = random_metric(10, 12, seed=1, bandwidth=1.5)
    scale = 1e-50
    tiny = KernelMetric(
        metric.centroids, scale * metric.factors, metric.bandwidth, scale**2 * metric.regularization
    )
    runs = []
    for case in (metric, tiny):
        sampler = HMC(case, metric.default_support(), step_size=0.4)
        start = sampler.init(metric.centroids)
        runs.append(run_chains(sampler, start, 20, torch.Generator().manual_seed(0)))
    assert float(runs[1].state.log_density.max()) < -1100
    torch.testing.assert_close(runs[0].state.position, runs[1].state.position, rtol=1e-6, atol=1e-6)
    assert float(runs[1].acceptance.mean()) > 0.3


class Broken(Metric):
    """A metric that gives NaN on one side of a line."""

    def __init__(self, inner: Metric) -> None:
        super().__init__()
        self.inner = inner

    @property
    def dim(self) -> int:
        return self.inner.dim

    def cometric_matrix(self, point: Tensor) -> Tensor:
        matrix = self.inner.cometric_matrix(point)
        return torch.where(point[..., :1, None] > 0.5, math.nan, matrix)


@pytest.mark.parametrize("dim", [1, 2])
def test_proposals_that_are_nan_are_rejected_and_poison_nothing(dim: int) -> None:
    inner = random_metric(dim, 6, seed=2)
    support = inner.default_support()
    sampler = HMC(Broken(inner), support, step_size=0.5)
    start = GridLaw(inner, support).draw(3000, 0)
    start = start[start[:, 0] < 0.5]
    run = run_chains(sampler, sampler.init(start), 20, torch.Generator().manual_seed(0))
    assert run.divergences > 100
    assert run.state.position.isfinite().all()
    assert run.state.log_density.isfinite().all()
    assert float(run.state.position[:, 0].max()) <= 0.5
    moved = (run.state.position != start).any(-1).double().mean()
    assert float(moved) > 0.95
    # what is left is pi on that side of the line: chains begun in it stay in it
    law = GridLaw(inner, support)
    keep = law.points[:, 0] < 0.5
    values, weights = law.log_density[keep], law.probability[keep] / law.probability[keep].sum()
    gap = float(run.state.log_density.mean()) - float(weights @ values)
    assert abs(gap) < 4.5 * float(run.state.log_density.std()) / len(start) ** 0.5


def test_explosive_steps_are_divergent_and_rejected() -> None:
    metric = random_metric(2, 6, seed=0)
    sampler = HMC(metric, step_size=1e4)
    state = sampler.init(metric.centroids.repeat(50, 1))
    new, info = sampler.step(state, torch.Generator().manual_seed(0))
    assert not info.is_accepted.any()
    assert torch.equal(new.position, state.position)
    assert (info.is_divergent | info.is_outside).all()
    huge = HMC(metric, step_size=1e300)
    new, info = huge.step(huge.init(metric.centroids), torch.Generator().manual_seed(0))
    assert info.is_divergent.any()
    assert torch.equal(new.position, metric.centroids)
    assert info.acceptance_probability.isfinite().all()


@pytest.mark.parametrize("target", [0.6, 0.8, 0.95])
@pytest.mark.parametrize("dim", [2, 5])
def test_the_step_is_tuned_to_the_target(dim: int, target: float) -> None:
    metric = random_metric(dim, 12, seed=3)
    sampler = HMC(metric, target_acceptance=target, chains=ChainOptions(num_steps=30))
    diagnostics = sampler.sample(128, 0).diagnostics
    assert diagnostics.acceptance == pytest.approx(target, abs=0.05)
    assert diagnostics.step_size == sampler.tuned(0).step_size
    assert diagnostics.step_size != sampler.step_size
    assert diagnostics.evaluations == 128 * 5 * (100 + 30)


class Stretched(Metric):
    """A kernel metric seen through coordinates of which the second is eight times as long."""

    def __init__(self, inner: KernelMetric) -> None:
        super().__init__()
        self.inner = inner

    @property
    def dim(self) -> int:
        return 2

    def cometric_matrix(self, point: Tensor) -> Tensor:
        return self.inner.cometric_matrix(point / torch.tensor([1.0, 8.0]).double())


def test_adapted_scales_follow_the_law_and_keep_it() -> None:
    inner = random_metric(2, 6, seed=5, regularization=1e-5)
    metric = Stretched(inner)
    support = Support(inner.centroids * torch.tensor([1.0, 8.0]).double(), 12.0)
    law = GridLaw(metric, support, num_cells=801)
    # one draw in some thousands lies where log pi is below -9: with fewer its variance is not near normal
    start = law.draw(6000, 0)
    options = ChainOptions(num_chains=512)
    moves = []
    for adapts in (True, False):
        sampler = HMC(metric, support, adapt_scales=adapts, chains=options).tuned(0)
        run = run_chains(sampler, sampler.init(start), 10, torch.Generator().manual_seed(1))
        moves.append(float((run.state.position - start)[:, 1].std()))
        assert_law(run.state.position, run.state.log_density, law)
        assert (float(sampler.scales[1] / sampler.scales[0]) > 4) == adapts
    assert moves[0] > 1.5 * moves[1]


def test_dual_averaging_finds_the_root_of_a_noisy_acceptance() -> None:
    generator = torch.Generator().manual_seed(0)
    search = DualAveraging.start(5.0, 0.7)
    for _ in range(300):
        noise = 0.05 * float(torch.randn((), generator=generator))
        search = search.updated(math.exp(-search.step_size) + noise)
    assert search.tuned_step_size == pytest.approx(-math.log(0.7), rel=0.05)
    assert search.count == 300
    assert DualAveraging.start(2.0, 0.8).tuned_step_size == pytest.approx(2.0)


def test_an_acceptance_of_nan_makes_the_step_smaller() -> None:
    search = DualAveraging.start(1.0, 0.8)
    for _ in range(20):
        search = search.updated(math.nan)
    assert search.tuned_step_size < 0.1


MANY = ChainOptions(num_steps=100, num_chains=1024)


@pytest.mark.slow
@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_chains_from_the_centroids_reach_the_law(dim: int, power: float) -> None:
    metric = random_metric(dim, 6, seed=42 + dim)
    law = GridLaw(metric, metric.default_support(), power)
    draws = HMC(metric, inverse_temperature=power, chains=MANY).sample(2048, 0)
    assert_law(draws.points, draws.log_density, law)
    assert draws.diagnostics.converged


@pytest.mark.slow
def test_chains_from_the_centroids_reach_the_law_in_ten_dimensions() -> None:
    metric = random_metric(10, 20, seed=10, bandwidth=1.5, regularization=1e-3)
    draws = HMC(metric, chains=MANY).sample(2048, 0)
    assert_law(draws.points, draws.log_density, importance_law(metric, 1.0, 400_000))
    assert draws.diagnostics.converged

"""What holds for every sampler: reproducible blocks, edges of the input, untouched surroundings."""

import json
import math

import pytest
import torch

from riemaug.errors import InvalidInputError
from riemaug.geometry import ExplicitMidpoint, KernelMetric, Support
from riemaug.random import Stream
from riemaug.samplers import (
    HMC,
    ChainOptions,
    MixtureSampler,
    PriorSampler,
    RiemannianRandomWalk,
    Sampler,
    SamplingProgress,
)
from tests.metrics import PlainKernelMetric, random_metric
from tests.statistics.chain_cases import chain_samplers


def samplers() -> dict[str, Sampler]:
    plane, space = random_metric(2, 6, seed=0), random_metric(3, 5, seed=0)
    return {
        "prior": PriorSampler(3),
        "mixture-2": MixtureSampler(plane),
        "mixture-2-squared": MixtureSampler(plane, inverse_temperature=2.0),
        "mixture-3": MixtureSampler(space),
        "mixture-5": MixtureSampler(random_metric(5, 4, seed=0, bandwidth=1.2)),
        **chain_samplers(),
    }


NAMES = list(samplers())


@pytest.mark.parametrize("name", NAMES)
def test_a_draw_depends_on_the_seed_and_its_index_alone(name: str) -> None:
    sampler = samplers()[name]
    torch.manual_seed(0)
    before = torch.get_rng_state()
    few, many = sampler.sample(sampler.block_size - 3, 7), sampler.sample(sampler.block_size + 44, 7)
    count = len(few.points)
    for field in ("points", "log_density", "origin", "acceptance"):
        assert torch.equal(getattr(many, field)[:count], getattr(few, field))
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(sampler.sample(5, 8).points, few.points[:5])
    assert not torch.equal(many.points[-44:], many.points[:44])


@pytest.mark.parametrize("name", NAMES)
def test_results_are_complete_at_every_size(name: str) -> None:
    sampler = samplers()[name]
    for num in (0, 1, 5):
        draws = sampler.sample(num, Stream(1).child("class"))
        assert draws.points.shape[0] == draws.log_density.shape[0] == draws.origin.shape[0] == num
        assert draws.points.dtype == torch.float64
        assert draws.points.isfinite().all()
        assert draws.diagnostics.num_draws == num
        assert draws.diagnostics.message
        json.dumps(draws.diagnostics.to_dict(), allow_nan=False)
    with pytest.raises(InvalidInputError, match="num_samples must be 0 or more, got -1"):
        sampler.sample(-1, 0)


def test_progress_is_told_after_each_block() -> None:
    seen: list[SamplingProgress] = []
    sampler = MixtureSampler(random_metric(2, 4, seed=0))
    size = sampler.block_size
    total = 2 * size + 88
    sampler.sample(total, 0, seen.append)
    done = [(progress.done, progress.total) for progress in seen]
    assert done == [(size, total), (2 * size, total), (total, total)]
    assert all(0 < progress.acceptance <= 1 for progress in seen)


def test_the_metric_passed_in_is_left_alone() -> None:
    factors = torch.eye(2).expand(4, 2, 2).clone().requires_grad_()
    metric = KernelMetric(
        torch.randn(4, 2, generator=torch.Generator().manual_seed(0)), factors * 0.5, 0.8, 0.01
    )
    few = ChainOptions(num_steps=2, num_tuning_steps=2)
    for sampler in (
        MixtureSampler(metric),
        RiemannianRandomWalk(metric, chains=few),
        HMC(metric, chains=few),
    ):
        draws = sampler.sample(3, 0)
        assert not draws.points.requires_grad
        torch.testing.assert_close(
            draws.log_density.float(), metric.log_density(draws.points.float()).detach()
        )
    assert metric.centroids.dtype == torch.float32
    assert metric.factors.requires_grad


@pytest.mark.parametrize("dim", [1, 2, 3, 5])
@pytest.mark.parametrize("regularization", [1e-6, 1.0])
def test_one_centroid_and_coincident_centroids(dim: int, regularization: float) -> None:
    centroids = torch.full((3, dim), 4.0, dtype=torch.float64)
    factors = 0.5 * torch.eye(dim, dtype=torch.float64).expand(3, dim, dim)
    for count in (1, 3):
        metric = KernelMetric(centroids[:count], factors[:count], 0.8, regularization)
        draws = MixtureSampler(metric).sample(200, 0)
        assert metric.default_support().contains(draws.points).all()
        assert draws.diagnostics.converged
        few = ChainOptions(num_steps=8, num_chains=16, num_tuning_steps=10)
        for sampler in (RiemannianRandomWalk(metric, chains=few), HMC(metric, chains=few)):
            drawn = sampler.sample(16, 0).points
            assert drawn.isfinite().all()
            assert metric.default_support().contains(drawn).all()


def test_a_lone_kernel_in_two_dimensions_has_the_closed_form_normalizer() -> None:
    # C = (m w + lambda) I, so log Z = log(pi m T^2 (1 - lambda) + lambda pi r^2), r^2 = T^2 log(1 / lambda)
    metric = KernelMetric(torch.zeros(1, 2), torch.eye(2)[None] * math.sqrt(0.3), 0.8, 0.01)
    expected = math.log(math.pi * 0.64 * (0.3 * 0.99 + 0.01 * math.log(100.0)))
    measured = MixtureSampler(metric).sample(20000, 0).diagnostics.log_normalizer
    assert measured == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("dim", [16, pytest.param(64, marks=pytest.mark.slow)])
def test_many_dimensions(dim: int) -> None:
    metric = random_metric(dim, 6, seed=0, bandwidth=3.0, regularization=1e-3)
    draws = MixtureSampler(metric).sample(20, 0)
    assert draws.points.isfinite().all()
    assert draws.log_density.isfinite().all()
    assert draws.diagnostics.log_normalizer is not None
    assert draws.diagnostics.converged is not None


def test_far_clusters_keep_their_shares() -> None:
    # a box around both has a million times the mass of the data; the balls do not
    near = random_metric(2, 5, seed=1)
    centroids = torch.cat([near.centroids, near.centroids + 1e5])
    metric = KernelMetric(centroids, torch.cat([near.factors] * 2), 0.8, 0.01)
    draws = MixtureSampler(metric).sample(2000, 0)
    share = float((draws.points[:, 0] > 5e4).double().mean())
    assert abs(share - 0.5) < 5 * 0.5 / math.sqrt(2000)
    assert (draws.diagnostics.acceptance or 0) > 0.5


def begin(metric: KernelMetric, start: torch.Tensor) -> None:
    HMC(metric, chains=ChainOptions(start=start)).sample(3, 0)


def test_parameters_out_of_range_are_refused_in_one_line() -> None:
    metric = random_metric(2, 4, seed=0)
    cases = [
        (lambda: MixtureSampler(metric, inverse_temperature=0.0), "inverse_temperature must be"),
        (lambda: MixtureSampler(PlainKernelMetric(metric)), "needs a KernelMetric"),
        (lambda: MixtureSampler(metric, Support(torch.zeros(1, 3), 1.0)), "one dimension"),
        (lambda: RiemannianRandomWalk(metric, integrator=ExplicitMidpoint()), "reversible integrator"),
        (lambda: RiemannianRandomWalk(metric, num_integration_steps=0), "must be 1 or more"),
        (lambda: RiemannianRandomWalk(metric, target_acceptance=1.0), "between 0 and 1"),
        (
            lambda: RiemannianRandomWalk(metric, adaptive=True, covariance=0.0),
            "covariance must be a positive",
        ),
        (lambda: HMC(metric, num_leapfrog_steps=0), "must be 1 or more"),
        (lambda: HMC(metric, step_size=-0.1), "step_size must be a positive"),
        (lambda: HMC(metric, step_size=0.1, adapt_scales=True), "with a tuned step only"),
        (lambda: HMC(metric, scales=torch.ones(3)), "scales must be 2 positive"),
        (lambda: HMC(metric, inverse_temperature=math.inf), "inverse_temperature must be"),
        (lambda: HMC(PlainKernelMetric(metric)), "default support"),
        (lambda: ChainOptions(num_steps=0), "num_steps must be 1 or more"),
        (lambda: ChainOptions(num_chains=0), "num_chains must be 1 or more"),
        (lambda: ChainOptions(burn_in=-1), "burn_in must be 0 or more"),
        (lambda: ChainOptions(num_steps=10, thinning=11), "thinning must be from 1"),
        (lambda: begin(metric, torch.zeros(3, 3)), "points of 2 coordinates, got 3"),
        (lambda: begin(metric, torch.zeros(0, 2)), "m > 0"),
        (lambda: begin(metric, torch.full((1, 2), 1e6)), "128 of 128 starts lie outside"),
        (lambda: begin(metric, torch.full((1, 2), math.nan)), "where log pi is finite"),
        (lambda: RiemannianRandomWalk(metric, covariance=-1.0), "positive definite"),
        (lambda: RiemannianRandomWalk(metric, covariance=torch.ones(3)), "covariance must be a number"),
        (lambda: RiemannianRandomWalk(metric, covariance=torch.ones(2), adaptive=True), "one number"),
        (
            lambda: RiemannianRandomWalk(metric, covariance=torch.tensor([[1.0, 0.5], [0.0, 1.0]])),
            "symmetric",
        ),
        (lambda: RiemannianRandomWalk(PlainKernelMetric(metric)), "default support"),
    ]
    for build, message in cases:
        with pytest.raises(InvalidInputError, match=message) as caught:
            build()
        assert "\n" not in str(caught.value)

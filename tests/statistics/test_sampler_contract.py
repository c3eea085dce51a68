"""What holds for every sampler: reproducible blocks, edges of the input, untouched surroundings."""

import json
import math

import pytest
import torch

from riemaug.errors import InvalidInputError
from riemaug.geometry import ExplicitMidpoint, KernelMetric, Support
from riemaug.random import Stream
from riemaug.samplers import (
    MixtureSampler,
    PaperWalk,
    PriorSampler,
    RiemannianRandomWalk,
    Sampler,
    SamplingProgress,
)
from riemaug.samplers.diagnostics import effective_fraction, pareto_shape, summarize_chains
from riemaug.samplers.independence import steps_to_converge
from tests.metrics import PlainKernelMetric, random_metric


def samplers() -> dict[str, Sampler]:
    plane, space = random_metric(2, 6, seed=0), random_metric(3, 5, seed=0)
    return {
        "prior": PriorSampler(3),
        "mixture-2": MixtureSampler(plane),
        "mixture-2-squared": MixtureSampler(plane, inverse_temperature=2.0),
        "mixture-3": MixtureSampler(space),
        "mixture-5": MixtureSampler(random_metric(5, 4, seed=0, bandwidth=1.2)),
        "walk": RiemannianRandomWalk(space, num_steps=20, num_integration_steps=2),
        "walk-adaptive": RiemannianRandomWalk(plane, num_steps=20, adaptive=True),
        "walk-paper": PaperWalk(plane, num_steps=20, num_integration_steps=2),
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
    MixtureSampler(random_metric(2, 4, seed=0)).sample(600, 0, seen.append)
    assert [(progress.done, progress.total) for progress in seen] == [(256, 600), (512, 600), (600, 600)]
    assert all(0 < progress.acceptance <= 1 for progress in seen)


def test_the_metric_passed_in_is_left_alone() -> None:
    factors = torch.eye(2).expand(4, 2, 2).clone().requires_grad_()
    metric = KernelMetric(
        torch.randn(4, 2, generator=torch.Generator().manual_seed(0)), factors * 0.5, 0.8, 0.01
    )
    for sampler in (MixtureSampler(metric), RiemannianRandomWalk(metric, num_steps=2)):
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
        walk = RiemannianRandomWalk(metric, num_steps=8).sample(16, 0)
        assert walk.points.isfinite().all()


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


def test_a_step_does_not_change_its_input() -> None:
    metric = random_metric(2, 6, seed=0)
    walk = RiemannianRandomWalk(metric)
    state = walk.start(torch.Generator().manual_seed(0))
    position = state.position.clone()
    new, info = walk.step(state, torch.Generator().manual_seed(1))
    assert torch.equal(state.position, position)
    moved = (new.position != position).any(-1)
    assert torch.equal(moved, info.is_accepted)
    assert not (info.is_accepted & (info.is_divergent | info.is_outside)).any()
    assert torch.equal(new.origin, state.origin)


@pytest.mark.parametrize("covariance", [400.0, 1e300])
def test_bad_proposals_are_rejected_and_counted_apart(covariance: float) -> None:
    metric = random_metric(2, 6, seed=0)
    generator = torch.Generator().manual_seed(0)
    walk = RiemannianRandomWalk(metric, covariance=covariance, num_integration_steps=5)
    state = walk.start(generator)
    new, info = walk.step(state, generator)
    bad = info.is_divergent | info.is_outside
    assert int(info.is_outside.sum()) > 30
    assert covariance < 1e3 or int(info.is_divergent.sum()) > 0
    assert not (info.is_divergent & info.is_outside).any()
    assert torch.equal(new.position[bad], state.position[bad])
    assert float(info.acceptance_probability[bad].max()) == 0.0
    assert walk.support.contains(new.position).all()
    assert info.acceptance_probability.isfinite().all()


def test_the_printed_walk_says_what_it_is() -> None:
    diagnostics = PaperWalk(random_metric(2, 6, seed=0), num_steps=20).sample(4, 0).diagnostics
    assert "does NOT sample Eq. 3" in diagnostics.message
    assert diagnostics.converged is False


def test_chains_that_remember_their_start_are_told_from_those_that_do_not() -> None:
    generator = torch.Generator().manual_seed(0)
    starts = torch.randn(128, 2, generator=generator, dtype=torch.float64)
    noise = torch.randn(100, 1, 128, generator=generator, dtype=torch.float64)
    good = summarize_chains(noise, starts)
    stuck = summarize_chains(noise + 2 * starts[:, int(starts.std(0).argmax())], starts)
    drifting = summarize_chains(noise + torch.linspace(0, 1, 100).double()[:, None, None], starts)
    assert good is not None
    assert stuck is not None
    assert drifting is not None
    assert good.has_converged
    assert not stuck.has_converged
    assert stuck.rhat > 1.5
    assert drifting.drift > 10
    assert not drifting.has_converged
    assert summarize_chains(noise[:4], starts) is None


def test_chains_that_hardly_move_have_not_converged() -> None:
    # each begins in the law and keeps to a tenth of it: neither R-hat nor the drift can tell
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(100, 1, 256, generator=generator, dtype=torch.float64)
    level = torch.randn(256, generator=generator, dtype=torch.float64)
    starts = torch.randn(256, 2, generator=generator, dtype=torch.float64)
    summary = summarize_chains(level + 0.1 * noise, starts)
    assert summary is not None
    assert summary.rhat < 1.1
    assert summary.ess_per_chain < 1.75
    assert not summary.has_converged


@pytest.mark.parametrize("shape", [0.3, 0.5, 1.0])
def test_pareto_shape_is_that_of_the_weights(shape: float) -> None:
    # the estimate's own error at 20,000 draws is near 0.05
    uniform = torch.rand(20000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert pareto_shape(-shape * uniform.log()) == pytest.approx(shape, abs=0.2)
    assert pareto_shape(torch.zeros(1000, dtype=torch.float64)) == -math.inf
    assert pareto_shape(torch.full((1000,), -math.inf)) == math.inf


def test_effective_fraction_counts_equal_weights() -> None:
    log_weights = torch.tensor([0.0, 0.0, -math.inf, -math.inf])
    assert effective_fraction(log_weights) == pytest.approx(0.5)
    assert effective_fraction(log_weights[2:]) == 0.0


def test_steps_grow_with_the_largest_weight() -> None:
    even = torch.zeros(1000, dtype=torch.float64)
    assert steps_to_converge(even)[0] == 1
    spiked = even.clone()
    spiked[0] = math.log(20.0)
    steps, distance = steps_to_converge(spiked)
    # a chain at weight W leaves with chance about 1 / W, and 2 % of the law sits there
    expected = math.log(1e-3 / (20 / 1019 + 1e-3)) / math.log(1 - 1019 / 1000 / 20)
    assert steps == pytest.approx(expected, rel=0.1)
    assert distance <= 1e-3


def test_parameters_out_of_range_are_refused_in_one_line() -> None:
    metric = random_metric(2, 4, seed=0)
    cases = [
        (lambda: MixtureSampler(metric, inverse_temperature=0.0), "inverse_temperature must be"),
        (lambda: MixtureSampler(PlainKernelMetric(metric)), "needs a KernelMetric"),
        (lambda: MixtureSampler(metric, Support(torch.zeros(1, 3), 1.0)), "one dimension"),
        (lambda: RiemannianRandomWalk(metric, integrator=ExplicitMidpoint()), "reversible integrator"),
        (lambda: RiemannianRandomWalk(metric, num_steps=0), "must be 1 or more"),
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

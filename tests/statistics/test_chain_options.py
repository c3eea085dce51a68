"""Chains: their options, starts, tuning, counts, and edges of the input."""

import pytest
import torch

from riemaug.random import Stream
from riemaug.samplers import (
    HMC,
    ChainOptions,
    ChainRun,
    ChainState,
    MixtureSampler,
    PaperWalk,
    RiemannianRandomWalk,
    SamplingProgress,
    TransitionInfo,
    run_chains,
)
from tests.metrics import random_metric
from tests.statistics.chain_cases import chain_samplers


@pytest.mark.parametrize("name", chain_samplers())
def test_the_step_is_reported_and_counted(name: str) -> None:
    sampler = chain_samplers()[name]
    diagnostics = sampler.sample(5, 3).diagnostics
    tuned = sampler.tuned(3)
    assert diagnostics.step_size == tuned.step_size
    tunes = name.startswith("hmc") or name == "walk-tuned"
    assert (tuned.step_size != sampler.step_size) == tunes
    assert tuned.tuned(4).step_size == tuned.step_size
    tuning = sampler.chains.num_tuning_steps * (0 if not tunes else 2 if name == "hmc-thinned" else 1)
    steps = sampler.chains.num_chains * (sampler.chains.total_steps + tuning)
    assert diagnostics.evaluations == steps * sampler.evaluations_per_step


def test_thinned_draws_are_the_states_of_one_run() -> None:
    metric = random_metric(2, 6, seed=0)
    options = ChainOptions(num_steps=7, burn_in=4, thinning=3, num_chains=16)
    walk = RiemannianRandomWalk(metric, chains=options)
    assert (walk.block_size, options.draws_per_chain, options.total_steps) == (32, 2, 11)
    draws = walk.sample(40, 0)
    ends = [
        RiemannianRandomWalk(metric, chains=ChainOptions(num_steps=steps, num_chains=16)).sample(32, 0).points
        for steps in (7, 10)
    ]
    assert torch.equal(draws.points[:16], ends[0][:16])
    assert torch.equal(draws.points[16:32], ends[1][:16])
    # the second block is another batch of chains
    assert torch.equal(draws.points[32:], ends[0][16:24])


def test_warm_starts_begin_at_the_draws_of_the_other_sampler() -> None:
    metric = random_metric(2, 6, seed=0)
    mixture = MixtureSampler(metric)
    options = ChainOptions(num_steps=1, num_chains=8, start=mixture)
    frozen = RiemannianRandomWalk(metric, covariance=1e-20, chains=options)
    draws = frozen.sample(20, 0)
    expected = mixture.sample(24, Stream(0).child("start"))
    torch.testing.assert_close(draws.points, expected.points[:20], atol=1e-8, rtol=0)
    assert torch.equal(draws.origin, expected.origin[:20])


def test_chains_begin_at_the_points_given() -> None:
    metric = random_metric(2, 6, seed=0)
    start = metric.centroids[:2] + 0.1
    options = ChainOptions(num_steps=1, start=start.float())
    draws = RiemannianRandomWalk(metric, covariance=1e-20, chains=options).sample(100, 0)
    gaps = torch.cdist(draws.points, start).amin(1)
    assert float(gaps.max()) < 1e-6
    assert 20 < int((torch.cdist(draws.points, start).argmin(1) == 0).sum()) < 80
    assert (draws.origin == -1).all()
    assert draws.points.dtype == torch.float64


class Drift:
    """A kernel that moves each chain by one at each step."""

    def step(self, state: ChainState, generator: torch.Generator) -> tuple[ChainState, TransitionInfo]:
        count = len(state.position)
        no, moved = torch.zeros(count, dtype=torch.bool), state.position + 1.0
        return ChainState(moved, moved[:, 0], state.origin), TransitionInfo(torch.ones(count), ~no, no, no)


def test_traces_of_long_runs_and_many_chains_are_bounded() -> None:
    def run(chains: int, steps: int, **options: int) -> ChainRun:
        start = ChainState(
            torch.zeros(chains, 1), torch.zeros(chains), torch.zeros(chains, dtype=torch.int64)
        )
        return run_chains(Drift(), start, steps, torch.Generator(), **options)

    many = run(1500, 40)
    assert many.trace.shape == (20, 2, 1024)
    assert many.start.shape == (1024, 1)
    assert many.trace[:, 0, 0].tolist() == list(range(21, 41))
    long = run(3, 4100, burn_in=100)
    assert long.trace.shape == (700, 2, 3)
    assert long.trace[:3, 0, 0].tolist() == [2101.0, 2104.0, 2107.0]
    assert (long.num_steps, float(long.state.position[0, 0])) == (4200, 4200.0)
    thinned = run(3, 20, burn_in=5, thinning=8)
    assert thinned.trace.shape == (20, 2, 3)
    assert thinned.draws.position[:, 0].tolist() == [13.0] * 3 + [21.0] * 3


def test_progress_of_chains_is_told_while_they_run() -> None:
    seen: list[SamplingProgress] = []
    options = ChainOptions(num_steps=25, burn_in=10, num_chains=16)
    RiemannianRandomWalk(random_metric(2, 4, seed=0), chains=options).sample(20, 0, seen.append)
    steps = [(told.done, told.step) for told in seen]
    assert steps == [
        (0, 1),
        (0, 11),
        (0, 21),
        (0, 31),
        (16, 0),
        (16, 1),
        (16, 11),
        (16, 21),
        (16, 31),
        (20, 0),
    ]
    assert {told.num_steps for told in seen if told.step} == {35}


def test_a_step_does_not_change_its_input() -> None:
    metric = random_metric(2, 6, seed=0)
    walk = RiemannianRandomWalk(metric)
    state = walk.init(metric.centroids.repeat(20, 1), torch.arange(120))
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
    state = walk.init(metric.centroids.repeat(20, 1))
    new, info = walk.step(state, generator)
    bad = info.is_divergent | info.is_outside
    assert int(info.is_outside.sum()) > 30
    assert covariance < 1e3 or int(info.is_divergent.sum()) > 0
    assert not (info.is_divergent & info.is_outside).any()
    assert torch.equal(new.position[bad], state.position[bad])
    assert float(info.acceptance_probability[bad].max()) == 0.0
    assert walk.support.contains(new.position).all()
    assert info.acceptance_probability.isfinite().all()


@pytest.mark.parametrize(("published_sign", "name"), [(False, "walk-paper"), (True, "walk-paper-code")])
def test_the_paper_s_walks_say_what_they_are(published_sign: bool, name: str) -> None:
    walk = PaperWalk(
        random_metric(2, 6, seed=0), published_sign=published_sign, chains=ChainOptions(num_steps=20)
    )
    diagnostics = walk.sample(4, 0).diagnostics
    assert walk.name == name
    assert "does NOT sample Eq. 3" in diagnostics.message
    assert ("published code" in diagnostics.message) == published_sign
    assert diagnostics.converged is False


@pytest.mark.parametrize("regularization", [1e-6, 1e-3, 1.0])
@pytest.mark.parametrize("dim", [16, 64])
def test_chains_in_many_dimensions(dim: int, regularization: float) -> None:
    metric = random_metric(dim, 6, seed=0, bandwidth=3.0, regularization=regularization)
    few = ChainOptions(num_steps=2, num_chains=4, num_tuning_steps=2)
    walk = {"num_integration_steps": 2, "covariance": 0.01, "chains": few}
    for sampler in (
        RiemannianRandomWalk(metric, target_acceptance=0.4, **walk),
        RiemannianRandomWalk(metric, adaptive=True, **walk),
        PaperWalk(metric, **walk),
        HMC(metric, chains=ChainOptions(num_steps=10, num_chains=32, num_tuning_steps=40)),
    ):
        draws = sampler.sample(4, 0)
        assert draws.points.isfinite().all()
        assert draws.log_density.isfinite().all()
    assert (draws.diagnostics.acceptance or 0) > 0.2

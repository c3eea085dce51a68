"""Draws block by block: the same as at once, from any block on, with the same diagnostics after a break."""

import numpy as np
import pytest
import torch

from riemaug.random import Stream
from riemaug.samplers import (
    HMC,
    BlockSampler,
    ChainOptions,
    MixtureSampler,
    PriorSampler,
    RiemannianRandomWalk,
)
from riemaug.samplers.sources import DrawReader
from tests.metrics import random_metric

FEW = ChainOptions(num_steps=9, num_chains=16, num_tuning_steps=8)


def samplers() -> dict[str, BlockSampler]:
    metric, tight = random_metric(2, 6, seed=3), random_metric(3, 5, seed=4)
    started = ChainOptions(num_steps=9, num_chains=16, num_tuning_steps=8, start=MixtureSampler(metric))
    return {
        "prior": PriorSampler(2),
        "rejection": MixtureSampler(metric),
        "fitted": MixtureSampler(tight, inverse_temperature=2.0),
        "walk": RiemannianRandomWalk(metric, chains=FEW),
        "hmc": HMC(metric, chains=FEW),
        "started": HMC(metric, chains=started),
    }


@pytest.mark.parametrize("name", samplers())
def test_blocks_from_any_one_on_are_those_of_the_whole(name):
    sampler, stream = samplers()[name], Stream(5)
    count = 2 * sampler.source(stream).block_size + 3
    whole = sampler.sample(count, stream)
    # a source of its own that never sees what lies before
    later = DrawReader(samplers()[name].source(stream)).rows(count - 10, count)
    assert torch.equal(later.points, whole.points[-10:])
    assert torch.equal(later.log_density, whole.log_density[-10:])
    assert torch.equal(later.origin, whole.origin[-10:])
    assert torch.equal(later.acceptance, whole.acceptance[-10:])
    assert whole.diagnostics.num_draws == count
    assert whole.diagnostics.expected_log_density == pytest.approx(float(whole.log_density.mean()))


@pytest.mark.parametrize("name", samplers())
def test_diagnostics_go_on_from_a_state(name):
    stream, first = Stream(6), samplers()[name].source(Stream(6))
    for index in range(3):
        first.take(first.block(index))
    wanted = first.diagnostics()
    broken = samplers()[name].source(stream)
    for index in range(2):
        broken.take(broken.block(index))
    state = {key: np.array(value) for key, value in broken.state().items()}
    resumed = samplers()[name].source(stream)
    resumed.block(1)  # a block in which a run was stopped is drawn again and counts once
    resumed.resume(state)
    resumed.take(resumed.block(2))
    assert resumed.diagnostics() == wanted
    assert resumed.sums == first.sums


@pytest.mark.parametrize("name", samplers())
def test_diagnostics_of_a_state_need_no_further_block(name):
    """A run that was stopped at the end of its last block makes none when it goes on."""
    first, resumed = (samplers()[name].source(Stream(6)) for _ in range(2))
    first.take(first.block(0))
    resumed.resume({key: np.array(value) for key, value in first.state().items()})
    assert resumed.diagnostics() == first.diagnostics()

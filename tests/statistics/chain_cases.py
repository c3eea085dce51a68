"""Samplers by chains with all their options, that several tests go through; not a test itself."""

import torch

from riemaug.samplers import HMC, ChainOptions, MixtureSampler, PaperWalk, RiemannianRandomWalk
from riemaug.samplers.chain_sampler import ChainSampler
from tests.metrics import random_metric


def chain_samplers() -> dict[str, ChainSampler]:
    plane, space = random_metric(2, 6, seed=0), random_metric(3, 5, seed=0)
    short = ChainOptions(num_steps=20, num_tuning_steps=20)
    thinned = ChainOptions(num_steps=12, burn_in=5, thinning=4, num_chains=32, num_tuning_steps=10)
    warm = ChainOptions(num_steps=8, start=MixtureSampler(plane), num_chains=64, num_tuning_steps=10)
    return {
        "walk": RiemannianRandomWalk(space, num_integration_steps=2, chains=short),
        "walk-adaptive": RiemannianRandomWalk(plane, adaptive=True, chains=short),
        "walk-tuned": RiemannianRandomWalk(
            plane, covariance=torch.tensor([0.3, 0.6]), target_acceptance=0.5, chains=thinned
        ),
        "walk-paper": PaperWalk(plane, num_integration_steps=2, chains=short),
        "walk-paper-code": PaperWalk(plane, published_sign=True, num_integration_steps=2, chains=warm),
        "hmc": HMC(space, chains=short),
        "hmc-thinned": HMC(plane, adapt_scales=True, chains=thinned),
        "hmc-warm": HMC(plane, inverse_temperature=2.0, chains=warm),
    }

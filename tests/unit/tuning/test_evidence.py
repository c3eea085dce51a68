"""The held-out likelihood of the sampled law, against integrals over a grid."""

import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from riemaug.geometry import KernelMetric
from riemaug.models import LatentModel, ModelConfig, build_model
from riemaug.random import Stream
from riemaug.samplers import MixtureSampler, PriorSampler
from riemaug.training import Trainer, TrainingConfig
from riemaug.tuning.evidence import LatentLaw, law_evidence

LOW, HIGH, POINTS = -7.0, 7.0, 401


def digits(num: int, start: int = 0) -> Tensor:
    bunch = load_digits()
    images = bunch.images[bunch.target == 0][start : start + num] / 16.0
    return torch.from_numpy(images).float().flatten(1)


@pytest.fixture(scope="module")
def model() -> LatentModel:
    hidden = {"encoder_hidden": (40,), "decoder_hidden": (40,)}
    model = build_model(ModelConfig(kind="vae", data_dim=64, **hidden), Stream(0))
    Trainer(model, digits(30), TrainingConfig(max_epochs=200, patience=200), Stream(1)).fit()
    return model


def grid() -> tuple[Tensor, float]:
    axis = torch.linspace(LOW, HIGH, POINTS, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis), ((HIGH - LOW) / (POINTS - 1)) ** 2


@torch.no_grad()
def by_grid(model: LatentModel, data: Tensor, log_law: Tensor) -> Tensor:
    points, cell = grid()
    logits = model.decoder(points.float())
    rows = []
    for sample in data:
        log_likelihood = model.likelihood.log_prob(logits, sample.expand_as(logits)).double()
        rows.append(torch.logsumexp(log_likelihood + log_law, 0) + math.log(cell))
    return torch.stack(rows)


def test_under_the_prior_it_is_the_evidence(model: LatentModel) -> None:
    data, sampler = digits(6, 40), PriorSampler(2)
    estimate = law_evidence(model, data, LatentLaw.of(sampler, Stream(2)), 6000, Stream(3).generator())
    points, _ = grid()
    expected = by_grid(model, data, sampler.log_prob(points))
    # relative standard error of a mean of 6,000 weights, at most 0.03 here: 0.1 is beyond 3 of them
    torch.testing.assert_close(estimate, expected, atol=0.1, rtol=0)


def test_under_a_metric_it_is_the_integral_over_its_support(model: LatentModel) -> None:
    data = digits(6, 40)
    generator = Stream(4).generator()
    centroids = model.embed(digits(30)).detach().double()
    factors = torch.eye(2, dtype=torch.float64) + 0.3 * torch.randn(
        30, 2, 2, generator=generator, dtype=torch.float64
    ).tril(-1)
    sampler = MixtureSampler(KernelMetric(centroids, factors, 0.5, 1e-2))
    law = LatentLaw.of(sampler, Stream(5))
    estimate = law_evidence(model, data, law, 6000, Stream(3).generator())
    points, cell = grid()
    inside = sampler.support.contains(points)
    density = sampler.metric.log_density(points).masked_fill(~inside, -math.inf)
    log_law = density - torch.logsumexp(density, 0) - math.log(cell)
    torch.testing.assert_close(estimate, by_grid(model, data, log_law), atol=0.1, rtol=0)
    # the law's own log density is the normalised one
    chosen = points[inside][::997]
    torch.testing.assert_close(law.log_prob(chosen), log_law[inside][::997], atol=0.02, rtol=0)
    assert law.log_prob(torch.full((1, 2), 50.0, dtype=torch.float64)).tolist() == [-math.inf]


def test_few_draws_only_lower_it(model: LatentModel) -> None:
    data, law = digits(30, 40), LatentLaw.of(PriorSampler(2), Stream(2))
    few = torch.stack([law_evidence(model, data, law, 3, Stream(seed).generator()) for seed in range(200)])
    many = law_evidence(model, data, law, 3000, Stream(9).generator())
    # Jensen: the mean of log-means of 3 weights is below, here by 0.2; 6,000 of them have an error of 0.01
    assert float(few.mean()) < float(many.mean()) - 0.05

"""How likely held-out samples are under the law that new samples are drawn from."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from riemaug.models import Condition, LatentModel
from riemaug.models.base import standard_normal_log_prob
from riemaug.random import Stream
from riemaug.samplers import MixtureSampler, PriorSampler

_LAW_DRAWS = 512
"""Draws of the latent law at hand as proposals."""
_WIDENINGS = (1.0, 3.0)
"""Factors on the encoder's standard deviations in its two proposals.

The encoder of few samples is too sure of itself on others; the wide twin finds what it misses.
"""
_ROWS_AT_ONCE = 4096
"""Latent points that are decoded in one pass."""


@dataclass(frozen=True, eq=False)
class LatentLaw:
    """A normalised law over the latent space, with draws of it.

    Attributes
    ----------
    draws : Tensor (m, d), float64
    log_prob : callable
        Points (n, d), float64, to their log density (n,).
    """

    draws: Float64[Tensor, "m dim"]
    log_prob: Callable[[Float64[Tensor, "n dim"]], Float64[Tensor, " n"]]

    @classmethod
    def of(
        cls, sampler: MixtureSampler | PriorSampler, stream: Stream, num_draws: int = _LAW_DRAWS
    ) -> "LatentLaw":
        """Return the law that a sampler draws from: pi on S, by its own estimate of Z, or a prior."""
        drawn = sampler.sample(num_draws, stream)
        if isinstance(sampler, PriorSampler):
            return cls(drawn.points, sampler.log_prob)
        log_normalizer, b = drawn.diagnostics.log_normalizer, sampler.inverse_temperature
        assert log_normalizer is not None

        def log_prob(point: Float64[Tensor, "n dim"]) -> Float64[Tensor, " n"]:
            density = b * sampler.metric.log_density(point) - log_normalizer
            return torch.where(sampler.support.contains(point), density, -math.inf)

        return cls(drawn.points, log_prob)


@torch.no_grad()
def law_evidence(
    model: LatentModel,
    data: Float[Tensor, "n D"],
    law: LatentLaw,
    num_draws: int,
    generator: torch.Generator,
    condition: Condition | None = None,
) -> Float64[Tensor, " n"]:
    """Return an importance-weighted estimate of log of the integral of p(x|z) over the law, (n,).

    With the prior that is the model's own evidence log p(x); with the law of a metric it is the likelihood
    of x among the samples that riemaug draws. A lower bound in expectation, tight as
    `num_draws` grows.

    Parameters
    ----------
    model : LatentModel
        On the CPU.
    data : Tensor (n, D)
        In [0, 1].
    law : LatentLaw
    num_draws : int
        Latent points a sample, in equal parts from the encoder, from the encoder with threefold standard
        deviations, and from the law itself; each is weighed by the mixture of the three.
    generator : torch.Generator
    condition : Condition, optional
        Of the rows of `data`.
    """
    posterior = model.encode(data, condition)
    mean, scale = posterior.mean.double(), (0.5 * posterior.log_variance.double()).exp()
    each = -(-num_draws // (len(_WIDENINGS) + 1))
    points = _proposed(mean, scale, law.draws, each, generator)
    log_law = law.log_prob(points.flatten(0, 1)).unflatten(0, points.shape[:2])
    standard = (points - mean[:, None]) / scale[:, None]
    densities = [
        standard_normal_log_prob(standard / widening) - (widening * scale).log().sum(-1, keepdim=True)
        for widening in _WIDENINGS
    ]
    log_proposal = torch.logsumexp(torch.stack([*densities, log_law]), 0) - math.log(len(densities) + 1)
    log_weights = _log_likelihood(model, data, points, condition) + log_law - log_proposal
    return torch.logsumexp(log_weights, 1) - math.log(points.shape[1])


def _proposed(
    mean: Float64[Tensor, "n dim"],
    scale: Float64[Tensor, "n dim"],
    law_draws: Float64[Tensor, "m dim"],
    each: int,
    generator: torch.Generator,
) -> Float64[Tensor, "n draws dim"]:
    parts = []
    for widening in _WIDENINGS:
        noise = torch.randn((len(mean), each, mean.shape[1]), generator=generator, dtype=mean.dtype)
        parts.append(mean[:, None] + widening * scale[:, None] * noise)
    chosen = torch.randint(len(law_draws), (len(mean), each), generator=generator)
    return torch.cat([*parts, law_draws[chosen]], 1)


def _log_likelihood(
    model: LatentModel,
    data: Float[Tensor, "n D"],
    points: Float64[Tensor, "n draws dim"],
    condition: Condition | None,
) -> Float64[Tensor, "n draws"]:
    """Return log p(x|z) of each sample at each of its points, decoded in passes of bounded size."""
    at_once = max(1, _ROWS_AT_ONCE // points.shape[1])
    parts = []
    for start in range(0, len(data), at_once):
        rows = torch.arange(start, min(start + at_once, len(data))).repeat_interleave(points.shape[1])
        features = None if condition is None else condition.features[rows]
        latent = points[start : start + at_once].flatten(0, 1).to(data.dtype)
        parts.append(model.likelihood.log_prob(model.decoder(latent, features), data[rows]).double())
    return torch.cat(parts).unflatten(0, points.shape[:2])

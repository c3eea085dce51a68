"""The VAE whose prior is a mixture of posteriors at learned pseudo-inputs (Tomczak & Welling 2018)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from riemaug.models.base import LOG_2PI, NUMBERS_AT_ONCE, LatentModel, Objective, Posterior
from riemaug.models.condition import Condition, features_of
from riemaug.models.config import ModelConfig
from riemaug.models.networks import Decoder, Features
from riemaug.random import Stream, as_stream

MARGIN = 0.01
"""Pseudo-inputs start this far inside [0, 1] at least: at the ends their gradient is zero."""


class VAMP(LatentModel):
    """Prior (1/K) sum_k q(z|u_k); the u_k are weights, kept within (0, 1) by a sigmoid.

    Of a conditional model the prior of a sample is that of its condition: the encoder sees each u_k
    beside the sample's own features.

    Parameters
    ----------
    config, random_state, encoder, decoder
        As in `LatentModel`.
    """

    def __init__(
        self,
        config: ModelConfig,
        random_state: int | Stream = 0,
        encoder: nn.Module | None = None,
        decoder: Decoder | None = None,
    ) -> None:
        super().__init__(config, random_state, encoder, decoder)
        generator = as_stream(random_state).child("pseudo-inputs").generator()
        raw = torch.empty(config.num_pseudo_inputs, config.data_dim).uniform_(-1.0, 1.0, generator=generator)
        self.raw_pseudo_inputs = nn.Parameter(raw)

    @property
    def pseudo_inputs(self) -> Float[Tensor, "K D"]:
        """The learned samples in (0, 1) whose posteriors make the prior, (K, D)."""
        return torch.sigmoid(self.raw_pseudo_inputs)

    @torch.no_grad()
    def start_from(self, data: Float[Tensor, "n D"], generator: torch.Generator) -> None:
        """Start the pseudo-inputs at random samples of `data`, each of them once before any twice."""
        count = self.config.num_pseudo_inputs
        rounds = -(-count // len(data))
        order = [
            torch.randperm(len(data), generator=generator, device=generator.device) for _ in range(rounds)
        ]
        chosen = data[torch.cat(order)[:count].to(data.device)]
        self.raw_pseudo_inputs.copy_(torch.logit(chosen, eps=MARGIN))

    def prior_components(self, condition: Condition | None = None) -> Posterior:
        """Return the K posteriors at the pseudo-inputs, for one condition (one row) or none."""
        features = features_of(condition)
        return self._components(None if features is None else features[:1])

    def prior_log_prob(
        self, latent: Float[Tensor, "n dim"], condition: Condition | None = None
    ) -> Float[Tensor, " n"]:
        """Return log of the mixture's density, (n,)."""
        if condition is None:
            components = self._components(None)
            return _mixture_log_prob(latent, components.mean, components.log_variance)
        told, which = condition.features.unique(dim=0, return_inverse=True)
        components = self._components(told)
        mean, log_variance = (
            part.unflatten(0, (len(told), -1))[which] for part in (components.mean, components.log_variance)
        )
        return _mixture_log_prob(latent, mean, log_variance)

    def _components(self, told: Features) -> Posterior:
        """Return the posteriors at the pseudo-inputs, those for each row of features after the last's."""
        if told is None:
            return self._posterior(self.pseudo_inputs, None)
        inputs, count = self.pseudo_inputs, self.config.num_pseudo_inputs
        parts = [
            self._posterior(inputs.repeat(len(rows), 1), rows.repeat_interleave(count, 0))
            for rows in told.split(max(1, NUMBERS_AT_ONCE // inputs.numel()))
        ]
        return Posterior(
            torch.cat([part.mean for part in parts]), torch.cat([part.log_variance for part in parts])
        )

    def objective(
        self, data: Float[Tensor, "n D"], generator: torch.Generator, condition: Condition | None = None
    ) -> Objective:
        """Return log p(x|z) and log q(z|x) - log p(z), at one draw of z a sample."""
        posterior, noise = self.encode(data, condition), self._noise(data, generator)
        latent = posterior.transform(noise)
        log_likelihood = self.likelihood.log_prob(self.logits(latent, condition), data)
        divergence = posterior.log_prob_of_noise(noise) - self.prior_log_prob(latent, condition)
        return Objective(log_likelihood, divergence)

    def log_evidence_estimate(
        self, data: Float[Tensor, "n D"], generator: torch.Generator, condition: Condition | None = None
    ) -> Float[Tensor, " n"]:
        """Return log p(x|z) + log p(z) - log q(z|x) at one draw of z each, (n,)."""
        return self.plain_evidence_estimate(data, generator, condition)


def _mixture_log_prob(
    latent: Float[Tensor, "n dim"],
    mean: Float[Tensor, "*rows K dim"],
    log_variance: Float[Tensor, "*rows K dim"],
) -> Float[Tensor, " n"]:
    """Return log (1/K) sum_k N(z; m_k, diag s_k^2), (n,), of one mixture for all rows or one for each."""
    scaled = (latent[:, None] - mean) * (-0.5 * log_variance).exp()
    log_volume = log_variance.sum(-1) + latent.shape[-1] * LOG_2PI
    each = -0.5 * (scaled.square().sum(-1) + log_volume)
    return torch.logsumexp(each, -1) - math.log(mean.shape[-2])

"""What all latent variable models share: encode, decode, an evidence estimate, an objective."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from riemaug.errors import InvalidInputError
from riemaug.models.build import build_pair
from riemaug.models.condition import Condition, features_of
from riemaug.models.config import ModelConfig
from riemaug.models.likelihoods import make_likelihood
from riemaug.models.networks import Decoder, Features
from riemaug.random import Stream, as_stream

LOG_2PI = math.log(2.0 * math.pi)
NUMBERS_AT_ONCE = 2**19
"""Logits held at once by an estimate of many draws: 2 MB in float32, which stay near the processor."""


def standard_normal_log_prob(point: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch"]:
    """Return log N(z; 0, I), (...)."""
    return -0.5 * ((point * point).sum(-1) + point.shape[-1] * LOG_2PI)


@dataclass(frozen=True)
class Posterior:
    """The encoder's q(z|x): a normal law with diagonal covariance, (n, d)."""

    mean: Float[Tensor, "n dim"]
    log_variance: Float[Tensor, "n dim"]

    def transform(self, noise: Float[Tensor, "n dim"]) -> Float[Tensor, "n dim"]:
        """Return the draws that standard normal `noise` stands for."""
        return self.mean + (0.5 * self.log_variance).exp() * noise

    def log_prob_of_noise(self, noise: Float[Tensor, "n dim"]) -> Float[Tensor, " n"]:
        """Return log q(z|x) at `transform(noise)`, (n,)."""
        return standard_normal_log_prob(noise) - 0.5 * self.log_variance.sum(-1)

    def kl_to_prior(self) -> Float[Tensor, " n"]:
        """Return KL(q(z|x) || N(0, I)) in closed form, (n,)."""
        return 0.5 * (self.mean**2 + self.log_variance.exp() - 1.0 - self.log_variance).sum(-1)


@dataclass(frozen=True, eq=False)
class Objective:
    """What training maximises for each sample of a batch, with its parts, in nats.

    Attributes
    ----------
    log_likelihood : Tensor (n,)
        log p(x|z) at the last position of z.
    divergence : Tensor (n,)
        What is subtracted from it: KL(q || prior) for a VAE, the other terms of the flow's estimate of
        log p(x) for HVAE and RHVAE, at one draw.
    failed_steps : int
        Implicit steps that did not converge (the sample kept its position); 0 without a flow.
    """

    log_likelihood: Float[Tensor, " n"]
    divergence: Float[Tensor, " n"]
    failed_steps: int = 0

    @property
    def elbo(self) -> Float[Tensor, ""]:
        """Mean evidence lower bound."""
        return (self.log_likelihood - self.divergence).mean()

    @property
    def reconstruction(self) -> Float[Tensor, ""]:
        """Mean of log p(x|z)."""
        return self.log_likelihood.mean()

    def loss(self, divergence_weight: float = 1.0) -> Float[Tensor, ""]:
        """Return what is minimised: minus the ELBO, its divergence weighted (KL warm-up)."""
        return -(self.log_likelihood - divergence_weight * self.divergence).mean()


class LatentModel(nn.Module, ABC):
    """A VAE over data of D features in [0, 1] with a d-dimensional latent space.

    Parameters
    ----------
    config : ModelConfig
    random_state : int or Stream
        Draws the initial weights; the same state, the same weights.
    encoder, decoder : nn.Module, optional
        Networks to use instead of those that `config` describes.
    """

    def __init__(
        self,
        config: ModelConfig,
        random_state: int | Stream = 0,
        encoder: nn.Module | None = None,
        decoder: Decoder | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        if encoder is None or decoder is None:
            encoder, decoder = build_pair(config, as_stream(random_state))
        self.encoder, self.decoder = encoder, decoder
        self.likelihood = make_likelihood(config.likelihood, config.likelihood_scale)
        self.follows_flow = True
        """Whether the objective moves z by the flow, of a model that has one; see `TrainingConfig`."""
        self.shared_rows: tuple[slice, int] | None = None
        """Which rows of how many this process has, while several share a batch: noise is drawn for all."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def encode(self, data: Float[Tensor, "n D"], condition: Condition | None = None) -> Posterior:
        """Return q(z|x) for each row, (n, d), in the data's type whatever the network computed in."""
        return self._posterior(data, features_of(condition))

    def logits(
        self, latent: Float[Tensor, "n dim"], condition: Condition | None = None
    ) -> Float[Tensor, "n D"]:
        """Return what the likelihood takes, (n, D), in the type of z whatever the network computed in."""
        return self.decoder(latent, features_of(condition)).to(latent.dtype)

    def embed(self, data: Float[Tensor, "n D"], condition: Condition | None = None) -> Float[Tensor, "n dim"]:
        """Return the posterior means, (n, d): the same at each call."""
        return self.encode(data, condition).mean

    def decode(
        self, latent: Float[Tensor, "n dim"], condition: Condition | None = None
    ) -> Float[Tensor, "n D"]:
        """Return E[x|z] in [0, 1], (n, D)."""
        return self.likelihood.mean(self.logits(latent, condition))

    @abstractmethod
    def objective(
        self, data: Float[Tensor, "n D"], generator: torch.Generator, condition: Condition | None = None
    ) -> Objective:
        """Return the training objective on a batch, differentiable in all weights."""

    @abstractmethod
    def log_evidence_estimate(
        self, data: Float[Tensor, "n D"], generator: torch.Generator, condition: Condition | None = None
    ) -> Float[Tensor, " n"]:
        """Return one draw each of log w, where E[w] = p(x), (n,)."""

    def start_from(self, data: Float[Tensor, "n D"], generator: torch.Generator) -> None:
        """Set what begins at the training data and not at drawn weights, before the first epoch.

        Nothing by default; a VAMP's pseudo-inputs begin at samples.
        """

    def prior_components(self, condition: Condition | None = None) -> Posterior | None:
        """Return the normal laws whose equal mixture is the prior; None stands for N(0, I) alone."""
        return None

    def prior_log_prob(
        self, latent: Float[Tensor, "n dim"], condition: Condition | None = None
    ) -> Float[Tensor, " n"]:
        """Return log p(z), (n,)."""
        return standard_normal_log_prob(latent)

    def plain_evidence_estimate(
        self, data: Float[Tensor, "n D"], generator: torch.Generator, condition: Condition | None = None
    ) -> Float[Tensor, " n"]:
        """Return log p(x|z) + log p(z) - log q(z|x) at one draw of z each, (n,).

        It needs neither metric nor flow, so it scores the encoder and decoder of every model alike.
        """
        return self._estimates(data, self.encode(data, condition), 1, generator, condition)[:, 0]

    def negative_log_likelihood(
        self,
        data: Float[Tensor, "n D"],
        num_samples: int,
        generator: torch.Generator,
        condition: Condition | None = None,
        plain: bool = False,
    ) -> Float[Tensor, " n"]:
        """Return the estimate of -log p(x) for each row, (n,): minus `importance_weighted_bound`."""
        return -self.importance_weighted_bound(data, num_samples, generator, condition, plain)

    @torch.no_grad()
    def importance_weighted_bound(
        self,
        data: Float[Tensor, "n D"],
        num_samples: int,
        generator: torch.Generator,
        condition: Condition | None = None,
        plain: bool = False,
    ) -> Float[Tensor, " n"]:
        """Return log of the mean of `num_samples` evidence estimates, (n,): tight as they grow.

        Parameters
        ----------
        data : Tensor (n, D)
        num_samples : int
            At least 1. Memory does not grow with it.
        generator : torch.Generator
        condition : Condition, optional
        plain : bool
            Take z from the encoder alone, without the flow: one estimator for weights of any kind.

        Raises
        ------
        InvalidInputError
            `num_samples` is not positive.
        """
        if num_samples < 1:
            raise InvalidInputError(f"the number of samples must be 1 or more, got {num_samples}")
        at_once = max(1, NUMBERS_AT_ONCE // data.shape[1])
        total = torch.full((len(data),), -math.inf, dtype=data.dtype, device=data.device)
        for rows in torch.arange(len(data), device=data.device).split(at_once):
            part, told = data[rows], None if condition is None else condition[rows]
            posterior = self.encode(part, told) if plain else None
            repeats = max(1, at_once // len(rows))
            for done in range(0, num_samples, repeats):
                count = min(repeats, num_samples - done)
                drawn = self._estimates(part, posterior, count, generator, told)
                total[rows] = torch.logaddexp(total[rows], torch.logsumexp(drawn, 1))
        return total - math.log(num_samples)

    def _estimates(
        self,
        data: Float[Tensor, "n D"],
        posterior: Posterior | None,
        count: int,
        generator: torch.Generator,
        condition: Condition | None,
    ) -> Float[Tensor, "n count"]:
        """Return `count` log-evidence estimates a row, from `posterior` or, for None, the model's own way.

        Rows are expanded, not looped over: many small products are slow.
        """
        row = torch.arange(len(data), device=data.device).repeat_interleave(count)
        told = None if condition is None else condition[row]
        if posterior is None:
            return self.log_evidence_estimate(data[row], generator, told).unflatten(0, (-1, count))
        drawn = Posterior(posterior.mean[row], posterior.log_variance[row])
        noise = torch.randn(drawn.mean.shape, generator=generator, device=data.device, dtype=data.dtype)
        latent = drawn.transform(noise)
        logits = self.logits(latent, told).unflatten(0, (-1, count))
        fit = self.likelihood.log_prob(logits, data[:, None].expand(-1, count, -1))
        gap = self.prior_log_prob(latent, told) - drawn.log_prob_of_noise(noise)
        return fit + gap.unflatten(0, (-1, count))

    def _posterior(self, data: Float[Tensor, "n D"], features: Features) -> Posterior:
        mean, log_variance = self.encoder(data, features)
        return Posterior(mean.to(data.dtype), log_variance.to(data.dtype))

    def _noise(self, data: Float[Tensor, "n D"], generator: torch.Generator) -> Float[Tensor, "n dim"]:
        """Return standard normal noise, of its own rows where processes share a batch."""
        rows, total = (slice(None), len(data)) if self.shared_rows is None else self.shared_rows
        shape = (total, self.config.latent_dim)
        return torch.randn(shape, generator=generator, device=data.device, dtype=data.dtype)[rows]

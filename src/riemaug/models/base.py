"""What all latent variable models share: encode, decode, an evidence estimate, an objective."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from riemaug.models.build import build_pair
from riemaug.models.condition import Condition, features_of
from riemaug.models.config import ModelConfig
from riemaug.models.likelihoods import make_likelihood
from riemaug.models.networks import Decoder
from riemaug.random import Stream, as_stream

LOG_2PI = math.log(2.0 * math.pi)


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

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def encode(self, data: Float[Tensor, "n D"], condition: Condition | None = None) -> Posterior:
        """Return q(z|x) for each row, (n, d)."""
        return Posterior(*self.encoder(data, features_of(condition)))

    def embed(
        self, data: Float[Tensor, "n D"], condition: Condition | None = None
    ) -> Float[Tensor, "n dim"]:
        """Return the posterior means, (n, d): the same at each call."""
        return self.encode(data, condition).mean

    def decode(
        self, latent: Float[Tensor, "n dim"], condition: Condition | None = None
    ) -> Float[Tensor, "n D"]:
        """Return E[x|z] in [0, 1], (n, D)."""
        return self.likelihood.mean(self.decoder(latent, features_of(condition)))

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

    @torch.no_grad()
    def importance_weighted_bound(
        self,
        data: Float[Tensor, "n D"],
        num_samples: int,
        generator: torch.Generator,
        condition: Condition | None = None,
    ) -> Float[Tensor, " n"]:
        """Return log of the mean of `num_samples` evidence estimates, (n,): tight as they grow."""
        total = torch.full((len(data),), -math.inf, dtype=data.dtype, device=data.device)
        for _ in range(num_samples):
            total = torch.logaddexp(total, self.log_evidence_estimate(data, generator, condition))
        return total - math.log(num_samples)

    def _noise(self, data: Float[Tensor, "n D"], generator: torch.Generator) -> Float[Tensor, "n dim"]:
        shape = (len(data), self.config.latent_dim)
        return torch.randn(shape, generator=generator, device=data.device, dtype=data.dtype)

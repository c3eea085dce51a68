"""What all latent variable models share: encode, decode, an evidence estimate, an objective."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from riemaug.models.config import ModelConfig
from riemaug.models.likelihoods import make_likelihood
from riemaug.models.networks import MLPDecoder, MLPEncoder
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


@dataclass(frozen=True)
class Objective:
    """What training maximises, mean over the batch, with its parts.

    Attributes
    ----------
    elbo : Tensor ()
        Mean evidence lower bound, in nats per sample.
    reconstruction : Tensor ()
        Mean of log p(x|z); the ELBO minus this is minus the divergence term.
    failed_steps : int
        Implicit steps that did not converge (the sample kept its position); 0 for a plain VAE.
    """

    elbo: Float[Tensor, ""]
    reconstruction: Float[Tensor, ""]
    failed_steps: int = 0


class LatentModel(nn.Module, ABC):
    """A VAE over data of D features in [0, 1] with a d-dimensional latent space.

    Parameters
    ----------
    config : ModelConfig
    random_state : int or Stream
        Draws the initial weights; the same state, the same weights.
    """

    def __init__(self, config: ModelConfig, random_state: int | Stream = 0) -> None:
        super().__init__()
        self.config = config
        generator = as_stream(random_state).child("weights").generator()
        self.encoder = MLPEncoder(config.data_dim, config.encoder_hidden, config.latent_dim, generator)
        self.decoder = MLPDecoder(config.latent_dim, config.decoder_hidden, config.data_dim, generator)
        self.likelihood = make_likelihood(config.likelihood, config.likelihood_scale)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def encode(self, data: Float[Tensor, "n D"]) -> Posterior:
        """Return q(z|x) for each row, (n, d)."""
        return Posterior(*self.encoder(data))

    def embed(self, data: Float[Tensor, "n D"]) -> Float[Tensor, "n dim"]:
        """Return the posterior means, (n, d): the same at each call."""
        return self.encode(data).mean

    def decode(self, latent: Float[Tensor, "n dim"]) -> Float[Tensor, "n D"]:
        """Return E[x|z] in [0, 1], (n, D)."""
        return self.likelihood.mean(self.decoder(latent))

    @abstractmethod
    def objective(self, data: Float[Tensor, "n D"], generator: torch.Generator) -> Objective:
        """Return the training objective on a batch, differentiable in all weights."""

    @abstractmethod
    def log_evidence_estimate(
        self, data: Float[Tensor, "n D"], generator: torch.Generator
    ) -> Float[Tensor, " n"]:
        """Return one draw each of log w, where E[w] = p(x), (n,)."""

    @torch.no_grad()
    def importance_weighted_bound(
        self, data: Float[Tensor, "n D"], num_samples: int, generator: torch.Generator
    ) -> Float[Tensor, " n"]:
        """Return log of the mean of `num_samples` evidence estimates, (n,): tight as they grow."""
        draws = torch.stack([self.log_evidence_estimate(data, generator) for _ in range(num_samples)])
        return torch.logsumexp(draws, 0) - math.log(num_samples)

    def _noise(self, data: Float[Tensor, "n D"], generator: torch.Generator) -> Float[Tensor, "n dim"]:
        shape = (len(data), self.config.latent_dim)
        return torch.randn(shape, generator=generator, device=data.device, dtype=data.dtype)

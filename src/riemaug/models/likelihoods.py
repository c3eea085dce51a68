"""Observation laws p(x|z): what the decoder's output means."""

import math
from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from riemaug.errors import InvalidInputError

LIKELIHOODS = ("bernoulli", "gaussian")


class Likelihood(nn.Module, ABC):
    """A law of data in [0, 1], given the decoder's output before its last sigmoid ("logits")."""

    @abstractmethod
    def log_prob(
        self, logits: Float[Tensor, "*batch D"], target: Float[Tensor, "*batch D"]
    ) -> Float[Tensor, "*batch"]:
        """Return log p(x|z) summed over the D features, (...)."""

    @abstractmethod
    def score(
        self, logits: Float[Tensor, "*batch D"], target: Float[Tensor, "*batch D"]
    ) -> Float[Tensor, "*batch D"]:
        """Return the gradient of `log_prob` with respect to the logits, (..., D)."""

    def mean(self, logits: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
        """Return E[x|z], in [0, 1], (..., D)."""
        return torch.sigmoid(logits)


class Bernoulli(Likelihood):
    """Independent Bernoulli features; grey values count as probabilities, as is usual for images."""

    def log_prob(
        self, logits: Float[Tensor, "*batch D"], target: Float[Tensor, "*batch D"]
    ) -> Float[Tensor, "*batch"]:
        """Return sum_k x_k a_k - log(1 + exp a_k), (...)."""
        return (target * logits - functional.softplus(logits)).sum(-1)

    def score(
        self, logits: Float[Tensor, "*batch D"], target: Float[Tensor, "*batch D"]
    ) -> Float[Tensor, "*batch D"]:
        """Return x_k - sigmoid(a_k), (..., D)."""
        return target - torch.sigmoid(logits)


class Gaussian(Likelihood):
    """Independent normal features of one fixed standard deviation around a sigmoid mean.

    Parameters
    ----------
    scale : float
        Standard deviation, in units of the scaled range [0, 1].
    """

    def __init__(self, scale: float = 0.1) -> None:
        super().__init__()
        if not scale > 0:
            raise InvalidInputError(f"the Gaussian likelihood's scale must be positive, got {scale}")
        self.scale = float(scale)
        self._log_normalizer = -math.log(scale) - 0.5 * math.log(2.0 * math.pi)

    def log_prob(
        self, logits: Float[Tensor, "*batch D"], target: Float[Tensor, "*batch D"]
    ) -> Float[Tensor, "*batch"]:
        """Return the normal log density with its constant, (...)."""
        squares = ((target - self.mean(logits)) ** 2).sum(-1)
        return target.shape[-1] * self._log_normalizer - squares / (2.0 * self.scale**2)

    def score(
        self, logits: Float[Tensor, "*batch D"], target: Float[Tensor, "*batch D"]
    ) -> Float[Tensor, "*batch D"]:
        """Return (x_k - m_k) m_k (1 - m_k) / scale^2, (..., D)."""
        mean = self.mean(logits)
        return (target - mean) * mean * (1.0 - mean) / self.scale**2


def make_likelihood(name: str, scale: float = 0.1) -> Likelihood:
    """Return the likelihood called `name`: "bernoulli" or "gaussian"."""
    if name == "bernoulli":
        return Bernoulli()
    if name == "gaussian":
        return Gaussian(scale)
    raise InvalidInputError(f"likelihood must be one of {', '.join(LIKELIHOODS)}, got {name!r}")

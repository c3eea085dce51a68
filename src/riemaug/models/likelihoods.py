"""Observation laws p(x|z): what the decoder's output means."""

import math
from abc import ABC, abstractmethod
from typing import get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from riemaug.errors import InvalidInputError
from riemaug.models.config import LikelihoodName
from riemaug.models.continuous_bernoulli import log_normalizer, truncated_mean

LIKELIHOODS = get_args(LikelihoodName)
LOG_2PI = math.log(2.0 * math.pi)


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


class ContinuousBernoulli(Likelihood):
    """Independent features of density proportional to exp(a x) on [0, 1] (Loaiza-Ganem & Cunningham 2019).

    A law of grey values, which the Bernoulli law is not: its density has integral one.
    """

    def log_prob(
        self, logits: Float[Tensor, "*batch D"], target: Float[Tensor, "*batch D"]
    ) -> Float[Tensor, "*batch"]:
        """Return sum_k x_k a_k - log((exp a_k - 1) / a_k), (...)."""
        return (target * logits - log_normalizer(logits)).sum(-1)

    def score(
        self, logits: Float[Tensor, "*batch D"], target: Float[Tensor, "*batch D"]
    ) -> Float[Tensor, "*batch D"]:
        """Return x_k - E[x_k], (..., D)."""
        return target - truncated_mean(logits)

    def mean(self, logits: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
        """Return 1 / (1 - exp(-a)) - 1 / a, in [0, 1], (..., D)."""
        return truncated_mean(logits).clamp(0.0, 1.0)


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
        self._log_normalizer = -math.log(scale) - 0.5 * LOG_2PI

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


class LearnedGaussian(Likelihood):
    """Independent normal features of one standard deviation that is learned with the networks.

    It stays within `LEAST_SCALE` and `MOST_SCALE`: without a floor a model that reproduces its few
    training samples would drive it to zero and its density to infinity.

    Parameters
    ----------
    scale : float
        First value, within the bounds (one beyond them is moved just inside).
    """

    LEAST_SCALE, MOST_SCALE = 0.01, 1.0
    PACE = 10.0
    """Steps of Adam are as long in every weight; one in this one counts for so many."""

    def __init__(self, scale: float = 0.1) -> None:
        super().__init__()
        if not scale > 0:
            raise InvalidInputError(f"the Gaussian likelihood's scale must be positive, got {scale}")
        low, high = math.log(self.LEAST_SCALE), math.log(self.MOST_SCALE)
        share = min(max((math.log(scale) - low) / (high - low), 0.01), 0.99)
        self.raw_scale = nn.Parameter(torch.tensor(math.log(share / (1.0 - share)) / self.PACE))

    @property
    def log_scale(self) -> Float[Tensor, ""]:
        """Log of the standard deviation."""
        low, high = math.log(self.LEAST_SCALE), math.log(self.MOST_SCALE)
        return low + (high - low) * torch.sigmoid(self.PACE * self.raw_scale)

    def log_prob(
        self, logits: Float[Tensor, "*batch D"], target: Float[Tensor, "*batch D"]
    ) -> Float[Tensor, "*batch"]:
        """Return the normal log density with its constant, (...)."""
        squares = ((target - self.mean(logits)) ** 2).sum(-1)
        log_scale = self.log_scale
        constant = target.shape[-1] * (log_scale + 0.5 * LOG_2PI)
        return -constant - 0.5 * squares * (-2.0 * log_scale).exp()

    def score(
        self, logits: Float[Tensor, "*batch D"], target: Float[Tensor, "*batch D"]
    ) -> Float[Tensor, "*batch D"]:
        """Return (x_k - m_k) m_k (1 - m_k) / scale^2, (..., D)."""
        mean = self.mean(logits)
        return (target - mean) * mean * (1.0 - mean) * (-2.0 * self.log_scale).exp()


def make_likelihood(name: str, scale: float = 0.1) -> Likelihood:
    """Return the likelihood called `name`, one of `LIKELIHOODS`; Gaussian ones begin at `scale`."""
    if name == "bernoulli":
        return Bernoulli()
    if name == "continuous-bernoulli":
        return ContinuousBernoulli()
    if name == "gaussian":
        return Gaussian(scale)
    if name == "gaussian-learned":
        return LearnedGaussian(scale)
    raise InvalidInputError(f"likelihood must be one of {', '.join(LIKELIHOODS)}, got {name!r}")

"""What the models with a flow share: tempering, the likelihood along a path, the evidence estimate."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemaug.models.base import LatentModel, Objective, Posterior, standard_normal_log_prob
from riemaug.models.condition import Condition, features_of
from riemaug.models.config import ModelConfig

GEOMETRY_DTYPE = torch.float64
"""The flow and its d x d factorisations run in float64: they cost little beside the networks."""


@dataclass(frozen=True)
class Schedule:
    """The leapfrog steps of a flow and how the momentum is tempered after each.

    Attributes
    ----------
    num_steps : int
        K.
    step_size : float
    initial_inverse_temperature : float
        beta0; 1/sqrt(beta_k) goes from 1/sqrt(beta0) at k = 0 to 1 at k = K, quadratically.
    """

    num_steps: int
    step_size: float
    initial_inverse_temperature: float

    @classmethod
    def of(cls, config: ModelConfig) -> "Schedule":
        """Return the schedule of a configured model."""
        return cls(config.num_leapfrog_steps, config.leapfrog_step_size, config.initial_inverse_temperature)

    def factor(self, k: int) -> float:
        """Return what the momentum is multiplied by at position k; at 0 it makes the law N(0, G / beta0)."""
        if k == 0:
            return self._inverse_sqrt_beta(0)
        return self._inverse_sqrt_beta(k) / self._inverse_sqrt_beta(k - 1)

    def _inverse_sqrt_beta(self, k: int) -> float:
        if self.num_steps == 0:
            return 1.0
        start = self.initial_inverse_temperature**-0.5
        return (1.0 - start) * (k / self.num_steps) ** 2 + start


class PathLikelihood:
    """log p(x|z) at the positions of a path: its gradient in z, and the logits where last asked.

    The gradient costs one pass and one vector-Jacobian product of the decoder; it does not depend on the
    momentum, so a flow asks once a position.

    Parameters
    ----------
    model : LatentModel
    data : Tensor (n, D)
    condition : Condition, optional
    """

    def __init__(
        self, model: LatentModel, data: Float[Tensor, "n D"], condition: Condition | None = None
    ) -> None:
        self._model, self._data, self._condition = model, data, condition
        self._passes = model.decoder.passes(features_of(condition))
        self.logits = data

    def part(self, rows: Int[Tensor, " rows"]) -> "PathLikelihood":
        """Return the same for some of the rows."""
        condition = None if self._condition is None else self._condition[rows]
        return PathLikelihood(self._model, self._data[rows], condition)

    def gather(self, rows: Sequence[Tensor], parts: "Sequence[PathLikelihood]") -> None:
        """Take the logits of parts that make up all rows."""
        logits = torch.cat([part.logits for part in parts])
        self.logits = torch.empty_like(logits).index_put((torch.cat(tuple(rows)),), logits)

    def begin(self, start: Float[Tensor, "n dim"]) -> Float[Tensor, "n dim"]:
        """Return the start of the path; all positions must be made of it."""
        return self._passes.begin(start)

    def score(self, position: Float[Tensor, "n dim"]) -> Float[Tensor, "n dim"]:
        """Return d log p(x|z) / dz, (n, d), in the position's type."""
        latent = position.to(self._data.dtype)
        logits, pullback = self._passes.at(latent)
        # of mixed precision the products alone: the law of the data is not for eight bits
        self.logits = logits.to(latent.dtype)
        cotangent = self._model.likelihood.score(self.logits, self._data).to(logits.dtype)
        return pullback(cotangent).to(position.dtype)

    def log_prob(self) -> Float[Tensor, " n"]:
        """Return log p(x|z) at the position whose logits are held, (n,)."""
        return self._model.likelihood.log_prob(self.logits, self._data)


@dataclass(frozen=True, eq=False)
class PathEnd:
    """Where a flow ended.

    Attributes
    ----------
    position, momentum : Tensor (n, d)
    momentum_terms : Tensor (n,)
        log N(rho_K; 0, G(z_K)) - log N(gamma; 0, I) + 1/2 log det G(z_0).
    failed_steps : int
        Steps that failed; the position was kept there and the momentum flipped.
    """

    position: Float[Tensor, "n dim"]
    momentum: Float[Tensor, "n dim"]
    momentum_terms: Float[Tensor, " n"]
    failed_steps: int


class Dynamics(ABC):
    """Tempered leapfrog steps of Hamiltonian dynamics in some metric."""

    @abstractmethod
    def run(
        self,
        schedule: Schedule,
        start: Float[Tensor, "n dim"],
        noise: Float[Tensor, "n dim"],
        path: PathLikelihood,
    ) -> PathEnd:
        """Follow the flow from `start` with the momentum that standard normal `noise` (gamma) stands for.

        Leaves in `path` the logits at the end.
        """


@dataclass(frozen=True, eq=False)
class FlowDraw:
    """One draw of the flow for each row of a batch: log-evidence estimate, its parts, failures."""

    log_evidence: Float[Tensor, " n"]
    log_likelihood: Float[Tensor, " n"]
    failed_steps: int

    def as_objective(self) -> Objective:
        """Return what training maximises: the estimate, its divergence all but log p(x|z)."""
        return Objective(self.log_likelihood, self.log_likelihood - self.log_evidence, self.failed_steps)


class FlowModel(LatentModel):
    """A VAE whose posterior draws are moved by Hamiltonian dynamics; parameters as in `LatentModel`."""

    def plain_objective(
        self,
        data: Float[Tensor, "n D"],
        posterior: Posterior,
        generator: torch.Generator,
        condition: Condition | None = None,
    ) -> Objective:
        """Return the ELBO of a plain VAE with these networks: no flow, closed-form divergence."""
        latent = posterior.transform(self._noise(data, generator))
        log_likelihood = self.likelihood.log_prob(self.logits(latent, condition), data)
        return Objective(log_likelihood, posterior.kl_to_prior())

    def draw(
        self,
        data: Float[Tensor, "n D"],
        posterior: Posterior,
        dynamics: Dynamics,
        generator: torch.Generator,
        condition: Condition | None = None,
    ) -> FlowDraw:
        """Draw z0 and the momentum, follow the flow, return the evidence estimate.

        log p(x|zK) + log p(zK) + log N(rhoK; 0, G(zK)) - log q(z0|x) - log N(gamma; 0, I)
        + 1/2 log det G(z0); the tempering's Jacobian cancels the beta0 of the momentum's law.
        """
        noise, gamma = self._noise(data, generator), self._noise(data, generator).to(GEOMETRY_DTYPE)
        path = PathLikelihood(self, data, condition)
        start = path.begin(posterior.transform(noise)).to(GEOMETRY_DTYPE)
        end = dynamics.run(Schedule.of(self.config), start, gamma, path)
        log_likelihood = path.log_prob()
        moved = standard_normal_log_prob(end.position) + end.momentum_terms
        log_evidence = log_likelihood + moved.to(data.dtype) - posterior.log_prob_of_noise(noise)
        return FlowDraw(log_evidence, log_likelihood, end.failed_steps)

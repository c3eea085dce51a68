"""The Hamiltonian VAE (Caterini et al. 2018, arXiv 1805.11328): the flow of the RHVAE with G = I."""

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug.models.base import Objective
from riemaug.models.condition import Condition
from riemaug.models.dynamics import EuclideanDynamics
from riemaug.models.flow import FlowModel


class HVAE(FlowModel):
    """A VAE whose posterior draws are moved by Hamiltonian dynamics; parameters as in `LatentModel`."""

    def objective(
        self, data: Float[Tensor, "n D"], generator: torch.Generator, condition: Condition | None = None
    ) -> Objective:
        """Return the log-evidence estimate of the flow."""
        posterior = self.encode(data, condition)
        if not self.follows_flow:
            return self.plain_objective(data, posterior, generator, condition)
        return self.draw(data, posterior, EuclideanDynamics(), generator, condition).as_objective()

    def log_evidence_estimate(
        self, data: Float[Tensor, "n D"], generator: torch.Generator, condition: Condition | None = None
    ) -> Float[Tensor, " n"]:
        """Return one unbiased-in-exp estimate of log p(x) a row, (n,)."""
        posterior = self.encode(data, condition)
        return self.draw(data, posterior, EuclideanDynamics(), generator, condition).log_evidence

"""The plain variational autoencoder (Kingma & Welling 2014)."""

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug.models.base import LatentModel, Objective
from riemaug.models.condition import Condition


class VAE(LatentModel):
    """Prior N(0, I), ELBO with the closed-form divergence; parameters as in `LatentModel`."""

    def objective(
        self, data: Float[Tensor, "n D"], generator: torch.Generator, condition: Condition | None = None
    ) -> Objective:
        """Return E[log p(x|z)] - KL(q || prior), one draw of z a sample."""
        posterior = self.encode(data, condition)
        latent = posterior.transform(self._noise(data, generator))
        log_likelihood = self.likelihood.log_prob(self.logits(latent, condition), data)
        return Objective(log_likelihood, posterior.kl_to_prior())

    def log_evidence_estimate(
        self, data: Float[Tensor, "n D"], generator: torch.Generator, condition: Condition | None = None
    ) -> Float[Tensor, " n"]:
        """Return log p(x|z) + log p(z) - log q(z|x) at one draw of z each, (n,)."""
        return self.plain_evidence_estimate(data, generator, condition)

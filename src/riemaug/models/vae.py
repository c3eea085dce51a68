"""The plain variational autoencoder (Kingma & Welling 2014)."""

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug.models.base import LatentModel, Objective, standard_normal_log_prob


class VAE(LatentModel):
    """Prior N(0, I), ELBO with the closed-form divergence; parameters as in `LatentModel`."""

    def objective(self, data: Float[Tensor, "n D"], generator: torch.Generator) -> Objective:
        """Return E[log p(x|z)] - KL(q || prior), one draw of z a sample."""
        posterior = self.encode(data)
        latent = posterior.transform(self._noise(data, generator))
        reconstruction = self.likelihood.log_prob(self.decoder(latent), data).mean()
        return Objective(reconstruction - posterior.kl_to_prior().mean(), reconstruction)

    def log_evidence_estimate(
        self, data: Float[Tensor, "n D"], generator: torch.Generator
    ) -> Float[Tensor, " n"]:
        """Return log p(x|z) + log p(z) - log q(z|x) at one draw of z each, (n,)."""
        posterior = self.encode(data)
        noise = self._noise(data, generator)
        latent = posterior.transform(noise)
        joint = self.likelihood.log_prob(self.decoder(latent), data) + standard_normal_log_prob(latent)
        return joint - posterior.log_prob_of_noise(noise)

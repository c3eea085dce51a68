"""-log p(x) of held-out images under an encoder and a decoder, by one estimator whoever trained them."""

import math

import torch
from torch import Tensor

from riemaug.models import LatentModel

GRID_LIMIT, GRID_POINTS = 7.0, 401
"""The latent square and its points along a side, 0.035 apart; N(0, I) has 5e-12 of its mass outside."""
CHUNK = 8192


def by_importance(model: LatentModel, held_out: Tensor, samples: int, seed: int) -> float:
    """Return the mean over images by importance weighting, z drawn from the encoder, in nats."""
    generator = torch.Generator().manual_seed(seed)
    return float(model.negative_log_likelihood(held_out, samples, generator, plain=True).mean())


@torch.no_grad()
def by_integration(model: LatentModel, held_out: Tensor) -> float:
    """Return the mean over images by a sum over a fine grid of the two-dimensional latent space, in nats.

    It does not ask the encoder, so a poor one does not make a decoder look poor.
    """
    axis = torch.linspace(-GRID_LIMIT, GRID_LIMIT, GRID_POINTS)
    total = torch.full((len(held_out),), -math.inf, dtype=torch.float64)
    for latent in torch.cartesian_prod(axis, axis).split(CHUNK):
        logits = model.decoder(latent)
        # Bernoulli: sum_k x_k a_k - log(1 + exp a_k), for all pairs of image and place at once
        fit = held_out @ logits.T - torch.nn.functional.softplus(logits).sum(1)
        joint = (fit + model.prior_log_prob(latent)).double()
        total = torch.logaddexp(total, torch.logsumexp(joint, 1))
    cell = 2.0 * math.log(float(axis[1] - axis[0]))
    return -float((total + cell).mean())

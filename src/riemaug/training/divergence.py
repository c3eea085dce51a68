"""When a finite objective has diverged all the same: far below that of a model that learned nothing."""

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug.models.config import ModelConfig
from riemaug.models.likelihoods import make_likelihood

LEAST_MARGIN = 10.0
"""Nats that an ELBO may lie below a start in any case: the noise of few features and few samples."""

_NUMBERS_AT_ONCE = 2**22


@torch.no_grad()
def blank_elbo(config: ModelConfig, data: Float[Tensor, "n D"]) -> float:
    """Return the mean ELBO of a model whose logits are all zero and whose q(z|x) is the prior, in nats.

    Networks with drawn weights are near it. It has no noise, and needs no pass of them.
    """
    law = make_likelihood(config.likelihood, config.likelihood_scale).to(data)
    total = 0.0
    for rows in data.split(max(1, _NUMBERS_AT_ONCE // data.shape[1])):
        total += float(law.log_prob(torch.zeros_like(rows), rows).double().sum())
    return total / len(data)


def elbo_floor(blank: float, start: float | None, data_dim: int) -> float:
    """Return the ELBO below which a training has diverged, in nats: a nat a feature below its start.

    Parameters
    ----------
    blank : float
        `blank_elbo`.
    start : float or None
        ELBO of the first batch before any step, of networks that do not start near `blank`.
    data_dim : int
    """
    return min(blank, blank if start is None else start) - max(LEAST_MARGIN, float(data_dim))

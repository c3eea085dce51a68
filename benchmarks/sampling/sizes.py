"""How many independent draws a set of dependent ones is worth."""

import numpy as np
import torch


def effective_draws(trace: torch.Tensor) -> float:
    """Return the bulk ESS of independent chains, the least of the scalars of (steps, scalars, chains)."""
    from arviz_stats.base.array import array_stats  # here, being slow to import

    sizes = [np.asarray(array_stats.ess(scalar.T.numpy())) for scalar in trace.unbind(1)]
    return min(size.item() for size in sizes)

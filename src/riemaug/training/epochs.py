"""What one pass over the data gave."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug.models.base import Objective
from riemaug.training.reports import EpochReport
from riemaug.training.state import History


@dataclass(frozen=True)
class Epoch:
    """Means over the samples, in nats, of the weights that each batch was scored with.

    Attributes
    ----------
    elbo, reconstruction : float
        Of the training data.
    failed_steps : int
        Implicit leapfrog steps that did not converge.
    validation : float or None
        ELBO of the samples held out; None without them.
    """

    elbo: float
    reconstruction: float
    failed_steps: int
    validation: float | None = None

    @property
    def monitored(self) -> float:
        """The ELBO that decides which weights are kept: that of the samples held out, if there are any."""
        return self.elbo if self.validation is None else self.validation

    @property
    def is_finite(self) -> bool:
        """Whether the monitored ELBO is a number."""
        return math.isfinite(self.monitored)

    def add_to(self, history: History) -> None:
        """Make it the newest entry of a history."""
        history.elbo.append(self.elbo)
        history.reconstruction.append(self.reconstruction)
        history.failed_steps.append(self.failed_steps)
        if self.validation is not None:
            history.validation.append(self.validation)

    def report(self, history: History, learning_rate: float, divergence_weight: float) -> EpochReport:
        """Return what is told of it, once it is in the history."""
        return EpochReport(
            history.num_epochs,
            self.elbo,
            history.best_elbo,
            history.epochs_since_best,
            history.seconds,
            self.reconstruction,
            self.failed_steps,
            self.validation,
            learning_rate,
            divergence_weight,
        )


def batch_sums(objective: Objective) -> Float[Tensor, "3"]:
    """Return the ELBO, the log-likelihood and the failed steps, summed over the samples of a batch."""
    reconstruction = objective.log_likelihood.detach().double().sum()
    divergence = objective.divergence.detach().double().sum()
    failed = torch.full_like(reconstruction, objective.failed_steps)
    return torch.stack([reconstruction - divergence, reconstruction, failed])

"""When a finite objective has diverged all the same: far below that of a model that learned nothing."""

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug.models.config import ModelConfig
from riemaug.models.likelihoods import make_likelihood
from riemaug.training.config import TrainingConfig
from riemaug.training.state import History

WORSE_EPOCHS = 5
"""So many epochs in a row worse than the first one, after better ones, count as divergence.

So do as many far below the ELBO of a model that learned nothing, whatever came before them.
"""
LEAST_MARGIN = 10.0
"""Nats that an ELBO may lie below a start in any case: the noise of few features and few samples."""

_NUMBERS_AT_ONCE = 2**22


class DivergenceWatch:
    """Judges ELBOs by where a training began: a nat a feature below it is far below.

    Parameters
    ----------
    config : TrainingConfig
    model : ModelConfig
    training, monitored : Tensor (n, D), (m, D)
        The rows that are trained on, and those whose ELBO says which weights are the best.
    """

    def __init__(
        self,
        config: TrainingConfig,
        model: ModelConfig,
        training: Float[Tensor, "n D"],
        monitored: Float[Tensor, "m D"],
    ) -> None:
        self.config = config
        self._blank = blank_elbo(model, training)
        self._monitored_blank = self._blank if monitored is training else blank_elbo(model, monitored)
        self._data_dim = training.shape[1]

    def worse_than(self, history: History) -> str | None:
        """Return what the last epochs were all too much worse than; None where training goes well."""
        if history.is_worse_than_first(WORSE_EPOCHS, self.config.uncounted_epochs):
            return f"that of the first epoch for {WORSE_EPOCHS} epochs"
        # patience must not end it first
        number, floor = min(WORSE_EPOCHS, self.config.patience), self._floor(self._blank, history)
        if history.ends_below(floor, number):
            return f"{floor:.4g}, far below its start, for {number} epochs"
        return None

    def ends_far_below(self, history: History) -> bool:
        """Return whether the last epoch lies far below the start."""
        return bool(history.elbo) and history.elbo[-1] < self._floor(self._blank, history)

    def learned_nothing(self, history: History) -> bool:
        """Return whether the weights kept are the first ones, and the last ones are far worse."""
        return history.best_epoch < 0 or (history.best_epoch == 0 and self.ends_far_below(history))

    def is_worth_keeping(self, elbo: float, history: History) -> bool:
        """Return whether weights of this monitored ELBO are not far worse than those training began with."""
        return elbo >= self._floor(self._monitored_blank, history)

    def _floor(self, blank: float, history: History) -> float:
        return elbo_floor(blank, history.start_elbo, self._data_dim)


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

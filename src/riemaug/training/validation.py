"""The ELBO of samples held out of training."""

import torch

from riemaug.models.base import LatentModel
from riemaug.models.rhvae import RHVAE
from riemaug.random import Stream
from riemaug.training.batches import Samples
from riemaug.training.precision import Precision


class HeldOut:
    """Scores a model by evidence estimates of samples it does not train on.

    The mean of log w, E[w] = p(x), is a lower bound of log p(x) as the training objective is. An RHVAE is
    scored under the metric that it would be stored with: that of the training part, with the present weights.
    The noise is the same in each epoch, so what changes from one to the next is the model.

    Parameters
    ----------
    training, held_out : Samples
    num_draws : int
        Estimates for each sample.
    stream : Stream
        Of the noise.
    """

    def __init__(self, training: Samples, held_out: Samples, num_draws: int, stream: Stream) -> None:
        self.training, self.samples = training, held_out
        self.num_draws, self.stream = num_draws, stream

    @torch.no_grad()
    def score(self, model: LatentModel, precision: Precision, plain: bool = False) -> float:
        """Return the mean estimate of log p(x) over the held-out samples, in nats.

        `plain` takes that of encoder and decoder alone, without metric and flow, at a fraction of the cost.
        """
        was_training = model.training
        model.eval()
        try:
            with precision.networks():
                return self._mean_estimate(model, plain)
        finally:
            model.train(was_training)

    def _mean_estimate(self, model: LatentModel, plain: bool) -> float:
        if isinstance(model, RHVAE) and not plain:
            for group in self.training.groups():
                model.build_metric(group.rows, group.condition)
        estimate = model.plain_evidence_estimate if plain else model.log_evidence_estimate
        rows = self.samples.rows
        generator = self.stream.generator(rows.device)
        total = torch.zeros((), dtype=torch.float64, device=rows.device)
        for _ in range(self.num_draws):
            total += estimate(rows, generator, self.samples.condition).double().mean()
        return float(total) / self.num_draws

"""The training loop: Adam, early stopping on the training ELBO, best weights, never NaN."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from riemaug.errors import TrainingError
from riemaug.models.base import LatentModel
from riemaug.random import Stream
from riemaug.training.config import TrainingConfig
from riemaug.training.state import History, TrainingState, copy_weights, restore_weights


@dataclass(frozen=True)
class EpochReport:
    """What a progress callback hears after each epoch."""

    epoch: int
    elbo: float
    best_elbo: float
    epochs_since_best: int
    seconds: float


@dataclass
class _EpochTotals:
    """Sums over the samples of one epoch; `finite` falls at the first bad batch."""

    elbo: float = 0.0
    reconstruction: float = 0.0
    failed_steps: int = 0
    finite: bool = True


class Trainer:
    """Trains one model on one class.

    Parameters
    ----------
    model : LatentModel
    data : Tensor (n, D)
        In [0, 1], on the model's device.
    config : TrainingConfig
    stream : Stream
        Noise and batches of epoch e come from its block e.
    state_path : Path, optional
        Where the resumable state is kept; continued from there if the file exists.
    on_epoch : callable, optional
        Hears an `EpochReport` after each epoch. It cannot change the run.
    """

    def __init__(
        self,
        model: LatentModel,
        data: Float[Tensor, "n D"],
        config: TrainingConfig,
        stream: Stream,
        state_path: Path | None = None,
        on_epoch: Callable[[EpochReport], None] | None = None,
    ) -> None:
        self.model, self.data, self.config = model, data, config
        self.stream, self.state_path, self.on_epoch = stream, state_path, on_epoch
        self.history = History()
        self.learning_rate = config.learning_rate
        self.optimizer = self._new_optimizer()
        self.best_weights = copy_weights(model)
        self._between_epochs = True

    def fit(self) -> History:
        """Train until the stopping rule holds; leave the best weights in the model.

        Returns
        -------
        History

        Raises
        ------
        TrainingError
            The objective was not finite again and again, whatever the learning rate.
        """
        if self.state_path is not None and self.state_path.exists():
            self._resume(self.state_path)
        self.model.train()
        started, saved, save_cost = time.monotonic(), time.monotonic(), 0.0
        before = self.history.seconds
        try:
            while not self._finished():
                self._run_epoch()
                self.history.seconds = before + time.monotonic() - started
                if time.monotonic() - saved > max(self.config.checkpoint_seconds, 20.0 * save_cost):
                    saved = time.monotonic()
                    self._save()
                    save_cost = time.monotonic() - saved
        except KeyboardInterrupt:
            # in the middle of an epoch the weights have moved and the history has not: saved like this
            # the epoch would be done twice, so the file keeps the last whole epoch written
            if self._between_epochs:
                self._save()
            raise
        restore_weights(self.model, self.best_weights)
        self.model.eval()
        return self.history

    def _finished(self) -> bool:
        history, config = self.history, self.config
        if history.best_epoch >= 0 and history.num_epochs - 1 - history.best_epoch >= config.patience:
            history.stop_reason = f"no better training ELBO for {config.patience} epochs"
        elif history.num_epochs >= config.max_epochs:
            history.stop_reason = f"reached max_epochs = {config.max_epochs}"
        return bool(history.stop_reason)

    def _run_epoch(self) -> None:
        """Do one pass; the ELBO of an epoch is that of the weights its batches were scored with."""
        epoch, history = self.history.num_epochs + self.history.rollbacks, self.history
        generator = self.stream.block(epoch).generator(self.data.device)
        self._between_epochs = False
        # with batches the ELBO of an epoch is known only after its updates: what it began with is kept
        scored = copy_weights(self.model) if self._num_batches() > 1 else None
        totals = self._pass_over_data(generator)
        if not totals.finite:
            self._roll_back()
            self._between_epochs = True
            return
        elbo = totals.elbo / len(self.data)
        history.elbo.append(elbo)
        history.reconstruction.append(totals.reconstruction / len(self.data))
        history.failed_steps.append(totals.failed_steps)
        if elbo > history.best_elbo:
            history.best_elbo, history.best_epoch = elbo, history.num_epochs - 1
            if scored is not None:
                self.best_weights = scored
        self._between_epochs = True
        if self.on_epoch is not None:
            since = history.num_epochs - 1 - history.best_epoch
            self.on_epoch(EpochReport(history.num_epochs, elbo, history.best_elbo, since, history.seconds))

    def _keep_weights(self) -> None:
        """Note the present weights, which were just scored, as the best."""
        with torch.no_grad():
            for name, weight in self.model.named_parameters():
                self.best_weights[name].copy_(weight)

    def _num_batches(self) -> int:
        return -(-len(self.data) // self.config.batch_size)

    def _pass_over_data(self, generator: torch.Generator) -> _EpochTotals:
        totals = _EpochTotals()
        for batch in self._batches(generator):
            objective = self.model.objective(batch, generator)
            self.optimizer.zero_grad(set_to_none=True)
            (-objective.elbo).backward()
            if not self._clip_gradients(objective.elbo):
                totals.finite = False
                break
            if len(batch) == len(self.data) and objective.elbo > self.history.best_elbo:
                self._keep_weights()
            self.optimizer.step()
            totals.elbo += float(objective.elbo.detach()) * len(batch)
            totals.reconstruction += float(objective.reconstruction.detach()) * len(batch)
            totals.failed_steps += objective.failed_steps
        return totals

    def _batches(self, generator: torch.Generator) -> tuple[Float[Tensor, "m D"], ...]:
        """Return the whole data, or a random split into equal batches."""
        count = self._num_batches()
        if count == 1:
            return (self.data,)
        order = torch.randperm(len(self.data), generator=generator, device=self.data.device)
        return tuple(self.data[part] for part in order.tensor_split(count))

    def _clip_gradients(self, elbo: Float[Tensor, ""]) -> bool:
        """Scale the gradients down to the largest norm allowed; return whether all is finite."""
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.max_gradient_norm)
        return bool(torch.isfinite(norm) & torch.isfinite(elbo.detach()))

    def _roll_back(self) -> None:
        """Go back to the best weights with half the learning rate and fresh moments."""
        self.history.rollbacks += 1
        if self.history.rollbacks > self.config.max_rollbacks:
            raise TrainingError(
                f"the training objective must stay finite, it did not {self.history.rollbacks} times down to "
                f"learning rate {self.learning_rate:g}; try a larger regularization, likelihood gaussian, or "
                "look for outliers in the data"
            )
        restore_weights(self.model, self.best_weights)
        self.learning_rate /= 2.0
        self.optimizer = self._new_optimizer()

    def _new_optimizer(self) -> torch.optim.Adam:
        return torch.optim.Adam(self.model.parameters(), lr=self.learning_rate, fused=True)

    def _save(self) -> None:
        if self.state_path is None:
            return
        moments: dict[str, Tensor] = {}
        for name, weight in self.model.named_parameters():
            for key, value in self.optimizer.state.get(weight, {}).items():
                moments[f"{key}.{name}"] = value
        state = TrainingState(
            copy_weights(self.model), self.best_weights, moments, self.learning_rate, self.history
        )
        state.save(self.state_path)

    def _resume(self, path: Path) -> None:
        state = TrainingState.load(path)
        state.check_fits(self.model, path)
        restore_weights(self.model, state.weights)
        self.best_weights = {k: v.to(self.data.device) for k, v in state.best_weights.items()}
        self.learning_rate, self.history = state.learning_rate, state.history
        self.history.stop_reason = ""
        self.optimizer = self._new_optimizer()
        for name, weight in self.model.named_parameters():
            moments = {
                k.split(".", 1)[0]: v for k, v in state.optimizer.items() if k.split(".", 1)[1] == name
            }
            if moments:
                # the fused optimiser wants its step counter beside the weight, too
                self.optimizer.state[weight] = {k: v.to(weight.device) for k, v in moments.items()}

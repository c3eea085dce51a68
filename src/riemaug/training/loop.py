"""The training loop: Adam, early stopping on the ELBO, best weights, never NaN."""

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemaug.errors import TrainingError
from riemaug.models.base import LatentModel
from riemaug.models.condition import Condition
from riemaug.random import Stream
from riemaug.training.batches import (
    Augmentation,
    Samples,
    batches,
    hold_out,
    num_batches,
    untransformed,
)
from riemaug.training.callbacks import Callback, Callbacks
from riemaug.training.config import TrainingConfig
from riemaug.training.divergence import DivergenceWatch
from riemaug.training.epochs import Epoch, batch_sums
from riemaug.training.optimization import Optimization
from riemaug.training.precision import Precision
from riemaug.training.processes import OneProcess, Processes
from riemaug.training.reports import EpochReport, RollbackReport
from riemaug.training.state import History, TrainingState
from riemaug.training.validation import HeldOut
from riemaug.training.weights import KeptWeights, copy_weights, restore_weights

log = logging.getLogger(__name__)


class Trainer:
    """Trains one model on one class, or a conditional one on several.

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
    condition : Condition of n samples, optional
        What a conditional model is told of each row of `data`.
    callbacks : sequence of Callback
        Hear what happens; see `Callback`.
    augmentation : Augmentation, optional
        Changes each batch before its step.
    processes : Processes, optional
        Those that share every batch; by default this one alone.
    subjects : Tensor (n,), optional
        Equal numbers for samples of one subject, which are held out together.

    Raises
    ------
    InvalidInputError
        The device lacks the precision asked for, or there are too few samples to hold some out.
    """

    def __init__(
        self,
        model: LatentModel,
        data: Float[Tensor, "n D"],
        config: TrainingConfig,
        stream: Stream,
        state_path: Path | None = None,
        on_epoch: Callable[[EpochReport], None] | None = None,
        condition: Condition | None = None,
        callbacks: Sequence[Callback] = (),
        augmentation: Augmentation | None = None,
        processes: Processes | None = None,
        subjects: Int[Tensor, " n"] | None = None,
    ) -> None:
        self.model, self.config, self.stream = model, config, stream
        self.state_path, self.on_epoch = state_path, on_epoch
        self.augmentation = augmentation
        self.processes = OneProcess(model) if processes is None else processes
        self.callbacks = Callbacks(callbacks if self.processes.is_first else ())
        self.samples, self.held_out = Samples(data, condition, subjects), None
        if config.monitor == "validation":
            self.samples, self.held_out = self._split_off()
        monitored = self.samples if self.held_out is None else self.held_out.samples
        self.watch = DivergenceWatch(config, model.config, self.samples.rows, monitored.rows)
        self.history = History()
        self.precision = Precision(config.precision, data.device)
        self.optimization = Optimization(model, config, self.precision)
        self.best = KeptWeights(model)
        self._is_whole = True
        """Whether weights and history are those after the same epoch, so that they may be written."""

    def _split_off(self) -> tuple[Samples, HeldOut]:
        """Return what is trained on, and the held-out samples with all that their score needs."""
        config, stream = self.config, self.stream
        training, held = hold_out(self.samples, config.validation_fraction, stream.child("validation split"))
        noise = stream.child("validation noise")
        seen = [training, held]
        if self.augmentation is not None:
            seen = [untransformed(part, self.augmentation) for part in seen]
        return training, HeldOut(seen[0], seen[1], config.validation_draws, noise)

    @property
    def learning_rate(self) -> float:
        """The present learning rate: the configured one, halved at each rollback."""
        return self.optimization.learning_rate

    def fit(self) -> History:
        """Train until the stopping rule holds; leave the best weights in the model.

        An interrupt (Ctrl-C) leaves the best weights so far in the model and, in the state file, the last
        whole epoch; after the first step of an epoch, the last whole one that was written.

        Returns
        -------
        History

        Raises
        ------
        TrainingError
            The objective was not finite, or far below its start, again and again, whatever the learning
            rate; or no epoch was worth keeping.
        """
        if self.state_path is not None and self.state_path.exists():
            self._resume(self.state_path)
        self.model.train()
        with self.callbacks.told_of(self.config, self.history):
            self._train()
        return self.history

    def _train(self) -> None:
        """Run epochs until the stopping rule holds or an interrupt comes; leave the best weights."""
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
            # after the first step of an epoch the weights have moved and the history has not: saved like
            # this the epoch would be done twice, so the file keeps the last whole epoch written
            if self._is_whole:
                self._save()
            self._leave_best()
            raise
        if self.watch.learned_nothing(self.history):
            raise TrainingError(self._never_better())
        self._leave_best()

    def _leave_best(self) -> None:
        self.best.restore()
        self.model.follows_flow = True
        self.model.eval()

    def _finished(self) -> bool:
        history, config = self.history, self.config
        if not history.stop_reason:
            if history.best_epoch >= 0 and history.epochs_without_gain >= config.patience:
                history.stop_reason = f"no better {config.monitor} ELBO for {config.patience} epochs"
            elif history.num_epochs >= config.max_epochs:
                history.stop_reason = f"reached max_epochs = {config.max_epochs}"
        return bool(history.stop_reason)

    def _run_epoch(self) -> None:
        """Do one pass; the training ELBO of an epoch is that of the weights its batches were scored with."""
        history = self.history
        noise = self.stream.block(history.num_epochs + history.rollbacks)
        # a forward pass moves the running means that networks of a user's own may have
        self._is_whole = not self._has_layers_of_others
        self.model.follows_flow = history.num_epochs >= self.config.plain_epochs
        self.optimization.set_rate_factor(self.config.rate_factor(history.num_epochs))
        if self.held_out is None and not self._is_full_batch:
            # the ELBO is known only after the epoch's updates: what it began with may be what is kept
            self.best.note()
        device = self.samples.rows.device
        with noise.child("layers").as_global(device) if self._has_layers_of_others else nullcontext():
            epoch = self._pass_over_data(noise.generator(device))
        if epoch is not None and self.held_out is not None:
            epoch = self._validated(epoch)
        if epoch is None or not (self._is_uncounted or epoch.is_finite):
            self._roll_back("the objective was not finite")
            self._is_whole = True
            return
        self._record(epoch)
        worse = self.watch.worse_than(history)
        if worse is not None:
            self._roll_back(f"the ELBO fell below {worse}")
        self._is_whole = True
        self._report(epoch)

    def _never_better(self) -> str:
        history = self.history
        return (
            f"the ELBO must grow, it stayed far below that of an untrained model down to learning rate "
            f"{self.learning_rate:g} ({history.num_epochs} epochs, {history.rollbacks} rollbacks); try a "
            "smaller learning rate or more epochs"
        )

    def _pass_over_data(self, generator: torch.Generator) -> Epoch | None:
        """Take a step for each batch; None as soon as one is not finite."""
        weight = self.config.divergence_weight(self.history.num_epochs)
        sums = torch.zeros(3, dtype=torch.float64, device=self.samples.rows.device)
        bad = torch.zeros((), dtype=torch.float64, device=sums.device)
        for batch in self._batches(generator):
            with self.precision.networks():
                objective = self.processes.objective(batch, generator)
            loss = objective.loss(weight) * self.processes.share(objective, batch)
            bad = bad + self.processes.total((~self.optimization.backward(loss)).to(bad.dtype))
            own = batch_sums(objective)
            sums += own
            # on CUDA one look at the end is cheaper than waiting after each batch: bad steps do nothing
            if (self._is_full_batch or sums.device.type == "cpu") and bool(bad):
                return None
            if self.history.start_elbo is None:
                self._note_start(float(self.processes.total(own)[0]) / len(batch))
            if self._is_full_batch and self.held_out is None:
                self._keep_if_best(float(self._means(sums)[0]), self.best.keep)
            self._is_whole = False
            self.optimization.step()
        elbo, reconstruction, failed = self._means(sums).tolist()
        return None if bool(bad) else Epoch(elbo, reconstruction, round(failed * len(self.samples)))

    def _note_start(self, elbo: float) -> None:
        if math.isfinite(elbo):
            self.history.start_elbo = elbo

    def _batches(self, generator: torch.Generator) -> Iterator[Samples]:
        for batch in batches(self.samples, self.config.batch_size, generator):
            if self.augmentation is None:
                yield batch
            else:
                yield Samples(*self.augmentation(batch.rows, batch.condition, generator))

    def _means(self, sums: Float[Tensor, "3"]) -> Float[Tensor, "3"]:
        return self.processes.total(sums) / len(self.samples)

    def _validated(self, epoch: Epoch) -> Epoch:
        assert self.held_out is not None
        score = 0.0
        if self.processes.is_first:
            score = self.held_out.score(self.model, self.precision, plain=self._is_uncounted)
        # rounding must not let processes decide differently: all take the score of the first
        shared = torch.tensor(score, dtype=torch.float64, device=self.samples.rows.device)
        return replace(epoch, validation=float(self.processes.total(shared)))

    @property
    def _is_full_batch(self) -> bool:
        return num_batches(len(self.samples), self.config.batch_size) == 1

    def _keep_if_best(self, elbo: float, keep: Callable[[], None]) -> None:
        """Keep the weights that were scored if they are the best, or the last ones that do not count."""
        if self.watch.is_worth_keeping(elbo, self.history) and (
            self._is_uncounted or elbo > self.history.best_elbo
        ):
            keep()

    @property
    def _has_layers_of_others(self) -> bool:
        """Whether the networks are a user's own, whose layers may draw from PyTorch's global generators."""
        return self.model.config.network == "custom"

    @property
    def _is_uncounted(self) -> bool:
        return self.history.num_epochs < self.config.uncounted_epochs

    def _record(self, epoch: Epoch) -> None:
        history = self.history
        monitored = epoch.monitored
        if self.held_out is not None:
            self._keep_if_best(monitored, self.best.keep)
        elif not self._is_full_batch:
            self._keep_if_best(monitored, self.best.keep_noted)
        is_best = monitored > history.best_elbo and self.watch.is_worth_keeping(monitored, history)
        if is_best and not self._is_uncounted:
            history.best_elbo, history.best_epoch = monitored, history.num_epochs
        epoch.add_to(history)

    def _report(self, epoch: Epoch) -> None:
        if not self.processes.is_first:
            return
        history = self.history
        weight = self.config.divergence_weight(history.num_epochs - 1)
        report = epoch.report(history, self.learning_rate, weight)
        log.debug(
            "epoch %d: ELBO %.4f, best %.4f, rate %g",
            report.epoch,
            report.elbo,
            report.best_elbo,
            self.learning_rate,
        )
        if self.on_epoch is not None:
            self.on_epoch(report)
        self.callbacks.epoch(report)

    def _roll_back(self, reason: str) -> None:
        """Go back to the best weights with half the learning rate and fresh moments."""
        history, self._is_whole = self.history, False
        history.rollbacks += 1
        history.rollback_epochs.append(history.num_epochs)
        if history.rollbacks > self.config.max_rollbacks:
            self._give_up(reason)
            return
        self.best.restore()
        self.optimization.restart(self.learning_rate / 2.0)
        log.warning(
            "after epoch %d %s: back to the best weights, roll-back %d, learning rate %g",
            history.num_epochs,
            reason,
            history.rollbacks,
            self.learning_rate,
        )
        self.callbacks.rollback(
            RollbackReport(history.num_epochs, reason, history.rollbacks, self.learning_rate)
        )

    def _give_up(self, reason: str) -> None:
        """Stop at the best weights, if training has found better ones than it began with."""
        if self.history.best_epoch < 1:
            if self.watch.ends_far_below(self.history):
                raise TrainingError(self._never_better())
            raise TrainingError(
                f"the training objective must stay finite, it did not {self.history.rollbacks} times down to "
                f"learning rate {self.learning_rate:g}; try a larger regularization, likelihood gaussian, or "
                "look for outliers in the data"
            )
        self.history.stop_reason = f"diverged {self.history.rollbacks} times (the last time {reason})"

    def _save(self) -> None:
        if self.state_path is None or not self.processes.is_first:
            return
        TrainingState(
            copy_weights(self.model),
            self.best.kept,
            self.optimization.moments(),
            self.learning_rate,
            self.history,
            self.config.law(),
            self.precision.state(),
        ).save(self.state_path)

    def _resume(self, path: Path) -> None:
        state = TrainingState.load(path)
        state.check_fits(self.model, self.config.law(), path)
        restore_weights(self.model, state.best_weights)
        self.best.keep()
        restore_weights(self.model, state.weights)
        self.history = state.history
        self.history.stop_reason = ""
        log.info("training goes on after epoch %d", self.history.num_epochs)
        self.optimization.resume(state.learning_rate, state.optimizer)
        self.precision.restore(state.loss_scale)

"""Training one model, of a class or of all, as a task that resumes: its files in the working folder."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int, Shaped

from riemaug.atomic import atomic_write_text
from riemaug.class_model import NO_NETWORKS, ClassModel, Networks, TrainingRows, fit_model
from riemaug.data import RangeScaler
from riemaug.logs import fields, in_class
from riemaug.models import ModelConfig
from riemaug.run.progress import ProgressFile, TaskProgress
from riemaug.run.workdir import WorkDir
from riemaug.serialization import (
    model_description,
    model_tensors,
    read_tensors,
    restore_model,
    write_tensors,
)
from riemaug.training import EpochReport, History, TrainingConfig
from riemaug.training.augmentation import AugmentationConfig

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ClassRows:
    """The training samples of one class; `rows` are in the user's dtype, `subjects` says whose they are."""

    name: str
    rows: Shaped[np.ndarray, "n ..."]
    sources: tuple[str, ...]
    subjects: tuple[str, ...] | None = None

    def take(self, chosen: Int[np.ndarray, " m"]) -> "ClassRows":
        """Return some of the samples."""
        subjects = None if self.subjects is None else tuple(self.subjects[i] for i in chosen)
        return ClassRows(self.name, self.rows[chosen], tuple(self.sources[i] for i in chosen), subjects)


@dataclass(frozen=True, eq=False)
class FitJob:
    """One model to be trained: on a class, or on several that share it.

    Attributes
    ----------
    index : int
        Of the model, among those of the run.
    task : TaskProgress
        How its training is shown where it is a task of its own.
    """

    index: int
    classes: tuple[ClassRows, ...]
    work: WorkDir
    scaler: RangeScaler
    model: ModelConfig
    training: TrainingConfig
    seed: int
    device: str
    networks: Networks = NO_NETWORKS
    augmentation: AugmentationConfig | None = None
    task: TaskProgress = TaskProgress("waiting", name="the shared model", fit_share=1.0)

    @property
    def progress(self) -> ProgressFile:
        """Where the training tells how far it is, where it is a task of its own."""
        return ProgressFile(self.work.fit_progress(self.index), self.task)

    @property
    def whose(self) -> str:
        """What logs call the model: its class, or that several share it."""
        if len(self.classes) == 1:
            return self.classes[0].name
        return f"the model of {len(self.classes)} classes"


def has_fixed_length(training: TrainingConfig) -> bool:
    """Return whether a training goes to its last epoch: its learning rate falls towards that."""
    return training.decay_share > 0 and training.patience >= training.max_epochs


def run_fit_job(job: FitJob, progress: ProgressFile | None = None) -> None:
    """Train a model, or do what is left of it, and leave it in the working folder.

    Parameters
    ----------
    job : FitJob
    progress : ProgressFile, optional
        Of the task that this training is the first part of; None if it is a task of its own.

    Raises
    ------
    TrainingError
        The message names the class.
    """
    told = progress or job.progress
    with in_class(job.whose):
        if job.work.description(job.index).is_file():
            log.info("was trained before")
        else:
            _fit(job, told)
    if progress is None:
        told.tell("done")


def load_fitted(work: WorkDir, index: int, networks: Networks = NO_NETWORKS) -> tuple[ClassModel, ...]:
    """Return the classes of a model that a finished training left in the working folder."""
    description = json.loads(work.description(index).read_text(encoding="utf-8"))
    return restore_model(description, read_tensors(work.weights(index), ""), networks)


def unit_rows(rows: Shaped[np.ndarray, "n ..."], scaler: RangeScaler, device: str) -> torch.Tensor:
    """Return samples as flat rows in [0, 1] on a device."""
    unit = scaler.transform(np.asarray(rows)).reshape(len(rows), -1)
    # copied to where PyTorch aligns it: sums over memory of another alignment differ in the last bit
    return torch.from_numpy(unit).clone().to(device)


def training_rows(classes: Sequence[ClassRows], scaler: RangeScaler, device: str) -> list[TrainingRows]:
    """Return the samples of classes, ready to train on."""
    return [
        TrainingRows(item.name, unit_rows(item.rows, scaler, device), item.sources, item.subjects)
        for item in classes
    ]


def _fit(job: FitJob, progress: ProgressFile) -> None:
    def tell(report: EpochReport) -> None:
        progress.tell(
            "fit",
            done=report.epoch,
            total=job.training.max_epochs,
            value=report.elbo,
            best=report.best_elbo,
            since_best=report.epochs_since_best,
            is_fixed=has_fixed_length(job.training),
        )

    _tell_start(job)
    state_path = job.work.training_state(job.index)
    rows = training_rows(job.classes, job.scaler, job.device)
    classes = fit_model(
        rows, job.model, job.training, job.seed, state_path, tell, job.networks, job.augmentation
    )
    write_tensors(job.work.weights(job.index), model_tensors(classes))
    description = json.dumps(model_description(classes), ensure_ascii=False)
    atomic_write_text(job.work.description(job.index), description)
    state_path.unlink(missing_ok=True)
    _tell_end(classes[0].history)


def _tell_start(job: FitJob) -> None:
    model, count = job.model, sum(len(item.rows) for item in job.classes)
    log.info(
        "training begins: %d samples, %s, d = %d, on %s",
        count,
        model.kind,
        model.latent_dim,
        job.device,
        extra=fields(
            samples=count,
            model=model.kind,
            latent_dim=model.latent_dim,
            network=model.network,
            max_epochs=job.training.max_epochs,
            device=job.device,
        ),
    )


def _tell_end(history: History) -> None:
    log.info(
        "%d epochs in %.1f s, ELBO %.2f (%s), %d failed implicit steps, %d roll-backs",
        history.num_epochs,
        history.seconds,
        history.best_elbo,
        history.stop_reason,
        sum(history.failed_steps),
        history.rollbacks,
        extra=fields(
            epochs=history.num_epochs,
            seconds=round(history.seconds, 2),
            best_elbo=history.best_elbo,
            best_epoch=history.best_epoch,
            stop_reason=history.stop_reason,
            failed_steps=sum(history.failed_steps),
            rollbacks=history.rollbacks,
        ),
    )

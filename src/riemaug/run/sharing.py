"""Whether classes share one model: measured on samples that neither way has seen, before the real fit.

The rehearsal
-------------
A fifth of each of up to `MEASURED_CLASSES` classes is held out. A plain VAE with the networks, likelihood
and latent dimension of the real model is trained on the rest of all classes together, told the class, and
one VAE a measured class on the rest of that class alone, by the real trainings' own rules: all classes for at
most `REHEARSAL_EPOCHS` epochs, one class for as many steps as that makes, and neither for longer than in the
real fit. What is kept is the way whose models give the held-out samples the larger mean importance-weighted
log-likelihood. A VAE stands for the RHVAE
because its epoch costs a fraction and the networks, which are what is shared, are the same; few classes are
enough because one answer is given for all of them.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from riemaug.atomic import atomic_write_text
from riemaug.class_model import ClassModel
from riemaug.errors import InvalidInputError, TrainingError
from riemaug.logs import stage
from riemaug.random import Stream
from riemaug.run.fitting import ClassRows, FitJob, load_fitted, run_fit_job, unit_rows
from riemaug.run.workdir import WorkDir
from riemaug.training import TrainingConfig
from riemaug.training.batches import num_batches
from riemaug.training.holding_out import held_out_subjects

log = logging.getLogger(__name__)
MEASURED_CLASSES = 4
HELD_OUT_SHARE = 0.2
LEAST_SAMPLES = 5
"""A class of fewer is not measured: it would leave too little to learn from or too little to score."""
REHEARSAL_EPOCHS = 150
NUM_DRAWS = 100


@dataclass(frozen=True)
class Sharing:
    """Whether the classes share one model, and what that rests on.

    Attributes
    ----------
    shared : bool
    reason : str
        One sentence.
    shared_nats, separate_nats : float or None
        Mean held-out log-likelihood of a sample, if that was measured; None if training failed.
    num_held_out : int
        Samples that were scored.
    measured_classes : tuple of str
    """

    shared: bool
    reason: str
    shared_nats: float | None = None
    separate_nats: float | None = None
    num_held_out: int = 0
    measured_classes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class RehearsalJob:
    """One model of the rehearsal, and the samples of its measured classes that it is scored on."""

    fit: FitJob
    held_out: tuple[ClassRows, ...]


def rehearsal_jobs(shared: FitJob, separate: Sequence[FitJob]) -> list[RehearsalJob]:
    """Return the trainings that decide whether classes are to share a model.

    The first is of all classes, the others of one each; none where no class is large enough.

    Parameters
    ----------
    shared : FitJob
        The real fit of all classes in one model.
    separate : sequence of FitJob
        The real fits of each class in a model of its own, in the same order.
    """
    large = [position for position, item in enumerate(shared.classes) if _can_be_measured(item)]
    order = torch.randperm(len(large), generator=Stream(shared.seed, ("sharing", "classes")).generator())
    measured = sorted(large[i] for i in order[:MEASURED_CLASSES].tolist())
    if not measured:
        return []
    parts = _parts(shared.classes, measured, shared.seed)
    measured = [position for position in measured if len(parts[position][1].rows)]
    kept = tuple(parts[i][0] if i in parts else item for i, item in enumerate(shared.classes))
    steps = rehearsal_steps(shared.training, sum(len(item.rows) for item in kept))
    jobs = [RehearsalJob(_rehearsed(shared, 0, kept, steps), tuple(parts[i][1] for i in measured))]
    for number, position in enumerate(measured, 1):
        own, held_out = parts[position]
        jobs.append(RehearsalJob(_rehearsed(separate[position], number, (own,), steps), (held_out,)))
    return jobs


def kept_sizes(class_sizes: Sequence[int]) -> tuple[int, ...]:
    """Return how many samples of each class a rehearsal trains on, if it is measured by that class."""
    return tuple(size - _num_held_out(size) if size >= LEAST_SAMPLES else size for size in class_sizes)


def _num_held_out(num_samples: int) -> int:
    return max(1, round(HELD_OUT_SHARE * num_samples))


def rehearsal_steps(training: TrainingConfig, num_samples: int) -> int:
    """Return for how many steps a model of all classes, of so many samples, is rehearsed."""
    return min(REHEARSAL_EPOCHS, training.max_epochs) * num_batches(num_samples, training.batch_size)


def rehearsed(training: TrainingConfig, num_samples: int, steps: int) -> TrainingConfig:
    """Return a training on so many samples cut to so many steps; never longer than it was."""
    epochs = max(1, steps // num_batches(num_samples, training.batch_size))
    epochs = max(min(epochs, training.max_epochs), training.warmup_epochs + 1)
    return training.model_copy(update={"max_epochs": epochs})


def _rehearsed(fit: FitJob, index: int, classes: tuple[ClassRows, ...], steps: int) -> FitJob:
    """Return a fit as it is rehearsed: a plain VAE, on what is not held out."""
    return replace(
        fit,
        index=index,
        classes=classes,
        model=fit.model.model_copy(update={"kind": "vae"}),
        training=rehearsed(fit.training, sum(len(item.rows) for item in classes), steps),
        work=fit.work.rehearsal,
    )


def run_rehearsal(job: RehearsalJob) -> list[float] | None:
    """Train one model of the rehearsal and score it; None if it could not be trained.

    Returns
    -------
    list of float
        Importance-weighted log-likelihood of each held-out sample.
    """
    fit = job.fit
    fit.work.path.mkdir(exist_ok=True)
    result = fit.work.result(fit.index)
    if not result.is_file():
        with stage("rehearse"):
            try:
                run_fit_job(fit)
                scores = _scores(job, load_fitted(fit.work, fit.index, fit.networks))
            except (
                TrainingError,
                InvalidInputError,
            ) as error:  # or too few subjects are left to validate with
                log.warning("%s", error)
                scores = None
        atomic_write_text(result, json.dumps(scores))
    fit.progress.tell("done")
    return json.loads(result.read_text(encoding="utf-8"))


def decision(jobs: Sequence[RehearsalJob], scores: Sequence[list[float] | None]) -> Sharing:
    """Return what the scores of the rehearsal, in the order of its jobs, say."""
    if not jobs:
        return Sharing(
            True, f"classes of fewer than {LEAST_SAMPLES} samples have too little to learn from alone"
        )
    separate = [score for part in scores[1:] if part is not None for score in part]
    complete = len(separate) == sum(len(item.rows) for item in jobs[0].held_out)
    means = (_mean(scores[0]), _mean(separate) if complete else None)
    shared = means[1] is None or (means[0] is not None and means[0] >= means[1])
    told = [f"{mean:.2f} nats" if mean is not None else "no training that stays finite" for mean in means]
    reason = (
        f"a model of all classes gives held-out samples {told[0]} each, models of one class alone {told[1]}"
    )
    names = tuple(item.name for item in jobs[0].held_out)
    return Sharing(shared, reason, *means, sum(len(item.rows) for item in jobs[0].held_out), names)


def kept_decision(work: WorkDir) -> Sharing | None:
    """Return what was decided before, None if it was not yet."""
    if not work.sharing.is_file():
        return None
    fields = json.loads(work.sharing.read_text(encoding="utf-8"))
    return Sharing(**{**fields, "measured_classes": tuple(fields["measured_classes"])})


def keep_decision(work: WorkDir, sharing: Sharing) -> None:
    """Note what was decided, for a resumed run."""
    atomic_write_text(work.sharing, json.dumps(sharing.to_dict(), ensure_ascii=False))


def _can_be_measured(item: ClassRows) -> bool:
    return len(item.rows) >= LEAST_SAMPLES and (item.subjects is None or len(set(item.subjects)) > 1)


def _parts(
    classes: Sequence[ClassRows], measured: Sequence[int], seed: int
) -> dict[int, tuple[ClassRows, ClassRows]]:
    """Return what of each measured class is trained on, and what is held out.

    A subject of which another class is trained on whole is not held out.
    """
    if all(item.subjects is None for item in classes):
        return {position: _split(classes[position], seed) for position in measured}
    labels = np.repeat(np.arange(len(classes)), [len(item.rows) for item in classes])
    subjects = [name for item in classes for name in item.subjects or item.sources]
    stream = Stream(seed, ("sharing", "split"))
    held_out = held_out_subjects(labels, HELD_OUT_SHARE, stream, subjects, measured)
    parts = {}
    for position in measured:
        own, item = held_out[labels == position], classes[position]
        parts[position] = item.take(np.flatnonzero(~own)), item.take(np.flatnonzero(own))
    return parts


def _split(item: ClassRows, seed: int) -> tuple[ClassRows, ClassRows]:
    """Return what of a class is trained on and what is held out, where all samples are independent."""
    generator = Stream(seed, ("sharing", "split", item.name)).generator()
    order = torch.randperm(len(item.rows), generator=generator).numpy()
    held_out = _num_held_out(len(order))
    return item.take(order[held_out:]), item.take(order[:held_out])


def _scores(job: RehearsalJob, classes: Sequence[ClassModel]) -> list[float]:
    by_name, scores = {item.name: item for item in classes}, []
    for held_out in job.held_out:
        item = by_name[held_out.name]
        data = unit_rows(held_out.rows, job.fit.scaler, "cpu")
        generator = Stream(job.fit.seed, ("sharing", "score", item.name)).generator()
        bound = item.model.importance_weighted_bound(data, NUM_DRAWS, generator, item.condition(len(data)))
        scores += bound.tolist()
    return scores


def _mean(scores: list[float] | None) -> float | None:
    return sum(scores) / len(scores) if scores else None

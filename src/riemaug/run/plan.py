"""What a job will do, worked out before anything is written: data, models, amounts, cost."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from riemaug.config import Amount, GeneratorConfig
from riemaug.data import Dataset, RangeScaler, check_class_names, read_dataset
from riemaug.errors import InvalidInputError
from riemaug.models import ModelConfig
from riemaug.run.estimate import Estimate, estimate_fit
from riemaug.run.request import FitRequest
from riemaug.training import TrainingConfig


@dataclass(frozen=True, eq=False)
class Plan:
    """A job, ready to start.

    Attributes
    ----------
    dataset : Dataset
    scaler : RangeScaler
    model, training
        The same for every class.
    device : str
    counts : tuple of int
        New samples of each class; zeros when only fitting.
    estimate : Estimate
    disk_bytes : float
        Upper estimate of what the samples take.
    """

    dataset: Dataset
    scaler: RangeScaler
    model: ModelConfig
    training: TrainingConfig
    device: str
    counts: tuple[int, ...]
    estimate: Estimate
    disk_bytes: float

    @property
    def notes(self) -> tuple[str, ...]:
        """What reading and scaling have to tell the user."""
        return self.dataset.notes + self.scaler.notes


def make_plan(request: FitRequest, amount: Amount | None = None) -> Plan:
    """Read the data and work out the job.

    Raises
    ------
    InvalidInputError, ResourceError
        The data or options break a rule, or the job cannot fit; nothing was written.
    """
    reading = request.reading
    dataset = read_dataset(
        request.data,
        resize=reading.resize,
        pad=reading.pad,
        crop=reading.crop,
        skip_bad=reading.skip_bad,
        group_from=reading.group_from,
    )
    if dataset.format.kind == "folder":
        check_class_names(dataset.class_names)
    counts = (0,) * len(dataset.class_names) if amount is None else amount.counts(dataset.counts)
    return plan_for(dataset, request.generator, counts, request.run.jobs)


def plan_for(dataset: Dataset, generator: GeneratorConfig, counts: tuple[int, ...], jobs: int | None) -> Plan:
    """Work out the job for a data set that is already in memory."""
    is_table = dataset.samples.ndim == 2
    scaler = RangeScaler.fit(dataset.samples, per_feature=is_table)
    data_dim = int(np.prod(dataset.samples.shape[1:]))
    model = generator.model_for(data_dim, is_table)
    training = generator.training_for(data_dim)
    device = resolve_device(generator.device)
    wanted_jobs = 1 if device != "cpu" and jobs is None else jobs
    estimate = estimate_fit(model, training, dataset.counts, 4 * dataset.samples.size, wanted_jobs)
    disk = float(sum(counts)) * dataset.samples[0].nbytes * 1.1
    return Plan(dataset, scaler, model, training, device, counts, estimate, disk)


def resolve_device(device: str) -> str:
    """Return "cpu" or a CUDA device's name; "auto" takes CUDA where there is one."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        return device
    if device.split(":")[0] == "cuda":
        if not torch.cuda.is_available():
            raise InvalidInputError(
                f"--device {device} needs a CUDA device, PyTorch finds none: use --device cpu"
            )
        return device
    raise InvalidInputError(f"--device must be auto, cpu, cuda or cuda:N, got {device!r}")


def check_disk(out: Path, needed: float) -> None:
    """Refuse a job whose samples cannot fit on the disk of `out`."""
    free = shutil.disk_usage(out).free
    if needed > free:
        raise InvalidInputError(
            f"the samples need up to {needed / 1e9:.1f} GB, the disk of {str(out)!r} has {free / 1e9:.1f} GB "
            "free: ask for fewer or give a folder on another disk"
        )

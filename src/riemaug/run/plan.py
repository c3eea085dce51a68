"""What a job will do, worked out before anything is written: data, models, amounts, cost."""

import math
import re
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from riemaug.config import Amount, GeneratorConfig
from riemaug.data import Dataset, RangeScaler, SampleFormat, check_class_names, read_dataset
from riemaug.errors import InvalidInputError
from riemaug.models import ModelConfig
from riemaug.run.estimate import Estimate, estimate_fit, with_samples
from riemaug.run.request import AugmentRequest, FitRequest
from riemaug.run.workdir import check_out, finished_run, unfinished_run
from riemaug.training import TrainingConfig

DISK_BLOCK = 4096
"""Bytes that the smallest file takes."""
FILE_OVERHEAD, ROW_BYTES = 256, 300
"""Bytes of an image beside its pixels, and of its rows in the tables."""


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

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the data."""
        return self.dataset.fingerprint()


def plan_fit(request: FitRequest) -> Plan:
    """Check options, OUT and data of `riemaug fit`; see `make_plan`."""
    check_out(request.out, request.data, request.run.resume)
    return make_plan(request)


def plan_augment(request: AugmentRequest) -> Plan:
    """Check options, OUT, data and disk of `riemaug augment`; see `make_plan`."""
    request.sampling.check_against(request.generator.model)
    check_out(request.out, request.data, request.run.resume)
    plan = make_plan(request, request.amount)
    if request.include_real is not None and plan.dataset.format.kind != "folder":
        raise InvalidInputError(
            "--include-real is for folders of images, DATA is an npz file: join the arrays yourself"
        )
    check_disk(request.out, plan.disk_bytes)
    return plan


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
    counts = (0,) * len(dataset.class_names) if amount is None else new_counts(amount, dataset.counts)
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
    if any(counts):
        estimate = with_samples(estimate, counts)
    disk = disk_bytes(sum(counts), dataset.format) + model_bytes(model, dataset.counts, estimate.num_jobs)
    return Plan(dataset, scaler, model, training, device, counts, estimate, disk)


def new_counts(amount: Amount, class_sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the number of new samples of each class; InvalidInputError if there are none at all."""
    counts = amount.counts(class_sizes)
    if any(counts):
        return counts
    largest = max(class_sizes)
    if amount.balance:
        raise InvalidInputError(
            f"--balance brings every class up to the largest, all have {largest} samples already: use "
            "--per-class or --factor"
        )
    raise InvalidInputError(
        f"there must be something to make, --factor {amount.factor:g} adds no sample to classes of at most "
        f"{largest}: use a larger factor or --per-class"
    )


def disk_bytes(count: int, fmt: SampleFormat) -> float:
    """Return an upper estimate of what `count` samples take on the disk while they are made."""
    pixels = math.prod(fmt.shape) * np.dtype(fmt.dtype).itemsize
    if fmt.kind == "arrays":
        return float(count) * (3 * pixels + ROW_BYTES)  # those of each class, all together, and the npz
    blocks = math.ceil((1.1 * pixels + FILE_OVERHEAD) / DISK_BLOCK)
    return float(count) * (blocks * DISK_BLOCK + ROW_BYTES)


def model_bytes(model: ModelConfig, class_sizes: tuple[int, ...], num_jobs: int) -> float:
    """Return what the models take on the disk: each class's, all together, and the running checkpoints."""
    checkpoints = 4 * min(num_jobs, len(class_sizes))
    return 4.0 * model.num_parameters() * (2 * len(class_sizes) + checkpoints)


def resolve_device(device: str) -> str:
    """Return "cpu" or a CUDA device's name; "auto" takes CUDA where there is one."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        return device
    if not re.fullmatch(r"cuda(:\d+)?", device):
        raise InvalidInputError(f"--device must be auto, cpu, cuda or cuda:N, got {device!r}")
    found, wanted = torch.cuda.device_count(), int(device.partition(":")[2] or 0)
    if not torch.cuda.is_available() or not found:
        raise InvalidInputError(
            f"--device {device} needs a CUDA device, PyTorch finds none: use --device cpu"
        )
    if wanted >= found:
        raise InvalidInputError(
            f"--device {device} must be one of the CUDA devices cuda:0 to cuda:{found - 1}: use one of them"
        )
    return device


def check_disk(out: Path, needed: float) -> None:
    """Refuse a job whose samples cannot fit on the disk of `out`; a run begun there has some already."""
    if unfinished_run(out) or finished_run(out) is not None:
        return
    folder = out.absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InvalidInputError(
            f"the samples need up to {needed / 1e9:.1f} GB, the disk of {str(out)!r} has {free / 1e9:.1f} GB "
            "free: ask for fewer or give a folder on another disk"
        )

"""What a job will do, worked out before anything is written: data, models, amounts, cost."""

import math
import re
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from riemaug.class_model import NO_NETWORKS, Networks
from riemaug.config import Amount, GeneratorConfig
from riemaug.data import Dataset, RangeScaler, SampleFormat, check_class_names, read_dataset
from riemaug.errors import InvalidInputError
from riemaug.models import ModelConfig
from riemaug.models.defaults import is_binary
from riemaug.run.estimate import Estimate, estimate_fit, with_rehearsal, with_samples, with_search
from riemaug.run.network_cost import cost_of
from riemaug.run.request import AugmentRequest, FitRequest
from riemaug.run.tuning import tuning_config, tuning_problem
from riemaug.run.workdir import check_out, finished_run, unfinished_run
from riemaug.training import TrainingConfig
from riemaug.tuning import check_search

DISK_BLOCK = 4096
"""Bytes that the smallest file takes."""
FILE_OVERHEAD, ROW_BYTES = 256, 300
"""Bytes of an image beside its pixels, and of its rows in the tables."""

ONE_CLASS = "There is one class alone: nothing to share a model with, it gets its own."


@dataclass(frozen=True, eq=False)
class Plan:
    """A job, ready to start.

    Attributes
    ----------
    dataset : Dataset
    scaler : RangeScaler
    generator : GeneratorConfig
    model, training
        Of the model that all classes share, or of each class's own: see `shares`.
    shares : bool
        Whether classes share one model, unless a rehearsal shows that they had better not.
    device : str
    counts : tuple of int
        New samples of each class; zeros when only fitting.
    estimate : Estimate
    disk_bytes : float
        Upper estimate of what the samples take.
    """

    dataset: Dataset
    scaler: RangeScaler
    generator: GeneratorConfig
    model: ModelConfig
    training: TrainingConfig
    shares: bool
    device: str
    counts: tuple[int, ...]
    estimate: Estimate
    disk_bytes: float

    @property
    def notes(self) -> tuple[str, ...]:
        """What reading and scaling have to tell the user."""
        alone = self.generator.preset == "conditional" and len(self.dataset.class_names) == 1
        return self.dataset.notes + self.scaler.notes + ((ONE_CLASS,) if alone else ())

    @property
    def separate_model(self) -> ModelConfig:
        """The model of a class that has one of its own."""
        if not self.shares:
            return self.model
        told = self.model.num_conditions - len(self.dataset.class_names)
        return self.model.model_copy(update={"num_conditions": told})

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
    if request.include_real is not None and plan.dataset.format.kind == "arrays":
        raise InvalidInputError(
            "--include-real is for folders of images or volumes, DATA is an npz file: join the arrays "
            "yourself"
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
        fit_shape=reading.fit_shape,
        skip_bad=reading.skip_bad,
        group_from=reading.group_from,
    )
    if dataset.format.kind != "arrays":
        check_class_names(dataset.class_names)
    counts = (0,) * len(dataset.class_names) if amount is None else new_counts(amount, dataset.counts)
    return plan_for(dataset, request.generator, counts, request.run.jobs)


def plan_for(
    dataset: Dataset,
    generator: GeneratorConfig,
    counts: tuple[int, ...],
    jobs: int | None,
    networks: Networks = NO_NETWORKS,
) -> Plan:
    """Work out the job for a data set that is already in memory; with networks of the user's own."""
    scaler = RangeScaler.fit(dataset.samples, per_feature=dataset.samples.ndim == 2)
    shape, sizes = dataset.samples.shape[1:], dataset.counts
    generator = generator.resolved(shape, len(sizes))
    model = generator.model_for(shape, sizes, is_binary(dataset.samples))
    training = generator.training_for(shape, sizes)
    shares = generator.shares(len(sizes))
    device = resolve_device(generator.device)
    wanted_jobs = 1 if device != "cpu" and jobs is None else jobs
    data_bytes = 4 * dataset.samples.size
    estimate = estimate_fit(model, training, sizes, data_bytes, wanted_jobs, shares, networks)
    if shares and generator.sharing == "measured":
        estimate = with_rehearsal(estimate)
    if generator.tune is not None:
        problem = tuning_problem(dataset, scaler, generator, model, training, shares, device)
        check_search(problem, tuning_config(generator))
        estimate = with_search(estimate, generator.tune, generator.tune_time)
    if any(counts):
        estimate = with_samples(estimate, counts)
    num_models = 1 if shares else len(sizes)
    disk = disk_bytes(sum(counts), dataset.format)
    disk += model_bytes(cost_of(model, networks).num_weights, num_models, estimate.num_jobs)
    return Plan(dataset, scaler, generator, model, training, shares, device, counts, estimate, disk)


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


def model_bytes(num_weights: int, num_models: int, num_jobs: int) -> float:
    """Return what the models take on the disk: each by itself, all together, and the running checkpoints."""
    checkpoints = 4 * min(num_jobs, num_models)
    return 4.0 * num_weights * (2 * num_models + checkpoints)


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

"""What a job will do, worked out before anything is written: data, models, amounts, cost."""

import re
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from riemaug.class_model import NO_NETWORKS, Networks
from riemaug.config import Amount, GeneratorConfig, SamplingConfig
from riemaug.data import Dataset, RangeScaler, check_class_names
from riemaug.data.blocks import forget_pages
from riemaug.data.manifest_files import check_manifest_package
from riemaug.data.names import check_case, split_like_notes
from riemaug.data.real_files import check_can_include_real
from riemaug.data.scaling import is_binary
from riemaug.errors import InvalidInputError
from riemaug.logs import stage
from riemaug.models import ModelConfig
from riemaug.nearest import did_you_mean
from riemaug.parallel import num_gpus, num_workers
from riemaug.run.choices import check_choices, check_precision, check_validation, notes_on_choices
from riemaug.run.disk_plan import check_disk, check_shards, disk_bytes, samples_bytes
from riemaug.run.estimate import (
    Estimate,
    either,
    estimate_fit,
    with_rehearsal,
    with_samples,
    with_search,
)
from riemaug.run.fitting import has_fixed_length
from riemaug.run.network_cost import cost_of
from riemaug.run.request import AugmentRequest, FitRequest
from riemaug.run.sample_names import check_stems_apart
from riemaug.run.sharing import kept_sizes
from riemaug.run.tuning import tuning_config, tuning_problem
from riemaug.run.workdir import check_out
from riemaug.training import TrainingConfig
from riemaug.tuning import TuningProblem, check_search

ONE_CLASS = "There is one class alone: nothing to share a model with, it gets its own."


@dataclass(frozen=True, eq=False)
class Plan:
    """A job, ready to start.

    Attributes
    ----------
    dataset : Dataset
    scaler : RangeScaler
    generator : GeneratorConfig
    sampling : SamplingConfig
        How samples are to be drawn, which is what a search of constants goes by.
    model, training
        Of the model that all classes share, or of the largest class's own: see `shares`.
    shares : bool
        Whether classes share one model, unless a rehearsal shows that they had better not.
    device : str
    counts : tuple of int
        New samples of each class; zeros when only fitting.
    estimate : Estimate
    disk_bytes : float
        Upper estimate of what the samples take.
    drop_copies : bool
        Samples that are copies are dropped and drawn anew: `counts` are the most there can be, and the
        estimate holds if there are none.
    names_files : bool
        Folders or files of the samples bear the names of the classes.
    """

    dataset: Dataset
    scaler: RangeScaler
    generator: GeneratorConfig
    sampling: SamplingConfig
    model: ModelConfig
    training: TrainingConfig
    shares: bool
    device: str
    counts: tuple[int, ...]
    estimate: Estimate
    disk_bytes: float
    drop_copies: bool = False
    names_files: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """What reading, scaling and the choices have to tell the user."""
        alone = self.generator.preset == "conditional" and len(self.dataset.class_names) == 1
        chosen = notes_on_choices(self.generator, self.dataset.samples.shape[1:])
        named = split_like_notes(self.dataset.class_names) if self.names_files else ()
        return self.dataset.notes + self.scaler.notes + chosen + named + ((ONE_CLASS,) if alone else ())

    @property
    def has_fixed_length(self) -> bool:
        """Whether trainings take a number of steps that is known before."""
        return has_fixed_length(self.training)

    @property
    def ends_as_planned(self) -> bool:
        """Whether the last epoch is where the preset has trainings end, not a limit that cuts them short."""
        return self.has_fixed_length and self.generator.max_epochs is None

    @property
    def separate_trainings(self) -> tuple[TrainingConfig, ...]:
        """How each class is trained that has a model of its own."""
        return separate_trainings(self.generator, self.training, self.dataset)

    @property
    def separate_model(self) -> ModelConfig:
        """The model of a class that has one of its own."""
        if not self.shares:
            return self.model
        told = self.model.num_conditions - len(self.dataset.class_names)
        return self.model.model_copy(update={"num_conditions": told})

    def decided(self, shared: bool) -> "Plan":
        """Return the plan once it is known whether classes share a model."""
        if shared == self.shares:
            return self
        largest = int(np.argmax(self.dataset.counts))
        training = self.separate_trainings[largest]
        return replace(self, shares=False, model=self.separate_model, training=training)

    def tuning_problem(self, shared: bool) -> TuningProblem:
        """Return what `--tune` improves, once it is known whether classes share a model."""
        plan = self.decided(shared)
        return tuning_problem(
            plan.dataset,
            plan.scaler,
            plan.generator,
            plan.model,
            plan.training,
            shared,
            plan.device,
            plan.sampling,
            plan.separate_trainings,
        )

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the data."""
        return self.dataset.fingerprint()


def plan_fit(request: FitRequest) -> Plan:
    """Check options, OUT and data of `riemaug fit`; see `make_plan`."""
    check_out(request.out, request.data, request.run.resume)
    return make_plan(request, SamplingConfig())


def plan_augment(request: AugmentRequest) -> Plan:
    """Check options, OUT, data and disk of `riemaug augment`; see `make_plan`."""
    request.sampling.check_against(request.generator.model)
    check_out(request.out, request.data, request.run.resume)
    plan = make_plan(request, request.sampling, request.amount)
    if request.include_real is not None and plan.dataset.format.is_one_file:
        raise InvalidInputError(
            "--include-real is for folders of images or volumes, DATA is one file: join the two yourself"
        )
    if request.include_real is not None:
        check_can_include_real(request.data, plan.dataset)
    if request.shards is not None:
        plan = _in_shards(plan, request)
    check_disk(request.out, plan.disk_bytes)
    if not plan.dataset.format.is_one_file or request.shards is not None:
        check_case(plan.dataset.class_names, request.out)
    check_manifest_package(sum(plan.counts))
    in_folders = not plan.dataset.format.is_one_file and plan.dataset.format.bids is None
    names_files = in_folders if request.shards is None else request.shards != "zarr"
    return replace(plan, drop_copies=request.drop_copies, names_files=names_files)


def _in_shards(plan: Plan, request: AugmentRequest) -> Plan:
    """Return the plan with what shards take on the disk; refuse shards that cannot be."""
    if request.include_real is not None:
        raise InvalidInputError(
            "--include-real puts files into class folders, --shards makes none: leave one of the two out"
        )
    count, fmt = sum(plan.counts), plan.dataset.format
    check_shards(request.shards, fmt)
    check_stems_apart(plan.dataset.class_names, fmt, request.shards)
    taken = samples_bytes(count, fmt, request.shards, request.shard_size, plan.estimate.num_jobs)
    return replace(plan, disk_bytes=plan.disk_bytes - disk_bytes(count, fmt) + taken)


def make_plan(request: FitRequest, sampling: SamplingConfig, amount: Amount | None = None) -> Plan:
    """Read the data and work out the job.

    Raises
    ------
    InvalidInputError, ResourceError
        The data or options break a rule, or the job cannot fit; nothing was written.
    """
    with stage("read"):
        dataset = request.reading.read(request.data)
    if not dataset.format.is_one_file and dataset.format.bids is None:
        check_class_names(dataset.class_names)
    counts = (0,) * len(dataset.class_names) if amount is None else new_counts(amount, dataset.counts)
    return plan_for(dataset, request.generator, sampling, counts, request.run.jobs)


def plan_for(
    dataset: Dataset,
    generator: GeneratorConfig,
    sampling: SamplingConfig,
    counts: tuple[int, ...],
    jobs: int | None,
    networks: Networks = NO_NETWORKS,
) -> Plan:
    """Work out the job for a data set that is already in memory; with networks of the user's own."""
    scaler = RangeScaler.fit(dataset.samples, per_feature=dataset.samples.ndim == 2)
    shape, sizes, num_sides = dataset.samples.shape[1:], dataset.counts, dataset.format.num_sides
    generator = generator.resolved(shape, len(sizes), num_sides)
    check_choices(generator, shape, num_sides)
    model = generator.model_for(shape, sizes, is_binary(dataset.samples), num_sides)
    training = generator.training_for(shape, sizes, num_sides)
    shares = generator.shares(len(sizes))
    device = resolve_device(generator.device)
    check_precision(training, device)
    wanted_jobs = jobs or jobs_that_fit(device)
    estimate = _estimate(dataset, generator, model, training, wanted_jobs, networks)
    disk = disk_bytes(sum(counts), dataset.format)
    disk += model_bytes(cost_of(model, networks).num_weights, 1 if shares else len(sizes), estimate.num_jobs)
    disk += dataset.samples.nbytes  # what workers map lies in files as long as they work
    plan = Plan(dataset, scaler, generator, sampling, model, training, shares, device, counts, estimate, disk)
    _check_trainings(plan)
    forget_pages(dataset.samples)
    return replace(plan, estimate=with_samples(estimate, counts)) if any(counts) else plan


def jobs_that_fit(device: str) -> int | None:
    """Return how many tasks go on at once unless asked: a cluster's workers, or one a GPU; None on a CPU."""
    if (workers := num_workers()) is not None:
        return workers
    if device == "cuda":
        return max(1, num_gpus())
    return None if device == "cpu" else 1


def separate_trainings(
    generator: GeneratorConfig, training: TrainingConfig, dataset: Dataset
) -> tuple[TrainingConfig, ...]:
    """Return how each class is trained that has a model of its own: for as long as its size asks for.

    Parameters
    ----------
    generator : GeneratorConfig
    training : TrainingConfig
        What else is the same for all.
    dataset : Dataset
    """
    shape, num_sides = dataset.samples.shape[1:], dataset.format.num_sides
    own = [generator.training_for(shape, (size,), num_sides) for size in dataset.counts]
    return tuple(
        training.model_copy(update={"max_epochs": item.max_epochs, "patience": item.patience}) for item in own
    )


def _estimate(
    dataset: Dataset,
    generator: GeneratorConfig,
    model: ModelConfig,
    training: TrainingConfig,
    jobs: int | None,
    networks: Networks,
) -> Estimate:
    """Return what the fit will take, with the search and the rehearsal before it."""
    sizes, data_bytes = dataset.counts, 4 * dataset.samples.size
    own, shares = separate_trainings(generator, training, dataset), generator.shares(len(dataset.counts))
    estimate = estimate_fit(model, training, sizes, data_bytes, jobs, shares, networks, own)
    is_open = shares and generator.sharing == "measured"
    if is_open:
        apart = estimate_fit(model, training, sizes, data_bytes, jobs, False, networks, own)
        estimate = either(estimate, apart)
    searched = estimate
    if generator.tune is not None:
        searched = with_search(estimate, generator.tune, generator.tune_time)
    return with_rehearsal(searched, model, training, sizes, own, networks) if is_open else searched


def _check_trainings(plan: Plan) -> None:
    """Refuse a search that cannot begin, and trainings whose validation would lack samples."""
    is_open = plan.shares and plan.generator.sharing == "measured"
    trained = {"": plan.dataset.counts}
    if is_open:
        trained[" that a rehearsal trains on"] = kept_sizes(plan.dataset.counts)
    if plan.generator.tune is not None:
        problem = plan.tuning_problem(plan.shares)
        trained[" that a trial of --tune trains on"] = check_search(problem, tuning_config(plan.generator))
    num_subjects = plan.dataset.num_subjects
    # the fewest samples first: a share that is enough of them is enough of the others
    for where, sizes in sorted(trained.items(), key=lambda item: sum(item[1])):
        together = plan.shares and not is_open
        check_validation(plan.training, plan.dataset.class_names, sizes, together, where, num_subjects)


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
        meant = did_you_mean(re.sub("gpu", "cuda", device, flags=re.IGNORECASE), ("auto", "cpu", "cuda"))
        raise InvalidInputError(f"--device must be auto, cpu, cuda or cuda:N, got {device!r}{meant}")
    if num_workers() is not None:  # a cluster's machines have devices that this one need not have
        return device
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

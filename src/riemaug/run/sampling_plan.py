"""What drawing from a saved model will do and take, worked out before anything is written."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import joblib
import numpy as np
import psutil

from riemaug.data.manifest_files import check_manifest_package
from riemaug.data.names import check_case
from riemaug.errors import InvalidInputError
from riemaug.free_memory import free_memory
from riemaug.parallel import num_workers
from riemaug.run.disk_plan import check_disk, check_shards, samples_bytes
from riemaug.run.estimate import SAFE_SHARE, drawing_memory, drawing_seconds
from riemaug.run.jobs import SampleSpec
from riemaug.run.plan import new_counts
from riemaug.run.request import SampleRequest
from riemaug.run.sample_names import check_stems_apart
from riemaug.run.sample_specs import of_classes, sample_spec
from riemaug.run.segments import segments_of
from riemaug.run.workdir import check_out
from riemaug.serialization import FittedGenerators, load_generators

MANY_SAMPLES = 100_000
"""From here on all cores are used unless asked otherwise."""


@dataclass(frozen=True, eq=False)
class SamplingPlan:
    """A job of `riemaug sample`, ready to start.

    Attributes
    ----------
    generators : FittedGenerators
    specs : tuple of SampleSpec
        What each class is to draw, as yet without the training set.
    sampler : str
    num_jobs : int
    seconds, memory, disk_bytes : float
        Estimates; memory without the training set, where that is compared with.
    """

    generators: FittedGenerators
    specs: tuple[SampleSpec, ...]
    sampler: str
    num_jobs: int
    seconds: float
    memory: float
    disk_bytes: float

    @property
    def counts(self) -> tuple[int, ...]:
        """New samples of each class; the most there can be where copies are dropped."""
        return tuple(spec.count for spec in self.specs)


def plan_sample(request: SampleRequest) -> SamplingPlan:
    """Return what the job will do; nothing is written.

    Raises
    ------
    InvalidInputError, ResourceError
        OUT, the model, the sampler or the amount break a rule, or the samples cannot fit on the disk.
    """
    check_out(request.out, request.real, request.run.resume)
    generators = load_generators(request.model)
    kind, fmt = generators.config.model, generators.sample_format
    request.sampling.check_against(kind)
    if not all(generators.class_sizes) and request.amount.per_class is None:
        raise InvalidInputError(
            "--factor and --balance go by the number of real samples, which an imported model does not tell: "
            "give --per-class"
        )
    counts = new_counts(request.amount, generators.class_sizes)
    check_shards(request.shards, fmt)
    check_stems_apart((item.name for item in generators.classes), fmt, request.shards)
    check_manifest_package(sum(counts))
    sampler = request.sampling.sampler_for(kind)
    specs = of_classes(sample_spec(request, fmt, sampler), counts, generators.label_values)
    sample_bytes = math.prod(fmt.shape) * np.dtype(fmt.dtype).itemsize
    memory = partial(
        drawing_memory,
        [item.model.config for item in generators.classes],
        batch_bytes=float(min(request.run.batch_size, max(counts)) * sample_bytes),
    )
    num_jobs = _num_jobs(request, specs, memory)
    needed = samples_bytes(sum(counts), fmt, request.shards, request.shard_size, num_jobs)
    check_disk(request.out, needed)
    if not fmt.is_one_file or request.shards is not None:
        check_case((item.name for item in generators.classes), request.out)
    here = num_jobs if num_workers() is None else 1
    seconds = drawing_seconds(counts, num_jobs)
    return SamplingPlan(generators, specs, sampler, num_jobs, seconds, memory(here), needed)


def _num_jobs(request: SampleRequest, specs: Sequence[SampleSpec], memory: Callable[[int], float]) -> int:
    """Return how many tasks go on at once.

    Unless asked or on a cluster it is one: most of the time is what each process takes to start. Many samples
    are drawn by as many as there are cores, and as the memory holds. That is known before the data is read,
    so with samples to compare with, of which each process holds a copy, it is one again.
    """
    num_tasks = sum(len(segments_of(index, spec)) for index, spec in enumerate(specs))
    wanted = request.run.jobs or num_workers()
    if wanted is not None:
        return min(wanted, num_tasks)
    if sum(spec.count for spec in specs) < MANY_SAMPLES or request.real is not None:
        return 1
    room = SAFE_SHARE * float(free_memory() + psutil.Process().memory_info().rss)
    most = min(joblib.cpu_count(), num_tasks)
    return next((jobs for jobs in range(most, 1, -1) if memory(jobs) <= room), 1)

"""What drawing from a saved model will do and take, worked out before anything is written."""

import math
from dataclasses import dataclass

import numpy as np

from riemaug.data import SampleFormat
from riemaug.data.manifest_files import check_manifest_package
from riemaug.data.table_dtypes import load_parquet
from riemaug.errors import InvalidInputError
from riemaug.parallel import num_workers
from riemaug.run.estimate import drawing_memory, drawing_seconds
from riemaug.run.plan import DISK_BLOCK, FILE_OVERHEAD, ROW_BYTES, check_disk, disk_bytes, new_counts
from riemaug.run.request import SampleRequest
from riemaug.run.sample_names import ShardKind
from riemaug.run.workdir import check_out
from riemaug.run.zarr_store import load_zarr
from riemaug.serialization import FittedGenerators, load_generators

TAR_BLOCK = 512
"""Bytes of a header in a tar file, and of what the content of a member is filled up to."""


@dataclass(frozen=True, eq=False)
class SamplingPlan:
    """A job of `riemaug sample`, ready to start.

    Attributes
    ----------
    generators : FittedGenerators
    counts : tuple of int
        New samples of each class; the most there can be where copies are dropped.
    sampler : str
    num_jobs : int
    seconds, memory, disk_bytes : float
        Estimates; memory without the training set, where that is compared with.
    """

    generators: FittedGenerators
    counts: tuple[int, ...]
    sampler: str
    num_jobs: int
    seconds: float
    memory: float
    disk_bytes: float


def check_shards(kind: ShardKind | None, fmt: SampleFormat) -> None:
    """Refuse shards that cannot hold samples of a format, or whose package is not installed."""
    if kind is None:
        return
    if (kind == "parquet") != (fmt.kind == "table"):
        fix = "parquet" if fmt.kind == "table" else "npz, webdataset or zarr"
        raise InvalidInputError(
            f"--shards parquet is for tables and the other kinds for all else, MODEL makes {fmt.kind} and "
            f"--shards is {kind}: use {fix}"
        )
    if kind == "parquet":
        load_parquet()
    elif kind == "zarr":
        load_zarr()


def shard_bytes(count: int, fmt: SampleFormat, kind: ShardKind, shard_size: int) -> float:
    """Return an upper estimate of what `count` samples in shards take on the disk while they are made."""
    pixels = math.prod(fmt.shape) * np.dtype(fmt.dtype).itemsize
    if kind == "webdataset":  # three members a sample: itself, its class twice
        sample = _whole(1.1 * pixels + FILE_OVERHEAD, TAR_BLOCK) + TAR_BLOCK + 2 * (TAR_BLOCK + TAR_BLOCK)
        return float(count) * (sample + ROW_BYTES)
    if kind == "zarr":  # a file a sample
        return float(count) * (_whole(1.1 * pixels, DISK_BLOCK) + ROW_BYTES)
    collected = min(count, shard_size) * pixels  # before they are packed
    return float(count) * (1.1 * pixels + ROW_BYTES) + collected


def _whole(num_bytes: float, block: int) -> int:
    return math.ceil(num_bytes / block) * block


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
    check_manifest_package(sum(counts))
    if request.shards is None:
        needed = disk_bytes(sum(counts), fmt)
    else:
        needed = shard_bytes(sum(counts), fmt, request.shards, request.shard_size)
    check_disk(request.out, needed)
    num_jobs = min(request.run.jobs or num_workers() or 1, len(counts))
    sample_bytes = math.prod(fmt.shape) * np.dtype(fmt.dtype).itemsize
    return SamplingPlan(
        generators,
        counts,
        request.sampling.sampler_for(kind),
        num_jobs,
        drawing_seconds(counts, num_jobs),
        drawing_memory(
            [item.model.config for item in generators.classes],
            num_jobs if num_workers() is None else 1,
            float(min(request.run.batch_size, max(counts)) * sample_bytes),
        ),
        needed,
    )

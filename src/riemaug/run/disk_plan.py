"""What the samples of a run take on the disk, and whether they can be written as they are asked for."""

import math
import shutil
from pathlib import Path

import numpy as np

from riemaug.data import SampleFormat
from riemaug.data.table_dtypes import load_parquet
from riemaug.errors import InvalidInputError
from riemaug.run.sample_names import ShardKind
from riemaug.run.workdir import finished_run, unfinished_run
from riemaug.run.zarr_store import load_zarr

DISK_BLOCK = 4096
"""Bytes that the smallest file takes."""
FILE_OVERHEAD, ROW_BYTES = 256, 300
"""Bytes of an image beside its pixels, and of its rows in the tables."""
TAR_BLOCK = 512
"""Bytes of a header in a tar file, and of what the content of a member is filled up to."""


def check_shards(kind: ShardKind | None, fmt: SampleFormat) -> None:
    """Refuse shards that cannot hold samples of a format, or whose package is not installed."""
    if kind is None:
        return
    if (kind == "parquet") != (fmt.kind == "table"):
        fix = "parquet" if fmt.kind == "table" else "npz, webdataset or zarr"
        raise InvalidInputError(
            f"--shards parquet is for tables and the other kinds for all else, these are {fmt.kind} and "
            f"--shards is {kind}: use {fix}"
        )
    if kind == "parquet":
        load_parquet()
    elif kind == "zarr":
        load_zarr()


def disk_bytes(count: int, fmt: SampleFormat) -> float:
    """Return an upper estimate of what `count` samples take on the disk while they are made."""
    pixels = math.prod(fmt.shape) * np.dtype(fmt.dtype).itemsize
    if fmt.is_one_file:
        return float(count) * (3 * pixels + ROW_BYTES)  # those of each class, all together, and the file
    blocks = math.ceil((1.1 * pixels + FILE_OVERHEAD) / DISK_BLOCK)
    return float(count) * (blocks * DISK_BLOCK + ROW_BYTES)


def shard_bytes(count: int, fmt: SampleFormat, kind: ShardKind, shard_size: int, num_jobs: int = 1) -> float:
    """Return an upper estimate of what `count` samples in shards take on the disk while they are made.

    Parameters
    ----------
    count : int
    fmt : SampleFormat
    kind : {"npz", "webdataset", "parquet", "zarr"}
    shard_size : int
    num_jobs : int
        Shards that are made at once.
    """
    pixels = math.prod(fmt.shape) * np.dtype(fmt.dtype).itemsize
    if kind == "webdataset":  # three members a sample: itself, its class twice
        sample = _whole(1.1 * pixels + FILE_OVERHEAD, TAR_BLOCK) + TAR_BLOCK + 2 * (TAR_BLOCK + TAR_BLOCK)
        return float(count) * (sample + ROW_BYTES)
    if kind == "zarr":  # a file a sample
        return float(count) * (_whole(1.1 * pixels, DISK_BLOCK) + ROW_BYTES)
    collected = min(count, num_jobs * shard_size) * pixels  # before they are packed
    return float(count) * (1.1 * pixels + ROW_BYTES) + collected


def _whole(num_bytes: float, block: int) -> int:
    return math.ceil(num_bytes / block) * block


def samples_bytes(
    count: int, fmt: SampleFormat, shards: ShardKind | None, shard_size: int, num_jobs: int
) -> float:
    """Return an upper estimate for samples in shards, or without them; see `disk_bytes` and `shard_bytes`."""
    if shards is None:
        return disk_bytes(count, fmt)
    return shard_bytes(count, fmt, shards, shard_size, num_jobs)


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
            f"the samples need up to {needed / 1e6:,.1f} MB, the disk of {str(out)!r} has {free / 1e6:,.1f} "
            "MB free: ask for fewer or give a folder on another disk"
        )

"""Where the samples of a segment of a class go: files of their own, a row of one large file, or shards."""

import io
import json
import os
import tarfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from riemaug.atomic import atomic_path, flush_file_system, flushed_later
from riemaug.data import write_class_files, write_sample, write_table
from riemaug.run.array_files import (
    append_rows,
    cut_rows,
    join_array_files,
    set_row_count,
    start_array_file,
)
from riemaug.run.jobs import ClassJob, SampleSpec
from riemaug.run.sample_names import SHARDS_FOLDER, SampleNames
from riemaug.run.segments import Segment, stretch_of
from riemaug.run.written_files import DEFAULT_KEYS, rows_of, zarr_array_of
from riemaug.run.zarr_store import append_to_class_array, cut_class_array

Samples = Shaped[np.ndarray, "_ ..."]


class Sink(ABC):
    """Takes the samples of one segment in their order, stretch by stretch; counts them within the class.

    Attributes
    ----------
    stretch : int
        Samples in a stretch, at most.
    may_end_early : bool
        Whether a stretch may be ended after any sample: no file then depends on where it ends.
    """

    stretch: int
    may_end_early = True

    @abstractmethod
    def begin(self, first: int) -> None:
        """Begin the stretch at sample `first`; what a run that was stopped left of it is written over."""

    @abstractmethod
    def write(self, samples: Samples) -> None:
        """Write the next samples, in their dtype and at their size."""

    @abstractmethod
    def end(self) -> None:
        """Return once the samples of the stretch are on the disk."""

    @abstractmethod
    def finish(self, count: int) -> None:
        """Note that there are no more than these samples."""


class FileSink(Sink):
    """A file a sample, flushed together."""

    def __init__(self, job: ClassJob, spec: SampleSpec) -> None:
        self.out, self.name, self.fmt = spec.out, job.name, spec.sample_format
        self.stretch, self._first, self._next = stretch_of(spec), spec.first_number, 0

    def begin(self, first: int) -> None:
        """See `Sink.begin`."""
        self._next = first

    def write(self, samples: Samples) -> None:
        """See `Sink.write`."""
        with flushed_later():
            write_class_files(self.out, self.name, samples, self.fmt, self._first + self._next)
        self._next += len(samples)

    def end(self) -> None:
        """See `Sink.end`."""
        flush_file_system(self.out)

    def finish(self, count: int) -> None:
        """See `Sink.finish`."""


class ArraySink(Sink):
    """Rows of an .npy file in the working folder, for formats of one file; see `join_segments`."""

    def __init__(self, job: ClassJob, spec: SampleSpec, segment: Segment) -> None:
        self.path, self.stretch = rows_of(job.work, segment), stretch_of(spec)
        self._shape, self._dtype = spec.sample_format.sample_shape, np.dtype(spec.sample_format.dtype)
        self._span = segment.span

    def begin(self, first: int) -> None:
        """See `Sink.begin`."""
        if first == self._span.start:
            start_array_file(self.path, (len(self._span), *self._shape), self._dtype)
        cut_rows(self.path, first - self._span.start)

    def write(self, samples: Samples) -> None:
        """See `Sink.write`."""
        append_rows(self.path, samples)

    def end(self) -> None:
        """See `Sink.end`."""
        with self.path.open("r+b") as file:
            os.fsync(file.fileno())

    def finish(self, count: int) -> None:
        """Correct the number of rows: where copies are dropped some may lack."""
        if not self.path.exists():
            start_array_file(self.path, (0, *self._shape), self._dtype)
        set_row_count(self.path, (count - self._span.start, *self._shape), self._dtype)


def join_segments(job: ClassJob, segments: Sequence[Segment]) -> None:
    """Join the rows of the segments of a class to one file, where they lie in several; again is no harm."""
    parts, path = [rows_of(job.work, segment) for segment in segments], job.work.samples(job.index)
    if len(parts) > 1 and parts[-1].exists():
        with atomic_path(path) as temporary:
            join_array_files(parts, temporary)
        for part in parts[::-1]:  # the last one first: as long as it is there, so are all
            part.unlink()


class ShardSink(Sink):
    """Shards of one class; a subclass knows one kind."""

    may_end_early = False

    def __init__(self, job: ClassJob, spec: SampleSpec, segment: Segment) -> None:
        self.job, self.spec, self.segment = job, spec, segment
        self.names: SampleNames = spec.names(job.name)
        self.stretch, self._first, self._count = stretch_of(spec), 0, 0
        (spec.out / SHARDS_FOLDER).mkdir(exist_ok=True)

    @property
    def path(self) -> Path:
        """The present shard."""
        return self.spec.out / self.names.shard(self._first)

    @property
    def label(self) -> object:
        """What stands for the class in a shard: its value in the input, or its name."""
        return self.job.name if self.spec.label is None else self.spec.label

    def finish(self, count: int) -> None:
        """See `Sink.finish`."""


class RowShards(ShardSink):
    """npz or Parquet files, collected in the working folder so that a shard of any size fits the memory."""

    def begin(self, first: int) -> None:
        """See `Sink.begin`."""
        self._first, self._count = first, 0
        fmt = self.spec.sample_format
        rows = min(self.stretch, self.segment.span.stop - first)
        start_array_file(self._rows, (rows, *fmt.sample_shape), np.dtype(fmt.dtype))

    def write(self, samples: Samples) -> None:
        """See `Sink.write`."""
        append_rows(self._rows, samples)
        self._count += len(samples)

    def end(self) -> None:
        """See `Sink.end`."""
        fmt = self.spec.sample_format
        set_row_count(self._rows, (self._count, *fmt.sample_shape), np.dtype(fmt.dtype))
        rows = np.load(self._rows, mmap_mode="r", allow_pickle=False)
        if fmt.table is not None:
            write_table(self.path, rows, np.full(self._count, self.job.index), fmt.table)
        else:
            keys = fmt.array_keys or DEFAULT_KEYS
            arrays = {keys[0]: rows, keys[1]: np.full(self._count, self.label)}
            with atomic_path(self.path) as temporary, temporary.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **arrays)
        del rows
        self._rows.unlink()

    @property
    def _rows(self) -> Path:
        return self.job.work.path / f"{self.segment.stem}.shard.npy"


class TarShards(ShardSink):
    """WebDataset tar files: each sample with its class's index (.cls) and name (.json)."""

    def begin(self, first: int) -> None:
        """See `Sink.begin`."""
        self._first, self._count = first, 0
        self._unfinished.write_bytes(b"")

    def write(self, samples: Samples) -> None:
        """See `Sink.write`."""
        told = json.dumps({"label": self.job.name, "synthetic": True}, ensure_ascii=False, sort_keys=True)
        with self._unfinished.open("ab") as file:
            for sample in samples:
                number = self._first + self._count
                key = self.names.key(number)
                file.write(_tar_member(self.names.member(number), self._encoded(sample)))
                file.write(_tar_member(f"{key}.cls", str(self.job.index).encode()))
                file.write(_tar_member(f"{key}.json", told.encode()))
                self._count += 1

    def end(self) -> None:
        """See `Sink.end`."""
        with self._unfinished.open("ab") as file:
            file.write(tarfile.NUL * 2 * tarfile.BLOCKSIZE)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self._unfinished, self.path)

    @property
    def _unfinished(self) -> Path:
        return self.job.work.path / f"{self.segment.stem}.shard.tar"

    def _encoded(self, sample: Shaped[np.ndarray, "..."]) -> bytes:
        fmt = self.spec.sample_format
        if fmt.kind == "arrays":
            buffer = io.BytesIO()
            np.save(buffer, sample, allow_pickle=False)
            return buffer.getvalue()
        member = self.job.work.path / f"{self.segment.stem}-member{fmt.suffix}"
        with flushed_later():
            write_sample(member, sample, fmt)
        return member.read_bytes()


def _tar_member(name: str, content: bytes) -> bytes:
    """Return a member of a tar file; all but name and content is the same for everybody: no user, no date."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    header = info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    return header + content + tarfile.NUL * (-len(content) % tarfile.BLOCKSIZE)


class ZarrSink(Sink):
    """A Zarr array of the segment in the working folder, a chunk a sample; they are joined at the end."""

    def __init__(self, job: ClassJob, spec: SampleSpec, segment: Segment) -> None:
        self.path, self.out, self.stretch = zarr_array_of(job.work, segment), spec.out, stretch_of(spec)
        self._start, self._next = segment.span.start, None
        self._shape = (len(segment.span), *spec.sample_format.sample_shape)
        self._dtype = spec.sample_format.dtype

    def begin(self, first: int) -> None:
        """See `Sink.begin`."""
        if self._next is None:  # zarr, killed while it writes a chunk, leaves a file beside it
            cut_class_array(self.path, first - self._start)
        self._next = first - self._start

    def write(self, samples: Samples) -> None:
        """See `Sink.write`."""
        assert self._next is not None
        append_to_class_array(self.path, samples, self._next, self._shape, self._dtype)
        self._next += len(samples)

    def end(self) -> None:
        """See `Sink.end`."""
        flush_file_system(self.out)

    def finish(self, count: int) -> None:
        """See `Sink.finish`."""


def sink_of(job: ClassJob, spec: SampleSpec, segment: Segment) -> Sink:
    """Return where the samples of a segment go."""
    if spec.shards == "webdataset":
        return TarShards(job, spec, segment)
    if spec.shards == "zarr":
        return ZarrSink(job, spec, segment)
    if spec.shards is not None:
        return RowShards(job, spec, segment)
    return ArraySink(job, spec, segment) if spec.sample_format.is_one_file else FileSink(job, spec)

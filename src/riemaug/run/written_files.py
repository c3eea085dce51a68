"""Which files the samples of a segment lie in, and whether these are as they were when they were recorded."""

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from riemaug.run.array_files import holds_rows
from riemaug.run.jobs import SampleSpec
from riemaug.run.sample_names import ZARR_NAME
from riemaug.run.segments import Segment
from riemaug.run.stretches import DamagedRecordError, Recorded
from riemaug.run.workdir import WorkDir

DEFAULT_KEYS = ("images", "labels")
"""Of npz shards and Zarr stores where the input is no npz file."""


def rows_of(work: WorkDir, segment: Segment) -> Path:
    """Return where the rows of a segment lie that are to go into one file."""
    return work.path / f"{segment.stem}.samples.npy"


def zarr_array_of(work: WorkDir, segment: Segment) -> Path:
    """Return where the Zarr array of a segment lies."""
    return work.path / f"{segment.stem}.zarr"


@dataclass(frozen=True)
class Joined:
    """Where the samples of a class lie once its segments are joined.

    Attributes
    ----------
    offset : int
        Samples of the classes before, whose chunks precede those of the class in a Zarr store.
    rows : Path or None
        The rows of all segments, if these have been joined and are there no more.
    """

    offset: int
    rows: Path | None = None

    @classmethod
    def of(cls, work: WorkDir, index: int, segments: Sequence[Segment], offset: int) -> "Joined":
        """Return what is joined of class `index`; see `riemaug.run.sinks.join_segments`."""
        rows = work.samples(index)
        is_joined = len(segments) > 1 and rows.exists() and not rows_of(work, segments[-1]).exists()
        return cls(offset, rows if is_joined else None)


@dataclass(frozen=True, eq=False)
class WrittenFiles:
    """The files of one segment. Their sizes alone are looked at: to read them takes as long as to write them.

    Attributes
    ----------
    work : WorkDir
    class_name : str
    spec : SampleSpec
        Of the class.
    segment : Segment
    """

    work: WorkDir
    class_name: str
    spec: SampleSpec
    segment: Segment

    def sizes(self, numbers: range) -> Int64[np.ndarray, " f"]:
        """Return the bytes of each file of a stretch; 0 where there is none.

        Parameters
        ----------
        numbers : range
            Of the samples of the stretch within the class.
        """
        return np.array([_size(path) for path in self._paths(numbers)], dtype=np.int64)

    def check(self, stretch: Recorded, joined: Joined) -> None:
        """Raise DamagedRecordError, which names the file, if one is not as it was recorded."""
        if self._is_array:
            self._check_rows(stretch.numbers.stop, joined)
        if stretch.sizes is None:
            return
        for path, size in zip(self._paths(stretch.numbers, joined), stretch.sizes.tolist(), strict=True):
            found = _size(path)
            if found != size:
                what = f"it has {found:,} bytes, {size:,} were recorded" if found else "it is missing"
                raise DamagedRecordError(Path(path), what)

    def forget(self) -> None:
        """Remove what the segment, begun anew, must not find."""
        if self.spec.shards == "zarr":
            shutil.rmtree(zarr_array_of(self.work, self.segment), ignore_errors=True)

    @property
    def _is_array(self) -> bool:
        return self.spec.shards is None and self.spec.sample_format.is_one_file

    def _paths(self, numbers: range, joined: Joined | None = None) -> Iterator[str]:
        """Yield the files of a stretch; of a Zarr array where they have been moved to, if that is told."""
        names, out = self.spec.names(self.class_name), os.fspath(self.spec.out)
        if self.spec.shards == "zarr":
            yield from self._chunks(numbers, joined)
        elif self.spec.shards is not None:
            for name in dict.fromkeys(names.shard(number) for number in numbers):
                yield os.path.join(out, name)
        elif not self._is_array:
            for number in numbers:
                yield os.path.join(out, names.name(number))

    def _chunks(self, numbers: range, joined: Joined | None) -> Iterator[str]:
        array, fmt = zarr_array_of(self.work, self.segment), self.spec.sample_format
        key = (fmt.array_keys or DEFAULT_KEYS)[0]
        stores = [] if joined is None else [self.work.path / ZARR_NAME, self.spec.out / ZARR_NAME]
        moved = [store / key / "c" for store in stores if store.exists()]
        offset = 0 if joined is None else joined.offset
        rest = os.path.join(*["0"] * len(fmt.sample_shape))
        yield os.fspath(array / "zarr.json")
        for number in numbers:
            places = [array / "c" / str(number - self.segment.span.start) / rest]
            places += [chunks / str(offset + number) / rest for chunks in moved]
            yield os.fspath(next((place for place in places if place.exists()), places[-1]))

    def _check_rows(self, count: int, joined: Joined) -> None:
        if joined.rows is None:
            path, rows = rows_of(self.work, self.segment), count - self.segment.span.start
        else:
            path, rows = joined.rows, self.spec.count
        if not holds_rows(path, rows):
            raise DamagedRecordError(path, "it is missing or too short")


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except (FileNotFoundError, NotADirectoryError):
        return 0

"""Segments: spans of a class's samples that are drawn and written by tasks of their own.

Where a class is cut depends on what is asked for alone, never on the number of jobs or the engine, so that
neither files nor diagnostics do. Segments end where a stretch ends: no file is shared by two.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from riemaug.run.jobs import ClassJob, SampleSpec
from riemaug.run.progress import ProgressFile, TaskProgress

STRETCH_SAMPLES, STRETCH_VALUES = 10_000, 2**26
"""Where no shard is a stretch: so many samples at most, and fewer of large ones."""
SEGMENT_SAMPLES, SEGMENT_VALUES = 50_000, 2**28
"""A segment has about so many samples, and fewer of large ones."""
SEGMENT_SAMPLES_OF_CHAINS = 10_000
"""Where each draw is the end of a chain of hundreds of steps."""
SAMPLERS_OF_CHAINS = ("walk", "walk-paper", "walk-paper-code", "hmc")


def stretch_of(spec: SampleSpec) -> int:
    """Return how many samples are recorded together: those of a shard, where there are shards."""
    if spec.shards not in (None, "zarr"):
        return spec.shard_size
    return max(1, min(STRETCH_SAMPLES, STRETCH_VALUES // _values(spec)))


def segment_size(spec: SampleSpec, sampler: str) -> int | None:
    """Return how many samples a segment has, whole stretches; None if classes are not cut.

    Each segment has to prepare its draws anew: "mixture" builds an envelope or fits proposals, "hmc" tunes
    its step on chains of its own. A segment is long enough to make that little: minutes of the drawing,
    decoding and writing of tens of thousands of samples, or of the steps of chains. All samplers may be
    cut anywhere, as draw i depends on the seed, the class and i alone; chains too, for the blocks in which
    they run know nothing of each other. A block that a cut divides, 128 chains or at most 4,096 draws, is
    made by both tasks.

    Where copies are dropped a class is not cut: which draws are kept, and their numbers, depend on how many
    were before.

    Parameters
    ----------
    spec : SampleSpec
    sampler : str
        See `SamplingConfig.sampler_for`.
    """
    if spec.drop_copies:
        return None
    most = SEGMENT_SAMPLES_OF_CHAINS if sampler in SAMPLERS_OF_CHAINS else SEGMENT_SAMPLES
    stretch = stretch_of(spec)
    return stretch * max(1, min(most, SEGMENT_VALUES // _values(spec)) // stretch)


@dataclass(frozen=True)
class Segment:
    """A span of the samples of a class.

    Attributes
    ----------
    stem : str
        How the names of its files in the working folder begin.
    span : range
        The numbers of its samples within the class, from 0 on.
    """

    stem: str
    span: range

    @property
    def numbers(self) -> str:
        """The numbers of the first and the last sample, from 1 on."""
        return f"{self.span.start + 1:,} to {self.span.stop:,}"


def segments_of(index: int, spec: SampleSpec) -> list[Segment]:
    """Return the segments of class `index` in their order, at least one; the last one may be twice as long.

    The files of a class that is not cut are named after the class.
    """
    stem, size = f"class-{index:04d}", spec.segment_size or max(spec.count, 1)
    number = max(spec.count // size, 1)
    if number == 1:
        return [Segment(stem, range(spec.count))]
    cuts = [*range(0, number * size, size), spec.count]
    return [Segment(f"{stem}.segment-{i:05d}", range(*ends)) for i, ends in enumerate(pairwise(cuts))]


@dataclass(frozen=True, eq=False)
class SegmentJob:
    """The task of one segment of a class whose model is there.

    Attributes
    ----------
    job : ClassJob
    segment : Segment
    task : TaskProgress
        How the task is shown.
    """

    job: ClassJob
    segment: Segment
    task: TaskProgress

    @property
    def title(self) -> str:
        """What errors call the task."""
        return f"class {self.job.name!r}, samples {self.segment.numbers}"

    @property
    def progress(self) -> ProgressFile:
        """Where the task tells how far it is."""
        return ProgressFile(self.job.work.path / f"{self.segment.stem}.progress.json", self.task)


def _values(spec: SampleSpec) -> int:
    return max(int(np.prod(spec.sample_format.sample_shape)), 1)

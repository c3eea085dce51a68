"""The samples of one class, all its segments together, and what is to be told of them."""

from collections.abc import Sequence
from itertools import chain, islice
from typing import Any

import numpy as np

from riemaug.atomic import atomic_path
from riemaug.class_model import ClassModel
from riemaug.run.comparison import TrainingComparison
from riemaug.run.jobs import ClassJob, SampleSpec
from riemaug.run.preview import Preview, preview_path
from riemaug.run.progress import ProgressFile
from riemaug.run.segment_task import SegmentTask, comparison_of, drawing_of
from riemaug.run.segments import Segment, segments_of
from riemaug.run.shown import SHOWN_PICTURES, ShownSamples, shown_arrays
from riemaug.run.sinks import join_segments
from riemaug.run.stretches import FLAGS, SegmentEnd, StretchFiles
from riemaug.run.workdir import WorkDir

MOST_DISTANCES = 10_000
"""So many distances to training samples, of the first samples, are told to the report."""


def sample_class(job: ClassJob, spec: SampleSpec, item: ClassModel, progress: ProgressFile) -> dict[str, Any]:
    """Draw, compare and write the samples of a class; return the JSON-safe result.

    Segments that tasks of their own have drawn are only gathered. See `SegmentTask.run` for what is raised.
    """
    segments, comparison = segments_of(job.index, spec), comparison_of(job, spec, item)
    drawing, ends = drawing_of(spec, item, comparison), []
    for segment in segments:
        done = StretchFiles(job.work.path, segment.stem).end()
        ends.append(done or SegmentTask(job, spec, item, drawing, segment).run(progress))
    join_segments(job, segments)
    last = ends[-1].position
    _save_pictures(job, spec, item, comparison, _preview_of(job, segments))
    return {
        **_told(job, spec, last.kept),
        "real_distance": [] if comparison is None else rounded(comparison.real_distances()),
        "dropped": last.dropped(spec.count).to_dict() if spec.drop_copies else None,
        "diagnostics": drawing.diagnostics([end.state for end in ends]).to_dict(),
        "sample_seconds": sum(end.position.seconds for end in ends),
        "write_seconds": sum(end.write_seconds for end in ends),
    }


def sample_segment(
    job: ClassJob, spec: SampleSpec, item: ClassModel, segment: Segment, progress: ProgressFile
) -> SegmentEnd:
    """Draw, compare and write the samples of one segment; as `sample_class`."""
    drawing = drawing_of(spec, item, comparison_of(job, spec, item))
    return SegmentTask(job, spec, item, drawing, segment).run(progress)


def files_of(work: WorkDir, index: int, spec: SampleSpec) -> list[StretchFiles]:
    """Return the records of each segment of a class."""
    return [StretchFiles(work.path, segment.stem) for segment in segments_of(index, spec)]


def _preview_of(job: ClassJob, segments: Sequence[Segment]) -> Preview:
    preview = Preview()
    for segment in segments:
        path = preview_path(job.work, segment)
        if not path.is_file():  # of an empty class, and of what is not shown
            break
        preview.extend(Preview.load(path, len(segment.span)))
    return preview


def _told(job: ClassJob, spec: SampleSpec, count: int) -> dict[str, Any]:
    """Return sums over the samples, and of the first ones what the report tells."""
    names = spec.names(job.name)
    copies, distances, nearest = dict.fromkeys(FLAGS, 0), [], []
    compared = False
    for columns in chain.from_iterable(files.columns() for files in files_of(job.work, job.index, spec)):
        if columns.flags is None or columns.distance is None or columns.nearest is None:
            break
        compared = True
        for place, flag in enumerate(FLAGS):
            copies[flag] += int((columns.flags == place).sum())
        distances += rounded(columns.distance[: MOST_DISTANCES - len(distances)])
        nearest += islice(columns.nearest.listed(), SHOWN_PICTURES - len(nearest))
    return {
        "synthetic": count,
        "first_files": [names.name(i) if names.are_files else "" for i in range(min(count, SHOWN_PICTURES))],
        "nearest": nearest,
        "nearest_distance": distances,
        "copies": copies if compared else {},
    }


def _save_pictures(
    job: ClassJob,
    spec: SampleSpec,
    item: ClassModel,
    comparison: TrainingComparison | None,
    preview: Preview,
) -> None:
    """Keep what the report shows of this class; plain arrays, so a resumed run needs no recomputing."""
    shape = spec.sample_format.model_shape
    synthetic = preview.unit(int(np.prod(shape))).reshape(-1, *shape)
    nearest = real = None
    if len(synthetic) and spec.reference is not None and comparison is not None:
        nearest = job.scaler.transform(spec.reference[preview.nearest_indices()])
        real = job.scaler.transform(spec.reference[comparison.own[:SHOWN_PICTURES]])
    shown = ShownSamples(synthetic, nearest, real)
    points = preview.latent(item.model.config.latent_dim)
    arrays = shown_arrays(item, shown, points, spec.sample_format, spec.sampling.seed)
    with atomic_path(job.work.pictures(job.index)) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)


def rounded(values: np.ndarray) -> list[float]:
    """Return numbers with the six digits that manifests have."""
    return [float(f"{value:.6g}") for value in values.tolist()]

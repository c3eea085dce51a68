"""The samples of one class on their way to the disk, and what is to be told of them."""

import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
from jaxtyping import Float32

from riemaug.atomic import atomic_path
from riemaug.class_model import ClassModel
from riemaug.data import restore_samples
from riemaug.data.blocks import row_blocks
from riemaug.run.comparison import TrainingComparison
from riemaug.run.drawing import Drawing, Piece, Position
from riemaug.run.jobs import ClassJob, SampleSpec
from riemaug.run.preview import Preview
from riemaug.run.progress import ProgressFile
from riemaug.run.sample_names import SampleNames
from riemaug.run.shown import SHOWN_PICTURES, ShownSamples, shown_arrays
from riemaug.run.sinks import Sink, sink_of
from riemaug.run.stretches import FLAGS, SampleColumns, StretchFiles
from riemaug.run.writer_thread import WriterThread
from riemaug.samplers import SamplingProgress
from riemaug.samplers.sources import State

WRITTEN_AT_ONCE = 2**24
"""Values that are brought to the written size, then written, at a time."""
MOST_DISTANCES = 10_000
"""So many distances to training samples, of the first samples, are told to the report."""


def sample_class(job: ClassJob, spec: SampleSpec, item: ClassModel, progress: ProgressFile) -> dict[str, Any]:
    """Draw, compare and write the samples of a class; return the JSON-safe result.

    The class is worked through stretch by stretch; a run that was stopped goes on after the last one that
    was recorded. Neither memory nor the result grow with the number of samples.

    Raises
    ------
    SamplingError
        Decoded samples are not finite.
    OSError
        The disk is full.
    """
    started = time.monotonic()
    comparison = _comparison(job, spec, item)
    drawing = Drawing(item, spec.sampling, spec.count, comparison, spec.drop_copies)
    task = _ClassTask(job, spec, item, drawing)
    task.run(progress)
    diagnostics, position = drawing.finish(), drawing.position
    _save_pictures(job, spec, item, comparison, task.preview)
    return {
        **_told(task.files, task.names, position.kept),
        "real_distance": [] if comparison is None else rounded(comparison.real_distances()),
        "dropped": None if drawing.dropped is None else drawing.dropped.to_dict(),
        "diagnostics": diagnostics.to_dict(),
        "sample_seconds": position.seconds,
        "write_seconds": max(time.monotonic() - started - position.seconds, 0.0),
    }


def names_of(job_name: str, spec: SampleSpec) -> SampleNames:
    """Return the names of a class's samples."""
    return SampleNames(job_name, spec.sample_format, spec.first_number, spec.shards, spec.shard_size)


class _ClassTask:
    """Draws in this thread, writes in another one, and records what is done."""

    def __init__(self, job: ClassJob, spec: SampleSpec, item: ClassModel, drawing: Drawing) -> None:
        self.job, self.spec, self.item, self.drawing = job, spec, item, drawing
        self.files = StretchFiles(job.work.path, job.index)
        self.names = names_of(job.name, spec)
        self.preview, self._kept_of_preview = Preview(), 0
        self._preview_path = job.work.path / f"class-{job.index:04d}.preview.npz"
        self._resume()

    def _resume(self) -> None:
        last = self.files.last()
        if last is None:
            return
        self.drawing.resume(*last)
        self.preview = Preview.load(self._preview_path, last[0].kept)
        self._kept_of_preview = self.preview.size()

    def run(self, progress: ProgressFile) -> None:
        """Do all stretches that are left."""
        sink = sink_of(self.job, self.spec, self.names)
        with WriterThread() as writer:
            while not self.drawing.is_done:
                self._stretch(sink, writer, progress)
        sink.finish(self.drawing.position.kept)

    def _stretch(self, sink: Sink, writer: WriterThread, progress: ProgressFile) -> None:
        drawing, pieces = self.drawing, []
        first = drawing.position.kept
        until = (first // sink.stretch + 1) * sink.stretch
        for piece in drawing.pieces(self.spec.batch_size, until, _teller(progress)):
            if not pieces:
                writer.do(sink.begin, first)
            writer.do(self._write, sink, piece.unit, values=piece.unit.size)
            self.preview.add(piece)
            pieces.append(Piece(np.empty((len(piece.unit), 0), np.float32), piece.draws, piece.compared))
            progress.tell("write", done=drawing.position.kept, total=drawing.count)
        if pieces:
            columns = SampleColumns.of(pieces, self.item.sources, self.spec.reference_names)
            writer.do(self._end, sink, columns, drawing.position, drawing.state())

    def _write(self, sink: Sink, unit: Float32[np.ndarray, "n D"]) -> None:
        fmt = self.spec.sample_format
        shaped = unit.reshape(len(unit), *fmt.model_shape)
        # what is written may be far larger than what is modelled
        for rows in row_blocks((len(unit), *fmt.sample_shape), WRITTEN_AT_ONCE):
            sink.write(restore_samples(shaped[rows], self.job.scaler, fmt))

    def _end(self, sink: Sink, columns: SampleColumns, position: Position, state: State) -> None:
        sink.end()
        if self.preview.size() > self._kept_of_preview:
            self._kept_of_preview = self.preview.size()
            width = int(np.prod(self.spec.sample_format.model_shape))
            self.preview.save(self._preview_path, width, self.item.model.config.latent_dim)
        self.files.record(columns, position, state)


def _teller(progress: ProgressFile) -> Callable[[SamplingProgress], None]:
    """Return what tells the steps of chains."""

    def tell(told: SamplingProgress) -> None:
        progress.tell(
            "sample",
            done=told.done,
            total=told.total,
            value=told.acceptance,
            step=told.step,
            num_steps=told.num_steps,
        )

    return tell


def _comparison(job: ClassJob, spec: SampleSpec, item: ClassModel) -> TrainingComparison | None:
    if spec.reference is None or spec.reference_labels is None:
        return None
    return TrainingComparison(
        spec.reference, spec.reference_labels, job.scaler, item, job.index, spec.sample_format.settled
    )


def _told(files: StretchFiles, names: SampleNames, count: int) -> dict[str, Any]:
    """Return sums over the samples, and of the first ones what the report tells."""
    copies, distances, nearest = dict.fromkeys(FLAGS, 0), [], []
    compared = False
    for columns in files.columns():
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

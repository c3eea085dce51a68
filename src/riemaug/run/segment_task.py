"""The samples of one segment on their way to the disk."""

import time
from collections.abc import Callable

import numpy as np
from jaxtyping import Float32

from riemaug.class_model import ClassModel
from riemaug.data import restore_samples
from riemaug.data.blocks import row_blocks
from riemaug.run.comparison import TrainingComparison
from riemaug.run.drawing import Drawing, Piece, Position
from riemaug.run.jobs import ClassJob, SampleSpec
from riemaug.run.latent_map import SHOWN_DRAWS
from riemaug.run.preview import Preview, preview_path
from riemaug.run.progress import ProgressFile
from riemaug.run.segments import Segment
from riemaug.run.sinks import Sink, sink_of
from riemaug.run.stretches import SampleColumns, SegmentEnd, StretchFiles
from riemaug.run.writer_thread import WriterThread
from riemaug.run.written_files import WrittenFiles
from riemaug.samplers import SamplingProgress
from riemaug.samplers.sources import State

WRITTEN_AT_ONCE = 2**24
"""Values that are brought to the written size, then written, at a time."""
STRETCH_SECONDS = 60.0
"""A stretch that is no shard ends after about so long, so that a run that is killed loses no more."""


def comparison_of(job: ClassJob, spec: SampleSpec, item: ClassModel) -> TrainingComparison | None:
    """Return what compares samples with the training set; None where that is not at hand."""
    if spec.reference is None or spec.reference_labels is None:
        return None
    return TrainingComparison(
        spec.reference, spec.reference_labels, job.scaler, item, job.index, spec.sample_format.settled
    )


def drawing_of(spec: SampleSpec, item: ClassModel, comparison: TrainingComparison | None) -> Drawing:
    """Return what makes the samples of the class."""
    return Drawing(item, spec.sampling, spec.count, comparison, spec.drop_copies)


class SegmentTask:
    """Draws in this thread, writes in another one, and records what is done.

    The segment is worked through stretch by stretch; a run that was stopped goes on after the last one that
    was recorded. Neither memory nor the result grow with the number of samples.

    Parameters
    ----------
    job : ClassJob
    spec : SampleSpec
    item : ClassModel
    drawing : Drawing
        Of the class; for one segment after the other.
    segment : Segment
    """

    def __init__(
        self, job: ClassJob, spec: SampleSpec, item: ClassModel, drawing: Drawing, segment: Segment
    ) -> None:
        self.job, self.spec, self.item, self.drawing, self.segment = job, spec, item, drawing, segment
        self.files = StretchFiles(job.work.path, segment.stem)
        self._written = WrittenFiles(job.work, job.name, spec, segment)
        self.preview, self._kept_of_preview = Preview(), 0

    def run(self, progress: ProgressFile) -> SegmentEnd:
        """Do all stretches that are left, and note the end.

        Raises
        ------
        SamplingError
            Decoded samples are not finite.
        OSError
            The disk is full.
        """
        self._begin()
        started, before = time.monotonic(), self.drawing.seconds
        sink = sink_of(self.job, self.spec, self.segment)
        with WriterThread() as writer:
            while not self.drawing.is_done:
                self._stretch(sink, writer, progress)
        position = self.drawing.position
        sink.finish(position.kept)
        written = time.monotonic() - started - (self.drawing.seconds - before)
        end = SegmentEnd(position, self.drawing.finish(), written)
        self.files.close(end)
        return end

    def _begin(self) -> None:
        """Go to where the work begins."""
        last = self.files.last()
        self.drawing.begin(self.segment.span, last)
        if last is not None and self._is_shown:
            kept = last[0].kept - self.segment.span.start
            self.preview = Preview.load(preview_path(self.job.work, self.segment), kept)
            self._kept_of_preview = self.preview.size()

    @property
    def _is_shown(self) -> bool:
        """Whether the report may show something of the segment."""
        return self.segment.span.start < SHOWN_DRAWS

    def _stretch(self, sink: Sink, writer: WriterThread, progress: ProgressFile) -> None:
        drawing, pieces, span = self.drawing, [], self.segment.span
        started, first = time.monotonic(), drawing.position.kept
        until = (first // sink.stretch + 1) * sink.stretch
        for piece in drawing.pieces(self.spec.batch_size, until, _teller(progress)):
            if not pieces:
                writer.do(sink.begin, first)
            writer.do(self._write, sink, piece.unit, values=piece.unit.size)
            if self._is_shown:
                self.preview.add(piece)
            pieces.append(Piece(np.empty((len(piece.unit), 0), np.float32), piece.draws, piece.compared))
            progress.tell("write", done=drawing.position.kept - span.start, total=len(span))
            if sink.may_end_early and time.monotonic() - started > STRETCH_SECONDS:
                break
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
            path = preview_path(self.job.work, self.segment)
            self.preview.save(path, width, self.item.model.config.latent_dim)
        sizes = self._written.sizes(range(position.kept - len(columns), position.kept))
        self.files.record(columns, position, state, sizes)


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

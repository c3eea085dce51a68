"""The samples of one class on their way to the disk, and what is to be told of them."""

import time
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Shaped

from riemaug.atomic import atomic_path
from riemaug.class_model import ClassModel
from riemaug.data import restore_samples, write_class_files
from riemaug.data.blocks import row_blocks
from riemaug.run.array_files import append_rows, set_row_count, start_array_file
from riemaug.run.comparison import Compared, TrainingComparison
from riemaug.run.drawing import Drawing
from riemaug.run.jobs import ClassJob, SampleSpec
from riemaug.run.progress import ProgressFile
from riemaug.run.shown import SHOWN_PICTURES, ShownSamples, shown_arrays
from riemaug.samplers import Draws, SamplingProgress

WRITTEN_AT_ONCE = 2**24
"""Values that are brought to the written size, then written, at a time."""


def sample_class(job: ClassJob, spec: SampleSpec, item: ClassModel, progress: ProgressFile) -> dict[str, Any]:
    """Draw, compare and write the samples of a class; return the JSON-safe result.

    Raises
    ------
    SamplingError
        Decoded samples are not finite.
    OSError
        The disk is full.
    """

    def tell(told: SamplingProgress) -> None:
        progress.tell(
            "sample",
            done=told.done,
            total=told.total,
            value=told.acceptance,
            step=told.step,
            num_steps=told.num_steps,
        )

    started = time.monotonic()
    comparison = _comparison(job, spec, item)
    drawing = Drawing(item, spec.sampling, spec.count, comparison, spec.drop_copies)
    writer = _Writer(job, spec)
    for unit in drawing.batches(spec.batch_size, tell):
        writer.write(unit.reshape(len(unit), *spec.sample_format.model_shape))
        progress.tell("write", done=len(writer.files), total=spec.count)
    writer.finish()
    _save_pictures(job, spec, item, drawing, writer)
    return {
        "files": writer.files,
        **_columns(item, spec, drawing.kept, drawing.compared),
        "real_distance": [] if comparison is None else _rounded(comparison.real_distances()),
        "dropped": None if drawing.dropped is None else drawing.dropped.to_dict(),
        "diagnostics": drawing.kept.diagnostics.to_dict(),
        "sample_seconds": drawing.sampler_seconds,
        "write_seconds": time.monotonic() - started - drawing.sampler_seconds,
    }


def _comparison(job: ClassJob, spec: SampleSpec, item: ClassModel) -> TrainingComparison | None:
    if spec.reference is None or spec.reference_labels is None:
        return None
    return TrainingComparison(
        spec.reference, spec.reference_labels, job.scaler, item, job.index, spec.sample_format.settled
    )


def _columns(item: ClassModel, spec: SampleSpec, draws: Draws, compared: Compared | None) -> dict[str, Any]:
    """Return what the manifest says of each sample; nothing of the nearest ones where none were compared."""
    found = compared or Compared.joined([])
    return {
        "log_density": _rounded(draws.log_density),
        "acceptance": _rounded(draws.acceptance),
        "start": [item.sources[i] if i >= 0 else "" for i in draws.origin.tolist()],
        "nearest": [spec.reference_names[i] for i in found.nearest],
        "nearest_distance": _rounded(found.distance),
        "copy": found.flags.tolist(),
    }


class _Writer:
    """Writes the samples of one class batch by batch, and keeps the first ones for the report."""

    def __init__(self, job: ClassJob, spec: SampleSpec) -> None:
        self.job, self.spec = job, spec
        self.files: list[str] = []
        self.shown: list[np.ndarray] = []
        if spec.sample_format.is_one_file:
            start_array_file(job.work.samples(job.index), *self._rows_of(spec.count))

    def write(self, unit: Float32[np.ndarray, "n ..."]) -> None:
        """Write samples given in [0, 1]."""
        fmt = self.spec.sample_format
        # what is written may be far larger than what is modelled
        for rows in row_blocks((len(unit), *fmt.sample_shape), WRITTEN_AT_ONCE):
            self._write_restored(restore_samples(unit[rows], self.job.scaler, fmt))
        if sum(map(len, self.shown)) < SHOWN_PICTURES:
            self.shown.append(unit)

    def finish(self) -> None:
        """Say in the file of arrays how many samples there are: where copies are dropped some may lack."""
        if self.spec.sample_format.is_one_file and len(self.files) < self.spec.count:
            set_row_count(self.job.work.samples(self.job.index), *self._rows_of(len(self.files)))

    def _rows_of(self, count: int) -> tuple[tuple[int, ...], np.dtype]:
        fmt = self.spec.sample_format
        return (count, *fmt.model_shape), np.dtype(fmt.dtype)

    def _write_restored(self, samples: Shaped[np.ndarray, "n ..."]) -> None:
        if self.spec.sample_format.is_one_file:
            append_rows(self.job.work.samples(self.job.index), samples)
            self.files += [""] * len(samples)
            return
        start = len(self.files) + self.spec.first_number
        self.files += write_class_files(self.spec.out, self.job.name, samples, self.spec.sample_format, start)


def _save_pictures(
    job: ClassJob, spec: SampleSpec, item: ClassModel, drawing: Drawing, writer: _Writer
) -> None:
    """Keep what the report shows of this class; plain arrays, so a resumed run needs no recomputing."""
    none = np.empty((0, *spec.sample_format.model_shape), np.float32)
    synthetic = np.concatenate([none, *writer.shown])[:SHOWN_PICTURES]
    nearest = real = None
    if writer.shown and spec.reference is not None and drawing.comparison and drawing.compared:
        nearest = job.scaler.transform(spec.reference[drawing.compared.nearest[:SHOWN_PICTURES]])
        real = job.scaler.transform(spec.reference[drawing.comparison.own[:SHOWN_PICTURES]])
    shown = ShownSamples(synthetic, nearest, real)
    arrays = shown_arrays(item, shown, drawing.kept.points, spec.sample_format, spec.sampling.seed)
    with atomic_path(job.work.pictures(job.index)) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)


def _rounded(values: torch.Tensor | np.ndarray) -> list[float]:
    return [float(f"{value:.6g}") for value in values.tolist()]

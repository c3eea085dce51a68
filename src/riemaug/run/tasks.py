"""The work of one class, in a process of its own: fit, draw, decode, write. Each stage resumes."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64, Shaped

from riemaug.atomic import atomic_path, atomic_write_text
from riemaug.class_model import NO_NETWORKS, ClassModel, Networks
from riemaug.config import SamplingConfig
from riemaug.data import RangeScaler, SampleFormat, restore_samples, upright_samples, write_class_files
from riemaug.data.blocks import row_blocks
from riemaug.errors import ResourceError, SamplingError
from riemaug.evaluation.copying import Neighbours, copy_flags, nearest_neighbours
from riemaug.run.array_files import append_rows, start_array_file
from riemaug.run.fitting import FitJob, load_fitted, run_fit_job
from riemaug.run.latent_map import latent_map_arrays
from riemaug.run.pictures import as_pictures
from riemaug.run.progress import ProgressFile, TaskProgress
from riemaug.run.workdir import WorkDir
from riemaug.samplers import Draws, SamplingProgress
from riemaug.serialization import load_generators

SHOWN_PICTURES = 24
WRITTEN_AT_ONCE = 2**24
"""Values that are brought to the written size, then written, at a time."""


@dataclass(frozen=True, eq=False)
class SampleSpec:
    """How many samples to draw for one class, how, and where to; see `ClassJob`.

    Attributes
    ----------
    reference, reference_labels, reference_names
        The whole training set, for the copying check; None when only the model is at hand.
    """

    count: int
    sampling: SamplingConfig
    sample_format: SampleFormat
    batch_size: int
    out: Path
    reference: Shaped[np.ndarray, "n ..."] | None = None
    reference_labels: np.ndarray | None = None
    reference_names: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ClassJob:
    """The task of one class: have its model, then sample if asked to.

    Attributes
    ----------
    model_index : int
        Which model in the working folder is the class's.
    fit : FitJob, optional
        Of a model of the class's own: trained in this task. None where the model is there already, in
        the working folder or in `model_folder`.
    fit_shares : int
        Number of classes that the model was trained on: the class answers for its part of the time.
    task : TaskProgress
        How the task is shown.
    """

    index: int
    name: str
    work: WorkDir
    scaler: RangeScaler
    model_index: int = 0
    fit: FitJob | None = None
    fit_shares: int = 1
    model_folder: Path | None = None
    sample: SampleSpec | None = None
    networks: Networks = NO_NETWORKS
    task: TaskProgress = TaskProgress("waiting")

    @property
    def progress(self) -> ProgressFile:
        """Where the task tells how far it is."""
        return ProgressFile(self.work.progress(self.index), self.task)


def run_class_job(job: ClassJob) -> dict[str, Any]:
    """Do one class's task, or what is left of it; return the JSON-safe result.

    Raises
    ------
    TrainingError, SamplingError, ResourceError
        The message names the class.
    """
    result_path, progress = job.work.result(job.index), job.progress
    if result_path.is_file():
        progress.tell("done")
        return json.loads(result_path.read_text(encoding="utf-8"))
    with naming(f"class {job.name!r}"):
        item = _fitted(job, progress)
        seconds = item.history.seconds / job.fit_shares
        result: dict[str, Any] = {"class": job.name, "fit_seconds": seconds}
        if job.sample is not None:
            result |= _sample(job, job.sample, item, progress)
    atomic_write_text(result_path, json.dumps(result, ensure_ascii=False))
    progress.tell("done")
    return result


@contextmanager
def naming(whose: str) -> Iterator[None]:
    """Say of which class or model an error is that does not know it."""
    try:
        yield
    except SamplingError as error:
        raise SamplingError(f"{whose}: {error}") from error
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise ResourceError(
            f"{whose} must fit the memory, it does not; use --jobs 1, make the images smaller, or use "
            "a larger machine"
        ) from error


def run_shared_fit(job: FitJob) -> None:
    """Train a model as a task of its own; raises as `run_fit_job` and, for lack of memory, ResourceError."""
    with naming(f"the model of {len(job.classes)} classes"):
        run_fit_job(job)


def _fitted(job: ClassJob, progress: ProgressFile) -> ClassModel:
    if job.model_folder is not None:
        return load_generators(job.model_folder, only_class=job.name).classes[0]
    if job.fit is not None:
        run_fit_job(job.fit, progress)
    # read back even when just fitted: a resumed run must go on from the very same bits
    classes = load_fitted(job.work, job.model_index, job.networks)
    return next(item for item in classes if item.name == job.name)


def _sample(job: ClassJob, spec: SampleSpec, item: ClassModel, progress: ProgressFile) -> dict[str, Any]:
    started = time.monotonic()

    def tell(told: SamplingProgress) -> None:
        progress.tell(
            "sample",
            done=told.done,
            total=told.total,
            value=told.acceptance,
            step=told.step,
            num_steps=told.num_steps,
        )

    stream = item.draw_stream(spec.sampling.seed)
    draws = item.sampler(spec.sampling).sample(spec.count, stream, tell)
    sampled = time.monotonic()
    writer = _Writer(job, spec, item)
    for start in range(0, spec.count, spec.batch_size):
        points = draws.points[start : start + spec.batch_size]
        unit = item.decode(points).numpy().reshape(len(points), *spec.sample_format.model_shape)
        writer.write(unit)
        progress.tell("write", done=start + len(points), total=spec.count)
    _save_pictures(job, spec, item, draws, writer)
    return {
        "files": writer.files,
        "log_density": _rounded(draws.log_density),
        "acceptance": _rounded(draws.acceptance),
        "start": [item.sources[i] if i >= 0 else "" for i in draws.origin.tolist()],
        "nearest": writer.nearest_names,
        "nearest_distance": [float(f"{gap:.6g}") for gap in writer.distances],
        "real_distance": [float(f"{gap:.6g}") for gap in writer.real_distance],
        "copy": writer.flags(),
        "diagnostics": draws.diagnostics.to_dict(),
        "sample_seconds": sampled - started,
        "write_seconds": time.monotonic() - sampled,
    }


class _Writer:
    """Writes the samples of one class batch by batch and compares each with the training set."""

    def __init__(self, job: ClassJob, spec: SampleSpec, item: ClassModel) -> None:
        self.job, self.spec = job, spec
        self.files: list[str] = []
        self.shown: list[np.ndarray] = []
        self.nearest: list[np.ndarray] = []
        self.distances: list[float] = []
        self.identical: list[bool] = []
        self.reference = self._flat_reference()
        self.real_distance = self._real_distances()
        self.reconstruction_distance = self._reconstruction_distances(item)
        if spec.sample_format.kind == "arrays":
            shape = (spec.count, *spec.sample_format.model_shape)
            start_array_file(job.work.samples(job.index), shape, np.dtype(spec.sample_format.dtype))

    def write(self, unit: Float32[np.ndarray, "n ..."]) -> None:
        """Write samples given in [0, 1]."""
        if not np.isfinite(unit).all():
            raise SamplingError("decoded samples must be finite, some are not; fit the model anew")
        fmt = self.spec.sample_format
        # what is written may be far larger than what is modelled
        for rows in row_blocks((len(unit), *fmt.sample_shape), WRITTEN_AT_ONCE):
            self._write_restored(restore_samples(unit[rows], self.job.scaler, fmt))
        if sum(map(len, self.shown)) < SHOWN_PICTURES:
            self.shown.append(unit)
        self._compare(unit)

    def _write_restored(self, samples: Shaped[np.ndarray, "n ..."]) -> None:
        if self.spec.sample_format.kind == "arrays":
            append_rows(self.job.work.samples(self.job.index), samples)
            self.files += [""] * len(samples)
            return
        start = len(self.files) + 1
        self.files += write_class_files(self.spec.out, self.job.name, samples, self.spec.sample_format, start)

    @property
    def nearest_names(self) -> list[str]:
        """Names of the nearest training samples, empty without a training set."""
        return [self.spec.reference_names[i] for i in np.concatenate([*self.nearest, []]).astype(int)]

    def flags(self) -> list[str]:
        """Return the copy flag of each sample, empty without a training set."""
        if self.reference is None:
            return []
        nearest = np.concatenate([*self.nearest, []]).astype(int)
        return copy_flags(
            np.array(self.distances, dtype=np.float64),
            np.array(self.identical, dtype=bool),
            self.reconstruction_distance[nearest],
        )

    def _flat_reference(self) -> Float32[np.ndarray, "m D"] | None:
        rows = self.spec.reference
        return None if rows is None else self.job.scaler.transform(np.asarray(rows)).reshape(len(rows), -1)

    def _real_distances(self) -> list[float]:
        if self.reference is None or self.spec.reference_labels is None:
            return []
        own = self.reference[self.spec.reference_labels == self.job.index]
        return nearest_neighbours(own, own, leave_one_out=True).distance.tolist()

    def _reconstruction_distances(self, item: ClassModel) -> Float64[np.ndarray, " m"]:
        """Return the distance of each training sample of the class to its reconstruction, NaN of others."""
        if self.reference is None or self.spec.reference_labels is None:
            return np.empty(0)
        distances = np.full(len(self.reference), np.nan)
        own = np.flatnonzero(self.spec.reference_labels == self.job.index)
        data = self.reference[own]
        gaps = item.reconstruct(torch.from_numpy(data)).numpy().astype(np.float64) - data
        distances[own] = np.sqrt(np.square(gaps).sum(1))
        return distances

    def _compare(self, unit: Float32[np.ndarray, "n ..."]) -> None:
        """Find the nearest training samples, all at the size that is modelled."""
        if self.reference is None or self.spec.reference is None:
            return
        found: Neighbours = nearest_neighbours(unit.reshape(len(unit), -1), self.reference)
        self.nearest.append(found.index)
        self.distances += found.distance.tolist()
        samples, originals = self.job.scaler.inverse(unit), self.spec.reference[found.index]
        self.identical += [bool(np.array_equal(a, b)) for a, b in zip(samples, originals, strict=True)]


def _save_pictures(job: ClassJob, spec: SampleSpec, item: ClassModel, draws: Draws, writer: _Writer) -> None:
    """Keep what the report shows of this class; plain arrays, so a resumed run needs no recomputing."""
    arrays: dict[str, np.ndarray] = {}
    if writer.shown:
        shown = np.concatenate(writer.shown)[:SHOWN_PICTURES]
        arrays |= _pictures("synthetic", shown, spec)
        if spec.reference is not None and spec.reference_labels is not None:
            chosen = np.concatenate(writer.nearest)[:SHOWN_PICTURES]
            real = np.flatnonzero(spec.reference_labels == job.index)[:SHOWN_PICTURES]
            arrays |= _pictures("nearest", job.scaler.transform(spec.reference[chosen]), spec)
            arrays |= _pictures("real", job.scaler.transform(spec.reference[real]), spec)
    if item.metric is not None and item.metric.dim == 2:
        stream = item.draw_stream(spec.sampling.seed).child("geodesics")
        latent = latent_map_arrays(item.metric, draws.points, stream)
        arrays |= {f"latent_{name}": array for name, array in latent.items()}
    with atomic_path(job.work.pictures(job.index)) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)


def _pictures(name: str, unit: Float32[np.ndarray, "n ..."], spec: SampleSpec) -> dict[str, np.ndarray]:
    pictures = as_pictures(upright_samples(unit, spec.sample_format))
    return {} if pictures is None else {name: pictures}


def _rounded(values: torch.Tensor) -> list[float]:
    return [float(f"{value:.6g}") for value in values.tolist()]

"""The work of one class, in a process of its own: fit, draw, decode, write. Each stage resumes."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from riemaug.atomic import atomic_write_text
from riemaug.class_model import ClassModel
from riemaug.errors import ResourceLostError, SamplingError
from riemaug.evaluation.copying import DroppedCopies
from riemaug.logs import fields, in_class, stage
from riemaug.run.fitting import FitJob, load_fitted, run_fit_job
from riemaug.run.jobs import ClassJob
from riemaug.run.progress import ProgressFile
from riemaug.run.sampling import sample_class, sample_segment
from riemaug.run.segments import SegmentJob
from riemaug.run.stretches import StretchFiles
from riemaug.serialization import load_generators

log = logging.getLogger(__name__)


def run_class_job(job: ClassJob) -> dict[str, Any]:
    """Do one class's task, or what is left of it; return the JSON-safe result.

    Raises
    ------
    TrainingError, SamplingError, ResourceLostError
        The message names the class.
    """
    result_path, progress = job.work.result(job.index), job.progress
    if result_path.is_file():
        with in_class(job.name):
            log.info("was done before")
        progress.tell("done")
        return json.loads(result_path.read_text(encoding="utf-8"))
    with naming(f"class {job.name!r}"), in_class(job.name):
        with stage("fit"):
            item = _fitted(job, progress)
        seconds = item.history.seconds / job.fit_shares
        result: dict[str, Any] = {"class": job.name, "fit_seconds": seconds}
        if job.sample is not None:
            with stage("sample"):
                result |= sample_class(job, job.sample, item, progress)
                _tell_of_samples(result, job.sample.count)
    atomic_write_text(result_path, json.dumps(result, ensure_ascii=False))
    progress.tell("done")
    return result


def run_segment_job(task: SegmentJob) -> None:
    """Do one segment's task, or what is left of it.

    Raises
    ------
    SamplingError, ResourceLostError
        The message names the segment.
    """
    job, segment, progress = task.job, task.segment, task.progress
    is_done = StretchFiles(job.work.path, segment.stem).end() is not None
    if not is_done:
        assert job.sample is not None
        with naming(task.title), in_class(job.name), stage("sample"):
            end = sample_segment(job, job.sample, _fitted(job, progress), segment, progress)
            log.info(
                "samples %s",
                segment.numbers,
                extra=fields(
                    samples=len(segment.span),
                    sample_seconds=round(end.position.seconds, 2),
                    write_seconds=round(end.write_seconds, 2),
                ),
            )
    progress.tell("done")


@contextmanager
def naming(whose: str) -> Iterator[None]:
    """Say of which class or model an error is that does not know it."""
    try:
        yield
    except SamplingError as error:
        raise SamplingError(f"{whose}: {error}") from error
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise ResourceLostError(
            f"{whose} must fit the memory, it does not (smaller samples, in a run of their own, take less): "
            "use --jobs 1, or a machine with more"
        ) from error


def run_shared_fit(job: FitJob) -> None:
    """Train a model as a task of its own; raises as `run_fit_job`, or ResourceLostError."""
    with naming(f"the model of {len(job.classes)} classes"), stage("fit"):
        run_fit_job(job)


def _tell_of_samples(result: dict[str, Any], wanted: int) -> None:
    """Note what was drawn; samplers that have not converged are worth a warning."""
    diagnostics = result["diagnostics"]
    dropped = None if result["dropped"] is None else DroppedCopies.from_dict(result["dropped"])
    count, account = (wanted, "") if dropped is None else (dropped.kept, f"{dropped.describe()}; ")
    is_sound = diagnostics.get("converged") is not False and count == wanted
    log.log(
        logging.INFO if is_sound else logging.WARNING,
        "%d samples; %s%s",
        count,
        account,
        diagnostics["message"],
        extra=fields(
            samples=count,
            sample_seconds=round(result["sample_seconds"], 2),
            write_seconds=round(result["write_seconds"], 2),
            dropped=result["dropped"],
            diagnostics=diagnostics,
        ),
    )


def _fitted(job: ClassJob, progress: ProgressFile) -> ClassModel:
    if job.model_folder is not None:
        return load_generators(job.model_folder, only_class=job.name).classes[0]
    if job.fit is not None:
        run_fit_job(job.fit, progress)
    # read back even when just fitted: a resumed run must go on from the very same bits
    classes = load_fitted(job.work, job.model_index, job.networks)
    return next(item for item in classes if item.name == job.name)

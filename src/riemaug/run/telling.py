"""What a run's log is told by its main process: the request, the plan, what was written, the end."""

import logging
import platform
from collections.abc import Sequence
from pathlib import Path

import torch

from riemaug._version import __version__
from riemaug.logs import fields
from riemaug.run.plan import Plan
from riemaug.run.request import FitRequest, SampleRequest

log = logging.getLogger(__name__)


def tell_request(request: FitRequest | SampleRequest) -> None:
    """Note what was asked for, and by which versions it is done."""
    job = type(request).__name__.removesuffix("Request").lower()
    seed = request.generator.seed if isinstance(request, FitRequest) else request.sampling.seed
    log.info(
        "riemaug %s: %s, seed %d",
        __version__,
        request.command or job,
        seed,
        extra=fields(
            job=job,
            command=request.command,
            version=__version__,
            seed=seed,
            python=platform.python_version(),
            torch=torch.__version__,
            platform=platform.platform(),
        ),
    )


def tell_plan(plan: Plan) -> None:
    """Note what was read, what will be done with it, and what was noticed."""
    dataset, estimate = plan.dataset, plan.estimate
    log.info(
        "%d samples in %d classes, %s; %s, d = %d, on %s with %d jobs, about %.0f s",
        len(dataset.samples),
        len(dataset.class_names),
        "x".join(map(str, dataset.format.shape)),
        plan.model.kind,
        plan.model.latent_dim,
        plan.device,
        estimate.num_jobs,
        estimate.seconds,
        extra=fields(
            data_sha256=plan.fingerprint,
            classes=dict(zip(dataset.class_names, dataset.counts, strict=True)),
            new=list(plan.counts),
            model=plan.model.model_dump(mode="json"),
            training=plan.training.model_dump(mode="json"),
            shares=plan.shares,
            device=plan.device,
            jobs=estimate.num_jobs,
            expected_seconds=round(estimate.seconds, 1),
            expected_memory_mb=round(estimate.memory * 1e-6, 1),
        ),
    )
    tell_notes(plan.notes)


def tell_notes(notes: Sequence[str]) -> None:
    """Note what the user is to know."""
    for note in notes:
        log.warning("%s", note)


def tell_written(out: Path, names: Sequence[str]) -> None:
    """Note which files at the top of OUT are there now."""
    sizes = {name: (out / name).stat().st_size for name in names if (out / name).is_file()}
    if sizes:
        log.info("wrote %s", ", ".join(sizes), extra=fields(bytes=sizes))


def tell_end(count: int, seconds: float) -> None:
    """Note that all is done."""
    log.info("finished in %.1f s, %d new samples", seconds, count, extra=fields(samples=count))

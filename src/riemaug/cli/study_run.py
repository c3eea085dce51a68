"""What `riemaug study run` does once its options are read."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from riemaug.errors import InvalidInputError

if TYPE_CHECKING:
    from riemaug.cli.study_progress import StudyProgress
    from riemaug.study.place import Place
    from riemaug.study.store import ResultStore


@dataclass(frozen=True)
class StudyRequest:
    """Which runs, with what, and how that is told; the fields are the options of `riemaug study run`."""

    cells: list[str] | None
    runs: int
    reading: str
    jobs: int | None
    device: str
    seconds: float | None
    store: Path
    cache: Path | None
    data_dir: Path | None
    dry_run: bool
    as_json: bool
    quiet: bool
    log_level: str


def run_study(request: StudyRequest) -> None:
    """Do the runs that are left, on the engine that was entered; ends with exit code 1 if one failed."""
    from riemaug.cli.study_progress import StudyProgress
    from riemaug.run.plan import resolve_device
    from riemaug.study.cells import all_cells, select
    from riemaug.study.place import Place
    from riemaug.study.readiness import ready
    from riemaug.study.runner import num_jobs_for, pending
    from riemaug.study.settings import current
    from riemaug.study.store import ResultStore

    chosen = all_cells() if request.cells is None else select(request.cells)
    kept = ResultStore(request.store)
    done = current(kept.results())
    waiting, reasons = pending(chosen, request.runs, request.reading, done), []
    device = resolve_device(request.device)
    num_jobs = num_jobs_for(request.jobs, device)
    place = None
    if waiting and not request.dry_run:
        place = Place(data_folder(request.data_dir), request.cache, device)
        waiting, reasons = ready(waiting, place.data)
    progress = StudyProgress(waiting, done, num_jobs, request.quiet, device)
    progress.announce(request.seconds, reasons)
    planned = {**_plan_fields(progress), "lacking": list(reasons)}
    if place is None:
        if request.as_json:
            echo_json(planned)
        return
    taken = _do_the_runs(request, place, kept, progress)
    has_failed = progress.finish()
    if request.as_json:
        counts = {name.replace(" ", "_"): count for name, count in progress.counts.items()}
        echo_json({**planned, **counts, **taken})
    if has_failed:
        raise typer.Exit(1)


def _do_the_runs(
    request: StudyRequest, place: "Place", kept: "ResultStore", progress: "StudyProgress"
) -> dict[str, Any]:
    """Do the runs that wait, and return what went wrong and how long it took."""
    from riemaug.cli.endings import GOES_ON, told_how_to_go_on
    from riemaug.study.place import kept_log
    from riemaug.study.runner import run_all

    started, errors = time.monotonic(), set()
    stops = told_how_to_go_on(f"{GOES_ON}: all finished runs are kept")
    with stops, kept_log(request.cache, request.log_level), progress:
        for outcome in run_all(progress.waiting, place, kept, progress.num_jobs, request.seconds):
            progress.tell(outcome)
            errors |= {outcome.error} if outcome.error else set()
    return {"errors": sorted(errors), "seconds_taken": time.monotonic() - started}


def _plan_fields(progress: "StudyProgress") -> dict[str, Any]:
    return {
        "runs": len(progress.waiting),
        "cells": sorted({run.cell.key for run in progress.waiting}),
        "jobs": progress.num_jobs,
        "seconds": progress.total / progress.num_jobs,
    }


def data_folder(folder: Path | None) -> Path:
    """Return the data sets' folder; InvalidInputError if it was not told."""
    if folder is None:
        raise InvalidInputError(
            "the data sets' folder must be known: give --data-dir FOLDER or set RIEMAUG_DATA; "
            "riemaug study download fetches them"
        )
    return folder


def echo_json(content: Any) -> None:
    """Print a document for machines."""
    typer.echo(json.dumps(content))

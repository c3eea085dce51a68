"""Runs of the study, the cheap ones first, in several processes, each result kept as soon as it is there."""

import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from riemaug.disk import stops_all
from riemaug.errors import RiemaugError
from riemaug.logs import fields, stage
from riemaug.parallel import num_gpus, num_workers, run_tasks
from riemaug.study.cells import Cell, Run, runs_of
from riemaug.study.costs import Costs, fit_key
from riemaug.study.execution import carry_out
from riemaug.study.place import Place
from riemaug.study.store import Result, ResultStore

log = logging.getLogger(__name__)
ROWS_OF_A_FIT = 10
"""About so many rows share the cost of a fitted generator."""


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    Attributes
    ----------
    run : Run
    result : Result or None
        None if it was left out or failed.
    error : str
        Why it failed; "" if it did not.
    """

    run: Run
    result: Result | None = None
    error: str = ""


@dataclass(frozen=True)
class _Task:
    run: Run
    place: Place
    store: ResultStore
    expected_seconds: float
    deadline: float | None


def pending(cells: Sequence[Cell], count: int, reading: str, done: Sequence[Result]) -> list[Run]:
    """Return the runs of some cells that are not done, the cheap ones first.

    Runs of one row come one after another: they need different generators, so no process waits for a fit
    of another, and the generators are there for the rows after it.

    Parameters
    ----------
    cells : sequence of Cell
    count : int
        Runs of each cell in all.
    reading : "draws" or "paper"
    done : sequence of Result
        Those that count; see `riemaug.study.settings.current`.
    """
    known = {result.run for result in done}
    costs = Costs(done)
    runs = [run for cell in cells for run in runs_of(cell, count, reading) if run not in known]
    return sorted(dict.fromkeys(runs), key=lambda run: _order(run, costs))


def _order(run: Run, costs: Costs) -> tuple:
    cell = run.cell
    seconds = costs.classifier_seconds(cell) + costs.fit_seconds(run) / ROWS_OF_A_FIT
    # by whole powers of two: within one, the rows of a generator stay together
    return round(seconds).bit_length(), cell.data, fit_key(run)[3], seconds, cell.key, run.seed


def run_all(
    runs: Sequence[Run],
    place: Place,
    store: ResultStore,
    num_jobs: int,
    seconds: float | None = None,
) -> Iterator[Outcome]:
    """Do runs and yield what became of each, in their order.

    Parameters
    ----------
    runs : sequence of Run
    place : Place
    store : ResultStore
        Takes each result at once.
    num_jobs : int
        Processes, one thread each.
    seconds : float, optional
        No run begins that would end later than so many seconds from now.
    """
    deadline = None if seconds is None else time.time() + seconds
    # workers of a cluster are in other folders than this process
    store, place = ResultStore(store.folder.absolute()), place.absolute()
    costs = Costs(store.results(), place.device)
    tasks, fitted = [], set()
    for run in runs:
        expected = costs.classifier_seconds(run.cell)
        if fit_key(run) not in fitted:
            expected += costs.fit_seconds(run)
            fitted.add(fit_key(run))
        tasks.append(_Task(run, place, store, expected, deadline))
    log.info(
        "%d runs of the study with %d jobs", len(tasks), num_jobs, extra=fields(job="study", jobs=num_jobs)
    )
    # other machines may be adding to the store, too
    for outcome in run_tasks(
        _do,
        tasks,
        num_jobs,
        folder=store.folder,
        is_only_run=False,
        name=_name_of,
        device=place.device,
    ):
        _note(outcome)
        yield outcome


def _name_of(task: _Task) -> str:
    return f"{task.run.cell.key}, seed {task.run.seed}"


def _note(outcome: Outcome) -> None:
    about = fields(key=[outcome.run.cell.key, outcome.run.seed])
    name = f"{outcome.run.cell.key}, seed {outcome.run.seed}"
    if outcome.error:
        log.error("failed: %s: %s", name, outcome.error, extra=about)
    elif outcome.result is None:
        log.info("left out, for lack of time: %s", name, extra=about)
    else:
        log.info("done: %s", name, extra=about)


def _do(task: _Task) -> Outcome:
    with stage("study"):
        return _outcome(task)


def _outcome(task: _Task) -> Outcome:
    if task.deadline is not None and time.time() + task.expected_seconds > task.deadline:
        return Outcome(task.run)
    try:
        result = carry_out(task.run, task.place)
    except RiemaugError as error:
        return Outcome(task.run, error=str(error))
    except Exception as error:  # one run that cannot be done must not end the others
        if stops_all(error):
            raise
        log.exception("unexpected %s in %s", type(error).__name__, _name_of(task))
        return Outcome(task.run, error=f"{type(error).__name__}: {error}")
    task.store.add(result)
    return Outcome(task.run, result)


def num_jobs_for(asked: int | None, device: str) -> int:
    """Return the number of processes: as asked, else the workers of a cluster, the GPUs or the cores."""
    if asked is not None:
        return asked
    if (workers := num_workers()) is not None:
        return workers
    if device == "cuda":
        return max(1, num_gpus())
    return 1 if device.startswith("cuda") else (os.cpu_count() or 1)

"""The tasks of an evaluation, in several processes, each result kept as soon as it is there."""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import joblib
from threadpoolctl import threadpool_limits

from riemaug.evaluation.result_file import Key, ResultFile
from riemaug.logs import fields
from riemaug.parallel import num_workers, run_tasks

log = logging.getLogger(__name__)


class Task(ABC):
    """One thing to do; nothing but its own fields decides its result."""

    @property
    @abstractmethod
    def key(self) -> Key:
        """What tells the task from all others of the evaluation."""

    @property
    @abstractmethod
    def what(self) -> str:
        """What the task is, in a few words."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """Tasks of a kind take as long as their `size` says."""

    @property
    @abstractmethod
    def size(self) -> float:
        """How much work it is, against others of its kind."""

    @abstractmethod
    def carry_out(self) -> dict[str, Any]:
        """Do it, and return plain JSON values."""


@dataclass(frozen=True)
class Progress:
    """How far an evaluation is.

    Attributes
    ----------
    done, total : int
        Tasks.
    share : float
        Of all work, in [0, 1].
    seconds_left : float or None
        None as long as it cannot be told.
    what : str
        The task that was done last, or what is being done.
    """

    done: int
    total: int
    share: float
    seconds_left: float | None
    what: str


Listener = Callable[[Progress], None]


@dataclass
class Pace:
    """Seconds that each kind of task takes for its size: a guess at first, then what finished tasks took.

    Attributes
    ----------
    guesses : dict of str to float
        Seconds a unit of size.
    """

    guesses: dict[str, float] = field(default_factory=dict)
    _done: dict[str, tuple[float, float]] = field(default_factory=dict)

    def add(self, task: Task, seconds: float) -> None:
        """Learn from a finished task."""
        size, took = self._done.get(task.kind, (0.0, 0.0))
        self._done[task.kind] = size + task.size, took + seconds

    def seconds(self, tasks: Sequence[Task]) -> float | None:
        """Return what some tasks will take one after the other; None if a kind is unknown."""
        total = 0.0
        for task in tasks:
            size, took = self._done.get(task.kind, (0.0, 0.0))
            rate = took / size if size else self.guesses.get(task.kind)
            if rate is None:
                return None
            total += rate * task.size
        return total


@dataclass(frozen=True, eq=False)
class _Kept:
    task: Task
    file: ResultFile | None


def execute(
    tasks: Sequence[Task],
    num_jobs: int,
    file: ResultFile | None = None,
    listener: Listener | None = None,
    pace: Pace | None = None,
) -> dict[Key, dict[str, Any]]:
    """Do the tasks whose results are not there yet, and return all results by key.

    Parameters
    ----------
    tasks : sequence of Task
    num_jobs : int
        Processes; changes no result.
    file : ResultFile, optional
        Where results are kept, and looked for.
    listener : callable, optional
        Hears of each task that is done.
    pace : Pace, optional
        By which the time left is told.
    """
    pace = pace or Pace()
    known = {} if file is None else file.results()
    found = {task.key: known[task.key] for task in tasks if task.key in known}
    for task in tasks:
        if task.key in found:
            pace.add(task, float(found[task.key].get("seconds", 0.0)))
    waiting = [task for task in tasks if task.key not in found]
    # workers of a cluster are in other folders than this process
    file = None if file is None else ResultFile(file.path.absolute(), file.inputs)
    results = run_tasks(
        _carry_out,
        [_Kept(task, file) for task in waiting],
        num_jobs,
        folder=None if file is None else file.path.parent,
        is_only_run=False,
        name=lambda kept: kept.task.what,
    )
    _tell(listener, pace, tasks, waiting, num_jobs, "starting")
    for number, (task, result) in enumerate(zip(waiting, results, strict=True), 1):
        found[task.key] = result
        pace.add(task, result["seconds"])
        log.info("done: %s", task.what, extra=fields(key=list(task.key), seconds=result["seconds"]))
        _tell(listener, pace, tasks, waiting[number:], num_jobs, task.what)
    return found


def _carry_out(kept: _Kept) -> dict[str, Any]:
    started = time.monotonic()
    # sums of several threads may differ in their last bits, so results would depend on the number of jobs
    with threadpool_limits(1):
        fields = kept.task.carry_out()
    fields = {**fields, "seconds": round(time.monotonic() - started, 2)}
    if kept.file is not None:
        kept.file.add(kept.task.key, fields)
    return fields


def _tell(
    listener: Listener | None,
    pace: Pace,
    tasks: Sequence[Task],
    left: Sequence[Task],
    num_jobs: int,
    what: str,
) -> None:
    if listener is None:
        return
    whole, rest = pace.seconds(tasks), pace.seconds(left)
    count = len(tasks) - len(left)
    share = count / max(len(tasks), 1) if not whole or rest is None else 1.0 - rest / whole
    seconds = None if rest is None else rest / min(num_jobs, max(len(left), 1))
    listener(Progress(count, len(tasks), share, seconds, what))


def num_jobs_for(asked: int | None) -> int:
    """Return the number of processes: as asked, else a cluster's workers, else the cores for this one."""
    return asked or num_workers() or joblib.cpu_count()

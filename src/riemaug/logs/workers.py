"""The records of worker processes: each appends to a file of its own, the run's process takes them over.

Several machines may not append to one file of a shared file system without mixing their lines, and the
run's own file is the parent's. So a worker's file has one writer, and whole lines are all that is read.
"""

import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from riemaug.logs.attached import attached
from riemaug.logs.context import CLASS, CLOCK, PLACE, STAGE, LogPlace
from riemaug.logs.line_file import LineFile
from riemaug.logs.lines import record_of
from riemaug.logs.process import process_name
from riemaug.logs.usage import USAGE_SUFFIX, TaskUsage, Usage, read_usage

Task = TypeVar("Task")
Result = TypeVar("Result")
WORKER_SUFFIX = ".jsonl"

LIVE: dict[str, LogPlace] = {}
"""The runs of this process that are going on, by their tokens."""
_TASK: ContextVar[object] = ContextVar("task", default=None)


def carried(function: Callable[[Task], Result]) -> Callable[[Task], Result]:
    """Return the function of a task, such that its records reach the present run's log from any process.

    Parameters
    ----------
    function : callable
        Importable by name; what is returned can be sent to a worker like it.
    """
    place = PLACE.get()
    return function if place is None else _Carried(function, place)


@dataclass(frozen=True)
class _Carried(Generic[Task, Result]):
    function: Callable[[Task], Result]
    place: LogPlace

    def __call__(self, task: Task) -> Result:
        own = LIVE.get(self.place.token)
        with _about(own or self.place):
            if own is not None or not self.place.folder:
                return self.function(task)
            with _as_worker(self.place):
                return self.function(task)


@contextmanager
def _about(place: LogPlace) -> Iterator[None]:
    """Begin a task's context: in its run, in no stage, on no clock (its seconds are not the run's)."""
    values: list[tuple[ContextVar[Any], Any]] = [(PLACE, place), (CLOCK, None), (STAGE, ""), (CLASS, "")]
    tokens = [(variable, variable.set(value)) for variable, value in values]
    try:
        yield
    finally:
        for variable, token in tokens:
            variable.reset(token)


@contextmanager
def _as_worker(place: LogPlace) -> Iterator[None]:
    """Append what the task in the block says to this process's file, and note what it used."""
    # several tasks may be at work in threads of one worker: each hears its own records alone
    task = object()
    token = _TASK.set(task)
    handler = LineFile(place.level, lambda _: _TASK.get() is task)
    handler.open(Path(place.folder) / (process_name() + WORKER_SUFFIX))
    usage = TaskUsage(place.folder, process_name())
    try:
        with attached(handler):
            yield
    finally:
        handler.close()
        usage.note()
        _TASK.reset(token)


class WorkerFiles:
    """The files of a run's workers, read as they grow.

    Parameters
    ----------
    folder : Path
    run_token : str
        Of the run that takes the records over.
    known : Counter of str
        How many records of each process the run's log holds already.
    """

    def __init__(self, folder: Path, run_token: str, known: Counter[str]) -> None:
        self.folder, self.run_token = folder, run_token
        self._known = known.copy()
        self._read: dict[Path, int] = {}

    def new_records(self) -> Iterator[logging.LogRecord]:
        """Yield what the workers have said since the last time, those of one worker in their order."""
        for path in sorted(self.folder.glob("*" + WORKER_SUFFIX)):
            for line in self._new_lines(path):
                process = path.name.removesuffix(WORKER_SUFFIX)
                if self._known[process] > 0:
                    self._known[process] -= 1
                    continue
                with contextlib.suppress(ValueError):
                    yield record_of(line, self.run_token)

    def usage(self) -> list[Usage]:
        """Return what each worker has used."""
        return [read_usage(path) for path in sorted(self.folder.glob("*" + USAGE_SUFFIX))]

    def _new_lines(self, path: Path) -> list[bytes]:
        try:
            with open(path, "rb") as file:
                file.seek(self._read.get(path, 0))
                whole, end, _ = file.read().rpartition(b"\n")
        except OSError:
            return []
        if not end:
            return []
        self._read[path] = self._read.get(path, 0) + len(whole) + 1
        return whole.split(b"\n")

"""Independent tasks, in this process, in several, or on a cluster; the results do not depend on which."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from riemaug.disk import stops_all
from riemaug.errors import InvalidInputError, ResourceLostError
from riemaug.logs import carried
from riemaug.parallel.attempt import Done, Failed, Outcome, Unfit
from riemaug.parallel.engine import active_cluster
from riemaug.parallel.failures import Failure, combined, poisoned
from riemaug.parallel.gpus import on_a_gpu
from riemaug.parallel.pool import Pool
from riemaug.parallel.run_folder import end_old_runs, run_folder
from riemaug.parallel.threads import one_thread

Task = TypeVar("Task")
Result = TypeVar("Result")

SUSPECT, POISONED = 2, 3
"""A task that has lost so many workers is done alone; one that has lost so many is to blame for it."""
FRUITLESS_ROUNDS = 3
"""After so many rounds in which workers were lost and nothing was begun, no further one is tried."""


def run_tasks(
    function: Callable[[Task], Result],
    tasks: Sequence[Task],
    num_jobs: int,
    *,
    folder: Path | None = None,
    is_only_run: bool = True,
    name: Callable[[Task], str] | None = None,
    device: str = "cpu",
) -> Iterator[Result]:
    """Yield `function(task)` for each task, in the order of the tasks, one thread a task.

    They are done where joblib's context says: on a cluster within `Engine.entered` or the user's own
    `joblib.parallel_config`, else in processes of this machine.

    A task whose worker is lost is begun again; one that loses its worker `POISONED` times, the last time
    alone, has failed. After a failure all other tasks are still done, then one error tells of all that
    failed. Only a full or broken disk ends all at once: it is so for each of them.

    Parameters
    ----------
    function : callable
        Importable by name (module level). Begun again it must go on, or come to the same end.
    tasks : sequence
        Large arrays in them are shared with the workers as read-only memory maps.
    num_jobs : int
        Tasks at once; without a cluster 1 runs in this process.
    folder : Path, optional
        Where tasks leave marks, see `riemaug.parallel.run_folder`; by default that of temporary files.
    is_only_run : bool
        Nobody else runs tasks with this folder now.
    name : callable, optional
        Says in an error which task it was.
    device : str
        Of the tasks: "cuda" gives each the GPU that has the fewest.

    Raises
    ------
    RiemaugError, or what a task raised
        Once all tasks have ended that can; see `riemaug.parallel.failures`.
    InvalidInputError
        A worker of the cluster has another riemaug or does not see the folder.
    ResourceLostError
        Workers are lost that do no task, or the cluster is.
    """
    if not tasks:
        return
    cluster, function = active_cluster(), carried(function)
    called = [name(task) if name else f"task {number + 1}" for number, task in enumerate(tasks)]
    if cluster is None and (num_jobs == 1 or len(tasks) == 1):
        if folder is not None and is_only_run:
            end_old_runs(folder, is_only_run)  # an earlier run may have had workers
        yield from _run_here(function, tasks, called, device)
        return
    jobs = min(num_jobs, len(tasks))
    # other runs of this machine would not know whether what lies there is in use
    place = folder if cluster is not None or is_only_run else None
    with run_folder(place, cluster is not None, is_only_run) as marks:
        pool = Pool(None if cluster is None else cluster.for_device(device, jobs), jobs, marks)
        yield from _Run(pool, function, tasks, called, device).results()


def _run_here(
    function: Callable[[Task], Result], tasks: Sequence[Task], names: Sequence[str], device: str
) -> Iterator[Result]:
    failures: list[Failure] = []
    for task, called in zip(tasks, names, strict=True):
        try:
            with one_thread(), on_a_gpu(device):
                result = function(task)
        except Exception as error:
            if stops_all(error):
                raise
            failures.append((called, error))
            continue
        if not failures:
            yield result
    if failures:
        raise combined(failures, len(tasks))


class _Run:
    """Rounds of attempts at tasks: what a round leaves undone is the next one's."""

    def __init__(
        self,
        pool: Pool,
        function: Callable[[Any], Any],
        tasks: Sequence[Any],
        names: Sequence[str],
        device: str,
    ) -> None:
        self.pool, self.function, self.tasks, self.names = pool, function, tasks, names
        self.device = device
        self.waiting = list(range(len(tasks)))
        self.done: dict[int, Any] = {}
        self.failed: dict[int, Failure] = {}
        self.next = 0

    def results(self) -> Iterator[Any]:
        """Yield results in the order of the tasks, and raise at the end what went wrong; see `run_tasks`."""
        before, fruitless = None, 0
        while self.waiting:
            lost = {number: len(self.pool.folder.begun(number)) for number in self.waiting}
            fruitless = fruitless + 1 if lost == before else 0
            if fruitless == FRUITLESS_ROUNDS:
                raise ResourceLostError(
                    "workers must live long enough to begin a task, they are lost before: look at their logs "
                    "and at the memory that is free"
                )
            before = lost
            self._give_up([number for number, times in lost.items() if times >= POISONED])
            together = [number for number in self.waiting if lost[number] < SUSPECT]
            if together:
                yield from self._round(together, self.pool.num_jobs, SUSPECT)
            elif self.waiting:
                yield from self._round(self.waiting[:1], 1, POISONED)
        if self.failed:
            raise combined([self.failed[number] for number in sorted(self.failed)], len(self.tasks))

    def _round(self, numbers: Sequence[int], num_jobs: int, limit: int) -> Iterator[Any]:
        attempts = (
            self.pool.attempt(self.function, self.tasks[number], number, limit, self.device)
            for number in numbers
        )
        with closing(self.pool.outcomes(attempts, num_jobs)) as outcomes:
            for number, outcome in outcomes:
                self._settle(number, outcome)
                while self.next in self.done:
                    yield self.done.pop(self.next)
                    self.next += 1

    def _settle(self, number: int, outcome: Outcome) -> None:
        """Note what became of an attempt; a task that was lost, or not begun, stays where it was."""
        match outcome:
            case Done(result):
                self.done[number] = result
            case Failed(error) if stops_all(error):
                raise error
            case Failed(error):
                self.failed[number] = (self.names[number], error)
            case Unfit(reason):
                raise InvalidInputError(reason)
            case _:
                return
        self.waiting.remove(number)

    def _give_up(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self.failed[number] = poisoned(self.names[number], POISONED)
            self.waiting.remove(number)
            self.pool.folder.end(number)

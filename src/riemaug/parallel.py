"""Independent tasks, in this process or in several; the results do not depend on which."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import joblib
import torch

Task = TypeVar("Task")
Result = TypeVar("Result")


@contextmanager
def one_thread() -> Iterator[None]:
    """Run the block with one PyTorch thread: sums over several threads would depend on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _run(function: Callable[[Task], Result], task: Task) -> Result:
    with one_thread():
        return function(task)


def run_tasks(function: Callable[[Task], Result], tasks: Sequence[Task], num_jobs: int) -> Iterator[Result]:
    """Yield `function(task)` for each task, in the order of the tasks, one thread a task.

    Parameters
    ----------
    function : callable
        Importable by name (module level).
    tasks : sequence
        Large arrays in them are shared with the workers as read-only memory maps.
    num_jobs : int
        Processes; 1 runs in this one.
    """
    if num_jobs == 1 or len(tasks) <= 1:
        for task in tasks:
            yield _run(function, task)
        return
    workers: Any = joblib.Parallel(n_jobs=min(num_jobs, len(tasks)), return_as="generator")
    yield from workers(joblib.delayed(_run)(function, task) for task in tasks)

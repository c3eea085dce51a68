"""Independent tasks, in this process or in several; the results do not depend on which."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from multiprocessing import resource_tracker
from typing import Any, TypeVar

import joblib
import torch
from joblib.externals.loky.backend import resource_tracker as loky_tracker
from joblib.externals.loky.process_executor import TerminatedWorkerError

from riemaug.errors import ResourceError
from riemaug.stopping import STOPPING

Task = TypeVar("Task")
Result = TypeVar("Result")

WATCH_SECONDS = 1.0
"""How often a worker looks whether the process that started it is still there."""


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


def _run_as_worker(function: Callable[[Task], Result], task: Task, parent: int) -> Result:
    if os.getppid() == parent:
        _end_with(parent)
    return _run(function, task)


@cache
def _end_with(parent: int) -> None:
    """Let this worker end soon after its parent: it would go on writing beside a resumed run."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Start processes in the block that never see Ctrl-C, which a terminal sends to all: this one ends them.

    So with SIGTERM and SIGHUP, which batch systems send to all. A process inherits the mask from its first
    instruction on. A signal during the block reaches this process at its end. Where signals have no masks
    (Windows) nothing is done.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    loky_tracker.ensure_running()  # as it starts it would lift the mask
    resource_tracker.ensure_running()  # so would that of the standard library, up to Python 3.12
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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

    Raises
    ------
    ResourceError
        A worker process was ended from outside.
    """
    if num_jobs == 1 or len(tasks) <= 1:
        for task in tasks:
            yield _run(function, task)
        return
    workers: Any = joblib.Parallel(n_jobs=min(num_jobs, len(tasks)), return_as="generator")
    try:
        with _interrupts_held_back():
            results = workers(joblib.delayed(_run_as_worker)(function, task, os.getpid()) for task in tasks)
        yield from results
    except TerminatedWorkerError as error:
        raise ResourceError(
            "the worker processes must stay alive, one was ended by the system (most often for lack of "
            "memory): use fewer --jobs"
        ) from error

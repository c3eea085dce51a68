"""How tasks in other processes tell how far they are: a small file each, read by whoever shows it."""

import contextlib
import json
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

Stage = Literal["waiting", "tune", "fit", "sample", "write", "done"]
WRITE_SECONDS, POLL_SECONDS = 0.3, 0.3
FIT_SHARE = 0.9
"""Share of a class's work that training is, where it is fitted and drawn from."""


@dataclass(frozen=True)
class TaskProgress:
    """What one task is doing.

    Attributes
    ----------
    stage : str
    done, total : int
        Epochs (total: the most there can be), draws, or samples written.
    value, best : float
        In "fit": the ELBO and the best so far. In "tune": the held-out nats of the defaults and of the best
        choice so far. In "sample": the acceptance, as `value`.
    since_best : int
        Epochs since the best ELBO.
    step, num_steps : int
        In "sample": steps of the present block of chains; 0 of 0 without chains. In "tune": the trial.
    seconds : float
        Since the stage began.
    name : str
        The class, or what else the task is about.
    weight : float
        Share of the job, in units of all the work on one class.
    fit_share : float
        Share of the task that training is.
    classes : int
        Classes of which nothing is left to do when the task is done.
    is_fixed : bool
        In "fit": training goes on to the last of all epochs, it does not stop by itself.
    """

    stage: Stage
    done: int = 0
    total: int = 0
    value: float = 0.0
    best: float = 0.0
    since_best: int = 0
    step: int = 0
    num_steps: int = 0
    seconds: float = 0.0
    name: str = ""
    weight: float = 1.0
    fit_share: float = FIT_SHARE
    classes: int = 1
    is_fixed: bool = False


WAITING = TaskProgress("waiting")


class ProgressFile:
    """Writes a task's progress, at most every 0.3 s; a lost line is no loss, not even on a full disk.

    Parameters
    ----------
    path : Path
    task : TaskProgress
        The task before it begins: its name and how much it is.
    """

    def __init__(self, path: Path, task: TaskProgress = WAITING) -> None:
        self.path, self.task, self.last = path, task, -math.inf
        self.stage_started, self.stage = time.monotonic(), ""

    def tell(self, stage: Stage, **fields: int | float) -> None:
        """Note the progress within a stage."""
        now = time.monotonic()
        if stage != self.stage:
            self.stage, self.stage_started, self.last = stage, now, -math.inf
        if now - self.last < WRITE_SECONDS:
            return
        self.last = now
        seconds = now - self.stage_started
        progress = replace(self.task, stage=stage, seconds=seconds, **fields)
        # not by atomic_path: that waits for the disk, and this may be lost
        temporary = self.path.with_name("." + self.path.name)
        with contextlib.suppress(OSError):
            temporary.write_text(json.dumps(asdict(progress)), encoding="utf-8")
            os.replace(temporary, self.path)

    def read(self) -> TaskProgress:
        """Return what the task told last, or that it waits."""
        return read_progress(self.path) or self.task


Listener = Callable[[list[TaskProgress]], None]
"""Hears the progress of all tasks, in order."""


class ProgressWatch:
    """A thread that reads the progress files and tells a listener; used as a context manager."""

    def __init__(self, tasks: Sequence[ProgressFile], listener: Listener | None) -> None:
        self.tasks, self.listener = tasks, listener
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "ProgressWatch":
        if self.listener is not None:
            self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        if self.listener is not None:
            self._thread.join()
            self.listener([task.read() for task in self.tasks])

    def _run(self) -> None:
        assert self.listener is not None
        while not self._stop.wait(POLL_SECONDS):
            self.listener([task.read() for task in self.tasks])


def read_progress(path: Path) -> TaskProgress | None:
    """Return what a task told last, None if it has not begun."""
    try:
        return TaskProgress(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None

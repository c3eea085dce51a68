"""How tasks in other processes tell how far they are: a small file each, read by whoever shows it."""

import contextlib
import json
import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Stage = Literal["waiting", "fit", "sample", "write", "done"]
WRITE_SECONDS, POLL_SECONDS = 0.3, 0.3


@dataclass(frozen=True)
class TaskProgress:
    """What one class's task is doing.

    Attributes
    ----------
    stage : str
    done, total : int
        Epochs (total: the most there can be), draws, or samples written.
    value, best : float
        In "fit": the ELBO and the best so far. In "sample": the acceptance, as `value`.
    since_best : int
        Epochs since the best ELBO.
    step, num_steps : int
        In "sample": steps of the present block of chains; 0 of 0 without chains.
    seconds : float
        Since the stage began.
    name : str
        The class.
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


class ProgressFile:
    """Writes a task's progress, at most every 0.3 s; a lost line is no loss, not even on a full disk."""

    def __init__(self, path: Path, name: str = "") -> None:
        self.path, self.name, self.last = path, name, -math.inf
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
        progress = TaskProgress(stage, seconds=seconds, name=self.name, **fields)  # type: ignore[arg-type]
        temporary = self.path.with_name("." + self.path.name)
        with contextlib.suppress(OSError):
            temporary.write_text(json.dumps(asdict(progress)), encoding="utf-8")
            os.replace(temporary, self.path)


Listener = Callable[[list[TaskProgress | None]], None]
"""Hears the progress of all tasks, in order; None for one that has not begun."""


class ProgressWatch:
    """A thread that reads the progress files and tells a listener; used as a context manager."""

    def __init__(self, paths: list[Path], listener: Listener | None) -> None:
        self.paths, self.listener = paths, listener
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
            self.listener([read_progress(path) for path in self.paths])

    def _run(self) -> None:
        assert self.listener is not None
        while not self._stop.wait(POLL_SECONDS):
            self.listener([read_progress(path) for path in self.paths])


def read_progress(path: Path) -> TaskProgress | None:
    """Return what a task told last, None if it has not begun."""
    try:
        return TaskProgress(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None

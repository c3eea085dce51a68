"""How tasks in other processes tell how far they are: a small file each, read by whoever shows it."""

import json
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
    seconds : float
        Since the stage began.
    """

    stage: Stage
    done: int = 0
    total: int = 0
    value: float = 0.0
    best: float = 0.0
    since_best: int = 0
    seconds: float = 0.0


class ProgressFile:
    """Writes a task's progress, at most every 0.3 s; a lost line is no loss."""

    def __init__(self, path: Path) -> None:
        self.path, self.last = path, 0.0
        self.stage_started, self.stage = time.monotonic(), ""

    def tell(self, stage: Stage, **fields: float) -> None:
        """Note the progress within a stage."""
        now = time.monotonic()
        if stage != self.stage:
            self.stage, self.stage_started, self.last = stage, now, 0.0
        if now - self.last < WRITE_SECONDS:
            return
        self.last = now
        progress = TaskProgress(stage, seconds=now - self.stage_started, **fields)  # type: ignore[arg-type]
        temporary = self.path.with_name("." + self.path.name)
        temporary.write_text(json.dumps(asdict(progress)))
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
            self.listener([_read(path) for path in self.paths])

    def _run(self) -> None:
        assert self.listener is not None
        while not self._stop.wait(POLL_SECONDS):
            self.listener([_read(path) for path in self.paths])


def _read(path: Path) -> TaskProgress | None:
    try:
        return TaskProgress(**json.loads(path.read_text()))
    except (OSError, ValueError):
        return None

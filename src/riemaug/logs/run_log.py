"""The log of one run: JSON lines in its folder, written while it goes on."""

import json
import logging
import os
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Token
from dataclasses import replace
from pathlib import Path
from typing import Any

from riemaug.errors import RiemaugError
from riemaug.logs.attached import LOGGER, attached
from riemaug.logs.clock import StageClock
from riemaug.logs.context import CLOCK, PLACE, LogPlace
from riemaug.logs.line_file import LineFile
from riemaug.logs.usage import Usage
from riemaug.logs.workers import LIVE, WorkerFiles
from riemaug.repeating import repeating

LOG_NAME = "run.log"
IN_LOG = "the traceback is in"
"""How the note begins that an unexpected error carries whose traceback a log has."""
POLL_SECONDS = 1.0
"""How often the records of worker processes are taken over."""


class RunLog:
    """Hears what a run says, in this process and in its workers; a context manager around the run.

    Records are kept in memory until the run has a folder, so that a run that is refused leaves nothing.

    Parameters
    ----------
    level : "debug", "info", "warning" or "error"
        Of the least records that are kept.

    Attributes
    ----------
    clock : StageClock
        Counts the seconds of the run's stages; see `riemaug.logs.stage`.
    """

    def __init__(self, level: str = "info") -> None:
        number = logging.getLevelNamesMapping()[level.upper()]
        self.place = LogPlace(secrets.token_hex(8), number)
        self.clock = StageClock()
        self._file = LineFile(number, lambda record: vars(record)["run_token"] == self.place.token)
        self._workers: WorkerFiles | None = None
        self._attached = attached(self._file)
        self._tokens: tuple[Token[Any], Token[Any]] | None = None

    def __enter__(self) -> "RunLog":
        self._attached.__enter__()
        self._tokens = PLACE.set(self.place), CLOCK.set(self.clock)
        LIVE[self.place.token] = self.place
        return self

    def __exit__(self, *exception: Any) -> None:
        assert self._tokens is not None
        del LIVE[self.place.token]
        CLOCK.reset(self._tokens[1])
        PLACE.reset(self._tokens[0])
        self._attached.__exit__(None, None, None)
        self._file.close()

    @contextmanager
    def in_folder(
        self, path: Path, workers: Path, now_and_then: Callable[[], None] = lambda: None
    ) -> Iterator[None]:
        """Append to a file while the block runs, first what was said before it; tell how the block ended.

        Parameters
        ----------
        path : Path
            The run's log; that of a run which is resumed is continued.
        workers : Path
            A folder for the workers' files; made if need be, removed by the caller with the run's other
            working files.
        now_and_then : callable
            Called about every second, from another thread.
        """
        folder = workers.absolute()
        folder.mkdir(exist_ok=True)
        self._workers = WorkerFiles(folder, self.place.token, _records_by_process(path, folder))
        self.place = replace(self.place, folder=str(folder))
        LIVE[self.place.token] = self.place
        PLACE.set(self.place)
        self._file.open(path)
        try:
            with repeating(lambda: (self._take_over(), now_and_then()), POLL_SECONDS, "riemaug log"):
                yield
        except BaseException as error:
            self._take_over()
            _tell(error, path)
            raise
        finally:
            self._take_over()
            self._file.close()

    def worker_usage(self) -> list[Usage]:
        """Return what each worker process has used so far, those of the parts before a resume, too."""
        return [] if self._workers is None else self._workers.usage()

    def _take_over(self) -> None:
        """Let the workers' new records go the way of all others."""
        assert self._workers is not None
        with _TAKING_OVER:
            for record in self._workers.new_records():
                name = record.name if record.name.startswith("riemaug.") else "riemaug"
                logging.getLogger(name).handle(record)


_TAKING_OVER = threading.Lock()


def _tell(error: BaseException, path: Path) -> None:
    """Note how a run ended that did not end well."""
    from safetensors import SafetensorError

    if isinstance(error, KeyboardInterrupt):
        LOGGER.warning("stopped from outside; the run can be resumed")
    elif isinstance(error, RiemaugError | OSError | SafetensorError):  # the last is that of a full disk
        LOGGER.error("%s", error)
    elif isinstance(error, Exception):
        LOGGER.critical("unexpected %s: %s", type(error).__name__, error, exc_info=error)
        error.add_note(f"{IN_LOG} {path}")


def _records_by_process(path: Path, workers: Path) -> Counter[str]:
    """Return how many records of each process a log holds; only looked for where workers left some."""
    counted: Counter[str] = Counter()
    if not os.path.isfile(path) or not any(workers.iterdir()):
        return counted
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            with suppress(ValueError, KeyError, TypeError):
                counted[json.loads(line)["process"]] += 1
    return counted

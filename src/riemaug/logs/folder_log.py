"""The log of a command that has no working folder: evaluations, and the study."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from riemaug.logs.process import is_gone, process_name
from riemaug.logs.run_log import LOG_NAME, RunLog

WORKERS_PREFIX = ".riemaug-log"


@contextmanager
def logged_in(folder: Path, level: str, *, is_only_run: bool = True) -> Iterator[RunLog]:
    """Keep what the block says in the folder's run.log, which is continued if it is there.

    Parameters
    ----------
    folder : Path
        Exists.
    level : str
        See `RunLog`.
    is_only_run : bool
        Nobody else writes here now. Else each run's workers have a folder of their own, and of those that
        were killed the last records may be lost.
    """
    workers = folder / WORKERS_PREFIX
    if not is_only_run:
        _remove_abandoned(folder)
        workers = folder / f"{WORKERS_PREFIX}-{process_name()}"
    try:
        with RunLog(level) as log, log.in_folder(folder / LOG_NAME, workers):
            yield log
    finally:
        shutil.rmtree(workers, ignore_errors=True)


def _remove_abandoned(folder: Path) -> None:
    for name in os.listdir(folder):
        if name.startswith(WORKERS_PREFIX + "-") and is_gone(name.removeprefix(WORKERS_PREFIX + "-")):
            shutil.rmtree(folder / name, ignore_errors=True)

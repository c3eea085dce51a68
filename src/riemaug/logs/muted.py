"""Other libraries' loggers, which would fill the user's screen with what an error of ours tells in a line."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy

from riemaug.logs.process import process_name
from riemaug.logs.workers import LIVE


class _AtDebug(logging.Handler):
    """Hands records on, at level debug, to who listens to a logger of ours: the logs of runs, and users."""

    def __init__(self, logger: str) -> None:
        super().__init__()
        self.own = logging.getLogger(logger)

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a record on; it may come from a thread of the library, which knows of no run."""
        if not self.own.isEnabledFor(logging.DEBUG):
            return
        for token in list(LIVE) or [""]:
            told = copy(record)
            told.levelno, told.levelname = logging.DEBUG, logging.getLevelName(logging.DEBUG)
            vars(told).update(run_token=token, process_name=process_name(), stage="", class_name="")
            self.own.handle(told)


@contextmanager
def muted(library: str, logger: str) -> Iterator[None]:
    """Let nobody hear a library's loggers in the block but those who listen to one of ours at level debug.

    Parameters
    ----------
    library : str
        The name of its topmost logger.
    logger : str
        Ours, such as "riemaug.parallel.dask_cluster".
    """
    handler = _AtDebug(logger)
    before = [(item, item.handlers, item.propagate) for item in _with_handlers(library)]
    for item, _, _ in before:
        item.handlers, item.propagate = [handler], False
    try:
        yield
    finally:
        for item, handlers, propagate in before:
            item.handlers, item.propagate = handlers, propagate


def _with_handlers(library: str) -> list[logging.Logger]:
    """Return a library's topmost logger, and those below that have handlers or hand nothing on."""
    below = [
        item
        for name, item in list(logging.Logger.manager.loggerDict.items())
        if name.startswith(f"{library}.") and isinstance(item, logging.Logger)
    ]
    return [logging.getLogger(library), *(item for item in below if item.handlers or not item.propagate)]

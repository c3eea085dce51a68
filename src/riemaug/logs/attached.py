"""Handlers on the logger "riemaug" for as long as they are needed; all else stays as the user set it."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LOGGER = logging.getLogger("riemaug")
_LOCK = threading.Lock()
_ATTACHED: list[logging.Handler] = []
_BEFORE: list["_Before"] = []


class _Before(logging.Handler):
    """How the logger was, and the way on to the user's own handlers for the records that these got before."""

    def __init__(self) -> None:
        super().__init__(LOGGER.getEffectiveLevel())
        self.logger_level, self.propagate = LOGGER.level, LOGGER.propagate

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a record on, where there is somebody to take it."""
        parent = LOGGER.parent
        if self.propagate and parent is not None and parent.hasHandlers():
            parent.handle(record)


@contextmanager
def attached(handler: logging.Handler) -> Iterator[None]:
    """Let a handler hear the records of its level in the block, and other handlers no more than before.

    The logger must let finer records pass for that; its level and its ties to the root logger are put
    back when the last such block ends.
    """
    with _LOCK:
        if not _ATTACHED:
            _BEFORE.append(_Before())
            LOGGER.addHandler(_BEFORE[0])
            LOGGER.propagate = False
        _ATTACHED.append(handler)
        LOGGER.addHandler(handler)
        _let_pass()
    try:
        yield
    finally:
        with _LOCK:
            LOGGER.removeHandler(handler)
            _ATTACHED.remove(handler)
            _let_pass()


def _let_pass() -> None:
    before = _BEFORE[0]
    if _ATTACHED:
        LOGGER.setLevel(min(before.level, *(handler.level for handler in _ATTACHED)))
        return
    LOGGER.removeHandler(_BEFORE.pop())
    LOGGER.setLevel(before.logger_level)
    LOGGER.propagate = before.propagate

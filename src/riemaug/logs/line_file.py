"""A handler that appends records to a file, each by one write of a whole line."""

import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

from riemaug.logs.lines import json_line, mark

_ENOUGH = 10_000
"""Records kept at most for a file that is not there yet."""


class LineFile(logging.Handler):
    """Appends the records that `is_ours` accepts as JSON lines; keeps them until there is a file.

    A line that cannot be written, for a full disk say, is lost, and so are all where the file is a link: a
    log must not end a run.

    Parameters
    ----------
    level : int
    is_ours : callable
        Takes a marked record.
    """

    def __init__(self, level: int, is_ours: Callable[[logging.LogRecord], bool]) -> None:
        super().__init__(level)
        self.is_ours = is_ours
        self._waiting: list[bytes] = []
        self._descriptor: int | None = None

    def open(self, path: Path) -> None:
        """Append to `path` from now on, at first what was kept."""
        with self.lock or contextlib.nullcontext(), contextlib.suppress(OSError):
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _OWN_FILE, 0o666)
            if _ends_amid_a_line(path):  # of a process that was killed
                self._waiting.insert(0, b"\n")
            for line in self._waiting:
                self._write(line)
            self._waiting.clear()

    def emit(self, record: logging.LogRecord) -> None:
        """Append a record, if it is one of ours."""
        mark(record)
        if not self.is_ours(record):
            return
        try:
            self._write(json_line(record).encode() + b"\n")
        except (TypeError, ValueError):  # a message that does not fit its arguments
            self.handleError(record)

    def close(self) -> None:
        """Close the file; later records are kept, for no file."""
        with self.lock or contextlib.nullcontext():
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
        super().close()

    def _write(self, line: bytes) -> None:
        if self._descriptor is None:
            if len(self._waiting) < _ENOUGH:
                self._waiting.append(line)
            return
        with contextlib.suppress(OSError):
            os.write(self._descriptor, line)


_OWN_FILE = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
"""Not handed on to other programs; and no link in somebody's folder lets us write to another file."""


def _ends_amid_a_line(path: Path) -> bool:
    with open(path, "rb") as file:
        file.seek(0, os.SEEK_END)
        if not file.tell():
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"

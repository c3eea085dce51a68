"""One run at a time in an output folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from riemaug.errors import InvalidInputError

try:
    import fcntl
except ImportError:  # no such locks on Windows
    fcntl = None


@contextmanager
def only_run(folder: Path, out: Path) -> Iterator[None]:
    """Hold the lock of a working folder; the operating system frees it when the process ends, however.

    Raises
    ------
    InvalidInputError
        Another process holds it.
    """
    descriptor = _acquire(folder)
    if descriptor is None:
        raise InvalidInputError(
            f"one run at a time may write to a folder, another one is at work in {str(out)!r}: wait for its "
            "end, or give another folder"
        )
    try:
        yield
    finally:
        os.close(descriptor)


def is_locked(folder: Path) -> bool:
    """Return whether a run is at work in the folder."""
    descriptor = _acquire(folder)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def _acquire(folder: Path) -> int | None:
    """Return the descriptor that holds the lock, None if another one does."""
    if fcntl is None:
        return os.open(os.devnull, os.O_RDONLY)
    # not handed on to worker processes, so a killed run does not leave its folder locked
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        pass  # some network file systems have no locks
    return descriptor


@contextmanager
def waiting_lock(path: Path) -> Iterator[None]:
    """Hold the lock of a file, made if need be, once whoever has it lets it go.

    Where the file system has no locks, nothing is waited for.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if fcntl is not None:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

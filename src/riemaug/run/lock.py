"""One run at a time in an output folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from riemaug.errors import InvalidInputError
from riemaug.file_lock import HAS_LOCKS, try_lock, wait_for_lock


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
    if not HAS_LOCKS:
        return os.open(os.devnull, os.O_RDONLY)
    # not handed on to worker processes, so a killed run does not leave its folder locked
    descriptor = os.open(folder, os.O_RDONLY)
    with suppress(OSError):  # some network file systems have no locks
        return descriptor if try_lock(descriptor) else None
    return descriptor


@contextmanager
def waiting_lock(path: Path) -> Iterator[None]:
    """Hold the lock of a file, made if need be, once whoever has it lets it go.

    Where the file system has no locks, nothing is waited for.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        wait_for_lock(descriptor)
        yield
    finally:
        os.close(descriptor)

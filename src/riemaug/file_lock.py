"""Locks on files that the operating system frees when their holder ends, however that happens."""

import os
from contextlib import suppress

try:
    import fcntl
except ImportError:  # no such locks on Windows
    fcntl = None

HAS_LOCKS = fcntl is not None


def try_lock(descriptor: int) -> bool:
    """Lock an open file or folder, or close it and return False if another descriptor holds its lock.

    Raises
    ------
    OSError
        The file system has no locks; the file stays open.
    """
    assert fcntl is not None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    return True


def wait_for_lock(descriptor: int) -> None:
    """Lock an open file once nobody else has it; without locks at once."""
    if fcntl is not None:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
